"""What `compare` says to a person: models side by side, in the words of `check` and `show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue import openness
from ..judge.record import Verdict
from .layout import (
    BLANK,
    Cell,
    Column,
    Document,
    Span,
    Table,
    command_line,
    line,
    say,
    strong,
    texts,
)
from .model_rows import facts_of
from .prices import short_price
from .several_text import COST_ALONE
from .words import (
    PACES,
    answer_cell,
    answer_word,
    causes,
    count_words,
    format_words,
    is_here,
    planned_words,
)

# what 60 columns hold beside the names of the rows; more models make further tables
SIDE_BY_SIDE = 3
# the answers on openness that a first look needs
_ANSWERS_SHOWN = ("commercial use", "open source", "auditable", "current")
_ASSUMED = (
    "* general knowledge, which no source here confirms; `selfhost show` gives the reason and the"
    " source of each answer."
)


def compare_document(
    verdicts: Sequence[Verdict], *, verbose: bool = False, carry: str = ""
) -> Document:
    """Return the models in the order given, three to a table, then why some do not run.

    `verbose` adds how each was judged and every answer on openness. `carry` goes behind the
    proposed command.
    """
    if not verdicts:
        return Document(blocks=())
    all_private = all(verdict.workload.private for verdict in verdicts)
    private = "private: nothing may leave the machine, so an API is no answer"
    head = (count_words(verdicts), planned_words(verdicts[0].machine), private * all_private)
    blocks = list(texts(head, indent=0, hang=0))
    for start in range(0, len(verdicts), SIDE_BY_SIDE):
        blocks += [BLANK, _side_by_side(verdicts[start : start + SIDE_BY_SIDE], verbose)]
    blocks.append(BLANK)
    for model_id, remark in _remarks(verdicts):
        blocks.append(line(strong(model_id), ": " if model_id else "", remark, hang=2))
    last = (
        COST_ALONE if verdicts[0].monthly_cost is not None else "",
        _ASSUMED if verbose else "",
    )
    blocks += [BLANK, *texts(last, indent=0), BLANK]
    names = " ".join(verdict.model.id for verdict in verdicts)
    blocks.append(command_line(f"selfhost check {names}{carry}"))
    if not verbose:
        blocks.append(say("Every answer on licenses and openness: -v"))
    return Document(blocks=tuple(blocks))


def _remarks(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, str]]:
    """By id, empty for all of them: why it does not run, what supersedes it, notes on the name."""
    models: dict[str, dict[str, None]] = {}
    for verdict in verdicts:
        successors = (
            row.why.partition(":")[0]
            for row in openness.rows(verdict.model)
            if row.name == "current" and row.answer == "no"
        )
        if text := "; ".join(filter(None, (causes(verdict), *successors))):
            yield verdict.model.id, text
        for note in (*verdict.understood_as, *verdict.notes):
            models.setdefault(note, {})[verdict.asked] = None
    for note, names in models.items():
        is_said_of_all = len(names) == len(verdicts) > 1
        yield "" if is_said_of_all else ", ".join(names), note


def _side_by_side(verdicts: Sequence[Verdict], verbose: bool) -> Table:
    """A column a model, a row a fact; rows without any figure are left out."""
    columns = [Column(), *(Column(title=each.model.id, wrap=True) for each in verdicts)]
    facts = [_facts(verdict, verbose) for verdict in verdicts]
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys(name for each in facts for name in each):
        cells = [each.get(name, Span(text="")) for each in facts]
        if any(cell.text not in ("", "-") for cell in cells):
            rows.append((name, *(cell if cell.text else "-" for cell in cells)))
    return Table(columns=tuple(columns), rows=tuple(rows), indent=0)


def _facts(verdict: Verdict, verbose: bool) -> dict[str, Span]:
    """The answer, the figures, and the answers on openness, by the names of their rows."""
    is_text = verdict.speed is None or verdict.speed.work is None
    facts = facts_of(verdict, "tokens/s" if is_text else PACES)
    own = next((offer for offer in verdict.api_offers if not offer.stands_in), None)
    figures = {
        "judged as": format_words(verdict.workload) if verbose else facts["quantization"],
        "memory": facts["memory"],
        "tokens/s": facts["pace"] if is_text else "",
        "pace": "" if is_text else facts["pace"],
        "download": facts["download"].partition(",")[0],
        "context up to": _longest(verdict),
        "parameters": facts["parameters"],
        "released": facts["released"],
        "API, $ per 1M": "" if own is None else short_price(own),
        "license": facts["license"],
    }
    cells = {"": answer_cell(verdict, here=is_here(verdict.machine))}
    cells |= {name: Span(text=figure) for name, figure in figures.items()}
    answers = (*openness.permissions(verdict.model), *openness.rows(verdict.model))
    for row in answers if verbose else ():
        word = answer_word(row)
        # a star where it is assumed
        cells[row.name] = word.replace(text=word.text + "*" * row.assumed)
    by_name = {row.name: row for row in answers}
    for name in () if verbose else _ANSWERS_SHOWN:
        cells[name] = answer_word(by_name[name]) if name in by_name else Span(text="")
    return cells


def _longest(verdict: Verdict) -> str:
    """The longest context here, or what the model was trained for, or what an API takes."""
    room = verdict.room.longest_context_tokens if verdict.room is not None else None
    judged = verdict.workload.context_tokens
    if verdict.can_run and room is not None and judged is not None:
        return f"{max(room, judged):,}"
    if verdict.trained_tokens is not None:
        return f"{verdict.trained_tokens:,}"
    served = [offer.context_tokens or 0 for offer in verdict.api_offers if not offer.stands_in]
    return f"{max(served):,}" if any(served) else ""
