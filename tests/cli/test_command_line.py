"""Whatever is typed, and however the process is ended: an answer or a clear refusal, never a
traceback and never exit 70.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from inspect import get_annotations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.paths import CONFIGS, EXAMPLES, RECORDS
from helpers.written import validate
from selfhost.cli import COMMANDS
from selfhost.cli import main as cli
from selfhost.cli.options import Option, options_of
from selfhost.cli.parser import Options
from selfhost.core.errors import UsageError
from selfhost.core.purposes import WORKLOAD_PURPOSES

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
WORDS_OF = {**NEEDED, "size": ["gpt2"], "verify": ["x.log"], "completion": ["bash"]}


# every option that takes a value; an alias is read as the long name is
VALUED = [
    pytest.param(command, option, id=f"{command} {option.flag}")
    for command in COMMANDS
    for option in options_of(command)
    if option.metavar is not None
]


def options_class(command: str) -> type[Options]:
    """The class that `selfhost COMMAND` reads its options into."""
    module = importlib.import_module(f"selfhost.cli.{command}")
    kind: type[Options] = getattr(module, f"{command.capitalize()}Options")
    return kind


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_is_an_attribute_that_its_command_declares(command: str) -> None:
    """An option that only `options.toml` knows would be taken and change nothing."""
    declared = {"output"}
    for base in options_class(command).__mro__:
        declared |= get_annotations(base).keys()
    for option in options_of(command):
        # those of a Workload are read by `workload_of`, whichever they are
        if not option.is_of_workload:
            assert option.destination in declared


@pytest.mark.parametrize("command", COMMANDS)
def test_each_declared_attribute_is_there(command: str) -> None:
    """`browse` reads the options of `list`: one that it does not take needs a value in its class,
    or the code that both share ends in an AttributeError.
    """
    kind = options_class(command)
    options = kind.read(command, WORDS_OF.get(command, []))
    lacking = set[str]()
    for base in kind.__mro__:
        if base is Options:
            break
        for name in get_annotations(base):
            if not hasattr(options, name):
                lacking.add(name)
    assert not lacking


@pytest.mark.parametrize(("command", "option"), VALUED)
def test_an_option_without_a_value_is_never_a_value(
    command: str, option: Option, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--today=` is not today, and `--output=--` neither an empty list (Python 3.11) nor a file
    called -- (3.13): exit 2 says so.
    """
    flag = option.flag
    needed = NEEDED.get(command, [])
    for words in (
        [f"{flag}="],
        [f"{flag}=--"],
        [f"{flag}= "],
        [flag, ""],
        [flag, "\t"],
    ):
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


@pytest.mark.parametrize(("command", "option"), VALUED)
@pytest.mark.parametrize("follows", [[], ["--no-color"], ["--", "gpt2"]], ids=repr)
def test_an_option_without_a_value_swallows_nothing(
    command: str, option: Option, follows: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the end, nor another option, nor what stands behind `--`."""
    if option.is_list:
        pytest.skip("may have no value")
    code, out, err = run(
        capsys, command, *NEEDED.get(command, []), option.flag, *follows
    )
    assert (code, out) == (2, "")
    assert option.flag in err
    # argparse said `argument --quant: expected one argument`, which reads as a second option
    assert "expected a value" in err
    assert "argument" not in err


# two values of each option of which several count together
ADDING_UP = {
    "--gpu": ("RTX 4090", "RTX 3090"),
    "--set": ("cores=8", "memory=16GiB"),
    "--specs": ("a", "b"),
    "--runtime-option": ("b=1", "ub=1"),
    "--label": ("a=1", "b=2"),
    "--allow": ("a", "b"),
    "--machines": ("a.json", "b.json"),
    "--format": ("csv=a.csv", "json=b.json"),
}


@pytest.mark.parametrize(("command", "option"), VALUED)
def test_a_repeated_option_drops_nothing_silently(
    command: str, option: Option, capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse keeps the last of two values: a CI job that names two fleets or baselines would
    judge one and pass.
    """
    flag = option.flag
    if option.is_repeatable:
        first, second = ADDING_UP[flag]
        needed = NEEDED.get(command, ["x"] if command in ("size", "verify") else [])
        options = Options.read(command, [*needed, flag, first, flag, second])
        assert getattr(options, option.destination) == [first, second]
        return
    if option.joiner:
        # several machines that serve one model together
        needed = NEEDED.get(command, ["x"] if command in ("size", "verify") else [])
        options = Options.read(command, [*needed, flag, "a", flag, "b"])
        joined = getattr(options, option.destination)
        assert joined.split(option.joiner) == ["a", "b"]
        return
    for words in (
        [flag, "1", flag, "2"],
        [f"{flag}=1", flag, "2"],
        [f"{flag}=1", f"{flag}=2"],
    ):
        code, out, err = run(capsys, command, *NEEDED.get(command, []), *words)
        assert (code, out) == (2, ""), words
        assert f"{flag} is given twice" in err or "'1'" in err


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("check gpt2 --users 2 --parallel 3", id="under two names"),
        pytest.param("check gpt2 --format text --json", id="short form behind"),
        pytest.param("check gpt2 --json --format text", id="short form before"),
        pytest.param("audit --validate a.toml --validate b.toml", id="lists"),
    ],
)
def test_two_names_of_one_option_contradict_each_other(line: str) -> None:
    command, *words = line.split()
    with pytest.raises(UsageError, match="is given twice"):
        Options.read(command, words)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        pytest.param("compare a b c", ["a", "b", "c"], id="together"),
        pytest.param(
            "compare a --context 2k b --json c", ["a", "b", "c"], id="between options"
        ),
        pytest.param("compare --context 2k a -v b", ["a", "b"], id="behind options"),
        pytest.param("compare --json -- a b", ["a", "b"], id="behind dashes"),
        pytest.param(
            "compare a -- --json --", ["a", "--json", "--"], id="that look like options"
        ),
        pytest.param("compare a -", ["a", "-"], id="a dash alone"),
    ],
)
def test_words_may_stand_anywhere(line: str, names: list[str]) -> None:
    """argparse alone gives the first words to a positional and calls those behind an option
    unknown; Python 3.14 takes the value of an unknown option for a word.
    """
    command, *words = line.split()
    options = Options.read(command, words)
    assert [options.model, *options.others] == names


@pytest.mark.parametrize(
    ("line", "message", "remedy"),
    [
        pytest.param(
            "check", "name a model, or several", "selfhost check mistral-7b", id="none"
        ),
        pytest.param(
            "compare a", "name two models or more", "compare gpt-oss", id="one of two"
        ),
        pytest.param(
            "spec check", "name a file", "spec check my-model.toml", id="no file"
        ),
        pytest.param(
            "verify a b", "unexpected b", "selfhost verify --help", id="too many"
        ),
        pytest.param(
            "audit a b c", "unexpected b c", "selfhost audit --help", id="many too many"
        ),
        pytest.param(
            "completion fsh", "'fsh' is not one of bash", "mean fish?", id="a choice"
        ),
        pytest.param(
            "check a --wide", "unknown option --wide", "check --help", id="of another"
        ),
        pytest.param("list --jso", "unknown option --jso", "mean --json?", id="a slip"),
        pytest.param(
            "check a --usres 5",
            "unknown option --usres",
            "mean --users?",
            id="a slip in a second name",
        ),
        pytest.param(
            "check a --purpose agent",
            "unknown option --purpose",
            "mean --for?",
            id="the word of Python",
        ),
        pytest.param(
            "check a --min-tokens-per-second 5",
            "unknown option --min-tokens-per-second",
            "mean --min-speed?",
            id="the word of a policy",
        ),
        pytest.param(
            "list --ctx=5", "unknown option --ctx", "mean --context?", id="a synonym"
        ),
        pytest.param(
            "list --ctx 5 -n 3", "options --ctx -n", "--context --top?", id="synonyms"
        ),
        pytest.param(
            "check a -ctk q8_0", "option -ctk", "mean --kv-cache?", id="a stated cache"
        ),
        pytest.param(
            "check a -ngl 99",
            "unknown option -ngl",
            "llama.cpp: --runtime-option ngl=VALUE",
            id="an option of a program",
        ),
        pytest.param(
            "check a --tensor-split 3,1",
            "unknown option --tensor-split",
            "llama.cpp: --runtime-option ts=VALUE",
            id="its long name",
        ),
        pytest.param(
            "check a --enforce-eager",
            "unknown option --enforce-eager",
            "vLLM: --runtime-option enforce-eager=yes",
            id="a switch of a program",
        ),
        pytest.param(
            "check a --flash-attn",
            "unknown option --flash-attn",
            "for llama.cpp: --runtime-option fa=VALUE",
            id="a long name of a program's option",
        ),
        pytest.param("check a -vx", "x", "selfhost check --help", id="joined letters"),
        pytest.param(
            "check a --private=1", "takes no value", "--private alone", id="a switch"
        ),
        pytest.param(
            "check a --json=1", "takes no value", "--json alone", id="a short form"
        ),
        pytest.param(
            "size a --format k8s", "'k8s' is not one", "kubernetes?", id="a value"
        ),
        pytest.param(
            "check a --for coding", "'coding' is not", "mean --for agent?", id="purpose"
        ),
        pytest.param("list --use image", "'image'", "image-generation?", id="a part"),
        pytest.param(
            "list --use images", "'images'", "--modality image?", id="a plural"
        ),
        pytest.param(
            "list --modality code", "'code'", "mean --use code?", id="another option's"
        ),
        pytest.param(
            "list --top 0", "--top: must be at least 1, not 0", "list --help", id="low"
        ),
        pytest.param(
            "audit --today 2026-2-3",
            "not a date: write YYYY-MM-DD",
            "--help",
            id="a day",
        ),
    ],
)
def test_a_slip_is_told_with_what_to_type(line: str, message: str, remedy: str) -> None:
    command, *words = line.split()
    with pytest.raises(UsageError) as raised:
        Options.read(command, words)
    assert message in raised.value.message
    assert remedy in (raised.value.remedy or "")


@pytest.mark.parametrize(
    "line", ["check -h", "check --help --nonsense", "check gpt2 --context none --help"]
)
def test_help_is_given_before_a_slip_is_told(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *line.split())
    assert (code, err) == (0, "")
    assert out.startswith("usage: selfhost check [OPTIONS] MODEL…")


@pytest.mark.parametrize(
    ("line", "form"),
    [
        pytest.param("check a", "text", id="none"),
        pytest.param("check a --json", "json", id="short"),
        pytest.param("check a --json --format json", "json", id="twice the same"),
        pytest.param("check a --output {}/x.html", "html", id="by ending"),
        pytest.param("check a --output {}/x.txt", "text", id="no ending of a format"),
        pytest.param(
            "check a --output {}/x.html --format text",
            "text",
            id="stated before ending",
        ),
        pytest.param("check a --output -", "text", id="standard output"),
        pytest.param("audit", [], id="audit"),
        pytest.param(
            "audit --json --format junit=a.xml", ["json", "junit=a.xml"], id="several"
        ),
    ],
)
def test_the_format_is_the_stated_one_else_that_of_the_file(
    line: str, form: str | list[str], tmp_path: Path
) -> None:
    command, *words = line.format(tmp_path).split()
    assert Options.read(command, words).format == form


@pytest.mark.parametrize(
    ("stated", "beginning"),
    [
        pytest.param((), "## ", id="by ending"),
        pytest.param(("--json",), "{", id="stated before ending"),
    ],
)
def test_an_audit_writes_the_format_stated_else_that_of_the_file(
    stated: Sequence[str],
    beginning: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = tmp_path / "report.md"
    words = ["audit", str(EXAMPLES / "audit.toml"), "--machines", str(RECORD)]
    run(capsys, *words, "--output", str(report), *stated)
    assert report.read_text(encoding="utf-8").startswith(beginning)


WORDS = (
    "", " ", "-", "--", "---", "-x", "=", "--=", "-v", "--help", "gpt2", "gpt-4o", "mistral-7b",
    "no such", "a.json", "p.toml", "dir", ".", "..", "\x1b[31mred\x07", "\u202e\u2066",
    "\udcff\udcfe", "a\0b", "\ud800", "x" * 5000, "8k", "-1", "16GiB", "1e400", "%s%n{}", "~", "*",
    "$HOME", "memory=8GiB", "gpu=\x1b[0m", "k=v", "json", "junit=r.xml", "text=r.txt",
    "2026-01-01", "/dev/full", "out.txt", "r.xml", "new", "check",
)  # fmt: skip
DECLARED = {
    name for word in COMMANDS for option in options_of(word) for name in option.names
}
FLAGS = sorted(DECLARED | {"-h", "--help", "--json"})
# a second each: it is tried elsewhere
SLOW = {"--measure"}


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    commands = [
        "check",
        "show",
        "machine",
        "audit",
        "spec",
        "compare",
        "completion",
        "plan",
    ]
    word = st.sampled_from(WORDS) | st.text(max_size=8)
    flag = st.sampled_from([flag for flag in FLAGS if flag not in SLOW])
    rest = draw(st.lists(word | flag | st.tuples(flag, word).map("=".join), max_size=6))
    kept = (word for word in rest if word.partition("=")[0] not in SLOW)
    return [draw(st.sampled_from(commands)), *kept]


@given(line=lines())
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_line_is_answered_or_refused(
    line: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback, no bug, nothing that could steer a terminal. A refusal leaves standard output
    empty but for the other names of the line, which are judged (contract.md, "Several at once").
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_bytes(RECORD.read_bytes())
    (tmp_path / "p.toml").write_text('schema = 1\n[[model]]\nname = "gpt2"\n')
    (tmp_path / "dir").mkdir(exist_ok=True)
    code, out, err = run(capsys, *line)
    assert code in (0, 1, 2, 3), (line, err)
    assert "Traceback" not in err
    assert all(
        character == "\n" or character.isprintable() for character in out + err
    ), line
    if code == 2:
        assert err
        names = [word for word in line[1:] if not word.startswith("-")]
        assert not out or any(run(capsys, line[0], name)[0] != 2 for name in names), (
            line
        )


START = "import sys\nfrom selfhost.__main__ import start\n"


@pytest.mark.parametrize("words", [["audit", "p.toml"], ["check", "gpt2", "--json"]])
def test_a_traceback_is_there_for_whoever_asks(
    words: Sequence[str], source_environment: dict[str, str]
) -> None:
    """A bug is exit 70 with and without SELFHOST_DEBUG, which its message recommends and which
    shows the lines that led to it.
    """
    broken = (
        "import selfhost.cli.audit as audit, selfhost.cli.check as check\n"
        "def run(words): raise IndexError('out of range')\n"
        f"audit.run = check.run = run\nsys.argv[1:] = {words!r}\nstart()\n"
    )

    def ended(**debug: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", START + broken],
            capture_output=True, text=True, env=source_environment | debug, check=False, timeout=60,
        )  # fmt: skip

    plain = ended()
    traced = ended(SELFHOST_DEBUG="1")
    assert (plain.returncode, traced.returncode) == (70, 70)
    assert "SELFHOST_DEBUG=1" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert traced.stderr.startswith("Traceback")
    assert traced.stderr.endswith("IndexError: out of range\n")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        # Python's own words where a function in C gets no memory and does not say so
        SystemError("error return without exception set"),
    ],
    ids=repr,
)
def test_too_little_memory_is_no_bug(
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No answer was given: exit 2, in the form that was asked for."""

    def scarce(_: list[str]) -> int:
        raise error

    monkeypatch.setattr("selfhost.cli.check.run", scarce)
    code, out, err = run(capsys, "check", "gpt2")
    assert (code, out) == (2, "")
    assert err.startswith("error: not enough memory to answer")
    problem = json.loads(run(capsys, "check", "gpt2", "--json")[2])
    validate(problem, "error-1")
    assert problem["exit_code"] == 2


@pytest.mark.parametrize(
    "error",
    ["MemoryError()", "SystemError('error return without exception set')"],
)
def test_too_little_memory_to_load_or_to_complain_has_its_remedy(
    error: str, source_environment: dict[str, str]
) -> None:
    """The remedy was left out where memory ended outside the command itself."""
    scarce = (
        "import selfhost.cli.main as cli\n"
        f"def main(): raise {error}\n"
        "cli.main = main\nstart()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", START + scarce],
        capture_output=True, text=True, env=source_environment, check=False, timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "error: not enough memory to answer",
        "  close other programs, or raise the limit on this process (ulimit -v)",
    ]


# commands that print an answer, a table, a report, a file, a script and a page of help
INFORMED = (
    "check gpt2",
    "machine --profiles",
    "audit p.toml",
    "spec new s.json",
    "completion bash",
    "--help",
)


# each kind of text meets a closed one; the other combinations are the same code for all
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
    """Closed or full, in any combination: exit 2 where the answer went nowhere, else as ever; no
    traceback, nothing called a bug.
    """
    if ">/dev/full" in streams and not os.path.exists("/dev/full"):
        pytest.skip("there is no such device")
    (tmp_path / "p.toml").write_text('schema = 1\n[[model]]\nname = "gpt2"\n')
    (tmp_path / "s.toml").write_bytes(
        (EXAMPLES / "specs" / "my-model.toml").read_bytes()
    )
    (tmp_path / "s.json").write_bytes(next(CONFIGS.glob("*.json")).read_bytes())
    has_machine = words.split()[0] in ("check", "show") and "help" not in words
    machine = f"--machine {RECORD}" if has_machine else ""
    fleet = f"--machines {RECORD}" if words.startswith("audit p") else ""
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m selfhost {words} {machine} {fleet} {streams}', sys.executable],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=source_environment,
        check=False, cwd=tmp_path,
    )  # fmt: skip
    lost = re.search(r"(?<!2)>", streams) is not None
    assert done.returncode in ((2,) if lost else (0, 1, 3)), done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "bug" not in done.stderr


def test_the_json_of_sizes_has_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """One object for any number of models, with their sum; a wrong name leaves the others."""
    code, out, err = run(
        capsys, "size", "mistral-7b", "gemma-3-4b-it", "no-such-model", "--json"
    )
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


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param("macbook air m2 16gb", id="a disk of unknown size"),
        pytest.param("m6a.xlarge", id="no known disk"),
        pytest.param("RTX 4090, 32 GB of RAM", id="a GPU"),
    ],
)
def test_a_container_is_sized_for_the_machine_that_is_named(
    capsys: pytest.CaptureFixture[str], machine: str
) -> None:
    """Only `size` of the commands had no --machine: Python and agents could name one."""
    named = ("llama-3.1-8b", "--machine", machine, "--json")
    code, out, _ = run(capsys, "size", *named)
    assert code == 0
    (container,) = json.loads(out)["containers"]
    _, out, _ = run(capsys, "check", *named)
    workload = json.loads(out)["workload"]
    assert container["workload"]["quantization"] == workload["quantization"]


def test_a_container_that_the_named_machine_cannot_hold_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ("--machine", "laptop with 8gb")
    code, out, err = run(capsys, "size", "gpt-oss-20b", *small)
    assert (code, out) == (2, "")
    assert "gpt-oss 20B does not fit on a node of 8.00 GiB" in err


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("check", "gpt2"), id="check"),
        pytest.param(("check", "gpt2", "--json"), id="check in JSON"),
        pytest.param(("list", "gpt2"), id="list"),
        pytest.param(("compare", "gpt2", "opt-1.3b"), id="compare"),
        pytest.param(("show", "gpt2"), id="show"),
        pytest.param(("machine",), id="machine"),
    ],
)
def test_keys_of_a_record_that_are_not_read_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """In the report or beside it, once."""
    path = tmp_path / "m.json"
    record = json.loads(RECORD.read_text())
    record["memory_totl_bytes"] = 5
    record["disks"][0]["free_byte"] = 5
    path.write_text(json.dumps(record))
    code, out, err = run(capsys, *words, "--machine", str(path))
    assert code == 0
    told = f"memory_totl_bytes ({path}; did you mean memory_total_bytes?)"
    assert (out + err).count(told) == 1
    told = f"disks[].free_byte ({path}; did you mean free_bytes?)"
    assert (out + err).count(told) == 1
    _, out, err = run(capsys, *words, "--machine", str(RECORD))
    assert "does not read" not in out + err


def test_keys_of_the_records_of_a_folder_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        record = {**json.loads(RECORD.read_text()), "name": name, "ram": 5}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    code, out, err = run(capsys, "check", "gpt2", "--machine", str(tmp_path))
    assert code == 0
    assert (out + err).count(f"ram ({tmp_path}/a.json)") == 1


@pytest.mark.parametrize("purpose", WORKLOAD_PURPOSES)
@pytest.mark.parametrize("command", ["check", "plan", "compare", "show", "size"])
def test_a_purpose_needs_a_model_that_writes_text(
    capsys: pytest.CaptureFixture[str], command: str, purpose: str
) -> None:
    names = ["gpt2", "bge-m3"] if command == "compare" else ["bge-m3"]
    code, out, err = run(capsys, command, *names, "--for", purpose)
    assert (code, out) == (2, "")
    assert f"it is of no use for {purpose}" in err


@pytest.mark.parametrize("purpose", WORKLOAD_PURPOSES)
def test_a_list_for_a_purpose_has_no_model_without_text(
    capsys: pytest.CaptureFixture[str], purpose: str
) -> None:
    words = ("list", "whisper", "--machine", str(RECORD), "--for", purpose)
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert out.startswith("No model matches.")


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("whisper-large-v3", id="speech"),
        pytest.param("flux.1-dev", id="image"),
    ],
)
def test_no_container_names_no_program_that_refuses_the_model(
    capsys: pytest.CaptureFixture[str],
    model: str,
) -> None:
    """`--format docker` advised --runtime vllm, which then refused to serve speech models."""
    code, _, error = run(capsys, "size", model, "--format", "docker")
    assert code == 2
    assert "publishes no container image" in error
    assert "--runtime" not in error
    assert f"selfhost size {model}" in error


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        pytest.param("ctk=q8_0", "use --kv-cache in its place", id="cache"),
        pytest.param("np=4", "use --parallel in its place", id="users"),
        pytest.param("ctx-size=8192", "use --context in its place", id="context"),
        pytest.param("flash-attn=off", "did you mean fa?", id="long name"),
        pytest.param("prio=2", "leave it out", id="none"),
    ],
)
def test_a_program_option_that_selfhost_has_is_named(
    capsys: pytest.CaptureFixture[str],
    typed: str,
    remedy: str,
) -> None:
    """`--runtime-option ctk=q8_0` was told to leave it out, though --kv-cache states the same."""
    code, _, error = run(capsys, "check", "mistral-7b", "--runtime-option", typed)
    assert code == 2
    assert remedy in error


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        pytest.param("gema 3 --context 8k", "check gemma-3 --context 8k", id="family"),
        pytest.param("mistrl 7b", "check mistral:7b", id="nearer than a command"),
        pytest.param("plam gpt2", "plan gpt2", id="a command before a model"),
        pytest.param("lits qwen", "list qwen", id="a command before a word"),
        pytest.param("chek", "check", id="a command alone"),
    ],
)
def test_a_slip_in_the_first_word_is_told_the_line_that_was_meant(
    capsys: pytest.CaptureFixture[str], typed: str, line: str
) -> None:
    """The line repeated the slip in a model, or was `selfhost list 7b`."""
    assert cli.main(typed.split()) == 2
    told = capsys.readouterr().err
    assert re.search(rf"(: |`)selfhost {line}(`\?)?\n", told)
