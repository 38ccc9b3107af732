"""The memory of a fast tokenizer (tokenizers 0.23) in a Python program: mlx-lm 0.32.2 and
transformers 5.23.0.

The figures were measured on nine published vocabularies (`tests/truth/mlx.json`, key `tokenizers`;
`tests/truth/tokenizers.json`).
"""

from __future__ import annotations

from ..catalogue.spec import Architecture
from .records import Span
from .tensors import ArchitectureRow

_MIB = 1 << 20
# sizes of the vocabularies of Llama 2 and 3, and of GPT-2, GPT-NeoX and StarCoder; many models have
# one of these
_OF_LLAMA, _OF_GPT2 = (range(32_000, 32_769), range(128_256, 128_257)), range(49_152, 51_201)
# Bytes for each token of a loaded tokenizer: least, likely, most. One merge makes each token of
# GPT-2, StarCoder, Falcon, DeepSeek, Qwen2 and Command R. Llama 2 and 3 and Gemma list every pair
# that makes a token, about two each. Measured with mlx-lm, whose detokenizer counts too: 1,083 to
# 1,278 and 1,601 to 1,734. Beside a model in transformers: 900 to 1,100 and 1,480 to 1,540.
_ONE_MERGE, _TWO_MERGES, _EITHER = "one merge a token", "two merges a token", "merges not known"
_BY_MLX = {
    _ONE_MERGE: (1_050, 1_180, 1_300),
    _TWO_MERGES: (1_550, 1_700, 1_800),
    _EITHER: (1_050, 1_300, 1_800),
}
_BY_TRANSFORMERS = {
    _ONE_MERGE: (870, 980, 1_110),
    _TWO_MERGES: (1_400, 1_520, 1_700),
    _EITHER: (870, 1_150, 1_700),
}
# of it stays for good; the rest was needed to read it, and what the model takes next is put there:
# its prompt, and beside that some MiB; at most none, and the library itself comes on top
_LIVE = (180, 420, 750)
_PUT_THERE = (60 * _MIB, 25 * _MIB, -8 * _MIB)
# a unigram model of 250,000 tokens, as encoders of many languages have: 713 live, 700 in a whole
# run. Which rows have one, and from how many tokens on, is `unigram_from_tokens` of the row
_UNIGRAM = (500, 720, 900)


def by_mlx(architecture: Architecture, row: ArchitectureRow) -> Span:
    """Bytes that mlx-lm's tokenizer and detokenizer keep resident."""
    tokens = architecture.vocabulary or 0
    least, likely, most = _BY_MLX[_merges(tokens, row)]
    line = f"{tokens:,} tokens × {likely:,} bytes of the tokenizer"
    return Span(
        bytes=tokens * likely, low_bytes=tokens * least, high_bytes=tokens * most, arithmetic=line
    )


def by_transformers(
    architecture: Architecture, row: ArchitectureRow, prompt_bytes: int, surely_bytes: int
) -> Span:
    """Bytes that the tokenizer adds to the peak of an answer.

    The prompt reuses memory that reading the tokenizer left free. `prompt_bytes` is the least that
    the prompt takes beside weights and cache: no more is taken off, and at the high end no more
    than `surely_bytes`. So a longer prompt never needs less in all.
    """
    tokens = architecture.vocabulary or 0
    if 0 < row.unigram_from_tokens <= tokens:
        sizes, line = (
            [tokens * each for each in _UNIGRAM],
            f"{tokens:,} tokens × {_UNIGRAM[1]:,} bytes",
        )
        return Span(bytes=sizes[1], low_bytes=sizes[0], high_bytes=sizes[2], arithmetic=line)
    sized_lines: list[tuple[int, str]] = []
    put = prompt_bytes, prompt_bytes, surely_bytes
    for live, loaded, own, more in zip(
        _LIVE, _BY_TRANSFORMERS[_merges(tokens, row)], put, _PUT_THERE, strict=True
    ):
        taken = own + more
        stays = tokens * live, f"{tokens:,} tokens × {live:,} bytes that stay"
        left = (
            tokens * loaded - taken,
            f"{tokens:,} tokens × {loaded:,} bytes - {taken:,} in which the prompt is put",
        )
        sized_lines.append(max(stays, left, key=lambda sized: sized[0]))
    (low, _), (size, line), (high, _) = sized_lines
    return Span(bytes=size, low_bytes=low, high_bytes=high, arithmetic=line)


def _merges(tokens: int, row: ArchitectureRow) -> str:
    if row.token_merges == 2 or any(tokens in sizes for sizes in _OF_LLAMA):
        return _TWO_MERGES
    return _ONE_MERGE if row.token_merges == 1 or tokens in _OF_GPT2 else _EITHER
