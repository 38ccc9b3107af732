"""The pace of work that is no text, beside runs that others published."""

import re
from typing import Any

import pytest

from helpers.desktops import machine_with
from selfhost import Machine, Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.core.units import work_ends
from selfhost.judge.checks import Outcome
from selfhost.judge.pace.pictures import denoising_of, picture_operations, seconds_of_picture
from selfhost.judge.pace.speech import encoder_operations
from selfhost.judge.pace.work import Power
from selfhost.judge.record import Verdict
from selfhost.machine import gpus
from selfhost.machine.named import machine_named
from selfhost.reports.words import answer_cell


def seen(model: str, machine: Machine, **asked: Any) -> Verdict:
    verdict = check(model, Workload(**asked), machine=machine)
    assert verdict.speed is not None
    return verdict


def holds(verdict: Verdict, figure: float, most_wide: float) -> bool:
    """The range holds a published figure, and is no wider than that many times."""
    assert verdict.speed is not None
    work = verdict.speed.work
    assert work is not None
    assert work.low < work.likely < work.high
    return work.low <= figure <= work.high and work.high / work.low <= most_wide


@pytest.mark.parametrize(
    ("model", "machine", "asked", "seconds_per_minute"),
    [
        # SYSTRAN/faster-whisper, README: 13 minutes of audio, 5 beams; RTX 3070 Ti, Core i7-12700K
        ("whisper-large-v2", machine_with("NVIDIA GeForce RTX 3070 Ti", 8),
         {"runtime": "faster-whisper"}, 63 / 13),
        ("whisper-large-v2", machine_with("NVIDIA GeForce RTX 3070 Ti", 8), {}, 65 / 13),
        ("whisper-small", machine_with(), {}, 125 / 13),
        ("whisper-small", machine_with(), {"runtime": "faster-whisper", "quantization": "int8"},
         102 / 13),
        # SYSTRAN/faster-whisper#1030: the same minutes on an RTX 2080 Ti
        ("whisper-large-v3", machine_with("NVIDIA GeForce RTX 2080 Ti", 11),
         {"runtime": "faster-whisper", "quantization": "float16"}, 52 / 13),
        ("whisper-large-v3-turbo", machine_with("NVIDIA GeForce RTX 2080 Ti", 11),
         {"runtime": "faster-whisper", "quantization": "float16"}, 19.2 / 13),
        # x2q.net, 2026: large-v3-turbo at 56 times real time on an RTX 4070 Ti
        ("whisper-large-v3-turbo", machine_with("NVIDIA GeForce RTX 4070 Ti", 12),
         {"runtime": "faster-whisper"}, 60 / 56),
    ],
)  # fmt: skip
def test_audio_takes_as_long_as_published_runs(
    model: str, machine: Machine, asked: dict[str, str], seconds_per_minute: float
) -> None:
    verdict = seen(model, machine, **asked)
    assert verdict.speed is not None
    assert verdict.speed.unit == "seconds_per_audio_minute"
    assert holds(verdict, seconds_per_minute, 20 if not machine.accelerators else 8)


def test_the_encoder_of_whisper_small_takes_as_much_arithmetic_as_its_layers() -> None:
    """12 layers of 7,077,888 weights and 1,500 positions, by hand; the keys and values for the text and the convolutions are a tenth more."""
    spec = check("whisper-small", machine=machine_with()).model
    assert spec.architecture is not None
    assert spec.architecture.audio is not None
    layers = 12 * (2 * 1500 * 7_077_888 + 4 * 1500 * 1500 * 768)
    operations = encoder_operations(spec.architecture.audio, spec.architecture)
    assert layers < operations < 1.2 * layers


@pytest.mark.parametrize(
    ("model", "machine", "quantization", "seconds"),
    [
        # z4ng1ew/Stable-diffusion-local-inference: 25 steps in 5 seconds, so 50 in 10
        ("stable-diffusion-1.5", machine_with("NVIDIA GeForce RTX 3060", 12), "float16", 10),
        # matiasbattaglia.com, 2025-06-09: FLUX.1 [dev], 50 steps in 26 seconds, so 28 in 15
        ("flux.1-dev", machine_with("NVIDIA A100-SXM4-80GB", 80), "bfloat16", 15),
        # diffusers documentation: SDXL, 30 steps in 3.31 seconds, so 50 in 5.5
        ("sdxl-base-1.0", machine_with("NVIDIA A100-SXM4-80GB", 80), "float16", 5.5),
        # huggingface.co/blog/stable-diffusion-inference-intel: 20 steps in 45 seconds, so 50 in 112
        ("stable-diffusion-1.5",
         machine_with(cpu_model="Intel(R) Xeon(R) Platinum 8375C CPU", cpu_cores_physical=32,
                      cpu_cores_usable=32.0, instruction_sets=("avx2", "avx512f")),
         "float32", 112),
    ],
)  # fmt: skip
def test_a_picture_takes_as_long_as_published_ones(
    model: str, machine: Machine, quantization: str, seconds: float
) -> None:
    verdict = seen(model, machine, quantization=quantization)
    assert holds(verdict, seconds, 8 if machine.accelerators else 40)


def test_an_offloaded_picture_takes_longer_by_the_measured_factor() -> None:
    """FLUX.1 [dev] on an A100: 26 seconds whole, 56 with its components moved in turn, 300 by layers."""
    whole = seen("flux.1-dev", machine_with("NVIDIA GeForce RTX 4090", 48), quantization="bfloat16")
    parts = seen("flux.1-dev", machine_with("NVIDIA GeForce RTX 4090", 32), quantization="bfloat16")
    assert whole.speed is not None
    assert whole.speed.work is not None
    assert parts.speed is not None
    assert parts.speed.work is not None
    assert 1.4 <= parts.speed.work.likely / whole.speed.work.likely <= 2.2
    finding = parts.finding("speed")
    assert finding is not None
    assert (finding.outcome, finding.code) == (Outcome.WARN, "speed-picture")


@pytest.mark.parametrize(
    ("model", "gpu", "gib", "tokens_per_second"),
    [
        # exxactcorp.com: LoRA of Llama 3.1 8B
        ("llama-3.1-8b-instruct", "NVIDIA RTX PRO 6000 Blackwell Server Edition", 96, 4962),
        # arXiv:2509.12229
        ("qwen2.5-1.5b-instruct", "NVIDIA GeForce RTX 4060", 8, 628),
    ],
)
def test_training_goes_as_fast_as_published_runs(
    model: str, gpu: str, gib: int, tokens_per_second: float
) -> None:
    verdict = seen(
        model,
        machine_with(gpu, gib),
        task="finetune",
        finetune_method="lora",
        context_tokens=1024,
    )
    assert verdict.speed is not None
    assert verdict.speed.unit == "trained_tokens_per_second"
    assert holds(verdict, tokens_per_second, 8)


def test_training_in_mlx_has_a_pace_on_a_mac_though_its_memory_is_not_counted() -> None:
    """About 475 tokens/s of Llama 7B on an M2 Ultra (ml-explore/mlx-examples, lora/README.md), adapters on 16 layers."""
    verdict = seen(
        "llama-2-7b-base",
        machine_named("m2 ultra 192gb"),
        task="finetune",
        runtime="mlx",
        finetune_method="lora",
    )
    assert holds(verdict, 475, 4)
    assert verdict.route != "local"


def test_short_steps_of_packed_weights_wait_for_unpacking() -> None:
    """Qwen 7B on an A100: 256 tokens at once train at 0.40 of the pace with 4 bits, 4,096 at 0.87 (QwenLM/Qwen, README.md)."""
    card = machine_with("NVIDIA A100-SXM4-80GB", 80)
    likely = {}
    for method in ("lora", "qlora"):
        for tokens in (256, 4096):
            asked = {"task": "finetune", "finetune_method": method, "context_tokens": tokens}
            speed = seen("qwen-7b-chat-2023", card, **asked).speed
            assert speed is not None
            assert speed.work is not None
            likely[method, tokens] = speed.work.likely
    assert 0.3 < likely["qlora", 256] / likely["lora", 256] < 0.65
    assert 0.7 < likely["qlora", 4096] / likely["lora", 4096] < 0.95


def test_a_stated_dataset_takes_its_tokens_by_the_pace() -> None:
    """Two million tokens at 628 a second (Qwen2.5 1.5B on an RTX 4060, arXiv:2509.12229) take 53 minutes: inside, on a GPU
    as on a CPU longer; without tokens nothing is told.
    """
    card = machine_with("NVIDIA GeForce RTX 4060", 8)
    asked = {"task": "finetune", "finetune_method": "lora", "context_tokens": 1024}
    of_card, of_cpu = (
        seen("qwen2.5-1.5b-instruct", machine, dataset_tokens=2_000_000, **asked).speed
        for machine in (card, machine_with())
    )
    assert of_card is not None
    assert of_cpu is not None
    assert of_card.dataset_seconds is not None
    assert of_cpu.dataset_seconds is not None
    assert of_card.dataset_seconds.low < 2_000_000 / 628 < of_card.dataset_seconds.high
    assert of_cpu.dataset_seconds.likely > of_card.dataset_seconds.likely
    untold = seen("qwen2.5-1.5b-instruct", card, **asked).speed
    assert untold is not None
    assert untold.dataset_seconds is None
    with pytest.raises(WorkloadError):
        Workload(dataset_tokens=2_000_000)


def test_documents_are_bound_by_arithmetic() -> None:
    """bge-large has 302 million weights in its layers: 512 tokens take 0.3 × 10^12 operations, and an RTX 4090 of 165 TFLOPS at most 530 of them a second."""
    verdict = seen("bge-large-en-v1.5", machine_with("NVIDIA GeForce RTX 4090"))
    assert verdict.speed is not None
    assert verdict.speed.work is not None
    assert verdict.speed.unit == "documents_per_second"
    assert 50 < verdict.speed.work.likely < verdict.speed.work.high < 530


@pytest.mark.parametrize(
    ("card", "memory_gb", "tokens_per_second"),
    # michaelfeil/infinity, docs/docs/benchmarking.md: bge-large, requests of 115,000 tokens in texts of 449
    [("NVIDIA L4", 24, 19_550), ("NVIDIA L4", 24, 62_100), ("AMD Instinct MI210", 64, 86_250)],
)
def test_documents_in_pytorch_go_as_fast_as_published(
    card: str, memory_gb: int, tokens_per_second: int
) -> None:
    verdict = seen(
        "bge-large-en-v1.5",
        machine_with(card, memory_gb),
        runtime="sentence-transformers",
        quantization="float16",
    )
    assert holds(verdict, tokens_per_second / 512, 8)


def test_a_card_reads_documents_at_its_own_share_of_its_peak() -> None:
    """llama.cpp reads prompts at 0.12 of an H100's peak and 0.69 to 1.0 of an RTX 4090's (specs/common/gpus.toml): not five times as many."""
    large, desktop = (
        seen("qwen3-embedding-0.6b", machine_with(card, 24)).speed
        for card in ("NVIDIA H100 PCIe", "NVIDIA GeForce RTX 4090")
    )
    assert large is not None
    assert large.work is not None
    assert desktop is not None
    assert desktop.work is not None
    assert large.work.likely < 2 * desktop.work.likely


@pytest.mark.parametrize(
    ("model", "card", "asked", "words"),
    [
        ("llama-3.1-8b-instruct", "AMD Radeon RX 7900 XTX", {"task": "finetune"}, "a guess"),
        ("llama-3.1-8b-instruct", "NVIDIA GeForce RTX 4090", {"task": "finetune"}, "2 GPUs"),
        ("whisper-large-v3", "NVIDIA GeForce RTX 4090", {}, "one GPU"),
        ("sdxl-base-1.0", "Intel Arc B580 Graphics", {}, "a guess"),
        ("bge-m3", "NVIDIA GeForce RTX 4090", {}, "14 GPUs"),
    ],
)
def test_a_pace_on_a_gpu_says_how_many_such_gpus_it_rests_on(
    model: str, card: str, asked: dict[str, Any], words: str
) -> None:
    """The counts stand beside each class in specs/common/gpus.toml; a class that nobody timed is a guess."""
    speed = seen(model, machine_with(card, 24), **asked).speed
    assert speed is not None
    assert "of its peak" in speed.how
    assert words in speed.how


def test_documents_in_32_bits_take_longer_on_a_gpu_than_in_16() -> None:
    """BGE M3 and its reranker have the same layers; an RTX 3090 has 71 TFLOPS in 16 bits, 36 in 32."""
    card = machine_with("NVIDIA GeForce RTX 3090", 24)
    half = seen("bge-m3", card, quantization="F16")
    single = seen("bge-reranker-v2-m3", card, quantization="float32")
    assert half.speed is not None
    assert single.speed is not None
    assert half.speed.work is not None
    assert single.speed.work is not None
    assert 2 < half.speed.work.likely / single.speed.work.likely < 4


@pytest.mark.parametrize(
    ("model", "asked", "outcome"),
    [
        ("whisper-tiny", {}, Outcome.PASS),
        # the encoder alone: 5.2 × 10^12 operations a minute on two cores of an old board
        ("whisper-large-v3", {}, Outcome.WARN),
        ("qwen2.5-1.5b-instruct", {"task": "finetune"}, Outcome.WARN),
    ],
)
def test_work_that_takes_hours_is_no_plain_yes(
    model: str, asked: dict[str, str], outcome: Outcome
) -> None:
    board = machine_with(
        cpu_model="Celeron N3450", cpu_cores_physical=2, cpu_cores_usable=2.0,
        instruction_sets=("avx2", "fma", "f16c"),
    )  # fmt: skip
    finding = seen(model, board, **asked).finding("speed")
    assert finding is not None
    assert finding.outcome is outcome


def test_what_nothing_tells_is_said_and_decides_nothing() -> None:
    """A card of which neither name nor memory bandwidth is known."""
    verdict = seen("whisper-tiny", machine_with("Moore Threads MTT S80", 16))
    assert verdict.speed is not None
    assert verdict.speed.work is None
    finding = verdict.finding("speed")
    assert finding is not None
    assert finding.code == "speed-not-known"
    assert not finding.leaves_open


def test_a_geforce_draws_as_fast_as_comfyui_users_report() -> None:
    """FLUX.1 [dev], 20 steps of 74.6 x 10^12 operations, on an RTX 4080 in 22 seconds (Comfy-Org/ComfyUI#4545); a workstation's card sums at its full rate."""
    shares = gpus.share_of("picture", "NVIDIA GeForce RTX 4080")
    peak = gpus.peak_flops("NVIDIA GeForce RTX 4080", "8.9")
    assert peak is not None
    assert shares[0] < 20 * 74.6e12 / 22 / peak < shares[2]
    other = gpus.share_of("picture", "NVIDIA RTX A6000")
    assert other[1] < shares[1]


# what a step takes in stable-diffusion.cpp, and its operations: weights that work on a token, and
# attention. Z-Image: 5.7 x 10^9 weights, Qwen-Image 6.8, 60 layers 3,072 wide, FLUX.1 6.45, 57
# layers; 64 tokens of text, of FLUX.1 256
_Z_IMAGE_512 = 2 * 5.7e9 * 1088 + 4 * 1088**2 * 3840 * 30
_FLUX_512 = 2 * 6.45e9 * 1280 + 4 * 1280**2 * 3072 * 57


@pytest.mark.parametrize(
    ("card", "operations", "seconds"),
    [
        # leejet/stable-diffusion.cpp#1228, CUDA, bfloat16 and Q8_0 (two passes)
        ("NVIDIA GeForce RTX 4090", _Z_IMAGE_512, 1 / 5.97),
        ("NVIDIA GeForce RTX 4090", 2 * (2 * 6.8e9 * 1088 + 4 * 1088**2 * 3072 * 60), 1 / 2.27),
        # #386 and #474, CUDA, Q4_K and Q3_K, 512 and 768 pixels
        ("NVIDIA GeForce RTX 2070 Laptop GPU", _FLUX_512, 1.54),
        ("NVIDIA GeForce RTX 2070 Laptop GPU", _FLUX_512, 1.69),
        (
            "NVIDIA GeForce RTX 2070 Laptop GPU",
            2 * 6.45e9 * 2560 + 4 * 2560**2 * 3072 * 57,
            3.29,
        ),
        # #1145, Q3_K: the size is not stated, 512 pixels are the program's own
        ("NVIDIA RTX 1000 Ada Generation Laptop GPU", _Z_IMAGE_512, 2),
        ("Apple M1", _Z_IMAGE_512, 20),
        # #291, Vulkan, Q2_K; #880, Vulkan, SDXL at 1,024 x 1,536
        ("AMD Radeon RX 5700 XT", _FLUX_512, 6),
        ("AMD Radeon RX 7600 XT", 10.5e12, 3.75),
        ("AMD Radeon RX 9070 XT", 10.5e12, 1 / 1.2),
        ("Intel Arc B580 Graphics", 10.5e12, 5.75),
    ],
)
def test_a_step_of_gguf_takes_what_users_of_stable_diffusion_cpp_report(
    card: str, operations: float, seconds: float
) -> None:
    peak = gpus.peak_flops(card, gpus.capability_by_name(card))
    assert peak is not None
    low, likely, high = gpus.share_of("picture_ggml", card)
    reached = operations / seconds / peak
    assert low < reached < high
    # no run is twice as fast or slow as the likely figure
    assert likely / 2 < reached < likely * 2


def test_a_clip_is_that_of_the_printed_command() -> None:
    """stable-diffusion.cpp makes 33 frames in 20 steps where Diffusers makes 81 in 50: 3.3 times fewer operations a step."""
    card = machine_with("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 96)
    clips = {
        runtime: seen("wan2.1-t2v-14b", card, runtime=runtime).speed
        for runtime in ("diffusers", "stable-diffusion.cpp")
    }
    for speed in clips.values():
        assert speed is not None
        assert speed.work is not None
    short = clips["stable-diffusion.cpp"]
    assert short is not None
    assert "20 steps, 33 frames" in short.how
    assert "20,5" in short.how  # x 10^12: 20 x 2 x 505, and the decoder


@pytest.mark.parametrize(
    ("model", "card", "memory_gb", "steps", "seconds"),
    # fal-ai/stable-diffusion-benchmarks and the documentation of Diffusers (accelerate inference),
    # in no share of the table
    [
        ("sdxl-base-1.0", "NVIDIA A100-SXM4-80GB", 80, 50, 5.93),
        ("sdxl-base-1.0", "NVIDIA A100-SXM4-80GB", 80, 30, 3.31),
        ("stable-diffusion-1.5", "NVIDIA A100-SXM4-80GB", 80, 50, 1.59),
    ],
)
def test_a_picture_takes_as_long_as_diffusers_was_timed(
    model: str, card: str, memory_gb: int, steps: int, seconds: float
) -> None:
    speed = seen(model, machine_with(card, memory_gb), runtime="diffusers").speed
    denoising = open_catalogue().spec(model).denoising
    assert speed is not None
    assert speed.work is not None
    assert denoising is not None
    of_all = denoising.steps / steps * seconds
    assert speed.work.low <= of_all <= speed.work.high
    assert speed.work.likely == pytest.approx(of_all, rel=0.25)
    assert speed.work.high < 4 * speed.work.low


def test_a_decoder_in_32_bits_takes_longer_where_matrix_units_have_16() -> None:
    """SDXL on a T4: LCM's four steps in 8.4 seconds, of which 25 steps with guidance in 26.5 leave 6.8 to the decoder and the prompt; on an RTX 3090 0.9 (huggingface/blog, lcm_lora.md)."""
    fixed = {}
    for card, capability in (("Tesla T4", "7.5"), ("NVIDIA GeForce RTX 3090", "8.6")):
        machine, denoising = (
            machine_with(card, 24),
            open_catalogue().spec("sdxl-base-1.0").denoising,
        )
        peak = gpus.peak_flops(card, capability)
        assert peak is not None
        assert denoising is not None
        power = Power(peak=(peak,) * 3, device=(machine.accelerators or ())[0], how=card)
        in_32, in_16 = (
            seconds_of_picture(
                machine,
                power,
                denoising.replace(steps=4, passes=1, decodes_in_32_bits=wide),
                "float16",
                None,
            )
            for wide in (True, False)
        )
        fixed[card] = in_32[1] - in_16[1]
        if card == "Tesla T4":
            assert in_32[2] <= 8.4 <= in_32[0]
    assert fixed["Tesla T4"] > 2
    assert fixed["NVIDIA GeForce RTX 3090"] == 0


@pytest.mark.parametrize("model", ["flux.1-dev", "sdxl-base-1.0", "stable-diffusion-1.5"])
@pytest.mark.parametrize(
    ("card", "tflops"),
    # NVIDIA's whitepapers of Ada, Ampere and Blackwell: FP16 with sums in FP32, dense
    [
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA GeForce RTX 3090", 71),
        ("NVIDIA GeForce RTX 5090", 209.5),
    ],
)
def test_no_picture_is_faster_than_the_peak_allows(model: str, card: str, tflops: float) -> None:
    """Neither Diffusers nor its quantizations multiply in 8-bit floats."""
    verdict = seen(model, machine_with(card, 32), runtime="diffusers")
    assert verdict.speed is not None
    assert verdict.speed.work is not None
    denoising = open_catalogue().spec(model).denoising
    assert denoising is not None
    least_seconds = picture_operations(denoising) / (tflops * 1e12)
    assert verdict.speed.work.low > least_seconds


def test_every_picture_of_known_parts_has_a_pace() -> None:
    """Who asks for a picture waits minutes or days: a spec that states its denoiser states its steps."""
    specs = [open_catalogue().spec(id) for id in open_catalogue().ids()]
    silent = {
        spec.id
        for spec in specs
        if spec.modality == "image" and spec.components and spec.denoising is None
    }
    assert silent == set()


@pytest.mark.parametrize(
    ("model", "least_parameters"),
    # what works on each token of a picture of 64 x 64 of them, of the published shapes (by hand):
    # Qwen-Image 60 layers of 12 x 3,072^2; Z-Image 34 of 4 x 3,840^2 and 3 x 3,840 x 10,240;
    # FLUX.2 8 of 13 and 48 of 13 x 6,144^2
    [
        ("qwen-image", 60 * 12 * 3072**2),
        ("z-image-turbo", 32 * (4 * 3840**2 + 3 * 3840 * 10240)),
        ("flux.2-dev", 56 * 13 * 6144**2),
    ],
)
def test_a_step_takes_two_operations_a_weight_and_token_at_least(
    model: str, least_parameters: int
) -> None:
    """Attention and the tokens of the text come on top, and are less than as much again."""
    denoising = open_catalogue().spec(model).denoising
    assert denoising is not None
    least = 2 * least_parameters * 4096
    assert least < denoising.step_operations < 2 * least


def test_a_heavier_picture_takes_longer_on_a_processor() -> None:
    """Qwen-Image takes as much a step as FLUX.1 [dev], nearly twice the steps, and two passes each."""
    lighter, heavier = (seen(model, machine_with()) for model in ("flux.1-dev", "qwen-image"))
    finding = heavier.finding("speed")
    assert finding is not None
    assert finding.code == "speed-hours"
    assert lighter.speed is not None
    assert lighter.speed.work is not None
    assert heavier.speed is not None
    assert heavier.speed.work is not None
    assert heavier.speed.work.likely > 2 * lighter.speed.work.likely


def test_the_command_takes_the_steps_that_the_time_stands_for() -> None:
    """sd-cli takes 20 steps where none are named, those of high noise beside them, and two passes with guidance."""
    runtime = open_catalogue().runtime("stable-diffusion.cpp")
    for parts in runtime.parts:
        spec = open_catalogue().spec(parts.model)
        denoising = denoising_of(spec, runtime)
        assert denoising is not None
        options = dict(re.findall(r"(--?[\w-]+) ([^-]\S*)", parts.options))
        steps = int(options.get("--steps", 20)) + int(options.get("--high-noise-steps", 0))
        assert denoising.steps == steps
        assert denoising.passes == (1 if float(options["--cfg-scale"]) == 1 else 2)
        if spec.modality == "video":
            assert denoising.frames == int(options["--video-frames"])
            assert (denoising.width, denoising.height) == (
                int(options["-W"]),
                int(options["-H"]),
            )


def test_orpheus_on_a_mac_names_the_program_that_runs_it_there() -> None:
    """Its publisher's page and orpheus-cpp 0.0.3 (both README.md) run it by llama.cpp without an NVIDIA GPU: that nothing loads it there is not said."""
    finding = check("orpheus-3b", machine="macbook-pro-m2-max-64gb").finding("runtime")
    assert finding is not None
    assert "pip install orpheus-cpp" in finding.reason
    assert "no build" not in finding.reason


@pytest.mark.parametrize(
    ("model", "card", "memory_gb", "seconds_per_minute"),
    [
        # canopyai/Orpheus-TTS#53: 32.77 seconds in 51.3
        ("orpheus-3b-0.1-ft", "NVIDIA A10G", 24, 94),
        # huggingface/speech-to-speech#189: 12 seconds in 51 milliseconds
        ("parakeet-tdt-0.6b-v2", "NVIDIA GeForce RTX 4090", 24, 0.26),
        # remsky/Kokoro-FastAPI: 35 to 100 times as fast as it is heard
        ("kokoro-82m", "NVIDIA GeForce RTX 4060 Ti", 16, 1),
        # vllm-project/vllm-omni#1896
        ("qwen3-tts-12hz-1.7b-customvoice", "NVIDIA A100-SXM4-40GB", 40, 84),
        # suno-ai/bark#525: 738 characters, about 49 seconds, in 80
        ("bark", "NVIDIA GeForce RTX 4060 Ti", 16, 98),
        # SesameAILabs/csm#44 and #78: 143 characters in 5.7 seconds, and "a couple of seconds" a second
        ("csm-1b", "NVIDIA GeForce RTX 4070 Ti", 12, 36),
        ("csm-1b", "NVIDIA GeForce RTX 3060", 12, 120),
        # nari-labs/dia#153: 7 seconds in 20
        ("dia-1.6b", "Tesla T4", 16, 171),
        # huggingface/parler-tts#86: 68 characters in 9 seconds, of a card that is not named
        ("parler-tts-mini-v1", "Tesla T4", 16, 120),
        # SWivid/F5-TTS#81: 0.63 of real time with the default of 32 steps
        ("f5-tts", "NVIDIA A100-SXM4-40GB", 40, 38),
        # pyannote/pyannote-audio#1452: 50 minutes in 3.5
        ("speaker-diarization-3.1", "NVIDIA A100-SXM4-40GB", 40, 4.2),
    ],
)
def test_sound_takes_what_others_published(
    model: str, card: str, memory_gb: int, seconds_per_minute: float
) -> None:
    verdict = check(model, machine=machine_with(card, memory_gb))
    assert verdict.speed is not None
    assert verdict.speed.work is not None
    assert verdict.speed.unit == "seconds_per_audio_minute"
    assert verdict.speed.work.low <= seconds_per_minute <= verdict.speed.work.high


def test_a_voice_of_tokens_is_as_fast_as_the_memory_of_the_card() -> None:
    """An A10G reads 600 GB/s, an RTX 4090 1,008."""
    slow, fast = (
        check("orpheus-3b-0.1-ft", machine=machine_with(card, 24)).speed
        for card in ("NVIDIA A10G", "NVIDIA GeForce RTX 4090")
    )
    assert slow is not None
    assert slow.work is not None
    assert fast is not None
    assert fast.work is not None
    assert slow.work.likely / fast.work.likely == pytest.approx(1008 / 600, rel=0.25)


@pytest.mark.parametrize(
    ("model", "machine", "seconds_per_minute"),
    [
        # parler-tts, a voice of its size, 6.94 of real time on 8 cores
        ("dia2-2b", machine_with(), 416),
        # coqui-ai/TTS#2863: that of Coqui takes 0.15 on an RTX 3090
        ("mms-tts-eng", machine_with("NVIDIA GeForce RTX 3090", 24), 9),
    ],
)
def test_what_nobody_timed_on_a_kind_of_machine_has_the_range_of_its_kind(
    model: str, machine: Machine, seconds_per_minute: float
) -> None:
    """A guess, and called one, that holds what others of the kind took."""
    speed = check(model, machine=machine).speed
    assert speed is not None
    assert speed.work is not None
    assert speed.how.startswith("a guess by class")
    assert speed.work.low <= seconds_per_minute <= speed.work.high


def test_a_voice_of_one_pass_takes_its_operations_on_cores() -> None:
    """VITS made 14.4 seconds of sound in 8.92 on one core of Zen 4 (tests/truth/compute.json)."""
    machine = machine_with().replace(
        cpu_model="AMD EPYC", cpu_cores_physical=1, cpu_cores_usable=1.0, scope="vm",
        instruction_sets=("avx2", "avx512_bf16", "avx512f"),
    )  # fmt: skip
    speed = check("mms-tts-eng", machine=machine).speed
    assert speed is not None
    assert speed.work is not None
    assert speed.work.low <= 8.92 * 60 / 14.4 <= speed.work.high
    assert speed.work.high / speed.work.low < 5


@pytest.mark.parametrize(
    ("model", "machine", "cores", "seconds_per_minute"),
    [
        # k2-fsa/sherpa, rtf.rst: 2.774, 6.629 and 0.357 of real time
        ("kokoro-82m", "raspberry pi 4 8gb", 4, 166),
        ("kokoro-82m", "raspberry pi 4 8gb", 1, 398),
        ("piper-en-us-lessac-medium", "raspberry pi 4 8gb", 4, 21.4),
        # ktomanek/edge_tts_comparison: 0.7 of real time
        ("kokoro-82m", "raspberry pi 5 8gb", 4, 42),
        # bittide.aicompass.dev, 2026
        ("kokoro-82m", "AMD EPYC 7763 16GB", 4, 28),
    ],
)
def test_a_voice_takes_what_it_took_on_that_processor(
    model: str, machine: str, cores: int, seconds_per_minute: float
) -> None:
    """A board of 2019 takes six times as long as a server: they have no figure in common."""
    named = machine_named(machine)
    asked = named.replace(cpu_cores_physical=cores, cpu_cores_usable=float(cores))
    assert holds(seen(model, asked), seconds_per_minute, 8)


def test_a_voice_on_a_gpu_that_shares_the_ram_is_told_by_its_operations() -> None:
    """3.3 x 10^12 operations a minute (tests/truth/compute.json): at the peak of an M1, 2.6 TFLOPS, 1.3 seconds."""
    speed = check("kokoro-82m", machine="m1 8gb").speed
    assert speed is not None
    assert speed.work is not None
    assert speed.work.low > 3.3 / 2.6
    assert speed.work.high / speed.work.low < 8


def test_a_picture_written_by_tokens_takes_the_steps_of_a_decoder() -> None:
    """576 steps that read 12.4 GB (16 bits) each: an RTX 3090 reads 936 GB/s at most."""
    card = machine_with("NVIDIA GeForce RTX 3090", 24)
    speed = check("janus-pro-7b", machine=card).speed
    assert speed is not None
    assert speed.work is not None
    assert speed.work.low > 576 * 12.4 / 936
    assert speed.work.high / speed.work.low < 5


def test_a_picture_whose_steps_nobody_counted_is_a_guess_by_class() -> None:
    """It holds what SD 3.5 Large takes, of about as many parameters, whose steps are counted."""
    card = machine_with("NVIDIA GeForce RTX 4090", 24)
    guess, counted = seen("omnigen2", card).speed, seen("sd3.5-large", card).speed
    assert guess is not None
    assert counted is not None
    assert guess.work is not None
    assert counted.work is not None
    assert "a guess by class" in guess.how
    assert guess.work.low < counted.work.likely < guess.work.high
    assert guess.clip is None


@pytest.mark.parametrize(
    ("model", "seconds_per_minute"),
    [("parakeet-tdt-0.6b-v3", 2.83), ("parakeet-rnnt-1.1b", 3.92), ("parakeet-ctc-1.1b", 3.37)],
)
def test_a_recognizer_on_a_processor_takes_what_nemo_took(
    model: str, seconds_per_minute: float
) -> None:
    """mudler/parakeet.cpp, benchmarks/BENCHMARK.md: NeMo on 8 threads of a Ryzen 9 9950X3D."""
    ryzen = machine_with(
        cpu_model="AMD Ryzen 9 9950X3D", instruction_sets=("avx2", "fma", "f16c", "avx512f")
    )
    verdict = seen(model, ryzen)
    assert holds(verdict, seconds_per_minute, 8)


def test_a_step_that_python_launches_takes_as_long_on_a_faster_card() -> None:
    """MusicGen's 24 small layers, 50 times a second: what reads six times as fast waits for Python."""
    slow, fast = (
        check("musicgen-small", machine=machine_with(card, 24)).speed
        for card in ("NVIDIA GeForce RTX 4060 Ti", "NVIDIA GeForce RTX 5090")
    )
    assert slow is not None
    assert fast is not None
    assert slow.unit == "seconds_per_music_minute"
    assert slow.work == fast.work


def test_bark_on_a_mac_is_as_slow_as_published() -> None:
    """suno-ai/bark#357: 14.8 seconds in 219 with Metal on an M1 Pro."""
    speed = check("bark", machine="macbook-pro-m1-pro-16gb").speed
    assert speed is not None
    assert speed.work is not None
    assert speed.work.low <= 60 * 219 / 14.8 <= speed.work.high


@pytest.mark.parametrize(
    "model",
    [
        # by their steps
        "voxtral-mini-3b-2507",
        "bark",
        "csm-1b",
        "musicgen-medium",
        # nothing tells their pace there
        "yue-s1-7b-anneal-en-cot",
        "ace-step-v1-3.5b",
        "stable-audio-open-1.0",
    ],
)
def test_what_takes_hours_on_a_processor_is_no_plain_yes(model: str) -> None:
    """A model that takes longer than its sound on a CPU is said to run slowly, known or not."""
    finding = check(model, machine="desktop-ryzen-7700-32gb").finding("speed")
    assert finding is not None
    assert finding.outcome is Outcome.WARN


@pytest.mark.parametrize(
    "model", ["moonshine-tiny", "piper-en-us-lessac-medium", "canary-1b-flash"]
)
def test_what_is_made_for_processors_is_quick_on_one(model: str) -> None:
    """Each is published as faster than real time on a CPU."""
    speed = check(model, machine="desktop-ryzen-7700-32gb").speed
    assert speed is not None
    assert speed.work is not None
    assert speed.work.likely < 60


@pytest.mark.parametrize(
    ("model", "asked", "remedy"),
    [
        ("orpheus-3b-0.1-ft", {}, "use a machine with a GPU"),
        # the only program that is known for it
        ("orpheus-3b-0.1-ft", {"runtime": "orpheus-speech"}, "use a machine with a GPU"),
        ("llama-3.1-8b-instruct", {"runtime": "vllm"},
         "leave out --runtime to use one that runs on a CPU"),
    ],
)  # fmt: skip
def test_leaving_out_the_runtime_is_advised_where_it_helps(
    model: str, asked: dict[str, Any], remedy: str
) -> None:
    """What needs the GPU is the program: the model alone would run on a processor, slowly."""
    finding = check(model, Workload(**asked), machine=machine_with()).finding("accelerator")
    assert finding is not None
    assert finding.code == "accelerator-missing"
    assert "GPU" in finding.reason
    assert finding.remedy == remedy


# what others published of a whole GPU that makes a clip, in seconds a step with guidance: model,
# GPU, GB, seconds (see `video` in gpus.toml): 50 steps of 240 s; a step; 50 steps of 6.5 minutes; 50 of an
# hour and of half an hour
CLIPS = [
    ("wan2.1-t2v-1.3b", "NVIDIA GeForce RTX 4090", 24, 240 / 50),
    ("wan2.1-t2v-14b", "NVIDIA H100 80GB HBM3", 80, 390 / 50),
    ("hunyuanvideo", "NVIDIA A100-SXM4-80GB", 80, 3600 / 50),
    ("hunyuanvideo", "NVIDIA H100 80GB HBM3", 80, 1800 / 50),
]


@pytest.mark.parametrize(("model", "gpu", "gb", "seconds"), CLIPS)
def test_clips_on_a_gpu_take_what_others_published(
    model: str, gpu: str, gb: int, seconds: float
) -> None:
    """Inside a range of five times, of 50 steps with the clip's size told."""
    verdict = check(model, Workload(runtime="diffusers"), machine=machine_with(gpu, gb))
    speed = verdict.speed
    assert speed is not None
    assert speed.work is not None
    assert speed.unit == "seconds_per_video"
    assert speed.work.low <= 50 * seconds <= speed.work.high
    assert speed.work.high < 5 * speed.work.low
    assert "frames of" in speed.how


def test_a_clip_without_a_whole_gpu_is_a_guess() -> None:
    """Nobody has published one: the steps are counted, and a CPU takes hours to days. A model whose
    parts move to the GPU in turn takes no less than one that it holds.
    """
    slow = check("wan2.1-t2v-1.3b", machine=machine_with())
    assert slow.speed is not None
    assert slow.speed.work is not None
    assert slow.speed.work.low > 3600
    assert slow.speed.work.high > 4 * slow.speed.work.low
    asked = Workload(runtime="diffusers")
    whole, parts = (
        check("stable-video-diffusion-xt", asked, machine=machine_with("RTX 3060", gb)).speed
        for gb in (24, 12)
    )
    assert whole is not None
    assert whole.work is not None
    assert parts is not None
    assert parts.work is not None
    assert whole.work.likely < parts.work.likely < parts.work.high / 1.5


def test_a_headline_counts_in_days_what_takes_days() -> None:
    """A headline of hours above a figure of days contradicts it."""
    machine = machine_named("i5-6500 64gb")
    headlines = {}
    for model in ("wan2.2-t2v-a14b", "qwen-image", "sdxl", "sd3.5-large"):
        verdict = check(model, machine=machine)
        assert verdict.speed is not None
        assert verdict.speed.work is not None
        days = verdict.speed.work.likely / (24 * 3600)
        headlines[model] = answer_cell(verdict, here=False).text
        assert ("DAYS" in headlines[model]) == (days >= 1), model
    assert headlines["wan2.2-t2v-a14b"] == "✓ RUNS, TAKES DAYS"


@pytest.mark.parametrize(
    ("model", "card", "memory_gb", "seconds"),
    [
        # Stability AI's announcement: 207 ms with the prompt and the decoder, 67 of them the step
        ("sdxl-turbo", "NVIDIA A100-SXM4-80GB", 80, 0.207),
        # fal-ai/stable-diffusion-benchmarks, Diffusers with SDPA
        ("stable-diffusion-1.5", "NVIDIA A100-SXM4-80GB", 80, 1.591),
        ("sdxl-base-1.0", "NVIDIA A100-SXM4-80GB", 80, 5.933),
    ],
)
def test_a_picture_takes_what_others_published(
    model: str, card: str, memory_gb: int, seconds: float
) -> None:
    speed = check(model, machine=machine_with(card, memory_gb)).speed
    assert speed is not None
    assert speed.work is not None
    assert speed.work.low <= seconds <= speed.work.high
    assert speed.work.likely == pytest.approx(seconds, rel=0.1)


def test_what_a_picture_takes_beside_its_steps_is_computed_once() -> None:
    """SDXL on an A100 in one step takes more than a fiftieth of what it takes in fifty."""
    machine = machine_with("NVIDIA A100-SXM4-80GB", 80)
    turbo, base = (check(model, machine=machine).speed for model in ("sdxl-turbo", "sdxl-base-1.0"))
    assert turbo is not None
    assert turbo.work is not None
    assert base is not None
    assert base.work is not None
    assert turbo.work.likely > 1.5 * base.work.likely / 50


def test_ends_below_a_second_are_told_apart() -> None:
    assert work_ends(0.106, 0.58, "seconds_per_image") == "0.11 to 0.58 seconds"
    assert work_ends(0.02, 0.075, "seconds_per_image") == "0.02 to 0.075 seconds"
    assert work_ends(0.98, 1.02, "seconds_per_image") == "0.98 to 1.0 seconds"


def test_pictures_and_documents_of_unknown_shape_are_guessed_by_their_operations() -> None:
    """CLIP L/14 computes 18 times what B/32 does for a picture; a table of words has no such law."""
    machine = "desktop-ryzen-7700-32gb"
    small, large = (
        check(f"clip-vit-{size}", machine=machine).speed
        for size in ("base-patch32", "large-patch14")
    )
    assert small is not None
    assert small.work is not None
    assert large is not None
    assert large.work is not None
    assert (small.unit, large.unit) == ("pictures_per_second",) * 2
    assert small.work.likely / large.work.likely == pytest.approx(162 / 8.8, rel=0.01)
    text = check("jina-embeddings-v3", machine=machine).speed
    assert text is not None
    assert text.work is not None
    assert text.unit == "documents_per_second"
    assert text.work.high > 4 * text.work.low
    table = check("potion-base-8m", machine=machine).speed
    assert table is not None
    assert table.work is None


@pytest.mark.parametrize("model", ["florence-2-base", "glm-ocr", "trocr-base-handwritten"])
def test_a_reader_of_unknown_layers_has_a_guess_by_its_size(model: str) -> None:
    """Wide, and no faster than the card's memory gives the least that one token reads."""
    speed = check(model, machine=machine_with("NVIDIA GeForce RTX 4090", 24)).speed
    assert speed is not None
    assert speed.decode is not None
    assert speed.decode.high > 4 * speed.decode.low
    assert 10 < speed.decode.likely < 500


@pytest.mark.parametrize(
    "name", ["parakeet-tdt-0.6b-v2", "parakeet-tdt-0.6b-v3", "parakeet-tdt-1.1b", "parakeet-rnnt-1.1b", "parakeet-ctc-1.1b"]
)  # fmt: skip
def test_full_attention_holds_scores_of_every_pair_of_frames(name: str) -> None:
    """One of the tensors of an hour, 45,000 frames of 12.5 a second, 8 heads and 4 bytes, is 65 GB; those of 1.1 x 10^9
    parameters "ran" with 22.6 GiB, and five hours with 94.
    """
    needs = check(name, Workload(audio_seconds=3600), machine="ryzen 9 7950x 128gb").needs
    assert needs is not None
    assert needs.memory is not None
    assert needs.memory.high_bytes > 8 * 45_000**2 * 4
    short = check(name, Workload(audio_seconds=30), machine="ryzen 9 7950x 128gb").needs
    assert short is not None
    assert short.memory is not None
    assert short.memory.high_bytes < 8e9
