"""What is computed for other runtimes than llama.cpp, against what they took or printed: the
sources are inside `truth/`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

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
    return json.loads((TRUTH / f"{name}.json").read_text(encoding="utf-8"))


def answer(
    spec: ModelSpec, program: str, device: Device | None = None, **workload: Any
) -> tuple[MemoryNeed, dict[str, Term]]:
    """What the user is told; of a device what that holds."""
    case = needs.case_for(
        spec, Catalogue.open().runtime(program), Workload(runtime=program, **workload)
    )
    found = needs.count(case)
    memory = (
        found.memory if device is None else needs.needs_on(found, case, device).memory
    )
    assert memory is not None
    if device is not None:
        held = (term for term in memory.terms if term.where == ACCELERATOR)
        memory = MemoryNeed(terms=tuple(held))
    return memory, {term.name: term for term in memory.terms}


def cases(file: str, group: str) -> list[Any]:
    return [
        pytest.param(
            run,
            id=str(run.get("name") or run.get("model") or run["size"]).replace(
                " ", "-"
            ),
        )
        for run in truth(file)[group]
    ]


# ------------------------------------------------------------------ diffusers


def pipeline(run: dict[str, Any]) -> tuple[MemoryNeed, dict[str, Term]]:
    """The measured pipeline as a spec; the layers that were left out are left out here too."""
    stored = WIDTH[truth("diffusers")["models"][run["model"]]["saved"]]
    wide = WIDTH[run["dtype"]]
    parts = {name: size // wide for name, size in run["weights_bytes"].items()}
    spec = ModelSpec(
        id="measured",
        name="measured",
        modality="image",
        components=parts,
        components_dtype={4: "float32", 2: "bfloat16"}[stored],
        native_pixels=run["pixels"],
        parameters=Parameters(total=sum(parts.values()), active=sum(parts.values())),
    )
    return answer(spec, "diffusers", quantization=run["dtype"], parallel=run["images"])


@pytest.mark.parametrize("run", cases("diffusers", "runs"))
def test_the_decoder_of_images_holds_most(run: dict[str, Any]) -> None:
    """Its arrays are within 1 % of what PyTorch's allocator saw; denoiser and text encoders hold
    less, guidance included.
    """
    term = pipeline(run)[1]["activations"]
    assert term.bytes == pytest.approx(run["decode_allocated_peak_bytes"], rel=0.01)
    assert term.low_bytes <= run["decode_allocated_peak_bytes"] <= term.high_bytes
    assert run["denoise_allocated_peak_bytes"] < run["decode_allocated_peak_bytes"]
    assert run["encode_allocated_peak_bytes"] < run["decode_allocated_peak_bytes"]


def shortened_tables(run: dict[str, Any]) -> int:
    """Bytes of the token tables of text encoders that were cut short; the catalogue's encoders are
    known by their size.
    """
    tables = 0
    for name, part in truth("diffusers")["models"][run["model"]].items():
        if name.startswith("text_encoder") and part.get("num_hidden_layers") != 12:
            tables += (
                part["vocab_size"] * part["d_model"]
                if "d_model" in part
                else 49_408 * part["hidden_size"]
            )
    return tables * WIDTH[run["dtype"]]


@pytest.mark.parametrize("run", cases("diffusers", "runs"))
def test_a_pipeline_takes_what_was_measured(run: dict[str, Any]) -> None:
    """The peak of the process is between the ends, and within 5 % of the estimate."""
    found = pipeline(run)[0]
    peak = max(
        stage["peak_bytes"]
        for name, stage in run["stages"].items()
        if name not in ("loaded", "encoded")
    )
    unread = shortened_tables(run)
    assert found.low_bytes - unread <= peak <= found.high_bytes
    assert found.total_bytes - unread == pytest.approx(peak, rel=0.05)


# ------------------------------------------------------------------ Whisper


def speech(
    run: dict[str, Any], audio_seconds: int | None = None, device: Device | None = None
) -> tuple[MemoryNeed, dict[str, Term]]:
    """Whisper of that size from the catalogue, in the type that whisper.cpp's own files have."""
    size = "large-v3" if run["size"] == "large" else run["size"]
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
def test_buffers_of_whisper_cpp_are_those_it_prints(run: dict[str, Any]) -> None:
    """Caches, and the four graphs with flash attention: within 0.5 % of what the program prints at
    its start, before it makes six caches of text more for 5 beams. It prints room for logits of 448
    tokens; told is what 227 touch, with as many copied. On a GPU inputs are there twice.
    """
    terms = speech(run)[1]
    width, heads, vocabulary = run["shape"][0], run["shape"][3], run["shape"][5]
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
        assert terms["kv_cache"].bytes == pytest.approx(
            caches + 6 * printed["kv self size"], rel=0.005
        )
    graphs = {
        name: size for name, size in printed.items() if name.startswith("compute")
    }
    if run.get("flash_attention"):
        assert reserved == pytest.approx(sum(graphs.values()), rel=0.005)
    if run.get("flash_attention") is False:
        # without it scores of all heads are stored, and the encoder holds four rows beside them
        # instead of seven
        more = heads * 1500 * 1500 * 4 - 3 * 1500 * width * 4
        assert reserved + more == pytest.approx(sum(graphs.values()), rel=0.005)
    if "device" in run:
        found = speech(run, device=Device())[1]["compute"]
        rest = {name: size for name, size in graphs.items() if "encode" not in name}
        encoder = 7 * 1500 * width * 4 + 1_590_000
        assert (
            found.low_bytes <= sum(rest.values()) + encoder + beside <= found.high_bytes
        )


CLI = truth("whisper")["whisper-cli"]


def run_width(run: dict[str, Any]) -> int:
    """Elements of a token's vector."""
    return {
        "tiny": 384,
        "base": 512,
        "small": 768,
        "medium": 1024,
        "large-v3-turbo": 1280,
    }[run["size"]]


def cli(size: str, **asked: int) -> int:
    """Peak of whisper-cli where it hears 11 seconds with 5 beams on two threads after 223 tokens of
    text, but for what is asked.
    """
    wanted = {
        "audio_seconds": 11,
        "beams": 5,
        "prompt_tokens": 223,
        "threads": 2,
        **asked,
        "size": size,
    }
    return next(int(run["peak_bytes"]) for run in CLI if wanted.items() <= run.items())


@pytest.mark.parametrize(
    "run", [pytest.param(run, id=run["name"]) for run in CLI if run["beams"] == 5]
)
def test_whisper_cli_takes_what_was_measured(run: dict[str, Any]) -> None:
    """As people start it, with 5 beams: between the ends for audio of that length, and within 2.5 %
    of the estimate. Where a short recording was heard after text, what that takes is told as well,
    for 222 tokens more than the beams.
    """
    audio, vocabulary = run["audio_seconds"], 51866 if "large" in run["size"] else 51865
    text = (
        222 * 2 * (vocabulary + run_width(run)) * 4
        if run["prompt_tokens"] and audio <= 30
        else 0
    )
    found = speech(run, audio)[0]
    assert found.low_bytes + text <= run["peak_bytes"] <= found.high_bytes + text
    assert found.total_bytes + text == pytest.approx(run["peak_bytes"], rel=0.025)
    assert (
        f"takes {222 * 2 * (vocabulary + run_width(run)) * 4:,} bytes less"
        in speech(run)[1]["compute"].arithmetic
    )


@pytest.mark.parametrize("run", cases("whisper", "readme"))
def test_whisper_cpp_takes_what_its_readme_says(run: dict[str, Any]) -> None:
    """The memory its authors state is between the ends, and within 5 % of the estimate: 1.5 GiB on
    disk and 2.1 GB in memory are of one unit, and in decimal units the caches of 5 beams would not
    be in them.
    """
    found = speech(run)[0]
    assert found.low_bytes <= run["memory_bytes"] <= found.high_bytes
    assert found.total_bytes == pytest.approx(run["memory_bytes"], rel=0.05)


def heard(run: dict[str, Any]) -> tuple[MemoryNeed, dict[str, Term]]:
    """Whisper of that size in faster-whisper, for audio of unknown length."""
    return answer(
        Catalogue.open().spec(f"whisper-{run['size']}"),
        "faster-whisper",
        quantization=run["compute"],
    )


@pytest.mark.parametrize(
    "run",
    [run for run in truth("whisper")["faster-whisper"] if "audio_seconds" in run],
    ids=case_id,
)
def test_faster_whisper_takes_what_was_measured(run: dict[str, Any]) -> None:
    """Ten minutes of audio with as much text as it writes, on one to four threads: the peak is
    between the ends, which are at most 14 % from their middle, and within 8 % of the estimate.
    """
    found = heard(run)[0]
    peak = max(stage["peak_bytes"] for stage in run["stages"].values())
    assert found.low_bytes <= peak <= found.high_bytes
    assert found.total_bytes == pytest.approx(peak, rel=0.08)
    assert (found.high_bytes - found.low_bytes) / (
        found.high_bytes + found.low_bytes
    ) <= 0.14


@pytest.mark.parametrize("seen", cases("whisper", "faster-whisper on a GPU"))
def test_faster_whisper_takes_the_gpu_memory_that_others_saw(
    seen: dict[str, Any],
) -> None:
    """In fp16 and int8, alone and in a batch: weights, caches and buffers are between the ends;
    what stays in RAM too.
    """
    id = seen["size"] if "distil" in seen["size"] else f"whisper-{seen['size']}"
    asked = Workload(quantization=seen["quantization"], parallel=seen["batch"])
    shelf = Catalogue.open()
    case = needs.case_for(shelf.spec(id), shelf.runtime("faster-whisper"), asked)
    heard = needs.needs_on(needs.count(case), case, Device())
    placed = whole_on_one(heard, "accelerator:0").memory
    assert placed is not None
    moved = [term for term in placed.terms if term.where != "host"]
    beside = [term for term in placed.terms if term.where == "host"]
    low, likely, high = ends(moved)
    assert low <= seen["gpu_bytes"] <= high
    assert likely == pytest.approx(seen["gpu_bytes"], rel=0.08)
    if "ram_bytes" in seen:
        # of the audio beyond ten minutes, as the arithmetic says
        more = 936_000 * (int(seen["audio_seconds"]) - 600)
        low, _, high = ends(beside)
        assert low <= seen["ram_bytes"] <= high + more
    assert {term.how for term in (*moved, *beside) if term.name == "compute"} == {
        "stated"
    }


# ------------------------------------------------------------------ MLX and vLLM


def on_a_mac(seen: dict[str, Any]) -> tuple[int, int, int]:
    """Least, likely and most of what MLX itself counts: all but the program."""
    tokens = seen["prompt_tokens"] + seen["new_tokens"]
    spec = Catalogue.open().spec(seen["model"])
    terms = answer(
        spec, "mlx", quantization=seen["quantization"], context_tokens=tokens
    )[1]
    return ends(term for name, term in terms.items() if name != "runtime")


MLX_SEEN = truth("mlx")["published"]


def test_mlx_takes_what_others_saw_on_a_mac() -> None:
    """95 of 100 peaks that mlx_lm.benchmark and others printed are between the ends, all within 8 %
    of the estimate.
    """
    assert len(MLX_SEEN) >= 40
    inside = 0
    for seen in MLX_SEEN:
        low, likely, high = on_a_mac(seen)
        inside += low <= seen["peak_gb"] * 1e9 <= high
        assert likely == pytest.approx(seen["peak_gb"] * 1e9, rel=0.08), seen
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
def test_mlx_keeps_what_its_classes_keep(run: dict[str, Any], tmp_path: Path) -> None:
    """To the byte: windows where make_cache rotates, the latent row or every head's keys and
    values, the keys of an indexer, and states.

    Their weights in 4 bits are within the range, in which routers may have 8, and Granite's
    projections since September 2026. Of 32-bit weights scales are in 32 bits as well.
    """
    published = CONFIGS / f"{run['model']}.json"
    values = truth("mlx")["models"].get(run["model"]) or json.loads(
        published.read_text(encoding="utf-8")
    )
    file = tmp_path / "config.json"
    plain = {
        key: value for key, value in values.items() if key != "quantization_config"
    }
    file.write_text(json.dumps({"torch_dtype": "bfloat16", **plain}), encoding="utf-8")
    spec = read_local(file).spec
    terms = answer(
        spec,
        "mlx",
        quantization="4bit",
        context_tokens=run["prompt_tokens"] + run["new_tokens"],
    )[1]
    assert (
        terms["weights"].low_bytes
        <= run["four_bit_bytes"]
        <= terms["weights"].high_bytes
    )
    if values.get("torch_dtype") == "float32":
        assert terms["weights"].bytes == run["four_bit_bytes"]
    kept = [
        terms[name].bytes if name in terms else 0
        for name in ("kv_cache", "recurrent_state")
    ]
    assert kept == [run["cache_bytes"], run["state_bytes"]]
    if values.get("torch_dtype") == "float32" and "kv_cache" in terms:
        # files made in 16 bits are as near as those in 32: keys of a small Gemma 2 were of the type
        # that its scales had (mlx_lm 0.32.2)
        assert terms["kv_cache"].low_bytes * 2 == terms["kv_cache"].bytes
        own = read_local(file).spec.replace(
            quantized=Quantized(format="mlx", quantization="4bit")
        )
        kept_here = answer(own, "mlx", quantization="4bit")[1]["kv_cache"]
        assert kept_here.low_bytes == kept_here.bytes
    if not {"RotatingKVCache", "ChunkedKVCache"} & set(run["kinds"]):
        # a window alone takes more while a prompt is read
        assert all(
            terms[name].high_bytes == terms[name].bytes
            for name in ("kv_cache", "recurrent_state")
            if name in terms
        )


def of_a_log(log: dict[str, Any]) -> dict[str, Term]:
    """What each device holds in vLLM by our count, of the logged model on the logged devices:
    H100s, where a size of them is logged.
    """
    return answer(
        Catalogue.open().spec(log["model"]),
        "vllm",
        Device(devices=log["devices"], is_large=True),
        quantization=log.get("quantization"),
        context_tokens=4096,
    )[1]


@pytest.mark.parametrize(
    "log",
    [case for case in cases("vllm", "logs") if "weights_gib" in case.values[0]],
    ids=case_id,
)
def test_vllm_loads_the_weights_that_it_logs(log: dict[str, Any]) -> None:
    """Within 1 %; of experts in MXFP4, which kernels of some devices pad, 2.5 %; of gpt-oss and
    others in releases of 2025, 1.5 %.
    """
    most = 0.01 if log.get("version") == "0.19.0" else 0.015
    most = 0.025 if log["model"].startswith("gpt-oss") else most
    assert of_a_log(log)["weights"].bytes == pytest.approx(
        log["weights_gib"] * GIB, rel=most
    )


@pytest.mark.parametrize(
    "log",
    [case for case in cases("vllm", "logs") if "cache_tokens" in case.values[0]],
    ids=case_id,
)
def test_vllm_caches_as_many_tokens_as_it_logs(log: dict[str, Any]) -> None:
    """Memory for the cache divided by its tokens is what one token takes, windows apart, within 2
    %.
    """
    made = Catalogue.open().spec(log["model"]).architecture
    assert made is not None
    layers = log.get("cache_layers", made.layers)
    token = of_a_log(log)["kv_cache"].high_bytes / 4096 * layers / made.layers
    assert log["cache_gib"] * GIB / log["cache_tokens"] == pytest.approx(
        token, rel=0.02
    )


# the releases whose way to take a share of a device is that of today
VLLM_LOGS = [log for log in truth("vllm")["logs"] if log.get("version") == "0.19.0"]


def test_ranges_of_vllm_hold_what_its_logs_print() -> None:
    """95 of 100 logged parts are between the ends: weights, one pass with its sampling, and graphs
    with what is not PyTorch's.
    """
    assert len(VLLM_LOGS) >= 30
    inside = []
    for log in VLLM_LOGS:
        terms = of_a_log(log)
        printed = {
            "weights": log["weights_gib"],
            "activations": log["activation_gib"],
            "runtime": log["beside_torch_gib"] + log["graphs_gib"],
        }
        # of what was printed, with two digits after the point, half of the last is not known
        inside += [
            terms[name].low_bytes <= (gib + 0.005) * GIB
            and (gib - 0.005) * GIB <= terms[name].high_bytes
            for name, gib in printed.items()
        ]
    assert sum(inside) >= 0.95 * len(inside)


SGLANG_LOGS = truth("sglang")["logs"]


def of_sglang(log: dict[str, Any], size: int | None = None) -> dict[str, Term]:
    """What each device holds in SGLang by our count, of the logged model on as many devices."""
    device = Device(devices=log["devices"], total_bytes=size, usable_bytes=size)
    return answer(
        Catalogue.open().spec(log["model"]), "sglang", device, context_tokens=4096
    )[1]


@pytest.mark.parametrize(
    "log", [log for log in SGLANG_LOGS if "tokens" in log], ids=case_id
)
def test_sglang_caches_as_many_tokens_as_it_logs(log: dict[str, Any]) -> None:
    """Memory for the cache divided by its tokens is what one token takes, within 0.5 %: of Gemma 3
    with windows kept whole.
    """
    token = of_sglang(log)["kv_cache"].bytes / 4096
    assert log["cache_gib"] * GIB / log["tokens"] == pytest.approx(token, rel=0.005)


@pytest.mark.parametrize(
    "log", [log for log in SGLANG_LOGS if "weights_gib" in log], ids=case_id
)
def test_sglang_loads_the_weights_that_it_logs(log: dict[str, Any]) -> None:
    """Within 4 % and 0.15 GiB, which its allocator keeps of small models; of Gemma 3 it logs
    less.
    """
    weights = of_sglang(log)["weights"].bytes / GIB
    assert log["weights_gib"] == pytest.approx(weights, rel=0.055, abs=0.15)


@pytest.mark.parametrize(
    "log", [log for log in SGLANG_LOGS if "default" in log], ids=case_id
)
def test_sglang_fills_the_share_of_a_device_that_it_logs(log: dict[str, Any]) -> None:
    """Weights, cache and states take of what was free what our rule leaves them, or a little more
    in releases before 0.5.23.
    """
    device_bytes = log["device_mib"] * 2**20
    reserve = of_sglang(log, device_bytes)["activations"]
    filled = (log.get(f"{name}_gib", 0) for name in ("weights", "cache", "state"))
    share = log["fraction"] if "fraction" in log else sum(filled) / log["free_gib"]
    assert 1 - reserve.high_bytes / device_bytes <= share + 0.003
    assert share <= 1 - reserve.low_bytes / device_bytes


@pytest.mark.parametrize(
    "log", [log for log in VLLM_LOGS if log["devices"] == 1], ids=case_id
)
def test_vllm_takes_what_its_logs_say_in_all(log: dict[str, Any]) -> None:
    """Weights, one pass, graphs and the rest on one H100: between the ends, and within 5 % of the
    estimate; of less than 7 GiB, 8 %.
    """
    terms, parts = of_a_log(log), ("weights", "activation", "beside_torch", "graphs")
    low, likely, high = ends(
        terms[name] for name in ("weights", "activations", "runtime")
    )
    printed = sum(log[f"{part}_gib"] for part in parts) * GIB
    assert low <= printed <= high
    assert likely == pytest.approx(
        printed, rel=0.05 if log["weights_gib"] > 7 else 0.08
    )


def on_devices(id: str, number: int, **workload: Any) -> dict[str, Term]:
    """What each of so many devices holds in vLLM."""
    return answer(
        Catalogue.open().spec(id), "vllm", Device(devices=number), **workload
    )[1]


def test_tensor_parallelism_divides_heads_and_nothing_else() -> None:
    """A latent cache is whole on every device; of a cache with fewer KV heads than devices each
    holds one head of every layer.
    """
    latent = {"context_tokens": 131_072, "parallel": 32}
    # 61 layers, 512 + 64 numbers of 16 bits: DeepSeek-V3's config.json
    assert (
        on_devices("deepseek-v3", 8, **latent)["kv_cache"].bytes
        == 61 * 576 * 2 * 131_072 * 32
    )
    # 94 layers, 4 KV heads of 128: Qwen3-235B-A22B's config.json
    for devices, heads in ((8, 1), (2, 2)):
        held = on_devices("qwen3-235b-a22b", devices, context_tokens=4096)
        assert held["kv_cache"].bytes == 94 * 2 * heads * 128 * 2 * 4096
    # MiMo-V2-Flash's config.json: 9 layers of all tokens with 4 KV heads, 39 of 128 tokens with 8;
    # of 192 + 128 numbers each
    for tokens in (4096, 131_072):
        held = on_devices("mimo-v2-flash", 8, context_tokens=tokens)
        assert held["kv_cache"].bytes == 320 * 2 * (9 * tokens + 39 * 128)
        # vLLM may give every layer as many tokens as the longest
        assert held["kv_cache"].high_bytes == 320 * 2 * (9 + 39) * tokens


@pytest.mark.parametrize(
    ("id", "quantization", "numbers"),
    [
        ("falcon-7b-instruct", None, ()),  # 71 heads
        ("qwen2.5-7b-instruct", None, (2, 4)),  # 28 heads, 4 of keys and values
        ("qwen2.5-0.5b-instruct", None, (2,)),  # 14 heads
        ("llama-3.1-8b-instruct", None, (2, 4, 8)),
        (
            "phi-3-medium-4k-instruct",
            None,
            (2,),
        ),  # 10 KV heads: four can neither divide nor repeat
        (
            "deepseek-v3",
            None,
            (2, 4, 8),
        ),  # 128 heads, experts of 2,048 in blocks of 128
        ("qwen2.5-14b-instruct", "gptq", (2, 4)),  # 13,824 = 108 groups of 128
        (
            "qwen2.5-72b-instruct",
            "awq",
            (2, 4, 8),
        ),  # 29,696 = 232 groups, for 231 of 29,568
        ("qwen2-vl-72b-instruct", "gptq-8bit", (2, 4, 8)),
        ("qwen2.5-72b-instruct", "w4a16", ()),  # others quantize the length as it is
    ],
)
def test_vllm_divides_what_it_can(
    id: str, quantization: str | None, numbers: tuple[int, ...]
) -> None:
    """The number of devices divides the attention heads and the rest that it cuts: numbers of the
    published config.json.
    """
    program = Catalogue.open().runtime("vllm")
    asked = Workload(runtime="vllm", quantization=quantization, context_tokens=2048)
    assert (
        needs_of(Catalogue.open().spec(id), program, asked).tensor_parallel == numbers
    )
