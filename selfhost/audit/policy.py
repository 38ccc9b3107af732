"""`audit.toml`: which models must run on which machines, and which exceptions somebody answers
for, until when.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..catalogue.openness import canonical_expression
from ..core.errors import PolicyError, WorkloadError
from ..core.quantities import parse_bytes
from ..core.tables import shipped_table
from ..core.tomlfile import MOST_KEPT, Document, Table
from ..core.workload import CACHE_TYPE_NAMES, KV_CACHE_TYPES, Workload
from ..judge.checks import CHECKS
from ..machine.changes import SettingError, value_of
from ..machine.record import normal_architecture
from .entries import (
    BOUNDS,
    Exemption,
    FailOn,
    MachineClass,
    OnUnknown,
    Policy,
    Selector,
    Severity,
    StatedFact,
    Wanted,
)

SCHEMA = 1
INIT = "`selfhost audit --init` writes one to begin with"
SELECTORS = 'write "class:NAME", "host:GLOB" or "label:KEY=GLOB"'
# what a bound on memory without a unit is at least: below it, a unit was left out
_LEAST_BOUND_BYTES = 1 << 20
# names among which the one that was meant is looked for
_MOST_COMPARED = 500
# of one [[together]]: processes that one machine could hold, and a label that a person reads
MAX_TOGETHER = 64
_NEEDS = ("private", "commercial", "modify", "auditable")
_OF_ALL = dict.fromkeys((*_NEEDS, "license"), "write it under [needs]: it holds for every model")
# seconds of each unit of `max_age`
_AGES = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# what a [[model]] asks: the fields of `Workload`, how each is read, its limits, and the words for
# it in the label of a model that is named several times
_ASKED: Mapping[str, tuple[Any, dict[str, Any], str]] = {
    "context_tokens": (Table.integer, {"minimum": 1, "maximum": 10**9}, "{} tokens"),
    "quantization": (Table.string, {}, "{}"),
    "runtime": (Table.string, {}, "{}"),
    "min_tokens_per_second": (Table.number, {"maximum": 1e6}, "{:g} tokens/s"),
    "parallel": (Table.integer, {"minimum": 1, "maximum": 10**6}, "{} in parallel"),
    # every name that `Workload` reads as one
    "kv_cache_type": (Table.string, {"choices": (*KV_CACHE_TYPES, *CACHE_TYPE_NAMES)}, "{} cache"),
    "audio_seconds": (Table.integer, {"minimum": 1, "maximum": 10**7}, "{} seconds of audio"),
    "draft": (Table.string, {}, "drafted by {}"),
}
# the facts of a class by their keys, those of `--set`, in the order in which they are put; and what
# to write where the advice of `--set` is another
FACT_KEYS: Mapping[str, tuple[str, str | None]] = {
    "architecture": ("architecture", None),
    "system": ("system", None),
    "memory": ("memory_total_bytes", '"64GiB"'),
    "bandwidth": ("memory_bandwidth_bytes_per_second", '"80GB/s"'),
    "gpu": ("accelerators", '"24GiB", "2x24GiB:NAME:900GB/s" or a name with its maker'),
    "disk": ("disks", '"500GB"'),
    "cores": ("cpu_cores_usable", "8"),
    "instruction_sets": ("instruction_sets", '["avx2", "f16c"]'),
}


def read_policy(document: Document) -> Policy:
    """The policy that `document` states. `PolicyError` holds every problem; a file that is not
    there is one too.
    """
    if document.problems:
        # a fault without a line is one of the whole file
        raise PolicyError(
            each.replace(remedy=INIT) if each.line is None and not each.remedy else each
            for each in document.problems
        )
    root = document.root
    version = root.integer("schema", required=True, example=SCHEMA)
    if version is not None and version != SCHEMA:
        message = f"is {version}, and this selfhost reads schema {SCHEMA}"
        root.problem("schema", message, f"write schema = {SCHEMA}")
    fail_on = root.string("fail_on", choices=tuple(FailOn))
    on_unknown = root.string("on_unknown", choices=tuple(OnUnknown))
    max_age_seconds = _read_age(root)
    resting = root.string("out_of_service", choices=("judge", "skip"))
    needs = _read_needs(root.table("needs"))
    classes = _read_classes(root)
    names = [each.name for each in classes]
    models = _read_models(root, names, needs)
    together = _read_together(root, names, needs, models)
    exceptions = _read_exceptions(root, names, [*models, *together])
    root.close()
    if not any(root.values.get(key) not in (None, []) for key in ("model", "together")):
        message = "names no model, so there is nothing to judge"
        root.problem(None, message, 'add [[model]] with name = "mistral-7b"')
    if not document.ok:
        raise PolicyError(document.problems, all_problems=document.listed(MOST_KEPT))
    return Policy(
        file=document.file,
        text=document.text or "",
        fail_on=FailOn(fail_on or FailOn.ERROR),
        on_unknown=OnUnknown(on_unknown or OnUnknown.UNKNOWN),
        needs=needs,
        models=_labelled([*models, *together]),
        classes=tuple(classes),
        exceptions=tuple(exceptions),
        max_age_seconds=max_age_seconds,
        skips_resting=resting == "skip",
    )


def _read_age(root: Table) -> int | None:
    """`max_age = "7d"`, in seconds."""
    text = root.string("max_age")
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", (text or "").strip())
    if text is not None and match is None:
        root.problem("max_age", f'"{text[:40]}" is no age', 'write max_age = "7d", or 12h, or 4w')
    return int(match[1]) * _AGES[match[2]] if match else None


def _read_needs(table: Table | None) -> Workload:
    if table is None:
        return Workload()
    wishes: dict[str, Any] = {key: bool(table.boolean(key)) for key in _NEEDS}
    text = table.string("license")
    try:
        wishes["license"] = None if text is None else canonical_expression(text)
    except WorkloadError as error:
        for fault in error.problems:
            table.problem("license", fault.message, fault.remedy)
    table.close()
    return Workload().replace(**wishes)


def _refuse_second(
    table: Table, seen: dict[object, str], what: object, key: str, message: str
) -> None:
    """Note that an earlier entry says the same; `message` ends in its place."""
    place = f"{table.path[0]}[{table.path[1]}]"
    earlier = seen.setdefault(what, place)
    if earlier != place:
        table.problem(key, f"{message} {earlier}", "remove one of the two")


# ------------------------------------------------------------------ classes


def _read_classes(root: Table) -> list[MachineClass]:
    kept: list[MachineClass] = []
    for table in root.tables("class"):
        name = table.string("name", required=True)
        match = table.table("match")
        if "match" not in table:
            remedy = "name a condition, or write match = {} to take every machine"
            table.problem("match", "is missing", remedy)
        memory = table.string("memory", choices=("total", "available"))
        facts = _read_facts(table.table("facts"))
        table.close()
        if any(name == each.name for each in kept):
            table.problem(
                "name", f'"{name}" is the name of an earlier class', "rename one of the two"
            )
        conditions = {} if match is None else _read_match(match)
        kept.append(MachineClass(name=name or "", memory=memory, facts=facts, **conditions))
    return kept


def _read_match(match: Table) -> dict[str, Any]:
    labels = match.mapping("label", of=Table.string)
    bounds = _read_bounds(match, "memory_total")
    architecture = match.string("architecture")
    if architecture is not None and architecture != normal_architecture(architecture):
        message = f'"{architecture}" is no name that machine records use'
        remedy = f'did you mean "{normal_architecture(architecture)}"?'
        match.problem("architecture", message, remedy)
    match.close()
    return {"labels": labels, "memory_total": bounds, "architecture": architecture}


def _read_bounds(table: Table, key: str) -> tuple[tuple[str, int], ...]:
    """`">=15GiB"` or `">=15GiB, <64GiB"`."""
    text = table.string(key)
    bounds: list[tuple[str, int]] = []
    for part in text.split(",") if text is not None else ():
        part = part.strip()
        sign = next((sign for sign in BOUNDS if part.startswith(sign)), None)
        try:
            if sign is None:
                raise ValueError(f"{part!r} begins with none of {' '.join(BOUNDS)}")
            size_text = part.removeprefix(sign).strip()
            size = parse_bytes(size_text)
            if 0 < size < _LEAST_BOUND_BYTES and size_text.isdigit():
                raise ValueError(f"{size_text} without a unit is {size_text} bytes")
        except ValueError as error:
            table.problem(key, str(error), f'write {key} = ">=15GiB" or ">=15GiB, <64GiB"')
            break
        bounds.append((sign, size))
    return tuple(bounds)


def _read_facts(table: Table | None) -> tuple[StatedFact, ...]:
    if table is None:
        return ()
    texts = {key: table.string(key) for key in [*FACT_KEYS][:-2]}
    cores = table.number("cores")
    texts["cores"] = None if cores is None else f"{cores:g}"
    texts["instruction_sets"] = ",".join(table.strings("instruction_sets")) or None
    table.close()
    facts = []
    for key, text in texts.items():
        try:
            if text is not None:
                facts.append(StatedFact(key=key, text=text, value=value_of(key, text)))
        except SettingError as error:
            message, remedy = error.problems[0].message, error.problems[0].remedy
            example = FACT_KEYS[key][1]
            if remedy and example and (key == "gpu" or "=" in remedy):
                # the advice is of the command line
                near, is_else, _ = remedy.partition(" Else ")
                remedy = f"{near} Else " if is_else else ""
                remedy += f"write {key} = {example}"
            table.problem(key, message, remedy)
    return tuple(facts)


def _read_selectors(table: Table, classes: Sequence[str]) -> tuple[Selector, ...]:
    table.strings("machines")
    values = table.values.get("machines")
    if values == []:
        remedy = "leave the key out to take every machine"
        table.problem("machines", "is empty, so no machine would be judged", remedy)
    kept: list[Selector] = []
    for index, text in enumerate(values if isinstance(values, list) else ()):
        if not isinstance(text, str) or not text.strip():
            continue
        place = (*table.path, "machines", index)
        selector = _selector(text.strip())
        if selector is None:
            shown = text if len(text) <= 60 else text[:57] + "…"
            table.document.add(place, f'"{shown}" selects no machines', SELECTORS)
            continue
        kept.append(selector)
        rest = selector.pattern
        if selector.kind == "class" and rest not in classes:
            guess = table.document.guess(rest, classes[:_MOST_COMPARED])
            remedy = (
                f'did you mean "class:{guess}"?' if guess else f'add [[class]] with name = "{rest}"'
            )
            table.document.add(place, f'no [[class]] has the name "{rest}"', remedy)
    return tuple(kept)


def _selector(text: str) -> Selector | None:
    kind, _, rest = text.partition(":")
    if kind in ("class", "host") and rest:
        return Selector(kind=kind, pattern=rest)
    key, _, glob = rest.partition("=")
    return Selector(kind=kind, key=key, pattern=glob) if kind == "label" and key and glob else None


# ------------------------------------------------------------------ what must run


def _read_models(root: Table, classes: Sequence[str], needs: Workload) -> list[Wanted]:
    kept: list[Wanted] = []
    seen: dict[object, str] = {}
    for table in root.tables("model"):
        name = table.string("name", required=True)
        stated = {key: read(table, key, **limits) for key, (read, limits, _) in _ASKED.items()}
        stated["parallel"] = stated["parallel"] or 1
        wanted = Wanted(
            index=int(table.path[-1]),
            name=name or "",
            label=name or "",
            asked=needs.replace(**stated),
            machines=_read_selectors(table, classes),
            severity=_read_severity(table),
            require_runtime=bool(table.boolean("require_runtime")),
        )
        table.close(_OF_ALL)
        kept.append(wanted)
        same = name, wanted.asked, wanted.require_runtime, frozenset(wanted.machines)
        if name:
            message = f'"{name}" is wanted under the same conditions by'
            _refuse_second(table, seen, same, "name", message)
    return kept


def _read_severity(table: Table) -> Severity:
    return Severity(table.string("severity", choices=tuple(Severity)) or Severity.ERROR)


def _read_together(
    root: Table, classes: Sequence[str], needs: Workload, models: Sequence[Wanted]
) -> list[Wanted]:
    kept: list[Wanted] = []
    by_name: dict[str, list[Wanted]] = {}
    labelled = _labelled(models) if "together" in root else ()
    for wanted in labelled:
        by_name.setdefault(wanted.name, []).append(wanted)
    # a label goes before a name
    by_name.update((wanted.label, [wanted]) for wanted in labelled)
    seen: dict[object, str] = {}
    for table in root.tables("together"):
        names = _read_member_names(table, by_name)
        # as the first of its entries asks for a model; one without an entry by its name alone
        members = tuple(
            by_name[name][0]
            if name in by_name
            else Wanted(index=0, name=name, label=name, asked=needs)
            for name in names
        )
        wanted = Wanted(
            index=len(models) + len(kept),
            name=" + ".join(member.name for member in members),
            label=" + ".join(names),
            asked=needs,
            machines=_read_selectors(table, classes),
            severity=_read_severity(table),
            members=members,
        )
        table.close(_OF_ALL)
        kept.append(wanted)
        if members:
            same = members, frozenset(wanted.machines)
            _refuse_second(table, seen, same, "models", "are those of")
    return kept


def _read_member_names(table: Table, by_name: Mapping[str, Sequence[Wanted]]) -> tuple[str, ...]:
    names = table.strings("models", required=True)
    stated = table.values.get("models")
    if isinstance(stated, list) and len(stated) < 2:
        remedy = 'write models = ["mistral-7b", "bge-m3"]; one model alone is a [[model]]'
        table.problem("models", "names fewer than two models", remedy)
    if len(names) > MAX_TOGETHER:
        message = f"names more than {MAX_TOGETHER} models"
        table.problem("models", message, "use several [[together]]")
        return ()
    for number, name in enumerate(stated if isinstance(stated, list) else ()):
        entries = by_name.get(name, ()) if isinstance(name, str) else ()
        if len(entries) > 1:
            labels = " or ".join(f'"{each.label}"' for each in entries[:3])
            message = f'"{name}" is the name of several [[model]] entries'
            table.document.add((*table.path, "models", number), message, f"write which: {labels}")
    return names


def _labelled(models: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """Labels that no two entries share: reports that keep only the first of two equal names
    must lose nothing.
    """
    names = Counter(wanted.label for wanted in models)
    labels = [
        ", ".join((wanted.label, *(_conditions(wanted) if names[wanted.label] > 1 else ())))
        for wanted in models
    ]
    times = Counter(labels)
    return tuple(
        wanted.replace(label=label if times[label] == 1 else f"{label} (model[{wanted.index}])")
        for wanted, label in zip(models, labels, strict=True)
    )


def _conditions(wanted: Wanted) -> list[str]:
    stated = {key: getattr(wanted.asked, key) for key in _ASKED}
    if stated["parallel"] == 1:
        del stated["parallel"]
    parts = [_ASKED[key][2].format(value) for key, value in stated.items() if value is not None]
    if wanted.require_runtime:
        parts.append("runtime installed")
    if wanted.machines:
        parts.append(f"on {' '.join(map(str, wanted.machines))}")
    return parts


# ------------------------------------------------------------------ exceptions


def _read_exceptions(
    root: Table, classes: Sequence[str], models: Sequence[Wanted]
) -> list[Exemption]:
    kept: list[Exemption] = []
    names = dict.fromkeys(wanted.name for wanted in models)
    seen: dict[object, str] = {}
    for table in root.tables("exception"):
        stated: dict[str, Any] = {
            "model": table.string("model", required=True),
            "rule": table.string("rule", required=True, choices=CHECKS),
            "reason": table.string(
                "reason", required=True, example="16 GiB kits arrive in the spring"
            ),
            "owner": table.string("owner", required=True, example="infra@example.com"),
            "expires": table.date("expires", required=True),
        }
        machines = _read_selectors(table, classes)
        table.close()
        model, rule = stated["model"], stated["rule"]
        if model is not None and model not in names:
            guess = table.document.guess(model, [*names][:_MOST_COMPARED])
            remedy = "write the name as its [[model]] does, or remove the exception"
            remedy = f'did you mean "{guess}"?' if guess else remedy
            table.problem("model", f'no [[model]] has the name "{model}"', remedy)
        if all(stated.values()):
            message = f'"{rule}" of "{model}" is already excepted there by'
            _refuse_second(table, seen, (model, rule, frozenset(machines)), "rule", message)
            kept.append(Exemption(index=int(table.path[-1]), machines=machines, **stated))
    return kept


def starter_policy() -> str:
    """The text of `specs/common/starter_policy.toml`: valid as it stands."""
    text: str = shipped_table("starter_policy")["text"]
    return text.replace("@checks@", " | ".join(CHECKS))
