"""`--baseline FILE`: an earlier audit's report, and what changed since.

The baseline is a `selfhost.audit/1` object or its rows as JSON Lines. A row is known again by the
machine's name and the model's label. A report by class names the first machines of each class only:
of the others nothing is known, so what fails there counts as new. Where those are the most it is no
baseline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core.errors import MAX_PROBLEMS, Faults, InputError, Problem
from ..core.json_text import Budget, Entry, read_records
from ..core.reading import Unreadable, open_input, too_large
from ..core.records import Record
from .groups import NAMES_SHOWN, grouped
from .record import Audit, Change, Result, Row, Since
from .systems import NOT_JUDGED

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

SCHEMA = "selfhost.audit/1"
WRITE_IT = "write it by `selfhost audit --format jsonl=FILE` or `--format json=FILE`"
# a row takes about 200 bytes and 24 signs (`core.reading.signs_in`): room for a million of them
MAX_BASELINE_BYTES = 1 << 28
MAX_BASELINE_SIGNS = 30_000_000
MAX_RECORD_BYTES = 1 << 26
_RESULTS = {result.value: result for result in Result}
# a name in it is as long as a person gives one
_MAX_NAME = 10_000

# the result of a row, and the names of the findings that failed
Earlier = tuple[Result, tuple[str, ...]]


class Baseline(Record):
    """What an earlier audit said: by machine and label, each row's result and failed findings.

    `unnamed` counts machines that were judged and are not named, `problems` what could not be
    judged then.
    """

    file: str
    rows: Mapping[str, Mapping[str, Earlier]]
    unnamed: int = 0
    problems: int = 0

    def of(self, machine: str, label: str) -> Earlier | None:
        """What that row was; None where the baseline has none."""
        return self.rows.get(machine, {}).get(label)


def read_baseline(path: str) -> Baseline:
    """The earlier audit in a file. `InputError` has file, key, and the line where it is certain."""
    reading = _Reading(path)
    try:
        stream, size = open_input(path)
        with stream:
            if size is not None and size > MAX_BASELINE_BYTES:
                raise too_large(MAX_BASELINE_BYTES)
            entries = read_records(
                stream,
                max_bytes=MAX_BASELINE_BYTES,
                max_record_bytes=MAX_RECORD_BYTES,
                budget=Budget(MAX_BASELINE_SIGNS),
            )
            for entry in entries:
                reading.add(entry)
                if len(reading.faults.first) >= MAX_PROBLEMS:
                    break
    except Unreadable as error:
        reading.fault(error.line, None, error.reason, error.remedy)
    if not reading.faults and not reading.rows and not reading.problems:
        reading.fault(None, None, "holds no row of an audit", WRITE_IT)
    if reading.unnamed > reading.named:
        reading.fault(
            None,
            "classes",
            "is a report by class, which names few machines of each class: nobody can tell what"
            " changed on the others",
            "make the earlier audit again with `--format jsonl=FILE`, which has a row for each"
            " machine, and name that file",
        )
    if reading.faults:
        raise InputError(reading.faults.problems)
    return Baseline(
        file=path, rows=reading.rows, unnamed=reading.unnamed, problems=reading.problems
    )


class _Reading:
    """The rows of a baseline so far, and its faults."""

    def __init__(self, file: str) -> None:
        self.faults = Faults(file)
        self.rows: dict[str, dict[str, Earlier]] = {}
        # machines of classes, once for each class
        self.named = self.unnamed = 0
        self.problems = 0
        # equal texts and results are kept once: there may be a million rows
        self._kept: dict[Any, Any] = {}

    def fault(self, line: int | None, key: str | None, message: str, remedy: str | None) -> None:
        """One fault more."""
        self.faults.append(
            Problem(
                file=self.faults.file,
                line=line,
                key=key,
                message=message,
                remedy=remedy or WRITE_IT,
            )
        )

    def add(self, entry: Entry) -> None:
        """A whole audit, or one row."""
        if entry.fault is not None:
            self.fault(entry.line, None, entry.fault.reason, entry.fault.remedy)
            return
        value, line = entry.value, entry.line
        if not isinstance(value, dict):
            self.fault(line, None, "is no audit: each row is an object", None)
        elif "schema" in value:
            self._add_audit(value, line)
        elif value.get("problem") is not None:
            self.problems += 1
        elif value.get("exception") is None:
            self._add_row(value, line)

    def _add_row(self, value: Mapping[str, Any], line: int | None) -> None:
        row = _Row(self, value, line, "")
        machine, label = row.name("machine"), row.name("label", "asked")
        earlier = row.earlier()
        if machine is not None and label is not None and earlier is not None:
            self._keep(machine, label, earlier)

    def _add_audit(self, value: Mapping[str, Any], line: int | None) -> None:
        if value["schema"] != SCHEMA:
            shown = value["schema"] if isinstance(value["schema"], str) else "of no known schema"
            self.fault(line, "schema", f"is {shown[:60]}, not {SCHEMA}", None)
            return
        classes, verdicts, problems = (
            self._list(value, key, line) for key in ("classes", "verdicts", "problems")
        )
        self.problems += len(problems)
        names: dict[str, list[str]] = {}
        for number, each in enumerate(classes):
            row = _Row(self, each, line, f"classes[{number}].")
            name, members = row.name("name"), row.names("names")
            count = row.count("count")
            if name is not None:
                names[name] = members
                self.named += len(members)
                self.unnamed += max(0, count - len(members))
        for number, each in enumerate(verdicts):
            row = _Row(self, each, line, f"verdicts[{number}].")
            group, label, earlier = row.name("class"), row.name("label"), row.earlier()
            if group is None or label is None or earlier is None:
                continue
            if group not in names:
                self.fault(line, row.key("class"), "is the name of none of its classes", None)
            for machine in names.get(group, ()):
                self._keep(machine, label, earlier)

    def _list(self, value: Mapping[str, Any], key: str, line: int | None) -> list[Any]:
        items = value.get(key)
        if isinstance(items, list):
            return items
        self.fault(line, key, "is missing or no list", None)
        return []

    def _keep(self, machine: str, label: str, earlier: Earlier) -> None:
        kept = self._kept
        label, earlier = kept.setdefault(label, label), kept.setdefault(earlier, earlier)
        self.rows.setdefault(machine, {})[label] = earlier


class _Row:
    """One object of a baseline, whose faults are those of the reading."""

    def __init__(self, reading: _Reading, value: Any, line: int | None, prefix: str) -> None:
        self._reading, self._line, self._prefix = reading, line, prefix
        self._value: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def key(self, key: str) -> str:
        """The key with the place of the object."""
        return f"{self._prefix}{key}"

    def _fault(self, key: str, message: str) -> None:
        self._reading.fault(self._line, self.key(key), message, None)

    def name(self, *keys: str) -> str | None:
        """The text of the first of the keys that is there; a fault and None where none is one."""
        for key in keys:
            text = self._value.get(key)
            if isinstance(text, str) and text and len(text) <= _MAX_NAME:
                return text
            if text is not None:
                self._fault(key, "must be a name")
                return None
        self._fault(keys[0], "is missing")
        return None

    def names(self, key: str) -> list[str]:
        """A list of texts."""
        values = self._value.get(key)
        if isinstance(values, list) and all(
            isinstance(text, str) and len(text) <= _MAX_NAME for text in values
        ):
            return values
        self._fault(key, "must be a list of names")
        return []

    def count(self, key: str) -> int:
        """A whole number from 0."""
        value = self._value.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self._fault(key, "must be a whole number")
        return 0

    def earlier(self) -> Earlier | None:
        """The result and the failed findings."""
        result_word = self._value.get("result")
        if not isinstance(result_word, str) or result_word not in _RESULTS:
            self._fault("result", f"is none of {', '.join(_RESULTS)}")
            return None
        return _RESULTS[result_word], tuple(sorted(set(self.names("failed"))))


# ------------------------------------------------------------------ what changed


def since(audit: Audit, baseline: Baseline, names: Iterable[str]) -> Audit:
    """The audit with those rows alone that changed. What does not newly fail, and is not newly
    unknown, has the exit code 0. The rows are gone through once: those of a large fleet are judged
    on the way.

    `names` are the machines that were judged. One that the baseline names and that is not among
    them is a problem: nobody can say how it fares. `InputError` for a baseline of another run's
    `--anonymize`, for no machine of it can be known again.
    """
    here = set(names)
    _refuse_pseudonyms(baseline, here)
    not_judged = {problem.message.partition(NOT_JUDGED)[0] for problem in audit.problems}
    gone = [name for name in baseline.rows if name not in here and name not in not_judged]
    added = [] if baseline.unnamed else [name for name in here if name not in baseline.rows]
    counts = dict.fromkeys(Change, 0)
    kept: list[Row] = []
    unchanged = judged = missing = 0
    for row in audit.rows:
        judged += 1
        missing += baseline.of(row.machine, row.wanted.label) is None
        change = change_of(row, baseline)
        if change is None:
            unchanged += 1
            continue
        counts[change] += 1
        is_new = change is Change.NEW
        kept.append(row.replace(change=change, exit_code=row.exit_code if is_new else 0))
    return audit.replace(
        rows=tuple(kept),
        groups=grouped(_by_machine(kept), audit.judge_again),
        tallied=None,
        since=Since(
            file=baseline.file,
            new=counts[Change.NEW],
            fixed=counts[Change.FIXED],
            changed=counts[Change.CHANGED],
            unchanged=unchanged,
            notes=(*_added(sorted(added)), *_not_known(judged, missing, baseline)),
        ),
        problems=(*audit.problems, *_vanished(gone, baseline)),
    )


def _refuse_pseudonyms(baseline: Baseline, here: set[str]) -> None:
    from .anonymize import is_pseudonym

    if here.isdisjoint(baseline.rows) and any(map(is_pseudonym, baseline.rows)):
        raise InputError(
            [
                Problem(
                    file=baseline.file,
                    message="is a report of --anonymize: its hashed names are those of one run, and"
                    " tell no machine to another",
                    remedy="keep a report with the names as the baseline, written without"
                    " --anonymize; with --baseline, --anonymize hides them in this report",
                )
            ]
        )


def change_of(row: Row, baseline: Baseline) -> Change | None:
    """What became of a row since the baseline; None where nothing did. A row that the baseline does
    not have is new where it fails or is unknown, else unchanged.
    """
    earlier = baseline.of(row.machine, row.wanted.label)
    is_bad = row.result in (Result.FAIL, Result.UNKNOWN)
    if earlier is None:
        return Change.NEW if is_bad else None
    earlier_result, failed = earlier
    if row.result is earlier_result and set(row.failed) == set(failed):
        return None
    if not is_bad:
        return Change.FIXED if earlier_result in (Result.FAIL, Result.UNKNOWN) else Change.CHANGED
    if row.result is Result.FAIL:
        is_worse = earlier_result is not Result.FAIL or not set(row.failed) <= set(failed)
    else:
        is_worse = earlier_result not in (Result.FAIL, Result.UNKNOWN)
    return Change.NEW if is_worse else Change.CHANGED


def _by_machine(rows: Iterable[Row]) -> Iterator[tuple[Row, ...]]:
    """The rows of each machine; those of one follow each other."""
    from itertools import groupby

    for _, own in groupby(rows, key=lambda row: row.machine):
        yield tuple(own)


def _vanished(gone: Sequence[str], baseline: Baseline) -> Sequence[Problem]:
    """A problem for each machine that is no longer there, and a count of those not listed."""
    return Faults(
        baseline.file,
        [
            Problem(
                file=baseline.file,
                message=f"{name}{NOT_JUDGED}it is in the baseline, and not here any more",
                remedy="bring its record back; if the machine is gone for good, write the baseline"
                " anew",
            )
            for name in gone
        ],
    ).problems


def _added(names: Sequence[str]) -> Iterator[str]:
    """A sentence on the machines that the baseline does not have."""
    if names:
        first = ", ".join(f'"{name}"' for name in names[:NAMES_SHOWN])
        more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
        are = "1 machine is" if len(names) == 1 else f"{len(names):,} machines are"
        yield f"{are} new since the baseline: {first}{more}"


def _not_known(judged: int, missing: int, baseline: Baseline) -> Iterator[str]:
    """What the baseline cannot tell: of so many judged rows it lacks those `missing`."""
    gone = sum(map(len, baseline.rows.values())) - (judged - missing)
    if missing:
        yield (
            f"{missing:,} of {judged:,} rows are not in the baseline: what fails there counts as"
            " new"
        )
    if baseline.unnamed:
        yield (
            f"the baseline does not name {baseline.unnamed:,} of its machines: use one written by"
            " `--format jsonl=FILE`"
        )
    if gone:
        rows, were = ("1 row", "was") if gone == 1 else (f"{gone:,} rows", "were")
        yield f"{rows} of the baseline {were} not judged this time"
    if baseline.problems:
        problems = "a problem" if baseline.problems == 1 else f"{baseline.problems:,} problems"
        yield f"{problems} kept the earlier audit from judging all"
