"""Policies of tens of thousands of entries: each thing is looked at once, and only what is listed
is worked out in full.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from helpers.audits import TODAY
from selfhost.audit import fleet_judge
from selfhost.audit.kinds import Machines
from selfhost.audit.machines import Fleet
from selfhost.audit.policy import (
    MOST_REFUSED,
    EntryFault,
    Policy,
    Wanted,
    read_policy,
)
from selfhost.audit.policy_judge import PolicyJudge
from selfhost.audit.run import problems_of, run_audit
from selfhost.catalogue import searching
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import MAX_PROBLEMS, PolicyError, SelfhostError
from selfhost.core.tables import Document
from selfhost.judge.record import Verdict
from selfhost.machine.record import Machine

GIB = 2**30
MACHINE = Machine(name="m1", memory_total_bytes=8 * GIB, memory_limit_bytes=8 * GIB)


def policy(text: str) -> Policy:
    return read_policy(Document.read("audit.toml", ("schema = 1\n" + text).encode()))


def faults(text: str) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(PolicyError) as caught:
        policy(text)
    return [(each.line, each.key, each.message) for each in caught.value.problems]


def models(*names: str) -> str:
    return "".join(f'[[model]]\nname = "{name}"\n' for name in names)


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(1), raising=False)


@pytest.mark.usefixtures("one_process")
def test_entries_that_ask_the_same_are_judged_once_and_told_each() -> None:
    judge = PolicyJudge(open_catalogue(), TODAY)
    asked: list[str] = []

    def counted(wanted: Wanted, basis: str, machine: Machine) -> Verdict:
        asked.append(wanted.name)
        return judge(wanted, basis, machine)

    entries = (
        models(*["gpt2"] * 300) + '[[model]]\nname = "gpt2"\ncontext_tokens = 512\n'
    )
    read = policy(entries)
    audit = run_audit(read, Fleet(machines=Machines([MACHINE])), counted, today=TODAY)
    # at most the worst, the best and the hardest machine of each question, and the row told
    assert len(asked) <= 8
    assert [row.wanted.index for row in audit.rows] == [*range(301)]
    assert len({row.wanted.label for row in audit.rows}) == 301
    last = [*audit.rows][-1].verdict
    assert last is not None
    assert last.workload.context_tokens == 512


@pytest.mark.usefixtures("one_process")
def test_the_row_of_an_equal_entry_has_its_own_severity() -> None:
    text = '[[model]]\nname = "llama-3.1-405b-instruct"\n'
    text += '[[model]]\nname = "llama-3.1-405b-instruct"\nseverity = "warning"\n'
    audit = run_audit(
        policy(text),
        Fleet(machines=Machines([MACHINE])),
        PolicyJudge(open_catalogue(), TODAY),
        today=TODAY,
    )
    severities = [(row.wanted.severity, row.exit_code) for row in audit.rows]
    # of the machine neither disk nor instruction sets are known
    assert severities == [("error", 3), ("warning", 0)]


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names for which near ones were looked for."""
    names: list[str] = []
    find = searching.near_names

    def counted(typed: str, *args: object) -> tuple[str, ...]:
        names.append(typed)
        return find(typed, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(searching, "near_names", counted)
    return names


@pytest.mark.usefixtures("one_process")
def test_near_names_are_looked_for_only_for_listed_faults(searched: list[str]) -> None:
    names = [f"mistrl-{number}" for number in range(60)]
    judge = PolicyJudge(open_catalogue(), TODAY)
    audit = run_audit(
        policy(models(*names)), Fleet(machines=Machines([MACHINE])), judge, today=TODAY
    )
    assert audit.exit_code == 2
    assert [each.line for each in audit.problems[:3]] == [3, 5, 7]
    assert audit.problems[-1].message == "has 40 more faults, not listed"
    assert len(searched) <= MAX_PROBLEMS + 1


@pytest.mark.usefixtures("one_process")
def test_a_policy_of_unknown_names_is_judged_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet_judge, "_MOST_QUESTIONS", 10)
    asked: list[str] = []

    def refuse(wanted: Wanted, _basis: str, _machine: Machine) -> Verdict:
        asked.append(wanted.name)
        raise SelfhostError(f'"{wanted.name}" is not in the catalogue')

    names = [f"m{number}" for number in range(3 * MOST_REFUSED)]
    text = models("gpt2", *names)
    audit = run_audit(
        policy(text), Fleet(machines=Machines([MACHINE])), refuse, today=TODAY
    )
    assert audit.exit_code == 2
    assert "more than 1,000 entries cannot be judged" in audit.problems[0].message
    assert '"gpt2"' in audit.problems[1].message
    assert len(asked) <= MOST_REFUSED + 10
    assert audit.groups == ()


def test_a_policy_with_other_faults_says_that_it_was_not_read_to_the_end(
    tmp_path: Path,
) -> None:
    """It told of 982 more faults, and of no entry that nobody had looked at."""
    path = tmp_path / "audit.toml"
    names = [f"m{number}" for number in range(1_200)]
    path.write_text("schema = 1\nno_such_key = 1\n" + models(*names), encoding="utf-8")
    first, second, *_ = problems_of(str(path), PolicyJudge(open_catalogue(), TODAY))
    assert "more than 1,000 entries cannot be judged" in first.message
    assert "no_such_key" in str(second)


def test_validate_stops_at_the_same_number(tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"
    names = [f"m{number}" for number in range(1_200)]
    path.write_text("schema = 1\n" + models(*names), encoding="utf-8")
    problems = problems_of(str(path), PolicyJudge(open_catalogue(), TODAY))
    assert "more than 1,000 entries cannot be judged" in problems[0].message
    assert (problems[1].line, problems[1].key) == (3, "model[0].name")


def test_the_second_of_two_classes_of_one_name_is_told_among_thousands() -> None:
    classes = "".join(
        f'[[class]]\nname = "c{number}"\nmatch = {{}}\n' for number in range(5_000)
    )
    text = models("gpt2") + classes + '[[class]]\nname = "c7"\nmatch = {}\n'
    assert faults(text) == [
        (15_005, "class[5000].name", '"c7" is the name of an earlier class'),
    ]


def test_a_selector_finds_its_class_among_thousands() -> None:
    classes = "".join(
        f'[[class]]\nname = "c{number}"\nmatch = {{ label = {{ site = "s{number}" }} }}\n'
        for number in range(3_000)
    )
    entries = "".join(
        f'[[model]]\nname = "gpt2"\nmachines = ["class:c{number}"]\n'
        for number in range(3_000)
    )
    read = policy(entries + classes)
    machine = MACHINE.replace(labels={"site": "s2999"})
    selecting = [
        each.index for each in read.models if read.selects(each.machines, machine)
    ]
    assert selecting == [2_999]


def test_selectors_of_unknown_classes_are_all_counted_and_the_first_have_a_remedy() -> (
    None
):
    text = '[[class]]\nname = "edge"\nmatch = {}\n'
    text += "".join(
        f'[[model]]\nname = "m{number}"\nmachines = ["class:edgee{number}"]\n'
        for number in range(2_000)
    )
    with pytest.raises(PolicyError) as caught:
        policy(text)
    first, *_, last = caught.value.problems
    assert first.remedy == 'did you mean "class:edge"?'
    assert last.message == f"has {2_000 - MAX_PROBLEMS:,} more faults, not listed"


def test_unknown_names_are_refused_before_anything_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def judge_tasks(
        tasks: Sequence[fleet_judge.Task], _judge: object
    ) -> Iterator[object]:
        assert not tasks
        return iter(())

    monkeypatch.setattr(fleet_judge, "_task_results", judge_tasks)
    names = [f"m{number}" for number in range(600)]
    text = models(*names) + '[[together]]\nmodels = ["gpt2", "mx"]\n'
    judge = PolicyJudge(open_catalogue(), TODAY)
    audit = run_audit(
        policy(text), Fleet(machines=Machines([MACHINE])), judge, today=TODAY
    )
    assert audit.exit_code == 2
    first = audit.problems[0]
    last = audit.problems[-1]
    assert (first.line, first.key) == (3, "model[0].name")
    assert '"m0" is not in the catalogue' in first.message
    assert last.message == f"has {601 - MAX_PROBLEMS} more faults, not listed"


@pytest.mark.usefixtures("one_process")
def test_an_entry_beside_unknown_names_is_judged() -> None:
    judge = PolicyJudge(open_catalogue(), TODAY)
    fleet = Fleet(machines=Machines([MACHINE]))
    audit = run_audit(policy(models("m0", "gpt2")), fleet, judge, today=TODAY)
    assert [row.wanted.name for row in audit.rows] == ["gpt2"]
    assert [problem.key for problem in audit.problems] == ["model[0].name"]


@pytest.mark.usefixtures("one_process")
def test_an_unknown_name_of_another_class_leaves_the_answer_for_this_machine() -> None:
    """What the policy wants of a class elsewhere is noted, whatever its name means."""
    text = models("gpt2", "m0") + 'machines = ["class:big"]\n'
    text += '[[class]]\nname = "big"\nmatch = { memory_total = ">=64GiB" }\n'
    judge = PolicyJudge(open_catalogue(), TODAY)
    fleet = Fleet(machines=Machines([MACHINE]))
    audit = run_audit(policy(text), fleet, judge, today=TODAY)
    assert audit.problems == ()
    assert [row.wanted.name for row in audit.rows] == ["gpt2"]
    assert any("m0 (class:big)" in note for note in audit.notes)


@pytest.mark.parametrize(
    ("entry", "line", "key"),
    [
        pytest.param('[[model]]\nname = "mistrl-7b"', 4, "model[0].name", id="model"),
        pytest.param(
            '[[together]]\nmodels = ["gpt2", "mistrl-7b"]',
            4,
            "together[0].models",
            id="side by side",
        ),
    ],
)
def test_an_unknown_name_is_told_beside_other_faults(
    tmp_path: Path,
    entry: str,
    line: int,
    key: str,
) -> None:
    """One run tells all faults of the file, each with its line and what was meant."""
    path = tmp_path / "audit.toml"
    path.write_text(
        f'schema = 1\nfail_on = "eror"\n{entry}\n[[model]]\nname = "gpt2"\nparalel = 2\n',
        encoding="utf-8",
    )
    judge = PolicyJudge(open_catalogue(), TODAY)
    setting, name, misspelt = problems_of(str(path), judge)
    assert setting.key == "fail_on"
    assert (name.line, name.key) == (line, key)
    assert '"mistrl-7b" is not in the catalogue' in name.message
    assert (name.remedy or "").startswith('did you mean "mistral')
    assert (misspelt.key or "").endswith(".paralel")


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        pytest.param('quantization = "Q4_X"', "model[1].quantization", id="type"),
        pytest.param('runtime = "ollamma"', "model[1].runtime", id="program"),
        pytest.param(
            'kv_cache = "fp8"\nruntime = "mlx"', "model[1].kv_cache", id="cache"
        ),
    ],
)
def test_what_no_program_takes_is_told_beside_other_faults(
    tmp_path: Path,
    fault: str,
    key: str,
) -> None:
    """One run tells names that are unknown, keys that are misspelt, and what cannot be judged."""
    path = tmp_path / "audit.toml"
    path.write_text(
        'schema = 1\n[[model]]\nname = "mistrl-7b"\n'
        f'[[model]]\nname = "qwen3-8b"\n{fault}\n'
        '[[model]]\nname = "gpt2"\nquantization = "Q4_X"\nparalel = 2\n',
        encoding="utf-8",
    )
    judge = PolicyJudge(open_catalogue(), TODAY)
    keys = [problem.key for problem in problems_of(str(path), judge)]
    # what the last entry asks for is not known: its keys are told alone
    assert keys == ["model[0].name", key, "model[2].paralel"]


def test_unknown_names_beside_other_faults_are_checked_up_to_a_limit() -> None:
    """A file of very many wrong names takes no longer than one of some."""
    asked = []

    class NameJudge(PolicyJudge):
        def fault_of_name(self, name: str) -> SelfhostError:
            asked.append(name)
            return SelfhostError(f"{name} means no model")

    judge = NameJudge(open_catalogue(), TODAY)
    names = [f"m{number}" for number in range(3 * MOST_REFUSED)]
    text = 'schema = 1\nfail_on = "eror"\n' + models(*names)
    with pytest.raises(PolicyError):
        read_policy(Document.read("audit.toml", text.encode()), judge)
    assert len(asked) == MOST_REFUSED + 1


def test_the_lines_of_late_faults_need_no_second_parsing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (
        models("gpt2")
        + '[[together]]\nmodels = ["gpt2", "mx"]\nmachines = ["host:x*"]\n'
    )
    read = policy(text)
    parsed: list[str] = []
    loads = tomllib.loads

    def note(statement: str) -> dict[str, object]:
        parsed.append(statement)
        return loads(statement)

    monkeypatch.setattr("tomllib.loads", note)
    alone, together = read.models
    faults = [
        EntryFault(entry=alone, key="name", message="is wrong", remedy=None),
        EntryFault(entry=together, key="name", message="is wrong", remedy=None),
        EntryFault(entry=together, key="machines", message="is wrong", remedy=None),
    ]
    problems = read.problems(faults)
    places = [(problem.line, problem.key) for problem in problems]
    assert places == [
        (3, "model[0].name"),
        (5, "together[0].models"),
        (6, "together[0].machines"),
    ]
    assert text not in parsed
