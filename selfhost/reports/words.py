"""Words that the reports of models share: the answer, its causes, the pace, what was judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..core import units
from ..core.workload import ANSWER_TOKENS, READING_TOKENS_PER_SECOND, Workload
from ..judge.checks.speed import is_slow
from ..judge.record import Finding, Outcome, Route, Verdict
from ..machine.record import Machine, has_accelerator
from ..needs.records import MemoryNeed, Needs, Term
from .layout import Block, Paragraph, Span, heading, line, say, strong

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.openness import Row
    from ..judge.pace.speed import PaceRange, Speed

# what decides comes first; the other findings are rows only where they are not `pass`
MACHINE = ("memory", "accelerator", "disk", "speed", "context", "cpu", "runtime")
ORDER = (*MACHINE, "weights", "license", "openness")
# by the reason's code where the check alone does not say it
WHY_NOT = {
    "memory": "too little memory", "accelerator": "no accelerator that suits",
    "disk": "too little disk space", "speed": "too slow",
    "context": "too long a context", "cpu": "the CPU does not suit",
    "runtime": "no runtime loads it",
    "runtime-not-installed": "runtime not installed",
    "runtime-no-build": "no build of the runtime is judged there",
    "weights": "its weights are not published", "license": "its license forbids it",
    "openness": "not open enough",
    "accelerator-too-small": "too little GPU memory",
    "context-recording-too-long": "too long a recording",
    "disk-not-writable": "nowhere to write the files",
    "disk-file-too-large": "a file is larger than may be written",
    "license-not-accepted": "its license is not one you accept",
}  # fmt: skip
_TOO_LITTLE = "too little "
PLACED = {
    "host": ", in RAM",
    "accelerator": ", on the accelerator",
    "split": ", on the accelerator and in RAM",
}
ANSWER_STYLES = {
    "yes": Outcome.PASS,
    "partly": Outcome.WARN,
    "no": Outcome.FAIL,
    "unknown": Outcome.UNKNOWN,
}
# the sign, and the answer in words here and elsewhere
_ANSWERS = {
    Route.LOCAL: ("✓", "RUNS HERE", "RUNS"),
    Route.API: ("✗", "USE AN API", "USE AN API"),
    Route.NEITHER: ("✗", "NO WAY HERE", "NO WAY"),
    Route.UNKNOWN: ("?", "CANNOT TELL", "CANNOT TELL"),
}
DAY_SECONDS = 86_400
_DAYS_OF_A_WEEK = 7


def answer_line(answer: Verdict, machine: Machine) -> Paragraph:
    """The route in words, and why it is not local where it is not."""
    is_local = is_here(machine)
    label = answer_cell(answer, here=is_local)
    name = strong(answer.model.name)
    where = "" if is_local else f" {on_machine(machine)}"
    start: tuple[Span | str, ...] = (label, "  ", name)
    if is_closed(answer):
        available = answer.model.availability
        why = WHY_NOT["weights"] if available is None else available.why_in_short
        rest = f" is closed: {why}"
    elif answer.route is Route.LOCAL:
        rest = where
    elif answer.route is Route.UNKNOWN:
        start = (label, "  whether ", name)
        rest = f" runs{where or ' here'}: {causes(answer)}"
    elif is_ruled_out(answer):
        rest = f" is ruled out: {causes(answer)}"
    else:
        rest = f" does not run{where or ' here'}: {causes(answer)}"
    return line(*start, rest, hang=2)


def answer_cell(answer: Verdict, *, here: bool) -> Span:
    """Sign and words alone; `here`: about the computer that asks."""
    sign, local, elsewhere = _ANSWERS[answer.route]
    words, style = local if here else elsewhere, str(answer.route)
    if is_ruled_out(answer):
        words = "RULED OUT"
    elif not answer.can_run:
        words = _refusal(answer, here=here) or words
    elif reservation := _reservation(answer):
        words, style = reservation, Outcome.WARN
    return Span(text=f"{sign} {words}", style=style)


def _reservation(answer: Verdict) -> str:
    """How it runs where that is not well; empty where it is."""
    if takes_hours(answer):
        return f"RUNS, TAKES {hours_or_days(answer).upper()}"
    if _takes_weeks(answer):
        return "RUNS, TAKES WEEKS"
    if is_slow(answer, answer.workload.min_tokens_per_second):
        return "RUNS SLOWLY"
    if may_take_long(answer):
        return "RUNS, PACE NOT KNOWN"
    trains_on_cpu = answer.workload.task == "finetune" and (
        _has(answer, "accelerator", "accelerator-not-needed", Outcome.WARN)
    )
    if trains_on_cpu:
        return "RUNS ON THE CPU"
    return "" if tight_finding(answer) is None else "LIKELY RUNS"


def _refusal(answer: Verdict, *, here: bool) -> str | None:
    """The words where those of its route alone would say too much or too little."""
    available = answer.model.availability
    if is_closed(answer) and answer.workload.private:
        return "NO API ALLOWED"
    if answer.route is Route.NEITHER and not answer.workload.private:
        # that no offer is known does not show that there is none
        if is_closed(answer):
            return "NO OFFER KNOWN"
        return "NOT HERE" if here else "DOES NOT RUN"
    has_no_api = available is not None and not available.api
    if is_closed(answer) and answer.route is Route.API and has_no_api:
        return "USE ANOTHER MODEL"
    return None


def _has(answer: Verdict, check: str, code: str, outcome: Outcome | None = None) -> bool:
    finding = answer.finding(check)
    return finding is not None and finding.code == code and outcome in (None, finding.outcome)


def is_closed(answer: Verdict) -> bool:
    """Whether it runs nowhere, because its weights were never published."""
    return answer.model.closed and not answer.can_run


def is_ruled_out(answer: Verdict) -> bool:
    """Whether it fails on nothing but a stated condition: its license, or how open it is."""
    failed = {finding.check for finding in answer.findings if finding.outcome is Outcome.FAIL}
    return bool(failed) and failed <= {"license", "openness"}


def may_take_long(answer: Verdict) -> bool:
    """Whether it is no text, and nothing tells how long it takes."""
    finding = answer.finding("speed")
    is_text = finding is not None and finding.unit == "tokens_per_second"
    return _has(answer, "speed", "speed-not-known") and not is_text


def takes_hours(answer: Verdict) -> bool:
    """Whether one picture or video does."""
    return _has(answer, "speed", "speed-hours")


def hours_or_days(answer: Verdict) -> str:
    """The unit in which one picture or video is counted, by its likely time."""
    work = answer.speed.work if answer.speed is not None else None
    return "days" if work is not None and work.likely >= DAY_SECONDS else "hours"


def _takes_weeks(answer: Verdict) -> bool:
    """Whether training does: on the stated tokens, else on the tokens of a day."""
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


def tight_finding(answer: Verdict) -> Finding | None:
    """The finding that memory holds what is likely needed, and not the most."""
    for name in ("accelerator", "memory"):
        if _has(answer, name, f"{name}-tight"):
            return answer.finding(name)
    return None


def count_words(answers: Sequence[Verdict]) -> str:
    """How many run on their machine, and how many a stated condition rules out."""
    runs = sum(answer.route is Route.LOCAL for answer in answers)
    ruled_out = sum(map(is_ruled_out, answers))
    verb = "runs" if runs == 1 else "run"
    counts = f"{runs} of {len(answers)} models {verb} {on_machine(answers[0].machine)}"
    verb = "is" if ruled_out == 1 else "are"
    return (
        f"{counts}; {ruled_out} {verb} ruled out by your conditions." if ruled_out else counts + "."
    )


def causes(answer: Verdict) -> str:
    """Why it does not run, or why that cannot be told; empty where it runs."""
    if answer.route is Route.LOCAL:
        return ""
    if answer.route is Route.UNKNOWN:
        return _open_causes([finding for finding in ordered(answer) if finding.leaves_open])
    # a model without weights has no license to name
    return failed_words(
        finding.code
        for finding in answer.findings
        if finding.outcome is Outcome.FAIL
        and not (answer.model.closed and finding.check == "license")
    )


def _open_causes(findings: Sequence[Finding]) -> str:
    groups: dict[str, list[str]] = {"close": [], "assumed": [], "doubted": [], "missing": []}
    for finding in findings:
        is_gpu = finding.check == "accelerator"
        if finding.code.endswith("-close"):
            groups["close"].append("GPU memory" if is_gpu else finding.check)
        elif finding.code in ("memory-assumed", "license-unconfirmed"):
            kind = "assumed" if finding.check == "memory" else "doubted"
            groups[kind].append(finding.check)
        else:
            groups["missing"].append("GPU" if is_gpu else finding.check)
    parts = (
        f"{', '.join(groups['missing'])} not known" if groups["missing"] else "",
        f"{' and '.join(groups['close'])} too close to call" if groups["close"] else "",
        "its RAM is assumed" if groups["assumed"] else "",
        f"{groups['doubted'][0]} not confirmed" if groups["doubted"] else "",
    )
    return "; ".join(filter(None, parts))


def failed_words(codes: Iterable[str]) -> str:
    """What fails, of reason codes alone, each of which begins with the name of its check."""
    left = set(codes)
    if "runtime-no-build" in left:
        # of a system without a build the processor is a part
        left.discard("cpu-no-build")
    checks = sorted((ORDER.index(code.partition("-")[0]), code) for code in left)
    reasons = [WHY_NOT.get(code) or WHY_NOT[ORDER[at]] for at, code in checks]
    short = [reason for reason in reasons if reason.startswith(_TOO_LITTLE)]
    together = _TOO_LITTLE + " and ".join(reason.removeprefix(_TOO_LITTLE) for reason in short)
    others = [reason for reason in reasons if reason not in short]
    return ", ".join([together, *others] if short else others)


def likely_speed(pace: PaceRange) -> str:
    """`~2.8 tokens/s`; with its ends where they are too far apart for one figure."""
    return units.likely_pace(pace.low, pace.likely, pace.high, " tokens/s")


def each_words(speed: Speed) -> str:
    """What stands behind a pace that is not of one sequence alone."""
    return " each" if speed.each_of > 1 and speed.judged is not None else ""


def pace_cell(pace: PaceRange | None, *, always_ends: bool = False) -> str:
    """`~2.8` or `~3.8 (0.6-13)`; a dash where none is known."""
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
# the title of a column in which each figure says its own unit
PACES = "pace"


def pace_title(speeds: Iterable[Speed | None]) -> str:
    """`tokens/s`, what the pace is of where all do one other kind of work, or PACES."""
    stated = [speed for speed in speeds if speed is not None]
    kinds = {speed.unit for speed in stated if speed.work is not None}
    if not kinds:
        return "tokens/s"
    if any(speed.decode is not None for speed in stated) or len(kinds) > 1:
        return PACES
    lengths = {units.length_of_audio(speed.audio_seconds) for speed in stated}
    return _work_title(kinds.pop(), min(lengths))


def _work_title(unit: str, length_of_audio: str) -> str:
    return length_of_audio if unit == "seconds_per_audio_minute" else _OF_WORK.get(unit, PACES)


def pace_of(speed: Speed | None, *, title: str = "", always_ends: bool = False) -> str:
    """The pace as a column with that title holds it; under PACES with its unit."""
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
    return f"{ends} {'for ' if is_for else ''}{of_work}{f' of {frames}' if frames else ''}"


def pace_words(pace: PaceRange) -> str:
    """`about 12 tokens/s, faster than you read`; below reading speed how long an answer takes."""
    word = units.about(pace.low, pace.high)
    speed = f"{word} {units.speed(pace.likely, pace.likely)}"
    if word != "about":
        speed += f" ({units.pace(pace.low, pace.high)}, a guess)"
        is_fast = pace.low >= 2 * READING_TOKENS_PER_SECOND
        return f"{speed}, faster than you read" if is_fast else speed
    return speed + reading_words(pace)


def reading_words(pace: PaceRange) -> str:
    """What a likely pace is like: `, faster than you read`, `: a 300-word answer takes …`."""
    if pace.likely >= 2 * READING_TOKENS_PER_SECOND:
        return ", faster than you read"
    if pace.likely >= READING_TOKENS_PER_SECOND:
        return ", about as fast as you read"
    if pace.likely <= 0:
        return ""
    seconds = ANSWER_TOKENS / pace.likely
    # no more digits than a guess deserves
    seconds = 10 * round(seconds / 10) if seconds < 90 else 60 * max(2, round(seconds / 60))
    return f": a 300-word answer takes {units.duration(seconds)}"


def asked_words(verdict: Verdict) -> str:
    """What was judged, every default named, and what would be downloaded."""
    workload = verdict.workload
    how, rules = list(_run_parts(workload)), list(_rule_parts(workload))
    if verdict.loaded_bits is not None:
        how.insert(1, f"loaded in {verdict.loaded_bits} bits")
    if not any(how) and rules:
        return f"You asked for: {', '.join(rules)}"
    needs = verdict.needs
    place = ""
    if needs is not None and needs.placement == "split" and needs.offload is None:
        place = "split over GPU and RAM"
    elif needs is not None and needs.memory is not None and needs.placement == "host":
        place = "in RAM, by the CPU" if has_accelerator(verdict.machine) else ""
    return ", ".join(filter(None, (*how, place, *rules, _download_words(verdict))))


def format_words(workload: Workload) -> str:
    """`Q4_K_M in llama.cpp`, or the one of the two that is known."""
    return " in ".join(filter(None, (workload.quantization, workload.runtime)))


def context_words(workload: Workload) -> str:
    """`8,192 tokens of context for each of 4 sequences`; empty where there is none."""
    if workload.context_tokens is None:
        return ""
    each = f" for each of {workload.parallel} sequences" if workload.parallel > 1 else ""
    return f"{units.tokens(workload.context_tokens)} of context{each}"


def _run_parts(workload: Workload) -> Iterator[str]:
    """Yield how the model would run."""
    yield format_words(workload)
    yield context_words(workload)
    if workload.kv_cache_type not in (None, "f16"):
        yield f"{workload.kv_cache_type} cache"
    if workload.audio_seconds is not None:
        yield f"{units.duration(workload.audio_seconds)} of audio"
    if workload.draft:
        is_own = workload.draft == "mtp"
        yield "drafting with its own block" if is_own else f"{workload.draft} drafting"
    if workload.adapter:
        yield f"adapter {workload.adapter}"
    if workload.task != "generate":
        method = f" by {workload.finetune_method}" if workload.finetune_method else ""
        yield f"{workload.task}{method}"


def _rule_parts(workload: Workload) -> Iterator[str]:
    """Yield by which rules it was judged."""
    if workload.memory_basis != "default":
        yield f"judged by {workload.memory_basis} memory"
    rules = ("private", "commercial", "modify", "auditable")
    yield from (rule for rule in rules if getattr(workload, rule))
    if workload.license:
        yield f"license {workload.license}"


def _download_words(verdict: Verdict) -> str:
    """`4.4 GB to download in about 6 minutes`, or that the files are here."""
    here, needs = verdict.here, verdict.needs
    size = needs.download_bytes if needs is not None else None
    if size == 0:
        return f"the files are here: {here.path}" if here else "the files are here"
    if _has(verdict, "disk", "disk-nothing-missing"):
        return "the files are here"
    if size is None or needs is None:
        return ""
    amount = units.decimal(size)
    if needs.download_range is not None:
        amount = units.decimal_range(*needs.download_range)
    if _has(verdict, "weights", "weights-yours"):
        return f"{amount} of weights, yours to get"
    if here and here.size_bytes and here.missing_bytes:
        amount += f" of {units.decimal(here.size_bytes + here.missing_bytes)}"
    return f"{amount} to download{_download_time(verdict)}"


def _download_time(verdict: Verdict) -> str:
    seconds, rate = verdict.download_seconds, verdict.workload.download_bytes_per_second
    if seconds is None or not rate:
        return ""
    return f" in about {units.duration(seconds)} at {units.decimal(int(rate))}/s"


def reason_blocks(topic: str, reason: str, remedy: str | None) -> Iterator[Block]:
    """A reason, and under it what to do."""
    yield say(f"{topic}: {reason}", indent=2, hang=2)
    if remedy:
        yield say(f"→ {remedy}", indent=4, hang=2)


def memory_blocks(needs: Needs) -> Iterator[Block]:
    """Every term: how large, how that is known, the sum that gives it, and the source."""
    memory, terms = needs.memory, needs.known_terms
    if memory is not None:
        terms = memory.terms
        size = units.binary(memory.total_bytes) + range_of(memory)
        yield from heading(f"Memory: {size}{PLACED.get(needs.placement, '')}")
    elif terms:
        facts = [each.fact for each in needs.unknown if each.fact.startswith("memory.")]
        missing = [fact.partition(".")[2].replace("_", " ") for fact in facts]
        without = " and ".join(missing) or "the rest"
        yield from heading(f"Memory: not known without {without}; the other terms")
    several = len({term.where for term in terms}) > 1
    for term in terms:
        size = units.binary(term.bytes) + range_of(term)
        where = f", {term.where}" if several else ""
        name = strong(term.name.replace("_", " "))
        yield line(name, f": {size}, {term.how}{where}", indent=2, hang=2)
        yield say(term.arithmetic, indent=4, hang=2)
        yield say(term.source, indent=4, hang=2)
    if memory is not None and memory.evictable_bytes:
        size = units.binary(memory.evictable_bytes)
        yield say(f"{size} more may be dropped by the system at no harm.", indent=2, hang=2)


def range_of(size: MemoryNeed | Term) -> str:
    """` (4.0 to 4.4 GiB)`; empty where the ends print alike."""
    low, high = units.binary(size.low_bytes), units.binary(size.high_bytes)
    return f" ({low} to {high})" if low != high else ""


def memory_of(verdict: Verdict) -> str:
    """The most memory it takes; a dash where that is not known."""
    memory = verdict.needs.memory if verdict.needs is not None else None
    return "-" if memory is None else units.binary(memory.high_bytes)


def download_of(verdict: Verdict) -> str:
    """The size to download, with its time where a rate was stated; `here`, or a dash."""
    size = verdict.needs.download_bytes if verdict.needs is not None else None
    if not size:
        return "-" if size is None else "here"
    seconds = verdict.download_seconds
    time = "" if seconds is None else f", {units.duration(seconds)}"
    return f"{units.decimal(size)}{time}"


def license_name(name: str | None) -> str:
    """A license's id as a person reads it; empty where it is not known."""
    return (name or "").replace("LicenseRef-", "")


def ordered(verdict: Verdict) -> list[Finding]:
    """The findings, those that decide first."""
    places = {check: at for at, check in enumerate(ORDER)}
    return sorted(verdict.findings, key=lambda each: places.get(each.check, len(ORDER)))


def is_here(machine: Machine) -> bool:
    """Whether it is the computer that asks, as it is."""
    return machine.is_this_one and not machine.planning


def on_machine(machine: Machine, *, short: bool = False) -> str:
    """`on this machine`, in `short` `here`, or `on` with its name."""
    if is_here(machine):
        return "here" if short else "on this machine"
    return f"on {machine.called}"


def planned_words(machine: Machine) -> str:
    """How a machine that is not there was judged; empty for one that was read."""
    if not machine.planning:
        return ""
    if machine.is_this_one:
        return "Simulated machine: what is not stated of it is this computer's."
    is_sure = machine.confidence in (None, "high")
    doubt = "" if is_sure else f" Its figures are of {machine.confidence} confidence."
    return f"Simulated machine: what is not stated of it is assumed.{doubt}"


def stands_above(finding: Finding, verdict: Verdict) -> bool:
    """Whether it warns of what `planned_words` says of a simulated machine as a whole."""
    is_warning = finding.outcome is Outcome.WARN and finding.code.endswith("-assumed")
    return verdict.machine.planning and is_warning


def answer_word(row: Row) -> Span:
    """An answer on openness as a person reads it."""
    word = "not known" if row.answer == "unknown" else row.answer
    return Span(text=word, style=ANSWER_STYLES[row.answer])


# newer models than those of a catalogue so old are worth an update
_OLD_CATALOGUE_DAYS = 183


def aged_words(as_of: str | None, today: str | None) -> list[Block]:
    """The line that says how old the catalogue is; none while it is young."""
    if as_of is None or today is None or today[:7] <= as_of[:7]:
        return []
    from datetime import date

    days = (date.fromisoformat(today) - date.fromisoformat(as_of)).days
    if days <= _OLD_CATALOGUE_DAYS:
        return []
    age = f"{days * 12 // 365} months old ({as_of})"
    return [say(f"The catalogue is {age} and has no newer models: update selfhost.")]
