"""Sources that date and describe each run: Aider, OpenHands, tau2-bench, llme."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import yaml

from .copies import Copy
from .names import MOVED_TAGS, Names
from .scores import Found

# file -> board, and the key of the score
_AIDER = {
    "edit_leaderboard.yml": ("aider-edit", "pass_rate_2"),
    "polyglot_leaderboard.yml": ("aider-polyglot", "pass_rate_2"),
    "refactor_leaderboard.yml": ("aider-refactor", "pass_rate_1"),
}
_TAU2 = ("airline", "retail", "telecom", "banking_knowledge")
# `| 🟡 [unsloth/gpt-oss-20b-GGUF]:F16 mode=native | 38 (72%) | … | 53 |`
_LLME = re.compile(
    r"\| *\S* *\[([^\]]+)\](?:\([^)]*\))?(\S*) *([^|]*)\| *(\d+)[^|]*\|.*\| *(\d+) *\|"
)


def read_aider(copy: Copy, names: Names) -> Iterator[Found]:
    """The share of exercises that are solved, of three tables."""
    for file, (board, key) in _AIDER.items():
        for row in yaml.safe_load(copy.text(f"{copy.source.path}/{file}")):
            found = names.model(row["model"])
            if found is None or key not in row:
                continue
            setting = f"edit format {row['edit_format']}"
            if found.setting:
                setting = f"{setting}, {found.setting}"
            yield Found(
                model=found.model,
                board=board,
                score=float(row[key]),
                name=row["model"],
                setting=setting,
                date=str(row["date"]),
                items=row["test_cases"],
            )


def read_openhands(copy: Copy, names: Names) -> Iterator[Found]:
    """The newest score of each model and test with the standard agent."""
    paths = copy.files("results", "/scores.json")
    for path, text in copy.texts(paths):
        written = path.split("/")[1]
        found = names.model(written)
        if found is None:
            continue
        for row in json.loads(text):
            yield Found(
                model=found.model,
                board=f"openhands-{row['benchmark']}",
                score=float(row["score"]),
                name=written,
                setting=found.setting,
                version=f"agent {row['agent_version']}",
                date=row["submission_time"][:10],
            )


def read_tau2(copy: Copy, names: Names) -> Iterator[Found]:
    """The share of tasks that are solved at the first attempt. Sierra's own runs are independent."""
    paths = copy.files(copy.source.path, "/submission.json")
    for path, text in copy.texts(paths):
        row = json.loads(text)
        found = names.model(row["model_name"])
        is_of_text = row.get("submission_type", "standard") == "standard"
        if found is None or "EXAMPLE" in path or not is_of_text:
            continue
        method = row.get("methodology") or {}
        setting = row.get("reasoning_effort") or found.setting
        is_sierras = row["submitting_organization"] == "Sierra"
        is_their_model = row["model_organization"] == row["submitting_organization"]
        for test in _TAU2:
            score = (row["results"].get(test) or {}).get("pass_1")
            if score is None:
                continue
            yield Found(
                model=found.model,
                board=f"tau2-{test}",
                score=float(score),
                name=row["model_name"],
                setting=setting,
                version=method.get("tau2_bench_version") or "",
                date=row["submission_date"],
                independent=None if is_sierras and not is_their_model else False,
            )


def read_llme(copy: Copy, names: Names) -> Iterator[Found]:
    """The share of tasks that pass, of each model, quantization and way of calling tools."""
    for written, tag, how, passed, total in _LLME.findall(copy.text(copy.source.path)):
        quantization = tag.strip(":")
        if "/" in written:
            # a repository of files that somebody quantized
            name = re.sub(
                "-(GGUF|4bit-mlx|MLX-4bit)$", "", written, flags=re.IGNORECASE
            )
        else:
            # a tag of Ollama's library
            if written in MOVED_TAGS or quantization == "latest":
                continue
            name = f"{written}:{quantization}"
            quantization = "Ollama default"
        found = names.model(name)
        if found is None:
            continue
        yield Found(
            model=found.model,
            board="llme",
            score=100 * int(passed) / int(total),
            name=written,
            setting=" ".join(f"{quantization} {how}".split()),
            version=f"{total} tasks",
            items=int(total),
        )
