"""`audit.toml`: which models must run on which machines, and which exceptions somebody answers
for, until when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property

from ..catalogue.licenses import canonical_expression
from ..core.errors import PolicyError, Problem, WorkloadError
from ..core.records import Record
from ..core.tomlfile import Document, Table
from ..core.units import parse_bytes
from ..core.workload import KV_CACHE_TYPES, Workload
from ..machine.record import Machine
from ..verdict.findings import CHECKS

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1
INIT = "`selfhost audit --init` writes one to begin with"
BOUNDS = (">=", "<=", ">", "<")
SELECTORS = 'write "class:NAME", "host:GLOB" or "label:KEY=GLOB"'
# what other tools call the architectures that machine records call by their Linux kernel names
_ARCHITECTURES = {
    "amd64": "x86_64",
    "x64": "x86_64",
    "x86-64": "x86_64",
    "arm64": "aarch64",
    "armv8": "aarch64",
}
# names compared to find the one that was meant: about a second's worth in a file full of faults
_MAX_COMPARED = 20_000
_GLOB_LETTERS = frozenset("*?[")
# of a [[model]]: its index, the key, what is wrong, what to write instead
Fault = tuple[int, str, str, str | None]
_NEEDS = ("private", "commercial", "modify", "auditable")


class Severity(StrEnum):
    """How much it matters that a model does not run."""

    ERROR = "error"
    WARNING = "warning"


class FailOn(StrEnum):
    """From which severity on the audit fails; `never` reports only."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


class OnUnknown(StrEnum):
    """What a verdict that cannot be given counts as. It never counts for more than the same
    model failing would.
    """

    UNKNOWN = "unknown"
    ERROR = "error"
    WARNING = "warning"
    IGNORE = "ignore"


class Selector(Record):
    """`class:NAME`, `host:GLOB` (the machine's name) or `label:KEY=GLOB`. `key` is the label's,
    else None. Globs heed case.
    """

    kind: str
    pattern: str
    key: str | None = None

    @property
    def names_one_host(self) -> bool:
        """Whether it gives one machine's name, without a glob."""
        return self.kind == "host" and not _GLOB_LETTERS.intersection(self.pattern)

    def __str__(self) -> str:
        return (
            f"{self.kind}:{self.pattern}"
            if self.key is None
            else f"{self.kind}:{self.key}={self.pattern}"
        )


class MachineClass(Record):
    """One `[[class]]`. All conditions must hold; none at all takes every machine.

    `labels` are globs by label, `memory_total` bounds such as `(">=", 16106127360)` on the
    hardware's memory in bytes. `memory` is the basis on which its machines are judged, `total` or
    `available`; None: the usual one.
    """

    name: str
    labels: Mapping[str, str] = {}
    memory_total: tuple[tuple[str, int], ...] = ()
    architecture: str | None = None
    memory: str | None = None

    def unread(self, machine: Machine) -> tuple[str, ...]:
        """The facts that the class asks for and the machine's record lacks."""
        missing = []
        if self.memory_total and machine.memory_total_bytes is None:
            missing.append("memory_total_bytes")
        if self.architecture is not None and machine.architecture is None:
            missing.append("architecture")
        return tuple(missing)

    def holds(self, machine: Machine) -> bool | None:
        """Whether the machine belongs; None where that hangs on a fact that was not read. A
        label that is absent does not match.
        """
        if not all(
            key in machine.labels and fnmatchcase(machine.labels[key], glob)
            for key, glob in self.labels.items()
        ):
            return False
        if self.architecture is not None and machine.architecture not in (None, self.architecture):
            return False
        size = machine.memory_total_bytes
        if size is not None and not all(
            _within(size, sign, bound) for sign, bound in self.memory_total
        ):
            return False
        return None if self.unread(machine) else True


class Wanted(Record):
    """One `[[model]]`: what must run, how, and where; () of `machines` means every machine.

    `asked` is the entry with what the policy needs of every model. `label` is the name, with the
    conditions after it where the policy names the model several times. `index` is the entry's place
    in the file, from 0.
    """

    index: int
    name: str
    label: str
    asked: Workload
    machines: tuple[Selector, ...] = ()
    severity: Severity = Severity.ERROR


class Exemption(Record):
    """One `[[exception]]`: lets one finding of one model pass. From the day `expires`
    (`YYYY-MM-DD`, UTC) on it no longer holds.
    """

    index: int
    model: str
    rule: str
    machines: tuple[Selector, ...] = ()
    reason: str
    owner: str | None = None
    expires: str

    def holds_on(self, today: str) -> bool:
        """Whether it is in force on that day, `YYYY-MM-DD`."""
        return today < self.expires


class Policy(Record):
    """A whole `audit.toml`. `needs` holds for every model; `text` is the content, kept so that
    later problems can name a line.
    """

    file: str
    text: str
    fail_on: FailOn = FailOn.ERROR
    on_unknown: OnUnknown = OnUnknown.UNKNOWN
    needs: Workload = Workload()
    models: tuple[Wanted, ...]
    classes: tuple[MachineClass, ...] = ()
    exceptions: tuple[Exemption, ...] = ()

    @cached_property
    def class_by_name(self) -> Mapping[str, MachineClass]:
        """The classes by their names, which differ."""
        return {each.name: each for each in self.classes}

    def workload(self, wanted: Wanted, machine: Machine) -> Workload:
        """What is asked of the model there, with the memory basis of the first class that
        states one.
        """
        return Place(self, machine).workload(wanted)

    def selects(self, selectors: Sequence[Selector], machine: Machine) -> bool | None:
        """Whether any selector takes the machine (no selectors: yes); None where only a fact
        that was not read could tell.
        """
        return Place(self, machine).selects(selectors)

    def problems(self, faults: Iterable[Fault]) -> tuple[Problem, ...]:
        """Faults of `[[model]]` entries that show only later: at the key, or at the entry where the
        file leaves the key out.

        The first `MAX_PROBLEMS` are listed, the rest is counted.
        """
        document = Document.parse(self.file, self.text.encode())
        tables = document.root.tables("model")
        for index, key, message, remedy in faults:
            tables[index].problem(key, message, remedy)
        return document.problems


class Place:
    """A policy held against one machine; whether the machine is of a class is found once,
    however many entries ask.
    """

    def __init__(self, policy: Policy, machine: Machine) -> None:
        self._policy = policy
        self._machine = machine
        self._holds: dict[str, bool | None] = {}

    @cached_property
    def _memory_basis(self) -> str:
        stated = (
            each.memory
            for each in self._policy.classes
            if each.memory and each.holds(self._machine)
        )
        return next(stated, "default")

    def workload(self, wanted: Wanted) -> Workload:
        """As `Policy.workload`."""
        return wanted.asked.replace(memory_basis=self._memory_basis)

    def selects(self, selectors: Sequence[Selector]) -> bool | None:
        """As `Policy.selects`."""
        answers = [self._selects(selector) for selector in selectors]
        if not answers or True in answers:
            return True
        return None if None in answers else False

    def _selects(self, selector: Selector) -> bool | None:
        machine = self._machine
        if selector.kind == "host":
            return fnmatchcase(machine.name, selector.pattern)
        if selector.key is not None:
            return selector.key in machine.labels and fnmatchcase(
                machine.labels[selector.key], selector.pattern
            )
        name = selector.pattern
        if name not in self._holds:
            each = self._policy.class_by_name.get(name)
            self._holds[name] = False if each is None else each.holds(machine)
        return self._holds[name]


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
    version = root.integer("schema", required=True)
    if version is not None and version != SCHEMA:
        root.problem(
            "schema",
            f"is {version}, and this selfhost reads schema {SCHEMA}",
            f"write schema = {SCHEMA}",
        )
    fail_on = root.string("fail_on", choices=tuple(FailOn))
    on_unknown = root.string("on_unknown", choices=tuple(OnUnknown))
    needs = _read_needs(root.table("needs"))
    classes = _read_classes(root)
    names = _Names(each.name for each in classes)
    models = _read_models(root, names, needs)
    exceptions = _read_exceptions(root, names, models)
    root.close()
    if "model" not in root.values or root.values["model"] == []:
        root.problem(
            None,
            "names no model, so there is nothing to judge",
            'add [[model]] with name = "mistral-7b"',
        )
    if document.problems:
        raise PolicyError(document.problems)
    return Policy(
        file=document.file,
        text=document.text or "",
        fail_on=FailOn(fail_on or FailOn.ERROR),
        on_unknown=OnUnknown(on_unknown or OnUnknown.UNKNOWN),
        needs=needs,
        models=_labelled(models),
        classes=tuple(classes),
        exceptions=tuple(exceptions),
    )


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


class _Names:
    """Names that a file gives, for those who use them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = dict.fromkeys(names)
        self._left = _MAX_COMPARED

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def nearest(self, name: str, document: Document) -> str | None:
        """The one that was probably meant, or None; looked for while `document` lists faults."""
        self._left -= len(self._names)
        return document.guess(name, list(self._names)) if self._left >= 0 else None


def _within(size: int, sign: str, bound: int) -> bool:
    if sign == ">=":
        return size >= bound
    if sign == "<=":
        return size <= bound
    return size > bound if sign == ">" else size < bound


def _read_classes(root: Table) -> list[MachineClass]:
    kept: list[MachineClass] = []
    names: set[str] = set()
    for table in root.tables("class"):
        name = table.string("name", required=True)
        match = table.table("match")
        if "match" not in table:
            table.problem(
                "match", "is missing", "name a condition, or write match = {} to take every machine"
            )
        memory = table.string("memory", choices=("total", "available"))
        labels: dict[str, str] = {}
        bounds: tuple[tuple[str, int], ...] = ()
        architecture = None
        if match is not None:
            label = match.table("label")
            if label is not None:
                globs = {key: label.string(key) for key in label.keys()}  # noqa: SIM118  (a Table is no mapping)
                labels = {key: glob for key, glob in globs.items() if glob is not None}
            bounds = _read_bounds(match, "memory_total")
            architecture = match.string("architecture")
            if architecture is not None and architecture.lower() in _ARCHITECTURES:
                usual = _ARCHITECTURES[architecture.lower()]
                match.problem(
                    "architecture",
                    f'"{architecture}" is no name that machine records use',
                    f'did you mean "{usual}"?',
                )
            match.close()
        table.close()
        if name is None:
            continue
        if name in names:
            table.problem("name", f'"{name}" is the name of an earlier class')
        names.add(name)
        kept.append(
            MachineClass(
                name=name,
                labels=labels,
                memory_total=bounds,
                architecture=architecture,
                memory=memory,
            )
        )
    return kept


def _read_bounds(table: Table, key: str) -> tuple[tuple[str, int], ...]:
    """`">=15GiB"` or `">=15GiB, <64GiB"`."""
    text = table.string(key)
    bounds: list[tuple[str, int]] = []
    for part in text.split(",") if text is not None else ():
        sign = next((sign for sign in BOUNDS if part.strip().startswith(sign)), None)
        try:
            if sign is None:
                raise ValueError(f"{part.strip()!r} begins with none of {' '.join(BOUNDS)}")
            bounds.append((sign, parse_bytes(part.strip().removeprefix(sign))))
        except ValueError as error:
            table.problem(key, str(error), f'write {key} = ">=15GiB" or ">=15GiB, <64GiB"')
            break
    return tuple(bounds)


def _read_models(root: Table, classes: _Names, needs: Workload) -> list[Wanted]:
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
            kv_cache_type=table.string("kv_cache_type", choices=KV_CACHE_TYPES),
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
            severity=Severity(table.string("severity", choices=tuple(Severity)) or Severity.ERROR),
        )
        table.close()
        if name is None:
            continue
        same = (name, asked, frozenset(map(str, wanted.machines)))
        earlier = seen.setdefault(same, wanted.index)
        if earlier != wanted.index:
            table.problem(
                "name",
                f'"{name}" is wanted under the same conditions by model[{earlier}]',
                "remove one of the two",
            )
        kept.append(wanted)
    return kept


def _labelled(models: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """Labels that no two entries share: reports that keep only the first of two equal names
    must lose nothing.
    """
    from collections import Counter

    names = Counter(wanted.name for wanted in models)
    labels = [
        ", ".join((wanted.name, *(_conditions(wanted) if names[wanted.name] > 1 else ())))
        for wanted in models
    ]
    times = Counter(labels)
    return tuple(
        wanted.replace(label=label if times[label] == 1 else f"{label} (model[{wanted.index}])")
        for wanted, label in zip(models, labels, strict=True)
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
    if wanted.machines:
        parts.append(f"on {' '.join(map(str, wanted.machines))}")
    return [part for part in parts if part]


def _read_exceptions(root: Table, classes: _Names, models: Sequence[Wanted]) -> list[Exemption]:
    kept: list[Exemption] = []
    names = _Names(wanted.name for wanted in models)
    seen: dict[object, int] = {}
    for table in root.tables("exception"):
        model = table.string("model", required=True)
        rule = table.string("rule", required=True, choices=CHECKS)
        reason = table.string("reason", required=True)
        owner = table.string("owner")
        expires = table.date("expires", required=True)
        machines = _read_selectors(table, classes)
        table.close()
        if model is not None and model not in names:
            guess = names.nearest(model, table.document)
            table.problem(
                "model",
                f'no [[model]] has the name "{model}"',
                (
                    f'did you mean "{guess}"?'
                    if guess
                    else "write the name as its [[model]] does, or remove the exception"
                ),
            )
        if model is None or rule is None or reason is None or expires is None:
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
        earlier = seen.setdefault((model, rule, frozenset(map(str, machines))), exemption.index)
        if earlier != exemption.index:
            table.problem(
                "rule",
                f'"{rule}" of "{model}" is already excepted there by exception[{earlier}]',
                "remove one of the two",
            )
        kept.append(exemption)
    return kept


def _read_selectors(table: Table, classes: _Names) -> tuple[Selector, ...]:
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
            table.document.add(place, *_no_class(selector.pattern, classes, table.document))
        kept.append(selector)
    return tuple(kept)


def _selector(text: str) -> Selector | None:
    """The selector that a text writes; None where it writes none."""
    kind, _, rest = text.partition(":")
    if kind in ("class", "host") and rest:
        return Selector(kind=kind, pattern=rest)
    key, _, glob = rest.partition("=")
    return Selector(kind=kind, key=key, pattern=glob) if kind == "label" and key and glob else None


def _no_class(name: str, classes: _Names, document: Document) -> tuple[str, str]:
    """What is wrong with the name of a class that is not there, and what to write instead."""
    guess = classes.nearest(name, document)
    remedy = f'did you mean "class:{guess}"?' if guess else f'add [[class]] with name = "{name}"'
    return f'no [[class]] has the name "{name}"', remedy


def starter_policy(models: Sequence[str]) -> str:
    """The text that `selfhost audit --init` writes: valid as it stands. Without models it names
    mistral-7b.
    """
    entries = (
        "\n".join(f"[[model]]\nname = {_quoted(name)}\n" for name in dict.fromkeys(models))
        or '[[model]]\nname = "mistral-7b"\n'
    )
    first = _quoted(next(iter(models), "mistral-7b"))
    return f"""\
# Which open-weight models must run here. `selfhost audit` judges this machine, or recorded ones, against it.
# Exit codes: 0 the policy holds, 1 it is broken, 2 it could not be judged, 3 nothing fails but something is unknown.
schema = {SCHEMA}
fail_on = "error"          # error | warning | never: from which severity on the audit fails
on_unknown = "unknown"     # unknown (exit 3) | error | warning | ignore: what a fact nobody could read counts as

# [needs]                  # what holds for every model below
# private = true           # nothing may leave the machine, so an API is no way out
# commercial = true        # the license must allow commercial use
# license = "Apache-2.0 OR MIT"

{entries}# More conditions that a [[model]] may have:
# context_tokens = 8192
# quantization = "Q4_K_M"
# runtime = "llama.cpp"
# min_tokens_per_second = 5
# parallel = 1
# kv_cache_type = "f16"
# audio_seconds = 600      # of one recording that a speech model hears
# draft = "llama-3.2-1b"   # a small model that proposes tokens, or "mtp" for the model's own block
# adapter = "rank=16"      # a LoRA adapter: its rank, or its file
# machines = ["class:edge", "host:build-*", "label:site=s*"]   # left out: every machine
# severity = "warning"     # error | warning

# [[class]]                # a name for machines that are alike
# name = "edge"
# match = {{ label = {{ site = "s*" }}, memory_total = ">=15GiB", architecture = "x86_64" }}
# memory = "total"         # total: plan with all memory | available: what is free right now

# [[exception]]            # one finding of one model, with a reason and an end
# model = {first}
# rule = "memory"          # {" | ".join(CHECKS)}
# machines = ["host:edge-*"]
# reason = "16 GiB kits arrive in the spring"
# owner = "infra@example.com"
# expires = 2027-03-31     # from that day on (UTC) it no longer holds
"""  # noqa: E501


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's too."""
    import json

    return json.dumps(text, ensure_ascii=False)
