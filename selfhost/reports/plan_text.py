"""What `plan` and `machine --profiles` say to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..advice.plan import Known, Least, Plan
from ..core import units
from ..judge.checks import Outcome, disk_margin_bytes, ends_to_store
from ..judge.record import Route
from ..machine.profiles import Profile
from ..machine.record import Machine
from .layout import (
    BLANK,
    Block,
    Cell,
    Column,
    Document,
    Paragraph,
    Span,
    Table,
    command_line,
    heading,
    line,
    say,
    strong,
)
from .words import context_words, format_words, pace_of, pace_title, reason_blocks

# machines of the first screen
_SHOWN = 6
# in the place of a pace
_SLOW = "slow"
_SYSTEM_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
# beyond so many there is hardly a processor that would not do
_FEW_ARCHITECTURES = 2
# a price of hardware would need a day and a source for each country
_NO_PRICES = (
    "No prices of hardware are known here. To compare one that you found with the price of an API,"
    " add --tokens-per-day 2M:500k --hardware-price PRICE to:"
)
# label, figure, why
_Row = tuple[str, str, str]


def plan_document(plan: Plan, *, verbose: bool = False, carry: str = "") -> Document:
    """Return the least machine, or what rules it out, then the known machines, `verbose` all.

    `carry` goes behind the `selfhost check …` that is proposed.
    """
    blocks: list[Block] = [_headline(plan)]
    blocks += [say(text, indent=2) for text in (_count(plan), _asked(plan), *plan.notes) if text]
    if plan.least is not None:
        blocks += [BLANK, _least(plan, plan.least, verbose)]
    if plan.reasons:
        fails = any(finding.outcome is Outcome.FAIL for finding in plan.reasons)
        blocks += heading("Why not" if fails else "Not known, whatever the machine")
        for finding in plan.reasons:
            blocks += reason_blocks(finding.check, finding.reason, finding.remedy)
    question = f"selfhost check {plan.model.id}{plan.options}{carry}"
    if plan.least is None and not _is_open(plan):
        instead = say("An API that has it, or what runs instead:")
        blocks += [BLANK, instead, command_line(question)]
    if plan.fitting:
        blocks += _known(plan, verbose)
        if plan.workload.min_tokens_per_second is not None:
            blocks.append(say(_NO_PRICES, hang=2))
        best = _best(plan, plan.fitting)
        blocks += [BLANK, command_line(f"{question} --machine {best.profile.name}")]
    return Document(blocks=tuple(blocks))


def _is_open(plan: Plan) -> bool:
    return any(candidate.route is Route.UNKNOWN for candidate in plan.machines)


def _headline(plan: Plan) -> Paragraph:
    """The least machine in a line, or that there is none."""
    name, least = strong(plan.model.name), plan.least
    if least is None and _is_open(plan):
        sign = Span(text="? CANNOT TELL", style=Route.UNKNOWN)
        return line(sign, "  which machine runs ", name)
    if least is None:
        sign = Span(text="✗ NO MACHINE", style=Route.NEITHER)
        return line(sign, "  ", name, " runs on no machine, however large")
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
    is_known = least.bandwidth_bytes_per_second is not None and least.cpu.cores is not None
    if plan.workload.min_tokens_per_second and not is_known and not _needs_card(least):
        where = f"on a GPU of {gpu}; whether RAM ({ram}) is fast enough is not known"
    words = Span(text="✓ RUNS", style=Route.LOCAL)
    if all(candidate.is_slow for candidate in plan.fitting):
        words = Span(text="✓ RUNS SLOWLY", style=Outcome.WARN)
    return line(words, "  ", name, f" {where}", hang=2)


def _needs_card(least: Least) -> bool:
    """Whether a GPU with memory of its own is required."""
    unified = any(card.unified for card in least.machine.accelerators or ())
    return least.accelerator.required and not unified


def _count(plan: Plan) -> str:
    """How many known machines run it."""
    of = f"of {len(plan.machines)} known machines"
    if not plan.fitting and _is_open(plan):
        return "no known machine runs it for sure"
    if not plan.fitting:
        return "" if plan.least is None else f"none {of} runs it"
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
    """Whether it takes minutes to days for work that is no text."""
    return candidate.decode_tokens_per_second is None and candidate.is_slow


def _has_pace(candidate: Known) -> bool:
    """Whether it is known how long the work takes there."""
    speed = candidate.speed
    return speed is not None and (speed.decode is not None or speed.work is not None)


def _has_slow_pace(candidate: Known) -> bool:
    """Whether it is slow at such work, and how slow is not known."""
    return _is_slow_work(candidate) and (candidate.speed is None or candidate.speed.work is None)


def _asked(plan: Plan) -> str:
    """What was judged."""
    workload, needs = plan.workload, plan.needs
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
    size = needs.download_bytes if needs is not None else None
    seconds = workload.seconds_to_download(size)
    if seconds is not None and size is not None:
        parts.append(f"{units.decimal(size)} to download in about {units.duration(seconds)}")
    return ", ".join(filter(None, parts))


def _least(plan: Plan, least: Least, verbose: bool) -> Table:
    """The least machine, a row for each thing that has a price."""
    rows = [*_memory_rows(least), _disk_row(plan, least), *_pace_rows(plan, least, verbose)]
    if verbose or len(least.cpu.architectures) <= _FEW_ARCHITECTURES:
        rows.append(_processor_row(least))
    cells = tuple((label, strong(figure), why) for label, figure, why in rows)
    why = Column(wrap=True, drop=0 if verbose else 1)
    return Table(columns=(Column(), Column(), why), rows=cells)


def _memory_rows(least: Least) -> list[_Row]:
    card = least.accelerator
    gpu, ram = units.binary_at_least(card.memory_bytes), units.binary_at_least(least.memory_bytes)
    # several can share it, so much on each
    number, each_bytes = card.parts or (0, 0)
    each = f"; or {units.binary_at_least(each_bytes)} on each of {number}" if number else ""
    system = _SYSTEM_NAMES.get(least.machine.system or "", "the system")
    kept = f"{units.binary(least.reserve_bytes)} of it for {system} itself"
    if _needs_card(least):
        how = "which the runtime needs"
        if card.lean_option:
            sure = units.binary_at_least(card.sure_bytes)
            how = f"likely with `{card.lean_option}`, {sure} for sure"
        return [("GPU memory", gpu, f"on one GPU, {how}{each}"), ("RAM", ram, kept)]
    also = card.memory_beside_bytes
    also_words = "unknown RAM" if also is None else f"{units.binary_at_least(also)} of RAM"
    return [("RAM", ram, kept), ("or GPU memory", gpu, f"on one GPU, with {also_words}{each}")]


def _disk_row(plan: Plan, least: Least) -> _Row:
    size = ends_to_store(plan.needs, None)[1] if plan.needs is not None else None
    if least.disk_bytes is None or size is None:
        return "disk", "not known", "the size of the files is not known"
    anywhere = units.decimal_at_least(size + disk_margin_bytes(None))
    why = f"free, with a safety margin (large disks: {anywhere})"
    return "disk", units.decimal_at_least(least.disk_bytes), why


def _processor_row(least: Least) -> _Row:
    cpu = least.cpu
    faster = cpu.recommended_instruction_sets
    why = "; ".join(filter(None, (
        f"with {', '.join(cpu.instruction_sets)}" if cpu.instruction_sets else "",
        f"well with {', '.join(faster)}" if faster else "",
    )))  # fmt: skip
    names = " or ".join(cpu.architectures) or "any"
    return "processor", names, f"{why} ({least.machine.architecture})" if why else ""


def _pace_rows(plan: Plan, least: Least, verbose: bool) -> Iterator[_Row]:
    """What reaches the wanted speed from RAM."""
    if not plan.workload.min_tokens_per_second:
        return
    wanted = f"{units.stated(plan.workload.min_tokens_per_second)} tokens/s"
    sure, perhaps = least.bandwidth_bytes_per_second, least.bandwidth_perhaps_bytes_per_second
    if sure is None or least.cpu.cores is None:
        if not least.accelerator.required:
            yield "bandwidth", "not known", f"of RAM that reaches {wanted}"
        return
    is_less = perhaps is not None and perhaps < sure
    less = f"; {units.decimal_at_least(perhaps or 0)}/s may do" if is_less else ""
    rate = f"{units.decimal_at_least(sure)}/s"
    how = f"; --set bandwidth={rate.replace(' ', '')}:measured" if verbose else ""
    yield "bandwidth", rate, f"of RAM, for {wanted} without a GPU{less}{how}"
    yield "cores", f"{least.cpu.cores:g}", "enough that memory bandwidth is the bottleneck"


def _known(plan: Plan, verbose: bool) -> Iterator[Block]:
    shown = list(plan.fitting) if verbose else _some_of_each(plan)
    yield from (BLANK, _known_table(plan, shown, verbose))
    rest = len(plan.fitting) - len(shown)
    is_unsure = any(not (plan.fast_enough(each) or _is_slow_work(each)) for each in shown)
    has_no_pace = any(not (_has_pace(each) or _has_slow_pace(each)) for each in shown)
    hints = (
        f"{rest} more: -v" if rest else "",
        f"{_SLOW}: minutes to days there" if any(map(_has_slow_pace, shown)) else "",
        "-: how fast it is there is not known" if has_no_pace else "",
        "?: at its slow end it is below the speed you need" if is_unsure else "",
    )
    if any(hints):
        yield say(" · ".join(filter(None, hints)))
    differences: dict[str, list[str]] = {}
    for each in shown:
        differences.setdefault(_difference(plan, each), []).append(each.profile.name)
    for words, names in differences.items():
        if words:
            yield say(f"{words}, as `check` takes there: {', '.join(names)}", hang=2)
    if verbose:
        yield from _caveats(shown)


def _difference(plan: Plan, candidate: Known) -> str:
    """What the machine was judged with that differs from what stands above."""
    wanted, here = plan.workload, candidate.workload
    parts = []
    if (here.quantization, here.runtime) != (wanted.quantization, wanted.runtime):
        parts.append(format_words(here))
    if here.finetune_method != wanted.finetune_method:
        parts.append(here.finetune_method or "-")
    if here.context_tokens != wanted.context_tokens:
        parts.append(context_words(here))
    return "With " + " and ".join(parts) if parts else ""


def _caveats(shown: Sequence[Known]) -> Iterator[Block]:
    """What is unsure of the profiles of these machines."""
    confidences = {candidate.profile.machine.confidence or "" for candidate in shown}
    if unsure := sorted(confidences & {"medium", "low"}, reverse=True):
        yield say(f"Of {' and '.join(unsure)} confidence: check your configuration.")
    yield from _limits([candidate.profile for candidate in shown])
    codes = [finding.code for each in shown for finding in each.findings
             if finding.outcome is Outcome.WARN]  # fmt: skip
    if "disk-assumed" in codes:
        yield say("Where a profile does not state the free space, enough of it is assumed.")


def _known_table(plan: Plan, shown: Sequence[Known], verbose: bool) -> Table:
    """A row a machine, with the likely pace; `verbose` adds the range and the confidence."""
    columns = (
        Column(),
        Column(title="machine"),
        Column(title="RAM", right=True),
        Column(title="GPU memory", right=True, drop=1),
        Column(title=pace_title(candidate.speed for candidate in shown)),
        Column(title="kind", drop=4),
        Column(title="where", drop=3),
        Column(title="confidence" if verbose else "", drop=2),
    )
    places = {"host": "RAM", "accelerator": "GPU", "split": "both"}
    rows: list[tuple[Cell, ...]] = []
    for candidate in shown:
        machine = candidate.profile.machine
        place = "GPU" if candidate.by_shared_gpu else places.get(candidate.placement or "", "-")
        is_sure = plan.fast_enough(candidate) or _is_slow_work(candidate)
        pace = pace_of(candidate.speed, always_ends=verbose)
        rows.append(
            (
                Span(text="✓", style=Route.LOCAL)
                if is_sure
                else Span(text="?", style=Route.UNKNOWN),
                strong(candidate.profile.name),
                *_memory(machine),
                _SLOW if _has_slow_pace(candidate) else pace,
                candidate.profile.kind,
                f"{place}, little left" if candidate.is_tight else place,
                machine.confidence or "" if verbose else "",
            )
        )
    return Table(columns=columns, rows=tuple(rows), indent=0)


def _some_of_each(plan: Plan) -> list[Known]:
    """The best of each kind, smallest first; those of which the pace is known come before.

    A desktop whose own cards hold the model is one kind, any other desktop another.
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
    """The smallest at a comfortable pace, else that is fast enough, of known pace first."""
    enough = list(filter(plan.fast_enough, among))
    timed = filter(_has_pace, (*filter(plan.is_comfortable, among), *enough))
    return next(timed, (*enough, *among)[0])


def _is_limited(machine: Machine) -> bool:
    """Whether programs get less than all of its RAM."""
    return (machine.memory_limit_bytes or 0) < (machine.memory_total_bytes or 0)


def _limits(shown: Sequence[Profile]) -> Iterator[Block]:
    """What a star behind the RAM means."""
    for profile in shown:
        if _is_limited(profile.machine):
            whole = units.binary(profile.machine.memory_total_bytes or 0)
            remark = f"* what a limit leaves to programs, of {whole}: {profile.name}"
            yield say(remark, hang=2)


def _memory(machine: Machine) -> tuple[str, str]:
    """RAM, with a star where that is a limit, and the accelerators' own memory."""
    ram = "-"
    if machine.memory_limit_bytes is not None:
        ram = units.binary(machine.memory_limit_bytes) + "*" * _is_limited(machine)
    cards = machine.accelerators or ()
    sizes = [card.memory_total_bytes for card in cards if not card.unified]
    sizes = [size for size in sizes if size is not None]
    if not sizes:
        return ram, "shared" if any(card.unified for card in cards) else ""
    each = units.binary(sizes[0] or 0)
    return ram, each if len(sizes) == 1 else f"{len(sizes)} x {each}"


def profiles_document(profiles: Sequence[Profile]) -> Document:
    """Return known machines, a line each."""
    if not profiles:
        none = say("No machine matches. `selfhost machine --profiles` lists all.")
        return Document(blocks=(none,))
    several = f"{len(profiles)} machines" if len(profiles) > 1 else "1 machine"
    columns = (
        Column(title="machine"),
        Column(title="cores", right=True, drop=2),
        Column(title="RAM", right=True),
        Column(title="GPU memory", right=True),
        Column(title="bandwidth", right=True, drop=4),
        Column(title="confidence", drop=1),
        Column(title="what it is", drop=3),
    )
    rows: list[tuple[Cell, ...]] = []
    for profile in profiles:
        cores = profile.machine.cpu_cores_usable
        rate = profile.machine.memory_bandwidth_bytes_per_second
        rows.append(
            (
                strong(profile.name),
                "-" if cores is None else f"{cores:g}",
                *_memory(profile.machine),
                "-" if rate is None else f"{units.decimal(rate)}/s",
                profile.machine.confidence or "",
                profile.title,
            )
        )
    return Document(
        blocks=(
            say(f"{several} to ask about with --machine NAME; the first word may be left out."),
            BLANK,
            Table(columns=columns, rows=tuple(rows), indent=0),
            BLANK,
            *_limits(profiles),
            say("Of medium and low confidence: check your configuration. --format json has the"
                " sources."),
        )
    )  # fmt: skip
