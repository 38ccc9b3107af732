"""Why safetensors files are not of the model that the config.json beside them describes.

transformers refuses a shape that differs. It drops layers beyond those of the config, and makes up
those that are not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..catalogue.spec import Architecture, Attention
from ..needs.tensors import checkpoint_tensors, row_of
from .naming import listed
from .safetensors import Weights
from .stored import Stored

# name and shape of the tensors of one layer, outputs first
_Shapes = Mapping[str, tuple[int, ...]]


def why_not_described(
    architecture: Architecture | None,
    stored: Stored,
    weights: Weights,
    architectures: Mapping[str, Any],
) -> str | None:
    """The first thing in which the files differ from their config.json, as a sentence; None where
    nothing does.
    """
    if architecture is not None:
        why = _other_layers(architecture, weights.layers)
        why = why or _other_vocabulary(architecture, architectures, weights)
        if why is not None:
            return why
    if not stored.quantized:
        return _unknown_float8(architecture, weights)
    if stored.name is not None and weights.plain:
        types = ", ".join(sorted(weights.elements))
        return (
            f"the weights are said to be stored as {stored.name}, and the files hold {types} alone"
        )
    return None


def _other_layers(architecture: Architecture, stored: Mapping[int, _Shapes]) -> str | None:
    if not stored:
        return None
    limit = architecture.stored_layers or architecture.layers
    groups = (
        *(part.layers for part in architecture.attention),
        *(part.layers for part in architecture.recurrent),
        *(part.layers for part in architecture.feed_forward),
    )
    busy = {layer for layers in groups for layer in layers if layer < limit}
    why = _other_number_of_layers(architecture, stored, busy)
    if why is not None:
        return why
    for layers, shapes in _expected(architecture):
        for layer in busy.intersection(layers):
            if why := _other_shape(stored[layer], shapes):
                return why
    return None


def _other_number_of_layers(
    architecture: Architecture, stored: Mapping[int, _Shapes], busy: set[int]
) -> str | None:
    """`busy` are the layers that must have a tensor."""
    missing = sorted(busy - stored.keys())
    if missing:
        return (
            f"the files have no tensor of layer {listed(map(str, missing))}, and config.json says"
            f" {architecture.layers:,} layers"
        )
    last = max(
        layer
        for layer, shapes in stored.items()
        if layer in busy or not any(name.endswith("eh_proj.weight") for name in shapes)
    )
    if last >= architecture.layers + (architecture.mtp_layers or 0):
        return (
            f"the files have a layer {last:,}, and config.json says {architecture.layers:,} layers,"
            " counted from 0"
        )
    return None


def _expected(
    architecture: Architecture,
) -> Iterator[tuple[Sequence[int], Mapping[str, tuple[int, int]]]]:
    """Layers, and the shapes of those of their tensors that follow from config.json, by the end of
    the name.
    """
    width = architecture.embedding_length
    for attention in architecture.attention:
        yield attention.layers, _attention_shapes(attention, width)
    for part in architecture.feed_forward:
        if not part.experts:
            yield (
                part.layers,
                {"up_proj.weight": (part.length, width), "down_proj.weight": (width, part.length)},
            )


def _attention_shapes(attention: Attention, width: int) -> Mapping[str, tuple[int, int]]:
    if attention.latent_length:
        rows = attention.latent_length + (attention.rope_length or 0)
        return {"kv_a_proj_with_mqa.weight": (rows, width)}
    keys = attention.kv_heads * attention.key_length
    values = attention.kv_heads * attention.value_length
    fused = attention.heads * attention.key_length + keys + values
    return {
        "k_proj.weight": (keys, width),
        "v_proj.weight": (values, width),
        "qkv_proj.weight": (fused, width),
        "query_key_value.weight": (fused, width),
    }


def _other_shape(stored: _Shapes, expected: Mapping[str, tuple[int, int]]) -> str | None:
    """What the first tensor of another shape is and should be."""
    for name, shape in stored.items():
        wanted = next(
            (wanted for ending, wanted in expected.items() if name.endswith("." + ending)), shape
        )
        if shape != wanted:
            return (
                f"{name} is {' × '.join(f'{size:,}' for size in shape)}, and config.json makes it"
                f" {wanted[0]:,} × {wanted[1]:,}"
            )
    return None


def _other_vocabulary(
    architecture: Architecture, architectures: Mapping[str, Any], weights: Weights
) -> str | None:
    """The token table or the output matrix has other rows than config.json gives it.

    from_pretrained refuses that, also for an output matrix beside a table that config.json says is
    shared.
    """
    row = row_of(architecture, architectures)
    if row is None:
        return None
    shapes = {group.name: group.shape for group in checkpoint_tensors(architecture, row)}
    table = shapes.get("token_embd.weight")
    output = weights.output if architecture.output_matrix else None
    for tensor, shape in (
        (weights.tokens, table),
        (output, shapes.get("output.weight", table)),
    ):
        if tensor is not None and shape is not None and tensor[1] != shape[1]:
            return (
                f"{tensor[0]} has {tensor[1]:,} rows, and config.json makes it {shape[1]:,}"
                " (vocab_size)"
            )
    return None


def _unknown_float8(architecture: Architecture | None, weights: Weights) -> str | None:
    """Why weights in FP8 are of no known size in memory where config.json does not say that they
    are quantized; None where their size is known.

    transformers makes the config's type of them and leaves scales aside. It has no type where
    neither config nor files state a wider one.
    """
    if weights.dtype != "float8_e4m3":
        return None
    if weights.scale is not None:
        return (
            f"the files hold {weights.scale}, a scale of weights in FP8, and config.json has no"
            " quantization_config to apply it by"
        )
    if architecture is not None and architecture.dtype is None and len(weights.plain_dtypes) != 1:
        return (
            "most of the weights are in FP8, and config.json does not say which type they are made"
            " into"
        )
    return None
