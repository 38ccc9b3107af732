"""What a stated load costs a month: by each API that is offered, and in hours and energy of
this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..catalogue.offers import Offer
from ..core import units
from ..core.records import Unread
from ..core.workload import Load
from ..machine import gpus
from ..machine.record import Machine
from ..needs.records import Needs
from ..verdict.costs import DAYS_PER_MONTH, LocalCost, MonthlyCost, OfferCost
from ..verdict.speed import PaceRange, Speed, shares_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "BY_TOKEN",
    "DAYS_PER_MONTH",
    "HOURS_PER_DAY",
    "LocalCost",
    "MonthlyCost",
    "OfferCost",
    "dearness",
    "monthly_cost",
    "tokens_of",
    "usd_per_month",
]

HOURS_PER_DAY = 24
# kinds of model that are used by the token; the others are paid by the minute of audio or by the
# image
BY_TOKEN = ("text", "vision", "embedding")
_METER = "--watts W takes what the computer draws at work, as a meter at the socket shows it"


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
) -> MonthlyCost:
    """The month of `load` for a model of that modality. `runs`: nothing but its speed keeps it from
    running on the machine.

    `needs` and `speed` are those of the place where it would lie. `ratings` is `common/power.toml`.
    `trains`: it is tuned there, and answers nobody.
    """
    if trains:
        return MonthlyCost(reason="a load in tokens a day does not apply to fine-tuning")
    if modality not in BY_TOKEN:
        work, unit = {
            "speech": ("speech", "minute of audio"),
            "image": ("image generation", "image"),
        }.get(modality, (modality, "request"))
        return MonthlyCost(reason=f"a load in tokens does not apply: {work} is paid by the {unit}")
    read, written = tokens_of(load, modality)
    return MonthlyCost(
        input_tokens_per_day=read,
        output_tokens_per_day=written,
        assumed_split=load.assumed_split and modality != "embedding",
        offers=tuple(_by_offer(offer, read, written) for offer in offers),
        here=(
            _here(load, read, written, machine, needs, speed, ratings)
            if runs and needs is not None
            else None
        ),
    )


def _by_offer(offer: Offer, read: int, written: int) -> OfferCost:
    price = usd_per_month(offer, read, written)
    line = None
    if price is not None:
        sides = [
            f"{number:,} × {units.dollars_exact(rate or 0)}"
            for number, rate in (
                (read, offer.input_usd_per_million_tokens),
                (written, offer.output_usd_per_million_tokens),
            )
            if number
        ]
        line = f"{DAYS_PER_MONTH} days × ({' + '.join(sides)}) / 1,000,000 = {units.dollars(price)}"
    return OfferCost(
        provider=offer.provider, model=offer.model, usd_per_month=price, arithmetic=line
    )


def _here(
    load: Load,
    read: int,
    written: int,
    machine: Machine,
    needs: Needs,
    speed: Speed | None,
    ratings: Mapping[str, Any],
) -> LocalCost:
    decode = speed.decode if speed else None
    if decode is None or round(decode.low, 3) <= 0:
        why = speed.how if speed else "how fast it reads is not estimated for this kind of model"
        return LocalCost(
            unknown=(
                Unread(fact="hours_per_day", reason=why, remedy="time a part of the load itself"),
            )
        )
    prompt = speed.prompt if speed else None
    slow, slow_line = _hours(read, written, decode, prompt, fast=False)
    fast, fast_line = _hours(read, written, decode, prompt, fast=True)
    pace = LocalCost(
        hours_per_day_low=fast,
        hours_per_day_high=slow,
        hours_are_bounds=prompt is None and read > 0,
        keeps_up=_keeps_up(slow, fast),
        arithmetic=(f"slow end: {slow_line}", f"fast end: {fast_line}"),
    )
    if pace.keeps_up is False:
        return pace
    if load.watts is not None:
        return _with_energy(pace, load, slow, fast, load.watts, load.watts, "what you stated")
    power = _rated(machine, needs, ratings)
    if isinstance(power, Unread):
        return pace.replace(unknown=(power,))
    return _with_energy(pace, load, slow, fast, *power)


def _keeps_up(slow: float, fast: float) -> bool | None:
    """Whether the hours of both ends, or of neither, are in a day; None where one end's are."""
    if slow <= HOURS_PER_DAY:
        return True
    return False if fast > HOURS_PER_DAY else None


def _with_energy(
    pace: LocalCost, load: Load, slow: float, fast: float, least: float, most: float, source: str
) -> LocalCost:
    """The same with the energy of the ends that keep up, at `least` to `most` watts."""
    rate = load.electricity_per_kwh
    energy: dict[str, float] = {}
    line = ""
    for end, name, hours, watts in (
        ("low", "fast end", fast, least),
        ("high", "slow end", slow, most),
    ):
        if hours <= HOURS_PER_DAY:
            spent = DAYS_PER_MONTH * round(hours, 2) * watts / 1000
            energy[f"kwh_per_month_{end}"] = spent
            line = (
                f"energy, {name}: {DAYS_PER_MONTH} days × {round(hours, 2):g} hours ×"
                f" {units.plain(watts)} W / 1,000 = {spent:,.2f} kWh"
            )
            if rate is not None:
                energy[f"electricity_per_month_{end}"] = spent * rate
                line += f", × {units.plain(rate)} = {spent * rate:,.2f}"
    behind = Unread(fact="kwh_per_month_high", reason="it does not keep up")
    # the dearer of the ends that keep up: the other is made alike
    return pace.replace(
        **energy,
        watts_low=least,
        watts_high=most,
        watts_source=source,
        arithmetic=(*pace.arithmetic, line),
        unknown=() if slow <= HOURS_PER_DAY else (behind,),
    )


def _hours(
    read: int, written: int, decode: PaceRange, prompt: PaceRange | None, *, fast: bool
) -> tuple[float, str]:
    """Hours a day at one end, and how. Where reading a prompt is not estimated it takes between
    nothing and as long as writing it.
    """
    writes = round(decode.high if fast else decode.low, 3)
    reads: float | None = None
    note = ""
    if prompt is not None:
        reads = round(prompt.high if fast else prompt.low, 3)
    elif not fast:
        reads = writes
    if prompt is None and read:
        note = ", reading in no time" if fast else ", reading no faster than writing, a bound"
    parts, seconds = [], 0.0
    for number, pace in ((read, reads), (written, writes)):
        if number and pace:
            parts.append(f"{number:,} / {pace:,.3f}".rstrip("0").rstrip("."))
            seconds += number / pace
    hours = seconds / 3600
    sides = " + ".join(parts) or "0"
    return hours, f"({sides}) s / 3,600 = {hours:,.2f} hours{note}"


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
