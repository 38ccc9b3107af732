"""Does the runtime have a build for this processor, and would it run there?"""

from __future__ import annotations

from ...catalogue.spec import RuntimeSpec
from ...machine.record import Machine
from ...needs.records import CpuNeed
from .record import Finding, Outcome, finding
from .runtime import is_installed, other_runtime

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# x86-64 psABI, micro-architecture levels: every processor of it has these, named or not
_OF_EVERY = {"x86_64": ("sse", "sse2")}


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
    builder = runtime.name if runtime else "what the spec states"
    stated = (
        _no_build(needs, machine, runtime, builder)
        or _lacks_instructions(needs, machine, builder)
        or _unread(needs, machine)
        or (None if on_gpu else _crashes(needs, machine, runtime))
        or _slow(needs, machine)
        or _finding(
            needs,
            machine,
            Outcome.PASS,
            "cpu-suits",
            processor=machine.architecture,
            builder=builder,
        )
    )
    return _assumed(needs, machine, stated)


def _assumed(needs: CpuNeed, machine: Machine, stated: Finding) -> Finding:
    """The finding as a warning where it rests on facts that are assumed."""
    facts = ["architecture"] if machine.assumes("architecture") else []
    uses_sets = _required(needs, machine) or _recommended(needs, machine)
    if uses_sets and stated.code != "cpu-no-build" and machine.assumes("instruction_sets"):
        facts.append("instruction sets")
    if not facts:
        return stated
    is_plural = facts != ["architecture"]
    return _finding(
        needs,
        machine,
        Outcome.WARN,
        "cpu-assumed",
        stated=stated.reason,
        facts=facts,
        plural=is_plural,
    )


def _no_build(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None, builder: str
) -> Finding | None:
    processor = machine.architecture
    is_covered = processor is None or not needs.architectures or processor in needs.architectures
    if is_covered or is_installed(runtime, machine):
        return None
    # the runtime's finding says what is known of other systems, of which the processor is a part
    is_elsewhere = runtime is not None and runtime.elsewhere
    return _finding(
        needs,
        machine,
        Outcome.FAIL,
        "cpu-no-build",
        "elsewhere" if is_elsewhere else "",
        remedy=None if is_elsewhere else other_runtime(runtime, machine),
        builder=builder,
        processor=processor,
        covered=needs.architectures,
    )


def _lacks_instructions(needs: CpuNeed, machine: Machine, builder: str) -> Finding | None:
    missing = _lacking(_required(needs, machine), machine)
    if not missing:
        return None
    return _finding(
        needs,
        machine,
        Outcome.FAIL,
        "cpu-lacks-instructions",
        builder=builder,
        missing=missing,
        perhaps=machine.assumes("instruction_sets"),
    )


def _unread(needs: CpuNeed, machine: Machine) -> Finding | None:
    sets, required = machine.instruction_sets, _required(needs, machine)
    uses_sets = required or _recommended(needs, machine) or machine.emulated_on is not None
    unread = [name for name in required if name in _sets_unread(machine) - {*(sets or ())}]
    if machine.architecture is None and (needs.architectures or needs.instruction_sets):
        variant, fact = "", "architecture"
    elif sets is None and uses_sets:
        variant, fact = "sets", "instruction_sets"
    elif unread:
        variant, fact = "set", f"instruction_sets.{unread[0]}"
    else:
        return None
    why = machine.why_unread(fact)
    return _finding(
        needs,
        machine,
        Outcome.UNKNOWN,
        "cpu-unread",
        variant,
        remedy=why.remedy,
        why=why.reason,
        sets=unread,
    )


def _crashes(needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None) -> Finding | None:
    sets = runtime.crashing_sets(machine.instruction_sets) if runtime else ()
    if runtime is None or not sets:
        return None
    return _finding(
        needs,
        machine,
        Outcome.WARN,
        "cpu-crashes",
        remedy=runtime.crash_remedy,
        builder=runtime.name,
        sets=sets,
    )


def _slow(needs: CpuNeed, machine: Machine) -> Finding | None:
    missing = _lacking(_recommended(needs, machine), machine)
    if not missing:
        return None
    perhaps = machine.assumes("instruction_sets")
    return _finding(needs, machine, Outcome.WARN, "cpu-slow", missing=missing, perhaps=perhaps)


def _required(needs: CpuNeed, machine: Machine) -> tuple[str, ...]:
    return needs.instruction_sets.get(machine.architecture or "", ())


def _recommended(needs: CpuNeed, machine: Machine) -> tuple[str, ...]:
    return needs.recommended.get(machine.architecture or "", ())


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


def _finding(
    needs: CpuNeed,
    machine: Machine,
    outcome: Outcome,
    code: str,
    variant: str = "",
    *,
    remedy: str | None = None,
    **figures: Any,
) -> Finding:
    own, sets = machine.architecture, machine.instruction_sets
    required = _required(needs, machine)
    # of a processor that suits, what holds for it; else all that there are
    suiting = needs.architectures
    has = own
    if own is not None and own in needs.architectures:
        suiting = (own,)
    if own is not None and sets is not None:
        used = (*required, *_recommended(needs, machine))
        has = ", ".join((own, *(name for name in used if name in sets)))
    return finding(
        outcome,
        code,
        variant,
        needs=", ".join((*suiting, *required)) or None,
        has=has,
        remedy=remedy,
        **figures,
    )
