"""A GGUF file, and llama.cpp or Ollama that loaded it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ...catalogue.spec import SIZE_OF, Architecture, Attention, ModelSpec, RuntimeSpec
from ...core import units
from ...core.records import Unread
from ..cache import CacheGroup, cache_groups, compressors, states
from ..parts import (
    ENCODER_REMEDY,
    PLAIN_PICTURE_PIXELS,
    Asked,
    Encoder,
    Parts,
    Subject,
    by_layers,
    published,
    stated_size,
    term,
    times,
    unread_cache,
    unread_size,
    why_no_encoders,
)
from ..quantization import (
    BITS_PER_WEIGHT,
    BLOCKS,
    Stored,
    base_type,
    canonical_gguf,
    has_fused,
    row_bytes,
    stored,
    typed_earlier,
)
from ..records import How, Offload, SizedWeights, Term, summed, taken_off
from ..repack import LAYOUTS, layout_of
from ..tensors import ArchitectureRow
from . import buffers as llamacpp
from . import graphs

_RECIPE = "llama-quantize's rules, tensor by tensor (llama.cpp, 2026)"
# published files that follow the recipe differ by less: 23 of 24 files checked are equal but for
# the header, the others up to 0.15 %
_RECIPE_ERROR = 0.002
_OWN_MIX = 0.005
# what llama.cpp allocated was within 20 % of the closed form in every measured case with flash
# attention
_COMPUTE_ERROR = 0.2
_COMPUTE_ERROR_UNMEASURED = 0.4
# what CUDA took beside all buffers: RTX 3090, 4090 (twice) and PRO 6000 (twice), as llama.cpp
# printed it (`unaccounted`, or total - free)
_ON_A_DEVICE = (
    f"measured on CPUs, elsewhere by the same rules, ± {_COMPUTE_ERROR:.0%} assumed; CUDA's own"
    " context, 0.3 to 0.75 GiB more on each device (ggml-org/llama.cpp#15860, #24608, #27953), is"
    " not counted: it comes out of the 1 GiB that is left free"
)
# split by publishers: Hugging Face takes no file above 50 GB without more ado
_LARGEST_FILE_BYTES = 50_000_000_000
# bytes in memory per token of the vocabulary (SentencePiece; byte pairs with 1.0 to 2.25 merges per
# token; unigrams of XLM-R, in a trie): fitted on 8 tokenizers; the high end with what a server's
# samplers keep
_VOCABULARY = {
    "spm": (155, 200),
    "bpe": (307, 410),
    "wpm": (130, 230),
    "unigram": (480, 600),
    "": (155, 410),
}
_UNIGRAM_TOKENS = 100_000
# bytes in the file's header: of a token its text, a length of 8 bytes and a type of 4, a score of 4
# where the kind has one (byte pairs of 2023 and Gemma 4 have one as well); of a merge its text and
# a length of 8. From the 19 vocabularies in llama.cpp's models/ and from published files
# (tests/truth/gguf_headers.json)
_TOKEN_BYTES = {
    "spm": (20.9, 25.0),
    "bpe": (18.9, 27.8),
    "wpm": (11.0, 24.3),
    "unigram": (22.0, 26.7),
    "": (18.9, 27.8),
}
_MERGE_BYTES = (16.0, 20.8)
# merges of vocabularies of byte pairs, by how many tokens they have with those that pad them: that
# of llama.cpp's models/, and what its logs print of published files (ggml-org/llama.cpp#14939
# GLM-4, #22673 Qwen3.5; ikawrakow/ik_llama.cpp#262 DeepSeek V3)
_MERGES = (
    (range(32_256, 32_257), (31_757, 31_757)),
    (range(49_152, 49_217), (48_872, 48_903)),
    (range(50_257, 50_689), (50_000, 50_009)),
    (range(65_024, 65_025), (64_784, 64_784)),
    (range(100_256, 100_353), (99_990, 100_000)),
    (range(102_400, 102_401), (99_757, 101_782)),
    (range(128_256, 128_257), (280_147, 280_147)),
    (range(129_280, 129_281), (127_741, 127_741)),
    (range(151_552, 151_553), (318_088, 318_088)),
    (range(151_643, 152_065), (151_387, 151_387)),
    (range(201_088, 201_089), (446_189, 446_189)),
    (range(248_320, 248_321), (247_587, 247_587)),
    (range(256_000, 256_001), (253_333, 253_333)),
)
# of others a merge for each token but the 256 bytes and some hundreds that were added, or each pair
# that makes a token
_MERGES_OF_A_TOKEN = (0.97, 2.25)
# what maps a text to the letters of a unigram model (precompiled_charsmap)
_CHARSMAP_BYTES = (0, 240_000)
# keys and the chat template: 0.7 kB without one, Gemma 4 12 kB, gpt-oss 16 kB
_HEADER_KEYS_BYTES = (700, 25_000)
# of 19 kinds of encoders most reserve less; the largest picture of the largest takes that much
_PICTURE_BYTES, _PICTURE_HIGH_BYTES = 300_000_000, 2_400_000_000
# Gemma 3: where a spec does not state the vocabulary it may be that large
_LARGEST_VOCABULARY = 262_144

# tokens before the end of a prompt at which a server makes a copy: n_ubatch + 4 and 4
# (tools/server/server-context.cpp)
_BEFORE_THE_END = (llamacpp.MICRO_BATCH_TOKENS + 4, 4)
# whatever their type (ggml/src/ggml-cpu/repack.cpp)
_NEVER_REPACKED = ("token_embd", "per_layer_token_embd", "position_embd", "token_types")
# bits per weight against those of Llama 3.1 8B, over 88 models whose tensors are known: least, most
# from 3 billion parameters on, most below (the token table weighs more); apart for files below 4.3
# bits, where tables and odd rows weigh more still
_BITS_LOW, _SMALL, _FEW_BITS = 0.89, 3_000_000_000, 4.3
_BITS_HIGH, _BITS_HIGH_SMALL = (1.28, 1.65), (1.51, 2.1)


def parts(
    subject: Subject,
    runtime: RuntimeSpec,
    workload: Asked,
    instruction_sets: tuple[str, ...] | None,
) -> Parts:
    """Files and memory. Weights and cache are judged apart: one may be known without the other."""
    quantization = canonical_gguf(workload.quantization) or workload.quantization
    files = size_of(subject, quantization, own_block=workload.companions.own_block)
    growing, uses, unread = _growing(subject, runtime, workload)
    if isinstance(files, Unread):
        missing = (
            files,
            files.replace(fact="memory.weights"),
            *(() if unread is None else [unread]),
        )
        return Parts(files=files, terms=tuple(growing), unknown=missing)
    weights, evictable = _weights(subject, quantization, files, instruction_sets)
    projector, untold = (
        (None, None) if subject.text_alone else (_projector(subject), why_no_encoders(subject.spec))
    )
    terms, unknown = [*weights, *growing], [] if unread is None else [unread]
    if projector is not None:
        pictures, others = _reading_pictures(subject.encoder)
        terms += [projector, pictures]
        uses = others + uses
        files = SizedWeights(
            bytes=files.bytes + projector.bytes,
            low_bytes=files.low_bytes + projector.low_bytes,
            high_bytes=files.high_bytes + projector.high_bytes,
            how=files.how if files.how is How.ASSUMED else How.COMPUTED,
            source=f"{files.source}; projector: {projector.source}",
            arithmetic=(
                f"{summed(files.arithmetic, projector.arithmetic)}; the last of it is the projector"
            ),
        )
    largest = min(files.bytes, _LARGEST_FILE_BYTES)
    terms = _with_other_uses(terms, uses)
    if untold is not None:
        encoder = Unread(fact="memory.projector", reason=untold, remedy=ENCODER_REMEDY)
        beside = encoder.replace(
            fact="download_bytes",
            reason=f"{untold}; the file beside it has {units.decimal(files.bytes)}",
        )
        return Parts(
            files=beside,
            terms=tuple(terms),
            evictable_bytes=evictable,
            largest_file_bytes=largest,
            unknown=(*unknown, encoder, beside),
        )
    return Parts(
        files=files,
        terms=tuple(terms),
        evictable_bytes=evictable,
        largest_file_bytes=largest,
        unknown=tuple(unknown),
    )


# what a context of another length leaves as it is, before what grows
_BEFORE = ("weights", "repacked_weights")
# of what the files take: as much of another use than the one that is told is part of either end,
# which leaves some of ± 10 % for what the range has without; words tell of the rest
_OTHER_USES = 0.08

Use = tuple[str, int, int]
"""A term, and its ends under another use: of a short prompt, without a picture, with the largest."""  # noqa: E501


def _with_other_uses(terms: list[Term], uses: Iterable[Use]) -> list[Term]:
    """The ends take in other uses, the first ones first.

    As far as a bound that neither context, sequences nor the type of the cache move: with one that
    they move, more of those came to need less.
    """
    ends = {term.name: (term.low_bytes, term.high_bytes) for term in terms}
    below = above = int(
        _OTHER_USES * sum(term.bytes for term in terms if term.name in (*_BEFORE, "projector"))
    )
    for name, least, most in uses:
        low, high = ends[name]
        less, more = min(below, max(0, low - least)), min(above, max(0, most - high))
        ends[name] = low - less, high + more
        below, above = below - less, above - more
    return [
        (
            term
            if ends[term.name] == (term.low_bytes, term.high_bytes)
            else term.replace(low_bytes=lowest, high_bytes=highest)
        )
        for term in terms
        for lowest, highest in [ends[term.name]]
    ]


def at_context(
    earlier_terms: Sequence[Term], subject: Subject, runtime: RuntimeSpec, workload: Asked
) -> tuple[Term, ...] | None:
    """The terms of `parts` where those under another context are `earlier_terms`; None where not
    all are known under this one.
    """
    growing, uses, unread = _growing(subject, runtime, workload)
    if unread is not None:
        return None
    terms = [
        *(term for term in earlier_terms if term.name in _BEFORE),
        *growing,
        *(term for term in earlier_terms if term.name == "projector"),
    ]
    if terms[-1].name == "projector":
        pictures, others = _reading_pictures(subject.encoder)
        terms.append(pictures)
        uses = others + uses
    return tuple(_with_other_uses(terms, uses))


def _growing(
    subject: Subject, runtime: RuntimeSpec, workload: Asked
) -> tuple[list[Term], list[Use], Unread | None]:
    """What loading takes beside the files: the cache, the states, buffers and the program
    itself; and why the cache is not known.
    """
    architecture = subject.architecture
    if architecture is None or not (architecture.attention or architecture.recurrent):
        return [], [], unread_cache(subject.spec)
    quantization = canonical_gguf(workload.quantization) or workload.quantization
    row = subject.row or ArchitectureRow(name=architecture.row)
    batch = llamacpp.batch_of(row, workload.context_tokens)
    room = llamacpp.cells(
        workload.context_tokens * workload.parallel,
        sequences=workload.parallel,
        micro_batch=batch,
        whole_windows=runtime.whole_windows,
    )
    cache = _cache(architecture, row, room, workload, runtime)
    terms = [] if isinstance(cache, Unread) else [*cache]
    terms += _state(architecture, workload.parallel, workload.companions.kept_states(row))
    terms = [_with_slots(item, architecture, row, runtime, workload) for item in terms]
    scratch = _scratch(architecture, room, quantization)
    compute, touched = _compute(subject, architecture, row, room, runtime, workload, scratch[0])
    program, kept = _runtime(subject, architecture, row, room, runtime, workload, scratch)
    terms += [compute, program]
    if workload.companions.own_block:
        terms += _own_block(subject, architecture, row, room, quantization, compute)
    uses = [("runtime", kept, program.high_bytes), ("compute", touched, compute.high_bytes)]
    return terms, uses, cache if isinstance(cache, Unread) else None


# ------------------------------------------------------------------ files


def size_of(
    subject: Subject, quantization: str, *, own_block: bool = False
) -> SizedWeights | Unread:
    """The GGUF file, without the projector of a vision model: as published, else by the recipe,
    else by bits per weight.

    `own_block`: of a model that is to draft with its own block, which the file has to bring.
    """
    size_and_files = published(subject.spec, "gguf", quantization)
    if size_and_files is not None:
        return stated_size(size_and_files)
    if quantization not in BITS_PER_WEIGHT:
        return Unread(
            fact="download_bytes",
            reason=(
                f"nobody states the size of {quantization}, and it is no quantization of"
                " llama-quantize"
            ),
            remedy="take a quantization with a known recipe, for example Q4_K_M",
        )
    if subject.whole and subject.architecture is not None and subject.row is not None:
        row = _as_published(subject.row, subject.spec.released)
        return _computed_file(
            subject.architecture, row, quantization, typed_earlier(subject.spec.released), own_block
        )
    total = subject.spec.parameters.total
    if total is None:
        return unread_size(subject.spec)
    total -= subject.spec.parameters.encoders or 0
    bits = BITS_PER_WEIGHT[quantization]
    size = int(total * bits / 8)
    highest = (_BITS_HIGH if total >= _SMALL else _BITS_HIGH_SMALL)[bits < _FEW_BITS]
    return SizedWeights(
        bytes=size,
        low_bytes=int(size * _BITS_LOW),
        high_bytes=int(size * (highest if bits < 8 else 1.04)),
        how=How.ASSUMED,
        source=(
            "bits per weight of Llama 3.1 8B (llama.cpp tools/quantize/README.md); the architecture"
            " is not known"
        ),
        arithmetic=f"{total:,} parameters × {bits:g} bits / 8",
    )


@lru_cache(maxsize=512)
def _as_published(row: ArchitectureRow, released: str | None) -> ArchitectureRow:
    """The row with what files of that time bring of multi-token-prediction blocks."""
    before = released is not None and released < row.mtp_in_gguf_since
    return row.replace(mtp_in_gguf=False) if before else row


@lru_cache(maxsize=1024)
def _computed_file(
    architecture: Architecture,
    row: ArchitectureRow,
    quantization: str,
    earlier: bool,
    own_block: bool = False,
) -> SizedWeights:
    tensors = usual(architecture, row, quantization, earlier)
    less, more = _spread(architecture, row, quantization)
    low, high = header_bytes(architecture, row, tensors)
    header = (low + high) // 2
    counted = tuple(
        tensor
        for tensor in tensors
        if not tensor.extra or own_block or row.mtp_in_gguf is not False
    )
    block = sum(tensor.bytes for tensor in tensors if tensor.extra)
    line = f"{by_type(counted)} + {header:,} bytes of header"
    if len(counted) < len(tensors):
        line += f"; a file that brings the multi-token-prediction block has {block:,} more"
    elif block and row.mtp_in_gguf is None:
        line += f"; a file without the multi-token-prediction block has {block:,} less"
    if other := _otherwise_fused(architecture, row, quantization, earlier):
        line += (
            f"; one made {'since' if earlier else 'before'} March 2026 has {abs(other):,}"
            f" {'more' if other > 0 else 'less'}"
        )
    return SizedWeights(
        bytes=sum(tensor.bytes for tensor in counted) + header,
        low_bytes=less - (0 if own_block or row.mtp_in_gguf else block) + low,
        high_bytes=more + high,
        how=How.COMPUTED,
        source=_RECIPE,
        arithmetic=line,
    )


def usual(
    architecture: Architecture, row: ArchitectureRow, quantization: str, earlier: bool
) -> tuple[Stored, ...]:
    """The tensors as published: with an importance matrix for the IQ types, which need one;
    `earlier` by the rules before March 2026.
    """
    return stored(
        architecture,
        row,
        quantization,
        quantization.startswith("IQ"),
        earlier and has_fused(architecture, row),
    )


def _otherwise_fused(
    architecture: Architecture, row: ArchitectureRow, quantization: str, earlier: bool
) -> int:
    """Bytes that a file by the other of llama-quantize's two rules for fused matrices has more."""
    if not has_fused(architecture, row):
        return 0
    own, other = (
        sum(tensor.bytes for tensor in usual(architecture, row, quantization, way))
        for way in (earlier, not earlier)
    )
    return other - own


@lru_cache(maxsize=1024)
def _spread(architecture: Architecture, row: ArchitectureRow, quantization: str) -> tuple[int, int]:
    """Tensor bytes with and without an importance matrix, less and more the error of the recipe;
    multi-token prediction included.

    Of models with fused matrices, files are made by two versions of llama-quantize: 14.7 and 15.1
    GB are IQ4_XS files of the same shapes (model card of cHunter789/Qwen3.6-27B-i1-IQ4_XS-GGUF).
    """
    imatrix = quantization.startswith("IQ")
    ways = (imatrix, not imatrix) if imatrix or quantization in ("Q4_0", "Q5_0") else (imatrix,)
    versions = (False, True) if has_fused(architecture, row) else (False,)
    sizes = [
        sum(tensor.bytes for tensor in stored(architecture, row, quantization, way, version))
        for way in ways
        for version in versions
    ]
    return int(min(sizes) * (1 - _RECIPE_ERROR)), int(max(sizes) * (1 + _RECIPE_ERROR))


def header_bytes(
    architecture: Architecture, row: ArchitectureRow, tensors: Iterable[Stored]
) -> tuple[int, int]:
    """Least and most bytes of a file in front of its tensors: their table, the keys and the
    vocabulary.
    """
    vocabulary = architecture.vocabulary_gguf or architecture.vocabulary or 0
    kind = _tokenizer(row, vocabulary)
    table = sum(
        (24 + len(tensor.name) + 2 + 8 * len(tensor.shape)) * tensor.count for tensor in tensors
    )
    least, most = (
        table + keys + int(vocabulary * each)
        for keys, each in zip(_HEADER_KEYS_BYTES, _TOKEN_BYTES[kind], strict=True)
    )
    if kind in ("bpe", ""):
        fewest, highest = _merges(row, vocabulary)
        least += int(fewest * _MERGE_BYTES[0]) if kind else 0
        most += int(highest * _MERGE_BYTES[1])
    elif kind == "unigram":
        least, most = least + _CHARSMAP_BYTES[0], most + _CHARSMAP_BYTES[1]
    return least, most


def _merges(row: ArchitectureRow, vocabulary: int) -> tuple[int, int]:
    """Fewest and most pairs that a vocabulary of byte pairs lists."""
    if row.merges is not None:
        return row.merges, row.merges
    listed = next((merges for tokens, merges in _MERGES if vocabulary in tokens), None)
    if listed is not None:
        return listed
    fewest, most = _MERGES_OF_A_TOKEN
    return int(fewest * max(0, vocabulary - 1_000)), int(most * vocabulary)


def _tokenizer(row: ArchitectureRow, vocabulary: int) -> str:
    """The kind of the vocabulary, "" where it may be of several.

    Where models of one architecture differ SentencePiece tables are small, and those of 100
    thousand and more are byte pairs.
    """
    if row.tokenizer == "wpm" and vocabulary > _UNIGRAM_TOKENS:
        return "unigram"
    if row.tokenizer == "varies":
        return ""
    if row.tokenizer or not vocabulary:
        return row.tokenizer
    if any(vocabulary in tokens for tokens, _ in _MERGES) or vocabulary >= 100_000:
        return "bpe"
    return "spm" if vocabulary <= 33_000 else ""


def by_type(tensors: Iterable[Stored]) -> str:
    """`3,413,114,880 bytes of Q4_K + …`, the most first."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.bytes
    return " + ".join(
        f"{size:,} bytes of {type}"
        for type, size in sorted(sizes.items(), key=lambda item: -item[1])
    )


# ------------------------------------------------------------------ memory


def _weights(
    subject: Subject,
    quantization: str,
    files: SizedWeights,
    instruction_sets: tuple[str, ...] | None,
) -> tuple[list[Term], int]:
    """Mapped weights, the second layout that the CPU wants, and the bytes of originals it
    replaced.
    """
    if (
        not subject.whole
        or subject.architecture is None
        or subject.row is None
        or quantization not in BITS_PER_WEIGHT
    ):
        line = f"{files.arithmetic}; the whole file"
        return [
            term(
                "weights",
                files.bytes,
                files.how,
                files.source,
                line,
                low=files.low_bytes,
                high=files.high_bytes,
            )
        ], 0
    architecture, row = subject.architecture, subject.row
    earlier = typed_earlier(subject.spec.released)
    computed = _computed_file(
        architecture, _as_published(row, subject.spec.released), quantization, earlier
    )
    real = of_file(subject.spec, quantization)
    whole = real or usual(architecture, row, quantization, earlier)
    source, how = _RECIPE, How.COMPUTED
    if real:
        source, how = f"tensor table in the header of {subject.spec.origin}", How.EXACT
    elif files.how is How.STATED:
        if (
            not computed.low_bytes - files.bytes * _OWN_MIX
            <= files.bytes
            <= computed.high_bytes + files.bytes * _OWN_MIX
        ):
            line = f"{files.arithmetic}; the whole file, a mix of its publisher's own"
            low = files.bytes - int(files.bytes * _OWN_MIX)
            source = f"{files.source}; its tables and output matrix in proportion to {_RECIPE}"
            weights = term("weights", files.bytes, How.STATED, source, line, low=low)
            return [
                weights.replace(
                    offload=_in_proportion(_offload(whole, _tied(whole, row)), whole, files.bytes)
                )
            ], 0
        source = f"{_RECIPE}; agrees with the size of {files.source.removeprefix(SIZE_OF)}"
    loaded = sum(tensor.bytes for tensor in whole)
    least, most = (loaded, loaded) if real else _spread(architecture, row, quantization)
    less, more = loaded - least, most - loaded
    tensors = tuple(tensor for tensor in whole if not _passed_over(tensor, row))
    if not real and not row.mtp_in_gguf:
        # the file may lack them
        less += sum(tensor.bytes for tensor in tensors if tensor.extra)
    size = sum(tensor.bytes for tensor in tensors)
    tied = _tied(tensors, row)
    layout = LAYOUTS[layout_of(instruction_sets)]
    moved = tuple(tensor for tensor in tensors if _repacked(tensor, layout))
    copied = sum(tensor.bytes for tensor in moved)
    if not copied:
        weights = term(
            "weights", size, how, source, by_type(tensors), low=size - less, high=size + more
        )
        return [weights.replace(offload=_offload(tensors, tied))], 0
    rest = tuple(tensor for tensor in tensors if not _repacked(tensor, layout))
    kept = size - copied
    share = kept / size
    own = term(
        "weights",
        kept,
        how,
        source,
        by_type(rest),
        low=kept - int(less * share),
        high=kept + int(more * share),
    )
    return [
        own.replace(offload=_offload(rest, tied)),
        term(
            "repacked_weights",
            copied,
            how,
            f"{llamacpp.SOURCE}: ggml-cpu/repack.cpp; interleaved for this processor, the originals"
            " in the page cache may be dropped",
            by_type(moved),
            low=copied - (less - int(less * share)),
            high=copied + (more - int(more * share)),
        ).replace(offload=_offload(moved, tied)),
    ], copied


def _tied(tensors: Iterable[Stored], row: ArchitectureRow) -> bool:
    """True for a decoder without an output matrix of its own, whatever its checkpoint has."""
    return not row.embeds and all(tensor.name != "output.weight" for tensor in tensors)


def _passed_over(tensor: Stored, row: ArchitectureRow) -> bool:
    """Of a multi-token-prediction block, and left in the file unless it is to draft."""
    return tensor.extra and not tensor.name.startswith(
        tuple(f"blk.*.{part}" for part in row.mtp_loaded)
    )


def of_file(spec: ModelSpec, quantization: str) -> tuple[Stored, ...]:
    """The tensors of the very file that was read, where its quantization is judged; () for any
    other.
    """
    if not any(quantization in files.bytes for files in spec.files):
        return ()
    return tuple(
        Stored(**{name: getattr(tensor, name) for name in Stored._fields})
        for tensor in spec.tensors
    )


def _offload(tensors: tuple[Stored, ...], tied: bool) -> Offload:
    """The input layer is never given to a device, and the output matrix goes with the last layer
    (src/llama-model.cpp, load_tensors).

    `tied`: the token table is the output matrix too, and a device has a copy of it
    (TENSOR_DUPLICATED).
    """
    output = sum(tensor.bytes for tensor in tensors if tensor.name.startswith("output."))
    tables = sum(tensor.bytes for tensor in tensors if tensor.is_table)
    again = sum(tensor.bytes for tensor in tensors if tied and tensor.name == "token_embd.weight")
    layers = sum(tensor.bytes for tensor in tensors) - output - tables
    return Offload(layer_bytes=layers, output_bytes=output + again, table_bytes=tables)


def _in_proportion(parts: Offload, tensors: tuple[Stored, ...], size: int) -> Offload:
    """The parts of a file of that size whose tensors have other types than these."""
    loaded = sum(tensor.bytes for tensor in tensors)
    again = parts.layer_bytes + parts.output_bytes + parts.table_bytes - loaded
    output, tables, twice = (
        size * part // loaded for part in (parts.output_bytes, parts.table_bytes, again)
    )
    return Offload(
        layer_bytes=size - output - tables + twice, output_bytes=output, table_bytes=tables
    )


def _repacked(tensor: Stored, layout: Mapping[str, int]) -> bool:
    multiple = layout.get(tensor.type)
    if (
        multiple is None
        or not tensor.name.endswith(".weight")
        or len(tensor.shape) < 2
        or tensor.shape[1] % multiple
    ):
        return False
    return not tensor.name.startswith(_NEVER_REPACKED) and not tensor.name.endswith(
        ("attn_k_b.weight", "attn_v_b.weight")
    )


def _cache(
    architecture: Architecture,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    workload: Asked,
    runtime: RuntimeSpec,
) -> list[Term] | Unread:
    groups = llamacpp.cached_groups(architecture, row)
    if not groups:
        return []
    refused = _why_no_cache(groups, row, workload, runtime)
    if refused is not None:
        return refused
    room = llamacpp.room_of(architecture, room)
    lines: list[tuple[str, int, str]] = []
    size = unsure = 0
    widest = 0 if runtime.flash_attention else max(group.value_elements for group in groups)
    notes: list[str] = []
    kept: list[tuple[str, int, str]] = []
    for group in groups:
        window = llamacpp.window_of(architecture, row, group)
        cells = room.of(window, group.tokens_per_row)
        group_bytes, group_lines = _cache_of_group(group, row, room, cells, widest, workload)
        size += group_bytes
        lines += group_lines
        if not llamacpp.window_known(row, group):
            left_out = (room.full - cells) * room.streams * group.layers
            unsure += left_out * _cached_per_token(group, workload)
        if window is not None and cells != room.full:
            line = f" keep {window:,} tokens and a batch of {room.micro_batch:,}, padded to 256"
            kept.append(("", group.layers, line))
        elif group.tokens_per_row > 1:
            line = f" keep a row for {group.tokens_per_row} tokens, padded to 256"
            kept.append(("", group.layers, line))
        elif cells != workload.context_tokens:
            notes = [f"{workload.context_tokens:,} tokens padded to a multiple of 256"]
    idle = llamacpp.idle_layers(architecture)
    if widest and idle:
        size += room.full * room.streams * idle * row_bytes(workload.value_type, widest)
        shape = f"{widest:,} × {_TYPE_BYTES[workload.value_type]} × {room.full:,} tokens"
        lines.append(("", idle, f" without attention × {shape}{_of_sequences(room.streams)}"))
    line = " + ".join(by_layers(lines))
    notes = [*by_layers(kept), *notes]
    if unsure:
        notes.append("up to all tokens if llama.cpp ignores the window, which nobody checked")
        line = "; ".join([line, *notes])
        source = f"{llamacpp.SOURCE}; this architecture was not measured"
        return [term("kv_cache", size, How.COMPUTED, source, line, high=size + unsure)]
    return [term("kv_cache", size, How.EXACT, llamacpp.SOURCE, "; ".join([line, *notes]))]


def _why_no_cache(
    groups: Sequence[CacheGroup], row: ArchitectureRow, workload: Asked, runtime: RuntimeSpec
) -> Unread | None:
    """Why the program makes no cache of what was asked for; None where it does."""
    if runtime.flash_attention and row.stops_with_flash:
        return Unread(
            fact="memory.kv_cache",
            reason=(
                f"llama.cpp stops at {row.name} while flash attention is on, as it is unless told"
            ),
            remedy="start it with --flash-attn off, or judge llama-cpp-python, which leaves it off",
        )
    if not runtime.flash_attention and workload.value_type not in PLAIN_CACHE_TYPES:
        return Unread(
            fact="memory.kv_cache",
            reason=(
                f"a {workload.value_type} cache needs flash attention, which {runtime.name} leaves"
                " off unless told"
            ),
            remedy="take the cache type f16, or switch flash attention on and judge llama.cpp",
        )
    refused = why_cache_refused(groups, workload.key_type, workload.value_type)
    if refused is None:
        return None
    return Unread(fact="memory.kv_cache", reason=refused, remedy="take the cache type f16")


def _cached_per_token(group: CacheGroup, workload: Asked) -> int:
    """Bytes of one cell of one layer."""
    keys = row_bytes(workload.key_type, group.key_elements)
    return keys + row_bytes(workload.value_type, group.value_elements)


def _cache_of_group(
    group: CacheGroup,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    cells: int,
    widest: int,
    workload: Asked,
) -> tuple[int, list[tuple[str, int, str]]]:
    """Bytes of these layers' cache, and its parts as `by_layers` takes them.

    `widest`: elements of the widest layer's values where those of all layers are as wide, else 0.
    """
    size = cells * room.streams * group.layers * _cached_per_token(group, workload)
    lines = [_cache_line(group, workload, cells, room.streams)]
    ending = _of_sequences(room.streams)
    if group.value_elements < widest:
        # without flash attention V is stored turned, as wide as that of the widest layer
        wider = widest - group.value_elements
        size += cells * room.streams * group.layers * row_bytes(workload.value_type, wider)
        shape = f"{wider:,} × {_TYPE_BYTES[workload.value_type]} × {cells:,} tokens"
        lines.append(("", group.layers, f" × {shape}{ending}"))
    if group.indexer_elements:
        size += llamacpp.indexer_bytes(row, group, room, workload.key_type, workload.value_type)
        both = "2 × " if row.indexer_values else ""
        shape = f"{both}{group.indexer_elements:,} × {_TYPE_BYTES[workload.key_type]}"
        line = f" × {shape} of the indexer × {room.full:,} tokens{ending}"
        lines.append(("", group.layers, line))
    return size, lines


def _of_sequences(streams: int) -> str:
    """The end of a line of arithmetic: caches apart for each sequence."""
    return f" × {streams:,} sequences" if streams > 1 else ""


def _with_slots(
    item: Term,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> Term:
    """With what it takes of a server that is not told how many sequences to make room for."""
    if runtime.slots <= workload.parallel:
        return item
    size = _of_slots(item.name, architecture, row, runtime, workload)
    if size == item.bytes:
        return item
    return item.replace(
        arithmetic=f"{item.arithmetic}; {size:,} bytes without -np, for {runtime.slots} sequences"
    )


def _of_slots(
    name: str,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> int:
    """Bytes of the term of that name, "kv_cache" or "recurrent_state", where all sequences that a
    server starts with share one cache.

    Layers with a window have room for that of each sequence, and each has a state of its own.
    """
    if name == "recurrent_state":
        return llamacpp.state_bytes(
            architecture, runtime.slots * workload.companions.kept_states(row)
        )
    total = workload.context_tokens * workload.parallel
    room = llamacpp.cells(
        total, sequences=runtime.slots, unified=True, whole_windows=runtime.whole_windows
    )
    keys, values = workload.key_type, workload.value_type
    flash = runtime.flash_attention
    size = llamacpp.cache_bytes(
        architecture, row, room, key_type=keys, value_type=values, flash_attention=flash
    )
    room = llamacpp.room_of(architecture, room)
    indexed = (
        group for group in llamacpp.cached_groups(architecture, row) if group.indexer_elements
    )
    return size + sum(llamacpp.indexer_bytes(row, group, room, keys, values) for group in indexed)


def more_in_slots(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> int:
    """Bytes of cache and states that a server takes more where it is not told how many
    sequences to make room for.
    """
    architecture, row = subject.architecture, subject.row
    if architecture is None or row is None or runtime.slots <= workload.parallel:
        return 0
    growing = _growing(subject, runtime, workload)[0]
    kept = [item for item in growing if item.name in ("kv_cache", "recurrent_state")]
    return sum(
        _of_slots(item.name, architecture, row, runtime, workload) - item.bytes for item in kept
    )


def why_cache_refused(
    groups: Sequence[CacheGroup | Attention], key_type: str, value_type: str
) -> str | None:
    """Why llama.cpp makes no cache of these types, None where it does: blocks of a type have to
    fill each head (llama_init_from_model).
    """
    for type, lengths in (
        (key_type, [group.key_length for group in groups]),
        (value_type, [group.value_length for group in groups]),
    ):
        block = BLOCKS[type.upper()][0]
        odd = next((length for length in lengths if length % block), None)
        if odd is not None:
            return (
                f"llama.cpp refuses a {type} cache here: the head size {odd} is not a multiple of"
                f" {block}"
            )
    return None


PLAIN_CACHE_TYPES = ("f16", "f32", "bf16")
"""Those that need no flash attention for the values."""
_TYPE_BYTES = {
    "f16": "2 bytes",
    "bf16": "2 bytes",
    "f32": "4 bytes",
    "q8_0": "34/32 bytes",
    "q4_0": "18/32 bytes",
}


def _cache_line(
    group: CacheGroup, workload: Asked, cells: int, streams: int
) -> tuple[str, int, str]:
    """As `by_layers` takes it."""
    layers = group.layers
    unit = "rows" if group.tokens_per_row > 1 else "tokens"
    ending = f" × {cells:,} {unit}{_of_sequences(streams)}"
    keys, values = _TYPE_BYTES[workload.key_type], _TYPE_BYTES[workload.value_type]
    if group.latent:
        return "", layers, f" × {group.key_length:,} × {keys}{ending}"
    heads = times(group.kv_heads, "KV head")
    if group.key_length == group.value_length and keys == values:
        return "2 × ", layers, f" × {heads} × {group.key_length:,} × {keys}{ending}"
    return (
        "",
        layers,
        f" × {heads} × ({group.key_length:,} × {keys} + {group.value_length:,} × {values}){ending}",
    )


def _state(architecture: Architecture, sequences: int, kept: int) -> list[Term]:
    state_groups = (*states(architecture), *compressors(architecture))
    size = llamacpp.state_bytes(architecture, sequences * kept)
    if not size:
        return []
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    if kept > 1:
        ending += f" × {kept} states to roll drafted tokens back to"
    line = " + ".join(
        by_layers(
            ("", state.layers, f" × {state.arithmetic} × 4 bytes{ending}") for state in state_groups
        )
    )
    return [term("recurrent_state", size, How.EXACT, llamacpp.SOURCE, line)]


def _compute(
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
                "low_bytes": int(reserved.bytes * (1 - _COMPUTE_ERROR)),
                "high_bytes": int((reserved.bytes + high - size) * (1 + _COMPUTE_ERROR)),
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
    error = _COMPUTE_ERROR if measured else _COMPUTE_ERROR_UNMEASURED
    line = summed(reserved.arithmetic, *score_lines)
    source = f"{llamacpp.SOURCE}; closed form, error at most {error:.0%}"
    if error != _COMPUTE_ERROR:
        source += ", architecture not measured"
    if whole:
        line += "; rows of logits never asked for are not touched"
    size = most = reserved.bytes + scores
    if architecture.vocabulary is None and not row.encoder:
        line += f"; the vocabulary is not stated: logits of up to {_LARGEST_VOCABULARY:,} tokens"
        most += 4 * rows * _LARGEST_VOCABULARY
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


def _own_block(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    quantization: str,
    compute: Term,
) -> list[Term]:
    has_recipe = quantization in BITS_PER_WEIGHT
    whole = (
        usual(architecture, row, quantization, typed_earlier(subject.spec.released))
        if has_recipe
        else ()
    )
    tensors = tuple(tensor for tensor in whole if _passed_over(tensor, row))
    size, line = sum(tensor.bytes for tensor in tensors), by_type(tensors)
    if not row.mtp_in_gguf:
        line += "; published files may lack the block: take one that was converted with it"
    from .companions import block_terms

    return block_terms(architecture, row, room, (size, int(size * _RECIPE_ERROR), line), compute)


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


def _runtime(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    runtime: RuntimeSpec,
    workload: Asked,
    scratch: tuple[int, str],
) -> tuple[Term, int]:
    """The program, and what it keeps once each sequence in use had a prompt as told; and the
    least after one short prompt of one.
    """
    vocabulary = architecture.vocabulary_gguf or architecture.vocabulary or 0
    low_bytes, high_bytes = _VOCABULARY[_tokenizer(row, vocabulary)]
    outputs, output_line = _outputs(subject, architecture, row, room, vocabulary)
    # each sequence has a list of its own (slot.prompt.checkpoints)
    copied = _copies(subject, architecture, row, runtime, workload)
    copies, busy = _total(copied), sum(copied.values())
    most = (
        busy
        * runtime.context_checkpoints
        * _checkpoint(subject, architecture, row, workload, room.full)
    )
    low = runtime.overhead_low_bytes + vocabulary * low_bytes + scratch[0] + outputs + copies
    high = (
        runtime.overhead_high_bytes
        + (vocabulary or _LARGEST_VOCABULARY) * high_bytes
        + scratch[0]
        + outputs
        + most
    )
    middle = (low_bytes + high_bytes) // 2
    short = min(
        llamacpp.MICRO_BATCH_TOKENS, max(workload.used_tokens, default=workload.context_tokens)
    )
    one_short = _total(
        _copies(subject, architecture, row, runtime, workload.replace(used_tokens=(short,)))
    )
    program = (runtime.overhead_low_bytes + runtime.overhead_high_bytes) // 2
    measured, counted = program + vocabulary * middle, scratch[0] + outputs + copies
    size = measured + counted
    line = (
        f"{program:,} bytes of program + {vocabulary:,} tokens of vocabulary × {middle}"
        f" bytes{scratch[1]}{output_line}"
    )
    if most:
        line += "".join(
            f" + {times} × ({' + '.join(f'{size:,}' for size in sizes)})"
            for sizes, times in copied.items()
            if sizes
        )
        fewer = copies - busy * one_short
        line += (
            f" bytes copied to go back to of one prompt that fills a context; {fewer:,} less of one"
            f" of {short:,} tokens, "
        )
        line += (
            f"up to {most // runtime.context_checkpoints * runtime.kept_checkpoints - copies:,}"
            " more as conversations go on"
        )
    how = How.MEASURED if counted <= measured else How.COMPUTED
    if runtime.overhead_how != "measured":
        how = How.ASSUMED
    source = runtime.overhead_source or runtime.name
    if most:
        source += (
            f"; copies of the context: {runtime.sources.get('context_checkpoints', runtime.name)}"
        )
    return term("runtime", size, how, source, line, low=low, high=high), low - copies + min(
        copies, one_short
    )


def _outputs(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    vocabulary: int,
) -> tuple[int, str]:
    """Where an embedding model puts what it made of each token of a batch: a row of logits, used or
    not, and a vector.

    Cleared when it is made, so all of it is resident (src/llama-context.cpp, output_reserve). A
    model that writes has a row a sequence, one that writes by diffusion a row a token, and no
    vectors.
    """
    if subject.spec.modality != "embedding" and not row.diffusion:
        return 0, ""
    tokens = room.encoded if row.encoder else room.micro_batch
    width = 0 if row.diffusion else architecture.embedding_length
    line = f" + {tokens:,} tokens × ({vocabulary:,} + {width:,}) × 4 bytes of outputs"
    return 4 * tokens * (vocabulary + width), line


def more_in_conversation(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> int:
    """Bytes that a server comes to hold above the high end of `runtime` where every sequence is a
    conversation of many prompts.

    It drops a copy only when its list is full (tools/server/server-context.cpp, create_checkpoint).
    0 where it makes none.
    """
    architecture, row = subject.architecture, subject.row
    if architecture is None or row is None:
        return 0
    room = llamacpp.cells(workload.context_tokens * workload.parallel, sequences=workload.parallel)
    more = max(0, runtime.kept_checkpoints - runtime.context_checkpoints) * workload.parallel
    return more * _checkpoint(subject, architecture, row, workload, room.full)


def _copies(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> dict[tuple[int, ...], int]:
    """Bytes of each copy that a server keeps of one prompt, to go back to, and of how many of the
    sequences in use.

    Made where the last message of the user starts, a few tokens in, and `_BEFORE_THE_END`
    (tools/server/server-context.cpp).
    """

    def left(tokens: int) -> tuple[int, ...]:
        ends = [tokens - offset for offset in _BEFORE_THE_END if offset < tokens]
        # a program that renders the prompt itself does not tell the server where messages start
        places = [0, *ends] if runtime.context_checkpoints > len(_BEFORE_THE_END) else ends
        return tuple(
            size
            for place in places
            if (size := _checkpoint(subject, architecture, row, workload, place))
        )

    if not runtime.context_checkpoints:
        return {}
    used = (
        Counter(workload.used_tokens)
        if workload.used_tokens
        else {workload.context_tokens: workload.parallel}
    )
    sequences_by_copies: Counter[tuple[int, ...]] = Counter()
    for tokens, sequences in used.items():
        sequences_by_copies[left(tokens)] += sequences
    return sequences_by_copies


def _total(copied: dict[tuple[int, ...], int]) -> int:
    return sum(sum(sizes) * sequences for sizes, sequences in copied.items())


def _checkpoint(
    subject: Subject, architecture: Architecture, row: ArchitectureRow, workload: Asked, tokens: int
) -> int:
    """What a server copies of a sequence of so many tokens to go back to: its states, and the cells
    of the layers with a window.

    Of what it completes alone: a text to embed leaves none (SERVER_TASK_TYPE_COMPLETION).
    """
    if row.encoder or subject.spec.modality == "embedding":
        return 0
    size = llamacpp.state_bytes(architecture, 1)
    for group in cache_groups(architecture, row):
        window = llamacpp.window_of(architecture, row, group)
        if window is not None:
            per_token = row_bytes(workload.key_type, group.key_elements) + row_bytes(
                workload.value_type, group.value_elements
            )
            size += min(window, tokens) * group.layers * per_token
    return size


def _scratch(
    architecture: Architecture, room: llamacpp.Cells, quantization: str
) -> tuple[int, str]:
    """The backend's work buffer, in which the activations of a batch meet the weights; and its
    part of the line.
    """
    widest = max(
        [architecture.embedding_length]
        + [
            group.heads * max(group.key_length, group.value_length)
            for group in architecture.attention
        ]
        + [group.length * (group.used or 1) for group in architecture.feed_forward]
    )
    numerator, denominator = _turned(quantization)
    size = room.micro_batch * widest * numerator // denominator
    return (
        size,
        (
            f" + {room.micro_batch:,} tokens × {widest:,} × {numerator}/{denominator} bytes of"
            " scratch"
            if size
            else ""
        ),
    )


def _turned(quantization: str) -> tuple[int, int]:
    """Bytes per element of the type that activations are turned into to meet weights of that
    one (`vec_dot_type` in ggml-cpu.c).
    """
    base = base_type(quantization)
    if base in ("F32", "F16", "BF16"):
        # activations are 32-bit floats and meet such weights as they are
        return 0 if base == "F32" else 2, 1
    if base is None or BLOCKS[base][0] == 256:
        return 292, 256
    return (36 if base in ("Q4_1", "Q5_1") else 34), 32


def _projector(subject: Subject) -> Term | None:
    """The vision or audio encoder: a file of its own, 16-bit with some 32-bit vectors."""
    encoders = subject.spec.parameters.encoders
    if not encoders or subject.architecture is None or subject.spec.modality == "speech":
        return None
    stated = subject.spec.parameters.projector_bytes
    if stated is not None:
        # names of tensors and keys come on top
        line = (
            f"{stated:,} bytes; {encoders:,} parameters, matrices in 16 bits, vectors and positions"
            " in 32"
        )
        source = "F16 projector file as llama.cpp's converter writes it (0c1e570, conversion/*.py)"
        return term("projector", stated, How.COMPUTED, source, line, high=stated + stated // 200)
    size = int(encoders * 2.02)
    return term(
        "projector", size, How.COMPUTED,
        "F16 projector file; parameters of the encoders as in the spec",
        f"{encoders:,} parameters × 2.02 bytes", low=encoders * 2, high=int(encoders * 2.12),
    )  # fmt: skip


def _with_work(size: int) -> int:
    """A buffer of an encoder with what activations take in 16 bits to meet its weights, and the
    picture itself.

    Measured of a Pixtral's: 1.19 times as much as the buffer grows with the picture
    (tests/truth/llamacpp_companions.json).
    """
    return size * 6 // 5


def _reading_pictures(encoder: Encoder | None) -> tuple[Term, list[Use]]:
    """The encoder's own buffer: reserved at load for a picture of its own choice, touched by a
    picture, larger for a larger one.
    """
    if encoder is None:
        buffer = term(
            "projector_compute", _PICTURE_BYTES, How.ASSUMED,
            "this encoder was not measured; for others it was 21 MB to 2.0 GB (llama.cpp 0c1e570)",
            f"{_PICTURE_BYTES:,} bytes", low=0, high=_PICTURE_HIGH_BYTES,
        )  # fmt: skip
        return buffer, []
    plain = encoder.plain_bytes
    if encoder.largest_pixels is None:
        line = (
            f"{plain:,} bytes; for {encoder.largest_seconds} seconds of sound, the most, none"
            " without any"
        )
    else:
        side = min(PLAIN_PICTURE_PIXELS, encoder.largest_pixels)
        line = f"{plain:,} bytes; for a picture of {side:,} × {side:,}, none without one"
        if encoder.largest_bytes > plain:
            line += (
                f", {encoder.largest_bytes:,} for one of {encoder.largest_pixels:,} ×"
                f" {encoder.largest_pixels:,}, the most"
            )
    source = f"{llamacpp.SOURCE}: tools/mtmd/clip.cpp, an encoder {encoder.what}"
    how = How.MEASURED
    if encoder.assumed is not None:
        source, how = f"{source}: {encoder.assumed}", How.ASSUMED
    buffer = term(
        "projector_compute",
        plain,
        how,
        source,
        f"{line}; up to a fifth more in a work buffer",
        high=_with_work(plain),
    )
    uses = [(buffer.name, 0, plain), (buffer.name, plain, _with_work(encoder.largest_bytes))]
    if encoder.reserved_bytes <= plain:
        return buffer, uses
    there = f"{encoder.reserved_bytes:,} bytes; reserved at load, for pictures that take no more"
    return (
        buffer.replace(
            on_device=term("projector_compute", encoder.reserved_bytes, how, source, there)
        ),
        uses,
    )
