"""What a month of a stated load costs, as a verdict holds it; `advice.costs` computes it."""

from __future__ import annotations

from ..core.records import Record, Unread

DAYS_PER_MONTH = 30
HOURS_PER_DAY = 24


class Meeting(Record):
    """The load, read and written together in the stated split, from which a month here costs less
    than a month by one offer: what the machine cost a day, over what a token by API costs more
    than its energy here.

    `low` is at the fast end of the speed, `high` at the slow end, `likely` between them. Tokens are
    0 where no price of the hardware is counted and the energy costs less than the API; None where
    they never meet, for the energy alone costs as much, or where that speed is not estimated.
    `share_…` is of what the machine can do in a day at that speed: above 1 it never gets there.
    `counts_hardware`: a price of the hardware was stated. `assumes_dollar`: no price of the dollar
    was, so this holds only where the energy is paid in dollars. `arithmetic` is one line for a
    calculator, at the likely speed, or at the slow one where none is likely.
    """

    tokens_per_day_low: float | None = None
    tokens_per_day_likely: float | None = None
    tokens_per_day_high: float | None = None
    share_low: float | None = None
    share_likely: float | None = None
    share_high: float | None = None
    counts_hardware: bool
    assumes_dollar: bool
    arithmetic: str | None = None


class OfferCost(Record):
    """A month of the load by one offer; None where its price is not known. `arithmetic` is one
    line for a calculator. `meets` is None where no month here is known to set beside it.
    """

    provider: str
    model: str
    usd_per_month: float | None
    arithmetic: str | None
    meets: Meeting | None = None


class LocalCost(Record):
    """The same load on this machine, one request after another. A None has its reason in `unknown`,
    but for what was not asked.

    `hours_per_day` are those that the estimated speed takes, more than 24 where it does not keep
    up; `keeps_up` is None where the range does not tell. `hours_are_bounds`: how fast it reads
    prompts is not estimated, and the ends are what it cannot be below and above: reading in no
    time, and no faster than writing; nothing between them is likely. `most_tokens_per_day` is what
    24 hours of work do in the stated split, at the slow end, the likely speed and the fast end.
    Energy is that of an end that keeps up, at the power of `watts`: what the owner measured, or
    what the processors in use are rated for, or where the maker states only that, the whole
    computer; `watts_source` says which. `electricity_per_month` and `hardware_per_month` are in the
    currency of the prices that were stated: what runs, and what was bought, spread over
    `hardware_life_years`, which is assumed where `hardware_life_assumed`. `arithmetic`: one line
    each for the slow end, the fast end, the energy of the slower end that keeps up, the hardware.
    """

    hours_per_day_low: float | None = None
    hours_per_day_likely: float | None = None
    hours_per_day_high: float | None = None
    hours_are_bounds: bool = False
    keeps_up: bool | None = None
    most_tokens_per_day_low: float | None = None
    most_tokens_per_day_likely: float | None = None
    most_tokens_per_day_high: float | None = None
    watts_low: float | None = None
    watts_high: float | None = None
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


class ProposedCost(Record):
    """The same month with the model that is proposed in the place of one that does not run here.

    `offers` are of that model by API, `here` is the machine. `risks` are sentences on what may be
    worse than with the model asked for; no score stands for them.
    """

    id: str
    name: str
    quantization: str | None = None
    offers: tuple[OfferCost, ...] = ()
    here: LocalCost
    risks: tuple[str, ...] = ()


class MonthlyCost(Record):
    """Both ways beside each other. `reason` says why a load in tokens does not apply; then
    tokens, offers, `here` and `instead` are empty.

    `here` is None where the model does not run; `instead` is what is proposed in its place then,
    None where nothing is. `meets_unknown` says why no `meets` of an offer is known where there is
    an offer and a machine that runs it. `currency_per_usd` is what was stated.
    """

    input_tokens_per_day: int | None = None
    output_tokens_per_day: int | None = None
    assumed_split: bool = False
    days_per_month: int = DAYS_PER_MONTH
    offers: tuple[OfferCost, ...] = ()
    here: LocalCost | None = None
    instead: ProposedCost | None = None
    currency_per_usd: float | None = None
    meets_unknown: Unread | None = None
    reason: str | None = None
