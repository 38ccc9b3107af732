"""Does the runtime have a build for this processor, and would it run there?"""

from __future__ import annotations

from ...catalogue.spec import RuntimeSpec
from ...core.records import Record
from ...machine.record import Machine
from ...needs.records import CpuNeed
from .record import Finding, Outcome, finding
from .runtime import is_installed, other_runtime

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# x86-64 psABI, micro-architecture levels: every processor of it has these, named or not
_OF_EVERY = {"x86_64": ("sse", "sse2")}


class _Processor(Record):
    """The machine's processor, and what a build needs of one."""

    needs: CpuNeed
    machine: Machine

    @property
    def required(self) -> tuple[str, ...]:
        """The instruction sets without which the build crashes."""
        return self.needs.instruction_sets.get(self.machine.architecture or "", ())

    @property
    def recommended(self) -> tuple[str, ...]:
        """The instruction sets without which it runs slowly."""
        return self.needs.recommended.get(self.machine.architecture or "", ())

    def finding(
        self,
        outcome: Outcome,
        code: str,
        variant: str = "",
        /,
        *,
        remedy: str | None = None,
        **figures: Any,
    ) -> Finding:
        """A finding of what the build needs against what the processor has."""
        own, sets = self.machine.architecture, self.machine.instruction_sets
        # of a processor that suits, what holds for it; else all that there are
        suiting, has = self.needs.architectures, own
        if own is not None and own in suiting:
            suiting = (own,)
        if own is not None and sets is not None:
            used = (*self.required, *self.recommended)
            has = ", ".join((own, *(name for name in used if name in sets)))
        return finding(
            outcome,
            code,
            variant,
            needs=", ".join((*suiting, *self.required)) or None,
            has=has,
            remedy=remedy,
            **figures,
        )


def cpu_check(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None, *, on_gpu: bool = False
) -> Finding:
    """Does a build of the runtime exist for this processor, and does it have the instruction sets
    that build uses?

    `on_gpu`: accelerators hold all of the model, so that what the processor lacks slows nothing.
    What is assumed of the processor gives a `warn`, whatever it says.
    """
    if on_gpu:
        needs = needs.replace(recommended={})
    cpu = _Processor(needs=needs, machine=machine)
    builder = runtime.name if runtime else "what the spec states"
    stated = (
        _no_build(cpu, runtime, builder)
        or _lacks_instructions(cpu, builder)
        or _unread(cpu)
        or (None if on_gpu else _crashes(cpu, runtime))
        or _slow(cpu)
        or cpu.finding(Outcome.PASS, "cpu-suits", processor=machine.architecture, builder=builder)
    )
    return _assumed(cpu, stated)


def _assumed(cpu: _Processor, stated: Finding) -> Finding:
    """The finding as a warning where it rests on facts that are assumed."""
    facts = ["architecture"] if cpu.machine.assumes("architecture") else []
    uses_sets = cpu.required or cpu.recommended
    if uses_sets and stated.code != "cpu-no-build" and cpu.machine.assumes("instruction_sets"):
        facts.append("instruction sets")
    if not facts:
        return stated
    is_plural = facts != ["architecture"]
    return cpu.finding(
        Outcome.WARN, "cpu-assumed", stated=stated.reason, facts=facts, plural=is_plural
    )


def _no_build(cpu: _Processor, runtime: RuntimeSpec | None, builder: str) -> Finding | None:
    processor = cpu.machine.architecture
    is_covered = (
        processor is None or not cpu.needs.architectures or processor in cpu.needs.architectures
    )
    if is_covered or is_installed(runtime, cpu.machine):
        return None
    # the runtime's finding says what is known of other systems, of which the processor is a part
    is_elsewhere = runtime is not None and runtime.elsewhere
    return cpu.finding(
        Outcome.FAIL,
        "cpu-no-build",
        "elsewhere" if is_elsewhere else "",
        remedy=None if is_elsewhere else other_runtime(runtime, cpu.machine),
        builder=builder,
        processor=processor,
        covered=cpu.needs.architectures,
    )


def _lacks_instructions(cpu: _Processor, builder: str) -> Finding | None:
    missing = _lacking(cpu.required, cpu.machine)
    if not missing:
        return None
    return cpu.finding(
        Outcome.FAIL,
        "cpu-lacks-instructions",
        builder=builder,
        missing=missing,
        perhaps=cpu.machine.assumes("instruction_sets"),
    )


def _unread(cpu: _Processor) -> Finding | None:
    sets, required = cpu.machine.instruction_sets, cpu.required
    uses_sets = required or cpu.recommended or cpu.machine.emulated_on is not None
    unread = [name for name in required if name in _sets_unread(cpu.machine) - {*(sets or ())}]
    if cpu.machine.architecture is None and (cpu.needs.architectures or cpu.needs.instruction_sets):
        variant, fact = "", "architecture"
    elif sets is None and uses_sets:
        variant, fact = "sets", "instruction_sets"
    elif unread:
        variant, fact = "set", f"instruction_sets.{unread[0]}"
    else:
        return None
    why = cpu.machine.why_unread(fact)
    return cpu.finding(
        Outcome.UNKNOWN, "cpu-unread", variant, remedy=why.remedy, why=why.reason, sets=unread
    )


def _crashes(cpu: _Processor, runtime: RuntimeSpec | None) -> Finding | None:
    sets = runtime.crashing_sets(cpu.machine.instruction_sets) if runtime else ()
    if runtime is None or not sets:
        return None
    return cpu.finding(
        Outcome.WARN, "cpu-crashes", remedy=runtime.crash_remedy, builder=runtime.name, sets=sets
    )


def _slow(cpu: _Processor) -> Finding | None:
    missing = _lacking(cpu.recommended, cpu.machine)
    if not missing:
        return None
    perhaps = cpu.machine.assumes("instruction_sets")
    return cpu.finding(Outcome.WARN, "cpu-slow", missing=missing, perhaps=perhaps)


def _lacking(names: tuple[str, ...], machine: Machine) -> list[str]:
    """Those of the instruction sets that the processor does not have; none where that was not
    read.
    """
    sets = machine.instruction_sets
    if sets is None:
        return []
    there = {*sets, *_sets_unread(machine), *_OF_EVERY.get(machine.architecture or "", ())}
    return [name for name in names if name not in there]


def _sets_unread(machine: Machine) -> set[str]:
    """The instruction sets of which a system does not say whether they are there, each alone."""
    return {
        entry.fact.partition(".")[2]
        for entry in machine.unread
        if entry.fact.startswith("instruction_sets.")
    }
