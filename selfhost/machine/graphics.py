"""The GPUs that a description names, each with the count and the memory beside its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..core.records import Record
from . import cpus
from .cards import Card, NamedCards, matches, named_card, not_sold_so
from .phrases import Phrase, Run
from .processors import two_readings
from .words import BREAK, SIZE, bad_name, spelled, vocabulary

_MODULES = re.compile(r"\d{1,2}x(\d+)gb", re.ASCII)
# sizes of RAM are multiples of this, but for the smallest
_STEP_OF_RAM_GIB = 4
_MOST_ODD_RAM_GIB = 6


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

    def is_sold_with(self, gib: float | None) -> bool:
        """Whether one of the GPUs has that memory."""
        return any(gib in card.memory_gib for card in self.meant)

    @property
    def is_unified(self) -> bool:
        """Whether all of them share the RAM of their machine."""
        return all(card.unified for card in self.meant)


class _CardSize(Record):
    """A size beside the name of a card; None where it is none of the card's own."""

    memory_gib: float | None = None
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
        if cards is not None and not _is_named_twice(cards, cards_at.values()):
            cards_at[run.start] = cards
        claimed = claimed.union(places)
        phrase = phrase.without(places)
    in_order = [cards_at[place] for place in sorted(cards_at)]
    return FoundCards(cards=in_order, places=claimed)


def _is_named_twice(cards: NamedCards, named: Iterable[NamedCards]) -> bool:
    """Whether this is the GPU in a processor, and was named before."""
    return cards.is_unified and cards.label in [known.label for known in named]


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
    is_alone = len(run.words) == 1 and not phrase.is_of_gpus
    if is_alone and _is_processors(phrase, run, meant, around, has_cards=has_cards):
        return None
    with_line = (*around.line, *words)
    if around.line and matches(with_line):
        words = list(with_line)
        meant = matches(with_line, laptop=around.is_laptop)
    size_gib = sizes[0] if sizes else None
    return _CardName(run=run, words=words, size_gib=size_gib, meant=meant)


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
    for end in (run[0], run[-1]):
        if end in idle or SIZE.fullmatch(end):
            return False
    if re.fullmatch(r"\d\d?", run[0]):
        return False
    silent = idle | words.left_out
    for word in run:
        if word in silent or SIZE.fullmatch(word):
            continue
        if any(map(str.isdecimal, word)):
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
    """Whether a word is a processor's bare number, as it is behind a GPU. Raises
    `UnknownMachineError` where it can be either.
    """
    if not run.name.isdecimal() or around.has_processor or around.has_chip:
        return False
    processors = cpus.names_of_number(run.name, beside_gpu=True)
    if len(processors) > 1 or (processors and not has_cards):
        readings = [*processors, cards[0].label.lower()]
        raise two_readings(phrase, run.name, readings)
    return bool(processors)


def _cards_of(
    phrase: Phrase, name: _CardName, around: _Around
) -> tuple[NamedCards | None, frozenset[int]]:
    """The GPUs of a name with the size and count beside it, and the places of all these words.
    None for a GPU that is in the processor that was named.
    """
    places = frozenset(name.run.places)
    phrase = phrase.without(places)
    if name.is_unified:
        if around.has_processor and not name.meant[0].integrated:
            return None, places
        return named_card(name.words, laptop=around.is_laptop), places
    # `rtx 6000 pro max-q 96gb`, where `q` is no end of a name
    end = phrase.with_fillers(name.run).end
    run = Run(name.run.start, end, name.run.words)
    size_gib = name.size_gib
    if not name.is_sold_with(size_gib):
        size = _size_behind(phrase, end, name)
        if size is None:
            size = _size_before(phrase, name, around)
        size_gib = size.memory_gib
        places = places.union(size.places)
        phrase = phrase.without(size.places)
    count = phrase.count_beside(run)
    cards = named_card(name.words, size_gib, count.number, laptop=around.is_laptop)
    return cards, places.union(count.places)


def _size_behind(phrase: Phrase, end: int, name: _CardName) -> _CardSize | None:
    """The size behind a card's name, which ends there; None where none stands there. Raises
    `UnknownGpuError` where it can only be the card's, which is not sold with it.
    """
    at = end
    if phrase.word(at) in (BREAK, "vram", "with"):
        at += 1
    gib = phrase.memory_gib(at)
    if not gib:
        return None
    kind = phrase.word(at).partition("b")[2]
    if kind == "ram" and not SIZE.fullmatch(phrase.word(at + 1)):
        return _CardSize()
    if kind == "vram" or name.is_sold_with(gib):
        return _CardSize(memory_gib=gib, places=(at,))
    first = name.meant[0]
    if f"{gib:g}gb" in first.named - first.words:
        return _CardSize(places=(at,))
    is_of_card = not kind and at == end and _is_no_ram(phrase, gib)
    if phrase.is_of_gpus or is_of_card:
        raise not_sold_so(name.meant, gib)
    return _CardSize()


def _is_no_ram(phrase: Phrase, gib: float) -> bool:
    """Whether a size is none of RAM, or another is said to be it, or of a card that was changed."""
    if gib % _STEP_OF_RAM_GIB != 0 and gib > _MOST_ODD_RAM_GIB:
        return True
    if any(word.endswith("bram") for word in phrase.words):
        return True
    return not vocabulary().changed.isdisjoint(phrase.words)


def _size_before(phrase: Phrase, name: _CardName, around: _Around) -> _CardSize:
    """The card's size before its name, where another is the RAM's. Raises `UnknownMachineError` for
    `2x16gb v100`, which can be modules of RAM.
    """
    at = name.run.start - 1
    modules = _MODULES.fullmatch(phrase.free_word(at))
    if modules and not around.has_processor and name.is_sold_with(float(modules[1])):
        label = name.meant[0].label
        raise bad_name("modules", phrase.text, word=modules[0], card=label)
    gib = phrase.memory_gib(at)
    if not name.is_sold_with(gib):
        return _CardSize()
    if around.has_processor and not phrase.is_of_gpus:
        others = [phrase.memory_gib(place) for place in phrase.free if place != at]
        if not any(others):
            return _CardSize()
    return _CardSize(memory_gib=gib, places=(at,))


def choose_cards(
    phrase: Phrase, cards: Sequence[NamedCards], *, has_no_gpu: bool
) -> Sequence[NamedCards]:
    """The cards without what is in the processor beside them. Raises `UnknownGpuError` for a name
    of a card that is not known, and `UnknownMachineError` for one or another.
    """
    _refuse_unknown_card(phrase)
    discrete = [named for named in cards if not named.is_unified]
    cards = discrete or cards
    names = [named.label for named in cards]
    is_either = not vocabulary().either.isdisjoint(phrase.words)
    if has_no_gpu:
        names.append("no GPU")
        is_either = True
    if len(names) > 1 and is_either:
        listed = " or ".join(names)
        raise bad_name("two_gpus", phrase.text, names, names=listed, first=names[0])
    return cards


def _refuse_unknown_card(phrase: Phrase) -> None:
    """Raise `UnknownGpuError` where a line of cards and a number are left: `rtx 4123`."""
    words = vocabulary()
    for at, word in phrase.free.items():
        line = spelled(word).split()[:1]
        number = phrase.free_word(at + 1)
        is_number = re.fullmatch(words.shape.card, number, re.ASCII) is not None
        if is_number and not words.cards.isdisjoint(line):
            named_card([word, number])
