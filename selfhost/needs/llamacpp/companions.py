"""The parts loaded in addition to a model: the encoder for pictures or audio, and a model or block
that drafts tokens.

What goes in: the model's case and terms. What comes out: terms in bytes, and the files including
the companion's.

Drafting follows llama.cpp 0c1e570 (common/speculative.cpp): the draft's context holds as many
tokens as the model's, its cache is f16 whatever the model's cache is, and the draft needs one row
of logits per sequence, the model one more than tokens are drafted at once.
"""

from __future__ import annotations

from ...catalogue.architecture import Architecture
from ...catalogue.spec import ModelSpec, PublishedDraft
from ...core import units
from ...core.units import plural
from ..case import (
    ENCODER_REMEDY,
    MEGAPIXEL_SIDE,
    Case,
    Encoder,
    encoder_of,
    why_no_encoders,
)
from ..quantization import BITS_PER_WEIGHT, bytes_of
from ..records import (
    PROGRAMS,
    How,
    Needs,
    Size,
    Split,
    Term,
    assumed_term,
    computed_term,
    of_sequences,
    share_by_device,
    stated_term,
    term,
    unread,
    with_files,
)
from ..tensors import CacheGroup, cache_groups, words_of_row
from .files import SIZES, SOURCE
from .weights import own_block_weights

# the value typed for the multi-token-prediction block of the model itself
OWN_BLOCK = "mtp"
_DRAFT_SOURCE = f"{SOURCE}: common/speculative.cpp"
# the most tokens by which the vocabularies of a draft and a model may differ in llama.cpp
# (SPEC_VOCAB_MAX_SIZE_DIFFERENCE of common/speculative.cpp)
_MOST_OTHER_TOKENS = 128
# bytes of a parameter of an encoder in a file of 16 bits with some vectors in 32 bits: the least
# (all in 16 bits), the likely and the most
_LEAST_ENCODER_BYTES = 2
_ENCODER_BYTES = 2.02
_MOST_ENCODER_BYTES = 2.12
# names of tensors and keys add at most 1/200 to a stated size
_HEADER_DIVISOR = 200
# terms of a draft model that the need of the main model already includes
_NOT_OF_A_DRAFT = ("activations", *PROGRAMS)


def with_projector(case: Case, files: Term) -> Needs:
    """The needs of a model's encoder: the files of the model with that of the encoder, and the
    memory of the encoder.
    """
    if case.text_alone:
        return Needs(files=files)
    no_encoders = why_no_encoders(case.spec)
    if no_encoders is not None:
        why = f"{no_encoders}; the file beside it has {units.decimal(files.bytes)}"
        memory = unread(why, ENCODER_REMEDY, "memory.projector")
        return Needs(unknown=(memory, memory.replace(fact="download_bytes")))
    spec = case.spec
    # such models have no separate file for an encoder
    if spec.architecture is None or not case.encoders:
        return Needs(files=files)
    file = _projector_file(case)
    encoder = file, _encoder_buffer(case)
    if case.settings.get("projector") == "ram":
        # the option keeps the encoder in RAM
        buffer = _encoder_buffer(case.replace(device=None))
        encoder = file.replace(split=Split.HOST), buffer.replace(split=Split.HOST)
    together = with_files(files, file, "the projector")
    if files.how is not How.ASSUMED:
        together = together.replace(how=How.COMPUTED)
    return Needs(files=together, terms=encoder)


def _projector_file(case: Case) -> Term:
    """The file of a vision or audio encoder, in bytes: parameters × 2, and a little more for
    vectors in 32 bits (conversion/*.py of llama.cpp 0c1e570).
    """
    encoders = case.encoders
    stated = case.spec.parameters.projector_bytes
    if stated is None:
        least = encoders * _LEAST_ENCODER_BYTES
        likely = int(encoders * _ENCODER_BYTES)
        most = int(encoders * _MOST_ENCODER_BYTES)
        source = "F16 projector file; parameters of the encoders in the spec"
        line = f"{encoders:,} parameters × {_ENCODER_BYTES} bytes"
        return computed_term("projector", Size(least, likely, most), source, line)
    line = f"{stated:,} bytes; {encoders:,} parameters, matrices in 16 bits, the rest in 32"
    high = stated + stated // _HEADER_DIVISOR
    if stated < encoders * _LEAST_ENCODER_BYTES:
        line = f"{stated:,} bytes; its publisher quantized it, and others have it in 16 bits"
        files = case.spec.files_of(case.format, case.quantization)
        if files is None or not case.spec.is_makers(files):
            high = int(encoders * _ENCODER_BYTES)
    source = "F16 projector file as llama.cpp's converter writes it (0c1e570, conversion/*.py)"
    return computed_term("projector", Size(stated, stated, high), source, line)


def _encoder_buffer(case: Case) -> Term:
    """The compute buffer of the encoder.

    In RAM the buffer is touched only by a picture: none without a picture; the likely size is for a
    picture of a megapixel, or of as many tokens as an option allows. A device reserves the buffer
    at load, for a picture of a fixed size or for the largest (clip-model.h, set_warmup_n_tokens,
    set_limit_image_tokens).
    """
    encoder = encoder_of(case.spec)
    if encoder is None:
        return _buffer_of_unknown_encoder()
    most_tokens = case.number_set("picture_tokens")
    if encoder.token_side is None:
        most_tokens = 0
    size, line = _usual_input_of(encoder, most_tokens)
    reserved_bytes = encoder.reserved_bytes
    if most_tokens and reserved_bytes == encoder.largest_bytes:
        reserved_bytes = size
    on_device = case.is_on_device
    high = size * 6 // 5
    low = reserved_bytes if on_device else 0
    if on_device and size < reserved_bytes:
        size = reserved_bytes
        high = size
        line = f"{size:,} bytes; reserved at load, for pictures that need no more"
    else:
        # the high end includes the picture and the activations converted to 16 bits for the product
        # with the weights: 1.19 times the size for a Pixtral (tests/truth/llamacpp_companions.json)
        line += "; none without any, up to a fifth more in a work buffer"
    source = f"{SOURCE}: tools/mtmd/clip.cpp, an encoder {encoder.what}"
    return term("projector_compute", Size(low, size, high), source, line, How.MEASURED)


def _buffer_of_unknown_encoder() -> Term:
    """The assumed buffer of an encoder that was not measured, by the buffers of others."""
    size, most = SIZES.picture_bytes
    others = "25 other kinds reserve 20 to 739 MB (llama.cpp 0c1e570)"
    source = f"this encoder was not measured; {others}"
    line = f"{size:,} bytes"
    return assumed_term("projector_compute", Size(0, size, most), source, line)


def _usual_input_of(encoder: Encoder, most_tokens: int) -> tuple[int, str]:
    """The buffer of an encoder for its usual input in bytes, with its line of arithmetic: a picture
    of `most_tokens` tokens where an option sets their number (0 where none does), else a picture of
    a megapixel, or `largest_seconds` of sound.
    """
    if most_tokens:
        side = encoder.token_side or 0
        size = encoder.picture_bytes(most_tokens * side**2)
        line = f"{size:,} bytes; for a picture of {most_tokens:,} tokens of {side} × {side} pixels"
        return size, line
    largest = encoder.largest_side
    if largest is None:
        size = encoder.largest_bytes
        seconds = encoder.largest_seconds
        return size, f"{size:,} bytes; for {seconds} seconds of sound, the most"
    side = min(MEGAPIXEL_SIDE, largest)
    size = encoder.picture_bytes(side**2)
    line = f"{size:,} bytes; for a picture of {side:,} × {side:,}"
    if side < largest:
        line += f", {encoder.largest_bytes:,} for one of {largest:,} × {largest:,}, the most"
    return size, line


def why_no_own_block(model: ModelSpec) -> str | None:
    """The reason why a model cannot draft with a block or a published draft of its own; None where
    it can.
    """
    architecture = model.architecture
    if model.draft is not None:
        return None
    if architecture is None or not architecture.mtp_layers:
        return "brings no block that predicts more than one token"
    if not cache_groups(architecture):
        return "keeps no cache of tokens, so the size of its block's cache is not known"
    return None


def own_block_terms(case: Case, compute: Term) -> list[Term]:
    """The terms of the model's own multi-token-prediction block, or of the draft model that its
    publisher made. [] where the model does not draft with either.

    `compute`: the compute buffer of the model itself.
    """
    if not case.companions.own_block:
        return []
    if why_no_own_block(case.spec) is not None:
        return []
    if case.spec.draft is not None:
        return _published_draft(case, case.spec.draft, compute)
    cells = _block_cache(case, case.setup.cells_per_stream, case.setup.streams)
    cache = cells.replace(how=How.EXACT)
    return [own_block_weights(case), cache, _block_compute(compute)]


def _block_compute(compute: Term) -> Term:
    """The compute buffer of a block: a share of the model's own."""
    least, likely = SIZES.block_compute
    measured = "36 cases of 6 models measured 0.48 to 0.93 of the model's own buffer"
    most = compute.bytes
    size = Size(int(most * least), int(most * likely), most)
    source = f"{_DRAFT_SOURCE}; {measured}"
    return computed_term("mtp_compute", size, source, f"{likely:g} × {most:,} bytes")


def _published_draft(
    case: Case,
    draft: PublishedDraft,
    compute: Term,
) -> list[Term]:
    """The terms of the publisher's draft model: its weights, on the first of several devices, and
    its compute buffer. The draft attends to the cache of the model (`ctx_other` in
    src/models/gemma4-assistant.cpp), so it has no cache.
    """
    file = draft_file(case, draft)
    weights = file.replace(name="mtp_weights", split=Split.FIRST)
    least, _ = SIZES.block_compute
    size = int(compute.bytes * least)
    source = f"{_DRAFT_SOURCE}; not measured of {draft.name}, which is narrower than the model"
    line = f"{least:g} × {compute.bytes:,} bytes, as of other blocks"
    ends = Size(size // 4, size, compute.bytes)
    buffer = assumed_term("mtp_compute", ends, source, line)
    return [weights, buffer]


def draft_file(case: Case, draft: PublishedDraft) -> Term:
    """The file of the publisher's draft model.

    llama.cpp takes the file whose type is nearest to the model's: Q8_0 beside most files, Q4_0
    beside files trained for 4 bits, 16 bits beside 16 bits. A program that loads safetensors loads
    16 bits.
    """
    in_16_bits = 2 * draft.parameters
    if case.format != "gguf":
        line = f"{draft.parameters:,} parameters × 2 bytes"
        high = in_16_bits * 101 // 100
        ends = Size(in_16_bits, in_16_bits, high)
        return computed_term("files", ends, draft.source, line)
    size = draft.gguf_bytes
    beside_matrices = size - bytes_of("Q8_0", draft.parameters)
    low = beside_matrices + bytes_of("Q4_0", draft.parameters)
    high = size
    if BITS_PER_WEIGHT.get(case.quantization, 0) >= 16:
        high = beside_matrices + in_16_bits
    ends = Size(low, size, high)
    return stated_term("files", ends, draft.source, f"{size:,} bytes in Q8_0")


def block_in_weight_files(case: Case) -> list[Term]:
    """The terms of a model's own block: the weights, in a narrow type or in 16 bits, and a
    cache as wide as a layer's. For a draft model made by the publisher, only its weights.
    """
    devices = case.devices
    if case.spec.draft is not None:
        # a separate draft reads the keys and values of the main model, which lie on every device in
        # parts
        weights = draft_file(case, case.spec.draft).replace(name="mtp_weights")
        return [share_by_device(weights, devices, 1 / devices)]
    parameters = case.spec.parameters.mtp
    if not parameters or why_no_own_block(case.spec):
        return []
    source = _source(case)
    weights = _weights_of_block(case.model, parameters, source)
    cells = _block_cache(case, case.context_tokens, case.parallel)
    cache = cells.replace(source=source)
    heads = min(group.kv_heads for group in cache_groups(case.model))
    return [
        share_by_device(weights, devices, 1 / devices),
        share_by_device(cache, devices, 1 / min(devices, heads)),
    ]


def _source(case: Case) -> str:
    """The source for how the program drafts."""
    return case.runtime.sources.get("companions", case.runtime.name)


def _weights_of_block(
    architecture: Architecture,
    parameters: int,
    source: str,
) -> Term:
    """The weights of a model's own block in 16 bits, at the least in 4."""
    size = 2 * parameters
    low = size
    line = f"{parameters:,} parameters × 2 bytes"
    if architecture.narrow_types:
        low = parameters // 2
        line += "; less where the block is stored in the model's narrow type"
    return computed_term("mtp_weights", Size(low, size, size), source, line)


def _block_cache(
    case: Case,
    tokens: int,
    sequences: int,
) -> Term:
    """The 16-bit cache of the block's layers, as wide as the cache of a layer that keeps every
    token: blocks × 2 bytes × (keys + values) × tokens × sequences.
    """
    group = _group_like_block(cache_groups(case.model))
    blocks = case.model.mtp_layers or 0
    numbers = group.key_elements + group.value_elements
    size = blocks * 2 * numbers * tokens * sequences
    before, shape = words_of_row(group)
    line = f"{before}{plural(blocks, 'block')} × {shape} × 2 bytes × {tokens:,} tokens"
    line += of_sequences(sequences)
    return computed_term("mtp_kv_cache", size, _DRAFT_SOURCE, line)


def _group_like_block(groups: tuple[CacheGroup, ...]) -> CacheGroup:
    """The group of layers that a block resembles: the last group without a window, else the last
    group.
    """
    for group in reversed(groups):
        if group.window_tokens is None:
            return group
    return groups[-1]


def vocabularies_differ(model: ModelSpec, draft: ModelSpec) -> tuple[int, int] | None:
    """The sizes of both vocabularies where llama.cpp refuses the draft; None where it accepts the
    draft, or a size is not known.
    """
    sizes = []
    for spec in (model, draft):
        if spec.architecture is None:
            return None
        sizes.append(spec.architecture.gguf_tokens)
    tokens, of_draft = sizes
    if not all(sizes):
        return None
    if abs(tokens - of_draft) <= _MOST_OTHER_TOKENS:
        return None
    return tokens, of_draft


def with_draft(
    model: Needs,
    draft: Needs,
    case: Case,
) -> Needs:
    """The needs of a model together with those of a draft model, which lies on the first of several
    accelerators.
    """
    assert case.draft is not None
    name = case.draft.spec.name
    terms = list(model.terms)
    source = _source(case)
    for part in draft.terms:
        if part.name not in _NOT_OF_A_DRAFT:
            terms.append(_term_of_draft(part, name, source))
    unknown = list(model.unknown)
    for why in draft.unknown:
        unknown.append(why.replace(reason=f"{name}, the draft: {why.reason}"))
    files = model.files
    largest = model.largest_file_bytes or 0
    if files is not None and not case.companions.draft_is_here:
        largest = max(largest, draft.largest_file_bytes or 0)
        if draft.files is None:
            files = None
        else:
            files = with_files(files, draft.files, f"the draft, {name}")
    devices = [
        count for count in model.tensor_parallel if count in draft.tensor_parallel
    ]
    return model.replace(
        files=files,
        terms=tuple(terms),
        unknown=tuple(unknown),
        evictable_bytes=model.evictable_bytes + draft.evictable_bytes,
        largest_file_bytes=largest or None,
        tensor_parallel=tuple(devices),
    )


def _term_of_draft(
    part: Term,
    name: str,
    source: str,
) -> Term:
    """A term of a draft model, renamed and placed whole on the first accelerator."""
    return part.replace(
        name=f"draft_{part.name}",
        split=part.split if part.stays_in_ram else Split.FIRST,
        output_bytes=0,
        arithmetic=f"{part.arithmetic}; of {name}",
        source=f"{part.source}; as a draft: {source}",
    )
