"""The exceptions of a policy: which cover a finding, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence

from ..machine.record import Machine
from .policy import Exemption, Place
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

    def uses(self) -> tuple[ExemptionUse, ...]:
        """What became of each, in the policy's order."""
        together = zip(self.exemptions, self.rows, self.concerned, strict=True)
        return tuple(_use(each, rows, concerned, self.today) for each, rows, concerned in together)


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
