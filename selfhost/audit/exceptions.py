"""The exceptions of a policy: which cover a finding, and what became of each."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ..machine.record import Machine
from .entries import Exemption, Place
from .record import ExemptionUse, Use


class Exceptions:
    """The policy's exceptions, and how many rows each covers, or would if it were in force.

    They are found by the model's name and, where a selector gives it without a glob, by the
    machine's: a policy may state thousands.
    """

    def __init__(self, exemptions: Sequence[Exemption], today: str) -> None:
        self._exemptions, self._today = exemptions, today
        self._rows = [0] * len(exemptions)
        self._concerned: set[int] = set()
        self._by_host: dict[tuple[str, str], list[int]] = {}
        self._by_model: dict[str, list[int]] = {}
        self.models = {each.model for each in exemptions}
        for number, each in enumerate(exemptions):
            if each.machines and all(selector.names_one_host for selector in each.machines):
                for host in {selector.pattern for selector in each.machines}:
                    self._by_host.setdefault((each.model, host), []).append(number)
            else:
                self._by_model.setdefault(each.model, []).append(number)

    def concerning(self, model: str, machine: Machine, place: Place) -> tuple[int, ...]:
        """The numbers of those for a model that is judged on the machine, in the policy's order."""
        numbers = [
            number
            for number in self._by_model.get(model, ())
            if place.selects(self._exemptions[number].machines)
        ]
        numbers += self._by_host.get((model, machine.name), ())
        self._concerned.update(numbers)
        return tuple(sorted(numbers))

    def about(self, numbers: Sequence[int], checks: Container[str]) -> tuple[int, ...]:
        """Those of these exceptions that are for one of the checks."""
        return tuple([number for number in numbers if self._exemptions[number].rule in checks])

    def cover(
        self, numbers: Sequence[int], checks: Container[str], rows: int
    ) -> dict[str, Exemption]:
        """Of exceptions with these numbers the first in force for each of the checks. Counts so
        many rows for each that covers one; one behind another in force covers nothing.
        """
        covers: dict[str, Exemption] = {}
        for number in numbers:
            each = self._exemptions[number]
            if each.rule not in checks:
                continue
            if not each.holds_on(self._today):
                self._rows[number] += rows
            elif each.rule not in covers:
                self._rows[number] += rows
                covers[each.rule] = each
        return covers

    def uses(self) -> tuple[ExemptionUse, ...]:
        """What became of each, in the policy's order."""
        return tuple(
            ExemptionUse(
                exemption=each,
                use=self._use(each, rows),
                rows=rows,
                concerned=number in self._concerned,
            )
            for number, (each, rows) in enumerate(zip(self._exemptions, self._rows, strict=True))
        )

    def _use(self, exemption: Exemption, rows: int) -> Use:
        if not exemption.holds_on(self._today):
            return Use.EXPIRED
        return Use.USED if rows else Use.UNUSED
