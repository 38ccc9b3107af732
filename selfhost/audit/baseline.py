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
# by machine and label what became of it, and the findings that failed
_Earlier = Mapping[tuple[str, str], tuple[Result, frozenset[str]]]


class Baseline(Record):
    """What an earlier audit said: by machine and label, each row's result and failed findings."""

    file: str
    rows: _Earlier


def read_baseline(path: str) -> Baseline:
    """The earlier audit in a file. `InputError` has file and line."""
    rows: dict[tuple[str, str], tuple[Result, frozenset[str]]] = {}
    faults = Faults(path)
    number = 0
    try:
        for line in text_of(read_file(path, MAX_BASELINE_BYTES, input_allowed=True)).splitlines():
            number += 1
            rows.update(_row(line))
    except Unreadable as error:
        remedy = error.remedy or _WRITE_IT
        faults.append(Problem(file=path, line=number or None, message=error.reason, remedy=remedy))
    if not faults and not rows:
        message = "holds no row of an audit"
        faults.append(Problem(file=path, message=message, remedy=_WRITE_IT))
    if faults:
        raise InputError(faults.problems)
    return Baseline(file=path, rows=rows)


def _row(line: str) -> _Earlier:
    """The row of a line, none of one that is of no machine. Raises `Unreadable`."""
    row = Decoder().parse(line)
    if not isinstance(row, dict) or "schema" in row:
        raise Unreadable("is no row of an audit: JSON Lines have one object a line")
    if row.get("problem") is not None or row.get("exception") is not None:
        return {}
    names, failed = [row.get("machine"), row.get("label")], row.get("failed")
    if not all(isinstance(name, str) and 0 < len(name) <= _MAX_NAME for name in names):
        raise Unreadable("is no row of an audit: machine and label must be names")
    if row.get("result") not in [*_RESULTS] or not isinstance(failed, list):
        raise Unreadable(f"is no row of an audit: result is none of {', '.join(_RESULTS)}")
    return {(row["machine"], row["label"]): (_RESULTS[row["result"]], frozenset(map(str, failed)))}


def since(audit: Audit, baseline: Baseline, names: Iterable[str]) -> Audit:
    """The audit with those rows alone that changed. What does not newly fail, and is not newly
    unknown, has the exit code 0.

    `names` are the machines that were judged. One that the baseline names and that is not among
    them is a problem: nobody can say how it fares.
    """
    known = {*names, *(problem.message.partition(NOT_JUDGED)[0] for problem in audit.problems)}
    message = f"{NOT_JUDGED}it is in the baseline, and not here any more"
    remedy = "bring its record back; if the machine is gone for good, write the baseline anew"
    gone = [
        Problem(file=baseline.file, message=f"{name}{message}", remedy=remedy)
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
    earlier, failed = baseline.rows.get((row.machine, row.wanted.label), (Result.PASS, frozenset()))
    is_bad = row.result in _BAD
    is_known = (row.machine, row.wanted.label) in baseline.rows
    if (earlier, failed) == (row.result, frozenset(row.failed)) or not (is_known or is_bad):
        return None
    if not is_bad:
        return Change.FIXED if earlier in _BAD else Change.CHANGED
    is_worse = earlier not in _BAD
    if row.result is Result.FAIL:
        is_worse = earlier is not Result.FAIL or not failed.issuperset(row.failed)
    return Change.NEW if is_worse else Change.CHANGED
