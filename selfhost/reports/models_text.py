"""What `list`, `compare`, `show` and `check` of several models say to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from ..advice.listing import Ranking
from ..advice.several import Compared, Comparison, Shown
from ..catalogue import openness
from ..catalogue.names import is_path
from ..catalogue.offers import Offer
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import SCRATCH
from ..core import units
from ..core.quoting import shell_word
from ..core.workload import Workload
from ..judge.checks.space import given_by
from ..judge.record import TIGHT_CODES, Outcome, Route, Verdict
from . import words
from .layout import (
    AS_TOPIC,
    Blocks,
    Column,
    Paragraph,
    Span,
    Table,
    command,
    commands,
    line,
    section,
    strong,
    texts,
    topics,
)

# rows of the first screen of `list`
TOP = 20
_TIGHT = Span("!", Outcome.WARN)
# of findings that let it run, but not well or not as was asked
_RESERVED = (*TIGHT_CODES, "openness-partly")
# the figures in the columns of a table in `specs/common/labels.toml`
_SHOWN = {
    "models": ("memory", "pace", "judged as"),
    "listed": ("memory", "in", "quant", "pace", "download", "license"),
    "listed wide": (
        "memory", "in", "quant", "pace", "download", "license", "parameters", "released", "why",
    ),
}  # fmt: skip


def _table(name: str, answers: Sequence[Verdict], first: Sequence[str]) -> Table:
    pace = words.pace_title(answer.speed for answer in answers)
    facts = [_figures(answer, pace) for answer in answers]
    if len({each["in"] for each in facts}) == 1:
        # all in one place: nothing to tell apart, and an empty column is not shown
        facts = [each | {"in": ""} for each in facts]
    rows = (
        (sign, strong(answer.model.id), *(each[key] for key in _SHOWN[name]))
        for sign, answer, each in zip(first, answers, facts, strict=True)
    )
    table = Table.of(name, rows, pace=pace, wraps="~" if pace == words.PACES else "")
    # who asks for more columns is told which of them the terminal has no room for
    return table.replace(tells_left_out=name == "listed wide")


def _figures(answer: Verdict, pace: str) -> dict[str, str]:
    """The figures of a model by name; a dash is what is not known. `pace`: its title."""
    model, workload = answer.model, answer.workload
    context = units.tokens(workload.context_tokens) if workload.context_tokens else ""
    terms = model.license.id if model.license else None
    download = words.known(answer.download_bytes, units.decimal)
    if answer.download_bytes and answer.download_seconds is not None:
        download += f", {units.duration(answer.download_seconds)}"
    return {
        "judged as": ", ".join(filter(None, (workload.quantization, context))),
        "memory": words.memory_words(answer.needs) or "-",
        "in": words.PLACES.get(answer.placement or "", ""),
        "pace": words.pace_of(answer.speed, title=pace),
        "download": "here" if answer.download_bytes == 0 else download,
        "quant": workload.quantization or "-",
        "parameters": words.known(model.parameters.total, units.count),
        "released": model.released or "-",
        "license": "closed" if model.closed else units.short_license(terms or "-"),
        "why": words.causes(answer) or answer.why or "",
    }


# what the command says, or what no single command mends
_SAID_ELSEWHERE = ("runtime-not-installed", "speed-slow", "speed-assumed")
_TOO_MUCH = (
    "That may be more than is there: run them one after another. A [[together]] in the policy of"
    " `selfhost audit` judges them at once, and counts what they share once."
)
_MORE = f"Every finding: -v · {words.RANGES}"
# a table of months side by side would say less than one model's own
_COST_ALONE = "The cost of a month: selfhost check MODEL, with the same options."


# a sign and `RUNS, TAKES HOURS`; longer answers are rare
_ANSWER_WIDTH = 19


def told_row(verdict: Verdict, name_width: int) -> Paragraph:
    """The answer for one of many models in one line, which can be written before the next is
    judged: so its columns do not depend on the others.
    """
    answer = words.answer_cell(verdict)
    title = words.pace_title([verdict.speed])
    figures = _figures(verdict, title)
    pace = figures["pace"]
    if title != words.PACES and pace not in ("", "-"):
        pace = f"{pace} {title}"
    facts = (figures["memory"], pace, figures["judged as"])
    known = ", ".join(fact for fact in facts if fact not in ("", "-"))
    name = verdict.model.id
    before = " " * (2 + max(0, _ANSWER_WIDTH - len(answer)))
    behind = " " * (2 + max(0, name_width - len(name)))
    return line(answer, before, strong(name), behind, known)


def several_blocks(
    verdicts: Sequence[Verdict],
    verbose: bool,
    carry: str,
    options: str,
    today: str | None,
    unjudged: int,
    rows_are_told: bool = False,
) -> Blocks:
    """Yield a count, a row a model, commands of those that run, the way out of others.
    `rows_are_told`: the rows were written when each model was judged.
    """
    yield line(words.count_words(verdicts, unjudged))
    yield from texts([words.planned_words(verdicts[0].machine)], indent=0)
    if not rows_are_told:
        yield from (line(), _table("models", verdicts, list(map(words.answer_cell, verdicts))))
    local = [verdict for verdict in verdicts if verdict.can_run]
    yield from (*texts(_sums(local) if local[1:] else (), indent=0), line())
    yield from _notes(verdicts, verbose)
    limits = ((each.model.id, words.limit_words(each)) for each in local)
    yield from (*texts(f"{id}: {limit}" for id, limit in limits if limit), line())
    yield from section("Worth knowing", topics(_warnings(local)))
    lines: dict[str, None] = {}
    for verdict in local:
        setup = verdict.setup if verbose else words.first_way(verdict.setup)
        lines |= dict.fromkeys([*setup, *verdict.commands[:1]])
    yield from section("To run them", commands(lines))
    others = (verdict for verdict in verdicts if not verdict.can_run)
    ways = (_way_out(each, carry, options, today if verbose else None) for each in others)
    title = "The others" if local else "What to do instead"
    yield from (*section(title, chain.from_iterable(ways)), line())
    yield from texts([_COST_ALONE * (verdicts[0].monthly_cost is not None)], indent=0)
    if not verbose:
        yield line(_MORE)
        return
    if any(verdict.route is Route.API for verdict in verdicts):
        yield line(words.API_RISKS)
    for verdict in verdicts:
        yield from (line(), words.answer_line(verdict))
        yield from topics(map(AS_TOPIC, words.ordered(verdict)))


def _notes(verdicts: Sequence[Verdict], verbose: bool) -> Blocks:
    notes = chain.from_iterable((*each.understood_as, *each.notes * verbose) for each in verdicts)
    return texts(dict.fromkeys(notes), indent=0)


def _sums(local: Sequence[Verdict]) -> Iterator[str]:
    """What the models that run take at once, of each memory that more than one of them takes."""
    cards, shares, is_too_much = local[0].machine.accelerators or (), list[str](), False
    # of several GPUs each may lie on another, and one that shares the RAM has none of its own
    is_one_card = len(cards) == 1 and not cards[0].unified
    for check, name in (("memory", "RAM"), ("accelerator", "GPU memory"))[: 1 + is_one_card]:
        findings = filter(None, (verdict.finding(check) for verdict in local))
        amounts = ((each.needs, each.has) for each in findings)
        pairs = [(a, b) for a, b in amounts if isinstance(a, int) and isinstance(b, int)]
        if len(pairs) > 1:
            total, limit = sum(needs for needs, _ in pairs), max(has for _, has in pairs)
            shares.append(f"{units.binary(total)} of {units.binary(limit)} of {name}")
            is_too_much |= total > limit
    at_once = f" All at once they take up to {' and '.join(shares)}." if shares else ""
    yield f"Each is judged alone.{at_once}"
    yield _TOO_MUCH * is_too_much


def _warnings(local: Sequence[Verdict]) -> Iterator[tuple[str, str, str | None]]:
    for verdict in local:
        if verdict.quality is not None and verdict.quality.warning:
            yield f"quality ({verdict.model.id})", verdict.quality.warning, None
        for finding in words.ordered(verdict):
            is_said = finding.code in _SAID_ELSEWHERE
            is_said |= finding.check == "accelerator" and verdict.waits_for_setting
            # what is assumed of a simulated machine stands in its own sentence
            is_said |= verdict.machine.planning and finding.code.endswith("-assumed")
            if finding.outcome is Outcome.WARN and not is_said:
                yield f"{finding.check} ({verdict.model.id})", finding.reason, finding.remedy


def _way_out(verdict: Verdict, carry: str, options: str, today: str | None) -> Blocks:
    yield line(strong(verdict.model.id), f": {words.causes(verdict)}", indent=2)
    typed = f"selfhost check {verdict.model.id}{options}"
    for first in verdict.alternatives[:1]:
        model = " in ".join(filter(None, (first.id, first.quantization)))
        runs = "would run" if verdict.route is Route.UNKNOWN else "runs"
        yield line(f"{runs} {words.place_words(verdict.machine)}: {model}", indent=4)
        typed = first.command + carry
    if verdict.route is Route.API and verdict.api_offers:
        whose, prices = words.offer_words(verdict.api_offers[0], today)
        yield line(f"by API: {whose}, {prices}", indent=4)
    yield command(typed, indent=4)


def list_document(
    listing: Ranking,
    workload: Workload | None = None,
    *,
    top: int | None = TOP,
    wide: bool = False,
    only_running: bool = True,
    near: Sequence[str] = (),
    today: str | None = None,
    notes: Sequence[str] = (),
) -> Blocks:
    """Yield how many run, then the first `top` of them in the order given, None for all.

    `only_running` leaves out what does not run here, `wide` adds columns. `near` are names like the
    words that no model has; `notes` are about the machine's name.
    """
    counts = listing.counts
    rows = [row for row in listing.models if row.can_run or not only_running][:top]
    head = [_summary(listing, workload or Workload()), words.planned_words(listing.machine)]
    if not counts.models:
        hints = (
            f"{listing.ruled_out:,} are ruled out by your conditions." * (listing.ruled_out > 0),
            f"Did you mean {' or '.join(near)}?" * bool(near),
            "`selfhost list --all` has every model." * (not notes),
        )
        hint = next(filter(None, hints), "")
        head = [f"No model matches. {hint}".rstrip()]
    yield from texts([*head, *notes], indent=0)
    if rows:
        signs = [
            _TIGHT
            if row.can_run and (row.has(*_RESERVED) or row.waits_for_setting)
            else Span(words.ANSWERS[row.route][0], row.route)
            for row in rows
        ]
        yield from (line(), _table("listed wide" if wide else "listed", rows, signs), line())
        yield line(_footer(listing, rows, wide=wide, only_running=only_running))
        if _have_paces(rows):
            yield line(words.RANGES)
        if counts.running == 0:
            yield line(f"a machine that runs one: selfhost plan {rows[0].model.id}")
    yield from words.age_blocks(listing.catalogue_as_of, today)


def _footer(
    listing: Ranking,
    rows: Sequence[Verdict],
    *,
    wide: bool,
    only_running: bool,
) -> str:
    """What the table leaves out, and what to type to see it."""
    counts = listing.counts
    candidates, about = counts.models, ""
    if only_running and counts.running:
        candidates = counts.running
        about = "about " if counts.is_estimate else ""
    hints = [f"{len(rows)} of {about}{candidates:,}"]
    if candidates < counts.models or len(rows) < candidates:
        hints.append("all: --all")
    if not wide:
        hints.append("columns: --wide")
    return " · ".join([*hints, *_legend(rows)])


def _legend(rows: Sequence[Verdict]) -> list[str]:
    """What `!` stands for in a list, in as few words as its rows need."""
    reasons = []
    running = [row for row in rows if row.can_run]
    if any(row.has(*TIGHT_CODES) or row.waits_for_setting for row in running):
        reasons.append("little memory left, or a limit must be raised first")
    if any(row.has("openness-partly") for row in running):
        reasons.append("only partly as open as you asked")
    return [f"{_TIGHT}: {'; '.join(reasons)}"] if reasons else []


# a list says what is free now where that is clearly less than what models may take
_MUCH_OF_IT = 0.95


def _summary(listing: Ranking, workload: Workload) -> str:
    """How many run, and what that rests on: the GPUs, the memory for models, what is free now."""
    counts, machine, cards = listing.counts, listing.machine, listing.machine.accelerators or ()
    # where it is an estimate, not all were judged
    verbs = ("fits in memory", "fit in memory") if counts.is_estimate else ("runs", "run")
    verb, running = ", best first,", ""
    if counts.running is not None:
        verb = f" {verbs[counts.running != 1]}"
        running = f"{'About ' * counts.is_estimate}{counts.running:,} of "
    gpu_bytes = sum(card.memory_total_bytes or 0 for card in cards if not card.unified)
    memory = [f"{units.binary(gpu_bytes)} of GPU memory"] * (gpu_bytes > 0)
    given, free = given_by(machine, workload).ceiling_bytes, machine.memory_available_bytes
    if given is not None:
        memory.append(f"{units.binary(given)}{' of RAM' * bool(gpu_bytes)} for models")
        is_less = free is not None and free < _MUCH_OF_IT * given
        if free is not None and is_less and not machine.planning:
            memory.append(f"{units.binary(free)} free now")
    # those of a simulated machine stand in its name
    memory += units.counted([card.name for card in cards if not machine.planning])
    held = ", ".join(memory)
    parts = (
        f"{running}{counts.models:,} model{'s' * (counts.models != 1)}{verb}"
        f" {words.place_words(machine)}{f' ({held})' if held else ''}"
        f"{f', {counts.slow:,} of them likely slow' * (counts.slow > 0)}",
        "--all judges every one" * counts.is_estimate,
        f"{counts.unknown:,} unknown" * (counts.unknown > 0),
        f"{listing.ruled_out:,} ruled out by your conditions" * (listing.ruled_out > 0),
    )
    return f"{'; '.join(filter(None, parts))}."


# what 60 columns hold beside the names of the rows; more models make further tables
SIDE_BY_SIDE = 3
# the answers on openness that a first look needs
_ANSWERS_SHOWN = ("commercial use", "open source", "auditable", "current")


def compare_document(comparison: Comparison, *, verbose: bool = False, carry: str = "") -> Blocks:
    """Yield the models in the order given, three to a table, then why some do not run.

    `verbose` adds how each was judged and every answer on openness. `carry` goes behind the
    proposed command.
    """
    models, verdicts = comparison.models, [each.verdict for each in comparison.models]
    if not verdicts:
        return
    head = (words.count_words(verdicts), words.planned_words(verdicts[0].machine))
    yield from texts(head, indent=0)
    for start in range(0, len(models), SIDE_BY_SIDE):
        yield from (line(), _side_by_side(models[start : start + SIDE_BY_SIDE], verbose))
    yield line()
    for each in models:
        ending = each.verdict.shutdown
        remarks = [words.causes(each.verdict), *_why_not_current(each)]
        if ending is not None:
            remarks = [words.causes(each.verdict), words.shutdown_words(ending)]
        if remark := "; ".join(filter(None, remarks)):
            yield line(strong(each.verdict.model.id), f": {remark}")
    yield from texts([_types_apart(verdicts)], indent=0)
    yield from (*_notes(verdicts, verbose=True), line())
    names = " ".join(verdict.model.id for verdict in verdicts)
    yield from (line(), command(f"selfhost check {names}{carry}"))
    yield from texts(["" if verbose else "Every answer on licenses and openness: -v"], indent=0)
    if _have_paces(verdicts):
        yield line(words.RANGES)


def _have_paces(verdicts: Sequence[Verdict]) -> bool:
    """Whether a table of them shows a likely pace: what does not fit has none."""
    return any(words.pace_of(verdict.speed).startswith("~") for verdict in verdicts)


def _why_not_current(compared: Compared) -> Iterator[str]:
    """Why a model is not, or only in part, the current one."""
    for row in compared.openness:
        if row.name == "current" and row.answer == "no":
            yield row.why.partition(":")[0]
        elif row.name == "current" and row.answer == "partly":
            yield row.why


def _types_apart(verdicts: Sequence[Verdict]) -> str:
    """That the models are not judged in one quantization; empty where they are."""
    types = {verdict.model.id: verdict.quantization for verdict in verdicts}
    known = {id: type for id, type in types.items() if type is not None}
    if len(set(known.values())) < 2:
        return ""
    listed = ", ".join(f"{id} in {type}" for id, type in known.items())
    return f"Not in one quantization, so memory and pace are not like for like: {listed}."


def _side_by_side(models: Sequence[Compared], verbose: bool) -> Table:
    columns = (Column(), *(Column(title=each.verdict.model.id, wrap=True) for each in models))
    facts = [_facts(each, verbose) for each in models]
    rows = []
    # in the order of the model of which most is known
    fullest_first = sorted(facts, key=len, reverse=True)
    for name in dict.fromkeys(name for each in fullest_first for name in each):
        cells = [each.get(name, "") for each in facts]
        if any(cell not in ("", "-") for cell in cells):
            rows.append((name, *(cell or "-" for cell in cells)))
    return Table(columns=columns, rows=tuple(rows), indent=0, splits=True)


def _facts(compared: Compared, verbose: bool) -> dict[str, str]:
    verdict = compared.verdict
    pace = words.pace_title([verdict.speed])
    figures = _figures(verdict, pace)
    own = [offer for offer in verdict.api_offers if not offer.stands_in]
    price = ""
    for offer in own[:1]:
        rates = (offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens)
        stated = (rate for rate in rates if rate is not None)
        shown = (units.dollars(each).removeprefix("$") if each else "free" for each in stated)
        price = "/".join(shown)
        if rates[0] is None:
            price = words.offer_words(offer.replace(price_is_for=None), None)[1]
    facts = {
        "": words.answer_cell(verdict),
        "judged as": words.format_words(verdict.workload) if verbose else figures["quant"],
        "memory": figures["memory"],
        # what is split over GPU and RAM is many times as slow
        "in": figures["in"] if verdict.can_run and verdict.machine.accelerators else "",
        pace: figures["pace"],
        "first word": _first_word(verdict),
        **_month_facts(verdict),
        "download": figures["download"].partition(",")[0],
        "context up to": _longest(verdict, own),
        "parameters": figures["parameters"],
        "released": figures["released"],
        "API, $ per 1M": price,
        "license": figures["license"],
    }
    for row in (*compared.permissions, *compared.openness):
        if verbose or row.name in _ANSWERS_SHOWN:
            facts[row.name] = words.OPENNESS_WORDS[row.answer]
    return facts


def _longest(verdict: Verdict, own: Sequence[Offer]) -> str:
    """The longest context here, of a closed model what it has or an API takes; else none."""
    longest = None
    if verdict.model.modality == "embedding":
        # whatever length of them is asked for
        longest = verdict.question.trained_tokens
    elif verdict.can_run and verdict.workload.context_tokens is not None:
        room = verdict.room.longest_context_tokens if verdict.room is not None else None
        longest = max(room or 0, verdict.workload.context_tokens)
    elif verdict.can_run or verdict.model.closed:
        served = (offer.context_tokens or 0 for offer in own)
        longest = verdict.question.trained_tokens or max(served, default=0)
    if not longest:
        return ""
    trained = verdict.question.trained_tokens
    if not verdict.can_run or trained is None:
        return f"{longest:,}"
    limit = "as trained" if longest >= trained else "what fits"
    return f"{longest:,} ({limit})"


def _first_word(verdict: Verdict) -> str:
    """How long the first word takes after the stated prompt; empty where none was stated."""
    if verdict.workload.prompt_tokens is None or verdict.speed is None or not verdict.can_run:
        return ""
    wait = verdict.speed.first_token_seconds
    return "" if wait is None else f"after {units.duration(wait.likely)}"


def _month_facts(verdict: Verdict) -> dict[str, str]:
    """The stated load: its price by API for a month, and the hours a day that it takes here."""
    cost = verdict.monthly_cost
    if cost is None or cost.reason is not None:
        return {}
    bills = [each.usd_per_month for each in cost.offers if each.usd_per_month is not None]
    facts = {"a month by API": units.dollars(min(bills)) if bills else ""}
    local = cost.here
    if local is not None and local.hours_per_day is not None:
        hours = f"{units.pace(local.hours_per_day.likely)} hours"
        facts["work a day"] = hours
    if local is not None and local.electricity_per_month is not None:
        facts["electricity a month"] = f"{local.electricity_per_month.likely:,.2f}"
    return facts


# sizes of the first screen of `show`
_MOST_SIZES = 6
_FITS = {True: "yes", False: "no", None: "unknown"}


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
    sizes = shown.sizes
    usual = (*words.LABELS["show_first"]["types"], verdict.workload.quantization)
    if len(sizes) > _MOST_SIZES:
        sizes = tuple(size for size in sizes if size.quantization in usual) or sizes
    # where there is no GPU, all of it is in the RAM
    places = words.PLACES if verdict.machine.accelerators else {}
    rows = (
        (
            size.quantization,
            units.decimal(size.bytes),
            words.known(size.memory_likely_bytes, units.binary, ""),
            places.get(size.placement or "", ""),
            words.OPENNESS_WORDS[_FITS[size.fits]],
            size.quality.cost,
        )
        for size in sorted(sizes, key=lambda size: size.bytes, reverse=True)
    )
    context, program = verdict.workload.context_tokens, verdict.runtime
    if sizes:
        about = f" with {units.tokens(context)} of context" if context else ""
        yield from (line(), line(f"Its sizes in {program}{about}", indent=2))
        # the headline names the machine
        is_here = words.place_words(verdict.machine) == words.HERE
        yield Table.of("sizes", rows, where=words.HERE if is_here else "there")
    if offers:
        whose, prices = words.offer_words(offers[0].replace(stands_in=False), None)
        more = f" ({len(offers) - 1} more: -v)" if len(offers) > 1 else ""
        yield from (line(), line("By API: ", strong(whose), f", {prices}{more}"))
    yield from (line(), *texts(verdict.notes, indent=0), line()) if verdict.notes else ()
    yield from words.month_blocks(verdict)
    yield from _full_blocks(shown) if verbose else ()
    named = shell_word(verdict.asked) if is_path(verdict.asked) else spec.id
    again = command(f"selfhost check {named}{carry}")
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
        yield "license", units.short_license(terms or "not known"), ""
    for row in openness.rows(spec):
        if row.name in words.LABELS["show_first"]["openness"]:
            yield row.name, words.OPENNESS_WORDS[row.answer], row.why
    inside = spec.architecture
    if inside is not None and inside.context_tokens is not None:
        scaled = inside.scaled_context_tokens
        longer = f"{units.tokens(scaled)} by scaling" if scaled else ""
        yield "context", units.tokens(inside.context_tokens), longer
    if spec.tuned_from or "tuned_from" in spec.unknown:
        start = "none, from scratch" if spec.tuned_from == SCRATCH else spec.tuned_from
        yield "tuned from", start or "not known", ""


def _full_blocks(shown: Shown) -> Blocks:
    from . import json
    from .details import sections

    verdict = shown.verdict
    yield from (line(), *texts((words.asked_words(verdict), *verdict.fine_print)))
    about = {**json.about(verdict.model), "sizes": json.record(shown.sizes)}
    yield from sections(about, words.LABELS["show"])
    yield from section("Losses of quality, by the model's size", texts(shown.loss_by_size))
    yield from sections(json.verdict(verdict), words.LABELS["show_verdict"])
