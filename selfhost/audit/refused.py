"""The faults in the records of a fleet, told in two ways.

The faults of files and of each refused record go in. A program that reads JSON gets the first
faults of each file. A person gets the number of refused records of each file, and each reason once,
because thousands of records and files may be wrong in the same way.
"""

from __future__ import annotations

from collections import Counter

from ..core.errors import Problem, first_problems
from ..core.records import Record
from ..core.units import plural

# the words between a machine's name and the place of an earlier machine with the same name
SAME_NAME = " is also the name of the machine in "


class FaultsOfFile:
    """The faults of a file while its records are taken.

    `of_file` says why the file is read no further. `of_records` are the faults of its records, each
    with its place. `records` counts the records that were taken, `refused` the records with faults.
    """

    def __init__(self) -> None:
        self.of_file: Problem | None = None
        self.of_records: list[Problem] = []
        self.records = 0
        self.refused = 0

    def listed(self, file: str) -> tuple[Problem, ...]:
        """Return the fault of the file and the first faults of its records, with a fault that
        counts the others.
        """
        faults = self.of_records
        if self.of_file is not None:
            faults = [self.of_file, *faults]
        return first_problems(file, faults)

    def summary(self, file: str) -> list[Problem]:
        """How many of the records are refused; nothing where no more than one is."""
        if self.refused <= 1:
            return []
        refused = f"{self.refused:,} of the {self.records:,}"
        if self.refused == self.records:
            refused = f"all {self.refused:,}"
        message = f"{refused} records that were read are refused"
        return [Problem(file=file, message=message)]


class _Reason(Record):
    """Why a file or a record is refused, without its place. `key` is within the record."""

    key: str | None
    message: str
    remedy: str | None


class EqualFaults:
    """Faults of files or of records, those of one reason together. `others` is the noun with which
    the first fault counts the others: `more file`.
    """

    def __init__(self, others: str) -> None:
        self._others = others
        # the first fault of each reason, and the number of faults with this reason
        self._first: dict[_Reason, Problem] = {}
        self._counts: Counter[_Reason] = Counter()

    def add(self, fault: Problem, key: str | None = None) -> None:
        """Take a fault, whose key within its record is `key`. Faults of equal names of machines are
        one reason, whatever the names are.
        """
        message = fault.message
        if SAME_NAME in message:
            message = SAME_NAME
        reason = _Reason(key=key, message=message, remedy=fault.remedy)
        self._first.setdefault(reason, fault)
        self._counts[reason] += 1

    def listed(self) -> list[Problem]:
        """The first fault of each reason, which counts the others; the most frequent come first."""
        faults = []
        for reason, count in self._counts.most_common():
            fault = self._first[reason]
            others = count - 1
            if others:
                also = f"; the same in {plural(others, self._others)}"
                fault = fault.replace(message=f"{fault.message}{also}", alike=others)
            faults.append(fault)
        return faults


def below(*keys: str | None) -> str | None:
    """Return the path of keys below each other, `items[1].name`; None where there is no key."""
    return ".".join(filter(None, keys)) or None
