"""Speculative decoding: a draft model beside the model, or the model's own multi-token-prediction
block.

As llama.cpp 0c1e570 sets it up (common/speculative.cpp, common_speculative_init_result;
common/common.h): the draft's context holds as many tokens as the model's, its cache is f16 whatever
the model's is, it asks for one row of logits per sequence, and the model for `1 + DRAFTED_TOKENS`.
"""

from __future__ import annotations

from ...catalogue.spec import ModelSpec
from ..cache import cache_groups, shape_of_row
from ..case import Case
from ..records import (
    How,
    Needs,
    Split,
    Term,
    share_by_device,
    term,
    times,
    with_files,
)
from .files import SIZES, SOURCE, own_block_weights

# what is typed for the block that the model itself brings
OWN_BLOCK = "mtp"

_SOURCE = f"{SOURCE}: common/speculative.cpp"


def vocabularies_differ(model: ModelSpec, draft: ModelSpec) -> tuple[int, int] | None:
    """Both sizes where llama.cpp refuses the draft (SPEC_VOCAB_MAX_SIZE_DIFFERENCE)."""
    shapes = model.architecture, draft.architecture
    own, other = (
        (shape.vocabulary_gguf or shape.vocabulary or 0) if shape is not None else 0
        for shape in shapes
    )
    return (own, other) if own and other and abs(own - other) > 128 else None


def why_no_own_block(model: ModelSpec) -> str | None:
    """Why the model cannot draft with a block of its own; None where it can."""
    architecture = model.architecture
    if architecture is None or not architecture.mtp_layers:
        return "brings no block that predicts more than one token"
    if not cache_groups(architecture):
        return "keeps no cache of tokens, so the size of its block's cache is not known"
    return None


def with_draft(model: Needs, draft: Needs, case: Case, source: str) -> Needs:
    """The model with another that drafts for it, on the first of several accelerators."""
    name = case.draft.spec.name if case.draft is not None else ""
    terms = [
        each.replace(
            name=f"draft_{each.name}",
            split=each.split if each.stays_in_ram else Split.FIRST,
            output_bytes=0,
            arithmetic=f"{each.arithmetic}; of {name}",
            source=f"{each.source}; as a draft: {source}",
        )
        for each in draft.terms
        if each.name != "activations" and not each.is_program
    ]
    unknown = [each.replace(reason=f"{name}, the draft: {each.reason}") for each in draft.unknown]
    files, more, largest = model.files, draft.files, model.largest_file_bytes or 0
    if not case.companions.draft_is_here and files is not None:
        files = None if more is None else with_files(files, more, f"the draft, {name}")
        largest = max(largest, draft.largest_file_bytes or 0)
    parallel = [each for each in model.tensor_parallel if each in draft.tensor_parallel]
    return model.replace(
        files=files,
        terms=(*model.terms, *terms),
        unknown=(*model.unknown, *unknown),
        evictable_bytes=model.evictable_bytes + draft.evictable_bytes,
        largest_file_bytes=largest or None,
        tensor_parallel=tuple(parallel),
    )


def block_terms(case: Case, compute: Term) -> list[Term]:
    """The block's tensors, a plain f16 cache, and a smaller compute buffer than the model's own."""
    low, likely = (int(compute.bytes * share) for share in SIZES["block_compute"])
    source = f"{_SOURCE}; 36 cases of 6 models"
    source += " measured 0.48 to 0.93 of the model's own buffer"
    line = f"{SIZES['block_compute'][1]:g} × {compute.bytes:,} bytes"
    ends = {"low": low, "high": compute.bytes}
    buffer = term("mtp_compute", likely, How.COMPUTED, source, line, **ends)
    cache = _block_cache(case, case.room.full, case.room.streams).replace(how=How.EXACT)
    return [own_block_weights(case), cache, buffer]


def block_of_checkpoint(case: Case) -> list[Term]:
    """The block's weights, in a narrow type or in 16 bits, and a cache as wide as a layer's."""
    parameters, architecture = case.spec.parameters.mtp, case.spec.architecture
    if architecture is None or not parameters or not architecture.mtp_layers:
        return []
    low, line = parameters * 2, f"{parameters:,} parameters × 2 bytes"
    if architecture.matrix_dtype is not None or architecture.expert_dtype is not None:
        low = parameters // 2
        line += "; less where the block is stored in the model's narrow type"
    source = case.runtime.sources.get("companions", case.runtime.name)
    weights = term("mtp_weights", parameters * 2, How.COMPUTED, source, line, low=low)
    cache = _block_cache(case, case.context_tokens, case.workload.parallel).replace(source=source)
    devices = case.device.devices if case.device is not None else 1
    heads = max(1, min(group.kv_heads for group in cache_groups(architecture)))
    return [
        share_by_device(weights, devices, 1 / devices),
        share_by_device(cache, devices, 1 / min(devices, heads)),
    ]


def _block_cache(case: Case, tokens: int, sequences: int) -> Term:
    """A plain 16-bit cache of the block's layers, as wide as a layer that keeps every token."""
    groups, blocks = cache_groups(case.model), case.model.mtp_layers or 0
    group = next((group for group in reversed(groups) if group.window_tokens is None), groups[-1])
    size = blocks * 2 * (group.key_elements + group.value_elements) * tokens * sequences
    before, shape = shape_of_row(group)
    line = f"{before}{times(blocks, 'block')} × {shape} × 2 bytes × {tokens:,} tokens"
    line += f" × {sequences:,} sequences" * (sequences > 1)
    return term("mtp_kv_cache", size, How.COMPUTED, _SOURCE, line)
