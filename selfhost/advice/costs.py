"""What a stated load costs a month: by each API that is offered, and in hours, energy and hardware
on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer
from ..core import units
from ..core.records import Record, Unread
from ..core.workload import Load, Workload
from ..judge.pace.speed import PaceRange, Speed, shares_of
from ..judge.record import Judged, Outcome, Verdict
from ..machine import gpus
from ..machine.record import Machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

DAYS_PER_MONTH = 30
HOURS_PER_DAY = 24

DAYS_PER_YEAR = 365
# assumed where none is stated: for how long a computer is written off in many bookkeepings
ASSUMED_LIFE_YEARS = 3.0
# kinds of model that are used by the token; what others are called, and what they are paid by
BY_TOKEN = ("text", "vision", "embedding")
_PAID_BY = {
    "speech": ("speech", "minute of audio"),
    "image": ("image generation", "image"),
    "video": ("video generation", "second of video"),
    "music": ("music generation", "song"),
}
_METER = "--watts W takes what the computer draws at work, as a meter at the socket shows it"
_TIME_IT = "time a part of the load itself"
# the ends of the hours, what their lines are called, and the end of the pace that each is of
_ENDS = (("high", "slow end", "low"), ("likely", "likely", "likely"), ("low", "fast end", "high"))


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


def month(
    verdict: Verdict,
    asked: Workload,
    judged: Judged,
    catalogue: Catalogue,
) -> MonthlyCost | None:
    """What the load of `asked`, the workload before defaults, costs by the verdict's offers, and on
    its machine where the model runs there. None where no load was stated.
    """
    load, modality = asked.load, verdict.model.modality
    if load is None:
        return None
    if asked.task == "finetune":
        return MonthlyCost(reason="a load in tokens a day does not apply to fine-tuning")
    if modality not in BY_TOKEN:
        kind, unit = _PAID_BY.get(modality, (modality, "request"))
        return MonthlyCost(reason=f"a load in tokens does not apply: {kind} is paid by the {unit}")
    # nothing but its speed keeps it from running
    runs = judged.needs is not None and all(
        finding.outcome is not Outcome.FAIL or finding.check == "speed"
        for finding in judged.findings
    )
    tokens, computers = tokens_of(load, modality), catalogue.common("power")["computer"]
    here = local_cost(load, tokens, verdict.machine, judged, computers) if runs else None
    return MonthlyCost(
        input_tokens_per_day=tokens[0],
        output_tokens_per_day=tokens[1],
        assumed_split=load.assumed_split and modality != "embedding",
        offers=tuple(cost_of_offer(offer, *tokens) for offer in verdict.api_offers),
        here=here,
        currency_per_usd=load.currency_per_usd,
    )


def tokens_of(load: Load, modality: str) -> tuple[int, int]:
    """Tokens read and written a day. What embeds writes none: of a load whose split is assumed
    it reads all.
    """
    read, written = load.input_tokens_per_day, load.output_tokens_per_day
    if modality != "embedding":
        return read, written
    return read + written if load.assumed_split else read, 0


# ------------------------------------------------------------------ by API


def dearness(load: Load, modality: str, offer: Offer) -> float:
    """What offers of one model are ordered by, the cheapest for that load first and unknown
    prices last.
    """
    if modality not in BY_TOKEN:
        return 0.0
    price = cost_of_offer(offer, *tokens_of(load, modality)).usd_per_month
    return float("inf") if price is None else price


def cost_of_offer(offer: Offer, read: int, written: int) -> OfferCost:
    """A month of `read` tokens in and `written` out each day by that offer."""
    sides = [
        (tokens, rate)
        for tokens, rate in (
            (read, offer.input_usd_per_million_tokens),
            (written, offer.output_usd_per_million_tokens),
        )
        if tokens
    ]
    price = line = None
    if all(rate is not None for _, rate in sides):
        price = DAYS_PER_MONTH * sum(tokens * (rate or 0) for tokens, rate in sides) / 1e6
        terms = " + ".join(
            f"{tokens:,} × {units.dollars_exact(rate or 0)}" for tokens, rate in sides
        )
        line = f"{DAYS_PER_MONTH} days × ({terms}) / 1,000,000 = {units.dollars(price)}"
    return OfferCost(
        provider=offer.provider, model=offer.model, usd_per_month=price, arithmetic=line
    )


# ------------------------------------------------------------------ here


def local_cost(
    load: Load,
    tokens: tuple[int, int],
    machine: Machine,
    judged: Judged,
    computers: Sequence[Any],
) -> LocalCost:
    """Hours, energy and hardware on the machine, where the model lies as it was judged; `computers`
    are the rated ones of `common/power.toml`.
    """
    cost = _with_energy(_hours(tokens, machine, judged), load, machine, judged, computers)
    price = load.hardware_price
    if price is None:
        return cost
    life = load.hardware_life_years or ASSUMED_LIFE_YEARS
    share = DAYS_PER_MONTH * price / (life * DAYS_PER_YEAR)
    line = (
        f"hardware: {DAYS_PER_MONTH} days × {units.plain(price)} /"
        f" ({units.plain(life)} × {DAYS_PER_YEAR} days) = {share:,.2f}"
    )
    return cost.replace(
        hardware_per_month=share,
        hardware_price=price,
        hardware_life_years=life,
        hardware_life_assumed=load.hardware_life_years is None,
        arithmetic=(*cost.arithmetic, line),
    )


def _hours(tokens: tuple[int, int], machine: Machine, judged: Judged) -> LocalCost:
    """Hours a day at each end."""
    read, written = tokens
    prompt, decode = _paces(judged.speed, written)
    if decode is None or round(decode.low, 3) <= 0 or (prompt is None and read > 0):
        return LocalCost(unknown=(_why_no_pace(machine, judged),))
    values: dict[str, Any] = {}
    lines: list[str] = []
    for end, name, of_pace in _ENDS:
        writes = round(getattr(decode, of_pace), 3)
        reads = writes if prompt is None else round(getattr(prompt, of_pace), 3)
        hours, line = _hours_of([(read, reads), (written, writes)])
        values[f"hours_per_day_{end}"] = hours
        lines.append(f"{name}: {line}")
    keeps_up = values["hours_per_day_high"] <= HOURS_PER_DAY
    is_too_slow = values["hours_per_day_low"] > HOURS_PER_DAY
    return LocalCost(
        **values,
        keeps_up=keeps_up or (False if is_too_slow else None),
        arithmetic=tuple(lines),
    )


def _paces(speed: Speed | None, written: int) -> tuple[PaceRange | None, PaceRange | None]:
    """Of reading and of writing; what only reads has no other pace."""
    if speed is None:
        return None, None
    return speed.prompt, speed.decode or (None if written else speed.prompt)


def _hours_of(parts: Sequence[tuple[int, float]]) -> tuple[float, str]:
    """Hours of so many tokens, each at its pace, and how."""
    timed = [(count, pace) for count, pace in parts if count and pace]
    hours = round(sum(count / pace for count, pace in timed) / 3600, 4)
    sides = " + ".join(f"{count:,} / {pace:,.3f}" for count, pace in timed)
    return hours, f"({sides or '0'}) s / 3,600 = {hours:,.4f} hours"


def _why_no_pace(machine: Machine, judged: Judged) -> Unread:
    """Why no hours are known, and what tells how long the load takes."""
    speed, needs, remedy = judged.speed, judged.needs, _TIME_IT
    why = "how fast it reads is not estimated for this kind of model"
    if speed is not None and speed.work is None and speed.decode is None:
        why = speed.how
    in_ram = needs is not None and needs.placement != "accelerator"
    if speed is not None and in_ram and machine.memory_bandwidth_bytes_per_second is None:
        where = "--measure" if machine.is_this_one else "`selfhost machine --measure` there"
        remedy = f"{where} measures the memory; or {_TIME_IT}"
    return Unread(fact="hours_per_day", reason=why, remedy=remedy)


def _with_energy(
    cost: LocalCost, load: Load, machine: Machine, judged: Judged, computers: Sequence[Any]
) -> LocalCost:
    """The same with the energy of the ends that keep up."""
    if cost.keeps_up is None and cost.hours_per_day_high is None:
        return cost
    watts, source = load.watts, "what you stated"
    if watts is None:
        watts, source = _rated_watts(machine, judged, computers)
    if watts is None:
        missing = Unread(fact="watts", reason=source, remedy=_METER)
        return cost.replace(unknown=(*cost.unknown, missing))
    values: dict[str, Any] = {}
    lines: list[str] = []
    for end, name, _ in _ENDS:
        hours = getattr(cost, f"hours_per_day_{end}")
        if hours is None or hours > HOURS_PER_DAY:
            continue
        spent = DAYS_PER_MONTH * hours * watts / 1000
        values[f"kwh_per_month_{end}"] = spent
        line = (
            f"energy, {name}: {DAYS_PER_MONTH} days × {hours:,.4f} hours × {units.plain(watts)} W"
            f" / 1,000 = {spent:,.4f} kWh"
        )
        if load.electricity_per_kwh is not None:
            bill = values[f"electricity_per_month_{end}"] = spent * load.electricity_per_kwh
            line += f", × {units.plain(load.electricity_per_kwh)} = {bill:,.4f}"
        lines.append(line)
    behind = Unread(fact="kwh_per_month_high", reason="it does not keep up")
    return cost.replace(
        **values,
        watts=watts,
        watts_source=source,
        # the dearest of the ends that keep up: the others are made alike
        arithmetic=(*cost.arithmetic, *lines[:1]),
        unknown=cost.unknown if cost.keeps_up else (*cost.unknown, behind),
    )


def _rated_watts(
    machine: Machine, judged: Judged, computers: Sequence[Any]
) -> tuple[float | None, str]:
    """The most that the computer or the accelerators that would work are rated for, and the source;
    None, and why it is not known.
    """
    for row in computers:
        if row["chip"] == (machine.cpu_model or "").lower():
            return row["watts"], row["source"]
    needs, cards = judged.needs, machine.accelerators or ()
    if needs is None or needs.placement != "accelerator":
        return None, "no rated power of its processor is known"
    watts, names = 0.0, []
    for number in shares_of(needs):
        name = cards[number].name if number < len(cards) else "the accelerator"
        rated = gpus.fact_of(name, "watts")
        if rated is None:
            return None, f"no rated power of {name} is known"
        watts += rated[1]
        names.append(name)
    named = " and ".join(dict.fromkeys(names))
    return watts, f"{named}, {gpus.source_of('watts')}; the rest of the computer comes on top"
