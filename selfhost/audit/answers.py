"""Values in the answers of other systems, and the tables that say where the values stand.

What goes in: any value of decoded JSON. What comes out: a number, a text or a label that a machine
record may hold, or None if the value is not one.

Texts of an answer reach a record through `plain` alone, labels through `labels` alone, and names
through `machine_name` alone: addresses and serial numbers get no further.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from ..core import units
from ..core.files import value_at
from ..core.records import Record, Stated, shown
from ..core.tables import expression, shipped_record
from ..machine.platforms import normal_architecture, normal_system
from ..machine.record import MAX_DISK_BYTES, MAX_MEMORY_BYTES

MAX_LABELS = 32
MAX_LABEL = 200
MAX_NAME = 253
# the most objects in a list
_MOST_ROWS = 1000
# the longest text of a number
_LONGEST_NUMBER = 64

# an object of JSON, of which only the type of the keys is checked
Answer = Mapping[str, object]


class FactRow(Stated):
    """The place of a fact in a system's answer.

    `path` has the keys with slashes between them, `unit` the unit of the value. `note` is added to
    the source of the fact.
    """

    fact: str
    path: str
    unit: str
    note: str = ""


class LackingFacts(Stated):
    """Facts, separated by blanks, that a system's answers lack. Without a remedy the system's own
    remedy stands.
    """

    facts: str
    reason: str
    remedy: str | None = None


class SystemTable(Stated):
    """The facts of machines that one system's answers state or lack, as the head of
    `specs/common/systems.toml` explains. Only Kubernetes has the fields after `lacks`.
    """

    title: str
    command: str
    reason: str
    remedy: str
    prefix: str = ""
    rows: tuple[FactRow, ...] = ()
    lacks: tuple[LackingFacts, ...] = ()
    type_labels: tuple[str, ...] = ()
    pool_labels: tuple[str, ...] = ()
    hidden_sets: tuple[str, ...] = ()
    kept_labels: Mapping[str, str] = {}
    sets: Mapping[str, str] = {}


class SystemsTable(Stated):
    """The table `specs/common/systems.toml`.

    `system` has each system by name. `resting` has the words that say that a machine takes no new
    work. `class_labels` are the labels that may be kept where anybody may write any label.
    """

    schema: int
    as_of: str
    class_labels: tuple[str, ...]
    resting: tuple[str, ...]
    system: Mapping[str, SystemTable]
    expressions: Mapping[str, str]


def systems_table() -> SystemsTable:
    """The whole table."""
    return shipped_record(SystemsTable, "systems")


def table_of(system: str) -> SystemTable:
    """Return the table of one system's answers."""
    return systems_table().system[system]


# ------------------------------------------------------------------------------------------ texts


def plain(value: object, length: int = MAX_LABEL) -> str | None:
    """Return a text of an answer, cut to `length` and without characters that control a terminal;
    None for a value that is no text.
    """
    if not isinstance(value, str):
        return None
    text = shown(value[: 4 * length])
    return text.strip()[:length] or None


def is_address(name: str) -> bool:
    """Whether a name is nothing but an address of a network."""
    return expression("systems", "address").fullmatch(name) is not None


def machine_name(*candidates: object) -> str | None:
    """Return the first candidate that can name a machine. An address alone is no name; a name made
    of an address is.
    """
    for candidate in candidates:
        name = plain(candidate, MAX_NAME)
        if name is None or is_address(name):
            continue
        # not the address of a person or a URL
        if "@" not in name and "://" not in name:
            return name
    return None


def labels(prefix: str, pairs: Answer) -> dict[str, str]:
    """Return labels as `prefix.key`, at most MAX_LABELS of MAX_LABEL characters each. Private
    labels are left out.
    """
    kept: dict[str, str] = {}
    private = expression("systems", "private")
    for key, value in pairs.items():
        if len(kept) == MAX_LABELS:
            break
        name = plain(key)
        text = _label_text(value)
        if name is None or text is None:
            continue
        if not private.search(f"{name} {text}"):
            kept[f"{prefix}.{name}"] = text
    return kept


def _label_text(value: object) -> str | None:
    """The value of a label as one line. The items of a list have commas between them."""
    if not isinstance(value, list | tuple):
        return plain(value)
    texts = filter(None, map(plain, value[:MAX_LABELS]))
    return plain(",".join(texts))


# ------------------------------------------------------------------------------- objects and lists


def rows_of(value: object, *keys: str) -> list[Answer]:
    """The objects of a list below these keys, at most a thousand."""
    rows = []
    items = value_at(value, *keys)
    if isinstance(items, list):
        for item in items[:_MOST_ROWS]:
            if isinstance(item, Mapping):
                rows.append(item)
    return rows


# ---------------------------------------------------------------------------------------- numbers

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = {
    "": 1,
    "m": 0.001,
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "Ki": units.KIB,
    "Mi": units.MIB,
    "Gi": units.GIB,
    "Ti": 2**40,
    "Pi": 2**50,
}


def _number(value: object) -> int | float | None:
    """The number in a value, which may be a text (`25276510208`, `2.5e+10`, `129520107Ki`); None
    for any other value.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()[:_LONGEST_NUMBER]
    match = expression("systems", "number").fullmatch(text)
    if match is None:
        return None
    digits, unit = match.groups()
    if unit not in _QUANTITY:
        return None
    factor = _QUANTITY[unit]
    if digits.lstrip("+-").isdecimal():
        return int(digits) * factor
    return float(digits) * factor


def whole_number(
    value: object,
    unit: int = 1,
    *,
    least: int = 0,
    most: int = MAX_DISK_BYTES,
) -> int | None:
    """Return a whole number of units, stated as a number or as text; None for any other value, and
    for a number out of bounds.
    """
    number = _number(value)
    # NaN fails every comparison
    if number is None or not abs(number) <= most:
        return None
    size = int(number * unit)
    return size if least <= size <= most else None


def count_of(value: object) -> int | None:
    """Return a count from 1 to a million; None for any other value."""
    return whole_number(value, least=1, most=1_000_000)


def _cores(value: object) -> float | None:
    """The number of cores, maybe a fraction; None for any other value."""
    number = _number(value)
    if number is not None and 0.001 <= number <= 1_000_000:
        return float(number)
    return None


def _moment(value: object) -> str | None:
    """The time with its zone, as records have it; None for a time without a zone."""
    try:
        time = datetime.fromisoformat(plain(value) or "")
    except ValueError:
        return None
    if not time.tzinfo:
        return None
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _normal(normal: Callable[[str], str | None], value: object) -> str | None:
    """A name in the form of records, which `normal` gives; None for a value that is no text."""
    name = plain(value)
    return None if name is None else normal(name)


class Unit(Record):
    """A unit of `systems.toml`. `read` returns the value in the form of records; None for a wrong
    value. `noun` is the name of such a value in a fault; None where a wrong value is no fault.
    """

    read: Callable[[object], object]
    noun: str | None = None


_memory = partial(whole_number, most=MAX_MEMORY_BYTES)
UNITS = {
    "bytes": Unit(read=_memory, noun="size of memory"),
    "MiB": Unit(read=partial(_memory, unit=units.MIB), noun="size of memory"),
    "cores": Unit(read=_cores, noun="number of cores"),
    "count": Unit(read=count_of),
    "moment": Unit(read=_moment),
    "architecture": Unit(read=partial(_normal, normal_architecture)),
    "system": Unit(read=partial(_normal, normal_system)),
    "text": Unit(read=plain),
}
