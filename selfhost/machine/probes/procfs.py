"""Parsers of the kernel's text files that more than one probe reads, and where these lie."""

from __future__ import annotations

MEMINFO, LIMITS, STATUS = "/proc/meminfo", "/proc/self/limits", "/proc/self/status"


def whole(word: str, digits: int = 20) -> int | None:
    """A whole number of at most so many plain digits; None for another word."""
    return int(word) if word.isdecimal() and word.isascii() and len(word) <= digits else None


def parse_pairs(text: str) -> dict[str, str]:
    """Lines of `name: value`, as of /proc/self/status; others are left out."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): rest.strip() for name, colon, rest in pairs if colon}


def parse_meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes; lines without kB are counts. Lines of another shape are left out,
    and a last one that was cut off.
    """
    values = {}
    for name, rest in parse_pairs(text[: text.rfind("\n") + 1]).items():
        words = rest.split()
        number = whole(words[0], 15) if words else None
        if number is not None:
            values[name] = number * (1024 if words[1:] == ["kB"] else 1)
    return values


def parse_list(text: str) -> frozenset[int] | None:
    """`0-3,8` -> the numbers; None for another shape, or a line that was cut off."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        low, high = whole(first, 6), whole(last if dash else first, 6)
        if low is None or high is None or not low <= high < 65536 or not text.endswith("\n"):
            return None
        numbers.update(range(low, high + 1))
    return frozenset(numbers)


def parse_stat(text: str) -> dict[str, int]:
    """Lines of a name and a number, as of memory.stat; others are left out."""
    pairs = (line.partition(" ") for line in text.splitlines())
    numbers = ((name, whole(number)) for name, _, number in pairs)
    return {name: number for name, number in numbers if number is not None}
