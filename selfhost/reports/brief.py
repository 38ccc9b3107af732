"""A verdict for Python in one line of text, in the words of `selfhost check`."""

from __future__ import annotations

from ..verdict.record import Verdict
from .layout import clean
from .words import answer_line, pace_words

_SIGNS = "✓✗? "


def summary(verdict: Verdict) -> str:
    """`RUNS HERE: Mistral 7B Instruct v0.3, about 12 tokens/s, faster than you read`."""
    label, *rest = answer_line(verdict, verdict.machine).spans
    answer = " ".join(clean("".join(span.text for span in rest)).split())
    pace = verdict.speed.decode if verdict.can_run and verdict.speed is not None else None
    expected = f", {pace_words(pace)}" if pace is not None else ""
    return f"{label.text.lstrip(_SIGNS)}: {answer}{expected}"
