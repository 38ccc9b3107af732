"""Training a model further with transformers and peft: every weight, or adapters on 16-bit (LoRA)
or 4-bit weights (QLoRA), in one process on one device.

Weights, gradients and optimizer are the model states of ZeRO (arXiv 1910.02054, section 3.1: 16
bytes a parameter with mixed-precision Adam); NF4 with double quantization takes 4.127 bits (QLoRA,
arXiv 2305.14314, section 3). Activations follow arXiv 2205.05198, section 4, without scores, which
fused attention does not save. The runs of tests/truth/finetune.json lie inside the ranges.
"""

from __future__ import annotations

from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import CHECKPOINTS
from ..core.records import Record, Unread
from ..core.tables import shipped_table
from ..core.templates import fill
from ..core.units import plural
from ..core.workload import DEFAULT_LORA_RANK
from .case import Case, is_cast, overhead, stored_type, why_no_encoders
from .checkpoints import linear_layers, size_of
from .file_formats import why_cache_not_known
from .python import SHARD_BYTES
from .records import How, Needs, Term, term, unread
from .tensors import checkpoint_tensors, count_parameters

_RULES = shipped_table("memory")["training"]


class Training(Record):
    """A case with what was not asked for filled in, the tokens of one step, and parameters: all,
    those of linear layers without those of experts, and likely and most of adapters.
    """

    case: Case
    tokens: int
    parameters: int
    linear: int
    experts: int
    adapters: tuple[int, int]
    trains_all: bool


def finetune_needs(case: Case) -> Needs:
    """What one training step and the checkpoints of a run take: `parallel` sequences at once;
    adapters count as weights; `disk_bytes` has the checkpoints that are kept.
    """
    needs, refused = Needs(), _why_not_computed(case)
    if refused is None or refused[0]:
        format = (
            case.workload.format
            if case.workload.format in CHECKPOINTS
            else "safetensors"
        )
        files = size_of(
            case.replace(format=format, quantization=stored_type(case.model))
        )
        needs = (
            Needs(unknown=(files,)) if isinstance(files, Unread) else Needs(files=files)
        )
    if refused is not None:
        why, remedy = refused[1]
        first = "disk_bytes" if needs.download_bytes else "download_bytes"
        unknown = (unread(why, remedy or None, fact) for fact in (first, "memory"))
        return needs.replace(checkpoint_bytes=None, unknown=(*needs.unknown, *unknown))
    training, stored, kept = training_of(case), needs.files, _RULES["kept_checkpoints"]
    download = stored.bytes if stored is not None else None
    program = overhead(case.runtime, on_gpu=case.device is not None)
    terms = *_model_states(training, download), _activations(training), program
    bytes_of = {each.name: each.bytes for each in terms}
    # a checkpoint has what is trained, and the optimizer's state
    state = bytes_of.get("optimizer", 0)
    trained = bytes_of["weights"] if training.trains_all else 4 * training.adapters[0]
    largest = max(state, min(trained, SHARD_BYTES), min(download or 0, SHARD_BYTES))
    if stored is not None:
        line = f"on disk also {plural(kept, 'checkpoint')} of {trained + state:,} bytes"
        stored = stored.replace(source=f"{stored.source}; {line}")
    return needs.replace(
        files=stored,
        checkpoint_bytes=kept * (trained + state),
        terms=terms,
        largest_file_bytes=largest,
    )


def training_of(case: Case) -> Training:
    model, workload = case.model, case.workload.with_finetuning_defaults()
    trains_all, kind = workload.finetune_method == "full", workload.quantization or ""
    case = case.replace(workload=workload)
    if not trains_all and is_cast(case.spec, case.runtime, kind):
        # the lines for adapters say in which type the frozen weights are loaded (--dtype of trl)
        model = model.replace(dtype=kind)
        case = case.replace(spec=case.spec.replace(architecture=model), model=model)
    rank = workload.lora_rank or DEFAULT_LORA_RANK
    linear = experts = adapters = expert_adapters = 0
    for layer in linear_layers(model):
        # keys and values of latent attention come from one matrix
        inputs = 0 if layer.part == "latent values" else layer.inputs
        added = rank * (inputs + layer.outputs) * layer.number
        if layer.part == "expert":
            experts += layer.weights
            expert_adapters += added
        else:
            linear += layer.weights
            adapters += added
    # encoders have narrower matrices: up to four times as many adapter parameters a weight
    parameters = count_parameters(checkpoint_tensors(model)) + case.encoders
    seeing = 4 * case.encoders * adapters // max(1, parameters)
    return Training(
        case=case,
        tokens=case.context_tokens * workload.parallel,
        parameters=parameters,
        linear=linear,
        experts=experts,
        adapters=(adapters, adapters + expert_adapters + seeing),
        trains_all=trains_all,
    )


def _why_not_computed(case: Case) -> tuple[bool, tuple[str, str]] | None:
    """Why not all is known of training a model, with what to do instead; and whether its files
    are known all the same.
    """
    spec, model, runtime = case.spec, case.model, case.runtime
    no_encoders = why_no_encoders(spec)
    untyped, kind = spec.unknown.get("architecture.matrix_dtype"), spec.modality
    is_of_text = not spec.components and kind in ("text", "vision", "embedding")
    kind = "audio" if kind == "text" else kind
    has_cache = not case.row.rewrites and why_cache_not_known(model, runtime) is None
    figures = {
        "runtime": runtime.name,
        "trainer": runtime.finetuning.trainer or "",
        "untyped": untyped or "",
        "kind": kind,
        "elsewhere": runtime.finetuning.elsewhere.get(spec.modality, ""),
        "row": model.row,
        "encoders": no_encoders or "",
    }
    without_files = {
        "no_program": not runtime.id,
        "trainer": bool(runtime.finetuning.trainer),
        "untyped": untyped is not None,
        "runs_alone": not runtime.finetuning.methods,
    }
    refused = without_files | {
        "kind": not is_of_text or model.audio is not None,
        "no_tensors": not case.whole,
        "row": not has_cache,
        "nvfp4": "nvfp4" in (model.matrix_dtype, model.expert_dtype),
        "encoders": no_encoders is not None,
    }
    key = next((key for key, is_so in refused.items() if is_so), None)
    if key is None:
        return None
    why, remedy = (fill(text, figures) for text in _RULES["refused"][key])
    return key not in without_files, (why, remedy)


def why_not_trained(spec: ModelSpec, method: str) -> tuple[str, str] | None:
    """Why transformers does not train these weights by that method, and what to do instead; None
    where it does, or may: of a publisher's own narrow weights others publish 16-bit copies.
    """
    own, model = spec.quantized, spec.architecture
    stored = model.matrix_dtype or model.expert_dtype or "" if model else ""
    is_of_mlx = own is not None and own.format == "mlx"
    is_here = own is not None or not spec.origin.endswith(".toml")
    if is_of_mlx or stored.startswith(tuple(_RULES["packed"])):
        key = "quantized"
    elif method == "qlora" and stored and is_here and stored != "nvfp4":
        key = "narrow"
    else:
        return None
    why, remedy = (fill(text, {"stored": stored}) for text in _RULES["refused"][key])
    return why, remedy


def _model_states(training: Training, stored: int | None) -> list[Term]:
    """Weights, gradients and what the optimizer keeps: of all, or of adapters on weights that stay
    as they are.
    """
    total, model, (number, most) = (
        training.parameters,
        training.case.model,
        training.adapters,
    )
    linear, experts = training.linear, training.experts
    width = 4 if model.dtype == "float32" else 2
    optimizer = training.case.workload.optimizer or "adamw"
    sizes: dict[str, tuple[int, int, int, str]]
    if training.trains_all:
        least, likely = _RULES["states"][optimizer]
        least = likely if width == 4 else least
        source, line = _RULES["all_source"], f"{total:,} parameters"
        twice, each = 2 * total, likely * total
        sizes = {
            "weights": (twice, twice, twice, f"{line} × 2 bytes"),
            "gradients": (max(1, total // 100), twice, 4 * total, f"{line} × 2 bytes"),
            "optimizer": (least * total, each, each, f"{line} × {likely} bytes"),
        }
    else:
        if training.case.workload.finetune_method == "qlora":
            tables, quantized = total - linear - experts, -(-linear * 2113 // 4096)
            low = quantized + -(-experts * 2113 // 4096) + 2 * tables
            frozen = quantized + 2 * experts + 4 * tables
            high, source = (
                -(-linear * 9 // 16) + 4 * experts + 4 * tables,
                _RULES["nf4_source"],
            )
            line = f"{linear:,} linear × 2113 / 4096 bytes + {experts:,} of experts × 2 bytes"
            line += f" + {tables:,} others × 4 bytes"
        else:
            source, line = (
                _RULES["frozen_source"],
                f"{total:,} parameters × {width} bytes",
            )
            low = frozen = high = width * total
            if (model.expert_dtype or model.matrix_dtype) and stored is not None:
                # FP8Linear of transformers passes gradients to what stands on it
                low = min(low, stored)
            elif model.dtype is None:
                high *= 2
        line, source = (
            f"{line} + {number:,} of adapters",
            f"{source}; {_RULES['lora_source']}",
        )
        low, frozen, high = low + 2 * number, frozen + 4 * number, high + 4 * most
        sizes = {"weights": (low, frozen, high, f"{line} × 4 bytes")}
        states = {"gradients": 4, "optimizer": _RULES["adapter_states"][optimizer]}
        for name, each in states.items():
            line = f"{number:,} of adapters × {each} bytes"
            sizes[name] = (
                each * number // 2,
                each * number,
                int(each * most * 1.05),
                line,
            )
    return [
        term(name, likely, How.COMPUTED, source, line, low=low, high=high)
        for name, (low, likely, high, line) in sizes.items()
        if likely
    ]


def _activations(training: Training) -> Term:
    """What the forward pass saves for the backward pass, with the logits and the last norm."""
    model, (saved, widest), case = (
        training.case.model,
        _saved_in_layers(training),
        training.case,
    )
    hidden, checkpointing = model.embedding_length, training.case.workload.checkpointing
    is_wide = (
        training.case.workload.finetune_method == "lora" and model.dtype == "float32"
    )
    width = 4 if is_wide else 2
    embeds = case.row.encoder or case.embeds or not model.output_matrix
    logits = 0
    if not embeds and model.vocabulary is not None:
        logits = _RULES["logit_bytes"] * model.vocabulary
    each, remark = saved + logits, ""
    if checkpointing:
        # the logits are gone before the first layer is computed again
        each = model.layers * width * hidden + max(widest, logits)
        remark = "; one input of each layer, and the larger of one layer and the logits"
    each += 8 * hidden
    size = training.tokens * each
    ends, source = _RULES["activation_ends"], _RULES["activations_source"]
    high = int(ends["checkpointed" if checkpointing else "high"] * size)
    if not training.trains_all:
        # peft adds adapters to all experts of a layer at once
        high += 2 * width * training.experts // (model.layers if checkpointing else 1)
    line = f"{training.tokens:,} tokens × {each:,} bytes{remark}"
    how = How.ASSUMED if model.recurrent else How.COMPUTED
    return term(
        "activations", size, how, source, line, low=int(ends["low"] * size), high=high
    )


def _saved_in_layers(training: Training) -> tuple[int, int]:
    """Bytes that one token leaves in all layers for the backward pass, and in the widest."""
    model, trains_all = training.case.model, training.trains_all
    width = model.embedding_length
    plain, mixing, feeding = (16 if trains_all else 28) * width, [(0, 0)], [(0, 0)]
    for group in model.attention:
        kv_heads = group.heads if group.kind == "latent" else group.kv_heads
        size = 2 * (group.heads + kv_heads) * (group.key_length + group.value_length)
        size += 0 if trains_all else 4 * group.heads * group.value_length
        mixing.append((size, len(group.layers)))
    for state in model.recurrent:
        inner = state.inner_numbers or width
        mixing.append((16 * inner, len(state.layers)))
    for part in model.feed_forward:
        chosen = part.used or 1
        inner = part.length * chosen + (part.shared_length or 0)
        feeding.append((inner * (8 if trains_all else 10), len(part.layers)))
    saved = plain * model.layers + sum(
        size * layers for size, layers in mixing + feeding
    )
    return saved, plain + max(mixing)[0] + max(feeding)[0]
