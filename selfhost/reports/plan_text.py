"""The screen of `plan`: the least machine that runs a model, and known machines that run it.

A `Plan` goes in, blocks come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..advice.plan import NOT_TO_OWN, KnownMachine, LeastCpu, LeastMachine, Plan
from ..core import units
from ..core.quoting import shell_word
from ..judge.checks import Outcome
from ..judge.checks.space import desktop_bytes
from ..judge.record import Route
from .answer_words import ATTENTION, with_outcome
from .layout import (
    AS_TOPIC,
    Blocks,
    FigureRow,
    Hint,
    Paragraph,
    Span,
    Table,
    command,
    figures,
    known_figure,
    line,
    section,
    strong,
    texts,
    topics,
)
from .machine_text import memory_cells
from .model_figures import have_paces, wait_of
from .words import PLACES, pace_of, pace_title, run_words

# machines of the first screen, and pairs of them
_SHOWN = 6
_SHOWN_JOINED = 4
# kinds of machines that people own or rent, the commonest first
_OFTEN_OWNED = ("desktop", "laptop", "mac", "cloud", "mini-pc", "server", "board")


def plan_document(
    plan: Plan,
    *,
    verbose: bool = False,
    carry: str = "",
) -> Blocks:
    """Yield the least machine, or the reasons why there is none, then known machines.

    `verbose` shows every machine that runs the model. `carry` goes behind the proposed command.
    """
    yield _headline(plan)
    yield from texts([_machines_counted(plan), _workload_words(plan), *plan.notes])
    if plan.least is not None:
        yield line()
        rows = _least_rows(plan, plan.least, verbose=verbose)
        # a narrow terminal drops the notes, but not under `-v`
        yield figures(rows, drop=0 if verbose else 1)
    yield from _reasons(plan)
    question = f"selfhost check {shell_word(plan.asked)}{plan.options}{carry}"
    if plan.fitting:
        shown = list(plan.fitting)
        if not verbose:
            shown = _first_machines(plan)
        yield line()
        yield from _known_machines(plan, shown)
        yield line()
        yield command(f"{question} --machine {_best(shown).name}")
    elif plan.least is None and not _may_run_somewhere(plan):
        yield line()
        yield line("An API that has it, or what runs instead:")
        yield command(question)
    yield from _joined_blocks(plan, question, verbose=verbose)


def _joined_blocks(plan: Plan, question: str, *, verbose: bool) -> Blocks:
    """Yield two of a machine that run the model together, where one does not, from the smallest;
    nothing where there are none.
    """
    joined = plan.joined if verbose else plan.joined[:_SHOWN_JOINED]
    if not joined:
        return
    rows = []
    for row in joined:
        pace = row.judged_tokens_per_second
        figure = "-" if pace is None else f"~{units.speed(pace.likely)}"
        way = f"{row.quantization} in {row.runtime}, by {row.split}, over {row.link}"
        rows.append((f"{row.number} × {row.machine}", figure, way))
    first = joined[0]
    together = shell_word(f"{first.number}x {first.machine}")
    yield from section(
        "Two of a machine, joined, where one does not run it",
        (figures(rows), command(f"{question} --machine {together}")),
    )
    left_out = len(plan.joined) - len(joined)
    if left_out:
        yield line(f"{left_out} more: -v")


def _may_run_somewhere(plan: Plan) -> bool:
    """Whether the route of the model is unknown on some known machine."""
    return any(candidate.route is Route.UNKNOWN for candidate in plan.machines)


def _headline(plan: Plan) -> Paragraph:
    """The line with the answer, and the memory that the model needs."""
    name = strong(plan.model.name)
    if plan.least is not None:
        return line(_sign(plan), "  ", name, f" {_least_words(plan, plan.least)}")
    if plan.fitting:
        return line(_sign(plan), "  ", name, "; the least machine is not known")
    if _may_run_somewhere(plan):
        return line(Span("? CANNOT TELL", Route.UNKNOWN), "  which machine runs ", name)
    sign = Span("✗ NO MACHINE", Route.NEITHER)
    return line(sign, "  ", name, " runs on no machine, however large")


def _sign(plan: Plan) -> Span:
    """The answer for a model that a machine of some size runs."""
    if not plan.fitting:
        return Span("✗ NO KNOWN MACHINE", Route.NEITHER)
    if all(candidate.is_slow for candidate in plan.fitting):
        return Span("✓ RUNS SLOWLY", Outcome.WARN)
    return Span("✓ RUNS", Route.LOCAL)


def _least_words(plan: Plan, least: LeastMachine) -> str:
    """`needs 5.20 GiB of RAM, or a GPU with 4.90 GiB`."""
    gpu = f"a GPU with {units.binary(least.accelerator.memory_bytes, up=True)}"
    ram = _ram_words(least.memory_bytes)
    if least.shares_memory:
        need = f"needs {ram}, which a GPU shares"
    elif least.needs_own_gpu_memory:
        need = f"needs {gpu}"
    elif least.is_slow:
        need = f"needs {gpu}, or (slowly) {ram}"
    else:
        need = f"needs {ram}, or {gpu}"
    if plan.fitting:
        return need + _with_less_words(plan)
    return f"{need}, but no listed machine runs it under your conditions"


def _with_less_words(plan: Plan) -> str:
    """That known machines do with less, where the need alone would contradict them; empty
    otherwise.
    """
    words = ""
    # a machine on which users wait does not hold all of them, whether in doubt or not
    if any(known.speed and known.speed.waiting for known in plan.fitting):
        words = f" for all {plan.workload.parallel} at once"
    if plan.is_run_with_less:
        words += "; some known machines do with less"
    return words


def _other_settings(plan: Plan, known: KnownMachine) -> list[str]:
    """The settings and the type of a known machine that the plan does not have."""
    usual = run_words(plan.workload, plan.contexts)
    settings = run_words(known.workload, plan.contexts)
    return [part for part in settings if part not in usual]


def _machines_counted(plan: Plan) -> str:
    """The number of known machines on which the model runs, in words; empty where the headline
    tells it.
    """
    machines = f"of {len(plan.machines)} known machines"
    if plan.fitting:
        words = f"runs on {len(plan.fitting)} {machines}"
        sure = sum(candidate.is_fast_enough for candidate in plan.fitting)
        perhaps_slow = len(plan.fitting) - sure
        wanted = plan.workload.min_tokens_per_second
        if perhaps_slow and wanted:
            least = units.stated(wanted)
            words += f", on {perhaps_slow:,} of them perhaps below {least} tokens/s"
        elif perhaps_slow:
            words += f", on {perhaps_slow:,} of them perhaps slowly"
        return words
    if _may_run_somewhere(plan):
        return "no known machine is certain to run it"
    if plan.least is None:
        return ""
    return f"none {machines} runs it"


def _workload_words(plan: Plan) -> str:
    """The settings of the run, with the wanted pace."""
    parts = run_words(plan.workload, plan.contexts)
    wanted = plan.workload.min_tokens_per_second
    if wanted:
        pace = f"at least {units.stated(wanted)} tokens/s"
        if any(known.speed and known.speed.each_of > 1 for known in plan.machines):
            pace += " each"
        parts.append(pace)
    return ", ".join(parts)


def _least_rows(
    plan: Plan,
    least: LeastMachine,
    *,
    verbose: bool,
) -> Iterator[FigureRow]:
    """Yield the parts of the least machine as a price list has them: part, figure and note."""
    needs_gpu = least.needs_own_gpu_memory
    gpu_memory = units.binary(least.accelerator.memory_bytes, up=True)
    if needs_gpu:
        yield "GPU memory", gpu_memory, _gpu_words(plan, least)
    yield "RAM", units.binary(least.memory_bytes, up=True), _reserve_words(least)
    runs_without_gpu = not needs_gpu and not least.shares_memory
    if runs_without_gpu:
        beside = known_figure(
            least.accelerator.memory_beside_bytes, _ram_words, "unknown RAM"
        )
        yield "or GPU memory", gpu_memory, f"on one GPU, with {beside}"
    disk = "not known"
    if least.disk_bytes is not None:
        disk = units.decimal(least.disk_bytes, up=True)
    yield "disk", disk, "free, with a safety margin"
    wanted = plan.workload.min_tokens_per_second
    if wanted and runs_without_gpu:
        yield _bandwidth_row(plan, least, wanted, verbose=verbose)
    if verbose:
        architectures = " or ".join(least.cpu.architectures) or "any"
        yield (
            "processor",
            architectures,
            _instruction_words(least.cpu, least.machine.architecture),
        )


def _gpu_words(plan: Plan, least: LeastMachine) -> str:
    """The note on the memory of the GPU: why RAM alone will not do, and the known machine whose
    GPUs do, where the pace or the wait of the GPU counts.
    """
    why = "on one GPU: RAM alone will not do"
    if plan.workload.max_wait_seconds is not None:
        prompt = units.tokens(plan.workload.prompt_tokens or 0)
        limit = units.duration(plan.workload.max_wait_seconds)
        why = f"on one GPU that reads {prompt} within {limit}; few processors do"
    for known in plan.machines:
        if known.machine == least.machine:
            settings = ", ".join(_other_settings(plan, known))
            with_settings = f", with {settings}" if settings else ""
            why += f"; that of {known.name} does{with_settings}"
    return why


def _reserve_words(least: LeastMachine) -> str:
    """The note on the RAM that the system keeps, and that a desktop would keep."""
    system = "the system"
    if least.machine.system == "linux":
        system = "Linux"
    kept = f"{units.binary(least.reserve_bytes)} of it for {system} itself"
    desktop = units.binary(desktop_bytes(least.machine))
    return f"{kept}; a desktop with its programs takes {desktop} or more"


def _ram_words(size_bytes: int) -> str:
    """`5.20 GiB of RAM`, rounded up."""
    return f"{units.binary(size_bytes, up=True)} of RAM"


def _bandwidth_row(
    plan: Plan,
    least: LeastMachine,
    wanted: float,
    *,
    verbose: bool,
) -> FigureRow:
    """The row of the bandwidth of RAM for the wanted tokens a second and the longest wait."""
    without_gpu = f"for {units.stated(wanted)} tokens/s without a GPU"
    limit_seconds = plan.workload.max_wait_seconds
    if limit_seconds is not None and least.bandwidth_bytes_per_second is not None:
        limit = units.duration(limit_seconds)
        without_gpu += f", the first word within {limit}"
    rate = least.bandwidth_bytes_per_second
    if rate is None:
        return "bandwidth", "not known", f"how fast RAM must be {without_gpu}"
    shown = f"{units.decimal(rate, up=True)}/s"
    note = "of RAM, as a program measures it"
    if verbose:
        # what is stated of a memory is a peak, of which programs reach less
        note += f" (--set bandwidth={shown.replace(' ', '')}:measured)"
    if least.cpu.cores is not None:
        note += f", and {units.cores(least.cpu.cores)}"
    return "bandwidth", shown, f"{note}, {without_gpu}"


def _instruction_words(cpu: LeastCpu, architecture: str | None) -> str:
    """`with AVX2; well with AVX-512 (x86_64)`; empty where no instruction set matters."""
    parts = []
    if cpu.instruction_sets:
        parts.append(f"with {', '.join(cpu.instruction_sets)}")
    if cpu.recommended_instruction_sets:
        parts.append(f"well with {', '.join(cpu.recommended_instruction_sets)}")
    if not parts:
        return ""
    return f"{'; '.join(parts)} ({architecture})"


def _reasons(plan: Plan) -> Blocks:
    """The reasons why no machine runs the model, or the facts that are unknown on every machine."""
    title = "Not known, whatever the machine"
    reasons = list(plan.reasons)
    if plan.fitting and plan.least is None:
        # what a machine without a GPU lacks is no reason where others run the model
        reasons = [found for found in reasons if found.outcome is not Outcome.FAIL]
    if with_outcome(reasons, Outcome.FAIL):
        title = "Why not"
    return section(title, topics(map(AS_TOPIC, reasons)))


def _first_machines(plan: Plan) -> list[KnownMachine]:
    """The machines to show: of each kind the best machine whose GPUs hold the whole model, and the
    best other machine. Machines on which text is likely slower than wanted are left out where
    others are not.

    Kinds that people own or rent come first, doubtful machines last.
    """
    candidates = plan.fitting
    if plan.workload.min_tokens_per_second:
        fast = tuple(known for known in plan.fitting if not known.is_slow)
        candidates = fast or plan.fitting
    to_own = [known for known in candidates if known.kind not in NOT_TO_OWN]
    alike: dict[tuple[str, bool], list[KnownMachine]] = {}
    for known in to_own or candidates:
        group = known.kind, known.placement == "accelerator"
        alike.setdefault(group, []).append(known)
    return sorted(map(_best, alike.values()), key=_order)[:_SHOWN]


def _order(known: KnownMachine) -> tuple[bool, int]:
    """The sort key of machines: doubtful ones last, and machines that people own before those that
    they rent.
    """
    rank = len(_OFTEN_OWNED)
    if known.kind in _OFTEN_OWNED:
        rank = _OFTEN_OWNED.index(known.kind)
    return bool(_doubts(known)), rank


def _best(machines: Sequence[KnownMachine]) -> KnownMachine:
    """The smallest comfortable machine; else the smallest that is fast enough, with a known pace
    before one without; else the smallest. `machines` begin with the smallest.
    """

    def lacks(known: KnownMachine) -> tuple[bool, ...]:
        """The sort key: what the machine lacks, the weightiest first."""
        has_pace = pace_of(known.speed) != "-"
        is_comfortable = has_pace and known.is_comfortable
        is_sure = has_pace and known.is_fast_enough
        return not is_comfortable, not is_sure, not known.is_fast_enough

    # of machines that lack the same, `min` takes the first
    return min(machines, key=lacks)


def _doubts(known: KnownMachine) -> list[str]:
    """The doubts about a machine that runs the model, in a word or two each."""
    doubts = []
    if known.is_tight and known.waits_for_setting:
        doubts.append("limit to raise")
    elif known.is_tight:
        doubts.append("little left")
    if known.is_fast_enough:
        return doubts
    if known.is_slow:
        doubts.append("slow")
    else:
        doubts.append("slow?")
    return doubts


def _known_machines(plan: Plan, shown: Sequence[KnownMachine]) -> Blocks:
    """Yield a row for each machine, with the likely pace, and the settings that differ there."""
    rows = []
    for known in shown:
        doubts = _doubts(known)
        sign = Span("✓", Route.LOCAL)
        if doubts:
            sign = Span(ATTENTION, Outcome.WARN)
        place = PLACES.get(known.placement, "-")
        if known.by_shared_gpu:
            place = "GPU"
        row = (
            sign,
            strong(known.name),
            *memory_cells(known.machine),
            pace_of(known.speed),
            wait_of(known),
            known.kind,
            ", ".join([place, *doubts]),
            ", ".join(_other_settings(plan, known)),
        )
        rows.append(row)
    title = pace_title(shown)
    yield Table.of("plan", rows, pace=title)
    left_out = len(plan.fitting) - len(shown)
    if left_out:
        yield line(Hint(f"{left_out} more: ", "-v"))
    if any(map(_doubts, shown)):
        yield line(
            f"{ATTENTION}: little memory left, a limit to raise first, or slow;"
            " slow?: perhaps too slow"
        )
    if have_paces(shown):
        below = "the line below gives its range"
        yield line(Hint("~ is the likely pace; ", below, ".", shows="range"))
