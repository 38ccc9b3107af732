"""Where the memory lies: accelerators, split with RAM, RAM; in llama.cpp, Transformers and SGLang;
and vLLM's KV cache in 8 bits: its size, the GPUs that take it, the line to type.
"""

from __future__ import annotations

import pytest

from helpers.machines import machine_with
from judge.small import (
    BIG,
    GIB,
    GPU,
    GPU_ONLY,
    MACHINE,
    RUNTIME,
    WORK,
    finding_of,
    found,
    memory_of,
    needs_of,
    question,
    route_of,
    speed_of,
)
from selfhost import Route, Workload, check
from selfhost.advice.sizes import disks_of
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.runtime_parts import LayerPlacement
from selfhost.cli.parser import Options
from selfhost.core.errors import WorkloadError
from selfhost.core.records import Unread
from selfhost.judge.checks import Outcome
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.judge.record import Verdict
from selfhost.machine.record import Machine
from selfhost.needs.records import likely_bytes


def test_an_unread_accelerator_decides_only_where_the_ram_is_too_small() -> None:
    """It may hold what the RAM cannot: unknown. Where the RAM is enough it changes nothing."""
    no_driver = Unread(fact="accelerators", reason="no driver")
    unread = MACHINE.replace(accelerators=None, unread=(no_driver,))
    assert route_of(judge(BIG, unread), offered=True) is Route.UNKNOWN
    assert route_of(judge(question(), unread), offered=True) is Route.LOCAL


def test_unified_memory_is_no_second_pool() -> None:
    """A GPU that shares the RAM adds nothing to it."""
    shared = GPU.replace(unified=True, memory_total_bytes=64 * GIB)
    assert judge(BIG, MACHINE.replace(accelerators=(shared,))).failed


def test_a_busy_card_holds_it_once_others_have_left() -> None:
    """As RAM that is taken now: a warning that says how much is free. By what is available now it
    holds nothing.
    """
    large = GPU.replace(memory_total_bytes=80 * GIB, memory_free_bytes=GIB // 2)
    busy = MACHINE.replace(accelerators=(large,))
    assert route_of(judge(BIG, busy), offered=True) is Route.LOCAL
    finding = found("accelerator", BIG, busy)
    assert finding.code == "accelerator-not-now"
    assert finding.has == 0
    assert "512 MiB is free now" in finding.reason
    now = BIG.replace(workload=WORK.replace(memory_basis="available"))
    assert route_of(judge(now, busy), offered=True) is Route.API
    total = BIG.replace(workload=WORK.replace(memory_basis="total"))
    assert found("accelerator", total, busy).code == "accelerator-fits"
    card = GPU.replace(memory_free_bytes=GIB)
    small = MACHINE.replace(accelerators=(card,))
    huge = BIG.replace(needs=needs_of(80 * GIB, 81 * GIB))
    assert route_of(judge(huge, small), offered=True) is Route.API
    # tensor parallelism on two busy cards
    pair = MACHINE.replace(accelerators=(card, card))
    asked = question(needs=needs_of(39 * GIB, 40 * GIB), runtime=GPU_ONLY)
    assert found("accelerator", asked, pair).code == "accelerator-not-now"


def test_instances_of_mig_are_used_one_at_a_time() -> None:
    """A program gets one of them: two of 20 GiB hold no model of 30, by layers or by tensor
    parallelism.
    """
    part = GPU.replace(
        name="NVIDIA H100 80GB HBM3 MIG 2g.20gb",
        memory_total_bytes=20 * GIB,
        memory_free_bytes=20 * GIB,
    )
    small = MACHINE.replace(
        memory_total_bytes=4 * GIB,
        memory_limit_bytes=4 * GIB,
        memory_available_bytes=4 * GIB,
    )
    instances = (part, part)
    cards = (part.replace(name="A"), part.replace(name="B"))
    by_layers = question(needs=needs_of(29 * GIB, 30 * GIB))
    assert judge(by_layers, small.replace(accelerators=instances)).failed
    assert not judge(by_layers, small.replace(accelerators=cards)).failed
    in_parallel = by_layers.replace(runtime=GPU_ONLY)
    assert judge(in_parallel, MACHINE.replace(accelerators=instances)).failed
    assert not judge(in_parallel, MACHINE.replace(accelerators=cards)).failed
    on_one = question(runtime=GPU_ONLY)
    assert not judge(on_one, MACHINE.replace(accelerators=instances)).failed


def test_two_cards_share_the_layers_out() -> None:
    """40 GiB on two cards of 24: whole layers on each, for a runtime that splits; one that does not
    needs it on one card.
    """
    pair = MACHINE.replace(accelerators=(GPU, GPU))
    judged = judge(BIG, pair)
    assert route_of(judged, offered=True) is Route.LOCAL
    places = {term.where for term in memory_of(judged).terms if term.bytes}
    assert places == {"accelerator:0", "accelerator:1"}
    assert "2 × Test GPU" in found("accelerator", BIG, pair).reason
    assert memory_of(judged).total_bytes == 40 * GIB - GIB // 2


def test_a_runtime_that_needs_it_all_takes_its_share_of_each_card() -> None:
    """vLLM takes 92 % of a device: 22.5 of 24 GiB are too much for one card; 40 GiB go on two in
    equal parts, but not in RAM.
    """
    size = 22 * GIB + GIB // 2
    asked = question(runtime=GPU_ONLY, needs=needs_of(size, size))
    one = MACHINE.replace(accelerators=(GPU,))
    assert found("accelerator", asked, one).code == "accelerator-too-small"
    large = BIG.replace(runtime=GPU_ONLY)
    on_pair = judge(large, MACHINE.replace(accelerators=(GPU, GPU)))
    assert route_of(on_pair, offered=True) is Route.LOCAL
    held = {place.where: place.high_bytes for place in memory_of(on_pair).places}
    assert held["accelerator:0"] == 20 * GIB
    assert held["accelerator:1"] == 20 * GIB
    assert route_of(judge(large, one), offered=True) is Route.API


@pytest.mark.parametrize(
    ("model", "runtime", "users", "ram_gib"),
    [
        # its three processes a GPU take 4 to 24 GiB of RAM on four
        pytest.param("qwen3-8b", "sglang", 16, 24, id="four-may-not-fit-in-ram"),
        pytest.param("qwen3-8b", "vllm", 16, 24, id="eight-may-not-fit-in-ram"),
        # two likely hold it, and of four the RAM is not sure
        pytest.param("qwen3-32b", "sglang", 4, 16, id="two-are-tight"),
    ],
)
def test_more_gpus_are_never_worse(
    model: str,
    runtime: str,
    users: int,
    ram_gib: int,
) -> None:
    """Each GPU has a process that takes RAM: the model goes on fewer GPUs where the RAM may not
    hold as many processes.
    """
    workload = Workload(runtime=runtime, parallel=users, context_tokens=16_384)
    size = ram_gib * GIB
    machine = machine_with(
        "NVIDIA L40S",
        45,
        memory_total_bytes=size,
        memory_limit_bytes=size,
        memory_available_bytes=size,
        disks=disks_of(2**40),
    )
    routes = []
    for number in (2, 4, 8):
        cards = number * machine.cards
        verdict = check(model, workload, machine=machine.replace(accelerators=cards))
        routes.append(verdict.route)
    from_worst = [Route.API, Route.UNKNOWN, Route.LOCAL]
    assert routes == sorted(routes, key=from_worst.index)


@pytest.mark.parametrize(
    ("model", "quantization", "gpus", "used"),
    [
        pytest.param("gpt-oss-120b", None, "2x H100", 2, id="one-of-80gb-is-tight"),
        pytest.param("qwen3-32b", "awq", "2x RTX 3090", 2, id="one-of-24gb-is-tight"),
        pytest.param("llama-3.1-8b", None, "2x RTX 3090", 1, id="one-surely-holds-it"),
    ],
)
def test_gpus_that_surely_hold_it_come_before_one_that_may_not(
    model: str,
    quantization: str | None,
    gpus: str,
    used: int,
) -> None:
    """Of GPUs of the same machine, those are taken that surely hold the model: vLLM's page on
    parallelism takes one where the model fits, else more.
    """
    workload = Workload(runtime="vllm", quantization=quantization)
    verdict = check(model, workload, machine=f"{gpus} 256GB ram")
    assert verdict.route is Route.LOCAL
    assert not verdict.has("accelerator-tight")
    places = {place.where for place in memory_of(verdict).places}
    assert len(places - {"host"}) == used


def test_a_split_takes_as_many_whole_layers_as_fit() -> None:
    """Of 32, as many as 22 GiB hold; the accelerator alone where it holds all."""
    machine = MACHINE.replace(accelerators=(GPU,))
    for need, held in ((10 * GIB, 10 * GIB), (28 * GIB, 28 * GIB * 25 // 32)):
        placed = memory_of(judge(question(needs=needs_of(need - GIB, need)), machine))
        places = {place.where: place.high_bytes for place in placed.places}
        assert places["accelerator:0"] == held
        assert sum(places.values()) == need


def test_where_nothing_fits_the_least_that_is_short_is_told() -> None:
    """Of a model that RAM and GPU would hold together but for a little, that little; of one that
    must lie on one of them whole, what the larger lacks.
    """
    machine = MACHINE.replace(memory_available_bytes=15 * GIB, accelerators=(GPU,))
    # 22 GiB on the GPU and 15 in RAM, of whole layers
    asked = question(needs=needs_of(38 * GIB, 38 * GIB))
    memory = found("memory", asked, machine)
    assert memory.outcome is Outcome.FAIL
    assert memory.short is not None
    assert 1 * GIB <= memory.short <= (1 + 38 / 32) * GIB
    assert found("accelerator", asked, machine).outcome is Outcome.WARN
    assert "of RAM or GPU memory" in (memory.remedy or "")
    never_split = RUNTIME.replace(layers=LayerPlacement())
    whole = question(needs=needs_of(25 * GIB, 25 * GIB), runtime=never_split)
    assert found("accelerator", whole, machine).short == 3 * GIB
    assert found("memory", whole, machine).outcome is Outcome.PASS
    small = GPU.replace(memory_total_bytes=8 * GIB, memory_free_bytes=8 * GIB)
    with_small = machine.replace(accelerators=(small,))
    assert found("memory", whole, with_small).short == 10 * GIB


@pytest.mark.parametrize(
    ("cards", "chosen"),
    [
        # as much memory, three times the rate
        pytest.param("p40 and rtx 4090", "accelerator:1", id="as large, second"),
        pytest.param("rtx 4090 and p40", "accelerator:0", id="as large, first"),
        pytest.param(
            "rtx 3060 12gb and rtx 3080 10gb", "accelerator:1", id="the smaller"
        ),
        pytest.param("rtx 3090 and gtx 1060", "accelerator:0", id="the larger"),
    ],
)
def test_of_two_cards_that_hold_it_the_faster_has_it(cards: str, chosen: str) -> None:
    """In whichever order they were typed, and however large they are."""
    workload = Workload(quantization="Q4_K_M")
    verdict = check("llama-3.1-8b-instruct", workload, machine=cards)
    assert {term.where for term in memory_of(verdict).terms} == {chosen, "host"}


def test_inputs_are_copied_only_where_gpus_hold_every_layer() -> None:
    """llama.cpp computes on several GPUs at once only if RAM has no layer (llama-context.cpp,
    pipeline_parallel): then each holds four copies of a mask of 512 × 4,096 halves.
    """
    asked = Workload(quantization="Q4_K_M", context_tokens=4096)
    copies = 3 * 512 * 4096 * 2
    # of one H100 that has all layers (tests/truth/llamacpp_gpu_contexts.json)
    measured = 230_697_088
    on_cards: list[set[int]] = []
    in_ram: list[int] = []
    for gpus in ("no gpu", "2x rtx 3060 12gb", "2x rtx 3090"):
        memory = memory_of(check("llama-3.3-70b", asked, machine=f"{gpus}, 64gb ram"))
        buffers = [term for term in memory.terms if term.name == "compute"]
        on_cards.append({term.bytes for term in buffers if term.where != "host"})
        in_ram += [term.bytes for term in buffers if term.where == "host"]
    _, split, whole = in_ram
    assert on_cards[0] == set()
    (apart,) = on_cards[1]
    assert apart == pytest.approx(measured, rel=0.001)
    assert on_cards[2] == {apart + copies}
    # a mask, and embeddings of 8,192 numbers twice; 12 KiB of positions
    assert split == 512 * 4096 * 2 + 2 * 512 * 8192 * 4 + 512 * 24
    assert whole == split + copies


def held_by_each(machine: Machine, model: str, quantization: str) -> list[int]:
    """Bytes that each accelerator holds in Transformers; [] where it is not placed on them."""
    workload = Workload(
        quantization=quantization, runtime="transformers", context_tokens=2048
    )
    catalogue = open_catalogue()
    asked = ask(catalogue.spec(model), workload, catalogue, machine)
    needs = judge(asked, machine).needs
    assert needs is not None
    assert needs.memory is not None
    if needs.placement != "accelerator":
        return []
    held: dict[str, int] = {}
    for term in needs.memory.terms:
        if term.where != "host":
            held[term.where] = held.get(term.where, 0) + term.bytes
    return [held[where] for where in sorted(held)]


def pair_of(card: str, size_gib: int) -> Machine:
    """A computer with two of these cards."""
    machine = machine_with(card, size_gib)
    assert machine.accelerators is not None
    return machine.replace(accelerators=2 * machine.accelerators)


def test_layers_are_spread_over_gpus_that_hold_them_together() -> None:
    """Qwen2.5 72B in BF16 on two A100 took 136.2 GiB (its speed benchmark), about as much on
    each.
    """
    pair = pair_of("NVIDIA A100-SXM4-80GB", 80)
    first, second = held_by_each(pair, "qwen2.5-72b-instruct", "bfloat16")
    assert (first + second) / 2**30 == pytest.approx(136.2, rel=0.03)
    assert first / second == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("card", "size_gib", "fits"),
    [
        pytest.param("RTX 3090", 24, True, id="RTX 3090-24-True"),
        pytest.param("T4", 16, False, id="T4-16-False"),
    ],
)
def test_no_layer_is_left_to_the_ram(card: str, size_gib: int, fits: bool) -> None:
    """70B in NF4 takes about 40 GiB: two cards of 24 hold it, two of 16 do not, and RAM computes
    none of it beside them.
    """
    pair = pair_of(f"NVIDIA {card}", size_gib)
    cards_used = len(held_by_each(pair, "llama-3.1-70b-instruct", "nf4"))
    assert (cards_used == 2) is fits


@pytest.mark.parametrize(
    ("gpu", "tokens", "runs"),
    [
        # 24,564 MiB less 7,280 of the default, of which weights take 15.0 GiB: some 9,000 tokens
        # are left
        pytest.param("rtx 4090", 4096, True, id="rtx 4090-4096-True"),
        pytest.param("rtx 4090", 65_536, False, id="rtx 4090-65536-False"),
        # 80 GB leave 67 GiB
        pytest.param("h100", 131_072, True, id="h100-131072-True"),
    ],
)
def test_what_sglang_leaves_free_bounds_the_context(
    gpu: str, tokens: int, runs: bool
) -> None:
    """sglang 0.5.23, handle_gpu_memory_settings: what is left over follows from the size of the
    GPU.
    """
    asked = Workload(
        runtime="sglang",
        context_tokens=tokens,
        quantization="bfloat16",
        kv_cache_type="f16",
    )
    verdict = check("llama-3.1-8b", asked, machine=gpu)
    assert (verdict.route is Route.LOCAL) is runs


_NARROW = Workload(runtime="vllm", kv_cache_type="fp8")


def _cache_bytes(verdict: Verdict) -> int:
    """What the KV cache takes in all places."""
    return likely_bytes(memory_of(verdict).terms, "kv_cache")


@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3-30b-a3b"])
def test_a_cache_in_8_bits_takes_half_of_sixteen_bits(model: str) -> None:
    """8 bits in place of 16 for every number (vLLM documentation, quantized KV cache)."""
    plain = check(model, Workload(runtime="vllm"), machine="h100")
    narrow = check(model, _NARROW, machine="h100")
    assert _cache_bytes(narrow) * 2 == _cache_bytes(plain)
    assert any("--kv-cache-dtype fp8" in line for line in narrow.commands)
    assert not any("--kv-cache-dtype" in line for line in plain.commands)


def test_latent_rows_that_an_indexer_reads_keep_their_positions_in_16_bits() -> None:
    """656 bytes of a token in DeepSeek V3.2 (vllm 0.33.0, flashmla_sparse.py), 576 in V3, which has
    no indexer, of 1,152 in 16 bits.
    """
    for model, row_bytes in (("deepseek-v3.2", 656), ("deepseek-v3", 576)):
        spec = open_catalogue().spec(model)
        assert spec.architecture is not None
        verdict = check(spec, _NARROW.replace(context_tokens=4096), machine="8x h200")
        assert _cache_bytes(verdict) == 8 * spec.architecture.layers * row_bytes * 4096


@pytest.mark.parametrize(
    ("model", "gpu", "takes"),
    [
        # heads of 128 numbers: FlashInfer's kernels, from compute capability 8.0 on
        pytest.param("qwen3-8b", "rtx 3090", True, id="heads on 8.6"),
        pytest.param("qwen3-8b", "rtx 2080 ti", False, id="heads on 7.5"),
        # attention sinks and latent attention: Triton's, from 8.9 on
        pytest.param("gpt-oss-20b", "rtx 3090", False, id="sinks on 8.6"),
        pytest.param("deepseek-v2-lite", "2x rtx 3090", False, id="latent on 8.6"),
        pytest.param("deepseek-v2-lite", "2x rtx 4090", True, id="latent on 8.9"),
    ],
)
def test_which_gpus_take_a_cache_in_8_bits(model: str, gpu: str, takes: bool) -> None:
    """vllm 0.33.0: flashinfer.py, triton_attn.py and mla/triton_mla.py, supports_compute_capability
    and their refusals.
    """
    finding = finding_of(check(model, _NARROW, machine=gpu), "accelerator")
    assert (finding.code != "accelerator-unsuitable") is takes
    if not takes:
        assert "for such a KV cache" in finding.reason


@pytest.mark.parametrize(("gpu", "runs"), [("rtx 4090", True), ("titan rtx", False)])
def test_a_cache_in_8_bits_lets_a_context_fit_that_does_not_in_16(
    gpu: str, runs: bool
) -> None:
    """A context that fits in 8 bits and not in 16, on a GPU that takes it and on no other."""
    asked = Workload(runtime="vllm", context_tokens=81_920, quantization="bfloat16")
    wide = check("llama-3.1-8b", asked.replace(kv_cache_type="f16"), machine=gpu)
    assert wide.route is not Route.LOCAL
    narrow = check("llama-3.1-8b", asked.replace(kv_cache_type="fp8"), machine=gpu)
    assert (narrow.route is Route.LOCAL) is runs


def test_other_programs_name_what_takes_a_cache_in_8_bits() -> None:
    """It is no type of Ollama's; vLLM knows none of ggml's."""
    in_ollama = Workload(runtime="ollama", kv_cache_type="fp8")
    with pytest.raises(WorkloadError, match="not in fp8") as refused:
        check("qwen3-8b", in_ollama, machine="rtx 4090")
    assert "vllm" in str(refused.value.problems[0].remedy)
    ggml_type = Workload(runtime="vllm", kv_cache_type="q8_0")
    with pytest.raises(WorkloadError, match="or in fp8, not in q8_0"):
        check("qwen3-8b", ggml_type, machine="rtx 4090")


@pytest.mark.parametrize("typed", ["fp8_e4m3", "FP8"])
def test_python_and_the_command_line_read_the_same_names(typed: str) -> None:
    """vLLM's own name of the type, and capital letters, mean the same."""
    assert Workload(kv_cache_type=typed) == Workload(kv_cache_type="fp8")
    assert Workload().replace(kv_cache_type=typed).kv_cache_type == "fp8"
    options = Options.read("size", ["qwen3-8b", "--kv-cache", typed])
    assert options.kv_cache_type == "fp8"


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param("2x RTX 3090 + GTX 1060, 64 GB RAM", id="last"),
        pytest.param("GTX 1060 + 2x RTX 3090, 64 GB RAM", id="first"),
    ],
)
def test_a_slow_gpu_is_filled_before_the_fast_ones(machine: str) -> None:
    """common/fit.cpp of llama.cpp fills from the last device to the first, and CUDA calls the
    fastest the first: the GTX was said to stay idle, at twice the pace.
    """
    wanted = Workload(runtime="llama.cpp", quantization="Q4_K_M", context_tokens=16_384)
    verdict = check("llama-3.3-70b", wanted, machine=machine)
    assert verdict.placement == "accelerator"
    assert verdict.memory is not None
    used = {place.where for place in verdict.memory.places if place.total_bytes}
    assert len(used - {"host"}) == 3
    assert not any("idle" in note for note in verdict.notes)


def test_a_mix_of_a_listed_size_lies_whole_on_the_card_that_ran_it() -> None:
    """Two layers of a UD-Q6_K_XL of a guessed size were left to the RAM; llama-bench ran the file
    on an R9700 of 31.86 GiB with `-sm none`.
    """
    verdict = check(
        "qwen3.6-35b-a3b",
        machine="radeon ai pro r9700 32gb 128gb ram linux",
        quantization="UD-Q6_K_XL",
        runtime="llama.cpp",
        context_tokens=2048,
    )
    assert route_of(verdict, offered=True) is Route.LOCAL
    assert verdict.is_on_accelerators
    assert not verdict.offload


def test_experts_of_a_mixed_file_have_all_of_its_types() -> None:
    """Two mixes whose files differ by 1 % decode alike with experts in RAM. As many parameters of
    one type as the experts have, by chance, made the larger 9 % slower.
    """
    likely = []
    for quantization in ("UD-Q4_K_M", "UD-Q4_K_XL"):
        verdict = check(
            "qwen3.6-35b-a3b",
            machine="rtx 3060 12gb, ryzen 7 5700x, 64gb ddr4",
            quantization=quantization,
            runtime="llama.cpp",
        )
        decode = speed_of(verdict).decode
        assert decode is not None
        likely.append(decode.likely)
    assert likely[1] == pytest.approx(likely[0], rel=0.04)
