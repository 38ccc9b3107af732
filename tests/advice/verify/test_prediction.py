"""The pace at any depth of the context."""

from __future__ import annotations

import pytest

from helpers.paths import RECORDS
from selfhost.advice.verdicts import check_with
from selfhost.advice.verify.layout import speed_at
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.workload import Workload
from selfhost.judge.question import architectures
from selfhost.machine.profiles import load
from selfhost.machine.reader import Machine

MACHINE = Machine.from_file(RECORDS / "vm-24gib.json")


def test_a_short_chat_is_what_check_tells() -> None:
    """Without a depth both give the same range; a deeper context is slower."""
    catalogue = open_catalogue()
    verdict = check_with(catalogue, "mistral-7b", Workload(), MACHINE, instead=False)
    assert verdict.speed is not None
    at = speed_at(verdict, catalogue.runtime("llama.cpp"), architectures(catalogue))
    short, deep = at(None), at(32_000)
    assert short is not None
    assert deep is not None
    assert short.decode == verdict.speed.decode
    assert short.prompt == verdict.speed.prompt
    assert deep.decode is not None
    assert short.decode is not None
    assert deep.decode.likely < short.decode.likely


@pytest.mark.parametrize(
    ("model", "runtime", "machine"),
    [
        ("gpt-oss-120b", "llama.cpp", "desktop-rtx4090-24gb"),
        ("llama-3.1-8b-instruct", "vllm", "desktop-2x-rtx3090"),
    ],
)
def test_it_is_laid_out_as_the_verdict_is(model: str, runtime: str, machine: str) -> None:
    """Experts in RAM, and layers of which each of two GPUs has a part."""
    catalogue = open_catalogue()
    asked, place = Workload(runtime=runtime), load(machine).machine
    verdict = check_with(catalogue, model, asked, place, instead=False)
    assert verdict.needs is not None
    assert verdict.needs.placement != "host"
    assert verdict.speed is not None
    short = speed_at(verdict, catalogue.runtime(runtime), architectures(catalogue))(None)
    assert short is not None
    assert short.decode == verdict.speed.decode
