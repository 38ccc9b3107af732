"""What is computed for transformers on a CPU against what it took: `truth/transformers.json`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from helpers.needs_of import memory, needs_of
from helpers.paths import TRUTH
from selfhost import Workload, check
from selfhost.catalogue.architecture import Architecture
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec, Parameters
from selfhost.modelfiles.config import read_config
from selfhost.needs.records import MemoryNeed
from selfhost.needs.tensors import count_parameters, published_tensors, row_of

WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}


@cache
def truth() -> Any:
    """`shapes`: of another processor, and none that a rule was made from but those of its
    products.
    """
    found, shapes = (
        json.loads((TRUTH / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("transformers", "transformers_avx512")
    )
    models = {**found["models"], **shapes["models"]}
    return {
        **found,
        "models": models,
        "shapes": [*shapes["generate"], *shapes["encode"]],
    }


@cache
def spec(name: str) -> ModelSpec:
    """As `selfhost check ./config.json` reads the file that the measured model was saved with."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(truth()["models"][name]), encoding="utf-8")
        found = read_config(str(path)).spec
    if name.startswith("embeddinggemma") and found.architecture is not None:
        # as the catalogue has it; its file is that of a Gemma 3 but for one key
        found = found.replace(
            architecture=found.architecture.replace(row="gemma-embedding")
        )
    return found


@cache
def model(name: str) -> Architecture:
    architecture = spec(name).architecture
    assert architecture is not None
    assert row_of(architecture).name
    return architecture


def is_converted(run: dict[str, Any]) -> bool:
    """Whether the model ran in another type than that of its files."""
    return bool(truth()["models"][run["model"]]["dtype"] != run["dtype"])


def usual(*kinds: str) -> list[dict[str, Any]]:
    """Runs in the type of the files, with nothing set that the answer does not ask for."""
    return [
        run
        for kind in kinds
        for run in truth()[kind]
        if not is_converted(run)
        and not {"attention", "mmap_threshold", "chunk"} & set(run)
        and run.get("new_tokens", 0) < 100
    ]


def answered(run: dict[str, Any]) -> MemoryNeed:
    """What the user is told: the context is the measured prompt, and no tokenizer lay beside."""
    told = spec(run["model"]).replace(tokenizer=False)
    assert told.architecture is not None
    tokens = run.get("prompt_tokens") or run["tokens"]
    quantization = "float32" if told.architecture.dtype == "float32" else None
    if run["kind"] == "see":
        architecture = model(run["model"])
        language = count_parameters(published_tensors(architecture))
        seeing = run["weights_bytes"] // WIDTH[run["dtype"]] - language
        total = language + seeing
        told = told.replace(
            modality="vision",
            parameters=Parameters(total=total, active=total, encoders=seeing),
            architecture=architecture.replace(dtype=run["dtype"]),
            unknown={},
        )
        quantization = run["dtype"]
    return in_transformers(
        told, quantization, context_tokens=tokens, parallel=run["batch"]
    )


def in_transformers(
    spec: ModelSpec, quantization: str | None, **asked: int
) -> MemoryNeed:
    work = Workload(
        runtime="transformers", format="safetensors", quantization=quantization
    )
    runtime = Catalogue.open().runtime("transformers")
    return memory(needs_of(spec, runtime, work.replace(**asked)))


def peak(run: dict[str, Any]) -> int:
    """The most that the process held, less pages of the mapped files that may go: of experts that
    lie once more in one array, and around the rows of tokens that a text to encode read.
    """
    stages = ("warm", "first_token", "second_token", "last_token", "encoded")
    held = [run["stages"][name] for name in stages if name in run["stages"]]
    most = max(held, key=lambda stage: int(stage["peak_bytes"]))
    architecture = model(run["model"])
    experts = WIDTH[run["dtype"]] * count_parameters(
        group for group in published_tensors(architecture) if "_exps." in group.name
    )
    mapped = max(0, int(most["file_bytes"]) - 100_000_000)
    copied = int(most["anonymous_bytes"]) > experts
    read = int(run["weights_bytes"]) - int(run.get("token_table_bytes", 0))
    around = (
        max(0, int(run.get("mapped_bytes", 0)) - read) if run["kind"] == "encode" else 0
    )
    return int(most["peak_bytes"]) - around - (min(experts, mapped) if copied else 0)


RUNS = [
    run
    for run in usual("generate", "encode", "shapes", "see")
    if spec(run["model"]).architecture is not None
]


def test_ranges_of_transformers_hold_what_was_measured() -> None:
    """95 of 100 peaks are between the ends, and the middle one is within 4 % of the estimate."""
    inside, errors = [], []
    for run in RUNS:
        found, seen = answered(run), peak(run)
        inside.append(
            found.low_bytes <= seen <= found.high_bytes + found.evictable_bytes
        )
        if run["kind"] == "generate":
            errors.append(abs(found.total_bytes / seen - 1))
    assert len(RUNS) > 100
    assert sum(inside) >= 0.95 * len(inside)
    assert median(errors) < 0.04


@pytest.mark.parametrize("task", ["generate", "finetune"])
def test_ranges_on_a_gpu_hold_what_was_measured(task: str) -> None:
    """What PyTorch allocated on a GPU, and but for all weights within 15 % of the likely figure."""
    runs = json.loads((TRUTH / "transformers_gpu.json").read_text(encoding="utf-8"))[
        task
    ]
    outside = []
    for run in runs:
        tokens = run.get("context_tokens") or run["tokens"]
        workload = Workload(
            task=task,
            runtime="transformers",
            quantization="bfloat16",
            context_tokens=tokens,
            finetune_method=run.get("method", "lora") if task == "finetune" else None,
        )
        found = check(run["model"], workload, machine="H200").needs
        assert found is not None
        (card,) = [
            place for place in memory(found).places if place.where == "accelerator:0"
        ]
        peak_bytes = run["peak_allocated_bytes"]
        # the likely figure of all weights is that of the printed command, which loads 32 bits
        is_near = (
            run.get("method") == "full" or abs(card.total_bytes / peak_bytes - 1) < 0.15
        )
        if not (is_near and card.low_bytes <= peak_bytes <= card.high_bytes):
            outside.append((run["model"], tokens, peak_bytes, card))
    assert len(runs) >= 5
    assert not outside


@pytest.mark.parametrize(
    "run", [pytest.param(run, id=run["name"]) for run in usual("generate")]
)
def test_the_cache_is_known_to_the_byte(run: dict[str, Any]) -> None:
    """Keys, values and states after the prompt: windows, latent, shared heads, recurrent layers."""
    cache = run["cache"]["first_token"]
    states = sum(
        int(cache[name]["bytes"])
        for name in ("conv_states", "recurrent_states")
        if name in cache
    )
    kept = [
        term
        for term in answered(run).terms
        if term.name in ("kv_cache", "recurrent_state")
    ]
    assert sum(term.bytes for term in kept) == states + int(cache.get("held_bytes", 0))


@pytest.mark.parametrize(
    "run", [pytest.param(run, id=run["name"]) for run in truth()["transcribe"]]
)
def test_whisper_takes_what_is_told(run: dict[str, Any]) -> None:
    """With the pipeline's five beams the peak is between the ends; with one it is below the high
    end.
    """
    told = Catalogue.open().spec(run["model"])
    assert told.architecture is not None
    stored = told.replace(architecture=told.architecture.replace(dtype=run["dtype"]))
    found = in_transformers(stored, run["dtype"], parallel=run["batch"])
    seen = max(run["stages"][stage]["peak_bytes"] for stage in ("warm", "last_token"))
    assert seen <= found.high_bytes
    if run["beams"] == 5:
        assert found.low_bytes <= seen
        assert found.total_bytes == pytest.approx(seen, rel=0.1)


def test_fp8_becomes_16_bits_on_a_cpu() -> None:
    """Experts and projections in FP8: the peak without the mapped FP8 pages is between the ends,
    and above 2 bytes a parameter.
    """
    run = next(run for run in truth()["narrow"] if run["model"] == "qwen3-moe-fp8")
    found = answered(run)
    seen = max(
        stage["peak_bytes"] for name, stage in run["stages"].items() if name != "loaded"
    )
    seen -= found.evictable_bytes
    assert found.low_bytes <= seen <= found.high_bytes
    assert seen > 2 * run["parameters"]
