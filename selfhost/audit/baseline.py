"""`--baseline FILE`: the rows of an earlier audit as JSON Lines, and what changed since.

A row is known again by the machine's name and the model's label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core.errors import Faults, InputError, Problem
from ..core.files import Unreadable, read_file, text_of
from ..core.json_text import Decoder
from ..core.records import Record
from .anonymize import Pseudonyms, is_pseudonym
from .groups import Rows, listed
from .record import Audit, Change, Result, Row, Since
from .systems.facts import NOT_JUDGED

# a row takes about 200 bytes: room for a million of them
MAX_BASELINE_BYTES = 1 << 28
_RESULTS = {result.value: result for result in Result}
_BAD = (Result.FAIL, Result.UNKNOWN)
# a name in it is as long as a person gives one
_MAX_NAME = 10_000
_WRITE_IT = "write it by `selfhost audit --format jsonl=FILE`"
_ANONYMOUS = (
    "is a report of --anonymize: its hashed names are those of one run, and tell no machine to"
    " another",
    "keep a report with the names as the baseline, written without --anonymize; with --baseline,"
    " --anonymize hides them in this report",
)

# the result of a row, and the names of the findings that failed
Earlier = tuple[Result, frozenset[str]]


class Baseline(Record):
    """What an earlier audit said: by machine and label, each row's result and failed findings.

    `problems` counts what could not be judged then.
    """

    file: str
    rows: Mapping[str, Mapping[str, Earlier]]
    problems: int = 0

    def of(self, machine: str, label: str) -> Earlier | None:
        """What that row was; None where the baseline has none."""
        return self.rows.get(machine, {}).get(label)

    def renamed(self, pseudonyms: Pseudonyms) -> Baseline:
        """The baseline with the names that this run gives to the machines."""
        return self.replace(rows={pseudonyms.of(name): own for name, own in self.rows.items()})


def read_baseline(path: str) -> Baseline:
    """The earlier audit in a file. `InputError` has file and line."""
    try:
        lines = text_of(read_file(path, MAX_BASELINE_BYTES, input_allowed=True)).splitlines()
    except Unreadable as error:
        raise InputError([_problem(path, error)]) from None
    faults = Faults(path)
    rows: dict[str, dict[str, Earlier]] = {}
    problems = 0
    for number, line in enumerate(lines, 1):
        try:
            row = _parsed(line)
            if row.get("problem") is not None:
                problems += 1
            elif row.get("exception") is None:
                machine, label, earlier = _row(row)
                rows.setdefault(machine, {})[label] = earlier
        except Unreadable as error:
            faults.append(_problem(path, error, number))
            if faults.full:
                break
    if not faults and not rows and not problems:
        faults.append(_problem(path, Unreadable("holds no row of an audit")))
    if rows and all(map(is_pseudonym, rows)):
        faults.append(_problem(path, Unreadable(*_ANONYMOUS)))
    if faults:
        raise InputError(faults.problems)
    return Baseline(file=path, rows=rows, problems=problems)


def _problem(path: str, error: Unreadable, line: int | None = None) -> Problem:
    remedy = error.remedy or _WRITE_IT
    return Problem(file=path, line=line, message=error.reason, remedy=remedy)


def _parsed(line: str) -> Mapping[str, Any]:
    row = Decoder().parse(line)
    if not isinstance(row, dict) or "schema" in row:
        raise Unreadable("is no row of an audit: JSON Lines have one object a line")
    return row


def _row(row: Mapping[str, Any]) -> tuple[str, str, Earlier]:
    """Machine, label and result of a row. Raises `Unreadable`, which begins with the key."""
    for key in ("machine", "label"):
        name = row.get(key)
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
            raise Unreadable(f"{key}: {'is missing' if name is None else 'must be a name'}")
    result, failed = row.get("result"), row.get("failed")
    if not isinstance(result, str) or result not in _RESULTS:
        raise Unreadable(f"result: is none of {', '.join(_RESULTS)}")
    if not isinstance(failed, list) or not all(isinstance(name, str) for name in failed):
        raise Unreadable("failed: must be a list of names")
    return row["machine"], row["label"], (_RESULTS[result], frozenset(failed))


# ------------------------------------------------------------------ what changed


def since(audit: Audit, baseline: Baseline, names: Iterable[str]) -> Audit:
    """The audit with those rows alone that changed. What does not newly fail, and is not newly
    unknown, has the exit code 0.

    `names` are the machines that were judged. One that the baseline names and that is not among
    them is a problem: nobody can say how it fares.
    """
    here = set(names)
    not_judged = {problem.message.partition(NOT_JUDGED)[0] for problem in audit.problems}
    gone = [name for name in baseline.rows if name not in here and name not in not_judged]
    counts: Counter[Change | None] = Counter()
    judged = missing = 0
    for row in audit.rows:
        judged += 1
        missing += baseline.of(row.machine, row.wanted.label) is None
        counts[change_of(row, baseline)] += 1
    assert isinstance(audit.rows, Rows)
    rows = audit.rows.changed(lambda row: change_of(row, baseline))
    not_now = sum(map(len, baseline.rows.values())) - (judged - missing)
    vanished = [
        Problem(
            file=baseline.file,
            message=f"{name}{NOT_JUDGED}it is in the baseline, and not here any more",
            remedy="bring its record back; if the machine is gone for good, write the baseline"
            " anew",
        )
        for name in gone
    ]
    added = sorted(here - baseline.rows.keys())
    return audit.replace(
        rows=rows,
        tally=rows.tally(),
        groups=rows.groups(),
        since=Since(
            file=baseline.file,
            new=counts[Change.NEW],
            fixed=counts[Change.FIXED],
            changed=counts[Change.CHANGED],
            unchanged=counts[None],
            notes=tuple(_notes(added, judged, missing, not_now, baseline.problems)),
        ),
        problems=(*audit.problems, *Faults(baseline.file, vanished).problems),
    )


def change_of(row: Row, baseline: Baseline) -> Change | None:
    """What became of a row since the baseline; None where nothing did. A row that the baseline does
    not have is new where it fails or is unknown, else unchanged.
    """
    earlier = baseline.of(row.machine, row.wanted.label)
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


def _notes(
    added: Sequence[str], judged: int, missing: int, not_now: int, problems: int
) -> Iterator[str]:
    """What is new, and what the baseline cannot tell of the rows that were judged."""
    if added:
        are = "1 machine is" if len(added) == 1 else f"{len(added):,} machines are"
        names = [f'"{name}"' for name in added]
        yield f"{are} new since the baseline: {listed(names)}"
    if missing:
        yield (
            f"{missing:,} of {judged:,} rows are not in the baseline: what fails there counts as"
            " new"
        )
    if not_now:
        were = "1 row of the baseline was" if not_now == 1 else f"{not_now:,} rows of it were"
        yield f"{were} not judged this time"
    if problems:
        kept = "a problem" if problems == 1 else f"{problems:,} problems"
        yield f"{kept} kept the earlier audit from judging all"
