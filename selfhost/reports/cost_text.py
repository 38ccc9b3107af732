"""What a month costs: by API, and in hours and energy on the machine."""

from __future__ import annotations

from collections.abc import Iterator

from ..advice.costs import HOURS_PER_DAY
from ..catalogue.offers import provider_name
from ..core import units
from ..core.workload import INPUT_PER_OUTPUT_TOKEN
from ..judge.record import Verdict
from .layout import Block, figures, heading, section, texts
from .prices import no_api_words
from .words import is_here, on_machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..advice.costs import LocalCost, MonthlyCost
    from ..judge.pace.speed import PaceRange

_KEEPS_UP = {True: "it keeps up", False: "it does not keep up", None: ""}
# label, figure, note
_Row = tuple[str, str, str]


def month_blocks(verdict: Verdict) -> Iterator[Block]:
    """The month by API beside the month on the machine."""
    cost = verdict.monthly_cost
    if cost is None:
        return
    if cost.reason is not None:
        yield from section("A month", [f"{cost.reason[0].upper()}{cost.reason[1:]}."])
        return
    read, written = cost.input_tokens_per_day, cost.output_tokens_per_day
    split = f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)" if cost.assumed_split else ""
    load = f"{read:,} tokens in{f' and {written:,} out' if written else ''} a day{split}"
    yield from heading(f"A month of {cost.days_per_month} days, {load}")
    local = cost.here
    rows = [("by API", *_bill(verdict, cost))]
    if local is None:
        rows.append((on_machine(verdict.machine, short=True), "", "it does not run"))
    else:
        place = "here" if is_here(verdict.machine) else "there"
        rows += _local_rows(local, place)
    yield figures(rows, right=True)
    if local is not None:
        yield from texts(_remarks(local, verdict.workload.parallel))


def _bill(verdict: Verdict, cost: MonthlyCost) -> tuple[str, str]:
    """The cheapest bill, whose it is, and how far the others go."""
    priced = [
        (bill.usd_per_month, bill.provider)
        for bill in cost.offers
        if bill.usd_per_month is not None
    ]
    if not priced:
        return "", "no price is known" if cost.offers else no_api_words(verdict.workload)
    least, most, note = min(priced)[0], max(priced)[0], provider_name(priced[0][1])
    if most > least:
        note += f", the cheapest of {len(priced)}; the dearest {units.dollars(most)}"
    return units.dollars(least), note


def _local_rows(local: LocalCost, place: str) -> Iterator[_Row]:
    """Energy, and whether the machine keeps up. `place`: here or there."""
    for entry in local.unknown:
        name = {"hours_per_day": "time", "watts": "energy"}.get(entry.fact)
        if name is not None:
            yield f"{place}: {name}", "", f"cannot be told: {entry.reason}"
    if local.kwh_per_month is not None:
        yield f"{place}: energy", *_energy(local, local.kwh_per_month)
    if local.hours_per_day is not None:
        yield f"{place}: time", *_hours(local.hours_per_day, local.keeps_up)


def _energy(local: LocalCost, kwh: PaceRange) -> tuple[str, str]:
    """The likely bill, or the energy where no price is stated, and what it is made of."""
    spent = f"{units.energy(kwh.low, kwh.high)} at {local.watts:g} W"
    bill = local.electricity_per_month
    if bill is None:
        return units.energy(kwh.likely, kwh.likely), f"{spent}; --electricity prices it"
    return f"{bill.likely:,.2f}", f"{spent} (your currency)"


def _hours(hours: PaceRange, keeps_up: bool | None) -> tuple[str, str]:
    """The likely hours with their range."""
    keeps = _KEEPS_UP[keeps_up]
    if keeps_up is None:
        keeps = f"it likely {'keeps' if hours.likely <= HOURS_PER_DAY else 'does not keep'} up"
    note = f"{units.hours(hours.low, hours.high)} a day: {keeps}, a day has 24"
    return units.hours(hours.likely, hours.likely), note


def _remarks(local: LocalCost, parallel: int) -> Iterator[str]:
    """Yield what is missing with its remedy, and what the comparison rests on."""
    for remedy in dict.fromkeys(entry.remedy for entry in local.unknown if entry.remedy):
        yield f"→ {remedy}"
    if local.hours_per_day is not None:
        pace = f"{parallel} requests at once" if parallel > 1 else "One request after another"
        yield f"{pace}; what the computer draws while idle is not counted."
