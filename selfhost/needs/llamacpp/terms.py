"""What llama.cpp takes beside the weights, as terms of the memory need: the cache, the states, the
compute buffer, the program, and the encoder of a model that sees or hears.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.architecture import Attention
from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Unread
from ..cache import CacheGroup, cache_groups, compressors, states
from ..parts import PLAIN_PICTURE_PIXELS, Asked, Encoder, by_layers, term, times, unread
from ..quantization import BLOCKS, base_type, row_bytes
from ..records import How, Term
from ..tensors import ArchitectureRow
from . import buffers as llamacpp
from .buffers import Load
from .files import tokenizer_kind
from .graphs import GUESS_LEAST, GUESS_MOST, exact_compute_bytes, guessed_compute

PLAIN_CACHE_TYPES = ("f16", "f32", "bf16")
"""Those that need no flash attention for the values."""
_TYPE_BYTES = {
    "f16": "2 bytes",
    "bf16": "2 bytes",
    "f32": "4 bytes",
    "q8_0": "34/32 bytes",
    "q4_0": "18/32 bytes",
}
# how far a device's buffer may be from that of a CPU
_DEVICE_ERROR = 0.2
# what CUDA took beside all buffers: RTX 3090, 4090 (twice) and PRO 6000 (twice), as llama.cpp
# printed it (`unaccounted`, or total - free)
_ON_A_DEVICE = (
    f"measured on CPUs, elsewhere by the same rules, ± {units.percent(_DEVICE_ERROR)} assumed;"
    " CUDA's own"
    " context, 0.3 to 0.75 GiB more on each device (ggml-org/llama.cpp#15860, #24608, #27953), is"
    " not counted: it comes out of the 1 GiB that is left free"
)
# Gemma 3: where a spec does not state the vocabulary it may be that large
_LARGEST_VOCABULARY = 262_144
# bytes in memory per token of the vocabulary (SentencePiece; byte pairs with 1.0 to 2.25 merges per
# token; unigrams of XLM-R, in a trie): fitted on 8 tokenizers; the high end with what a server's
# samplers keep
_VOCABULARY = {
    "spm": (155, 200),
    "bpe": (307, 410),
    "wpm": (130, 230),
    "unigram": (480, 600),
    "": (155, 410),
}
# of 19 kinds of encoders most reserve less; the largest picture of the largest takes that much
_PICTURE_BYTES, _PICTURE_HIGH_BYTES = 300_000_000, 2_400_000_000

# ------------------------------------------------------------------ the cache and the states


def cache_term(load: Load) -> list[Term] | Unread:
    """The cache; no term where the model keeps none, `Unread` where the program makes none."""
    architecture, row, workload = load.architecture, load.row, load.workload
    groups = llamacpp.cached_groups(architecture, row)
    if not groups:
        return []
    refused = _why_no_cache(groups, row, workload, load.runtime)
    if refused is not None:
        return refused
    flash, keys, values = load.runtime.flash_attention, workload.key_type, workload.value_type
    room = llamacpp.room_of(architecture, load.room)
    size = llamacpp.cache_bytes(
        architecture, row, room, key_type=keys, value_type=values, flash_attention=flash
    )
    widest = 0 if flash else max(group.value_elements for group in groups)
    lines: list[tuple[str, int, str]] = []
    kept: list[tuple[str, int, str]] = []
    remarks, unsure = [], 0
    for group in groups:
        window = llamacpp.window_of(architecture, row, group)
        cells = room.of(window, group.tokens_per_row)
        lines += _lines_of_group(group, row, room, cells, max(widest, group.value_elements), load)
        if window is not None and cells != room.full:
            line = f" keep {window:,} tokens and a batch of {room.micro_batch:,}, padded to 256"
            kept.append(("", group.layers, line))
        elif group.tokens_per_row > 1:
            line = f" keep a row for {group.tokens_per_row} tokens, padded to 256"
            kept.append(("", group.layers, line))
        elif cells != workload.context_tokens:
            remarks = [f"{workload.context_tokens:,} tokens padded to a multiple of 256"]
        if window is not None and not row.window_cache:
            each = row_bytes(keys, group.key_elements) + row_bytes(values, group.value_elements)
            unsure += (room.full - cells) * room.streams * group.layers * each
    idle = llamacpp.idle_layers(architecture)
    if widest and idle:
        shape = f"{widest:,} × {_TYPE_BYTES[values]} × {room.full:,} tokens"
        lines.append(("", idle, f" without attention × {shape}{_of_sequences(room.streams)}"))
    remarks = [*by_layers(kept), *remarks]
    how, source = How.EXACT, llamacpp.SOURCE
    if unsure:
        remarks.append("up to all tokens if llama.cpp ignores the window, which nobody checked")
        how, source = How.COMPUTED, f"{source}; this architecture was not measured"
    line = "; ".join([" + ".join(by_layers(lines)), *remarks])
    return [term("kv_cache", size, how, source, line, high=size + unsure)]


def _lines_of_group(
    group: CacheGroup,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    cells: int,
    value_elements: int,
    load: Load,
) -> list[tuple[str, int, str]]:
    """The parts of these layers' cache as `by_layers` takes them."""
    ending = _of_sequences(room.streams)
    keys, values = (_TYPE_BYTES[load.workload.key_type], _TYPE_BYTES[load.workload.value_type])
    before, shape = "", f"({group.key_elements:,} × {keys} + {value_elements:,} × {values})"
    if group.latent:
        shape = f"{group.key_length:,} × {keys}"
    elif group.key_elements == value_elements and keys == values:
        before, shape = (
            "2 × ",
            f"{times(group.kv_heads, 'KV head')} × {group.key_length:,} × {keys}",
        )
    unit = "rows" if group.tokens_per_row > 1 else "tokens"
    lines = [(before, group.layers, f" × {shape} × {cells:,} {unit}{ending}")]
    if group.indexer_elements:
        both = "2 × " if row.indexer_values else ""
        shape = f"{both}{group.indexer_elements:,} × {keys} of the indexer × {room.full:,} tokens"
        lines.append(("", group.layers, f" × {shape}{ending}"))
    return lines


def _of_sequences(streams: int) -> str:
    """The end of a line of arithmetic: caches apart for each sequence."""
    return f" × {streams:,} sequences" if streams > 1 else ""


def _why_no_cache(
    groups: Sequence[CacheGroup], row: ArchitectureRow, workload: Asked, runtime: RuntimeSpec
) -> Unread | None:
    """Why the program makes no cache of what was asked for; None where it does."""
    why = why_cache_refused(groups, workload.key_type, workload.value_type)
    remedy = "use --kv-cache f16"
    if runtime.flash_attention and row.stops_with_flash:
        why = f"llama.cpp stops at {row.name} unless flash attention is off (it is on by default)"
        remedy = "start it with --flash-attn off, or use --runtime llama-cpp-python"
    elif not runtime.flash_attention and workload.value_type not in PLAIN_CACHE_TYPES:
        why = (
            f"a {workload.value_type} cache needs flash attention, which {runtime.name} leaves off"
            " by default"
        )
        remedy = "use --kv-cache f16, or --runtime llama.cpp with flash attention on"
    return None if why is None else unread(why, remedy, "memory.kv_cache")


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
    parts = (*states(architecture), *compressors(architecture))
    lines = by_layers(
        ("", state.layers, f" × {state.arithmetic} × 4 bytes{ending}") for state in parts
    )
    return [term("recurrent_state", size, How.EXACT, llamacpp.SOURCE, " + ".join(lines))]


# ------------------------------------------------------------------ the compute buffer


def compute_term(load: Load) -> Term:
    """The buffer once the context is full. RAM is taken as it is touched, a device's memory at
    once.
    """
    row, architecture, workload = load.row, load.architecture, load.workload
    rows = _logits_rows(load)
    whole = load.room.micro_batch if load.runtime.logits_rows == "batch" else rows
    options = load.runtime.flash_attention, workload.key_type, workload.value_type
    size = reserved = None
    if load.subject.row is not None and (row.encoder or architecture.vocabulary is not None):
        size = exact_compute_bytes(architecture, row, load.room, rows, *options)
        reserved = exact_compute_bytes(architecture, row, load.room, whole, *options)
    if size is None or reserved is None:
        return _guessed(load, whole)
    more = _rolled_back(load)
    source = f"{llamacpp.SOURCE}; its allocator replayed on the graph of {architecture.row}"
    if workload.device is not None:
        low, high = (
            int(reserved * (1 - _DEVICE_ERROR)),
            int((reserved + more) * (1 + _DEVICE_ERROR)),
        )
        source, line = f"{source}; {_ON_A_DEVICE}", f"{reserved:,} bytes"
        return term("compute", reserved, How.COMPUTED, source, line, low=low, high=high)
    least = exact_compute_bytes(architecture, row, _one_batch(load), rows, *options) or size
    low, line = min(size, least), f"{size:,} bytes"
    if low < size:
        line += f"; {size - low:,} bytes less are touched by one short prompt"
    how = How.EXACT if size + more == reserved else How.COMPUTED
    return term("compute", size, how, source, line, low=low, high=size + more)


def _logits_rows(load: Load) -> int:
    """One a sequence and drafted token; of a decoder that embeds or writes by diffusion one for
    each token of a batch.
    """
    if load.embeds or load.row.diffusion:
        return load.room.micro_batch
    return load.workload.parallel * (1 + load.workload.companions.drafted_tokens)


def _rolled_back(load: Load) -> int:
    """At most what the states of several sequences add to the buffer when each drafted token leaves
    one: 0.8 to 1.15 times those of one layer, of three models (llama.cpp 0c1e570).
    """
    kept, parallel = load.workload.companions.kept_states(load.row), load.workload.parallel
    if kept == 1 or parallel == 1:
        return 0
    return 5 * kept * parallel * max((each.memory for each in states(load.architecture)), default=0)


def _one_batch(load: Load) -> llamacpp.Cells:
    """The cells in use once each sequence has had one batch; of an encoder, which rounds a batch
    up, once one sequence had its text.
    """
    room, tokens = load.room, load.workload.context_tokens
    if load.row.encoder:
        return llamacpp.cells(tokens, micro_batch=room.batch)
    tokens = min(tokens, llamacpp.MICRO_BATCH_TOKENS) * room.sequences
    return llamacpp.cells(tokens, sequences=room.sequences, whole_windows=room.whole_windows)


def _guessed(load: Load, rows: int) -> Term:
    """Of an architecture without a graph."""
    row, architecture = load.row, load.architecture
    flash = load.runtime.flash_attention
    size, line = guessed_compute(architecture, row, load.room, rows, flash)
    most = size
    if architecture.vocabulary is None and not row.encoder:
        line += f"; the vocabulary is not stated: logits of up to {_LARGEST_VOCABULARY:,} tokens"
        most += 4 * rows * _LARGEST_VOCABULARY
    source = f"{llamacpp.SOURCE}; a guess by the widest layer, for no graph is written down"
    low, high = int(size * GUESS_LEAST), int(most * GUESS_MOST)
    return term("compute", size, How.ASSUMED, source, line, low=low, high=high)


# ------------------------------------------------------------------ the program


def program_term(load: Load, quantization: str) -> Term:
    """The program with its vocabulary, the backend's work buffer and the outputs of an embedding
    model. The high end has the copies that a server keeps of one prompt that fills each context.
    """
    runtime, parallel = load.runtime, load.workload.parallel
    vocabulary = load.vocabulary
    low_bytes, high_bytes = _VOCABULARY[tokenizer_kind(load.row, vocabulary)]
    middle = (low_bytes + high_bytes) // 2
    program = (runtime.overhead_low_bytes + runtime.overhead_high_bytes) // 2
    work, work_line = _work_buffer(load, load.room, quantization)
    outputs, output_line = _outputs(load)
    # each sequence has a list of its own (slot.prompt.checkpoints)
    copies = parallel * runtime.context_checkpoints * copy_bytes(load)
    line = (
        f"{program:,} bytes of program + {vocabulary:,} tokens of vocabulary × {middle}"
        f" bytes{work_line}{output_line}"
    )
    source = runtime.overhead_source or runtime.name
    if copies:
        line += f"; up to {copies:,} more for copies of a full context to go back to"
        copies_source = runtime.sources.get("context_checkpoints", runtime.name)
        source += f"; copies of the context: {copies_source}"
    how = How.MEASURED if work + outputs <= program + vocabulary * middle else How.COMPUTED
    if runtime.overhead_how != "measured":
        how = How.ASSUMED
    least = _work_buffer(load, _one_batch(load), quantization)[0]
    low = runtime.overhead_low_bytes + vocabulary * low_bytes + min(work, least) + outputs
    high = runtime.overhead_high_bytes + (vocabulary or _LARGEST_VOCABULARY) * high_bytes
    size = program + vocabulary * middle + work + outputs
    return term(
        "runtime", size, how, source, line, low=low, high=high + work + outputs + copies
    )  # fmt: skip


def _work_buffer(load: Load, room: llamacpp.Cells, quantization: str) -> tuple[int, str]:
    """The backend's work buffer, as large as its largest product, and its part of the line: the
    activations of a batch in the type that meets the weights, or without flash attention the
    scores of all tokens in 16 bits, to meet the values.
    """
    architecture, workload = load.architecture, load.workload
    widths = [architecture.embedding_length]
    widths += [
        each.heads * max(each.key_length, each.value_length) for each in architecture.attention
    ]
    widths += [each.length * (each.used or 1) for each in architecture.feed_forward]
    widest = max(widths)
    numerator, denominator = _turned(quantization)
    size = room.micro_batch * widest * numerator // denominator
    shape = f"{widest:,} × {numerator}/{denominator} bytes"
    # an encoder without a cache has 32-bit values
    plain = load.runtime.flash_attention or load.row.encoder or workload.value_type == "f32"
    if not plain and workload.device is None:
        heads = max((group.heads for group in architecture.attention), default=0)
        scores = room.micro_batch * room.full * heads * 2
        if scores > size:
            size, shape = scores, f"{room.full:,} cells × {heads:,} heads × 2 bytes"
    return size, f" + {room.micro_batch:,} tokens × {shape} of scratch" if size else ""


def _turned(quantization: str) -> tuple[int, int]:
    """Bytes per element of the type that activations are turned into to meet such weights
    (`vec_dot_type` in ggml-cpu.c).
    """
    base = base_type(quantization)
    if base in ("F32", "F16", "BF16"):
        # activations are 32-bit floats and meet such weights as they are
        return 0 if base == "F32" else 2, 1
    if base is None or BLOCKS[base][0] == 256:
        return 292, 256
    return (36 if base in ("Q4_1", "Q5_1") else 34), 32


def _outputs(load: Load) -> tuple[int, str]:
    """Where an embedding model puts what it made of each token of a batch: a row of logits, used or
    not, and a vector. Bytes, and their part of the line.

    Cleared when it is made, so all of it is resident (src/llama-context.cpp, output_reserve). A
    model that writes has a row a sequence, one that writes by diffusion a row a token, and no
    vectors.
    """
    row, room = load.row, load.room
    if not load.embeds and not row.diffusion:
        return 0, ""
    tokens = room.encoded if row.encoder else room.micro_batch
    width = 0 if row.diffusion else load.architecture.embedding_length
    line = f" + {tokens:,} tokens × ({load.vocabulary:,} + {width:,}) × 4 bytes of outputs"
    return 4 * tokens * (load.vocabulary + width), line


def copy_bytes(load: Load) -> int:
    """What a server copies of a sequence that fills its context, to go back to: its states, and the
    cells of the layers with a window.

    Of what it completes alone: a text to embed leaves none (SERVER_TASK_TYPE_COMPLETION).
    """
    architecture, row, workload = load.architecture, load.row, load.workload
    if row.encoder or load.embeds:
        return 0
    size = llamacpp.state_bytes(architecture, 1)
    for group in cache_groups(architecture, row):
        window = llamacpp.window_of(architecture, row, group)
        if window is not None:
            cell = row_bytes(workload.key_type, group.key_elements)
            cell += row_bytes(workload.value_type, group.value_elements)
            size += min(window, load.room.full) * group.layers * cell
    return size


# ------------------------------------------------------------------ the encoder


def projector_term(encoders: int, stated: int | None) -> Term:
    """The vision or audio encoder of so many parameters: a file of its own, 16-bit with some 32-bit
    vectors. `stated`: its bytes, where the spec has them.
    """
    if stated is not None:
        # names of tensors and keys come on top
        line = (
            f"{stated:,} bytes; {encoders:,} parameters, matrices in 16 bits, vectors and positions"
            " in 32"
        )
        source = "F16 projector file as llama.cpp's converter writes it (0c1e570, conversion/*.py)"
        return term("projector", stated, How.COMPUTED, source, line, high=stated + stated // 200)
    size, source = (
        int(encoders * 2.02),
        "F16 projector file; parameters of the encoders in the spec",
    )
    line, low, high = f"{encoders:,} parameters × 2.02 bytes", encoders * 2, int(encoders * 2.12)
    return term("projector", size, How.COMPUTED, source, line, low=low, high=high)


def picture_term(encoder: Encoder | None, *, on_gpu: bool) -> Term:
    """The encoder's own buffer, touched by a picture: none without one, at the most of a picture of
    a megapixel. A device reserves it at load.
    """
    if encoder is None:
        source = "this encoder was not measured; for others it was 21 MB to 2.0 GB"
        return term(
            "projector_compute", _PICTURE_BYTES, How.ASSUMED, f"{source} (llama.cpp 0c1e570)",
            f"{_PICTURE_BYTES:,} bytes", low=0, high=_PICTURE_HIGH_BYTES,
        )  # fmt: skip
    plain = encoder.plain_bytes
    if encoder.largest_pixels is None:
        line = f"{plain:,} bytes; for {encoder.largest_seconds} seconds of sound, the most"
    else:
        side, largest = min(PLAIN_PICTURE_PIXELS, encoder.largest_pixels), encoder.largest_pixels
        line = f"{plain:,} bytes; for a picture of {side:,} × {side:,}"
        if encoder.largest_bytes > plain:
            line += f", {encoder.largest_bytes:,} for one of {largest:,} × {largest:,}, the most"
    source, how = f"{llamacpp.SOURCE}: tools/mtmd/clip.cpp, an encoder {encoder.what}", How.MEASURED
    if encoder.assumed is not None:
        source, how = f"{source}: {encoder.assumed}", How.ASSUMED
    line += "; none without any, up to a fifth more in a work buffer"
    # with what activations take in 16 bits to meet its weights, and the picture itself: 1.19 times
    # as much of a Pixtral's (tests/truth/llamacpp_companions.json)
    if not on_gpu or encoder.reserved_bytes <= plain:
        return term("projector_compute", plain, how, source, line, low=0, high=plain * 6 // 5)
    line = f"{encoder.reserved_bytes:,} bytes; reserved at load, for pictures that take no more"
    return term("projector_compute", encoder.reserved_bytes, how, source, line)
