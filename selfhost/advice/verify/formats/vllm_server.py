"""The log of vLLM's server (`vllm serve`): what it loaded, and how fast it answered in each of its
windows of some seconds.
"""

from __future__ import annotations

from statistics import median

from ....core.records import pattern
from ..run import Run, SeenMemory, SeenPace
from .words import place_of, positive, whole

MARKS = ("Avg generation throughput", "odel loading took", "odel weights took")
_GIB = 1 << 30
# Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: 213.0 tokens/s,
# Running: 1 reqs, Waiting: 0 reqs
_WINDOW = pattern(
    r"Avg prompt throughput: (\d{1,9}\.\d) tokens/s, Avg generation throughput: (\d{1,9}\.\d)"
    r" tokens/s, Running: (\d{1,6}) reqs,"
)
_LOADED = pattern(r"[Mm]odel (?:loading|weights) took (\d{1,6}\.\d{1,4}) (?:GiB|GB)")
_MODEL = pattern(r"\bmodel(?:'?: ?|=)'([^'\n]{1,400})'")
_CONTEXT = pattern(r"\bmax_(?:seq|model)_len(?:'?: ?|=)(\d{1,9})")
_SPREAD = pattern(r"\b(?:tensor|pipeline)_parallel_size(?:'?: ?|=)(\d{1,4})")
_VERSION = pattern(r"\+g([0-9a-f]{7,40})\b")
# a file of Hugging Face's cache lies in a folder that is called as its repository
_CACHED = pattern(r"models--([\w.-]{1,100})--([\w.-]{1,200})(?:/|$)")
# a window in which a prompt is read tells nothing of it before the prompt ends; its pace is below
# this share of the fastest
_LEAST_SHARE = 0.5
_DRAFTS = "SpecDecoding metrics:"


def read(text: str) -> Run | None:
    """The windows with as many requests as most had; None where the log shows neither a whole
    window nor what the model took.
    """
    speeds = _speeds(text)
    loaded = _LOADED.search(text)
    devices = max((int(size) for size in _SPREAD.findall(text)), default=1)
    if not speeds and (loaded is None or devices > 1):
        return None
    # one request alone is what the predicted pace is of
    at_once = 1 if 1 in speeds or not speeds else max(speeds, key=lambda count: len(speeds[count]))
    model, context = _MODEL.search(text), _CONTEXT.search(text)
    version = _VERSION.search(text)
    on_processor = "device_config=cpu" in text
    return Run(
        tool="vLLM log",
        runtime="vllm",
        version=version[1] if version is not None else None,
        name=_name(model[1]) if model is not None else None,
        context_tokens=whole(context[1]) if context is not None else None,
        parallel=at_once,
        on_processor=on_processor,
        paces=_paces(speeds.get(at_once, []), at_once, drafted=_DRAFTS in text),
        memory=_memory(loaded[1], on_processor) if loaded is not None and devices == 1 else (),
        notes=_notes(speeds, at_once),
    )


def _speeds(text: str) -> dict[int, list[float]]:
    """Tokens a second of the whole windows, by how many requests ran at once."""
    speeds: dict[int, list[float]] = {}
    # of the windows that are no whole ones the fastest, by the most requests that were in them
    parts: dict[int, float] = {}
    before = 0
    for line in text.splitlines():
        if "Avg generation throughput" not in line:
            continue
        window = _WINDOW.search(line[:8192])
        running = (whole(window[3]) or 0) if window is not None else 0
        # a window in which a request began or a prompt was read holds less than its time
        is_whole = running and running == before and window is not None and float(window[1]) == 0
        pace = positive(window[2]) if window is not None and is_whole else None
        if pace is not None:
            speeds.setdefault(running, []).append(pace)
        elif window is not None:
            most = max(running, before)
            parts[most] = max(parts.get(most, 0.0), float(window[2]))
        before = running
    return {count: fast for count in speeds if (fast := _fast(count, speeds[count], parts))}


def _fast(count: int, speeds: list[float], parts: dict[int, float]) -> list[float]:
    """The windows that are as fast as decoding alone is: no part of a window can be faster than a
    whole one of as many requests.
    """
    fastest = max([*speeds, *(pace for most, pace in parts.items() if most <= count)])
    return [pace for pace in speeds if pace >= _LEAST_SHARE * fastest]


def _name(model: str) -> str:
    """Its repository, where the path of a cache tells it."""
    cached = _CACHED.search(model)
    return model if cached is None else f"{cached[1]}/{cached[2]}"


def _paces(speeds: list[float], at_once: int, *, drafted: bool) -> tuple[SeenPace, ...]:
    if not speeds:
        return ()
    return (
        SeenPace(
            kind="decode", tokens_per_second=median(speeds), sequences=at_once, drafted=drafted
        ),
    )


def _memory(gib: str, on_processor: bool) -> tuple[SeenMemory, ...]:
    rounded = _GIB // 10 ** len(gib.partition(".")[2]) // 2
    return (
        SeenMemory(
            term="weights",
            bytes=round(float(gib) * _GIB),
            where="host" if on_processor else place_of("CUDA0"),
            rounded_bytes=rounded,
        ),
    )


def _notes(speeds: dict[int, list[float]], at_once: int) -> tuple[str, ...]:
    others = sum(len(paces) for count, paces in speeds.items() if count != at_once)
    if not others:
        return ()
    return (f"Windows of other numbers of requests at once are left out: {others:,}.",)
