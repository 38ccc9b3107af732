"""`audit.toml`: which models must run on which machines, and which exceptions somebody answers
for, until when.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..catalogue.licenses import canonical_expression
from ..core.errors import PolicyError, WorkloadError
from ..core.quantities import parse_bytes
from ..core.tomlfile import Document, Table
from ..core.workload import CACHE_TYPE_NAMES, KV_CACHE_TYPES, Workload
from ..judge.checks import CHECKS
from ..machine.record import normal_architecture
from .entries import (
    BOUNDS,
    Exemption,
    FailOn,
    MachineClass,
    Member,
    OnUnknown,
    Policy,
    Selector,
    Severity,
    Wanted,
)
from .stated import read_facts

# every name that `Workload` reads as one
_CACHE_TYPES = (*KV_CACHE_TYPES, *CACHE_TYPE_NAMES)
SCHEMA = 1
INIT = "`selfhost audit --init` writes one to begin with"
SELECTORS = 'write "class:NAME", "host:GLOB" or "label:KEY=GLOB"'
# what a bound on memory without a unit is at least: below it, a unit was left out
_LEAST_BOUND_BYTES = 1 << 20
# names among which the one that was meant is looked for
_MOST_COMPARED = 500
# of one [[together]]: processes that one machine could hold, and a label that a person reads
MAX_TOGETHER = 64
_LABELS_SHOWN = 3
_NEEDS = ("private", "commercial", "modify", "auditable")
_OF_ALL = dict.fromkeys((*_NEEDS, "license"), "write it under [needs]: it holds for every model")


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
    policy = what_is_read(document)
    if not document.ok:
        raise PolicyError(document.problems, all_problems=document.all_problems)
    return policy


def what_is_read(document: Document) -> Policy:
    """As `read_policy`; of a file with faults, which `document` keeps, the rest."""
    root = document.root
    version = root.integer("schema", required=True, example=SCHEMA)
    if version is not None and version != SCHEMA:
        root.problem(
            "schema",
            f"is {version}, and this selfhost reads schema {SCHEMA}",
            f"write schema = {SCHEMA}",
        )
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
        root.problem(
            None,
            "names no model, so there is nothing to judge",
            'add [[model]] with name = "mistral-7b"',
        )
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
        judges_resting=resting != "skip",
    )


# seconds of each unit of `max_age`
_AGES = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _read_age(root: Table) -> int | None:
    """`max_age = "7d"`, in seconds."""
    text = root.string("max_age")
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text.strip())
    if match is None:
        root.problem("max_age", f'"{text[:40]}" is no age', 'write max_age = "7d", or 12h, or 4w')
        return None
    return int(match[1]) * _AGES[match[2]]


def _read_needs(table: Table | None) -> Workload:
    if table is None:
        return Workload()
    wishes = {key: bool(table.boolean(key)) for key in _NEEDS}
    text = table.string("license")
    try:
        license_wanted = None if text is None else canonical_expression(text)
    except WorkloadError as error:
        license_wanted = None
        for fault in error.problems:
            table.problem("license", fault.message, fault.remedy)
    table.close()
    return Workload().replace(license=license_wanted, **wishes)


def _read_classes(root: Table) -> list[MachineClass]:
    kept: list[MachineClass] = []
    names: set[str | None] = set()
    for table in root.tables("class"):
        name = table.string("name", required=True)
        match = table.table("match")
        if "match" not in table:
            table.problem(
                "match", "is missing", "name a condition, or write match = {} to take every machine"
            )
        kept.append(
            MachineClass(
                name=name or "",
                memory=table.string("memory", choices=("total", "available")),
                facts=read_facts(table.table("facts")),
                **({} if match is None else _read_match(match)),
            )
        )
        table.close()
        if name is not None and name in names:
            table.problem(
                "name", f'"{name}" is the name of an earlier class', "rename one of the two"
            )
        names.add(name)
    return kept


def _read_match(match: Table) -> dict[str, Any]:
    """The conditions of a class, as fields of `MachineClass`."""
    label = match.table("label")
    labels = {} if label is None else {key: label.string(key) for key in [*label.keys()]}
    bounds = _read_bounds(match, "memory_total")
    architecture = match.string("architecture")
    if architecture is not None and architecture != normal_architecture(architecture):
        match.problem(
            "architecture",
            f'"{architecture}" is no name that machine records use',
            f'did you mean "{normal_architecture(architecture)}"?',
        )
    match.close()
    return {
        "labels": {key: glob for key, glob in labels.items() if glob is not None},
        "memory_total": bounds,
        "architecture": architecture,
    }


def _read_bounds(table: Table, key: str) -> tuple[tuple[str, int], ...]:
    """`">=15GiB"` or `">=15GiB, <64GiB"`."""
    text = table.string(key)
    bounds: list[tuple[str, int]] = []
    for part in text.split(",") if text is not None else ():
        sign = next((sign for sign in BOUNDS if part.strip().startswith(sign)), None)
        try:
            if sign is None:
                raise ValueError(f"{part.strip()!r} begins with none of {' '.join(BOUNDS)}")
            size_text = part.strip().removeprefix(sign).strip()
            size = parse_bytes(size_text)
            if 0 < size < _LEAST_BOUND_BYTES and size_text.isdigit():
                raise ValueError(f"{size_text} without a unit is {size_text} bytes")
            bounds.append((sign, size))
        except ValueError as error:
            table.problem(key, str(error), f'write {key} = ">=15GiB" or ">=15GiB, <64GiB"')
            break
    return tuple(bounds)


def _read_models(root: Table, classes: Sequence[str], needs: Workload) -> list[Wanted]:
    kept: list[Wanted] = []
    seen: dict[object, int] = {}
    for table in root.tables("model"):
        name = table.string("name", required=True)
        asked = needs.replace(
            context_tokens=table.integer("context_tokens", minimum=1, maximum=10**9),
            quantization=table.string("quantization"),
            runtime=table.string("runtime"),
            min_tokens_per_second=table.number("min_tokens_per_second", maximum=1e6),
            parallel=table.integer("parallel", minimum=1, maximum=10**6) or 1,
            kv_cache_type=table.string("kv_cache_type", choices=_CACHE_TYPES),
            audio_seconds=table.integer("audio_seconds", minimum=1, maximum=10**7),
            draft=table.string("draft"),
            adapter=table.string("adapter"),
        )
        wanted = Wanted(
            index=int(table.path[-1]),
            name=name or "",
            label=name or "",
            asked=asked,
            machines=_read_selectors(table, classes),
            severity=_read_severity(table),
            require_runtime=bool(table.boolean("require_runtime")),
        )
        table.close(_OF_ALL)
        # one without a name, a fault that was told, keeps its place: the others go by theirs
        kept.append(wanted)
        same = name, asked, wanted.require_runtime, frozenset(wanted.machines)
        earlier = seen.setdefault(same, wanted.index)
        if name and earlier != wanted.index:
            table.problem(
                "name",
                f'"{name}" is wanted under the same conditions by model[{earlier}]',
                "remove one of the two",
            )
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
        firsts = {name: by_name[name][0] for name in names if name in by_name}
        members = tuple(
            Member(name=each.name, asked=each.asked, require_runtime=each.require_runtime)
            if (each := firsts.get(name)) is not None
            else Member(name=name, asked=needs)
            for name in names
        )
        machines = _read_selectors(table, classes)
        severity = _read_severity(table)
        table.close(_OF_ALL)
        place = f"together[{table.path[-1]}]"
        earlier = seen.setdefault((members, frozenset(machines)), place)
        if members and earlier != place:
            table.problem("models", f"are those of {earlier}", "remove one of the two")
        kept.append(
            Wanted(
                index=len(models) + len(kept),
                name=" + ".join(member.name for member in members),
                label=" + ".join(names),
                asked=needs,
                machines=machines,
                severity=severity,
                members=members,
            )
        )
    return kept


def _read_member_names(table: Table, by_name: Mapping[str, Sequence[Wanted]]) -> tuple[str, ...]:
    names = table.strings("models", required=True)
    is_list = isinstance(table.values.get("models"), list)
    stated = table.values["models"] if is_list else []
    if is_list and len(stated) < 2:
        table.problem(
            "models",
            "names fewer than two models",
            'write models = ["mistral-7b", "bge-m3"]; one model alone is a [[model]]',
        )
    if len(names) > MAX_TOGETHER:
        message = f"names more than {MAX_TOGETHER} models"
        table.problem("models", message, "use several [[together]]")
        return ()
    for number, name in enumerate(stated):
        entries = by_name.get(name, ()) if isinstance(name, str) else ()
        if len(entries) > 1:
            labels = " or ".join(f'"{each.label}"' for each in entries[:_LABELS_SHOWN])
            table.document.add(
                (*table.path, "models", number),
                f'"{name}" is the name of several [[model]] entries',
                f"write which: {labels}",
            )
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
    own = (
        label if times[label] == 1 else f"{label} (model[{wanted.index}])"
        for wanted, label in zip(models, labels, strict=True)
    )
    return tuple(
        wanted if wanted.label == label else wanted.replace(label=label)
        for wanted, label in zip(models, own, strict=True)
    )


# the words for each condition that an entry may state, in the order of its label
_CONDITIONS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("context_tokens", lambda tokens: f"{tokens} tokens"),
    ("quantization", str),
    ("runtime", str),
    ("min_tokens_per_second", lambda pace: f"{pace:g} tokens/s"),
    ("parallel", lambda sequences: f"{sequences} in parallel" if sequences > 1 else ""),
    ("kv_cache_type", lambda name: f"{name} cache"),
    ("audio_seconds", lambda seconds: f"{seconds} seconds of audio"),
    ("draft", lambda model: f"drafted by {model}"),
    ("adapter", lambda name: f"adapter {name}"),
)


def _conditions(wanted: Wanted) -> list[str]:
    """What the entry states beside the name, in words."""
    stated = [(words, getattr(wanted.asked, field)) for field, words in _CONDITIONS]
    parts = [words(value) for words, value in stated if value is not None and value != ""]
    if wanted.require_runtime:
        parts.append("runtime installed")
    if wanted.machines:
        parts.append(f"on {' '.join(map(str, wanted.machines))}")
    return [part for part in parts if part]


def _read_exceptions(
    root: Table, classes: Sequence[str], models: Sequence[Wanted]
) -> list[Exemption]:
    kept: list[Exemption] = []
    names = dict.fromkeys(wanted.name for wanted in models)
    seen: dict[object, int] = {}
    for table in root.tables("exception"):
        model = table.string("model", required=True)
        rule = table.string("rule", required=True, choices=CHECKS)
        reason = table.string("reason", required=True, example="16 GiB kits arrive in the spring")
        owner = table.string("owner", required=True, example="infra@example.com")
        expires = table.date("expires", required=True)
        machines = _read_selectors(table, classes)
        table.close()
        if model is not None and model not in names:
            guess = table.document.guess(model, [*names][:_MOST_COMPARED])
            table.problem(
                "model",
                f'no [[model]] has the name "{model}"',
                (
                    f'did you mean "{guess}"?'
                    if guess
                    else "write the name as its [[model]] does, or remove the exception"
                ),
            )
        if not (model and rule and reason and owner and expires):
            continue
        exemption = Exemption(
            index=int(table.path[-1]),
            model=model,
            rule=rule,
            machines=machines,
            reason=reason,
            owner=owner,
            expires=expires,
        )
        earlier = seen.setdefault((model, rule, frozenset(machines)), exemption.index)
        if earlier != exemption.index:
            table.problem(
                "rule",
                f'"{rule}" of "{model}" is already excepted there by exception[{earlier}]',
                "remove one of the two",
            )
        kept.append(exemption)
    return kept


def _read_selectors(table: Table, classes: Sequence[str]) -> tuple[Selector, ...]:
    table.strings("machines")
    values = table.values.get("machines")
    if values == []:
        table.problem(
            "machines",
            "is empty, so no machine would be judged",
            "leave the key out to take every machine",
        )
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
        if selector.kind == "class" and selector.pattern not in classes:
            guess = table.document.guess(selector.pattern, classes[:_MOST_COMPARED])
            add = f'add [[class]] with name = "{selector.pattern}"'
            table.document.add(
                place,
                f'no [[class]] has the name "{selector.pattern}"',
                f'did you mean "class:{guess}"?' if guess else add,
            )
        kept.append(selector)
    return tuple(kept)


def _selector(text: str) -> Selector | None:
    """The selector that a text writes; None where it writes none."""
    kind, _, rest = text.partition(":")
    if kind in ("class", "host") and rest:
        return Selector(kind=kind, pattern=rest)
    key, _, glob = rest.partition("=")
    return Selector(kind=kind, key=key, pattern=glob) if kind == "label" and key and glob else None
