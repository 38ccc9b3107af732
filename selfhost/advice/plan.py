"""The reverse question: what a model takes under a workload.

`plan_with` returns a `Plan`: the least machine that runs the model, and the verdict on each known
machine. The least machine has the memory, the disk and the accelerator of the needs. Where a pace
is wanted, its cores and bandwidth are found by judging machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record
from ..core.workload import READING_TOKENS_PER_SECOND, Workload
from ..judge.checks import Finding, OptionFault, Outcome, error_of
from ..judge.checks.space import bytes_to_store, disk_margin_bytes, reserve_beside
from ..judge.checks.speed import is_slow, may_be_too_slow
from ..judge.choice import in_server, smallest_of_list
from ..judge.devices import smallest_total_bytes
from ..judge.equal_parts import smallest_device_bytes
from ..judge.judging import judge
from ..judge.pace.rates import shared_gpu_of
from ..judge.record import (
    MACHINELESS_CHECKS,
    PACE_CHECKS,
    TIGHT_CODES,
    Judged,
    Question,
    Report,
    Route,
    Verdict,
    exit_code,
)
from ..machine import gpus
from ..machine.profiles import Profile, all_profiles, size_order
from ..machine.record import MAX_MEMORY_BYTES, MEASURED, Accelerator, Machine
from ..needs import MAKERS_IN_RAM, needs_on
from ..needs.records import Device, Needs
from .api_route import offers_for
from .sizes import disks_of, least_card
from .understood import Model, Understood, judged_on, remarks, understand
from .verdicts import check_with

# more than any processor reads from RAM today (assumed): where the search for a bandwidth ends
_MOST_BYTES_PER_SECOND = 2000 * units.GB
# the step of the search for a bandwidth
_STEP_BYTES_PER_SECOND = units.GB // 10
_CORES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# the cores must be so many times as fast as wanted, so that slower memory may do
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
    """The least processor for a model. `cores` is the number of cores that reaches the wanted pace
    with the bandwidth of `LeastMachine`; None where no pace is wanted, or no number of cores
    reaches it.
    """

    architectures: tuple[str, ...]
    instruction_sets: tuple[str, ...]
    recommended_instruction_sets: tuple[str, ...]
    cores: float | None


class LeastAccelerator(Record):
    """The memory of one accelerator that holds the whole model. `memory_beside_bytes` is the RAM
    that the model takes with that accelerator; None where the need is stated as one figure.
    `required`: the runtime, or the longest wait, needs an accelerator.
    """

    required: bool
    memory_bytes: int
    memory_beside_bytes: int | None


class LeastMachine(Record):
    """The least that a machine needs, as a price list states it.

    `memory_bytes` is the whole RAM, of which `reserve_bytes` are kept for the system. `disk_bytes`
    must be free: the files, and a margin or the files from which the model file is made; None where
    the size of the files is not known. `bandwidth_bytes_per_second` is the measured bandwidth of
    RAM that reaches the wanted speed; None where no speed is wanted, the speed cannot be predicted,
    or no RAM is that fast. `machine` has just these figures. `is_slow`: the machine does other work
    than text in minutes to days.
    """

    machine: Machine
    memory_bytes: int
    reserve_bytes: int
    disk_bytes: int | None
    cpu: LeastCpu
    bandwidth_bytes_per_second: int | None
    accelerator: LeastAccelerator
    is_slow: bool


class KnownMachine(Verdict):
    """The verdict on a known machine, by the keys of `selfhost plan --format json`.

    `confidence`: how sure the figures of the machine are. `codes` are the codes of the findings
    that do not pass. `by_shared_gpu`: a GPU that shares the RAM computes the model. `is_tight`: the
    model leaves other programs next to nothing, or runs only once other programs are closed or a
    limit of the GPU is raised. `is_slow`: text is likely slower than wanted, or other work takes
    minutes to days. `is_fast_enough`: even the slow end of the pace reaches the wanted speed.
    `is_comfortable`: the machine is fast enough and not tight, and text likely comes as fast as
    people read.
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
    """The answer. `least` is None where no machine of any size would do, or the size cannot be
    computed; `reasons` say why.

    `machines` are all profiles, first those on which the model runs, from the smallest. `options`
    are the options of `selfhost check` under which these were judged.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    needs: Needs | None
    least: LeastMachine | None
    reasons: tuple[Finding, ...]
    machines: tuple[KnownMachine, ...]
    notes: tuple[str, ...]
    options: str

    @property
    def download_seconds(self) -> float | None:
        """The seconds that the download takes; None where no speed of the connection was stated, or
        the size is not known.
        """
        if self.needs is None:
            return None
        return self.workload.seconds_to_download(self.needs.download_bytes)

    @property
    def fitting(self) -> tuple[KnownMachine, ...]:
        """The machines that run the model, the smallest first."""
        return tuple(known for known in self.machines if known.can_run)

    @property
    def exit_code(self) -> int:
        """0 where a known machine runs the model, 1 where none does, 3 where one may."""
        routes = {machine.route for machine in self.machines}
        best = min(routes, key=_ROUTES.index, default=Route.NEITHER)
        return exit_code([best])


def plan_with(
    catalogue: Catalogue,
    model: Model,
    workload: Workload,
    profiles: Iterable[Profile] | None = None,
) -> Plan:
    """The least machine, and the verdict of `check` on each of `profiles`; None for all profiles.
    Raises the errors of `understand` and `ask`, and `WorkloadError` where an option states several
    accelerators, because the least machine has one.
    """
    meant = understand(catalogue, model, workload)
    # judged on no machine for the notes that hold on every machine
    anywhere = Machine(planning=True)
    checked = check_with(catalogue, meant, workload, anywhere, follows_machine=False)
    found = _find_least(meant, catalogue)
    question = found.judged.question
    parts = question.stated_parts
    if parts is not None and parts > 1:
        raise error_of(
            OptionFault("runtime_options", "parts-in-plan", {"parts": parts})
        )
    needs = question.needs
    if needs is not None:
        needs = needs.replace(missing_bytes=question.missing_bytes)
    reasons = []
    for finding in found.judged.findings:
        # other machines are faster than the least one
        if finding.decides and finding.check not in PACE_CHECKS:
            reasons.append(finding)
    making = remarks(
        {"made-file": question.making_bytes}, type=question.workload.quantization
    )
    return Plan(
        asked=meant.asked,
        model=meant.spec,
        workload=question.workload,
        needs=needs,
        least=found.least,
        reasons=tuple(reasons),
        machines=_known_machines(catalogue, meant, profiles),
        notes=(*meant.notes, *checked.notes, *making),
        options=workload.options(),
    )


# ------------------------------------------------------------------ known machines


def _known_machines(
    catalogue: Catalogue,
    meant: Understood,
    profiles: Iterable[Profile] | None,
) -> tuple[KnownMachine, ...]:
    """The verdict on each known machine, first those that run the model, from the smallest."""
    machines = []
    is_offered = None
    for profile in all_profiles() if profiles is None else profiles:
        best = judged_on(catalogue, meant, meant.workload, profile.machine).judged
        if best.failed and is_offered is None:
            # the offers depend on the model and the question, not on the machine
            is_offered = bool(offers_for(catalogue, best, units.utc_today()))
        machines.append(_known(profile, best, is_offered=is_offered is True))

    def order(known: KnownMachine) -> tuple[object, ...]:
        return _ROUTES.index(known.route), *size_order(known.machine), known.name

    return tuple(sorted(machines, key=order))


def _known(
    profile: Profile,
    best: Judged,
    *,
    is_offered: bool,
) -> KnownMachine:
    """The row of a known machine: the best judgement there, and the facts by which such machines
    are ranked.
    """
    machine = profile.machine
    shared = shared_gpu_of(machine, best.question.runtime, is_used=True)
    card_bytes = 0
    for card in machine.own_memory_cards:
        card_bytes += card.memory_total_bytes or 0
    codes = []
    for finding in best.findings:
        if finding.outcome is not Outcome.PASS:
            codes.append(finding.code)
    is_tight = best.has(*TIGHT_CODES) or best.waits_for_setting
    is_fast = _is_fast_enough(best)
    return KnownMachine.conclude(
        best,
        machine,
        offered=is_offered,
        asked=best.model.id,
        name=profile.name,
        short=profile.short,
        title=profile.title,
        kind=profile.kind,
        confidence=machine.confidence,
        memory_limit_bytes=machine.memory_limit_bytes,
        accelerator_memory_bytes=card_bytes,
        codes=tuple(codes),
        by_shared_gpu=best.placement == "host" and shared is not None,
        is_tight=is_tight,
        is_slow=is_slow(best),
        is_fast_enough=is_fast,
        is_comfortable=is_fast and not is_tight and _comes_as_one_reads(best),
    )


def _is_fast_enough(best: Judged) -> bool:
    """Whether the slow end of the pace of text reaches the wanted speed, or other work is done in
    less than minutes.
    """
    if best.workload.min_tokens_per_second and best.users_pace is None:
        return False
    if may_be_too_slow(best):
        return False
    if best.decode_tokens_per_second is not None:
        return True
    return not is_slow(best)


def _comes_as_one_reads(best: Judged) -> bool:
    """Whether text likely comes as fast as people read; True for a model without a pace of text."""
    pace = best.users_pace or best.decode_tokens_per_second
    return pace is None or not units.is_slower(pace.likely, READING_TOKENS_PER_SECOND)


# ------------------------------------------------------------------ the least machine


class _Found(Record):
    """The question as judged on the least machine. Without `least` it was judged on a machine
    without limits, or a check of the model itself fails on every machine.
    """

    judged: Judged
    least: LeastMachine | None = None


def _find_least(meant: Understood, catalogue: Catalogue) -> _Found:
    """The least machine, in the type and program of least memory."""
    question = meant.question(catalogue, _VAST)
    workload = in_server(question, catalogue) or smallest_of_list(question, catalogue)
    meant = meant.replace(workload=workload)
    platform = _least_platform(meant, catalogue)
    found = _least_on(platform)
    if platform.is_mac or not platform.runs_in_ram:
        return found
    if "wait" not in found.judged.deciding:
        return found
    # no RAM is fast enough for the prompt
    return _least_on(platform.replace(is_for_gpus=True))


class _Platform(Record):
    """A machine without limits, and the question on that machine. `is_for_gpus`: the machine gets a
    GPU, although the program runs without one.
    """

    question: Question
    machine: Machine
    is_for_gpus: bool = False

    @property
    def wants_gpu(self) -> bool:
        """Whether the machine gets a GPU."""
        if self.question.splits_tensors:
            return True
        if self.question.device_makers:
            return True
        return self.is_for_gpus or self.question.wants_gpu

    @property
    def is_mac(self) -> bool:
        """Whether the machine is a Mac, whose GPU shares the RAM."""
        return self.machine.platform == "macos-aarch64"

    @property
    def runs_in_ram(self) -> bool:
        """Whether the RAM holds all of a model."""
        return self.is_mac or not self.wants_gpu

    def cards(self, memory_bytes: int) -> tuple[Accelerator, ...]:
        """The accelerator of the machine, with so much memory; () for none."""
        if self.is_mac:
            return (Accelerator(vendor="apple", name="Apple GPU", unified=True),)
        if not self.wants_gpu:
            return ()
        card = least_card(self.question, memory_bytes, "the accelerator")
        if self.question.device_makers:
            card = card.replace(vendor=self.question.device_makers[0])
        return (card,)


def _least_platform(meant: Understood, catalogue: Catalogue) -> _Platform:
    """The first platform of the runtime that the model allows, as a machine without limits."""
    question = meant.question(catalogue, _VAST)
    needs = question.needs
    if needs is None or question.runtime is None:
        return _Platform(question=question, machine=_VAST)
    cpu = needs.cpu
    platform = _platform_for(question.runtime.platforms.systems, cpu.architectures)
    system, _, architecture = platform.partition("-")
    needed = cpu.instruction_sets.get(architecture, ())
    recommended = cpu.recommended.get(architecture, ())
    sets = dict.fromkeys(needed + recommended)
    machine = _VAST.replace(
        system=system, architecture=architecture, instruction_sets=tuple(sets)
    )
    question = meant.question(catalogue, machine)
    return _Platform(question=question, machine=machine)


def _platform_for(platforms: Sequence[str], allowed: Sequence[str]) -> str:
    """The first platform whose architecture is allowed, else the first of all. An empty `allowed`
    allows every architecture.
    """
    for platform in platforms:
        _, _, architecture = platform.partition("-")
        if not allowed or architecture in allowed:
            return platform
    return platforms[0]


def _least_on(platform: _Platform) -> _Found:
    """The least machine of that platform."""
    question = platform.question
    vast = platform.machine
    needs = question.needs
    without_least = _Found(judged=judge(question, vast))
    if needs is None or needs.memory is None:
        return without_least
    sizes = _sizes(question, needs)
    workload = question.workload
    taken_bytes = sizes.ram_with_card_bytes
    reserve_bytes = reserve_beside(taken_bytes, vast, workload)
    # a need stated as one figure may not say what lies in RAM when accelerators hold the model
    memory_beside_bytes = taken_bytes + reserve_bytes if taken_bytes else None
    if platform.runs_in_ram:
        taken_bytes = needs.memory.high_bytes
        reserve_bytes = reserve_beside(taken_bytes, vast, workload)
    ram_bytes = taken_bytes + reserve_bytes
    if ram_bytes == 0:
        return without_least
    if max(ram_bytes, sizes.card_bytes) > MAX_MEMORY_BYTES:
        return without_least
    machine = vast.replace(
        memory_total_bytes=ram_bytes,
        memory_limit_bytes=ram_bytes,
        disks=disks_of(sizes.disk_bytes),
        accelerators=platform.cards(sizes.card_bytes),
    )
    machine = _paced(platform, machine)
    judged = judge(question, machine)
    if not set(judged.failed).isdisjoint(MACHINELESS_CHECKS):
        return _Found(judged=judged)
    has_pace = bool(workload.min_tokens_per_second)
    cpu = needs.cpu
    architecture = vast.architecture or ""
    least = LeastMachine(
        machine=machine,
        memory_bytes=ram_bytes,
        reserve_bytes=reserve_bytes,
        disk_bytes=sizes.disk_bytes,
        cpu=LeastCpu(
            architectures=cpu.architectures,
            instruction_sets=cpu.instruction_sets.get(architecture, ()),
            recommended_instruction_sets=cpu.recommended.get(architecture, ()),
            cores=machine.cpu_cores_usable,
        ),
        bandwidth_bytes_per_second=machine.memory_bandwidth_bytes_per_second,
        accelerator=LeastAccelerator(
            required=platform.wants_gpu,
            memory_bytes=sizes.card_bytes,
            memory_beside_bytes=memory_beside_bytes,
        ),
        is_slow=not has_pace and is_slow(judged),
    )
    return _Found(judged=judged, least=least)


class _Sizes(NamedTuple):
    """Bytes of one accelerator that holds a model, of the RAM that a model takes with it, and of
    the disk; None where the size of the files is not known.
    """

    card_bytes: int
    ram_with_card_bytes: int
    disk_bytes: int | None


def _sizes(question: Question, needs: Needs) -> _Sizes:
    """The bytes that the needs take on an accelerator, in RAM and on disk, each at the high end.

    The RAM is counted for the maker whose driver takes most of it, because a plan names no maker.
    """
    case = question.case
    if question.wants_gpu:
        card_bytes = smallest_device_bytes(needs, case)
    else:
        # a program that also runs in RAM leaves a part of the accelerator free
        taken = needs_on(needs, case, Device()).on_cards
        card_bytes = smallest_total_bytes(gpus.UNKNOWN, taken.high_bytes)
    ram_bytes = 0
    for maker in ("", *MAKERS_IN_RAM):
        beside = needs_on(needs, case, Device(maker=maker)).on_host
        ram_bytes = max(ram_bytes, beside.high_bytes)
    return _Sizes(card_bytes, ram_bytes, _disk_bytes(question, needs))


def _disk_bytes(question: Question, needs: Needs) -> int | None:
    """The bytes that must be free on the disk: the files, and the larger of a margin and the files
    from which the model file is made; None where the size of the files is not known.
    """
    stored = bytes_to_store(needs, None)
    if stored is None:
        return None
    free_bytes = stored.most
    while True:
        # the margin grows with the disk
        extra_bytes = max(question.making_bytes, disk_margin_bytes(free_bytes))
        if free_bytes >= stored.most + extra_bytes:
            return free_bytes
        free_bytes = stored.most + extra_bytes


# ------------------------------------------------------------------ the least pace


def _paced(platform: _Platform, machine: Machine) -> Machine:
    """The machine with the least cores and bandwidth for the wanted pace and wait; unchanged where
    neither is wanted, or where a GPU computes.
    """
    workload = platform.question.workload
    is_paced = bool(workload.min_tokens_per_second)
    if not is_paced and workload.max_wait_seconds is None:
        return machine
    if not platform.runs_in_ram:
        return machine
    return _PaceSearch(question=platform.question, machine=machine).paced()


class _PaceSearch(Record):
    """Searches the least cores and bandwidth with which a machine decodes `wanted` tokens per
    second, and keeps the longest wait for the first token, where one was stated.
    """

    question: Question
    machine: Machine

    @property
    def wanted(self) -> float:
        """Tokens per second; 0 where only a wait was stated."""
        return self.question.workload.min_tokens_per_second or 0.0

    def paced(self) -> Machine:
        """The machine with the fewest cores, then with the least bandwidth for these; without the
        one or the other where no number of cores, or no bandwidth, is enough.
        """
        cores = self._fewest_cores()
        if cores is None:
            return self.machine
        most = _MOST_BYTES_PER_SECOND // _STEP_BYTES_PER_SECOND

        def is_too_slow(steps: int) -> bool:
            return not self._reaches(self.wanted, cores, steps)

        too_slow = units.count_while(is_too_slow, range(1, most + 1))
        if too_slow == most:
            return self.machine.replace(cpu_cores_usable=float(cores))
        return self._with_bandwidth(cores, too_slow + 1)

    def _fewest_cores(self) -> int | None:
        """The fewest cores that are `_HEADROOM` times as fast as wanted with memory of any speed;
        None where no number of cores is.
        """
        unbounded = 2**50 // _STEP_BYTES_PER_SECOND
        wanted = _HEADROOM * self.wanted
        for cores in _CORES:
            if self._reaches(wanted, cores, unbounded):
                return cores
        return None

    def _reaches(
        self,
        pace: float,
        cores: int,
        steps: int,
    ) -> bool:
        """Whether so many cores, and memory of so many steps of bandwidth, are fast enough."""
        judged = judge(self.question, self._with_bandwidth(cores, steps))
        found = judged.users_pace
        if found is None:
            return False
        if _may_wait_too_long(judged):
            return False
        # compared without rounding: the buyer wants the pace itself
        return found.low >= pace

    def _with_bandwidth(self, cores: int, steps: int) -> Machine:
        """The machine with so many cores, and memory of so many steps of bandwidth.

        The bandwidth counts as measured: a stated bandwidth is a peak, which programs do not reach.
        """
        facts = {
            "memory_bandwidth_bytes_per_second": steps * _STEP_BYTES_PER_SECOND,
            "memory_bandwidth_how": MEASURED,
        }
        with_cores = self.machine.replace(cpu_cores_usable=float(cores))
        return with_cores.stated(facts, "measured, as it would have to be")


def _may_wait_too_long(judged: Judged) -> bool:
    """Whether the first word may come later than the longest wait allows, at its slow end."""
    limit_seconds = judged.workload.max_wait_seconds
    if limit_seconds is None:
        return False
    wait = judged.first_word_seconds
    return wait is None or wait.high > limit_seconds
