"""The names of parts in a description: Apple's chips, processors and GPUs, by the longest match.

What goes in: a `Phrase`. What comes out: `Names`, with the rows of the tables that each name can
mean. Which of the rows is meant, with which count and size, `macs`, `processors` and `graphics`
decide. Names of whole computers are in `products`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.records import Record
from . import cpus
from .cards import matches
from .gpus import GpuRow
from .phrases import Phrase, WordRun
from .quantities import count_in, is_size, quantity_in
from .words import has_digit, vocabulary


class NamedChip(Record):
    """The name of an Apple chip: `m2 pro`."""

    run: WordRun
    chip: cpus.Chip


class NamedProcessor(Record):
    """The name of a processor: `i5 8250u`."""

    run: WordRun
    name: str


class NamedGpu(Record):
    """The name of a GPU, and the rows that the name can mean.

    `typed` is the name without fillers and sizes. `size_gib` is the first size among the words of
    the name, as in `a100 80gb sxm`; `graphics` reads the sizes that stand beside the name.
    """

    run: WordRun
    rows: Sequence[GpuRow]
    typed: str
    size_gib: float | None


class Names(Record):
    """The names of parts in a text, of each kind the longest first."""

    chips: Sequence[NamedChip]
    processors: Sequence[NamedProcessor]
    gpus: Sequence[NamedGpu]


def names_in(phrase: Phrase, line: str = "") -> Names:
    """Claim all names of parts, the longest first. `line` has the words that people leave unsaid
    before the number of the computer's GPU: `radeon pro` of `macbook pro 2019 5500m`.
    """
    found: list[NamedChip | NamedProcessor | NamedGpu] = []
    for run in phrase.runs():
        name: NamedChip | NamedProcessor | NamedGpu | None = None
        if not phrase.is_of_gpus:
            name = _chip(phrase, run) or _processor(run)
        if name is None:
            name = _gpu(phrase, run, line)
        if name is not None:
            phrase.claim(*run.places)
            found.append(name)
    return Names(
        chips=[name for name in found if isinstance(name, NamedChip)],
        processors=[name for name in found if isinstance(name, NamedProcessor)],
        gpus=[name for name in found if isinstance(name, NamedGpu)],
    )


def _chip(phrase: Phrase, run: WordRun) -> NamedChip | None:
    """The Apple chip of a run, `m2` or `m2 pro`. In `core m3` and `pi m2` the word is no chip."""
    if phrase.word(run.start - 1) in vocabulary().not_apple:
        return None
    name = f"apple {run.name}"
    for chip in cpus.mac_chips():
        if chip.words == name:
            return NamedChip(run=run, chip=chip)
    return None


def _processor(run: WordRun) -> NamedProcessor | None:
    """The processor of a run, by a word of its class and the number of a listed series: `i5
    8250u`. None where the last word does not belong to the name, as in `i5 8250u laptop`.
    """
    if not is_of_class(run.words[0]) or not all(map(may_be_of_processor, run.words)):
        return None
    series = cpus.series_called(run.name)
    if series is None:
        return None
    named = NamedProcessor(run=run, name=run.name)
    *before, last = run.words
    if not before:
        return named if has_digit(last) else None
    shorter = " ".join(before)
    series_of_shorter = cpus.series_called(shorter)
    if series_of_shorter is None or series_of_shorter.name != series.name:
        return named
    # a last word that changes neither the series nor the cores does not belong to the name
    if cpus.cores_of(run.name) == cpus.cores_of(shorter):
        return None
    return named


def is_of_class(word: str) -> bool:
    """Whether a word tells the class of a processor."""
    return cpus.class_of(word) is not cpus.UNKNOWN_CLASS


def may_be_of_processor(word: str) -> bool:
    """Whether a processor's name can have this word. A size, a rate, a word of a GPU's name or a
    count such as `2x` cannot be in the name; `x2` can, as in `snapdragon x2`.
    """
    if count_in(word) is not None and not word.startswith("x"):
        return False
    quantity = quantity_in(word)
    if quantity is not None and not quantity.is_count:
        return False
    words = vocabulary()
    return word not in words.cards and word not in words.graphics


def _gpu(
    phrase: Phrase,
    run: WordRun,
    line: str,
) -> NamedGpu | None:
    """The GPU of a run of words. A size in the name must be one of the GPU's."""
    if "and" in run.words:
        return None
    if not phrase.is_of_gpus and not _has_form_of_gpu(run.words):
        return None
    fillers = _fillers_of_names()
    sizes = []
    named = []
    for word in run.words:
        size = quantity_in(word)
        if size is not None and size.is_size:
            sizes.append(size.gib)
        elif word not in fillers:
            named.append(word)
    typed = " ".join(named)
    with_line = f"{line} {typed}".strip()
    if matches(with_line):
        typed = with_line
    # some GPUs are sold in laptops alone
    rows = matches(typed) or matches(typed, laptop=True)
    if not rows:
        return None
    for gib in sizes:
        if not any(_has_size(row, gib) for row in rows):
            return None
    size_gib = sizes[0] if sizes else None
    return NamedGpu(run=run, rows=rows, typed=typed, size_gib=size_gib)


def _has_size(row: GpuRow, gib: float) -> bool:
    """Whether a GPU is sold with that memory, or has the size in its name."""
    return gib in row.memory_gib or f"{gib:g}gb" in row.named


def _fillers_of_names() -> frozenset[str]:
    """The words that mean nothing in the name of a GPU. A word for one form of a GPU, such as
    `max-q`, does mean something there.
    """
    words = vocabulary()
    return words.idle - words.forms


def _has_form_of_gpu(name: Sequence[str]) -> bool:
    """Whether the words of a name have the form of a GPU's: no filler or size at an end, and a
    number, or a word that needs none.
    """
    words = vocabulary()
    if tuple(name) in words.gpus_inside:
        return True
    idle = _fillers_of_names() | words.gpu_idle
    for end in (name[0], name[-1]):
        if end in idle or is_size(end):
            return False
    # the `7` of `ryzen 7 3060`
    if re.fullmatch(r"\d\d?", name[0]):
        return False
    for word in set(name) - idle - words.left_out:
        if has_digit(word) and not is_size(word):
            return True
    if len(name) == 1:
        return False
    return not words.numberless.isdisjoint(name)
