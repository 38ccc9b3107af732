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


class _Answers:
    """What is gathered of them, line by line."""

    def __init__(self) -> None:
        # kind -> tokens, seconds, answers, and tokens times those that stood in the context
        self.sums: dict[str, list[float]] = {}
        # kind -> tokens of the answers whose rate is no number
        self.without: dict[str, int] = {}
        self.prompt_tokens: int | None = None
        self._waiting: dict[str, int] = {}

    def take_count(self, kind: str, tokens: int) -> None:
        self._waiting[kind] = tokens
        if kind == "prompt":
            self.prompt_tokens = tokens

    def take_rate(self, kind: str, rate: float | None) -> None:
        tokens = self._waiting.pop(kind, 0)
        if rate is None:
            self.without[kind] = self.without.get(kind, 0) + tokens
        elif tokens and not (kind == "prompt" and kind in self.sums):
            depth = 0 if kind == "prompt" else (self.prompt_tokens or 0) + tokens // 2
            before = self.sums.get(kind, [0.0, 0.0, 0.0, 0.0])
            answer = (tokens, tokens / rate, 1, tokens * depth)
            self.sums[kind] = [sum(pair) for pair in zip(before, answer, strict=True)]


def read(text: str) -> Run | None:
    """The prompt of the first answer, for Ollama counts those of the later ones with what its cache
    held back of them (ollama/ollama#10860), and all tokens of the answers over all their time.
    """
    answers = _Answers()
    for line in text.splitlines():
        match = _LINE.match(line.strip()[:200])
        if match is None:
            continue
        kind = "prompt" if match[1] == "prompt eval" else "decode"
        if match[2] == "count":
            answers.take_count(kind, whole(match[3]) or 0)
        else:
            answers.take_rate(kind, positive(match[3]))
    is_deep = answers.prompt_tokens is not None
    paces = tuple(
        SeenPace(
            kind=kind,
            tokens_per_second=tokens / seconds,
            tokens=int(tokens // count),
            depth_tokens=round(depths / tokens) if kind == "prompt" or is_deep else None,
        )
        for kind, (tokens, seconds, count, depths) in sorted(answers.sums.items(), reverse=True)
    )
    paces += tuple(
        SeenPace(kind=kind, tokens_per_second=None, tokens=count or None)
        for kind, count in sorted(answers.without.items(), reverse=True)
    )
    return Run(tool="ollama --verbose", runtime="ollama", paces=paces) if paces else None
