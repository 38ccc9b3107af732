"""The reverse question: the least machine that runs a model under a workload, and which known
machines do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record
from ..core.workload import READING_TOKENS_PER_SECOND, Workload
from ..judge.checks import Finding, Outcome
from ..judge.checks.runtime import is_slow
from ..judge.checks.space import bytes_to_store, disk_margin_bytes, reserve_beside
from ..judge.defaults import smallest_of_list
from ..judge.devices import DEVICE_MARGIN_BYTES
from ..judge.equal_parts import smallest_device_bytes
from ..judge.judging import judge
from ..judge.pace.rates import shared_gpu_of
from ..judge.question import ask
from ..judge.record import (
    MACHINELESS_CHECKS,
    TIGHT_CODES,
    Judged,
    Question,
    Report,
    Route,
    Verdict,
    exit_code,
)
from ..machine.profiles import Profile, all_profiles, size_of
from ..machine.record import MAX_MEMORY_BYTES, MEASURED, Accelerator, Machine
from ..needs import needs_on
from ..needs.records import Device, Needs
from .api_route import offers_for
from .sizes import disks_of, least_card
from .understood import Understood, judged_for, remarks, understand
from .verdicts import check_with

# what a processor of today reads at most; a pace that needs more is none that RAM gives
_MOST_BYTES_PER_SECOND = 2000 * units.GB
# to which a bandwidth is searched
_STEP_BYTES_PER_SECOND = units.GB // 10
_CORES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# of two facts that are searched for together, one must leave room for the other
_HEADROOM = 2.0
# the best first
_ROUTES = (Route.LOCAL, Route.UNKNOWN, Route.NEITHER, Route.API)

# a machine without limits
_VAST = Machine(
    name="the least machine",
    system="linux",
    architecture="x86_64",
    memory_total_bytes=2**50,
    memory_limit_bytes=2**50,
    disks=disks_of(2**60),
    instruction_sets=(),
    accelerators=(),
    planning=True,
)


class LeastCpu(Record):
    """What the processor must be; `cores` go with the bandwidth of `Least`, None without."""

    architectures: tuple[str, ...]
    instruction_sets: tuple[str, ...]
    recommended_instruction_sets: tuple[str, ...]
    cores: float | None


class LeastAccelerator(Record):
    """Memory of one accelerator that holds all of it, and of the RAM beside it as `_bytes_by_place`
    counts it, None where a need stated as one figure does not say; `required` by the runtime.
    """

    required: bool
    memory_bytes: int
    memory_beside_bytes: int | None


class Least(Record):
    """The least that a machine needs, each figure on its own line of a price list.

    `memory_bytes` is RAM in all, `reserve_bytes` of it kept for the system. `disk_bytes` must be
    free, with a margin, or what a file is made of; None: its size is not known.
    `bandwidth_bytes_per_second` of RAM, measured, reaches the wanted speed; None where no speed is
    wanted, it cannot be told, or no RAM is that fast. `machine` has all that, and no more;
    `is_slow`: it does other work than text in minutes to days.
    """

    machine: Machine
    memory_bytes: int
    reserve_bytes: int
    disk_bytes: int | None
    cpu: LeastCpu
    bandwidth_bytes_per_second: int | None
    accelerator: LeastAccelerator
    is_slow: bool = False


class Known(Verdict):
    """The verdict on a known machine, by the keys of `selfhost plan --format json`.

    `confidence`: how sure the figures of the machine are. `codes` are those of the findings that do
    not pass. `by_shared_gpu`: a GPU that shares the RAM computes it. `is_tight`: it runs there only
    once other programs are closed or a limit of the GPU is raised, or leaves them next to nothing.
    `is_slow`: text is likely slower than wanted, or other work takes minutes to days.
    `is_fast_enough`: the slow end of its pace reaches the wanted speed too; where it does not, or
    is not told, a machine that fits only may do. `is_comfortable`: it is fast enough, is not tight,
    and text likely comes as fast as one reads, which nobody buys less than.
    """

    name: str
    short: str
    title: str
    kind: str
    confidence: str | None
    memory_limit_bytes: int | None
    accelerator_memory_bytes: int
    codes: tuple[str, ...]
    by_shared_gpu: bool
    is_tight: bool
    is_slow: bool
    is_fast_enough: bool
    is_comfortable: bool


class Plan(Report):
    """The answer. `least` is None where nothing of any size would do or it cannot be told;
    `reasons` say why.

    `machines` are all profiles, those that do it first, from the smallest. `options` ask `check`
    for what they were judged with, as a command line's end.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    needs: Needs | None
    least: Least | None
    reasons: tuple[Finding, ...]
    machines: tuple[Known, ...]
    notes: tuple[str, ...] = ()
    options: str = ""

    def to_json(self) -> dict[str, Any]:
        """`selfhost.plan/1`, as a dict for `json.dumps`."""
        # reports import answers, so an answer imports its report only when it is shown
        from ..reports.json import plan

        return plan(self)

    @property
    def download_seconds(self) -> float | None:
        """None where no speed of the download was stated, or the size is not known."""
        size = self.needs.download_bytes if self.needs is not None else None
        return self.workload.seconds_to_download(size)

    @property
    def fitting(self) -> tuple[Known, ...]:
        """The machines that run it, smallest first."""
        return tuple(
            machine for machine in self.machines if machine.route is Route.LOCAL
        )

    @property
    def exit_code(self) -> int:
        """0 a known machine does it, 1 none does, 3 none does for sure but one may."""
        routes = (machine.route for machine in self.machines)
        return exit_code([min(routes, key=_ROUTES.index, default=Route.NEITHER)])


def plan_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    profiles: Iterable[Profile] | None = None,
) -> Plan:
    """What it takes, and which of `profiles`, of all without them, give it, each judged as `check`
    judges it there. Raises what `understand` and `ask` do.
    """
    meant = understand(catalogue, model, workload)
    anywhere = Machine(planning=True)
    named = check_with(catalogue, meant, workload, anywhere, follows_machine=False)
    question, judged, least = _least(meant, catalogue)
    machines: list[Known] = []
    offered: bool | None = None
    for profile in all_profiles() if profiles is None else profiles:
        there = understand(catalogue, meant, workload, profile.machine)
        best = judged_for(catalogue, there, profile.machine)
        if best.failed and offered is None:
            # what is offered depends on the model and on what is asked of it, on no machine
            offered = bool(offers_for(catalogue, best, units.utc_today()))
        machines.append(_known(profile, best, offered=bool(offered)))
    making = remarks(
        {"made-file": question.making_bytes}, type=question.workload.quantization
    )
    machines.sort(
        key=lambda each: (_ROUTES.index(each.route), *size_of(each.machine), each.name)
    )
    return Plan(
        asked=meant.asked,
        model=meant.spec,
        workload=question.workload,
        needs=question.needs
        and question.needs.replace(missing_bytes=question.missing_bytes),
        least=least,
        reasons=tuple(
            each for each in judged.findings if each.decides and each.check != "speed"
        ),
        machines=tuple(machines),
        notes=(*meant.notes, *named.notes, *making),
        options=workload.options(),
    )


def _known(profile: Profile, best: Judged, *, offered: bool) -> Known:
    machine, wanted = profile.machine, best.question.workload.min_tokens_per_second
    pace, decode = (
        getattr(best.speed, "judged", None),
        getattr(best.speed, "decode", None),
    )
    slow, tight = is_slow(best), best.has(*TIGHT_CODES) or best.waits_for_setting
    is_paced = not wanted or (
        pace is not None and not units.is_slower(pace.low, wanted)
    )
    is_fast = is_paced and (decode is not None or not slow)
    of_each = pace or decode
    as_one_reads = of_each is None or not units.is_slower(
        of_each.likely, READING_TOKENS_PER_SECOND
    )
    shared = shared_gpu_of(machine, best.question.runtime, is_used=True)
    cards = [card for card in machine.accelerators or () if not card.unified]
    return Known.conclude(
        best,
        machine,
        offered=offered,
        asked=best.question.spec.id,
        name=profile.name,
        short=profile.short,
        title=profile.title,
        kind=profile.kind,
        confidence=machine.confidence,
        memory_limit_bytes=machine.memory_limit_bytes,
        accelerator_memory_bytes=sum(card.memory_total_bytes or 0 for card in cards),
        codes=tuple(
            each.code for each in best.findings if each.outcome is not Outcome.PASS
        ),
        by_shared_gpu=best.placement == "host" and shared is not None,
        is_tight=tight,
        is_slow=slow,
        is_fast_enough=is_fast,
        is_comfortable=is_fast and not tight and as_one_reads,
    )


def _least(
    meant: Understood, catalogue: Catalogue
) -> tuple[Question, Judged, Least | None]:
    """The question, judged on the least machine; on one without limits where there is none."""
    workload = smallest_of_list(
        ask(meant.spec, meant.workload, catalogue, _VAST, meant.files), catalogue
    )
    question, vast = _least_platform(meant.replace(workload=workload), catalogue)
    needs = question.needs
    nowhere = question, judge(question, vast), None
    if needs is None or needs.memory is None:
        return nowhere
    gpu_only = question.wants_gpu
    architecture = vast.architecture or ""
    is_mac = (vast.system, architecture) == ("macos", "aarch64")
    runs_in_ram = not gpu_only or is_mac
    card_bytes, beside, disk = _bytes_by_place(question, needs)
    held = needs.memory.high_bytes if runs_in_ram else beside
    reserve = reserve_beside(held, vast, workload)
    memory = reserve + held
    # a need stated as one figure may not say what lies in RAM beside the accelerators
    if not memory or max(memory, card_bytes) > MAX_MEMORY_BYTES:
        return nowhere
    cards: tuple[Accelerator, ...] = ()
    if is_mac:
        cards = (Accelerator(vendor="apple", name="Apple GPU", unified=True),)
    elif gpu_only:
        cards = (least_card(question, card_bytes, "the accelerator"),)
    machine = vast.replace(
        memory_total_bytes=memory,
        memory_limit_bytes=memory,
        disks=disks_of(disk),
        accelerators=cards,
    )
    wanted = question.workload.min_tokens_per_second or 0.0
    cores = rate = None
    if wanted and runs_in_ram:
        machine, cores, rate = _with_wanted_pace(question, machine, wanted)
    judged = judge(question, machine)
    if any(check in MACHINELESS_CHECKS for check in judged.failed):
        return question, judged, None
    ram = beside + reserve_beside(beside, vast, workload) if beside else None
    least = Least(
        machine=machine,
        memory_bytes=memory,
        reserve_bytes=reserve,
        disk_bytes=disk,
        cpu=LeastCpu(
            architectures=needs.cpu.architectures,
            instruction_sets=needs.cpu.instruction_sets.get(architecture, ()),
            recommended_instruction_sets=needs.cpu.recommended.get(architecture, ()),
            cores=cores,
        ),
        bandwidth_bytes_per_second=rate,
        accelerator=LeastAccelerator(
            required=gpu_only, memory_bytes=card_bytes, memory_beside_bytes=ram
        ),
        is_slow=not wanted and is_slow(judged),
    )
    return question, judged, least


def _bytes_by_place(question: Question, needs: Needs) -> tuple[int, int, int | None]:
    """Bytes of one accelerator that holds it, of the RAM beside that, and of the disk."""
    terms = needs_on(needs, question.case, Device()).terms
    beside = sum(term.high_bytes for term in terms if term.where == "host")
    card = sum(term.high_bytes for term in terms) - beside + DEVICE_MARGIN_BYTES
    if question.wants_gpu:
        card = smallest_device_bytes(needs, question.case)
    stored = free = bytes_to_store(needs, None)[2]
    if stored is None or free is None:
        return card, beside, None
    while free < (
        enough := stored + max(question.making_bytes, disk_margin_bytes(free))
    ):
        free = enough
    return card, beside, free


def _least_platform(
    meant: Understood, catalogue: Catalogue
) -> tuple[Question, Machine]:
    """On a machine without limits, of the runtime's first platform that the model allows."""
    question = ask(meant.spec, meant.workload, catalogue, _VAST, meant.files)
    needs, runtime = question.needs, question.runtime
    if needs is None or runtime is None:
        return question, _VAST
    allowed = needs.cpu.architectures
    platforms = [entry.partition("-") for entry in runtime.platforms.systems]
    fitting = (each for each in platforms if not allowed or each[2] in allowed)
    system, _, architecture = next(fitting, platforms[0])
    by_architecture = needs.cpu.instruction_sets, needs.cpu.recommended
    sets = dict.fromkeys(
        name for each in by_architecture for name in each.get(architecture, ())
    )
    vast = _VAST.replace(
        system=system, architecture=architecture, instruction_sets=tuple(sets)
    )
    return ask(meant.spec, meant.workload, catalogue, vast, meant.files), vast


def _with_wanted_pace(
    question: Question, machine: Machine, wanted: float
) -> tuple[Machine, float | None, int | None]:
    """The machine with the least bandwidth and cores that reach `wanted` tokens per second, and
    these two; None for what no machine has.
    """

    def with_pace(pace: float, cores: int, steps: int) -> Machine | None:
        # a bandwidth that somebody states is a peak, of which little may be used; the plan asks
        # for what is measured
        rate = steps * _STEP_BYTES_PER_SECOND
        facts = {
            "memory_bandwidth_bytes_per_second": rate,
            "memory_bandwidth_how": MEASURED,
        }
        faster = machine.replace(cpu_cores_usable=float(cores))
        faster = faster.stated(facts, "measured, as it would have to be")
        speed = judge(question, faster).speed
        # what is bought by this figure has to reach the pace itself, not only its printed figure
        is_enough = (
            speed is not None and speed.judged is not None and speed.judged.low >= pace
        )
        return faster if is_enough else None

    unbounded = 2**50 // _STEP_BYTES_PER_SECOND
    enough = (
        count for count in _CORES if with_pace(_HEADROOM * wanted, count, unbounded)
    )
    cores = next(enough, None)
    if cores is None:
        return machine, None, None
    most = _MOST_BYTES_PER_SECOND // _STEP_BYTES_PER_SECOND
    too_slow = units.count_while(
        lambda steps: with_pace(wanted, cores, steps) is None, range(1, most + 1)
    )
    fast = with_pace(wanted, cores, too_slow + 1) if too_slow < most else None
    if fast is None:
        return machine, float(cores), None
    return fast, float(cores), fast.memory_bandwidth_bytes_per_second
