"""What a GGUF file weighs, with its header, and who makes it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ...catalogue.architecture import Architecture
from ...catalogue.spec import ModelSpec, PublishedFiles
from ...core.records import Unread
from ..parts import Subject, published, sized, stated_size, unread, unread_size
from ..quantization import BITS_PER_WEIGHT, Stored, has_fused, stored, typed_earlier
from ..records import How, SizedWeights
from ..tensors import ArchitectureRow

RECIPE = "llama-quantize's rules, tensor by tensor (llama.cpp, 2026)"
# published files that follow the recipe differ by less: 23 of 24 files checked are equal but for
# the header, the others up to 0.15 %
RECIPE_ERROR = 0.002
# bits per weight against those of Llama 3.1 8B, over 88 models whose tensors are known: least, most
# from 3 billion parameters on, most below (the token table weighs more); apart for files below 4.3
# bits, where tables and odd rows weigh more still
_BITS_LOW, _SMALL, _FEW_BITS = 0.89, 3_000_000_000, 4.3
_BITS_HIGH, _BITS_HIGH_SMALL = (1.28, 1.65), (1.51, 2.1)

# who makes the `UD-` files, and how the account names its repositories: so are 157 of 162 that this
# catalogue lists; the others differ in case or in a word
_MAKER, _NAMED = "unsloth", "unsloth/{model}-GGUF"

# bytes of a token in the header: its text, length, type and score, of byte pairs with one or two
# merges; from the 19 vocabularies in llama.cpp's models/ and published files
# (tests/truth/gguf_headers.json)
_TOKEN_BYTES = {
    "spm": (20.9, 25.0),
    "bpe": (33.0, 74.0),
    "wpm": (11.0, 24.3),
    "unigram": (22.0, 27.8),
    "": (18.9, 74.0),
}
# keys and the chat template: 0.7 kB without one, gpt-oss 16 kB
_KEYS_BYTES = (700, 25_000)
# lengths of vocabularies of byte pairs that are shorter than 100 thousand: DeepSeek Coder,
# StarCoder, GPT-2 and GPT-NeoX, Falcon
_BYTE_PAIRS = (
    range(32_256, 32_257), range(49_152, 49_217), range(50_257, 50_689), range(65_024, 65_025),
)  # fmt: skip


def size_of(
    subject: Subject, quantization: str, *, own_block: bool = False
) -> SizedWeights | Unread:
    """The GGUF file, without the projector of a vision model: as published, else by the recipe,
    else by bits per weight.

    `own_block`: of a model that is to draft with its own block, which the file has to bring.
    """
    spec = subject.spec
    size_and_files = published(spec, "gguf", quantization)
    if size_and_files is not None:
        return stated_size(size_and_files)
    if quantization not in BITS_PER_WEIGHT:
        return _mix_of(subject, quantization) or unread(
            f"no source states the size of {quantization}, which is not a quantization of"
            " llama-quantize",
            "use a quantization with a known recipe, for example --quant Q4_K_M",
        )
    if subject.whole and subject.architecture is not None and subject.row is not None:
        row, earlier = as_published(subject.row, spec.released), typed_earlier(spec.released)
        return computed_file(subject.architecture, row, quantization, earlier, own_block)
    if spec.parameters.total is None:
        return unread_size(spec)
    total = spec.parameters.total - (spec.parameters.encoders or 0)
    bits = BITS_PER_WEIGHT[quantization]
    size = int(total * bits / 8)
    highest = (_BITS_HIGH if total >= _SMALL else _BITS_HIGH_SMALL)[bits < _FEW_BITS]
    return sized(
        size,
        How.ASSUMED,
        "bits per weight of Llama 3.1 8B (llama.cpp tools/quantize/README.md); the architecture is"
        " not known",
        f"{total:,} parameters × {bits:g} bits / 8",
        low=int(size * _BITS_LOW),
        high=int(size * (highest if bits < 8 else 1.04)),
    )


def _mix_of(subject: Subject, quantization: str) -> SizedWeights | None:
    """The file of a publisher's own mix; None for a name of none, and without an architecture."""
    from .mixes import mixed, recipe_of

    architecture, row, released = subject.architecture, subject.row, subject.spec.released
    recipe = recipe_of(quantization, architecture)
    if recipe is None or not subject.whole or architecture is None or row is None:
        return None
    row = as_published(row, released)
    file = computed_file(architecture, row, recipe, typed_earlier(released))
    ranges = subject.architectures.values.get("mix", {}).get(quantization, {})
    return mixed(quantization, architecture, row, file, released, ranges)


def header_bytes(
    architecture: Architecture, row: ArchitectureRow, tensors: Iterable[Stored]
) -> tuple[int, int]:
    """Least and most bytes of a file in front of its tensors: their table, the keys and the
    vocabulary.
    """
    vocabulary = architecture.vocabulary_gguf or architecture.vocabulary or 0
    table = sum(
        (24 + len(tensor.name) + 2 + 8 * len(tensor.shape)) * tensor.count for tensor in tensors
    )
    token_bytes = _TOKEN_BYTES[tokenizer_kind(row, vocabulary)]
    least, most = (
        table + keys + int(vocabulary * each)
        for keys, each in zip(_KEYS_BYTES, token_bytes, strict=True)
    )
    return least, most


def tokenizer_kind(row: ArchitectureRow, vocabulary: int) -> str:
    """The kind of the vocabulary, "" where it may be of several.

    Where models of one architecture differ SentencePiece tables are small, and those of 100
    thousand and more are byte pairs.
    """
    if row.tokenizer == "wpm" and vocabulary > 100_000:
        return "unigram"
    if row.tokenizer == "varies":
        return ""
    if row.tokenizer or not vocabulary:
        return row.tokenizer
    if vocabulary >= 100_000 or any(vocabulary in tokens for tokens in _BYTE_PAIRS):
        return "bpe"
    return "spm" if vocabulary <= 33_000 else ""


@lru_cache(maxsize=512)
def as_published(row: ArchitectureRow, released: str | None) -> ArchitectureRow:
    """The row with what files of that time bring of multi-token-prediction blocks."""
    before = released is not None and released < row.mtp_in_gguf_since
    return row.replace(mtp_in_gguf=False) if before else row


@lru_cache(maxsize=1024)
def computed_file(
    architecture: Architecture,
    row: ArchitectureRow,
    quantization: str,
    earlier: bool,
    own_block: bool = False,
) -> SizedWeights:
    tensors = usual(architecture, row, quantization, earlier)
    less, more = spread(architecture, row, quantization)
    low, high = header_bytes(architecture, row, tensors)
    # most byte pairs have one merge a token
    header = low + (high - low) // 4
    has_block = own_block or row.mtp_in_gguf is not False
    counted = [tensor for tensor in tensors if has_block or not tensor.extra]
    block = sum(tensor.bytes for tensor in tensors if tensor.extra)
    line = f"{by_type(counted)} + {header:,} bytes of header"
    if len(counted) < len(tensors):
        line += f"; a file that brings the multi-token-prediction block has {block:,} more"
    elif block and row.mtp_in_gguf is None:
        line += f"; a file without the multi-token-prediction block has {block:,} less"
    return sized(
        sum(tensor.bytes for tensor in counted) + header,
        How.COMPUTED,
        RECIPE,
        line,
        low=less - (0 if own_block or row.mtp_in_gguf else block) + low,
        high=more + high,
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


@lru_cache(maxsize=1024)
def spread(architecture: Architecture, row: ArchitectureRow, quantization: str) -> tuple[int, int]:
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
    return int(min(sizes) * (1 - RECIPE_ERROR)), int(max(sizes) * (1 + RECIPE_ERROR))


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


def by_type(tensors: Iterable[Stored]) -> str:
    """`3,413,114,880 bytes of Q4_K + …`, the most first."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.bytes
    return " + ".join(
        f"{size:,} bytes of {type}"
        for type, size in sorted(sizes.items(), key=lambda item: -item[1])
    )


def files_of_maker(spec: ModelSpec, mix: str) -> PublishedFiles | None:
    """Where Unsloth offers an `UD-` mix: the repository that the spec knows of it, else by its
    naming, which no listing shows. None for other types, and of a model that lies in no repository.
    """
    from .mixes import UD_MIXES

    if mix not in UD_MIXES or not spec.repository:
        return None
    named = _NAMED.format(model=spec.repository.rpartition("/")[2])
    repositories = (files.repository or "" for files in spec.files if files.format == "gguf")
    return PublishedFiles(
        format="gguf",
        repository=next((name for name in repositories if name.startswith(f"{_MAKER}/")), named),
        source=f"{_MAKER} makes the {mix} files, and names its repositories {_NAMED}",
        unsized=(mix,),
        listed=False,
    )
