"""What `check`, `list`, `show` and `machine` say to a person, as Documents: the answer first, then the numbers, then what to type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .. import units
from ..errors import InputError, Problem, SelfhostError, UnknownModelError
from ..machine import Machine
from ..needs.records import MemoryNeed
from ..offers import Offer
from ..spec import Architecture, ModelSpec
from ..verdict import Alternative, Finding, Outcome, Route, Verdict
from .layout import Bar, Blank, Block, Column, Document, Paragraph, Span, Table, clean, plain

__all__ = [
    "check_document",
    "error_text",
    "list_document",
    "machine_document",
    "one_after_the_other",
    "plain",
    "problems_text",
    "show_document",
]

# what decides comes first; the other findings are rows only where they are not `pass`
_DECIDING = ("memory", "accelerator", "disk", "speed")
_MACHINE = (*_DECIDING, "context", "cpu", "runtime")
_ORDER = (*_MACHINE, "weights", "license", "openness")
_WHY_NOT = {
    "memory": "too little memory", "accelerator": "no accelerator that suits", "disk": "no place on disk", "speed": "too slow",
    "context": "too long a context", "cpu": "the CPU does not suit", "runtime": "no runtime loads it",
    "weights": "its weights are not published", "license": "its license forbids it", "openness": "not open enough",
}  # fmt: skip
_HEADINGS = {Outcome.FAIL: "Why not", Outcome.UNKNOWN: "Not known", Outcome.WARN: "Worth knowing", Outcome.PASS: "Fine"}
_LEAVES = {
    "speech": "the audio and its transcript",
    "vision": "prompts, images and answers",
    "image": "prompts and images",
    "embedding": "the texts",
}
_PLACED = {"host": ", in RAM", "accelerator": ", on the accelerator", "split": ", on the accelerator and in RAM"}
_SHOWN_OFFERS = 4
_CELL = 30
_PRICE_COLUMNS = (
    ("input_usd_per_million_tokens", "input"),
    ("output_usd_per_million_tokens", "output"),
    ("usd_per_audio_minute", "per minute"),
    ("usd_per_image", "per image"),
)
_BLANK = Blank()


def check_document(verdicts: Sequence[Verdict], *, verbose: bool = False, carry: str = "") -> Document:
    """The answer for one model in full, or for several as a table and then what stands in the way of each.

    The first line holds the route. `verbose` adds every memory term, every finding that passed and where the facts come from.
    `carry` goes behind every `selfhost check …` that is proposed: the machine and the specs that were judged with.
    """
    blocks: list[Block] = []
    if len(verdicts) == 1:
        _one(blocks, verdicts[0], verbose, carry)
    elif verdicts:
        _several(blocks, verdicts, verbose)
    return Document(blocks=tuple(blocks))


def one_after_the_other(documents: Sequence[Document]) -> Document:
    """Several answers, such as one for each machine of a folder."""
    blocks: list[Block] = []
    for document in documents:
        blocks += [*document.blocks, _BLANK]
    return Document(blocks=tuple(blocks))


# one model


def _one(blocks: list[Block], verdict: Verdict, verbose: bool, carry: str) -> None:
    blocks.append(_headline(verdict))
    if asked := _asked(verdict):
        blocks.append(_text(asked))
    if planned := _planned(verdict.machine):
        blocks.append(_text(planned))
    if verdict.route is not Route.LOCAL:
        _instead(blocks, verdict)
    if verdict.notes:
        blocks.append(_BLANK)
        blocks.extend(_text(note) for note in verdict.notes)
    _comparison(blocks, verdict, verbose)
    if verdict.can_run and (room := _room_for(verdict)):
        blocks.append(_text(room, indent=2, hang=2))
    _findings(blocks, verdict, verbose)
    if verdict.route is not Route.LOCAL:
        _alternatives(blocks, verdict, carry)
        _offers(blocks, verdict.api_offers, verdict.model.modality, verbose)
    if verdict.commands:
        _heading(blocks, _to_run(verdict.commands) if verdict.can_run else "Next")
        blocks.extend(_command(command) for command in verdict.commands)
    if verbose and verdict.advice:
        _heading(blocks, "Faster, by what was measured elsewhere")
        blocks.extend(_text(line, indent=2, hang=2) for line in verdict.advice)
    if verbose:
        _arithmetic(blocks, verdict)
        _heading(blocks, "Where the machine's figures come from")
        _sources(blocks, verdict.machine)


def _to_run(commands: Sequence[str]) -> str:
    if len(commands) == 1:
        return "To run it"
    return "To run it, one after the other" if commands[0].endswith(" serve") else "To run it, one of"


def _headline(verdict: Verdict) -> Paragraph:
    where = _on(verdict.machine, short=True)
    name = Span(text=verdict.model.name, style="strong")
    word = Span(text=verdict.route, style=verdict.route)
    if verdict.route is Route.LOCAL:
        warned = sum(finding.outcome is Outcome.WARN for finding in verdict.findings)
        tail = f", with {warned} {'warning' if warned == 1 else 'warnings'}" if warned else ""
        return _line(word, ": yes, ", name, f" runs {where}{tail}")
    if verdict.route is Route.UNKNOWN:
        close = [finding.check for finding in verdict.findings if finding.code == "memory-close"]
        missing = [check for check in _undecided(verdict) if check not in close]
        causes = [f"{', '.join(missing)} not known"] if missing else []
        causes += ["memory too close to call"] if close else []
        return _line(word, ": cannot tell if ", name, f" runs {where}", f": {'; '.join(causes)}" if causes else "")
    why = ", ".join(_WHY_NOT[check] for check in _checks(verdict, Outcome.FAIL))
    return _line(word, ": no, ", name, f" does not run {where}", f": {why}" if why else "")


def _asked(verdict: Verdict) -> str:
    """What was judged, every default named, and what would be downloaded."""
    asked = verdict.workload
    parts = [
        f"{asked.quantization} in {asked.runtime}" if asked.quantization and asked.runtime else asked.quantization or asked.runtime or ""
    ]
    if asked.context_tokens is not None:
        parts.append(
            f"{units.tokens(asked.context_tokens)} of context" + (f" for each of {asked.parallel} sequences" if asked.parallel > 1 else "")
        )
    if asked.kv_cache_type not in (None, "f16"):
        parts.append(f"{asked.kv_cache_type} cache")
    if asked.task != "generate":
        parts.append(f"{asked.task} by {asked.finetune_method}" if asked.finetune_method else asked.task)
    if asked.memory_basis != "default":
        parts.append(f"judged by {asked.memory_basis} memory")
    parts.extend(word for word in ("private", "commercial", "modify", "auditable") if getattr(asked, word))
    if asked.license:
        parts.append(f"license {asked.license}")
    disk = verdict.finding("disk")
    if disk is not None and disk.code == "disk-nothing-missing":
        parts.append("the files are here")
    elif verdict.needs is not None and verdict.needs.download_bytes is not None:
        parts.append(f"{units.decimal(verdict.needs.download_bytes)} to download")
    return ", ".join(part for part in parts if part)


def _instead(blocks: list[Block], verdict: Verdict) -> None:
    """The nearest ways out, one line each, right under the answer."""
    if verdict.alternatives:
        first = verdict.alternatives[0]
        blocks.append(_line(f"Runs {_on(verdict.machine, short=True)}: ", Span(text=_alternative(verdict, first), style="strong"), hang=2))
    if verdict.route is Route.API and verdict.api_offers:
        offer = verdict.api_offers[0]
        what = f"{offer.model} from {offer.provider} stands in" if offer.stands_in else offer.provider
        blocks.append(_line("By API: ", Span(text=what, style="strong"), f", {prices}" if (prices := _prices(offer)) else "", hang=2))
    elif verdict.route is Route.NEITHER:
        blocks.append(
            _text(
                "By API: ruled out, nothing may leave the machine" if verdict.workload.private else "By API: no offer meets what was asked"
            )
        )


def _alternative(verdict: Verdict, other: Alternative) -> str:
    """`Mistral 7B in IQ2_M, 2,048 tokens of context`."""
    text = f"{other.name} in {other.quantization}" if other.quantization else other.name
    text += f" by {other.finetune_method}" if other.finetune_method else ""
    return f"{text}, {units.tokens(other.context_tokens)} of context" if _other_context(verdict, other) and other.context_tokens else text


def _other_context(verdict: Verdict, other: Alternative) -> bool:
    """Whether the alternative is for another context than the one that was judged."""
    judged = verdict.workload.context_tokens
    return judged is not None and other.context_tokens is not None and other.context_tokens != judged


def _comparison(blocks: list[Block], verdict: Verdict, verbose: bool) -> None:
    """Need against machine. A finding without figures is not a row: its reason is printed below."""
    rows: list[tuple[Span | Bar, ...]] = []
    passed: list[str] = []
    for finding in _ordered(verdict):
        if finding.outcome is Outcome.PASS and finding.check not in _DECIDING and not verbose:
            passed.append(finding.check)
            continue
        needs, has = _figures(finding, verdict) if finding.check in _MACHINE else ("", "")
        if needs or has:
            rows.append(
                (
                    Span(text=finding.check),
                    Span(text=finding.outcome, style=finding.outcome),
                    Span(text=needs),
                    Span(text=has),
                    Span(text=_short(finding), style=finding.outcome),
                    _finding_bar(finding),
                )
            )
    if rows:
        has_title = "this machine has" if verdict.machine.name == "this machine" else "machine has"
        columns = (
            Column(),
            Column(),
            Column(title="needs", wrap=True),
            Column(title=has_title, wrap=True),
            Column(wrap=True),
            Column(drop=1),
        )
        blocks.append(_BLANK)
        blocks.append(Table(columns=columns, rows=tuple(rows)))
    if passed and rows:
        blocks.append(_text(f"Also fine: {', '.join(passed)}.", indent=2))
    pace = verdict.speed.decode if verdict.speed is not None else None
    said = any("--measure" in f"{finding.reason} {finding.remedy}" for finding in verdict.findings)
    decided = verdict.route not in (Route.LOCAL, Route.UNKNOWN)
    if pace is not None and pace.low > 0 and pace.high > 2 * pace.low and not said and not decided:
        measure = "" if verdict.machine.planning else "; --measure narrows the range"
        blocks.append(_text(f"Count on the slow end, {units.speed(pace.low, pace.low)}{measure}.", indent=2, hang=2))


def _room_for(verdict: Verdict) -> str:
    """How far one could go here, each alone; what would be no more than was asked is left out."""
    room, asked = verdict.room, verdict.workload
    if room is None:
        return ""
    longest, parallel = room.longest_context_tokens, room.most_parallel
    made = verdict.model.architecture
    known = {made.context_tokens: ", all it was trained for", made.scaled_context_tokens: ", with its documented scaling"} if made else {}
    parts = [
        f"up to {units.tokens(longest)} of context{known.get(longest, '')}"
        if longest is not None and longest > (asked.context_tokens or 0)
        else "",
        f"{parallel:,} sequences at once" if parallel is not None and parallel > asked.parallel else "",
        f"{room.best_quantization} weights" if room.best_quantization not in (None, asked.quantization) else "",
    ]
    told = "; ".join(part for part in parts if part)
    return f"The memory also allows, one at a time: {told}." if told else ""


def _figures(finding: Finding, verdict: Verdict) -> tuple[str, str]:
    if finding.check == "speed" and verdict.speed is not None and verdict.speed.decode is not None and finding.unit == "tokens_per_second":
        wanted = verdict.workload.min_tokens_per_second
        return (
            f"{_quantity(wanted, finding)}" if wanted else "",
            units.speed(verdict.speed.decode.low, verdict.speed.decode.high),
        )
    return _quantity(finding.needs, finding), _quantity(finding.has, finding)


def _quantity(value: float | str | None, finding: Finding) -> str:
    """A finding's number in the unit people know it by: memory in GiB, disks in GB."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _cut(value, _CELL)
    if finding.unit == "bytes":
        if finding.check == "disk" and value == 0:
            return "nothing"
        return (units.decimal if finding.check == "disk" else units.binary)(int(value))
    if finding.unit == "tokens":
        return units.tokens(int(value))
    if finding.unit == "tokens_per_second":
        return units.speed(value, value)
    return f"{value:,} {(finding.unit or '').replace('_', ' ')}".rstrip()


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1].rstrip(" ,") + "…"


def _short(finding: Finding) -> str:
    return f"{_quantity(finding.short, finding)} short" if finding.short and finding.check != "speed" else ""


def _finding_bar(finding: Finding) -> Span | Bar:
    if finding.unit == "bytes" and isinstance(finding.needs, int | float) and isinstance(finding.has, int | float):
        return Bar(needs=finding.needs, has=finding.has, style=finding.outcome)
    return Span(text="")


def _findings(blocks: list[Block], verdict: Verdict, verbose: bool) -> None:
    """Reason and remedy of what did not pass, worst first; with `verbose` of what did as well."""
    for outcome, heading in _HEADINGS.items():
        found = [finding for finding in _ordered(verdict) if finding.outcome is outcome]
        if not found or (outcome is Outcome.PASS and not verbose):
            continue
        _heading(blocks, heading)
        for finding in found:
            _reason(blocks, finding.check, finding.reason, finding.remedy)


def _reason(blocks: list[Block], topic: str, reason: str, remedy: str | None) -> None:
    blocks.append(_text(f"{topic}: {reason}", indent=2, hang=2))
    if remedy:
        blocks.append(_text(f"→ {remedy}", indent=4, hang=2))


def _alternatives(blocks: list[Block], verdict: Verdict, carry: str) -> None:
    if not verdict.alternatives:
        return
    where = _on(verdict.machine, short=True)
    _heading(blocks, f"What would run {where}" if verdict.route is Route.UNKNOWN else f"What runs {where} instead")
    for other in verdict.alternatives:
        blocks.append(_text(f"{_alternative(verdict, other)}: {other.why}", indent=2, hang=2))
        blocks.append(_command(other.command + carry, indent=4))


def _offers(blocks: list[Block], offers: Sequence[Offer], modality: str, verbose: bool) -> None:
    """Prices as a table, oldest date named, and what an API means for what people type into it."""
    if not offers:
        return
    shown = offers if verbose else offers[:_SHOWN_OFFERS]
    days = sorted({offer.as_of for offer in shown})
    unit = "US dollars per million tokens" if any(offer.input_usd_per_million_tokens is not None for offer in shown) else "US dollars"
    _heading(blocks, f"By API, {unit}, as of {days[0] if len(days) == 1 else f'{days[0]} to {days[-1]}'}")
    columns = [Column(title="provider", wrap=True), Column(title="model", wrap=True), Column(title="context", right=True, drop=1)]
    columns += [Column(title=title, right=True) for _, title in _PRICE_COLUMNS]
    rows: list[tuple[Span, ...]] = []
    for offer in shown:
        context = f"{offer.context_tokens:,}" if offer.context_tokens is not None else ""
        model = offer.model + (" (stands in)" if offer.stands_in else "")
        row = [offer.provider, model, context]
        for field, _ in _PRICE_COLUMNS:
            price = getattr(offer, field)
            row.append("" if price is None else units.dollars(price))
        rows.append(tuple(Span(text=text) for text in row))
    blocks.append(Table(columns=tuple(columns), rows=tuple(rows)))
    if len(offers) > len(shown):
        blocks.append(_text(f"{len(offers) - len(shown)} more with --verbose.", indent=2))
    blocks.append(_text(f"With an API, {_LEAVES.get(modality, 'prompts and answers')} leave this machine for the provider.", indent=2))
    if verbose:
        for offer in shown:
            blocks.append(_text(f"{offer.provider}: {offer.source}", indent=2, hang=2))


def _prices(offer: Offer) -> str:
    parts = []
    for field, words in (
        ("input_usd_per_million_tokens", "in"),
        ("output_usd_per_million_tokens", "out per million tokens"),
        ("usd_per_audio_minute", "per minute of audio"),
        ("usd_per_image", "per image"),
    ):
        price = getattr(offer, field)
        if price is not None:
            parts.append(f"{units.dollars(price)} {words}")
    return ", ".join(parts)


def _arithmetic(blocks: list[Block], verdict: Verdict) -> None:
    """Every memory term with its sum and source, the reserve, and what the speed rests on."""
    needs = verdict.needs
    if needs is not None and needs.memory is not None:
        memory = needs.memory
        _heading(blocks, f"Memory: {units.binary(memory.total_bytes)}{_range(memory)}{_PLACED.get(needs.placement, '')}")
        several = len({term.where for term in memory.terms}) > 1
        for term in memory.terms:
            size = units.binary(term.bytes) + _range(term)
            where = f", {term.where}" if several else ""
            blocks.append(_line(Span(text=term.name.replace("_", " "), style="strong"), f": {size}, {term.how}{where}", indent=2, hang=2))
            blocks.append(_text(term.arithmetic, indent=4, hang=2))
            blocks.append(_text(term.source, indent=4, hang=2))
        if memory.evictable_bytes:
            blocks.append(_text(f"{units.binary(memory.evictable_bytes)} more may be dropped by the system at no harm.", indent=2, hang=2))
        found = verdict.finding("memory")
        if found is not None and found.reserve_bytes is not None:
            blocks.append(_text(f"{units.binary(found.reserve_bytes)} is kept for the system itself.", indent=2, hang=2))
    if needs is not None and needs.download_bytes is not None:
        how = ", ".join(part for part in (needs.download_how, needs.download_source) if part)
        blocks.append(_BLANK)
        blocks.append(
            _line(
                Span(text="download", style="strong"),
                f": {units.decimal(needs.download_bytes)}",
                f", {how}" if how else "",
                indent=2,
                hang=2,
            )
        )
    for entry in needs.unknown if needs is not None else ():
        _reason(blocks, entry.fact, entry.reason, entry.remedy)
    if verdict.speed is not None:
        blocks.append(_line(Span(text="speed", style="strong"), f": {verdict.speed.how}", indent=2, hang=2))


def _range(size: MemoryNeed | object) -> str:
    low, high = units.binary(getattr(size, "low_bytes", 0)), units.binary(getattr(size, "high_bytes", 0))
    return f" ({low} to {high})" if low != high else ""


# several models


def _several(blocks: list[Block], verdicts: Sequence[Verdict], verbose: bool) -> None:
    counts = {route: sum(verdict.route is route for verdict in verdicts) for route in Route}
    spans: list[Span | str] = [f"{counts[Route.LOCAL]} of {len(verdicts)} run {_on(verdicts[0].machine)}: "]
    for route, number in counts.items():
        if number:
            spans += [", " if len(spans) > 1 else "", f"{number} ", Span(text=route, style=route)]
    blocks.append(_line(*spans))
    if planned := _planned(verdicts[0].machine):
        blocks.append(_text(planned))
    blocks.append(_BLANK)
    columns = (
        Column(title="model", wrap=True),
        Column(title="route"),
        Column(title="judged as", drop=2),
        Column(title="memory", right=True),
        Column(title="download", right=True, drop=1),
        Column(title="speed, or why not", wrap=True),
    )
    rows = []
    for verdict in verdicts:
        rows.append(
            (
                Span(text=verdict.model.id, style="strong"),
                Span(text=verdict.route, style=verdict.route),
                Span(text=_judged(verdict)),
                Span(text=_memory(verdict)),
                Span(text=_download(verdict)),
                Span(text=_remark(verdict)),
            )
        )
    blocks.append(Table(columns=columns, rows=tuple(rows), indent=0))
    notes = dict.fromkeys(note for verdict in verdicts for note in verdict.notes)
    if notes:
        blocks.append(_BLANK)
        blocks.extend(_text(note) for note in notes)
    for verdict in verdicts:
        if verdict.route is Route.LOCAL and not verbose:
            continue
        blocks += [_BLANK, _headline(verdict)]
        for finding in _ordered(verdict):
            if verbose or finding.outcome in (Outcome.FAIL, Outcome.UNKNOWN):
                _reason(blocks, finding.check, finding.reason, finding.remedy)
        if verdict.route is not Route.LOCAL:
            before = len(blocks)
            _instead(blocks, verdict)
            blocks[before:] = [_shifted(block) for block in blocks[before:]]
    local = [verdict for verdict in verdicts if verdict.can_run]
    warned: dict[tuple[str, str, str | None], list[str]] = {}
    for verdict in local if not verbose else ():
        for finding in _ordered(verdict):
            if finding.outcome is Outcome.WARN:
                warned.setdefault((finding.check, finding.reason, finding.remedy), []).append(verdict.model.id)
    if warned:
        _heading(blocks, _HEADINGS[Outcome.WARN])
        for (check, reason, remedy), ids in warned.items():
            _reason(blocks, check if len(ids) == len(local) else f"{check} ({', '.join(ids)})", reason, remedy)
    commands = dict.fromkeys(command for verdict in local for command in verdict.commands)
    if commands:
        _heading(blocks, "To run them" if len(local) > 1 else _to_run(tuple(commands)))
        blocks.extend(_command(command) for command in commands)


def _shifted(block: Block) -> Block:
    return block.replace(indent=2, hang=2) if isinstance(block, Paragraph) else block


def _judged(verdict: Verdict) -> str:
    context = verdict.workload.context_tokens
    return " ".join(part for part in (verdict.workload.quantization, f"{context:,}" if context is not None else "") if part)


def _memory(verdict: Verdict) -> str:
    return units.binary(verdict.needs.memory.high_bytes) if verdict.needs is not None and verdict.needs.memory is not None else "-"


def _download(verdict: Verdict) -> str:
    return units.decimal(verdict.needs.download_bytes) if verdict.needs is not None and verdict.needs.download_bytes is not None else "-"


def _remark(verdict: Verdict) -> str:
    """How fast, or why not."""
    if verdict.route is Route.LOCAL:
        pace = verdict.speed.decode if verdict.speed is not None else None
        return units.speed(pace.low, pace.high) if pace is not None else ""
    if verdict.route is Route.UNKNOWN:
        return f"not known: {', '.join(_undecided(verdict))}"
    return ", ".join(_WHY_NOT[check] for check in _checks(verdict, Outcome.FAIL))


# the catalogue


def list_document(rows: Sequence[Verdict], machine: Machine) -> Document:
    """One line a model, in the order given. Columns go, the least telling first, where the width is small."""
    if not rows:
        return Document(blocks=(_text("No model matches."),))
    fits = sum(row.can_run for row in rows)
    room = f", which has {memory}" if (memory := _room(machine)) else ""
    blocks: list[Block] = [_text(f"{fits} of {len(rows)} models listed run {_on(machine)}{room}.")]
    if planned := _planned(machine):
        blocks.append(_text(planned))
    blocks.append(_BLANK)
    columns = (
        Column(title="model"),
        Column(title="route"),
        Column(title="size", right=True, drop=3),
        Column(title="quant", drop=6),
        Column(title="memory", right=True, drop=1),
        Column(title="download", right=True, drop=2),
        Column(title="tokens/s", right=True, drop=5),
        Column(title="license", drop=4, cut=10),
    )
    cells = []
    for row in rows:
        total, pace = row.model.parameters.total, row.speed.decode if row.speed is not None else None
        cells.append(
            (
                Span(text=row.model.id, style="strong"),
                Span(text=row.route, style=row.route),
                Span(text=units.count(total) if total is not None else "-"),
                Span(text=row.workload.quantization or "-"),
                Span(text=_memory(row)),
                Span(text=_download(row)),
                Span(text=units.pace(pace.low, pace.high) if pace is not None else "-"),
                Span(text=_license(row.model)),
            )
        )
    blocks.append(Table(columns=columns, rows=tuple(cells), indent=0))
    _heading(blocks, "Ask about one")
    blocks.append(_command(f"selfhost check {rows[0].model.id}"))
    return Document(blocks=tuple(blocks))


def _license(model: ModelSpec) -> str:
    if model.closed:
        return "closed"
    name = model.license.id if model.license is not None else None
    return "-" if name is None else name.removeprefix("LicenseRef-")


def _room(machine: Machine) -> str:
    for value, words in (
        (machine.memory_available_bytes, "of memory available"),
        (machine.memory_limit_bytes, "of memory at most"),
        (machine.memory_total_bytes, "of memory in all"),
    ):
        if value is not None:
            return f"{units.binary(value)} {words}"
    return ""


# one model's facts


def show_document(
    spec: ModelSpec,
    sizes: Sequence[tuple[str, int, str, str, bool | None]] = (),
    offers: Sequence[Offer] = (),
    verdict: Verdict | None = None,
) -> Document:
    """What is known of a model. `sizes` are (quantization, bytes, how, source, fits here or None), smallest first or as wanted."""
    blocks: list[Block] = [_line(Span(text=spec.name, style="strong"), _by(spec))]
    blocks.append(_text(", ".join(part for part in (spec.id, spec.modality, f"family {spec.family}" if spec.family else "") if part)))
    if spec.aliases:
        blocks.append(_text(f"also called {', '.join(spec.aliases)}", hang=2))
    if spec.overrides:
        blocks.append(_text(f"{spec.origin} takes the place of {spec.overrides}", hang=2))
    if verdict is not None:
        blocks += [_BLANK, _headline(verdict)]
        if asked := _asked(verdict):
            blocks.append(_text(asked))
        blocks.extend(_text(note) for note in verdict.notes)
    if spec.availability is not None:
        _closed(blocks, spec)
    _allowed(blocks, spec)
    _open(blocks, spec)
    _inside(blocks, spec)
    if sizes:
        _heading(blocks, "Sizes")
        columns = (
            Column(title="quant"),
            Column(title="download", right=True),
            Column(title="fits here" if verdict is None else f"fits {_on(verdict.machine, short=True)}"),
            Column(title="known as", drop=2),
            Column(title="from", wrap=True, drop=1),
        )
        rows = []
        for quantization, size, how, source, fits in sizes:
            word = "not known" if fits is None else "yes" if fits else "no"
            style = Outcome.UNKNOWN if fits is None else Outcome.PASS if fits else Outcome.FAIL
            texts = (
                Span(text=quantization),
                Span(text=units.decimal(size)),
                Span(text=word, style=style),
                Span(text=how),
                Span(text=source),
            )
            rows.append(texts)
        blocks.append(Table(columns=columns, rows=tuple(rows)))
    if verdict is not None and verdict.needs is not None and verdict.needs.memory is not None:
        memory = verdict.needs.memory
        _heading(blocks, f"Memory: {units.binary(memory.total_bytes)}{_range(memory)}{_PLACED.get(verdict.needs.placement, '')}")
        terms = (
            (Span(text=term.name.replace("_", " ")), Span(text=units.binary(term.bytes)), Span(text=term.how)) for term in memory.terms
        )
        blocks.append(Table(columns=(Column(), Column(right=True), Column()), rows=tuple(terms)))
    elif spec.needs is not None:
        _stated(blocks, spec)
    _offers(blocks, offers, spec.modality, verbose=False)
    _pairs(blocks, "Sources", spec.sources)
    _pairs(blocks, "Not known", spec.unknown)
    _heading(blocks, "Next")
    blocks.append(_command(f"selfhost check {spec.id}"))
    return Document(blocks=tuple(blocks))


def _by(spec: ModelSpec) -> str:
    parts = [f" by {spec.developer}" if spec.developer else "", f" released {spec.released}" if spec.released else ""]
    return ",".join(part for part in parts if part)


def _closed(blocks: list[Block], spec: ModelSpec) -> None:
    served = spec.availability
    if served is None:
        return
    _heading(blocks, "Availability")
    blocks.append(_text(served.why, indent=2))
    blocks.append(_text(f"provider: {served.provider}", indent=2))
    if served.retired:
        blocks.append(_text(f"retired: {served.retired}", indent=2))
    if served.successor:
        blocks.append(_text(f"successor: {served.successor}", indent=2))
    if served.free_tier:
        blocks.append(_text(f"free tier: {served.free_tier}", indent=2, hang=2))
    if served.open_alternatives:
        blocks.append(_text(f"nearest with published weights: {', '.join(served.open_alternatives)}", indent=2, hang=2))


def _allowed(blocks: list[Block], spec: ModelSpec) -> None:
    terms = spec.license
    if terms is None:
        return
    _heading(blocks, f"License: {terms.id or 'not known'}")
    uses = (("commercial use", terms.commercial_use), ("modification", terms.modification), ("redistribution", terms.redistribution))
    blocks.append(_text(", ".join(f"{use}: {answer or 'not known'}" for use, answer in uses), indent=2, hang=2))
    blocks.extend(_text(f"condition: {condition}", indent=2, hang=2) for condition in terms.conditions)
    blocks.extend(_text(f"duty: {duty}", indent=2, hang=2) for duty in terms.duties)
    if terms.url:
        blocks.append(_text(terms.url, indent=2))


def _open(blocks: list[Block], spec: ModelSpec) -> None:
    """Which parts were published, parts of one kind on one line."""
    parts: dict[str, list[str]] = {}
    for part in ("weights", "inference_code", "training_code", "training_data", "paper"):
        parts.setdefault(getattr(spec.openness, part), []).append(part.replace("_", " "))
    _heading(blocks, "Openness")
    for word in ("published", "partial", "closed", "unknown"):
        if word in parts:
            blocks.append(_text(f"{'not known' if word == 'unknown' else word}: {', '.join(parts[word])}", indent=2, hang=2))
    if spec.repository:
        gate = {True: ", behind a login or form", False: ", without a login", None: ""}[spec.gated]
        blocks.append(_text(f"from: {spec.repository} on Hugging Face{gate}", indent=2, hang=2))
    if spec.safety.formats:
        remote = {True: ", loading runs remote code", False: "", None: ""}[spec.safety.remote_code]
        blocks.append(_text(f"files: {', '.join(spec.safety.formats)}{remote}", indent=2, hang=2))
    if spec.upkeep.superseded_by:
        blocks.append(_text(f"superseded by {spec.upkeep.superseded_by}", indent=2, hang=2))
    if spec.upkeep.note:
        blocks.append(_text(spec.upkeep.note, indent=2, hang=2))


def _inside(blocks: list[Block], spec: ModelSpec) -> None:
    """Parameters and architecture in words."""
    lines: list[str] = []
    total, active = spec.parameters.total, spec.parameters.active
    if total is not None:
        used = f", {units.count(active)} used per token" if active is not None and active != total else ""
        encoders = f", {units.count(spec.parameters.encoders)} of them encoders" if spec.parameters.encoders else ""
        lines.append(f"{units.count(total)} parameters{used}{encoders}")
    if spec.architecture is not None:
        lines.extend(_layers(spec.architecture))
    if spec.embedding_length is not None:
        lines.append(f"embeddings of {spec.embedding_length:,} numbers")
    lines.extend(f"{name.replace('_', ' ')}: {units.count(number)} parameters" for name, number in spec.components.items())
    if lines:
        _heading(blocks, "Architecture" if spec.architecture is None else f"Architecture: {spec.architecture.row}")
        blocks.extend(_text(line, indent=2, hang=2) for line in lines)


def _layers(inside: Architecture) -> list[str]:
    lines = [
        f"{inside.layers} layers, {inside.embedding_length:,} wide" + (f", vocabulary {inside.vocabulary:,}" if inside.vocabulary else "")
    ]
    for group in inside.attention:
        heads = f"{group.heads} heads" if group.heads == group.kv_heads else f"{group.heads} heads sharing {group.kv_heads} KV heads"
        window = f", window of {units.tokens(group.window_tokens)}" if group.window_tokens is not None else ""
        if group.kind == "latent":
            heads = f"{group.heads} heads over {group.latent_length or 0:,} cached numbers"
        lines.append(f"{len(group.layers)} layers of {group.kind} attention: {heads}{window}")
    lines.extend(f"{len(group.layers)} {group.kind} layers, whose state does not grow with the context" for group in inside.recurrent)
    for block in inside.feed_forward:
        if block.experts:
            lines.append(f"{len(block.layers)} layers of {block.experts} experts, {block.used} used per token")
    if inside.audio is not None:
        lines.append(f"audio encoder: {inside.audio.layers} layers, {inside.audio.embedding_length:,} wide")
    if inside.context_tokens is not None:
        lines.append(f"trained for {units.tokens(inside.context_tokens)} of context")
    if inside.dtype is not None:
        lines.append(f"published as {inside.dtype}")
    return lines


def _stated(blocks: list[Block], spec: ModelSpec) -> None:
    stated = spec.needs
    if stated is None:
        return
    _heading(blocks, "Needs, as stated")
    if stated.low_bytes is not None and stated.high_bytes is not None:
        low, high = units.binary(stated.low_bytes), units.binary(stated.high_bytes)
        blocks.append(_text(f"memory: {low if low == high else f'{low} to {high}'}", indent=2))
    if stated.disk_bytes is not None:
        blocks.append(_text(f"disk: {units.decimal(stated.disk_bytes)}", indent=2))
    if stated.source:
        blocks.append(_text(f"source: {stated.source}", indent=2, hang=2))


def _pairs(blocks: list[Block], title: str, pairs: Mapping[str, str]) -> None:
    if pairs:
        _heading(blocks, title)
        blocks.extend(_text(f"{key}: {value}", indent=2, hang=2) for key, value in pairs.items())


# the machine


def machine_document(machine: Machine) -> Document:
    """What was read and from where, then what could not be read and what to do about it."""
    place = ", ".join(part for part in (machine.system, machine.architecture, machine.scope) if part)
    blocks: list[Block] = [_line(Span(text=machine.name, style="strong"), f": {place}" if place else "")]
    if machine.labels:
        blocks.append(_text(", ".join(f"{key}={value}" for key, value in machine.labels.items())))
    if machine.read_at:
        blocks.append(_text(f"read {machine.read_at}"))
    rows: list[tuple[str, str, str]] = []
    for label, fact, value in _facts(machine):
        if value:
            rows.append((label, value, machine.sources.get(fact, "")))
    blocks.append(_BLANK)
    columns = (Column(), Column(wrap=True), Column(title="read from", wrap=True, drop=1))
    blocks.append(
        Table(columns=columns, rows=tuple((Span(text=a), Span(text=b, style="strong"), Span(text=c)) for a, b, c in rows), indent=0)
    )
    if machine.disks:
        _heading(blocks, "Where models would be stored")
        cells = []
        for disk in machine.disks:
            free = "free space not read" if disk.free_bytes is None else f"{units.decimal(disk.free_bytes)} free"
            whole = "" if disk.total_bytes is None else f"of {units.decimal(disk.total_bytes)}"
            writable = "read only" if disk.writable is False else ""
            cells.append(tuple(Span(text=text) for text in (disk.purpose, free, whole, disk.filesystem or "", writable, disk.path)))
        sides = (Column(), Column(right=True), Column(right=True), Column(drop=1), Column(), Column(wrap=True))
        blocks.append(Table(columns=sides, rows=tuple(cells)))
    if machine.accelerators:
        _heading(blocks, "Accelerators")
        for card in machine.accelerators:
            total = "memory not read" if card.memory_total_bytes is None else units.binary(card.memory_total_bytes)
            free = "" if card.memory_free_bytes is None else f", {units.binary(card.memory_free_bytes)} free"
            shared = ", shared with the machine" if card.unified else ""
            driver = f", driver {card.driver}" if card.driver else ""
            blocks.append(_text(f"{card.vendor} {card.name}: {total}{free}{shared}{driver}", indent=2, hang=2))
    if machine.runtimes:
        _heading(blocks, "Runtimes")
        for runtime in machine.runtimes:
            path = f" ({runtime.path})" if runtime.path else ""
            blocks.append(_text(f"{runtime.id} {runtime.version or 'of unknown version'}{path}", indent=2, hang=2))
    if machine.models_present:
        _heading(blocks, "Models already here")
        for model in machine.models_present:
            part = ", incomplete" if model.complete is False else ""
            blocks.append(_text(f"{model.path}: {units.decimal(model.size_bytes)}{part}", indent=2, hang=2))
    _unread(blocks, machine)
    return Document(blocks=tuple(blocks))


def _facts(machine: Machine) -> Iterable[tuple[str, str, str]]:
    """Label, name of the fact, value as text ("" where it was not read)."""
    for label, fact in (
        ("memory available", "memory_available_bytes"),
        ("memory limit", "memory_limit_bytes"),
        ("memory total", "memory_total_bytes"),
        ("swap free", "swap_free_bytes"),
    ):
        value = getattr(machine, fact)
        yield label, fact, "" if value is None else units.binary(value)
    yield "processor", "cpu_model", machine.cpu_model or ""
    yield "cores usable", "cpu_cores_usable", "" if machine.cpu_cores_usable is None else units.cores(machine.cpu_cores_usable)
    yield "cores physical", "cpu_cores_physical", "" if machine.cpu_cores_physical is None else units.cores(machine.cpu_cores_physical)
    sets = machine.instruction_sets
    yield "instructions", "instruction_sets", "" if sets is None else _instructions(sets)
    pace = machine.memory_bandwidth_bytes_per_second
    yield "memory bandwidth", "memory_bandwidth_bytes_per_second", "" if pace is None else f"{units.decimal(pace)}/s"
    if machine.accelerators is not None and not machine.accelerators:
        yield "accelerators", "accelerators", "none"
    if machine.runtimes is not None and not machine.runtimes:
        yield "runtimes", "runtimes", "none found"


# what decides how fast a build of llama.cpp runs; a kernel lists a hundred more
_TELLING = (
    "sse4_2",
    "avx",
    "f16c",
    "fma",
    "bmi2",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_tile",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
    "bf16",
)


def _instructions(sets: Sequence[str]) -> str:
    told = [name for name in _TELLING if name in sets]
    rest = len(sets) - len(told)
    text = " ".join(told)
    return f"{text} and {rest} more" if told and rest else text or f"{rest} sets"


def _sources(blocks: list[Block], machine: Machine) -> None:
    blocks.extend(_text(f"{fact}: {source}", indent=2, hang=2) for fact, source in machine.sources.items())
    _unread(blocks, machine)


def _unread(blocks: list[Block], machine: Machine) -> None:
    if machine.unread:
        _heading(blocks, "Not read")
        labels = {fact: label for label, fact, _ in _facts(machine)}
        for entry in machine.unread:
            _reason(blocks, labels.get(entry.fact, entry.fact.replace("_", " ")), entry.reason, entry.remedy)


# standard error


def problems_text(problems: Iterable[Problem], *, encoding: str | None = None) -> str:
    """One line a fault, `file:line: key: message`, what to write instead under it; every line ends in a newline."""
    lines = []
    for problem in problems:
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        lines.append(clean(f"{place}: {problem.key}: {problem.message}" if problem.key else f"{place}: {problem.message}", encoding))
        if problem.remedy:
            lines.append(clean(f"  {problem.remedy}", encoding))
    return "".join(f"{line}\n" for line in lines)


def error_text(error: SelfhostError, *, encoding: str | None = None) -> str:
    """What went wrong, the nearest names, and what to type instead; every line ends in a newline."""
    if isinstance(error, InputError) and error.problems:
        text = problems_text(error.problems, encoding=encoding)
    else:
        text = clean(f"error: {error}", encoding) + "\n"
    if isinstance(error, UnknownModelError) and error.nearest:
        text += clean(f"  did you mean: {', '.join(error.nearest)}", encoding) + "\n"
    if error.remedy:
        text += clean(f"  {error.remedy}", encoding) + "\n"
    return text


# words


def _ordered(verdict: Verdict) -> list[Finding]:
    return sorted(verdict.findings, key=lambda finding: _ORDER.index(finding.check) if finding.check in _ORDER else len(_ORDER))


def _checks(verdict: Verdict, outcome: Outcome) -> list[str]:
    return [finding.check for finding in _ordered(verdict) if finding.outcome is outcome]


def _undecided(verdict: Verdict) -> list[str]:
    """The unknowns behind the route `unknown`; an unknown speed is not among them."""
    return [check for check in _checks(verdict, Outcome.UNKNOWN) if check != "speed"]


def _on(machine: Machine, *, short: bool = False) -> str:
    if machine.name == "this machine":
        return "here" if short else "on this machine"
    return f"on {machine.name}"


def _planned(machine: Machine) -> str:
    """How a machine that is not there was judged; empty for one that was read."""
    if not machine.planning:
        return ""
    doubt = (
        "" if machine.confidence in (None, "high") else f" Its figures are of {machine.confidence} confidence: check your configuration."
    )
    return f"Planned: all of its memory counts, whatever else would run there.{doubt}"


def _line(*parts: Span | str, indent: int = 0, hang: int = 0) -> Paragraph:
    spans = tuple(part if isinstance(part, Span) else Span(text=part) for part in parts if part != "")
    return Paragraph(spans=spans, indent=indent, hang=hang)


def _text(text: str, *, indent: int = 0, hang: int = 0) -> Paragraph:
    return Paragraph(spans=(Span(text=text),), indent=indent, hang=hang)


def _command(text: str, *, indent: int = 2) -> Paragraph:
    return Paragraph(spans=(Span(text=text, style="command"),), indent=indent, verbatim=True)


def _heading(blocks: list[Block], title: str) -> None:
    blocks += [_BLANK, Paragraph(spans=(Span(text=title, style="strong"),))]
