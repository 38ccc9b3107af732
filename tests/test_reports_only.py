"""It reports only: on the path of `check` no socket opens, nothing is written, no process
starts.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import DATA, RECORDS

RECORD = RECORDS / "vm-24gib.json"
LOG = DATA / "logs" / "llama_log-server.txt"

WATCH = '''
import os, sys
WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = tuple("""
socket. subprocess. os.system os.exec os.posix_spawn os.spawn os.fork pty. urllib. http. smtplib.
ftplib. webbrowser. os.mkdir os.rename os.remove os.rmdir os.link os.symlink os.truncate os.chmod
os.chown os.utime os.putenv shutil. tempfile. os.kill winreg.
""".split())
seen = []
def hook(event, args):
    if event.startswith(EVENTS):
        seen.append((event, str(args)[:200]))
    elif event == "open" and isinstance(args[2], int) and args[2] & WRITE:
        seen.append((event, str(args)[:200]))
sys.addaudithook(hook)
from selfhost.catalogue.index import Catalogue
whole = Catalogue.ids
# each is judged by the same program: some are enough
Catalogue.ids = lambda own: whole(own)[::20]
from selfhost.cli.main import main
code = main(sys.argv[1:])
import json
sys.stderr.write("\\nWATCHED " + json.dumps([code, seen]))
'''

CALLS = {
    "local": (["check", "mistral-7b"], {0, 1, 3}),
    "api": (["check", "gpt-4o"], {1}),
    "too large": (["check", "deepseek-v3"], {0, 1, 3}),
    "several as JSON": (["check", "mistral-7b", "gpt-4o", "--format", "json"], {1}),
    "unknown name": (["check", "no-such"], {2}),
    "recorded": (["check", "mistral-7b", "--machine", str(RECORD)], {0}),
    "list": (["list"], {0}),
    "show": (["show", "gpt2"], {0}),
    "machine": (["machine"], {0}),
    "verify": (["verify", str(LOG)], {0, 1}),
}


@pytest.fixture(scope="session")
def source_environment(source_environment: dict[str, str]) -> dict[str, str]:
    """Python itself writes nothing either: what it compiles would be seen."""
    return {**source_environment, "PYTHONDONTWRITEBYTECODE": "1"}


def watched(
    environment: dict[str, str], *words: str, watch: str = WATCH
) -> tuple[int, list[Any]]:
    """The exit code of a command and what the hook saw."""
    done = subprocess.run(
        [sys.executable, "-c", watch, *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    code, seen = json.loads(done.stderr.rpartition("WATCHED ")[2])
    return code, seen


@pytest.mark.parametrize("name", CALLS)
def test_nothing_but_reading(name: str, source_environment: dict[str, str]) -> None:
    """An audit hook sees every file opened for writing, every socket and every process of the
    interpreter: there are none.
    """
    words, codes = CALLS[name]
    code, seen = watched(source_environment, *words)
    assert seen == []
    assert code in codes


def test_the_watch_sees_a_write(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """The proof can fail: --output is a write that a user asked for, and the hook reports it."""
    words = ["check", "gpt2", "--machine", str(RECORD), "--output", str(tmp_path / "x")]
    _, seen = watched(source_environment, *words)
    assert {event for event, _ in seen} == {"open", "os.rename"}


DRIVEN = """
from selfhost.machine.probes.host import Host
listed = Host.listdir
Host.listdir = lambda host, path: ["nvidia0"] if path == "/dev" else listed(host, path)
"""


def test_a_driver_is_asked_by_one_process_alone(
    source_environment: dict[str, str],
) -> None:
    """Where an NVIDIA driver is there, its library is asked: this interpreter, isolated, once, and
    nothing else happens.
    """
    watch = WATCH.replace(
        "from selfhost.cli.main import main\n",
        DRIVEN + "from selfhost.cli.main import main\n",
    )
    code, seen = watched(source_environment, "machine", watch=watch)
    assert code == 0
    started = [arguments for event, arguments in seen if event == "subprocess.Popen"]
    assert len(started) == 1
    assert started[0].startswith(
        f"({sys.executable!r}, [{sys.executable!r}, '-I', '-S', '-B', "
    )
    assert "nvml.py" in started[0]
    others = [entry for entry in seen if entry[0] != "subprocess.Popen"]
    assert [
        entry for entry in others if entry[0] != "open" or "/dev/null" not in entry[1]
    ] == []


# a copy of the process has the hook, too, but not its list
WATCH_COPIES = WATCH.replace(
    "seen.append((event, str(args)[:200]))",
    'os.write(2, f"SEEN {event} {args}"[:200].encode() + b"\\n")',
).replace(
    "from selfhost.cli.main import main\n",
    "os.sched_getaffinity = lambda _: {0, 1}\nos.cpu_count = lambda: 2\n"
    "from selfhost.cli.main import main\n",
)
# its locks are files in shared memory, which no event tells of
WITH_LOCKS = """
print(file=sys.stderr)
locks = {"multiprocessing.queues", "multiprocessing.synchronize"}
print(sorted(locks & set(sys.modules)), file=sys.stderr)
"""


def test_an_audit_by_several_processes_only_starts_and_ends_them(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """Neither the audit nor a worker that is a copy of it opens a socket or writes a file. Python
    3.14 by itself would do both.
    """
    records = []
    for number in range(1_500):
        record = {
            "schema": "selfhost.machine/1",
            "name": f"m{number}",
            "cpu_model": f"processor {number % 60}",
            "memory_total_bytes": (4 + number % 50) << 30,
        }
        records.append(json.dumps(record))
    fleet = tmp_path / "fleet.jsonl"
    fleet.write_text("\n".join(records), encoding="utf-8")
    policy = tmp_path / "audit.toml"
    policy.write_text('schema = 1\n[[model]]\nname = "gpt2"\n', encoding="utf-8")
    words = ["audit", str(policy), "--machines", str(fleet), "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-c", WATCH_COPIES + WITH_LOCKS, *words],
        capture_output=True,
        text=True,
        env=source_environment,
        check=True,
    )
    assert json.loads(done.stdout)["machines"] == 1_500
    lines = done.stderr.splitlines()
    seen = [line.split()[1] for line in lines if line.startswith("SEEN ")]
    allowed = {"os.fork", "os.kill"} if sys.platform == "linux" else {"os.kill"}
    assert set(seen) <= allowed
    if sys.platform == "linux":
        # for reading and for judging
        assert (seen.count("os.fork"), seen.count("os.kill")) == (3, 3)
    assert lines[-1] == "[]"


def test_without_any_network(source_environment: dict[str, str]) -> None:
    """In a network namespace with no interface the answer is the same."""
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run(
            [unshare, "-rn", "true"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no network namespace can be made here")
    asked = (
        "-m",
        "selfhost",
        "check",
        "mistral-7b",
        "gpt-4o",
        "--machine",
        str(RECORD),
    )
    words = [sys.executable, *asked]
    inside = subprocess.run(
        [unshare, "-rn", *words],
        capture_output=True,
        env=source_environment,
        check=False,
    )
    outside = subprocess.run(
        words, capture_output=True, env=source_environment, check=False
    )
    assert (inside.stdout, inside.stderr) == (outside.stdout, b"")
    assert outside.returncode == 1
    assert inside.returncode == 1
