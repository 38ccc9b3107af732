"""The GPUs that a name means: `2x 3090`, `geforce rtx 4060 ti 16 gb`.

What goes in: the words of a name, and the size and count beside it. What comes out: `NamedCards`,
with the usual form of the GPU if the name can mean several, and a note about the choice. The GPUs
that are sold are the rows of specs/common/gpus.toml (`every_card`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from operator import attrgetter

from ..core import units
from ..core.records import Record
from ..core.units import all_near, words_of
from . import cpus
from .gpus import (
    GpuRow,
    PeakRate,
    driver_memory_bytes,
    every_card,
    peak_rate_of,
    source_called,
    vendor_of,
    why_unserved,
)
from .quantities import quantity_in
from .record import Accelerator
from .words import bad_name, spelled, spelled_out, vocabulary

MOST_CARDS = 64
# the most names that a refusal offers as the meaning
_MOST_NEAR_NAMES = 8


class NamedCards(Record):
    """The GPUs that somebody named.

    `label` is a short name for all of them, `2x RTX 3090`. `notes` has a sentence for each name
    that can mean several GPUs. `source` says where memory and bandwidth are from.
    """

    accelerators: tuple[Accelerator, ...]
    label: str
    notes: tuple[str, ...] = ()
    source: str = ""

    @property
    def is_unified(self) -> bool:
        """Whether each of the GPUs is in a processor, whose RAM it uses."""
        return all(card.unified for card in self.accelerators)


@cache
def _cards_by_word() -> Mapping[str, Sequence[GpuRow]]:
    """The cards whose names have a word, by that word. Nicknames count as names."""
    cards: dict[str, list[GpuRow]] = {}
    for card in every_card():
        for word in card.named.union(*card.nicknames):
            cards.setdefault(word, []).append(card)
    return cards


def joined(named: Iterable[NamedCards]) -> NamedCards:
    """Return the GPUs of several names together."""
    accelerators: list[Accelerator] = []
    labels = []
    notes: list[str] = []
    sources = []
    for cards in named:
        accelerators += cards.accelerators
        labels.append(cards.label)
        notes += cards.notes
        sources.append(cards.source)
    return NamedCards(
        accelerators=tuple(accelerators),
        label=" + ".join(labels),
        notes=tuple(notes),
        source="; ".join(sources),
    )


def equal_cards_meant(
    several: Sequence[GpuRow],
    typed: str,
    memory_gib: float | None,
    count: int,
) -> NamedCards:
    """Return `count` copies of one GPU out of `several`, the GPUs that the text `typed` can mean.

    `memory_gib` is the memory of each; None for the usual size. Raises `UnknownGpuError` or
    `PartOfMachineError`.
    """
    if all(card.unified for card in several):
        cards = _inside_processor(several)
    else:
        cards = _choose_size(several, typed, memory_gib)
    if count == 1:
        return cards
    accelerators = cards.accelerators * count
    return cards.replace(accelerators=accelerators, label=f"{count}x {cards.label}")


def _inside_processor(several: Sequence[GpuRow]) -> NamedCards:
    """The first of the GPUs that sits inside a processor. Raises `PartOfMachineError` where none
    does.
    """
    for card in several:
        if not card.integrated:
            continue
        gpu = Accelerator(vendor=vendor_of(card.name), name=card.name, unified=True)
        return NamedCards(
            accelerators=(gpu,),
            label=card.label,
            source=f"{card.label}: part of a processor, so its memory is the RAM",
        )
    label = several[0].label
    if cpus.chip_of(words_of(label)) is None:
        raise bad_name("gpu_inside", label)
    # the chip's name is one of a machine
    raise bad_name("gpu_of_machine", label)


class _SizedCard(Record):
    """A GPU with one of the memory sizes that it is sold with, and the peak bandwidth of that
    memory.
    """

    card: GpuRow
    memory_gib: float
    peak: PeakRate

    @property
    def memory(self) -> tuple[float, float]:
        """The memory size and the peak bandwidth, by which two forms of one name differ."""
        return self.memory_gib, self.peak.gb_per_s

    @property
    def order(self) -> tuple[bool, float, bool, float]:
        """The sort key of the card: first cards with their usual memory, then the smallest, of
        these the usual form, then the slowest.
        """
        is_unusual = self.card.usual_gib not in (None, self.memory_gib)
        is_other_form = not self.card.usual_form
        return is_unusual, self.memory_gib, is_other_form, self.peak.gb_per_s

    @property
    def bytes_per_second(self) -> int:
        """The peak bandwidth of the memory."""
        return round(self.peak.gb_per_s * units.GB)

    def is_form_of(self, other: _SizedCard) -> bool:
        """Whether it is another form of the same GPU: as large, and not as fast."""
        if self.memory_gib != other.memory_gib:
            return False
        return self.peak.gb_per_s != other.peak.gb_per_s

    @property
    def label(self) -> str:
        """The name of the GPU with that memory."""
        return self.card.label_with(self.memory_gib)


def _sized(several: Iterable[GpuRow], memory_gib: float | None) -> list[_SizedCard]:
    """List each GPU once for each memory size that it is sold with, sorted by `order`.

    With `memory_gib` only the sizes stay that match, either on one device of the card or on all of
    them together.
    """
    sized = []
    for card in several:
        for size in card.memory_gib:
            if memory_gib not in (None, size, size * card.devices):
                continue
            peak = peak_rate_of(card.name, size)
            if peak is not None:
                sized.append(_SizedCard(card=card, memory_gib=size, peak=peak))
    return sorted(sized, key=attrgetter("order"))


def _choose_size(
    several: Sequence[GpuRow],
    typed: str,
    memory_gib: float | None,
) -> NamedCards:
    """The cards that a name means, in their usual size or else the smallest, and in their usual
    form or else the slowest. A note tells what else the name can mean.
    """
    options = _sized(several, memory_gib)
    if not options:
        raise not_sold_so(several, memory_gib or 0)
    chosen = options[0]
    card = chosen.card
    label = chosen.label
    if len(card.memory_gib) == 1:
        label = card.label
    accelerator = Accelerator(
        vendor=vendor_of(card.name),
        name=card.name,
        memory_total_bytes=driver_memory_bytes(card.name, chosen.memory_gib),
        unified=False,
        memory_bandwidth_bytes_per_second=chosen.bytes_per_second,
        bandwidths_of_other_forms=_bandwidths_of_other_forms(chosen, options),
    )
    return NamedCards(
        accelerators=(accelerator,) * card.devices,
        label=label,
        notes=_other_readings(chosen, options, typed),
        source=f"{label}: bandwidth from {source_called(chosen.peak.source)}",
    )


def _bandwidths_of_other_forms(
    chosen: _SizedCard, options: Sequence[_SizedCard]
) -> tuple[int, ...]:
    """The peak bandwidths of the options that differ from the chosen GPU by their form alone, the
    slowest first.
    """
    rates = set()
    for option in options:
        if option.is_form_of(chosen):
            rates.add(option.bytes_per_second)
    return tuple(sorted(rates))


def _other_readings(
    chosen: _SizedCard,
    options: Sequence[_SizedCard],
    typed: str,
) -> tuple[str, ...]:
    """A note of what else the name can mean, in the order of size. Empty where the name means one
    GPU.
    """
    others: dict[str, None] = {}
    for option in options:
        if option.memory != chosen.memory:
            others[f'"{option.label}"'] = None
    if not others:
        return ()
    names = " or ".join(others)
    which = _which_of(options, chosen)
    judged = f'"{typed}" is judged as {chosen.label}, {which}'
    return (f"{judged}; otherwise name {names}.",)


def _which_of(options: Sequence[_SizedCard], chosen: _SizedCard) -> str:
    """The words that say which of the GPUs was chosen."""
    if chosen.card.usual_gib:
        return "the usual one"
    is_usual_form = chosen.card.usual_form
    if is_usual_form and _bandwidths_of_other_forms(chosen, options):
        return "the usual form"
    if any(option.memory_gib > chosen.memory_gib for option in options):
        return "the smallest"
    return "the slowest"


@lru_cache(maxsize=4096)
def matches(name: str, *, laptop: bool = False) -> Sequence[GpuRow]:
    """Return the cards that a name means, in full or in a short form such as `3070s`. The name must
    have the words that tell a card from others: `h200` does not mean `h200 nvl`.

    With `laptop`, the laptop form of a card counts, if there is one.
    """
    if laptop:
        several = matches(f"{name} laptop")
        if several:
            return several
    same = vocabulary().same
    text = spelled(name).lower()
    for spelling in spelled_out(text):
        words = frozenset(same.get(word, word) for word in words_of(spelling))
        typed = words - vocabulary().gpu_idle
        # the word with the fewest cards is the quickest to search
        cards_by_word = _cards_by_word()
        with_a_word = [cards_by_word.get(word, ()) for word in typed]
        fewest = min(with_a_word, key=len, default=())
        meant = [card for card in fewest if card.can_be(typed)]
        if meant:
            return _most_told(meant, typed)
    return ()


def _most_told(meant: Sequence[GpuRow], typed: frozenset[str]) -> Sequence[GpuRow]:
    """Keep the cards whose distinctive words are all in `typed`, and of these the cards with the
    most such words.

    All cards stay where none has all its distinctive words in `typed`.
    """
    told = [card for card in meant if card.telling <= typed]
    if not told:
        return meant
    most = max(len(card.telling) for card in told)
    return [card for card in told if len(card.telling) == most]


def unknown_gpu(name: Sequence[str]) -> Exception:
    """The error for words that are no GPU's name, with names that are spelled alike."""
    text = " ".join(name)
    of_apple = frozenset(("apple", *name))
    chip = cpus.chip_of(of_apple)
    if chip is not None and of_apple == words_of(chip.name):
        return bad_name("gpu_of_machine", chip.name)
    clause = why_unserved(text)
    if clause is not None:
        return bad_name("unserved_gpu", text, clause=clause)
    return bad_name("gpu", text, _names_near(spelled(text)))


def _names_near(text: str) -> list[str]:
    """The labels of the cards that have all these words, else of cards that are spelled alike."""
    words = set()
    for word in text.lower().split():
        if quantity_in(word) is None:
            words.add(word)
    labels = []
    near: dict[str, None] = {}
    for card in every_card():
        if card.unified:
            continue
        labels.append(card.label)
        if words <= card.named:
            near[card.label] = None
    if 0 < len(near) <= _MOST_NEAR_NAMES:
        return list(near)
    return all_near(text, labels)


def sizes_of(several: Iterable[GpuRow]) -> list[float]:
    """The sizes in GiB that the cards are sold with, the least first. GPUs inside a processor have
    none.
    """
    sizes: set[float] = set()
    for card in several:
        sizes.update(card.memory_gib)
    return sorted(sizes)


def not_sold_so(
    several: Sequence[GpuRow],
    memory_gib: float,
    *,
    may_be_ram: bool = False,
) -> Exception:
    """The error for a size that none of the cards is sold with. `may_be_ram`: the size may be the
    RAM of the computer.
    """
    sold = [f"{size:g}" for size in sizes_of(several)]
    first = several[0]
    near = map(first.label_with, first.memory_gib)
    # "H100" of "H100 PCIe" and "H100 NVL", each of which has sizes of its own
    shared = first.label.split()
    for row in several:
        words = row.label.split()
        shared = [word for word in shared if word in words]
    return bad_name(
        "gpu_size",
        " ".join(shared) or first.label,
        near,
        gib=f"{memory_gib:g}",
        sold=sold,
        ram=may_be_ram,
    )
