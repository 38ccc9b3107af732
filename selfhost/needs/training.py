"""The needs of fine-tuning with transformers and peft: of every weight, or of adapters on 16-bit
(LoRA) or 4-bit weights (QLoRA), in one process on one device.

What goes in: a case. What comes out: the files, the checkpoints of a run, and the terms of one
training step in bytes.

Weights, gradients and optimizer are the model states of ZeRO (arXiv 1910.02054, section 3.1: 16
bytes a parameter with mixed-precision Adam); NF4 with double quantization takes 4.127 bits (QLoRA,
arXiv 2305.14314, section 3). Activations follow arXiv 2205.05198, section 4, without attention
scores, since fused attention does not save them. The runs of tests/truth/finetune.json lie inside
the ranges.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.architecture import Attention
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import TRAINED_FORMATS
from ..core.records import Record, Stated, Unread
from ..core.tables import shipped_record
from ..core.templates import fill
from ..core.units import plural
from ..core.workload import DEFAULT_LORA_RANK
from .case import Case, is_cast, stored_type, why_no_encoders
from .file_formats import why_cache_not_known
from .python import SHARD_BYTES
from .records import How, Needs, Size, Term, computed_term, likely_bytes, term, unread
from .tensors import count_parameters, published_tensors
from .weight_files import cast_to, linear_layers, size_of


class _ActivationEnds(Stated):
    """The least and the most of activations, and the most with checkpointing, as shares of the
    likely size.
    """

    low: float
    high: float
    checkpointed: float


class TrainingRefusal(Stated):
    """The reason why the memory of training is not known, and the remedy; "" for none."""

    why: str
    remedy: str = ""


class _TrainingTable(Stated):
    """`[training]` of specs/common/memory.toml, which explains each key."""

    kept_checkpoints: int
    packed: tuple[str, ...]
    logit_bytes: int
    states: Mapping[str, tuple[int, ...]]
    adapter_states: Mapping[str, int]
    all_source: str
    lora_source: str
    frozen_source: str
    nf4_source: str
    activation_ends: _ActivationEnds
    activations_source: str
    refused: Mapping[str, TrainingRefusal]


_RULES = shipped_record(_TrainingTable, "memory", "training")
# bytes of a weight in 16 bits
_HALF_BYTES = 2
# bytes of a number of adapters and of weights that peft casts to float32
_FLOAT_BYTES = 4
# 4096 weights in NF4 with double quantization take 2048 bytes, one byte for the scale of each 64
# weights, and one float32 for each 256 scales
_NF4_BYTES = 2113
_NF4_WEIGHTS = 4096


class AdapterParameters(Record):
    """The parameters of adapters: likely those on linear layers outside of experts and encoders, at
    most those on every linear layer.
    """

    likely: int
    most: int


class Training(Record):
    """A case of fine-tuning, with defaults filled in for open choices.

    - `tokens`: the tokens of one training step.
    - `parameters`: the number of all parameters.
    - `linear`: the parameters of linear layers, without experts.
    - `experts`: the parameters of experts.
    - `adapters`: the parameters of the adapters.
    """

    case: Case
    tokens: int
    parameters: int
    linear: int
    experts: int
    adapters: AdapterParameters
    trains_all: bool

    @property
    def is_wide(self) -> bool:
        """Whether the weights are in 32 bits."""
        return self.case.model.dtype == "float32"

    @property
    def optimizer(self) -> str:
        """The optimizer that was asked for, else the usual one."""
        return self.case.workload.optimizer or "adamw"


def finetune_needs(case: Case) -> Needs:
    """The needs of one training step with `parallel` sequences at once, and of the checkpoints of a
    run.

    Adapters count as weights. `disk_bytes` includes the checkpoints that are kept.
    """
    refusal = _why_not_by_program(case)
    if refusal is not None:
        return _without_memory(Needs(), refusal)
    needs = _download(case)
    refusal = _why_not_by_model(case)
    if refusal is not None:
        return _without_memory(needs, refusal)
    training = training_of(case)
    files = needs.files
    download = None if files is None else files.bytes
    states = _model_states(training, download)
    # a checkpoint holds the trained weights and the state of the optimizer
    optimizer_bytes = likely_bytes(states, "optimizer")
    trained_bytes = _FLOAT_BYTES * training.adapters.likely
    if training.trains_all:
        trained_bytes = likely_bytes(states, "weights")
    checkpoint = trained_bytes + optimizer_bytes
    kept = _RULES.kept_checkpoints
    if files is not None:
        line = f"on disk also {plural(kept, 'checkpoint')} of {checkpoint:,} bytes"
        files = files.replace(source=f"{files.source}; {line}")
    # weights are written in shards, and the state of the optimizer in one file
    largest_shard = min(max(trained_bytes, download or 0), SHARD_BYTES)
    return needs.replace(
        files=files,
        written_bytes=kept * checkpoint,
        terms=(*states, _activations(training), case.program),
        largest_file_bytes=max(optimizer_bytes, largest_shard),
    )


def _without_memory(needs: Needs, refusal: TrainingRefusal) -> Needs:
    """The needs, with the reason why the memory, and the size on disk, is not known."""
    first = "disk_bytes" if needs.download_bytes else "download_bytes"
    disk = unread(refusal.why, refusal.remedy or None, first)
    needs = needs.without(disk, disk.replace(fact="memory"))
    return needs.replace(written_bytes=None)


def _download(case: Case) -> Needs:
    """The files that training starts from: a copy in 16 bits where the method does not quantize the
    published weights again, else these.
    """
    parameters = case.spec.parameters.total
    stored = type_not_quantized_again(case.spec, case.workload.finetune_method or "")
    if stored is not None and parameters is not None:
        copy = computed_term(
            "files",
            _HALF_BYTES * parameters,
            f"a copy in 16 bits, as {stored} is not quantized again",
            f"{parameters:,} parameters × {_HALF_BYTES} bytes",
        )
        return Needs(files=copy)
    format = "safetensors"
    if case.workload.format in TRAINED_FORMATS:
        format = case.workload.format
    files = size_of(case.replace(format=format, quantization=stored_type(case.model)))
    if isinstance(files, Unread):
        return Needs(unknown=(files,))
    return Needs(files=files)


def training_of(case: Case) -> Training:
    """The training that a case asks for, with its parameters counted. Method, rank and optimizer
    have their usual values where the user asked for none.
    """
    workload = case.workload.with_finetuning_defaults()
    trains_all = workload.finetune_method == "full"
    case = case.replace(workload=workload)
    if not trains_all and is_cast(case.spec, case.runtime, workload.quantization):
        # the commands for adapters state the type of frozen weights (--dtype of trl)
        case = cast_to(case)
    rank = workload.lora_rank or DEFAULT_LORA_RANK
    linear = 0
    experts = 0
    adapters = 0
    expert_adapters = 0
    for layer in linear_layers(case.model):
        # one matrix makes both keys and values of latent attention
        inputs = 0 if layer.part == "latent values" else layer.inputs
        added = rank * (inputs + layer.outputs) * layer.number
        if layer.part == "expert":
            experts += layer.weights
            expert_adapters += added
        else:
            linear += layer.weights
            adapters += added
    parameters = count_parameters(published_tensors(case.model)) + case.encoders
    # encoders have narrower matrices: up to four times as many adapter parameters for each weight
    encoder_adapters = 4 * case.encoders * adapters // max(1, parameters)
    most = adapters + expert_adapters + encoder_adapters
    return Training(
        case=case,
        tokens=case.context_tokens * workload.parallel,
        parameters=parameters,
        linear=linear,
        experts=experts,
        adapters=AdapterParameters(likely=adapters, most=most),
        trains_all=trains_all,
    )


# ------------------------------------------------------------------ why it is not computed


def _refused(key: str, **figures: str) -> TrainingRefusal:
    """The refusal of that key of the table, filled with the figures."""
    words = _RULES.refused[key]
    why = fill(words.why, figures)
    return TrainingRefusal(why=why, remedy=fill(words.remedy, figures))


def _why_not_by_program(case: Case) -> TrainingRefusal | None:
    """The refusal where nothing of the training is known, not even its files; None where the
    program can train.
    """
    runtime = case.runtime
    if not runtime.id:
        return _refused("no_program")
    trainer = runtime.finetuning.trainer
    if trainer:
        return _refused("trainer", runtime=runtime.name, trainer=trainer)
    untyped = case.spec.unknown.get("architecture.matrix_dtype")
    if untyped is not None:
        return _refused("untyped", untyped=untyped)
    if not runtime.finetuning.methods:
        return _refused("runs_alone", runtime=runtime.name)
    return None


def _why_not_by_model(case: Case) -> TrainingRefusal | None:
    """The refusal where only the memory of training is not known; None where it can be computed."""
    spec = case.spec
    model = case.model
    if not _is_of_text(case):
        # a model of modality text that is refused here hears audio
        kind = "audio" if spec.modality == "text" else spec.modality
        elsewhere = case.runtime.finetuning.elsewhere.get(spec.modality, "")
        return _refused("kind", kind=kind, elsewhere=elsewhere)
    if not case.has_all_tensors:
        return _refused("no_tensors")
    why_no_cache = why_cache_not_known(model, case.runtime)
    if case.row.rewrites or why_no_cache is not None:
        return _refused("row", row=model.row)
    if "nvfp4" in model.narrow_types:
        return _refused("nvfp4")
    no_encoders = why_no_encoders(spec)
    if no_encoders is not None:
        return _refused("encoders", encoders=no_encoders)
    return None


def _is_of_text(case: Case) -> bool:
    """Whether the model reads text, pictures or both, and hears nothing."""
    if case.spec.components:
        return False
    if case.model.audio is not None:
        return False
    return case.spec.modality in ("text", "vision", "embedding")


def why_not_trained(spec: ModelSpec, method: str) -> TrainingRefusal | None:
    """The refusal where transformers does not train the spec's weights by that method; None where
    transformers does, or may.
    """
    if _is_of_mlx(spec):
        return _refused("quantized")
    stored = _narrow_type(spec)
    if stored is not None and stored.startswith(_RULES.packed):
        return _refused("quantized")
    not_again = type_not_quantized_again(spec, method)
    # others publish 16-bit copies of a model whose publisher has narrow weights
    if not_again is None or not _was_read_from_files(spec):
        return None
    return _refused("narrow", stored=not_again)


def type_not_quantized_again(spec: ModelSpec, method: str) -> str | None:
    """The type of the published weights, where the method quantizes weights and transformers does
    not quantize these again; else None.
    """
    stored = _narrow_type(spec)
    if stored is None or method != "qlora":
        return None
    # `_why_not_by_model` refuses NVFP4
    if stored == "nvfp4" or stored.startswith(_RULES.packed):
        return None
    return stored


def _narrow_type(spec: ModelSpec) -> str | None:
    """The type of the published weights that take less than 16 bits; None where none do."""
    if spec.architecture is None or not spec.architecture.narrow_types:
        return None
    return spec.architecture.narrow_types[0]


def _is_of_mlx(spec: ModelSpec) -> bool:
    """Whether the weights were quantized for MLX."""
    if spec.quantized is None:
        return False
    return spec.quantized.format == "mlx"


def _was_read_from_files(spec: ModelSpec) -> bool:
    """Whether the spec was read from model files on this machine, not from a spec file."""
    if spec.quantized is not None:
        return True
    return not spec.origin.endswith(".toml")


# ------------------------------------------------------------------ the model states


def _model_states(training: Training, download: int | None) -> list[Term]:
    """The terms of the model states: weights, gradients and optimizer, of all weights, or of
    adapters on frozen weights. `download`: bytes of the files; None where not known.
    """
    if training.trains_all:
        states = _states_of_all(training)
    else:
        states = _states_of_adapters(training, download)
    return [state for state in states if state.bytes]


def _states_of_all(training: Training) -> list[Term]:
    """The model states where every weight is trained: 2 bytes a parameter for the weights, 2 bytes
    for the gradients, and the bytes of the optimizer.
    """
    total = training.parameters
    least, likely = _RULES.states[training.optimizer]
    if training.is_wide:
        least = likely
    half_bytes = _HALF_BYTES * total
    gradients = Size(max(1, total // 100), half_bytes, _FLOAT_BYTES * total)
    optimizer = Size(least, likely, likely).times(total)
    line = f"{total:,} parameters"
    source = _RULES.all_source
    return [
        computed_term("weights", half_bytes, source, f"{line} × 2 bytes"),
        computed_term("gradients", gradients, source, f"{line} × 2 bytes"),
        computed_term("optimizer", optimizer, source, f"{line} × {likely} bytes"),
    ]


def _states_of_adapters(training: Training, download: int | None) -> list[Term]:
    """The model states of training adapters: frozen weights with adapters in 32 bits, and gradients
    and optimizer of the adapters alone.
    """
    adapters = training.adapters
    if training.case.workload.finetune_method == "qlora":
        frozen = _frozen_in_nf4(training)
    else:
        frozen = _frozen_as_loaded(training, download)
    weights = Size(
        frozen.size.least + _HALF_BYTES * adapters.likely,
        frozen.size.likely + _FLOAT_BYTES * adapters.likely,
        frozen.size.most + _FLOAT_BYTES * adapters.most,
    )
    source = f"{frozen.source}; {_RULES.lora_source}"
    line = frozen.arithmetic
    line += f" + {adapters.likely:,} of adapters × {_FLOAT_BYTES} bytes"
    optimizer_bytes = _RULES.adapter_states[training.optimizer]
    return [
        computed_term("weights", weights, source, line),
        _state_of_adapters("gradients", adapters, _FLOAT_BYTES, source),
        _state_of_adapters("optimizer", adapters, optimizer_bytes, source),
    ]


def _state_of_adapters(
    name: str,
    adapters: AdapterParameters,
    bytes_each: int,
    source: str,
) -> Term:
    """The term of a state that has so many bytes for each parameter of the adapters, at the least
    half as many.
    """
    likely = bytes_each * adapters.likely
    most = int(bytes_each * adapters.most * 1.05)
    line = f"{adapters.likely:,} of adapters × {bytes_each} bytes"
    return computed_term(name, Size(likely // 2, likely, most), source, line)


def _frozen_in_nf4(training: Training) -> Term:
    """The frozen weights with linear layers in NF4. Experts are in 16 bits, as bitsandbytes leaves
    them; at the least in NF4 too, at the most in 32 bits. Tables are in 32 bits, at the least in
    16.
    """
    linear = training.linear
    experts = training.experts
    tables = training.parameters - linear - experts
    quantized = _nf4_bytes(linear)
    size = Size(
        quantized + _nf4_bytes(experts) + _HALF_BYTES * tables,
        quantized + _HALF_BYTES * experts + _FLOAT_BYTES * tables,
        # one 32-bit scale for each 64 weights
        -(-linear * 9 // 16) + _FLOAT_BYTES * (experts + tables),
    )
    line = f"{linear:,} linear × {_NF4_BYTES} / {_NF4_WEIGHTS} bytes"
    line += f" + {experts:,} of experts × 2 bytes + {tables:,} others × 4 bytes"
    return computed_term("weights", size, _RULES.nf4_source, line)


def _nf4_bytes(weights: int) -> int:
    """The bytes of weights in NF4 with double quantization, rounded up."""
    return -(-weights * _NF4_BYTES // _NF4_WEIGHTS)


def _frozen_as_loaded(training: Training, download: int | None) -> Term:
    """The frozen weights, all in the type that they are loaded in."""
    model = training.case.model
    width = _FLOAT_BYTES if training.is_wide else _HALF_BYTES
    size = width * training.parameters
    least = size
    most = size
    if model.narrow_types and download is not None:
        # the low end leaves the weights in FP8: FP8Linear of transformers passes gradients through
        least = min(least, download)
    elif model.dtype is None:
        most *= 2
    line = f"{training.parameters:,} parameters × {width} bytes"
    return computed_term("weights", Size(least, size, most), _RULES.frozen_source, line)


# ------------------------------------------------------------------ activations


def _activations(training: Training) -> Term:
    """The activations that the forward pass saves for the backward pass, with the logits and the
    last norm: tokens × bytes of a token.
    """
    case = training.case
    model = case.model
    in_layers, in_widest = _saved_by_token(training)
    logits = _logit_bytes(case)
    is_wide = training.is_wide and case.workload.finetune_method == "lora"
    width = _FLOAT_BYTES if is_wide else _HALF_BYTES
    # peft makes a copy of all experts of a layer with their adapters added, for the backward pass
    expert_copies = 0
    if not training.trains_all:
        expert_copies = 2 * width * training.experts
    if case.workload.checkpointing:
        # the logits are freed before the first layer is computed again
        inputs = model.layers * width * model.embedding_length
        of_token = inputs + max(in_widest, logits)
        expert_copies //= model.layers
        most_share = _RULES.activation_ends.checkpointed
        remark = "; one input of each layer, and the larger of one layer and the logits"
    else:
        of_token = in_layers + logits
        most_share = _RULES.activation_ends.high
        remark = ""
    of_token += 8 * model.embedding_length
    size = training.tokens * of_token
    least = int(_RULES.activation_ends.low * size)
    most = int(most_share * size) + expert_copies
    how = How.ASSUMED if model.recurrent else How.COMPUTED
    line = f"{training.tokens:,} tokens × {of_token:,} bytes{remark}"
    ends = Size(least, size, most)
    return term("activations", ends, _RULES.activations_source, line, how)


def _logit_bytes(case: Case) -> int:
    """The bytes of a token's logits; 0 for a model that embeds."""
    model = case.model
    if case.row.encoder or case.embeds or not model.output_matrix:
        return 0
    return _RULES.logit_bytes * model.published_tokens


def _saved_by_token(training: Training) -> tuple[int, int]:
    """The bytes that norms and sums, attention or recurrence, and the feed-forward save of one
    token for the backward pass: in all layers, and in the widest.
    """
    model = training.case.model
    trains_all = training.trains_all
    width = model.embedding_length
    by_norms = (16 if trains_all else 28) * width
    in_layers = by_norms * model.layers
    # bytes in the widest layer
    by_mixing = 0
    by_feed_forward = 0
    for group in model.attention:
        size = _saved_by_attention(group, trains_all=trains_all)
        by_mixing = max(by_mixing, size)
        in_layers += size * len(group.layers)
    for recurrent in model.recurrent:
        inner = recurrent.inner_numbers or width
        size = 16 * inner
        by_mixing = max(by_mixing, size)
        in_layers += size * len(recurrent.layers)
    for feed_forward in model.feed_forward:
        inner = feed_forward.length * feed_forward.chosen
        inner += feed_forward.shared_numbers
        # four arrays of the inner length in 16 bits, five with adapters
        size = (8 if trains_all else 10) * inner
        by_feed_forward = max(by_feed_forward, size)
        in_layers += size * len(feed_forward.layers)
    return in_layers, by_norms + by_mixing + by_feed_forward


def _saved_by_attention(group: Attention, *, trains_all: bool) -> int:
    """The bytes that attention saves of one token: queries, keys and values in 16 bits; with
    adapters also the output in 32 bits.
    """
    kv_heads = group.heads if group.kind == "latent" else group.kv_heads
    lengths = group.key_length + group.value_length
    size = 2 * (group.heads + kv_heads) * lengths
    if not trains_all:
        size += 4 * group.heads * group.value_length
    return size
