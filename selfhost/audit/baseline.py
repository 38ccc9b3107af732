"""`--baseline FILE`: the rows of an earlier audit as JSON Lines, and what changed since.

A row is known again by the machine's name and the model's label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ..core.errors import Faults, InputError, Problem
from ..core.files import Unreadable, read_file, text_of
from ..core.json_text import Decoder
from ..core.records import Record
from .judge_fleet import Rows
from .record import Audit, Change, Result, Row, Since
from .systems.facts import NOT_JUDGED

# a row takes about 200 bytes: room for a million of them
MAX_BASELINE_BYTES = 1 << 28
_RESULTS = {result.value: result for result in Result}
_BAD = (Result.FAIL, Result.UNKNOWN)
# a name in it is as long as a person gives one
_MAX_NAME = 10_000
_WRITE_IT = "write it by `selfhost audit --format jsonl=FILE`"


class Baseline(Record):
    """What an earlier audit said: by machine and label, each row's result and failed findings."""

    file: str
    rows: Mapping[tuple[str, str], tuple[Result, frozenset[str]]]


def read_baseline(path: str) -> Baseline:
    """The earlier audit in a file. `InputError` has file and line."""
    rows: dict[tuple[str, str], tuple[Result, frozenset[str]]] = {}
    faults = Faults(path)
    try:
        lines = text_of(read_file(path, MAX_BASELINE_BYTES, input_allowed=True)).splitlines()
    except Unreadable as error:
        raise InputError([_problem(path, error)]) from None
    for number, line in enumerate(lines, 1):
        try:
            rows.update(_row(line))
        except Unreadable as error:
            faults.append(_problem(path, error, number))
            if faults.full:
                break
    if not faults and not rows:
        faults.append(_problem(path, Unreadable("holds no row of an audit")))
    if faults:
        raise InputError(faults.problems)
    return Baseline(file=path, rows=rows)


def _problem(path: str, error: Unreadable, line: int | None = None) -> Problem:
    remedy = error.remedy or _WRITE_IT
    return Problem(file=path, line=line, message=error.reason, remedy=remedy)


def _row(line: str) -> dict[tuple[str, str], tuple[Result, frozenset[str]]]:
    """The row of a line, none of one that is of no machine. Raises `Unreadable`, which begins with
    the key.
    """
    row = Decoder().parse(line)
    if not isinstance(row, dict) or "schema" in row:
        raise Unreadable("is no row of an audit: JSON Lines have one object a line")
    if row.get("problem") is not None or row.get("exception") is not None:
        return {}
    for key in ("machine", "label"):
        name = row.get(key)
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
            raise Unreadable(f"{key}: {'is missing' if name is None else 'must be a name'}")
    result, failed = row.get("result"), row.get("failed")
    if not isinstance(result, str) or result not in _RESULTS:
        raise Unreadable(f"result: is none of {', '.join(_RESULTS)}")
    if not isinstance(failed, list) or not all(isinstance(name, str) for name in failed):
        raise Unreadable("failed: must be a list of names")
    return {(row["machine"], row["label"]): (_RESULTS[result], frozenset(failed))}


def since(audit: Audit, baseline: Baseline, names: Iterable[str]) -> Audit:
    """The audit with those rows alone that changed. What does not newly fail, and is not newly
    unknown, has the exit code 0.

    `names` are the machines that were judged. One that the baseline names and that is not among
    them is a problem: nobody can say how it fares.
    """
    known = {*names, *(problem.message.partition(NOT_JUDGED)[0] for problem in audit.problems)}
    gone = [
        Problem(
            file=baseline.file,
            message=f"{name}{NOT_JUDGED}it is in the baseline, and not here any more",
            remedy="bring its record back; if the machine is gone for good, write the baseline"
            " anew",
        )
        for name in dict.fromkeys(machine for machine, _ in baseline.rows)
        if name not in known
    ]
    assert isinstance(audit.rows, Rows)
    rows = audit.rows.changed(lambda row: change_of(row, baseline))
    counts = Counter(row.change for row in rows)
    return audit.replace(
        rows=rows,
        tally=rows.tally(),
        groups=tuple(rows.groups()),
        since=Since(
            file=baseline.file,
            new=counts[Change.NEW],
            fixed=counts[Change.FIXED],
            changed=counts[Change.CHANGED],
            unchanged=sum(audit.tally.results.values()) - counts.total(),
        ),
        problems=(*audit.problems, *Faults(baseline.file, gone).problems),
    )


def change_of(row: Row, baseline: Baseline) -> Change | None:
    """What became of a row since the baseline; None where nothing did. A row that the baseline does
    not have is new where it fails or is unknown, else unchanged.
    """
    earlier = baseline.rows.get((row.machine, row.wanted.label))
    is_bad = row.result in _BAD
    if earlier is None:
        return Change.NEW if is_bad else None
    earlier_result, failed = earlier
    if earlier == (row.result, frozenset(row.failed)):
        return None
    if not is_bad:
        return Change.FIXED if earlier_result in _BAD else Change.CHANGED
    if row.result is Result.FAIL:
        is_worse = earlier_result is not Result.FAIL or not failed.issuperset(row.failed)
    else:
        is_worse = earlier_result not in _BAD
    return Change.NEW if is_worse else Change.CHANGED
