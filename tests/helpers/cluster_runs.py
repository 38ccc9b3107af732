"""The published runs of several machines, `tests/truth/clusters.json`, and what is told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from helpers.paths import TRUTH
from selfhost.advice.understood import understand
from selfhost.catalogue.index import Catalogue, open_catalogue
from selfhost.core.workload import Workload
from selfhost.judge.clusters import OnCluster, judge_on_cluster
from selfhost.judge.record import Question, Range
from selfhost.machine.clusters import Cluster, cluster_named
from selfhost.machine.named import named

# a prompt longer than this does not fit the usual context
_LONG_PROMPT = 3_500
_ANSWER_TOKENS = 512

Run = dict[str, Any]


@cache
def catalogue() -> Catalogue:
    return open_catalogue(())


def cluster(text: str, link: str | None = None) -> Cluster:
    """The machines that a text names together."""
    found = cluster_named(text, named, link)
    assert found is not None, text
    return found.cluster


def question(model: str, machines: Cluster, **stated: Any) -> Question:
    """The question about a model, asked for the main machine."""
    understood = understand(catalogue(), model, Workload(**stated))
    return understood.question(catalogue(), machines.main)


def together(
    model: str,
    text: str,
    split: str | None = None,
    link: str | None = None,
    **stated: Any,
) -> OnCluster:
    """The first way to divide a model over the machines."""
    machines = cluster(text, link)
    judged, *_ = judge_on_cluster(question(model, machines, **stated), machines, split)
    return judged


def runs() -> list[Run]:
    """All runs of the file."""
    table = json.loads((TRUTH / "clusters.json").read_text(encoding="utf-8"))
    return list(table["runs"])


def judged_run(run: Run) -> OnCluster:
    """What is told of a run, asked as it was made."""
    stated: dict[str, Any] = {"runtime": run["runtime"]}
    if "quantization" in run:
        stated["quantization"] = run["quantization"]
    if "users" in run:
        stated["parallel"] = run["users"]
    if "prompt_tokens" in run:
        stated["prompt_tokens"] = run["prompt_tokens"]
        if run["prompt_tokens"] > _LONG_PROMPT:
            stated["context_tokens"] = run["prompt_tokens"] + _ANSWER_TOKENS
    if run.get("eager"):
        stated["runtime_options"] = {"enforce-eager": "yes"}
    return together(run["model"], run["machines"], run["split"], run["link"], **stated)


def told(run: Run) -> Range | None:
    """The pace that is told of a run: of one user, or of several together; None where none is."""
    speed = judged_run(run).judged.speed
    if speed is None:
        return None
    return speed.parallel_total if run.get("users", 1) > 1 else speed.decode


def compared(*, is_fitted: bool | None = None) -> Iterator[tuple[Run, Range]]:
    """Yield the runs of which a pace is told, but those that are apart: all, or those that
    were fitted, or those that were not.
    """
    for run in runs():
        if "apart" in run or is_fitted not in (None, run["fitted"]):
            continue
        pace = told(run)
        if pace is not None:
            yield run, pace
