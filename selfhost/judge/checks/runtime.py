"""Is the program there, and does this processor run it?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...catalogue.runtime import RuntimeSpec
from ...machine.record import Machine
from ...needs.records import CpuNeed
from . import Cell, Finding, Outcome, finding, phrase

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..record import Question

# x86-64 psABI, micro-architecture levels: every processor of it has these, named or not
_OF_EVERY = {"x86_64": ("sse", "sse2")}
# 32-bit systems, and what the processor may also run
_WIDE = {"i686": "x86_64", "armv7l": "aarch64", "armv6l": None}


# ------------------------------------------------------------------ the processor


def cpu_check(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None, *, on_gpu: bool = False
) -> Finding:
    """Does a build of the runtime exist for this processor, and does it have the instruction sets
    that build uses?

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
    facts = ["architecture"] if machine.assumes("architecture") else []
    if used and code != "cpu-no-build" and machine.assumes("instruction_sets"):
        facts.append("instruction sets")
    if not facts:
        return stated
    figures = {"stated": stated.reason, "facts": facts, "plural": facts != ["architecture"]}
    return finding(Outcome.WARN, "cpu-assumed", **both, **figures)


def _needed_and_there(
    needs: CpuNeed, machine: Machine, required: tuple[str, ...], used: tuple[str, ...]
) -> dict[str, Any]:
    """What the build needs against what the processor has, in words. Of a processor that suits,
    what holds for it; else all that there are.
    """
    own, sets, suiting = machine.architecture, machine.instruction_sets, needs.architectures
    if own is not None and own in suiting:
        suiting = (own,)
    has = own
    if own is not None and sets is not None:
        has = ", ".join((own, *(name for name in used if name in sets)))
    return {"needs": ", ".join((*suiting, *required)) or None, "has": has}


def _unread_sets(machine: Machine) -> set[str]:
    """The instruction sets of which a system does not say whether they are there."""
    facts = [entry.fact.partition(".") for entry in machine.unread]
    return {name for kind, _, name in facts if kind == "instruction_sets" and name}


def _no_build_for_processor(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None
) -> Cell | None:
    covered = needs.architectures
    if not covered or machine.architecture in (None, *covered) or is_installed(runtime, machine):
        return None
    # the runtime's finding says what is known of other systems, of which the processor is a part
    if runtime is not None and runtime.elsewhere:
        return Outcome.FAIL, "cpu-no-build", "elsewhere", {"covered": covered}
    return Outcome.FAIL, "cpu-no-build", "", {"remedy": other_runtime(runtime, machine)}


def _lacking(machine: Machine, names: tuple[str, ...], outcome: Outcome, code: str) -> Cell | None:
    """That the processor lacks some of these; None where it has all, or they were not read."""
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
    uses_sets = required or recommended
    unread = [name for name in required if name in _unread_sets(machine) - {*(sets or ())}]
    if machine.architecture is None and (needs.architectures or needs.instruction_sets):
        variant, fact = "", "architecture"
    elif sets is None and uses_sets:
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


# ------------------------------------------------------------------ the program


def runtime_check(question: Question, machine: Machine) -> Finding:
    """Is there a program that loads it? Must it be installed already, is it, and is its version new
    enough for the architecture? Code that comes with the model needs no release that knows it.
    """
    runtime, spec, is_required = question.runtime, question.spec, question.requires_runtime
    if runtime is None:
        outcome, variant = (Outcome.UNKNOWN, "required") if is_required else (Outcome.PASS, "")
        return finding(outcome, "runtime-any", variant)
    if question.loads is not None:
        return finding(
            Outcome.FAIL,
            "runtime-cannot-load",
            remedy=question.mend,
            needs=runtime.name,
            why=question.loads,
        )
    no_build = _no_build(machine, runtime)
    if no_build is not None:
        return no_build
    present = next((entry for entry in machine.runtimes or () if entry.id == runtime.id), None)
    if is_required and present is None:
        return _not_installed(machine, runtime, is_required=True)
    if _platform(machine) in runtime.big_endian_systems:
        figures = {"needs": runtime.name, "processor": machine.architecture}
        return finding(Outcome.WARN, "runtime-other-byte-order", **figures)
    if question.unfamiliar is not None:
        figures = {"needs": runtime.name, "architecture": question.unfamiliar}
        return finding(Outcome.WARN, "runtime-unfamiliar", **figures)
    if present is None:
        return _not_installed(machine, runtime, is_required=False)
    row = spec.architecture.row if spec.architecture and not spec.safety.remote_code else None
    return _installed(machine, runtime, present.version, row)


def install_lines(runtime: RuntimeSpec, places: Sequence[str]) -> tuple[str, ...]:
    """What to type to get the runtime: the lines that are kept for the first of the places that
    has any, a system or SYSTEM-VENDOR. () where nothing is published for it.
    """
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
    """Whether it was found on a system that it is judged on, in a build of whatever origin.

    No 32-bit one counts: it maps no file as large as most models' are.
    """
    if runtime is None or runtime.elsewhere or machine.architecture in _WIDE:
        return False
    systems = {entry.partition("-")[0] for entry in runtime.systems}
    is_found = any(present.id == runtime.id for present in machine.runtimes or ())
    return machine.system in systems and is_found


def other_runtime(runtime: RuntimeSpec | None, machine: Machine) -> str:
    """What to do where a runtime has no build for the machine's system and processor."""
    wide = f"{machine.system}-{_WIDE.get(machine.architecture or '')}"
    key = "other-runtime"
    if runtime is not None and wide in runtime.systems:
        key = "other-runtime/wide"
    elif runtime is not None and "gguf" not in runtime.formats and "text" in runtime.modalities:
        # GGUF is what llama.cpp loads
        key = "other-runtime/gguf"
    return phrase(key, wide=wide)


def is_built_from_source(machine: Machine, runtime: RuntimeSpec) -> bool:
    """Whether nobody publishes a build for the machine, and people make one."""
    return _platform(machine) in runtime.builds_from_source


def _platform(machine: Machine) -> str:
    """System and processor, as a runtime's spec lists its builds."""
    return f"{machine.system}-{machine.architecture}"


def _no_build(machine: Machine, runtime: RuntimeSpec) -> Finding | None:
    system, processor = machine.system, machine.architecture
    for_system = [
        entry for entry in runtime.systems if system is None or entry.partition("-")[0] == system
    ]
    is_other_processor = system and processor and _platform(machine) not in for_system
    if (for_system and not is_other_processor) or (
        is_built_from_source(machine, runtime) or is_installed(runtime, machine)
    ):
        return None
    return finding(
        Outcome.FAIL,
        "runtime-no-build",
        "elsewhere" if runtime.elsewhere else "",
        needs=runtime.name,
        has=_platform(machine) if for_system else system,
        remedy=other_runtime(runtime, machine),
        where=f"{system} on {processor}" if for_system else system,
        why=runtime.elsewhere,
    )


def _installed(
    machine: Machine, runtime: RuntimeSpec, version: str | None, architecture: str | None
) -> Finding:
    """Of a runtime that is installed: whether that version knows the architecture."""
    release = runtime.minimum_versions.get(architecture or "")
    build = runtime.minimum_builds.get(architecture or "")
    code, variant, first = "runtime-present", "", None
    if release and _is_older(version, release):
        code, first = "runtime-too-old", release
    elif runtime.command_version and _is_older(version, runtime.command_version):
        code, variant, first = "runtime-too-old", "command", runtime.command_version
    elif build and not _is_build_since(version, build):
        code, variant, first = "runtime-unfamiliar", "build", build
    remedy = None
    if first and runtime.distributions:
        remedy = f"pip install --upgrade '{runtime.distributions[0]}>={first}'"
    elif first:
        line = _install_line(runtime, machine).removeprefix("# ")
        again = phrase("install/again", line=line)
        remedy = again if line else phrase("install/update", first=first)
    return finding(
        Outcome.WARN if first else Outcome.PASS,
        code,
        variant,
        needs=runtime.name,
        has=f"{runtime.name} {version}" if version else runtime.name,
        remedy=remedy,
        version=version,
        architecture=architecture,
        first=first,
    )


def _not_installed(machine: Machine, runtime: RuntimeSpec, *, is_required: bool) -> Finding:
    """Of a runtime that can be had here: it passes, unless it must be built from source first, or
    must be installed already.
    """
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
    return finding(
        outcome,
        "runtime-not-installed" if is_searched else "runtime-not-searched",
        needs=runtime.name,
        remedy=remedy,
        machine=machine.called,
        unpublished=f"{machine.system} on {machine.architecture}" if is_built else None,
        required=is_required,
    )


def _is_older(installed: str | None, first: str) -> bool:
    """False as well where one of them is no version that can be compared; a development version
    counts as its release.
    """
    if not installed:
        return False
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(installed).base_version) < Version(first)
    except InvalidVersion:
        return False


def _is_build_since(installed: str | None, first: str) -> bool:
    """Whether an installed version names a build, as b6641, 6641, 6641-1 or 0.0.6641 do, and it
    is `first` or later.
    """
    match = re.fullmatch(r"(?:b|0\.0\.)?(\d{3,6})(?:[-_]\d{1,3})?", installed or "")
    return match is not None and int(match[1]) >= int(first.removeprefix("b"))
