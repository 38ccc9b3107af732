"""Would it be as fast as is wanted?"""

from __future__ import annotations

from ...core import units
from ...core.workload import ANSWER_TOKENS, READING_TOKENS_PER_SECOND, Workload
from .record import Finding, Outcome

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..speed import PaceRange
    from .record import Words

# where the fast end is more than this times the slow one, a measurement narrows the range
WIDE_PACE = 2
_FASTER = "choose a smaller model"


def speed_check(
    pace: PaceRange | None,
    workload: Workload,
    how: str,
    *,
    stated: bool = False,
    assumed: bool = False,
    measure: str | None = None,
) -> Finding | None:
    """The estimated decode pace against what is wanted. None where tokens make no sense.

    `how` says why there is no pace. `stated`: the user stated the minimum, so what leaves it open
    decides. `assumed`: the pace rests on facts that were taken from the machine's class. `measure`:
    what to do for the bandwidth that it rests on.
    """
    wanted = workload.min_tokens_per_second
    if wanted is None:
        return None
    if pace is None:
        return _without_pace(wanted, how, stated=stated)
    low, likely, high = pace.low, pace.likely, pace.high

    def finding(outcome: Outcome, code: str, but: str = "", remedy: str | None = None) -> Finding:
        def words() -> tuple[str, str | None]:
            basis = " This rests on assumed facts about the machine." if assumed else ""
            return f"Expect about {_expected(pace)}{but}.{basis}", remedy

        return _finding(wanted, pace, outcome, code, words)

    if not wanted:
        return finding(Outcome.PASS, "speed-any")
    if high < wanted:
        return finding(
            Outcome.FAIL,
            "speed-too-slow",
            f", below the {wanted:g} you need; a 300-word answer would take"
            f" {units.duration(ANSWER_TOKENS / high)} or more",
            f"{_FASTER}, or accept any speed with --min-speed 0",
        )
    faster = _FASTER
    if measure and high > WIDE_PACE * low:
        faster = f"{measure} for a narrower range, or {faster}"
    if likely < wanted:
        but = f", likely below the {wanted:g} you need"
        if stated:
            return finding(Outcome.UNKNOWN, "speed-close", but, faster)
        return finding(Outcome.WARN, "speed-slow", but, faster)
    if likely < READING_TOKENS_PER_SECOND:
        but = f", slower than reading ({READING_TOKENS_PER_SECOND:g} tokens/s)"
        return finding(Outcome.WARN, "speed-slow", but, faster)
    if assumed:
        return finding(
            Outcome.WARN,
            "speed-assumed",
            remedy="run `selfhost check --measure` on that machine",
        )
    return finding(Outcome.PASS, "speed-comfortable")


# by how a model is offloaded, how much longer a picture takes: FLUX.1 [dev] with 50 steps on an
# A100 in 26 seconds, 56 with enable_model_cpu_offload, 5 minutes with
# enable_sequential_cpu_offload; in nf4 28 and 39 (matiasbattaglia.com, 2025-06-09)
_OFFLOADED_PICTURES = {
    "model": (
        "longer than on a GPU that holds all of the model, because its parts move"
        " to the GPU in turn: 1.4 to 2.2 times as long with FLUX.1 [dev] on an A100."
    ),
    "sequential": (
        "much longer than on a GPU that holds all of the model, because every layer"
        " moves to the GPU at each step: 12 times as long with FLUX.1 [dev] on an A100."
    ),
}


_RESULTS = {"image": "A picture", "video": "A video", "music": "A piece of music"}


def offloaded_picture_check(way: str, modality: str) -> Finding:
    """Of what a model of MADE makes on a GPU that the model's parts come to in turn; `way` as of
    `needs.records.Offloaded`.
    """
    return Finding(
        check="speed",
        outcome=Outcome.WARN,
        code="speed-picture",
        reason=f"{_RESULTS[modality]} takes {_OFFLOADED_PICTURES[way]}",
        remedy="use a GPU with more memory, or an API",
    )


# what models make whose work is not counted in tokens: by modality the sentence of a CPU
MADE = {
    "image": "How long a picture takes on a CPU is not known: minutes to hours. A small model took"
    " ten minutes on 28 cores, and five seconds on an RTX 3060.",
    "video": "How long a video takes on a CPU is not known: hours to days. A small model took four"
    " minutes for five seconds of video on an RTX 4090.",
    "music": "How long a piece of music takes on a CPU is not known: minutes to hours.",
}


def picture_check(modality: str) -> Finding:
    """Of what a model of MADE makes on a CPU, whose time nothing estimates: a warning, so that
    nobody takes it for that of a GPU.

    The example: Stable Diffusion 1.5, 25 steps, 512 x 512 pixels, float32, two Xeon E5-2690 v4 in
    600 seconds, an RTX 3060 in 5 (z4ng1ew/Stable-diffusion-local-inference@0eb354de, README.md);
    Wan 2.1 1.3B, 480p (Wan-Video/Wan2.1, README.md).
    """
    return Finding(
        check="speed",
        outcome=Outcome.WARN,
        code="speed-picture",
        reason=MADE[modality],
        remedy="use a GPU that holds the model, or an API",
    )


def _without_pace(wanted: float, how: str, *, stated: bool) -> Finding:
    """There is nothing to estimate it from."""
    reason = f"The speed cannot be estimated: {how}."
    if not wanted:
        return _finding(wanted, None, Outcome.PASS, "speed-any", lambda: (reason, None))
    if stated:
        reason = f"Whether it reaches {wanted:g} tokens/s is not known: {how}."
        remedy = "leave out --min-speed, or accept any speed with --min-speed 0"
        return _finding(wanted, None, Outcome.UNKNOWN, "speed-no-basis", lambda: (reason, remedy))
    return _finding(wanted, None, Outcome.UNKNOWN, "speed-not-known", lambda: (reason, None))


def _expected(pace: PaceRange) -> str:
    """The likely speed, and its range where that prints otherwise."""
    likely, span = units.speed(pace.likely, pace.likely), units.speed(pace.low, pace.high)
    return likely if span == likely else f"{likely} ({units.pace(pace.low, pace.high)})"


def _finding(
    wanted: float, pace: PaceRange | None, outcome: Outcome, code: str, words: Words
) -> Finding:
    """`has` is the likely pace, and `short` what the fast end lacks."""
    return Finding.worded_when_read(
        {
            "check": "speed",
            "outcome": outcome,
            "code": code,
            "needs": wanted,
            "has": None if pace is None else pace.likely,
            "short": None if pace is None else max(0, wanted - pace.high),
            "unit": "tokens_per_second",
            "reserve_bytes": None,
        },
        words,
    )
