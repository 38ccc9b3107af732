"""What a runtime loads beside the model: a draft model, the model's own multi-token-prediction
block, an adapter.

Speculative decoding as llama.cpp 0c1e570 sets it up (common/speculative.cpp,
common_speculative_init_result; common/common.h): the draft's context holds as many tokens as the
model's, its cache is f16 whatever the model's is, it asks for one row of logits per sequence, and
the model for `1 + DRAFTED_TOKENS`. An adapter's tensors are copied into memory as they are stored
(src/llama-adapter.cpp).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture, ModelSpec, RuntimeSpec
from ...core.records import Unread
from ..cache import CacheGroup, cache_groups
from ..checkpoints import adapter_parameters
from ..parts import Asked, Parts, Subject, both, sized, term, times, unread
from ..records import How, SizedWeights, Split, Term, summed, taken_off
from ..tensors import ArchitectureRow, row_of
from . import buffers as llamacpp

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

OWN_BLOCK = "mtp"
"""What is typed for the block that the model itself brings."""

# the block's compute buffer over the model's: 0.48 to 0.93 in 36 measured cases of 6 models, their
# median 0.82
_BLOCK_COMPUTE, _BLOCK_COMPUTE_LOW = 0.82, 0.45
# what loading two adapters of 224 matrices added to their tensors: 1.5 MB each (the same build)
_ADAPTER_TABLES_BYTES, _ADAPTER_TABLES_HIGH_BYTES = 1_500_000, 4_194_304
# what --max-lora-rank takes, from its default on (vllm/config/lora.py)
_LORA_RANKS = (16, 32, 64, 128, 256, 320, 512)
_SOURCE = f"{llamacpp.SOURCE}: common/speculative.cpp"


def vocabularies_differ(model: ModelSpec, draft: ModelSpec) -> tuple[int, int] | None:
    """Both sizes where llama.cpp refuses the draft: more than 128 tokens apart
    (SPEC_VOCAB_MAX_SIZE_DIFFERENCE).
    """
    made = [spec.architecture for spec in (model, draft)]
    sizes = [None if each is None else each.vocabulary_gguf or each.vocabulary for each in made]
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
    """The model's parts with those of the draft, the model's own block and the adapter."""
    companions = workload.companions
    source = _SOURCE if format == "gguf" else runtime.sources.get("companions", runtime.name)
    parts = model
    if draft is not None and companions.draft is not None:
        here = companions.draft_is_here
        parts = _with_draft(parts, draft, companions.draft.name, runtime, source, is_here=here)
    if companions.own_block and format != "gguf":
        block = _block_of_a_checkpoint(subject, workload, source)
        parts = parts.replace(terms=(*parts.terms, *block))
    if companions.adapter is not None:
        adapter = companions.adapter
        kept = _adapter(subject, adapter, companions.adapter_rank, runtime, format, source)
        parts = parts.replace(terms=(*parts.terms, kept))
        if not companions.adapter_is_here and isinstance(parts.files, SizedWeights):
            parts = parts.replace(files=both(parts.files, adapter, "the adapter"))
    return parts


def _with_draft(
    model: Parts, draft: Parts, name: str, runtime: RuntimeSpec, source: str, *, is_here: bool
) -> Parts:
    """The draft shares the program, so of its own overhead only what is not the program's counts.

    `is_here`: its files are on this machine, and are not downloaded.
    """
    terms = []
    for item in draft.terms:
        beside = _without_program(item, runtime) if item.is_program else item
        if beside is not None and item.name != "activations":
            terms.append(_of_a_draft(beside, name, source))
    unknown = [
        entry.replace(reason=f"{name}, the draft: {entry.reason}") for entry in draft.unknown
    ]
    files, largest = model.files, model.largest_file_bytes
    if not is_here and isinstance(files, SizedWeights):
        what, more = f"the draft, {name}", draft.files
        files = more if isinstance(more, Unread) else both(files, more, what)
        largest = max(largest or 0, draft.largest_file_bytes or 0) or None
    devices = [number for number in model.tensor_parallel if number in draft.tensor_parallel]
    return model.replace(
        terms=(*model.terms, *terms),
        files=files,
        unknown=(*model.unknown, *unknown),
        evictable_bytes=model.evictable_bytes + draft.evictable_bytes,
        largest_file_bytes=largest,
        tensor_parallel=tuple(devices),
    )


def _of_a_draft(item: Term, name: str, source: str) -> Term:
    line = f"{item.arithmetic}; of {name}"
    split = Split.FIRST if item.split in (Split.LAYERS, Split.EACH) else item.split
    return item.replace(
        name=f"draft_{item.name}",
        split=split,
        output_bytes=0,
        arithmetic=line,
        source=f"{item.source}; as a draft: {source}",
    )


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
    cached, cache_line = _block_cache(
        architecture, subject.row, workload.context_tokens, workload.parallel
    )
    weights = term("mtp_weights", size, How.COMPUTED, source, line, low=low)
    cache = term("mtp_kv_cache", cached, How.COMPUTED, source, cache_line)
    devices = 1 if workload.device is None else workload.device.devices
    if devices == 1 or subject.row is None:
        return [weights, cache]
    from ..servers import held_share, on_each, share_of_weights

    # as the model's own are
    share = share_of_weights(subject, architecture, subject.row, size, devices)
    group = _group_of_block(architecture, subject.row)
    heads = {1 if group.latent else group.kv_heads: 1.0}
    return [on_each(weights, devices, share), on_each(cache, devices, held_share(heads, devices))]


def _block_cache(
    architecture: Architecture, row: ArchitectureRow | None, tokens: int, sequences: int
) -> tuple[int, str]:
    """A plain 16-bit cache of the block's layers, as wide as a layer that keeps every token;
    bytes and arithmetic.
    """
    group = _group_of_block(architecture, row)
    blocks = architecture.mtp_layers or 0
    size = blocks * 2 * (group.key_elements + group.value_elements) * tokens * sequences
    shape = (
        f"{group.key_length:,}"
        if group.latent
        else f"({group.key_elements:,} + {group.value_elements:,})"
    )
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    return size, f"{times(blocks, 'block')} × {shape} × 2 bytes × {tokens:,} tokens{ending}"


def _group_of_block(architecture: Architecture, row: ArchitectureRow | None) -> CacheGroup:
    groups = cache_groups(architecture, row)
    return next((group for group in reversed(groups) if group.window_tokens is None), groups[-1])


def _without_program(item: Term, runtime: RuntimeSpec) -> Term | None:
    """What a second model adds to a program that runs already: its vocabulary and scratch; None
    where nothing is left.
    """
    low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
    program = (low + high) // 2
    if item.bytes <= program:
        return None
    return item.replace(
        bytes=item.bytes - program,
        low_bytes=max(0, item.low_bytes - low),
        high_bytes=item.high_bytes - high,
        arithmetic=taken_off(item.arithmetic, program, "of program"),
    )


def block_terms(
    architecture: Architecture,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    weights: tuple[int, int, str],
    compute: Term,
) -> list[Term]:
    """llama.cpp with the model's own block: its tensors, a plain f16 cache for it, and a second,
    smaller compute buffer.

    `weights` are the bytes of its tensors, the error of that, and the arithmetic; `compute` is the
    model's own buffer.
    """
    tensors, error, line = weights
    size, cache_line = _block_cache(architecture, row, room.full, room.streams)
    low, high = tensors - error, tensors + error
    source = f"{_SOURCE}; llama-quantize's rules"
    measured = f"{_SOURCE}; 36 cases of 6 models measured 0.48 to 0.93 of the model's own buffer"
    likely, least = (int(compute.bytes * each) for each in (_BLOCK_COMPUTE, _BLOCK_COMPUTE_LOW))
    line_of_buffer = f"{_BLOCK_COMPUTE:g} × {compute.bytes:,} bytes"
    most = compute.bytes
    return [
        term("mtp_weights", tensors, How.COMPUTED, source, line, low=low, high=high),
        term("mtp_kv_cache", size, How.EXACT, _SOURCE, cache_line),
        term("mtp_compute", likely, How.COMPUTED, measured, line_of_buffer, low=least, high=most),
    ]


def _adapter(
    subject: Subject,
    adapter: SizedWeights,
    rank: int,
    runtime: RuntimeSpec,
    format: str,
    source: str,
) -> Term:
    """What a runtime keeps of an adapter: llama.cpp its tensors as they are stored, and tables
    for each of them, measured.
    """
    if (
        runtime.account.divides_layers
        and subject.architecture is not None
        and subject.row is not None
    ):
        return _adapter_slot(subject.architecture, subject.row, rank)
    line, high = adapter.arithmetic, adapter.high_bytes + _ADAPTER_TABLES_HIGH_BYTES
    if format == "gguf":
        tables = _ADAPTER_TABLES_BYTES
        how = How.MEASURED if adapter.how is How.EXACT else adapter.how
        size, line = adapter.bytes + tables, summed(line, f"{tables:,} bytes of tables")
        source = f"{llamacpp.SOURCE}: src/llama-adapter.cpp"
    else:
        size, how = adapter.bytes, How.ASSUMED
        if adapter.how is not How.ASSUMED:
            # peft makes 32-bit weights of 16-bit ones (autocast_adapter_dtype of load_adapter)
            line += "; up to twice as much where 16-bit weights are made 32-bit ones"
            high += adapter.high_bytes
    low = adapter.low_bytes
    return term("adapter", size, how, f"{adapter.source}; {source}", line, low=low, high=high)


def reserved_rank(rank: int) -> int | None:
    """The rank that vLLM is told to reserve room for (--max-lora-rank), the least of those it takes
    that holds an adapter of that rank; None above them.
    """
    return next((allowed_rank for allowed_rank in _LORA_RANKS if allowed_rank >= rank), None)


def _adapter_slot(architecture: Architecture, row: ArchitectureRow, rank: int) -> Term:
    """vLLM's room for one adapter, reserved whole whatever the adapter changes: both matrices of
    every linear layer in 16 bits.

    Their rank is --max-lora-rank, of a few sizes. Releases differ in whether tables and routed
    experts have room too: the high end.
    """
    slot = reserved_rank(rank) or rank
    linear, most = adapter_parameters(architecture, row, slot)
    tables = 2 * slot * (architecture.embedding_length + (architecture.vocabulary or 0))
    return term(
        "adapter",
        linear * 2,
        How.ASSUMED,
        "vllm: vllm/lora/layers/base_linear.py, create_lora_weights; vllm/config/lora.py, one"
        " adapter at once (max_loras)",
        f"{linear:,} parameters × 2 bytes; of rank {slot} on every linear layer",
        high=2 * (most + tables) + _ADAPTER_TABLES_HIGH_BYTES,
    )


def adapter_of_rank(
    spec: ModelSpec, architectures: Mapping[str, Any], rank: int
) -> SizedWeights | Unread:
    """An adapter on every linear layer, as trainers write it: 32-bit at most, 16-bit at least."""
    architecture = spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    if architecture is None or row is None:
        why = "its size follows from the architecture, which is not known"
        return unread(why, "give the adapter's file", "adapter")
    linear, most = adapter_parameters(architecture, row, rank)
    return sized(
        linear * 4,
        How.ASSUMED,
        "LoRA on every linear layer (Hu et al. 2021, arXiv:2106.09685), stored in 32 bits or 16;"
        " fewer layers take less, adapted experts more",
        f"{linear:,} parameters × 4 bytes",
        low=linear * 2,
        high=most * 4,
    )
