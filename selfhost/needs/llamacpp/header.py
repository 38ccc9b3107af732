"""What stands in a GGUF file in front of its tensors: their table, the keys and the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable

from ...catalogue.spec import Architecture
from ...core.records import remembered
from ..quantization import Stored
from ..tensors import ArchitectureRow

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


def header_bytes(
    architecture: Architecture, row: ArchitectureRow, tensors: Iterable[Stored]
) -> tuple[int, int]:
    """Least and most bytes of a file in front of its tensors: their table, the keys and the
    vocabulary.
    """
    vocabulary = architecture.vocabulary_gguf or architecture.vocabulary or 0
    kind = tokenizer_kind(row, vocabulary)
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


@remembered(512)
def tokenizer_kind(row: ArchitectureRow, vocabulary: int) -> str:
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
