"""A GGUF file, or the parts of one -> ModelSpec, from its header alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from math import prod

from ..catalogue.spec import (
    MAX_LAYERS,
    SIZE_OF,
    Architecture,
    Attention,
    ModelSpec,
    Parameters,
    PublishedFiles,
    Recurrent,
    Safety,
)
from . import gguf_refusals as refusals
from .gguf_header import MAX_HEADER_BYTES as MAX_HEADER_BYTES
from .gguf_header import MAX_TENSORS, Header, Tensor, read_header
from .gguf_layers import attention, feed_forward, recurrent
from .gguf_tensors import as_stored, departures, loaded, parameters
from .gguf_types import quantization_of
from .gguf_values import GgufModel, Refused, Unclear
from .local import LocalModel
from .naming import clean, grouped, identifier, license_of, listed, name_of, numbered_files
from .source import damaged, fail, shown, status_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MAX_PARTS = 10_000
_MAX_PART_NUMBER = 99_999
# the converter drops the two rows of XLM-RoBERTa's position table that no token uses
_DROPPED_POSITIONS = 2
_MIXED = "parts of two models are mixed: download them again"


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
    paths = parts_of(path)
    headers = _headers(path, paths, alone=header_alone)
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    _refuse_mixed_parts(path, headers, tensors)
    model = GgufModel(path, headers[0], tensors, architectures)
    return _read(model, sum(header.size for header in headers), len(paths))


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
    missing = [os.path.basename(part) for part in paths if not os.path.exists(part)]
    if missing and len(paths) > 1:
        names = f"{len(missing):,} of them are not in its folder: {listed(map(shown, missing))}"
        fault = f"is split into {len(paths):,} parts, and {names}"
        fail(path, fault, "download the missing parts")
    headers: list[Header] = []
    for part in paths:
        status_of(part)
        headers.append(given if part == path else read_header(part, alone=alone))
        if sum(len(header.tensors) for header in headers) > MAX_TENSORS:
            damaged(path, f"its parts have more than {MAX_TENSORS:,} tensors")
    return headers


def _refuse_mixed_parts(path: str, headers: Sequence[Header], tensors: Sequence[Tensor]) -> None:
    promised = headers[0].values.get("split.tensors.count")
    if len(headers) > 1 and isinstance(promised, int) and promised != len(tensors):
        parts = f"its {len(headers):,} parts, not {promised:,}"
        fail(path, f"has {len(tensors):,} tensors in {parts}", _MIXED)
    if len({tensor.name for tensor in tensors}) < len(tensors):
        fail(path, "has a tensor that stands in two of its parts", _MIXED)


# ------------------------------------------------------------------ header -> spec


def _read(model: GgufModel, size_bytes: int, parts: int) -> LocalModel:
    refusals.refuse_what_is_no_model(model)
    stated = model.values.get("general.file_type")
    quantization, note = quantization_of(model.path, stated, model.tensors)
    model.notes += [] if note is None else [note]
    architecture = _known_architecture(model)
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
    files = PublishedFiles(
        format="gguf", source=SIZE_OF + shown(model.path), bytes={quantization: size_bytes}
    )
    modality = "embedding" if model.embeds or model.number("pooling_type") else "text"
    spec = ModelSpec(
        id=identifier(name),
        name=name,
        modality="image" if _is_image_model(model) else modality,
        license=terms,
        parameters=Parameters(total=total, active=active, mtp=predicting or None),
        architecture=architecture,
        files=(files,),
        safety=Safety(formats=("gguf",), remote_code=False),
        sources={
            "architecture": source,
            "parameters": f"tensor table, {source}",
            "license": source,
            "safety": "a GGUF file holds no code",
        },
        unknown=model.unknown,
        tensors=loaded(model),
        refused=model.refused,
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


def _known_architecture(model: GgufModel) -> Architecture | None:
    """None where the header does not tell it; `model.unknown` then says why."""
    if _is_image_model(model):
        model.unknown["architecture"] = (
            f"{model.name} is an image model: its layers are not those of a language model"
        )
        return None
    try:
        return _architecture(model)
    except Unclear as why:
        model.unknown["architecture"] = str(why)
        if isinstance(why, Refused):
            model.refused = f"llama.cpp refuses this file: {why}."
        return None


def _architecture(model: GgufModel) -> Architecture:
    blocks, predicting = _blocks(model)
    model.layers = layers = blocks - predicting
    width = model.required("embedding_length")
    context = model.required("context_length")
    attending, states = _remembering(model, blocks)
    cache_layers = _cache_layers(model)
    feeding = feed_forward(model, width)
    remembered = [state for by_layer in states.values() for state in by_layer]
    refusals.refuse_misfits(model, dict.fromkeys((*attending, *remembered, *feeding)), width)
    loops = _loops(model)
    architecture = Architecture(
        row=model.name,
        runs_in_gguf=True,
        layers=layers * loops,
        embedding_length=width,
        heads=max((group.heads for group in attending if group is not None), default=None),
        context_tokens=context or None,
        tied_embeddings="output.weight" not in model.shapes and not model.embeds,
        output_matrix=not model.embeds,
        attention=grouped(attending * loops),
        recurrent=tuple(group for by_layer in states.values() for group in grouped(by_layer)),
        feed_forward=grouped(feeding * loops),
        cache_layers=cache_layers,
        stored_layers=layers if loops > 1 else None,
        per_layer_embedding_length=model.size("embedding_length_per_layer_input"),
        altup_inputs=model.size("altup.num_inputs") or model.size("hyper_connection.count"),
        # layers that add a slice of the pictures' embeddings
        deepstack_layers=min(model.number("n_deepstack_layers") or 0, layers) or None,
        mtp_layers=predicting or None,
        **_tables(model),
    )
    return _checked(model, architecture)


def _blocks(model: GgufModel) -> tuple[int, int]:
    """All blocks, and those of them that predict more tokens."""
    blocks = model.required("block_count")
    predicting = model.number("nextn_predict_layers") or 0
    if not 0 < blocks <= MAX_LAYERS or predicting >= blocks:
        model.damaged(f"{blocks:,} layers, {predicting:,} of them for multi-token prediction")
    return blocks, predicting


def _loops(model: GgufModel) -> int:
    """How often the model runs through its layers, each time with a cache of their own."""
    loops = (model.row.loops and model.number("num_loops")) or 1
    if model.layers * loops > MAX_LAYERS:
        model.damaged(f"{loops:,} runs through {model.layers:,} layers")
    return loops


def _checked(model: GgufModel, architecture: Architecture) -> Architecture:
    """The architecture as the file's tensors have it, once its sizes fit each other."""
    for key, message, _ in architecture.misfits():
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


def _remembering(
    model: GgufModel, blocks: int
) -> tuple[list[Attention | None], dict[str, list[Recurrent | None]]]:
    """Attention by layer, and states by kind and layer, once nothing in the file contradicts
    itself.
    """
    refusals.refuse_contradictions(model, blocks)
    states = recurrent(model)
    if model.known:
        refusals.refuse_missing_parts(model, states)
        refusals.refuse_other_tokens(model)
    attending = attention(model, states)
    if not attending and not states:
        raise Unclear(
            f"no layer of {model.name} has attention or a recurrent state that this selfhost knows"
        )
    return attending, states


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
    # without a token table, what the tokenizer lists
    rows = model.shapes.get("token_embd.weight", (0, 0))[-1]
    types = model.shapes.get("token_types.weight", ())
    places = model.shapes.get("position_embd.weight", ())
    token_types = (*types, 1)[1] if types else None
    dropped = _DROPPED_POSITIONS if token_types == 1 else 0
    return {
        "vocabulary": rows or model.counts.get("tokenizer.ggml.tokens") or None,
        "token_types": token_types,
        "positions": places[-1] + dropped if len(places) > 1 else None,
    }
