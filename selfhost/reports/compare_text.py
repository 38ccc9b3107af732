"""What `compare` says to a person: models side by side, in the words of `check` and `show`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..catalogue import openness
from ..catalogue.offers import provider_name
from ..core import units
from ..judge.record import Verdict
from .cost_text import months_table
from .layout import (
    BLANK,
    Block,
    Cell,
    Column,
    Document,
    Span,
    Table,
    command_line,
    line,
    say,
    strong,
)
from .list_text import license_words
from .prices import price_words, short_price
from .words import (
    PACES,
    PLACED,
    answer_cell,
    answer_word,
    causes,
    count_words,
    download_of,
    each_words,
    format_words,
    is_here,
    memory_of,
    pace_cell,
    pace_of,
    planned_words,
)

# what 60 columns hold beside the names of the rows; more models make further tables
SIDE_BY_SIDE = 3
# characters of a cell where the width is small
_LEAST_CELL = 13
# the answers on openness that a first look needs
_ANSWERS_SHOWN = ("commercial use", "open source", "auditable", "current")
_ASSUMED = (
    "* general knowledge, which no source here confirms; `selfhost show` gives the reason and the"
    " source of each answer."
)


def compare_document(
    verdicts: Sequence[Verdict],
    *,
    verbose: bool = False,
    carry: str = "",
    today: str | None = None,
) -> Document:
    """Return the models in the order given, three to a table, then why some do not run.

    `verbose` adds how each was judged and every answer on openness. `carry` goes behind the
    proposed command; by `today` prices show their age.
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
        blocks += [BLANK, _side_by_side(part, today, verbose)]
    blocks.append(BLANK)
    for model_id, remark in _remarks(verdicts):
        blocks.append(line(strong(model_id), ": " if model_id else "", remark, hang=2))
    blocks += [*months_table(verdicts), BLANK]
    if verbose and any(row.assumed for verdict in verdicts for row in openness.rows(verdict.model)):
        blocks += [say(_ASSUMED), BLANK]
    names = " ".join(verdict.model.id for verdict in verdicts)
    blocks.append(command_line(f"selfhost check {names}{carry}"))
    if not verbose:
        blocks.append(say("Every answer on licenses and openness: -v"))
    return Document(blocks=tuple(blocks))


def _remarks(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, str]]:
    """By id, empty for all of them: why it does not run, what supersedes it, notes on the name."""
    for verdict in verdicts:
        rows = {row.name: row for row in openness.rows(verdict.model)}
        current = rows.get("current")
        is_superseded = current is not None and current.answer == "no"
        successor = current.why.partition(":")[0] if current is not None and is_superseded else ""
        if text := "; ".join(filter(None, (causes(verdict), successor))):
            yield verdict.model.id, text
    models: dict[str, dict[str, None]] = {}
    for verdict in verdicts:
        for note in (*verdict.understood_as, *verdict.notes):
            models.setdefault(note, {})[verdict.asked] = None
    for note, names in models.items():
        is_said_of_all = len(names) == len(verdicts) > 1
        yield "" if is_said_of_all else ", ".join(names), note


def _side_by_side(verdicts: Sequence[Verdict], today: str | None, verbose: bool) -> Table:
    """A column a model, a row a fact; rows without any figure are left out."""
    column = Column(cut=0 if verbose else _LEAST_CELL, wrap=verbose)
    columns = (Column(), *(column.replace(title=verdict.model.id) for verdict in verdicts))
    here = is_here(verdicts[0].machine)
    rows: list[tuple[str, list[Span]]] = [("", [answer_cell(each, here=here) for each in verdicts])]
    for name, words in (_rows_in_full(today) if verbose else _ROWS).items():
        rows.append((name, [Span(text=words(verdict)) for verdict in verdicts]))
    answers = [
        {row.name: row for row in (*openness.permissions(each.model), *openness.rows(each.model))}
        for each in verdicts
    ]
    for name in (*openness.PERMISSIONS, *openness.ROWS) if verbose else _ANSWERS_SHOWN:
        rows.append((name, [_answer(of_model.get(name), verbose) for of_model in answers]))
    shown = tuple(_row(*row) for row in rows if any(cell.text not in ("", "-") for cell in row[1]))
    return Table(columns=columns, rows=shown, indent=0)


def _row(name: str, cells: Sequence[Span]) -> tuple[Cell, ...]:
    return name, *(cell if cell.text else "-" for cell in cells)


def _answer(row: openness.Row | None, verbose: bool) -> Span:
    """The word; with `verbose` a mark where it is assumed."""
    if row is None:
        return Span(text="")
    word = answer_word(row)
    return word.replace(text=f"{word.text}*") if row.assumed and verbose else word


def _parameters(verdict: Verdict) -> str:
    total = verdict.model.parameters.total
    return units.count(total) if total is not None else ""


def _parameters_used(verdict: Verdict) -> str:
    total, active = verdict.model.parameters.total, verdict.model.parameters.active
    if total is None or active is None or active == total:
        return _parameters(verdict)
    return f"{units.count(total)}, {units.count(active)} used per token (token table counted)"


def _memory_placed(verdict: Verdict) -> str:
    if verdict.needs is None or verdict.needs.memory is None:
        return ""
    return f"{memory_of(verdict)}{PLACED.get(verdict.needs.placement, '')}"


def _speed(verdict: Verdict) -> str:
    speed = verdict.speed
    return "-" if speed is None else f"{pace_cell(speed.judged)}{each_words(speed)}"


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
    offers = (offer for offer in verdict.api_offers if not offer.stands_in)
    served = [offer.context_tokens for offer in offers if offer.context_tokens is not None]
    return f"{max(served):,}" if served else ""


def _context(verdict: Verdict) -> str:
    trained, judged = verdict.trained_tokens, verdict.workload.context_tokens
    if trained is None or judged is None:
        return ""
    return f"{judged:,}, trained for {trained:,}"


def _price(verdict: Verdict) -> str:
    """Of this very model; what stands in is another model, with a price of its own."""
    offer = next((offer for offer in verdict.api_offers if not offer.stands_in), None)
    return short_price(offer) if offer is not None else ""


def _price_in_full(verdict: Verdict, today: str | None) -> str:
    if not verdict.api_offers:
        return ""
    offer = verdict.api_offers[0]
    who = f"{offer.model} stands in" if offer.stands_in else provider_name(offer.provider)
    return f"{who}: {price_words(offer, today) or 'no price known'}"


def _work_pace(verdict: Verdict) -> str:
    """The pace of other work than text, with its unit."""
    is_other = verdict.speed is not None and verdict.speed.work is not None
    return pace_of(verdict.speed, title=PACES) if is_other else ""


_ROWS: dict[str, Callable[[Verdict], str]] = {
    "judged as": lambda verdict: verdict.workload.quantization or "",
    "memory": memory_of,
    "tokens/s": _speed,
    "pace": _work_pace,
    "download": lambda verdict: download_of(verdict).partition(",")[0],
    "context up to": _longest,
    "parameters": _parameters,
    "released": lambda verdict: verdict.model.released or "",
    "API, $ per 1M": _price,
    "license": lambda verdict: license_words(verdict.model),
}


def _rows_in_full(today: str | None) -> dict[str, Callable[[Verdict], str]]:
    return {
        "judged": lambda verdict: format_words(verdict.workload),
        "memory": _memory_placed,
        "tokens/s": _speed_range,
        "pace": _work_pace,
        "download": download_of,
        "context": _context,
        "context up to": _longest,
        "parameters": _parameters_used,
        "released": _ROWS["released"],
        "by API": lambda verdict: _price_in_full(verdict, today),
        "license": _ROWS["license"],
    }
