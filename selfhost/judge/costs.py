"""What a month of a stated load costs, as a verdict holds it; `advice.costs` computes it."""

from __future__ import annotations

from ..core.records import Record, Unread

DAYS_PER_MONTH = 30
HOURS_PER_DAY = 24


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
    up; `keeps_up` is None where the range does not tell. Energy is that of an end that keeps up, at
    `watts`: what the owner measured, or what the accelerators in use or the whole
    computer are rated for; `watts_source` says which. `electricity_per_month` and
    `hardware_per_month` are in the currency of the prices that were stated: what runs, and what was
    bought, spread over `hardware_life_years`, which is assumed where `hardware_life_assumed`.
    `arithmetic`: one line each for the slow end, the likely and the fast end, the energy of the
    slowest end that keeps up, the hardware.
    """

    hours_per_day_low: float | None = None
    hours_per_day_likely: float | None = None
    hours_per_day_high: float | None = None
    keeps_up: bool | None = None
    watts: float | None = None
    watts_source: str | None = None
    kwh_per_month_low: float | None = None
    kwh_per_month_likely: float | None = None
    kwh_per_month_high: float | None = None
    electricity_per_month_low: float | None = None
    electricity_per_month_likely: float | None = None
    electricity_per_month_high: float | None = None
    hardware_per_month: float | None = None
    hardware_price: float | None = None
    hardware_life_years: float | None = None
    hardware_life_assumed: bool = False
    arithmetic: tuple[str, ...] = ()
    unknown: tuple[Unread, ...] = ()


class MonthlyCost(Record):
    """Both ways beside each other. `reason` says why a load in tokens does not apply; then
    tokens, offers and `here` are empty. `here` is None where the model does not run.
    `currency_per_usd` is what was stated.
    """

    input_tokens_per_day: int | None = None
    output_tokens_per_day: int | None = None
    assumed_split: bool = False
    days_per_month: int = DAYS_PER_MONTH
    offers: tuple[OfferCost, ...] = ()
    here: LocalCost | None = None
    currency_per_usd: float | None = None
    reason: str | None = None
