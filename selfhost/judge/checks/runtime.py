"""Is the program there, does this processor run it, and would it be as fast as is wanted?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec_values import GENERATING
from ...core import units
from ...core.tables import TomlRow, shipped_table
from ...core.workload import (
    ANSWER_TOKENS,
    DEFAULT_CONTEXT_TOKENS,
    DEFAULT_MIN_TOKENS_PER_SECOND,
    READING_TOKENS_PER_SECOND,
)
from ...machine.record import BRIEFLY, Machine
from ...needs.records import CpuNeed, Needs
from ..pace import TRAINED, Speed
from ..record import MEMORY_CHECKS, Judged, Question
from . import FAIL, PASS, UNKNOWN, WARN, Cell, Figures, Finding, finding, phrase

# x86-64 psABI, micro-architecture levels: every processor of it has these, named or not
_COMMON_SETS = {"x86_64": ("sse", "sse2")}
# 32-bit systems map no file as large as most models' are
_NARROW = ("i686", "armv7l", "armv6l")
# where the fast end is more than this times the slow one, a measurement narrows the range
_WIDE_PACE = 2
# no program computes the model on this machine
_NO_PROGRAM = ("runtime-no-build", "runtime-cannot-load")
# facts that the pace in RAM rests on
_PACE_SETTING = ("memory_bandwidth_bytes_per_second", "cpu_cores_usable")
# from here on training on stated tokens takes long: begun in the evening, it is not done in the
# morning (a guess)
_NIGHT_SECONDS = 8 * 3600
# seconds from which the answer leads with the time: the finding is `speed-hours`. A text at the
# lowest pace, 2 tokens/s, keeps one waiting three minutes; who waits twenty times as long for one
# picture wants to know that first. A guess, 30 minutes to 2 hours
_HOURS_SECONDS = 3600


def cpu_check(
    needs: CpuNeed,
    machine: Machine,
    runtime: RuntimeSpec | None,
    *,
    on_gpu: bool = False,
) -> Finding:
    """Does a build of the runtime exist for this processor, with sets that this one has?
    `on_gpu`: what the processor lacks slows nothing.
    """
    own = machine.architecture
    required = needs.instruction_sets.get(own or "", ())
    recommended = () if on_gpu else needs.recommended.get(own or "", ())
    cell = _build_cell(needs, machine, runtime) or _sets_cell(
        machine, required, recommended
    )
    crashing = (
        ()
        if runtime is None or on_gpu
        else runtime.crashing_sets(machine.instruction_sets)
    )
    if runtime is not None and crashing and cell[0] in (PASS, WARN):
        cell = (
            WARN,
            "cpu-crashes",
            "",
            {"remedy": runtime.platforms.crash_remedy, "sets": crashing},
        )
    both = _needed_and_there(needs, machine, required, recommended)
    builder = runtime.name if runtime else "what the spec states"
    stated = finding(*cell, builder=builder, processor=own, **both)
    facts = []
    if "architecture" in machine.assumed:
        facts.append("architecture")
    asks_for_sets = bool(required or recommended) and cell[1] != "cpu-no-build"
    if asks_for_sets and "instruction_sets" in machine.assumed:
        facts.append("instruction sets")
    if not facts:
        return stated
    return finding(WARN, "cpu-assumed", stated=stated.reason, facts=facts, **both)


def _needed_and_there(
    needs: CpuNeed,
    machine: Machine,
    required: tuple[str, ...],
    recommended: tuple[str, ...],
) -> Figures:
    """Of a processor that suits, what holds for it; else all that there are."""
    own, sets = machine.architecture or "", machine.instruction_sets or ()
    suiting = (own,) if own in needs.architectures else needs.architectures
    has = ", ".join(
        (own, *(name for name in (*required, *recommended) if name in sets))
    )
    return {
        "needs": ", ".join((*suiting, *required)) or None,
        "has": has if own else None,
    }


def _build_cell(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None
) -> Cell | None:
    own, covered = machine.architecture, needs.architectures
    if own is None and (covered or needs.instruction_sets):
        return UNKNOWN, "cpu-unread", "", {"why": machine.why_unread("architecture")}
    if not covered or own in (None, *covered) or _is_installed(runtime, machine):
        return None
    # the runtime's finding says what is known of other systems, of which the processor is a part
    if runtime is not None and runtime.platforms.elsewhere:
        return FAIL, "cpu-no-build", "elsewhere", {"covered": covered}
    return FAIL, "cpu-no-build", "", {"remedy": other_runtime(runtime)}


def _sets_cell(
    machine: Machine, required: tuple[str, ...], recommended: tuple[str, ...]
) -> Cell:
    if machine.instruction_sets is None and (required or recommended):
        return (
            UNKNOWN,
            "cpu-unread",
            "sets",
            {"why": machine.why_unread("instruction_sets")},
        )
    there = {
        *(machine.instruction_sets or ()),
        *_COMMON_SETS.get(machine.architecture or "", ()),
    }
    # systems do not tell of every set whether it is there
    entries = [entry.fact.partition(".") for entry in machine.unread]
    unread = {name for kind, _, name in entries if kind == "instruction_sets"} - there
    figures: Figures = {"perhaps": "instruction_sets" in machine.assumed}
    missing = [name for name in required if name not in there]
    if lacking := [name for name in missing if name not in unread]:
        return FAIL, "cpu-lacks-instructions", "", {**figures, "missing": lacking}
    if missing:
        why = machine.why_unread(f"instruction_sets.{missing[0]}")
        return UNKNOWN, "cpu-unread", "set", {"why": why, "sets": missing}
    if lacking := [name for name in recommended if name not in {*there, *unread}]:
        return WARN, "cpu-slow", "", {**figures, "missing": lacking}
    return PASS, "cpu-suits", "", {}


def runtime_check(question: Question, machine: Machine) -> Finding:
    """Is there a program that loads it, installed where it must be, and new enough?"""
    runtime, is_required = question.runtime, question.requires_runtime
    # files of one's own: a model of the catalogue was looked at
    unfamiliar = question.unfamiliar if question.local_files else None
    if runtime is None and is_required:
        return finding(UNKNOWN, "runtime-any", "required")
    if runtime is None:
        return finding(PASS, "runtime-any")
    present = next(
        (each for each in machine.runtimes or () if each.id == runtime.id), None
    )
    cell: Cell
    if question.why_not_loaded is not None and question.is_untold:
        figures = {"remedy": question.load_remedy, "why": question.why_not_loaded}
        cell = UNKNOWN, "runtime-untold", "", figures
    elif question.why_not_loaded is not None:
        figures = {"remedy": question.load_remedy, "why": question.why_not_loaded}
        cell = FAIL, "runtime-cannot-load", "", figures
    elif no_build := _no_build_cell(machine, runtime):
        cell = no_build
    elif is_required and present is None:
        cell = _not_installed_cell(machine, runtime, is_required=True)
    elif machine.platform in runtime.platforms.big_endian_systems:
        cell = WARN, "runtime-other-byte-order", "", {"processor": machine.architecture}
    elif unfamiliar is not None:
        cell = WARN, "runtime-unfamiliar", "", {"architecture": unfamiliar}
    elif present is None:
        cell = _not_installed_cell(machine, runtime, is_required=False)
    else:
        cell = _version_cell(question, machine, runtime, present.version)
    return finding(*cell, needs=runtime.name)


def install_lines(runtime: RuntimeSpec, install_keys: Sequence[str]) -> tuple[str, ...]:
    """What to type to get the runtime, by the first of the keys, a system or SYSTEM-VENDOR."""
    keys = *install_keys, "any"
    return next(
        (
            runtime.installation.lines[key]
            for key in keys
            if key in runtime.installation.lines
        ),
        (),
    )


def _install_line(runtime: RuntimeSpec, machine: Machine) -> str:
    """The first program among those lines, else the first comment; "" for none."""
    system = machine.system or "linux"
    vendors = {gpu.vendor for gpu in machine.accelerators or ()}
    platforms = []
    if len(vendors) == 1:
        platforms.append(f"{system}-{vendors.pop()}")
    if machine.accelerators:
        platforms.append(f"{system}-accelerator")
    lines = install_lines(runtime, [*platforms, system])
    for line in lines:
        if not line.startswith("#"):
            return line
    comments = [line.removeprefix("# ") for line in lines]
    if not comments:
        return ""
    # a comment that ends in a colon has its command in the next
    count = 2 if comments[0].endswith(":") else 1
    return f"# {' '.join(comments[:count])}"


def _is_installed(runtime: RuntimeSpec | None, machine: Machine) -> bool:
    """Whether it was found on a system that it is judged on, but for 32-bit ones."""
    if (
        runtime is None
        or runtime.platforms.elsewhere
        or machine.architecture in _NARROW
    ):
        return False
    systems = {entry.partition("-")[0] for entry in runtime.platforms.systems}
    is_found = any(present.id == runtime.id for present in machine.runtimes or ())
    return machine.system in systems and is_found


def other_runtime(runtime: RuntimeSpec | None) -> str:
    """What to do where a runtime has no build for the machine's system and processor."""
    # GGUF is what llama.cpp loads
    has_other = (
        runtime and "text" in runtime.modalities and "gguf" not in runtime.formats
    )
    return phrase("other-runtime/gguf" if has_other else "other-runtime")


def _no_build_cell(machine: Machine, runtime: RuntimeSpec) -> Cell | None:
    system, processor, platform = machine.system, machine.architecture, machine.platform
    for_system = [
        entry
        for entry in runtime.platforms.systems
        if system is None or entry.partition("-")[0] == system
    ]
    has_build = for_system and (not system or not processor or platform in for_system)
    if (
        has_build
        or platform in runtime.platforms.from_source
        or _is_installed(runtime, machine)
    ):
        return None
    figures = {
        "has": platform if for_system else system,
        "remedy": other_runtime(runtime),
        "where": f"{system} on {processor}" if for_system else system,
        "why": runtime.platforms.elsewhere,
    }
    return (
        FAIL,
        "runtime-no-build",
        "elsewhere" if runtime.platforms.elsewhere else "",
        figures,
    )


def _version_cell(
    question: Question, machine: Machine, runtime: RuntimeSpec, version: str | None
) -> Cell:
    """Whether the program that is there is new enough for the model."""
    own, architecture = question.spec.architecture, ""
    if own is not None and not question.spec.safety.remote_code:
        architecture = own.row
    figures: Figures = {"has": f"{runtime.name} {version}" if version else runtime.name}
    figures.update(version=version, architecture=architecture)
    first = runtime.versions.minimum.get(architecture, "")
    code, variant = "runtime-too-old", ""
    if not is_older(version, first):
        first, variant = runtime.versions.minimum.get("commands", ""), "command"
    if not is_older(version, first):
        first = runtime.versions.builds.get(architecture, "")
        code, variant = "runtime-unfamiliar", "build"
        # b6641, 6641, 6641-1 or 0.0.6641
        build = re.fullmatch(r"(?:b|0\.0\.)?(\d{3,6})(?:[-_]\d{1,3})?", version or "")
        if not first or (
            build is not None and int(build[1]) >= int(first.removeprefix("b"))
        ):
            return PASS, "runtime-present", "", figures
    line = _install_line(runtime, machine).removeprefix("# ")
    remedy = (
        phrase("install/again", line=line)
        if line
        else phrase("install/update", first=first)
    )
    if runtime.installation.distributions:
        remedy = (
            f"pip install --upgrade '{runtime.installation.distributions[0]}>={first}'"
        )
    return WARN, code, variant, {**figures, "first": first, "remedy": remedy}


def _not_installed_cell(
    machine: Machine, runtime: RuntimeSpec, *, is_required: bool
) -> Cell:
    """It passes, unless it must be built from source first, or must be installed already."""
    is_searched = machine.runtimes is not None
    is_built = machine.platform in runtime.platforms.from_source
    outcome, line = WARN if is_built else PASS, _install_line(runtime, machine)
    remedy = phrase("install", line=line) if line else None
    if is_built:
        remedy = phrase("install/source", page=runtime.platforms.source_build)
    elif line.startswith("# "):
        remedy = line.removeprefix("# ")
    if is_required:
        outcome = FAIL if is_searched else UNKNOWN
        if not is_searched:
            remedy = machine.why_unread("runtimes").remedy or remedy
    figures = {
        "remedy": remedy,
        "machine": machine.name,
        "unpublished": f"{machine.system} on {machine.architecture}"
        if is_built
        else None,
        "required": is_required,
    }
    return (
        outcome,
        "runtime-not-installed" if is_searched else "runtime-not-searched",
        "",
        figures,
    )


def is_older(installed: str | None, first: str) -> bool:
    """False as well where one is no version; a development version counts as its release."""
    if not first:
        return False
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(installed or "").base_version) < Version(first)
    except InvalidVersion:
        return False


def speed_check(
    question: Question, placed: Needs, machine: Machine, speed: Speed
) -> Finding | None:
    """The estimated decode pace against what is wanted. None where tokens make no sense."""
    workload, pace, each_of = question.workload, speed.judged, speed.each_of
    wanted, in_ram = workload.min_tokens_per_second, placed.placement != "accelerator"
    if wanted is None:
        return None
    is_assumed = in_ram and any(fact in machine.assumed for fact in _PACE_SETTING)
    how, figures = speed.how, Figures()
    if pace is None and speed.decode is not None:
        drafted = " with a draft" if workload.draft is not None else ""
        how = f"the pace of {workload.parallel:,} sequences at once{drafted} cannot be estimated"
    elif pace is not None:
        is_wide = pace.high > _WIDE_PACE * pace.low
        likely, span = units.speed(pace.likely), units.speed(pace.low, pace.high)
        # the range, where its figures differ from the likely one
        about, guess = pace.about()
        words = f"{about} {likely}"
        if span != likely:
            words += f" ({units.pace(pace.low, pace.high)}{guess})"
        figures = {
            "pace": words,
            "assumed": is_assumed,
            "answer": ANSWER_TOKENS / pace.high if pace.high else None,
            "reading": f"{READING_TOKENS_PER_SECOND:g}",
            "measure": how_to_measure(machine) if in_ram and is_wide else None,
        }
    return finding(
        *_pace_cell(question, speed, is_assumed=is_assumed),
        needs=wanted,
        has=None if pace is None else pace.likely,
        short=None if pace is None else _lacking(pace.high, wanted),
        unit="tokens_per_second",
        how=how,
        wanted=units.stated(wanted),
        stated=question.speed_stated,
        each=f"{each_of:,}" if each_of > 1 else None,
        all=each_of > 1 and not speed.waiting,
        at_once=f"{each_of - speed.waiting:,}" if speed.waiting else None,
        context=workload.context_tokens,
        **figures,
    )


def why_no_pace(findings: Iterable[Finding]) -> str | None:
    """Why the model does not run, whatever its pace would be; None where nothing keeps it from
    running. A disk that is too small does not, nor a program that is only not installed.
    """
    failed = [finding for finding in findings if finding.outcome is FAIL]
    if any(finding.check in MEMORY_CHECKS for finding in failed):
        return "the model does not fit here"
    if any(finding.check == "cpu" or finding.code in _NO_PROGRAM for finding in failed):
        return "the model does not run here"
    return None


def no_pace_finding(question: Question, why_not: str) -> Finding | None:
    """The finding of a pace that is not told, which decides nothing; None where text was not asked
    for its pace.
    """
    figures: Figures = {"how": why_not}
    if question.step is not None:
        wanted = question.workload.min_tokens_per_second
        if wanted is None:
            return None
        figures |= {"needs": wanted, "unit": "tokens_per_second"}
        if not wanted:
            return finding(PASS, "speed-any", "unknown", figures)
    return finding(UNKNOWN, "speed-not-known", "", figures)


def _lacking(fastest: float, wanted: float) -> float:
    """Tokens per second that even the fast end lacks; 0 where it does not, as both are printed."""
    return wanted - fastest if units.is_slower(fastest, wanted) else 0


def _pace_cell(question: Question, speed: Speed, *, is_assumed: bool) -> Cell:
    workload, pace, is_stated = question.workload, speed.judged, question.speed_stated
    wanted, full = workload.min_tokens_per_second, speed.full_context_tokens_per_second
    if not wanted:
        return PASS, "speed-any", "" if pace is not None else "unknown", {}
    # a stated minimum that is left open decides
    if pace is None:
        return UNKNOWN, "speed-no-basis" if is_stated else "speed-not-known", "", {}
    if units.is_slower(pace.high, wanted):
        return FAIL, "speed-too-slow", "", {}
    if units.is_slower(pace.likely, wanted):
        outcome, code = (UNKNOWN, "speed-close") if is_stated else (WARN, "speed-slow")
        return outcome, code, "", {}
    is_long = (
        speed.each_of == 1 and (workload.context_tokens or 0) > DEFAULT_CONTEXT_TOKENS
    )
    if full is not None and units.is_slower(full, wanted) and is_long:
        return WARN, "speed-when-full", "", {"full": units.speed(full)}
    if units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
        return WARN, "speed-slow", "reading", {}
    if is_assumed:
        return WARN, "speed-assumed", "", {}
    return PASS, "speed-comfortable", "", {}


def how_to_measure(machine: Machine) -> str | None:
    """How to measure the memory bandwidth; None where it is known, not just at present, or cannot
    be measured.
    """
    is_brief = machine.memory_bandwidth_how == BRIEFLY
    is_known = machine.memory_bandwidth_bytes_per_second is not None and not is_brief
    is_less_than_a_core = (machine.cpu_cores_usable or 0) < 1
    if is_known or machine.measured_in_vain or machine.planning or is_less_than_a_core:
        return None
    if machine.memory_available_bytes is None:
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


def work_check(
    question: Question, placed: Needs, machine: Machine, speed: Speed
) -> Finding:
    """Of work that is no text: slow where it takes long, or where no GPU holds all of the model."""
    unit, work, dataset_tokens = (
        speed.unit,
        speed.work,
        question.workload.dataset_tokens,
    )
    row = dict(shipped_table("findings")["work"][unit])
    if unit == TRAINED and dataset_tokens is not None:
        row["limit"] = dataset_tokens / _NIGHT_SECONDS
    # how its parts come to a GPU in turn; empty where a GPU has it all
    has_gpu = any(device.unified for device in machine.accelerators or ())
    is_in_ram = placed.placement == "host" and not has_gpu
    runtime = question.runtime
    is_on_cpu = is_in_ram or (runtime is not None and runtime.gpus.unused)
    way = placed.offload or ""
    if not way and is_on_cpu:
        way = "processor"
    parameters, long = question.spec.parameters.total or 0, None
    if way != "processor" or parameters < row.get("on_cpu_from_parameters", 0):
        row.pop("on_cpu", None)
    if work is not None:
        # `about 12 minutes for an hour of audio (6 minutes to 40 minutes)`
        usual, ends = speed.work_words()
        about, guess = work.about()
        long = f"{about} {usual} ({ends}{guess})"
    likely = getattr(work, "likely", None)
    cell = _work_cell(row, unit, likely, way)
    return finding(
        *cell,
        needs=row["limit"],
        has=likely,
        unit=unit,
        how=speed.how if work is None else None,
        remedy=row["faster"] if cell[0] is WARN else None,
        long=long,
    )


def _work_cell(row: TomlRow, unit: str, likely: float | None, way: str) -> Cell:
    what, slow, on_cpu = row.get("what"), row["code"], row.get("on_cpu")
    if what is not None and way and on_cpu is None:
        is_video = way == "processor" and unit == "seconds_per_video"
        takes_hours = is_video if likely is None else likely >= _HOURS_SECONDS
        return WARN, "speed-hours" if takes_hours else slow, way, {"what": what}
    if likely is None and on_cpu is not None:
        return WARN, slow, "unknown-on-cpu", {"what": on_cpu}
    if likely is None:
        return UNKNOWN, "speed-not-known", "", {}
    if _is_beyond(likely, row["limit"], unit):
        return WARN, slow, "work", {}
    return PASS, "speed-comfortable", "work", {}


def _is_beyond(likely: float, limit: float, unit: str) -> bool:
    """Longer than the limit in seconds, or fewer than so many tokens or documents a second."""
    return likely > limit if unit.startswith("seconds") else likely < limit


def is_too_slow(judged: Judged) -> bool:
    """Likely below the wanted pace, or so slow that its finding warns."""
    pace = judged.speed.judged if judged.speed is not None else None
    wanted = judged.question.workload.min_tokens_per_second
    if pace is not None:
        least = DEFAULT_MIN_TOKENS_PER_SECOND if wanted is None else wanted
        return units.is_slower(pace.likely, least)
    own = judged.finding("speed")
    if own is None or own.code == "speed-hours":
        return own is not None
    limit, likely = own.needs, own.has
    if not isinstance(limit, int | float) or not isinstance(likely, int | float):
        return False
    return _is_beyond(likely, limit, own.unit or "")


def is_slow(judged: Judged) -> bool:
    """Text likely comes more slowly than was wanted, or other work takes minutes to days."""
    pace = judged.speed.decode if judged.speed is not None else None
    own = judged.finding("speed")
    if own is None or pace is not None:
        return is_too_slow(judged)
    return own.code == "speed-slow" or is_slow_picture(judged)


def lacks_pace_of_users(judged: Judged) -> bool:
    """Whether text for several users was asked for, and what each of them gets is not known."""
    question, speed = judged.question, judged.speed
    workload = question.workload
    if workload.parallel == 1 or workload.task != "generate":
        return False
    is_text = question.spec.modality in GENERATING
    return is_text and (speed is None or speed.judged is None)


def is_slow_picture(judged: Judged) -> bool:
    """On a CPU, or with every layer moved to a GPU at each step: many times as long as on a GPU."""
    return judged.has("speed-hours") or (
        judged.offload != "model" and judged.has("speed-picture")
    )
