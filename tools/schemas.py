"""Writes the JSON schemas of what the program prints, from the annotations of its records.

`python tools/schemas.py` writes selfhost/schemas; `tests/reports/test_schemas.py` compares. An audit
has a schema of its own, written by hand, in which the lists of values, `ENUMS`, are filled in.
`file_schemas.py` makes the schemas of files that people write: a policy and a spec.
"""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import file_schemas
import selfhost
from selfhost.audit.policy import FAIL_ON, ON_UNKNOWN, SEVERITIES
from selfhost.audit.rows import Result
from selfhost.core.records import Record
from selfhost.judge import Route
from selfhost.judge.checks import CHECKS, Outcome
from selfhost.reports.json import keys_of

Kind = TypeVar("Kind")
FOLDER = Path(selfhost.__file__).parent / "schemas"
_SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_TEXTS = "tuple[str, ...]"
_PROFILE = "name short title kind"
_ERRORS = {"errors": "tuple[NotJudged, ...]", "errors_not_listed": "int"}
# objects that no record is alone: keys of a record with the type there, then others with theirs; a
# key that is there at times alone has a "?" before it
OBJECTS: dict[str, dict[str, str]] = {
    "Model": {"@ModelSpec": keys_of("model"), "license": "str | None"},
    "ListedModel": {
        "@ModelSpec": f"{keys_of('model')} uses tuned_from",
        "license": "str | None",
    },
    "Listed": {
        "model": "ListedModel",
        "@Verdict": keys_of("listed"),
        "quality": "ListedQuality | None",
    },
    "ListedQuality": {"@ModelQuality": keys_of("listed quality")},
    "Ends": {"low_bytes": "int", "high_bytes": "int"},
    "JoiningLink": {
        "@Link": "name title transport gigabits_per_second",
        "assumed": "bool",
    },
    "MachinePart": {
        "machine": "str",
        "layers": "int | None",
        "memory": "Sizes | None",
        "disk_bytes": "int | None",
        "findings": "tuple[Finding, ...]",
    },
    "MachineAlone": {
        "machine": "str",
        "can_run": "bool",
        "@Workload": "runtime quantization",
        "judged_tokens_per_second": "Range | None",
    },
    "Sizes": {"@MemoryNeed": "total_bytes low_bytes high_bytes"},
    "Range": {"low": "float", "likely": "float", "high": "float"},
    "Processor": {"architectures": _TEXTS, "instruction_sets": _TEXTS},
    "NeedsOf": {
        "@Needs": keys_of("needs"),
        "download_range": "Ends | None",
        "cpu": "Processor",
    },
    "Answered": {
        "@OpennessRow": "name why sources assumed",
        "answer": "str | None",
        "parts": "tuple[Answered, ...]",
    },
    "Compared": {
        "openness": "tuple[Answered, ...]",
        "permissions": "tuple[Answered, ...]",
        "verdict": "verdict/1",
    },
    "NotJudged": {
        "asked": "str",
        "error": "str",
        "message": "str",
        "kind": "str | None",
        "nearest": _TEXTS,
        "problems": "tuple[Problem, ...]",
        "remedy": "str | None",
    },
    "LeastMachine": {
        "@LeastMachine": "memory_bytes reserve_bytes disk_bytes bandwidth_bytes_per_second",
        "cpu": "LeastCpu",
        "accelerator": "LeastGpu",
        "machine": "machine/1",
    },
    "LeastGpu": {"@LeastAccelerator": "required memory_bytes memory_beside_bytes"},
    "KnownMachine": {"@KnownMachine": keys_of("KnownMachine")},
    "ListedProfile": {
        "@Profile": f"{_PROFILE} source note",
        "confidence": "str | None",
        "machine": "machine/1",
    },
    "Container": {
        "@ContainerSize": keys_of("ContainerSize").replace(" model accelerators", ""),
        "model": "Model",
        "accelerators": "tuple[Card, ...]",
    },
    "Card": {"vendor": "str", "name": "str | None", "memory_bytes": "int"},
    "Total": {
        **dict.fromkeys(("request_bytes", "unreclaimable_bytes", "limit_bytes"), "int"),
        **dict.fromkeys(("page_cache_bytes", "accelerators"), "int"),
        "disk_bytes": "int | None",
    },
    "VerifiedModel": {
        **dict.fromkeys(("id", "architecture"), "str | None"),
        "known_by": "str",
        **dict.fromkeys(("layers", "embedding_length", "vocabulary"), "int | None"),
        "@ModelSpec": "parameters_total parameters_active",
        "@Workload": "runtime quantization",
    },
    "VerifiedRun": {"@Run": keys_of("run")},
    "VerifiedMachine": {
        "@Machine": "system architecture scope cpu_model cpu_cores_usable cpu_cores_physical"
        " instruction_sets memory_total_bytes memory_bandwidth_bytes_per_second",
        "memory_bandwidth_bound": "str | None",
        "accelerators": "tuple[VerifiedCard, ...] | None",
    },
    "VerifiedCard": {"@Accelerator": "vendor name memory_total_bytes unified"},
    "VerifiedFigure": {
        "@Figure": keys_of("figure"),
        "predicted": "Range | None",
        "seen": "float",
        "difference": "float | None",
    },
}
DOCUMENTS: dict[str, dict[str, str]] = {
    "compare/1": {"models": "tuple[Compared, ...]"},
    "error/1": {
        **{key: kind for key, kind in OBJECTS["NotJudged"].items() if key != "asked"},
        "exit_code": "int",
    },
    "list/1": {
        "machine": "machine/1",
        "models": "tuple[Listed, ...]",
        "ruled_out": "int",
        "catalogue_as_of": "str | None",
        "notes": _TEXTS,
    },
    "machine/1": {"@Machine": ""},
    "model/1": {
        "spec": "ModelSpec",
        "openness": "tuple[Answered, ...]",
        "permissions": "tuple[Answered, ...]",
        "quality": "ShownQuality",
        "sizes": "tuple[QuantizationSize, ...]",
        "verdict": "verdict/1",
    },
    "plan/1": {
        "asked": "str",
        "model": "Model",
        "workload": "Workload",
        "exit_code": "int",
        "needs": "NeedsOf | None",
        "download_seconds": "float | None",
        "least": "LeastMachine | None",
        "reasons": "tuple[Finding, ...]",
        "machines": "tuple[KnownMachine, ...]",
        "joined": "tuple[JoinedMachines, ...]",
        "notes": _TEXTS,
    },
    "profiles/1": {"profiles": "tuple[ListedProfile, ...]"},
    "size/1": {
        "exit_code": "int",
        "containers": "tuple[Container, ...]",
        "total": "Total",
        **_ERRORS,
    },
    "spec-check/1": {
        "good": _TEXTS,
        "problems": "tuple[Problem, ...]",
        "exit_code": "int",
    },
    "verdict/1": {
        "@Verdict": "asked workload route can_run can_download exit_code download_seconds here"
        " speed waits findings room alternatives api_offers"
        " setup commands commands_class notes",
        "quality": "ModelQuality | None",
        "model": "Model",
        "machine": "machine/1",
        "faster": "tuple[FasterSetting, ...]",
        "monthly_cost": "MonthlyCost | None",
        "shutdown": "Shutdown | None",
        "needs": "NeedsOf | None",
        "?machines": _TEXTS,
        "?machines_used": "int",
        "?link": "JoiningLink",
        "?split": "str | None",
        "?per_machine": "tuple[MachinePart, ...]",
        "?alone": "tuple[MachineAlone, ...]",
    },
    "verdicts/1": {"exit_code": "int", "verdicts": "tuple[verdict/1, ...]", **_ERRORS},
    "verify/1": {
        "@Verification": "outcome exit_code notes",
        "model": "VerifiedModel",
        "run": "VerifiedRun",
        "machine": "VerifiedMachine",
        "placement": "str | None",
        "differences": "tuple[VerifiedFigure, ...]",
        "speed_how": "str | None",
    },
}
# what is read of a machine follows from no catalogue
_WITHOUT_CATALOGUE = ("machine/1",)
# fields of a machine's record that its JSON leaves out
_NOT_IN_MACHINE = ("is_this_one", "measured_in_vain")
# keys of a machine's JSON that are there where its bandwidth is assumed or bounded alone
_AT_TIMES = ("memory_bandwidth_how", "memory_bandwidth_bound")
# of schemas written by hand: the lists of values, each by its place there
ENUMS: dict[str, dict[str, Sequence[str]]] = {
    "audit/1": {
        "$defs/check": CHECKS,
        "properties/policy/properties/fail_on": FAIL_ON,
        "properties/policy/properties/on_unknown": ON_UNKNOWN,
        "properties/policy/properties/models/items/properties/severity": SEVERITIES,
        "properties/verdicts/items/properties/severity": SEVERITIES,
        "properties/verdicts/items/properties/route": list(Route),
        "properties/verdicts/items/properties/result": list(Result),
        "properties/verdicts/items/properties/findings/items/properties/outcome": list(
            Outcome
        ),
    },
}


def main() -> None:
    """Write each schema to its file."""
    for name in DOCUMENTS:
        path_of(name).write_text(text_of(name), encoding="utf-8")
    for name in ENUMS:
        path_of(name).write_text(text_with_enums(name), encoding="utf-8")
    for name in file_schemas.SCHEMAS:
        path_of(name).write_text(file_schemas.text_of(name), encoding="utf-8")


def path_of(name: str) -> Path:
    """Return the file of a schema: `verdict/1` is in `verdict-1.json`."""
    return FOLDER / f"{name.replace('/', '-')}.json"


def text_with_enums(name: str) -> str:
    """Return the schema that is written by hand in its file, with its lists of values filled in.
    Raises `KeyError` where a list has no place there.
    """
    schema = json.loads(path_of(name).read_text(encoding="utf-8"))
    for place, values in ENUMS[name].items():
        part = schema
        for key in place.split("/"):
            part = part[key]
        part["enum"] = list(values)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def text_of(name: str) -> str:
    """Return the schema of a document, `verdict/1`, as its file holds it."""
    writer = _Writer()
    head = {"schema": "str", "selfhost_version": "str", "catalogue": "str | None"}
    if name in _WITHOUT_CATALOGUE:
        del head["catalogue"]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"selfhost.{name}",
        "title": f"selfhost.{name}",
        "description": "Sizes are whole bytes, speeds tokens per second. Readers ignore keys and"
        " values that they do not know.",
        **writer.object({**head, **DOCUMENTS[name]}),
    }
    schema["properties"]["schema"] = {"const": f"selfhost.{name}"}
    definitions = writer.definitions()
    return _printed(schema | ({"$defs": definitions} if definitions else {}))


def _printed(schema: dict[str, Any]) -> str:
    """A line a key of an object and its definitions, so that a change is a line of a diff."""
    lines = []
    for key, value in schema.items():
        if key not in ("properties", "$defs"):
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
            continue
        inner = [
            f"    {json.dumps(name)}: {json.dumps(part)}"
            for name, part in value.items()
        ]
        lines.append(f"  {json.dumps(key)}: {{\n" + ",\n".join(inner) + "\n  }")
    return "{\n" + ",\n".join(lines) + "\n}\n"


# modules that are run, or that need pytest or Textual
_WITHOUT_RECORDS = ("__main__", "pytest_plugin", "browse_screen", "browse_table")


class _Writer:
    """Schemas of types, with the definitions that they refer to."""

    def __init__(self) -> None:
        for module in pkgutil.walk_packages(selfhost.__path__, "selfhost."):
            if not module.name.endswith(_WITHOUT_RECORDS):
                importlib.import_module(module.name)
        self._records: dict[str, type[Record]] = {}
        for kind in _all_subclasses(Record):
            if kind.__module__.startswith("selfhost."):
                self._records[kind.__name__] = kind
        self._enums = {kind.__name__: kind for kind in _all_subclasses(Enum)}
        self._waiting: list[str] = []
        self._defined: dict[str, Any] = {}

    def definitions(self) -> dict[str, Any]:
        """Return each object that was referred to, and what those refer to."""
        while self._waiting:
            name = self._waiting.pop()
            if name not in self._defined:
                self._defined[name] = {}
                keys = OBJECTS.get(name) or {f"@{name}": ""}
                self._defined[name] = self.object(keys)
        return dict(sorted(self._defined.items()))

    def object(self, keys: dict[str, str]) -> dict[str, Any]:
        """Return the schema of an object with these keys, each with its type. `@Record` stands for
        the keys that it names of that record; "" for those of the record's own JSON.
        """
        properties: dict[str, Any] = {}
        at_times = list(_AT_TIMES)
        for key, value in keys.items():
            name = key.lstrip("@?")
            if key.startswith("@"):
                properties |= self._of_record(name, value)
                continue
            properties[name] = self._of(value)
            if key.startswith("?"):
                at_times.append(name)
        required = [name for name in properties if name not in at_times]
        return {"type": "object", "required": required, "properties": properties}

    def _of_record(self, record: str, names: str) -> dict[str, Any]:
        """The schemas of fields of a record, by their names: of those that its JSON has where none
        are named, which are all of them where `keys_of` lists none.
        """
        kind = self._records[record]
        listed = names or keys_of(record) or " ".join(kind._fields)
        properties = {}
        for name in listed.split():
            if name not in _NOT_IN_MACHINE:
                properties[name] = self._of(_annotation(kind, name))
        return properties

    def _of(self, annotation: str) -> dict[str, Any]:
        """The schema of a type, as an annotation writes it."""
        return self._type(ast.parse(_quoted(annotation), mode="eval").body)

    def _type(self, node: ast.expr) -> dict[str, Any]:
        """The schema of a type, whose names wait to be defined."""
        if isinstance(node, ast.BinOp):
            return _either(self._type(node.left), self._type(node.right))
        if isinstance(node, ast.Subscript):
            inner = [node.slice]
            if isinstance(node.slice, ast.Tuple):
                inner = node.slice.elts
            if ast.unparse(node.value) in ("Mapping", "dict", "FrozenDict"):
                return {"type": "object", "additionalProperties": self._type(inner[-1])}
            return {"type": "array", "items": self._type(inner[0])}
        if isinstance(node, ast.Constant) and node.value is None:
            return {"type": "null"}
        name = str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)
        if "/" in name:
            # a document within a document
            return {
                "type": "object",
                "properties": {"schema": {"const": f"selfhost.{name}"}},
            }
        if name in _SIMPLE:
            return {"type": _SIMPLE[name]}
        if name in self._enums:
            return {"enum": [value.value for value in self._enums[name]]}
        if name not in OBJECTS and name not in self._records:
            return {}
        self._waiting.append(name)
        return {"$ref": f"#/$defs/{name}"}


def _quoted(annotation: str) -> str:
    """`tuple[verdict/1, ...]` with the document's name as a string."""
    for name in DOCUMENTS:
        annotation = annotation.replace(name, repr(name))
    return annotation


def _annotation(kind: type[Record], name: str) -> str:
    """The type of a field, or of a property."""
    if name in kind._annotations:
        return kind._annotations[name]
    value = getattr(kind, name)
    function = getattr(value, "fget", None) or getattr(value, "func", None)
    return str(function.__annotations__["return"])


def _either(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value of one of two types; {} where one of them may be anything."""
    if set(first) == set(second) == {"type"}:
        return {"type": [*_types(first), *_types(second)]}
    if not first or not second:
        return {}
    return {"anyOf": [*first.get("anyOf", [first]), *second.get("anyOf", [second])]}


def _types(schema: dict[str, Any]) -> list[str]:
    """The types in a schema, which states one or a list of them."""
    types = schema["type"]
    return types if isinstance(types, list) else [types]


def _all_subclasses(kind: type[Kind]) -> list[type[Kind]]:
    """The subclasses of a class, and theirs."""
    found = []
    for subclass in kind.__subclasses__():
        found += [subclass, *_all_subclasses(subclass)]
    return found


if __name__ == "__main__":
    main()
