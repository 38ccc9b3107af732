"""The GPUs that a description names, each with the count and the memory beside its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.records import Record
from . import cpus
from .cards import (
    NamedCards,
    equal_cards_meant,
    matches,
    not_sold_so,
    unknown_gpu,
)
from .gpus import GpuRow
from .phrases import Phrase, WordRun
from .processors import two_readings
from .words import (
    BREAK,
    MODULES,
    SIZE,
    bad_name,
    fits,
    has_digit,
    is_size,
    spelled,
    vocabulary,
)

# sizes of RAM are multiples of this, except the smallest
_STEP_OF_RAM_GIB = 4
_MOST_ODD_RAM_GIB = 6


class Around(Record):
    """The facts about the machine around GPUs that help to read their names.

    `line`: words that people leave unsaid before the numbers of the machine's GPUs. `has_chip`: the
    machine has an Apple chip.
    """

    line: str = ""
    has_processor: bool = False
    has_chip: bool = False
    is_laptop: bool = False


_UNKNOWN_MACHINE = Around()


class _Mention(Record):
    """The name of a GPU in a text.

    - `run`: the words of the name; `typed` is the name without fillers and sizes.
    - `size_gib`: the first size in the name; None where there is none.
    - `meant`: the GPUs that the name can mean, at least one.
    """

    phrase: Phrase
    around: Around
    run: WordRun
    typed: str
    size_gib: float | None
    meant: Sequence[GpuRow]

    @property
    def first(self) -> GpuRow:
        """The first of the GPUs that the name can mean."""
        return self.meant[0]

    @property
    def is_unified(self) -> bool:
        """Whether all GPUs that the name can mean share the RAM of their machine."""
        return all(card.unified for card in self.meant)

    def is_sold_with(self, gib: float | None) -> bool:
        """Whether one of the GPUs has that memory."""
        return any(gib in card.memory_gib for card in self.meant)

    def has_size(self, gib: float) -> bool:
        """Whether a GPU that the mention may mean is sold with `gib` of memory, or has that size in
        its name.
        """
        if self.is_sold_with(gib):
            return True
        word = f"{gib:g}gb"
        return any(word in card.named for card in self.meant)

    def is_processor(self, *, has_cards: bool) -> bool:
        """Whether the name is the bare number of a processor: `5600` of `3060 5600`. `has_cards`: a
        GPU was found before.

        Raises `UnknownMachineError` where the number can be a processor's or a GPU's.
        """
        number = self.run.name
        if not number.isdecimal() or self.phrase.is_of_gpus:
            return False
        if self.around.has_processor or self.around.has_chip:
            return False
        processors = cpus.names_of_number(number, beside_gpu=True)
        if not processors:
            return False
        if has_cards and len(processors) == 1:
            return True
        readings = [*processors, self.first.label.lower()]
        raise two_readings(self.phrase, number, readings)

    def claimed(self) -> NamedCards | None:
        """Claim the name with the size and the count beside it, and return the GPUs that it means;
        None for the name of the GPU inside the named processor.
        """
        self.phrase.claim(*self.run.places)
        if self.is_unified:
            if self.around.has_processor and not self.first.integrated:
                return None
            return equal_cards_meant(self.meant, self.typed, None, 1)
        # as in `rtx 6000 pro max-q 96gb`, where `q` is not the end of a name
        run = self.phrase.with_fillers(self.run)
        memory_gib = self._size(run.end)
        count = self.phrase.claim_count(run)
        return equal_cards_meant(self.meant, self.typed, memory_gib, count)

    def _of_one(self, gib: float) -> float:
        """The memory of one card in GiB, where `gib` is that of all of them: 24 of `2x 3090 48gb
        vram`. Any other size is returned as it is.
        """
        run = self.phrase.with_fillers(self.run)
        one_gib = gib / (self.phrase.copy().claim_count(run) or 1)
        return one_gib if self.is_sold_with(one_gib) else gib

    def _size(self, end: int) -> float | None:
        """The size in the name in GiB, else the size behind the place `end`, else the size before
        the name, which is claimed. None where no size is the card's own.

        Raises `UnknownGpuError` for a size that can only be the card's, where the card is not sold
        with it.
        """
        if self.is_sold_with(self.size_gib):
            return self.size_gib
        phrase = self.phrase
        at = end
        if phrase.word(at) in (BREAK, "vram", "with"):
            at += 1
        gib = phrase.memory_gib(at)
        if not gib:
            return self._size_before()
        word = phrase.word(at)
        # `gbram` is the RAM's size, unless another size follows
        is_of_ram = word.endswith("bram")
        if is_of_ram and not is_size(phrase.word(at + 1)):
            return None
        if self.is_sold_with(gib):
            phrase.claim(at)
            return gib
        if word.endswith("vram"):
            gib = self._of_one(gib)
            phrase.claim(at)
            return gib
        first = self.first
        if f"{gib:g}gb" in first.named - first.word_set:
            # the size belongs to the name of the card and is not its memory
            phrase.claim(at)
            return None
        is_bare = at == end and word.endswith("b")
        if phrase.is_of_gpus or (is_bare and _is_no_ram(phrase, gib)):
            # `2x 2080 ti 22gb` are two changed cards rather than 22 GB in all
            raise not_sold_so(self.meant, gib)
        return None

    def _size_before(self) -> float | None:
        """Claim the card's size before its name, where another size is the RAM's.

        Raises `UnknownMachineError` for `2x16gb v100`, which can be modules of RAM.
        """
        phrase = self.phrase
        at = self.run.start - 1
        if not self.around.has_processor:
            word = phrase.free_word(at)
            modules = MODULES.fullmatch(word)
            if modules is not None and self.is_sold_with(float(modules[2])):
                raise bad_name("modules", phrase.text, word=word, card=self.first.label)
        elif not any(phrase.memory_gib(place) for place in phrase.free if place != at):
            return None
        gib = phrase.memory_gib(at)
        if not self.is_sold_with(gib):
            return None
        phrase.claim(at)
        return gib


def find_cards(phrase: Phrase, around: Around = _UNKNOWN_MACHINE) -> list[NamedCards]:
    """Claim all GPUs that the free words name, by the longest names, and return them in the order
    of the text. Raises `UnknownGpuError`.
    """
    cards_at: dict[int, NamedCards] = {}
    for run in phrase.runs():
        mention = _mention(phrase, run, around)
        if mention is None:
            continue
        if mention.is_processor(has_cards=bool(cards_at)):
            continue
        cards = mention.claimed()
        if cards is None:
            continue
        # a GPU inside the processor is counted once
        if not cards.is_unified or cards not in cards_at.values():
            cards_at[run.start] = cards
    return [cards_at[place] for place in sorted(cards_at)]


def _mention(
    phrase: Phrase,
    run: WordRun,
    around: Around,
) -> _Mention | None:
    """The mention of a GPU that a run of words makes; None where the run names no GPU."""
    if "and" in run.words:
        return None
    if not phrase.is_of_gpus and not _has_form_of_name(run.words):
        return None
    fillers = vocabulary().idle - vocabulary().forms
    sizes = []
    words = []
    for word in run.words:
        if size := SIZE.fullmatch(word):
            sizes.append(float(size[1]))
        elif word not in fillers:
            words.append(word)
    typed = " ".join(words)
    with_line = f"{around.line} {typed}".strip()
    if matches(with_line):
        typed = with_line
    meant = matches(typed, laptop=around.is_laptop)
    if not meant:
        return None
    mention = _Mention(
        phrase=phrase,
        around=around,
        run=run,
        typed=typed,
        size_gib=sizes[0] if sizes else None,
        meant=meant,
    )
    if not all(map(mention.has_size, sizes)):
        return None
    return mention


def _has_form_of_name(run: Sequence[str]) -> bool:
    """Whether words have the form of a GPU's name: no filler or size at an end, and a number."""
    words = vocabulary()
    if tuple(run) in words.gpus_inside:
        return True
    # words for the form of a GPU are not ignored
    idle = (words.idle - words.forms) | words.gpu_idle
    ends = {run[0], run[-1]}
    if not idle.isdisjoint(ends):
        return False
    if any(map(is_size, ends)):
        return False
    if re.fullmatch(r"\d\d?", run[0]):
        return False
    for word in set(run) - idle - words.left_out:
        if has_digit(word) and not is_size(word):
            return True
    if len(run) == 1:
        return False
    return not words.numberless.isdisjoint(run)


def _is_no_ram(phrase: Phrase, gib: float) -> bool:
    """Whether a size cannot be the RAM's: no RAM has that size, another size is called RAM, or the
    text says that the card was changed.
    """
    is_odd = gib % _STEP_OF_RAM_GIB != 0
    if is_odd and gib > _MOST_ODD_RAM_GIB:
        return True
    for word in phrase.words:
        if word.endswith("bram"):
            return True
    return phrase.says(vocabulary().changed)


def choose_cards(
    phrase: Phrase,
    cards: Sequence[NamedCards],
    *,
    has_no_gpu: bool,
) -> Sequence[NamedCards]:
    """Return the cards; the GPU in the processor is left out where there are others.

    Raises `UnknownGpuError` for the name of an unknown card, and `UnknownMachineError` for a choice
    between several.
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
        raise bad_name("two_gpus", phrase.text, names, first=names[0])
    return chosen


def _refuse_unknown_card(phrase: Phrase) -> None:
    """Raise `UnknownGpuError` where the name of a line of cards and a number are left: `rtx
    4123`.
    """
    words = vocabulary()
    for at, word in phrase.free.items():
        number = phrase.free_word(at + 1)
        if not fits(words.shape.card, number):
            continue
        line = spelled(word).split()[:1]
        if words.cards.isdisjoint(line):
            continue
        if not matches(f"{word} {number}"):
            raise unknown_gpu((word, number))
