"""Records read from JSON: the annotation of a field tells its kind, `limited` and `one_of` what it
may be. Every fault is told by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..core.errors import Faults, MachineFileError, Problem
from ..core.records import Record, pattern, read_by

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    Limits = Mapping[str, Any]

MAX_TEXT = 2000
MAX_WORD = 100
MAX_ENTRIES = 1000
# control characters and the marks that reorder text: nothing that is printed may hold them
UNPRINTABLE = pattern("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_HOUR_AND_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = pattern(
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    rf"T{_HOUR_AND_MINUTE}:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]{_HOUR_AND_MINUTE})"
)
_WHERE_UNKNOWN = "write null where it is not known"


def limited(least: float, most: float) -> Any:
    """Declare a number from `least` to `most`, in the unit that the field's name ends with."""
    return read_by(int, default=None, least=least, most=most)


def one_of(*choices: str) -> Any:
    """Declare a text that is one of these; of JSON any other is not known to this version."""
    return read_by(str, default=None, choices=choices)


def moment() -> Any:
    """Declare a time as `2026-10-01T12:00:00Z`."""
    return read_by(str, default=None, is_time=True)


def kind_of(record: type[Record], field: str) -> str:
    """The annotation of a field without `| None`: `int`, `tuple[Disk, ...]`."""
    return record._kinds[field].removesuffix(" | None")


def limits_of(record: type[Record], field: str) -> Limits:
    """What a field may be beside its kind: `least` and `most`, `choices`, `is_time`."""
    key = record._keys.get(field)
    return {} if key is None else key.limits


class Reader:
    """Gathers every problem of one record; `error()` has them all.

    `file` is how problems call the record, `text` what it was decoded from, "" where nobody knows:
    it tells the line of a key. `parts`: by name the records that lists may hold.
    """

    def __init__(self, file: str, text: str = "", parts: Mapping[str, Any] | None = None) -> None:
        self.file = file
        self.text = text
        self.parts = parts or {}
        self.problems = Faults(file)

    def problem(
        self, key: str | None, message: str, remedy: str | None = None, line: int | None = None
    ) -> None:
        """One more fault. Without a `line` that of the key is looked for."""
        if line is None and key is not None and not self.problems.full:
            # certain only where the quoted key stands once in the whole file
            before, at, behind = self.text.partition(f'"{key}"')
            line = before.count("\n") + 1 if at and at not in behind else None
        self.problems.append(
            Problem(file=self.file, line=line, key=key, message=message, remedy=remedy)
        )

    def error(self) -> MachineFileError:
        return MachineFileError(self.problems.problems)

    def read(self, record: type[Record], json_object: Mapping[str, Any], place: str = "") -> Any:
        """The values of a record's fields in a JSON object; what is absent or faulty is left out,
        and a problem where it is needed. `place` stands before the key in problems, `disks[0].`.
        """
        values: dict[str, Any] = {}
        for name in record._fields:
            value, where = json_object.get(name), place + name
            if value is not None:
                kind, limits = kind_of(record, name), limits_of(record, name)
                value = self._value(kind, value, where, limits)
                values |= {} if value is None else {name: value}
            elif name not in record._defaults:
                self.problem(where, "is missing")
        return values

    def _value(self, kind: str, value: Any, where: str, limits: Limits) -> Any:
        read = _READERS.get(kind)
        return (
            self._records(kind, value, where) if read is None else read(self, value, where, limits)
        )

    def _records(self, kind: str, value: Any, where: str) -> tuple[Record, ...] | None:
        """Each object of a list as a record of the kind in `tuple[Disk, ...]`."""
        if not isinstance(value, list | tuple):
            self.problem(where, f"must be a list of objects, not {kind_in_json(value)}")
            return None
        if len(value) > MAX_ENTRIES:
            self.problem(where, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
            return None
        record = self.parts[kind.removeprefix("tuple[").removesuffix(", ...]")]
        kept = []
        for index, entry in enumerate(value):
            place = f"{where}[{index}]"
            if not isinstance(entry, Mapping):
                self.problem(place, f"must be an object, not {kind_in_json(entry)}")
                continue
            values = self.read(record, entry, f"{place}.")
            self.is_above(values, "memory_free_bytes", "memory_total_bytes", f"{place}.")
            if not self.problems:
                kept.append(record(**values))
        return tuple(kept)

    def is_above(self, values: Mapping[str, Any], lower: str, upper: str, place: str = "") -> bool:
        """Whether the one is above the other, which it must not be: a problem then."""
        small, large = values.get(lower), values.get(upper)
        if small is None or large is None or small <= large:
            return False
        message = f"is {small}, above {upper}, which is {large}"
        self.problem(place + lower, message, f"it can be at most {large}")
        return True

    def check(self, record: type[Record], values: dict[str, Any]) -> None:
        """The values of a record that a program makes: whole floats become int and lists tuples; a
        wrong type or size is a problem.
        """
        for name, value in values.items():
            if value is None and record._defaults.get(name, "") is None:
                continue
            kind, limits = (
                record._kinds.get(name, "").removesuffix(" | None"),
                limits_of(record, name),
            )
            if kind in ("int", "float"):
                values[name] = self._value(kind, value, name, limits)
            elif kind.startswith("tuple"):
                self._check_entries(kind, name, values)
            elif kind and not isinstance(value, _TYPES[kind][0]):
                self.problem(name, f"must be {_TYPES[kind][1]}, not {kind_in_json(value)}")
            elif "choices" in limits and value not in limits["choices"]:
                listed = ", ".join(limits["choices"])
                self.problem(name, f"is {kind_in_json(value)}", f"write one of {listed}")

    def _check_entries(self, kind: str, name: str, values: dict[str, Any]) -> None:
        entry = self.parts.get(kind.removeprefix("tuple[").removesuffix(", ...]"), str)
        if not isinstance(values[name], tuple | list):
            what = kind_in_json(values[name])
            self.problem(name, f"must be a tuple of {entry.__name__}, not {what}")
        elif any(type(each) is not entry for each in values[name]):
            self.problem(name, f"must hold nothing but {entry.__name__}")
        else:
            values[name] = tuple(values[name])


_TYPES: Mapping[str, tuple[Any, str]] = {
    "bool": (bool, "True or False"),
    "Mapping[str, str]": (Mapping, "an object of strings"),
    "str": (str, "a string"),
}


def _text(reader: Reader, value: Any, where: str, limits: Limits) -> str | None:
    if not isinstance(value, str):
        reader.problem(where, f"must be a string, not {kind_in_json(value)}")
    elif not value.strip():
        reader.problem(where, "is empty", f"leave it out or {_WHERE_UNKNOWN}")
    elif len(value) > MAX_TEXT:
        reader.problem(where, f"is {len(value)} characters long", f"at most {MAX_TEXT}")
    elif UNPRINTABLE.search(value):
        reader.problem(where, "holds control characters", "write plain text")
    elif "is_time" in limits and not _TIME.fullmatch(value):
        example = "write for example 2026-10-01T12:00:00Z"
        reader.problem(where, f'is "{_short(value)}", not a time', example)
    elif value in limits.get("choices", (value,)):
        return value
    return None


def _whole(reader: Reader, value: Any, where: str, limits: Limits) -> int | None:
    in_bytes = "write whole bytes, for example 17179869184 for 16 GiB"
    remedy = in_bytes if where.endswith("_bytes") else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        reader.problem(where, f"must be a whole number, not {kind_in_json(value)}", remedy)
    elif value < 0:
        message = f"is {_long(value)}: it cannot be negative"
        reader.problem(where, message, remedy or _WHERE_UNKNOWN)
    elif value < limits["least"]:
        reader.problem(where, f"is {value}: it must be at least {limits['least']}", _WHERE_UNKNOWN)
    elif value > limits["most"]:
        reader.problem(where, f"is {_long(value)}: no machine has that", remedy)
    else:
        return value
    return None


def _number(reader: Reader, value: Any, where: str, limits: Limits) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        reader.problem(where, f"must be a number, not {kind_in_json(value)}")
    elif not limits["least"] <= value <= limits["most"]:
        shown = _long(value) if isinstance(value, int) else value
        least, most = limits["least"], limits["most"]
        reader.problem(where, f"is {shown}: it must be from {least} to {most}")
    else:
        return float(value)
    return None


def _flag(reader: Reader, value: Any, where: str, limits: Limits) -> bool | None:
    if isinstance(value, bool):
        return value
    reader.problem(where, f"must be true, false or null, not {kind_in_json(value)}")
    return None


def _names(reader: Reader, value: Any, where: str, limits: Limits) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple):
        reader.problem(where, f"must be a list, not {kind_in_json(value)}")
        return None
    for index, word in enumerate(value):
        is_name = isinstance(word, str) and 0 < len(word) <= MAX_WORD
        if not is_name or UNPRINTABLE.search(word):
            message = f"must be a short name such as avx2, not {kind_in_json(word)}"
            reader.problem(f"{where}[{index}]", message)
            return None
    return tuple(value)


def _strings(reader: Reader, value: Any, where: str, limits: Limits) -> dict[str, str]:
    texts: dict[str, str] = {}
    if not isinstance(value, Mapping):
        reader.problem(where, f"must be an object of strings, not {kind_in_json(value)}")
    elif len(value) > MAX_ENTRIES:
        reader.problem(where, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
    else:
        for name, each in value.items():
            if not isinstance(name, str) or UNPRINTABLE.search(name) or len(name) > MAX_TEXT:
                reader.problem(where, "has a name with control characters or of undue length")
            elif each is not None:
                text = _text(reader, each, f"{where}.{name}", {})
                texts |= {} if text is None else {name: text}
    return texts


_READERS: Mapping[str, Callable[[Reader, Any, str, Limits], Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bool": _flag,
    "tuple[str, ...]": _names,
    "Mapping[str, str]": _strings,
}


def checked_name(text: str, key: str = "name") -> str:
    """`text`, if a record may hold it as its name or a label; else `MachineFileError` that
    names `key` and says what to write.
    """
    reader = Reader("machine")
    checked = _text(reader, text, key, {})
    if checked is None:
        message = reader.problems.first[0].message
        remedy = f"give it 1 to {MAX_TEXT} characters of plain text, without line breaks"
        raise MachineFileError([Problem(file="machine", key=key, message=message, remedy=remedy)])
    return checked


def kind_in_json(value: object) -> str:
    """What a value is in the words of JSON, for a message: `the string "x"`, `a list`, `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the string "{_short(value)}"'
    if isinstance(value, int):
        return f"the number {_long(value)}"
    if isinstance(value, float):
        return f"the number {value}"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else "something else"


def _short(text: str) -> str:
    clean = UNPRINTABLE.sub("?", text[:61])
    return clean if len(clean) <= 60 else clean[:59] + "…"


def _long(value: int) -> str:
    """A number that may have thousands of digits, which `str` refuses to print."""
    return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"


def doubled_keys(reader: Reader, keys: Sequence[str], more: int = 0) -> None:
    """Keys that stand twice in one object, and how many more do."""
    for key in keys:
        reader.problem(_short(key), "stands twice in one object", "keep one")
    reader.problems.more += more
