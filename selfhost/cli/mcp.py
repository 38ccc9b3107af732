"""`selfhost mcp`: tools for agents, over the Model Context Protocol.

An agent starts the command and talks to it over standard input and output: before it downloads a
model, it asks whether the model runs here. A tool takes the arguments of a public function and
answers with the JSON of that function. The official SDK, the extra `mcp`, speaks the protocol.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import api
from ..core import __version__
from ..core.errors import SelfhostError, UsageError, WorkloadError, one_line
from ..core.files import forget_inputs
from ..core.records import JSON, Record, Stated, shortened
from ..core.tables import Document, Limits, TomlRow, unchecked_table
from ..core.workload import Workload
from ..machine.named import named
from ..machine.record import Machine
from ..reports.json import Object
from .output import bug, write
from .parser import Options

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp.types import CallToolResult

# an agent reads a whole answer and pays for its length
_LISTED_MODELS = 10
_LISTED_MACHINES = 10


class _Texts(Stated):
    """`specs/common/mcp.toml`: the instructions for agents, and the JSON schema of each argument.

    Arguments of a Workload have the names of its fields.
    """

    instructions: str
    argument: Mapping[str, TomlRow]


_TEXTS = unchecked_table(_Texts, "mcp")
ARGUMENTS = _TEXTS.argument
# the annotations of JSON's kinds, as `TomlTable.get` takes them; every array is of strings
_ANNOTATIONS: Mapping[str, str] = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "tuple[str, ...]",
}
_WORKLOAD = tuple([name for name in ARGUMENTS if name in Workload._keys])


class Tool(Record):
    """A tool for agents: the function that answers, and the names of its arguments. The function's
    docstring tells agents what the tool is for.
    """

    answer: Callable[..., Object]
    arguments: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The docstring in one line; empty under `python -OO`."""
        return " ".join((self.answer.__doc__ or "").split())

    @property
    def input_schema(self) -> Object:
        """The JSON schema of the arguments."""
        return {
            "type": "object",
            "properties": {name: ARGUMENTS[name] for name in self.arguments},
            "required": list(self.required),
            "additionalProperties": False,
        }


def check(model: str, **fields: Any) -> Object:
    """Can this machine download and run the model, or is an API the practical route? Ask before a
    download: the answer has the size, the memory, the speed and the commands to type.
    """
    return api.check(model, **fields).to_json()


def list_models(*, top: int = _LISTED_MODELS, **fields: Any) -> Object:
    """The models that suit this machine, best first: each with its route, memory, download and
    speed.
    """
    return api.rank(top=top, **fields).to_json()


def plan(model: str, **fields: Any) -> Object:
    """The least machine that runs the model (`least`), and the first known machines that do, the
    smallest first. `machines_not_listed` counts the other known machines.
    """
    answer = api.plan(model, **fields).to_json()
    machines = answer["machines"]
    answer["machines"] = machines[:_LISTED_MACHINES]
    answer["machines_not_listed"] = len(machines[_LISTED_MACHINES:])
    return answer


def compare(models: Sequence[str], **fields: Any) -> Object:
    """Two models or more side by side on one machine: the answer of `check` for each, with license
    and openness.
    """
    return api.compare(models, **fields).to_json()


def machine(machine: str | None = None) -> Object:
    """Read the facts of this machine, each with its source: memory, processor, accelerators, disks
    and installed runtimes. With `machine`: the facts of the machine that the words describe.
    """
    if machine is None:
        return Machine.read().to_json()
    described, _ = named(machine)
    return described.to_json()


TOOLS: Mapping[str, Tool] = {
    "check": Tool(
        answer=check, arguments=("model", "machine", *_WORKLOAD), required=("model",)
    ),
    "list": Tool(
        answer=list_models,
        arguments=("top", "use", "modality", "machine", *_WORKLOAD),
    ),
    "plan": Tool(answer=plan, arguments=("model", *_WORKLOAD), required=("model",)),
    "compare": Tool(
        answer=compare,
        arguments=("models", "machine", *_WORKLOAD),
        required=("models",),
    ),
    "machine": Tool(answer=machine, arguments=("machine",)),
}


def run(words: Sequence[str]) -> int:
    """Answer one agent until it closes standard input; returns 0."""
    Options.read("mcp", words)
    server = _server()
    if sys.stdin is not None and sys.stdin.isatty():
        write(
            "selfhost mcp waits for an agent on standard input (Ctrl-C ends it)\n",
            to_error=True,
        )
    # the server runs as long as the agent: a list of input files would grow without end
    forget_inputs()
    _serve(server)
    return 0


def _serve(server: Server[Any]) -> None:
    """Serve standard input and output until the input ends."""
    import anyio
    from mcp.server.stdio import stdio_server

    async def serve() -> None:
        async with stdio_server() as (requests, answers):
            await server.run(requests, answers, server.create_initialization_options())

    anyio.run(serve)


def _server() -> Server[Any]:
    """The server of the SDK with the tools. Raises `SelfhostError` where there is no SDK."""
    try:
        from mcp import types
        from mcp.server import Server
    except ImportError:
        raise SelfhostError(
            "`selfhost mcp` needs version 2 of the official MCP SDK",
            remedy='install it beside selfhost: pip install "mcp>=2"',
        ) from None

    async def list_tools(
        _context: object, _request: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        tools = []
        for name, tool in TOOLS.items():
            tools.append(
                types.Tool(
                    name=name,
                    description=tool.description,
                    input_schema=tool.input_schema,
                    annotations=types.ToolAnnotations(
                        read_only_hint=True, open_world_hint=False
                    ),
                )
            )
        return types.ListToolsResult(tools=tools)

    async def call_tool(
        _context: object, request: types.CallToolRequestParams
    ) -> types.CallToolResult:
        return result(request.name, request.arguments or {})

    return Server(
        "selfhost",
        version=__version__,
        instructions=_TEXTS.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def result(name: str, arguments: Mapping[str, Any]) -> CallToolResult:
    """Return the answer of a tool, as text and as an object. An error, or a bug, is its message and
    remedy.
    """
    import json

    from mcp.types import CallToolResult, TextContent

    try:
        answer = answer_of(name, arguments)
    except Exception as error:
        problem = error if isinstance(error, SelfhostError) else bug(error)
        content = TextContent(type="text", text=sentence(problem))
        return CallToolResult(content=[content], is_error=True)
    # without spaces, since the agent pays for each token
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    content = TextContent(type="text", text=text)
    return CallToolResult(content=[content], structured_content=answer)


def answer_of(name: str, arguments: Mapping[str, Any]) -> Object:
    """Return the JSON answer of a tool. An argument that is null states nothing.

    Raises `SelfhostError`, also for a tool or an argument that does not exist.
    """
    tool = TOOLS.get(name)
    if tool is None:
        raise UsageError(
            f"there is no tool {shortened(name)!r}",
            remedy=f"call one of {', '.join(TOOLS)}",
        )
    stated: Object = {}
    for key, value in arguments.items():
        if key not in tool.arguments:
            # an argument that was silently ignored would seem to be judged
            names = ", ".join(tool.arguments)
            message = f"`{name}` takes no argument {shortened(key)!r}"
            raise UsageError(message, remedy=f"its arguments are {names}")
        if value is not None:
            stated[key] = value
    _refuse_empty_texts(name, stated)
    for key in tool.required:
        if key not in stated:
            description = ARGUMENTS[key]["description"]
            message = f"`{name}` needs the argument {key!r}"
            raise UsageError(message, remedy=description)
    _refuse_wrong_kinds(name, stated)
    return tool.answer(**stated)


def _refuse_empty_texts(name: str, stated: Object) -> None:
    """Raise `UsageError` for an argument of a tool that is an empty text."""
    for key, value in stated.items():
        if not isinstance(value, str) or value.strip():
            continue
        remedy = ARGUMENTS[key]["description"]
        if key not in TOOLS[name].required:
            remedy = f"leave it out, or state it: {remedy}"
        raise UsageError(f"{name}: {key}: is empty", remedy=remedy)


def _refuse_wrong_kinds(tool: str, stated: Object) -> None:
    """Raise `WorkloadError` for arguments whose kinds do not match their schemas, in the words of
    JSON. The functions that answer would use those of Python.
    """
    document = Document(tool, stated, notation=JSON)
    for key in stated:
        limits: Limits = {}
        if key in Workload._keys:
            limits = Workload._keys[key].limits
        kind = ARGUMENTS[key]["type"]
        document.root.get(key, _ANNOTATIONS[kind], **limits)
    if not document.ok:
        raise WorkloadError(document.problems)


def sentence(error: SelfhostError) -> str:
    """Return the message of an error, with the remedy where the message does not hold it yet."""
    text = str(error)
    remedy = one_line(error.remedy or "")
    if remedy not in text:
        text = f"{text} ({remedy})"
    return text
