"""Training a model further with transformers and peft: every weight, or adapters on 16-bit (LoRA)
or 4-bit weights (QLoRA), in one process on one device.

Weights, gradients and optimizer are the model states of ZeRO (arXiv 1910.02054, section 3.1: 16
bytes a parameter with mixed-precision Adam); NF4 with double quantization takes 4.127 bits (QLoRA,
arXiv 2305.14314, section 3). Activations follow arXiv 2205.05198, section 4, without scores, which
fused attention does not save. The runs of tests/truth/finetune.json lie inside the ranges.
"""

from __future__ import annotations

from ..catalogue.architecture import Architecture
from ..catalogue.quantization_names import CHECKPOINTS
from ..catalogue.spec import ModelSpec
from ..core.records import Record, Unread
from ..core.workload import DEFAULT_CONTEXT_TOKENS, DEFAULT_LORA_RANK, Workload
from .cache import why_not_known
from .case import Case, is_cast, overhead, why_no_encoders
from .checkpoints import adapter_parameters, linear_layers, size_of
from .python import SHARD_BYTES
from .records import How, MemoryNeed, Needs, Term, term, times, unread
from .tensors import checkpoint_tensors, count

# a Trainer that keeps one checkpoint writes the new one before it removes the old one
_KEPT_CHECKPOINTS = 2
# how matrices are stored that a quantizer packed, or that were trained so (BitNet)
_PACKED = ("awq", "gptq", "nf4", "int8", "ternary")
_LOGIT_BYTES = 14
_STATES = {"adamw": (4, 12), "adamw_8bit": (2, 6), "sgd": (1, 4)}
"""Least and likely bytes that an optimizer keeps of a parameter, the float32 copy included."""
_ADAPTER_STATES = {"adamw": 8, "adamw_8bit": 2, "sgd": 0}
_UNPACKED_MEND = "train the original weights, which these were quantized from"
_NO_TENSORS = "the tensors of the model are not known, so neither are its gradients and activations"


class _Training(Record):
    """A model and how it is trained. `parameters` are all, `experts` those of routed experts,
    `linear` those of other linear layers; `tokens` of one step.
    """

    case: Case
    architecture: Architecture
    workload: Workload
    tokens: int
    parameters: int
    linear: int
    experts: int
    adapters: int
    most_adapters: int

    @property
    def trains_all(self) -> bool:
        return self.workload.finetune_method == "full"


def finetune_needs(case: Case, needs: Needs) -> Needs:
    """What one training step and the checkpoints of a run take, beside what `needs` says already.

    Sequences are `context_tokens` long and `parallel` are trained at once. Adapters count as
    weights. `disk_bytes` is the published checkpoint and the checkpoints that a run keeps. Memory
    is None with a reason where the model's tensors are not known, for speech and images, and for a
    runtime that does not train.
    """
    refused = _why_no_figures(case)
    if refused is None:
        format = case.workload.format if case.workload.format in CHECKPOINTS else "safetensors"
        files = size_of(case.replace(format=format, quantization=case.own_type))
        if isinstance(files, Unread):
            needs = needs.replace(unknown=(files,))
        else:
            needs = needs.replace(
                download_bytes=files.bytes, download_how=files.how, download_source=files.source
            )
        refused = _why_not_computed(case)
    if refused is not None:
        first = "disk_bytes" if needs.download_bytes else "download_bytes"
        unknown = tuple(unread(*refused, fact) for fact in (first, "memory"))
        return needs.replace(unknown=(*needs.unknown, *unknown))
    training = _training_of(case)
    states = _states_of_all if training.trains_all else _states_of_adapters
    program = overhead(case.runtime, on_gpu=case.on_gpu)
    terms = *states(training, needs.download_bytes), _activations(training), program
    return _with_checkpoints(needs.replace(memory=MemoryNeed(terms=terms)), training)


def _training_of(case: Case) -> _Training:
    """The training of a workload, with its defaults filled in."""
    architecture, row, workload = case.model, case.row, case.workload.with_finetuning_defaults()
    kind = workload.quantization or ""
    if workload.finetune_method != "full" and is_cast(case.spec, case.program, kind):
        # the lines for adapters say in which type the frozen weights are loaded (--dtype of trl)
        architecture = architecture.replace(dtype=kind)
    longest = architecture.context_tokens or DEFAULT_CONTEXT_TOKENS
    context_tokens = workload.context_tokens or min(DEFAULT_CONTEXT_TOKENS, longest)
    adapters, most = adapter_parameters(architecture, row, workload.lora_rank or DEFAULT_LORA_RANK)
    weights = {True: 0, False: 0}
    for each in linear_layers(architecture, row):
        weights[each.part == "expert"] += each.weights
    parameters = count(checkpoint_tensors(architecture, row)) + case.encoders
    return _Training(
        case=case,
        architecture=architecture,
        workload=workload,
        tokens=context_tokens * workload.parallel,
        parameters=parameters,
        linear=weights[False],
        experts=weights[True],
        adapters=adapters,
        # encoders have narrower matrices: up to four times as many adapter parameters a weight
        most_adapters=most + 4 * case.encoders * adapters // max(1, parameters),
    )


def _why_no_figures(case: Case) -> tuple[str, str | None] | None:
    """Why not even the files of a training are known, and what to do instead."""
    runtime, untyped = case.program, case.spec.unknown.get("architecture.matrix_dtype")
    if runtime is None:
        why = "the spec states what running the model needs, not what training it needs"
        return why, "add [architecture] to the spec"
    if runtime.trainer:
        why = f"what training takes in {runtime.name} is not counted"
        return why, f"try it with `{runtime.trainer}`, or take --runtime transformers"
    if untyped is not None:
        why = f"in which type the weights are is not known: {untyped}"
        return why, "train the original weights, before quantization"
    otherwise = f"{runtime.name} does not train models", "take --runtime transformers"
    return None if runtime.finetune_methods else otherwise


def why_not_trained(spec: ModelSpec, method: str) -> tuple[str, str] | None:
    """Why transformers does not train a model's weights by that method, as a sentence, and what to
    do instead; None where it does, or may: others publish 16-bit copies of a publisher's own narrow
    weights, but not of these very files.
    """
    own, architecture = spec.quantized, spec.architecture
    stored = architecture.matrix_dtype or architecture.expert_dtype or "" if architecture else ""
    if (own is not None and own.format == "mlx") or stored.startswith(_PACKED):
        why = "What training takes on weights that others quantized is not counted."
        return why, _UNPACKED_MEND
    is_here = own is not None or not spec.origin.endswith(".toml")
    if method != "qlora" or not stored or not is_here or stored == "nvfp4":
        return None
    expand = "--finetune-method lora trains on them expanded to 16 bits (dequantize=True)"
    why = f"Transformers does not quantize {stored} weights again."
    return why, f"{expand}; or {_UNPACKED_MEND}"


def _why_not_computed(case: Case) -> tuple[str, str | None] | None:
    """Why nothing but the files is known of training a model, and what to do instead."""
    spec, architecture = case.spec, case.spec.architecture
    hears = architecture is not None and architecture.audio is not None
    if spec.components or spec.modality not in ("text", "vision", "embedding") or hears:
        kind = spec.modality if spec.modality != "text" else "audio"
        why = f"selfhost does not compute what training takes for {kind} models"
        return why, case.runtime.finetune_elsewhere.get(spec.modality)
    if architecture is None or not case.whole:
        return _NO_TENSORS, None
    if case.row.rewrites or why_not_known(architecture, case.row, case.program) is not None:
        return f"what training {architecture.row} takes is not computed", None
    if "nvfp4" in (architecture.matrix_dtype, architecture.expert_dtype):
        return "what training on NVFP4 weights takes is not counted", _UNPACKED_MEND
    why_none = why_no_encoders(spec)
    no_encoders = f"{why_none}, so neither are the weights and gradients of all of it"
    return None if why_none is None else (no_encoders, None)


def _with_checkpoints(needs: Needs, training: _Training) -> Needs:
    """The needs with the files that a run keeps: what is trained, and the optimizer's state."""
    bytes_of = {each.name: each.bytes for each in needs.terms}
    state, download = bytes_of.get("optimizer", 0), needs.download_bytes or 0
    trained = bytes_of["weights"] if training.trains_all else 4 * training.adapters
    largest = max(state, min(trained, SHARD_BYTES), min(download, SHARD_BYTES))
    if not download:
        return needs.replace(largest_file_bytes=largest)
    kept = f"{times(_KEPT_CHECKPOINTS, 'checkpoint')} of {trained + state:,} bytes"
    return needs.replace(
        disk_bytes=download + _KEPT_CHECKPOINTS * (trained + state),
        largest_file_bytes=largest,
        download_source=f"{needs.download_source}; on disk also {kept}",
    )


def _states_of_all(training: _Training, _: int | None) -> list[Term]:
    """Two bytes of weights and gradients, and what the optimizer keeps with a float32 copy. The
    least is all in 16 bits, without a copy, with gradients made while activations are let go.
    """
    total, (least, likely) = training.parameters, _STATES[training.workload.optimizer or "adamw"]
    source = (
        "mixed-precision Adam, ZeRO (arXiv 1910.02054, section 3.1); at least: all in 16 bits, as"
        " transformers loads what is published so, which keeps no copy"
    )
    if training.architecture.dtype == "float32":
        least = likely
    line = f"{total:,} parameters × 2 bytes"
    kept = f"{line}; × 4 bytes where gradients are kept in float32"
    ends = {"low": max(1, total // 100), "high": 4 * total}
    state = f"{total:,} parameters × {likely} bytes; copy and moments"
    return [
        term("weights", 2 * total, How.COMPUTED, source, line),
        term("gradients", 2 * total, How.COMPUTED, source, kept, **ends),
        term("optimizer", likely * total, How.COMPUTED, source, state, low=least * total),
    ]


def _states_of_adapters(training: _Training, stored: int | None) -> list[Term]:
    """Adapters in float32 on weights that stay as they are; the most has some on routed experts or
    encoders too.
    """
    number, most = training.adapters, training.most_adapters
    low, likely, high, line, source = _frozen(training, stored)
    states = _ADAPTER_STATES[training.workload.optimizer or "adamw"]
    source += "; LoRA (arXiv 2106.09685) on every linear layer but the output, in float32 (peft)"
    line += f" + {number:,} of adapters × 4 bytes"
    ends = {"low": low + 2 * number, "high": high + 4 * most}
    terms = [term("weights", likely + 4 * number, How.COMPUTED, source, line, **ends)]
    for name, each in {"gradients": 4, "optimizer": states}.items():
        if each:
            line = f"{number:,} of adapters × {each} bytes"
            ends = {"low": each * number // 2, "high": int(each * most * 1.05)}
            terms.append(term(name, each * number, How.COMPUTED, source, line, **ends))
    return terms


def _frozen(training: _Training, stored: int | None) -> tuple[int, int, int, str, str]:
    """The weights that stay as they are: least, likely and most bytes, line and source."""
    architecture, total = training.architecture, training.parameters
    tables = total - training.linear - training.experts
    if training.workload.finetune_method == "qlora":
        linear, experts = training.linear, training.experts
        quantized = -(-linear * 2113 // 4096)
        low = quantized + -(-experts * 2113 // 4096) + 2 * tables
        likely = quantized + 2 * experts + 4 * tables
        high = -(-linear * 9 // 16) + 4 * experts + 4 * tables
        line = f"{linear:,} linear × 2113 / 4096 bytes + {experts:,} of experts × 2 bytes"
        source = (
            "NF4 with double quantization, 4.127 bits (arXiv 2305.14314); peft casts tables to"
            " float32; experts: 4 bits where the trainer quantizes them (Unsloth, Axolotl), 16 as"
            " bitsandbytes leaves them (its issue 1849), 32 where peft casts them"
        )
        return low, likely, high, f"{line} + {tables:,} others × 4 bytes", source
    width = 4 if architecture.dtype == "float32" else 2
    low = high = width * total
    narrow = architecture.expert_dtype or architecture.matrix_dtype
    if narrow and stored is not None:
        # FP8Linear of transformers passes gradients to what stands on it
        low = min(low, stored)
    elif architecture.dtype is None:
        high *= 2
    source = "frozen weights, in 16 bits unless published in 32"
    return low, width * total, high, f"{total:,} parameters × {width} bytes", source


def _activations(training: _Training) -> Term:
    """What the forward pass saves for the backward pass, with the logits and the last norm."""
    architecture, (saved, widest) = training.architecture, _saved_in_layers(training)
    hidden, checkpointing = architecture.embedding_length, training.workload.checkpointing
    is_wide = training.workload.finetune_method == "lora" and architecture.dtype == "float32"
    width, case = 4 if is_wide else 2, training.case
    embeds = case.row.encoder or case.embeds or not architecture.output_matrix
    logits = 0 if embeds else _LOGIT_BYTES * (architecture.vocabulary or 0)
    each, remark = saved + logits, ""
    if checkpointing:
        # the logits are gone before the first layer is computed again
        each = architecture.layers * width * hidden + max(widest, logits)
        remark = "; one input of each layer, and the larger of one layer and the logits"
    each += 8 * hidden
    size = training.tokens * each
    high = int((1.6 if checkpointing else 2) * size)
    if not training.trains_all:
        # peft adds adapters to all experts of a layer at once
        at_once = architecture.layers if checkpointing else 1
        high += 2 * width * training.experts // at_once
    line = f"{training.tokens:,} tokens × {each:,} bytes{remark}"
    how = How.ASSUMED if architecture.recurrent else How.COMPUTED
    source = "tensors saved for the backward pass (arXiv 2205.05198), fused attention; ends assumed"
    return term("activations", size, how, source, line, low=int(0.55 * size), high=high)


def _saved_in_layers(training: _Training) -> tuple[int, int]:
    """Bytes that one token leaves in all layers, and in the widest: inputs of norms and matrices,
    queries, keys and values, gate and up.
    """
    architecture, trains_all = training.architecture, training.trains_all
    width = architecture.embedding_length
    plain, mixing, feeding = (16 if trains_all else 28) * width, [(0, 0)], [(0, 0)]
    for group in architecture.attention:
        kv_heads = group.heads if group.kind == "latent" else group.kv_heads
        size = 2 * (group.heads + kv_heads) * (group.key_length + group.value_length)
        size += 0 if trains_all else 4 * group.heads * group.value_length
        mixing.append((size, len(group.layers)))
    for state in architecture.recurrent:
        inner = state.inner_length or (state.heads or 0) * (state.value_length or 0)
        mixing.append((16 * (inner or width), len(state.layers)))
    for part in architecture.feed_forward:
        inner = part.length * (part.used or 1) + (part.shared_length or 0)
        feeding.append((inner * (8 if trains_all else 10), len(part.layers)))
    saved = plain * architecture.layers + sum(size * layers for size, layers in mixing + feeding)
    return saved, plain + max(mixing)[0] + max(feeding)[0]
