"""Training a model further: every weight, or adapters on 16-bit (LoRA) or 4-bit weights (QLoRA),
with transformers and peft.

One process and one device; nothing is offloaded. What several devices share out, and what each has
to gather, is `gathered`. Sources: ZeRO (arXiv 1910.02054, section 3.1): mixed-precision Adam keeps
16 bytes per trained parameter. LoRA (arXiv 2106.09685, section 4): a matrix of in × out gets rank ×
(in + out) parameters. QLoRA (arXiv 2305.14314, section 3): NF4 in blocks of 64, whose scales are
quantized again: 4.127 bits. Korthikanti et al. (arXiv 2205.05198, section 4): activations are what
the forward pass saves for the backward pass; with full recomputation one input per layer. Their 34
× s × b × h counts a GPT layer; here the same count is made for each layer's own matrices, with no
term for scores, which fused attention does not save. It equals the saved tensors of transformers
5.23.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import prod

from ...catalogue.spec import (
    Architecture,
    Attention,
    FeedForward,
    ModelSpec,
    RuntimeSpec,
    TensorGroup,
)
from ...core.errors import Problem, WorkloadError
from ...core.records import Record, Unread
from ...core.workload import (
    DEFAULT_CONTEXT_TOKENS,
    DEFAULT_LORA_RANK,
    FINETUNE_METHODS,
    OPTIMIZERS,
    Workload,
)
from ..cache import why_not_known
from ..checkpoint import download_of, size_of
from ..loaded import name_of, overhead, stored_types
from ..packed import is_linear, matrix_of
from ..parts import ENCODER_REMEDY, Subject, term, times, why_no_encoders
from ..records import CpuNeed, How, MemoryNeed, Needs, SizedWeights, Term
from ..tensors import ArchitectureRow, checkpoint_tensors, count, row_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# a Trainer that keeps one checkpoint writes the new one before it removes the old one
DEFAULT_KEPT_CHECKPOINTS = 2

# moments of AdamW have the type of what is trained (torch 2.13.0, optim/adam.py: zeros_like);
# bitsandbytes keeps those that it does not pack in float32, and transformers' Trainer has it pack
# none of a table that is looked up by rows (trainer.py, create_optimizer)
_ALL_IN_16_BITS = (
    "at least: all in 16 bits, as transformers loads what is published so, which keeps no copy"
)
_LOOKED_UP = (
    "token_embd.weight",
    "per_layer_token_embd.weight",
    "position_embd.weight",
    "token_types.weight",
)
_ZERO = "mixed-precision Adam, ZeRO (arXiv 1910.02054, section 3.1)"
_PEFT = (
    "peft: adapters in float32 (autocast_adapter_dtype), on every linear layer but the output"
    " (target_modules: all-linear)"
)
_SAVED = (
    "count of the tensors saved for the backward pass (method of arXiv 2205.05198); equals"
    " transformers 5.23.0 with fused attention"
)
_MADE_BACKWARD = (
    "PyTorch makes gradients layer by layer in the backward pass, which lets activations go, and"
    " zero_grad (set_to_none) drops them again: unless they are accumulated, the two are never"
    " whole at once"
)
_EXPERTS_SOURCE = (
    "4 bits where the trainer quantizes them itself (unslothai/unsloth-zoo#227;"
    " quantize_moe_experts, docs.axolotl.ai), 16 as bitsandbytes leaves the fused ones of"
    " transformers 5 (bitsandbytes issue 1849), 32 where prepare_model_for_kbit_training of peft"
    " casts them too"
)
# weights that peft has layers of its own for (tuners/lora of peft 0.21.2: awq.py, gptq.py, bnb.py),
# so that adapters stand on them as they are stored; transformers 5.23.0 expands others
# (`dequantize`) while it loads them
_KEPT_PACKED = ("awq", "gptq", "nf4", "int8")
# transformers 5.23.0 keeps others as they are stored unless told: peft then finds no weight in a
# packed layer (compressed-tensors), or the Trainer refuses (quantizer_mxfp4.py, is_trainable;
# validate_quantization_for_training where all is trained)
_EXPANDED = (
    "weights are expanded to 16 bits for training, by dequantize=True in the quantization_config"
    " given to from_pretrained"
)
# FP8Linear and FP8GroupedMatmulFunction of its integrations/finegrained_fp8.py pass gradients to
# what stands on them
_FP8_KEPT = (
    "; at least: as stored, where adapters stand on FP8Linear on a GPU of compute capability 8.9 or"
    " newer"
)
_UNPACKED_MEND = "train the weights that these were quantized from"
_SHARD_BYTES = 5_000_000_000
# of each logit at the peak: the 16-bit one, log-probability, and the gradients of both in float32;
# measured, torch 2.13.0
_LOGIT_BYTES, _LOGIT_LOW_BYTES, _LOGIT_HIGH_BYTES = 14, 10, 20
# saved per score where attention is not fused: soft-capping or sinks; float32 softmax, its 16-bit
# copy, tanh of the cap
_SCORE_BYTES, _SCORE_HIGH_BYTES = 10, 12
# what `target_modules="all-linear"` means to peft 0.21.2 with the classes of transformers 5.23.0,
# each built on the meta device (tests/truth/adapters.json), stands in the rows. Of those with
# `peft_experts = "adapted"` it takes routed experts and routers too, as parameters
# (utils/transformers_weight_conversion.py, _convert_peft_config_moe), and leaves what else is
# called gate, up or down: dense layers, shared experts, gates of attention. Of those with "left" it
# leaves the experts, one tensor each and no linear layer.
# linear layers outside the blocks
_OUTSIDE = (
    "pooler.weight", "project_in.weight", "project_out.weight", "contact_head.weight",
    "per_layer_model_proj.weight", "altup_proj.weight",
    "altup_unembd_proj.weight",
)  # fmt: skip
# into how many matrices a class has what is one in GGUF files, by the row's `torch_split`
_PIECES: Mapping[str, int] = {"attn_qkv": 3, "ffn_up": 2}


class Adapters(Record):
    """What adapters of one rank add. `parameters` and `matrices` are those of peft's all-linear on
    the class of transformers.

    `linear_parameters` counts those on linear layers alone, routed experts and their routers aside.
    `low_parameters` is smaller where lists of layers leave those, or where a class of the same row
    has one matrix of two; `high_parameters` is larger where published code may keep a matrix apart
    that GGUF fuses, or where it is not known whether experts are adapted. `frozen_linear` counts
    the weights of linear layers, which bitsandbytes stores in 4 bits; `frozen_experts` those of
    routed experts, fused tensors in transformers 5, which stay in 16 bits; `folded` those of one
    layer with the adapters on them, 0 where none stand on them. `largest`: the elements of the
    widest linear layer. `words`: how what is meant departs from every linear layer, if it does.
    """

    parameters: int
    linear_parameters: int
    low_parameters: int
    high_parameters: int
    matrices: int
    largest: int
    frozen_linear: int
    frozen_experts: int
    folded: int
    words: str


class _Adapted(Record):
    """What adapters add on one group of tensors that are no experts.

    `taken`: parameters that all-linear adds; `listed`: those that a list of linear layers adds;
    `extra`: more of them where published code keeps matrices apart; `spared`: fewer where a class
    has one matrix of two. `weights` counts those of the linear layers themselves, `widest` those of
    one of them.
    """

    taken: int = 0
    listed: int = 0
    extra: int = 0
    spared: int = 0
    matrices: int = 0
    weights: int = 0
    widest: int = 0


@lru_cache(maxsize=512)
def adapters(architecture: Architecture, row: ArchitectureRow, rank: int) -> Adapters:
    """LoRA of peft's all-linear: rank × (in + out) of each linear layer but the output, and of
    what else it takes.
    """
    groups = checkpoint_tensors(architecture, row)
    routed = any("_exps." in group.name for group in groups)
    experts = [group for group in groups if "_exps." in group.name and len(group.shape) == 3]
    on_experts = routed and row.peft_experts == "adapted"
    certain = on_experts or not routed or row.peft_experts == "left"
    parts = [
        _on_router(group, row, rank, on_experts)
        if _is_router(group)
        else _on_linear(group, architecture, row, rank, on_experts)
        for group in groups
        if "_exps." not in group.name
    ]
    of_experts = sum(_on_stack(group, rank) * len(group.layers) for group in experts)
    taken = sum(part.taken for part in parts) + (of_experts if on_experts else 0)
    listed = sum(part.listed for part in parts)
    spared = sum(part.spared for part in parts)
    matrices = sum(part.matrices for part in parts)
    # groups of one name are of different layers
    stacks: dict[str, int] = {}
    for group in experts if on_experts else ():
        folded = prod(group.shape) + _on_stack(group, rank)
        stacks[group.name] = max(stacks.get(group.name, 0), folded)
        matrices += 0 if "gate" in group.name else len(group.layers)
    return Adapters(
        parameters=taken,
        linear_parameters=listed,
        low_parameters=min(listed, taken) if on_experts else taken - spared,
        high_parameters=taken + sum(part.extra for part in parts) + (0 if certain else of_experts),
        matrices=matrices,
        largest=max((part.widest for part in parts), default=0),
        frozen_linear=sum(part.weights for part in parts),
        frozen_experts=sum(prod(group.shape) * len(group.layers) for group in experts),
        folded=sum(stacks.values()),
        words=_departure(row, on_experts=on_experts, spares=spared > 0, certain=certain),
    )


def _departure(row: ArchitectureRow, *, on_experts: bool, spares: bool, certain: bool) -> str:
    """How what all-linear takes departs from every linear layer; "" where it does not."""
    if row.peft_refuses:
        return (
            "every linear layer but out_proj, which peft refuses for this class (exclude_modules)"
        )
    if on_experts:
        return (
            "with routed experts and routers, as peft 0.21.2 has all-linear; at least: linear"
            " layers alone, as a list of them has it"
        )
    if spares:
        return "at least: gate and up in one matrix, as the class of Granite 4 has them"
    return "" if certain else "whether it takes experts too is not known"


def _on_stack(group: TensorGroup, rank: int) -> int:
    """Parameters of an adapter on the experts of one layer.

    Gate and up are one tensor in transformers 5, whose adapter has twice the rank.
    """
    inputs, outputs, number = group.shape
    return rank * number * (inputs + (1 if "down" in group.name else 2) * outputs)


def _is_router(group: TensorGroup) -> bool:
    return "gate_inp" in group.name and group.name.endswith(".weight") and "shexp" not in group.name


def _on_router(group: TensorGroup, row: ArchitectureRow, rank: int, on_experts: bool) -> _Adapted:
    layers = len(group.layers)
    size, taken = rank * sum(group.shape) * layers, row.linear_router or on_experts
    return _Adapted(
        taken=size if taken else 0,
        listed=size if row.linear_router else 0,
        matrices=layers if taken else 0,
    )


def _on_linear(
    group: TensorGroup,
    architecture: Architecture,
    row: ArchitectureRow,
    rank: int,
    on_experts: bool,
) -> _Adapted:
    sides = _linear(group, row)
    if sides is None:
        return _Adapted()
    inputs, outputs = sides
    number = _times(group, architecture, checkpoint_tensors(architecture, row))
    apart, pieces = _has_its_own_matrix(group, row), _pieces(group, row)
    size = rank * (inputs * pieces + outputs) * number
    layer = _Adapted(
        weights=inputs * outputs * (len(group.layers) or 1), widest=inputs * outputs, listed=size
    )
    if row.peft_refuses and "ssm_out" in group.name:
        return layer.replace(listed=0)
    named_as_expert = "ffn_" in group.name or (apart and "attn_gate" in group.name)
    if on_experts and named_as_expert and "gate_inp" not in group.name:
        return layer
    # an adapter on one more matrix that reads the same
    another = rank * inputs * number
    spares = row.torch_perhaps_fused and "ffn_gate" in group.name
    return layer.replace(
        taken=size,
        matrices=number * pieces,
        spared=another if spares else 0,
        extra=another * _matrices_elsewhere(group, row),
    )


def _has_its_own_matrix(group: TensorGroup, row: ArchitectureRow) -> bool:
    """False where the class has it in the matrix before it: keys and values of latent attention
    come from one.
    """
    fused = bool(row.torch_fused) and group.name.startswith(f"blk.*.{row.torch_fused}")
    return "attn_v_b" not in group.name and not fused


def _pieces(group: TensorGroup, row: ArchitectureRow) -> int:
    """Matrices of the class that the group is, 0 where it lies in another."""
    if not _has_its_own_matrix(group, row):
        return 0
    split = bool(row.torch_split) and row.torch_split in group.name
    return _PIECES[row.torch_split] if split else 1


def _matrices_elsewhere(group: TensorGroup, row: ArchitectureRow) -> int:
    """How many more matrices published code may have for it: Bamba, of a row whose gate and up are
    one, has two.
    """
    if "attn_qkv" in group.name and _pieces(group, row) == 1:
        return 2
    joined = "ffn_gate." in group.name and not _has_its_own_matrix(group, row)
    return int(joined or (row.gate == "fused" and "ffn_up" in group.name))


def _linear(group: TensorGroup, row: ArchitectureRow) -> tuple[int, int] | None:
    """Inputs and outputs of a linear layer of the class, else None."""
    if "ffn_gate_inp_shexp" in group.name:
        return (group.shape[0], 1) if row.shared_expert_gate else None
    # AltUp has linear layers that quantizers leave
    inside = (is_linear(group) and "_exps." not in group.name) or (
        group.name.startswith("blk.*.altup")
        and group.name.endswith(".weight")
        and len(group.shape) == 2
    )
    if not (inside or group.name in _OUTSIDE) or any(
        part in group.name for part in row.torch_parameters
    ):
        return None
    return matrix_of(group)[:2]


def _times(group: TensorGroup, architecture: Architecture, groups: Sequence[TensorGroup]) -> int:
    """Layers of the class that the group stands for."""
    name = group.name
    if (
        name.startswith(("blk.*.attn_k.", "blk.*.attn_v."))
        and architecture.cache_layers is not None
    ):
        # those that read the keys and values of another have none of their own
        return sum(layer < architecture.cache_layers for layer in group.layers)
    uses = next((len(other.layers) for other in groups if "shared_output" in other.name), 0)
    blocks = 1 + max(
        (int(other.name.split(".")[1]) for other in groups if other.name.startswith("shared.")),
        default=0,
    )
    # blocks that layers share are modules of each of them (Zamba), with the own part of all that
    # share one
    turns = [len(range(block, uses, blocks)) for block in range(blocks)]
    if name.startswith("shared."):
        return turns[int(name.split(".")[1])]
    if ".lora_" in name:
        return sum(turn * turn for turn in turns)
    return len(group.layers) or matrix_of(group)[2]


def _kept_packed(architecture: Architecture) -> str | None:
    """The packed type that adapters stand on as it is stored."""
    stored = architecture.matrix_dtype or ""
    return stored if stored.startswith(_KEPT_PACKED) else None


def why_not_trained(spec: ModelSpec, method: str) -> tuple[str, str] | None:
    """The sentence why transformers does not train a model's weights so, and what to do instead;
    None where it does, or may.

    transformers 5.23.0: validate_quantization_for_training of trainer_utils.py,
    merge_quantization_configs of quantizers/auto.py, is_trainable of quantizers/.
    """
    own, architecture = spec.quantized, spec.architecture
    if own is not None and own.format == "mlx":
        return (
            "Transformers does not load weights that MLX quantized, so it does not train them.",
            _UNPACKED_MEND,
        )
    if architecture is None:
        return None
    packed, adapt = _kept_packed(architecture), "--method lora trains adapters on them as they are"
    if architecture.matrix_dtype == "ternary":
        return (
            "Transformers does not train BitNet's packed weights.",
            "train the 16-bit weights that their publisher has beside them",
        )
    if packed is not None and method == "full":
        why = (
            'Transformers trains no packed weights themselves: its Trainer cannot "perform'
            ' fine-tuning on purely quantized models".'
        )
        return why, f"{adapt}; or {_UNPACKED_MEND}"
    if packed == "int8" and method == "qlora":
        return (
            (
                "Transformers loads these weights in the 8 bits that they are stored in, whatever"
                " it is asked for."
            ),
            adapt,
        )
    stored = architecture.matrix_dtype or architecture.expert_dtype
    # of a publisher's own narrow weights others have copies in 16 bits, but for these very files
    here = own is not None or not spec.origin.endswith(".toml")
    if (
        method == "qlora"
        and stored is not None
        and here
        and not stored.startswith(("nf4", "nvfp4"))
    ):
        why = (
            f"Transformers does not quantize {stored} weights again: it refuses bitsandbytes'"
            " config beside the stored one."
        )
        expand = "--method lora trains on them expanded to 16 bits (loaded with dequantize=True)"
        return why, f"{adapt if packed else expand}; or {_UNPACKED_MEND}"
    return None


# ------------------------------------------------------------------ the entry


class _Plan(Record):
    method: str
    rank: int
    optimizer: str
    checkpointing: bool
    batch: int
    kept_checkpoints: int
    context_tokens: int

    @property
    def tokens(self) -> int:
        return self.batch * self.context_tokens


def finetune_needs(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    architectures: Mapping[str, Any],
    *,
    method: str = "lora",
    rank: int = DEFAULT_LORA_RANK,
    optimizer: str = "adamw",
    checkpointing: bool = True,
    batch: int | None = None,
    kept_checkpoints: int = DEFAULT_KEPT_CHECKPOINTS,
) -> Needs:
    """What one training step and the checkpoints of a run take: weights, gradients, optimizer,
    activations, runtime.

    Sequences are `workload.context_tokens` long and `batch` are trained at once, None for
    `workload.parallel`. `checkpointing` keeps one input per layer and computes the rest again, as
    TRL does by default. `rank` is of LoRA and QLoRA, and adapters count as weights. `disk_bytes` is
    the published checkpoint, which all three methods download, and `kept_checkpoints` of the run:
    what is trained, and the optimizer's state. Memory is None with a reason where the model's
    tensors are not known, for speech and images, and for a runtime that does not train. Raises
    `WorkloadError` with every argument that makes no sense.
    """
    plan = _plan(spec, workload, method, rank, optimizer, checkpointing, batch, kept_checkpoints)
    names = tuple(
        dict.fromkeys(system.split("-", 1)[1] for system in runtime.systems if "-" in system)
    )
    cpu = CpuNeed(
        architectures=names,
        instruction_sets=runtime.instruction_sets,
        recommended=runtime.recommended_instruction_sets,
    )
    if spec.closed:
        return _nothing(cpu, "the weights were never published", None)
    if runtime.id != "transformers":
        return _nothing(
            cpu,
            f"{runtime.name} does not train; fine-tuning is judged for transformers with peft",
            "take --runtime transformers",
        )
    architecture = spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    if row is None and architecture is not None and architecture.tensors:
        row = ArchitectureRow(name=architecture.row)
    subject = Subject(spec=spec, architecture=architecture, row=row)
    files = _files(subject, workload)
    refused = _why_not_computed(subject, runtime)
    if refused is not None or architecture is None or row is None:
        reason, remedy = refused or _NO_TENSORS
        return _known_files(cpu, files, reason, remedy)
    activations = _activations(subject, architecture, row, plan)
    terms = [
        *_states(subject, architecture, row, plan, activations.low_bytes),
        activations,
        overhead(runtime),
    ]
    saved, largest, line = _checkpoint(terms, subject, architecture, row, plan)
    unknown = (files,) if isinstance(files, Unread) else ()
    download = None if isinstance(files, Unread) else files.bytes
    return Needs(
        download_bytes=download,
        disk_bytes=None if download is None else download + plan.kept_checkpoints * saved,
        largest_file_bytes=(
            largest if download is None else max(largest, min(download, _SHARD_BYTES))
        ),
        download_how=None if isinstance(files, Unread) else files.how,
        download_source=(
            None if isinstance(files, Unread) else f"{files.source}; on disk also {line}"
        ),
        cpu=cpu,
        memory=MemoryNeed(terms=tuple(terms)),
        unknown=unknown,
    )


_NO_TENSORS = (
    "the tensors of the model are not known, so neither are its gradients and activations",
    None,
)


def _why_not_computed(subject: Subject, runtime: RuntimeSpec) -> tuple[str, str | None] | None:
    """Why nothing but the files is known of training a model, and what to do instead."""
    spec, architecture, row = subject.spec, subject.architecture, subject.row
    heard = architecture is not None and architecture.audio is not None
    if spec.components or spec.modality in ("speech", "image") or heard:
        return f"what training a {spec.modality} model takes is not computed", None
    if architecture is None or row is None:
        return _NO_TENSORS
    if row.rewrites or why_not_known(architecture, row, runtime.id) is not None:
        return f"what training {architecture.row} takes is not computed", None
    if not subject.whole:
        return _NO_TENSORS
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


def _plan(
    spec: ModelSpec,
    workload: Workload,
    method: str,
    rank: int,
    optimizer: str,
    checkpointing: bool,
    batch: int | None,
    kept_checkpoints: int,
) -> _Plan:
    problems: list[Problem] = []
    for key, value, choices in (
        ("method", method, FINETUNE_METHODS),
        ("optimizer", optimizer, OPTIMIZERS),
    ):
        if value not in choices:
            problems.append(
                Problem(
                    file="workload",
                    key=key,
                    message=f"{value!r} is not one of {', '.join(choices)}",
                )
            )
    for key, number, least, most in (
        ("lora_rank", rank, 1, 65_536),
        ("batch", workload.parallel if batch is None else batch, 1, 10**6),
        ("kept_checkpoints", kept_checkpoints, 0, 10**4),
    ):
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            problems.append(
                Problem(
                    file="workload",
                    key=key,
                    message=f"must be a whole number from {least} to {most:,}, not {number!r}",
                )
            )
    if problems:
        raise WorkloadError(problems)
    longest = spec.architecture.context_tokens if spec.architecture else None
    return _Plan(
        method=method,
        rank=rank,
        optimizer=optimizer,
        checkpointing=checkpointing,
        batch=workload.parallel if batch is None else batch,
        kept_checkpoints=kept_checkpoints,
        context_tokens=workload.context_tokens
        or min(DEFAULT_CONTEXT_TOKENS, longest or DEFAULT_CONTEXT_TOKENS),
    )


def _files(subject: Subject, workload: Workload) -> SizedWeights | Unread:
    format = workload.format if workload.format in ("safetensors", "pickle") else "safetensors"
    return download_of(subject.spec, size_of(subject, format, name_of(subject.architecture)))


def _nothing(cpu: CpuNeed, reason: str, remedy: str | None) -> Needs:
    unknown = tuple(
        Unread(fact=fact, reason=reason, remedy=remedy) for fact in ("download_bytes", "memory")
    )
    return Needs(download_bytes=None, disk_bytes=None, cpu=cpu, memory=None, unknown=unknown)


def _known_files(
    cpu: CpuNeed, files: SizedWeights | Unread, reason: str, remedy: str | None = None
) -> Needs:
    """The download alone: how much the checkpoints of a run add is not known either."""
    unknown = tuple(
        Unread(fact=fact, reason=reason, remedy=remedy) for fact in ("disk_bytes", "memory")
    )
    if isinstance(files, Unread):
        return Needs(
            download_bytes=None, disk_bytes=None, cpu=cpu, memory=None, unknown=(files, *unknown)
        )
    return Needs(
        download_bytes=files.bytes,
        disk_bytes=None,
        download_how=files.how,
        download_source=files.source,
        cpu=cpu,
        memory=None,
        unknown=unknown,
    )


# ------------------------------------------------------------------ weights, gradients, optimizer


def _states(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    plan: _Plan,
    activations_low_bytes: int,
) -> list[Term]:
    if plan.method == "full":
        return _trained_states(subject, architecture, row, plan, activations_low_bytes)
    return _adapted_states(subject, architecture, row, plan)


def _trained_states(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    plan: _Plan,
    activations_low_bytes: int,
) -> list[Term]:
    """Where every weight is trained."""
    groups = checkpoint_tensors(architecture, row)
    total = count(groups) + (subject.spec.parameters.encoders or 0)
    wide, copied = architecture.dtype == "float32", plan.optimizer != "sgd"
    narrow = architecture.expert_dtype or architecture.matrix_dtype
    expanded, weights_how = (f"; {narrow} {_EXPANDED}", How.COMPUTED) if narrow else ("", How.EXACT)
    line = (
        f"{total:,} parameters × {2 if copied else 6} bytes; in 16 bits, as forward and"
        " backward use them"
    )
    if copied:
        weights = term("weights", 2 * total, weights_how, _ZERO + expanded, line)
    else:
        # what keeps no state has no other term for the copy
        line += ", and in float32"
        weights = term(
            "weights",
            6 * total,
            How.COMPUTED,
            f"{_ZERO}; {_ALL_IN_16_BITS}{expanded}",
            line,
            low=(4 if wide else 2) * total,
        )
    left, first = 2 * total - activations_low_bytes, 2 * architecture.embedding_length
    why = (
        f"less the {activations_low_bytes:,} bytes of activations, let go by the time the last"
        " gradient is there"
    )
    if left < first:
        left, why = (
            first,
            "that of the last norm alone, for activations at their most outweigh all gradients",
        )
    gradients = term(
        "gradients",
        2 * total,
        How.COMPUTED,
        f"{_ZERO}; transformers' own guide counts 4 bytes, 18 in all; {_MADE_BACKWARD}",
        f"{total:,} parameters × 2 bytes; × 4 bytes where gradients are kept in float32; at"
        f" least: {why}",
        low=left,
        high=4 * total,
    )
    tables = sum(prod(group.shape) for group in groups if group.name in _LOOKED_UP)
    return [
        weights,
        gradients,
        *_optimizer(total, total, plan, copied=True, narrow=not wide, tables=tables),
    ]


def _adapted_states(
    subject: Subject, architecture: Architecture, row: ArchitectureRow, plan: _Plan
) -> list[Term]:
    """Where adapters are trained on weights that stay as they are."""
    encoders = subject.spec.parameters.encoders or 0
    total = count(checkpoint_tensors(architecture, row)) + encoders
    adapter = adapters(architecture, row, plan.rank)
    number, most, fewest = adapter.parameters, adapter.high_parameters, adapter.low_parameters
    how, note = How.EXACT, f"; {adapter.words}" if adapter.words else ""
    if fewest < number:
        how = How.COMPUTED
    elif number < most and not adapter.words:
        how, note = How.COMPUTED, "; more where fused matrices are published apart"
    elif number < most:
        how = How.ASSUMED
    if encoders:
        # narrower matrices: up to four times as many adapter parameters per weight
        most += 4 * encoders * number // max(1, adapter.frozen_linear)
        how, note = How.ASSUMED, f"{note}; more where the encoder of images is trained too"
    packed = _kept_packed(architecture)
    if packed is not None:
        base, low, high, line, source = _packed(
            packed, stored_types(architecture, row), architecture.dtype or "bfloat16", encoders
        )
        # the fused experts of transformers 5 may be 16 bits wide
        high += 2 * adapter.frozen_experts
    else:
        base, low, high, line, source = _frozen(architecture, row, adapter, total, encoders, plan)
    narrow = architecture.expert_dtype or architecture.matrix_dtype
    least, adapted = 4 * fewest, _PEFT
    if plan.method == "qlora":
        least, adapted = 2 * fewest, f"{_PEFT}; the QLoRA paper trains them in 16 bits"
        how = How.COMPUTED if how is How.EXACT else how
    return [
        term(
            "weights",
            base + 4 * number,
            how if (low == high and not narrow) or how is How.ASSUMED else How.COMPUTED,
            f"{source}; {adapted}",
            f"{line} + {number:,} of adapters × 4 bytes; rank {plan.rank} on {adapter.matrices:,}"
            f" matrices{note.replace(';', ',')}",
            low=low + least,
            high=high + 4 * most,
        ),
        term(
            "gradients",
            4 * number,
            how,
            adapted,
            f"{number:,} of adapters × 4 bytes{note}",
            low=least,
            high=4 * most,
        ),
        *_optimizer(
            number, most, plan, copied=False, narrow=plan.method == "qlora", fewest=fewest, how=how
        ),
    ]


def _packed(
    name: str, sizes: Mapping[str, float], plain: str, encoders: int
) -> tuple[int, int, int, str, str]:
    """The same of weights that adapters stand on as they are stored: packed matrices, and the
    others in 16 bits or cast by peft.
    """
    beside = int(sizes.get(plain, 0)) + 2 * encoders
    packed = int(sum(size for type, size in sizes.items() if type != plain))
    # its prepare_model_for_kbit_training leaves GPTQ alone; of the others it casts what is not
    # packed, where the trainer calls it
    most = beside if name.startswith("gptq") else 2 * beside
    likely = beside if name.startswith(("gptq", "awq")) else most
    line = f"{packed:,} bytes of {name} + {likely:,} bytes of others"
    return (
        packed + likely,
        packed + beside,
        packed + most,
        line,
        f"{name} weights as they are stored, the others in 16 bits or in float32",
    )


def _frozen(
    architecture: Architecture,
    row: ArchitectureRow,
    adapted: Adapters,
    total: int,
    encoders: int,
    plan: _Plan,
) -> tuple[int, int, int, str, str]:
    """Bytes of the weights that stay as they are: best, least, most; the line and the source."""
    if plan.method == "lora":
        width = 4 if architecture.dtype == "float32" else 2
        narrow = architecture.expert_dtype or architecture.matrix_dtype
        source = f"{narrow} {_EXPANDED}" if narrow else "frozen weights in the published type"
        size = width * total
        if architecture.dtype is None and not narrow:
            # the type is not stated: 16 to 32 bits
            return (
                size,
                size,
                2 * size,
                f"{total:,} parameters × {width} bytes",
                f"{source}, which is not stated: 16 to 32 bits",
            )
        low = size
        if narrow and narrow.startswith("float8"):
            low = min(size, int(sum(stored_types(architecture, row).values())) + 2 * encoders)
            source += _FP8_KEPT
        return size, low, size, f"{total:,} parameters × {width} bytes", source
    linear, experts = adapted.frozen_linear, adapted.frozen_experts
    rest = total - linear - experts
    expert_low, expert_bytes, expert_high = _experts(experts)
    # NF4: half a byte, one byte per 64 weights for the scale, four bytes per 256 scales; without
    # the second step 4 bytes per 64
    quantized, plain = -(-linear * 2113 // 4096), -(-linear * 9 // 16)
    line = f"{linear:,} linear × 2113 / 4096 bytes"
    if experts:
        line += f" + {experts:,} of experts × 2 bytes"
    line += f" + {rest:,} others × 4 bytes"
    source = (
        "NF4 with double quantization, 4.127 bits (arXiv 2305.14314); peft casts the rest to"
        " float32 (prepare_model_for_kbit_training)"
    )
    if experts:
        source += f"; experts: {_EXPERTS_SOURCE}"
    if architecture.matrix_dtype or architecture.expert_dtype:
        source += (
            "; made of a copy in 16 bits, for transformers does not quantize"
            f" {name_of(architecture)} again"
        )
    return (
        quantized + expert_bytes + 4 * rest,
        quantized + expert_low + 2 * rest,
        plain + expert_high + 4 * rest,
        line,
        source,
    )


def _experts(parameters: int) -> tuple[int, int, int]:
    """Bytes of routed experts under QLoRA, by the trainer: quantized too, as bitsandbytes
    leaves them, cast with all the rest.
    """
    return -(-parameters * 2113 // 4096), 2 * parameters, 4 * parameters


def experts_by_trainer(
    spec: ModelSpec, architectures: Mapping[str, Any]
) -> tuple[int, int, int] | None:
    """What the routed experts take under QLoRA, in 4, 16 and 32 bits; None for a model without
    them.

    4 where the trainer quantizes them itself, 16 as bitsandbytes leaves them, 32 where peft casts
    them: `_EXPERTS_SOURCE`.
    """
    architecture = spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    if architecture is None or row is None:
        return None
    experts = adapters(architecture, row, DEFAULT_LORA_RANK).frozen_experts
    return _experts(experts) if experts else None


def _optimizer(
    number: int,
    most: int,
    plan: _Plan,
    *,
    copied: bool,
    narrow: bool,
    fewest: int | None = None,
    tables: int = 0,
    how: How = How.EXACT,
) -> list[Term]:
    """The optimizer's state of `number` trained parameters, `fewest` to `most`; nothing where it
    keeps none.

    `copied`: with a float32 copy of them. `narrow`: they, and so their states, may be in 16 bits.
    `tables`: of them those that are looked up by rows.
    """
    fewest = number if fewest is None else fewest
    copy, also = (4, ", and the float32 copy of the weights") if copied else (0, "")
    match plan.optimizer:
        case "adamw":
            size, low, high = (
                (8 + copy) * number,
                (4 if narrow else 8 + copy) * fewest,
                (8 + copy) * most,
            )
            source, line = (
                f"AdamW of PyTorch: two moments in the type of what is trained, float32{also}",
                f"{number:,} × {8 + copy} bytes",
            )
            if narrow:
                how = How.COMPUTED if how is How.EXACT else how
                source += f"; {_ALL_IN_16_BITS if copied else 'at least: adapters in 16 bits'}"
        case "adamw_8bit":
            # two states of one byte, each with a float32 scale per 256
            low = 2 * fewest + fewest // 32
            size, how = (
                (2 + copy) * number + number // 32 + 6 * tables,
                How.COMPUTED if how is How.EXACT else how,
            )
            high, low = (
                (2 + copy) * most + most // 16 + 6 * tables,
                low if narrow else low + copy * fewest,
            )
            source = (
                "bitsandbytes AdamW8bit: two states of 8 bits, a scale per 256; small tensors stay"
                f" in 32 bits{also}"
            )
            line = f"{number:,} × {2 + copy} bytes + {number:,} / 32 bytes"
            if tables:
                source += "; so do states of embeddings, in transformers' Trainer"
                line += f" + {tables:,} of embeddings × 6 bytes"
        case _:
            return []
    return [term("optimizer", size, how, source, line, low=low, high=high)]


def _checkpoint(
    terms: list[Term],
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    plan: _Plan,
) -> tuple[int, int, str]:
    """One saved checkpoint: its bytes, its largest file, and the words for all that are kept."""
    state = sum(item.bytes for item in terms if item.name == "optimizer")
    if plan.method == "full":
        trained, what = next(item.bytes for item in terms if item.name == "weights"), "weights"
    else:
        trained, what = 4 * adapters(architecture, row, plan.rank).parameters, "adapters"
    kept = times(plan.kept_checkpoints, "checkpoint")
    line = f"{kept} of {trained:,} bytes of {what}" + (
        f" and {state:,} bytes of optimizer state" if state else ""
    )
    return (
        trained + state,
        max(state, min(trained, _SHARD_BYTES)) if plan.kept_checkpoints else 0,
        line,
    )


def why_not_shared_out(workload: Workload) -> tuple[str, str] | None:
    """Why a training that no accelerator holds alone is not shared out over several, and what
    to do instead; None where it is.
    """
    if workload.task != "finetune" or workload.optimizer in (None, "adamw", "sgd"):
        return None
    return (
        (
            "the states of bitsandbytes' 8-bit AdamW have scales by tensor, which FSDP and ZeRO-3"
            " do not share out over several accelerators"
        ),
        "take --optimizer adamw, which is shared out",
    )


def gathered(spec: ModelSpec, workload: Workload) -> Term | None:
    """What each of several devices holds beside its share of SHARED_OUT, for FSDP or ZeRO-3: layers
    gathered whole for their turn.

    The one at work and the next, with the embeddings, which stay. None where that is not known, and
    where `why_not_shared_out`.
    """
    architecture, total = spec.architecture, spec.parameters.total
    if workload.task != "finetune" or why_not_shared_out(workload) is not None:
        return None
    if (
        architecture is None
        or total is None
        or architecture.vocabulary is None
        or not architecture.layers
    ):
        return None
    root = (
        architecture.vocabulary
        * architecture.embedding_length
        * (2 if architecture.output_matrix else 1)
    )
    layer = -(-max(0, total - root) // architecture.layers)
    widest = max(root, layer)
    return term(
        "gathered",
        2 * (root + 2 * layer) + 6 * widest,
        How.COMPUTED,
        "FSDP, a layer at a time and the next ahead; measured with fully_shard of PyTorch 2.13.0 on"
        " two CPU processes, tests/truth/finetune.json; least: without gradients; most: layers of"
        " four times the mean",
        f"2 bytes × ({root:,} of embeddings + 2 × {layer:,} of a layer) + (2 + 4) bytes ×"
        f" {widest:,} for gradients on their way",
        low=2 * (root + 2 * layer),
        high=(2 + 6) * root + 4 * 6 * layer,
    )


# ------------------------------------------------------------------ activations


class _Saved(Record):
    """Bytes that one token leaves in each layer for the backward pass; `checked` where the
    count was held against saved tensors.
    """

    best: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    checked: bool


_Share = tuple[tuple[int, ...], int, int, int]
"""Layers, and what each of them keeps of one token in bytes: likely, least and most."""


@lru_cache(maxsize=256)
def _saved(
    architecture: Architecture,
    row: ArchitectureRow,
    trains_all: bool,
    width: int,
    rank: int,
    scores: int,
    folded: bool,
) -> _Saved:
    """What each layer keeps of one token. `scores` is the length of a sequence where attention is
    not fused, else 0.

    `folded`: adapters stand on experts, which then keep what experts that are trained do.
    """
    number = architecture.layers
    best, low, high = [0] * number, [0] * number, [0] * number
    norm = _norm_bytes(row, trains_all, width)
    for layers, size, least, most in (
        *_saved_by_tensors(architecture, row, trains_all, rank, norm),
        *_saved_by_attention(architecture, row, trains_all, width, norm, scores),
        *_saved_by_states(architecture),
        *_saved_by_feed_forwards(architecture, row, trains_all, width, folded),
    ):
        for n in layers:
            if n < number:
                best[n] += size
                low[n] += least
                high[n] += most
    checked = not architecture.recurrent and row.gate != "none" and not row.altup and not scores
    return _Saved(best=tuple(best), low=tuple(low), high=tuple(high), checked=checked)


def _norm_bytes(row: ArchitectureRow, trains_all: bool, width: int) -> int:
    """Bytes that a norm keeps of each number: its input in float32; a trained one its normalized
    input as well, which Gemma keeps in float32.
    """
    if row.norm_bias:
        return width
    if not trains_all:
        return 4
    return 4 + (4 if row.torch_float_norm else width)


def _saved_by_tensors(
    architecture: Architecture, row: ArchitectureRow, trains_all: bool, rank: int, norm: int
) -> Iterator[_Share]:
    """Inputs of norms, and of matrices with an adapter."""
    hidden, number = architecture.embedding_length, architecture.layers
    for group in checkpoint_tensors(architecture, row):
        sides = _linear(group, row)
        # those that run through the weights of an earlier one keep what they read all the same
        layers = tuple(
            n + again
            for again in range(0, number, architecture.stored_layers or number)
            for n in group.layers
        )
        if group.shape == (hidden,) and "norm" in group.name and group.name.endswith(".weight"):
            yield layers, norm * hidden, norm * hidden, norm * hidden
        elif sides is not None and not trains_all:
            # peft casts the input of each adapted layer to float32 for itself; under autocast the
            # copy has 16 bits
            copied = (0 if "attn_v_b" in group.name else sides[0]) + rank
            yield layers, 4 * copied, 2 * copied, 4 * copied


def _saved_by_attention(
    architecture: Architecture,
    row: ArchitectureRow,
    trains_all: bool,
    width: int,
    norm: int,
    scores: int,
) -> Iterator[_Share]:
    for group in architecture.attention:
        size = _attention(group, architecture, row, trains_all, width, norm)
        heads = group.heads * scores
        yield group.layers, size + _SCORE_BYTES * heads, size, size + _SCORE_HIGH_BYTES * heads


def _saved_by_states(architecture: Architecture) -> Iterator[_Share]:
    """A fused scan keeps inputs and outputs; the plain one of transformers keeps the state of
    every token.
    """
    for group in architecture.recurrent:
        inner = (
            group.inner_length
            or (group.heads or 0) * (group.value_length or group.key_length or 0)
            or architecture.embedding_length
        )
        state = group.state_length or group.key_length or 1
        yield group.layers, 16 * inner, 6 * inner, 16 * inner + 8 * inner * state


def _saved_by_feed_forwards(
    architecture: Architecture, row: ArchitectureRow, trains_all: bool, width: int, folded: bool
) -> Iterator[_Share]:
    for group in architecture.feed_forward:
        with_experts = trains_all or (folded and bool(group.experts))
        size, _ = _feed_forward(group, architecture, row, with_experts, width)
        _, least = _feed_forward(group, architecture, row, trains_all, width)
        yield group.layers, size, least, size


def _attention(
    group: Attention,
    architecture: Architecture,
    row: ArchitectureRow,
    trains_all: bool,
    width: int,
    norm: int,
) -> int:
    """Queries, keys, values and the result, which is also the input of the next matrix."""
    heads, kv_heads = group.heads, group.heads if group.kind == "latent" else group.kv_heads
    key = group.key_length + (group.rope_length or 0 if group.kind == "latent" else 0)
    size = width * (heads * (key + group.value_length) + kv_heads * (key + group.value_length))
    if trains_all:
        size += width * (
            architecture.embedding_length
            + (group.query_latent_length or 0)
            + (group.latent_length or 0)
        )
    kind = group.query_key_norm or architecture.query_key_norm or row.query_key_norm
    if kind and kind != "none":
        size += norm * (heads + kv_heads) * key
    return size


def _feed_forward(
    group: FeedForward,
    architecture: Architecture,
    row: ArchitectureRow,
    trains_all: bool,
    width: int,
) -> tuple[int, int]:
    """Gate, up, the activated gate and, where its matrix is trained, their product; best and
    least.
    """
    hidden = architecture.embedding_length
    if row.gate == "none":
        # GELU written out in single steps (GPT-2, Phi-2) keeps five tensors, ReLU (OPT) one
        inside, least = 5, 1
    else:
        inside = least = 4 if trains_all else 3
    fixed = hidden if trains_all else 0
    if not group.experts:
        return width * (fixed + inside * group.length), width * (fixed + least * group.length)
    used, dense = group.used or 1, (group.shared_length or 0) + (group.beside_dense or 0)
    # a routed token is gathered and its result weighted
    moved = (2 if trains_all else 1) * hidden
    best = fixed + used * (moved + inside * group.length) + inside * dense
    return width * best, width * (fixed + used * (moved + least * group.length) + least * dense)


def _scored_words(subject: Subject, architecture: Architecture, row: ArchitectureRow) -> int:
    """Words that each token has a logit for; none of an encoder, whose loss is taken from one
    vector.
    """
    embeds = row.encoder or subject.spec.modality == "embedding"
    if embeds or not architecture.output_matrix:
        return 0
    return architecture.vocabulary or 0


def _copies_of_experts(architecture: Architecture, plan: _Plan) -> int:
    """Layers whose experts live at once with their adapters added."""
    if plan.checkpointing:
        return 1
    return sum(len(group.layers) for group in architecture.feed_forward if group.experts)


def _activations(
    subject: Subject, architecture: Architecture, row: ArchitectureRow, plan: _Plan
) -> Term:
    trains_all = plan.method == "full"
    width = 4 if plan.method == "lora" and architecture.dtype == "float32" else 2
    unfused = row.attention_sinks or row.torch_scores == "eager"
    adapted = adapters(architecture, row, plan.rank)
    folded = 0 if trains_all else adapted.folded
    saved = _saved(
        architecture,
        row,
        trains_all,
        width,
        plan.rank,
        plan.context_tokens if unfused else 0,
        folded > 0,
    )
    hidden, tokens = architecture.embedding_length, plan.tokens
    vocabulary = _scored_words(subject, architecture, row)
    number, final = architecture.layers, 8 * hidden

    def per_token(sizes: tuple[int, ...], input_bytes: int, logit_bytes: int) -> int:
        if not plan.checkpointing:
            return sum(sizes) + logit_bytes * vocabulary + final
        # the logits are gone before the first layer is computed again
        return number * input_bytes * hidden + max((*sizes, logit_bytes * vocabulary)) + final

    each = per_token(saved.best, width, _LOGIT_BYTES)
    widest, logits = max(saved.best, default=0), _LOGIT_BYTES * vocabulary
    if plan.checkpointing:
        larger = "the logits" if logits >= widest else "one layer computed again"
        line = (
            f"{tokens:,} tokens × ({times(number, 'layer')} × {hidden:,} × {width} bytes +"
            f" {max(widest, logits):,} + {final:,})"
        )
        note = f"; bytes of one input per layer, of {larger}, of the last norm"
    else:
        line = f"{tokens:,} tokens × ({sum(saved.best):,} + {logits:,} + {final:,})"
        note = "; bytes of the layers, of the logits, of the last norm"
    size = tokens * each
    if plan.method == "qlora" or _kept_packed(architecture):
        line += f" + {adapted.largest:,} × 2 bytes"
        note += ", and the widest matrix in 16 bits"
        size += 2 * adapted.largest
    # measured where nothing is kept in 16 bits: up to 1.9 times as much, 1.5 times beside peft's
    # own float32 copies; what was not checked may drop out as well
    tenths = 20 if trains_all else 16
    if not saved.checked:
        tenths = 25
    most = tuple(layer * tenths // 10 for layer in saved.high)
    high = tokens * per_token(most, 4, _LOGIT_HIGH_BYTES) + size - tokens * each
    if folded:
        # measured: all but the gradient of one tensor's copy; at the most those of all
        copies = _copies_of_experts(architecture, plan)
        line += f" + {copies} × {folded:,} × {width} bytes + {folded:,} × {width} / 3 bytes"
        note += (
            ", of experts with their adapters added, which peft makes anew for each layer"
            " (ParamWrapper), and of a gradient of theirs"
        )
        size += width * copies * folded + width * folded // 3
        high += width * (copies + 1) * folded
    encoders, total = subject.spec.parameters.encoders or 0, subject.spec.parameters.total or 0
    if encoders and total:
        # encoders of images keep theirs too, by their share of the parameters
        high += high * encoders // total
    low = tokens * per_token(saved.low, width, _LOGIT_LOW_BYTES) * 9 // 10
    source = _SAVED if saved.checked else f"{_SAVED}; this architecture was not checked"
    if unfused:
        source += "; its attention keeps scores"
    return term(
        "activations",
        size,
        How.COMPUTED if saved.checked else How.ASSUMED,
        source,
        line + note,
        low=low,
        high=high,
    )
