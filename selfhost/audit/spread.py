"""One model over several machines: how many of them hold it together, by each program's own rule
(`specs/common/spread.toml`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations, islice
from math import ceil

from ..catalogue.architecture import Architecture
from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core import units
from ..core.errors import Problem, SelfhostError, WorkloadError
from ..core.records import Record
from ..core.spelling import canonical
from ..core.workload import Workload
from ..machine.record import Accelerator, Machine
from ..needs.records import MemoryNeed, Needs, Offload, Term
from ..verdict.devices import free_bytes, is_large, room_of
from ..verdict.findings import Outcome, cpu_check, reserve_of
from ..verdict.findings.accelerator_share import without_kernels
from ..verdict.question import ask
from ..verdict.record import Route, exit_code
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
    question = ask(named.model, named.workload, catalogue, anywhere)
    _refuse(engine, named.model, question.loads)
    needs = question.needs
    search = _Search(engine, named.model, named.workload, needs, machines, question.runtime)
    shares = search.fewest()
    return Spread(
        engine=engine,
        asked=model,
        model=named.model,
        workload=named.workload,
        machines=len(machines),
        route=search.route(shares),
        reason=search.reason(shares),
        remedy=search.remedy(shares),
        shares=shares,
        needs_bytes=needs.memory.high_bytes if needs and needs.memory else None,
        free_bytes=sum(room.bytes for room in search.rooms),
        left_out=tuple(search.left_out),
        notes=search.notes(),
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


def _room_on_gpu(card: Accelerator) -> int | None:
    return room_of(card, gpu_only=True)


class _Search:
    """Which machines can take part, and the fewest that hold the model."""

    def __init__(
        self,
        engine: Engine,
        model: ModelSpec,
        workload: Workload,
        needs: Needs | None,
        machines: Sequence[Machine],
        runtime: RuntimeSpec | None,
    ) -> None:
        self._runtime = runtime
        # of machines that take part: what was not read, and why their disk does not do
        self._unread: dict[str, tuple[str, ...]] = {}
        # of the shares that were chosen
        self._doubts: list[str] = []
        self._engine, self._model, self._workload, self._needs = engine, model, workload, needs
        self._machines = {machine.name: machine for machine in machines}
        self._without_free: list[str] = []
        self._has_unused_parts = False
        self._without_disk: dict[str, str] = {}
        self.left_out: list[LeftOut] = []
        self.rooms: list[Room] = []
        for machine in machines:
            self._take(machine)
        self._count_hosts_once()
        self.rooms.sort(key=lambda room: room.bytes, reverse=True)

    def _take(self, machine: Machine) -> None:
        """Count the machine in, or say why it is left out."""
        room = self._room(machine)
        if isinstance(room, LeftOut):
            self.left_out.append(room)
            return
        short = self._short_of_disk(machine)
        lacking = self._lacking_instructions(machine)
        if lacking is None and self._engine.files == "each":
            lacking = short
        if lacking is not None:
            given = f"{lacking}; its memory would give {units.binary(room.bytes)}"
            self.left_out.append(LeftOut(machine=machine.name, reason=given))
            return
        if short is not None:
            self._without_disk[machine.name] = short
        self._unread[machine.name] = tuple(self._unread_of(machine))
        self.rooms.append(room)

    def _count_hosts_once(self) -> None:
        """Of nodes that share a host, whose memory is one, only the largest takes part."""
        largest: dict[str, Room] = {}
        for room in sorted(self.rooms, key=lambda room: room.bytes, reverse=True):
            machine = self._machines[room.name]
            host = next((f"{key}={machine.labels[key]}" for key in HOSTS & set(machine.labels)), "")
            if host and host in largest:
                self.rooms.remove(room)
                reason = f"it is on the same host as {largest[host].name}, which is counted once"
                unread = machine.memory_total_bytes is None
                self.left_out.append(LeftOut(machine=room.name, reason=reason, unread=unread))
            elif host:
                largest[host] = room

    def _short_of_disk(self, machine: Machine) -> str | None:
        """Why the files do not fit on its disk; None where they do, or it was not read."""
        free_bytes = self._free_on_disk(machine)
        size = self._needs.disk_bytes if self._needs else None
        if size is None or free_bytes is None or size <= free_bytes:
            return None
        short = units.decimal(size - free_bytes)
        free = units.decimal(free_bytes)
        return (
            f"the files take {units.decimal(size)} of disk, and {free} are free; free {short} more"
        )

    def _free_on_disk(self, machine: Machine) -> int | None:
        disk = machine.disk_for(self._engine.runtime) or machine.disk_for("huggingface")
        return None if disk is None else disk.free_bytes

    def _lacking_instructions(self, machine: Machine) -> str | None:
        """Why its processor cannot run the program; None where it can, or it was not read."""
        if self._needs is None:
            return None
        finding = cpu_check(self._needs.cpu, machine, self._runtime)
        is_lacking = finding.code == "cpu-lacks-instructions" and finding.outcome is Outcome.FAIL
        return finding.reason.rstrip(".") if is_lacking else None

    def _unread_of(self, machine: Machine) -> Iterator[str]:
        """Facts that could still rule the machine out."""
        if self._needs is None or machine.planning:
            return
        if self._free_on_disk(machine) is None and self._needs.disk_bytes is not None:
            yield _FREE_DISK
        if cpu_check(self._needs.cpu, machine, self._runtime).outcome is Outcome.UNKNOWN:
            yield "the processor"
        if self._engine.memory == "accelerators" and any(
            self._unsuited(card) is Outcome.UNKNOWN for card in machine.accelerators or ()
        ):
            yield "the compute capability"

    def _doubts_of(self, name: str, *, is_first: bool) -> tuple[str, ...]:
        """What was not read of the machine of that name, in that place."""
        keeps_files = is_first or self._engine.files == "each"
        return tuple(fact for fact in self._unread[name] if keeps_files or fact != _FREE_DISK)

    def _room(self, machine: Machine) -> Room | LeftOut:
        ram = self._ram(machine)
        cards = [card for card in machine.accelerators or () if not card.unified]
        if self._engine.memory == "accelerators":
            return self._room_on_cards(machine, ram)
        shared = next((card for card in machine.accelerators or () if card.unified), None)
        if self._engine.memory == "devices" and cards:
            used = self._in_one_process(cards, free_bytes)
            sizes = tuple(size for card in used if (size := free_bytes(card)) is not None)
            if sizes:
                return Room(name=machine.name, devices=sizes, in_ram=False, ram_bytes=ram)
        if ram is None:
            why = "its memory was not read"
            return LeftOut(machine=machine.name, reason=why, unread=True)
        limits = shared_limits(shared, machine) if shared and shared.vendor == "apple" else None
        size = min(ram, limits[0]) if limits else ram
        return Room(name=machine.name, devices=(max(0, size),), in_ram=True, ram_bytes=ram)

    def _room_on_cards(self, machine: Machine, ram: int | None) -> Room | LeftOut:
        if machine.accelerators is None:
            why = "its accelerators were not read"
            return LeftOut(machine=machine.name, reason=why, unread=True)
        cards = [card for card in machine.accelerators if not card.unified]
        if not cards:
            return LeftOut(machine=machine.name, reason="it has no GPU with memory of its own")
        suited = [card for card in cards if self._unsuited(card) is not Outcome.FAIL]
        if not suited:
            finding = without_kernels(self._runtime, self._rules, cards)
            assert finding is not None
            return LeftOut(machine=machine.name, reason=finding.reason.rstrip("."))
        suited = self._in_one_process(suited, _room_on_gpu)
        sizes = [_room_on_gpu(card) for card in suited]
        if None in sizes:
            why = "the memory of its accelerators was not read"
            return LeftOut(machine=machine.name, reason=why, unread=True)
        devices = tuple(size for size in sizes if size is not None)
        return Room(name=machine.name, devices=devices, in_ram=False, ram_bytes=ram)

    def _in_one_process(
        self, cards: list[Accelerator], size_of: Callable[[Accelerator], int | None]
    ) -> list[Accelerator]:
        """The accelerators that a program of a machine uses together, as `check` judges it: one
        instance of MIG, where that is the largest, and no other beside it.
        """
        if not any(card.is_part for card in cards):
            return cards
        largest = max(cards, key=lambda card: size_of(card) or 0)
        used = [largest] if largest.is_part else [card for card in cards if not card.is_part]
        self._has_unused_parts = self._has_unused_parts or len(used) < len(cards)
        return used

    @property
    def _rules(self) -> tuple[KernelRule, ...]:
        if self._runtime is None:
            return ()
        workload, model = self._workload, self._model
        rules = (
            self._runtime.rule_of(workload.quantization),
            self._runtime.cache_rule(
                workload.kv_cache_type, model.architecture, sees=model.modality == "vision"
            ),
        )
        return tuple(rule for rule in rules if rule is not None)

    def _unsuited(self, card: Accelerator) -> Outcome | None:
        """Whether the program does not run that quantization on it; None where it does."""
        finding = without_kernels(self._runtime, self._rules, [card])
        return None if finding is None else finding.outcome

    def _ram(self, machine: Machine) -> int | None:
        """What the RAM can give: what is free now, or all but the reserve where planning."""
        basis = self._workload.memory_basis
        if basis != "total" and not machine.planning:
            if machine.memory_available_bytes is not None:
                return machine.memory_available_bytes
            if basis == "available":
                return None
        limit = machine.memory_limit_bytes
        if limit is None:
            limit = machine.memory_total_bytes
        if limit is None:
            return None
        if basis != "total" and not machine.planning:
            self._without_free.append(machine.name)
        return max(0, limit - reserve_of(machine, self._workload)[0])

    def fewest(self) -> tuple[Share, ...]:
        """The shares of the fewest machines that hold it; () where none do or nothing is known."""
        if self._needs is None or self._needs.memory is None:
            return ()
        doubtful: tuple[tuple[Share, ...], list[str]] | None = None
        certain = [room for room in self.rooms if not self._doubts_of(room.name, is_first=False)]
        for rooms in (certain, self.rooms) if len(certain) < len(self.rooms) else (self.rooms,):
            for shares, doubts in self._holding(rooms):
                if not doubts:
                    return shares
                doubtful = doubtful or (shares, doubts)
        if doubtful is None:
            return ()
        shares, self._doubts = doubtful
        return shares

    def _holding(self, rooms: list[Room]) -> Iterator[tuple[tuple[Share, ...], list[str]]]:
        """The fewest of the machines that hold it, with each in turn as the first that can be, and
        what was not read of them; then more, of which all that matters was read.
        """
        assert self._needs is not None
        is_held = False
        for chosen in self._sets(rooms):
            sizes = self._sizes(self._needs, chosen)
            orders = self._orders(chosen) if sizes is not None else iter(())
            if is_held:
                sure = (order for order in orders if not self._doubts_about(order))
                orders = islice(sure, 1)
            for order in orders:
                shares = _RULES[self._engine.share](sizes, order) if sizes else None
                if shares is not None:
                    is_held = True
                    yield shares, self._doubts_about(order)

    def _doubts_about(self, order: tuple[Room, ...]) -> list[str]:
        """A sentence's part for each machine of which something was not read."""
        doubts = []
        for index, room in enumerate(order):
            facts = self._doubts_of(room.name, is_first=index == 0)
            if facts:
                doubts.append(f"{' and '.join(facts)} of {room.name}")
        return doubts

    def _sets(self, all_rooms: list[Room]) -> Iterator[tuple[Room, ...]]:
        """Sets of machines to try, the smallest first and of those the largest memory first; one of
        each number has a machine that can surely be the first.
        """
        first = next((room for room in all_rooms if self._is_surely_first(room)), None)
        most = min(len(all_rooms), self._most())
        for count in range(1, most + 1):
            if self._engine.counts == "powers-of-two" and count & (count - 1):
                continue
            if self._engine.share == "rounded-layers" and len(all_rooms) <= _FEW:
                yield from combinations(all_rooms, count)
            elif self._engine.share == "stages":
                yield from self._alike(all_rooms, count)
            else:
                yield tuple(all_rooms[:count])
                if first is not None and first not in all_rooms[:count]:
                    yield (*all_rooms[: count - 1], first)

    def _is_surely_first(self, room: Room) -> bool:
        """Whether the files fit on its disk, and nothing that matters was left unread."""
        return room.name not in self._without_disk and not self._doubts_of(room.name, is_first=True)

    def _alike(self, all_rooms: list[Room], count: int) -> Iterator[tuple[Room, ...]]:
        """Machines with the same number of devices, those with the largest of them."""
        for devices in sorted({len(room.devices) for room in all_rooms}):
            rooms = [room for room in all_rooms if len(room.devices) == devices]
            rooms.sort(key=lambda room: min(room.devices), reverse=True)
            if len(rooms) >= count:
                yield tuple(rooms[:count])

    def _most(self) -> int:
        architecture = self._model.architecture
        if architecture is None:
            return 0
        if architecture.row in self._engine.alone:
            return 1
        if self._engine.most == "kv-heads":
            return min((layer.kv_heads for layer in architecture.attention), default=1)
        return architecture.layers

    def _orders(self, rooms: tuple[Room, ...]) -> Iterator[tuple[Room, ...]]:
        """The same machines with each in turn as the first, if the files fit on its disk."""
        for index, room in enumerate(rooms):
            if room.name not in self._without_disk:
                yield (room, *rooms[:index], *rooms[index + 1 :])

    def _sizes(self, needs: Needs, rooms: Sequence[Room]) -> Sizes | None:
        """What is shared out; None where the program cannot cut it so."""
        if self._engine.share == "stages":
            return self._sizes_of_stages(needs, rooms)
        architecture, memory = self._model.architecture, needs.memory
        if architecture is None or memory is None:
            return None
        there = [term.on_device or term for term in memory.terms]
        offload = next((term.offload for term in there if term.offload is not None), None)
        shared = sum(self._layer_part(term) for term in there if term.name in _BY_LAYER)
        output, table = self._output_and_table(architecture, offload)
        uneven = _UNEVEN if len(rooms) > 1 and self._engine.share != "slices" else 0.0
        program = sum(term.high_bytes for term in there if term.is_program)
        others = [term for term in there if term.name not in _BY_LAYER and not term.is_program]
        once = sum(term.high_bytes for term in others if term.name.startswith(_ONCE))
        whole = sum(term.high_bytes for term in others) - once
        return Sizes(
            layers=architecture.layers,
            layer_bytes=ceil(shared * (1 + uneven) / architecture.layers),
            device_bytes=whole + self._router_bytes(architecture),
            program_bytes=program,
            output_bytes=output + once,
            table_bytes=table,
        )

    def _output_and_table(
        self, architecture: Architecture, offload: Offload | None
    ) -> tuple[int, int]:
        """Bytes of the output and of the token table, in the types that the program has them in."""
        if self._engine.block_bytes and architecture.vocabulary:
            values = architecture.vocabulary * architecture.embedding_length
            output = values * self._engine.block_bytes // _BLOCK_VALUES
            return output, values * (self._engine.table_bytes or 0)
        return (0, 0) if offload is None else (offload.output_bytes, offload.table_bytes)

    def _router_bytes(self, architecture: Architecture) -> int:
        """What every device has of the routers that choose experts."""
        routed = sum((kind.experts or 0) * len(kind.layers) for kind in architecture.feed_forward)
        return routed * architecture.embedding_length * (self._engine.router_bytes or 0)

    def _layer_part(self, term: Term) -> int:
        """The most that the layers take of a term."""
        if term.offload is not None:
            return term.high_bytes - term.bytes + term.offload.layer_bytes
        if term.name == "kv_cache" and self._engine.cache_bytes:
            return term.high_bytes * self._engine.cache_bytes // _HALF_BYTES
        return term.high_bytes

    def _sizes_of_stages(self, needs: Needs, rooms: Sequence[Room]) -> Sizes | None:
        """Of one device; None where the weights do not come in so many parts."""
        devices = len(rooms[0].devices)
        architecture, memory = self._model.architecture, needs.memory
        if architecture is None or memory is None:
            return None
        if devices > 1 and devices not in needs.tensor_parallel:
            return None
        terms = self._terms_of_stages(memory, rooms, devices)
        parts = [term.on_one_of(devices) for term in terms]
        values = (architecture.vocabulary or 0) * architecture.embedding_length
        table = ceil(values * _HALF_BYTES / devices)
        output = 0 if architecture.tied_embeddings and len(rooms) == 1 else table
        stored = table if architecture.tied_embeddings else 2 * table
        shared = sum(term.high_bytes for term in parts if term.name in _BY_LAYER) - stored
        uneven = _UNEVEN if len(rooms) > 1 else 0.0
        return Sizes(
            layers=architecture.layers,
            layer_bytes=ceil(max(0, shared) * (1 + uneven) / architecture.layers),
            device_bytes=sum(term.high_bytes for term in parts if term.name not in _BY_LAYER),
            program_bytes=sum(term.beside.high_bytes for term in terms if term.beside),
            output_bytes=output,
            table_bytes=table,
        )

    def _terms_of_stages(
        self, memory: MemoryNeed, rooms: Sequence[Room], devices: int
    ) -> tuple[Term, ...]:
        """The terms as they are on the cards that the program would take."""
        if not self._has_a_large_card(rooms, devices):
            return memory.terms
        return tuple(term.on_large or term for term in memory.terms)

    def _has_a_large_card(self, rooms: Sequence[Room], devices: int) -> bool:
        """Whether one of the cards that the program would take is one of a data center."""
        return any(
            is_large(card)
            for room in rooms
            for card in self._machines[room.name].accelerators or ()
            if self._unsuited(card) is not Outcome.FAIL and not (card.is_part and devices > 1)
        )

    def route(self, shares: tuple[Share, ...]) -> Route:
        """`unknown` only where what was not read could still decide."""
        if shares:
            return Route.UNKNOWN if self._doubts else Route.LOCAL
        unread = any(machine.unread for machine in self.left_out)
        if self._needs is None or self._needs.memory is None or unread:
            return Route.UNKNOWN
        return Route.NEITHER

    def reason(self, shares: tuple[Share, ...]) -> str:
        """Why, in a sentence."""
        title, total = self._engine.title, len(self._machines)
        if self._doubts:
            first, more = self._doubts[0], len(self._doubts) - 1
            named = f"{first} and something of {more} more" if more else first
            return (
                f"the memory of {len(shares)} of {total} machines is enough with {title}, but"
                f" {named} {'were' if more or ' and ' in first else 'was'} not read"
            )
        if len(shares) == 1:
            return f"one machine holds it alone, {shares[0].machine}: it need not be spread"
        if shares:
            machines = "machine" if total == 1 else "machines together"
            return f"fits on {len(shares)} of {total} {machines} with {title}"
        if self._needs is None or self._needs.memory is None:
            unknown = self._needs.unknown if self._needs else ()
            why = unknown[0].reason if unknown else "its size is not known"
            return f"the memory that the model needs is not known: {why}"
        return self._why_not(self._needs.memory.high_bytes)

    def remedy(self, shares: tuple[Share, ...]) -> str | None:
        """How to read what could decide, of the first machine that lacks it."""
        if self.route(shares) is not Route.UNKNOWN:
            return None
        for index, share in enumerate(shares):
            for fact in self._doubts_of(share.machine, is_first=index == 0):
                return self._how_to_read(share.machine, _FACTS[fact])
        lacking = next((each.machine for each in self.left_out if each.unread), None)
        cards = ("accelerators",) if self._engine.memory == "accelerators" else ()
        return None if lacking is None else self._how_to_read(lacking, (*cards, "memory_"))

    def _how_to_read(self, name: str, facts: Iterable[str]) -> str | None:
        machine = self._machines[name]
        entry = next((entry for fact in facts if (entry := machine.unread_about(fact))), None)
        return None if entry is None or entry.remedy is None else f"{entry.remedy} ({name})"

    def _why_not(self, needed_bytes: int) -> str:
        """Why no set of the machines holds a model that takes so much on one machine."""
        title, total = self._engine.title, len(self._machines)
        if self.left_out and not self.rooms and not any(each.unread for each in self.left_out):
            out = self.left_out[0]
            return (
                f"does not fit on {'the machine' if total == 1 else f'the {total} machines'} with"
                f" {title}: none can take part ({out.machine}: {out.reason})"
            )
        free = units.binary(sum(room.bytes for room in self.rooms))
        unread = sum(machine.unread for machine in self.left_out)
        machines = "the machine" if total == 1 else f"the {total} machines together"
        if self.rooms and len(self._without_disk) == len(self.rooms):
            reason = next(iter(self._without_disk.values()))
            return (
                f"does not fit on {machines} with {title}: the first machine keeps the whole file,"
                f" and none has room for it ({reason})"
            )
        needed = f"the model needs {units.binary_at_least(needed_bytes)} on one machine"
        if unread:
            where = f"{machines} with {title}"
            return (
                f"whether it fits on {where} cannot be told: {needed}, those that were read have"
                f" {free} to give, and of {unread} too little was read"
            )
        text = f"does not fit on {machines} with {title}: {needed}, and they have {free} to give"
        if self._most() == 1:
            text += "; it runs this model on one machine only"
        elif needed_bytes <= sum(room.bytes for room in self.rooms):
            text += "; the sum is enough, but each must hold a whole part"
        return text

    def notes(self) -> tuple[str, ...]:
        """What was assumed."""
        lines = []
        if self._has_unused_parts:
            lines.append(
                "A program uses one instance of MIG, and no other GPU beside it (NVIDIA's MIG user"
                " guide): of each machine with some, the largest counts."
            )
        if self._engine.share != "slices":
            margin = units.percent(_UNEVEN)
            lines.append(
                f"Some layers are larger than others: each is counted as {margin} larger than the"
                " average."
            )
        if self._without_free:
            first = ", ".join(self._without_free[:3])
            more = len(self._without_free) - 3
            named = f"{first} and {more} more" if more > 0 else first
            lines.append(f"Free memory was not read of {named}: counted is all but the reserve.")
        return tuple(lines)
