"""The terms of transformers: the formulas for PyTorch on a CPU, for models for which they are known
to hold.
"""

from __future__ import annotations

from math import isqrt

from ...catalogue.spec import PLAIN_DTYPES, Architecture, RuntimeSpec
from ...core.records import Record
from .. import tokenizers
from ..cache import CacheGroup, cache_groups
from ..loaded import cache_line, guessed_activations, loaded_type, overhead, stored_types
from ..packed import DTYPES, left_by_class
from ..parts import Asked, Subject, by_layers, name_of, term, why_no_encoders
from ..records import How, Span, Term
from ..repack import holds_wide_results
from ..tensors import ArchitectureRow, checkpoint_tensors, count
from . import memory as torch_memory
from . import stacks as torch_stacks

_TORCH = (
    "measured: torch 2.13.0 (CPU build, Linux) and transformers 5.23.0,"
    " tests/truth/transformers.json"
)
# transformers 5.23.0 makes 16 bits of these narrow types wherever it has no kernel: mxfp4
# (quantizer_mxfp4.py: on a CPU without use_kernels=True), FP8 (quantizer_finegrained_fp8.py:
# without a GPU of compute capability 8.9)
_WIDENED_ON_A_CPU = frozenset({"mxfp4", "float8_e4m3", "float8_e4m3_128x128"})
# it has no kernel at all for these: INT4 of compressed-tensors, decompressed when the model first
# answers or its experts are stacked (quantizer_compressed_tensors.py), BitNet's packed weights
# (BitNetDeserialize of integrations/bitnet.py)
_WIDENED = frozenset({"int4_32", "ternary"})
# patches of 14 pixels in a picture of 1,024 × 1,024, and numbers alive per patch in the widest of
# the measured encoders: Qwen's rotates in float32, and holds 24 times its width of up to 1,280
_PATCHES, _NUMBERS_PER_PATCH = 5_476, 24 * 1280


def is_computed(subject: Subject, architecture: Architecture) -> bool:
    """True where every tensor is known, and the formulas hold for every kind of layer."""
    row, spec = subject.row, subject.spec
    if row is None or not subject.whole or why_no_encoders(spec) is not None:
        return False
    if architecture.audio is not None:
        return row.torch_measured
    crossing = any(group.kind == "cross" for group in architecture.attention)
    return not crossing and (not row.encoder or row.torch_measured)


class _Run(Record):
    """A model that transformers runs: `files` are its weights by their files alone, `stored` and
    `loaded` the types of the files and of the model, `own` its published narrow types.

    `widths` are the bytes of a number in the model: of 2 and 4 both where the type is not stated.
    """

    subject: Subject
    architecture: Architecture
    row: ArchitectureRow
    files: Term
    runtime: RuntimeSpec
    workload: Asked
    stored: str
    loaded: str
    own: frozenset[str]
    widths: tuple[int, ...]
    measured: bool

    @property
    def widened(self) -> bool:
        """True where the published narrow weights become 16 bits wide, on a CPU at least."""
        return _is_widened(self.loaded, self.own)

    @property
    def always_widened(self) -> bool:
        """True where they do on a GPU as well."""
        return self.own <= _WIDENED

    @property
    def converted(self) -> bool:
        """True where the model runs in another type than that of the files."""
        return self.stored != self.loaded

    @property
    def encodes(self) -> bool:
        """True where it answers with no token, so that its token table is read by rows alone."""
        return self.row.encoder or self.subject.spec.modality == "embedding"

    @property
    def picture_bytes(self) -> int:
        """The most that encoders hold of one picture in each sequence; 0 where there are none."""
        if self.subject.spec.modality != "vision":
            return 0
        patches = min(4 * self.workload.context_tokens, _PATCHES)
        return patches * self.workload.parallel * _NUMBERS_PER_PATCH * self.widths[-1]


def _is_widened(loaded: str, own: frozenset[str]) -> bool:
    return loaded not in PLAIN_DTYPES and bool(own) and own <= _WIDENED_ON_A_CPU | _WIDENED


def _run_of(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    files: Term,
    runtime: RuntimeSpec,
    workload: Asked,
) -> _Run:
    stored, loaded = loaded_type(runtime, subject.spec, workload.quantization)
    published = workload.quantization == name_of(architecture)
    own = _narrow_types(architecture) if published else frozenset()
    narrow = loaded not in PLAIN_DTYPES
    stated = narrow or architecture.dtype is not None or not published
    is_known_type = _is_widened(loaded, own) or not narrow
    return _Run(
        subject=subject,
        architecture=architecture,
        row=row,
        files=files,
        runtime=runtime,
        workload=workload,
        stored=stored,
        loaded=loaded,
        own=own,
        widths=_widths(architecture.dtype if narrow else loaded, stated=stated),
        measured=row.torch_measured and is_known_type and stated,
    )


def _widths(type: str | None, *, stated: bool) -> tuple[int, ...]:
    if type == "float32":
        return (4,)
    return (2,) if stated else (2, 4)


def terms(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    files: Term,
    runtime: RuntimeSpec,
    workload: Asked,
) -> tuple[list[Term], int]:
    """The terms, and the evictable bytes; no terms where the formulas do not hold.

    `files` is the term for weights of which nothing but the files is known.
    """
    if not is_computed(subject, architecture):
        return [], 0
    run = _run_of(subject, architecture, row, files, runtime, workload)
    weights, unread_bytes = _weights(run)
    items = [weights, *_cache(run), *_state(run), _activations(run), _program(run)]
    words = _tokenizer(run, items)
    if run.measured and not run.widened and workload.instruction_sets is not None:
        items = _together(items)
    return [*items, *words], _evictable_bytes(run, unread_bytes)


def _evictable_bytes(run: _Run, unread_bytes: int) -> int:
    """Mapped pages that may go. `unread_bytes`: those of tables that no text reads."""
    if run.widened:
        return _left_narrow(run)
    if run.converted:
        # mapped files and the weights made of them are resident together while it loads
        return int(run.files.bytes * DTYPES[run.stored] / DTYPES[run.loaded])
    if not run.measured:
        return unread_bytes
    # files map single experts, and the model copies them into one array per layer
    return unread_bytes + torch_memory.stacked_experts_bytes(
        run.architecture, run.row, run.widths[0]
    )


def _narrow_types(architecture: Architecture) -> frozenset[str]:
    types = (architecture.matrix_dtype, architecture.expert_dtype)
    return frozenset(name for name in types if name is not None)


def _left_narrow(run: _Run) -> int:
    """Bytes of narrow weights in the mapped files, which stay resident beside the weights made of
    them.
    """
    types = stored_types(run.architecture, run.row)
    plain = types.get(run.architecture.dtype or "bfloat16", 0.0)
    encoders = run.subject.spec.parameters.encoders or 0
    return max(0, int(run.files.bytes - (plain + 2 * encoders)))


def _counted(run: _Run) -> tuple[int, int, int]:
    """Parameters of the language model, of the encoders, and how far both are from the
    published count.
    """
    parameters = count(checkpoint_tensors(run.architecture, run.row))
    encoders = run.subject.spec.parameters.encoders or 0
    stated = run.subject.spec.parameters.total
    # the spec says how far its architecture is from the published count
    return parameters, encoders, abs(stated - parameters - encoders) if stated else 0


# ------------------------------------------------------------------ weights


class _Part(Record):
    """What one part adds to the weights, with its piece of the line and of the note."""

    bytes: int
    low_bytes: int
    high_bytes: int
    line: str
    note: str = ""


def _weights(run: _Run) -> tuple[Term, int]:
    """The weights, and the bytes of tables that no text reads."""
    if run.widened:
        return _widened_weights(run), 0
    return _measured_weights(run) if run.measured else (run.files, 0)


def _measured_weights(run: _Run) -> tuple[Term, int]:
    width = 4 if run.loaded == "float32" else 2
    parameters, encoders, apart = _counted(run)
    whole = _whole(run, parameters, width)
    tables, unread_bytes = _tables(run, width)
    pictures, sines = _encoders(encoders, width, converted=run.converted), _sines(run, width)
    on_host = [whole, *tables, *pictures, *sines]
    low = sum(part.low_bytes for part in on_host) - apart * width
    high = sum(part.high_bytes for part in on_host) + apart * width
    whence = f"parameters in the type {'of config.json' if run.converted else 'of the files'}"
    weights = term(
        "weights",
        sum(part.bytes for part in on_host),
        How.EXACT if low == high else How.COMPUTED,
        f"{whence}; {_TORCH}",
        "".join([*(part.line for part in on_host), *(part.note for part in on_host)]),
        low=max(0, low),
        high=high,
    )
    resident = [whole, *pictures, *sines]
    size = sum(part.bytes for part in resident)
    device = term(
        "weights",
        size,
        How.COMPUTED if apart else How.EXACT,
        whence,
        "".join(part.line for part in resident),
        low=max(0, size - apart * width),
        high=size + apart * width,
    )
    return weights.replace(on_device=device), unread_bytes


def _whole(run: _Run, parameters: int, width: int) -> _Part:
    """All parameters of the language model."""
    line, size = f"{parameters:,} parameters × {width} bytes", parameters * width
    groups = checkpoint_tensors(run.architecture, run.row)
    wide = count(group for group in groups if left_by_class(group.name, run.row))
    if wide and run.loaded == "float16":
        size += 2 * wide
        line += f" + {wide:,} × 2 bytes of what its class keeps in 32 bits"
    return _Part(bytes=size, low_bytes=size, high_bytes=size, line=line)


def _tables(run: _Run, width: int) -> tuple[list[_Part], int]:
    """Less the rows of mapped tables that no text reads, and the bytes of those."""
    architecture, row, context = run.architecture, run.row, run.workload.context_tokens
    written = 0
    if row.rewrites:
        written = context - torch_stacks.read_tokens(architecture, row, context)
    tables = torch_memory.table_rows(
        architecture,
        row,
        width,
        context * run.workload.parallel,
        written=written,
        encodes=run.encodes,
    )
    if not tables.bytes or run.converted:
        return [], 0
    part = _Part(
        bytes=tables.likely_bytes - tables.bytes,
        low_bytes=tables.low_bytes - tables.bytes,
        high_bytes=tables.high_bytes - tables.bytes,
        line=f" - {tables.bytes - tables.likely_bytes:,} bytes of tables",
        note=(
            f"; of {tables.bytes:,} a text that fills the context reads {tables.low_bytes:,} to"
            f" {tables.high_bytes:,}, row by row"
        ),
    )
    return [part], tables.bytes - tables.high_bytes


def _encoders(parameters: int, width: int, *, converted: bool) -> list[_Part]:
    if not parameters:
        return []
    size = parameters * width
    part = _Part(
        bytes=size,
        low_bytes=size if converted else 0,
        high_bytes=size,
        line=f" + {parameters:,} × {width} bytes of encoders",
        note="; encoders are mapped and come in with the first picture",
    )
    return [part]


def _sines(run: _Run, width: int) -> list[_Part]:
    """Tables of positions that are in no file."""
    size, most, line = torch_stacks.sines(
        run.architecture, run.row, width, run.workload.context_tokens
    )
    if not line:
        return []
    line, note = (f" + {line}", "") if size else ("", f"; {line}")
    return [_Part(bytes=size, low_bytes=size, high_bytes=most, line=line, note=note)]


def _widened_weights(run: _Run) -> Term:
    """Two bytes for each parameter, whatever the files hold; on a device as in the files where
    a kernel takes them.
    """
    parameters, encoders, apart = _counted(run)
    size, files = 2 * (parameters + encoders), run.files
    line = (
        f"{parameters + encoders:,} parameters × 2 bytes, for it has no kernel for"
        f" {name_of(run.architecture)}"
    )
    source = (
        "transformers 5.23.0, quantizers: made bfloat16"
        f" {'when it loads or first answers' if run.always_widened else 'on a CPU'}"
    )
    widened = term(
        "weights", size, How.COMPUTED, source, line, low=size - 2 * apart, high=size + 2 * apart
    )
    if run.always_widened:
        return widened
    ends = {"low": files.low_bytes, "high": max(files.high_bytes, widened.high_bytes)}
    device = term(
        "weights", files.bytes, files.how, files.source, f"{files.arithmetic}; up to {line}", **ends
    )
    return widened.replace(on_device=device)


# ------------------------------------------------------------------ the program


def _program(run: _Run) -> Term:
    """The program, with what stacking experts leaves in its heap: that lies in RAM wherever the
    weights go.
    """
    architecture, row = run.architecture, run.row
    product = torch_memory.kept_product(run.workload.instruction_sets, _computed_in(run))
    tokens = run.workload.context_tokens * run.workload.parallel
    ends = [
        torch_memory.overhead(architecture, row, width, tokens, product=product)
        for width in run.widths
    ]
    size = ends[0].bytes
    low, high = min(end.low_bytes for end in ends), max(end.high_bytes for end in ends)
    line, note = f"{size:,} bytes", f"; {ends[0].arithmetic}"
    if run.measured and not run.widened:
        left = torch_memory.left_by_experts(architecture, row, run.widths[0], converted=False)
        if left.high_bytes:
            line += f" + {left.bytes:,} bytes left in the heap by stacking experts"
            note += f", and up to {left.high_bytes:,} bytes left"
            size, low, high = size + left.bytes, low + left.low_bytes, high + left.high_bytes
    float8 = run.widened and any(name.startswith("float8") for name in run.own)
    experts = torch_memory.stacked_experts_bytes(architecture, row, 2) if float8 else 0
    if experts:
        shares = [int(share * experts) for share in torch_memory.LEFT_BY_WIDENED_EXPERTS]
        line += f" + {shares[0]:,} bytes left in the heap by widening experts"
        note += f", and {shares[1]:,} to {shares[2]:,} bytes left"
        size, low, high = size + shares[0], low + shares[1], high + shares[2]
    beside = run.runtime.beside_library_bytes
    if beside:
        line += f" + {beside:,} bytes of {run.runtime.name} beside its library"
        size, low, high = size + beside, low + beside, high + beside
    else:
        note += f"; scikit-learn, where it is installed, adds {torch_memory.SKLEARN_BYTES:,}"
    return term("runtime", size, How.MEASURED, _TORCH, line + note, low=low, high=high).replace(
        on_device=overhead(run.runtime)
    )


def _together(terms: list[Term]) -> list[Term]:
    """The terms with nearer ends, so that their sum goes as far as the root of the sum of squares.

    The errors of the terms are independent, and 103 whole runs lay inside
    (tests/truth/transformers.json, transformers_avx512.json). A line's own ends may be wider. On a
    device, where none of them was measured, a term stays as it was.
    """
    ends = []
    for far in (
        [counted.bytes - counted.low_bytes for counted in terms],
        [counted.high_bytes - counted.bytes for counted in terms],
    ):
        whole = sum(far)
        ends.append(
            [
                -(-distance * isqrt(sum(each * each for each in far)) // whole) if whole else 0
                for distance in far
            ]
        )
    return [
        counted.replace(low_bytes=counted.bytes - below, high_bytes=counted.bytes + above,
            on_device=counted.on_device or counted)
        if below or above else counted
        for counted, below, above in zip(terms, *ends, strict=True)
    ]  # fmt: skip


def _tokenizer(run: _Run, terms: list[Term]) -> list[Term]:
    """The tokenizer that comes with the model. Of a config.json alone it is at the high end only,
    for a program may pass token numbers.

    Where the peak may be a picture's, the high end counts on the text alone to reuse the memory in
    which the tokenizer was read.
    """
    architecture, row, subject = run.architecture, run.row, run.subject
    comes = subject.spec.tokenizer
    if comes is False or not architecture.vocabulary or architecture.audio is not None:
        return []
    (prompt,) = (counted for counted in terms if counted.name == "activations")
    span = tokenizers.by_transformers(
        architecture,
        row,
        prompt.low_bytes,
        min(prompt.low_bytes, prompt.high_bytes - run.picture_bytes),
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


# ------------------------------------------------------------------ cache and states


def _cache(run: _Run) -> list[Term]:
    """Keys and values; no term for a model that keeps none."""
    architecture, row, workload, widths = run.architecture, run.row, run.workload, run.widths
    if architecture.audio is not None:
        return [_speech_cache(architecture, widths, workload)]
    tokens, sequences = workload.context_tokens, workload.parallel
    groups = unpacked = cache_groups(architecture, torch_memory.with_cache(row))
    if not groups:
        return []
    if row.torch_latent:
        packed = tuple(group.replace(kind="latent") for group in architecture.attention)
        groups = cache_groups(architecture.replace(attention=packed), row)
    beams = (architecture.beams or 1) if row.rewrites else 1
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    ending += f" × {beams} beams" if beams > 1 else ""
    sequences *= beams
    lines = by_layers(
        (
            "",
            group.layers,
            f" × {cache_line(group)[1]} × {widths[0]} bytes × {tokens:,} tokens{ending}",
        )
        for group in groups
    )
    size = torch_memory.cache_bytes(groups, tokens, sequences, widths[0], prompt=True)
    high = torch_memory.cache_bytes(unpacked, tokens, sequences, widths[-1], prompt=True)
    if groups == unpacked:
        indexed = sum(group.layers * group.indexer_elements for group in groups)
        high += indexed * tokens * sequences * widths[0]
    kind = "EncoderDecoderCache" if row.rewrites else "DynamicCache"
    return [
        term(
            "kv_cache",
            size,
            How.EXACT if high == size else How.COMPUTED,
            f"{kind} in the type of the model; {_TORCH}",
            " + ".join(lines) + _note_on_cache(run, groups, unpacked, high),
            high=high,
        )
    ]


def _note_on_cache(
    run: _Run, groups: tuple[CacheGroup, ...], unpacked: tuple[CacheGroup, ...], high: int
) -> str:
    if run.row.rewrites:
        beams = "" if run.architecture.beams else ", in a search with one beam"
        return f"; of what is read and what is written together{beams}"
    if any(group.window_tokens is not None for group in groups):
        return "; layers with a window hold the whole prompt while it is read"
    if groups == unpacked:
        return ""
    return (
        "; the publisher's own code (trust_remote_code) keeps keys and values of every head,"
        f" {high:,} bytes"
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


def _state(run: _Run) -> list[Term]:
    """States of recurrent layers; no term for a model without them."""
    if not run.architecture.recurrent:
        return []
    from .recurrent import state_bytes

    size, line = state_bytes(run.architecture, run.workload.parallel, run.widths[0])
    high, _ = state_bytes(run.architecture, run.workload.parallel, run.widths[-1])
    source = (
        "LinearAttentionLayer: inputs of convolutions in the type of the model, states in float32;"
        f" {_TORCH}"
    )
    how = How.EXACT if high == size else How.COMPUTED
    return [term("recurrent_state", size, how, source, line, high=high)]


# ------------------------------------------------------------------ activations


def _activations(run: _Run) -> Term:
    """A prompt that fills the context, read in one pass. Several prompts differ in length at the
    high end, so that there is a mask.
    """
    if run.architecture.audio is not None:
        return _speech_activations(run.architecture, run.widths, run.workload)
    instruction_sets, computed_in = run.workload.instruction_sets, _computed_in(run)
    twice = holds_wide_results(instruction_sets, computed_in)
    # a processor that is not known may do so, at the high end
    perhaps = twice or (computed_in == "bfloat16" and instruction_sets is None)
    plain = _prompt(run, run.widths[0], encodes=False, fixed_threshold=True)
    span = _prompt(run, run.widths[0], encodes=run.encodes, wide_results=twice)
    sees = run.subject.spec.modality == "vision"
    # a picture among the text makes a mask too
    padded = run.workload.parallel > 1 or sees
    most = _prompt(run, run.widths[-1], encodes=run.encodes, padded=padded, wide_results=perhaps)
    more = "holes in the heap, and of results in 32 bits" if twice else "holes in the heap"
    line = (
        f"{plain.arithmetic} + {span.bytes - plain.bytes:,} bytes of {more}; the prompt fills the"
        " context"
    )
    low, high = span.low_bytes, max(span.high_bytes, most.high_bytes, run.picture_bytes)
    if sees:
        line += (
            f"; one picture of up to 1,024 × 1,024 pixels takes at most {run.picture_bytes:,}"
            " bytes, before the text"
        )
    wide = guessed_activations(run.architecture, run.row, run.runtime, run.workload)
    how, source = How.COMPUTED, _TORCH
    if not run.measured:
        how = How.ASSUMED
        source = "as measured for other architectures or types; not measured for this one"
        # of all that were measured none held a tenth less than the formulas say
        low = int(0.9 * low)
        high = max(high, wide.high_bytes, int(run.row.torch_prompt_share * high))
    # on a GPU no heap has holes, and kernels may hold less or more
    device = term(
        "activations",
        plain.bytes,
        How.ASSUMED,
        f"as counted on a CPU, where it was measured; a GPU was not: {_TORCH}",
        plain.arithmetic,
        low=min(low, wide.low_bytes),
        high=max(high, wide.high_bytes),
    )
    return term("activations", span.bytes, how, source, line, low=low, high=high).replace(
        on_device=device
    )


def _computed_in(run: _Run) -> str | None:
    """The type of products where numbers have 16 bits for certain; None for any other width."""
    if run.widths != (2,):
        return None
    quantization = run.workload.quantization
    return quantization if quantization in PLAIN_DTYPES else run.architecture.dtype


def _prompt(run: _Run, width: int, *, encodes: bool, **options: bool) -> Span:
    architecture, row, workload = run.architecture, run.row, run.workload
    if row.rewrites:
        cache_bytes = sum(term.bytes for term in _cache(run.replace(widths=(width,))))
        return torch_stacks.activations(
            architecture,
            row,
            workload.context_tokens,
            workload.parallel,
            width,
            cache_bytes,
            **options,
        )
    return torch_memory.prompt_bytes(
        architecture,
        row,
        workload.context_tokens,
        workload.parallel,
        width,
        encodes=encodes,
        **options,
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
