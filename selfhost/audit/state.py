"""What a monitoring system calls the outcome of an audit."""

from __future__ import annotations

from enum import IntEnum

from .entries import OnUnknown
from .record import Audit, Result, Use


class State(IntEnum):
    """The four states of monitoring plugins. The value is the exit code.

    Source: the Monitoring Plugins Development Guidelines, "Plugin Return Codes".
    """

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def state_of(audit: Audit) -> State:
    """CRITICAL where the policy is broken, even if other things could not be judged. WARNING where
    the policy holds and something is wrong that it does not count, or an exception has ended or is
    needless.
    """
    if audit.outcome is Result.FAIL:
        return State.CRITICAL
    if audit.exit_code:
        return State.UNKNOWN
    warned = {Result.FAIL}
    if audit.policy.on_unknown is not OnUnknown.IGNORE:
        warned.add(Result.UNKNOWN)
    if any(audit.count(result) for result in warned):
        return State.WARNING
    ended = (each.use is Use.EXPIRED for each in audit.exceptions)
    needless = (each.use is Use.UNUSED and each.concerned for each in audit.exceptions)
    return State.WARNING if any(ended) or any(needless) else State.OK
