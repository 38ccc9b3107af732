"""Python in a browser, where psutil is not there and the machine is not seen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.paths import RECORDS, ROOT

# as Pyodide has it: sys.platform is "emscripten", psutil has no wheel, time.thread_time is missing,
# no thread and no child starts (seen in Pyodide 314.0.7)
BROWSER = """
import subprocess, sys, threading, time

class NoPsutil:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "psutil":
            raise ModuleNotFoundError("No module named 'psutil'", name="psutil")

def refuse(*arguments, **keywords):
    raise RuntimeError("can't start new thread or process")

sys.meta_path.insert(0, NoPsutil())
sys.platform = "emscripten"
del time.thread_time
threading.Thread.start = subprocess.Popen.__init__ = refuse
from selfhost.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def in_browser(
    environment: dict[str, str], *words: str
) -> subprocess.CompletedProcess[str]:
    """The command in a Python that believes it is in a browser."""
    return subprocess.run(
        [sys.executable, "-c", BROWSER, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["check", "mistral-7b"], 3, id="check"),
        pytest.param(["machine", "-v"], 0, id="machine"),
        pytest.param(["machine", "--measure", "-v"], 0, id="machine --measure"),
    ],
)
def test_a_browser_hides_its_machine(
    words: list[str], code: int, source_environment: dict[str, str]
) -> None:
    """Each fact is unknown for that reason, and no command ends in a bug."""
    done = in_browser(source_environment, *words)
    assert done.returncode == code, done.stdout + done.stderr
    # lines wrap
    told = " ".join(done.stdout.split())
    assert "a browser hides its machine" in told
    assert "name it by --machine" in told
    assert done.stderr == ""


def test_a_described_machine_is_judged_in_a_browser_as_elsewhere(
    source_environment: dict[str, str],
) -> None:
    """The answer is that of any other Python, to the letter."""
    words = ["check", "mistral-7b", "--machine", str(RECORDS / "vm-24gib.json")]
    here = subprocess.run(
        [sys.executable, "-m", "selfhost", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=source_environment,
        check=False,
    )
    there = in_browser(source_environment, *words)
    assert (there.returncode, there.stdout) == (here.returncode, here.stdout)
    assert here.returncode == 0
