"""What is computed for other runtimes than llama.cpp, against what they took or printed: the sources are inside `truth/`."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from helpers.each import each
from helpers.paths import COMMON, CONFIGS, TRUTH
from selfhost import Workload, check, needs
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import Architecture, Attention, ModelSpec, Parameters, Quantized
from selfhost.core.errors import WorkloadError
from selfhost.judge.placement.on_devices import on_one
from selfhost.machine.profiles import load
from selfhost.modelfiles import read_local
from selfhost.needs.kept import rotates
from selfhost.needs.records import ACCELERATOR, Device, MemoryNeed, Needs, Term
from selfhost.needs.tensors import row_of

GIB = 1 << 30
WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}


@cache
def truth(name: str) -> Any:
    return json.loads((TRUTH / f"{name}.json").read_text(encoding="utf-8"))


@cache
def rows() -> Any:
    return tomllib.loads((COMMON / "architectures.toml").read_text(encoding="utf-8"))


def answer(
    spec: ModelSpec, program: str, device: Device | None = None, **workload: Any
) -> tuple[MemoryNeed, dict[str, Term]]:
    """What the user is told; of a device what that holds."""
    found = needs.needs_of(
        spec, Catalogue.open().runtime(program), Workload(runtime=program, **workload), rows()
    )
    memory = found.memory if device is None else needs.needs_on(found, device).memory
    assert memory is not None
    if device is not None:
        held = (term for term in memory.terms if term.where == ACCELERATOR)
        memory = MemoryNeed(terms=tuple(held))
    return memory, {term.name: term for term in memory.terms}


def cases(file: str, group: str) -> list[Any]:
    return [
        pytest.param(
            run, id=str(run.get("name") or run.get("model") or run["size"]).replace(" ", "-")
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
    """Its arrays are within 1 % of what PyTorch's allocator saw; denoiser and text encoders hold less, guidance included."""
    term = pipeline(run)[1]["activations"]
    assert term.bytes == pytest.approx(run["decode_allocated_peak_bytes"], rel=0.01)
    assert term.low_bytes <= run["decode_allocated_peak_bytes"] <= term.high_bytes
    assert run["denoise_allocated_peak_bytes"] < run["decode_allocated_peak_bytes"]
    assert run["encode_allocated_peak_bytes"] < run["decode_allocated_peak_bytes"]


def shortened_tables(run: dict[str, Any]) -> int:
    """Bytes of the token tables of text encoders that were cut short; the catalogue's encoders are known by their size."""
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
    """The peak of the process is between the ends, and within 4 % of the estimate."""
    found = pipeline(run)[0]
    peak = max(
        stage["peak_bytes"]
        for name, stage in run["stages"].items()
        if name not in ("loaded", "encoded")
    )
    unread = shortened_tables(run)
    assert found.low_bytes - unread <= peak <= found.high_bytes
    assert found.total_bytes - unread == pytest.approx(peak, rel=0.04)


def test_a_converted_pipeline_holds_pages_that_may_go() -> None:
    """Float32 files run in 16 bits: while the largest component is copied its file is resident too, within 5 % of the peak of loading."""
    run = next(
        run
        for run in truth("diffusers")["runs"]
        if run["model"] == "sd15" and run["dtype"] == "bfloat16"
    )
    found, _ = pipeline(run)
    assert found.total_bytes + found.evictable_bytes == pytest.approx(
        run["stages"]["loaded"]["peak_bytes"], rel=0.05
    )
    same = next(
        run
        for run in truth("diffusers")["runs"]
        if run["model"] == "sd15" and run["dtype"] == "float32"
    )
    assert pipeline(same)[0].evictable_bytes == 0


@pytest.mark.parametrize(
    "id",
    [
        "stable-diffusion-1.5",
        "sdxl-base-1.0",
        "sd3-medium",
        "sd3.5-medium",
        "sd3.5-large",
        "flux.1-dev",
    ],
)
def test_ranges_of_image_models_are_narrow(id: str) -> None:
    """At most ± 10 % as published."""
    found = answer(Catalogue.open().spec(id), "diffusers")[0]
    assert (found.high_bytes - found.low_bytes) / (found.high_bytes + found.low_bytes) <= 0.1


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


@pytest.mark.parametrize("run", [*cases("whisper", "whisper.cpp"), *cases("whisper", "published")])
def test_buffers_of_whisper_cpp_are_those_it_prints(run: dict[str, Any]) -> None:
    """Caches, and the four graphs with flash attention: within 0.5 % of what the program prints at its start, before it makes six caches
    of text more for 5 beams. It prints room for logits of 448 tokens; told is what 227 touch, with as many copied. On a GPU inputs are
    there twice."""
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
    graphs = {name: size for name, size in printed.items() if name.startswith("compute")}
    if run.get("flash_attention"):
        assert reserved == pytest.approx(sum(graphs.values()), rel=0.005)
    if run.get("flash_attention") is False:
        # without it scores of all heads are stored, and the encoder holds four rows beside them instead of seven
        more = heads * 1500 * 1500 * 4 - 3 * 1500 * width * 4
        assert reserved + more == pytest.approx(sum(graphs.values()), rel=0.005)
    if "device" in run:
        found = speech(run, device=Device())[1]["compute"]
        rest = {name: size for name, size in graphs.items() if "encode" not in name}
        encoder = 7 * 1500 * width * 4 + 1_590_000
        assert found.low_bytes <= sum(rest.values()) + encoder + beside <= found.high_bytes


@pytest.mark.parametrize(
    "run",
    [
        case
        for case in cases("whisper", "whisper.cpp")
        if case.values[0]["flash_attention"] and case.values[0]["peak_bytes"]
    ],
)
def test_its_benchmark_takes_no_more_than_whisper_cli(run: dict[str, Any]) -> None:
    """It reads 256 tokens for one beam on one thread, and no audio: with what 5 beams take it is up to 4 % below the program itself."""
    vocabulary, (found, terms) = run["shape"][5], speech(run)
    beams = 6 * run["buffers"]["kv self size"] + 4 * vocabulary * 28
    peak = run["peak_bytes"] + beams - (256 - 227) * 2 * vocabulary * 4
    told = found.total_bytes - terms["runtime"].bytes + 24_000_000
    assert 0.96 * told < peak < told


CLI = truth("whisper")["whisper-cli"]


def run_width(run: dict[str, Any]) -> int:
    """Elements of a token's vector."""
    return {"tiny": 384, "base": 512, "small": 768, "medium": 1024, "large-v3-turbo": 1280}[
        run["size"]
    ]


def cli(size: str, **asked: int) -> int:
    """Peak of whisper-cli where it hears 11 seconds with 5 beams on two threads after 223 tokens of text, but for what is asked."""
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
    """As people start it, with 5 beams: between the ends for audio of that length, and within 2.5 % of the estimate. Where a short
    recording was heard after text, what that takes is told as well, for 222 tokens more than the beams."""
    audio, vocabulary = run["audio_seconds"], 51866 if "large" in run["size"] else 51865
    text = (
        222 * 2 * (vocabulary + run_width(run)) * 4 if run["prompt_tokens"] and audio <= 30 else 0
    )
    found = speech(run, audio)[0]
    assert found.low_bytes + text <= run["peak_bytes"] <= found.high_bytes + text
    assert found.total_bytes + text == pytest.approx(run["peak_bytes"], rel=0.025)
    assert (
        f"takes {222 * 2 * (vocabulary + run_width(run)) * 4:,} bytes less"
        in speech(run)[1]["compute"].arithmetic
    )


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(run, id=run["name"])
        for run in CLI
        if run["beams"] == 5 and run["prompt_tokens"]
    ],
)
def test_audio_of_unknown_length_is_some_minutes(run: dict[str, Any]) -> None:
    """Once there is text before, up to ten minutes lie between the ends that are told where nobody says how long it is; of small and
    larger models half a minute as well. A clip of 11 seconds with that text lacks 89 seconds of what writes as much."""
    found = speech(run)[0]
    lacking = 89 * 96_000 if run["audio_seconds"] == 11 else 0
    assert found.low_bytes <= run["peak_bytes"] + lacking <= found.high_bytes
    if run["size"] not in ("tiny", "base"):
        assert found.low_bytes <= cli(run["size"], prompt_tokens=0)


@pytest.mark.parametrize("size", ["tiny", "base"])
def test_whisper_cli_takes_more_for_beams_and_minutes(size: str) -> None:
    """5 beams make caches of text for 7, and 28 bytes for each word and beam beside them; a minute of audio takes what is told, all within
    1 % of the peak."""
    caches = (
        6
        * next(run for run in truth("whisper")["whisper.cpp"] if run["size"] == size)["buffers"][
            "kv self size"
        ]
    )
    assert cli(size) - caches - 4 * 51865 * 28 == pytest.approx(cli(size, beams=1), rel=0.01)
    minute = (cli(size, audio_seconds=600) - cli(size)) / (600 - 11) * 60
    assert minute == pytest.approx(5_760_000, rel=0.01)
    assert "a minute takes 5,760,000 bytes" in speech({"size": size})[1]["runtime"].arithmetic
    hour, half = (speech({"size": size}, seconds)[0] for seconds in (3600, 1800))
    assert hour.total_bytes - half.total_bytes == 30 * 5_760_000


@each("audio_seconds", [None, 11, 30, 300, 600, 3600])
@each(
    "id",
    [
        spec.id
        for spec in Catalogue.open().specs()
        if spec.modality == "speech" and "whisper" in spec.id
    ],
)
def test_ranges_of_whisper_cpp_are_narrow(id: str, audio_seconds: int | None) -> None:
    """At most ± 10 %, of unknown length ± 32 %: whisper-cli's own number of beams, and not from one to five."""
    found = answer(
        Catalogue.open().spec(id), "whisper.cpp", quantization="F16", audio_seconds=audio_seconds
    )[0]
    assert (found.high_bytes - found.low_bytes) / (found.high_bytes + found.low_bytes) <= (
        0.1 if audio_seconds else 0.32
    )


def test_only_speech_models_hear_audio() -> None:
    """The answer states the length for Whisper; of a model that reads, sees, draws or is closed nobody may ask it."""
    machine = load("desktop-rtx3090-24gb").machine
    asked = Workload(audio_seconds=3600)
    assert check("whisper-small", asked, machine=machine).workload.audio_seconds == 3600
    for id in ("mistral-7b", "gemma-3-4b-it", "bge-m3", "sdxl", "gpt-4o"):
        with pytest.raises(
            WorkloadError, match="length of a recording for a speech model"
        ) as refused:
            check(id, asked, machine=machine)
        assert [problem.key for problem in refused.value.problems] == ["audio_seconds"]


@pytest.mark.parametrize("run", cases("whisper", "readme"))
def test_whisper_cpp_takes_what_its_readme_says(run: dict[str, Any]) -> None:
    """The memory its authors state is between the ends, and within 5 % of the estimate: 1.5 GiB on disk and 2.1 GB in memory are of
    one unit, and in decimal units the caches of 5 beams would not be in them."""
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


@each("run", cases("whisper", "faster-whisper"))
def test_faster_whisper_holds_the_weights_in_the_type_asked_for(run: dict[str, Any]) -> None:
    """Once loaded, weights and program are resident; of files that were converted the heap keeps up to 6 % beside them."""
    terms, loaded = heard(run)[1], run["stages"]["loaded"]["resident_bytes"]
    converted = run["stored"] == "float16" and run["compute"] == "int8"
    kept = 0.06 * run["file_bytes"] if converted else 0
    assert (
        terms["weights"].bytes + terms["runtime"].low_bytes
        <= loaded
        <= terms["weights"].bytes + terms["runtime"].high_bytes + kept
    )


@each(
    "run",
    [
        case
        for case in cases("whisper", "faster-whisper")
        if case.values[0].get("audio_seconds") == 600
    ],
)
def test_faster_whisper_takes_what_was_measured(run: dict[str, Any]) -> None:
    """Ten minutes of audio with as much text as it writes, on one to four threads: the peak is between the ends, which are at most
    10 % from their middle, and within 8 % of the estimate."""
    found = heard(run)[0]
    peak = max(stage["peak_bytes"] for stage in run["stages"].values())
    assert found.low_bytes <= peak <= found.high_bytes
    assert found.total_bytes == pytest.approx(peak, rel=0.08)
    assert (found.high_bytes - found.low_bytes) / (found.high_bytes + found.low_bytes) <= 0.1


@pytest.mark.parametrize("seen", cases("whisper", "faster-whisper on 8 threads"))
def test_faster_whisper_takes_what_others_saw_on_eight_threads(seen: dict[str, Any]) -> None:
    """Eight threads, alone and in a batch: what was seen is between the low end and the high one with what eight threads take more."""
    found = others_heard(seen).memory
    assert found is not None
    compute = next(term for term in found.terms if term.name == "compute")
    more = re.search(r"8 threads take up to ([\d,]+) bytes more", compute.arithmetic)
    assert more is not None
    assert (
        found.low_bytes
        <= seen["ram_bytes"]
        <= found.high_bytes + int(more[1].replace(",", "")) + longer(seen)
    )


@each(
    "run",
    [
        case
        for case in cases("whisper", "faster-whisper")
        if case.values[0].get("audio_seconds", 30) == 30
    ],
)
def test_half_a_minute_of_audio_takes_no_more(run: dict[str, Any]) -> None:
    """What is told is for ten minutes, so no shorter audio takes more."""
    assert max(stage["peak_bytes"] for stage in run["stages"].values()) <= heard(run)[0].high_bytes


@pytest.mark.parametrize(
    "id",
    [
        spec.id
        for spec in Catalogue.open().specs()
        if spec.modality == "speech" and "whisper" in spec.id
    ],
)
def test_ranges_of_faster_whisper_are_narrow(id: str) -> None:
    """At most ± 10 % in int8, its default on a CPU."""
    found = answer(Catalogue.open().spec(id), "faster-whisper", quantization="int8")[0]
    assert (found.high_bytes - found.low_bytes) / (found.high_bytes + found.low_bytes) <= 0.1


def others_heard(seen: dict[str, Any]) -> Needs:
    """What faster-whisper takes in somebody else's run, of the audio that ours are for."""
    id = seen["size"] if "distil" in seen["size"] else f"whisper-{seen['size']}"
    asked = Workload(quantization=seen["quantization"], parallel=seen["batch"])
    return needs.needs_of(
        Catalogue.open().spec(id), Catalogue.open().runtime("faster-whisper"), asked, rows()
    )


def longer(seen: dict[str, Any]) -> int:
    """What the audio beyond ten minutes takes, as the arithmetic says."""
    return 936_000 * (int(seen["audio_seconds"]) - 600)


@pytest.mark.parametrize("seen", cases("whisper", "faster-whisper on a GPU"))
def test_faster_whisper_takes_the_gpu_memory_that_others_saw(seen: dict[str, Any]) -> None:
    """In fp16 and int8, alone and in a batch: weights, caches and buffers are between the ends; what stays in RAM too."""
    placed = on_one(needs.needs_on(others_heard(seen), Device()), "accelerator:0").memory
    assert placed is not None
    moved = [term for term in placed.terms if term.where != "host"]
    beside = [term for term in placed.terms if term.where == "host"]
    assert (
        sum(term.low_bytes for term in moved)
        <= seen["gpu_bytes"]
        <= sum(term.high_bytes for term in moved)
    )
    assert sum(term.bytes for term in moved) == pytest.approx(seen["gpu_bytes"], rel=0.08)
    if "ram_bytes" in seen:
        more = longer(seen)
        assert (
            sum(term.low_bytes for term in beside)
            <= seen["ram_bytes"]
            <= sum(term.high_bytes for term in beside) + more
        )
    assert {term.how for term in (*moved, *beside) if term.name == "compute"} == {"stated"}


def test_audio_stays_in_ram_beside_a_gpu() -> None:
    """900 MB of RAM were seen beside fp16 on a GPU, none of them the model's; on a machine without one the weights lie in RAM."""
    machine = load("desktop-rtx3090-24gb").machine
    for quantization in ("float16", "int8"):
        verdict = check(
            "whisper-large-v3",
            Workload(runtime="faster-whisper", quantization=quantization),
            machine=machine,
        )
        assert verdict.needs is not None
        assert verdict.needs.memory is not None
        assert verdict.needs.placement == "accelerator"
        here = [term for term in verdict.needs.memory.terms if term.where == "host"]
        assert {term.name for term in here} == {"compute", "runtime"}
        assert sum(term.low_bytes for term in here) >= 561_600_000
    without = machine.replace(accelerators=())
    verdict = check(
        "whisper-large-v3", Workload(runtime="faster-whisper", quantization="int8"), machine=without
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    assert {(term.name, term.where) for term in verdict.needs.memory.terms} == {
        (one, "host") for one in ("weights", "compute", "runtime")
    }


@pytest.mark.parametrize(
    "id",
    [
        spec.id
        for spec in Catalogue.open().specs()
        if any(files.format == "ctranslate2" for files in spec.files)
    ],
)
def test_files_for_ctranslate2_hold_16_bits_a_number(id: str) -> None:
    """model.bin with its vocabulary is two bytes for each parameter, and at most 4 MB more: all types are loaded from it."""
    spec = Catalogue.open().spec(id)
    for type in ("float32", "float16", "int8"):
        found = needs.needs_of(
            spec, Catalogue.open().runtime("faster-whisper"), Workload(quantization=type), rows()
        )
        assert found.download_bytes is not None
        assert spec.parameters.total is not None
        # positions of the encoder are in the files as well: the count leaves them out where they are sinusoids
        assert (
            2 * spec.parameters.total
            <= found.download_bytes
            <= 2 * spec.parameters.total + 9_000_000
        )


# ------------------------------------------------------------------ MLX and vLLM


def on_a_mac(seen: dict[str, Any]) -> tuple[int, int, int]:
    """Least, likely and most of what MLX itself counts: all but the program."""
    tokens = seen["prompt_tokens"] + seen["new_tokens"]
    spec = Catalogue.open().spec(seen["model"])
    terms = answer(spec, "mlx", quantization=seen["quantization"], context_tokens=tokens)[1]
    counted = [term for name, term in terms.items() if name != "runtime"]
    return (
        sum(term.low_bytes for term in counted),
        sum(term.bytes for term in counted),
        sum(term.high_bytes for term in counted),
    )


MLX_SEEN = truth("mlx")["published"]


def test_ranges_of_mlx_hold_what_others_saw_on_a_mac() -> None:
    """95 of 100 peaks that mlx_lm.benchmark and others printed are between the ends."""
    assert len(MLX_SEEN) >= 40
    inside = [
        low <= seen["peak_gb"] * 1e9 <= high
        for seen in MLX_SEEN
        for low, _, high in (on_a_mac(seen),)
    ]
    assert sum(inside) >= 0.95 * len(inside)


@each(
    "seen", [pytest.param(seen, id=f"{seen['model']}-{seen['prompt_tokens']}") for seen in MLX_SEEN]
)
def test_mlx_takes_what_others_saw_on_a_mac(seen: dict[str, Any]) -> None:
    """Within 8 % of the estimate."""
    assert on_a_mac(seen)[1] == pytest.approx(seen["peak_gb"] * 1e9, rel=0.08)


@pytest.mark.parametrize("seen", cases("mlx", "unlike"))
def test_peaks_that_do_not_go_with_the_rest_are_above_the_most(seen: dict[str, Any]) -> None:
    """Known and not explained but for a guess beside each: what is computed must not pass for more than it is."""
    assert on_a_mac(seen)[2] < seen["peak_gb"] * 1e9


@pytest.mark.parametrize(
    ("dtype", "quantization", "width"),
    [
        ("float16", "4bit", 2),
        ("bfloat16", "mxfp4", 2),
        ("float16", "mxfp4", 4),
        ("float16", "nvfp4", 4),
        ("float32", "mxfp8", 4),
    ],
)
def test_mlx_keeps_keys_in_the_type_that_comes_of_both(
    dtype: str, quantization: str, width: int
) -> None:
    """As small models of mlx_lm 0.32.2's llama.py and gemma2.py did on mlx 0.32.4: a scale of 8 bits gives bfloat16, and with norms in
    float16 that is float32."""
    spec = Catalogue.open().spec("llama-3.1-8b-instruct")
    assert spec.architecture is not None
    stored = spec.replace(architecture=spec.architecture.replace(dtype=dtype), files=())
    kept = answer(stored, "mlx", quantization=quantization, context_tokens=4096)[1]["kv_cache"]
    assert kept.bytes == 32 * 2 * 8 * 128 * width * 4096


@pytest.mark.parametrize(
    "run",
    # the config.json of MiniCPM3 is not read: its weights follow from a key of its own
    [run for run in cases("mlx", "caches") if "MiniCPM3" not in str(run)],
)
def test_mlx_keeps_what_its_classes_keep(run: dict[str, Any], tmp_path: Path) -> None:
    """To the byte: windows where make_cache rotates, the latent row or every head's keys and values, the keys of an indexer, and states.

    Their weights in 4 bits are within the range, in which routers may have 8, and Granite's projections since September 2026. Of 32-bit
    weights scales are in 32 bits as well.
    """
    published = CONFIGS / f"{run['model']}.json"
    values = truth("mlx")["models"].get(run["model"]) or json.loads(
        published.read_text(encoding="utf-8")
    )
    file = tmp_path / "config.json"
    plain = {key: value for key, value in values.items() if key != "quantization_config"}
    file.write_text(json.dumps({"torch_dtype": "bfloat16", **plain}), encoding="utf-8")
    spec = read_local(file, rows()).spec
    terms = answer(
        spec, "mlx", quantization="4bit", context_tokens=run["prompt_tokens"] + run["new_tokens"]
    )[1]
    assert terms["weights"].low_bytes <= run["four_bit_bytes"] <= terms["weights"].high_bytes
    if values.get("torch_dtype") == "float32":
        assert terms["weights"].bytes == run["four_bit_bytes"]
    kept = [terms[name].bytes if name in terms else 0 for name in ("kv_cache", "recurrent_state")]
    assert kept == [run["cache_bytes"], run["state_bytes"]]
    if values.get("torch_dtype") == "float32" and "kv_cache" in terms:
        # files made in 16 bits are as near as those in 32: keys of a small Gemma 2 were of the type that its scales had (mlx_lm 0.32.2)
        assert terms["kv_cache"].low_bytes * 2 == terms["kv_cache"].bytes
        own = read_local(file, rows()).spec.replace(
            quantized=Quantized(format="mlx", quantization="4bit")
        )
        (kept_here,) = (
            term
            for term in answer(own, "mlx", quantization="4bit")[1].values()
            if term.name == "kv_cache"
        )
        assert kept_here.low_bytes == kept_here.bytes
    if not {"RotatingKVCache", "ChunkedKVCache"} & set(run["kinds"]):
        # a window alone takes more while a prompt is read
        assert all(
            terms[name].high_bytes == terms[name].bytes
            for name in ("kv_cache", "recurrent_state")
            if name in terms
        )


def test_all_classes_of_mlx_that_rotate_are_known() -> None:
    """Of every module of mlx_lm/models that makes a RotatingKVCache or a ChunkedKVCache, for a model type that is read here."""
    types = {
        name: row["row"]
        for name, row in Catalogue.open().common("model_types")["model_type"].items()
        if "row" in row
    }
    known = [types[module] for module in truth("mlx")["windows"][0]["modules"] if module in types]
    assert len(known) == 19
    for row in known:
        full = Attention(layers=(0,), heads=1, kv_heads=1, key_length=1, value_length=1)
        near = full.replace(kind="sliding", layers=(1,), window_tokens=1)
        made = Architecture(
            row=row, runs_in_gguf=True, layers=2, embedding_length=1, attention=(full, near)
        )
        values = row_of(made, rows())
        assert values is not None
        assert rotates(made, values), row
        # llama.py and ministral3.py go by layer_types
        assert rotates(made.replace(attention=(near,)), values) == (
            row not in ("llama", "mistral3")
        ), row


def test_scores_of_one_layer_grow_with_the_prompt_in_mlx() -> None:
    """From 8,000 to 192,000 tokens a Mac took 16.3 GB more for Qwen3.6 35B A3B, of them 12.1 for scores of 16 heads: within 3 %."""
    seen = {
        one["prompt_tokens"]: one["peak_gb"]
        for one in MLX_SEEN
        if one["source"].endswith("issues/1480") and one["quantization"] == "4bit"
    }
    short, long = (
        {
            "model": "qwen3.6-35b-a3b",
            "quantization": "4bit",
            "prompt_tokens": tokens,
            "new_tokens": 8,
        }
        for tokens in (8000, 192_000)
    )
    assert on_a_mac(long)[1] - on_a_mac(short)[1] == pytest.approx(
        (seen[192_000] - seen[8000]) * 1e9, rel=0.03
    )


def test_what_no_mac_was_seen_to_take_is_assumed_of_mlx() -> None:
    """Mamba, and Mamba 2 but for one peak; Qwen3.6's gated delta layers have a kernel and were seen."""
    terms = {
        id: answer(Catalogue.open().spec(id), "mlx", context_tokens=8192)[1]["activations"]
        for id in ("mamba-2.8b", "granite-4.0-h-micro", "qwen3.6-35b-a3b")
    }
    assert [term.how for term in terms.values()] == ["assumed", "assumed", "computed"]


@each("run", cases("mlx", "runs"))
def test_mlx_caches_in_steps_of_256_tokens(run: dict[str, Any]) -> None:
    """Keys and values of 16 bits in whole steps, and a window once it is full, exactly: mlx_lm.models.cache."""
    config = truth("mlx")["models"][run["model"]]
    length = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    tokens = -(-(run["prompt_tokens"] + run["new_tokens"] - 1) // 256) * 256
    layers, window = config["num_hidden_layers"], config.get("sliding_window")
    whole = layers // config["sliding_window_pattern"] if window else layers
    cells = whole * tokens + (layers - whole) * min(tokens, window or tokens)
    assert 2 * config["num_key_value_heads"] * length * 2 * cells == run["held_cache_bytes"]


@each("run", cases("mlx", "runs"))
def test_mlx_quantizes_to_groups_of_64(run: dict[str, Any]) -> None:
    """mlx.core.quantize: a 16-bit scale and bias for 64 weights, so 4.5 and 8.5 bits a weight of the 16 that it has else."""
    same = [
        other
        for other in truth("mlx")["runs"]
        if other["model"] == run["model"] and other["bits"] == 16
    ]
    share = {4: 4.5 / 16, 8: 8.5 / 16, 16: 1.0}[run["bits"]]
    assert all(
        run["weights_bytes"] == pytest.approx(share * other["weights_bytes"], rel=0.01)
        for other in same
    )


@pytest.mark.parametrize(
    "id",
    [
        *(
            "qwen3-8b",
            "llama-3.1-8b-instruct",
            "qwen3-30b-a3b",
            "mistral-small-3.2-24b-instruct-2506",
        ),
        *(
            "qwen3.6-35b-a3b",
            "qwen3.5-9b",
            "qwen3.8-27b",
            "qwen3-next-80b-a3b-instruct",
            "gemma-4-31b-it",
        ),
    ],
)
def test_ranges_of_mlx_are_narrow(id: str) -> None:
    """At most ± 12 % with its defaults, the program included."""
    found = answer(Catalogue.open().spec(id), "mlx", context_tokens=4096, quantization="4bit")[0]
    assert (found.high_bytes - found.low_bytes) / (found.high_bytes + found.low_bytes) <= 0.12


def of_a_log(log: dict[str, Any]) -> dict[str, Term]:
    """What each device holds in vLLM by our count, of the logged model on the logged devices: H100s, where a size of them is logged."""
    return answer(
        Catalogue.open().spec(log["model"]),
        "vllm",
        Device(devices=log["devices"], is_large=True),
        quantization=log.get("quantization"),
        context_tokens=4096,
    )[1]


@each("log", [case for case in cases("vllm", "logs") if "weights_gib" in case.values[0]])
def test_vllm_loads_the_weights_that_it_logs(log: dict[str, Any]) -> None:
    """Within 1 %; of experts in MXFP4, which kernels of some devices pad, 2.5 %; of gpt-oss and others in releases of 2025, 1.5 %."""
    most = (
        0.025
        if log["model"].startswith("gpt-oss")
        else 0.01
        if log.get("version") == "0.19.0"
        else 0.015
    )
    assert of_a_log(log)["weights"].bytes == pytest.approx(log["weights_gib"] * GIB, rel=most)


@each("log", [case for case in cases("vllm", "logs") if "cache_tokens" in case.values[0]])
def test_vllm_caches_as_many_tokens_as_it_logs(log: dict[str, Any]) -> None:
    """Memory for the cache divided by its tokens is what one token takes, windows apart, within 2 %."""
    made = Catalogue.open().spec(log["model"]).architecture
    assert made is not None
    token = (
        of_a_log(log)["kv_cache"].high_bytes
        / 4096
        * log.get("cache_layers", made.layers)
        / made.layers
    )
    assert log["cache_gib"] * GIB / log["cache_tokens"] == pytest.approx(token, rel=0.02)


# the releases whose way to take a share of a device is that of today
VLLM_LOGS = [log for log in truth("vllm")["logs"] if log.get("version") == "0.19.0"]


def test_ranges_of_vllm_hold_what_its_logs_print() -> None:
    """95 of 100 logged parts are between the ends: weights, one pass with its sampling, and graphs with what is not PyTorch's."""
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


@pytest.mark.parametrize("log", cases("vllm", "other cards"))
def test_graphs_of_other_cards_and_releases_lie_between(log: dict[str, Any]) -> None:
    """On cards of 7.6, 48 and 80 GiB, NVIDIA's and AMD's: what the graphs took, with what else lies beside PyTorch at least and at most."""
    term = answer(Catalogue.open().spec(log["model"]), "vllm", context_tokens=4096)[1]["runtime"]
    assert term.low_bytes <= (log["graphs_gib"] + 0.13) * GIB
    assert (log["graphs_gib"] + 0.46) * GIB <= term.high_bytes
    made = Catalogue.open().spec(log["model"]).architecture
    assert made is not None
    assert 11 * made.layers <= log["graphs_gib"] * 1024 <= 32 * made.layers


SGLANG_LOGS = truth("sglang")["logs"]


def of_sglang(log: dict[str, Any], size: int | None = None) -> dict[str, Term]:
    """What each device holds in SGLang by our count, of the logged model on as many devices."""
    device = Device(devices=log["devices"], total_bytes=size, room_bytes=size)
    return answer(Catalogue.open().spec(log["model"]), "sglang", device, context_tokens=4096)[1]


@each("log", [pytest.param(log, id=log["model"]) for log in SGLANG_LOGS if "tokens" in log])
def test_sglang_caches_as_many_tokens_as_it_logs(log: dict[str, Any]) -> None:
    """Memory for the cache divided by its tokens is what one token takes, within 0.5 %: of Gemma 3 with windows kept whole."""
    token = of_sglang(log)["kv_cache"].bytes / 4096
    assert log["cache_gib"] * GIB / log["tokens"] == pytest.approx(token, rel=0.005)


@each("log", [pytest.param(log, id=log["model"]) for log in SGLANG_LOGS if "weights_gib" in log])
def test_sglang_loads_the_weights_that_it_logs(log: dict[str, Any]) -> None:
    """Within 4 % and 0.15 GiB, which its allocator keeps of small models; of Gemma 3 it logs less."""
    weights = of_sglang(log)["weights"].bytes / GIB
    assert log["weights_gib"] == pytest.approx(weights, rel=0.055, abs=0.15)


@each("log", [pytest.param(log, id=log["model"]) for log in SGLANG_LOGS if "default" in log])
def test_sglang_fills_the_share_of_a_device_that_it_logs(log: dict[str, Any]) -> None:
    """Weights, cache and states take of what was free what our rule leaves them, or a little more in releases before 0.5.23."""
    device_bytes = log["device_mib"] * 2**20
    reserve = of_sglang(log, device_bytes)["activations"]
    filled = (log.get(f"{name}_gib", 0) for name in ("weights", "cache", "state"))
    share = log["fraction"] if "fraction" in log else sum(filled) / log["free_gib"]
    assert 1 - reserve.high_bytes / device_bytes <= share + 0.003
    assert share <= 1 - reserve.low_bytes / device_bytes


def test_sglang_divides_its_memory_as_it_logs() -> None:
    """Windows of Gemma 4 keep 0.8 of the tokens of its other layers; states get 0.9 of what keys and values get."""
    sglang = Catalogue.open().runtime("sglang")
    windows, states = truth("sglang")["shares"]
    share = windows["swa_tokens"] / windows["full_tokens"]
    assert sglang.window_shares["gemma4"] == pytest.approx(share, abs=0.001)
    assert sglang.state_share == pytest.approx(states["state_gib"] / states["cache_gib"], abs=0.01)


def test_devices_share_what_attention_accumulates_in() -> None:
    """Graphs of Llama 3.1 8B and Qwen2.5 7B took 0.24 and 0.23 GiB less on four devices: three quarters of 32 parts of 512 tokens for 32
    heads and 28, each of 128 in float32, within 0.07 GiB."""
    for model, heads in (("llama-3.1-8b-instruct", 32), ("qwen2.5-7b-instruct", 28)):
        graphs = {
            log["devices"]: log["graphs_gib"]
            for log in VLLM_LOGS
            if log["model"] == model and "quantization" not in log
        }
        small, large = (
            answer(Catalogue.open().spec(model), "vllm", device, context_tokens=4096)[1]["runtime"]
            for device in (Device(), Device(is_large=True))
        )
        parts = large.bytes - small.bytes
        assert parts == 32 * 512 * heads * 128 * 4
        assert graphs[1] - graphs[4] == pytest.approx(parts * 3 / 4 / GIB, abs=0.07)


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(log, id=f"{log['model']}-{log['devices']}")
        for log in VLLM_LOGS
        if log["devices"] == 1
    ],
)
def test_vllm_takes_what_its_logs_say_in_all(log: dict[str, Any]) -> None:
    """Weights, one pass, graphs and the rest on one H100: between the ends, and within 5 % of the estimate; of less than 7 GiB, 8 %."""
    terms = [
        term
        for name, term in of_a_log(log).items()
        if name in ("weights", "activations", "runtime")
    ]
    printed = (
        log["weights_gib"] + log["activation_gib"] + log["beside_torch_gib"] + log["graphs_gib"]
    ) * GIB
    low, high = sum(term.low_bytes for term in terms), sum(term.high_bytes for term in terms)
    assert low <= printed <= high
    assert sum(term.bytes for term in terms) == pytest.approx(
        printed, rel=0.05 if log["weights_gib"] > 7 else 0.08
    )


@pytest.mark.parametrize(
    "id",
    [
        "qwen3-8b",
        "llama-3.1-8b-instruct",
        "phi-4",
        "mistral-small-3.1-24b-instruct-2503",
        "qwen3-30b-a3b",
    ],
)
def test_ranges_of_vllm_are_narrow(id: str) -> None:
    """At most ± 10 % with its defaults, on a device of any size."""
    for device in (Device(), Device(is_large=True)):
        found = answer(Catalogue.open().spec(id), "vllm", device, context_tokens=8192)[0]
        assert (found.high_bytes - found.low_bytes) / (found.high_bytes + found.low_bytes) <= 0.1


@pytest.mark.parametrize(
    ("model", "numbers"),
    [
        # 131,072 positions, made eight times as many by a linear factor; layers with a window turn theirs at another speed, unscaled
        pytest.param("gemma-3-4b-it", 8 * 131_072 * 256 + 131_072 * 256, id="linear, and windows"),
        # its config.json has 10,485,760 positions, forty times as many as it was trained for
        pytest.param(
            "llama-4-scout-17b-16e-instruct", 10_485_760 * 128, id="more than trained for"
        ),
        pytest.param("lfm2-1.2b", 128_000 * 64, id="more than trained for, narrow"),
        # MRotaryEmbedding: four times the 262,144 positions, for pictures and videos
        pytest.param("qwen3-vl-2b-instruct", 4 * 262_144 * 128, id="axes"),
        # a quarter of a head of 256 is turned
        pytest.param("qwen3.5-9b", 4 * 262_144 * 64, id="axes, a part of the head"),
        # heads of 256 with a window, of 512 without
        pytest.param("gemma-4-e4b-it", 131_072 * (512 + 256), id="heads of two lengths"),
        # YaRN: 40 times 4,096 positions; of latent attention the 64 numbers apart are turned
        pytest.param("deepseek-v3", 163_840 * 64, id="YaRN, latent"),
    ],
)
def test_vllm_has_a_table_of_the_positions_of_config_json(model: str, numbers: int) -> None:
    """vllm/model_executor/layers/rotary_embedding: a row for each position of config.json, of as many numbers as it turns, in 16 bits."""
    term = answer(Catalogue.open().spec(model), "vllm", context_tokens=4096)[1]["weights"]
    assert f"{2 * numbers:,} bytes of a table of positions" in term.arithmetic


@pytest.mark.parametrize("model", ["gpt2", "bloom-560m", "jamba-reasoning-3b", "granite-4.0-h-1b"])
def test_vllm_has_no_table_where_nothing_is_turned(model: str) -> None:
    """Learned positions, ALiBi, none."""
    assert (
        "table"
        not in answer(Catalogue.open().spec(model), "vllm", context_tokens=1024)[1][
            "weights"
        ].arithmetic
    )


@pytest.mark.parametrize(
    ("file", "positions"),
    [
        ("google--gemma-3-27b-it", 8 * 131_072),
        ("microsoft--Phi-3-mini-128k-instruct", 131_072 + 4_096),
        ("deepseek-ai--DeepSeek-V3", None),
        ("meta-llama--Llama-4-Scout-17B-16E-Instruct", None),
        ("internlm--internlm2-7b", None),
    ],
)
def test_scaled_positions_of_a_config_json_are_those_of_vllm(
    file: str, positions: int | None
) -> None:
    """None: as many as max_position_embeddings, also where YaRN comes to it: 40 times 4,096 are DeepSeek V3's 163,840."""
    spec = read_local(CONFIGS / f"{file}.json", rows()).spec
    assert spec.architecture is not None
    assert spec.architecture.rope_positions == positions


def on_devices(id: str, number: int, **workload: Any) -> dict[str, Term]:
    """What each of so many devices holds in vLLM."""
    return answer(Catalogue.open().spec(id), "vllm", Device(devices=number), **workload)[1]


def test_tensor_parallelism_divides_heads_and_nothing_else() -> None:
    """A latent cache is whole on every device; of a cache with fewer KV heads than devices each holds one head of every layer."""
    latent = {"context_tokens": 131_072, "parallel": 32}
    # 61 layers, 512 + 64 numbers of 16 bits: DeepSeek-V3's config.json
    assert on_devices("deepseek-v3", 8, **latent)["kv_cache"].bytes == 61 * 576 * 2 * 131_072 * 32
    # 94 layers, 4 KV heads of 128: Qwen3-235B-A22B's config.json
    assert (
        on_devices("qwen3-235b-a22b", 8, context_tokens=4096)["kv_cache"].bytes
        == 94 * 2 * 128 * 2 * 4096
    )
    assert (
        on_devices("qwen3-235b-a22b", 2, context_tokens=4096)["kv_cache"].bytes
        == 94 * 2 * 2 * 128 * 2 * 4096
    )
    # MiMo-V2-Flash's config.json: 9 layers of all tokens with 4 KV heads, 39 of 128 tokens with 8; of 192 + 128 numbers each
    for tokens in (4096, 131_072):
        held = on_devices("mimo-v2-flash", 8, context_tokens=tokens)
        assert held["kv_cache"].bytes == 320 * 2 * (9 * tokens + 39 * 128)
        # vLLM may give every layer as many tokens as the longest
        assert held["kv_cache"].high_bytes == 320 * 2 * (9 + 39) * tokens


def test_activations_and_program_are_whole_on_every_device() -> None:
    """vLLM logged as much of both for Llama 3.1 8B on one device, two and four, but for what devices need to talk to each other."""
    logged = {
        log["devices"]: log
        for log in VLLM_LOGS
        if log["model"] == "llama-3.1-8b-instruct" and "quantization" not in log
    }
    assert {log["activation_gib"] for log in logged.values()} == {logged[1]["activation_gib"]}
    one, two, four = (
        on_devices("llama-3.1-8b-instruct", number, context_tokens=8192) for number in (1, 2, 4)
    )
    assert one["activations"].bytes == two["activations"].bytes == four["activations"].bytes
    assert one["runtime"].bytes < two["runtime"].bytes == four["runtime"].bytes
    # 0.25 GiB on one device, 2.07 and 2.13 on several
    for number, terms in ((2, two), (4, four)):
        more = (logged[number]["beside_torch_gib"] - logged[1]["beside_torch_gib"]) * GIB
        assert (
            terms["runtime"].low_bytes - one["runtime"].low_bytes
            <= more
            <= terms["runtime"].high_bytes - one["runtime"].high_bytes
        )


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
        ),  # 10 KV heads: four devices can neither divide nor repeat them
        ("deepseek-v3", None, (2, 4, 8)),  # 128 heads, experts of 2,048 in blocks of 128
        ("qwen2.5-14b-instruct", "gptq", (2, 4)),  # 13,824 = 108 groups of 128
        ("qwen2.5-72b-instruct", "awq", (2, 4, 8)),  # 29,696 = 232 groups, for 231 of 29,568
        ("qwen2-vl-72b-instruct", "gptq-8bit", (2, 4, 8)),
        ("qwen2.5-72b-instruct", "w4a16", ()),  # others quantize the length as it is
    ],
)
def test_vllm_divides_what_it_can(
    id: str, quantization: str | None, numbers: tuple[int, ...]
) -> None:
    """The number of devices divides the attention heads and the rest that it cuts: numbers of the published config.json."""
    program = Catalogue.open().runtime("vllm")
    asked = Workload(runtime="vllm", quantization=quantization, context_tokens=2048)
    assert (
        needs.needs_of(Catalogue.open().spec(id), program, asked, rows()).tensor_parallel == numbers
    )


@each(
    "log",
    [case for case in cases("vllm", "logs") if {"usable_gib", "cache_gib"} <= set(case.values[0])],
)
def test_vllm_keeps_what_its_logs_leave_over(log: dict[str, Any]) -> None:
    """What is neither weights nor cache lies between the least of activations, without graphs, and the most of both: until 0.21 graphs
    were captured beyond the share that vLLM takes."""
    terms, large = (
        answer(
            Catalogue.open().spec(log["model"]),
            "vllm",
            Device(devices=log["devices"], is_large=is_large),
            quantization=log.get("quantization"),
            context_tokens=8192,
        )[1]
        for is_large in (False, True)
    )
    kept = (log["usable_gib"] - log["weights_gib"] - log["cache_gib"]) * GIB
    most = large["activations"].high_bytes + large["runtime"].high_bytes
    assert terms["activations"].low_bytes <= kept <= most
