"""The command line as people and pipelines meet it: golden outputs per exit code, errors, pipes,
terminals, interrupts.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from helpers.paths import COMMON, EXAMPLES, RECORDS
from helpers.written import Golden, validate
from selfhost import SelfhostError, __version__
from selfhost.__main__ import start
from selfhost.cli import COMMANDS, interrupts
from selfhost.cli import list as listing
from selfhost.cli import main as cli

RECORD = RECORDS / "vm-24gib.json"
SMALL = RECORDS / "container-2gib.json"
WITH_MODELS = ("--machine", str(RECORDS / "vm-24gib-models.json"))
ON_RECORD = ("--machine", str(RECORD))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


def on(record: str, words: str) -> tuple[str, ...]:
    return (*words.split(), "--machine", str(RECORDS / f"{record}.json"))


LOAD = "--watts 90 --electricity 0.3"
# the README's table of exit codes is about these
SITUATIONS = [
    pytest.param("check mistral-7b", "vm-24gib", 0, id="check-local"),
    pytest.param("check gpt-4o", "vm-24gib", 1, id="check-closed"),
    pytest.param("check deepseek-v3", "vm-24gib", 1, id="check-too-large"),
    pytest.param("check gpt2 opt-1.3b", "vm-24gib", 0, id="check-several"),
    pytest.param("check whisper-small", "vm-24gib", 0, id="check-speech"),
    pytest.param("check mistral-7b", "memory-only", 3, id="check-unread"),
    pytest.param("check mistral-7b -v", "vm-24gib", 0, id="check-verbose"),
    pytest.param(
        f"check mistral-7b --tokens-per-day 500k:250k {LOAD}",
        "vm-24gib",
        0,
        id="check-load",
    ),
    pytest.param("check mistral-7b", "vm-24gib-models", 0, id="check-here"),
    pytest.param("show gpt-oss-20b", "vm-24gib", 0, id="show-open"),
    pytest.param("show gpt-3.5-turbo", "vm-24gib", 0, id="show-closed"),
    pytest.param("compare gpt-oss-20b mistral-7b gpt-4o", "vm-24gib", 0, id="compare"),
]


@pytest.mark.parametrize(("line", "record", "expected"), SITUATIONS)
def test_golden(
    line: str,
    record: str,
    expected: int,
    request: pytest.FixtureRequest,
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole text of one situation, piped, read by eye when it changes; nothing on standard
    error. JSON has the same exit code.
    """
    words = on(record, line)
    code, out, err = run(capsys, *words)
    assert (code, err) == (expected, "")
    golden(f"{request.node.callspec.id}.txt", out)
    assert "\x1b" not in out
    if words[0] == "check" and "-v" not in words:
        code, out, _ = run(capsys, *words, "--json")
        assert (code, json.loads(out)["exit_code"]) == (expected, expected)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("list", "--top", "2"), id="list"),
        pytest.param(("check", "gpt2", "opt-1.3b"), id="check"),
        pytest.param(("compare", "gpt2", "opt-1.3b"), id="compare"),
    ],
)
def test_the_line_to_a_range_asks_about_the_machine_of_the_table(
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the machine, the pasted line would judge the computer on which it is typed."""
    machine = ("--machine", "macbook-pro-m4-max-48gb", "--context", "512")
    _, shown, _ = run(capsys, *words, *machine)
    line = shown.rpartition("its range: selfhost ")[2].splitlines()[0]
    typed = shlex.split(line.replace("MODEL", "gpt2"))
    code, out, _ = run(capsys, *typed, "--json")
    assert code == 0
    verdict = json.loads(out)
    assert verdict["machine"]["name"] == "macbook-pro-m4-max-48gb"
    assert verdict["workload"]["context_tokens"] == 512


@pytest.mark.parametrize(
    ("line", "wrong", "remedy"),
    [
        pytest.param("check no-such", "no-such", "selfhost list", id="check no-such"),
        pytest.param("check tiktoken", "tokenizer", "gpt2", id="check tiktoken"),
        pytest.param(
            "check gpt2 --contxt 5", "--contxt", "--context", id="check gpt2 --contxt 5"
        ),
        pytest.param(
            "check gpt2 --root /",
            "--root",
            "`selfhost machine --root DIR --format json`",
            id="check gpt2 --root /",
        ),
        pytest.param(
            "check gpt2 -q", "-q", "the exit code is the answer", id="check gpt2 -q"
        ),
        pytest.param(
            "--context 8k gpt2",
            "--context",
            "put an option after its command",
            id="--context 8k gpt2",
        ),
        pytest.param(
            "run gpt2 --gpu 'RTX 4060'",
            "run",
            "`selfhost check gpt2 --gpu 'RTX 4060'`",
            id="run gpt2 --gpu 'RTX 4060'",
        ),
        pytest.param(
            "check gpt2 --vram 24",
            "--vram",
            "--set gpu=24GiB",
            id="check gpt2 --vram 24",
        ),
        pytest.param("chek gpt2", "chek", "selfhost check", id="chek gpt2"),
        pytest.param("check", "name a model", "selfhost check mistral-7b", id="check"),
        pytest.param(
            "check --machine 'macbook air m2 16gb'",
            "name a model",
            "selfhost list --machine 'macbook air m2 16gb'",
            id="check --machine without a model",
        ),
        pytest.param(
            "check gpt2 --quant Q4_K_N",
            "Q4_K_N",
            "Q4_K_",
            id="check gpt2 --quant Q4_K_N",
        ),
        pytest.param(
            "check gpt2 --quant Q9",
            '"Q9"',
            "\n  Use for example Q",
            id="check gpt2 --quant Q9",
        ),
        pytest.param(
            "check gpt2 --runtime llama.cpp --runtime-option ubb=8",
            "no-mmproj, ",
            "did you mean ub?",
            id="check gpt2 --runtime llama.cpp --runtime-option ubb=8",
        ),
        pytest.param(
            "check gpt2 --runtime ollama --runtime-option ub=8",
            'has no option "ub" here',
            "use --runtime llama.cpp",
            id="check gpt2 --runtime ollama --runtime-option ub=8",
        ),
        pytest.param(
            "check mistral-7b --runtime llama.cpp --runtime-option max-num-seqs=1",
            "max-num-seqs",
            "use --runtime vllm",
            id="check mistral-7b --runtime llama.cpp --runtime-option max-num-seqs=1",
        ),
        pytest.param(
            "check mistral-7b --runtime-option no-mmproj=no",
            "takes yes",
            "no-mmproj=yes",
            id="check mistral-7b --runtime-option no-mmproj=no",
        ),
        pytest.param(
            "check mistral-7b --runtime-option ub=0",
            "a number from 1 to",
            "",
            id="check mistral-7b --runtime-option ub=0",
        ),
        pytest.param(
            "check mistral-7b --runtime-option ub=",
            "--runtime-option ub: is empty",
            "",
            id="check mistral-7b --runtime-option ub=",
        ),
        pytest.param(
            "check mistral-7b --runtime-option n-cpu-moe=3",
            "has no experts",
            "leave it out",
            id="check mistral-7b --runtime-option n-cpu-moe=3",
        ),
        pytest.param(
            "check mistral-7b --runtime-option image-max-tokens=64",
            "takes no pictures and no sound",
            "",
            id="check mistral-7b --runtime-option image-max-tokens=64",
        ),
        pytest.param(
            "check gemma-3-4b --runtime-option image-max-tokens=64",
            "is not known: its encoder",
            "",
            id="check gemma-3-4b --runtime-option image-max-tokens=64",
        ),
        pytest.param(
            "audit --format gitlab",
            "gitlab",
            "did you mean --format junit?",
            id="audit --format gitlab",
        ),
        pytest.param(
            "list --use image",
            "image",
            "did you mean --use image-generation?",
            id="list --use image",
        ),
        pytest.param(
            "check opt-1.3b --quant Q4_K_M",
            "Q4_K_M",
            "float16",
            id="check opt-1.3b --quant Q4_K_M",
        ),
        pytest.param(
            "check gpt2 --context 0",
            "--context",
            "at least 1",
            id="check gpt2 --context 0",
        ),
        pytest.param(
            "check gpt2 --users 1.5",
            "error: --users: '1.5'",
            "write for example 1",
            id="check gpt2 --users 1.5",
        ),
        pytest.param(
            "list --max-size 8", "the unit is missing", "16GB", id="list --max-size 8"
        ),
        pytest.param(
            "list --family mistrall", "mistrall", "mistral", id="list --family mistrall"
        ),
        pytest.param(
            "check gpt2 --tokens-per-day many",
            "many",
            "2M:500k",
            id="check gpt2 --tokens-per-day many",
        ),
        pytest.param(
            "check gpt2 --tokens-per-day 2M --electricity 0.3",
            "--electricity",
            "--watts",
            id="check gpt2 --tokens-per-day 2M --electricity 0.3",
        ),
        pytest.param(
            "check gpt2 --license 'Apache 2'",
            "Apache",
            "SPDX",
            id="check gpt2 --license 'Apache 2'",
        ),
        pytest.param(
            "check gpt2 --machine no-such.json",
            "no-such.json",
            "selfhost machine",
            id="check gpt2 --machine no-such.json",
        ),
        pytest.param(
            "audit --today tomorrow",
            "'tomorrow' is not a date",
            "YYYY-MM-DD",
            id="audit --today tomorrow",
        ),
        pytest.param(
            "spec new tests/data/configs/Qwen--Qwen3-8B.json --output README.md",
            "already exists",
            "",
            id="spec new tests/data/configs/Qwen--Qwen3-8B.json --output README.md",
        ),
        pytest.param(
            "audit no-such.toml",
            "no-such.toml",
            "selfhost audit --init",
            id="audit no-such.toml",
        ),
        pytest.param(
            "check gpt2 --output no/such/x.txt",
            "no/such/x.txt",
            "folder",
            id="check gpt2 --output no/such/x.txt",
        ),
        pytest.param(
            "check mistral-7b --draft ./examples/specs/my-model.toml",
            "my-model.toml",
            "selfhost check",
            id="check mistral-7b --draft ./examples/specs/my-model.toml",
        ),
        pytest.param(
            "check '\x1b[31mred'", "", "selfhost list", id="check '\x1b[31mred'"
        ),
    ],
)
def test_bad_input(
    line: str, wrong: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, standard output empty, standard error names what is wrong and what to type
    instead.
    """
    code, out, err = run(capsys, *shlex.split(line))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert wrong in err
    assert remedy in err
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert err.endswith("\n")


def test_a_spec_is_judged_by_its_path(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The answer is that of the same file by its id with --specs; a faulty one is told with every
    fault and its line.
    """
    own = EXAMPLES / "specs"
    by_id = run(capsys, "check", "my-model", "--specs", str(own), *ON_RECORD)
    assert run(capsys, "check", str(own / "my-model.toml"), *ON_RECORD) == by_id
    assert by_id[0] == 0
    faulty = tmp_path / "faulty.toml"
    faulty.write_text(
        (own / "my-model.toml")
        .read_text()
        .replace("disk_bytes = 4_500_000_000", 'disk_bytes = "much"')
    )
    code, out, err = run(capsys, "check", str(faulty), *ON_RECORD)
    assert (code, out) == (2, "")
    assert "disk_bytes" in err
    assert "faulty.toml:" in err


def test_a_wrong_name_stands_beside_the_verdicts_in_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`errors` beside `verdicts`, with the name as typed; the error's own object on standard error;
    nothing judged, nothing printed.
    """
    code, out, err = run(
        capsys,
        "check",
        "no-such-a",
        "mistral-7b",
        "tiktoken",
        *ON_RECORD,
        "--format",
        "json",
    )
    answer = json.loads(out)
    problem = json.loads(err)
    validate(answer, "verdicts-1")
    validate(problem, "error-1")
    assert (code, answer["exit_code"], problem["exit_code"]) == (2, 2, 2)
    assert [one["asked"] for one in answer["verdicts"]] == ["mistral-7b"]
    assert [(one["asked"], one["error"]) for one in answer["errors"]] == [
        ("no-such-a", "UnknownModelError"),
        ("tiktoken", "NotAModelError"),
    ]
    out = run(capsys, "check", "gpt2", "no-such-a", "opt-1.3b", *ON_RECORD)[1]
    assert out.startswith("2 of 3 models run on vm-24gib; 1 could not be judged.\n")
    code, out, err = run(
        capsys, "check", "no-such-a", "tiktoken", *ON_RECORD, "--format", "json"
    )
    assert (code, out, json.loads(err)["exit_code"]) == (2, "", 2)


def test_the_best_models_of_a_maker_are_those_that_run_on_the_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the order of `list`, and none that the machine has no room for."""
    code, out, err = run(capsys, "check", "google deepmind", *ON_RECORD)
    assert (code, out) == (2, "")
    listed = run(
        capsys, "list", "google", *ON_RECORD, "--top", "5", "--format", "json"
    )[1]
    ids = [one["model"]["id"] for one in json.loads(listed)["models"]]
    rows = "\n".join(f"  selfhost check {id}" for id in ids)
    assert f"\n  the best for the machine:\n{rows}\n  selfhost list google\n" in err
    err = run(capsys, "check", "xai", *ON_RECORD)[2]
    # the weights of Grok-1 alone take 300 GB
    assert "none of these is known to run" in err


def test_a_recorded_machine_gets_the_verdict_it_gets_at_home(tmp_path: Path) -> None:
    """`machine --format json` then `--machine FILE` gives the verdict of the machine itself, in
    words for another computer.
    """
    from selfhost import Machine, check

    machine = Machine.read()
    file = tmp_path / "here.json"
    file.write_text(json.dumps(machine.to_json()), encoding="utf-8")
    for name in ("mistral-7b", "deepseek-v3", "gpt2"):
        there = check(name, machine=Machine.from_file(file))
        at_home = check(name, machine=machine)
        for part in ("route", "needs", "speed", "room", "api_offers", "commands"):
            assert getattr(there, part) == getattr(at_home, part)
        proposed = [
            [other.command for other in each.alternatives] for each in (there, at_home)
        ]
        assert proposed[0] == proposed[1]
        for one, other in zip(there.findings, at_home.findings, strict=True):
            assert one.in_words("", None) == other.in_words("", None)
        assert not any(
            "this machine" in f"{one.reason} {one.remedy}" for one in there.findings
        )


@pytest.mark.usefixtures("few_listed")
def test_a_broken_spec_stops_no_other_answer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One wrong file of --specs: other models are answered, and the fault is told; itself asked for
    it is no answer, checked it is 1.
    """
    bad = tmp_path / "bad.toml"
    bad.write_text('schema = 1\nid = "bad"\nnam = "X"\n')
    own = ("--specs", str(tmp_path))
    code, out, err = run(capsys, "check", "gpt2", *own, *ON_RECORD, "--format", "json")
    assert (code, err) == (0, "")
    assert [
        note
        for note in json.loads(out)["notes"]
        if str(bad) in note and "name: is missing" in note
    ]
    for words in ("check gpt2", "show gpt2", "compare gpt2 gpt-4o", "plan gpt2"):
        machine = () if words.startswith("plan") else ON_RECORD
        code, out, err = run(capsys, *words.split(), *own, *machine)
        assert (code, err) == (0, "")
        # once, however many models were asked about
        assert out.count(f"{bad} is ignored: ") == 1
    for words in ("list --family gpt2", "check gpt2 opt-1.3b", "size gpt2"):
        machine = () if words.startswith("size") else ON_RECORD
        code, out, err = run(capsys, *words.split(), *own, *machine)
        assert (code, str(bad) in out) == (0, False)
        assert f"{bad}:3: nam: is not a known key" in err
    assert run(capsys, "check", "bad", *own, *ON_RECORD)[:2] == (2, "")
    code, out, err = run(capsys, "spec", "check", str(bad), *own, "--json")
    assert (code, err) == (1, "")
    validate(json.loads(out), "spec-check-1")


def test_compare_is_informative_and_wants_two_models(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 0 whatever the routes; one model, an unknown one and several machines are bad usage."""
    assert (
        run(capsys, "compare", "gpt-4o", "deepseek-v3", "--private", *ON_RECORD)[0] == 0
    )
    assert run(capsys, "compare", "gpt2", *ON_RECORD)[:2] == (2, "")
    code, out, err = run(capsys, "compare", "gpt2", "openai-community/gpt2", *ON_RECORD)
    assert (code, out) == (2, "")
    assert "gpt2 and openai-community/gpt2 are one model, gpt2" in err
    code, out, err = run(capsys, "compare", "gpt2", "gtp2", *ON_RECORD)
    assert (code, out) == (2, "")
    assert "did you mean: gpt2" in err
    assert run(capsys, "compare", "gpt2", "opt-1.3b", "--machine", str(SMALL.parent))[
        :2
    ] == (2, "")


def test_alternatives_of_compared_models_name_the_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever runs a proposed command gets the answer for the machine that was asked about."""
    asked = ("llama-3.3-70b", "qwen3-32b", "--machine", "macbook air m2 16gb")
    code, out, _ = run(capsys, "compare", *asked, "--json")
    assert code == 0
    for row in json.loads(out)["models"]:
        alternatives = row["verdict"]["alternatives"]
        assert alternatives
        for alternative in alternatives:
            assert "--machine 'macbook air m2 16gb'" in alternative["command"]


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_names_every_option_and_the_exit_codes(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """--help answers with examples and the exit codes, exit 0; without a command it is no
    answer.
    """
    code, out, err = run(capsys, *command, "--help")
    assert (code, err) == (0, "")
    assert "examples:" in out
    assert "exit codes:" in out
    assert command or run(capsys) == (2, "", out)


def test_an_interrupt_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends it quietly."""

    def interrupted(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("selfhost.cli.check.run", interrupted)
    assert run(capsys, "check", "gpt2") == (130, "", "")
    monkeypatch.setattr(cli, "main", lambda: interrupted([]))
    with pytest.raises(SystemExit, match="130"):
        start()


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(SyntaxError("can't load unicodedata module"), id="compiling"),
        pytest.param(SelfhostError("mcp is not installed"), id="taken for a lack"),
    ],
)
def test_an_error_in_the_place_of_an_interrupt_is_130(
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """C code that is interrupted raises an error of its own, which was told as a bug (70)."""

    def interrupted(_: list[str]) -> int:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise error

    monkeypatch.setattr("selfhost.cli.check.run", interrupted)
    monkeypatch.setattr("selfhost.cli.interrupts._heard", [])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupts.remember()
        assert run(capsys, "check", "gpt2") == (130, "", "")
    finally:
        signal.signal(signal.SIGINT, before)


_INTERRUPTED_WHILE_LOADED = """\
import signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise SyntaxError("in its place") from None
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
from selfhost.__main__ import start
sys.argv[1:] = ["check", "gpt2"]
start()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows interrupts a whole console")
@pytest.mark.parametrize(
    "module",
    ["selfhost.cli.main", "selfhost.core.units", "selfhost.cli.check"],
)
def test_an_interrupt_while_modules_are_loaded_is_130(
    module: str, source_environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED_WHILE_LOADED.format(module=module)],
        env=source_environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_a_closed_pipe_changes_nothing(source_environment: dict[str, str]) -> None:
    """`selfhost machine --profiles | head -0`: nothing on standard error, and the exit code of the
    answer, for when the reader goes is chance.
    """
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "selfhost", "machine", "--profiles"]
    with open(writer, "wb") as pipe:
        done = subprocess.run(
            words,
            stdout=pipe,
            stderr=subprocess.PIPE,
            env=source_environment,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


# on a busy machine any command may take the two seconds after which it says that it is at work
START = (
    "-c",
    "from selfhost.cli import progress; progress.SECONDS_BEFORE_NOTE = 10_000.0; "
    "from selfhost.__main__ import start; start()",
)


def in_terminal(
    words: Sequence[str], columns: int, environment: Mapping[str, str]
) -> str:
    """Everything that reached a terminal of that width."""
    terminal, inside = pty.openpty()
    command = [sys.executable, *START, *words]
    more = {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen(
        command, stdout=inside, stderr=inside, env={**environment, **more}
    ):
        os.close(inside)
        seen = b""
        with contextlib.suppress(OSError):
            while part := os.read(terminal, 65536):
                seen += part
    os.close(terminal)
    return seen.decode()


@pytest.mark.parametrize(
    ("stated", "columns"),
    [
        pytest.param(60, 60, id="as the environment states"),
        # as for reports, and as Python's shutil.get_terminal_size
        pytest.param(0, 80, id="80 where nothing states a width"),
    ],
)
def test_a_terminal_gets_errors_broken_between_words(
    source_environment: dict[str, str], stated: int, columns: int
) -> None:
    """A terminal itself would break the words. This one does not know its width."""
    words = ["check", "nosuchmodel-7b", "--no-measure"]
    text = in_terminal(words, stated, source_environment)
    in_a_pipe = subprocess.run(
        [sys.executable, *START, *words],
        capture_output=True,
        text=True,
        env=source_environment,
        check=False,
    )
    assert text.split() == in_a_pipe.stderr.split()
    first, *others = text.splitlines()
    assert first.startswith('error: "nosuchmodel-7b" is')
    assert columns - 20 < max(map(len, [first, *others])) <= columns
    assert others[0].startswith("    ")


def test_a_terminal_gets_colour_and_no_line_too_wide(
    source_environment: dict[str, str],
) -> None:
    """Prose and tables keep to the width; only words that cannot be broken (commands, paths, links)
    may be longer.
    """
    columns = 60
    text = in_terminal(
        ["check", "deepseek-v3", *ON_RECORD], columns, source_environment
    )
    assert "\x1b[" in text
    for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).splitlines():
        is_command = "selfhost check" in line or re.match(r" +(-H|-d|--[a-z-]+) ", line)
        is_whole = not line.strip().count(" ") or is_command or "http" in line
        assert len(line) <= columns or is_whole


def test_two_screens_call_one_thing_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Mac's limit is that of `check` in an audit, and its memory one; a GPU's driver wants more
    than a shell's limit; layers in RAM are slower.
    """
    mac = tmp_path / "mac.json"
    card = tmp_path / "card.json"
    policy = tmp_path / "audit.toml"
    policy.write_text('schema = 1\n[[model]]\nname = "gpt-oss-20b"\n', encoding="utf-8")
    for path, name in ((mac, "macbook-air-m2-16gb"), (card, "desktop-rtx3060-12gb")):
        path.write_text(
            run(capsys, "machine", "--machine", name, "--json")[1], encoding="utf-8"
        )
    one = run(capsys, "check", "gpt-oss-20b", "--machine", str(mac))[1]
    assert one.startswith("! RUNS ONCE A LIMIT IS RAISED")
    assert (
        "(runs once a" in run(capsys, "audit", str(policy), "--machines", str(mac))[1]
    )
    two = run(capsys, "check", "gpt-oss-20b", "qwen3-14b", "--machine", str(mac))[1]
    assert "of RAM.\nThat can be too much" in two
    split = run(capsys, "check", "qwen3-32b", "--machine", str(card))[1]
    assert "There is also room for a context of" in split
    limited = card.read_text(encoding="utf-8").replace(
        'ce_bytes": null', 'ce_bytes": 6000000000'
    )
    card.write_text(limited, encoding="utf-8")
    assert (
        "`ulimit -v` limits"
        in run(capsys, "check", "mistral-7b", "--machine", str(card))[1]
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_encoding_of_the_pipe_carries_the_answer(
    encoding: str, source_environment: dict[str, str]
) -> None:
    """A Windows pipe or a C locale loses no answer to a character it cannot write."""
    done = subprocess.run(
        [sys.executable, "-m", "selfhost", "check", "mistral-7b", "-v", *ON_RECORD],
        capture_output=True,
        env={**source_environment, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    first, *rest = done.stdout.decode(encoding).splitlines()
    # the sign may change, the answer, the command and the last line of all do not
    assert re.fullmatch(r"\S RUNS  Mistral 7B Instruct v0\.3 on vm-24gib", first)
    assert any(line.startswith("  llama-server -hf ") for line in rest)
    assert "record the machine again" in rest[-1]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("ch",), "check"),
        (("check", "gpt2", "--con"), "--context"),
        (("check", "gpt2", "--kv-cache", ""), "q8_0"),
        (("check", "gpt2", "--machine", "macbook-pro-m4"), "macbook-pro-m4-max-48gb"),
        (("list", "--family", "mis"), "mistral"),
        (("check", "gpt2", "--set", "mem"), "memory="),
        (("check", "gpt2", "--quant", "q4_k"), "Q4_K_M"),
        (("check", "mistral:"), "mistral:7b"),
        (("audit", "--format", "ju"), "junit"),
        (("check", "gpt2", "--gpu", "rtx-40"), "rtx-4070-super"),
    ],
)
def test_completion(
    words: tuple[str, ...], offered: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, options, models and what an option takes are offered, names with a colon too."""
    assert offered in run(capsys, "_complete", *words)[1].splitlines()


@pytest.mark.parametrize(
    "option",
    [
        "--gpu",
        "--license",
        "--machine",
        "--runtime",
        "--quant",
        "--draft",
        "--set",
        "--format",
    ],
)
def test_what_completion_offers_is_one_word(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell puts it into the line as it is: of `rtx 4090` the second word would be a model."""
    offered = run(capsys, "_complete", "check", "gpt2", option, "")[1].splitlines()
    assert offered
    assert [name for name in offered if shlex.split(name) != [name]] == []


def test_a_gpu_that_completion_offers_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("check", "gpt2", "--gpu", "rtx-4070-super", "--json")
    assert "RTX 4070 SUPER" in run(capsys, *words)[1].upper()


def test_a_bare_model_is_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    """The short forms give what the long ones give."""
    long = run(capsys, "check", "mistral-7b", "--format", "json", *ON_RECORD)
    assert run(capsys, "--json", "mistral-7b", *ON_RECORD) == long
    # words of which one alone is no name are one name together
    words = run(capsys, "check", "gpt", "oss", "20b", "--json", *ON_RECORD)
    assert json.loads(words[1])["model"]["id"] == "gpt-oss-20b"


def test_a_computer_with_other_facts_is_not_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = run(capsys, "check", "gpt2", "--set", "memory=64GiB")
    assert "HERE" not in out
    assert "Judged for your machine with the changes that you stated" in out


def test_a_typed_format_goes_before_the_ending_of_the_file(tmp_path: Path) -> None:
    for words, is_json in (("--format text", False), ("", True)):
        cli.main(
            [
                "show",
                "gpt2",
                *ON_RECORD,
                *words.split(),
                "--output",
                str(tmp_path / "x.json"),
            ]
        )
        assert (tmp_path / "x.json").read_text().startswith("{") == is_json


def test_a_value_of_a_label_may_hold_the_sign(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = run(capsys, "machine", "--label", "url=a=b", "--json")
    assert json.loads(out)["labels"] == {"url": "a=b"}


def test_a_list_says_the_day_of_the_catalogue_and_its_age_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the catalogue is old, the age of its prices and boards is not told too."""

    def listed(days_later: int) -> str:
        today = (day + timedelta(days=days_later)).isoformat()
        monkeypatch.setattr(listing, "utc_today", lambda: today)
        return run(capsys, "list", "speech", "--top", "1", *ON_RECORD)[1]

    stated = tomllib.loads((COMMON / "format.toml").read_text(encoding="utf-8"))
    day = date.fromisoformat(stated["as_of"])
    young = listed(90)
    assert re.search(rf"\nCatalogue of {day}[.;]", young)
    assert "older than 90 days" not in young
    old = listed(91).lower()
    assert f"\nthe catalogue of {day} is older than 90 days" in old
    assert old.count("older than 90 days") == 1


def test_the_version_says_the_day_of_the_catalogue(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stated = tomllib.loads((COMMON / "format.toml").read_text(encoding="utf-8"))
    _, out, _ = run(capsys, "--version")
    assert out == f"selfhost {__version__} (catalogue of {stated['as_of']})\n"
