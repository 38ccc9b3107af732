"""The facts of one running process of Linux: its command line, its memory, and the model file that
it mapped.
"""

from __future__ import annotations

import re
from collections import Counter

from ...core.records import Record
from ..record import Process
from .host import Host
from .texts import parse_sizes

# the maps of a process with thousands of libraries and threads take a few MB
_MOST_MAPS_BYTES = 64 << 20
# a mapped model file: Ollama names files by their content
_MAPPED = (
    r"(?im)^([0-9a-f]{1,16})-([0-9a-f]{1,16}) \S+ \S+ \S+ \S+\s+"
    r"(\S.*?(?:\.gguf(?: \(deleted\))?|/sha256-.*))$(?:\n\w+:.*)*?\nRss: +(\d{1,15}) kB"
)
_KINDS_OF_MEMORY = ("RssAnon", "RssShmem", "RssFile", "VmSwap")


class _MappedFile(Record):
    """A model file that a process mapped."""

    # None where the process mapped no model file
    path: str | None
    # the bytes of the file that are in RAM
    resident_bytes: int


def read_process(number: str) -> Process | None:
    """Return the running process of that id; None where it cannot be read, as on every system but
    Linux.
    """
    host = Host()
    status = parse_sizes(host.read_text(f"/proc/{number}/status"))
    maps = host.read_bytes(f"/proc/{number}/smaps", _MOST_MAPS_BYTES)
    command = host.read_bytes(f"/proc/{number}/cmdline")
    if "RssAnon" not in status or not maps or not command:
        return None
    memory = [status.get(kind, 0) for kind in _KINDS_OF_MEMORY]
    # the kernel ends each word with a zero byte
    words = command.decode("utf-8", "surrogateescape").rstrip("\0")
    model_file = _largest_model_file(maps.decode("utf-8", "replace"))
    return Process(
        words=tuple(words.split("\0")),
        memory_bytes=sum(memory),
        model_file=model_file.path,
        model_bytes=model_file.resident_bytes,
    )


def _largest_model_file(maps: str) -> _MappedFile:
    """The model file that takes most address space in a process, by the text of the process's
    smaps.
    """
    mapped = Counter[str]()
    resident = Counter[str]()
    for start, end, path, resident_kib in re.findall(_MAPPED, maps):
        mapped[path] += int(end, 16) - int(start, 16)
        resident[path] += int(resident_kib) * 1024
    largest = max(mapped, key=mapped.__getitem__, default="")
    return _MappedFile(path=largest or None, resident_bytes=resident[largest])
