"""An audit as one line of a monitoring plugin (Nagios, Icinga, Naemon, checkmk's local checks by
MRPE), with performance data.

Format: the Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Performance
data".
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from ..audit.entries import OnUnknown
from ..audit.record import Audit, Result, Use
from .audit_issues import ENDED, NEEDLESS, NOT_JUDGED, Level, issues
from .audit_words import ANSWERS, many, needs_attention, results, shortened, spread

# readers keep 4 KB of a plugin's output, older ones 1 KB
_MOST_OF_THE_WORDS = 600


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
    lets_unknown_pass = audit.policy.on_unknown is OnUnknown.IGNORE
    is_wrong = audit.count(Result.FAIL) or (audit.count(Result.UNKNOWN) and not lets_unknown_pass)
    if is_wrong or any(map(needs_attention, audit.exceptions)):
        return State.WARNING
    return State.OK


def render(audit: Audit) -> str:
    """One line that ends in a newline."""
    line = _line(state_of(audit), _words(audit))
    return f"{line} | {' '.join(_figures(audit))}\n"


def unknown(message: str) -> str:
    """The line of a run that came to no audit at all."""
    return f"{_line(State.UNKNOWN, message)}\n"


def _line(state: State, words: str) -> str:
    # what follows a bar is read as performance data
    shown = shortened(words, _MOST_OF_THE_WORDS).replace("|", "/")
    return f"SELFHOST {state.name} - {shown}"


def _words(audit: Audit) -> str:
    """The outcome, then the worst issue with the number of the others."""
    said = f"{ANSWERS[audit.exit_code][1]}: {spread(audit)}, {results(audit)}"
    if expired := _expired(audit):
        said += f", {many(expired, 'exception')} expired"
    entries = [issue for issue in issues(audit) if issue.level is not Level.NOTE]
    if not entries:
        return said
    others = len(entries) - 1
    more = f" (and {many(others, 'more issue')})" if others else ""
    worst = entries[0]
    # a fault's file is where it stands; of the others it is the policy
    place = f"{worst.file}: " if worst.rule == NOT_JUDGED else ""
    # of a model what to do stands in the other reports
    words = worst.sentence if worst.rule in (ENDED, NEEDLESS) else worst.text
    return f"{said}; {place}{words}{more}"


def _figures(audit: Audit) -> Iterator[str]:
    """`label=value;warn;crit;min;max`; a threshold of 0 is crossed by the first one."""
    counts = {result: audit.count(result) for result in Result}
    most = sum(counts.values())
    thresholds = {Result.FAIL: ";0", Result.UNKNOWN: "0;"}
    for result, count in counts.items():
        yield f"{result}={count};{thresholds.get(result, ';')};0;{most}"
    yield f"machines={audit.machines};;;0;"
    yield f"problems={len(audit.problems)};0;;0;"
    yield f"expired_exceptions={_expired(audit)};0;;0;"


def _expired(audit: Audit) -> int:
    return sum(each.use is Use.EXPIRED for each in audit.exceptions)
