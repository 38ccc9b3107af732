"""Is the program there, and does this processor run it?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...catalogue.runtime import RuntimeSpec
from ...machine.record import Machine
from ...needs.records import CpuNeed
from ..record import Question
from . import Cell, Finding, Outcome, finding, phrase

# x86-64 psABI, micro-architecture levels: every processor of it has these, named or not
_OF_EVERY = {"x86_64": ("sse", "sse2")}
# 32-bit systems map no file as large as most models' are
_NARROW = ("i686", "armv7l", "armv6l")


def cpu_check(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None, *, on_gpu: bool = False
) -> Finding:
    """Does a build of the runtime exist for this processor, with sets that this one has?

    `on_gpu`: accelerators hold all of the model, so that what the processor lacks slows nothing.
    What is assumed of the processor gives a `warn`, whatever it says.
    """
    own = machine.architecture or ""
    required = needs.instruction_sets.get(own, ())
    recommended = () if on_gpu else needs.recommended.get(own, ())
    outcome, code, variant, figures = (
        _no_build_for_processor(needs, machine, runtime)
        or _lacking(machine, required, Outcome.FAIL, "cpu-lacks-instructions")
        or _unread_processor(needs, machine, required, recommended)
        or _crashing(machine, None if on_gpu else runtime)
        or _lacking(machine, recommended, Outcome.WARN, "cpu-slow")
        or (Outcome.PASS, "cpu-suits", "", {})
    )
    used = (*required, *recommended)
    both = _needed_and_there(needs, machine, required, used)
    builder = runtime.name if runtime else "what the spec states"
    figures = {"builder": builder, "processor": machine.architecture, **both, **figures}
    stated = finding(outcome, code, variant, **figures)
    rests_on = {"architecture": True, "instruction_sets": used and code != "cpu-no-build"}
    facts = [name for name, is_used in rests_on.items() if is_used and machine.assumes(name)]
    if not facts:
        return stated
    facts = [name.replace("_", " ") for name in facts]
    return finding(Outcome.WARN, "cpu-assumed", stated=stated.reason, facts=facts, **both)


def _needed_and_there(
    needs: CpuNeed, machine: Machine, required: tuple[str, ...], used: tuple[str, ...]
) -> dict[str, Any]:
    """Of a processor that suits, what holds for it; else all that there are."""
    own, suiting = machine.architecture, needs.architectures
    if own is not None and own in suiting:
        suiting = (own,)
    there = [name for name in used if name in (machine.instruction_sets or ())]
    has = None if own is None else ", ".join((own, *there))
    return {"needs": ", ".join((*suiting, *required)) or None, "has": has}


def _no_build_for_processor(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None
) -> Cell | None:
    covered = needs.architectures
    if not covered or machine.architecture in (None, *covered) or is_installed(runtime, machine):
        return None
    # the runtime's finding says what is known of other systems, of which the processor is a part
    if runtime is not None and runtime.elsewhere:
        return Outcome.FAIL, "cpu-no-build", "elsewhere", {"covered": covered}
    return Outcome.FAIL, "cpu-no-build", "", {"remedy": other_runtime(runtime)}


def _unread_sets(machine: Machine) -> set[str]:
    """The instruction sets of which a system does not say whether they are there."""
    facts = [entry.fact.partition(".") for entry in machine.unread]
    return {name for kind, _, name in facts if kind == "instruction_sets" and name}


def _lacking(machine: Machine, names: tuple[str, ...], outcome: Outcome, code: str) -> Cell | None:
    if machine.instruction_sets is None:
        return None
    of_every = _OF_EVERY.get(machine.architecture or "", ())
    there = {*machine.instruction_sets, *_unread_sets(machine), *of_every}
    missing = [name for name in names if name not in there]
    figures = {"missing": missing, "perhaps": machine.assumes("instruction_sets")}
    return (outcome, code, "", figures) if missing else None


def _unread_processor(
    needs: CpuNeed, machine: Machine, required: tuple[str, ...], recommended: tuple[str, ...]
) -> Cell | None:
    sets = machine.instruction_sets
    unread = [name for name in required if name in _unread_sets(machine) - {*(sets or ())}]
    if machine.architecture is None and (needs.architectures or needs.instruction_sets):
        variant, fact = "", "architecture"
    elif sets is None and (required or recommended):
        variant, fact = "sets", "instruction_sets"
    elif unread:
        variant, fact = "set", f"instruction_sets.{unread[0]}"
    else:
        return None
    return Outcome.UNKNOWN, "cpu-unread", variant, {"why": machine.why_unread(fact), "sets": unread}


def _crashing(machine: Machine, runtime: RuntimeSpec | None) -> Cell | None:
    sets = runtime.crashing_sets(machine.instruction_sets) if runtime else ()
    if runtime is None or not sets:
        return None
    return Outcome.WARN, "cpu-crashes", "", {"remedy": runtime.crash_remedy, "sets": sets}


def runtime_check(question: Question, machine: Machine) -> Finding:
    """Is there a program that loads it, installed where it must be, and new enough?"""
    runtime, is_required = question.runtime, question.requires_runtime
    if runtime is None:
        outcome, variant = (Outcome.UNKNOWN, "required") if is_required else (Outcome.PASS, "")
        return finding(outcome, "runtime-any", variant)
    present = next((entry for entry in machine.runtimes or () if entry.id == runtime.id), None)
    if question.loads is not None:
        figures = {"remedy": question.mend, "why": question.loads}
        cell: Cell | None = (Outcome.FAIL, "runtime-cannot-load", "", figures)
    else:
        cell = _no_build(machine, runtime)
    if cell is None and is_required and present is None:
        cell = _not_installed(machine, runtime, is_required=True)
    outcome, code, variant, figures = (
        cell
        or _doubtful(question, machine, runtime)
        or (present and _installed(question, machine, runtime, present.version))
        or _not_installed(machine, runtime, is_required=False)
    )
    return finding(outcome, code, variant, needs=runtime.name, **figures)


def _doubtful(question: Question, machine: Machine, runtime: RuntimeSpec) -> Cell | None:
    """The files may not load, whatever version is there."""
    if f"{machine.system}-{machine.architecture}" in runtime.big_endian_systems:
        figures = {"processor": machine.architecture}
        return Outcome.WARN, "runtime-other-byte-order", "", figures
    if question.unfamiliar is not None:
        return Outcome.WARN, "runtime-unfamiliar", "", {"architecture": question.unfamiliar}
    return None


def install_lines(runtime: RuntimeSpec, places: Sequence[str]) -> tuple[str, ...]:
    """What to type to get the runtime on the first of the places, a system or SYSTEM-VENDOR."""
    keys = (*places, "any")
    return next((runtime.install[key] for key in keys if key in runtime.install), ())


def _install_line(runtime: RuntimeSpec, machine: Machine) -> str:
    """The first program among those lines, else the first comment; "" for none."""
    vendors = {gpu.vendor for gpu in machine.accelerators or ()}
    system = machine.system or "linux"
    places = [f"{system}-{vendor}" for vendor in vendors] if len(vendors) == 1 else []
    lines = install_lines(runtime, [*places, system])
    # a comment that ends in a colon has its command in the next
    is_open = bool(lines) and lines[0].endswith(":")
    first = " ".join(line.removeprefix("# ") for line in lines[: 1 + is_open])
    return next((line for line in lines if not line.startswith("#")), first and f"# {first}")


def is_installed(runtime: RuntimeSpec | None, machine: Machine) -> bool:
    """Whether it was found on a system that it is judged on, but for 32-bit ones."""
    if runtime is None or runtime.elsewhere or machine.architecture in _NARROW:
        return False
    systems = {entry.partition("-")[0] for entry in runtime.systems}
    is_found = any(present.id == runtime.id for present in machine.runtimes or ())
    return machine.system in systems and is_found


def other_runtime(runtime: RuntimeSpec | None) -> str:
    """What to do where a runtime has no build for the machine's system and processor."""
    # GGUF is what llama.cpp loads
    is_of_text = runtime is not None and "text" in runtime.modalities
    has_other = is_of_text and runtime is not None and "gguf" not in runtime.formats
    return phrase("other-runtime/gguf" if has_other else "other-runtime")


def is_built_from_source(machine: Machine, runtime: RuntimeSpec) -> bool:
    """Whether nobody publishes a build for the machine, and people make one."""
    return f"{machine.system}-{machine.architecture}" in runtime.builds_from_source


def _no_build(machine: Machine, runtime: RuntimeSpec) -> Cell | None:
    system, processor = machine.system, machine.architecture
    platform = f"{system}-{processor}"
    for_system = [
        entry for entry in runtime.systems if system is None or entry.partition("-")[0] == system
    ]
    is_other_processor = system and processor and platform not in for_system
    if (for_system and not is_other_processor) or (
        is_built_from_source(machine, runtime) or is_installed(runtime, machine)
    ):
        return None
    figures = {
        "has": platform if for_system else system,
        "remedy": other_runtime(runtime),
        "where": f"{system} on {processor}" if for_system else system,
        "why": runtime.elsewhere,
    }
    return Outcome.FAIL, "runtime-no-build", "elsewhere" if runtime.elsewhere else "", figures


def _installed(
    question: Question, machine: Machine, runtime: RuntimeSpec, version: str | None
) -> Cell:
    spec, architecture = question.spec, None
    if spec.architecture is not None and not spec.safety.remote_code:
        architecture = spec.architecture.row
    release = runtime.minimum_versions.get(architecture or "")
    build = runtime.minimum_builds.get(architecture or "")
    figures: dict[str, Any] = {"has": f"{runtime.name} {version}" if version else runtime.name}
    figures.update(version=version, architecture=architecture)
    if release and _is_older(version, release):
        code, variant, first = "runtime-too-old", "", release
    elif runtime.command_version and _is_older(version, runtime.command_version):
        code, variant, first = "runtime-too-old", "command", runtime.command_version
    elif build and not _is_build_since(version, build):
        code, variant, first = "runtime-unfamiliar", "build", build
    else:
        return Outcome.PASS, "runtime-present", "", figures
    line = _install_line(runtime, machine).removeprefix("# ")
    remedy = phrase("install/again", line=line) if line else phrase("install/update", first=first)
    if runtime.distributions:
        remedy = f"pip install --upgrade '{runtime.distributions[0]}>={first}'"
    return Outcome.WARN, code, variant, {**figures, "first": first, "remedy": remedy}


def _not_installed(machine: Machine, runtime: RuntimeSpec, *, is_required: bool) -> Cell:
    """It passes, unless it must be built from source first, or must be installed already."""
    is_searched = machine.runtimes is not None
    is_built = is_built_from_source(machine, runtime)
    outcome, line = Outcome.WARN if is_built else Outcome.PASS, _install_line(runtime, machine)
    remedy = phrase("install", line=line) if line else None
    if is_built:
        remedy = phrase("install/source", page=runtime.source_build)
    elif line.startswith("# "):
        remedy = line.removeprefix("# ")
    if is_required:
        outcome = Outcome.FAIL if is_searched else Outcome.UNKNOWN
        if not is_searched:
            remedy = machine.why_unread("runtimes").remedy or remedy
    figures = {
        "remedy": remedy,
        "machine": machine.name,
        "unpublished": f"{machine.system} on {machine.architecture}" if is_built else None,
        "required": is_required,
    }
    return outcome, "runtime-not-installed" if is_searched else "runtime-not-searched", "", figures


def _is_older(installed: str | None, first: str) -> bool:
    """False as well where one is no version; a development version counts as its release."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(installed or "").base_version) < Version(first)
    except InvalidVersion:
        return False


def _is_build_since(installed: str | None, first: str) -> bool:
    """Of builds as b6641, 6641, 6641-1 or 0.0.6641."""
    match = re.fullmatch(r"(?:b|0\.0\.)?(\d{3,6})(?:[-_]\d{1,3})?", installed or "")
    return match is not None and int(match[1]) >= int(first.removeprefix("b"))
