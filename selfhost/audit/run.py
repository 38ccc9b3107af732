"""Many models x many machines x a policy -> `Audit`: rows in a fixed order, all faults, and what
changed since an earlier audit.

Models are judged in their own defaults, so that a policy means the same on every machine; pictures
and video in the first type and program that run there, as `check` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from typing import Any

from ..advice.api_route import offers_for
from ..advice.several import verdict_together
from ..advice.understood import understand
from ..catalogue.index import Catalogue
from ..catalogue.names import is_path
from ..catalogue.searching import resolve
from ..core import units
from ..core.errors import (
    MAX_PROBLEMS,
    InputError,
    PolicyError,
    Problem,
    SelfhostError,
    UnknownModelError,
    WorkloadError,
    first_problems,
)
from ..core.files import Unreadable, open_file, parse_json, too_large
from ..core.records import Record
from ..core.tables import Document, shipped_table
from ..judge.defaults import suited, takes_first_of_list
from ..judge.judging import judge
from ..judge.pace.rates import shared_gpu_of
from ..judge.question import ask
from ..judge.record import Judged, Question, Verdict
from ..machine.changes import filled_disks
from ..machine.instruction_sets import own_sets, with_implied
from ..machine.record import FactValues, Machine
from ..needs.quantization import LAYOUTS
from .drafts import NOT_JUDGED
from .fleet_judge import MOST_REFUSED, FleetJudge, Judge, Tell
from .machines import RECORD_IT, Fleet, Machines, text_lines
from .policy import FACT_KEYS, Fault, MachineClass, Policy, Wanted, read_policy
from .rows import Audit, Exemptions, Result, Row, Since, listed

# a row is judged where one of them was held against the machine
_SIZES = frozenset(("memory", "disk"))


def run_audit(
    policy: Policy,
    fleet: Fleet,
    judge_entry: Judge,
    *,
    today: str,
    tell: Tell | None = None,
    baseline: Baseline | None = None,
) -> Audit:
    """Judge each model on each machine that the policy names for it; with a baseline, what changed.

    A `SelfhostError` of `judge_entry`, which is pickled for other processes, becomes a problem at
    the policy's line. `today` is `YYYY-MM-DD` in UTC. `tell` hears how many verdicts are given, and
    of how many; what it raises ends the audit.
    """
    machines, notes, problems = _serving_machines(policy, fleet)
    machines, stated = _with_stated_facts(policy, machines)
    notes = [*fleet.notes, *_notes_of_days(machines, today), *notes, *stated]
    exceptions = Exemptions(policy, today)
    check_name = (
        judge_entry.fault_of_name if isinstance(judge_entry, PolicyJudge) else None
    )
    judging = FleetJudge(policy, machines, judge_entry, exceptions, check_name)
    judging.judge_all(tell or (lambda _done, _total: None))
    count = len(machines)
    if not count and not problems:
        message = "there is no machine to judge"
        problems.append(Problem(file=policy.file, message=message, remedy=RECORD_IT))
    nowhere = [wanted for wanted in policy.models if wanted.index not in judging.placed]
    # a fleet's policy held against one of its machines: entries for classes to which it does not
    # belong are no fault, as long as another entry is judged there
    is_part = count == 1 and len(nowhere) < len(policy.models)
    others = [
        wanted
        for wanted in nowhere
        if is_part and any(each.kind == "class" for each in wanted.machines)
    ]
    unplaced = [wanted for wanted in nowhere if count and wanted not in others]
    problems += entry_problems(policy, judging.refused, unplaced, count)
    if judging.is_cut_off:
        problems.insert(0, _too_many_refused(policy))
    if others:
        names = [
            f"{each.name} ({' '.join(map(str, each.machines))})" for each in others
        ]
        notes.append(
            f"not judged on this machine, which is in another class: {listed(names)}"
        )
    audit = Audit(
        policy=policy,
        today=today,
        names=machines.names,
        groups=tuple(judging.groups()),
        exceptions=exceptions.uses(),
        problems=tuple(problems),
        notes=tuple(notes),
    )
    audit = _with_fault_if_unjudged(audit)
    return (
        audit if baseline is None else _changes_since(audit, baseline, fleet, judging)
    )


def _with_fault_if_unjudged(audit: Audit) -> Audit:
    """The audit, with a fault where nothing was judged: that is never green, whatever passes."""
    rows = [group.row for group in audit.groups]
    if audit.exit_code != 0 or any(row.result is not Result.UNKNOWN for row in rows):
        return audit
    if any(row.verdict is not None and not {*row.undecided} >= _SIZES for row in rows):
        return audit
    nothing = Problem(
        file=audit.policy.file,
        message="nothing was judged: neither the memory nor the disk of any machine could be read",
        remedy=RECORD_IT,
    )
    return audit.replace(problems=(nothing,))


class PolicyJudge:
    """Gives the verdict of an entry of a policy on a machine, without commands and alternatives.
    Questions and offers, which take longer than a judgement, are kept: a fleet asks 10,000 times.
    """

    def __init__(self, catalogue: Catalogue, today: str) -> None:
        self._catalogue, self._today = catalogue, today
        self._questions: dict[object, Question] = {}
        self._offered: dict[object, bool] = {}

    def __reduce__(self) -> tuple[object, ...]:
        # what was kept stays in this process
        return PolicyJudge, (self._catalogue, self._today)

    def __call__(self, wanted: Wanted, basis: str, machine: Machine) -> Verdict:
        """Raises `SelfhostError` for an entry that can be judged on no machine."""
        models = [
            each.replace(asked=each.asked.replace(memory_basis=basis))
            for each in wanted.members or (wanted,)
        ]
        questions = [self._question(each, machine) for each in models]
        # in the model's own defaults, but pictures in the first type and program that run there
        all_judged = [
            suited(judged, self._catalogue, machine)
            if takes_first_of_list(judged.question)
            else judged
            for judged in (judge(each, machine) for each in questions)
        ]
        questions = [judged.question for judged in all_judged]

        are_offered = partial(
            self._are_offered, list(zip(models, questions, strict=True))
        )
        if wanted.members:
            names = [each.name for each in wanted.members]
            return verdict_together(names, questions, machine, are_offered)
        (judged,) = all_judged
        is_offered = bool(judged.failed) and are_offered(judged)
        return Verdict.conclude(judged, machine, asked=wanted.name, offered=is_offered)

    def fault_of_name(self, name: str) -> SelfhostError | None:
        """Why a name means no model; None where it means one, or is the path of a file."""
        if is_path(name):
            return None
        try:
            resolve(name, self._catalogue)
        except UnknownModelError as error:
            return error
        except SelfhostError:
            # of a spec, which is told where the model is judged
            return None
        return None

    def _question(self, model: Wanted, machine: Machine) -> Question:
        """The question; without model files only how weights are laid out here counts."""
        sets = machine.instruction_sets
        if shared_gpu_of(machine, is_used=True) is not None:
            sets = ()
        elif sets is not None:
            # the first decides
            sets = tuple([name for name in LAYOUTS if name in sets][:1])
        has_files = machine.models_present or machine.is_this_one
        question = None if has_files else self._questions.get((model, sets))
        if question is None:
            if not has_files:
                machine = Machine(
                    instruction_sets=sets, accelerators=(), models_present=()
                )
            meaning = understand(self._catalogue, model.name, model.asked)
            question = ask(
                meaning.spec, meaning.workload, self._catalogue, machine, meaning.files
            )
            question = question.replace(requires_runtime=model.require_runtime)
            if not has_files:
                self._questions[model, sets] = question
        return question

    def _are_offered(
        self, entries: Sequence[tuple[Wanted, Question]], judged: Judged
    ) -> bool:
        # of what is found only that of the model itself counts
        terms = ("license", "openness")
        is_refused = any(
            each.decides and each.check in terms for each in judged.findings
        )
        for model, question in entries:
            spec, wanted, workload = question.spec, model.asked, question.workload
            rights = wanted.commercial, wanted.modify, wanted.auditable
            wishes = wanted.private, wanted.license, *rights
            tokens = workload.context_tokens if question.context_asked else None
            key = spec.id, spec.origin, wishes, workload.task, is_refused, tokens
            if key not in self._offered:
                offers = offers_for(
                    self._catalogue, judged.replace(question=question), self._today
                )
                self._offered[key] = bool(offers)
            if not self._offered[key]:
                return False
        return True


_NAME_A_FILE = "give the path of the file from the folder in which the audit runs"


def problems_of(path: str, judge_entry: PolicyJudge) -> tuple[Problem, ...]:
    """Every fault that would keep an audit with this policy from an answer on any machine."""
    try:
        policy = read_policy(Document.read(path))
    except PolicyError as error:
        return error.problems
    refused: dict[int, SelfhostError] = {}
    error_by_question: dict[object, SelfhostError | None] = {}
    faulty = 0
    for wanted in policy.models:
        question = wanted.question
        if question not in error_by_question:
            error_by_question[question] = _refusal(judge_entry, wanted)
            faulty += error_by_question[question] is not None
        refusal = error_by_question[question]
        if refusal is not None:
            refused[wanted.index] = refusal
        if faulty > MOST_REFUSED:
            return (_too_many_refused(policy), *entry_problems(policy, refused))
    return entry_problems(policy, refused)


def _refusal(judge_entry: PolicyJudge, wanted: Wanted) -> SelfhostError | None:
    """Why an entry can be judged on no machine; None where it can."""
    try:
        judge_entry(wanted, "default", Machine())
    except SelfhostError as error:
        return error
    return None


def _too_many_refused(policy: Policy) -> Problem:
    return Problem(
        file=policy.file,
        message=f"more than {MOST_REFUSED:,} entries cannot be judged, so the audit stopped before"
        " it judged anything",
        remedy="correct these, then run it again",
    )


def entry_problems(
    policy: Policy,
    refused: Mapping[int, SelfhostError],
    unplaced: Sequence[Wanted] = (),
    machines: int = 0,
) -> tuple[Problem, ...]:
    """What is wrong with entries that were refused, or are for none of so many machines."""
    faults: list[Fault] = []
    for index, error in refused.items():
        problems = getattr(error, "problems", ())
        for each in problems:
            key, text, fix = each.key or "name", each.message, each.remedy
            if not isinstance(error, WorkloadError):
                # of a file that the entry names
                key, text, fix = (
                    "name",
                    str(each.replace(remedy=None)),
                    fix or _NAME_A_FILE,
                )
            faults.append((index, key, text, fix))
        if not problems:
            faults.append(
                (index, "name", error.message, partial(_remedy_of_name, error))
            )
    message = f"selects none of the {machines:,} machines"
    message = "does not select the machine" if machines == 1 else message
    remedy = "widen the selectors, add labels or a name to the machine's record, or remove it"
    faults += [(wanted.index, "machines", message, remedy) for wanted in unplaced]
    return policy.problems(faults) if faults else ()


def _remedy_of_name(error: SelfhostError) -> str | None:
    """The name that was meant; it is looked for only where the fault is listed."""
    if isinstance(error, UnknownModelError) and error.nearest:
        return f'did you mean "{error.nearest[0]}"?'
    return error.remedy


def _serving_machines(
    policy: Policy, fleet: Fleet
) -> tuple[Machines, list[str], list[Problem]]:
    """The machines to judge, a note on those at rest, and what could not be used."""
    machines, problems = fleet.machines, [*fleet.problems]
    is_skipped = policy.out_of_service == "skip"
    resting_words = shipped_table("systems")["resting"]
    states = [
        ",".join(text.lower() for key, text in labels.items() if key.endswith(".state"))
        for labels in machines.labels
    ]
    reasons = [
        ", ".join(w for w in text.split(",") if w in resting_words) for text in states
    ]
    pairs = [
        (name, why) for name, why in zip(machines.names, reasons, strict=True) if why
    ]
    if is_skipped:
        pairs += [each.message.partition(NOT_JUDGED)[::2] for each in fleet.down]
        machines = Machines(
            each for each, why in zip(machines, reasons, strict=True) if not why
        )
    elif fleet.down:
        problems += first_problems(fleet.down[0].file, fleet.down)
    resting = [f'"{name}" ({why})' for name, why in pairs]
    left_out = ", and the policy leaves them out" if is_skipped else ""
    note = f"machines that accept no new work{left_out}: {listed(resting)}"
    return machines, [note] if resting else [], problems


def _notes_of_days(machines: Machines, today: str) -> list[str]:
    """Where the oldest record is of another day than today (UTC), and which are of a later one."""
    moments: list[tuple[datetime, str]] = []
    for name, time in zip(machines.names, machines.times, strict=True):
        with suppress(ValueError, OverflowError):
            moments.append((datetime.fromisoformat(time or "").astimezone(UTC), name))
    if not moments:
        return []
    notes: list[str] = []
    moment, name = min(moments, key=lambda pair: pair[0])
    oldest = moment.date().isoformat()
    if oldest < today:
        notes.append(f'the oldest record is that of "{name}", read on {oldest}')
    moment, name = max(moments, key=lambda pair: pair[0])
    newest = moment.date().isoformat()
    if newest > today:
        later = sum(moment.date().isoformat() > today for moment, _ in moments)
        others = (
            f" (and {units.plural(later - 1, 'more record')} of a later day)"
            if later > 1
            else ""
        )
        notes.append(
            f'"{name}" was recorded on {newest}, which is after today{others}:'
            " check that machine's clock"
        )
    return notes


def _with_stated_facts(
    policy: Policy, machines: Machines
) -> tuple[Machines, list[str]]:
    """The machines with the facts of their classes, and a sentence for each that counts."""
    stating = [(index, each) for index, each in enumerate(policy.classes) if each.facts]
    if not stating:
        return machines, []
    document = policy.document()
    classes: list[tuple[MachineClass, str]] = []
    for index, machine_class in stating:
        line = document.line(("class", index, "facts"))
        source = (
            f"stated by the policy, {policy.file}:{line} (class {machine_class.name})"
        )
        classes.append((machine_class, source))
    counts: Counter[tuple[str, str]] = Counter()
    changed = Machines()
    for machine in machines:
        stated: dict[str, tuple[str, object, str]] = {}
        for machine_class, source in classes:
            if machine_class.holds(machine):
                for key, (text, value) in machine_class.facts.items():
                    stated.setdefault(key, (text, value, source))
        completed = machine
        for key, (text, value, source) in stated.items():
            if values := _missing_facts(completed, key, value):
                completed = completed.stated(values, source)
                counts[key, f"{text}, {source}"] += 1
        changed.add(completed)
    notes = []
    for (key, said), count in counts.items():
        notes.append(f"{key} of {units.plural(count, 'machine')}: {said}")
    return changed, notes


def _missing_facts(machine: Machine, key: str, value: Any) -> FactValues:
    """The facts of a machine that a stated one changes; {} where it says nothing of it."""
    fact, _ = FACT_KEYS[key]
    read = getattr(machine, fact)
    is_read = read is not None and fact not in machine.assumed
    if key == "instruction_sets":
        # a class may hold machines of several architectures: each gets those of its own
        names = own_sets(value, machine.architecture)
        if is_read:
            # beside sets that were read those that are not known to be absent
            unread = {each.fact for each in machine.unread}
            names = tuple(name for name in names if f"{fact}.{name}" in unread)
            return {fact: (*read, *names)} if names else {}
        return {fact: with_implied(names, machine.architecture)} if names else {}
    if is_read:
        return {}
    if key == "bandwidth":
        return {
            fact: value.bytes_per_second,
            "memory_bandwidth_how": None,
            "memory_bandwidth_bound": None,
        }
    return {fact: filled_disks(machine.disks, value) if key == "disk" else value}


# a row takes about 200 bytes: room for a million of them
MAX_BASELINE_BYTES = 1 << 28
_RESULTS = tuple(result.value for result in Result)
_WRITE_IT = "write it by `selfhost audit --format jsonl=FILE`"


# a row's result in an earlier audit, and what failed
Earlier = tuple[Result, frozenset[str]]


class Baseline(Record):
    """An earlier audit: by label and machine each row's result."""

    file: str
    rows: Mapping[str, dict[str, Earlier]]


def read_baseline(
    path: str, tell: Callable[[float, float | None], None] | None = None
) -> Baseline:
    """The earlier audit in a file; `tell` hears how many rows were read. `InputError` has file and
    line.
    """
    rows: dict[str, dict[str, Earlier]] = {}
    # of a million rows few say something else of their machines
    alike: dict[Earlier, Earlier] = {}
    line_number = 0
    try:
        stream, size = open_file(path, input_allowed=True)
        with stream:
            if (size or 0) > MAX_BASELINE_BYTES:
                raise too_large(MAX_BASELINE_BYTES)
            for line_number, line in text_lines(stream):
                if tell is not None:
                    tell(line_number, None)
                row = parse_json(line)
                if not isinstance(row, dict) or "schema" in row:
                    raise Unreadable(
                        "is not a row of an audit: JSON Lines have one object on each line"
                    )
                if row.get("problem") is not None:
                    continue
                machine, label, earlier = _earlier_row(row)
                rows.setdefault(label, {})[machine] = alike.setdefault(earlier, earlier)
        if not rows:
            raise Unreadable("holds no row of an audit" if line_number else "is empty")
    except Unreadable as error:
        problem = error.problem(path, _WRITE_IT).replace(line=line_number or None)
        raise InputError([problem]) from None
    return Baseline(file=path, rows=rows)


def _earlier_row(row: Mapping[str, object]) -> tuple[str, str, Earlier]:
    """The machine and the label of a row, and what it says. Raises `Unreadable`."""
    machine, label, result, failed = map(
        row.get, ("machine", "label", "result", "failed")
    )
    if not (isinstance(machine, str) and isinstance(label, str)):
        raise Unreadable("is not a row of an audit: machine and label must be names")
    if result not in _RESULTS or not isinstance(failed, list):
        raise Unreadable(
            f"is not a row of an audit: result must be one of {', '.join(_RESULTS)}"
        )
    return machine, label, (Result(result), frozenset(map(str, failed)))


def _changes_since(
    audit: Audit, baseline: Baseline, fleet: Fleet, judging: FleetJudge
) -> Audit:
    """The rows that changed; a machine of the baseline that was not read is a problem."""
    faulty = {
        each.message.partition(NOT_JUDGED)[0] for each in (*audit.problems, *fleet.down)
    }
    seen = faulty.union(fleet.machines.names)
    message = f"{NOT_JUDGED}it is in the baseline but no longer here"
    remedy = "restore its record; if the machine is gone for good, write a new baseline"
    names = chain.from_iterable(baseline.rows.values())
    gone = dict.fromkeys(name for name in names if name not in seen)
    # a baseline may hold a million others
    missing = [
        Problem(file=baseline.file, message=f"{name}{message}", remedy=remedy)
        for name in islice(gone, MAX_PROBLEMS + 1)
    ]
    if len(gone) > len(missing):
        missing[-1] = missing[-1].replace(unlisted=len(gone) - MAX_PROBLEMS)
    groups = tuple(judging.groups(lambda row: change_of(row, baseline)))
    counts: Counter[str | None] = Counter()
    for group in groups:
        counts[group.row.change] += group.count
    changes = {change: counts[change] for change in ("new", "fixed", "changed")}
    unchanged = sum(group.count for group in audit.groups) - counts.total()
    return audit.replace(
        groups=groups,
        since=Since(file=baseline.file, unchanged=unchanged, **changes),
        problems=(*audit.problems, *first_problems(baseline.file, missing)),
    )


def change_of(row: Row, baseline: Baseline) -> str | None:
    """`new`, `fixed` or `changed` since the baseline; what that lacks counts as a pass."""
    of_label = baseline.rows.get(row.wanted.label, {})
    earlier, failed = of_label.get(row.machine, (None, frozenset()))
    bad = (Result.FAIL, Result.UNKNOWN)
    if (earlier, failed) == (row.result, frozenset(row.failed)):
        return None
    if row.result not in bad:
        fixed = "fixed" if earlier in bad else "changed"
        return None if earlier is None else fixed
    fails_more = row.result is Result.FAIL and (
        earlier is not Result.FAIL or not failed.issuperset(row.failed)
    )
    return "new" if fails_more or earlier not in bad else "changed"
