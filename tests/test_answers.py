"""What the program answers to a person, pinned by the facts that decide.

Each file `tests/answers/AREA.toml` holds questions: a command line (its paths begin at
`tests/answers`), in one sentence which decision it pins, the exit code, and up to ten facts of the
answer. The wording is held by `tests/golden`; `tests/truth` says how right the figures are.

A fact is a key and its value. The key is a path in the JSON of the answer:

    "needs.memory.total_bytes"      steps into tables
    "api_offers.0.provider"         a place in a list, from 0
    "findings.memory.code"          the finding of that check
    "findings.not_passed"           the codes of the findings that do not pass, in their order
    "nearest.count"                 how many a list holds
    "accelerators.*.name"           the values of all records of a list
    "message names TEXT"            whether an error names that value of the user, or that figure
    "lines with TEXT"               of a command with `--format`: how many printed lines hold TEXT

`"absent"` stands for a key that is not there or is null. A rate or a duration may differ by 15 %,
which is about as far as measured runs lie from the likely pace; any other number by 0.1 %, and
everything else not at all. `records PATH` is no command: it asks
what `audit --machines PATH` reads.

A wanted change is written anew, of all questions or of those that `-k` names by their ids:

    pytest -n 0 tests/test_answers.py --update-golden

It writes only values that moved; keys, order, sentences and lines of comments stay. Read the diff:
where a value no longer fits the sentence above it, the answer is wrong, or the question is.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import TESTS
from helpers.written import Golden, run
from selfhost.audit.machines import load_machines

FOLDER = TESTS / "answers"
# more than these nobody reviews
MOST_QUESTIONS = 300
MOST_FACTS = 10
# how far apart two numbers may lie: by default, and where the key names a rate or a duration
NEAR = 0.001
NEAR_RATE = 0.15
RATE = re.compile(r"speed|per_second|seconds|hours|pace|predicted")
ABSENT = "absent"
LINES_WITH = "lines with "
MESSAGE_NAMES = "message names "


@dataclass(frozen=True)
class Question:
    """A command, and the facts of its answer that decide."""

    file: Path
    id: str
    command: str
    why: str
    exit: int
    facts: Mapping[str, Any]


def read_questions() -> list[Question]:
    """The questions of all areas, in the order of the files."""
    questions = []
    for file in sorted(FOLDER.glob("*.toml")):
        for table in tomllib.loads(file.read_text(encoding="utf-8"))["question"]:
            questions.append(Question(file=file, **table))
    return questions


QUESTIONS = read_questions()


@pytest.mark.parametrize(
    "question", [pytest.param(question, id=question.id) for question in QUESTIONS]
)
def test_the_answer_decides_the_same(
    question: Question,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    golden: Golden,
) -> None:
    monkeypatch.chdir(FOLDER)
    code, answer = ask(question.command, capsys)
    expected = {"exit": question.exit, **question.facts}
    moved = {}
    for key, value in expected.items():
        now = code if key == "exit" else fact(answer, key)
        if not is_near(key, value, now):
            moved[key] = now
    if golden.update:
        write_values(question, moved)
        return
    lines = [
        f"{key}: expected {toml(expected[key])}, got {toml(moved[key])}"
        for key in moved
    ]
    assert not moved, (
        f"\n{question.file.name}: {question.id}\n$ selfhost {question.command}\n"
        f"{question.why}\n  " + "\n  ".join(lines) + "\nwhere that is wanted:"
        f" pytest -n 0 tests/test_answers.py -k {question.id} --update-golden"
    )


def test_the_questions_can_be_reviewed() -> None:
    ids = [question.id for question in QUESTIONS]
    assert len(ids) <= MOST_QUESTIONS
    assert len(ids) == len(set(ids))
    assert len(ids) == len({question.command for question in QUESTIONS})
    for question in QUESTIONS:
        assert 1 <= len(question.facts) <= MOST_FACTS, question.id
        assert question.why.endswith("."), question.id
        assert ". " not in question.why, f"{question.id}: one sentence"


def ask(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """The exit code, and the JSON of the answer or of the error; with `--format` the text."""
    words = shlex.split(command)
    if words[0] == "records":
        return 0, records_of(words[1])
    if "--format" in words:
        code, out, err = run(capsys, *words)
        return code, out or err
    code, out, err = run(capsys, *words, "--json")
    return code, json.loads(out or err)


def records_of(path: str) -> dict[str, Any]:
    """What `audit --machines` reads at that path."""
    read = load_machines(path)
    machines = [machine.to_json() for machine in read.machines]
    problems = [str(problem) for problem in read.problems]
    return {"machines": machines, "problems": problems}


def fact(answer: Any, key: str) -> Any:
    """The value at that key, `ABSENT` where there is none."""
    if key.startswith(LINES_WITH):
        text = key.removeprefix(LINES_WITH)
        return sum(text in line for line in answer.splitlines())
    if key.startswith(MESSAGE_NAMES):
        return key.removeprefix(MESSAGE_NAMES) in answer.get("message", "")
    value = at(answer, key.split("."))
    return ABSENT if value is None else value


def at(value: Any, steps: list[str]) -> Any:
    """The value at the end of a path through tables and lists, None where a step leads nowhere."""
    if not steps:
        return value
    step, *rest = steps
    if isinstance(value, dict):
        return at(value.get(step), rest)
    if not isinstance(value, list):
        return None
    if step == "count":
        return len(value)
    if step == "not_passed":
        return [finding["code"] for finding in value if finding["outcome"] != "pass"]
    if step == "*":
        return [fact(part, ".".join(rest)) for part in value]
    if step.isdecimal():
        place = int(step)
        return at(value[place], rest) if place < len(value) else None
    for part in value:
        if part.get("check") == step:
            return at(part, rest)
    return None


def is_near(key: str, expected: Any, now: Any) -> bool:
    """Whether two values are the same, or numbers that are almost so."""
    if isinstance(expected, list) and isinstance(now, list):
        if len(expected) != len(now):
            return False
        return all(
            is_near(key, one, other) for one, other in zip(expected, now, strict=True)
        )
    if is_number(expected) and is_number(now):
        within = NEAR_RATE if RATE.search(key) else NEAR
        return math.isclose(expected, now, rel_tol=within)
    return bool(expected == now)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_values(question: Question, moved: Mapping[str, Any]) -> None:
    """Put the new values into the lines of the question's file; all other lines stay."""
    assert "PYTEST_XDIST_WORKER" not in os.environ, (
        "two processes would write one file: add -n 0"
    )
    lines = question.file.read_text(encoding="utf-8").splitlines()
    start = lines.index(f"id = {toml(question.id)}")
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if line == "[[question]]":
            break
        key = key_of(line)
        if key is not None and key in moved:
            lines[number] = (
                f"{line[: line.index(' = ', len(key))]} = {toml(moved[key])}"
            )
    question.file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def key_of(line: str) -> str | None:
    """The key of a line `key = value`, None of any other line."""
    match = re.fullmatch(r"""(?:"([^"]+)"|'([^']+)'|([\w-]+)) = .*""", line)
    if match is None:
        return None
    return match[1] or match[2] or match[3]


def toml(value: Any) -> str:
    """The value as these files write it: on one line, digits in groups of three."""
    if isinstance(value, list):
        return "[" + ", ".join(toml(part) for part in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 100_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{round(value):_}"
    return json.dumps(value, ensure_ascii=False)
