"""The faults in the records of a fleet: each reason once, with the number of records or files that
have it, because thousands of records and files may be wrong in the same way.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from ..core.errors import Problem
from ..core.units import plural

# the words between a machine's name and the place of an earlier machine with the same name
SAME_NAME = " is also the name of the machine in "


class _Reason(NamedTuple):
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
        reason = _Reason(key, message, fault.remedy)
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
