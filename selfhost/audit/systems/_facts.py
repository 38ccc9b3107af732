"""The record of one machine while an answer of another system is read, and values as systems write
them.

Rows of `specs/common/systems.toml` say which facts an answer states and where, and which ones a
system lacks. Texts of an answer reach the record through `plain` alone, labels through `labels`
alone, and names through `machine_name` alone: addresses and serial numbers get no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from ...core import units
from ...core.tables import shipped_table
from ...machine.changes import with_implied
from ...machine.fields import UNPRINTABLE
from ...machine.record import (
    FACTS,
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    SCHEMA,
    normal_architecture,
    normal_system,
)

MAX_LABELS = 32
MAX_LABEL = 200
MAX_NAME = 253
_CORRECT = "correct the value where it is from, or record the machine itself"

# what tells who or where a machine is, and is never copied out: addresses of networks and mail,
# and the numbers by which makers and systems tell one machine from another
_PRIVATE = re.compile(
    r"(?<![\d.])\d{1,3}(?:[.-]\d{1,3}){3}(?![\d.])"
    r"|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}"
    r"|(?<![0-9a-z])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![0-9a-z])"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|[0-9a-f]{32,}"
    r"|@"
    r"|://",
    re.IGNORECASE,
)
# a name that is nothing but an address, perhaps with a port
_ADDRESS = re.compile(
    r"\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})\]?(?::\d{1,5})?",
    re.IGNORECASE | re.ASCII,
)


@cache
def table_of(system: str) -> Mapping[str, Any]:
    """The row of `specs/common/systems.toml`, which says what each key means."""
    table: Mapping[str, Any] = shipped_table("systems")["system"][system]
    return table


class Facts:
    """The record of one machine while the answer of a system is read.

    `reason` and `remedy`, the system's where none are given, are those of every fact that the
    answer neither states nor is known to lack for another reason.
    """

    def __init__(self, system: str, reason: str | None = None, remedy: str | None = None) -> None:
        self.table = table_of(system)
        self.remedy: str = remedy or self.table["remedy"]
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self._lacks: dict[str, tuple[str, str | None]] = {}
        self._otherwise = reason or self.table["reason"], self.remedy

    def put(self, fact: str, value: Any, source: str) -> None:
        """State a fact; None, which the answer does not hold, changes nothing."""
        if value is not None:
            self.values[fact] = value
            self.sources[fact] = source

    def lacks(self, facts: str, reason: str, remedy: str | None = None) -> None:
        """Say why these facts, separated by blanks, are not known, and how to get them: as this
        system's others where no remedy is given, in no way where it is empty.
        """
        remedy = self.remedy if remedy is None else remedy or None
        for fact in facts.split():
            self._lacks.setdefault(fact, (reason, remedy))

    def read_rows(self, answer: Any, key: str = "rows") -> None:
        """State the facts that the system's rows find in an answer, each as the first statement
        has it. What is stated and is no such value leaves the fact unread for that reason.
        """
        for fact, path, note, unit in self.table[key]:
            stated = entry(answer, *path.split("/"))
            if stated is None or fact in self.values or fact in self._lacks:
                continue
            source = f"{self.table['prefix']}{path.replace('/', '.')}{note}"
            value = _read(stated, unit, least=1 if fact == "memory_total_bytes" else 0)
            if value is None and unit in _NOUNS:
                key_name = source.partition(":")[0]
                reason = f"{key_name} is {_cited(stated)}, which is no {_NOUNS[unit]}"
                self.lacks(fact, reason, _CORRECT)
            self.put(fact, value, source)

    def lack_rows(self, key: str = "lacks") -> None:
        """Say what the system lacks by its rows."""
        for row in self.table[key]:
            self.lacks(*row)

    def limit_to_total(self) -> None:
        """Take the machine's memory as its limit, where a system of hosts states none."""
        fact, limit = "memory_total_bytes", "memory_limit_bytes"
        if limit in self._lacks:
            return
        if fact in self.values:
            source = f"{self.sources[fact]}: no lower limit is stated"
            self.put(limit, self.values[fact], source)
        elif fact in self._lacks:
            self.lacks(limit, *self._lacks[fact])

    def put_instruction_sets(
        self, names: Iterable[str], source: str, hidden: Iterable[str], reason: str, remedy: str
    ) -> None:
        """State those that were named, by Linux kernel names, and those that they bring. Where
        they are not stated, `hidden` ones are not known to be absent, for that reason.
        """
        sets = with_implied(tuple(names), self.values.get("architecture"))
        self.put("instruction_sets", sorted(sets), f"{source}, and what they bring")
        facts = [f"instruction_sets.{name}" for name in hidden if name not in sets]
        self.lacks(" ".join(facts), reason, remedy)

    def record(self, name: str | None, kept_labels: Mapping[str, str]) -> dict[str, Any]:
        """The `selfhost.machine/1` object."""
        values = self.values
        # at most what there is: systems round down to MiB
        for what in ("limit", "available"):
            sizes = [values.get(f"memory_{each}_bytes") for each in (what, "limit", "total")]
            if sizes[0] is not None:
                values[f"memory_{what}_bytes"] = min(size for size in sizes if size is not None)
        lacks = self._lacks | {fact: self._otherwise for fact in FACTS if fact not in self._lacks}
        unread = [
            {"fact": fact, "reason": reason, "remedy": remedy}
            for fact, (reason, remedy) in lacks.items()
            if fact not in values
        ]
        return {
            "schema": SCHEMA,
            "name": name,
            "labels": dict(kept_labels),
            **values,
            "sources": self.sources,
            "unread": unread,
        }


def _cited(stated: Any) -> str:
    """A value as messages show it: a text in quotes, a number as it is."""
    if isinstance(stated, str):
        text = plain(stated, 40)
        return f'"{text}"' if text and not _PRIVATE.search(text) else "another text"
    return repr(stated)[:40] if isinstance(stated, int | float) else "no number"


# ------------------------------------------------------------------ texts


def plain(value: Any, length: int = MAX_LABEL) -> str | None:
    """A text of an answer, cut, with nothing that controls a terminal; None for what is none."""
    if not isinstance(value, str):
        return None
    return UNPRINTABLE.sub("?", value[: 4 * length]).strip()[:length] or None


def is_address(name: str) -> bool:
    """Whether a name is nothing but an address of a network."""
    return _ADDRESS.fullmatch(name) is not None


def machine_name(*candidates: Any) -> str | None:
    """The first that names a machine; None where none does, for an address alone is no name.

    A name that a cloud makes of an address (`ip-10-0-1-23.ec2.internal`) is how people know it.
    """
    for candidate in candidates:
        name = plain(candidate, MAX_NAME)
        if name and not is_address(name) and "@" not in name and "://" not in name:
            return name
    return None


def labels(prefix: str, pairs: Mapping[str, Any]) -> dict[str, str]:
    """Labels as `prefix.key`, at most MAX_LABELS of MAX_LABEL characters; none that is private."""
    kept: dict[str, str] = {}
    for key, value in pairs.items():
        if isinstance(value, list | tuple):
            value = ",".join(text for item in value[:MAX_LABELS] if (text := plain(item)))
        name, text = plain(key), plain(value)
        if len(kept) < MAX_LABELS and name and text and not _PRIVATE.search(f"{name} {text}"):
            kept[f"{prefix}.{name}"] = text
    return kept


# ------------------------------------------------------------------ values


def entry(value: Any, *keys: str) -> Any:
    """What lies below these keys; None where one is not there."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def rows_of(value: Any, *keys: str) -> list[Mapping[str, Any]]:
    """The objects of a list below these keys, at most a thousand."""
    rows = entry(value, *keys)
    return [row for row in rows[:1000] if isinstance(row, Mapping)] if type(rows) is list else []


def whole(value: Any, unit: int = 1, *, least: int = 0, most: int = MAX_DISK_BYTES) -> int | None:
    """A whole number of units, as a number or as text; None for what is none, or beyond reason."""
    number = _number(value)
    if number is None or not abs(number) <= most:
        return None
    size = int(number * unit)
    return size if least <= size <= most else None


def memory(value: Any, unit: int = 1) -> int | None:
    """A size of memory in bytes, of so many units; None for none, for zero and beyond reason."""
    return whole(value, unit, least=1, most=MAX_MEMORY_BYTES)


def count(value: Any) -> int | None:
    """How many of something there are: from 1 to a million."""
    return whole(value, least=1, most=1_000_000)


def product(*factors: Any) -> int | None:
    """Packages times cores of each; None where one is not stated."""
    first, second = map(count, factors)
    return first * second if first and second else None


_DECIMAL = re.compile(r"[+-]?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})(?:[eE][+-]?\d{1,3})?", re.ASCII)


def _number(value: Any) -> int | float | None:
    """A number, also as text (`25276510208`, `2.5e+10`); None for any other, NaN among them."""
    if not isinstance(value, str):
        return value if type(value) in (int, float) else None
    text = value.strip()
    if not _DECIMAL.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


_QUANTITY = re.compile(r"([+-]?[\d.]+(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z]{0,2})", re.ASCII)
_FACTORS = {
    "": 1, "m": 0.001, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": units.KIB, "Mi": units.MIB, "Gi": units.GIB, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip


def quantity(value: Any) -> int | float | None:
    """A Kubernetes quantity: `129520107Ki`, `63920m`, `76224326324`; None for what is none.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    if not isinstance(value, str):
        return _number(value)
    match = _QUANTITY.fullmatch(value.strip()[:64])
    number = None if match is None else _number(match[1])
    if match is None or number is None or match[2] not in _FACTORS:
        return None
    return number * _FACTORS[match[2]]


_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:?\d\d)", re.ASCII)


def moment(value: Any) -> str | None:
    """A time with its zone, as records have it; None for any other text, and for no real time."""
    from datetime import datetime

    match = _MOMENT.fullmatch(value.strip()[:64]) if isinstance(value, str) else None
    if match is None:
        return None
    zone = match[2] if match[2] == "Z" or ":" in match[2] else f"{match[2][:3]}:{match[2][3:]}"
    try:
        datetime.fromisoformat(f"{match[1]}{zone}")
    except ValueError:
        return None
    return f"{match[1]}{zone}"


# what a value of a unit is called where it is none
_NOUNS = dict.fromkeys(("bytes", "MiB", "quantity"), "size of memory") | dict.fromkeys(
    ("cores", "cpus"), "number of cores"
)


def _read(stated: Any, unit: str, least: int) -> Any:
    """A value in a unit of `systems.toml`; None for what is none."""
    match unit:
        case "bytes" | "MiB" | "quantity":
            size = quantity(stated) if unit == "quantity" else stated
            factor = units.MIB if unit == "MiB" else 1
            return whole(size, factor, least=least, most=MAX_MEMORY_BYTES)
        case "cores" | "cpus":
            number = quantity(stated) if unit == "cpus" else _number(stated)
            is_cores = number is not None and 0.001 <= number <= 1_000_000
            return float(number or 0) if is_cores else None
        case "count":
            return count(stated)
        case "moment":
            return moment(stated)
    text = plain(stated)
    if unit == "architecture":
        return text and normal_architecture(text)
    return text and normal_system(text) if unit == "system" else text


# ------------------------------------------------------------------ disks

# where runtimes store models where nobody says otherwise, as `machine/probes` has it
_STORES = {
    "huggingface": "~/.cache/huggingface/hub",
    "llama.cpp": "~/.cache/huggingface/hub",
    "ollama": "~/.ollama/models",
    "whisper.cpp": ".",
}
# a home folder where nobody says which: it lies on /home where that is a volume, else on /
SOME_HOME = "/home/user"
# kinds of volumes that hold no home folder
_NO_STORE = frozenset((
    "proc", "sysfs", "devpts", "cgroup", "cgroup2", "overlayfs-lower", "squashfs", "iso9660",
    "efivarfs", "autofs",
))  # fmt: skip

# mount point, free and whole bytes, kind of file system
Volume = tuple[Any, Any, Any, Any]


def volume_of(volumes: Iterable[Volume], folder: str) -> Volume | None:
    """The volume with the longest mount point above the folder, of those that hold files."""
    above = [
        volume
        for volume in volumes
        if (mount := plain(volume[0], 1000)) is not None
        and mount.startswith("/")
        and f"{folder.rstrip('/')}/".startswith(f"{mount.rstrip('/')}/")
        and plain(volume[3], 60) not in _NO_STORE
    ]
    return max(above, key=lambda volume: len(volume[0]), default=None)


def put_disks(facts: Facts, volume: Volume, source: str) -> None:
    """State the places in the home folder where runtimes store models, all on that volume."""
    free, total = whole(volume[1]), whole(volume[2])
    if free is None and total is None:
        return
    place = {
        "free_bytes": free,
        "total_bytes": None if total is None else max(total, free or 0),
        "filesystem": plain(volume[3], 60),
        "writable": None,
    }
    disks = [{"purpose": purpose, "path": path, **place} for purpose, path in _STORES.items()]
    facts.put("disks", disks, source)
    facts.lacks(
        " ".join(f"disks.{purpose}.writable" for purpose in _STORES),
        "the system does not say which account would store the model",
    )
