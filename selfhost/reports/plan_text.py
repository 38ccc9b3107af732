"""What `plan` and `machine --profiles` say to a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..advice.plan import Known, Least, Plan
from ..core import units
from ..machine.profiles import Profile
from ..machine.record import Machine
from ..verdict.findings import Outcome, disk_margin_bytes, ends_to_store
from ..verdict.record import Route
from .layout import Block, Column, Document, Paragraph, Span, Table
from .words import (
    BLANK,
    command_line,
    context_words,
    format_words,
    line,
    pace_of,
    pace_title,
    reason_blocks,
    say,
    section,
)

# machines of the first screen
_SHOWN = 6
# in the place of a pace
_SLOW = "slow"
_SYSTEM_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
# beyond so many there is hardly a processor that would not do
_FEW_ARCHITECTURES = 2

# a price of hardware would need a day and a source for each country; who has one can hold it
# against those of APIs, which have both
_NO_PRICES = (
    "No prices of hardware are known here. To compare one that you found with the price of an API,"
    " add --tokens-per-day 2M:500k --hardware-price PRICE to:"
)

_Row = tuple[str, str, str]


def plan_document(plan: Plan, *, verbose: bool = False, carry: str = "") -> Document:
    """The least machine, what rules it out where none would do, then the known machines: the
    smallest of each kind, or with `verbose` all.

    `carry` goes behind the `selfhost check …` that is proposed: the options that are no part of the
    workload.
    """
    blocks: list[Block] = [_headline(plan)]
    blocks += [say(words, indent=2) for words in (_count(plan), _asked(plan)) if words]
    blocks += [say(note, indent=2) for note in plan.notes]
    if plan.least is not None:
        _least(blocks, plan, plan.least, verbose=verbose)
    if plan.reasons:
        fails = any(finding.outcome is Outcome.FAIL for finding in plan.reasons)
        section(blocks, "Why not" if fails else "Not known, whatever the machine")
        for finding in plan.reasons:
            reason_blocks(blocks, finding.check, finding.reason, finding.remedy)
    if plan.least is None and all(
        candidate.route is not Route.UNKNOWN for candidate in plan.machines
    ):
        command = f"selfhost check {plan.model.id}{plan.options}{carry}"
        blocks += [BLANK, say("An API that has it, or what runs instead:"), command_line(command)]
    if plan.fitting:
        _known(blocks, plan, verbose)
        best = _best(plan, plan.fitting)
        question = f"{plan.model.id}{plan.options}{carry}"
        command = f"selfhost check {question} --machine {best.profile.name}"
        if plan.workload.min_tokens_per_second is not None:
            blocks.append(say(_NO_PRICES, hang=2))
        blocks += [BLANK, command_line(command)]
    return Document(blocks=tuple(blocks))


def _headline(plan: Plan) -> Paragraph:
    """The least machine in a line, or that there is none."""
    name = Span(text=plan.model.name, style="strong")
    least = plan.least
    if least is None:
        is_open = any(candidate.route is Route.UNKNOWN for candidate in plan.machines)
        sign, route = ("?", Route.UNKNOWN) if is_open else ("✗", Route.NEITHER)
        text = "CANNOT TELL" if is_open else "NO MACHINE"
        rest = " on which machine it runs" if is_open else " runs on no machine, however large"
        return line(Span(text=f"{sign} {text}", style=route), "  ", name, rest)
    gpu = units.binary_at_least(least.accelerator.memory_bytes)
    ram = units.binary_at_least(least.memory_bytes)
    where = f"on {ram} of RAM, or a GPU of {gpu}"
    if _needs_card(least):
        where = f"on a GPU of {gpu}"
    elif least.is_slow:
        where = f"on a GPU of {gpu}, or slowly in {ram} of RAM"
    if not plan.fitting:
        none = Span(text="✗ NO KNOWN MACHINE", style=Route.NEITHER)
        rest = f" fits {where}, but no machine of the list runs it under your conditions"
        return line(none, "  ", name, rest, hang=2)
    if _is_open_in_ram(plan, least):
        where = f"on a GPU of {gpu}; whether RAM ({ram}) is fast enough is not known"
    words = Span(text="✓ RUNS", style=Route.LOCAL)
    if all(candidate.is_slow for candidate in plan.fitting):
        words = Span(text="✓ RUNS SLOWLY", style=Outcome.WARN)
    return line(words, "  ", name, f" {where}", hang=2)


def _is_open_in_ram(plan: Plan, least: Least) -> bool:
    """No bandwidth of RAM is known that reaches the wanted speed."""
    is_known = least.bandwidth_bytes_per_second is not None and least.cpu.cores is not None
    return bool(plan.workload.min_tokens_per_second) and not is_known and not _needs_card(least)


def _needs_card(least: Least) -> bool:
    """A GPU with memory of its own is required."""
    unified = any(card.unified for card in least.machine.accelerators or ())
    return least.accelerator.required and not unified


def _count(plan: Plan) -> str:
    """How many known machines run it."""
    of = f"of {len(plan.machines)} known machines"
    if not plan.fitting:
        is_open = any(candidate.route is Route.UNKNOWN for candidate in plan.machines)
        if plan.least is None and not is_open:
            return ""
        return "no known machine runs it for sure" if is_open else f"none {of} runs it"
    sure = sum(map(plan.fast_enough, plan.fitting))
    slow = sum(map(_is_slow_work, plan.fitting))
    perhaps = len(plan.fitting) - sure - slow
    if not sure and perhaps:
        return f"likely fast enough on {perhaps} {of}, surely on none"
    if not sure:
        return f"runs on {slow} {of}, slowly on each"
    more = (f"may on {perhaps} more" if perhaps else "", f"slowly on {slow} more" if slow else "")
    return ", and ".join((f"runs on {sure} {of}", *filter(None, more)))


def _is_slow_work(candidate: Known) -> bool:
    """It takes minutes to days for work that is no text."""
    return candidate.decode_tokens_per_second is None and candidate.is_slow


def _is_told_slow(candidate: Known) -> bool:
    """It is slow at such work, and how slow is not known."""
    return _is_slow_work(candidate) and (candidate.speed is None or candidate.speed.work is None)


def _asked(plan: Plan) -> str:
    """What was judged."""
    workload = plan.workload
    parts = [format_words(workload), context_words(workload)]
    if workload.kv_cache_type not in (None, "f16"):
        parts.append(f"{workload.kv_cache_type} cache")
    if workload.audio_seconds is not None:
        parts.append(f"{units.duration(workload.audio_seconds)} of audio")
    if workload.task != "generate":
        method = f" by {workload.finetune_method}" if workload.finetune_method else ""
        parts.append(f"to {workload.task}{method}")
    if workload.min_tokens_per_second:
        paces = [machine.speed for machine in plan.machines if machine.speed is not None]
        each = " each" if any(pace.each_of > 1 for pace in paces) else ""
        parts.append(f"at least {units.stated(workload.min_tokens_per_second)} tokens/s{each}")
    seconds = workload.seconds_to_download(plan.needs.download_bytes if plan.needs else None)
    if seconds is not None and plan.needs is not None:
        size = units.decimal(plan.needs.download_bytes or 0)
        parts.append(f"{size} to download in about {units.duration(seconds)}")
    return ", ".join(part for part in parts if part)


def _least(blocks: list[Block], plan: Plan, least: Least, *, verbose: bool) -> None:
    """The least machine, one line for each thing that has a price."""
    rows = [*_memory_rows(least), _disk_row(plan, least), *_pace(plan, least, verbose=verbose)]
    if verbose or len(least.cpu.architectures) <= _FEW_ARCHITECTURES:
        rows.append(_processor_row(least))
    cells = tuple(
        (Span(text=label), Span(text=figure, style="strong"), Span(text=why))
        for label, figure, why in rows
    )
    why = Column(wrap=True, drop=0 if verbose else 1)
    blocks += [BLANK, Table(columns=(Column(), Column(), why), rows=cells)]


def _memory_rows(least: Least) -> list[_Row]:
    system = _SYSTEM_NAMES.get(least.machine.system or "", "the system")
    beside = least.accelerator.memory_beside_bytes
    ram_beside = "unknown RAM" if beside is None else f"{units.binary_at_least(beside)} of RAM"
    kept = f"{units.binary(least.reserve_bytes)} of it for {system} itself"
    gpu = units.binary_at_least(least.accelerator.memory_bytes)
    ram = units.binary_at_least(least.memory_bytes)
    if _needs_card(least):
        return [("GPU memory", gpu, _on_which_gpus(least)), ("RAM", ram, kept)]
    on_one = f"on one GPU, with {ram_beside}{_on_each(least)}"
    return [("RAM", ram, kept), ("or GPU memory", gpu, on_one)]


def _on_which_gpus(least: Least) -> str:
    """How the runtime takes that little of a GPU, and what it takes of each of several."""
    how = "which the runtime needs"
    if least.accelerator.lean_option:
        sure = units.binary_at_least(least.accelerator.sure_bytes)
        how = f"likely with `{least.accelerator.lean_option}`, {sure} for sure"
    return f"on one GPU, {how}{_on_each(least)}"


def _on_each(least: Least) -> str:
    """What each of several takes; "" where they cannot share it, or need not."""
    if least.accelerator.parts is None:
        return ""
    number, each = least.accelerator.parts
    return f"; or {units.binary_at_least(each)} on each of {number}"


def _disk_row(plan: Plan, least: Least) -> _Row:
    size = ends_to_store(plan.needs, None)[1] if plan.needs is not None else None
    if least.disk_bytes is None or size is None:
        return "disk", "not known", "the size of the files is not known"
    anywhere = units.decimal_at_least(size + disk_margin_bytes(None))
    why = f"free, with a safety margin (large disks: {anywhere})"
    return "disk", units.decimal_at_least(least.disk_bytes), why


def _processor_row(least: Least) -> _Row:
    sets = f"with {', '.join(least.cpu.instruction_sets)}" if least.cpu.instruction_sets else ""
    faster = (
        f"well with {', '.join(least.cpu.recommended_instruction_sets)}"
        if least.cpu.recommended_instruction_sets
        else ""
    )
    why = "; ".join(part for part in (sets, faster) if part)
    names = " or ".join(least.cpu.architectures) or "any"
    return "processor", names, f"{why} ({least.machine.architecture})" if why else ""


def _pace(plan: Plan, least: Least, *, verbose: bool) -> Iterable[_Row]:
    """What reaches the wanted speed from RAM."""
    wanted = plan.workload.min_tokens_per_second
    if not wanted:
        return
    if least.bandwidth_bytes_per_second is None or least.cpu.cores is None:
        if not least.accelerator.required:
            yield "bandwidth", "not known", f"of RAM that reaches {units.stated(wanted)} tokens/s"
        return
    sure, perhaps = least.bandwidth_bytes_per_second, least.bandwidth_perhaps_bytes_per_second
    less = (
        f"; {units.decimal_at_least(perhaps)}/s may do"
        if perhaps is not None and perhaps < sure
        else ""
    )
    rate = f"{units.decimal_at_least(sure)}/s"
    how = f"; --set bandwidth={rate.replace(' ', '')}:measured" if verbose else ""
    yield "bandwidth", rate, f"of RAM, for {units.stated(wanted)} tokens/s without a GPU{less}{how}"
    yield "cores", f"{least.cpu.cores:g}", "enough that memory bandwidth is the bottleneck"


def _known(blocks: list[Block], plan: Plan, verbose: bool) -> None:
    shown = list(plan.fitting) if verbose else _some_of_each(plan)
    blocks += [BLANK, _known_table(plan, shown, verbose=verbose)]
    rest = len(plan.fitting) - len(shown)
    hints = [f"{rest} more: -v"] if rest else []
    if any(map(_is_told_slow, shown)):
        hints.append(f"{_SLOW}: minutes to days there")
    if any(not (_has_pace(each) or _is_told_slow(each)) for each in shown):
        hints.append("-: how fast it is there is not known")
    if any(not (plan.fast_enough(each) or _is_slow_work(each)) for each in shown):
        hints.append("?: at its slow end it is below the speed you need")
    if hints:
        blocks.append(say(" · ".join(hints)))
    otherwise: dict[str, list[str]] = {}
    for each in shown:
        otherwise.setdefault(_otherwise(plan, each), []).append(each.profile.name)
    for words, names in otherwise.items():
        if words:
            blocks.append(say(f"{words}, as `check` takes there: {', '.join(names)}", hang=2))
    if verbose:
        _caveats(blocks, shown)


def _otherwise(plan: Plan, candidate: Known) -> str:
    """What the machine was judged with that differs from what stands above; "" where nothing
    does.
    """
    own, here = plan.workload, candidate.workload
    parts = []
    if (here.quantization, here.runtime) != (own.quantization, own.runtime):
        parts.append(format_words(here))
    if here.finetune_method != own.finetune_method:
        parts.append(here.finetune_method or "-")
    if here.context_tokens != own.context_tokens:
        parts.append(context_words(here))
    return "With " + " and ".join(parts) if parts else ""


def _caveats(blocks: list[Block], shown: Sequence[Known]) -> None:
    """What is unsure of the profiles of these machines."""
    confidences = {candidate.profile.machine.confidence or "" for candidate in shown}
    if unsure := sorted(confidences & {"medium", "low"}, reverse=True):
        blocks.append(say(f"Of {' and '.join(unsure)} confidence: check your configuration."))
    _limits(blocks, [candidate.profile for candidate in shown])
    if any(
        finding.code == "disk-assumed" and finding.outcome is Outcome.WARN
        for candidate in shown
        for finding in candidate.findings
    ):
        blocks.append(
            say("Where a profile does not state the free space, enough of it is assumed.")
        )


def _known_table(plan: Plan, shown: Sequence[Known], *, verbose: bool) -> Table:
    """A row a machine, with the likely pace; `verbose` adds the range and the confidence."""
    columns = (
        Column(),
        Column(title="machine"),
        Column(title="RAM", right=True),
        Column(title="GPU memory", right=True, drop=1),
        Column(title=pace_title(candidate.speed for candidate in shown)),
        Column(title="kind", drop=4),
        Column(title="where", drop=3),
        *((Column(title="confidence", drop=2),) if verbose else ()),
    )  # fmt: skip
    rows = []
    for candidate in shown:
        machine = candidate.profile.machine
        is_sure = plan.fast_enough(candidate) or _is_slow_work(candidate)
        texts = [
            *_memory(machine),
            _SLOW if _is_told_slow(candidate) else pace_of(candidate.speed, always_ends=verbose),
            candidate.profile.kind,
            _where(candidate),
        ]
        if verbose:
            texts.append(machine.confidence or "")
        sign = Span(text="✓", style=Route.LOCAL) if is_sure else Span(text="?", style=Route.UNKNOWN)
        name = Span(text=candidate.profile.name, style="strong")
        rows.append((sign, name, *(Span(text=text) for text in texts)))
    return Table(columns=columns, rows=tuple(rows), indent=0)


def _where(candidate: Known) -> str:
    places = {"host": "RAM", "accelerator": "GPU", "split": "both"}
    place = "GPU" if candidate.by_shared_gpu else places.get(candidate.placement or "", "-")
    return f"{place}, little left" if candidate.is_tight else place


def _some_of_each(plan: Plan) -> list[Known]:
    """The best of each kind, smallest first; those of which the pace is known come before. A
    desktop whose own cards hold the model is one kind, any other desktop another: one buys cards.
    """
    groups: dict[tuple[str, bool], list[Known]] = {}
    for candidate in plan.fitting:
        on_cards = candidate.kind == "desktop" and candidate.placement == "accelerator"
        groups.setdefault((candidate.kind, on_cards), []).append(candidate)
    bests = [_best(plan, among) for among in groups.values()]
    # those that do it for sure first, and what nobody buys last
    bests.sort(key=lambda best: (not plan.fast_enough(best), best.kind == "ci"))
    names = [best.profile.name for best in bests[:_SHOWN]]
    shown = [candidate for candidate in plan.fitting if candidate.profile.name in names]
    return sorted(shown, key=lambda candidate: not _has_pace(candidate))


def _best(plan: Plan, among: Sequence[Known]) -> Known:
    """The smallest at a comfortable pace, else that is fast enough, of known pace first; the
    smallest where none is.
    """
    comfortable = filter(plan.is_comfortable, among)
    enough = list(filter(plan.fast_enough, among))
    timed = filter(_has_pace, (*comfortable, *enough))
    return next(timed, (*enough, *among)[0])


def _has_pace(candidate: Known) -> bool:
    """How long the work takes there is known."""
    speed = candidate.speed
    return speed is not None and (speed.decode is not None or speed.work is not None)


def _limited(machine: Machine) -> bool:
    """Programs get less than all of its RAM."""
    return (machine.memory_limit_bytes or 0) < (machine.memory_total_bytes or 0)


def _limits(blocks: list[Block], shown: Sequence[Profile]) -> None:
    """What a star behind the RAM means."""
    for profile in shown:
        if _limited(profile.machine):
            remark = (
                "* what a limit leaves to programs, of"
                f" {units.binary(profile.machine.memory_total_bytes or 0)}: {profile.name}"
            )
            blocks.append(say(remark, hang=2))


def _memory(machine: Machine) -> tuple[str, str]:
    """RAM, with a star where that is a limit, and the accelerators' own memory."""
    ram = "-"
    if machine.memory_limit_bytes is not None:
        ram = units.binary(machine.memory_limit_bytes) + ("*" if _limited(machine) else "")
    cards = [
        card
        for card in machine.accelerators or ()
        if card.memory_total_bytes is not None and not card.unified
    ]
    if not cards:
        return ram, "shared" if any(card.unified for card in machine.accelerators or ()) else ""
    each = units.binary(cards[0].memory_total_bytes or 0)
    return ram, each if len(cards) == 1 else f"{len(cards)} x {each}"


def profiles_document(profiles: Sequence[Profile]) -> Document:
    """Known machines, a line each."""
    if not profiles:
        return Document(
            blocks=(say("No machine matches. `selfhost machine --profiles` lists all."),)
        )
    several = f"{len(profiles)} machines" if len(profiles) > 1 else "1 machine"
    blocks: list[Block] = [
        say(f"{several} to ask about with --machine NAME; the first word may be left out."),
        BLANK,
    ]
    columns = (
        Column(title="machine"),
        Column(title="cores", right=True, drop=2),
        Column(title="RAM", right=True),
        Column(title="GPU memory", right=True),
        Column(title="bandwidth", right=True, drop=4),
        Column(title="confidence", drop=1),
        Column(title="what it is", drop=3),
    )
    rows = []
    for profile in profiles:
        machine = profile.machine
        rate = machine.memory_bandwidth_bytes_per_second
        texts = (
            f"{machine.cpu_cores_usable:g}" if machine.cpu_cores_usable is not None else "-",
            *_memory(machine),
            "-" if rate is None else f"{units.decimal(rate)}/s",
            machine.confidence or "",
            profile.title,
        )
        rows.append((Span(text=profile.name, style="strong"), *(Span(text=text) for text in texts)))
    blocks.append(Table(columns=columns, rows=tuple(rows), indent=0))
    blocks.append(BLANK)
    _limits(blocks, profiles)
    blocks += [
        say(
            "Of medium and low confidence: check your configuration. --format json has the sources."
        )
    ]
    return Document(blocks=tuple(blocks))
