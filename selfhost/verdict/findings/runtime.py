"""Is there a program that loads the model on this system, and is it installed?"""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.spec import RuntimeSpec
from ...machine.record import Machine
from .record import Finding, Outcome

# 32-bit systems, and what the processor may also run
_WIDE = {"i686": "x86_64", "armv7l": "aarch64", "armv6l": None}


@lru_cache(maxsize=256)
def runtime_check(
    machine: Machine,
    runtime: RuntimeSpec | None,
    *,
    loads: str | None,
    remedy: str | None = None,
    unfamiliar: str | None = None,
    architecture: str | None = None,
    is_required: bool = False,
) -> Finding:
    """Is there a program that loads it? `loads` is None when `runtime` does, else the sentence why
    it does not, and `remedy` what helps where another would not load it either.

    `unfamiliar` is an architecture that this catalogue does not know, so that whether the runtime
    does is not known either; `architecture` one whose first release is held against the version
    that is installed. `is_required`: it must be installed already.
    """
    finding = _loading(machine, runtime, loads, remedy, unfamiliar, architecture)
    if not is_required or finding.outcome is Outcome.FAIL:
        return finding
    return _absent(machine, runtime) or finding


def _loading(
    machine: Machine,
    runtime: RuntimeSpec | None,
    loads: str | None,
    remedy: str | None,
    unfamiliar: str | None,
    architecture: str | None,
) -> Finding:
    """As `runtime_check`, wherever the program has yet to be installed."""
    if runtime is None:
        return Finding(
            check="runtime",
            outcome=Outcome.PASS,
            code="runtime-any",
            reason="The spec names no runtime: use any that loads the files.",
        )
    if loads is not None:
        return _finding(
            runtime,
            Outcome.FAIL,
            "runtime-cannot-load",
            loads,
            remedy or "leave out --runtime to use one that loads it",
        )
    return (
        _no_build(machine, runtime)
        or _other_byte_order(machine, runtime)
        or _unfamiliar(runtime, unfamiliar)
        or _installed(machine, runtime, architecture)
        or _not_installed(machine, runtime)
    )


def install_line(runtime: RuntimeSpec, system: str | None) -> str:
    """What to type to get the runtime on that system; on one that is not known, the line of each.
    Empty where nothing is published for it.
    """
    lines = runtime.install
    if system is None and "any" not in lines:
        return " or ".join(f"{line} ({name})" for name, line in lines.items())
    return lines.get("any") or lines.get(system or "", "")


def is_installed(runtime: RuntimeSpec | None, machine: Machine) -> bool:
    """Whether it was found on a system that it is judged on, in a build of whatever origin.

    No 32-bit one counts: it maps no file as large as most models' are.
    """
    if runtime is None or runtime.elsewhere or machine.architecture in _WIDE:
        return False
    if not any(entry.partition("-")[0] == machine.system for entry in runtime.systems):
        return False
    return any(present.id == runtime.id for present in machine.runtimes or ())


def other_runtime(runtime: RuntimeSpec | None, machine: Machine) -> str:
    """What to do where a runtime has no build for the machine's system and processor."""
    wide = f"{machine.system}-{_WIDE.get(machine.architecture or '')}"
    if runtime is not None and wide in runtime.systems:
        return (
            f"install a 64-bit system if the processor supports one ({wide} has a build), or choose"
            f" another --runtime"
        )
    if runtime is not None and "gguf" not in runtime.formats and "text" in runtime.modalities:
        return "use a GGUF file of the same model: --runtime llama.cpp"
    return "choose another --runtime"


def _platform(machine: Machine) -> str:
    """System and processor, as a runtime's spec lists its builds."""
    return f"{machine.system}-{machine.architecture}"


def is_built_from_source(machine: Machine, runtime: RuntimeSpec) -> bool:
    return _platform(machine) in runtime.builds_from_source


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
    where, has = (
        (f"{system} on {processor}", _platform(machine)) if for_system else (system, system)
    )
    reason = f"{runtime.name} has no build for {where}."
    if runtime.elsewhere:
        reason = f"selfhost does not cover {runtime.name} on {where}: {runtime.elsewhere}."
    remedy = other_runtime(runtime, machine)
    return _finding(runtime, Outcome.FAIL, "runtime-no-build", reason, remedy, has)


def _other_byte_order(machine: Machine, runtime: RuntimeSpec) -> Finding | None:
    if _platform(machine) not in runtime.big_endian_systems:
        return None
    reason = (
        f"{runtime.name} on {machine.architecture} loads only big-endian GGUF files; published"
        " files are little-endian."
    )
    remedy = (
        "convert the file there with llama.cpp's gguf_convert_endian.py (docs/build-s390x.md; it"
        " converts Q4_0, Q8_0, Q4_K, Q6_K, MXFP4 and unquantized weights); check the model by its"
        " name, because selfhost does not read the converted file"
    )
    return _finding(runtime, Outcome.WARN, "runtime-other-byte-order", reason, remedy)


def _unfamiliar(runtime: RuntimeSpec, architecture: str | None) -> Finding | None:
    if architecture is None:
        return None
    reason = (
        f"{runtime.name} may refuse the file: whether it supports the architecture {architecture}"
        " is not known."
    )
    remedy = f"look for {architecture} in {runtime.name}'s list of supported models"
    return _finding(runtime, Outcome.WARN, "runtime-unfamiliar", reason, remedy)


def _installed(machine: Machine, runtime: RuntimeSpec, architecture: str | None) -> Finding | None:
    """Of a runtime that is installed: whether that version knows the architecture."""
    present = next((entry for entry in machine.runtimes or () if entry.id == runtime.id), None)
    if present is None:
        return None
    version = present.version
    has = f"{runtime.name} {version}" if version else runtime.name
    first = runtime.minimum_versions.get(architecture or "")
    if first and _is_older(version, first):
        reason = (
            f"{has} is too old for this model: the architecture {architecture} needs {first} or"
            " later."
        )
        remedy = _update(runtime, first, machine)
        return _finding(runtime, Outcome.WARN, "runtime-too-old", reason, remedy, has)
    first = runtime.command_version
    if first and _is_older(version, first):
        reason = (
            f"{has} is too old: the command that loads this model correctly needs {first} or later."
        )
        remedy = _update(runtime, first, machine)
        return _finding(runtime, Outcome.WARN, "runtime-too-old", reason, remedy, has)
    build = runtime.minimum_builds.get(architecture or "")
    if build and not _is_build_since(version, build):
        which = "may be too old" if version else "is installed in an unknown build"
        reason = (
            f"{has} {which}: build {build} supports the architecture {architecture}; earlier builds"
            " were not checked."
        )
        remedy = _update(runtime, build, machine)
        return _finding(runtime, Outcome.WARN, "runtime-unfamiliar", reason, remedy, has)
    return _finding(runtime, Outcome.PASS, "runtime-present", f"{has} is installed.", has=has)


def _not_installed(machine: Machine, runtime: RuntimeSpec) -> Finding:
    """Of a runtime that can be had here: it passes, unless it must be built from source first."""
    outcome = Outcome.PASS
    line = install_line(runtime, machine.system)
    remedy = f"run `{line}`" if line else None
    places = {f"{machine.system}-{gpu.vendor}" for gpu in machine.accelerators or ()}
    if len(places) == 1 and (place := places.pop()) in runtime.install_not_for:
        remedy = next(iter(runtime.install_otherwise.get(place, ())), remedy)
    no_package = ""
    if is_built_from_source(machine, runtime):
        outcome = Outcome.WARN
        remedy = f"build it from source: {runtime.source_build}"
        no_package = f" No build is published for {machine.system} on {machine.architecture}."
    if machine.runtimes is None:
        reason = f"Whether {runtime.name} is installed is not known.{no_package}"
        return _finding(runtime, outcome, "runtime-not-searched", reason, remedy)
    reason = f"{runtime.name} was not found on {machine.called}.{no_package}"
    return _finding(runtime, outcome, "runtime-not-installed", reason, remedy)


def _absent(machine: Machine, runtime: RuntimeSpec | None) -> Finding | None:
    """Of a runtime that must be installed already: that it is not, or that it cannot be told."""
    if runtime is None:
        return Finding(
            check="runtime",
            outcome=Outcome.UNKNOWN,
            code="runtime-any",
            reason="A runtime must be installed already; the spec names none, so any may be meant.",
            remedy="state the runtime",
        )
    if any(present.id == runtime.id for present in machine.runtimes or ()):
        return None
    finding = _not_installed(machine, runtime)
    outcome = Outcome.UNKNOWN if machine.runtimes is None else Outcome.FAIL
    remedy = finding.remedy
    if machine.runtimes is None:
        remedy = machine.why_unread("runtimes").remedy or remedy
    return finding.replace(
        outcome=outcome,
        reason=f"{finding.reason} It must be installed already.",
        remedy=remedy or f"install {runtime.name} there",
    )


def _finding(
    runtime: RuntimeSpec,
    outcome: Outcome,
    code: str,
    reason: str,
    remedy: str | None = None,
    has: str | None = None,
) -> Finding:
    return Finding(
        check="runtime",
        outcome=outcome,
        code=code,
        needs=runtime.name,
        has=has,
        reason=reason,
        remedy=remedy,
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
    import re

    match = re.fullmatch(r"(?:b|0\.0\.)?(\d{3,6})(?:[-_]\d{1,3})?", installed or "")
    return match is not None and int(match[1]) >= int(first.removeprefix("b"))


def _update(runtime: RuntimeSpec, first: str, machine: Machine) -> str:
    if runtime.distributions:
        return f"pip install --upgrade '{runtime.distributions[0]}>={first}'"
    if line := install_line(runtime, machine.system):
        return f"reinstall it: {line}"
    return f"update it to {first} or later"
