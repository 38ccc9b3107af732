"""Machines that fare alike, as one group with the largest shortfall of each model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..verdict.findings import Outcome
from .record import MachineGroup, Row, as_it_is

NAMES_SHOWN = 5


def grouped(
    by_machine: Iterable[tuple[Row, ...]], judge_again: Callable[[Row], Row] = as_it_is
) -> tuple[MachineGroup, ...]:
    """In the order of each group's first machine. A machine without a row is in none.
    `judge_again`: see `Audit`.
    """
    alike: dict[object, list[tuple[Row, ...]]] = {}
    for rows in by_machine:
        if rows:
            alike.setdefault(tuple(map(signature, rows)), []).append(rows)
    return tuple(
        MachineGroup(
            names=tuple(rows[0].machine for rows in members[:NAMES_SHOWN]),
            count=len(members),
            rows=tuple(_hardest_hit(column, judge_again) for column in zip(*members, strict=True)),
        )
        for members in alike.values()
    )


def _hardest_hit(rows: Sequence[Row], judge_again: Callable[[Row], Row]) -> Row:
    if not rows[0].reasons:
        return judge_again(rows[0])
    # that of a large fleet lacks most of all that fare alike
    judged = [
        row for row in rows if row.verdict is not None and row.verdict.machine.name == row.machine
    ]
    return max(judged or map(judge_again, rows), key=shortfall)


def signature(row: Row) -> object:
    """What makes two rows alike: all but the figures."""
    not_passed = tuple(
        (each.check, each.code, each.outcome)
        for each in row.findings
        if each.outcome is not Outcome.PASS
    )
    # reasons of no check: of a route, which is compared, or of a row without a verdict
    without_check = () if row.findings else tuple(reason.text for reason in row.reasons)
    return (
        row.wanted.index,
        row.result,
        row.route,
        row.change,
        not_passed,
        without_check,
        tuple((check, each.index) for check, each in row.excepted),
    )


def shortfall(row: Row) -> float:
    """The largest amount that the row's machine lacks, in whatever unit it is."""
    return max((reason.short or 0 for reason in row.reasons), default=0)
