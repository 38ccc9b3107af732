"""What Python runtimes keep of a text, and the program itself: keys and values, states of recurrent
layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..core.records import Record
from .cache import CacheGroup, cache_groups, states
from .checkpoints import width_of
from .parts import Asked, by_layers, name_of, term, times
from .records import How, Term, middle_of
from .tensors import ArchitectureRow


class Cached(Record):
    """What a group of layers keeps: `row_bytes` of a token, `most_row_bytes` with all that an
    indexer may keep, of `kept` tokens and of `reach` at most, in so many `rows` (layers of all
    sequences).
    """

    group: CacheGroup
    line: str
    rows: int
    row_bytes: int
    most_row_bytes: int
    kept: int
    reach: int

    @property
    def bytes(self) -> int:
        """Likely."""
        return self.rows * self.row_bytes * self.kept

    @property
    def high_bytes(self) -> int:
        """At most."""
        return self.rows * self.most_row_bytes * self.reach


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
    if state is None:
        return
    cache_bytes = 0 if cache is None else cache.bytes
    shared = int(runtime.state_share * cache_bytes)
    if shared > state.bytes:
        line = f"{runtime.state_share:g} × {cache_bytes:,} bytes of keys and values"
        state = term("recurrent_state", shared, state.how, state.source, line, low=state.low_bytes)
    yield state


def _keys_and_values(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Term | None:
    width = _cache_width(architecture, runtime, workload)
    sequences = _sequences(architecture, runtime, workload)
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    caches = list(cached(architecture, row, runtime, workload))
    size, high = sum(each.bytes for each in caches), sum(each.high_bytes for each in caches)
    lines = [
        ("", each.group.layers, f" × {each.line} × {each.kept:,} tokens{ending}") for each in caches
    ]
    low = size
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
        # what the publisher's own code (trust_remote_code) keeps: keys and values of every head
        each = width * workload.context_tokens * sequences
        groups = cache_groups(architecture, row)
        high = sum(group.layers * cache_line(group)[0] for group in groups) * each
    words = "the type of the model" if width > 1 else "FP8"
    source = f"{runtime.name}: keys and values in {words}"
    line = " + ".join(by_layers(lines))
    if runtime.cache_step_tokens > 1:
        line += f"; in steps of {runtime.cache_step_tokens} tokens"
    return term("kv_cache", size, How.COMPUTED, source, line, low=low, high=high)


def cache_line(group: CacheGroup) -> tuple[int, str]:
    """Elements that a layer keeps of one token, and the product that makes them."""
    if group.latent:
        return group.key_elements, f"{group.key_length:,}"
    heads = times(group.kv_heads, "KV head")
    if group.key_length == group.value_length:
        return 2 * group.key_elements, f"2 × {heads} × {group.key_length}"
    elements = group.key_elements + group.value_elements
    return elements, f"{heads} × ({group.key_length} + {group.value_length})"


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
        wide, inputs = width if group.kind in account.narrow_states else 4, state.convolution
        if account.widened and group.kind != "rglru":
            # LinearAttentionLayer of transformers keeps as many inputs as a convolution is wide
            taps = group.convolution or 1
            inputs = inputs * taps // max(1, taps - 1)
        size += state.layers * (inputs * width + state.memory * wide) * sequences
        product = f"({inputs:,} × {width} bytes + {state.memory:,} × {wide} bytes)"
        lines.append(("", state.layers, f" × {product}{ending}"))
    if not size:
        return None
    source = f"{runtime.name}: inputs of convolutions in the type of the model, states in float32"
    # some runtimes halve it
    low = size if account.typed_states else size // 2
    line = " + ".join(by_layers(lines))
    return term("recurrent_state", size, How.COMPUTED, source, line, low=low)


def cached(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Iterator[Cached]:
    """What each group of layers keeps of keys and values."""
    step, account, context = runtime.cache_step_tokens, runtime.account, workload.context_tokens
    if architecture.audio is not None and account.speech_tokens:
        context = min(context, account.speech_tokens)
    tokens = -(-context // step) * step
    width = _cache_width(architecture, runtime, workload)
    if account.maps_files and row.torch_latent:
        packed = (group.replace(kind="latent") for group in architecture.attention)
        architecture = architecture.replace(attention=tuple(packed))
    if account.windows == "rotated":
        architecture = as_unpacked(architecture, row)
    for group in cache_groups(architecture, row):
        kept, reach = _kept(architecture, row, group, runtime, tokens)
        elements, line = cache_line(group)
        indexed = group.indexer_elements
        if account.windows == "rotated":
            length = max((each.indexer_length or 0 for each in architecture.attention), default=0)
            copies = row.mlx_indexer_copies if length and (indexed or group.latent) else 0
            elements, indexed = elements + copies * length, 0
            line = f"({line} + {copies} × {length})" if copies else line
        row_bytes, most, line = _row_bytes(group, elements, indexed, width, line)
        yield Cached(
            group=group,
            line=line,
            rows=group.layers * _sequences(architecture, runtime, workload),
            row_bytes=row_bytes,
            most_row_bytes=most,
            kept=kept,
            reach=reach,
        )


def _row_bytes(
    group: CacheGroup, elements: int, indexed: int, width: int, line: str
) -> tuple[int, int, str]:
    """Bytes of a token in one layer, and with the keys of an indexer; and their line."""
    size, most = elements * width, (elements + indexed) * width
    if width > 1 or not indexed:
        return size, most, f"{line} × {width} bytes"
    most += indexed // _SCALED_ELEMENTS * _SCALE_BYTES
    if not group.latent:
        return size, most, f"{line} × {width} bytes"
    # positions stay in 16 bits; GPUs of compute capability 10 keep no such rows
    scaled = group.key_length - group.rope_elements
    beside = scaled // _SCALED_ELEMENTS * _SCALE_BYTES + group.rope_elements
    return size + beside, most + beside, f"({line} × {width} + {beside:,}) bytes"


def _sequences(architecture: Architecture, runtime: RuntimeSpec, workload: Asked) -> int:
    """Texts that each keep keys and values: one for each beam of a search."""
    beams = architecture.beams or 1
    if architecture.audio is not None:
        beams = runtime.account.speech_beams
    return workload.parallel * beams


def _cache_width(architecture: Architecture, runtime: RuntimeSpec, workload: Asked) -> int:
    """Bytes of a number: 1 in FP8, also where the published checkpoint asks vLLM for it."""
    asks = architecture.cache_dtype is not None and workload.quantization == name_of(architecture)
    if workload.key_type == "fp8" or (runtime.account.divides_layers and asks):
        return 1
    return width_of(architecture, runtime, workload.quantization)


def as_unpacked(architecture: Architecture, row: ArchitectureRow) -> Architecture:
    """The model as MLX LM attends: a latent that its class unpacks is keys and values of every
    head (mlx_lm 0.32.2: of the row `deepseek2`, deepseek_v2.py alone, which has no router bias).
    """
    unpacks = bool(row.mlx_unpacked)
    if row.mlx_unpacked == "no_router_bias":
        unpacks = not any(group.router_bias for group in architecture.feed_forward)
    return with_every_head(architecture) if unpacks else architecture


def with_every_head(architecture: Architecture) -> Architecture:
    """The model where each latent is unpacked into keys and values of every head."""
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
        rotates = bool(row.mlx_windows)
        if row.mlx_windows == "mixed":
            rotates = any(each.window_tokens is None for each in architecture.attention)
        if not rotates:
            return tokens, tokens
        # mlx_lm/models/cache.py: beside the piece of the prompt that is read one token less than
        # the window, in Llama 4's the whole
        before = window if row.mlx_windows == "chunked" else window - 1
        return min(tokens, window), min(tokens, before + account.prompt_tokens)
    if runtime.whole_windows:
        return ceil(runtime.window_shares.get(row.name, 1.0) * tokens), tokens
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
