"""What `plan` says to a person, and `verify`, which compares a prediction with a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..advice.plan import Known, Least, Plan
from ..advice.runs import Figure
from ..advice.verify import Verification, is_wide
from ..core import units
from ..core.quoting import shell_word
from ..judge.checks import Outcome
from ..judge.checks.space import desktop_bytes
from ..judge.record import Route
from . import words
from .layout import (
    AS_TOPIC,
    Blocks,
    Span,
    Table,
    command,
    figures,
    line,
    section,
    strong,
    texts,
    topics,
)
from .machine_text import memory_cells

# machines of the first screen
_SHOWN = 6
# kinds of machines that people own or rent, the commonest first; and those that they do not choose
_OFTEN_OWNED = ("desktop", "laptop", "mac", "cloud", "mini-pc", "server", "board")
_NOT_TO_OWN = ("ci", "virtual")


def plan_document(plan: Plan, *, verbose: bool = False, carry: str = "") -> Blocks:
    """Yield the least machine or why there is none, then known ones; `carry` ends the command."""
    is_open = any(candidate.route is Route.UNKNOWN for candidate in plan.machines)
    yield line(*_headline(plan, is_open))
    machines, where = f"of {len(plan.machines)} known machines", ""
    parts = words.run_words(plan.workload)
    if plan.fitting:
        sure = sum(candidate.is_fast_enough for candidate in plan.fitting)
        perhaps = f", perhaps on {len(plan.fitting) - sure} more" * (len(plan.fitting) > sure)
        where = f"runs on {sure} {machines}{perhaps}"
    elif is_open:
        where = "no known machine is certain to run it"
    elif plan.least is not None:
        where = f"none {machines} runs it"
    if wanted := plan.workload.min_tokens_per_second:
        is_each = any(each.speed and each.speed.each_of > 1 for each in plan.machines)
        parts.append(f"at least {units.stated(wanted)} tokens/s{' each' * is_each}")
    yield from texts((where, ", ".join(parts), *plan.notes))
    if plan.least is not None:
        yield from (line(), figures(_least_rows(plan, plan.least, verbose), drop=not verbose))
    fails = any(finding.outcome is Outcome.FAIL for finding in plan.reasons)
    title = "Why not" if fails else "Not known, whatever the machine"
    yield from section(title, topics(map(AS_TOPIC, plan.reasons)))
    question = f"selfhost check {shell_word(plan.asked)}{plan.options}{carry}"
    if plan.fitting:
        shown = _shown(plan, verbose)
        yield from (line(), *_known(plan, shown), line())
        yield command(f"{question} --machine {_best(shown).name}")
    elif plan.least is None and not is_open:
        yield from (line(), line("An API that has it, or what runs instead:"), command(question))


def _headline(plan: Plan, is_open: bool) -> tuple[str, ...]:
    name, least = strong(plan.model.name), plan.least
    if least is None and is_open:
        return Span("? CANNOT TELL", Route.UNKNOWN), "  which machine runs ", name
    if least is None:
        sign = Span("✗ NO MACHINE", Route.NEITHER)
        return sign, "  ", name, " runs on no machine, however large"
    sizes = least.accelerator.memory_bytes, least.memory_bytes
    gpu, ram = (units.binary(size, up=True) for size in sizes)
    where = f"needs {ram} of RAM, or a GPU with {gpu}"
    is_unpaced = plan.workload.min_tokens_per_second and least.bandwidth_bytes_per_second is None
    is_unified = any(card.unified for card in least.machine.accelerators or ())
    if least.accelerator.required and not is_unified:
        where = f"needs a GPU with {gpu}"
    elif is_unpaced or least.is_slow:
        where = f"needs a GPU with {gpu}, or{' (slowly)' * least.is_slow} {ram} of RAM"
    sign = Span("✓ RUNS", Route.LOCAL)
    if not plan.fitting:
        sign = Span("✗ NO KNOWN MACHINE", Route.NEITHER)
        where = f"{where}, but no machine of the list runs it under your conditions"
    elif all(candidate.is_slow for candidate in plan.fitting):
        sign = Span("✓ RUNS SLOWLY", Outcome.WARN)
    return sign, "  ", name, f" {where}"


def _least_rows(plan: Plan, least: Least, verbose: bool) -> Iterator[tuple[str, str, str]]:
    cpu, card, disk = least.cpu, least.accelerator, least.disk_bytes
    is_unified = any(each.unified for each in least.machine.accelerators or ())
    needs_card = card.required and not is_unified
    gpu, ram = units.binary(card.memory_bytes, up=True), units.binary(least.memory_bytes, up=True)
    beside = card.memory_beside_bytes
    system = "Linux" if least.machine.system == "linux" else "the system"
    desktop = units.binary(desktop_bytes(least.machine))
    if needs_card:
        yield "GPU memory", gpu, "on one GPU, which the runtime needs"
    kept = f"{units.binary(least.reserve_bytes)} of it for {system} itself"
    yield "RAM", ram, f"{kept}; a desktop with its programs takes {desktop} or more"
    if not needs_card:
        also = words.known(
            beside, lambda size: f"{units.binary(size, up=True)} of RAM", "unknown RAM"
        )
        yield "or GPU memory", gpu, f"on one GPU, with {also}"
    free = words.known(disk, lambda size: units.decimal(size, up=True), "not known")
    yield "disk", free, "free, with a safety margin"
    wanted = plan.workload.min_tokens_per_second
    if wanted and not needs_card:
        rate = least.bandwidth_bytes_per_second
        without_gpu = f"for {units.stated(wanted)} tokens/s without a GPU"
        if rate is None:
            yield "bandwidth", "not known", f"how fast RAM must be {without_gpu}"
        else:
            cores = ""
            if cpu.cores is not None:
                cores = f", and {units.cores(cpu.cores)}"
            yield "bandwidth", f"{units.decimal(rate, up=True)}/s", f"of RAM{cores}, {without_gpu}"
    if verbose:
        sets = (("with", cpu.instruction_sets), ("well with", cpu.recommended_instruction_sets))
        why = "; ".join(f"{word} {', '.join(names)}" for word, names in sets if names)
        names = " or ".join(cpu.architectures) or "any"
        yield "processor", names, f"{why} ({least.machine.architecture})" if why else ""


def _shown(plan: Plan, verbose: bool) -> list[Known]:
    """All that run it, smallest first; else of each kind the best whose GPUs hold all of it and the
    best without, what people own or rent first and those in doubt last.
    """
    if verbose:
        return list(plan.fitting)
    # runners of CI and containers are no answer to what to buy or rent
    to_own = [each for each in plan.fitting if each.kind not in _NOT_TO_OWN] or plan.fitting
    by_kind: dict[tuple[str, bool], list[Known]] = {}
    for candidate in to_own:
        is_on_card = candidate.placement == "accelerator"
        by_kind.setdefault((candidate.kind, is_on_card), []).append(candidate)
    bests = [_best(candidates) for candidates in by_kind.values()]
    bests.sort(key=lambda best: (bool(_doubts(best)), _rank_of(best.kind)))
    return bests[:_SHOWN]


def _rank_of(kind: str) -> int:
    """How soon people think of such a machine: what they own first, then what they rent."""
    return _OFTEN_OWNED.index(kind) if kind in _OFTEN_OWNED else len(_OFTEN_OWNED)


def _known(plan: Plan, shown: Sequence[Known]) -> Blocks:
    """A row a machine, with the likely pace and what is judged otherwise there."""
    usual, rows, unsure = words.run_words(plan.workload), list[tuple[str, ...]](), ""
    for each in shown:
        held, doubts = words.PLACES.get(each.placement or "", "-"), _doubts(each)
        if doubts:
            unsure = "?: little memory left, or slow; slow?: perhaps slower than you need"
        row = (
            Span("?", Route.UNKNOWN) if doubts else Span("✓", Route.LOCAL),
            strong(each.name),
            *memory_cells(each.machine),
            words.pace_of(each.speed),
            each.kind,
            ", ".join(("GPU" if each.by_shared_gpu else held, *doubts)),
            ", ".join(part for part in words.run_words(each.workload) if part not in usual),
        )
        rows.append(row)
    yield Table.of("plan", rows, pace=words.pace_title(each.speed for each in shown))
    rest = len(plan.fitting) - len(shown)
    yield from texts([f"{rest} more: -v" if rest else "", unsure], indent=0)
    yield line("~ is the likely pace; the line below tells its range.")


def _doubts(candidate: Known) -> list[str]:
    tight = "limit to raise" if candidate.waits_for_setting else "little left"
    doubts = [tight] * candidate.is_tight
    if not candidate.is_fast_enough:
        doubts.append("slow" if candidate.is_slow else "slow?")
    return doubts


def _best(among: Sequence[Known]) -> Known:
    """The smallest at a comfortable pace, else that is fast enough, of known pace first."""
    enough = [each for each in among if each.is_fast_enough]
    ranked = (*(each for each in among if each.is_comfortable), *enough)
    timed = (each for each in ranked if words.pace_of(each.speed) != "-")
    return next(timed, (*enough, *among)[0])


_HEADS = {
    "inside": Span("✓ INSIDE THE RANGE", "local"),
    "outside": Span("✗ OUTSIDE", "neither"),
    "nothing": Span("? NOTHING TO COMPARE", "unknown"),
}
_MARKS = {True: ("inside", "pass"), False: ("outside", "fail"), None: ("not compared", "unknown")}


def verify_document(comparison: Verification) -> Blocks:
    """Yield the outcome, then predicted, seen and difference of each figure, then reasons."""
    verdict, run, rows = comparison.verdict, comparison.run, list[tuple[str, ...]]()
    judged = [row.inside for row in comparison.differences if row.inside is not None]
    conclusion = "no figure of the run can be compared"
    if judged:
        conclusion = f"{sum(judged)} of {len(judged)} figures inside the range"
    yield line(_HEADS[comparison.outcome], "  ", strong(verdict.model.name), f": {conclusion}")
    asked = words.run_words(verdict.workload.replace(context_tokens=run.context_tokens))
    yield line(", ".join((*asked, f"seen in: {run.tool}")), indent=2)
    reasons: dict[str, dict[str, None]] = {}
    for row in comparison.differences:
        name, likely, ends, off = _figure_name(row), "–", "", ""
        is_size, seen = row.unit == "bytes", units.speed(row.seen)
        if is_size:
            seen = units.binary(int(row.seen))
        if row.likely is not None and row.low is not None and row.high is not None:
            # a pace goes without its unit, which stands beside what was seen
            likely, ends = units.pace(row.likely), units.pace(row.low, row.high)
            if is_size:
                likely = units.binary(int(row.likely))
                ends = units.between(units.binary, int(row.low), int(row.high))
        # of figures of unlike things it says nothing
        if row.inside is not None and row.difference is not None:
            is_far = row.difference >= 9
            off = f"×{1 + row.difference:,.0f}" if is_far else f"{row.difference:+.0%}"
        mark = Span("inside, wide", "unknown") if is_wide(row) else Span(*_MARKS[row.inside])
        rows.append((name, seen, likely, ends, off, mark))
        if row.why is not None:
            reasons.setdefault(row.why, {})[name] = None
    yield from (line(), Table.of("verify", rows), line())
    whys = (f"{'; '.join(titles)}: {why}." for why, titles in reasons.items())
    yield from (*texts([*whys, *comparison.notes], indent=0), line())
    yield line("For a bug report, without names and paths: --format json")


def _figure_name(row: Figure) -> str:
    depth = row.depth_tokens or 0
    is_deeper = depth > (row.tokens or 0)
    about = (
        f"{row.sequences} at once" if row.sequences > 1 else "",
        "GPU" if row.where == "accelerators" else "",
        "" if row.tokens is None else units.tokens(row.tokens),
        f"{units.tokens(depth)} in the context" if is_deeper else "",
    )
    said = ", ".join(filter(None, about))
    name = words.LABELS["verified"].get(row.term, row.term.replace("_", " "))
    return f"{name} ({said})" if said else name
