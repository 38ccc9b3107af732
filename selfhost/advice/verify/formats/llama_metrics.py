"""`GET /metrics` of llama-server (`--metrics`): sums since it started (ggml-org/llama.cpp:
tools/server/README.md).
"""

from __future__ import annotations

from ....core.records import pattern
from ..run import Run, SeenPace
from .words import positive

MARKS = ("llamacpp:tokens_predicted_seconds_total",)
# llamacpp:tokens_predicted_total 1234
_VALUE = pattern(r"^llamacpp:(\w{1,40})(?:\{[^}]{0,200}\})? (\S{1,24})\s*$")
# kind -> tokens and seconds
_SUMS = {
    "prompt": ("prompt_tokens_total", "prompt_seconds_total"),
    "decode": ("tokens_predicted_total", "tokens_predicted_seconds_total"),
}
_BUSY = "n_busy_slots_per_decode"
# one slot alone is 1; a second one for one step in ten slows the others by less than what is
# called close
_MOST_BUSY = 1.1


def read(text: str) -> Run | None:
    """The pace of all requests since the server started."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        match = _VALUE.match(line.strip()[:300])
        value = positive(match[2]) if match is not None else None
        if match is not None and value is not None:
            values[match[1]] = value
    is_shared = values.get(_BUSY, 0.0) > _MOST_BUSY
    paces = tuple(
        SeenPace(kind=kind, tokens_per_second=values[tokens] / values[seconds], shared=is_shared)
        for kind, (tokens, seconds) in _SUMS.items()
        if tokens in values and seconds in values
    )
    return Run(tool="llama-server metrics", paces=paces) if paces else None
