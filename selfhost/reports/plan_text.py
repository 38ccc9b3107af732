"""What `plan` and `machine --profiles` say to a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..advice.plan import Known, Least, Plan
from ..core import units
from ..machine.profiles import Profile
from ..machine.record import Machine
from ..verdict.findings import Outcome, disk_margin_bytes
from ..verdict.record import Route
from .layout import Block, Column, Document, Paragraph, Span, Table
from .words import BLANK, command_line, line, say, section

_SHOWN_PER_KIND = 2
_SYSTEM_NAMES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}


def plan_document(plan: Plan, *, verbose: bool = False, carry: str = "") -> Document:
    """The least machine, what rules it out where none would do, then the known machines, some of
    each kind or with `verbose` all.

    `carry` goes behind the `selfhost check …` that is proposed.
    """
    fitting = plan.fitting
    blocks: list[Block] = [_headline(plan)]
    if judged_as := _asked(plan):
        blocks.append(say(judged_as))
    blocks += [say(note) for note in plan.notes]
    if plan.least is not None:
        _least(blocks, plan, plan.least)
    if plan.reasons:
        fails = any(finding.outcome is Outcome.FAIL for finding in plan.reasons)
        section(blocks, "Why not" if fails else "Not known, whatever the machine")
        for finding in plan.reasons:
            blocks.append(say(f"{finding.check}: {finding.reason}", indent=2, hang=2))
            if finding.remedy:
                blocks.append(say(f"→ {finding.remedy}", indent=4, hang=2))
    if fitting:
        _known(blocks, plan, verbose)
        section(blocks, "Ask about one")
        command = (
            f"selfhost check {plan.model.id}{carry} --machine"
            f" {next(filter(plan.fast_enough, fitting), fitting[0]).profile.name}"
        )
        blocks.append(command_line(command))
    return Document(blocks=tuple(blocks))


def _headline(plan: Plan) -> Paragraph:
    name = Span(text=plan.model.name, style="strong")
    if plan.fitting:
        sure = sum(map(plan.fast_enough, plan.fitting))
        perhaps = len(plan.fitting) - sure
        of = f"of {len(plan.known)} known machines"
        if not sure:
            return line(name, f" may run on {perhaps} {of}, on none for sure as fast as wanted")
        return line(
            name, f" runs on {sure} {of}" + (f", and may on {perhaps} more" if perhaps else "")
        )
    if any(candidate.route is Route.UNKNOWN for candidate in plan.known):
        return line(name, ": no known machine runs it for sure")
    return line(
        name,
        (
            " runs on no known machine"
            if plan.least is not None
            else " runs on no machine, however large"
        ),
    )


def _asked(plan: Plan) -> str:
    workload = plan.workload
    parts = [
        (
            f"{workload.quantization} in {workload.runtime}"
            if workload.quantization and workload.runtime
            else workload.runtime or ""
        )
    ]
    if workload.context_tokens is not None:
        each = f" for each of {workload.parallel} sequences" if workload.parallel > 1 else ""
        parts.append(f"{units.tokens(workload.context_tokens)} of context{each}")
    if workload.kv_cache_type not in (None, "f16"):
        parts.append(f"{workload.kv_cache_type} cache")
    if workload.audio_seconds is not None:
        parts.append(f"{units.duration(workload.audio_seconds)} of audio")
    if workload.task != "generate":
        parts.append(f"to {workload.task}")
    if workload.min_tokens_per_second:
        parts.append(f"at least {workload.min_tokens_per_second:g} tokens/s")
    seconds = workload.seconds_to_download(plan.needs.download_bytes if plan.needs else None)
    if seconds is not None and plan.needs is not None:
        parts.append(
            f"{units.decimal(plan.needs.download_bytes or 0)} to download in about"
            f" {units.duration(seconds)}"
        )
    return ", ".join(part for part in parts if part)


def _least(blocks: list[Block], plan: Plan, least: Least) -> None:
    """The least machine, one line for each thing that has a price."""
    rows = (
        *_memory_rows(least),
        _disk_row(plan, least),
        _processor_row(least),
        *_pace(plan, least),
    )
    cells = tuple(
        (Span(text=label), Span(text=figure, style="strong"), Span(text=why))
        for label, figure, why in rows
    )
    section(blocks, "The least machine")
    blocks.append(Table(columns=(Column(), Column(), Column(wrap=True)), rows=cells))


def _memory_rows(least: Least) -> list[tuple[str, str, str]]:
    system = _SYSTEM_NAMES.get(least.machine.system or "", "the system")
    beside = units.binary_at_least(least.memory_beside_accelerator_bytes)
    model = units.binary_at_least(least.memory_bytes - least.reserve_bytes)
    kept = f"{units.binary(least.reserve_bytes)} for {system} itself"
    rows: list[tuple[str, str, str]] = []
    if least.accelerator_required and not any(
        card.unified for card in least.machine.accelerators or ()
    ):
        rows.append(
            (
                "GPU memory",
                units.binary_at_least(least.accelerator_bytes),
                "on one accelerator, which the runtime needs",
            )
        )
        rows.append(
            (
                "RAM",
                units.binary_at_least(least.memory_bytes),
                f"{model} beside the accelerator, {kept}",
            )
        )
    else:
        rows.append(
            ("RAM", units.binary_at_least(least.memory_bytes), f"{model} for the model, {kept}")
        )
        rows.append(
            (
                "or GPU memory",
                units.binary_at_least(least.accelerator_bytes),
                f"to hold all of it on one accelerator, with {beside} of RAM",
            )
        )
    return rows


def _disk_row(plan: Plan, least: Least) -> tuple[str, str, str]:
    size = plan.needs.disk_bytes if plan.needs is not None else None
    if least.disk_bytes is None or size is None:
        return "disk", "not known", "the size of the files is not known"
    anywhere = units.decimal_at_least(size + disk_margin_bytes(None))
    why = f"free on a disk of that size, a margin included; {anywhere} on a large one"
    return "disk", units.decimal_at_least(least.disk_bytes), why


def _processor_row(least: Least) -> tuple[str, str, str]:
    sets = f"with {', '.join(least.instruction_sets)}" if least.instruction_sets else ""
    faster = (
        f"well with {', '.join(least.recommended_instruction_sets)}"
        if least.recommended_instruction_sets
        else ""
    )
    why = "; ".join(part for part in (sets, faster) if part)
    names = " or ".join(least.architectures) or "any"
    return "processor", names, f"{why} ({least.machine.architecture})" if why else ""


def _pace(plan: Plan, least: Least) -> Iterable[tuple[str, str, str]]:
    wanted = plan.workload.min_tokens_per_second
    if not wanted:
        return
    if least.bandwidth_bytes_per_second is None or least.cores is None:
        if not least.accelerator_required:
            yield (
                "bandwidth",
                "not known",
                (
                    f"what RAM would reach {wanted:g} tokens/s cannot be told, or none does; an"
                    " accelerator may"
                ),
            )
        return
    yield "cores", f"{least.cores:g}", "so that the memory sets the pace, not the arithmetic"
    sure, perhaps = least.bandwidth_bytes_per_second, least.bandwidth_perhaps_bytes_per_second
    less = (
        f"; {units.decimal_at_least(perhaps)}/s may do"
        if perhaps is not None and perhaps < sure
        else ""
    )
    rate = f"{units.decimal_at_least(sure)}/s"
    said = f"bandwidth={rate.replace(' ', '')}:measured"
    yield (
        "bandwidth",
        rate,
        f"of RAM as --measure finds it, for {wanted:g} tokens/s{less}; --set {said}",
    )


def _known(blocks: list[Block], plan: Plan, verbose: bool) -> None:
    fitting = plan.fitting
    shown = list(fitting) if verbose else _some_of_each(plan)
    are_fast = {plan.fast_enough(candidate) for candidate in fitting}
    section(blocks, f"Known machines that {_DOES[True in are_fast, False in are_fast]}")
    blocks.append(_known_table(shown))
    if len(fitting) > len(shown):
        blocks.append(say(f"{len(fitting) - len(shown)} more with --verbose.", indent=2))
    confidences = {candidate.profile.machine.confidence or "" for candidate in shown}
    if unsure := sorted(confidences & {"medium", "low"}, reverse=True):
        blocks.append(
            say(f"Of {' and '.join(unsure)} confidence: check your configuration.", indent=2)
        )
    if False in are_fast:
        blocks.append(
            say("Where the range begins below the wanted speed, it may be too slow.", indent=2)
        )
    _limits(blocks, [candidate.profile for candidate in shown], indent=2)
    if any(
        finding.code == "disk-assumed" and finding.outcome is Outcome.WARN
        for candidate in shown
        for finding in candidate.findings
    ):
        blocks.append(
            say("Where a profile does not state the free space, enough of it is assumed.", indent=2)
        )


# by whether some are fast enough for sure, and whether some only perhaps
_DOES = {
    (True, True): "run it, or may, smallest first",
    (True, False): "run it, smallest first",
    (False, True): "may run it, smallest first",
}


def _known_table(shown: Sequence[Known]) -> Table:
    columns = (
        Column(title="machine"),
        Column(title="kind", drop=4),
        Column(title="RAM", right=True),
        Column(title="GPU memory", right=True, drop=1),
        Column(title="tokens/s", right=True),
        Column(title="where", drop=3),
        Column(title="confidence", drop=2),
    )
    rows = []
    for candidate in shown:
        machine, pace = candidate.profile.machine, candidate.pace
        texts = (
            candidate.profile.kind,
            *_memory(machine),
            units.pace(pace.low, pace.high) if pace else "-",
            _where(candidate),
            machine.confidence or "",
        )
        name = Span(text=candidate.profile.name, style="strong")
        rows.append((name, *(Span(text=text) for text in texts)))
    return Table(columns=columns, rows=tuple(rows))


def _where(candidate: Known) -> str:
    if candidate.by_shared_gpu:
        return "GPU"
    places = {"host": "RAM", "accelerator": "GPU", "split": "both"}
    return places.get(candidate.placement or "", "-")


def _some_of_each(plan: Plan) -> list[Known]:
    """The smallest, but not more than a few of one kind: among them the smallest that is fast
    enough for sure.
    """
    kept = set()
    for kind in dict.fromkeys(candidate.profile.kind for candidate in plan.fitting):
        own = [candidate for candidate in plan.fitting if candidate.profile.kind == kind]
        first = own[:_SHOWN_PER_KIND]
        if not any(map(plan.fast_enough, first)):
            first[-1] = next(filter(plan.fast_enough, own), first[-1])
        kept |= {candidate.profile.name for candidate in first}
    return [candidate for candidate in plan.fitting if candidate.profile.name in kept]


def _limited(machine: Machine) -> bool:
    """Programs get less than all of its RAM."""
    return (machine.memory_limit_bytes or 0) < (machine.memory_total_bytes or 0)


def _limits(blocks: list[Block], shown: Sequence[Profile], *, indent: int = 0) -> None:
    """What a star behind the RAM means."""
    for profile in shown:
        if _limited(profile.machine):
            remark = (
                "* what a limit leaves to programs, of"
                f" {units.binary(profile.machine.memory_total_bytes or 0)}: {profile.name}"
            )
            blocks.append(say(remark, indent=indent, hang=2))


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
    """Every known machine, a line each."""
    blocks: list[Block] = [
        say(
            f"{len(profiles)} machines to ask about with --machine NAME; the first word may be left"
            " out."
        ),
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
