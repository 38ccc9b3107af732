"""The machines of an audit as sets: which of them have a fact, and of which a number is at least
so much.

A set is a whole number with a bit for each machine, the first machine's the lowest: sets of a
hundred thousand machines are joined and cut in a microsecond, without a library.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from operator import add

from ..core.records import FrozenDict
from ..machine.record import Accelerator, Machine
from .fleet import Machines
from .lines import Slot

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeVar

    T = TypeVar("T")

# a sum of slots, each with its factor, in a fixed order
Form = tuple[tuple[Slot, int], ...]
BANDWIDTH: Slot = ("memory_bandwidth_bytes_per_second",)
TOTAL: Slot = ("memory_total_bytes",)
# the least and the most of some numbers
Span = tuple[int, int]
# of the sets that a form is cut into, the ones kept: between them bits are set one by one. They
# may take so many bytes for each form, but are never fewer than the least
_MARKS_BYTES = 3 << 20
_LEAST_MARKS = 64
_LEAST_STEP = 128
# bounds of a form of several numbers for which all machines are looked through
_MOST_UNSORTED = 2
# sets that are kept once they were asked for: of each sort so many bytes, but never fewer
_KEPT_BYTES = 16 << 20
_LEAST_KEPT = 256
# sets of which the kinds are kept: those that entries are for
_MOST_SETS = 32
# rules that were worked out of machines
_MOST_WORKED_OUT = 256
# among so many machines of a set the first is looked for at once
_FIRST_BITS = 512
# a float holds every whole number below
_WHOLE_FLOATS = 1 << 53


def most_kept(set_bytes: int) -> int:
    """How many sets of that size are kept of one sort."""
    return max(_LEAST_KEPT, _KEPT_BYTES // max(1, set_bytes))


def bits_of(numbers: Sequence[int], size: int) -> int:
    """The set of the machines with those numbers, of `size` machines in all."""
    held = bytearray((size >> 3) + 1)
    for number in numbers:
        held[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(held, "little")


def without(bits: int, others: int) -> int:
    """The machines of a set that are not in another: in a fifteenth of the time that `&` and `~`
    take of large sets, for no negative number is made.
    """
    common = bits & others
    return bits ^ common if common else bits


def lowest(bits: int) -> int:
    """The number of the first machine of a set that is not empty."""
    # numbers of few bits are turned round sooner
    start, width = 0, _FIRST_BITS
    while not (part := bits & ((1 << width) - 1)) and bits:
        start, width = width, width * 2
    part >>= start
    return start + (part & -part).bit_length() - 1


def members(bits: int) -> Iterator[int]:
    """The numbers of the machines of a set, ascending."""
    held = bits.to_bytes((bits.bit_length() + 7) >> 3, "little")
    for place, byte in enumerate(held):
        if byte:
            yield from (8 * place + bit for bit in _BITS[byte])


def first_members(bits: int, count: int) -> list[int]:
    """The first machines of a set."""
    numbers: list[int] = []
    while bits and len(numbers) < count:
        number = lowest(bits)
        numbers.append(number)
        bits ^= 1 << number
    return numbers


_BITS = [[bit for bit in range(8) if byte >> bit & 1] for byte in range(256)]


class _Cut:
    """The machines by a form's value: which of them reach a bound. They are sorted when that takes
    less than to look through all of them for each bound: most forms of several numbers are held
    against one bound.
    """

    def __init__(
        self,
        columns: Sequence[tuple[Kind, Sequence[int]]],
        size: int,
        kept: dict[tuple[int, int], int],
        most_unsorted: int,
    ) -> None:
        """Of each kind that has the form its `columns` have the values. `kept` has the sets that
        were asked for last, of all cuts; for so many bounds all machines are looked through.
        """
        # with the least and the most
        self._columns = [
            (kind, column, min(column), max(column)) for kind, column in columns if len(column)
        ]
        self.least = min([least for _, _, least, _ in self._columns], default=0)
        self.most = max([most for _, _, _, most in self._columns], default=0)
        # of all machines that have the form
        self.all = 0
        for kind, _ in columns:
            self.all |= kind.bits
        self._size = size
        self._bytes = (size >> 3) + 1
        marks = max(_LEAST_MARKS, _MARKS_BYTES // self._bytes)
        count = sum([len(column) for _, column in columns])
        self._step = max(_LEAST_STEP, -(-count // marks))
        # the sets of all machines before each mark
        self._marks = [0]
        self._kept, self._most_unsorted = kept, most_unsorted
        # the sets by the first bounds that were asked for
        self._by_bound: dict[int, int] = {}

    @cached_property
    def _sorted(self) -> tuple[array[int], array[int]]:
        """The values ascending, and the machines that have them: those of one value ascending."""
        values = [0] * self._size
        for kind, column, _, _ in self._columns:
            for number, value in zip(kind.members, column, strict=True):
                values[number] = value
        keys: Sequence[float] = values
        if max(-self.least, self.most) < _WHOLE_FLOATS:
            # floats are compared twice as fast as large whole numbers
            keys = list(map(float, values))
        numbers = sorted(chain.from_iterable([kind.members for kind, _, _, _ in self._columns]))
        # sorting keeps the order of those with the same value
        numbers.sort(key=keys.__getitem__)
        # four bytes hold every number; an array is made of a list in half the time
        return array("q", list(map(values.__getitem__, numbers))), array("i", numbers)

    @property
    def values(self) -> array[int]:
        """The values of all machines that have the form, ascending."""
        return self._sorted[0]

    @property
    def numbers(self) -> array[int]:
        """The machines in the order of their values."""
        return self._sorted[1]

    def at_least(self, bound: int) -> int:
        """The set of machines whose value is `bound` or more."""
        bits = self._by_bound.get(bound)
        if bits is not None:
            return bits
        if len(self._by_bound) >= self._most_unsorted:
            return self.all ^ self._below(bisect_left(self.values, bound))
        bits = 0
        for kind, column, least, most in self._columns:
            if least >= bound:
                bits |= kind.bits
            elif most >= bound:
                members_and_values = zip(kind.members, column, strict=True)
                reaching = [number for number, value in members_and_values if value >= bound]
                bits |= bits_of(reaching, self._size)
        self._by_bound[bound] = bits
        return bits

    def first_of(self, bits: int) -> int:
        """Of the machines of a set, which all have the form, the one with the lowest value, and of
        several the first.
        """
        held = bits.to_bytes(self._bytes, "little")
        start = self._mark_before(bits) * self._step
        behind = self.numbers[start : start + self._step]
        return next(each for each in behind if held[each >> 3] >> (each & 7) & 1)

    def last_of(self, bits: int) -> int:
        """Of the machines of a set, which all have the form, one with the highest value."""
        held = bits.to_bytes(self._bytes, "little")
        # the first mark before which all of them lie, by halves
        low, high = 0, len(self.numbers) // self._step + 1
        while low < high:
            middle = (low + high) // 2
            if without(bits, self._below(min(middle * self._step, len(self.numbers)))):
                low = middle + 1
            else:
                high = middle
        start = max(0, low - 1) * self._step
        before = reversed(self.numbers[start : low * self._step])
        return next(each for each in before if held[each >> 3] >> (each & 7) & 1)

    def _mark_before(self, bits: int) -> int:
        """The last mark before which none of a set lies."""
        low, high = 0, len(self.numbers) // self._step
        while low < high:
            middle = (low + high + 1) // 2
            if self._below(middle * self._step) & bits:
                high = middle - 1
            else:
                low = middle
        return low

    def _below(self, rank: int) -> int:
        mark, behind = divmod(rank, self._step)
        if not behind:
            return self._before_mark(mark)
        key = id(self), rank
        bits = self._kept.get(key)
        if bits is None:
            start = mark * self._step
            next_start = min(start + self._step, len(self.numbers))
            # the nearer of the two marks
            if behind > (next_start - start) // 2 and next_start == start + self._step:
                bits = self._before_mark(mark + 1) ^ self._of_ranks(rank, next_start)
            else:
                bits = self._before_mark(mark) | self._of_ranks(start, rank)
            if len(self._kept) > most_kept(self._bytes):
                self._kept.clear()
            self._kept[key] = bits
        return bits

    def _before_mark(self, mark: int) -> int:
        while len(self._marks) <= mark:
            start = (len(self._marks) - 1) * self._step
            own = self._of_ranks(start, start + self._step)
            self._marks.append(self._marks[-1] | own)
        return self._marks[mark]

    def _of_ranks(self, start: int, stop: int) -> int:
        return bits_of(self.numbers[start:stop], self._size)


class Kind:
    """One shape of the fleet, ready to be asked: its facts, without the numbers that its machines
    differ in, and the columns of those numbers.
    """

    __slots__ = (
        "_asked", "bandwidths", "bare", "bits", "columns", "members", "number", "template",
        "totals",
    )  # fmt: skip

    def __init__(
        self, number: int, template: Machine, slots: Sequence[Slot], columns: Sequence[Any]
    ) -> None:
        self.number, self.template = number, template
        disks = template.disks or ()
        self.columns: dict[Slot, Any] = {}
        for slot, column in zip(slots, columns, strict=True):
            self.columns[_named(slot, disks)] = column
        self.bare = _bare(template, self.columns)
        self.members: array[int] = array("l")
        self.bits = 0
        bandwidths = self.columns.get(BANDWIDTH)
        # those that its machines have, ascending
        self.bandwidths = None if bandwidths is None else sorted(set(bandwidths))
        # the amounts of memory that its machines have, ascending
        self.totals = sorted(set(self.columns.get(TOTAL, ())))
        self._asked: dict[tuple[int | None, Span | None], Machine] = {}
        self._add_totals(len(columns[0]) if columns else 0)

    @property
    def slowest(self) -> int | None:
        """The least bandwidth of its machines, where they have some."""
        return None if self.bandwidths is None else self.bandwidths[0]

    def _add_totals(self, count: int) -> None:
        """What the accelerators have in total is the same for all, and a number like others."""
        for index, card in enumerate(self.template.accelerators or ()):
            if count and card.memory_total_bytes is not None:
                slot = ("accelerators", str(index), "memory_total_bytes")
                self.columns[slot] = array("q", [card.memory_total_bytes]) * count

    def has(self, form: Form) -> bool:
        """Whether its machines have all numbers of that form."""
        return all(slot in self.columns for slot, _ in form)

    def places_of(self, bits: int) -> Sequence[int]:
        """Where those of its machines stand in the columns that are in a set."""
        common = self.bits & bits
        if common == self.bits:
            return range(len(self.members))
        held = common.to_bytes((common.bit_length() + 7) // 8 or 1, "little")
        most = 8 * len(held)
        return [
            place
            for place, machine in enumerate(self.members)
            if machine < most and held[machine >> 3] >> (machine & 7) & 1
        ]

    def column(self, form: Form) -> Sequence[int]:
        """The values of that form of all members, in eight bytes each."""
        (slot, factor), *others = form
        if factor == 1 and not others:
            column: Sequence[int] = self.columns[slot]
            return column
        return array("q", self.sums(form))

    def sums(
        self, form: Form, constant: int = 0, places: Sequence[int] | None = None
    ) -> Sequence[int]:
        """The values of that form and a constant: of the members at those places, None: of all."""
        sums: Sequence[int] = [constant] * len(self.members if places is None else places)
        for slot, factor in form:
            column = self.columns[slot]
            if places is not None:
                column = [column[place] for place in places]
            if factor != 1:
                column = [factor * value for value in column]
            sums = list(map(add, sums, column))
        return sums

    def asked(self, bandwidth: int | None, totals: Span | None = None) -> Machine:
        """One of its machines with that bandwidth, and as much memory as `totals`; None: as any of
        them has. It has no other number in which they differ: asked for one it raises
        `DiffersError`.
        """
        machine = self._asked.get((bandwidth, totals))
        if machine is None:
            total = None
            if self.totals:
                least, most = totals or (self.totals[0], self.totals[-1])
                total = least if least == most else _Between(least, most)
            machine = _without_numbers(self.template, self.columns, bandwidth, total)
            if len(self._asked) > 256:
                self._asked.clear()
            self._asked[bandwidth, totals] = machine
        return machine

    def half_with(self, total: int, totals: Span | None) -> Span | None:
        """Of the amounts of memory within `totals` (None: all of them) those of the half that
        `total` is in; None where there is one alone.
        """
        least, most = totals or (self.totals[0], self.totals[-1])
        first, behind = bisect_left(self.totals, least), bisect_right(self.totals, most)
        if behind - first < 2:
            return None
        middle = (first + behind) // 2
        if total < self.totals[middle]:
            return self.totals[first], self.totals[middle - 1]
        return self.totals[middle], self.totals[behind - 1]


def _without_numbers(
    template: Machine, columns: Mapping[Slot, Any], bandwidth: int | None, total: Any
) -> Machine:
    own = {name: getattr(template, name) for name in Machine._fields}
    for name in ("name", "labels", "read_at", "disks", *(slot[0] for slot in columns)):
        own.pop(name, None)
    if template.accelerators is not None:
        own["accelerators"] = tuple(
            _alone(
                Accelerator.partly(
                    {
                        name: getattr(card, name)
                        for name in Accelerator._fields
                        if name != "memory_free_bytes"
                    },
                    _refuse,
                )
            )
            for card in template.accelerators
        )
    if BANDWIDTH in columns and bandwidth is not None:
        own[BANDWIDTH[0]] = bandwidth
    if total is not None:
        own[TOTAL[0]] = total
    machine = Machine.partly({**own, "name": "the machine", "labels": FrozenDict()}, _refuse)
    return _alone(machine)


def _alone(record: T) -> T:
    """The record; rules keep answers by it, and it is equal to no other."""
    record.__dict__["_hash"] = id(record)
    return record


class _Ends:
    """Kinds by the least and the most of a form of one number; of another form nothing is told."""

    def __init__(self, kinds: Sequence[Kind], form: Form) -> None:
        self._least: list[int] = []
        self._most: list[int] = []
        if len(form) > 1 or form[0][1] != 1:
            return
        ends = [
            (min(column), max(column), 1 << kind.number)
            for kind in kinds
            if (column := kind.columns.get(form[0][0])) is not None and len(column)
        ]
        self._least, self._below = _unions([(least, bit) for least, _, bit in ends])
        self._most, self._beyond = _unions([(most, bit) for _, most, bit in ends])

    def reaching(self, bound: int, is_reached: bool) -> int:
        """The kinds that have a machine whose value reaches the bound, or one whose value does not;
        -1 where that is not told.
        """
        if not self._least:
            return -1
        if is_reached:
            return self._beyond[-1] ^ self._beyond[bisect_left(self._most, bound)]
        return self._below[bisect_left(self._least, bound)]


def _unions(entries: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """The values ascending, and before each and behind the last the union of the sets so far."""
    entries.sort()
    unions = [0]
    for _, bits in entries:
        unions.append(unions[-1] | bits)
    return [value for value, _ in entries], unions


class _Between:
    """A number in which the machines of a kind differ: it answers what all of them answer alike,
    comparisons and what is `rising`, and raises `DiffersError` for all else that is asked of it.
    """

    __slots__ = ("_least", "_most")

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def _reaches(self, bound: float) -> bool:
        if self._least < bound <= self._most:
            raise DiffersError
        return self._least >= bound

    def __ge__(self, other: int) -> bool:
        return self._reaches(other)

    def __lt__(self, other: int) -> bool:
        return not self._reaches(other)

    def __gt__(self, other: int) -> bool:
        return self._reaches(other + 1)

    def __le__(self, other: int) -> bool:
        return not self._reaches(other + 1)

    def __bool__(self) -> bool:
        return self._reaches(1)

    def rising(self, of: Callable[[int], T]) -> T:
        """As `machine.record.rising`."""
        answer = of(self._least)
        if answer != of(self._most):
            raise DiffersError
        return answer

    def _refuse(self, *_: object) -> NoReturn:
        raise DiffersError

    __eq__ = __hash__ = __int__ = __index__ = __float__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __neg__ = _refuse


class DiffersError(Exception):
    """A pace asked for a number in which machines of one kind differ."""


def _refuse() -> Any:
    raise DiffersError


def _named(slot: Slot, disks: Sequence[Any]) -> Slot:
    """The slot by the purpose of its disk: shapes list their disks in other orders. Of two disks
    for one purpose only the first is looked at.
    """
    if slot[0] != "disks":
        return slot
    purpose = disks[int(slot[1])].purpose
    is_first = all(disk.purpose != purpose for disk in disks[: int(slot[1])])
    return ("disks", purpose if is_first else f"\x00{slot[1]}", slot[2])


def _bare(template: Machine, columns: dict[Slot, Any]) -> Machine:
    """The machine with 0 for each number that stands in a column: two are equal where nothing but
    such numbers differs.
    """
    changes: dict[str, Any] = {slot[0]: 0 for slot in columns if len(slot) == 1}
    cards = [
        entry.replace(memory_free_bytes=0)
        if ("accelerators", str(index), "memory_free_bytes") in columns
        else entry
        for index, entry in enumerate(template.accelerators or ())
    ]
    if cards:
        changes["accelerators"] = tuple(cards)
    fields = {name: getattr(template, name) for name in Machine._fields}
    return Machine.partly({**fields, **changes, "name": "-", "labels": FrozenDict()})


class Population:
    """All machines of an audit."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.size = len(machines)
        self.all = (1 << self.size) - 1
        self.kinds: list[Kind] = []
        for number, shape in enumerate(machines.shapes):
            kind = Kind(number, shape.template, shape.slots, shape.columns)
            kind.members = shape.members
            kind.bits = bits_of(shape.members, self.size)
            self.kinds.append(kind)
        # by the name of the question
        self.facts: dict[Any, list[tuple[Any, int]]] = {}
        self._sets: dict[tuple[int, int], int] = {}
        self._cuts: dict[Form, _Cut] = {}
        self._ends: dict[Form, _Ends] = {}
        self._unions: dict[int, int] = {}
        self._kinds_of: dict[int, int] = {}
        self._by_bandwidth: dict[int, array[int]] = {}
        # of questions about pace: `asked.Answers`
        self.answers: Any = None
        # what was worked out of machines, by its name: `tracing.Worked`
        self.worked_out: dict[Any, Any] = {}
        # of columns of quotients the slots that these rest on
        self._origins: dict[Slot, tuple[Slot, ...]] = {}

    def kind_of(self, number: int) -> tuple[int, int]:
        """The number of a machine's kind, and its place in the columns."""
        return self.machines.shape_numbers[number], self.machines.place_of(number)

    def fact(self, key: Any, of: Callable[[Kind], Any]) -> list[tuple[Any, int]]:
        """Of each kind what it answers to `of`, and the kinds that answer the same, as bits. `key`
        is the name of the question.
        """
        answers_of_kinds = self.facts.get(key)
        if answers_of_kinds is None:
            answers = [of(kind) for kind in self.kinds]
            same: dict[Any, int] = {}
            for number, answer in enumerate(answers):
                same[answer] = same.get(answer, 0) | 1 << number
            answers_of_kinds = self.facts[key] = [(answer, same[answer]) for answer in answers]
        return answers_of_kinds

    def keep_worked_out(self, key: Any, worked: Any) -> Any:
        """Keep what is worked out by that name; words that were asked for first are forgotten."""
        if len(self.worked_out) >= _MOST_WORKED_OUT:
            self.worked_out = {
                name: each for name, each in self.worked_out.items() if each.has_numbers
            }
        self.worked_out[key] = worked
        return worked

    def by_labels(self) -> Iterator[tuple[Mapping[str, str], int]]:
        """The machines by their labels; sets of labels that are equal may come apart."""
        for labels, numbers in self._by_labels:
            yield labels, bits_of(numbers, self.size)

    @cached_property
    def _by_labels(self) -> list[tuple[Mapping[str, str], array[int]]]:
        numbers: dict[int, tuple[Mapping[str, str], array[int]]] = {}
        for number in range(self.size):
            labels = self.machines.labels_of(number)
            if id(labels) not in numbers:
                numbers[id(labels)] = labels, array("l")
            numbers[id(labels)][1].append(number)
        return list(numbers.values())

    def kinds_of(self, bits: int) -> int:
        """The kinds that machines of a set are of."""
        kinds = self._kinds_of.get(bits)
        if kinds is None:
            kinds = self.kinds_within((1 << len(self.kinds)) - 1, bits)
            if len(self._kinds_of) >= _MOST_SETS:
                self._kinds_of.clear()
            self._kinds_of[bits] = kinds
        return kinds

    def kinds_within(self, kinds: int, bits: int) -> int:
        """Those of some kinds that machines of a set are of."""
        within, rest = 0, self.of_kinds(kinds) & bits
        while rest:
            number, _ = self.kind_of(lowest(rest))
            within |= 1 << number
            rest = without(rest, self.kinds[number].bits)
        return within

    def kinds_left(self, among: int, answered: int, bits: int) -> int:
        """Some kinds, among which are all of a set, without those that have `answered` and of which
        no machine is left in it.
        """
        return among & ~answered | self.kinds_within(among & answered, bits) if bits else 0

    def of_kinds(self, kinds: int) -> int:
        """The machines of those kinds."""
        bits = self._unions.get(kinds)
        if bits is None:
            bits = 0
            for number in members(kinds):
                bits |= self.kinds[number].bits
            if len(self._unions) > most_kept(self.size >> 3):
                self._unions.clear()
            self._unions[kinds] = bits
        return bits

    def cut(self, form: Form) -> _Cut:
        """The machines by the value of that form; only those that have all its slots."""
        cut = self._cuts.get(form)
        if cut is None:
            columns = [(kind, kind.column(form)) for kind in self.kinds if kind.has(form)]
            most_unsorted = _MOST_UNSORTED if len(form) > 1 else 0
            cut = self._cuts[form] = _Cut(columns, self.size, self._sets, most_unsorted)
        return cut

    def quotient(self, form: Form, constant: int, divisor: int) -> Slot:
        """The slot of that form and the constant, divided and rounded down: a column of all kinds
        that have the form's slots.
        """
        slot = "quotient", repr((form, constant)), str(divisor)
        if slot not in self._origins:
            self._origins[slot] = tuple(
                [origin for each, _ in form for origin in self.origins(each)]
            )
            for kind in self.kinds:
                if kind.has(form):
                    sums = kind.sums(form, constant)
                    kind.columns[slot] = array("q", [total // divisor for total in sums])
        return slot

    def origins(self, slot: Slot) -> tuple[Slot, ...]:
        """The slots of the machines' records that a number rests on."""
        return self._origins.get(slot, (slot,))

    def kinds_by(self, form: Form) -> _Ends:
        """The kinds by the least and the most that their machines have of that form."""
        ends = self._ends.get(form)
        if ends is None:
            ends = self._ends[form] = _Ends(self.kinds, form)
        return ends

    def value_of(self, number: int, slot: Slot) -> int:
        """That number of a machine."""
        kind, place = self.kind_of(number)
        value: int = self.kinds[kind].columns[slot][place]
        return value

    def form_of(self, number: int, form: Form) -> int:
        """The value of that form of a machine."""
        return sum([factor * self.value_of(number, slot) for slot, factor in form])

    def bandwidth_of(self, number: int) -> int:
        """The bandwidth of a machine's memory."""
        return self.value_of(number, BANDWIDTH)

    def slowest_of_kinds(self, bits: int, kinds: int) -> list[int]:
        """Of each kind that machines of a set are of, the first with the least bandwidth. `kinds`:
        they are of no others.
        """
        held = bits.to_bytes((self.size >> 3) + 1, "little")
        slowest = []
        for number in members(kinds):
            kind = self.kinds[number]
            if not kind.bits & bits:
                continue
            order: Sequence[int] = kind.members
            if BANDWIDTH in kind.columns:
                order = self._by_bandwidth.get(number) or self._sorted_by_bandwidth(number)
            slowest.append(next(each for each in order if held[each >> 3] >> (each & 7) & 1))
        return slowest

    def _sorted_by_bandwidth(self, number: int) -> array[int]:
        kind = self.kinds[number]
        column = kind.columns[BANDWIDTH]
        places = sorted(range(len(column)), key=column.__getitem__)
        order = self._by_bandwidth[number] = array("l", [kind.members[place] for place in places])
        return order

    def ends(self, bits: int, slot: Slot) -> tuple[int, int]:
        """The machines of a set with the least and with the most of that number; those without it
        do not count.
        """
        cut = self.cut(((slot, 1),))
        common = bits & cut.all
        return cut.first_of(common), cut.last_of(common)
