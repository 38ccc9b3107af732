"""One running process, as the system tells of it: its words, its memory by kind, and the model file
that is mapped. Linux; nothing is sent to the process.
"""

from __future__ import annotations

import re

from ..record import Process
from .host import MAX_READ_BYTES, Host
from .procfs import parse_meminfo

# a process with thousands of libraries and threads has a few MB of them
_MOST_MAPS_BYTES = 64 << 20
_MOST_WORDS = 10_000
# a mapping of a model file: Ollama's files are named by their content
_MAPPED = re.compile(
    r"(?im)^([0-9a-f]{1,16})-([0-9a-f]{1,16}) \S+ \S+ \S+ \S+\s+"
    r"(\S.*?(?:\.gguf(?: \(deleted\))?|/sha256-.*))$(?:\n\w+:.*)*?\nRss: +(\d{1,15}) kB"
)


def read_process(number: str, host: Host) -> Process | None:
    """The process of that id; None where there is none, or this account may not read it."""
    status = parse_meminfo(host.read_text(f"/proc/{number}/status") or "")
    maps = host.read_text(f"/proc/{number}/smaps", _MOST_MAPS_BYTES)
    if not {"RssAnon", "RssFile"} <= status.keys() or maps is None:
        return None
    try:
        command = host.read_bytes(f"/proc/{number}/cmdline", MAX_READ_BYTES)
    except OSError:
        return None
    if not command:
        return None
    model_file, model_bytes = parse_smaps(maps)
    words = command.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    return Process(
        words=tuple(words[:_MOST_WORDS]),
        anonymous_bytes=status["RssAnon"] + status.get("RssShmem", 0),
        file_bytes=status["RssFile"],
        swapped_bytes=status.get("VmSwap", 0),
        model_file=model_file,
        model_bytes=model_bytes,
    )


def parse_smaps(maps: str) -> tuple[str | None, int]:
    """/proc/PID/smaps -> the model file of which most is mapped, and its resident bytes; None and 0
    where none is.
    """
    mapped: dict[str, int] = {}
    resident: dict[str, int] = {}
    for start, end, path, rss in _MAPPED.findall(maps):
        mapped[path] = mapped.get(path, 0) + int(end, 16) - int(start, 16)
        resident[path] = resident.get(path, 0) + int(rss) * 1024
    if not mapped:
        return None, 0
    largest = max(mapped, key=lambda path: mapped[path])
    return largest, resident[largest]
