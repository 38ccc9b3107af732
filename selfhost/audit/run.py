"""The run of an audit: many models on many machines, checked against a policy -> `Audit`: rows in a
fixed order, all faults, and the changes since an earlier audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from ..core.errors import (
    PolicyError,
    Problem,
    SelfhostError,
    first_problems,
)
from ..core.tables import Document
from ..core.units import listed
from .baseline import Baseline
from .drafts import NOT_JUDGED
from .fleet_judge import FleetJudge, Judge, Tell
from .machines import RECORD_IT, Fleet
from .policy import (
    MOST_REFUSED,
    EntryFault,
    Policy,
    Wanted,
    faults_of,
    read_policy,
    refused_entries,
    too_many_refused,
)
from .policy_judge import PolicyJudge
from .rows import Audit, Exemptions, MachineGroup, Result, Since
from .serving import notes_of_days, serving_machines, with_stated_facts

# a machine was not judged at all where neither of these checks could be decided
_SIZES = frozenset(("memory", "disk"))


def _tell_nobody(_done: float, _total: float) -> None:
    """Take the progress of an audit that nobody watches."""


def run_audit(
    policy: Policy,
    fleet: Fleet,
    judge_entry: Judge,
    *,
    today: str,
    tell: Tell = _tell_nobody,
    baseline: Baseline | None = None,
) -> Audit:
    """Judge each model on each machine that the policy names for it. With a baseline, return only
    what changed.

    A `SelfhostError` of `judge_entry`, which is pickled for other processes, becomes a problem at
    the policy's line. `today` is `YYYY-MM-DD` in UTC. `tell` hears how many verdicts are given, and
    of how many; what it raises ends the audit.
    """
    serving = serving_machines(policy, fleet)
    machines, notes_of_facts = with_stated_facts(policy, serving.machines)
    exceptions = Exemptions(policy, today)
    check_name = None
    if isinstance(judge_entry, PolicyJudge):
        check_name = judge_entry.fault_of_name
    judging = FleetJudge(policy, machines, judge_entry, exceptions, check_name)
    judging.judge_all(tell)
    unplaced, notes_of_others = _unplaced(policy, judging, len(machines))
    notes = [
        *fleet.notes,
        *notes_of_days(machines, today),
        *serving.notes,
        *notes_of_facts,
        *notes_of_others,
    ]
    problems = list(serving.problems)
    if judging.is_cut_off:
        problems.insert(0, too_many_refused(policy.file))
    if not machines and not problems:
        message = "there is no machine to judge"
        problem = Problem(file=policy.file, message=message, remedy=RECORD_IT)
        problems.append(problem)
    problems += entry_problems(policy, judging.refused, unplaced, len(machines))
    audit = Audit(
        policy=policy,
        today=today,
        names=machines.names,
        groups=tuple(judging.groups()),
        exceptions=exceptions.uses(),
        problems=tuple(problems),
        record_problems=fleet.problems,
        grouped_record_problems=fleet.grouped or fleet.problems,
        notes=tuple(notes),
        row_on=judging.row_on,
    )
    audit = _with_fault_if_unjudged(audit)
    if baseline is None:
        return audit
    return _changes_since(audit, baseline, fleet, judging)


def _unplaced(
    policy: Policy,
    judging: FleetJudge,
    machines: int,
) -> tuple[list[Wanted], list[str]]:
    """The entries that select no machine by a fault of the policy, and notes on other entries.

    A single machine may be audited against the policy of its whole fleet. If some entry is judged
    on the machine, an entry for another class is no fault and is only noted.
    """
    unplaced = []
    others = []
    is_one_of_fleet = machines == 1 and bool(judging.placed)
    for wanted in policy.models:
        if not machines or wanted.index in judging.placed:
            continue
        if is_one_of_fleet and wanted.is_for_classes:
            selectors = " ".join(map(str, wanted.machines))
            others.append(f"{wanted.name} ({selectors})")
        else:
            unplaced.append(wanted)
    notes = []
    if others:
        names = listed(others)
        notes.append(f"not judged on this machine, which is in another class: {names}")
    return unplaced, notes


def _with_fault_if_unjudged(audit: Audit) -> Audit:
    """The audit, with a fault where nothing was judged. Such an audit is never green, whatever
    passes.
    """
    if audit.exit_code != 0:
        return audit
    for group in audit.groups:
        row = group.row
        # a row that is decided by any other check than these sizes was judged
        if row.result is not Result.UNKNOWN:
            return audit
        if row.verdict is not None and not _SIZES.issubset(row.undecided):
            return audit
    nothing = Problem(
        file=audit.policy.file,
        message="nothing was judged: neither the memory nor the disk of any machine could be read",
        remedy=RECORD_IT,
    )
    return audit.replace(problems=(nothing,))


def problems_of(path: str, judge_entry: PolicyJudge) -> tuple[Problem, ...]:
    """Return every fault for which an audit with this policy could give no answer on any
    machine.
    """
    try:
        policy = read_policy(Document.read(path), judge_entry)
    except PolicyError as error:
        return error.problems
    refused = {}
    for wanted, why in refused_entries(policy.document(), policy.models, judge_entry):
        refused[wanted.index] = why
    problems = entry_problems(policy, refused)
    if len(refused) > MOST_REFUSED:
        return (too_many_refused(policy.file), *problems)
    return problems


def entry_problems(
    policy: Policy,
    refused: Mapping[int, SelfhostError],
    unplaced: Sequence[Wanted] = (),
    machines: int = 0,
) -> tuple[Problem, ...]:
    """Return the problems of entries that were refused, and of entries that select none of the
    `machines`.
    """
    faults: list[EntryFault] = []
    for index, error in refused.items():
        faults += faults_of(policy.models[index], error)
    message = f"selects none of the {machines:,} machines"
    if machines == 1:
        message = "does not select the machine"
    remedy = "widen the selectors, add labels or a name to the machine's record, or remove it"
    for wanted in unplaced:
        faults.append(
            EntryFault(entry=wanted, key="machines", message=message, remedy=remedy)
        )
    return policy.problems(faults) if faults else ()


def _changes_since(
    audit: Audit,
    baseline: Baseline,
    fleet: Fleet,
    judging: FleetJudge,
) -> Audit:
    """The audit with only the rows that changed. A machine of the baseline that was not read is a
    problem.
    """
    groups: list[MachineGroup] = []
    unchanged = 0
    for group in audit.groups:
        groups += judging.changed(group, baseline.change_of)
        unchanged += group.count
    counts: Counter[str | None] = Counter()
    for group in groups:
        counts[group.row.change] += group.count
        unchanged -= group.count
    since = Since(
        file=baseline.file,
        new=counts["new"],
        fixed=counts["fixed"],
        changed=counts["changed"],
        unchanged=unchanged,
    )
    missing = _missing_machines(audit, baseline, fleet)
    missing_first = first_problems(baseline.file, missing)
    problems = (*audit.problems, *missing_first)
    changed = tuple(groups)
    return audit.replace(groups=changed, since=since, problems=problems)


def _missing_machines(
    audit: Audit,
    baseline: Baseline,
    fleet: Fleet,
) -> Iterator[Problem]:
    """Yield a problem for each machine of the baseline that is not in the fleet, not even with a
    fault.

    The baseline may hold a million machines, so each problem is made only when it is asked for.
    """
    seen = set(fleet.machines.names)
    # a problem of a machine begins with the machine's name, then NOT_JUDGED
    for problem in (*audit.problems, *fleet.down):
        seen.add(problem.message.partition(NOT_JUDGED)[0])
    for name in chain.from_iterable(baseline.rows.values()):
        if name not in seen:
            seen.add(name)
            yield Problem(
                file=baseline.file,
                message=f"{name}{NOT_JUDGED}it is in the baseline but no longer here",
                remedy="restore its record; if the machine is gone for good, write a new baseline",
            )
