"""Whatever is typed, and however the process is ended: an answer or a clear refusal, never a traceback and never exit 70. `selfhost size`: three numbers on a screen, the same in JSON, and blocks that are whole or not there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.paths import CONFIGS, EXAMPLES, RECORDS
from helpers.written import validate
from selfhost.cli import COMMANDS
from selfhost.cli import main as cli
from selfhost.cli.parser import CommandParser, parse

RECORD = RECORDS / "vm-24gib.json"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


# what each command needs beside its options
NEEDED = {
    "check": ["gpt2"],
    "show": ["gpt2"],
    "plan": ["gpt2"],
    "compare": ["gpt2", "opt-1.3b"],
    "spec": ["check", "x.toml"],
}


# every option that takes a value; an alias is read as the first name is
OPTIONS = [
    (command, action.option_strings[0])
    for command in COMMANDS
    for action in CommandParser(command)._actions
    if action.nargs != 0 and action.option_strings
]


@pytest.mark.parametrize(("command", "flag"), OPTIONS, ids=[" ".join(option) for option in OPTIONS])
def test_an_option_without_a_value_is_never_a_value(
    command: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--today=` is not today, and `--output=--` neither an empty list (Python 3.11) nor a file called -- (3.13): exit 2 says so."""
    needed = NEEDED.get(command, [])
    for words in ([f"{flag}="], [f"{flag}=--"], [f"{flag}= "], [flag, ""], [flag, "\t"]):
        code, out, err = run(capsys, command, *needed, *words)
        assert (code, out) == (2, ""), words
        assert f"{flag}: expected a value" in err
    # they come from programs alone, and are no names
    for text in ("a\0b", "a\ud800"):
        code, out, err = run(capsys, command, *needed, f"{flag}={text}")
        assert (code, out, flag in err) == (2, "", True)
        assert err.replace("\n", "").isprintable()
    # the option may stand first
    assert run(capsys, command, f"{flag}=--", *needed)[:2] == (2, "")
    assert run(capsys, command, flag, "", *needed)[:2] == (2, "")


# options of which several count together, each with two values that it takes
ADDING_UP = {
    "--gpu": ("RTX 4090", "RTX 3090"),
    "--set": ("cores=8", "memory=16GiB"),
    "--specs": ("a", "b"),
    "--runtime-option": ("b=1", "ub=1"),
    "--label": ("a=1", "b=2"),
    "--machines": ("a.json", "b.json"),
}
DESTINATIONS = {"--runtime-option": "runtime_options"}


@pytest.mark.parametrize(("command", "flag"), OPTIONS, ids=[" ".join(option) for option in OPTIONS])
def test_a_repeated_option_drops_nothing_silently(
    command: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse keeps the last of two values: a CI job that names two fleets or baselines would judge one and pass."""
    if flag in ADDING_UP or (command, flag) == ("audit", "--format"):
        pair = ADDING_UP.get(flag, ("csv=a.csv", "json=b.json"))
        needed = NEEDED.get(command, ["x"] if command in ("size", "verify") else [])
        words = [*needed, *(word for value in pair for word in (flag, value))]
        assert vars(parse(command, words))[DESTINATIONS.get(flag, flag[2:])] == list(pair)
        return
    for words in ([flag, "1", flag, "2"], [f"{flag}=1", flag, "2"], [f"{flag}=1", f"{flag}=1"]):
        code, out, err = run(capsys, command, *NEEDED.get(command, []), *words)
        assert (code, out) == (2, ""), words
        assert f"{flag} is given twice" in err or "'1'" in err


WORDS = (
    "", " ", "-", "--", "---", "-x", "=", "--=", "-v", "--help", "gpt2", "gpt-4o", "mistral-7b", "no such", "a.json", "p.toml", "dir", ".",
    "..", "\x1b[31mred\x07", "\u202e\u2066", "\udcff\udcfe", "a\0b", "\ud800", "x" * 5000, "8k", "-1", "16GiB", "1e400", "%s%n{}", "~", "*",
    "$HOME", "memory=8GiB", "gpu=\x1b[0m", "k=v", "json", "junit=r.xml", "text=r.txt", "2026-01-01", "/dev/full", "out.txt", "r.xml",
    "new", "check",
)  # fmt: skip
FLAGS = sorted(
    {flag for command in COMMANDS for flag in CommandParser(command)._option_string_actions}
)
# a second each: it is tried elsewhere
SLOW = {"--measure"}


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    commands = ["check", "show", "machine", "audit", "spec", "compare", "completion", "plan"]
    word = st.sampled_from(WORDS) | st.text(max_size=8)
    flag = st.sampled_from([flag for flag in FLAGS if flag not in SLOW])
    rest = draw(st.lists(word | flag | st.tuples(flag, word).map("=".join), max_size=6))
    kept = (word for word in rest if word.partition("=")[0] not in SLOW)
    return [draw(st.sampled_from(commands)), *kept]


@given(line=lines())
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_line_is_answered_or_refused(
    line: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback, no bug, nothing that could steer a terminal. A refusal leaves standard output empty but for the other names of the line, which are judged (contract.md, "Several at once")."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_bytes(RECORD.read_bytes())
    (tmp_path / "p.toml").write_text('schema = 1\n[[model]]\nname = "gpt2"\n')
    (tmp_path / "dir").mkdir(exist_ok=True)
    code, out, err = run(capsys, *line)
    assert code in (0, 1, 2, 3), (line, err)
    assert "Traceback" not in err
    assert all(character == "\n" or character.isprintable() for character in out + err), line
    if code == 2:
        assert err
        names = [word for word in line[1:] if not word.startswith("-")]
        assert not out or any(run(capsys, line[0], name)[0] != 2 for name in names), line


START = "import sys\nfrom selfhost.__main__ import start\n"


@pytest.mark.parametrize("words", [["audit", "p.toml"], ["check", "gpt2", "--json"]])
def test_a_traceback_is_there_for_whoever_asks(
    words: Sequence[str], source_environment: dict[str, str]
) -> None:
    """A bug is exit 70 with and without SELFHOST_DEBUG, which its message recommends and which shows the lines that led to it."""
    broken = (
        "import selfhost.cli.audit as audit, selfhost.cli.commands as models\n"
        "def run(words): raise IndexError('out of range')\n"
        f"audit.run = models.check = run\nsys.argv[1:] = {words!r}\nstart()\n"
    )

    def ended(**debug: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", START + broken],
            capture_output=True, text=True, env=source_environment | debug, check=False, timeout=60,
        )  # fmt: skip

    plain, traced = ended(), ended(SELFHOST_DEBUG="1")
    assert (plain.returncode, traced.returncode) == (70, 70)
    assert "SELFHOST_DEBUG=1" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert traced.stderr.startswith("Traceback")
    assert traced.stderr.endswith("IndexError: out of range\n")


@pytest.mark.parametrize("error", [MemoryError(), OSError(12, "Cannot allocate memory")], ids=repr)
def test_too_little_memory_is_no_bug(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No answer was given: exit 2, in the form that was asked for."""

    def scarce(_: list[str]) -> int:
        raise error

    monkeypatch.setattr("selfhost.cli.commands.check", scarce)
    code, out, err = run(capsys, "check", "gpt2")
    assert (code, out) == (2, "")
    assert err.startswith("error: not enough memory to answer")
    problem = json.loads(run(capsys, "check", "gpt2", "--json")[2])
    validate(problem, "error-1")
    assert problem["exit_code"] == 2


INFORMED = (
    "check gpt2", "show gpt2", "plan gpt2", "machine --profiles", "audit p.toml", "spec new s.json",
    "completion bash", "--help", "check --help",
)  # fmt: skip


# every command meets a closed one; the other combinations are the same code for all
STREAMS = [
    *((words, ">&-") for words in INFORMED),
    *(("check gpt2", streams) for streams in (">/dev/full", "<&- 2>&-", ">&- 2>&-")),
    ("plan gpt2", "2>/dev/full"),
    ("audit p.toml", ">/dev/full"),
]


@pytest.mark.parametrize(("words", "streams"), STREAMS)
def test_no_stream_is_needed_to_end_well(
    words: str, streams: str, tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """Closed or full, in any combination: exit 2 where the answer went nowhere, else as ever; no traceback, nothing called a bug."""
    if ">/dev/full" in streams and not os.path.exists("/dev/full"):
        pytest.skip("there is no such device")
    (tmp_path / "p.toml").write_text('schema = 1\n[[model]]\nname = "gpt2"\n')
    (tmp_path / "s.toml").write_bytes((EXAMPLES / "specs" / "my-model.toml").read_bytes())
    (tmp_path / "s.json").write_bytes(next(CONFIGS.glob("*.json")).read_bytes())
    has_machine = words.split()[0] in ("check", "show") and "help" not in words
    machine = f"--machine {RECORD}" if has_machine else ""
    fleet = f"--machines {RECORD}" if words.startswith("audit p") else ""
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m selfhost {words} {machine} {fleet} {streams}', sys.executable],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=source_environment, check=False, cwd=tmp_path,
    )  # fmt: skip
    lost = re.search(r"(?<!2)>", streams) is not None
    assert done.returncode in ((2,) if lost else (0, 1, 3)), done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "bug" not in done.stderr


def test_json_has_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """One object for any number of models, with their sum; a wrong name leaves the others."""
    code, out, err = run(capsys, "size", "mistral-7b", "gemma-3-4b-it", "no-such-model", "--json")
    answer = json.loads(out)
    validate(answer, "size-1")
    assert (code, answer["exit_code"]) == (2, 2)
    assert [entry["asked"] for entry in answer["errors"]] == ["no-such-model"]
    assert json.loads(err)["exit_code"] == 2
    for kind in ["request", "unreclaimable", "limit", "page_cache", "disk"]:
        key = f"{kind}_bytes"
        assert answer["total"][key] == sum(entry[key] for entry in answer["containers"])
    code, alone, _ = run(capsys, "size", "mistral-7b", "--json")
    assert code == 0
    assert set(json.loads(alone)) == set(answer)
