"""What `check` says to a person: the answer, the figures that decide, then what to type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.offers import provider_name
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, DEFAULT_MIN_TOKENS_PER_SECOND
from ..judge.record import Alternative, Finding, Outcome, Route, Verdict
from .layout import (
    BLANK,
    Bar,
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
from .prices import API_RISKS, no_api_words, offer_words
from .words import (
    MACHINE,
    answer_line,
    asked_words,
    each_words,
    failed_words,
    finding_blocks,
    is_closed,
    is_here,
    labels,
    license_name,
    likely_speed,
    on_machine,
    ordered,
    pace_of,
    pace_words,
    planned_words,
    reason_blocks,
    stands_above,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..core.workload import Workload
    from ..judge.pace.speed import SecondsRange, Speed

# always in the table where there are figures: they decide, and people compare them
_ROWS = ("memory", "accelerator", "disk", "speed")
# what a row or the first lines say already
_SAID = ("memory-too-small", "memory-close", "disk-too-small", "accelerator-too-small",
         "speed-slow", "speed-too-slow", "weights-closed", "runtime-not-installed")  # fmt: skip
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
_HEADINGS = {
    Outcome.FAIL: "Why not",
    Outcome.UNKNOWN: "Not known",
    Outcome.WARN: "Worth knowing",
    Outcome.PASS: "Fine",
}


def check_document(
    verdicts: Sequence[Verdict],
    *,
    verbose: bool = False,
    carry: str = "",
    workload_options: str = "",
    today: str | None = None,
) -> Document:
    """Return the answer for one model, or a table of several and what stands in their way.

    `verbose` adds every finding, every memory term and all sources. `carry` goes behind each
    proposed `selfhost check …`, `workload_options` where the command has no workload of its own.
    `today`, `YYYY-MM-DD`, gives prices an age.
    """
    if len(verdicts) == 1:
        return Document(blocks=tuple(_single(verdicts[0], verbose, carry, today)))
    if not verdicts:
        return Document(blocks=())
    from .several_text import several_blocks

    options = workload_options + carry
    return Document(blocks=tuple(several_blocks(verdicts, verbose, carry, options, today)))


def one_after_the_other(documents: Sequence[Document]) -> Document:
    """Join several answers, such as one for each machine of a folder."""
    return Document(blocks=tuple(part for each in documents for part in (*each.blocks, BLANK)))


def _single(verdict: Verdict, verbose: bool, carry: str, today: str | None) -> Iterator[Block]:
    measured, available = "--measure" in carry.split(), verdict.model.availability
    yield answer_line(verdict)
    lines = (
        *(_pace_lines(verdict, verdict.speed, measured) if verdict.speed else ()),
        asked_words(verdict),
        verdict.quality.warning if verdict.can_run and verdict.quality else None,
        planned_words(verdict.machine),
        " ".join(available.sentences[1:]) if available and is_closed(verdict) else None,
        *verdict.understood_as,
    )
    yield from texts(lines, hang=0)
    yield from _figures(verdict)
    if measured and verdict.machine.memory_bandwidth_bytes_per_second is None:
        why = verdict.machine.why_unread(_BANDWIDTH)
        yield from reason_blocks("memory bandwidth", why.reason, why.remedy)
    if unsaid := [] if verbose else _unsaid(verdict):
        yield from (BLANK, *finding_blocks(unsaid))
    yield from _to_run(verdict) if verdict.can_run else _instead(verdict, carry, verbose)
    yield from _by_api(verdict, today)
    if verdict.monthly_cost is not None:
        from .cost_text import month_blocks

        yield from month_blocks(verdict)
        yield BLANK
    yield from (BLANK, *texts(verdict.notes, indent=0), BLANK) if verdict.notes else ()
    yield from texts([_spare(verdict)], indent=0)
    yield from _details(verdict) if verbose else [say(_hidden_words(verdict))]


def _hidden_words(verdict: Verdict) -> str:
    """What `-v` has beside the first screen."""
    hidden = len(verdict.api_offers) - 1
    shows_one = hidden > 0 and verdict.route in (Route.API, Route.LOCAL)
    others = f", and {hidden} more API{'s' * (hidden > 1)}" if shows_one else ""
    return f"Every figure with its source{others}: -v"


def _details(verdict: Verdict) -> Iterator[Block]:
    """All that the verdict rests on, behind the first screen."""
    from . import json
    from .details import sections
    from .machine_text import unread_blocks

    yield from (BLANK, say(API_RISKS)) if verdict.route is Route.API else ()
    for outcome, title in _HEADINGS.items():
        findings = [finding for finding in ordered(verdict) if finding.outcome is outcome]
        yield from (*heading(title), *finding_blocks(findings)) if findings else ()
    yield from section("Notes", verdict.fine_print)
    yield from section("Faster, by what was measured elsewhere", verdict.advice)
    yield from sections(json.verdict(verdict), labels("check"))
    yield from unread_blocks(verdict.machine)


# ------------------------------------------------------------------ pace


def _pace_lines(verdict: Verdict, speed: Speed, measured: bool) -> Iterator[str]:
    """Yield the pace, what a full context leaves of it, and whatever was asked about beside it."""
    workload, pace = verdict.workload, speed.decode
    if not verdict.can_run:
        return
    if speed.work is not None and pace is None:
        low, likely, high = speed.work.low, speed.work.likely, speed.work.high
        clip = f" of {units.clip(*speed.clip)}" if speed.clip is not None else ""
        words = f"{units.work(likely, speed.unit, speed.audio_seconds)}{clip}"
        yield f"{units.about(low, high)} {words}{units.guess(low, high)}"
    if pace is not None:
        alone = "one sequence alone: " if workload.parallel > 1 else ""
        narrows = "" if units.is_telling(pace.low, pace.high) else _what_narrows(verdict, measured)
        narrows = f"; {narrows} for a narrower range" if narrows else ""
        yield f"{alone}{pace_words(pace)}{narrows}"
        yield _full_context_words(verdict, speed, pace.likely)
    yield from _asked_paces(workload, speed)
    local = verdict.monthly_cost.here if verdict.monthly_cost is not None else None
    if local is not None and local.keeps_up is False:
        yield "It does not keep up with the load that you stated: see the month below."


def _asked_paces(workload: Workload, speed: Speed) -> Iterator[str]:
    """Yield the pace without a draft, the wait of a training or a prompt, the pace of several."""
    pace = speed.decode
    undrafted = speed.undrafted_tokens_per_second if workload.draft is not None else None
    if undrafted is not None and pace is not None:
        gains = "" if pace.likely > undrafted else ": the draft likely makes it slower"
        yield f"about {units.speed(undrafted, undrafted)} without the draft{gains}"
    if workload.dataset_tokens is not None and speed.dataset_seconds is not None:
        wait = _wait_words(speed.dataset_seconds)
        yield f"training on {units.tokens(workload.dataset_tokens)} takes {wait}"
    if workload.prompt_tokens is not None and speed.unit == "tokens_per_second":
        first = speed.first_token_seconds
        wait = "a time that is not known (see -v)" if first is None else _wait_words(first)
        prompt = units.tokens(workload.prompt_tokens)
        yield f"the answer to a prompt of {prompt} begins after {wait}"
    if workload.parallel > 1 and pace is not None:
        count, total = f"{workload.parallel:,} sequences at once", speed.parallel_total
        words = "a pace that is not known (see -v)"
        if total is not None:
            likely_words = units.speed(total.likely, total.likely)
            each = units.pace(*[total.likely / workload.parallel] * 2)
            ends = units.pace(total.low, total.high)
            words = f"about {likely_words} in all ({ends}, an estimate), {each} each"
        yield f"{count}: {words}"


def _is_on_card(verdict: Verdict) -> bool:
    return verdict.needs is not None and verdict.needs.placement == "accelerator"


def _what_narrows(verdict: Verdict, measured: bool) -> str:
    """What to do for a narrower range of the pace; empty where nothing is known to help."""
    machine = verdict.machine
    if _is_on_card(verdict):
        return ""
    if is_here(machine):
        if machine.memory_bandwidth_bound is not None:
            return "run it again when other programs are quiet"
        return "" if measured else "run with --measure"
    is_stated = machine.memory_bandwidth_bytes_per_second is not None
    if not machine.planning or (is_stated and not machine.assumes(_BANDWIDTH)):
        return ""
    from ..machine.ram import what_to_state

    return what_to_state(machine) or "state the bandwidth of its RAM (--set bandwidth=…GB/s)"


def _full_context_words(verdict: Verdict, speed: Speed, likely: float) -> str:
    """What a full context leaves of the pace, where that is below half or what is wanted."""
    workload, full = verdict.workload, speed.full_context_tokens_per_second
    tokens = workload.context_tokens or 0
    # of a shorter one the field is worked out for nobody
    if tokens <= DEFAULT_CONTEXT_TOKENS or full is None:
        return ""
    # what is wanted of each of several is not compared with that of one
    wanted = (workload.min_tokens_per_second or 0) if speed.each_of == 1 else 0
    is_too_slow = full < wanted <= likely
    if full >= likely / 2 and not is_too_slow:
        return ""
    is_stated = is_too_slow and wanted != DEFAULT_MIN_TOKENS_PER_SECOND
    below = f", below the {units.stated(wanted)} you need" if is_stated else ""
    alone = " for one sequence alone" if workload.parallel > 1 else ""
    context = f"once all {units.tokens(tokens)} of context are in use"
    return f"{context}: about {units.speed(full, full)}{alone}{below}"


def _wait_words(wait: SecondsRange) -> str:
    """`about 4 seconds (2.0 seconds to 6.0 seconds)`."""
    ends = f"{units.wait(wait.low)} to {units.wait(wait.high)}"
    word, guess = units.about(wait.low, wait.high), units.guess(wait.low, wait.high)
    return f"{word} {units.wait(wait.likely)} ({ends}{guess})"


# ------------------------------------------------------------------ figures


def _figures(verdict: Verdict) -> Iterator[Block]:
    """Need against machine, a row a fact: those that always decide, and what did not pass."""
    rows: list[tuple[Cell, ...]] = []
    for finding in ordered(verdict):
        amount = _amount(finding, verdict) if _has_a_row(finding, verdict) else ""
        if amount:
            names = labels("rows")
            name = names.get(finding.code) or names.get(finding.check, finding.check)
            style = "" if finding.outcome is Outcome.PASS else finding.outcome
            rows.append((name, Span(text=amount, style=style), _note(finding, verdict)))
    terms = verdict.model.license
    if rows and terms is not None and terms.id is not None:
        rows.append(
            (
                "license",
                license_name(terms.id),
                labels("commercial")[terms.commercial_use or "unknown"],
            )
        )
    if rows:
        yield from (BLANK, Table(columns=(Column(), Column(), Column(wrap=True)), rows=tuple(rows)))


def _has_a_row(finding: Finding, verdict: Verdict) -> bool:
    check, passes = finding.check, finding.outcome is Outcome.PASS
    runtime = verdict.finding("runtime")
    if check in ("accelerator", "speed") and runtime and runtime.code == "runtime-no-build":
        # nothing computes there
        return False
    if check == "accelerator":
        return bool(finding.needs)
    # what a program keeps in RAM beside a GPU that holds the model decides nothing
    is_beside = check == "memory" and passes and _is_on_card(verdict)
    return check in (_ROWS if passes else MACHINE) and not is_beside


def _amount(finding: Finding, verdict: Verdict) -> str:
    """`4.74 of 23.0 GiB`, `~2.8 tokens/s`; empty where there are no figures."""
    speed = verdict.speed
    if finding.check != "speed":
        needs, has = _quantity(finding.needs, finding), _quantity(finding.has, finding)
        # the need goes without its unit where that of what there is says it
        number, _, unit = needs.rpartition(" ")
        short = number if number and has.endswith(f" {unit}") else needs
        return f"{short} of {has}" if needs and has else needs
    if speed is None or speed.decode is None:
        return "" if speed is None or speed.work is None else pace_of(speed)
    if speed.judged is None or verdict.workload.parallel > speed.each_of:
        return f"~{units.speed(speed.decode.likely, speed.decode.likely)} alone"
    return f"~{units.speed(speed.judged.likely, speed.judged.likely)}{each_words(speed)}"


def _quantity(value: float | str | None, finding: Finding) -> str:
    """A finding's number in its usual unit: memory in GiB, disks in GB."""
    if value is None or isinstance(value, str):
        return ""
    if finding.check == "disk" and finding.unit == "bytes":
        return units.decimal(int(value)) if value else "nothing to download"
    kinds = {"tokens": units.tokens, "seconds": units.duration, "bytes": units.binary}
    if finding.unit in kinds:
        return kinds[finding.unit](int(value))
    return f"{value:,} {(finding.unit or '').replace('_', ' ')}".rstrip()


def _note(finding: Finding, verdict: Verdict) -> Cell:
    """What stands beside a figure: a bar and what is short, or the range of the pace."""
    if finding.check == "speed":
        return "" if verdict.speed is None else _ends_of_pace(finding, verdict, verdict.speed)
    if finding.unit != "bytes" or not finding.needs or not isinstance(finding.has, int | float):
        return ""
    short = f"{_quantity(finding.short, finding)} short" if finding.short else ""
    label = labels("doubts").get(finding.code, short)
    return Bar(needs=float(finding.needs), has=finding.has, style=finding.outcome, label=label)


def _ends_of_pace(finding: Finding, verdict: Verdict, speed: Speed) -> str:
    if speed.work is not None:
        low, high = speed.work.low, speed.work.high
        guess = "" if verdict.can_run else units.guess(low, high)
        return f"{units.work_ends(low, high, speed.unit, speed.audio_seconds)}{guess}"
    pace, wanted = speed.judged, verdict.workload.min_tokens_per_second or 0
    if pace is None:
        return ""
    fails = finding.outcome is Outcome.FAIL
    is_below = finding.outcome is not Outcome.PASS and pace.likely < wanted
    needed = f", you need {units.stated(wanted)}" if fails or is_below else ""
    doubt = "" if fails or verdict.can_run else units.guess(pace.low, pace.high)
    return f"{units.pace(pace.low, pace.high)}{needed}{doubt}"


# ------------------------------------------------------------------ remarks and what to type


def _unsaid(verdict: Verdict) -> list[Finding]:
    """What did not pass and neither a row nor the first lines say, the worst first."""
    outcomes = [Outcome.FAIL]
    if verdict.route not in (Route.API, Route.NEITHER):
        # what would only be worth knowing if it ran is left to `-v`
        outcomes += [Outcome.UNKNOWN, Outcome.WARN]
    decisive = [
        each for each in verdict.findings if each.outcome is Outcome.FAIL or each.leaves_open
    ]
    if [finding.code for finding in decisive] == ["disk-too-small"]:
        # its remedy is all that it takes
        return decisive
    return [
        finding
        for outcome in outcomes
        for finding in ordered(verdict)
        if finding.outcome is outcome and not _is_said(finding, verdict)
    ]


def _is_said(finding: Finding, verdict: Verdict) -> bool:
    """Whether a row or the first lines say it."""
    machine, workload = verdict.machine, verdict.workload
    if finding.check == "license" and finding.outcome is Outcome.WARN:
        # the license's row says what it allows
        return not (workload.commercial or workload.modify or workload.license)
    # a row does not say that a limit such as `ulimit -v` is what is short
    limits = (machine.address_space_bytes, machine.private_memory_bytes)
    if finding.check == "memory" and finding.has is not None and finding.has in limits:
        return False
    is_gate = verdict.can_run and finding.code == "weights-gated"
    return is_gate or finding.code in _SAID or stands_above(finding, verdict)


def _to_run(verdict: Verdict) -> Iterator[Block]:
    """The lines to type, in order; what stands between two is a comment of the shell."""
    lines, model, workload = list(verdict.setup), verdict.model, verdict.workload
    for before, command in zip(("", *verdict.commands), verdict.commands, strict=False):
        if before:
            lines.append("# then, in another terminal" if before.endswith(" serve") else "# or")
        lines.append(command)
    if lines:
        yield from heading("To train it" if workload.task == "finetune" else "To run it")
        yield from map(command_line, lines)
        return
    # nobody wrote down what to type
    page = model.conversions_page if workload.format == "gguf" else None
    if page is None and model.repository:
        page = f"https://huggingface.co/{model.repository}"
    with_it = f" with {workload.runtime}" if workload.runtime is not None else ""
    see = f" See {page}" if page else ""
    yield from (BLANK, say(f"No command is known that does this{with_it}.{see}", hang=2))


def _spare(verdict: Verdict) -> str:
    """How far one could go here, each alone; what would be no more than was asked is left out."""
    room, judged = verdict.room, verdict.workload
    is_tight = any(finding.code.endswith("-tight") for finding in verdict.findings)
    if room is None or not verdict.can_run or is_tight:
        return ""
    parts: list[str] = []
    longest, parallel = room.longest_context_tokens, room.most_parallel
    if longest is not None and longest > (judged.context_tokens or 0):
        full = "full " if longest == verdict.trained_tokens else ""
        parts.append(f"{full}context ({units.tokens(longest)})")
    if parallel is not None and parallel > judged.parallel:
        parts.append(f"{parallel:,} sequences")
    if room.best_quantization not in (None, judged.quantization):
        parts.append(f"{room.best_quantization} weights")
    if not parts:
        return ""
    where = "the GPU" if _is_on_card(verdict) else "memory"
    listed = " or ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    if verdict.machine.memory_available_bytes is None:
        # nothing runs there
        return f"Also fits {where}: {listed}."
    return f"With other programs closed, {where} also holds: {listed}."


# ------------------------------------------------------------------ what to do instead


def _instead(verdict: Verdict, carry: str, verbose: bool) -> Iterator[Block]:
    """What runs in its place, a row each, and the command for the first."""
    where, others = on_machine(verdict.machine, short=True), verdict.alternatives
    if others:
        would = "would run" if verdict.route is Route.UNKNOWN else "runs"
        yield from heading(f"What {would} {where} instead")
        drops = (Column(drop=1), Column(drop=3, cut=18), Column(cut=20, drop=2))
        rows = tuple(_alternative(verdict, each) for each in others)
        yield Table(columns=(Column(), Column(right=True), *drops), rows=rows)
    named = list(_open_alternatives(verdict, where, verbose or not others))
    yield from texts(named) if others else section("The nearest open-weight models", named)
    if others:
        yield command_line(others[0].command + carry)


def _open_alternatives(verdict: Verdict, where: str, shows_all: bool) -> Iterator[str]:
    """Yield the open-weight models that the spec of a closed one names and no row proposes."""
    proposed = {other.id for other in verdict.alternatives}
    for named in verdict.open_alternatives:
        if named.id in proposed or not (named.practical or shows_all):
            continue
        state = {True: "barely runs", False: "does not run", None: "may run"}[named.fits]
        terms = license_name(named.license) or "license not known"
        words = f"{named.id}{f' in {named.quantization}' if named.quantization else ''} ({terms})"
        why = f": {failed_words(named.failed)}" if named.failed else ""
        yield f"{words} {'runs' if named.practical else state} {where}{why}"


def _alternative(verdict: Verdict, other: Alternative) -> tuple[Cell, ...]:
    is_same, judged = other.id == verdict.model.id, verdict.workload.context_tokens
    how = [other.id, *((other.quantization, other.finetune_method) if is_same else ())]
    if other.context_tokens is not None and judged not in (None, other.context_tokens):
        how.append(units.tokens(other.context_tokens))
    if is_same and other.runtime not in (None, verdict.workload.runtime):
        how.append(f"with {other.runtime}")
    pace, alone = other.judged_tokens_per_second, other.decode_tokens_per_second
    is_each = verdict.speed is not None and verdict.speed.each_of > 1
    words = "" if alone is None else f"{likely_speed(alone)} alone"
    size = other.memory_high_bytes
    return (
        strong(" ".join(filter(None, how))),
        "" if size is None else units.binary(size),
        words if pace is None else f"{likely_speed(pace)}{' each' * is_each}",
        "" if is_same else license_name(other.license),
        other.why,
    )


def _by_api(verdict: Verdict, today: str | None) -> Iterator[Block]:
    """The cheapest offer in a line."""
    offers = verdict.api_offers
    yield BLANK
    if verdict.route is Route.NEITHER:
        yield say(f"By API: {no_api_words(verdict.workload)}.")
    elif offers and verdict.route is not Route.UNKNOWN:
        whose, prices = offer_words(offers[0], today)
        start = "Or by API: " if verdict.route is Route.LOCAL else "By API: "
        yield line(start, strong(whose), f", {prices}", hang=2)
        if offers[0].ends:
            ends = f"{provider_name(offers[0].provider)} ends it on {offers[0].ends}."
            yield say(ends, indent=2)
