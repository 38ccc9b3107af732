"""What models share that are alike in all that counts: a policy's second one is not judged again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from selfhost.catalogue.opened import open_catalogue
from selfhost.catalogue.spec import Architecture
from selfhost.core.records import Unread
from selfhost.core.workload import Workload
from selfhost.machine.profiles import load
from selfhost.machine.record import Accelerator, Machine
from selfhost.verdict.findings import Finding
from selfhost.verdict.judging import first_without_a_fail, judge
from selfhost.verdict.parts import parts_of, without_words
from selfhost.verdict.question import ask
from selfhost.verdict.record import Question
from selfhost.verdict.step import COUNTING

MACHINES = (
    "desktop-2x-rtx3090",
    "desktop-rtx3060-12gb",
    "desktop-ryzen-7700-32gb",
    "github-macos-15-intel",
)


def question_of(model: str, **asked: Any) -> Question:
    catalogue = open_catalogue()
    return ask(catalogue.spec(model), Workload(**asked), catalogue, load(MACHINES[0]).machine)


def refuse() -> Any:
    raise AssertionError("another field of the architecture was read")


TEXT = [
    ("mistral-7b-instruct-v0.3", "llama.cpp"),
    ("qwen3-30b-a3b", "llama.cpp"),
    ("deepseek-v2-lite-chat", "llama.cpp"),
    ("gemma-3-12b-it", "llama.cpp"),
    ("qwen2.5-7b-instruct", "transformers"),
    ("qwen2.5-7b-instruct", "vllm"),
]


@pytest.mark.parametrize(
    ("model", "runtime", "deciding"),
    # the pace of other work rests on more, and decides nothing
    [*((*each, deciding) for each in TEXT for deciding in (False, True)), ("bge-m3", None, True)],
)
def test_where_it_lies_and_its_pace_read_no_more_of_an_architecture_than_models_share(
    model: str, runtime: str | None, deciding: bool
) -> None:
    """Models are taken for alike by those fields: one more that is read would tell them apart."""
    own = question_of(model, runtime=runtime, prompt_tokens=500 if runtime else None)
    assert own.needs is not None
    shared = without_words(own, own.needs)
    architecture = shared.spec.architecture
    assert architecture is not None
    counting = {name: getattr(architecture, name) for name in COUNTING}
    bare = shared.spec.replace(architecture=Architecture.partly(counting, refuse))
    reading = shared.replace(spec=bare)
    assert reading.needs is not None
    for name in MACHINES:
        machine = load(name).machine
        chosen = first_without_a_fail(reading, reading.needs, machine, deciding=deciding)
        whole = first_without_a_fail(own, own.needs, machine, deciding=deciding)
        assert [(each.check, each.code) for each in chosen.held] == [
            (each.check, each.code) for each in whole.held
        ]
        assert chosen.pace == whole.pace


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # longer trained contexts
        ("apriel-1.5-15b-thinker", "apriel-1.6-15b-thinker"),
        # another type of the published weights
        ("llama-2-7b-base", "llama-guard-7b"),
    ],
)
def test_models_that_differ_in_what_does_not_count_share_what_is_found(
    one: str, other: str
) -> None:
    keys = [
        {part.key for part in parts_of(question_of(model), deciding=True) if part.layered}
        for model in (one, other)
    ]
    assert None not in keys[0]
    assert keys[0] == keys[1]


def test_what_a_model_in_ram_rests_on_asks_no_gpu_beside_it_who_made_it() -> None:
    """A GPU that shares the RAM decides nothing where the program can do without one, so that a fleet is not told apart by makers; an audit has the same route either way."""

    def refuse_more() -> Any:
        raise AssertionError("more of the GPU was read than that it shares the RAM")

    own = question_of("mistral-7b-instruct-v0.3", runtime="llama.cpp", min_tokens_per_second=0)
    assert own.needs is not None
    shared = Accelerator.partly({"unified": True}, refuse_more)
    known = load("desktop-ryzen-7700-32gb").machine
    fields = {name: getattr(known, name) for name in Machine._fields}
    machine = Machine.partly({**fields, "planning": False, "accelerators": (shared,)})
    chosen = first_without_a_fail(own, own.needs, machine, deciding=True)
    assert [each.check for each in chosen.held] == ["memory", "accelerator"]
    assert not any(each.decides for each in chosen.held)


@pytest.mark.parametrize("model", ["mistral-7b-instruct-v0.3", "kimi-k2-instruct"])
def test_what_an_audit_rests_on_is_what_one_machine_is_told_where_a_gpu_needs_no_processor(
    model: str,
) -> None:
    """Of a GH200 that a cluster knows, without its instruction sets, a fleet of many models was unknown and the machine alone ran them; a model that its GPU does not hold waits for them."""
    known = load("server-gh200").machine
    unread = Unread(fact="instruction_sets", reason="not told", remedy="record it")
    fields = {name: getattr(known, name) for name in Machine._fields}
    fields.update(instruction_sets=None, planning=False, unread=(unread,))
    machine = Machine(**fields)
    own = question_of(model, runtime="llama.cpp", min_tokens_per_second=0)

    def deciding(findings: Iterable[Finding]) -> set[str]:
        return {each.check for each in findings if each.decides}

    of_parts = (
        finding
        for part in parts_of(own, deciding=True)
        if part.accelerators is not False
        for finding in part.find(machine)
    )
    whole = deciding(judge(own, machine).findings)
    assert deciding(of_parts) == whole
    assert ("cpu" in whole) is (model == "kimi-k2-instruct")
