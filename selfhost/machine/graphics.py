"""The GPUs that a description names, each with the count and the memory beside its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.records import Record
from . import cpus
from .cards import Card, NamedCards, matches, named_card, not_sold_so
from .phrases import Phrase, Run
from .processors import two_readings
from .words import (
    BREAK,
    SIZE,
    bad_name,
    fits,
    has_digit,
    is_size,
    spelled,
    vocabulary,
)

_MODULES = re.compile(r"\d{1,2}x(\d+)gb", re.ASCII)
# sizes of RAM are multiples of this, but for the smallest
_STEP_OF_RAM_GIB = 4
_MOST_ODD_RAM_GIB = 6


class FoundCards(Record):
    """GPUs in the order of their names, and the places of the words that name them."""

    cards: Sequence[NamedCards]
    places: frozenset[int]


class Around(Record):
    """What is known of the machine around GPUs. `line`: words that people leave unsaid before the
    numbers of its GPUs; `has_chip`: it has a chip of Apple's.
    """

    line: str = ""
    has_processor: bool = False
    has_chip: bool = False
    is_laptop: bool = False

    def meant_by(self, words: Sequence[str]) -> Sequence[Card]:
        """The GPUs that these words can mean in such a machine."""
        return matches(tuple(words), laptop=self.is_laptop)

    def cards_called(
        self, name: _CardName, gib: float | None = None, count: int = 1
    ) -> NamedCards:
        """So many of the GPUs of that name with that memory (None: the usual one)."""
        return named_card(name.words, gib, count, laptop=self.is_laptop)


_UNKNOWN_MACHINE = Around()


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

    def has_size(self, gib: float) -> bool:
        """Whether one of the GPUs is sold with that memory, or has it in its name."""
        word = f"{gib:g}gb"
        return self.is_sold_with(gib) or any(word in card.named for card in self.meant)

    @property
    def is_unified(self) -> bool:
        """Whether all of them share the RAM of their machine."""
        return all(card.unified for card in self.meant)


class _CardSize(Record):
    """A size beside the name of a card; None where it is none of the card's own."""

    memory_gib: float | None = None
    places: Sequence[int] = ()


def find_cards(phrase: Phrase, around: Around = _UNKNOWN_MACHINE) -> FoundCards:
    """All GPUs that the free words name, by the longest names. Raises `UnknownGpuError`."""
    cards_at: dict[int, NamedCards] = {}
    inside: set[str] = set()
    claimed: frozenset[int] = frozenset()
    for run in phrase.runs():
        if not phrase.is_free(run):
            continue
        name = _card_name(phrase, run, around)
        if name is None:
            continue
        if _is_processors(phrase, name, around, has_cards=bool(cards_at)):
            continue
        name = _with_line(name, around)
        cards, places = _cards_of(phrase, name, around)
        # the GPU in a processor counts once
        if cards is not None and cards.label not in inside:
            cards_at[run.start] = cards
            if cards.is_unified:
                inside.add(cards.label)
        claimed = claimed.union(places)
        phrase = phrase.without(places)
    in_order = [cards_at[place] for place in sorted(cards_at)]
    return FoundCards(cards=in_order, places=claimed)


def _card_name(phrase: Phrase, run: Run, around: Around) -> _CardName | None:
    """What GPU a run names; None where it names none."""
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
    name = _CardName(
        run=run,
        words=words,
        size_gib=sizes[0] if sizes else None,
        meant=around.meant_by(words),
    )
    return name if name.meant and all(map(name.has_size, sizes)) else None


def _with_line(name: _CardName, around: Around) -> _CardName:
    """The name with the words that are left unsaid in such a machine, where it is one with them."""
    words = (*around.line.split(), *name.words)
    if not around.line or not matches(words):
        return name
    return name.replace(words=words, meant=around.meant_by(words))


def _has_form_of_name(run: Sequence[str]) -> bool:
    """Whether words have the form of a GPU's name: no filler or size at an end, and a number."""
    words = vocabulary()
    if tuple(run) in words.gpus_inside:
        return True
    # the form of a GPU is no filler
    idle = (words.idle - words.forms) | words.gpu_idle
    for end in (run[0], run[-1]):
        if end in idle or is_size(end):
            return False
    if re.fullmatch(r"\d\d?", run[0]):
        return False
    silent = idle | words.left_out
    for word in run:
        if has_digit(word) and word not in silent and not is_size(word):
            return True
    return len(run) > 1 and not words.numberless.isdisjoint(run)


def _is_processors(
    phrase: Phrase, name: _CardName, around: Around, *, has_cards: bool
) -> bool:
    """Whether a word is a processor's bare number, as it is behind a GPU (`has_cards`: one was
    named already). Raises `UnknownMachineError` where it can be either.
    """
    if phrase.is_of_gpus or around.has_processor or around.has_chip:
        return False
    word = name.run.name
    if not word.isdecimal():
        return False
    processors = cpus.names_of_number(word, beside_gpu=True)
    if not processors:
        return False
    if len(processors) > 1 or not has_cards:
        readings = [*processors, name.meant[0].label.lower()]
        raise two_readings(phrase, word, readings)
    return True


def _cards_of(
    phrase: Phrase, name: _CardName, around: Around
) -> tuple[NamedCards | None, frozenset[int]]:
    """The GPUs of a name with the size and count beside it, and the places of all these words.
    None for a GPU that is in the processor that was named.
    """
    places = frozenset(name.run.places)
    phrase = phrase.without(places)
    if name.is_unified:
        if around.has_processor and not name.meant[0].integrated:
            return None, places
        return around.cards_called(name), places
    # `rtx 6000 pro max-q 96gb`, where `q` is no end of a name
    end = phrase.with_fillers(name.run).end
    size = _CardSize(memory_gib=name.size_gib)
    if not name.is_sold_with(name.size_gib):
        size = _size_beside(phrase, end, name, around)
        places = places.union(size.places)
        phrase = phrase.after(size)
    count = phrase.count_beside(Run(name.run.start, end, name.run.words))
    cards = around.cards_called(name, size.memory_gib, count.number)
    return cards, places.union(count.places)


def _size_beside(
    phrase: Phrase, end: int, name: _CardName, around: Around
) -> _CardSize:
    """The size behind a card's name, which ends there, else the one before it. Raises
    `UnknownGpuError` where it can only be the card's, which is not sold with it.
    """
    at = end
    if phrase.word(at) in (BREAK, "vram", "with"):
        at += 1
    gib = phrase.memory_gib(at)
    if not gib:
        return _size_before(phrase, name, around)
    kind = phrase.word(at).partition("b")[2]
    if kind == "ram" and not is_size(phrase.word(at + 1)):
        return _CardSize()
    if kind == "vram" or name.is_sold_with(gib):
        return _CardSize(memory_gib=gib, places=(at,))
    first = name.meant[0]
    if f"{gib:g}gb" in first.named - first.words:
        return _CardSize(places=(at,))
    is_beside = at == end and not kind
    if phrase.is_of_gpus or (is_beside and _is_no_ram(phrase, gib)):
        raise not_sold_so(name.meant, gib)
    return _CardSize()


def _is_no_ram(phrase: Phrase, gib: float) -> bool:
    """Whether a size is none of RAM, or another is said to be it, or of a card that was changed."""
    if gib > _MOST_ODD_RAM_GIB and gib % _STEP_OF_RAM_GIB != 0:
        return True
    if any(word.endswith("bram") for word in phrase.words):
        return True
    return phrase.says(vocabulary().changed)


def _size_before(phrase: Phrase, name: _CardName, around: Around) -> _CardSize:
    """The card's size before its name, where another is the RAM's. Raises `UnknownMachineError` for
    `2x16gb v100`, which can be modules of RAM.
    """
    at = name.run.start - 1
    if not around.has_processor:
        _refuse_modules(phrase, phrase.free_word(at), name)
    gib = phrase.memory_gib(at)
    if not name.is_sold_with(gib):
        return _CardSize()
    if around.has_processor and not phrase.is_of_gpus:
        others = phrase.without((at,))
        if not any(map(others.memory_gib, others.free)):
            return _CardSize()
    return _CardSize(memory_gib=gib, places=(at,))


def _refuse_modules(phrase: Phrase, word: str, name: _CardName) -> None:
    """Refuse modules of RAM of a size that the card behind them is sold with."""
    modules = _MODULES.fullmatch(word)
    if modules is not None and name.is_sold_with(float(modules[1])):
        label = name.meant[0].label
        raise bad_name("modules", phrase.text, word=word, card=label)


def choose_cards(
    phrase: Phrase, cards: Sequence[NamedCards], *, has_no_gpu: bool
) -> Sequence[NamedCards]:
    """The cards without what is in the processor beside them. Raises `UnknownGpuError` for a name
    of a card that is not known, and `UnknownMachineError` for one or another.
    """
    _refuse_unknown_card(phrase)
    discrete = [named for named in cards if not named.is_unified]
    chosen = discrete or cards
    names = [named.label for named in chosen]
    is_either = phrase.says(vocabulary().either)
    if has_no_gpu:
        names.append("no GPU")
        is_either = True
    if is_either and len(names) > 1:
        listed = " or ".join(names)
        raise bad_name("two_gpus", phrase.text, names, names=listed, first=names[0])
    return chosen


def _refuse_unknown_card(phrase: Phrase) -> None:
    """Raise `UnknownGpuError` where a line of cards and a number are left: `rtx 4123`."""
    words = vocabulary()
    for at, word in phrase.free.items():
        line = spelled(word).split()[:1]
        number = phrase.free_word(at + 1)
        if fits(words.shape.card, number) and not words.cards.isdisjoint(line):
            named_card([word, number])
