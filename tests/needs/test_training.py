"""Fine-tuning: what is trained and what is frozen, against counts that peft prints and memory that
was measured.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from helpers.needs_of import calculate, catalogue, memory, needs_of, runtime
from helpers.needs_of import terms as terms_of
from helpers.paths import TRUTH
from selfhost.catalogue.architecture import Architecture, Attention, FeedForward
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.workload import FINETUNE_METHODS, OPTIMIZERS, Workload
from selfhost.needs.file_formats import case_of, why_cache_not_known
from selfhost.needs.records import How, Needs, Term
from selfhost.needs.tensors import row_of
from selfhost.needs.training import training_of

MEASURED: dict[str, Any] = json.loads(
    (TRUTH / "finetune.json").read_text(encoding="utf-8")
)


@cache
def trainable() -> tuple[ModelSpec, ...]:
    """The catalogue's models of which every tensor is known and that transformers trains as
    text.
    """
    return tuple(
        spec
        for spec in catalogue().specs()
        if spec.architecture is not None
        and spec.modality in ("text", "vision", "embedding")
        and (row := row_of(spec.architecture)).name
        and why_cache_not_known(spec.architecture, runtime("transformers")) is None
        # what training an encoder with a decoder takes is not computed, and said to be unknown
        and not row.rewrites
    )


def llama(
    layers: int,
    hidden: int,
    inner: int,
    heads: int,
    key: int,
    vocabulary: int = 32_000,
    **more: Any,
) -> ModelSpec:
    """A model of the Llama kind, as its published config.json has it."""
    at = tuple(range(layers))
    made = Architecture(
        row=more.pop("row", "llama"),
        runs_in_gguf=True,
        dtype="bfloat16",
        layers=layers,
        embedding_length=hidden,
        heads=heads,
        vocabulary=vocabulary,
        context_tokens=8192,
        attention=(
            Attention(
                layers=at,
                heads=heads,
                kv_heads=more.pop("kv_heads", heads),
                key_length=key,
                value_length=key,
            ),
        ),
        feed_forward=(
            FeedForward(
                layers=at,
                length=inner,
                experts=more.pop("experts", None),
                used=more.pop("used", None),
            ),
        ),
    )
    return ModelSpec(id="model", name="Model", architecture=made)


# config.json of the first LLaMA models, which the catalogue does not hold
LLAMA_1 = {
    "llama-33b": llama(60, 6656, 17_920, 52, 128),
    "llama-65b": llama(80, 8192, 22_016, 64, 128),
}


def ask(spec: ModelSpec, context_tokens: int = 512, **options: Any) -> Needs:
    longest = (
        spec.architecture.context_tokens if spec.architecture else None
    ) or context_tokens
    workload = Workload(
        task="finetune", context_tokens=min(context_tokens, longest), **options
    )
    return needs_of(spec, runtime("transformers"), workload)


def terms(
    spec: ModelSpec, context_tokens: int = 512, **options: Any
) -> dict[str, Term]:
    return terms_of(ask(spec, context_tokens, **options))


# ------------------------------------------------------------------ against what was published and
# measured


@pytest.mark.parametrize(
    "record", MEASURED["adapters"], ids=lambda record: record["model"]
)
def test_adapters_have_as_many_parameters_as_peft_prints(
    record: dict[str, Any],
) -> None:
    """LoRA on all linear layers: trainable and total parameters equal to the last one."""
    spec = catalogue().spec(record["model"])
    assert spec.architecture is not None
    workload = Workload(task="finetune", lora_rank=record["rank"])
    trained, most = training_of(
        case_of(spec, runtime("transformers"), workload)
    ).adapters
    assert trained == most == record["trainable"]
    assert (spec.parameters.total or 0) + trained == record["all"]


@pytest.mark.parametrize(
    "record",
    MEASURED["saved"],
    ids=lambda record: "-".join(str(value) for value in record.values()),
)
def test_a_layer_saves_what_autograd_saves(record: dict[str, Any]) -> None:
    """Bytes per token and layer lie in the range, and of a plain model within 2 % of what
    transformers saved.
    """
    made = {
        key: record[key]
        for key in ("experts", "used", "kv_heads", "row")
        if key in record
    }
    one, three = (
        terms(
            llama(
                layers,
                record["hidden"],
                record["inner"],
                record["heads"],
                record["key"],
                **made,
            ),
            256,
            finetune_method=record["method"],
            checkpointing=False,
        )["activations"]
        for layers in (1, 3)
    )
    saved = 256 * record["bytes"] + record.get("fixed", 0)
    assert (
        (three.low_bytes - one.low_bytes) / 2
        <= saved
        <= (three.high_bytes - one.high_bytes) / 2
    )
    if "experts" not in record and record["row"] == "llama":
        assert (three.bytes - one.bytes) / 2 == pytest.approx(saved, rel=0.02)


@pytest.mark.parametrize(
    "record",
    MEASURED["peaks"],
    ids=lambda record: f"{record['vocabulary']}-{record['checkpointing']}",
)
def test_the_peak_of_a_step_is_as_measured(record: dict[str, Any]) -> None:
    """Activations at the peak of a real training step, with and without checkpointing: within 6 %,
    and inside the range.
    """
    spec = llama(4, 512, 1408, 8, 64, record["vocabulary"])
    term = terms(
        spec, 512, finetune_method="full", checkpointing=record["checkpointing"]
    )["activations"]
    assert term.bytes == pytest.approx(record["bytes"], rel=0.06)
    assert term.low_bytes <= record["bytes"] <= term.high_bytes


@pytest.mark.parametrize(
    "record",
    MEASURED["folded"],
    ids=lambda record: f"{record['layers']}-{record['checkpointing']}",
)
def test_adapters_on_experts_take_a_copy_of_them(record: dict[str, Any]) -> None:
    """peft adds adapters to all experts of a layer for its turn: the high end; the low end has
    adapters on attention alone.
    """
    spec = llama(
        record["layers"], 512, 1792, 8, 64, 1000, kv_heads=2, experts=8, used=2
    )
    found = terms(
        spec, 256, finetune_method="lora", checkpointing=record["checkpointing"]
    )["activations"]
    assert found.low_bytes <= record["linear"]
    assert found.high_bytes >= record["all"]


@pytest.mark.parametrize(
    "record",
    MEASURED["runs"],
    ids=lambda record: f"{record['method']}-{record['checkpointing']}",
)
def test_whole_processes_lie_inside_the_range(record: dict[str, Any]) -> None:
    """Peak resident memory of training on a CPU, and the best figure is within a fifth of it."""
    found = memory(
        ask(
            llama(12, 1024, 2816, 16, 64),
            1024,
            finetune_method=record["method"],
            checkpointing=record["checkpointing"],
        )
    )
    assert found.low_bytes <= record["bytes"] <= found.high_bytes
    assert found.total_bytes == pytest.approx(record["bytes"], rel=0.2)


@pytest.mark.parametrize(
    "record",
    MEASURED["published"],
    ids=lambda record: f"{record['model']}-{record['context_tokens']}",
)
def test_published_runs_lie_inside_the_range(record: dict[str, Any]) -> None:
    """Whole runs that others measured, whichever gigabyte they meant; the best figure is within a
    fifth of them.
    """
    spec = LLAMA_1.get(record["model"]) or catalogue().spec(record["model"])
    workload = Workload(
        task="finetune",
        context_tokens=record["context_tokens"],
        finetune_method=record["method"],
        lora_rank=record["rank"],
        parallel=record["batch"],
    )
    found = memory(needs_of(spec, runtime("transformers"), workload))
    for unit in (2**30,) if record["unit"] == "GiB" else (10**9, 2**30):
        assert found.low_bytes <= record["size"] * unit <= found.high_bytes
    assert found.total_bytes == pytest.approx(record["size"] * 2**30, rel=0.2)


def test_training_every_weight_takes_sixteen_bytes_per_parameter() -> None:
    """ZeRO, section 3.1: 2 for weights, 2 for gradients, 12 for Adam."""
    found = terms(catalogue().spec("llama-2-7b-chat"), finetune_method="full")
    for name, each in {"weights": 2, "gradients": 2, "optimizer": 12}.items():
        assert found[name].bytes == each * 6_738_415_616


def test_nf4_is_4_127_bits() -> None:
    """QLoRA, section 3: with double quantization a weight of a linear layer takes 4.127 bits;
    embeddings stay wide.
    """
    found = terms(catalogue().spec("llama-2-7b-chat"), finetune_method="qlora")[
        "weights"
    ]
    tables = 2 * 32_000 * 4096 + (2 * 32 + 1) * 4096
    quantized = found.bytes - 4 * tables - 4 * 39_976_960
    assert quantized * 8 / (6_738_415_616 - tables) == pytest.approx(4.127, abs=0.0005)


def test_a_checkpoint_on_disk_is_weights_and_two_states() -> None:
    """A Trainer's optimizer file has 8 bytes per trained parameter beside 4 of weights: so the
    files of a LoRA checkpoint.

    It writes the new one before it removes the old one, so that two are there.
    """
    published = MEASURED["checkpoint"]
    assert published["optimizer.pt"] / published["model.safetensors"] == pytest.approx(
        2, rel=0.001
    )
    spec = catalogue().spec("llama-2-7b-chat")
    answer = ask(spec)
    assert answer.disk_bytes is not None
    assert answer.download_bytes is not None
    assert answer.disk_bytes - answer.download_bytes == 2 * 39_976_960 * (4 + 8)


# ------------------------------------------------------------------ every model, every method


@pytest.mark.parametrize("method", FINETUNE_METHODS)
@pytest.mark.parametrize("checkpointing", [True, False])
def test_every_term_can_be_checked_with_a_calculator(
    method: str, checkpointing: bool
) -> None:
    """Each term of each model encloses its best figure, names its source, and its line gives its
    bytes.

    Of each method a model meets one optimizer, every other one with checkpointing; every sixth
    model the same.
    """
    for number, spec in enumerate(trainable()):
        if number % 2 != checkpointing:
            continue
        optimizer = OPTIMIZERS[number % len(OPTIMIZERS)]
        answer = ask(
            spec,
            finetune_method=method,
            checkpointing=checkpointing,
            optimizer=optimizer,
        )
        names = [term.name for term in memory(answer).terms]
        assert names == [
            name
            for name in ("weights", "gradients", "optimizer", "activations", "runtime")
            if name in names
        ], spec.id
        assert {"weights", "gradients", "activations", "runtime"} <= set(names)
        for term in memory(answer).terms:
            assert 0 < term.low_bytes <= term.bytes <= term.high_bytes, (spec.id, term)
            assert term.source
            assert (term.how is How.EXACT) <= (term.low_bytes == term.high_bytes), (
                spec.id,
                term,
            )
            if term.name != "runtime":
                assert abs(calculate(term.arithmetic) - term.bytes) < 2, (spec.id, term)


# ------------------------------------------------------------------ what is not known


@pytest.mark.parametrize(
    "model", ["gpt-4o", "llama-2-7b-chat", "whisper-base", "stable-diffusion-1.5"]
)
def test_what_is_not_computed_is_unknown_with_a_reason(model: str) -> None:
    """Closed models, runtimes that do not train, speech and images: no figure, and why."""
    program = runtime("llama.cpp" if model.startswith("llama") else "transformers")
    answer = needs_of(catalogue().spec(model), program, Workload(task="finetune"))
    assert answer.memory is None
    assert "memory" in {entry.fact for entry in answer.unknown}
    assert answer.disk_bytes is None
    assert all(entry.reason for entry in answer.unknown)


@pytest.mark.parametrize(
    ("method", "gigabytes"),
    [
        # 20.91 billion parameters in 2 bytes each; unsloth/gpt-oss-20b-BF16 has 41.8 GB
        pytest.param("qlora", 41.8, id="a copy in 16 bits"),
        # the published files: openai/gpt-oss-20b has 13.8 GB
        pytest.param("lora", 13.8, id="as published"),
    ],
)
def test_what_is_not_quantized_again_is_downloaded_in_16_bits(
    method: str, gigabytes: float
) -> None:
    """The line to type names a copy in 16 bits, and the disk was judged for the files in MXFP4."""
    workload = Workload(task="finetune", finetune_method=method, context_tokens=1024)
    needs = needs_of(catalogue().spec("gpt-oss-20b"), runtime("transformers"), workload)
    assert needs.download_bytes is not None
    assert needs.download_bytes / 1e9 == pytest.approx(gigabytes, abs=0.1)
