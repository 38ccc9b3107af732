"""What `show` says to a person: what is known of one model."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from ..advice.several import Size
from ..catalogue import openness
from ..catalogue.names import is_path
from ..catalogue.offers import Offer
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import SCRATCH
from ..core import units
from ..judge.record import Outcome, Verdict
from .cost_text import month_blocks, offer_words
from .layout import (
    BLANK,
    Block,
    Cell,
    Column,
    Document,
    Span,
    Table,
    command_line,
    heading,
    line,
    say,
    section,
    strong,
    texts,
)
from .words import (
    aged_words,
    answer_line,
    answer_word,
    asked_words,
    labels,
    license_name,
    on_machine,
)

# of the rows of openness those that decide whether one may use a model
_FIRST_ROWS = ("open source", "hosted access", "free to use", "auditable", "safe files", "current")
# of a long list of quantizations those that are published most
_USUAL = ("MXFP4", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16", "bfloat16", "float16",
          "fp8", "nf4")  # fmt: skip
_MOST_SIZES = 6
_FITS = {
    True: Span(text="yes", style=Outcome.PASS),
    False: Span(text="no", style=Outcome.FAIL),
    None: Span(text="not known", style=Outcome.UNKNOWN),
}


def show_document(
    spec: ModelSpec,
    sizes: Sequence[Size] = (),
    offers: Sequence[Offer] = (),
    verdict: Verdict | None = None,
    *,
    verbose: bool = False,
    carry: str = "",
    today: str | None = None,
    as_of: str | None = None,
    loss_by_size: tuple[str, str] = ("", ""),
) -> Document:
    """Return what people ask of a model first: does it run here, may I use it, how large is it.

    `verbose` adds all that is known with its source, and `loss_by_size`, how the loss of quality
    depends on the model's size. `carry` goes behind the proposed command. `as_of` is the day of
    the catalogue.
    """
    blocks: list[Block] = [*_title(spec, verbose)]
    if verdict is not None:
        blocks += [answer_line(verdict), *texts(verdict.understood_as, hang=0)]
    columns = (Column(), Column(), Column(wrap=True, drop=1))
    blocks += [BLANK, Table(columns=columns, rows=tuple(_rows(spec)))]
    blocks += _availability(spec)
    if sizes:
        blocks += [BLANK, _sizes_table(sizes, verdict)]
    if offers:
        whose, prices = offer_words(offers[0].replace(stands_in=False), None)
        more = f" ({len(offers) - 1} more: -v)" if len(offers) > 1 else ""
        blocks += [BLANK, line("By API: ", strong(whose), f", {prices}{more}", hang=2)]
    if verdict is not None:
        blocks += (BLANK, *texts(verdict.notes, indent=0), BLANK) if verdict.notes else ()
        blocks += month_blocks(verdict)
    if verbose:
        blocks += _in_full(spec, sizes, verdict, loss_by_size)
    path = verdict.asked if verdict is not None and is_path(verdict.asked) else None
    blocks.append(command_line(f"selfhost check {shlex.quote(path) if path else spec.id}{carry}"))
    if not verbose:
        blocks.append(say("Every size and fact with its source: -v"))
    return Document(blocks=(*blocks, *aged_words(as_of, today)))


def _title(spec: ModelSpec, verbose: bool) -> Iterator[Block]:
    """The model's name and what it is for; with `verbose` its other names too."""
    by = f" by {spec.developer}" if spec.developer else ""
    when = f", released {spec.released}" if spec.released else ""
    yield line(strong(spec.name), f"{by}{when}")
    total = spec.parameters.total
    size = f"{units.count(total)} parameters" if total is not None else ""
    head = " · ".join(filter(None, (spec.id, ", ".join(spec.uses or (spec.modality,)), size)))
    names = f"also called {', '.join(spec.aliases)}" if spec.aliases and verbose else ""
    over = f"{spec.origin} takes the place of {spec.overrides}" if spec.overrides else ""
    yield from texts([head, names, over], indent=0)


def _rows(spec: ModelSpec) -> Iterator[tuple[Cell, ...]]:
    """What a model is free to be used for, open, safe, current and made of, each with why."""
    if not spec.closed:
        terms = license_name(spec.license.id) if spec.license is not None else ""
        yield "license", terms or "not known", ""
    for row in openness.rows(spec):
        if row.name in _FIRST_ROWS:
            yield row.name, answer_word(row), row.why
    inside = spec.architecture
    if inside is not None and inside.context_tokens is not None:
        scaled = inside.scaled_context_tokens
        longer = f"{units.tokens(scaled)} by scaling" if scaled else ""
        yield "context", units.tokens(inside.context_tokens), longer
    if spec.tuned_from or "tuned_from" in spec.unknown:
        start = "none, from scratch" if spec.tuned_from == SCRATCH else spec.tuned_from
        yield "tuned from", start or "not known", ""


def _availability(spec: ModelSpec) -> Iterator[Block]:
    """What is known of how a closed model is served."""
    served = spec.availability
    if served is None:
        return
    stated = {
        "retired: ": served.retired,
        "successor: ": served.successor,
        "free tier: ": served.free_tier,
        "nearest with published weights: ": ", ".join(served.open_alternatives),
    }
    lines = [f"{name}{value}" for name, value in stated.items() if value]
    yield from section("Availability", [served.why, *lines, "" if served.api else "no public API"])


def _sizes_table(sizes: Sequence[Size], verdict: Verdict | None) -> Table:
    """The sizes that people choose from, and the one that is judged."""
    judged = None if verdict is None else verdict.workload.quantization
    listed = list(sizes)
    if len(listed) > _MOST_SIZES:
        listed = [size for size in sizes if size.quantization in (*_USUAL, judged)] or listed
    where = on_machine(verdict.machine, short=True) if verdict is not None else "here"
    columns = (
        Column(title="quant"),
        Column(title="download", right=True),
        Column(title="memory", right=True, drop=2),
        Column(title=f"runs {where}"),
        Column(title="loss of quality"),
    )
    rows = tuple(
        (
            size.quantization,
            units.decimal(size.bytes),
            "" if size.memory_likely_bytes is None else units.binary(size.memory_likely_bytes),
            _FITS[size.fits],
            size.quality.cost,
        )
        for size in listed
    )
    return Table(columns=columns, rows=rows)


def _in_full(
    spec: ModelSpec,
    sizes: Sequence[Size],
    verdict: Verdict | None,
    loss_by_size: tuple[str, str],
) -> Iterator[Block]:
    """All that is known with its source."""
    from . import json

    if verdict is not None:
        yield from (BLANK, *texts((asked_words(verdict), *verdict.fine_print)))
    listed = [
        {key.replace("memory_bytes", "memory_up_to_bytes"): value for key, value in each.items()}
        for each in json.record(sizes)
    ]
    yield from json.sections({**json.about(spec), "sizes": listed}, labels("show"))
    yield from section("Losses of quality, by the model's size", loss_by_size)
    if verdict is not None:
        yield from json.sections(json.verdict(verdict), labels("show_verdict"))
    yield from heading("Next")
