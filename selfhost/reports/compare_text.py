"""What `compare` says to a person: models side by side, in the words of `check` and `show`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..catalogue import openness
from ..catalogue.offers import Offer, provider_name
from ..core import units
from ..verdict.record import Verdict
from .cost_text import months_table
from .layout import Block, Column, Document, Span, Table
from .list_text import license_words
from .prices import price_words, short_price
from .words import (
    BLANK,
    PACES,
    PLACED,
    answer_cell,
    answer_word,
    causes,
    command_line,
    count_words,
    download_of,
    each_words,
    format_words,
    is_here,
    line,
    memory_of,
    pace_cell,
    pace_of,
    planned_words,
    say,
    speed_of,
)

# what 60 columns hold beside the names of the rows; more models make further tables
SIDE_BY_SIDE = 3
# characters of a cell where the width is small
_LEAST_CELL = 13
# the answers on openness that a first look needs
_ANSWERS_SHOWN = ("commercial use", "open source", "auditable", "current")

Words = Callable[[Verdict], str]


def compare_document(
    verdicts: Sequence[Verdict],
    *,
    verbose: bool = False,
    carry: str = "",
    today: str | None = None,
) -> Document:
    """The models in the order given, three to a table, each under its id; then why some do not run.

    `verbose` adds how each was judged and every answer on openness. `carry` goes behind the
    command that is proposed; by `today` prices show their age.
    """
    if not verdicts:
        return Document(blocks=())
    blocks: list[Block] = [say(count_words(verdicts))]
    if planned := planned_words(verdicts[0].machine):
        blocks.append(say(planned))
    if all(verdict.workload.private for verdict in verdicts):
        blocks.append(say("private: nothing may leave the machine, so an API is no answer"))
    for start in range(0, len(verdicts), SIDE_BY_SIDE):
        part = verdicts[start : start + SIDE_BY_SIDE]
        blocks += [BLANK, _side_by_side(part, today, verbose=verbose)]
    if remarks := list(_remarks(verdicts)):
        blocks.append(BLANK)
    for model_id, remark in remarks:
        of_model = (Span(text=model_id, style="strong"), ": ") if model_id else ()
        blocks.append(line(*of_model, remark, hang=2))
    months_table(blocks, verdicts)
    if verbose and any(row.assumed for verdict in verdicts for row in openness.rows(verdict.model)):
        blocks += [
            BLANK,
            say(
                "* general knowledge, which no source here confirms; `selfhost show` gives the"
                " reason and the source of each answer."
            ),
        ]
    blocks.append(BLANK)
    names = " ".join(verdict.model.id for verdict in verdicts)
    blocks.append(command_line(f"selfhost check {names}{carry}"))
    if not verbose:
        blocks.append(say("Every answer on licenses and openness: -v"))
    return Document(blocks=tuple(blocks))


def _remarks(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, str]]:
    """By id: why it does not run, what supersedes it, and what was remarked on the name; without
    an id what is said of all.
    """
    for verdict in verdicts:
        current = next((row for row in openness.rows(verdict.model) if row.name == "current"), None)
        is_superseded = current is not None and current.answer == "no"
        parts = [
            causes(verdict),
            current.why.partition(":")[0] if current is not None and is_superseded else "",
        ]
        if text := "; ".join(part for part in parts if part):
            yield verdict.model.id, text
    models: dict[str, dict[str, None]] = {}
    for verdict in verdicts:
        for note in (*verdict.understood_as, *verdict.notes):
            models.setdefault(note, {})[verdict.asked] = None
    for note, names in models.items():
        if len(names) == len(verdicts) > 1:
            # what is said of all is of none alone
            names = {}
        yield ", ".join(names), note


def _side_by_side(verdicts: Sequence[Verdict], today: str | None, *, verbose: bool) -> Table:
    """A column a model, a row a fact; rows without any figure are left out."""
    cells = Column(cut=0 if verbose else _LEAST_CELL, wrap=verbose)
    columns = (Column(), *(cells.replace(title=verdict.model.id) for verdict in verdicts))
    rows: list[tuple[Span, ...]] = []

    def add(name: str, cells: Sequence[Span]) -> None:
        if any(cell.text not in ("", "-") for cell in cells):
            rows.append(
                (Span(text=name), *(cell if cell.text else Span(text="-") for cell in cells))
            )

    here = is_here(verdicts[0].machine)
    add("", [answer_cell(verdict, here=here) for verdict in verdicts])
    facts = _rows_in_full(today) if verbose else _ROWS
    for name, words in facts.items():
        add(name, [Span(text=words(verdict)) for verdict in verdicts])
    answers = [
        (*openness.permissions(verdict.model), *openness.rows(verdict.model))
        for verdict in verdicts
    ]
    for name in (*openness.PERMISSIONS, *openness.ROWS) if verbose else _ANSWERS_SHOWN:
        add(name, [_answer(rows_of_model, name, verbose=verbose) for rows_of_model in answers])
    return Table(columns=columns, rows=tuple(rows), indent=0)


def _answer(rows: Sequence[openness.Row], name: str, *, verbose: bool) -> Span:
    """The word; with `verbose` a mark where it is assumed."""
    row = next((row for row in rows if row.name == name), None)
    if row is None:
        return Span(text="")
    word = answer_word(row)
    return Span(text=f"{word.text}*" if row.assumed and verbose else word.text, style=word.style)


def _parameters(verdict: Verdict) -> str:
    total = verdict.model.parameters.total
    return units.count(total) if total is not None else ""


def _parameters_used(verdict: Verdict) -> str:
    total, active = verdict.model.parameters.total, verdict.model.parameters.active
    if total is None or active is None or active == total:
        return _parameters(verdict)
    used = units.count(active)
    return f"{units.count(total)}, {used} used per token (token table counted)"


def _memory_placed(verdict: Verdict) -> str:
    if verdict.needs is None or verdict.needs.memory is None:
        return ""
    return f"{memory_of(verdict)}{PLACED.get(verdict.needs.placement, '')}"


def _speed_range(verdict: Verdict) -> str:
    speed = verdict.speed
    pace = None if speed is None else speed.judged
    if speed is None or pace is None:
        return ""
    ends = pace_cell(pace, always_ends=True)
    return f"{ends}{each_words(speed)}{units.guess(pace.low, pace.high)}"


def _longest(verdict: Verdict) -> str:
    """The longest context here, or what the model was trained for, or what an API takes."""
    room = verdict.room.longest_context_tokens if verdict.room is not None else None
    judged = verdict.workload.context_tokens
    if verdict.can_run and room is not None and judged is not None:
        return f"{max(room, judged):,}"
    if verdict.trained_tokens is not None:
        return f"{verdict.trained_tokens:,}"
    served = [
        offer.context_tokens
        for offer in verdict.api_offers
        if offer.context_tokens is not None and not offer.stands_in
    ]
    return f"{max(served):,}" if served else ""


def _context(verdict: Verdict) -> str:
    trained, judged = verdict.trained_tokens, verdict.workload.context_tokens
    if trained is None or judged is None:
        return ""
    return f"{judged:,}, trained for {trained:,}"


def _own_offer(verdict: Verdict) -> Offer | None:
    return next((offer for offer in verdict.api_offers if not offer.stands_in), None)


def _price(verdict: Verdict) -> str:
    """Of this very model; what stands in is another model, with a price of its own."""
    offer = _own_offer(verdict)
    return short_price(offer) if offer is not None else ""


def _price_in_full(verdict: Verdict, today: str | None) -> str:
    if not verdict.api_offers:
        return ""
    offer = verdict.api_offers[0]
    prices = price_words(offer, today) or "no price known"
    who = f"{offer.model} stands in: " if offer.stands_in else f"{provider_name(offer.provider)}: "
    return f"{who}{prices}"


def _pace_of_work(verdict: Verdict) -> str:
    """Of other work than text, with its unit."""
    is_other = verdict.speed is not None and verdict.speed.work is not None
    return pace_of(verdict.speed, title=PACES) if is_other else ""


def _download(verdict: Verdict) -> str:
    return download_of(verdict).partition(",")[0]


_ROWS: dict[str, Words] = {
    "judged as": lambda verdict: verdict.workload.quantization or "",
    "memory": memory_of,
    "tokens/s": speed_of,
    "pace": _pace_of_work,
    "download": _download,
    "context up to": _longest,
    "parameters": _parameters,
    "released": lambda verdict: verdict.model.released or "",
    "API, $ per 1M": _price,
    "license": lambda verdict: license_words(verdict.model),
}


def _rows_in_full(today: str | None) -> dict[str, Words]:
    return {
        "judged": lambda verdict: format_words(verdict.workload),
        "memory": _memory_placed,
        "tokens/s": _speed_range,
        "pace": _pace_of_work,
        "download": download_of,
        "context": _context,
        "context up to": _longest,
        "parameters": _parameters_used,
        "released": lambda verdict: verdict.model.released or "",
        "by API": lambda verdict: _price_in_full(verdict, today),
        "license": lambda verdict: license_words(verdict.model),
    }
