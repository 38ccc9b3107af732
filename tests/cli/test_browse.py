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
from socket import socket as Socket

import pytest

from helpers.browsing import Seen, Visit, visit
from helpers.figures import PACKAGE
from selfhost.cli.asked import one_machine
from selfhost.cli.browse_rows import BrowseOptions, BrowseQuestion, Rows, ShownRows
from selfhost.cli.main import main

MAC = "macbook air m2 16gb"
OFFICE = "desktop-i3-8gb-no-gpu"
# so few models that all are judged at once
FEW = ["smollm2"]
ON_MAC = ["--machine", MAC]
EMBEDDING = ["--use", "embedding"]

needs_plain_sockets = pytest.mark.skipif(
    sys.platform == "win32",
    reason="asyncio's pair of sockets has addresses on Windows, which these tests refuse",
)


# ---------------------------------------------------------------- where there is no screen


def test_without_textual_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("selfhost.cli.browse.find_spec", lambda _name: None)
    assert main(["browse"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: browse needs Textual\n"
        '  install it beside selfhost: pip install "textual>=8"\n',
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


@pytest.fixture(scope="module")
def wide() -> dict[str, Seen]:
    """What a screen of 130 columns shows after each step, one after the other."""
    seen: dict[str, Seen] = {}

    async def walk(screen: Visit) -> None:
        seen["start"] = screen.look()
        seen["longer context"] = await screen.press("plus")
        seen["copied"] = await screen.press("down", "c")
        seen["whole answer"] = await screen.press("enter")
        await screen.press("escape", "minus", "c")
        seen["shortest context"] = await screen.press("minus")
        seen["by memory"] = await screen.press("s", "m", "enter")
        seen["by another runtime"] = await screen.press("r", "t", "t", "enter")
        seen["for embeddings"] = await screen.press("u", "e", "enter")
        await screen.press("u", "home", "enter")
        await screen.press("r", "home", "enter")
        await screen.press("s", "b", "enter")
        seen["filtered"] = await screen.press("slash", "end", *" m-instruct", "enter")
        seen["unfiltered"] = await screen.press("escape")
        seen["no machine"] = await screen.press("m", *"abcdefg", "enter")
        seen["as before"] = await screen.press("escape")
        await screen.press("m", *"desktop-i3", "right", "enter")
        seen["another machine"] = await screen.press("c")

    visit([*FEW, *ON_MAC, "--family", "smollm"], walk)
    return seen


@pytest.fixture(scope="module")
def narrow() -> dict[str, Seen]:
    """What a screen of 60 columns and 20 lines shows after each step."""
    seen: dict[str, Seen] = {}

    async def walk(screen: Visit) -> None:
        seen["start"] = screen.look()
        seen["whole answer"] = await screen.press("enter")
        await screen.press("escape")
        seen["help"] = await screen.press("question_mark")
        await screen.press("escape")
        seen["wider"] = await screen.resize(120, 20)
        seen["narrow again"] = await screen.resize(60, 20)

    visit([*FEW, *ON_MAC], walk, columns=60, lines=20)
    return seen


def squeezed(text: str) -> str:
    """The text without blanks, and without the signs that a screen puts before a comment's further
    lines: it breaks lines where it has to.
    """
    return "".join(text.replace("#", "").replace("\\", "").split())


@needs_plain_sockets
class TestWide:
    """A terminal with room for the table and the answer."""

    def test_the_lines_of_the_screen(self, wide: dict[str, Seen]) -> None:
        """The figures are those of `selfhost list`, tested there."""
        lines = wide["start"].lines
        assert lines[0] == " smollm2"
        assert lines[1].startswith(
            " 3 of 3 models run on macbook-air-m2-16gb (13.0 GiB"
        )
        assert lines[2] == (
            " s sort best  f show what runs  u use any  p purpose any  t type any"
            "  l license any  r runtime any  +/- context 4,096"
        )
        titles = ["model", "memory", "quant", "tokens/s", "download", "license"]
        table, _, answer = lines[3].partition("│")
        assert table.split() == titles
        assert "✓ RUNS  SmolLM2" in answer
        assert wide["start"].ids[0] in lines[4]
        assert lines[-1] == (
            " ⏎ whole answer  / filter  m machine  c copy command  ? help  q quit"
        )

    def test_the_copied_line_gives_the_answer_beside_the_list(
        self, wide: dict[str, Seen], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What was changed by keys is in the line."""
        seen = wide["copied"]
        assert seen.clipboard == (
            f"selfhost check {seen.ids[1]} --context 8192 --machine '{MAC}'"
        )
        assert seen.lines[-2] == f" copied: {seen.clipboard}"
        assert main(shlex.split(seen.clipboard)[1:]) == 0
        assert squeezed(seen.answer) == squeezed(capsys.readouterr().out)

    def test_enter_shows_the_answer_on_the_whole_screen(
        self, wide: dict[str, Seen]
    ) -> None:
        seen = wide["whole answer"]
        assert seen.lines[0].strip().startswith(seen.answer.splitlines()[0])
        assert "│" not in seen.text
        # it takes the width of the screen, not that of its place beside the table
        sentence = "(figures of medium confidence). All of its memory counts as free."
        assert sentence in seen.text
        assert sentence not in seen.answer

    def test_another_context_is_judged_anew(self, wide: dict[str, Seen]) -> None:
        before = {row.model.id: row.memory for row in wide["start"].rows}
        seen = wide["longer context"]
        assert "context 8,192" in seen.lines[2]
        assert sorted(seen.ids) == sorted(before)
        for row in seen.rows:
            need = before[row.model.id]
            assert row.workload.context_tokens == 8192
            assert row.memory is not None
            assert need is not None
            assert row.memory.high_bytes > need.high_bytes

    def test_there_is_a_shortest_context(self, wide: dict[str, Seen]) -> None:
        """It is the default, which nobody has to state: some models have less."""
        seen = wide["shortest context"]
        assert "context 4,096" in seen.lines[2]
        assert "there is no such context" in seen.text
        assert "--context" not in seen.clipboard

    def test_rows_are_sorted(self, wide: dict[str, Seen]) -> None:
        seen = wide["by memory"]
        needs = [row.memory.high_bytes for row in seen.rows if row.memory is not None]
        assert needs == sorted(needs)
        assert "s sort memory" in seen.lines[2]
        assert sorted(seen.ids) == sorted(wide["start"].ids)

    def test_another_runtime_is_judged(self, wide: dict[str, Seen]) -> None:
        """A letter in the list of choices goes to the next that begins with it."""
        seen = wide["by another runtime"]
        assert "r runtime transformers" in seen.lines[2]
        assert {row.runtime for row in seen.rows} == {"transformers"}

    def test_a_use_keeps_only_its_models(self, wide: dict[str, Seen]) -> None:
        assert wide["for embeddings"].ids == []
        assert "No model matches." in wide["for embeddings"].text

    def test_a_filter_keeps_what_list_keeps(
        self, wide: dict[str, Seen], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The models of `selfhost list WORD`, in its order. Escape takes the filter away."""
        words = ["list", "smollm2", "m-instruct", *ON_MAC, "--json"]
        assert main(words) == 0
        listed = json.loads(capsys.readouterr().out)["models"]
        seen = wide["filtered"]
        assert seen.lines[0] == " smollm2 m-instruct"
        assert len(seen.ids) == 2
        assert seen.ids == [row["model"]["id"] for row in listed]
        assert set(wide["unfiltered"].ids) > set(wide["start"].ids)

    def test_what_is_no_machine_changes_nothing(self, wide: dict[str, Seen]) -> None:
        """The screen says the sentence of the command line."""
        text = " ".join(wide["no machine"].text.replace("│", " ").split())
        assert "error: no machine is called 'abcdefg'; name its processor" in text
        assert "on macbook-air-m2-16gb" in wide["as before"].lines[1]

    def test_another_machine(self, wide: dict[str, Seen]) -> None:
        """The field completed the name of a known one."""
        seen = wide["another machine"]
        assert f"run on {OFFICE} (" in seen.lines[1]
        assert {row.machine.name for row in seen.rows} == {OFFICE}
        assert seen.clipboard.endswith(f" --machine {OFFICE}")


@needs_plain_sockets
class TestNarrow:
    """A terminal in which the answer has no room beside the table."""

    def test_it_shows_the_table_alone(self, narrow: dict[str, Seen]) -> None:
        for step in ("start", "narrow again"):
            seen = narrow[step]
            assert "│" not in seen.text
            assert all(len(line) <= 60 for line in seen.lines)
            assert f" ✓  {seen.ids[0]} " in seen.text
            assert seen.lines[-1].startswith(" ⏎ whole answer")

    def test_enter_shows_the_answer(self, narrow: dict[str, Seen]) -> None:
        seen = narrow["whole answer"]
        assert seen.lines[0].strip() == seen.answer.splitlines()[0]

    def test_the_help_names_the_keys(self, narrow: dict[str, Seen]) -> None:
        assert "another machine: a known one" in narrow["help"].text

    def test_a_wider_terminal_shows_the_answer_too(
        self, narrow: dict[str, Seen]
    ) -> None:
        assert "│ ✓ RUNS" in narrow["wider"].text


@pytest.fixture
def asyncio_wakes_itself(
    _apart_from_the_world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall of the tests refuses the pair of sockets that asyncio needs."""
    monkeypatch.setattr(socket, "socket", Socket)


@needs_plain_sockets
@pytest.mark.usefixtures("asyncio_wakes_itself")
@pytest.mark.parametrize(
    ("model", "title"),
    [
        pytest.param("musicgen", None, id="no pace is known"),
        pytest.param("smollm2", "tokens/s", id="paces"),
    ],
)
def test_a_column_of_paces_is_shown_where_one_is_known(
    model: str, title: str | None
) -> None:
    """The pace of music is not known; the column had a dash in each row."""

    async def walk(screen: Visit) -> None:
        seen = screen.look()
        assert seen.ids != []
        (titles,) = [line for line in seen.lines if " download " in line]
        assert ("tokens/s" in titles or "pace" in titles) is (title is not None)

    visit([model, *ON_MAC], walk)


@needs_plain_sockets
@pytest.mark.usefixtures("asyncio_wakes_itself")
@pytest.mark.parametrize(
    ("model", "is_told"),
    [
        pytest.param("smollm2-135m", False, id="one program"),
        pytest.param("tiny", True, id="llama.cpp and whisper.cpp"),
    ],
)
def test_programs_are_told_where_they_differ(model: str, *, is_told: bool) -> None:
    """As in `list`: the memory of a model depends on the program."""

    async def walk(screen: Visit) -> None:
        seen = screen.look()
        assert seen.ids != []
        (titles,) = [line for line in seen.lines if " quant " in line]
        assert (" program " in titles) is is_told

    visit([model, *ON_MAC], walk, columns=260)


@needs_plain_sockets
@pytest.mark.usefixtures("asyncio_wakes_itself")
def test_what_would_fit_under_a_condition_is_marked() -> None:
    """`↓` of what fits in another type or context; the line above the table says in which, as the
    answer of `check` does.
    """

    async def walk(screen: Visit) -> None:
        seen = screen.look()
        assert seen.ids == []
        assert "Press f to see all." in seen.text
        seen = await screen.press("f")
        fits = re.search(r"↓: fits as (Q\w+ [\d,]+ tokens)", seen.lines[1])
        assert fits
        assert seen.lines[4].startswith(" ↓  qwen3-4b-instruct-2507 ")
        named = f"qwen3-4b-instruct-2507 {fits[1]}"
        assert squeezed(named) in squeezed(seen.answer.replace("~29 tokens/s", ""))

    visit(["qwen3-4b-instruct", *ON_MAC, "--context", "256k"], walk)


@needs_plain_sockets
@pytest.mark.usefixtures("asyncio_wakes_itself")
@pytest.mark.parametrize(
    ("keys", "said", "words", "columns", "lines"),
    [
        pytest.param(
            ("end", "c"),
            "copied: selfhost check smollm2",
            FEW,
            140,
            40,
            id="a command is copied",
        ),
        pytest.param(
            ("end", "C"),
            "copied: llama-server -hf",
            FEW,
            60,
            20,
            id="lines are copied",
        ),
        pytest.param(
            ("enter", "c"),
            "copied: selfhost check smollm2",
            FEW,
            80,
            24,
            id="the same in front of the whole answer",
        ),
        pytest.param(
            ("minus",),
            "there is no such context to step to",
            FEW,
            60,
            20,
            id="no context",
        ),
        pytest.param(
            ("C",),
            "there is no line that runs this model here",
            ["deepseek-v3", "--all"],
            80,
            24,
            id="no line to copy",
        ),
        pytest.param(
            ("p", "home", "enter"),
            "error: --max-wait",
            [*FEW, "--for", "agent", "--max-wait", "9s"],
            60,
            20,
            id="a question that makes no sense",
        ),
        pytest.param(
            ("p", "home", "enter"),
            "error: --max-wait",
            [*FEW, "--for", "agent", "--max-wait", "9s"],
            140,
            40,
            id="the same on a wide terminal",
        ),
    ],
)
def test_what_a_key_did_is_said_above_the_keys(
    keys: tuple[str, ...], said: str, words: list[str], columns: int, lines: int
) -> None:
    """The sentence stands whole between the rows and the line of keys, without a time: a toast lay
    over both, went after five seconds, and its clock could stop the screen for good.
    """

    async def walk(screen: Visit) -> None:
        seen = await screen.press(*keys)
        place = seen.text.index(said)
        above = seen.text[:place].count("\n")
        sentence = " ".join(line.strip() for line in seen.lines[above:-1])
        assert sentence.startswith(said)
        if seen.clipboard:
            assert squeezed(seen.clipboard) == squeezed(
                sentence.removeprefix("copied:")
            )
        assert len(seen.lines) == lines
        is_in_front = len(screen.app.screen_stack) == 1
        keys_of_screen = " esc back  c copy"
        if is_in_front:
            keys_of_screen = " ⏎ whole answer  / filter"
        assert seen.lines[-1].startswith(keys_of_screen)
        if is_in_front and seen.ids:
            # the row at the cursor moves up where its line is taken
            assert f" {screen.app.table.current_id} " in seen.text[:place]
        assert not list(screen.app._notifications)
        # the next key takes the sentence back, and the rows have its lines again
        seen = await screen.press("v")
        assert said not in seen.text

    visit([*words, *ON_MAC], walk, columns=columns, lines=lines)


@needs_plain_sockets
@pytest.mark.usefixtures("asyncio_wakes_itself")
def test_quitting_in_the_middle_of_judging() -> None:
    """The thread that judges the whole catalogue ends with the screen."""

    async def leave(screen: Visit) -> None:
        while not screen.app.table.rows:
            await screen.pause()
        assert screen.look().lines[1].startswith(" Judged ")
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


@needs_plain_sockets
def test_no_network_socket_is_opened(source_environment: dict[str, str]) -> None:
    """An audit hook refuses every socket but the pair by which asyncio wakes itself."""
    written = on_terminal(REFUSE + RUN, source_environment)
    assert "ENDED 0 ['socket.__new__']" in written


@needs_plain_sockets
def test_the_hook_would_refuse_a_connection(
    source_environment: dict[str, str],
) -> None:
    code = f"{REFUSE}socket.create_connection(('127.0.0.1', 9))"
    assert "PermissionError" in on_terminal(code, source_environment)


# ---------------------------------------------------------------- the same as list


def shown_by_browse(*options: str) -> ShownRows:
    """All rows of browse, once every model is judged, with `qwen3` as the filter."""
    read = BrowseOptions.read("browse", [*options, "--machine", "rtx 4090"])
    question = BrowseQuestion(read, one_machine(read))
    *_, last = Rows(question).as_judged(question, "qwen3")
    return last


@pytest.mark.usefixtures("few_listed")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param("", id="no-wish"),
        pytest.param("--for chat", id="chat"),
        pytest.param("--for agent", id="agent"),
        pytest.param("--use code", id="code"),
        pytest.param("--use function-calling --for agent", id="use-and-purpose"),
        pytest.param("--license Apache-2.0", id="license"),
        pytest.param("--sort speed", id="sorted"),
    ],
)
def test_browse_shows_the_rows_of_list_in_their_order(
    options: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Browse judged 956 models for agents, and list 310."""
    shown = shown_by_browse(*options.split())
    listed = ["list", "qwen3", *options.split(), "--machine", "rtx 4090"]
    assert main([*listed, "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    ids = [model["model"]["id"] for model in models if model["route"] == "local"]
    assert [row.model.id for row in shown.rows] == ids != []
    assert main([*listed, "--all"]) == 0
    # the filter is told alike, with what it leaves out
    first = " ".join(capsys.readouterr().out.partition("\n\n")[0].split())
    assert shown.summary in first


@pytest.mark.parametrize(
    ("typed", "options", "hint"),
    [
        pytest.param(
            "mistrall", [], r" Did you mean mistral( or [\w.-]+)*\?", id="slip"
        ),
        pytest.param("mistral zzqq", [], r" Did you mean mistral\?", id="odd word"),
        pytest.param(
            "gemma qwen", [], r" Did you mean gemma or qwen\?", id="two makers"
        ),
        pytest.param("zzqqzz", [], "", id="nothing near"),
        pytest.param("smollm2", EMBEDDING, "", id="another filter"),
    ],
)
def test_a_filter_that_matches_nothing_says_what_would(
    typed: str, options: list[str], hint: str
) -> None:
    """`list` named three models where this screen said only that none matches."""
    read = BrowseOptions.read("browse", [*options, *ON_MAC])
    question = BrowseQuestion(read, one_machine(read))
    (shown,) = Rows(question).as_judged(question, typed)
    assert re.fullmatch(rf"No model matches\.{hint}", shown.summary)


@pytest.mark.usefixtures("few_listed")
def test_a_purpose_says_which_models_it_leaves() -> None:
    summary = shown_by_browse("--for", "agent").summary
    assert "for agent: models with function calling" in summary
    assert (
        "for chat: models that write text" in shown_by_browse("--for", "chat").summary
    )
