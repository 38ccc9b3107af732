"""The reverse question: the least machine that runs a model under a workload, and which known
machines do.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable

from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record
from ..core.units import utc_today
from ..core.workload import READING_TOKENS_PER_SECOND, Workload
from ..judge.checks import Finding, Outcome
from ..judge.checks.disk import disk_margin_bytes, ends_to_store
from ..judge.checks.memory import reserve_beside
from ..judge.checks.speed import is_slow
from ..judge.defaults import follows_a_list, smallest_of_list, suited_by_list
from ..judge.judging import judge, needs_left
from ..judge.pace.graphics import uses_shared_gpu
from ..judge.pace.speed import PaceRange, Speed
from ..judge.placement import smallest_device_bytes
from ..judge.placement.devices import DEVICE_MARGIN_BYTES
from ..judge.question import ask
from ..judge.record import Judged, Question, Route, any_fails, exit_code
from ..machine.profiles import Profile, all_profiles, size_of
from ..machine.record import MAX_MEMORY_BYTES, MEASURED, Accelerator, Machine
from ..needs import needs_on
from ..needs.records import Device, Needs
from . import Report
from .api_route import offers_for
from .sizes import disks_of, least_card
from .verdicts import check_with

# what a processor of today reads at most; a pace that needs more is none that RAM gives
MOST_BANDWIDTH = 2000 * units.GB
# to which a bandwidth is searched
_BANDWIDTH_STEP = units.GB // 10
CORES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# of two facts that are searched for together, one must leave room for the other
_HEADROOM = 2.0
# what a machine must be like whatever its size; a `fail` of these no larger machine mends
_OF_THE_MODEL = ("weights", "license", "openness", "context", "runtime")
_ORDER = (Route.LOCAL, Route.UNKNOWN, Route.NEITHER, Route.API)

_OF_WORKLOAD = ("runtime", "quantization", "context_tokens", "finetune_method")

CHECK_YOURS = "check your configuration"
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
    """What the processor of the least machine must be. `cores` go with the bandwidth of `Least`,
    None where it has none.
    """

    architectures: tuple[str, ...]
    instruction_sets: tuple[str, ...]
    recommended_instruction_sets: tuple[str, ...]
    cores: float | None


class LeastAccelerator(Record):
    """Memory of one accelerator that holds all of it, and of the RAM beside it, None where a need
    that is stated as one figure does not say; `required` by the runtime.
    """

    required: bool
    memory_bytes: int
    memory_beside_bytes: int | None


class Least(Record):
    """The least that a machine needs, each figure on its own line of a price list.

    `memory_bytes` is RAM in all, `reserve_bytes` of it kept for the system. `disk_bytes` must be
    free, a margin included; None: the size of the files is not known. `bandwidth_bytes_per_second`
    of RAM, measured, reaches the wanted speed; None where no speed is wanted, it cannot be told, or
    no RAM is that fast. `machine` has all that, and no more; `is_slow`: it does other work than
    text in minutes to days.
    """

    machine: Machine
    memory_bytes: int
    reserve_bytes: int
    disk_bytes: int | None
    cpu: LeastCpu
    bandwidth_bytes_per_second: int | None
    accelerator: LeastAccelerator
    is_slow: bool = False


class Known(Record):
    """A known machine and what was judged on it, by the keys of `selfhost plan --format json`.

    `advice` says what to check where the figures of the machine are not of high `confidence`.
    `workload` is what `check` takes there: of pictures and training it may be another than that of
    the plan. `placement` is host, accelerator or split, `codes` those of the findings that do not
    pass. `is_tight`: it runs there only once other programs are closed or a limit of the GPU is
    raised, or leaves them next to nothing. `is_slow`: text is likely slower than wanted, or other
    work takes minutes to days. `by_shared_gpu`: a GPU that shares the RAM computes it.
    """

    name: str
    short: str
    title: str
    kind: str
    confidence: str | None
    advice: str | None
    machine: Machine
    memory_limit_bytes: int | None
    accelerator_memory_bytes: int
    route: Route
    workload: Workload
    runtime: str | None
    quantization: str | None
    context_tokens: int | None
    finetune_method: str | None
    placement: str | None
    speed: Speed | None
    decode_tokens_per_second: PaceRange | None
    judged_tokens_per_second: PaceRange | None
    codes: tuple[str, ...]
    is_tight: bool
    is_slow: bool
    by_shared_gpu: bool

    def __repr__(self) -> str:
        return f"<Known {self.name}: {self.route}>"


class Plan(Report):
    """The answer. `least` is None where nothing of any size would do or it cannot be told;
    `reasons` say why.

    `machines` are all profiles, those that do it first, from the smallest. `options` ask `check`
    for what they were judged with, as a command line's end. `download_seconds` is None where no
    speed of the download was stated, or the size is not known.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    needs: Needs | None
    download_seconds: float | None
    least: Least | None
    reasons: tuple[Finding, ...]
    machines: tuple[Known, ...]
    notes: tuple[str, ...] = ()
    options: str = ""

    def __repr__(self) -> str:
        memory = f"{units.binary(self.least.memory_bytes)} of RAM" if self.least else "none"
        sure = sum(map(self.fast_enough, self.fitting))
        perhaps = f", perhaps {len(self.fitting) - sure} more" * (sure < len(self.fitting))
        return (
            f"<Plan {self.model.id}: least machine {memory};"
            f" {sure} of {len(self.machines)} known machines run it{perhaps}>"
        )

    @property
    def fitting(self) -> tuple[Known, ...]:
        """The machines that run it, smallest first."""
        return tuple(machine for machine in self.machines if machine.route is Route.LOCAL)

    def fast_enough(self, machine: Known) -> bool:
        """The slow end of its pace reaches the wanted speed too; where it does not, or is not
        told, a machine that fits only may do. Of other work: it does not take minutes to days.
        """
        wanted = self.workload.min_tokens_per_second
        if machine.decode_tokens_per_second is None and machine.is_slow:
            return False
        pace = machine.judged_tokens_per_second
        return not wanted or (pace is not None and pace.low >= wanted)

    def is_comfortable(self, machine: Known) -> bool:
        """It is fast enough, is not tight, and text likely comes as fast as one reads, which nobody
        buys less than.
        """
        if machine.is_tight or not self.fast_enough(machine):
            return False
        pace = machine.decode_tokens_per_second
        return pace is None or pace.likely >= READING_TOKENS_PER_SECOND

    @property
    def exit_code(self) -> int:
        """0 a known machine does it, 1 none does, 3 none does for sure but one may."""
        routes = {machine.route for machine in self.machines}
        sure = (route for route in (Route.LOCAL, Route.UNKNOWN) if route in routes)
        return exit_code([next(sure, Route.NEITHER)])


def plan_with(
    catalogue: Catalogue, model: str | os.PathLike[str] | ModelSpec, workload: Workload
) -> Plan:
    """`plan` with everything given."""
    anywhere = Machine(planning=True)
    named = check_with(catalogue, model, workload, anywhere, instead=False, follows_machine=False)
    plain = ask(named.model, workload, catalogue, anywhere).workload
    # what the name itself says, such as a tag's quantization
    said = {
        key: value
        for key in ("runtime", "quantization")
        if (value := getattr(named.workload, key)) != getattr(plain, key)
    }
    plan = make_plan(named.model, workload.replace(**said), catalogue, all_profiles())
    return plan.replace(asked=named.asked, notes=(*named.understood_as, *named.notes))


def make_plan(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue, profiles: Iterable[Profile]
) -> Plan:
    """What `spec` takes of a machine under `workload`, and which of `profiles` give it. Raises
    `WorkloadError` as `ask`.
    """
    unlimited = ask(spec, workload, catalogue, _VAST)
    smallest = smallest_of_list(unlimited, catalogue)
    question, judged, least = _least(spec, smallest, catalogue)
    machines = _known_machines(spec, workload, catalogue, profiles)
    # but for what is judged in the first type that fits, one machine's own default may be larger
    is_of_machine = bool(unlimited.in_turn) or follows_a_list(spec, workload)
    quantization = None if is_of_machine else question.workload.quantization
    needs = None if question.needs is None else needs_left(question, question.needs)
    download_bytes = needs.download_bytes if needs is not None else None
    return Plan(
        asked=spec.id,
        model=spec,
        workload=question.workload,
        needs=needs,
        download_seconds=question.workload.seconds_to_download(download_bytes),
        least=least,
        reasons=tuple(
            finding
            for finding in judged.findings
            if finding.outcome in (Outcome.FAIL, Outcome.UNKNOWN) and finding.check != "speed"
        ),
        machines=machines,
        options=workload.replace(quantization=workload.quantization or quantization).options(),
    )


# ------------------------------------------------------------------ known machines


def _known_machines(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue, profiles: Iterable[Profile]
) -> tuple[Known, ...]:
    """The model judged on each profile, the smallest that does it first."""
    machines: list[Known] = []
    offered: bool | None = None
    for profile in profiles:
        question = ask(spec, workload, catalogue, profile.machine)
        best = suited_by_list(judge(question, profile.machine), catalogue, profile.machine)
        if best.failed and offered is None:
            # what is offered depends on the model and on what is asked of it, on no machine
            offered = bool(offers_for(catalogue, best, utc_today()))
        machines.append(_known(profile, best, best.route(offered=bool(offered))))
    machines.sort(key=lambda each: (_ORDER.index(each.route), *size_of(each.machine), each.name))
    return tuple(machines)


def _known(profile: Profile, judged: Judged, route: Route) -> Known:
    machine, workload, speed = profile.machine, judged.question.workload, judged.speed
    own = [card for card in machine.accelerators or () if not card.unified]
    return Known(
        **{name: getattr(profile, name) for name in ("name", "short", "title", "kind")},
        **{name: getattr(workload, name) for name in _OF_WORKLOAD},
        confidence=machine.confidence,
        advice=None if machine.confidence == "high" else CHECK_YOURS,
        machine=machine,
        memory_limit_bytes=machine.memory_limit_bytes,
        accelerator_memory_bytes=sum(card.memory_total_bytes or 0 for card in own),
        route=route,
        workload=workload,
        placement=judged.placement,
        speed=speed,
        decode_tokens_per_second=speed.decode if speed is not None else None,
        judged_tokens_per_second=speed.judged if speed is not None else None,
        codes=tuple(each.code for each in judged.findings if each.outcome is not Outcome.PASS),
        is_tight=judged.leaves_little or judged.waits_for_setting,
        is_slow=is_slow(judged, workload.min_tokens_per_second),
        by_shared_gpu=judged.placement == "host"
        and uses_shared_gpu(machine, judged.question.runtime),
    )


# ------------------------------------------------------------------ the least machine


def _least(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue
) -> tuple[Question, Judged, Least | None]:
    """The question, judged on the least machine, and that machine; on one without limits where
    there is none. The model's own defaults hold where nothing is stated.
    """
    question, vast = _on_its_platform(spec, workload, catalogue)
    needs = question.needs
    if needs is None or needs.memory is None:
        return question, judge(question, vast), None
    gpu_only = question.wants_gpu
    is_mac = (vast.system, vast.architecture) == ("macos", "aarch64")
    in_ram = not gpu_only or is_mac
    on_card, beside = _parted(needs, gpu_only)
    held = needs.memory.high_bytes if in_ram else beside
    reserve = reserve_beside(held, vast, workload)
    memory = reserve + held
    # a need stated as one figure may not say what lies in RAM beside the accelerators
    if not memory or max(memory, on_card) > MAX_MEMORY_BYTES:
        return question, judge(question, vast), None
    disk = _disk_to_store(needs)
    machine = vast.replace(
        memory_total_bytes=memory,
        memory_limit_bytes=memory,
        disks=disks_of(disk),
        accelerators=_cards_of_least(question, on_card, is_mac),
    )
    wanted, cores, rate = question.workload.min_tokens_per_second, None, None
    if wanted and in_ram:
        machine, cores, rate = _paced(question, machine, wanted)
    judged = judge(question, machine)
    if any_fails(each for each in judged.findings if each.check in _OF_THE_MODEL):
        return question, judged, None
    ram = beside + reserve_beside(beside, vast, workload) if beside else None
    least = Least(
        machine=machine,
        memory_bytes=memory,
        reserve_bytes=reserve,
        disk_bytes=disk,
        cpu=_cpu(needs, vast.architecture or "", cores),
        bandwidth_bytes_per_second=rate,
        accelerator=LeastAccelerator(
            required=gpu_only, memory_bytes=on_card, memory_beside_bytes=ram
        ),
        is_slow=not wanted and is_slow(judged, None),
    )
    return question, judged, least


def _cards_of_least(question: Question, memory_bytes: int, is_mac: bool) -> tuple[Accelerator, ...]:
    """Apple's own, the least that is needed, or none."""
    if is_mac:
        return (Accelerator(vendor="apple", name="Apple GPU", unified=True),)
    if question.wants_gpu:
        return (least_card(question, memory_bytes, "the accelerator"),)
    return ()


def _parted(needs: Needs, gpu_only: bool) -> tuple[int, int]:
    """Bytes of one accelerator that holds it, and of the RAM beside that."""
    terms = needs_on(needs, Device()).terms
    beside = sum(term.high_bytes for term in terms if term.where == "host")
    if gpu_only:
        return smallest_device_bytes(needs), beside
    return sum(term.high_bytes for term in terms) - beside + DEVICE_MARGIN_BYTES, beside


def _on_its_platform(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue
) -> tuple[Question, Machine]:
    """The question on a machine without limits that has the least machine's system and processor:
    the first of the runtime's that the model allows, else its first.
    """
    question = ask(spec, workload, catalogue, _VAST)
    needs, runtime = question.needs, question.runtime
    if needs is None or runtime is None:
        return question, _VAST
    allowed = needs.cpu.architectures
    platforms = [entry.partition("-") for entry in runtime.systems]
    fitting = (each for each in platforms if not allowed or each[2] in allowed)
    system, _, architecture = next(fitting, platforms[0])
    cpu = _cpu(needs, architecture, None)
    sets = dict.fromkeys((*cpu.instruction_sets, *cpu.recommended_instruction_sets))
    vast = _VAST.replace(system=system, architecture=architecture, instruction_sets=tuple(sets))
    return ask(spec, workload, catalogue, vast), vast


def _cpu(needs: Needs, architecture: str, cores: float | None) -> LeastCpu:
    return LeastCpu(
        architectures=needs.cpu.architectures,
        instruction_sets=needs.cpu.instruction_sets.get(architecture, ()),
        recommended_instruction_sets=needs.cpu.recommended.get(architecture, ()),
        cores=cores,
    )


def _disk_to_store(needs: Needs) -> int | None:
    """The least free space that stores the most that the files may take, and leaves a margin."""
    _, stored = ends_to_store(needs, None)
    if stored is None:
        return None
    sizes = range(stored, stored + disk_margin_bytes(None))
    return stored + bisect_left(
        sizes, True, key=lambda free: free >= stored + disk_margin_bytes(free)
    )


# ------------------------------------------------------------------ its pace


def _paced(
    question: Question, machine: Machine, wanted: float
) -> tuple[Machine, float | None, int | None]:
    """The machine with its cores and the measured bandwidth whose slow end reaches `wanted`, to a
    tenth of a gigabyte; None where no RAM is that fast.

    The cores are the fewest that would be twice as fast as wanted if memory were no limit.
    """

    def reaches(pace: float, cores: float, steps: int) -> bool:
        speed = judge(question, _with_pace(machine, cores, steps * _BANDWIDTH_STEP)).speed
        reached = speed.judged if speed is not None else None
        return reached is not None and reached.low >= pace

    unbounded, most = 2**50 // _BANDWIDTH_STEP, MOST_BANDWIDTH // _BANDWIDTH_STEP
    fast = (each for each in CORES if reaches(_HEADROOM * wanted, float(each), unbounded))
    number = next(fast, None)
    if number is None:
        return machine, None, None
    cores = float(number)
    if not reaches(wanted, cores, most):
        return machine, cores, None
    slower = bisect_left(range(1, most), True, key=lambda steps: reaches(wanted, cores, steps))
    rate = (1 + slower) * _BANDWIDTH_STEP
    return _with_pace(machine, cores, rate), cores, rate


def _with_pace(machine: Machine, cores: float, rate: int) -> Machine:
    # a bandwidth that somebody states is a peak, of which little may be used; the plan asks for
    # what is measured
    source = "measured, as it would have to be"
    return machine.with_bandwidth(rate, source, how=MEASURED, cpu_cores_usable=cores)
