"""`selfhost mcp`: what its tools answer, also to the client of the official SDK."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, cast

import pytest

import selfhost
from helpers.figures import PACKAGE
from helpers.paths import ROOT
from helpers.written import validate
from selfhost import SelfhostError, Workload
from selfhost.cli.main import main
from selfhost.cli.mcp import ARGUMENTS, TOOLS, Tool, answer_of, result, sentence
from selfhost.core.purposes import WORKLOAD_PURPOSES

MAC = "macbook air m2 16gb"
OFFICE = "desktop-i3-8gb-no-gpu"

needs_sdk = pytest.mark.skipif(
    find_spec("mcp") is None,
    reason="the MCP SDK is not installed (pip install 'mcp>=2')",
)


@pytest.mark.parametrize(
    ("tool", "arguments", "parts"),
    [
        pytest.param(
            "check",
            {"model": "mistrl-7b"},
            ["not in the catalogue", "mistral:7b", "selfhost list --all"],
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
            {"model": "gpt2", "gpu": "RTX 4090"},
            ["`check` takes no argument 'gpu'", "its arguments are model, machine"],
            id="an argument that would be passed over",
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
    text = sentence(caught.value)
    assert "\n" not in text
    for part in parts:
        assert text.count(part) == 1


def test_each_argument_of_a_wrong_kind_is_told() -> None:
    with pytest.raises(SelfhostError) as caught:
        answer_of("compare", {"models": [5, "gpt2"], "license": True})
    assert sentence(caught.value).split("\n") == [
        'compare: models[0]: must be a string, not the number 5 (write it in quotes: "…")',
        'compare: license: must be a string, not true (write it in quotes: "…")',
    ]


def test_what_is_null_states_nothing() -> None:
    """Clients send null for what the agent left out."""
    stated = {"model": "gpt2", "machine": OFFICE, "license": None, "parallel": None}
    assert (
        answer_of("check", stated) == selfhost.check("gpt2", machine=OFFICE).to_json()
    )


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
        "min_tokens_per_second": 5,
        "private": True,
        "commercial": True,
        "license": "Apache-2.0",
    }
    answer = answer_of("check", {"model": "mistral-7b", "machine": MAC, **stated})
    assert {key: answer["workload"][key] for key in stated} == stated
    assert answer == selfhost.check("mistral-7b", machine=MAC, **stated).to_json()


def test_each_argument_of_a_workload_is_a_field_of_it() -> None:
    others = {"model", "models", "machine", "use", "modality", "top"}
    assert set(ARGUMENTS) - others <= set(Workload._fields)
    used = {name for tool in TOOLS.values() for name in tool.arguments}
    assert used == set(ARGUMENTS)
    assert ARGUMENTS["purpose"]["enum"] == [*WORKLOAD_PURPOSES]
    listed = len(answer_of("list", {"machine": OFFICE})["models"])
    assert f"(default: {listed})" in ARGUMENTS["top"]["description"]


def test_a_plan_lists_ten_machines_and_counts_the_others() -> None:
    """All known machines are 100 KB, more than an agent takes in one answer."""
    answer = answer_of("plan", {"model": "mistral-7b"})
    full = selfhost.plan("mistral-7b").to_json()
    assert answer["machines"] == full["machines"][:10]
    assert answer["machines_not_listed"] == len(full["machines"]) - 10
    assert answer["least"] == full["least"]


def test_without_the_sdk_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert main(["mcp"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "needs version 2 of the official MCP SDK" in shown.err
    assert 'pip install "mcp>=2"' in shown.err


@needs_sdk
def test_a_bug_is_told_as_the_command_line_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session goes on: the agent has other questions."""

    def broken() -> dict[str, Any]:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(cast(dict[str, Tool], TOOLS), "machine", Tool(answer=broken))
    told = result("machine", {})
    assert told.is_error
    (content,) = told.content
    assert content.type == "text"
    assert content.text.startswith("a bug in selfhost: ZeroDivisionError: division")


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
QUESTIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "check": ("check", {"model": "mistral-7b", "machine": MAC}, "verdict-1"),
    "check here": ("check", {"model": "gpt2"}, "verdict-1"),
    "list": ("list", {"machine": MAC}, "list-1"),
    "plan": ("plan", {"model": "mistral-7b"}, "plan-1"),
    "compare": ("compare", {"models": ["gpt2", "gpt-4o"]}, "compare-1"),
    "machine": ("machine", {}, "machine-1"),
    "machine in words": ("machine", {"machine": "RTX 3060, 32 GB of RAM"}, "machine-1"),
    "wrong name": ("check", {"model": "mistrl-7b"}, ""),
}


class Session:
    """What a client was told in one session."""

    def __init__(self) -> None:
        self.instructions = ""
        self.tools: dict[str, Any] = {}
        self.results: dict[str, Any] = {}


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

    anyio.run(ask)
    assert log.read_text(encoding="utf-8") == ""
    return told


@needs_sdk
@pytest.mark.skipif(sys.platform == "win32", reason="its pair of sockets has addresses")
class TestServer:
    """The server that an agent starts. It opens no internet socket: one would end the session."""

    def test_the_tools_are_listed_with_typed_arguments(self, session: Session) -> None:
        assert list(session.tools) == ["check", "list", "plan", "compare", "machine"]
        for tool in session.tools.values():
            assert tool.annotations.read_only_hint
            assert tool.description
            assert not tool.input_schema["additionalProperties"]
        schema = session.tools["check"].input_schema
        assert schema["required"] == ["model"]
        assert schema["properties"]["context_tokens"]["type"] == "integer"
        assert schema["properties"]["purpose"]["enum"] == ["chat", "agent", "documents"]

    def test_agents_are_told_to_ask_before_they_download(
        self, session: Session
    ) -> None:
        """Codex takes the first 512 characters of it as guidance."""
        assert session.instructions.startswith("Before you download")
        assert len(session.instructions) <= 512

    @pytest.mark.parametrize("name", [name for name in QUESTIONS if QUESTIONS[name][2]])
    def test_each_tool_answers_with_the_json_of_the_contract(
        self, session: Session, name: str
    ) -> None:
        result = session.results[name]
        assert not result.is_error
        (content,) = result.content
        answer = json.loads(content.text)
        validate(answer, QUESTIONS[name][2])
        assert result.structured_content == answer

    def test_the_answers_are_those_of_python(self, session: Session) -> None:
        verdict = session.results["check"].structured_content
        assert verdict == selfhost.check("mistral-7b", machine=MAC).to_json()
        listed = session.results["list"].structured_content
        assert listed == selfhost.rank(top=10, machine=MAC).to_json()
        described = session.results["machine in words"].structured_content
        (card,) = described["accelerators"]
        assert card["name"] == "NVIDIA GeForce RTX 3060"
        assert described["memory_total_bytes"] == 32 * 2**30

    def test_a_wrong_name_is_an_error_with_its_remedy(self, session: Session) -> None:
        result = session.results["wrong name"]
        assert result.is_error
        (content,) = result.content
        assert "mistral:7b" in content.text
        assert "selfhost list --all" in content.text


def test_one_module_imports_the_sdk_and_of_its_transports_stdio() -> None:
    """The SDK can serve HTTP too, which selfhost does not."""
    imported: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        modules = re.findall(
            r"^ *(?:from|import) ((?:mcp|anyio)\b[\w.]*)", text, re.MULTILINE
        )
        if modules:
            imported[path.relative_to(PACKAGE).as_posix()] = set(modules)
    names = {"anyio", "mcp", "mcp.server", "mcp.server.stdio", "mcp.types"}
    assert imported == {"cli/mcp.py": names}


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
    shown = json.loads(page.split("```json\n")[1].split("```")[0])
    assert shown == {"servers": {"selfhost": {"type": "stdio", **started}}}
    lines = tomllib.loads(page.split("```toml\n")[1].split("```")[0])
    assert lines == {"mcp_servers": {"selfhost": started}}
    for name in (*TOOLS, *ARGUMENTS):
        assert f"`{name}`" in page
