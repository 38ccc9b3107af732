"""What `check` says to a person: the answer, the figures that decide, then what to type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.offers import provider_name
from ..catalogue.quantization_names import canonical_packed
from ..catalogue.spec import ONE_AT_A_TIME
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, DEFAULT_MIN_TOKENS_PER_SECOND
from ..judge.checks import HOURS_SECONDS, WIDE_PACE
from ..judge.checks.memory import host_low
from ..judge.record import Alternative, Finding, OpenAlternative, Outcome, Route, Verdict
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
    strong,
)
from .prices import offer_words
from .words import (
    DAY_SECONDS,
    MACHINE,
    answer_line,
    asked_words,
    each_words,
    failed_words,
    hours_or_days,
    is_closed,
    is_here,
    license_name,
    likely_speed,
    may_take_long,
    on_machine,
    ordered,
    pace_words,
    planned_words,
    reading_words,
    reason_blocks,
    stands_above,
    takes_hours,
    tight_finding,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..core.workload import Workload
    from ..judge.pace.speed import PaceRange, SecondsRange, Speed

# always in the table where there are figures: they decide, and people compare them
_ROWS = ("memory", "accelerator", "disk", "speed")
# what a row or the first lines say already
_SAID = ("memory-too-small", "memory-close", "disk-too-small", "accelerator-too-small",
         "accelerator-tight", "speed-slow", "speed-too-slow", "speed-hours", "weights-closed",
         "runtime-not-installed")  # fmt: skip
_COMMERCIAL = {
    "yes": "allows commercial use",
    "conditional": "commercial use under conditions",
    "no": "no commercial use",
    None: "whether it allows commercial use is not known",
}
_BANDWIDTH = "memory_bandwidth_bytes_per_second"


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
    measured = "--measure" in carry.split()
    yield answer_line(verdict, verdict.machine)
    yield from _smaller_weights(verdict, carry)
    for text in (
        _room_words(verdict),
        *_pace_lines(verdict, measured),
        asked_words(verdict),
        verdict.quality.warning if verdict.can_run and verdict.quality else None,
        planned_words(verdict.machine),
        _hint_at_machine(verdict),
        _closed_words(verdict),
        *verdict.understood_as,
    ):
        if text:
            yield say(text, indent=2)
    yield from _comparison(verdict, measured)
    if not verbose:
        yield from _remarks(verdict)
    yield from _to_run(verdict) if verdict.can_run else _instead(verdict, carry, verbose)
    yield from _by_api(verdict, verbose, today)
    if verdict.monthly_cost is not None:
        from .cost_text import month_blocks

        yield from month_blocks(verdict, verbose=verbose)
    yield from _notes(verdict)
    if verbose:
        from .check_details import details

        yield from details(verdict)
        return
    hidden = len(verdict.api_offers) - 1
    shows_one = hidden > 0 and verdict.route in (Route.API, Route.LOCAL)
    others = f", and {hidden} more API{'s' * (hidden > 1)}" if shows_one else ""
    yield say(f"Every figure with its source{others}: -v")


def _notes(verdict: Verdict) -> Iterator[Block]:
    """What else is worth knowing, and how far one could go."""
    if verdict.notes:
        yield BLANK
        yield from (say(note, hang=2) for note in verdict.notes)
    if verdict.monthly_cost is not None or verdict.notes:
        yield BLANK
    if verdict.can_run and tight_finding(verdict) is None and (spare := _spare(verdict)):
        yield say(spare, hang=2)


def _smaller_weights(verdict: Verdict, carry: str) -> Iterator[Block]:
    """That the model itself runs in another type or program, with the command."""
    other = _other_quantization(verdict)
    if other is None:
        return
    would = "would run" if verdict.route is Route.UNKNOWN else "runs"
    in_program = other.runtime not in (None, verdict.workload.runtime)
    program = f" with {other.runtime}" if in_program else ""
    before = verdict.needs.download_bytes if verdict.needs is not None else None
    after = other.download_bytes
    is_smaller = before is not None and after is not None and after < before
    smaller = ", with smaller weights" if is_smaller else ""
    yield say(f"It {would} in {other.quantization}{program}{smaller}:", indent=2)
    yield command_line(other.command + carry)


def _other_quantization(verdict: Verdict) -> Alternative | None:
    """The first alternative where it is the model itself in other weights and the same context."""
    first = next(iter(verdict.alternatives), None)
    if verdict.can_run or first is None or first.id != verdict.model.id:
        return None
    judged = verdict.workload
    is_other = first.quantization not in (None, judged.quantization)
    has_context = first.context_tokens in (None, judged.context_tokens)
    return first if is_other and has_context and first.finetune_method is None else None


def _room_words(verdict: Verdict) -> str:
    """What makes room on the disk, where nothing else is missing."""
    decisive = [
        finding
        for finding in verdict.findings
        if finding.outcome in (Outcome.FAIL, Outcome.UNKNOWN)
    ]
    if [finding.code for finding in decisive] != ["disk-too-small"]:
        return ""
    return f"Only disk space is missing: {decisive[0].remedy}."


def _closed_words(verdict: Verdict) -> str:
    """What the first line leaves out of a model without weights."""
    available = verdict.model.availability
    is_told = available is not None and is_closed(verdict)
    return " ".join(available.sentences[1:]) if is_told and available else ""


def _hint_at_machine(verdict: Verdict) -> str:
    """How to ask about a whole machine with stated GPUs, where the rest of this one decides."""
    machine = verdict.machine
    cards = [card for card in machine.accelerators or () if not card.unified]
    codes = {"disk-too-small", "memory-too-small", "memory-close"}
    decides = any(finding.code in codes for finding in verdict.findings)
    fits = verdict.finding("accelerator")
    holds = fits is not None and fits.outcome in (Outcome.PASS, Outcome.WARN)
    if not (machine.planning and machine.is_this_one and cards and decides and holds):
        return ""
    return "--machine instead of --gpu judges a whole machine that is built around these GPUs."


# ------------------------------------------------------------------ pace


def _pace_lines(verdict: Verdict, measured: bool) -> Iterator[str]:
    """Yield the pace, the wait for the first word, and the pace of all sequences."""
    speed, workload = verdict.speed, verdict.workload
    if not verdict.can_run:
        return
    if speed is not None and speed.decode is not None:
        yield _decode_words(verdict, speed.decode, measured)
    elif takes_hours(verdict):
        yield _hours_words(verdict)
    elif may_take_long(verdict):
        yield "how long this lasts is not known"
    elif speed is not None and speed.work is not None:
        yield _work_words(verdict, speed, speed.work)
    if speed is not None:
        yield _full_context_words(speed, workload)
        yield from _asked_paces(speed, workload)
        yield _at_once_words(speed, verdict) if workload.parallel > 1 else ""
    local = verdict.monthly_cost.here if verdict.monthly_cost is not None else None
    if local is not None and local.keeps_up is False:
        yield "It does not keep up with the load that you stated: see the month below."


def _asked_paces(speed: Speed, workload: Workload) -> Iterator[str]:
    """Yield what was asked about: the pace without a draft, the wait of a training and a prompt."""
    alone = speed.undrafted_tokens_per_second if workload.draft is not None else None
    if alone is not None and speed.decode is not None:
        gains = "" if speed.decode.likely > alone else ": the draft likely makes it slower"
        yield f"about {units.speed(alone, alone)} without the draft{gains}"
    if workload.dataset_tokens is not None and speed.dataset_seconds is not None:
        tokens = units.tokens(workload.dataset_tokens)
        yield f"training on {tokens} takes {_wait_words(speed.dataset_seconds)}"
    if workload.prompt_tokens is not None and speed.unit == "tokens_per_second":
        wait, prompt = speed.first_token_seconds, units.tokens(workload.prompt_tokens)
        begins = f"the answer to a prompt of {prompt} begins after"
        unknown = "when the answer begins is not known (see -v)"
        yield unknown if wait is None else f"{begins} {_wait_words(wait)}"


def _decode_words(verdict: Verdict, pace: PaceRange, measured: bool) -> str:
    """The likely pace, and where it is a guess what narrows it."""
    alone = "one sequence alone: " if verdict.workload.parallel > 1 else ""
    likely = units.speed(pace.likely, pace.likely)
    if units.is_telling(pace.low, pace.high):
        machine = verdict.machine
        # the host of a virtual machine may give it another bandwidth at another time
        is_read = is_here(machine) and machine.memory_bandwidth_bytes_per_second is not None
        varies = machine.scope == "vm" and is_read and not _is_on_card(verdict)
        return f"{alone}about {likely}{' at present' * varies}{reading_words(pace)}"
    # the row of the speed has the ends, where there is one
    words = pace_words(pace) if verdict.finding("speed") is None else f"perhaps {likely}, a guess"
    narrows = _what_narrows(verdict, measured)
    return f"{alone}{words}{f'; {narrows} for a narrower range' if narrows else ''}"


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

    if fact := what_to_state(machine):
        return fact
    if measured:
        return "state the bandwidth of its RAM (--set bandwidth=…GB/s)"
    if machine.is_this_one:
        return "run with --measure"
    return f"run `selfhost check {verdict.model.id} --measure` on it"


def _work_words(verdict: Verdict, speed: Speed, work: PaceRange) -> str:
    """`about 12 minutes for an hour of audio`."""
    of_what = ""
    if speed.unit == "documents_per_second":
        from ..judge.pace.documents import DOCUMENT_TOKENS

        architecture = verdict.model.architecture
        longest = architecture.context_tokens if architecture is not None else None
        of_what = f", of {units.tokens(min(DOCUMENT_TOKENS, longest or DOCUMENT_TOKENS))} each"
    elif speed.clip is not None:
        played = units.played(speed.clip[0], speed.frames_per_second)
        of_what = f" of {units.clip(*speed.clip)}{played}"
    likely = f"{units.work(work.likely, speed.unit, speed.audio_seconds)}{of_what}"
    return f"{units.about(work.low, work.high)} {likely}{units.guess(work.low, work.high)}"


def _hours_words(verdict: Verdict) -> str:
    """`each picture takes hours: use a GPU that holds the model, or an API`, or days."""
    finding, speed = verdict.finding("speed"), verdict.speed
    remedy = f": {finding.remedy}" if finding is not None and finding.remedy else ""
    if speed is None or speed.work is None:
        return f"each {verdict.model.modality} takes hours to days{remedy}"
    span = hours_or_days(verdict)
    is_sure = speed.work.low >= (DAY_SECONDS if span == "days" else HOURS_SECONDS)
    what = "video" if verdict.model.modality == "video" else "picture"
    return f"each {what} {'takes' if is_sure else 'likely takes'} {span}{remedy}"


def _full_context_words(speed: Speed, workload: Workload) -> str:
    """What a full context leaves of the pace, where that is below half or what is wanted."""
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
    is_asked = becomes_too_slow and wanted != DEFAULT_MIN_TOKENS_PER_SECOND
    below = f", below the {units.stated(wanted)} you need" if is_asked else ""
    alone = " for one sequence alone" if workload.parallel > 1 else ""
    context = f"once all {units.tokens(tokens)} of context are in use"
    return f"{context}: about {units.speed(full, full)}{alone}{below}"


def _at_once_words(speed: Speed, verdict: Verdict) -> str:
    """The pace of several sequences at once; empty of training and of what is made in turn."""
    workload, total = verdict.workload, speed.parallel_total
    count = f"{workload.parallel:,}"
    if speed.work is not None:
        answers_several = verdict.model.modality not in ONE_AT_A_TIME
        is_of_one = workload.task == "generate" and answers_several
        words = f"one after the other; the pace of {count} at once is not known"
        return words if is_of_one else ""
    if speed.decode is None:
        return ""
    if total is None:
        return f"the pace of {count} sequences at once is not known (see -v)"
    likely, ends = units.speed(total.likely, total.likely), units.pace(total.low, total.high)
    guess = units.guess(total.low, total.high) or ", an estimate"
    each = total.likely / workload.parallel
    # a stated minimum is held against each, which is a finding
    is_slow = each < DEFAULT_MIN_TOKENS_PER_SECOND == workload.min_tokens_per_second
    slow = ", too slow" if is_slow and speed.each_of == 1 else ""
    return (
        f"{count} sequences at once: {units.about(total.low, total.high)} {likely} in all"
        f" ({ends}{guess}), {units.pace(each, each)} each{slow}"
    )


def _wait_words(wait: SecondsRange) -> str:
    """`about 4 seconds (2.0 seconds to 6.0 seconds)`."""
    ends = f"{units.wait(wait.low)} to {units.wait(wait.high)}"
    word, guess = units.about(wait.low, wait.high), units.guess(wait.low, wait.high)
    return f"{word} {units.wait(wait.likely)} ({ends}{guess})"


# ------------------------------------------------------------------ figures

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


def _comparison(verdict: Verdict, measured: bool) -> Iterator[Block]:
    """Need against machine, a row a fact: those that always decide, and what did not pass."""
    rows: list[tuple[Cell, ...]] = []
    for finding in ordered(verdict):
        amount = _amount(finding, verdict) if _has_a_row(finding, verdict) else ""
        if amount:
            name = _NAMES.get(finding.code) or _NAMES.get(finding.check, finding.check)
            style = "" if finding.outcome is Outcome.PASS else finding.outcome
            note = _note(finding, verdict, measured)
            rows.append((name, Span(text=amount, style=style), note))
    terms = verdict.model.license
    if rows and terms is not None and terms.id is not None:
        rows.append(("license", license_name(terms.id), _COMMERCIAL[terms.commercial_use]))
    if rows:
        yield BLANK
        columns = (Column(), Column(), Column(wrap=True))
        yield Table(columns=columns, rows=tuple(rows))
    if measured and verdict.machine.memory_bandwidth_bytes_per_second is None:
        why = verdict.machine.why_unread(_BANDWIDTH)
        yield from reason_blocks("memory bandwidth", why.reason, why.remedy)


def _has_a_row(finding: Finding, verdict: Verdict) -> bool:
    """Whether it is of the machine, and decides or did not pass."""
    check, passes = finding.check, finding.outcome is Outcome.PASS
    if check not in MACHINE or (passes and check not in _ROWS):
        return False
    runtime = verdict.finding("runtime")
    if check in ("accelerator", "speed") and runtime and runtime.code == "runtime-no-build":
        # nothing computes there
        return False
    if check == "accelerator":
        return bool(finding.needs)
    needs, has = finding.needs, finding.has
    is_little = isinstance(needs, int) and isinstance(has, int) and needs < _LITTLE * has
    return not (check == "memory" and passes and _is_on_card(verdict) and is_little)


def _amount(finding: Finding, verdict: Verdict) -> str:
    """`4.74 of 23.0 GiB`, `~2.8 tokens/s`; empty where there are no figures."""
    if finding.check == "speed":
        return _speed_amount(verdict, finding.unit)
    needs, has = _quantity(finding.needs, finding), _quantity(finding.has, finding)
    on_cards, limits = _on_cards(verdict), _shared_range(finding, verdict)
    if finding.code in _MOST_OF_RECORDINGS:
        return f"{needs}, {_MOST_OF_RECORDINGS[finding.code].format(most=has)}"
    if finding.code == "accelerator-tight" and on_cards:
        needs = units.binary_range(on_cards[0], on_cards[2])
    elif limits:
        has = units.binary_range(*limits)
    elif needs == has and finding.short:
        # what is short of another does not print like it
        needs = _quantity(finding.needs, finding, more=1)
        has = _quantity(finding.has, finding, more=1)
    elif finding.check == "disk" and verdict.needs is not None:
        ends = verdict.needs.download_range
        if ends is not None and finding.needs == verdict.needs.download_bytes:
            needs = units.decimal_range(*ends)
    return f"{_without_unit(needs, has)} of {has}" if needs and has else needs


def _without_unit(needs: str, has: str) -> str:
    """The need without its unit where that of what there is says it."""
    number, _, unit = needs.rpartition(" ")
    return number if number and has.endswith(f" {unit}") else needs


def _speed_amount(verdict: Verdict, unit: str | None) -> str:
    speed = verdict.speed
    if speed is None:
        return ""
    if speed.work is not None:
        cell = units.work_cell(speed.work.likely, speed.unit, speed.audio_seconds)
        return cell if speed.clip is None else f"{cell} of {speed.clip[0]} frames"
    if speed.decode is None or unit != "tokens_per_second":
        return ""
    if speed.judged is None or verdict.workload.parallel > speed.each_of:
        return f"~{units.speed(speed.decode.likely, speed.decode.likely)} alone"
    return f"~{units.speed(speed.judged.likely, speed.judged.likely)}{each_words(speed)}"


def _shared_range(finding: Finding, verdict: Verdict) -> tuple[int, int] | None:
    """The least and most bytes that a GPU may use of the RAM that it shares."""
    cards = verdict.machine.accelerators or ()
    if finding.code != "accelerator-partly" or not cards or not cards[0].unified:
        return None
    from ..judge.placement.shared_memory import shared_limits

    limits = shared_limits(cards[0], verdict.machine)
    return limits if limits is not None and limits[0] < limits[1] else None


def _on_cards(verdict: Verdict) -> tuple[int, int, int] | None:
    """Least, likely and most of what accelerators hold; None where that is not known."""
    memory = verdict.needs.memory if verdict.needs is not None else None
    if memory is None:
        return None
    terms = [term for term in memory.terms if term.where != "host"]
    low, likely = sum(term.low_bytes for term in terms), sum(term.bytes for term in terms)
    return low, likely, sum(term.high_bytes for term in terms)


def _quantity(value: float | str | None, finding: Finding, *, more: int = 0) -> str:
    """A finding's number in its usual unit, memory in GiB and disks in GB; `more` digits."""
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


def _note(finding: Finding, verdict: Verdict, measured: bool) -> Cell:
    """What stands beside a figure: a bar, what is short, or how sure the pace is."""
    if finding.check == "speed":
        return _pace_note(finding, verdict, measured)
    if finding.unit == "bytes" and finding.needs and isinstance(finding.has, int | float):
        words = (_bar_words(finding, verdict), _cards_words(finding, verdict))
        label = ", ".join(filter(None, words))
        needs = float(finding.needs)
        return Bar(needs=needs, has=finding.has, style=finding.outcome, label=label)
    return _saved_words(finding, verdict)


def _cards_words(finding: Finding, verdict: Verdict) -> str:
    """`2 of 4 GPUs suffice` where fewer hold it than are there, or `on 2 of 3 GPUs`."""
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
    on_cards = _on_cards(verdict) or (0, 0, 0)
    low = host_low(verdict.needs) if verdict.needs is not None else None
    is_below = isinstance(finding.needs, int) and low is not None and low < finding.needs
    words = {
        "memory-tight": "little is left for other programs",
        "memory-assumed": "its RAM is assumed",
        "accelerator-tight": f"likely {units.binary(on_cards[1])}: may not fit",
        "accelerator-close": f"from {units.binary(on_cards[0])}: too close",
        "memory-close": f"from {units.binary(low or 0)}: too close" if is_below else "",
    }.get(finding.code)
    if words:
        return words
    return _short_words(finding, verdict) if finding.short else _saved_words(finding, verdict)


def _short_words(finding: Finding, verdict: Verdict) -> str:
    """How much is short; of a limit that a printed line raises, until when."""
    up_to = "up to " if _shared_range(finding, verdict) else ""
    is_raised = finding.code == "accelerator-partly" and _is_to_type(finding.remedy or "", verdict)
    until = ", until its limit is raised (below)" if is_raised else ""
    return f"{up_to}{_quantity(finding.short, finding)} short{until}"


def _saved_words(finding: Finding, verdict: Verdict) -> str:
    """Why the disk has to hold more than is downloaded; empty where it does not."""
    download = verdict.needs.download_bytes if verdict.needs is not None else None
    if finding.check != "disk" or download is None or not isinstance(finding.needs, int):
        return ""
    if verdict.workload.task != "finetune" or finding.needs <= download:
        return ""
    return f"{units.decimal(finding.needs - download)} of it is what training saves"


def _pace_note(finding: Finding, verdict: Verdict, measured: bool) -> str:
    """The range, that it is a guess where it is wide, what narrows it, and what was needed."""
    speed = verdict.speed
    if speed is not None and speed.work is not None:
        low, high = speed.work.low, speed.work.high
        guess = "" if _says_guess(verdict) else units.guess(low, high)
        return f"{units.work_ends(low, high, speed.unit, speed.audio_seconds)}{guess}"
    pace = speed.judged if speed is not None else None
    if pace is None:
        return ""
    wanted = verdict.workload.min_tokens_per_second or 0
    fails = finding.outcome is Outcome.FAIL
    is_below = finding.outcome is not Outcome.PASS and pace.likely < wanted
    needed = f"you need {units.stated(wanted)}" if fails or is_below else ""
    doubt = "" if fails or pace.low <= 0 else _doubt(verdict, pace, measured)
    return ", ".join(filter(None, (units.pace(pace.low, pace.high), needed, doubt)))


def _says_guess(verdict: Verdict) -> bool:
    """Whether the second line says of ends far apart that they are a guess."""
    return verdict.can_run and not takes_hours(verdict)


def _doubt(verdict: Verdict, pace: PaceRange, measured: bool) -> str:
    """That the range is a guess, unless the second line says it, and what narrows a wide one."""
    is_telling = units.is_telling(pace.low, pace.high)
    if not is_telling and _says_guess(verdict):
        return ""
    can_measure = is_here(verdict.machine) and not (_is_on_card(verdict) or measured)
    # what several get stays an estimate
    is_of_one = verdict.speed is not None and verdict.speed.each_of == 1
    narrows = pace.high > WIDE_PACE * pace.low and is_of_one and can_measure
    words = ("" if is_telling else "a guess", "--measure narrows it" if narrows else "")
    return ": ".join(filter(None, words))


# ------------------------------------------------------------------ remarks and what to type


def _remarks(verdict: Verdict) -> Iterator[Block]:
    """Reason and remedy of what did not pass, the worst first, unless a row says it already."""
    tight = tight_finding(verdict) if verdict.can_run else None
    if tight is not None and tight.remedy:
        what = "GPU runs out of memory" if tight.check == "accelerator" else "memory runs short"
        yield BLANK
        yield say(f"If the {what}: {tight.remedy}.", indent=2, hang=2)
    others = []
    for finding in _unsaid(verdict):
        if finding.code != "accelerator-partly":
            others.append(finding)
        elif finding.needs and finding.remedy and not _is_to_type(finding.remedy, verdict):
            # how much of it the row says
            yield say(f"GPU: {finding.remedy}", indent=2, hang=2)
    if others:
        yield BLANK
    for finding in others:
        yield from reason_blocks(finding.check, finding.reason, finding.remedy)


def _unsaid(verdict: Verdict) -> Iterator[Finding]:
    """Yield what did not pass and neither a row nor the first lines say, the worst first."""
    outcomes = [Outcome.FAIL]
    if verdict.route not in (Route.API, Route.NEITHER):
        # what would only be worth knowing if it ran is left to `-v`
        outcomes += [Outcome.UNKNOWN, Outcome.WARN]
    for outcome in outcomes:
        for finding in ordered(verdict):
            if finding.outcome is outcome and not _is_said(finding, verdict):
                yield finding


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
    said = (*_SAID, "weights-gated") if verdict.can_run else _SAID
    return finding.code in said or stands_above(finding, verdict)


def _is_to_type(remedy: str, verdict: Verdict) -> bool:
    """Whether a line to type says what the remedy does."""
    return any(f"`{line}`" in remedy for line in verdict.setup)


def _to_run(verdict: Verdict) -> Iterator[Block]:
    """The lines to type, in order; what stands between two is a comment of the shell."""
    lines = list(verdict.setup)
    for before, command in zip(("", *verdict.commands), verdict.commands, strict=False):
        if before:
            lines.append("# then, in another terminal" if before.endswith(" serve") else "# or")
        lines.append(command)
    if not lines:
        yield BLANK
        yield say(_without_lines(verdict), hang=2)
        return
    yield from heading("To train it" if verdict.workload.task == "finetune" else "To run it")
    yield from map(command_line, lines)


def _without_lines(verdict: Verdict) -> str:
    """That nobody wrote down what to type, and where it may be read."""
    model, runtime = verdict.model, verdict.workload.runtime
    quantization = verdict.workload.quantization or ""
    is_scaled = any(finding.code == "context-scaled" for finding in verdict.findings)
    is_whole = verdict.workload.task == "generate" and not model.components and not is_scaled
    if is_whole and canonical_packed(quantization) and model.conversions_page:
        return (
            f"The catalogue names no {quantization} files of it. Hugging Face lists some:"
            f" {model.conversions_page}. To see what to type for one of them, check it by its"
            f" repository's name: selfhost check OWNER/NAME --runtime {runtime}"
        )
    page = f" See https://huggingface.co/{model.repository}." if model.repository else ""
    if verdict.workload.format == "gguf" and model.conversions_page:
        page = f" Hugging Face lists conversions: {model.conversions_page}"
    with_it = f" with {runtime}" if runtime is not None else ""
    return f"No command is known that does this{with_it}.{page}"


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
    where = "the GPU" if _is_on_card(verdict) else "memory"
    listed = " or ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    return f"With other programs closed, {where} also holds: {listed}."


# ------------------------------------------------------------------ what to do instead


def _instead(verdict: Verdict, carry: str, verbose: bool) -> Iterator[Block]:
    """What runs in its place, a row each, and the command for the first."""
    where = on_machine(verdict.machine, short=True)
    others = verdict.alternatives
    if others:
        would = "would run" if verdict.route is Route.UNKNOWN else "runs"
        yield from heading(f"What {would} {where} instead")
        columns = (
            Column(),
            Column(right=True),
            Column(drop=1),
            Column(drop=3, cut=18),
            Column(cut=20, drop=2),
        )
        yield Table(columns=columns, rows=tuple(_alternative(verdict, each) for each in others))
    yield from _open_alternatives(verdict, where, verbose)
    # the first lines have that of smaller weights
    if others and _other_quantization(verdict) is None:
        yield command_line(others[0].command + carry)


def _open_alternatives(verdict: Verdict, where: str, verbose: bool) -> Iterator[Block]:
    """The open-weight models that the spec of a closed one names, unless they are proposed."""
    proposed = {other.id for other in verdict.alternatives}
    others = [named for named in verdict.open_alternatives if named.id not in proposed]
    if verdict.open_alternatives and not proposed:
        yield from heading("The nearest open-weight models")
    if practical := [_in_brackets(named) for named in others if named.practical]:
        runs = "run" if len(practical) > 1 else "runs"
        yield say(f"{', '.join(practical)} {runs} {where} too", indent=2, hang=2)
    state = {
        True: f"runs {where}, slowly or with nothing else",
        False: f"does not run {where}",
        None: f"not known whether it runs {where}",
    }
    for named in others if verbose or not proposed else ():
        if not named.practical:
            why = f": {failed_words(named.failed)}" if named.fits is False and named.failed else ""
            terms = license_name(named.license) or "license not known"
            yield say(f"{named.id} {state[named.fits]}{why} ({terms})", indent=2, hang=2)


def _in_brackets(named: OpenAlternative) -> str:
    """`gemma-4-31b-it in IQ4_NL (Apache-2.0)`."""
    less = f" in {named.quantization}" if named.quantization else ""
    return f"{named.id}{less} ({license_name(named.license) or 'license not known'})"


def _alternative(verdict: Verdict, other: Alternative) -> tuple[Cell, ...]:
    is_same = other.id == verdict.model.id
    how = [other.id, *((other.quantization, other.finetune_method) if is_same else ())]
    context, judged = other.context_tokens, verdict.workload.context_tokens
    if context is not None and judged is not None and context != judged:
        how.append(units.tokens(context))
    pace, alone = other.judged_tokens_per_second, other.decode_tokens_per_second
    pace_words = "" if alone is None else f"{likely_speed(alone)} alone"
    if pace is not None:
        is_of_each = verdict.speed is not None and verdict.speed.each_of > 1
        pace_words = f"{likely_speed(pace)}{' each' * is_of_each}"
    return (
        strong(" ".join(filter(None, how))),
        _alternative_size(other),
        pace_words,
        "" if is_same else license_name(other.license),
        other.why,
    )


def _alternative_size(other: Alternative) -> str:
    """`21.0 GiB` of the GPU or of the RAM, `22.1 + 8.1 GiB RAM` where both hold a part."""
    if other.memory_high_bytes is None:
        return ""
    if other.host_bytes is None:
        return units.binary(other.memory_high_bytes)
    on_card = units.binary(max(0, other.memory_high_bytes - other.host_bytes))
    # what a program keeps in RAM beside a GPU that holds the model decides nothing
    return (
        on_card if other.is_whole_on_card else f"{on_card} + {units.binary(other.host_bytes)} RAM"
    )


def _by_api(verdict: Verdict, verbose: bool, today: str | None) -> Iterator[Block]:
    """The cheapest offer in a line, or with `verbose` all."""
    cost, offers = verdict.monthly_cost, verdict.api_offers
    is_local = verdict.route is Route.LOCAL
    if verbose and (not is_local or cost is not None):
        from .offer_text import offers_blocks

        yield from offers_blocks(offers, verdict.model.modality, today=today, cost=cost)
        yield BLANK
        return
    yield BLANK
    if verdict.route is Route.NEITHER:
        from .cost_text import no_api_words

        yield say(f"By API: {no_api_words(verdict.workload)}.")
    elif offers and verdict.route is not Route.UNKNOWN:
        offer = offers[0]
        whose, prices = offer_words(offer, today)
        start = "Or by API: " if is_local else "By API: "
        yield line(start, strong(whose), f", {prices}", hang=2)
        if offer.ends:
            yield say(f"{provider_name(offer.provider)} ends it on {offer.ends}.", indent=2)
