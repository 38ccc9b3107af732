"""What `check` says to a person: the answer, the figures that decide, then what to type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.offers import provider_name
from ..catalogue.quantization_names import canonical_packed
from ..catalogue.spec import ONE_AT_A_TIME
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, DEFAULT_MIN_TOKENS_PER_SECOND
from ..machine.record import was_busy
from ..verdict.findings import HOURS_SECONDS, WIDE_PACE
from ..verdict.findings.memory import host_low
from ..verdict.record import Alternative, Finding, OpenAlternative, Outcome, Route, Verdict
from .layout import Bar, Block, Column, Document, Span, Table
from .prices import price_words
from .words import (
    BLANK,
    DAY_SECONDS,
    MACHINE,
    answer_line,
    asked_words,
    command_line,
    each_words,
    failed_words,
    hours_or_days,
    is_closed,
    is_here,
    likely_speed,
    line,
    may_take_long,
    on_machine,
    ordered,
    pace_words,
    planned_words,
    reason_blocks,
    say,
    section,
    stands_above,
    takes_hours,
    tight_finding,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..core.workload import Workload
    from ..verdict.speed import PaceRange, SecondsRange, Speed

# always in the table where there are figures: they decide, and people compare them
_ROWS = ("memory", "accelerator", "disk", "speed")
# what a row or a step of "To run it" says already
_SAID_BY_ROW = ("memory-too-small", "memory-close", "disk-too-small", "accelerator-too-small",
                "accelerator-tight", "speed-slow", "speed-too-slow", "speed-hours")  # fmt: skip
_STEPS = ("runtime-not-installed", "weights-gated")
_COMMERCIAL = {
    "yes": "allows commercial use",
    "conditional": "commercial use under conditions",
    "no": "no commercial use",
    None: "whether it allows commercial use is not known",
}


def check_document(
    verdicts: Sequence[Verdict],
    *,
    verbose: bool = False,
    carry: str = "",
    workload_options: str = "",
    today: str | None = None,
) -> Document:
    """The answer for one model, or for several as a table and then what stands in the way of each.

    The first line holds the route. `verbose` adds every finding, every memory term and where the
    facts come from. `carry` is appended to every `selfhost check …` that is proposed: the options
    of the machine and the specs that were judged with; `workload_options` are those of the
    workload, where a command has none of its own. `today`, `YYYY-MM-DD`, gives prices an age.
    """
    blocks: list[Block] = []
    if len(verdicts) == 1:
        _single(blocks, verdicts[0], verbose, carry, today)
    elif verdicts:
        from .several_text import several_blocks

        several_blocks(
            blocks,
            verdicts,
            verbose=verbose,
            carry=carry,
            workload_options=workload_options,
            today=today,
        )
    return Document(blocks=tuple(blocks))


def one_after_the_other(documents: Sequence[Document]) -> Document:
    """Several answers, such as one for each machine of a folder."""
    blocks: list[Block] = []
    for document in documents:
        blocks += [*document.blocks, BLANK]
    return Document(blocks=tuple(blocks))


def _single(
    blocks: list[Block], verdict: Verdict, verbose: bool, carry: str, today: str | None
) -> None:
    blocks.append(answer_line(verdict, verdict.machine))
    room_words = _room_words(verdict)
    if room_words:
        blocks.append(say(room_words, indent=2))
    _other_first(blocks, verdict, carry)
    pace = verdict.speed.decode if verdict.can_run and verdict.speed is not None else None
    why, when = _what_disturbed(verdict)
    for text in (
        _work_words(verdict)
        if pace is None
        else _whose_pace(verdict)
        + pace_words(
            pace,
            narrows=_what_narrows(verdict, measured="--measure" in carry.split()),
            why=why,
            when=when,
            ends=verdict.finding("speed") is None,
            at_present=_is_of_the_moment(verdict),
        ),
        *_answer_words(verdict),
        _load_words(verdict),
        asked_words(verdict),
        _loss_words(verdict),
        planned_words(verdict.machine),
        _around_the_cards(verdict),
        _closed_words(verdict),
        *verdict.understood_as,
    ):
        if text:
            blocks.append(say(text, indent=2))
    _comparison(blocks, verdict, measured="--measure" in carry.split())
    if not verbose:
        # `-v` has them all in sections of their own
        _remarks(blocks, verdict)
    if verdict.can_run:
        _to_run(blocks, verdict)
    else:
        _instead(blocks, verdict, carry, verbose=verbose)
    if not _by_api(blocks, verdict, verbose, today):
        blocks.append(BLANK)
    if verdict.monthly_cost is not None:
        from .cost_text import month_blocks

        month_blocks(blocks, verdict, verbose=verbose)
    if verdict.notes:
        blocks += [BLANK, *(say(note, hang=2) for note in verdict.notes)]
    _more(blocks, verdict, verbose=verbose)
    if verbose:
        from .check_details import details

        details(blocks, verdict)


def _whose_pace(verdict: Verdict) -> str:
    """That a pace is of one sequence, where several were asked for."""
    return "one sequence alone: " if verdict.workload.parallel > 1 else ""


def _room_words(verdict: Verdict) -> str:
    """What makes room on the disk, where nothing else is missing; empty elsewhere."""
    failures = [finding for finding in verdict.findings if finding.outcome is Outcome.FAIL]
    if [finding.code for finding in failures] != ["disk-too-small"]:
        return ""
    if any(finding.outcome is Outcome.UNKNOWN for finding in verdict.findings):
        return ""
    return f"Only disk space is missing: {failures[0].remedy}."


def _other_first(blocks: list[Block], verdict: Verdict, carry: str) -> None:
    """That the same model runs in another type or program, with the command; nothing where it does
    not.
    """
    other = _in_another_type(verdict)
    if other is not None:
        would = "would run" if verdict.route is Route.UNKNOWN else "runs"
        in_program = other.runtime not in (None, verdict.workload.runtime)
        program = f" with {other.runtime}" if in_program else ""
        before = verdict.needs.download_bytes if verdict.needs is not None else None
        after = other.download_bytes
        is_smaller = before is not None and after is not None and after < before
        smaller = ", with smaller weights" if is_smaller else ""
        blocks.append(say(f"It {would} in {other.quantization}{program}{smaller}:", indent=2))
        blocks.append(command_line(other.command + carry))


def _in_another_type(verdict: Verdict) -> Alternative | None:
    """The first alternative, where it is the model itself in another quantization and with the
    same context; None of any other answer.
    """
    first = next(iter(verdict.alternatives), None)
    if verdict.can_run or first is None or first.id != verdict.model.id:
        return None
    judged = verdict.workload
    is_other = first.quantization not in (None, judged.quantization)
    has_context = first.context_tokens in (None, judged.context_tokens)
    return first if is_other and has_context and first.finetune_method is None else None


def _closed_words(verdict: Verdict) -> str:
    """What the first line leaves out of a model without weights; empty for one that has some."""
    available = verdict.model.availability
    if available is None or not is_closed(verdict):
        return ""
    return " ".join(available.sentences[1:])


def _answer_words(verdict: Verdict) -> Iterator[str]:
    """The wait for the first word, and the pace of all sequences together, where asked for; what a
    full context leaves of the pace, where that is less than half.
    """
    speed, workload = verdict.speed, verdict.workload
    if speed is None or not verdict.can_run:
        return
    yield _full_context_words(speed, workload)
    if workload.draft is not None:
        yield _without_draft_words(speed)
    # what was not asked for is not worked out: a pace tells the rest of itself when it is asked
    if workload.dataset_tokens is not None and speed.dataset_seconds is not None:
        yield (
            f"training on {units.tokens(workload.dataset_tokens)} takes"
            f" {_wait_words(speed.dataset_seconds)}"
        )
    if workload.prompt_tokens is not None and speed.unit == "tokens_per_second":
        wait = speed.first_token_seconds
        yield (
            "when the answer begins is not known (see -v)"
            if wait is None
            else f"the answer to a prompt of {units.tokens(workload.prompt_tokens)} begins after"
            f" {_wait_words(wait)}"
        )
    if workload.parallel > 1:
        yield _at_once_words(speed, verdict)


def _at_once_words(speed: Speed, verdict: Verdict) -> str:
    """The pace of several sequences at once; of other work that it is told of one alone. Empty of
    what is made one after another, and of training, whose pace is that of the batch.
    """
    workload, total = verdict.workload, speed.parallel_total
    if speed.work is not None:
        answers_several = verdict.model.modality not in ONE_AT_A_TIME
        is_of_one = workload.task == "generate" and answers_several
        at_once = f"one after the other; the pace of {workload.parallel:,} at once is not known"
        return at_once if is_of_one else ""
    if speed.decode is None:
        return ""
    if total is None:
        return f"the pace of {workload.parallel:,} sequences at once is not known (see -v)"
    likely, ends = units.speed(total.likely, total.likely), units.pace(total.low, total.high)
    guess = units.guess(total.low, total.high) or ", an estimate"
    word = units.about(total.low, total.high)
    each = total.likely / workload.parallel
    # a stated minimum is held against each, which is a finding
    is_slow = each < DEFAULT_MIN_TOKENS_PER_SECOND == workload.min_tokens_per_second
    slow = ", too slow" if is_slow and speed.each_of == 1 else ""
    return (
        f"{workload.parallel:,} sequences at once: {word} {likely} in all ({ends}{guess}),"
        f" {units.pace(each, each)} each{slow}"
    )


def _without_draft_words(speed: Speed) -> str:
    """What the model reaches by itself, and whether the draft likely gains anything."""
    alone = speed.undrafted_tokens_per_second
    if alone is None or speed.decode is None:
        return ""
    gains = "" if speed.decode.likely > alone else ": the draft likely makes it slower"
    return f"about {units.speed(alone, alone)} without the draft{gains}"


def _full_context_words(speed: Speed, workload: Workload) -> str:
    """What a full context leaves of the pace; empty where that is half or more of it, and no slower
    than wanted.
    """
    tokens = workload.context_tokens or 0
    # of a shorter one the field is worked out for nobody
    if tokens <= DEFAULT_CONTEXT_TOKENS or speed.decode is None:
        return ""
    full, likely = speed.full_context_tokens_per_second, speed.decode.likely
    # what is wanted of each of several is not held against that of one
    wanted = (workload.min_tokens_per_second or 0) if speed.each_of == 1 else 0
    becomes_too_slow = full is not None and full < wanted <= likely
    if full is None or (full >= likely / 2 and not becomes_too_slow):
        return ""
    # nobody asked for the default
    is_asked = becomes_too_slow and wanted != DEFAULT_MIN_TOKENS_PER_SECOND
    below = f", below the {units.stated(wanted)} you need" if is_asked else ""
    return (
        f"once all {units.tokens(tokens)} of context are in use: about {units.speed(full, full)}"
        f"{' for one sequence alone' if workload.parallel > 1 else ''}{below}"
    )


def _wait_words(wait: SecondsRange) -> str:
    """`about 4 seconds (2.0 seconds to 6.0 seconds)`."""
    ends = f"{units.wait(wait.low)} to {units.wait(wait.high)}"
    word, guess = units.about(wait.low, wait.high), units.guess(wait.low, wait.high)
    return f"{word} {units.wait(wait.likely)} ({ends}{guess})"


def _work_words(verdict: Verdict) -> str:
    """`about 12 minutes for an hour of audio`; empty where no such pace is told."""
    speed = verdict.speed if verdict.can_run else None
    if verdict.can_run and takes_hours(verdict):
        return _hours_words(verdict)
    if verdict.can_run and may_take_long(verdict):
        return "how long this lasts is not known"
    if speed is None or speed.work is None:
        return ""
    work, of_what = speed.work, ""
    if speed.unit == "documents_per_second":
        # loaded with what it computes, which other models do not need
        from ..verdict.documents import DOCUMENT_TOKENS

        architecture = verdict.model.architecture
        longest = architecture.context_tokens if architecture is not None else None
        of_what = f", of {units.tokens(min(DOCUMENT_TOKENS, longest or DOCUMENT_TOKENS))} each"
    elif speed.clip is not None:
        of_what = f" of {units.clip(*speed.clip)}"
        of_what += units.played(speed.clip[0], speed.frames_per_second)
    likely = f"{units.work(work.likely, speed.unit, speed.audio_seconds)}{of_what}"
    if units.is_telling(work.low, work.high):
        return f"about {likely}"
    return f"perhaps {likely}, a guess"


def _hours_words(verdict: Verdict) -> str:
    """`each picture takes hours: use a GPU that holds the model, or an API`, or days; how many
    stands in the table.
    """
    finding, speed = verdict.finding("speed"), verdict.speed
    remedy = f": {finding.remedy}" if finding is not None and finding.remedy else ""
    if speed is None or speed.work is None:
        return f"each {verdict.model.modality} takes hours to days{remedy}"
    span = hours_or_days(verdict)
    is_sure = speed.work.low >= (DAY_SECONDS if span == "days" else HOURS_SECONDS)
    what = "video" if verdict.model.modality == "video" else "picture"
    return f"each {what} {'takes' if is_sure else 'likely takes'} {span}{remedy}"


def _loss_words(verdict: Verdict) -> str:
    """That little of the model's quality is left in what runs here; empty where that is not so."""
    quality = verdict.quality if verdict.can_run else None
    return "" if quality is None else quality.warning or ""


def _load_words(verdict: Verdict) -> str:
    """That the machine does not get through the stated load of a day; empty where it does."""
    local = verdict.monthly_cost.here if verdict.monthly_cost is not None else None
    if not verdict.can_run or local is None or local.keeps_up is not False:
        return ""
    return "It does not keep up with the load that you stated: see the month below."


def _comparison(blocks: list[Block], verdict: Verdict, *, measured: bool) -> None:
    """Need against machine, a row a fact: those that always decide, and what did not pass."""
    rows = []
    for finding in ordered(verdict):
        amount = _amount(finding, verdict) if _has_a_row(finding, verdict) else ""
        if amount:
            name = _NAMES.get(finding.code) or _NAMES.get(finding.check, finding.check)
            note = _note(finding, verdict, measured=measured)
            rows.append(_row(name, amount, note, finding.outcome))
    license = verdict.model.license
    if rows and license is not None and license.id is not None:
        allows = Span(text=_COMMERCIAL[license.commercial_use])
        rows.append(_row("license", license.id.replace("LicenseRef-", ""), allows, Outcome.PASS))
    if rows:
        columns = (Column(), Column(wrap=True), Column(wrap=True, joins=True))
        blocks += [BLANK, Table(columns=columns, rows=tuple(rows))]
    if measured and verdict.machine.memory_bandwidth_bytes_per_second is None:
        why = verdict.machine.why_unread("memory_bandwidth_bytes_per_second")
        reason_blocks(blocks, "memory bandwidth", why.reason, why.remedy)


def _around_the_cards(verdict: Verdict) -> str:
    """How to ask about a machine that has such GPUs, where the rest of this computer decides; empty
    where it does not, or no GPU was stated.
    """
    machine = verdict.machine
    cards = [card for card in machine.accelerators or () if not card.unified]
    codes = {"disk-too-small", "memory-too-small", "memory-close"}
    decides = any(finding.code in codes for finding in verdict.findings)
    fits = verdict.finding("accelerator")
    holds = fits is not None and fits.outcome in (Outcome.PASS, Outcome.WARN)
    if not (machine.planning and machine.is_this_one and cards and decides and holds):
        return ""
    return "--machine instead of --gpu judges a whole machine that is built around these GPUs."


# of a finding by its code, else by its check
_NAMES = {
    "accelerator": "GPU",
    "context-recording-too-long": "recording",
    "context-unmeasured": "recording",
}
# how long a recording may be, behind its length
_MOST_OF_RECORDINGS = {
    "context-recording-too-long": "{most} at once",
    "context-unmeasured": "memory known up to {most}",
}
# of the RAM: what takes less, beside a GPU that holds the model, decides nothing
_LITTLE = 0.25


def _has_a_row(finding: Finding, verdict: Verdict) -> bool:
    """It is of the machine, and decides or did not pass."""
    check, passes = finding.check, finding.outcome is Outcome.PASS
    if check not in MACHINE or (passes and check not in _ROWS):
        return False
    if check in ("accelerator", "speed") and _is_without_program(verdict):
        # nothing computes there
        return False
    if check == "accelerator":
        return bool(finding.needs)
    return not (check == "memory" and passes and _is_beside_the_gpu(finding, verdict))


def _is_without_program(verdict: Verdict) -> bool:
    """The program has no build for the machine."""
    runtime = verdict.finding("runtime")
    return runtime is not None and runtime.code == "runtime-no-build"


def _is_beside_the_gpu(finding: Finding, verdict: Verdict) -> bool:
    """The memory's finding is of what little RAM a model takes that a GPU holds."""
    on_card = verdict.needs is not None and verdict.needs.placement == "accelerator"
    needs, has = finding.needs, finding.has
    is_counted = isinstance(needs, int) and isinstance(has, int)
    return on_card and is_counted and needs < _LITTLE * has  # type: ignore[operator]


def _row(
    name: str, amount: str, note: Span | Bar, outcome: Outcome
) -> tuple[Span, Span, Span | Bar]:
    style = "" if outcome is Outcome.PASS else outcome
    return Span(text=name), Span(text=amount, style=style), note


def _amount(finding: Finding, verdict: Verdict) -> str:
    """`4.74 of 23.0 GiB`, `~2.8 tokens/s`; empty where there are no figures."""
    if finding.check == "speed":
        return "" if verdict.speed is None else _pace(verdict, verdict.speed, finding.unit)
    if finding.code == "accelerator-tight" and (memory := _on_accelerators(verdict)):
        return _of(units.binary_range(memory[0], memory[2]), _quantity(finding.has, finding))
    needs, has = _quantity(finding.needs, finding), _quantity(finding.has, finding)
    if finding.code in _MOST_OF_RECORDINGS:
        return f"{needs}, {_MOST_OF_RECORDINGS[finding.code].format(most=has)}"
    if limits := _shared_range(finding, verdict):
        return _of(needs, units.binary_range(*limits))
    if needs == has and finding.short:
        # what is short of another does not print like it
        needs = _quantity(finding.needs, finding, more=1)
        has = _quantity(finding.has, finding, more=1)
    if finding.check == "disk" and verdict.needs is not None:
        ends = verdict.needs.download_range
        is_download = finding.needs == verdict.needs.download_bytes
        needs = units.decimal_range(*ends) if ends is not None and is_download else needs
    return _of(needs, has) if needs and has else needs


def _pace(verdict: Verdict, speed: Speed, unit: str | None) -> str:
    if speed.work is not None:
        cell = units.work_cell(speed.work.likely, speed.unit, speed.audio_seconds)
        return cell if speed.clip is None else f"{cell} of {speed.clip[0]} frames"
    if speed.decode is None or unit != "tokens_per_second":
        return ""
    if speed.judged is None or verdict.workload.parallel > speed.each_of:
        return f"~{units.speed(speed.decode.likely, speed.decode.likely)} alone"
    return f"~{units.speed(speed.judged.likely, speed.judged.likely)}{each_words(speed)}"


def _shared_range(finding: Finding, verdict: Verdict) -> tuple[int, int] | None:
    """Least and most bytes that a GPU may use of the RAM that it shares, where the finding is of
    that and it is not known better.
    """
    cards = verdict.machine.accelerators or ()
    if finding.code != "accelerator-partly" or not cards or not cards[0].unified:
        return None
    from ..verdict.shared_memory import shared_limits

    limits = shared_limits(cards[0], verdict.machine)
    return limits if limits is not None and limits[0] < limits[1] else None


def _of(needs: str, has: str) -> str:
    """`4.74 of 23.0 GiB`: a unit of both is told once."""
    number, _, unit = needs.rpartition(" ")
    return f"{number} of {has}" if number and has.endswith(f" {unit}") else f"{needs} of {has}"


def _on_accelerators(verdict: Verdict) -> tuple[int, int, int] | None:
    """Least, likely and most of what accelerators hold; None where the memory is not known."""
    memory = verdict.needs.memory if verdict.needs is not None else None
    if memory is None:
        return None
    on_accelerators = [term for term in memory.terms if term.where != "host"]
    low, likely = (
        sum(term.low_bytes for term in on_accelerators),
        sum(term.bytes for term in on_accelerators),
    )
    return low, likely, sum(term.high_bytes for term in on_accelerators)


def _quantity(value: float | str | None, finding: Finding, *, more: int = 0) -> str:
    """A finding's number in the unit people know it by: memory in GiB, disks in GB; `more` digits
    than usual.
    """
    if value is None or isinstance(value, str):
        return ""
    if finding.unit == "bytes":
        if finding.check == "disk" and value == 0:
            return "nothing to download"
        return (units.decimal if finding.check == "disk" else units.binary)(int(value), more=more)
    if finding.unit == "tokens":
        return units.tokens(int(value))
    if finding.unit == "seconds":
        return units.duration(int(value))
    return f"{value:,} {(finding.unit or '').replace('_', ' ')}".rstrip()


def _note(finding: Finding, verdict: Verdict, *, measured: bool) -> Span | Bar:
    """What stands beside a figure: a bar, what is short, or how sure the pace is."""
    if finding.check == "speed":
        return Span(text=_pace_note(finding, verdict, measured=measured))
    if finding.unit == "bytes" and finding.needs and isinstance(finding.has, int | float):
        label = ", ".join(
            filter(None, (_bar_words(finding, verdict), _cards_words(finding, verdict)))
        )
        return Bar(needs=float(finding.needs), has=finding.has, style=finding.outcome, label=label)
    return Span(text=_beside_the_download(finding, verdict))


def _cards_words(finding: Finding, verdict: Verdict) -> str:
    """`2 of 4 GPUs suffice` where fewer hold it than are there; the figure is of those. Of what
    they do not surely hold `on 2 of 3 GPUs`.
    """
    memory = verdict.needs.memory if verdict.needs is not None else None
    if finding.check != "accelerator" or memory is None:
        return ""
    used = len({term.where for term in memory.terms if term.where != "host"})
    cards = sum(card.unified is not True for card in verdict.machine.accelerators or ())
    if not 0 < used < cards:
        return ""
    if finding.outcome is not Outcome.PASS:
        return f"on {used} of {cards} GPUs"
    return f"{used} of {cards} GPUs {'suffices' if used == 1 else 'suffice'}"


def _bar_words(finding: Finding, verdict: Verdict) -> str:
    """What is short; of a need that is too close to call its range."""
    if finding.code == "accelerator-tight" and (memory := _on_accelerators(verdict)):
        return f"likely {units.binary(memory[1])}: may not fit"
    if finding.code == "memory-tight":
        return "little is left for other programs"
    if finding.code == "memory-assumed":
        return "its RAM is assumed"
    if finding.code == "accelerator-close" and (memory := _on_accelerators(verdict)):
        return f"from {units.binary(memory[0])}: too close"
    if finding.code == "memory-close" and verdict.needs is not None:
        low = host_low(verdict.needs)
        if low is not None and isinstance(finding.needs, int) and low < finding.needs:
            return f"from {units.binary(low)}: too close"
    if not finding.short:
        return _beside_the_download(finding, verdict)
    return _short_words(finding, verdict)


def _short_words(finding: Finding, verdict: Verdict) -> str:
    """How much is short; of a limit that a printed line raises, until when."""
    up_to = "up to " if _shared_range(finding, verdict) else ""
    is_raised = finding.code == "accelerator-partly" and _is_to_type(finding.remedy or "", verdict)
    until = ", until its limit is raised (below)" if is_raised else ""
    return f"{up_to}{_quantity(finding.short, finding)} short{until}"


def _beside_the_download(finding: Finding, verdict: Verdict) -> str:
    """Why the disk has to hold more than is downloaded; empty where it does not."""
    download = verdict.needs.download_bytes if verdict.needs is not None else None
    if finding.check != "disk" or download is None or not isinstance(finding.needs, int):
        return ""
    if verdict.workload.task != "finetune" or finding.needs <= download:
        return ""
    return f"{units.decimal(finding.needs - download)} of it is what training saves"


def _pace_note(finding: Finding, verdict: Verdict, *, measured: bool) -> str:
    """The range, that it is a guess where it is wide, what narrows it, and what was needed."""
    speed = verdict.speed
    pace = speed.judged if speed is not None else None
    if speed is not None and speed.work is not None:
        low, high = speed.work.low, speed.work.high
        guess = "" if _says_guess(verdict, low, high) else units.guess(low, high)
        return f"{units.work_ends(low, high, speed.unit, speed.audio_seconds)}{guess}"
    if pace is None:
        return ""
    parts = [units.pace(pace.low, pace.high)]
    wanted = verdict.workload.min_tokens_per_second
    if finding.outcome is Outcome.FAIL:
        return ", ".join((*parts, f"you need {units.stated(wanted or 0)}"))
    if finding.outcome is not Outcome.PASS and wanted and pace.likely < wanted:
        parts.append(f"you need {units.stated(wanted)}")
    if pace.low > 0 and not _says_guess(verdict, pace.low, pace.high):
        parts.extend(_why_wide(verdict, pace, measured=measured))
    return ", ".join(parts)


def _why_wide(verdict: Verdict, pace: PaceRange, *, measured: bool) -> Iterator[str]:
    """That a range is a guess, by the rule of the second line, and what narrows a wide one."""
    guess = "" if units.is_telling(pace.low, pace.high) else "a guess"
    is_wide = pace.high > WIDE_PACE * pace.low
    is_of_each = verdict.speed is not None and verdict.speed.each_of > 1
    # what several get stays an estimate
    narrows = is_wide and not is_of_each and _measuring_narrows(verdict, measured=measured)
    words = ": ".join(filter(None, (guess, "--measure narrows it" if narrows else "")))
    if words:
        yield words


def _says_guess(verdict: Verdict, low: float, high: float) -> bool:
    """Whether the second line says of ends far apart that they are a guess, and what narrows it."""
    is_told = verdict.can_run and not takes_hours(verdict)
    return is_told and not units.is_telling(low, high)


def _measuring_narrows(verdict: Verdict, *, measured: bool) -> bool:
    """Whether measuring the memory bandwidth would narrow the pace."""
    on_card = verdict.needs is not None and verdict.needs.placement == "accelerator"
    return is_here(verdict.machine) and not (on_card or measured)


def _is_of_the_moment(verdict: Verdict) -> bool:
    """Whether the pace rests on the bandwidth that was read in a virtual machine: its host may give
    it more or less at another time.
    """
    machine = verdict.machine
    on_card = verdict.needs is not None and verdict.needs.placement == "accelerator"
    is_read = machine.memory_bandwidth_bytes_per_second is not None
    return machine.scope == "vm" and is_here(machine) and is_read and not on_card


def _what_narrows(verdict: Verdict, *, measured: bool) -> str:
    """What to do for a narrower range of the pace; empty where nothing is known to help."""
    if _measuring_narrows(verdict, measured=measured):
        return "run with --measure"
    machine = verdict.machine
    on_card = verdict.needs is None or verdict.needs.placement == "accelerator"
    rate = "memory_bandwidth_bytes_per_second"
    is_told = machine.memory_bandwidth_bytes_per_second is not None and not machine.assumes(rate)
    if not machine.planning or on_card or is_told:
        return ""
    from ..machine.ram import what_to_state

    fact = what_to_state(machine)
    was_measured = measured or machine.measured_in_vain
    if fact is not None:
        return fact
    if was_measured:
        return "state the bandwidth of its RAM (--set bandwidth=…GB/s)"
    if machine.is_this_one:
        return "run with --measure"
    return f"run `selfhost check {verdict.model.id} --measure` on it"


def _what_disturbed(verdict: Verdict) -> tuple[str, str]:
    """Why the memory bandwidth that the pace rests on could not be read well, and when it can;
    empty where nothing is known to have disturbed it, or it was not read.
    """
    machine, fact = verdict.machine, "memory_bandwidth_bytes_per_second"
    on_card = verdict.needs is not None and verdict.needs.placement == "accelerator"
    if on_card or not is_here(machine):
        return "", ""
    source = machine.sources.get(fact, "")
    if was_busy(source):
        return "other programs kept the memory busy", "when they are quiet"
    return "", ""


def _remarks(blocks: list[Block], verdict: Verdict) -> None:
    """Reason and remedy of what did not pass, the worst first, unless a row says it already."""
    remarks = _unsaid(verdict)
    tight = tight_finding(verdict) if verdict.can_run else None
    if tight is not None and tight.remedy:
        what = "GPU runs out of memory" if tight.check == "accelerator" else "memory runs short"
        blocks += [BLANK, say(f"If the {what}: {tight.remedy}.", indent=2, hang=2)]
    others = []
    for finding in remarks:
        if finding.code != "accelerator-partly":
            others.append(finding)
        elif finding.needs and finding.remedy and not _is_to_type(finding.remedy, verdict):
            # how much of it the row says
            blocks.append(say(f"GPU: {finding.remedy}", indent=2, hang=2))
    if others:
        blocks.append(BLANK)
    for finding in others:
        reason_blocks(blocks, finding.check, finding.reason, finding.remedy)


def _unsaid(verdict: Verdict) -> list[Finding]:
    """What did not pass and neither a row nor the first lines say, the worst first."""
    said = (
        *_SAID_BY_ROW,
        *(_STEPS if verdict.can_run else ("runtime-not-installed",)),
        # the first lines have it
        "weights-closed",
    )
    outcomes: tuple[Outcome, ...] = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.WARN)
    if verdict.route in (Route.API, Route.NEITHER):
        # what would only be worth knowing if it ran is left to `-v`
        outcomes = (Outcome.FAIL,)
    return [
        finding
        for outcome in outcomes
        for finding in ordered(verdict)
        if finding.outcome is outcome
        and (finding.code not in said or _is_of_the_shell(finding, verdict))
        and not stands_above(finding, verdict)
        and (finding.check != "license" or _license_matters(verdict, finding))
    ]


def _is_to_type(remedy: str, verdict: Verdict) -> bool:
    """Whether a line to type says what the remedy does."""
    return any(f"`{line}`" in remedy for line in verdict.setup)


def _is_of_the_shell(finding: Finding, verdict: Verdict) -> bool:
    """What is short is no memory but what a limit such as `ulimit -v` leaves, and the row does not
    name that.
    """
    machine = verdict.machine
    limits = (machine.address_space_bytes, machine.private_memory_bytes)
    return finding.check == "memory" and finding.has is not None and finding.has in limits


def _license_matters(verdict: Verdict, finding: Finding) -> bool:
    """The license's row says what it allows; its conditions are told to who asked for them."""
    workload = verdict.workload
    asked_for = workload.commercial or workload.modify or workload.license is not None
    return asked_for or finding.outcome is not Outcome.WARN


def _to_run(blocks: list[Block], verdict: Verdict) -> None:
    """The lines to type, in order; what stands between two is a comment of the shell."""
    lines = list(verdict.setup)
    for number, command in enumerate(verdict.commands):
        if number:
            in_turn = verdict.commands[number - 1].endswith(" serve")
            lines.append("# then, in another terminal" if in_turn else "# or")
        lines.append(command)
    if not lines:
        blocks += [BLANK, say(_without_lines(verdict), hang=2)]
        return
    section(blocks, "To train it" if verdict.workload.task == "finetune" else "To run it")
    blocks.extend(command_line(text) for text in lines)


def _without_lines(verdict: Verdict) -> str:
    """That nobody wrote down what to type, and where it may be read; of a conversion whose files
    this catalogue does not have, where some are listed.
    """
    model, quantization = verdict.model, verdict.workload.quantization or ""
    is_scaled = any(finding.code == "context-scaled" for finding in verdict.findings)
    is_whole = verdict.workload.task == "generate" and not model.components and not is_scaled
    if is_whole and canonical_packed(quantization) and model.conversions_page:
        return (
            f"The catalogue names no {quantization} files of it. Hugging Face lists some:"
            f" {model.conversions_page}. To see what to type for one of them, check it by its"
            f" repository's name: selfhost check OWNER/NAME --runtime {verdict.workload.runtime}"
        )
    repository, runtime = model.repository, verdict.workload.runtime
    with_it = f" with {runtime}" if runtime is not None else ""
    page = f" See https://huggingface.co/{repository}." if repository else ""
    if verdict.workload.format == "gguf" and model.conversions_page:
        page = f" Hugging Face lists conversions: {model.conversions_page}"
    return f"No command is known that does this{with_it}.{page}"


def _more(blocks: list[Block], verdict: Verdict, *, verbose: bool) -> None:
    """How far one could go, and where the rest is, which `verbose` shows below."""
    is_roomy = verdict.can_run and tight_finding(verdict) is None
    spare = _spare(verdict) if is_roomy else ""
    follows = verdict.monthly_cost is not None or bool(verdict.notes)
    if follows and (spare or not verbose):
        blocks.append(BLANK)
    if spare:
        blocks.append(say(spare, hang=2))
    if verbose:
        return
    hidden = len(verdict.api_offers) - 1
    shows_one = verdict.route in (Route.API, Route.LOCAL)
    others = f", and {hidden} more API{'s' * (hidden > 1)}" if hidden > 0 and shows_one else ""
    blocks.append(say(f"Every figure with its source{others}: -v"))


def _spare(verdict: Verdict) -> str:
    """How far one could go here, each alone; what would be no more than was asked is left out."""
    room, judged, architecture = verdict.room, verdict.workload, verdict.model.architecture
    if room is None:
        return ""
    parts: list[str] = []
    longest, parallel = room.longest_context_tokens, room.most_parallel
    if longest is not None and longest > (judged.context_tokens or 0):
        limit_words = {
            verdict.trained_tokens: "full ",
            architecture.scaled_context_tokens if architecture else None: "documented scaled ",
        }
        parts.append(f"{limit_words.get(longest, '')}context ({units.tokens(longest)})")
    if parallel is not None and parallel > judged.parallel:
        parts.append(f"{parallel:,} sequences")
    if room.best_quantization not in (None, judged.quantization):
        parts.append(f"{room.best_quantization} weights")
    if not parts:
        return ""
    placement = verdict.needs.placement if verdict.needs is not None else None
    where = "the GPU" if placement == "accelerator" else "memory"
    listed = " or ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return f"With other programs closed, {where} also holds: {listed}."


def _instead(blocks: list[Block], verdict: Verdict, carry: str, *, verbose: bool) -> None:
    """What runs in its place, a row each and the command for the first; of a closed model also the
    open-weight models that its spec names.
    """
    where = on_machine(verdict.machine, short=True)
    others = verdict.alternatives
    if others:
        would = "would run" if verdict.route is Route.UNKNOWN else "runs"
        section(blocks, f"What {would} {where} instead")
        columns = (
            Column(),
            Column(right=True),
            Column(drop=1),
            Column(drop=3, cut=18),
            Column(cut=20, drop=2),
        )
        blocks.append(
            Table(columns=columns, rows=tuple(_alternative_row(verdict, each) for each in others))
        )
    _named_by_the_spec(blocks, verdict, where, verbose=verbose)
    # the first lines have that of smaller weights
    if others and _in_another_type(verdict) is None:
        blocks.append(command_line(others[0].command + carry))


def _named_by_the_spec(blocks: list[Block], verdict: Verdict, where: str, *, verbose: bool) -> None:
    """The open-weight models that the spec of a closed one names and that are not proposed above:
    a line for those that run well, and one for each of the others, which are told only with
    `verbose`, or where nothing is proposed.
    """
    proposed = {other.id for other in verdict.alternatives}
    if not proposed and verdict.open_alternatives:
        section(blocks, "The nearest open-weight models")
    others = [named for named in verdict.open_alternatives if named.id not in proposed]
    if too := [_in_brackets(named) for named in others if named.practical]:
        runs = "run" if len(too) > 1 else "runs"
        blocks.append(say(f"{', '.join(too)} {runs} {where} too", indent=2, hang=2))
    state = {
        True: f"runs {where}, slowly or with nothing else",
        False: f"does not run {where}",
        None: f"not known whether it runs {where}",
    }
    for named in others:
        if named.practical or not (verbose or not proposed):
            continue
        why = f": {failed_words(named.failed)}" if named.fits is False and named.failed else ""
        text = f"{named.id} {state[named.fits]}{why} ({_license_words(named)})"
        blocks.append(say(text, indent=2, hang=2))


def _in_brackets(named: OpenAlternative) -> str:
    """`gemma-4-31b-it in IQ4_NL (Apache-2.0)`."""
    less = f" in {named.quantization}" if named.quantization else ""
    return f"{named.id}{less} ({_license_words(named)})"


def _license_words(named: OpenAlternative) -> str:
    return (named.license or "license not known").replace("LicenseRef-", "")


def _alternative_row(verdict: Verdict, other: Alternative) -> tuple[Span, ...]:
    own = other.id == verdict.model.id
    how = [other.quantization or "", other.finetune_method or ""] if own else [other.id]
    context, judged = other.context_tokens, verdict.workload.context_tokens
    if context is not None and judged is not None and context != judged:
        how.append(units.tokens(context))
    name = " ".join(part for part in ([other.id, *how] if own else how) if part)
    return (
        Span(text=name, style="strong"),
        Span(text=_alternative_size(other)),
        Span(text=_alternative_pace(verdict, other)),
        Span(text="" if own else (other.license or "").replace("LicenseRef-", "")),
        Span(text=other.why),
    )


def _alternative_pace(verdict: Verdict, other: Alternative) -> str:
    """`~31 tokens/s each` where a minimum is each sequence's; `alone` where that is not known."""
    pace, alone = other.judged_tokens_per_second, other.decode_tokens_per_second
    is_of_each = verdict.speed is not None and verdict.speed.each_of > 1
    if pace is not None:
        return f"{likely_speed(pace)}{' each' if is_of_each else ''}"
    return "" if alone is None else f"{likely_speed(alone)} alone"


def _alternative_size(other: Alternative) -> str:
    """`21.0 GiB` of a GPU that holds the model or of the RAM, `22.1 + 8.1 GiB RAM` where both do.

    What a program keeps in RAM beside a GPU that holds the model decides nothing.
    """
    if other.memory_high_bytes is None:
        return ""
    if other.host_bytes is None:
        return units.binary(other.memory_high_bytes)
    on_card = units.binary(max(0, other.memory_high_bytes - other.host_bytes))
    if other.is_whole_on_card:
        return on_card
    return f"{on_card} + {units.binary(other.host_bytes)} RAM"


def _by_api(blocks: list[Block], verdict: Verdict, verbose: bool, today: str | None) -> bool:
    """The cheapest offer in a line, all with `verbose`. False where there is none to tell."""
    cost, offers = verdict.monthly_cost, verdict.api_offers
    is_local = verdict.route is Route.LOCAL
    if verbose and (not is_local or cost is not None):
        from .offer_text import offers_blocks

        modality = verdict.model.modality
        offers_blocks(blocks, offers, modality, verbose=verbose, today=today, cost=cost)
        return bool(offers)
    if verdict.route is Route.NEITHER:
        from .cost_text import no_api_words

        blocks += [BLANK, say(f"By API: {no_api_words(verdict.workload)}.")]
        return True
    if not offers or verdict.route not in (Route.API, Route.LOCAL):
        return False
    blocks.append(BLANK)
    offer = offers[0]
    prices = price_words(offer, today) or "at a price that is not known here"
    whose = (
        f"{offer.model} from {provider_name(offer.provider)} stands in"
        if offer.stands_in
        else provider_name(offer.provider)
    )
    start = "Or by API: " if is_local else "By API: "
    blocks.append(line(start, Span(text=whose, style="strong"), f", {prices}", hang=2))
    ends = f" ends it on {offer.ends}." if offer.ends else ""
    if ends:
        blocks.append(say(f"{provider_name(offer.provider)}{ends}", indent=2))
    return True
