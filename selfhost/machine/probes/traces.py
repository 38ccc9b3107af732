"""What threads read while all of them ran: bytes per second, whatever else ran meanwhile.

A chunk takes a tenth of a millisecond to one. A program that takes the processor away keeps it for
milliseconds, so that the median chunk is one of an undisturbed thread, also where a thread gets a
fifth of a processor: with eight programs on two processors, medians of a C probe stayed within 3 %
from run to run while its averages went from 4 to 15 GB/s (measured, 2 vCPUs, Granite Rapids).
"""

from __future__ import annotations

# of `bisect`, which is a file more to load
from _bisect import bisect_left
from collections.abc import Iterator, Sequence

from ...core.records import Record

# a chunk that took so many times the median was interrupted
_INTERRUPTED = 2.0
# undisturbed chunks of each thread that a figure rests on at least
_LEAST_CHUNKS = 4
_Span = tuple[float, float]


class Trace(Record):
    """What one thread did: when it began, when each chunk was done (seconds), bytes to a chunk,
    its share of a processor. `memory_bytes`: of the memory that it read in turn, from its beginning
    again once it came to the end.
    """

    began: float
    done: tuple[float, ...]
    chunk_bytes: int
    cpu_share: float
    memory_bytes: int


def rate(traces: Sequence[Trace]) -> float | None:
    """Bytes per second of all threads together, by the median of the chunks that each read while
    all of them ran undisturbed; None where there are too few such.
    """
    at_median = rates(traces, (0.5,))
    return None if at_median is None else at_median[0]


def rates(traces: Sequence[Trace], quantiles: Sequence[float]) -> list[float] | None:
    """`rate` by each of these quantiles of the durations of a thread's chunks: above a half, slower
    ones decide.
    """
    if not traces or not all(trace.done for trace in traces):
        return None
    gaps = _merged(gap for trace in traces for gap in _gaps(trace))
    ends = [end for _, end in gaps]
    totals = [0.0] * len(quantiles)
    for trace in traces:
        taken = sorted(
            end - start for start, end in _chunks(trace) if _is_between(gaps, ends, start, end)
        )
        if len(taken) < _LEAST_CHUNKS:
            return None
        for number, quantile in enumerate(quantiles):
            totals[number] += trace.chunk_bytes / taken[int(len(taken) * quantile)]
    return totals


def best_of_one(traces: Sequence[Trace]) -> float | None:
    """Bytes per second of the thread that read most, for itself: no more than all together read."""
    best = best_rates_of_one(traces, (0.5,))
    return None if best is None else best[0]


def best_rates_of_one(traces: Sequence[Trace], quantiles: Sequence[float]) -> list[float] | None:
    """`best_of_one` by each of these quantiles; the thread is that which read most by the first."""
    of_threads = [each for trace in traces if (each := rates([trace], quantiles)) is not None]
    return max(of_threads, default=None)


def _chunks(trace: Trace) -> Iterator[_Span]:
    """When each chunk began and was done."""
    return zip((trace.began, *trace.done), trace.done, strict=False)


def _gaps(trace: Trace) -> Iterator[_Span]:
    """When the thread did not run undisturbed."""
    taken = sorted(end - start for start, end in _chunks(trace))
    longest = _INTERRUPTED * taken[len(taken) // 2]
    yield float("-inf"), trace.began
    for start, end in _chunks(trace):
        if end - start > longest:
            yield start, end
    yield trace.done[-1], float("inf")


def _merged(gaps: Iterator[_Span]) -> list[_Span]:
    """In order, without overlaps."""
    merged: list[_Span] = []
    for start, end in sorted(gaps):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _is_between(gaps: Sequence[_Span], ends: Sequence[float], start: float, end: float) -> bool:
    """No gap lies between `start` and `end`; `ends` are those of the gaps."""
    # the first gap that ends after the chunk began
    at = bisect_left(ends, start)
    if ends[at] == start:
        at += 1
    return gaps[at][0] >= end
