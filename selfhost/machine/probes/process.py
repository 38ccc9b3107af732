"""One running process, as the system tells of it: its words, its memory by kind, and the model file
that is mapped. Linux; nothing is sent to the process.
"""

from __future__ import annotations

from ..record import Process
from .host import MAX_READ_BYTES, Host
from .procfs import parse_meminfo, whole

# a process with thousands of libraries and threads has a few MB of them
_MOST_MAPS_BYTES = 64 << 20
_MOST_WORDS = 10_000


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
    path: str | None = None
    for line in maps.splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first and not first.endswith(":"):
            # address, permissions, offset, device, inode, path
            parts = line.split(None, 5)
            name = parts[5] if len(parts) == 6 else ""
            # Ollama's files are named by their content
            is_model = name.removesuffix(" (deleted)").lower().endswith(".gguf")
            path = name if is_model or "/sha256-" in name else None
            if path is not None:
                mapped[path] = mapped.get(path, 0) + _length(first)
        elif path is not None and first == "Rss:":
            size = whole(rest.split()[0], 15) if rest.split() else None
            resident[path] = resident.get(path, 0) + (size or 0) * 1024
    if not mapped:
        return None, 0
    largest = max(mapped, key=lambda name: mapped[name])
    return largest, resident.get(largest, 0)


def _length(span: str) -> int:
    start, _, end = span.partition("-")
    try:
        return max(0, int(end, 16) - int(start, 16))
    except ValueError:
        return 0
