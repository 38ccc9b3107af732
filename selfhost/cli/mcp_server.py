"""The server of `selfhost mcp`: requests of an agent -> calls of the tools -> answers.

The official SDK speaks the protocol, and gives each request a task of its own. A task waits for
its turn, and hands its call to the process that works (`mcp_worker`). So the loop of events is
always free to hear the agent: a ping is answered at once, and a call that is taken back ends with
its work.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal
from mcp import types
from mcp.server import Server

from ..core import __version__
from ..core.errors import SelfhostError
from .mcp_lines import CLOSED, Connection
from .mcp_tools import INSTRUCTIONS, TOOLS, arguments_of, input_schemas, sentence
from .mcp_worker import Answer, Call, Worker
from .output import bug, own_output

# an agent asks a few at once
_MOST_CALLS = 1000


def serve(folders: Sequence[str]) -> None:
    """Serve standard input and output until the agent closes either. Models are read from files in
    these folders alone.
    """
    # a warning of the SDK is that a client does not read: no concern of who reads standard error
    logging.getLogger("mcp").setLevel(logging.ERROR)
    # taken before the loop of events opens anything: it may get the number of a closed descriptor
    anyio.run(_serve, folders, own_output())


async def _serve(folders: Sequence[str], output: int) -> None:
    calls = _Calls(folders)
    server = _server(calls)
    with anyio.CancelScope() as scope:
        try:
            async with BlockingPortal() as portal:
                connection = Connection(portal, output, scope.cancel)
                connection.start()
                await server.run(
                    connection.requests,
                    connection.answers,
                    server.create_initialization_options(),
                )
                await connection.wait_until_written()
                scope.cancel()
        except* CLOSED:
            # where the server is stopped, parts of the SDK may still send to others that have ended
            if not scope.cancel_called:
                raise
        finally:
            calls.worker.end()


def _server(calls: _Calls) -> Server[Any]:
    """The server of the SDK with the tools."""

    async def list_tools(
        _context: object, _request: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        tools = []
        schemas = input_schemas()
        for name, tool in TOOLS.items():
            tools.append(
                types.Tool(
                    name=name,
                    description=tool.description,
                    input_schema=schemas[name],
                    output_schema=tool.output_schema,
                    annotations=types.ToolAnnotations(
                        read_only_hint=True, open_world_hint=False
                    ),
                )
            )
        return types.ListToolsResult(tools=tools)

    async def call_tool(
        _context: object, request: types.CallToolRequestParams
    ) -> types.CallToolResult:
        return await calls.result(request.name, request.arguments or {})

    return Server(
        "selfhost",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


class _Calls:
    """The calls of an agent: one at a time is worked out, the others wait in their order."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.worker = Worker()
        self._folders = folders
        self._turn = anyio.Lock()
        self._count = 0

    async def result(
        self, name: str, arguments: Mapping[str, object]
    ) -> types.CallToolResult:
        """Return the answer of a tool, as text and as an object. An error, or a bug, is its message
        and remedy.
        """
        self._count += 1
        try:
            # refused at once, so that what waits is short
            stated = arguments_of(name, arguments)
            if self._count > _MOST_CALLS:
                message = f"{_MOST_CALLS:,} calls wait for their answers already"
                raise SelfhostError(message, remedy="ask again when some are answered")
            return await self._worked_out(Call(name, stated, self._folders))
        except Exception as error:
            problem = error if isinstance(error, SelfhostError) else bug(error)
            return _result(Answer(text=sentence(problem, name), is_error=True))
        finally:
            self._count -= 1

    async def _worked_out(self, call: Call) -> types.CallToolResult:
        """The result of a call, when its turn has come. The work ends with the task, which the
        agent may cancel.
        """
        async with self._turn:
            try:
                return await anyio.to_thread.run_sync(
                    self._ask, call, abandon_on_cancel=True
                )
            except anyio.get_cancelled_exc_class():
                self.worker.take_back(call)
                raise

    def _ask(self, call: Call) -> types.CallToolResult:
        return _result(self.worker.ask(call))


def _result(answer: Answer) -> types.CallToolResult:
    """The result with the text and the object of an answer; an error has a text alone."""
    content = types.TextContent(type="text", text=answer.text)
    if answer.is_error:
        return types.CallToolResult(content=[content], is_error=True)
    return types.CallToolResult(
        content=[content], structured_content=dict(answer.content)
    )
