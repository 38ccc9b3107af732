"""What `check` answers to the questions of `tests/answers/questions.jsonl` stays what it is: the facts that decide, and none of the wording.

How they came to be right is tested elsewhere (`tests/truth`); these hold a change inside to them.

    python tests/test_answers.py > tests/answers/answers.jsonl

writes them anew. A change that moves one says in its commit which kind, how many and why.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from helpers.paths import TESTS
from selfhost import SelfhostError, Workload, check

FOLDER = TESTS / "answers"
# how far apart bytes may lie: memory of programs that are not llama.cpp is a range
WITHIN = 0.005


def questions() -> list[dict[str, Any]]:
    text = (FOLDER / "questions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def answers() -> dict[str, dict[str, Any]]:
    text = (FOLDER / "answers.jsonl").read_text(encoding="utf-8")
    return {row["id"]: row for row in map(json.loads, text.splitlines())}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The facts of one answer; the kind of the error and the nearest names where there is none."""
    workload = Workload(**question.get("workload", {}))
    try:
        verdict = check(question["model"], workload, machine=question["machine"]).to_json()
    except SelfhostError as error:
        nearest = list(getattr(error, "nearest", ()))[:1]
        return {"id": question["id"], "error": type(error).__name__, "nearest": nearest}
    asked, needs, machine = verdict["workload"], verdict["needs"] or {}, verdict["machine"]
    memory = needs.get("memory") or {}
    return {
        "id": question["id"],
        "model": verdict["model"]["id"],
        "machine": [machine["memory_total_bytes"], machine["cpu_cores_usable"]],
        "route": verdict["route"],
        "runs_as": [asked[key] for key in ("runtime", "format", "quantization", "context_tokens")],
        "placement": needs.get("placement"),
        "download_bytes": needs.get("download_bytes"),
        "memory_bytes": memory.get("total_bytes"),
        "cache_bytes": sum(term["bytes"] for term in memory.get("terms", ()) if _is_kept(term)),
        "not_passed": sorted(
            f"{each['check']}: {each['outcome']}"
            for each in verdict["findings"]
            if each["outcome"] in ("fail", "unknown")
        ),
    }


def _is_kept(term: dict[str, Any]) -> bool:
    name = term["name"].lower()
    return "cache" in name or "state" in name


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """The facts of an answer that are others; bytes may differ by half a percent."""
    for fact in before.keys() | after.keys():
        old, new = before.get(fact), after.get(fact)
        if fact.endswith("_bytes") and old and new and abs(old - new) <= WITHIN * max(old, new):
            continue
        if old != new:
            yield f"{before['id']} {fact}: {old} -> {new}"


def test_no_fact_that_decides_has_moved() -> None:
    """Every other question is asked."""
    before = answers()
    moved = [
        line
        for question in questions()[::2]
        for line in differences(before[question["id"]], answer(question))
    ]
    assert not moved, (
        f"{len(moved)} facts moved; where that is wanted, write them anew"
        " (tests/test_answers.py) and say in the commit which and why:\n" + "\n".join(moved[:40])
    )


def test_each_kind_of_question_is_there() -> None:
    """Every route, models without memory and with, other runtimes than llama.cpp, and names that nobody knows."""
    rows = answers().values()
    assert {row.get("route") for row in rows} >= {"local", "api", "neither", "unknown"}
    assert len({row["runs_as"][0] for row in rows if "runs_as" in row}) >= 8
    assert sum("error" in row for row in rows) >= 5
    assert len(list(rows)) == len(questions())


if __name__ == "__main__":
    for question in questions():
        sys.stdout.write(json.dumps(answer(question), ensure_ascii=False) + "\n")
