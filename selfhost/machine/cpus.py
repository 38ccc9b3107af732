"""What memory a processor has, by its name: `specs/common/cpus.toml`.

The file is read when a processor is looked up, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..core.records import Record
from ..core.tables import shipped_table
from .gpus import channels_and_rates, shared_memory, words_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


# names without a number tell a series only where they have one of these words; the file is not read
# for others, such as those that virtual machines show (`Intel Xeon Processor`)
_WITHOUT_NUMBER = frozenset(("altra", "axion", "snapdragon"))
# what cores compute, by `vectors`, of a row that does not say more
_CORE_OF = {"none": "avx", "avx2": "avx2", "avx512": "avx512", "arm": "arm"}


class Share(Record):
    """Of the peak at the usual rate, what decoding was seen to read: slow end, likely, fast end; on
    how many devices it was seen.
    """

    low: float
    likely: float
    high: float
    devices: int


class Core(Record):
    """What one core computes while all of them work: operations a cycle on prompts, and its clock
    in GHz; each slow end, likely, fast end. `wide`: on vectors of 512 bits.
    """

    prompt: tuple[float, float, float]
    ghz: tuple[float, float, float]
    wide: bool


class Processor(Record):
    """A series of processors with one memory specification: a row of the table.

    `least`, `usual` and `most` are bytes per second of one socket with every channel filled, with
    the slowest, the usual and the fastest memory. `cores` of the largest socket and `threads` of
    each; 0 of a client, that has one socket. `kind`: client, hybrid, server, board or phone.
    `vectors`: avx512, avx2, none or arm. `cache_mb` is what the second and third caches hold,
    `bits` how wide one channel is.
    `core` is what its cores compute (`core_called`), `ghz` their clock with all of them at work,
    in the middle of the series; None where only the GPU in it is known.
    `architecture` and `memory_gib`: as of `ProcessorClass`, None where its class tells them;
    `on_package_gib`: RAM that is part of the processor, None where the machine around it has it.
    """

    name: str
    channels: int
    least: float
    usual: float
    most: float
    memory: str
    kind: str
    share: Share
    vectors: str
    cores: int = 0
    threads: int = 1
    cache_mb: float = 24.0
    bits: int = 64
    core: str | None = None
    ghz: float | None = None
    architecture: str | None = None
    memory_gib: int | None = None
    on_package_gib: int | None = None


class ProcessorClass(Record):
    """What processors are whose series has no row, and what most machines with one have: GiB of
    RAM, and a system; `most_gib` is the most that a machine with one takes. `words`: one of them is
    in the name. `channels` of 64 bits; None where they differ. `most_gb_per_s`: the peak of the
    fastest of a class that is no longer made, else None.
    """

    words: frozenset[str]
    architecture: str
    system: str
    memory_gib: int
    most_gib: int
    channels: int | None
    most_gb_per_s: float | None


def class_of(name: str) -> ProcessorClass | None:
    """The class that a word of a processor's name tells; None where none does."""
    words = words_of(name)
    for row in _table()["class"]:
        if not words.isdisjoint(row["words"]):
            return ProcessorClass(
                words=frozenset(row["words"]),
                architecture=row["architecture"],
                system=row["system"],
                memory_gib=row["memory_gib"],
                most_gib=row["most_gib"],
                channels=row.get("channels"),
                most_gb_per_s=row.get("most_gb_per_s"),
            )
    return None


def most_of_class(name: str) -> float | None:
    """The GB/s of the fastest of the name's class, where that is no longer made; else None."""
    around = class_of(name) if _may_be_listed(name) else None
    return None if around is None else around.most_gb_per_s


def _may_be_listed(name: str) -> bool:
    return any(map(str.isdecimal, name)) or not _WITHOUT_NUMBER.isdisjoint(words_of(name))


def processor_of(name: str) -> Processor | None:
    """The series that a processor's name means; None for one without a row."""
    if not _may_be_listed(name):
        return None
    rows = rows_of(name)
    return _processor(rows[0]) if rows else None


def cores_of(name: str) -> int | None:
    """The cores of one processor of that name; None where the table does not list its number."""
    series = processor_of(name)
    words = words_of(name)
    by_count = _table()["model_cores"].get(series.name, {}) if series is not None else {}
    return next(
        (int(count) for count, numbers in by_count.items() if not words.isdisjoint(numbers)), None
    )


def names_of_number(number: str) -> tuple[str, ...]:
    """A bare model number with its maker's words, `core i7 12700k`; several where it is that of a
    processor of several series, none where it is of none that is listed.
    """
    import re

    names: dict[str, str] = {}
    for row in _table()["number"]:
        match = re.fullmatch(row["shape"], number.lower(), re.ASCII)
        if match is None:
            continue
        name = f"{row['words']} {match.groupdict().get('number', match[0])}"
        series = processor_of(name)
        if series is not None:
            names.setdefault(series.name, name)
    return tuple(names.values())


def is_server(name: str) -> bool:
    """Whether the series is one of servers."""
    series = processor_of(name)
    return series is not None and series.kind == "server"


def processor_with(graphics: str) -> Processor | None:
    """What is known of a processor by the name of the GPU in it; None for any other GPU."""
    memory = shared_memory(graphics)
    if memory is None:
        return None
    return Processor(
        name=f"those with {memory.name}",
        channels=memory.channels,
        least=memory.least,
        usual=memory.usual,
        most=memory.most,
        memory="either",
        kind=memory.kind,
        share=share_of(memory.kind),
        vectors=memory.vectors,
        bits=memory.bits,
    )


def rows_of(name: str) -> list[Mapping[str, Any]]:
    """The rows that fit `name` best: of those that fit the ones with the most words, of these the
    ones whose shape has the fewest signs that stand for others. No name has two.
    """
    return list(_rows_of(words_of(name)))


@lru_cache(maxsize=256)
def _rows_of(words: frozenset[str]) -> tuple[Mapping[str, Any], ...]:
    ranked = [(rank, row) for row in _table()["cpu"] if (rank := _rank(row, words)) is not None]
    best = max((rank for rank, _ in ranked), default=None)
    return tuple(row for rank, row in ranked if rank == best)


def _rank(row: Mapping[str, Any], words: frozenset[str]) -> tuple[int, int] | None:
    """How many words of the row the name has, and minus the signs of its best shape; None where
    the row does not fit.
    """
    wanted = row["words"].split()
    if not all(any(word in words for word in each.split("|")) for each in wanted):
        return None
    shapes = row.get("models")
    if shapes is None:
        return len(wanted), 0
    signs = [
        sum(shape.count(sign) for sign in "#+?*")
        for shape in shapes
        if any(_fits(word, shape) for word in words)
    ]
    return (len(wanted), -min(signs)) if signs else None


def _fits(word: str, shape: str) -> bool:
    """Whether a word is of a shape; the header of the table explains its signs."""
    if shape.endswith("*"):
        shape = shape[:-1]
        rest = word[len(shape) :]
        if shape.endswith("#") and rest[:1].isdecimal():
            # a longer number is another one
            return False
        word = word[: len(shape)]
    return len(word) == len(shape) and all(
        sign == "?"
        or (
            letter.isdecimal() and (sign == "#" or letter != "0")
            if sign in "#+"
            else sign == letter
        )
        for letter, sign in zip(word, shape, strict=True)
    )


def _processor(row: Mapping[str, Any]) -> Processor:
    kind = row.get("kind", "client")
    return Processor(
        name=row["name"],
        **channels_and_rates(row),
        memory=row.get("memory", "slots"),
        kind=kind,
        share=share_of(kind),
        vectors=row.get("vectors", "avx2"),
        cores=row.get("cores", 0),
        threads=row.get("threads", 1),
        cache_mb=row.get("cache_mb", 24.0),
        bits=row.get("bits", 64),
        core=row.get("core", core_of_vectors(row.get("vectors", "avx2"))),
        ghz=row["ghz"],
        architecture=row.get("architecture"),
        memory_gib=row.get("memory_gib"),
        on_package_gib=row.get("on_package_gib"),
    )


def core_of_vectors(vectors: str) -> str:
    """The row of `core` of a processor of which only what it computes with is known."""
    return _CORE_OF[vectors]


def core_called(name: str, ghz: float | None) -> Core:
    """What the cores of that name compute, at the clock of a series where that is known."""
    row = next(each for each in _table()["core"] if each["core"] == name)
    low, likely, high = _table()["clock"]
    clock = row["ghz"] if ghz is None else (low * ghz, likely * ghz, high * ghz)
    return Core(prompt=tuple(row["prompt"]), ghz=tuple(clock), wide=row.get("wide", False))


def share_of(kind: str) -> Share:
    """How processors of a kind read their memory: client, hybrid, server, board or phone."""
    share = next(each for each in _table()["share"] if each["kind"] == kind)
    return Share(**{key: share[key] for key in ("low", "likely", "high", "devices")})


def _table() -> Mapping[str, Any]:
    """The whole file. Raises `SpecError` where the installation lacks it."""
    return shipped_table("cpus")
