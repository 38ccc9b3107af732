"""llama.cpp's compute buffer, as a term of the memory need."""

from __future__ import annotations

from ...catalogue.spec import Architecture, RuntimeSpec
from ..cache import states
from ..parts import Asked, Subject, term
from ..records import How, Term, summed, taken_off
from ..tensors import ArchitectureRow
from . import buffers as llamacpp
from . import graphs
from .program import LARGEST_VOCABULARY

# what llama.cpp allocated was within 20 % of the closed form in every measured case with flash
# attention
COMPUTE_ERROR = 0.2
_COMPUTE_ERROR_UNMEASURED = 0.4
# what CUDA took beside all buffers: RTX 3090, 4090 (twice) and PRO 6000 (twice), as llama.cpp
# printed it (`unaccounted`, or total - free)
_ON_A_DEVICE = (
    f"measured on CPUs, elsewhere by the same rules, ± {COMPUTE_ERROR:.0%} assumed; CUDA's own"
    " context, 0.3 to 0.75 GiB more on each device (ggml-org/llama.cpp#15860, #24608, #27953), is"
    " not counted: it comes out of the 1 GiB that is left free"
)


def compute_term(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    runtime: RuntimeSpec,
    workload: Asked,
    scratch: int,
) -> tuple[Term, int]:
    """The buffer once the context is full; and the least of it that a prompt of one batch
    touches. `scratch` is counted elsewhere.
    """
    has_row = subject.row is not None
    # every drafted token is checked by its own row of logits
    parallel = workload.parallel * (1 + workload.companions.drafted_tokens)
    # an embedding model that is a decoder computes, and touches, a row of logits for each token of
    # a batch
    touched_rows = (
        room.micro_batch if subject.spec.modality == "embedding" or row.diffusion else parallel
    )
    whole, flash = runtime.logits_rows == "batch", runtime.flash_attention
    rows = room.micro_batch if whole else touched_rows
    used = _used(room, row, workload)
    short = _one_batch(used, row)
    scores, score_lines = _scores(architecture, row, used, runtime, workload, scratch)
    fewer = scores - _scores(architecture, row, short, runtime, workload, scratch)[0]
    if has_row and (row.encoder or architecture.vocabulary is not None):
        types = workload.key_type, workload.value_type
        replayed = graphs.exact_compute(architecture, row, used, touched_rows, flash, *types)
        if replayed is not None:
            source = f"{llamacpp.SOURCE}; its allocator replayed on the graph of {architecture.row}"
            # what is reserved is touched only as far as tokens come
            least = graphs.exact_compute_bytes(
                architecture, row, short, touched_rows, flash, *types
            )
            less = (0 if least is None else max(0, replayed.bytes - least)) + fewer
            size = replayed.bytes + scores
            high = size + _rolled_back(architecture, row, workload)
            note = ""
            if less:
                note = (
                    f"; {less:,} bytes less are touched while no more than"
                    f" {llamacpp.MICRO_BATCH_TOKENS:,} tokens are in the context"
                )
            known_part = {
                "name": "compute",
                "bytes": size,
                "low_bytes": size,
                "high_bytes": high,
                "source": source,
            }
            reserved = (
                graphs.exact_compute(architecture, row, room, rows, flash, *types) or replayed
            )
            # RAM is taken as it is touched, a device's memory at once
            ends = {
                "bytes": reserved.bytes,
                "low_bytes": int(reserved.bytes * (1 - COMPUTE_ERROR)),
                "high_bytes": int((reserved.bytes + high - size) * (1 + COMPUTE_ERROR)),
            }
            there = Term.told(
                {**known_part, **ends, "how": How.COMPUTED, "source": f"{source}; {_ON_A_DEVICE}"},
                lambda: reserved.arithmetic,
            )
            how = How.EXACT if high == size == reserved.bytes else How.COMPUTED
            if reserved.bytes != replayed.bytes:
                note += (
                    f"; {reserved.bytes:,} bytes are reserved, for logits of {rows:,} tokens that"
                    " nobody asks for"
                )
            return (
                Term.told(
                    {**known_part, "how": how, "on_device": there},
                    lambda: summed(replayed.arithmetic, *score_lines) + note,
                ),
                size - less,
            )
    reserved = llamacpp.compute(architecture, row, used, rows, flash, workload.key_type)
    # as above, with the logits of the last token
    least = (
        min(
            reserved.bytes,
            llamacpp.compute(architecture, row, short, parallel, flash, workload.key_type).bytes,
        )
        + scores
        - fewer
    )
    measured = has_row and row.closed_form.measured
    error = COMPUTE_ERROR if measured else _COMPUTE_ERROR_UNMEASURED
    line = summed(reserved.arithmetic, *score_lines)
    source = f"{llamacpp.SOURCE}; closed form, error at most {error:.0%}"
    if error != COMPUTE_ERROR:
        source += ", architecture not measured"
    if whole:
        line += "; rows of logits never asked for are not touched"
    size = most = reserved.bytes + scores
    if architecture.vocabulary is None and not row.encoder:
        line += f"; the vocabulary is not stated: logits of up to {LARGEST_VOCABULARY:,} tokens"
        most += 4 * rows * LARGEST_VOCABULARY
    compute_term = term(
        "compute",
        size,
        How.COMPUTED,
        source,
        line,
        low=int(size * (1 - error)),
        high=int(most * (1 + error)),
    )
    return compute_term, int(least * (1 - error))


def _rolled_back(architecture: Architecture, row: ArchitectureRow, workload: Asked) -> int:
    """At most what the states of several sequences add to the buffer when each drafted token leaves
    one; of one sequence, nothing.

    A bound: 0.8 to 1.15 times the states of one layer were measured, on three models whose layers
    alternate (llama.cpp 0c1e570).
    """
    kept = workload.companions.kept_states(row)
    if kept == 1 or workload.parallel == 1:
        return 0
    return (
        4
        * kept
        * workload.parallel
        * max((state.memory for state in states(architecture)), default=0)
        * 5
        // 4
    )


def _scores(
    architecture: Architecture,
    row: ArchitectureRow,
    used: llamacpp.Cells,
    runtime: RuntimeSpec,
    workload: Asked,
    scratch: int,
) -> tuple[int, tuple[str, ...]]:
    """Without flash attention every token's scores are turned into 16 bits to meet the values, in
    the backend's own work buffer.

    The plan of ggml-cpu.c (GGML_OP_MUL_MAT), beside what the allocator counts. An encoder without a
    cache has 32-bit values. The buffer is as large as the largest product wants it: only what is
    above the `scratch` of the others comes on top.
    """
    heads = max((group.heads for group in architecture.attention), default=0)
    if runtime.flash_attention or row.encoder or not heads or workload.value_type == "f32":
        return 0, ()
    size = used.micro_batch * used.full * heads * 2
    if size <= scratch:
        return 0, ()
    line = (
        f"{used.micro_batch:,} tokens × {used.full:,} cells × {heads:,} heads × 2 bytes of scores"
        " that meet the values"
    )
    return size - scratch, (
        taken_off(line, scratch, "of scratch in the same buffer") if scratch else line,
    )


def _used(room: llamacpp.Cells, row: ArchitectureRow, workload: Asked) -> llamacpp.Cells:
    """The cells that come into use: all, or those of the largest product of tokens in a batch
    and cells that they look at.
    """
    if not workload.used_tokens or row.encoder:
        return room
    longest = min(max(workload.used_tokens), room.asked)
    rest = longest % llamacpp.MICRO_BATCH_TOKENS
    cells = max(
        llamacpp.padded(longest - rest),
        llamacpp.padded(longest) * rest // llamacpp.MICRO_BATCH_TOKENS,
    )
    used = llamacpp.cells(
        longest * room.sequences, sequences=room.sequences, whole_windows=room.whole_windows
    )
    return used.replace(full=cells)


def _one_batch(room: llamacpp.Cells, row: ArchitectureRow) -> llamacpp.Cells:
    """The cells in use once each sequence has had one batch; of an encoder, which rounds a
    batch up, once one sequence had its text.
    """
    if row.encoder:
        return llamacpp.cells(room.asked, micro_batch=room.batch)
    first = min(room.asked, llamacpp.MICRO_BATCH_TOKENS)
    return llamacpp.cells(
        first * room.sequences, sequences=room.sequences, whole_windows=room.whole_windows
    )
