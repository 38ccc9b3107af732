"""The reverse question: the least machine that runs a model under a workload, and which known
machines do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from ..catalogue.index import Catalogue
from ..catalogue.spec import GENERATING, ModelSpec, RuntimeSpec
from ..core import units
from ..core.dates import utc_today
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.workload import READING_TOKENS_PER_SECOND, Workload
from ..judge.checks import Finding, Outcome, disk_margin_bytes, ends_to_store, reserve_beside
from ..judge.checks.speed import is_slow
from ..judge.defaults import first_of_list, follows_a_list, smallest_of_list, suited_by_list
from ..judge.judging import judge, to_come
from ..judge.pace.speed import PaceRange, Speed, instruction_sets_for_layout, uses_shared_gpu
from ..judge.placement.devices import DEVICE_MARGIN_BYTES
from ..judge.placement.gpus_alone import smallest_device_bytes
from ..judge.placement.on_devices import terms_of
from ..judge.question import PACKED_RUNTIMES, architectures, ask
from ..judge.record import Judged, Question, Route, exit_code
from ..machine.profiles import Profile, size_of
from ..machine.record import MAX_MEMORY_BYTES, PURPOSES, Accelerator, Disk, Machine
from ..needs import needs_on, quantizations_of, why_not_loaded
from ..needs.records import Device, Needs
from ..needs.repack import kind_of
from .alternatives import alternatives
from .api_route import offers_for
from .ranking import TIGHT_CODES

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# what a processor of today reads at most; a pace that needs more is none that RAM gives
MOST_BANDWIDTH = 2000 * units.GB
CORES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# of two facts that are searched for together, one must leave room for the other
_HEADROOM = 2.0
# what a machine must be like whatever its size; a `fail` of these no larger machine mends
_OF_THE_MODEL = ("weights", "license", "openness", "context", "runtime")


# classes of machine that people have at home or at work
_KIND_NAMES = {"laptop": "laptop", "desktop": "desktop", "mac": "Mac"}
# the largest memory of a card for desktops (RTX 5090, specs/common/gpus.toml): what takes more is
# shared by several
_LARGEST_DESKTOP_CARD_BYTES = 32 * units.GIB
# so many cards share a model; one board holds no more
_CARDS = (2, 4, 8)
# to which the memory of each is searched
_CARD_STEP_BYTES = units.GIB // 8

CHECK_YOURS = "check your configuration"


class LeastCpu(Record):
    """What the processor of the least machine must be. `cores` go with the bandwidth of `Least`,
    None where it has none.
    """

    architectures: tuple[str, ...]
    instruction_sets: tuple[str, ...]
    recommended_instruction_sets: tuple[str, ...]
    cores: float | None


class LeastAccelerator(Record):
    """Memory of one accelerator that `check` takes to hold all of it, started with `lean_option`
    where that is not "", and of the RAM beside it, None where a need that is stated as one figure
    does not say; `required` by the runtime. `sure_bytes` surely does without the option. `parts`
    are a number of accelerators that may share it and the memory of each, None where it cannot be
    shared or one card for desktops holds it.
    """

    required: bool
    memory_bytes: int
    memory_beside_bytes: int | None
    sure_bytes: int
    lean_option: str = ""
    parts: tuple[int, int] | None = None


class Least(Record):
    """The least that a machine needs, each figure on its own line of a price list.

    `memory_bytes` is RAM in all, `reserve_bytes` of it kept for the system. `disk_bytes` must be
    free, a margin included; None: the size of the files is not known. `bandwidth_bytes_per_second`
    of RAM, measured, reaches the wanted speed for sure, and `bandwidth_perhaps_bytes_per_second`
    perhaps. Both are None where no speed is wanted, it cannot be told, or no RAM is that fast.
    `machine` has all that, and no more; `is_slow`: it does other work than text in minutes to days.
    """

    machine: Machine
    memory_bytes: int
    reserve_bytes: int
    disk_bytes: int | None
    cpu: LeastCpu
    bandwidth_bytes_per_second: int | None
    bandwidth_perhaps_bytes_per_second: int | None
    accelerator: LeastAccelerator
    is_slow: bool = False


class Known(Record):
    """A profile that was judged under `workload`, which `check` takes there: of pictures and
    training it may be another than that of the plan. `advice` is what to do about figures of the
    profile that are not sure. `placement` is host, accelerator or split; `speed` is None where it
    cannot be told. `codes` are those of the findings that do not pass.

    `is_tight`: it runs there only once other programs are closed, or leaves them next to nothing.
    `is_slow`: text is likely slower than wanted, or other work takes minutes to days.
    `by_shared_gpu`: a GPU that shares the RAM computes it.
    """

    profile: Profile
    name: str
    short: str
    title: str
    kind: str
    confidence: str | None
    advice: str | None
    route: Route
    runtime: str | None
    quantization: str | None
    context_tokens: int | None
    finetune_method: str | None
    placement: str | None
    memory_limit_bytes: int | None
    accelerator_memory_bytes: int
    decode_tokens_per_second: PaceRange | None
    judged_tokens_per_second: PaceRange | None
    codes: tuple[str, ...]
    findings: tuple[Finding, ...]
    speed: Speed | None
    workload: Workload
    is_tight: bool
    is_slow: bool
    by_shared_gpu: bool

    def __repr__(self) -> str:
        return f"<Known {self.name}: {self.route}>"


def _known(profile: Profile, question: Question, judged: Judged, route: Route) -> Known:
    """The question judged on that profile."""
    machine, workload, speed = profile.machine, question.workload, judged.speed
    cards = [card for card in machine.accelerators or () if not card.unified]
    placement = judged.needs.placement if judged.needs else None
    findings = judged.findings
    return Known(
        profile=profile,
        name=profile.name,
        short=profile.short,
        title=profile.title,
        kind=profile.kind,
        confidence=machine.confidence,
        advice=None if machine.confidence == "high" else CHECK_YOURS,
        route=route,
        runtime=workload.runtime,
        quantization=workload.quantization,
        context_tokens=workload.context_tokens,
        finetune_method=workload.finetune_method,
        placement=placement,
        memory_limit_bytes=machine.memory_limit_bytes,
        accelerator_memory_bytes=sum(card.memory_total_bytes or 0 for card in cards),
        decode_tokens_per_second=speed.decode if speed is not None else None,
        judged_tokens_per_second=speed.judged if speed is not None else None,
        codes=tuple(each.code for each in findings if each.outcome is not Outcome.PASS),
        findings=findings,
        speed=speed,
        workload=workload,
        is_tight=any(each.code in TIGHT_CODES for each in findings),
        is_slow=is_slow(judged, workload.min_tokens_per_second),
        by_shared_gpu=placement == "host" and uses_shared_gpu(machine, question.runtime),
    )


class Plan(Record):
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

    @property
    def download_seconds(self) -> float | None:
        """How long the download takes at the speed that was stated; None where no speed was, or
        the size is not known.
        """
        size = self.needs.download_bytes if self.needs is not None else None
        return self.workload.seconds_to_download(size)

    def __repr__(self) -> str:
        memory = f"{units.binary(self.least.memory_bytes)} of RAM" if self.least else "none"
        return (
            f"<Plan {self.model.id}: least machine {memory};"
            f" {len(self.fitting)} of {len(self.machines)} known machines run it>"
        )

    def to_json(self) -> dict[str, Any]:
        """The object of `selfhost plan --format json`, `selfhost.plan/1`, as a dict."""
        # reports import this module, so that it cannot import them
        from importlib import import_module

        document: dict[str, Any] = import_module("selfhost.reports.json").plan(self)
        return document

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the least machine and of known ones."""
        from importlib import import_module

        table: str = import_module("selfhost.reports.notebook").of_plan(self)
        return table

    @property
    def fitting(self) -> tuple[Known, ...]:
        """The profiles that run it, smallest first."""
        return tuple(machine for machine in self.machines if machine.route is Route.LOCAL)

    def fast_enough(self, machine: Known) -> bool:
        """The slow end of its pace reaches the wanted speed too; where it does not, or is not
        told, a profile that fits only may do. Of other work: it does not take minutes to days.
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
        best = next(
            (route for route in (Route.LOCAL, Route.UNKNOWN) if route in routes), Route.NEITHER
        )
        return exit_code([best])


def make_plan(
    spec: ModelSpec,
    workload: Workload,
    catalogue: Catalogue,
    profiles: Iterable[Profile],
    *,
    asked: str | None = None,
    notes: tuple[str, ...] = (),
) -> Plan:
    """What `spec` takes of a machine under `workload`, and which of `profiles` give it; where none
    does and the program is free, with the first program for several accelerators that runs it on
    one. Raises `WorkloadError` as `ask`.
    """
    judged_on = list(profiles)
    plan = _planned(spec, workload, catalogue, judged_on, asked=asked, notes=notes)
    planned_for = workload
    if not plan.fitting and plan.least is not None:
        for other in _with_other_programs(spec, workload, catalogue):
            try:
                instead = _planned(spec, other, catalogue, judged_on, asked=asked, notes=notes)
            except WorkloadError:
                continue
            if instead.fitting:
                usual = plan.workload
                why = (
                    f"In {usual.quantization} in {usual.runtime} no known machine runs it for sure."
                )
                plan = instead.replace(notes=(*notes, why, *instead.notes[len(notes) :]))
                planned_for = other
                break
    others = _instead(spec, planned_for, catalogue, plan.machines)
    return plan.replace(notes=(*plan.notes, *others))


def _with_other_programs(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue
) -> Iterator[Workload]:
    """The workload in each program that `check` may take by itself on several accelerators: in the
    types that it would take, then in the others that the model comes in.
    """
    is_free = workload.runtime is None and workload.quantization is None
    if not is_free or workload.task != "generate" or spec.modality not in GENERATING:
        return
    for name in PACKED_RUNTIMES:
        runtime = catalogue.runtime(name)
        if runtime.preferred_from_accelerators and why_not_loaded(spec, runtime) is None:
            types = quantizations_of(spec, runtime, architectures(catalogue))
            for type in dict.fromkeys((None, *runtime.on_accelerators, *types)):
                yield workload.replace(runtime=name, quantization=type)


def _planned(
    spec: ModelSpec,
    workload: Workload,
    catalogue: Catalogue,
    profiles: Iterable[Profile],
    *,
    asked: str | None,
    notes: tuple[str, ...],
) -> Plan:
    """As `make_plan`, with the usual program where none is stated, and without what machines run
    instead.
    """
    question, judged, least = _least(spec, workload, catalogue)
    outcomes = []
    by_layout: dict[str, Question] = {}
    offered: bool | None = None
    for profile in profiles:
        # a known machine holds no files, so that of it the layout of weights alone counts
        layout = kind_of(instruction_sets_for_layout(profile.machine))
        if layout not in by_layout:
            by_layout[layout] = ask(spec, workload, catalogue, profile.machine)
        best = suited_by_list(by_layout[layout], workload, catalogue, profile.machine)
        here, judged_here = best.question, best.judged
        if judged_here.failed and offered is None:
            # what is offered depends on the model and on what is asked of it, on no machine
            offered = bool(offers_for(catalogue, here, judged_here, utc_today()))
        route = judged_here.route(offered=bool(offered))
        outcomes.append(_known(profile, here, judged_here, route))
    order = (Route.LOCAL, Route.UNKNOWN, Route.NEITHER, Route.API)
    outcomes.sort(
        key=lambda machine: (
            order.index(machine.route),
            *size_of(machine.profile.machine),
            machine.profile.name,
        )
    )
    stopping = (Outcome.FAIL, Outcome.UNKNOWN)
    # but for what is judged in the first type that fits, one machine's own default may be larger
    in_turn = any(each.in_turn for each in by_layout.values())
    is_of_machine = in_turn or follows_a_list(spec, workload)
    quantization = None if is_of_machine else question.workload.quantization
    return Plan(
        asked=asked or spec.id,
        model=spec,
        workload=question.workload,
        needs=None if question.needs is None else to_come(question, question.needs),
        least=least,
        reasons=tuple(
            finding
            for finding in judged.findings
            if finding.outcome in stopping and finding.check != "speed"
        ),
        machines=tuple(outcomes),
        notes=(*notes, *_in_other_types(question, spec, workload, catalogue)),
        options=workload.replace(quantization=workload.quantization or quantization).options(),
    )


def _in_other_types(
    planned: Question, spec: ModelSpec, workload: Workload, catalogue: Catalogue
) -> Iterator[str]:
    """What the first type that is tried takes, and the smallest on a GPU, where the least machine
    is for another.
    """
    question = ask(spec, workload, catalogue, _vast())
    first = first_of_list(question, workload, catalogue)
    smallest = smallest_of_list(question, workload, catalogue, in_ram=False)
    seen = {planned.workload}
    for other in (first, smallest):
        question, _, least = _least_in(spec, other, catalogue)
        if least is None or question.workload in seen:
            continue
        seen.add(question.workload)
        takes = []
        if not least.accelerator.required:
            takes.append(f"{units.binary_at_least(least.memory_bytes)} of RAM")
        if least.accelerator.memory_bytes is not None:
            takes.append(f"a GPU of {units.binary_at_least(least.accelerator.memory_bytes)}")
        named = question.workload
        yield f"{named.quantization} in {named.runtime} takes {' or '.join(takes)}."


def _instead(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue, outcomes: Sequence[Known]
) -> Iterator[str]:
    """For each class of machine that does not run the model, servers left out, what its middle one
    runs instead, as `check` proposes it there.
    """
    if workload.task != "generate":
        return
    for kind, name in _KIND_NAMES.items():
        machines = [outcome for outcome in outcomes if outcome.kind == kind]
        as_well = (each for each in outcomes if kind == "laptop" and each.profile.is_portable)
        if not machines or any(each.route is Route.LOCAL for each in (*machines, *as_well)):
            continue
        machines.sort(key=lambda each: size_of(each.profile.machine))
        outcome = machines[len(machines) // 2]
        machine = outcome.profile.machine
        question = ask(spec, workload, catalogue, machine)
        judged = judge(question, machine)
        others = alternatives(question, workload, judged, catalogue, machine)
        other = next((each for each in others if each.id != spec.id), None)
        if other is not None:
            why = f": {other.why}" if other.why else ""
            may_run = any(each.route is Route.UNKNOWN for each in machines)
            yield (
                f"No known {name} runs it{' for sure' if may_run else ''}. On one of middle size,"
                f" {outcome.name}, {other.id} runs instead{why}."
            )


def _least(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue
) -> tuple[Question, Judged, Least | None]:
    """The question, judged on the least machine, and that machine; on one without limits where
    there is none. Of types and programs that follow the machine it is the smallest.
    """
    question = ask(spec, workload, catalogue, _vast())
    smallest = smallest_of_list(question, workload, catalogue, in_ram=True)
    return _least_in(spec, smallest, catalogue)


def _vast() -> Machine:
    """A machine without limits."""
    return _machine("linux", "x86_64", 2**50, 2**60)


def _least_in(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue
) -> tuple[Question, Judged, Least | None]:
    """As `_least`, of the model's own defaults where nothing is stated."""
    question, vast, (system, architecture) = _on_its_platform(spec, workload, catalogue)
    needs, runtime = question.needs, question.runtime
    if needs is None or needs.memory is None:
        return question, judge(question, vast), None
    gpu_only = runtime is not None and runtime.wants_gpu(question.workload.quantization)
    on_card, beside = _parted(needs, gpu_only=gpu_only)
    unified = system == "macos" and architecture == "aarch64"
    in_ram = not gpu_only or unified
    held = needs.memory.high_bytes if in_ram else beside
    reserve = reserve_beside(held, vast, workload)
    memory = reserve + held
    # a need stated as one figure may not say what lies in RAM beside the accelerators
    if not memory or max(memory, on_card) > MAX_MEMORY_BYTES:
        return question, judge(question, vast), None
    cards = _its_cards(question, on_card, gpu_only=gpu_only, unified=unified)
    disk, sets = _disk_to_store(needs), _sets(needs, architecture)
    machine = _machine(system, architecture, memory, disk, sets, cards)
    wanted = question.workload.min_tokens_per_second if in_ram else None
    machine, (cores, sure, perhaps) = _paced(question, machine, wanted)
    judged = judge(question, machine)
    if _is_ruled_out_anywhere(judged):
        return question, judged, None
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
        bandwidth_bytes_per_second=sure,
        bandwidth_perhaps_bytes_per_second=perhaps,
        accelerator=LeastAccelerator(
            required=gpu_only,
            memory_bytes=on_card,
            memory_beside_bytes=beside + reserve_beside(beside, vast, workload) if beside else None,
            **_of_several(spec, question, catalogue, machine, on_card, gpu_only=gpu_only),
        ),
        is_slow=not question.workload.min_tokens_per_second and is_slow(judged, None),
    )
    return question, judged, least


def _of_several(
    spec: ModelSpec,
    question: Question,
    catalogue: Catalogue,
    machine: Machine,
    on_card: int,
    *,
    gpu_only: bool,
) -> dict[str, Any]:
    """The last fields of `LeastAccelerator`, where one card takes `on_card` bytes."""
    needs, runtime = question.needs, question.runtime
    if not gpu_only or needs is None or needs.memory is None:
        parts = _spread_over(spec, question, catalogue, machine, on_card)
        return {"sure_bytes": on_card, "parts": parts}
    sure_bytes = smallest_device_bytes(needs)
    return {
        "sure_bytes": sure_bytes,
        "lean_option": runtime.lean_option if runtime and on_card < sure_bytes else "",
        "parts": _shared_by(needs),
    }


def _disk_to_store(needs: Needs) -> int | None:
    """The least free space that stores the most that the files may take, and leaves the margin of a
    disk of that size; None where their size is not known.
    """
    _, stored = ends_to_store(needs, None)
    if stored is None:
        return None
    sizes = range(stored, stored + disk_margin_bytes(None))
    return _least_of(sizes, lambda free: free >= stored + disk_margin_bytes(free))


def _is_ruled_out_anywhere(judged: Judged) -> bool:
    """Whether something of the model itself fails, which no machine mends."""
    return any(
        finding.outcome is Outcome.FAIL and finding.check in _OF_THE_MODEL
        for finding in judged.findings
    )


def _on_its_platform(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue
) -> tuple[Question, Machine, tuple[str, str]]:
    """The question on a machine without limits that has the least machine's system and processor,
    that machine, and these two.
    """
    vast = _vast()
    question = ask(spec, workload, catalogue, vast)
    if question.needs is None:
        return question, vast, ("linux", "x86_64")
    system, architecture = _platform(question.needs, question.runtime)
    vast = _machine(system, architecture, 2**50, 2**60, _sets(question.needs, architecture))
    return ask(spec, workload, catalogue, vast), vast, (system, architecture)


def _platform(needs: Needs, runtime: RuntimeSpec | None) -> tuple[str, str]:
    """System and processor of the least machine: the first of the runtime's that the model allows,
    else its first.
    """
    if runtime is None:
        return "linux", "x86_64"
    allowed = needs.cpu.architectures
    platforms = [entry.partition("-") for entry in runtime.systems]
    system, _, architecture = next(
        (platform for platform in platforms if not allowed or platform[2] in allowed),
        platforms[0],
    )
    return system, architecture


def _parted(needs: Needs, *, gpu_only: bool) -> tuple[int, int]:
    """Bytes of one accelerator that holds it, and bytes of RAM beside it."""
    terms = terms_of(needs_on(needs, Device()))
    beside = sum(term.high_bytes for term in terms if term.where == "host")
    if gpu_only:
        return smallest_device_bytes(needs, may_be_lean=True), beside
    on_card = sum(term.high_bytes for term in terms if term.where != "host")
    return on_card + DEVICE_MARGIN_BYTES, beside


def _shared_by(needs: Needs) -> tuple[int, int] | None:
    """The fewest accelerators over which tensor parallelism divides it, and the memory of each."""
    if not needs.tensor_parallel:
        return None
    number = min(needs.tensor_parallel)
    return number, smallest_device_bytes(needs, number, may_be_lean=True)


def _spread_over(
    spec: ModelSpec, question: Question, catalogue: Catalogue, machine: Machine, on_card: int
) -> tuple[int, int] | None:
    """The fewest cards for desktops over which the runtime spreads what takes `on_card` bytes of
    one, and the least memory of each, found by judging; None where one holds it or none do.
    """
    if on_card <= _LARGEST_DESKTOP_CARD_BYTES or any(
        card.unified for card in machine.accelerators or ()
    ):
        return None
    roomy = machine.replace(memory_total_bytes=2**50, memory_limit_bytes=2**50)
    # what is too slow on the cards would be held against RAM, too
    workload = question.workload.replace(min_tokens_per_second=None)

    def holds(cards: int, steps: int) -> bool:
        card = _card(question, steps * _CARD_STEP_BYTES)
        machine = roomy.replace(accelerators=(card,) * cards)
        judged = judge(ask(spec, workload, catalogue, machine), machine)
        if judged.needs is None or judged.needs.placement != "accelerator":
            return False
        # the trainer may decide whether they do
        return all(finding.code != "accelerator-close" for finding in judged.findings)

    for cards in _CARDS:
        # what the most cards for desktops do not hold takes as many larger ones
        largest_bytes = on_card if cards == _CARDS[-1] else _LARGEST_DESKTOP_CARD_BYTES
        most = largest_bytes // _CARD_STEP_BYTES
        if holds(cards, most):
            steps = range(on_card // cards // _CARD_STEP_BYTES, most)
            return cards, _least_of(steps, partial(holds, cards)) * _CARD_STEP_BYTES
    return None


def _least_of(numbers: range, fits: Callable[[int], bool]) -> int:
    """The least of these numbers that fits; `numbers.stop` where none below it does."""
    return numbers.start + bisect_left(numbers, True, key=fits)


def _its_cards(
    question: Question, memory_bytes: int, *, gpu_only: bool, unified: bool
) -> tuple[Accelerator, ...]:
    """The accelerators of the least machine: Apple's own, the least that is needed, or none."""
    if unified:
        return (Accelerator(vendor="apple", name="Apple GPU", unified=True),)
    return (_card(question, memory_bytes),) if gpu_only else ()


def _card(question: Question, memory_bytes: int) -> Accelerator:
    """The least accelerator on which the runtime has kernels of the quantization."""
    runtime = question.runtime
    rule = runtime.rule_of(question.workload.quantization) if runtime is not None else None
    vendors = [each.vendors[0] for each in (rule, question.cache_rule) if each and each.vendors]
    return Accelerator(
        vendor=vendors[0] if vendors else "unknown",
        name="the accelerator",
        memory_total_bytes=memory_bytes,
        unified=False,
        compute_capability=(
            runtime.capability_for(question.workload.quantization, question.cache_rule)
            if runtime is not None
            else None
        ),
    )


def _sets(needs: Needs, architecture: str) -> tuple[str, ...]:
    wanted = (
        *needs.cpu.instruction_sets.get(architecture, ()),
        *needs.cpu.recommended.get(architecture, ()),
    )
    return tuple(dict.fromkeys(wanted))


def _machine(
    system: str,
    architecture: str,
    memory: int,
    disk: int | None,
    sets: tuple[str, ...] = (),
    cards: tuple[Accelerator, ...] = (),
) -> Machine:
    disks = tuple(
        Disk(purpose=purpose, path="its disk", free_bytes=disk, total_bytes=disk, writable=True)
        for purpose in PURPOSES
    )
    return Machine(
        name="the least machine",
        system=system,
        architecture=architecture,
        memory_total_bytes=memory,
        memory_limit_bytes=memory,
        instruction_sets=sets,
        disks=disks,
        accelerators=cards,
        planning=True,
    )


def _paced(
    question: Question, machine: Machine, wanted: float | None
) -> tuple[Machine, tuple[float | None, int | None, int | None]]:
    """The machine with the cores and the bandwidth that reach `wanted`, and what `_pace` tells."""
    if not wanted:
        return machine, (None, None, None)
    cores, sure, perhaps = _pace(question, machine, wanted)
    if cores is not None and sure is not None:
        machine = _with_pace(machine, cores, sure)
    return machine, (cores, sure, perhaps)


def _pace(
    question: Question, machine: Machine, wanted: float
) -> tuple[float | None, int | None, int | None]:
    """Cores, and the measured bandwidths whose slow end and whose likely pace reach `wanted`; None
    where no RAM is that fast.

    The cores are the fewest that would be twice as fast as wanted if memory were no limit.
    """

    def reaches(end: str, pace: float, cores: float) -> Callable[[int], bool]:
        def judged(rate: int) -> bool:
            speed = judge(question, _with_pace(machine, cores, rate)).speed
            return (
                speed is not None
                and speed.judged is not None
                and getattr(speed.judged, end) >= pace
            )

        return judged

    cores = next(
        (float(number) for number in CORES if reaches("low", _HEADROOM * wanted, number)(2**50)),
        None,
    )
    if cores is None:
        return None, None, None
    sure = _smallest(MOST_BANDWIDTH, reaches("low", wanted, cores))
    return cores, sure, None if sure is None else _smallest(sure, reaches("likely", wanted, cores))


def _with_pace(machine: Machine, cores: float, rate: int) -> Machine:
    # a bandwidth that somebody states is a peak, of which little may be used; the plan asks for
    # what is measured
    sources = {"memory_bandwidth_bytes_per_second": "measured, as it would have to be"}
    return machine.replace(
        cpu_cores_usable=cores, memory_bandwidth_bytes_per_second=rate, sources=sources
    )


def _smallest(most: int, fits: Callable[[int], bool]) -> int | None:
    """The least number up to `most`, to a tenth of a gigabyte, for which it fits; None where
    none does.
    """
    step = units.GB // 10
    if not fits(most // step * step):
        return None
    return _least_of(range(1, most // step), lambda steps: fits(steps * step)) * step
