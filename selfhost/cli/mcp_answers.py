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
from .mcp_tools import Reply, answer_of, sentence
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
    listener = threading.Thread(
        target=_pass_on,
        args=(sys.stdin.buffer, calls),
        daemon=True,
    )
    listener.start()
    while True:
        line = calls.get()
        answer = json.dumps(vars(answer_to(line)))
        answers.write(answer.encode())
        answers.write(b"\n")
        answers.flush()


def _pass_on(stream: IO[bytes], calls: SimpleQueue[bytes]) -> None:
    """Pass on each line, and end the process behind the last."""
    for line in stream:
        calls.put(line)
    os._exit(0)


def answer_to(line: bytes) -> Answer:
    """The answer to a call. An error, or a bug, is its message and remedy."""
    call = json.loads(line)
    tool = call["tool"]
    try:
        reply = answer_of(tool, call["arguments"], call["folders"])
        _refuse_half_characters(reply)
    except SelfhostError as error:
        return _refusal(error, tool)
    except Exception as error:
        return _refusal(bug(error), tool)
    return Answer(text=reply.text, content=reply.content)


def _refuse_half_characters(reply: Reply) -> None:
    """Raise `UnicodeEncodeError` for half a character, of a file's name that is no text: it can be
    sent to nobody.
    """
    told = json.dumps([reply.text, reply.content], ensure_ascii=False)
    told.encode()


def _refusal(error: SelfhostError, tool: str) -> Answer:
    """The answer that says what is wrong; of half a character it has a question mark."""
    told = sentence(error, tool)
    sent = told.encode("utf-8", "replace")
    return Answer(text=sent.decode(), is_error=True)
