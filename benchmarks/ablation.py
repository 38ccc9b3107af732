"""What a change moves: the answers of two checkouts, question by question, and what that buys.

    python benchmarks/ablation.py BEFORE AFTER             # folders, or git revisions
    python benchmarks/ablation.py HEAD . --every 20        # a twentieth of the questions
    python benchmarks/ablation.py HEAD . --questions FILE  # and these: a JSON line each
    python benchmarks/ablation.py HEAD . --jobs 1          # by one process at a time
    python benchmarks/ablation.py HEAD --without judge/ways.py:larger_types
    python benchmarks/ablation.py HEAD . --json

Each checkout answers in processes of its own: the commands of questions.txt and of tests/answers, the
questions of `--questions`, and the measured runs that are in no fit (runs.py). A line of that file is
`{"id": …, "model": …, "machine": …, "workload": {…}}`; `"file"` in place of `"model"` is a model file,
whose path begins at the folder of the file of questions. `--without`, which may be repeated, asks the
first checkout again without that function (`without.py`).

Of each answer count its exit code, the route, the placement, the program and the type (format and
quantization), which *decide*; then figures that moved by more than 5 %, findings, the other models
and programs that it names, and all else that is a value. A value that was not told before is listed
and changes no answer. The wording is not compared: tests/golden holds that. Tokens are those of Python in selfhost/, without comments and docstrings.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import os
import shlex
import sys
import tokenize
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypedDict

from checkouts import ROOT, Checkout, opened
from without import without

HERE = Path(__file__).resolve().parent
COMMANDS = HERE / "questions.txt"
# where the paths in the commands begin
ANSWERS = ROOT / "tests" / "answers"
# the option by which this script answers for a checkout
_ANSWER = "--answer"
# how far a figure may move
_WITHIN = 0.05
# what differs by day and place, and where facts come from
_LEFT_OUT = {"schema", "selfhost_version", "catalogue", "source", "sources", "path"} | {
    "origin", "as_of", "read_at", "asked",
}  # fmt: skip
# the kinds of values that decide, and the keys that hold them
DECIDING = ("exit", "route", "placement", "program", "type")
_KINDS = {
    "exit": "exit",
    "error": "exit",
    "route": "route",
    "placement": "placement",
    "runtime": "program",
    "format": "type",
    "quantization": "type",
    "order": "order of a list",
}
# the kind of a value that was not told before: it is listed, and changes no answer
NEW = "newly told"
# the parts of an answer that say what else could be done
_ADVICE = {"alternatives", "faster", "api_offers", "room", "nearest"}
_FINDINGS = {"findings", "shutdown"}
# keys of text that names something and is no wording
_NAMES = {"id", "code", "outcome", "name", "check", "unit", "result", "state"}
# skipped where tokens are counted
_NO_TOKENS = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip

# the values of an answer by their paths
Facts = Mapping[str, Any]


class Question(TypedDict, total=False):
    """What a checkout is asked: a `command`, or a `model` or `file` with its machine and workload."""

    id: str
    command: str
    model: str
    file: str
    machine: str | None
    workload: dict[str, Any]


class Answer(TypedDict):
    """The facts of an answer to the question of that id."""

    id: str
    facts: dict[str, Any]


class Told(TypedDict):
    """What is predicted for a measured run."""

    id: str
    measured: float
    ends: list[float]


# ------------------------------------------------------------------ the questions


def questions_of(path: Path | None, every: int) -> list[Question]:
    """The questions of the file, if one is given, and the project's own; each so many-th of them."""
    questions: list[Question] = []
    for line in COMMANDS.read_text(encoding="utf-8").splitlines():
        questions.append({"id": line, "command": line})
    for file in sorted(ANSWERS.glob("*.toml")):
        for table in tomllib.loads(file.read_text(encoding="utf-8"))["question"]:
            name = f"{file.stem}: {table['id']}"
            questions.append({"id": name, "command": table["command"]})
    if path is not None:
        for line in path.read_text(encoding="utf-8").splitlines():
            question: Question = json.loads(line)
            if "file" in question:
                question["file"] = str(path.resolve().parent / question["file"])
            questions.append(question)
    return questions[::every]


# ------------------------------------------------------------------ one checkout answers


def answers_of(
    checkout: Checkout, questions: Sequence[Question], jobs: int
) -> dict[str, Facts]:
    """The facts of each answer of the checkout, by the ids of the questions."""
    answers: dict[str, Facts] = {}
    for row in _asked(checkout, "questions", json.dumps(questions), jobs):
        answers[row["id"]] = row["facts"]
    if len(answers) != len({question["id"] for question in questions}):
        sys.exit(f"{checkout.name} did not answer all: see what stands above")
    return answers


def held_of(checkout: Checkout, kind: str, every: int, jobs: int) -> dict[str, Told]:
    """What the checkout predicts for the measured runs of that kind, `pace` or `memory`; {} where it
    lacks what runs.py asks it for.
    """
    return {row["id"]: row for row in _asked(checkout, kind, str(every), jobs)}


def _asked(checkout: Checkout, what: str, text: str, jobs: int) -> list[Any]:
    """The lines that this script writes in a process of the checkout."""
    words = (__file__, _ANSWER, what, str(jobs))
    done = checkout.python(*words, cwd=ANSWERS, text=text)
    return [json.loads(line) for line in done.stdout.splitlines()]


def answer_for_a_checkout(what: str, jobs: int) -> None:
    """Write the answers of the selfhost that this process imports, a JSON line each, by so many
    processes.
    """
    text = sys.stdin.read()
    items: Sequence[Any]
    answer: Callable[[Any], Any]
    if what == "questions":
        items = json.loads(text)
        answer = _answer
    else:
        items = list(_held(what))[:: int(text)]
        answer = _predicted
    with ProcessPoolExecutor(jobs) as pool:
        for row in pool.map(answer, items, chunksize=8):
            if row is not None:
                sys.stdout.write(json.dumps(row) + "\n")


def _answer(question: Question) -> Answer:
    """The facts of the answer to a question."""
    if "command" in question:
        return {"id": question["id"], "facts": dict(_facts_of_command(question))}
    from selfhost import SelfhostError, Workload, check

    model: str | Path = question.get("model", "")
    if "file" in question:
        model = Path(question["file"])
    try:
        workload = Workload(**question.get("workload", {}))
        verdict = check(model, workload, machine=question.get("machine"))
        document = verdict.to_json()
    except (SelfhostError, TypeError, ValueError) as error:
        return {"id": question["id"], "facts": {"error": type(error).__name__}}
    return {"id": question["id"], "facts": dict(_values_in(document))}


def _facts_of_command(question: Question) -> Iterator[tuple[str, Any]]:
    """The exit code of a command, and each value of its JSON. Of a screen the code alone."""
    from selfhost.cli.main import main as selfhost

    words = shlex.split(question["command"])
    if words[0] == "records":
        from selfhost.audit.machines import load_machines

        read = load_machines(words[1])
        yield "problems", len(read.problems)
        yield from _values_in([machine.to_json() for machine in read.machines])
        return
    is_screen = "--format" in words
    out = io.StringIO()
    errors = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        yield "exit", selfhost(words if is_screen else [*words, "--json"])
    if is_screen:
        return
    # help, scripts of a shell and some errors are no JSON
    with contextlib.suppress(ValueError):
        yield from _values_in(json.loads(out.getvalue() or errors.getvalue()))


def _values_in(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no list or table, by its path. A record of a list has its check, its id or
    its name in the path, else its place.
    """
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in _LEFT_OUT:
                yield from _values_in(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        names = [_name_of(part) for part in value]
        if len(names) > 1 and None not in names:
            yield f"{path}.order", " ".join(map(str, names))
        for number, part in enumerate(value):
            yield from _values_in(part, f"{path}[{_name_of(part) or number}]")
    else:
        yield path, value


def _name_of(part: Any) -> str | None:
    """What tells a record of a list from the others; None where nothing does."""
    if not isinstance(part, dict):
        return None
    for key in ("check", "id"):
        if isinstance(part.get(key), str):
            return str(part[key])
    model = part.get("model")
    return str(model["id"]) if isinstance(model, dict) and "id" in model else None


def _held(kind: str) -> Iterator[Any]:
    """The measured runs of that kind that are in no fit."""
    import runs

    if kind == "memory":
        yield from runs.memory_runs()
        return
    for chosen in runs.SETS.values():
        if chosen.is_fitted is False:
            yield from chosen.runs()


def _predicted(run: Any) -> Told | None:
    """What is predicted for a measured run; None where nothing is."""
    from asked import predicted, predicted_memory
    from runs import TextRun

    if isinstance(run, TextRun):
        found = predicted(run)
        if found is None:
            return None
        name = f"{run.file} {run.work} {run.label} on {run.device}: {run.measured}"
        return {"id": name, "measured": run.measured, "ends": list(found.pace)}
    ends = predicted_memory(run)
    if ends is None:
        return None
    name = f"{run.program} {run.label}: {run.measured_bytes}"
    return {"id": name, "measured": run.measured_bytes, "ends": list(ends)}


# ------------------------------------------------------------------ what changed


def changes_by_kind(before: Facts, after: Facts) -> dict[str, str]:
    """The first change of each kind between two answers to a question, in words."""
    changes: dict[str, str] = {}
    for path in dict.fromkeys((*before, *after)):
        old = before.get(path)
        new = after.get(path)
        kind = kind_of(path, old, new)
        if kind is None or is_near(old, new):
            continue
        if old is None and kind not in DECIDING:
            kind = NEW
        changes.setdefault(kind, f"{path}: {old!r} -> {new!r}")
    return changes


def kind_of(path: str, old: Any, new: Any) -> str | None:
    """The kind of a value, None of wording."""
    steps = path.replace("[", ".").replace("]", "").split(".")
    if not _ADVICE.isdisjoint(steps):
        family = "other models and programs"
    elif not _FINDINGS.isdisjoint(steps):
        family = "findings"
    else:
        family = ""
    last = steps[-1]
    if last in _KINDS:
        return family or _KINDS[last]
    for value in (old, new):
        if isinstance(value, str):
            return (family or "other values") if last in _NAMES else None
    for value in (old, new):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return "figures" if not family else f"figures of {family}"
    return family or "other values"


def is_near(old: Any, new: Any) -> bool:
    """Whether two values are the same, or figures at most 5 % apart."""
    for value in (old, new):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return bool(old == new)
    return bool(abs(old - new) <= _WITHIN * max(abs(old), abs(new)))


# ------------------------------------------------------------------ tokens


def tokens_in(folder: Path) -> int:
    """The tokens of all Python files below the folder, without comments, docstrings and newlines."""
    return sum(_tokens_of(file) for file in folder.rglob("*.py"))


def _tokens_of(file: Path) -> int:
    """The tokens of a file."""
    text = file.read_text(encoding="utf-8")
    docstrings = set(_docstring_lines(ast.parse(text)))
    count = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_TOKENS and token.start[0] not in docstrings:
            count += 1
    return count


def _docstring_lines(tree: ast.Module) -> Iterator[int]:
    """The numbers of the lines that docstrings take."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
            continue
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield from range(value.lineno, (value.end_lineno or value.lineno) + 1)


# ------------------------------------------------------------------ the report


@dataclass(frozen=True)
class Held:
    """How right one kind of figure is over the measured runs that both checkouts answer."""

    runs: int
    error: float
    inside: float

    @classmethod
    def of(cls, told: Iterable[Told]) -> Held:
        """The median error, and the share inside."""
        rows = list(told)
        errors: list[float] = []
        inside = 0
        for row in rows:
            low, likely, high = row["ends"]
            errors.append(abs(likely / row["measured"] - 1))
            inside += low <= row["measured"] <= high
        if not rows:
            return cls(0, 0.0, 0.0)
        return cls(len(rows), median(errors), inside / len(rows))


@dataclass(frozen=True)
class Moved:
    """What the second checkout answers otherwise than the first.

    `kinds`: answers with a change of that kind; `decided`: those with another exit code, route,
    placement, program or type; `held`: before and after, by the kind of figure.
    """

    questions: int
    changed: int
    decided: int
    kinds: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]
    tokens_before: int
    tokens_after: int
    held: Mapping[str, tuple[Held, Held]]

    @property
    def tokens_removed(self) -> int:
        """Less than 0 where the second checkout has more."""
        return self.tokens_before - self.tokens_after

    @property
    def changed_in_a_thousand(self) -> float:
        """Answers changed of a thousand."""
        return 1000 * self.changed / max(1, self.questions)

    @property
    def decided_for_each_1000_tokens(self) -> float | None:
        """Decided answers changed for each 1,000 tokens removed; None where none were."""
        if self.tokens_removed <= 0:
            return None
        return 1000 * self.decided / self.tokens_removed

    def to_json(self) -> dict[str, Any]:
        """The report as a document."""
        held: dict[str, Any] = {}
        for kind, (before, after) in self.held.items():
            held[kind] = {"before": vars(before), "after": vars(after)}
        return {
            "questions": self.questions,
            "changed": self.changed,
            "changed_in_a_thousand": self.changed_in_a_thousand,
            "decided": self.decided,
            "decided_for_each_1000_tokens": self.decided_for_each_1000_tokens,
            "kinds": dict(self.kinds),
            "examples": {kind: list(lines) for kind, lines in self.examples.items()},
            "tokens": {"before": self.tokens_before, "after": self.tokens_after},
            "held_runs": held,
        }

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        for kind, count in self.kinds.items():
            decides = " (decides)" if kind in DECIDING else ""
            yield f"{kind}{decides}: {count} of {self.questions} answers"
            for example in self.examples[kind]:
                yield f"    {example}"
        for kind, (before, after) in self.held.items():
            if not before.runs:
                yield f"{kind} of measured runs: not asked, a checkout lacks what runs.py asks for"
                continue
            yield (
                f"{kind} of {before.runs} measured runs: error {before.error:.1%} ->"
                f" {after.error:.1%}, inside {before.inside:.1%} -> {after.inside:.1%}"
            )
        yield (
            f"tokens of selfhost/: {self.tokens_before:,} -> {self.tokens_after:,},"
            f" {self.tokens_removed:,} removed"
        )
        yield (
            f"answers changed in a thousand: {self.changed_in_a_thousand:.1f}"
            f" ({self.changed} of {self.questions})"
        )
        ratio = self.decided_for_each_1000_tokens
        told = "–" if ratio is None else f"{ratio:.2f}"
        yield (
            f"decided answers changed for each 1,000 tokens removed: {told}"
            f" ({self.decided} answers)"
        )


def compare(
    before: Checkout,
    after: Checkout,
    questions: Sequence[Question],
    *,
    every: int = 1,
    jobs: int = 1,
    most_examples: int = 3,
) -> Moved:
    """Ask both checkouts, and set their answers side by side."""
    old_answers = answers_of(before, questions, jobs)
    new_answers = answers_of(after, questions, jobs)
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    changed = 0
    decided = 0
    for id, old in old_answers.items():
        changes = changes_by_kind(old, new_answers[id])
        counts.update(changes.keys())
        changed += bool(changes.keys() - {NEW})
        decided += not changes.keys().isdisjoint(DECIDING)
        for kind, words in changes.items():
            if len(examples[kind]) < most_examples:
                examples[kind].append(f"{id}: {words}"[:200])
    return Moved(
        questions=len(old_answers),
        changed=changed,
        decided=decided,
        kinds=dict(counts.most_common()),
        examples=examples,
        tokens_before=tokens_in(before.folder / "selfhost"),
        tokens_after=tokens_in(after.folder / "selfhost"),
        held={kind: _held_of_both(before, after, kind, every, jobs) for kind in _HELD},
    )


_HELD = ("pace", "memory")


def _held_of_both(
    before: Checkout,
    after: Checkout,
    kind: str,
    every: int,
    jobs: int,
) -> tuple[Held, Held]:
    """How right both checkouts are, over the runs that both answer."""
    old = held_of(before, kind, every, jobs)
    new = held_of(after, kind, every, jobs)
    shared = old.keys() & new.keys()
    return Held.of(old[id] for id in shared), Held.of(new[id] for id in shared)


def _after(
    before: Checkout, stated: argparse.Namespace
) -> contextlib.AbstractContextManager[Checkout]:
    """The second checkout: the named one, or the first without some functions."""
    if stated.without:
        return without(before, stated.without)
    return opened(stated.after)


def main() -> None:
    """Ask both checkouts, or answer for one of them."""
    if sys.argv[1:2] == [_ANSWER]:
        answer_for_a_checkout(sys.argv[2], int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", metavar="BEFORE", help="a folder or a git revision")
    parser.add_argument("after", metavar="AFTER", nargs="?")
    parser.add_argument(
        "--without", action="append", default=[], metavar="FILE:NAME", help="a function"
    )
    parser.add_argument("--questions", type=Path, metavar="FILE")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="a sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument("--examples", type=int, default=3, metavar="N")
    parser.add_argument("--json", action="store_true")
    stated = parser.parse_args()
    if (stated.after is None) != bool(stated.without):
        parser.error("name a second checkout, or functions to leave out by --without")
    questions = questions_of(stated.questions, stated.every)
    with opened(stated.before) as before, _after(before, stated) as after:
        moved = compare(
            before,
            after,
            questions,
            every=stated.every,
            jobs=stated.jobs,
            most_examples=stated.examples,
        )
    if stated.json:
        print(json.dumps(moved.to_json(), ensure_ascii=False, indent=1))
        return
    for line in moved.lines():
        print(line)


if __name__ == "__main__":
    main()
