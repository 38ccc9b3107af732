"""What `ollama run --verbose` prints behind each answer."""

from __future__ import annotations

from ....core.records import pattern
from ..run import Run, SeenPace
from .words import positive, whole

MARKS = ("eval rate: ",)
# Go prints +Inf and NaN for an answer that took no time
_LINE = pattern(
    r"^(prompt eval|eval) (count|rate): +([+-]?(?:\d[\d.]{0,400}(?:e[+-]?\d{1,4})?|(?i:inf|nan)))"
    r" (?:token\(s\)|tokens/s)\s*$"
)


def read(text: str) -> Run | None:
    """The prompt of the first answer, for Ollama counts those of the later ones with what its cache
    held back of them (ollama/ollama#10860), and all tokens of the answers over all their time.
    """
    # kind -> tokens, seconds, answers, and tokens times those that stood in the context
    sums: dict[str, list[float]] = {}
    waiting: dict[str, int] = {}
    # kind -> tokens of the answers whose rate is no number
    without: dict[str, int] = {}
    prompt_tokens: int | None = None
    for line in text.splitlines():
        match = _LINE.match(line.strip()[:200])
        if match is None:
            continue
        kind = "prompt" if match[1] == "prompt eval" else "decode"
        if match[2] == "count":
            waiting[kind] = whole(match[3]) or 0
            prompt_tokens = waiting[kind] if kind == "prompt" else prompt_tokens
        elif (rate := positive(match[3])) is None:
            without[kind] = without.get(kind, 0) + waiting.pop(kind, 0)
        elif (tokens := waiting.pop(kind, 0)) and not (kind == "prompt" and kind in sums):
            depth = 0 if kind == "prompt" else (prompt_tokens or 0) + tokens // 2
            before = sums.get(kind, [0.0, 0.0, 0.0, 0.0])
            answer = (tokens, tokens / rate, 1, tokens * depth)
            sums[kind] = [sum(pair) for pair in zip(before, answer, strict=True)]
    is_deep = prompt_tokens is not None
    paces = tuple(
        SeenPace(
            kind=kind,
            tokens_per_second=tokens / seconds,
            tokens=int(tokens // answers),
            depth_tokens=round(depths / tokens) if kind == "prompt" or is_deep else None,
        )
        for kind, (tokens, seconds, answers, depths) in sorted(sums.items(), reverse=True)
    )
    paces += tuple(
        SeenPace(kind=kind, tokens_per_second=None, tokens=count or None)
        for kind, count in sorted(without.items(), reverse=True)
    )
    if not paces:
        return None
    return Run(tool="ollama --verbose", runtime="ollama", paces=paces)
