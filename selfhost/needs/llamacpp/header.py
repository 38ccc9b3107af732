"""What stands in a GGUF file in front of its tensors: their table, the keys and the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable

from ...catalogue.spec import Architecture
from ..quantization import Stored
from ..tensors import ArchitectureRow

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
