"""The processor that a description names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from . import cpus
from .card_words import count_beside
from .chips import soldered_chip
from .description import Description
from .gpu_names import matches
from .profiles import refusal
from .roles import roles
from .words import COUNT, MODULES, NUMBERED, SIZE

_MOBILE_NUMBER = re.compile(r"\d{4,5}(?:u|hs?|hx|hk|p)|\d{3}[hv]", re.ASCII)
_DESKTOPS = frozenset(("desktop", "tower", "itx", "sff", "egpu", "oculink", "thunderbolt"))
# words of the GPU in a processor
_INSIDE = frozenset(("iris", "uhd", "hd", "xe", "graphics"))
# `core i7`, `ryzen 7`: digits behind a kind of processor that tell its class
_CLASS_NUMBERS = frozenset("3579")
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def take_processor(about: Description) -> None:
    """Take a processor by words of its kind and a number of a listed series: `ryzen 5 5600x`.
    Raises `NotOneMachineError` where there are two.
    """
    for start, end in _named_runs(about):
        name = " ".join(about.words(start, end))
        if about.processor is None:
            _put(about, start, end, name)
        elif end - start > 1 and all(not about.tokens[at].by for at in range(start, end)):
            if name.split()[-1] not in about.processor:
                raise refusal("two_processors", about.text, first=about.processor, second=name)
            about.take(start, end, "processor")


def _named_runs(about: Description) -> Iterator[tuple[int, int]]:
    """Runs that begin with a kind of processor and are the name of a listed one."""
    for start, end in about.free_runs():
        name = about.words(start, end)
        if not all(map(_may_be_of_one, name)) or cpus.class_of(name[0]) is None:
            continue
        series = _series(name)
        has_number = any(map(str.isdecimal, name[-1])) or len(name) > 1
        if series is not None and has_number and _last_word_tells(name, series):
            yield start, end


def _may_be_of_one(word: str) -> bool:
    """Whether a processor's name may have the word."""
    count = COUNT.fullmatch(word)
    is_other = SIZE.fullmatch(word) or MODULES.fullmatch(word) or NUMBERED.fullmatch(word)
    return not (is_other or (count and count[1]) or word in roles().cards | _INSIDE)


def _series(name: Sequence[str]) -> str | None:
    """What the series or the soldered chip is called; None of a generation, and where none is."""
    processor = soldered_chip(frozenset(name)) or cpus.processor_of(" ".join(name))
    is_generation = isinstance(processor, cpus.Processor) and processor.is_a_generation
    return None if processor is None or is_generation else processor.name


def _last_word_tells(name: Sequence[str], series: str) -> bool:
    """Whether without its last word the name is that of another series, or of other cores."""
    if len(name) < 2 or _series(name[:-1]) != series:
        return True
    whole, shorter = (cpus.cores_of(" ".join(words)) for words in (name, name[:-1]))
    return not matches((name[-1],)) and whole != shorter


def _put(about: Description, start: int, end: int, name: str) -> None:
    """Keep the processor, with the model behind it and the count beside it."""
    behind = about.free(end)
    is_model = re.fullmatch(r"[a-z]+\d{3,}[a-z\d]*", behind) and not matches((behind,))
    if is_model and _series([*name.split(), behind]) == _series(name.split()):
        name, end = f"{name} {behind}", end + 1
    about.take(start, end, "processor")
    series = cpus.processor_of(name)
    may_be_several = series is None or series.kind == "server"
    count = count_beside(about, start, end) if may_be_several else 1
    about.processor = f"{count}x {name}" if count > 1 else name
    if any(map(_MOBILE_NUMBER.fullmatch, name.split())):
        about.is_laptop |= _DESKTOPS.isdisjoint(token.text for token in about.tokens)


def take_lettered_number(about: Description) -> None:
    """Take a processor by a number that no GPU has: `5800x3d`, `fx 6300`, `intel 12400`."""
    _take_number(about, beside_gpu=False)


def take_figures(about: Description) -> None:
    """Take a processor by figures alone, beside a GPU: `5600 32gb 4060 ti`."""
    if about.cards:
        _take_number(about, beside_gpu=True)


def _take_number(about: Description, *, beside_gpu: bool) -> None:
    """Raises `NotOneMachineError` where the number can be that of several processors."""
    if about.processor is not None or about.chip is not None:
        return
    for start, end in about.free_runs(3):
        name = about.words(start, end)
        is_other = name[-1] in roles().idle or about.word(start - 1) in roles().cards
        if is_other or not all(map(_may_be_of_one, name)):
            continue
        if not beside_gpu and matches(tuple(name)):
            continue
        names = cpus.names_of_number(" ".join(name), beside_gpu=beside_gpu)
        if len(names) > 1:
            raise about.can_be(" ".join(name), names)
        if names:
            _put(about, start, end, names[0])
            return


def take_kind(about: Description) -> None:
    """Take a kind of processor, `ryzen 7`, `xeon`, `i5 8th gen`, with a number of no series."""
    if about.processor is not None or about.chip is not None:
        return
    for start, end in about.free_runs(4):
        name = about.words(start, end)
        if not _is_kind(name) and not _is_maker_with_number(name, about.free(end)):
            continue
        numbers = list[str]()
        while any(map(str.isdecimal, word := about.free(end))) and _may_be_of_one(word):
            if word.isdecimal() and len(word) < 3 and word not in _CLASS_NUMBERS:
                break
            numbers.append(word)
            end += 1
        _put(about, start, end, " ".join([*name, *numbers, *_generation(about, start, end)]))
        return


def _is_maker_with_number(name: Sequence[str], behind: str) -> bool:
    """`amd a10x9600p`, whose number no series has."""
    is_number = re.fullmatch(r"[a-z]+\d+\w*|\d{3,5}[a-z]+", behind) is not None
    return len(name) == 1 and name[0] in cpus.MAKERS and is_number and not matches((behind,))


def _is_kind(name: Sequence[str]) -> bool:
    """Whether words tell a kind of processor and nothing else; a maker alone is none, and a bare
    number.
    """
    telling = {word for word in name if word not in cpus.MAKERS and word not in _CLASS_NUMBERS}
    if not telling or telling == {"core"} or name[0].isdecimal():
        return False
    is_one = all(map(_may_be_of_one, name)) and name[0] not in ("pro", "ai", "core2")
    return is_one and cpus.class_of(name[0]) is not None and cpus.names_a_kind_alone(telling)


def _generation(about: Description, start: int, end: int) -> list[str]:
    """Take `8th gen`, which stands around a kind of processor."""
    for at in (*range(end, min(end + 2, len(about.tokens))), *range(max(0, start - 3), start)):
        match = NUMBERED.fullmatch(about.tokens[at].text)
        if match and match[2] == "gen" and about.tokens[at].by in ("", "line"):
            about.tokens[at].by = "processor"
            return [f"{match[1]}{_ENDINGS.get(int(match[1]), 'th')}", "gen"]
    return []
