"""Is the program there, does this processor run it, and would it be as fast as is wanted?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec_values import GENERATING
from ...core import units
from ...core.workload import (
    ANSWER_TOKENS,
    DEFAULT_CONTEXT_TOKENS,
    DEFAULT_MIN_TOKENS_PER_SECOND,
    READING_TOKENS_PER_SECOND,
)
from ...machine.record import BRIEFLY, Machine
from ...needs.records import CpuNeed, Needs
from ..pace import TRAINED, Range, Speed
from ..record import MEMORY_CHECKS, Judged, Question
from . import (
    Figures,
    Finding,
    Outcome,
    Ruling,
    WorkWords,
    failing,
    finding,
    passing,
    phrase,
    undecided,
    warning,
    words_of_work,
)

# x86-64 psABI, micro-architecture levels: every processor of it has these, named or not
_COMMON_SETS = {"x86_64": ("sse", "sse2")}
# 32-bit systems map no file as large as most models' are
_NARROW = ("i686", "armv7l", "armv6l")
# where the fast end is more than this times the slow one, a measurement narrows the range
_WIDE_PACE = 2
# no program computes the model on this machine
_NO_PROGRAM = ("runtime-no-build", "runtime-cannot-load")
# facts that the pace in RAM rests on
_PACE_SETTING = {"memory_bandwidth_bytes_per_second", "cpu_cores_usable"}
# from here on training on stated tokens takes long: begun in the evening, it is not done in the
# morning (a guess)
_NIGHT_SECONDS = 8 * 3600
# seconds from which the answer leads with the time: the finding is `speed-hours`. A text at the
# lowest pace, 2 tokens/s, keeps one waiting three minutes; who waits twenty times as long for one
# picture wants to know that first. A guess, 30 minutes to 2 hours
_HOURS_SECONDS = 3600


# ------------------------------------------------------------------ the processor


def cpu_check(
    needs: CpuNeed,
    machine: Machine,
    runtime: RuntimeSpec | None,
    *,
    on_gpu: bool = False,
) -> Finding:
    """Does a build of the program exist for this processor, with sets that this one has?

    `on_gpu`: a GPU computes all of the model, so that what the processor lacks slows nothing.
    """
    processor = machine.architecture or ""
    required = needs.instruction_sets.get(processor, ())
    recommended = () if on_gpu else needs.recommended.get(processor, ())
    ruling = _build_ruling(needs, machine, runtime)
    if ruling is None:
        ruling = _sets_ruling(machine, required, recommended)
    if runtime is not None and not on_gpu:
        crashing = runtime.crashing_sets(machine.instruction_sets)
        if crashing and ruling.outcome in (Outcome.PASS, Outcome.WARN):
            remedy = runtime.platforms.crash_remedy
            ruling = warning("cpu-crashes", remedy=remedy, sets=crashing)
    found = finding(
        ruling,
        builder=runtime.name if runtime else "what the spec states",
        processor=machine.architecture,
        needs=_needed_words(needs, processor, required),
        has=_processor_words(machine, (*required, *recommended)),
    )
    guesses = list[str]()
    if "architecture" in machine.assumed:
        guesses.append("architecture")
    asks_for_sets = bool(required or recommended) and ruling.code != "cpu-no-build"
    if asks_for_sets and "instruction_sets" in machine.assumed:
        guesses.append("instruction sets")
    if not guesses:
        return found
    assumed = warning("cpu-assumed", stated=found.reason, facts=guesses)
    return finding(assumed, needs=found.needs, has=found.has)


def _needed_words(
    needs: CpuNeed, processor: str, required: Sequence[str]
) -> str | None:
    """The processor where a build suits it, else all that there are builds for, and the sets."""
    suiting = needs.architectures
    if processor in suiting:
        suiting = (processor,)
    return ", ".join((*suiting, *required)) or None


def _processor_words(machine: Machine, sets: Sequence[str]) -> str | None:
    """The processor, with those of the sets that it has; None where it was not read."""
    if not machine.architecture:
        return None
    there = machine.instruction_sets or ()
    had = [name for name in sets if name in there]
    return ", ".join((machine.architecture, *had))


def _build_ruling(
    needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None
) -> Ruling | None:
    """That no build is for this processor, or that nobody knows; None where one is."""
    processor = machine.architecture
    covered = needs.architectures
    if processor is None:
        if not covered and not needs.instruction_sets:
            return None
        return undecided("cpu-unread", why=machine.why_unread("architecture"))
    if not covered or processor in covered or _is_installed(runtime, machine):
        return None
    # the runtime's finding says what is known of other systems, of which the processor is a part
    if runtime is not None and runtime.platforms.elsewhere:
        return failing("cpu-no-build", "elsewhere", covered=covered)
    return failing("cpu-no-build", remedy=other_runtime(runtime))


def _sets_ruling(
    machine: Machine, required: Sequence[str], recommended: Sequence[str]
) -> Ruling:
    """Whether the processor has the instruction sets without which a build crashes or is slow."""
    asked = {*required, *recommended}
    if machine.instruction_sets is None and asked:
        why = machine.why_unread("instruction_sets")
        return undecided("cpu-unread", "sets", why=why)
    asked.difference_update(machine.instruction_sets or ())
    asked.difference_update(_COMMON_SETS.get(machine.architecture or "", ()))
    unread = _unread_sets(machine)
    perhaps = "instruction_sets" in machine.assumed
    missing = [name for name in required if name in asked]
    lacking = [name for name in missing if name not in unread]
    if lacking:
        return failing("cpu-lacks-instructions", perhaps=perhaps, missing=lacking)
    if missing:
        why = machine.why_unread(f"instruction_sets.{missing[0]}")
        return undecided("cpu-unread", "set", why=why, sets=missing)
    slowing = [name for name in recommended if name in asked - unread]
    if slowing:
        return warning("cpu-slow", perhaps=perhaps, missing=slowing)
    return passing("cpu-suits")


def _unread_sets(machine: Machine) -> set[str]:
    """Instruction sets of which the system does not tell whether they are there."""
    names = set[str]()
    for entry in machine.unread:
        kind, _, name = entry.fact.partition(".")
        if kind == "instruction_sets":
            names.add(name)
    return names


# ------------------------------------------------------------------ the program


def runtime_check(question: Question, machine: Machine) -> Finding:
    """Is there a program that loads it, installed where it must be, and new enough?"""
    runtime = question.runtime
    if runtime is not None:
        return finding(_runtime_ruling(question, machine, runtime), needs=runtime.name)
    if question.requires_runtime:
        return finding(undecided("runtime-any", "required"))
    return finding(passing("runtime-any"))


def _runtime_ruling(
    question: Question, machine: Machine, runtime: RuntimeSpec
) -> Ruling:
    why_not = question.why_not_loaded
    if why_not is not None and question.is_untold:
        return undecided("runtime-untold", remedy=question.load_remedy, why=why_not)
    if why_not is not None:
        return failing("runtime-cannot-load", remedy=question.load_remedy, why=why_not)
    if not _has_build(machine, runtime):
        return _no_build(machine, runtime)
    found = [present for present in machine.runtimes or () if present.id == runtime.id]
    if question.requires_runtime and not found:
        return _required_ruling(machine, runtime)
    if machine.platform in runtime.platforms.big_endian_systems:
        return warning("runtime-other-byte-order", processor=machine.architecture)
    # files of one's own: a model of the catalogue was looked at
    if question.local_files and question.unfamiliar is not None:
        return warning("runtime-unfamiliar", architecture=question.unfamiliar)
    if not found:
        return _not_installed(machine, runtime)
    return _version_ruling(question, machine, runtime, found[0].version)


def install_lines(runtime: RuntimeSpec, install_keys: Sequence[str]) -> tuple[str, ...]:
    """What to type to get the runtime, by the first of the keys, a system or SYSTEM-VENDOR."""
    lines = runtime.installation.lines
    for key in (*install_keys, "any"):
        if key in lines:
            return lines[key]
    return ()


def _install_line(runtime: RuntimeSpec, machine: Machine) -> str:
    """The first program among those lines, else the first comment; "" for none."""
    system = machine.system or "linux"
    vendors = {gpu.vendor for gpu in machine.accelerators or ()}
    platforms = list[str]()
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
    """Whether it was found on a system that it is judged on, except for 32-bit systems."""
    if runtime is None or machine.architecture in _NARROW:
        return False
    if runtime.platforms.elsewhere or machine.system not in _systems_of(runtime):
        return False
    return any(present.id == runtime.id for present in machine.runtimes or ())


def _systems_of(runtime: RuntimeSpec) -> set[str]:
    """The systems that it has a build for, on whatever processor."""
    return {platform.partition("-")[0] for platform in runtime.platforms.systems}


def other_runtime(runtime: RuntimeSpec | None) -> str:
    """What to do where a runtime has no build for the machine's system and processor."""
    if runtime is None or "text" not in runtime.modalities or "gguf" in runtime.formats:
        return phrase("other-runtime")
    # GGUF is what llama.cpp loads
    return phrase("other-runtime/gguf")


def _is_for_system(machine: Machine, runtime: RuntimeSpec) -> bool:
    """Whether it has a build for the system, on whatever processor."""
    systems = _systems_of(runtime)
    return bool(systems) if machine.system is None else machine.system in systems


def _has_build(machine: Machine, runtime: RuntimeSpec) -> bool:
    """Whether it has a build for the system and the processor, or was made for them here."""
    platform = machine.platform
    if platform in runtime.platforms.from_source or _is_installed(runtime, machine):
        return True
    if not _is_for_system(machine, runtime):
        return False
    if not machine.system or not machine.architecture:
        return True
    return platform in runtime.platforms.systems


def _no_build(machine: Machine, runtime: RuntimeSpec) -> Ruling:
    has = machine.system
    where = machine.system
    if _is_for_system(machine, runtime):
        has = machine.platform
        where = f"{machine.system} on {machine.architecture}"
    return failing(
        "runtime-no-build",
        "elsewhere" if runtime.platforms.elsewhere else "",
        has=has,
        where=where,
        why=runtime.platforms.elsewhere,
        remedy=other_runtime(runtime),
    )


def _version_ruling(
    question: Question, machine: Machine, runtime: RuntimeSpec, version: str | None
) -> Ruling:
    """Whether the program that is there is new enough for the model."""
    name = ""
    model = question.spec.architecture
    if model is not None and not question.spec.safety.remote_code:
        name = model.row
    figures: Figures = {
        "has": f"{runtime.name} {version}" if version else runtime.name,
        "version": version,
        "architecture": name,
    }
    first = runtime.versions.minimum.get(name, "")
    if is_older(version, first):
        return warning("runtime-too-old", **_update(machine, runtime, first), **figures)
    first = runtime.versions.minimum.get("commands", "")
    if is_older(version, first):
        update = _update(machine, runtime, first)
        return warning("runtime-too-old", "command", **update, **figures)
    first = runtime.versions.builds.get(name, "")
    if first and not _is_build_since(version or "", first):
        update = _update(machine, runtime, first)
        return warning("runtime-unfamiliar", "build", **update, **figures)
    return passing("runtime-present", **figures)


def _is_build_since(version: str, first: str) -> bool:
    """Whether the version is known to be that build of llama.cpp or a later one."""
    # b6641, 6641, 6641-1 or 0.0.6641
    build = re.fullmatch(r"(?:b|0\.0\.)?(\d{3,6})(?:[-_]\d{1,3})?", version)
    return build is not None and int(build[1]) >= int(first.removeprefix("b"))


def _update(machine: Machine, runtime: RuntimeSpec, first: str) -> Figures:
    """The first version that loads the model, and how to get it."""
    line = _install_line(runtime, machine).removeprefix("# ")
    if runtime.installation.distributions:
        remedy = (
            f"pip install --upgrade '{runtime.installation.distributions[0]}>={first}'"
        )
    elif line:
        remedy = phrase("install/again", line=line)
    else:
        remedy = phrase("install/update", first=first)
    return {"first": first, "remedy": remedy}


def _not_installed(machine: Machine, runtime: RuntimeSpec) -> Ruling:
    """A program that can still be installed, which passes unless it must be built from source."""
    code = _absent_code(machine)
    remedy = _install_remedy(machine, runtime)
    if machine.platform not in runtime.platforms.from_source:
        return passing(code, remedy=remedy, **_absent_figures(machine, runtime))
    return warning(code, remedy=remedy, **_absent_figures(machine, runtime))


def _required_ruling(machine: Machine, runtime: RuntimeSpec) -> Ruling:
    """A program that must be installed already, and was not found."""
    figures = _absent_figures(machine, runtime)
    remedy = _install_remedy(machine, runtime)
    if machine.runtimes is not None:
        return failing(_absent_code(machine), remedy=remedy, required=True, **figures)
    remedy = machine.why_unread("runtimes").remedy or remedy
    return undecided(_absent_code(machine), remedy=remedy, required=True, **figures)


def _absent_code(machine: Machine) -> str:
    if machine.runtimes is None:
        return "runtime-not-searched"
    return "runtime-not-installed"


def _absent_figures(machine: Machine, runtime: RuntimeSpec) -> Figures:
    unpublished = None
    if machine.platform in runtime.platforms.from_source:
        unpublished = f"{machine.system} on {machine.architecture}"
    return {"machine": machine.name, "unpublished": unpublished}


def _install_remedy(machine: Machine, runtime: RuntimeSpec) -> str | None:
    """How to install the program on this machine; None where no source says it."""
    if machine.platform in runtime.platforms.from_source:
        return phrase("install/source", page=runtime.platforms.source_build)
    line = _install_line(runtime, machine)
    if line.startswith("# "):
        return line.removeprefix("# ")
    return phrase("install", line=line) if line else None


def is_older(installed: str | None, first: str) -> bool:
    """False as well where one is no version; a development version counts as its release."""
    if not first:
        return False
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(installed or "").base_version) < Version(first)
    except InvalidVersion:
        return False


# ------------------------------------------------------------------ the speed of text


def speed_check(
    question: Question, placed: Needs, machine: Machine, speed: Speed
) -> Finding:
    """The estimated decode pace of text against what is wanted."""
    workload = question.workload
    wanted = workload.min_tokens_per_second
    assert wanted is not None, "text has a default"
    pace = speed.judged
    in_ram = placed.placement != "accelerator"
    is_assumed = in_ram and not _PACE_SETTING.isdisjoint(machine.assumed)
    figures = Figures()
    if pace is not None:
        measure: str | None = None
        if in_ram and pace.high > _WIDE_PACE * pace.low:
            measure = how_to_measure(machine)
        figures = {
            "has": pace.likely,
            "short": _lacking(pace.high, wanted),
            "pace": _pace_words(pace),
            "assumed": is_assumed,
            "answer": ANSWER_TOKENS / pace.high if pace.high else None,
            "reading": f"{READING_TOKENS_PER_SECOND:g}",
            "measure": measure,
        }
    users = speed.each_of
    return finding(
        _pace_ruling(question, speed, wanted, is_assumed=is_assumed),
        needs=wanted,
        unit="tokens_per_second",
        how=_why_no_shared_pace(question, speed) or speed.how,
        wanted=units.stated(wanted),
        stated=question.speed_stated,
        each=f"{users:,}" if users > 1 else None,
        all=users > 1 and not speed.waiting,
        at_once=f"{users - speed.waiting:,}" if speed.waiting else None,
        context=workload.context_tokens,
        **figures,
    )


def _pace_words(pace: Range) -> str:
    """`about 7 tokens/s (5 to 10 tokens/s)`; the range only where its figures differ."""
    about, guess = pace.about()
    likely = units.speed(pace.likely)
    words = f"{about} {likely}"
    if units.speed(pace.low, pace.high) == likely:
        return words
    return f"{words} ({units.pace(pace.low, pace.high)}{guess})"


def _why_no_shared_pace(question: Question, speed: Speed) -> str | None:
    """Why a pace of one sequence says nothing of several; None where theirs is known."""
    if speed.judged is not None or speed.decode is None:
        return None
    workload = question.workload
    drafted = " with a draft" if workload.draft is not None else ""
    return f"the pace of {workload.parallel:,} sequences at once{drafted} cannot be estimated"


def _pace_ruling(
    question: Question, speed: Speed, wanted: float, *, is_assumed: bool
) -> Ruling:
    pace = speed.judged
    if not wanted:
        return passing("speed-any", "" if pace is not None else "unknown")
    # a stated minimum that is left open decides
    if pace is None and question.speed_stated:
        return undecided("speed-no-basis")
    if pace is None:
        return undecided("speed-not-known")
    if units.is_slower(pace.high, wanted):
        return failing("speed-too-slow")
    if units.is_slower(pace.likely, wanted):
        if question.speed_stated:
            return undecided("speed-close")
        return warning("speed-slow")
    full = speed.full_context_tokens_per_second
    context_tokens = question.workload.context_tokens or 0
    is_long = speed.each_of == 1 and context_tokens > DEFAULT_CONTEXT_TOKENS
    if is_long and full is not None and units.is_slower(full, wanted):
        return warning("speed-when-full", full=units.speed(full))
    if units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
        return warning("speed-slow", "reading")
    if is_assumed:
        return warning("speed-assumed")
    return passing("speed-comfortable")


def _lacking(fastest: float, wanted: float) -> float:
    """Tokens per second that even the fast end lacks; 0 where it does not, as both are printed."""
    return wanted - fastest if units.is_slower(fastest, wanted) else 0


def why_no_pace(findings: Iterable[Finding]) -> str | None:
    """Why the model does not run, whatever its pace would be; None where nothing keeps it from
    running. A disk that is too small does not, nor a program that is only not installed.
    """
    failed = [finding for finding in findings if finding.outcome is Outcome.FAIL]
    if any(finding.check in MEMORY_CHECKS for finding in failed):
        return "the model does not fit here"
    if any(finding.check == "cpu" or finding.code in _NO_PROGRAM for finding in failed):
        return "the model does not run here"
    return None


def no_pace_finding(question: Question, why_not: str) -> Finding:
    """The finding of a pace that is not told, which decides nothing."""
    if question.step is None:
        return finding(undecided("speed-not-known", how=why_not))
    wanted = question.workload.min_tokens_per_second
    ruling = undecided("speed-not-known")
    if not wanted:
        ruling = passing("speed-any", "unknown")
    return finding(ruling, how=why_not, needs=wanted, unit="tokens_per_second")


def how_to_measure(machine: Machine) -> str | None:
    """How to measure the memory bandwidth; None where it is known, not just at present, or cannot
    be measured.
    """
    is_brief = machine.memory_bandwidth_how == BRIEFLY
    if machine.memory_bandwidth_bytes_per_second is not None and not is_brief:
        return None
    if machine.measured_in_vain or machine.planning:
        return None
    if machine.memory_available_bytes is None or (machine.cpu_cores_usable or 0) < 1:
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


# ------------------------------------------------------------------ the speed of other work


def work_check(
    question: Question, placed: Needs, machine: Machine, speed: Speed
) -> Finding:
    """Of work that is no text: slow where it takes long, or where no GPU holds all of the model."""
    words = words_of_work(speed.unit)
    dataset_tokens = question.workload.dataset_tokens
    if speed.unit == TRAINED and dataset_tokens is not None:
        words = words.replace(limit=dataset_tokens / _NIGHT_SECONDS)
    way = placed.offload or ""
    if not way and _is_on_cpu(question, placed, machine):
        way = "processor"
    parameters = question.spec.parameters.total or 0
    if way != "processor" or parameters < words.on_cpu_from_parameters:
        words = words.replace(on_cpu=None)
    likely: float | None = None
    long: str | None = None
    if speed.work is not None:
        # `about 12 minutes for an hour of audio (6 minutes to 40 minutes)`
        likely = speed.work.likely
        usual, ends = speed.work_words()
        about, guess = speed.work.about()
        long = f"{about} {usual} ({ends}{guess})"
    ruling = _work_ruling(words, speed.unit, likely, way)
    return finding(
        ruling,
        needs=words.limit,
        has=likely,
        unit=speed.unit,
        how=speed.how if speed.work is None else None,
        remedy=words.faster if ruling.outcome is Outcome.WARN else None,
        long=long,
    )


def _is_on_cpu(question: Question, placed: Needs, machine: Machine) -> bool:
    """Whether no GPU computes it, not even one that shares the RAM."""
    if question.runtime is not None and question.runtime.gpus.unused:
        return True
    has_shared = any(card.unified for card in machine.accelerators or ())
    return placed.placement == "host" and not has_shared


def _work_ruling(words: WorkWords, unit: str, likely: float | None, way: str) -> Ruling:
    """`way`: how parts of the model come to a GPU in turn, "processor" without one; "": in it."""
    if words.what is not None and words.on_cpu is None and way:
        is_video = way == "processor" and unit == "seconds_per_video"
        takes_hours = is_video if likely is None else likely >= _HOURS_SECONDS
        code = "speed-hours" if takes_hours else words.code
        return warning(code, way, what=words.what)
    if likely is None and words.on_cpu is not None:
        return warning(words.code, "unknown-on-cpu", what=words.on_cpu)
    if likely is None:
        return undecided("speed-not-known")
    if _is_beyond(likely, words.limit, unit):
        return warning(words.code, "work")
    return passing("speed-comfortable", "work")


def _is_beyond(likely: float, limit: float, unit: str) -> bool:
    """Longer than the limit in seconds, or fewer than so many tokens or documents a second."""
    return likely > limit if unit.startswith("seconds") else likely < limit


# ------------------------------------------------------------------ what is slow


def is_too_slow(judged: Judged) -> bool:
    """Likely below the wanted pace, or so slow that its finding warns."""
    pace = judged.speed.judged if judged.speed is not None else None
    if pace is not None:
        wanted = judged.question.workload.min_tokens_per_second
        if wanted is None:
            wanted = DEFAULT_MIN_TOKENS_PER_SECOND
        return units.is_slower(pace.likely, wanted)
    found = judged.finding("speed")
    if found is None:
        return False
    if found.code == "speed-hours":
        return True
    if not isinstance(found.needs, int | float):
        return False
    if not isinstance(found.has, int | float):
        return False
    return _is_beyond(found.has, found.needs, found.unit or "")


def is_slow(judged: Judged) -> bool:
    """Text likely comes more slowly than was wanted, or other work takes minutes to days."""
    found = judged.finding("speed")
    has_text_pace = judged.speed is not None and judged.speed.decode is not None
    if found is None or has_text_pace:
        return is_too_slow(judged)
    return found.code == "speed-slow" or is_slow_picture(judged)


def lacks_pace_of_users(judged: Judged) -> bool:
    """Whether text for several users was asked for, and what each of them gets is not known."""
    workload = judged.question.workload
    if workload.parallel == 1 or workload.task != "generate":
        return False
    if judged.question.spec.modality not in GENERATING:
        return False
    return judged.speed is None or judged.speed.judged is None


def lacks_pace(judged: Judged) -> bool:
    """Whether nothing tells how fast it runs here."""
    speed = judged.speed
    return speed is None or (speed.judged is None and speed.work is None)


def is_slow_picture(judged: Judged) -> bool:
    """On a CPU, or with every layer moved to a GPU at each step: many times as long as on a GPU."""
    if judged.has("speed-hours"):
        return True
    return judged.offload != "model" and judged.has("speed-picture")
