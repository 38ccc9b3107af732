"""The GPUs that a description names, each with the count and the memory beside its name.

What goes in: the names of GPUs in a `Phrase`. What comes out: `NamedCards`. A size beside the name
of a GPU belongs to the GPU where the GPU is sold with it; else it is the RAM's.
"""

from __future__ import annotations

from collections.abc import Sequence

from .cards import NamedCards, equal_cards_meant, matches, not_sold_so, unknown_gpu
from .gazetteer import NamedGpu
from .gpus import GpuRow
from .memory import may_be_ram
from .phrases import Phrase, WordRun
from .quantities import quantity_in
from .words import BREAK, fits, spelled, vocabulary


def cards_of(
    phrase: Phrase,
    gpus: Sequence[NamedGpu],
    *,
    has_processor: bool = False,
    is_laptop: bool = False,
    says_laptop: bool = False,
) -> list[NamedCards]:
    """The GPUs of the names in the order of the text, each with the count and the memory beside its
    name, which are claimed. A GPU inside the processor is counted once. `says_laptop`: not only the
    processor tells that this is a laptop.

    Raises `UnknownGpuError` for a size with which a GPU is not sold, and `PartOfMachineError` for
    the GPU of a processor that is not named.
    """
    found: list[NamedCards] = []
    for gpu in sorted(gpus, key=lambda gpu: gpu.run.start):
        rows = matches(gpu.typed, laptop=is_laptop)
        if not rows:
            raise unknown_gpu(gpu.run.words)
        if is_laptop and not says_laptop:
            rows = _of_desktop(phrase, gpu) or rows
        if all(row.unified for row in rows):
            inside = equal_cards_meant(rows, gpu.typed, None, 1)
            if inside not in found:
                found.append(inside)
            continue
        run = phrase.with_fillers(gpu.run)
        memory_gib = gpu.size_gib
        if not _are_sold_with(rows, memory_gib):
            memory_gib = _memory_beside(phrase, run, rows, has_processor=has_processor)
        count = phrase.claim_count(run)
        found.append(equal_cards_meant(rows, gpu.typed, memory_gib, count))
    return found


def _of_desktop(phrase: Phrase, gpu: NamedGpu) -> Sequence[GpuRow]:
    """The desktop's cards of a name beside a laptop's processor, as in a small computer or a case
    of its own, where only they are sold with the memory behind the name; else ().
    """
    run = phrase.with_fillers(gpu.run)
    size = phrase.size_at(run.end)
    if size is None or size.of == "ram":
        return ()
    if size.of != "vram" and not _is_ram_elsewhere(phrase, size.gib):
        return ()
    of_laptops = matches(gpu.typed, laptop=True)
    if _are_sold_with(of_laptops, size.gib):
        return ()
    of_desktops = matches(gpu.typed)
    if _are_sold_with(of_desktops, size.gib):
        return of_desktops
    return ()


def _are_sold_with(rows: Sequence[GpuRow], gib: float | None) -> bool:
    """Whether one of the GPUs has that memory."""
    return any(gib in gpu.memory_gib for gpu in rows)


def _memory_beside(
    phrase: Phrase,
    run: WordRun,
    rows: Sequence[GpuRow],
    *,
    has_processor: bool,
) -> float | None:
    """The memory in GiB that stands behind the name of a GPU, else before it, which is claimed;
    None where the size is the RAM's.

    Raises `UnknownGpuError` for a size that can only be the GPU's, which is not sold with it.
    """
    at = run.end
    if phrase.word(at) in (BREAK, "vram", "with"):
        at += 1
    size = phrase.size_at(at)
    if size is None:
        return _memory_before(phrase, run, rows, has_processor=has_processor)
    if size.of == "ram" and phrase.size_at(at + 1) is None:
        return None
    if _are_sold_with(rows, size.gib):
        phrase.claim(at)
        return size.gib
    if size.of == "vram":
        phrase.claim(at)
        # of all GPUs together, as in `2x 3090 48gb vram`
        gib_of_one = size.gib / max(1, phrase.count_of(run))
        if _are_sold_with(rows, gib_of_one):
            return gib_of_one
        return size.gib
    if phrase.is_of_gpus or (at == run.end and _is_ram_elsewhere(phrase, size.gib)):
        # `2080 ti 22gb, 64gb ram` is a changed card
        raise not_sold_so(rows, size.gib)
    return None


def _is_ram_elsewhere(phrase: Phrase, gib: float) -> bool:
    """Whether a larger size can be the RAM's."""
    for _, size in phrase.quantities():
        if size.unit != "gb" or size.of not in ("", "ram"):
            continue
        if size.gib > gib and may_be_ram(size.gib, None):
            return True
    return False


def _memory_before(
    phrase: Phrase,
    run: WordRun,
    rows: Sequence[GpuRow],
    *,
    has_processor: bool,
) -> float | None:
    """The memory in GiB before the name of a GPU, which is claimed: `16gb` of `32gb, 16gb 4060 ti`.
    None where the size is the RAM's, as is the only size of a text that names a processor.

    Raises `UnknownMachineError` for `2x16gb`, which may be two modules of RAM or two such GPUs.
    """
    at = run.start - 1
    word = phrase.free_word(at)
    size = quantity_in(word)
    if size is None or not _are_sold_with(rows, size.number):
        return None
    if size.modules and not has_processor:
        card = rows[0].label
        raise phrase.error("modules", word=word, card=card)
    if size.unit != "gb" or size.of == "ram":
        return None
    others = [place for place, other in phrase.quantities() if other.is_size]
    if has_processor and others == [at]:
        return None
    phrase.claim(at)
    return size.gib


def chosen_cards(
    phrase: Phrase,
    cards: Sequence[NamedCards],
    *,
    has_no_gpu: bool,
) -> Sequence[NamedCards]:
    """The cards; the GPU in the processor is left out where there are others.

    Raises `UnknownGpuError` for the name of an unknown card, and `UnknownMachineError` for a choice
    between several.
    """
    words = vocabulary()
    for at, word in phrase.free.items():
        # the name of a line of cards and a number: `rtx 4123`
        number = phrase.free_word(at + 1)
        is_line = not words.cards.isdisjoint(spelled(word).split()[:1])
        if is_line and fits(words.shape.card, number):
            raise unknown_gpu((word, number))
    discrete = [named for named in cards if not named.is_unified]
    chosen = discrete or cards
    names = [named.label for named in chosen]
    is_either = phrase.says(words.either)
    if has_no_gpu:
        names.append("no GPU")
        is_either = True
    if is_either and len(names) > 1:
        raise phrase.error("two_gpus", names, first=names[0])
    return chosen
