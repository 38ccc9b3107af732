"""What rich draws of blocks: whole commands, aligned columns, colours where they are wanted."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Mapping

import pytest
from rich.cells import cell_len

from helpers.screens import drawn
from selfhost.cli.main import main
from selfhost.reports.layout import (
    Column,
    Paragraph,
    Span,
    Table,
    command,
    commands,
    line,
    wrapped,
)

LONG = "llama-server -hf bartowski/Mistral-7B-Instruct-v0.3-GGUF:Q4_K_M -c 4096 -np 1"
CODES = re.compile(r"\x1b\[[0-9;]*m")
# red, green, yellow and cyan of letters, as rich writes them in 16 colours and in 256
COLOURS = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|9[0-7]|38;5;\d+)(?:;[0-9;]*)?m")


QUOTED = """curl -d '{"model": "a b c", "input": "Hello"}' -H "A: $B c" --url 'x y'"""


@pytest.mark.parametrize("typed", [LONG, QUOTED], ids=["plain", "quoted"])
@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_line_to_type_breaks_where_a_shell_goes_on(typed: str, width: int) -> None:
    """A terminal broke `GGUF:Q` from `4_K_M`, and cropped it could not be copied. bash(1): a
    backslash before the end of a line continues it.
    """
    lines = drawn([command(typed)], width).splitlines()
    assert all(shown.endswith(" \\") for shown in lines[:-1])
    joined = " ".join(shown.removesuffix("\\") for shown in lines)
    assert shlex.split(joined) == shlex.split(typed)
    for shown in lines:
        words = shlex.split(shown.removesuffix("\\"))
        assert len(shown) <= width or len(words) <= 2


@pytest.mark.parametrize("width", [40, 60, 100])
def test_no_line_to_type_holds_a_backslash_alone(width: int) -> None:
    """The first line of a command that has two ends in a backslash itself, which stood on a line of
    its own where the address before it was wider than the terminal.
    """
    address = "https://api.example/v1beta/openai/chat/completions-of-a-model"
    typed = [f"curl {address} \\", '  -H "Content-Type: application/json"']
    lines = drawn(commands(typed), width).splitlines()
    assert [shown for shown in lines if shown.strip() == "\\"] == []
    assert all(shown.endswith(" \\") for shown in lines[:-1])
    joined = "\n".join(lines).replace("\\\n", " ")
    assert shlex.split(joined) == shlex.split("\n".join(typed).replace("\\\n", " "))


def test_a_comment_with_a_command_stays_one_line() -> None:
    """Its second line would be a command."""
    lines = drawn(commands(["# with Docker:", f"# {LONG}"]), 40).splitlines()
    assert lines == ["  # with Docker:", f"  # {LONG}"]


@pytest.mark.parametrize(
    ("sentence", "width", "lines"),
    [
        pytest.param(
            "Its family also has qwen3-coder-480b-a35b-instruct, qwen3-coder-next:"
            " selfhost list qwen3-coder",
            80,
            [
                "Its family also has qwen3-coder-480b-a35b-instruct, qwen3-coder-next:",
                "  selfhost list qwen3-coder",
            ],
            id="behind-a-colon",
        ),
        pytest.param(
            "measure it on the machine itself: `selfhost machine --measure`, which takes a second",
            40,
            [
                "measure it on the machine itself:",
                "  `selfhost machine --measure`, which",
                "  takes a second",
            ],
            id="in-backquotes",
        ),
        pytest.param(
            "20 of 65 · all: --all · columns: --wide · one: selfhost check MODEL · !: little left",
            60,
            [
                "20 of 65 · all: --all · columns: --wide · one:",
                "  selfhost check MODEL · !: little left",
            ],
            id="among-hints",
        ),
        pytest.param(
            "so: `selfhost check llama-3.3-70b --context 32k --quant Q4_K_M` answers",
            40,
            [
                "so:",
                "  `selfhost check llama-3.3-70b --context 32k --quant Q4_K_M`",
                "  answers",
            ],
            id="longer-than-the-terminal",
        ),
        pytest.param(
            "→ choose one with a longer context → selfhost list --for agent",
            50,
            [
                "→ choose one with a longer context →",
                "  selfhost list --for agent",
            ],
            id="behind-an-arrow",
        ),
        pytest.param(
            "needs the length of a prompt: add --prompt 2000, or another",
            45,
            [
                "needs the length of a prompt: add",
                "  --prompt 2000, or another",
            ],
            id="an-option-with-its-value",
        ),
        pytest.param(
            "name its processor: add --machine 'i5-8250U 16GB' to it",
            40,
            [
                "name its processor: add",
                "  --machine 'i5-8250U 16GB' to it",
            ],
            id="an-option-with-a-value-in-quotes",
        ),
    ],
)
def test_a_command_in_a_sentence_is_whole(
    sentence: str, width: int, lines: list[str]
) -> None:
    """`selfhost / list qwen3-coder` stood on two lines at 80 columns."""
    assert drawn([line(sentence)], width).splitlines() == lines


@pytest.mark.parametrize("columns", range(30, 64, 3))
@pytest.mark.parametrize(
    "command",
    [
        pytest.param("`selfhost list --use code`", id="in-backquotes"),
        pytest.param("`selfhost check mistral-7b`", id="of-a-model"),
        pytest.param("--machine 'i5-8250U 16GB'", id="an-option"),
    ],
)
def test_a_command_in_an_error_is_whole(command: str, columns: int) -> None:
    """`selfhost list --use` stood on one line of standard error, and `code` on the next."""
    text = f"error: no model has these words\n  did you perhaps mean {command}, or another one?\n"
    lines = wrapped(text, columns).splitlines()
    assert any(command in shown for shown in lines)
    assert all(
        len(shown) <= columns or shown.strip(" ?,") == command for shown in lines
    )
    assert " ".join(wrapped(text, columns).split()) == " ".join(text.split())


@pytest.mark.parametrize(
    "digits",
    [
        pytest.param("1" * 400_000, id="without-a-comma"),
        pytest.param("1," * 200_000, id="with-commas"),
    ],
)
def test_the_time_for_a_number_grows_with_its_length(digits: str) -> None:
    """One of 50,000 digits took nine seconds, and this one would take ten minutes."""
    assert wrapped(f"{digits} is no number", 80).split() == [
        digits,
        "is",
        "no",
        "number",
    ]


def test_an_option_stays_with_its_colon() -> None:
    """A lone `-v` on a line says nothing."""
    text = "Every figure with its source, other ways to install and 3 more APIs: -v"
    assert drawn([line(text)], 70).splitlines()[1] == "  APIs: -v"


def test_a_number_stays_with_its_unit() -> None:
    """`18.6 GB` broken at 18.6 reads like two figures."""
    text = "Q4_K_M in llama.cpp, 65,536 tokens of context, 18.6 GB to download"
    shown = drawn([line(text)], 51)
    assert shown.splitlines() == [
        "Q4_K_M in llama.cpp, 65,536 tokens of context,",
        "  18.6 GB to download",
    ]


@pytest.mark.parametrize(
    ("names", "width"),
    [
        pytest.param(("通义千问3", "Mistral 7B"), 80, id="models"),
        pytest.param(("服务器一号机房", "build-07"), 80, id="machines"),
        pytest.param(("🦙 llama", "llama"), 80, id="emoji"),
        pytest.param(("服务器一号机房", "build-07"), 40, id="narrow"),
    ],
)
def test_wide_characters_keep_columns_aligned(
    names: tuple[str, str], width: int
) -> None:
    """A Chinese character takes two cells: counted as one it moved the second column by as many."""
    table = Table(
        columns=(Column(title="name"), Column(title="RAM", right=True)),
        rows=tuple((name, "8 GiB") for name in names),
    )
    lines = drawn([table], width).splitlines()
    assert len({cell_len(shown) for shown in lines}) == 1
    assert all(cell_len(shown) <= width for shown in lines)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("[red]llama[/red]", id="markup"),
        pytest.param(":smile: 7B", id="emoji-code"),
        pytest.param("llama[/]", id="unbalanced"),
        pytest.param("0x7f 'a' http://x.y 3.5", id="highlighted"),
    ],
)
@pytest.mark.parametrize("place", ["sentence", "cell"])
def test_a_name_is_no_markup(name: str, place: str) -> None:
    """Whoever publishes a model chooses its name."""
    block: Paragraph | Table = line(name)
    if place == "cell":
        block = Table(columns=(Column(),), rows=((name,),), indent=0)
    assert drawn([block], 80, color=True) == f"{name}\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("a\x1b[2Jb", r"a\x1b[2Jb", id="escape"),
        pytest.param("gnp\u202eexe", r"gnp\u202eexe", id="direction"),
        pytest.param("a\ue000b", r"a\ue000b", id="private-use"),
        pytest.param("a\x1fb", r"a\x1fb", id="separator"),
    ],
)
def test_what_commands_a_terminal_is_shown(name: str, shown: str) -> None:
    """Also the two characters that the drawing itself uses for its marks."""
    table = Table(columns=(Column(),), rows=((name,),), indent=0)
    assert drawn([line(name), table], 80) == f"{shown}\n{shown}\n"


def test_commands_stand_out_from_comments() -> None:
    """Of six equally bold lines nobody saw the one to type."""
    shown = drawn(
        commands(["# answers at http://127.0.0.1:8080", LONG]), 80, color=True
    )
    first, second = shown.splitlines()
    assert first == "  \x1b[2m# answers at http://127.0.0.1:8080\x1b[0m"
    assert second == f"  \x1b[1m{LONG}\x1b[0m"


def test_a_wrapped_comment_can_be_pasted() -> None:
    """Each further line is a comment, too, and an address stays whole."""
    comment = "# download a release build of llama.cpp: https://github.com/ggml-org/llama.cpp/releases"
    lines = drawn(commands([comment]), 40).splitlines()
    assert all(shown.startswith("  # ") for shown in lines)
    assert lines[-1] == "  # https://github.com/ggml-org/llama.cpp/releases"


COLUMNS = (
    Column(),
    Column(title="model"),
    Column(title="memory", drop=2),
    Column(title="why", drop=9),
)
ROW = ("✓", "qwen3-coder-30b-a3b-instruct", "17.9 GiB", "made for code, and often used")


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        pytest.param(80, ["model", "memory", "why"], id="all"),
        pytest.param(60, ["model", "memory"], id="no-reasons"),
        pytest.param(36, ["model"], id="names-alone"),
    ],
)
def test_columns_go_by_their_order(width: int, titles: list[str]) -> None:
    """Figures are whole or not there: none is cut."""
    shown = drawn([Table(columns=COLUMNS, rows=(ROW,))], width)
    assert shown.splitlines()[0].split() == titles
    assert "…" not in shown


def test_a_wide_column_takes_no_narrow_one_with_it() -> None:
    """The paces of `list --all` had no room at 50 columns, and the memory was left out for them."""
    columns = (
        Column(title="model"),
        Column(title="memory", drop=2),
        Column(title="tokens/s", drop=1),
    )
    row = ("qwen3-coder-30b", "17.9 GiB", "~12 minutes an hour of audio")
    shown = drawn([Table(columns=columns, rows=(row,), indent=0)], 36)
    assert shown.splitlines()[0].split() == ["model", "memory"]


@pytest.mark.parametrize(
    ("width", "told"),
    [
        pytest.param(60, True, id="narrow"),
        pytest.param(120, False, id="wide"),
    ],
)
def test_columns_left_out_are_named(width: int, told: bool) -> None:
    """`list --wide` showed the columns of `list` at 80 columns and said nothing.

    74 is the sum of the widest cells, two between them and the indent.
    """
    table = Table(columns=COLUMNS, rows=(ROW,), tells_left_out=True)
    shown = drawn([table], width)
    assert ("With 74 columns the terminal also shows: why" in shown) is told
    assert "why" in drawn([table], 74).splitlines()[0]


def test_a_column_without_a_title_is_not_named_among_those_left_out() -> None:
    """`list --wide` at 60 columns told that `license, , parameters` were left out."""
    columns = (
        Column(title="model"),
        Column(drop=1),
        Column(title="why", drop=2),
    )
    row = ("qwen3-coder-30b", "replaced" * 4, "superseded" * 4)
    table = Table(columns=columns, rows=(row,), tells_left_out=True)
    assert drawn([table], 36).splitlines()[-1].endswith(" also shows: why")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(
            "it is below (--min-speed)", ["it is below", "(--min-speed)"], id="option"
        ),
        pytest.param(
            "licensed as Apache-2.0", ["licensed as", "Apache-2.0"], id="version"
        ),
        pytest.param("a pace from 10.0-12.8", ["a pace from", "10.0-12.8"], id="range"),
        pytest.param(
            "qwen3-coder-reap-instruct", ["qwen3-coder-reap-", "instruct"], id="name"
        ),
    ],
)
def test_a_cell_breaks_behind_the_hyphens_of_names_alone(
    text: str, lines: list[str]
) -> None:
    """At 60 columns `check` broke `(--min-` / `speed)`."""
    table = Table(columns=(Column(wrap=True),), rows=((text,),), indent=0)
    assert drawn([table], 20).splitlines() == lines


def test_a_sign_stands_before_what_explains_it() -> None:
    """At 60 columns the foot of `list` ended a line with `*:`."""
    shown = drawn([line("columns: --wide · *: the published weights")], 24)
    assert "*: the" in shown


def test_models_side_by_side_stand_one_below_the_other() -> None:
    """At 40 columns three of them broke `paramete / rs`."""
    columns = (
        Column(),
        *(Column(title=name, wrap=True) for name in ("qwen3-8b", "gpt-oss-20b")),
    )
    rows = (
        ("context up to", "40,960", "131,072"),
        ("price per 1M", "0.035/0.138", "0.0145/0.07"),
    )
    table = Table(columns=columns, rows=rows, indent=0, splits=True)
    assert drawn([table], 60).splitlines() == [
        "               qwen3-8b     gpt-oss-20b",
        "context up to  40,960       131,072",
        "price per 1M   0.035/0.138  0.0145/0.07",
    ]
    assert drawn([table], 30).splitlines() == [
        "               qwen3-8b",
        "context up to  40,960",
        "price per 1M   0.035/0.138",
        "",
        "               gpt-oss-20b",
        "context up to  131,072",
        "price per 1M   0.0145/0.07",
    ]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        pytest.param(
            41,
            [
                "  memory   4.73 of",
                "           22.8 GiB",
                "  speed    ~4.3 tokens/s  1.6-6.7",
                "  license  Apache-2.0     (20,000 tokens)",
            ],
            id="two cells between columns",
        ),
        pytest.param(
            40,
            [
                "  memory  4.73 of",
                "          22.8 GiB",
                "  speed   ~4.3 tokens/s  1.6-6.7",
                "  license Apache-2.0     (20,000 tokens)",
            ],
            id="one cell between columns",
        ),
    ],
)
def test_a_figure_keeps_its_unit(width: int, lines: list[str]) -> None:
    """At 40 columns `~4.3 tokens/ / s` stood on two lines."""
    rows = (
        ("memory", "4.73 of 22.8 GiB", ""),
        ("speed", "~4.3 tokens/s", "1.6-6.7"),
        ("license", "Apache-2.0", "(20,000 tokens)"),
    )
    table = Table(columns=(Column(), Column(), Column(wrap=True)), rows=rows)
    assert [shown.rstrip() for shown in drawn([table], width).splitlines()] == lines


def test_a_bar_shows_a_part_and_an_excess() -> None:
    """A half is 10 of 20 cells; what is missing has a sign; below 60 columns there is no bar."""
    cells = (Span("little left", "warn", 0.5), Span("12 GiB short", "fail", 2))
    table = Table(
        columns=(Column(wrap=True),), rows=tuple((cell,) for cell in cells), indent=0
    )
    assert drawn([table], 80).splitlines() == [
        f"{'━' * 10}{'─' * 10}  little left",
        f"{'━' * 10}{'╍' * 10}  12 GiB short",
    ]
    assert "━" not in drawn([table], 59)


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environment: Mapping[str, str],
    *,
    tty: bool,
) -> str:
    """What the command writes in that environment, to a terminal or into a pipe."""
    stream = Terminal() if tty else io.StringIO()
    for name in ("COLORTERM", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "COLUMNS": "70", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", stream)
    assert main(words) == 0
    return stream.getvalue()


CHECK = ["check", "mistral-7b", "--machine", "macbook-air-m2-16gb"]


@pytest.mark.parametrize(
    ("environment", "option", "tty", "has_codes", "has_colours"),
    [
        pytest.param({}, [], True, True, True, id="terminal"),
        pytest.param(
            {"NO_COLOR": "1"}, [], True, True, False, id="NO_COLOR-leaves-bold"
        ),
        pytest.param({}, ["--no-color"], True, True, False, id="no-color-leaves-bold"),
        pytest.param({"TERM": "dumb"}, [], True, False, False, id="dumb-terminal"),
        pytest.param({}, [], False, False, False, id="pipe"),
        pytest.param(
            {"FORCE_COLOR": "1"}, [], False, True, True, id="FORCE_COLOR-in-a-pipe"
        ),
        pytest.param({"FORCE_COLOR": "0"}, [], False, False, False, id="FORCE_COLOR-0"),
        pytest.param(
            {"FORCE_COLOR": "1", "NO_COLOR": "1"},
            [],
            False,
            False,
            False,
            id="both-in-a-pipe",
        ),
        pytest.param(
            {"FORCE_COLOR": "1"},
            ["--no-color"],
            False,
            False,
            False,
            id="option-in-a-pipe",
        ),
    ],
)
def test_colours_are_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[str, str],
    option: list[str],
    tty: bool,
    has_codes: bool,
    has_colours: bool,
) -> None:
    """By the rules of rich, which are those of no-color.org and force-color.org."""
    shown = printed(monkeypatch, [*CHECK, *option], environment, tty=tty)
    assert (CODES.search(shown) is not None) is has_codes
    assert (COLOURS.search(shown) is not None) is has_colours


@pytest.mark.parametrize(
    ("environment", "tty", "is_wrapped"),
    [
        pytest.param({"COLUMNS": "40"}, True, True, id="terminal"),
        pytest.param({"COLUMNS": "40"}, False, False, id="pipe"),
        pytest.param(
            {"COLUMNS": "40", "FORCE_COLOR": "1"}, False, True, id="colours-and-a-width"
        ),
        pytest.param(
            {"COLUMNS": "", "FORCE_COLOR": "1"}, False, False, id="colours-alone"
        ),
    ],
)
def test_only_a_terminal_has_a_width(
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[str, str],
    tty: bool,
    is_wrapped: bool,
) -> None:
    """What reads a pipe looks for whole lines; a CI job that forces colours may state its width."""
    shown = CODES.sub("", printed(monkeypatch, CHECK, environment, tty=tty))
    lines = [
        text
        for text in shown.splitlines()
        if text.startswith("There is also room for one of")
    ]
    assert len(lines) == 1
    assert lines[0].endswith(".") is not is_wrapped


def test_the_screen_holds_what_the_pipe_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word, bars and the ends of lines aside."""
    screen = printed(monkeypatch, CHECK, {"COLUMNS": "60"}, tty=True)
    pipe = printed(monkeypatch, CHECK, {}, tty=False)
    drawn_on = re.sub("[━─╍]+| \\\\$", "", CODES.sub("", screen), flags=re.MULTILINE)
    words = drawn_on.replace("# ", "").split()
    assert words == pipe.replace("# ", "").split()


def test_a_terminal_that_cannot_spell_gets_ascii(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a pipe: no traceback of an encoding."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    assert main(CHECK) == 0
    assert raw.getvalue().startswith(b"+ RUNS  Mistral 7B Instruct v0.3")
