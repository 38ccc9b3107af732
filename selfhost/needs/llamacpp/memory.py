"""A GGUF file, and llama.cpp or Ollama that loaded it."""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.spec import RuntimeSpec
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
from ..records import How, SizedWeights, Term
from ..repack import layout_of
from .buffers import load_of
from .cache_terms import cache_term, state_term, with_slots
from .compute_term import compute_term
from .files import size_of
from .program import program_term, scratch_of
from .weights import own_block_terms, weights_terms

# split by publishers: Hugging Face takes no file above 50 GB without more ado
_LARGEST_FILE_BYTES = 50_000_000_000


def parts(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
    """Files and memory. Weights and cache are judged apart: one may be known without the other."""
    quantization = canonical_gguf(workload.quantization) or workload.quantization
    files = size_of(subject, quantization, own_block=workload.companions.own_block)
    # processors differ in how the weights are laid out, and in nothing else
    of_any_processor = workload.replace(instruction_sets=None)
    growing, no_cache = _growing(subject, runtime, of_any_processor)
    if isinstance(files, Unread):
        missing = (
            files,
            files.replace(fact="memory.weights"),
            *(() if no_cache is None else [no_cache]),
        )
        return Parts(files=files, terms=growing, unknown=missing)
    sets = workload.instruction_sets
    on_gpu = workload.device is not None
    layout = "" if runtime.is_unpacked_on(sets) else layout_of(sets)
    weights, evictable = weights_terms(subject, quantization, files, None if on_gpu else layout)
    projector = None if subject.text_alone else _projector(subject)
    no_encoders = None if subject.text_alone else why_no_encoders(subject.spec)
    terms: list[Term] = [*weights, *growing]
    unknown: list[Unread] = [] if no_cache is None else [no_cache]
    if projector is not None:
        from .projector import reading_pictures

        terms += [projector, reading_pictures(subject.encoder, on_gpu=on_gpu)]
        encoder = sized(
            projector.bytes,
            How.COMPUTED,
            projector.source,
            projector.arithmetic,
            low=projector.low_bytes,
            high=projector.high_bytes,
        )
        how = How.ASSUMED if files.how is How.ASSUMED else How.COMPUTED
        files = both(files, encoder, "the projector").replace(how=how)
    known_files: SizedWeights | Unread = files
    if no_encoders is not None:
        why = f"{no_encoders}; the file beside it has {units.decimal(files.bytes)}"
        known_files = unread(why, ENCODER_REMEDY)
        unknown += [unread(no_encoders, ENCODER_REMEDY, "memory.projector"), known_files]
    return Parts(
        files=known_files,
        terms=tuple(terms),
        evictable_bytes=evictable,
        largest_file_bytes=min(files.bytes, _LARGEST_FILE_BYTES),
        unknown=tuple(unknown),
    )


def _projector(subject: Subject) -> Term | None:
    """The file of the encoder; None where the model has none that is loaded beside it."""
    encoders = subject.spec.parameters.encoders
    if not encoders or subject.architecture is None or subject.spec.modality == "speech":
        return None
    from .projector import projector_term

    return projector_term(encoders, subject.spec.parameters.projector_bytes)


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
    kept = [*([] if isinstance(cache, Unread) else cache), *state_term(load)]
    terms = [with_slots(each, load) for each in kept]
    scratch = scratch_of(load.architecture, load.room, quantization)
    compute = compute_term(load, scratch[0])
    own = compute
    if workload.device is not None:
        compute = compute_term(load, scratch[0], on_gpu=True)
    terms += [compute, program_term(load, scratch)]
    if workload.companions.own_block:
        terms += own_block_terms(load, quantization, own)
    return tuple(terms), cache if isinstance(cache, Unread) else None
