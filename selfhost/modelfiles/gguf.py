"""A GGUF file, or the parts of one -> ModelSpec, from its header alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from math import prod

from ..catalogue.architecture import Architecture
from ..catalogue.layers import MAX_LAYERS, Attention
from ..catalogue.published import SIZE_OF, PublishedFiles
from ..catalogue.spec import ModelSpec, Parameters, Safety
from .gguf_header import MAX_HEADER_BYTES as MAX_HEADER_BYTES
from .gguf_header import MAX_TENSORS, Header, read_header
from .gguf_layers import States, attention, feed_forward, recurrent
from .gguf_tensors import as_stored, departures, loaded, parameters, quantization_of
from .gguf_values import GgufModel, Refused, Unclear
from .source import (
    LocalModel,
    clean,
    damaged,
    fail,
    grouped,
    identifier,
    license_of,
    listed,
    name_of,
    numbered_files,
    shown,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MAX_PARTS = 10_000
_MAX_PART_NUMBER = 99_999
# the converter drops the two rows of XLM-RoBERTa's position table that no token uses
_DROPPED_POSITIONS = 2
_ROPE_SECTIONS = 4
# what a GGUF file may be instead of a model, by `general.type` or the architecture
_NO_MODEL: Mapping[str, tuple[str, str]] = {
    "adapter": ("is a LoRA adapter, not a model", "give the model that it changes"),
    "imatrix": ("is an importance matrix, not a model", "give the model's own GGUF file"),
    **dict.fromkeys(
        ("mmproj", "clip"),
        (
            "is the projector of a vision or audio model, not the model itself",
            "give the model's other GGUF file",
        ),
    ),
}


# ------------------------------------------------------------------ the parts of a split file


def parts_of(path: str) -> tuple[str, ...]:
    """The files that belong together with `path`, in order: itself, or every part of a split
    file, there or not.
    """
    return numbered_files(path, _MAX_PART_NUMBER)


def read_gguf(
    path: str, architectures: Mapping[str, Any], *, header_alone: bool = False
) -> LocalModel:
    """The model in a GGUF file, or in the split file that it is a part of. Raises `SpecError`.
    `header_alone`: the files may end behind their headers.
    """
    headers = _headers(path, parts_of(path), alone=header_alone)
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    promised = headers[0].values.get("split.tensors.count", len(tensors))
    unlike = len({tensor.name for tensor in tensors})
    if len(headers) > 1 and {promised, unlike} != {len(tensors)}:
        parts = f"its {len(headers):,} parts, not {promised!s:.20}"
        remedy = "parts of two models are mixed: download them again"
        fail(path, f"has {unlike:,} tensors in {parts}", remedy)
    model = GgufModel(path, headers[0], tensors, architectures)
    for kind in (model.name, clean(model.values.get("general.type")).lower()):
        if kind in _NO_MODEL:
            fail(path, *_NO_MODEL[kind])
    if not tensors:
        remedy = "give the model's GGUF file, not its vocabulary"
        fail(path, "holds no weights, only a header", remedy)
    return _read(model, sum(header.size for header in headers), len(headers))


def _headers(path: str, paths: Sequence[str], *, alone: bool) -> list[Header]:
    """The headers of all parts, in order."""
    if len(paths) > _MAX_PARTS:
        fault = f"is one part of {len(paths):,}, and at most {_MAX_PARTS:,} are read"
        fail(path, fault, "give the model in fewer, larger parts")
    # what was named is read first: its own faults come before those of its siblings
    given = read_header(path, alone=alone)
    split = given.values.get("split.count", 0)
    if isinstance(split, int) and split > 1 and len(paths) != split:
        remedy = f"name the parts as they were published: …-00001-of-{split:05d}.gguf"
        fail(path, f"is one part of {split:,}, and its name does not say which", remedy)
    missing = [shown(os.path.basename(part)) for part in paths if not os.path.exists(part)]
    if missing:
        names = f"{len(missing):,} of them are not in its folder: {listed(missing)}"
        fault = f"is split into {len(paths):,} parts, and {names}"
        fail(path, fault, "download the missing parts")
    headers: list[Header] = []
    for part in paths:
        headers.append(given if part == path else read_header(part, alone=alone))
        if sum(len(header.tensors) for header in headers) > MAX_TENSORS:
            damaged(path, f"its parts have more than {MAX_TENSORS:,} tensors")
    return headers


# ------------------------------------------------------------------ header -> spec


def _read(model: GgufModel, size_bytes: int, parts: int) -> LocalModel:
    quantization = quantization_of(model)
    architecture, refused = None, None
    try:
        architecture = _architecture(model)
    except Unclear as why:
        model.unknown["architecture"] = str(why)
        refused = f"llama.cpp refuses this file: {why}." if isinstance(why, Refused) else None
    total, active = parameters(model, architecture)
    predicting = sum(
        prod(tensor.shape) for tensor in model.tensors if model.layer_of(tensor) >= model.layers
    )
    name = clean(model.values.get("general.name")) or name_of(model.path)
    tag, link = (model.values.get(f"general.license{key}") for key in ("", ".link"))
    terms = license_of(tag, link, model.unknown)
    if terms is None:
        model.unknown["license.id"] = "the header does not say"
    more = f" and its other {parts - 1:,} parts" if parts > 1 else ""
    source = f"header of {shown(model.path)}{more}"
    modality = (
        "embedding" if model.embeds or model.values.get(f"{model.name}.pooling_type") else "text"
    )
    spec = ModelSpec(
        id=identifier(name),
        name=name,
        modality="image" if _is_image_model(model) else modality,
        license=terms,
        parameters=Parameters(total=total, active=active, mtp=predicting or None),
        architecture=architecture,
        files=(
            PublishedFiles(
                format="gguf", source=SIZE_OF + shown(model.path), bytes={quantization: size_bytes}
            ),
        ),
        safety=Safety(formats=("gguf",), remote_code=False),
        sources={
            "architecture": source,
            "parameters": f"tensor table, {source}",
            "license": source,
            "safety": "a GGUF file holds no code",
        },
        unknown=model.unknown,
        tensors=loaded(model),
        refused=refused,
        tokenizer=True,
        origin=model.path,
    )
    return LocalModel(
        spec=spec,
        format="gguf",
        quantization=quantization,
        files_here=True,
        notes=tuple(model.notes),
    )


def _is_image_model(model: GgufModel) -> bool:
    return model.name in model.architectures.get("image_models", {}).get("architectures", ())


def _architecture(model: GgufModel) -> Architecture:
    if _is_image_model(model):
        raise Unclear(
            f"{model.name} is an image model: its layers are not those of a language model"
        )
    model.count_blocks()
    _refuse_unread_kinds(model)
    architecture = _with_layers(model)
    parts = (*architecture.attention, *architecture.recurrent, *architecture.feed_forward)
    misfits = [misfit for part in parts for misfit in part.misfits(architecture.embedding_length)]
    for key, message, _ in (*misfits, *architecture.misfits()):
        raise Unclear(f"{model.name}: {key} {message}")
    if architecture.context_tokens is None:
        model.unknown["architecture.context_tokens"] = (
            f"the header says {model.name}.context_length = 0"
        )
    model.unknown["architecture.dtype"] = (
        "a GGUF file does not say in which type the weights were published"
    )
    if model.known:
        architecture = architecture.replace(**departures(model, architecture))
    return as_stored(model, architecture)


def _with_layers(model: GgufModel) -> Architecture:
    layers, width = model.layers, model.needed("embedding_length")
    states = recurrent(model)
    attending, feeding = attention(model, states), feed_forward(model, width)
    if not attending and not states:
        raise Unclear(
            f"no layer of {model.name} has attention or a recurrent state that this selfhost knows"
        )
    if model.known:
        _refuse_missing_parts(model, attending, states)
    # a model may run through its layers several times, each time with a cache of their own
    loops = model.size("num_loops") or 1 if model.row.loops else 1
    if layers * loops > MAX_LAYERS:
        model.damaged(f"{loops:,} runs through {layers:,} layers")
    return Architecture(
        row=model.name,
        runs_in_gguf=True,
        layers=layers * loops,
        embedding_length=width,
        heads=max((group.heads for group in attending if group is not None), default=None),
        context_tokens=model.size("context_length"),
        tied_embeddings="output.weight" not in model.shapes and not model.embeds,
        output_matrix=not model.embeds,
        attention=grouped(attending * loops),
        recurrent=tuple(group for by_layer in states.values() for group in grouped(by_layer)),
        feed_forward=grouped(feeding * loops),
        cache_layers=_cache_layers(model),
        stored_layers=layers if loops > 1 else None,
        per_layer_embedding_length=model.size("embedding_length_per_layer_input"),
        altup_inputs=model.size("altup.num_inputs", "hyper_connection.count"),
        # layers that add a slice of the pictures' embeddings
        deepstack_layers=min(model.number("n_deepstack_layers") or 0, layers) or None,
        mtp_layers=model.blocks - layers or None,
        **_tables(model),
    )


def _refuse_unread_kinds(model: GgufModel) -> None:
    if model.is_encoder and not model.known:
        raise Unclear(f"{model.name} attends both ways, and this selfhost has no row for it")
    prefixes = ("a.", "v.") if model.known else ("enc.", "dec.", "a.", "v.")
    if any(name.startswith(prefixes) for name in model.shapes):
        raise Unclear(
            f"{model.name} has an encoder beside its decoder, and what it keeps of the text it"
            " read is not in the header"
        )
    odd = next((tensor for tensor in model.tensors if tensor.bytes is None), None)
    if odd is not None:
        raise Unclear(
            f'the tensor "{clean(odd.name)}" is of {odd.type}, which no llama.cpp up to 2026 loads'
        )
    sections = model.values.get(f"{model.name}.rope.dimension_sections")
    if isinstance(sections, list) and len(sections) != _ROPE_SECTIONS:
        raise Unclear(
            f"{model.name}.rope.dimension_sections lists {len(sections):,} numbers: llama.cpp"
            f" wants {_ROPE_SECTIONS} and refuses the file, and Ollama writes such ones for an"
            " engine of its own"
        )


def _refuse_missing_parts(
    model: GgufModel, attending: Sequence[Attention | None], states: States
) -> None:
    """A block may lack its attention where the header gives it no heads or where it keeps a state,
    and its feed-forward where the header gives it no length (src/models of the hybrid
    architectures and of Nemotron NAS); and no tensor stands in a block beyond the last.
    """
    last = max(map(model.layer_of, model.tensors))
    if last >= model.blocks:
        model.damaged(f"it has a block {last:,}, and its header says {model.blocks:,}")
    feeding = {
        model.layer_of(tensor)
        for tensor in model.tensors
        if re.search(r"\.(?:ffn_down|channel_mix_value)", tensor.name)
    }
    heads = model.per_layer("attention.head_count") or [0] * model.layers
    kv_heads = model.per_layer("attention.head_count_kv") or heads
    lengths = model.per_layer("feed_forward_length") or [0]
    if not any(lengths):
        lengths = [model.number("expert_feed_forward_length") or 0] * model.layers
    for layer in range(model.layers):
        parts = [by_layer[layer] for by_layer in (attending, *states.values()) if by_layer]
        remembers = any(parts) or model.has(layer, "cross_attn_q_proj.weight")
        if min(heads[layer], kv_heads[layer]) and not remembers:
            model.damaged(f"it has no tensor blk.{layer}.attn_q.weight")
        if lengths[layer] and layer not in feeding:
            model.damaged(f"it has no tensor blk.{layer}.ffn_down.weight")


def _cache_layers(model: GgufModel) -> int | None:
    """How many layers have a cache of their own; None where all have."""
    layers = model.layers
    shared = model.number("attention.shared_kv_layers")
    if shared is None:
        shared = 0 if model.row.cache_layers is None else max(0, layers - model.row.cache_layers)
    if shared >= layers:
        model.damaged(f"all {layers:,} layers read the cache of an earlier one")
    return layers - shared if shared else None


def _tables(model: GgufModel) -> dict[str, Any]:
    """Rows of the tables of tokens, of token types and of positions; None without one."""
    tokens = model.counts.get("tokenizer.ggml.tokens")
    if model.values.get("tokenizer.ggml.model") in ("no_vocab", "none"):
        tokens = model.number("vocab_size")
    # llama.cpp makes the table of tokens as long as the tokenizer
    rows = model.shapes.get("token_embd.weight", (0, 0))[-1]
    rows = rows if model.row.embedding_rows_beyond or not tokens else tokens
    types = model.shapes.get("token_types.weight", ())
    places = model.shapes.get("position_embd.weight", ())
    token_types = (*types, 1)[1] if types else None
    dropped = _DROPPED_POSITIONS if token_types == 1 else 0
    return {
        "vocabulary": rows or None,
        "token_types": token_types,
        "positions": places[-1] + dropped if len(places) > 1 else None,
    }
