"""The contract's row `accelerator`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

import pytest

from helpers.cases import case_id
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
    Situation,
    assert_complete,
    assert_found,
    finding_of,
    found,
    needs_of,
    question,
    training,
)
from selfhost import Workload, check
from selfhost.catalogue.index import Catalogue
from selfhost.core.records import Unread
from selfhost.judge.checks import Outcome
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.judge.record import Question, Route
from selfhost.machine.changes import apply
from selfhost.machine.description import cards_named
from selfhost.machine.profiles import load
from selfhost.machine.record import Accelerator, Machine
from selfhost.needs.records import CpuNeed


def in_vllm(*, is_eager: bool = True) -> Question:
    """Llama 3.1 8B in vLLM, which --enforce-eager makes smaller: 17.7 GiB are sure with CUDA
    graphs.
    """
    shelf = Catalogue.open()
    options = {"enforce-eager": "yes"} if is_eager else {}
    asked = Workload(runtime="vllm", context_tokens=4096, runtime_options=options)
    return ask(shelf.spec("llama-3.1-8b-instruct"), asked, shelf, MACHINE)


def with_gpu(gib: float, free: float | None = None) -> Machine:
    """A machine with a GPU of so much memory, all of it free unless told."""
    card = GPU.replace(
        memory_total_bytes=int(gib * GIB),
        memory_free_bytes=int((gib if free is None else free) * GIB),
        compute_capability="8.6",
    )
    return MACHINE.replace(accelerators=(card,))


SITUATIONS = [
    Situation("pass", "accelerator-not-needed"),
    Situation("pass", "accelerator-fits", machine=MACHINE.replace(accelerators=(GPU,))),
    Situation(
        "warn",
        "accelerator-not-now",
        question(needs=needs_of(17 * GIB, 18 * GIB)),
        MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=GIB),)),
    ),
    Situation(
        "warn",
        "accelerator-partly",
        question(needs=needs_of(27 * GIB, 28 * GIB)),
        MACHINE.replace(accelerators=(GPU,)),
    ),
    # Windows lends half of the RAM (Task Manager's "shared GPU memory"), and has no line for more
    Situation(
        "warn",
        "accelerator-limited",
        question(needs=needs_of(9 * GIB, 10 * GIB), runtime=None),
        MACHINE.replace(
            system="windows",
            accelerators=(
                Accelerator(vendor="amd", name="AMD Radeon 780M", unified=True),
            ),
        ),
    ),
    # likely 20 GiB, at most 25, on a GPU that gives 22
    Situation(
        "warn",
        "accelerator-tight",
        training().replace(needs=needs_of(15 * GIB, 25 * GIB, disk=40 * GB)),
        MACHINE.replace(accelerators=(GPU,)),
    ),
    Situation("warn", "accelerator-lean", in_vllm(), with_gpu(18.75)),
    Situation("unknown", "accelerator-close", in_vllm(), with_gpu(17.25)),
    Situation(
        "unknown",
        "accelerator-unread",
        BIG,
        MACHINE.replace(
            accelerators=(GPU.replace(memory_total_bytes=None, memory_free_bytes=None),)
        ),
    ),
    Situation("fail", "accelerator-missing", question(runtime=GPU_ONLY)),
    Situation(
        "fail",
        "accelerator-too-small",
        question(runtime=GPU_ONLY, needs=needs_of(500 * GIB, 501 * GIB)),
        MACHINE.replace(accelerators=(GPU.replace(memory_free_bytes=2 * GIB),)),
    ),
    Situation(
        "fail",
        "accelerator-unsuitable",
        question(workload=WORK.replace(quantization="fp8"), runtime=FP8_ONLY),
        MACHINE.replace(accelerators=(GPU.replace(compute_capability="7.0"),)),
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=case_id)
def test_a_situation_gets_the_finding_of_the_contract(situation: Situation) -> None:
    """Its outcome and its code, and something to do about it where it warns or fails."""
    assert_found(situation)


def test_every_code_of_accelerator_is_reached() -> None:
    """The list of reason codes is closed: a situation reaches each of them, and each outcome."""
    assert_complete(SITUATIONS)


@pytest.mark.parametrize(
    ("model", "gpu"),
    [("mistral-small-24b", "2x RTX 3060"), ("qwen2.5-32b", "RTX 3090")],
)
def test_what_people_serve_with_less_memory_runs_so(model: str, gpu: str) -> None:
    """People serve these in AWQ, if need be with --enforce-eager, which makes no CUDA graphs
    (vllm-project/vllm#3872, #17327; vLLM documentation, conserving memory); of what is far too
    large it changes nothing.
    """
    machine = apply(MACHINE, [], [cards_named(gpu)])
    asked = Workload(runtime="vllm", quantization="AWQ")
    runs = check(model, asked, machine=machine)
    assert runs.route is Route.LOCAL
    finding = finding_of(runs, "accelerator")
    assert finding.code in ("accelerator-fits", "accelerator-tight")
    eager = {"enforce-eager": "yes"}
    less = check(model, asked.replace(runtime_options=eager), machine=machine)
    assert less.route is Route.LOCAL
    assert "--enforce-eager" in less.commands[-1]
    # what it takes with the option is what is told of the need
    placed = runs.needs
    assert placed is not None
    likely = sum(term.bytes for term in placed.terms if term.where != "host")
    assert likely <= 0.92 * sum(
        card.memory_total_bytes or 0 for card in machine.accelerators or ()
    )
    wide = check(model, asked.replace(quantization="bfloat16"), machine=machine)
    assert [each.code for each in wide.findings if each.check == "accelerator"] == [
        "accelerator-too-small"
    ]


@pytest.mark.parametrize(
    ("gib", "free", "with_graphs", "eager"),
    [
        (19.5, None, "accelerator-fits", "accelerator-lean"),
        (18.75, None, "accelerator-tight", "accelerator-lean"),
        (17.6, None, "accelerator-too-small", "accelerator-tight"),
        (17.25, None, "accelerator-too-small", "accelerator-close"),
        (16.5, None, "accelerator-too-small", "accelerator-too-small"),
        # others hold it now: once they leave it, it fits no worse
        (18.75, 8, "accelerator-not-now", "accelerator-not-now"),
        (17.6, 8, "accelerator-too-small", "accelerator-tight"),
    ],
)
def test_the_likely_need_decides(
    gib: float, free: float | None, with_graphs: str, eager: str
) -> None:
    """Without the option the likely sum decides. With it, the last way, the least sum leaves it
    open.
    """
    machine = with_gpu(gib, free)
    usual = found("accelerator", in_vllm(is_eager=False), machine)
    assert usual.code == with_graphs
    assert found("accelerator", in_vllm(), machine).code == eager


@pytest.mark.parametrize("fact", ["unified", "memory_total_bytes"])
def test_an_unread_accelerator_is_not_said_to_be_needless(fact: str) -> None:
    """The RAM is enough, so that it decides nothing; that it may hold the model is told with the
    reason and the remedy.
    """
    why = Unread(
        fact=f"accelerators.{fact}",
        reason="no driver for it",
        remedy="install its driver",
    )
    card = GPU.replace(memory_free_bytes=None).replace(**{fact: None})
    small = GPU.replace(memory_total_bytes=GIB, memory_free_bytes=GIB)
    machine = MACHINE.replace(accelerators=(small, card), unread=(why,))
    finding = found("accelerator", machine=machine)
    assert (finding.code, finding.outcome) == ("accelerator-unread", Outcome.WARN)
    assert finding.remedy == "install its driver"
    assert "no driver for it" in finding.reason


def on_a_mac(needed_gib: int) -> Question:
    """A model that takes so much and runs on a processor of Apple's."""
    cpu = CpuNeed(architectures=("aarch64",), instruction_sets={}, recommended={})
    return question(
        needs=needs_of(needed_gib * GIB, needed_gib * GIB, cpu=cpu), runtime=None
    )


@pytest.mark.parametrize(
    ("model", "machine", "fields", "ways"),
    [
        pytest.param(
            "gpt-oss-120b",
            "RTX 4090, 96GB RAM",
            {},
            "use a smaller model: even without any context",
            id="59 GiB of weights, and no smaller type",
        ),
        pytest.param(
            "qwen3-32b",
            "RTX 4090",
            {"quantization": "Q8_0"},
            "use a smaller quantization or model: even without any context",
            id="33 GiB of weights, and smaller types",
        ),
        pytest.param(
            "llama-3.1-8b",
            "RTX 3060 12GB, 64GB RAM",
            {"context_tokens": 131_072, "quantization": "Q4_K_M"},
            "use a smaller quantization, a shorter context or a smaller model",
            id="5 GiB of weights, and 16 GiB of KV cache",
        ),
        pytest.param(
            "gpt-oss-20b",
            "RTX 5080, 64GB RAM",
            {"context_tokens": 131_072, "parallel": 8},
            "use a shorter context or a smaller model",
            id="12 GiB of weights, and no smaller type",
        ),
    ],
)
def test_a_model_that_is_partly_on_a_gpu_names_what_would_fit(
    model: str, machine: str, fields: dict[str, object], ways: str
) -> None:
    """Where the weights alone are too large, no shorter context makes the model fit."""
    verdict = check(model, machine=machine, **fields)  # type: ignore[arg-type]
    # as judged, before a type that was found to fit replaces the remedy
    judged = judge(verdict.question, verdict.machine)
    finding = judged.finding("accelerator")
    assert finding is not None
    assert finding.code == "accelerator-partly"
    assert f"fit all of it there: {ways}" in (finding.remedy or "")


@pytest.mark.parametrize(
    ("ram", "needed", "limit", "code"),
    [
        # 10.67 of 16 GiB on an M4 by default (AlexsJones/llmfit#570), or what iogpu.wired_limit_mb
        # says
        (16, 10, None, "accelerator-fits"),
        (16, 12, None, "accelerator-partly"),
        (16, 12, 13, "accelerator-fits"),
        (16, 10, 9, "accelerator-partly"),
        # 107.5 of 128 (antirez/ds4#893)
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
        accelerators=(
            card.replace(memory_total_bytes=None if limit is None else limit * GIB),
        ),
    )
    finding = found("accelerator", on_a_mac(needed), machine)
    assert finding.code == code
    if code == "accelerator-partly":
        raised = f"iogpu.wired_limit_mb={needed * 1024}" in (finding.remedy or "")
        assert raised is (needed <= ram)


@pytest.mark.parametrize(
    ("needed", "limit", "short"),
    [(30, None, None), (50, None, 19), (50, 64, None), (50, 40, 10), (200, None, 169)],
)
def test_linux_gives_amds_graphics_half_of_the_ram(
    needed: int, limit: int | None, short: int | None
) -> None:
    """62.82 of 125.65 GiB unless ttm.pages_limit says otherwise: 26,214,400 pages are 100 GiB
    (superm1/amd-debug-tools, docs/amd-ttm.md). The driver's figure counts where it was read.
    """
    strix = load("strix-halo-64gb").machine
    (card,) = strix.accelerators or ()
    machine = strix.replace(
        memory_total_bytes=62 * GIB,
        memory_limit_bytes=62 * GIB,
        accelerators=(
            card.replace(memory_total_bytes=None if limit is None else limit * GIB),
        ),
    )
    asked = question(needs=needs_of(needed * GIB, needed * GIB), runtime=None)
    finding = found("accelerator", asked, machine)
    assert finding.outcome is (Outcome.PASS if short is None else Outcome.WARN)
    assert finding.short == (None if short is None else short * GIB)
    if short is None:
        lent = limit or 31
        assert (
            f"shares the RAM, and may use {lent}.0 GiB of it or more" in finding.reason
        )
        return
    is_settable = needed < 62
    assert ("assumes that the limit is raised" in finding.reason) is is_settable
    assert (f"pages_limit={needed * 262_144} " in (finding.remedy or "")) is is_settable
    # a program that computes on the processor there has all of the RAM
    runtime = question().runtime
    assert runtime is not None
    on_processor = asked.replace(
        runtime=runtime.replace(gpus=runtime.gpus.replace(sharing_vendors=("apple",)))
    )
    assert found("accelerator", on_processor, machine).code == "accelerator-fits"


@pytest.mark.parametrize(
    ("model", "runtime", "cards", "chosen"),
    [
        # an MI50 (gfx906) has more memory than an RX 7900 XTX (gfx1100), and vLLM is not built for
        # it
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
    assert {term.where for term in verdict.needs.terms} == {
        "host",
        f"accelerator:{index}",
    }


@pytest.mark.parametrize(
    ("machine", "runs"),
    [
        # vLLM's documentation, installation, GPU, requirements: gfx90a, 942, 950, 1100, 1101, 1151
        # (Ryzen AI MAX), 1200, 1201
        ("i5-12400 64gb rx 7900 xtx", True),
        ("strix-halo-128gb", True),
        # gfx906, gfx1030, gfx803 and gfx1035
        ("i5-12400 64gb mi50 32gb", False),
        # compute capability 7.5 is asked for; these have 6.1, 7.0 and 7.5
        ("tesla v100", False),
        ("4x tesla t4", True),
    ],
)
def test_vllm_is_refused_on_gpus_that_it_is_not_built_for(
    machine: str, runs: bool
) -> None:
    verdict = check("llama3.1:8b", Workload(runtime="vllm"), machine=machine)
    codes = [
        finding.code for finding in verdict.findings if finding.check == "accelerator"
    ]
    assert (codes == ["accelerator-unsuitable"]) is not runs
    assert verdict.can_run is runs
    usual = check("llama3.1:8b", machine=machine)
    assert runs or usual.workload.runtime != "vllm"


@pytest.mark.parametrize(
    ("machine", "asked"),
    [
        # CUDA 12 has no Kepler (ggml-org/llama.cpp#11984)
        ("i5-12400 64gb Tesla K80", Workload(runtime="llama.cpp")),
        # no wheel of PyTorch for ROCm has gfx803 or gfx1010
        ("i5-12400 64gb RX 580 8gb", Workload(runtime="transformers")),
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


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        pytest.param(None, False, id="selfhost chose the program"),
        pytest.param("vllm", True, id="the user chose it"),
    ],
)
def test_only_a_stated_program_is_to_be_left_out(
    stated: str | None, told: bool
) -> None:
    """No program without a GPU is known to load it, so nothing is left where none was stated."""
    verdict = check("ernie-5.5-flash", runtime=stated, machine="steam deck")
    (found,) = [each for each in verdict.findings if each.check == "accelerator"]
    assert found.code == "accelerator-missing"
    assert ("--runtime" in str(found.remedy)) is told


def test_vllm_divides_no_model_over_gpus_of_two_makers() -> None:
    """Its builds compute on NVIDIA's or on AMD's: 12 GB of each are not 24, of one maker they
    are.
    """
    asked = Workload(runtime="vllm")
    mixed = check(
        "llama3.1:8b", asked, machine="i5-12400 64gb rtx 3060 12gb + rx 7700 xt"
    )
    assert not mixed.can_run
    assert check("llama3.1:8b", asked, machine="i5-12400 64gb 2x rtx 3060 12gb").can_run
    beside = check("llama3.1:8b", asked, machine="i5-12400 64gb rx 6800 + rtx 3090")
    assert beside.can_run
    assert not any("ROCm" in line for line in beside.commands)


@pytest.mark.parametrize(
    ("runtime", "quantization", "machine", "outcome"),
    [
        # kyuz0/amd-strix-halo-vllm-toolboxes#42 runs both there; vllm/platforms/rocm.py lists them
        pytest.param("vllm", "awq", "strix-halo-128gb", "pass", id="vllm-awq-amd"),
        pytest.param("vllm", "w4a16", "strix-halo-128gb", "pass", id="vllm-w4a16-amd"),
        # a comment of 2026-08-11 on vllm-project/vllm pull 46186: Qwen3.6-35B-A3B-GPTQ-Int4
        pytest.param("vllm", "gptq", "strix-halo-128gb", "pass", id="vllm-gptq-amd"),
        # SGLang documentation, quantization, platform compatibility
        pytest.param("sglang", "awq", "server-8x-mi300x", "pass", id="sglang-awq-amd"),
        # the table of vLLM's documentation says no and its code yes
        pytest.param("vllm", "nf4", "strix-halo-128gb", "unknown", id="vllm-nf4-amd"),
        # neither has a kernel of INT8 for Intel: vllm/model_executor/kernels/linear
        pytest.param(
            "vllm", "w8a8", "Arc B580, 64GB RAM", "fail", id="vllm-w8a8-intel"
        ),
    ],
)
def test_a_maker_is_refused_where_a_source_refuses_it(
    runtime: str, quantization: str, machine: str, outcome: str
) -> None:
    workload = Workload(runtime=runtime, quantization=quantization)
    verdict = check("qwen3.6-35b-a3b", workload, machine=machine)
    (found,) = [each for each in verdict.findings if each.check == "accelerator"]
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("model", "machine", "type", "has_smaller_type"),
    [
        pytest.param(
            "gpt-oss-20b", "rtx 4080 64gb", "mxfp4", False, id="one type alone"
        ),
        pytest.param(
            "qwen3-8b", "rtx a4500 64gb", "bfloat16", True, id="several types"
        ),
    ],
)
def test_a_smaller_type_is_advised_where_there_is_one(
    model: str, machine: str, type: str, has_smaller_type: bool
) -> None:
    """gpt-oss is published in MXFP4 alone, and vLLM makes no smaller type of that."""
    verdict = check(
        model,
        runtime="vllm",
        context_tokens=8192,
        machine=machine,
        quantization=type,
        kv_cache_type="f16",
    )
    finding = finding_of(verdict, "accelerator")
    assert finding.outcome is not Outcome.PASS
    assert finding.remedy is not None
    assert ("quantization" in finding.remedy) is has_smaller_type


@pytest.mark.parametrize(
    ("model", "machine", "runs"),
    [
        # lemonade-sdk/vllm-rocm#44: gfx1151 stops at the start, with Qwen3.6 35B A3B in FP8
        pytest.param("qwen3-30b-a3b", "strix-halo-128gb", False, id="gfx1151"),
        pytest.param("qwen3-30b-a3b", "4x rx 7900 xtx 128gb", False, id="gfx1100"),
        # vllm-project/vllm#16394: MI210 has no such type
        pytest.param("qwen3-30b-a3b", "mi250x 256gb", False, id="gfx90a"),
        # vllm-project/vllm#16474, #31475 and, with Qwen3 30B A3B, pull 36659
        pytest.param("qwen3-30b-a3b", "mi300x 256gb", True, id="gfx942"),
        pytest.param("qwen3-30b-a3b", "2x r9700 128gb", True, id="gfx1201"),
        pytest.param("qwen3-30b-a3b", "h100 80gb 128gb", True, id="nvidia"),
        # lemonade-sdk/vllm-rocm#36: a dense model in FP8 runs there
        pytest.param("qwen3-8b", "strix-halo-128gb", True, id="dense"),
    ],
)
def test_mixtures_in_fp8_run_in_vllm_on_amd_gpus_that_compute_in_fp8(
    model: str, machine: str, runs: bool
) -> None:
    asked = Workload(runtime="vllm", quantization="fp8")
    verdict = check(model, asked, machine=machine)
    assert verdict.can_run is runs
    assert verdict.has("accelerator-unsuitable") is not runs
