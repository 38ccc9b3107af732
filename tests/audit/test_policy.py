"""The policy file: what it may say, and what a person is told where it is wrong."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from helpers.cases import case_id
from helpers.paths import BAD_POLICIES, ROOT, SCHEMAS
from selfhost.audit.policy import (
    ASKED,
    Bound,
    Policy,
    Wanted,
    read_policy,
    starter_policy,
)
from selfhost.cli import main as cli
from selfhost.core.errors import PolicyError, Problem
from selfhost.core.tables import Document
from selfhost.judge.checks import CHECKS
from selfhost.machine.record import Accelerator, Machine

BAD = sorted(BAD_POLICIES.glob("*.toml"))
SCHEMA = json.loads((SCHEMAS / "policy-1.json").read_text(encoding="utf-8"))
GIB = 2**30
CONTRACT = (
    (ROOT / "docs" / "contract.md").read_text(encoding="utf-8").split("```toml\n")[1]
)


def policy(text: str) -> Policy:
    return read_policy(Document.read("audit.toml", ("schema = 1\n" + text).encode()))


def as_json(text: str) -> Any:
    """A TOML file as the JSON that schema-aware editors check: dates are strings."""
    return json.loads(
        json.dumps(
            tomllib.loads(text),
            default=lambda value: (
                value.isoformat() if isinstance(value, date) else repr(value)
            ),
        )
    )


def faults(content: bytes) -> tuple[Problem, ...] | None:
    """None where the content is a policy."""
    try:
        read_policy(Document.read("audit.toml", content))
    except PolicyError as error:
        return error.problems
    return None


def test_the_contracts_example_is_read_whole() -> None:
    """Every key of the published schema means what its comment there says."""
    read = read_policy(Document.read("audit.toml", CONTRACT.split("```")[0].encode()))
    needs = read.needs
    assert (read.fail_on, read.on_unknown) == ("error", "unknown")
    assert (needs.private, needs.commercial, needs.license) == (True, False, None)
    model, together = read.models
    assert [member.name for member in together.members] == ["mistral-7b", "bge-m3"]
    assert [member.asked.context_tokens for member in together.members] == [8192, None]
    assert all(member.asked.private for member in together.members)
    assert (model.members, model.require_runtime) == ((), False)
    asked = model.asked
    stated = (asked.context_tokens, asked.quantization, asked.runtime)
    assert stated == (8192, "Q4_K_M", "llama.cpp")
    assert (asked.min_tokens_per_second, model.severity) == (5, "error")
    assert model.name == model.label == "mistral-7b"
    assert list(map(str, model.machines)) == [
        "class:edge",
        "host:build-*",
        "label:site=s*",
    ]
    (edge,) = read.classes
    match = edge.match
    assert (dict(match.labels), match.memory_total_bytes) == (
        {"site": "s*"},
        (Bound(sign=">=", size_bytes=15 * GIB),),
    )
    assert (match.architecture, edge.memory) == ("x86_64", "total")
    (exception,) = read.exceptions
    assert (exception.model, exception.rule) == ("mistral-7b", "memory")
    assert (exception.owner, exception.expires) == ("infra@example.com", "2027-03-31")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_each_bad_policy_says_exactly_what_is_wrong_and_where(path: Path) -> None:
    """All faults of a file in one run, each with its line, its key and what to write instead.
    @checks@ stands for the names of all checks.
    """
    with pytest.raises(PolicyError) as caught:
        read_policy(Document.read(path.name, path.read_bytes()))
    expected = path.with_suffix(".txt").read_text(encoding="utf-8")
    expected = expected.replace("@checks@", ", ".join(CHECKS))
    assert [str(problem) for problem in caught.value.problems] == expected.splitlines()


# faults that only relate two places of a file, and those of TOML itself: no JSON Schema sees them
BEYOND_SCHEMA = {
    "class_twice", "exception_unknown_model", "selector_unknown_class",
    "speed_nan", "class_bound_bad_unit", "exception_no_such_day", "not_toml", "needs_no_license",
    "exception_of_one_of_several", "together_unclear_model", "together_unknown_class",
    "link_of_machines",
}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [path for path in BAD if path.stem not in BEYOND_SCHEMA],
    ids=lambda path: path.stem,
)
def test_editors_see_the_same_faults(path: Path) -> None:
    """What the JSON Schema can express it refuses, so that an editor warns before the pipeline
    does.
    """
    assert not Draft202012Validator(SCHEMA).is_valid(
        as_json(path.read_text(encoding="utf-8"))
    )


def test_the_starter_policy_reads_itself() -> None:
    """What --init writes is valid as it stands. What a [[model]] may ask stands there and on every
    other list of it.
    """
    read = read_policy(Document.read("audit.toml", starter_policy().encode()))
    assert [wanted.name for wanted in read.models] == ["mistral-7b"]
    report = (SCHEMAS / "audit-1.json").read_text(encoding="utf-8")
    printed = json.loads(report)["properties"]["policy"]["properties"]["models"][
        "items"
    ]
    told = CONTRACT.partition(". The JSON Schema")[0]
    lists = {
        "specs/common/starter_policy.toml": re.findall(
            r"(?m)^# (\w+) = ", starter_policy()
        ),
        "[[model]] of docs/contract.md": re.findall(r"(?m)(?:^|`)(\w+)(?: = |`)", told),
        "model of policy-1.json": SCHEMA["properties"]["model"]["items"]["properties"],
        "policy.models of audit-1.json": printed["properties"],
        "required of policy.models of audit-1.json": printed["required"],
    }
    lacking = {}
    for place, listed in lists.items():
        names = {*ASKED}
        if "audit-1.json" not in place:
            for field, stated in Wanted._keys.items():
                names.add(stated.name or field)
        lacking[place] = names - {*listed}
    assert not any(lacking.values()), f"name there what a [[model]] may ask: {lacking}"


EDGE = (
    '[[model]]\nname = "x"\nmachines = '
    '["class:edge"]\n[[class]]\nname = "edge"\nmatch = { %s }\n'
)


TESLA = Accelerator(vendor="nvidia", name="Tesla P40")


@pytest.mark.parametrize(
    ("match", "machine", "holds"),
    [
        ('label = { site = "s*" }', Machine(labels={"site": "s1"}), True),
        ('label = { site = "s*" }', Machine(labels={"site": "S1"}), False),
        ('label = { site = "*" }', Machine(labels={"rack": "s1"}), False),
        ('memory_total = ">=15GiB"', Machine(memory_total_bytes=15 * GIB), True),
        ('memory_total = ">=15GiB"', Machine(memory_total_bytes=15 * GIB - 1), False),
        ('memory_total = ">15GiB"', Machine(memory_total_bytes=15 * GIB), False),
        ('memory_total = "<=15GB"', Machine(memory_total_bytes=15 * 10**9), True),
        (
            'memory_total = ">=15GiB, <64GiB"',
            Machine(memory_total_bytes=64 * GIB),
            False,
        ),
        (
            'memory_total = ">=15GiB, <64GiB"',
            Machine(memory_total_bytes=32 * GIB),
            True,
        ),
        # as every other size may be written
        ('memory_total = ">=15,360MiB"', Machine(memory_total_bytes=15 * GIB), True),
        (
            'memory_total = "<64GiB,>=15,360MiB"',
            Machine(memory_total_bytes=15 * GIB - 1),
            False,
        ),
        ('memory_total = ">=15GiB"', Machine(), None),
        ('architecture = "x86_64"', Machine(architecture="aarch64"), False),
        ('architecture = "x86_64"', Machine(), None),
        # one condition that fails settles it, whatever else was not read
        (
            'memory_total = ">=15GiB", architecture = "x86_64"',
            Machine(architecture="aarch64"),
            False,
        ),
        (
            'label = { site = "s1" }, memory_total = ">=1GiB"',
            Machine(labels={"site": "s2"}),
            False,
        ),
        ('gpu = "nvidia"', Machine(accelerators=(TESLA,)), True),
        ('gpu = "*p40*"', Machine(accelerators=(TESLA,)), True),
        ('gpu = "*P40*"', Machine(accelerators=(TESLA,)), True),
        ('gpu = "P40"', Machine(accelerators=(TESLA,)), False),
        ('gpu = "amd"', Machine(accelerators=(TESLA,)), False),
        ('gpu = "nvidia"', Machine(accelerators=()), False),
        ('gpu = "nvidia"', Machine(), None),
        ("", Machine(), True),
    ],
    ids=case_id,
)
def test_class_membership(match: str, machine: Machine, holds: bool | None) -> None:
    """All conditions must hold; a fact that was not read makes membership unknown, never yes or
    no.
    """
    read = policy(EDGE % match)
    assert read.classes[0].holds(machine) is holds
    assert read.selects(read.models[0].machines, machine) is holds


def test_spaces_around_a_selector_are_none_of_it() -> None:
    """The last character of a glob would else be a space that no name ends with."""
    read = policy('[[model]]\nname = "x"\nmachines = [" host:edge-* "]\n')
    assert read.selects(read.models[0].machines, Machine(name="edge-1")) is True


def test_the_basis_is_that_of_the_first_class_that_states_one() -> None:
    """A class before it that holds the machine, too, may state none."""
    classes = "".join(
        f'[[class]]\nname = "{name}"\nmatch = {{}}\n{memory}'
        for name, memory in (("all", ""), ("edge", 'memory = "available"\n'))
    )
    read = policy(f'[[model]]\nname = "x"\n{classes}')
    assert read.memory_basis(Machine()) == "available"


def test_a_model_wanted_twice_keeps_two_labels() -> None:
    """Reports that keep the first of two equal names must lose nothing."""
    entries = (
        '"x"',
        '"x"\ncontext_tokens = 8192',
        '"y"',
        '"x"\nparallel = 2',
        '"x"\nparallel = 2',
    )
    read = policy("".join(f"[[model]]\nname = {entry}\n" for entry in entries))
    labels = [
        "x",
        "x, 8192 tokens",
        "y",
        *(f"x, 2 in parallel (model[{n}])" for n in (3, 4)),
    ]
    assert [wanted.label for wanted in read.models] == labels


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


def test_a_purpose_states_what_a_model_is_judged_for() -> None:
    text = 'schema = 1\n[[model]]\nname = "qwen3-8b"\npurpose = "agent"\ncontext_tokens = 40_000\n'
    (wanted,) = read_policy(Document.read("audit.toml", text.encode())).models
    assert wanted.asked.purpose == "agent"
    assert wanted.asked.context_tokens == 40_000
    assert wanted.asked.prompt_tokens == 20_000
    assert wanted.asked.max_wait_seconds == 120


def test_a_longest_wait_needs_a_prompt() -> None:
    text = 'schema = 1\n[[model]]\nname = "qwen3-8b"\nmax_wait_seconds = 9\n'
    with pytest.raises(PolicyError) as raised:
        read_policy(Document.read("audit.toml", text.encode()))
    (problem,) = raised.value.problems
    assert problem.line == 4
    assert problem.message == "needs the length of a prompt"
    assert problem.remedy == 'add prompt_tokens = 2000, or purpose = "agent"'


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        pytest.param(
            'name = "qwen3-8b"\npurpose = "agent"\ncontext_tokens = 4096\n',
            (
                "model[0].prompt_tokens: a prompt of 20,000 tokens leaves no room",
                "use context_tokens = 20480, which holds the prompt and an answer, "
                "or leave out context_tokens",
            ),
            id="a context",
        ),
        pytest.param(
            'name = "whisper-large-v3"\npurpose = "agent"\n',
            (
                "4: model[0].purpose: Whisper large v3 answers no prompt with text",
                "leave out purpose, or name a model of text",
            ),
            id="a purpose",
        ),
        pytest.param(
            'name = "bge-m3"\npurpose = "documents"\n',
            (
                "4: model[0].purpose: bge-m3 answers no prompt with text",
                "leave out purpose, or name a model of text",
            ),
            id="a purpose of documents",
        ),
        pytest.param(
            'name = "qwen3-8b"\nruntime = "mlx"\nkv_cache_type = "fp8"\n',
            ("model[0].kv_cache_type: ", 'use runtime = "llama.cpp" or "sglang"'),
            id="a program",
        ),
        pytest.param(
            'name = "qwen3-8b"\nruntime = "foo"\n',
            ('model[0].runtime: selfhost knows no program "foo"', "these run text"),
            id="no option in the remedy",
        ),
    ],
)
def test_what_a_model_refuses_is_told_in_keys_of_the_policy(
    entry: str,
    told: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "audit.toml"
    file.write_text(f"schema = 1\n[[model]]\n{entry}", encoding="utf-8")
    record = tmp_path / "machine.json"
    record.write_text('{"schema": "selfhost.machine/1"}', encoding="utf-8")
    assert cli.main(["audit", str(file), "--machines", str(record)]) == 2
    errors = capsys.readouterr().err
    for words in told:
        assert words in errors
    assert "--" not in errors
