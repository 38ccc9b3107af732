"""The contract's row `accelerator`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest

from helpers.paths import RECORDS
from judge.small import (
    BIG,
    FP8_ONLY,
    GB,
    GIB,
    GPU,
    GPU_ONLY,
    MAC,
    MACHINE,
    WORK,
    cell_tests,
    found,
    needs_of,
    question,
    training,
)
from selfhost import Workload, check
from selfhost.catalogue.index import Catalogue
from selfhost.core.records import Unread
from selfhost.core.units import speed
from selfhost.judge.checks import Finding, Outcome
from selfhost.judge.judging import judge
from selfhost.judge.placement.on_devices import terms_of
from selfhost.judge.question import ask
from selfhost.judge.record import Question, Route
from selfhost.machine.changes import apply
from selfhost.machine.named import machine_named
from selfhost.machine.profiles import load
from selfhost.machine.record import Accelerator, Machine
from selfhost.needs.records import CpuNeed


def in_vllm() -> Question:
    """Llama 3.1 8B in vLLM, which --enforce-eager makes smaller: 17.7 GiB are sure with CUDA graphs."""
    shelf = Catalogue.open()
    asked = Workload(runtime="vllm", context_tokens=4096)
    return ask(shelf.spec("llama-3.1-8b-instruct"), asked, shelf, MACHINE)


def with_gpu(gib: float, free: float | None = None) -> Machine:
    """A machine with a GPU of so much memory, all of it free unless told."""
    card = GPU.replace(
        memory_total_bytes=int(gib * GIB),
        memory_free_bytes=int((gib if free is None else free) * GIB),
        compute_capability="8.6",
    )
    return MACHINE.replace(accelerators=(card,))


# (outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str], Callable[[], Finding]] = {
    ("pass", "accelerator-not-needed"): lambda: found("accelerator"),
    ("pass", "accelerator-fits"): lambda: found(
        "accelerator", machine=MACHINE.replace(accelerators=(GPU,))
    ),
    ("warn", "accelerator-not-now"): lambda: found(
        "accelerator",
        question(needs=needs_of(17 * GIB, 18 * GIB)),
        MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=GIB),)),
    ),
    ("warn", "accelerator-partly"): lambda: found(
        "accelerator",
        question(needs=needs_of(27 * GIB, 28 * GIB)),
        MACHINE.replace(accelerators=(GPU,)),
    ),
    ("warn", "accelerator-tight"): lambda: found(
        "accelerator",
        # likely 20 GiB, at most 25, on a GPU that gives 22
        training().replace(needs=needs_of(15 * GIB, 25 * GIB, disk=40 * GB)),
        MACHINE.replace(accelerators=(GPU,)),
    ),
    ("warn", "accelerator-shared-out"): lambda: found(
        "accelerator", training(), MACHINE.replace(accelerators=(GPU,) * 4)
    ),
    ("warn", "accelerator-lean"): lambda: found("accelerator", in_vllm(), with_gpu(18.75)),
    ("unknown", "accelerator-close"): lambda: found("accelerator", in_vllm(), with_gpu(17.5)),
    ("unknown", "accelerator-unread"): lambda: found(
        "accelerator",
        BIG,
        MACHINE.replace(
            accelerators=(GPU.replace(memory_total_bytes=None, memory_free_bytes=None),)
        ),
    ),
    ("fail", "accelerator-missing"): lambda: found("accelerator", question(runtime=GPU_ONLY)),
    ("fail", "accelerator-too-small"): lambda: found(
        "accelerator",
        question(runtime=GPU_ONLY, needs=needs_of(500 * GIB, 501 * GIB)),
        MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=2 * GIB),)),
    ),
    ("fail", "accelerator-unsuitable"): lambda: found(
        "accelerator",
        question(workload=WORK.replace(quantization="fp8"), runtime=FP8_ONLY),
        MACHINE.replace(accelerators=(GPU.replace(compute_capability="7.0"),)),
    ),
}


test_cell, test_every_cell_and_every_code_is_walked = cell_tests("accelerator", CELLS)


@pytest.mark.parametrize(
    ("model", "gpu"), [("mistral-small-24b", "2x RTX 3060"), ("qwen2.5-32b", "RTX 3090")]
)
def test_what_people_serve_with_less_memory_runs_so(model: str, gpu: str) -> None:
    """People serve these in AWQ with --enforce-eager, which makes no CUDA graphs (vllm-project/vllm#3872,
    #17327; vLLM documentation, conserving memory); of what is far too large it changes nothing."""
    machine = apply(MACHINE, [], [gpu])
    asked = Workload(runtime="vllm", quantization="AWQ")
    runs = check(model, asked, machine=machine)
    assert runs.route is Route.LOCAL
    assert "--enforce-eager" in runs.commands[-1]
    finding = runs.finding("accelerator")
    assert finding is not None
    assert finding.code in ("accelerator-lean", "accelerator-tight")
    # what it takes with the option is what is told of the need
    placed = runs.needs
    assert placed is not None
    likely = sum(term.bytes for term in terms_of(placed) if term.where != "host")
    assert likely <= 0.92 * sum(card.memory_total_bytes or 0 for card in machine.accelerators or ())
    wide = check(model, asked.replace(quantization="bfloat16"), machine=machine)
    assert [each.code for each in wide.findings if each.check == "accelerator"] == [
        "accelerator-too-small"
    ]


def test_cards_that_vllm_cannot_divide_a_model_over_are_told_of() -> None:
    """64 heads over 8 KV heads are not divided by 3: two of three cards compute (vLLM documentation,
    parallelism and scaling), so that a user of 66 GiB is told why 44 count."""
    asked = Workload(runtime="vllm", quantization="AWQ")
    finding = check("llama-3.3-70b", asked, machine="3x rtx 3090").finding("accelerator")
    assert finding is not None
    assert "2 of the 3 GPUs" in finding.reason
    assert "--pipeline-parallel-size 3" in finding.reason


def test_a_need_whose_range_holds_the_limit_of_a_gpu_is_too_close_to_call() -> None:
    """Of 12k of context the least fits 2x RTX 3090 and the likely need does not: neither yes nor no."""
    asked = Workload(runtime="vllm", quantization="AWQ", context_tokens=12_288)
    verdict = check("llama-3.3-70b", asked, machine=apply(MACHINE, [], ["2x RTX 3090"]))
    assert (verdict.route, verdict.exit_code) == (Route.UNKNOWN, 3)


@pytest.mark.parametrize(
    ("gib", "free", "code"),
    [
        (19.5, None, "accelerator-fits"),
        (18.75, None, "accelerator-lean"),
        (18, None, "accelerator-tight"),
        (17.5, None, "accelerator-close"),
        (16.5, None, "accelerator-too-small"),
        # others hold it now: once they leave it, it fits no worse
        (18.75, 8, "accelerator-not-now"),
        (18, 8, "accelerator-tight"),
    ],
)
def test_the_option_is_judged_by_the_range_that_it_leaves(
    gib: float, free: float | None, code: str
) -> None:
    assert found("accelerator", in_vllm(), with_gpu(gib, free)).code == code


@pytest.mark.parametrize("fact", ["unified", "memory_total_bytes"])
def test_an_unread_accelerator_is_not_said_to_be_needless(fact: str) -> None:
    """The RAM is enough, so that it decides nothing; that it may hold the model is told with the reason and the remedy."""
    why = Unread(
        fact=f"accelerators.{fact}", reason="no driver for it", remedy="install its driver"
    )
    card = GPU.replace(memory_free_bytes=None).replace(**{fact: None})
    small = GPU.replace(memory_total_bytes=GIB, memory_free_bytes=GIB)
    machine = MACHINE.replace(accelerators=(small, card), unread=(why,))
    finding = found("accelerator", machine=machine)
    assert (finding.code, finding.outcome) == ("accelerator-unread", Outcome.WARN)
    assert finding.remedy == "install its driver"
    assert "no driver for it" in finding.reason


@pytest.mark.parametrize(
    ("free", "code"), [(GIB // 2, "accelerator-not-now"), (3 * GIB, "accelerator-partly")]
)
def test_a_busy_accelerator_that_would_hold_it_is_told(free: int, code: str) -> None:
    """The RAM is enough for the moment; what the idle card would give is told, with the pace that it is judged at once it is free."""
    card = GPU.replace(
        name="NVIDIA GeForce RTX 4090", memory_bandwidth_bytes_per_second=1008 * 10**9
    )
    idle = judge(question(), MACHINE.replace(accelerators=(card,))).speed
    finding = found(
        "accelerator", machine=MACHINE.replace(accelerators=(card.replace(memory_free_bytes=free),))
    )
    assert (finding.code, finding.outcome) == (code, Outcome.WARN)
    assert idle is not None
    assert idle.decode is not None
    reached = speed(idle.decode.low, idle.decode.high)
    assert f"Once idle, it would reach {reached}." in finding.reason


def on_a_mac(needed_gib: int) -> Question:
    """A model that takes so much and runs on a processor of Apple's."""
    cpu = CpuNeed(architectures=("aarch64",), instruction_sets={}, recommended={})
    return question(needs=needs_of(needed_gib * GIB, needed_gib * GIB, cpu=cpu), runtime=None)


@pytest.mark.parametrize(
    ("ram", "needed", "limit", "code"),
    [
        # 10.67 of 16 GiB on an M4 by default (AlexsJones/llmfit#570), or what iogpu.wired_limit_mb says
        (16, 10, None, "accelerator-fits"),
        (16, 12, None, "accelerator-partly"),
        (16, 12, 13, "accelerator-fits"),
        (16, 10, 9, "accelerator-partly"),
        # 48.0 of 64 (ggml-org/llama.cpp#1870), 72.0 of 96 (#3213), 107.5 of 128 (antirez/ds4#893)
        (64, 47, None, "accelerator-fits"),
        (96, 67, None, "accelerator-fits"),
        (128, 95, None, "accelerator-fits"),
        (128, 100, None, "accelerator-partly"),
        # more than the RAM is given by no setting
        (16, 20, None, "accelerator-partly"),
    ],
)
def test_metal_gives_the_gpu_a_share_of_the_ram(
    ram: int, needed: int, limit: int | None, code: str
) -> None:
    """Beyond it a part runs on the CPU, and a line raises it."""
    (card,) = MAC.accelerators or ()
    machine = MAC.replace(
        memory_total_bytes=ram * GIB,
        memory_limit_bytes=ram * GIB,
        accelerators=(card.replace(memory_total_bytes=None if limit is None else limit * GIB),),
    )
    finding = found("accelerator", on_a_mac(needed), machine)
    assert finding.code == code
    if code == "accelerator-partly":
        raised = f"iogpu.wired_limit_mb={needed * 1024}" in (finding.remedy or "")
        assert raised is (needed <= ram)


def test_a_setting_that_leaves_less_than_a_desktop_takes_says_so() -> None:
    """60 of 64 GiB for the GPU may hang a Mac on which a browser runs: the line says what is left, and for what."""
    machine = MAC.replace(memory_total_bytes=64 * GIB, memory_limit_bytes=64 * GIB)
    little = found("accelerator", on_a_mac(60), machine).remedy or ""
    assert "the 4.00 GiB left are enough for macOS alone" in little
    assert "left are enough" not in (found("accelerator", on_a_mac(55), machine).remedy or "")


@pytest.mark.parametrize(
    ("needed", "limit", "short"),
    [(30, None, None), (50, None, 19), (50, 64, None), (50, 40, 10), (200, None, 169)],
)
def test_linux_gives_amds_graphics_half_of_the_ram(
    needed: int, limit: int | None, short: int | None
) -> None:
    """62.82 of 125.65 GiB unless ttm.pages_limit says otherwise: 26,214,400 pages are 100 GiB (superm1/amd-debug-tools,
    docs/amd-ttm.md). The driver's figure counts where it was read."""
    strix = load("strix-halo-64gb").machine
    (card,) = strix.accelerators or ()
    machine = strix.replace(
        memory_total_bytes=62 * GIB,
        memory_limit_bytes=62 * GIB,
        accelerators=(card.replace(memory_total_bytes=None if limit is None else limit * GIB),),
    )
    asked = question(needs=needs_of(needed * GIB, needed * GIB), runtime=None)
    finding = found("accelerator", asked, machine)
    assert finding.outcome is (Outcome.PASS if short is None else Outcome.WARN)
    assert finding.short == (None if short is None else short * GIB)
    if short is None:
        lent = limit or 31
        assert f"shares the RAM, and may use {lent}.0 GiB of it or more" in finding.reason
        return
    is_settable = needed < 62
    assert ("the likely one is with the limit raised" in finding.reason) is is_settable
    assert (f"pages_limit={needed * 262_144} " in (finding.remedy or "")) is is_settable
    # a program that computes on the processor there has all of the RAM
    runtime = question().runtime
    assert runtime is not None
    on_processor = asked.replace(runtime=runtime.replace(on_shared_gpu=("apple",)))
    assert found("accelerator", on_processor, machine).code == "accelerator-fits"


def test_graphics_of_a_processor_do_not_run_what_needs_a_gpu() -> None:
    """vLLM is built for few of AMD's chips that share the RAM; NVIDIA's that do all run it."""
    for vendor, chip, fits in (
        ("amd", "gfx1036", False),
        ("amd", None, False),
        ("amd", "gfx1151", True),
        ("nvidia", "12.1", True),
    ):
        device = Accelerator(vendor=vendor, name="Chip", unified=True, compute_capability=chip)
        machine = MACHINE.replace(accelerators=(device,))
        runtime = GPU_ONLY.replace(amd_gpus=("gfx1151",))
        assert judge(question(runtime=runtime), machine).failed is not fits


def test_pictures_are_made_on_graphics_by_amd_that_pytorch_is_built_for() -> None:
    """PyTorch for ROCm runs on the Radeon 8060S (llm-tracker.info, Strix Halo); of older graphics beside a processor AMD lists none."""
    picture = check("qwen-image", machine="strix-halo-128gb")
    assert "'cuda'" in picture.commands[-1]
    older = check("sdxl", Workload(runtime="diffusers"), machine="laptop-ryzen-7840u-32gb")
    assert "'cpu'" in older.commands[-1]


def test_what_starts_on_the_gpu_alone_has_no_rest_for_the_cpu() -> None:
    """Diffusers has no layers to leave to the processor: beyond what Linux lends the GPU by default it does not start there."""
    asked = Workload(runtime="diffusers", quantization="bfloat16")
    finding = check("flux.1-dev", asked, machine="strix-halo-64gb").finding("accelerator")
    assert finding is not None
    assert finding.code == "accelerator-partly"
    assert "does not start" in finding.reason
    assert "ttm pages_limit" in str(finding.remedy)


def test_a_smaller_cache_is_named_where_it_brings_all_onto_the_cards() -> None:
    """A part in RAM costs most of the pace, and a cache of 8 bits loses next to nothing: who takes the advice has all of it on the cards."""
    model, machine = "llama-3.1-8b", "desktop-rtx4060-8gb"
    asked = Workload(context_tokens=32_768)
    finding = check(model, asked, machine=machine).finding("accelerator")
    assert finding is not None
    assert finding.code == "accelerator-partly"
    assert "`--kv-cache q8_0`" in str(finding.remedy)
    whole = check(model, asked.replace(kv_cache_type="q8_0"), machine=machine)
    assert whole.needs is not None
    assert whole.needs.placement == "accelerator"


@pytest.mark.parametrize(
    ("model", "runtime", "cards", "chosen"),
    [
        # an MI50 (gfx906) has more memory than an RX 7900 XTX (gfx1100), and vLLM is not built for it
        ("llama3.1:8b", "vllm", "mi50 32gb + rx 7900 xtx", "7900"),
        ("llama3.1:8b", "vllm", "tesla p40 + tesla t4", "T4"),
        ("llama-3.2-1b", None, "tesla k40 + rtx 3060 12gb", "3060"),
    ],
)
def test_the_gpu_that_a_program_is_built_for_is_taken(
    model: str, runtime: str | None, cards: str, chosen: str
) -> None:
    """A larger card that it has no build for is left idle, not judged."""
    asked = Workload(runtime=runtime, quantization="AWQ" if "t4" in cards else None)
    verdict = check(model, asked, machine=f"i5-12400 64gb {cards}")
    assert verdict.can_run
    names = [card.name for card in verdict.machine.accelerators or ()]
    index = next(number for number, name in enumerate(names) if chosen in name)
    assert verdict.needs is not None
    assert {term.where for term in terms_of(verdict.needs)} == {"host", f"accelerator:{index}"}


def test_a_runtime_that_needs_a_gpu_takes_one_that_shares_the_ram() -> None:
    """A GPU inside the chip counts as found; the RAM holds the model."""
    inside = MACHINE.replace(
        accelerators=(GPU.replace(unified=True, memory_total_bytes=None, memory_free_bytes=None),)
    )
    assert judge(question(runtime=GPU_ONLY), inside).route(offered=True) is Route.LOCAL


@pytest.mark.parametrize(
    ("name", "place"), [("GRID P40-24Q", "accelerator"), ("GRID P40-24A", "host")]
)
def test_a_vgpu_for_drawing_computes_nothing(name: str, place: str) -> None:
    """DualCoder/vgpu_unlock#70: of the P40's profiles 4Q has CUDA enabled, 8A has not."""
    verdict = check("llama3.1:8b", machine=MACHINE.replace(accelerators=(GPU.replace(name=name),)))
    assert verdict.needs is not None
    assert verdict.needs.placement == place
    reasons = " ".join(each.reason for each in verdict.findings if each.check == "accelerator")
    assert ("runs no CUDA" in reasons) == (place == "host")


@pytest.mark.parametrize(
    ("machine", "runs"),
    [
        # vLLM's documentation, installation, GPU, requirements: gfx90a, 942, 950, 1100, 1101, 1151 (Ryzen AI MAX), 1200, 1201
        ("i5-12400 64gb rx 7900 xtx", True),
        ("i5-12400 64gb mi300x", True),
        ("strix-halo-128gb", True),
        # gfx906, gfx1030, gfx803 and gfx1035
        ("i5-12400 64gb mi50 32gb", False),
        ("i5-12400 64gb rx 6800 xt", False),
        ("i5-12400 64gb rx 580 8gb", False),
        # compute capability 7.5 is asked for; these have 6.1, 7.0 and 7.5
        ("4x gtx 1080 ti", False),
        ("4x tesla v100", False),
        ("4x tesla t4", True),
    ],
)
def test_vllm_is_refused_on_gpus_that_it_is_not_built_for(machine: str, runs: bool) -> None:
    verdict = check("llama3.1:8b", Workload(runtime="vllm"), machine=machine)
    codes = [finding.code for finding in verdict.findings if finding.check == "accelerator"]
    assert (codes == ["accelerator-unsuitable"]) is not runs
    assert verdict.can_run is runs
    usual = check("llama3.1:8b", machine=machine)
    assert runs or usual.workload.runtime != "vllm"


@pytest.mark.parametrize(
    ("machine", "asked"),
    [
        # CUDA 12 has no Kepler (ggml-org/llama.cpp#11984)
        ("i5-12400 64gb Tesla K80", Workload(runtime="llama.cpp")),
        ("i5-12400 64gb GTX 780", Workload(runtime="llama.cpp")),
        # no wheel of PyTorch for ROCm has gfx803 or gfx1010
        ("i5-12400 64gb RX 580 8gb", Workload(runtime="transformers")),
        ("i5-12400 64gb RX 5700 XT", Workload(runtime="transformers")),
        # JetPack 4, CUDA 10.2
        ("jetson nano", Workload(runtime="llama.cpp")),
    ],
)
def test_gpus_without_a_build_are_not_counted_on(machine: str, asked: Workload) -> None:
    verdict = check("llama-3.2-1b", asked, machine=machine)
    (finding,) = [each for each in verdict.findings if each.check == "accelerator"]
    assert finding.outcome is Outcome.WARN
    assert verdict.can_run
    assert verdict.needs is not None
    assert verdict.needs.placement == "host"
    assert not any("cuda" in line for line in (*verdict.setup, *verdict.commands))


@pytest.mark.parametrize(("model", "rate"), [("tinyllama-1.1b-chat", 5.25), ("gemma-3-1b", 4.27)])
def test_a_jetson_nano_is_as_slow_as_its_cores(model: str, rate: float) -> None:
    """kreier/llama.cpp-jetson, README.md: Q4_K_M on the processor, tokens a second."""
    verdict = check(model, Workload(quantization="Q4_K_M"), machine="jetson nano")
    assert verdict.speed is not None
    pace = verdict.speed.decode
    assert pace is not None
    assert pace.low < rate < pace.high < 2 * rate


@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_a_program_with_builds_for_cpus_is_not_said_to_need_a_gpu(runtime: str) -> None:
    """Both document such builds, which are not judged."""
    finding = check("mistral-7b", Workload(runtime=runtime), machine=MACHINE).finding("accelerator")
    assert finding is not None
    assert "needs a GPU" not in finding.reason
    assert "judged on GPUs only" in finding.reason
    assert "CPUs" in finding.reason or "Xeons" in finding.reason


def test_vllm_divides_no_model_over_gpus_of_two_makers() -> None:
    """Its builds compute on NVIDIA's or on AMD's: 12 GB of each are not 24, of one maker they are."""
    asked = Workload(runtime="vllm")
    mixed = check("llama3.1:8b", asked, machine="i5-12400 64gb rtx 3060 12gb + rx 7700 xt")
    assert not mixed.can_run
    assert check("llama3.1:8b", asked, machine="i5-12400 64gb 2x rtx 3060 12gb").can_run
    beside = check("llama3.1:8b", asked, machine="i5-12400 64gb rx 6800 + rtx 3090")
    assert beside.can_run
    assert not any("ROCm" in line for line in beside.commands)


def test_what_would_fit_a_gpu_whole_is_counted() -> None:
    """Llama 3.3 70B in Q4_K_M is 39.6 GiB of weights (a listing of its file: 42.5 GB); an RTX 4090 has 24."""
    machine = apply(Machine.from_file(RECORDS / "vm-24gib.json"), [], ["RTX 4090"])
    partly = check("llama-3.3-70b", machine=machine).finding("accelerator")
    assert partly is not None
    assert partly.code == "accelerator-partly"
    most, has = map(float, re.findall(r"([\d.]+) GiB", str(partly.remedy)))
    assert 20 < most < 24
    assert 37 < has < 40
    assert "context" not in str(partly.remedy)


def test_builds_that_leave_every_gpu_unused_compute_on_the_processor() -> None:
    """On a Mac with a processor of Intel's no build that people install computes on its Radeon (ollama/ollama#1016, Homebrew's formulas): a third of the pace on Linux, and the answer says why."""
    mac = machine_named("iMac 27 2020 5700XT 64gb")
    linux = mac.replace(system="linux")
    here, there = (check("llama-3.1-8b-instruct", machine=machine) for machine in (mac, linux))
    assert here.needs is not None
    assert here.needs.placement == "host"
    assert here.speed is not None
    assert here.speed.decode is not None
    assert there.speed is not None
    assert there.speed.decode is not None
    assert here.speed.decode.high < 0.33 * there.speed.decode.likely
    finding = here.finding("accelerator")
    assert finding is not None
    assert finding.outcome is Outcome.WARN
    assert "leave AMD Radeon Pro 5700 XT unused" in finding.reason
