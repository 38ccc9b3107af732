"""Words and lines that the reports of models share: the answer, the memory, the blocks they are
made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core import units
from ..core.workload import ANSWER_TOKENS, READING_TOKENS_PER_SECOND, Workload
from ..machine.record import Machine, has_accelerator
from ..needs.records import MemoryNeed, Needs
from ..verdict.findings.speed import is_slow
from ..verdict.record import Answer, Finding, Outcome, Route, Verdict
from .layout import Blank, Block, Paragraph, Span

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.openness import Row
    from ..verdict.present import Here
    from ..verdict.speed import PaceRange, Speed

# what decides comes first; the other findings are rows only where they are not `pass`
DECIDING = ("memory", "accelerator", "disk", "speed")
MACHINE = (*DECIDING, "context", "cpu", "runtime")
ORDER = (*MACHINE, "weights", "license", "openness")
WHY_NOT = {
    "memory": "too little memory", "accelerator": "no accelerator that suits",
    "disk": "too little disk space", "speed": "too slow",
    "context": "too long a context", "cpu": "the CPU does not suit",
    "runtime": "no runtime loads it",
    "runtime-not-installed": "runtime not installed",
    "runtime-no-build": "no build of the runtime is judged there",
    "weights": "its weights are not published", "license": "its license forbids it",
    "openness": "not open enough",
    # by the reason's code where the check alone does not say it
    "accelerator-too-small": "too little GPU memory",
    "context-recording-too-long": "too long a recording",
    "disk-not-writable": "nowhere to write the files",
    "disk-file-too-large": "a file is larger than may be written",
    "license-not-accepted": "its license is not one you accept",
}  # fmt: skip
# what is short is told in one: `too little memory and disk space`
_TOO_LITTLE = "too little "
PLACED = {
    "host": ", in RAM",
    "accelerator": ", on the accelerator",
    "split": ", on the accelerator and in RAM",
}
_GPU_MEMORY = "GPU memory"
BLANK = Blank()
ANSWER_STYLES = {
    "yes": Outcome.PASS,
    "partly": Outcome.WARN,
    "no": Outcome.FAIL,
    "unknown": Outcome.UNKNOWN,
}


# the sign, and the answer in words, that open the first line
_ANSWERS = {
    Route.LOCAL: ("✓", "RUNS HERE", "RUNS"),
    Route.API: ("✗", "USE AN API", "USE AN API"),
    Route.NEITHER: ("✗", "NO WAY HERE", "NO WAY"),
    Route.UNKNOWN: ("?", "CANNOT TELL", "CANNOT TELL"),
}


def answer_line(answer: Answer, machine: Machine) -> Paragraph:
    """The route in words, and why it is not local where it is not."""
    is_local = is_here(machine)
    label = answer_cell(answer, here=is_local)
    name = Span(text=answer.model.name, style="strong")
    where = "" if is_local else f" {on_machine(machine)}"
    if is_closed(answer):
        available = answer.model.availability
        why = WHY_NOT["weights"] if available is None else available.why_in_short
        return line(label, "  ", name, f" is closed: {why}", hang=2)
    if answer.route is Route.LOCAL:
        return line(label, "  ", name, where, hang=2)
    if answer.route is Route.UNKNOWN:
        return line(label, "  whether ", name, f" runs{where or ' here'}: {causes(answer)}", hang=2)
    return line(label, "  ", name, f" {_ruled_out(answer, where or ' here')}", hang=2)


_DAYS_OF_A_WEEK = 7
DAY_SECONDS = 86_400


def is_closed(answer: Answer) -> bool:
    """It runs nowhere, whatever the machine: its weights were never published."""
    return answer.model.closed and not answer.can_run


def count_words(answers: Sequence[Verdict]) -> str:
    """How many run on their machine, and how many a stated condition rules out."""
    runs = sum(answer.route is Route.LOCAL for answer in answers)
    ruled_out = sum(map(is_ruled_out, answers))
    are = "runs" if runs == 1 else "run"
    counts = f"{runs} of {len(answers)} models {are} {on_machine(answers[0].machine)}"
    if not ruled_out:
        return f"{counts}."
    are = "is" if ruled_out == 1 else "are"
    return f"{counts}; {ruled_out} {are} ruled out by your conditions."


def answer_cell(answer: Answer, *, here: bool) -> Span:
    """Sign and words alone. `here`: it is about the computer that asks."""
    sign, local, elsewhere = _ANSWERS[answer.route]
    words, style = local if here else elsewhere, str(answer.route)
    if is_ruled_out(answer):
        words = "RULED OUT"
    elif not answer.can_run:
        words = _words_of_a_no(answer, here=here) or words
    elif takes_hours(answer):
        words, style = f"RUNS, TAKES {hours_or_days(answer).upper()}", Outcome.WARN
    elif takes_weeks(answer):
        words, style = "RUNS, TAKES WEEKS", Outcome.WARN
    elif is_slow(answer, answer.workload.min_tokens_per_second):
        words, style = "RUNS SLOWLY", Outcome.WARN
    elif may_take_long(answer):
        words, style = "RUNS, PACE NOT KNOWN", Outcome.WARN
    elif trains_beside_gpu(answer):
        words, style = "RUNS ON THE CPU", Outcome.WARN
    elif tight_finding(answer) is not None:
        words, style = "LIKELY RUNS", Outcome.WARN
    return Span(text=f"{sign} {words}", style=style)


def trains_beside_gpu(answer: Answer) -> bool:
    """It is trained by the processor of a machine whose accelerators do not hold it."""
    finding = answer.finding("accelerator")
    return (
        answer.workload.task == "finetune"
        and finding is not None
        and (finding.code, finding.outcome) == ("accelerator-not-needed", Outcome.WARN)
    )


def may_take_long(answer: Answer) -> bool:
    """It is no text, and nothing tells how long it takes."""
    finding = answer.finding("speed")
    return (
        finding is not None
        and finding.code == "speed-not-known"
        and finding.unit != "tokens_per_second"
    )


def takes_hours(answer: Answer) -> bool:
    """One picture or video does."""
    finding = answer.finding("speed")
    return finding is not None and finding.code == "speed-hours"


def hours_or_days(answer: Answer) -> str:
    """The unit in which one picture or video is counted, by its likely time."""
    work = answer.speed.work if answer.speed is not None else None
    return "days" if work is not None and work.likely >= DAY_SECONDS else "hours"


def takes_weeks(answer: Answer) -> bool:
    """Training does, by the likely pace: on the tokens that were stated, else its finding is held
    to the tokens of a day.
    """
    finding = answer.finding("speed")
    if finding is None or finding.unit != units.TRAINED:
        return False
    wait = answer.speed.dataset_seconds if answer.speed is not None else None
    if wait is not None:
        return wait.likely > _DAYS_OF_A_WEEK * DAY_SECONDS
    of_a_day, likely = finding.needs, finding.has
    if not isinstance(of_a_day, int | float) or not isinstance(likely, int | float):
        return False
    return likely * _DAYS_OF_A_WEEK < of_a_day


def _words_of_a_no(answer: Answer, *, here: bool) -> str | None:
    """Where those of its route alone would say too much or too little."""
    if is_closed(answer) and answer.workload.private:
        return "NO API ALLOWED"
    if answer.route is Route.NEITHER and not answer.workload.private:
        # that no offer is known does not show that there is none
        if is_closed(answer):
            return "NO OFFER KNOWN"
        return "NOT HERE" if here else "DOES NOT RUN"
    if is_closed(answer) and answer.route is Route.API and _has_no_api(answer):
        return "USE ANOTHER MODEL"
    return None


def tight_finding(answer: Answer) -> Finding | None:
    """That an accelerator holds what is likely needed, and not the most, or that the RAM leaves
    little to the system; None where neither is.
    """
    for name in ("accelerator", "memory"):
        finding = answer.finding(name)
        if finding is not None and finding.code == f"{name}-tight":
            return finding
    return None


def is_tight_on_card(answer: Answer) -> bool:
    """An accelerator holds what is likely needed, and not the most."""
    finding = answer.finding("accelerator")
    return finding is not None and finding.code == "accelerator-tight"


def _has_no_api(answer: Answer) -> bool:
    """Its provider offers it in its own programs alone, so that an API serves another model."""
    available = answer.model.availability
    return available is not None and not available.api


def is_ruled_out(answer: Answer) -> bool:
    """It fails on nothing but a condition that was stated: its license, or how open it is."""
    failed = {finding.check for finding in answer.findings if finding.outcome is Outcome.FAIL}
    return bool(failed) and failed <= {"license", "openness"}


def _ruled_out(answer: Answer, where: str) -> str:
    """`does not run here: too slow`, or `is ruled out: …` where only a stated condition is why."""
    if is_ruled_out(answer):
        return f"is ruled out: {why_not(answer)}"
    return f"does not run{where}: {why_not(answer)}"


def likely_speed(pace: PaceRange) -> str:
    """`~2.8 tokens/s`; `~3.8 tokens/s (0.6-13)` where the ends are too far apart for one figure."""
    return units.likely_pace(pace.low, pace.likely, pace.high, " tokens/s")


def speed_of(answer: Answer) -> str:
    """The pace as a column holds it, `~2.8` or `~3.8 (0.6-13)`; a dash where none is known."""
    speed = answer.speed
    return "-" if speed is None else f"{pace_cell(speed.judged)}{each_words(speed)}"


def each_words(speed: Speed) -> str:
    """What stands behind a pace that is not of one sequence alone."""
    return " each" if speed.each_of > 1 and speed.judged is not None else ""


def pace_cell(pace: PaceRange | None, *, always_ends: bool = False) -> str:
    """As `speed_of`, of a pace; with `always_ends` both ends stand beside any figure."""
    if pace is None:
        return "-"
    if always_ends:
        return f"~{units.pace(pace.likely, pace.likely)} ({units.pace(pace.low, pace.high)})"
    return units.likely_pace(pace.low, pace.likely, pace.high)


# what the pace of other work than text is of, by its unit
_OF_WORK = {
    "seconds_per_image": "a picture",
    "seconds_per_video": "a clip",
    "seconds_per_music_minute": "a minute of music",
    "documents_per_second": "documents/s",
    "pictures_per_second": "pictures/s",
    units.TRAINED: "trained tokens/s",
}


# a column in which each figure says its own unit
PACES = "pace"


def pace_title(speeds: Iterable[Speed | None]) -> str:
    """`tokens/s`; where all that have a pace do one other kind of work, what it is of; PACES where
    they do several.
    """
    stated = [speed for speed in speeds if speed is not None]
    kinds = {speed.unit for speed in stated if speed.work is not None}
    if not kinds:
        return "tokens/s"
    if any(speed.decode is not None for speed in stated) or len(kinds) > 1:
        return PACES
    lengths = {units.length_of_audio(speed.audio_seconds) for speed in stated}
    return _work_title(kinds.pop(), min(lengths))


def _work_title(unit: str, length_of_audio: str) -> str:
    return {**_OF_WORK, "seconds_per_audio_minute": length_of_audio}.get(unit, PACES)


def pace_of(speed: Speed | None, *, title: str = "", always_ends: bool = False) -> str:
    """The pace as `pace_cell` has it, where a minimum is stated for each sequence that of each; of
    other work its ends, of a clip with its frames. Under the title PACES with its unit.
    """
    if speed is None or (speed.work is None and speed.decode is None):
        return "-"
    if speed.work is None:
        cell = pace_cell(speed.judged, always_ends=always_ends)
        return f"{cell}{' tokens/s' if title == PACES else ''}{each_words(speed)}"
    ends = units.work_ends(speed.work.low, speed.work.high, speed.unit, speed.audio_seconds)
    # clips differ in length from model to model
    frames = "" if speed.clip is None else f"{speed.clip[0]} frames"
    if title != PACES:
        return f"{ends} ({frames})" if frames else ends
    of_work = _work_title(speed.unit, units.length_of_audio(speed.audio_seconds))
    is_for = speed.unit in ("seconds_per_audio_minute", "seconds_per_music_minute")
    of_frames = f" of {frames}" if frames else ""
    return f"{ends} {'for ' if is_for else ''}{of_work}{of_frames}"


def pace_words(
    pace: PaceRange,
    *,
    narrows: str = "",
    why: str = "",
    when: str = "",
    ends: bool = True,
    at_present: bool = False,
) -> str:
    """`about 12 tokens/s, faster than you read`; below reading speed how long an answer takes.
    `at_present`: what it rests on may be another at another time.

    Where the ends are too far apart for one figure it is a guess, with what `narrows` it, and with
    both ends unless a row beside it has them (`ends` False). `why` its bandwidth could not be read,
    and `when` it can.
    """
    if not units.is_telling(pace.low, pace.high):
        likely = units.speed(pace.likely, pace.likely)
        range_words = f" ({units.pace(pace.low, pace.high)}, a guess)" if ends else ", a guess"
        speed = f"perhaps {likely}{range_words}"
        if pace.low >= 2 * READING_TOKENS_PER_SECOND:
            speed += ", faster than you read"
        if why:
            return f"{speed}; {why}: {' '.join(filter(None, (narrows or 'run it again', when)))}"
        return f"{speed}; {narrows} for a narrower range" if narrows else speed
    moment = " at present" if at_present else ""
    speed = f"about {units.speed(pace.likely, pace.likely)}{moment}"
    if pace.likely >= 2 * READING_TOKENS_PER_SECOND:
        return f"{speed}, faster than you read"
    if pace.likely >= READING_TOKENS_PER_SECOND:
        return f"{speed}, about as fast as you read"
    if pace.likely <= 0:
        return speed
    seconds = ANSWER_TOKENS / pace.likely
    # no more digits than a guess deserves
    seconds = 10 * round(seconds / 10) if seconds < 90 else 60 * max(2, round(seconds / 60))
    return f"{speed}: a 300-word answer takes {units.duration(seconds)}"


def causes(answer: Answer) -> str:
    """Why it does not run, or why that cannot be told, in a few words; empty where it runs."""
    if answer.route is Route.LOCAL:
        return ""
    if answer.route is Route.UNKNOWN:
        undecided = [finding for finding in ordered(answer) if finding.leaves_open]
        close = [finding.check for finding in undecided if finding.code.endswith("-close")]
        assumed = [finding.check for finding in undecided if finding.code == "memory-assumed"]
        doubted = [finding.check for finding in undecided if finding.code == "license-unconfirmed"]
        doubts = (*close, *assumed, *doubted)
        missing = [
            "GPU" if finding.check == "accelerator" else finding.check
            for finding in undecided
            if finding.check not in doubts
        ]
        names = [_GPU_MEMORY if check == "accelerator" else check for check in close]
        return "; ".join(
            [
                *([f"{', '.join(missing)} not known"] if missing else []),
                *([f"{' and '.join(names)} too close to call"] if names else []),
                *(["its RAM is assumed"] if assumed else []),
                *([f"{doubted[0]} not confirmed"] if doubted else []),
            ]
        )
    return why_not(answer)


def why_not(answer: Answer) -> str:
    """What rules a local run out, in a few words. A model without weights has no license to
    name.
    """
    failed = [finding for finding in answer.findings if finding.outcome is Outcome.FAIL]
    return failed_words(
        finding.code
        for finding in failed
        if not (answer.model.closed and finding.check == "license")
    )


def failed_words(codes: Iterable[str]) -> str:
    """The same of reason codes alone; each begins with the name of its check. Of a system without a
    build the processor is a part, and no reason of its own.
    """
    left = set(codes)
    if "runtime-no-build" in left:
        left.discard("cpu-no-build")
    checks = sorted(
        ((code.partition("-")[0], code) for code in left),
        key=lambda pair: (ORDER.index(pair[0]), pair[1]),
    )
    reasons = [WHY_NOT.get(code) or WHY_NOT[check] for check, code in checks]
    short = [reason for reason in reasons if reason.startswith(_TOO_LITTLE)]
    together = _TOO_LITTLE + " and ".join(reason.removeprefix(_TOO_LITTLE) for reason in short)
    others = [reason for reason in reasons if reason not in short]
    return ", ".join([together, *others] if short else others)


def asked_words(verdict: Verdict) -> str:
    """What was judged, every default named, and what would be downloaded."""
    workload = verdict.workload
    how, rules = tuple(_run_parts(workload)), tuple(_rule_parts(workload))
    if verdict.loaded_bits is not None:
        how = (how[0], f"loaded in {verdict.loaded_bits} bits", *how[1:])
    if not any(how) and rules:
        return f"You asked for: {', '.join(rules)}"
    parts = (*how, _place_words(verdict), *rules, _download_words(verdict))
    return ", ".join(part for part in parts if part)


def _place_words(verdict: Verdict) -> str:
    """Where a model lies that a GPU does not hold completely; empty where it does, there is none,
    or its parts move to it in turn.
    """
    needs = verdict.needs
    if needs is not None and needs.placement == "split" and needs.offload is None:
        return "split over GPU and RAM"
    return "in RAM, by the CPU" if _is_beside_gpu(verdict) else ""


def _is_beside_gpu(verdict: Verdict) -> bool:
    """There is a GPU with memory of its own, and no part of the model is on it; False where what
    the model takes is not known.
    """
    needs = verdict.needs
    is_in_ram = needs is not None and needs.memory is not None and needs.placement == "host"
    return is_in_ram and has_accelerator(verdict.machine)


def format_words(workload: Workload) -> str:
    """`Q4_K_M in llama.cpp`, or the one of the two that is known."""
    return " in ".join(part for part in (workload.quantization, workload.runtime) if part)


def context_words(workload: Workload) -> str:
    """`8,192 tokens of context for each of 4 sequences`; empty where there is none."""
    if workload.context_tokens is None:
        return ""
    each = f" for each of {workload.parallel} sequences" if workload.parallel > 1 else ""
    return f"{units.tokens(workload.context_tokens)} of context{each}"


def _run_parts(workload: Workload) -> Iterator[str]:
    """How the model would run."""
    yield format_words(workload)
    yield context_words(workload)
    if workload.kv_cache_type not in (None, "f16"):
        yield f"{workload.kv_cache_type} cache"
    if workload.audio_seconds is not None:
        yield f"{units.duration(workload.audio_seconds)} of audio"
    if workload.draft == "mtp":
        yield "drafting with its own block"
    elif workload.draft:
        yield f"{workload.draft} drafting"
    if workload.adapter:
        yield f"adapter {workload.adapter}"
    if workload.task != "generate":
        method = f" by {workload.finetune_method}" if workload.finetune_method else ""
        yield f"{workload.task}{method}"


def _rule_parts(workload: Workload) -> Iterator[str]:
    """By which rules it was judged."""
    if workload.memory_basis != "default":
        yield f"judged by {workload.memory_basis} memory"
    yield from (
        rule for rule in ("private", "commercial", "modify", "auditable") if getattr(workload, rule)
    )
    if workload.license:
        yield f"license {workload.license}"


def _download_words(verdict: Verdict) -> str:
    """`4.4 GB to download in about 6 minutes`, or that the files are here; empty where the size
    is not known.
    """
    disk, here = verdict.finding("disk"), verdict.here
    size = verdict.needs.download_bytes if verdict.needs is not None else None
    if size == 0:
        return f"the files are here: {here.path}" if here else "the files are here"
    if disk is not None and disk.code == "disk-nothing-missing":
        return "the files are here"
    if size is None:
        return ""
    seconds, rate = verdict.download_seconds, verdict.workload.download_bytes_per_second
    took = (
        f" in about {units.duration(seconds)} at {units.decimal(int(rate))}/s"
        if seconds is not None and rate
        else ""
    )
    ends = verdict.needs.download_range if verdict.needs is not None else None
    amount = units.decimal_range(*ends) if ends is not None else units.decimal(size)
    weights = verdict.finding("weights")
    if weights is not None and weights.code == "weights-yours":
        return f"{amount} of weights, yours to get"
    return f"{amount}{_of_all(here)} to download{took}"


def _of_all(here: Here | None) -> str:
    """` of 4.4 GB` where a part of the files is here."""
    if here is None or not here.size_bytes or not here.missing_bytes:
        return ""
    return f" of {units.decimal(here.size_bytes + here.missing_bytes)}"


def reason_blocks(blocks: list[Block], topic: str, reason: str, remedy: str | None) -> None:
    blocks.append(say(f"{topic}: {reason}", indent=2, hang=2))
    if remedy:
        blocks.append(say(f"→ {remedy}", indent=4, hang=2))


def memory_blocks(blocks: list[Block], needs: Needs) -> None:
    """Every term: how large, how that is known, the sum that gives it, and the source; of an
    unknown need those that are known.
    """
    memory = needs.memory
    if memory is not None:
        section(
            blocks,
            "Memory:"
            f" {units.binary(memory.total_bytes)}{range_of(memory)}{PLACED.get(needs.placement, '')}",  # noqa: E501
        )
    elif needs.known_terms:
        missing = [
            entry.fact.partition(".")[2].replace("_", " ")
            for entry in needs.unknown
            if entry.fact.startswith("memory.")
        ]
        section(
            blocks,
            f"Memory: not known without {' and '.join(missing) or 'the rest'}; the other terms",
        )
    terms = needs.known_terms if memory is None else memory.terms
    several = len({term.where for term in terms}) > 1
    for term in terms:
        size = units.binary(term.bytes) + range_of(term)
        where = f", {term.where}" if several else ""
        blocks.append(
            line(
                Span(text=term.name.replace("_", " "), style="strong"),
                f": {size}, {term.how}{where}",
                indent=2,
                hang=2,
            )
        )
        blocks.append(say(term.arithmetic, indent=4, hang=2))
        blocks.append(say(term.source, indent=4, hang=2))
    if memory is not None and memory.evictable_bytes:
        blocks.append(
            say(
                f"{units.binary(memory.evictable_bytes)} more may be dropped by the system at no"
                " harm.",
                indent=2,
                hang=2,
            )
        )


def range_of(size: MemoryNeed | object) -> str:
    low, high = (
        units.binary(getattr(size, "low_bytes", 0)),
        units.binary(getattr(size, "high_bytes", 0)),
    )
    return f" ({low} to {high})" if low != high else ""


def memory_of(verdict: Answer) -> str:
    return (
        units.binary(verdict.needs.memory.high_bytes)
        if verdict.needs is not None and verdict.needs.memory is not None
        else "-"
    )


def download_of(verdict: Answer) -> str:
    size, seconds = (
        verdict.needs.download_bytes if verdict.needs is not None else None,
        verdict.download_seconds,
    )
    if size is None:
        return "-"
    return (
        "here"
        if size == 0
        else units.decimal(size) + (f", {units.duration(seconds)}" if seconds is not None else "")
    )


def pairs_block(blocks: list[Block], title: str, pairs: Mapping[str, str]) -> None:
    if pairs:
        section(blocks, title)
        blocks.extend(say(f"{key}: {value}", indent=2, hang=2) for key, value in pairs.items())


def ordered(verdict: Answer) -> list[Finding]:
    return sorted(
        verdict.findings,
        key=lambda finding: ORDER.index(finding.check) if finding.check in ORDER else len(ORDER),
    )


def is_here(machine: Machine) -> bool:
    """Whether it is the computer that asks, as it is."""
    return machine.is_this_one and not machine.planning


def on_machine(machine: Machine, *, short: bool = False) -> str:
    if is_here(machine):
        return "here" if short else "on this machine"
    return f"on {machine.called}"


def planned_words(machine: Machine) -> str:
    """How a machine that is not there was judged; empty for one that was read."""
    if not machine.planning:
        return ""
    doubt = (
        ""
        if machine.confidence in (None, "high")
        else f" Its figures are of {machine.confidence} confidence."
    )
    if machine.is_this_one:
        return "Simulated machine: what is not stated of it is this computer's."
    return f"Simulated machine: what is not stated of it is assumed.{doubt}"


def stands_above(finding: Finding, verdict: Verdict) -> bool:
    """It warns of what is assumed of a simulated machine, which `planned_words` says of all."""
    is_warning = finding.outcome is Outcome.WARN and finding.code.endswith("-assumed")
    return verdict.machine.planning and is_warning


def answer_word(row: Row) -> Span:
    """An answer on openness as a person reads it."""
    return Span(
        text="not known" if row.answer == "unknown" else row.answer, style=ANSWER_STYLES[row.answer]
    )


def line(*parts: Span | str, indent: int = 0, hang: int = 0) -> Paragraph:
    spans = tuple(
        part if isinstance(part, Span) else Span(text=part) for part in parts if part != ""
    )
    return Paragraph(spans=spans, indent=indent, hang=hang)


def say(text: str, *, indent: int = 0, hang: int = 0) -> Paragraph:
    return Paragraph(spans=(Span(text=text),), indent=indent, hang=hang)


def command_line(text: str, *, indent: int = 2) -> Paragraph:
    return Paragraph(spans=(Span(text=text, style="command"),), indent=indent, verbatim=True)


def section(blocks: list[Block], title: str) -> None:
    blocks += [BLANK, Paragraph(spans=(Span(text=title, style="strong"),))]


# newer models than those of a catalogue so old are worth an update
OLD_CATALOGUE_DAYS = 183


def aged_words(as_of: str | None, today: str | None) -> list[Block]:
    """The line that says how old the catalogue is; none while it is young."""
    # most are young, and datetime loads slowly
    if as_of is None or today is None or today[:4] + today[5:7] <= as_of[:4] + as_of[5:7]:
        return []
    from datetime import date

    days = (date.fromisoformat(today) - date.fromisoformat(as_of)).days
    if days <= OLD_CATALOGUE_DAYS:
        return []
    return [
        say(
            f"The catalogue is {days * 12 // 365} months old ({as_of}) and has no newer models:"
            " update selfhost."
        )
    ]
