"""What to do first, for a fleet of which much fails: a sentence for each check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..audit.record import Audit, MachineGroup, Reason, Row
from .audit_words import many

_MOST = 3
# rows of one check that are looked through for one with a remedy
_MOST_READ = 12

_Entry = tuple[MachineGroup, Row, Reason]


def to_do(audit: Audit) -> list[tuple[str, str]]:
    """Return `disk, 33 machines` and what to do, of the checks that keep most models from most.

    Only what the policy counts; nothing where all machines fare alike, for then the rows say it.
    """
    by_check: dict[str, list[_Entry]] = {}
    for group, row, reason in _counted(audit) if len(audit.groups) > 1 else ():
        unknown = "" if reason.check in row.failed else " not known"
        by_check.setdefault(f"{reason.check}{unknown}", []).append((group, row, reason))
    sizes = {check: sum(each[0].count for each in entries) for check, entries in by_check.items()}
    tasks: list[tuple[str, str]] = []
    for check in sorted(by_check, key=lambda check: -sizes[check]):
        sentence = _sentence(by_check[check]) if len(tasks) < _MOST else None
        if sentence is not None:
            tasks.append((f"{check}, {_machines_of(audit, by_check[check])}", sentence))
    return tasks


def _counted(audit: Audit) -> Iterator[_Entry]:
    for group in audit.groups:
        for row in group.rows:
            for reason in row.reasons:
                if row.exit_code and reason.check is not None:
                    yield group, row, reason


def _sentence(entries: Sequence[_Entry]) -> str | None:
    """What to do; None where nothing can be done about those that lack most."""
    # what is enough for the one that lacks most is enough for all
    in_order = sorted(entries, key=lambda each: (each[2].short or 0, each[0].count), reverse=True)
    answer = next((each for each in in_order[:_MOST_READ] if each[2].remedy), None)
    if answer is None:
        return None
    _, row, reason = answer
    if reason.short and len(entries) > 1:
        return f"{reason.remedy} ({row.machine} lacks most, for {row.wanted.label})"
    labels = {row.wanted.label for _, row, _ in entries}
    others = f" and {len(labels) - 1:,} more" if len(labels) > 1 else ""
    return f"{reason.remedy} ({row.machine}, for {row.wanted.label}{others})"


def _machines_of(audit: Audit, entries: Sequence[_Entry]) -> str:
    """On how many machines; where they are grouped by one model each, at least that many."""
    if any(len(group.rows) > 1 for group in audit.groups):
        counts = {group.names[0]: group.count for group, _, _ in entries}
        return many(sum(counts.values()), "machine")
    by_model: Counter[int] = Counter()
    for group, row, _ in entries:
        by_model[row.wanted.index] += group.count
    least = "at least " if len(by_model) > 1 else ""
    return f"{least}{many(max(by_model.values()), 'machine')}"
