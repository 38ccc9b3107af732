"""What a stated load costs a month: by each API that is offered, in hours, energy and hardware on
this machine or with what is proposed in the model's place, and at what load the two cost the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer
from ..catalogue.quality import quality_for
from ..core import units
from ..core.records import Record, Unread
from ..core.workload import Load, Workload
from ..judge.costs import (
    DAYS_PER_MONTH,
    HOURS_PER_DAY,
    LocalCost,
    Meeting,
    MonthlyCost,
    OfferCost,
    ProposedCost,
)
from ..judge.judging import judge
from ..judge.pace.speed import PaceRange, Speed, shares_of
from ..judge.question import ask
from ..judge.record import Alternative, Judged, Outcome, Question
from ..machine import gpus
from ..machine.record import Machine
from ..needs.records import Needs
from .remarks import risks

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

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
_TARIFF = "--electricity PRICE takes what a kWh costs you"
_TIME_IT = "time a part of the load itself"
# the ends of the hours, with what their lines are called, and the end of the pace that each is of
_ENDS = {"high": "slow end", "likely": "likely", "low": "fast end"}
_PACE_OF = {"high": "low", "likely": "likely", "low": "high"}
# digits of a price in a line that a calculator repeats
_DIGITS = 12


class _Work(Record):
    """A day's load as the model sees it: tokens read and written, and the machine that does it."""

    load: Load
    read: int
    written: int
    machine: Machine
    ratings: Mapping[str, Any]

    @property
    def tokens(self) -> int:
        return self.read + self.written


# ------------------------------------------------------------------ the month


class Costed(Record):
    """A question with a stated load: `asked` is its workload before defaults were filled in,
    `offers` are those of the model.
    """

    question: Question
    asked: Workload
    machine: Machine
    offers: tuple[Offer, ...]


def month(
    costed: Costed,
    catalogue: Catalogue,
    judged: Judged,
    others: Sequence[Alternative],
    offers_for: Callable[[Question, Judged], tuple[Offer, ...]],
) -> MonthlyCost | None:
    """What the load costs by the offers and on the machine, or where the model does not run there,
    with the first of `others` that does. None where no load was stated.
    """
    load, machine, own = costed.asked.load, costed.machine, costed.question.spec
    if load is None:
        return None
    if costed.asked.task == "finetune":
        return MonthlyCost(reason="a load in tokens a day does not apply to fine-tuning")
    ratings = catalogue.common("power")
    # nothing but its speed keeps it from running
    runs = all(
        finding.outcome is not Outcome.FAIL or finding.check == "speed"
        for finding in judged.findings
    )

    needs = judged.needs if runs else None
    cost = monthly_cost(load, own.modality, costed.offers, machine, needs, judged.speed, ratings)
    if runs or not others or cost.reason is not None:
        return cost
    return _with_proposal(cost, load, costed, catalogue, others[0], offers_for)


def _with_proposal(
    cost: MonthlyCost,
    load: Load,
    costed: Costed,
    catalogue: Catalogue,
    other: Alternative,
    offers_for: Callable[[Question, Judged], tuple[Offer, ...]],
) -> MonthlyCost:
    """The cost with that of what is proposed in the place of the model, as it was proposed."""
    own, machine, ratings = costed.question.spec, costed.machine, catalogue.common("power")
    spec, workload = (
        own,
        costed.asked.replace(runtime=other.runtime, format=None, quantization=other.quantization),
    )
    if other.id != own.id:
        spec, workload = catalogue.spec(other.id), workload.replace(draft=None, adapter=None)
    question = ask(spec, workload, catalogue, machine)
    judged = judge(question, machine)
    needs, speed = judged.needs, judged.speed
    if needs is None:
        return cost
    # the model's own offers are set beside the machine with the other model
    beside = monthly_cost(load, own.modality, costed.offers, machine, needs, speed, ratings)
    offers = () if spec.id == own.id else offers_for(question, judged)
    instead = monthly_cost(load, own.modality, offers, machine, needs, speed, ratings)
    judged_in = question.workload
    quality = quality_for(judged_in, catalogue, spec)
    assert instead.here is not None
    return beside.replace(
        here=None,
        meets_unknown=beside.meets_unknown or instead.meets_unknown,
        instead=ProposedCost(
            id=spec.id,
            name=spec.name,
            quantization=judged_in.quantization,
            offers=instead.offers,
            here=instead.here,
            # what may be worse than with the one asked for
            risks=risks(own, spec, quality, judged_in.context_tokens, costed.offers),
        ),
    )


def monthly_cost(
    load: Load,
    modality: str,
    offers: Sequence[Offer],
    machine: Machine,
    needs: Needs | None,
    speed: Speed | None,
    ratings: Mapping[str, Any],
) -> MonthlyCost:
    """The month of `load` for a model of that modality: by each offer, and on the machine, where
    `needs` and `speed` are those of the place where it would lie; `needs` is None where it does not
    run. `ratings` is `common/power.toml`.
    """
    if modality not in BY_TOKEN:
        kind, unit = _PAID_BY.get(modality, (modality, "request"))
        return MonthlyCost(reason=f"a load in tokens does not apply: {kind} is paid by the {unit}")
    read, written = tokens_of(load, modality)
    work = _Work(load=load, read=read, written=written, machine=machine, ratings=ratings)
    local = _local_cost(work, needs, speed) if needs is not None else None
    costs = tuple(_by_offer(work, offer, local) for offer in offers)
    return MonthlyCost(
        input_tokens_per_day=read,
        output_tokens_per_day=written,
        assumed_split=load.assumed_split and modality != "embedding",
        offers=costs,
        here=local,
        currency_per_usd=load.currency_per_usd,
        meets_unknown=_why_no_meeting(load, local, costs),
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


def usd_per_month(offer: Offer, read: int, written: int) -> float | None:
    """US dollars for `read` tokens in and `written` out each day of a month; None where a price
    that counts is not known.
    """
    into, out = offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens
    if (into is None and read) or (out is None and written):
        return None
    return DAYS_PER_MONTH * (read * (into or 0) + written * (out or 0)) / 1e6


def dearness(load: Load, modality: str, offer: Offer) -> float:
    """What offers of one model are ordered by, the cheapest for that load first and unknown
    prices last.
    """
    price = usd_per_month(offer, *tokens_of(load, modality)) if modality in BY_TOKEN else 0.0
    return float("inf") if price is None else price


def _by_offer(work: _Work, offer: Offer, local: LocalCost | None) -> OfferCost:
    """`local` is the machine that the offer is set beside, None where none is."""
    price = usd_per_month(offer, work.read, work.written)
    sides = [
        f"{number:,} × {units.dollars_exact(rate or 0)}"
        for number, rate in (
            (work.read, offer.input_usd_per_million_tokens),
            (work.written, offer.output_usd_per_million_tokens),
        )
        if number
    ]
    line = f"{DAYS_PER_MONTH} days × ({' + '.join(sides)}) / 1,000,000 = "
    return OfferCost(
        provider=offer.provider,
        model=offer.model,
        usd_per_month=price,
        arithmetic=None if price is None else line + units.dollars(price),
        meets=_meeting(work, price, local),
    )


def _meeting(work: _Work, usd: float | None, local: LocalCost | None) -> Meeting | None:
    """Where a month by that offer, at `usd` for this load, costs as much as one here."""
    tariff, rate = work.load.electricity_per_kwh, work.load.currency_per_usd
    if local is None or usd is None or tariff is None or local.watts_high is None:
        return None
    by_api = _printed(usd / DAYS_PER_MONTH / work.tokens * 1e6)
    price, life = local.hardware_price or 0.0, local.hardware_life_years or ASSUMED_LIFE_YEARS
    # what the hardware costs a day over its life
    fixed = price / (life * DAYS_PER_YEAR)
    dollar = "" if rate in (None, 1) else f" × {units.plain(rate)}"
    values: dict[str, Any] = {}
    lines = {}
    for end, name in _ENDS.items():
        hours = getattr(local, f"hours_per_day_{end}")
        energy = _printed(_kwh_per_day(local, end) * tariff / work.tokens * 1e6)
        saved = by_api * (rate or 1) - energy
        if hours is None or saved <= 0:
            continue
        tokens = fixed / saved * 1e6
        values[f"tokens_per_day_{end}"] = tokens
        # most_tokens_per_day has its ends the other way round: the fast end does the most
        values[f"share_{end}"] = tokens * hours / (HOURS_PER_DAY * work.tokens)
        lines[end] = (
            f"meets, {name}: {units.plain(price)} / ({units.plain(life)} × {DAYS_PER_YEAR} days) /"
            f" ({units.plain(by_api)}{dollar} - {units.plain(energy)}) × 1,000,000 ="
            f" {tokens:,.2f} tokens a day"
        )
    shown = (lines[end] for end in ("likely", "high", "low") if fixed and end in lines)
    return Meeting(
        **values,
        counts_hardware=local.hardware_price is not None,
        assumes_dollar=rate is None,
        arithmetic=next(shown, None),
    )


def _kwh_per_day(local: LocalCost, end: str) -> float:
    hours: float = getattr(local, f"hours_per_day_{end}") or 0
    watts = local.watts_low if end == "low" else local.watts_high
    return hours * (watts or 0) / 1000


def _printed(value: float) -> float:
    """The value as a line shows it, so that what follows from it is what a calculator makes."""
    return float(f"{value:.{_DIGITS}g}")


def _why_no_meeting(
    load: Load, local: LocalCost | None, offers: Sequence[OfferCost]
) -> Unread | None:
    """What is missing to set the offers that have a price beside the machine; None where nothing
    is.
    """
    if local is None or all(offer.usd_per_month is None for offer in offers):
        return None
    for entry in local.unknown:
        if entry.fact in ("hours_per_day", "watts"):
            return entry.replace(fact="meets")
    if load.electricity_per_kwh is None:
        return Unread(fact="meets", reason="no price of electricity is stated", remedy=_TARIFF)
    return None


# ------------------------------------------------------------------ here


def _local_cost(work: _Work, needs: Needs, speed: Speed | None) -> LocalCost:
    """Hours, energy and hardware on the machine."""
    # what only reads has no other pace
    prompt = speed.prompt if speed is not None else None
    decode = speed.decode if speed is not None else None
    decode = prompt if decode is None and not work.written else decode
    if decode is None or round(decode.low, 3) <= 0:
        local = LocalCost(unknown=(_no_pace(work.machine, needs, speed),))
    else:
        local = _with_energy(_hours(work, decode, prompt), work, needs)
    price = work.load.hardware_price
    if price is None:
        return local
    life = work.load.hardware_life_years or ASSUMED_LIFE_YEARS
    share = DAYS_PER_MONTH * price / (life * DAYS_PER_YEAR)
    line = (
        f"hardware: {DAYS_PER_MONTH} days × {units.plain(price)} /"
        f" ({units.plain(life)} × {DAYS_PER_YEAR} days) = {share:,.2f}"
    )
    return local.replace(
        hardware_per_month=share,
        hardware_price=price,
        hardware_life_years=life,
        hardware_life_assumed=work.load.hardware_life_years is None,
        arithmetic=(*local.arithmetic, line),
    )


def _no_pace(machine: Machine, needs: Needs, speed: Speed | None) -> Unread:
    """Why no hours are known, and what tells how long the load takes."""
    why = "how fast it reads is not estimated for this kind of model"
    if speed is not None and speed.work is None:
        why = speed.how
    remedy, is_read = _TIME_IT, machine.memory_bandwidth_bytes_per_second is not None
    if speed is not None and needs.placement != "accelerator" and not is_read:
        where = "--measure" if machine.is_this_one else "`selfhost machine --measure` there"
        remedy = f"{where} measures the memory; or {_TIME_IT}"
    return Unread(fact="hours_per_day", reason=why, remedy=remedy)


def _hours(work: _Work, decode: PaceRange, prompt: PaceRange | None) -> LocalCost:
    """Hours a day at each end, and what is done in a day of them. Where reading a prompt is not
    estimated it takes between nothing and as long as writing it, and nothing between is likely.
    """
    values: dict[str, Any] = {}
    lines = []
    is_bounded = prompt is None and work.read > 0
    for end, name in _ENDS.items():
        if is_bounded and end == "likely":
            continue
        pace, note = _PACE_OF[end], ""
        writes = round(getattr(decode, pace), 3)
        reads = round(getattr(prompt, pace), 3) if prompt is not None else None
        if is_bounded and end == "high":
            reads, note = writes, ", reading no faster than writing, a bound"
        elif is_bounded:
            note = ", reading in no time"
        hours, line = _hours_of((work.read, reads), (work.written, writes))
        lines.append(f"{name}: {line}{note}")
        values[f"hours_per_day_{end}"] = hours
        most = HOURS_PER_DAY * work.tokens / hours if hours else None
        values[f"most_tokens_per_day_{pace}"] = most
    keeps_up = values["hours_per_day_high"] <= HOURS_PER_DAY
    is_too_slow = values["hours_per_day_low"] > HOURS_PER_DAY
    return LocalCost(
        **values,
        hours_are_bounds=is_bounded,
        # None where the range does not tell
        keeps_up=keeps_up or (False if is_too_slow else None),
        arithmetic=tuple(lines),
    )


def _hours_of(*parts: tuple[int, float | None]) -> tuple[float, str]:
    """Hours of so many tokens, each at its pace, and how; what has no pace takes none."""
    timed = [(tokens, pace) for tokens, pace in parts if tokens and pace]
    hours = sum(tokens / pace for tokens, pace in timed) / 3600
    sides = [f"{tokens:,} / {pace:,.3f}".rstrip("0").rstrip(".") for tokens, pace in timed]
    return hours, f"({' + '.join(sides) or '0'}) s / 3,600 = {_written(hours)} hours"


def _with_energy(pace: LocalCost, work: _Work, needs: Needs) -> LocalCost:
    """The same with the energy of the ends that keep up, at the least watts at the fast end and the
    most at the others.
    """
    stated, rate = work.load.watts, work.load.electricity_per_kwh
    power = (stated, stated, "what you stated") if stated is not None else _rated(work, needs)
    if isinstance(power, str):
        return pace.replace(unknown=(Unread(fact="watts", reason=power, remedy=_METER),))
    least, most, source = power
    values: dict[str, float] = {}
    lines = []
    for end, name in _ENDS.items():
        hours = getattr(pace, f"hours_per_day_{end}")
        if hours is None or hours > HOURS_PER_DAY:
            continue
        watts = least if end == "low" else most
        spent = DAYS_PER_MONTH * round(hours, _places(hours)) * watts / 1000
        values[f"kwh_per_month_{end}"] = spent
        line = (
            f"energy, {name}: {DAYS_PER_MONTH} days × {_written(hours)} hours ×"
            f" {units.plain(watts)} W / 1,000 = {_written(spent)} kWh"
        )
        if rate is not None:
            values[f"electricity_per_month_{end}"] = spent * rate
            line += f", × {units.plain(rate)} = {_written(spent * rate)}"
        lines.append(line)
    behind = Unread(fact="kwh_per_month_high", reason="it does not keep up")
    # the dearest of the ends that keep up: the others are made alike
    return pace.replace(
        **values,
        watts_low=least,
        watts_high=most,
        watts_source=source,
        arithmetic=(*pace.arithmetic, *lines[:1]),
        unknown=() if pace.keeps_up else (behind,),
    )


def _places(value: float) -> int:
    """Decimals that show four digits of it, at least two."""
    return 2 if value >= 10 or value <= 0 else 3 - int(f"{value:.3e}".partition("e")[2])


def _written(value: float) -> str:
    """`1.754`, `0.0005012`, `24.50`: four digits or more, never an exponent."""
    return f"{value:,.{_places(value)}f}"


# ------------------------------------------------------------------ rated power


def _rated(work: _Work, needs: Needs) -> tuple[float, float, str] | str:
    """Watts at least and at most of the processors that would work, and their source; why they are
    not known.
    """
    machine, ratings = work.machine, work.ratings
    if machine.scope == "vm":
        return (
            "it is a virtual machine, whose host's power is not read; a rented one is paid by the"
            " hour"
        )
    for row in ratings["computer"]:
        if row["chip"] == (machine.cpu_model or "").lower():
            return row["watts"], row["watts"], row["source"]
    rated = list(_rated_parts(machine, needs, ratings))
    missing = next((why for _, watts, why in rated if watts is None), None)
    if missing is not None:
        return missing
    low = sum((watts[0] for _, watts, _ in rated if watts is not None), 0.0)
    high = sum((watts[1] for _, watts, _ in rated if watts is not None), 0.0)
    names = " and ".join(dict.fromkeys(name for name, _, _ in rated))
    sources = "; ".join(dict.fromkeys(source for _, _, source in rated))
    return low, high, f"{names}, {sources}; the rest of the computer comes on top"


def _rated_parts(
    machine: Machine, needs: Needs, ratings: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[float, float] | None, str]]:
    """Each processor that would work, its watts at least and at most, and their source; without
    watts why they are not known.
    """
    cards, cpu = machine.accelerators or (), machine.cpu_model
    for number in shares_of(needs):
        name = cards[number].name if number < len(cards) else "the accelerator"
        watts = gpus.board_watts(name) if number < len(cards) else None
        source = gpus.source_of("watts") if watts else f"no rated power of {name} is known"
        yield name, watts, source
    if needs.placement == "accelerator":
        return
    if machine.scope == "container":
        yield "", None, _OF_CONTAINER
    elif cpu is None:
        yield "", None, "its processor is not named"
    else:
        rows = (row for row in ratings["cpu"] if _processor(cpu) in map(str.lower, row["names"]))
        row = next(rows, None)
        if row is None:
            yield cpu, None, f"no rated power of {cpu} is known"
        else:
            yield cpu, (row["watts"], row["watts"]), ratings["cpu_source"]


_OF_CONTAINER = (
    "a container has a share of its host's processor, and what the rest of it does is not known"
)


def _processor(model: str) -> str:
    """`13th Gen Intel(R) Core(TM) i9-13900K` -> `intel core i9-13900k`, as the table spells it,
    in lower case.
    """
    text = model.lower().partition(" @ ")[0].replace("(r)", " ").replace("(tm)", " ")
    words = text.partition(" with radeon")[0].partition(" w/ radeon")[0].split()
    if len(words) > 2 and words[1] == "gen":
        words = words[2:]
    aside = ("cpu", "processor")
    return " ".join(word for word in words if word not in aside and not word.endswith("-core"))
