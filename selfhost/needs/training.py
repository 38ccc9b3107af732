"""Training a model further with transformers and peft: every weight, or adapters on 16-bit (LoRA)
or 4-bit weights (QLoRA), in one process on one device; `gathered` is what each of several devices
holds beside its share.

Weights, gradients and optimizer are the model states of ZeRO (arXiv 1910.02054, section 3.1: 16
bytes a parameter with mixed-precision Adam); NF4 with double quantization takes 4.127 bits (QLoRA,
arXiv 2305.14314, section 3). Activations are counted as arXiv 2205.05198, section 4, does, without
scores, which fused attention does not save; the runs of tests/truth/finetune.json lie inside the
ranges. What transformers refuses was read in its release 5.23.0
(validate_quantization_for_training, merge_quantization_configs, quantizers/) and peft 0.21.2.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.quantization_names import CHECKPOINTS
from ..catalogue.spec import Architecture, Attention, FeedForward, ModelSpec, RuntimeSpec
from ..core.records import Record, Unread
from ..core.workload import DEFAULT_CONTEXT_TOKENS, DEFAULT_LORA_RANK, Workload
from .cache import why_not_known
from .checkpoint_files import download_of, size_of
from .kept import overhead
from .loaded import stored_types
from .packed import Linear, adapter_parameters, layers_of
from .parts import ENCODER_REMEDY, Subject, cpu_of, is_cast, name_of, term, times, why_no_encoders
from .records import GATHERED, How, MemoryNeed, Needs, Term
from .tensors import ArchitectureRow, checkpoint_tensors, count, row_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

LOGIT_LOW_BYTES = 10
"""The least bytes of a logit at the peak."""
_LOGIT_BYTES, _LOGIT_HIGH_BYTES = 14, 20
# a Trainer that keeps one checkpoint writes the new one before it removes the old one
_KEPT_CHECKPOINTS, _SHARD_BYTES = 2, 5_000_000_000
# peft has layers of its own for these weights, so that adapters stand on them as they are stored;
# transformers expands others (`dequantize`) while it loads them
_KEPT_PACKED = ("awq", "gptq", "nf4", "int8")

_UNPACKED_MEND = "train the original weights, which these were quantized from"
_ADAPT = "use --finetune-method lora, which trains adapters on them as they are"
_NO_TENSORS = (
    "the tensors of the model are not known, so neither are its gradients and activations",
    None,
)
_EXPANDED = (
    "weights are expanded to 16 bits for training, by dequantize=True in the quantization_config"
    " given to from_pretrained"
)
_FSDP = (
    "FSDP, a layer at a time and the next ahead; measured with fully_shard of PyTorch 2.13.0 on"
    " two CPU processes, tests/truth/finetune.json; most: layers of four times the mean"
)


class _Training(Record):
    """A model whose tensors are known, and how it is trained: `tokens` in one step; `linear` are
    its linear layers, `parameters` all with encoders.
    """

    spec: ModelSpec
    architecture: Architecture
    row: ArchitectureRow
    method: str
    rank: int
    optimizer: str
    checkpointing: bool
    context_tokens: int
    tokens: int
    linear: tuple[Linear, ...]
    parameters: int

    @property
    def trains_all(self) -> bool:
        """True where every weight is trained; False where adapters are."""
        return self.method == "full"

    @property
    def experts(self) -> int:
        """Weights of the routed experts."""
        return _experts_of(self.linear)


def finetune_needs(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    architectures: Mapping[str, Any],
    *,
    on_gpu: bool = False,
) -> Needs:
    """What one training step and the checkpoints of a run take.

    Sequences are `workload.context_tokens` long and `workload.parallel` are trained at once.
    Adapters count as weights. `disk_bytes` is the published checkpoint and the checkpoints that a
    run keeps. Memory is None with a reason where the model's tensors are not known, for speech and
    images, and for a runtime that does not train.
    """
    needs = Needs(download_bytes=None, disk_bytes=None, cpu=cpu_of(runtime), memory=None)
    why = _why_no_figures(spec, runtime)
    if why is not None:
        return needs.replace(unknown=_unread(*why, "download_bytes", "memory"))
    architecture = spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    if row is None and architecture is not None and architecture.tensors:
        row = ArchitectureRow(name=architecture.row)
    subject = Subject(spec=spec, architecture=architecture, row=row)
    format = workload.format if workload.format in CHECKPOINTS else "safetensors"
    files = download_of(spec, size_of(subject, format, name_of(architecture)))
    if isinstance(files, Unread):
        needs = needs.replace(unknown=(files,))
    else:
        needs = needs.replace(
            download_bytes=files.bytes, download_how=files.how, download_source=files.source
        )
    refused = _why_not_computed(subject, runtime)
    if refused is not None or architecture is None or row is None:
        unknown = _unread(*(refused or _NO_TENSORS), "disk_bytes", "memory")
        return needs.replace(unknown=(*needs.unknown, *unknown))
    training = _training_of(spec, runtime, workload, architecture, row)
    activations = _activations(training)
    if training.trains_all:
        states = _states_of_all(training, activations.low_bytes)
    else:
        states = _states_of_adapters(training)
    memory = MemoryNeed(terms=(*states, activations, overhead(runtime, on_gpu=on_gpu)))
    return _with_checkpoints(needs.replace(memory=memory), memory, training)


def _training_of(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    architecture: Architecture,
    row: ArchitectureRow,
) -> _Training:
    """The training of a workload, with its defaults filled in."""
    workload = workload.with_finetuning_defaults()
    method, kind = workload.finetune_method or "lora", workload.quantization or ""
    if method != "full" and is_cast(spec, runtime, kind):
        # the lines for adapters say in which type the frozen weights are loaded (--dtype of trl)
        architecture = architecture.replace(dtype=kind)
    longest = architecture.context_tokens or DEFAULT_CONTEXT_TOKENS
    context_tokens = workload.context_tokens or min(DEFAULT_CONTEXT_TOKENS, longest)
    return _Training(
        spec=spec,
        architecture=architecture,
        row=row,
        method=method,
        rank=workload.lora_rank or DEFAULT_LORA_RANK,
        optimizer=workload.optimizer or "adamw",
        checkpointing=bool(workload.checkpointing),
        context_tokens=context_tokens,
        tokens=context_tokens * workload.parallel,
        linear=layers_of(architecture, row).linear,
        parameters=count(checkpoint_tensors(architecture, row)) + (spec.parameters.encoders or 0),
    )


# ------------------------------------------------------------------ what is not trained


def _why_no_figures(spec: ModelSpec, runtime: RuntimeSpec) -> tuple[str, str | None] | None:
    if spec.closed:
        return "the weights were never published", None
    if runtime.trainer:
        why = f"what training takes in {runtime.name} is not counted"
        return why, f"try it with `{runtime.trainer}`, or take --runtime transformers"
    if not runtime.finetune_methods:
        return f"{runtime.name} does not train models", "take --runtime transformers"
    return None


def why_not_trained(spec: ModelSpec, method: str) -> tuple[str, str] | None:
    """Why transformers does not train a model's weights by that method, as a sentence, and what to
    do instead; None where it does, or may.
    """
    if spec.quantized is not None and spec.quantized.format == "mlx":
        why = "Transformers does not load weights that MLX quantized, so it does not train them."
        return why, _UNPACKED_MEND
    if spec.architecture is None:
        return None
    stored = spec.architecture.matrix_dtype or spec.architecture.expert_dtype or ""
    packed = _packed_type(spec.architecture)
    if stored == "ternary":
        return (
            "Transformers does not train BitNet's packed weights.",
            "train the 16-bit weights that their publisher has beside them",
        )
    if method == "full" and packed is not None:
        why = (
            'Transformers trains no packed weights themselves: its Trainer cannot "perform'
            ' fine-tuning on purely quantized models".'
        )
        return why, f"{_ADAPT}; or {_UNPACKED_MEND}"
    return _why_not_quantized_again(spec, stored, packed) if method == "qlora" else None


def _why_not_quantized_again(
    spec: ModelSpec, stored: str, packed: str | None
) -> tuple[str, str] | None:
    """Why bitsandbytes does not make 4 bits of weights that are narrow already."""
    if packed == "int8":
        why = "Transformers loads these weights in 8 bits, as they are stored, whatever you choose."
        return why, _ADAPT
    # others publish 16-bit copies of a publisher's own narrow weights, but not of these very files
    here = spec.quantized is not None or not spec.origin.endswith(".toml")
    if not stored or not here or stored.startswith(("nf4", "nvfp4")):
        return None
    why = (
        f"Transformers does not quantize {stored} weights again: it refuses bitsandbytes'"
        " config beside the stored one."
    )
    expand = "--finetune-method lora trains on them expanded to 16 bits (dequantize=True)"
    return why, f"{_ADAPT if packed else expand}; or {_UNPACKED_MEND}"


def _packed_type(architecture: Architecture) -> str | None:
    """The packed type that adapters stand on as it is stored; None for any other type."""
    stored = architecture.matrix_dtype or ""
    return stored if stored.startswith(_KEPT_PACKED) else None


def _why_not_computed(subject: Subject, runtime: RuntimeSpec) -> tuple[str, str | None] | None:
    """Why nothing but the files is known of training a model, and what to do instead."""
    spec, architecture, row = subject.spec, subject.architecture, subject.row
    hears = architecture is not None and architecture.audio is not None
    if spec.components or spec.modality not in ("text", "vision", "embedding") or hears:
        kind = spec.modality if spec.modality != "text" else "audio"
        why = f"selfhost does not compute what training takes for {kind} models"
        return why, runtime.finetune_elsewhere.get(spec.modality)
    if architecture is None or row is None or not subject.whole:
        return _NO_TENSORS
    if row.rewrites or why_not_known(architecture, row, runtime) is not None:
        return f"what training {architecture.row} takes is not computed", None
    if "nvfp4" in (architecture.matrix_dtype, architecture.expert_dtype):
        why = (
            "transformers expands NVFP4 weights of compressed-tensors, loads none of ModelOpt's,"
            " and which these are is not known"
        )
        return why, _UNPACKED_MEND
    no_encoders = why_no_encoders(spec)
    if no_encoders is not None:
        why = f"{no_encoders}, so neither are the weights and gradients of all of it"
        return why, ENCODER_REMEDY
    return None


def _unread(reason: str, remedy: str | None, *facts: str) -> tuple[Unread, ...]:
    return tuple(Unread(fact=fact, reason=reason, remedy=remedy) for fact in facts)


def _with_checkpoints(needs: Needs, memory: MemoryNeed, training: _Training) -> Needs:
    """The needs with the files that a run keeps: what is trained, and the optimizer's state."""
    bytes_of = {each.name: each.bytes for each in memory.terms}
    state = bytes_of.get("optimizer", 0)
    trained, what = bytes_of["weights"], "weights"
    if not training.trains_all:
        trained, what = 4 * _adapters(training)[0], "adapters"
    largest, download = max(state, min(trained, _SHARD_BYTES)), needs.download_bytes
    if download is None:
        return needs.replace(largest_file_bytes=largest)
    line = f"{times(_KEPT_CHECKPOINTS, 'checkpoint')} of {trained:,} bytes of {what}"
    line += f" and {state:,} bytes of optimizer state" if state else ""
    return needs.replace(
        disk_bytes=download + _KEPT_CHECKPOINTS * (trained + state),
        largest_file_bytes=max(largest, min(download, _SHARD_BYTES)),
        download_source=f"{needs.download_source}; on disk also {line}",
    )


# ------------------------------------------------------------------ model states


def _states_of_all(training: _Training, activations_low_bytes: int) -> list[Term]:
    """Two bytes of weights and gradients, and what the optimizer keeps with a float32 copy. The
    least is all in 16 bits, without a copy; gradients are made while activations are let go.
    """
    architecture, total = training.architecture, training.parameters
    wide = architecture.dtype == "float32"
    source = (
        "mixed-precision Adam, ZeRO (arXiv 1910.02054, section 3.1); at least: all in 16 bits, as"
        " transformers loads what is published so, which keeps no copy"
    )
    how = How.EXACT
    if name := architecture.expert_dtype or architecture.matrix_dtype:
        source, how = f"{source}; {name} {_EXPANDED}", How.COMPUTED
    line = f"{total:,} parameters × 2 bytes; × 4 bytes where gradients are kept in float32"
    low = max(total // 100, 2 * total - activations_low_bytes)
    gradients = term(
        "gradients", 2 * total, How.COMPUTED, source, line, low=low, high=4 * total,
    )  # fmt: skip
    states = {"adamw": (4, 12), "adamw_8bit": (2, 6)}.get(training.optimizer)
    if states is None:
        # what keeps no state has no other term for the copy
        line = f"{total:,} parameters × 6 bytes; in 16 bits and in float32"
        low = (4 if wide else 2) * total
        return [term("weights", 6 * total, How.COMPUTED, source, line, low=low), gradients]
    weights = term("weights", 2 * total, how, source, f"{total:,} parameters × 2 bytes")
    least, likely = states
    tables = 0
    if training.optimizer == "adamw_8bit":
        # bitsandbytes keeps in float32 the states of tables, in transformers' Trainer
        tables = (architecture.vocabulary or 0) * architecture.embedding_length
    size = likely * total + 6 * tables
    line = f"{total:,} × {likely} bytes + {tables:,} of embeddings × 6 bytes; copy and moments"
    low = (likely if wide else least) * total
    return [weights, gradients, term("optimizer", size, How.COMPUTED, source, line, low=low)]


def _states_of_adapters(training: _Training) -> list[Term]:
    """Of adapters in float32 on weights that stay as they are."""
    number, most = _adapters(training)
    frozen = _frozen(training)
    source = "LoRA (arXiv 2106.09685) on every linear layer but the output, in float32 (peft)"
    if most > number:
        source += "; the most: on routed experts or encoders too, as peft 0.21.2 has all-linear"
    least = 2 if training.method == "qlora" else 4
    line = f"{frozen.arithmetic} + {number:,} of adapters × 4 bytes; rank {training.rank}"
    terms = [
        term(
            "weights",
            frozen.bytes + 4 * number,
            frozen.how,
            f"{frozen.source}; {source}",
            line,
            low=frozen.low_bytes + least * number,
            high=frozen.high_bytes + 4 * most,
        )
    ]
    sizes = {"gradients": 4, "optimizer": {"adamw": 8, "adamw_8bit": 2}.get(training.optimizer, 0)}
    for name, each in sizes.items():
        if each:
            line = f"{number:,} of adapters × {each} bytes"
            low, high = each * number * least // 4, int(each * most * 1.05)
            size = each * number
            terms.append(term(name, size, How.COMPUTED, source, line, low=low, high=high))
    return terms


def _adapters(training: _Training) -> tuple[int, int]:
    """Likely and most parameters of the adapters. Encoders have narrower matrices: up to four times
    as many adapter parameters a weight.
    """
    number, high = adapter_parameters(training.architecture, training.row, training.rank)
    encoders = training.spec.parameters.encoders or 0
    return number, high + 4 * encoders * number // max(1, training.parameters)


def _experts_of(linear: tuple[Linear, ...]) -> int:
    return sum(each.weights for each in linear if each.part == "expert")


def _frozen(training: _Training) -> Term:
    """The weights that stay as they are."""
    architecture, row = training.architecture, training.row
    narrow = architecture.expert_dtype or architecture.matrix_dtype
    total, packed = training.parameters, _packed_type(architecture)
    if packed is not None:
        return _frozen_packed(training, packed)
    if training.method == "qlora":
        return _frozen_in_4_bits(training)
    width = 4 if architecture.dtype == "float32" else 2
    size = low = high = width * total
    source = f"{narrow} {_EXPANDED}" if narrow else "frozen weights in the published type"
    if architecture.dtype is None and not narrow:
        high, source = 2 * size, f"{source}, which is not stated: 16 to 32 bits"
    elif narrow and narrow.startswith("float8"):
        # FP8Linear of transformers passes gradients to what stands on it
        encoders = training.spec.parameters.encoders or 0
        low = min(size, int(sum(stored_types(architecture, row).values())) + 2 * encoders)
        source += "; at least: as stored, on a GPU of compute capability 8.9 or newer"
    line = f"{total:,} parameters × {width} bytes"
    return term("weights", size, How.COMPUTED, source, line, low=low, high=high)


def _frozen_packed(training: _Training, packed: str) -> Term:
    """Matrices packed as they are stored, the others in 16 bits or cast by peft: where the trainer
    has it prepare the model, and not of AWQ and GPTQ.
    """
    sizes = stored_types(training.architecture, training.row)
    plain = training.architecture.dtype or "bfloat16"
    beside = int(sizes.get(plain, 0)) + 2 * (training.spec.parameters.encoders or 0)
    stored = int(sum(size for type, size in sizes.items() if type != plain))
    likely = beside if packed.startswith(("gptq", "awq")) else 2 * beside
    most = (beside if packed.startswith("gptq") else 2 * beside) + 2 * training.experts
    source = f"{packed} weights as they are stored, the others in 16 bits or in float32"
    line = f"{stored:,} bytes of {packed} + {likely:,} bytes of others"
    low, high = stored + beside, stored + most
    return term("weights", stored + likely, How.COMPUTED, source, line, low=low, high=high)


def _frozen_in_4_bits(training: _Training) -> Term:
    """Linear layers in NF4: a byte for the scale of 64 weights, four for 256 scales; with one step
    4 bytes for 64.
    """
    experts = training.experts
    linear = sum(each.weights for each in training.linear) - experts
    rest = training.parameters - linear - experts
    low, likely, high = _expert_bytes(experts)
    quantized = -(-linear * 2113 // 4096)
    line = f"{linear:,} linear × 2113 / 4096 bytes + {experts:,} of experts × 2 bytes"
    return term(
        "weights",
        quantized + likely + 4 * rest,
        How.COMPUTED,
        "NF4 with double quantization, 4.127 bits (arXiv 2305.14314); peft casts the rest to"
        " float32; experts: 4 bits where the trainer quantizes them (Unsloth, Axolotl), 16 as"
        " bitsandbytes leaves them (its issue 1849), 32 where peft casts them",
        f"{line} + {rest:,} others × 4 bytes",
        low=quantized + low + 2 * rest,
        high=-(-linear * 9 // 16) + high + 4 * rest,
    )


def _expert_bytes(experts: int) -> tuple[int, int, int]:
    """Bytes of routed experts under QLoRA: in 4 bits where the trainer quantizes them itself, in 16
    as bitsandbytes leaves them, in 32 where peft casts them.
    """
    return -(-experts * 2113 // 4096), 2 * experts, 4 * experts


def experts_by_trainer(
    spec: ModelSpec, architectures: Mapping[str, Any]
) -> tuple[int, int, int] | None:
    """Bytes of the routed experts under QLoRA in 4, 16 and 32 bits (`_expert_bytes`); None for a
    model without them.
    """
    architecture = spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    if architecture is None or row is None:
        return None
    experts = _experts_of(layers_of(architecture, row).linear)
    return _expert_bytes(experts) if experts else None


# ------------------------------------------------------------------ activations


def _activations(training: _Training) -> Term:
    """What the forward pass saves for the backward pass, with the logits and the last norm."""
    architecture, tokens = training.architecture, training.tokens
    likely = _token_bytes(training, _LOGIT_BYTES, 1.0)
    line, beside = f"{tokens:,} tokens × {likely:,} bytes", 0
    if training.method == "qlora" or _packed_type(architecture):
        sizes = (each.inputs * each.outputs for each in training.linear if each.part != "expert")
        largest = max(sizes, default=0)
        beside = 2 * largest
        line += f" + {largest:,} × 2 bytes of the widest matrix"
    if training.checkpointing:
        line += "; one input of each layer, and the larger of one layer and the logits"
    high = tokens * _token_bytes(training, _LOGIT_HIGH_BYTES, 2.0) + beside
    if not training.trains_all:
        # peft adds adapters to all experts of a layer at once
        at_once = architecture.layers if training.checkpointing else 1
        high += 2 * _width(training) * training.experts // at_once
    encoders, total = training.spec.parameters.encoders or 0, training.spec.parameters.total or 0
    if encoders and total:
        high += high * encoders // total
    source = (
        "count of the tensors saved for the backward pass (method of arXiv 2205.05198) with fused"
        " attention; the most: twice as much, where nothing is kept in 16 bits"
    )
    how = How.ASSUMED if architecture.recurrent else How.COMPUTED
    low = int(0.8 * tokens * _token_bytes(training, LOGIT_LOW_BYTES, 0.9))
    return term("activations", tokens * likely + beside, how, source, line, low=low, high=high)


def _width(training: _Training) -> int:
    """Bytes of a number that the model computes with."""
    return 4 if training.method == "lora" and training.architecture.dtype == "float32" else 2


def _token_bytes(training: _Training, logit_bytes: int, share: float) -> int:
    """Bytes that one token leaves, where layers keep that share of the count."""
    architecture, saved = training.architecture, _saved_in_layers(training)
    embeds = training.row.encoder or training.spec.modality == "embedding"
    words = 0 if embeds or not architecture.output_matrix else architecture.vocabulary or 0
    logits, norm = logit_bytes * words, 8 * architecture.embedding_length
    if not training.checkpointing:
        return int(share * sum(saved)) + logits + norm
    inputs = architecture.layers * _width(training) * architecture.embedding_length
    # the logits are gone before the first layer is computed again
    return inputs + max(int(share * max(saved)), logits) + norm


def _saved_in_layers(training: _Training) -> list[int]:
    """Bytes that one token leaves in each layer: inputs of norms and matrices, queries, keys and
    values, gate and up.
    """
    architecture, trains_all = training.architecture, training.trains_all
    hidden = architecture.embedding_length
    layers = [(16 if trains_all else 28) * hidden] * architecture.layers
    parts = [(each.layers, _saved_by_attention(training, each)) for each in architecture.attention]
    for state in architecture.recurrent:
        inner = state.inner_length or (state.heads or 0) * (state.value_length or 0) or hidden
        parts.append((state.layers, 16 * inner))
    for part in architecture.feed_forward:
        parts.append((part.layers, _saved_by_feed_forward(part, hidden, trains_all)))
    for numbers, size in parts:
        for layer in numbers:
            layers[layer] += size
    return layers


def _saved_by_feed_forward(part: FeedForward, hidden: int, trains_all: bool) -> int:
    """Gate, up and their product; a routed token is gathered and its result weighted."""
    used = part.used or 1
    size = (part.length * used + (part.shared_length or 0)) * (8 if trains_all else 10)
    moved = 2 * used * hidden * (2 if trains_all else 1)
    return size + (moved if part.experts else 0)


def _saved_by_attention(training: _Training, group: Attention) -> int:
    """Queries, keys, values and the result; their norms, and scores that are not fused."""
    row, is_latent = training.row, group.kind == "latent"
    kv_heads = group.heads if is_latent else group.kv_heads
    key = group.key_length + ((group.rope_length or 0) if is_latent else 0)
    size = 2 * (group.heads + kv_heads) * (key + group.value_length)
    if not training.trains_all:
        size += 4 * group.heads * group.value_length
    kind = group.query_key_norm or training.architecture.query_key_norm or row.query_key_norm
    if kind and kind != "none":
        size += (6 if training.trains_all else 4) * (group.heads + kv_heads) * key
    if row.attention_sinks or row.torch_scores == "eager":
        # scores in float32, in 16 bits, and tanh of a cap
        size += 10 * group.heads * training.context_tokens
    return size


# ------------------------------------------------------------------ several devices


def why_not_shared_out(workload: Workload) -> tuple[str, str] | None:
    """Why a training that no accelerator holds alone is not shared out over several, and what
    to do instead; None where it is.
    """
    if workload.task != "finetune" or workload.optimizer in (None, "adamw", "sgd"):
        return None
    why = "FSDP and ZeRO-3 cannot split the states of bitsandbytes' 8-bit AdamW across several"
    return f"{why} accelerators", "use --optimizer adamw, which they can split"


def how_to_offload(workload: Workload, devices: int) -> tuple[str, str] | None:
    """Why a training of which `devices` hold the parts is not judged on them, and how people do it;
    None for other methods than QLoRA (AnswerDotAI/fsdp_qlora, README.md, `--use_cpu_offload`).
    """
    if workload.finetune_method != "qlora":
        return None
    why = (
        f"FSDP across {devices} GPUs with a part in RAM, as Answer.AI trained a 70B on two of 24"
        " GB, is not judged"
    )
    remedy = (
        "try that before the CPU, QLoRA with FSDP and CPU offload:"
        " https://huggingface.co/docs/bitsandbytes/main/en/fsdp_qlora"
    )
    return why, remedy


def what_to_lower(workload: Workload, *, is_shared_out: bool = False) -> str | None:
    """What makes training take less of an accelerator; None where nothing is trained.
    `is_shared_out`: over several of them.
    """
    if workload.task != "finetune":
        return None
    ways = []
    if workload.checkpointing is False:
        ways.append("leave out --no-checkpointing")
    if workload.finetune_method != "qlora":
        ways.append("use --finetune-method qlora")
    if workload.parallel > 1:
        ways.append("use --parallel 1")
    ways.append("use a shorter --context")
    if workload.finetune_method != "full":
        # logits take more than layers where the vocabulary is large
        ways.append("train with `--use_liger_kernel` of trl, which keeps no logits")
    elif not is_shared_out:
        # its pages move to the RAM
        ways.append("train with `--optim paged_adamw_8bit`")
    return ", or ".join(ways)


def which_holds_less(spec: ModelSpec, workload: Workload) -> str | None:
    """What to train with where the trainer decides how wide most of the model lies: routed experts
    under QLoRA, and all of a full training by AdamW; None elsewhere.
    """
    architecture = spec.architecture
    layers = architecture.feed_forward if architecture is not None else ()
    if workload.finetune_method == "qlora" and any(layer.experts for layer in layers):
        return (
            "train with Unsloth or Axolotl, which quantize the experts too; peft with bitsandbytes"
            " leaves them in 16 or 32 bits"
        )
    is_wide = architecture is None or architecture.dtype == "float32"
    if workload.finetune_method != "full" or is_wide or workload.optimizer not in (None, "adamw"):
        return None
    # accelerate casts what FSDP shares out to 32 bits in mixed precision (its pull request 2674)
    return (
        "train all in 16 bits: `--dtype bfloat16` of trl, and no mixed precision in the file of"
        " `--accelerate_config`, in which FSDP keeps a copy in 32 bits"
    )


def gathered(spec: ModelSpec, workload: Workload) -> Term | None:
    """What each of several devices holds beside its share with FSDP or ZeRO-3: the layer at work
    and the next one, with the embeddings, which stay.

    None where that is not known, and where `why_not_shared_out` gives a reason.
    """
    architecture, total = spec.architecture, spec.parameters.total
    if workload.task != "finetune" or why_not_shared_out(workload) is not None:
        return None
    if architecture is None or not total or not architecture.vocabulary or not architecture.layers:
        return None
    tables = 2 if architecture.output_matrix else 1
    root = architecture.vocabulary * architecture.embedding_length * tables
    layers = max(0, total - root)
    layer = -(-layers // architecture.layers)
    method = workload.finetune_method or "lora"
    if method == "full":
        widest = max(root, layer)
        return term(
            GATHERED,
            2 * (root + 2 * layer) + 6 * widest,
            How.COMPUTED,
            f"{_FSDP}; least: without gradients",
            f"2 bytes × ({root:,} of embeddings + 2 × {layer:,} of a layer) + (2 + 4) bytes ×"
            f" {widest:,} for gradients on their way",
            low=2 * (root + 2 * layer),
            high=(2 + 6) * root + 4 * 6 * layer,
        )
    least, likely, most = 2.0, 2.0, 2.0
    scaled = 0
    if method == "qlora":
        # FSDP shares out the numbers of 4 bits, each device keeps all scales; the width of experts
        # is the trainer's
        scaled, least = layers, 0.5
        likely, most = (2, 4) if any(part.experts for part in architecture.feed_forward) else (
            0.5, 0.5,
        )  # fmt: skip
    # what is gathered stands twice until it is copied to its place
    size = 2 * root + 2 * likely * layer + max(2 * root, likely * layer) + scaled / 64
    high = 2 * root + 8 * most * layer + max(2 * root, 4 * most * layer) + scaled / 16
    line = (
        f"2 bytes × {root:,} of embeddings + {likely:g} bytes × 2 × {layer:,} of a layer +"
        f" {int(max(2 * root, likely * layer)):,} bytes twice + {scaled:,} / 64 bytes of scales"
    )
    low = int(2 * root + 2 * least * layer)
    return term(GATHERED, int(size), How.COMPUTED, _FSDP, line, low=low, high=int(high))
