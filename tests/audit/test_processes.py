"""Work that several processes share: the same results in the same order however a process begins,
and what becomes of it where a process ends, is refused or is interrupted.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers import shared_work
from helpers.paths import TESTS
from selfhost.audit import processes

GIB = 2**30
# Windows has but one
ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
START_METHODS = [
    pytest.param("fork", id="fork", marks=ON_POSIX),
    pytest.param("spawn", id="spawn"),
    pytest.param("forkserver", id="forkserver", marks=ON_POSIX),
]
SQUARES = [number * number for number in range(shared_work.PIECES)]


def command(start_method: str, name: str, *arguments: str) -> list[str]:
    """The command that does that work in an interpreter of its own."""
    return [sys.executable, "-m", "helpers.shared_work", start_method, name, *arguments]


@pytest.fixture(scope="session")
def environment(source_environment: dict[str, str]) -> Mapping[str, str]:
    """The program as users have it, and the helpers. A warning is an error there, such as of a
    process with threads that is copied.
    """
    path = os.pathsep.join([source_environment["PYTHONPATH"], str(TESTS)])
    return {**source_environment, "PYTHONPATH": path}


# what came of the work that a name and a way to start processes stand for
Outcome = Callable[..., Any]


@pytest.fixture(scope="session")
def outcome(environment: Mapping[str, str]) -> Outcome:
    """What came of the work. Nothing else is told."""

    def done_by(start_method: str, name: str, *arguments: str) -> Any:
        done = subprocess.run(
            command(start_method, name, *arguments),
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return done_by


@pytest.mark.parametrize("start_method", START_METHODS)
def test_workers_give_the_results_in_order(start_method: str, outcome: Outcome) -> None:
    found = outcome(start_method, "results")
    assert found == {"squares": SQUARES, "workers": 3, "alone": False}


@pytest.mark.parametrize("start_method", START_METHODS)
def test_large_pieces_and_results_pass(start_method: str, outcome: Outcome) -> None:
    """Neither end waits for the other, though a pipe holds less."""
    lengths = [shared_work.LARGE + number + 1 for number in range(shared_work.PIECES)]
    assert outcome(start_method, "large") == lengths


@pytest.mark.parametrize("start_method", START_METHODS)
def test_an_error_of_the_work_is_raised(start_method: str, outcome: Outcome) -> None:
    assert outcome(start_method, "error") == ["seven is refused", "leave it out"]


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_bug_is_told_with_its_place_in_the_worker(
    start_method: str, outcome: Outcome
) -> None:
    told = "".join(outcome(start_method, "bug"))
    assert "in fail_at_seven" in told
    assert "ZeroDivisionError" in told


@pytest.mark.parametrize("start_method", START_METHODS)
def test_the_end_of_a_worker_is_told(start_method: str, outcome: Outcome) -> None:
    """The system ends one first that takes much memory."""
    message, remedy = outcome(start_method, "death")
    assert "the system ended a process of this audit" in message
    assert "fewer machines" in remedy


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of machines of many kinds, and three faulty ones."""
    records = []
    for number in range(60):
        record = {
            "schema": "selfhost.machine/1",
            "name": f"m{number}",
            "cpu_model": f"processor {number % 7}",
            "memory_total_bytes": (4 + number) * GIB,
            "memory_available_bytes": (3 + number) * GIB,
        }
        records.append(json.dumps(record))
    records[20] = "{"
    records[40] = json.dumps({"schema": "selfhost.machine/1", "name": 1})
    records[50] = records[51]
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "fleet.jsonl").write_text("\n".join(records), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def audit_by_one_process(fleet: Path, outcome: Outcome) -> Any:
    return outcome("none", "audit", str(fleet))


@pytest.mark.parametrize("start_method", [*START_METHODS, "own"])
def test_an_audit_says_the_same_however_its_processes_begin(
    fleet: Path, audit_by_one_process: Any, start_method: str, outcome: Outcome
) -> None:
    assert len(audit_by_one_process["rows"]) == 3 * 57
    assert outcome(start_method, "audit", str(fleet)) == audit_by_one_process


@pytest.mark.skipif(sys.platform != "linux", reason="other systems start interpreters")
def test_a_process_with_another_thread_is_not_copied(outcome: Outcome) -> None:
    """The thread may hold a lock, which nobody would open in the copy."""
    found = outcome("own", "beside a thread")
    assert found == {"squares": SQUARES, "workers": 1, "alone": True}
    assert outcome("own", "results")["workers"] == 3


@pytest.mark.parametrize(
    ("allowed", "alone"),
    [pytest.param("0", True, id="none"), pytest.param("1", False, id="one")],
)
def test_the_work_is_done_where_processes_are_refused(
    allowed: str, alone: bool, outcome: Outcome
) -> None:
    """A container may limit their number."""
    found = outcome("spawn", "few", allowed)
    assert found == {"squares": SQUARES, "workers": 1, "alone": alone}


def test_a_worker_of_another_pool_starts_no_processes(outcome: Outcome) -> None:
    """Python refuses it to a daemon, as workers of Dask and of `multiprocessing` are."""
    found = outcome("own", "in a pool")
    assert found == {"squares": SQUARES, "workers": 1, "alone": True}


@ON_POSIX
@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="interrupted"),
        pytest.param(signal.SIGTERM, id="ended"),
    ],
)
def test_no_worker_outlives_the_first_process(
    start_method: str, number: signal.Signals, environment: Mapping[str, str]
) -> None:
    """An interrupt reaches all processes of a terminal; the first alone speaks of it."""
    with subprocess.Popen(
        command(start_method, "endless"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        workers = psutil.Process(first.pid).children(recursive=True)
        assert len(workers) >= 3
        if number == signal.SIGINT:
            os.killpg(first.pid, number)
        else:
            first.kill()
        out, err = first.communicate()
    _, left = psutil.wait_procs(workers, timeout=60)
    assert left == []
    assert err == ""
    if number == signal.SIGINT:
        assert json.loads(out) == "interrupted"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="between two messages"),
        pytest.param(b"\0\0\1\0half", id="in the midst of one"),
        pytest.param(b"\0\0", id="in the midst of its length"),
    ],
)
@ON_POSIX
def test_a_worker_ends_quietly_wherever_its_pieces_end(message: bytes) -> None:
    """A first process that is killed while it sends leaves half a message."""
    pieces, to_worker = multiprocessing.Pipe(duplex=False)
    os.write(to_worker.fileno(), message)
    to_worker.close()
    before = signal.getsignal(signal.SIGINT)
    try:
        processes._work(str, pieces, to_worker, ())
    finally:
        pieces.close()
        signal.signal(signal.SIGINT, before)
