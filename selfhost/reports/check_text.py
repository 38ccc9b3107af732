"""What `check` says to a person: the answer first, then the numbers, then what to type."""

from __future__ import annotations

from collections.abc import Sequence

from ..core import units
from ..machine.record import Machine
from ..verdict.findings import WIDE_PACE
from ..verdict.record import Alternative, Finding, Outcome, Room, Route, Verdict
from .cost_text import month_blocks, months_table, no_api_words
from .layout import Bar, Block, Column, Document, Paragraph, Span, Table
from .offer_text import api_words, offers_blocks, price_words
from .words import (
    BLANK,
    DECIDING,
    MACHINE,
    asked_words,
    command_line,
    download_of,
    failed_words,
    headline,
    is_here,
    line,
    memory_blocks,
    memory_of,
    on_machine,
    ordered,
    planned_words,
    reason_blocks,
    say,
    section,
    undecided_checks,
    why_not,
)

_HEADINGS = {
    Outcome.FAIL: "Why not",
    Outcome.UNKNOWN: "Not known",
    Outcome.WARN: "Worth knowing",
    Outcome.PASS: "Fine",
}
_CELL = 30


def check_document(
    verdicts: Sequence[Verdict], *, verbose: bool = False, carry: str = "", today: str | None = None
) -> Document:
    """The answer for one model in full, or for several as a table and then what stands in the way
    of each.

    The first line holds the route. `verbose` adds every memory term, every finding that passed and
    where the facts come from. `carry` goes behind every `selfhost check …` that is proposed: the
    machine and the specs that were judged with. `today` is the day, `YYYY-MM-DD`, on which the age
    of prices is told.
    """
    blocks: list[Block] = []
    if len(verdicts) == 1:
        _one(blocks, verdicts[0], verbose, carry, today)
    elif verdicts:
        _several(blocks, verdicts, verbose, today)
    return Document(blocks=tuple(blocks))


def one_after_the_other(documents: Sequence[Document]) -> Document:
    """Several answers, such as one for each machine of a folder."""
    blocks: list[Block] = []
    for document in documents:
        blocks += [*document.blocks, BLANK]
    return Document(blocks=tuple(blocks))


def _one(
    blocks: list[Block], verdict: Verdict, verbose: bool, carry: str, today: str | None
) -> None:
    blocks.append(headline(verdict))
    if asked := asked_words(verdict):
        blocks.append(say(asked))
    if planned := planned_words(verdict.machine):
        blocks.append(say(planned))
    if verdict.route is not Route.LOCAL:
        _instead(blocks, verdict, today)
    if verdict.notes:
        blocks.append(BLANK)
        blocks.extend(say(note) for note in verdict.notes)
    _comparison(blocks, verdict, verbose, measured="--measure" in carry.split())
    if verdict.can_run and (room := _room_for(verdict)):
        blocks.append(say(room, indent=2, hang=2))
    _findings(blocks, verdict, verbose)
    _other_ways(blocks, verdict, verbose, carry, today)
    month_blocks(blocks, verdict, verbose=verbose)
    if verdict.commands:
        section(blocks, _to_run(verdict.commands) if verdict.can_run else "Next")
        blocks.extend(command_line(command) for command in verdict.commands)
    if verbose and verdict.advice:
        section(blocks, "Faster, by what was measured elsewhere")
        blocks.extend(say(line, indent=2, hang=2) for line in verdict.advice)
    if verbose:
        _placements(blocks, verdict)
        _arithmetic(blocks, verdict)
        section(blocks, "Where the machine's figures come from")
        _sources(blocks, verdict.machine)


def _other_ways(
    blocks: list[Block], verdict: Verdict, verbose: bool, carry: str, today: str | None
) -> None:
    """What runs instead where the model does not, and its offers there or where a load is given."""
    cost, is_local = verdict.monthly_cost, verdict.route is Route.LOCAL
    if not is_local:
        _alternatives(blocks, verdict, carry)
    if not is_local or cost is not None:
        modality = verdict.model.modality
        offers_blocks(blocks, verdict.api_offers, modality, verbose=verbose, today=today, cost=cost)


def _to_run(commands: Sequence[str]) -> str:
    if len(commands) == 1:
        return "To run it"
    return (
        "To run it, in two terminals: the first line keeps running"
        if commands[0].endswith(" serve")
        else "To run it, one of"
    )


def _instead(blocks: list[Block], verdict: Verdict, today: str | None) -> None:
    """The nearest ways out, one line each, right under the answer."""
    if verdict.alternatives:
        first = verdict.alternatives[0]
        blocks.append(
            line(
                f"Runs {on_machine(verdict.machine, short=True)}: ",
                Span(text=_alternative(verdict, first), style="strong"),
                hang=2,
            )
        )
    if verdict.route is Route.API and verdict.api_offers:
        offer = verdict.api_offers[0]
        what = (
            f"{offer.model} from {offer.provider} stands in" if offer.stands_in else offer.provider
        )
        prices = price_words(offer, today) or "at a price that is not known here"
        blocks.append(line("By API: ", Span(text=what, style="strong"), f", {prices}", hang=2))
    elif verdict.route is Route.NEITHER:
        blocks.append(say(f"By API: {no_api_words(verdict.workload)}"))


def _alternative(verdict: Verdict, other: Alternative) -> str:
    """`Mistral 7B in IQ2_M, 2,048 tokens of context`."""
    text = f"{other.name} in {other.quantization}" if other.quantization else other.name
    text += f" by {other.finetune_method}" if other.finetune_method else ""
    return (
        f"{text}, {units.tokens(other.context_tokens)} of context"
        if _other_context(verdict, other) and other.context_tokens
        else text
    )


def _other_context(verdict: Verdict, other: Alternative) -> bool:
    """Whether the alternative is for another context than the one that was judged."""
    judged = verdict.workload.context_tokens
    return (
        judged is not None and other.context_tokens is not None and other.context_tokens != judged
    )


def _comparison(blocks: list[Block], verdict: Verdict, verbose: bool, *, measured: bool) -> None:
    """Need against machine. A finding without figures is not a row: its reason is printed below."""
    rows: list[tuple[Span | Bar, ...]] = []
    passed: list[str] = []
    for finding in ordered(verdict):
        if finding.outcome is Outcome.PASS and finding.check not in DECIDING and not verbose:
            passed.append(finding.check)
            continue
        needs, has = _figures(finding, verdict) if finding.check in MACHINE else ("", "")
        if needs or has:
            rows.append(
                (
                    Span(text=finding.check),
                    Span(text=finding.outcome, style=finding.outcome),
                    Span(text=needs),
                    Span(text=has),
                    Span(text=_short(finding), style=finding.outcome),
                    _finding_bar(finding),
                )
            )
    if rows:
        has_title = "this machine has" if is_here(verdict.machine) else "machine has"
        columns = (
            Column(),
            Column(),
            Column(title="needs", wrap=True),
            Column(title=has_title, wrap=True),
            Column(wrap=True),
            Column(fold=1),
        )
        blocks.append(BLANK)
        blocks.append(Table(columns=columns, rows=tuple(rows)))
    if passed and rows:
        blocks.append(say(f"Also fine: {', '.join(passed)}.", indent=2))
    if advice := _pace_advice(verdict, measured=measured):
        blocks.append(say(advice, indent=2, hang=2))
    if measured and verdict.machine.memory_bandwidth_bytes_per_second is None:
        why = verdict.machine.why_unread("memory_bandwidth_bytes_per_second")
        reason_blocks(blocks, "memory bandwidth", why.reason, why.remedy)


def _pace_advice(verdict: Verdict, *, measured: bool) -> str:
    """Which end of a wide range of speeds counts, and what narrows it; empty for a narrow one,
    and where the answer is no.
    """
    pace = verdict.speed.decode if verdict.speed is not None else None
    if pace is None or verdict.route not in (Route.LOCAL, Route.UNKNOWN):
        return ""
    if pace.low <= 0 or pace.high <= WIDE_PACE * pace.low:
        return ""
    # what is measured is the RAM
    on_card = verdict.needs is not None and verdict.needs.placement == "accelerator"
    is_said = any("--measure" in f"{each.reason} {each.remedy}" for each in verdict.findings)
    narrows = is_here(verdict.machine) and not (on_card or measured or is_said)
    measure = "; --measure narrows the range" if narrows else ""
    return f"Count on the slow end, {units.speed(pace.low, pace.low)}{measure}."


_ALLOWS = {
    "host": "The memory also allows",
    "split": "The accelerator with the memory also allows",
    "accelerator": "The accelerator also allows",
}
# what a limit says of that counts all memory, not what is free now
_CLOSED = "with other programs closed"


def _room_for(verdict: Verdict) -> str:
    """How far one could go here, each alone; what would be no more than was asked is left out."""
    room = verdict.room
    if room is None:
        return ""
    parts = _room_parts(verdict, room)
    # what is free stands in the table above
    later = [name for name in parts if name in room.not_now]
    limits = "; ".join(
        f"{part} ({_CLOSED})" if name in later and len(later) < len(parts) else part
        for name, part in parts.items()
    )
    placement = (verdict.needs.placement if verdict.needs is not None else None) or "host"
    whole = f" {_CLOSED}," if later and len(later) == len(parts) else ""
    return f"{_ALLOWS[placement]},{whole} one at a time: {limits}." if limits else ""


def _room_parts(verdict: Verdict, room: Room) -> dict[str, str]:
    """Each limit beyond what was judged, in words, by its field."""
    judged, architecture = verdict.workload, verdict.model.architecture
    longest, parallel = room.longest_context_tokens, room.most_parallel
    parts: dict[str, str] = {}
    if longest is not None and longest > (judged.context_tokens or 0):
        limit_words = {
            verdict.trained_tokens: ", all it was trained for",
            architecture.scaled_context_tokens if architecture else None: (
                ", with its documented scaling"
            ),
        }
        parts["longest_context_tokens"] = (
            f"up to {units.tokens(longest)} of context{limit_words.get(longest, '')}"
        )
    if parallel is not None and parallel > judged.parallel:
        parts["most_parallel"] = f"{parallel:,} sequences at once"
    if room.best_quantization not in (None, judged.quantization):
        parts["best_quantization"] = f"{room.best_quantization} weights"
    return parts


def _figures(finding: Finding, verdict: Verdict) -> tuple[str, str]:
    if (
        finding.check == "speed"
        and verdict.speed is not None
        and verdict.speed.decode is not None
        and finding.unit == "tokens_per_second"
    ):
        wanted = verdict.workload.min_tokens_per_second
        return (
            f"{_quantity(wanted, finding)}" if wanted else "",
            units.speed(verdict.speed.decode.low, verdict.speed.decode.high),
        )
    needs, has = _quantity(finding.needs, finding), _quantity(finding.has, finding)
    if needs == has and finding.short:
        # what is short of another does not print like it
        return _quantity(finding.needs, finding, more=1), _quantity(finding.has, finding, more=1)
    return needs, has


def _quantity(value: float | str | None, finding: Finding, *, more: int = 0) -> str:
    """A finding's number in the unit people know it by: memory in GiB, disks in GB; with so
    many digits `more`.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return _cut(value, _CELL)
    if finding.unit == "bytes":
        if finding.check == "disk" and value == 0:
            return "nothing"
        return (units.decimal if finding.check == "disk" else units.binary)(int(value), more=more)
    if finding.unit == "tokens":
        return units.tokens(int(value))
    if finding.unit == "tokens_per_second":
        return units.speed(value, value)
    return f"{value:,} {(finding.unit or '').replace('_', ' ')}".rstrip()


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1].rstrip(" ,") + "…"


def _short(finding: Finding) -> str:
    return (
        f"{_quantity(finding.short, finding)} short"
        if finding.short and finding.check != "speed"
        else ""
    )


def _finding_bar(finding: Finding) -> Span | Bar:
    if (
        finding.unit == "bytes"
        and isinstance(finding.needs, int | float)
        and isinstance(finding.has, int | float)
    ):
        return Bar(needs=finding.needs, has=finding.has, style=finding.outcome)
    return Span(text="")


def _findings(blocks: list[Block], verdict: Verdict, verbose: bool) -> None:
    """Reason and remedy of what did not pass, worst first; with `verbose` of what did as well."""
    for outcome, heading in _HEADINGS.items():
        findings = [finding for finding in ordered(verdict) if finding.outcome is outcome]
        if not findings or (outcome is Outcome.PASS and not verbose):
            continue
        section(blocks, heading)
        for finding in findings:
            reason_blocks(blocks, finding.check, finding.reason, finding.remedy)


def _alternatives(blocks: list[Block], verdict: Verdict, carry: str) -> None:
    """What would run, and of a closed model the open-weight models that its spec names beside
    them, each with its license.
    """
    where = on_machine(verdict.machine, short=True)
    if verdict.alternatives:
        section(
            blocks,
            (
                f"What would run {where}"
                if verdict.route is Route.UNKNOWN
                else f"What runs {where} instead"
            ),
        )
    for other in verdict.alternatives:
        terms = f", {other.license}" if other.license and other.id != verdict.model.id else ""
        blocks.append(say(f"{_alternative(verdict, other)}{terms}: {other.why}", indent=2, hang=2))
        blocks.append(command_line(other.command + carry, indent=4))
    named_above = {other.id for other in verdict.alternatives}
    beside = [named for named in verdict.open_alternatives if named.id not in named_above]
    if beside and not named_above:
        section(blocks, "The nearest open-weight models")
    for named in beside:
        less = f" in {named.quantization}" if named.quantization else ""
        state = {
            True: f"runs {where} too{less}",
            False: f"not {where}: {failed_words(named.failed)}",
            None: f"not known whether it runs {where}",
        }
        terms = named.license or "license not known"
        also = "Also published: " if named_above else ""
        text = f"{also}{named.name}, {terms} ({state[named.fits]})"
        blocks.append(say(text, indent=2, hang=2))


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
        reads = verdict.speed.prompt
        prompt = f"; a prompt is read at {units.speed(reads.low, reads.high)}" if reads else ""
        blocks.append(_topic("speed", f"{verdict.speed.how}{prompt}"))


def _topic(name: str, text: str) -> Paragraph:
    return line(Span(text=name, style="strong"), f": {text}", indent=2, hang=2)


def _several(
    blocks: list[Block], verdicts: Sequence[Verdict], verbose: bool, today: str | None
) -> None:
    blocks.append(_count_by_route(verdicts))
    if planned := planned_words(verdicts[0].machine):
        blocks.append(say(planned))
    blocks += [BLANK, _overview(verdicts)]
    notes = dict.fromkeys(note for verdict in verdicts for note in verdict.notes)
    if notes:
        blocks.append(BLANK)
        blocks.extend(say(note) for note in notes)
    for verdict in verdicts:
        if verdict.route is not Route.LOCAL or verbose:
            _in_the_way(blocks, verdict, verbose, today)
    served = dict.fromkeys(
        verdict.model.modality for verdict in verdicts if verdict.route is Route.API
    )
    if served:
        blocks.append(BLANK)
        blocks.extend(api_words(served))
    months_table(blocks, verdicts)
    local = [verdict for verdict in verdicts if verdict.can_run]
    if not verbose:
        _warnings(blocks, local)
    commands = dict.fromkeys(command for verdict in local for command in verdict.commands)
    if commands:
        section(blocks, "To run them" if len(local) > 1 else _to_run(tuple(commands)))
        blocks.extend(command_line(command) for command in commands)


def _count_by_route(verdicts: Sequence[Verdict]) -> Paragraph:
    counts = {route: sum(verdict.route is route for verdict in verdicts) for route in Route}
    spans: list[Span | str] = [
        f"{counts[Route.LOCAL]} of {len(verdicts)} run {on_machine(verdicts[0].machine)}: "
    ]
    for route, number in counts.items():
        if number:
            spans += [", " if len(spans) > 1 else "", f"{number} ", Span(text=route, style=route)]
    return line(*spans)


def _overview(verdicts: Sequence[Verdict]) -> Table:
    """One row a model."""
    columns = (
        Column(title="model", wrap=True),
        Column(title="route"),
        Column(title="judged as", fold=2),
        Column(title="memory", right=True),
        Column(title="download", right=True, fold=1),
        Column(title="speed, or why not", wrap=True),
    )
    rows = tuple(
        (
            Span(text=verdict.model.id, style="strong"),
            Span(text=verdict.route, style=verdict.route),
            Span(text=_judged(verdict)),
            Span(text=memory_of(verdict)),
            Span(text=download_of(verdict)),
            Span(text=_remark(verdict)),
        )
        for verdict in verdicts
    )
    return Table(columns=columns, rows=rows, indent=0)


def _in_the_way(blocks: list[Block], verdict: Verdict, verbose: bool, today: str | None) -> None:
    """The answer for one of several models, what stands in its way, and the nearest ways out."""
    blocks += [BLANK, headline(verdict)]
    for finding in ordered(verdict):
        if verbose or finding.outcome in (Outcome.FAIL, Outcome.UNKNOWN):
            reason_blocks(blocks, finding.check, finding.reason, finding.remedy)
    if verdict.route is not Route.LOCAL:
        ways_out: list[Block] = []
        _instead(ways_out, verdict, today)
        blocks.extend(map(_shifted, ways_out))


def _warnings(blocks: list[Block], local: Sequence[Verdict]) -> None:
    """Each warning once, with the models it is about where it is not about all."""
    models: dict[tuple[str, str, str | None], list[str]] = {}
    for verdict in local:
        for finding in ordered(verdict):
            if finding.outcome is Outcome.WARN:
                warning = (finding.check, finding.reason, finding.remedy)
                models.setdefault(warning, []).append(verdict.model.id)
    if models:
        section(blocks, _HEADINGS[Outcome.WARN])
    for (check, reason, remedy), ids in models.items():
        topic = check if len(ids) == len(local) else f"{check} ({', '.join(ids)})"
        reason_blocks(blocks, topic, reason, remedy)


def _shifted(block: Block) -> Block:
    return block.replace(indent=2, hang=2) if isinstance(block, Paragraph) else block


def _judged(verdict: Verdict) -> str:
    context = verdict.workload.context_tokens
    return " ".join(
        part
        for part in (verdict.workload.quantization, f"{context:,}" if context is not None else "")
        if part
    )


def _remark(verdict: Verdict) -> str:
    """How fast, or why not."""
    if verdict.route is Route.LOCAL:
        pace = verdict.speed.decode if verdict.speed is not None else None
        return units.speed(pace.low, pace.high) if pace is not None else ""
    if verdict.route is Route.UNKNOWN:
        return f"not known: {', '.join(undecided_checks(verdict))}"
    return why_not(verdict)


def _sources(blocks: list[Block], machine: Machine) -> None:
    from .machine_text import unread_blocks

    blocks.extend(
        say(f"{fact}: {source}", indent=2, hang=2) for fact, source in machine.sources.items()
    )
    unread_blocks(blocks, machine)
