"""One running process, as the system tells of it: its words, its memory by kind, and the model file
that is mapped. Linux; nothing is sent to the process.
"""

from __future__ import annotations

from ..process import Process
from .host import MAX_READ_BYTES, Host
from .procfs import parse_status

# a process with thousands of libraries and threads has a few MB of them
_MOST_MAPS_BYTES = 64 << 20
_MOST_WORDS = 10_000
MODEL_ENDING = ".gguf"
# Ollama's files are named by their content
_BLOB = "/sha256-"


def read_process(number: str, host: Host) -> Process | None:
    """The process of that id; None where there is none, or this account may not read it."""
    status = parse_status(host.read_text(f"/proc/{number}/status") or "")
    own, files = _bytes(status, "RssAnon"), _bytes(status, "RssFile")
    if own is None or files is None:
        return None
    maps = host.read_text(f"/proc/{number}/smaps", _MOST_MAPS_BYTES)
    try:
        command = host.read_bytes(f"/proc/{number}/cmdline", MAX_READ_BYTES)
    except OSError:
        return None
    if maps is None or not command:
        return None
    model_file, model_bytes = model_in(maps)
    words = command.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    return Process(
        words=tuple(words[:_MOST_WORDS]),
        anonymous_bytes=own + (_bytes(status, "RssShmem") or 0),
        file_bytes=files,
        swapped_bytes=_bytes(status, "VmSwap") or 0,
        model_file=model_file,
        model_bytes=model_bytes,
    )


def _bytes(status: dict[str, str], key: str) -> int | None:
    """A line of /proc/PID/status in kB; None where it is missing or of another shape."""
    number, _, unit = status.get(key, "").partition(" ")
    is_number = number.isdecimal() and number.isascii() and len(number) <= 15
    return int(number) * 1024 if is_number and unit.strip() == "kB" else None


def model_in(maps: str) -> tuple[str | None, int]:
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
            path = parts[5] if len(parts) == 6 and _holds_model(parts[5]) else None
            if path is not None:
                mapped[path] = mapped.get(path, 0) + _length(first)
        elif path is not None and first == "Rss:":
            number = rest.split()
            if number and number[0].isdecimal() and len(number[0]) <= 15:
                resident[path] = resident.get(path, 0) + int(number[0]) * 1024
    if not mapped:
        return None, 0
    largest = max(mapped, key=lambda name: mapped[name])
    return largest, resident.get(largest, 0)


def _holds_model(path: str) -> bool:
    path = path.removesuffix(" (deleted)")
    return path.lower().endswith(MODEL_ENDING) or _BLOB in path


def _length(span: str) -> int:
    start, _, end = span.partition("-")
    try:
        return max(0, int(end, 16) - int(start, 16))
    except ValueError:
        return 0
