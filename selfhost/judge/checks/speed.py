"""Would it be as fast as is wanted?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...core import units
from ...core.workload import (
    ANSWER_TOKENS,
    DEFAULT_MIN_TOKENS_PER_SECOND,
    READING_TOKENS_PER_SECOND,
    Workload,
)
from .record import Finding, Outcome

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..pace.speed import PaceRange, Speed
    from ..record import Answer, Judged
    from .record import Words

# where the fast end is more than this times the slow one, a measurement narrows the range
WIDE_PACE = 2
_FASTER = "choose a smaller model"
_MEASURE_THERE = "run the same on that machine, with --measure"
_UNSTATED = "leave out --min-speed: a stated minimum must likely be reached"
_ANY_SPEED = "accept any speed with --min-speed 0"


def speed_check(
    pace: PaceRange | None,
    workload: Workload,
    how: str,
    *,
    stated: bool = False,
    each_of: int = 1,
    assumed: bool = False,
    measure: str | None = None,
    state: Callable[[], str | None] = lambda: None,
) -> Finding | None:
    """The estimated decode pace against what is wanted. None where tokens make no sense.

    `how` says why there is no pace. `stated`: the user stated the minimum, so what leaves it open
    decides. `each_of`: it is the pace of each of so many sequences at once. `assumed`: the pace
    rests on facts that were taken from the machine's class. `measure`: what to do for the bandwidth
    that it rests on; `state`: which fact beside its names tells it.
    """
    wanted = workload.min_tokens_per_second
    if wanted is None:
        return None
    if pace is None:
        return _without_pace(wanted, how, stated=stated, each_of=each_of)
    low, likely, high = pace.low, pace.likely, pace.high
    each, faster = _of_each(each_of)

    def finding(
        outcome: Outcome,
        code: str,
        but: str = "",
        remedy: str | Callable[[], str] | None = None,
    ) -> Finding:
        def words() -> tuple[str, str | None]:
            basis = " This rests on assumed facts about the machine." if assumed else ""
            return (
                f"Expect {_expected(pace)}{each}{but}.{basis}",
                remedy() if callable(remedy) else remedy,
            )

        return _finding(wanted, pace, outcome, code, words)

    if not wanted:
        return finding(Outcome.PASS, "speed-any")
    if high < wanted:
        return finding(
            Outcome.FAIL,
            "speed-too-slow",
            f", below the {units.stated(wanted)} you need; a 300-word answer would take"
            f" {units.duration(ANSWER_TOKENS / high)} or more",
            f"{faster}, or {_ANY_SPEED}",
        )
    if measure and high > WIDE_PACE * low:
        faster = f"{measure} for a narrower range, or {faster}"
    if likely < wanted:
        but = f", likely below the {units.stated(wanted)} you need"
        if stated:
            return finding(Outcome.UNKNOWN, "speed-close", but, f"{faster}, or {_UNSTATED}")
        return finding(Outcome.WARN, "speed-slow", but, faster)
    if likely < READING_TOKENS_PER_SECOND:
        but = f", slower than reading ({READING_TOKENS_PER_SECOND:g} tokens/s)"
        return finding(Outcome.WARN, "speed-slow", but, faster)
    if assumed:
        return finding(
            Outcome.WARN,
            "speed-assumed",
            remedy=lambda: state() or _MEASURE_THERE,
        )
    return finding(Outcome.PASS, "speed-comfortable")


def _of_each(sequences: int) -> tuple[str, str]:
    """Whose pace it is, where several sequences run at once, and what makes it faster."""
    if sequences == 1:
        return "", _FASTER
    return (
        f" for each of {sequences:,} sequences at once",
        f"{_FASTER} or judge fewer sequences",
    )


# from here on work is a matter of hours: a picture in ten minutes, a clip in an hour, audio slower
# than it is heard, a document of 512 tokens slower than a person reads it, ten seconds for
# the vector of a picture, a million tokens of training in a day
_DAY_SECONDS = 86_400
# on stated tokens training takes long from here on: it is not done in the morning (a guess)
_NIGHT_SECONDS = 8 * 3600
_SLOW: Mapping[str, tuple[float, str, str]] = {
    "seconds_per_image": (600, "speed-picture", "use a GPU that holds the model, or an API"),
    "seconds_per_video": (3600, "speed-picture", "use a faster GPU, or an API"),
    "seconds_per_audio_minute": (60, "speed-slow", "choose a smaller model, or use a GPU"),
    "seconds_per_music_minute": (600, "speed-picture", "choose a smaller model, or use a GPU"),
    "documents_per_second": (
        READING_TOKENS_PER_SECOND / 512,
        "speed-slow",
        "choose a smaller model, or use a GPU",
    ),
    "pictures_per_second": (0.1, "speed-slow", "choose a smaller model, or use a GPU"),
    units.TRAINED: (
        1e6 / _DAY_SECONDS,
        "speed-slow",
        "train a smaller model, or use a GPU",
    ),
}
# seconds from which the answer leads with the time: the finding is `speed-hours`. A text at the
# lowest pace, 2 tokens/s, keeps one waiting three minutes; who waits twenty times as long for one
# picture wants to know that first. A guess, 30 minutes to 2 hours
HOURS_SECONDS = 3600
_LONGER = {
    "model": "takes longer than on a GPU that holds all of the model, because its parts move to the"
    " GPU in turn",
    "sequential": "takes much longer than on a GPU that holds all of the model, because every layer"
    " moves to the GPU at each step",
    "processor": "takes much longer on a CPU than on a GPU",
}
_MADE_IN_STEPS = {"seconds_per_image": "A picture", "seconds_per_video": "A video"}


# what models make whose work nothing estimates: by modality, what it is and how long it takes on a
# CPU and on a GPU. The example: Wan 2.1 1.3B, 480p (Wan-Video/Wan2.1, README.md)
_EXAMPLE = "A small model took four minutes for five seconds of video on an RTX 4090"
MADE = {
    "video": ("A video", f"hours to days. {_EXAMPLE}", f"minutes to hours. {_EXAMPLE}"),
    "music": ("A piece of music", "minutes to hours", "commonly minutes"),
}


def made_check(modality: str, *, offload: str | None, on_processor: bool) -> Finding:
    """Of what a model of MADE makes: a warning by parts (`offload` as of `needs.records.Offloaded`)
    and on a CPU, so that nobody takes its time for that of a GPU; else nothing tells how long.
    """
    what, on_cpu, on_gpu = MADE[modality]
    how_long = f"How long {what[0].lower()}{what[1:]} takes"
    outcome, code, remedy = Outcome.WARN, "speed-picture", "use a GPU with more memory, or an API"
    if offload is not None:
        reason = f"{what} {_LONGER[offload]}."
    elif on_processor:
        reason = f"{how_long} on a CPU is not known: {on_cpu}."
        code = "speed-hours" if modality == "video" else code
        remedy = "use a GPU that holds the model, or an API"
    else:
        reason = f"{how_long} here is not known: {on_gpu}."
        return Finding(
            check="speed", outcome=Outcome.UNKNOWN, code="speed-not-known", reason=reason
        )
    return Finding(check="speed", outcome=outcome, code=code, reason=reason, remedy=remedy)


# work of which a CPU takes long, whatever the model, where nothing tells how long
_UNKNOWN_ON_CPU = {
    units.TRAINED: "How long training takes on a CPU is not known, commonly days",
    "seconds_per_music_minute": "How long a piece of music takes on a CPU is not known: minutes to"
    " hours",
}
_UNKNOWN_OF_SOUND = (
    "How long this takes on a CPU is not known, of a model this large commonly longer than the"
    " sound itself"
)


def _limit_of(unit: str, dataset_tokens: int | None) -> tuple[float | None, str, str]:
    """From where on work of that unit takes long, with the reason's code and the remedy; None where
    nothing says. `dataset_tokens` as of `work_check`.
    """
    limit, code, remedy = _SLOW.get(unit, (None, "speed-slow", _FASTER))
    if unit == units.TRAINED and dataset_tokens is not None:
        limit = dataset_tokens / _NIGHT_SECONDS
    return limit, code, remedy


def work_check(
    speed: Speed,
    *,
    offload: str | None,
    on_processor: bool,
    is_large: bool = False,
    dataset_tokens: int | None = None,
) -> Finding:
    """Of work that is no text: a warning where it takes hours, and of pictures where no GPU holds
    all of the model; an unknown that never decides where nothing tells the pace.

    `offload` as of `needs.records.Offloaded`; `on_processor`: no GPU computes it. `is_large`: a
    model of sound that commonly takes longer on a CPU than the sound lasts. `dataset_tokens`: of
    training, how many were asked about; a million where None.
    """
    way = offload or ("processor" if on_processor else "")
    made_in_steps = _MADE_IN_STEPS.get(speed.unit) if way in _LONGER else None
    limit, code, remedy = _limit_of(speed.unit, dataset_tokens)

    def finding(
        outcome: Outcome, code: str, reason: Callable[[], str], remedy: str | None = None
    ) -> Finding:
        return Finding(
            check="speed",
            outcome=outcome,
            code=code,
            needs=limit,
            has=None if speed.work is None else speed.work.likely,
            short=None,
            unit=speed.unit,
            reserve_bytes=None,
            reason=reason(),
            remedy=remedy,
        )

    if made_in_steps is not None:
        if speed.work is not None and speed.work.likely >= HOURS_SECONDS:
            code = "speed-hours"
        return finding(
            Outcome.WARN, code, lambda: f"{made_in_steps} {_LONGER[way]}{_how_long(speed)}.", remedy
        )
    if speed.work is None and on_processor and (is_large or speed.unit in _UNKNOWN_ON_CPU):
        what = _UNKNOWN_ON_CPU.get(speed.unit, _UNKNOWN_OF_SOUND)
        return finding(Outcome.WARN, code, lambda: f"{what}: {speed.how}.", remedy)
    if speed.work is None:
        return finding(
            Outcome.UNKNOWN,
            "speed-not-known",
            lambda: f"The speed cannot be estimated: {speed.how}.",
        )
    if limit is not None and _is_beyond(speed.work.likely, limit, speed.unit):
        return finding(Outcome.WARN, code, lambda: f"This takes long{_how_long(speed)}.", remedy)
    return finding(Outcome.PASS, "speed-comfortable", lambda: f"Expect{_how_long(speed)[1:]}.")


def _how_long(speed: Speed) -> str:
    """`: about 12 minutes for an hour of audio (6 minutes to 40 minutes)`."""
    if speed.work is None:
        return f". How long is not known: {speed.how}"
    low, high = speed.work.low, speed.work.high
    words = units.work_ends(low, high, speed.unit, speed.audio_seconds)
    likely = units.work(speed.work.likely, speed.unit, speed.audio_seconds)
    return f": {units.about(low, high)} {likely} ({words}{units.guess(low, high)})"


def takes_long(finding: Finding) -> bool:
    """Of the finding of work that is no text: it likely takes hours."""
    limit, likely = finding.needs, finding.has
    if finding.code == "speed-hours":
        return True
    if not isinstance(limit, int | float) or not isinstance(likely, int | float):
        return False
    return _is_beyond(likely, limit, finding.unit or "")


def _is_beyond(likely: float, limit: float, unit: str) -> bool:
    """Longer than the limit in seconds, or fewer than so many tokens or documents a second."""
    return likely > limit if unit.startswith("seconds") else likely < limit


def _without_pace(wanted: float, how: str, *, stated: bool, each_of: int) -> Finding:
    """There is nothing to estimate it from."""
    reason = f"The speed cannot be estimated: {how}."
    if not wanted:
        return _finding(wanted, None, Outcome.PASS, "speed-any", lambda: (reason, None))
    if stated:
        reason = f"Whether it reaches {units.stated(wanted)} tokens/s is not known: {how}."
        remedy = f"leave out --min-speed, or {_ANY_SPEED}"
        if each_of > 1:
            remedy = f"judge one sequence alone with --parallel 1, {remedy}"
        return _finding(wanted, None, Outcome.UNKNOWN, "speed-no-basis", lambda: (reason, remedy))
    return _finding(wanted, None, Outcome.UNKNOWN, "speed-not-known", lambda: (reason, None))


def _expected(pace: PaceRange) -> str:
    """The likely speed, and its range where that prints otherwise."""
    likely, span = units.speed(pace.likely, pace.likely), units.speed(pace.low, pace.high)
    ends = f"{units.pace(pace.low, pace.high)}{units.guess(pace.low, pace.high)}"
    word = units.about(pace.low, pace.high)
    return f"{word} {likely if span == likely else f'{likely} ({ends})'}"


def _finding(
    wanted: float, pace: PaceRange | None, outcome: Outcome, code: str, words: Words
) -> Finding:
    """`has` is the likely pace, and `short` what the fast end lacks."""
    reason, remedy = words()
    return Finding(
        check="speed",
        outcome=outcome,
        code=code,
        needs=wanted,
        has=None if pace is None else pace.likely,
        short=None if pace is None else max(0, wanted - pace.high),
        unit="tokens_per_second",
        reserve_bytes=None,
        reason=reason,
        remedy=remedy,
    )


def is_too_slow(judged: Answer | Judged, wanted: float | None) -> bool:
    """Its likely pace is below the wanted one, of other work than text beyond what its finding of
    speed takes for slow, or it makes video without a GPU; False where no pace is known.
    """
    pace = judged.speed.judged if judged.speed is not None else None
    if pace is not None:
        return pace.likely < (DEFAULT_MIN_TOKENS_PER_SECOND if wanted is None else wanted)
    finding = next((each for each in judged.findings if each.check == "speed"), None)
    return finding is not None and takes_long(finding)


def is_slow(judged: Answer | Judged, wanted: float | None) -> bool:
    """Text likely comes more slowly than was wanted, or other work takes minutes to days."""
    pace = judged.speed.decode if judged.speed is not None else None
    finding = next((each for each in judged.findings if each.check == "speed"), None)
    if finding is None or pace is not None:
        return is_too_slow(judged, wanted)
    return finding.code == "speed-slow" or is_slow_picture(judged)


def is_slow_picture(judged: Answer | Judged) -> bool:
    """A picture on a CPU, or with every layer moved to a GPU at each step: many times as long as
    with a GPU that holds the model, or each of its parts.
    """
    by_parts = judged.needs is not None and judged.needs.offload == "model"
    codes = {finding.code for finding in judged.findings}
    return "speed-hours" in codes or (not by_parts and "speed-picture" in codes)
