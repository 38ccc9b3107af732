"""`selfhost mcp`: what its tools answer, also to the client of the official SDK."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

import pytest

import selfhost
from helpers import ggufs
from helpers.figures import PACKAGE
from helpers.paths import ROOT
from helpers.written import validate
from selfhost import SelfhostError, Workload
from selfhost.cli.main import main
from selfhost.cli.mcp_answers import answer_to
from selfhost.cli.mcp_tools import ARGUMENTS, TOOLS, Tool, answer_of, sentence
from selfhost.core.purposes import WORKLOAD_PURPOSES

MAC = "macbook air m2 16gb"
OFFICE = "desktop-i3-8gb-no-gpu"

needs_sdk = pytest.mark.skipif(
    find_spec("mcp") is None,
    reason="the MCP SDK is not installed (pip install 'mcp>=2')",
)


@pytest.fixture(autouse=True)
def hears_interrupts() -> Iterator[None]:
    """A program inherits that SIGINT is ignored, as in the background job of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("tool", "arguments", "parts"),
    [
        pytest.param(
            "check",
            {"model": "mistrl-7b"},
            ["not in the catalogue", "mistral:7b"],
            id="wrong model",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "machine": "no such thing"},
            ["no machine is called 'no such thing'", "name its processor"],
            id="wrong machine",
        ),
        pytest.param(
            "machine",
            {"machine": "no such thing"},
            ["no machine is called 'no such thing'", "name its processor"],
            id="no machine to tell of",
        ),
        pytest.param(
            "machine",
            {"machine": 5},
            ["machine: machine: must be a string, not the number 5"],
            id="no text",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "machine": {"cores": None}},
            ["check: machine: must be a string, not an object"],
            id="object for a text",
        ),
        pytest.param(
            "check",
            {"model": True},
            ["check: model: must be a string, not true"],
            id="true for a text",
        ),
        pytest.param(
            "compare",
            {"models": "gpt2"},
            ["compare: models: must be an array, not the string", "write [ … ]"],
            id="text for an array",
        ),
        pytest.param(
            "compare",
            {"models": ["gpt2", None]},
            ["compare: models[1]: must be a string, not null"],
            id="null in an array",
        ),
        pytest.param(
            "list",
            {"private": []},
            ["list: private: must be true or false, not an array"],
            id="array for a truth",
        ),
        pytest.param(
            "list",
            {"top": "1,000"},
            ["list: top: must be a whole number, not the string", "(write 1000)"],
            id="text for a number of models",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "temperature": 1},
            ["no argument 'temperature'", "its arguments are model, machine"],
            id="an argument that would be passed over",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "kv_cache": "q8_0"},
            ["did you mean 'kv_cache_type'?"],
            id="the word of the command line",
        ),
        pytest.param(
            "list",
            {"for": "agent"},
            ["did you mean 'purpose'?"],
            id="the word of a policy",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "gpu": "rtx 9090"},
            ["no GPU is called 'rtx 9090'", "RTX 5090"],
            id="wrong GPU",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "machine": "my laptop"},
            ["no machine is called 'my laptop'", 'machine="i5-8250U 16GB"'],
            id="a machine without figures",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "quantization": "Q9"},
            ['check: quantization: "Q9" is not a quantization', "Q4_K_M"],
            id="wrong quantization",
        ),
        pytest.param(
            "plan",
            {"model": "gpt2", "machine": MAC},
            ["`plan` takes no argument 'machine'"],
            id="an argument of another tool",
        ),
        pytest.param(
            "check", {}, ["`check` needs the argument 'model'"], id="no model"
        ),
        pytest.param(
            "check",
            {"model": None},
            ["`check` needs the argument 'model'"],
            id="null is no model",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "machine": " "},
            ["check: machine: is empty", "leave it out", "macbook air m2 16gb"],
            id="empty machine",
        ),
        pytest.param(
            "check",
            {"model": ""},
            ["check: model: is empty", "such as mistral-7b"],
            id="empty model",
        ),
        pytest.param(
            "compare", {"models": ["gpt2"]}, ["two or more, not 1"], id="one model"
        ),
        pytest.param(
            "list", {"use": "coding"}, ["did you mean 'code'?"], id="wrong use"
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "context_tokens": "8k"},
            ["context_tokens: must be a whole number", "write 8192"],
            id="text for a number",
        ),
        pytest.param(
            "check",
            {"model": "gpt2", "max_wait_seconds": 20},
            ['add prompt_tokens=2000, or purpose="agent"'],
            id="a wait without a prompt",
        ),
        pytest.param(
            "download", {}, ["no tool 'download'", "check, list"], id="wrong tool"
        ),
    ],
)
def test_a_wrong_question_says_what_to_write_instead(
    tool: str, arguments: dict[str, Any], parts: Sequence[str]
) -> None:
    with pytest.raises(SelfhostError) as caught:
        answer_of(tool, arguments)
    text = sentence(caught.value, tool)
    assert "\n" not in text
    for part in parts:
        assert text.count(part) == 1
    # an agent types no command and no Python
    assert not re.search(r"\bselfhost [a-z]+ |--[a-z]|Machine\.", text)


def test_each_argument_of_a_wrong_kind_is_told() -> None:
    with pytest.raises(SelfhostError) as caught:
        answer_of("compare", {"models": [5, "gpt2"], "license": True})
    assert sentence(caught.value).split("\n") == [
        'compare: models[0]: must be a string, not the number 5 (write it in quotes: "…")',
        'compare: license: must be a string, not true (write it in quotes: "…")',
    ]


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        pytest.param("plan", {"model": "gpt2"}, "its range: `check`.", id="plan"),
        pytest.param(
            "machine",
            {"machine": MAC},
            "What runs on it: `list` with the same machine",
            id="machine",
        ),
        pytest.param(
            "list",
            {"machine": MAC, "top": 2},
            "all: `from`, or a larger `top`",
            id="list",
        ),
    ],
)
def test_a_short_answer_leads_on_by_tools(
    tool: str, arguments: dict[str, Any], told: str
) -> None:
    """A plan promised the range "in the line below", which only a terminal has."""
    assert told in answer_of(tool, arguments).text


def test_a_short_answer_tells_whole_sentences() -> None:
    """ "choose a model with a longer context" lost the reason behind the command in the middle."""
    text = answer_of("check", {"model": "gemma-2-9b-it", "purpose": "agent"}).text
    assert "this one is for short chats" in text


def test_what_is_null_states_nothing() -> None:
    """Clients send null for what the agent left out."""
    stated = {"model": "gpt2", "machine": OFFICE, "license": None, "parallel": None}
    answer = answer_of("check", {**stated, "verbose": True})
    assert answer.content == selfhost.check("gpt2", machine=OFFICE).to_json()


def test_the_arguments_decide_the_answer() -> None:
    """The verdict is that of the same workload and machine in Python."""
    stated: dict[str, Any] = {
        "context_tokens": 8192,
        "quantization": "Q8_0",
        "runtime": "llama.cpp",
        "purpose": "agent",
        "prompt_tokens": 4000,
        "max_wait_seconds": 60,
        "parallel": 2,
        "kv_cache_type": "q8_0",
        "min_tokens_per_second": 5,
        "private": True,
        "commercial": True,
        "license": "Apache-2.0",
    }
    asked = {"model": "mistral-7b", "machine": MAC, "verbose": True}
    answer = answer_of("check", {**asked, **stated}).content
    assert {key: answer["workload"][key] for key in stated} == stated
    assert answer == selfhost.check("mistral-7b", machine=MAC, **stated).to_json()


def test_a_gpu_takes_the_place_of_those_of_the_machine() -> None:
    office = "RTX 3060, 32 GB of RAM"
    stated = {"model": "qwen3-32b", "machine": office, "gpu": "RTX 4090"}
    answer = answer_of("check", {**stated, "verbose": True}).content
    (card,) = answer["machine"]["accelerators"]
    assert card["name"] == "NVIDIA GeForce RTX 4090"
    assert answer["machine"]["memory_total_bytes"] == 32 * 2**30


def test_each_argument_of_a_workload_is_a_field_of_it() -> None:
    of_machines = {"machine", "gpu", "link", "split"}
    of_lists = {"use", "modality", "top", "from"}
    others = {"model", "models", "verbose", *of_machines, *of_lists}
    assert set(ARGUMENTS) - others <= set(Workload._fields)
    used = {name for tool in TOOLS.values() for name in tool.arguments}
    assert used == set(ARGUMENTS)
    assert ARGUMENTS["purpose"]["enum"] == [*WORKLOAD_PURPOSES]
    listed = len(answer_of("list", {"machine": OFFICE}).content["models"])
    assert f"(default: {listed})" in ARGUMENTS["top"]["description"]


def test_a_plan_lists_ten_machines_and_counts_the_others() -> None:
    """All known machines are 100 KB, more than an agent takes in one answer."""
    answer = answer_of("plan", {"model": "mistral-7b", "verbose": True}).content
    full = selfhost.plan("mistral-7b").to_json()
    assert answer["machines"] == full["machines"][:10]
    assert answer["machines_not_listed"] == len(full["machines"]) - 10
    assert answer["least"] == full["least"]


@pytest.mark.usefixtures("few_listed")
def test_a_list_goes_on_from_a_row() -> None:
    """A million rows in one answer are more than any agent reads."""
    asked = {"machine": OFFICE, "top": 3}
    first = answer_of("list", {**asked, "top": 6}).content["models"]
    assert answer_of("list", {**asked, "from": 4}).content["models"] == first[3:]
    for wrong, told in (
        ({"top": 101}, "at most 100"),
        ({"from": 9999}, "the last is row"),
    ):
        with pytest.raises(SelfhostError) as caught:
            answer_of("list", {**asked, **wrong})
        assert told in sentence(caught.value)


def test_joined_machines_take_a_link_and_a_split() -> None:
    asked = {"model": "glm-4.6", "machine": "2x dgx spark", "link": "10gbe"}
    answer = answer_of("check", {**asked, "split": "layers", "verbose": True}).content
    assert answer["link"]["name"] == "10gbe"
    assert answer["split"] == "layers"
    del asked["machine"]
    with pytest.raises(SelfhostError) as caught:
        answer_of("check", asked)
    assert sentence(caught.value).endswith('write machine="2x dgx spark"')


def test_a_row_of_a_list_says_where_and_with_which_cache_the_model_runs() -> None:
    """A need of 27 GB stood alone for a card of 24, without the RAM that holds a part of it."""
    rows = answer_of("list", {"machine": "RTX 4090 64gb"}).content["models"]
    assert all(row["placement"] and row["kv_cache_type"] for row in rows)


def test_without_the_sdk_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.delitem(sys.modules, "selfhost.cli.mcp_server", raising=False)
    assert main(["mcp"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "needs version 2 of the official MCP SDK" in shown.err
    assert 'pip install "mcp>=2"' in shown.err


def test_a_bug_is_told_as_the_command_line_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session goes on: the agent has other questions."""

    def broken() -> selfhost.Machine:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(cast(dict[str, Tool], TOOLS), "machine", Tool(answer=broken))
    told = answer_to(b'{"tool": "machine", "arguments": {}, "folders": []}')
    assert told.is_error
    assert told.text.startswith("a bug in selfhost: ZeroDivisionError: division")


@pytest.mark.parametrize("value", [0, -1, -(10**40)])
def test_no_number_of_models_below_one_is_taken(value: int) -> None:
    with pytest.raises(SelfhostError) as caught:
        answer_of("list", {"top": value})
    assert sentence(caught.value).startswith("list: top: must be at least 1, not ")


LONG = "A9" * 5000
ODD_VALUES = [
    pytest.param(LONG, id="letters"),
    pytest.param("(" * 9999, id="brackets"),
    pytest.param([LONG] * 3, id="an array"),
    pytest.param(["gpt2"] * 5000, id="a long array"),
    pytest.param([[LONG]] * 20, id="an array in an array"),
    pytest.param({LONG: LONG}, id="an object"),
    pytest.param(10**4000, id="digits"),
    pytest.param(float("inf"), id="infinity"),
]


@pytest.mark.parametrize("value", ODD_VALUES)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_a_message_repeats_no_long_value(argument: str, value: object) -> None:
    tool = next(name for name in TOOLS if argument in TOOLS[name].arguments)
    stated = dict.fromkeys(TOOLS[tool].required, "gpt2")
    with pytest.raises(SelfhostError) as caught:
        answer_of(tool, {**stated, argument: value})
    text = sentence(caught.value)
    assert len(text) < 3000
    assert argument in text


def test_a_message_repeats_no_long_name() -> None:
    for name, arguments in ((LONG, {}), ("check", {LONG: 1})):
        with pytest.raises(SelfhostError) as caught:
            answer_of(name, arguments)
        assert len(sentence(caught.value)) < 500


# ---------------------------------------------------------------- the files that an agent may name

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}
OUTSIDE = "`model` is a path, and files are read only in folders that the user allows"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user allows, in which this process stands, beside one with a secret."""
    allowed = tmp_path / "allowed"
    for folder in ("allowed/model", "allowed/linked", "allowed-too", "secret"):
        (tmp_path / folder).mkdir(parents=True)
    for place in ("allowed", "allowed/model", "allowed-too"):
        (tmp_path / place / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "secret" / "config.json").write_text('{"a_secret_key": 1}')
    (tmp_path / "secret" / "a_secret_key.toml").write_text("a_secret_key = 1\n")
    (allowed / "inside.json").symlink_to("config.json")
    (allowed / "linked" / "config.json").symlink_to("../../secret/config.json")
    (allowed / "way-out").symlink_to("../secret")
    (allowed / "linked" / "to-nothing.gguf").symlink_to("../../secret/no-such.gguf")
    monkeypatch.chdir(allowed)
    return tmp_path


@pytest.mark.parametrize(
    ("tool", "model"),
    [
        pytest.param("check", "{disk}/allowed/config.json", id="a file"),
        pytest.param("check", "{disk}/allowed/model", id="a folder"),
        pytest.param("check", "{disk}/allowed/inside.json", id="a link inside"),
        pytest.param("check", "{disk}/allowed/model/../config.json", id="up, inside"),
        pytest.param("check", "./model", id="from this folder"),
        pytest.param("check", ".", id="this folder"),
        pytest.param("plan", ".", id="plan"),
        pytest.param("compare", ".", id="compare"),
    ],
)
def test_models_in_an_allowed_folder_are_read(
    disk: Path, tool: str, model: str
) -> None:
    typed = model.format(disk=disk)
    stated: dict[str, Any] = {"model": typed}
    if tool == "compare":
        stated = {"models": [typed, "gpt2"]}
    assert answer_of(tool, stated, [str(disk / "allowed")])
    with pytest.raises(SelfhostError) as caught:
        answer_of(tool, stated)
    assert sentence(caught.value).startswith(OUTSIDE)


@pytest.mark.parametrize(
    "allows", [pytest.param(True, id="a folder"), pytest.param(False, id="none")]
)
@pytest.mark.parametrize(
    "model",
    [
        "{disk}/secret/config.json",
        "{disk}/secret/no-such.json",
        "{disk}/secret",
        "{disk}/no-such",
        "{disk}/allowed-too/config.json",
        "{disk}/allowed/../secret/config.json",
        "{disk}/allowed/way-out/../secret/config.json",
        "{disk}/allowed/way-out",
        "{disk}/allowed/way-out/config.json",
        "{disk}/allowed/way-out/a_secret_key.toml",
        "{disk}/allowed/linked/to-nothing.gguf",
        "../secret/a_secret_key.toml",
        "..",
        "/",
        "/etc/shadow",
        "/proc/self/environ",
        "/dev/stdin",
    ],
)
def test_no_path_elsewhere_is_read_or_told_of(
    disk: Path, model: str, allows: bool
) -> None:
    """The sentence is one for what exists and for what does not."""
    folders = [str(disk / "allowed")] if allows else []
    with pytest.raises(SelfhostError) as caught:
        answer_of("check", {"model": model.format(disk=disk)}, folders)
    told = sentence(caught.value)
    assert told.startswith(OUTSIDE)
    assert told.endswith(f", or a file in {disk}/allowed)") is allows
    assert "secret_key" not in told


def test_no_file_behind_a_link_that_leads_out_is_read(disk: Path) -> None:
    folders = [str(disk / "allowed")]
    with pytest.raises(SelfhostError) as caught:
        answer_of("check", {"model": f"{disk}/allowed/linked"}, folders)
    told = sentence(caught.value)
    assert "is a link to a place that may not be read" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("other.safetensors", id="weights"),
        pytest.param("tokenizer.json", id="a file beside them"),
        pytest.param("notes.json", id="any JSON"),
        pytest.param("way-out", id="a folder"),
    ],
)
def test_a_link_that_leads_out_is_refused_alone(disk: Path, link: str) -> None:
    """Each model beside it was refused, too."""
    allowed = disk / "allowed"
    place = allowed / link
    if not place.is_symlink():
        place.symlink_to(disk / "secret" / "config.json")
    stated = {"model": f"{allowed}/config.json"}
    assert answer_of("check", stated, [str(allowed)])
    with pytest.raises(SelfhostError) as caught:
        answer_of("check", {"model": str(place)}, [str(allowed)])
    assert sentence(caught.value).startswith(OUTSIDE)


def _index_of(folder: Path, name: str) -> str:
    """An index of weights that names one file of any name."""
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": name}}))
    return name


def _second_part(folder: Path, name: str) -> str:
    """The first part of a split GGUF file, of which `name` is the second."""
    first = folder / name.replace("00002-of", "00001-of")
    metadata = {
        "general.architecture": "llama",
        "split.no": 0,
        "split.count": 2,
        "split.tensors.count": 2,
    }
    header, size = ggufs.gguf(metadata, [("output.weight", [32, 32], "F16")])
    ggufs.write(first, header, size)
    return name


def _sources(folder: Path, name: str) -> str:
    """A spec, of which `name` has the sources."""
    (folder / name.replace(".sources", "")).write_text('schema = 1\nid = "m"\n')
    return name


@pytest.mark.parametrize(
    ("model", "name", "make"),
    [
        pytest.param(
            "model.safetensors.index.json", "leak", _index_of, id="named by an index"
        ),
        pytest.param(
            "model.safetensors.index.json",
            "a.safetensors",
            _index_of,
            id="shard of an index",
        ),
        pytest.param(
            "m-00001-of-00002.gguf",
            "m-00002-of-00002.gguf",
            _second_part,
            id="part of GGUF",
        ),
        pytest.param(
            "m-00001-of-00002.bin",
            "m-00002-of-00002.bin",
            _second_part,
            id="part of GGUF in another ending",
        ),
        pytest.param("m.toml", "m.sources.toml", _sources, id="sources"),
    ],
)
@pytest.mark.parametrize("target", ["config.json", "no-such"])
def test_no_file_of_a_model_leads_out_whatever_its_name(
    tmp_path: Path,
    model: str,
    name: str,
    make: Callable[[Path, str], str],
    target: str,
) -> None:
    """An index could name a link of any name, which was read. The answer is the same for a link
    to nothing.
    """
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "config.json").write_text("<html>")
    (allowed / make(allowed, name)).symlink_to(secret / target)
    with pytest.raises(SelfhostError) as caught:
        answer_of("check", {"model": f"{allowed}/{model}"}, [str(allowed)])
    told = sentence(caught.value)
    assert "is a link to a place that may not be read" in told
    assert not re.search("web page|secret|does not exist|missing", told)


def test_a_link_into_another_allowed_folder_is_read(disk: Path) -> None:
    """As the refusal of such a link tells the user to do."""
    other = disk / "allowed-too"
    model = disk / "allowed" / "to-other"
    model.mkdir()
    (model / "config.json").symlink_to(other / "config.json")
    folders = [str(disk / "allowed"), str(other)]
    assert answer_of("check", {"model": str(model)}, folders)


@pytest.mark.parametrize("name", ["m.gguf", "x.safetensors", "some-99b.GGUF"])
def test_no_answer_says_of_a_name_what_was_not_looked_at(name: str) -> None:
    """Nobody looked whether such a file exists."""
    with pytest.raises(SelfhostError) as caught:
        answer_of("check", {"model": name})
    told = sentence(caught.value)
    assert "is not in the catalogue" in told
    assert "exist" not in told


@pytest.mark.parametrize(
    "model",
    [
        "secret/config.json",
        "model",
        "model/config",
        "Qwen/Qwen3-4B-Instruct-2507",
        "x.gguf",
    ],
)
def test_a_name_is_a_name_whatever_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """The same is answered where a file of that name lies in the folder of the server."""

    def told() -> str:
        try:
            return answer_of("check", {"model": model, "machine": MAC}).text
        except SelfhostError as error:
            return sentence(error)

    monkeypatch.chdir(tmp_path)
    before = told()
    place = tmp_path / model
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text('{"a_secret_key": 1}')
    assert told() == before


def test_a_folder_that_is_none_is_refused_when_the_server_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mcp", "--allow", str(tmp_path / "no-such")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "there is no such folder" in shown.err


# ---------------------------------------------------------------- asked by the SDK's own client

# asyncio wakes itself through a pair of sockets without an address; all others are refused
SERVER = """
import socket, sys
def refuse(event, args):
    is_pair = event == "socket.__new__" and args[1] == socket.AF_UNIX
    if event.startswith("socket.") and not is_pair:
        raise PermissionError(f"{event} {args}")
sys.addaudithook(refuse)
"""
RUN = "from selfhost.cli.main import main\nsys.exit(main(['mcp']))"
# the schema of the contract that the verbose answer has; "" for an error
QUESTIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "check": ("check", {"model": "mistral-7b", "machine": MAC}, "verdict-1"),
    "check here": ("check", {"model": "gpt2"}, "verdict-1"),
    "check API": ("check", {"model": "gpt-4o"}, "verdict-1"),
    "list": ("list", {"machine": MAC}, "list-1"),
    "plan": ("plan", {"model": "mistral-7b"}, "plan-1"),
    "compare": ("compare", {"models": ["gpt2", "gpt-4o"]}, "compare-1"),
    "machine": ("machine", {}, "machine-1"),
    "machine in words": ("machine", {"machine": "RTX 3060, 32 GB of RAM"}, "machine-1"),
    "size": ("size", {"model": "mistral-7b", "parallel": 4}, ""),
    "wrong name": ("check", {"model": "mistrl-7b"}, ""),
}
# an agent pays for both forms of an answer, about a token for four bytes
MOST_TOKENS = {"check": 600, "compare": 1200, "list": 1000}


class Session:
    """What a client was told in one session."""

    def __init__(self) -> None:
        self.instructions = ""
        self.tools: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.verbose: dict[str, Any] = {}


@pytest.fixture(scope="module", params=["legacy", "auto"])
def session(
    request: pytest.FixtureRequest,
    source_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Session:
    """All questions, asked by the handshake of agents up to 2025 and by that of 2026."""
    import anyio
    from mcp import Client, StdioServerParameters, stdio_client

    told = Session()
    server = StdioServerParameters(
        command=sys.executable,
        args=["-c", SERVER + RUN],
        env=source_environment,
    )
    log = tmp_path_factory.mktemp("mcp") / "stderr"

    async def ask() -> None:
        with log.open("w", encoding="utf-8") as stream:
            transport = stdio_client(server, errlog=stream)
            async with Client(transport, mode=request.param) as client:
                told.instructions = client.instructions or ""
                listed = await client.list_tools()
                told.tools = {tool.name: tool for tool in listed.tools}
                for name, (tool, arguments, _) in QUESTIONS.items():
                    told.results[name] = await client.call_tool(tool, arguments)
                    in_full = {**arguments, "verbose": True}
                    told.verbose[name] = await client.call_tool(tool, in_full)

    anyio.run(ask)
    assert log.read_text(encoding="utf-8") == ""
    return told


@needs_sdk
@pytest.mark.skipif(sys.platform == "win32", reason="its pair of sockets has addresses")
class TestServer:
    """The server that an agent starts. It opens no internet socket: one would end the session."""

    def test_the_tools_are_listed_with_typed_arguments(self, session: Session) -> None:
        names = ["check", "list", "plan", "compare", "size", "machine"]
        assert list(session.tools) == names
        for tool in session.tools.values():
            assert tool.annotations.read_only_hint
            assert tool.description
            assert not tool.input_schema["additionalProperties"]
            assert tool.input_schema["properties"]["verbose"]["type"] == "boolean"
            # the client has held each answer against it
            assert tool.output_schema["type"] == "object"
        schema = session.tools["check"].input_schema
        assert schema["required"] == ["model"]
        assert schema["properties"]["context_tokens"]["type"] == "integer"
        assert schema["properties"]["purpose"]["enum"] == ["chat", "agent", "documents"]

    def test_each_argument_is_described_once(self, session: Session) -> None:
        """An agent pays for the list in each session: about 2,000 tokens of four bytes."""
        described: set[str] = set()
        for tool in session.tools.values():
            for name, schema in tool.input_schema["properties"].items():
                assert ("description" in schema) == (name not in described), name
                assert "type" in schema
                described.add(name)
        assert described == set(ARGUMENTS)
        tools = [
            tool.model_dump_json(exclude_none=True) for tool in session.tools.values()
        ]
        assert len("".join(tools).encode()) / 4 <= 2000

    def test_agents_are_told_to_ask_before_they_download(
        self, session: Session
    ) -> None:
        """Codex takes the first 512 characters of it as guidance."""
        assert session.instructions.startswith("Before you download")
        assert len(session.instructions) <= 512

    @pytest.mark.parametrize("name", [name for name in QUESTIONS if QUESTIONS[name][2]])
    def test_a_verbose_answer_is_the_json_of_the_contract(
        self, session: Session, name: str
    ) -> None:
        result = session.verbose[name]
        assert not result.is_error
        (content,) = result.content
        answer = json.loads(content.text)
        validate(answer, QUESTIONS[name][2])
        assert result.structured_content == answer

    def test_verbose_answers_are_those_of_python(self, session: Session) -> None:
        verdict = session.verbose["check"].structured_content
        assert verdict == selfhost.check("mistral-7b", machine=MAC).to_json()
        listed = session.verbose["list"].structured_content
        assert listed == selfhost.rank(top=10, machine=MAC).to_json()
        described = session.verbose["machine in words"].structured_content
        (card,) = described["accelerators"]
        assert card["name"] == "NVIDIA GeForce RTX 3060"
        assert described["memory_total_bytes"] == 32 * 2**30

    @pytest.mark.parametrize("name", QUESTIONS)
    def test_a_short_answer_is_cheap_and_holds_nothing_empty(
        self, session: Session, name: str
    ) -> None:
        result = session.results[name]
        (content,) = result.content
        assert "\n\n" not in content.text
        if result.is_error:
            return
        written = json.dumps(result.structured_content, separators=(",", ":"))
        assert not re.search(r"null|\[\]|\{\}", written)
        tokens = len((content.text + written).encode()) / 4
        assert tokens <= MOST_TOKENS.get(QUESTIONS[name][0], 1000)

    def test_a_short_answer_decides_as_the_full_one(self, session: Session) -> None:
        short = session.results["check"].structured_content
        full = session.verbose["check"].structured_content
        assert short["route"] == full["route"]
        assert short["commands"] == full["commands"]
        assert short["model"]["id"] == full["model"]["id"]
        assert short["memory_high_bytes"] == full["needs"]["memory"]["high_bytes"]
        (content,) = session.results["check"].content
        assert content.text.startswith("route: local\nRUNS: Mistral 7B Instruct")
        assert full["commands"][0] in content.text
        sized = session.results["size"].structured_content
        in_full = session.verbose["size"].structured_content
        assert sized["limit_bytes"] == in_full["limit_bytes"]
        assert sized["arguments"] == in_full["arguments"]

    def test_where_an_api_is_the_answer_its_first_offers_are_told(
        self, session: Session
    ) -> None:
        short = session.results["check API"].structured_content
        full = session.verbose["check API"].structured_content
        first, *_ = short["api_offers"]
        assert first.items() <= full["api_offers"][0].items()
        assert short["alternatives"][0]["id"] == full["alternatives"][0]["id"]
        (content,) = session.results["check API"].content
        assert "API: OpenAI, $" in content.text

    def test_a_wrong_name_is_an_error_with_its_remedy(self, session: Session) -> None:
        result = session.results["wrong name"]
        assert result.is_error
        (content,) = result.content
        assert "mistral:7b" in content.text


def test_two_modules_import_the_sdk_and_none_of_its_transports() -> None:
    """The SDK can serve HTTP too, which selfhost does not."""
    imported: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        modules = re.findall(
            r"^ *(?:from|import) ((?:mcp|anyio|pydantic)\b[\w.]*)", text, re.MULTILINE
        )
        if modules:
            imported[path.relative_to(PACKAGE).as_posix()] = set(modules)
    assert imported == {
        "cli/mcp_lines.py": {
            "anyio",
            "anyio.from_thread",
            "mcp",
            "mcp.shared.message",
            "pydantic",
        },
        "cli/mcp_server.py": {
            "anyio",
            "anyio.from_thread",
            "anyio.to_thread",
            "mcp",
            "mcp.server",
        },
    }


# ---------------------------------------------------------------- asked line by line


MCP = ("-m", "selfhost", "mcp")


@contextmanager
def started(
    environment: dict[str, str],
    words: Sequence[str] = MCP,
    stdout: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """A started server, or another program of Python. At the end nothing is left of it."""
    with subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def write_line(process: subprocess.Popen[bytes], message: object) -> None:
    """Send a message."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def errors_of(process: subprocess.Popen[bytes]) -> bytes:
    """What a program has written to standard error when it ends."""
    assert process.stderr is not None
    return process.stderr.read()


def errors_so_far(process: subprocess.Popen[bytes]) -> bytes:
    """What a program that runs has written to standard error."""
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    return process.stderr.read() or b""


class Agent:
    """A client that sends lines, and waits for answers by their ids."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        # in the order in which they came; None behind the last
        self.answers: list[dict[str, Any]] = []
        self._heard: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._ear = threading.Thread(target=self._hear)
        self._ear.start()
        who = {"name": "agent", "version": "1"}
        params = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": who,
        }
        self.send("initialize", 0, params)
        assert self.answer(0)["result"]["serverInfo"]["name"] == "selfhost"
        self.send("notifications/initialized")

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._heard.put(json.loads(line))
        self._heard.put(None)

    def send_line(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def send(
        self, method: str, id: int | None = None, params: dict[str, Any] | None = None
    ) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if id is not None:
            message["id"] = id
        if params is not None:
            message["params"] = params
        self.send_line(json.dumps(message).encode())

    def call(self, id: int, tool: str, **arguments: Any) -> None:
        self.send("tools/call", id, {"name": tool, "arguments": arguments})

    def cancel(self, id: int) -> None:
        self.send("notifications/cancelled", None, {"requestId": id})

    def answer(self, id: int | str | None) -> dict[str, Any]:
        """The answer with that id, waited for."""
        for answer in self.answers:
            if answer["id"] == id:
                return answer
        while (heard := self._heard.get(timeout=MOST_SECONDS)) is not None:
            self.answers.append(heard)
            if heard["id"] == id:
                return heard
        raise AssertionError(f"the server ended without an answer to {id}")

    def ids(self) -> list[Any]:
        """The ids of the answers so far, in their order."""
        return [answer["id"] for answer in self.answers]

    def workers(self) -> list[Any]:
        """The processes that the server has started."""
        import psutil

        return list(psutil.Process(self.process.pid).children())

    def worker(self) -> Any:
        """The one process that works, once there is one."""
        while not self.workers():
            time.sleep(0.01)
        (worker,) = self.workers()
        return worker

    def working(self) -> Any:
        """The process that works, which has answered its calls."""
        if not self.workers():
            self.call(1, "check", model="gpt2")
            self.answer(1)
            self.answers.clear()
        return self.worker()

    def end(self) -> tuple[int, bytes]:
        """The exit code, and what was written to standard error."""
        code = self.process.wait(MOST_SECONDS)
        self._ear.join()
        return code, errors_of(self.process)

    def leave(self) -> tuple[int, bytes]:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.end()


# a server that does not do what is waited for is a fault, on a slow machine too
MOST_SECONDS = 120
# all models, which takes seconds
# the last rows, for which every model is judged
EVERYTHING: dict[str, Any] = {"from": 1300, "machine": "RTX 3060, 32 GB of RAM"}

needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no such signals and pipes"
)


@contextmanager
def served(environment: dict[str, str], words: Sequence[str] = MCP) -> Iterator[Agent]:
    """An agent, and the server that it has started."""
    with started(environment, words) as process:
        agent = Agent(process)
        yield agent
        process.kill()
        agent.end()


@pytest.fixture
def agent(source_environment: dict[str, str]) -> Iterator[Agent]:
    """An agent with a server of its own."""
    with served(source_environment) as agent:
        yield agent


class SharedServer:
    """A server for cases that leave it as they found it: to start one takes a second. The server of
    a case that fails is left to no other.
    """

    def __init__(self, environment: dict[str, str], servers: ExitStack) -> None:
        self._environment = environment
        self._servers = servers
        self._idle: Agent | None = None

    @contextmanager
    def lent(self) -> Iterator[Agent]:
        """An agent that has heard no answer yet. Its server writes nothing to standard error."""
        agent = self._idle
        self._idle = None
        if agent is None:
            agent = self._servers.enter_context(served(self._environment))
        agent.answers.clear()
        yield agent
        assert errors_so_far(agent.process) == b""
        self._idle = agent

    def leave(self) -> None:
        """The agent goes, and the server ends as it should."""
        if self._idle is not None:
            assert self._idle.leave() == (0, b"")


@pytest.fixture(scope="module")
def server(source_environment: dict[str, str]) -> Iterator[SharedServer]:
    with ExitStack() as servers:
        shared = SharedServer(source_environment, servers)
        yield shared
        shared.leave()


@contextmanager
def paused(process: Any) -> Iterator[Any]:
    """A process that does nothing until it is resumed, at the end at the latest."""
    process.suspend()
    try:
        yield process
    finally:
        process.resume()


@needs_sdk
class TestWork:
    """Tools work beside the server, which hears its agent all the while."""

    @pytest.mark.parametrize(
        ("tool", "arguments"),
        [
            pytest.param("list", {"use": "code", "machine": MAC}, id="list"),
            pytest.param("check", {"model": "gpt2"}, id="check"),
            pytest.param("plan", {"model": "gpt2"}, id="plan"),
            pytest.param("compare", {"models": ["gpt2"] * 20}, id="compare"),
            pytest.param("machine", {}, id="machine"),
        ],
    )
    def test_a_ping_is_answered_while_a_tool_works(
        self, server: SharedServer, tool: str, arguments: dict[str, Any]
    ) -> None:
        with server.lent() as agent, paused(agent.working()) as worker:
            agent.call(1, tool, **arguments)
            agent.send("ping", 2)
            assert agent.answer(2)["result"] == {}
            worker.resume()
            assert "structuredContent" in agent.answer(1)["result"]
            assert agent.ids() == [2, 1]

    def test_the_work_for_a_cancelled_call_ends(self, agent: Agent) -> None:
        """A call that waits behind it has its turn, in another process."""
        agent.call(1, "list", **EVERYTHING)
        worker = agent.worker()
        agent.call(2, "check", model="gpt2")
        agent.cancel(1)
        worker.wait(MOST_SECONDS)
        assert not agent.answer(2)["result"].get("isError")
        assert agent.ids() == [0, 2]
        assert agent.worker() != worker

    def test_a_cancelled_call_that_waits_disturbs_no_other(
        self, server: SharedServer
    ) -> None:
        with server.lent() as agent:
            worker = agent.working()
            agent.call(1, "plan", model="gpt2")
            for id in range(10, 20):
                agent.call(id, "list", **EVERYTHING)
                agent.cancel(id)
            agent.call(2, "check", model="gpt2")
            agent.answer(2)
            assert agent.ids() == [1, 2]
            assert agent.worker() == worker

    def test_calls_at_once_share_one_process(self, server: SharedServer) -> None:
        """They are answered in their order, and the memory is that of one."""
        with server.lent() as agent:
            for id in range(1, 31):
                agent.call(id, "check", model="gpt2", context_tokens=id * 8)
            agent.answer(30)
            assert agent.ids() == list(range(1, 31))
            assert len(agent.workers()) == 1

    def test_a_storm_of_calls_taken_back(self, agent: Agent) -> None:
        for id in range(1, 301):
            agent.call(id, "list", **EVERYTHING)
            agent.cancel(id)
        agent.call(1000, "check", model="gpt2")
        assert not agent.answer(1000)["result"].get("isError")
        assert agent.ids() == [0, 1000]
        assert len(agent.workers()) == 1
        assert agent.leave() == (0, b"")

    def test_more_calls_than_can_wait_are_refused_at_once(self, agent: Agent) -> None:
        agent.call(1, "list", **EVERYTHING)
        for id in range(2, 1100):
            agent.call(id, "list", **EVERYTHING)
        (content,) = agent.answer(1099)["result"]["content"]
        assert content["text"].startswith("1,000 calls wait for their answers already")
        assert 1 not in agent.ids()

    def test_a_process_that_is_killed_costs_one_answer(self, agent: Agent) -> None:
        agent.call(1, "list", **EVERYTHING)
        agent.worker().kill()
        result = agent.answer(1)["result"]
        assert result["isError"]
        assert "ended without one" in result["content"][0]["text"]
        agent.call(2, "check", model="gpt2")
        assert not agent.answer(2)["result"].get("isError")

    def test_what_was_asked_before_the_input_ends_is_answered(
        self, agent: Agent
    ) -> None:
        """As where a file of requests is piped in."""
        for id in range(1, 4):
            agent.call(id, "check", model="gpt2")
        assert agent.leave() == (0, b"")
        agent.answer(3)
        assert agent.ids() == [0, 1, 2, 3]


CALLS_AT_THE_END = pytest.mark.parametrize(
    "calls",
    [
        pytest.param(0, id="between calls"),
        pytest.param(1, id="at work"),
        pytest.param(48, id="many wait"),
    ],
)
INTERRUPTED_WHILE_IT_STARTS = """
import os, signal, sys
module = sys.argv.pop()
def interrupt(event, args):
    if event == "import" and args[0] == module:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(interrupt)
sys.argv.append("mcp")
from selfhost.__main__ import start
start()"""
IMPATIENT = f"""
from selfhost.cli import mcp_lines
mcp_lines._SECONDS_AFTER_INPUT = 0.1
import sys
{RUN}"""


@needs_sdk
@needs_signals
class TestEnd:
    """The server ends at once, whatever it does, and leaves no process behind."""

    @staticmethod
    def worker_of(agent: Agent, calls: int) -> Any:
        """The process that works, which has answered a call, and has so many others to answer."""
        worker = agent.working()
        for id in range(2, 2 + calls):
            agent.call(id, "list", **EVERYTHING)
        return worker

    @CALLS_AT_THE_END
    def test_by_ctrl_c(self, agent: Agent, calls: int) -> None:
        worker = self.worker_of(agent, calls)
        agent.process.send_signal(signal.SIGINT)
        assert agent.end() == (130, b"")
        worker.wait(MOST_SECONDS)

    @pytest.mark.parametrize(
        ("number", "calls"),
        [
            pytest.param(15, 1, id="SIGTERM at work"),
            pytest.param(9, 48, id="SIGKILL while many wait"),
        ],
    )
    def test_by_another_signal(self, agent: Agent, number: int, calls: int) -> None:
        """Python hears nothing of it: the process that works finds its input closed."""
        worker = self.worker_of(agent, calls)
        agent.process.send_signal(number)
        assert agent.end() == (-number, b"")
        worker.wait(MOST_SECONDS)

    @CALLS_AT_THE_END
    def test_where_the_agent_goes(
        self, source_environment: dict[str, str], calls: int
    ) -> None:
        """It closes standard input; what is asked still is waited for, but not long: for five
        seconds, and here for a tenth of one.
        """
        from selfhost.cli import mcp_lines

        assert mcp_lines._SECONDS_AFTER_INPUT == 5.0
        with served(source_environment, ("-c", IMPATIENT)) as agent:
            worker = self.worker_of(agent, calls)
            assert agent.leave() == (0, b"")
            worker.wait(MOST_SECONDS)

    @pytest.mark.parametrize("closes_input", [False, True])
    @pytest.mark.parametrize("works", [False, True])
    def test_where_nobody_reads_the_answers(
        self, source_environment: dict[str, str], closes_input: bool, works: bool
    ) -> None:
        """The agent closes its end of standard output, and perhaps that of standard input."""
        ours, theirs = os.pipe()
        with started(source_environment, stdout=theirs) as process:
            os.close(theirs)
            for message in OPENING:
                write_line(process, message)
            assert os.read(ours, 65536)
            if works:
                params = {"name": "list", "arguments": EVERYTHING}
                write_line(process, {**PING, "method": "tools/call", "params": params})
            os.close(ours)
            if closes_input:
                assert process.stdin is not None
                process.stdin.close()
            assert process.wait(MOST_SECONDS) == 0
            assert errors_of(process) == b""

    @pytest.mark.parametrize(
        "module",
        ["selfhost.cli.main", "selfhost.cli.mcp_files", "mcp", "pydantic_core"],
    )
    def test_by_ctrl_c_while_it_starts(
        self, source_environment: dict[str, str], module: str
    ) -> None:
        """Where it begins to load a module of its own, or a compiled one of the SDK."""
        words = ("-c", INTERRUPTED_WHILE_IT_STARTS, module)
        with started(source_environment, words) as process:
            assert process.wait(MOST_SECONDS) == 130
            assert errors_of(process) == b""

    def test_by_ctrl_c_on_a_terminal(self, source_environment: dict[str, str]) -> None:
        import pty

        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-c", ON_A_TERMINAL],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=source_environment,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            shown = b""
            while b"Ctrl-C ends it" not in shown:
                shown += os.read(ours, 1000)
            os.write(ours, b"\x03")
            assert process.wait(MOST_SECONDS) == 130
        os.close(ours)


OPENING: list[dict[str, Any]] = [
    {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "agent", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]
PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
# a terminal that controls its processes sends them Ctrl-C as a signal
ON_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "selfhost", "mcp"])
"""
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"check","arguments":'
DEEP = 100_000


@needs_sdk
@pytest.mark.parametrize(
    ("line", "id", "code"),
    [
        pytest.param(CALL + b'{"model":"\\ud800"}}}', 1, -32700, id="half a character"),
        pytest.param(CALL + b'{"model":"a\\udc00b"}}}', 1, -32700, id="the other half"),
        pytest.param(CALL + b'{"model":"\xff"}}}', 1, -32700, id="no UTF-8"),
        pytest.param(
            CALL + b'{"top":' + b"9" * 5000 + b"}}}", None, -32700, id="digits"
        ),
        pytest.param(
            CALL + b"[" * DEEP + b"]" * DEEP + b"}}", None, -32700, id="deep arrays"
        ),
        pytest.param(
            CALL + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}}",
            None,
            -32700,
            id="deep objects",
        ),
        pytest.param(
            b'{"params":{"id":7,"x":"\\ud800"},"method":"ping","id":"a","jsonrpc":"2.0"}',
            "a",
            -32700,
            id="an id behind another one",
        ),
        pytest.param(CALL, None, -32700, id="half a line"),
        pytest.param(b"hello", None, -32700, id="no JSON"),
        pytest.param(b"[" * DEEP, None, -32700, id="no object"),
        pytest.param(b"[]", None, -32600, id="an array"),
        pytest.param(b"null", None, -32600, id="null"),
        pytest.param(
            b'{"jsonrpc":"2.0","id":null,"method":"ping"}', None, -32600, id="no id"
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, -32600, id="a fraction"
        ),
        pytest.param(b'{"id":1,"method":"ping"}', 1, -32600, id="no version"),
        pytest.param(
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}',
            1,
            -32600,
            id="an array of arguments",
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":1,"result":1}', None, -32600, id="an odd answer"
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * 9999 + b'"}',
            1,
            -32601,
            id="a long method",
        ),
        pytest.param(
            CALL + b'{"model":"' + b"a" * (3 << 20) + b'"}}}', None, -32600, id="long"
        ),
    ],
)
def test_a_line_that_is_no_request_is_answered(
    server: SharedServer, line: bytes, id: int | str | None, code: int
) -> None:
    """By an error that is short, and the server goes on. The codes are those of JSON-RPC 2.0, and
    so is null for the id of what cannot be read (5).
    """
    with server.lent() as agent:
        agent.send_line(line)
        answer = agent.answer(id)
        assert answer["error"]["code"] == code
        assert len(json.dumps(answer)) < 300
        agent.send("ping", 2)
        assert agent.answer(2)["result"] == {}
        assert agent.ids() == [id, 2]


@needs_sdk
def test_a_line_of_any_length_takes_little_memory() -> None:
    """100 MB, of which a limit of a line and the end are kept."""
    import tracemalloc

    from selfhost.cli.mcp_lines import MOST_LINE_BYTES, lines_of

    chunks = iter([b'{"id":1,', *[b"a" * 65536] * 1600, b"\n\n", b"x\ny", b""])
    tracemalloc.start()
    long, empty, short, last = lines_of(lambda _most_bytes: next(chunks))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert long.size_bytes == 8 + 1600 * 65536
    assert long.begin.startswith(b'{"id":1,aaa')
    assert len(long.begin) == MOST_LINE_BYTES
    assert most < 8 * MOST_LINE_BYTES
    assert [line.begin for line in (empty, short, last)] == [b"", b"x", b"y"]


@needs_sdk
@needs_signals
def test_an_agent_that_does_not_read_is_not_read(
    source_environment: dict[str, str],
) -> None:
    """The server holds a bounded number of requests, and ends by Ctrl-C all the same."""
    padding = {"_meta": {"x": "y" * 60_000}}
    request = {**PING, "method": "tools/list", "params": padding}
    line = json.dumps(request).encode() + b"\n"
    with started(source_environment) as process:
        assert process.stdout is not None
        for message in OPENING:
            write_line(process, message)
        assert process.stdout.readline()
        assert process.stdin is not None
        descriptor = process.stdin.fileno()
        os.set_blocking(descriptor, False)
        sent_bytes = 0
        refused = 0
        while refused < 200 and sent_bytes < 200 << 20:
            try:
                sent_bytes += os.write(descriptor, line)
                refused = 0
            except BlockingIOError:
                refused += 1
                time.sleep(0.01)
        assert sent_bytes < 100 << 20
        os.set_blocking(descriptor, True)
        process.send_signal(signal.SIGINT)
        assert process.wait(MOST_SECONDS) == 130
        assert errors_of(process) == b""


# what works opens no socket at all
REFUSE_ALL = """
import sys
def refuse(event, args):
    if event.startswith("socket."):
        raise PermissionError(f"{event} {args}")
sys.addaudithook(refuse)
"""


def test_the_process_that_works_opens_no_socket(
    source_environment: dict[str, str],
) -> None:
    """It answers as the server passes the answers on, and ends with its input."""
    code = f"{REFUSE_ALL}from selfhost.cli.main import main\nmain(['_answer'])"
    with started(source_environment, ("-c", code)) as process:
        assert process.stdout is not None
        for tool, arguments, schema in QUESTIONS.values():
            write_line(process, {"tool": tool, "arguments": arguments, "folders": []})
            answer = json.loads(process.stdout.readline())
            is_error = tool == "check" and schema == ""
            assert answer["is_error"] is is_error
            assert bool(answer["content"]) is not is_error
        out, err = process.communicate(timeout=MOST_SECONDS)
        assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_the_proof_can_fail(family: str) -> None:
    """Where the server's process asks for an internet socket, it is refused."""
    done = subprocess.run(
        [sys.executable, "-c", f"{SERVER}socket.socket(socket.{family})"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "PermissionError: socket.__new__" in done.stderr


def test_the_page_shows_lines_that_agents_can_read() -> None:
    """The JSON and TOML of docs/agents.md start the command."""
    import tomllib

    page = (ROOT / "docs" / "agents.md").read_text("utf-8")
    started = {"command": "selfhost", "args": ["mcp"]}
    _, *blocks = page.split("```json\n")
    of_code, of_others = [json.loads(block.split("```")[0]) for block in blocks]
    assert of_code == {"servers": {"selfhost": {"type": "stdio", **started}}}
    assert of_others == {"mcpServers": {"selfhost": started}}
    lines = tomllib.loads(page.split("```toml\n")[1].split("```")[0])
    assert lines == {"mcp_servers": {"selfhost": started}}
    for name in (*TOOLS, *ARGUMENTS):
        assert f"`{name}`" in page
