"""`benchmarks/ablation.py`: what it counts between two checkouts, here two tiny ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import ablation
from checkouts import Checkout
from without import without

# a program of a few lines with the names that the tool asks for
API = '''
"""The public interface."""


class SelfhostError(Exception):
    pass


class Workload:
    def __init__(self, **fields):
        pass


class Verdict:
    def __init__(self, document):
        self.document = document

    def to_json(self):
        return self.document


def check(model, workload, machine):
    # what is told of every model
    if model == "wrong-name":
        raise SelfhostError(model)
    return Verdict({
        "route": ROUTES.get(model, "local"),
        "workload": {"runtime": "llama.cpp", "quantization": "Q4_K_M"},
        "needs": {"placement": "host", "memory": {"total_bytes": 1000 + MORE_BYTES}},
        "findings": [{"check": "memory", "outcome": "pass", "reason": WORDS}],
        "alternatives": ALTERNATIVES,
    })
'''
MAIN = '''
"""The commands."""


def main(words):
    print('{"schema": "selfhost.verdict/1", "route": "local"}')
    return 0
'''
FACTS = {"ROUTES": {}, "MORE_BYTES": 0, "WORDS": "it fits", "ALTERNATIVES": []}


def checkout(folder: Path, **facts: object) -> Checkout:
    """A checkout of that program, which answers with these facts."""
    package = folder / "selfhost"
    (package / "cli").mkdir(parents=True)
    lines = [f"{name} = {value!r}" for name, value in {**FACTS, **facts}.items()]
    (package / "__init__.py").write_text("\n".join([*lines, API]), encoding="utf-8")
    (package / "cli" / "__init__.py").write_text("", encoding="utf-8")
    (package / "cli" / "main.py").write_text(MAIN, encoding="utf-8")
    return Checkout(folder.name, folder)


QUESTIONS: list[ablation.Question] = [
    {"id": "small", "model": "small-model", "machine": "laptop"},
    {"id": "large", "model": "large-model", "machine": "laptop", "workload": {}},
    {"id": "wrong", "model": "wrong-name"},
    {"id": "command", "command": "check mistral-7b"},
]


@pytest.mark.parametrize(
    ("after", "kinds", "decided"),
    [
        pytest.param({}, {}, 0, id="the-same-answers"),
        pytest.param({"WORDS": "it has room"}, {}, 0, id="other-words"),
        pytest.param({"MORE_BYTES": 40}, {}, 0, id="a-figure-4-percent-larger"),
        pytest.param({"MORE_BYTES": 80}, {"figures": 2}, 0, id="figures-8-percent"),
        pytest.param(
            {"ROUTES": {"large-model": "api"}}, {"route": 1}, 1, id="another-route"
        ),
        pytest.param(
            {"ALTERNATIVES": [{"id": "a", "runtime": "ollama"}]},
            {"newly told": 2},
            0,
            id="a-model-is-named-that-was-not",
        ),
    ],
)
def test_changes_are_counted_by_kind(
    after: dict[str, object], kinds: dict[str, int], decided: int, tmp_path: Path
) -> None:
    """Routes and the like decide; wording and small moves of figures are no change."""
    moved = ablation.compare(
        checkout(tmp_path / "before"), checkout(tmp_path / "after", **after), QUESTIONS
    )
    assert moved.questions == len(QUESTIONS)
    assert moved.kinds == kinds
    assert moved.decided == decided
    assert moved.changed == sum(kinds.values()) - kinds.get(ablation.NEW, 0)
    assert moved.changed_in_a_thousand == 250 * moved.changed


def test_decided_answers_are_told_for_each_1000_tokens_removed(tmp_path: Path) -> None:
    """300 statements of three tokens less, and one answer that decides otherwise. Nothing is told
    where nothing was removed.
    """
    before = checkout(tmp_path / "before")
    after = checkout(tmp_path / "after", ROUTES={"large-model": "api"})
    (before.folder / "selfhost" / "more.py").write_text(
        "# a comment\nx = 1\n" * 300, encoding="utf-8"
    )
    moved = ablation.compare(before, after, QUESTIONS)
    # `{"large-model": "api"}` has three tokens more than `{}`
    assert moved.tokens_removed == 900 - 3
    assert moved.decided_for_each_1000_tokens == pytest.approx(1000 / 897)
    report = "\n".join(moved.lines())
    assert "answers changed in a thousand: 250.0 (1 of 4)" in report
    assert "route (decides): 1 of 4 answers" in report
    assert json.loads(json.dumps(moved.to_json()))["decided"] == 1
    back = ablation.compare(after, before, QUESTIONS)
    assert back.decided_for_each_1000_tokens is None


def test_runs_that_a_checkout_cannot_be_asked_are_not_scored(tmp_path: Path) -> None:
    """The tiny program has no machines: what is not asked is said, and is no zero."""
    one = checkout(tmp_path / "one")
    moved = ablation.compare(one, one, QUESTIONS)
    assert moved.held["pace"][0].runs == 0
    assert any("pace of measured runs: not asked" in line for line in moved.lines())


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("x = 1\n", 3, id="a-statement"),
        pytest.param('"""Words."""\n\nx = 1  # why\n', 3, id="no-docstring-or-comment"),
        pytest.param(
            'def f(a):\n    """Words\n    of two lines.\n    """\n    return a\n',
            8,
            id="a-function",
        ),
        pytest.param('x = """not a\ndocstring"""\n', 3, id="text-that-is-a-value"),
    ],
)
def test_tokens_are_those_of_the_code(text: str, tokens: int, tmp_path: Path) -> None:
    """As Python's `tokenize` splits it, without newlines and indents."""
    (tmp_path / "module.py").write_text(text, encoding="utf-8")
    assert ablation.tokens_in(tmp_path) == tokens


def test_the_projects_own_questions_and_those_of_a_file_are_asked(
    tmp_path: Path,
) -> None:
    """A sample takes each so many-th; a model file is found beside the file that names it."""
    own = ablation.questions_of(None, 1)
    assert len(own) > 1000
    assert len({question["id"] for question in own}) == len(own)
    given = tmp_path / "questions.jsonl"
    given.write_text('{"id": "f", "file": "model.gguf"}\n', encoding="utf-8")
    (*_, last) = ablation.questions_of(given, 1)
    assert last == {"id": "f", "file": str(tmp_path.resolve() / "model.gguf")}
    assert len(ablation.questions_of(given, 10)) == len(own) // 10 + 1


IDEA = '''
"""An idea, and what it alone needs."""


def words_of(names: list[str]) -> list[str]:
    """Each name in capitals."""
    return [loud(name) for name in names]


def loud(name: str) -> str:
    """The name in capitals, with a sign behind it."""
    louder = name.upper()
    return louder + SIGN


def signs() -> Iterator[str]:
    """The signs."""
    yield SIGN
    yield SIGN * 2


class Shout:
    """A name in capitals."""

    def length(self) -> int:
        return len(loud("a")) + 1


SIGN = "!"
USED = [words_of, signs]
'''


def _without(place: str, folder: Path) -> str:
    """The module of the idea without a function."""
    one = checkout(folder / "one")
    (one.folder / "selfhost" / "idea.py").write_text(IDEA, encoding="utf-8")
    with without(one, [place]) as less:
        return (less.folder / "selfhost" / "idea.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("place", "body"),
    [
        pytest.param("idea.py:words_of", "    return []\n", id="a-list"),
        pytest.param("idea.py:loud", '    return ""\n', id="a-text"),
        pytest.param("idea.py:signs", "    return\n    yield\n", id="a-generator"),
        pytest.param("idea.py:Shout.length", "        return 0\n", id="a-method"),
    ],
)
def test_a_function_is_left_out(place: str, body: str, tmp_path: Path) -> None:
    """It tells the empty value of its type, and its first lines stay."""
    less = _without(place, tmp_path)
    assert body in less
    assert less.count("def ") == IDEA.count("def ")


def test_what_nothing_names_any_more_is_left_out_too(tmp_path: Path) -> None:
    """`loud` goes with the last function that names it; `words_of` is named by a table."""
    one = checkout(tmp_path / "one")
    file = one.folder / "selfhost" / "idea.py"
    file.write_text(IDEA, encoding="utf-8")
    before = ablation.tokens_in(one.folder / "selfhost")
    with without(one, ["idea.py:words_of", "idea.py:Shout.length"]) as less:
        text = (less.folder / "selfhost" / "idea.py").read_text(encoding="utf-8")
        removed = before - ablation.tokens_in(less.folder / "selfhost")
    assert "louder" not in text
    assert "yield SIGN * 2" in text
    # 11 tokens become `return []`, 10 `return 0`, and the 11 of `loud` an error that is raised
    assert removed == (11 - 3) + (10 - 2) + (11 - 2)


def test_a_function_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the form in which a function is named."""
    with pytest.raises(SystemExit, match="no function most: name one as FILE:NAME"):
        _without("idea.py:most", tmp_path)
