"""Does the runtime have a build for this processor, and would it run there?"""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.spec import RuntimeSpec
from ...machine.record import Machine
from ...needs.records import CpuNeed
from .record import Finding, Outcome
from .runtime import is_installed, other_runtime


@lru_cache(maxsize=64)
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
    finding = _as_stated(needs, machine, runtime, on_gpu=on_gpu)
    own = machine.architecture or ""
    assumed = [fact for fact in ("architecture", "instruction_sets") if machine.assumes(fact)]
    uses_sets = needs.instruction_sets.get(own) or needs.recommended.get(own)
    if not uses_sets or finding.code == "cpu-no-build":
        assumed = [fact for fact in assumed if fact == "architecture"]
    if not assumed:
        return finding
    what = " and ".join(fact.replace("_", " ") for fact in assumed)
    verb = "is" if assumed == ["architecture"] else "are"
    return finding.replace(
        outcome=Outcome.WARN,
        code="cpu-assumed",
        reason=f"{finding.reason} The processor's {what} {verb} assumed.",
        remedy=f"check the {what} of your processor",
    )


def _as_stated(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None, *, on_gpu: bool
) -> Finding:
    """The finding, were nothing of the processor assumed."""
    own = machine.architecture
    builder = runtime.name if runtime else "what the spec states"
    if (
        own is not None
        and needs.architectures
        and own not in needs.architectures
        and not is_installed(runtime, machine)
    ):
        return _no_build(needs, machine, runtime, builder, own)
    return (
        _lacks_instructions(needs, machine, builder)
        or _unread(needs, machine)
        or (None if on_gpu else _crashes(needs, machine, runtime))
        or _slow(needs, machine)
        or _finding(
            needs,
            machine,
            Outcome.PASS,
            "cpu-suits",
            f"{own or 'The processor'} suits {builder}.",
        )
    )


def _crashes(needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None) -> Finding | None:
    crashing_sets = runtime.crashing_sets(machine.instruction_sets) if runtime else ()
    if runtime is None or not crashing_sets:
        return None
    return _finding(
        needs,
        machine,
        Outcome.WARN,
        "cpu-crashes",
        f"{runtime.name} may crash at the first prompt: this processor has"
        f" {' and '.join(crashing_sets)}.",
        runtime.crash_remedy,
    )


def _no_build(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None, builder: str, own: str
) -> Finding:
    reason, remedy = f"{builder} has no build for {own}.", other_runtime(runtime, machine)
    if runtime is not None and runtime.elsewhere:
        # the runtime's finding says what is known of other systems, of which the processor is a
        # part
        reason = (
            f"selfhost covers {builder} only on {' and '.join(needs.architectures)}; this"
            f" processor is {own}."
        )
        remedy = "choose another --runtime"
    return _finding(needs, machine, Outcome.FAIL, "cpu-no-build", reason, remedy)


def _lacks_instructions(needs: CpuNeed, machine: Machine, builder: str) -> Finding | None:
    missing = _lacking(_required(needs, machine), machine)
    if not missing:
        return None
    return _finding(
        needs,
        machine,
        Outcome.FAIL,
        "cpu-lacks-instructions",
        f"{builder}'s build would crash: this processor {_lacks(machine)} {', '.join(missing)}.",
        "build it from source for this processor",
    )


def _unread(needs: CpuNeed, machine: Machine) -> Finding | None:
    sets = machine.instruction_sets
    required = _required(needs, machine)
    fact, what = "", ""
    if machine.architecture is None and (needs.architectures or needs.instruction_sets):
        fact, what = "architecture", "The processor"
    elif sets is None and (
        required or _recommended(needs, machine) or machine.emulated_on is not None
    ):
        fact, what = "instruction_sets", "The processor's instruction sets"
    else:
        unread = _sets_unread(machine)
        names = [name for name in required if name in unread and name not in (sets or ())]
        if names:
            fact, what = (
                f"instruction_sets.{names[0]}",
                f"Whether the processor has {', '.join(names)}",
            )
    if not fact:
        return None
    why = machine.why_unread(fact)
    reason = f"{what} could not be read: {why.reason}."
    return _finding(needs, machine, Outcome.UNKNOWN, "cpu-unread", reason, why.remedy)


def _slow(needs: CpuNeed, machine: Machine) -> Finding | None:
    missing = _lacking(_recommended(needs, machine), machine)
    if not missing:
        return None
    surely = "perhaps slowly" if machine.assumes("instruction_sets") else "but slowly"
    reason = f"It runs, {surely}: this processor {_lacks(machine)} {', '.join(missing)}."
    return _finding(needs, machine, Outcome.WARN, "cpu-slow", reason, "choose a smaller model")


def _lacks(machine: Machine) -> str:
    return "may have no" if machine.assumes("instruction_sets") else "has no"


def _required(needs: CpuNeed, machine: Machine) -> tuple[str, ...]:
    return needs.instruction_sets.get(machine.architecture or "", ())


def _recommended(needs: CpuNeed, machine: Machine) -> tuple[str, ...]:
    return needs.recommended.get(machine.architecture or "", ())


# x86-64 psABI, micro-architecture levels: every processor of it has these, named or not
_OF_EVERY = {"x86_64": ("sse", "sse2")}


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
    reason: str,
    remedy: str | None = None,
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
    return Finding(
        check="cpu",
        outcome=outcome,
        code=code,
        needs=", ".join((*suiting, *required)) or None,
        has=has,
        reason=reason,
        remedy=remedy,
    )
