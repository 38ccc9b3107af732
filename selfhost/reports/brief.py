"""A verdict for Python in one line of text, in the words of `selfhost check`."""

from __future__ import annotations

from ..core import units
from ..judge.record import Verdict
from .layout import clean
from .words import answer_line, pace_words

_SIGNS = "✓✗? "


def summary(verdict: Verdict) -> str:
    """`RUNS HERE: Mistral 7B Instruct v0.3, about 12 tokens/s, faster than you read`."""
    label, *rest = answer_line(verdict).spans
    answer = " ".join(clean("".join(span.text for span in rest)).split())
    speed = verdict.speed if verdict.can_run else None
    expected = f", {pace_words(speed.decode)}" if speed is not None and speed.decode else ""
    if speed is not None and speed.each_of > 1 and speed.judged is not None:
        expected = f", about {units.speed(speed.judged.likely, speed.judged.likely)} each"
    return f"{label.text.lstrip(_SIGNS)}: {answer}{expected}"
