"""What a month costs: by API, and in hours and energy on the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.offers import provider_name
from ..core import units
from ..core.workload import INPUT_PER_OUTPUT_TOKEN
from ..judge.costs import HOURS_PER_DAY
from ..judge.record import Verdict
from .layout import Block, Column, Table, figures, heading, say, section, texts
from .prices import no_api_words
from .words import is_here, on_machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..judge.costs import LocalCost, MonthlyCost, ProposedCost

_LIMITS = "One request after another; what the computer draws while idle is not counted."
_KEEPS_UP = {
    True: "it keeps up",
    False: "it does not keep up, a day has 24",
    None: "perhaps it does not keep up, a day has 24",
}
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
    yield from heading(f"A month of {cost.days_per_month} days, {load_words(cost)}")
    where, other = on_machine(verdict.machine, short=True), cost.instead
    local = cost.here or (other.here if other else None)
    if other is not None:
        less = f" in {other.quantization}" if other.quantization else ""
        yield say(f"{where[0].upper()}{where[1:]} in its place: {other.id}{less}", indent=2, hang=2)
    # whose API it is, and its bills
    sides: list[tuple[str, MonthlyCost | ProposedCost]] = [("the API", cost)]
    if other is not None and other.id != verdict.model.id:
        sides = [(f"{verdict.model.id} by API", cost), (f"{other.id} by API", other)]
    rows: list[_Row] = [
        (name.replace("the API", "by API"), *_bill(verdict, side, cost)) for name, side in sides
    ]
    if local is None:
        rows.append((where, "", "it does not run"))
    else:
        rows += _local_rows(local, cost, "here" if is_here(verdict.machine) else "there")
    yield figures(rows, right=True)
    yield from texts(_remarks(cost, local))


def _bill(
    verdict: Verdict, bills: MonthlyCost | ProposedCost, cost: MonthlyCost
) -> tuple[str, str]:
    """The cheapest bill, whose it is, and how far the others go."""
    amounts = [bill.usd_per_month for bill in bills.offers if bill.usd_per_month is not None]
    if not amounts:
        return "", "no price is known" if bills.offers else no_api_words(verdict.workload)
    priced = next(bill for bill in bills.offers if bill.usd_per_month is not None)
    note, least, most = provider_name(priced.provider), min(amounts), max(amounts)
    if most > least:
        note += f", the cheapest of {len(amounts)}; the dearest {units.dollars(most)}"
    if cost.currency_per_usd not in (None, 1):
        note += f"; {least * (cost.currency_per_usd or 1):,.2f} in your currency"
    return units.dollars(least), note


def _local_rows(local: LocalCost, cost: MonthlyCost, place: str) -> Iterator[_Row]:
    """Energy, what was bought, and whether the machine keeps up. `place`: here or there."""
    for entry in local.unknown:
        name = {"hours_per_day": "time", "watts": "energy"}.get(entry.fact)
        if name is not None:
            yield f"{place}: {name}", "", f"cannot be told: {entry.reason}"
    if local.kwh_per_month_low is not None:
        yield (f"{place}: energy", *_energy_words(local, cost))
    if local.hardware_per_month is not None and local.hardware_price is not None:
        assumed = ", assumed (--hardware-life)" if local.hardware_life_assumed else ""
        life = f"{units.plain(local.hardware_life_years or 0)} years{assumed}"
        note = f"bought: {local.hardware_price:,.0f} over {life}"
        yield f"{place}: hardware", _money(local.hardware_per_month, cost), note
    if local.hours_per_day_high is not None:
        yield (f"{place}: time", *_time_words(local))


def _energy_words(local: LocalCost, cost: MonthlyCost) -> tuple[str, str]:
    """The likely bill with its range, or the energy where no price is stated."""
    low, slow = local.kwh_per_month_low or 0, local.kwh_per_month_high
    spent, likely = units.energy(low, slow if slow is not None else low), local.kwh_per_month_likely
    most = " at most" if local.hours_are_bounds and slow is not None else ""
    watts = f"{most} at {local.watts:g} W" if local.watts is not None else most
    if slow is None:
        watts += "; the slow end does not get through the day"
    if local.electricity_per_month_low is None:
        if likely is None:
            return spent, f"{watts}; --electricity prices it".strip()
        return units.energy(likely, likely), f"{spent}{watts}; --electricity prices it"
    bills = (local.electricity_per_month_low, local.electricity_per_month_high)
    if local.electricity_per_month_likely is not None:
        bills = (local.electricity_per_month_likely, None)
    shown = dict.fromkeys(_money(bill, cost) for bill in bills if bill is not None)
    currency = "" if cost.currency_per_usd == 1 else " (your currency)"
    return " to ".join(shown), f"{spent}{watts}{currency}"


def _money(amount: float, cost: MonthlyCost) -> str:
    """An amount in the reader's currency, which has a sign only where it is the dollar."""
    return units.dollars(amount) if cost.currency_per_usd == 1 else f"{amount:,.2f}"


def _time_words(local: LocalCost) -> tuple[str, str]:
    """The likely hours with their range; where none are likely the range alone."""
    likely, high = local.hours_per_day_likely, local.hours_per_day_high or 0
    keeps = _KEEPS_UP[local.keeps_up]
    if local.keeps_up is None and likely is not None:
        keeps = f"it likely {'keeps' if likely <= HOURS_PER_DAY else 'does not keep'} up"
        keeps += ", a day has 24"
    share = _share((high if likely is None else likely) / HOURS_PER_DAY)
    up_to = "up to " if likely is None else ""
    used = f", {up_to}{share} of the day" if local.keeps_up else ""
    hours = units.hours(local.hours_per_day_low or 0, high)
    note = f"a day{' at most' if local.hours_are_bounds else ''}: {keeps}{used}"
    return (hours, note) if likely is None else (units.hours(likely, likely), f"{hours} {note}")


def _share(share: float) -> str:
    percent = 100 * share
    return "under 0.1 %" if percent < 0.1 else f"{float(f'{percent:.2g}'):g} %"


def _remarks(cost: MonthlyCost, local: LocalCost | None) -> Iterator[str]:
    """Yield what is missing with its remedy, what the comparison rests on, what may be worse."""
    if local is None:
        return
    for remedy in dict.fromkeys(entry.remedy for entry in local.unknown if entry.remedy):
        yield f"→ {remedy}"
    if local.hours_per_day_high is not None:
        yield _LIMITS
    if cost.instead is not None:
        yield "Another model or type answers otherwise: compare both on your own prompts."


def months_table(verdicts: Sequence[Verdict]) -> Iterator[Block]:
    """The cost of a month of each model, a column each, where a load was stated."""
    costs = [(each, each.monthly_cost) for each in verdicts if each.monthly_cost is not None]
    if not costs:
        return
    loads = dict.fromkeys(load_words(cost) for _, cost in costs if cost.reason is None)
    load = f", {'; '.join(loads)}" if loads else ""
    yield from heading(f"A month of {costs[0][1].days_per_month} days{load}")
    months = [_month(verdict, cost) for verdict, cost in costs]
    labels = dict.fromkeys(label for month in months for label in month)
    columns = (Column(), *(Column(title=each.model.id, wrap=True) for each, _ in costs))
    table = tuple((label, *(month.get(label, "-") for month in months)) for label in labels)
    yield Table(columns=columns, rows=table)


def _month(verdict: Verdict, cost: MonthlyCost) -> dict[str, str]:
    """The figures of one model's month by the labels of their rows."""
    figure, why = _bill(verdict, cost, cost)
    month = {"by API": cost.reason or figure or why}
    local = cost.here or (cost.instead.here if cost.instead else None)
    if local is not None:
        rows = _local_rows(local, cost, on_machine(verdict.machine, short=True))
        month |= {label: amount or "not known" for label, amount, _ in rows}
    if cost.instead is not None:
        month["in its place"] = cost.instead.id
    return month


def load_words(cost: MonthlyCost) -> str:
    """`2,000,000 tokens in and 500,000 out a day`, with what was assumed of it."""
    read, written = cost.input_tokens_per_day, cost.output_tokens_per_day
    split = f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)" if cost.assumed_split else ""
    return f"{read:,} tokens in{f' and {written:,} out' if written else ''} a day{split}"
