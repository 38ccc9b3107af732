"""What a stated load costs a month: by each API that is offered, in hours, energy and hardware on
this machine, and at what load the two cost the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..catalogue.offers import Offer
from ..core import units
from ..core.records import Record, Unread
from ..core.workload import Load
from ..machine import gpus
from ..machine.record import Machine
from ..needs.records import Needs
from ..verdict.costs import (
    DAYS_PER_MONTH,
    HOURS_PER_DAY,
    LocalCost,
    Meeting,
    MonthlyCost,
    OfferCost,
    ProposedCost,
)
from ..verdict.speed import PaceRange, Speed, shares_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "BY_TOKEN",
    "DAYS_PER_MONTH",
    "HOURS_PER_DAY",
    "LocalCost",
    "Meeting",
    "MonthlyCost",
    "OfferCost",
    "Proposal",
    "ProposedCost",
    "dearness",
    "monthly_cost",
    "tokens_of",
    "usd_per_month",
]

DAYS_PER_YEAR = 365
# assumed where none is stated: for how long a computer is written off in many bookkeepings
ASSUMED_LIFE_YEARS = 3.0
# kinds of model that are used by the token; the others are paid by the minute of audio or by the
# image
BY_TOKEN = ("text", "vision", "embedding")
_METER = "--watts W takes what the computer draws at work, as a meter at the socket shows it"
_TARIFF = "--electricity PRICE takes what a kWh costs you"
_TIME_IT = "time a part of the load itself"
# the ends of a speed, with what their lines are called
_ENDS = {"high": "slow end", "likely": "likely", "low": "fast end"}
# digits of a price in a line that a calculator repeats
_DIGITS = 12


class Proposal(Record):
    """A model that runs in the place of the one asked for. `offers` are of that model, `needs` and
    `speed` of the place where it would lie, `risks` as `ProposedCost` has them.
    """

    id: str
    name: str
    quantization: str | None
    offers: tuple[Offer, ...]
    needs: Needs
    speed: Speed | None
    risks: tuple[str, ...]


class _Work(Record):
    """A day's load as the model sees it: tokens read and written."""

    load: Load
    read: int
    written: int

    @property
    def tokens(self) -> int:
        return self.read + self.written


def tokens_of(load: Load, modality: str) -> tuple[int, int]:
    """Tokens read and written a day. What embeds writes none: of a load whose split is assumed
    it reads all.
    """
    read, written = load.input_tokens_per_day, load.output_tokens_per_day
    return (
        (read + written if load.assumed_split else read, 0)
        if modality == "embedding"
        else (read, written)
    )


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


def monthly_cost(
    load: Load,
    modality: str,
    offers: Sequence[Offer],
    machine: Machine,
    needs: Needs | None,
    speed: Speed | None,
    ratings: Mapping[str, Any],
    *,
    runs: bool,
    trains: bool = False,
    proposal: Proposal | None = None,
) -> MonthlyCost:
    """The month of `load` for a model of that modality. `runs`: nothing but its speed keeps it from
    running on the machine; where it does not run, `proposal` takes its place.

    `needs` and `speed` are those of the place where it would lie. `ratings` is `common/power.toml`.
    `trains`: it is tuned there, and answers nobody.
    """
    if trains:
        return MonthlyCost(reason="a load in tokens a day does not apply to fine-tuning")
    if modality not in BY_TOKEN:
        kind, unit = {
            "speech": ("speech", "minute of audio"),
            "image": ("image generation", "image"),
            "video": ("video generation", "second of video"),
            "music": ("music generation", "song"),
        }.get(modality, (modality, "request"))
        return MonthlyCost(reason=f"a load in tokens does not apply: {kind} is paid by the {unit}")
    read, written = tokens_of(load, modality)
    work = _Work(load=load, read=read, written=written)
    here = local = None
    if runs and needs is not None:
        here = local = _here(work, machine, needs, speed, ratings)
    elif proposal is not None:
        local = _here(work, machine, proposal.needs, proposal.speed, ratings)
    own = tuple(_by_offer(work, offer, local) for offer in offers)
    instead = None
    if here is None and local is not None and proposal is not None:
        instead = ProposedCost(
            id=proposal.id,
            name=proposal.name,
            quantization=proposal.quantization,
            offers=tuple(_by_offer(work, offer, local) for offer in proposal.offers),
            here=local,
            risks=proposal.risks,
        )
    return MonthlyCost(
        input_tokens_per_day=read,
        output_tokens_per_day=written,
        assumed_split=load.assumed_split and modality != "embedding",
        offers=own,
        here=here,
        instead=instead,
        currency_per_usd=load.currency_per_usd,
        meets_unknown=_why_no_meeting(work, local, (*own, *(instead.offers if instead else ()))),
    )


def _by_offer(work: _Work, offer: Offer, local: LocalCost | None) -> OfferCost:
    """`local` is the machine that the offer is set beside, None where none is."""
    price = usd_per_month(offer, work.read, work.written)
    line = None
    if price is not None:
        sides = [
            f"{number:,} × {units.dollars_exact(rate or 0)}"
            for number, rate in (
                (work.read, offer.input_usd_per_million_tokens),
                (work.written, offer.output_usd_per_million_tokens),
            )
            if number
        ]
        line = f"{DAYS_PER_MONTH} days × ({' + '.join(sides)}) / 1,000,000 = {units.dollars(price)}"
    return OfferCost(
        provider=offer.provider,
        model=offer.model,
        usd_per_month=price,
        arithmetic=line,
        meets=_meeting(work, price, local),
    )


def _why_no_meeting(
    work: _Work, local: LocalCost | None, offers: Sequence[OfferCost]
) -> Unread | None:
    """What is missing to set the offers that have a price beside the machine; None where nothing
    is.
    """
    if local is None or all(offer.usd_per_month is None for offer in offers):
        return None
    entry = next(
        (entry for entry in local.unknown if entry.fact in ("hours_per_day", "watts")), None
    )
    if entry is not None:
        return Unread(fact="meets", reason=entry.reason, remedy=entry.remedy)
    if work.load.electricity_per_kwh is None:
        return Unread(fact="meets", reason="no price of electricity is stated", remedy=_TARIFF)
    return None


def _meeting(work: _Work, usd: float | None, local: LocalCost | None) -> Meeting | None:
    """Where a month by that offer, at `usd` for this load, costs as much as one here."""
    tariff = work.load.electricity_per_kwh
    if local is None or usd is None or tariff is None or local.watts_high is None:
        return None
    rate = work.load.currency_per_usd
    by_api = _printed(usd / DAYS_PER_MONTH / work.tokens * 1e6)
    fixed = _hardware_a_day(local)
    values: dict[str, Any] = {}
    for end in _ENDS:
        hours = getattr(local, f"hours_per_day_{end}")
        if hours is None:
            continue
        watts = local.watts_low if end == "low" else local.watts_high
        energy = _printed(hours * (watts or 0) / 1000 * tariff / work.tokens * 1e6)
        saved = by_api * (rate or 1) - energy
        if saved <= 0:
            continue
        tokens = fixed / saved * 1e6
        values[f"tokens_per_day_{end}"] = tokens
        # most_tokens_per_day has its ends the other way round: the fast end does the most
        values[f"share_{end}"] = tokens * hours / (HOURS_PER_DAY * work.tokens)
        if fixed and ("arithmetic" not in values or end == "likely"):
            values["arithmetic"] = _meeting_line(local, by_api, rate, energy, tokens, end)
    return Meeting(
        **values,
        counts_hardware=local.hardware_price is not None,
        assumes_dollar=rate is None,
    )


def _hardware_a_day(local: LocalCost) -> float:
    """What the hardware costs a day over its life, in the tariff's currency; 0 where no price was
    stated.
    """
    if local.hardware_price is None or local.hardware_life_years is None:
        return 0.0
    return local.hardware_price / (local.hardware_life_years * DAYS_PER_YEAR)


def _meeting_line(
    local: LocalCost, by_api: float, rate: float | None, energy: float, tokens: float, end: str
) -> str:
    price, life = (
        units.plain(local.hardware_price or 0),
        units.plain(local.hardware_life_years or 0),
    )
    dollar = f" × {units.plain(rate)}" if rate not in (None, 1) else ""
    return (
        f"meets, {_ENDS[end]}: {price} / ({life} × {DAYS_PER_YEAR} days) /"
        f" ({units.plain(by_api)}{dollar} - {units.plain(energy)}) × 1,000,000 ="
        f" {tokens:,.2f} tokens a day"
    )


def _printed(value: float) -> float:
    """The value as a line shows it, so that what follows from it is what a calculator makes."""
    return float(f"{value:.{_DIGITS}g}")


def _here(
    work: _Work, machine: Machine, needs: Needs, speed: Speed | None, ratings: Mapping[str, Any]
) -> LocalCost:
    return _with_hardware(_at_work(work, machine, needs, speed, ratings), work.load)


def _at_work(
    work: _Work, machine: Machine, needs: Needs, speed: Speed | None, ratings: Mapping[str, Any]
) -> LocalCost:
    """Hours and energy, without what the computer cost."""
    prompt, decode = _paces(work, speed)
    if decode is None or round(decode.low, 3) <= 0:
        why = "how fast it reads is not estimated for this kind of model"
        if speed is not None and speed.work is None:
            why = speed.how
        entry = Unread(fact="hours_per_day", reason=why, remedy=_how_to_time(machine, needs, speed))
        return LocalCost(unknown=(entry,))
    hours: dict[str, float] = {}
    lines: dict[str, str] = {}
    for end in _ENDS:
        taken = _hours(work, decode, prompt, end)
        if taken is not None:
            hours[end], lines[end] = taken
    day = HOURS_PER_DAY * work.tokens
    by_end: dict[str, Any] = {}
    for end, value in hours.items():
        by_end[f"hours_per_day_{end}"] = value
        by_end[f"most_tokens_per_day_{_turned(end)}"] = day / value if value else None
    pace = LocalCost(
        **by_end,
        hours_are_bounds=prompt is None and work.read > 0,
        keeps_up=_keeps_up(hours["high"], hours["low"]),
        arithmetic=tuple(f"{_ENDS[end]}: {line}" for end, line in lines.items()),
    )
    if work.load.watts is not None:
        stated = work.load.watts
        return _with_energy(pace, work.load, hours, stated, stated, "what you stated")
    power = _rated(machine, needs, ratings)
    if isinstance(power, Unread):
        return pace.replace(unknown=(power,))
    return _with_energy(pace, work.load, hours, *power)


def _paces(work: _Work, speed: Speed | None) -> tuple[PaceRange | None, PaceRange | None]:
    """How fast it reads and writes; what only reads has no other pace."""
    if speed is None:
        return None, None
    writes = speed.decode
    return speed.prompt, (speed.prompt if writes is None and not work.written else writes)


def _turned(end: str) -> str:
    """The low end of the hours is the high end of what is done in them."""
    return {"low": "high", "high": "low"}.get(end, end)


def _how_to_time(machine: Machine, needs: Needs, speed: Speed | None) -> str:
    """What tells how long the load takes, where no speed is estimated."""
    unread = machine.memory_bandwidth_bytes_per_second is None
    if speed is None or needs.placement == "accelerator" or not unread:
        return _TIME_IT
    where = "--measure" if machine.is_this_one else "`selfhost machine --measure` there"
    return f"{where} measures the memory; or {_TIME_IT}"


def _keeps_up(slow: float, fast: float) -> bool | None:
    """Whether the hours of both ends, or of neither, are in a day; None where one end's are."""
    if slow <= HOURS_PER_DAY:
        return True
    return False if fast > HOURS_PER_DAY else None


def _with_hardware(local: LocalCost, load: Load) -> LocalCost:
    """The same with what the computer cost, spread over its life."""
    price = load.hardware_price
    if price is None:
        return local
    life = load.hardware_life_years or ASSUMED_LIFE_YEARS
    share = DAYS_PER_MONTH * price / (life * DAYS_PER_YEAR)
    line = (
        f"hardware: {DAYS_PER_MONTH} days × {units.plain(price)} /"
        f" ({units.plain(life)} × {DAYS_PER_YEAR} days) = {share:,.2f}"
    )
    return local.replace(
        hardware_per_month=share,
        hardware_price=price,
        hardware_life_years=life,
        hardware_life_assumed=load.hardware_life_years is None,
        arithmetic=(*local.arithmetic, line),
    )


def _with_energy(
    pace: LocalCost,
    load: Load,
    hours: Mapping[str, float],
    least: float,
    most: float,
    source: str,
) -> LocalCost:
    """The same with the energy of the ends that keep up, at `least` watts at the fast end and
    `most` at the others.
    """
    rate = load.electricity_per_kwh
    energy: dict[str, float] = {}
    lines: list[str] = []
    for end, taken in hours.items():
        if taken > HOURS_PER_DAY:
            continue
        watts = least if end == "low" else most
        rounded = round(taken, _places(taken))
        spent = DAYS_PER_MONTH * rounded * watts / 1000
        energy[f"kwh_per_month_{end}"] = spent
        line = (
            f"energy, {_ENDS[end]}: {DAYS_PER_MONTH} days × {_written(taken)} hours ×"
            f" {units.plain(watts)} W / 1,000 = {_written(spent)} kWh"
        )
        if rate is not None:
            energy[f"electricity_per_month_{end}"] = spent * rate
            line += f", × {units.plain(rate)} = {_written(spent * rate)}"
        lines.append(line)
    behind = Unread(fact="kwh_per_month_high", reason="it does not keep up")
    # the dearest of the ends that keep up: the others are made alike
    return pace.replace(
        **energy,
        watts_low=least,
        watts_high=most,
        watts_source=source,
        arithmetic=(*pace.arithmetic, *lines[:1]),
        unknown=() if hours["high"] <= HOURS_PER_DAY else (behind,),
    )


def _places(value: float) -> int:
    """Decimals that show four digits of it, at least two."""
    return 2 if value >= 10 or value <= 0 else 3 - int(f"{value:.3e}".partition("e")[2])


def _written(value: float) -> str:
    """`1.754`, `0.0005012`, `24.50`: four digits or more, never an exponent."""
    return f"{value:,.{_places(value)}f}"


def _hours(
    work: _Work, decode: PaceRange, prompt: PaceRange | None, end: str
) -> tuple[float, str] | None:
    """Hours a day at one end of the hours, and how. Where reading a prompt is not estimated it
    takes between nothing and as long as writing it, and nothing between is likely: None.
    """
    of_pace = _turned(end)
    writes = round(getattr(decode, of_pace), 3)
    reads: float | None = None
    note = ""
    if prompt is not None:
        reads = round(getattr(prompt, of_pace), 3)
    elif end == "high":
        reads = writes
    if prompt is None and work.read:
        if end == "likely":
            return None
        note = (
            ", reading in no time" if end == "low" else ", reading no faster than writing, a bound"
        )
    parts, seconds = [], 0.0
    for number, pace in ((work.read, reads), (work.written, writes)):
        if number and pace:
            parts.append(f"{number:,} / {pace:,.3f}".rstrip("0").rstrip("."))
            seconds += number / pace
    hours = seconds / 3600
    sides = " + ".join(parts) or "0"
    return hours, f"({sides}) s / 3,600 = {_written(hours)} hours{note}"


def _rated(
    machine: Machine, needs: Needs, ratings: Mapping[str, Any]
) -> tuple[float, float, str] | Unread:
    """Watts at least and at most of the processors that would work, and their source."""

    if machine.scope == "vm":
        return _unrated(
            "it is a virtual machine, whose host's power is not read; a rented one is paid by the"
            " hour"
        )
    for row in ratings["computer"]:
        if row["chip"] == (machine.cpu_model or "").lower():
            return row["watts"], row["watts"], row["source"]
    devices, used = machine.accelerators or (), shares_of(needs)
    low = high = 0.0
    names, sources = [], []
    for number in used:
        board = gpus.board_watts(devices[number].name) if number < len(devices) else None
        if board is None:
            name = devices[number].name if number < len(devices) else "the accelerator"
            return _unrated(f"no rated power of {name} is known")
        low, high = low + board[0], high + board[1]
        names.append(devices[number].name)
        sources.append(gpus.source_of("watts"))
    if needs.placement != "accelerator":
        watts = _rated_processor(machine, ratings)
        if isinstance(watts, Unread):
            return watts
        low, high = low + watts, high + watts
        names.append(machine.cpu_model or "")
        sources.append(ratings["cpu_source"])
    source = f"{' and '.join(dict.fromkeys(names))}, {'; '.join(dict.fromkeys(sources))}"
    return low, high, f"{source}; the rest of the computer comes on top"


def _rated_processor(machine: Machine, ratings: Mapping[str, Any]) -> float | Unread:
    """Watts of the machine's processor, all of which works."""
    if machine.scope == "container":
        return _unrated(
            "a container has a share of its host's processor, and what the rest of it does is not"
            " known"
        )
    if machine.cpu_model is None:
        return _unrated("its processor is not named")
    wanted = _processor(machine.cpu_model)
    for row in ratings["cpu"]:
        if any(name.lower() == wanted for name in row["names"]):
            watts: float = row["watts"]
            return watts
    return _unrated(f"no rated power of {machine.cpu_model} is known")


def _unrated(reason: str) -> Unread:
    return Unread(fact="watts", reason=reason, remedy=_METER)


def _processor(model: str) -> str:
    """`13th Gen Intel(R) Core(TM) i9-13900K` -> `intel core i9-13900k`, as the table spells it,
    in lower case.
    """
    text = (
        model.lower()
        .partition(" @ ")[0]
        .replace("(r)", " ")
        .replace("(tm)", " ")
        .partition(" with radeon")[0]
        .partition(" w/ radeon")[0]
    )
    words = text.split()
    if len(words) > 2 and words[1] == "gen":
        words = words[2:]
    return " ".join(
        word for word in words if word not in ("cpu", "processor") and not word.endswith("-core")
    )
