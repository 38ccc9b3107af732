"""Interrupts (Ctrl-C), of which the program remembers that one came.

Python raises `KeyboardInterrupt` wherever the program is. In the midst of C code, such as that
which compiles or loads a module, another error can come in its place: "can't load unicodedata",
"cannot import". Such an error is told as a bug unless it is known that an interrupt came before it.
"""

from __future__ import annotations

import signal
from types import FrameType

_heard: list[int] = []


def remember() -> None:
    """Remember each interrupt from now on, before it raises `KeyboardInterrupt`. Where whoever
    started the program has decided what an interrupt does, this changes nothing.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def heard() -> bool:
    """Whether an interrupt came."""
    return bool(_heard)


def raises_error() -> bool:
    """Whether an interrupt raises `KeyboardInterrupt`."""
    handler = signal.getsignal(signal.SIGINT)
    return handler in (signal.default_int_handler, _remember)


def _remember(number: int, frame: FrameType | None) -> None:
    _heard.append(number)
    signal.default_int_handler(number, frame)
