"""What `vllm bench serve` prints, and benchmark_serving.py printed (vllm/benchmarks/serve.py)."""

from __future__ import annotations

from ....core.records import pattern
from ..run import Run, SeenPace
from .words import positive, whole

MARKS = ("Serving Benchmark Result",)
# Median TPOT (ms):                        22.16
_FIGURE = pattern(r"^ *([A-Z][\w .-]{2,40}(?: \([\w/]{1,10}\))?): +(\d{1,12}(?:\.\d{1,6})?)\s*$", 8)
# SGLang's copy of the benchmark calls it by another name, and says which server it asked
_AT_ONCE = ("Maximum request concurrency", "Max request concurrency")
_BACKEND = pattern(r"^Backend: +(vllm|sglang)\b", 8)
_MODEL = pattern(
    r"\bmodel='([^'\n]{1,400})'|\bvllm bench [^\n]{0,400}?--model[ =]([^\s\"']{1,300})"
)


def read(text: str) -> Run | None:
    """The pace of as many requests as were let run at once; None where that is not told."""
    pace = _served(dict(_FIGURE.findall(text)))
    if pace is None:
        return None
    model, backend = _MODEL.search(text), _BACKEND.search(text)
    runtime = backend[1] if backend is not None else "vllm"
    return Run(
        tool=f"{runtime} bench serve",
        runtime=runtime,
        name=(model[1] or model[2]) if model is not None else None,
        parallel=pace.sequences,
        paces=(pace,),
    )


def _served(figures: dict[str, str]) -> SeenPace | None:
    """By the time of each token after the first; without a limit, one request counts as one."""
    requests = whole(figures.get("Successful requests", "")) or 0
    limits = (whole(figures.get(name, "")) for name in _AT_ONCE)
    at_once = next(filter(None, limits), 0)
    # as many as ran at once on average, which SGLang's copy measures, where they came one by one
    measured = round(positive(figures.get("Concurrency", "")) or requests)
    sequences = min(requests, at_once or requests, max(1, measured))
    seconds = positive(figures.get("Median TPOT (ms)", ""))
    if seconds is None or not sequences or (not at_once and requests > 1):
        return None
    generated = (whole(figures.get("Total generated tokens", "")) or 0) // requests
    prompt_tokens = (whole(figures.get("Total input tokens", "")) or 0) // requests
    return SeenPace(
        kind="decode",
        tokens_per_second=sequences * 1000 / seconds,
        tokens=generated or None,
        depth_tokens=prompt_tokens + generated // 2,
        sequences=sequences,
    )
