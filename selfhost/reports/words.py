"""Words and lines that the reports of models share: the answer, the offers, the blocks they are
made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..catalogue.offers import Offer
from ..core import units
from ..core.workload import INPUT_PER_OUTPUT_TOKEN, Workload
from ..machine.record import Machine
from ..needs.records import MemoryNeed, Needs
from ..verdict.record import Answer, Finding, Outcome, Route, Verdict
from .layout import Blank, Block, Column, Paragraph, Span, Table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..advice.costs import LocalCost, MonthlyCost
    from ..catalogue.openness import Row

# what decides comes first; the other findings are rows only where they are not `pass`
DECIDING = ("memory", "accelerator", "disk", "speed")
MACHINE = (*DECIDING, "context", "cpu", "runtime")
ORDER = (*MACHINE, "weights", "license", "openness")
WHY_NOT = {
    "memory": "too little memory", "accelerator": "no accelerator that suits",
    "disk": "no place on disk", "speed": "too slow",
    "context": "too long a context", "cpu": "the CPU does not suit",
    "runtime": "no runtime loads it",
    "weights": "its weights are not published", "license": "its license forbids it",
    "openness": "not open enough",
    # by the reason's code where the check alone does not say it
    "license-not-accepted": "its license is not among those asked for",
}  # fmt: skip
LEAVES = {
    "speech": "the audio and its transcript",
    "vision": "prompts, images and answers",
    "image": "prompts and images",
    "embedding": "the texts",
}
PLACED = {
    "host": ", in RAM",
    "accelerator": ", on the accelerator",
    "split": ", on the accelerator and in RAM",
}
SHOWN_OFFERS = 4
OLD_PRICE_DAYS = 91
PRICE_COLUMNS = (
    ("input_usd_per_million_tokens", "input"),
    ("output_usd_per_million_tokens", "output"),
    ("usd_per_audio_minute", "per minute"),
    ("usd_per_image", "per image"),
)
BLANK = Blank()
ANSWER_STYLES = {
    "yes": Outcome.PASS,
    "partly": Outcome.WARN,
    "no": Outcome.FAIL,
    "unknown": Outcome.UNKNOWN,
}


def headline(verdict: Verdict) -> Paragraph:
    where = on_machine(verdict.machine, short=True)
    name = Span(text=verdict.model.name, style="strong")
    word = Span(text=verdict.route, style=verdict.route)
    if verdict.route is Route.LOCAL:
        warned = sum(finding.outcome is Outcome.WARN for finding in verdict.findings)
        tail = f", with {warned} {'warning' if warned == 1 else 'warnings'}" if warned else ""
        return line(word, ": yes, ", name, f" runs {where}{tail}")
    why = causes(verdict)
    if verdict.route is Route.UNKNOWN:
        return line(word, ": cannot tell if ", name, f" runs {where}", f": {why}" if why else "")
    return line(word, ": no, ", name, f" does not run {where}", f": {why}" if why else "")


def causes(answer: Answer) -> str:
    """Why it does not run, or why that cannot be told, in a few words; empty where it runs."""
    if answer.route is Route.LOCAL:
        return ""
    if answer.route is Route.UNKNOWN:
        close = [finding.check for finding in answer.findings if finding.code == "memory-close"]
        missing = [check for check in undecided_checks(answer) if check not in close]
        return "; ".join(
            [
                *([f"{', '.join(missing)} not known"] if missing else []),
                *(["memory too close to call"] if close else []),
            ]
        )
    return why_not(answer)


def why_not(answer: Answer) -> str:
    """What rules a local run out, in a few words. A model without weights has no license to
    name.
    """
    failed = [finding for finding in answer.findings if finding.outcome is Outcome.FAIL]
    return failed_words(
        finding.code
        for finding in failed
        if not (answer.model.closed and finding.check == "license")
    )


def failed_words(codes: Iterable[str]) -> str:
    """The same of reason codes alone; each begins with the name of its check."""
    told = sorted(
        ((code.partition("-")[0], code) for code in codes), key=lambda pair: ORDER.index(pair[0])
    )
    return ", ".join(WHY_NOT.get(code) or WHY_NOT[check] for check, code in told)


def asked_words(verdict: Verdict) -> str:
    """What was judged, every default named, and what would be downloaded."""
    asked = verdict.workload
    parts = [
        (
            f"{asked.quantization} in {asked.runtime}"
            if asked.quantization and asked.runtime
            else asked.quantization or asked.runtime or ""
        )
    ]
    if asked.context_tokens is not None:
        parts.append(
            f"{units.tokens(asked.context_tokens)} of context"
            + (f" for each of {asked.parallel} sequences" if asked.parallel > 1 else "")
        )
    if asked.kv_cache_type not in (None, "f16"):
        parts.append(f"{asked.kv_cache_type} cache")
    if asked.audio_seconds is not None:
        parts.append(f"{units.duration(asked.audio_seconds)} of audio")
    if asked.draft:
        parts.append(
            "drafting with its own block" if asked.draft == "mtp" else f"{asked.draft} drafting"
        )
    if asked.adapter:
        parts.append(f"adapter {asked.adapter}")
    if asked.task != "generate":
        parts.append(
            f"{asked.task} by {asked.finetune_method}" if asked.finetune_method else asked.task
        )
    if asked.memory_basis != "default":
        parts.append(f"judged by {asked.memory_basis} memory")
    parts.extend(
        word for word in ("private", "commercial", "modify", "auditable") if getattr(asked, word)
    )
    if asked.license:
        parts.append(f"license {asked.license}")
    disk, here = verdict.finding("disk"), verdict.here
    if verdict.needs is not None and verdict.needs.download_bytes == 0:
        parts.append(f"the files are here: {here.path}" if here else "the files are here")
    elif disk is not None and disk.code == "disk-nothing-missing":
        parts.append("the files are here")
    elif verdict.needs is not None and verdict.needs.download_bytes is not None:
        part = (
            f" of {units.decimal(here.size_bytes + here.missing_bytes)}"
            if here and here.size_bytes and here.missing_bytes
            else ""
        )
        seconds, pace = verdict.download_seconds, asked.download_bytes_per_second
        took = (
            f" in about {units.duration(seconds)} at {units.decimal(int(pace))}/s"
            if seconds is not None and pace
            else ""
        )
        parts.append(f"{units.decimal(verdict.needs.download_bytes)}{part} to download{took}")
    return ", ".join(part for part in parts if part)


def reason_blocks(blocks: list[Block], topic: str, reason: str, remedy: str | None) -> None:
    blocks.append(say(f"{topic}: {reason}", indent=2, hang=2))
    if remedy:
        blocks.append(say(f"→ {remedy}", indent=4, hang=2))


def offers_blocks(
    blocks: list[Block],
    offers: Sequence[Offer],
    modality: str,
    *,
    verbose: bool,
    today: str | None,
    cost: MonthlyCost | None = None,
) -> None:
    """Prices as a table with their days, and what an API means for what people type into it.
    Without `today` no age is told.
    """
    if not offers:
        return
    shown = offers if verbose else offers[:SHOWN_OFFERS]
    priced = [offer for offer in shown if price_words(offer)]
    days = sorted({offer.as_of for offer in priced})
    month = {(one.provider, one.model): one.usd_per_month for one in cost.offers} if cost else {}
    by_token = any(offer.input_usd_per_million_tokens is not None for offer in priced)
    title = (
        f"By API, US dollars{' per million tokens' if by_token else ''}"
        if priced
        else "By API, at a price that is not known here"
    )
    if len(offers) > 1 and by_token:
        title += (
            ", cheapest for this load first"
            if month
            else f", cheapest first at {INPUT_PER_OUTPUT_TOKEN} tokens in for 1 out"
        )
    section(blocks, f"{title}, listed {days[-1]}" if days else title)
    columns = [
        Column(title="provider", wrap=True),
        Column(title="model", wrap=True),
        Column(title="context", right=True, fold=1),
    ]
    columns += [Column(title=title, right=True) for _, title in PRICE_COLUMNS]
    columns.append(Column(title="a month", right=True))
    rows: list[list[str]] = []
    for offer in shown:
        context = f"{offer.context_tokens:,}" if offer.context_tokens is not None else ""
        model = offer.model + (" (stands in)" if offer.stands_in else "")
        row = [offer.provider, model, context]
        for field, _ in PRICE_COLUMNS:
            price = getattr(offer, field)
            row.append("" if price is None else _price(price))
        bill = month.get((offer.provider, offer.model))
        row.append("" if bill is None else units.dollars(bill))
        rows.append(row)
    # a column without any figure is left out whole; in the others a dash is what is not known
    filled = [any(cells) for cells in zip(*rows, strict=True)]
    table = [
        tuple(
            Span(text=text or ("-" if known else ""))
            for text, known in zip(row, filled, strict=True)
        )
        for row in rows
    ]
    blocks.append(Table(columns=tuple(columns), rows=tuple(table)))
    if len(offers) > len(shown):
        blocks.append(say(f"{len(offers) - len(shown)} more with --verbose.", indent=2))
    for day in days:
        age = _old(day, today)
        whose = ", ".join(dict.fromkeys(offer.provider for offer in priced if offer.as_of == day))
        if age or day != days[-1]:
            blocks.append(
                say(
                    f"Listed {day}{f', {age}: ask the provider' if age else ''}: {whose}.",
                    indent=2,
                    hang=2,
                )
            )
    steps: dict[str, list[str]] = {}
    for offer in shown:
        if offer.price_holds_to_tokens is not None:
            limit = f"{units.tokens(offer.price_holds_to_tokens)} of prompt"
            known = offer.input_usd_per_million_tokens is not None
            longer = _rates(
                offer.long_input_usd_per_million_tokens, offer.long_output_usd_per_million_tokens
            )
            told = f"up to {limit}; a longer one costs {longer or 'more'}"
            told = told if known else f"above {limit} it costs more, how much is not known here"
            steps.setdefault(told, []).append(offer.provider)
        if offer.price_holds_above_tokens is not None:
            told = (
                f"the price of more than {units.tokens(offer.price_holds_above_tokens)} of prompt;"
                " a shorter one costs less"
            )
            steps.setdefault(told, []).append(offer.provider)
        if offer.price_is_for is not None:
            steps.setdefault(f"an image of {offer.price_is_for}", []).append(offer.provider)
    for told, whose_step in steps.items():
        blocks.append(say(f"{', '.join(dict.fromkeys(whose_step))}: {told}.", indent=2, hang=2))
    for offer in shown:
        for other in offer.other_prices:
            price = _rates(other.input_usd_per_million_tokens, other.output_usd_per_million_tokens)
            price = (
                price if other.usd_per_image is None else f"{_price(other.usd_per_image)} per image"
            )
            doubt = (
                f"{price} {other.when}"
                if other.when
                else f"{other.source} has {price}: ask the provider"
            )
            blocks.append(say(f"{offer.provider}, {offer.model}: {doubt}.", indent=2, hang=2))
        if offer.ends:
            blocks.append(
                say(f"{offer.provider} ends {offer.model} on {offer.ends}.", indent=2, hang=2)
            )
    blocks.extend(api_words((modality,), indent=2))
    if verbose:
        for offer in shown:
            blocks.append(
                say(
                    f"{offer.provider}, {offer.model}: {offer.source}, {offer.as_of}",
                    indent=2,
                    hang=2,
                )
            )


def api_words(modalities: Iterable[str], *, indent: int = 0) -> list[Paragraph]:
    """What an API means: what leaves the machine, and who decides whether it answers."""
    leaves = dict.fromkeys(LEAVES.get(modality, "prompts and answers") for modality in modalities)
    return [
        say(
            f"With an API, {', or '.join(leaves)} leave the machine for the provider.",
            indent=indent,
            hang=2,
        ),
        say("Rate limits and outages are the provider's.", indent=indent),
    ]


def _price(amount: float) -> str:
    return units.dollars(amount) if amount else "free"


def _old(day: str, today: str | None) -> str:
    """`4 months old`, for what is older than a quarter of a year; prices of hosted models
    change as often.
    """
    from datetime import date

    age = (date.fromisoformat(today) - date.fromisoformat(day)).days if today else 0
    return f"{age * 12 // 365} months old" if age > OLD_PRICE_DAYS else ""


def price_words(offer: Offer, today: str | None = None) -> str:
    """The prices and, given the day, of when they are; empty where none is known."""
    parts = [_rates(offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens)]
    for price, words in (
        (offer.usd_per_audio_minute, "per minute of audio"),
        (offer.usd_per_image, "per image"),
    ):
        parts.append(f"{_price(price)} {words}" if price is not None else "")
    text = ", ".join(part for part in parts if part)
    if offer.input_usd_per_million_tokens is not None:
        text += " per million tokens"
        text += (
            f" up to {units.tokens(offer.price_holds_to_tokens)} of prompt"
            if offer.price_holds_to_tokens is not None
            else ""
        )
        text += (
            f" above {units.tokens(offer.price_holds_above_tokens)} of prompt"
            if offer.price_holds_above_tokens is not None
            else ""
        )
    if offer.price_is_for is not None:
        text += f" of {offer.price_is_for}"
    if not text or today is None:
        return text
    age = _old(offer.as_of, today)
    differ = ", lists differ" if any(other.when is None for other in offer.other_prices) else ""
    return f"{text} (listed {offer.as_of}{differ}{f', {age}: ask the provider' if age else ''})"


def _rates(into: float | None, out: float | None) -> str:
    return ", ".join(
        f"{_price(price)} {word}"
        for price, word in ((into, "in"), (out, "out"))
        if price is not None
    )


def load_words(cost: MonthlyCost) -> str:
    """`2,000,000 tokens in and 500,000 out a day`, with what was assumed of it."""
    read, written = cost.input_tokens_per_day, cost.output_tokens_per_day
    split = f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)" if cost.assumed_split else ""
    return f"{read:,} tokens in{f' and {written:,} out' if written else ''} a day{split}"


def bill_words(cost: MonthlyCost) -> str:
    """A month by the offers: `$15.00`, `$15.00 to $60.00`; empty where no price is known."""
    bills = sorted(one.usd_per_month for one in cost.offers if one.usd_per_month is not None)
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
        ends = (
            (low, first),
            (whole, None if first is None else first * whole / low if low else None),
        )
        told = [
            units.energy(spent, spent)
            + (f", {paid:,.2f} in your currency" if paid is not None else "")
            for spent, paid in ends
        ]
        return (
            f"{told[0]}, at the slow end up to {told[1]}, running {HOURS_PER_DAY} hours a day with"
            " a part of the load left"
        )
    bill = (
        f", {_amounts(first, last)} in your currency"
        if first is not None and last is not None
        else ""
    )
    most = " at most" if here.hours_are_bounds and here.kwh_per_month_high is not None else ""
    return f"{units.energy(low, high)}{most}{bill}"


def no_api_words(workload: Workload) -> str:
    """Why no API is named, where none is."""
    if workload.private:
        return "ruled out, nothing may leave the machine"
    if workload.task == "finetune":
        return "not known, these prices do not cover fine-tuning"
    return "no offer is known that meets what was asked"


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
    told = [one for one in cost.offers if one.arithmetic is not None]
    for one in told if verbose else told[:1]:
        blocks.append(
            say(
                f"{one.provider}{f', {one.model}' if verbose else ''}: {one.arithmetic}",
                indent=4,
                hang=2,
            )
        )
    here = cost.here
    if here is None:
        blocks.append(say(f"{where}: it does not run", indent=2, hang=2))
        return
    if pace := pace_words(here):
        blocks.append(say(f"{where}: {pace}, one request after another", indent=2, hang=2))
    blocks.extend(say(text, indent=4, hang=2) for text in here.arithmetic[:2])
    for entry in here.unknown:
        if entry.fact == "kwh_per_month_high":
            # told with the energy
            continue
        topic = {"hours_per_day": where}.get(entry.fact, "energy")
        blocks.append(say(f"{topic}: not known: {entry.reason}", indent=2, hang=2))
        if entry.remedy:
            blocks.append(say(f"→ {entry.remedy}", indent=4, hang=2))
    if energy := energy_words(here):
        fast = here.kwh_per_month_high is None
        topic = "energy at the fast end" if fast else "energy"
        watts = (
            f"{here.watts_low:g} to {here.watts_high:g}"
            if fast and here.watts_low != here.watts_high
            else f"{here.watts_high:g}"
        )
        blocks.append(
            say(f"{topic}: {energy}, at {watts} W: {here.watts_source}", indent=2, hang=2)
        )
    blocks.extend(say(text, indent=4, hang=2) for text in here.arithmetic[2:])


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
    rows = []
    for verdict, cost in costs:
        by_api = "" if cost.reason else _by_api(verdict, cost)
        here = cost.reason or (
            "does not run" if cost.here is None else pace_words(cost.here) or "not known"
        )
        energy = energy_words(cost.here) if cost.here is not None else ""
        if energy and cost.here is not None and cost.here.kwh_per_month_high is None:
            energy = f"at the fast end {energy}"
        rows.append(
            (
                Span(text=verdict.model.id, style="strong"),
                Span(text=by_api),
                Span(text=here),
                Span(text=energy),
            )
        )
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


def _amounts(low: float, high: float) -> str:
    first, last = f"{low:,.2f}", f"{high:,.2f}"
    return first if first == last else f"{first} to {last}"


def memory_blocks(blocks: list[Block], needs: Needs) -> None:
    """Every term: how large, how that is known, the sum that gives it, and the source; of an
    unknown need those that are known.
    """
    memory = needs.memory
    if memory is not None:
        section(
            blocks,
            "Memory:"
            f" {units.binary(memory.total_bytes)}{range_of(memory)}{PLACED.get(needs.placement, '')}",  # noqa: E501
        )
    elif needs.known_terms:
        missing = [
            entry.fact.partition(".")[2].replace("_", " ")
            for entry in needs.unknown
            if entry.fact.startswith("memory.")
        ]
        section(
            blocks,
            f"Memory: not known without {' and '.join(missing) or 'the rest'}; the other terms",
        )
    terms = needs.known_terms if memory is None else memory.terms
    several = len({term.where for term in terms}) > 1
    for term in terms:
        size = units.binary(term.bytes) + range_of(term)
        where = f", {term.where}" if several else ""
        blocks.append(
            line(
                Span(text=term.name.replace("_", " "), style="strong"),
                f": {size}, {term.how}{where}",
                indent=2,
                hang=2,
            )
        )
        blocks.append(say(term.arithmetic, indent=4, hang=2))
        blocks.append(say(term.source, indent=4, hang=2))
    if memory is not None and memory.evictable_bytes:
        blocks.append(
            say(
                f"{units.binary(memory.evictable_bytes)} more may be dropped by the system at no"
                " harm.",
                indent=2,
                hang=2,
            )
        )


def range_of(size: MemoryNeed | object) -> str:
    low, high = (
        units.binary(getattr(size, "low_bytes", 0)),
        units.binary(getattr(size, "high_bytes", 0)),
    )
    return f" ({low} to {high})" if low != high else ""


def memory_of(verdict: Answer) -> str:
    return (
        units.binary(verdict.needs.memory.high_bytes)
        if verdict.needs is not None and verdict.needs.memory is not None
        else "-"
    )


def download_of(verdict: Answer) -> str:
    size, seconds = (
        verdict.needs.download_bytes if verdict.needs is not None else None,
        verdict.download_seconds,
    )
    if size is None:
        return "-"
    return (
        "here"
        if size == 0
        else units.decimal(size) + (f", {units.duration(seconds)}" if seconds is not None else "")
    )


def pairs_block(blocks: list[Block], title: str, pairs: Mapping[str, str]) -> None:
    if pairs:
        section(blocks, title)
        blocks.extend(say(f"{key}: {value}", indent=2, hang=2) for key, value in pairs.items())


def ordered(verdict: Answer) -> list[Finding]:
    return sorted(
        verdict.findings,
        key=lambda finding: ORDER.index(finding.check) if finding.check in ORDER else len(ORDER),
    )


def checks_with(verdict: Answer, outcome: Outcome) -> list[str]:
    return [finding.check for finding in ordered(verdict) if finding.outcome is outcome]


def undecided_checks(verdict: Answer) -> list[str]:
    """The unknowns behind the route `unknown`; an unknown speed is not among them."""
    return [check for check in checks_with(verdict, Outcome.UNKNOWN) if check != "speed"]


def is_here(machine: Machine) -> bool:
    """Whether it is the computer that asks, as it is."""
    return machine.is_this_one and not machine.planning


def on_machine(machine: Machine, *, short: bool = False) -> str:
    if is_here(machine):
        return "here" if short else "on this machine"
    return f"on {machine.name}"


def planned_words(machine: Machine) -> str:
    """How a machine that is not there was judged; empty for one that was read."""
    if not machine.planning:
        return ""
    doubt = (
        ""
        if machine.confidence in (None, "high")
        else f" Its figures are of {machine.confidence} confidence: check your configuration."
    )
    return f"Planned: all of its memory counts, whatever else would run there.{doubt}"


def answer_word(row: Row) -> Span:
    """An answer on openness as a person reads it."""
    return Span(
        text="not known" if row.answer == "unknown" else row.answer, style=ANSWER_STYLES[row.answer]
    )


def line(*parts: Span | str, indent: int = 0, hang: int = 0) -> Paragraph:
    spans = tuple(
        part if isinstance(part, Span) else Span(text=part) for part in parts if part != ""
    )
    return Paragraph(spans=spans, indent=indent, hang=hang)


def say(text: str, *, indent: int = 0, hang: int = 0) -> Paragraph:
    return Paragraph(spans=(Span(text=text),), indent=indent, hang=hang)


def command_line(text: str, *, indent: int = 2) -> Paragraph:
    return Paragraph(spans=(Span(text=text, style="command"),), indent=indent, verbatim=True)


def section(blocks: list[Block], title: str) -> None:
    blocks += [BLANK, Paragraph(spans=(Span(text=title, style="strong"),))]
