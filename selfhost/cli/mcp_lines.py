"""The lines of JSON that an agent and `selfhost mcp` send each other, and what they mean.

What goes in: the bytes of standard input. What comes out: messages of the protocol for the SDK's
server, whose answers go to standard output as lines. The transport of the SDK drops a line that it
cannot read, so that its sender waits for ever, holds a line of any length in memory, and waits for
a thread that reads when it should end. So this module has one of its own: every request is
answered, if only by an error; a line has a limit; and the end of the program waits for no thread.
"""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial

import anyio
from anyio.from_thread import BlockingPortal
from mcp import types
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from pydantic import ValidationError

from ..core.records import Record

# a call takes a thousand bytes; a client may introduce itself with pictures
MOST_LINE_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
# of requests that wait for their answer: a client that sends without reading waits, too
_MOST_REQUESTS = 2000
_MOST_REQUEST_BYTES = 16 << 20
_MOST_ID_LETTERS = 200
_MOST_METHOD_LETTERS = 200
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# the SDK's server also takes errors, which this module answers itself
Received = SessionMessage | Exception
# a stream that somebody has closed at one of its ends
CLOSED = (anyio.ClosedResourceError, anyio.BrokenResourceError)
# how long answers are worked out for an agent that has closed standard input, and how long an agent
# that does not read is waited for; the SDK's client waits two seconds before it ends the server
_SECONDS_AFTER_INPUT = 5.0
_SECONDS_FOR_LAST_LINE = 1.0

# ------------------------------------------------------------------ lines


class Line(Record):
    """A line as it came; of a line that is too long the begin alone, with the size of the whole."""

    begin: bytes
    size_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out."""
        return self.size_bytes == len(self.begin)


def lines_of(read: Callable[[int], bytes]) -> Iterator[Line]:
    """Yield the lines that `read` reads, which returns b"" at the end. What is kept of a line is
    bounded.
    """
    begin = bytearray()
    size_bytes = 0
    while chunk := read(_CHUNK_BYTES):
        pieces = chunk.split(b"\n")
        for place, piece in enumerate(pieces):
            if place:
                yield Line(begin=bytes(begin), size_bytes=size_bytes)
                begin.clear()
                size_bytes = 0
            kept_bytes = MOST_LINE_BYTES - len(begin)
            begin += piece[:kept_bytes]
            size_bytes += len(piece)
    if size_bytes:
        yield Line(begin=bytes(begin), size_bytes=size_bytes)


# ------------------------------------------------------------------ messages


class RefusedLine(Exception):
    """A line of which no message can be made; `answer` is the error that its sender is told."""

    def __init__(
        self,
        id: types.RequestId | None,
        code: int,
        why: str,
    ) -> None:
        super().__init__(why)
        error = types.ErrorData(code=code, message=why)
        self.answer = types.JSONRPCError(jsonrpc="2.0", id=id, error=error)


def message_in(line: Line) -> types.JSONRPCMessage:
    """The message in a line. Raises `RefusedLine`."""
    if not line.is_whole:
        most = f"{MOST_LINE_BYTES:,}"
        why = f"the line is {line.size_bytes:,} bytes long; at most {most} are read"
        raise RefusedLine(None, types.INVALID_REQUEST, why)
    content = line.begin.removeprefix(_BYTE_ORDER_MARK)
    try:
        message = types.jsonrpc_message_adapter.validate_json(content, by_name=False)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        id = _request_id(_object_in(content))
        if fault["type"] != "json_invalid":
            why = "the line is no message of JSON-RPC 2.0"
            raise RefusedLine(id, types.INVALID_REQUEST, why) from None
        reason = fault.get("ctx", {}).get("error", fault["msg"])
        why = f"the line is not JSON that can be read: {reason}"
        raise RefusedLine(id, types.PARSE_ERROR, why) from None
    if isinstance(message, types.JSONRPCNotification) and "id" in _object_in(content):
        # null, a fraction or true: the sender waits for an answer all the same
        why = "the id of a request must be a string or a whole number"
        raise RefusedLine(None, types.INVALID_REQUEST, why)
    if isinstance(message, types.JSONRPCRequest):
        letters = len(message.method)
        if letters > _MOST_METHOD_LETTERS:
            # the SDK would repeat the name
            why = f"no method has a name of {letters:,} letters"
            raise RefusedLine(message.id, types.METHOD_NOT_FOUND, why)
    return message


def line_of(message: types.JSONRPCMessage) -> bytes:
    """The line that says a message."""
    try:
        text = message.model_dump_json(by_alias=True, exclude_unset=True)
    except ValueError:
        # half a character, which no line can say
        id = getattr(message, "id", None)
        why = "the answer holds what is no text"
        text = RefusedLine(id, types.INTERNAL_ERROR, why).answer.model_dump_json()
    return text.encode() + b"\n"


def _object_in(content: bytes) -> Mapping[str, object]:
    """The object of a line; an empty one where the line has none, or is broken. Half a character,
    which the SDK refuses, is read here.
    """
    try:
        value = json.loads(content.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _request_id(message: Mapping[str, object]) -> types.RequestId | None:
    """The id of a request; None where there is none that can be sent back (JSON-RPC 2.0, 5). The id
    of an answer is the server's own.
    """
    id = message.get("id")
    if "result" in message or "error" in message:
        return None
    # true is an int, too
    if type(id) is not int and not isinstance(id, str):
        return None
    text = str(id)
    if not text or len(text) > _MOST_ID_LETTERS:
        return None
    if text.encode("utf-8", "replace").decode() != text:
        # half a character cannot be sent
        return None
    return id


# ------------------------------------------------------------------ the connection


class Connection:
    """Standard input and output as streams of messages. Two threads read and write them, which the
    end of the program does not wait for.

    `requests` and `answers` are the streams for the server of the SDK.
    """

    def __init__(
        self,
        portal: BlockingPortal,
        output: int,
        stop: Callable[[], None],
    ) -> None:
        """Make the connection. Answers go to the descriptor `output`. `stop` stops the server,
        once nobody reads the answers any more.
        """
        self._portal = portal
        self._output = output
        self._stop = stop
        self._received, self.requests = anyio.create_memory_object_stream[Received](0)
        self.answers, self._sent = anyio.create_memory_object_stream[SessionMessage](0)
        # answers to lines that are no requests go beside those of the server
        self._refusals = self.answers.clone()
        # the sizes in bytes of the requests that wait for an answer, by their ids
        self._waiting: dict[types.RequestId, list[int]] = {}
        # set, and replaced by another, at each answer
        self._answered = anyio.Event()
        self._all_is_written = anyio.Event()

    def start(self) -> None:
        """Start to read and to write."""
        for work in (self._read, self._write, self._watch):
            until_end = partial(self._until_end, work)
            thread = threading.Thread(target=until_end, daemon=True)
            thread.start()

    async def wait_until_written(self) -> None:
        """Wait until the last answer is written, but not long for an agent that does not read."""
        with anyio.move_on_after(_SECONDS_FOR_LAST_LINE):
            await self._all_is_written.wait()

    def _until_end(self, work: Callable[[], None]) -> None:
        """Do the work of a thread. The loop of events may end first; so may the agent."""
        with suppress(CancelledError, RuntimeError, *CLOSED):
            try:
                work()
            except OSError:
                self._portal.call(self._leave)

    def _leave(self) -> None:
        """Stop at once. The answers that are left are dropped, and not waited for."""
        self._sent.close()
        self._stop()

    # ---------------------------------------------------------------- reading

    def _read(self) -> None:
        for line in lines_of(_read_input):
            if not line.begin.strip():
                continue
            try:
                message = message_in(line)
            except RefusedLine as refused:
                self._portal.call(self._refusals.send, SessionMessage(refused.answer))
                continue
            self._portal.call(self._receive, message, line.size_bytes)
        self._portal.call(self._finish)

    async def _receive(self, message: types.JSONRPCMessage, size_bytes: int) -> None:
        """Pass a message to the server. A request waits while too many others do: their client
        does not read the answers.
        """
        if not isinstance(message, types.JSONRPCRequest):
            await self._received.send(SessionMessage(message))
            return
        while self._is_full:
            await self._answered.wait()
        self._waiting.setdefault(message.id, []).append(size_bytes)
        # the SDK calls it for a request that it leaves without an answer, such as a cancelled one
        forget = partial(self._forget, message.id)
        metadata = ServerMessageMetadata(on_request_unanswered=forget)
        await self._received.send(SessionMessage(message, metadata))

    @property
    def _is_full(self) -> bool:
        """Whether as many requests wait as are held at once."""
        count = 0
        size_bytes = 0
        for sizes in self._waiting.values():
            count += len(sizes)
            size_bytes += sum(sizes)
        return count >= _MOST_REQUESTS or size_bytes >= _MOST_REQUEST_BYTES

    async def _forget(self, id: types.RequestId | None) -> None:
        """Count a request no longer among those that wait for their answer, of which several may
        have one id, and let the next one in.
        """
        if id is None or id not in self._waiting:
            return
        sizes = self._waiting[id]
        sizes.pop()
        if not sizes:
            del self._waiting[id]
        self._answered.set()
        self._answered = anyio.Event()

    async def _finish(self) -> None:
        """End the input, once what was asked before is answered or takes too long."""
        with anyio.move_on_after(_SECONDS_AFTER_INPUT):
            while self._waiting:
                await self._answered.wait()
        await self._received.aclose()
        await self._refusals.aclose()

    # ---------------------------------------------------------------- writing

    def _write(self) -> None:
        while message := self._portal.call(self._next_message):
            _write_output(self._output, line_of(message))
        self._portal.call(self._all_is_written.set)

    def _watch(self) -> None:
        """Wait until nobody reads the answers any more, and leave: what is worked out then is for
        nobody.
        """
        if not hasattr(select, "poll"):
            # on Windows the next answer tells
            return
        watched = select.poll()
        watched.register(self._output, 0)
        ((_, event),) = watched.poll()
        if event & (select.POLLERR | select.POLLHUP):
            self._portal.call(self._leave)

    async def _next_message(self) -> types.JSONRPCMessage | None:
        """The next message to send; None behind the last."""
        try:
            message = (await self._sent.receive()).message
        except anyio.EndOfStream:
            return None
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            await self._forget(message.id)
        return message


def _read_input(most_bytes: int) -> bytes:
    """Some bytes of standard input, which some clients open so that reads do not wait."""
    while True:
        try:
            return os.read(0, most_bytes)
        except BlockingIOError:
            select.select([0], [], [])


def _write_output(descriptor: int, line: bytes) -> None:
    """Write a whole line, also where writes do not wait."""
    left = memoryview(line)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
