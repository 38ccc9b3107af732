"""The GPUs that a description names, each with the count and the memory beside its name.

What goes in: the mentions of GPUs in a `Phrase`. What comes out: `NamedCards`. A size beside the
name of a GPU belongs to the GPU where the GPU is sold with it; else it is the RAM's.
"""

from __future__ import annotations

from collections.abc import Sequence

from .cards import NamedCards, equal_cards_meant, matches, not_sold_so, unknown_gpu
from .gazetteer import Mention
from .gpus import GpuRow
from .memory import may_be_ram
from .phrases import Phrase, WordRun
from .quantities import count_in, quantity_in
from .words import BREAK, bad_name, fits, spelled, vocabulary


def cards_of(
    phrase: Phrase,
    mentions: Sequence[Mention],
    *,
    has_processor: bool = False,
    is_laptop: bool = False,
    says_laptop: bool = False,
) -> list[NamedCards]:
    """The GPUs of the mentions in the order of the text, each with the count and the memory beside
    its name, which are claimed. A GPU inside the processor is counted once. `says_laptop`: not only
    the processor tells that this is a laptop.

    Raises `UnknownGpuError` for a size with which a GPU is not sold, and `PartOfMachineError` for
    the GPU of a processor that is not named.
    """
    found: list[NamedCards] = []
    for mention in sorted(mentions, key=lambda mention: mention.run.start):
        if not mention.gpus:
            continue
        several = matches(mention.typed, laptop=is_laptop)
        if not several:
            raise unknown_gpu(mention.run.words)
        if is_laptop and not says_laptop:
            several = _of_desktop(phrase, mention) or several
        if all(gpu.unified for gpu in several):
            # the GPU inside the named processor comes with it
            if has_processor and not several[0].integrated:
                continue
            cards = equal_cards_meant(several, mention.typed, None, 1)
            if cards in found:
                continue
        else:
            run = phrase.with_fillers(mention.run)
            memory_gib = mention.size_gib
            if not _are_sold_with(several, memory_gib):
                memory_gib = _memory_beside(
                    phrase, run, several, has_processor=has_processor
                )
            count = phrase.claim_count(run)
            cards = equal_cards_meant(several, mention.typed, memory_gib, count)
        found.append(cards)
    return found


def _of_desktop(phrase: Phrase, mention: Mention) -> Sequence[GpuRow]:
    """The desktop's cards of a mention beside a laptop's processor, as in a small computer, where
    only they are sold with the memory behind the name; else ().
    """
    size = phrase.size_at(phrase.with_fillers(mention.run).end)
    if size is None or size.of == "ram":
        return ()
    if size.of != "vram" and not _is_ram_elsewhere(phrase, size.gib):
        return ()
    several = matches(mention.typed)
    if _are_sold_with(matches(mention.typed, laptop=True), size.gib):
        return ()
    return several if _are_sold_with(several, size.gib) else ()


def _are_sold_with(several: Sequence[GpuRow], gib: float | None) -> bool:
    """Whether one of the GPUs has that memory."""
    return any(gib in gpu.memory_gib for gpu in several)


def _memory_beside(
    phrase: Phrase,
    run: WordRun,
    several: Sequence[GpuRow],
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
        return _memory_before(phrase, run, several, has_processor=has_processor)
    if size.of == "ram" and phrase.size_at(at + 1) is None:
        return None
    if _are_sold_with(several, size.gib):
        phrase.claim(at)
        return size.gib
    if size.of == "vram":
        phrase.claim(at)
        count_at = phrase.count_of(run)
        count = 1 if count_at is None else count_in(phrase.word(count_at)) or 1
        # of all GPUs together, as in `2x 3090 48gb vram`
        gib = size.gib / count
        return gib if _are_sold_with(several, gib) else size.gib
    if phrase.is_of_gpus or (at == run.end and _is_ram_elsewhere(phrase, size.gib)):
        # `2080 ti 22gb, 64gb ram` is a changed card
        raise not_sold_so(several, size.gib)
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
    several: Sequence[GpuRow],
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
    if size is None or not _are_sold_with(several, size.number):
        return None
    if size.modules and not has_processor:
        card = several[0].label
        raise bad_name("modules", phrase.text, word=word, card=card)
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
        raise bad_name("two_gpus", phrase.text, names, first=names[0])
    return chosen
