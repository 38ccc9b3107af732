"""What two installations of selfhost answer to the same commands, and where they differ.

    python benchmarks/compare_answers.py BEFORE_PYTHON AFTER_PYTHON [--questions FILE] [--examples 5]

Each argument is the interpreter of an environment that has one of the installations. A question is
a command line without the program's name, one in a line of `questions.txt`; its paths begin at
`tests/answers`. `records PATH` is no command: it asks what `audit --machines PATH` reads. Of an
answer as JSON every value counts; of a screen (`--format` in the question) every line. Figures may
differ by 0.1 %. Nothing here passes or fails: read what moved, and name each kind with its count in
the commit that moves it. The few facts of an answer that decide are in `tests/answers`, and
`tests/test_answers.py` holds them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import shlex
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
QUESTIONS = HERE / "questions.txt"
# where the paths in the questions begin
FILES = HERE.parent / "tests" / "answers"
# how far apart two figures may lie
WITHIN = 0.001
# what differs by day and place, and where facts come from
LEFT_OUT = {
    "schema",
    "selfhost_version",
    "source",
    "sources",
    "path",
    "origin",
    "as_of",
    "read_at",
}


def main() -> None:
    """Ask both installations, or answer for one of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", metavar="BEFORE_PYTHON")
    parser.add_argument("after", metavar="AFTER_PYTHON", nargs="?")
    parser.add_argument("--questions", default=str(QUESTIONS), metavar="FILE")
    parser.add_argument("--examples", type=int, default=5, metavar="N")
    options = parser.parse_args()
    if options.after is None:
        # this process is the child that answers: its one argument is the file of questions
        write_answers(Path(options.before).read_text(encoding="utf-8").splitlines())
        return
    before = answers_of(options.before, options.questions)
    after = answers_of(options.after, options.questions)
    report(before, after, options.examples)


def answers_of(python: str, questions: str) -> dict[str, dict[str, Any]]:
    """Ask the installation of that interpreter; return its facts by question."""
    # not resolved: of a virtual environment it is a link
    interpreter = os.path.abspath(python)
    child = subprocess.run(
        [interpreter, __file__, os.path.abspath(questions)],
        cwd=FILES,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rows = [json.loads(line) for line in child.stdout.splitlines()]
    return {row["question"]: row["facts"] for row in rows}


def write_answers(questions: Sequence[str]) -> None:
    """Answer each question with the installation of this interpreter, a JSON line each."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        answers = pool.map(answer, questions, chunksize=8)
        for question, facts in zip(questions, answers, strict=True):
            line = json.dumps({"question": question, "facts": facts})
            sys.stdout.write(f"{line}\n")


def answer(question: str) -> dict[str, Any]:
    """The facts of one answer: its exit code, and by path each value of its JSON, or each line."""
    from selfhost.cli.main import main as selfhost

    words = shlex.split(question)
    if words[0] == "records":
        return dict(values_in(records_of(words[1])))
    is_screen = "--format" in words
    if not is_screen:
        words.append("--json")
    out = io.StringIO()
    errors = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = selfhost(words)
    text = out.getvalue() or errors.getvalue()
    facts: dict[str, Any] = {"exit": code}
    if is_screen:
        for number, line in enumerate(text.splitlines(), 1):
            facts[f"line {number}"] = line
        return facts
    try:
        document = json.loads(text)
    except ValueError:
        return {"exit": code, "text": text}
    return {"exit": code, **dict(values_in(document))}


def records_of(path: str) -> dict[str, Any]:
    """What `audit --machines` reads at that path."""
    from selfhost.audit.machines import load_machines

    read = load_machines(path)
    machines = [machine.to_json() for machine in read.machines]
    problems = [str(problem) for problem in read.problems]
    return {"machines": machines, "problems": problems}


def values_in(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no list or table, by its path; a finding by its check."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in LEFT_OUT:
                yield from values_in(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            place = part.get("check", number) if isinstance(part, dict) else number
            yield from values_in(part, f"{path}[{place}]")
    else:
        yield path, value


def report(
    before: dict[str, Any],
    after: dict[str, Any],
    most_examples: int,
) -> None:
    """Print how many answers have another value, by its key, with examples."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    moved = 0
    for question, old in before.items():
        changes = changes_by_kind(old, after.get(question, {}))
        counts.update(changes.keys())
        if changes:
            moved += 1
        for kind, change in changes.items():
            if len(examples[kind]) < most_examples:
                examples[kind].append(f"{question}\n      {change}")
    for kind, count in counts.most_common():
        print(f"{kind}: {count} answers")
        for example in examples[kind]:
            print(f"    {example}")
    print(f"{len(before) - moved} of {len(before)} answers are the same")


def changes_by_kind(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
    """The first change of each kind between two answers to a question."""
    changes: dict[str, str] = {}
    for path in dict.fromkeys((*old, *new)):
        before = old.get(path)
        after = new.get(path)
        if not is_near(before, after):
            changes.setdefault(kind_of(path), f"{before!r} -> {after!r}")
    return changes


def kind_of(path: str) -> str:
    """The key at the end of a path: `findings[memory].reason` is `findings.reason`."""
    if path.startswith("line "):
        return "a screen"
    first = path.partition("[")[0].partition(".")[0]
    last = path.rpartition(".")[2].partition("[")[0]
    return first if first == last else f"{first}.{last}"


def is_near(old: Any, new: Any) -> bool:
    """Whether two values are the same, or figures that are almost so."""
    if isinstance(old, float | int) and isinstance(new, float | int):
        return math.isclose(old, new, rel_tol=WITHIN)
    return bool(old == new)


if __name__ == "__main__":
    main()
