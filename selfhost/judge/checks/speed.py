"""Would it be as fast as is wanted?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core import units
from ...core.tables import shipped_table
from ...core.workload import (
    ANSWER_TOKENS,
    DEFAULT_CONTEXT_TOKENS,
    DEFAULT_MIN_TOKENS_PER_SECOND,
    READING_TOKENS_PER_SECOND,
)
from ...machine.record import BRIEFLY, Machine
from ...needs.records import Needs
from ..pace.speed import Speed
from ..record import Judged, Question
from . import FAIL, PASS, UNKNOWN, WARN, Cell, Finding, finding

# where the fast end is more than this times the slow one, a measurement narrows the range
_WIDE_PACE = 2
# facts that the pace in RAM rests on
_PACE_SETTING = ("memory_bandwidth_bytes_per_second", "cpu_cores_usable")


def speed_check(
    question: Question, placed: Needs, machine: Machine, speed: Speed
) -> Finding | None:
    """The estimated decode pace against what is wanted. None where tokens make no sense."""
    workload, pace, each_of = question.workload, speed.judged, speed.each_of
    wanted, in_ram = workload.min_tokens_per_second, placed.placement != "accelerator"
    if wanted is None:
        return None
    is_assumed = in_ram and any(machine.assumes(fact) for fact in _PACE_SETTING)
    how, figures = speed.how, dict[str, Any]()
    if pace is None and speed.decode is not None:
        drafted = " with a draft" if workload.draft is not None else ""
        how = f"the pace of {workload.parallel:,} sequences at once{drafted} cannot be estimated"
    elif pace is not None:
        is_wide = pace.high > _WIDE_PACE * pace.low
        likely, span = units.speed(pace.likely), units.speed(pace.low, pace.high)
        # the range, where its figures differ from the likely one
        about, guess = units.ABOUT[units.is_telling(pace.low, pace.high)]
        ends = f" ({units.pace(pace.low, pace.high)}{guess})"
        figures = {
            "pace": f"{about} {likely}{ends * (span != likely)}",
            "assumed": is_assumed,
            "answer": ANSWER_TOKENS / pace.high if pace.high else None,
            "reading": f"{READING_TOKENS_PER_SECOND:g}",
            "measure": how_to_measure(machine) if in_ram and is_wide else None,
        }
    return finding(
        *_pace_cell(question, speed, is_assumed=is_assumed),
        needs=wanted,
        has=None if pace is None else pace.likely,
        short=None if pace is None else max(0, wanted - pace.high),
        unit="tokens_per_second",
        how=how,
        wanted=units.stated(wanted),
        each=f"{each_of:,}" if each_of > 1 else None,
        context=workload.context_tokens,
        **figures,
    )


def _pace_cell(question: Question, speed: Speed, *, is_assumed: bool) -> Cell:
    workload, pace, is_stated = question.workload, speed.judged, question.speed_stated
    wanted, full = workload.min_tokens_per_second, speed.full_context_tokens_per_second
    if not wanted:
        return PASS, "speed-any", "" if pace is not None else "unknown", {}
    # a stated minimum that is left open decides
    if pace is None:
        return UNKNOWN, "speed-no-basis" if is_stated else "speed-not-known", "", {}
    if pace.high < wanted:
        return FAIL, "speed-too-slow", "", {}
    if pace.likely < wanted:
        outcome, code = (UNKNOWN, "speed-close") if is_stated else (WARN, "speed-slow")
        return outcome, code, "", {}
    is_long = speed.each_of == 1 and (workload.context_tokens or 0) > DEFAULT_CONTEXT_TOKENS
    if full is not None and full < wanted and is_long:
        return WARN, "speed-slow", "full", {"full": units.speed(full)}
    if pace.likely < READING_TOKENS_PER_SECOND:
        return WARN, "speed-slow", "reading", {}
    if is_assumed:
        return WARN, "speed-assumed", "", {}
    return PASS, "speed-comfortable", "", {}


def how_to_measure(machine: Machine) -> str | None:
    """How to measure the memory bandwidth; None where it is known, not just at present, or cannot
    be measured.
    """
    is_brief = machine.memory_bandwidth_how == BRIEFLY
    is_known = machine.memory_bandwidth_bytes_per_second is not None and not is_brief
    is_less_than_a_core = (machine.cpu_cores_usable or 0) < 1
    if is_known or machine.measured_in_vain or machine.planning or is_less_than_a_core:
        return None
    if machine.memory_available_bytes is None:
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


# from here on training on stated tokens takes long: begun in the evening, it is not done in the
# morning (a guess)
_NIGHT_SECONDS = 8 * 3600
# seconds from which the answer leads with the time: the finding is `speed-hours`. A text at the
# lowest pace, 2 tokens/s, keeps one waiting three minutes; who waits twenty times as long for one
# picture wants to know that first. A guess, 30 minutes to 2 hours
_HOURS_SECONDS = 3600


def work_check(question: Question, placed: Needs, machine: Machine, speed: Speed) -> Finding:
    """Of work that is no text: slow where it takes long, or where no GPU holds all of the model."""
    unit, work, dataset_tokens = speed.unit, speed.work, question.workload.dataset_tokens
    row = dict(shipped_table("findings")["work"][unit])
    if unit == units.TRAINED and dataset_tokens is not None:
        row["limit"] = dataset_tokens / _NIGHT_SECONDS
    way = _way_computed(question, placed, machine)
    parameters, long = question.spec.parameters.total or 0, None
    if way != "processor" or parameters < row.get("on_cpu_from_parameters", 0):
        row.pop("on_cpu", None)
    if work is not None:
        # `about 12 minutes for an hour of audio (6 minutes to 40 minutes)`
        usual = units.work(work.likely, unit, speed.audio_seconds)
        ends = units.work_ends(work.low, work.high, unit, speed.audio_seconds)
        about, guess = units.ABOUT[units.is_telling(work.low, work.high)]
        long = f"{about} {usual} ({ends}{guess})"
    cell = _work_cell(row, unit, None if work is None else work.likely, way)
    return finding(
        *cell,
        needs=row["limit"],
        has=work and work.likely,
        unit=unit,
        how=speed.how if work is None else None,
        remedy=row["faster"] if cell[0] is WARN else None,
        long=long,
    )


def _way_computed(question: Question, placed: Needs, machine: Machine) -> str:
    """How its parts come to a GPU in turn, or `processor`; empty where a GPU has it all."""
    runtime = question.runtime
    if placed.offload is not None or (runtime is not None and runtime.cpu_only):
        return placed.offload or "processor"
    has_gpu = any(device.unified for device in machine.accelerators or ())
    return "processor" * (placed.placement == "host" and not has_gpu)


def _work_cell(row: Mapping[str, Any], unit: str, likely: float | None, way: str) -> Cell:
    what, slow, on_cpu = row.get("what"), row["code"], row.get("on_cpu")
    if what is not None and way and on_cpu is None:
        is_video = way == "processor" and unit == "seconds_per_video"
        takes_hours = is_video if likely is None else likely >= _HOURS_SECONDS
        return WARN, "speed-hours" if takes_hours else slow, way, {"what": what}
    if likely is None and on_cpu is not None:
        return WARN, slow, "unknown-on-cpu", {"what": on_cpu}
    if likely is None:
        return UNKNOWN, "speed-not-known", "", {}
    if _is_beyond(likely, row["limit"], unit):
        return WARN, slow, "work", {}
    return PASS, "speed-comfortable", "work", {}


def _is_beyond(likely: float, limit: float, unit: str) -> bool:
    """Longer than the limit in seconds, or fewer than so many tokens or documents a second."""
    return likely > limit if unit.startswith("seconds") else likely < limit


def is_too_slow(judged: Judged) -> bool:
    """Likely below the wanted pace, or so slow that its finding warns."""
    pace = judged.speed.judged if judged.speed is not None else None
    wanted = judged.workload.min_tokens_per_second
    if pace is not None:
        return pace.likely < (DEFAULT_MIN_TOKENS_PER_SECOND if wanted is None else wanted)
    own = judged.finding("speed")
    if own is None or own.code == "speed-hours":
        return own is not None
    limit, likely = own.needs, own.has
    if not isinstance(limit, int | float) or not isinstance(likely, int | float):
        return False
    return _is_beyond(likely, limit, own.unit or "")


def is_slow(judged: Judged) -> bool:
    """Text likely comes more slowly than was wanted, or other work takes minutes to days."""
    pace = judged.speed.decode if judged.speed is not None else None
    own = judged.finding("speed")
    if own is None or pace is not None:
        return is_too_slow(judged)
    return own.code == "speed-slow" or is_slow_picture(judged)


def is_slow_picture(judged: Judged) -> bool:
    """On a CPU, or with every layer moved to a GPU at each step: many times as long as on a GPU."""
    return judged.has("speed-hours") or (judged.offload != "model" and judged.has("speed-picture"))
