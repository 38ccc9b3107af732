"""The JSON schemas of the files that people write: a policy and a spec. `schemas.py` writes them.

What goes in: the types and limits of the records that a file is read into, the rules of
`specs/common/model_files.toml`, and the schemas of today. What comes out: `selfhost/schemas/policy-1.json`
and `spec-1.json`, for editors, with all rules as the program has them. The descriptions stay: they
are written by hand in the schemas. `tests/reports/test_schemas.py` compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import selfhost
from selfhost.audit import policy
from selfhost.audit.policy import (
    ASKED,
    FACT_KEYS,
    Exemption,
    MachineClass,
    Policy,
    Wanted,
)
from selfhost.catalogue.architecture import LAYERS, Architecture
from selfhost.catalogue.spec import License, ModelSpec, PublishedFiles, StatedNeeds
from selfhost.catalogue.spec_rules import KindRule, LayerKeys, SpecRule
from selfhost.catalogue.spec_values import QUANTIZATIONS
from selfhost.core.records import Record, TextForm
from selfhost.core.tables import (
    FileField,
    Shape,
    file_fields,
    shape_of,
    shipped_record,
    shipped_rows,
)
from selfhost.core.workload import Workload
from selfhost.machine.clusters import MOST_MACHINES
from selfhost.machine.platforms import platforms
from selfhost.machine.record import MAX_CORES, MIN_CORES

Schema = dict[str, Any]
FOLDER = Path(selfhost.__file__).parent / "schemas"
_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_TEXT: Schema = {"type": "string", "pattern": r"\S"}
_WIDTH = 100


def path_of(name: str) -> Path:
    """Return the file of a schema: `spec/1` is in `spec-1.json`."""
    return FOLDER / f"{name.replace('/', '-')}.json"


def text_of(name: str) -> str:
    """Return a schema as its file holds it, with the descriptions of its file."""
    today = json.loads(path_of(name).read_text(encoding="utf-8"))
    head = {key: value for key, value in today.items() if isinstance(value, str)}
    schema = {**head, **SCHEMAS[name]()}
    _describe(schema, today)
    return _printed(schema) + "\n"


def _describe(schema: Schema, today: Schema) -> None:
    """Give each key of a schema the description that it has today."""
    parts_of_today = dict(_parts(today))
    for name, part in _parts(schema):
        before = parts_of_today.get(name, {})
        if "description" in before:
            part["description"] = before["description"]
        _describe(part, before)


def _parts(schema: Schema) -> Iterable[tuple[str, Schema]]:
    """Yield the schemas of the keys of a table, of other keys, and of the entries of a list."""
    yield from schema.get("properties", {}).items()
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield name, schema[name]


def _printed(value: object, indent: str = "") -> str:
    """The value as JSON: on one line where that is short, and where it holds texts alone."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(indent) + len(line) <= _WIDTH:
        return line
    if isinstance(value, list) and isinstance(value[0], str):
        return line
    deeper = f"{indent}  "
    if isinstance(value, list):
        lines = [f"{deeper}{_printed(entry, deeper)}" for entry in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    lines = []
    for key, entry in value.items():
        lines.append(f"{deeper}{json.dumps(key)}: {_printed(entry, deeper)}")
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


# the types and limits of records


def _table_of(kind: type[Record]) -> Schema:
    """The schema of a table that is read as a record."""
    fields = file_fields(kind)
    properties = {key: _value_of(field) for key, field in fields.items()}
    required = [key for key, field in fields.items() if field.is_required]
    return _table(properties, required)


def _table(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    """The schema of a table with these keys and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _value_of(field: FileField) -> Schema:
    """The schema of the value of a field."""
    stated = field.stated
    if stated.read is not None:
        return _READ_APART[stated.read.__name__]()
    schema = _of_shape(field.shape, stated.limits)
    if isinstance(stated.default, str | bool | int | float):
        schema["default"] = stated.default
    return schema


def _of_shape(shape: Shape, limits: Mapping[str, Any]) -> Schema:
    """The schema of a value of that type, within the limits of `fault_of`."""
    match shape.outer:
        case "str":
            return _of_text(limits)
        case "int" | "float":
            schema: Schema = {"type": _TYPES[shape.outer]}
            schema["minimum"] = limits.get("minimum", 0)
            if "maximum" in limits:
                schema["maximum"] = limits["maximum"]
            return schema
        case "bool":
            return {"type": "boolean"}
        case "tuple" | "frozenset":
            assert shape.inner is not None
            return {"type": "array", "items": _of_shape(shape.inner, limits)}
        case "Mapping":
            assert shape.inner is not None
            inner = _of_shape(shape.inner, limits)
            return {"type": "object", "additionalProperties": inner}
        case "Record":
            assert shape.kind is not None
            return _files() if shape.kind is PublishedFiles else _table_of(shape.kind)
    return {}


def _of_text(limits: Mapping[str, Any]) -> Schema:
    if "choices" in limits:
        return {"enum": list(limits["choices"])}
    form: TextForm | None = limits.get("form")
    if form is None:
        return dict(_TEXT)
    return {"type": "string", "pattern": f"^(?:{_portable(form.pattern)})$"}


def _portable(pattern: str) -> str:
    """An expression of Python as JavaScript writes it: without flags and names of groups."""
    pattern = pattern.replace("(?a)", "").replace("(?P<date>", "(?:")
    pattern = pattern.replace(r"\d", "[0-9]")
    if pattern.startswith("(?i)"):
        scheme, separator, rest = pattern.removeprefix("(?i)").partition(":")
        letters = re.sub("[a-z]", lambda letter: _in_both_cases(letter[0]), scheme)
        return letters + separator + rest
    return pattern


def _in_both_cases(letter: str) -> str:
    return f"[{letter.upper()}{letter}]"


# a policy


def _policy() -> Schema:
    schema = _table_of(Policy)
    classes = schema["properties"].pop("class")
    schema["properties"] = {
        "schema": {"const": policy.SCHEMA},
        **schema["properties"],
        "model": {"type": "array", "items": _model()},
        "together": {"type": "array", "items": _together()},
        "class": classes,
        "exception": {"type": "array", "items": _table_of(Exemption)},
    }
    schema["required"] = ["schema"]
    schema["anyOf"] = []
    for key in ("model", "together"):
        is_stated = {"required": [key], "properties": {key: {"minItems": 1}}}
        schema["anyOf"].append(is_stated)
    return schema


def _model() -> Schema:
    """A `[[model]]`: a name, fields of a `Workload`, and where the model must run."""
    properties = {"name": dict(_TEXT)}
    for field in ASKED:
        shape = shape_of(Workload._annotations[field])
        properties[field] = _of_shape(shape, policy.LIMITS[field])
    properties.update(_table_of(Wanted)["properties"])
    properties["require_runtime"] = {"type": "boolean", "default": False}
    joined = {"type": "integer", "minimum": 2, "maximum": MOST_MACHINES}
    properties["joined"] = joined
    properties["link"] = dict(_TEXT)
    return _table(properties, ["name"])


def _together() -> Schema:
    models = {
        "type": "array",
        "minItems": 2,
        "maxItems": policy.MOST_TOGETHER,
        "items": dict(_TEXT),
    }
    return _table(
        {"models": models, **_table_of(Wanted)["properties"]},
        ["models"],
    )


def _selectors() -> Schema:
    one = {
        "type": "string",
        "pattern": r"^\s*(class:.+|host:.+|label:[^=]+=.+)$",
    }
    return {"type": "array", "minItems": 1, "items": one}


def _bounds() -> Schema:
    bound = f"({'|'.join(policy.BOUNDS)})\\s*[0-9][^,]*"
    return {"type": "string", "pattern": f"^\\s*{bound}(,\\s*{bound})*$"}


def _architecture_of_machine() -> Schema:
    return {**_TEXT, "not": {"enum": list(platforms().architectures)}}


def _facts() -> Schema:
    properties = {}
    for key in FACT_KEYS:
        properties[key] = dict(_TEXT)
    cores = {"minimum": MIN_CORES, "maximum": MAX_CORES}
    properties["cores"] = _of_shape(shape_of("float"), cores)
    properties["instruction_sets"] = {"type": "array", "items": dict(_TEXT)}
    return _table(properties)


def _needs_of_policy() -> Schema:
    properties = {need: {"type": "boolean", "default": False} for need in policy.NEEDS}
    return _table({**properties, "license": dict(_TEXT)})


def _classes() -> Schema:
    return {"type": "array", "items": _table_of(MachineClass)}


# a spec


def _spec() -> Schema:
    schema = _table_of(ModelSpec)
    schema["properties"] = {"schema": {"const": 1}, **schema["properties"]}
    schema["$defs"] = {}
    for format, names in QUANTIZATIONS.items():
        schema["$defs"][format] = {"enum": list(names)}
    schema["allOf"] = []
    for rule in shipped_rows(SpecRule, "model_files", "spec_rules").values():
        for place in rule.at:
            schema["allOf"].append({"not": _broken(rule, place)})
    return schema


def _broken(rule: SpecRule, place: str) -> Schema:
    """A spec that breaks a rule at a place."""
    conditions = []
    if rule.closed is not None:
        is_closed = _stands("openness.weights=closed")
        conditions.append(is_closed if rule.closed else {"not": is_closed})
    for key in rule.has:
        conditions.append(_stands(place if key == "." else key))
    for key in rule.lacks:
        is_unknown = _stands_in(["unknown", key], {})
        conditions.append({"not": {"anyOf": [_stands(key), is_unknown]}})
    return {"allOf": conditions}


def _stands(key: str) -> Schema:
    """A spec that states the key, perhaps with the beginning of its value after `=`."""
    name, _, beginning = key.partition("=")
    value = {"type": "string", "pattern": f"^{re.escape(beginning)}"}
    return _stands_in(name.split("."), value if beginning else {})


def _stands_in(keys: list[str], value: Schema) -> Schema:
    key, *inner = keys
    part = _stands_in(inner, value) if inner else value
    return {"type": "object", "required": [key], "properties": {key: part}}


def _license() -> Schema:
    return {**_table_of(License), "type": ["string", "object"]}


def _embedding() -> Schema:
    length = {"type": "integer", "minimum": 1}
    return _table({"length": length}, ["length"])


def _needs() -> Schema:
    schema = _table_of(StatedNeeds)
    memory = {"memory_bytes": dict(schema["properties"]["low_bytes"])}
    schema["properties"] = {**memory, **schema["properties"]}
    return schema


def _architecture() -> Schema:
    schema = _table_of(Architecture)
    row = {"gguf": dict(_TEXT), "transformers": dict(_TEXT)}
    lists = {}
    for name in LAYERS:
        lists[name] = {"type": "array", "items": _layer(name)}
    schema["properties"] = {**row, **schema["properties"], **lists}
    return schema


def _layer(name: str) -> Schema:
    """A line of a list of layers: what its kind requires and allows, and which keys need others."""
    kind = LAYERS[name]
    schema = _table_of(kind)
    schema["properties"] = {"at": dict(_AT), **schema["properties"]}
    rules = shipped_record(LayerKeys, "model_files", "layer_keys")
    needed = {}
    for key, other in rules.beside.items():
        if key in schema["properties"] and other in schema["properties"]:
            needed[key] = [other]
    schema["dependentRequired"] = needed
    of_kinds: Mapping[str, Mapping[str, KindRule]] = {
        "attention": rules.attention,
        "recurrent": rules.recurrent,
    }
    kinds = []
    for value, rule in of_kinds.get(name, {}).items():
        is_kind: Schema = {"properties": {"kind": {"const": value}}}
        if kind._defaults.get("kind") != value:
            is_kind["required"] = ["kind"]
        keys = [*rule.required, *rule.allowed, *rules.of_all_kinds]
        has_keys = {
            "required": list(rule.required),
            "propertyNames": {"enum": keys},
        }
        kinds.append({"if": is_kind, "then": has_keys})
    if kinds:
        schema["allOf"] = kinds
    return schema


# the layers that a line names: a slice as in Python, or a list of numbers
_AT: Schema = {
    "anyOf": [
        {"type": "string", "pattern": "^[0-9]{0,9}:[0-9]{0,9}(:[0-9]{0,9})?$"},
        {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 1,
            "uniqueItems": True,
        },
    ]
}


def _files() -> Schema:
    """The files of a publisher, whose quantizations are those of the format."""
    schema = _table_of(PublishedFiles)
    schema["properties"]["bytes"]["minProperties"] = 1
    schema["properties"]["unsized"]["minItems"] = 1
    schema["anyOf"] = [
        {"required": ["bytes"]},
        {"required": ["unsized", "repository"]},
    ]
    schema["allOf"] = []
    for format in QUANTIZATIONS:
        is_format = {"properties": {"format": {"const": format}}}
        of_format = {"$ref": f"#/$defs/{format}"}
        known = {"bytes": {"propertyNames": of_format}, "unsized": {"items": of_format}}
        schema["allOf"].append({"if": is_format, "then": {"properties": known}})
    return schema


SCHEMAS: Mapping[str, Callable[[], Schema]] = {"policy/1": _policy, "spec/1": _spec}
# values that a function of their own reads, by the name of that function
_READ_APART: Mapping[str, Callable[[], Schema]] = {
    "_architecture": _architecture_of_machine,
    "_bounds": _bounds,
    "_classes": _classes,
    "_embedding": _embedding,
    "_facts": _facts,
    "_license": _license,
    "_needs": _needs,
    "_selectors": _selectors,
    "read_architecture": _architecture,
    "read_needs": _needs_of_policy,
}
