"""llama.cpp's cache and recurrent states, as terms of the memory need."""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.spec import Attention, RuntimeSpec
from ...core.records import Unread
from ..cache import CacheGroup, compressors, states
from ..parts import Asked, by_layers, term, times, unread
from ..quantization import BLOCKS, row_bytes
from ..records import How, Term
from ..tensors import ArchitectureRow
from . import buffers as llamacpp
from .buffers import Load


def cache_term(load: Load) -> list[Term] | Unread:
    """The cache; no term where the model keeps none, `Unread` where the program makes none."""
    architecture, row, workload = load.architecture, load.row, load.workload
    groups = llamacpp.cached_groups(architecture, row)
    if not groups:
        return []
    refused = _why_no_cache(groups, row, workload, load.runtime)
    if refused is not None:
        return refused
    room = llamacpp.room_of(architecture, load.room)
    size, unsure = _cached_bytes(load, load.room), 0
    lines: list[tuple[str, int, str]] = []
    widest = 0 if load.runtime.flash_attention else max(group.value_elements for group in groups)
    for group in groups:
        cells = room.of(llamacpp.window_of(architecture, row, group), group.tokens_per_row)
        lines += _lines_of_group(group, row, room, cells, widest, workload)
        if not llamacpp.window_known(row, group):
            each = row_bytes(workload.key_type, group.key_elements)
            each += row_bytes(workload.value_type, group.value_elements)
            unsure += (room.full - cells) * room.streams * group.layers * each
    idle = llamacpp.idle_layers(architecture)
    if widest and idle:
        shape = f"{widest:,} × {_TYPE_BYTES[workload.value_type]} × {room.full:,} tokens"
        lines.append(("", idle, f" without attention × {shape}{_of_sequences(room.streams)}"))
    remarks = _what_is_kept(load, groups, room)
    how, source = How.EXACT, llamacpp.SOURCE
    if unsure:
        remarks.append("up to all tokens if llama.cpp ignores the window, which nobody checked")
        how, source = How.COMPUTED, f"{source}; this architecture was not measured"
    line = "; ".join([" + ".join(by_layers(lines)), *remarks])
    return [term("kv_cache", size, how, source, line, high=size + unsure)]


def _cached_bytes(load: Load, room: llamacpp.Cells) -> int:
    """Bytes of the caches with that room, those of indexers included."""
    architecture, row, workload = load.architecture, load.row, load.workload
    keys, values, flash = workload.key_type, workload.value_type, load.runtime.flash_attention
    size = llamacpp.cache_bytes(
        architecture, row, room, key_type=keys, value_type=values, flash_attention=flash
    )
    room = llamacpp.room_of(architecture, room)
    groups = llamacpp.cached_groups(architecture, row)
    indexed = (group for group in groups if group.indexer_elements)
    return size + sum(llamacpp.indexer_bytes(row, group, room, keys, values) for group in indexed)


def _what_is_kept(load: Load, groups: Sequence[CacheGroup], room: llamacpp.Cells) -> list[str]:
    """Remarks on the cells of layers that keep more or fewer than the context's tokens."""
    kept: list[tuple[str, int, str]] = []
    padded = []
    for group in groups:
        window = llamacpp.window_of(load.architecture, load.row, group)
        cells = room.of(window, group.tokens_per_row)
        if window is not None and cells != room.full:
            line = f" keep {window:,} tokens and a batch of {room.micro_batch:,}, padded to 256"
            kept.append(("", group.layers, line))
        elif group.tokens_per_row > 1:
            line = f" keep a row for {group.tokens_per_row} tokens, padded to 256"
            kept.append(("", group.layers, line))
        elif cells != load.workload.context_tokens:
            padded = [f"{load.workload.context_tokens:,} tokens padded to a multiple of 256"]
    return [*by_layers(kept), *padded]


def _why_no_cache(
    groups: Sequence[CacheGroup], row: ArchitectureRow, workload: Asked, runtime: RuntimeSpec
) -> Unread | None:
    """Why the program makes no cache of what was asked for; None where it does."""
    if runtime.flash_attention and row.stops_with_flash:
        return unread(
            f"llama.cpp stops at {row.name} unless flash attention is off (it is on by default)",
            "start it with --flash-attn off, or use --runtime llama-cpp-python",
            "memory.kv_cache",
        )
    if not runtime.flash_attention and workload.value_type not in PLAIN_CACHE_TYPES:
        return unread(
            f"a {workload.value_type} cache needs flash attention, which {runtime.name} leaves off"
            " by default",
            "use --kv-cache f16, or --runtime llama.cpp with flash attention on",
            "memory.kv_cache",
        )
    refused = why_cache_refused(groups, workload.key_type, workload.value_type)
    return None if refused is None else unread(refused, "use --kv-cache f16", "memory.kv_cache")


def _lines_of_group(
    group: CacheGroup,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    cells: int,
    widest: int,
    workload: Asked,
) -> list[tuple[str, int, str]]:
    """The parts of these layers' cache as `by_layers` takes them.

    `widest`: elements of the widest layer's values where those of all layers are as wide, else 0.
    """
    lines = [_cache_line(group, workload, cells, room.streams)]
    ending = _of_sequences(room.streams)
    if group.value_elements < widest:
        # without flash attention V is stored turned, as wide as that of the widest layer
        wider = widest - group.value_elements
        shape = f"{wider:,} × {_TYPE_BYTES[workload.value_type]} × {cells:,} tokens"
        lines.append(("", group.layers, f" × {shape}{ending}"))
    if group.indexer_elements:
        both = "2 × " if row.indexer_values else ""
        shape = f"{both}{group.indexer_elements:,} × {_TYPE_BYTES[workload.key_type]}"
        line = f" × {shape} of the indexer × {room.full:,} tokens{ending}"
        lines.append(("", group.layers, line))
    return lines


def _of_sequences(streams: int) -> str:
    """The end of a line of arithmetic: caches apart for each sequence."""
    return f" × {streams:,} sequences" if streams > 1 else ""


def with_slots(item: Term, load: Load) -> Term:
    """The term, with a remark on what it takes of a server that is not given a number of sequences
    to make room for.
    """
    slots = load.runtime.slots
    size = of_slots(item.name, load) if slots > load.workload.parallel else item.bytes
    if size == item.bytes:
        return item
    remark = f"{size:,} bytes without -np, for {slots} sequences"
    return item.replace(arithmetic=f"{item.arithmetic}; {remark}")


def of_slots(name: str, load: Load) -> int:
    """Bytes of the term of that name, "kv_cache" or "recurrent_state", where all sequences that a
    server starts with share one cache.

    Layers with a window have room for that of each sequence, and each has a state of its own.
    """
    runtime, workload = load.runtime, load.workload
    if name == "recurrent_state":
        kept = runtime.slots * workload.companions.kept_states(load.row)
        return llamacpp.state_bytes(load.architecture, kept)
    total = workload.context_tokens * workload.parallel
    room = llamacpp.cells(
        total, sequences=runtime.slots, unified=True, whole_windows=runtime.whole_windows
    )
    return _cached_bytes(load, room)


def why_cache_refused(
    groups: Sequence[CacheGroup | Attention], key_type: str, value_type: str
) -> str | None:
    """Why llama.cpp makes no cache of these types, None where it does: blocks of a type have to
    fill each head (llama_init_from_model).
    """
    for type, lengths in (
        (key_type, [group.key_length for group in groups]),
        (value_type, [group.value_length for group in groups]),
    ):
        if type.upper() not in BLOCKS:
            return f"llama.cpp knows no {type} cache"
        block = BLOCKS[type.upper()][0]
        odd = next((length for length in lengths if length % block), None)
        if odd is not None:
            return (
                f"llama.cpp refuses a {type} cache here: the head size {odd} is not a multiple of"
                f" {block}"
            )
    return None


PLAIN_CACHE_TYPES = ("f16", "f32", "bf16")
"""Those that need no flash attention for the values."""
_TYPE_BYTES = {
    "f16": "2 bytes",
    "bf16": "2 bytes",
    "f32": "4 bytes",
    "q8_0": "34/32 bytes",
    "q4_0": "18/32 bytes",
}


def _cache_line(
    group: CacheGroup, workload: Asked, cells: int, streams: int
) -> tuple[str, int, str]:
    """As `by_layers` takes it."""
    layers = group.layers
    unit = "rows" if group.tokens_per_row > 1 else "tokens"
    ending = f" × {cells:,} {unit}{_of_sequences(streams)}"
    keys, values = _TYPE_BYTES[workload.key_type], _TYPE_BYTES[workload.value_type]
    if group.latent:
        return "", layers, f" × {group.key_length:,} × {keys}{ending}"
    heads = times(group.kv_heads, "KV head")
    if group.key_length == group.value_length and keys == values:
        return "2 × ", layers, f" × {heads} × {group.key_length:,} × {keys}{ending}"
    return (
        "",
        layers,
        f" × {heads} × ({group.key_length:,} × {keys} + {group.value_length:,} × {values}){ending}",
    )


def state_term(load: Load) -> list[Term]:
    """The recurrent states of all sequences; no term where the model keeps none."""
    architecture, sequences = load.architecture, load.workload.parallel
    kept = load.workload.companions.kept_states(load.row)
    size = llamacpp.state_bytes(architecture, sequences * kept)
    if not size:
        return []
    ending = _of_sequences(sequences)
    if kept > 1:
        ending += f" × {kept} states to roll drafted tokens back to"
    line = " + ".join(
        by_layers(
            ("", state.layers, f" × {state.arithmetic} × 4 bytes{ending}")
            for state in (*states(architecture), *compressors(architecture))
        )
    )
    return [term("recurrent_state", size, How.EXACT, llamacpp.SOURCE, line)]
