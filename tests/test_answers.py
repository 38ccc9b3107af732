"""What the program answers to the questions of `tests/answers/questions.txt`, a command a line, stays what it is: figures, names, options and commands, and of the wording how each line and sentence begins. Of a question with `--format` the screen is held so, of the others the JSON.

How they came to be right is tested elsewhere (`tests/truth`); these hold a change inside to them.

    pytest -n 0 tests/test_answers.py --update-golden

writes them anew. A change that moves one says in its commit which kind, how many and why.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import zip_longest
from math import isclose
from typing import Any

import pytest

from helpers.paths import TESTS
from helpers.written import Golden, run
from selfhost import __version__
from selfhost.audit.machines import load_machines

FOLDER = TESTS / "answers"
# how far apart two figures may lie
WITHIN = 0.001
# where facts come from, what the question says, and what differs by place
LEFT_OUT = {
    "schema", "selfhost_version", "source", "sources", "path", "asked", "title", "download_source", "as_of", "developer",
    "released", "machine", "origin",
}  # fmt: skip
# of a list so many records; of the offers, which are sorted, the first
MOST = 25
# of a text: words that hold a figure (with its unit), a sign or capitals, options, what is to type, how a sentence begins, and
# words of which one says the opposite of another
SHOWN = re.compile(
    r"^\s*\S+|(?<=[.:;→] )\S+|`[^`]+`|(?<!\S)--?\w[\w-]*|\b(?:not?|cannot|none|never|only|probably|perhaps|might|may|would|at (?:least|most)|now|without)\b"
    r"|\S*(?:[\d✓✗?%_]|[A-Z]{3})\S*(?: (?:[KMGT]?i?B|tokens|bytes|seconds|minutes|hours|days|times)\b(?:/s)?)?"
)
# lines to type, which hold spaces as wording does
TYPED = {"commands", "command", "setup", "flags"}


def facts(document: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Each record with the values that it has, by its path, a finding by its check; of API offers the first, and how many there are."""
    own = []
    for key in document.keys() - LEFT_OUT:
        values = document[key] if isinstance(document[key], list) else [document[key]]
        own += [f"offered={len(values)}"] if key == "api_offers" else []
        records = [each for each in values if isinstance(each, dict)]
        for number, record in enumerate(records[: 1 if key == "api_offers" else MOST]):
            yield from facts(record, f"{path}{key}.{record.get('check', number)}.")
        words = [word_of(each, key) for each in values if not records]
        own += [f"{key}={' | '.join(filter(None, words))}"] if any(words) else []
    yield path, "; ".join(sorted(own))


def word_of(value: Any, key: str) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "" if value is None or value is False else str(value)
    is_text = " " in text and (key not in TYPED or text.startswith("#"))
    return " ".join(SHOWN.findall(text)) if is_text else text


def answer(line: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The facts of one answer, or of the error."""
    is_shown = " --format " in line
    if line.startswith("records "):
        read = load_machines(line.removeprefix("records "))
        records = [each.to_json() for each in read.machines]
        return dict(sorted(facts({"records": records, "faults": [*map(str, read.problems)]})))
    code, out, err = run(capsys, *shlex.split(line), *(() if is_shown else ("--json",)))
    if is_shown:
        lines = [SHOWN.findall(each) for each in (out or err).replace(__version__, "").splitlines()]
        shown = {f"line {n}": " ".join(words) for n, words in enumerate(filter(None, lines), 1)}
        return {"exit": str(code), **shown}
    document = json.loads(out or err)
    machine = document.get("machine") or {}
    keys = "memory_total_bytes", "cpu_cores_usable", "memory_bandwidth_bytes_per_second"
    document["on"] = {key: machine.get(key) for key in keys}
    return {"exit": str(code), **dict(sorted(facts(document)))}


def differences(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """The facts of an answer that are others."""
    for path in dict.fromkeys((*before, *after)):
        old, new = (re.split(r"[\s=;]+", each.get(path, "")) for each in (before, after))
        pairs = zip_longest(old, new, fillvalue="")
        if not all(one == other or _is_near(one, other) for one, other in pairs):
            yield f"{path}: {before.get(path)} -> {after.get(path)}"


def _is_near(one: str, other: str) -> bool:
    try:
        return isclose(float(one), float(other), rel_tol=WITHIN)
    except ValueError:
        return False


def test_no_fact_that_decides_has_moved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    monkeypatch.chdir(FOLDER)
    lines = (FOLDER / "questions.txt").read_text(encoding="utf-8").splitlines()
    after = {line: answer(line, capsys) for line in lines}
    path = FOLDER / "answers.json"
    if golden.update:
        path.write_text(json.dumps(after, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    before = json.loads(path.read_text(encoding="utf-8"))
    assert [*before] == lines
    moved = {line: [*differences(before[line], after[line])] for line in lines}
    shown = [f"{line}\n    " + "\n    ".join(each[:3]) for line, each in moved.items() if each]
    assert not shown, (
        f"{sum(map(len, moved.values()))} facts of {len(shown)} answers moved, up to three of each here;"
        " where that is wanted, write them anew (--update-golden) and say in the commit which kind,"
        " how many and why:\n" + "\n".join(shown[:40])
    )
