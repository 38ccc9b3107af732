"""The GPUs that a description names, each with the count and the memory beside its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.records import Record
from . import cpus
from .cards import Card, NamedCards, matches, named_card, not_sold_so
from .phrases import Phrase, Run
from .processors import two_readings
from .words import BREAK, SIZE, bad_name, spelled, vocabulary

_MODULES = re.compile(r"\d{1,2}x(\d+)gb", re.ASCII)


class FoundCards(Record):
    """GPUs in the order of their names, and the places of the words that name them."""

    cards: Sequence[NamedCards]
    places: frozenset[int]


class _Around(Record):
    """What is known of the machine around the GPUs. `line` stands unsaid before their numbers."""

    line: Sequence[str]
    has_processor: bool
    has_chip: bool
    is_laptop: bool


class _CardName(Record):
    """A run that names a GPU: the words without fillers and sizes, the size among them in GiB, and
    the GPUs that it can mean.
    """

    run: Run
    words: Sequence[str]
    size_gib: float | None
    meant: Sequence[Card]


class _CardSize(Record):
    """A size beside the name of a card; None where it is none of the card's own."""

    memory_gib: float | None
    places: Sequence[int] = ()


def find_cards(
    phrase: Phrase,
    *,
    line: str = "",
    has_processor: bool = False,
    has_chip: bool = False,
    is_laptop: bool = False,
) -> FoundCards:
    """All GPUs that the free words name, by the longest names. Raises `UnknownGpuError`."""
    around = _Around(
        line=line.split(),
        has_processor=has_processor,
        has_chip=has_chip,
        is_laptop=is_laptop,
    )
    cards_at: dict[int, NamedCards] = {}
    claimed: frozenset[int] = frozenset()
    for run in phrase.runs():
        if not phrase.is_free(run):
            continue
        name = _card_name(phrase, run, around, has_cards=bool(cards_at))
        if name is None:
            continue
        cards, places = _cards_of(phrase, name, around)
        if cards is not None:
            labels = [known.label for known in cards_at.values()]
            # the same GPU in a processor, named twice
            if not cards.is_unified or cards.label not in labels:
                cards_at[run.start] = cards
        claimed = claimed.union(places)
        phrase = phrase.without(places)
    in_order = [cards_at[place] for place in sorted(cards_at)]
    return FoundCards(cards=in_order, places=claimed)


def _card_name(
    phrase: Phrase, run: Run, around: _Around, *, has_cards: bool
) -> _CardName | None:
    """What GPU a run names; None where it names none. `has_cards`: another was named already."""
    if "and" in run.words:
        return None
    if not phrase.is_of_gpus and not _has_form_of_name(run.words):
        return None
    fillers = vocabulary().idle - vocabulary().forms
    sizes: list[float] = []
    words: list[str] = []
    for word in run.words:
        if size := SIZE.fullmatch(word):
            sizes.append(float(size[1]))
        elif word not in fillers:
            words.append(word)
    meant = matches(tuple(words), laptop=around.is_laptop)
    if not meant or not all(_has_size(meant, size) for size in sizes):
        return None
    if not phrase.is_of_gpus and _is_processors(
        phrase, run, meant, around, has_cards=has_cards
    ):
        return None
    with_line = (*around.line, *words)
    if around.line and matches(with_line):
        words = list(with_line)
        meant = matches(with_line, laptop=around.is_laptop)
    return _CardName(
        run=run, words=words, size_gib=sizes[0] if sizes else None, meant=meant
    )


def _has_size(cards: Sequence[Card], gib: float) -> bool:
    """Whether one of the cards is sold with that memory, or has it in its name."""
    return any(gib in card.memory_gib or f"{gib:g}gb" in card.named for card in cards)


def _has_form_of_name(run: Sequence[str]) -> bool:
    """Whether words have the form of a GPU's name: no filler or size at an end, and a number."""
    words = vocabulary()
    if tuple(run) in words.gpus_inside:
        return True
    # the form of a GPU is no filler
    idle = (words.idle - words.forms) | words.gpu_idle
    if run[0] in idle or run[-1] in idle:
        return False
    if SIZE.fullmatch(run[0]) or SIZE.fullmatch(run[-1]):
        return False
    if re.fullmatch(r"\d\d?", run[0]):
        return False
    for word in run:
        is_telling = word not in idle and word not in words.left_out
        if is_telling and not SIZE.fullmatch(word) and any(map(str.isdecimal, word)):
            return True
    return len(run) > 1 and not words.numberless.isdisjoint(run)


def _is_processors(
    phrase: Phrase,
    run: Run,
    cards: Sequence[Card],
    around: _Around,
    *,
    has_cards: bool,
) -> bool:
    """Whether a bare number is a processor's, as it is behind a GPU. Raises `UnknownMachineError`
    where it can be either.
    """
    word = run.words[0]
    if len(run.words) > 1 or not word.isdecimal():
        return False
    if around.has_processor or around.has_chip:
        return False
    processors = cpus.names_of_number(word, beside_gpu=True)
    if len(processors) > 1 or (processors and not has_cards):
        raise two_readings(phrase, word, [*processors, cards[0].label.lower()])
    return bool(processors)


def _cards_of(
    phrase: Phrase, name: _CardName, around: _Around
) -> tuple[NamedCards | None, frozenset[int]]:
    """The GPUs of a name with the size and count beside it, and the places of all these words.
    None for a GPU that is in the processor that was named.
    """
    places = frozenset(name.run.places)
    phrase = phrase.without(places)
    if all(card.unified for card in name.meant):
        if around.has_processor and not name.meant[0].integrated:
            return None, places
        return named_card(name.words, laptop=around.is_laptop), places
    # `rtx 6000 pro max-q 96gb`, where `q` is no end of a name
    run = Run(name.run.start, phrase.with_fillers(name.run).end, name.run.words)
    size_gib = name.size_gib
    if all(size_gib not in card.memory_gib for card in name.meant):
        size = _size_behind(phrase, run, name.meant)
        if size is None:
            size = _size_before(phrase, run, name.meant, around)
        size_gib = size.memory_gib
        places = places.union(size.places)
        phrase = phrase.without(size.places)
    count = phrase.count_beside(run)
    cards = named_card(name.words, size_gib, count.number, laptop=around.is_laptop)
    return cards, places.union(count.places)


def _size_behind(phrase: Phrase, run: Run, cards: Sequence[Card]) -> _CardSize | None:
    """The size behind a card's name; None where none stands there. Raises `UnknownGpuError` where
    it can only be the card's, which is not sold with it.
    """
    at = run.end
    if phrase.word(at) in (BREAK, "vram", "with"):
        at += 1
    gib = phrase.memory_gib(at)
    if not gib:
        return None
    kind = phrase.word(at).partition("b")[2]
    if kind == "ram" and not SIZE.fullmatch(phrase.word(at + 1)):
        return _CardSize(memory_gib=None)
    if kind == "vram" or any(gib in card.memory_gib for card in cards):
        return _CardSize(memory_gib=gib, places=(at,))
    if f"{gib:g}gb" in cards[0].named - cards[0].words:
        return _CardSize(memory_gib=None, places=(at,))
    is_of_card = not kind and at == run.end and _is_no_ram(phrase, gib)
    if phrase.is_of_gpus or is_of_card:
        raise not_sold_so(cards, gib)
    return _CardSize(memory_gib=None)


def _is_no_ram(phrase: Phrase, gib: float) -> bool:
    """Whether a size is none of RAM, or another is said to be it, or of a card that was changed."""
    if gib % 4 != 0 and gib > 6:
        return True
    if any(word.endswith("bram") for word in phrase.words):
        return True
    return not vocabulary().changed.isdisjoint(phrase.words)


def _size_before(
    phrase: Phrase, run: Run, cards: Sequence[Card], around: _Around
) -> _CardSize:
    """The card's size before its name, where another is the RAM's. Raises `UnknownMachineError` for
    `2x16gb v100`, which can be modules of RAM.
    """
    at = run.start - 1
    sold = {size for card in cards for size in card.memory_gib}
    modules = _MODULES.fullmatch(phrase.free.get(at, ""))
    if modules and float(modules[1]) in sold and not around.has_processor:
        label = cards[0].label
        raise bad_name("modules", phrase.text, word=modules[0], card=label)
    gib = phrase.memory_gib(at)
    if gib not in sold:
        return _CardSize(memory_gib=None)
    if around.has_processor and not phrase.is_of_gpus:
        others = [phrase.memory_gib(place) for place in phrase.free if place != at]
        if not any(others):
            return _CardSize(memory_gib=None)
    return _CardSize(memory_gib=gib, places=(at,))


def choose_cards(
    phrase: Phrase, cards: Sequence[NamedCards], *, has_no_gpu: bool
) -> Sequence[NamedCards]:
    """The cards without what is in the processor beside them. Raises `UnknownGpuError` for a name
    of a card that is not known, and `UnknownMachineError` for one or another.
    """
    words = vocabulary()
    for at, word in phrase.free.items():
        number = phrase.free.get(at + 1, "")
        line = spelled(word).split()
        is_line = bool(line) and line[0] in words.cards
        if is_line and re.fullmatch(words.shape.card, number, re.ASCII):
            named_card([word, number])
    discrete = [named for named in cards if not named.is_unified]
    cards = discrete or cards
    names = [named.label for named in cards]
    is_either = not words.either.isdisjoint(phrase.words)
    if has_no_gpu:
        names.append("no GPU")
        is_either = True
    if len(names) > 1 and is_either:
        listed = " or ".join(names)
        raise bad_name("two_gpus", phrase.text, names, names=listed, first=names[0])
    return cards
