"""The judgement of every entry of a policy on every machine of a fleet.

`FleetJudge` finds the entries for each machine, and puts machines of one kind with the same entries
into tasks of about the same size. Several processes do the tasks (`Task.results`) in the way that
`kinds` explains: several machines together, wherever two judgements answer for all of them. At last
the machines with equal results become the groups of the audit.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from itertools import chain
from math import log2
from time import monotonic
from typing import NamedTuple

from ..core.errors import SelfhostError
from ..core.records import Record
from ..judge.checks import Outcome
from ..judge.record import Verdict
from ..machine.record import Machine
from .kinds import (
    AlikeMachines,
    AlikeSearch,
    DecidingFinding,
    Decision,
    DecisionKey,
    Kind,
    Machines,
    Numbers,
    NumbersByMachine,
    Outcomes,
    Places,
    Warned,
)
from .policy import MOST_REFUSED, Exemption, NameCheck, Policy, Wanted, fault_of_names
from .processes import in_order, usable_processors
from .rows import (
    AuditRow,
    ExceptionNumbers,
    Exemptions,
    MachineGroup,
    row_of,
    unplaced_row,
)

# takes how much is done, and how much there is in all
Tell = Callable[[float, float], None]
# takes an entry, the basis of memory that applies and a machine; returns the verdict
Judge = Callable[[Wanted, str, Machine], Verdict]
# takes a row; returns how the row changed since an earlier audit, or None without a change
ChangeOf = Callable[[AuditRow], str | None]

# the judgements in one task: about half a second
_WORK_OF_TASK = 500.0
# the questions in one task: a policy may have tens of thousands
_MOST_QUESTIONS = 250
# up to this number, machines are judged one by one
_FEW = 4


class Asker(NamedTuple):
    """An entry of the policy that is for a machine, by the entry's index, with the numbers of its
    exceptions there.
    """

    entry: int
    exceptions: ExceptionNumbers


class SharedQuestion(Record):
    """A question that several entries of the policy ask alike.

    `wanted` is the first of these entries, which is judged for all. `askers` are the entries that
    ask the question on the machines of a task.
    """

    wanted: Wanted
    askers: tuple[Asker, ...]


Questions = tuple[SharedQuestion, ...]


class Task(Record):
    """Machines of one kind with their numbers, and the questions about them. Machines of one part
    have the same free memory of every accelerator.
    """

    kind: Kind
    basis: str
    numbers: NumbersByMachine
    parts: tuple[Places, ...]
    questions: Questions

    @cached_property
    def work(self) -> float:
        """The approximate number of judgements that the task takes."""
        return sum(_work_of_part(part, self.questions) for part in self.parts)

    def results(self, judge: Judge) -> list[Outcomes]:
        """The outcomes of each question on the machines of the task."""
        results: list[Outcomes] = []
        for question in self.questions:
            # a few machines are judged one by one. So are all machines of a [[together]]: which
            # accelerator holds which model follows no order of the machines' numbers
            boxes: list[Places] = []
            for part in self.parts:
                if question.wanted.members or len(part) <= _FEW:
                    boxes += [[place] for place in part]
                else:
                    boxes.append(part)
            decide = partial(self._decide, question.wanted, judge)
            search = AlikeSearch(self.numbers, decide)
            try:
                results.append(search.machines_that_fare_alike(boxes))
            except SelfhostError as error:
                results.append(error)
        return results

    def _decide(
        self,
        wanted: Wanted,
        judge: Judge,
        numbers: Numbers,
    ) -> Decision:
        """The decision on a machine of the kind with these numbers."""
        machine = self.kind.machine(numbers)
        verdict = judge(wanted, self.basis, machine)
        findings = []
        lacks = 0.0
        for finding in verdict.findings:
            if not finding.decides:
                continue
            outcome = finding.outcome.value
            deciding = DecidingFinding(
                check=finding.check, outcome=outcome, code=finding.code
            )
            findings.append(deciding)
            lacks = max(lacks, finding.short or 0.0)
        loaded = verdict.workload
        key = DecisionKey(
            route=verdict.route,
            runtime=loaded.runtime,
            format=loaded.format,
            quantization=loaded.quantization,
            findings=tuple(findings),
        )
        return Decision(key=key, lacks=lacks, warned=_warned(verdict))


def _warned(verdict: Verdict) -> Warned:
    """The checks that warn, each with its reason code."""
    warned = []
    for finding in verdict.findings:
        if finding.outcome is Outcome.WARN:
            warned.append((finding.check, finding.code))
    return tuple(warned)


def _work_of_part(part: Places, questions: Questions) -> float:
    """The approximate number of judgements that these questions take on those machines of one
    kind.
    """
    machines = len(part)
    work = 0.0
    for question in questions:
        if question.wanted.members:
            work += machines
        else:
            work += 1 + 3 * log2(machines)
    return work


class _Fate:
    """The machines that fare alike under one entry, by their `places`.

    For judged machines, `hardest` is the place of the machine that lacks most; its row is made when
    the row is shown. For machines of which nobody knows whether the entry is for them, `row` is the
    row of all.
    """

    def __init__(self, wanted: Wanted, exceptions: ExceptionNumbers) -> None:
        self.wanted = wanted
        self.exceptions = exceptions
        self.row: AuditRow | None = None
        self.places = array("l")
        self.warned: set[Warned] = set()
        self.hardest = -1
        # less than any machine lacks
        self._lacks = -1.0

    def add(self, alike: AlikeMachines) -> None:
        """Add machines that were judged."""
        self.places.extend(alike.places)
        self.warned |= alike.warned
        is_harder = alike.lacks > self._lacks
        # of two machines that lack equally much, the first counts
        if alike.lacks == self._lacks:
            is_harder = alike.hardest < self.hardest
        if is_harder:
            self.hardest = alike.hardest
            self._lacks = alike.lacks

    def order(self) -> tuple[int, int]:
        """Return the sort key of the group in the audit: the entry, then the first machine."""
        return self.wanted.index, min(self.places)


class _FateKey(NamedTuple):
    """The key of machines that fare alike: an entry, the decision, and the exceptions from it.

    `decision` is a `DecisionKey`, or the reasons of a row where it is not known whether the entry
    is for a machine.
    """

    entry: int
    decision: object
    exceptions: ExceptionNumbers


class _BatchKey(NamedTuple):
    """The properties that machines must share to be judged together."""

    kind_number: int
    basis: str
    askers: tuple[Asker, ...]


class FleetJudge:
    """The judge of a policy's entries on a fleet. Entries that ask the same are judged once.

    `placed` are the entries that are for a machine, `refused` the entries that could not be judged.
    """

    def __init__(
        self,
        policy: Policy,
        machines: Machines,
        judge: Judge,
        exceptions: Exemptions,
        check_name: NameCheck | None = None,
    ) -> None:
        self._policy = policy
        self._machines = machines
        self._judge = judge
        self._exceptions = exceptions
        self._check_name = check_name
        self.refused: dict[int, SelfhostError] = {}
        self.placed: set[int] = set()
        # the first entry that asks the same question, by entry
        self._first = []
        first_by_key: dict[object, int] = {}
        for wanted in policy.models:
            first = first_by_key.setdefault(wanted.verdict_key, wanted.index)
            self._first.append(first)
        self._fates: dict[_FateKey, _Fate] = {}
        # verdicts by question and machine, for entries that ask the same question
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        self._batches = defaultdict(list)
        for place, machine in enumerate(machines):
            kind_number = machines.kept[place].kind_number
            askers = self._askers_on(place, machine)
            basis = policy.memory_basis(machine)
            key = _BatchKey(kind_number=kind_number, basis=basis, askers=askers)
            self._batches[key].append(place)

    @property
    def is_cut_off(self) -> bool:
        """Whether so many entries were refused that others were not looked at."""
        return len(self.refused) > MOST_REFUSED

    def _askers_on(self, place: int, machine: Machine) -> tuple[Asker, ...]:
        """The entries that are for a machine. Entries that may be for it are kept at once as rows
        without a verdict.
        """
        askers = []
        for wanted in self._policy.models:
            selected = self._policy.selects(wanted.machines, machine)
            if selected is False:
                continue
            self.placed.add(wanted.index)
            if selected:
                concerning = self._exceptions.concerning(wanted.name, machine)
                askers.append(Asker(entry=wanted.index, exceptions=concerning))
                continue
            row = unplaced_row(self._policy, wanted, machine)
            key = _FateKey(entry=wanted.index, decision=row.reasons, exceptions=())
            fate = self._fate(key)
            fate.row = fate.row or row
            fate.places.append(place)
        return tuple(askers)

    def _fate(self, key: _FateKey) -> _Fate:
        """The machines of that key; a new, empty group where the key is new."""
        fate = self._fates.get(key)
        if fate is None:
            wanted = self._policy.models[key.entry]
            fate = self._fates[key] = _Fate(wanted, key.exceptions)
        return fate

    def judge_all(self, tell: Tell) -> None:
        """Judge each entry on the machines that it is for. `tell` hears how many verdicts are
        given, and of how many.
        """
        self._refuse_unknown_names()
        if not self.is_cut_off:
            self._do_tasks(tell)
        if self.is_cut_off:
            # an audit that was cut off gives no answers
            self._fates.clear()
        for key in list(self._fates):
            if key.entry in self.refused:
                del self._fates[key]
        for fate in self._fates.values():
            self._exceptions.count(fate.exceptions, len(fate.places))

    def _refuse_unknown_names(self) -> None:
        """Refuse the entries whose names mean no model. This process does it, because each other
        process would read the catalogue for it.
        """
        if self._check_name is None:
            return
        check_name = cache(self._check_name)
        for index in sorted(self.placed):
            error = fault_of_names(self._policy.models[index], check_name)
            if error is not None:
                self.refused[index] = error
            if self.is_cut_off:
                return

    def _do_tasks(self, tell: Tell) -> None:
        """Do the tasks, and add the outcome of each question to the entries that ask it."""
        tasks = list(self._tasks())
        work = sum(task.work for task in tasks)
        done = 0.0
        verdicts = len(self._machines) * len(self._policy.models)
        for task, results in _task_results(tasks, self._judge):
            for question, result in zip(task.questions, results, strict=True):
                if isinstance(result, SelfhostError):
                    self._refuse(question, result)
                else:
                    self._add(question, result)
            done += task.work
            tell(done / work * verdicts, verdicts)
            if self.is_cut_off:
                return

    def _refuse(self, question: SharedQuestion, error: SelfhostError) -> None:
        """Refuse each entry that asks the question."""
        for asker in question.askers:
            self.refused.setdefault(asker.entry, error)

    def _add(self, question: SharedQuestion, result: Sequence[AlikeMachines]) -> None:
        """Add the outcome of a question to each entry that asks it."""
        for alike in result:
            checks = alike.key.checks
            for asker in question.askers:
                exceptions = self._exceptions.of_checks(asker.exceptions, checks)
                key = _FateKey(
                    entry=asker.entry, decision=alike.key, exceptions=exceptions
                )
                fate = self._fate(key)
                fate.add(alike)

    def _tasks(self) -> Iterator[Task]:
        """The work of all batches, in tasks of about the same size."""
        for batch, places in self._batches.items():
            kind = self._machines.kinds.known[batch.kind_number]
            numbers = {}
            for place in places:
                numbers[place] = self._machines.kept[place].numbers
            parts = kind.by_free_memory_of_cards(numbers)
            questions = self._questions(batch.askers)
            for start in range(0, len(questions), _MOST_QUESTIONS):
                asked = questions[start : start + _MOST_QUESTIONS]
                for share in _shares(parts, asked):
                    numbers_of_task = {}
                    for place in chain.from_iterable(share):
                        numbers_of_task[place] = numbers[place]
                    yield Task(
                        kind=kind,
                        basis=batch.basis,
                        numbers=numbers_of_task,
                        parts=tuple(share),
                        questions=asked,
                    )

    def _questions(self, askers: Iterable[Asker]) -> Questions:
        """The questions of these entries, each once. Questions of refused entries are left out."""
        by_first = defaultdict(list)
        for asker in askers:
            if asker.entry not in self.refused:
                first = self._first[asker.entry]
                by_first[first].append(asker)
        questions = []
        for first, same in by_first.items():
            wanted = self._policy.models[first]
            questions.append(SharedQuestion(wanted=wanted, askers=tuple(same)))
        return tuple(questions)

    def groups(self) -> Iterator[MachineGroup]:
        """Yield the machines that fare alike, entry after entry, with the row of the machine that
        lacks most.
        """
        for fate in sorted(self._fates.values(), key=_Fate.order):
            row = fate.row
            if row is None:
                covers = self._exceptions.covers(fate.exceptions)
                row = self._row(fate.wanted, fate.hardest, covers)
            group = self._group(row, sorted(fate.places))
            yield group.replace(warns_alike=len(fate.warned) < 2)

    def changed(
        self, group: MachineGroup, change_of: ChangeOf
    ) -> Iterator[MachineGroup]:
        """The machines of a group that changed alike. Only what is newly wrong fails the audit."""
        by_change = defaultdict(list)
        for place, name in zip(group.numbers, group.names, strict=True):
            change = change_of(group.row.replace(machine=name))
            if change is not None:
                by_change[change].append(place)
        for change, places in by_change.items():
            part = self._group(group.row, places)
            part = part.replace(warns_alike=group.warns_alike)
            row = group.row
            if row.verdict is None:
                row = row.replace(machine=part.names[0])
            elif row.machine not in part.names:
                covers = dict(row.excepted)
                row = self._row(row.wanted, places[0], covers)
            exit_code = row.exit_code if change == "new" else 0
            row = row.replace(change=change, exit_code=exit_code)
            yield part.replace(row=row)

    def row_on(self, group: MachineGroup, place: int) -> AuditRow:
        """Return the row of one machine of a group, with the machine's own figures."""
        row = group.row
        machine = self._machines[place]
        if row.verdict is None or group.count == 1:
            return row.replace(machine=machine.name)
        basis = self._policy.memory_basis(machine)
        verdict = self._judge(row.wanted, basis, machine)
        covers = dict(row.excepted)
        judged = row_of(self._policy, row.wanted, machine.name, verdict, covers)
        return judged.replace(change=row.change, exit_code=row.exit_code)

    def _group(self, row: AuditRow, places: Places) -> MachineGroup:
        """The group of the machines at these places, with that row."""
        names = [self._machines.kept[place].name for place in places]
        numbers = array("l", places)
        return MachineGroup(row=row, numbers=numbers, names=tuple(names))

    def _row(
        self,
        wanted: Wanted,
        place: int,
        covers: Mapping[str, Exemption],
    ) -> AuditRow:
        """The row of an entry on one machine, which these exceptions cover by their checks."""
        machine = self._machines[place]
        question = (self._first[wanted.index], place)
        verdict = self._verdicts.get(question)
        if verdict is None:
            basis = self._policy.memory_basis(machine)
            verdict = self._judge(wanted, basis, machine)
            self._verdicts[question] = verdict
        return row_of(self._policy, wanted, machine.name, verdict, covers)


def _shares(parts: Iterable[Places], questions: Questions) -> Iterator[list[Places]]:
    """Yield the parts in lists, each of about the work of a task."""
    share = []
    work = 0.0
    for part in parts:
        share.append(part)
        work += _work_of_part(part, questions)
        if work > _WORK_OF_TASK:
            yield share
            share = []
            work = 0.0
    if share:
        yield share


def _task_results(
    tasks: Sequence[Task], judge: Judge
) -> Iterator[tuple[Task, list[Outcomes]]]:
    """Yield each task with the outcomes of its questions."""
    do = partial(Task.results, judge=judge)
    results: Iterable[list[Outcomes]]
    processes = min(len(tasks), usable_processors())
    if processes < 2 or sum(task.work for task in tasks) < _WORK_OF_TASK:
        results = map(do, tasks)
    else:
        results = in_order(tasks, do, processes)
    yield from zip(tasks, results, strict=True)


# a longer audit is refused unless the user allows it
MOST_SECONDS = 15 * 60
# the whole duration is estimated from at least this many seconds of work, and only within this
# first part of the job
_LEAST_SECONDS = 5.0
_WATCHED_PART = 0.2


class _Begun(Record):
    """The time when the first machines were judged, and their part of the work. Earlier seconds do
    not count, because much is read only once.
    """

    seconds: float
    part: float


class TimeLimit:
    """A limit that refuses a job which would take too long, by the pace of its first seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._begun: _Begun | None = None

    def __call__(self, done: float, total: float) -> None:
        """Hear that `done` of `total` verdicts are given. Raises `SelfhostError` where all of them
        would take too long.
        """
        now = self._clock()
        part = done / total
        if self._begun is None:
            self._begun = _Begun(seconds=now, part=part)
            return
        seconds = now - self._begun.seconds
        done_meanwhile = part - self._begun.part
        if part >= _WATCHED_PART or seconds < _LEAST_SECONDS or not done_meanwhile:
            return
        needed_seconds = seconds / done_meanwhile
        if needed_seconds > MOST_SECONDS:
            raise SelfhostError(
                f"the audit would take about {needed_seconds / 60:,.0f} minutes",
                remedy="name fewer models in the policy or fewer machines, or add --yes to judge"
                " all of them",
            )
