"""What a month costs: by API, and in hours and energy on the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.offers import provider_name
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, INPUT_PER_OUTPUT_TOKEN, Workload
from ..verdict.costs import DAYS_PER_MONTH, HOURS_PER_DAY
from ..verdict.record import Verdict
from .layout import Block, Column, Paragraph, Span, Table
from .words import is_here, on_machine, say, section

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..verdict.costs import LocalCost, Meeting, MonthlyCost, ProposedCost


# of how the month here was reckoned, in one line
_LIMITS = "One request after another; what the computer draws while idle is not counted."


def month_blocks(blocks: list[Block], verdict: Verdict, *, verbose: bool) -> None:
    """The month by API beside the month on this machine, a row each: what runs, what was bought,
    where both ways cost the same. `verbose` adds every line of arithmetic.
    """
    cost = verdict.monthly_cost
    if cost is None:
        return
    if cost.reason is not None:
        section(blocks, "A month")
        blocks.append(say(f"{cost.reason[0].upper()}{cost.reason[1:]}.", indent=2, hang=2))
        return
    section(blocks, f"A month of {cost.days_per_month} days, {load_words(cost)}")
    where = on_machine(verdict.machine, short=True)
    local = cost.here or (cost.instead.here if cost.instead else None)
    if cost.instead is not None:
        less = f" in {cost.instead.quantization}" if cost.instead.quantization else ""
        text = f"{where[0].upper()}{where[1:]} in its place: {cost.instead.id}{less}"
        blocks.append(say(text, indent=2, hang=2))
    rows = list(_api_rows(verdict, cost))
    if local is None:
        rows.append(_cost_row(where, "", "it does not run"))
    else:
        place = "here" if is_here(verdict.machine) else "there"
        rows += [*_local_rows(local, cost, place), *_meeting_rows(verdict, cost)]
    columns = (Column(wrap=True), Column(right=True), Column(wrap=True))
    blocks.append(Table(columns=columns, rows=tuple(rows)))
    for text in _remarks(cost, local):
        blocks.append(say(text, indent=2, hang=2))
    if verbose and local is not None:
        blocks.extend(_arithmetic(cost, local))
    elif verbose:
        blocks.extend(_bill_lines(cost))


def _cost_row(label: str, amount: str, note: str) -> tuple[Span, ...]:
    return Span(text=label), Span(text=amount, style="strong"), Span(text=note)


def _api_rows(verdict: Verdict, cost: MonthlyCost) -> Iterator[tuple[Span, ...]]:
    """A row for the model asked for, and one for the model in its place."""
    other = cost.instead.id if cost.instead else None
    own = verdict.model.id
    yield _api_row(f"{own} by API" if other not in (None, own) else "by API", verdict, cost, cost)
    if cost.instead is not None and other != own:
        yield _api_row(f"{other} by API", verdict, cost.instead, cost)


def _api_row(
    label: str, verdict: Verdict, bills: MonthlyCost | ProposedCost, cost: MonthlyCost
) -> tuple[Span, ...]:
    """The cheapest bill, whose it is, and how far the others go."""
    priced = [bill for bill in bills.offers if bill.usd_per_month is not None]
    if not priced:
        nothing = "no price is known" if bills.offers else no_api_words(verdict.workload)
        return _cost_row(label, "", nothing)
    amounts = sorted(bill.usd_per_month or 0 for bill in priced)
    note = provider_name(priced[0].provider)
    if amounts[-1] > amounts[0]:
        note += f", the cheapest of {len(priced)}; the dearest {units.dollars(amounts[-1])}"
    if (rate := cost.currency_per_usd) not in (None, 1):
        note += f"; {amounts[0] * (rate or 1):,.2f} in your currency"
    return _cost_row(label, units.dollars(amounts[0]), note)


def _local_rows(local: LocalCost, cost: MonthlyCost, place: str) -> Iterator[tuple[Span, ...]]:
    """Energy, what was bought, and whether the machine keeps up. `place`: here or there."""
    for entry in local.unknown:
        if entry.fact == "hours_per_day":
            yield _cost_row(f"{place}: time", "", f"cannot be told: {entry.reason}")
        elif entry.fact == "watts":
            yield _cost_row(f"{place}: energy", "", f"cannot be told: {entry.reason}")
    if local.kwh_per_month_low is not None:
        yield _energy_row(local, cost, place)
    if local.hardware_per_month is not None and local.hardware_price is not None:
        life = f"{units.plain(local.hardware_life_years or 0)} years"
        assumed = ", assumed (--hardware-life)" if local.hardware_life_assumed else ""
        note = f"bought: {local.hardware_price:,.0f} over {life}{assumed}"
        amount = _money(local.hardware_per_month, cost)
        yield _cost_row(f"{place}: hardware", amount, note)
    if local.hours_per_day_high is not None:
        yield _time_row(local, place)


def _energy_row(local: LocalCost, cost: MonthlyCost, place: str) -> tuple[Span, ...]:
    """The likely bill with its range, or where no price is stated the energy; both ends where
    none is likely.
    """
    fast, likely, slow = (
        getattr(local, f"kwh_per_month_{end}") for end in ("low", "likely", "high")
    )
    most = " at most" if local.hours_are_bounds and slow is not None else ""
    watts = f"at {local.watts_high:g} W" if local.watts_high is not None else ""
    if slow is None:
        watts += "; the slow end does not get through the day"
    spent = units.energy(fast, slow if slow is not None else fast)
    if local.electricity_per_month_low is None:
        note = f"{most} {watts}; --electricity prices it".strip()
        if likely is None:
            return _cost_row(f"{place}: energy", spent, note)
        return _cost_row(f"{place}: energy", units.energy(likely, likely), f"{spent} {note}")
    ends = local.electricity_per_month_low, local.electricity_per_month_high
    if local.electricity_per_month_likely is not None:
        ends = (local.electricity_per_month_likely,) * 2
    bills = dict.fromkeys(_money(bill, cost) for bill in ends if bill is not None)
    own = "" if cost.currency_per_usd == 1 else " (your currency)"
    return _cost_row(f"{place}: energy", " to ".join(bills), f"{spent}{most} {watts}{own}")


def _money(amount: float, cost: MonthlyCost) -> str:
    """In the reader's own currency, which has a sign only where it is the dollar."""
    return units.dollars(amount) if cost.currency_per_usd == 1 else f"{amount:,.2f}"


def _time_row(local: LocalCost, place: str) -> tuple[Span, ...]:
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
    if likely is None:
        used = f", up to {_share(high / HOURS_PER_DAY)} of the day" if local.keeps_up else ""
        return _cost_row(f"{place}: time", hours, f"a day{most}: {keeps}{used}")
    used = f", {_share(likely / HOURS_PER_DAY)} of the day" if local.keeps_up else ""
    return _cost_row(
        f"{place}: time", units.hours(likely, likely), f"{hours} a day{most}: {keeps}{used}"
    )


def _meeting_rows(verdict: Verdict, cost: MonthlyCost) -> Iterator[tuple[Span, ...]]:
    """From what load on a month here costs less than one by the cheapest API of each model."""
    own, other = verdict.model.id, cost.instead
    sides = [(own if other is not None and other.id != own else "the API", cost.offers)]
    if other is not None and other.offers:
        sides.append((f"{other.id} by API", other.offers))
    for name, offers in sides:
        meets = next((bill.meets for bill in offers if bill.meets is not None), None)
        if meets is not None:
            yield _cost_row(f"cheaper than {name}", *_meeting_words(meets))


def _meeting_words(meets: Meeting) -> tuple[str, str]:
    """`480,000` and `tokens a day or more (470,000-490,000), 3 % of what it can do`."""
    low, likely, high = (
        getattr(meets, f"tokens_per_day_{end}") for end in ("low", "likely", "high")
    )
    best = likely if likely is not None else high
    share = meets.share_likely if likely is not None else meets.share_high
    if low is None:
        return "never", "its energy alone costs as much"
    if not meets.counts_hardware:
        if best is None or high is None:
            return "perhaps", "at the fast end of its speed only"
        return "always", "by its energy alone; --hardware-price counts what it cost"
    if best is None or share is None:
        return "perhaps", f"from {_rounded(low)} tokens a day at the fast end of its speed only"
    others = [value for value in (low, high) if value is not None]
    spread = "-".join(dict.fromkeys(_rounded(value) for value in others))
    words = (
        f"tokens a day or more ({spread})" if spread != _rounded(best) else "tokens a day or more"
    )
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
    """What is missing with the remedy, what the comparison rests on, and what may be worse."""
    if local is None:
        return
    remedies = [entry.remedy for entry in local.unknown if entry.remedy]
    if cost.meets_unknown is not None:
        remedies.append(cost.meets_unknown.remedy or "")
    for remedy in dict.fromkeys(remedies):
        yield f"→ {remedy}"
    meetings = [
        bill.meets
        for bill in (*cost.offers, *(cost.instead.offers if cost.instead else ()))
        if bill.meets is not None
    ]
    if any(meets.assumes_dollar for meets in meetings):
        yield (
            "The last rows hold if you pay in dollars; else add --dollar-price RATE, what a dollar"
            " costs in your currency."
        )
    if local.hours_per_day_high is not None:
        yield _LIMITS
    if cost.instead is not None:
        yield from cost.instead.risks


def _arithmetic(cost: MonthlyCost, local: LocalCost) -> Iterator[Paragraph]:
    """Every line that a calculator can repeat, and where the power is from."""
    yield from _bill_lines(cost)
    if local.watts_source is not None and local.watts_high is not None:
        watts = f"{local.watts_high:g} W: {local.watts_source}"
        yield say(watts, indent=4, hang=2)
    yield from (say(text, indent=4, hang=2) for text in local.arithmetic)


def _bill_lines(cost: MonthlyCost) -> Iterator[Paragraph]:
    for bill in (*cost.offers, *(cost.instead.offers if cost.instead else ())):
        for text in (bill.arithmetic, bill.meets.arithmetic if bill.meets else None):
            if text is not None:
                yield say(f"{provider_name(bill.provider)}, {bill.model}: {text}", indent=4, hang=2)


def _by_api(verdict: Verdict, cost: MonthlyCost) -> str:
    return bill_words(cost) or (
        "no price is known" if cost.offers else no_api_words(verdict.workload)
    )


def months_table(blocks: list[Block], verdicts: Sequence[Verdict]) -> None:
    """The cost of a month of each, where a load was stated."""
    costs = [
        (verdict, verdict.monthly_cost) for verdict in verdicts if verdict.monthly_cost is not None
    ]
    loads = dict.fromkeys(load_words(cost) for _, cost in costs if cost.reason is None)
    if not costs:
        return
    section(
        blocks,
        f"A month of {costs[0][1].days_per_month} days"
        + (f", {next(iter(loads))}" if len(loads) == 1 else ""),
    )
    rows = [_month_cells(verdict, cost) for verdict, cost in costs]
    where = on_machine(verdicts[0].machine, short=True)
    columns = (
        Column(title="model"),
        Column(title="by API", right=True, wrap=True),
        Column(title=where, wrap=True),
        Column(title="energy", wrap=True),
    )
    blocks.append(Table(columns=columns, rows=tuple(rows)))
    for load in loads if len(loads) > 1 else ():
        blocks.append(say(load, indent=2))


def _month_cells(verdict: Verdict, cost: MonthlyCost) -> tuple[Span, ...]:
    """The model, its month by API, and the hours and energy of one here, with what is proposed in
    its place where it does not run.
    """
    by_api = "" if cost.reason else _by_api(verdict, cost)
    pace, energy = "does not run", ""
    local = cost.here or (cost.instead.here if cost.instead else None)
    if local is not None:
        pace = pace_words(local) or "not known"
        energy = energy_words(local)
        if energy and local.kwh_per_month_high is None:
            energy = f"at the fast end {energy}"
    if cost.instead is not None:
        pace = f"{cost.instead.id} in its place: {pace}"
    return (
        Span(text=verdict.model.id, style="strong"),
        Span(text=by_api),
        Span(text=cost.reason or pace),
        Span(text=energy),
    )


def load_words(cost: MonthlyCost) -> str:
    """`2,000,000 tokens in and 500,000 out a day`, with what was assumed of it."""
    read, written = cost.input_tokens_per_day, cost.output_tokens_per_day
    split = f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)" if cost.assumed_split else ""
    return f"{read:,} tokens in{f' and {written:,} out' if written else ''} a day{split}"


def bill_words(cost: MonthlyCost) -> str:
    """A month by the offers: `$15.00`, `$15.00 to $60.00`; empty where no price is known."""
    bills = sorted(bill.usd_per_month for bill in cost.offers if bill.usd_per_month is not None)
    if not bills:
        return ""
    first, last = units.dollars(bills[0]), units.dollars(bills[-1])
    return first if first == last else f"{first} to {last}"


def pace_words(here: LocalCost) -> str:
    """`1.4 to 6.2 hours a day`, and whether that is possible; empty where it is not known."""
    low, high = here.hours_per_day_low, here.hours_per_day_high
    if low is None or high is None:
        return ""
    verdict = {
        True: "",
        False: ": it does not keep up, a day has 24",
        None: ": perhaps it does not keep up, a day has 24",
    }[here.keeps_up]
    return f"{units.hours(low, high)} a day{' at most' if here.hours_are_bounds else ''}{verdict}"


def energy_words(here: LocalCost) -> str:
    """`1.3 to 5.6 kWh, 0.39 to 1.68 in your currency`; "" where it is not known.

    Where the slow end does not keep up, that of the fast end and what running all day takes, which
    leaves a part of the load.
    """
    low, high = here.kwh_per_month_low, here.kwh_per_month_high
    first, last = here.electricity_per_month_low, here.electricity_per_month_high
    if low is None or here.watts_low is None or here.watts_high is None:
        return ""
    if high is None:
        whole = DAYS_PER_MONTH * HOURS_PER_DAY * here.watts_high / 1000
        whole_bill = first * whole / low if first is not None and low else None
        fast, slow = _energy_and_bill(low, first), _energy_and_bill(whole, whole_bill)
        return (
            f"{fast}, at the slow end up to {slow}, running {HOURS_PER_DAY} hours a day with"
            " a part of the load left"
        )
    bill = (
        f", {_amounts(first, last)} in your currency"
        if first is not None and last is not None
        else ""
    )
    most = " at most" if here.hours_are_bounds and here.kwh_per_month_high is not None else ""
    return f"{units.energy(low, high)}{most}{bill}"


def _energy_and_bill(kwh: float, bill: float | None) -> str:
    paid = f", {bill:,.2f} in your currency" if bill is not None else ""
    return units.energy(kwh, kwh) + paid


def no_api_words(workload: Workload) -> str:
    """Why no API is named, where none is."""
    if workload.private:
        return "ruled out, nothing may leave the machine"
    if workload.task == "finetune":
        return "not known, these prices do not cover fine-tuning"
    conditions = (workload.commercial, workload.modify, workload.auditable, workload.license)
    longer = (workload.context_tokens or 0) > DEFAULT_CONTEXT_TOKENS
    with_these = " that meets your conditions" if longer or any(conditions) else ""
    return f"this catalogue knows no offer{with_these}"


def _amounts(low: float, high: float) -> str:
    first, last = f"{low:,.2f}", f"{high:,.2f}"
    return first if first == last else f"{first} to {last}"
