"""What machines can give to a program that shares a model out, and which cannot take part."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.runtime import KernelRule
from ..core import units
from ..core.records import Record
from ..judge.checks import Outcome, cpu_check, reserve_of
from ..judge.checks.accelerator_kernels import without_kernels
from ..judge.placement.devices import free_bytes, is_large, room_of
from ..judge.placement.shared_memory import shared_limits
from ..judge.record import Question
from ..machine.record import Accelerator, Machine
from .shares import Room

FREE_DISK = "the free disk"
_MIG = (
    "A program uses one instance of MIG, and no other GPU beside it (NVIDIA's MIG user guide): of"
    " each machine with some, the largest counts."
)


class LeftOut(Record):
    """A machine that cannot take part. `unread`: because of a fact that was not read."""

    machine: str
    reason: str
    unread: bool = False


class Giver(Record):
    """A machine that can take part. `unread` are facts that could still rule it out,
    `short_of_disk` says why the files do not fit there.
    """

    machine: Machine
    room: Room
    unread: tuple[str, ...]
    short_of_disk: str | None


class Givers:
    """The machines that take part, the largest first, and those that cannot. `memory` and `files`
    are those of `spread.toml`. `without_free` are those of which it was not read what is free.
    """

    def __init__(
        self, question: Question, machines: Sequence[Machine], memory: str, files: str
    ) -> None:
        workload, self._runtime = question.workload, question.runtime
        assert question.needs is not None
        self._question, self._needs = question, question.needs
        self._memory, self._files = memory, files
        rules: tuple[KernelRule | None, ...] = ()
        if self._runtime is not None:
            sees = question.spec.modality == "vision"
            architecture = question.spec.architecture
            cache = self._runtime.cache_rule(workload.kv_cache_type, architecture, sees=sees)
            rules = self._runtime.rule_of(workload.quantization), cache
        self._rules = tuple(rule for rule in rules if rule is not None)
        self.without_free: list[str] = []
        self.notes: dict[str, None] = {}
        taken = [self._take(machine) for machine in machines]
        self.left_out = [each for each in taken if isinstance(each, LeftOut)]
        self.taking_part = [each for each in taken if isinstance(each, Giver)]
        self.taking_part.sort(key=lambda each: each.room.bytes, reverse=True)

    def has_large_card(self, name: str, devices: int) -> bool:
        """Whether one of the cards that the program would take there is one of a data center."""
        giver = next(each for each in self.taking_part if each.room.name == name)
        return any(
            is_large(card)
            for card in giver.machine.accelerators or ()
            if self._kernels(card) is not Outcome.FAIL and not (card.is_part and devices > 1)
        )

    def _take(self, machine: Machine) -> Giver | LeftOut:
        """The machine with what it can give, or why it cannot take part."""
        room = self._room(machine)
        if isinstance(room, LeftOut):
            return room
        short, is_disk_unread = self._disk(machine)
        processor = cpu_check(self._needs.cpu, machine, self._runtime)
        lacking = short if self._files == "each" else None
        if processor.code == "cpu-lacks-instructions" and processor.outcome is Outcome.FAIL:
            lacking = processor.reason.rstrip(".")
        if lacking is not None:
            given = f"{lacking}; its memory would give {units.binary(room.bytes)}"
            return LeftOut(machine=machine.name, reason=given)
        cards = machine.accelerators or () if self._memory == "accelerators" else ()
        unread = {
            FREE_DISK: is_disk_unread,
            "the processor": processor.outcome is Outcome.UNKNOWN,
            "the compute capability": Outcome.UNKNOWN in map(self._kernels, cards),
        }
        facts = tuple(fact for fact, is_unread in unread.items() if is_unread)
        return Giver(
            machine=machine,
            room=room,
            unread=() if machine.planning else facts,
            short_of_disk=short,
        )

    def _disk(self, machine: Machine) -> tuple[str | None, bool]:
        """Why the files do not fit there, if they do not, and whether what is free was not read."""
        runtime = self._question.workload.runtime
        disk = machine.disk_for(runtime or "") or machine.disk_for("huggingface")
        free, size = disk.free_bytes if disk else None, self._needs.disk_bytes
        if size is None or free is None or size <= free:
            return None, free is None and size is not None
        return (
            f"the files take {units.decimal(size)} of disk, and {units.decimal(free)} are free;"
            f" free {units.decimal(size - free)} more"
        ), False

    def _room(self, machine: Machine) -> Room | LeftOut:
        """What the machine can give to the program."""
        ram, accelerators = self._ram(machine), machine.accelerators or ()
        cards = [card for card in accelerators if not card.unified]
        if self._memory == "accelerators":
            return self._room_on_cards(machine, cards, ram)
        if self._memory == "devices" and cards:
            sizes = [free_bytes(card) for card in self._in_one_process(cards)]
            if devices := tuple(size for size in sizes if size is not None):
                return Room(name=machine.name, devices=devices, in_ram=False, ram_bytes=ram)
        if ram is None:
            return LeftOut(machine=machine.name, reason="its memory was not read", unread=True)
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
        suited = [card for card in cards if self._kernels(card) is not Outcome.FAIL]
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
            self.notes[_MIG] = None
        return used

    def _kernels(self, card: Accelerator) -> Outcome | None:
        """What is wrong with that quantization on the card; None where the program runs it."""
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
            self.without_free.append(machine.name)
        return max(0, limit - reserve_of(machine, workload)[0])
