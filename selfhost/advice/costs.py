"""What a stated load costs a month: by each API that is offered, and in hours and energy here."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.offers import Offer
from ..core.records import Record, Unread
from ..core.workload import Load
from ..judge.pace.speed import PaceRange, Range
from ..judge.record import Judged, Outcome
from ..machine.record import Machine

DAYS_PER_MONTH = 30
HOURS_PER_DAY = 24
# kinds of model that are used and paid by the token
BY_TOKEN = ("text", "vision", "embedding")
_TIME_IT = "time a part of the load itself"


class OfferCost(Record):
    """A month of the load by one offer; None where its price is not known."""

    provider: str
    model: str
    usd_per_month: float | None


class LocalCost(Record):
    """The same load on this machine, with as many requests at once as were asked for. A None has
    its reason in `unknown`, but for what was not asked.

    `hours_per_day` are those that the estimated speed takes, more than 24 where it does not keep
    up; `keeps_up` is None where the range does not tell. Energy is that of at most all hours at the
    `watts` that the owner measured; `electricity_per_month` is in the currency of the price.
    """

    hours_per_day: PaceRange | None = None
    keeps_up: bool | None = None
    watts: float | None = None
    kwh_per_month: PaceRange | None = None
    electricity_per_month: PaceRange | None = None
    unknown: tuple[Unread, ...] = ()


class MonthlyCost(Record):
    """Both ways beside each other. `reason` says why a load in tokens does not apply; then
    tokens, offers and `here` are empty. `here` is None where the model does not run.
    """

    input_tokens_per_day: int | None = None
    output_tokens_per_day: int | None = None
    assumed_split: bool = False
    days_per_month: int = DAYS_PER_MONTH
    offers: tuple[OfferCost, ...] = ()
    here: LocalCost | None = None
    reason: str | None = None


def month(load: Load, offers: Sequence[Offer], judged: Judged, machine: Machine) -> MonthlyCost:
    """What the load costs by these offers, and on the machine where the model runs there."""
    modality = judged.question.spec.modality
    if judged.question.workload.task == "finetune":
        return MonthlyCost(reason="a load in tokens a day does not apply to fine-tuning")
    if modality not in BY_TOKEN:
        return MonthlyCost(reason=f"a load in tokens does not apply to models of {modality}")
    read, written = load.input_tokens_per_day, load.output_tokens_per_day
    if modality == "embedding":
        # it writes nothing: of a load whose split is assumed it reads all
        read, written = read + written * load.assumed_split, 0
    bills = (
        OfferCost(
            provider=offer.provider,
            model=offer.model,
            usd_per_month=_usd_per_month(offer, read, written),
        )
        for offer in offers
    )
    # nothing but its speed keeps it from running
    fails = any(each.outcome is Outcome.FAIL and each.check != "speed" for each in judged.findings)
    runs = judged.needs is not None and not fails
    return MonthlyCost(
        input_tokens_per_day=read,
        output_tokens_per_day=written,
        assumed_split=load.assumed_split and modality != "embedding",
        offers=tuple(bills),
        here=_local_cost(load, read, written, machine, judged) if runs else None,
    )


def _usd_per_month(offer: Offer, read: int, written: int) -> float | None:
    rates = offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens
    billed = [*zip((read, written), rates, strict=True)]
    if any(tokens and rate is None for tokens, rate in billed):
        return None
    return DAYS_PER_MONTH * sum(tokens * (rate or 0) for tokens, rate in billed) / 1e6


def _local_cost(load: Load, read: int, written: int, machine: Machine, judged: Judged) -> LocalCost:
    speed = judged.speed
    # what only reads has no other pace
    prompt, decode = (speed.prompt, speed.decode) if speed is not None else (None, None)
    decode = decode or (None if written else prompt)
    if decode is None or round(decode.low, 3) <= 0 or (prompt is None and read > 0):
        return LocalCost(unknown=(_why_no_pace(machine, judged),))
    # of several sequences at once all together write so much
    writes = speed.parallel_total if speed is not None else None
    times = (prompt or decode).seconds, (writes or decode).seconds
    high, likely, low = times[0] * (read / 3600) + times[1] * (written / 3600)
    is_sure = high <= HOURS_PER_DAY or low > HOURS_PER_DAY
    local = LocalCost(
        hours_per_day=PaceRange.of((low, likely, high)),
        keeps_up=high <= HOURS_PER_DAY if is_sure else None,
    )
    return local if load.watts is None else _with_energy(local, Range(low, likely, high), load)


def _with_energy(local: LocalCost, hours: Range, load: Load) -> LocalCost:
    watts, price = load.watts or 0.0, load.electricity_per_kwh
    hours = Range(*(min(end, HOURS_PER_DAY) for end in hours))
    kwh = hours * (DAYS_PER_MONTH * watts / 1000)
    return local.replace(
        watts=watts,
        kwh_per_month=PaceRange.of(kwh),
        electricity_per_month=None if price is None else PaceRange.of(kwh * price),
    )


def _why_no_pace(machine: Machine, judged: Judged) -> Unread:
    speed, remedy = judged.speed, _TIME_IT
    why = "how fast it reads is not estimated for this kind of model"
    if speed is not None and speed.work is None and speed.decode is None:
        why = speed.how
    in_ram = judged.placement in ("host", "split")
    if speed is not None and in_ram and machine.memory_bandwidth_bytes_per_second is None:
        where = "--measure" if machine.is_this_one else "`selfhost machine --measure` there"
        remedy = f"{where} measures the memory; or {_TIME_IT}"
    return Unread(fact="hours_per_day", reason=why, remedy=remedy)
