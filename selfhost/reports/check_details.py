"""What `check -v` adds: every finding, how the model could be placed, every sum and its source."""

from __future__ import annotations

from ..core import units
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.record import Outcome, Verdict
from ..verdict.speed import Speed
from .layout import Block, Column, Paragraph, Span, Table
from .words import BLANK, line, memory_blocks, ordered, reason_blocks, say, section

_HEADINGS = {
    Outcome.FAIL: "Why not",
    Outcome.UNKNOWN: "Not known",
    Outcome.WARN: "Worth knowing",
    Outcome.PASS: "Fine",
}


def details(blocks: list[Block], verdict: Verdict) -> None:
    """All that the verdict rests on, in sections, behind the first screen."""
    _findings(blocks, verdict)
    if verdict.fine_print:
        section(blocks, "Notes")
        blocks.extend(say(note, indent=2, hang=2) for note in verdict.fine_print)
    if verdict.advice:
        section(blocks, "Faster, by what was measured elsewhere")
        blocks.extend(say(line, indent=2, hang=2) for line in verdict.advice)
    _placements(blocks, verdict)
    _arithmetic(blocks, verdict)
    section(blocks, "Where the machine's figures come from")
    _sources(blocks, verdict.machine)


def _findings(blocks: list[Block], verdict: Verdict) -> None:
    """Reason and remedy of every finding, the worst first."""
    for outcome, heading in _HEADINGS.items():
        findings = [finding for finding in ordered(verdict) if finding.outcome is outcome]
        if findings:
            section(blocks, heading)
        for finding in findings:
            reason_blocks(blocks, finding.check, finding.reason, finding.remedy)


def _placements(blocks: list[Block], verdict: Verdict) -> None:
    """The ways to lay the model out that were compared, each with its memory and pace."""
    if not verdict.placements:
        return
    section(blocks, "Where it could lie")
    devices = verdict.machine.accelerators or ()
    rows = []
    for placement in verdict.placements:
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
        pace = (
            ""
            if placement.decode is None
            else units.speed(placement.decode.low, placement.decode.high)
        )
        state = (
            "judged here"
            if placement.judged
            else {True: "would do", False: "does not do", None: "cannot be told"}[placement.fits]
        )
        rows.append(
            tuple(
                Span(text=text)
                for text in (where, on_card, units.binary(placement.host_high_bytes), pace, state)
            )
        )
    columns = (
        Column(wrap=True),
        Column(title="on it", right=True),
        Column(title="RAM", right=True),
        Column(title="pace"),
        Column(),
    )
    blocks.append(Table(columns=columns, rows=tuple(rows)))


def _arithmetic(blocks: list[Block], verdict: Verdict) -> None:
    """Every memory term with its sum and source, the reserve, and what the speed rests on."""
    needs = verdict.needs
    if needs is not None:
        memory_blocks(blocks, needs)
        memory = verdict.finding("memory")
        if needs.memory is not None and memory is not None and memory.reserve_bytes is not None:
            kept = units.binary(memory.reserve_bytes)
            blocks.append(say(f"{kept} is kept for the system itself.", indent=2, hang=2))
        if needs.download_bytes is not None:
            how = ", ".join(part for part in (needs.download_how, needs.download_source) if part)
            size = units.decimal(needs.download_bytes)
            blocks += [BLANK, _topic("download", f"{size}, {how}" if how else size)]
    if verdict.quality is not None:
        cost = verdict.quality
        text = cost.text if cost.loss_percent is not None else f"{cost.cost}: {cost.text}"
        blocks.append(_topic("quality", text))
        blocks.extend(say(part, indent=4, hang=2) for part in (cost.figure, cost.source) if part)
    for entry in needs.unknown if needs is not None else ():
        reason_blocks(blocks, entry.fact, entry.reason, entry.remedy)
    if verdict.speed is not None:
        blocks.append(_topic("speed", _basis_of(verdict.speed, verdict.workload)))


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
    return line(Span(text=name, style="strong"), f": {text}", indent=2, hang=2)


def _sources(blocks: list[Block], machine: Machine) -> None:
    from .machine_text import unread_blocks

    facts: dict[str, list[str]] = {}
    for fact, source in machine.sources.items():
        facts.setdefault(source, []).append(fact)
    blocks.extend(
        say(f"{', '.join(names)}: {source}", indent=2, hang=2) for source, names in facts.items()
    )
    unread_blocks(blocks, machine)
