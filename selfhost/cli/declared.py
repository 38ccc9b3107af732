"""The options and words of each command: `specs/common/options.toml`, with what the fields of a
`Workload` may be, and how the command line reads a value.
"""

from __future__ import annotations

from typing import Any

from ..catalogue.spec_values import MODALITIES, OPENNESS, USES
from ..core.quantities import (
    parse_bytes,
    parse_count,
    parse_number,
    parse_rate,
    parse_seconds,
    parse_tokens,
    parse_whole,
)
from ..core.tables import shipped_table
from ..core.units import MIB, binary
from ..core.workload import Load, Workload, cache_type


def _tokens(text: str) -> int:
    if "," in text and any(letter.isalpha() for letter in text):
        raise ValueError("takes one number, such as 8192 or 8k")
    return parse_tokens(text)


def _size_bytes(text: str) -> int:
    size = parse_bytes(text)
    # nothing here is counted in bytes: 8 was meant as 8 GB or GiB
    if text.strip().isdecimal() and 0 < size < MIB:
        raise ValueError(
            f"{text!r} is {binary(size)}: the unit is missing, write for example 16GiB or 16GB"
        )
    return size


def _day(text: str) -> str:
    from datetime import date

    day = date.fromisoformat(text).isoformat()
    if day != text:
        raise ValueError(f"write {day}")
    return day


def _rows(text: str) -> int:
    rows = parse_whole(text)
    if rows < 1:
        raise ValueError(f"must be at least 1, not {rows}")
    return rows


_TYPES = {
    "tokens": _tokens, "size": _size_bytes, "day": _day, "rows": _rows, "cache": cache_type,
    "count": parse_count, "number": parse_number, "rate": parse_rate, "seconds": parse_seconds,
    "whole": parse_whole,
}  # fmt: skip
_CHOICES = {"--modality": MODALITIES, "--use": USES, "--openness": OPENNESS}
# the field of a Workload, else of a Load, behind each option
_FIELDS = {key.name: (name, key) for of in (Load, Workload) for name, key in of._keys.items()}


def option_names(text: str) -> list[str]:
    """Return the options of a list of options and groups; the names of one have a blank between
    them.
    """
    groups = shipped_table("options")["groups"]
    words = " ".join(groups.get(word, word) for word in text.split()).split()
    return [word.replace("/", " ") for word in words]


def formats_of(command: str) -> tuple[str, ...]:
    """Return the formats in which a command answers."""
    if command == "audit":
        from ..reports.audit_formats import FORMATS

        return tuple(FORMATS)
    return ("text", "json", *shipped_table("options")["formats"].get(command, ()))


def arguments(command: str) -> dict[str, dict[str, Any]]:
    """Return the words and options of a command, in the order of its help, with their settings as
    argparse names them.
    """
    table = shipped_table("options")
    words = {name: {"metavar": None, **row} for name, row in table["words"][command].items()}
    options = {names: _settings(names.split()) for names in option_names(table["taken"][command])}
    if "--format" in options:
        formats, several = formats_of(command), command == "audit"
        listed = f"{', '.join(formats)} (--json for short)"
        options["--format"] = {
            "metavar": "NAME", "help": listed, "choices": formats, "default": "text"
        }  # fmt: skip
        if several:
            listed += "; =FILE writes it there"
            options["--format"] = {
                "metavar": "NAME[=FILE]", "help": listed, "action": "append", "default": []
            }  # fmt: skip
        kind = {"action": "append_const"} if several else {"nargs": 0}
        json = {"--json": {**kind, "dest": "format", "const": "json", "help": None}}
        options = {**options, **json}
    return {**words, **options}


def _settings(names: list[str]) -> dict[str, Any]:
    """Return those of one option; a field of a record has its default and choices from there."""
    rows = shipped_table("options")["option"]
    flag = next((name for name in names if name in rows), "")
    settings = dict(rows.get(flag, {}))
    if "metavar" not in settings:
        settings.setdefault("action", "store_true")
    elif settings.get("action") == "append":
        settings["default"] = []
    if "type" in settings:
        settings["type"] = _TYPES[settings["type"]]
    field, stated = _FIELDS.get(flag, (None, None))
    choices = _CHOICES.get(flag, ())
    if field is not None and stated is not None:
        settings["dest"] = field
        choices = stated.limits.get("choices", ())
        if isinstance(stated.default, str | int) and stated.default is not False:
            settings["default"] = stated.default
    if choices:
        settings.setdefault("choices", choices)
        settings["help"] = settings["help"].replace("{choices}", ", ".join(choices))
    return settings
