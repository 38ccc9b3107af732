"""What transformers trains, and what it refuses.

Read in transformers 5.23.0 (validate_quantization_for_training of trainer_utils.py,
merge_quantization_configs of quantizers/auto.py, is_trainable of quantizers/) and peft 0.21.2.
"""

from __future__ import annotations

from ...catalogue.spec import Architecture, ModelSpec, RuntimeSpec
from ...core.saying import option
from ..cache import why_not_known
from ..parts import ENCODER_REMEDY, Subject, why_no_encoders

# peft has layers of its own for these weights (tuners/lora: awq.py, gptq.py, bnb.py), so that
# adapters stand on them as they are stored; transformers expands others (`dequantize`) while it
# loads them
_KEPT_PACKED = ("awq", "gptq", "nf4", "int8")
_UNPACKED_MEND = "train the original weights, which these were quantized from"
_ADAPT = f"use {option('finetune_method', 'lora')}, which trains adapters on them as they are"

_Refusal = tuple[str, str]
"""Why a model is not trained, and what to do instead."""

NO_TENSORS = (
    "the tensors of the model are not known, so neither are its gradients and activations",
    None,
)


def kept_packed(architecture: Architecture) -> str | None:
    """The packed type that adapters stand on as it is stored; None for any other type."""
    stored = architecture.matrix_dtype or ""
    return stored if stored.startswith(_KEPT_PACKED) else None


def why_not_trained(spec: ModelSpec, method: str) -> tuple[str, str] | None:
    """Why transformers does not train a model's weights by that method, as a sentence, and what to
    do instead; None where it does, or may.
    """
    if spec.quantized is not None and spec.quantized.format == "mlx":
        return (
            "Transformers does not load weights that MLX quantized, so it does not train them.",
            _UNPACKED_MEND,
        )
    if spec.architecture is None:
        return None
    if spec.architecture.matrix_dtype == "ternary":
        return (
            "Transformers does not train BitNet's packed weights.",
            "train the 16-bit weights that their publisher has beside them",
        )
    if method == "full":
        return _why_not_whole(spec.architecture)
    return _why_not_quantized_again(spec, spec.architecture) if method == "qlora" else None


def _why_not_whole(architecture: Architecture) -> _Refusal | None:
    """Why the packed weights themselves are not trained."""
    if kept_packed(architecture) is None:
        return None
    why = (
        'Transformers trains no packed weights themselves: its Trainer cannot "perform'
        ' fine-tuning on purely quantized models".'
    )
    return why, f"{_ADAPT}; or {_UNPACKED_MEND}"


def _why_not_quantized_again(spec: ModelSpec, architecture: Architecture) -> _Refusal | None:
    """Why bitsandbytes does not make 4 bits of weights that are narrow already."""
    packed = kept_packed(architecture)
    if packed == "int8":
        return (
            "Transformers loads these weights in 8 bits, as they are stored, whatever the options"
            " say.",
            _ADAPT,
        )
    stored = architecture.matrix_dtype or architecture.expert_dtype
    # others publish 16-bit copies of a publisher's own narrow weights, but not of these very files
    here = spec.quantized is not None or not spec.origin.endswith(".toml")
    if stored is None or not here or stored.startswith(("nf4", "nvfp4")):
        return None
    why = (
        f"Transformers does not quantize {stored} weights again: it refuses bitsandbytes'"
        " config beside the stored one."
    )
    expand = (
        f"{option('finetune_method', 'lora')} trains on them expanded to 16 bits (loaded with"
        " dequantize=True)"
    )
    return why, f"{_ADAPT if packed else expand}; or {_UNPACKED_MEND}"


def why_not_computed(subject: Subject, runtime: RuntimeSpec) -> tuple[str, str | None] | None:
    """Why nothing but the files is known of training a model, and what to do instead; None where
    the rest is known too.
    """
    spec, architecture, row = subject.spec, subject.architecture, subject.row
    hears = architecture is not None and architecture.audio is not None
    if spec.components or spec.modality not in ("text", "vision", "embedding") or hears:
        kind = spec.modality if spec.modality != "text" else "audio"
        why = f"selfhost does not compute what training takes for {kind} models"
        return why, runtime.finetune_elsewhere.get(spec.modality)
    if architecture is None or row is None:
        return NO_TENSORS
    if row.rewrites or why_not_known(architecture, row, runtime) is not None:
        return f"what training {architecture.row} takes is not computed", None
    if not subject.whole:
        return NO_TENSORS
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
