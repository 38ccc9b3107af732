"""What `check -v` adds: every finding, how the model could be placed, every sum and its source."""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.quality import Quality
from ..core import units
from ..core.workload import Workload
from ..judge.pace.speed import Speed
from ..judge.record import Outcome, Placement, Verdict
from .layout import BLANK, Block, Column, Paragraph, Table, heading, line, say, strong
from .machine_text import unread_blocks
from .words import memory_blocks, ordered, reason_blocks

_HEADINGS = {
    Outcome.FAIL: "Why not",
    Outcome.UNKNOWN: "Not known",
    Outcome.WARN: "Worth knowing",
    Outcome.PASS: "Fine",
}


def details(verdict: Verdict) -> Iterator[Block]:
    """All that the verdict rests on, in sections, behind the first screen."""
    for outcome, title in _HEADINGS.items():
        findings = [finding for finding in ordered(verdict) if finding.outcome is outcome]
        if findings:
            yield from heading(title)
        for finding in findings:
            yield from reason_blocks(finding.check, finding.reason, finding.remedy)
    for title, texts in (
        ("Notes", verdict.fine_print),
        ("Faster, by what was measured elsewhere", verdict.advice),
    ):
        if texts:
            yield from heading(title)
            yield from (say(text, indent=2, hang=2) for text in texts)
    if verdict.placements:
        yield from heading("Where it could lie")
        columns = (
            Column(wrap=True),
            Column(title="on it", right=True),
            Column(title="RAM", right=True),
            Column(title="pace"),
            Column(),
        )
        rows = tuple(_placement(verdict, placement) for placement in verdict.placements)
        yield Table(columns=columns, rows=rows)
    yield from _arithmetic(verdict)
    yield from heading("Where the machine's figures come from")
    facts: dict[str, list[str]] = {}
    for fact, source in verdict.machine.sources.items():
        facts.setdefault(source, []).append(fact)
    for source, names in facts.items():
        yield say(f"{', '.join(names)}: {source}", indent=2, hang=2)
    yield from unread_blocks(verdict.machine)


def _placement(verdict: Verdict, placement: Placement) -> tuple[str, ...]:
    """A way to lay the model out, with its memory and pace."""
    devices = verdict.machine.accelerators or ()
    names = [
        devices[number].name if number < len(devices) else "an accelerator"
        for number in placement.accelerators
    ]
    counts = {name: names.count(name) for name in names}
    where = " and ".join(
        f"{count} × {name}" if count > 1 else name for name, count in counts.items()
    )
    where = {"host": "RAM alone", "split": f"{where} and RAM"}.get(placement.placement, where)
    on_card = units.binary(placement.accelerator_high_bytes) if placement.accelerators else ""
    pace = placement.decode
    fits = {True: "would do", False: "does not do", None: "cannot be told"}[placement.fits]
    return (
        where,
        on_card,
        units.binary(placement.host_high_bytes),
        "" if pace is None else units.speed(pace.low, pace.high),
        "judged here" if placement.judged else fits,
    )


def _arithmetic(verdict: Verdict) -> Iterator[Block]:
    """Every memory term with its sum and source, the reserve, and what the speed rests on."""
    needs, memory = verdict.needs, verdict.finding("memory")
    if needs is not None:
        yield from memory_blocks(needs)
        if needs.memory is not None and memory is not None and memory.reserve_bytes is not None:
            kept = units.binary(memory.reserve_bytes)
            yield say(f"{kept} is kept for the system itself.", indent=2, hang=2)
        if needs.download_bytes is not None:
            size = units.decimal(needs.download_bytes)
            parts = filter(None, (size, needs.download_how, needs.download_source))
            yield from (BLANK, _topic("download", ", ".join(parts)))
    if verdict.quality is not None:
        yield from quality_blocks("quality", verdict.quality)
    for entry in needs.unknown if needs is not None else ():
        yield from reason_blocks(entry.fact, entry.reason, entry.remedy)
    if verdict.speed is not None:
        yield _topic("speed", _basis_of(verdict.speed, verdict.workload))


def quality_blocks(topic: str, cost: Quality) -> Iterator[Block]:
    """What a quantization costs in quality, and how that is known."""
    text = cost.text if cost.loss_percent is not None else f"{cost.cost}: {cost.text}"
    yield _topic(topic, text)
    yield from (say(part, indent=4, hang=2) for part in (cost.figure, cost.source) if part)


def _basis_of(speed: Speed, workload: Workload) -> str:
    """What the pace rests on, what a full context leaves of it, and the pace of prompts."""
    words, full, reads = [speed.how], speed.full_context_tokens_per_second, speed.prompt
    if full is not None:
        context = units.tokens(workload.context_tokens or 0)
        alone = " of one sequence alone" if workload.parallel > 1 else ""
        words.append(f"likely {units.pace(full, full)}{alone} with all {context} of context in use")
    if reads is not None:
        what = "a prompt" if speed.decode is not None else "text"
        words.append(f"{what} is read at {units.speed(reads.low, reads.high)}")
    return "; ".join(words)


def _topic(name: str, text: str) -> Paragraph:
    return line(strong(name), f": {text}", indent=2, hang=2)
