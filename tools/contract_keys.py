"""Writes the lists of keys into docs/contract.md, from the schemas in selfhost/schemas.

    python tools/contract_keys.py

What goes in: the schemas, and the page with a pair of marks for each list. What comes out: the page with
the lists of today; `tests/test_contract_keys.py` compares.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "contract.md"
SCHEMAS = ROOT / "selfhost" / "schemas"
# of TOML files that people write, not of what the program prints
_READ = ("policy-1.json", "spec-1.json")
# a machine has a section of its own on the page, and a spec has a page of its own
_ELSEWHERE = ("selfhost.machine/1", "ModelSpec")
# each document has these
_COMMON = ("schema", "selfhost_version", "catalogue")

# the longest line of a list
_WIDTH = 118

Schema = Mapping[str, Any]


def schemas() -> Iterator[Schema]:
    """The schemas of what the program prints, by the names of their files."""
    for path in sorted(SCHEMAS.glob("*.json")):
        if path.name not in _READ:
            schema: Schema = json.loads(path.read_text(encoding="utf-8"))
            yield schema


def documents() -> Iterator[str]:
    """An entry for each document: its name, and its keys."""
    for schema in schemas():
        if schema["title"] in _ELSEWHERE:
            continue
        keys = [key for key in keys_of(schema) if key.strip("`") not in _COMMON]
        yield _entry(f"`{schema['title']}`", keys)


def objects() -> Iterator[str]:
    """An entry for each kind of object inside a document, in the order of their names. The keys of one
    that differs between documents are those of all.
    """
    keys_by_name: dict[str, dict[str, None]] = {}
    for schema in schemas():
        kinds = schema.get("$defs", {})
        for name in _reached(schema, kinds):
            if "properties" in kinds[name]:
                keys = keys_by_name.setdefault(name, {})
                keys.update(dict.fromkeys(keys_of(kinds[name])))
    for name in sorted(keys_by_name):
        yield _entry(name, keys_by_name[name])


def _entry(name: str, keys: Iterable[str]) -> str:
    """An entry of a list of Markdown: a name and the keys behind it, on as many lines as they take."""
    return textwrap.fill(
        f"- **{name}**: {', '.join(keys)}",
        width=_WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _reached(schema: Schema, kinds: Mapping[str, Schema]) -> set[str]:
    """The names of the objects inside a document, but for those that have a page of their own."""
    reached: set[str] = set()
    waiting: list[Any] = [schema.get("properties", {})]
    while waiting:
        for name in re.findall(r'"#/\$defs/(\w+)"', json.dumps(waiting.pop())):
            if name not in reached and name not in _ELSEWHERE:
                reached.add(name)
                waiting.append(kinds[name])
    return reached


def keys_of(kind: Schema) -> Iterator[str]:
    """The keys of an object; behind one that holds objects stands their name."""
    for key, value in kind["properties"].items():
        named = re.search(r'"#/\$defs/(\w+)"', json.dumps(value))
        # a choice of texts has a name, too, and no keys
        is_object = named is not None and named[1][0].isupper()
        yield f"`{key}` {named[1]}" if named is not None and is_object else f"`{key}`"


def policy() -> Iterator[str]:
    """A row for each key of a policy, with what its schema says of the key."""
    schema = json.loads((SCHEMAS / "policy-1.json").read_text(encoding="utf-8"))
    yield "| key | meaning |"
    yield "| --- | --- |"
    for path, text in _described(schema, ""):
        yield f"| `{path}` | {text} |"


def _described(kind: Schema, path: str) -> Iterator[tuple[str, str]]:
    """The keys with a description, each by its path."""
    for key, value in kind.get("properties", {}).items():
        place = f"{path}.{key}" if path else key
        if "description" in value:
            yield place, value["description"].replace("|", "\\|")
        inner = value.get("items", value)
        yield from _described(inner, place)


LISTS = {"documents": documents, "objects": objects, "policy": policy}


def written(page: str) -> str:
    """The page with the lists of today. Raises ValueError where a pair of marks is missing."""
    for name, lines in LISTS.items():
        begin = f"<!-- begin {name}: python tools/contract_keys.py -->"
        end = f"<!-- end {name} -->"
        before, mark, rest = page.partition(begin)
        _, end_mark, after = rest.partition(end)
        if not mark or not end_mark:
            raise ValueError(f"docs/contract.md lacks the marks {begin} and {end}")
        listed = "\n".join(lines())
        page = f"{before}{begin}\n\n{listed}\n\n{end}{after}"
    return page


def main() -> None:
    """Write the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page), encoding="utf-8")


if __name__ == "__main__":
    main()
