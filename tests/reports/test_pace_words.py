"""What `check` and `audit` say of a pace below a minimum, near it, and below that of reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.paths import RECORDS
from selfhost import Machine, Route, Workload, check
from selfhost.advice.plan import plan_with
from selfhost.catalogue.index import open_catalogue
from selfhost.cli import main as cli
from selfhost.machine.profiles import load
from selfhost.machine.record import BRIEFLY, LEAST, MEASURED
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain
from selfhost.reports.plan_text import plan_document
from selfhost.reports.words import CommandLine

RECORD = RECORDS / "vm-24gib.json"
VM = Machine.from_file(RECORD)


@pytest.fixture
def audited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[float], str]:
    """The report of an audit of mistral-7b on the recorded machine, with that minimum."""

    def report(minimum: float) -> str:
        policy = tmp_path / "audit.toml"
        policy.write_text(
            f'schema = 1\n[[model]]\nname = "mistral-7b"\nmin_tokens_per_second = {minimum}\n'
        )
        cli.main(
            ["audit", str(policy), "--machines", str(RECORD), "--today", "2026-11-20"]
        )
        return " ".join(capsys.readouterr().out.split())

    return report


def shown(minimum: float | None) -> str:
    """`check mistral-7b` on the recorded machine, about 7.2 tokens/s (4.9-12)."""
    verdict = check("mistral-7b", Workload(min_tokens_per_second=minimum), machine=VM)
    return " ".join(plain(check_document([verdict])).split())


def test_a_pace_that_is_told_is_not_called_unknown() -> None:
    """`CANNOT TELL … speed not known` stood above `~7.2 tokens/s 4.9-12, you need 9`."""
    text = shown(9)
    assert (
        "CANNOT TELL whether Mistral 7B Instruct v0.3 runs on vm-24gib: likely too slow"
        in text
    )
    assert "speed not known" not in text
    assert (
        check("mistral-7b", min_tokens_per_second=9, machine=VM).route is Route.UNKNOWN
    )


@pytest.mark.parametrize(
    ("minimum", "words", "absent"),
    [
        pytest.param(
            9, "likely too slow", "speed not known", id="between likely and best"
        ),
        pytest.param(99, "too slow", "likely too slow", id="above the best"),
    ],
)
def test_an_audit_says_how_a_pace_misses_the_minimum(
    audited: Callable[[float], str], minimum: float, words: str, absent: str
) -> None:
    """`speed not known` of a model whose pace is in the same report."""
    text = audited(minimum)
    assert words in text
    assert absent not in text


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param(
            "phi-4",
            "likely, 2.4 possible: slower than people read",
            id="all of it above",
        ),
        pytest.param(
            "qwen3-14b", "likely, 2.5 possible, 3 wanted", id="the slow end below"
        ),
    ],
)
def test_an_audit_warns_of_what_is_slow(
    model: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`warns: speed (3.5 tokens/s likely, 2.4 possible, 2 wanted)`: nothing there is below 2."""
    policy = tmp_path / "audit.toml"
    minimum = "min_tokens_per_second = 3\n" if "wanted" in words else ""
    policy.write_text(f'schema = 1\n[[model]]\nname = "{model}"\n{minimum}')
    code = cli.main(
        ["audit", str(policy), "--machines", str(RECORD), "--today", "2026-11-20"]
    )
    assert code == 0
    assert words in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("machine", "route", "words"),
    [
        pytest.param(
            VM, Route.LOCAL, "1.3-3.3, likely below 2 (--min-speed)", id="runs slowly"
        ),
        pytest.param(
            "i7-4770 32GB",
            Route.API,
            ", below 2 (--min-speed)",
            id="too slow",
        ),
    ],
)
def test_a_model_that_runs_slowly_is_not_told_to_be_too_slow(
    machine: Machine | str, route: Route, words: str
) -> None:
    """`✓ RUNS SLOWLY … 1.3-3.3, below 2 is too slow`: a yes and a no about one pace."""
    verdict = check("gemma-3-27b-it", machine=machine)
    assert verdict.route is route
    assert words in " ".join(plain(check_document([verdict])).split())


@pytest.mark.parametrize(
    ("machine", "is_doubted"),
    [
        pytest.param("mac-mini-m4-16gb", True, id="the slow end below"),
        pytest.param("desktop-rtx4090-24gb", False, id="all of it above"),
    ],
)
def test_check_doubts_a_pace_where_plan_does(machine: str, *, is_doubted: bool) -> None:
    """`plan` called a Mac perhaps slower than needed, and `check` on it had no word of doubt."""
    wanted = Workload(min_tokens_per_second=20)
    planned = plan_with(open_catalogue(), "qwen3-8b", wanted, [load(machine)])
    verdict = check("qwen3-8b", wanted, machine=machine)
    pace = verdict.users_pace
    assert pace is not None
    assert (pace.low < 19.5) is is_doubted
    assert verdict.route is Route.LOCAL
    on_plan = plain(plan_document(planned))
    on_check = plain(check_document([verdict]))
    assert ("perhaps below 20 tokens/s" in on_plan) is is_doubted
    assert ("perhaps below the 20 you need" in on_check) is is_doubted


@pytest.mark.parametrize(
    ("options", "how", "words"),
    [
        pytest.param(
            " --measure", MEASURED,
            "a guess; other programs ran while it was measured, so it may be faster",
            id="measured-on-request",
        ),
        pytest.param(
            "",
            BRIEFLY,
            "a guess; other programs ran while it was measured, so it may be faster",
            id="measured-in-passing",
        ),
        pytest.param(
            "", None,
            "a guess; for a narrower range, run with --measure when the machine is idle",
            id="not-measured",
        ),
    ],
)  # fmt: skip
def test_a_guess_says_what_narrows_the_range(
    options: str,
    how: str | None,
    words: str,
) -> None:
    """`--measure` on a busy machine gave the same range, and no word why."""
    # nothing tells how fast the memory of an unknown processor is
    machine = VM.replace(
        is_this_one=True,
        scope="unknown",
        cpu_model="",
        memory_bandwidth_bytes_per_second=None if how is None else 6 * 10**9,
        memory_bandwidth_how=how,
        memory_bandwidth_bound=None if how is None else LEAST,
    )
    verdict = check("mistral-7b", machine=machine)
    lines = plain(check_document([verdict], CommandLine(options=options))).splitlines()
    assert [line.rpartition("tokens/s, ")[2] for line in lines[1:2]] == [words]
