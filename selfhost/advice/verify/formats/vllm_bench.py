"""What `vllm bench serve` and `vllm bench throughput` print (vllm/benchmarks/serve.py and
vllm/benchmarks/throughput.py; the first is also what benchmark_serving.py printed).
"""

from __future__ import annotations

from ....core.records import pattern
from ..run import Run, SeenPace
from .words import positive, whole

MARKS = ("Serving Benchmark Result", "Throughput: ", "Avg latency: ")
_SERVED = "Serving Benchmark Result"
# Median TPOT (ms):                        22.16
_FIGURE = pattern(r"^([A-Z][\w .-]{2,40}(?: \([\w/]{1,10}\))?): +(\d{1,12}(?:\.\d{1,6})?)\s*$")
# SGLang's copy of the benchmark calls it by another name, and says which server it asked
_AT_ONCE = ("Maximum request concurrency", "Max request concurrency")
_BACKEND = pattern(r"^Backend: +(vllm|sglang)\b", 8)
# Avg latency: 1.2345 seconds, of a batch whose size stands among the arguments
_LATENCY = pattern(r"^Avg latency: (\d{1,9}\.\d{1,20}) seconds", 8)
_BATCH = pattern(r"\b(input_len|output_len|batch_size)=(\d{1,9})\b")
# Throughput: 0.35 requests/s, 134.40 total tokens/s, 44.80 output tokens/s
_THROUGHPUT = pattern(
    r"^Throughput: (\d{1,9}\.\d{2}) requests/s, \d{1,12}\.\d{2} total tokens/s,"
    r" (\d{1,12}\.\d{2}) output tokens/s"
)
_MODEL = pattern(
    r"\bmodel='([^'\n]{1,400})'|\bvllm bench [^\n]{0,400}?--model[ =]([^\s\"']{1,300})"
)


def read(text: str) -> Run | None:
    """The pace of as many requests as were let run at once; None where that is not told."""
    figures = {
        match[1]: match[2]
        for match in map(_FIGURE.match, (line.strip()[:200] for line in text.splitlines()))
        if match is not None
    }
    if _SERVED in text:
        tool, pace = "vllm bench serve", _served(figures)
    elif (latency := _LATENCY.search(text)) is not None:
        tool, pace = "vllm bench latency", _of_batch(text, float(latency[1]))
    else:
        tool, pace = "vllm bench throughput", _offline(text, figures)
    if pace is None:
        return None
    model, backend = _MODEL.search(text), _BACKEND.search(text)
    runtime = backend[1] if backend is not None else "vllm"
    return Run(
        tool=tool.replace("vllm", runtime),
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


def _of_batch(text: str, seconds: float) -> SeenPace | None:
    """The batch as a whole; the time of its prompts is in it."""
    sizes = {match[1]: int(match[2]) for match in _BATCH.finditer(text)}
    if len(sizes) < 3 or not seconds or not sizes["batch_size"]:
        return None
    return SeenPace(
        kind="decode",
        tokens_per_second=sizes["batch_size"] * sizes["output_len"] / seconds,
        tokens=sizes["output_len"],
        depth_tokens=sizes["input_len"] + sizes["output_len"] // 2,
        sequences=sizes["batch_size"],
    )


def _offline(text: str, figures: dict[str, str]) -> SeenPace | None:
    """Only of a single request, as nothing tells how many of several the program had at once; the
    time of its prompt is in it.
    """
    line = next(filter(None, map(_THROUGHPUT.match, text.splitlines())), None)
    generated = whole(figures.get("Total num output tokens", ""))
    rate = positive(line[2]) if line is not None else None
    if line is None or rate is None or not generated:
        return None
    requests = float(line[1]) * generated / rate
    if not 0.5 < requests < 1.5:
        return None
    prompt_tokens = whole(figures.get("Total num prompt tokens", "")) or 0
    return SeenPace(
        kind="decode",
        tokens_per_second=rate,
        tokens=generated,
        depth_tokens=prompt_tokens + generated // 2,
    )
