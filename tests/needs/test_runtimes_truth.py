"""What is computed for other runtimes than llama.cpp, against what they took or printed: the
sources are inside `truth/`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

import pytest

from helpers.cases import case_id
from helpers.needs_of import ends, needs_of
from helpers.paths import CONFIGS, TRUTH
from selfhost import Workload, needs
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec, Parameters, Quantized
from selfhost.judge.sharing import whole_on_one
from selfhost.modelfiles import read_local
from selfhost.needs.records import ACCELERATOR, Device, MemoryNeed, Term

GIB = 1 << 30
WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}


@cache
def truth(name: str) -> Any:
    """A file of `truth/`."""
    return json.loads((TRUTH / f"{name}.json").read_text(encoding="utf-8"))


class Answer(NamedTuple):
    """What the user is told; `terms` by their names."""

    memory: MemoryNeed
    terms: dict[str, Term]


def answer(
    spec: ModelSpec, program: str, device: Device | None = None, **workload: Any
) -> Answer:
    """What is told of a model in a program: all of it in RAM, or what such a device holds."""
    runtime = Catalogue.open().runtime(program)
    case = needs.case_for(spec, runtime, Workload(runtime=program, **workload))
    found = needs.count(case)
    if device is None:
        memory = found.memory
        assert memory is not None
    else:
        placed = needs.needs_on(found, case, device).memory
        assert placed is not None
        held = [term for term in placed.terms if term.where == ACCELERATOR]
        memory = MemoryNeed(terms=tuple(held))
    return Answer(memory, {term.name: term for term in memory.terms})


def cases(file: str, group: str) -> list[Any]:
    """A case for each row of a group of a file of truth."""
    params = []
    for run in truth(file)[group]:
        name = str(run.get("name") or run.get("model") or run["size"])
        params.append(pytest.param(run, id=name.replace(" ", "-")))
    return params


def cases_with(file: str, group: str, key: str) -> list[Any]:
    """The cases in which the key was measured."""
    return [case for case in cases(file, group) if key in case.values[0]]


class Stage(TypedDict):
    """A stage of a run; the most memory that the process had taken at its end."""

    peak_bytes: int


# ------------------------------------------------------------------ diffusers


class PipelineRun(TypedDict):
    """A pipeline that made images on a CPU."""

    model: str
    dtype: str
    pixels: int
    images: int
    weights_bytes: dict[str, int]
    encode_allocated_peak_bytes: int
    denoise_allocated_peak_bytes: int
    decode_allocated_peak_bytes: int
    stages: dict[str, Stage]


def pipeline(run: PipelineRun) -> Answer:
    """The measured pipeline as a spec; the layers that were left out are left out here too."""
    stored = truth("diffusers")["models"][run["model"]]["saved"]
    width = WIDTH[run["dtype"]]
    parts = {name: size // width for name, size in run["weights_bytes"].items()}
    total = sum(parts.values())
    spec = ModelSpec(
        id="measured",
        name="measured",
        modality="image",
        components=parts,
        components_dtype="float32" if WIDTH[stored] == 4 else "bfloat16",
        native_pixels=run["pixels"],
        parameters=Parameters(total=total, active=total),
    )
    return answer(spec, "diffusers", quantization=run["dtype"], parallel=run["images"])


@pytest.mark.parametrize("run", cases("diffusers", "runs"))
def test_the_decoder_of_images_holds_most(run: PipelineRun) -> None:
    """Its arrays are within 1 % of what PyTorch's allocator saw; denoiser and text encoders hold
    less, guidance included.
    """
    term = pipeline(run).terms["activations"]
    decoder_bytes = run["decode_allocated_peak_bytes"]
    assert term.bytes == pytest.approx(decoder_bytes, rel=0.01)
    assert term.low_bytes <= decoder_bytes <= term.high_bytes
    assert run["denoise_allocated_peak_bytes"] < decoder_bytes
    assert run["encode_allocated_peak_bytes"] < decoder_bytes


def shortened_tables(run: PipelineRun) -> int:
    """Bytes of the token tables of text encoders that were cut short; the catalogue's encoders are
    known by their size.
    """
    elements = 0
    for name, part in truth("diffusers")["models"][run["model"]].items():
        if not name.startswith("text_encoder") or part.get("num_hidden_layers") == 12:
            continue
        if "d_model" in part:
            elements += part["vocab_size"] * part["d_model"]
        else:
            elements += 49_408 * part["hidden_size"]
    return elements * WIDTH[run["dtype"]]


@pytest.mark.parametrize("run", cases("diffusers", "runs"))
def test_a_pipeline_takes_what_was_measured(run: PipelineRun) -> None:
    """The peak of the process is between the ends, and within 5 % of the estimate."""
    memory = pipeline(run).memory
    later = set(run["stages"]) - {"loaded", "encoded"}
    peak = max(run["stages"][stage]["peak_bytes"] for stage in later)
    unread = shortened_tables(run)
    assert memory.low_bytes - unread <= peak <= memory.high_bytes
    assert memory.total_bytes - unread == pytest.approx(peak, rel=0.05)


# ------------------------------------------------------------------ Whisper


class WhisperCppRun(TypedDict):
    """What whisper.cpp prints of its buffers at its start, by their names; `device` is a GPU.

    `shape`: the width first, the heads in the fourth place, the vocabulary in the sixth.
    """

    size: str
    shape: list[int]
    buffers: dict[str, int]
    flash_attention: NotRequired[bool]
    device: NotRequired[str]


class WhisperCliRun(TypedDict):
    """A run of whisper-cli, and the most memory that it took."""

    name: str
    size: str
    audio_seconds: int
    beams: int
    prompt_tokens: int
    peak_bytes: int


class WhisperReadme(TypedDict):
    """What the README of whisper.cpp states of a size."""

    size: str
    memory_bytes: int


class FasterWhisperRun(TypedDict):
    """A run of faster-whisper on a CPU."""

    size: str
    compute: str
    stages: dict[str, Stage]
    audio_seconds: NotRequired[int]


class FasterWhisperGpuRun(TypedDict):
    """A run of faster-whisper on a GPU."""

    size: str
    quantization: str
    batch: int
    audio_seconds: int
    gpu_bytes: int
    ram_bytes: NotRequired[int]


def speech(
    size: str, audio_seconds: int | None = None, device: Device | None = None
) -> Answer:
    """Whisper of that size from the catalogue, in the type that whisper.cpp's own files have."""
    if size == "large":
        size = "large-v3"
    return answer(
        Catalogue.open().spec(f"whisper-{size}"),
        "whisper.cpp",
        device,
        quantization="F16",
        audio_seconds=audio_seconds,
    )


@pytest.mark.parametrize(
    "run", [*cases("whisper", "whisper.cpp"), *cases("whisper", "published")]
)
def test_buffers_of_whisper_cpp_are_those_it_prints(run: WhisperCppRun) -> None:
    """Caches, and the four graphs with flash attention: within 0.5 % of what the program prints at
    its start, before it makes six caches of text more for 5 beams. It prints room for logits of 448
    tokens; told is what 227 touch, with as many copied. On a GPU inputs are there twice.
    """
    terms = speech(run["size"]).terms
    width = run["shape"][0]
    heads = run["shape"][3]
    vocabulary = run["shape"][5]
    beside = (
        1500 * 4 * width * 2
        + 5 * vocabulary * 28
        - (448 - 227) * 2 * width * 4
        + (2 * 227 - 448) * vocabulary * 4
    )
    reserved = terms["compute"].bytes - beside
    printed = run["buffers"]
    if "kv self size" in printed:
        caches = sum(size for name, size in printed.items() if name.startswith("kv"))
        with_beams = caches + 6 * printed["kv self size"]
        assert terms["kv_cache"].bytes == pytest.approx(with_beams, rel=0.005)
    graphs = {
        name: size for name, size in printed.items() if name.startswith("compute")
    }
    graph_bytes = sum(graphs.values())
    if run.get("flash_attention"):
        assert reserved == pytest.approx(graph_bytes, rel=0.005)
    if run.get("flash_attention") is False:
        # without it scores of all heads are stored, and the encoder holds four rows beside them
        # instead of seven
        more = heads * 1500 * 1500 * 4 - 3 * 1500 * width * 4
        assert reserved + more == pytest.approx(graph_bytes, rel=0.005)
    if "device" in run:
        on_gpu = speech(run["size"], device=Device()).terms["compute"]
        others = sum(size for name, size in graphs.items() if "encode" not in name)
        encoder = 7 * 1500 * width * 4 + 1_590_000
        expected = others + encoder + beside
        assert on_gpu.low_bytes <= expected <= on_gpu.high_bytes


CLI: list[WhisperCliRun] = truth("whisper")["whisper-cli"]
# elements of a token's vector, by the size of the model
CLI_WIDTH = {
    "tiny": 384,
    "base": 512,
    "small": 768,
    "medium": 1024,
    "large-v3-turbo": 1280,
}


@pytest.mark.parametrize(
    "run", [pytest.param(run, id=run["name"]) for run in CLI if run["beams"] == 5]
)
def test_whisper_cli_takes_what_was_measured(run: WhisperCliRun) -> None:
    """As people start it, with 5 beams: between the ends for audio of that length, and within 2.5 %
    of the estimate. Where a short recording was heard after text, what that takes is told as well,
    for 222 tokens more than the beams.
    """
    vocabulary = 51866 if "large" in run["size"] else 51865
    text_bytes = 222 * 2 * (vocabulary + CLI_WIDTH[run["size"]]) * 4
    arithmetic = speech(run["size"]).terms["compute"].arithmetic
    assert f"takes {text_bytes:,} bytes less" in arithmetic

    memory = speech(run["size"], run["audio_seconds"]).memory
    told_beside = 0
    if run["prompt_tokens"] and run["audio_seconds"] <= 30:
        told_beside = text_bytes
    assert memory.low_bytes + told_beside <= run["peak_bytes"]
    assert run["peak_bytes"] <= memory.high_bytes + told_beside
    likely = memory.total_bytes + told_beside
    assert likely == pytest.approx(run["peak_bytes"], rel=0.025)


@pytest.mark.parametrize("run", cases("whisper", "readme"))
def test_whisper_cpp_takes_what_its_readme_says(run: WhisperReadme) -> None:
    """The memory its authors state is between the ends, and within 5 % of the estimate: 1.5 GiB on
    disk and 2.1 GB in memory are of one unit, and in decimal units the caches of 5 beams would not
    be in them.
    """
    memory = speech(run["size"]).memory
    assert memory.low_bytes <= run["memory_bytes"] <= memory.high_bytes
    assert memory.total_bytes == pytest.approx(run["memory_bytes"], rel=0.05)


def heard(run: FasterWhisperRun) -> Answer:
    """Whisper of that size in faster-whisper, for audio of unknown length."""
    spec = Catalogue.open().spec(f"whisper-{run['size']}")
    return answer(spec, "faster-whisper", quantization=run["compute"])


@pytest.mark.parametrize(
    "run",
    [run for run in truth("whisper")["faster-whisper"] if "audio_seconds" in run],
    ids=case_id,
)
def test_faster_whisper_takes_what_was_measured(run: FasterWhisperRun) -> None:
    """Ten minutes of audio with as much text as it writes, on one to four threads: the peak is
    between the ends, which are at most 14 % from their middle, and within 8 % of the estimate.
    """
    memory = heard(run).memory
    peak = max(stage["peak_bytes"] for stage in run["stages"].values())
    assert memory.low_bytes <= peak <= memory.high_bytes
    assert memory.total_bytes == pytest.approx(peak, rel=0.08)
    spread = memory.high_bytes - memory.low_bytes
    assert spread / (memory.high_bytes + memory.low_bytes) <= 0.14


@pytest.mark.parametrize("seen", cases("whisper", "faster-whisper on a GPU"))
def test_faster_whisper_takes_the_gpu_memory_that_others_saw(
    seen: FasterWhisperGpuRun,
) -> None:
    """In fp16 and int8, alone and in a batch: weights, caches and buffers are between the ends;
    what stays in RAM too.
    """
    id = seen["size"] if "distil" in seen["size"] else f"whisper-{seen['size']}"
    asked = Workload(quantization=seen["quantization"], parallel=seen["batch"])
    shelf = Catalogue.open()
    case = needs.case_for(shelf.spec(id), shelf.runtime("faster-whisper"), asked)
    counted = needs.needs_on(needs.count(case), case, Device())
    placed = whole_on_one(counted, "accelerator:0").memory
    assert placed is not None
    on_gpu = [term for term in placed.terms if term.where != "host"]
    in_ram = [term for term in placed.terms if term.where == "host"]
    low, likely, high = ends(on_gpu)
    assert low <= seen["gpu_bytes"] <= high
    assert likely == pytest.approx(seen["gpu_bytes"], rel=0.08)
    if "ram_bytes" in seen:
        # of the audio beyond ten minutes, as the arithmetic says
        more = 936_000 * (seen["audio_seconds"] - 600)
        low, _, high = ends(in_ram)
        assert low <= seen["ram_bytes"] <= high + more
    buffers = [term for term in placed.terms if term.name == "compute"]
    assert {buffer.how for buffer in buffers} == {"stated"}


# ------------------------------------------------------------------ MLX and vLLM


class MlxPeak(TypedDict):
    """A peak that somebody saw on a Mac."""

    model: str
    quantization: str
    prompt_tokens: int
    new_tokens: int
    peak_gb: float


class MlxCache(TypedDict):
    """What MLX LM's own classes keep of a model; `kinds` are the classes of its caches."""

    model: str
    prompt_tokens: int
    new_tokens: int
    kinds: list[str]
    cache_bytes: int
    state_bytes: int
    four_bit_bytes: int


def on_a_mac(seen: MlxPeak) -> tuple[int, int, int]:
    """Least, likely and most of what MLX itself counts: all but the program."""
    told = answer(
        Catalogue.open().spec(seen["model"]),
        "mlx",
        quantization=seen["quantization"],
        context_tokens=seen["prompt_tokens"] + seen["new_tokens"],
    )
    return ends(term for term in told.memory.terms if term.name != "runtime")


MLX_SEEN: list[MlxPeak] = truth("mlx")["published"]


def test_mlx_takes_what_others_saw_on_a_mac() -> None:
    """95 of 100 peaks that mlx_lm.benchmark and others printed are between the ends, all within 8 %
    of the estimate.
    """
    assert len(MLX_SEEN) >= 40
    inside = 0
    for seen in MLX_SEEN:
        low, likely, high = on_a_mac(seen)
        peak_bytes = seen["peak_gb"] * 1e9
        assert likely == pytest.approx(peak_bytes, rel=0.08), seen
        if low <= peak_bytes <= high:
            inside += 1
    assert inside >= 0.95 * len(MLX_SEEN)


@pytest.mark.parametrize(
    "run",
    # whose config.json is not read: layers in ways of their own
    [
        run
        for run in cases("mlx", "caches")
        if not re.search("MiniCPM3|MiMo-V2|recurrent_gemma", str(run))
    ],
)
def test_mlx_keeps_what_its_classes_keep(run: MlxCache, tmp_path: Path) -> None:
    """To the byte: windows where make_cache rotates, the latent row or every head's keys and
    values, the keys of an indexer, and states.

    Their weights in 4 bits are within the range, in which routers may have 8, and Granite's
    projections since September 2026. Of 32-bit weights scales are in 32 bits as well.
    """
    values = truth("mlx")["models"].get(run["model"])
    if values is None:
        published = CONFIGS / f"{run['model']}.json"
        values = json.loads(published.read_text(encoding="utf-8"))
    is_in_32_bits = values.get("torch_dtype") == "float32"
    plain = {"torch_dtype": "bfloat16", **values}
    plain.pop("quantization_config", None)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(plain), encoding="utf-8")
    spec = read_local(file).spec
    tokens = run["prompt_tokens"] + run["new_tokens"]
    terms = answer(spec, "mlx", quantization="4bit", context_tokens=tokens).terms

    weights = terms["weights"]
    assert weights.low_bytes <= run["four_bit_bytes"] <= weights.high_bytes
    if is_in_32_bits:
        assert weights.bytes == run["four_bit_bytes"]
    cache = terms.get("kv_cache")
    state = terms.get("recurrent_state")
    assert (cache.bytes if cache else 0) == run["cache_bytes"]
    assert (state.bytes if state else 0) == run["state_bytes"]
    if is_in_32_bits and cache:
        # files made in 16 bits are as near as those in 32: keys of a small Gemma 2 were of the type
        # that its scales had (mlx_lm 0.32.2)
        assert cache.low_bytes * 2 == cache.bytes
        quantized = Quantized(format="mlx", quantization="4bit")
        own = read_local(file).spec.replace(quantized=quantized)
        own_cache = answer(own, "mlx", quantization="4bit").terms["kv_cache"]
        assert own_cache.low_bytes == own_cache.bytes
    if not {"RotatingKVCache", "ChunkedKVCache"} & set(run["kinds"]):
        # a window alone takes more while a prompt is read
        for kept in (cache, state):
            assert kept is None or kept.high_bytes == kept.bytes


class VllmLog(TypedDict):
    """What vLLM printed at its start; GiB are 2**30 bytes of each device."""

    model: str
    devices: int
    quantization: NotRequired[str]
    version: NotRequired[str]
    weights_gib: NotRequired[float]
    activation_gib: NotRequired[float]
    beside_torch_gib: NotRequired[float]
    graphs_gib: NotRequired[float]
    cache_gib: NotRequired[float]
    cache_tokens: NotRequired[int]
    cache_layers: NotRequired[int]


def of_a_log(log: VllmLog) -> dict[str, Term]:
    """What each device holds in vLLM by our count, of the logged model on the logged devices:
    H100s, where a size of them is logged.
    """
    return answer(
        Catalogue.open().spec(log["model"]),
        "vllm",
        Device(devices=log["devices"], is_large=True),
        quantization=log.get("quantization"),
        context_tokens=4096,
    ).terms


@pytest.mark.parametrize("log", cases_with("vllm", "logs", "weights_gib"), ids=case_id)
def test_vllm_loads_the_weights_that_it_logs(log: VllmLog) -> None:
    """Within 1 %; of experts in MXFP4, which kernels of some devices pad, 2.5 %; of gpt-oss and
    others in releases of 2025, 1.5 %.
    """
    error = 0.015
    if log.get("version") == "0.19.0":
        error = 0.01
    if log["model"].startswith("gpt-oss"):
        error = 0.025
    logged_bytes = log["weights_gib"] * GIB
    assert of_a_log(log)["weights"].bytes == pytest.approx(logged_bytes, rel=error)


@pytest.mark.parametrize("log", cases_with("vllm", "logs", "cache_tokens"), ids=case_id)
def test_vllm_caches_as_many_tokens_as_it_logs(log: VllmLog) -> None:
    """Memory for the cache divided by its tokens is what one token takes, windows apart, within 2
    %.
    """
    made = Catalogue.open().spec(log["model"]).architecture
    assert made is not None
    layers = log.get("cache_layers", made.layers)
    token_bytes = of_a_log(log)["kv_cache"].high_bytes / 4096 * layers / made.layers
    logged_bytes = log["cache_gib"] * GIB / log["cache_tokens"]
    assert logged_bytes == pytest.approx(token_bytes, rel=0.02)


# the releases whose way to take a share of a device is that of today
VLLM_LOGS: list[VllmLog] = [
    log for log in truth("vllm")["logs"] if log.get("version") == "0.19.0"
]


def test_ranges_of_vllm_hold_what_its_logs_print() -> None:
    """95 of 100 logged parts are between the ends: weights, one pass with its sampling, and graphs
    with what is not PyTorch's.
    """
    assert len(VLLM_LOGS) >= 30
    inside = 0
    for log in VLLM_LOGS:
        terms = of_a_log(log)
        printed = {
            "weights": log["weights_gib"],
            "activations": log["activation_gib"],
            "runtime": log["beside_torch_gib"] + log["graphs_gib"],
        }
        for name, gib in printed.items():
            # printed with two digits after the point: half of the last is not known
            most = (gib + 0.005) * GIB
            least = (gib - 0.005) * GIB
            if terms[name].low_bytes <= most and least <= terms[name].high_bytes:
                inside += 1
    assert inside >= 0.95 * 3 * len(VLLM_LOGS)


class SglangLog(TypedDict):
    """What SGLang printed at its start; GiB are 2**30 bytes of each device.

    `fraction` is the share of the device that it takes; `free_gib` was free before.
    """

    model: str
    devices: int
    device_mib: NotRequired[int]
    free_gib: NotRequired[float]
    weights_gib: NotRequired[float]
    cache_gib: NotRequired[float]
    state_gib: NotRequired[float]
    fraction: NotRequired[float]
    tokens: NotRequired[int]


def sglang_logs(key: str) -> list[SglangLog]:
    """The logs that tell of this key."""
    return [log for log in truth("sglang")["logs"] if key in log]


def of_sglang(log: SglangLog, size: int | None = None) -> dict[str, Term]:
    """What each device holds in SGLang by our count, of the logged model on as many devices."""
    device = Device(devices=log["devices"], total_bytes=size, usable_bytes=size)
    spec = Catalogue.open().spec(log["model"])
    return answer(spec, "sglang", device, context_tokens=4096).terms


@pytest.mark.parametrize("log", sglang_logs("tokens"), ids=case_id)
def test_sglang_caches_as_many_tokens_as_it_logs(log: SglangLog) -> None:
    """Memory for the cache divided by its tokens is what one token takes, within 0.5 %: of Gemma 3
    with windows kept whole.
    """
    token_bytes = of_sglang(log)["kv_cache"].bytes / 4096
    logged_bytes = log["cache_gib"] * GIB / log["tokens"]
    assert logged_bytes == pytest.approx(token_bytes, rel=0.005)


@pytest.mark.parametrize("log", sglang_logs("weights_gib"), ids=case_id)
def test_sglang_loads_the_weights_that_it_logs(log: SglangLog) -> None:
    """Within 4 % and 0.15 GiB, which its allocator keeps of small models; of Gemma 3 it logs
    less.
    """
    weights = of_sglang(log)["weights"].bytes / GIB
    assert log["weights_gib"] == pytest.approx(weights, rel=0.055, abs=0.15)


@pytest.mark.parametrize("log", sglang_logs("default"), ids=case_id)
def test_sglang_fills_the_share_of_a_device_that_it_logs(log: SglangLog) -> None:
    """Weights, cache and states take of what was free what our rule leaves them, or a little more
    in releases before 0.5.23.
    """
    device_bytes = log["device_mib"] * 2**20
    reserve = of_sglang(log, device_bytes)["activations"]
    if "fraction" in log:
        share = log["fraction"]
    else:
        held_gib = log.get("weights_gib", 0) + log.get("cache_gib", 0)
        share = (held_gib + log.get("state_gib", 0)) / log["free_gib"]
    assert 1 - reserve.high_bytes / device_bytes <= share + 0.003
    assert share <= 1 - reserve.low_bytes / device_bytes


@pytest.mark.parametrize(
    "log", [log for log in VLLM_LOGS if log["devices"] == 1], ids=case_id
)
def test_vllm_takes_what_its_logs_say_in_all(log: VllmLog) -> None:
    """Weights, one pass, graphs and the rest on one H100: between the ends, and within 5 % of the
    estimate; of less than 7 GiB, 8 %.
    """
    terms = of_a_log(log)
    in_all = [terms["weights"], terms["activations"], terms["runtime"]]
    low, likely, high = ends(in_all)
    weights_and_pass = log["weights_gib"] + log["activation_gib"]
    rest = log["beside_torch_gib"] + log["graphs_gib"]
    printed = (weights_and_pass + rest) * GIB
    assert low <= printed <= high
    error = 0.05 if log["weights_gib"] > 7 else 0.08
    assert likely == pytest.approx(printed, rel=error)


def cache_in_vllm(
    id: str, devices: int, context_tokens: int, parallel: int = 1
) -> Term:
    """The cache that each of so many devices holds in vLLM."""
    told = answer(
        Catalogue.open().spec(id),
        "vllm",
        Device(devices=devices),
        context_tokens=context_tokens,
        parallel=parallel,
    )
    return told.terms["kv_cache"]


def test_tensor_parallelism_divides_heads_and_nothing_else() -> None:
    """A latent cache is whole on every device; of a cache with fewer KV heads than devices each
    holds one head of every layer.
    """
    # 61 layers, 512 + 64 numbers of 16 bits: DeepSeek-V3's config.json
    latent = cache_in_vllm("deepseek-v3", 8, context_tokens=131_072, parallel=32)
    assert latent.bytes == 61 * 576 * 2 * 131_072 * 32
    # 94 layers, 4 KV heads of 128: Qwen3-235B-A22B's config.json
    one_head = cache_in_vllm("qwen3-235b-a22b", 8, context_tokens=4096)
    assert one_head.bytes == 94 * 2 * 1 * 128 * 2 * 4096
    two_heads = cache_in_vllm("qwen3-235b-a22b", 2, context_tokens=4096)
    assert two_heads.bytes == 94 * 2 * 2 * 128 * 2 * 4096
    # MiMo-V2-Flash's config.json: 9 layers of all tokens with 4 KV heads, 39 of 128 tokens with 8;
    # of 192 + 128 numbers each
    for tokens in (4096, 131_072):
        cache = cache_in_vllm("mimo-v2-flash", 8, context_tokens=tokens)
        assert cache.bytes == 320 * 2 * (9 * tokens + 39 * 128)
        # vLLM may give every layer as many tokens as the longest
        assert cache.high_bytes == 320 * 2 * (9 + 39) * tokens


@pytest.mark.parametrize(
    ("id", "quantization", "numbers"),
    [
        pytest.param("falcon-7b-instruct", None, (), id="71 heads"),
        pytest.param("qwen2.5-7b-instruct", None, (2, 4), id="28 heads, 4 KV heads"),
        pytest.param("qwen2.5-0.5b-instruct", None, (2,), id="14 heads"),
        pytest.param("llama-3.1-8b-instruct", None, (2, 4, 8), id="32 heads"),
        # four can neither divide nor repeat
        pytest.param("phi-3-medium-4k-instruct", None, (2,), id="10 KV heads"),
        # experts of 2,048 in blocks of 128
        pytest.param("deepseek-v3", None, (2, 4, 8), id="128 heads, FP8"),
        # 13,824 = 108 groups of 128
        pytest.param("qwen2.5-14b-instruct", "gptq", (2, 4), id="108 groups"),
        # 29,696 = 232 groups, for 231 of 29,568
        pytest.param("qwen2.5-72b-instruct", "awq", (2, 4, 8), id="232 groups"),
        pytest.param("qwen2-vl-72b-instruct", "gptq-8bit", (2, 4, 8), id="8 bits"),
        # others quantize the length as it is
        pytest.param("qwen2.5-72b-instruct", "w4a16", (), id="231 groups"),
    ],
)
def test_vllm_divides_what_it_can(
    id: str, quantization: str | None, numbers: tuple[int, ...]
) -> None:
    """The number of devices divides the attention heads and the rest that it cuts: numbers of the
    published config.json.
    """
    shelf = Catalogue.open()
    asked = Workload(runtime="vllm", quantization=quantization, context_tokens=2048)
    found = needs_of(shelf.spec(id), shelf.runtime("vllm"), asked)
    assert found.tensor_parallel == numbers
