"""The logs of servers that tell every few seconds how fast they decoded since the line before: vLLM
(`vllm serve`), which also tells what it loaded, and SGLang
(sgl-project/sglang: python/sglang/srt/managers, `Decode batch`).
"""

from __future__ import annotations

from statistics import median

from ....core.records import Record, pattern
from ....core.tables import shipped_table
from ..run import Run, SeenMemory, SeenPace
from .words import positive, whole

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from re import Pattern
    from typing import Any

_GIB = 1 << 30
# a window in which a prompt is read tells nothing of it before the prompt ends; its pace is below
# this share of the fastest
_LEAST_SHARE = 0.5
_LOADED = pattern(r"[Mm]odel (?:loading|weights) took (\d{1,6}\.\d{1,4}) (?:GiB|GB)")
_MODEL = pattern(r"\bmodel(?:_path)?(?:'?: ?|=)'([^'\n]{1,400})'")
_CONTEXT = pattern(r"\b(?:max_(?:seq|model)_len|context_length|context_len)(?:'?: ?|=)(\d{1,9})\b")
_SPREAD = pattern(r"\b(?:tensor|pipeline)_parallel_size(?:'?: ?|=)(\d{1,4})")
_VERSION = pattern(r"\+g([0-9a-f]{7,40})\b")
# a file of Hugging Face's cache lies in a folder that is called as its repository
_CACHED = pattern(r"models--([\w.-]{1,100})--([\w.-]{1,200})(?:/|$)")
_CPU = "device_config=cpu"
# one of several copies of the model, each with requests of its own
_OTHER_COPY = pattern(r"^\[[^\]]{0,60}\bDP(?!0\b)\d{1,4}\b")


MARKS = (
    *("Avg generation throughput", "gen throughput (token/s): "),
    *("odel loading took", "odel weights took"),
)


class _Window(Record):
    """A stretch of time: the requests that ran at its end and at `most`, tokens a second, tokens in
    the context. `is_whole`: the same requests ran from its start to its end.
    """

    running: int
    pace: float
    held: int | None
    most: int
    is_whole: bool


def read(text: str) -> Run | None:
    """The windows with as many requests as most had; None where the log shows neither a whole
    window nor what the model took.
    """
    servers = shipped_table("runs")["server"]
    server = next((each for each in servers if each["mark"] in text), servers[0])
    windows, memory = _fast_windows(text, server), _weights(text)
    if not windows and not memory:
        return None
    counts = [window.running for window in windows]
    # one request alone is what the predicted pace is of
    at_once = max(counts, key=lambda number: (number == 1, counts.count(number)), default=1)
    same = [window for window in windows if window.running == at_once]
    left_out = len(windows) - len(same)
    note = f"Windows of other numbers of requests at once are left out: {left_out:,}."
    return Run(
        tool=server["tool"],
        runtime=server["runtime"],
        version=_first(_VERSION, text),
        name=_name(_first(_MODEL, text)),
        context_tokens=whole(_first(_CONTEXT, text) or ""),
        parallel=at_once,
        on_processor=_CPU in text if server["runtime"] == "vllm" else None,
        paces=_pace_of(same, at_once, drafted=server["drafts"] in text),
        memory=memory,
        notes=(note,) if left_out else (),
    )


def _first(shape: Pattern[str], text: str) -> str | None:
    match = shape.search(text)
    return None if match is None else match[1]


def _name(path: str | None) -> str | None:
    """The model, by its repository where the path of a cache tells it."""
    cached = _CACHED.search(path or "")
    return path if cached is None else f"{cached[1]}/{cached[2]}"


def _pace_of(windows: Sequence[_Window], at_once: int, *, drafted: bool) -> tuple[SeenPace, ...]:
    """The median of the windows; () of none."""
    if not windows:
        return ()
    held = [window.held for window in windows if window.held is not None]
    pace = SeenPace(
        kind="decode",
        tokens_per_second=median(window.pace for window in windows),
        depth_tokens=int(median(held)) // at_once if held else None,
        sequences=at_once,
        drafted=drafted,
    )
    return (pace,)


def _fast_windows(text: str, server: Mapping[str, Any]) -> list[_Window]:
    """The whole windows that are as fast as decoding alone is, for no part of a window can be
    faster than a whole one of as many requests.
    """
    windows = list(_windows(text, server))
    fastest = {
        count: max(window.pace for window in windows if window.most <= count)
        for count in {window.running for window in windows if window.is_whole}
    }
    return [
        window
        for window in windows
        if window.is_whole and window.pace >= _LEAST_SHARE * fastest[window.running]
    ]


def _windows(text: str, server: Mapping[str, Any]) -> Iterator[_Window]:
    shape, reads, before = pattern("".join(server["window"])), server.get("reads", "\n"), 0
    for line in text.splitlines():
        if reads in line:
            before = 0
        window = shape.search(line[:8192]) if server["mark"] in line else None
        if window is None or _OTHER_COPY.match(line[:200]) is not None:
            continue
        running, pace = int(window["running"]), positive(window["pace"])
        # a window in which a request began or a prompt was read holds less than its time
        is_same = bool(running) and running == before and not float(window["prompt"] or 0)
        yield _Window(
            running=running,
            pace=pace or 0.0,
            held=whole(window["held"]),
            most=max(running, before),
            is_whole=is_same and pace is not None,
        )
        before = running


def _weights(text: str) -> tuple[SeenMemory, ...]:
    """What the model took; () where nothing tells, or of one of several devices a part."""
    loaded = _first(_LOADED, text)
    is_one_device = max((int(size) for size in _SPREAD.findall(text)), default=1) == 1
    if loaded is None or not is_one_device:
        return ()
    memory = SeenMemory(
        term="weights",
        bytes=round(float(loaded) * _GIB),
        where="host" if _CPU in text else "accelerator:0",
        rounded_bytes=_GIB // 10 ** len(loaded.partition(".")[2]) // 2,
    )
    return (memory,)
