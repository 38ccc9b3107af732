"""What `list`, `compare` and `check` of several models say to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from ..advice.listing import Counts, Ranking
from ..advice.several import sums
from ..catalogue import openness
from ..catalogue.offers import Offer
from ..core import units
from ..core.workload import Workload
from ..judge.checks.memory import given_by
from ..judge.record import Outcome, Route, Verdict
from ..machine.record import Machine
from .cost_text import API_RISKS, offer_words, price_words
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
    texts,
)
from .words import (
    PACES,
    PLACES,
    aged_words,
    answer_cell,
    answer_line,
    answer_word,
    causes,
    count_words,
    finding_blocks,
    format_words,
    is_here,
    license_name,
    on_machine,
    ordered,
    pace_of,
    pace_title,
    planned_words,
    reason_blocks,
    stands_above,
)

# rows of the first screen of `list`
TOP = 20
_SIGNS = {Route.LOCAL: "✓", Route.UNKNOWN: "?", Route.API: "✗", Route.NEITHER: "✗"}
_TIGHT = Span(text="!", style=Outcome.WARN)
_COLUMNS = {
    "memory": Column(title="memory", right=True, drop=2),
    "in": Column(title="in", drop=5),
    "quant": Column(title="quant", drop=3),
    "pace": Column(title="tokens/s", drop=1),
    "download": Column(title="download", right=True, drop=4),
    "license": Column(title="license", drop=6, wrap=True),
    "parameters": Column(title="parameters", right=True, drop=7),
    "released": Column(title="released", drop=8),
    "why": Column(title="why", drop=9),
    "judged as": Column(title="judged as", drop=3),
}
_LISTED = ("memory", "in", "quant", "pace", "download", "license")
_LISTED_WIDE = (*_LISTED, "parameters", "released", "why")


# ------------------------------------------------------------------ models, a row each


def rows_of(
    answers: Sequence[Verdict],
    first: Sequence[Cell],
    names: Sequence[str],
) -> Table:
    """Return a row for each model: its `first` cell, its id and the facts of these names."""
    pace = pace_title(answer.speed for answer in answers)
    facts = [
        {**facts_of(answer, pace), "why": causes(answer) or answer.why or ""} for answer in answers
    ]
    if len({each["in"] for each in facts}) == 1:
        # all in one place: nothing to tell apart
        names = [name for name in names if name != "in"]
    rows = tuple(
        (sign, strong(answer.model.id), *(each[name] for name in names))
        for sign, answer, each in zip(first, answers, facts, strict=True)
    )
    paces = Column(title=pace, drop=1, wrap=pace == PACES)
    columns = [paces if name == "pace" else _COLUMNS[name] for name in names]
    return Table(columns=(Column(), Column(title="model"), *columns), rows=rows, indent=0)


def facts_of(answer: Verdict, pace: str) -> dict[str, str]:
    """Return the figures of a model by name; a dash is what is not known. `pace`: its title."""
    model, workload, needs = answer.model, answer.workload, answer.needs
    context = f"{workload.context_tokens:,}" if workload.context_tokens else ""
    terms, total = model.license, model.parameters.total
    facts = {
        "judged as": " ".join(filter(None, (workload.quantization, context))),
        "memory": "-",
        "in": "",
        "pace": pace_of(answer.speed, title=pace),
        "download": "-",
        "quant": workload.quantization or "-",
        "parameters": units.count(total) if total is not None else "-",
        "released": model.released or "-",
        "license": "closed" if model.closed else license_name(terms.id if terms else None) or "-",
    }
    if needs is not None:
        facts["in"] = PLACES.get(needs.placement or "", "")
        facts["memory"] = units.binary(needs.memory.total_bytes) if needs.memory else "-"
        size, seconds = needs.download_bytes, answer.download_seconds
        if size is not None:
            wait = f", {units.duration(seconds)}" if size and seconds is not None else ""
            facts["download"] = units.decimal(size) + wait if size else "here"
    return facts


# ------------------------------------------------------------------ check, of several

# what the command says, or what no single command mends
_SAID_ELSEWHERE = ("runtime-not-installed", "speed-slow", "speed-assumed")
_TOO_MUCH = (
    "That may be more than is there: run them one after another. A [[together]] in the policy of"
    " `selfhost audit` judges them at once."
)
# a table of months side by side would say less than one model's own
_MORE = "Every finding: -v · one model in full: selfhost check MODEL"
_COST_ALONE = "The cost of a month: selfhost check MODEL, with the same options."


def several_blocks(
    verdicts: Sequence[Verdict], verbose: bool, carry: str, options: str, today: str | None
) -> Iterator[Block]:
    """A count, a row a model, the commands of those that run, and the way out of the others.

    `carry` goes behind proposed commands, `options` behind those without a workload of their own.
    """
    machine = verdicts[0].machine
    answers = [answer_cell(verdict, here=is_here(machine)) for verdict in verdicts]
    yield say(count_words(verdicts), hang=2)
    yield from texts([planned_words(machine)], indent=0)
    yield from (BLANK, rows_of(verdicts, answers, ("memory", "pace", "judged as")))
    local = [verdict for verdict in verdicts if verdict.can_run]
    yield from (*texts(_sums(verdicts) if local[1:] else (), indent=0), BLANK)
    notes = chain.from_iterable((*each.understood_as, *each.notes * verbose) for each in verdicts)
    yield from texts(dict.fromkeys(notes), indent=0)
    yield from _warnings(local)
    if lines := [line for each in local for line in (*each.setup, *each.commands[:1])]:
        yield from (*heading("To run them"), *map(command_line, dict.fromkeys(lines)))
    if len(local) < len(verdicts):
        yield from heading("The others" if local else "What to do instead")
    for verdict in verdicts:
        if not verdict.can_run:
            yield from _ways_out(verdict, carry, options, today if verbose else None)
    yield BLANK
    yield from texts([_COST_ALONE * (verdicts[0].monthly_cost is not None)], indent=0)
    yield from _findings(verdicts) if verbose else [say(_MORE)]


def _findings(verdicts: Sequence[Verdict]) -> Iterator[Block]:
    """Every finding of each model."""
    if any(verdict.route is Route.API for verdict in verdicts):
        yield say(API_RISKS)
    for verdict in verdicts:
        yield from (BLANK, answer_line(verdict), *finding_blocks(ordered(verdict)))


def _sums(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield that each was judged alone, and what those that run take side by side."""
    names = {"memory": "RAM", "accelerator": "GPU memory"}
    totals = list(sums(verdicts))
    shares = " and ".join(
        f"{units.binary(total)} of {units.binary(limit)} of {names[check]}"
        for check, total, limit in totals
    )
    yield f"Each is judged alone.{f' All at once they take up to {shares}.' if shares else ''}"
    if any(total > limit for _, total, limit in totals):
        yield _TOO_MUCH


def _warnings(local: Sequence[Verdict]) -> Iterator[Block]:
    """Each warning about what runs once, with the models it is about unless it is about all."""
    models: dict[tuple[str, str, str | None], list[str]] = {}
    for verdict in local:
        for finding in ordered(verdict):
            is_said = finding.code in _SAID_ELSEWHERE or stands_above(finding, verdict)
            if finding.outcome is Outcome.WARN and not is_said:
                warning = (finding.check, finding.reason, finding.remedy)
                models.setdefault(warning, []).append(verdict.model.id)
    yield from heading("Worth knowing") if models else ()
    for (check, reason, remedy), ids in models.items():
        topic = check if len(ids) == len(local) else f"{check} ({', '.join(ids)})"
        yield from reason_blocks(topic, reason, remedy)


def _ways_out(verdict: Verdict, carry: str, options: str, today: str | None) -> Iterator[Block]:
    """Why it does not run, the first model that does with its command, and the cheapest offer."""
    yield line(strong(verdict.model.id), f": {causes(verdict)}", indent=2, hang=2)
    command = f"selfhost check {verdict.model.id}{options}"
    for first in verdict.alternatives[:1]:
        model = " in ".join(filter(None, (first.id, first.quantization)))
        runs = "would run" if verdict.route is Route.UNKNOWN else "runs"
        yield say(f"{runs} {on_machine(verdict.machine, short=True)}: {model}", indent=4, hang=2)
        command = first.command + carry
    if verdict.route is Route.API and verdict.api_offers:
        whose, prices = offer_words(verdict.api_offers[0], today)
        yield say(f"by API: {whose}, {prices}", indent=4, hang=2)
    yield command_line(command, indent=4)


# ------------------------------------------------------------------ list


def list_document(
    listing: Ranking,
    machine: Machine,
    workload: Workload | None = None,
    *,
    top: int | None = TOP,
    wide: bool = False,
    only_running: bool = True,
    near: Sequence[str] = (),
    today: str | None = None,
    notes: Sequence[str] = (),
) -> Document:
    """Return how many run, then the first `top` of them in the order given, None for all.

    `only_running` leaves out what does not run here, `wide` adds columns. `near` are names like the
    words that no model has; `notes` are about the machine's name.
    """
    counts, aged = listing.counts, aged_words(listing.catalogue_as_of, today)
    if not counts.models:
        hint = "" if notes else "`selfhost list --all` has every model."
        hint = f"Did you mean {' or '.join(near)}?" if near else hint
        if listing.ruled_out:
            hint = f"{listing.ruled_out:,} are ruled out by your conditions."
        return Document(
            blocks=(*texts([f"No model matches. {hint}".rstrip(), *notes], indent=0), *aged)
        )
    blocks: list[Block] = [say(_summary(listing, machine, workload or Workload()), hang=2)]
    blocks += texts((planned_words(machine), *notes), indent=0)
    rows = [row for row in listing.models if row.can_run or not only_running][:top]
    if rows:
        signs = list(map(_sign, rows))
        table = rows_of(rows, signs, _LISTED_WIDE if wide else _LISTED)
        foot = _foot(len(rows), counts, wide, only_running)
        if _TIGHT in signs:
            foot += f" · {_TIGHT.text}: little memory left, or a limit must be raised first"
        blocks += [BLANK, table, BLANK, say(foot)]
    return Document(blocks=(*blocks, *aged))


def _sign(row: Verdict) -> Span:
    """The route, or that it just fits."""
    if row.can_run and (row.leaves_little or row.waits_for_setting):
        return _TIGHT
    return Span(text=_SIGNS[row.route], style=row.route)


def _foot(shown: int, counts: Counts, wide: bool, only_running: bool) -> str:
    """How many of the candidates are shown, and how to see the others."""
    candidates = counts.running if only_running else counts.models
    about = "about " if only_running and counts.is_estimate else ""
    hints = (
        f"{shown} of {about}{candidates:,}",
        "all: --all" if candidates < counts.models or shown < candidates else "",
        "" if wide else "columns: --wide",
        "one: selfhost check MODEL",
    )
    return " · ".join(filter(None, hints))


def _summary(listing: Ranking, machine: Machine, workload: Workload) -> str:
    """How many run, how many of them slowly, and how many do not or are ruled out."""
    counts = listing.counts
    verb = "runs" if counts.running == 1 else "run"
    if counts.is_estimate:
        # not all were judged
        verb = "has room" if counts.running == 1 else "have room"
    memory = ", ".join(_memory_words(machine, workload))
    parts = (
        f"{'About ' if counts.is_estimate else ''}{counts.running:,} of {counts.models:,}"
        f" {'model' if counts.models == 1 else 'models'} {verb} {on_machine(machine, short=True)}"
        f"{f' ({memory})' if memory else ''}"
        f"{f', {counts.slow:,} of them likely too slow' if counts.slow else ''}",
        f"{counts.unknown:,} unknown" if counts.unknown else "",
        f"{listing.ruled_out:,} ruled out by your conditions" if listing.ruled_out else "",
    )
    return f"{'; '.join(filter(None, parts))}."


def _memory_words(machine: Machine, workload: Workload) -> Iterator[str]:
    """Yield what the verdicts rest on: the GPUs, `22.5 GiB for models`, `19.7 GiB free now`."""
    cards = machine.accelerators or ()
    gpu_bytes = sum(card.memory_total_bytes or 0 for card in cards if not card.unified)
    if gpu_bytes:
        yield f"{units.binary(gpu_bytes)} of GPU memory"
    given, free = given_by(machine, workload).ceiling, machine.memory_available_bytes
    if given is not None:
        yield f"{units.binary(given)}{' of RAM' * bool(gpu_bytes)} for models"
        if not machine.planning and free is not None and free < given:
            yield f"{units.binary(free)} free now"
    # those of a simulated machine stand in its name
    yield from () if machine.planning else units.counted([card.name for card in cards])


# ------------------------------------------------------------------ compare

# what 60 columns hold beside the names of the rows; more models make further tables
SIDE_BY_SIDE = 3
# the answers on openness that a first look needs
_ANSWERS_SHOWN = ("commercial use", "open source", "auditable", "current")


def compare_document(
    verdicts: Sequence[Verdict], *, verbose: bool = False, carry: str = ""
) -> Document:
    """Return the models in the order given, three to a table, then why some do not run.

    `verbose` adds how each was judged and every answer on openness. `carry` goes behind the
    proposed command.
    """
    if not verdicts:
        return Document(blocks=())
    head = (count_words(verdicts), planned_words(verdicts[0].machine))
    blocks = list(texts(head, indent=0, hang=0))
    for start in range(0, len(verdicts), SIDE_BY_SIDE):
        blocks += [BLANK, _side_by_side(verdicts[start : start + SIDE_BY_SIDE], verbose)]
    blocks.append(BLANK)
    for verdict in verdicts:
        if remark := _remark(verdict):
            blocks.append(line(strong(verdict.model.id), f": {remark}", hang=2))
    notes = chain.from_iterable((*each.understood_as, *each.notes) for each in verdicts)
    blocks += texts(dict.fromkeys(notes), indent=0)
    cost = _COST_ALONE if verdicts[0].monthly_cost is not None else ""
    blocks += [BLANK, *texts([cost], indent=0), BLANK]
    names = " ".join(verdict.model.id for verdict in verdicts)
    blocks.append(command_line(f"selfhost check {names}{carry}"))
    if not verbose:
        blocks.append(say("Every answer on licenses and openness: -v"))
    return Document(blocks=tuple(blocks))


def _remark(verdict: Verdict) -> str:
    """Why it does not run, and what supersedes it."""
    successors = (
        row.why.partition(":")[0]
        for row in openness.rows(verdict.model)
        if row.name == "current" and row.answer == "no"
    )
    return "; ".join(filter(None, (causes(verdict), *successors)))


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
    own = [offer for offer in verdict.api_offers if not offer.stands_in]
    figures = {
        "judged as": format_words(verdict.workload) if verbose else facts["quant"],
        "memory": facts["memory"],
        "tokens/s" if is_text else PACES: facts["pace"],
        "download": facts["download"].partition(",")[0],
        "context up to": _longest(verdict, own),
        "parameters": facts["parameters"],
        "released": facts["released"],
        "API, $ per 1M": _short_price(own[0]) if own else "",
        "license": facts["license"],
    }
    cells = {"": answer_cell(verdict, here=is_here(verdict.machine))}
    cells |= {name: Span(text=figure) for name, figure in figures.items()}
    for row in (*openness.permissions(verdict.model), *openness.rows(verdict.model)):
        if verbose or row.name in _ANSWERS_SHOWN:
            cells[row.name] = answer_word(row)
    return cells


def _longest(verdict: Verdict, own: Sequence[Offer]) -> str:
    """The longest context here, of a closed model what it has or an API takes; else none."""
    longest = None
    if verdict.can_run and verdict.workload.context_tokens is not None:
        room = verdict.room.longest_context_tokens if verdict.room is not None else None
        longest = max(room or 0, verdict.workload.context_tokens)
    elif verdict.can_run or verdict.model.closed:
        served = (offer.context_tokens or 0 for offer in own)
        longest = verdict.trained_tokens or max(served, default=0)
    return f"{longest:,}" if longest else ""


def _short_price(offer: Offer) -> str:
    """`0.10/0.32`: dollars per million tokens in and out; of other units `$0.04 per image`."""
    rates = (offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens)
    if rates[0] is None:
        return price_words(offer.replace(price_is_for=None))
    return "/".join(
        units.dollars(rate).removeprefix("$") if rate else "free"
        for rate in rates
        if rate is not None
    )
