"""What `check` says to a person: the answer, the figures that decide, then what to type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..catalogue.offers import provider_name
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS
from ..judge.pace import clip_words
from ..judge.record import Finding, Outcome, Route, Verdict
from ..needs.records import times
from . import words
from .layout import (
    AS_TOPIC,
    Blocks,
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

if TYPE_CHECKING:
    from ..judge.pace import Range, Speed

# the most that it may take stands beside the likely need from so many times that on
_MUCH_MORE = 1.05
# what a row or the first lines say already
_SAID = ("memory-too-small", "memory-close", "disk-too-small", "accelerator-too-small",
         "speed-slow", "speed-too-slow", "speed-when-full", "weights-closed", "weights-gated",
         "weights-yours",
         "runtime-not-installed")  # fmt: skip


def check_document(
    verdicts: Sequence[Verdict],
    *,
    verbose: bool = False,
    carry: str = "",
    workload_options: str = "",
    today: str | None = None,
    unjudged: int = 0,
    rows_are_told: bool = False,
) -> Blocks:
    """Yield the answer for one model, or a table of several and what stands in their way. The
    table is left out where `rows_are_told` already, each by `several_text.told_row`.

    `carry` goes behind each proposed `selfhost check …`, `workload_options` where the command has
    no workload of its own. `today` gives prices an age; `unjudged` counts names without an answer.
    """
    if len(verdicts) != 1:
        from .several_text import several_blocks

        yield from several_blocks(
            verdicts,
            verbose=verbose,
            carry=carry,
            options=workload_options + carry,
            today=today,
            unjudged=unjudged,
            rows_are_told=rows_are_told,
        )
        return
    verdict, measured = verdicts[0], "--measure" in carry.split()
    machine = verdict.machine
    yield words.answer_line(verdict)
    yield from texts(_first_lines(verdict, measured))
    if rows := tuple(_rows(verdict)):
        yield from (line(), Table.of("check", rows))
    if measured and machine.memory_bandwidth_bytes_per_second is None:
        why = machine.why_unread("memory_bandwidth_bytes_per_second")
        yield from topics([("memory bandwidth", why.reason, why.remedy)])
    if not verbose:
        yield from (line(), *topics(_unsaid(verdict)))
    setup = list(verdict.setup) if verdict.can_run else []
    shown = setup if verbose else words.first_way(setup)
    yield from _to_run(verdict, shown) if verdict.can_run else _instead(verdict, carry)
    yield from (line(), *_by_api(verdict, today))
    yield from (*words.month_blocks(verdict), line()) if verdict.monthly_cost is not None else ()
    yield from texts([*verdict.notes, _spare(verdict)], indent=0)
    if verbose:
        from . import json
        from .details import sections
        from .machine_text import unread_blocks

        yield from (line(), line(words.API_RISKS)) if verdict.route is Route.API else ()
        for outcome, title in words.LABELS["findings"].items():
            findings = (each for each in words.ordered(verdict) if each.outcome == outcome)
            yield from section(title, topics(map(AS_TOPIC, findings)))
        yield from section("Notes", texts(verdict.fine_print))
        yield from sections(json.verdict(verdict), words.LABELS["check"])
        yield from unread_blocks(machine)
        return
    yield line(_hint(verdict, other_ways=len(shown) < len(setup)))


def _hint(verdict: Verdict, *, other_ways: bool) -> str:
    """What `-v` adds."""
    parts = ["Every figure with its source"]
    if other_ways:
        parts.append("other ways to install")
    more_offers = len(verdict.api_offers) - 1
    if verdict.route is not Route.NEITHER and more_offers > 0:
        parts.append(times(more_offers, "more API"))
    before_last = ", ".join(parts[:-1])
    return f"{before_last}{' and ' if before_last else ''}{parts[-1]}: -v"


def _first_lines(verdict: Verdict, measured: bool) -> Iterator[str | None]:
    available = verdict.question.spec.availability
    workload, speed = verdict.question.workload, verdict.speed
    yield words.limit_words(verdict) if verdict.waits_for_setting else None
    if verdict.can_run and speed is not None:
        yield from _pace_lines(verdict, speed, measured)
        is_usual = (workload.context_tokens or 0) <= DEFAULT_CONTEXT_TOKENS
        asks_more = workload.dataset_tokens or workload.prompt_tokens
        if asks_more or not is_usual:
            yield from _load_lines(verdict, speed)
    yield words.asked_words(verdict)
    yield verdict.quality.warning if verdict.can_run and verdict.quality else None
    yield words.planned_words(verdict.machine) if verdict.machine.planning else None
    yield " ".join(available.sentences[1:]) if available and verdict.question.spec.closed else None
    yield from verdict.understood_as


def _pace_lines(verdict: Verdict, speed: Speed, measured: bool) -> Iterator[str | None]:
    workload, machine = verdict.question.workload, verdict.machine
    pace, work = speed.decode, speed.work
    if pace is not None:
        is_sure = not pace.about()[1] or verdict.placement == "accelerator"
        narrower = "" if measured else "; run with --measure for a narrower range"
        if is_sure or words.place_words(machine) != words.HERE:
            narrower = ""
        elif machine.memory_bandwidth_bound is not None:
            narrower = "; for a narrower range, run it again when the machine is idle"
        if workload.parallel > 1:
            yield _users_line(workload.parallel, speed) + narrower
            yield f"one user alone: {words.pace_words(pace)}"
        else:
            yield words.pace_words(pace) + narrower
        undrafted = speed.undrafted_tokens_per_second
        if workload.draft is not None and undrafted is not None:
            yield f"about {units.speed(undrafted)} without the draft"
    elif work is not None:
        clip = f" of {clip_words(*speed.clip)}" if speed.clip is not None else ""
        about, guess = work.about()
        yield f"{about} {speed.work_words()[0]}{clip}{guess}"


def _users_line(users: int, speed: Speed) -> str:
    """What each of several users gets, and all of them together."""
    judged, total = speed.judged, speed.parallel_total
    if judged is None or total is None:
        return f"the pace of {users:,} users at once is not known (see -v)"
    about, guess = judged.about()
    together = f"{units.pace(total.likely)} in all ({units.pace(total.low, total.high)})"
    each = f"{about} {units.speed(judged.likely)} for each of {users:,} users"
    if guess:
        each += " (a guess)"
    if not speed.waiting:
        return f"{each}, {together}"
    at_once = users - speed.waiting
    return f"{each}, {together}: {at_once:,} at once, the others wait for their turn"


def _load_lines(verdict: Verdict, speed: Speed) -> Iterator[str | None]:
    """The pace of training, of a prompt and of a full context."""
    workload = verdict.question.workload
    full = speed.full_context_tokens_per_second
    if workload.dataset_tokens is not None and speed.dataset_seconds is not None:
        wait = _wait_words(speed.dataset_seconds)
        yield f"training on {units.tokens(workload.dataset_tokens)} takes {wait}"
    if workload.prompt_tokens is not None and speed.unit == "tokens_per_second":
        prompt, wait = units.tokens(workload.prompt_tokens), _wait_words(speed.first_token_seconds)
        yield f"the answer to a prompt of {prompt} begins after {wait}"
    tokens = workload.context_tokens or 0
    wanted = (workload.min_tokens_per_second or 0) * (speed.each_of == 1)
    if full is not None and speed.decode is not None and tokens > DEFAULT_CONTEXT_TOKENS:
        # where it is far below that of an empty one, or below what is wanted
        is_below = units.is_slower(full, wanted)
        is_below &= not units.is_slower(speed.decode.likely, wanted)
        if is_below or full < speed.decode.likely / 2:
            below = f", {words.below_words(verdict)}" if is_below else ""
            context = f"once all {units.tokens(tokens)} of context are in use"
            yield f"{context}: about {units.speed(full)}{below}"


def _wait_words(wait: Range | None) -> str:
    """`about 4 seconds (2.0 seconds to 6.0 seconds)`."""
    if wait is None:
        return "a time that is not known (see -v)"
    ends = f"{units.duration(wait.low)} to {units.duration(wait.high)}"
    about, _ = wait.about()
    return f"{about} {units.duration(wait.likely)} ({ends})"


def _rows(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    """Need against machine, a row a fact: those that always decide, and what did not pass."""
    names, terms, has_row = words.LABELS["rows"], verdict.question.spec.license, False
    for finding in words.ordered(verdict):
        figures_of = _pace if finding.check == "speed" else _size
        amount, note = figures_of(finding, verdict) if _has_a_row(finding, verdict) else ("", "")
        if amount:
            name = names.get(finding.code) or names.get(finding.check, finding.check)
            style = "" if finding.outcome is Outcome.PASS else finding.outcome
            yield name, Span(amount, style), note
            has_row = True
    if has_row and terms is not None and terms.id is not None:
        allowed = words.LABELS["commercial"][terms.commercial_use or "unknown"]
        yield "license", units.short_license(terms.id), allowed


def _has_a_row(finding: Finding, verdict: Verdict) -> bool:
    check, passes = finding.check, finding.outcome is Outcome.PASS
    if check in ("accelerator", "speed"):
        # without a build nothing computes there
        return not verdict.has("runtime-no-build") and bool(check == "speed" or finding.needs)
    needs = verdict.needs
    if check == "memory" and passes and needs is not None and needs.placement == "accelerator":
        # what a program keeps in RAM beside a GPU that holds the model counts where it is more
        return (needs.ram_bytes() or 0) > max(units.GIB, needs.ram_bytes(on_cards=True) or 0)
    if finding.code == "disk-assumed" and needs is not None:
        # the lines above the rows say how much is to be downloaded
        return finding.needs != needs.download_bytes
    return check in ("disk", "memory") or (check in words.MACHINE_ROWS and not passes)


def _pace(finding: Finding, verdict: Verdict) -> tuple[str, str]:
    """`~2.8 tokens/s` and its ends, with what was needed where that is more."""
    speed, workload = verdict.speed, verdict.question.workload
    if speed is None:
        return "", ""
    pace = speed.judged or speed.decode
    if pace is None:
        return (words.pace_of(speed), speed.work_words()[1]) if speed.work else ("", "")
    whose = ""
    if speed.each_of > 1:
        whose = " alone" if speed.judged is None else " each"
    wanted, fails = workload.min_tokens_per_second or 0, finding.outcome is Outcome.FAIL
    is_slower = finding.outcome is not Outcome.PASS and units.is_slower(pace.likely, wanted)
    needed, least = "", units.stated(wanted)
    if fails or is_slower:
        needed = f", likely below {least} (--min-speed)"
        if verdict.question.speed_stated:
            needed = f", you need {least}"
        elif fails:
            needed = f", below {least} is too slow (--min-speed)"
    likely, ends = units.speed(pace.likely), units.pace(pace.low, pace.high)
    return f"~{likely}{whose}", f"{ends}{needed}"


def _size(finding: Finding, verdict: Verdict) -> tuple[str, str]:
    """`4.74 of 23.0 GiB`, the likely need, with a bar and what is short; empty without figures."""
    likely, limit = _likely(finding, verdict), finding.has
    amount, has, most = (_quantity(each, finding) for each in (likely, limit, finding.needs))
    needs, (number, _, unit) = amount, amount.rpartition(" ")
    if needs and has:
        # the need goes without its unit where that of what there is says it
        amount = f"{number if has.endswith(f' {unit}') else needs} of {has}"
    if finding.unit != "bytes" or not likely or not limit:
        return amount, ""
    short = f"{_quantity(finding.short, finding)} short" if finding.short else ""
    is_wide = float(finding.needs or 0) > (1 if short else _MUCH_MORE) * float(likely)
    up_to = f"up to {most}" if is_wide and most != needs else ""
    label = ", ".join(filter(None, (up_to, words.LABELS["doubts"].get(finding.code, short))))
    return amount, Span(label, finding.outcome, float(likely) / float(limit))


def _likely(finding: Finding, verdict: Verdict) -> float | str | None:
    """What it likely takes where the finding holds the most of a place, else the finding's need."""
    held = verdict.memory.terms if verdict.memory is not None else ()
    for is_card in (False, True) if finding.check in ("memory", "accelerator") else ():
        terms = [term for term in held if (term.where != "host") is is_card]
        if terms and sum(term.high_bytes for term in terms) == finding.needs:
            return sum(term.bytes for term in terms)
    return finding.needs


def _quantity(value: float | str | None, finding: Finding) -> str:
    if value is None or isinstance(value, str):
        return ""
    if finding.check == "disk" and finding.unit == "bytes":
        return units.decimal(int(value)) if value else "nothing to download"
    kinds = {"tokens": units.tokens, "seconds": units.duration, "bytes": units.binary}
    if finding.unit in kinds:
        return kinds[finding.unit](int(value))
    return f"{value:,} {(finding.unit or '').replace('_', ' ')}".rstrip()


def _unsaid(verdict: Verdict) -> Iterator[tuple[str, str, str | None]]:
    """What did not pass and neither a row nor the first lines say, the worst first."""
    limit, workload = verdict.machine.address_space_bytes, verdict.question.workload
    # where the disk alone decides its remedy is all that it takes
    is_all = [each.code for each in verdict.findings if each.decides] == ["disk-too-small"]
    # what would only be worth knowing if it ran is left to `-v`
    outcomes = [Outcome.FAIL]
    if verdict.route not in (Route.API, Route.NEITHER):
        outcomes += [Outcome.UNKNOWN, Outcome.WARN]
    for outcome in outcomes:
        for each in words.ordered(verdict):
            if each.outcome is not outcome:
                continue
            is_first = verdict.can_run and verdict.waits_for_setting
            is_first &= each.check == "accelerator"
            # what is assumed of a simulated machine stands in its own sentence
            is_assumed = outcome is Outcome.WARN and each.code.endswith("-assumed")
            is_said = any((is_first, each.code in _SAID, is_assumed and verdict.machine.planning))
            if limit is not None and (each.check, each.has) == ("memory", limit):
                # a row does not say that a limit such as `ulimit -v` is what is short
                is_said = False
            if each.check == "license" and outcome is Outcome.WARN:
                # the license's row says what it allows
                is_said = not any((workload.commercial, workload.modify, workload.license))
            if is_all or not is_said:
                yield each.check, each.reason, each.remedy


def _to_run(verdict: Verdict, setup: Sequence[str]) -> Blocks:
    lines, model, workload = list(setup), verdict.question.spec, verdict.question.workload
    for before, typed in zip(("", *verdict.commands), verdict.commands, strict=False):
        if before:
            lines.append("# then, in another terminal" if before.endswith(" serve") else "# or")
        lines.append(typed)
    title = "To train it" if workload.task == "finetune" else "To run it"
    yield from section(title, commands(lines))
    if not lines:
        # nobody wrote down what to type
        see = model.conversions_page if workload.format == "gguf" else None
        if not see and model.repository:
            see = f"https://huggingface.co/{model.repository}"
        number, page = workload.parallel, f" See {see}" * bool(see)
        this = (
            "it" if number == 1 else f"it for {number:,} at once; without --users there may be one"
        )
        yield from (line(), line(f"selfhost knows no command that runs {this}.{page}"))


def _spare(verdict: Verdict) -> str:
    """How far one could go here, each alone; what would be no more than was asked is left out."""
    room, judged = verdict.room, verdict.question.workload
    is_tight = any(finding.code.endswith("-tight") for finding in verdict.findings)
    if room is None or not verdict.can_run or is_tight:
        return ""
    longest, parallel = room.longest_context_tokens or 0, room.most_parallel or 0
    parts = []
    if longest > (judged.context_tokens or 0):
        tokens = units.tokens(longest)
        is_full = longest == verdict.question.trained_tokens
        parts.append(f"the full context ({tokens})" if is_full else f"a context of {tokens}")
    if parallel > judged.parallel:
        parts.append(f"{parallel:,} users at once")
    if room.best_quantization not in (None, judged.quantization):
        parts.append(f"{room.best_quantization} weights")
    # of a simulated machine no program is open
    is_read = verdict.machine.memory_available_bytes is not None
    closed = "With other programs closed, there is also room" if is_read else "There is also room"
    return _room_words(parts, closed)


def _room_words(parts: Sequence[str], start: str) -> str:
    """`There is also room for one of: 36 users at once, or Q8_0 weights. Each is slower.`"""
    if not parts:
        return ""
    if len(parts) == 1:
        return f"{start} for {parts[0]}, which is slower."
    return f"{start} for one of: {', '.join(parts[:-1])}, or {parts[-1]}. Each is slower."


def _instead(verdict: Verdict, carry: str) -> Blocks:
    if verdict.fits:
        # what would run faster is told where the accelerator is
        return
    rows, asked_tokens = list[tuple[str, ...]](), verdict.question.workload.context_tokens
    for other in verdict.alternatives:
        is_same, pace = other.id == verdict.question.spec.id, other.judged_tokens_per_second
        how: list[str | None] = [other.id]
        if is_same:
            is_other = other.runtime not in (None, verdict.runtime)
            how += [other.quantization, other.finetune_method, f"with {other.runtime}" * is_other]
        if other.context_tokens and asked_tokens and other.context_tokens != asked_tokens:
            how.append(units.tokens(other.context_tokens))
        each = " each" if other.speed is not None and other.speed.each_of > 1 else ""
        figures = words.memory_words(other.needs), pace and f"~{units.speed(pace.likely)}{each}"
        license = "" if is_same else units.short_license(other.license or "")
        name = strong(" ".join(filter(None, how)))
        rows.append((name, *(figure or "" for figure in figures), license, other.why))
    if rows:
        runs = "would run" if verdict.route is Route.UNKNOWN else "runs"
        typed = command(verdict.alternatives[0].command + carry)
        title = f"What {runs} {words.place_words(verdict.machine)} instead"
        memory = verdict.machine.memory_total_bytes
        if verdict.has("memory-assumed") and memory is not None:
            title += f", with the assumed {units.binary(memory)} of RAM"
        yield from section(title, (Table.of("instead", rows), typed))


def _by_api(verdict: Verdict, today: str | None) -> Blocks:
    if verdict.route is Route.NEITHER:
        yield line(f"No API: {words.no_api_words(verdict.question.workload)}.")
    elif verdict.api_offers:
        offer = verdict.api_offers[0]
        whose, prices = words.offer_words(offer, today)
        start = "By API: " if verdict.route is Route.API else "Or by API: "
        yield line(start, strong(whose), f", {prices}")
        if offer.ends and verdict.shutdown is None:
            yield line(f"{provider_name(offer.provider)} shuts it down on {offer.ends}.", indent=2)
        if verdict.route is Route.API:
            yield from words.request_blocks(offer, verdict)
