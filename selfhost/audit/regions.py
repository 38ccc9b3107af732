"""All machines of a set by what is found of them: one is judged, then one that would have answered
otherwise, until none is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf

from ..verdict.findings import CHECKS, Finding, Outcome
from .asked import Asked
from .lines import Slot
from .population import BANDWIDTH, Form, Kind, Population, Span, lowest, members, without
from .tracing import Number, Trace, scaled

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    Find = Callable[[Any], Sequence[Finding]]
    # the findings and the layout: see `verdict.parts.Part`
    Layered = Callable[[Any], tuple[Sequence[Finding], str | None]]

# the findings that are no pass, or that decide, as (place of the check, check, code, outcome)
Signature = tuple[tuple[int, str, str, Outcome], ...]
# a check, the form as which what it lacks falls, or what tells it of each machine, and how much
# that is where the form is () or 0, or at most
Short = tuple[str, "Form | Asked", float]
_PLACES = {check: place for place, check in enumerate(CHECKS)}
# the form of a short that is no amount: the less the bandwidth, the more is lacking
BY_BANDWIDTH: Form = ((BANDWIDTH, 1),)


class Layers:
    """What tells how findings change with a machine's numbers: `find` gives them with the layout,
    `limits` the free memory of one accelerator from which on it holds a layer, and all of them.
    """

    def __init__(self, find: Layered, limits: tuple[int, int] | None) -> None:
        self.find, self.limits = find, limits


class SameFindings:
    """The machines that have certain findings, and what each of those lacks."""

    __slots__ = ("bits", "findings", "shorts")

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        self.bits = 0
        self.shorts: dict[Short, int] = {}


def place_of(finding: Finding) -> int:
    """The place of a finding among those of a verdict."""
    return _PLACES[finding.check]


def found_by(
    population: Population,
    find: Find,
    bits: int,
    *,
    deciding: bool,
    each_bandwidth: bool = False,
    layers: Layers | None = None,
) -> dict[Signature, SameFindings]:
    """The machines of a set by what `find` gives of them: by all that is no pass, or, `deciding`,
    by what the route rests on. `each_bandwidth`: what it gives may change to and fro with the
    bandwidth of the memory.
    """
    by_signature: dict[Signature, SameFindings] = {}
    counted = _Counted(deciding)
    regions = _regions(population, find, bits, counted, each_bandwidth, layers)
    for findings, region, trace in regions:
        signature = counted.signature_of(findings)
        same = by_signature.get(signature)
        if same is None:
            same = by_signature[signature] = SameFindings(counted.of(findings))
        same.bits |= region
        for short in _shorts(counted.of(findings), trace):
            same.shorts[short] = same.shorts.get(short, 0) | region
    return by_signature


class _Counted:
    """Which findings count: all that are no pass, or those that decide."""

    def __init__(self, deciding: bool) -> None:
        self.deciding = deciding

    def of(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Those that count."""
        if self.deciding:
            return tuple([each for each in findings if each.decides])
        return tuple([each for each in findings if each.outcome is not Outcome.PASS])

    def signature_of(self, findings: Sequence[Finding]) -> Signature:
        """What makes two rows alike."""
        return tuple(
            [
                (_PLACES[each.check], each.check, "" if self.deciding else each.code, each.outcome)
                for each in self.of(findings)
            ]
        )


def _shorts(findings: Sequence[Finding], trace: Trace) -> Iterator[Short]:
    for each in findings:
        if each.short is None:
            continue
        short: Any = each.short
        if type(short) is Number:
            yield each.check, scaled(short.form, -1), short.constant
        elif trace.reads_bandwidth and type(short) is float:
            # a pace: what else is lacking is a whole number, and the same whatever the bandwidth
            yield each.check, BY_BANDWIDTH, 0
        elif short > 0 and (asked := trace.asked_of(each)) is not None:
            # a pace lacks no more than is wanted
            yield each.check, asked, inf if each.needs is None else float(each.needs)
        else:
            yield each.check, (), float(short)


def _regions(
    population: Population,
    find: Find,
    bits: int,
    counted: _Counted,
    each_bandwidth: bool,
    layers: Layers | None,
) -> Iterator[tuple[Sequence[Finding], int, Trace]]:
    """Parts of a set whose machines have the same findings."""
    among = population.kinds_of(bits)
    while bits:
        trace = Trace(population, lowest(bits), among=among)
        findings, layout = (find(trace.view), None) if layers is None else layers.find(trace.view)
        region = trace.region() & bits
        if layers is not None and layout is not None and not trace.reads_bandwidth:
            wider = _Wider(population, layers, trace, counted, findings, layout)
            region |= wider.region(bits, region) & bits
        elif trace.reads_bandwidth and each_bandwidth:
            region &= trace.region_of_its_bandwidth()
        elif trace.reads_bandwidth and region & (region - 1):
            along = _Along(population, find, counted)
            findings, region = along.region(region, trace.number, findings)
        bits = without(bits, region)
        # kinds of which no machine is left are not asked any more
        among = population.kinds_left(among, trace.kinds, bits)
        yield findings, region, trace


_FREE: Slot = ("accelerators", "0", "memory_free_bytes")
# hypothetical machines asked for one region
_MOST_TRIED = 3
# fewer machines are judged as they are: hypothetical ones would take longer
_LEAST_BETWEEN = 32


class _Wider:
    """Machines with the findings of one, between two hypothetical ones that have the same.

    More RAM that is free is never worse, and where nothing fails in the first way to lay the model
    out, no other way is tried. More that is free of an accelerator with some layers moves layers
    there, one after the other: then less RAM is needed, and the time of a token changes in one
    direction, for it is the sum of the layers' times; of several accelerators alike the sum is the
    same whichever has them. So where machines with the least and with the most free have the same
    findings, each in the same layout, those between have them too. Where no layout holds the model
    with the most free, none does with less.
    """

    def __init__(
        self,
        population: Population,
        part: Layers,
        trace: Trace,
        counted: _Counted,
        findings: Sequence[Finding],
        layout: str,
    ) -> None:
        self._population, self._part, self._trace = population, part, trace
        self._counted, self._layout = counted, layout
        self._signature = self._signature_of(findings)
        # what a machine lacks differs from one to the next
        self._lacks = any(each.short is not None for each in counted.of(findings) if each.decides)
        # the kinds that hypothetical machines stand for
        self._kinds = trace.kinds

    def _signature_of(self, findings: Sequence[Finding]) -> object:
        if self._counted.deciding:
            return self._counted.signature_of(findings)
        return [(each.check, each.code, each.outcome) for each in findings]

    def region(self, bits: int, alike: int) -> int:
        """Machines of a set with these findings; 0 where none can be told so beyond those `alike`,
        which would have answered the same.
        """
        if self._layout == "nowhere":
            return self._of_all_cards(bits, alike)
        if self._lacks:
            return 0
        if self._layout == "split":
            return self._of_one_card(bits) or self._of_all_cards(bits, alike)
        if self._layout == "accelerator" and self._has_several:
            return self._of_all_cards(bits, alike)
        return 0

    @property
    def _has_several(self) -> bool:
        return len(self._trace.template.accelerators or ()) > 1

    def _of_one_card(self, bits: int) -> int:
        """Machines of any kind with one accelerator that holds some layers, not all."""
        population, limits = self._population, self._part.limits
        if limits is None or self._has_several:
            return 0
        cut = population.cut(((_FREE, 1),))
        bits &= without(cut.at_least(limits[0]), cut.at_least(limits[1]))
        if not bits >> self._trace.number & 1:
            # the cut leaves out a machine of which the free memory is not known
            return 0
        own = population.value_of(self._trace.number, _FREE)
        if bits.bit_count() < _LEAST_BETWEEN:
            return 0
        kinds = population.fact(("of one card", _FREE), _is_of_one_card)[self._trace.kind][1]
        kinds = population.kinds_within(kinds & self._trace.among, bits)
        bits &= population.of_kinds(kinds)
        least, most = self._span(bits)
        above = self._corner({_FREE: most}, kinds)
        if above is None:
            return 0
        kinds = population.kinds_within(kinds, bits & above)
        for lowest_free in dict.fromkeys((least, own)):
            below = self._corner({_FREE: lowest_free}, kinds)
            if below is not None:
                return bits & above & below & cut.at_least(lowest_free)
        return 0

    def _span(self, bits: int) -> Span:
        """What is free of the one accelerator of machines of a set, the least and the most."""
        least, most = (
            self._population.value_of(number, _FREE)
            for number in self._population.ends(bits, _FREE)
        )
        return least, most

    def _of_all_cards(self, bits: int, alike: int) -> int:
        """Machines of the same kinds with one accelerator or several alike."""
        population = self._population
        slots = _free_of(population.kinds[self._trace.kind])
        if not slots:
            return 0
        bits &= population.of_kinds(self._trace.kinds)
        if not without(bits, alike):
            return 0
        self._kinds = population.kinds_within(self._trace.kinds, bits)
        own = [population.value_of(self._trace.number, slot) for slot in slots]
        least = [self._end(slot, bits, 0) for slot in slots]
        answering = self._corner(dict(zip(slots, least, strict=True)))
        if answering is None:
            least, answering = own, self._corner(dict(zip(slots, own, strict=True)))
        if answering is None:
            return 0
        bits &= answering
        for slot, value in zip(slots, least, strict=True):
            bits &= population.cut(((slot, 1),)).at_least(value)
        return self._up_to_most(slots, bits, own)

    def _up_to_most(self, slots: Sequence[Slot], bits: int, own: Sequence[int]) -> int:
        """Those of a set, whose machines with the least free are like this one, up to the most
        free that is like it too; 0 where that is not found soon.
        """
        for _ in range(_MOST_TRIED):
            if not bits >> self._trace.number & 1:
                return 0
            most = [self._end(slot, bits, 1) for slot in slots]
            alike = self._corner(dict(zip(slots, most, strict=True)))
            if alike is not None:
                return bits & alike
            # no layout holds the model with this much, nor with less
            half = max(own) if self._layout == "nowhere" else (max(own) + max(most)) // 2
            half += 1
            for slot in slots:
                bits = without(bits, self._population.cut(((slot, 1),)).at_least(half))
        return 0

    def _end(self, slot: Slot, bits: int, last: int) -> int:
        """The least of that number among the machines of a set, or the most."""
        cut = self._population.cut(((slot, 1),))
        number = cut.last_of(bits & cut.all) if last else cut.first_of(bits & cut.all)
        return self._population.value_of(number, slot)

    def _corner(self, instead: Mapping[Slot, int], kinds: int | None = None) -> int | None:
        """The machines that would answer as one with these numbers in the slots, if they had the
        same; None where its findings are others.
        """
        among = self._kinds if kinds is None else kinds
        trace = Trace(self._population, self._trace.number, instead, among)
        findings, layout = self._part.find(trace.view)
        is_same = (layout, self._signature_of(findings)) == (self._layout, self._signature)
        return trace.region() if is_same and not trace.reads_bandwidth else None


def _is_of_one_card(kind: Kind) -> bool:
    return _FREE in kind.columns and len(kind.template.accelerators or ()) == 1


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


class _Along:
    """Machines that differ in the bandwidth of their memory.

    More bandwidth makes no pace slower, so each finding changes in one direction along it: where
    those of two machines are the same, so are those of all that differ from both in nothing but a
    bandwidth between theirs.
    """

    def __init__(self, population: Population, find: Find, counted: _Counted) -> None:
        self._population, self._find, self._counted = population, find, counted

    def region(
        self, region: int, number: int, findings: Sequence[Finding]
    ) -> tuple[Sequence[Finding], int]:
        """Some machines of a region that have the same findings, the slowest memory's among them.
        `findings` are those of the machine of that number, whose answers make the region.
        """
        population = self._population
        slowest, fastest = population.ends(region, BANDWIDTH)
        if slowest != number:
            findings, alike = self._asked(slowest)
            region &= alike
            if not without(region, 1 << slowest):
                return findings, 1 << slowest
            fastest = population.ends(region, BANDWIDTH)[1]
        signature, own = self._counted.signature_of(findings), 1 << slowest
        others, alike = self._asked(fastest)
        cut = population.cut(BY_BANDWIDTH)
        if self._counted.signature_of(others) != signature:
            fastest, alike = self._last_alike(region, signature)
            if fastest == slowest:
                same = population.bandwidth_of(slowest)
                alone = without(cut.at_least(same), cut.at_least(same + 1))
                return findings, region & alone | own
        between = cut.at_least(population.bandwidth_of(slowest))
        between = without(between, cut.at_least(population.bandwidth_of(fastest) + 1))
        return findings, region & alike & between | own

    def _asked(self, number: int) -> tuple[Sequence[Finding], int]:
        """The findings of one machine, and the machines that would have answered as it did."""
        trace = Trace(self._population, number)
        findings = self._find(trace.view)
        return findings, trace.region()

    def _last_alike(self, region: int, signature: Signature) -> tuple[int, int]:
        """The machine of a region with the most bandwidth, as far as halving tells, that has these
        findings as the one with the least has; and the machines that would have answered as it did.
        """
        order = sorted(members(region), key=self._population.bandwidth_of)
        low, high = 0, len(order) - 1
        alike = region
        while high - low > 1:
            middle = (low + high) // 2
            findings, answering = self._asked(order[middle])
            if self._counted.signature_of(findings) == signature:
                low, alike = middle, answering
            else:
                high = middle
        return order[low], alike
