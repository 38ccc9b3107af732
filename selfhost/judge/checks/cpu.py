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

    @property
    def unread_sets(self) -> set[str]:
        """The instruction sets of which a system does not say whether they are there."""
        facts = [entry.fact.partition(".") for entry in self.machine.unread]
        return {name for kind, _, name in facts if kind == "instruction_sets" and name}

    def missing(self, names: tuple[str, ...]) -> list[str]:
        """Those that the processor does not have; none where that was not read."""
        if self.machine.instruction_sets is None:
            return []
        of_every = _OF_EVERY.get(self.machine.architecture or "", ())
        there = {*self.machine.instruction_sets, *self.unread_sets, *of_every}
        return [name for name in names if name not in there]

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
        or _lacking(cpu, builder)
        or _unread(cpu)
        or (None if on_gpu else _crashes_or_slow(cpu, runtime))
        or cpu.finding(Outcome.PASS, "cpu-suits", processor=machine.architecture, builder=builder)
    )
    facts = ["architecture"] if machine.assumes("architecture") else []
    uses_sets = cpu.required or cpu.recommended
    if uses_sets and stated.code != "cpu-no-build" and machine.assumes("instruction_sets"):
        facts.append("instruction sets")
    if not facts:
        return stated
    is_plural = facts != ["architecture"]
    return cpu.finding(
        Outcome.WARN, "cpu-assumed", stated=stated.reason, facts=facts, plural=is_plural
    )


def _no_build(cpu: _Processor, runtime: RuntimeSpec | None, builder: str) -> Finding | None:
    processor, covered = cpu.machine.architecture, cpu.needs.architectures
    is_covered = processor is None or not covered or processor in covered
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
        covered=covered,
    )


def _lacking(cpu: _Processor, builder: str) -> Finding | None:
    missing, perhaps = cpu.missing(cpu.required), cpu.machine.assumes("instruction_sets")
    if not missing:
        return None
    return cpu.finding(
        Outcome.FAIL, "cpu-lacks-instructions", builder=builder, missing=missing, perhaps=perhaps
    )


def _unread(cpu: _Processor) -> Finding | None:
    machine, needs, sets = cpu.machine, cpu.needs, cpu.machine.instruction_sets
    uses_sets = cpu.required or cpu.recommended or machine.emulated_on is not None
    unread = [name for name in cpu.required if name in cpu.unread_sets - {*(sets or ())}]
    if machine.architecture is None and (needs.architectures or needs.instruction_sets):
        variant, fact = "", "architecture"
    elif sets is None and uses_sets:
        variant, fact = "sets", "instruction_sets"
    elif unread:
        variant, fact = "set", f"instruction_sets.{unread[0]}"
    else:
        return None
    why = machine.why_unread(fact)
    return cpu.finding(
        Outcome.UNKNOWN, "cpu-unread", variant, remedy=why.remedy, why=why.reason, sets=unread
    )


def _crashes_or_slow(cpu: _Processor, runtime: RuntimeSpec | None) -> Finding | None:
    sets = runtime.crashing_sets(cpu.machine.instruction_sets) if runtime else ()
    if runtime is not None and sets:
        builder, remedy = runtime.name, runtime.crash_remedy
        return cpu.finding(Outcome.WARN, "cpu-crashes", remedy=remedy, builder=builder, sets=sets)
    missing, perhaps = cpu.missing(cpu.recommended), cpu.machine.assumes("instruction_sets")
    if not missing:
        return None
    return cpu.finding(Outcome.WARN, "cpu-slow", missing=missing, perhaps=perhaps)
