"""One machine is judged, and it shows for which others the answer is the same.

What is judged gets a `View` instead of a machine. It answers as the machine does, and writes down
what it was asked: facts by their values, numbers by each comparison that they took part in. Every
machine that would have answered the same has the same findings, for judging asks nothing else. So
each rule is applied by the function that states it, once for thousands of machines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter

from ..core.records import Unread
from ..machine.record import Accelerator, Machine
from ..verdict.findings import CHECKS, Finding, Outcome
from .asked import Answers, Asked, Question
from .lines import Slot
from .population import BANDWIDTH, DiffersError, Form, Kind, Population, lowest, members

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    Find = Callable[[Any], Sequence[Finding]]
    # the findings, and the layout where they change in one direction with the number of layers on
    # the accelerator: see `verdict.record.Part`
    Layered = Callable[[Any], tuple[Sequence[Finding], str | None]]

# the findings that are no pass, as (place of the check, check, code, outcome)
Signature = tuple[tuple[int, str, str, Outcome], ...]
_PLACES = {check: place for place, check in enumerate(CHECKS)}


class Number:
    """A machine's number, or a sum of several: it keeps its value, and tells its trace each
    comparison. What it cannot follow, such as a share of it, ties the answer to the very value.
    """

    __slots__ = ("_trace", "constant", "form", "value")

    def __init__(self, trace: Trace, form: Form, constant: int, value: int) -> None:
        self._trace, self.form, self.constant, self.value = trace, form, constant, value

    def _sum(self, other: Any, sign: int, own: int = 1) -> Any:
        if type(other) is int:
            form = self.form if own > 0 else _scaled(self.form, -1)
            constant = own * self.constant + sign * other
            return Number(self._trace, form, constant, own * self.value + sign * other)
        if type(other) is Number:
            form = _added(_scaled(self.form, own), _scaled(other.form, sign))
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

    def __mul__(self, other: Any) -> Any:
        return self.pinned * other

    def __rmul__(self, other: Any) -> Any:
        return other * self.pinned

    def __truediv__(self, other: Any) -> Any:
        return self.pinned / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.pinned

    def __floordiv__(self, other: Any) -> Any:
        return self.pinned // other

    def __mod__(self, other: Any) -> Any:
        return self.pinned % other

    def __int__(self) -> int:
        return self.pinned

    __index__ = __int__

    def __float__(self) -> float:
        return float(self.pinned)

    def __bool__(self) -> bool:
        return self != 0

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
def _negated(form: Form) -> Form:
    return tuple([(slot, -each) for slot, each in form])


def _scaled(form: Form, sign: int) -> Form:
    return form if sign == 1 else _negated(form)


@lru_cache(maxsize=4096)
def _added(one: Form, other: Form) -> Form:
    factors = dict(one)
    for slot, factor in other:
        factors[slot] = factors.get(slot, 0) + factor
    return tuple(sorted((slot, factor) for slot, factor in factors.items() if factor))


class Trace:
    """What one machine was asked while it was judged, with other numbers in the place of some of
    its own where `instead` says so.
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
        self.kinds = (1 << len(population.kinds)) - 1 if among is None else among
        # (form, bound) -> whether it is reached
        self.bounds: dict[tuple[Form, int], bool] = {}
        # machines of those kinds that answered otherwise
        self.others = 0
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
        known = self._facts.get(key) or self._population.fact(key, of)
        answer, alike = known[self.kind]
        self.kinds &= alike
        return answer

    def answer(self, question: Question, alone: bool) -> Any:
        """As `Machine.answer`."""
        population = self._population
        if population.answers is None:
            population.answers = Answers(population)
        kind = population.kinds[self.kind]
        bandwidth = self._value(BANDWIDTH) if kind.bandwidths is not None else None
        total = None
        try:
            # the key is the same at any bandwidth
            asked = population.answers.of(question, kind.asked(kind.slowest))
            answer, said = asked.answer_of(self.kind, bandwidth)
        except DiffersError:
            own_total = self.number_of(("memory_total_bytes",))
            total = None if own_total is None else int(own_total)
            asked = population.answers.of(question, kind.asked(kind.slowest, total))
            answer, said = asked.answer_of(self.kind, bandwidth, total)
        if alone or total is not None:
            self.kinds &= 1 << self.kind
        if total is None:
            kinds, others = asked.alike(said, self.kinds)
            self.kinds &= kinds
            self.others |= others
        else:
            for bound in asked.bounds_of(self.kind, bandwidth, total):
                self.is_at_least(((BANDWIDTH, 1),), bound, self._value(BANDWIDTH))
        self.asked.append((answer, asked))
        return answer

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

    def number_of(self, slot: Slot) -> Number | None:
        """The machine's number; None where its kind has none."""
        known = self._facts.get(slot) or self._population.fact(
            slot, lambda kind: slot in kind.columns
        )
        is_there, alike = known[self.kind]
        self.kinds &= alike
        if not is_there:
            return None
        value = self._value(slot)
        return Number(self, ((slot, 1),), 0, value)

    def is_at_least(self, form: Form, bound: int, value: int) -> bool:
        """Whether the machine's value of a form reaches a bound."""
        if form[0][1] < 0:
            # -x >= b where x < 1 - b
            return not self.is_at_least(_negated(form), 1 - bound, -value)
        answer = self.bounds[form, bound] = value >= bound
        return answer

    def _value(self, slot: Slot) -> int:
        if slot in self._instead:
            return self._instead[slot]
        value: int = self._population.kinds[self.kind].columns[slot][self._place]
        return value

    def bounds_of(self, slot: Slot) -> tuple[int | None, int | None]:
        """Of that number the highest bound that is reached and the lowest that is not."""
        return _tightest(self.bounds).get(((slot, 1),), (None, None))

    def region(self, but: Sequence[Slot] = ()) -> int:
        """The machines that would have answered the same, whatever their bandwidth, and whatever
        numbers `but` are of them by themselves.
        """
        bits = self._population.of_kinds(self.kinds) & ~self.others
        for form, (low, high) in _tightest(self.bounds).items():
            if but and all(slot in but for slot, _ in form):
                continue
            cut = self._population.cut(form)
            if low is not None:
                bits &= cut.at_least(low)
            if high is not None:
                bits &= ~cut.at_least(high)
        return bits


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
            value = trace.number_of(BANDWIDTH)
            if value is not None:
                trace.reads_bandwidth = True
            return None if value is None else value.value
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
        alone: bool = False,
    ) -> Any:
        """As `Machine.answer`."""
        if self._is_changed:
            return ask(self)
        return self._trace.answer(Question(ask, key, alike, best), alone)

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


# ------------------------------------------------------------------ all machines at once


# a check, the form as which what it lacks falls, or the question about pace that tells it, and how
# much that is where the form is () or 0
Short = tuple[str, Form | Asked, float]


class SameFindings:
    """The machines that have certain findings, which are no pass, and what each of those lacks."""

    __slots__ = ("bits", "findings", "shorts")

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        self.bits = 0
        self.shorts: dict[Short, int] = {}


def place_of(finding: Finding) -> int:
    """The place of a finding among those of a verdict."""
    return _PLACES[finding.check]


def signature_of(findings: Sequence[Finding]) -> Signature:
    """What makes two rows alike."""
    return tuple(
        [
            (_PLACES[each.check], each.check, each.code, each.outcome)
            for each in findings
            if each.outcome is not Outcome.PASS
        ]
    )


def found_by(
    population: Population,
    find: Find,
    bits: int,
    *,
    each_bandwidth: bool = False,
    layered: Layered | None = None,
) -> dict[Signature, SameFindings]:
    """The machines of a set by what `find` gives of them. `each_bandwidth`: what it gives may
    change to and fro with the bandwidth of the memory.
    """
    by_signature: dict[Signature, SameFindings] = {}
    for findings, region, trace in _regions(population, find, bits, each_bandwidth, layered):
        signature = signature_of(findings)
        same = by_signature.get(signature)
        if same is None:
            same = by_signature[signature] = SameFindings(
                tuple(each for each in findings if each.outcome is not Outcome.PASS)
            )
        same.bits |= region
        for short in _shorts(findings, trace):
            same.shorts[short] = same.shorts.get(short, 0) | region
    return by_signature


def _shorts(findings: Sequence[Finding], trace: Trace) -> Iterator[Short]:
    for each in findings:
        if each.outcome is Outcome.PASS or each.short is None:
            continue
        short: Any = each.short
        if type(short) is Number:
            yield each.check, _scaled(short.form, -1), short.constant
        elif trace.reads_bandwidth:
            yield each.check, ((BANDWIDTH, 1),), 0
        elif short > 0 and (asked := trace.asked_of(each)) is not None:
            yield each.check, asked, 0
        else:
            yield each.check, (), float(short)


def _regions(
    population: Population,
    find: Find,
    bits: int,
    each_bandwidth: bool,
    layered: Layered | None,
) -> Iterator[tuple[Sequence[Finding], int, Trace]]:
    """Parts of a set whose machines have the same findings."""
    among = population.kinds_of(bits)
    while bits:
        trace = Trace(population, lowest(bits), among=among)
        along = None
        if layered is None:
            findings = find(trace.view)
        else:
            findings, layout = layered(trace.view)
            along = _Layers(population, layered, trace, findings, layout) if layout else None
        region = (along.region(bits) if along is not None else 0) or trace.region() & bits
        if along is not None and along.is_wide:
            pass
        elif trace.reads_bandwidth and each_bandwidth:
            own = population.bandwidth_of(trace.number)
            cut = population.cut(((BANDWIDTH, 1),))
            region &= cut.at_least(own) & ~cut.at_least(own + 1)
        elif trace.reads_bandwidth and region & (region - 1):
            findings, region = _along_bandwidth(population, find, region, trace.number, findings)
        bits &= ~region
        yield findings, region, trace


# hypothetical machines asked for one region, at most twice as many
_MOST_TRIED = 6
# fewer machines are as quickly judged by the layers that they hold
_WORTH_IT = 8


class _Layers:
    """Machines with one accelerator that holds some layers, or with several alike, from the least
    that is free of each to the most, with the same findings.

    More that is free of it moves layers there, one after the other; then less RAM is needed, and
    the time of a token changes in one direction, for it is the sum of the layers' times. So where
    machines with the least and with the most free have the same findings, each in the same layout,
    those between have them too: asked for the least and for the most bandwidth, which `_corners`
    is. Where no layout holds the model with the most free, none does with less.
    """

    def __init__(
        self,
        population: Population,
        layered: Layered,
        trace: Trace,
        findings: Sequence[Finding],
        layout: str,
    ) -> None:
        self._population, self._layered, self._trace = population, layered, trace
        self._said = layout, _codes(findings)
        self._bandwidths: tuple[int | None, ...] = (None,)
        self._failing: Trace | None = None
        self._slots: tuple[Slot, ...] = ()
        self.is_wide = False

    def region(self, bits: int) -> int:
        """Machines of a set with these findings, and `is_wide`; 0 where they cannot be told so."""
        population, trace = self._population, self._trace
        kind = population.kinds[trace.kind]
        self._slots = _free_of(kind)
        if not self._slots:
            return 0
        region = trace.region(but=self._slots) & bits
        if (region & ~trace.region()).bit_count() < _WORTH_IT:
            return 0
        if trace.reads_bandwidth:
            ends = population.ends(region, BANDWIDTH, trace.kinds)
            self._bandwidths = tuple(dict.fromkeys(map(population.bandwidth_of, ends)))
        own = [population.value_of(trace.number, slot) for slot in self._slots]
        least = self._free_in(region)[0]
        alike = self._corners(least)
        if alike is None:
            least, alike = own, self._corners(own)
        if alike is None:
            return 0
        region &= alike
        for slot, free in zip(self._slots, least, strict=True):
            region &= population.cut(((slot, 1),)).at_least(free)
        return self._up_to_most(region, own)

    def _up_to_most(self, region: int, own: Sequence[int]) -> int:
        """Those of a region, whose machines with the least free are like this one, up to the most
        free that is like it too; 0 where that is not found soon.
        """
        for _ in range(_MOST_TRIED):
            if not region >> self._trace.number & 1:
                return 0
            most = self._free_in(region)[1]
            alike = self._corners(most)
            if alike is not None:
                self.is_wide = True
                return region & alike | 1 << self._trace.number
            limit = self._next_limit(max(own), max(most))
            for slot in self._slots:
                region &= ~self._population.cut(((slot, 1),)).at_least(limit)
        return 0

    def _free_in(self, region: int) -> tuple[list[int], list[int]]:
        """The least and the most that is free of each accelerator."""
        population = self._population
        both: tuple[list[int], list[int]] = [], []
        for slot in self._slots:
            ends = population.ends(region, slot, self._trace.kinds)
            for values, number in zip(both, ends, strict=True):
                values.append(population.value_of(number, slot))
        return both

    def _next_limit(self, own: int, failed: int) -> int:
        """Below what is free of a machine that has other findings: where those begin, else half
        of the way.
        """
        half = (own + failed) // 2 + 1
        if self._failing is None or len(self._slots) > 1:
            return half
        begins = self._failing.bounds_of(self._slots[0])[0]
        return begins if begins is not None and half < begins <= failed else half

    def _corners(self, free: Sequence[int]) -> int | None:
        """The machines that answer as those with that much free, the least and the most bandwidth,
        but for what is free; None where one of these two has other findings.
        """
        alike = -1
        for bandwidth in self._bandwidths:
            instead: dict[Slot, int] = dict(zip(self._slots, free, strict=True))
            if bandwidth is not None:
                instead[BANDWIDTH] = bandwidth
            trace = Trace(self._population, self._trace.number, instead, self._trace.kinds)
            findings, layout = self._layered(trace.view)
            is_same = (layout, _codes(findings)) == self._said
            if not is_same or trace.reads_bandwidth != self._trace.reads_bandwidth:
                self._failing = trace
                return None
            alike &= trace.region(but=self._slots)
        return alike


def _free_of(kind: Kind) -> tuple[Slot, ...]:
    """What is free of each accelerator, where there is one, or all are alike: then layers may move
    from one to the other, and take as long there. () else.
    """
    cards = kind.template.accelerators or ()
    slots = tuple(("accelerators", str(place), "memory_free_bytes") for place in range(len(cards)))
    if not cards or any(slot not in kind.columns for slot in slots):
        return ()
    alike = {card.replace(memory_free_bytes=0, driver=None) for card in cards}
    return slots if len(alike) == 1 and (len(cards) == 1 or not cards[0].is_part) else ()


def _codes(findings: Sequence[Finding]) -> list[tuple[str, str, Outcome]]:
    """What was found, passes too."""
    return [(each.check, each.code, each.outcome) for each in findings]


def _along_bandwidth(
    population: Population,
    find: Find,
    region: int,
    number: int,
    findings: Sequence[Finding],
) -> tuple[Sequence[Finding], int]:
    """Some machines of a region that have the same findings, the slowest memory's among them.
    `findings` are those of the machine of that number, whose answers make the region.

    More bandwidth makes no pace slower, so each finding changes in one direction along it: where
    those of two machines are the same, so are those of all that differ from both in nothing but a
    bandwidth between theirs.
    """
    every = (1 << len(population.kinds)) - 1
    slowest, fastest = population.ends(region, BANDWIDTH, every)
    if slowest != number:
        findings, alike = _asked(population, find, slowest)
        region &= alike
        if not region & ~(1 << slowest):
            return findings, 1 << slowest
        fastest = population.ends(region, BANDWIDTH, every)[1]
    signature, own = signature_of(findings), 1 << slowest
    others, alike = _asked(population, find, fastest)
    if signature_of(others) != signature:
        fastest, alike = _last_alike(population, find, region, signature)
        if fastest == slowest:
            same = population.bandwidth_of(slowest)
            cut = population.cut(((BANDWIDTH, 1),))
            return findings, region & ~cut.at_least(same + 1) & cut.at_least(same) | own
    cut = population.cut(((BANDWIDTH, 1),))
    between = cut.at_least(population.bandwidth_of(slowest))
    between &= ~cut.at_least(population.bandwidth_of(fastest) + 1)
    return findings, region & alike & between | own


def _asked(population: Population, find: Find, number: int) -> tuple[Sequence[Finding], int]:
    """The findings of one machine, and the machines that would have answered as it did."""
    trace = Trace(population, number)
    findings = find(trace.view)
    return findings, trace.region()


def _last_alike(
    population: Population, find: Find, region: int, signature: Signature
) -> tuple[int, int]:
    """The machine of a region with the most bandwidth, as far as halving tells, that has these
    findings as the one with the least has; and the machines that would have answered as it did.
    """
    order = sorted(members(region), key=population.bandwidth_of)
    low, high = 0, len(order) - 1
    alike = region
    while high - low > 1:
        middle = (low + high) // 2
        findings, answering = _asked(population, find, order[middle])
        if signature_of(findings) == signature:
            low, alike = middle, answering
        else:
            high = middle
    return order[low], alike
