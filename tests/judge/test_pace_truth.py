"""Every pace that is predicted, against runs that others published: the files of
`truth/speed_*.json`, as `benchmarks/paces.py` asks them, and the table of efficiencies that they
were fitted on.
"""

from __future__ import annotations

import sys
import tomllib

import pytest

from helpers.machines import machine_with
from helpers.paths import ROOT, TRUTH
from judge.small import speed_of
from selfhost import Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.judge.pace.decode_step import Step, expert_parameters
from selfhost.judge.pace.rates import decoding_row, share_row, staged_per_second
from selfhost.judge.pace.tables import FEW_BITS
from selfhost.judge.question import ask
from selfhost.machine import gpus
from selfhost.machine.gpus import every_card
from selfhost.machine.named import named
from selfhost.machine.record import Accelerator

sys.path.insert(0, str(ROOT / "benchmarks"))

import other_work
import paces

TABLE = tomllib.loads((ROOT / "specs/common/pace.toml").read_text(encoding="utf-8"))
BOUNDS = tomllib.loads((TRUTH / "pace_bounds.toml").read_text(encoding="utf-8"))


def step_for(model: str) -> Step:
    catalogue = open_catalogue()
    step = ask(catalogue.spec(model), Workload(), catalogue, machine_with()).step
    assert step is not None
    return step


@pytest.mark.parametrize("source", BOUNDS)
def test_published_runs_lie_inside_ranges_of_use(source: str) -> None:
    """As many inside, as near and as narrow as when the table was fitted, but for a little."""
    if source in other_work.ON_GPUS:
        runs = list(other_work.ON_GPUS[source]())
    else:
        runs = list(paces.scored_set(source))
    found = paces.Summary.of(runs)
    least_inside, most_off, most_wide = BOUNDS[source]
    assert found.inside >= least_inside / 100
    assert found.error <= most_off
    assert found.width <= most_wide


def test_what_processors_compute_lies_inside_ranges_of_use() -> None:
    """Prompts, speech and pictures on processors (`truth/compute.json`), by kind of work."""
    runs = list(other_work.on_processors())
    for name in paces.PROMPTS_OF_PROCESSORS:
        # those of an outdated build have words of their own behind the class
        of_processors = ("prompt, processors", "prompt, processors, experts")
        runs += [
            run for run in paces.scored_set(name) if run.class_name in of_processors
        ]
    assert len(runs) > 100
    assert sum(run.is_inside for run in runs) >= 0.9 * len(runs)


def test_every_row_says_what_it_rests_on() -> None:
    """Runs, devices and a source; ends around the likely figure, slow end first. Only the last row,
    for GPUs of makers that nobody measured, rests on none.
    """
    for row in TABLE["decode"][:-1]:
        assert row["runs"] >= row["devices"] >= 1
    for row in TABLE["decode"]:
        assert 0.2 < row["share"] < 0.95
        assert row["slow"] < 1 < row["fast"]
        assert row["source"] in TABLE["sources"]
        layers = row.get("large_layer", [1])
        assert layers == sorted(layers, reverse=True)
        few_bits = row.get("types", {}).get(FEW_BITS, [1])
        assert few_bits == sorted(few_bits)
        assert few_bits[-1] <= 1
    for row in TABLE["share"]:
        for ends in (row["share"], row.get("experts", row["share"])):
            assert ends == sorted(ends)
        assert row["devices"] >= 0
        assert row["source"] in TABLE["sources"]
    for part in ("work", "documents", "pictures", "training", "sound"):
        for ends in TABLE[part].values():
            if isinstance(ends, list):
                assert ends in (sorted(ends), sorted(ends, reverse=True))


def test_every_gpu_has_a_row_for_text_and_pictures() -> None:
    """Known or not: the last rows are for the rest, and newer NVIDIA cards come before older."""
    names = [*(card.name for card in every_card()), "a card that nobody knows"]
    for name in names:
        device = Accelerator(
            vendor=gpus.vendor_of(name),
            name=name,
            unified=gpus.facts_of(name).unified,
        )
        for program in ("", "graph", "python"):
            assert decoding_row(device, program)
        for work in ("prompt", "picture", "picture_ggml"):
            assert share_row(device, work)
        assert staged_per_second(device).low < staged_per_second(device).likely
    newer, older = (
        decoding_row(Accelerator(vendor="nvidia", name=name))
        for name in ("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 2080")
    )
    assert newer.layer_us < older.layer_us


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        # by the config.json of each
        pytest.param("qwen3.6-35b-a3b", 40, id="a shared expert"),
        pytest.param("gemma-4-26b-a4b-it", 30, id="a dense network"),
        pytest.param("deepseek-v3", 58, id="three layers without experts"),
        pytest.param("qwen3-30b-a3b", 0, id="experts alone"),
        pytest.param("qwen3-8b", 0, id="dense"),
    ],
)
def test_a_network_beside_the_experts_takes_time_of_its_own(
    model: str, layers: int
) -> None:
    assert step_for(model).layers_beside_experts == layers


@pytest.mark.parametrize(
    ("model", "layers", "mixing", "feeding"),
    [
        # the pattern of its config.json: 23 Mamba-2, 6 attention and 23 layers with experts
        pytest.param("nemotron-3-nano-30b-a3b", 52, 29, 23, id="half a layer each"),
        pytest.param("mamba-2.8b", 64, 64, 0, id="no feed-forward network"),
        pytest.param("mistral-7b-instruct-v0.3", 32, 32, 32, id="both in each"),
        # attention and Mamba-2 side by side in each: no fewer launches than layers
        pytest.param("falcon-h1-7b-instruct", 44, 88, 44, id="two mixers in each"),
    ],
)
def test_a_layer_that_does_half_the_work_is_launched_as_half_a_layer(
    model: str, layers: int, mixing: int, feeding: int
) -> None:
    """A Nemotron 3 Nano was told at 180 tokens/s on an RTX 5090, which writes 286 and 313
    (`speed_public.json`).
    """
    step = step_for(model)
    assert step.layers == layers
    assert step.layers_by_blocks() == min(layers, (mixing + feeding) / 2)


@pytest.mark.parametrize(
    ("model", "least", "most"),
    [
        # Step 3.5 Flash on a GB10 0.88 with three proposed tokens, 1.11 with two
        # (ggml-org/llama.cpp#24508)
        pytest.param("step-3.5-flash", 0.88, 1.11, id="a mixture that gains nothing"),
        # Qwen3.6 35B-A3B on a Radeon 8060S (`speed_drafts.json`)
        pytest.param("qwen3.6-35b-a3b", 1.24, 1.4, id="a mixture that gains a little"),
        # Qwen3.6 27B there
        pytest.param("qwen3.6-27b", 1.86, 2.11, id="a dense model"),
    ],
)
def test_the_gain_of_a_draft_counts_the_experts_of_each_token(
    model: str, least: float, most: float
) -> None:
    """Verifying four tokens of a mixture reads up to four sets of experts, where a dense model
    reads all weights once: a draft that made the answer slower was told at 1.65 times as fast.
    """
    asked = Workload(draft="mtp", runtime="llama.cpp", quantization="Q3_K_M")
    speed = speed_of(check(model, asked, machine="dgx spark"))
    assert speed.decode is not None
    assert speed.undrafted_tokens_per_second is not None
    low, likely, high = (
        end / speed.undrafted_tokens_per_second for end in speed.decode
    )
    assert low < least
    assert most < high
    assert (likely > 1.5) is (model == "qwen3.6-27b")


def test_a_draft_that_makes_it_slower_is_said_to() -> None:
    """The note said that `no draft is faster` where few tokens are accepted, never that one is
    slower. With two tokens this mixture was 1.11 times as fast, with three 0.88 times
    (ggml-org/llama.cpp#24508), since each reads experts of its own.
    """
    asked = Workload(
        draft="mtp",
        runtime="llama.cpp",
        quantization="Q3_K_M",
        runtime_options={"spec-draft-n-max": "6"},
    )
    slower = check("step-3.5-flash", asked, machine="dgx spark").notes
    faster = check("qwen3.6-27b", asked, machine="dgx spark").notes
    assert any("slows the model down" in note for note in slower)
    assert not any("slows the model down" in note for note in faster)


@pytest.mark.parametrize("quantization", ["IQ2_S", "IQ3_XXS", "Q2_K", "Q3_K_S"])
def test_few_bits_are_slower_to_unpack_on_a_radeon(quantization: str) -> None:
    """An RX 6800 read two and three bits at 0.33 to 0.46 of the rate of four
    (ggml-org/llama.cpp#8215, #27962); NVIDIA's have a limit of their own.
    """
    few, usual = (
        speed_of(
            check(
                "llama-3-8b-instruct",
                Workload(quantization=name, runtime="llama.cpp"),
                machine="rx 6800 64gb",
            )
        ).decode
        for name in (quantization, "Q4_K_M")
    )
    assert few is not None
    assert usual is not None
    assert few.high / few.low > usual.high / usual.low
    # four bits take 4.9 GB a token; what is read at 0.33 to 0.46 of the rate is no faster for being
    # smaller
    assert few.low < usual.likely


@pytest.mark.parametrize(
    "model",
    [
        "qwen3-30b-a3b",
        "gpt-oss-20b",
        # experts of two matrices, without a gate: three left half as much more in RAM as there is
        "nemotron-3-nano-30b-a3b",
        # these in a space narrower than the model
        "nemotron-3-super-120b-a12b",
    ],
)
def test_experts_that_a_token_leaves_out_are_what_it_does_not_read(model: str) -> None:
    """The parameters of a mixture less those that are active, which its publisher states."""
    spec, step = open_catalogue().spec(model), step_for(model)
    experts = expert_parameters(step.architecture, step.expert_matrices)
    left_out = (spec.parameters.total or 0) - (spec.parameters.active or 0)
    assert experts.all - experts.used == pytest.approx(left_out, rel=0.01)


def test_python_launches_more_slowly_in_a_virtual_machine() -> None:
    """Qwen3 14B from Python: a virtual machine with an H200 wrote 16 tokens/s, the host of an H20
    40.7 and that of an A100 24.7 of Qwen2.5 14B, as deep (`speed_transformers.json`). One range
    held all three, 5.4 times wide.
    """
    machine = named("h200 141gb, 126gb ram")[0]
    asked = Workload(runtime="transformers", quantization="bfloat16")
    host, guest = (
        speed_of(check("qwen3-14b", asked, machine=each)).decode
        for each in (machine, machine.replace(scope="vm"))
    )
    assert host is not None
    assert guest is not None
    assert 16 < host.low < 24.7
    assert 40.7 < host.high < 3 * host.low
    assert guest.low < 16 < guest.high


def test_of_a_second_token_table_one_row_is_read() -> None:
    """Gemma 4 E4B in 8bit, whose table by layers is 2.8 of its 8.0 billion parameters: on an M5 Max
    Mac-MLX wrote 81.8 tokens/s, and 60 were told at most.
    """
    asked = Workload(quantization="8bit", runtime="mlx", context_tokens=4096)
    # what it reads in GGUF, whose file is told tensor by tensor, is about as much
    of_file = asked.replace(quantization="Q8_0", runtime="llama.cpp")
    own, other = (
        speed_of(check("gemma-4-e4b-it", each, machine="m5 max 128gb")).decode
        for each in (asked, of_file)
    )
    assert own is not None
    assert other is not None
    assert own.low < 81.8 < own.high
    assert own.likely == pytest.approx(other.likely, rel=0.25)
