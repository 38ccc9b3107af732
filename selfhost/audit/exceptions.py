"""The exceptions of a policy: which cover a finding, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..machine.record import Machine
from .policy import Exemption, Place, Selector
from .record import ExemptionUse, Use


class Exceptions:
    """The policy's exceptions, and what became of each.

    They are found by the model's name and, where a selector gives it without a glob, by the
    machine's: a policy may state thousands, and thousands of models and machines ask.
    """

    def __init__(self, exemptions: Sequence[Exemption], today: str) -> None:
        self.exemptions = exemptions
        self.today = today
        self.rows = [0] * len(exemptions)
        self.concerned = [False] * len(exemptions)
        self._by_host: dict[tuple[str, str], list[int]] = {}
        self._by_model: dict[str, list[int]] = {}
        self._of_model: dict[str, list[int]] = {}
        for number, each in enumerate(exemptions):
            hosts = {selector.pattern for selector in each.machines if selector.names_one_host}
            if each.machines and all(selector.names_one_host for selector in each.machines):
                for host in hosts:
                    self._by_host.setdefault((each.model, host), []).append(number)
            else:
                self._by_model.setdefault(each.model, []).append(number)

    def at(self, machine: Machine, place: Place) -> ExceptionsHere:
        """Those of one machine."""
        return ExceptionsHere(self, machine, place)

    def of(self, model: str, machine: Machine, place: Place) -> list[int]:
        """The numbers of those that are for the model on that machine, in the policy's order."""
        selected = [
            number
            for number in self._by_model.get(model, ())
            if place.selects(self.exemptions[number].machines)
        ]
        return sorted((*selected, *self._by_host.get((model, machine.name), ())))

    def forget(self) -> None:
        """Begin counting anew."""
        self.rows = [0] * len(self.exemptions)
        self.concerned = [False] * len(self.exemptions)

    def numbers_of(self, model: str) -> Sequence[int]:
        """The numbers of all those for the model, in the policy's order."""
        if not self._of_model:
            for number, each in enumerate(self.exemptions):
                self._of_model.setdefault(each.model, []).append(number)
        return self._of_model.get(model, ())

    def uses(self) -> tuple[ExemptionUse, ...]:
        """What became of each, in the policy's order."""
        together = zip(self.exemptions, self.rows, self.concerned, strict=True)
        return tuple(_use(each, rows, concerned, self.today) for each, rows, concerned in together)


class ExceptionsOfAll:
    """The exceptions for the models of many machines at once: as `ExceptionsHere`, by sets of
    machines.
    """

    def __init__(
        self, exceptions: Exceptions, selected: Callable[[Sequence[Selector]], int]
    ) -> None:
        """`selected` gives the machines that selectors take, as a set."""
        self._all = exceptions
        self._selected = selected

    def cut(
        self, model: str, machines: int, checks: Sequence[str]
    ) -> list[tuple[int, dict[str, Exemption]]]:
        """The set of machines on which these checks of the model are not met, by the exceptions in
        force there for each check. Counts the rows that each exception covers, or would.
        """
        special, wide = self._concerning(model, machines, checks)
        parts: dict[tuple[int, ...], int] = {}
        rest = machines
        for machine, numbers in special.items():
            own = 1 << machine
            rest ^= own
            numbers += [number for number, bits in wide if bits & own]
            key = tuple(sorted(numbers))
            parts[key] = parts.get(key, 0) | own
        for key, bits in _by_sets(rest, wide):
            parts[key] = parts.get(key, 0) | bits
        return [(bits, self._covers(key, bits)) for key, bits in parts.items() if bits]

    def _concerning(
        self, model: str, machines: int, checks: Sequence[str]
    ) -> tuple[dict[int, list[int]], list[tuple[int, int]]]:
        """The exceptions for these checks: by the number of a machine those that name it, and the
        others with the machines that they are for.
        """
        special: dict[int, list[int]] = {}
        wide: list[tuple[int, int]] = []
        exemptions = self._all.exemptions
        for number in self._all.numbers_of(model):
            each = exemptions[number]
            bits = self._selected(each.machines) & machines
            if not bits:
                continue
            self._all.concerned[number] = True
            if each.rule not in checks:
                continue
            if bits.bit_count() == 1:
                special.setdefault(bits.bit_length() - 1, []).append(number)
            else:
                wide.append((number, bits))
        return special, wide

    def _covers(self, numbers: Sequence[int], machines: int) -> dict[str, Exemption]:
        rows = machines.bit_count() if numbers else 0
        covers: dict[str, Exemption] = {}
        for number in numbers:
            each = self._all.exemptions[number]
            in_force = each.holds_on(self._all.today)
            if not in_force or each.rule not in covers:
                self._all.rows[number] += rows
            if in_force:
                covers.setdefault(each.rule, each)
        return covers


def _by_sets(machines: int, sets: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, ...], int]]:
    """The machines by the numbers of the sets that they are in."""
    parts: list[tuple[tuple[int, ...], int]] = [((), machines)]
    for number, bits in sets:
        cut = []
        for key, part in parts:
            inside = part & bits
            cut += [(key, part ^ inside), ((*key, number), inside)] if inside else [(key, part)]
        parts = [(key, part) for key, part in cut if part]
    return parts


class ExceptionsHere:
    """The exceptions for the models of one machine, and how many of its rows each finding's
    cover.
    """

    def __init__(self, exceptions: Exceptions, machine: Machine, place: Place) -> None:
        self._all = exceptions
        self._machine = machine
        self._place = place
        self._by_rule: dict[str, dict[str, list[int]]] = {}
        self._asked: dict[tuple[str, str], int] = {}

    def expect(self, model: str) -> None:
        """The model was judged there: its exceptions are concerned."""
        if model in self._by_rule:
            return
        by_rule = self._by_rule[model] = {}
        for number in self._all.of(model, self._machine, self._place):
            self._all.concerned[number] = True
            by_rule.setdefault(self._all.exemptions[number].rule, []).append(number)

    def cover(self, model: str, rule: str) -> Exemption | None:
        """The first in force for that finding of the model; `count` counts the row for each
        that covers it, or would.
        """
        numbers = self._by_rule[model].get(rule)
        if numbers is None:
            return None
        self._asked[model, rule] = self._asked.get((model, rule), 0) + 1
        exemptions = (self._all.exemptions[number] for number in numbers)
        return next((each for each in exemptions if each.holds_on(self._all.today)), None)

    def count(self) -> None:
        """All rows of the machine are there. An exception behind another in force covers
        nothing.
        """
        for (model, rule), rows in self._asked.items():
            is_covered = False
            for number in self._by_rule[model][rule]:
                in_force = self._all.exemptions[number].holds_on(self._all.today)
                if not in_force or not is_covered:
                    self._all.rows[number] += rows
                is_covered = is_covered or in_force


def _use(exemption: Exemption, rows: int, concerned: bool, today: str) -> ExemptionUse:
    if not exemption.holds_on(today):
        use = Use.EXPIRED
    else:
        use = Use.USED if rows else Use.UNUSED
    return ExemptionUse(exemption=exemption, use=use, rows=rows, concerned=concerned)
