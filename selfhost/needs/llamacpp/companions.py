"""What a runtime loads beside the model: a draft model, or the model's own multi-token-prediction
block.

Speculative decoding as llama.cpp 0c1e570 sets it up (common/speculative.cpp,
common_speculative_init_result; common/common.h): the draft's context holds as many tokens as the
model's, its cache is f16 whatever the model's is, it asks for one row of logits per sequence, and
the model for `1 + DRAFTED_TOKENS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.architecture import Architecture
from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec import ModelSpec
from ...core.records import Unread
from ..cache import cache_groups
from ..parts import Asked, Parts, Subject, both, term, times
from ..records import How, Split, Term, taken_off
from ..tensors import ArchitectureRow, row_of
from . import buffers as llamacpp
from .buffers import Load

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

OWN_BLOCK = "mtp"
"""What is typed for the block that the model itself brings."""

# the block's compute buffer over the model's: 0.48 to 0.93 in 36 measured cases of 6 models, their
# median 0.82
_BLOCK_COMPUTE, _BLOCK_COMPUTE_LOW = 0.82, 0.45
_SOURCE = f"{llamacpp.SOURCE}: common/speculative.cpp"


def vocabularies_differ(model: ModelSpec, draft: ModelSpec) -> tuple[int, int] | None:
    """Both sizes where llama.cpp refuses the draft: more than 128 tokens apart
    (SPEC_VOCAB_MAX_SIZE_DIFFERENCE).
    """
    architectures = [spec.architecture for spec in (model, draft)]
    sizes = [
        None if each is None else each.vocabulary_gguf or each.vocabulary for each in architectures
    ]
    if sizes[0] is None or sizes[1] is None or abs(sizes[0] - sizes[1]) <= 128:
        return None
    return sizes[0], sizes[1]


def why_no_own_block(model: ModelSpec, architectures: Mapping[str, Any]) -> str | None:
    """Why the model cannot draft with a block of its own; None where it can. The block's cache is
    as wide as a layer's, so it follows only from a layer that keeps its tokens.
    """
    architecture = model.architecture
    if architecture is None or not architecture.mtp_layers:
        return "brings no block that predicts more than one token"
    if not cache_groups(architecture, row_of(architecture, architectures)):
        return "keeps no cache of tokens, so the size of its block's cache is not known"
    return None


def joined(
    subject: Subject,
    model: Parts,
    draft: Parts | None,
    workload: Asked,
    runtime: RuntimeSpec,
    format: str,
) -> Parts:
    """The model's parts with those of the draft, and the model's own block."""
    companions, parts = workload.companions, model
    source = _SOURCE if format == "gguf" else runtime.sources.get("companions", runtime.name)
    if draft is not None and companions.draft is not None:
        parts = _with_draft(parts, draft, companions.draft.name, runtime, source)
        if not companions.draft_is_here:
            parts = _with_files(parts, draft, f"the draft, {companions.draft.name}")
    if companions.own_block and format != "gguf":
        block = _block_of_a_checkpoint(subject, workload, source)
        parts = parts.replace(terms=(*parts.terms, *block))
    return parts


def _with_files(parts: Parts, more: Parts, what: str) -> Parts:
    """Both downloads, where both are known."""
    if isinstance(parts.files, Unread):
        return parts
    files = more.files
    if not isinstance(files, Unread):
        files = both(parts.files, files, what)
    largest = max(parts.largest_file_bytes or 0, more.largest_file_bytes or 0) or None
    return parts.replace(files=files, largest_file_bytes=largest)


def _with_draft(model: Parts, draft: Parts, name: str, runtime: RuntimeSpec, source: str) -> Parts:
    """The draft shares the program, so of its own overhead only its vocabulary counts."""
    terms = []
    low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
    program = (low + high) // 2
    for item in draft.terms:
        if item.name == "activations" or (item.is_program and item.bytes <= program):
            continue
        if item.is_program:
            item = item.replace(
                bytes=item.bytes - program,
                low_bytes=max(0, item.low_bytes - low),
                high_bytes=item.high_bytes - high,
                arithmetic=taken_off(item.arithmetic, program, "of program"),
            )
        on_first = item.split in (Split.LAYERS, Split.EACH)
        beside = item.replace(
            name=f"draft_{item.name}",
            split=Split.FIRST if on_first else item.split,
            output_bytes=0,
            arithmetic=f"{item.arithmetic}; of {name}",
            source=f"{item.source}; as a draft: {source}",
        )
        terms.append(beside)
    unknown = [
        entry.replace(reason=f"{name}, the draft: {entry.reason}") for entry in draft.unknown
    ]
    return model.replace(
        terms=(*model.terms, *terms),
        unknown=(*model.unknown, *unknown),
        evictable_bytes=model.evictable_bytes + draft.evictable_bytes,
        tensor_parallel=tuple(
            number for number in model.tensor_parallel if number in draft.tensor_parallel
        ),
    )


def block_terms(load: Load, weights: tuple[int, int, str], compute: Term) -> list[Term]:
    """llama.cpp with the model's own block: its tensors, a plain f16 cache for it, and a second,
    smaller compute buffer.

    `weights` are the bytes of its tensors, the error of that, and the arithmetic; `compute` is the
    model's own buffer.
    """
    size, error, line = weights
    source = f"{_SOURCE}; llama-quantize's rules"
    measured = f"{_SOURCE}; 36 cases of 6 models measured 0.48 to 0.93 of the model's own buffer"
    likely, least = (int(compute.bytes * each) for each in (_BLOCK_COMPUTE, _BLOCK_COMPUTE_LOW))
    computed = f"{_BLOCK_COMPUTE:g} × {compute.bytes:,} bytes"
    low, high, most = size - error, size + error, compute.bytes
    cache = _block_cache(load.architecture, load.row, load.room.full, load.room.streams)
    return [
        term("mtp_weights", size, How.COMPUTED, source, line, low=low, high=high),
        cache.replace(how=How.EXACT, source=_SOURCE),
        term("mtp_compute", likely, How.COMPUTED, measured, computed, low=least, high=most),
    ]


def _block_of_a_checkpoint(subject: Subject, workload: Asked, source: str) -> list[Term]:
    """The block's weights, in the model's narrow type or in 16 bits, and a cache of its own as
    wide as a layer's.
    """
    architecture, parameters = subject.architecture, subject.spec.parameters.mtp
    if architecture is None or not parameters or not architecture.mtp_layers:
        return []
    low = size = parameters * 2
    line = f"{parameters:,} parameters × 2 bytes"
    if architecture.matrix_dtype is not None or architecture.expert_dtype is not None:
        low = parameters // 2
        line += "; less where the block is stored in the model's narrow type"
    weights = term("mtp_weights", size, How.COMPUTED, source, line, low=low)
    tokens, sequences = workload.context_tokens, workload.parallel
    cache = _block_cache(architecture, subject.row, tokens, sequences).replace(source=source)
    devices = 1 if workload.device is None else workload.device.devices
    if devices == 1:
        return [weights, cache]
    from ..servers import on_each

    heads = max(1, min(group.kv_heads for group in cache_groups(architecture, subject.row)))
    shares = 1 / devices, 1 / min(devices, heads)
    return [on_each(weights, devices, shares[0]), on_each(cache, devices, shares[1])]


def _block_cache(
    architecture: Architecture, row: ArchitectureRow | None, tokens: int, sequences: int
) -> Term:
    """A plain 16-bit cache of the block's layers, as wide as a layer that keeps every token."""
    groups, blocks = cache_groups(architecture, row), architecture.mtp_layers or 0
    group = next((group for group in reversed(groups) if group.window_tokens is None), groups[-1])
    size = blocks * 2 * (group.key_elements + group.value_elements) * tokens * sequences
    shape = f"({group.key_elements:,} + {group.value_elements:,})"
    if group.latent:
        shape = f"{group.key_length:,}"
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    line = f"{times(blocks, 'block')} × {shape} × 2 bytes × {tokens:,} tokens{ending}"
    return term("mtp_kv_cache", size, How.COMPUTED, _SOURCE, line)
