"""The text of a spec file with some values changed, every other line as a person wrote it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from selfhost.core.records import Record

_HEADER = re.compile(r"\[(\[?)([^\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r'("(?:[^"\\]|\\.)*"|[A-Za-z0-9_.-]+)\s*=')
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class _Entry(Record):
    """Lines `start` to before `end` of a file state `key` of `table`, which is "" at the top."""

    table: str
    key: str
    start: int
    end: int


def changed(text: str, table: str, key: str, wanted: str) -> str:
    """The text of a spec with `key` of `table` as in the text `wanted`, where `spec_text` wrote
    it. A key that is missing comes behind the last of its table; a table that is missing stands
    before [sources].

    Raises `KeyError` where `wanted` lacks the key.
    """
    source = wanted.splitlines()
    new = next(
        source[entry.start : entry.end]
        for entry in _entries(source)
        if (entry.table, entry.key) == (table, key)
    )
    lines = text.splitlines()
    entries = _entries(lines)
    for entry in entries:
        if (entry.table, entry.key) == (table, key):
            lines[entry.start : entry.end] = _with_remark(new, lines[entry.start])
            return "\n".join(lines) + "\n"
    in_table = [entry for entry in entries if entry.table == table]
    if in_table:
        place = in_table[-1].end
        lines[place:place] = new
    else:
        before = next(
            (place for place, line in enumerate(lines) if line == "[sources]"), len(lines)
        )
        lines[before:before] = [f"[{table}]", *new, ""]
    return "\n".join(lines) + "\n"


def without(text: str, table: str, key: str) -> str:
    """The text without that key, and without its table where nothing else stands in it."""
    lines = text.splitlines()
    entries = _entries(lines)
    gone = next((entry for entry in entries if (entry.table, entry.key) == (table, key)), None)
    if gone is None:
        return text
    del lines[gone.start : gone.end]
    if sum(entry.table == table for entry in entries) == 1:
        header = lines.index(f"[{table}]")
        del lines[header : header + 1]
        if header and not lines[header - 1] and header < len(lines) and not lines[header]:
            del lines[header]
    return "\n".join(lines).rstrip("\n") + "\n"


def with_size(text: str, repository: str, quantization: str, size: int, source: str) -> str:
    """The text with the bytes of one quantization of a repository of GGUF files, in the place of
    what `unsized` says of it. A table of `[[files]]` that holds nothing unlisted any more is
    listed, by `source`. The text as it is where no table has the repository.
    """
    lines = text.splitlines()
    tables = _tables_of(lines, repository)
    if not tables:
        return text
    key = f"bytes.{quantization}"
    # stated, else named, else the first of the repository
    table, values = next(
        (pair for pair in tables if quantization in pair[1].get("bytes", {})),
        next((pair for pair in tables if quantization in pair[1].get("unsized", ())), tables[0]),
    )
    entries = {entry.key: entry for entry in table}
    new = f"{key} = {size:_}"
    if key in entries:
        edits = {key: [new]}
    else:
        edits = _listing_edits(values, quantization, source)
        last = table[-1]
        kept = edits.get(last.key, lines[last.start : last.end])
        edits[last.key] = [*kept, new]
    for name, replacement in sorted(edits.items(), key=lambda edit: -entries[edit[0]].start):
        lines[entries[name].start : entries[name].end] = replacement
    return "\n".join(lines) + "\n"


def _listing_edits(
    values: Mapping[str, Any], quantization: str, source: str
) -> dict[str, list[str]]:
    """New lines of the keys of a table of `[[files]]` once that quantization is sized."""
    unsized = values.get("unsized")
    if not unsized or quantization not in unsized:
        return {}
    left = ", ".join(f'"{name}"' for name in unsized if name != quantization)
    if left:
        return {"unsized": [f"unsized = [{left}]"]}
    edits: dict[str, list[str]] = {"unsized": [], "source": [f'source = "{source}"']}
    return edits | {"listed": []} if "listed" in values else edits


def _tables_of(
    lines: Sequence[str], repository: str
) -> list[tuple[list[_Entry], Mapping[str, Any]]]:
    """The tables of `[[files]]` with that repository of GGUF files: entries and values."""
    tables: list[list[_Entry]] = []
    for entry in _entries(lines):
        if entry.table == "[files]":
            if lines[entry.start - 1].strip() == "[[files]]":
                tables.append([])
            tables[-1].append(entry)
    read = [
        (table, tomllib.loads("\n".join(lines[table[0].start : table[-1].end]))) for table in tables
    ]
    return [
        (table, values)
        for table, values in read
        if values.get("format") == "gguf"
        and str(values.get("repository")).lower() == repository.lower()
    ]


def _with_remark(new: Sequence[str], old: str) -> list[str]:
    """The lines with the remark that stands behind the old value."""
    bare = _STRING.sub(lambda match: "_" * len(match[0]), old)
    place = bare.find("#")
    if place < 0 or len(new) != 1:
        return list(new)
    return [f"{new[0]}  {old[place:]}"]


def _entries(lines: Sequence[str]) -> list[_Entry]:
    """Where each key stands; those of tables in lists are under the list's name in brackets."""
    entries: list[_Entry] = []
    table, place = "", 0
    while place < len(lines):
        header = _HEADER.match(lines[place])
        if header:
            table = f"[{header[2]}]" if header[1] else header[2].strip()
        key = None if header else _KEY.match(lines[place])
        end = place + 1
        if key:
            # a list may go on over several lines
            while end < len(lines) and not _is_whole("\n".join(lines[place:end])):
                end += 1
            entries.append(_Entry(table=table, key=_unquoted(key[1]), start=place, end=end))
        place = end
    return entries


def _is_whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _unquoted(key: str) -> str:
    if not key.startswith('"'):
        return key
    value: Any = next(iter(tomllib.loads(f"{key} = 1")))
    return str(value)
