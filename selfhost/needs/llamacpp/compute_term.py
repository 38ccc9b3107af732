"""llama.cpp's compute buffer, as a term of the memory need."""

from __future__ import annotations

from ...core import units
from ..cache import states
from ..parts import term
from ..records import How, Term, summed, taken_off
from . import buffers as llamacpp
from .buffers import Load
from .graphs import GUESS_LEAST, GUESS_MOST, exact_compute_bytes, guessed_compute

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
LARGEST_VOCABULARY = 262_144


def compute_term(load: Load, scratch: int, *, on_gpu: bool = False) -> Term:
    """The buffer once the context is full. `scratch`: bytes of the work buffer, which is counted
    with the program. RAM is taken as it is touched, a device's memory at once.
    """
    scores, score_line = _scores(load, scratch, load.room)
    row, architecture, workload = load.row, load.architecture, load.workload
    rows = _logits_rows(load)
    size = None
    if load.subject.row is not None and (row.encoder or architecture.vocabulary is not None):
        options = load.runtime.flash_attention, workload.key_type, workload.value_type
        size = exact_compute_bytes(architecture, row, load.room, rows, *options)
    if size is None:
        return _guessed(load, rows, scores, score_line)
    whole = load.room.micro_batch if load.runtime.logits_rows == "batch" else rows
    reserved = exact_compute_bytes(architecture, row, load.room, whole, *options) or size
    more = _rolled_back(load)
    source = f"{llamacpp.SOURCE}; its allocator replayed on the graph of {architecture.row}"
    if on_gpu:
        return term(
            "compute",
            reserved,
            How.COMPUTED,
            f"{source}; {_ON_A_DEVICE}",
            f"{reserved:,} bytes",
            low=int(reserved * (1 - _DEVICE_ERROR)),
            high=int((reserved + more) * (1 + _DEVICE_ERROR)),
        )
    # what is reserved is touched only as far as tokens come
    short = _one_batch(load)
    least = exact_compute_bytes(architecture, row, short, rows, *options) or size
    low = min(size, least) + _scores(load, scratch, short)[0]
    line = summed(f"{size:,} bytes", score_line) if scores else f"{size:,} bytes"
    if reserved != size:
        line += (
            f"; {reserved:,} bytes are reserved, for logits of {whole:,} tokens that nobody asks"
            " for"
        )
    how = How.EXACT if size + more == reserved and not scores else How.COMPUTED
    size += scores
    if low < size:
        line += (
            f"; {size - low:,} bytes less are touched while no more than"
            f" {llamacpp.MICRO_BATCH_TOKENS:,} tokens are in the context"
        )
    return term("compute", size, how, source, line, low=low, high=size + more)


def _one_batch(load: Load) -> llamacpp.Cells:
    """The cells in use once each sequence has had one batch; of an encoder, which rounds a batch
    up, once one sequence had its text.
    """
    room, tokens = load.room, load.workload.context_tokens
    if load.row.encoder:
        return llamacpp.cells(tokens, micro_batch=room.batch)
    return llamacpp.cells(
        min(tokens, llamacpp.MICRO_BATCH_TOKENS) * room.sequences,
        sequences=room.sequences,
        whole_windows=room.whole_windows,
    )


def _logits_rows(load: Load) -> int:
    """Rows of logits that are computed: one a sequence and drafted token; of a decoder that embeds
    or writes by diffusion one for each token of a batch.
    """
    if load.embeds or load.row.diffusion:
        return load.room.micro_batch
    return load.workload.parallel * (1 + load.workload.companions.drafted_tokens)


def _guessed(load: Load, rows: int, scores: int, score_line: str) -> Term:
    """Of an architecture without a graph."""
    row, architecture = load.row, load.architecture
    whole = load.room.micro_batch if load.runtime.logits_rows == "batch" else rows
    flash = load.runtime.flash_attention
    guess = guessed_compute(architecture, row, load.room, whole, flash)
    size = most = guess.bytes + scores
    line = summed(guess.arithmetic, score_line) if scores else guess.arithmetic
    if architecture.vocabulary is None and not row.encoder:
        line += f"; the vocabulary is not stated: logits of up to {LARGEST_VOCABULARY:,} tokens"
        most += 4 * whole * LARGEST_VOCABULARY
    source = f"{llamacpp.SOURCE}; a guess by the widest layer, for no graph is written down"
    low, high = int(size * GUESS_LEAST), int(most * GUESS_MOST)
    return term("compute", size, How.ASSUMED, source, line, low=low, high=high)


def _rolled_back(load: Load) -> int:
    """At most what the states of several sequences add to the buffer when each drafted token leaves
    one; of one sequence, nothing.

    A bound: 0.8 to 1.15 times the states of one layer were measured, on three models whose layers
    alternate (llama.cpp 0c1e570).
    """
    kept, sequences = load.workload.companions.kept_states(load.row), load.workload.parallel
    if kept == 1 or sequences == 1:
        return 0
    largest = max((state.memory for state in states(load.architecture)), default=0)
    return 4 * kept * sequences * largest * 5 // 4


def _scores(load: Load, scratch: int, room: llamacpp.Cells) -> tuple[int, str]:
    """Bytes and arithmetic of the scores of all tokens in 16 bits. Without flash attention they are
    turned into that to meet the values, in the backend's own work buffer.

    The plan of ggml-cpu.c (GGML_OP_MUL_MAT); the allocator does not count it. An encoder without a
    cache has 32-bit values. The buffer is as large as its largest product: only what is above the
    `scratch` of the others comes on top.
    """
    heads = max((group.heads for group in load.architecture.attention), default=0)
    if load.runtime.flash_attention or load.row.encoder or load.workload.value_type == "f32":
        return 0, ""
    size = room.micro_batch * room.full * heads * 2
    if size <= scratch:
        return 0, ""
    line = (
        f"{room.micro_batch:,} tokens × {room.full:,} cells × {heads:,} heads × 2 bytes of scores"
        " that meet the values"
    )
    return size - scratch, (
        taken_off(line, scratch, "of scratch in the same buffer") if scratch else line
    )
