"""Several sequences at once, a draft beside the model, and the time to the first token: laws, and
published runs.
"""

from __future__ import annotations

import pytest

from helpers.paths import RECORDS
from judge.small import finding_of, speed_of
from selfhost import Machine, Workload, check, rank
from selfhost.catalogue.index import Catalogue
from selfhost.cli.main import main
from selfhost.core import units
from selfhost.core.errors import WorkloadError
from selfhost.judge.record import Route
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

MACHINE = Machine.from_file(RECORDS / "vm-24gib.json")


def test_check_tells_both_where_asked() -> None:
    """Nothing is told that was not asked; both are there once they are."""
    plain = speed_of(check("mistral-7b", machine=MACHINE))
    workload = Workload(prompt_tokens=2000, parallel=4)
    asked = speed_of(check("mistral-7b", workload, machine=MACHINE))
    assert (plain.first_token_seconds, plain.parallel_total) == (None, None)
    assert asked.first_token_seconds is not None
    assert asked.parallel_total is not None
    assert asked.decode is not None
    assert asked.prompt is not None
    assert asked.first_token_seconds.likely >= 2000 / asked.prompt.likely
    assert asked.decode.likely < asked.parallel_total.likely < 4 * asked.decode.likely
    assert "estimate" in asked.how


def test_what_a_full_context_leaves_of_the_pace_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Llama 3.1 8B was said to run at 6.7 tokens/s with 131,072 tokens of context, of which 0.3 are
    left once these are in use; of the default context nothing is told.
    """
    speed = speed_of(
        check("llama-3.1-8b", Workload(context_tokens=131_072), machine=MACHINE)
    )
    assert speed.decode is not None
    full = speed.full_context_tokens_per_second
    assert full is not None
    assert full < speed.decode.likely / 4
    on = ["--machine", "rtx 3090"]
    assert (
        main(["check", "llama-3.1-8b", "--context", "128k", "--min-speed", "60", *on])
        == 0
    )
    (line,) = (
        each for each in capsys.readouterr().out.splitlines() if "are in use" in each
    )
    assert "131,072" in line
    assert line.endswith("below the 60 you need")
    assert main(["check", "llama-3.1-8b", *on]) == 0
    assert "are in use" not in capsys.readouterr().out


@pytest.mark.parametrize("tokens", [4096, 8000])
def test_a_prompt_that_fills_the_stated_context_is_refused(tokens: int) -> None:
    """It cannot be read and answered; a context that holds both is named, and is accepted."""
    with pytest.raises(
        WorkloadError, match="no room for an answer in a context of 4,096"
    ) as caught:
        check(
            "mistral-7b",
            Workload(prompt_tokens=tokens, context_tokens=4096),
            machine=MACHINE,
        )
    remedy = caught.value.problems[0].remedy or ""
    enough = Workload(
        prompt_tokens=tokens,
        context_tokens=int(remedy.split("--context ")[1].split(",")[0]),
    )
    assert (
        speed_of(check("mistral-7b", enough, machine=MACHINE)).first_token_seconds
        is not None
    )


def test_a_prompt_without_room_is_told_with_every_other_fault() -> None:
    """Who mends one fault after the other types the command once more for each."""
    with pytest.raises(WorkloadError) as refused:
        check(
            "mistral-7b",
            machine=MACHINE,
            prompt_tokens=4096,
            context_tokens=4096,
            quantization="Q9_X",
        )
    keys = [problem.key for problem in refused.value.problems]
    assert keys == ["prompt_tokens", "quantization"]


def test_a_prompt_takes_the_context_that_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a context the default grows with the prompt and an answer, and the answer says so;
    Mistral 7B v0.3 was trained for 32,768 tokens, so that 100,000 are beyond it.
    """
    verdict = check("mistral-7b", Workload(prompt_tokens=8000), machine=MACHINE)
    assert 8000 + 360 <= (verdict.workload.context_tokens or 0) < 8000 + 360 + 256
    assert speed_of(verdict).first_token_seconds is not None
    assert any("for the prompt and an answer" in note for note in verdict.notes)
    short = check("mistral-7b", Workload(prompt_tokens=2000), machine=MACHINE)
    assert short.workload.context_tokens == 4096
    beyond = check("mistral-7b", Workload(prompt_tokens=100_000), machine=MACHINE)
    context = finding_of(beyond, "context")
    assert context.code == "context-too-long"
    assert not beyond.can_run
    monkeypatch.setattr(Catalogue, "ids", lambda _: (beyond.model.id, "opt-125m"))
    rows = rank(Workload(prompt_tokens=8000), machine=MACHINE).models
    listed = [row.context_tokens for row in rows if row.model.id == beyond.model.id]
    assert listed == [verdict.workload.context_tokens]


@pytest.mark.parametrize("prompt", [512, 30720])
@pytest.mark.parametrize("sequences", [1, 8])
@pytest.mark.parametrize(
    ("machine", "gb_per_s", "runtime", "quantization", "weights_bytes"),
    [
        # NVIDIA: 3.35 TB/s of an H100 SXM, 1,008 GB/s of an RTX 4090; 8.03 x 10^9 weights in 16
        # bits
        ("H100 80GB HBM3", 3350, "vllm", "bfloat16", 16.06e9),
        ("rtx 4090 64gb", 1008, "llama.cpp", "Q4_K_M", 4.5e9),
        ("i5-12400 2x32gb ddr4-3200", 51.2, "llama.cpp", "Q4_K_M", 4.5e9),
    ],
)
def test_behind_a_stated_prompt_each_step_reads_what_the_prompt_left(
    machine: str,
    gb_per_s: float,
    runtime: str,
    quantization: str,
    weights_bytes: float,
    sequences: int,
    prompt: int,
) -> None:
    """Llama 3.1 8B keeps 128 KiB a token (32 layers of 8 keys and values of 128 numbers of 16
    bits); the weights are read once. Eight sequences of 30,720 tokens were told at half as much
    again as the memory gives.
    """
    workload = Workload(
        prompt_tokens=prompt,
        context_tokens=32768,
        parallel=sequences,
        runtime=runtime,
        quantization=quantization,
        kv_cache_type="f16",
        min_tokens_per_second=1,
    )
    speed = speed_of(check("llama-3.1-8b", workload, machine=machine))
    assert speed.judged is not None
    read = weights_bytes + sequences * prompt * 128 * 1024
    assert speed.judged.high * read <= gb_per_s * 1e9


@pytest.mark.parametrize(
    ("runtime", "is_whole"),
    [
        pytest.param("llama.cpp", True, id="llama.cpp ignores the window"),
        pytest.param("vllm", False, id="vLLM follows it"),
    ],
)
def test_a_step_reads_the_context_that_its_program_attends_to(
    runtime: str, is_whole: bool
) -> None:
    """Mistral 7B v0.1 keeps 128 KiB a token (32 layers of 8 keys and values of 128 numbers of 16
    bits), and attends to the last 4,096. llama.cpp has no such window for its architecture: it
    keeps and reads all (4.4 x 10^9 bytes of weights in Q4_K_M, 14.5 x 10^9 in 16 bits).
    """
    weights_bytes = 4.4e9 if is_whole else 14.5e9
    slower = []
    for tokens in (4_096, 30_720):
        workload = Workload(
            prompt_tokens=tokens, context_tokens=32_768, runtime=runtime
        )
        speed = speed_of(check("mistral-7b-v0.1", workload, machine="rtx 4090"))
        assert speed.decode is not None
        slower.append(1 / speed.decode.likely)
    read_share = 1 + (30_720 - 4_096) * 128 * 1024 / (
        weights_bytes + 4_096 * 128 * 1024
    )
    if is_whole:
        assert slower[1] / slower[0] > 0.8 * read_share
    else:
        assert slower[1] / slower[0] < 1.05


def test_a_chip_that_shares_the_ram_is_no_card() -> None:
    """vLLM on a Ryzen AI Max+ 395: 8 at once of a Llama 2 7B in 16 bits 49 tokens/s, 16 at once 72
    (lhl/strix-halo-testing).
    """
    for sequences, seen in ((8, 49), (16, 72)):
        workload = Workload(
            quantization="float16",
            runtime="vllm",
            parallel=sequences,
            context_tokens=512,
        )
        verdict = check("llama-2-7b-chat", workload, machine="ryzen ai max+ 395 128gb")
        total = speed_of(verdict).parallel_total
        assert total is not None
        assert total.low < seen


@pytest.mark.parametrize("typed", ["fp16", "F16", "float16", "half", "bf16"])
def test_16_bits_are_16_bits(typed: str) -> None:
    """A program that loads bfloat16 loads it as float16 too (`--dtype half`), of the same size."""
    answer = check(
        "llama-3.1-8b-instruct",
        Workload(quantization=typed, runtime="vllm"),
        machine="3090",
    )
    plain = check(
        "llama-3.1-8b-instruct",
        Workload(quantization=None, runtime="vllm"),
        machine="3090",
    )
    assert answer.needs == plain.needs is not None


def test_one_gpu_that_is_too_slow_leaves_it_to_all_of_them() -> None:
    """Llama 3.3 70B in 16 bits fits one of eight B200, which is below 60 tokens/s; whoever has
    eight starts vLLM on all.
    """
    asked = Workload(runtime="vllm", quantization="bfloat16")
    alone = check("llama-3.3-70b", asked, machine="server-8x-b200")
    fast = check(
        "llama-3.3-70b",
        asked.replace(min_tokens_per_second=60),
        machine="server-8x-b200",
    )
    assert alone.route is fast.route is Route.LOCAL
    gpus_used = [
        len([place for place in each.needs.memory.places if place.where != "host"])
        for each in (alone, fast)
        if each.needs is not None and each.needs.memory is not None
    ]
    assert gpus_used == [1, 8]
    assert any("--tensor-parallel-size 8" in line for line in fast.commands)


@pytest.mark.parametrize(
    ("model", "machine", "parallel"), [("llama-3.1-8b", "2x rtx 3090", 1)]
)
def test_who_wants_more_is_never_told_yes_where_who_wants_less_is_not(
    model: str, machine: str, parallel: int
) -> None:
    """One of eight GPUs that is too close to call left the other seven unused: 40 tokens/s were
    open, and 45 ran. Too slow on all is told of all.
    """
    asked = Workload(runtime="vllm", parallel=parallel)
    routes = []
    paces = []
    for wanted in (5, 20, 30, 40, 45, 50, 60, 70, 80, 100, 200, 1000):
        verdict = check(
            model, asked.replace(min_tokens_per_second=wanted), machine=machine
        )
        routes.append([Route.LOCAL, Route.UNKNOWN, Route.API].index(verdict.route))
        judged = speed_of(verdict).judged
        assert judged is not None
        if verdict.can_run:
            paces.append(judged.likely)
    assert routes == sorted(routes)
    assert paces == sorted(paces)


def test_a_draft_is_told_beside_the_pace_without_it() -> None:
    drafted = check(
        "llama-3.3-70b-instruct",
        Workload(draft="llama-3.2-1b-instruct"),
        machine="2x rtx 3090",
    )
    alone = check("llama-3.3-70b-instruct", machine="2x rtx 3090")
    decode = speed_of(alone).decode
    likely = speed_of(drafted).undrafted_tokens_per_second
    assert decode is not None
    assert likely is not None
    # beside the draft the model may be shared out otherwise
    assert likely == pytest.approx(decode.likely, rel=0.03)
    words = " ".join(plain(check_document([drafted])).split())
    assert f"about {units.speed(likely, likely)} without the draft" in words


@pytest.mark.parametrize(
    ("model", "is_slower"),
    [
        pytest.param("qwen3-coder-30b", True, id="it moves a mixture to RAM"),
        pytest.param("qwen3-32b", True, id="it moves more of a dense model to RAM"),
        pytest.param("qwen3-14b", False, id="both fit on the GPU"),
    ],
)
def test_a_draft_is_compared_with_what_runs_without_it(
    model: str, is_slower: bool
) -> None:
    """A draft that pushed 30 GB of experts off the GPU was told as a little slower than the same
    placement; without it the model had the GPU to itself, and was three times as fast.
    """
    asked = Workload(context_tokens=65_536, draft="qwen3-0.6b", quantization="Q4_K_M")
    machine = "rtx 4090 64gb"
    drafted = check(model, asked, machine=machine)
    alone = check(model, asked.replace(draft=None), machine=machine)
    decode = speed_of(alone).decode
    assert decode is not None
    assert speed_of(drafted).undrafted_tokens_per_second == decode.likely
    words = " ".join(plain(check_document([drafted])).split())
    assert ("without the draft: leave it out" in words) is is_slower
    assert ("even without any context" in words) is False


def test_a_draft_leaves_the_first_token_where_it_is() -> None:
    """llama-server drafts what follows the first token."""
    asked = Workload(quantization="Q4_K_M", prompt_tokens=2048, parallel=4)
    alone = speed_of(
        check("qwen3-14b", asked.replace(draft=None), machine="desktop-rtx4090-24gb")
    )
    drafted = speed_of(
        check(
            "qwen3-14b",
            asked.replace(draft="qwen3-0.6b"),
            machine="desktop-rtx4090-24gb",
        )
    )
    assert drafted.first_token_seconds == alone.first_token_seconds is not None
    assert "the total of 4 sequences at once with a draft is a guess" in drafted.how


@pytest.mark.parametrize(
    ("model", "machine", "runtime", "quantization", "users", "seen"),
    [
        # al-engr.com/qwen3.6-single-spark-sglang: one alone 22.6
        pytest.param("qwen3.6-27b", "dgx spark", "sglang", "fp8", 4, 54.3, id="four"),
        pytest.param("qwen3.6-27b", "dgx spark", "sglang", "fp8", 8, 95.3, id="eight"),
        # 0xSero/local-ai-registry#9: each of five about 27, one alone 44.2
        pytest.param(
            "qwen3.8-27b", "r9700, 64gb", "llama.cpp", "UD-Q6_K", 5, 135, id="five"
        ),
    ],
)
def test_a_draft_gains_less_for_several(
    model: str,
    machine: str,
    runtime: str,
    quantization: str,
    users: int,
    seen: float,
) -> None:
    """A step verifies the proposed tokens of each; the likely total is within a quarter of what was
    seen.
    """
    asked = Workload(runtime=runtime, quantization=quantization, context_tokens=4096)
    together = asked.replace(parallel=users, draft="mtp")
    total = speed_of(check(model, together, machine=machine)).parallel_total
    assert total is not None
    assert total.low <= seen <= total.high
    assert abs(total.likely / seen - 1) < 0.25
    plain = speed_of(check(model, asked.replace(parallel=users), machine=machine))
    assert plain.parallel_total is not None
    one = speed_of(check(model, asked.replace(draft="mtp"), machine=machine))
    assert one.decode is not None
    gain = one.decode.likely / (one.undrafted_tokens_per_second or 1)
    assert 1 < total.likely / plain.parallel_total.likely < gain


def test_a_server_chooses_each_token_on_the_processor() -> None:
    """Qwen2.5 Coder 1.5B with 32 requests on an RTX 3060: 1,204 tokens/s of llama.cpp's server,
    where llama-batched-bench had 2,690 (speed_parallel.json).
    """
    workload = Workload(
        quantization="Q4_K_M", runtime="llama.cpp", parallel=32, context_tokens=512
    )
    verdict = check("qwen2.5-coder-1.5b-instruct", workload, machine="rtx 3060 12gb")
    speed = speed_of(verdict)
    assert speed.parallel_total is not None
    assert speed.parallel_total.low < 1204 < speed.parallel_total.high
    assert speed.parallel_total.likely < 2690
    assert "chosen on the processor" in speed.how


def test_who_sends_no_prompt_meanwhile_is_as_fast_with_a_stated_prompt() -> None:
    """A source that tells decoding alone reads no prompts between, and one over the whole time
    does: the range holds both, so that a stated prompt lowers the likely total and leaves the high
    end. 256 tokens are what every pace has before it.
    """
    asked = Workload(runtime="vllm", quantization="bf16", parallel=64)
    between = asked.replace(prompt_tokens=256, context_tokens=4096)
    alone = asked.replace(context_tokens=4096)
    totals = []
    for workload in (between, alone):
        verdict = check("llama-3.1-8b-instruct", workload, machine="h100 sxm")
        total = speed_of(verdict).parallel_total
        assert total is not None
        totals.append(total)
    with_prompts, without = totals
    assert with_prompts.low < without.low
    assert with_prompts.likely < without.likely
    assert with_prompts.high == pytest.approx(without.high)


@pytest.mark.parametrize(
    ("sequences", "seen"),
    [
        pytest.param(16, 200, id="sixteen"),
        pytest.param(32, 271, id="thirty-two"),
    ],
)
def test_many_experts_make_a_further_token_no_slower(
    sequences: int, seen: float
) -> None:
    """gpt-oss 120B, of whose 128 experts a batch of 512 tokens gives each 16, on a DGX Spark with
    so many at once: 220 and 313 tokens/s of llama-batched-bench (speed_batches.json), which chooses
    none; a server chooses each of 201,088 words in 2.5 ns.
    """
    workload = Workload(
        runtime="llama.cpp",
        quantization="MXFP4_MOE",
        parallel=sequences,
        context_tokens=512,
    )
    verdict = check("gpt-oss-120b", workload, machine="dgx spark")
    total = speed_of(verdict).parallel_total
    assert total is not None
    assert total.low < seen < total.high


def test_many_requests_to_a_mixture_do_not_outpace_a_server_for_many() -> None:
    """gpt-oss 20B with 16 requests on an H100: 918 tokens/s of llama.cpp (speed_programs.json)."""
    totals = {}
    for runtime in ("llama.cpp", "ollama", "vllm"):
        workload = Workload(runtime=runtime, parallel=32, context_tokens=8192)
        total = speed_of(
            check("gpt-oss-20b", workload, machine="h100 sxm")
        ).parallel_total
        assert total is not None
        totals[runtime] = total.likely
    assert totals["vllm"] > max(totals["llama.cpp"], totals["ollama"])


def test_ollama_may_leave_part_of_a_card_empty() -> None:
    """Qwen3 30B-A3B in Ollama on 12 GB: 25 tokens/s beside a Ryzen 7 7800X3D (ollama/ollama#11688).
    Of a model that a card of 4 GB just holds the slow end is with a part in RAM
    (AlexsJones/llmfit#933: 30.8).
    """
    workload = Workload(quantization="Q4_K_M", runtime="ollama")
    typed = "ryzen 7 7800x3d rtx 4070 32gb"
    speed = speed_of(check("qwen3-30b-a3b", workload, machine=typed))
    assert speed.decode is not None
    assert speed.decode.low < 25 < speed.decode.likely
    assert "differs between its versions" in speed.how
    workload = Workload(quantization="Q8_0", runtime="ollama")
    small = speed_of(check("qwen3.5-2b", workload, machine="rtx 3050 ti laptop 16gb"))
    assert small.decode is not None
    assert small.decode.low < 30.8
    assert "small card" in small.how
