"""What `show` says to a person: what is known of one model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ..catalogue import openness
from ..catalogue.offers import Offer, provider_name
from ..catalogue.paths import is_path
from ..catalogue.spec import Architecture, Attention, ModelSpec
from ..catalogue.spec_values import SCRATCH
from ..core import units
from ..verdict.record import Outcome, Size, Verdict
from .cost_text import month_blocks
from .layout import Block, Column, Document, Span, Table
from .offer_text import offers_blocks
from .prices import price_words
from .words import (
    BLANK,
    aged_words,
    answer_line,
    answer_word,
    asked_words,
    command_line,
    line,
    memory_blocks,
    on_machine,
    pairs_block,
    say,
    section,
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
    """What people ask of a model first: does it run here, may I use it, how large is it. With
    `verbose` all that is known, each with its source, and `loss_by_size`: how what a quantization
    costs depends on the model's size, and the source of that. `sizes` are in the order given;
    `carry` goes behind the command that is proposed. `as_of` is the day of the catalogue, told
    where it is more than half a year before `today`.
    """
    blocks: list[Block] = [*_title(spec, verbose=verbose)]
    if verdict is not None:
        blocks.append(answer_line(verdict, verdict.machine))
        blocks.extend(say(note, indent=2) for note in verdict.understood_as)
    if verbose:
        _all(blocks, spec, sizes, offers, verdict, today=today, loss_by_size=loss_by_size)
    else:
        _in_short(blocks, spec, sizes, offers, verdict)
        if verdict is not None and verdict.notes:
            blocks += [BLANK, *(say(note, hang=2) for note in verdict.notes), BLANK]
    if verbose:
        section(blocks, "Next")
    path = verdict.asked if verdict is not None and is_path(verdict.asked) else None
    blocks.append(command_line(f"selfhost check {_typed(path) if path else spec.id}{carry}"))
    if not verbose:
        blocks.append(say("Every size and fact with its source: -v"))
    blocks += aged_words(as_of, today)
    return Document(blocks=tuple(blocks))


def _typed(path: str) -> str:
    """A path as a shell reads it."""
    from shlex import quote

    return quote(path)


def _title(spec: ModelSpec, *, verbose: bool) -> Iterator[Block]:
    """The model's name and what it is for; with `verbose` its other names too."""
    yield line(Span(text=spec.name, style="strong"), _by(spec))
    total = spec.parameters.total
    parts = (
        spec.id,
        ", ".join(spec.uses or (spec.modality,)),
        f"{units.count(total)} parameters" if total is not None else "",
    )
    yield say(" · ".join(part for part in parts if part))
    if spec.aliases and verbose:
        yield say(f"also called {', '.join(spec.aliases)}", hang=2)
    if verbose and spec.tuned_from is not None:
        origin, why = _origin(spec)
        yield say(why or f"tuned from {origin}", hang=2)
    if spec.overrides:
        yield say(f"{spec.origin} takes the place of {spec.overrides}", hang=2)
    if verbose:
        yield BLANK


# characters below which the reason of an answer is left out
_LEAST_WHY = 24
# of the rows of openness those that decide whether one may use a model
_FIRST_ROWS = (
    "open source",
    "hosted access",
    "free to use",
    "auditable",
    "safe files",
    "current",
)


def _in_short(
    blocks: list[Block],
    spec: ModelSpec,
    sizes: Sequence[Size],
    offers: Sequence[Offer],
    verdict: Verdict | None,
) -> None:
    """The first screen: what may be done with it, and the sizes that people choose from."""
    # why an answer is what it is stands in full under `-v`
    columns = (Column(), Column(), Column(cut=_LEAST_WHY, drop=1))
    blocks += [BLANK, Table(columns=columns, rows=_rows_in_short(spec))]
    if spec.availability is not None:
        _closed(blocks, spec)
    chosen = _usual(sizes, None if verdict is None else verdict.workload.quantization)
    if chosen:
        where = on_machine(verdict.machine, short=True) if verdict is not None else "here"
        blocks += [BLANK, _sizes_table(chosen, where)]
    if offers:
        prices = price_words(offers[0]) or "at a price that is not known here"
        more = f" ({len(offers) - 1} more: -v)" if len(offers) > 1 else ""
        name = Span(text=provider_name(offers[0].provider), style="strong")
        blocks += [BLANK, line("By API: ", name, f", {prices}{more}", hang=2)]


def _rows_in_short(spec: ModelSpec) -> tuple[tuple[Span, Span, Span], ...]:
    """What a model is free to be used for, open, safe, current and made of, each with why."""
    license = spec.license.id if spec.license is not None else None
    shown = (license or "not known").removeprefix("LicenseRef-")
    rows = [(Span(text="license"), Span(text=shown), Span(text=""))]
    if spec.closed:
        rows = []
    rows += [
        (Span(text=row.name), answer_word(row), Span(text=row.why))
        for row in openness.rows(spec)
        if row.name in _FIRST_ROWS
    ]
    architecture = spec.architecture
    if architecture is not None and architecture.context_tokens is not None:
        trained, scaled = architecture.context_tokens, architecture.scaled_context_tokens
        longer = f"{units.tokens(scaled)} by scaling" if scaled else ""
        rows.append((Span(text="context"), Span(text=units.tokens(trained)), Span(text=longer)))
    if spec.tuned_from is not None or "tuned_from" in spec.unknown:
        origin, why = _origin(spec)
        rows.append((Span(text="tuned from"), Span(text=origin), Span(text=why)))
    return tuple(rows)


def _origin(spec: ModelSpec) -> tuple[str, str]:
    """The model that it was tuned from, and why there is none."""
    if spec.tuned_from == SCRATCH:
        return "none", "trained from random weights"
    return spec.tuned_from or "not known", ""


# of a long list of quantizations those that are published most
_USUAL = ("MXFP4", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16", "bfloat16", "float16",
          "fp8", "nf4")  # fmt: skip
_MOST_SIZES = 6


def _usual(sizes: Sequence[Size], judged: str | None) -> list[Size]:
    """The sizes of the first family that people choose from; all where they are few. The one that
    is judged is among them.
    """
    first = [size for size in sizes if size.family == sizes[0].family]
    if len(first) <= _MOST_SIZES:
        return first
    usual = [size for size in first if size.quantization in _USUAL] or first
    kept = usual[:_MOST_SIZES]
    return [size for size in first if size in kept or size.quantization == judged]


def _all(
    blocks: list[Block],
    spec: ModelSpec,
    sizes: Sequence[Size],
    offers: Sequence[Offer],
    verdict: Verdict | None,
    *,
    today: str | None,
    loss_by_size: tuple[str, str],
) -> None:
    """Everything, with its sources."""
    if verdict is not None:
        if judged_as := asked_words(verdict):
            blocks.append(say(judged_as, indent=2))
        notes = (*verdict.notes, *verdict.fine_print)
        blocks.extend(say(note, indent=2, hang=2) for note in notes)
    if spec.availability is not None:
        _closed(blocks, spec)
    numbered = _open(blocks, spec)
    _inside(blocks, spec, rewrites=verdict is not None and verdict.rewrites)
    _sizes(blocks, sizes, verdict, spec.modality, loss_by_size=loss_by_size)
    needs = verdict.needs if verdict is not None else None
    if needs is not None and (needs.memory is not None or needs.known_terms):
        memory_blocks(blocks, needs)
    elif spec.needs is not None:
        _stated(blocks, spec)
    cost = verdict.monthly_cost if verdict is not None else None
    offers_blocks(blocks, offers, spec.modality, verbose=True, today=today, cost=cost)
    if verdict is not None:
        month_blocks(blocks, verdict, verbose=True)
    pairs_block(
        blocks, "Sources", {key: text for key, text in spec.sources.items() if text not in numbered}
    )
    pairs_block(blocks, "Not known", spec.unknown)


_FAMILIES = {
    "gguf": "GGUF, for llama.cpp and Ollama",
    "safetensors": "safetensors, for Transformers and vLLM",
    "mlx": "MLX, for Apple silicon",
}


def _sizes(
    blocks: list[Block],
    sizes: Sequence[Size],
    verdict: Verdict | None,
    modality: str,
    *,
    loss_by_size: tuple[str, str],
) -> None:
    """One table a family: what travels, what it takes, whether it fits here, what it costs in
    quality.
    """
    families = tuple(dict.fromkeys(size.family for size in sizes))
    if not families:
        return
    section(blocks, "Sizes")
    where = on_machine(verdict.machine, short=True) if verdict is not None else "here"
    for family in families:
        listed = [size for size in sizes if size.family == family]
        if len(families) > 1:
            blocks += [BLANK, say(_FAMILIES.get(family, family), indent=2)]
        blocks.append(_sizes_table(listed, where))
        blocks.extend(_sources_of(listed))
        for size in listed:
            blocks.extend(_quality(size))
    others = "other models" if modality in ("text", "vision") else "models that write text alone"
    why = f"Losses were measured with {others}; small models lose more than large ones."
    blocks += [BLANK, say(why, indent=2, hang=2)]
    blocks.extend(say(part, indent=4, hang=2) for part in loss_by_size if part)


_FITS = {
    True: Span(text="yes", style=Outcome.PASS),
    False: Span(text="no", style=Outcome.FAIL),
    None: Span(text="not known", style=Outcome.UNKNOWN),
}


def _sizes_table(sizes: Sequence[Size], where: str) -> Table:
    several = len({size.runtime for size in sizes}) > 1
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
            Span(text=size.quantization),
            Span(text=units.decimal(size.bytes)),
            Span(text="" if size.memory_bytes is None else units.binary(size.memory_bytes)),
            _FITS[size.fits],
            Span(text=size.quality.cost),
            Span(text=size.runtime if several else ""),
            Span(text=size.how),
        )
        for size in sizes
    )
    return Table(columns=columns, rows=rows)


def _quality(size: Size) -> Iterator[Block]:
    """What a size costs in quality, and how that is known."""
    cost = size.quality
    text = cost.text if cost.loss_percent is not None else f"{cost.cost}: {cost.text}"
    yield line(Span(text=size.quantization, style="strong"), f": {text}", indent=2, hang=2)
    yield from (say(part, indent=4, hang=2) for part in (cost.figure, cost.source) if part)


def _sources_of(sizes: Sequence[Size]) -> list[Block]:
    """Where the sizes come from: the common source once, the others with their names."""
    by_source: dict[str, list[str]] = {}
    for size in sizes:
        by_source.setdefault(size.source, []).append(size.quantization)
    *few, (common, _) = sorted(by_source.items(), key=lambda item: len(item[1]))
    named = [
        say(f"{', '.join(names)}: {source}", indent=2, hang=2) for source, names in few if source
    ]
    return (
        [*named, say(f"{'the others: ' if named else ''}{common}", indent=2, hang=2)]
        if common
        else list(named)
    )


def _by(spec: ModelSpec) -> str:
    parts = [
        f" by {spec.developer}" if spec.developer else "",
        f" released {spec.released}" if spec.released else "",
    ]
    return ",".join(part for part in parts if part)


def _closed(blocks: list[Block], spec: ModelSpec) -> None:
    served = spec.availability
    if served is None:
        return
    section(blocks, "Availability")
    blocks.append(say(served.why, indent=2))
    blocks.append(say(f"provider: {served.provider}", indent=2))
    if not served.api:
        blocks.append(say("no public API", indent=2))
    if served.retired:
        blocks.append(say(f"retired: {served.retired}", indent=2))
    if served.successor:
        blocks.append(say(f"successor: {served.successor}", indent=2))
    if served.free_tier:
        blocks.append(say(f"free tier: {served.free_tier}", indent=2, hang=2))
    if served.open_alternatives:
        blocks.append(
            say(
                f"nearest with published weights: {', '.join(served.open_alternatives)}",
                indent=2,
                hang=2,
            )
        )


def _open(blocks: list[Block], spec: ModelSpec) -> Collection[str]:
    """The table of openness, then what the license allows; sources are numbered and stand
    below, each once. Returns them.
    """
    numbers: dict[str, int] = {}
    section(blocks, "Openness")
    rows = [
        cells
        for row in openness.rows(spec)
        for cells in (_answered(row, numbers), *(_answered(part, numbers, 1) for part in row.parts))
    ]
    blocks.append(_answers(rows))
    blocks.append(
        say(f"{openness.DEFINITION} ({', '.join(openness.DEFINITION_SOURCES)})", indent=2)
    )
    terms = spec.license
    if terms is not None:
        section(blocks, f"License: {terms.id or 'not known'}")
        blocks.append(_answers([_answered(row, numbers) for row in openness.permissions(spec)]))
        blocks.extend(
            say(f"condition: {condition}", indent=2, hang=2) for condition in terms.conditions
        )
        blocks.extend(say(f"duty: {duty}", indent=2, hang=2) for duty in terms.duties)
        if terms.url:
            blocks.append(say(terms.url, indent=2))
    if numbers:
        section(blocks, "Openness and license known from")
        blocks.extend(
            say(f"[{number}] {source}", indent=2, hang=4) for source, number in numbers.items()
        )
        if any(cells[3].text.endswith("assumed") for cells in rows):
            blocks.append(
                say(
                    "assumed: by general knowledge of the model or the license, which no source"
                    " here confirms",
                    indent=2,
                    hang=2,
                )
            )
    return numbers


def _answers(rows: Sequence[tuple[Span, ...]]) -> Table:
    return Table(columns=(Column(), Column(), Column(wrap=True), Column(drop=1)), rows=tuple(rows))


def _answered(row: openness.Row, numbers: dict[str, int], depth: int = 0) -> tuple[Span, ...]:
    # the sources of a row with parts stand beside the parts
    marks = [
        f"[{numbers.setdefault(source, len(numbers) + 1)}]"
        for source in (() if row.parts else row.sources)
    ]
    marks += ["assumed"] if row.assumed else []
    return (
        Span(text="  " * depth + row.name),
        answer_word(row),
        Span(text=row.why),
        Span(text=" ".join(marks)),
    )


def _inside(blocks: list[Block], spec: ModelSpec, *, rewrites: bool) -> None:
    """Parameters and architecture in words."""
    lines: list[str] = []
    total, active = spec.parameters.total, spec.parameters.active
    if total is not None:
        counted = (
            "the token table and the encoders" if spec.parameters.encoders else "the token table"
        )
        used = (
            f", {units.count(active)} used per token with {counted}, which not all publishers count"
            if active is not None and active != total
            else ""
        )
        encoders = (
            f", {units.count(spec.parameters.encoders)} of them encoders"
            if spec.parameters.encoders
            else ""
        )
        lines.append(f"{units.count(total)} parameters{encoders}{used}")
    if spec.architecture is not None:
        lines.extend(_layers(spec.architecture, rewrites=rewrites))
    if spec.embedding_length is not None:
        lines.append(f"embeddings of {spec.embedding_length:,} numbers")
    lines.extend(
        f"{name.replace('_', ' ')}: {units.count(number)} parameters"
        for name, number in spec.components.items()
    )
    if lines:
        section(
            blocks,
            (
                "Architecture"
                if spec.architecture is None
                else f"Architecture: {spec.architecture.row}"
            ),
        )
        blocks.extend(say(line, indent=2, hang=2) for line in lines)


def _layers(inside: Architecture, *, rewrites: bool) -> list[str]:
    vocabulary = f", vocabulary {inside.vocabulary:,}" if inside.vocabulary else ""
    lines = [f"{inside.layers} layers, {inside.embedding_length:,} wide{vocabulary}"]
    lines.extend(
        f"{number} {kind}layer{'' if number == 1 else 's'}{what}"
        for (kind, what), number in _alike(inside).items()
    )
    if inside.audio is not None:
        lines.append(
            f"audio encoder: {inside.audio.layers} layers, {inside.audio.embedding_length:,} wide"
        )
    if inside.context_tokens is not None:
        used = "to read and as many to write" if rewrites else "of context"
        lines.append(f"trained for {units.tokens(inside.context_tokens)} {used}")
    if published := _published(inside):
        lines.append(published)
    return lines


def _alike(inside: Architecture) -> dict[tuple[str, str], int]:
    """How many layers are described by the same words before and after `layer`."""
    counts: dict[tuple[str, str], int] = {}

    def count(before: str, after: str, layers: int) -> None:
        counts[before, after] = counts.get((before, after), 0) + layers

    for group in inside.attention:
        count("", f" of {group.kind} attention: {_heads(group)}", len(group.layers))
    for state in inside.recurrent:
        count(f"{state.kind} ", ", whose state does not grow with the context", len(state.layers))
    for block in inside.feed_forward:
        if block.experts:
            experts = f" of {block.experts} experts, {block.used} used per token"
            count("", experts, len(block.layers))
    return counts


def _heads(group: Attention) -> str:
    if group.kind == "latent":
        heads = f"{group.heads} heads over {group.latent_length or 0:,} cached numbers"
    elif group.heads == group.kv_heads:
        heads = f"{group.heads} heads"
    else:
        heads = f"{group.heads} heads sharing {group.kv_heads} KV heads"
    window = group.window_tokens
    return heads if window is None else f"{heads}, window of {units.tokens(window)}"


def _published(inside: Architecture) -> str:
    """The types of the published weights; empty where they are not known."""
    parts = (("experts", inside.expert_dtype), ("matrices", inside.matrix_dtype))
    narrow = [f"{part} in {dtype}" for part, dtype in parts if dtype is not None]
    if narrow:
        rest = f", the rest in {inside.dtype}" if inside.dtype is not None else ""
        return f"published with {' and '.join(narrow)}{rest}"
    return f"published as {inside.dtype}" if inside.dtype is not None else ""


def _stated(blocks: list[Block], spec: ModelSpec) -> None:
    stated = spec.needs
    if stated is None:
        return
    section(blocks, "Needs, as stated")
    if stated.low_bytes is not None and stated.high_bytes is not None:
        low, high = units.binary(stated.low_bytes), units.binary(stated.high_bytes)
        blocks.append(say(f"memory: {low if low == high else f'{low} to {high}'}", indent=2))
    if stated.disk_bytes is not None:
        blocks.append(say(f"disk: {units.decimal(stated.disk_bytes)}", indent=2))
    if stated.source:
        blocks.append(say(f"source: {stated.source}", indent=2, hang=2))
