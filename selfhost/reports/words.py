"""Words and lines that the reports of models share: the answer, the offers, the blocks they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .. import units
from ..machine import Machine
from ..needs.records import MemoryNeed
from ..offers import Offer
from ..verdict import Finding, Outcome, Route, Verdict
from .layout import Blank, Block, Column, Paragraph, Span, Table

# what decides comes first; the other findings are rows only where they are not `pass`
DECIDING = ("memory", "accelerator", "disk", "speed")
MACHINE = (*DECIDING, "context", "cpu", "runtime")
ORDER = (*MACHINE, "weights", "license", "openness")
WHY_NOT = {
    "memory": "too little memory", "accelerator": "no accelerator that suits", "disk": "no place on disk", "speed": "too slow",
    "context": "too long a context", "cpu": "the CPU does not suit", "runtime": "no runtime loads it",
    "weights": "its weights are not published", "license": "its license forbids it", "openness": "not open enough",
}  # fmt: skip
LEAVES = {
    "speech": "the audio and its transcript",
    "vision": "prompts, images and answers",
    "image": "prompts and images",
    "embedding": "the texts",
}
PLACED = {"host": ", in RAM", "accelerator": ", on the accelerator", "split": ", on the accelerator and in RAM"}
SHOWN_OFFERS = 4
PRICE_COLUMNS = (
    ("input_usd_per_million_tokens", "input"),
    ("output_usd_per_million_tokens", "output"),
    ("usd_per_audio_minute", "per minute"),
    ("usd_per_image", "per image"),
)
BLANK = Blank()


def headline(verdict: Verdict) -> Paragraph:
    where = on_machine(verdict.machine, short=True)
    name = Span(text=verdict.model.name, style="strong")
    word = Span(text=verdict.route, style=verdict.route)
    if verdict.route is Route.LOCAL:
        warned = sum(finding.outcome is Outcome.WARN for finding in verdict.findings)
        tail = f", with {warned} {'warning' if warned == 1 else 'warnings'}" if warned else ""
        return line(word, ": yes, ", name, f" runs {where}{tail}")
    if verdict.route is Route.UNKNOWN:
        close = [finding.check for finding in verdict.findings if finding.code == "memory-close"]
        missing = [check for check in undecided_checks(verdict) if check not in close]
        causes = [f"{', '.join(missing)} not known"] if missing else []
        causes += ["memory too close to call"] if close else []
        return line(word, ": cannot tell if ", name, f" runs {where}", f": {'; '.join(causes)}" if causes else "")
    why = ", ".join(WHY_NOT[check] for check in checks_with(verdict, Outcome.FAIL))
    return line(word, ": no, ", name, f" does not run {where}", f": {why}" if why else "")


def asked_words(verdict: Verdict) -> str:
    """What was judged, every default named, and what would be downloaded."""
    asked = verdict.workload
    parts = [
        f"{asked.quantization} in {asked.runtime}" if asked.quantization and asked.runtime else asked.quantization or asked.runtime or ""
    ]
    if asked.context_tokens is not None:
        parts.append(
            f"{units.tokens(asked.context_tokens)} of context" + (f" for each of {asked.parallel} sequences" if asked.parallel > 1 else "")
        )
    if asked.kv_cache_type not in (None, "f16"):
        parts.append(f"{asked.kv_cache_type} cache")
    if asked.draft:
        parts.append("drafting with its own block" if asked.draft == "mtp" else f"{asked.draft} drafting")
    if asked.adapter:
        parts.append(f"adapter {asked.adapter}")
    if asked.task != "generate":
        parts.append(f"{asked.task} by {asked.finetune_method}" if asked.finetune_method else asked.task)
    if asked.memory_basis != "default":
        parts.append(f"judged by {asked.memory_basis} memory")
    parts.extend(word for word in ("private", "commercial", "modify", "auditable") if getattr(asked, word))
    if asked.license:
        parts.append(f"license {asked.license}")
    disk = verdict.finding("disk")
    if disk is not None and disk.code == "disk-nothing-missing":
        parts.append("the files are here")
    elif verdict.needs is not None and verdict.needs.download_bytes is not None:
        parts.append(f"{units.decimal(verdict.needs.download_bytes)} to download")
    return ", ".join(part for part in parts if part)


def reason_blocks(blocks: list[Block], topic: str, reason: str, remedy: str | None) -> None:
    blocks.append(say(f"{topic}: {reason}", indent=2, hang=2))
    if remedy:
        blocks.append(say(f"→ {remedy}", indent=4, hang=2))


def offers_blocks(blocks: list[Block], offers: Sequence[Offer], modality: str, verbose: bool) -> None:
    """Prices as a table, oldest date named, and what an API means for what people type into it."""
    if not offers:
        return
    shown = offers if verbose else offers[:SHOWN_OFFERS]
    days = sorted({offer.as_of for offer in shown})
    unit = "US dollars per million tokens" if any(offer.input_usd_per_million_tokens is not None for offer in shown) else "US dollars"
    section(blocks, f"By API, {unit}, as of {days[0] if len(days) == 1 else f'{days[0]} to {days[-1]}'}")
    columns = [Column(title="provider", wrap=True), Column(title="model", wrap=True), Column(title="context", right=True, drop=1)]
    columns += [Column(title=title, right=True) for _, title in PRICE_COLUMNS]
    rows: list[tuple[Span, ...]] = []
    for offer in shown:
        context = f"{offer.context_tokens:,}" if offer.context_tokens is not None else ""
        model = offer.model + (" (stands in)" if offer.stands_in else "")
        row = [offer.provider, model, context]
        for field, _ in PRICE_COLUMNS:
            price = getattr(offer, field)
            row.append("" if price is None else units.dollars(price))
        rows.append(tuple(Span(text=text) for text in row))
    blocks.append(Table(columns=tuple(columns), rows=tuple(rows)))
    if len(offers) > len(shown):
        blocks.append(say(f"{len(offers) - len(shown)} more with --verbose.", indent=2))
    blocks.append(say(f"With an API, {LEAVES.get(modality, 'prompts and answers')} leave this machine for the provider.", indent=2))
    if verbose:
        for offer in shown:
            blocks.append(say(f"{offer.provider}: {offer.source}", indent=2, hang=2))


def price_words(offer: Offer) -> str:
    parts = []
    for field, words in (
        ("input_usd_per_million_tokens", "in"),
        ("output_usd_per_million_tokens", "out per million tokens"),
        ("usd_per_audio_minute", "per minute of audio"),
        ("usd_per_image", "per image"),
    ):
        price = getattr(offer, field)
        if price is not None:
            parts.append(f"{units.dollars(price)} {words}")
    return ", ".join(parts)


def range_of(size: MemoryNeed | object) -> str:
    low, high = units.binary(getattr(size, "low_bytes", 0)), units.binary(getattr(size, "high_bytes", 0))
    return f" ({low} to {high})" if low != high else ""


def memory_of(verdict: Verdict) -> str:
    return units.binary(verdict.needs.memory.high_bytes) if verdict.needs is not None and verdict.needs.memory is not None else "-"


def download_of(verdict: Verdict) -> str:
    return units.decimal(verdict.needs.download_bytes) if verdict.needs is not None and verdict.needs.download_bytes is not None else "-"


def pairs_block(blocks: list[Block], title: str, pairs: Mapping[str, str]) -> None:
    if pairs:
        section(blocks, title)
        blocks.extend(say(f"{key}: {value}", indent=2, hang=2) for key, value in pairs.items())


def ordered(verdict: Verdict) -> list[Finding]:
    return sorted(verdict.findings, key=lambda finding: ORDER.index(finding.check) if finding.check in ORDER else len(ORDER))


def checks_with(verdict: Verdict, outcome: Outcome) -> list[str]:
    return [finding.check for finding in ordered(verdict) if finding.outcome is outcome]


def undecided_checks(verdict: Verdict) -> list[str]:
    """The unknowns behind the route `unknown`; an unknown speed is not among them."""
    return [check for check in checks_with(verdict, Outcome.UNKNOWN) if check != "speed"]


def on_machine(machine: Machine, *, short: bool = False) -> str:
    if machine.name == "this machine":
        return "here" if short else "on this machine"
    return f"on {machine.name}"


def planned_words(machine: Machine) -> str:
    """How a machine that is not there was judged; empty for one that was read."""
    if not machine.planning:
        return ""
    doubt = (
        "" if machine.confidence in (None, "high") else f" Its figures are of {machine.confidence} confidence: check your configuration."
    )
    return f"Planned: all of its memory counts, whatever else would run there.{doubt}"


def line(*parts: Span | str, indent: int = 0, hang: int = 0) -> Paragraph:
    spans = tuple(part if isinstance(part, Span) else Span(text=part) for part in parts if part != "")
    return Paragraph(spans=spans, indent=indent, hang=hang)


def say(text: str, *, indent: int = 0, hang: int = 0) -> Paragraph:
    return Paragraph(spans=(Span(text=text),), indent=indent, hang=hang)


def command_line(text: str, *, indent: int = 2) -> Paragraph:
    return Paragraph(spans=(Span(text=text, style="command"),), indent=indent, verbatim=True)


def section(blocks: list[Block], title: str) -> None:
    blocks += [BLANK, Paragraph(spans=(Span(text=title, style="strong"),))]
