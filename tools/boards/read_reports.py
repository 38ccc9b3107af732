"""Sources of what makers state, or of which nobody knows who ran them: LLM Stats and MTEB."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .copies import Copy
from .names import Names
from .scores import Found

# MTEB has a thousand tasks: these English ones have most of the catalogue's models
_MTEB = (
    "ArguAna",
    "AskUbuntuDupQuestions",
    "Banking77Classification",
    "BiorxivClusteringP2P.v2",
    "CQADupstackGamingRetrieval",
    "CQADupstackUnixRetrieval",
    "ClimateFEVERHardNegatives",
    "FEVERHardNegatives",
    "FiQA2018",
    "HotpotQAHardNegatives",
    "MTOPDomainClassification",
    "NFCorpus",
    "SCIDOCS",
    "STSBenchmark",
    "SciFact",
    "SummEvalSummarization.v2",
    "TRECCOVID",
    "Touche2020Retrieval.v3",
)
# a domain for examples, which nobody owns (RFC 2606): a placeholder of whoever typed the row
_RESERVED = "//example.com/"
# the folder of what a model's card states, beside those of commits of the model
_EXTERNAL = "external"


def read_llm_stats(copy: Copy, names: Names) -> Iterator[Found]:
    """What a maker states of its model, with the page that says so. Left out is what names no page,
    and a score that is no share, as in points; 0 stands for none.
    """
    paths = copy.files(copy.source.path, "/benchmarks.json")
    for path, text in copy.texts(paths):
        written = path.split("/")[-2]
        found = names.model(written)
        if found is None:
            continue
        for row in json.loads(text):
            page = row["self_reported_source_link"] or ""
            if not page or _RESERVED in page:
                continue
            if row["score"] is None or not 0 < row["score"] <= 1:
                continue
            yield Found(
                model=found.model,
                board="stated-by-maker",
                score=100 * row["score"],
                name=written,
                setting=found.setting,
                test=row["benchmark_name"],
                version=(row["analysis_method"] or "").strip("- "),
                date=row["updated_at"][:10],
                cites=page,
            )


def read_mteb(copy: Copy, names: Names) -> Iterator[Found]:
    """The main score of a model's newest result on each task: one of a run of the harness, else what
    the model's card states.
    """
    wanted = []
    for path in copy.files("results", ".json"):
        owner_and_name, _, task = path.removeprefix("results/").partition("/")
        id = names.repository(owner_and_name.replace("__", "/", 1))
        if id is not None and task.split("/")[-1].removesuffix(".json") in _MTEB:
            wanted.append(path)
    kept: dict[tuple[str, str], Found] = {}
    for path, text in copy.texts(wanted):
        _, written, revision, file = path.split("/")
        row = json.loads(text)
        name = written.replace("__", "/", 1)
        id = names.repository(name)
        score = _main_score(row)
        if id is None or score is None:
            continue
        task = file.removesuffix(".json")
        is_stated = revision == _EXTERNAL
        if is_stated and (id, task) in kept:
            continue
        kept[id, task] = Found(
            model=id,
            board="mteb",
            score=100 * score,
            name=name,
            setting="model card" if is_stated else "",
            test=task,
            version=f"mteb {row['mteb_version']}" if row.get("mteb_version") else "",
        )
    yield from kept.values()


def _main_score(row: Mapping[str, Any]) -> float | None:
    """The main score of the English test; None where there is none."""
    # old results have another form
    tests = row.get("scores", {}).get("test") or []
    for test in tests:
        if test.get("hf_subset") in ("default", "en"):
            score: float = test["main_score"]
            return score
    return None
