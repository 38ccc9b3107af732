"""What `plan` and `machine --profiles` say to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..advice.plan import Known, Least, Plan
from ..core import units
from ..judge.checks import Outcome
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
    figures,
    heading,
    line,
    say,
    strong,
    texts,
)
from .words import finding_blocks, pace_of, pace_title, run_words

# machines of the first screen
_SHOWN = 6
_PLACES = {"host": "RAM", "accelerator": "GPU", "split": "GPU+RAM"}
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
    blocks += texts((_count(plan), _asked(plan), *plan.notes), hang=0)
    if plan.least is not None:
        rows = _least_rows(plan, plan.least, verbose)
        blocks += [BLANK, figures(rows, drop=0 if verbose else 1)]
    if plan.reasons:
        fails = any(finding.outcome is Outcome.FAIL for finding in plan.reasons)
        blocks += heading("Why not" if fails else "Not known, whatever the machine")
        blocks += finding_blocks(plan.reasons)
    question = f"selfhost check {plan.model.id}{plan.options}{carry}"
    if plan.least is None and not _is_open(plan):
        instead = say("An API that has it, or what runs instead:")
        blocks += [BLANK, instead, command_line(question)]
    if plan.fitting:
        blocks += [BLANK, *_known(plan, verbose)]
        if plan.workload.min_tokens_per_second is not None:
            blocks.append(say(_NO_PRICES, hang=2))
        best = _best(plan, plan.fitting)
        blocks += [BLANK, command_line(f"{question} --machine {best.name}")]
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
        none = Span(text="✗ NO MACHINE", style=Route.NEITHER)
        return line(none, "  ", name, " runs on no machine, however large")
    gpu = units.binary_at_least(least.accelerator.memory_bytes)
    ram = units.binary_at_least(least.memory_bytes)
    where = f"on {ram} of RAM, or a GPU of {gpu}"
    if _needs_card(least):
        where = f"on a GPU of {gpu}"
    elif plan.workload.min_tokens_per_second and least.bandwidth_bytes_per_second is None:
        where = f"on a GPU of {gpu}; whether RAM ({ram}) is fast enough is not known"
    elif least.is_slow:
        where = f"on a GPU of {gpu}, or slowly in {ram} of RAM"
    if not plan.fitting:
        none = Span(text="✗ NO KNOWN MACHINE", style=Route.NEITHER)
        rest = f" fits {where}, but no machine of the list runs it under your conditions"
        return line(none, "  ", name, rest, hang=2)
    sign = Span(text="✓ RUNS", style=Route.LOCAL)
    if all(candidate.is_slow for candidate in plan.fitting):
        sign = Span(text="✓ RUNS SLOWLY", style=Outcome.WARN)
    return line(sign, "  ", name, f" {where}", hang=2)


def _needs_card(least: Least) -> bool:
    """Whether a GPU with memory of its own is required."""
    unified = any(card.unified for card in least.machine.accelerators or ())
    return least.accelerator.required and not unified


def _count(plan: Plan) -> str:
    """How many known machines run it."""
    of_all = f"of {len(plan.machines)} known machines"
    if not plan.fitting:
        none = "" if plan.least is None else f"none {of_all} runs it"
        return "no known machine runs it for sure" if _is_open(plan) else none
    sure = sum(map(plan.fast_enough, plan.fitting))
    perhaps = len(plan.fitting) - sure
    if not sure:
        return f"likely fast enough on {perhaps} {of_all}, surely on none"
    return f"runs on {sure} {of_all}{f', and may on {perhaps} more' if perhaps else ''}"


def _asked(plan: Plan) -> str:
    """What was judged."""
    workload, needs = plan.workload, plan.needs
    parts = run_words(workload)
    if workload.min_tokens_per_second:
        paces = [machine.speed for machine in plan.machines if machine.speed is not None]
        each = " each" if any(pace.each_of > 1 for pace in paces) else ""
        parts.append(f"at least {units.stated(workload.min_tokens_per_second)} tokens/s{each}")
    size = needs.download_bytes if needs is not None else None
    seconds = workload.seconds_to_download(size)
    if seconds is not None and size is not None:
        parts.append(f"{units.decimal(size)} to download in about {units.duration(seconds)}")
    return ", ".join(parts)


# ------------------------------------------------------------------ the least machine


def _least_rows(plan: Plan, least: Least, verbose: bool) -> Iterator[_Row]:
    """The least machine, a row for each thing that has a price."""
    card, cpu = least.accelerator, least.cpu
    gpu, ram = units.binary_at_least(card.memory_bytes), units.binary_at_least(least.memory_bytes)
    kept = f"{units.binary(least.reserve_bytes)} of it for the system itself"
    beside = card.memory_beside_bytes
    also = "unknown RAM" if beside is None else f"{units.binary_at_least(beside)} of RAM"
    if _needs_card(least):
        yield "GPU memory", gpu, "on one GPU, which the runtime needs"
        yield "RAM", ram, kept
    else:
        yield "RAM", ram, kept
        yield "or GPU memory", gpu, f"on one GPU, with {also}"
    disk = "not known"
    if least.disk_bytes is not None:
        disk = units.decimal_at_least(least.disk_bytes)
    yield "disk", disk, "free, with a safety margin"
    wanted = plan.workload.min_tokens_per_second
    if wanted and not _needs_card(least):
        yield from _pace_rows(least, f"{units.stated(wanted)} tokens/s")
    if verbose or len(cpu.architectures) <= _FEW_ARCHITECTURES:
        sets = (("with", cpu.instruction_sets), ("well with", cpu.recommended_instruction_sets))
        why = "; ".join(f"{word} {', '.join(names)}" for word, names in sets if names)
        names = " or ".join(cpu.architectures) or "any"
        yield "processor", names, f"{why} ({least.machine.architecture})" if why else ""


def _pace_rows(least: Least, wanted: str) -> Iterator[_Row]:
    """What reaches the wanted speed from RAM."""
    rate, cores = least.bandwidth_bytes_per_second, least.cpu.cores
    pace = "not known" if rate is None else f"{units.decimal_at_least(rate)}/s"
    yield "bandwidth", pace, f"of RAM, for {wanted} without a GPU"
    if rate is not None and cores is not None:
        yield "cores", f"{cores:g}", "enough that memory bandwidth is the bottleneck"


# ------------------------------------------------------------------ known machines


def _known(plan: Plan, verbose: bool) -> Iterator[Block]:
    """A row a machine, smallest first, with the likely pace and what is judged otherwise there."""
    shown = list(plan.fitting) if verbose else _some_of_each(plan)
    columns = (
        Column(),
        Column(title="machine"),
        Column(title="RAM", right=True),
        Column(title="GPU memory", right=True, drop=1),
        Column(title=pace_title(candidate.speed for candidate in shown)),
        Column(title="kind", drop=4),
        Column(title="where", drop=3),
        Column(title="judged as", drop=5),
    )
    rows: list[tuple[Cell, ...]] = []
    is_unsure = False
    for candidate in shown:
        place = "GPU" if candidate.by_shared_gpu else _PLACES.get(candidate.placement or "", "-")
        is_sure = plan.fast_enough(candidate)
        is_unsure |= not is_sure
        judged = run_words(candidate.workload)
        sign, style = ("✓", Route.LOCAL) if is_sure else ("?", Route.UNKNOWN)
        rows.append(
            (
                Span(text=sign, style=style),
                strong(candidate.name),
                *_memory(candidate.machine),
                pace_of(candidate.speed),
                candidate.kind,
                f"{place}, little left" if candidate.is_tight else place,
                "" if judged == run_words(plan.workload) else ", ".join(judged),
            )
        )
    yield Table(columns=columns, rows=tuple(rows), indent=0)
    rest = len(plan.fitting) - len(shown)
    hints = (
        f"{rest} more: -v" if rest else "",
        "?: slow, or at its slow end below the speed you need" if is_unsure else "",
    )
    yield from texts([" · ".join(filter(None, hints))], indent=0, hang=0)


def _some_of_each(plan: Plan) -> list[Known]:
    """The best of each kind, smallest first; those of which the pace is known come before."""
    groups: dict[str, list[Known]] = {}
    for candidate in plan.fitting:
        groups.setdefault(candidate.kind, []).append(candidate)
    bests = [_best(plan, among) for among in groups.values()]
    # those that do it for sure first, and what nobody buys last
    bests.sort(key=lambda best: (not plan.fast_enough(best), best.kind == "ci"))
    names = [best.name for best in bests[:_SHOWN]]
    shown = [candidate for candidate in plan.fitting if candidate.name in names]
    return sorted(shown, key=lambda candidate: not _is_timed(candidate))


def _is_timed(candidate: Known) -> bool:
    return pace_of(candidate.speed) != "-"


def _best(plan: Plan, among: Sequence[Known]) -> Known:
    """The smallest at a comfortable pace, else that is fast enough, of known pace first."""
    enough = list(filter(plan.fast_enough, among))
    timed = filter(_is_timed, (*filter(plan.is_comfortable, among), *enough))
    return next(timed, (*enough, *among)[0])


def _memory(machine: Machine) -> tuple[str, str]:
    """RAM that programs get, and the accelerators' own memory."""
    limit, cards = machine.memory_limit_bytes, machine.accelerators or ()
    ram = "-" if limit is None else units.binary(limit)
    sizes = [units.binary(card.memory_total_bytes or 0) for card in cards if not card.unified]
    if not sizes:
        return ram, "shared" if cards else ""
    return ram, sizes[0] if len(sizes) == 1 else f"{len(sizes)} x {sizes[0]}"


def profiles_document(profiles: Sequence[Profile]) -> Document:
    """Return known machines, a line each."""
    if not profiles:
        none = say("No machine matches. `selfhost machine --profiles` lists all.")
        return Document(blocks=(none,))
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
    count = f"{len(profiles)} machine{'s' if len(profiles) > 1 else ''}"
    head = f"{count} to ask about with --machine NAME; the first word may be left out."
    doubt = "Of medium and low confidence: check your configuration. --format json has the sources."
    table = Table(columns=columns, rows=tuple(rows), indent=0)
    return Document(blocks=(say(head), BLANK, table, BLANK, say(doubt)))
