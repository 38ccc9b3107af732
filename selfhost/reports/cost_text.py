"""What a month costs: by API, and in hours and energy on the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.offers import provider_name
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, INPUT_PER_OUTPUT_TOKEN, Workload
from ..judge.costs import HOURS_PER_DAY
from ..judge.record import Verdict
from .layout import Block, Cell, Column, Table, heading, say, strong
from .words import is_here, on_machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..judge.costs import LocalCost, Meeting, MonthlyCost, ProposedCost

_LIMITS = "One request after another; what the computer draws while idle is not counted."
_DOLLARS = (
    "The last rows hold if you pay in dollars; else add --dollar-price RATE, what a dollar costs in"
    " your currency."
)
# label, amount, note
_Row = tuple[str, str, str]


def month_blocks(verdict: Verdict, *, verbose: bool) -> Iterator[Block]:
    """The month by API beside the month on the machine; `verbose` adds the arithmetic."""
    cost = verdict.monthly_cost
    if cost is None:
        return
    if cost.reason is not None:
        yield from heading("A month")
        yield say(f"{cost.reason[0].upper()}{cost.reason[1:]}.", indent=2, hang=2)
        return
    yield from heading(f"A month of {cost.days_per_month} days, {load_words(cost)}")
    where = on_machine(verdict.machine, short=True)
    other = cost.instead
    local = cost.here or (other.here if other else None)
    if other is not None:
        less = f" in {other.quantization}" if other.quantization else ""
        yield say(f"{where[0].upper()}{where[1:]} in its place: {other.id}{less}", indent=2, hang=2)
    rows = list(_api_rows(verdict, cost))
    if local is None:
        rows.append((where, "", "it does not run"))
    else:
        place = "here" if is_here(verdict.machine) else "there"
        rows += [*_local_rows(local, cost, place), *_meeting_rows(verdict, cost)]
    columns = (Column(wrap=True), Column(right=True), Column(wrap=True))
    cells = tuple((label, strong(amount), note) for label, amount, note in rows)
    yield Table(columns=columns, rows=cells)
    yield from (say(text, indent=2, hang=2) for text in _remarks(cost, local))
    if verbose:
        yield from (say(text, indent=4, hang=2) for text in _arithmetic(cost, local))


def _api_rows(verdict: Verdict, cost: MonthlyCost) -> Iterator[_Row]:
    """A row for the model asked for, and one for the model in its place."""
    model, other = verdict.model.id, cost.instead
    is_other = other is not None and other.id != model
    yield _api_row(f"{model} by API" if is_other else "by API", verdict, cost, cost)
    if other is not None and is_other:
        yield _api_row(f"{other.id} by API", verdict, other, cost)


def _api_row(
    label: str, verdict: Verdict, bills: MonthlyCost | ProposedCost, cost: MonthlyCost
) -> _Row:
    """The cheapest bill, whose it is, and how far the others go."""
    priced = [bill for bill in bills.offers if bill.usd_per_month is not None]
    if not priced:
        return label, "", _no_bill_words(verdict, bills)
    amounts = sorted(bill.usd_per_month or 0 for bill in priced)
    note = provider_name(priced[0].provider)
    if amounts[-1] > amounts[0]:
        note += f", the cheapest of {len(priced)}; the dearest {units.dollars(amounts[-1])}"
    if (rate := cost.currency_per_usd) not in (None, 1):
        note += f"; {amounts[0] * (rate or 1):,.2f} in your currency"
    return label, units.dollars(amounts[0]), note


def _no_bill_words(verdict: Verdict, bills: MonthlyCost | ProposedCost) -> str:
    return "no price is known" if bills.offers else no_api_words(verdict.workload)


def _local_rows(local: LocalCost, cost: MonthlyCost, place: str) -> Iterator[_Row]:
    """Energy, what was bought, and whether the machine keeps up. `place`: here or there."""
    for entry in local.unknown:
        name = {"hours_per_day": "time", "watts": "energy"}.get(entry.fact)
        if name is not None:
            yield f"{place}: {name}", "", f"cannot be told: {entry.reason}"
    if local.kwh_per_month_low is not None:
        yield (f"{place}: energy", *_energy_words(local, cost))
    if local.hardware_per_month is not None and local.hardware_price is not None:
        life = f"{units.plain(local.hardware_life_years or 0)} years"
        assumed = ", assumed (--hardware-life)" if local.hardware_life_assumed else ""
        note = f"bought: {local.hardware_price:,.0f} over {life}{assumed}"
        yield f"{place}: hardware", _money(local.hardware_per_month, cost), note
    if local.hours_per_day_high is not None:
        yield (f"{place}: time", *_time_words(local))


def _energy_words(local: LocalCost, cost: MonthlyCost) -> tuple[str, str]:
    """The likely bill with its range, or the energy where no price is stated."""
    fast, likely, slow = (
        local.kwh_per_month_low,
        local.kwh_per_month_likely,
        local.kwh_per_month_high,
    )
    most = " at most" if local.hours_are_bounds and slow is not None else ""
    watts = f"at {local.watts_high:g} W" if local.watts_high is not None else ""
    if slow is None:
        watts += "; the slow end does not get through the day"
    spent = units.energy(fast or 0, slow if slow is not None else fast or 0)
    if local.electricity_per_month_low is None:
        note = f"{most} {watts}; --electricity prices it".strip()
        return (
            (spent, note) if likely is None else (units.energy(likely, likely), f"{spent} {note}")
        )
    ends = (local.electricity_per_month_low, local.electricity_per_month_high)
    if local.electricity_per_month_likely is not None:
        ends = (local.electricity_per_month_likely, None)
    bills = dict.fromkeys(_money(bill, cost) for bill in ends if bill is not None)
    currency = "" if cost.currency_per_usd == 1 else " (your currency)"
    return " to ".join(bills), f"{spent}{most} {watts}{currency}"


def _money(amount: float, cost: MonthlyCost) -> str:
    """An amount in the reader's currency, which has a sign only where it is the dollar."""
    return units.dollars(amount) if cost.currency_per_usd == 1 else f"{amount:,.2f}"


def _time_words(local: LocalCost) -> tuple[str, str]:
    """The likely hours with their range; where none are likely the range alone."""
    likely = local.hours_per_day_likely
    low, high = local.hours_per_day_low or 0, local.hours_per_day_high or 0
    perhaps = "perhaps it does not keep"
    if likely is not None:
        perhaps = f"it likely {'keeps' if likely <= HOURS_PER_DAY else 'does not keep'}"
    keeps = {
        True: "it keeps up",
        False: "it does not keep up, a day has 24",
        None: f"{perhaps} up, a day has 24",
    }[local.keeps_up]
    most, hours = " at most" if local.hours_are_bounds else "", units.hours(low, high)
    up_to = "up to " if likely is None else ""
    share = _share((high if likely is None else likely) / HOURS_PER_DAY)
    used = f", {up_to}{share} of the day" if local.keeps_up else ""
    if likely is None:
        return hours, f"a day{most}: {keeps}{used}"
    return units.hours(likely, likely), f"{hours} a day{most}: {keeps}{used}"


def _meeting_rows(verdict: Verdict, cost: MonthlyCost) -> Iterator[_Row]:
    """From what load on a month here costs less than one by the cheapest API of each model."""
    model, other = verdict.model.id, cost.instead
    sides = [(model if other is not None and other.id != model else "the API", cost.offers)]
    if other is not None and other.offers:
        sides.append((f"{other.id} by API", other.offers))
    for name, offers in sides:
        meets = next((bill.meets for bill in offers if bill.meets is not None), None)
        if meets is not None:
            yield (f"cheaper than {name}", *_meeting_words(meets))


def _meeting_words(meets: Meeting) -> tuple[str, str]:
    """`480k` and `tokens a day or more (470k-490k), 3 % of what it can do`."""
    low, high = meets.tokens_per_day_low, meets.tokens_per_day_high
    best, share = meets.tokens_per_day_likely, meets.share_likely
    if best is None:
        best, share = high, meets.share_high
    if low is None:
        return "never", "its energy alone costs as much"
    if not meets.counts_hardware:
        if best is None or high is None:
            return "perhaps", "at the fast end of its speed only"
        return "always", "by its energy alone; --hardware-price counts what it cost"
    if best is None or share is None:
        return "perhaps", f"from {_rounded(low)} tokens a day at the fast end of its speed only"
    spread = "-".join(dict.fromkeys(_rounded(end) for end in (low, high) if end is not None))
    words = "tokens a day or more" + (f" ({spread})" if spread != _rounded(best) else "")
    if share > 1:
        return "never", f"{_rounded(best)} {words}: {share:,.1f} times what it can do"
    return _rounded(best), f"{words}, {_share(share)} of what it can do"


def _rounded(tokens: float) -> str:
    """Two digits and a unit that tokens are counted in: `480k`, `9.5M`."""
    for factor, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if tokens >= factor * 0.9995:
            value = float(f"{tokens / factor:.2g}")
            return f"{value:g}{unit}" if value < 1000 else f"{value:,.0f}{unit}"
    return f"{tokens:,.0f}"


def _share(share: float) -> str:
    percent = 100 * share
    return "under 0.1 %" if percent < 0.1 else f"{float(f'{percent:.2g}'):g} %"


def _remarks(cost: MonthlyCost, local: LocalCost | None) -> Iterator[str]:
    """Yield what is missing with its remedy, what the comparison rests on, what may be worse."""
    if local is None:
        return
    missing = [*local.unknown, *([cost.meets_unknown] if cost.meets_unknown is not None else [])]
    for remedy in dict.fromkeys(entry.remedy for entry in missing if entry.remedy):
        yield f"→ {remedy}"
    offers = (*cost.offers, *(cost.instead.offers if cost.instead else ()))
    if any(bill.meets is not None and bill.meets.assumes_dollar for bill in offers):
        yield _DOLLARS
    if local.hours_per_day_high is not None:
        yield _LIMITS
    if cost.instead is not None:
        yield from cost.instead.risks


def _arithmetic(cost: MonthlyCost, local: LocalCost | None) -> Iterator[str]:
    """Yield every line that a calculator can repeat, and where the power is from."""
    for bill in (*cost.offers, *(cost.instead.offers if cost.instead else ())):
        for text in (bill.arithmetic, bill.meets.arithmetic if bill.meets else None):
            if text is not None:
                yield f"{provider_name(bill.provider)}, {bill.model}: {text}"
    if local is not None:
        if local.watts_source is not None and local.watts_high is not None:
            yield f"{local.watts_high:g} W: {local.watts_source}"
        yield from local.arithmetic


def months_table(verdicts: Sequence[Verdict]) -> Iterator[Block]:
    """The cost of a month of each model, where a load was stated."""
    costs = [(each, each.monthly_cost) for each in verdicts if each.monthly_cost is not None]
    if not costs:
        return
    loads = dict.fromkeys(load_words(cost) for _, cost in costs if cost.reason is None)
    load = f", {next(iter(loads))}" if len(loads) == 1 else ""
    yield from heading(f"A month of {costs[0][1].days_per_month} days{load}")
    columns = (
        Column(title="model"),
        Column(title="by API", right=True, wrap=True),
        Column(title=on_machine(verdicts[0].machine, short=True), wrap=True),
        Column(title="energy", wrap=True),
    )
    yield Table(columns=columns, rows=tuple(_month(verdict, cost) for verdict, cost in costs))
    yield from (say(load, indent=2) for load in (loads if len(loads) > 1 else ()))


def _month(verdict: Verdict, cost: MonthlyCost) -> tuple[Cell, ...]:
    """The model, its month by API, and the hours and energy of one here, or in its place."""
    name = strong(verdict.model.id)
    if cost.reason is not None:
        return name, "", cost.reason, ""
    local = cost.here or (cost.instead.here if cost.instead else None)
    place = f"{cost.instead.id} in its place: " if cost.instead is not None else ""
    _, bill, why = _api_row("", verdict, cost, cost)
    hours, energy = "does not run" if local is None else "not known", ""
    if local is not None and local.hours_per_day_high is not None:
        figure, note = _time_words(local)
        hours = f"{figure} ({note})"
    if local is not None and local.kwh_per_month_low is not None:
        figure, note = _energy_words(local, cost)
        energy = f"{figure}, {note}"
    return name, bill or why, f"{place}{hours}", energy


def load_words(cost: MonthlyCost) -> str:
    """`2,000,000 tokens in and 500,000 out a day`, with what was assumed of it."""
    read, written = cost.input_tokens_per_day, cost.output_tokens_per_day
    split = f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)" if cost.assumed_split else ""
    return f"{read:,} tokens in{f' and {written:,} out' if written else ''} a day{split}"


def no_api_words(workload: Workload) -> str:
    """Why no API is named, where none is."""
    if workload.private:
        return "ruled out, nothing may leave the machine"
    if workload.task == "finetune":
        return "not known, these prices do not cover fine-tuning"
    conditions = (workload.commercial, workload.modify, workload.auditable, workload.license)
    is_longer = (workload.context_tokens or 0) > DEFAULT_CONTEXT_TOKENS
    with_these = " that meets your conditions" if is_longer or any(conditions) else ""
    return f"this catalogue knows no offer{with_these}"
