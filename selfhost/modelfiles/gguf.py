"""From a GGUF file, or the parts of one, to a `ModelSpec`, by its header alone.

What goes in: the path of the file. What comes out: a `LocalModel`. Keys say the sizes of the
layers; tensors say which kind a layer is, by their names in llama.cpp's
gguf-py/gguf/constants.py, and their types the quantization. The tensor table is held against that
of its architecture's row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from ..catalogue.architecture import (
    MAX_LAYERS,
    Architecture,
    Attention,
    FeedForward,
    Recurrent,
)
from ..catalogue.spec import (
    SIZE_OF,
    FileTensors,
    ModelSpec,
    Parameters,
    PublishedFiles,
    Safety,
)
from ..catalogue.spec_values import QUANTIZATIONS
from ..core.files import numbered_files
from ..core.records import shown
from ..needs.quantization import BASE_TYPES, BLOCKS
from ..needs.tensors import (
    UNKNOWN_ROW,
    ArchitectureRow,
    all_and_active,
    gguf_tensors,
    row_of,
)
from . import source
from .gguf_header import MAX_TENSORS, Header, Tensor, read_header
from .sizes import (
    MAX_NUMBER,
    Malformed,
    Sizes,
    Unclear,
    grouped,
    most_heads,
    refuse_contradictions,
)
from .source import LocalModel, clean, reason
from .tables import GgufTable, architectures, model_files

_TABLE: GgufTable = model_files().gguf
# the converter drops the two rows of XLM-RoBERTa's position table that no token uses
_DROPPED_POSITIONS = 2
# a bit of general.file_type: the converter guessed it (LLAMA_FTYPE_GUESSED)
_GUESSED = 1024
# the type of most tensors by quantization, where the two have other names
_BASES = {**BASE_TYPES, "MXFP4_MOE": "MXFP4"}
# llama.cpp, src/llama-model.cpp: rope_sections has four
_ROPE_SECTIONS = 4
# which of these a layer with a delta rule has, and no Mamba layer
_DELTA_TENSORS = ("ssm_alpha.weight", "ssm_ba.weight")
# T5 has two stacks of blocks of the same widths
_STACKS = ("enc.blk.", "dec.blk.")


class GgufModel(Sizes):
    """The header of one model, with the tensors of all its parts.

    `path` is what the user gave, `tensors` those of all parts. `name` is `general.architecture`;
    `row` its row, one with the defaults alone where it is not `known`. `shapes` has the tensors of
    both stacks of a T5 under the names of one stack too. `blocks` are all, `layers` those that do
    not predict more tokens. `is_as_row`: the tensors are those that the row gives.
    """

    def __init__(self, path: str, header: Header, tensors: tuple[Tensor, ...]) -> None:
        super().__init__(path, header.values)
        self.tensors = tensors
        self.counts = header.counts
        self.name = clean(self.values.get("general.architecture"))
        known = architectures()
        self.is_image_model = self.name in known.image_models.architectures
        row = known.architecture.get(self.name)
        self.known = row is not None
        self.row = ArchitectureRow.from_values(self.name, row or {})
        self.shapes: dict[str, tuple[int, ...]] = {}
        for tensor in tensors:
            self.shapes[tensor.name] = tensor.shape
        for tensor in tensors:
            if tensor.name.startswith(_STACKS):
                name = tensor.name[4:].replace("attn_o.", "attn_output.")
                self.shapes[name] = tensor.shape
        self.blocks = self.layers
        self.is_as_row = False

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """The keys below the name of the architecture, as the header has them."""
        names = [f"{self.name}.{key}" for key in keys]
        for name in self.counts.keys() & names:
            raise Malformed(
                f"{name} lists {self.counts[name]:,} entries, more than blocks"
            )
        return names

    def has(self, layer: int, *names: str) -> bool:
        """The layer has at least one of these tensors."""
        return any(f"blk.{layer}.{name}" in self.shapes for name in names)

    def shape(self, layer: int, name: str) -> tuple[int, ...]:
        """That of a tensor of the layer, the row length first; empty without it."""
        return self.shapes.get(f"blk.{layer}.{name}", ())


def read_gguf(path: str) -> LocalModel:
    """The model in a GGUF file, or in the split file that it is a part of. Raises `SpecError`."""
    headers = _headers(path, numbered_files(path))
    tensors: list[Tensor] = []
    for header in headers:
        tensors += header.tensors
    if len(headers) > 1:
        _refuse_mixed_parts(path, headers, tensors)
    model = GgufModel(path, headers[0], tuple(tensors))
    if not model.name:
        source.refuse(path, "unusable", what="general.architecture is missing")
    for kind in (model.name, clean(model.values.get("general.type")).lower()):
        if kind in _TABLE.not_a_model:
            other = _TABLE.not_a_model[kind]
            source.fail(path, other.message, other.remedy)
    if not tensors:
        source.refuse(path, "no-tensors")
    quantization = _quantization(model)
    unused_bytes = sum(header.unused_bytes for header in headers)
    if unused_bytes:
        model.notes.append(reason("unused-bytes", unused=unused_bytes))
    file_bytes = sum(header.file_bytes for header in headers)
    files = PublishedFiles(
        format="gguf",
        source=_source_of_size(path, unused_bytes),
        bytes={quantization: file_bytes - unused_bytes},
    )
    try:
        spec = _spec(model, files, len(headers))
    except Malformed as fault:
        # no converter writes it
        source.refuse(path, "unusable", what=fault)
    return LocalModel(
        spec=spec,
        format="gguf",
        quantization=quantization,
        files_here=True,
        notes=tuple(model.notes),
    )


def _refuse_mixed_parts(
    path: str, headers: Sequence[Header], tensors: Sequence[Tensor]
) -> None:
    """Raise `SpecError` where the parts are not those of one model."""
    count = len(tensors)
    promised = headers[0].values.get("split.tensors.count", count)
    distinct = len({tensor.name for tensor in tensors})
    if promised == count == distinct:
        return
    source.refuse(
        path,
        "mixed",
        unlike=distinct,
        parts=len(headers),
        promised=str(promised)[:20],
    )


def _source_of_size(path: str, unused_bytes: int) -> str:
    size_source = SIZE_OF + shown(path)
    if unused_bytes:
        size_source += f", without the {unused_bytes:,} bytes after its tensors"
    return size_source


def _headers(path: str, paths: Sequence[str]) -> list[Header]:
    """The header of each part. What was named is read first: its own faults come before those of
    its siblings.
    """
    given = read_header(path)
    parts = given.values.get("split.count", 0)
    if isinstance(parts, int) and parts > 1 and len(paths) != parts:
        source.refuse(path, "unnamed-part", parts=parts, last=f"{parts:05d}")
    source.refuse_missing(path, "parts", paths)
    headers: list[Header] = []
    tensors = 0
    for part in paths:
        header = given if part == path else read_header(part)
        headers.append(header)
        tensors += len(header.tensors)
        if tensors > MAX_TENSORS:
            what = f"its parts have more than {MAX_TENSORS:,} tensors"
            source.refuse(path, "damaged", what=what)
    return headers


def _quantization(model: GgufModel) -> str:
    """Tensors of a type that `general.file_type` does not allow outweigh it, which is noted."""
    types = _types_by_elements(model.tensors)
    stated = model.values.get("general.file_type")
    name = ""
    if type(stated) is int:
        name = _TABLE.file_types.get(str(stated & ~_GUESSED), "")
    base = _BASES.get(name, name)
    if name and (base in types or _TABLE.fallbacks.get(base) in types):
        return name
    by_tensors = _name_by_types(types)
    if stated is not None:
        said = f"general.file_type is {name or repr(stated)[:40]}"
        tensors = source.listed(types, 3)
        note = f"{said}, but its tensors are {tensors}; judged as {by_tensors}"
        model.notes.append(note)
    return by_tensors


def _types_by_elements(tensors: Iterable[Tensor]) -> list[str]:
    """The types of matrices, the one with most elements first."""
    elements: Counter[str] = Counter()
    for tensor in tensors:
        if len(tensor.shape) > 1:
            elements[tensor.type] += prod(tensor.shape)
    types = [type for type, _ in elements.most_common()]
    return types or ["F32"]


def _name_by_types(types: Sequence[str]) -> str:
    """The quantization whose files mostly have these types."""
    usual = types[0]
    if usual in ("Q3_K", "Q4_K", "Q5_K"):
        kinds = [type for type in types if type.endswith("_K")]
        return f"{usual}_M" if len(kinds) > 1 else f"{usual}_S"
    if usual not in QUANTIZATIONS["gguf"]:
        for name, base in _BASES.items():
            if base == usual:
                return str(name)
    return usual


def _spec(model: GgufModel, files: PublishedFiles, parts: int) -> ModelSpec:
    """The spec of the model in so many `parts`. Raises `Malformed`."""
    architecture: Architecture | None = None
    refused = None
    try:
        read = _architecture(model)
        _check_against_row(model, read)
        architecture = read
    except Malformed:
        raise
    except Unclear as why:
        model.unknown["architecture"] = str(why)
        if why.refused:
            refused = f"llama.cpp refuses this file: {why}."
    tag = clean(model.values.get("general.license"))
    link = clean(model.values.get("general.license.link"))
    headers = f"header of {shown(model.path)}"
    if parts > 1:
        headers += f" and its other {parts - 1:,} parts"
    return source.spec_of(
        model.path,
        clean(model.values.get("general.name")),
        modality=_modality(model),
        license=source.license_of(tag, link, model.unknown),
        parameters=_parameters(model, architecture),
        architecture=architecture,
        files=(files,),
        safety=Safety(formats=("gguf",), remote_code=False),
        sources={
            "architecture": headers,
            "parameters": f"tensor table, {headers}",
            "license": headers,
            "safety": "a GGUF file holds no code",
        },
        unknown=model.unknown,
        tensors=_loaded_tensors(model),
        refused=refused,
        tokenizer=True,
    )


def _modality(model: GgufModel) -> str:
    if model.is_image_model:
        return "image"
    if model.row.embeds or model.values.get(f"{model.name}.pooling_type"):
        return "embedding"
    return "text"


def _loaded_tensors(model: GgufModel) -> tuple[FileTensors, ...]:
    """What llama.cpp loads, alike tensors together; () where it does not know a type."""
    alike: Counter[FileTensors] = Counter()
    for tensor in model.tensors:
        if not tensor.bytes or tensor.type not in BLOCKS:
            return ()
        name, layer = tensor.place
        one = FileTensors(
            name=clean(name),
            shape=tensor.shape,
            type=tensor.type,
            count=1,
            bytes=tensor.bytes,
            extra=layer >= model.layers,
        )
        alike[one] += 1
    loaded = []
    for tensors, count in alike.items():
        loaded.append(tensors.replace(count=count, bytes=count * tensors.bytes))
    return tuple(loaded)


def _parameters(model: GgufModel, architecture: Architecture | None) -> Parameters:
    """Of a model whose tensors are not those of its row: all elements of the file."""
    total = 0
    predicting = 0
    has_experts = False
    for tensor in model.tensors:
        _, layer = tensor.place
        if layer >= model.layers:
            predicting += prod(tensor.shape)
        elif not tensor.name.startswith(("rope_freqs.", "rope_factors_")):
            total += prod(tensor.shape)
        has_experts = has_experts or "exps." in tensor.name
    active = None if has_experts else total
    if architecture is not None and row_of(architecture) is not UNKNOWN_ROW:
        total_of_row, active_of_row = all_and_active(architecture)
        if model.is_as_row:
            total = total_of_row
        active = total - (total_of_row - active_of_row)
    if total > source.MAX_PARAMETERS:
        raise Malformed(f"{total:.1e} parameters")
    return Parameters(
        total=total or None, active=active or None, mtp=predicting or None
    )


def _architecture(model: GgufModel) -> Architecture:
    """The layers and tables. Raises `Unclear` where they do not follow from the header."""
    _count_layers(model)
    row = model.row
    layers = model.layers
    width = model.needed("embedding_length")
    states = [_state(model, layer) for layer in range(layers)]
    attending = _attention(model, states)
    feeding = [_feed_forward(model, layer, width) for layer in range(layers)]
    loops = _loops(model)
    attention = grouped(attending * loops, width)
    deepstack_layers = min(model.number("n_deepstack_layers") or 0, layers)
    architecture = Architecture(
        row=model.name,
        runs_in_gguf=True,
        layers=layers * loops,
        embedding_length=width,
        tied_embeddings="output.weight" not in model.shapes and not row.embeds,
        output_matrix=not row.embeds,
        heads=most_heads(attention),
        attention=attention,
        recurrent=grouped(states, width),
        feed_forward=grouped(feeding * loops, width),
        cache_layers=_cache_layers(model),
        stored_layers=layers if loops > 1 else None,
        per_layer_embedding_length=model.size("embedding_length_per_layer_input"),
        altup_inputs=model.size("altup.num_inputs", "hyper_connection.count"),
        # layers that add a slice of the pictures' embeddings
        deepstack_layers=deepstack_layers or None,
        mtp_layers=model.blocks - layers or None,
        **_tables(model),
        **_differences_from_row(model, attention, has_states=any(states)),
    )
    refuse_contradictions(architecture, f"{model.name}: ")
    model.unknown["architecture.dtype"] = reason("published-type")
    return architecture


def _loops(model: GgufModel) -> int:
    """How often the model runs through its layers, each time with a cache of their own."""
    if not model.row.loops:
        return 1
    loops = model.size("num_loops") or 1
    if model.layers * loops > MAX_LAYERS:
        raise Malformed(f"{loops:,} runs through {model.layers:,} layers")
    return loops


def _cache_layers(model: GgufModel) -> int | None:
    """Layers with a cache of their own, None where all have one."""
    layers = model.layers
    shared = model.number("attention.shared_kv_layers")
    if shared is None:
        shared = max(0, layers - (model.row.cache_layers or layers))
    if shared >= layers:
        raise Malformed(f"all {layers:,} layers read the cache of an earlier one")
    return layers - shared if shared else None


def _count_layers(model: GgufModel) -> None:
    """Set `blocks` and `layers`. Raises for files that no llama.cpp loads, or not as this model."""
    if model.is_image_model:
        raise Unclear(reason("image-model", name=model.name))
    if not model.known:
        raise Unclear(reason("no-architecture", name=model.name))
    for key in _TABLE.required:
        if model.number(key) is None:
            raise Malformed(f"its header has no {model.name}.{key}")
    model.blocks = model.number("block_count") or 0
    predicting = model.number("nextn_predict_layers") or 0
    model.layers = model.blocks - predicting
    if not 0 < model.layers <= model.blocks <= MAX_LAYERS:
        beyond = f"{predicting:,} of them beyond the last"
        raise Malformed(f"{model.blocks:,} layers, {beyond}")
    if any(name.startswith(("a.", "v.")) for name in model.shapes):
        raise Unclear(reason("encoder", name=model.name))
    for tensor in model.tensors:
        if tensor.bytes is None:
            name = clean(tensor.name)
            raise Unclear(reason("tensor-type", name=name, type=tensor.type))
    sections = model.values.get(f"{model.name}.rope.dimension_sections")
    if isinstance(sections, list) and len(sections) != _ROPE_SECTIONS:
        figures = {"count": len(sections), "wanted": _ROPE_SECTIONS}
        raise Unclear(reason("sections", name=model.name, **figures))


def _tables(model: GgufModel) -> dict[str, Any]:
    """The context, and rows of the tables of tokens, token types and positions."""
    tokens = model.counts.get("tokenizer.ggml.tokens")
    if model.values.get("tokenizer.ggml.model") in ("no_vocab", "none"):
        tokens = model.number("vocab_size")
    vocabulary = model.shapes.get("token_embd.weight", (0, 0))[-1]
    if tokens and not model.row.embedding_rows_beyond:
        # llama.cpp makes the table of tokens as long as the tokenizer
        vocabulary = tokens
    token_types = None
    types_shape = model.shapes.get("token_types.weight", ())
    if types_shape:
        token_types = types_shape[1] if len(types_shape) > 1 else 1
    positions = None
    positions_shape = model.shapes.get("position_embd.weight", ())
    if len(positions_shape) > 1:
        positions = positions_shape[-1]
        if token_types == 1:
            positions += _DROPPED_POSITIONS
    context = model.size("context_length")
    if context is None:
        why = f"the header says {model.name}.context_length = 0"
        model.unknown["architecture.context_tokens"] = why
    return {
        "context_tokens": context,
        "vocabulary": vocabulary or None,
        "token_types": token_types,
        "positions": positions,
    }


def _differences_from_row(
    model: GgufModel, attention: tuple[Attention, ...], *, has_states: bool
) -> dict[str, Any]:
    """What the file's tensors have otherwise than those of its row, as fields of `Architecture`."""
    row = model.row
    names = model.shapes.keys()
    fields: dict[str, Any] = {}
    if row.gate_varies:
        gate = _gate(model)
        if gate is not None and gate != row.gate:
            fields["gate"] = gate
    if attention:
        biases = ("attn_q.bias", "attn_qkv.bias")
        has_bias = any(name.endswith(biases) for name in names)
        if has_bias != row.attention_bias:
            fields["attention_bias"] = has_bias
    factors = _TABLE.rope_factors
    factor_names = sorted(names & factors.keys())
    if factor_names and factors[factor_names[-1]] != row.rope_factors:
        fields["rope_factors"] = factors[factor_names[-1]]
    for group in attention:
        # latent attention has no such norm
        if group.kind != "latent":
            norm = _query_key_norm(model, group)
            if norm != (row.query_key_norm or "none"):
                fields["query_key_norm"] = norm
            break
    if not has_states and any(name.endswith("attn_norm_2.weight") for name in names):
        fields["parallel_norms"] = 2
    return fields


def _gate(model: GgufModel) -> str | None:
    """How the gate of a feed-forward is stored; None for a model without one of that form."""
    up = model.shape(0, "ffn_up.weight")
    down = model.shape(0, "ffn_down.weight")
    if not up or not down:
        return None
    if model.has(0, "ffn_gate.weight"):
        return "split"
    return "fused" if up[-1] == 2 * down[0] else "none"


def _query_key_norm(model: GgufModel, group: Attention) -> str:
    """How queries and keys of these layers are normalized, by the shape of the norm."""
    shape = model.shape(group.layers[0], "attn_q_norm.weight")
    if not shape:
        return "none"
    if len(shape) > 1 and shape[1] > 1:
        return "per_head"
    return "head" if shape[0] == group.key_length else "full"


def _state(model: GgufModel, layer: int) -> Recurrent | None:
    """The state that a layer keeps. Raises `Unclear` for one of an unknown kind."""
    kind = _state_kind(model, layer)
    if kind is None:
        if model.has(layer, *_TABLE.other_states):
            layers = f"the recurrent layers of {model.name}"
            raise Unclear(f"{layers} are of an unknown kind")
        return None
    rule = _TABLE.states[kind]
    sizes = model.sizes(rule.keys)
    if kind == "rwkv7":
        sizes["ranks"] = tuple(model.number(key) or 0 for key in rule.ranks)
    elif kind == "mamba" and model.row.rank_from_width:
        # PLaMo 2: no key states it (src/models/plamo2.cpp: dt_dim)
        sizes["heads"] = sizes["time_step_rank"]
        sizes["time_step_rank"] = max(64, model.needed("embedding_length") // 16)
    elif kind == "mamba2" and not model.has(layer, "ssm_norm.weight"):
        sizes["norm"] = False
    elif kind == "delta":
        # the header has the values of all heads
        sizes["value_length"] //= sizes["heads"]
    return Recurrent(kind=kind, **sizes)


def _state_kind(model: GgufModel, layer: int) -> str | None:
    """The first kind of state all of whose tensors the layer has."""
    kind_of_row = model.row.state_kind
    for kind, rule in _TABLE.states.items():
        if kind == "lightning" and kind_of_row != "lightning":
            continue
        is_delta = kind_of_row == "delta" or model.has(layer, *_DELTA_TENSORS)
        if kind == "delta" and not is_delta:
            continue
        if all(model.has(layer, tensor) for tensor in rule.tensors):
            return str(kind)
    return None


def _attention(
    model: GgufModel, states: Sequence[Recurrent | None]
) -> list[Attention | None]:
    """The attention of each layer, None where it has none. `states`: what each keeps."""
    window = _window(model)
    slides = _sliding(model, window)
    head_counts = []
    for layer in range(model.layers):
        head_counts.append(model.number("attention.head_count", layer=layer) or 0)
    most_heads = max(head_counts)
    by_layer: list[Attention | None] = []
    for layer, state in enumerate(states):
        if not _attends(model, layer, state):
            by_layer.append(None)
            continue
        heads = head_counts[layer] or most_heads or model.needed("attention.head_count")
        part = _attention_of(model, layer, heads, slides=slides[layer])
        if slides[layer]:
            part = part.replace(window_tokens=window)
        by_layer.append(_with_indexer(model, layer, part))
    return by_layer


def _attends(model: GgufModel, layer: int, state: Recurrent | None) -> bool:
    tensors = _TABLE.attending
    kind = "other" if state is None else state.kind
    return model.has(layer, *tensors.get(kind, tensors["other"]))


def _with_indexer(model: GgufModel, layer: int, part: Attention) -> Attention:
    """The attention with the sizes of its indexer. A layer without one shares an earlier one's
    choice, or looks at everything.
    """
    if not model.has(layer, *_TABLE.indexing):
        return part
    sizes = model.sizes(_TABLE.indexer)
    if part.kind == "compressed":
        sizes["indexer_rows"] = model.needed("attention.indexer.top_k")
    return part.replace(**sizes)


def _attention_of(
    model: GgufModel, layer: int, heads: int, *, slides: bool
) -> Attention:
    """The attention of one layer, by what its keys state."""
    has_latent = model.number("attention.kv_lora_rank")
    if has_latent and model.number("attention.key_length_mla"):
        return _latent_attention(model, heads)
    if model.get("attention.compress_ratios") is not None:
        return _compressed_attention(model, layer, heads)
    kv_heads = model.number("attention.head_count_kv", layer=layer)
    sizes: dict[str, Any] = {}
    if not slides and model.has(layer, "attn_kv_b.weight"):
        # files of before April 2025 unpack the latent, and keep keys and values of every head
        sizes = model.sizes(_TABLE.latent)
        sizes["query_latent_length"] = model.size("attention.q_lora_rank")
    has_values = model.has(layer, "attn_v.weight")
    sizes["values_from_keys"] = model.row.values_from_keys and not has_values
    return Attention(
        kind="sliding" if slides else "full",
        heads=heads,
        kv_heads=heads if kv_heads is None else kv_heads,
        key_length=_head_length(model, "key_length", heads, slides=slides),
        value_length=_head_length(model, "value_length", heads, slides=slides),
        **sizes,
    )


def _head_length(model: GgufModel, name: str, heads: int, *, slides: bool) -> int:
    """Elements of a key or a value of one head."""
    length = model.number(f"attention.{name}_swa") if slides else None
    length = length or model.number(f"attention.{name}")
    return length or model.needed("embedding_length") // heads


def _latent_attention(model: GgufModel, heads: int) -> Attention:
    """Attention that keeps one row of elements for all heads."""
    sizes = model.sizes({**_TABLE.latent, **_TABLE.latent_heads})
    sizes["key_length"] -= sizes["rope_length"]
    return Attention(
        kind="latent",
        heads=heads,
        kv_heads=heads,
        query_latent_length=model.size("attention.q_lora_rank"),
        **sizes,
    )


def _compressed_attention(model: GgufModel, layer: int, heads: int) -> Attention:
    """Attention to a window, and to rows that stand for several tokens each (DeepSeek V4)."""
    sizes = model.sizes(_TABLE.compressed)
    compression = model.number("attention.compress_ratios", layer=layer) or None
    if "latent_length" in sizes:
        sizes["query_latent_length"] = model.size("attention.q_lora_rank")
    return Attention(
        kind="compressed", heads=heads, kv_heads=1, compression=compression, **sizes
    )


def _window(model: GgufModel) -> int | None:
    """The window in tokens, of the layers that have one; None where none has."""
    window = model.size("attention.sliding_window", "attention.chunk_size")
    if window is None and model.row.window_cache_layers in (None, model.layers):
        window = model.row.window_tokens
    context = model.number("context_length")
    if not window or (context and window >= context):
        # a window that no text can fill is none
        return None
    return window if window < MAX_NUMBER else None


def _sliding(model: GgufModel, window: int | None) -> list[bool]:
    """Which layers have the window, by a list or by every so many; else as the row says."""
    layers = model.layers
    if window is None:
        return [False] * layers
    key = "attention.sliding_window_pattern"
    name = f"{model.name}.{key}"
    stated = model.values.get(name)
    entries = model.counts.get(name, layers)
    if isinstance(stated, list):
        entries = len(stated)
    if not layers <= entries <= model.blocks:
        raise Unclear(reason("pattern", name=name, entries=entries, layers=layers))
    if isinstance(stated, list):
        return [bool(flag) for flag in stated[:layers]]
    every = model.row.full_every if stated is None else model.number(key)
    if every is None:
        raise Unclear(reason("window", name=model.name, window=window))
    if every == 0:
        return [True] * layers
    full_place = 0 if model.row.full_first else every - 1
    return [layer % every != full_place for layer in range(layers)]


def _feed_forward(model: GgufModel, layer: int, width: int) -> FeedForward | None:
    """The feed-forward of a layer, None where it has none."""
    dense = model.shape(layer, "ffn_down.weight")
    mixed = model.shape(layer, "channel_mix_key.weight")
    experts = model.shape(layer, "ffn_down_exps.weight")
    length = model.number("feed_forward_length", layer=layer) or 0
    if len(experts) == 3 and model.number("expert_used_count"):
        shared = model.shape(layer, "ffn_down_shexp.weight")
        return FeedForward(
            length=experts[0],
            experts=model.needed("expert_count"),
            used=model.needed("expert_used_count"),
            shared_length=shared[0] if shared else None,
            latent_length=experts[1] if experts[1] != width else None,
            router_bias=model.has(layer, "exp_probs_b.bias", "exp_probs_b"),
            beside_dense=dense[0] if dense else None,
            **model.groups("expert_group_count", "expert_group_used_count"),
        )
    if not dense and not mixed:
        return None
    # where the tensor has another length than the header, llama.cpp refuses it
    if model.row.length_of_both:
        length //= 2
    return FeedForward(length=length or (dense[0] if dense else mixed[-1]))


def _check_against_row(model: GgufModel, architecture: Architecture) -> None:
    """Note tensors of the file that are not quite those of its row. Raises where it is another."""
    if row_of(architecture) is UNKNOWN_ROW:
        raise Unclear(f"its layers lack a part that every {model.name} model has")
    expected: dict[_Place, tuple[int, ...]] = {}
    for group in gguf_tensors(architecture):
        for layer in group.layers or (-1,):
            name, shape = _plain_form(group.name, group.shape)
            expected[name, layer] = shape
    actual: dict[_Place, tuple[int, ...]] = {}
    for tensor in model.tensors:
        whole_name, layer = tensor.place
        name, shape = _plain_form(whole_name, tensor.shape)
        actual[name, layer] = shape
    model.is_as_row = expected == actual
    if model.is_as_row:
        return
    differing = sorted({place for place, _ in expected.items() ^ actual.items()})
    merged_layers = set()
    for name, layer in actual.keys() - expected:
        if name in _TABLE.instead:
            merged_layers.add(layer)
    optional = re.compile("|".join(_TABLE.optional))
    for place in differing:
        name, layer = place
        # blocks that predict more tokens are left out
        is_predicting = model.layers <= layer < model.blocks
        if is_predicting or layer in merged_layers:
            continue
        if optional.search(name):
            continue
        tensor_name = _name_at(place)
        # llama.cpp refuses a tensor that it does not look for, too, as long as no release learns of
        # it (src/llama-model-loader.cpp: check_tensor_dims, done_getting_tensors)
        stored = _shape_words(actual.get(place), "missing")
        wanted = _shape_words(
            expected.get(place), "absent (no known llama.cpp loads it)"
        )
        what = f"its tensor {tensor_name} is {stored}"
        where = f"in {model.name} models it is {wanted}"
        raise Unclear(f"{what}, but {where}", refused=place in expected)
    tensors = source.listed(map(_name_at, differing), 3)
    model.notes.append(reason("other-tensors", name=model.name, tensors=tensors))


# a tensor's name with `*` for its layer, and that layer; -1 outside the blocks
_Place = tuple[str, int]


def _name_at(place: _Place) -> str:
    name, layer = place
    return clean(name.replace("*", str(layer)))


def _shape_words(shape: tuple[int, ...] | None, absent: str) -> str:
    if shape is None:
        return absent
    return " × ".join(f"{length:,}" for length in shape)


def _plain_form(name: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """A tensor's usual name, and its shape without dimensions of 1 and with norms unfolded."""
    name = name.removesuffix(".weight")
    name = _TABLE.two_names.get(name, name)
    if name.endswith("norm"):
        return name, (prod(shape),)
    return name, tuple(size for size in shape if size != 1)
