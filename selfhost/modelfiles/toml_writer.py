"""The TOML text of a `ModelSpec`, by the keys that its records declare.

What goes in: the spec of a model that was read from its files. What comes out: the text of a spec
file, which `read_model_spec` reads back as the same spec, but for its origin and its tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..catalogue.architecture import LAYERS, Architecture, LayerPart, Places
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import QUANTIZATIONS
from ..core.records import Record

# a key that TOML accepts without quotes
_BARE = re.compile(r"(?a)[A-Za-z0-9_-]+")
# half of a surrogate pair, which Python puts into file names that are not UTF-8
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# numbers from here on get separators, as in 7_241_732_096
_LEAST_WITH_SEPARATORS = 1_000_000

# the values of a spec file by key
_Values = dict[str, object]


def spec_text(model: ModelSpec) -> str:
    """The TOML text: single values first, then the tables."""
    stated: _Values = {
        "id": model.id,
        "name": model.name,
        "modality": model.modality,
    }
    stated |= _stated(model)
    stated["files"] = _files(model)
    if model.architecture is not None:
        stated["architecture"] = _architecture(model.architecture)
    lines = []
    tables = []
    for key, part in stated.items():
        value = _stated(part) if isinstance(part, Record) else part
        if isinstance(value, dict):
            tables += ["", f"[{key}]", *_entries(value)]
        elif value != []:
            lines.append(_entry(key, value))
    return "\n".join([*lines, *tables, ""])


def _stated(record: Record) -> _Values:
    """The values of a record that differ from their defaults, by the keys of a spec file."""
    values = {}
    for field, key in type(record)._keys.items():
        name = key.name or field
        value = getattr(record, field)
        if value not in (None, key.default, ()):
            values[name] = value
    return values


def _files(model: ModelSpec) -> list[_Values]:
    """The files, with the sizes of the types that a spec can name."""
    listed = []
    for files in model.files:
        names = QUANTIZATIONS.get(files.format, ())
        sizes = {name: size for name, size in files.bytes.items() if name in names}
        if sizes or files.unsized:
            listed.append(_stated(files.replace(bytes=sizes)))
    return listed


def _architecture(model: Architecture) -> _Values:
    """The architecture, with a table for each group of equal layers."""
    program = "gguf" if model.runs_in_gguf else "transformers"
    stated: _Values = {program: model.row}
    stated |= _stated(model)
    for key in LAYERS:
        parts: Sequence[LayerPart] = getattr(model, key)
        rows = []
        for part in parts:
            row = _stated(part)
            if len(part.layers) < model.layers:
                row = {"at": _places(part.layers), **row}
            rows.append(row)
        if rows:
            stated[key] = rows
    return stated


def _places(places: Places) -> object:
    """The numbers of layers as `begin:end:step` where they are evenly spaced, else as they are."""
    first = places[0]
    end = places[-1] + 1
    step = places[1] - first if len(places) > 1 else 1
    if tuple(range(first, end, step)) == places:
        return f"{first}:{end}:{step}"
    return places


# keys and values in TOML's notation


def _entries(values: Mapping[str, object]) -> list[str]:
    """The entry of each key and value."""
    return [_entry(key, value) for key, value in values.items()]


def _entry(key: str, value: object) -> str:
    """The lines of a key and its value. A list has a line for each of its tables."""
    name = key if _BARE.fullmatch(key) else _value(key)
    if not isinstance(value, list):
        return f"{name} = {_value(value)}"
    lines = [f"{name} = ["]
    for row in value:
        lines.append(f"  {_value(row)},")
    lines.append("]")
    return "\n".join(lines)


def _value(value: object) -> str:
    """A value as TOML writes it: as JSON has it, but for tables, long numbers, and one more
    character with an escape.
    """
    import json  # only where a spec is written

    if isinstance(value, dict):
        entries = ", ".join(_entries(value))
        return f"{{ {entries} }}"
    if isinstance(value, int) and value >= _LEAST_WITH_SEPARATORS:
        return f"{value:_}"
    text = json.dumps(value, ensure_ascii=False)
    return _SURROGATE.sub("?", text).replace("\x7f", "\\u007F")
