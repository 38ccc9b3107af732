"""`audit.toml`: the models that must run on some machines, and the exceptions, each with an owner
and an end date.

What goes in: the file as a `Document`, which collects the faults of its values. What comes out: a
`Policy`, or `PolicyError` with every fault. Fields of the records below that are `read_by` are read
from keys of the same names; the functions beside them read the fields whose check needs more than a
type.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache, cached_property, lru_cache, partial
from itertools import islice
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING

from ..catalogue.openness import canonical_expression
from ..core.errors import (
    InputError,
    KeyPath,
    PolicyError,
    Problem,
    SelfhostError,
    UnknownModelError,
    WorkloadError,
)
from ..core.records import DAY, Record, Stated, Values, read_by, shortened
from ..core.synonyms import options_elsewhere
from ..core.tables import (
    TABLES,
    Document,
    Remedy,
    TomlRow,
    TomlTable,
    program_record,
)
from ..core.templates import fill
from ..core.units import parse_size
from ..core.workload import (
    CACHE_TYPE_NAMES,
    FLAGS,
    KV_CACHE_CHOICES,
    Workload,
    field_meant,
    in_python,
)
from ..judge.checks import CHECKS
from ..machine.changes import SettingError, value_of
from ..machine.clusters import MOST_MACHINES
from ..machine.links import link_called
from ..machine.platforms import normal_architecture
from ..machine.record import BANDWIDTH, Accelerator, Machine

if TYPE_CHECKING:
    from .policy_judge import PolicyJudge

# takes a model's name; returns why the name means no model, or None
NameCheck = Callable[[str], SelfhostError | None]
SCHEMA = 1
# with more entries than this that cannot be judged, judging stops
MOST_REFUSED = 1_000
_NAME_A_FILE = "give the path of the file from the folder in which the audit runs"
INIT = "`selfhost audit --init` writes one to begin with"
SELECTORS = 'write "class:NAME", "host:GLOB" or "label:KEY=GLOB"'
SEVERITIES = ("error", "warning")
FAIL_ON = (*SEVERITIES, "never")
ON_UNKNOWN = ("unknown", "error", "warning", "ignore")
# a comma between digits belongs to a number: `1,024MiB`
_BETWEEN_BOUNDS = r"(?<![0-9]),|,(?![0-9])"
# signs of bounds on the memory, the longer signs first
BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    ">=": ge,
    "<=": le,
    ">": gt,
    "<": lt,
}
# the most names that are compared with a misspelt name
_MOST_COMPARED = 500
# the most models side by side on one machine: each is one more program that runs at the same time
MOST_TOGETHER = 1_000
# the keys of a [[together]] table itself besides `models`; all other keys belong to its models
_KEYS_OF_TOGETHER = ("machines", "severity")
NEEDS = ("private", "commercial", "modify", "auditable")
# keys of [needs], which belong to no entry, and the remedy for such a key in an entry
_OF_ALL: Mapping[str, str] = dict.fromkeys(
    (*NEEDS, "license"), "write it under [needs]: it holds for every model"
)
# the fields of `Workload` that a [[model]] may state, each with its words in the label of a model
# that is named several times
ASKED = {
    "purpose": "for {value}",
    "context_tokens": "{value} tokens",
    "prompt_tokens": "a prompt of {value} tokens",
    "max_wait_seconds": "first word within {value} s",
    "quantization": "{value}",
    "runtime": "{value}",
    "min_tokens_per_second": "{value} tokens/s",
    "parallel": "{value} in parallel",
    "kv_cache_type": "{value} cache",
    "audio_seconds": "{value} seconds of audio",
    "draft": "drafted by {value}",
}


@cache
def _remedies_of_words() -> Mapping[str, str]:
    """The remedy for each word that means a key of an entry to the command line or to other
    programs, and for each key of [needs].
    """
    remedies = {**_OF_ALL}
    words = [flag.removeprefix("--") for flag in FLAGS.values()]
    words.append("users")
    for others in options_elsewhere().values():
        words += others
    for word in words:
        field = field_meant(word)
        if field in ASKED:
            remedies[word.replace("-", "_")] = f"did you mean {field}?"
    return remedies


LIMITS: Mapping[str, TomlRow] = {
    **{key: Workload._keys[key].limits for key in ASKED},
    # every name that `Workload` accepts
    "kv_cache_type": {"choices": (*KV_CACHE_CHOICES, *CACHE_TYPE_NAMES)},
}


def in_a_policy(remedy: str | None) -> str | None:
    """The remedy with keys of a `[[model]]` where it names command-line options.

    >>> in_a_policy("use --context 20480, or leave out --for")
    'use context_tokens = 20480, or leave out purpose'
    >>> in_a_policy("use --runtime vllm or mlx")
    'use runtime = "vllm" or "mlx"'
    """
    if remedy is None:
        return None
    return re.sub(r"(?<=[a-z])=(?=[\"\d])", " = ", in_python(remedy))


class FactKey(Record):
    """The fact of a machine that a key of `[class.facts]` states, and an example of its value."""

    fact: str
    example: str


# facts by the key of `--set`
FACT_KEYS = {
    "disk": FactKey(fact="disks", example='"500GB"'),
    "cores": FactKey(fact="cpu_cores_usable", example="8"),
    "instruction_sets": FactKey(fact="instruction_sets", example='["avx2", "f16c"]'),
    "bandwidth": FactKey(fact=BANDWIDTH, example='"80GB/s"'),
    "gpu": FactKey(
        fact="accelerators",
        example='"24GiB", "2x24GiB:NAME:900GB/s" or a name with its maker',
    ),
}


class EntryFault(Record):
    """A fault of a key of an entry, and what to write instead."""

    entry: Wanted
    key: str
    message: str
    remedy: Remedy


class StatedFact(Record):
    """A fact that a class states: the text of it, the value that `changes.value_of` reads in the
    text, and the source, which is the place in the policy.
    """

    text: str
    value: object
    source: str


# ----------------------------------------------------------------------- reading a key of a table


def _selectors(table: TomlTable, key: str) -> Selectors:
    """The selectors of a key. A text that is no selector is noted as a fault and left out."""
    if table.values.get(key) == []:
        remedy = "leave the key out to take every machine"
        table.problem(key, "is empty, so no machine would be judged", remedy)
    selectors = []
    for place, text in _texts_by_place(table, key).items():
        path = (*table.path, key, place)
        selector = _selector(table.document, path, text.strip())
        if selector is not None:
            selectors.append(selector)
    return tuple(selectors)


def _texts_by_place(
    table: TomlTable,
    key: str,
    *,
    required: bool = False,
) -> Mapping[int, str]:
    """The texts in the list of a key, by their places in the list. The faults of the list and of
    its values are noted.
    """
    texts = frozenset(table.get(key, "tuple[str, ...]", required=required))
    if not texts:
        return {}
    return {
        place: stated
        for place, stated in enumerate(table.values[key])
        if isinstance(stated, str) and stated in texts
    }


def _selector(
    document: Document,
    path: KeyPath,
    text: str,
) -> Selector | None:
    """The selector of a text. A text that is no selector is noted, and gives None."""
    selector = Selector.parse(text)
    if selector is None:
        message = f'"{shortened(text)}" selects no machines'
        document.add(path, message, SELECTORS)
    elif selector.kind == "class":
        name = selector.pattern
        names = _class_names(document)
        if name not in names:
            remedy = f'add [[class]] with name = "{name}"'
            near = list(islice(names, _MOST_COMPARED))
            meant = document.did_you_mean(name, near, remedy, '"class:{name}"')
            document.add(path, f'no [[class]] has the name "{name}"', meant)
    return selector


@lru_cache(maxsize=1)
def _class_names(document: Document) -> Mapping[str, None]:
    """The names of the file's classes, also of those with faults. The classes must be read before
    the selectors that name them.
    """
    names: dict[str, None] = {}
    for _, record in document.records:
        if isinstance(record, MachineClass):
            # None where the key is missing
            names[str(record.name)] = None
    return names


def _bounds(table: TomlTable, key: str) -> tuple[Bound, ...]:
    """The bounds of `">=15GiB"` or `">=15GiB, <64GiB"`. Bounds after a faulty one are not read."""
    text = table.get(key, "str")
    if text is None:
        return ()
    bounds = []
    for part in re.split(_BETWEEN_BOUNDS, text):
        try:
            bounds.append(Bound.parse(part.strip()))
        except ValueError as error:
            remedy = f'write {key} = ">=15GiB" or ">=15GiB, <64GiB"'
            table.problem(key, str(error), remedy)
            break
    return tuple(bounds)


def _architecture(table: TomlTable, key: str) -> str | None:
    """The architecture of a key. A name that records do not use is noted as a fault."""
    text: str | None = table.get(key, "str")
    if text is None:
        return None
    name = normal_architecture(text)
    if text != name:
        message = f'"{text}" is not a name that machine records use'
        table.problem(key, message, f'did you mean "{name}"?')
    return text


def _facts(class_table: TomlTable, key: str) -> dict[str, StatedFact]:
    """The facts that a class states of its machines, by keys of `FACT_KEYS`."""
    table = class_table.get(key, "TomlTable")
    if table is None:
        return {}
    place = f"{table.document.file}:{table.document.line(table.path)}"
    source = f"stated by the policy, {place} (class {class_table.values.get('name')})"
    facts = {}
    for fact_key, text in _texts_of_facts(table).items():
        try:
            facts[fact_key] = StatedFact(
                text=text, value=value_of(fact_key, text), source=source
            )
        except SettingError as error:
            problem = error.problems[0]
            # the remedy is for the command line: only a guess before it is kept, as in `did you
            # mean RTX 4090? Otherwise …`
            meant, otherwise, _ = (problem.remedy or "").partition(" Otherwise ")
            remedy = f"write {fact_key} = {FACT_KEYS[fact_key].example}"
            if otherwise:
                remedy = f"{meant}{otherwise}{remedy}"
            table.problem(fact_key, problem.message, remedy)
    return facts


def _texts_of_facts(table: TomlTable) -> dict[str, str]:
    """The texts of the facts that are stated, by their keys, in the form of `--set`."""
    texts = {}
    cores = table.get("cores", "float")
    for fact_key in ("disk", "bandwidth", "gpu"):
        text = table.get(fact_key, "str")
        if text is not None:
            texts[fact_key] = text
    if cores is not None:
        texts["cores"] = f"{cores:.15g}"
    sets = table.get("instruction_sets", "tuple[str, ...]")
    if sets:
        texts["instruction_sets"] = ",".join(sets)
    table.close()
    return texts


def read_needs(root: TomlTable, key: str) -> Workload:
    """The workload with the conditions that the policy sets for every model."""
    table = root.get(key, "TomlTable")
    if table is None:
        return Workload()
    wishes: Values = {}
    for need in NEEDS:
        wishes[need] = bool(table.get(need, "bool"))
    text = table.get("license", "str")
    if text is not None:
        try:
            wishes["license"] = canonical_expression(text)
        except WorkloadError as error:
            for fault in error.problems:
                table.problem("license", fault.message, fault.remedy)
    table.close()
    return Workload(**wishes)


def _classes(root: TomlTable, key: str) -> tuple[MachineClass, ...]:
    """The classes of each `[[class]]`. A second class of one name is noted as a fault."""
    classes = []
    names = set()
    for table in root.get(key, TABLES):
        machine_class = table.as_record(MachineClass)
        classes.append(machine_class)
        name = machine_class.name
        if name in names:
            message = f'"{name}" is the name of an earlier class'
            table.problem("name", message, "rename one of the two")
        # None where the key is missing
        if name:
            names.add(name)
    return tuple(classes)


# ---------------------------------------------------------------------------------------- records


class Selector(Record):
    """A text that selects machines: `class:NAME`, `host:GLOB` or `label:KEY=GLOB`, whose `key` is
    KEY. Globs heed case.
    """

    text: str
    kind: str
    pattern: str
    key: str | None = None

    @classmethod
    def parse(cls, text: str) -> Selector | None:
        """Return the selector of a text; None where the text is no selector."""
        kind, _, pattern = text.partition(":")
        if not pattern:
            return None
        if kind in ("class", "host"):
            return cls(text=text, kind=kind, pattern=pattern)
        key, _, glob = pattern.partition("=")
        if kind == "label" and key and glob:
            return cls(text=text, kind=kind, pattern=glob, key=key)
        return None

    def matches(self, machine: Machine) -> bool:
        """Whether the name of a machine, or one of its labels, matches the glob."""
        if self.key is None:
            return fnmatchcase(machine.name, self.pattern)
        return _has_label(machine, self.key, self.pattern)

    def __str__(self) -> str:
        return self.text


# an empty tuple selects every machine
Selectors = tuple[Selector, ...]


def _has_label(
    machine: Machine,
    key: str,
    glob: str,
) -> bool:
    """Whether a machine has that label, with a value that matches the glob."""
    text = machine.labels.get(key)
    return text is not None and fnmatchcase(text, glob)


def _has_gpu(cards: Iterable[Accelerator], glob: str) -> bool:
    """Whether the maker or the name of a GPU matches the glob, which heeds no case."""
    texts = set[str]()
    for card in cards:
        texts |= {card.vendor.lower(), card.name.lower()}
    return any(fnmatchcase(text, glob.lower()) for text in texts)


class Bound(Record):
    """A bound on a size: a sign such as `>=`, and bytes such as 16106127360."""

    sign: str
    size_bytes: int

    @classmethod
    def parse(cls, text: str) -> Bound:
        """The bound of a text such as `>=15GiB`. Raises `ValueError`."""
        for sign in BOUNDS:
            if text.startswith(sign):
                size = text.removeprefix(sign).strip()
                return cls(sign=sign, size_bytes=parse_size(size))
        raise ValueError(f"{text!r} does not begin with one of {' '.join(BOUNDS)}")

    def holds(self, size_bytes: int) -> bool:
        """Whether a size is within the bound."""
        return BOUNDS[self.sign](size_bytes, self.size_bytes)


class ClassMatch(Stated):
    """The conditions of a class, all of which must hold. Without conditions the class takes every
    machine. `labels` are globs by label; `gpu` is a glob of the maker or the name of a GPU.
    """

    labels: Mapping[str, str] = read_by(name="label", default={})
    memory_total_bytes: tuple[Bound, ...] = read_by(
        _bounds, name="memory_total", default=()
    )
    architecture: str | None = read_by(_architecture, default=None)
    gpu: str | None = None

    def excludes(self, machine: Machine) -> bool:
        """Whether a condition does not hold for the machine. A fact that was not read breaks no
        condition.
        """
        for key, glob in self.labels.items():
            if not _has_label(machine, key, glob):
                return True
        cards = machine.accelerators
        if self.gpu and cards is not None and not _has_gpu(cards, self.gpu):
            return True
        stated = machine.architecture
        if self.architecture and stated and stated != self.architecture:
            return True
        size_bytes = machine.memory_total_bytes
        if size_bytes is None:
            return False
        return not all(bound.holds(size_bytes) for bound in self.memory_total_bytes)


class MachineClass(Stated):
    """A `[[class]]` of a policy.

    `memory` is the basis on which the machines of the class are judged; None for the usual basis.
    `facts` are, by key, the facts that count where the record of a machine lacks them.
    """

    name: str = read_by()
    match: ClassMatch = read_by(example="{} to take every machine, or name a condition")
    memory: str | None = read_by(default=None, choices=("total", "available"))
    facts: Mapping[str, StatedFact] = read_by(_facts, default={})

    def unread(self, machine: Machine) -> list[str]:
        """The facts that the class asks for and the machine's record lacks."""
        facts = []
        if self.match.memory_total_bytes and machine.memory_total_bytes is None:
            facts.append("memory_total_bytes")
        if self.match.architecture and machine.architecture is None:
            facts.append("architecture")
        if self.match.gpu and machine.accelerators is None:
            facts.append("accelerators")
        return facts

    def holds(self, machine: Machine) -> bool | None:
        """Whether the machine belongs to the class; None where an unread fact decides that."""
        if self.match.excludes(machine):
            return False
        return None if self.unread(machine) else True


class Wanted(Record):
    """A `[[model]]` or a `[[together]]` of a policy: the model that must run, its workload, and the
    machines; without `machines` every machine.

    The `read_by` fields are keys of `[[model]]` and `[[together]]`; `_model` reads the others.

    `asked` includes the `[needs]` of the policy. `label` tells entries of one name apart.
    `index` is the place in `Policy.models`, `path` the place in the file. `members` are the models
    that a `[[together]]` wants side by side, each as its `[[model]]` asks for it; the name of the
    entry is their names, joined by " + ".
    """

    index: int
    name: str
    label: str
    asked: Workload
    path: KeyPath = ()
    machines: Selectors = read_by(_selectors, default=())
    severity: str = read_by(default="error", choices=SEVERITIES)
    require_runtime: bool = False
    joined: int = 1
    link: str | None = None
    members: tuple[Wanted, ...] = ()

    @property
    def is_for_classes(self) -> bool:
        """Whether a selector names a class."""
        return any(selector.kind == "class" for selector in self.machines)

    @property
    def verdict_key(self) -> object:
        """The values on which a verdict rests: entries with equal values have the same verdict
        everywhere.
        """
        cluster = (self.joined, self.link)
        return self.name, self.asked, self.require_runtime, cluster, self.members


class Exemption(Record):
    """An `[[exception]]` of a policy: one finding of one model passes until the day `expires`
    (UTC).
    """

    index: int
    model: str = read_by()
    rule: str = read_by(choices=CHECKS)
    reason: str = read_by(example="16 GiB kits arrive in the spring")
    owner: str = read_by(example="infra@example.com")
    expires: str = read_by(form=DAY, example="YYYY-MM-DD")
    machines: Selectors = read_by(_selectors, default=())


class Policy(Record):
    """A whole `audit.toml`. `text` is its content, so that later problems can name a line.

    `models` are the `[[model]]` entries, then the `[[together]]` entries. `fail_on` is the least
    severity that makes the audit fail. `on_unknown` says what a missing verdict counts as.
    """

    file: str
    text: str = ""
    fail_on: str = read_by(default="error", choices=FAIL_ON)
    on_unknown: str = read_by(default="unknown", choices=ON_UNKNOWN)
    out_of_service: str = read_by(default="judge", choices=("judge", "skip"))
    needs: Workload = read_by(read_needs, default=Workload())
    classes: tuple[MachineClass, ...] = read_by(_classes, name="class", default=())
    models: tuple[Wanted, ...] = ()
    exceptions: tuple[Exemption, ...] = ()

    def selects(self, selectors: Selectors, machine: Machine) -> bool | None:
        """Whether any selector selects the machine; None where an unread fact decides that."""
        if not selectors:
            return True
        answers = [self._selects_by(selector, machine) for selector in selectors]
        if True in answers:
            return True
        return None if None in answers else False

    def _selects_by(self, selector: Selector, machine: Machine) -> bool | None:
        """Whether one selector selects the machine; None where an unread fact decides that."""
        if selector.kind == "class":
            return self.classes_by_name[selector.pattern].holds(machine)
        return selector.matches(machine)

    @cached_property
    def classes_by_name(self) -> Mapping[str, MachineClass]:
        """The classes by their names, which differ."""
        return {machine_class.name: machine_class for machine_class in self.classes}

    def memory_basis(self, machine: Machine) -> str:
        """Return the memory basis of the first class that states one and holds the machine;
        `default` where no class does.
        """
        for machine_class in self.classes:
            if machine_class.memory and machine_class.holds(machine):
                return machine_class.memory
        return "default"

    def document(self) -> Document:
        """Return the document of the file's text, without values. It finds the lines of faults that
        show only later.
        """
        return Document(self.file, {}, self.text)

    def problems(self, faults: Iterable[EntryFault]) -> tuple[Problem, ...]:
        """Return the problems of faults that show only when entries are judged, each with its key
        and line.
        """
        document = self.document()
        for fault in faults:
            _add_fault(document, fault)
        return document.problems


# ----------------------------------------------------------------------------- reading the file


def read_policy(document: Document, judge: PolicyJudge | None = None) -> Policy:
    """Return the policy that `document` states. `PolicyError` holds every problem. Where a policy
    has faults, the entries that `judge` refuses are among them.
    """
    if not document.ok:
        raise PolicyError(map(_with_remedy, document.problems))
    root = document.root
    _check_schema(root)
    stated = root.fields(Policy)
    models = _models(root, stated["needs"])
    exceptions = _exceptions(root, models)
    root.close()
    if not root.values.get("model") and not root.values.get("together"):
        message = "names no model, so there is nothing to judge"
        root.problem(None, message, 'add [[model]] with name = "mistral-7b"')
    _refuse_faults(document, models, judge)
    return Policy(
        file=document.file,
        text=document.text or "",
        models=models,
        exceptions=exceptions,
        **stated,
    )


def _refuse_faults(
    document: Document,
    models: Iterable[Wanted],
    judge: PolicyJudge | None,
) -> None:
    """Raise `PolicyError` where the policy has faults; `judge` adds the entries that it refuses, so
    that a person sees all faults at once. The entries of a policy without faults are judged later,
    where its machines are known.
    """
    if document.ok:
        return
    refused = 0
    if judge is not None:
        for wanted, error in refused_entries(document, models, judge):
            refused += 1
            for fault in faults_of(wanted, error):
                _add_fault(document, fault)
    if refused > MOST_REFUSED:
        raise PolicyError([too_many_refused(document.file), *document.problems])
    raise PolicyError(document.problems)


def too_many_refused(file: str) -> Problem:
    """The problem that stands before the others where entries were not looked at."""
    return Problem(
        file=file,
        message=f"more than {MOST_REFUSED:,} entries cannot be judged, so the audit stopped before"
        " it judged anything",
        remedy="correct these, then run it again",
    )


def refused_entries(
    document: Document,
    models: Iterable[Wanted],
    judge: PolicyJudge,
) -> Iterator[tuple[Wanted, SelfhostError]]:
    """Yield the entries that cannot be judged, each with the reason. After one more than
    MOST_REFUSED nothing more is judged.

    Of an entry with faults, and of all entries where `[needs]` has faults, only the names are
    checked: what they ask for is not known.
    """
    check_name = cache(judge.fault_of_name)
    are_needs_faulty = document.has_faults("needs")
    faulty = document.faulty_tables
    refusals: dict[object, SelfhostError | None] = {}
    refused = 0
    for wanted in models:
        error = fault_of_names(wanted, check_name)
        if error is None and not are_needs_faulty and wanted.path not in faulty:
            key = wanted.verdict_key
            if key not in refusals:
                refusals[key] = judge.refusal(wanted)
            error = refusals[key]
        if error is None:
            continue
        yield wanted, error
        refused += 1
        if refused > MOST_REFUSED:
            return


def fault_of_names(wanted: Wanted, check_name: NameCheck) -> SelfhostError | None:
    """Return the error where the name of an entry, or one of its members' names, means no model;
    else None. A name that is missing is a fault of its own.
    """
    for member in wanted.members or (wanted,):
        error = check_name(member.name) if member.name else None
        if error is not None:
            return error
    return None


def faults_of(wanted: Wanted, error: SelfhostError) -> Iterator[EntryFault]:
    """Yield the faults of an entry for which `error` was raised: one for each problem that the
    error holds, else one for the name.

    Problems of a `WorkloadError` are faults of keys; those of other errors are faults of the file
    that the entry names.
    """
    problems: tuple[Problem, ...] = getattr(error, "problems", ())
    if not problems:
        meant = partial(remedy_of_name, error)
        yield EntryFault(entry=wanted, key="name", message=error.message, remedy=meant)
    for problem in problems:
        if isinstance(error, WorkloadError):
            key = problem.key or "name"
            remedy = in_a_policy(problem.remedy)
            yield EntryFault(
                entry=wanted, key=key, message=problem.message, remedy=remedy
            )
        else:
            message = str(problem.replace(remedy=None))
            remedy = problem.remedy or _NAME_A_FILE
            yield EntryFault(entry=wanted, key="name", message=message, remedy=remedy)


def _add_fault(document: Document, fault: EntryFault) -> None:
    """Note the fault at the key of the entry."""
    key = fault.key
    if fault.entry.members and key not in _KEYS_OF_TOGETHER:
        key = "models"
    document.add((*fault.entry.path, key), fault.message, fault.remedy)


def remedy_of_name(error: SelfhostError) -> str | None:
    """Return the remedy with the name that was meant. The name is looked for only where the fault
    is listed.
    """
    if isinstance(error, UnknownModelError) and error.nearest:
        return f'did you mean "{error.nearest[0]}"?'
    return error.remedy


def _with_remedy(problem: Problem) -> Problem:
    """The fault of a file that is no TOML. A fault without a line is about the whole file; without
    a remedy it gets the remedy to write a new policy.
    """
    if problem.line is None and not problem.remedy:
        return problem.replace(remedy=INIT)
    return problem


def _check_schema(root: TomlTable) -> None:
    version = root.get("schema", "int", required=True, example=SCHEMA)
    if version is not None and version != SCHEMA:
        message = f"is {version}, but this selfhost reads schema {SCHEMA}"
        root.problem("schema", message, f"write schema = {SCHEMA}")


def _models(root: TomlTable, needs: Workload) -> tuple[Wanted, ...]:
    """The entries of each `[[model]]`, then of each `[[together]]`. Each entry includes `needs`,
    the conditions for every model.
    """
    entries = []
    for table in root.get("model", TABLES):
        entries.append(_model(table, needs))
    by_name = _by_name(entries)
    for table in root.get("together", TABLES):
        entries.append(_together(table, len(entries), needs, by_name))
    return _labelled(entries)


def _model(table: TomlTable, needs: Workload) -> Wanted:
    """The entry of a `[[model]]`."""
    name = table.get("name", "str", required=True) or ""
    asked = _asked(table, needs)
    where = table.fields(Wanted)
    require_runtime = bool(table.get("require_runtime", "bool"))
    joined = table.get("joined", "int", minimum=2, maximum=MOST_MACHINES) or 1
    link = _link(table, joined)
    table.close(_remedies_of_words())
    return Wanted(
        index=int(table.path[-1]),
        path=table.path,
        name=name,
        label=name,
        asked=asked,
        require_runtime=require_runtime,
        joined=joined,
        link=link,
        **where,
    )


def _link(table: TomlTable, joined: int) -> str | None:
    """The link between the machines that a `[[model]]` joins; None where it states none. A link of
    one machine, and one that does not exist, are noted as problems.
    """
    link: str | None = table.get("link", "str")
    if link is None:
        return None
    if joined == 1:
        table.problem("link", "is for machines that are joined", "add joined = 2")
        return None
    try:
        link_called(link)
    except InputError as error:
        table.problem("link", error.message, error.remedy)
    return link


def _asked(table: TomlTable, needs: Workload) -> Workload:
    """The workload that a `[[model]]` asks for. A value that contradicts the others is noted as a
    problem.
    """
    stated = {}
    for field in ASKED:
        value = table.get(field, Workload._annotations[field], **LIMITS[field])
        if value is not None:
            stated[field] = value
    try:
        return needs.replace(**stated)
    except WorkloadError as error:
        for fault in error.problems:
            table.problem(fault.key, fault.message, in_a_policy(fault.remedy))
        return needs


# entries that a list may mean, by a name or a label
_Entries = Mapping[str, Sequence[Wanted]]


def _by_name(entries: Iterable[Wanted]) -> _Entries:
    """The entries by their names, which several may have, and by their labels."""
    labelled = _labelled(entries)
    by_name: defaultdict[str, list[Wanted]] = defaultdict(list)
    for wanted in labelled:
        by_name[wanted.name].append(wanted)
    # a label means one entry, also where it is the name of several
    for wanted in labelled:
        by_name[wanted.label] = [wanted]
    return by_name


def _together(
    table: TomlTable, index: int, needs: Workload, entries: _Entries
) -> Wanted:
    """The entry of a `[[together]]`, which has that index in `Policy.models`."""
    names = _texts_by_place(table, "models", required=True)
    stated = table.values.get("models")
    if len(names) > MOST_TOGETHER:
        most = f"at most {MOST_TOGETHER:,} can be judged together"
        message = f"names {len(names):,} models; {most}"
        table.problem("models", message, "list only models that share one machine")
        names = {}
    elif isinstance(stated, list) and len(stated) < 2:
        remedy = (
            'write models = ["mistral-7b", "bge-m3"]; a single model is a [[model]]'
        )
        table.problem("models", "names fewer than two models", remedy)
    members = []
    for place, name in names.items():
        meant = entries.get(name, ())
        if len(meant) > 1:
            either = " or ".join(f'"{entry.label}"' for entry in meant[:3])
            message = f'"{name}" is the name of several [[model]] entries'
            path = (*table.path, "models", place)
            table.document.add(path, message, f"write which: {either}")
        alone = Wanted(index=0, name=name, label=name, asked=needs)
        members.append(meant[0] if meant else alone)
    where = table.fields(Wanted)
    table.close(_remedies_of_words())
    return Wanted(
        index=index,
        path=table.path,
        name=" + ".join([member.name for member in members]),
        label=" + ".join([member.label for member in members]),
        asked=needs,
        members=tuple(members),
        **where,
    )


def _labelled(models: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """The entries with labels that differ, because some programs that read a report keep only the
    first of two equal names.

    A label that several entries have is written with all that the entry asks; one that several
    entries still have then, with the entry's index, too.
    """
    labelled = list(models)
    for label_of in (_full_label, _numbered_label):
        counts = Counter([wanted.label for wanted in labelled])
        for place, wanted in enumerate(labelled):
            if counts[wanted.label] > 1:
                labelled[place] = wanted.replace(label=label_of(wanted))
    return tuple(labelled)


def _numbered_label(wanted: Wanted) -> str:
    """The label with the place of the entry in the policy: `qwen3-8b (model[2])`."""
    return f"{wanted.label} (model[{wanted.index}])"


def _full_label(wanted: Wanted) -> str:
    """The label with all that the entry asks: `qwen3-8b, context 8192, on laptops`."""
    parts = [wanted.label]
    for key, words in ASKED.items():
        value = getattr(wanted.asked, key)
        if value is None:
            continue
        # of `parallel`, the usual number
        if key == "parallel" and value == 1:
            continue
        if isinstance(value, float):
            value = f"{value:g}"
        parts.append(fill(words, {"value": value}))
    if wanted.require_runtime:
        parts.append("runtime installed")
    if wanted.joined > 1:
        over = f" by {wanted.link}" if wanted.link else ""
        parts.append(f"on {wanted.joined} joined{over}")
    if wanted.machines:
        selectors = " ".join(map(str, wanted.machines))
        parts.append(f"on {selectors}")
    return ", ".join(parts)


def _exceptions(root: TomlTable, models: Iterable[Wanted]) -> tuple[Exemption, ...]:
    """The entries of each `[[exception]]`, which must be for a model of the policy."""
    names = dict.fromkeys([wanted.name for wanted in models])
    exemptions = []
    for index, table in enumerate(root.get("exception", TABLES)):
        stated = table.fields(Exemption)
        exemption = Exemption(index=index, **stated)
        table.close()
        exemptions.append(exemption)
        model = exemption.model
        # None where the key is missing
        if model and model not in names:
            remedy = "write the name as its [[model]] does, or remove the exception"
            near = list(islice(names, _MOST_COMPARED))
            meant = table.document.did_you_mean(model, near, remedy, '"{name}"')
            table.problem("model", f'no [[model]] has the name "{model}"', meant)
    return tuple(exemptions)


class _StarterPolicy(Stated):
    schema: int
    text: str


def starter_policy() -> str:
    """The text of `specs/common/starter_policy.toml`: valid as it stands."""
    text = program_record(_StarterPolicy, "starter_policy").text
    return text.replace("@checks@", " | ".join(CHECKS))
