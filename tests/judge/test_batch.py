"""Several sequences at once, and the time to the first token: laws, and published runs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.desktops import machine_with
from helpers.paths import RECORDS, TRUTH
from selfhost.api import check, rank
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.opened import open_catalogue
from selfhost.cli.main import main
from selfhost.core.errors import WorkloadError
from selfhost.core.workload import Workload
from selfhost.judge.judging import judge
from selfhost.judge.pace.batch import (
    EXPERTS_ON_GPU,
    ON_GPU,
    ON_PROCESSOR,
    Experts,
    TokenCost,
    attended_share,
    experts_of,
    first_token,
    parallel_total,
)
from selfhost.judge.pace.speed import PaceRange, SecondsRange
from selfhost.judge.pace.step import Step
from selfhost.judge.question import ask
from selfhost.machine.named import machine_named
from selfhost.machine.reader import Machine

MACHINE = Machine.from_file(RECORDS / "vm-24gib.json")


def pace(likely: float, low: float | None = None, high: float | None = None) -> PaceRange:
    return PaceRange(low=low or likely, likely=likely, high=high or likely)


@st.composite
def paces(draw: st.DrawFn) -> tuple[PaceRange, PaceRange, PaceRange]:
    """One sequence with its context, with an empty one, and reading; each a range."""

    def span(least: float) -> PaceRange:
        low = draw(st.floats(least, 1e4))
        likely = low * draw(st.floats(1, 10))
        return PaceRange(low=low, likely=likely, high=likely * draw(st.floats(1, 10)))

    return span(0.01), span(0.01), span(0.01)


MIXTURES = st.builds(
    lambda share, used, more: Experts(share=share, used=used, experts=used + more),
    st.floats(0, 1),
    st.integers(1, 22),
    st.integers(0, 500),
)
COSTS = st.sampled_from([ON_PROCESSOR, ON_GPU, EXPERTS_ON_GPU])


@given(paces(), COSTS, MIXTURES)
def test_one_sequence_is_the_single_one(
    given_paces: tuple[PaceRange, PaceRange, PaceRange],
    cost: TokenCost,
    experts: Experts,
) -> None:
    """N = 1 changes nothing, at no end."""
    single, empty, prompt = given_paces
    total = parallel_total(single, empty, prompt, 1, cost=cost, experts=experts)
    for end in ("low", "likely", "high"):
        assert getattr(total, end) == pytest.approx(getattr(single, end))


@given(paces(), COSTS, MIXTURES, st.integers(1, 500))
def test_more_sequences_never_lower_the_total(
    given_paces: tuple[PaceRange, PaceRange, PaceRange],
    cost: TokenCost,
    experts: Experts,
    sequences: int,
) -> None:
    """One more adds to the total or leaves it, and the total is at most so many times one."""
    single, empty, prompt = given_paces
    fewer, more = (
        parallel_total(single, empty, prompt, number, cost=cost, experts=experts)
        for number in (sequences, sequences + 1)
    )
    assert more.low <= more.likely <= more.high
    for end in ("low", "likely", "high"):
        assert getattr(more, end) >= getattr(fewer, end) * (1 - 1e-9)
        assert getattr(fewer, end) <= getattr(single, end) * sequences * (1 + 1e-9)


@pytest.mark.parametrize(
    ("cost", "single", "prompt", "sequences", "published"),
    [
        # llama.cpp issue 3478: Mistral 7B Q4_0 on a c5.4xlarge, prompts at 14.01 tokens/s
        (ON_PROCESSOR, 10.61, 14.01, 2, 12.11),
        (ON_PROCESSOR, 10.61, 14.01, 4, 12.67),
        # llama.cpp pull request 15916: Gemma 3 4B Q8_0 on an M2 Ultra
        (ON_GPU, 97.86, 2594.53, 2, 179.89),
        (ON_GPU, 97.86, 2594.53, 4, 269.05),
        # llama.cpp pull request 16894: Qwen2 7B Q8_0 on an M2 Ultra
        (ON_GPU, 79.04, 1518.90, 2, 136.37),
        (ON_GPU, 79.04, 1518.90, 4, 224.52),
    ],
)
def test_published_totals(
    cost: TokenCost,
    single: float,
    prompt: float,
    sequences: int,
    published: float,
) -> None:
    """From the pace of one and of prompts alone: inside the range, and within a tenth of likely."""
    one = pace(single)
    total = parallel_total(one, one, pace(prompt), sequences, cost=cost)
    assert total.low <= published <= total.high
    assert total.likely == pytest.approx(published, rel=0.1)


_SHARING_RAM = {
    "Apple M2 Ultra": "mac-studio-m2-ultra-128gb",
    "NVIDIA GB10": "dgx-spark",
}


def test_batches_that_others_published_lie_inside() -> None:
    """Of the kept runs, and of the fitted with 2 and 32 (`truth/speed_batches.json`), nine in ten."""
    document = json.loads((TRUTH / "speed_batches.json").read_text("utf-8"))
    rows = [dict(zip(document["columns"], values, strict=True)) for values in document["rows"]]
    catalogue, inside = open_catalogue(), []
    for row in rows:
        if row["use"] == "fitted" and row["at_once"] not in (2, 32):
            continue
        machine = (
            machine_named(_SHARING_RAM[row["device"]])
            if row["kind"] == "unified"
            else machine_with(row["device"], row["memory_gb"])
        )
        workload = Workload(
            quantization=row["quantization"],
            runtime="llama.cpp",
            parallel=row["at_once"],
            context_tokens=512,
        )
        speed = judge(ask(catalogue.spec(row["spec"]), workload, catalogue, machine), machine).speed
        assert speed is not None
        assert speed.parallel_total is not None
        total = speed.parallel_total
        inside.append(total.low <= row["tokens_per_second"] <= total.high)
    assert sum(inside) >= 0.9 * len(inside)


def test_a_mixture_reads_more_experts_for_more_tokens() -> None:
    """8 of 128 experts: two tokens share half of one on average; all are read by many."""
    mixture = Experts(share=1.0, used=8, experts=128)
    assert mixture.growth(1) == 1
    assert mixture.growth(2) == pytest.approx(2 - 8 / 128)
    assert mixture.growth(10_000) == pytest.approx(16)


def test_first_token_is_reading_and_a_step() -> None:
    """2,000 tokens at 100 a second and a step of 0.1 s: 20.1 s where nothing is attended to."""
    step, prompt = pace(10.0), pace(100.0, low=50.0, high=200.0)
    wait = first_token(2000, prompt, step)
    assert wait.low == pytest.approx(10.1)
    assert wait.likely == pytest.approx(20.1)
    assert wait.high == pytest.approx(40.1)


# llama-bench with so many tokens in the context, or a prompt of which half is before a token on
# average: a Radeon 8060S (lhl/strix-halo-testing#33), RTX 3090 (noonghunna/club-3090#1111), RX 9060
# XT (ggml-org/llama.cpp#28102), M1 Ultra (geerlingguy/ai-benchmarks#48)
FALLING = [
    ("gpt-oss-120b", (1_024, 998.24), (17_408, 507.39)),
    ("qwen3.8-27b", (4_012, 992.9), (64_013, 539.7)),
    ("llama-3-8b-instruct", (4_608, 2019.5), (33_280, 783.05)),
    ("tinyllama-1.1b-chat-v1.0", (256, 5587.84), (2_048, 4381.75)),
]


@pytest.mark.parametrize(("spec_id", "near", "far"), FALLING)
def test_a_gpu_reads_a_long_prompt_slower_as_published(
    spec_id: str, near: tuple[int, float], far: tuple[int, float]
) -> None:
    """102,400 tokens were read by an RTX 4090 in 9 s, at the pace of 512: each attends to those before it."""
    spec = open_catalogue().spec(spec_id)
    architecture, active = spec.architecture, spec.parameters.active
    experts = experts_of(Step(architecture=architecture, read_bytes={}), active)

    def seconds(depth_tokens: int) -> SecondsRange:
        attended = attended_share(architecture, active, 2 * depth_tokens, experts)
        steady = pace(1000.0)
        # of a prompt so long that one step more is nothing
        return first_token(10**9, steady, steady, attended=attended)

    fall = near[1] / far[1]
    shortest, likely, longest = (
        getattr(seconds(far[0]), end) / getattr(seconds(near[0]), end)
        for end in ("low", "likely", "high")
    )
    assert shortest <= fall <= longest
    assert likely == pytest.approx(fall, rel=0.3)


def falls() -> list[tuple[str, int, tuple[int, float], tuple[int, float]]]:
    """The same prompt short and long, on as many threads."""
    document = json.loads((TRUTH / "speed.json").read_text("utf-8"))
    shorter: dict[tuple[str, int], tuple[int, float]] = {}
    pairs = []
    for model, threads, tokens, tokens_per_second in document["measured_prompts_xeon"]:
        short = shorter.setdefault((model, threads), (tokens, tokens_per_second))
        if short[0] < tokens:
            pairs.append((model, threads, short, (tokens, tokens_per_second)))
    return pairs


@pytest.mark.parametrize(("model", "threads", "short", "long"), falls())
def test_prompts_on_a_processor_fall_as_measured(
    model: str, threads: int, short: tuple[int, float], long: tuple[int, float]
) -> None:
    """llama-bench of llama.cpp 0c1e570 (`measured_prompts_xeon`): attending takes a tenth of what decoding's does, or less."""
    catalogue = open_catalogue()
    spec = catalogue.spec(model)
    steady = pace(1000.0)

    def seconds(tokens: int) -> SecondsRange:
        attended = attended_share(spec.architecture, spec.parameters.total, tokens, Experts())
        read = first_token(tokens, steady, pace(1e12), attended=attended, on_processor=True)
        return SecondsRange(
            **{end: getattr(read, end) / tokens for end in ("low", "likely", "high")}
        )

    fall = short[1] / long[1]
    assert seconds(long[0]).low / seconds(short[0]).low <= fall
    assert fall <= seconds(long[0]).high / seconds(short[0]).high
    assert seconds(long[0]).likely / seconds(short[0]).likely == pytest.approx(fall, rel=0.1)


@given(paces(), st.integers(1, 10**6))
def test_a_longer_prompt_never_answers_earlier(
    given_paces: tuple[PaceRange, PaceRange, PaceRange], tokens: int
) -> None:
    """The range is in order, and grows with the prompt."""
    single, _, prompt = given_paces
    short = first_token(tokens, prompt, single)
    long = first_token(tokens + 1, prompt, single)
    assert 0 < short.low <= short.likely <= short.high
    assert all(getattr(long, end) >= getattr(short, end) for end in ("low", "likely", "high"))


def test_check_tells_both_where_asked() -> None:
    """Nothing is told that was not asked; both are there once they are."""
    plain = check("mistral-7b", machine=MACHINE).speed
    asked = check("mistral-7b", Workload(prompt_tokens=2000, parallel=4), machine=MACHINE).speed
    assert plain is not None
    assert asked is not None
    assert (plain.first_token_seconds, plain.parallel_total) == (None, None)
    assert asked.first_token_seconds is not None
    assert asked.parallel_total is not None
    assert asked.decode is not None
    assert asked.prompt is not None
    assert asked.first_token_seconds.likely >= 2000 / asked.prompt.likely
    assert asked.decode.likely < asked.parallel_total.likely < 4 * asked.decode.likely
    assert "estimate" in asked.how


def test_what_a_full_context_leaves_of_the_pace_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Llama 3.1 8B was said to run at 6.7 tokens/s with 131,072 tokens of context, of which 0.3 are left once these are in use; of the default context nothing is told."""
    speed = check("llama-3.1-8b", Workload(context_tokens=131_072), machine=MACHINE).speed
    assert speed is not None
    assert speed.decode is not None
    full = speed.full_context_tokens_per_second
    assert full is not None
    assert full < speed.decode.likely / 4
    on = ["--machine", "rtx 3090"]
    assert main(["check", "llama-3.1-8b", "--context", "128k", "--min-speed", "60", *on]) == 0
    (line,) = (each for each in capsys.readouterr().out.splitlines() if "are in use" in each)
    assert "131,072" in line
    assert line.endswith("below the 60 you need")
    assert main(["check", "llama-3.1-8b", *on]) == 0
    assert "are in use" not in capsys.readouterr().out


def test_vllm_on_a_gpu_has_a_total() -> None:
    """Its prompts were not measured: those of llama.cpp on that GPU stand for them."""
    wanted = Workload(runtime="vllm", parallel=8)
    speed = check("mistral-7b", wanted, machine="RTX 4090").speed
    assert speed is not None
    assert speed.parallel_total is not None
    assert speed.decode is not None
    assert speed.parallel_total.likely > 3 * speed.decode.likely


@pytest.mark.parametrize("tokens", [4096, 8000])
def test_a_prompt_that_fills_the_stated_context_is_refused(tokens: int) -> None:
    """It cannot be read and answered; a context that holds both is named, and is accepted."""
    with pytest.raises(
        WorkloadError, match="no room for an answer in a context of 4,096"
    ) as caught:
        check("mistral-7b", Workload(prompt_tokens=tokens, context_tokens=4096), machine=MACHINE)
    remedy = caught.value.problems[0].remedy or ""
    enough = Workload(prompt_tokens=tokens, context_tokens=int(remedy.split()[1]))
    speed = check("mistral-7b", enough, machine=MACHINE).speed
    assert speed is not None
    assert speed.first_token_seconds is not None


def test_a_prompt_takes_the_context_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a context the default grows with the prompt and an answer, and the answer says so; Mistral 7B v0.3 was trained for 32,768 tokens, so that 100,000 are beyond it."""
    verdict = check("mistral-7b", Workload(prompt_tokens=8000), machine=MACHINE)
    assert 8000 + 360 <= (verdict.workload.context_tokens or 0) < 8000 + 360 + 256
    assert verdict.speed is not None
    assert verdict.speed.first_token_seconds is not None
    assert any("for the prompt and an answer" in note for note in verdict.notes)
    short = check("mistral-7b", Workload(prompt_tokens=2000), machine=MACHINE)
    assert short.workload.context_tokens == 4096
    beyond = check("mistral-7b", Workload(prompt_tokens=100_000), machine=MACHINE)
    context = beyond.finding("context")
    assert context is not None
    assert context.code == "context-too-long"
    assert not beyond.can_run
    monkeypatch.setattr(Catalogue, "ids", lambda _: (beyond.model.id, "opt-125m"))
    rows = rank(Workload(prompt_tokens=8000), machine=MACHINE).models
    listed = [row.context_tokens for row in rows if row.model.id == beyond.model.id]
    assert listed == [verdict.workload.context_tokens]


@pytest.mark.parametrize("prompt", [512, 8192, 30720])
@pytest.mark.parametrize("sequences", [1, 8])
@pytest.mark.parametrize(
    ("machine", "gb_per_s", "runtime", "quantization", "weights_bytes"),
    [
        # NVIDIA: 3.35 TB/s of an H100 SXM, 1,008 GB/s of an RTX 4090; 8.03 x 10^9 weights in 16 bits
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
    """Llama 3.1 8B keeps 128 KiB a token (32 layers of 8 keys and values of 128 numbers of 16 bits); the weights are read
    once. Eight sequences of 30,720 tokens were told at half as much again as the memory gives.
    """
    workload = Workload(
        prompt_tokens=prompt,
        context_tokens=32768,
        parallel=sequences,
        runtime=runtime,
        quantization=quantization,
        min_tokens_per_second=1,
    )
    speed = check("llama-3.1-8b", workload, machine=machine).speed
    assert speed is not None
    assert speed.judged is not None
    read = weights_bytes + sequences * prompt * 128 * 1024
    assert speed.judged.high * read <= gb_per_s * 1e9
