"""Odd values, and changes of values, texts and bytes, for `fuzz.py`. All chance comes from the generator that is passed in."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import date, datetime, time
from typing import Any

Path = tuple[str | int, ...]

ODD_INTEGERS = (
    0, 1, -1, 2, 3, 5, 7, 31, 33, 127, 255, 256, 4096, 65535, 10**6, 2**31 - 1, 2**31, 2**32, 2**40, 2**52, 2**53 + 1, 2**62, 2**63 - 1,
    2**63, 2**64 - 1, 2**64, -(2**31), -(2**63), 10**18, 10**19, 10**30, 10**100,
)  # fmt: skip
ODD_FLOATS = (
    0.0,
    -0.0,
    0.5,
    -1.5,
    1e-9,
    5e-324,
    1e18,
    1e300,
    float("inf"),
    float("-inf"),
    float("nan"),
)
ODD_TEXTS = (
    "", " ", "0", "-1", "nan", "1e999", "true", "null", "none", "all", ".", "..", "/", "-", "--", "*", "%s%n", "{}",
    "{0.__class__}", "$(id)", "`id`",
    "a'b\"c", "a\\b", "a\tb", "a\nb", "a\rb", "a\x00b", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "\x7f", "\u2028",
    "\u202eoverride", "\u200b", "\ufeff", "\ud800", "\U0010ffff", "ü" * 40, "漢字", "\u0663", "\u00b2", "Ⅷ", "１２", "A\u0301" * 30,
    "\n::error file=a,line=1::broken", "::error::broken", "::add-mask::a", "##[error]broken", "##vso[task.complete result=Failed;]",
    "]]>", "<script>alert(1)</script>", "&amp;", "[bold]x[/bold]", "[/]", "\\[red]", "a" * 300, "a" * 5000, "a" * 100_000, "0" * 5000,
    "1" * 5000, "a.b" * 100, "a/" * 600, "(" * 500, "MIT OR " * 300, "Q4_K_M", "llama.cpp", "float16", "2024-13-45", "2024", "9999-12-31",
    "16GiB", "-16GiB", "1e30GB", "0B", "host:*", "class:edge", "label:a=b", "/dev/zero", "/proc/self/mem",
)  # fmt: skip


def odd_value(chance: random.Random, depth: int = 0) -> Any:
    """A value of any type that JSON or TOML has, most of them at an edge."""
    kind = chance.randrange(10 if depth < 3 else 7)
    if kind < 3:
        return chance.choice(ODD_INTEGERS)
    if kind == 3:
        return chance.choice(ODD_FLOATS)
    if kind < 6:
        return chance.choice(ODD_TEXTS)
    if kind == 6:
        return chance.choice((True, False, None, [], {}))
    if kind == 7:
        return [odd_value(chance, depth + 1)] * chance.choice(
            (1, 1, 2, 3, 100, 2000) if depth == 0 else (1, 2)
        )
    if kind == 8:
        return {
            chance.choice((*ODD_TEXTS[:60], "name", "bytes")): odd_value(chance, depth + 1)
            for _ in range(chance.randrange(4))
        }
    return nested(chance, chance.choice((10, 60, 150)))


def nested(chance: random.Random, depth: int) -> Any:
    """Lists or objects within each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


def odd_number_near(chance: random.Random, value: float) -> Any:
    """A number that stands in a simple relation to another: what a check of bounds or divisibility may miss."""
    if isinstance(value, int):
        return chance.choice(
            (
                value + 1,
                value - 1,
                value * 2,
                value // 2,
                value * 3,
                value // 3,
                -value,
                value * 1000,
                0,
                1,
                value + 7,
            )
        )
    return chance.choice(
        (
            value * 2,
            value / 2,
            -value,
            value * 1e6,
            0.0,
            float(int(value)) if value == value and abs(value) < 1e300 else 1.0,
        )
    )


# ------------------------------------------------------------------ values


def paths_of(value: Any, at: Path = ()) -> list[Path]:
    """Every place in nested lists and objects but the whole."""
    places: list[Path] = []
    stack = [(at, value)]
    while stack:
        path, item = stack.pop()
        if path != at:
            places.append(path)
        inner: list[tuple[str | int, Any]] = []
        if isinstance(item, dict):
            inner = list(item.items())
        elif isinstance(item, list):
            inner = list(enumerate(item[:64]))
        stack.extend(((*path, key), part) for key, part in inner)
    return places


def at_path(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def change_value(chance: random.Random, value: Any, others: Sequence[Any] = ()) -> Any:
    """A copy with one thing changed: a value or key removed, doubled, renamed, retyped, replaced, or borrowed from another example."""
    changed = deepcopy(value)
    places = paths_of(changed)
    if not places:
        return odd_value(chance)
    numbers = [path for path in places if type(at_path(changed, path)) in (int, float)]
    path = chance.choice(numbers if numbers and chance.random() < 0.4 else places)
    holder, key = at_path(changed, path[:-1]), path[-1]
    what = chance.randrange(12)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        renamed = chance.choice(
            (
                str(key) + "x",
                str(key).upper(),
                str(key)[:-1],
                chance.choice(ODD_TEXTS),
                "__metadata__",
            )
        )
        holder[renamed] = holder.pop(key)
    elif what == 2 and isinstance(holder, list):
        holder[:] = holder * chance.choice((2, 3, 50)) if len(holder) < 2000 else holder[:1]
    elif what == 3 and isinstance(holder, dict):
        holder[chance.choice(ODD_TEXTS)] = odd_value(chance)
    elif (
        what in (4, 5, 6)
        and isinstance(holder[key], int | float)
        and not isinstance(holder[key], bool)
    ):
        holder[key] = odd_number_near(chance, holder[key])
    elif what in (7, 8) and others:
        _borrow(chance, changed, chance.choice(others))
    elif what == 9 and len(places) > 1:
        holder[key] = deepcopy(at_path(value, chance.choice(places)))
    elif what == 10 and isinstance(holder[key], str):
        text = holder[key]
        spot = chance.randrange(len(text) + 1)
        holder[key] = text[:spot] + chance.choice(ODD_TEXTS[:60]) + text[spot:]
    else:
        holder[key] = odd_value(chance)
    return changed


def _borrow(chance: random.Random, value: Any, other: Any) -> None:
    """Take over a value, with the tables that it stands in, from another example of the kind: known keys in company that nobody wrote."""
    places = [path for path in paths_of(other) if all(isinstance(key, str) for key in path)]
    if not places or not isinstance(value, dict):
        return
    path = chance.choice(places)
    holder: Any = value
    for key in path[:-1]:
        inner = holder.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        holder = inner
    taken = deepcopy(at_path(other, path))
    inside = [place for place in paths_of(taken) if type(at_path(taken, place)) is int]
    if inside and chance.random() < 0.5:
        place = chance.choice(inside)
        at_path(taken, place[:-1])[place[-1]] = odd_number_near(chance, at_path(taken, place))
    elif type(taken) is int and chance.random() < 0.5:
        taken = odd_number_near(chance, taken)
    holder[path[-1]] = taken


# ------------------------------------------------------------------ TOML and JSON


def toml_text(values: dict[str, Any]) -> str:
    """TOML of a document: tables under headers, what is deeper inline. None and other odd values become what TOML has no word for."""
    lines: list[str] = []
    _toml_table(lines, (), values)
    return "\n".join(lines) + "\n"


def _toml_table(lines: list[str], path: tuple[str, ...], table: dict[str, Any]) -> None:
    later = []
    for key, value in table.items():
        if isinstance(value, dict) and value and len(path) < 3:
            later.append((key, [value], "[{}]"))
        elif (
            isinstance(value, list)
            and value
            and all(isinstance(item, dict) for item in value)
            and len(path) < 3
        ):
            later.append((key, value, "[[{}]]"))
        else:
            lines.append(f"{_toml_key(key)} = {toml_literal(value)}")
    for key, tables, header in later:
        for inner in tables:
            lines.append(header.format(".".join(map(_toml_key, (*path, key)))))
            _toml_table(lines, (*path, key), inner)


def _toml_key(key: object) -> str:
    text = str(key)
    return (
        text
        if text and text.isascii() and text.replace("-", "").replace("_", "").isalnum()
        else _quoted(text)
    )


def _quoted(text: str) -> str:
    letters = []
    for letter in text:
        if letter in '"\\':
            letters.append("\\" + letter)
        elif letter < " " or letter == "\x7f":
            letters.append(f"\\u{ord(letter):04X}")
        else:
            letters.append(letter)
    return '"' + "".join(letters) + '"'


def toml_literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_literal, value)) + "]"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{_toml_key(key)} = {toml_literal(item)}" for key, item in value.items())
            + "}"
        )
    return "null" if value is None else _quoted(str(value))


def encoded(text: str) -> bytes:
    """UTF-8, where a lone surrogate becomes the bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def json_text(chance: random.Random, value: Any) -> str:
    """JSON, one value a line or all on one."""
    return json.dumps(value, indent=chance.choice((1, None)), ensure_ascii=chance.random() < 0.5)


# ------------------------------------------------------------------ texts and bytes


def change_text(chance: random.Random, content: bytes) -> bytes:
    """Change a text by lines and tokens, so that most of it stays what it was."""
    lines = content.split(b"\n")
    at = chance.randrange(len(lines))
    what = chance.randrange(9)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(chance.randrange(len(lines) + 1), lines[at])
    elif what == 2:
        other = chance.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif what == 3:
        lines[at:at] = [lines[at]] * chance.choice((2, 20, 300))
    elif what in (4, 5, 6):
        head, sign, tail = lines[at].partition(b"=" if b"=" in lines[at] else b":")
        comma = b"," if tail.rstrip().endswith(b",") else b""
        lines[at] = head + sign + b" " + encoded(_token(chance)) + comma
    elif what == 7:
        lines[at] = encoded(chance.choice(ODD_TEXTS))
    else:
        return change_bytes(chance, content)
    return b"\n".join(lines)


def _token(chance: random.Random) -> str:
    value = odd_value(chance)
    return json.dumps(value) if chance.random() < 0.5 else toml_literal(value)


_PIECES = (
    b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\r", b"\n", b"\x1b[2J", b'"', b"'", b"[", b"]", b"{", b"}",
    b"=", b"#", b",", b"-", b"0", b"9" * 50, b"9" * 5000, b"\\u0000", b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"\xff" * 8, bytes(8),
    b"[" * 3000, b'{"a":' * 3000, b"a=[" + b"[" * 900 + b"]" * 901, b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\1\0\0\0\0\0\0\0",
)  # fmt: skip


def change_bytes(chance: random.Random, content: bytes) -> bytes:
    """Replace, insert, remove, repeat or cut off some bytes; the first kilobytes, which hold counts and keys, more often."""
    size = len(content)
    at = (
        chance.randrange(min(size, 3000) + 1)
        if chance.random() < 0.5
        else chance.randrange(size + 1)
    )
    span = chance.choice((1, 1, 2, 4, 8, 64, 1000))
    what = chance.randrange(6)
    if what == 0:
        return content[:at]
    if what == 1:
        return content[:at] + chance.choice(_PIECES) + content[at:]
    if what == 2:
        return content[:at] + chance.choice(_PIECES) + content[at + span :]
    if what == 3:
        return content[:at] + content[at + span :]
    if what == 4:
        return (
            content[:at]
            + content[at : at + span] * chance.choice((2, 3, 50))
            + content[at + span :]
        )
    return content[:at] + chance.randbytes(min(span, 64)) + content[at + min(span, 64) :]


def content_of(
    chance: random.Random,
    steps: Sequence[random.Random],
    value: Any,
    write: Callable[[Any], str],
    others: Sequence[Any] = (),
) -> bytes:
    """The text of an example after some changes: those of values first, then those of its text and bytes."""
    levels = [(step.choices(("value", "text", "bytes"), (8, 3, 1))[0], step) for step in steps]
    for level, step in levels:
        if level == "value":
            value = change_value(step, value, others)
    try:
        content = encoded(write(value))
    except (AttributeError, TypeError, RecursionError):
        # a document that is no table any more, or nested as deep as only text can be
        content = encoded(json.dumps(value, default=str))
    for level, step in levels:
        if level == "text":
            content = change_text(step, content)
        elif level == "bytes":
            content = change_bytes(step, content)
    return content
