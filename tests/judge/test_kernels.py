"""What a program's kernels for a quantization need of the processor."""

from __future__ import annotations

import pytest

from selfhost import Route, SelfhostError, Verdict, Workload, check
from selfhost.judge.checks import Finding
from selfhost.machine.changes import planned
from selfhost.machine.named import named


def of_ktransformers(processor: str, quantization: str) -> Verdict:
    """The verdict on a small mixture of experts, beside an RTX 4090 and enough RAM."""
    workload = Workload(runtime="ktransformers", quantization=quantization)
    machine = f"{processor} 256gb rtx 4090".strip()
    return check("qwen3-30b-a3b", workload, machine=machine)


def of_processor(verdict: Verdict) -> Finding:
    return next(found for found in verdict.findings if found.check == "cpu")


# kvcache-ai/ktransformers@95009ea6, kt-kernel/README.md, CPU Requirements by Backend: AMXINT4/INT8
# need AMX, which Sapphire Rapids has; gcc/config/i386/i386.h (GCC 15): PTA_SAPPHIRERAPIDS has
# AMX_TILE, AMX_INT8 and AMX_BF16; PTA_ICELAKE_SERVER, PTA_ALDERLAKE, PTA_ZNVER4 and PTA_ZNVER5
# have none of them
@pytest.mark.parametrize(
    ("processor", "route"),
    [
        pytest.param("xeon gold 6454s", Route.LOCAL, id="Sapphire Rapids"),
        pytest.param("xeon platinum 8592+", Route.LOCAL, id="Emerald Rapids"),
        pytest.param("xeon 6980p", Route.LOCAL, id="Granite Rapids"),
        pytest.param("xeon gold 6330", Route.API, id="Ice Lake"),
        pytest.param("epyc 9354", Route.API, id="Zen 4"),
        pytest.param("ryzen 9950x", Route.API, id="Zen 5"),
        pytest.param("i9-13900k", Route.API, id="Raptor Lake"),
        pytest.param("xeon", Route.UNKNOWN, id="a Xeon of no series"),
        pytest.param("", Route.UNKNOWN, id="no processor"),
    ],
)
@pytest.mark.parametrize("quantization", ["amxint4", "amxint8"])
def test_types_for_amx_run_where_the_processor_has_amx(
    processor: str, quantization: str, route: Route
) -> None:
    verdict = of_ktransformers(processor, quantization)
    assert verdict.route is route
    found = of_processor(verdict)
    if route is Route.API:
        assert found.code == "cpu-lacks-instructions"
        assert "amx_int8" in found.reason
        assert quantization in found.reason
        assert "--quant" in (found.remedy or "")
    if route is Route.UNKNOWN:
        assert found.code == "cpu-unread"
        assert "--set instruction_sets" in (found.remedy or "")


# the same table of kt-kernel/README.md and doc/en/kt-kernel/AVX2-Tutorial.md: BF16 needs AVX2 alone
@pytest.mark.parametrize(
    "processor",
    [
        pytest.param("ryzen 9950x", id="Zen 5"),
        pytest.param("i9-13900k", id="Raptor Lake"),
        pytest.param("", id="no processor"),
    ],
)
def test_other_types_need_no_amx(processor: str) -> None:
    assert of_ktransformers(processor, "bfloat16").can_run


@pytest.mark.parametrize(
    ("flags", "can_run"),
    [
        pytest.param("avx2,fma,avx512f,amx_tile,amx_int8,amx_bf16", True, id="AMX"),
        pytest.param("avx2,fma,avx512f,avx512_bf16", False, id="AVX-512 alone"),
    ],
)
def test_stated_flags_decide(flags: str, can_run: bool) -> None:
    """A virtual machine may not have AMX, whatever its processor is called: what is stated, as
    /proc/cpuinfo spells it, counts before the series.
    """
    workload = Workload(runtime="ktransformers", quantization="amxint4")
    machine = named("xeon gold 6454s 256gb rtx 4090").machine
    sets = tuple(flags.split(","))
    stated = machine.replace(instruction_sets=sets)
    assert check("qwen3-30b-a3b", workload, machine=stated).can_run is can_run


# GCC 15, gcc/config/i386/i386.h: PTA_SAPPHIRERAPIDS, PTA_ZNVER4; Intel's list of the Core 2 and of
# the Xeon E5 v2 (ark.intel.com): SSE4.1, AVX
@pytest.mark.parametrize(
    ("processor", "has", "lacks"),
    [
        pytest.param("xeon gold 6454s", "amx_bf16", "avx10", id="Sapphire Rapids"),
        pytest.param("epyc 9354", "avx512f", "amx_tile", id="Zen 4"),
        pytest.param("xeon e5-2670 v2", "avx", "avx2", id="Ivy Bridge"),
        pytest.param("core 2 quad", "sse4_1", "avx", id="Core 2"),
        pytest.param("ryzen 5600", "avx2", "avx512f", id="Zen 3"),
    ],
)
def test_a_processor_known_by_name_has_the_sets_of_its_series(
    processor: str, has: str, lacks: str
) -> None:
    sets = planned(named(f"{processor} 64gb").machine).instruction_sets or ()
    assert has in sets
    assert lacks not in sets


# kt-kernel/README.md, Prepare Weights: the GPU weights and the converted weights of the processor
# are both needed, and scripts/convert_cpu_weights.py copies what is no expert. Qwen3 30B A3B has
# 30,532,122,624 parameters, of which 48 × 128 × 3 × 2048 × 768 are in experts (its config.json)
@pytest.mark.parametrize(
    ("quantization", "expert_bytes"),
    [
        pytest.param("amxint4", 0.5, id="four bits"),
        pytest.param("amxint8", 1, id="eight bits"),
    ],
)
def test_converted_weights_lie_beside_the_published_ones(
    quantization: str, expert_bytes: float
) -> None:
    needs = of_ktransformers("xeon gold 6454s", quantization).needs
    assert needs is not None
    parameters = 30_532_122_624
    in_experts = 48 * 128 * 3 * 2048 * 768
    published = 2 * parameters
    converted = expert_bytes * in_experts + 2 * (parameters - in_experts)
    assert needs.download_bytes == pytest.approx(published, rel=0.005)
    assert needs.disk_bytes == pytest.approx(published + converted, rel=0.005)


def test_published_types_need_no_second_copy() -> None:
    """--kt-weight-path is the folder of --model (kt-kernel/README.md, Native Backend)."""
    needs = of_ktransformers("xeon gold 6454s", "bfloat16").needs
    assert needs is not None
    assert needs.disk_bytes == needs.download_bytes


def test_weights_in_fp8_become_types_for_amx() -> None:
    """doc/en/kt-kernel/deepseek-v3.2-sglang-tutorial.md: DeepSeek V3.2 takes about 1 TB of disk
    (FP8 and INT4), 27 GB of a GPU with one expert a layer, which is 1.3 GB, and 350 GB of RAM.
    """
    workload = Workload(runtime="ktransformers", quantization="amxint4")
    machine = "2x xeon platinum 8488c 2048gb l40s"
    verdict = check("deepseek-v3.2", workload, machine=machine)
    assert verdict.can_run
    assert "--input-type fp8" in verdict.commands[-1]
    needs = verdict.needs
    assert needs is not None
    assert needs.disk_bytes == pytest.approx(1e12, rel=0.1)
    memory = verdict.placed.memory
    assert memory is not None
    places = {place.where: place for place in memory.places}
    in_ram = places["host"]
    on_gpu = places["accelerator:0"]
    assert in_ram.total_bytes == pytest.approx(350e9, rel=0.1)
    assert on_gpu.low_bytes <= 27e9 - 1.3e9 <= on_gpu.high_bytes


@pytest.mark.parametrize(
    ("model", "type"),
    [
        pytest.param("qwen3-30b-a3b", "bf16", id="BF16"),
        pytest.param("deepseek-r1", "fp8", id="FP8 in blocks"),
    ],
)
def test_the_script_is_told_the_published_type(model: str, type: str) -> None:
    """scripts/convert_cpu_weights.py has --input-type fp8, fp16 or bf16."""
    workload = Workload(runtime="ktransformers", quantization="amxint8")
    machine = "2x xeon platinum 8488c 2048gb 2x l40s"
    verdict = check(model, workload, machine=machine)
    assert f"--input-type {type} --output" in verdict.commands[-1]


# the published experts are in 4 bits already, and scripts/convert_cpu_weights.py reads FP8, FP16
# and BF16 (kt-kernel/README.md, Supported input formats)
@pytest.mark.parametrize(
    "model",
    [
        pytest.param("gpt-oss-120b", id="MXFP4"),
        pytest.param("kimi-k2-thinking", id="INT4"),
    ],
)
def test_narrower_experts_are_not_converted(model: str) -> None:
    workload = Workload(runtime="ktransformers", quantization="amxint4")
    with pytest.raises(SelfhostError, match="not available in amxint4"):
        check(model, workload, machine="xeon gold 6454s 1024gb rtx 4090")


def test_the_least_machine_names_what_the_kernels_need() -> None:
    needs = of_ktransformers("xeon gold 6454s", "amxint4").to_json()["needs"]
    assert "amx_int8" in needs["cpu"]["instruction_sets"]
