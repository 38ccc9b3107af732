"""A GGUF file, or the parts of one -> ModelSpec, from its header alone: the layers, the tensor
table beside the one that its architecture's row gives, and the quantization of its types together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

from ..catalogue.architecture import MAX_LAYERS, Architecture
from ..catalogue.quantization_names import QUANTIZATIONS
from ..catalogue.spec import SIZE_OF, FileTensors, ModelSpec, Parameters, PublishedFiles, Safety
from ..needs.quantization import BASE_TYPES, BLOCKS
from ..needs.tensors import checkpoint_tensors, count, gguf_tensors, idle, row_of
from . import source
from .gguf_header import MAX_TENSORS, Header, read_header
from .gguf_layers import GgufModel, Refused, attention, feed_forward, state_of
from .source import LocalModel, Unclear

# the converter drops the two rows of XLM-RoBERTa's position table that no token uses
_DROPPED_POSITIONS = 2
# a bit of general.file_type: the converter guessed it (LLAMA_FTYPE_GUESSED)
_GUESSED = 1024
# by a tensor's name with `*` for its layer, and that layer; -1 outside the blocks
_Shapes = Mapping[tuple[str, int], tuple[int, ...]]


def read_gguf(path: str) -> LocalModel:
    """The model in a GGUF file, or in the split file that it is a part of. Raises `SpecError`."""
    headers = _headers(path, source.numbered_files(path))
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    promised = headers[0].values.get("split.tensors.count", len(tensors))
    unlike = len({tensor.name for tensor in tensors})
    if len(headers) > 1 and {promised, unlike} != {len(tensors)}:
        source.refuse(path, "mixed", unlike=unlike, parts=len(headers), promised=str(promised))
    model = GgufModel(path, headers[0], tensors)
    for kind in (model.name, source.clean(model.values.get("general.type")).lower()):
        other = source.file_table("gguf")["not_a_model"].get(kind)
        if other is not None:
            source.fail(path, other["message"], other["remedy"])
    if not tensors:
        source.refuse(path, "no-tensors")
    quantization = _quantization(model)
    return LocalModel(
        spec=_spec(model, {quantization: sum(header.size for header in headers)}, len(headers)),
        format="gguf",
        quantization=quantization,
        files_here=True,
        notes=tuple(model.notes),
    )


def _headers(path: str, paths: Sequence[str]) -> list[Header]:
    # what was named is read first: its own faults come before those of its siblings
    given = read_header(path)
    split = given.values.get("split.count", 0)
    if isinstance(split, int) and split > 1 and len(paths) != split:
        source.refuse(path, "unnamed-part", parts=split)
    missing = [source.shown(os.path.basename(part)) for part in paths if not os.path.exists(part)]
    if missing:
        source.refuse(
            path, "parts", parts=len(paths), missing=len(missing), names=source.listed(missing)
        )
    headers: list[Header] = []
    for part in paths:
        headers.append(given if part == path else read_header(part))
        if sum(len(header.tensors) for header in headers) > MAX_TENSORS:
            source.damaged(path, f"its parts have more than {MAX_TENSORS:,} tensors")
    return headers


def _spec(model: GgufModel, sizes: Mapping[str, int], parts: int) -> ModelSpec:
    architecture, refused = None, None
    try:
        architecture = _architecture(model)
    except Unclear as why:
        model.unknown["architecture"] = str(why)
        refused = f"llama.cpp refuses this file: {why}." if isinstance(why, Refused) else None
    name = source.clean(model.values.get("general.name")) or source.name_of(model.path)
    tag, link = (model.values.get(f"general.license{key}") for key in ("", ".link"))
    terms = source.license_of(tag, link, model.unknown)
    if terms is None:
        model.unknown["license.id"] = "the header does not say"
    more = f" and its other {parts - 1:,} parts" if parts > 1 else ""
    headers = f"header of {source.shown(model.path)}{more}"
    embeds = model.row.embeds or model.values.get(f"{model.name}.pooling_type")
    modality = "embedding" if embeds else "text"
    return ModelSpec(
        id=source.identifier(name),
        name=name,
        modality="image" if model.is_image_model else modality,
        license=terms,
        parameters=_parameters(model, architecture),
        architecture=architecture,
        files=(
            PublishedFiles(format="gguf", source=SIZE_OF + source.shown(model.path), bytes=sizes),
        ),
        safety=Safety(formats=("gguf",), remote_code=False),
        sources={
            "architecture": headers,
            "parameters": f"tensor table, {headers}",
            "license": headers,
            "safety": "a GGUF file holds no code",
        },
        unknown=model.unknown,
        tensors=_loaded(model),
        refused=refused,
        tokenizer=True,
        origin=model.path,
    )


def _architecture(model: GgufModel) -> Architecture:
    if model.is_image_model:
        raise Unclear(source.reason("image-model", name=model.name))
    if not model.known:
        raise Unclear(source.reason("no-architecture", name=model.name))
    model.count_blocks()
    _refuse_unread_kinds(model)
    architecture = _with_layers(model)
    for key, message, _ in architecture.misfits():
        raise Unclear(f"{model.name}: {key} {message}")
    if architecture.context_tokens is None:
        why = f"the header says {model.name}.context_length = 0"
        model.unknown["architecture.context_tokens"] = why
    model.unknown["architecture.dtype"] = source.reason("published-type")
    architecture = _with_departures(model, architecture)
    _hold_to_row(model, architecture)
    return architecture


def _refuse_unread_kinds(model: GgufModel) -> None:
    if any(name.startswith(("a.", "v.")) for name in model.shapes):
        raise Unclear(source.reason("encoder", name=model.name))
    for tensor in model.tensors:
        if tensor.bytes is None:
            raise Unclear(
                source.reason("tensor-type", name=source.clean(tensor.name), type=tensor.type)
            )
    sections = model.values.get(f"{model.name}.rope.dimension_sections")
    if isinstance(sections, list) and len(sections) != 4:
        raise Unclear(source.reason("sections", name=model.name, count=len(sections), wanted=4))


def _with_layers(model: GgufModel) -> Architecture:
    layers, width = model.layers, model.needed("embedding_length")
    states = [state_of(model, layer) for layer in range(layers)]
    attending, feeding = attention(model, states), feed_forward(model, width)
    if not attending and not any(states):
        raise Unclear(source.reason("no-layers", name=model.name))
    # a model may run through its layers several times, each time with a cache of their own
    loops = model.size("num_loops") or 1 if model.row.loops else 1
    if layers * loops > MAX_LAYERS:
        model.damaged(f"{loops:,} runs through {layers:,} layers")
    shared = _sharing_layers(model)
    return Architecture(
        row=model.name,
        runs_in_gguf=True,
        layers=layers * loops,
        embedding_length=width,
        heads=max((group.heads for group in attending if group is not None), default=None),
        context_tokens=model.size("context_length"),
        tied_embeddings="output.weight" not in model.shapes and not model.row.embeds,
        output_matrix=not model.row.embeds,
        attention=source.grouped(attending * loops, width),
        recurrent=source.grouped(states, width),
        feed_forward=source.grouped(feeding * loops, width),
        cache_layers=layers - shared if shared else None,
        stored_layers=layers if loops > 1 else None,
        per_layer_embedding_length=model.size("embedding_length_per_layer_input"),
        altup_inputs=model.size("altup.num_inputs", "hyper_connection.count"),
        # layers that add a slice of the pictures' embeddings
        deepstack_layers=min(model.number("n_deepstack_layers") or 0, layers) or None,
        mtp_layers=model.blocks - layers or None,
        **_tables(model),
    )


def _sharing_layers(model: GgufModel) -> int:
    shared = model.number("attention.shared_kv_layers")
    if shared is None:
        shared = max(0, model.layers - (model.row.cache_layers or model.layers))
    if shared >= model.layers:
        model.damaged(f"all {model.layers:,} layers read the cache of an earlier one")
    return shared


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


def _with_departures(model: GgufModel, architecture: Architecture) -> Architecture:
    """The architecture with what the file's tensors have otherwise than those of its row."""
    row, names = model.row, model.shapes.keys()
    gate, norm = _gate(model), _query_key_norm(model, architecture)
    has_bias, factors = row.attention_bias, row.rope_factors
    if architecture.attention:
        has_bias = any(name.endswith(("attn_q.bias", "attn_qkv.bias")) for name in names)
    if "rope_freqs.weight" in names:
        factors = "freqs"
    elif "rope_factors_long.weight" in names:
        factors = "long_short"
    has_two_norms = any(name.endswith("attn_norm_2.weight") for name in names)
    is_parallel = has_two_norms and not architecture.recurrent
    return architecture.replace(
        gate=None if gate == row.gate else gate,
        attention_bias=None if has_bias == row.attention_bias else has_bias,
        query_key_norm=None if norm == (row.query_key_norm or "none") else norm,
        parallel_norms=2 if is_parallel else None,
        rope_factors=None if factors == row.rope_factors else factors,
    )


def _gate(model: GgufModel) -> str:
    """How the feed-forward is gated: as the row says or, where that varies, as the first layer."""
    up, down = model.shape(0, "ffn_up.weight"), model.shape(0, "ffn_down.weight")
    if not model.row.gate_varies or not up or not down:
        return model.row.gate
    if model.has(0, "ffn_gate.weight"):
        return "split"
    return "fused" if up[-1] == 2 * down[0] else "none"


def _query_key_norm(model: GgufModel, architecture: Architecture) -> str | None:
    """What the norm of queries and keys is over; None where none is to be expected."""
    # latent attention has no such norm
    group = next((group for group in architecture.attention if group.kind != "latent"), None)
    if group is None:
        return None
    shape = model.shape(group.layers[0], "attn_q_norm.weight")
    if not shape:
        return "none"
    if len(shape) > 1 and shape[1] > 1:
        return "per_head"
    return "head" if shape[0] == group.key_length else "full"


def _hold_to_row(model: GgufModel, architecture: Architecture) -> None:
    """Note where the file's tensors are not quite those that its row gives. Raises `Refused` and
    `Unclear` where llama.cpp would not load them.
    """
    row = row_of(architecture)
    if row is None:
        raise Unclear(f"its layers lack a part that every {model.name} model has")
    groups = gguf_tensors(architecture, row)
    expected = _place_shapes((group.name, group.layers or (-1,), group.shape) for group in groups)
    actual = _place_shapes((each.place[0], each.place[1:], each.shape) for each in model.tensors)
    model.is_as_row = expected == actual
    if model.is_as_row:
        return
    differing = sorted({place for place, _ in expected.items() ^ actual.items()})
    table = source.file_table("gguf")
    merged = {part for name, part in actual.keys() - expected.keys() if name in table["instead"]}
    optional = re.compile("|".join(table["optional"]))
    for place in differing:
        name, layer = place
        # blocks that predict more tokens are left out
        if model.layers <= layer < model.blocks or layer in merged or optional.search(name):
            continue
        stored, needed = _sizes_at(place, actual), _sizes_at(place, expected)
        # llama.cpp refuses a tensor that it does not look for, too, as long as no release learns of
        # it (src/llama-model-loader.cpp: check_tensor_dims, done_getting_tensors)
        kind = Refused if place in expected else Unclear
        raise kind(
            f"its tensor {_numbered(place)} is {stored or 'missing'}, and in {model.name}"
            f" models it is {needed or 'none that a llama.cpp known here loads'}"
        )
    names = source.listed(map(_numbered, differing), 3)
    model.notes.append(source.reason("other-tensors", name=model.name, tensors=names))


def _place_shapes(placed: Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]]) -> _Shapes:
    """Shape by name and layer, without dimensions of 1 and with norms unfolded."""
    shapes: dict[tuple[str, int], tuple[int, ...]] = {}
    two_names = source.file_table("gguf")["two_names"]
    for whole_name, layers, sizes in placed:
        name = whole_name.removesuffix(".weight")
        name = two_names.get(name, name)
        shape = tuple(size for size in sizes if size != 1)
        shape = (prod(sizes),) if name.endswith("norm") else shape
        for layer in layers:
            shapes[name, layer] = shape
    return shapes


def _sizes_at(place: tuple[str, int], shapes: _Shapes) -> str:
    return " × ".join(map("{:,}".format, shapes.get(place, ())))


def _numbered(place: tuple[str, int]) -> str:
    name, layer = place
    return source.clean(name.replace("*", str(layer)))


def _loaded(model: GgufModel) -> tuple[FileTensors, ...]:
    """What llama.cpp loads, alike tensors together; empty where a size is not known."""
    bytes_by_tensor: dict[tuple[str, tuple[int, ...], str, bool], list[int]] = {}
    for tensor in model.tensors:
        if tensor.bytes is None or tensor.type not in BLOCKS:
            return ()
        name, layer = tensor.place
        key = source.clean(name), tensor.shape, tensor.type, layer >= model.layers
        bytes_by_tensor.setdefault(key, []).append(tensor.bytes)
    return tuple(
        FileTensors(
            name=name, shape=shape, type=type, count=len(sizes), bytes=sum(sizes), extra=extra
        )
        for (name, shape, type, extra), sizes in bytes_by_tensor.items()
    )


def _parameters(model: GgufModel, architecture: Architecture | None) -> Parameters:
    """Total, per token, and of the blocks that predict more tokens. Of a model whose tensors are
    not those of its row: all elements of the file.
    """
    total = predicting = 0
    for tensor in model.tensors:
        if tensor.place[1] >= model.layers:
            predicting += prod(tensor.shape)
        elif not tensor.name.startswith(("rope_freqs.", "rope_factors_")):
            total += prod(tensor.shape)
    has_experts = any("exps." in tensor.name for tensor in model.tensors)
    active = None if has_experts else total
    row = row_of(architecture) if architecture is not None else None
    if architecture is not None and row is not None:
        groups = checkpoint_tensors(architecture, row)
        total = count(groups) if model.is_as_row else total
        active = total - idle(groups, architecture)
    if total > source.MAX_PARAMETERS:
        model.damaged(f"{total:.1e} parameters")
    return Parameters(total=total or None, active=active or None, mtp=predicting or None)


def _quantization(model: GgufModel) -> str:
    """The quantization of a file. Tensors of a type that `general.file_type` does not allow
    outweigh it, which is noted.
    """
    elements: dict[str, int] = {}
    for tensor in model.tensors:
        if len(tensor.shape) > 1:
            elements[tensor.type] = elements.get(tensor.type, 0) + prod(tensor.shape)
    types = sorted(elements, key=lambda type: -elements[type]) or ["F32"]
    stated, names = model.values.get("general.file_type"), source.file_table("gguf")
    name = names["file_types"].get(str(stated & ~_GUESSED), "") if type(stated) is int else ""
    bases = {**BASE_TYPES, "MXFP4_MOE": "MXFP4"}
    base = bases.get(name, name)
    if name and not {base, names["fallbacks"].get(base)}.isdisjoint(types):
        return name
    held = types[0]
    if held in ("Q3_K", "Q4_K", "Q5_K"):
        held += "_M" if sum(type.endswith("_K") for type in types) > 1 else "_S"
    elif held not in QUANTIZATIONS["gguf"]:
        held = next((name for name, type in bases.items() if type == held), held)
    if stated is not None:
        said = f"general.file_type is {name or repr(stated)[:40]}"
        model.notes.append(
            f"{said}, and its tensors are {source.listed(types, 3)}; taken for {held}"
        )
    return held
