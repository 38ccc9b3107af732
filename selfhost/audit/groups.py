"""Machines that fare alike, as one group with the largest shortfall of each model: those that an
entry of the policy treats alike, and groups of them for reports.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..judge.checks import Outcome
from .entries import Wanted
from .fleet import Machines
from .record import MachineGroup, Row, Tally

NAMES_SHOWN = 5
# rows of groups that a report by class can hold; where groups of machines that fare alike under
# every model would have more, machines are grouped by one model each
MOST_ROWS = 5_000
# models up to which the machines of a large fleet are grouped under all of them
MOST_TOGETHER = 24


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"


def grouped(rows: Iterable[Row], judge_again: Callable[[Row], Row]) -> tuple[MachineGroup, ...]:
    """The machines of rows, those of one follow each other, in the order of each group's first
    machine. `judge_again`: see `Audit`.
    """
    from itertools import groupby

    alike: dict[object, list[tuple[Row, ...]]] = {}
    for _, of_machine in groupby(rows, key=lambda row: row.machine):
        own = tuple(of_machine)
        alike.setdefault(tuple(map(signature, own)), []).append(own)
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


class Alike:
    """Machines with the same result for the same reasons, as numbers in the fleet. `bounds`: by
    kind the most that one of its machines may lack, nothing where each was judged by itself.
    `exceptions` are for what decides there. `row` is that of the machine that lacks most.
    """

    def __init__(self) -> None:
        self.machines = array("l")
        self.bounds: dict[int, float] = {}
        self.exceptions: tuple[int, ...] = ()
        self.row: Row | None = None


class Entry:
    """What one entry of the policy comes to: the machines that it is for, by what decides."""

    def __init__(self, wanted: Wanted, machines: int) -> None:
        self.wanted = wanted
        self._by_key: dict[object, Alike] = {}
        # of each machine the number of its class from 1; 0 where the entry is not for it
        self.class_of = array("l", bytes(array("l").itemsize * machines))

    def alike(self, key: object) -> Alike:
        """The machines with that key so far."""
        return self._by_key.setdefault(key, Alike())

    def settle(self, *, keeps: bool = True) -> None:
        """All machines are there: put them in order, or forget them where it `keeps` none."""
        if not keeps:
            self._by_key.clear()
        for number, alike in enumerate(self._by_key.values(), 1):
            alike.machines = array("l", sorted(alike.machines))
            for machine in alike.machines:
                self.class_of[machine] = number

    @property
    def classes(self) -> list[Alike]:
        """By the numbers in `class_of`, less 1."""
        return list(self._by_key.values())


# gives the row of the hardest hit of some of the machines that an entry treats alike
Hardest = Callable[[Entry, Alike, Sequence[int]], Row]


class Report:
    """Groups, rows and counts of what all entries come to."""

    def __init__(self, machines: Machines, entries: Sequence[Entry], hardest: Hardest) -> None:
        self._machines, self._entries, self._hardest = machines, entries, hardest

    def tally(self) -> Tally:
        """What all rows come to."""
        results: dict[str, int] = {}
        codes = set()
        for entry in self._entries:
            for alike in entry.classes:
                assert alike.row is not None
                result = alike.row.result
                results[result] = results.get(result, 0) + len(alike.machines)
                codes.add(alike.row.exit_code)
        return Tally(results=results, codes=frozenset(codes))

    def groups(self, *, is_small: bool) -> tuple[MachineGroup, ...]:
        """Machines that fare alike under all models, or else under each."""
        if is_small or len(self._entries) <= MOST_TOGETHER:
            by_key: dict[tuple[int, ...], array[int]] = {}
            columns = [entry.class_of for entry in self._entries]
            for number, key in enumerate(zip(*columns, strict=True)):
                by_key.setdefault(key, array("l")).append(number)
            if is_small or sum(len(key) - key.count(0) for key in by_key) <= MOST_ROWS:
                return tuple(self._joint(key, own) for key, own in by_key.items() if any(key))
        return tuple(self._by_model())

    def _joint(self, key: tuple[int, ...], machines: Sequence[int]) -> MachineGroup:
        rows = [
            self._hardest(entry, entry.classes[number - 1], machines)
            for entry, number in zip(self._entries, key, strict=True)
            if number
        ]
        return self._group(machines, rows)

    def _by_model(self) -> Iterator[MachineGroup]:
        """Under each model, whatever else than the checks that decide differs."""
        for entry in self._entries:
            merged: dict[object, list[Alike]] = {}
            for alike in entry.classes:
                row = alike.row
                assert row is not None
                excepted = tuple([(check, each.index) for check, each in row.excepted])
                unplaced = (
                    () if row.verdict is not None else tuple([each.text for each in row.reasons])
                )
                key = row.result, row.failed, row.undecided, excepted, unplaced
                merged.setdefault(key, []).append(alike)
            groups = []
            for own in merged.values():
                machines = sorted([number for alike in own for number in alike.machines])
                rows = [alike.row for alike in own if alike.row is not None]
                groups.append((machines, max(rows, key=shortfall)))
            for machines, row in sorted(groups, key=lambda pair: pair[0][0]):
                yield self._group(machines, [row])

    def _group(self, machines: Sequence[int], rows: Sequence[Row]) -> MachineGroup:
        names = tuple([self._machines.names[number] for number in machines[:NAMES_SHOWN]])
        return MachineGroup(names=names, count=len(machines), rows=tuple(rows))


class LightRows:
    """Every row of a large audit, machine after machine, with the verdict of the machine that is
    hit hardest of those that fare alike.
    """

    def __init__(self, machines: Machines, entries: Sequence[Entry]) -> None:
        self._machines, self._entries = machines, entries

    def __iter__(self) -> Iterator[Row]:
        columns = [(entry.class_of, entry.classes) for entry in self._entries]
        for number, name in enumerate(self._machines.names):
            for class_of, classes in columns:
                if class_of[number]:
                    row = classes[class_of[number] - 1].row
                    assert row is not None
                    yield row.replace(machine=name)
