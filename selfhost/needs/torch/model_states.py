"""Weights, gradients and optimizer of a training step: the model states of ZeRO.

ZeRO (arXiv 1910.02054, section 3.1): mixed-precision Adam keeps 16 bytes per trained parameter.
QLoRA (arXiv 2305.14314, section 3): NF4 in blocks of 64, whose scales are quantized again: 4.127
bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ...catalogue.spec import ModelSpec
from ...core.records import Record
from ...core.workload import DEFAULT_LORA_RANK
from ..loaded import stored_types
from ..parts import name_of, term
from ..records import How, SizedWeights, Term
from ..tensors import checkpoint_tensors, count, row_of
from .adapters import adapters
from .plan import Training
from .trainable import kept_packed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# moments of AdamW have the type of what is trained (torch 2.13.0, optim/adam.py: zeros_like);
# bitsandbytes keeps in float32 those that it does not pack, and transformers' Trainer has it pack
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
# transformers 5.23.0 keeps others as they are stored by default: peft then finds no weight in a
# packed layer (compressed-tensors), or the Trainer refuses (quantizer_mxfp4.py, is_trainable;
# validate_quantization_for_training where all is trained)
_EXPANDED = (
    "weights are expanded to 16 bits for training, by dequantize=True in the quantization_config"
    " given to from_pretrained"
)
# FP8Linear and FP8GroupedMatmulFunction of integrations/finegrained_fp8.py (transformers) pass
# gradients to what stands on them
_FP8_KEPT = (
    "; at least: as stored, where adapters stand on FP8Linear on a GPU of compute capability 8.9 or"
    " newer"
)


class _Trained(Record):
    """How many parameters are trained. `how` is how surely that is known, `note` what is not."""

    likely: int
    low: int
    high: int
    how: How = How.EXACT
    note: str = ""


def states(training: Training, activations_low_bytes: int) -> list[Term]:
    """The terms of weights, gradients and optimizer.

    `activations_low_bytes` are let go while gradients are made.
    """
    if training.plan.trains_all:
        return _states_of_all(training, activations_low_bytes)
    return _states_of_adapters(training)


# ------------------------------------------------------------------ every weight is trained


def _states_of_all(training: Training, activations_low_bytes: int) -> list[Term]:
    total, wide = _parameters(training), training.architecture.dtype == "float32"
    groups = checkpoint_tensors(training.architecture, training.row)
    tables = sum(prod(group.shape) for group in groups if group.name in _LOOKED_UP)
    return [
        _trained_weights(training, total, wide=wide),
        _gradients_of_all(training, total, activations_low_bytes),
        *_optimizer(
            _Trained(likely=total, low=total, high=total),
            training.plan.optimizer,
            copied=True,
            narrow=not wide,
            tables=tables,
        ),
    ]


def _parameters(training: Training) -> int:
    groups = checkpoint_tensors(training.architecture, training.row)
    return count(groups) + training.encoder_parameters


def _trained_weights(training: Training, total: int, *, wide: bool) -> Term:
    expanded, how = "", How.EXACT
    if training.narrow_type:
        expanded, how = f"; {training.narrow_type} {_EXPANDED}", How.COMPUTED
    in_16_bits = "in 16 bits, as forward and backward use them"
    if training.plan.optimizer != "sgd":
        line = f"{total:,} parameters × 2 bytes; {in_16_bits}"
        return term("weights", 2 * total, how, _ZERO + expanded, line)
    # what keeps no state has no other term for the copy
    return term(
        "weights",
        6 * total,
        How.COMPUTED,
        f"{_ZERO}; {_ALL_IN_16_BITS}{expanded}",
        f"{total:,} parameters × 6 bytes; {in_16_bits}, and in float32",
        low=(4 if wide else 2) * total,
    )


def _gradients_of_all(training: Training, total: int, activations_low_bytes: int) -> Term:
    last_norm_bytes = 2 * training.architecture.embedding_length
    low = 2 * total - activations_low_bytes
    why = (
        f"less the {activations_low_bytes:,} bytes of activations, let go by the time the last"
        " gradient is there"
    )
    if low < last_norm_bytes:
        low = last_norm_bytes
        why = "that of the last norm alone, for activations at their most outweigh all gradients"
    return term(
        "gradients",
        2 * total,
        How.COMPUTED,
        f"{_ZERO}; transformers' own guide counts 4 bytes, 18 in all; {_MADE_BACKWARD}",
        f"{total:,} parameters × 2 bytes; × 4 bytes where gradients are kept in float32; at"
        f" least: {why}",
        low=low,
        high=4 * total,
    )


# ------------------------------------------------------------------ adapters are trained


def _states_of_adapters(training: Training) -> list[Term]:
    """Of adapters on weights that stay as they are."""
    plan, trained, frozen = training.plan, _trained_adapters(training), _frozen(training)
    number, qlora = trained.likely, plan.method == "qlora"
    least, source = 4 * trained.low, _PEFT
    if qlora:
        least, source = 2 * trained.low, f"{_PEFT}; the QLoRA paper trains them in 16 bits"
    how = trained.how
    return [
        term(
            "weights",
            frozen.bytes + 4 * number,
            how if frozen.how is How.EXACT or how is How.ASSUMED else How.COMPUTED,
            f"{frozen.source}; {source}",
            f"{frozen.arithmetic} + {number:,} of adapters × 4 bytes; rank {plan.rank} on"
            f" {training.adapters.matrices:,} matrices{trained.note.replace(';', ',')}",
            low=frozen.low_bytes + least,
            high=frozen.high_bytes + 4 * trained.high,
        ),
        term(
            "gradients",
            4 * number,
            how,
            source,
            f"{number:,} of adapters × 4 bytes{trained.note}",
            low=least,
            high=4 * trained.high,
        ),
        *_optimizer(trained, plan.optimizer, copied=False, narrow=qlora),
    ]


def _trained_adapters(training: Training) -> _Trained:
    added, encoders = training.adapters, training.encoder_parameters
    number, low, high = added.parameters, added.low_parameters, added.high_parameters
    how, note = How.EXACT, f"; {added.words}" if added.words else ""
    if low < number:
        how = How.COMPUTED
    elif number < high and not added.words:
        how, note = How.COMPUTED, "; more where fused matrices are published apart"
    elif number < high:
        how = How.ASSUMED
    if encoders:
        # narrower matrices: up to four times as many adapter parameters per weight
        high += 4 * encoders * number // max(1, added.frozen_linear)
        how, note = How.ASSUMED, f"{note}; more where the encoder of images is trained too"
    if training.plan.method == "qlora" and how is How.EXACT:
        how = How.COMPUTED
    return _Trained(likely=number, low=low, high=high, how=how, note=note)


def _frozen(training: Training) -> SizedWeights:
    """The weights that stay as they are; `how` is EXACT or COMPUTED."""
    packed = kept_packed(training.architecture)
    if packed is not None:
        frozen = _frozen_packed(training, packed)
    elif training.plan.method == "lora":
        frozen = _frozen_plain(training)
    else:
        frozen = _frozen_in_4_bits(training)
    exact = frozen.low_bytes == frozen.high_bytes and not training.narrow_type
    return frozen.replace(how=How.EXACT if exact else How.COMPUTED)


def _frozen_packed(training: Training, name: str) -> SizedWeights:
    """Matrices packed as `name`, the others in 16 bits or cast by peft."""
    architecture = training.architecture
    sizes, plain = stored_types(architecture, training.row), architecture.dtype or "bfloat16"
    beside = int(sizes.get(plain, 0)) + 2 * training.encoder_parameters
    packed = int(sum(size for type, size in sizes.items() if type != plain))
    # prepare_model_for_kbit_training of peft leaves GPTQ alone; of the others it casts what is not
    # packed, where the trainer calls it
    most = beside if name.startswith("gptq") else 2 * beside
    likely = beside if name.startswith(("gptq", "awq")) else most
    return SizedWeights(
        bytes=packed + likely,
        low_bytes=packed + beside,
        # the fused experts of transformers 5 may be 16 bits wide
        high_bytes=packed + most + 2 * training.adapters.frozen_experts,
        how=How.COMPUTED,
        source=f"{name} weights as they are stored, the others in 16 bits or in float32",
        arithmetic=f"{packed:,} bytes of {name} + {likely:,} bytes of others",
    )


def _frozen_plain(training: Training) -> SizedWeights:
    """Weights in their published type, or expanded to 16 bits."""
    architecture, narrow = training.architecture, training.narrow_type
    width = 4 if architecture.dtype == "float32" else 2
    total = _parameters(training)
    size = low = high = width * total
    source = f"{narrow} {_EXPANDED}" if narrow else "frozen weights in the published type"
    if architecture.dtype is None and not narrow:
        high = 2 * size
        source += ", which is not stated: 16 to 32 bits"
    elif narrow and narrow.startswith("float8"):
        stored = int(sum(stored_types(architecture, training.row).values()))
        low = min(size, stored + 2 * training.encoder_parameters)
        source += _FP8_KEPT
    return SizedWeights(
        bytes=size,
        low_bytes=low,
        high_bytes=high,
        how=How.COMPUTED,
        source=source,
        arithmetic=f"{total:,} parameters × {width} bytes",
    )


def _frozen_in_4_bits(training: Training) -> SizedWeights:
    """Linear layers in NF4, as QLoRA loads them."""
    linear, experts = training.adapters.frozen_linear, training.adapters.frozen_experts
    rest = _parameters(training) - linear - experts
    expert_low, expert_bytes, expert_high = _experts(experts)
    # NF4: half a byte, one byte per 64 weights for the scale, four bytes per 256 scales; without
    # the second step 4 bytes per 64
    quantized, once_quantized = -(-linear * 2113 // 4096), -(-linear * 9 // 16)
    line = f"{linear:,} linear × 2113 / 4096 bytes"
    source = (
        "NF4 with double quantization, 4.127 bits (arXiv 2305.14314); peft casts the rest to"
        " float32 (prepare_model_for_kbit_training)"
    )
    if experts:
        line += f" + {experts:,} of experts × 2 bytes"
        source += f"; experts: {_EXPERTS_SOURCE}"
    if training.narrow_type:
        source += (
            "; made of a copy in 16 bits, for transformers does not quantize"
            f" {name_of(training.architecture)} again"
        )
    return SizedWeights(
        bytes=quantized + expert_bytes + 4 * rest,
        low_bytes=quantized + expert_low + 2 * rest,
        high_bytes=once_quantized + expert_high + 4 * rest,
        how=How.COMPUTED,
        source=source,
        arithmetic=f"{line} + {rest:,} others × 4 bytes",
    )


def _experts(parameters: int) -> tuple[int, int, int]:
    """Bytes of routed experts under QLoRA in 4, 16 and 32 bits: see `_EXPERTS_SOURCE`."""
    return -(-parameters * 2113 // 4096), 2 * parameters, 4 * parameters


def experts_by_trainer(
    spec: ModelSpec, architectures: Mapping[str, Any]
) -> tuple[int, int, int] | None:
    """Bytes of the routed experts under QLoRA in 4, 16 and 32 bits; None for a model without them.

    4 where the trainer quantizes them itself, 16 as bitsandbytes leaves them, 32 where peft casts
    them: `_EXPERTS_SOURCE`.
    """
    architecture = spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    if architecture is None or row is None:
        return None
    experts = adapters(architecture, row, DEFAULT_LORA_RANK).frozen_experts
    return _experts(experts) if experts else None


# ------------------------------------------------------------------ optimizer


def _optimizer(
    trained: _Trained, optimizer: str, *, copied: bool, narrow: bool, tables: int = 0
) -> list[Term]:
    """The optimizer's state; nothing for one that keeps none.

    `copied`: with a float32 copy of what is trained. `narrow`: what is trained, and so its state,
    may be in 16 bits. `tables`: how many of the parameters are looked up by rows.
    """
    copy, also = (4, ", and the float32 copy of the weights") if copied else (0, "")
    if optimizer == "adamw":
        return [_adamw(trained, copy, also, narrow=narrow)]
    if optimizer == "adamw_8bit":
        return [_adamw_8bit(trained, copy, also, narrow=narrow, tables=tables)]
    return []


def _adamw(trained: _Trained, copy: int, also: str, *, narrow: bool) -> Term:
    """Two moments of four bytes. `copy`: bytes of a copy of each parameter, `also` its words."""
    how, width = trained.how, 8 + copy
    source = f"AdamW of PyTorch: two moments in the type of what is trained, float32{also}"
    if narrow:
        how = How.COMPUTED if how is How.EXACT else how
        source += f"; {_ALL_IN_16_BITS if copy else 'at least: adapters in 16 bits'}"
    return term(
        "optimizer",
        width * trained.likely,
        how,
        source,
        f"{trained.likely:,} × {width} bytes",
        low=(4 if narrow else width) * trained.low,
        high=width * trained.high,
    )


def _adamw_8bit(trained: _Trained, copy: int, also: str, *, narrow: bool, tables: int) -> Term:
    """Two states of one byte, each with a float32 scale per 256."""
    number, width = trained.likely, 2 + copy
    source = (
        "bitsandbytes AdamW8bit: two states of 8 bits, a scale per 256; small tensors stay"
        f" in 32 bits{also}"
    )
    line = f"{number:,} × {width} bytes + {number:,} / 32 bytes"
    if tables:
        source += "; so do states of embeddings, in transformers' Trainer"
        line += f" + {tables:,} of embeddings × 6 bytes"
    return term(
        "optimizer",
        width * number + number // 32 + 6 * tables,
        How.COMPUTED if trained.how is How.EXACT else trained.how,
        source,
        line,
        low=(2 if narrow else width) * trained.low + trained.low // 32,
        high=width * trained.high + trained.high // 16 + 6 * tables,
    )
