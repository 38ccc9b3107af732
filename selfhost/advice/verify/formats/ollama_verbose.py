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
    """The answers together: all their tokens over all their time."""
    seconds = {"prompt": 0.0, "decode": 0.0}
    tokens = {"prompt": 0, "decode": 0}
    answers = {"prompt": 0, "decode": 0}
    waiting: dict[str, int] = {}
    # kind -> tokens of the answers whose rate is no number
    without: dict[str, int] = {}
    for line in text.splitlines():
        match = _LINE.match(line.strip()[:200])
        if match is None:
            continue
        kind = "prompt" if match[1] == "prompt eval" else "decode"
        if match[2] == "count":
            waiting[kind] = whole(match[3]) or 0
        elif (rate := positive(match[3])) is None:
            without[kind] = without.get(kind, 0) + waiting.pop(kind, 0)
        elif waiting.get(kind):
            tokens[kind] += waiting[kind]
            answers[kind] += 1
            seconds[kind] += waiting.pop(kind) / rate
    paces = tuple(
        SeenPace(
            kind=kind,
            tokens_per_second=tokens[kind] / seconds[kind],
            tokens=tokens[kind] // answers[kind],
            depth_tokens=0 if kind == "prompt" else None,
        )
        for kind in ("prompt", "decode")
        if seconds[kind] > 0
    )
    paces += tuple(
        SeenPace(kind=kind, tokens_per_second=None, tokens=count or None)
        for kind, count in sorted(without.items(), reverse=True)
    )
    if not paces:
        return None
    return Run(tool="ollama --verbose", runtime="ollama", paces=paces)
