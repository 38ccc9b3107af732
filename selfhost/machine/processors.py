"""The processor that a description names: by kind and number, by a bare number, or by its kind.

What goes in: a `Phrase` whose names of parts are claimed, and these `Names`. What comes out: a
`NamedProcessor`, or None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.records import Record
from . import cpus
from .cards import matches
from .gazetteer import (
    NamedGpu,
    NamedProcessor,
    Names,
    is_of_class,
    may_be_of_processor,
)
from .phrases import Phrase, WordRun
from .words import fits, has_digit, vocabulary

# the generation of a processor: `8gen`, and how people count it
_GENERATION = re.compile(r"(\d+)gen", re.ASCII)
_ORDINALS = {"1": "1st", "2": "2nd", "3": "3rd"}
_LONGEST_NUMBER = 3


class _Number(Record):
    """A number in the text, and the names of all things that it can mean."""

    run: WordRun
    readings: Sequence[str]


def find_processor(
    phrase: Phrase,
    names: Names,
    chip: cpus.Chip | None,
) -> NamedProcessor | None:
    """Claim the processor and its count, and return the processor: `2x epyc 7742` for two. Its
    number may stand among the GPUs of `names`, too. None beside an Apple `chip`.

    Raises `UnknownMachineError` where the text names two processors, and for a number of several.
    """
    if chip is not None:
        if names.processors:
            raise _two_processors(phrase, names.processors[0].name, chip.words)
        return None
    found = _named(phrase, names)
    if found is None:
        return None
    phrase.claim(*found.run.places)
    if cpus.has_one_socket(found.name):
        # one machine holds one of these, so that the count counts nothing and is refused
        return found
    # a processor of no listed series may be a server's: `2x xeon`
    count = phrase.claim_count(found.run)
    if count == 1:
        return found
    return found.replace(name=f"{count}x {found.name}")


def _named(phrase: Phrase, names: Names) -> NamedProcessor | None:
    """The processor that the text names, without its count."""
    if names.processors:
        first, *others = names.processors
        for other in others:
            if other.run.words[-1] not in first.run.words:
                raise _two_processors(phrase, first.name, other.name)
        return first
    number = _number_of_processor(phrase, names.gpus)
    if number is None:
        return _kind(phrase)
    return _meant(phrase, number)


def _two_processors(
    phrase: Phrase,
    first: str,
    second: str,
) -> Exception:
    """The error for a text that names two processors."""
    return phrase.error("two_processors", first=first, second=second)


# a bare number


def _number_of_processor(phrase: Phrase, gpus: Sequence[NamedGpu]) -> _Number | None:
    """The first number that can be a processor's: a number that no GPU has, or beside a GPU any
    number, such as `5600` of `3060 5600`.
    """
    number = _free_number(phrase, beside_gpu=False)
    if number is None:
        number = _number_of_gpu(gpus)
    if number is None and gpus:
        number = _free_number(phrase, beside_gpu=True)
    return number


def _free_number(phrase: Phrase, *, beside_gpu: bool) -> _Number | None:
    """The first free number of a processor. Without `beside_gpu`, a number that no GPU has:
    `5800x3d`. With it, a number that a GPU could have: `12400`.
    """
    for run in phrase.runs(_LONGEST_NUMBER):
        if not all(map(may_be_of_processor, run.words)):
            continue
        number = run.name
        processors = cpus.names_of_number(number, beside_gpu=beside_gpu)
        if processors:
            return _Number(run=run, readings=processors)
    return None


def _number_of_gpu(gpus: Sequence[NamedGpu]) -> _Number | None:
    """The first number of a GPU that a processor has, too: `5600`. Beside another GPU the number of
    one processor can only be the processor's; else the GPU may be meant as well.
    """
    for gpu in gpus:
        number = gpu.run.name
        if not number.isdecimal():
            continue
        readings = list(cpus.names_of_number(number, beside_gpu=True))
        if not readings:
            continue
        is_clear = len(gpus) > 1 and len(readings) == 1
        if not is_clear:
            label = gpu.rows[0].label
            readings.append(label.lower())
        return _Number(run=gpu.run, readings=readings)
    return None


def _meant(phrase: Phrase, number: _Number) -> NamedProcessor:
    """The processor of a number. Raises `UnknownMachineError` for a number of several things."""
    readings = number.readings
    if len(readings) == 1:
        return NamedProcessor(run=number.run, name=readings[0])
    word = number.run.name
    typed = phrase.text.lower()
    options = []
    for name in readings:
        clear = typed.replace(word, name, 1)
        options.append(f"--machine '{clear}'")
    raise phrase.error("two_readings", readings, word=word, whole=options)


# a kind of processor, without a number of a listed series


def _kind(phrase: Phrase) -> NamedProcessor | None:
    """The kind of processor that the free words name: `ryzen 7`, `xeon`, `i5 8th gen`. None where
    they name none.
    """
    for start, word in phrase.free.items():
        if word in vocabulary().no_kind or not is_of_class(word):
            continue
        end = start + 1
        while _continues_kind(phrase.free_word(end)):
            end += 1
        run = phrase.run(start, end)
        # a maker alone names no kind of processor
        if {"core", *cpus.MAKERS}.issuperset(run.words):
            continue
        generation = _generation_at(phrase, end)
        if generation is not None:
            # `i5 8th gen`
            run_with_generation = phrase.run(start, end + 1)
        else:
            # `8th gen i5`
            generation = _generation_at(phrase, start - 1)
            run_with_generation = phrase.run(start - 1, end)
        if generation is None:
            return NamedProcessor(run=run, name=run.name)
        return NamedProcessor(run=run_with_generation, name=f"{run.name} {generation}")
    return None


def _generation_at(phrase: Phrase, at: int) -> str | None:
    """The generation of a processor that the free word at that place tells, `8th gen`; None where
    it tells none.
    """
    generation = _GENERATION.fullmatch(phrase.free_word(at))
    if generation is None:
        return None
    number = generation[1]
    ordinal = _ORDINALS.get(number, f"{number}th")
    return f"{ordinal} gen"


def _continues_kind(word: str) -> bool:
    """Whether a word behind a kind of processor belongs to its name; an empty word does not."""
    if not may_be_of_processor(word):
        return False
    if has_digit(word) and not matches(word):
        return True
    return cpus.names_a_kind_alone({word})


def is_for_laptops(phrase: Phrase, processor: str) -> bool:
    """Whether only laptops have the processor, as far as the description tells."""
    if cpus.is_server(processor) or phrase.says(vocabulary().desktops):
        return False
    shape = vocabulary().shape.mobile
    return any(fits(shape, word) for word in processor.split())
