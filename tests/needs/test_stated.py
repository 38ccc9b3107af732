"""The memory that specs state, held against the runs that were measured."""

from __future__ import annotations

import json
from typing import Any

from helpers.needs_of import catalogue
from helpers.paths import TRUTH
from selfhost.api import check
from selfhost.core.workload import Workload

KINDS: dict[str, Any] = json.loads((TRUTH / "kinds.json").read_text(encoding="utf-8"))


def test_the_peak_of_every_run_is_at_most_what_the_spec_states() -> None:
    """Whole models of the catalogue, by their number of parameters; shorter requests take less."""
    stated = {spec.parameters.total: spec.needs for spec in catalogue().specs() if spec.needs}
    seen = 0
    for run in KINDS["runs"]:
        model = KINDS["models"][run["model"]]
        needs = stated.get(run["parameters"])
        if needs is None or needs.high_bytes is None or model["cut"]:
            continue
        peak = max(stage["peak_bytes"] for stage in run["stages"].values())
        usual = needs.heard_seconds or 30
        more = max(0, run.get("seconds", 0) - usual) * (needs.second_bytes or 0) * 3 // 2
        assert peak <= needs.high_bytes + more, run["name"]
        seen += 1
    assert seen > 30


def test_rerankers_take_what_their_tensors_say() -> None:
    """The same runs of encoders whose tensors are described, in the types and lengths measured.

    The runs pass token numbers, of any row of the table: no tokenizer, and mapped rows that may go.
    """
    twins = {"reranker-minilm": "ms-marco-minilm-l6-v2", "gte-large": "gte-large-en-v1.5"}
    runs = [run for run in KINDS["runs"] if run["kind"] == "score" and run["model"] in twins]
    assert len(runs) >= 3
    for run in runs:
        asked = Workload(context_tokens=run["tokens"], parallel=run["pairs"])
        needs = check(twins[run["model"]], asked, machine="desktop-ryzen-5600-16gb").needs
        assert needs is not None
        assert needs.memory is not None
        # no tokenizer was read, and the library beside transformers not imported
        tokenizer = 30_522 * 180
        low = needs.memory.low_bytes - 91_492_352 - tokenizer
        high = needs.memory.high_bytes + needs.memory.evictable_bytes
        peak = max(stage["peak_bytes"] for stage in run["stages"].values())
        assert low <= peak <= high, (run["name"], low, peak, high)
