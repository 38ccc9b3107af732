"""One machine is judged, and it shows for which others the answer is the same.

What is judged gets a `View` instead of a machine. It answers as the machine does, and writes down
what it was asked: facts by their values, numbers by each comparison that they took part in. Every
machine that would have answered the same has the same findings, for judging asks nothing else. So
each rule is applied by the function that states it, once for thousands of machines.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from operator import attrgetter

from ..core.records import Unread
from ..machine.record import Accelerator, Machine
from ..verdict.findings import Finding
from .asked import Answers, Asked, Question
from .lines import Slot
from .population import (
    BANDWIDTH,
    TOTAL,
    DiffersError,
    Form,
    Kind,
    Population,
    Span,
    lowest,
    members,
    without,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

# the largest factor of a number in a form: columns hold whole numbers of 63 bits
_MOST_FACTOR = 1024


class Number:
    """A machine's number, or a sum of several: it keeps its value, and tells its trace each
    comparison. What it cannot follow, such as a share of it, ties the answer to the very value.
    """

    __slots__ = ("_trace", "constant", "form", "value")

    def __init__(self, trace: Trace, form: Form, constant: int, value: int) -> None:
        self._trace, self.form, self.constant, self.value = trace, form, constant, value

    def _sum(self, other: Any, sign: int, own: int = 1) -> Any:
        if type(other) is int:
            form = scaled(self.form, own)
            constant = own * self.constant + sign * other
            return Number(self._trace, form, constant, own * self.value + sign * other)
        if type(other) is Number:
            form = _added(scaled(self.form, own), scaled(other.form, sign))
            constant = own * self.constant + sign * other.constant
            value = own * self.value + sign * other.value
            return Number(self._trace, form, constant, value) if form else constant
        return NotImplemented if not isinstance(other, float) else own * self.pinned + sign * other

    def __add__(self, other: Any) -> Any:
        return self._sum(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._sum(other, -1)

    def __rsub__(self, other: Any) -> Any:
        return self._sum(other, 1, -1)

    def __neg__(self) -> Any:
        return self._sum(0, 1, -1)

    @property
    def pinned(self) -> int:
        """The value; from then on the answer holds for no other."""
        value = self.value - self.constant
        self._trace.is_at_least(self.form, value, value)
        self._trace.is_at_least(self.form, value + 1, value)
        return self.value

    def rising(self, of: Callable[[int], T]) -> T:
        """As `machine.record.rising`: the answer holds for all whose own is the same."""
        return self._trace.rising(self.form, self.constant, of, self.value)

    def __mul__(self, other: Any) -> Any:
        if type(other) is int and 0 < other <= _MOST_FACTOR:
            return self._sum(0, 1, other)
        return self.pinned * other

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self.pinned / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.pinned

    def __floordiv__(self, other: Any) -> Any:
        if type(other) is int and 0 < other <= _MOST_FACTOR:
            slot = self._trace.quotient(self.form, self.constant, other)
            return Number(self._trace, ((slot, 1),), 0, self.value // other)
        return self.pinned // other

    def __mod__(self, other: Any) -> Any:
        return self.pinned % other

    def __int__(self) -> int:
        return self.pinned

    __index__ = __int__

    def __float__(self) -> float:
        return float(self.pinned)

    def __bool__(self) -> bool:
        # most are larger: one question tells
        return bool(self > 0 or self < 0)

    def _reaches(self, other: Any, *, beyond: bool) -> Any:
        """Whether it is `other` or more; with `beyond` more."""
        if type(other) is Number:
            difference = self - other
            if type(difference) is Number:
                return difference._reaches(0, beyond=beyond)
            return difference > 0 if beyond else difference >= 0
        if type(other) is float:
            if math.isinf(other) or math.isnan(other):
                return self.value > other if beyond else self.value >= other
            bound = math.floor(other) + 1 if beyond else math.ceil(other)
        elif isinstance(other, int):
            bound = other + beyond
        else:
            return NotImplemented
        constant = self.constant
        return self._trace.is_at_least(self.form, bound - constant, self.value - constant)

    def __ge__(self, other: Any) -> Any:
        return self._reaches(other, beyond=False)

    def __gt__(self, other: Any) -> Any:
        return self._reaches(other, beyond=True)

    def __lt__(self, other: Any) -> Any:
        reaches = self._reaches(other, beyond=False)
        return reaches if reaches is NotImplemented else not reaches

    def __le__(self, other: Any) -> Any:
        reaches = self._reaches(other, beyond=True)
        return reaches if reaches is NotImplemented else not reaches

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, int | float | Number):
            return NotImplemented
        return bool(self >= other) and not self > other

    def __format__(self, spec: str) -> str:
        # the words of a finding are no part of what is compared
        return format(self.value, spec)

    def __str__(self) -> str:
        return str(self.value)

    # what is kept by its value would not be written down again
    __hash__ = None  # type: ignore[assignment]


@lru_cache(maxsize=4096)
def scaled(form: Form, by: int) -> Form:
    """So many times the form; -1 turns each factor's sign."""
    return form if by == 1 else tuple([(slot, by * each) for slot, each in form])


@lru_cache(maxsize=4096)
def _added(form: Form, other: Form) -> Form:
    factors = dict(form)
    for slot, factor in other:
        factors[slot] = factors.get(slot, 0) + factor
    return tuple(sorted((slot, factor) for slot, factor in factors.items() if factor))


class Trace:
    """What one machine was asked while it was judged, with given numbers in the place of some of
    its own where `instead` says so: of those nothing is written down. Such a one stands for others
    of other kinds, too, so that rare questions are asked of all.
    """

    def __init__(
        self,
        population: Population,
        number: int,
        instead: Mapping[Slot, int] | None = None,
        among: int | None = None,
    ) -> None:
        """`among`: the kinds of machine that matter; all where it is None."""
        self._population = population
        self._instead = instead or {}
        self._facts = population.facts
        self.number = number
        self.kind, self._place = population.kind_of(number)
        # the kinds that answered alike so far
        self.among = (1 << len(population.kinds)) - 1 if among is None else among
        self.kinds = self.among
        # (form, bound) -> whether it is reached
        self.bounds: dict[tuple[Form, int], bool] = {}
        # machines of those kinds that answered otherwise, and the ones that did not
        self.others, self.within = 0, population.all
        # the questions about pace with the own answers
        self.asked: list[tuple[Any, Asked]] = []
        self.reads_bandwidth = False

    @property
    def template(self) -> Machine:
        """The first machine of its kind."""
        return self._population.kinds[self.kind].template

    @property
    def view(self) -> Any:
        """The machine, to be judged."""
        return View(self)

    def fact(self, key: Any, of: Callable[[Kind], Any]) -> Any:
        """What the machine's kind answers; machines of kinds that answer otherwise are others."""
        answers_of_kinds = self._facts.get(key) or self._population.fact(key, of)
        answer, alike = answers_of_kinds[self.kind]
        self.kinds &= alike
        return answer

    def answer(self, question: Question) -> Any:
        """As `Machine.answer`."""
        population = self._population
        if population.answers is None:
            population.answers = Answers(population)
        kind = population.kinds[self.kind]
        bandwidth = self.value_of(BANDWIDTH) if kind.bandwidths is not None else None
        totals = None
        while True:
            try:
                # the key is the same at any bandwidth
                asked = population.answers.of(question, kind.asked(kind.slowest, totals))
                answer, said = asked.answer_of(self.kind, bandwidth, totals)
                break
            except DiffersError:
                totals = self._fewer_totals(totals)
        if totals is not None:
            self.kinds &= 1 << self.kind
        else:
            self.kinds &= self._reaching()
        asked.answered |= self.kinds
        if totals is None:
            kinds, others = asked.alike(said, self.kinds)
            self.kinds &= kinds
            self.others |= others
        else:
            for bound in asked.bounds_of(self.kind, bandwidth, totals):
                self.is_at_least(((BANDWIDTH, 1),), bound, self.value_of(BANDWIDTH))
        self.asked.append((answer, asked))
        return answer

    def _fewer_totals(self, totals: Span | None) -> Span:
        """Of the amounts of memory of the machine's kind the half that its own is in: from then on
        the answer holds for no others. Raises the `DiffersError` that is being handled where there
        is no more to leave out.
        """
        kind = self._population.kinds[self.kind]
        if not kind.totals:
            raise DiffersError
        own = self.value_of(TOTAL)
        half = kind.half_with(own, totals)
        if half is None:
            raise DiffersError
        form: Form = ((TOTAL, 1),)
        self.is_at_least(form, half[0], own)
        self.is_at_least(form, half[1] + 1, own)
        return half

    def _reaching(self) -> int:
        """The kinds of which some machine may have answered each comparison alike: no other has to
        be asked anything.
        """
        kinds = -1
        for (form, bound), is_reached in self.bounds.items():
            kinds &= self._population.kinds_by(form).reaching(bound, is_reached)
        return kinds

    def worked_out(self, key: Any, of: Callable[[Any], Any], view: View) -> Any:
        """As `Machine.worked_out`. With other numbers than its own it is worked out again."""
        population = self._population
        worked = population.worked_out.get(key)
        if worked is None:
            worked = population.keep_worked_out(key, Worked(population, key, of))
        if self._instead and not worked.slots_of_all().isdisjoint(self._instead):
            return of(view)
        word, machines, kinds = worked.of_machine(self.number, self.kind, self.kinds)
        if word is MIXED:
            return of(view)
        self.within &= machines
        self.kinds &= kinds
        return self.number_of(worked.slot) if word is Number else word

    def asked_of(self, finding: Finding) -> Asked | None:
        """The question that was answered with that finding."""
        return next(
            (
                asked
                for answer, asked in self.asked
                if any(part is finding for part in answer if part is not None)
            ),
            None,
        )

    def number_of(self, slot: Slot) -> Number | int | None:
        """The machine's number; None where its kind has none."""
        answers_of_kinds = self._facts.get(slot) or self._population.fact(
            slot, lambda kind: slot in kind.columns
        )
        is_there, alike = answers_of_kinds[self.kind]
        self.kinds &= alike
        if not is_there:
            return None
        if slot in self._instead:
            return self._instead[slot]
        return Number(self, ((slot, 1),), 0, self.value_of(slot))

    def is_at_least(self, form: Form, bound: int, value: int) -> bool:
        """Whether the machine's value of a form reaches a bound."""
        if form[0][1] < 0:
            # -x >= b where x < 1 - b
            return not self.is_at_least(scaled(form, -1), 1 - bound, -value)
        if form[0][1] > 1 and len(form) == 1:
            # n * x >= b where x >= b / n, rounded up
            bound = -(-bound // form[0][1])
            value //= form[0][1]
            form = ((form[0][0], 1),)
        answer = self.bounds[form, bound] = value >= bound
        return answer

    def quotient(self, form: Form, constant: int, divisor: int) -> Slot:
        """The column of a form and a constant, divided and rounded down."""
        return self._population.quotient(form, constant, divisor)

    def rising(self, form: Form, constant: int, of: Callable[[int], T], value: int) -> T:
        """`of` a form and a constant, with the value that they have; see `Number.rising`."""
        answer = of(value)
        values = self._population.cut(form).values
        own = bisect_left(values, value - constant)

        def is_same(each: int) -> bool:
            return of(each + constant) == answer

        first = bisect_left(values, True, 0, own, key=is_same)
        last = bisect_left(values, True, own, key=lambda each: not is_same(each))
        self.is_at_least(form, values[first], value - constant)
        if last < len(values):
            self.is_at_least(form, values[last], value - constant)
        return answer

    def value_of(self, slot: Slot) -> int:
        """That number of the machine, as it is or is taken to be."""
        if slot in self._instead:
            return self._instead[slot]
        value: int = self._population.kinds[self.kind].columns[slot][self._place]
        return value

    def region(self) -> int:
        """The machines that would have answered the same, whatever bandwidth was read of them."""
        bits = without(self._population.of_kinds(self.kinds) & self.within, self.others)
        for form, (low, high) in _tightest(self.bounds).items():
            cut = self._population.cut(form)
            # most bounds are reached by all or by none
            if low is not None and low > cut.least:
                bits &= cut.at_least(low)
            if high is not None and high <= cut.most:
                bits = without(bits, cut.at_least(high))
        return bits

    def region_of_its_bandwidth(self) -> int:
        """The machines that would have answered the same: of its bandwidth, if that was read."""
        region = self.region()
        if self.reads_bandwidth:
            own, cut = self.value_of(BANDWIDTH), self._population.cut(((BANDWIDTH, 1),))
            region &= without(cut.at_least(own), cut.at_least(own + 1))
        return region


# of a kind whose machines have a number, some of them, and some have not
MIXED = object()


class Worked:
    """What is worked out of machines by one rule, when it is first asked of them: words as sets of
    the machines that have them, numbers as a column, `slot`.
    """

    def __init__(self, population: Population, key: Any, of: Callable[[Any], Any]) -> None:
        self._population, self._key, self._of = population, key, of
        # by a word, or `Number`, the machines that have it and their kinds
        self._words: dict[Any, tuple[int, int]] = {}
        self._known = 0
        # of kinds whose machines are all known, the words that they have
        self._of_kind: dict[int, list[tuple[Any, int, int]]] = {}
        # the numbers that it depends on
        self._slots: set[Slot] = set()
        self._columns: dict[int, array[int]] = {}

    @cached_property
    def slot(self) -> Slot:
        """The name of the column that numbers stand in."""
        return "worked out", repr(self._key)

    @property
    def has_numbers(self) -> bool:
        """Whether some machines have a number, and no word."""
        return Number in self._words

    def slots_of_all(self) -> set[Slot]:
        """The numbers that it depends on, for any machine."""
        if self._known != self._population.all:
            self._learn(without(self._population.all, self._known))
        return self._slots

    def of_machine(self, number: int, kind: int, among: int) -> tuple[Any, int, int]:
        """A machine's word, `Number` or `MIXED`, the machines that have it, as far as is known, and
        their kinds. `kind` is its own, of `among`: the kinds of which it will be asked.
        """
        own = self._of_kind.get(kind)
        if own is None:
            own = self._of_kind[kind] = self._words_of(kind, among)
        if len(own) == 1:
            return own[0]
        bit = 1 << number
        return next(each for each in own if each[1] & bit)

    def _words_of(self, kind: int, among: int) -> list[tuple[Any, int, int]]:
        """The words that the machines of a kind have, as `of_machine`."""
        bits = self._population.kinds[kind].bits
        if without(bits, self._known):
            self._learn(without(self._population.of_kinds(among), self._known))
        return [
            (word, machines, kinds)
            for word, (machines, kinds) in self._words.items()
            if machines & bits
        ]

    def _learn(self, bits: int) -> None:
        """Work it out of all machines of a set; of all there are where some have a number."""
        if bits:
            self._of_kind.clear()
        while bits:
            trace = Trace(self._population, lowest(bits))
            answer = self._of(trace.view)
            region = without(trace.region(), self._known)
            own_kinds = self._population.kinds_within(trace.kinds, region)
            self._known |= region
            self._depend_on(form for form, _ in trace.bounds)
            word = answer
            if type(answer) is Number or type(answer) is int:
                word = Number
                for kind in members(own_kinds):
                    _fill(self._population, kind, self._columns, region, answer)
                if type(answer) is Number:
                    self._depend_on([answer.form])
                # a column is of use only as a whole
                bits = self._population.all
            earlier, kinds = self._words.get(word, (0, 0))
            self._words[word] = earlier | region, kinds | own_kinds
            bits = without(bits, self._known)
        if self._columns:
            self._put_columns()

    def _depend_on(self, forms: Iterable[Form]) -> None:
        for form in forms:
            for slot, _ in form:
                self._slots.update(self._population.origins(slot))

    def _put_columns(self) -> None:
        """Put the numbers of whole kinds into their columns."""
        population, kinds = self._population, self._words[Number][1]
        mixed = 0
        for word, (_, others) in self._words.items():
            mixed |= 0 if word is Number else kinds & others
        if mixed:
            them = population.of_kinds(mixed)
            for word, (bits, kinds) in self._words.items():
                self._words[word] = without(bits, them), kinds & ~mixed
            self._words[MIXED] = them, mixed
        for kind, column in self._columns.items():
            if not mixed >> kind & 1:
                population.kinds[kind].columns[self.slot] = column
        self._columns = {}


def _fill(
    population: Population,
    number: int,
    columns: dict[int, array[int]],
    region: int,
    value: Number | int,
) -> None:
    """Put a number that was worked out into the column of a kind, for its machines of a region."""
    kind = population.kinds[number]
    column = columns.setdefault(number, array("q", bytes(8 * len(kind.members))))
    form, constant = ((), value) if isinstance(value, int) else (value.form, value.constant)
    places = kind.places_of(region)
    sums = kind.sums(form, constant, places)
    for place, total in zip(places, sums, strict=True):
        column[place] = total


def _tightest(
    bounds: dict[tuple[Form, int], bool],
) -> dict[Form, tuple[int | None, int | None]]:
    """Of each form the highest bound that is reached and the lowest that is not."""
    tightest: dict[Form, tuple[int | None, int | None]] = {}
    for (form, bound), is_reached in bounds.items():
        low, high = tightest.get(form, (None, None))
        if is_reached:
            low = bound if low is None else max(low, bound)
        else:
            high = bound if high is None else min(high, bound)
        tightest[form] = low, high
    return tightest


_NUMBERS = frozenset((
    "memory_total_bytes", "memory_limit_bytes", "memory_available_bytes", "swap_free_bytes",
))  # fmt: skip


class View:
    """A machine that writes down what is asked of it. It has no name: what is found does not
    depend on one.
    """

    name = "the machine"
    called = "the machine"

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._is_changed = False

    def __getattr__(self, fact: str) -> Any:
        # what was asked once is at hand, and is written down already
        value = self.__dict__[fact] = self._first_asked(fact)
        return value

    def _first_asked(self, fact: str) -> Any:
        trace = self._trace
        if fact in _NUMBERS:
            return trace.number_of((fact,))
        if fact == BANDWIDTH[0]:
            is_there = trace.number_of(BANDWIDTH) is not None
            trace.reads_bandwidth = trace.reads_bandwidth or is_there
            return trace.value_of(BANDWIDTH) if is_there else None
        if fact == "sources":
            return _Sources(trace)
        if fact == "disks":
            return self._disks()
        if fact not in Machine._names or fact in ("labels", "read_at"):
            raise AttributeError(fact)
        if fact == "accelerators":
            count = trace.fact("accelerators", _count_of_cards)
            return count if count is None else tuple(_Card(trace, place) for place in range(count))
        return trace.fact(("field", fact), attrgetter(f"bare.{fact}"))

    def _disks(self) -> tuple[_Place, ...] | None:
        purposes = self._trace.fact(
            "disks",
            lambda kind: (
                None
                if kind.bare.disks is None
                else tuple(dict.fromkeys(disk.purpose for disk in kind.bare.disks))
            ),
        )
        if purposes is None:
            return None
        return tuple(disk for disk in map(self.disk_for, purposes) if disk is not None)

    def disk_for(self, purpose: str) -> _Place | None:
        """As `Machine.disk_for`."""
        is_there = self._trace.fact(
            ("disk", purpose), lambda kind: kind.template.disk_for(purpose) is not None
        )
        return _Place(self._trace, purpose) if is_there else None

    def unread_about(self, start: str) -> Unread | None:
        """As `Machine.unread_about`."""
        is_there = self._trace.fact(
            ("unread about", start), lambda kind: kind.template.unread_about(start) is not None
        )
        return self._trace.template.unread_about(start) if is_there else None

    def answer(
        self,
        ask: Callable[[Any], Any],
        key: Callable[[Any], tuple[bool, Any]],
        alike: Callable[[Any], Any],
        best: Callable[[Any], bool],
        *,
        strength: Callable[[Any], Any] | None = None,
        worst: Callable[[Any], bool] | None = None,
        lacking: Callable[[Any], float | None] | None = None,
        burden: Callable[[], Any] | None = None,
    ) -> Any:
        """As `Machine.answer`."""
        if self._is_changed:
            return ask(self)
        question = Question(ask, key, alike, best, strength, worst, lacking, burden)
        return self._trace.answer(question)

    def worked_out(self, key: Any, of: Callable[[Any], Any]) -> Any:
        """As `Machine.worked_out`."""
        return of(self) if self._is_changed else self._trace.worked_out(key, of, self)

    def why_unread(self, fact: str) -> Unread:
        """As `Machine.why_unread`."""
        entry: Unread = self._trace.fact(("why", fact), lambda kind: kind.template.why_unread(fact))
        return entry

    def assumes(self, fact: str) -> bool:
        """As `Machine.assumes`."""
        return bool(self._trace.fact(("assumes", fact), lambda kind: kind.template.assumes(fact)))

    def replace(self, **changes: Any) -> View:
        """As `Machine.replace`."""
        changed = View(self._trace)
        changed.__dict__.update(self.__dict__)
        changed.__dict__.update(changes, _is_changed=True)
        return changed


def _count_of_cards(kind: Kind) -> int | None:
    cards = kind.template.accelerators
    return None if cards is None else len(cards)


class _Part:
    """A part of a machine that writes down what is asked of it."""

    def __init__(self, trace: Trace, changes: Mapping[str, Any]) -> None:
        self._trace = trace
        self.__dict__.update(changes)

    def __getattr__(self, fact: str) -> Any:
        value = self.__dict__[fact] = self._first_asked(fact)
        return value

    def _first_asked(self, fact: str) -> Any:
        raise NotImplementedError


class _Card(_Part):
    """An accelerator."""

    def __init__(self, trace: Trace, place: int, changes: Mapping[str, Any] | None = None) -> None:
        super().__init__(trace, changes or {})
        self._place = place

    def _first_asked(self, fact: str) -> Any:
        place = self._place
        if fact in ("memory_free_bytes", "memory_total_bytes"):
            number = self._trace.number_of(("accelerators", str(place), fact))
            if number is not None:
                return number

        def of(kind: Kind) -> Any:
            cards = kind.template.accelerators or ()
            return getattr(cards[place], fact) if place < len(cards) else None

        return self._trace.fact(("accelerators", place, fact), of)

    def told(self, key: Any, of: Callable[[Accelerator], T]) -> T:
        """As `Accelerator.told`."""
        place = self._place

        def of_kind(kind: Kind) -> T | None:
            cards = kind.template.accelerators or ()
            return of(cards[place]) if place < len(cards) else None

        answer: T = self._trace.fact(("accelerators", place, key), of_kind)
        return answer

    def replace(self, **changes: Any) -> _Card:
        """As `Accelerator.replace`."""
        own = {name: value for name, value in self.__dict__.items() if name in Accelerator._names}
        return _Card(self._trace, self._place, {**own, **changes})


class _Place(_Part):
    """A disk."""

    def __init__(self, trace: Trace, purpose: str) -> None:
        super().__init__(trace, {"purpose": purpose})

    def _first_asked(self, fact: str) -> Any:
        purpose = self.purpose
        if fact in ("free_bytes", "total_bytes"):
            number = self._trace.number_of(("disks", purpose, fact))
            if number is not None:
                return number

        def of(kind: Kind) -> Any:
            return getattr(kind.template.disk_for(purpose), fact, None)

        return self._trace.fact(("disk", purpose, fact), of)


class _Source:
    """Where a fact was read: what is asked of the text is written down, not the whole of it."""

    def __init__(self, trace: Trace, fact: str) -> None:
        self._trace, self._fact = trace, fact

    def _told(self, about: str, part: str, tell: Callable[[str], bool]) -> bool:
        return bool(
            self._trace.fact(
                ("source", self._fact, about, part),
                lambda kind: tell(kind.template.sources.get(self._fact, "")),
            )
        )

    def startswith(self, part: str) -> bool:
        """As of a text."""
        return self._told("starts", part, lambda text: text.startswith(part))

    def endswith(self, part: str) -> bool:
        """As of a text."""
        return self._told("ends", part, lambda text: text.endswith(part))

    def __contains__(self, part: str) -> bool:
        return self._told("holds", part, lambda text: part in text)

    def __str__(self) -> str:
        return str(self._trace.fact(("source", self._fact), self._text))

    def _text(self, kind: Kind) -> str | None:
        return kind.template.sources.get(self._fact)

    def __eq__(self, other: object) -> bool:
        return str(self) == other

    __hash__ = None  # type: ignore[assignment]


class _Sources:
    """Where the facts of a machine were read."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def get(self, fact: str, default: str | None = None) -> Any:
        """As of a mapping."""
        is_there = self._trace.fact(
            ("source", fact, "is there"), lambda kind: fact in kind.template.sources
        )
        return _Source(self._trace, fact) if is_there else default
