"""One model over several machines: how many of them hold it together, by each program's own rule
(`specs/common/spread.toml`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from math import ceil

from ..catalogue.architecture import Architecture
from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.errors import Problem, SelfhostError, WorkloadError
from ..core.records import Record
from ..core.spelling import canonical
from ..core.workload import Workload
from ..machine.record import Accelerator, Machine
from ..needs.records import MemoryNeed, Term
from ..verdict.devices import free_bytes, is_large, room_of
from ..verdict.findings import Outcome, cpu_check, reserve_of
from ..verdict.findings.accelerator_share import without_kernels
from ..verdict.question import ask
from ..verdict.record import Question, Route, exit_code
from ..verdict.shared_memory import shared_limits
from .shares import (
    Room,
    Share,
    Sizes,
    equal_slices,
    equal_stages,
    rounded_layers,
    whole_layers,
)
from .systems import HOSTS

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..catalogue.runtime import KernelRule

# what grows with the layers that a device takes; the rest lies whole on each
_BY_LAYER = ("weights", "repacked_weights", "kv_cache", "recurrent_state", "adapter")
# loaded once, on the first machine
_ONCE = ("projector", "draft_", "mtp_")
# Layers differ: mixed quantizations give the first and last of them more bits, and some models mix
# kinds of layers. Four of the sixteen of OLMo 2 1B in Q4_K_M weigh 6.4 % more than the average
# (llama.cpp of llama-cpp-python 0.3.36, three RPC servers); DeepSeek's mixtures, 5 % more.
_UNEVEN = 0.07
# of a program's own cache in float16, which its type changes
_HALF_BYTES = 2
# up to so many machines, rules that round try every set; beyond, the largest of each number
_FEW = 10
_FREE_DISK = "the free disk"
# the facts of a record behind what was not read of a machine
_FACTS = {
    _FREE_DISK: ("disks",),
    "the processor": ("instruction_sets", "architecture", "cpu"),
    "the compute capability": ("accelerators",),
}
_BLOCK_VALUES = 32
_MIG = (
    "A program uses one instance of MIG, and no other GPU beside it (NVIDIA's MIG user guide): of"
    " each machine with some, the largest counts."
)
_RULES: dict[str, Callable[[Sizes, Sequence[Room]], tuple[Share, ...] | None]] = {
    "layers": whole_layers,
    "rounded-layers": rounded_layers,
    "slices": equal_slices,
    "stages": equal_stages,
}


class UnknownEngineError(SelfhostError, LookupError):
    """No program of that name shares a model out over machines."""


class Engine(Record):
    """A program that runs one model over several machines: a row of `spread.toml`, whose head says
    what each key means.
    """

    name: str
    title: str
    runtime: str
    quantization: str | None
    share: str
    memory: str
    files: str
    counts: str
    most: str
    architectures: tuple[str, ...]
    alone: tuple[str, ...]
    cache_bytes: int | None
    table_bytes: int | None
    router_bytes: int | None
    block_bytes: int | None
    warnings: tuple[str, ...]
    how: str
    sources: tuple[str, ...]


class LeftOut(Record):
    """A machine that cannot take part. `unread`: because of a fact that was not read."""

    machine: str
    reason: str
    unread: bool = False


class Spread(Record):
    """Whether machines hold a model together. `shares` are those of the fewest machines that do,
    the first machine first; () where none do. Where the route is unknown, their memory is enough
    and another fact of them was not read; `remedy` says how to read it. `needs_bytes` is the
    model's in all, on one machine.
    """

    engine: Engine
    asked: str
    model: ModelSpec
    workload: Workload
    machines: int
    route: Route
    reason: str
    remedy: str | None
    shares: tuple[Share, ...]
    needs_bytes: int | None
    free_bytes: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Of the command."""
        return exit_code([self.route])


def engine_named(typed: str, catalogue: Catalogue) -> Engine:
    """The program that was meant, by its name or an alias. Raises `UnknownEngineError`."""
    rows = catalogue.common_tables("spread", "engine")
    row = rows.get(canonical(typed))
    if row is None:
        names = dict.fromkeys(name for name, _ in rows.values())
        raise UnknownEngineError(
            f"{typed!r} is no program that shares a model out", remedy=f"one of {', '.join(names)}"
        )
    name, values = row
    fields: dict[str, Any] = {key: values.get(key) for key in Engine._fields}
    for key in ("architectures", "alone", "warnings", "sources"):
        fields[key] = tuple(values.get(key, ()))
    return Engine(**{**fields, "name": name})


def spread(
    catalogue: Catalogue,
    model: str,
    workload: Workload,
    machines: Sequence[Machine],
    engine: Engine,
) -> Spread:
    """The fewest of the machines that hold the model together, and what each would hold.

    Machines have different names. Raises what `check` raises for the model and the workload.
    """
    from ..answers.verdicts import check_with

    anywhere = Machine(planning=True)
    fitted = workload.replace(
        runtime=engine.runtime, quantization=engine.quantization or workload.quantization
    )
    named = check_with(catalogue, model, fitted, anywhere, instead=False, follows_machine=False)
    own = ask(named.model, fitted, catalogue, anywhere)
    # a name may state the type
    is_free = own.workload.quantization == named.workload.quantization
    for type in (named.workload.quantization, *(own.in_turn if is_free else ())):
        taken = named.workload.replace(quantization=type)
        question = ask(named.model, taken, catalogue, anywhere)
        _refuse(engine, named.model, question.loads)
        search = _Search(engine, question, machines)
        if search.route is Route.LOCAL:
            break
    memory = question.needs.memory if question.needs else None
    return Spread(
        engine=engine,
        asked=model,
        model=named.model,
        workload=taken,
        machines=len(machines),
        route=search.route,
        reason=search.reason(),
        remedy=search.remedy(),
        shares=search.shares,
        needs_bytes=None if memory is None else memory.high_bytes,
        free_bytes=sum(each.room.bytes for each in search.taking_part),
        left_out=tuple(search.left_out),
        notes=tuple(search.notes()),
    )


def _refuse(engine: Engine, model: ModelSpec, why_not: str | None) -> None:
    """`WorkloadError` where the program does not run the model, or its layers are not known."""
    message, kinds, architecture = why_not, engine.architectures, model.architecture
    if model.closed:
        message = f"the weights of {model.name} were never published"
    elif message is None and architecture is None:
        message = f"the layers of {model.name} are not known, so they cannot be shared out"
    elif message is None and kinds and architecture and architecture.row not in kinds:
        listed = " and ".join(kinds)
        message = f"{engine.title} runs {listed} models, and this is a {architecture.row} model"
    if message is not None:
        remedy = "name another model"
        raise WorkloadError([Problem(file="--spread", message=message, remedy=remedy)])


class _Machine(Record):
    """A machine that can take part. `unread` are facts that could still rule it out,
    `short_of_disk` says why the files do not fit there.
    """

    machine: Machine
    room: Room
    unread: tuple[str, ...]
    short_of_disk: str | None


class _Search:
    """Which machines can take part, and the fewest that hold the model: `shares`, () where none do,
    with the `doubts` about their machines.
    """

    def __init__(self, engine: Engine, question: Question, machines: Sequence[Machine]) -> None:
        self._engine, self._question, self._total = engine, question, len(machines)
        needs, workload, runtime = question.needs, question.workload, question.runtime
        assert needs is not None
        self._needs, self._memory, self._runtime = needs, needs.memory, runtime
        self._rules: tuple[KernelRule, ...] = ()
        if runtime is not None:
            sees = question.spec.modality == "vision"
            architecture = question.spec.architecture
            cache = runtime.cache_rule(workload.kv_cache_type, architecture, sees=sees)
            rules = runtime.rule_of(workload.quantization), cache
            self._rules = tuple(rule for rule in rules if rule is not None)
        self._machines = {machine.name: machine for machine in machines}
        self._without_free: list[str] = []
        self._notes: dict[str, None] = {}
        self.left_out: list[LeftOut] = []
        self.taking_part: list[_Machine] = []
        for machine in machines:
            self._take(machine)
        self.taking_part.sort(key=lambda each: each.room.bytes, reverse=True)
        self._count_hosts_once()
        self.shares, self._doubts = self._fewest()

    # -------------------------------------------------------------- who takes part

    def _leave_out(self, name: str, reason: str, *, unread: bool = False) -> None:
        self.left_out.append(LeftOut(machine=name, reason=reason, unread=unread))

    def _take(self, machine: Machine) -> None:
        """Count the machine in, or say why it is left out."""
        room = self._room(machine)
        if isinstance(room, LeftOut):
            self.left_out.append(room)
            return
        disk = machine.disk_for(self._engine.runtime) or machine.disk_for("huggingface")
        free_bytes, size = disk.free_bytes if disk else None, self._needs.disk_bytes
        short = lacking = None
        if size is not None and free_bytes is not None and size > free_bytes:
            short = (
                f"the files take {units.decimal(size)} of disk, and {units.decimal(free_bytes)} are"
                f" free; free {units.decimal(size - free_bytes)} more"
            )
        processor = cpu_check(self._needs.cpu, machine, self._runtime)
        if processor.code == "cpu-lacks-instructions" and processor.outcome is Outcome.FAIL:
            lacking = processor.reason.rstrip(".")
        elif self._engine.files == "each":
            lacking = short
        if lacking is not None:
            given = f"{lacking}; its memory would give {units.binary(room.bytes)}"
            self._leave_out(machine.name, given)
            return
        unread = tuple(self._unread_of(machine, free_bytes, processor.outcome))
        self.taking_part.append(
            _Machine(machine=machine, room=room, unread=unread, short_of_disk=short)
        )

    def _unread_of(
        self, machine: Machine, free_bytes: int | None, processor: Outcome
    ) -> Iterator[str]:
        """Facts that could still rule the machine out."""
        if machine.planning:
            return
        if free_bytes is None and self._needs.disk_bytes is not None:
            yield _FREE_DISK
        if processor is Outcome.UNKNOWN:
            yield "the processor"
        cards = machine.accelerators or ()
        if self._engine.memory == "accelerators" and Outcome.UNKNOWN in map(self._unsuited, cards):
            yield "the compute capability"

    def _count_hosts_once(self) -> None:
        """Of nodes that share a host, whose memory is one, only the largest takes part."""
        largest: dict[str, str] = {}
        for each in tuple(self.taking_part):
            labels, name = each.machine.labels, each.room.name
            host = next((f"{key}={labels[key]}" for key in HOSTS & set(labels)), None)
            if host is not None and largest.setdefault(host, name) != name:
                self.taking_part.remove(each)
                reason = f"it is on the same host as {largest[host]}, which is counted once"
                unread = each.machine.memory_total_bytes is None
                self._leave_out(name, reason, unread=unread)

    def _room(self, machine: Machine) -> Room | LeftOut:
        """What the machine can give to the program."""
        ram, accelerators = self._ram(machine), machine.accelerators or ()
        cards = [card for card in accelerators if not card.unified]
        if self._engine.memory == "accelerators":
            return self._room_on_cards(machine, cards, ram)
        if self._engine.memory == "devices" and cards:
            sizes = [free_bytes(card) for card in self._in_one_process(cards)]
            if devices := tuple(size for size in sizes if size is not None):
                return Room(name=machine.name, devices=devices, in_ram=False, ram_bytes=ram)
        if ram is None:
            why = "its memory was not read"
            return LeftOut(machine=machine.name, reason=why, unread=True)
        shared = next((card for card in accelerators if card.unified), None)
        limits = shared_limits(shared, machine) if shared and shared.vendor == "apple" else None
        size = min(ram, limits[0]) if limits else ram
        return Room(name=machine.name, devices=(max(0, size),), in_ram=True, ram_bytes=ram)

    def _room_on_cards(
        self, machine: Machine, cards: list[Accelerator], ram: int | None
    ) -> Room | LeftOut:
        """What its accelerators alone can give."""
        if machine.accelerators is None:
            why = "its accelerators were not read"
            return LeftOut(machine=machine.name, reason=why, unread=True)
        if not cards:
            return LeftOut(machine=machine.name, reason="it has no GPU with memory of its own")
        suited = [card for card in cards if self._unsuited(card) is not Outcome.FAIL]
        finding = without_kernels(self._runtime, self._rules, cards)
        if not suited and finding is not None:
            return LeftOut(machine=machine.name, reason=finding.reason.rstrip("."))
        sizes = [room_of(card, gpu_only=True) for card in self._in_one_process(suited)]
        devices = tuple(size for size in sizes if size is not None)
        if len(devices) < len(sizes):
            why = "the memory of its accelerators was not read"
            return LeftOut(machine=machine.name, reason=why, unread=True)
        return Room(name=machine.name, devices=devices, in_ram=False, ram_bytes=ram)

    def _in_one_process(self, cards: list[Accelerator]) -> list[Accelerator]:
        """The accelerators that a program of a machine uses together, as `check` judges it: one
        instance of MIG, where that is the largest, and no other beside it.
        """
        if not any(card.is_part for card in cards):
            return cards
        largest = max(cards, key=lambda card: free_bytes(card) or 0)
        used = [largest] if largest.is_part else [card for card in cards if not card.is_part]
        if len(used) < len(cards):
            self._notes[_MIG] = None
        return used

    def _unsuited(self, card: Accelerator) -> Outcome | None:
        """Whether the program does not run that quantization on it; None where it does."""
        finding = without_kernels(self._runtime, self._rules, [card])
        return None if finding is None else finding.outcome

    def _ram(self, machine: Machine) -> int | None:
        """What the RAM can give: what is free now, or all but the reserve where planning."""
        workload = self._question.workload
        counts_free = workload.memory_basis != "total" and not machine.planning
        if counts_free and machine.memory_available_bytes is not None:
            return machine.memory_available_bytes
        limit = machine.memory_limit_bytes
        limit = machine.memory_total_bytes if limit is None else limit
        if limit is None or (counts_free and workload.memory_basis == "available"):
            return None
        if counts_free:
            self._without_free.append(machine.name)
        return max(0, limit - reserve_of(machine, workload)[0])

    # -------------------------------------------------------------- the fewest that hold it

    def _fewest(self) -> tuple[tuple[Share, ...], list[str]]:
        """The shares of the fewest machines that hold it, those first of which all was read."""
        doubtful: tuple[tuple[Share, ...], list[str]] = ((), [])
        certain = [each for each in self.taking_part if not self._unread(each, is_first=False)]
        for machines in (certain, self.taking_part) if self._memory is not None else ():
            for chosen in self._sets(machines):
                sizes = self._sizes([each.room for each in chosen])
                for index, first in enumerate(chosen):
                    order = (first, *chosen[:index], *chosen[index + 1 :])
                    doubts = self._doubts_about(order)
                    if sizes is None or first.short_of_disk or (doubts and doubtful[0]):
                        continue
                    shares = _RULES[self._engine.share](sizes, [each.room for each in order])
                    if shares is not None and not doubts:
                        return shares, []
                    if shares is not None:
                        doubtful = shares, doubts
        return doubtful

    def _unread(self, each: _Machine, *, is_first: bool) -> tuple[str, ...]:
        """What was not read of the machine and matters in that place."""
        keeps_files = is_first or self._engine.files == "each"
        return tuple(fact for fact in each.unread if keeps_files or fact != _FREE_DISK)

    def _doubts_about(self, order: Sequence[_Machine]) -> list[str]:
        """A sentence's part for each machine of which something was not read."""
        unread = [self._unread(each, is_first=not index) for index, each in enumerate(order)]
        return [
            f"{' and '.join(facts)} of {each.room.name}"
            for each, facts in zip(order, unread, strict=True)
            if facts
        ]

    def _sets(self, machines: list[_Machine]) -> Iterator[tuple[_Machine, ...]]:
        """Sets of machines to try, the smallest first and of those the largest memory first; one of
        each number has a machine that can surely be the first.
        """
        sure = (
            each
            for each in machines
            if not each.short_of_disk and not self._unread(each, is_first=True)
        )
        first = next(sure, None)
        for count in range(1, min(len(machines), self._most()) + 1):
            if self._engine.counts == "powers-of-two" and count & (count - 1):
                continue
            if self._engine.share == "rounded-layers" and len(machines) <= _FEW:
                yield from combinations(machines, count)
            elif self._engine.share == "stages":
                yield from _alike(machines, count)
            else:
                yield tuple(machines[:count])
                if first is not None and first not in machines[:count]:
                    yield (*machines[: count - 1], first)

    def _most(self) -> int:
        """How many machines the program cuts this model over."""
        architecture = self._question.spec.architecture
        if architecture is None:
            return 0
        if architecture.row in self._engine.alone:
            return 1
        if self._engine.most == "kv-heads":
            return min((layer.kv_heads for layer in architecture.attention), default=1)
        return architecture.layers

    # -------------------------------------------------------------- sizes

    def _sizes(self, rooms: Sequence[Room]) -> Sizes | None:
        """What is shared out; None where the program cannot cut it so."""
        architecture, memory = self._question.spec.architecture, self._memory
        if architecture is None or memory is None:
            return None
        if self._engine.share == "stages":
            return self._sizes_of_stages(architecture, memory, rooms)
        there = [term.on_device or term for term in memory.terms]
        shared = sum(self._layer_part(term) for term in there if term.name in _BY_LAYER)
        uneven = _UNEVEN if len(rooms) > 1 and self._engine.share != "slices" else 0.0
        others = [term for term in there if term.name not in _BY_LAYER and not term.is_program]
        once = sum(term.high_bytes for term in others if term.name.startswith(_ONCE))
        routers = self._router_bytes(architecture)
        output, table = self._output_and_table(architecture, there)
        return Sizes(
            layers=architecture.layers,
            layer_bytes=ceil(shared * (1 + uneven) / architecture.layers),
            device_bytes=sum(term.high_bytes for term in others) - once + routers,
            program_bytes=sum(term.high_bytes for term in there if term.is_program),
            output_bytes=output + once,
            table_bytes=table,
        )

    def _router_bytes(self, architecture: Architecture) -> int:
        """What every device has of the routers that choose experts."""
        routed = sum((kind.experts or 0) * len(kind.layers) for kind in architecture.feed_forward)
        return routed * architecture.embedding_length * (self._engine.router_bytes or 0)

    def _output_and_table(
        self, architecture: Architecture, terms: Sequence[Term]
    ) -> tuple[int, int]:
        """Bytes of the output and of the token table, in the types that the program has them in."""
        if self._engine.block_bytes and architecture.vocabulary:
            values = architecture.vocabulary * architecture.embedding_length
            output = values * self._engine.block_bytes // _BLOCK_VALUES
            return output, values * (self._engine.table_bytes or 0)
        offload = next((term.offload for term in terms if term.offload is not None), None)
        return (0, 0) if offload is None else (offload.output_bytes, offload.table_bytes)

    def _layer_part(self, term: Term) -> int:
        """The most that the layers take of a term."""
        if term.offload is not None:
            return term.high_bytes - term.bytes + term.offload.layer_bytes
        if term.name == "kv_cache" and self._engine.cache_bytes:
            return term.high_bytes * self._engine.cache_bytes // _HALF_BYTES
        return term.high_bytes

    def _sizes_of_stages(
        self, architecture: Architecture, memory: MemoryNeed, rooms: Sequence[Room]
    ) -> Sizes | None:
        """Of one device; None where the weights do not come in so many parts."""
        devices = len(rooms[0].devices)
        if devices > 1 and devices not in self._needs.tensor_parallel:
            return None
        terms = memory.terms
        if self._has_large_card(rooms, devices):
            terms = tuple(term.on_large or term for term in terms)
        parts = [term.on_one_of(devices) for term in terms]
        values = (architecture.vocabulary or 0) * architecture.embedding_length
        table = ceil(values * _HALF_BYTES / devices)
        stored = table if architecture.tied_embeddings else 2 * table
        shared = sum(term.high_bytes for term in parts if term.name in _BY_LAYER) - stored
        uneven = _UNEVEN if len(rooms) > 1 else 0.0
        return Sizes(
            layers=architecture.layers,
            layer_bytes=ceil(max(0, shared) * (1 + uneven) / architecture.layers),
            device_bytes=sum(term.high_bytes for term in parts if term.name not in _BY_LAYER),
            program_bytes=sum(term.beside.high_bytes for term in terms if term.beside),
            output_bytes=0 if architecture.tied_embeddings and len(rooms) == 1 else table,
            table_bytes=table,
        )

    def _has_large_card(self, rooms: Sequence[Room], devices: int) -> bool:
        """Whether one of the cards that the program would take is one of a data center."""
        return any(
            is_large(card)
            for room in rooms
            for card in self._machines[room.name].accelerators or ()
            if self._unsuited(card) is not Outcome.FAIL and not (card.is_part and devices > 1)
        )

    # -------------------------------------------------------------- in words

    @property
    def route(self) -> Route:
        """`unknown` only where what was not read could still decide."""
        if self.shares:
            return Route.UNKNOWN if self._doubts else Route.LOCAL
        is_open = self._memory is None or any(each.unread for each in self.left_out)
        return Route.UNKNOWN if is_open else Route.NEITHER

    def reason(self) -> str:
        """Why, in a sentence."""
        title, used, total = self._engine.title, len(self.shares), self._total
        if self._doubts:
            first, more = self._doubts[0], len(self._doubts) - 1
            named = f"{first} and something of {more} more" if more else first
            return (
                f"the memory of {used} of {total} machines is enough with {title}, but {named}"
                f" {'were' if more or ' and ' in first else 'was'} not read"
            )
        if used == 1:
            return f"one machine holds it alone, {self.shares[0].machine}: it need not be spread"
        if used:
            return f"fits on {used} of {total} machines together with {title}"
        if self._memory is None:
            unknown = self._needs.unknown
            why = unknown[0].reason if unknown else "its size is not known"
            return f"the memory that the model needs is not known: {why}"
        return self._why_not(self._memory.high_bytes)

    def _why_not(self, needed_bytes: int) -> str:
        """Why no set of the machines holds a model that takes so much on one machine."""
        unread = sum(each.unread for each in self.left_out)
        machines = "the machine" if self._total == 1 else f"the {self._total} machines together"
        where = f"{machines} with {self._engine.title}"
        if self.left_out and not self.taking_part and not unread:
            out = self.left_out[0]
            return f"does not fit on {where}: none can take part ({out.machine}: {out.reason})"
        given_bytes = sum(each.room.bytes for each in self.taking_part)
        short = [each.short_of_disk for each in self.taking_part if each.short_of_disk]
        if short and len(short) == len(self.taking_part):
            return (
                f"does not fit on {where}: the first machine keeps the whole file, and none has"
                f" room for it ({short[0]})"
            )
        needed = f"the model needs {units.binary_at_least(needed_bytes)} on one machine"
        if unread:
            return (
                f"whether it fits on {where} cannot be told: {needed}, those that were read have"
                f" {units.binary(given_bytes)} to give, and of {unread} too little was read"
            )
        text = (
            f"does not fit on {where}: {needed}, and they have {units.binary(given_bytes)} to give"
        )
        if self._most() == 1:
            text += "; it runs this model on one machine only"
        elif needed_bytes <= given_bytes:
            text += "; the sum is enough, but each must hold a whole part"
        return text

    def remedy(self) -> str | None:
        """How to read what could decide, of the first machine that lacks it."""
        if self.route is not Route.UNKNOWN:
            return None
        unread = {each.room.name: each for each in self.taking_part}
        for index, share in enumerate(self.shares):
            for fact in self._unread(unread[share.machine], is_first=not index):
                return self._how_to_read(share.machine, _FACTS[fact])
        lacking = next((each.machine for each in self.left_out if each.unread), None)
        cards = ("accelerators",) if self._engine.memory == "accelerators" else ()
        return None if lacking is None else self._how_to_read(lacking, (*cards, "memory_"))

    def _how_to_read(self, name: str, facts: Sequence[str]) -> str | None:
        rows = filter(None, map(self._machines[name].unread_about, facts))
        row = next(rows, None)
        return None if row is None or row.remedy is None else f"{row.remedy} ({name})"

    def notes(self) -> Iterator[str]:
        """What was assumed."""
        yield from self._notes
        if self._engine.share != "slices":
            yield (
                f"Some layers are larger than others: each is counted as {units.percent(_UNEVEN)}"
                " larger than the average."
            )
        if self._without_free:
            more = len(self._without_free) - 3
            named = ", ".join(self._without_free[:3]) + (f" and {more} more" if more > 0 else "")
            yield f"Free memory was not read of {named}: counted is all but the reserve."


def _alike(machines: list[_Machine], count: int) -> Iterator[tuple[_Machine, ...]]:
    """Machines with the same number of devices, those with the largest of them."""
    for devices in sorted({len(each.room.devices) for each in machines}):
        alike = [each for each in machines if len(each.room.devices) == devices]
        alike.sort(key=lambda each: min(each.room.devices), reverse=True)
        if len(alike) >= count:
            yield tuple(alike[:count])
