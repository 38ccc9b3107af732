"""A GGUF file, and llama.cpp or Ollama that loaded it."""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Unread
from ..parts import (
    ENCODER_REMEDY,
    Asked,
    Parts,
    Subject,
    both,
    sized,
    unread,
    unread_cache,
    why_no_encoders,
)
from ..quantization import canonical_gguf
from ..records import How, Term
from ..repack import layout_of
from .buffers import load_of
from .files import size_of
from .terms import cache_term, compute_term, picture_term, program_term, projector_term, state_term
from .weights import own_block_weights, weights_terms

# split by publishers: Hugging Face takes no file above 50 GB without more ado
_LARGEST_FILE_BYTES = 50_000_000_000


def parts(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
    """Files and memory. Weights and cache are judged apart: one may be known without the other."""
    quantization = canonical_gguf(workload.quantization) or workload.quantization
    files = size_of(subject, quantization, own_block=workload.companions.own_block)
    # processors differ in how the weights are laid out, and in nothing else
    of_any_processor = workload.replace(instruction_sets=None)
    growing, no_cache = _growing(subject, runtime, of_any_processor)
    unknown = [] if no_cache is None else [no_cache]
    if isinstance(files, Unread):
        missing = files, files.replace(fact="memory.weights"), *unknown
        return Parts(files=files, terms=growing, unknown=missing)
    sets, on_gpu = workload.instruction_sets, workload.device is not None
    layout = "" if runtime.is_unpacked_on(sets) else layout_of(sets)
    weights, evictable = weights_terms(subject, quantization, files, None if on_gpu else layout)
    terms: list[Term] = [*weights, *growing]
    no_encoders = None if subject.text_alone else why_no_encoders(subject.spec)
    largest, known_files = min(files.bytes, _LARGEST_FILE_BYTES), files
    parameters = subject.spec.parameters
    has_file = subject.architecture is not None and subject.spec.modality != "speech"
    if parameters.encoders and has_file and not subject.text_alone:
        projector = projector_term(parameters.encoders, parameters.projector_bytes)
        terms += [projector, picture_term(subject.encoder, on_gpu=on_gpu)]
        low, high = projector.low_bytes, projector.high_bytes
        source, line = projector.source, projector.arithmetic
        encoder = sized(projector.bytes, How.COMPUTED, source, line, low=low, high=high)
        how = How.ASSUMED if files.how is How.ASSUMED else How.COMPUTED
        known_files = both(files, encoder, "the projector").replace(how=how)
    elif no_encoders is not None:
        why = f"{no_encoders}; the file beside it has {units.decimal(files.bytes)}"
        unknown += [unread(no_encoders, ENCODER_REMEDY, "memory.projector")]
        unknown += [unread(why, ENCODER_REMEDY)]
    return Parts(
        files=known_files if no_encoders is None else unknown[-1],
        terms=tuple(terms),
        evictable_bytes=evictable,
        largest_file_bytes=largest,
        unknown=tuple(unknown),
    )


# a fleet has processors with several layouts
@lru_cache(maxsize=16)
def _growing(
    subject: Subject, runtime: RuntimeSpec, workload: Asked
) -> tuple[tuple[Term, ...], Unread | None]:
    """What loading takes beside the files: the cache, the states, buffers and the program
    itself; and why the cache is not known.
    """
    load = load_of(subject, runtime, workload)
    if load is None:
        return (), unread_cache(subject.spec)
    quantization = canonical_gguf(workload.quantization) or workload.quantization
    cache = cache_term(load)
    terms = [*([] if isinstance(cache, Unread) else cache), *state_term(load)]
    compute = compute_term(load)
    terms += [compute, program_term(load, quantization)]
    if workload.companions.own_block:
        from .companions import block_terms

        terms += block_terms(load, own_block_weights(load, quantization), compute)
    return tuple(terms), cache if isinstance(cache, Unread) else None
