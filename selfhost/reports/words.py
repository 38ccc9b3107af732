"""Words that the reports share: the answer, its causes, the pace, what was judged, prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..catalogue.offers import Offer, provider_name, request_lines
from ..core import units
from ..core.tables import shipped_table
from ..core.workload import (
    ANSWER_TOKENS,
    DEFAULT_CONTEXT_TOKENS,
    INPUT_PER_OUTPUT_TOKEN,
    READING_TOKENS_PER_SECOND,
    Workload,
)
from ..judge.checks import CHECKS
from ..judge.checks.runtime import is_slow
from ..judge.record import TIGHT_CODES, Finding, Outcome, Route, Verdict
from ..machine.record import Disk, Machine
from .layout import (
    Blocks,
    Paragraph,
    Span,
    clean,
    command,
    figures,
    line,
    section,
    strong,
    texts,
)

if TYPE_CHECKING:
    from typing import TypeVar

    from ..advice.api_route import LocalCost, Shutdown
    from ..judge.pace import Range, Speed
    from ..needs.records import Needs

    Number = TypeVar("Number", int, float)

# by kind, the words of `specs/common/labels.toml`
LABELS: Mapping[str, Mapping[str, str]] = shipped_table("labels")
# where the computer that asks is
HERE = "here"

# checks with a row of the machine, where they do not pass; what decides comes first
MACHINE_ROWS = ("memory", "accelerator", "disk", "speed", "context", "cpu", "runtime")
ORDER = (*MACHINE_ROWS, *(check for check in CHECKS if check not in MACHINE_ROWS))
_TOO_LITTLE = "too little "
# an answer on openness as a person reads it
OPENNESS_WORDS = {
    "yes": Span("yes", Outcome.PASS),
    "partly": Span("partly", Outcome.WARN),
    "no": Span("no", Outcome.FAIL),
    "unknown": Span("not known", Outcome.UNKNOWN),
}
# the sign, and the answer in words here and elsewhere
ANSWERS = {
    Route.LOCAL: ("✓", "RUNS HERE", "RUNS"),
    Route.API: ("✗", "USE AN API", "USE AN API"),
    Route.NEITHER: ("✗", "CANNOT RUN HERE", "CANNOT RUN"),
    Route.UNKNOWN: ("?", "CANNOT TELL", "CANNOT TELL"),
}
# of a GPU that shares the RAM
ONCE_RAISED = "RUNS ONCE A LIMIT IS RAISED"
_DISK_FIELDS = frozenset(Disk.__annotations__)
# a longer training than two months is not told in weeks
_MOST_DAYS_IN_WEEKS = 60
# newer models than those of a catalogue so old are worth an update
_OLD_CATALOGUE_MONTHS = 6


def answer_line(verdict: Verdict) -> Paragraph:
    """The route in words, and why it is not local where it is not."""
    place, before = place_words(verdict.machine), ""
    if verdict.shutdown is not None:
        after = f": {shutdown_words(verdict.shutdown)}"
    elif verdict.can_run:
        after = f" {place}" * (place != HERE)
    elif verdict.question.spec.closed:
        available = verdict.question.spec.availability
        why = available.why.partition("; ")[0] if available else LABELS["why_not"]["weights"]
        after = f" is closed: {why}"
    elif verdict.route is Route.UNKNOWN:
        before, after = "whether ", f" runs {place}: {causes(verdict)}"
    else:
        after = f" does not run {place}" * (not is_ruled_out(verdict)) + f": {causes(verdict)}"
    return line(answer_cell(verdict), "  ", before, strong(verdict.question.spec.name), after)


def shutdown_words(shutdown: Shutdown) -> str:
    """`OpenAI shuts it down on 2026-12-11; its successor is gpt-5.6-sol`."""
    words = f"{shutdown.provider} shuts it down on {shutdown.day}"
    if shutdown.successor is None:
        return words
    if shutdown.successor_is_judged:
        return f"{words}; next is {shutdown.successor} (selfhost's choice, not the publisher's)"
    return f"{words}; its successor is {shutdown.successor}"


def answer_cell(answer: Verdict) -> Span:
    """Sign and words alone."""
    is_here = place_words(answer.machine) == HERE
    sign, local, elsewhere = ANSWERS[answer.route]
    words, style = local if is_here else elsewhere, str(answer.route)
    available, private = answer.question.spec.availability, answer.question.workload.private
    if answer.can_run:
        if reservation := _reservation(answer):
            words, style = reservation, Outcome.WARN
    elif is_ruled_out(answer):
        words = "RULED OUT"
    elif smaller := type_that_runs(answer):
        words = f"ONLY IN {smaller}"
    elif answer.question.spec.closed and answer.route is Route.NEITHER:
        # that no offer is known does not show that there is none
        words = "CANNOT RUN HERE" if private else "NO OFFER KNOWN"
    elif answer.question.spec.closed and available is not None and not available.api:
        words = "USE ANOTHER MODEL"
    elif answer.route is Route.NEITHER and not private:
        words = "NOT HERE" if is_here else "DOES NOT RUN"
    return Span(f"{sign} {words}", style)


def type_that_runs(answer: Verdict) -> str:
    """The smaller type in which the model runs where its usual ones do not; empty where it runs in
    none, or where the type was asked for.
    """
    first = next(iter(answer.alternatives), None)
    is_asked = answer.question.stated.quantization is not None
    if first is None or is_asked or answer.route not in (Route.API, Route.NEITHER):
        return ""
    is_same_else = (first.id, first.runtime, first.context_tokens) == (
        answer.model.id,
        answer.runtime,
        answer.context_tokens,
    )
    return (first.quantization or "") if is_same_else else ""


# of those that run, what a count of them says too
_NOT_WELL = {"RUNS, TOO SLOW FOR THE LOAD": "too slow for the load", "RUNS SLOWLY": "slowly"}


def _reservation(answer: Verdict) -> str:
    """How it runs where that is not well; empty where it is."""
    speed, pace = answer.speed, answer.finding("speed")
    training = None if speed is None else speed.dataset_seconds
    card, cost = answer.finding("accelerator"), answer.monthly_cost and answer.monthly_cost.here
    on_cpu = card and (card.code, card.outcome) == ("accelerator-not-needed", Outcome.WARN)
    is_unread = answer.has("speed-not-known") and pace and pace.unit != "tokens_per_second"
    long_time = "" if training is None else _long_time(training.likely)
    reservations = {
        "RUNS, ONLY PARTLY OPEN": answer.has("openness-partly"),
        "RUNS, TAKES HOURS": answer.has("speed-hours"),
        f"RUNS, TAKES {long_time}": bool(long_time),
        "RUNS, TOO SLOW FOR THE LOAD": cost is not None and cost.keeps_up is False,
        "RUNS SLOWLY": is_slow(answer),
        "RUNS, PACE NOT KNOWN": is_unread,
        "RUNS ON THE CPU": on_cpu and answer.question.workload.task == "finetune",
        ONCE_RAISED: answer.waits_for_setting,
        "LIKELY RUNS": answer.has(*TIGHT_CODES),
    }
    return next((words for words, applies in reservations.items() if applies), "")


def _long_time(seconds: float) -> str:
    """A week or more as a headline has it: `WEEKS`, `MONTHS`, `1,463 YEARS`; empty for less."""
    if seconds >= 2 * units.YEAR_SECONDS:
        return units.duration(seconds).upper()
    days = seconds / units.DAY_SECONDS
    if days > _MOST_DAYS_IN_WEEKS:
        return "MONTHS"
    return "WEEKS" if days > 7 else ""


def limit_words(answer: Verdict) -> str:
    """What must be raised before it runs as judged, and what happens until then; else empty."""
    held = answer.finding("accelerator") if answer.can_run and answer.waits_for_setting else None
    if held is None or not held.remedy:
        return ""
    is_mlx = answer.question.workload.format == "mlx"
    until = "it may fail" if is_mlx else "a part may run on the CPU, more slowly"
    return f"First {held.remedy}. Until then {until}."


def is_ruled_out(answer: Verdict) -> bool:
    """Whether it fails on nothing but a stated condition: its license, or how open it is."""
    failed = {finding.check for finding in answer.findings if finding.outcome is Outcome.FAIL}
    return bool(failed) and failed <= {"license", "openness"}


def count_words(answers: Sequence[Verdict], unjudged: int = 0) -> str:
    """How many of all that were asked for run on their machine, and why others have no answer."""
    runs = sum(answer.route is Route.LOCAL for answer in answers)
    where, ruled_out = place_words(answers[0].machine), sum(map(is_ruled_out, answers))
    words = f"{runs} of {len(answers) + unjudged} models {'runs' if runs == 1 else 'run'} {where}"
    reservations = [_reservation(answer) for answer in answers if answer.can_run]
    for reservation, how in _NOT_WELL.items():
        if number := reservations.count(reservation):
            words += f", but {how}" if number == runs else f", {number} of them {how}"
    verb = "is" if ruled_out == 1 else "are"
    words += f"; {ruled_out} {verb} ruled out by your conditions" if ruled_out else ""
    return f"{words}; {unjudged} could not be judged." if unjudged else f"{words}."


def causes(answer: Verdict) -> str:
    """Why it does not run, or why that cannot be told; empty where it runs."""
    if answer.route is Route.LOCAL:
        return ""
    if answer.route is Route.UNKNOWN:
        return "; ".join(open_words(finding for finding in ordered(answer) if finding.decides))
    # a model without weights has no license to name
    why = failed_words(
        finding.code
        for finding in answer.findings
        if finding.outcome is Outcome.FAIL
        and not (answer.question.spec.closed and finding.check == "license")
    )
    asked = answer.question.stated.runtime and answer.question.runtime
    # of a program that was asked for nothing is said of others
    if asked:
        why = why.replace(LABELS["why_not"]["runtime"], f"{asked.name} does not load it")
    return why


def open_words(findings: Iterable[Finding]) -> list[str]:
    """What leaves an answer open: `disk, GPU not known` of what was not read, and in words of its
    own what is known and too close to call, as `likely too slow`.
    """
    words = LABELS["why_open"]
    unread, too_close = list[str](), list[str]()
    for finding in findings:
        if finding.code in words:
            too_close.append(words[finding.code])
        else:
            unread.append("GPU" if finding.check == "accelerator" else finding.check)
    if not unread:
        return too_close
    return [f"{', '.join(unread)} not known", *too_close]


def failed_words(codes: Iterable[str]) -> str:
    """What fails, of reason codes alone, each of which begins with the name of its check."""
    left = sorted(set(codes), key=lambda code: (ORDER.index(code.partition("-")[0]), code))
    if "runtime-no-build" in left and "cpu-no-build" in left:
        # of a system without a build the processor is a part
        left.remove("cpu-no-build")
    words = LABELS["why_not"]
    reasons = [words.get(code) or words[code.partition("-")[0]] for code in left]
    short = [reason for reason in reasons if reason.startswith(_TOO_LITTLE)]
    together = _TOO_LITTLE + " and ".join(reason.removeprefix(_TOO_LITTLE) for reason in short)
    others = [reason for reason in reasons if reason not in short]
    return ", ".join([together, *others] if short else others)


def ordered(verdict: Verdict) -> list[Finding]:
    """The findings, those that decide first."""
    return sorted(verdict.findings, key=lambda each: ORDER.index(each.check))


# where a model is held, in a word
PLACES = {"host": "RAM", "accelerator": "GPU", "split": "GPU+RAM"}
# under a table of paces
RANGES = "~ is the likely pace; its range: selfhost check MODEL"
# titles of the column of paces: of text, and where each figure says its own unit
TOKENS, PACES = "tokens/s", "pace"


def memory_words(needs: Needs | None) -> str:
    """What it likely takes where that decides: on the GPUs that hold all of it, else in all."""
    if needs is None or needs.memory is None:
        return ""
    places = needs.memory.places
    gpu_places = [place for place in places if place.where != "host"]
    held = gpu_places if needs.placement == "accelerator" else places
    return units.binary(sum(place.total_bytes for place in held))


def pace_title(speeds: Iterable[Speed | None]) -> str:
    """TOKENS where a row is of text, else PACES."""
    known = [speed for speed in speeds if speed is not None]
    if known and all(speed.work is not None for speed in known):
        return PACES
    return TOKENS


def pace_of(speed: Speed | None, *, title: str = "") -> str:
    """The likely pace as a column with that title holds it; `check` tells its range.

    Work that is no text says its own unit, in few words under TOKENS: `~69 minutes an hour` is of
    audio there.
    """
    if speed is not None and speed.work is not None:
        cell = f"~{speed.work_words()[0].partition(' in training')[0]}"
        if title == TOKENS:
            return cell.replace(" for an hour of audio", " an hour").replace(" for a ", " a ")
        return cell if speed.clip is None else f"{cell} of {speed.clip[0]} frames"
    if speed is None or speed.judged is None:
        return "-"
    unit = f" {TOKENS}" if title == PACES else ""
    each = " each" if speed.each_of > 1 else ""
    return f"~{units.pace(speed.judged.likely)}{unit}{each}"


def below_words(verdict: Verdict) -> str:
    """`below the 5 you need`; where nobody stated a minimum, that the default one counts."""
    least = units.stated(verdict.question.workload.min_tokens_per_second or 0)
    if verdict.question.speed_stated:
        return f"below the {least} you need"
    return f"below {least}, which counts as too slow (--min-speed)"


def pace_words(pace: Range) -> str:
    """`about 12 tokens/s, faster than you read`; below reading speed how long an answer takes."""
    likely = units.speed(pace.likely)
    if pace.about()[1]:
        return f"perhaps {likely}, a guess"
    if not units.is_slower(pace.likely, 2 * READING_TOKENS_PER_SECOND):
        return f"about {likely}, faster than you read"
    if not units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
        return f"about {likely}, about as fast as you read"
    seconds = ANSWER_TOKENS / max(pace.likely, 1e-6)
    # no more digits than a guess deserves
    seconds = 10 * round(seconds / 10) if seconds < 90 else 60 * max(2, round(seconds / 60))
    return f"about {likely}: a 300-word answer takes {units.duration(seconds)}"


def asked_words(verdict: Verdict) -> str:
    """What was judged, every default named, and what would be downloaded."""
    workload, needs = verdict.question.workload, verdict.needs
    how = run_words(workload)
    basis, conditions = workload.memory_basis, ("private", "commercial", "modify", "auditable")
    rules = [f"judged by {basis} memory"] * (basis != "default")
    rules += filter(lambda rule: getattr(workload, rule), conditions)
    rules += [f"license {workload.license}"] * bool(workload.license)
    if not how and rules:
        return f"You asked for: {', '.join(rules)}"
    if verdict.loaded_bits is not None:
        how.insert(1, f"loaded in {verdict.loaded_bits} bits")
    cards = verdict.machine.accelerators or ()
    if needs is not None and verdict.memory is not None:
        is_beside = any(card.unified is not True for card in cards)
        split = "split over GPU and RAM" * (needs.offload is None)
        where = {"split": split, "host": "in RAM, by the CPU" * is_beside}
        how.append(where.get(verdict.placement or "", ""))
    download = _download_words(verdict)
    if download and verdict.route == "local":
        # nothing of what is downloaded asks a server of its publisher
        is_here = download.startswith("the files are here")
        download += ", it runs offline" if is_here else ", then it runs offline"
    return ", ".join(filter(None, (*how, *rules, download)))


def format_words(workload: Workload) -> str:
    """`Q4_K_M in llama.cpp`, or the one of the two that is known."""
    return " in ".join(filter(None, (workload.quantization, workload.runtime)))


def run_words(workload: Workload) -> list[str]:
    """How the model would run, a part each: `8,192 tokens of context for each of 4 sequences`."""
    context, cache, heard = workload.context_tokens, workload.kv_cache_type, workload.audio_seconds
    each = f" for each of {workload.parallel} sequences" if workload.parallel > 1 else ""
    method = f" by {workload.finetune_method}" if workload.finetune_method else ""
    drafts = {None: "", "mtp": "drafting by multi-token prediction"}
    parts = (
        format_words(workload),
        "" if context is None else f"{units.tokens(context)} of context{each}",
        "" if cache in (None, "f16") else f"{cache} cache",
        "" if heard is None else f"{units.duration(heard)} of audio",
        drafts.get(workload.draft, f"{workload.draft} drafting"),
        *(f"{name}={value}" for name, value in workload.runtime_options.items()),
        "" if workload.task == "generate" else f"{workload.task}{method}",
    )
    return list(filter(None, parts))


def _download_words(verdict: Verdict) -> str:
    """`4.4 GB to download in about 6 minutes`, or that the files are here."""
    here, needs = verdict.question.here, verdict.needs
    codes = {finding.code for finding in verdict.findings}
    size = needs.download_bytes if needs is not None else None
    if size == 0 or "disk-nothing-missing" in codes:
        where = f": {here.path}" if here is not None and size == 0 else ""
        return f"the files are here{where}"
    if size is None or needs is None:
        return ""
    amount = units.between(units.decimal, *needs.download_range or (size, size))
    if "weights-yours" in codes:
        return f"{amount} of weights, which you must have"
    if here is not None and here.size_bytes and here.missing_bytes:
        amount += f" of {units.decimal(here.size_bytes + here.missing_bytes)}"
    seconds = verdict.question.workload.seconds_to_download(size)
    wait = "" if seconds is None else f" in about {units.duration(seconds)}"
    return f"{amount} to download{wait}"


def first_way(setup: Sequence[str]) -> list[str]:
    """The lines without other ways to install the program.

    Another way begins with `# or`; where that line ends in a colon the next one is what to type.
    """
    shown: list[str] = []
    is_typed_for_another_way = False
    for text in setup:
        is_another_way = text.startswith("# or ")
        if not is_another_way and not is_typed_for_another_way:
            shown.append(text)
        is_typed_for_another_way = is_another_way and text.endswith(":")
    return shown


def known(value: Number | None, write: Callable[[Number], str], absent: str = "-") -> str:
    """A figure as `write` has it, or what stands for one that is not known."""
    return absent if value is None else write(value)


def fact_label(fact: str) -> str:
    """A fact in a reader's words: `disks.ollama.free_bytes` is of the disk of ollama."""
    if name := LABELS["facts"].get(fact):
        return name
    kind, _, rest = fact.partition(".")
    if kind == "disks" and rest:
        part, _, key = rest.rpartition(".")
        return f"disk of {part if key in _DISK_FIELDS else rest}"
    rest = rest.removesuffix("_bytes").removesuffix("_total").replace("_", " ")
    return f"GPU {rest}" if kind == "accelerators" and rest else fact.replace("_", " ")


def place_words(machine: Machine) -> str:
    """HERE of the computer that asks, as it is, or `on` with its name."""
    return HERE if machine.is_this_one and not machine.planning else f"on {machine.name}"


def planned_words(machine: Machine) -> str:
    """How a machine that is not there was judged; empty for one that was read."""
    if not machine.planning:
        return ""
    if machine.is_this_one:
        disk = ", and a disk that is large enough" if "disks" in machine.assumed else ""
        return f"Not your machine as it is: with what you stated{disk}."
    is_sure = machine.confidence in (None, "high")
    doubt = "" if is_sure else f" (figures of {machine.confidence} confidence)"
    return f"A machine from the catalogue{doubt}. All of its memory counts as free."


def age_blocks(as_of: str | None, today: str | None) -> Blocks:
    """The line that says how old the catalogue is; none while it is young."""
    months = months_between(as_of, today)
    age = f"The catalogue is {months} months old ({as_of}) and has no newer models"
    return texts([f"{age}: update selfhost." * (months >= _OLD_CATALOGUE_MONTHS)], indent=0)


def months_between(day: str | None, today: str | None) -> int:
    """How many months lie between two days, `YYYY-MM-DD`; 0 where one is not known."""
    if not day or not today:
        return 0
    first, last = (12 * int(each[:4]) + int(each[5:7]) for each in (day, today))
    return max(0, last - first - (today[8:10] < day[8:10]))


def summary(verdict: Verdict) -> str:
    """`RUNS HERE: Mistral 7B Instruct v0.3, about 12 tokens/s, faster than you read`."""
    label, *rest = answer_line(verdict).parts
    answer, speed = " ".join(clean("".join(rest)).split()), verdict.speed
    expected = ""
    if verdict.can_run and speed is not None and speed.judged is not None and speed.each_of > 1:
        expected = f", about {units.speed(speed.judged.likely)} each"
    elif verdict.can_run and speed is not None and speed.decode is not None:
        expected = f", {pace_words(speed.decode)}"
    return f"{label.lstrip('✓✗? ')}: {answer}{expected}"


# prices of hosted models change about every quarter of a year
_OLD_PRICE_MONTHS = 3
API_RISKS = "An API sends what you type to the provider, whose rate limits and outages apply."


def month_blocks(verdict: Verdict) -> Blocks:
    """The month by API beside the month on the machine; nothing where no load was stated."""
    cost = verdict.monthly_cost
    if cost is None:
        return
    if cost.reason is not None:
        yield from section("A month", texts([f"{cost.reason[0].upper()}{cost.reason[1:]}."]))
        return
    read, written = cost.input_tokens_per_day, cost.output_tokens_per_day
    split = f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)" if cost.assumed_split else ""
    load = f"{read:,} tokens in{f' and {written:,} out' if written else ''} a day{split}"
    local, remarks, workload = cost.here, list[str](), verdict.question.workload
    bill = "", "no price is known" if cost.offers else no_api_words(workload)
    priced = [each for each in cost.offers if each.usd_per_month is not None]
    if priced:
        least = min(priced, key=lambda each: (each.usd_per_month, each.provider))
        whose = provider_name(least.provider)
        cheapest = f"{whose}, the cheapest of {len(priced)}"
        if len(priced) == 1:
            cheapest = f"{whose}, the only one known"
        bill = units.dollars(least.usd_per_month), cheapest
    rows, place = [("by API", *bill)], place_words(verdict.machine)
    if local is None:
        rows.append((place, "", "it does not run"))
    else:
        rows += _local_rows(local, place if place == HERE else "on that machine")
        remedies = dict.fromkeys(entry.remedy for entry in local.unknown if entry.remedy)
        remarks += [f"→ {remedy}" for remedy in remedies]
        pace = "One request at a time"
        if workload.parallel > 1:
            pace = f"{workload.parallel} requests at once"
        if local.hours_per_day is not None:
            remarks.append(f"{pace}; power used while idle is not counted.")
    title = f"A month of {cost.days_per_month} days, {load}"
    yield from section(title, (figures(rows, right=True), *texts(remarks)))


def _local_rows(local: LocalCost, place: str) -> Iterator[tuple[str, str, str]]:
    for entry in local.unknown:
        yield f"{place}: hours of work a day", "", f"not known: {entry.reason}"
    if (kwh := local.kwh_per_month) is not None:
        spent = f"{units.pace(kwh.low, kwh.high)} kWh at {local.watts:g} W"
        figure = f"{units.pace(kwh.likely)} kWh"
        if (bill := local.electricity_per_month) is not None:
            figure, spent = f"{bill.likely:,.2f}", f"in your currency, for {spent}"
        yield f"{place}: electricity", figure, spent
    if (hours := local.hours_per_day) is not None:
        keeps = "keeps" if hours.likely <= 24 else "cannot keep"
        surely = "probably " if local.keeps_up is None else ""
        work = f"{units.pace(hours.low, hours.high)} hours of work"
        likely = f"{units.pace(hours.likely)} hours"
        yield f"{place}: hours of work a day", likely, f"{work}: it {surely}{keeps} up"


def offer_words(offer: Offer, today: str | None) -> tuple[str, str]:
    """Return whose offer it is, or that it stands in, and its prices, of when given the day."""
    whose = provider_name(offer.provider)
    if offer.stands_in:
        whose = f"no provider has it; nearest: {offer.model_id} at {whose}"
    rates = {
        "in": offer.input_usd_per_million_tokens,
        "out": offer.output_usd_per_million_tokens,
        "per minute of audio": offer.usd_per_audio_minute,
        "per image": offer.usd_per_image,
    }
    stated = {what: rate for what, rate in rates.items() if rate is not None}
    text = ", ".join(
        f"{units.dollars(rate) if rate else 'free'} {what}" for what, rate in stated.items()
    )
    text += " per 1M tokens" * ("in" in stated)
    text += f" of {offer.price_is_for}" if offer.price_is_for is not None else ""
    if text and today is not None:
        months = months_between(offer.as_of, today)
        age = f", {months} months old: ask the provider" if months >= _OLD_PRICE_MONTHS else ""
        text += f" (listed {offer.as_of}{age})"
    return whose, text or "at a price that is not known here"


def request_blocks(offer: Offer, verdict: Verdict) -> Blocks:
    """What to type to ask the offered model, else its page; nothing where neither is known.

    A shell of Windows quotes otherwise, so there the address and the name of the model are shown.
    """
    lines = request_lines(offer, verdict.model.modality)
    if lines and verdict.machine.system == "windows":
        yield line(f"base URL {offer.base_url}, model {offer.model}", indent=2)
    elif lines:
        for number, text in enumerate(lines):
            yield command(text, indent=4 if number else 2)
    elif offer.page is not None:
        yield line(f"How to ask it: {offer.page}", indent=2)


def no_api_words(workload: Workload) -> str:
    """Why no API is named, where none is."""
    if workload.private:
        return "nothing may leave the machine"
    if workload.task == "finetune":
        return "the prices known here do not cover fine-tuning"
    conditions = (workload.commercial, workload.modify, workload.auditable, workload.license)
    is_longer = (workload.context_tokens or 0) > DEFAULT_CONTEXT_TOKENS
    with_these = " that meets your conditions" if is_longer or any(conditions) else ""
    return f"this catalogue knows no offer{with_these}"
