"""Parsers of the kernel's text files that more than one probe reads, and where these lie."""

from __future__ import annotations

from functools import lru_cache

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMINFO, LIMITS, STATUS = "/proc/meminfo", "/proc/self/limits", "/proc/self/status"


# five probes read the same file
@lru_cache(maxsize=4)
def parse_meminfo(text: str) -> Mapping[str, int]:
    """/proc/meminfo in bytes; lines without kB are counts. Lines of another shape are left out,
    and a last one that was cut off.
    """
    values = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and words and words[0].isdecimal() and words[0].isascii() and len(words[0]) <= 15:
            values[name.strip()] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return values


def parse_limit(text: str, name: str) -> tuple[int, bool] | None:
    """A soft limit in /proc/self/limits, as "Max address space": bytes, -1 for unlimited, and
    whether the hard limit is above it.

    None where the line is missing.
    """
    for line in text.splitlines():
        words = line[len(name) :].split() if line.startswith(name) else []
        if words and words[0] == "unlimited":
            return -1, False
        if words and words[0].isdecimal() and words[0].isascii() and len(words[0]) <= 20:
            return int(words[0]), len(words) > 1 and words[1] != words[0]
    return None


def parse_status(text: str) -> dict[str, str]:
    """/proc/self/status: name to value."""
    return {
        name: rest.strip()
        for name, colon, rest in (line.partition(":") for line in text.splitlines())
        if colon
    }


def parse_list(text: str) -> frozenset[int] | None:
    """`0-3,8` -> the numbers; None for another shape or more than 65,536 of them."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if not all(
            word.isdecimal() and word.isascii() and len(word) <= 6
            for word in ((first, last) if dash else (first,))
        ):
            return None
        low, high = int(first), int(last if dash else first)
        if not low <= high < 65536:
            return None
        numbers.update(range(low, high + 1))
    return frozenset(numbers)
