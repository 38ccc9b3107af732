"""What Python runtimes keep of a text, and the program itself: keys and values, states of recurrent
layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..catalogue.spec import Architecture, RuntimeSpec
from ..core.records import Record
from .cache import CacheGroup, cache_groups, states
from .loaded import width_of
from .parts import Asked, by_layers, name_of, term, times
from .records import How, Term, middle_of
from .tensors import ArchitectureRow


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


def kept_terms(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Iterator[Term]:
    """The terms of the cache and of recurrent states, those of no bytes left out."""
    cache = _keys_and_values(architecture, row, runtime, workload)
    if cache is not None:
        yield cache
    state = _recurrent_states(architecture, runtime, workload)
    if state is not None:
        yield _with_share_of(state, cache, runtime)


def _with_share_of(state: Term, cache: Term | None, runtime: RuntimeSpec) -> Term:
    """The states, or what they get beside keys and values where that is more."""
    cache_bytes = 0 if cache is None else cache.bytes
    shared = int(runtime.state_share * cache_bytes)
    if shared <= state.bytes:
        return state
    return state.replace(
        bytes=shared,
        low_bytes=min(state.low_bytes, shared),
        high_bytes=max(state.high_bytes, shared),
        arithmetic=f"{runtime.state_share:g} × {cache_bytes:,} bytes of keys and values",
    )


def _sequences(architecture: Architecture, runtime: RuntimeSpec, workload: Asked) -> int:
    """Texts that each keep keys and values: one for each beam of a search."""
    beams = architecture.beams or 1
    if architecture.audio is not None:
        beams = runtime.account.speech_beams
    return workload.parallel * beams


def _keys_and_values(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Term | None:
    width = _cache_width(architecture, runtime, workload)
    sequences = _sequences(architecture, runtime, workload)
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    caches = list(cached(architecture, row, runtime, workload))
    size, high = sum(each.bytes for each in caches), sum(each.high_bytes for each in caches)
    low = sum(each.low_bytes for each in caches)
    lines = [
        ("", each.group.layers, f" × {_token_line(each, width)} × {each.kept:,} tokens{ending}")
        for each in caches
    ]
    if architecture.audio is not None:
        frames, wide = architecture.audio.positions, architecture.embedding_length
        after = f" × {wide:,} × {width} bytes × {frames:,} positions of the encoder{ending}"
        lines.append(("2 × ", architecture.layers, after))
        more = 2 * architecture.layers * wide * width * frames * sequences
        low = more if runtime.account.speech_tokens else low + more
        size, high = size + more, high + more
    if not size:
        return None
    if runtime.account.maps_files and row.torch_latent:
        high = _unpacked_bytes(architecture, row, width * workload.context_tokens * sequences)
    words = "the type of the model"
    if width == 1:
        words = "FP8" if workload.key_type == "fp8" else "FP8, as quantization_config asks"
    source = f"{runtime.name}: keys and values in {words}"
    line = "; ".join([" + ".join(by_layers(lines)), *_notes(caches, runtime)])
    return term("kv_cache", size, How.COMPUTED, source, line, low=low, high=high)


def _notes(caches: list[Cached], runtime: RuntimeSpec) -> list[str]:
    """Remarks on tokens that the cache has room for beside those of the context."""
    notes = []
    if runtime.account.windows == "rotated":
        notes = [
            f"{each.reach:,} in place of {each.kept:,} tokens while a prompt is read"
            for each in caches
            if each.reach > each.kept
        ]
    if runtime.cache_step_tokens > 1:
        notes.append(f"in steps of {runtime.cache_step_tokens} tokens")
    return [*dict.fromkeys(notes)]


def _unpacked_bytes(architecture: Architecture, row: ArchitectureRow, each: int) -> int:
    """What the publisher's own code (trust_remote_code) keeps: keys and values of every head."""
    groups = cache_groups(architecture, row)
    return sum(group.layers * cache_line(group)[0] for group in groups) * each


def _token_line(cached_group: Cached, width: int) -> str:
    """What a layer keeps of one token, as a product."""
    product = f"{cache_line(cached_group.group)[1]} × {width}"
    if cached_group.packed_bytes:
        return f"({product} + {cached_group.packed_bytes:,}) bytes"
    return f"{product} bytes"


def cache_line(group: CacheGroup) -> tuple[int, str]:
    """Elements that a layer keeps of one token, and the product that makes them."""
    if group.latent:
        return group.key_elements, f"{group.key_length:,}"
    heads = times(group.kv_heads, "KV head")
    if group.key_length == group.value_length:
        return 2 * group.key_elements, f"2 × {heads} × {group.key_length}"
    return (
        group.key_elements + group.value_elements,
        f"{heads} × ({group.key_length} + {group.value_length})",
    )


def _recurrent_states(
    architecture: Architecture, runtime: RuntimeSpec, workload: Asked
) -> Term | None:
    """States in 32 bits; where the runtime is known for it, inputs of convolutions in the type of
    the model.
    """
    account, sequences = runtime.account, workload.parallel
    width = _cache_width(architecture, runtime, workload) if account.typed_states else 4
    groups = [group for group in architecture.recurrent if group.layers]
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    size, lines = 0, []
    for group, state in zip(groups, states(architecture), strict=True):
        wide = width if group.kind in account.narrow_states else 4
        inputs = state.convolution
        if account.widened and group.kind != "rglru":
            # LinearAttentionLayer of transformers keeps as many inputs as a convolution is wide
            taps = group.convolution or 1
            inputs = inputs * taps // max(1, taps - 1)
        size += state.layers * (inputs * width + state.memory * wide) * sequences
        product = f"({inputs:,} × {width} bytes + {state.memory:,} × {wide} bytes)"
        lines.append(("", state.layers, f" × {product}{ending}"))
    if not size:
        return None
    source = "inputs of convolutions in the type of the model, states in float32"
    if not account.typed_states:
        source = "states in float32; some runtimes halve it"
    low = size if account.typed_states else size // 2
    line = " + ".join(by_layers(lines))
    return term("recurrent_state", size, How.COMPUTED, f"{runtime.name}: {source}", line, low=low)


def cached(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Iterator[Cached]:
    """What each group of layers keeps of keys and values."""
    width, step = _cache_width(architecture, runtime, workload), runtime.cache_step_tokens
    context = workload.context_tokens
    if architecture.audio is not None and runtime.account.speech_tokens:
        context = min(context, runtime.account.speech_tokens)
    tokens = -(-context // step) * step
    for group in _groups(architecture, row, runtime):
        kept, reach = _kept(architecture, row, group, runtime, tokens)
        elements = cache_line(group)[0]
        packed = 0
        if width == 1 and group.latent and group.indexer_elements:
            # positions stay in 16 bits; GPUs of compute capability 10 keep no such rows
            scaled = group.key_length - group.rope_elements
            packed = scaled // _SCALED_ELEMENTS * _SCALE_BYTES + group.rope_elements
        most = (elements + group.indexer_elements) * width + packed
        if width == 1:
            most += group.indexer_elements // _SCALED_ELEMENTS * _SCALE_BYTES
        rows = group.layers * _sequences(architecture, runtime, workload)
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
        runtime.account.divides_layers
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
    """Groups of layers that cache alike, as the program's class stores them."""
    if runtime.account.maps_files and row.torch_latent:
        packed = (group.replace(kind="latent") for group in architecture.attention)
        return cache_groups(architecture.replace(attention=tuple(packed)), row)
    if runtime.account.windows != "rotated":
        return cache_groups(architecture, row)
    groups = cache_groups(as_unpacked(architecture, row), row)
    copies = row.mlx_indexer_copies
    length = max((group.indexer_length or 0 for group in architecture.attention), default=0)
    if not copies or not length:
        return groups
    # the keys of an indexer are a group of their own
    indexed = [group for group in groups if group.indexer_elements or group.latent]
    keys = CacheGroup(
        layers=sum(group.layers for group in indexed),
        kv_heads=1,
        key_length=copies * length,
        value_length=0,
        latent=True,
    )
    return (*(group.replace(indexer_elements=0) for group in groups), keys)


def as_unpacked(architecture: Architecture, row: ArchitectureRow) -> Architecture:
    """The model as MLX LM attends: a latent that its class unpacks is keys and values of every
    head (mlx_lm 0.32.2: of the row `deepseek2`, deepseek_v2.py alone, which has no router bias).
    """
    unpacks = bool(row.mlx_unpacked)
    if row.mlx_unpacked == "no_router_bias":
        unpacks = not any(group.router_bias for group in architecture.feed_forward)
    if not unpacks:
        return architecture
    attention = (
        group.replace(
            kind="full",
            kv_heads=group.heads,
            key_length=group.key_length + (group.rope_length or 0),
        )
        if group.kind == "latent"
        else group
        for group in architecture.attention
    )
    return architecture.replace(attention=tuple(attention))


def rotates(architecture: Architecture, row: ArchitectureRow) -> bool:
    """True where MLX LM's layers with a window keep no more tokens than that."""
    if row.mlx_windows == "mixed":
        return any(group.window_tokens is None for group in architecture.attention)
    return bool(row.mlx_windows)


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
    window, account = group.window_tokens, runtime.account
    # transformers: DynamicSlidingWindowLayer gives a prompt back once the second token is answered
    if window is None or account.windows == "kept":
        return tokens, tokens
    if account.windows == "rotated":
        if not rotates(architecture, row):
            return tokens, tokens
        # mlx_lm/models/cache.py: beside the piece of the prompt that is read one token less than
        # the window, in Llama 4's the whole
        before = window if row.mlx_windows == "chunked" else window - 1
        return min(tokens, window), min(tokens, before + account.prompt_tokens)
    if runtime.whole_windows:
        share = runtime.window_shares.get(row.name, 1.0)
        return math.ceil(share * tokens), tokens
    step = runtime.cache_step_tokens
    # vLLM may give every layer the room of the longest
    return min(tokens, -(-window // step) * step), tokens


def overhead(runtime: RuntimeSpec, *, on_gpu: bool = False) -> Term:
    """The program itself in RAM; `on_gpu`: beside a GPU that holds the model."""
    low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
    how = How(runtime.overhead_how) if runtime.overhead_how in tuple(How) else How.ASSUMED
    source, line = runtime.overhead_source or runtime.name, middle_of(low, high)
    if not on_gpu or how is not How.MEASURED:
        return term("runtime", (low + high) // 2, how, source, line, low=low, high=high)
    # measured with a build for CPUs; how much more the libraries of CUDA take was not
    source = f"assumed for a CUDA build, at most twice what a CPU's takes; {source}"
    line = f"{high:,} bytes; {low:,} to {2 * high:,}"
    return term("runtime", high, How.ASSUMED, source, line, low=low, high=2 * high)


def cpu_program(runtime: RuntimeSpec, *, on_gpu: bool) -> Term:
    """The program of a build for CPUs where that was measured, else as for any device."""
    if not runtime.account.program_bytes:
        return overhead(runtime, on_gpu=on_gpu)
    if on_gpu:
        return overhead(runtime)
    low, likely, high = runtime.account.program_bytes
    source = f"measured: {runtime.account.source}"
    line = f"{likely:,} bytes; {low:,} to {high:,}"
    return term("runtime", likely, How.MEASURED, source, line, low=low, high=high)
