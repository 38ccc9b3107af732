"""What a fast tokenizer takes, as the Python programs load one: tokenizers 0.23 beside mlx-lm
0.32.2 and transformers 5.23.0.

Measured of nine published vocabularies (`tests/truth/mlx.json`, `tokenizers`;
`tests/truth/tokenizers.json`).
"""

from __future__ import annotations

from ..catalogue.spec import Architecture
from .records import Span
from .tensors import ArchitectureRow

_MIB = 1 << 20
# vocabularies of Llama 2 and 3, and of GPT-2, GPT-NeoX and StarCoder, with what took them over
_OF_LLAMA, _OF_GPT2 = (range(32_000, 32_769), range(128_256, 128_257)), range(49_152, 51_201)
# bytes for each token once it is loaded: least, likely, most. Where every token was made by one
# merge, of GPT-2, StarCoder, Falcon, DeepSeek, Qwen2 and Command R; where merges are all pairs that
# make a token, two each, of Llama 2 and 3 and Gemma; and of either. By mlx-lm, whose detokenizer
# adds to it, 1,083 to 1,278 and 1,601 to 1,734; beside a model in transformers 900 to 1,100 and
# 1,480 to 1,540
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
# run
_UNIGRAM, _UNIGRAM_TOKENS = (500, 720, 900), 100_000


def by_mlx(architecture: Architecture) -> Span:
    """Resident with mlx_lm's tokenizer and detokenizer."""
    tokens = architecture.vocabulary or 0
    least, likely, most = _BY_MLX[_merges(architecture)]
    line = f"{tokens:,} tokens × {likely:,} bytes of the tokenizer"
    return Span(
        bytes=tokens * likely, low_bytes=tokens * least, high_bytes=tokens * most, arithmetic=line
    )


def by_transformers(
    architecture: Architecture, row: ArchitectureRow, prompt_bytes: int, surely_bytes: int
) -> Span:
    """What the peak of an answer is higher by; `prompt_bytes`: the least that the prompt takes
    beside weights and cache.

    No more than that is taken off, and at the high end no more than `surely_bytes`, so that prompt
    and tokenizer together never need less for a longer one.
    """
    tokens = architecture.vocabulary or 0
    if row.name == "bert" and tokens > _UNIGRAM_TOKENS:
        sizes, line = (
            [tokens * each for each in _UNIGRAM],
            f"{tokens:,} tokens × {_UNIGRAM[1]:,} bytes",
        )
        return Span(bytes=sizes[1], low_bytes=sizes[0], high_bytes=sizes[2], arithmetic=line)
    sized_lines: list[tuple[int, str]] = []
    put = prompt_bytes, prompt_bytes, surely_bytes
    for live, loaded, own, more in zip(
        _LIVE, _BY_TRANSFORMERS[_merges(architecture)], put, _PUT_THERE, strict=True
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


def _merges(architecture: Architecture) -> str:
    tokens = architecture.vocabulary or 0
    if architecture.row.startswith("gemma") or any(tokens in sizes for sizes in _OF_LLAMA):
        return _TWO_MERGES
    return _ONE_MERGE if architecture.row.startswith("qwen") or tokens in _OF_GPT2 else _EITHER
