"""A GGUF file, or the parts of one -> ModelSpec, from its header alone: keys say the sizes of its
layers, tensors which kind a layer is (by their names in llama.cpp's gguf-py/gguf/constants.py), and
their types the quantization. The tensor table is held against that of its architecture's row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from ..core.tables import TomlRow, shipped_table
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
from .source import TEXTS, LocalModel, Malformed, Sizes, Unclear, clean, grouped, reason

_TABLE: TomlRow = TEXTS["gguf"]
# the converter drops the two rows of XLM-RoBERTa's position table that no token uses
_DROPPED_POSITIONS = 2
# a bit of general.file_type: the converter guessed it (LLAMA_FTYPE_GUESSED)
_GUESSED = 1024
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
        self.tensors, self.counts = tensors, header.counts
        self.name = clean(self.values.get("general.architecture"))
        architectures = shipped_table("architectures")
        self.is_image_model = (
            self.name in architectures["image_models"]["architectures"]
        )
        row = architectures["architecture"].get(self.name)
        self.known = row is not None
        self.row = ArchitectureRow.from_values(self.name, row or {})
        self.shapes = {tensor.name: tensor.shape for tensor in tensors}
        self.shapes |= {
            name[4:].replace("attn_o.", "attn_output."): shape
            for name, shape in self.shapes.items()
            if name.startswith(_STACKS)
        }
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
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    promised = headers[0].values.get("split.tensors.count", len(tensors))
    distinct = len({tensor.name for tensor in tensors})
    if len(headers) > 1 and {promised, distinct} != {len(tensors)}:
        source.refuse(
            path,
            "mixed",
            unlike=distinct,
            parts=len(headers),
            promised=str(promised)[:20],
        )
    model = GgufModel(path, headers[0], tensors)
    if not model.name:
        source.refuse(path, "unusable", what="general.architecture is missing")
    for kind in (model.name, clean(model.values.get("general.type")).lower()):
        if kind in _TABLE["not_a_model"]:
            source.fail(path, **_TABLE["not_a_model"][kind])
    if not tensors:
        source.refuse(path, "no-tensors")
    quantization = _quantization(model)
    unused = sum(header.unused_bytes for header in headers)
    if unused:
        model.notes.append(reason("unused-bytes", unused=unused))
    sizes = {quantization: sum(header.file_bytes for header in headers) - unused}
    try:
        spec = _spec(model, sizes, len(headers), unused)
    except Malformed as fault:
        # no converter writes it
        source.refuse(path, "unusable", what=fault)
    notes = tuple(model.notes)
    return LocalModel(
        spec=spec,
        format="gguf",
        quantization=quantization,
        files_here=True,
        notes=notes,
    )


def _headers(path: str, paths: Sequence[str]) -> list[Header]:
    # what was named is read first: its own faults come before those of its siblings
    given = read_header(path)
    split = given.values.get("split.count", 0)
    if isinstance(split, int) and split > 1 and len(paths) != split:
        source.refuse(path, "unnamed-part", parts=split, last=f"{split:05d}")
    source.refuse_missing(path, "parts", paths)
    headers: list[Header] = []
    for part in paths:
        headers.append(given if part == path else read_header(part))
        if sum(len(header.tensors) for header in headers) > MAX_TENSORS:
            source.refuse(
                path,
                "damaged",
                what=f"its parts have more than {MAX_TENSORS:,} tensors",
            )
    return headers


def _quantization(model: GgufModel) -> str:
    """Tensors of a type that `general.file_type` does not allow outweigh it, which is noted."""
    elements: dict[str, int] = {}
    for tensor in model.tensors:
        if len(tensor.shape) > 1:
            elements[tensor.type] = elements.get(tensor.type, 0) + prod(tensor.shape)
    types = sorted(elements, key=lambda type: -elements[type]) or ["F32"]
    stated = model.values.get("general.file_type")
    names, fallbacks = _TABLE["file_types"], _TABLE["fallbacks"]
    name = names.get(str(stated & ~_GUESSED), "") if type(stated) is int else ""
    bases = {**BASE_TYPES, "MXFP4_MOE": "MXFP4"}
    base = bases.get(name, name)
    if name and not {base, fallbacks.get(base)}.isdisjoint(types):
        return name
    held = types[0]
    if held in ("Q3_K", "Q4_K", "Q5_K"):
        held += "_M" if sum(type.endswith("_K") for type in types) > 1 else "_S"
    elif held not in QUANTIZATIONS["gguf"]:
        held = next((name for name, type in bases.items() if type == held), held)
    if stated is not None:
        said = f"general.file_type is {name or repr(stated)[:40]}"
        tensors = source.listed(types, 3)
        model.notes.append(f"{said}, but its tensors are {tensors}; judged as {held}")
    return held


def _spec(
    model: GgufModel, sizes: Mapping[str, int], parts: int, unused: int
) -> ModelSpec:
    """The spec of the model in so many `parts`, whose files have `unused` bytes behind `sizes`."""
    architecture, refused = None, None
    try:
        architecture = _architecture(model)
        _check_against_row(model, architecture)
    except Malformed:
        raise
    except Unclear as why:
        model.unknown["architecture"], architecture = str(why), None
        refused = f"llama.cpp refuses this file: {why}." if why.refused else None
    tag, link = (
        clean(model.values.get(f"general.license{key}")) for key in ("", ".link")
    )
    more = f" and its other {parts - 1:,} parts" if parts > 1 else ""
    headers = f"header of {shown(model.path)}{more}"
    # what llama.cpp loads, alike tensors together
    places = [(*tensor.place, tensor) for tensor in model.tensors]
    alike = Counter(
        (clean(name), each.shape, each.type, layer >= model.layers, each.bytes or 0)
        for name, layer, each in places
    )
    loaded = [
        FileTensors(
            name=name, shape=shape, type=type, extra=extra, count=n, bytes=n * size
        )
        for (name, shape, type, extra, size), n in alike.items()
    ]
    is_sized = all(tensor.bytes and tensor.type in BLOCKS for tensor in loaded)
    embeds = model.row.embeds or model.values.get(f"{model.name}.pooling_type")
    # of one that is both the last counts
    modalities = {bool(embeds): "embedding", model.is_image_model: "image"}
    size_source = SIZE_OF + shown(model.path)
    if unused:
        size_source += f", without the {unused:,} bytes after its tensors"
    return source.spec_of(
        model.path,
        clean(model.values.get("general.name")),
        modality=modalities.get(True, "text"),
        license=source.license_of(tag, link, model.unknown),
        parameters=_parameters(model, architecture),
        architecture=architecture,
        files=(PublishedFiles(format="gguf", source=size_source, bytes=sizes),),
        safety=Safety(formats=("gguf",), remote_code=False),
        sources={
            "architecture": headers,
            "parameters": f"tensor table, {headers}",
            "license": headers,
            "safety": "a GGUF file holds no code",
        },
        unknown=model.unknown,
        tensors=tuple(loaded) if is_sized else (),
        refused=refused,
        tokenizer=True,
    )


def _parameters(model: GgufModel, architecture: Architecture | None) -> Parameters:
    """Of a model whose tensors are not those of its row: all elements of the file."""
    total = predicting = 0
    for tensor in model.tensors:
        if tensor.place[1] >= model.layers:
            predicting += prod(tensor.shape)
        elif not tensor.name.startswith(("rope_freqs.", "rope_factors_")):
            total += prod(tensor.shape)
    active = None if any("exps." in tensor.name for tensor in model.tensors) else total
    if architecture is not None and row_of(architecture) is not UNKNOWN_ROW:
        whole, used = all_and_active(architecture)
        total = whole if model.is_as_row else total
        active = total - (whole - used)
    if total > source.MAX_PARAMETERS:
        raise Malformed(f"{total:.1e} parameters")
    return Parameters(
        total=total or None, active=active or None, mtp=predicting or None
    )


def _architecture(model: GgufModel) -> Architecture:
    _count_layers(model)
    row, layers, width = model.row, model.layers, model.needed("embedding_length")
    states = [_state(model, layer) for layer in range(layers)]
    attending = _attention(model, states)
    feeding = [_feed_forward(model, layer, width) for layer in range(layers)]
    # a model may run through its layers several times, each time with a cache of their own
    loops = model.size("num_loops") or 1 if row.loops else 1
    if layers * loops > MAX_LAYERS:
        raise Malformed(f"{loops:,} runs through {layers:,} layers")
    shared = model.number("attention.shared_kv_layers")
    if shared is None:
        shared = max(0, layers - (row.cache_layers or layers))
    if shared >= layers:
        raise Malformed(f"all {layers:,} layers read the cache of an earlier one")
    attention = grouped(attending * loops, width)
    architecture = source.architecture_of(
        f"{model.name}: ",
        row=model.name,
        runs_in_gguf=True,
        layers=layers * loops,
        embedding_length=width,
        tied_embeddings="output.weight" not in model.shapes and not row.embeds,
        output_matrix=not row.embeds,
        attention=attention,
        recurrent=grouped(states, width),
        feed_forward=grouped(feeding * loops, width),
        cache_layers=layers - shared if shared else None,
        stored_layers=layers if loops > 1 else None,
        per_layer_embedding_length=model.size("embedding_length_per_layer_input"),
        altup_inputs=model.size("altup.num_inputs", "hyper_connection.count"),
        # layers that add a slice of the pictures' embeddings
        deepstack_layers=min(model.number("n_deepstack_layers") or 0, layers) or None,
        mtp_layers=model.blocks - layers or None,
        **_tables(model),
        **_differences_from_row(model, attention, has_states=any(states)),
    )
    model.unknown["architecture.dtype"] = reason("published-type")
    return architecture


def _count_layers(model: GgufModel) -> None:
    """Set `blocks` and `layers`. Raises for files that no llama.cpp loads, or not as this model."""
    if model.is_image_model or not model.known:
        fact = "image-model" if model.is_image_model else "no-architecture"
        raise Unclear(reason(fact, name=model.name))
    for key in _TABLE["required"]:
        if model.number(key) is None:
            raise Malformed(f"its header has no {model.name}.{key}")
    model.blocks = model.number("block_count") or 0
    predicting = model.number("nextn_predict_layers") or 0
    model.layers = model.blocks - predicting
    if not 0 < model.layers <= model.blocks <= MAX_LAYERS:
        raise Malformed(
            f"{model.blocks:,} layers, {predicting:,} of them beyond the last"
        )
    if any(name.startswith(("a.", "v.")) for name in model.shapes):
        raise Unclear(reason("encoder", name=model.name))
    if odd := next((tensor for tensor in model.tensors if tensor.bytes is None), None):
        raise Unclear(reason("tensor-type", name=clean(odd.name), type=odd.type))
    sections = model.values.get(f"{model.name}.rope.dimension_sections")
    if isinstance(sections, list) and len(sections) != 4:
        raise Unclear(
            reason("sections", name=model.name, count=len(sections), wanted=4)
        )


def _tables(model: GgufModel) -> dict[str, Any]:
    """The context, and rows of the tables of tokens, token types and positions."""
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
    context = model.size("context_length")
    if context is None:
        why = f"the header says {model.name}.context_length = 0"
        model.unknown["architecture.context_tokens"] = why
    return {
        "context_tokens": context,
        "vocabulary": rows or None,
        "token_types": token_types,
        "positions": places[-1] + dropped if len(places) > 1 else None,
    }


def _differences_from_row(
    model: GgufModel, attention: tuple[Attention, ...], *, has_states: bool
) -> dict[str, Any]:
    """What the file's tensors have otherwise than those of its row, as fields of `Architecture`."""
    row, names = model.row, model.shapes.keys()
    own: dict[str, Any] = {}
    up, down = model.shape(0, "ffn_up.weight"), model.shape(0, "ffn_down.weight")
    # of several that are so the last counts
    if row.gate_varies and up and down:
        gates = {
            up[-1] == 2 * down[0]: "fused",
            model.has(0, "ffn_gate.weight"): "split",
        }
        own["gate"] = gates.get(True, "none")
    if attention:
        own["attention_bias"] = any(
            name.endswith(("attn_q.bias", "attn_qkv.bias")) for name in names
        )
    factors = _TABLE["rope_factors"]
    held = sorted(names & factors.keys(), reverse=True)
    own["rope_factors"] = next(map(factors.get, held), row.rope_factors)
    # latent attention has no such norm
    if group := next((group for group in attention if group.kind != "latent"), None):
        shape = model.shape(group.layers[0], "attn_q_norm.weight")
        is_one, is_by_head = shape[:1] == (group.key_length,), shape[1:2] > (1,)
        norms = {is_one: "head", is_by_head: "per_head", not shape: "none"}
        own["query_key_norm"] = norms.get(True, "full")
    if not has_states and any(name.endswith("attn_norm_2.weight") for name in names):
        own["parallel_norms"] = 2
    usual = {"query_key_norm": row.query_key_norm or "none", "parallel_norms": None}
    return {
        key: each
        for key, each in own.items()
        if each != usual.get(key, getattr(row, key, 0))
    }


def _state(model: GgufModel, layer: int) -> Recurrent | None:
    """The state that a layer keeps. Raises `Unclear` for one of an unknown kind."""
    row_kind = model.row.state_kind
    is_delta = row_kind == "delta" or model.has(
        layer, "ssm_alpha.weight", "ssm_ba.weight"
    )
    is_possible = {"delta": is_delta, "lightning": row_kind == "lightning"}
    for kind, rule in _TABLE["states"].items():
        has_all = all(model.has(layer, tensor) for tensor in rule["tensors"])
        if has_all and is_possible.get(kind, True):
            break
    else:
        if model.has(layer, *_TABLE["other_states"]):
            raise Unclear(
                f"the recurrent layers of {model.name} are of an unknown kind"
            )
        return None
    sizes = model.sizes(rule["keys"])
    if kind == "rwkv7":
        sizes["ranks"] = tuple(model.number(key) or 0 for key in rule["ranks"])
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


def _attention(
    model: GgufModel, states: Sequence[Recurrent | None]
) -> list[Attention | None]:
    by_layer: list[Attention | None] = [None] * model.layers
    window, tensors = _window(model), _TABLE["attending"]
    slides = _sliding(model, window)
    most = max(
        model.number("attention.head_count", layer=n) or 0 for n in range(model.layers)
    )
    for layer, state in enumerate(states):
        kind = state.kind if state is not None else "other"
        if not model.has(layer, *tensors.get(kind, tensors["other"])):
            continue
        stated = model.number("attention.head_count", layer=layer)
        heads = stated or most or model.needed("attention.head_count")
        part = _attention_of(model, layer, heads, slides=slides[layer])
        if slides[layer]:
            part = part.replace(window_tokens=window)
        # a layer without an indexer shares an earlier one's choice, or looks at everything
        if model.has(layer, *_TABLE["indexing"]):
            part = part.replace(**model.sizes(_TABLE["indexer"]))
            if part.kind == "compressed":
                part = part.replace(
                    indexer_rows=model.needed("attention.indexer.top_k")
                )
        by_layer[layer] = part
    return by_layer


def _attention_of(
    model: GgufModel, layer: int, heads: int, *, slides: bool
) -> Attention:
    kind, kv_heads = "sliding" if slides else "full", heads
    if model.number("attention.kv_lora_rank") and model.number(
        "attention.key_length_mla"
    ):
        kind, sizes = (
            "latent",
            model.sizes({**_TABLE["latent"], **_TABLE["latent_heads"]}),
        )
        sizes["key_length"] -= sizes["rope_length"]
    elif model.get("attention.compress_ratios") is not None:
        # to a window and to rows that stand for several tokens each (DeepSeek V4)
        kind, kv_heads, sizes = "compressed", 1, model.sizes(_TABLE["compressed"])
        sizes["compression"] = (
            model.number("attention.compress_ratios", layer=layer) or None
        )
    else:
        stated = model.number("attention.head_count_kv", layer=layer)
        kv_heads = heads if stated is None else stated
        # files of before April 2025 unpack the latent, and keep keys and values of every head
        is_unpacked = not slides and model.has(layer, "attn_kv_b.weight")
        sizes = model.sizes(_TABLE["latent"]) if is_unpacked else {}
        for name in ("key_length", "value_length"):
            own = model.number(f"attention.{name}_swa") if slides else None
            own = own or model.number(f"attention.{name}")
            sizes[name] = own or model.needed("embedding_length") // heads
        has_values = model.has(layer, "attn_v.weight")
        sizes["values_from_keys"] = model.row.values_from_keys and not has_values
    if "latent_length" in sizes:
        sizes["query_latent_length"] = model.size("attention.q_lora_rank")
    return Attention(kind=kind, heads=heads, kv_heads=kv_heads, **sizes)


def _window(model: GgufModel) -> int | None:
    """The window in tokens, of the layers that have one; None where none has."""
    window = model.size("attention.sliding_window", "attention.chunk_size")
    if model.row.window_cache_layers in (None, model.layers):
        window = window or model.row.window_tokens
    context = model.number("context_length") or source.MAX_NUMBER
    # a window that no text can fill is none
    return window if window and window < context else None


def _sliding(model: GgufModel, window: int | None) -> list[bool]:
    """Which layers have the window, by a list or by every so many; else as the row says."""
    key, layers = "attention.sliding_window_pattern", model.layers
    if window is None:
        return [False] * layers
    name = f"{model.name}.{key}"
    stated = model.values.get(name)
    entries = (
        len(stated) if isinstance(stated, list) else model.counts.get(name, layers)
    )
    if not layers <= entries <= model.blocks:
        raise Unclear(reason("pattern", name=name, entries=entries, layers=layers))
    if isinstance(stated, list):
        return [bool(flag) for flag in stated[:layers]]
    every = model.row.full_every if stated is None else model.number(key)
    if every is None:
        raise Unclear(reason("window", name=model.name, window=window))
    full = 0 if model.row.full_first else (every or 1) - 1
    return [every == 0 or layer % every != full for layer in range(layers)]


def _feed_forward(model: GgufModel, layer: int, width: int) -> FeedForward | None:
    stated = model.number("feed_forward_length", layer=layer) or 0
    experts = model.shape(layer, "ffn_down_exps.weight")
    dense = model.shape(layer, "ffn_down.weight")
    mixed = model.shape(layer, "channel_mix_key.weight")
    if len(experts) == 3 and model.number("expert_used_count"):
        return FeedForward(
            length=experts[0],
            experts=model.needed("expert_count"),
            used=model.needed("expert_used_count"),
            shared_length=next(iter(model.shape(layer, "ffn_down_shexp.weight")), None),
            latent_length=experts[1] if experts[1] != width else None,
            router_bias=model.has(layer, "exp_probs_b.bias", "exp_probs_b"),
            beside_dense=next(iter(dense), None),
            **model.groups("expert_group_count", "expert_group_used_count"),
        )
    if dense or mixed:
        # where the tensor has another length than the header, llama.cpp refuses it
        length = stated // (2 if model.row.length_of_both else 1)
        return FeedForward(length=length or (*dense[:1], *mixed[-1:])[0])
    return None


def _check_against_row(model: GgufModel, architecture: Architecture) -> None:
    """Note tensors of the file that are not quite those of its row. Raises where it is another."""
    if row_of(architecture) is UNKNOWN_ROW:
        raise Unclear(f"its layers lack a part that every {model.name} model has")
    groups = gguf_tensors(architecture)
    expected = _shapes((each.name, each.layers or (-1,), each.shape) for each in groups)
    actual = _shapes(
        (each.place[0], each.place[1:], each.shape) for each in model.tensors
    )
    model.is_as_row = expected == actual
    differing = sorted({place for place, _ in expected.items() ^ actual.items()})
    merged = {
        layer for name, layer in actual.keys() - expected if name in _TABLE["instead"]
    }
    optional = re.compile("|".join(_TABLE["optional"]))
    names = [clean(name.replace("*", str(layer))) for name, layer in differing]
    for place, tensor in zip(differing, names, strict=True):
        name, layer = place
        # blocks that predict more tokens are left out
        if (
            model.layers <= layer < model.blocks
            or layer in merged
            or optional.search(name)
        ):
            continue
        # llama.cpp refuses a tensor that it does not look for, too, as long as no release learns of
        # it (src/llama-model-loader.cpp: check_tensor_dims, done_getting_tensors)
        none = "absent (no known llama.cpp loads it)"
        stored, wanted = (
            " × ".join(f"{length:,}" for length in shapes[place])
            if place in shapes
            else absent
            for shapes, absent in ((actual, "missing"), (expected, none))
        )
        what = f"its tensor {tensor} is {stored}, but in {model.name} models it is {wanted}"
        raise Unclear(what, refused=place in expected)
    if not model.is_as_row:
        tensors = source.listed(names, 3)
        model.notes.append(reason("other-tensors", name=model.name, tensors=tensors))


def _shapes(
    placed: Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]],
) -> dict[tuple[str, int], tuple[int, ...]]:
    """By a tensor's name with `*` for its layer, and that layer, its shape without dimensions of 1
    and with norms unfolded; the layer is -1 outside the blocks.
    """
    shapes: dict[tuple[str, int], tuple[int, ...]] = {}
    for whole_name, layers, sizes in placed:
        name = whole_name.removesuffix(".weight")
        name = _TABLE["two_names"].get(name, name)
        shape = tuple(size for size in sizes if size != 1)
        shape = (prod(sizes),) if name.endswith("norm") else shape
        for layer in layers:
            shapes[name, layer] = shape
    return shapes
