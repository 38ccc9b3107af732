"""The log of SGLang's server: how fast it decoded since the line before
(sgl-project/sglang: python/sglang/srt/managers, `Decode batch`).
"""

from __future__ import annotations

from statistics import median

from ....core.records import pattern
from ..run import Run, SeenPace
from .words import positive, whole

MARKS = ("gen throughput (token/s): ",)
# [2026-08-02 00:02:38 TP0] Decode batch, #running-req: 1, #full token: 210, token usage: 0.00,
# accept len: 2.52, cuda graph: True, gen throughput (token/s): 19.53, #queue-req: 0
_DECODED = pattern(
    r"Decode batch[.,] #running-req: (\d{1,6}), #(?:full )?token: (\d{1,9}),"
    r".{0,400}?gen throughput \(token/s\): (\d{1,9}\.\d{1,3})"
)
_READ = "Prefill batch"
_DRAFTED = "accept len: "
# one of several copies of the model, each with requests of its own
_COPY = pattern(r"^\[[^\]]{0,60}\bDP(\d{1,4})\b")
_MODEL = pattern(r"\bmodel_path='([^'\n]{1,400})'")
_CONTEXT = pattern(r"\b(?:context_length|context_len)=(\d{1,9})\b")


def read(text: str) -> Run | None:
    """The lines with as many requests as most had; None where there is no whole one."""
    speeds = _speeds(text)
    if not speeds:
        return None
    # one request alone is what the predicted pace is of
    at_once = 1 if 1 in speeds else max(speeds, key=lambda count: len(speeds[count]))
    model, context = _MODEL.search(text), _CONTEXT.search(text)
    return Run(
        tool="SGLang log",
        runtime="sglang",
        name=model[1] if model is not None else None,
        context_tokens=whole(context[1]) if context is not None else None,
        parallel=at_once,
        paces=(
            SeenPace(
                kind="decode",
                tokens_per_second=median(pace for pace, _ in speeds[at_once]),
                depth_tokens=int(median(tokens for _, tokens in speeds[at_once])) // at_once,
                sequences=at_once,
                drafted=_DRAFTED in text,
            ),
        ),
        notes=_left_out(sum(len(lines) for lines in speeds.values()) - len(speeds[at_once])),
    )


def _speeds(text: str) -> dict[int, list[tuple[float, int]]]:
    """Tokens a second of the whole lines and the tokens held then, by how many requests ran."""
    speeds: dict[int, list[tuple[float, int]]] = {}
    before = 0
    for line in text.splitlines():
        if _READ in line:
            before = 0
        decoded = _DECODED.search(line[:2000]) if "Decode batch" in line else None
        copy = _COPY.match(line[:200])
        if decoded is None or (copy is not None and copy[1] != "0"):
            continue
        running, pace = whole(decoded[1]) or 0, positive(decoded[3])
        # the first line behind a prompt counts the time that it took
        if running and running == before and pace is not None:
            speeds.setdefault(running, []).append((pace, whole(decoded[2]) or 0))
        before = running
    return speeds


def _left_out(count: int) -> tuple[str, ...]:
    return (
        (f"Lines of other numbers of requests at once are left out: {count:,}.",) if count else ()
    )
