"""llama.cpp's compute buffer, as a term of the memory need."""

from __future__ import annotations

from ...core import units
from ...core.records import Record
from ..cache import states
from ..parts import term
from ..records import How, Term, summed, taken_off
from . import buffers as llamacpp
from . import graphs
from .load import Load
from .program import LARGEST_VOCABULARY

# what llama.cpp allocated was within 20 % of the closed form in every measured case with flash
# attention
COMPUTE_ERROR = 0.2
_COMPUTE_ERROR_UNMEASURED = 0.4
# what CUDA took beside all buffers: RTX 3090, 4090 (twice) and PRO 6000 (twice), as llama.cpp
# printed it (`unaccounted`, or total - free)
_ON_A_DEVICE = (
    f"measured on CPUs, elsewhere by the same rules, ± {units.percent(COMPUTE_ERROR)} assumed;"
    " CUDA's own"
    " context, 0.3 to 0.75 GiB more on each device (ggml-org/llama.cpp#15860, #24608, #27953), is"
    " not counted: it comes out of the 1 GiB that is left free"
)


class _Prompt(Record):
    """What prompts use of the buffer: `used` are the cells once the context is as full as stated,
    `short` those after one batch.

    `scores` are bytes beside the graph, `fewer_scores` how many of them a prompt of one batch
    leaves out, `score_lines` their arithmetic.
    """

    used: llamacpp.Cells
    short: llamacpp.Cells
    scores: int
    fewer_scores: int
    score_lines: tuple[str, ...]


def compute_term(load: Load, scratch: int) -> tuple[Term, int]:
    """The buffer once the context is full; and the least of it that a prompt of one batch touches.

    `scratch`: bytes of the work buffer, which is counted with the program.
    """
    used = _used(load)
    short = _one_batch(load, used)
    scores, score_lines = _scores(load, used, scratch)
    prompt = _Prompt(
        used=used,
        short=short,
        scores=scores,
        fewer_scores=scores - _scores(load, short, scratch)[0],
        score_lines=score_lines,
    )
    return _replayed(load, prompt) or _by_closed_form(load, prompt)


def _checked_rows(load: Load) -> int:
    """Rows of logits that are asked for: one a sequence, and one for each drafted token."""
    return load.workload.parallel * (1 + load.workload.companions.drafted_tokens)


def _touched_rows(load: Load) -> int:
    """Rows of logits that are computed: an embedding model that is a decoder computes one for each
    token of a batch, as does a model that writes by diffusion.
    """
    return load.room.micro_batch if load.embeds or load.row.diffusion else _checked_rows(load)


def _reserved_rows(load: Load) -> int:
    """Rows of logits that the buffer has room for."""
    whole_batch = load.runtime.logits_rows == "batch"
    return load.room.micro_batch if whole_batch else _touched_rows(load)


def _replayed(load: Load, prompt: _Prompt) -> tuple[Term, int] | None:
    """By the graph that llama.cpp builds; None where none is written down for the architecture."""
    row, architecture, workload = load.row, load.architecture, load.workload
    if load.subject.row is None or (not row.encoder and architecture.vocabulary is None):
        return None
    rows = _touched_rows(load)
    options = load.runtime.flash_attention, workload.key_type, workload.value_type
    replayed = graphs.exact_compute(architecture, row, prompt.used, rows, *options)
    if replayed is None:
        return None
    least = graphs.exact_compute_bytes(architecture, row, prompt.short, rows, *options)
    # what is reserved is touched only as far as tokens come
    less = (0 if least is None else max(0, replayed.bytes - least)) + prompt.fewer_scores
    size = replayed.bytes + prompt.scores
    high = size + _rolled_back(load)
    reserved_rows = _reserved_rows(load)
    reserved = (
        graphs.exact_compute(architecture, row, load.room, reserved_rows, *options) or replayed
    )
    source = f"{llamacpp.SOURCE}; its allocator replayed on the graph of {architecture.row}"
    note = ""
    if less:
        note = (
            f"; {less:,} bytes less are touched while no more than"
            f" {llamacpp.MICRO_BATCH_TOKENS:,} tokens are in the context"
        )
    if reserved.bytes != replayed.bytes:
        note += (
            f"; {reserved.bytes:,} bytes are reserved, for logits of {reserved_rows:,} tokens that"
            " nobody asks for"
        )
    fields = {
        "name": "compute",
        "bytes": size,
        "low_bytes": size,
        "high_bytes": high,
        "how": How.EXACT if high == size == reserved.bytes else How.COMPUTED,
        "source": source,
        "on_device": _reserved_on_device(reserved, high - size, source),
    }
    compute = Term.told(fields, lambda: summed(replayed.arithmetic, *prompt.score_lines) + note)
    return compute, size - less


def _reserved_on_device(reserved: llamacpp.Compute, more: int, source: str) -> Term:
    """RAM is taken as it is touched, a device's memory at once. `more`: bytes that the high end has
    above what is reserved.
    """
    fields = {
        "name": "compute",
        "bytes": reserved.bytes,
        "low_bytes": int(reserved.bytes * (1 - COMPUTE_ERROR)),
        "high_bytes": int((reserved.bytes + more) * (1 + COMPUTE_ERROR)),
        "how": How.COMPUTED,
        "source": f"{source}; {_ON_A_DEVICE}",
    }
    return Term.told(fields, lambda: reserved.arithmetic)


def _by_closed_form(load: Load, prompt: _Prompt) -> tuple[Term, int]:
    from .closed_form import compute as closed_form

    row, architecture, key_type = load.row, load.architecture, load.workload.key_type
    rows, flash = _reserved_rows(load), load.runtime.flash_attention
    reserved = closed_form(architecture, row, prompt.used, rows, flash, key_type)
    asked_for = closed_form(architecture, row, prompt.short, _checked_rows(load), flash, key_type)
    least = min(reserved.bytes, asked_for.bytes) + prompt.scores - prompt.fewer_scores
    measured = load.subject.row is not None and row.closed_form.measured
    error = COMPUTE_ERROR if measured else _COMPUTE_ERROR_UNMEASURED
    source = f"{llamacpp.SOURCE}; closed form, error at most {units.percent(error)}"
    if not measured:
        source += ", architecture not measured"
    line = summed(reserved.arithmetic, *prompt.score_lines)
    if load.runtime.logits_rows == "batch":
        line += "; rows of logits that no request uses are not touched"
    size = most = reserved.bytes + prompt.scores
    if architecture.vocabulary is None and not row.encoder:
        line += f"; the vocabulary is not stated: logits of up to {LARGEST_VOCABULARY:,} tokens"
        most += 4 * rows * LARGEST_VOCABULARY
    low, high = int(size * (1 - error)), int(most * (1 + error))
    compute = term("compute", size, How.COMPUTED, source, line, low=low, high=high)
    return compute, int(least * (1 - error))


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


def _scores(load: Load, used: llamacpp.Cells, scratch: int) -> tuple[int, tuple[str, ...]]:
    """Bytes and arithmetic of the scores of all tokens in 16 bits. Without flash attention they are
    turned into that to meet the values, in the backend's own work buffer.

    The plan of ggml-cpu.c (GGML_OP_MUL_MAT); the allocator does not count it. An encoder without a
    cache has 32-bit values. The buffer is as large as its largest product: only what is above the
    `scratch` of the others comes on top.
    """
    heads = max((group.heads for group in load.architecture.attention), default=0)
    if load.runtime.flash_attention or load.row.encoder or load.workload.value_type == "f32":
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


def _used(load: Load) -> llamacpp.Cells:
    """The cells that come into use: all, or those of the largest product of tokens in a batch
    and cells that they look at.
    """
    room = load.room
    if not load.workload.used_tokens or load.row.encoder:
        return room
    longest = _longest_prompt(load)
    rest = longest % llamacpp.MICRO_BATCH_TOKENS
    cells = max(
        llamacpp.padded(longest - rest),
        llamacpp.padded(longest) * rest // llamacpp.MICRO_BATCH_TOKENS,
    )
    used = llamacpp.cells(
        longest * room.sequences, sequences=room.sequences, whole_windows=room.whole_windows
    )
    return used.replace(full=cells)


def _longest_prompt(load: Load) -> int:
    """Tokens that come into the context of one sequence, at most."""
    workload = load.workload
    return min(max(workload.used_tokens, default=workload.context_tokens), workload.context_tokens)


def _one_batch(load: Load, room: llamacpp.Cells) -> llamacpp.Cells:
    """The cells in use once each sequence has had one batch; of an encoder, which rounds a
    batch up, once one sequence had its text.
    """
    if load.row.encoder:
        return llamacpp.cells(load.workload.context_tokens, micro_batch=room.batch)
    first = min(_longest_prompt(load), llamacpp.MICRO_BATCH_TOKENS)
    return llamacpp.cells(
        first * room.sequences, sequences=room.sequences, whole_windows=room.whole_windows
    )
