"""The GPUs that a description names, with their counts and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.spelling import is_slip
from . import cpus, gpus
from .description import Description
from .gpu_names import NamedCards, UnknownGpuError, matches, named_card, not_sold_so, shown, spelled
from .profiles import UnknownMachineError, refusal
from .roles import instance_typed, is_vgpu, roles, vgpu_typed, words
from .words import BREAK, COUNT, MODULES, SIZE, is_ram

# words of a GPU's name that may be without a number: `arc graphics`, `titan v`, `radeon vii`
_NUMBERLESS = frozenset(("arc", "iris", "uhd", "titan", "vii"))
_INSIDE = (["arc", "graphics"], ["iris", "xe"], ["uhd", "graphics"], ["iris", "graphics"])
_YEARS = range(2005, 2036)
# more are no bare number, but the size of a screen
_MOST_BARE = 12


def take_cards(about: Description) -> None:
    """Take every GPU. Raises `UnknownMachineError` where a name is not listed, a size is none that
    it is sold with, or one of several is meant.
    """
    while run := next((run for run in about.free_runs() if _is_card(about, *run)), None):
        _take_card(about, *run)
    _refuse_unlisted(about)
    # a card computes faster than what is in the processor beside it
    discrete = [pair for pair in about.cards_at if not _is_inside(pair[1])]
    about.cards_at = discrete or about.cards_at
    if len(about.cards) > 1 and any(token.text == "or" for token in about.tokens):
        names = [each.label for each in about.cards]
        raise refusal("two_gpus", about.text, names, names=" or ".join(names), first=names[0])


def _is_inside(cards: NamedCards) -> bool:
    """Whether they are part of a processor."""
    return all(card.unified for card in cards.accelerators)


def _is_card(about: Description, start: int, end: int) -> bool:
    """Whether the run is a GPU's name, and begins and ends with a word of it."""
    run = about.words(start, end)
    if run in _INSIDE:
        return bool(matches(tuple(run)))
    if not _may_be_a_name(run) or (len(run) == 1 and _is_no_card(about, start)):
        return False
    if is_vgpu(run[-1]):
        return set(run[:-1]) <= {"nvidia", "grid", "tesla"}
    names, sizes = _name_and_sizes(run)
    is_instance = instance_typed(run[-1])[0] is not None
    cards = matches(tuple(names[:-1] if is_instance else names), laptop=about.is_laptop)
    if not cards or len(sizes) > 1:
        return False
    return is_instance or all(
        any(size in card.memory_gib or f"{size:g}gb" in card.named for card in cards)
        for size in sizes
    )


def _may_be_a_name(run: Sequence[str]) -> bool:
    """Whether words have the form of a GPU's name: no filler, count or size at an end, and a number
    but for names that have none.
    """
    idle = (roles().idle - roles().forms) | roles().gpu_idle
    first, last = run[0], run[-1]
    if first in idle or last in idle or (last in roles().cards and len(run) > 1):
        return run == ["titan", "rtx"]
    is_size = SIZE.fullmatch(first) or SIZE.fullmatch(last) or any(map(COUNT.fullmatch, run))
    if is_size or (first.isdecimal() and len(first) < 3):
        return False
    has_number = any(
        any(map(str.isdecimal, word)) and not SIZE.fullmatch(word)
        for word in run
        if word not in roles().left_out
    )
    return has_number or (len(run) > 1 and not _NUMBERLESS.isdisjoint(run))


def _name_and_sizes(run: Sequence[str]) -> tuple[list[str], list[float]]:
    """The words of a GPU's name without fillers, and the sizes between them."""
    idle = roles().idle - roles().forms | {"mig"}
    names = [word for word in run if not SIZE.fullmatch(word) and word not in idle]
    return names, [float(size[1]) for word in run if (size := SIZE.fullmatch(word))]


def _is_no_card(about: Description, at: int) -> bool:
    """Whether figures alone are a year or a processor's number. Raises `NotOneMachineError` where
    they can be a GPU, too.
    """
    word, before = about.free(at), about.free(at - 1)
    if not word.isdecimal():
        return False
    cards = matches((word,))
    if int(word) in _YEARS or not cards:
        return True
    is_told = about.processor is not None or about.chip is not None
    if is_told or about.free(at + 1) in gpus.variants():
        return False
    label = cards[0].label.lower()
    if before and cpus.class_of(before):
        if not _is_number_of_processor(about, at):
            raise about.can_be(word, [label])
        return True
    processors = cpus.names_of_number(word, beside_gpu=True)
    if processors and (len(processors) > 1 or not about.cards):
        raise about.can_be(word, [*processors, label])
    return bool(processors)


def _is_number_of_processor(about: Description, at: int) -> bool:
    """Whether a processor is called by the one or two words before a number, and the number."""
    names = (" ".join(about.words(first, at + 1)) for first in (at - 2, at - 1))
    return any(cpus.processor_of(name) or cpus.names_of_number(name) for name in names)


def _take_card(about: Description, start: int, end: int) -> None:
    names, sizes = _name_and_sizes(about.words(start, end))
    line = about.product.get("line", "").split()
    names = [*line, *names] if matches((*line, *names)) else names
    about.take(start, end, "gpu")
    _refuse_slip(about, names, end)
    while about.free(end) in roles().gpu_idle - {"memory", "vram", "with"}:
        about.take(end, end + 1, "gpu")
        end += 1
    text, size, count = " ".join(names), next(iter(sizes), None), 0
    if instance_typed(text)[0] is None and vgpu_typed(text) is None:
        cards = matches(tuple(names), laptop=about.is_laptop)
        if all(card.unified for card in cards):
            _put_inside(about, start, names, is_integrated=cards[0].integrated)
            return
        if size not in _sizes_sold(cards):
            size, count = _size_and_count(about, start, end, cards)
    count = count or count_beside(about, start, end)
    about.cards_at.append((start, _named(about, names, size, count)))


def _put_inside(
    about: Description, place: int, names: Sequence[str], *, is_integrated: bool
) -> None:
    """Keep a GPU of a processor, once: any but an integrated one is in the chip that was named."""
    if is_integrated or about.processor is None:
        inside = _named(about, names)
        if all(inside.label != each.label for each in about.cards):
            about.cards_at.append((place, inside))


def _named(
    about: Description, names: Sequence[str], size: float | None = None, count: int = 1
) -> NamedCards:
    try:
        return named_card(names, size, count, laptop=about.is_laptop)
    except UnknownGpuError as error:
        raise UnknownMachineError(
            f"{shown(about.text)!r}: {error}", nearest=error.nearest, remedy=error.remedy
        ) from None


def _refuse_slip(about: Description, names: Sequence[str], end: int) -> None:
    """Raises `UnknownMachineError` for a variant that is a slip of one: `rx 7900 xtz`."""
    behind, variants = about.free(end), gpus.variants()
    is_word = behind.isalpha() and behind not in variants | roles().idle and not is_ram(behind)
    if is_word and any(is_slip(behind, each) for each in variants):
        _named(about, [*names, behind])


def _refuse_unlisted(about: Description) -> None:
    """Raises `UnknownMachineError` for words of GPUs' names with a number that is not listed."""
    for at in range(len(about.tokens) - 1):
        first, behind = spelled(about.free(at)).split()[:1], about.free(at + 1)
        is_number = re.fullmatch(r"[a-z]{0,2}\d{2,4}[a-z]{0,3}", behind)
        if is_number and not SIZE.fullmatch(behind) and first and first[0] in roles().cards:
            _named(about, about.words(at, at + 2))


# ------------------------------------------------------------------ sizes and counts


def _size_and_count(
    about: Description, start: int, end: int, cards: Sequence[gpus.Card]
) -> tuple[float | None, int]:
    """The size of the card that stands behind its name, or before it where another is the RAM's,
    and the count that stands with it, 0 for none. Raises `UnknownMachineError` for one that it is
    not sold with and that no RAM has.
    """
    sold = _sizes_sold(cards)
    at = end
    while about.word(at) in (BREAK, "vram", "with", "memory"):
        at += 1
    size = about.free_gib(at)
    if size is None or MODULES.fullmatch(about.free(start - 1)):
        size_before, count = _size_before(about, start, sold)
        if size is None or count:
            return size_before, count
    names_ram = is_ram(about.word(at + 1)) and not SIZE.fullmatch(about.word(at + 2))
    if "vram" in about.words(end, at + 2) or (size in sold and not names_ram):
        about.take(end, at + 1 + (about.word(at + 1) == "vram"), "gpu")
        return size, 0
    if all(f"{size:g}gb" in card.named - card.words for card in cards):
        about.take(at, at + 1, "gpu")
    elif not names_ram and at == end:
        _refuse_size(about, cards, size, max(sold))
    return None, 0


def _sizes_sold(cards: Sequence[gpus.Card]) -> set[float]:
    return {size for card in cards for size in card.memory_gib}


def _refuse_size(
    about: Description, cards: Sequence[gpus.Card], size: float, largest: float
) -> None:
    """Raises `UnknownMachineError` for a size behind a card's name that neither it nor RAM has; a
    note where it is taken for that of the RAM.
    """
    if _is_no_size_of_ram(size):
        error = not_sold_so(cards, size)
        raise UnknownMachineError(f"{shown(about.text)!r}: {error}", remedy=error.remedy)
    if size == 2 * largest:
        label = cards[0].label
        about.notes.append(f"The {size:g} GB are read as RAM: {label} has {largest:g}.")


def _is_no_size_of_ram(gib: float) -> bool:
    return gib % 4 != 0 and gib > 6


def _size_before(about: Description, start: int, sold: set[float]) -> tuple[float | None, int]:
    """The size before a card's name that it is sold with, where it is not that of the RAM, and the
    count of cards that are written as modules of RAM are, `2x24gb rtx 3090`; else 0.
    """
    modules = MODULES.fullmatch(about.free(start - 1))
    if modules and float(modules[2]) in sold and _has_other_size(about, start):
        about.take(start - 1, start, "gpu")
        return float(modules[2]), int(modules[1])
    size, before = about.free_gib(start - 1), about.words(start - 3, start - 1)
    is_of_ram = bool(before) and is_ram(before[-1]) and not any(map(SIZE.fullmatch, before))
    is_no_ram = about.processor is None or _is_no_size_of_ram(size or 0)
    if size not in sold or is_of_ram or not (is_no_ram or _has_other_size(about, start - 1)):
        return None, 0
    about.take(start - 1, start, "gpu")
    return size, 0


def _has_other_size(about: Description, place: int) -> bool:
    return any(at != place and about.free_gib(at) for at in range(len(about.tokens)))


def count_beside(about: Description, start: int, end: int) -> int:
    """Take the count of what stands from `start` to `end`: `2x`, `dual`, `x2`, and a bare number
    that is none of the name before it. 1 without one.
    """
    while start > 1 and about.word(start - 1) in roles().gpu_idle - {"with"}:
        start -= 1
    places = [start - 1, end]
    if not about.free(end) or SIZE.fullmatch(about.free(end)):
        places.append(end + 1)
    for at in places:
        count = _count_before(about, at) if at < start else _count_behind(about, at)
        if count:
            about.take(at, at + 1, "count")
            return count
    return 1


def _count_before(about: Description, at: int) -> int:
    word = about.free(at)
    if (match := COUNT.fullmatch(word)) and match[1]:
        return int(match[1])
    count: int = words()["counts"].get(word, 0)
    return count or (int(word) if _is_bare_count(about, at) else 0)


def _count_behind(about: Description, at: int) -> int:
    match = COUNT.fullmatch(about.free(at))
    # `epyc 7742 2x 3090` are two cards
    is_last = about.word(at + 1) in ("", BREAK)
    return int(match[1] or match[2]) if match and (match[2] or is_last) else 0


def _is_bare_count(about: Description, at: int) -> bool:
    """Whether a number counts what follows: behind a model of a laptop it is of its name."""
    word, before = about.free(at), about.word(at - 1)
    if not word.isdecimal() or not 1 < int(word) <= _MOST_BARE:
        return False
    taken = about.tokens[at - 1].by if at else ""
    if before in ("", BREAK, "with", "and", "has") or taken == "processor":
        return True
    if SIZE.fullmatch(before) or MODULES.fullmatch(before):
        return True
    if about.is_laptop:
        return False
    if not taken and cpus.class_of(before):
        # of `ryzen 7` it is the class
        return word not in "3579" or before in ("i3", "i5", "i7", "i9")
    return bool(taken) or before in roles().idle | roles().computers
