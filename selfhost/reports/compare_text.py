"""The screen of `compare`: models side by side, then the reasons why some do not run.

A `Comparison` goes in, blocks come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ..advice.several import Compared, Comparison
from ..catalogue.offers import Offer
from ..core import units
from ..core.quoting import shell_word
from ..judge.record import Verdict
from .answer_words import (
    answer_cell,
    causes,
    count_words,
    openness_word,
    shutdown_words,
)
from .api_words import own_offers, price_words
from .labels import LABELS
from .layout import Blocks, Column, Hint, Table, command, line, strong, texts
from .measured_words import better_words, measured_lines
from .model_figures import figures_of, have_paces
from .several_text import note_blocks
from .words import format_words, pace_title, planned_words, range_hint

# the number of models that fit in 60 columns beside the row names; more models make further tables
SIDE_BY_SIDE = 3


def compare_document(
    comparison: Comparison,
    *,
    verbose: bool = False,
) -> Blocks:
    """Yield the models in the order given, three to a table, then the reasons why some do not run.

    `verbose` adds the judged settings of each model and every answer on openness.
    """
    models = comparison.models
    verdicts = [compared.verdict for compared in models]
    head = [count_words(verdicts), planned_words(verdicts[0].machine)]
    yield from texts(head, indent=0)
    for start in range(0, len(models), SIDE_BY_SIDE):
        yield line()
        yield _side_by_side(models[start : start + SIDE_BY_SIDE], verbose=verbose)
    yield line()
    for compared in models:
        remarks = _remarks(compared)
        if remarks:
            yield line(strong(compared.verdict.model.id), f": {'; '.join(remarks)}")
    for verdict in verdicts:
        for parts in islice(measured_lines(verdict), 1):
            yield line(strong(verdict.model.id), ": ", *parts)
    better = better_words([verdict.model for verdict in verdicts])
    yield from texts([better, _types_apart(verdicts)], indent=0)
    yield from note_blocks(verdicts, verbose=True)
    yield line()
    names = " ".join(shell_word(verdict.asked) for verdict in verdicts)
    yield command(f"selfhost check {names}{comparison.options}")
    if not verbose:
        yield line(Hint("Every answer on licenses and openness: ", "-v"))
    if have_paces(verdicts):
        yield line(range_hint(comparison.options))


def _side_by_side(models: Sequence[Compared], *, verbose: bool) -> Table:
    """The table with a column for each model and a row for each fact; a fact that no model has is
    left out.
    """
    columns = [Column()]
    facts = []
    for compared in models:
        name = compared.verdict.model.id
        columns.append(Column(title=name, wrap=True))
        facts.append(_facts(compared, verbose=verbose))
    titles: dict[str, None] = {}
    # rows follow the order of the model with the most known facts
    for of_model in sorted(facts, key=len, reverse=True):
        titles |= dict.fromkeys(of_model)
    rows = []
    for title in titles:
        cells = [of_model.get(title) or "-" for of_model in facts]
        if set(cells) != {"-"}:
            rows.append((title, *cells))
    return Table(columns=tuple(columns), rows=tuple(rows), indent=0, splits=True)


def _facts(compared: Compared, *, verbose: bool) -> dict[str, str]:
    """The cells of a model by the titles of their rows, from the top; "" for an unknown fact."""
    verdict = compared.verdict
    pace = pace_title([verdict])
    figures = figures_of(verdict, pace)
    offers = own_offers(verdict)
    place = ""
    if verdict.can_run and verdict.machine.accelerators:
        # a model split over GPU and RAM is many times as slow
        place = figures.place
    judged_as = figures.quantization
    if verbose:
        judged_as = format_words(verdict.workload)
    facts = {
        "": answer_cell(verdict),
        "judged as": judged_as,
        "program": figures.program,
        "memory": figures.memory,
        "in": place,
        pace: figures.pace,
        "first word": _first_word(verdict),
        **_month_facts(verdict),
        # the size without the time
        "download": figures.download.partition(",")[0],
        "context up to": _longest_context(verdict, offers),
        "parameters": figures.parameters,
        "released": figures.released,
        "measured": figures.measured,
        "API, $ per 1M": _price(offers),
        "listed": offers[0].as_of if offers else "",
        "license": figures.license,
    }
    for row in (*compared.permissions, *compared.openness):
        if verbose or row.name in LABELS.lists["compared"]:
            facts[row.name] = openness_word(row.name, row.answer)
    return facts


def _first_word(verdict: Verdict) -> str:
    """The wait for the first word behind the stated prompt; empty where none is known."""
    wait = verdict.first_word_seconds
    return "" if wait is None else f"after {units.duration(wait.likely)}"


def _month_facts(verdict: Verdict) -> dict[str, str]:
    """The facts on the stated load: its cost by API, and its hours and electricity on the
    machine.
    """
    cost = verdict.monthly_cost
    if cost is None or cost.reason is not None:
        return {}
    bills = []
    for offer in cost.offers:
        if offer.usd_per_month is not None:
            bills.append(offer.usd_per_month)
    facts = {"a month by API": units.dollars(min(bills)) if bills else ""}
    local = cost.here
    if local is not None and local.hours_per_day is not None:
        facts["work a day"] = f"{units.pace(local.hours_per_day.likely)} hours"
    if local is not None and local.electricity_per_month is not None:
        facts["electricity a month"] = f"{local.electricity_per_month.likely:,.2f}"
    return facts


def _longest_context(verdict: Verdict, offers: Sequence[Offer]) -> str:
    """The longest context in tokens, with the limit that sets it; empty where it is not known.

    For a model that runs, this is the longest context that fits here; for a closed model, the
    context of the model or of an API.
    """
    trained = verdict.question.trained_tokens
    context = verdict.workload.context_tokens
    longest = 0
    if verdict.model.modality == "embedding":
        # an embedding model takes texts of this length under every question
        longest = trained or 0
    elif verdict.can_run and context is not None:
        longest = context
        if verdict.room is not None:
            longest = max(verdict.room.longest_context_tokens or 0, context)
    elif verdict.can_run or verdict.model.closed:
        served = [offer.context_tokens or 0 for offer in offers]
        longest = trained or max(served, default=0)
    if not longest:
        return ""
    if not verdict.can_run or trained is None:
        return f"{longest:,}"
    limit = "what fits"
    if longest >= trained:
        limit = "as trained"
    return f"{longest:,} ({limit})"


def _price(offers: Sequence[Offer]) -> str:
    """`0.10/0.30`: dollars for a million tokens in and out, or what else the first offer counts."""
    if not offers:
        return ""
    offer = offers[0]
    if offer.input_usd_per_million_tokens is None:
        return price_words(offer.replace(price_is_for=None))
    rates = []
    for rate in (
        offer.input_usd_per_million_tokens,
        offer.output_usd_per_million_tokens,
    ):
        if rate:
            # the title of the row has the dollar sign
            rates.append(units.dollars(rate).removeprefix("$"))
        elif rate is not None:
            rates.append("free")
    return "/".join(rates)


def _remarks(compared: Compared) -> list[str]:
    """The reason why a model does not run and the day of its shutdown; without a shutdown, the
    reason why the model is superseded.
    """
    verdict = compared.verdict
    remarks = []
    why = causes(verdict)
    if why:
        remarks.append(why)
    if verdict.shutdown is not None:
        remarks.append(shutdown_words(verdict.shutdown))
        return remarks
    for row in compared.openness:
        if row.name == "superseded" and row.answer == "yes":
            remarks.append(f"superseded {row.why.partition(':')[0]}")
        elif row.name == "superseded" and row.answer == "partly":
            remarks.append(row.why)
    return remarks


def _types_apart(verdicts: Sequence[Verdict]) -> str:
    """The sentence that the models are judged in different quantizations; empty where all have
    one.
    """
    types = {}
    for verdict in verdicts:
        if verdict.quantization is not None:
            types[verdict.model.id] = verdict.quantization
    if len(set(types.values())) < 2:
        return ""
    start = "Not in one quantization, so memory and pace are not like for like"
    listed = [f"{model} in {quantization}" for model, quantization in types.items()]
    return f"{start}: {', '.join(listed)}."
