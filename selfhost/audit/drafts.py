"""The record of one machine while an answer of another system is read, and values as systems write
them.

Rows of `specs/common/systems.toml` say which facts an answer states and where, and which ones a
system lacks. Texts of an answer reach the record through `plain` alone, labels through `labels`
alone, and names through `machine_name` alone: addresses and serial numbers get no further.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypedDict

from ..core import units
from ..core.files import Unreadable
from ..core.records import shown
from ..core.tables import TomlRow, expression, shipped_table
from ..core.templates import fill
from ..core.units import words_of
from ..machine import cpus, gpus, profiles, rented
from ..machine.cards import MOST_CARDS, every_card
from ..machine.instruction_sets import instruction_sets, with_implied
from ..machine.platforms import normal_architecture, normal_system
from ..machine.record import (
    FACTS,
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    PURPOSES,
    SCHEMA,
    Machine,
)
from ..machine.understand import cards_named
from ..machine.words import PartOfMachineError, UnknownGpuError

MAX_LABELS = 32
MAX_LABEL = 200
MAX_NAME = 253
# behind the name of a machine that its system cannot reach
NOT_JUDGED = " is not judged: "
# a home folder where nobody says which: it lies on /home where that is a volume, else on /
SOME_HOME = "/home/user"


# an object of JSON, of which nothing is known but that its keys are texts
Answer = Mapping[str, object]


class Entry:
    """A record of many: its value, or its `fault`; its `line`, or its `place` in a list, `[1]`."""

    def __init__(
        self,
        value: object = None,
        *,
        line: int | None = None,
        fault: Unreadable | None = None,
        place: str | None = None,
    ) -> None:
        self.value, self.line, self.fault, self.place = value, line, fault, place


def table_of(system: str) -> TomlRow:
    """The row of `specs/common/systems.toml`, which says what each key means."""
    table: TomlRow = shipped_table("systems")["system"][system]
    return table


class Card(TypedDict):
    """An accelerator, as machine records have it; None for what its system does not state."""

    vendor: str
    name: str
    memory_total_bytes: int | None
    memory_free_bytes: int | None
    unified: bool | None
    driver: str | None


class MachineDraft:
    """The record of one machine while the answer of a system is read."""

    def __init__(self, system: str) -> None:
        self.table = table_of(system)
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.assumed: list[str] = []
        self._lacks: dict[str, tuple[str, str | None]] = {}

    def put(self, fact: str, value: object, source: str) -> None:
        """State a fact; None, which the answer does not hold, changes nothing."""
        if value is not None:
            self.values[fact] = value
            self.sources[fact] = source

    def lacks(self, facts: str, reason: str, remedy: str | None = None) -> None:
        """Say why these facts, separated by blanks, are not known, and how to get them: as this
        system's others where no remedy is given, in no way where it is empty.
        """
        remedy = self.table["remedy"] if remedy is None else remedy or None
        for fact in facts.split():
            self._lacks.setdefault(fact, (reason, remedy))

    def read_rows(self, answer: object) -> None:
        """State the facts of the system's rows, each by its first row that the answer states."""
        for fact, path, note, unit in self.table["rows"]:
            stated = value_at(answer, *path.split("/"))
            if stated is None or fact in self.values or fact in self._lacks:
                continue
            source = f"{self.table['prefix']}{path.replace('/', '.')}{note}"
            value = _value_in_unit(
                stated, unit, least=1 if fact == "memory_total_bytes" else 0
            )
            if value is None and unit in _NOUNS:
                reason = f"{source.partition(':')[0]} is not a {_NOUNS[unit]}"
                remedy = "correct the value at its source, or record the machine itself"
                self.lacks(fact, reason, remedy)
            self.put(fact, value, source)

    def put_cloud_type(self, name: object) -> None:
        """State the processor of the type that a cloud rents, where it has a row."""
        typed = plain(name, 60)
        machine = None if typed is None else _rented(typed)
        if machine is None or machine.architecture != self.values.get("architecture"):
            return
        source = (
            f"the type {typed}: {machine.sources.get('cpu_model', 'a known machine')}"
        )
        for fact in ("scope", "cpu_model", "cpu_cores_physical"):
            self.put(fact, getattr(machine, fact), source)
        if "cpu_model" in machine.assumed:
            self.assumed.append("cpu_model")

    def put_home(
        self, volumes: Iterable[Sequence[object]], home: str, source: str
    ) -> None:
        """State the places in the home folder where runtimes store models: all on the volume (mount
        point, free and whole bytes, kind of file system) with the longest mount point above it.
        `source` is a template with `mount` for that.
        """
        above = [
            (len(mount), mount, whole(free), whole(total), plain(kind, 60))
            for stated, free, total, kind in volumes
            if (mount := plain(stated, 1000) or "").startswith("/")
            and f"{home.rstrip('/')}/".startswith(f"{mount.rstrip('/')}/")
            and plain(kind, 60) not in _NO_STORE
        ]
        none = 0, "", None, None, None
        _, mount, free, total, kind = max(above, key=lambda each: each[0], default=none)
        if free is None and total is None:
            return
        place = {
            "path": home,
            "free_bytes": free,
            "total_bytes": None if total is None else max(total, free or 0),
            "filesystem": kind,
            "writable": None,
        }
        disks = [{"purpose": purpose, **place} for purpose in PURPOSES]
        self.put("disks", disks, fill(source, {"mount": mount}))
        reason = "the system does not say which account would store the model"
        self.lacks(
            " ".join(f"disks.{purpose}.writable" for purpose in PURPOSES), reason
        )

    def put_accelerators(
        self, cards: Sequence[Card], source: str, remedy: str | None = None
    ) -> None:
        """State these cards, none where there are none."""
        cards = cards[:MOST_CARDS]
        self.put("accelerators", list(cards), source)
        for part, reason in _NOT_STATED.items():
            if any(card.get(part) is None for card in cards):
                self.lacks(f"accelerators.{part}", reason, remedy)
        unclear = [card["name"] for card in cards if card["unified"] is None]
        if unclear:
            reason = (
                f"no row of {_TABLE} has that name, so it may share the machine's RAM"
            )
            if None not in map(gpus.why_unserved, unclear):
                reason, remedy = f"it is {gpus.why_unserved(unclear[0])}", ""
            self.lacks("accelerators.unified", reason, remedy)

    def record(
        self, name: str | None, kept_labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """The `selfhost.machine/1` object. The memory is its own limit where none is stated, and
        the instruction sets are those of the processor's series.
        """
        values, total, limit = self.values, "memory_total_bytes", "memory_limit_bytes"
        series = cpus.processor_of(values.get("cpu_model") or "")
        if series is not None and "instruction_sets" not in values:
            architecture, *sets = instruction_sets().series[series.vectors]
            if values.get("architecture") == architecture:
                source = f"assumed: what processors of the series {series.name} have"
                self.put(
                    "instruction_sets", sorted(with_implied(sets, architecture)), source
                )
                self.assumed.append("instruction_sets")
        if total in values and limit not in {**values, **self._lacks}:
            self.put(
                limit, values[total], f"{self.sources[total]}: no lower limit is stated"
            )
        elif total in self._lacks:
            self.lacks(limit, *self._lacks[total])
        for row in (*self.table["lacks"], (" ".join(FACTS), self.table["reason"])):
            self.lacks(*row)
        # at most what there is: systems round down to MiB
        for fact in (limit, "memory_available_bytes"):
            if fact in values:
                values[fact] = min(
                    values[each] for each in (fact, limit, total) if each in values
                )
        unread = [
            {"fact": fact, "reason": reason, "remedy": remedy}
            for fact, (reason, remedy) in self._lacks.items()
            if fact not in values
        ]
        own = {"schema": SCHEMA, "name": name, "labels": dict(kept_labels), **values}
        return own | {
            "assumed": self.assumed,
            "sources": self.sources,
            "unread": unread,
        }


@lru_cache(512)
def _rented(name: str) -> Machine | None:
    match = profiles.machine_called(name) or rented.rented(name)
    return match[0] if match is not None and match[0].scope == "vm" else None


def plain(value: object, length: int = MAX_LABEL) -> str | None:
    """A text of an answer, cut, with nothing that controls a terminal; None for what is none."""
    if not isinstance(value, str):
        return None
    return shown(value[: 4 * length]).strip()[:length] or None


def machine_name(*candidates: object) -> str | None:
    """The first that names a machine; an address alone is no name, one made of it is."""
    for candidate in candidates:
        name = plain(candidate, MAX_NAME)
        is_address = name and expression("systems", "address").fullmatch(name)
        if name and not is_address and "@" not in name and "://" not in name:
            return name
    return None


def labels(prefix: str, pairs: Answer) -> dict[str, str]:
    """Labels as `prefix.key`, at most MAX_LABELS of MAX_LABEL characters; none that is private."""
    kept: dict[str, str] = {}
    private = expression("systems", "private")
    for key, value in pairs.items():
        if len(kept) == MAX_LABELS:
            break
        name = plain(key)
        text = _label_text(value)
        if name and text and not private.search(f"{name} {text}"):
            kept[f"{prefix}.{name}"] = text
    return kept


def _label_text(value: object) -> str | None:
    """The value of a label as one line; items of a list with commas between them."""
    if not isinstance(value, list | tuple):
        return plain(value)
    texts = map(plain, value[:MAX_LABELS])
    return plain(",".join(filter(None, texts)))


# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = {
    "": 1, "m": 0.001, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": units.KIB, "Mi": units.MIB, "Gi": units.GIB, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
# what a value of a unit is called where it is none
_NOUNS = {
    "bytes": "size of memory",
    "MiB": "size of memory",
    "cores": "number of cores",
}


def value_at(value: object, *keys: str) -> object:
    """What lies below these keys; None where one is not there."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def rows_of(value: object, *keys: str) -> list[Answer]:
    """The objects of a list below these keys, at most a thousand."""
    rows = value_at(value, *keys)
    return (
        [row for row in rows[:1000] if isinstance(row, Mapping)]
        if type(rows) is list
        else []
    )


def _number(value: object) -> int | float | None:
    """A number, also as text (`25276510208`, `2.5e+10`, `129520107Ki`); None for any other."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    match = expression("systems", "number").fullmatch(value.strip()[:64])
    if match is None or match[2] not in _QUANTITY:
        return None
    number = int(match[1]) if match[1].lstrip("+-").isdecimal() else float(match[1])
    return number * _QUANTITY[match[2]]


def whole(
    value: object, unit: int = 1, *, least: int = 0, most: int = MAX_DISK_BYTES
) -> int | None:
    """A whole number of units, as a number or as text; None for what is none, or beyond reason."""
    number = _number(value)
    if number is None or not abs(number) <= most:
        return None
    size = int(number * unit)
    return size if least <= size <= most else None


def count(value: object) -> int | None:
    """How many of something there are: from 1 to a million."""
    return whole(value, least=1, most=1_000_000)


def number_of_cards(value: object) -> int:
    """How many cards a machine has: 0 where none is stated."""
    return min(count(value) or 0, MOST_CARDS)


def _value_in_unit(stated: object, unit: str, least: int) -> object:
    """None for what is none in that unit of `systems.toml`."""
    if unit in ("bytes", "MiB"):
        factor = units.MIB if unit == "MiB" else 1
        return whole(stated, factor, least=least, most=MAX_MEMORY_BYTES)
    if unit == "cores":
        number = _number(stated)
        return (
            float(number)
            if number is not None and 0.001 <= number <= 1_000_000
            else None
        )
    if unit == "count":
        return count(stated)
    text = plain(stated)
    if unit == "moment":
        from datetime import datetime

        # as records have it, with its zone
        with suppress(ValueError):
            time = datetime.fromisoformat(text or "")
            written = time.isoformat(timespec="seconds").replace("+00:00", "Z")
            return written if time.tzinfo else None
        return None
    normal = {"architecture": normal_architecture, "system": normal_system}.get(unit)
    return text if text is None or normal is None else normal(text)


# kinds of volumes that hold no home folder
_NO_STORE = frozenset(
    ("proc", "sysfs", "cgroup", "cgroup2", "squashfs", "iso9660", "autofs")
)


_TABLE = "specs/common/gpus.toml"
_NOT_STATED = {
    "memory_total_bytes": "the system does not state it",
    "memory_free_bytes": "the system does not say how much is free on each card now",
}


def card_of(
    name: str,
    total: int | None,
    free: int | None,
    driver: object,
    *,
    is_part: bool = False,
) -> Card:
    """An accelerator of NVIDIA's by its system's name; `is_part`: a slice of one, by MIG."""
    name, unified = _known_card(name)
    return {
        "vendor": "nvidia",
        "name": name,
        "memory_total_bytes": total,
        "memory_free_bytes": free
        if free is None or total is None
        else min(free, total),
        # only a card with memory of its own can be divided
        "unified": False if is_part else unified,
        "driver": plain(driver, 60),
    }


@lru_cache(512)
def _known_card(name: str) -> tuple[str, bool | None]:
    """How the table of GPUs spells a name, for labels have no spaces: `NVIDIA-H100-80GB-HBM3`; and
    whether that GPU shares the machine's RAM: None where it has no row.
    """
    text, mark, part = (plain(name, 120) or "a GPU").partition("-MIG-")
    words = words_of(text)
    usual = text if " " in text else text.replace("_", " ").replace("-", " ")
    spelled = next(
        (card.name for card in every_card() if words_of(card.name) == words), usual
    )
    spelled = f"{spelled} MIG {part}" if mark else spelled
    # with its maker's name or without, for no driver says `NVIDIA T4`
    for own in (spelled, spelled.partition(" ")[2]):
        try:
            if cards_named(own).accelerators:
                return spelled, False
        except PartOfMachineError:
            return spelled, True
        except UnknownGpuError:
            continue
    return spelled, None


class OutOfService(Unreadable):
    """A machine that its system calls down: a policy may leave it out."""


def broken(value: object, system: str, place: str) -> Entry:
    """The fault of an item that describes no machine: none goes missing without a word."""
    # what a string says may be nobody's business
    kinds = ((str, "a string"), (Mapping, "an object"), (list, "a list"))
    what = next(
        (name for kind, name in kinds if isinstance(value, kind)), "a plain value"
    )
    reason = f"is {what} and does not describe a machine of {table_of(system)['title']}"
    remedy = f"run `{table_of(system)['command']}` again, or remove the entry"
    return Entry(fault=Unreadable(reason, remedy), place=place)
