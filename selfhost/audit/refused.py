"""What is wrong with the records of one file, told in two ways.

What goes in: the faults of each record that is refused. What comes out: each fault for a program
that reads JSON, and for a person how many records were refused, with a line for each reason. A file
may hold thousands of records that are wrong in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ..core.errors import Problem, first_problems
from ..core.units import plural

# between the name of a machine and where an earlier one has it
SAME_NAME = " is also the name of the machine in "


class _Reason(NamedTuple):
    """Why a record is refused, without its place: faults of one reason are told together. `key` is
    within the record.
    """

    key: str | None
    message: str
    remedy: str | None


class FaultsOfFile:
    """The faults of a file while its records are taken.

    `of_file` says why it was not read, or not to its end. `of_records` are those of its records,
    each with its place. `records` counts all records that were taken, `refused` those with faults.
    """

    def __init__(self) -> None:
        self.of_file: Problem | None = None
        self.of_records: list[Problem] = []
        self.records = 0
        self.refused = 0
        # by reason its first fault, and how many faults have it
        self._first: dict[_Reason, Problem] = {}
        self._counts: Counter[_Reason] = Counter()

    def refuse(
        self,
        faults: Iterable[Problem],
        line: int | None,
        place: str | None,
    ) -> None:
        """Take the faults of one record, which stands in that line, or at that place of a list."""
        self.refused += 1
        for fault in faults:
            placed = placed_fault(fault, line, place)
            self.of_records.append(placed)
            if fault.unlisted:
                continue
            reason = _reason_of(fault)
            self._first.setdefault(reason, placed)
            self._counts[reason] += 1

    def listed(self, file: str) -> tuple[Problem, ...]:
        """The fault of the file and the first of its records, and one that counts the others."""
        faults = list(self.of_records)
        if self.of_file is not None:
            faults.insert(0, self.of_file)
        return first_problems(file, faults)

    def summary(self, file: str) -> list[Problem]:
        """The fault of the file, and how many of its records are refused where several are."""
        faults = []
        if self.of_file is not None:
            faults.append(self.of_file)
        if self.refused > 1:
            refused = f"{self.refused:,} of the {self.records:,}"
            if self.refused == self.records:
                refused = f"all {self.refused:,}"
            message = f"{refused} records that were read are refused"
            faults.append(Problem(file=file, message=message))
        return faults

    def by_reason(self, file: str) -> tuple[Problem, ...]:
        """The first fault of each reason, which counts the others; the most frequent come first."""
        faults = []
        for reason, count in self._counts.most_common():
            faults.append(_first_of_several(self._first[reason], count))
        for fault in self.of_records:
            if fault.unlisted:
                faults.append(fault)
        return first_problems(file, faults)


def placed_fault(
    fault: Problem,
    line: int | None,
    place: str | None,
) -> Problem:
    """A fault with the line and the place of its record."""
    return fault.replace(line=line, key=below(place, fault.key))


def below(*keys: str | None) -> str | None:
    """The keys one below the other, `items[1].name`; None where there are none."""
    return ".".join(filter(None, keys)) or None


def _reason_of(fault: Problem) -> _Reason:
    """The reason of a fault whose key is within its record. That another machine has the name is
    one reason, whatever the name is.
    """
    message = fault.message
    if SAME_NAME in message:
        message = SAME_NAME
    return _Reason(fault.key, message, fault.remedy)


def _first_of_several(first: Problem, count: int) -> Problem:
    """The first of so many faults of one reason, which says how many others there are."""
    others = count - 1
    if not others:
        return first
    message = f"{first.message}; the same in {plural(others, 'more record')}"
    return first.replace(message=message, alike=others)
