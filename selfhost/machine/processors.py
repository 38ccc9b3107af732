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
from .phrases import Phrase, Run
from .words import COUNT, NUMBERED, SIZE, bad_name, vocabulary

_MODULES = re.compile(r"\d{1,2}x\d+gb", re.ASCII)
_LONGEST_NUMBER = 3
_ORDINALS = {"1": "1st", "2": "2nd", "3": "3rd"}


class FoundProcessor(NamedTuple):
    """A processor, `2x epyc 7742` for two, and the places of its words. `is_laptop`: only laptops
    have it, as far as the description tells.
    """

    name: str
    is_laptop: bool
    places: frozenset[int]


def find_processor(phrase: Phrase) -> FoundProcessor | None:
    """A processor by words of its kind and a number of a listed series: `ryzen 5 5600x`.

    Raises `UnknownMachineError` where two are named.
    """
    found: FoundProcessor | None = None
    for run in phrase.runs():
        if not phrase.is_free(run) or not _is_processor(run):
            continue
        if found is None:
            found = _found(phrase, run, " ".join(run.words))
        elif len(run.words) > 1:
            if run.words[-1] not in found.name:
                raise bad_name(
                    "two_processors",
                    phrase.text,
                    first=found.name,
                    second=" ".join(run.words),
                )
            found = found._replace(places=found.places.union(run.places))
        phrase = phrase.without(found.places)
    return found


def _is_processor(run: Run) -> bool:
    """Whether the words name a series, and each of them is needed."""
    if cpus.class_of(run.words[0]) is cpus.UNKNOWN_CLASS:
        return False
    if not all(map(_may_be_of_name, run.words)):
        return False
    name = " ".join(run.words)
    series = cpus.processor_of(name)
    if series is None:
        return False
    last = run.words[-1]
    if len(run.words) == 1 and not any(map(str.isdecimal, last)):
        return False
    shorter = " ".join(run.words[:-1])
    without_last = cpus.processor_of(shorter)
    if without_last is None or without_last.name != series.name:
        return True
    # a word that tells neither the series nor the cores is none of the name
    return cpus.cores_of(name) != cpus.cores_of(shorter)


def _may_be_of_name(word: str) -> bool:
    """Whether a processor's name can have this word: no size, no rate, nothing of a GPU's name."""
    words = vocabulary()
    if SIZE.fullmatch(word) or _MODULES.fullmatch(word) or NUMBERED.fullmatch(word):
        return False
    if word in words.cards or word in words.graphics:
        return False
    count = COUNT.fullmatch(word)
    return count is None or not count[1]


def _found(phrase: Phrase, run: Run, name: str) -> FoundProcessor:
    """The processor of these words, with the count beside them where it may be one of several."""
    places = frozenset(run.places)
    series = cpus.processor_of(name)
    is_server = series is not None and series.kind == "server"
    is_mobile = _is_mobile(phrase, name, is_server=is_server)
    if series is None or is_server:
        count = phrase.without(places).count_beside(run)
        places = places.union(count.places)
        if count.number > 1:
            name = f"{count.number}x {name}"
    return FoundProcessor(name, is_mobile, places)


def _is_mobile(phrase: Phrase, name: str, *, is_server: bool) -> bool:
    """Whether the name is of a processor for laptops, and no word tells that it is in none."""
    words = vocabulary()
    if is_server or not words.desktops.isdisjoint(phrase.words):
        return False
    shape = words.shape.mobile
    return any(re.fullmatch(shape, word, re.ASCII) for word in name.split())


def find_number(phrase: Phrase, *, beside_gpu: bool) -> FoundProcessor | None:
    """A processor by its number: one that no GPU has, `5800x3d`; `beside_gpu` also figures alone,
    `5600 32gb 4060 ti`. Raises `UnknownMachineError` where it is that of several series.
    """
    for run in phrase.runs(_LONGEST_NUMBER):
        if not beside_gpu and matches(tuple(run.words)):
            continue
        if not all(map(_may_be_of_name, run.words)):
            continue
        number = " ".join(run.words)
        names = cpus.names_of_number(number, beside_gpu=beside_gpu)
        if len(names) > 1:
            raise two_readings(phrase, number, names)
        if names:
            return _found(phrase, run, names[0])
    return None


def two_readings(phrase: Phrase, word: str, readings: Sequence[str]) -> Exception:
    """The error for a word that can mean several things."""
    texts: list[str] = []
    for reading in readings:
        text = phrase.text.lower().replace(word, reading, 1)
        texts.append(f"--machine '{text}'")
    return bad_name(
        "two_readings",
        phrase.text,
        readings,
        word=word,
        readings=" or ".join(readings),
        whole=", ".join(texts),
    )


def find_kind(phrase: Phrase) -> FoundProcessor | None:
    """A kind of processor with numbers of no listed series, or with none: `ryzen 7`, `xeon`,
    `i5 8th gen`, `amd a10x9600p`.
    """
    for at, word in phrase.free.items():
        is_of_class = cpus.class_of(word) is not cpus.UNKNOWN_CLASS
        if not is_of_class or word in vocabulary().no_kind:
            continue
        run = _kind_from(phrase, at)
        if set(run.words) <= {"core", *cpus.MAKERS}:
            continue
        name = " ".join(run.words)
        for place in (run.end, at - 1):
            generation = NUMBERED.fullmatch(phrase.free.get(place, ""))
            if generation is not None and generation[2] == "gen":
                number = generation[1]
                name += f" {_ORDINALS.get(number, f'{number}th')} gen"
                found = _found(phrase.without((place,)), run, name)
                return found._replace(places=found.places | {place})
        return _found(phrase, run, name)
    return None


def _kind_from(phrase: Phrase, start: int) -> Run:
    """The words from that place on that tell a kind of processor, or are a number of one."""
    end = start + 1
    while end in phrase.free:
        word = phrase.free[end]
        if not _may_be_of_name(word):
            break
        is_number = any(map(str.isdecimal, word)) and not matches((word,))
        if not is_number and not cpus.names_a_kind_alone({word}):
            break
        end += 1
    return Run(start, end, phrase.words[start:end])
