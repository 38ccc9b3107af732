"""The audit of a large fleet: as `run` does it, for all machines of an entry at once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..core.errors import Problem, SelfhostError
from ..verdict.findings import Mark, Outcome
from ..verdict.record import Verdict
from .brackets import judged_as
from .bulk import Alike, Bulk, hardest_hit, lacks
from .exceptions import Exceptions, ExceptionsOfAll
from .fleet import Machines
from .groups import NAMES_SHOWN
from .judged_entries import Judge, entry_problems
from .judging import asked_by
from .policy import Place, Policy, Wanted
from .population import Population, first_members, lowest, members
from .record import Audit, MachineGroup, Reason, Result, Row, Tally
from .rows import row_of, unplaced_row, weighed, weight
from .verdicts import unpacked

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .brackets import Short
    from .bulk import FleetJudge
    from .progress import Progress
    from .verdicts import Extent

    # the fields of rows, and machines that have them
    _Alone = tuple[dict[str, Any], Alike]

# rows of groups that a report by class can hold; where groups of machines that fare alike under
# every model would have more, machines are grouped by one model each
MOST_ROWS = 5_000
# models up to which machines are grouped under all of them
MOST_TOGETHER = 24


def large_audit(
    policy: Policy,
    machines: Machines,
    judge: Judge,
    at_once: FleetJudge,
    today: str,
    problems: Sequence[Problem],
    progress: Progress | None,
    in_full: Extent = "all",
) -> Audit:
    """As `run_audit`."""
    return _Large(policy, machines, judge, at_once, today, progress, in_full).audit(problems)


class _Same:
    """Machines that one entry treats alike: the same result for the same reasons, so that their
    rows differ in figures alone.
    """

    __slots__ = ("alike", "bits", "fields", "key")

    def __init__(self, alike: Alike, fields: dict[str, Any], key: object) -> None:
        self.alike, self.fields, self.key = [alike], fields, key
        self.bits = alike.bits


class _Class:
    """Machines that one entry treats alike, as one process can send them to another: the fields of
    their row, how many they are, the first names, and the machine `hit` hardest with what it lacks
    for each check, see `lacks`. `short` is what is known of its verdict; None where there is none.
    """

    __slots__ = ("count", "fields", "hit", "lacking", "names", "short")

    def __init__(
        self, fields: dict[str, Any], count: int, names: tuple[str, ...], hit: int
    ) -> None:
        self.fields, self.count, self.names, self.hit = fields, count, names, hit
        self.lacking: dict[str, float | None] = {}
        self.short: Short | None = None


class _Entry:
    """What one entry of the policy comes to, as one process can send it to another."""

    __slots__ = ("codes", "exceptions", "groups", "is_placed", "is_refused", "results")

    def __init__(
        self,
        groups: list[_Class],
        is_placed: bool,
        is_refused: bool,
        results: dict[str, int],
        codes: set[int],
        exceptions: list[tuple[int, int]],
    ) -> None:
        self.groups, self.is_placed, self.is_refused = groups, is_placed, is_refused
        self.results, self.codes, self.exceptions = results, codes, exceptions


class _Large:
    """An audit under way."""

    def __init__(
        self,
        policy: Policy,
        machines: Machines,
        judge: Judge,
        at_once: FleetJudge,
        today: str,
        progress: Progress | None,
        in_full: Extent,
    ) -> None:
        self._policy, self._machines, self._judge = policy, machines, judge
        self._at_once, self._today, self._progress = at_once, today, progress
        self._in_full = in_full
        self._population = Population(machines)
        self._bulk = Bulk(policy, self._population, at_once, deciding=True)
        self._exceptions = Exceptions(policy.exceptions, today)
        self._covering = ExceptionsOfAll(
            self._exceptions, lambda selectors: self._bulk.selections.of(selectors)[0]
        )
        self._refused: dict[int, tuple[Wanted, SelfhostError]] = {}
        self._placed: set[int] = set()
        self._results: dict[str, int] = {}
        self._codes: set[int] = set()

        self._again = lambda: _Large(policy, machines, judge, at_once, today, None, in_full)

    def audit(self, problems: Sequence[Problem]) -> Audit:
        """The whole answer."""
        groups = None
        if len(self._policy.models) <= MOST_TOGETHER:
            deciding = self._bulk
            self._bulk = Bulk(self._policy, self._population, self._at_once, deciding=False)
            groups = self._by_all_models()
            self._bulk = deciding
        if groups is None:
            self._forget()
            groups = self._by_model()
        own = entry_problems(self._policy, len(self._machines), self._refused, self._placed)
        return Audit(
            policy=self._policy,
            today=self._today,
            machines=len(self._machines),
            rows=_Rows(self._again, self._machines, self._policy),
            groups=tuple(groups),
            exceptions=self._exceptions.uses(),
            problems=(*problems, *own),
            tallied=Tally(results=self._results, codes=frozenset(self._codes)),
        )

    def _forget(self) -> None:
        """Begin anew."""
        self._refused, self._placed = {}, set()
        self._results, self._codes = {}, set()
        self._exceptions.forget()

    def _by_all_models(self) -> list[MachineGroup] | None:
        """Machines that fare alike under every model; None where that would be too many groups."""
        joint = _Joint(self._population.all)
        for place, wanted in enumerate(self._policy.models):
            self._tell(place)
            groups = self._same(wanted)
            for group in groups:
                self._tallied(group)
            joint.cut(groups)
            if not joint.is_whole:
                return None
        return [self._group(same, bits) for same, bits in joint.in_order() if same]

    def _by_model(self) -> list[MachineGroup]:
        """Machines that fare alike under one model, model after model."""
        from .workers import in_shares

        entries = self._policy.models
        families = self._bulk.families(entries)
        # what one entry looks up of the machines is at hand in every process
        place = families[0].pop(0)
        by_place = {place: self._entry(place)}

        def of_family(number: int) -> list[_Entry]:
            return [self._entry(place) for place in families[number]]

        def tell(number: int) -> None:
            self._tell(sum(map(len, families[:number])) + 1)

        shares = in_shares(len(families), of_family, tell)
        for family, answers in zip(families, shares, strict=True):
            by_place.update(zip(family, answers, strict=True))
        self._forget()
        groups = []
        for place, wanted in enumerate(entries):
            answer = by_place[place]
            self._count(wanted, answer)
            for each in answer.groups:
                row = self._row_of_class(wanted, each)
                groups.append(MachineGroup(names=each.names, count=each.count, rows=(row,)))
        return groups

    def _entry(self, place: int) -> _Entry:
        """All that is told of one entry."""
        wanted = self._policy.models[place]
        self._forget()
        groups = []
        for same in _fewer(self._same(wanted)):
            count = self._tallied(same)
            names = tuple(
                self._machines.names[number] for number in first_members(same.bits, NAMES_SHOWN)
            )
            fields = {name: value for name, value in same.fields.items() if name != "wanted"}
            hit = self._hardest_hit(same, same.bits)
            alike = next(each for each in same.alike if each.bits >> hit & 1)
            group = _Class(fields, count, names, hit)
            self._tell_more(wanted, alike, group)
            groups.append(group)
        exceptions = self._exceptions
        return _Entry(
            groups,
            bool(self._placed),
            wanted.index in self._refused,
            self._results,
            self._codes,
            [
                (number, exceptions.rows[number])
                for number, is_concerned in enumerate(exceptions.concerned)
                if is_concerned
            ],
        )

    def _tell_more(self, wanted: Wanted, alike: Alike, group: _Class) -> None:
        """Put into a group what reports read of it: here several processes judge it."""
        decided = (*group.fields["failed"], *group.fields["undecided"])
        if alike.model is not None:
            group.short = alike.model.id, alike.route, judged_as(alike.workload), ()
        if self._in_full == "all" or (self._in_full == "failing" and decided):
            row = self.row(wanted, group.hit, alike)
            marks: tuple[Mark, ...] = tuple(
                [Mark(check=each.check, outcome=each.outcome, code=each.code) for each in row.marks]
            )
            group.fields.update(marks=marks, reasons=row.reasons)
            if group.short is not None and self._in_full == "all":
                group.short = *group.short[:-1], row.findings
        elif decided:
            group.lacking = lacks(self._population, alike, group.hit, decided)

    def _count(self, wanted: Wanted, entry: _Entry) -> None:
        """Take what an entry comes to into the whole."""
        if entry.is_refused:
            # an error is no thing to send from one process to another
            _, error = self._bulk.alike(wanted)
            assert error is not None
            self._refused[wanted.index] = wanted, error
        if entry.is_placed:
            self._placed.add(wanted.index)
        for result, count in entry.results.items():
            self._results[result] = self._results.get(result, 0) + count
        self._codes |= entry.codes
        for number, rows in entry.exceptions:
            self._exceptions.concerned[number] = True
            self._exceptions.rows[number] += rows

    def _tell(self, place: int) -> None:
        if self._progress is not None:
            self._progress.entries(place, len(self._policy.models), len(self._machines))

    def _same(self, wanted: Wanted, within: int | None = None) -> list[_Same]:
        """The machines of an entry by what their rows say."""
        alike, error = self._bulk.alike(wanted, within)
        if error is not None:
            self._refused[wanted.index] = wanted, error
            self._placed.add(wanted.index)
        same: dict[object, _Same] = {}
        for each in alike:
            self._placed.add(wanted.index)
            for part, fields, key in self._weighed(wanted, each):
                if key in same:
                    same[key].alike.append(part)
                    same[key].bits |= part.bits
                else:
                    same[key] = _Same(part, fields, key)
        return sorted(same.values(), key=lambda group: lowest(group.bits))

    def _tallied(self, same: _Same) -> int:
        """How many machines those are, once they are counted by their result."""
        count, result = same.bits.bit_count(), same.fields["result"]
        self._results[result] = self._results.get(result, 0) + count
        self._codes.add(same.fields["exit_code"])
        return count

    def _weighed(
        self, wanted: Wanted, alike: Alike
    ) -> Iterator[tuple[Alike, dict[str, Any], object]]:
        """What the policy says of machines that are alike, cut by the exceptions for them."""
        if alike.findings is None:
            yield from self._unplaced(wanted, alike)
            return
        checks = [
            finding.check
            for finding in alike.findings
            if finding.outcome is Outcome.FAIL or finding.leaves_open
        ]
        signature = tuple((each.check, each.code, each.outcome) for each in alike.findings)
        for bits, covers in self._covering.cut(wanted.name, alike.bits, checks):
            answer = weighed(self._policy, wanted, alike.findings, alike.route, covers.get)
            excepted = tuple((check, each.index) for check, each in answer.excepted)
            key = (answer.result, alike.route, signature, excepted)
            yield alike.with_bits(bits), answer.fields(), key

    def _unplaced(
        self, wanted: Wanted, alike: Alike
    ) -> Iterator[tuple[Alike, dict[str, Any], object]]:
        """Machines that may be of a class: by the facts that are not known of them."""
        fields: dict[str, Any] = {
            "wanted": wanted,
            "result": Result.UNKNOWN,
            "exit_code": weight(self._policy, wanted, Result.UNKNOWN),
            "failed": (),
            "undecided": (),
            "excepted": (),
        }
        rest = alike.bits
        by_reasons: dict[object, int] = {}
        for kind in self._population.kinds:
            for labels, bits in self._population.by_labels() if kind.bits & rest else ():
                common = kind.bits & rest & bits
                if common:
                    stand_in = kind.template.replace(labels=labels)
                    reasons = unplaced_row(self._policy, wanted, stand_in).reasons
                    texts = tuple(reason.text for reason in reasons)
                    by_reasons[texts] = by_reasons.get(texts, 0) | common
        for words, bits in by_reasons.items():
            yield alike.with_bits(bits), fields, (Result.UNKNOWN, words)

    def _group(self, same: Sequence[tuple[Wanted, _Same]], bits: int) -> MachineGroup:
        names = [self._machines.names[number] for number in first_members(bits, NAMES_SHOWN)]
        rows = []
        for wanted, each in same:
            hit = self._hardest_hit(each, bits)
            rows.append(self._row_of_hardest_hit(wanted, each.fields, hit))
        return MachineGroup(names=tuple(names), count=bits.bit_count(), rows=tuple(rows))

    def _hardest_hit(self, same: _Same, bits: int) -> int:
        """The machine of a set that lacks most; of several the first."""
        checks = (*same.fields["failed"], *same.fields["undecided"])
        return hardest_hit(self._population, same.alike, bits, checks)

    def _row_of_hardest_hit(self, wanted: Wanted, fields: dict[str, Any], number: int) -> Row:
        """The row of that machine. It is judged when somebody reads more of it than its result."""
        fields = {**fields, "machine": self._machines.names[number]}
        return Row.partly(fields, lambda: self.row(wanted, number))

    def _row_of_class(self, wanted: Wanted, group: _Class) -> Row:
        """The row of the machine that is hit hardest. It is judged when somebody reads more of it
        than is known.
        """
        fields = {
            **group.fields, "wanted": wanted, "machine": self._machines.names[group.hit]
        }  # fmt: skip
        whole, verdict = self._judged_once(wanted, group.hit)
        decided = (*fields["failed"], *fields["undecided"])
        if decided and "reasons" not in fields:
            fields["reasons"] = tuple([_reason(check, group.lacking, whole) for check in decided])
        if group.short is not None:
            fields["verdict"] = unpacked(group.short, verdict)
            fields["change"] = None
        return Row.partly(fields, whole)

    def row(self, wanted: Wanted, number: int, alike: Alike | None = None) -> Row:
        """The row of one machine, judged by itself. What was asked of those `alike` is not looked
        for again.
        """
        machine = self._machines[number]
        place = Place(self._policy, machine)
        if place.selects(wanted.machines) is None:
            return unplaced_row(self._policy, wanted, machine)
        if alike is None or alike.question is None:
            verdict = self._judge(wanted, place.workload(wanted), machine)
        else:
            (model,) = asked_by(wanted, wanted.asked)
            verdict = self._at_once.verdict_for(model, alike.question, alike.route, machine)
        uncounted = Exceptions(self._policy.exceptions, self._today)
        return row_of(
            self._policy, wanted, machine, verdict, verdict.findings, uncounted.at(machine, place)
        )

    def column(self, wanted: Wanted, start: int, count: int) -> tuple[list[_Alone], array[int]]:
        """The groups of `count` machines from `start` on, and of each machine the number of its
        group, from 1; 0 where the entry is not for it.
        """
        groups = [
            (same.fields, alike)
            for same in self._same(wanted, ((1 << count) - 1) << start)
            for alike in same.alike
        ]
        column = array("H", bytes(2 * count))
        for number, (_, alike) in enumerate(groups, 1):
            for machine in members(alike.bits >> start):
                column[machine] = number
        return groups, column

    def light_row(self, wanted: Wanted, group: _Alone, number: int) -> Row:
        """The row of one machine of a group."""
        own_fields, alike = group
        fields = {**own_fields, "machine": self._machines.names[number]}
        fields.update(verdict=None, change=None)
        whole, verdict = self._judged_once(wanted, number)
        if alike.model is not None:
            kept: dict[str, Any] = {"model": alike.model, "route": alike.route}
            if alike.workload is not None:
                kept["workload"] = alike.workload
            fields["verdict"] = Verdict.partly(kept, verdict)
        return Row.partly(fields, whole)

    def _judged_once(
        self, wanted: Wanted, number: int
    ) -> tuple[Callable[[], Row], Callable[[], Verdict]]:
        """What gives the row of one machine and its verdict: it is judged when the first of them
        is asked for.
        """
        rows: list[Row] = []

        def row() -> Row:
            if not rows:
                rows.append(self.row(wanted, number))
            return rows[0]

        def verdict() -> Verdict:
            judged = row().verdict
            assert judged is not None
            return judged

        return row, verdict


def _reason(check: str, lacking: Mapping[str, float | None], whole: Callable[[], Row]) -> Reason:
    """Why that check decided a row; it is worded when somebody reads the words, or an amount that
    is not known.
    """
    fields: dict[str, Any] = {"check": check}
    if check in lacking:
        fields["short"] = lacking[check]

    def worded() -> Reason:
        return next(reason for reason in whole().reasons if reason.check == check)

    return Reason.partly(fields, worded)


def _fewer(same: Sequence[_Same]) -> list[_Same]:
    """The groups of one entry without what is no reason: warnings that decide nothing."""
    merged: dict[object, _Same] = {}
    for each in same:
        fields = each.fields
        key = (
            fields["result"],
            fields["failed"],
            fields["undecided"],
            tuple((check, exemption.index) for check, exemption in fields["excepted"]),
            each.alike[0].findings is None and each.key,
        )
        if key in merged:
            merged[key].alike += each.alike
            merged[key].bits |= each.bits
        else:
            merged[key] = _Same(each.alike[0], fields, key)
            merged[key].alike = list(each.alike)
            merged[key].bits = each.bits
    return list(merged.values())


class _Joint:
    """Machines that fare alike under all entries so far; given up once there are too many."""

    def __init__(self, bits: int) -> None:
        self._parts: list[tuple[list[tuple[Wanted, _Same]], int]] = [([], bits)]
        self.is_whole = True

    def cut(self, same: Sequence[_Same]) -> None:
        """Cut the groups by those of one entry more."""
        if not self.is_whole:
            return
        parts = []
        for own, bits in self._parts:
            rest = bits
            for each in same:
                common = rest & each.bits
                if common:
                    parts.append(([*own, (each.fields["wanted"], each)], common))
                    rest ^= common
                    if not rest:
                        break
            if rest:
                parts.append((own, rest))
        self._parts = parts
        self.is_whole = sum(len(own) for own, _ in parts) <= MOST_ROWS

    def in_order(self) -> list[tuple[list[tuple[Wanted, _Same]], int]]:
        """By the first machine of each."""
        return sorted(self._parts, key=lambda part: lowest(part[1]))


# machines whose rows are worked out together: memory is that of so many
_BLOCK = 1 << 16


class _Rows:
    """Every row of a large audit, machine after machine. No more than the rows of some machines
    are held, and a verdict is given when somebody reads more of a row than what it says.
    """

    def __init__(self, fresh: Callable[[], _Large], machines: Machines, policy: Policy) -> None:
        self._fresh, self._machines, self._policy = fresh, machines, policy

    def __iter__(self) -> Iterator[Row]:
        large = self._fresh()
        for start in range(0, len(self._machines), _BLOCK):
            count = min(_BLOCK, len(self._machines) - start)
            columns = [
                (wanted, *large.column(wanted, start, count)) for wanted in self._policy.models
            ]
            for place in range(count):
                for wanted, groups, column in columns:
                    if column[place]:
                        yield large.light_row(wanted, groups[column[place] - 1], start + place)
