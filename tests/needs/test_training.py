"""Fine-tuning: what is trained and what is frozen, against counts that peft prints and memory that
was measured.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NotRequired, TypedDict

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


class Adapters(TypedDict):
    """What peft prints of LoRA on all linear layers."""

    model: str
    rank: int
    trainable: int
    all: int


class SavedLayer(TypedDict):
    """The bytes of a token that autograd saves of a layer, and `fixed` bytes of the layer."""

    row: str
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    key: int
    method: str
    bytes: int
    experts: NotRequired[int]
    used: NotRequired[int]
    fixed: NotRequired[int]


class StepPeak(TypedDict):
    """The bytes of activations at the peak of a step."""

    vocabulary: int
    checkpointing: bool
    bytes: int


class FoldedExperts(TypedDict):
    """The bytes of activations with adapters on attention alone, and on experts too."""

    layers: int
    checkpointing: bool
    linear: int
    all: int


class TrainingRun(TypedDict):
    """The peak of a process that trained on a CPU."""

    method: str
    checkpointing: bool
    bytes: int


class PublishedRun(TypedDict):
    """A run that others measured, in GiB or in a gigabyte that they did not name."""

    model: str
    method: str
    rank: int
    batch: int
    context_tokens: int
    size: float
    unit: str


class Measured(TypedDict):
    """The file of truth; `checkpoint` has the sizes of files by their names."""

    adapters: list[Adapters]
    saved: list[SavedLayer]
    peaks: list[StepPeak]
    folded: list[FoldedExperts]
    runs: list[TrainingRun]
    published: list[PublishedRun]
    checkpoint: dict[str, int]


MEASURED: Measured = json.loads((TRUTH / "finetune.json").read_text(encoding="utf-8"))


@cache
def trainable() -> tuple[ModelSpec, ...]:
    """The catalogue's models of which every tensor is known and that transformers trains as
    text.
    """
    return tuple(spec for spec in catalogue().specs() if is_trainable(spec))


def is_trainable(spec: ModelSpec) -> bool:
    """Whether transformers trains the model as text, and every tensor of it is known."""
    if spec.architecture is None:
        return False
    # what training on weights in NVFP4 takes is not counted, and said to be unknown
    if "nvfp4" in spec.architecture.narrow_types:
        return False
    if spec.modality not in ("text", "vision", "embedding"):
        return False
    row = row_of(spec.architecture)
    # what training an encoder with a decoder takes is not computed, and said to be unknown
    if not row.name or row.rewrites:
        return False
    refusal = why_cache_not_known(spec.architecture, runtime("transformers"))
    return refusal is None


def llama(
    layers: int,
    hidden: int,
    inner: int,
    heads: int,
    key: int,
    vocabulary: int = 32_000,
    *,
    row: str = "llama",
    kv_heads: int | None = None,
    experts: int | None = None,
    used: int | None = None,
) -> ModelSpec:
    """A model of the Llama kind, as its published config.json has it."""
    at = tuple(range(layers))
    made = Architecture(
        row=row,
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
                kv_heads=kv_heads or heads,
                key_length=key,
                value_length=key,
            ),
        ),
        feed_forward=(
            FeedForward(layers=at, length=inner, experts=experts, used=used),
        ),
    )
    return ModelSpec(id="model", name="Model", architecture=made)


# config.json of the first LLaMA models, which the catalogue does not hold
LLAMA_1 = {
    "llama-33b": llama(60, 6656, 17_920, 52, 128),
    "llama-65b": llama(80, 8192, 22_016, 64, 128),
}


def ask(spec: ModelSpec, context_tokens: int = 512, **options: Any) -> Needs:
    """What training takes on texts of so many tokens, or as long as the model reads."""
    tokens = context_tokens
    if spec.architecture is not None and spec.architecture.context_tokens:
        tokens = min(context_tokens, spec.architecture.context_tokens)
    workload = Workload(task="finetune", context_tokens=tokens, **options)
    return needs_of(spec, runtime("transformers"), workload)


def terms(
    spec: ModelSpec, context_tokens: int = 512, **options: Any
) -> dict[str, Term]:
    """The terms of what `ask` tells, by their names."""
    return terms_of(ask(spec, context_tokens, **options))


# ------------------------------------------------------------------ against what was published and
# measured


@pytest.mark.parametrize(
    "record", MEASURED["adapters"], ids=lambda record: record["model"]
)
def test_adapters_have_as_many_parameters_as_peft_prints(record: Adapters) -> None:
    """LoRA on all linear layers: trainable and total parameters equal to the last one."""
    spec = catalogue().spec(record["model"])
    assert spec.architecture is not None
    workload = Workload(task="finetune", lora_rank=record["rank"])
    case = case_of(spec, runtime("transformers"), workload)
    adapters = training_of(case).adapters
    assert adapters.likely == record["trainable"]
    assert adapters.most == record["trainable"]
    assert spec.parameters.total is not None
    assert spec.parameters.total + adapters.likely == record["all"]


@pytest.mark.parametrize(
    "record",
    MEASURED["saved"],
    ids=lambda record: "-".join(str(value) for value in record.values()),
)
def test_a_layer_saves_what_autograd_saves(record: SavedLayer) -> None:
    """Bytes per token and layer lie in the range, and of a plain model within 2 % of what
    transformers saved.
    """
    one = activations_of_layers(record, 1)
    three = activations_of_layers(record, 3)
    saved = 256 * record["bytes"] + record.get("fixed", 0)
    assert (three.low_bytes - one.low_bytes) / 2 <= saved
    assert saved <= (three.high_bytes - one.high_bytes) / 2
    if "experts" not in record and record["row"] == "llama":
        assert (three.bytes - one.bytes) / 2 == pytest.approx(saved, rel=0.02)


def activations_of_layers(record: SavedLayer, layers: int) -> Term:
    """The activations of a text of 256 tokens in so many layers like the measured one."""
    spec = llama(
        layers,
        record["hidden"],
        record["inner"],
        record["heads"],
        record["key"],
        row=record["row"],
        kv_heads=record["kv_heads"],
        experts=record.get("experts"),
        used=record.get("used"),
    )
    found = terms(spec, 256, finetune_method=record["method"], checkpointing=False)
    return found["activations"]


@pytest.mark.parametrize(
    "record",
    MEASURED["peaks"],
    ids=lambda record: f"{record['vocabulary']}-{record['checkpointing']}",
)
def test_the_peak_of_a_step_is_as_measured(record: StepPeak) -> None:
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
def test_adapters_on_experts_take_a_copy_of_them(record: FoldedExperts) -> None:
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
def test_whole_processes_lie_inside_the_range(record: TrainingRun) -> None:
    """Peak resident memory of training on a CPU, and the best figure is within a fifth of it."""
    answer = ask(
        llama(12, 1024, 2816, 16, 64),
        1024,
        finetune_method=record["method"],
        checkpointing=record["checkpointing"],
    )
    found = memory(answer)
    assert found.low_bytes <= record["bytes"] <= found.high_bytes
    assert found.total_bytes == pytest.approx(record["bytes"], rel=0.2)


@pytest.mark.parametrize(
    "record",
    MEASURED["published"],
    ids=lambda record: f"{record['model']}-{record['context_tokens']}",
)
def test_published_runs_lie_inside_the_range(record: PublishedRun) -> None:
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
    assert found.low_bytes <= record["size"] * 2**30 <= found.high_bytes
    if record["unit"] != "GiB":
        assert found.low_bytes <= record["size"] * 10**9 <= found.high_bytes
    assert found.total_bytes == pytest.approx(record["size"] * 2**30, rel=0.2)


def test_training_every_weight_takes_sixteen_bytes_per_parameter() -> None:
    """ZeRO, section 3.1: 2 for weights, 2 for gradients, 12 for Adam."""
    found = terms(catalogue().spec("llama-2-7b-chat"), finetune_method="full")
    parameters = 6_738_415_616
    assert found["weights"].bytes == 2 * parameters
    assert found["gradients"].bytes == 2 * parameters
    assert found["optimizer"].bytes == 12 * parameters


def test_nf4_is_4_127_bits() -> None:
    """QLoRA, section 3: with double quantization a weight of a linear layer takes 4.127 bits;
    embeddings stay wide.
    """
    found = terms(catalogue().spec("llama-2-7b-chat"), finetune_method="qlora")
    tables = 2 * 32_000 * 4096 + (2 * 32 + 1) * 4096
    quantized = found["weights"].bytes - 4 * tables - 4 * 39_976_960
    assert quantized * 8 / (6_738_415_616 - tables) == pytest.approx(4.127, abs=0.0005)


def test_a_checkpoint_on_disk_is_weights_and_two_states() -> None:
    """A Trainer's optimizer file has 8 bytes per trained parameter beside 4 of weights: so the
    files of a LoRA checkpoint.

    It writes the new one before it removes the old one, so that two are there.
    """
    published = MEASURED["checkpoint"]
    ratio = published["optimizer.pt"] / published["model.safetensors"]
    assert ratio == pytest.approx(2, rel=0.001)
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
    first = 1 if checkpointing else 0
    for number, spec in list(enumerate(trainable()))[first::2]:
        optimizer = OPTIMIZERS[number % len(OPTIMIZERS)]
        answer = ask(
            spec,
            finetune_method=method,
            checkpointing=checkpointing,
            optimizer=optimizer,
        )
        names = [term.name for term in memory(answer).terms]
        order = ("weights", "gradients", "optimizer", "activations", "runtime")
        assert names == [name for name in order if name in names], spec.id
        assert {"weights", "gradients", "activations", "runtime"} <= set(names)
        for term in memory(answer).terms:
            about = (spec.id, term)
            assert 0 < term.low_bytes <= term.bytes <= term.high_bytes, about
            assert term.source
            if term.how is How.EXACT:
                assert term.low_bytes == term.high_bytes, about
            if term.name != "runtime":
                assert abs(calculate(term.arithmetic) - term.bytes) < 2, about


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
