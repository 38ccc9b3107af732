"""Runs that other people published are read, or refused for a reason that they show."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from helpers.paths import DATA
from selfhost.advice.verify import formats
from selfhost.advice.verify.run import Run

LOGS = tomllib.loads((DATA / "logs" / "public.toml").read_text("utf-8"))["log"]
MIB = 1 << 20
_OPTIONS = (
    "architecture",
    "quantization",
    "kv_cache_type",
    "gpu_layers",
    "context_tokens",
)
PUBLISHED = pytest.mark.parametrize("log", LOGS, ids=lambda log: log["source"])


def pace_of(run: Run, kind: str, *, at_once: bool = False) -> float | None:
    paces = [pace for pace in run.paces if pace.kind == kind and (pace.sequences > 1) == at_once]
    return paces[0].tokens_per_second if paces else None


@PUBLISHED
def test_the_paces_are_those_that_the_run_printed(log: dict[str, Any]) -> None:
    """Within the digits that it prints."""
    run = formats.run_of(log["text"])
    if "refused" in log:
        assert run is None
        return
    assert run is not None
    for kind in ("prompt", "decode"):
        printed = log.get(kind)
        seen = pace_of(run, kind)
        assert seen is None if printed is None else seen == pytest.approx(printed, rel=0.005)
    if "at_once" in log:
        assert pace_of(run, "decode", at_once=True) == pytest.approx(log["at_once"])


@PUBLISHED
def test_what_the_run_says_of_its_model_is_told(log: dict[str, Any]) -> None:
    run = formats.run_of(log["text"])
    for option in _OPTIONS:
        if option in log:
            assert getattr(run, option) == log[option]


@PUBLISHED
def test_the_buffers_are_counted_where_they_lie(log: dict[str, Any]) -> None:
    run = formats.run_of(log["text"])
    for key, is_host in (("host_mib", True), ("accelerator_mib", False)):
        if key in log:
            assert run is not None
            seen = sum(each.bytes for each in run.memory if (each.where == "host") == is_host)
            assert seen == pytest.approx(log[key] * MIB, rel=1e-4)


@PUBLISHED
def test_a_run_that_drafts_is_told_from_the_others(log: dict[str, Any]) -> None:
    run = formats.run_of(log["text"])
    drafted = run is not None and any(pace.drafted for pace in run.paces)
    assert drafted == log.get("drafts", False)
