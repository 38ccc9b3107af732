"""What a policy states: models, classes of machines and exceptions, and whom each selects."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from ..core.errors import Problem
from ..core.records import Record
from ..core.tomlfile import Document
from ..core.workload import Workload
from ..machine.record import Machine

# 30,000 exceptions with a reason and an owner take 5 to 6 MB
MAX_POLICY_BYTES = 6 << 20
# signs of bounds on the memory, the longer first
BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt
}  # fmt: skip
# of an entry of `Policy.models`: its index, the key, what is wrong, what to write instead
Fault = tuple[int, str, str, str | None]


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

    def __str__(self) -> str:
        return f"{self.kind}:{'' if self.key is None else f'{self.key}='}{self.pattern}"


class StatedFact(Record):
    """One of the `facts` of a class: the text and its value, as `changes.value_of` reads it."""

    key: str
    text: str
    value: Any


class MachineClass(Record):
    """One `[[class]]`. All conditions must hold; none at all takes every machine.

    `labels` are globs by label, `memory_total` bounds such as `(">=", 16106127360)` on the
    hardware's memory in bytes. `memory` is the basis on which its machines are judged, `total` or
    `available`; None: the usual one. `facts` stand where its machines' records have none.
    """

    name: str
    labels: Mapping[str, str] = {}
    memory_total: tuple[tuple[str, int], ...] = ()
    architecture: str | None = None
    memory: str | None = None
    facts: tuple[StatedFact, ...] = ()

    def unread(self, machine: Machine) -> list[str]:
        """The facts that the class asks for and the machine's record lacks."""
        conditions = {"memory_total_bytes": self.memory_total, "architecture": self.architecture}
        facts = [fact for fact, condition in conditions.items() if condition]
        return [fact for fact in facts if getattr(machine, fact) is None]

    def holds(self, machine: Machine) -> bool | None:
        """Whether the machine belongs; None where that hangs on a fact that was not read. A
        label that is absent does not match.
        """
        size, labels = machine.memory_total_bytes, machine.labels
        conditions = [
            *(
                key in labels and fnmatchcase(labels[key], glob)
                for key, glob in self.labels.items()
            ),
            self.architecture is None or machine.architecture in (None, self.architecture),
            *(size is None or BOUNDS[sign](size, bound) for sign, bound in self.memory_total),
        ]
        if not all(conditions):
            return False
        return None if self.unread(machine) else True


class Wanted(Record):
    """One `[[model]]`, or one `[[together]]`: what must run, how, and where; () of `machines` means
    every machine.

    `asked` is the entry with what the policy needs of every model. `label` is the name, with the
    conditions after it where the policy names the model several times. `index` is the entry's place
    in `Policy.models`. `require_runtime`: the runtime must be installed already. `members` are the
    models that a `[[together]]` wants side by side, each as its `[[model]]` asks for it or by its
    name alone, () of a `[[model]]`; its name is theirs, joined by " + ".
    """

    index: int
    name: str
    label: str
    asked: Workload
    machines: tuple[Selector, ...] = ()
    severity: Severity = Severity.ERROR
    require_runtime: bool = False
    members: tuple[Wanted, ...] = ()

    def under(self, basis: str) -> Workload:
        """What is asked of the model under that basis of memory."""
        same = self.asked.memory_basis == basis
        return self.asked if same else self.asked.replace(memory_basis=basis)


class Exemption(Record):
    """One `[[exception]]`: lets one finding of one model pass until the day `expires`
    (`YYYY-MM-DD`, UTC). `owner` answers for it.
    """

    index: int
    model: str
    rule: str
    machines: tuple[Selector, ...] = ()
    reason: str
    owner: str
    expires: str


class Policy(Record):
    """A whole `audit.toml`. `needs` holds for every model; `models` are the `[[model]]` entries,
    then the `[[together]]` ones; `text` is the content, so that later problems can name a line.
    Records read longer ago than `max_age_seconds` are not judged; None: of any age. With
    `skips_resting` machines that are down or take no new work are left out.
    """

    file: str
    text: str
    fail_on: FailOn = FailOn.ERROR
    on_unknown: OnUnknown = OnUnknown.UNKNOWN
    needs: Workload = Workload()
    models: tuple[Wanted, ...]
    classes: tuple[MachineClass, ...] = ()
    exceptions: tuple[Exemption, ...] = ()
    max_age_seconds: int | None = None
    skips_resting: bool = False

    def class_of(self, selector: Selector) -> MachineClass | None:
        """The class that a selector names; None where it selects otherwise."""
        name = selector.pattern if selector.kind == "class" else None
        return next((each for each in self.classes if each.name == name), None)

    def selects(self, selectors: Sequence[Selector], machine: Machine) -> bool | None:
        """Whether any selector takes the machine (no selectors: yes); None where only a fact that
        was not read could tell.
        """
        answers = [self._selects(selector, machine) for selector in selectors]
        if not answers or True in answers:
            return True
        return None if None in answers else False

    def _selects(self, selector: Selector, machine: Machine) -> bool | None:
        if selector.kind == "host":
            return fnmatchcase(machine.name, selector.pattern)
        if selector.key is not None:
            label = machine.labels.get(selector.key)
            return label is not None and fnmatchcase(label, selector.pattern)
        each = self.class_of(selector)
        return False if each is None else each.holds(machine)

    def memory_basis(self, machine: Machine) -> str:
        """That of the first class that states one and to which the machine belongs."""
        stated = (each.memory for each in self.classes if each.memory and each.holds(machine))
        return next(stated, "default")

    def document(self) -> Document:
        """The file anew, for the lines of what shows only later."""
        return Document.parse(self.file, self.text.encode(), max_bytes=MAX_POLICY_BYTES)

    def problems(self, faults: Iterable[Fault]) -> tuple[Problem, ...]:
        """Faults of entries of `models` that show only later, each at its key; what is wrong with a
        member at the list of models.
        """
        document = self.document()
        root = document.root
        tables = (*root.tables("model"), *root.tables("together"))
        for index, key, message, remedy in faults:
            # the keys that a [[together]] has of its own
            is_of_members = self.models[index].members and key not in ("machines", "severity")
            tables[index].problem("models" if is_of_members else key, message, remedy)
        return document.problems
