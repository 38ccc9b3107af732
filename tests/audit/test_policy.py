"""The policy file: what it may say, and what a person is told where it is wrong."""

from __future__ import annotations

import html
import json
import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from helpers.each import each
from helpers.paths import BAD_POLICIES, RECORDS, SCHEMAS
from selfhost.audit.entries import MAX_POLICY_BYTES, FailOn, OnUnknown, Policy, Severity
from selfhost.audit.policy import read_policy
from selfhost.audit.starter import starter_policy
from selfhost.cli import main as cli
from selfhost.core.errors import PolicyError, Problem
from selfhost.core.tomlfile import Document
from selfhost.machine.record import Machine

BAD = sorted(BAD_POLICIES.glob("*.toml"))
AUDIT_SCHEMA = json.loads((SCHEMAS / "audit-1.json").read_text(encoding="utf-8"))
SCHEMA = json.loads((SCHEMAS / "policy-1.json").read_text(encoding="utf-8"))
GIB = 2**30
CONTRACT = """\
schema = 1
fail_on = "error"                 # error | warning | never
on_unknown = "unknown"            # unknown (exit 3) | error | warning | ignore

[needs]                           # as the options: private, commercial, modify, auditable, license = "Apache-2.0 OR MIT"
private = true

[[model]]
name = "mistral-7b"               # as typed to `check`
context_tokens = 8192
quantization = "Q4_K_M"
runtime = "llama.cpp"
min_tokens_per_second = 5
machines = ["class:edge", "host:build-*"]   # default: all
severity = "error"                # error | warning
require_runtime = false           # true: the runtime must be installed already

[[together]]                      # side by side on one machine: needs added, shared files once
models = ["mistral-7b", "bge-m3"]
machines = ["class:edge"]

[[class]]
name = "edge"
match = { label = { site = "s*" }, memory_total = ">=15GiB", architecture = "x86_64" }
memory = "total"                  # total (planning) | available (now)

[[exception]]
model = "mistral-7b"
machines = ["host:edge-01?"]
rule = "memory"                   # one finding name, never a blanket
reason = "16 GiB kits arrive in Q1"
owner = "infra@example.com"
expires = 2027-03-31              # from that day on (UTC) it no longer holds
"""


def policy(text: str) -> Policy:
    return read_policy(Document.parse("audit.toml", ("schema = 1\n" + text).encode()))


def as_json(text: str) -> Any:
    """A TOML file as the JSON that schema-aware editors check: dates are strings."""
    return json.loads(
        json.dumps(
            tomllib.loads(text),
            default=lambda value: value.isoformat() if isinstance(value, date) else repr(value),
        )
    )


def faults(content: bytes) -> tuple[Problem, ...] | None:
    """None where the content is a policy."""
    try:
        read_policy(Document.parse("audit.toml", content))
    except PolicyError as error:
        return error.problems
    return None


def messages(caught: pytest.ExceptionInfo[PolicyError]) -> list[str]:
    return [problem.message for problem in caught.value.problems]


def test_the_contracts_example_is_read_whole() -> None:
    """Every key of the published schema means what its comment there says."""
    read = read_policy(Document.parse("audit.toml", CONTRACT.encode()))
    assert (
        read.fail_on,
        read.on_unknown,
        read.needs.private,
        read.needs.commercial,
        read.needs.license,
    ) == (
        FailOn.ERROR,
        OnUnknown.UNKNOWN,
        True,
        False,
        None,
    )
    model, together = read.models
    assert [member.name for member in together.members] == ["mistral-7b", "bge-m3"]
    assert [member.asked.context_tokens for member in together.members] == [8192, None]
    assert all(member.asked.private for member in together.members)
    assert (model.members, model.require_runtime) == ((), False)
    assert (
        model.name,
        model.asked.context_tokens,
        model.asked.quantization,
        model.asked.runtime,
    ) == (
        "mistral-7b",
        8192,
        "Q4_K_M",
        "llama.cpp",
    )
    assert (model.asked.min_tokens_per_second, model.severity, model.label) == (
        5,
        Severity.ERROR,
        "mistral-7b",
    )
    assert list(map(str, model.machines)) == ["class:edge", "host:build-*"]
    (edge,) = read.classes
    assert (dict(edge.labels), edge.memory_total, edge.architecture, edge.memory) == (
        {"site": "s*"},
        ((">=", 15 * GIB),),
        "x86_64",
        "total",
    )
    (exception,) = read.exceptions
    assert (exception.model, exception.rule, exception.owner, exception.expires) == (
        "mistral-7b",
        "memory",
        "infra@example.com",
        "2027-03-31",
    )


def test_what_is_left_out_is_the_strict_choice() -> None:
    """A policy that says only which model takes every machine, fails on errors, and never turns an unknown green."""
    read = policy('[[model]]\nname = "gpt2"')
    assert (read.fail_on, read.on_unknown) == (FailOn.ERROR, OnUnknown.UNKNOWN)
    assert read.models[0].severity is Severity.ERROR
    assert read.selects(read.models[0].machines, Machine()) is True
    asked = read.models[0].under(read.memory_basis(Machine()))
    assert (asked.context_tokens, asked.parallel, asked.memory_basis, asked.private) == (
        None,
        1,
        "default",
        False,
    )


@each("path", BAD, ids=lambda path: path.stem)
def test_each_bad_policy_says_exactly_what_is_wrong_and_where(path: Path) -> None:
    """All faults of a file in one run, each with its line, its key and what to write instead."""
    with pytest.raises(PolicyError) as caught:
        read_policy(Document.parse(path.name, path.read_bytes()))
    expected = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    assert [str(problem) for problem in caught.value.problems] == expected


def test_the_corpus_has_no_message_without_its_policy() -> None:
    """Every expected message belongs to a policy, so that none stops being checked unseen."""
    assert len(BAD) >= 15
    assert {path.stem for path in BAD} == {path.stem for path in BAD_POLICIES.glob("*.txt")}


# faults that only relate two places of a file, and those of TOML itself: no JSON Schema sees them
BEYOND_SCHEMA = {
    "model_twice", "class_twice", "exception_twice", "exception_unknown_model", "selector_unknown_class",
    "exception_quoted_date", "speed_nan", "class_bound_bad_unit", "exception_no_such_day", "not_toml", "needs_no_license",
    "exception_of_one_of_several", "together_twice", "together_unclear_model", "together_unknown_class",
}  # fmt: skip


@each("path", [path for path in BAD if path.stem not in BEYOND_SCHEMA], ids=lambda path: path.stem)
def test_editors_see_the_same_faults(path: Path) -> None:
    """What the JSON Schema can express it refuses, so that an editor warns before the pipeline does."""
    assert not Draft202012Validator(SCHEMA).is_valid(as_json(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [CONTRACT, starter_policy(["gpt2", "mistral-7b"]), 'schema = 1\n[[model]]\nname = "x"\n'],
)
def test_editors_accept_good_policies(text: str) -> None:
    """The JSON Schema refuses nothing that the reader takes."""
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(as_json(text))
    read_policy(Document.parse("audit.toml", text.encode()))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.toml", "does not exist"),
        ("folder", "is a folder, not a file"),
        ("dead.toml", "is a link to a file that does not exist"),
        ("empty.toml", "is empty"),
        ("blank.toml", "is empty"),
        ("binary.toml", "not a text file"),
        ("latin.toml", "not UTF-8 text"),
        (
            "pipe",
            "is not an ordinary file: it is a named pipe, which could be waited for without end",
        ),
        ("nul\0.toml", "cannot be read: not a usable file name"),
    ],
)
def test_no_usable_file_is_one_clear_problem(tmp_path: Path, name: str, message: str) -> None:
    """Whatever stands where the policy should be: one problem, one remedy, no traceback and no waiting."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "dead.toml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty.toml").write_bytes(b"")
    (tmp_path / "blank.toml").write_bytes(b" \n\n")
    (tmp_path / "binary.toml").write_bytes(b"GGUF\x03\0\0\0" * 9)
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\nschema = 1\n")
    if name == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no named pipes on this system")
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PolicyError) as caught:
        read_policy(Document.read(f"{tmp_path}{os.sep}{name}"))
    assert messages(caught) == [message]
    assert caught.value.problems[0].remedy


def test_a_missing_policy_names_the_command_that_writes_one(tmp_path: Path) -> None:
    """The first thing a newcomer sees tells how to begin."""
    with pytest.raises(PolicyError, match="selfhost audit --init"):
        read_policy(Document.read(str(tmp_path / "audit.toml")))


@pytest.mark.parametrize(
    "models", [[], ["gpt2"], ["gpt2", "mistral-7b", "gpt2"], ['quote " and \\', "zwölf €"]]
)
def test_the_starter_policy_reads_itself(models: list[str]) -> None:
    """What --init writes is valid as it stands and names each model once, whatever its name."""
    read = read_policy(Document.parse("audit.toml", starter_policy(models).encode()))
    assert [wanted.name for wanted in read.models] == (
        list(dict.fromkeys(models)) or ["mistral-7b"]
    )


def test_the_starter_policy_stays_valid_when_its_comments_are_taken_up() -> None:
    """Every commented setting that --init suggests is one the reader knows."""
    lines = starter_policy(["mistral-7b"]).split("\n")
    taken = "\n".join(
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line
        for line in lines
    )
    read = read_policy(Document.parse("audit.toml", taken.encode()))
    assert (
        read.needs.private,
        len(read.exceptions),
        len(read.classes),
        len(read.models[0].machines),
    ) == (True, 1, 1, 3)
    assert read.models[0].asked.kv_cache_type == "f16"
    assert [member.name for member in read.models[1].members] == ["mistral-7b", "bge-m3"]
    # nothing that the schema knows is left out
    tables = re.findall(r"^\[+(?:\w+\.)?(\w+)\]", taken, re.MULTILINE)
    assert settings_of(SCHEMA) <= {*tables, *re.findall(r"(\w+) *= ", taken)}


def settings_of(schema: dict[str, Any]) -> set[str]:
    """Every key of a JSON Schema and of what lies in it."""
    inner = [*schema.get("properties", {}).values(), schema.get("items", {})]
    return set(schema.get("properties", {})).union(*map(settings_of, inner)) if schema else set()


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((), "zzzz = 1\n"),
        (("needs",), "[needs]\nzzzz = 1\n"),
        (("model",), "[[model]]\nzzzz = 1\n"),
        (("together",), "[[together]]\nzzzz = 1\n"),
        (("class",), "[[class]]\nzzzz = 1\n"),
        (("class", "match"), "[[class]]\nmatch = { zzzz = 1 }\n"),
        (("exception",), "[[exception]]\nzzzz = 1\n"),
    ],
)
def test_the_schema_has_the_readers_keys(place: tuple[str, ...], text: str) -> None:
    """What the reader says it knows there is what an editor offers there, each with a description."""
    problems = faults(text.encode()) or ()
    (remedy,) = (each.remedy for each in problems if each.key and each.key.endswith("zzzz"))
    schema = SCHEMA
    for name in place:
        schema = schema["properties"][name]
        schema = schema.get("items", schema)
    assert set(str(remedy).removeprefix("known here: ").split(", ")) == set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert all("description" in each for each in schema["properties"].values())


@pytest.mark.parametrize("form", ["json", "junit", "jsonl", "text"])
@pytest.mark.parametrize(
    "content", [b'schema = 1\nfail_on = "errors"\n[[model]]\n', b"schema = ", None]
)
def test_a_policy_with_faults_writes_its_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, form: str
) -> None:
    """A pipeline that reads only the file finds every fault there, and nothing that looks as if the policy held."""
    policy, report = tmp_path / "audit.toml", tmp_path / "report"
    if content is not None:
        policy.write_bytes(content)
    report.write_text("the answer of yesterday", encoding="utf-8")
    assert cli.main(["audit", str(policy), "--format", f"{form}={report}", "--format", "json"]) == 2
    out, err = capsys.readouterr()
    error = json.loads(err)
    assert (out, error["schema"], error["exit_code"]) == ("", "selfhost.error/1", 2)
    text = report.read_text(encoding="utf-8")
    plain = html.unescape(text.replace('\\"', '"'))
    assert all(problem["message"] in plain for problem in error["problems"])
    if form == "json":
        value = json.loads(text)
        Draft202012Validator(AUDIT_SCHEMA).validate(value)
        assert (value["exit_code"], value["outcome"]) == (2, "unknown")
        assert value["problems"] == error["problems"]
    elif form == "jsonl":
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["problem"] for line in lines] == error["problems"]
        assert {line["result"] for line in lines} == {"unknown"}
    elif form == "junit":
        root = ElementTree.fromstring(text)
        assert int(root.get("errors", "0")) == len(error["problems"]) > 0
    else:
        assert text.startswith("NOT JUDGED")


def test_a_report_never_replaces_the_faulty_policy(tmp_path: Path) -> None:
    """The check of targets comes before the policy is read."""
    policy = tmp_path / "audit.toml"
    policy.write_text("schema = 2\n", encoding="utf-8")
    assert cli.main(["audit", str(policy), "--format", f"json={policy}"]) == 2
    assert policy.read_text(encoding="utf-8") == "schema = 2\n"


def test_init_writes_a_policy_that_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `--init` writes reads back, has a table for every part, and gives an answer as it stands."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["audit", "--init"]) == 0
    text = Path("audit.toml").read_text(encoding="utf-8")
    for table in ("needs", "model", "together", "class", "exception"):
        assert f"[{table}]" in text
    assert "policy-1.json" in text
    assert cli.main(["audit", "--machines", str(RECORDS / "vm-24gib.json")]) == 0
    assert cli.main(["audit", "--init"]) == 2
    capsys.readouterr()


def test_of_many_faults_the_first_are_shown_and_a_program_gets_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of their lines, so that a misspelt key of line 2 is not lost; 100 models without a name."""
    path = tmp_path / "audit.toml"
    path.write_text("schema = 1\non_unknwon = 'x'\n" + "[[model]]\n" * 100, encoding="utf-8")
    report = tmp_path / "audit.json"
    assert cli.main(["audit", str(path), "--json", "--format", f"sarif={report}"]) == 2
    error = json.loads(capsys.readouterr().err)
    assert [each["line"] for each in error["problems"]] == list(range(2, 103))
    assert len(json.loads(report.read_text(encoding="utf-8"))["runs"][0]["results"]) == 101
    for words in (["audit", str(path)], ["audit", "--validate", str(path)]):
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert "audit.toml:2: on_unknwon" in said.splitlines()[0]
        assert "has 81 more faults, not listed" in said


def test_a_starter_goes_to_standard_output_where_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` is standard output, as of --output, and no file of that name."""
    monkeypatch.chdir(tmp_path)
    for words in (["-"], ["--output", "-"]):
        assert cli.main(["audit", "--init", *words]) == 0
        read_policy(Document.parse("-", capsys.readouterr().out.encode()))
        assert list(tmp_path.iterdir()) == []


def test_a_starter_goes_where_output_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--output names the file as POLICY does, and overwrites none; two names, or a report's format, are refused before anything is written."""
    monkeypatch.chdir(tmp_path)
    for words in (["a.toml", "--output", "b.toml"], ["--json"], ["--output", "a.json"]):
        assert cli.main(["audit", "--init", *words]) == 2
        assert list(tmp_path.iterdir()) == []
    assert cli.main(["audit", "--init", "--output", "other.toml"]) == 0
    assert "selfhost audit other.toml" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["other.toml"]
    assert cli.main(["audit", "--init", "--output", "other.toml"]) == 2


def test_a_policy_may_be_larger_than_a_spec() -> None:
    """Thousands of exceptions take more than a mebibyte: they are read, and no policy is without a limit."""
    entry = (
        '[[exception]]\nmodel="x"\nrule="memory"\nmachines=["host:build-{}"]\n'
        f'reason="{"kits " * 60}"\nowner="infra"\nexpires=2027-01-01\n'
    )
    text = 'schema = 1\n[[model]]\nname = "x"\n' + "".join(map(entry.format, range(3_000)))
    assert 2**20 < len(text) < MAX_POLICY_BYTES
    document = Document.parse("audit.toml", text.encode(), max_bytes=MAX_POLICY_BYTES)
    assert len(read_policy(document).exceptions) == 3_000
    large = Document.parse("audit.toml", b"#" * (MAX_POLICY_BYTES + 1), max_bytes=MAX_POLICY_BYTES)
    assert "larger than 6,291,456 bytes" in large.problems[0].message


EDGE = (
    '[[model]]\nname = "x"\nmachines = ["class:edge"]\n[[class]]\nname = "edge"\nmatch = { %s }\n'
)


@each(
    ("match", "machine", "holds"),
    [
        ('label = { site = "s*" }', Machine(labels={"site": "s1"}), True),
        ('label = { site = "s*" }', Machine(labels={"site": "S1"}), False),
        ('label = { site = "*" }', Machine(labels={"rack": "s1"}), False),
        ('memory_total = ">=15GiB"', Machine(memory_total_bytes=15 * GIB), True),
        ('memory_total = ">=15GiB"', Machine(memory_total_bytes=15 * GIB - 1), False),
        ('memory_total = ">15GiB"', Machine(memory_total_bytes=15 * GIB), False),
        ('memory_total = "<=15GB"', Machine(memory_total_bytes=15 * 10**9), True),
        ('memory_total = ">=15GiB, <64GiB"', Machine(memory_total_bytes=64 * GIB), False),
        ('memory_total = ">=15GiB, <64GiB"', Machine(memory_total_bytes=32 * GIB), True),
        ('memory_total = ">=15GiB"', Machine(), None),
        ('architecture = "x86_64"', Machine(architecture="aarch64"), False),
        ('architecture = "x86_64"', Machine(), None),
        # one condition that fails settles it, whatever else was not read
        (
            'memory_total = ">=15GiB", architecture = "x86_64"',
            Machine(architecture="aarch64"),
            False,
        ),
        ('label = { site = "s1" }, memory_total = ">=1GiB"', Machine(labels={"site": "s2"}), False),
        ("", Machine(), True),
    ],
)
def test_class_membership(match: str, machine: Machine, holds: bool | None) -> None:
    """All conditions must hold; a fact that was not read makes membership unknown, never yes or no."""
    read = policy(EDGE % match)
    assert read.classes[0].holds(machine) is holds
    assert read.selects(read.models[0].machines, machine) is holds


@pytest.mark.parametrize(
    ("selectors", "takes"),
    [
        (["host:edge-01?"], True),
        (["host:edge-01"], False),
        (["host:EDGE-*"], False),
        (["label:site=s*"], True),
        (["label:rack=*"], False),
        (["label:url=a=b"], True),
        (["class:big"], None),
        (["class:big", "host:edge-*"], True),
        (["class:big", "host:build-*"], None),
    ],
)
def test_selectors_widen(selectors: list[str], takes: bool | None) -> None:
    """Any selector is enough; only where none takes the machine and one hangs on an unread fact is the answer unknown."""
    text = f'[[model]]\nname = "x"\nmachines = {json.dumps(selectors)}\n[[class]]\nname = "big"\nmatch = {{ memory_total = ">=64GiB" }}\n'
    read = policy(text)
    machine = Machine(name="edge-014", labels={"site": "s1", "url": "a=b"})
    assert read.selects(read.models[0].machines, machine) is takes


def test_the_first_class_that_states_a_memory_basis_decides_it() -> None:
    """Planning on total memory is asked for by class, and nowhere else taken for granted."""
    read = policy(
        '[[model]]\nname = "x"\n'
        '[[class]]\nname = "any"\nmatch = {}\n'
        '[[class]]\nname = "plan"\nmatch = { label = { stage = "plan" } }\nmemory = "total"\n'
        '[[class]]\nname = "live"\nmatch = {}\nmemory = "available"\n'
    )
    assert (
        read.models[0].under(read.memory_basis(Machine(labels={"stage": "plan"}))).memory_basis
        == "total"
    )
    assert read.models[0].under(read.memory_basis(Machine())).memory_basis == "available"


def test_a_file_that_a_policy_names_is_told_at_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`./mine.gguf does not exist` alone leaves a reader of CI to search for who wants it."""
    path, missing = tmp_path / "p.toml", tmp_path / "no.gguf"
    text = f"schema = 1\n[[model]]\nname = '{missing}'\n[[model]]\nname = 'gpt2'\nadapter = '{missing}'\n"
    path.write_text(text, encoding="utf-8")
    assert cli.main(["audit", "--validate", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"{path}:3: model[0].name: {missing} does not exist" in told
    assert f"{path}:6: model[1].adapter: {missing} does not exist" in told


def test_a_policy_asks_for_a_draft_and_an_adapter() -> None:
    """As `--draft` and `--adapter` of `check`: part of what is asked, of the label, and of what makes two entries the same."""
    head = '[[model]]\nname = "llama-3.3-70b"\n'
    read = policy(head + head + 'draft = "llama-3.2-1b"\nadapter = "rank=16"\n')
    plain, drafted = (wanted.under(read.memory_basis(Machine())) for wanted in read.models)
    assert (plain.draft, plain.adapter) == (None, None)
    assert (drafted.draft, drafted.adapter) == ("llama-3.2-1b", "rank=16")
    assert drafted.options() == " --draft llama-3.2-1b --adapter rank=16"
    assert read.models[1].label == "llama-3.3-70b, drafted by llama-3.2-1b, adapter rank=16"
    Draft202012Validator(SCHEMA).validate(
        as_json("schema = 1\n" + head + 'draft = "mtp"\nadapter = "./mine.gguf"\n')
    )
    assert faults(f"schema = 1\n{head}draft = 3\nadapter = ' '\n".encode()) is not None


def test_a_model_wanted_twice_keeps_two_labels() -> None:
    """Reports that keep the first of two equal names must lose nothing."""
    read = policy(
        '[[model]]\nname = "x"\n[[model]]\nname = "x"\ncontext_tokens = 8192\n[[model]]\nname = "y"\n[[model]]\nname = "x"\nparallel = 2\n'
    )
    assert [wanted.label for wanted in read.models] == [
        "x",
        "x, 8192 tokens",
        "y",
        "x, 2 in parallel",
    ]


def test_needs_and_conditions_reach_every_workload() -> None:
    """[needs] holds for each model, and a [[model]]'s own conditions for itself alone."""
    read = policy(
        '[needs]\nprivate = true\nauditable = true\nlicense = "MIT"\n'
        '[[model]]\nname = "x"\nparallel = 4\nkv_cache_type = "q8_0"\n[[model]]\nname = "y"\n'
    )
    first, second = (wanted.under(read.memory_basis(Machine())) for wanted in read.models)
    assert (first.private, first.auditable, first.modify, first.license) == (
        True,
        True,
        False,
        "MIT",
    )
    assert (second.private, second.auditable, second.license) == (True, True, "MIT")
    assert (first.parallel, first.kv_cache_type, second.parallel, second.kv_cache_type) == (
        4,
        "q8_0",
        1,
        None,
    )


def test_a_later_problem_has_the_line_of_its_entry() -> None:
    """What shows only when models are judged is still found in the file: at its key, or at its entry where the key is left out."""
    read = read_policy(Document.parse("audit.toml", CONTRACT.encode()))
    problems = read.problems(
        [(0, "quantization", "nobody makes it", None), (0, "parallel", "too many", None)]
    )
    assert {problem.message: problem.line for problem in problems} == {
        "nobody makes it": 11,
        "too many": 8,
    }


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    )
)
def test_no_content_is_a_crash(content: bytes) -> None:
    """Any bytes are a policy or a PolicyError with at least one problem."""
    assert faults(content) != ()


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-5, 10**12),
        st.floats(),
        st.sampled_from(["error", "class:a", "host:*", ">=1GiB", "memory", ""]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "label", "memory_total", "machines"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)
KEYS = [
    "schema",
    "fail_on",
    "needs",
    "model",
    "class",
    "exception",
    "name",
    "machines",
    "match",
    "rule",
    "expires",
    "memory",
]


def toml(value: Any) -> str:
    """Inline TOML of plain values."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")
        if isinstance(value, str | float)
        else str(value)
    )


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.one_of(VALUES, st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=2)),
        max_size=5,
    )
)
def test_no_shape_is_a_crash(tree: dict[str, Any]) -> None:
    """Known keys with values of any kind are a policy or a PolicyError."""
    text = "\n".join(f"{key} = {toml(value)}" for key, value in tree.items())
    assert faults(text.encode()) != ()


def refused_in(path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The entries that `--validate` calls refused, in the order it does."""
    assert cli.main(["audit", "--validate", str(path)]) == 2
    return re.findall(r"(model\[\d+\]\.\w+|together\[\d+\]\.\w+):", capsys.readouterr().err)


def test_every_refused_entry_among_many_alike_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # llama.cpp serves at most 256 sequences (LLAMA_MAX_SEQ): of entries that differ in amounts
    # alone only some are refused
    parallel = [1, 300, 8, 257, 256, 400, 2]
    text = "schema = 1\n" + "".join(
        f'[[model]]\nname = "mistral-7b"\nruntime = "llama.cpp"\nparallel = {each}\n'
        f"context_tokens = {1024 + place}\n"
        for place, each in enumerate(parallel)
    )
    path = tmp_path / "audit.toml"
    path.write_text(text, encoding="utf-8")
    wrong = [place for place, each in enumerate(parallel) if each > 256]
    assert refused_in(path, capsys) == [f"model[{place}].parallel" for place in wrong]


def test_a_refused_member_and_an_unknown_name_are_told_beside_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.toml"
    path.write_text(
        'schema = 1\n[[model]]\nname = "bge-m3"\n[[model]]\nname = "no-such-model"\n'
        '[[together]]\nmodels = ["bge-m3", "neither-is-this"]\n',
        encoding="utf-8",
    )
    assert refused_in(path, capsys) == ["model[1].name", "together[0].models"]


FAULTY = """
schema = 1
fail_on = "eror"
[[model]]
name = "mistrl-7b"
context_tokens = "8k"
[[model]]
name = "gpt2"
quantization = "Q99"
machines = ["class:egde"]
[[model]]
name = "gpt2"
quantization = "Q98"
parallel = 0
"""


def test_one_run_tells_the_faults_of_a_policy_and_those_of_its_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that no model has and a quantization that nobody makes, beside keys of a wrong type; a type beside a fault of its entry is not held against the catalogue."""
    (tmp_path / "audit.toml").write_text(FAULTY.lstrip())
    report = tmp_path / "report.json"
    assert cli.main(["audit", str(tmp_path / "audit.toml"), "--format", f"json={report}"]) == 2
    problems = json.loads(report.read_text())["problems"]
    assert [(each["line"], each["key"]) for each in problems] == [
        (2, "fail_on"),
        (4, "model[0].name"),
        (5, "model[0].context_tokens"),
        (8, "model[1].quantization"),
        (9, "model[1].machines[0]"),
        (13, "model[2].parallel"),
    ]
    assert 'did you mean "mistral' in capsys.readouterr().err
    assert cli.main(["audit", "--validate", str(tmp_path / "audit.toml")]) == 2
    assert "audit.toml:4: model[0].name" in capsys.readouterr().err


def test_an_entry_without_a_name_keeps_the_lines_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is refused for is told once; an unknown name behind it is told at its own line."""
    path = tmp_path / "audit.toml"
    path.write_text(
        'schema = 1\n[[model]]\nname = ""\n[[model]]\ncontext_tokens = 3\n'
        '[[model]]\nname = "gpt2"\nquantization = "Q99"\n'
        '[[together]]\nmodels = []\n[[together]]\nmodels = ["gpt2", "no-such-model"]\n',
        encoding="utf-8",
    )
    report = tmp_path / "report.json"
    assert cli.main(["audit", str(path), "--format", f"json={report}"]) == 2
    problems = json.loads(report.read_text())["problems"]
    assert [(each["line"], each["key"]) for each in problems] == [
        (3, "model[0].name"),
        (4, "model[1].name"),
        (8, "model[2].quantization"),
        (10, "together[0].models"),
        (12, "together[1].models"),
    ]
    assert "no model was named" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["audit"], ["audit", "--validate"]])
def test_an_entry_that_is_refused_leaves_the_next_its_own_fault(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt key and one of another table in the first entry, an unknown model in the second: both are told, with their lines, and that is exit 2."""
    path = tmp_path / "audit.toml"
    path.write_text(
        'schema = 1\n[[model]]\nnam = "a"\ncommercial = true\n[[model]]\nname = "nosuch"\n'
    )
    assert cli.main([*words, str(path)]) == 2
    told = capsys.readouterr().err
    assert "audit.toml:3: model[0].nam: is not a known key" in told
    assert "commercial: is not a known key\n  write it under [needs]: it holds for every" in told
    assert 'audit.toml:6: model[1].name: "nosuch" is not in the catalogue' in told
