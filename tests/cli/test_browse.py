"""`selfhost browse`: what the screen shows, what each key changes, and that it opens no network
socket.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec

import pytest

from helpers.browsing import Visit, visit
from helpers.figures import PACKAGE
from selfhost.cli.main import main

MAC = "macbook air m2 16gb"
OFFICE = "desktop-i3-8gb-no-gpu"
# so few models that all are judged at once
FEW = ["smollm2"]
ON_MAC = ["--machine", MAC]

needs_textual = pytest.mark.skipif(
    find_spec("textual") is None or sys.platform == "win32",
    reason="Textual is not installed (pip install 'selfhost-check[tui]'), or on Windows, "
    "where asyncio's pair of sockets has addresses",
)


class LocalSocket(socket.socket):
    """One of a pair of sockets without an address; any other is an error."""

    def __init__(self, family: int = -1, *rest: int) -> None:
        assert family == socket.AF_UNIX, "a network socket was opened"
        super().__init__(family, *rest)


@pytest.fixture(autouse=True)
def asyncio_wakes_itself(
    _apart_from_the_world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one pair of sockets that asyncio needs is let through the wall of the tests."""
    monkeypatch.setattr(socket, "socket", LocalSocket)


# ---------------------------------------------------------------- where there is no screen


def test_without_textual_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("selfhost.cli.browse.find_spec", lambda _name: None)
    assert main(["browse"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: browse needs Textual\n  pip install 'selfhost-check[tui]'\n",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "browse needs a terminal", id="a pipe"),
        pytest.param(["--sort", "beauty"], "'beauty' is not one of", id="an option"),
        pytest.param(["--top", "5"], "unknown option --top", id="an option of list"),
    ],
)
def test_what_the_screen_would_hide_is_said_before(
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("selfhost.cli.browse.find_spec", lambda _name: True)
    assert main(["browse", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_only_its_own_modules_load_textual() -> None:
    """No other command, and no check of a program, may come to need the extra."""
    importing = set()
    for path in PACKAGE.rglob("*.py"):
        if re.search(
            r"^ *(from|import) textual\b", path.read_text("utf-8"), re.MULTILINE
        ):
            importing.add(path.relative_to(PACKAGE).as_posix())
    assert importing == {"cli/browse_screen.py", "cli/browse_table.py"}


# ---------------------------------------------------------------- the screen


def squeezed(text: str) -> str:
    """The text without blanks, and without the signs that a screen puts before a comment's further
    lines: it breaks lines where it has to.
    """
    return "".join(text.replace("#", "").split())


@needs_textual
def test_the_first_screen() -> None:
    """The lines of the terminal; the figures are those of `selfhost list`, tested there."""

    async def look(screen: Visit) -> None:
        lines = screen.text.splitlines()
        assert lines[0] == " smollm2"
        assert lines[1].startswith(
            " 3 of 3 models run on macbook-air-m2-16gb (13.0 GiB"
        )
        assert lines[2] == (
            " s sort best  f show what runs  u use any  p purpose any  t type any"
            "  l license any  r runtime any  +/- context 4,096"
        )
        titles = ["model", "memory", "quant", "tokens/s", "download", "license"]
        assert lines[3].split("│")[0].split() == titles
        assert screen.ids[0] in lines[4]
        assert "✓ RUNS  SmolLM2" in lines[3].split("│")[1]
        assert lines[-1] == (
            " ⏎ whole answer  / filter  m machine  c copy command  ? help  q quit"
        )

    visit([*FEW, *ON_MAC], look)


@needs_textual
@pytest.mark.parametrize("columns", [60, 130])
def test_the_answer_is_that_of_check(
    columns: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line that `c` copies gives the same text in a shell. A narrow terminal has no room for it
    beside the list: Enter shows it.
    """
    answers: list[str] = []
    commands: list[str] = []

    async def look(screen: Visit) -> None:
        await screen.press("down", "plus", "c", "enter")
        answers.append(screen.answer)
        commands.append(screen.app.clipboard)
        first_line = screen.answer.splitlines()[0]
        assert first_line in screen.text
        assert ("model  " in screen.text.splitlines()[3]) is False
        await screen.press("escape")
        assert (first_line in screen.text) == (columns == 130)

    visit([*FEW, *ON_MAC, "--for", "chat"], look, columns=columns)
    assert "--context 8192" in commands[0]
    assert main(shlex.split(commands[0])[1:]) == 0
    assert squeezed(answers[0]) == squeezed(capsys.readouterr().out)


@needs_textual
def test_a_filter_keeps_what_list_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    """The models of `selfhost list WORD`, in its order."""
    assert main(["list", "smollm2", "m-instruct", *ON_MAC, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]

    async def look(screen: Visit) -> None:
        await screen.press("slash", "end", *" m-instruct", "enter")
        assert screen.text.startswith(" smollm2 m-instruct\n")
        assert screen.ids == [row["model"]["id"] for row in listed]
        assert len(screen.ids) == 2
        # Enter has left the filter, and Escape takes it away
        await screen.press("escape")
        assert len(screen.ids) > 2

    visit([*FEW, *ON_MAC, "--family", "smollm"], look)


@needs_textual
def test_rows_are_sorted_and_chosen_by_keys() -> None:
    async def look(screen: Visit) -> None:
        best = screen.ids
        await screen.press("s", "m", "enter")
        memory = [row.memory.high_bytes for row in screen.app.table.rows if row.memory]
        assert memory == sorted(memory)
        assert sorted(screen.ids) == sorted(best)
        await screen.press("r", "t", "r", "enter")
        runtimes = {row.runtime for row in screen.app.table.rows}
        assert "runtime transformers" in screen.text
        assert runtimes == {"transformers"}
        await screen.press("u", "e", "enter")
        assert screen.ids == []
        assert "No model matches." in screen.text

    visit([*FEW, *ON_MAC], look)


@needs_textual
def test_another_context_is_judged_anew() -> None:
    async def look(screen: Visit) -> None:
        before = {row.model.id: row.memory for row in screen.app.table.rows}
        await screen.press("plus")
        assert "context 8,192" in screen.text
        for row in screen.app.table.rows:
            need = before[row.model.id]
            assert row.workload.context_tokens == 8192
            assert row.memory is not None
            assert need is not None
            assert row.memory.high_bytes > need.high_bytes
        await screen.press("minus", "minus")
        assert "no such context" in screen.text

    visit([*FEW, *ON_MAC], look)


@needs_textual
def test_another_machine() -> None:
    """What is no machine is told as on the command line, and changes nothing."""

    async def look(screen: Visit) -> None:
        await screen.press("m", *"abcdefg", "enter")
        assert "error: no machine is called 'abcdefg'" in screen.text
        assert "name its processor" in screen.text
        await screen.press("escape")
        assert screen.app.question.options.machine == MAC
        await screen.press("m", *"i3-8gb", "down", "enter")
        assert f"on {OFFICE}" in screen.text
        assert {row.machine.name for row in screen.app.table.rows} == {OFFICE}
        await screen.press("c")
        assert screen.app.clipboard.endswith(f" --machine {OFFICE}")

    visit([*FEW, *ON_MAC], look)


@needs_textual
def test_what_would_fit_under_a_condition_is_marked() -> None:
    """`↓` of what fits in another type or context; the line above the table says in which, as the
    answer of `check` does.
    """

    async def look(screen: Visit) -> None:
        assert screen.ids == []
        assert "Press f to see all." in screen.text
        await screen.press("f", "down", "up")
        (row,) = screen.app.table.rows
        assert not row.can_run
        lines = screen.text.splitlines()
        fits = re.search(r"↓: fits as (Q\w+ [\d,]+ tokens)", lines[1])
        assert fits
        assert lines[4].startswith(" ↓  qwen3-4b-instruct-2507 ")
        named = f"qwen3-4b-instruct-2507 {fits[1]}"
        assert squeezed(named) in squeezed(screen.answer.replace("~29 tokens/s", ""))

    visit(["qwen3-4b-instruct", *ON_MAC, "--context", "128k"], look)


@needs_textual
def test_a_small_terminal_and_another_size() -> None:
    async def look(screen: Visit) -> None:
        for line in screen.text.splitlines():
            assert len(line) <= 80
        assert "│" not in screen.text
        await screen.press("question_mark")
        assert "another machine: a known one" in screen.text
        await screen.press("escape")
        await screen.resize(120, 24)
        assert "│ ✓ RUNS" in screen.text
        await screen.resize(80, 24)
        assert "│" not in screen.text

    visit([*FEW, *ON_MAC], look, columns=80, lines=24)


@needs_textual
def test_quitting_in_the_middle_of_judging() -> None:
    """The thread that judges the whole catalogue ends with the screen."""

    async def leave(screen: Visit) -> None:
        while not screen.app.table.rows:
            await screen.pause()
        assert screen.text.splitlines()[1].startswith(" Judged ")
        await screen.quit()

    app = visit(ON_MAC, leave, waits=False)
    assert app.return_value is None
    assert not app.return_code


# ---------------------------------------------------------------- on a terminal

# asyncio wakes itself through a pair of sockets without an address; all others are refused
REFUSE = """
import socket, sys
seen = []
def refuse(event, args):
    if event.startswith("socket."):
        seen.append(event)
        if event != "socket.__new__" or args[1] != socket.AF_UNIX:
            raise PermissionError(f"{event} {args}")
sys.addaudithook(refuse)
"""
RUN = """
from selfhost.cli.main import main
code = main(["browse", "smollm2", "--machine", "macbook air m2 16gb"])
print("ENDED", code, sorted(set(seen)))
"""


def on_terminal(code: str, environment: dict[str, str]) -> str:
    """What a program writes to a terminal on which somebody quits once rows are there."""
    import pty

    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    size = {"COLUMNS": "110", "LINES": "24", "TERM": "xterm-256color"}
    program = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, **size},
    )
    os.close(theirs)
    written = b""
    has_quit = False
    end = time.monotonic() + 60
    while program.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
        try:
            written += os.read(ours, 65536)
        except OSError:
            continue
        if b"GiB for models" in written and not has_quit:
            has_quit = True
            os.write(ours, b"q")
    with suppress(OSError):
        written += os.read(ours, 65536)
    os.close(ours)
    program.kill()
    program.wait()
    return written.decode("utf-8", "replace")


@needs_textual
def test_no_network_socket_is_opened(source_environment: dict[str, str]) -> None:
    """An audit hook refuses every socket but the pair by which asyncio wakes itself."""
    written = on_terminal(REFUSE + RUN, source_environment)
    assert "ENDED 0 ['socket.__new__']" in written


@needs_textual
def test_the_hook_would_refuse_a_connection(
    source_environment: dict[str, str],
) -> None:
    code = f"{REFUSE}socket.create_connection(('127.0.0.1', 9))"
    assert "PermissionError" in on_terminal(code, source_environment)
