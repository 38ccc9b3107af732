"""How much faster one judged setting answers than another.

`gain_of` compares two judgements of the same question on a machine: by the pace of a user, else by
the longest wait for the first token.
"""

from __future__ import annotations

from ..core.records import Record
from ..judge.judging import waits_of
from ..judge.pace import Range, Wait
from ..judge.record import Judged
from ..machine.record import Machine

# a setting is worth naming from this many times the usual pace on (assumed)
_LEAST_GAIN = 1.3


class Gain(Record):
    """The pace, or the wait for the first token, without a setting (`usual`) and with the setting
    (`faster`).

    `unit` is the unit of both: "tokens_per_second" of a pace, "seconds" of a wait behind a prompt
    of `prompt_tokens`, which is None for a pace.
    """

    unit: str
    prompt_tokens: int | None = None
    usual: Range
    faster: Range


def gain_of(
    judged: Judged,
    other: Judged,
    machine: Machine,
) -> Gain | None:
    """What `other` gains over `judged`, in the pace or else in the longest wait; None if neither
    gain is large enough, or no pace is known.
    """
    usual = judged.users_pace
    faster = other.users_pace
    if usual is None or faster is None:
        return None
    if faster.likely >= _LEAST_GAIN * usual.likely:
        return Gain(unit="tokens_per_second", usual=usual, faster=faster)
    wait = _longest_wait(judged, machine)
    faster_wait = _longest_wait(other, machine)
    if wait is None or faster_wait is None:
        return None
    if wait.seconds is None or faster_wait.seconds is None:
        return None
    if wait.seconds.likely < _LEAST_GAIN * faster_wait.seconds.likely:
        return None
    return Gain(
        unit="seconds",
        prompt_tokens=wait.prompt_tokens,
        usual=wait.seconds,
        faster=faster_wait.seconds,
    )


def _longest_wait(judged: Judged, machine: Machine) -> Wait | None:
    """The wait behind the longest example prompt; None where no wait is known."""
    waits = waits_of(judged, machine)
    return waits[-1] if waits else None
