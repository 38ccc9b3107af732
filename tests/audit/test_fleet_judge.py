"""Machines of one kind under a policy, with verdicts that are made up: what parts them, and what is
told of each entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from helpers.audits import GIB, TODAY, exception, finding, model, verdict_of
from selfhost.audit import fleet_judge
from selfhost.audit.fleet_judge import FleetJudge, TimeLimit
from selfhost.audit.kinds import Machines
from selfhost.audit.machines import Fleet
from selfhost.audit.policy import Policy, Wanted, read_policy
from selfhost.audit.rows import Audit, Exemptions
from selfhost.audit.run import run_audit
from selfhost.core.errors import SelfhostError
from selfhost.core.tables import Document
from selfhost.judge.checks import Outcome
from selfhost.judge.record import Route, Verdict
from selfhost.machine.record import Accelerator, Machine

FAIL = Outcome.FAIL
PASS = Outcome.PASS
UNKNOWN = Outcome.UNKNOWN
WARN = Outcome.WARN
# what is found on a machine: the outcome of each check that does not pass, what is `loaded`, and
# the reason `code` and the `route` of what fails
Found = Mapping[str, Any]
# takes the GiB that are available on a machine
FoundWith = Callable[[float], Found]


def machines_with(*available: float) -> list[Machine]:
    """Machines `m0`, `m1` and so on of one kind, which differ in the available GiB."""
    return [
        Machine(
            name=f"m{number}",
            memory_total_bytes=64 * GIB,
            memory_limit_bytes=64 * GIB,
            memory_available_bytes=round(gib * GIB),
        )
        for number, gib in enumerate(available)
    ]


def policy(text: str) -> Policy:
    return read_policy(Document.read("audit.toml", ("schema = 1\n" + text).encode()))


def judged(
    text: str, machines: Sequence[Machine], found: FoundWith, **more: Any
) -> Audit:
    """The audit of machines where `found` tells what is found with the available memory."""

    def judge(wanted: Wanted, basis: str, machine: Machine) -> Verdict:
        gib = (machine.memory_available_bytes or 0) / GIB
        outcomes = dict(found(gib))
        loaded = outcomes.pop("loaded", {})
        code = outcomes.pop("code", None)
        failing = outcomes.pop("route", Route.NEITHER)
        findings = []
        route = Route.LOCAL
        for check, outcome in outcomes.items():
            told = finding(check, outcome, number=max(0, 7 - round(gib)))
            findings.append(told.replace(code=code or told.code))
            if told.decides:
                route = failing
        workload = wanted.asked.replace(memory_basis=basis, **loaded)
        return verdict_of(wanted.name, workload, machine, route, tuple(findings))

    fleet = Fleet(machines=Machines(machines))
    return run_audit(policy(text), fleet, judge, today=TODAY, **more)


def names_of(audit: Audit) -> list[tuple[str, ...]]:
    """The machines of each group."""
    return [group.names for group in audit.groups]


ONE = model("x")
SIX = machines_with(8, 9, 12, 10, 11, 13)


@pytest.mark.parametrize(
    ("below", "above"),
    [
        pytest.param({}, {"memory": PASS}, id="nothing"),
        pytest.param({"memory": FAIL}, {}, id="outcome"),
        pytest.param({"memory": FAIL}, {"disk": FAIL}, id="check"),
        pytest.param(
            {"memory": FAIL, "code": "a"}, {"memory": FAIL, "code": "b"}, id="reason"
        ),
        pytest.param(
            {"memory": FAIL, "route": Route.API}, {"memory": FAIL}, id="route"
        ),
        pytest.param(
            {"loaded": {"runtime": "a"}}, {"loaded": {"runtime": "b"}}, id="program"
        ),
        pytest.param(
            {"loaded": {"format": "a"}}, {"loaded": {"format": "b"}}, id="format"
        ),
        pytest.param(
            {"loaded": {"quantization": "a"}},
            {"loaded": {"quantization": "b"}},
            id="type",
        ),
        pytest.param({"memory": WARN}, {}, id="warning"),
    ],
)
def test_machines_of_one_kind_are_parted_by_what_is_found_on_them(
    below: Found, above: Found, request: pytest.FixtureRequest
) -> None:
    """From 10 GiB on each gets another answer; what only warns parts none."""
    audit = judged(ONE, SIX, lambda gib: below if gib < 10 else above)
    parted = [("m0", "m1"), ("m2", "m3", "m4", "m5")]
    if request.node.callspec.id in ("nothing", "warning"):
        parted = [("m0", "m1", "m2", "m3", "m4", "m5")]
    assert names_of(audit) == parted


def test_groups_stand_in_the_order_of_their_first_machines() -> None:
    """Within an entry, and the entries in that of the policy."""
    first, *others = machines_with(8, 20, 9)
    machines = [first.replace(name="z"), *others]
    text = model("z") + ONE
    audit = judged(text, machines, lambda gib: {"memory": FAIL} if gib < 10 else {})
    assert names_of(audit) == [("z", "m2"), ("m1",)] * 2
    assert [group.row.wanted.name for group in audit.groups] == ["z", "z", "x", "x"]


@pytest.mark.parametrize(
    ("checks", "rows"),
    [
        pytest.param({"memory": FAIL}, 3, id="covered"),
        pytest.param(
            {"memory": UNKNOWN, "route": Route.UNKNOWN}, 3, id="covered though unknown"
        ),
        pytest.param({"disk": FAIL}, 0, id="other check"),
        pytest.param({}, 0, id="none"),
    ],
)
def test_an_exception_counts_each_row_that_it_covers(checks: Found, rows: int) -> None:
    for entries, times in ((ONE, 1), (ONE + model("x", context_tokens="512"), 2)):
        audit = judged(
            entries + exception("x"), SIX, lambda gib: checks if gib <= 10 else {}
        )
        (use,) = audit.exceptions
        assert use.rows == times * rows


@pytest.mark.parametrize(
    ("most", "entries"),
    [pytest.param(2, ["y"], id="as many"), pytest.param(1, [], id="more")],
)
def test_an_audit_with_more_refused_entries_than_it_may_have_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, most: int, entries: list[str]
) -> None:
    """Two entries ask the same question, which cannot be judged: both are told."""
    monkeypatch.setattr(fleet_judge, "MOST_REFUSED", most)

    def refuse(wanted: Wanted, _basis: str, machine: Machine) -> Verdict:
        if wanted.name == "x":
            raise SelfhostError("is in no catalogue")
        return verdict_of("y", wanted.asked, machine, Route.LOCAL, ())

    fleet = Fleet(machines=Machines(machines_with(8)))
    audit = run_audit(policy(model("y") + ONE * 2), fleet, refuse, today=TODAY)
    assert [row.wanted.name for row in audit.rows] == entries
    keys = [problem.key for problem in audit.problems if problem.key]
    assert keys == ["model[1].name", "model[2].name"]
    assert audit.exit_code == 2


def test_entries_of_several_tasks_are_all_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each entry on each machine once, however the work is divided."""
    monkeypatch.setattr(fleet_judge, "_MOST_QUESTIONS", 2)
    monkeypatch.setattr(fleet_judge, "_WORK_OF_TASK", 3)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(1), raising=False)
    card = Accelerator(vendor="nvidia", name="x", memory_total_bytes=24 * GIB)
    machines = []
    for number, machine in enumerate(machines_with(*[8] * 6)):
        busy = card.replace(memory_free_bytes=number % 3 * GIB)
        machines.append(machine.replace(accelerators=(busy,)))
    text = "".join(model(f"x{number}") for number in range(5))
    audit = judged(text, machines, lambda _: {"memory": FAIL})
    assert [(group.row.wanted.name, group.count) for group in audit.groups] == [
        (f"x{number}", 6) for number in range(5)
    ]


@pytest.mark.parametrize(
    ("available", "hardest"),
    [
        pytest.param((1, 4, 2), "m0", id="first"),
        pytest.param((4, 1, 2), "m1", id="of another kind"),
        pytest.param((4, 2, 1), "m2", id="last"),
        pytest.param((3, 3, 3), "m0", id="equal"),
        pytest.param((5, 3, 3), "m1", id="equal behind the first"),
    ],
)
def test_of_machines_of_several_kinds_the_one_that_lacks_most_is_shown(
    available: tuple[float, ...], hardest: str
) -> None:
    """What is made up lacks a GiB more for each GiB less; the machines stand in their order."""
    first, second, third = machines_with(*available)
    machines = [first, second.replace(cpu_model="other"), third]
    (group,) = judged(ONE, machines, lambda _: {"memory": FAIL}).groups
    assert group.names == ("m0", "m1", "m2")
    assert group.row.machine == hardest


def test_an_entry_that_is_refused_on_one_machine_has_no_rows() -> None:
    """An answer for some machines would hide that there is none for the others."""

    def judge(wanted: Wanted, _basis: str, machine: Machine) -> Verdict:
        if wanted.name == "x" and machine.cpu_model == "other":
            raise SelfhostError("cannot be judged there")
        return verdict_of(wanted.name, wanted.asked, machine, Route.LOCAL, ())

    first, second = machines_with(8, 8)
    fleet = Fleet(machines=Machines([first, second.replace(cpu_model="other")]))
    audit = run_audit(policy(ONE + model("y")), fleet, judge, today=TODAY)
    assert [row.wanted.name for row in audit.rows] == ["y", "y"]
    (problem,) = audit.problems
    assert problem.key == "model[0].name"


def test_no_more_names_are_checked_than_may_be_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet_judge, "MOST_REFUSED", 2)
    checked = []

    def check_name(name: str) -> SelfhostError:
        checked.append(name)
        return SelfhostError(f"{name} means no model")

    text = policy("".join(model(f"x{number}") for number in range(9)))
    machines = Machines(machines_with(8))

    def judge(*_: object) -> Verdict:
        raise AssertionError("nothing is judged")

    exceptions = Exemptions(text, TODAY)
    judging = FleetJudge(text, machines, judge, exceptions, check_name)
    judging.judge_all(lambda _done, _total: None)
    assert checked == ["x0", "x1", "x2"]
    assert judging.is_cut_off
    assert list(judging.groups()) == []


BUSY = """[[class]]
name = "busy"
match = { label = { site = "a" } }
memory = "available"
"""


def test_machines_of_one_kind_are_judged_by_the_memory_of_their_class() -> None:
    """That of all classes is what can be freed, of one class what is free now."""
    machines = []
    for machine, site in zip(SIX, "abab", strict=False):
        machines.append(machine.replace(labels={"site": site}))

    def judge(wanted: Wanted, basis: str, machine: Machine) -> Verdict:
        outcome = FAIL if basis == "available" else PASS
        workload = wanted.asked.replace(memory_basis=basis)
        route = Route.NEITHER if outcome is FAIL else Route.LOCAL
        found = (finding("memory", outcome),)
        return verdict_of(wanted.name, workload, machine, route, found)

    fleet = Fleet(machines=Machines(machines))
    audit = run_audit(policy(ONE + BUSY), fleet, judge, today=TODAY)
    assert names_of(audit) == [("m0", "m2"), ("m1", "m3")]
    assert audit.row_on is not None
    for group, basis in zip(audit.groups, ("available", "default"), strict=True):
        rows = [audit.row_on(group, place) for place in group.numbers]
        for row in (group.row, *rows):
            assert row.verdict is not None
            assert row.verdict.workload.memory_basis == basis


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        pytest.param(ONE + ONE + model("y"), 18, id="three entries"),
        pytest.param('[[together]]\nmodels = ["x", "y"]\n', 6, id="side by side"),
    ],
)
def test_progress_ends_with_all_verdicts(text: str, verdicts: int) -> None:
    """Of each entry on six machines."""
    told: list[tuple[float, float]] = []
    judged(text, SIX, lambda _: {}, tell=lambda *done: told.append(done))
    assert told[-1] == (verdicts, verdicts)


def test_entries_of_one_name_and_other_needs_are_judged_apart() -> None:
    """They ask different questions."""
    text = ONE + model("x", context_tokens="512")
    audit = judged(text, SIX, lambda _: {})
    contexts = []
    for row in audit.rows:
        assert row.verdict is not None
        contexts.append(row.verdict.workload.context_tokens)
    assert contexts == [None, 512] * len(SIX)


@pytest.mark.parametrize(
    ("warns", "alike"),
    [
        pytest.param(lambda _: {"disk": WARN}, True, id="all"),
        pytest.param(lambda gib: {"disk": WARN} if gib < 10 else {}, False, id="some"),
        pytest.param(lambda _: {}, True, id="none"),
        pytest.param(lambda _: {"disk": FAIL}, True, id="a failure"),
    ],
)
@pytest.mark.parametrize("count", [3, 6], ids=["one by one", "together"])
def test_whether_machines_warn_alike_is_known(
    warns: FoundWith, alike: bool, count: int
) -> None:
    """Else a report must not say of all what holds for some."""
    (group,) = judged(ONE, SIX[:count], warns).groups
    assert group.warns_alike is alike


@pytest.mark.parametrize(
    ("ticks", "minutes"),
    [
        # a hundredth in 6 s after the first report: 600 s are within a quarter of an hour
        pytest.param([(0, 0.01), (6, 0.02)], None, id="ten minutes"),
        # a hundredth in 12 s: 1,200 s
        pytest.param([(0, 0.01), (12, 0.02)], "20", id="twenty minutes"),
        # what was done before the first report says nothing of the pace
        pytest.param([(0, 0.1), (12, 0.11)], "20", id="since the first report"),
        pytest.param([(50, 0.01), (62, 0.02)], "20", id="clock that began earlier"),
        pytest.param([(0, 0.01), (4, 0.011)], None, id="too early to tell"),
        pytest.param([(0, 0.01), (5, 0.012)], "42", id="just long enough"),
        pytest.param([(0, 0.19), (90, 0.2)], None, id="a fifth is done"),
        pytest.param([(0, 0.01), (90, 0.01)], None, id="nothing since"),
    ],
)
def test_the_time_of_a_job_is_told_from_its_pace(
    ticks: list[tuple[float, float]], minutes: str | None
) -> None:
    """Seconds and the part that is done by then; more than 15 minutes are refused."""
    seconds = iter([tick[0] for tick in ticks])
    limit = TimeLimit(lambda: next(seconds))
    told = None
    try:
        for _, part in ticks:
            limit(part * 5_000, 5_000)
    except SelfhostError as error:
        told = str(error)
    assert (told is None) == (minutes is None)
    if told is not None:
        assert f"about {minutes} minutes" in told
