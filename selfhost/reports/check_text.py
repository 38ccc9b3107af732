"""The screen of `check` for one model: the answer, the figures that decide, then the commands to
type.

`check_document` takes the verdicts and returns the blocks of the screen. The functions below it
stand in the order in which a reader meets the text that they write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.offers import Offer, provider_name
from ..catalogue.spec_values import PACKED
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS
from ..judge.checks import WORDS
from ..judge.checks.speed import may_be_too_slow, wait_words
from ..judge.devices import usable_bytes_of
from ..judge.pace import Wait
from ..judge.pace.words import clip_words, reader_words
from ..judge.record import (
    Alternative,
    Finding,
    Outcome,
    Range,
    Route,
    Speed,
    Verdict,
)
from .answer_words import (
    answer_line,
    is_assumption,
    limit_words,
    ordered,
    with_outcome,
)
from .api_words import (
    API_RISKS,
    month_blocks,
    no_api_words,
    offer_words,
    price_words,
    request_blocks,
    why_first_words,
)
from .labels import LABELS
from .layout import (
    AS_TOPIC,
    Blocks,
    Cells,
    Hint,
    Span,
    Table,
    Topic,
    command,
    commands,
    figures,
    line,
    section,
    strong,
    texts,
    topics,
)
from .measured_words import measured_lines
from .words import (
    HERE,
    PACES,
    CommandLine,
    asked_words,
    below_words,
    first_way,
    limit_words_of,
    memory_words,
    others_place,
    pace_of,
    place_words,
    planned_words,
    shown_setup,
    would_run,
)

# a row adds "up to 5.10 GiB" if the most that may be needed is over so many times the likely need
_MUCH_MORE = 1.05
# a program asks, with no command line
_BY_PYTHON = CommandLine()


def check_document(
    verdicts: Sequence[Verdict],
    asked: CommandLine = _BY_PYTHON,
    *,
    verbose: bool = False,
) -> Blocks:
    """Yield the answer for one model, or a table of several models with their remedies."""
    if len(verdicts) == 1:
        yield from _one_blocks(verdicts[0], asked, verbose=verbose)
        return
    from .several_text import several_blocks

    yield from several_blocks(verdicts, asked, verbose=verbose)


def _one_blocks(
    verdict: Verdict,
    asked: CommandLine,
    *,
    verbose: bool,
) -> Blocks:
    """The whole screen for one model, a block after the other."""
    measured = "--measure" in asked.options.split()
    yield answer_line(verdict)
    yield from texts(_first_lines(verdict, measured=measured))
    rows = _rows(verdict, verbose=verbose)
    if rows:
        yield line()
        yield Table.of("check", rows)
        for parts in measured_lines(verdict):
            yield line(*parts, indent=2)
    if measured:
        yield from _unmeasured_blocks(verdict)
    if not verbose:
        yield line()
        yield from topics(_findings_not_told(verdict))
    setup = shown_setup(verdict, verbose=verbose)
    if verdict.can_run:
        yield from _to_run_blocks(verdict, setup)
    yield from _instead_blocks(verdict)
    yield from _faster_blocks(verdict)
    yield line()
    yield from _api_blocks(verdict, asked.today)
    if verdict.monthly_cost is not None:
        yield from month_blocks(verdict)
        yield line()
    yield from texts([*verdict.notes, _room_words(verdict)], indent=0)
    if verbose:
        yield from _full_blocks(verdict)
    else:
        has_other_ways = verdict.can_run and len(setup) < len(verdict.setup)
        yield line(_hint(verdict, has_other_ways=has_other_ways))


def brief_document(verdict: Verdict) -> Blocks:
    """Yield the route and the answer, the figures that decide, what to type, what runs instead and
    the first offers: about ten lines for an agent.
    """
    yield line(f"route: {verdict.route}")
    yield line(verdict.summary)
    told = [limit_words(verdict), asked_words(verdict), *verdict.understood_as]
    yield from texts(told, indent=0)
    yield Table.of("check", _rows(verdict, verbose=False)).replace(indent=0)
    yield from topics(_findings_not_told(verdict))
    if verdict.can_run:
        yield from _to_run_blocks(verdict, first_way(verdict.setup))
    yield from _instead_blocks(verdict)
    for offer in brief_offers(verdict):
        whose, prices = offer_words(offer, None)
        yield line(f"API: {whose}, {prices}")


def brief_offers(verdict: Verdict) -> Sequence[Offer]:
    """The offers for an agent: the first, and a second where an API is the answer."""
    return verdict.api_offers[: 1 if verdict.can_run else 2]


def _first_lines(verdict: Verdict, *, measured: bool) -> Iterator[str | None]:
    """The lines under the answer: a limit to raise, the pace, what was judged, a warning about the
    quality, how a simulated machine was judged, why a closed model is closed, and how the name was
    understood. A line may be empty or None. `measured`: the bandwidth of the memory was measured
    for this answer.
    """
    model = verdict.model
    yield limit_words(verdict)
    if verdict.can_run and verdict.speed is not None:
        yield from _pace_lines(verdict, verdict.speed, measured=measured)
        yield from _load_lines(verdict, verdict.speed)
    yield asked_words(verdict)
    if verdict.can_run and verdict.loss is not None:
        yield verdict.loss.warning
    yield planned_words(verdict.machine)
    if model.closed and model.availability is not None:
        # the first sentence stands in the line of the answer
        yield " ".join(model.availability.sentences[1:])
    yield from verdict.understood_as


def _pace_lines(
    verdict: Verdict,
    speed: Speed,
    *,
    measured: bool,
) -> Iterator[str]:
    """Yield the pace for one user or for each of several users, and the pace without the draft; for
    other work than text the time of one piece. Nothing where no pace is known.
    """
    workload = verdict.workload
    if speed.decode is None:
        if speed.work is not None:
            yield _work_line(speed, speed.work)
        return
    narrower = _narrower_words(verdict, speed.decode, measured=measured)
    if workload.parallel > 1:
        yield _users_line(workload.parallel, speed, narrower)
        yield f"one user alone: {reader_words(speed.decode)}"
    else:
        yield reader_words(speed.decode) + narrower
    undrafted = speed.undrafted_tokens_per_second
    if workload.draft is not None and undrafted is not None:
        line = f"about {units.speed(undrafted)} without the draft"
        if speed.decode.likely < undrafted:
            line += ": leave it out"
        yield line


def _work_line(speed: Speed, work: Range) -> str:
    """`about 12 seconds a picture`."""
    about, guess = work.about()
    likely, _ = speed.work_words()
    clip = ""
    if speed.clip is not None:
        clip = f" of {clip_words(*speed.clip)}"
    return f"{about} {likely}{clip}{guess}"


def _narrower_words(
    verdict: Verdict,
    pace: Range,
    *,
    measured: bool,
) -> str:
    """How to get a narrower range; empty where a measurement of the RAM would not help, or the user
    asked for one and it told the bandwidth.
    """
    machine = verdict.machine
    _, guess = pace.about()
    if not guess or verdict.placement == "accelerator" or place_words(machine) != HERE:
        return ""
    # a bandwidth that was measured while other programs ran is a bound
    if machine.memory_bandwidth_bound is not None:
        return "; other programs ran while it was measured, so it may be faster"
    if measured:
        return ""
    return "; for a narrower range, run with --measure when the machine is idle"


def _users_line(
    users: int,
    speed: Speed,
    narrower: str,
) -> str:
    """The line on the pace that each of several users gets, on the sum of all users, and on how to
    get a narrower range.
    """
    judged = speed.judged
    total = speed.parallel_total
    if judged is None or total is None:
        unknown = f"the pace of {users:,} users at once is not known (see "
        return Hint(unknown, "-v", f"){narrower}")
    about, guess = judged.about()
    together = (
        f"{units.pace(total.likely)} in all ({units.pace(total.low, total.high)})"
    )
    pace = f"{about} {units.speed(judged.likely)} for each of {users:,} users"
    if guess:
        pace += " (a guess)"
    if not speed.waiting:
        return f"{pace}, {together}{narrower}"
    at_once = f"{users - speed.waiting:,} at once, the others wait for their turn"
    return f"{pace}, {together}: {at_once}{narrower}"


def _load_lines(verdict: Verdict, speed: Speed) -> Iterator[str]:
    """Yield the time of a training with a stated number of tokens, and the pace with a full long
    context, if that is much slower.
    """
    workload = verdict.workload
    if workload.dataset_tokens is not None and speed.dataset_seconds is not None:
        wait = wait_words(speed.dataset_seconds)
        yield f"training on {units.tokens(workload.dataset_tokens)} takes {wait}"
    full = speed.full_context_tokens_per_second
    context_tokens = workload.context_tokens or 0
    if full is None or speed.decode is None or context_tokens <= DEFAULT_CONTEXT_TOKENS:
        return
    wanted = workload.needed_pace
    empty = speed.decode.likely
    context = units.tokens(context_tokens)
    pace = f"once all {context} of context are in use: about {units.speed(full)}"
    becomes_slow = units.is_slower(full, wanted) and not units.is_slower(empty, wanted)
    if becomes_slow and speed.each_of == 1:
        yield f"{pace}, {below_words(verdict)}"
    elif full < empty / 2:
        yield pace


# the figure of a row and the note behind it; without a figure there is no row
_FigureAndNote = tuple[str, str]


def _rows(verdict: Verdict, *, verbose: bool) -> list[Cells]:
    """The needs against the machine: a row for memory, accelerator, disk and speed, and for each
    other finding that did not pass; then the license. [] where no finding has figures.
    """
    rows: list[Cells] = []
    for finding in ordered(verdict):
        if not _has_a_row(finding, verdict):
            continue
        write = _pace_cells if finding.check == "speed" else _size_cells
        amount, note = write(finding, verdict)
        if not amount:
            continue
        name = WORDS.titles.get(finding.code) or WORDS.checks[finding.check].title
        if finding.outcome is not Outcome.PASS:
            amount = Span(amount, finding.outcome)
        rows.append((name, amount, note))
        if finding.check == "speed":
            # other waits than for the stated prompt, or for a page, concern few users
            waits = verdict.waits if verbose else verdict.waits[:1]
            rows += _wait_rows(verdict, waits)
    if rows and verdict.cluster is not None:
        # imported here: most verdicts are about one machine
        from .cluster_text import rows_of_machines

        rows += rows_of_machines(verdict.cluster)
    terms = verdict.model.license
    if rows and terms is not None and terms.id is not None:
        commercial_use = terms.commercial_use or "unknown"
        license = units.short_license(terms.id)
        rows.append(("license", license, LABELS.commercial[commercial_use]))
    return rows


def _has_a_row(finding: Finding, verdict: Verdict) -> bool:
    """Whether the table has a row of that finding, if it has figures."""
    check = finding.check
    if check == "wait":
        # the rows of the wait stand under the row of the speed
        return False
    if check == "memory":
        return not _is_little_beside_gpu(finding, verdict)
    if check == "disk":
        # the lines above the rows tell the size of the download
        is_told = verdict.needs is not None and verdict.download_bytes == finding.needs
        return not is_told or finding.code != "disk-assumed"
    if check not in ("accelerator", "speed"):
        if finding.outcome is Outcome.PASS:
            return False
        return WORDS.checks[check].row is not None
    if verdict.has("runtime-no-build"):
        # a program without a build computes nothing
        return False
    return check == "speed" or bool(finding.needs)


def _is_little_beside_gpu(finding: Finding, verdict: Verdict) -> bool:
    """Whether a GPU holds the model, RAM suffices, and the program keeps little there: at most a
    GiB, or as much as lies on the GPU and no more than half of the RAM.
    """
    if verdict.placement != "accelerator":
        return False
    if finding.outcome is not Outcome.PASS:
        return False
    on_gpu_bytes: float = verdict.placed.on_cards.high_bytes
    if finding.amounts is not None:
        on_gpu_bytes = min(on_gpu_bytes, finding.amounts.has / 2)
    return verdict.placed.on_host.high_bytes <= max(units.GIB, on_gpu_bytes)


def _pace_cells(finding: Finding, verdict: Verdict) -> _FigureAndNote:
    """`~2.8 tokens/s` and the ends of its range, with the needed pace where that is higher."""
    speed = verdict.speed
    if speed is None:
        return "", ""
    pace = speed.judged or speed.decode
    if pace is None:
        if speed.work is None:
            return "", ""
        _, ends = speed.work_words()
        return pace_of(speed), ends
    whose = ""
    if speed.each_of > 1:
        whose = " alone" if speed.judged is None else " each"
    amount = f"~{units.speed(pace.likely)}{whose}"
    ends = units.pace(pace.low, pace.high)
    return amount, f"{ends}{_needed_words(finding, verdict, pace)}"


def _wait_rows(verdict: Verdict, waits: Sequence[Wait]) -> Iterator[Cells]:
    """Yield the wait for the first word, a row for each length of a prompt."""
    finding = verdict.finding("wait")
    name = "wait"
    for wait in waits:
        prompt = units.tokens(wait.prompt_tokens)
        if wait.what is not None:
            prompt = f"{wait.what} ({prompt})"
        if wait.seconds is None:
            yield name, Hint("not known (see ", "-v", ")"), f"for {prompt}"
            continue
        amount = f"~{units.duration(wait.seconds.likely)}"
        ends = units.between(units.duration, wait.seconds.low, wait.seconds.high)
        note = f"{ends}, for {prompt}"
        context_tokens = verdict.context_tokens
        if context_tokens is not None and wait.prompt_tokens >= context_tokens:
            note += ", with a longer context"
        if finding is not None and finding.outcome is not Outcome.PASS:
            amount = Span(amount, finding.outcome)
        if verdict.workload.parallel > 1:
            note += ", one request alone"
        longest_seconds = verdict.workload.max_wait_seconds
        if longest_seconds is not None and wait.seconds.high > longest_seconds:
            note += f", you allow {units.duration(longest_seconds)} (--max-wait)"
        yield name, amount, note
        # only the first row has the name
        name = ""


def _needed_words(
    finding: Finding,
    verdict: Verdict,
    pace: Range,
) -> str:
    """`, below the 9 you need` behind a pace that is too slow, `, likely below …` where it likely
    is, and `, perhaps below …` where only its slow end is. Empty for a pace that is fast enough.
    """
    below = below_words(verdict)
    if finding.outcome is Outcome.FAIL:
        return f", {below}"
    if units.is_slower(pace.likely, verdict.workload.needed_pace):
        return f", likely {below}"
    return f", perhaps {below}" if may_be_too_slow(verdict) else ""


def _size_cells(finding: Finding, verdict: Verdict) -> _FigureAndNote:
    """`4.74 of 23.0 GiB`: the likely need of what there is. The amount is empty for a finding whose
    need is not a number.

    Sizes in bytes also have a note, `up to 24.1 GiB, 1.1 GiB short`, before which a terminal draws
    a bar of need and memory, even if the note is empty.
    """
    likely = _likely(finding, verdict)
    likely_words = _quantity(likely, finding)
    has_words = _quantity(finding.has, finding)
    amount = likely_words
    if likely_words and has_words:
        # one unit serves both figures: `4.74 of 23.0 GiB`, but `900 MiB of 23.0 GiB`
        number, _, unit = likely_words.rpartition(" ")
        if has_words.endswith(f" {unit}"):
            amount = number
        amount += f" of {has_words}"
    if finding.unit != "bytes" or not likely or not finding.has:
        return amount, ""
    notes = []
    if verdict.cluster is not None and verdict.cluster.parts:
        from .cluster_text import place_note

        notes.append(place_note(verdict.cluster))
    elif finding.check == "accelerator":
        notes += _shared_note(float(likely), verdict)
    elif finding.check == "disk" and verdict.question.making_bytes:
        making = units.decimal(verdict.question.making_bytes)
        notes.append(f"converting needs another {making} for a while")
    most_words = _quantity(finding.needs, finding)
    is_much_more = float(finding.needs or 0) > _MUCH_MORE * float(likely)
    # the shortfall is counted from the high end, so the high end is shown beside a shortfall
    if most_words != likely_words and (is_much_more or finding.short):
        notes.append(f"up to {most_words}")
    if finding.code in WORDS.doubts:
        notes.append(WORDS.doubts[finding.code])
    elif finding.short:
        notes.append(f"{_quantity(finding.short, finding)} short")
    share = float(likely) / float(finding.has)
    return amount, Span(", ".join(notes), finding.outcome, share)


def _shared_note(likely_bytes: float, verdict: Verdict) -> Iterator[str]:
    """Yield how many GPUs share the model and, where no single one holds it, how much one does."""
    used = {term.where for term in verdict.placed.on_cards.terms}
    if len(used) < 2:
        return
    note = f"over {len(used)} GPUs"
    cards = verdict.machine.own_memory_cards
    most_bytes = max(usable_bytes_of(card) or 0 for card in cards)
    if likely_bytes > most_bytes:
        note += f"; one holds {units.binary(most_bytes)}"
    yield note


def _likely(finding: Finding, verdict: Verdict) -> float | str | None:
    """The likely need where `finding.needs` is the most that may be needed, else `finding.needs`.

    A finding of memory or of an accelerator counts either RAM or GPU memory: the one whose
    `high_bytes` add up to its need, RAM first.
    """
    needs = verdict.needs
    if needs is None or finding.check not in ("memory", "accelerator"):
        return finding.needs
    for part in (needs.on_host, needs.on_cards):
        if part.high_bytes == finding.needs:
            return part.total_bytes
    return finding.needs


def _quantity(value: float | str | None, finding: Finding) -> str:
    """A figure of the finding, in bytes or tokens; empty for a text or an unknown figure."""
    if value is None or isinstance(value, str):
        return ""
    if finding.unit == "bytes":
        if finding.check != "disk":
            return units.binary(value)
        if not value:
            return "nothing to download"
        return units.decimal(value)
    return units.tokens(int(value))


def _unmeasured_blocks(verdict: Verdict) -> Blocks:
    """Why the bandwidth of the memory was not measured; nothing where it was."""
    if verdict.machine.memory_bandwidth_bytes_per_second is None:
        why = verdict.machine.why_unread("memory_bandwidth_bytes_per_second")
        yield from topics([("memory bandwidth", why.reason, why.remedy)])


def _findings_not_told(verdict: Verdict) -> Iterator[Topic]:
    """Yield the findings that did not pass and that neither a row nor the first lines tell, the
    worst first.

    The limit of a memory that is too small comes before them.
    """
    limit = limit_words_of(verdict.machine)
    if "memory" in verdict.failed and limit and not verdict.machine.planning:
        yield "memory", limit, None
    outcomes = [Outcome.FAIL]
    if verdict.route not in (Route.API, Route.NEITHER):
        # findings that matter only if the model runs are left to `-v`
        outcomes += [Outcome.UNKNOWN, Outcome.WARN]
    deciding = [finding.code for finding in verdict.findings if finding.decides]
    # a row tells a full disk; its remedy, which is all that is needed, stands in its topic alone
    needs_disk_alone = deciding == ["disk-too-small"]
    for outcome in outcomes:
        for finding in ordered(verdict):
            if finding.outcome is not outcome:
                continue
            if needs_disk_alone or not _is_told_above(finding, verdict):
                yield AS_TOPIC(finding)


def _is_told_above(finding: Finding, verdict: Verdict) -> bool:
    """Whether a row or the first lines tell the finding."""
    workload = verdict.workload
    if finding.check == "license" and finding.outcome is Outcome.WARN:
        # the row of the license tells the warning, unless the user stated a condition
        return not (workload.commercial or workload.modify or workload.license)
    limit_bytes = verdict.machine.address_space_bytes
    is_of_memory = finding.check == "memory" and finding.has is not None
    if is_of_memory and finding.has == limit_bytes:
        # the row does not name a limit of the address space, such as `ulimit -v`
        return False
    if finding.check == "accelerator" and verdict.can_run and verdict.waits_for_setting:
        return True
    if finding.code == "accelerator-partly" and verdict.can_run:
        # what fits the GPU is named, with its command
        return bool(verdict.alternatives)
    if finding.check == "speed":
        pace_words, _ = _pace_cells(finding, verdict)
        if not pace_words:
            return is_assumption(finding, verdict)
    return finding.code in LABELS.lists["told-above"] or is_assumption(finding, verdict)


def _to_run_blocks(verdict: Verdict, setup: Sequence[str]) -> Blocks:
    """Yield the lines to type for a model that runs: `setup`, then its commands; where no command
    is known, the page of the model.
    """
    lines = list(setup)
    before = ""
    for typed in verdict.commands:
        if before.endswith(" serve"):
            lines.append("# then, in another terminal")
        elif before:
            lines.append("# or")
        lines.append(typed)
        before = typed
    title = "To run it"
    if verdict.workload.task == "finetune":
        title = "To train it"
    if lines:
        yield from section(title, commands(lines))
    else:
        yield line()
        yield line(_no_command_words(verdict))


def _no_command_words(verdict: Verdict) -> str:
    """The sentence that no command is known, with the page that may have one."""
    model = verdict.model
    words = "selfhost knows no command that runs it"
    page = model.repository and f"https://huggingface.co/{model.repository}"
    is_packed = verdict.workload.quantization in PACKED
    if verdict.workload.format == "gguf" or is_packed:
        # others than the maker publish such files
        page = model.conversions_page
    return f"{words}. See {page}" if page else f"{words}."


def _instead_blocks(verdict: Verdict) -> Blocks:
    """Yield the models that run on the machine instead, or faster, and the command that checks the
    first of them; nothing where no other model does.
    """
    others = verdict.alternatives
    if not others:
        return
    name = "instead"
    title = f"What {would_run(verdict)} instead"
    if verdict.can_run:
        name = "faster"
        title = f"Faster {others_place(verdict)}"
    memory_bytes = verdict.machine.memory_total_bytes
    if verdict.has("memory-assumed") and memory_bytes is not None:
        title += f", with the assumed {units.binary(memory_bytes)} of RAM"
    rows = [_instead_row(other, verdict) for other in others]
    to_check = command(others[0].command)
    yield from section(title, (Table.of(name, rows), to_check))


def _instead_row(other: Alternative, verdict: Verdict) -> Cells:
    """The row of an alternative: its name with the settings that differ, its memory, pace and
    license, and the reason for naming it.
    """
    license = units.short_license(other.license or "")
    if other.id == verdict.model.id:
        license = ""
    pace = pace_of(other.speed, title=PACES)
    name = strong(f"{other.id} {otherwise_words(other, verdict)}".rstrip())
    why = other.why
    wait = other.first_word_seconds
    if wait is not None:
        why = f"first word after ~{units.duration(wait.likely)}, {why}"
    return name, memory_words(other.needs), pace, license, why


def otherwise_words(other: Alternative, verdict: Verdict) -> str:
    """The settings that differ from those asked for, such as `Q4_K_M 28,416 tokens`; empty for
    another model in the same context.
    """
    parts = []
    if other.id == verdict.model.id:
        parts += [other.quantization, other.finetune_method]
        if other.runtime not in (None, verdict.runtime):
            parts.append(f"with {other.runtime}")
    tokens = other.context_tokens or 0
    if tokens and verdict.context_tokens not in (None, 0, tokens):
        parts.append(units.tokens(tokens))
    return " ".join(filter(None, parts))


def _api_blocks(verdict: Verdict, today: str | None) -> Blocks:
    """Yield the first offer with its prices, and how to use it where an API is the answer. Where
    nothing runs the model, yield the reason why no API does; nothing where it runs without an
    offer.
    """
    if verdict.route is Route.NEITHER:
        yield line(f"No API: {no_api_words(verdict.workload)}.")
        return
    if not verdict.api_offers:
        return
    offer = verdict.api_offers[0]
    whose, prices = offer_words(offer, today)
    start = "Or by API: "
    if verdict.route is Route.API:
        start = "By API: "
    of_line = [one for one in verdict.api_offers if _is_of_line(one)]
    if of_line:
        maker = provider_name(offer.provider)
        yield line(start, strong(f"models of {maker}"), f" (listed {offer.as_of})")
        yield figures((one.model_id, price_words(one), "") for one in of_line)
    else:
        why_first = why_first_words(verdict.api_offers)
        yield line(start, strong(whose), f", {prices}{why_first}")
    if offer.ends and verdict.shutdown is None:
        yield line(
            f"{provider_name(offer.provider)} shuts it down on {offer.ends}.", indent=2
        )
    if verdict.route is Route.API:
        yield from request_blocks(offer, verdict)


def _is_of_line(offer: Offer) -> bool:
    """Whether a product is asked about, and the offer is for one of the models behind it."""
    return offer.stands_in and offer.why_instead is None


def _faster_blocks(verdict: Verdict) -> Blocks:
    """Yield each setting that is clearly faster, with both figures and the command that judges
    it.
    """
    for setting in verdict.faster:
        yield line()
        if setting.prompt_tokens is None:
            about, _ = setting.faster.about()
            gain = (
                f"{about} {units.speed(setting.faster.likely)} in place of"
                f" {units.pace(setting.usual.likely)}"
            )
        else:
            gain = (
                f"the answer to a prompt of {units.tokens(setting.prompt_tokens)} begins after"
                f" about {units.duration(setting.faster.likely)} in place of"
                f" {units.duration(setting.usual.likely)}"
            )
        yield line(f"Faster with {setting.what}: {gain}.")
        yield command(setting.command)


def _room_words(verdict: Verdict) -> str:
    """The sentence on settings for which there is room: `There is also room for one of: 36 users at
    once, or Q8_0 weights. Each is slower.` Empty where there is room for none, and where memory is
    tight. Nothing is said of the pace where more accelerators would share the work.
    """
    is_tight = any(finding.code.endswith("-tight") for finding in verdict.findings)
    if not verdict.can_run or is_tight:
        return ""
    settings = _room_settings(verdict)
    if not settings:
        return ""
    start = "There is also room"
    if verdict.machine.memory_available_bytes is not None:
        # a simulated machine has no open programs, so this applies to real machines only
        start = "With other programs closed, there is also room"
    kept = ""
    if verdict.room_options:
        # beside a limit alone `check` might choose another type, cache or program
        kept = f" {verdict.room_options} keeps the rest as it is."
    if len(settings) == 1:
        pace = "" if verdict.has_cards_to_add else ", which is slower"
        return f"{start} for {settings[0]}{pace}.{kept}"
    *first, last = settings
    pace = "" if verdict.has_cards_to_add else " Each is slower."
    return f"{start} for one of: {', '.join(first)}, or {last}.{pace}{kept}"


def _room_settings(verdict: Verdict) -> list[str]:
    """The settings for which there is room: a longer context, more users, a larger type."""
    room = verdict.room
    workload = verdict.workload
    if room is None:
        return []
    settings = []
    longest_tokens = room.longest_context_tokens or 0
    if longest_tokens > (workload.context_tokens or 0):
        tokens = units.tokens(longest_tokens)
        if longest_tokens == verdict.question.trained_tokens:
            settings.append(f"the full context ({tokens})")
        else:
            settings.append(f"a context of {tokens}")
    most_parallel = room.most_parallel or 0
    if most_parallel > workload.parallel:
        settings.append(f"{most_parallel:,} users at once")
    # a model without a type is judged by the need that its spec states, and has no larger type
    is_of_a_type = workload.quantization is not None
    if is_of_a_type and room.best_quantization not in (None, workload.quantization):
        settings.append(f"{room.best_quantization} weights")
    return settings


def _hint(verdict: Verdict, *, has_other_ways: bool) -> Hint:
    """The line on the contents of `-v`, such as `Every figure with its source and 3 more APIs:
    -v`.
    """
    parts = ["Every figure with its source"]
    if has_other_ways:
        parts.append("other ways to install")
    # all models of a product's line have been told
    own_offers = [one for one in verdict.api_offers if not _is_of_line(one)]
    more_offers = len(own_offers) - 1
    if verdict.route is not Route.NEITHER and more_offers > 0:
        parts.append(units.plural(more_offers, "more API"))
    words = parts.pop()
    if parts:
        words = f"{', '.join(parts)} and {words}"
    return Hint(f"{words}: ", "-v")


def _full_blocks(verdict: Verdict) -> Blocks:
    """Yield the blocks that `-v` adds: the risks of an API, every finding, the fine print, every
    figure with its source, and the facts of the machine that could not be read.
    """
    from . import json
    from .details import sections
    from .machine_text import unread_blocks

    if verdict.route is Route.API:
        yield line()
        yield line(API_RISKS)
    for outcome, title in LABELS.findings.items():
        findings = with_outcome(ordered(verdict), outcome)
        yield from section(title, topics(map(AS_TOPIC, findings)))
    yield from section("Notes", texts(verdict.fine_print))
    yield from sections(json.verdict(verdict), LABELS.check)
    yield from unread_blocks(verdict.machine)
