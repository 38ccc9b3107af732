"""The terms of transformers: the formulas for PyTorch on a CPU, where they are known to hold
for a model.
"""

from __future__ import annotations

from math import isqrt

from ...catalogue.spec import PLAIN_DTYPES, Architecture, RuntimeSpec
from .. import tokenizers
from ..cache import cache_groups
from ..loaded import cache_line, guessed_activations, loaded_type, name_of, overhead, stored_types
from ..packed import DTYPES, left_by_class
from ..parts import Asked, Subject, by_layers, term, why_no_encoders
from ..records import How, Span, Term
from ..repack import holds_wide_results
from ..tensors import ArchitectureRow, checkpoint_tensors, count
from . import memory as torch_memory
from . import stacks as torch_stacks

_TORCH = (
    "measured: torch 2.13.0 (CPU build, Linux) and transformers 5.23.0,"
    " tests/truth/transformers.json"
)
# narrow types that transformers 5.23.0 makes 16 bits of wherever it has no kernel: mxfp4
# (quantizer_mxfp4.py: on a CPU without use_kernels=True), FP8 (quantizer_finegrained_fp8.py:
# without a GPU of compute capability 8.9)
_WIDENED_ON_A_CPU = frozenset({"mxfp4", "float8_e4m3", "float8_e4m3_128x128"})
# and those for which it has none: INT4 of compressed-tensors, decompressed when the model first
# answers or its experts are stacked (quantizer_compressed_tensors.py), BitNet's packed weights
# (BitNetDeserialize of integrations/bitnet.py)
_WIDENED = frozenset({"int4_32", "ternary"})
# patches of 14 pixels of one picture of 1,024 × 1,024, and numbers alive per patch in the widest of
# the measured kinds of encoders, that of Qwen, which rotates in float32: 24 times its width, up to
# 1,280
_PATCHES, _NUMBERS_PER_PATCH = 5_476, 24 * 1280


def is_computed(subject: Subject, architecture: Architecture) -> bool:
    """Every tensor is known, and no layer is of a kind that the formulas do not have."""
    row, spec = subject.row, subject.spec
    if row is None or not subject.whole or why_no_encoders(spec) is not None:
        return False
    if architecture.audio is not None:
        return row.torch_measured
    crossing = any(group.kind == "cross" for group in architecture.attention)
    return not crossing and (not row.encoder or row.torch_measured)


def terms(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    files: Term,
    runtime: RuntimeSpec,
    workload: Asked,
) -> tuple[list[Term], int]:
    """The terms, and the evictable bytes; none where the formulas do not hold. `files` is the term
    for weights of which nothing but the files is known.
    """
    if not is_computed(subject, architecture):
        return [], 0
    stored, loaded = loaded_type(runtime, subject.spec, workload.quantization)
    published = workload.quantization == name_of(architecture)
    narrow = loaded not in PLAIN_DTYPES
    stated = narrow or architecture.dtype is not None or not published
    widths = _widths(architecture.dtype if narrow else loaded, stated=stated)
    own = _narrow_types(architecture) if published else frozenset()
    widened = narrow and bool(own) and own <= _WIDENED_ON_A_CPU | _WIDENED
    measured = row.torch_measured and (widened or not narrow) and stated
    converted = stored != loaded
    unread = 0
    weights = files
    if widened:
        weights = _widened_weights(subject, architecture, row, files, always=own <= _WIDENED)
    elif measured:
        weights, unread = _weights(
            subject, architecture, row, loaded, workload, converted=converted
        )
    beside = (_cache(architecture, row, widths, workload), _state(architecture, widths, workload))
    items = [weights, *(item for item in beside if item is not None)]
    items.append(
        _activations(subject, architecture, row, widths, runtime, workload, measured=measured)
    )
    items.append(
        _program(
            architecture,
            row,
            widths,
            runtime,
            workload,
            stacked=measured and not widened,
            float8=widened and any(name.startswith("float8") for name in own),
        )
    )
    words = _tokenizer(subject, architecture, row, items, _picture_bytes(subject, widths, workload))
    if measured and not widened and workload.instruction_sets is not None:
        items = _together(items)
    items += words
    if widened:
        return items, _left_narrow(subject, architecture, row, files)
    if converted:
        # mapped files and the weights made of them are resident together while it loads
        return items, int(files.bytes * DTYPES[stored] / DTYPES[loaded])
    if not measured:
        return items, unread
    # files map single experts, the model copies them into one array per layer: the mapped pages may
    # go, as may what no text reads
    return items, unread + torch_memory.stacked_experts_bytes(architecture, row, widths[0])


def _widths(type: str | None, *, stated: bool) -> tuple[int, ...]:
    """Bytes of a number in the model; both where the type is not stated."""
    if type == "float32":
        return (4,)
    return (2,) if stated else (2, 4)


def _narrow_types(architecture: Architecture) -> frozenset[str]:
    types = (architecture.matrix_dtype, architecture.expert_dtype)
    return frozenset(name for name in types if name is not None)


def _left_narrow(
    subject: Subject, architecture: Architecture, row: ArchitectureRow, files: Term
) -> int:
    """What is narrow in the mapped files, and stays resident beside the weights made of it: those
    pages may go.
    """
    plain = stored_types(architecture, row).get(architecture.dtype or "bfloat16", 0.0)
    return max(0, int(files.bytes - (plain + 2 * (subject.spec.parameters.encoders or 0))))


def _counted(
    subject: Subject, architecture: Architecture, row: ArchitectureRow
) -> tuple[int, int, int]:
    """Parameters of the language model, of the encoders, and how far both are from the
    published count.
    """
    parameters, encoders = (
        count(checkpoint_tensors(architecture, row)),
        subject.spec.parameters.encoders or 0,
    )
    stated = subject.spec.parameters.total
    # the spec says how far its architecture is from the published count
    return parameters, encoders, abs(stated - parameters - encoders) if stated else 0


def _weights(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    loaded: str,
    workload: Asked,
    *,
    converted: bool,
) -> tuple[Term, int]:
    """In `loaded`, the type that the model runs in; `converted` where the files are of another one.
    And pages of tables that no text needs.
    """
    width = 4 if loaded == "float32" else 2
    parameters, encoders, apart = _counted(subject, architecture, row)
    wide = count(
        group for group in checkpoint_tensors(architecture, row) if left_by_class(group.name, row)
    )
    wide = wide if loaded == "float16" else 0
    whole = parameters * width + 2 * wide
    line, notes = f"{parameters:,} parameters × {width} bytes", ""
    if wide:
        line += f" + {wide:,} × 2 bytes of what its class keeps in 32 bits"
    full = line
    size, low, high, unread = whole, whole, whole, 0
    written = (
        workload.context_tokens
        - torch_stacks.read_tokens(architecture, row, workload.context_tokens)
        if row.rewrites
        else 0
    )
    tokens = workload.context_tokens * workload.parallel
    tables = torch_memory.table_rows(
        architecture, row, width, tokens, written=written, encodes=_encodes(subject, row)
    )
    if tables.bytes and not converted:
        unread = tables.bytes - tables.high_bytes
        size, low, high = (
            whole - tables.bytes + read
            for read in (tables.likely_bytes, tables.low_bytes, tables.high_bytes)
        )
        line += f" - {whole - size:,} bytes of tables"
        notes = (
            f"; of {tables.bytes:,} a text that fills the context reads {tables.low_bytes:,} to"
            f" {tables.high_bytes:,}, row by row"
        )
    if encoders:
        line += f" + {encoders:,} × {width} bytes of encoders"
        notes += "; encoders are mapped and come in with the first picture"
        size, high = size + encoders * width, high + encoders * width
        low += encoders * width if converted else 0
    sines, most_sines, made_of = torch_stacks.sines(
        architecture, row, width, workload.context_tokens
    )
    if made_of:
        size, low, high = size + sines, low + sines, high + most_sines
        line, notes = (f"{line} + {made_of}", notes) if sines else (line, f"{notes}; {made_of}")
    line += notes
    low, high = low - apart * width, high + apart * width
    how = How.EXACT if low == high else How.COMPUTED
    whence = f"parameters in the type {'of config.json' if converted else 'of the files'}"
    weights = term("weights", size, how, f"{whence}; {_TORCH}", line, low=max(0, low), high=high)
    whole += encoders * width + sines
    full += (f" + {encoders:,} × {width} bytes of encoders" if encoders else "") + (
        f" + {made_of}" if sines else ""
    )
    ends = {"low": max(0, whole - apart * width), "high": whole + apart * width}
    device = term("weights", whole, How.COMPUTED if apart else How.EXACT, whence, full, **ends)
    return weights.replace(on_device=device), unread


def _encodes(subject: Subject, row: ArchitectureRow) -> bool:
    """It answers with no token, so that its token table is read by rows alone."""
    return row.encoder or subject.spec.modality == "embedding"


def _widened_weights(
    subject: Subject, architecture: Architecture, row: ArchitectureRow, files: Term, *, always: bool
) -> Term:
    """Two bytes for each parameter, whatever the files hold; on a device as in the files where
    a kernel takes them.
    """
    parameters, encoders, apart = _counted(subject, architecture, row)
    size = 2 * (parameters + encoders)
    line = (
        f"{parameters + encoders:,} parameters × 2 bytes, for it has no kernel for"
        f" {name_of(architecture)}"
    )
    source = (
        "transformers 5.23.0, quantizers: made bfloat16"
        f" {'when it loads or first answers' if always else 'on a CPU'}"
    )
    widened = term(
        "weights", size, How.COMPUTED, source, line, low=size - 2 * apart, high=size + 2 * apart
    )
    if always:
        return widened
    ends = {"low": files.low_bytes, "high": max(files.high_bytes, widened.high_bytes)}
    device = term(
        "weights", files.bytes, files.how, files.source, f"{files.arithmetic}; up to {line}", **ends
    )
    return widened.replace(on_device=device)


def _program(
    architecture: Architecture,
    row: ArchitectureRow,
    widths: tuple[int, ...],
    runtime: RuntimeSpec,
    workload: Asked,
    *,
    stacked: bool,
    float8: bool,
) -> Term:
    """The program, with what stacking experts leaves in its heap: that lies in RAM wherever the
    weights go.
    """
    product = torch_memory.kept_product(
        workload.instruction_sets, _computed_in(architecture, widths, workload)
    )
    tokens = workload.context_tokens * workload.parallel
    ends = [
        torch_memory.overhead(architecture, row, width, tokens, product=product) for width in widths
    ]
    size, low, high = (
        ends[0].bytes,
        min(end.low_bytes for end in ends),
        max(end.high_bytes for end in ends),
    )
    line, note = f"{size:,} bytes", f"; {ends[0].arithmetic}"
    if stacked:
        left = torch_memory.left_by_experts(architecture, row, widths[0], converted=False)
        if left.high_bytes:
            line += f" + {left.bytes:,} bytes left in the heap by stacking experts"
            note += f", and up to {left.high_bytes:,} bytes left"
            size, low, high = size + left.bytes, low + left.low_bytes, high + left.high_bytes
    experts = torch_memory.stacked_experts_bytes(architecture, row, 2) if float8 else 0
    if experts:
        shares = [int(share * experts) for share in torch_memory.LEFT_BY_WIDENED_EXPERTS]
        line += f" + {shares[0]:,} bytes left in the heap by widening experts"
        note += f", and {shares[1]:,} to {shares[2]:,} bytes left"
        size, low, high = size + shares[0], low + shares[1], high + shares[2]
    return term("runtime", size, How.MEASURED, _TORCH, line + note, low=low, high=high).replace(
        on_device=overhead(runtime)
    )


def _together(terms: list[Term]) -> list[Term]:
    """The terms with ends so near that their sum goes as far as the root of the sum of squares:
    what is not known of the one has nothing to do with the other, and 103 whole runs lay inside
    (tests/truth/transformers.json, transformers_avx512.json). A line's own ends may be wider. On a
    device, where none of them was measured, a term stays as it was.
    """
    ends = []
    for far in (
        [item.bytes - item.low_bytes for item in terms],
        [item.high_bytes - item.bytes for item in terms],
    ):
        whole = sum(far)
        ends.append(
            [
                -(-distance * isqrt(sum(each * each for each in far)) // whole) if whole else 0
                for distance in far
            ]
        )
    return [
        item.replace(low_bytes=item.bytes - below, high_bytes=item.bytes + above,
            on_device=item.on_device or item)
        if below or above else item
        for item, below, above in zip(terms, *ends, strict=True)
    ]  # fmt: skip


def _tokenizer(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    terms: list[Term],
    picture_bytes: int,
) -> list[Term]:
    """The tokenizer that comes with the model; of a config.json alone at the high end, for a
    program may hand over numbers.

    Where the peak may be a picture's, at the high end only what the text takes more is sure to be
    put where the tokenizer was read.
    """
    comes = subject.spec.tokenizer
    if comes is False or not architecture.vocabulary or architecture.audio is not None:
        return []
    (prompt,) = (item for item in terms if item.name == "activations")
    span = tokenizers.by_transformers(
        architecture,
        row,
        prompt.low_bytes,
        min(prompt.low_bytes, prompt.high_bytes - picture_bytes),
    )
    source = "measured: tokenizers 0.23 beside transformers 5.23.0, tests/truth/tokenizers.json"

    def as_term(span: Span) -> Term:
        if comes:
            return term(
                "tokenizer",
                span.bytes,
                How.MEASURED,
                source,
                span.arithmetic,
                low=span.low_bytes,
                high=span.high_bytes,
            )
        line = f"0 bytes; with a tokenizer, of which a config.json says nothing: {span.arithmetic}"
        return term("tokenizer", 0, How.MEASURED, source, line, high=span.high_bytes)

    # beside a GPU no prompt is put where it was read
    return [
        as_term(span).replace(
            on_device=as_term(tokenizers.by_transformers(architecture, row, 0, 0))
        )
    ]


def _cache(
    architecture: Architecture, row: ArchitectureRow, widths: tuple[int, ...], workload: Asked
) -> Term | None:
    tokens, sequences, width = workload.context_tokens, workload.parallel, widths[0]
    if architecture.audio is not None:
        return _speech_cache(architecture, widths, workload)
    groups = unpacked = cache_groups(architecture, torch_memory.with_cache(row))
    if not groups:
        return None
    if row.torch_latent:
        packed = tuple(group.replace(kind="latent") for group in architecture.attention)
        groups = cache_groups(architecture.replace(attention=packed), row)
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    if row.rewrites:
        beams = architecture.beams or 1
        sequences *= beams
        ending += f" × {beams} beams" if beams > 1 else ""
    lines = by_layers(
        ("", group.layers, f" × {cache_line(group)[1]} × {width} bytes × {tokens:,} tokens{ending}")
        for group in groups
    )
    indexed = (
        sum(group.layers * group.indexer_elements for group in groups) * tokens * sequences * width
    )
    size = torch_memory.cache_bytes(groups, tokens, sequences, width, prompt=True)
    high = torch_memory.cache_bytes(groups, tokens, sequences, widths[-1], prompt=True) + indexed
    note = ""
    if groups != unpacked:
        high = torch_memory.cache_bytes(unpacked, tokens, sequences, widths[-1], prompt=True)
        note = (
            "; the publisher's own code (trust_remote_code) keeps keys and values of every head,"
            f" {high:,} bytes"
        )
    if any(group.window_tokens is not None for group in groups):
        note = "; layers with a window hold the whole prompt while it is read"
    if row.rewrites:
        note = "; of what is read and what is written together" + (
            "" if architecture.beams else ", in a search with one beam"
        )
    how = How.EXACT if high == size else How.COMPUTED
    kind = "EncoderDecoderCache" if row.rewrites else "DynamicCache"
    return term(
        "kv_cache",
        size,
        how,
        f"{kind} in the type of the model; {_TORCH}",
        " + ".join(lines) + note,
        high=high,
    )


def _speech_cache(architecture: Architecture, widths: tuple[int, ...], workload: Asked) -> Term:
    from . import speech as torch_speech

    audio, beams = architecture.audio, torch_speech.BEAMS
    assert audio is not None
    sequences, width = workload.parallel, widths[0]
    size, line = torch_speech.cache_bytes(architecture, audio, sequences, width, beams=beams)
    least, _ = torch_speech.cache_bytes(
        architecture, audio, sequences, width, beams=beams, answered=False
    )
    most, _ = torch_speech.cache_bytes(architecture, audio, sequences, widths[-1], beams=beams)
    alone, _ = torch_speech.cache_bytes(architecture, audio, sequences, width, beams=1)
    line += (
        "; so many beams are the pipeline's default, with generate() alone there is one and"
        f" {alone:,} bytes"
    )
    return term(
        "kv_cache",
        size,
        How.COMPUTED,
        f"EncoderDecoderCache; {_TORCH}",
        line,
        low=least,
        high=most,
    )


def _state(architecture: Architecture, widths: tuple[int, ...], workload: Asked) -> Term | None:
    if not architecture.recurrent:
        return None
    from .recurrent import state_bytes

    size, line = state_bytes(architecture, workload.parallel, widths[0])
    high, _ = state_bytes(architecture, workload.parallel, widths[-1])
    source = (
        "LinearAttentionLayer: inputs of convolutions in the type of the model, states in float32;"
        f" {_TORCH}"
    )
    return term(
        "recurrent_state",
        size,
        How.EXACT if high == size else How.COMPUTED,
        source,
        line,
        high=high,
    )


def _activations(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    widths: tuple[int, ...],
    runtime: RuntimeSpec,
    workload: Asked,
    *,
    measured: bool,
) -> Term:
    """A prompt that fills the context, read in one pass; several have different lengths, hence
    a mask, at the high end.
    """
    if architecture.audio is not None:
        return _speech_activations(architecture, widths, workload)
    encodes, seeing = _encodes(subject, row), subject.spec.modality == "vision"
    plain = _prompt(architecture, row, widths[0], workload, fixed_threshold=True)
    own = _computed_in(architecture, widths, workload)
    twice = holds_wide_results(workload.instruction_sets, own)
    # of a processor that nobody told, at the high end
    perhaps = twice or (own == "bfloat16" and workload.instruction_sets is None)
    span = _prompt(architecture, row, widths[0], workload, encodes=encodes, wide_results=twice)
    # a picture among the text makes a mask too
    most = _prompt(
        architecture,
        row,
        widths[-1],
        workload,
        padded=workload.parallel > 1 or seeing,
        encodes=encodes,
        wide_results=perhaps,
    )
    more = "holes in the heap, and of results in 32 bits" if twice else "holes in the heap"
    line = (
        f"{plain.arithmetic} + {span.bytes - plain.bytes:,} bytes of {more}; the prompt fills the"
        " context"
    )
    low, high = span.low_bytes, max(span.high_bytes, most.high_bytes)
    if seeing:
        picture = _picture_bytes(subject, widths, workload)
        high = max(high, picture)
        line += (
            f"; one picture of up to 1,024 × 1,024 pixels takes at most {picture:,} bytes, before"
            " the text"
        )
    wide = guessed_activations(architecture, row, runtime, workload)
    how, source = How.COMPUTED, _TORCH
    if not measured:
        how, source = (
            How.ASSUMED,
            "as measured for other architectures or types; not measured for this one",
        )
        # of all that were measured none held a tenth less than the formulas say
        low, high = (
            int(0.9 * low),
            max(high, wide.high_bytes, int(row.torch_prompt_share * high)),
        )
    activations = term("activations", span.bytes, how, source, line, low=low, high=high)
    # no heap has holes there, and kernels may hold less or more
    unmeasured = f"as counted on a CPU, where it was measured; a GPU was not: {_TORCH}"
    ends = {"low": min(low, wide.low_bytes), "high": max(high, wide.high_bytes)}
    return activations.replace(
        on_device=term(
            "activations", plain.bytes, How.ASSUMED, unmeasured, plain.arithmetic, **ends
        )
    )


def _picture_bytes(subject: Subject, widths: tuple[int, ...], workload: Asked) -> int:
    """The most that the encoders hold of one picture in each sequence; 0 where there are none."""
    if subject.spec.modality != "vision":
        return 0
    return (
        min(4 * workload.context_tokens, _PATCHES)
        * workload.parallel
        * _NUMBERS_PER_PATCH
        * widths[-1]
    )


def _computed_in(
    architecture: Architecture, widths: tuple[int, ...], workload: Asked
) -> str | None:
    """The type of products where numbers have 16 bits for certain; None for any other width."""
    if widths != (2,):
        return None
    return (
        architecture.dtype if workload.quantization not in PLAIN_DTYPES else workload.quantization
    )


def _prompt(
    architecture: Architecture,
    row: ArchitectureRow,
    width: int,
    workload: Asked,
    *,
    encodes: bool = False,
    **more: bool,
) -> Span:
    if row.rewrites:
        cache = _cache(architecture, row, (width,), workload)
        kept = cache.bytes if cache is not None else 0
        return torch_stacks.activations(
            architecture, row, workload.context_tokens, workload.parallel, width, kept, **more
        )
    more["encodes"] = encodes
    return torch_memory.prompt_bytes(
        architecture, row, workload.context_tokens, workload.parallel, width, **more
    )


def _speech_activations(
    architecture: Architecture, widths: tuple[int, ...], workload: Asked
) -> Term:
    from . import speech as torch_speech

    audio = architecture.audio
    assert audio is not None
    span = torch_speech.activations(architecture, audio, workload.parallel, widths[0])
    most = torch_speech.activations(architecture, audio, workload.parallel, widths[-1])
    return term(
        "activations",
        span.bytes,
        How.COMPUTED,
        _TORCH,
        span.arithmetic,
        low=span.low_bytes,
        high=most.high_bytes,
    )
