"""What transformers, vLLM and MLX keep of a text: keys and values, states of recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..catalogue.spec import Architecture, RuntimeSpec
from ..core.records import Record
from .cache import CacheGroup, cache_groups, states
from .loaded import cache_line, width_of
from .parts import Asked, by_layers, name_of, term
from .records import How, Term
from .tensors import ArchitectureRow


def kept_terms(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Iterator[Term]:
    """The terms of the cache and of recurrent states, those of no bytes left out."""
    kept = [*_keys_and_values(architecture, row, runtime, workload)]
    yield from kept
    for state in _recurrent_states(architecture, runtime, workload):
        yield _with_share_of(state, kept, runtime)


def _with_share_of(state: Term, kept: list[Term], runtime: RuntimeSpec) -> Term:
    """The states, or what they get beside keys and values where that is more."""
    shared = int(runtime.state_share * sum(term.bytes for term in kept))
    if shared <= state.bytes:
        return state
    line = (
        f"{runtime.state_share:g} × {sum(term.bytes for term in kept):,} bytes of keys and values"
    )
    return state.replace(
        bytes=shared,
        low_bytes=min(state.low_bytes, shared),
        high_bytes=max(state.high_bytes, shared),
        arithmetic=line,
    )


def _keys_and_values(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Iterator[Term]:
    width, ending = _cache_width(architecture, runtime, workload), _ending(workload)
    caches = list(cached(architecture, row, runtime, workload))
    size, high = sum(each.bytes for each in caches), sum(each.high_bytes for each in caches)
    low = sum(each.low_bytes for each in caches)
    lines = [
        (
            "",
            each.group.layers,
            f" × {_of_token(each, width)} × {each.kept:,} tokens{ending}",
        )
        for each in caches
    ]
    if architecture.audio is not None:
        frames, wide = architecture.audio.positions, architecture.embedding_length
        after = f" × {wide:,} × {width} bytes × {frames:,} positions of the encoder{ending}"
        lines.append(("2 × ", architecture.layers, after))
        more = 2 * architecture.layers * wide * width * frames * workload.parallel
        size, low, high = size + more, low + more, high + more
    if not size:
        return
    source = f"{runtime.name}: keys and values in the type of the model"
    if workload.key_type == "fp8":
        source = f"{runtime.name}: keys and values in FP8"
    elif _in_fp8(architecture, runtime, workload):
        source = (
            f"{runtime.name}: keys and values in FP8, as quantization_config asks;"
            " --kv-cache-dtype auto does so"
        )
    line = "; ".join([" + ".join(by_layers(lines)), *_notes(caches, runtime)])
    yield term("kv_cache", size, How.COMPUTED, source, line, low=low, high=high)


def _of_token(cached_group: Cached, width: int) -> str:
    """What a layer keeps of one token, as a product."""
    product = f"{cache_line(cached_group.group)[1]} × {width}"
    if cached_group.packed_bytes:
        return f"({product} + {cached_group.packed_bytes}) bytes"
    return f"{product} bytes"


def _ending(workload: Asked) -> str:
    return f" × {workload.parallel:,} sequences" if workload.parallel > 1 else ""


def _notes(caches: list[Cached], runtime: RuntimeSpec) -> list[str]:
    reading = [
        f"{each.reach:,} in place of {each.kept:,} tokens while a prompt is read"
        for each in caches
        if runtime.computes_with == "mlx" and each.reach > each.kept
    ]
    step = runtime.cache_step_tokens
    return [*dict.fromkeys(reading), *([] if step == 1 else [f"in steps of {step} tokens"])]


def _recurrent_states(
    architecture: Architecture, runtime: RuntimeSpec, workload: Asked
) -> Iterator[Term]:
    if runtime.computes_with == "mlx":
        from .mlx import cache as mlx_cache

        width = _cache_width(architecture, runtime, workload)
        mlx_state = mlx_cache.state(architecture, width, workload.parallel)
        if mlx_state is not None:
            yield mlx_state
            return
    items, ending = states(architecture), _ending(workload)
    numbers = sum(state.layers * (state.convolution + state.memory) for state in items)
    size = numbers * workload.parallel * 4
    if size:
        lines = by_layers(
            ("", state.layers, f" × {state.arithmetic} × 4 bytes{ending}") for state in items
        )
        yield term(
            "recurrent_state",
            size,
            How.COMPUTED,
            "states in float32; some runtimes halve it",
            " + ".join(lines),
            low=size // 2,
        )


class Cached(Record):
    """What a group of layers keeps of `kept` tokens, and of `reach` tokens at most.
    `packed_bytes`: what a row takes beside its elements in 8 bits.
    """

    group: CacheGroup
    kept: int
    reach: int
    packed_bytes: int
    low_bytes: int
    bytes: int
    high_bytes: int


# of a latent row in 8 bits that a sparse indexer reads: elements of one scale in 32 bits
# (fp8_ds_mla; vllm 0.33.0, mla/flashmla_sparse.py: 656 bytes of DeepSeek V3.2)
_SCALED_ELEMENTS, _SCALE_BYTES = 128, 4


def _packed_bytes(group: CacheGroup) -> int:
    """What such a row takes more than its elements: scales, and positions, which stay in 16 bits.
    GPUs of compute capability 10 keep no such rows.
    """
    if not (group.latent and group.indexer_elements):
        return 0
    scaled = group.key_length - group.rope_elements
    return scaled // _SCALED_ELEMENTS * _SCALE_BYTES + group.rope_elements


def cached(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Iterator[Cached]:
    """What each group of layers keeps of keys and values."""
    width, step = _cache_width(architecture, runtime, workload), runtime.cache_step_tokens
    tokens = -(-workload.context_tokens // step) * step
    for group in _groups(architecture, row, runtime):
        kept, reach = _kept(architecture, row, group, runtime, tokens)
        elements = cache_line(group)[0]
        packed = _packed_bytes(group) if width == 1 else 0
        most = (elements + group.indexer_elements) * width + packed
        if width == 1:
            most += group.indexer_elements // _SCALED_ELEMENTS * _SCALE_BYTES
        rows = group.layers * workload.parallel
        yield Cached(
            group=group,
            kept=kept,
            reach=reach,
            packed_bytes=packed,
            low_bytes=rows * elements * width * kept,
            bytes=rows * (elements * width + packed) * kept,
            high_bytes=rows * most * reach,
        )


def _in_fp8(architecture: Architecture, runtime: RuntimeSpec, workload: Asked) -> bool:
    """True where vLLM keeps keys and values in FP8: the published checkpoint asks for it, and vLLM
    follows unless --kv-cache-dtype is given.
    """
    return (
        runtime.computes_with == "vllm"
        and architecture.cache_dtype is not None
        and workload.quantization == name_of(architecture)
    )


def _cache_width(architecture: Architecture, runtime: RuntimeSpec, workload: Asked) -> int:
    if workload.key_type == "fp8" or _in_fp8(architecture, runtime, workload):
        return 1
    return width_of(architecture, runtime, workload.quantization)


def _groups(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec
) -> tuple[CacheGroup, ...]:
    if runtime.computes_with != "mlx":
        return cache_groups(architecture, row)
    from .mlx import cache as mlx_cache

    return mlx_cache.groups_of(architecture, row)


def _kept(
    architecture: Architecture,
    row: ArchitectureRow,
    group: CacheGroup,
    runtime: RuntimeSpec,
    tokens: int,
) -> tuple[int, int]:
    """How many tokens a layer has room for, and the most; `tokens` is the context in whole steps of
    the runtime.
    """
    window = group.window_tokens
    # transformers: DynamicSlidingWindowLayer gives a prompt back once the second token is answered
    if window is None or runtime.computes_with == "transformers":
        return tokens, tokens
    if runtime.computes_with == "mlx":
        from .mlx import cache as mlx_cache

        if not mlx_cache.rotates(architecture, row):
            return tokens, tokens
        # mlx_lm/models/cache.py: beside the piece of the prompt that is read one token less than
        # the window, in Llama 4's the whole
        before = window if row.mlx_windows == "chunked" else window - 1
        from .mlx.memory import PROMPT_STEP

        return min(tokens, window), min(tokens, before + PROMPT_STEP)
    if runtime.whole_windows:
        share = runtime.window_shares.get(row.name, 1.0)
        return math.ceil(share * tokens), tokens
    step = runtime.cache_step_tokens
    # vLLM may give every layer the room of the longest
    return min(tokens, -(-window // step) * step), tokens
