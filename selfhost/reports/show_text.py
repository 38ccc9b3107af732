"""What `show` says to a person: what is known of one model."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ..advice.several import Shown
from ..catalogue import openness
from ..catalogue.names import is_path
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import SCRATCH
from ..core import units
from ..judge.record import Outcome
from . import words
from .layout import Blocks, Span, Table, command, line, section, strong, texts

_MOST_SIZES = 6
_FITS = {
    True: Span("yes", Outcome.PASS),
    False: Span("no", Outcome.FAIL),
    None: Span("not known", Outcome.UNKNOWN),
}


def show_document(
    shown: Shown,
    *,
    verbose: bool = False,
    carry: str = "",
    today: str | None = None,
    as_of: str | None = None,
) -> Blocks:
    """Yield what people ask of a model first: does it run here, may I use it, how large is it.

    `verbose` adds all that is known with its source. `carry` goes behind the proposed command,
    `as_of` is the day of the catalogue.
    """
    verdict, spec, offers = shown.verdict, shown.verdict.model, shown.verdict.api_offers
    yield from (*_title(spec, verbose), words.answer_line(verdict), *texts(verdict.understood_as))
    yield from (line(), Table.of("show", _rows(spec)))
    if served := spec.availability:
        stated = {
            "retired": served.retired,
            "successor": served.successor,
            "free tier": served.free_tier,
            "nearest with published weights": ", ".join(served.open_alternatives),
        }
        lines = (f"{name}: {value}" for name, value in stated.items() if value)
        public = "" if served.api else "no public API"
        yield from section("Availability", texts([served.why, *lines, public]))
    yield from (line(), _sizes_table(shown)) if shown.sizes else ()
    if offers:
        whose, prices = words.offer_words(offers[0].replace(stands_in=False), None)
        more = f" ({len(offers) - 1} more: -v)" if len(offers) > 1 else ""
        yield from (line(), line("By API: ", strong(whose), f", {prices}{more}"))
    yield from (line(), *texts(verdict.notes, indent=0), line()) if verdict.notes else ()
    yield from words.month_blocks(verdict)
    yield from _full_blocks(shown) if verbose else ()
    path = verdict.asked if is_path(verdict.asked) else None
    again = command(f"selfhost check {shlex.quote(path) if path else spec.id}{carry}")
    hint = line("Every size and fact with its source: -v")
    yield from section("Next", [again]) if verbose else (again, hint)
    yield from words.age_blocks(as_of, today)


def _title(spec: ModelSpec, verbose: bool) -> Blocks:
    by = f" by {spec.developer}" if spec.developer else ""
    when = f", released {spec.released}" if spec.released else ""
    yield line(strong(spec.name), f"{by}{when}")
    total = spec.parameters.total
    size = f"{units.count(total)} parameters" if total is not None else ""
    head = " · ".join(filter(None, (spec.id, ", ".join(spec.uses or (spec.modality,)), size)))
    names = f"also called {', '.join(spec.aliases)}" if spec.aliases and verbose else ""
    over = f"{spec.origin} takes the place of {spec.overrides}" if spec.overrides else ""
    yield from texts([head, names, over], indent=0)


def _rows(spec: ModelSpec) -> Iterator[tuple[str, ...]]:
    """Its license, how open it is, its context and what it was tuned from, each with why."""
    if not spec.closed:
        terms = spec.license and spec.license.id
        yield "license", (terms or "not known").replace("LicenseRef-", ""), ""
    for row in openness.rows(spec):
        if row.name in words.LABELS["show_first"]["openness"]:
            yield row.name, words.answer_word(row), row.why
    inside = spec.architecture
    if inside is not None and inside.context_tokens is not None:
        scaled = inside.scaled_context_tokens
        longer = f"{units.tokens(scaled)} by scaling" if scaled else ""
        yield "context", units.tokens(inside.context_tokens), longer
    if spec.tuned_from or "tuned_from" in spec.unknown:
        start = "none, from scratch" if spec.tuned_from == SCRATCH else spec.tuned_from
        yield "tuned from", start or "not known", ""


def _sizes_table(shown: Shown) -> Table:
    listed = list(shown.sizes)
    if len(listed) > _MOST_SIZES:
        usual = (*words.LABELS["show_first"]["types"], shown.verdict.workload.quantization)
        listed = [size for size in listed if size.quantization in usual] or listed
    rows = (
        (
            size.quantization,
            units.decimal(size.bytes),
            words.known(size.memory_likely_bytes, units.binary, ""),
            _FITS[size.fits],
            size.quality.cost,
        )
        for size in listed
    )
    return Table.of("sizes", rows, where=words.place_words(shown.verdict.machine))


def _full_blocks(shown: Shown) -> Blocks:
    from . import json

    verdict = shown.verdict
    yield from (line(), *texts((words.asked_words(verdict), *verdict.fine_print)))
    listed = [
        {key.replace("memory_bytes", "memory_up_to_bytes"): value for key, value in each.items()}
        for each in json.record(shown.sizes)
    ]
    about = {**json.about(verdict.model), "sizes": listed}
    yield from json.sections(about, words.LABELS["show"])
    yield from section("Losses of quality, by the model's size", texts(shown.loss_by_size))
    yield from json.sections(json.verdict(verdict), words.LABELS["show_verdict"])
