"""What `show` says to a person: what is known of one model."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from ..catalogue import openness
from ..catalogue.offers import Offer
from ..catalogue.paths import is_path
from ..catalogue.spec import Architecture, Attention, ModelSpec
from ..catalogue.spec_values import SCRATCH
from ..core import units
from ..judge.record import Outcome, Size, Verdict
from .check_details import quality_blocks
from .cost_text import month_blocks
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
    strong,
)
from .offer_text import offers_blocks
from .prices import offer_words
from .words import (
    aged_words,
    answer_line,
    answer_word,
    asked_words,
    license_name,
    memory_blocks,
    on_machine,
)

# characters below which the reason of an answer is left out
_LEAST_WHY = 24
# of the rows of openness those that decide whether one may use a model
_FIRST_ROWS = ("open source", "hosted access", "free to use", "auditable", "safe files", "current")
# of a long list of quantizations those that are published most
_USUAL = ("MXFP4", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16", "bfloat16", "float16",
          "fp8", "nf4")  # fmt: skip
_MOST_SIZES = 6
_FAMILIES = {
    "gguf": "GGUF, for llama.cpp and Ollama",
    "safetensors": "safetensors, for Transformers and vLLM",
    "mlx": "MLX, for Apple silicon",
}
_FITS = {
    True: Span(text="yes", style=Outcome.PASS),
    False: Span(text="no", style=Outcome.FAIL),
    None: Span(text="not known", style=Outcome.UNKNOWN),
}
_ANSWER_COLUMNS = (Column(), Column(), Column(wrap=True), Column(drop=1))
_ASSUMED = (
    "assumed: by general knowledge of the model or the license, which no source here confirms"
)


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
        blocks.append(answer_line(verdict, verdict.machine))
        blocks.extend(say(note, indent=2) for note in verdict.understood_as)
    if verbose:
        blocks += [
            *_judged(verdict),
            *_availability(spec),
            *_openness(spec),
            *_architecture(spec, rewrites=verdict is not None and verdict.rewrites),
            *_all_sizes(sizes, verdict, spec.modality, loss_by_size),
            *_needs(spec, verdict),
            *_costs(spec, offers, verdict, today),
            *_sources(spec),
            *heading("Next"),
        ]
    else:
        blocks += _in_short(spec, sizes, offers, verdict)
    path = verdict.asked if verdict is not None and is_path(verdict.asked) else None
    blocks.append(command_line(f"selfhost check {shlex.quote(path) if path else spec.id}{carry}"))
    if not verbose:
        blocks.append(say("Every size and fact with its source: -v"))
    return Document(blocks=(*blocks, *aged_words(as_of, today)))


def _title(spec: ModelSpec, verbose: bool) -> Iterator[Block]:
    """The model's name and what it is for; with `verbose` its other names too."""
    by = f" by {spec.developer}" if spec.developer else ""
    when = f" released {spec.released}" if spec.released else ""
    yield line(strong(spec.name), ",".join(filter(None, (by, when))))
    total = spec.parameters.total
    size = f"{units.count(total)} parameters" if total is not None else ""
    yield say(" · ".join(filter(None, (spec.id, ", ".join(spec.uses or (spec.modality,)), size))))
    if spec.aliases and verbose:
        yield say(f"also called {', '.join(spec.aliases)}", hang=2)
    if verbose and spec.tuned_from is not None:
        origin, why = _origin(spec)
        yield say(why or f"tuned from {origin}", hang=2)
    if spec.overrides:
        yield say(f"{spec.origin} takes the place of {spec.overrides}", hang=2)
    if verbose:
        yield BLANK


def _origin(spec: ModelSpec) -> tuple[str, str]:
    """The model that it was tuned from, and why there is none."""
    if spec.tuned_from == SCRATCH:
        return "none", "trained from random weights"
    return spec.tuned_from or "not known", ""


def _in_short(
    spec: ModelSpec, sizes: Sequence[Size], offers: Sequence[Offer], verdict: Verdict | None
) -> Iterator[Block]:
    """The first screen: what may be done with it, and the sizes that people choose from."""
    yield BLANK
    columns = (Column(), Column(), Column(cut=_LEAST_WHY, drop=1))
    yield Table(columns=columns, rows=tuple(_rows_in_short(spec)))
    yield from _availability(spec)
    if chosen := _usual(sizes, None if verdict is None else verdict.workload.quantization):
        yield from (BLANK, _sizes_table(chosen, verdict))
    if offers:
        whose, prices = offer_words(offers[0].replace(stands_in=False), None)
        more = f" ({len(offers) - 1} more: -v)" if len(offers) > 1 else ""
        yield from (BLANK, line("By API: ", strong(whose), f", {prices}{more}", hang=2))
    if verdict is not None and verdict.notes:
        yield BLANK
        yield from (say(note, hang=2) for note in verdict.notes)
        yield BLANK


def _rows_in_short(spec: ModelSpec) -> Iterator[tuple[Cell, ...]]:
    """What a model is free to be used for, open, safe, current and made of, each with why."""
    if not spec.closed:
        terms = spec.license.id if spec.license is not None else None
        yield "license", license_name(terms) or "not known", ""
    for row in openness.rows(spec):
        if row.name in _FIRST_ROWS:
            yield row.name, answer_word(row), row.why
    architecture = spec.architecture
    if architecture is not None and architecture.context_tokens is not None:
        scaled = architecture.scaled_context_tokens
        longer = f"{units.tokens(scaled)} by scaling" if scaled else ""
        yield "context", units.tokens(architecture.context_tokens), longer
    if spec.tuned_from is not None or "tuned_from" in spec.unknown:
        yield ("tuned from", *_origin(spec))


def _usual(sizes: Sequence[Size], judged: str | None) -> list[Size]:
    """The sizes of the first family that people choose from, and the one that is judged."""
    first = [size for size in sizes if size.family == sizes[0].family]
    if len(first) <= _MOST_SIZES:
        return first
    usual = [size for size in first if size.quantization in _USUAL] or first
    return [size for size in first if size in usual[:_MOST_SIZES] or size.quantization == judged]


def _judged(verdict: Verdict | None) -> Iterator[Block]:
    if verdict is None:
        return
    if judged_as := asked_words(verdict):
        yield say(judged_as, indent=2)
    for note in (*verdict.notes, *verdict.fine_print):
        yield say(note, indent=2, hang=2)


def _all_sizes(
    sizes: Sequence[Size], verdict: Verdict | None, modality: str, loss_by_size: tuple[str, str]
) -> Iterator[Block]:
    """A table a family: what travels, what it takes, whether it fits, what it costs in quality."""
    families = tuple(dict.fromkeys(size.family for size in sizes))
    if not families:
        return
    yield from heading("Sizes")
    for family in families:
        listed = [size for size in sizes if size.family == family]
        if len(families) > 1:
            yield from (BLANK, say(_FAMILIES.get(family, family), indent=2))
        yield _sizes_table(listed, verdict)
        yield from _sizes_sources(listed)
        for size in listed:
            yield from quality_blocks(size.quantization, size.quality)
    others = "other models" if modality in ("text", "vision") else "models that write text alone"
    why = f"Losses were measured with {others}; small models lose more than large ones."
    yield from (BLANK, say(why, indent=2, hang=2))
    yield from (say(part, indent=4, hang=2) for part in loss_by_size if part)


def _sizes_table(sizes: Sequence[Size], verdict: Verdict | None) -> Table:
    several = len({size.runtime for size in sizes}) > 1
    where = on_machine(verdict.machine, short=True) if verdict is not None else "here"
    columns = (
        Column(title="quant"),
        Column(title="download", right=True),
        Column(title="memory", right=True, drop=2),
        Column(title=f"runs {where}"),
        Column(title="loss of quality"),
        Column(title="with" if several else "", drop=1),
        Column(title="known as", drop=3),
    )
    rows = tuple(
        (
            size.quantization,
            units.decimal(size.bytes),
            "" if size.memory_bytes is None else units.binary(size.memory_bytes),
            _FITS[size.fits],
            size.quality.cost,
            size.runtime if several else "",
            size.how,
        )
        for size in sizes
    )
    return Table(columns=columns, rows=rows)


def _sizes_sources(sizes: Sequence[Size]) -> Iterator[Block]:
    """Where the sizes come from: the common source once, the others with their names."""
    by_source: dict[str, list[str]] = {}
    for size in sizes:
        by_source.setdefault(size.source, []).append(size.quantization)
    *few, (common, _) = sorted(by_source.items(), key=lambda item: len(item[1]))
    named = [(source, names) for source, names in few if source]
    for source, names in named:
        yield say(f"{', '.join(names)}: {source}", indent=2, hang=2)
    if common:
        yield say(f"{'the others: ' if named else ''}{common}", indent=2, hang=2)


def _availability(spec: ModelSpec) -> Iterator[Block]:
    served = spec.availability
    if served is None:
        return
    yield from heading("Availability")
    nearest = ", ".join(served.open_alternatives)
    for text in (
        served.why,
        f"provider: {served.provider}",
        "" if served.api else "no public API",
        f"retired: {served.retired}" if served.retired else "",
        f"successor: {served.successor}" if served.successor else "",
        f"free tier: {served.free_tier}" if served.free_tier else "",
        f"nearest with published weights: {nearest}" if nearest else "",
    ):
        if text:
            yield say(text, indent=2, hang=2)


def _openness(spec: ModelSpec) -> Iterator[Block]:
    """The table of openness, what the license allows, and the numbered sources of both."""
    numbers: dict[str, int] = {}
    yield from heading("Openness")
    rows = [
        cells
        for row in openness.rows(spec)
        for cells in (_answer(row, numbers), *(_answer(part, numbers, 1) for part in row.parts))
    ]
    yield Table(columns=_ANSWER_COLUMNS, rows=tuple(rows))
    definition = f"{openness.DEFINITION} ({', '.join(openness.DEFINITION_SOURCES)})"
    yield say(definition, indent=2)
    yield from _license(spec, numbers)
    if not numbers:
        return
    yield from heading("Openness and license known from")
    for source, number in numbers.items():
        yield say(f"[{number}] {source}", indent=2, hang=4)
    if any(row.assumed for each in openness.rows(spec) for row in (each, *each.parts)):
        yield say(_ASSUMED, indent=2, hang=2)


def _license(spec: ModelSpec, numbers: dict[str, int]) -> Iterator[Block]:
    """What the license allows, its conditions and duties."""
    terms = spec.license
    if terms is not None:
        yield from heading(f"License: {terms.id or 'not known'}")
        permissions = tuple(_answer(row, numbers) for row in openness.permissions(spec))
        yield Table(columns=_ANSWER_COLUMNS, rows=permissions)
        for text in (*(f"condition: {each}" for each in terms.conditions),
                     *(f"duty: {each}" for each in terms.duties), terms.url):  # fmt: skip
            if text:
                yield say(text, indent=2, hang=2)


def _answer(row: openness.Row, numbers: dict[str, int], depth: int = 0) -> tuple[Cell, ...]:
    # the sources of a row with parts stand beside the parts
    sources = () if row.parts else row.sources
    marks = [f"[{numbers.setdefault(source, len(numbers) + 1)}]" for source in sources]
    marks += ["assumed"] * row.assumed
    return "  " * depth + row.name, answer_word(row), row.why, " ".join(marks)


def _architecture(spec: ModelSpec, *, rewrites: bool) -> Iterator[Block]:
    """Parameters and architecture in words."""
    lines: list[str] = []
    total, active, encoders = (
        spec.parameters.total, spec.parameters.active, spec.parameters.encoders,
    )  # fmt: skip
    if total is not None:
        text = f"{units.count(total)} parameters"
        text += f", {units.count(encoders)} of them encoders" if encoders else ""
        if active is not None and active != total:
            counted = f"the token table{' and the encoders' if encoders else ''}"
            text += f", {units.count(active)} used per token with {counted}"
            text += ", which not all publishers count"
        lines.append(text)
    title = "Architecture"
    if spec.architecture is not None:
        title += f": {spec.architecture.row}"
        lines.extend(_layers(spec.architecture, rewrites=rewrites))
    if spec.embedding_length is not None:
        lines.append(f"embeddings of {spec.embedding_length:,} numbers")
    for name, number in spec.components.items():
        lines.append(f"{name.replace('_', ' ')}: {units.count(number)} parameters")
    if lines:
        yield from heading(title)
    yield from (say(text, indent=2, hang=2) for text in lines)


def _layers(inside: Architecture, *, rewrites: bool) -> Iterator[str]:
    vocabulary = f", vocabulary {inside.vocabulary:,}" if inside.vocabulary else ""
    yield f"{inside.layers} layers, {inside.embedding_length:,} wide{vocabulary}"
    counts: Counter[tuple[str, str]] = Counter()
    for group in inside.attention:
        counts["", f" of {group.kind} attention: {_heads(group)}"] += len(group.layers)
    for state in inside.recurrent:
        what = ", whose state does not grow with the context"
        counts[f"{state.kind} ", what] += len(state.layers)
    for block in inside.feed_forward:
        if block.experts:
            experts = f" of {block.experts} experts, {block.used} used per token"
            counts["", experts] += len(block.layers)
    for (kind, what), number in counts.items():
        yield f"{number} {kind}layer{'' if number == 1 else 's'}{what}"
    if inside.audio is not None:
        audio = inside.audio
        yield f"audio encoder: {audio.layers} layers, {audio.embedding_length:,} wide"
    if inside.context_tokens is not None:
        used = "to read and as many to write" if rewrites else "of context"
        yield f"trained for {units.tokens(inside.context_tokens)} {used}"
    parts = (("experts", inside.expert_dtype), ("matrices", inside.matrix_dtype))
    if narrow := [f"{part} in {dtype}" for part, dtype in parts if dtype is not None]:
        rest = f", the rest in {inside.dtype}" if inside.dtype is not None else ""
        yield f"published with {' and '.join(narrow)}{rest}"
    elif inside.dtype is not None:
        yield f"published as {inside.dtype}"


def _heads(group: Attention) -> str:
    heads = f"{group.heads} heads"
    if group.kind == "latent":
        heads += f" over {group.latent_length or 0:,} cached numbers"
    elif group.heads != group.kv_heads:
        heads += f" sharing {group.kv_heads} KV heads"
    window = group.window_tokens
    return heads if window is None else f"{heads}, window of {units.tokens(window)}"


def _needs(spec: ModelSpec, verdict: Verdict | None) -> Iterator[Block]:
    """The memory term by term, or as the spec states it."""
    needs = verdict.needs if verdict is not None else None
    stated = spec.needs
    if needs is not None and (needs.memory is not None or needs.known_terms):
        yield from memory_blocks(needs)
    elif stated is not None:
        yield from heading("Needs, as stated")
        if stated.low_bytes is not None and stated.high_bytes is not None:
            ends = dict.fromkeys((units.binary(stated.low_bytes), units.binary(stated.high_bytes)))
            yield say(f"memory: {' to '.join(ends)}", indent=2)
        if stated.disk_bytes is not None:
            yield say(f"disk: {units.decimal(stated.disk_bytes)}", indent=2)
        if stated.source:
            yield say(f"source: {stated.source}", indent=2, hang=2)


def _costs(
    spec: ModelSpec, offers: Sequence[Offer], verdict: Verdict | None, today: str | None
) -> Iterator[Block]:
    cost = verdict.monthly_cost if verdict is not None else None
    yield from offers_blocks(offers, spec.modality, today=today, cost=cost)
    if verdict is not None:
        yield from month_blocks(verdict, verbose=True)


def _sources(spec: ModelSpec) -> Iterator[Block]:
    """The sources that stand nowhere above, and what is not known."""
    rows = (*openness.rows(spec), *openness.permissions(spec))
    numbered = {source for row in rows for each in (row, *row.parts) for source in each.sources}
    others = {key: text for key, text in spec.sources.items() if text not in numbered}
    for title, pairs in (("Sources", others), ("Not known", spec.unknown)):
        if pairs:
            yield from heading(title)
        yield from (say(f"{key}: {text}", indent=2, hang=2) for key, text in pairs.items())
