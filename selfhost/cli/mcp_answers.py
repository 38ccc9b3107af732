"""The hidden command `selfhost _answer`: works out the answers to the calls of an agent.

What goes in: a line of JSON for each call, which `mcp_worker` of the server writes. What comes out:
a line for its answer, and nothing else. The process ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from queue import SimpleQueue
from typing import IO

from ..core.errors import SelfhostError
from ..core.files import forget_inputs
from .mcp_tools import answer_of, sentence
from .mcp_worker import Answer
from .output import bug, own_output


def answer_calls() -> int:
    """Answer the calls on standard input one after the other. The process ends with its input, also
    in the midst of work.
    """
    # the process runs as long as the agent: a list of input files would grow without end
    forget_inputs()
    answers = os.fdopen(own_output(), "wb")
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_hear, args=(sys.stdin.buffer, calls), daemon=True).start()
    while True:
        answer = answer_to(calls.get())
        answers.write(json.dumps(vars(answer)).encode() + b"\n")
        answers.flush()


def _hear(stream: IO[bytes], calls: SimpleQueue[bytes]) -> None:
    """Pass on each line, and end the process behind the last."""
    for line in stream:
        calls.put(line)
    os._exit(0)


def answer_to(line: bytes) -> Answer:
    """The answer to a call. An error, or a bug, is its message and remedy."""
    call = json.loads(line)
    try:
        reply = answer_of(call["tool"], call["arguments"], call["folders"])
        # half a character, of a file's name that is no text, can be sent to nobody
        json.dumps([reply.text, reply.content], ensure_ascii=False).encode()
        return Answer(text=reply.text, content=reply.content)
    except Exception as error:
        problem = error if isinstance(error, SelfhostError) else bug(error)
        text = sentence(problem, call["tool"]).encode("utf-8", "replace").decode()
        return Answer(text=text, is_error=True)
