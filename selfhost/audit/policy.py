"""`audit.toml`: which models must run on which machines, and which exceptions somebody answers
for, until when.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

from ..catalogue.openness import canonical_expression
from ..core.errors import PolicyError, Problem, WorkloadError
from ..core.records import DAY, Record, read_by, shortened
from ..core.tables import TABLES, Document, Remedy, TomlRow, TomlTable, shipped_table
from ..core.templates import fill
from ..core.units import parse_size
from ..core.workload import CACHE_TYPE_NAMES, KV_CACHE_TYPES, Workload
from ..judge.checks import CHECKS
from ..machine.changes import SettingError, value_of
from ..machine.platforms import normal_architecture
from ..machine.record import BANDWIDTH, Machine

SCHEMA = 1
INIT = "`selfhost audit --init` writes one to begin with"
SELECTORS = 'write "class:NAME", "host:GLOB" or "label:KEY=GLOB"'
SEVERITIES = ("error", "warning")
FAIL_ON = (*SEVERITIES, "never")
ON_UNKNOWN = ("unknown", "error", "warning", "ignore")
# signs of bounds on the memory, the longer first
BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt
}  # fmt: skip
# names among which the one that was meant is looked for
_MOST_COMPARED = 500
# models side by side on one machine: each is one more program that runs at the same time
_MOST_TOGETHER = 1_000
_NEEDS = ("private", "commercial", "modify", "auditable")
_OF_ALL = dict.fromkeys(
    (*_NEEDS, "license"), "write it under [needs]: it holds for every model"
)
# what a [[model]] asks: fields of `Workload`, each with its words in the label of a model that is
# named several times
ASKED: Mapping[str, str] = {
    "context_tokens": "{value} tokens",
    "quantization": "{value}",
    "runtime": "{value}",
    "min_tokens_per_second": "{value} tokens/s",
    "parallel": "{value} in parallel",
    "kv_cache_type": "{value} cache",
    "audio_seconds": "{value} seconds of audio",
    "draft": "drafted by {value}",
}
_LIMITS: Mapping[str, TomlRow] = {
    **{key: Workload._keys[key].limits for key in ASKED},
    # every name that `Workload` reads as one
    "kv_cache_type": {"choices": (*KV_CACHE_TYPES, *CACHE_TYPE_NAMES)},
}
# the facts of a class, by the keys of `--set`, and what to write for each
FACT_KEYS: Mapping[str, tuple[str, str]] = {
    "disk": ("disks", '"500GB"'),
    "cores": ("cpu_cores_usable", "8"),
    "instruction_sets": ("instruction_sets", '["avx2", "f16c"]'),
    "bandwidth": (BANDWIDTH, '"80GB/s"'),
    "gpu": ("accelerators", '"24GiB", "2x24GiB:NAME:900GB/s" or a name with its maker'),
}
# of an entry of `Policy.models`: its index, the key, what is wrong, what to write instead
Fault = tuple[int, str, str, Remedy]


def _selectors(table: TomlTable, key: str) -> tuple[Selector, ...]:
    """The selectors that are right; what is wrong with others is noted."""
    texts = {*table.get(key, "tuple[str, ...]")}
    values: Any = table.values.get(key) if texts else None
    if table.values.get(key) == []:
        remedy = "leave the key out to take every machine"
        table.problem(key, "is empty, so no machine would be judged", remedy)
    names = _class_names(table.document)
    kept: list[Selector] = []
    for index, text in enumerate(values or ()):
        # others, whose faults are noted, may be no texts
        if not isinstance(text, str) or text not in texts:
            continue
        path, selector = (*table.path, key, index), Selector.parse(text.strip())
        if selector is None:
            table.document.add(
                path, f'"{shortened(text)}" selects no machines', SELECTORS
            )
            continue
        kept.append(selector)
        name = selector.pattern
        if selector.kind == "class" and name not in names:
            remedy, near = (
                f'add [[class]] with name = "{name}"',
                [*islice(names, _MOST_COMPARED)],
            )
            meant = table.document.did_you_mean(name, near, remedy, '"class:{name}"')
            table.document.add(path, f'no [[class]] has the name "{name}"', meant)
    return tuple(kept)


@lru_cache(maxsize=1)
def _class_names(document: Document) -> Mapping[str, None]:
    """The names of the file's classes, whatever else is wrong with them."""
    tables = document.values.get("class")
    tables = tables if isinstance(tables, list) else ()
    return dict.fromkeys(
        str(table.get("name")) for table in tables if isinstance(table, dict)
    )


def _bounds(table: TomlTable, key: str) -> tuple[tuple[str, int], ...]:
    """`">=15GiB"` or `">=15GiB, <64GiB"`."""
    text = table.get(key, "str")
    bounds: list[tuple[str, int]] = []
    for part in map(str.strip, text.split(",") if text is not None else ()):
        sign = next((sign for sign in BOUNDS if part.startswith(sign)), "")
        size_text = part.removeprefix(sign).strip()
        try:
            if not sign:
                raise ValueError(
                    f"{part!r} does not begin with one of {' '.join(BOUNDS)}"
                )
            size = parse_size(size_text)
        except ValueError as error:
            table.problem(
                key, str(error), f'write {key} = ">=15GiB" or ">=15GiB, <64GiB"'
            )
            break
        bounds.append((sign, size))
    return tuple(bounds)


def _architecture(table: TomlTable, key: str) -> str | None:
    text: str | None = table.get(key, "str")
    if text is not None and text != normal_architecture(text):
        remedy = f'did you mean "{normal_architecture(text)}"?'
        table.problem(key, f'"{text}" is not a name that machine records use', remedy)
    return text


def _facts(root: TomlTable, key: str) -> dict[str, tuple[str, object]]:
    facts: dict[str, tuple[str, object]] = {}
    table = root.get(key, "TomlTable")
    if table is None:
        return facts
    cores = table.get("cores", "float")
    texts = {fact: table.get(fact, "str") for fact in ("disk", "bandwidth", "gpu")} | {
        "cores": None if cores is None else f"{cores:.15g}",
        "instruction_sets": ",".join(table.get("instruction_sets", "tuple[str, ...]"))
        or None,
    }
    table.close()
    for fact, text in texts.items():
        try:
            if text is not None:
                facts[fact] = text, value_of(fact, text)
        except SettingError as error:
            # its advice is of the command line
            near, is_else, _ = (error.problems[0].remedy or "").partition(" Otherwise ")
            remedy = f"{f'{near} Otherwise ' if is_else else ''}write {fact} = {FACT_KEYS[fact][1]}"
            table.problem(fact, error.problems[0].message, remedy)
    return facts


def _needs(root: TomlTable, key: str) -> Workload:
    table = root.get(key, "TomlTable")
    if table is None:
        return Workload()
    wishes: dict[str, Any] = {key: bool(table.get(key, "bool")) for key in _NEEDS}
    text = table.get("license", "str")
    try:
        wishes["license"] = None if text is None else canonical_expression(text)
    except WorkloadError as error:
        for fault in error.problems:
            table.problem("license", fault.message, fault.remedy)
    table.close()
    return Workload(**wishes)


def _classes(root: TomlTable, key: str) -> tuple[MachineClass, ...]:
    tables: tuple[TomlTable, ...] = root.get(key, TABLES)
    classes: list[MachineClass] = []
    names: set[str] = set()
    for table in tables:
        machine_class: MachineClass = table.as_record(MachineClass)
        classes.append(machine_class)
        if machine_class.name in names:
            message = f'"{machine_class.name}" is the name of an earlier class'
            table.problem("name", message, "rename one of the two")
        if machine_class.name:
            names.add(machine_class.name)
    return tuple(classes)


class Selector(Record):
    """`class:NAME`, `host:GLOB` or `label:KEY=GLOB`, whose `key` is KEY. Globs heed case."""

    kind: str
    pattern: str
    key: str | None = None

    @classmethod
    def parse(cls, text: str) -> Selector | None:
        """The selector of a text; None where it is none."""
        kind, _, rest = text.partition(":")
        label, _, glob = rest.partition("=")
        if kind == "label" and label and glob:
            return cls(kind=kind, key=label, pattern=glob)
        return (
            cls(kind=kind, pattern=rest) if kind in ("class", "host") and rest else None
        )

    def __str__(self) -> str:
        return f"{self.kind}:{'' if self.key is None else f'{self.key}='}{self.pattern}"


class Match(Record):
    """The conditions of a class, all of which must hold; none at all takes every machine.

    `labels` are globs by label, `memory_total_bytes` bounds such as `(">=", 16106127360)`.
    """

    labels: Mapping[str, str] = read_by(name="label", default={})
    memory_total_bytes: tuple[tuple[str, int], ...] = read_by(
        _bounds, name="memory_total", default=()
    )
    architecture: str | None = read_by(_architecture, default=None)


class MachineClass(Record):
    """One `[[class]]`; `memory` is the basis on which its machines are judged, None the usual one.
    `facts` stand where records have none: by key the text and what `changes.value_of` reads in it.
    """

    name: str = read_by()
    match: Match = read_by(
        kind=Match, example="{} to take every machine, or name a condition"
    )
    memory: str | None = read_by(default=None, choices=("total", "available"))
    facts: Mapping[str, tuple[str, object]] = read_by(_facts, default={})

    def unread(self, machine: Machine) -> list[str]:
        """The facts that the class asks for and the machine's record lacks."""
        facts = ("memory_total_bytes", "architecture")
        return [
            fact
            for fact in facts
            if getattr(self.match, fact) and getattr(machine, fact) is None
        ]

    def holds(self, machine: Machine) -> bool | None:
        """Whether the machine belongs; None where that hangs on a fact that was not read."""
        match, size, labels = self.match, machine.memory_total_bytes, machine.labels
        conditions = [
            *(
                key in labels and fnmatchcase(labels[key], glob)
                for key, glob in match.labels.items()
            ),
            match.architecture is None
            or machine.architecture in (None, match.architecture),
            *(
                size is None or BOUNDS[sign](size, bound)
                for sign, bound in match.memory_total_bytes
            ),
        ]
        if not all(conditions):
            return False
        return None if self.unread(machine) else True


class Wanted(Record):
    """One `[[model]]`, or one `[[together]]`: what must run, how, and where; () means everywhere.

    `asked` has what the policy needs of every model, too. `label` tells entries of one name apart.
    `index` is the place in `Policy.models`. `members` are what a `[[together]]` wants side by side,
    each as its `[[model]]` asks for it; its name is theirs, joined by " + ".
    """

    index: int
    name: str
    label: str
    asked: Workload
    machines: tuple[Selector, ...] = read_by(_selectors, default=())
    severity: str = read_by(default="error", choices=SEVERITIES)
    require_runtime: bool = False
    members: tuple[Wanted, ...] = ()

    @property
    def is_for_classes(self) -> bool:
        """Whether a selector names a class."""
        return any(selector.kind == "class" for selector in self.machines)

    @property
    def question(self) -> object:
        """What a verdict rests on: entries with equal ones have the same verdict everywhere."""
        members = tuple([member.question for member in self.members])
        return self.name, self.asked, self.require_runtime, members


class Exemption(Record):
    """One `[[exception]]`: one finding of one model passes until the day `expires` (UTC)."""

    index: int
    model: str = read_by()
    rule: str = read_by(choices=CHECKS)
    reason: str = read_by(example="16 GiB kits arrive in the spring")
    owner: str = read_by(example="infra@example.com")
    expires: str = read_by(form=DAY, example="YYYY-MM-DD")
    machines: tuple[Selector, ...] = read_by(_selectors, default=())


class Policy(Record):
    """A whole `audit.toml`; `text` is its content, so that later problems can name a line.
    `models` are the `[[model]]` entries, then the `[[together]]` ones. `fail_on` is the severity
    from which on the audit fails; `on_unknown` is what a verdict that cannot be given counts as.
    """

    file: str
    text: str = ""
    fail_on: str = read_by(default="error", choices=FAIL_ON)
    on_unknown: str = read_by(default="unknown", choices=ON_UNKNOWN)
    out_of_service: str = read_by(default="judge", choices=("judge", "skip"))
    needs: Workload = read_by(_needs, default=Workload())
    classes: tuple[MachineClass, ...] = read_by(_classes, name="class", default=())
    models: tuple[Wanted, ...] = ()
    exceptions: tuple[Exemption, ...] = ()

    def selects(self, selectors: Sequence[Selector], machine: Machine) -> bool | None:
        """Whether any selector takes the machine; None where only an unread fact could tell."""
        answers: list[bool | None] = []
        for selector in selectors:
            if selector.kind == "class":
                named = self.classes_by_name.get(selector.pattern)
                answers.append(named is not None and named.holds(machine))
            else:
                is_host = selector.key is None
                text = (
                    machine.name if is_host else machine.labels.get(selector.key or "")
                )
                answers.append(text is not None and fnmatchcase(text, selector.pattern))
        if not selectors or True in answers:
            return True
        return None if None in answers else False

    @cached_property
    def classes_by_name(self) -> Mapping[str, MachineClass]:
        """The classes, whose names differ."""
        return {machine_class.name: machine_class for machine_class in self.classes}

    @cached_property
    def _classes_with_memory(self) -> Sequence[MachineClass]:
        return [machine_class for machine_class in self.classes if machine_class.memory]

    def memory_basis(self, machine: Machine) -> str:
        """That of the first class that states one and to which the machine belongs."""
        for machine_class in self._classes_with_memory:
            if machine_class.memory and machine_class.holds(machine):
                return machine_class.memory
        return "default"

    def document(self) -> Document:
        """The file's text without its values, for the lines of what shows only later."""
        return Document(self.file, {}, self.text)

    def place(self, index: int) -> tuple[str, int]:
        """The key of the file under which an entry of `models` stands, and its place there."""
        if not self.models[index].members:
            return "model", index
        return "together", index - self._count_of_single_models

    @cached_property
    def _count_of_single_models(self) -> int:
        return sum(not wanted.members for wanted in self.models)

    def problems(self, faults: Iterable[Fault]) -> tuple[Problem, ...]:
        """Faults of entries of `models` that show only later, each at its key and line."""
        document = self.document()
        for index, key, message, remedy in faults:
            # "machines" and "severity" are the keys that a [[together]] has of its own
            is_of_members = self.models[index].members and key not in (
                "machines",
                "severity",
            )
            place = (*self.place(index), "models" if is_of_members else key)
            document.add(place, message, remedy)
        return document.problems


def read_policy(document: Document) -> Policy:
    """The policy that `document` states. `PolicyError` holds every problem."""
    if not document.ok:
        # a fault without a line is one of the whole file
        raise PolicyError(
            each.replace(remedy=INIT) if each.line is None and not each.remedy else each
            for each in document.problems
        )
    root = document.root
    version = root.get("schema", "int", required=True, example=SCHEMA)
    if version is not None and version != SCHEMA:
        message = f"is {version}, but this selfhost reads schema {SCHEMA}"
        root.problem("schema", message, f"write schema = {SCHEMA}")
    policy = Policy(file=document.file, text=document.text or "", **root.fields(Policy))
    alike: dict[Workload, Workload] = {}
    models = [_model(table, policy.needs, alike) for table in root.get("model", TABLES)]
    models += _together(root, policy.needs, models)
    exceptions = _exceptions(root, dict.fromkeys(wanted.name for wanted in models))
    root.close()
    if not any(root.values.get(key) not in (None, []) for key in ("model", "together")):
        message = "names no model, so there is nothing to judge"
        root.problem(None, message, 'add [[model]] with name = "mistral-7b"')
    if not document.ok:
        raise PolicyError(document.problems)
    return policy.replace(models=_labelled(models), exceptions=exceptions)


def _model(
    table: TomlTable, needs: Workload, alike: dict[Workload, Workload]
) -> Wanted:
    """One `[[model]]`. `alike` keeps what was asked, so that equal entries ask the same object."""
    name = table.get("name", "str", required=True) or ""
    stated = {
        key: table.get(key, Workload._kinds[key], **_LIMITS[key]) for key in ASKED
    }
    stated = {key: value for key, value in stated.items() if value is not None}
    asked = needs
    if stated:
        asked = needs.replace(**stated)
        asked = alike.setdefault(asked, asked)
    where, is_required = (
        table.fields(Wanted),
        bool(table.get("require_runtime", "bool")),
    )
    table.close(_OF_ALL)
    index = int(table.path[-1])
    return Wanted(
        index=index,
        name=name,
        label=name,
        asked=asked,
        require_runtime=is_required,
        **where,
    )


def _together(
    root: TomlTable, needs: Workload, models: Sequence[Wanted]
) -> list[Wanted]:
    kept: list[Wanted] = []
    by_name: dict[str, list[Wanted]] = {}
    labelled = _labelled(models) if "together" in root.values else ()
    for wanted in labelled:
        by_name.setdefault(wanted.name, []).append(wanted)
    # a label goes before a name
    by_name.update((wanted.label, [wanted]) for wanted in labelled)
    for table in root.get("together", TABLES):
        members: list[Wanted] = []
        names: Sequence[str] = table.get("models", "tuple[str, ...]", required=True)
        if len(names) > _MOST_TOGETHER:
            message = (
                f"names {len(names):,} models; at most {_MOST_TOGETHER:,} can "
                f"be judged together"
            )
            table.problem("models", message, "list only models that share one machine")
            names = ()
        for number, name in enumerate(names):
            # one without an entry by its name alone
            alone = Wanted(index=0, name=name, label=name, asked=needs)
            entries = by_name.get(name, [alone])
            if len(entries) > 1:
                labels = " or ".join(f'"{each.label}"' for each in entries[:3])
                message = f'"{name}" is the name of several [[model]] entries'
                place = (*table.path, "models", number)
                table.document.add(place, message, f"write which: {labels}")
            members.append(entries[0])
        stated = table.values.get("models")
        if isinstance(stated, list) and len(stated) < 2:
            remedy = (
                'write models = ["mistral-7b", "bge-m3"]; a single model is a [[model]]'
            )
            table.problem("models", "names fewer than two models", remedy)
        index, where = len(models) + len(kept), table.fields(Wanted)
        table.close(_OF_ALL)
        name, label = (
            " + ".join(getattr(each, key) for each in members)
            for key in ("name", "label")
        )
        whole = tuple(members)
        kept.append(
            Wanted(
                index=index, name=name, label=label, asked=needs, members=whole, **where
            )
        )
    return kept


def _labelled(models: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """Labels that no two entries share: some readers keep the first of two equal names."""
    names = Counter(wanted.label for wanted in models)
    labels = []
    for wanted in models:
        labels.append(_full_label(wanted) if names[wanted.label] > 1 else wanted.label)
    times = Counter(labels)
    labelled: list[Wanted] = []
    for wanted, label in zip(models, labels, strict=True):
        if times[label] > 1:
            labelled.append(wanted.replace(label=f"{label} (model[{wanted.index}])"))
        elif label != wanted.label:
            labelled.append(wanted.replace(label=label))
        else:
            labelled.append(wanted)
    return tuple(labelled)


def _full_label(wanted: Wanted) -> str:
    """The label with all that the entry asks: `qwen3-8b, context 8192, on laptops`."""
    parts = [wanted.label]
    for key, words in ASKED.items():
        value = getattr(wanted.asked, key)
        if value is not None and (key, value) != ("parallel", 1):
            shown = f"{value:g}" if isinstance(value, float) else value
            parts.append(fill(words, {"value": shown}))
    if wanted.require_runtime:
        parts.append("runtime installed")
    if wanted.machines:
        parts.append(f"on {' '.join(map(str, wanted.machines))}")
    return ", ".join(parts)


def _exceptions(root: TomlTable, names: Mapping[str, None]) -> tuple[Exemption, ...]:
    kept: list[Exemption] = []
    for index, table in enumerate(root.get("exception", TABLES)):
        stated = table.fields(Exemption)
        table.close()
        model = stated["model"]
        if model is not None and model not in names:
            remedy = "write the name as its [[model]] does, or remove the exception"
            near = [*islice(names, _MOST_COMPARED)]
            meant = table.document.did_you_mean(model, near, remedy, '"{name}"')
            table.problem("model", f'no [[model]] has the name "{model}"', meant)
        kept.append(Exemption(index=index, **stated))
    return tuple(kept)


def starter_policy() -> str:
    """The text of `specs/common/starter_policy.toml`: valid as it stands."""
    text: str = shipped_table("starter_policy")["text"]
    return text.replace("@checks@", " | ".join(CHECKS))
