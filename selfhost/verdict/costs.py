"""What a month of a stated load costs, as a verdict holds it; `advice.costs` computes it."""

from __future__ import annotations

from ..core.records import Record, Unread

DAYS_PER_MONTH = 30


class OfferCost(Record):
    """A month of the load by one offer; None where its price is not known. `arithmetic` is one
    line for a calculator.
    """

    provider: str
    model: str
    usd_per_month: float | None
    arithmetic: str | None


class LocalCost(Record):
    """The same load on this machine, one request after another. A None has its reason in `unknown`,
    but for what was not asked.

    `hours_per_day` are those that the estimated speed takes, more than 24 where it does not keep
    up; `keeps_up` is None where the range does not tell. `hours_are_bounds`: how fast it reads
    prompts is not estimated, and the ends are what it cannot be below and above: reading in no
    time, and no faster than writing. Energy is that of an end that keeps up, at the power of
    `watts`: what the owner measured, or what the processors in use are rated for, or where the
    maker states only that, the whole computer; `watts_source` says which. `electricity_per_month`
    is in the currency of the price that was stated. `arithmetic`: one line each for the slow end,
    the fast end, the energy of the slower end that keeps up.
    """

    hours_per_day_low: float | None = None
    hours_per_day_high: float | None = None
    hours_are_bounds: bool = False
    keeps_up: bool | None = None
    watts_low: float | None = None
    watts_high: float | None = None
    watts_source: str | None = None
    kwh_per_month_low: float | None = None
    kwh_per_month_high: float | None = None
    electricity_per_month_low: float | None = None
    electricity_per_month_high: float | None = None
    arithmetic: tuple[str, ...] = ()
    unknown: tuple[Unread, ...] = ()


class MonthlyCost(Record):
    """Both ways beside each other. `reason` says why a load in tokens does not apply; then
    tokens, offers and `here` are empty.
    """

    input_tokens_per_day: int | None = None
    output_tokens_per_day: int | None = None
    assumed_split: bool = False
    days_per_month: int = DAYS_PER_MONTH
    offers: tuple[OfferCost, ...] = ()
    here: LocalCost | None = None
    reason: str | None = None
