"""What `compare` says to a person: models side by side, in the words of `check` and `show`."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue import openness
from ..core import units
from ..verdict.record import Route, Verdict
from .cost_text import months_table
from .layout import Block, Column, Document, Span, Table
from .offer_text import price_words
from .words import (
    BLANK,
    PLACED,
    answer_word,
    command_line,
    download_of,
    format_words,
    memory_of,
    on_machine,
    planned_words,
    say,
    section,
    undecided_checks,
    why_not,
)

# what 80 columns hold beside the names of the rows; more models make further tables
SIDE_BY_SIDE = 3


def compare_document(
    verdicts: Sequence[Verdict], *, carry: str = "", today: str | None = None
) -> Document:
    """The models in the order given, three to a table, each under its id. `carry` goes behind the
    commands that are proposed; by `today` prices show their age.
    """
    if not verdicts:
        return Document(blocks=())
    machine = verdicts[0].machine
    fits = sum(verdict.can_run for verdict in verdicts)
    blocks: list[Block] = [say(f"{fits} of {len(verdicts)} models run {on_machine(machine)}.")]
    if planned := planned_words(machine):
        blocks.append(say(planned))
    if (
        len({verdict.workload.private for verdict in verdicts}) == 1
        and verdicts[0].workload.private
    ):
        blocks.append(say("private: nothing may leave the machine, so an API is no answer"))
    for start in range(0, len(verdicts), SIDE_BY_SIDE):
        blocks += [BLANK, _side_by_side(verdicts[start : start + SIDE_BY_SIDE], today)]
    months_table(blocks, verdicts)
    _notes(blocks, verdicts)
    if any(row.assumed for verdict in verdicts for row in openness.rows(verdict.model)):
        blocks += [
            BLANK,
            say(
                "* by general knowledge, which no source here confirms; `selfhost show` gives why"
                " and whence of each answer."
            ),
        ]
    section(blocks, "Ask about one")
    for verdict in verdicts:
        blocks.append(command_line(f"selfhost check {verdict.model.id}{carry}"))
    return Document(blocks=tuple(blocks))


def _notes(blocks: list[Block], verdicts: Sequence[Verdict]) -> None:
    """What was remarked on each name that was typed."""
    notes = dict.fromkeys((verdict.asked, note) for verdict in verdicts for note in verdict.notes)
    if notes:
        section(blocks, "Notes")
    blocks.extend(say(f"{name}: {note}", indent=2, hang=2) for name, note in notes)


def _side_by_side(verdicts: Sequence[Verdict], today: str | None) -> Table:
    columns = (Column(), *(Column(title=verdict.model.id, wrap=True) for verdict in verdicts))
    rows: list[tuple[Span, ...]] = []

    def add(name: str, cells: Sequence[Span]) -> None:
        if any(cell.text for cell in cells):
            rows.append(
                (Span(text=name), *(cell if cell.text else Span(text="-") for cell in cells))
            )

    add("route", [_route(verdict) for verdict in verdicts])
    for name, words in (
        ("judged", _judged),
        ("parameters", _parameters),
        ("memory", _memory),
        ("download", lambda verdict: "" if download_of(verdict) == "-" else download_of(verdict)),
        ("speed", _speed),
        ("context", _context),
        ("context up to", _longest),
        ("released", lambda verdict: verdict.model.released or ""),
        ("by API", lambda verdict: _price(verdict, today)),
        ("license", _license),
    ):
        add(name, [Span(text=words(verdict)) for verdict in verdicts])
    answers = [
        (*openness.permissions(verdict.model), *openness.rows(verdict.model))
        for verdict in verdicts
    ]
    for name in (*openness.PERMISSIONS, *openness.ROWS):
        add(name, [_answer(rows_of_model, name) for rows_of_model in answers])
    return Table(columns=columns, rows=tuple(rows), indent=0)


def _answer(rows: Sequence[openness.Row], name: str) -> Span:
    """The word, with a mark where it is assumed; what it is superseded by says more than no."""
    row = next((row for row in rows if row.name == name), None)
    if row is None:
        return Span(text="")
    word = answer_word(row)
    text = (
        f"no: {row.why.partition(':')[0]}"
        if name == "current" and row.answer == "no"
        else word.text
    )
    return Span(text=f"{text}*" if row.assumed else text, style=word.style)


def _route(verdict: Verdict) -> Span:
    if verdict.route is Route.UNKNOWN:
        missing = undecided_checks(verdict)
        return Span(
            text=f"unknown: {', '.join(missing)} not known" if missing else "unknown",
            style=verdict.route,
        )
    causes = why_not(verdict)
    return Span(
        text=f"{verdict.route}: {causes}" if causes else verdict.route.value, style=verdict.route
    )


def _judged(verdict: Verdict) -> str:
    return format_words(verdict.workload)


def _parameters(verdict: Verdict) -> str:
    total, active = verdict.model.parameters.total, verdict.model.parameters.active
    if total is None:
        return ""
    used = (
        ""
        if active is None or active == total
        else f", {units.count(active)} used per token (token table counted)"
    )
    return units.count(total) + used


def _memory(verdict: Verdict) -> str:
    if verdict.needs is None or verdict.needs.memory is None:
        return ""
    return f"{memory_of(verdict)}{PLACED.get(verdict.needs.placement, '')}"


def _speed(verdict: Verdict) -> str:
    pace = verdict.speed.decode if verdict.speed is not None else None
    return units.speed(pace.low, pace.high) if pace is not None else ""


def _context(verdict: Verdict) -> str:
    """What was judged, and what it was trained for; of a closed model what its offers take."""
    trained, judged = verdict.trained_tokens, verdict.workload.context_tokens
    if trained is None or judged is None:
        served = [
            offer.context_tokens
            for offer in verdict.api_offers
            if offer.context_tokens is not None and not offer.stands_in
        ]
        return f"{max(served):,} by API" if served else ""
    return f"{judged:,}, trained for {trained:,}"


def _longest(verdict: Verdict) -> str:
    longest = verdict.room.longest_context_tokens if verdict.room is not None else None
    if verdict.room is None or longest is None:
        return ""
    closed = (
        ", with other programs closed" if "longest_context_tokens" in verdict.room.not_now else ""
    )
    return f"{units.tokens(longest)}{closed}"


def _price(verdict: Verdict, today: str | None) -> str:
    if not verdict.api_offers:
        return ""
    offer = verdict.api_offers[0]
    prices = price_words(offer, today) or "no price known"
    who = f"{offer.model} stands in: " if offer.stands_in else f"{offer.provider}: "
    return f"{who}{prices}"


def _license(verdict: Verdict) -> str:
    if verdict.model.closed:
        return "closed"
    name = verdict.model.license.id if verdict.model.license is not None else None
    return name.removeprefix("LicenseRef-") if name else "not known"
