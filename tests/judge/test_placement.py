"""Where the memory lies: accelerators, split with RAM, RAM; and the order in which they are judged."""

from __future__ import annotations

import pytest

from judge.small import (
    BIG,
    GIB,
    GPU,
    GPU_ONLY,
    MACHINE,
    RUNTIME,
    WORK,
    found,
    needs_of,
    question,
    term,
)
from selfhost import api
from selfhost.advice.understood import understand
from selfhost.catalogue.index import Catalogue
from selfhost.core.records import Unread
from selfhost.core.workload import Workload
from selfhost.judge import checks as findings
from selfhost.judge.checks import Outcome
from selfhost.judge.judging import considered, judge
from selfhost.judge.placement import Spreading, placements
from selfhost.judge.placement.gpus_alone import smallest_device_bytes
from selfhost.judge.placement.on_devices import share_if_filled
from selfhost.judge.question import ask
from selfhost.judge.record import Route
from selfhost.machine.profiles import load
from selfhost.needs.records import MemoryNeed


def test_a_machine_whose_gpu_holds_the_model_is_never_sent_to_an_api() -> None:
    """RAM too small, GPU large enough: local."""
    judged = judge(
        question(needs=needs_of(17 * GIB, 18 * GIB)), MACHINE.replace(accelerators=(GPU,))
    )
    assert judged.route(offered=True) is Route.LOCAL
    assert judged.needs is not None
    assert judged.needs.placement == "accelerator"


def test_an_unread_accelerator_decides_only_where_the_ram_is_too_small() -> None:
    """It may hold what the RAM cannot: unknown. Where the RAM is enough it changes nothing."""
    unread = MACHINE.replace(
        accelerators=None, unread=(Unread(fact="accelerators", reason="no driver"),)
    )
    assert judge(BIG, unread).route(offered=True) is Route.UNKNOWN
    assert judge(question(), unread).route(offered=True) is Route.LOCAL


def test_a_split_keeps_every_byte() -> None:
    """Placing layers on an accelerator moves memory, it makes none and loses none."""
    before = needs_of(27 * GIB, 28 * GIB)
    after = judge(question(needs=before), MACHINE.replace(accelerators=(GPU,))).needs
    assert after is not None
    assert after.memory is not None
    assert before.memory is not None
    assert after.placement == "split"
    assert after.memory.total_bytes == before.memory.total_bytes
    assert {one.where for one in after.memory.terms} == {"host", "accelerator:0"}


def test_a_split_that_just_misses_may_lie_on_the_card_in_whole() -> None:
    """A gigabyte stays free and the most is reckoned with; somebody who fills the card leaves less in RAM, or nothing. Six public runs on an RX 7900 XT did."""

    def filled(low: int, high: int) -> float:
        machine = MACHINE.replace(accelerators=(GPU,))
        placed = judge(question(needs=needs_of(low, high)), machine).needs
        assert placed is not None
        return share_if_filled(placed, 32)

    assert filled(17 * GIB, 18 * GIB) == 0, "nothing is left in RAM"
    near, far = filled(23 * GIB, 24 * GIB), filled(27 * GIB, 28 * GIB)
    assert 0 < far < near <= 1


def test_unified_memory_is_no_second_pool() -> None:
    """A GPU that shares the RAM adds nothing to it."""
    apple = MACHINE.replace(accelerators=(GPU.replace(unified=True, memory_total_bytes=64 * GIB),))
    assert judge(BIG, apple).failed


def test_a_readable_card_does_not_hide_an_unread_one() -> None:
    """A small integrated GPU that was read, and a card that was not: the card may hold the model, so it is unknown."""
    small = GPU.replace(memory_total_bytes=2 * GIB, memory_free_bytes=2 * GIB)
    unread = GPU.replace(memory_total_bytes=None, memory_free_bytes=None)
    assert (
        judge(BIG, MACHINE.replace(accelerators=(small, unread))).route(offered=True)
        is Route.UNKNOWN
    )


def test_a_card_that_may_share_the_ram_is_no_place_of_its_own() -> None:
    """Without a word on whether it shares the RAM, its memory is counted in neither way: unknown, not local and not api."""
    assert (
        judge(
            BIG,
            MACHINE.replace(
                accelerators=(
                    GPU.replace(
                        memory_total_bytes=80 * GIB, memory_free_bytes=80 * GIB, unified=None
                    ),
                )
            ),
        ).route(offered=True)
        is Route.UNKNOWN
    )


def test_a_busy_card_holds_it_once_others_have_left() -> None:
    """As RAM that is taken now: a warning that says how much is free. By what is available now it holds nothing."""
    busy = MACHINE.replace(
        accelerators=(GPU.replace(memory_total_bytes=80 * GIB, memory_free_bytes=GIB // 2),)
    )
    judged = judge(BIG, busy)
    assert judged.route(offered=True) is Route.LOCAL
    finding = found("accelerator", BIG, busy)
    assert (finding.code, finding.has) == ("accelerator-not-now", 0)
    assert "512 MiB are free now" in finding.reason
    now = BIG.replace(workload=WORK.replace(memory_basis="available"))
    assert judge(now, busy).route(offered=True) is Route.API
    total = BIG.replace(workload=WORK.replace(memory_basis="total"))
    assert found("accelerator", total, busy).code == "accelerator-fits"
    small = MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=GIB),))
    assert (
        judge(BIG.replace(needs=needs_of(80 * GIB, 81 * GIB)), small).route(offered=True)
        is Route.API
    )
    # tensor parallelism on two busy cards
    pair = MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=GIB),) * 2)
    assert (
        found(
            "accelerator", question(needs=needs_of(39 * GIB, 40 * GIB), runtime=GPU_ONLY), pair
        ).code
        == "accelerator-not-now"
    )


def test_instances_of_mig_are_used_one_at_a_time() -> None:
    """A program gets one of them: two of 20 GiB hold no model of 30, by layers or by tensor parallelism."""
    part = GPU.replace(
        name="NVIDIA H100 80GB HBM3 MIG 2g.20gb",
        memory_total_bytes=20 * GIB,
        memory_free_bytes=20 * GIB,
    )
    asked = question(needs=needs_of(29 * GIB, 30 * GIB))
    small = MACHINE.replace(
        memory_total_bytes=4 * GIB, memory_limit_bytes=4 * GIB, memory_available_bytes=4 * GIB
    )
    assert judge(asked, small.replace(accelerators=(part, part))).failed
    assert not judge(
        asked, small.replace(accelerators=(part.replace(name="A"), part.replace(name="B")))
    ).failed
    wide = asked.replace(runtime=GPU_ONLY)
    assert judge(wide, MACHINE.replace(accelerators=(part, part))).failed
    assert not judge(
        wide, MACHINE.replace(accelerators=(part.replace(name="A"), part.replace(name="B")))
    ).failed
    assert not judge(question(runtime=GPU_ONLY), MACHINE.replace(accelerators=(part, part))).failed


def test_two_cards_share_the_layers_out() -> None:
    """40 GiB on two cards of 24: whole layers on each, for a runtime that splits; one that does not needs it on one card."""
    pair = MACHINE.replace(accelerators=(GPU, GPU))
    judged = judge(BIG, pair)
    assert judged.route(offered=True) is Route.LOCAL
    assert judged.needs is not None
    assert judged.needs.memory is not None
    assert {one.where for one in judged.needs.memory.terms if one.bytes} == {
        "accelerator:0",
        "accelerator:1",
    }
    assert "2 × Test GPU" in found("accelerator", BIG, pair).reason
    assert judged.needs.memory.total_bytes == 40 * GIB - GIB // 2


def test_a_runtime_that_needs_it_all_takes_its_share_of_each_card() -> None:
    """vLLM takes 92 % of a device: 22.5 of 24 GiB are too much for one card; 40 GiB go on two in equal parts, but not in RAM."""
    asked = question(runtime=GPU_ONLY, needs=needs_of(22 * GIB + GIB // 2, 22 * GIB + GIB // 2))
    assert (
        found("accelerator", asked, MACHINE.replace(accelerators=(GPU,))).code
        == "accelerator-too-small"
    )
    pair = judge(BIG.replace(runtime=GPU_ONLY), MACHINE.replace(accelerators=(GPU, GPU)))
    assert pair.route(offered=True) is Route.LOCAL
    assert pair.needs is not None
    assert pair.needs.memory is not None
    held = {
        where: sum(one.high_bytes for one in pair.needs.memory.terms if one.where == where)
        for where in ("accelerator:0", "accelerator:1")
    }
    assert held == {"accelerator:0": 20 * GIB, "accelerator:1": 20 * GIB}
    assert (
        judge(BIG.replace(runtime=GPU_ONLY), MACHINE.replace(accelerators=(GPU,))).route(
            offered=True
        )
        is Route.API
    )


def test_a_large_card_holds_what_is_worked_on_there() -> None:
    """From 70 GiB on vLLM works on four times as much at once, but on an A100 (vllm 0.33.0, get_batch_defaults)."""

    def activations(name: str, gib: int) -> int:
        card = GPU.replace(name=name, memory_total_bytes=gib * GIB, memory_free_bytes=gib * GIB)
        asked = Workload(runtime="vllm")
        needs = api.check(
            "qwen2.5-7b-instruct", asked, machine=MACHINE.replace(accelerators=(card,))
        ).needs
        assert needs is not None
        assert needs.memory is not None
        return next(term.bytes for term in needs.memory.terms if term.name == "activations")

    small = activations("NVIDIA A100-SXM4-80GB", 80)
    assert small == activations("NVIDIA L40S", 48) < activations("NVIDIA H100 80GB HBM3", 80)


@pytest.mark.parametrize("program", ["vllm", "sglang"])
@pytest.mark.parametrize("model", ["qwen2.5-7b-instruct", "gemma-3-27b-it", "llama-3.3-70b"])
@pytest.mark.parametrize("number", [1, 4])
def test_the_smallest_device_holds_it_and_a_smaller_one_does_not(
    program: str, model: str, number: int
) -> None:
    """On as many GPUs of that size it fits; with 16 MiB less each it is judged not to."""
    shelf = Catalogue.open()
    spec = understand(shelf, model, Workload(), MACHINE).spec
    asked = ask(spec, Workload(runtime=program, context_tokens=4096), shelf, MACHINE)
    assert asked.needs is not None
    size = smallest_device_bytes(asked.needs, number)
    lean = smallest_device_bytes(asked.needs, number, may_be_lean=True)
    assert lean < size
    codes = []
    for each in (size, size - (16 << 20)):
        card = GPU.replace(memory_total_bytes=each, memory_free_bytes=each)
        machine = MACHINE.replace(accelerators=(card.replace(compute_capability="9.0"),) * number)
        needs = next(placements(asked.needs, machine, Spreading(gpu_only=True)))
        finding = findings.accelerator_check(
            needs, machine, findings.Program(runtime=asked.runtime)
        )
        codes.append((needs.is_lean, finding.code))
    assert codes[0] == (False, "accelerator-fits")
    assert codes[1] != codes[0]


def test_a_program_on_several_cards_takes_ram_and_what_they_share() -> None:
    """What each of several cards holds more, to talk to the others, and what the process takes of the RAM instead."""
    runtimes = {}
    for number in (1, 2):
        card = GPU.replace(compute_capability="8.6")
        needs = api.check(
            "qwen2.5-14b-instruct" if number == 2 else "qwen2.5-3b-instruct",
            Workload(runtime="vllm"),
            machine=MACHINE.replace(
                accelerators=(card,) * number,
                memory_total_bytes=64 * GIB,
                memory_limit_bytes=64 * GIB,
            ),
        ).needs
        assert needs is not None
        assert needs.memory is not None
        runtimes[number] = {
            term.where: term for term in needs.memory.terms if term.name == "runtime"
        }
    assert runtimes[2].keys() == {"host", "accelerator:0", "accelerator:1"}
    assert runtimes[2]["host"].high_bytes == 2 * runtimes[1]["host"].high_bytes
    assert "to talk to the others" in runtimes[2]["accelerator:1"].arithmetic
    assert "to talk to the others" not in runtimes[1]["accelerator:0"].arithmetic


def test_what_no_number_of_cards_holds_is_told_of_those_that_lack_least() -> None:
    """Two cards are told of where two lack less than one, and more never looks as if it took less: vLLM may take 22.08 GiB of 24."""
    whole = term(3 * GIB, 3 * GIB, "activations")
    told = {}
    for size in (38, 40):
        memory = MemoryNeed(terms=(term(size * GIB, size * GIB), whole))
        made = judge(
            question(runtime=GPU_ONLY, needs=needs_of().replace(memory=memory)),
            MACHINE.replace(accelerators=(GPU, GPU)),
        )
        assert made.needs is not None
        assert made.needs.memory is not None
        told[size] = (
            made.needs.memory.high_bytes,
            next(one for one in made.findings if one.check == "accelerator"),
        )
    assert [(size, found.code) for size, (_, found) in told.items()] == [
        (38, "accelerator-fits"),
        (40, "accelerator-too-small"),
    ]
    assert [size for size, _ in told.values()] == [44 * GIB, 46 * GIB]
    assert "needs 46.0 GiB on 2 GPUs; 2 × Test GPU has 44.2 GiB for it" in told[40][1].reason
    # a program that divides nothing has one card
    alone = needs_of(40 * GIB, 40 * GIB).replace(tensor_parallel=())
    (found,) = (
        one
        for one in judge(
            question(runtime=GPU_ONLY, needs=alone), MACHINE.replace(accelerators=(GPU, GPU))
        ).findings
        if one.check == "accelerator"
    )
    assert "needs 40.0 GiB on a GPU; Test GPU has 22.1 GiB for it" in found.reason


def test_what_one_card_has_left_is_no_room_on_another() -> None:
    """30 GiB on one of two cards that can give 22 each: too small, though both together can give 44."""
    cards = MACHINE.replace(accelerators=(GPU, GPU.replace(name="Other GPU")))
    terms = (
        term(30 * GIB, 30 * GIB, where="accelerator:0"),
        term(1 * GIB, 1 * GIB, where="accelerator:1"),
    )
    placed = needs_of().replace(placement="accelerator", memory=MemoryNeed(terms=terms))
    judged = findings.accelerator_check(placed, cards, findings.Program(runtime=RUNTIME))
    assert (judged.outcome, judged.code) == (Outcome.FAIL, "accelerator-too-small")
    assert (judged.needs, judged.has, judged.short) == (30 * GIB, 22 * GIB, 8 * GIB)
    assert "Test GPU" in judged.reason
    assert "Other GPU" not in judged.reason


@pytest.mark.parametrize(
    ("model", "machine", "workload"),
    [
        ("mistral-small-24b-instruct-2501", "laptop-rtx4060-16gb", Workload()),
        (
            "devstral-2-123b-instruct-2512",
            "aws-g6e.xlarge",
            Workload(runtime="ollama", context_tokens=386),
        ),
    ],
)
def test_a_layer_less_on_the_card_is_no_reason_for_an_api(
    model: str, machine: str, workload: Workload
) -> None:
    """A buffer is a fifth larger on a card than in RAM at most: where so many layers do not fit beside it, one less does."""
    verdict = api.check(model, workload, machine=load(machine).machine)
    assert verdict.route is Route.LOCAL
    assert verdict.needs is not None
    assert verdict.needs.placement == "split"


def test_a_gigabyte_of_each_card_stays_free() -> None:
    """llama.cpp's fitter leaves 1 GiB: 22.5 of 23 free GiB do not fit whole."""
    judged = judge(
        question(needs=needs_of(22 * GIB + GIB // 2, 22 * GIB + GIB // 2)),
        MACHINE.replace(accelerators=(GPU,)),
    )
    assert judged.needs is not None
    assert judged.needs.placement == "split"


def test_the_ways_to_lay_it_out_are_told() -> None:
    """Each with its memory, and whether it would do; exactly one is the verdict's. Without a choice there is nothing to tell."""
    machine = MACHINE.replace(accelerators=(GPU.replace(name="NVIDIA GeForce RTX 4090"),))
    asked = question(needs=needs_of(9 * GIB, 10 * GIB))
    found = considered(asked, judge(asked, machine).needs, machine)
    assert [(one.placement, one.accelerators, one.fits, one.judged) for one in found] == [
        ("accelerator", (0,), True, True),
        ("host", (), True, False),
    ]
    assert [(one.accelerator_high_bytes, one.host_high_bytes) for one in found] == [
        (10 * GIB, 0),
        (0, 10 * GIB),
    ]
    assert all(one.decode is not None for one in found)
    asked = question(needs=needs_of(27 * GIB, 28 * GIB))
    split, host = considered(asked, judge(asked, machine).needs, machine)
    assert (split.placement, split.fits, split.judged) == ("split", True, True)
    assert split.accelerator_high_bytes + split.host_high_bytes == 28 * GIB
    # whole layers: of 32, as many as 22 GiB hold
    assert split.accelerator_high_bytes == 28 * GIB * 25 // 32
    assert host.fits is False
    assert considered(asked, judge(asked, MACHINE).needs, MACHINE) == ()


def test_where_nothing_fits_the_least_that_is_short_is_told() -> None:
    """Of a model that RAM and GPU would hold together but for a little, that little; of one that must lie on one of them whole, what the larger lacks."""
    machine = MACHINE.replace(memory_available_bytes=15 * GIB, accelerators=(GPU,))
    # 22 GiB on the GPU and 15 in RAM, of whole layers
    asked = question(needs=needs_of(38 * GIB, 38 * GIB))
    memory = found("memory", asked, machine)
    assert memory.outcome is Outcome.FAIL
    assert memory.short is not None
    assert 1 * GIB <= memory.short <= (1 + 38 / 32) * GIB
    assert found("accelerator", asked, machine).outcome is Outcome.WARN
    assert "GPU memory would do" in (memory.remedy or "")
    whole = question(
        needs=needs_of(25 * GIB, 25 * GIB), runtime=RUNTIME.replace(splits_layers=False)
    )
    assert found("accelerator", whole, machine).short == 3 * GIB
    assert found("memory", whole, machine).outcome is Outcome.PASS
    small = GPU.replace(memory_total_bytes=8 * GIB, memory_free_bytes=8 * GIB)
    assert found("memory", whole, machine.replace(accelerators=(small,))).short == 10 * GIB


@pytest.mark.parametrize(
    ("cards", "chosen"),
    [
        # as much memory, three times the rate
        ("p40 and rtx 4090", "accelerator:1"),
        ("rtx 4090 and p40", "accelerator:0"),
        # the smaller card is the faster
        ("rtx 3060 12gb and rtx 3080 10gb", "accelerator:1"),
        ("rtx 3090 and gtx 1060", "accelerator:0"),
    ],
)
def test_of_two_cards_that_hold_it_the_faster_has_it(cards: str, chosen: str) -> None:
    verdict = api.check("llama-3.1-8b-instruct", Workload(quantization="Q4_K_M"), machine=cards)
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    assert {term.where for term in verdict.needs.memory.terms} == {chosen, "host"}
