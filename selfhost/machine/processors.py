"""The processor that a description names.

Three matchers, from the surest to the vaguest: a name with a number of a listed series
(`find_processor`), a number alone (`find_number`), and a kind of processor (`find_kind`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from . import cpus
from .cards import matches
from .phrases import Phrase, WordRun
from .words import MODULES, NUMBERED, bad_name, fits, has_digit, is_size, vocabulary

# a count before a name
_TIMES = re.compile(r"\d{1,2}x", re.ASCII)
# as in `8gen`, the 8th generation
_GENERATION = re.compile(r"(\d+)gen", re.ASCII)
_LONGEST_NUMBER = 3
_ORDINALS = {"1": "1st", "2": "2nd", "3": "3rd"}


class FoundProcessor(NamedTuple):
    """A processor that was found, `2x epyc 7742` for two. `is_laptop`: only laptops have the
    processor, as far as the description tells.
    """

    name: str
    is_laptop: bool


def find_processor(phrase: Phrase) -> FoundProcessor | None:
    """Claim a processor by the words of its kind and the number of a listed series: `i5 8250u`.

    Raises `UnknownMachineError` where the text names two processors.
    """
    found = None
    for run in phrase.runs():
        if not _is_processor(run):
            continue
        if found is None:
            found = _found(phrase, run, run.name)
        elif len(run.words) > 1:
            is_same = run.words[-1] in found.name
            if not is_same:
                names = {"first": found.name, "second": run.name}
                raise bad_name("two_processors", phrase.text, **names)
            phrase.claim(*run.places)
    return found


def _is_processor(run: WordRun) -> bool:
    """Whether the words name a series of processors, and each word is needed."""
    if not _is_of_class(run.words[0]):
        return False
    if not all(map(_may_be_of_name, run.words)):
        return False
    series = cpus.series_called(run.name)
    if series is None:
        return False
    *before, last = run.words
    if not before:
        return has_digit(last)
    shorter = " ".join(before)
    without_last = cpus.series_called(shorter)
    if without_last is None or without_last.name != series.name:
        return True
    # a word that changes neither the series nor the cores does not belong to the name
    return cpus.cores_of(run.name) != cpus.cores_of(shorter)


def _is_of_class(word: str) -> bool:
    """Whether a word tells the class of a processor."""
    return cpus.class_of(word) is not cpus.UNKNOWN_CLASS


def _may_be_of_name(word: str) -> bool:
    """Whether a processor's name can have this word: a size, a rate or a word of a GPU's name
    cannot be in it.
    """
    if is_size(word):
        return False
    for shape in (MODULES, NUMBERED, _TIMES):
        if shape.fullmatch(word):
            return False
    words = vocabulary()
    if word in words.cards:
        return False
    return word not in words.graphics


def _found(
    phrase: Phrase,
    run: WordRun,
    name: str,
) -> FoundProcessor:
    """Claim the processor that a run of words names, with the count beside the run where a machine
    may have several such processors. `name` is the full name of the processor.
    """
    is_server = cpus.is_server(name)
    words = vocabulary()
    # a processor for laptops is in a laptop, unless a word says otherwise
    shape = words.shape.mobile
    is_laptop = any(fits(shape, word) for word in name.split())
    if is_server or phrase.says(words.desktops):
        is_laptop = False
    phrase.claim(*run.places)
    if is_server or cpus.series_called(name) is None:
        count = phrase.claim_count(run)
        if count > 1:
            name = f"{count}x {name}"
    return FoundProcessor(name, is_laptop)


def find_number(phrase: Phrase, *, beside_gpu: bool) -> FoundProcessor | None:
    """Claim a processor by a number that no GPU has: `5800x3d`. With `beside_gpu`, which says that
    the text names a GPU too, also by a number that a GPU may have: `5600 32gb 4060 ti`.

    Raises `UnknownMachineError` where the number belongs to several series.
    """
    for run in phrase.runs(_LONGEST_NUMBER):
        if not beside_gpu and matches(run.name):
            continue
        if not all(map(_may_be_of_name, run.words)):
            continue
        names = cpus.names_of_number(run.name, beside_gpu=beside_gpu)
        if len(names) > 1:
            raise two_readings(phrase, run.name, names)
        if names:
            return _found(phrase, run, names[0])
    return None


def two_readings(
    phrase: Phrase,
    word: str,
    readings: Sequence[str],
) -> Exception:
    """The error for a word that can mean several things."""
    typed = phrase.text.lower()
    texts = []
    for reading in readings:
        text = typed.replace(word, reading, 1)
        texts.append(f"--machine '{text}'")
    return bad_name("two_readings", phrase.text, readings, word=word, whole=texts)


def find_kind(phrase: Phrase) -> FoundProcessor | None:
    """Claim a kind of processor without a number of a listed series: `ryzen 7`, `xeon`, `i5 8th
    gen`, `amd a10x9600p`.
    """
    for at, word in phrase.free.items():
        if word in vocabulary().no_kind:
            continue
        if not _is_of_class(word):
            continue
        end = at + 1
        while _continues_kind(phrase.free_word(end)):
            end += 1
        run = phrase.run(at, end)
        # a maker alone names no kind of processor
        if {"core", *cpus.MAKERS}.issuperset(run.words):
            continue
        for place in (run.end, at - 1):
            generation = _GENERATION.fullmatch(phrase.free_word(place))
            if generation is not None:
                number = generation[1]
                ordinal = _ORDINALS.get(number, f"{number}th")
                name = f"{run.name} {ordinal} gen"
                phrase.claim(place)
                return _found(phrase, run, name)
        return _found(phrase, run, run.name)
    return None


def _continues_kind(word: str) -> bool:
    """Whether a word behind a kind of processor belongs to its name; an empty word does not."""
    if not _may_be_of_name(word):
        return False
    if has_digit(word) and not matches(word):
        return True
    return cpus.names_a_kind_alone({word})
