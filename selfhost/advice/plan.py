"""The reverse question: what a model takes under a workload.

`plan_with` returns a `Plan`: the least machine that runs the model, and the verdict on each known
machine. Both are views of the choice along the axis of machines (docs/architecture.md): the least
machine is the first candidate on which the best way runs. Its memory, disk and accelerator are
those of the model's smallest way; its cores and bandwidth are found by judging.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial

from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record
from ..core.workload import READING_TOKENS_PER_SECOND, Workload
from ..judge.checks import Finding, OptionFault, Outcome, error_of
from ..judge.checks.space import bytes_to_store, disk_margin_bytes, reserve_beside
from ..judge.checks.speed import is_slow, may_be_too_slow
from ..judge.choice import smallest_of_list, workload_where_users_wait
from ..judge.devices import smallest_total_bytes
from ..judge.equal_parts import smallest_device_bytes
from ..judge.judging import judge
from ..judge.pace.rates import shared_gpu_of
from ..judge.rating import has_waiting_users
from ..judge.record import (
    MACHINELESS_CHECKS,
    PACE_CHECKS,
    TIGHT_CODES,
    Judged,
    Question,
    Range,
    Report,
    Route,
    Verdict,
    exit_code,
)
from ..machine import gpus
from ..machine.clusters import cluster_of
from ..machine.links import are_often_joined
from ..machine.profiles import Profile, all_profiles, size_order
from ..machine.record import MAX_MEMORY_BYTES, MEASURED, Accelerator, Machine
from ..needs import MAKERS_IN_RAM, needs_on
from ..needs.records import Device, Needs
from .api_route import offers_for
from .sizes import disks_of, least_card
from .understood import Model, Understood, judged_on, remarks, understand
from .verdicts import verdict_on

# the bandwidths that are tried, in steps of 0.1 GB/s, to 2,000 GB/s: more than any processor reads
# from RAM today (assumed)
_BANDWIDTHS = range(units.GB // 10, 2001 * units.GB, units.GB // 10)
# memory of any speed
_UNBOUNDED = 2**50
_CORES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# the cores must be so many times as fast as wanted, so that slower memory may do
_HEADROOM = 2.0
# kinds of known machines that nobody buys or rents: runners of CI, and containers
NOT_TO_OWN = ("ci", "virtual")
# how many of a machine are joined
_JOINED = 2
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
    or no RAM is that fast. `check` runs the model on `machine`, which has just these figures, or is
    the smallest known machine where a GPU has to be fast. `is_slow`: the machine does other work
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

    @property
    def shares_memory(self) -> bool:
        """Whether a GPU of the machine shares the RAM, as in a Mac."""
        return any(card.unified for card in self.machine.cards)

    @property
    def needs_own_gpu_memory(self) -> bool:
        """Whether the model needs a GPU, and no GPU of the machine shares the RAM."""
        return self.accelerator.required and not self.shares_memory


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

    @property
    def is_doubtful(self) -> bool:
        """Whether the machine runs the model with little left, or perhaps too slowly."""
        return self.is_tight or not self.is_fast_enough

    @property
    def ram_bytes(self) -> int:
        """The bytes of RAM that programs get on the machine; 0 where they are not known."""
        return self.memory_limit_bytes or 0

    @property
    def largest_card_bytes(self) -> int | None:
        """The memory of the largest GPU with memory of its own; None for no such GPU."""
        return max(_bytes_of_cards(self.machine), default=None)


class JoinedMachines(Record):
    """Several of a known machine that run the model together, where one does not.

    `machine` is the profile's name, `number` how many are joined by `link`, their usual one.
    `split`: how they divide the model.
    """

    machine: str
    number: int
    link: str
    split: str | None
    runtime: str | None
    quantization: str | None
    decode_tokens_per_second: Range | None
    judged_tokens_per_second: Range | None


class Plan(Report):
    """The answer. `least` is None where no machine of any size would do, or the size cannot be
    computed; `reasons` say why.

    `machines` are all profiles, first those on which the model runs, from the smallest. `joined`
    are two of a machine that people join, where one does not run the model. `options` are the
    options of `selfhost check` under which these were judged. `contexts` is the number of contexts
    of the stated length, of which all sequences may share one.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    contexts: int
    needs: Needs | None
    least: LeastMachine | None
    reasons: tuple[Finding, ...]
    machines: tuple[KnownMachine, ...]
    joined: tuple[JoinedMachines, ...] = ()
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
    def is_run_with_less(self) -> bool:
        """Whether a known machine surely runs the model for all users at once on GPUs that each
        have less memory than that of the least machine, and with less RAM where RAM alone would do.
        """
        least = self.least
        if least is None:
            return False
        for known in self.fitting:
            if known.is_doubtful or has_waiting_users(known):
                continue
            largest = known.largest_card_bytes
            if largest is None or largest >= least.accelerator.memory_bytes:
                continue
            if least.needs_own_gpu_memory or known.ram_bytes < least.memory_bytes:
                return True
        return False

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
    checked = verdict_on(catalogue, meant, anywhere, follows_machine=False)
    machines = _known_machines(catalogue, meant, profiles)
    found = _find_least(meant.for_machine(catalogue, _VAST), catalogue, machines)
    question = found.judged.question
    parts = question.stated_parts or 1
    if parts > 1:
        figures = {"parts": parts}
        raise error_of(
            OptionFault(option="runtime_options", kind="parts-in-plan", figures=figures)
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
        asked=meant.typed_name,
        model=meant.spec,
        workload=question.workload,
        contexts=question.contexts,
        needs=needs,
        least=found.least,
        reasons=tuple(reasons),
        machines=machines,
        joined=tuple(_joined(catalogue, meant, machines, found.least)),
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
        machine = profile.machine
        there = meant.for_machine(catalogue, machine)
        best = judged_on(catalogue, there, machine).judged
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
        accelerator_memory_bytes=sum(_bytes_of_cards(machine)),
        codes=tuple(codes),
        by_shared_gpu=best.placement == "host" and shared is not None,
        is_tight=is_tight,
        is_slow=is_slow(best),
        is_fast_enough=is_fast,
        is_comfortable=is_fast and not is_tight and _comes_as_one_reads(best),
    )


def _bytes_of_cards(machine: Machine) -> list[int]:
    """The memory of each GPU with memory of its own; 0 where that is not known."""
    return [card.memory_total_bytes or 0 for card in machine.own_memory_cards]


def _is_fast_enough(best: Judged) -> bool:
    """Whether the slow end of the pace of text reaches the wanted speed, or other work is done in
    less than minutes.
    """
    if best.workload.min_tokens_per_second and best.users_pace is None:
        return False
    if may_be_too_slow(best):
        return False
    return best.decode_tokens_per_second is not None or not is_slow(best)


def _comes_as_one_reads(best: Judged) -> bool:
    """Whether text likely comes as fast as people read; True for a model without a pace of text."""
    pace = best.users_pace or best.decode_tokens_per_second
    return pace is None or not units.is_slower(pace.likely, READING_TOKENS_PER_SECOND)


# ------------------------------------------------------------------ two of a machine


def _joined(
    catalogue: Catalogue,
    meant: Understood,
    machines: Iterable[KnownMachine],
    least: LeastMachine | None,
) -> Iterator[JoinedMachines]:
    """Yield two of each machine that people join, where one does not run the model, from the
    smallest.
    """
    if least is None or not meant.spec.writes_text:
        return
    # imported here: every report loads this module, and few plans get so far
    from ..judge.cluster_choice import best_together

    one_does_not = [known for known in machines if not known.can_run]
    for known in sorted(one_does_not, key=lambda known: size_order(known.machine)):
        machine = known.machine
        held_bytes = _JOINED * sum(size_order(machine)[:1])
        if held_bytes < least.memory_bytes or not are_often_joined(machine):
            continue
        cluster = cluster_of([machine] * _JOINED, names=[known.name] * _JOINED)
        there = meant.for_machine(catalogue, machine)
        question = there.question(catalogue, machine)
        together = best_together(question, catalogue, [cluster])
        judged = together.judged
        if judged.fits:
            yield JoinedMachines(
                machine=known.name,
                number=_JOINED,
                link=cluster.link.name,
                split=together.split,
                runtime=judged.workload.runtime,
                quantization=judged.quantization,
                decode_tokens_per_second=judged.decode_tokens_per_second,
                judged_tokens_per_second=judged.users_pace,
            )


# ------------------------------------------------------------------ the least machine


class _Found(Record):
    """The question as judged on the least machine. Without `least` it was judged on a machine
    without limits, or a check of the model itself fails on every machine.
    """

    judged: Judged
    least: LeastMachine | None = None


def _find_least(
    meant: Understood,
    catalogue: Catalogue,
    known: Iterable[KnownMachine],
) -> _Found:
    """The least machine on which `check` says that the model runs: one with just enough of
    everything, else the smallest known machine whose GPUs hold the model. Where the model runs on
    none, the last machine with just enough is taken, whose GPU holds the model.
    """
    question = meant.question(catalogue, _VAST)
    workload = workload_where_users_wait(question, catalogue) or smallest_of_list(
        question, catalogue
    )
    smallest = meant.replace(workload=workload)
    vast = _least_platform(smallest.question(catalogue, _VAST))
    question = smallest.question(catalogue, vast)
    search = _Search(meant=meant, catalogue=catalogue, question=question, vast=vast)
    just_enough: list[Machine] = []
    if question.needs is not None and question.needs.memory is not None:
        just_enough += search.candidates()
    if not just_enough:
        return _Found(judged=judge(question, vast))
    taken = search.first_that_fits(just_enough)
    if taken is None:
        on_gpus = search.first_that_fits(_on_gpus(known))
        if on_gpus is not None:
            # the smallest way is too slow: the figures are those of the way that is not
            best = search.checked(on_gpus)
            in_best_way = search.replace(question=best.question)
            least = in_best_way.least_machine(on_gpus, best)
            return _Found(judged=best, least=least)
        # the model runs on none; it fits at least on the one with a GPU, which comes last
        taken = just_enough[-1]
    judged = judge(question, taken)
    if not set(judged.failed).isdisjoint(MACHINELESS_CHECKS):
        return _Found(judged=judged)
    return _Found(judged=judged, least=search.least_machine(taken, judged))


def _on_gpus(known: Iterable[KnownMachine]) -> list[Machine]:
    """The machines that people own or rent whose GPUs hold the whole model: those that surely are
    fast enough first, else from the smallest.
    """
    rows = []
    for row in known:
        is_whole_on_gpus = row.can_run and row.placement == "accelerator"
        if is_whole_on_gpus and row.kind not in NOT_TO_OWN:
            rows.append(row)
    rows.sort(key=lambda row: not row.is_fast_enough)
    return [row.machine for row in rows]


def _least_platform(question: Question) -> Machine:
    """A machine without limits, of the first platform of the runtime that the model allows."""
    if question.needs is None or question.runtime is None:
        return _VAST
    cpu = question.needs.cpu
    platform = _platform_for(question.runtime.platforms.systems, cpu.architectures)
    system, _, architecture = platform.partition("-")
    needed = cpu.instruction_sets.get(architecture, ())
    recommended = cpu.recommended.get(architecture, ())
    sets = dict.fromkeys(needed + recommended)
    return _VAST.replace(
        system=system, architecture=architecture, instruction_sets=tuple(sets)
    )


def _platform_for(platforms: Sequence[str], allowed: Sequence[str]) -> str:
    """The first platform whose architecture is allowed, else the first of all. An empty `allowed`
    allows every architecture.
    """
    for platform in platforms:
        _, _, architecture = platform.partition("-")
        if not allowed or architecture in allowed:
            return platform
    return platforms[0]


class _Search(Record):
    """A search for the least machine of a model.

    - `meant`: the model and the workload as `check` gets them, without a type of the plan's own.
    - `question`: the model in the type and program of least memory, on `vast`, a machine without
      limits.
    """

    meant: Understood
    catalogue: Catalogue
    question: Question
    vast: Machine

    def first_that_fits(self, machines: Iterable[Machine]) -> Machine | None:
        """The first machine on which `check` says that the model runs; None for none."""
        for machine in machines:
            if self.checked(machine).fits:
                return machine
        return None

    def checked(self, machine: Machine) -> Judged:
        """The judgement of `check` on the machine."""
        return judged_on(self.catalogue, self.meant, machine).judged

    # -------------------------------------------------------------- the bytes, at the high end

    @property
    def needs(self) -> Needs:
        """The needs in RAM, which are known."""
        assert self.question.needs is not None
        return self.question.needs

    @property
    def in_ram_bytes(self) -> int:
        """The RAM that the model takes without an accelerator of its own."""
        assert self.needs.memory is not None
        return self.needs.memory.high_bytes

    @cached_property
    def card_bytes(self) -> int:
        """The memory of one accelerator that holds the model."""
        case = self.question.case
        if self.question.wants_gpu:
            return smallest_device_bytes(self.needs, case)
        # a program that also runs in RAM leaves a part of the accelerator free
        taken = needs_on(self.needs, case, Device()).on_cards
        return smallest_total_bytes(gpus.UNKNOWN, taken.high_bytes)

    @cached_property
    def beside_bytes(self) -> int:
        """The RAM that the model takes beside an accelerator: with the driver that takes most of
        it, because a plan names no maker.
        """
        most = 0
        for maker in ("", *MAKERS_IN_RAM):
            device = Device(maker=maker)
            beside = needs_on(self.needs, self.question.case, device).on_host
            most = max(most, beside.high_bytes)
        return most

    @cached_property
    def disk_bytes(self) -> int | None:
        """The bytes that must be free on the disk: the files, and the larger of a margin and the
        files from which the model file is made; None where the size of the files is not known.
        """
        stored = bytes_to_store(self.needs, None)
        if stored is None:
            return None
        free_bytes = stored.most
        while True:
            # the margin grows with the disk
            margin_bytes = disk_margin_bytes(free_bytes)
            wanted_bytes = stored.most + max(self.question.making_bytes, margin_bytes)
            if free_bytes >= wanted_bytes:
                return free_bytes
            free_bytes = wanted_bytes

    def _ram_bytes(self, taken_bytes: int) -> int:
        """The whole RAM, where the model takes so many bytes of it."""
        return taken_bytes + self._reserve_bytes(taken_bytes)

    def _reserve_bytes(self, taken_bytes: int) -> int:
        """The bytes of RAM that the system keeps beside a model that takes so many."""
        return reserve_beside(taken_bytes, self.vast, self.question.workload)

    # -------------------------------------------------------------- candidates

    def candidates(self) -> Iterator[Machine]:
        """Yield the machine without a GPU of its own, and the machine with a GPU of which only the
        memory is known; each only where the program runs there and a machine has so much memory.
        """
        question = self.question
        makers = question.device_makers
        is_mac = self.vast.platform == "macos-aarch64"
        needs_gpu = bool(makers) or question.splits_tensors or question.wants_gpu
        ram_bytes = self._ram_bytes(self.in_ram_bytes)
        has_so_much = ram_bytes <= MAX_MEMORY_BYTES
        if is_mac:
            gpu = Accelerator(vendor="apple", name="Apple GPU", unified=True)
            if has_so_much:
                yield self._paced(self._with(ram_bytes, (gpu,)))
            return
        if has_so_much and not needs_gpu:
            yield self._paced(self._with(ram_bytes, ()))
        if makers == () or self.card_bytes > MAX_MEMORY_BYTES:
            return
        beside_bytes = self._ram_bytes(self.beside_bytes)
        if beside_bytes > 0:
            card = least_card(question, self.card_bytes, "the accelerator")
            if makers is not None:
                card = card.replace(vendor=makers[0])
            yield self._with(beside_bytes, (card,))

    def _with(
        self,
        ram_bytes: int,
        cards: tuple[Accelerator, ...],
    ) -> Machine:
        """The machine with so much RAM and that GPU."""
        return self.vast.replace(
            memory_total_bytes=ram_bytes,
            memory_limit_bytes=ram_bytes,
            disks=disks_of(self.disk_bytes),
            accelerators=cards,
        )

    def _paced(self, machine: Machine) -> Machine:
        """The machine with the fewest cores for the wanted pace and wait, then with the least
        bandwidth for these; unchanged where neither is wanted, or no RAM is that fast.
        """
        workload = self.question.workload
        wanted = workload.min_tokens_per_second or 0.0
        if not wanted and workload.max_wait_seconds is None:
            return machine
        for cores in _CORES:
            with_cores = machine.replace(cpu_cores_usable=float(cores))
            if self._is_too_slow(_HEADROOM * wanted, with_cores, _UNBOUNDED):
                continue
            is_too_slow = partial(self._is_too_slow, wanted, with_cores)
            number = units.count_while(is_too_slow, _BANDWIDTHS)
            if number == len(_BANDWIDTHS):
                # these cores suffice, so more would not help: no RAM is that fast
                return machine
            return _with_bandwidth(with_cores, _BANDWIDTHS[number])
        return machine

    def _is_too_slow(
        self,
        wanted: float,
        machine: Machine,
        bandwidth: int,
    ) -> bool:
        """Whether text may come more slowly than wanted with memory of that bandwidth, or its first
        word too late.
        """
        judged = self.checked(_with_bandwidth(machine, bandwidth))
        pace = judged.users_pace
        if pace is None or _may_wait_too_long(judged):
            return True
        # compared without rounding: the buyer wants the pace itself
        return pace.low < wanted

    # -------------------------------------------------------------- the record

    def least_machine(self, machine: Machine, judged: Judged) -> LeastMachine:
        """The figures of the machine, on which the smallest type was judged."""
        needs_gpu = bool(machine.own_memory_cards)
        taken_bytes = self.in_ram_bytes
        cores = machine.cpu_cores_usable
        bandwidth = machine.memory_bandwidth_bytes_per_second
        if needs_gpu:
            taken_bytes = self.beside_bytes
            cores = None
            bandwidth = None
        # a need stated as one figure may not say what lies in RAM when accelerators hold the model
        memory_beside_bytes = None
        if self.beside_bytes:
            memory_beside_bytes = self._ram_bytes(self.beside_bytes)
        cpu = judged.placed.cpu
        architecture = machine.architecture or ""
        has_pace = bool(judged.workload.min_tokens_per_second)
        return LeastMachine(
            machine=machine,
            memory_bytes=self._ram_bytes(taken_bytes),
            reserve_bytes=self._reserve_bytes(taken_bytes),
            disk_bytes=self.disk_bytes,
            cpu=LeastCpu(
                architectures=cpu.architectures,
                instruction_sets=cpu.instruction_sets.get(architecture, ()),
                recommended_instruction_sets=cpu.recommended.get(architecture, ()),
                cores=cores,
            ),
            bandwidth_bytes_per_second=bandwidth,
            accelerator=LeastAccelerator(
                required=needs_gpu,
                memory_bytes=self.card_bytes,
                memory_beside_bytes=memory_beside_bytes,
            ),
            is_slow=not has_pace and is_slow(judged),
        )


def _with_bandwidth(machine: Machine, bytes_per_second: int) -> Machine:
    """The machine with memory of that bandwidth, which counts as measured: a stated bandwidth is a
    peak, which programs do not reach.
    """
    facts = {
        "memory_bandwidth_bytes_per_second": bytes_per_second,
        "memory_bandwidth_how": MEASURED,
    }
    return machine.stated(facts, "measured, as it would have to be")


def _may_wait_too_long(judged: Judged) -> bool:
    """Whether the first word may come later than the longest wait allows, at its slow end."""
    limit_seconds = judged.workload.max_wait_seconds
    if limit_seconds is None:
        return False
    wait = judged.first_word_seconds
    return wait is None or wait.high > limit_seconds
