"""A config.json with the files beside it that say more of the same model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..catalogue.spec import MAX_BEAMS, ModelSpec
from ..needs.tensors import checkpoint_tensors, row_of
from .config import ConfigRead, read_config
from .config_keys import MAX_CONFIG_BYTES, short
from .local import beside
from .source import read_json
from .stored import Stored, cache_type, stored_by

_GENERATION = "generation_config.json"
_QUANTIZATION = "hf_quant_config.json"


def read_described(config: str, architectures: Mapping[str, Any]) -> ConfigRead:
    """What a config.json says, together with the files beside it. Raises `SpecError`."""
    described = read_config(config, architectures)
    spec = _with_beams(described.spec, config, architectures)
    spec, stored = _with_quantization(spec, described.stored, config)
    return described.replace(spec=spec, stored=stored)


def _with_beams(spec: ModelSpec, config: str, architectures: Mapping[str, Any]) -> ModelSpec:
    """The spec with the beams that generation_config.json asks for, of a model that reads with an
    encoder.
    """
    path, model = beside(config, _GENERATION), spec.architecture
    row = row_of(model, architectures) if model is not None else None
    if path is None or model is None or row is None or not row.rewrites:
        return spec
    values = read_json(path, MAX_CONFIG_BYTES, what=_GENERATION)
    beams = values.get("num_beams", 1) if isinstance(values, dict) else None
    if type(beams) is int and 1 <= beams <= MAX_BEAMS:
        return spec.replace(architecture=model.replace(beams=beams))
    says = f"says num_beams = {short(beams)}" if isinstance(values, dict) else "is no object"
    unclear = f"{_GENERATION} {says}, so what is kept of each beam is not known"
    model = model.replace(tensors=checkpoint_tensors(model, row), attention=(), recurrent=())
    return spec.replace(
        architecture=model, unknown={**spec.unknown, "architecture.attention": unclear}
    )


def _quantization_beside(config: str) -> Mapping[str, Any] | None:
    """`quantization_config` as hf_quant_config.json says it, which NVIDIA's exporter writes; None
    where there is no such file.
    """
    path = beside(config, _QUANTIZATION)
    if path is None:
        return None
    values = read_json(path, MAX_CONFIG_BYTES, what=_QUANTIZATION)
    part = values.get("quantization") if isinstance(values, dict) else None
    return {"quant_method": "modelopt", **(part if isinstance(part, dict) else {})}


def _with_quantization(spec: ModelSpec, stored: Stored, config: str) -> tuple[ModelSpec, Stored]:
    """Spec and types with what hf_quant_config.json says of weights and cache, where config.json
    says nothing of a quantization.
    """
    quantization = None if stored.quantized else _quantization_beside(config)
    if quantization is None:
        return spec, stored
    stored, architecture = stored_by(quantization), spec.architecture
    if stored.why is not None:
        unclear = f"{_QUANTIZATION}: {stored.why}, so the size of the weights is not known"
        spec = spec.replace(unknown={**spec.unknown, "architecture.matrix_dtype": unclear})
    if architecture is not None:
        latent = any(group.kind == "latent" for group in architecture.attention)
        architecture = architecture.replace(
            matrix_dtype=stored.matrices,
            expert_dtype=stored.experts,
            cache_dtype=cache_type(quantization, latent=latent),
            quantizer="modelopt" if stored.name is not None else None,
        )
    return spec.replace(architecture=architecture), stored
