"""The names of parts in a description: Apple's chips, processors and GPUs, by the longest match.

What goes in: a `Phrase`. What comes out: a `Mention` for each name, with the rows of the tables
that it can mean. Which of these rows is meant, with which count and size, `understand` decides when
all names are known. Names of whole computers are in `products`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..core.records import Record
from . import cpus
from .cards import matches
from .gpus import GpuRow
from .phrases import Phrase, WordRun
from .quantities import count_in, is_size, quantity_in
from .words import fits, has_digit, vocabulary

# the generation of a processor: `8gen`, and how people count it
_GENERATION = re.compile(r"(\d+)gen", re.ASCII)
_ORDINALS = {"1": "1st", "2": "2nd", "3": "3rd"}
_LONGEST_NUMBER = 3


class Mention(Record):
    """A name in a text, and what it can mean: an Apple chip, a processor or GPUs.

    `typed` is the name of a GPU without fillers and sizes. `size_gib` is the first size among the
    words of the name, as in `a100 80gb sxm`; `graphics` reads the sizes that stand beside it.
    """

    run: WordRun
    chip: cpus.Chip | None = None
    processor: str | None = None
    gpus: Sequence[GpuRow] = ()
    typed: str = ""
    size_gib: float | None = None


def names_in(phrase: Phrase, line: str = "") -> list[Mention]:
    """Claim all names of parts, the longest first. `line` has the words that people leave unsaid
    before the number of the computer's GPU: `radeon pro` of `macbook pro 2019 5500m`.
    """
    mentions = []
    for run in phrase.runs():
        mention = None
        if not phrase.is_of_gpus:
            mention = _chip(phrase, run) or _processor(run)
        if mention is None:
            mention = _gpus(phrase, run, line)
        if mention is not None:
            phrase.claim(*run.places)
            mentions.append(mention)
    return mentions


def _chip(phrase: Phrase, run: WordRun) -> Mention | None:
    """The Apple chip of a run, `m2` or `m2 pro`. In `core m3` and `pi m2` the word is no chip."""
    words = vocabulary()
    if not fits(words.shape.chip, run.words[0]):
        return None
    if phrase.word(run.start - 1) in words.not_apple:
        return None
    for chip in cpus.mac_chips():
        if chip.words == f"apple {run.name}":
            return Mention(run=run, chip=chip)
    return None


def _processor(run: WordRun) -> Mention | None:
    """The processor of a run, by a word of its class and the number of a listed series: `i5
    8250u`. None where the last word does not belong to the name, as in `i5 8250u laptop`.
    """
    if not _is_of_class(run.words[0]) or not all(map(may_be_of_processor, run.words)):
        return None
    series = cpus.series_called(run.name)
    if series is None:
        return None
    *before, last = run.words
    if before:
        # a word that changes neither the series nor the cores does not belong to the name
        shorter = " ".join(before)
        series_of_shorter = cpus.series_called(shorter)
        is_same = (
            series_of_shorter is not None and series_of_shorter.name == series.name
        )
        if is_same and cpus.cores_of(run.name) == cpus.cores_of(shorter):
            return None
    elif not has_digit(last):
        return None
    return Mention(run=run, processor=run.name)


def _is_of_class(word: str) -> bool:
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


def numbers_of_processors(phrase: Phrase, *, beside_gpu: bool) -> Iterator[Mention]:
    """Find the first free number of a processor, and yield each processor that it can mean.

    Without `beside_gpu`, a number that no GPU has: `5800x3d`. With `beside_gpu`, which says that
    the text names a GPU too, a number that a GPU could have: `12400`.
    """
    for run in phrase.runs(_LONGEST_NUMBER):
        if not all(map(may_be_of_processor, run.words)):
            continue
        names = cpus.names_of_number(run.name, beside_gpu=beside_gpu)
        for name in names:
            yield Mention(run=run, processor=name)
        if names:
            return


def kind_of_processor(phrase: Phrase) -> Mention | None:
    """Return the kind of processor that the free words name, without a number of a listed series:
    `ryzen 7`, `xeon`, `i5 8th gen`. None where they name none.
    """
    for at, word in phrase.free.items():
        if word in vocabulary().no_kind or not _is_of_class(word):
            continue
        end = at + 1
        while _continues_kind(phrase.free_word(end)):
            end += 1
        run = phrase.run(at, end)
        # a maker alone names no kind of processor
        if {"core", *cpus.MAKERS}.issuperset(run.words):
            continue
        for place in (end, at - 1):
            generation = _GENERATION.fullmatch(phrase.free_word(place))
            if generation is not None:
                number = generation[1]
                name = f"{run.name} {_ORDINALS.get(number, f'{number}th')} gen"
                whole = phrase.run(min(at, place), max(end, place + 1))
                return Mention(run=whole, processor=name)
        return Mention(run=run, processor=run.name)
    return None


def _continues_kind(word: str) -> bool:
    """Whether a word behind a kind of processor belongs to its name; an empty word does not."""
    if not may_be_of_processor(word):
        return False
    if has_digit(word) and not matches(word):
        return True
    return cpus.names_a_kind_alone({word})


def _gpus(
    phrase: Phrase,
    run: WordRun,
    line: str,
) -> Mention | None:
    """The GPUs of a run of words. A size in the name must be one of theirs."""
    if "and" in run.words:
        return None
    if not phrase.is_of_gpus and not _has_form_of_gpu(run.words):
        return None
    words = vocabulary()
    fillers = words.idle - words.forms
    sizes = []
    named = []
    for word in run.words:
        size = quantity_in(word)
        if size is not None and size.is_size:
            sizes.append(size.number)
        elif word not in fillers:
            named.append(word)
    typed = " ".join(named)
    with_line = f"{line} {typed}".strip()
    if matches(with_line):
        typed = with_line
    several = matches(typed) or matches(typed, laptop=True)
    if not several:
        return None
    for gib in sizes:
        is_sold = any(gib in gpu.memory_gib for gpu in several)
        if not is_sold and not any(f"{gib:g}gb" in gpu.named for gpu in several):
            return None
    size_gib = sizes[0] if sizes else None
    return Mention(run=run, gpus=several, typed=typed, size_gib=size_gib)


def _has_form_of_gpu(name: Sequence[str]) -> bool:
    """Whether the words of a name have the form of a GPU's: no filler or size at an end, and a
    number, or a word that needs none.
    """
    words = vocabulary()
    if tuple(name) in words.gpus_inside:
        return True
    # words for the form of a GPU are not ignored
    idle = (words.idle - words.forms) | words.gpu_idle
    ends = {name[0], name[-1]}
    if not idle.isdisjoint(ends) or any(map(is_size, ends)):
        return False
    # the `7` of `ryzen 7 3060`
    if re.fullmatch(r"\d\d?", name[0]):
        return False
    for word in set(name) - idle - words.left_out:
        if has_digit(word) and not is_size(word):
            return True
    return len(name) > 1 and not words.numberless.isdisjoint(name)
