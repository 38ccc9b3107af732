"""The machine that runs the tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.recordings import lawful
from selfhost.machine.reader import Machine


def test_this_machine_is_read() -> None:
    """The real one, whatever it is: lawful, and nothing went wrong on the way."""
    machine = Machine.read()
    lawful(machine)
    assert not any("failed" in entry.reason for entry in machine.unread)
    assert machine.system
    assert machine.architecture


@pytest.mark.skipif(sys.platform != "linux", reason="compares with Linux' own figures")
def test_this_machine_agrees_with_psutil() -> None:
    """Another reader of the same files gives the same total."""
    import psutil

    assert Machine.read().memory_total_bytes == psutil.virtual_memory().total


def test_reading_loads_little_and_touches_nothing() -> None:
    """No socket, no child process, no write; and none of the libraries that make a program slow to start."""
    code = """
import sys
before = set(sys.modules)
events = []
def hook(event, args):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")):
        events.append(event)
    if event == "open" and (args[1] not in (None, "r", "rb") or (args[2] or 0) & 3):
        events.append(repr(args))
sys.addaudithook(hook)
from selfhost.machine.reader import Machine
Machine.read()
heavy = "socket subprocess pathlib json psutil rich argparse dataclasses inspect datetime tempfile shutil threading".split()
print(events, [name for name in heavy if name in sys.modules and name not in before])
"""
    if sys.platform != "linux":
        pytest.skip("other systems need psutil")
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == "[] []"
