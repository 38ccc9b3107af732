"""The screen of `show`: all that is known of one model, with the first questions of people on top.

A `ShownModel` goes in, blocks come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from ..advice.several import QuantizationSize, ShownModel
from ..catalogue import openness
from ..catalogue.names import is_path
from ..catalogue.offers import Offer
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import SCRATCH
from ..core import units
from ..core.quoting import shell_word
from ..judge.record import Verdict
from ..machine.record import Machine
from .answer_words import OPENNESS_WORDS, answer_line, openness_word
from .api_words import month_blocks, offer_words
from .labels import LABELS
from .layout import (
    Blocks,
    Cells,
    FigureRow,
    Hint,
    Table,
    command,
    known_figure,
    line,
    section,
    strong,
    texts,
)
from .measured_words import score_blocks
from .words import HERE, PLACES, asked_words, catalogue_words, place_words

# sizes of the first screen
_MOST_SIZES = 6


def show_document(
    shown: ShownModel,
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
    verdict = shown.verdict
    model = verdict.model
    yield from _title(model, verbose=verbose)
    yield answer_line(verdict)
    yield from texts(verdict.understood_as)
    yield line()
    yield Table.of("show", _first_facts(model))
    yield from section("Availability", texts(_availability(model)))
    if shown.sizes:
        yield line()
        yield from _sizes(verdict, shown.sizes)
    yield from score_blocks(model)
    if verdict.api_offers:
        yield line()
        yield from _first_offer(verdict.api_offers)
    if verdict.notes:
        yield line()
        yield from texts(verdict.notes, indent=0)
        yield line()
    yield from month_blocks(verdict)
    name = model.id
    if is_path(verdict.asked):
        name = shell_word(verdict.asked)
    to_check = command(f"selfhost check {name}{carry}")
    if verbose:
        yield from _every_fact(shown)
        yield from section("Next", [to_check])
    else:
        yield to_check
        yield line(Hint("Every size and fact with its source: ", "-v"))
    yield from texts([catalogue_words(as_of, today)], indent=0)


def model_document(model: ModelSpec) -> Blocks:
    """Yield what is known of a model without a machine: who made it, its license and openness, and
    where it is served.
    """
    yield from _title(model, verbose=False)
    yield line()
    yield Table.of("show", _first_facts(model))
    yield from section("Availability", texts(_availability(model)))


def _title(model: ModelSpec, *, verbose: bool) -> Blocks:
    """Yield the name of a model, its developer and release, its uses and size; with `verbose` its
    aliases.
    """
    made = ""
    if model.developer:
        made += f" by {model.developer}"
    if model.released:
        made += f", released {model.released}"
    yield line(strong(model.name), made)
    head = [model.id, ", ".join(model.uses or (model.modality,))]
    if model.parameters.total is not None:
        head.append(f"{units.count(model.parameters.total)} parameters")
    yield line(" · ".join(head))
    if model.aliases and verbose:
        yield line(f"also called {', '.join(model.aliases)}")
    if model.overrides:
        yield line(f"{model.origin} takes the place of {model.overrides}")


def _first_facts(model: ModelSpec) -> Iterator[FigureRow]:
    """Yield the license, the openness, the context and the base model, each with the reason."""
    if not model.closed:
        terms = "not known"
        if model.license is not None and model.license.id:
            terms = units.short_license(model.license.id)
        yield "license", terms, ""
    for row in openness.rows(model):
        if row.name in LABELS.lists["openness"]:
            yield row.name, openness_word(row.name, row.answer), row.why
    architecture = model.architecture
    if architecture is not None and architecture.context_tokens is not None:
        longer = ""
        if architecture.scaled_context_tokens:
            longer = f"{units.tokens(architecture.scaled_context_tokens)} by scaling"
        yield "context", units.tokens(architecture.context_tokens), longer
    if model.tuned_from == SCRATCH:
        yield "tuned from", "none, from scratch", ""
    elif model.tuned_from or "tuned_from" in model.unknown:
        yield "tuned from", model.tuned_from or "not known", ""


def _availability(model: ModelSpec) -> list[str]:
    """The lines on the service of a closed model; empty for a model whose weights are published."""
    served = model.availability
    if served is None:
        return []
    lines = [served.why]
    if served.retired:
        lines.append(f"retired: {served.retired}")
    if served.successor:
        lines.append(f"successor: {served.successor}")
    if served.free_tier:
        lines.append(f"free tier: {served.free_tier}")
    if served.open_alternatives:
        nearest = ", ".join(served.open_alternatives)
        lines.append(f"nearest with published weights: {nearest}")
    if not served.api:
        lines.append("no public API")
    return lines


def _sizes(verdict: Verdict, sizes: Sequence[QuantizationSize]) -> Blocks:
    """Yield a row for each quantization, the largest first. Of many quantizations, only the most
    usual ones and the judged one have a row.
    """
    usual = (*LABELS.lists["types"], verdict.workload.quantization)
    if len(sizes) > _MOST_SIZES:
        sizes = [size for size in sizes if size.quantization in usual] or sizes
    largest_first = sorted(sizes, key=attrgetter("bytes"), reverse=True)
    rows = [_size_cells(size, verdict.machine) for size in largest_first]
    title = f"Its sizes in {verdict.runtime}"
    if verdict.workload.context_tokens:
        title += f" with {units.tokens(verdict.workload.context_tokens)} of context"
    yield line(title, indent=2)
    where = place_words(verdict.machine)
    if where != HERE:
        # the headline names the machine
        where = "there"
    yield Table.of("sizes", rows, where=where)


def _size_cells(size: QuantizationSize, machine: Machine) -> Cells:
    """The cells of a quantization: its download, its memory, whether it fits, and its loss."""
    place = ""
    if machine.accelerators:
        # without a GPU the whole model is in RAM, so no place is shown
        place = PLACES.get(size.placement, "")
        if size.accelerator_likely_bytes is not None:
            place = PLACES["accelerator"]
    fits = OPENNESS_WORDS["unknown"]
    if size.fits is not None:
        fits = OPENNESS_WORDS["yes" if size.fits else "no"]
    # as `check` and `list` do: GPUs that hold all of the model decide
    memory_bytes = size.accelerator_likely_bytes or size.memory_likely_bytes
    return (
        size.quantization,
        units.decimal(size.bytes),
        known_figure(memory_bytes, units.binary, ""),
        place,
        fits,
        size.quality.cost,
    )


def _first_offer(offers: Sequence[Offer]) -> Blocks:
    """The first offer with its prices, and how many others there are."""
    offer = offers[0]
    if offer.why_instead is not None:
        # a note tells which model is offered in place of this one
        offer = offer.replace(stands_in=False, why_instead=None)
    whose, prices = offer_words(offer, None)
    more = ""
    if len(offers) > 1:
        more = Hint(f" ({len(offers) - 1} more: ", "-v", ")")
    yield line("By API: ", strong(whose), f", {prices}", more)


def _every_fact(shown: ShownModel) -> Blocks:
    """Yield the blocks of `-v`: the judged settings, every size, and the whole spec with its
    sources.
    """
    # imported here: the first screen needs neither module
    from . import json
    from .details import sections

    verdict = shown.verdict
    yield line()
    yield from texts([asked_words(verdict), *verdict.fine_print])
    about = {**json.about(verdict.model), "sizes": json.record(shown.sizes)}
    yield from sections(about, LABELS.show)
    yield from section(
        "Losses of quality, by the model's size", texts(shown.loss_by_size)
    )
    yield from sections(json.verdict(verdict), LABELS.show_verdict)
