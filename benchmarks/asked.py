"""What `selfhost.check` answers to a measured run: the pace of text, and the memory.

What goes in: a `TextRun` or a `MemoryRun`. What comes out: the predicted range, or None with a line on
standard error that says why. Only names of the public interface are used, so that other versions of
selfhost can be asked the same (`ablation.py`).
"""

from __future__ import annotations

from typing import NamedTuple

from runs import DECODE, MemoryRun, TextRun, report_left_out

from selfhost import SelfhostError, Verdict, check

# the pace of a question and its answer, which `check` tells, holds to that depth
_SHORT_CHAT_TOKENS = 256
# parts of the memory that the measured figures leave out
_NOT_MEASURED = ("runtime", "projector")


class Ends(NamedTuple):
    """The range that is predicted: rates in tokens a second, or bytes."""

    low: float
    likely: float
    high: float

    def times(self, factor: float) -> Ends:
        """Each figure, so many times as large."""
        return Ends(self.low * factor, self.likely * factor, self.high * factor)


class Prediction(NamedTuple):
    """The predicted pace of a run, in tokens a second, and whether a part of the model lies in RAM
    beside a GPU.
    """

    pace: Ends
    is_split: bool


def predicted(run: TextRun) -> Prediction | None:
    """What `check` predicts for a run; None where no pace is known, or on another number of GPUs
    than the source states.
    """
    try:
        verdict = check(run.spec, run.workload, machine=run.machine)
    except SelfhostError as error:
        report_left_out(run.spec, run.device, str(error))
        return None
    pace = _pace_of(verdict, run.work)
    if pace is None or verdict.needs is None:
        report_left_out(run.spec, run.device, "no pace")
        return None
    if run.gpus and gpus_used(verdict) != run.gpus:
        report_left_out(run.spec, run.device, "no pace on all its GPUs")
        return None
    if run.work == DECODE and run.depth_tokens > _SHORT_CHAT_TOKENS:
        pace = pace.times(_share_left(run))
    return Prediction(pace, verdict.needs.placement == "split")


def _pace_of(verdict: Verdict, work: str) -> Ends | None:
    """The pace of that work."""
    speed = verdict.speed
    if speed is None:
        return None
    match work:
        case "decode":
            pace = speed.decode
        case "prompt":
            pace = speed.prompt
        case _:
            pace = speed.parallel_total
    return None if pace is None else Ends(pace.low, pace.likely, pace.high)


def gpus_used(verdict: Verdict) -> int:
    """How many GPUs hold weights of the model."""
    places: set[str] = set()
    memory = verdict.needs.memory if verdict.needs is not None else None
    for term in memory.terms if memory is not None else ():
        if term.name == "weights" and term.bytes and term.where != "host":
            places.add(term.where)
    return len(places)


def _share_left(run: TextRun) -> float:
    """The share of the pace that is left as deep in the context as the run was.

    `check` tells the pace of a full context where it is less by a tenth or more. Where it is not told
    of a context of that depth, it is worked out from that of one four times as deep: the time of a
    token grows by as much with each token before it.
    """
    for times in (1, 4):
        deep = run.workload.replace(context_tokens=times * run.depth_tokens)
        speed = check(run.spec, deep, machine=run.machine).speed
        if speed is None or speed.decode is None:
            break
        if speed.full_context_tokens_per_second is not None:
            longer = speed.decode.likely / speed.full_context_tokens_per_second
            return 1 / (1 + max(0.0, longer - 1) / times)
    return 1.0


def predicted_memory(run: MemoryRun) -> Ends | None:
    """The bytes that `check` predicts for a run; None where it tells none."""
    needs = check(run.spec, run.workload, machine=run.machine).needs
    if needs is None or needs.memory is None:
        report_left_out(run.spec, run.label, "no memory")
        return None
    ends = Ends(0, 0, 0)
    for term in needs.memory.terms:
        is_measured = not any(name in term.name for name in _NOT_MEASURED)
        if is_measured and term.where.startswith(run.place):
            ends = Ends(
                ends.low + term.low_bytes,
                ends.likely + term.bytes,
                ends.high + term.high_bytes,
            )
    return ends
