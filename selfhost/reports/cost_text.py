"""What a month costs: by API, and in hours and energy on the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core import units
from ..core.workload import INPUT_PER_OUTPUT_TOKEN, Workload
from ..verdict.record import Verdict
from .layout import Block, Column, Paragraph, Span, Table
from .words import on_machine, say, section

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..verdict.costs import LocalCost, MonthlyCost


def month_blocks(blocks: list[Block], verdict: Verdict, *, verbose: bool) -> None:
    """The month by API beside the month on this machine, each with its arithmetic."""
    cost, where = verdict.monthly_cost, on_machine(verdict.machine, short=True)
    if cost is None:
        return
    if cost.reason is not None:
        section(blocks, "A month")
        blocks.append(say(f"{cost.reason[0].upper()}{cost.reason[1:]}.", indent=2, hang=2))
        return
    section(blocks, f"A month of {cost.days_per_month} days, {load_words(cost)}")
    blocks.append(say(f"by API: {_by_api(verdict, cost)}", indent=2, hang=2))
    explained = [bill for bill in cost.offers if bill.arithmetic is not None]
    for bill in explained if verbose else explained[:1]:
        who = f"{bill.provider}, {bill.model}" if verbose else bill.provider
        blocks.append(say(f"{who}: {bill.arithmetic}", indent=4, hang=2))
    if cost.here is None:
        blocks.append(say(f"{where}: it does not run", indent=2, hang=2))
    else:
        blocks.extend(_here_lines(cost.here, where))


def _here_lines(here: LocalCost, where: str) -> Iterator[Paragraph]:
    """The hours and the energy of a month on the machine, and what of them is not known."""
    if pace := pace_words(here):
        yield say(f"{where}: {pace}, one request after another", indent=2, hang=2)
    yield from (say(text, indent=4, hang=2) for text in here.arithmetic[:2])
    for entry in here.unknown:
        if entry.fact == "kwh_per_month_high":
            # told with the energy
            continue
        topic = {"hours_per_day": where}.get(entry.fact, "energy")
        yield say(f"{topic}: not known: {entry.reason}", indent=2, hang=2)
        if entry.remedy:
            yield say(f"→ {entry.remedy}", indent=4, hang=2)
    if energy := energy_words(here):
        fast = here.kwh_per_month_high is None
        topic = "energy at the fast end" if fast else "energy"
        watts = (
            f"{here.watts_low:g} to {here.watts_high:g}"
            if fast and here.watts_low != here.watts_high
            else f"{here.watts_high:g}"
        )
        yield say(f"{topic}: {energy}, at {watts} W: {here.watts_source}", indent=2, hang=2)
    yield from (say(text, indent=4, hang=2) for text in here.arithmetic[2:])


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
    """The model, its month by API, and the hours and energy of one here."""
    by_api = "" if cost.reason else _by_api(verdict, cost)
    pace, energy = "does not run", ""
    if cost.here is not None:
        pace = pace_words(cost.here) or "not known"
        energy = energy_words(cost.here)
        if energy and cost.here.kwh_per_month_high is None:
            energy = f"at the fast end {energy}"
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
        from ..advice.costs import DAYS_PER_MONTH, HOURS_PER_DAY

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
    return "no offer is known that meets what was asked"


def _amounts(low: float, high: float) -> str:
    first, last = f"{low:,.2f}", f"{high:,.2f}"
    return first if first == last else f"{first} to {last}"
