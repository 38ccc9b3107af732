"""Is the program there, does this processor run it, and would it be as fast as is wanted?

- `cpu_check` holds a processor against what the builds of a program ask of it.
- `runtime_check` says whether a program loads the model, and whether it is installed.
- `speed_check` holds the pace of text against the pace that is wanted, `work_check` that of
  pictures, recordings, documents and training against a limit of findings.toml.
- `is_slow` and its neighbours ask a judged model how its pace was judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec_values import GENERATING
from ...core import units
from ...core.records import Record
from ...core.workload import (
    ANSWER_TOKENS,
    DEFAULT_CONTEXT_TOKENS,
    DEFAULT_MIN_TOKENS_PER_SECOND,
    READING_TOKENS_PER_SECOND,
)
from ...machine.record import BRIEFLY, Machine, PresentRuntime
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
    demand = _CpuDemand(needs=needs, machine=machine, runtime=runtime, on_gpu=on_gpu)
    ruling = demand.ruling()
    found = finding(
        ruling,
        builder=runtime.name if runtime else "what the spec states",
        processor=machine.architecture,
        needs=demand.needed_words(),
        has=demand.processor_words(),
    )
    guesses = []
    if "architecture" in machine.assumed:
        guesses.append("architecture")
    if demand.assumes_sets and ruling.code != "cpu-no-build":
        guesses.append("instruction sets")
    if not guesses:
        return found
    assumed = warning("cpu-assumed", stated=found.reason, facts=guesses)
    return finding(assumed, needs=found.needs, has=found.has)


class _CpuDemand(Record):
    """What the builds of a program ask of a machine's processor.

    `runtime` is None for a model whose needs its spec states alone. `on_gpu`: see `cpu_check`.
    """

    needs: CpuNeed
    machine: Machine
    runtime: RuntimeSpec | None
    on_gpu: bool

    @property
    def _processor(self) -> str:
        """The architecture of the processor; "" where it was not read."""
        return self.machine.architecture or ""

    @property
    def required(self) -> Sequence[str]:
        """The instruction sets without which the build for this processor crashes."""
        return self.needs.instruction_sets.get(self._processor, ())

    @property
    def recommended(self) -> Sequence[str]:
        """The instruction sets without which that build is slow here."""
        if self.on_gpu:
            return ()
        return self.needs.recommended.get(self._processor, ())

    @property
    def assumes_sets(self) -> bool:
        """Whether the processor is only assumed to have the sets."""
        if "instruction_sets" not in self.machine.assumed:
            return False
        return bool(self.required or self.recommended)

    def needed_words(self) -> str | None:
        """The processor where a build suits it, else all that have a build, and the sets."""
        suiting = self.needs.architectures
        if self._processor in suiting:
            suiting = (self._processor,)
        return ", ".join((*suiting, *self.required)) or None

    def processor_words(self) -> str | None:
        """The processor, with those of the sets that it has; None where it was not read."""
        if not self._processor:
            return None
        there = self.machine.instruction_sets or ()
        words = [self._processor]
        for name in (*self.required, *self.recommended):
            if name in there:
                words.append(name)
        return ", ".join(words)

    def ruling(self) -> Ruling:
        """Whether there is a build for the processor, then whether that build runs well on it."""
        ruling = self._build_ruling() or self._sets_ruling()
        if self.runtime is None or self.on_gpu:
            return ruling
        crashing = self.runtime.crashing_sets(self.machine.instruction_sets)
        if crashing and ruling.outcome in (Outcome.PASS, Outcome.WARN):
            remedy = self.runtime.platforms.crash_remedy
            return warning("cpu-crashes", remedy=remedy, sets=crashing)
        return ruling

    def _build_ruling(self) -> Ruling | None:
        """That no build is for this processor, or that nobody knows; None where one is."""
        covered = self.needs.architectures
        if not self._processor:
            if not covered and not self.needs.instruction_sets:
                return None
            why = self.machine.why_unread("architecture")
            return undecided("cpu-unread", why=why)
        if not covered or self._processor in covered:
            return None
        if self.runtime is None:
            return failing("cpu-no-build", remedy=other_runtime(None))
        if _Program(runtime=self.runtime, machine=self.machine).is_installed:
            return None
        # the runtime's finding says what is known of other systems, of which the processor is a
        # part
        if self.runtime.platforms.elsewhere:
            return failing("cpu-no-build", "elsewhere", covered=covered)
        return failing("cpu-no-build", remedy=other_runtime(self.runtime))

    def _sets_ruling(self) -> Ruling:
        """Whether the processor has the sets without which a build crashes or is slow."""
        machine = self.machine
        asked = {*self.required, *self.recommended}
        if machine.instruction_sets is None and asked:
            why = machine.why_unread("instruction_sets")
            return undecided("cpu-unread", "sets", why=why)
        asked.difference_update(machine.instruction_sets or ())
        asked.difference_update(_COMMON_SETS.get(self._processor, ()))
        unread = _unread_sets(machine)
        perhaps = "instruction_sets" in machine.assumed
        missing = [name for name in self.required if name in asked]
        lacking = [name for name in missing if name not in unread]
        if lacking:
            return failing("cpu-lacks-instructions", perhaps=perhaps, missing=lacking)
        if missing:
            why = machine.why_unread(f"instruction_sets.{missing[0]}")
            return undecided("cpu-unread", "set", why=why, sets=missing)
        slowing = [name for name in self.recommended if name in asked - unread]
        if slowing:
            return warning("cpu-slow", perhaps=perhaps, missing=slowing)
        return passing("cpu-suits")


def _unread_sets(machine: Machine) -> set[str]:
    """Instruction sets of which the system does not tell whether they are there."""
    names = set()
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
        program = _Program(runtime=runtime, machine=machine)
        return finding(_runtime_ruling(question, program), needs=runtime.name)
    if question.requires_runtime:
        return finding(undecided("runtime-any", "required"))
    return finding(passing("runtime-any"))


def _runtime_ruling(question: Question, program: _Program) -> Ruling:
    """Whether the program loads the model, has a build, is there and is new enough."""
    why_not = question.why_not_loaded
    if why_not is not None:
        remedy = question.load_remedy
        if question.is_untold:
            return undecided("runtime-untold", remedy=remedy, why=why_not)
        return failing("runtime-cannot-load", remedy=remedy, why=why_not)
    if not program.has_build:
        return program.no_build()
    installed = program.installed()
    if question.requires_runtime and installed is None:
        return program.not_found()
    machine = program.machine
    if machine.platform in program.runtime.platforms.big_endian_systems:
        return warning("runtime-other-byte-order", processor=machine.architecture)
    # files of one's own: a model of the catalogue was looked at
    if question.local_files and question.unfamiliar is not None:
        return warning("runtime-unfamiliar", architecture=question.unfamiliar)
    if installed is None:
        return program.to_be_installed()
    return _version_ruling(question, program, installed.version)


class _Program(Record):
    """A program, and the machine that it is to run on."""

    runtime: RuntimeSpec
    machine: Machine

    def installed(self) -> PresentRuntime | None:
        """The program as it was found on the machine; None where it was not found."""
        for present in self.machine.runtimes or ():
            if present.id == self.runtime.id:
                return present
        return None

    @property
    def is_installed(self) -> bool:
        """Whether it was found on a system that it is judged on, except for 32-bit systems."""
        if self.machine.architecture in _NARROW or self.runtime.platforms.elsewhere:
            return False
        return self.machine.system in self._systems() and self.installed() is not None

    @property
    def has_build(self) -> bool:
        """Whether it has a build for the system and processor, or was made for them here."""
        if self.is_unpublished or self.is_installed:
            return True
        if not self._is_for_system:
            return False
        if not self.machine.system or not self.machine.architecture:
            return True
        return self.machine.platform in self.runtime.platforms.systems

    @property
    def is_unpublished(self) -> bool:
        """Whether one has to build it from source here."""
        return self.machine.platform in self.runtime.platforms.from_source

    @property
    def _is_for_system(self) -> bool:
        """Whether it has a build for the system, on whatever processor."""
        systems = self._systems()
        if self.machine.system is None:
            return bool(systems)
        return self.machine.system in systems

    def _systems(self) -> set[str]:
        """The systems that it has a build for, on whatever processor."""
        platforms = self.runtime.platforms.systems
        return {platform.partition("-")[0] for platform in platforms}

    def _platform_words(self) -> str:
        return f"{self.machine.system} on {self.machine.architecture}"

    def no_build(self) -> Ruling:
        """That there is none for the system, or none for its processor."""
        elsewhere = self.runtime.platforms.elsewhere
        has = where = self.machine.system
        if self._is_for_system:
            has = self.machine.platform
            where = self._platform_words()
        return failing(
            "runtime-no-build",
            "elsewhere" if elsewhere else "",
            has=has,
            where=where,
            why=elsewhere,
            remedy=other_runtime(self.runtime),
        )

    def to_be_installed(self) -> Ruling:
        """A program to install, which passes unless it must be built from source."""
        figures = self._absent_figures()
        if self.is_unpublished:
            return warning(self._absent_code(), **figures)
        return passing(self._absent_code(), **figures)

    def not_found(self) -> Ruling:
        """A program that must be installed already, and was not found."""
        figures = self._absent_figures()
        figures["required"] = True
        if self.machine.runtimes is not None:
            return failing(self._absent_code(), **figures)
        search = self.machine.why_unread("runtimes").remedy
        if search is not None:
            figures["remedy"] = search
        return undecided(self._absent_code(), **figures)

    def _absent_code(self) -> str:
        if self.machine.runtimes is None:
            return "runtime-not-searched"
        return "runtime-not-installed"

    def _absent_figures(self) -> Figures:
        unpublished = self._platform_words() if self.is_unpublished else None
        return {
            "machine": self.machine.name,
            "unpublished": unpublished,
            "remedy": self._install_remedy(),
        }

    def _install_remedy(self) -> str | None:
        """How to install it on this machine; None where no source says it."""
        if self.is_unpublished:
            return phrase("install/source", page=self.runtime.platforms.source_build)
        line = self._install_line()
        if line.startswith("# "):
            return line.removeprefix("# ")
        return phrase("install", line=line) if line else None

    def _install_line(self) -> str:
        """The first program among the lines to type, else the first comment; "" for none."""
        lines = install_lines(self.runtime, self._install_keys())
        comments = []
        for line in lines:
            if not line.startswith("#"):
                return line
            comments.append(line.removeprefix("# "))
        if not comments:
            return ""
        # a comment that ends in a colon has its command in the next
        count = 2 if comments[0].endswith(":") else 1
        return f"# {' '.join(comments[:count])}"

    def _install_keys(self) -> list[str]:
        """Keys of the lines to type, from those of its GPUs' only maker to the system's."""
        system = self.machine.system or "linux"
        cards = self.machine.cards
        vendors = {card.vendor for card in cards}
        keys = []
        if len(vendors) == 1:
            keys.append(f"{system}-{vendors.pop()}")
        if cards:
            keys.append(f"{system}-accelerator")
        return [*keys, system]

    def update(self, first: str) -> Figures:
        """The first version that loads the model, and how to get it."""
        packages = self.runtime.installation.distributions
        line = self._install_line().removeprefix("# ")
        if packages:
            remedy = f"pip install --upgrade '{packages[0]}>={first}'"
        elif line:
            remedy = phrase("install/again", line=line)
        else:
            remedy = phrase("install/update", first=first)
        return {"first": first, "remedy": remedy}


def install_lines(runtime: RuntimeSpec, install_keys: Sequence[str]) -> tuple[str, ...]:
    """What to type to get the runtime, by the first of the keys, a system or SYSTEM-VENDOR."""
    lines = runtime.installation.lines
    for key in (*install_keys, "any"):
        if key in lines:
            return lines[key]
    return ()


def other_runtime(runtime: RuntimeSpec | None) -> str:
    """What to do where a runtime has no build for the machine's system and processor."""
    if runtime is None or "text" not in runtime.modalities:
        return phrase("other-runtime")
    # GGUF is what llama.cpp loads
    if "gguf" in runtime.formats:
        return phrase("other-runtime")
    return phrase("other-runtime/gguf")


def _version_ruling(
    question: Question, program: _Program, version: str | None
) -> Ruling:
    """Whether the program that is there is new enough for the model."""
    model = question.spec.architecture
    name = ""
    if model is not None and not question.spec.safety.remote_code:
        name = model.row
    runtime = program.runtime
    figures: Figures = {
        "has": f"{runtime.name} {version}" if version else runtime.name,
        "version": version,
        "architecture": name,
    }
    first = runtime.versions.minimum.get(name, "")
    if is_older(version, first):
        return warning("runtime-too-old", **program.update(first), **figures)
    first = runtime.versions.minimum.get("commands", "")
    if is_older(version, first):
        update = program.update(first)
        return warning("runtime-too-old", "command", **update, **figures)
    first = runtime.versions.builds.get(name, "")
    if first and not _is_build_since(version or "", first):
        update = program.update(first)
        return warning("runtime-unfamiliar", "build", **update, **figures)
    return passing("runtime-present", **figures)


def _is_build_since(version: str, first: str) -> bool:
    """Whether the version is known to be that build of llama.cpp or a later one."""
    # b6641, 6641, 6641-1 or 0.0.6641
    build = re.fullmatch(r"(?:b|0\.0\.)?(\d{3,6})(?:[-_]\d{1,3})?", version)
    return build is not None and int(build[1]) >= int(first.removeprefix("b"))


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
    wanted = question.workload.min_tokens_per_second
    assert wanted is not None, "text has a default"
    in_ram = placed.placement != "accelerator"
    text = _TextPace(
        question=question,
        speed=speed,
        pace=speed.judged,
        wanted=wanted,
        is_assumed=in_ram and not _PACE_SETTING.isdisjoint(machine.assumed),
    )
    figures = text.figures()
    if in_ram and text.is_wide:
        figures["measure"] = how_to_measure(machine)
    return finding(text.ruling(), **figures)


class _TextPace(Record):
    """The pace at which a model writes, and the tokens a second that are wanted of it.

    `pace` is what each user gets, None where nobody knows. `is_assumed`: it rests on facts of the
    machine that are assumed.
    """

    question: Question
    speed: Speed
    pace: Range | None
    wanted: float
    is_assumed: bool

    @property
    def is_wide(self) -> bool:
        """Whether a measurement would narrow its range."""
        return self.pace is not None and self.pace.high > _WIDE_PACE * self.pace.low

    def ruling(self) -> Ruling:
        """Too slow by the fast end, then perhaps too slow, then slower than one reads."""
        pace = self.pace
        is_stated = self.question.speed_stated
        if not self.wanted:
            return passing("speed-any", "" if pace is not None else "unknown")
        if pace is None:
            # a stated minimum that is left open decides
            return undecided("speed-no-basis" if is_stated else "speed-not-known")
        if units.is_slower(pace.high, self.wanted):
            return failing("speed-too-slow")
        if units.is_slower(pace.likely, self.wanted):
            return undecided("speed-close") if is_stated else warning("speed-slow")
        slowest = self._slower_when_full()
        if slowest is not None:
            return warning("speed-when-full", full=units.speed(slowest))
        if units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
            return warning("speed-slow", "reading")
        if self.is_assumed:
            return warning("speed-assumed")
        return passing("speed-comfortable")

    def _slower_when_full(self) -> float | None:
        """The pace at the end of a long context, where less is than was wanted; else None."""
        context_tokens = self.question.workload.context_tokens or 0
        if self.speed.each_of > 1 or context_tokens <= DEFAULT_CONTEXT_TOKENS:
            return None
        full = self.speed.full_context_tokens_per_second
        if full is None or not units.is_slower(full, self.wanted):
            return None
        return full

    def figures(self) -> Figures:
        """The figures of every branch; those of the pace only where one is known."""
        users = self.speed.each_of
        waiting = self.speed.waiting
        figures: Figures = {
            "needs": self.wanted,
            "unit": "tokens_per_second",
            "how": self._why_no_shared_pace() or self.speed.how,
            "wanted": units.stated(self.wanted),
            "stated": self.question.speed_stated,
            "each": f"{users:,}" if users > 1 else None,
            "all": users > 1 and not waiting,
            "at_once": f"{users - waiting:,}" if waiting else None,
            "context": self.question.workload.context_tokens,
        }
        if self.pace is not None:
            fastest = self.pace.high
            figures |= {
                "has": self.pace.likely,
                "short": _lacking(fastest, self.wanted),
                "pace": _pace_words(self.pace),
                "assumed": self.is_assumed,
                "answer": ANSWER_TOKENS / fastest if fastest else None,
                "reading": f"{READING_TOKENS_PER_SECOND:g}",
                "measure": None,
            }
        return figures

    def _why_no_shared_pace(self) -> str | None:
        """Why a pace of one sequence says nothing of several; None where theirs is known."""
        if self.pace is not None or self.speed.decode is None:
            return None
        workload = self.question.workload
        drafted = " with a draft" if workload.draft is not None else ""
        users = f"{workload.parallel:,} sequences at once{drafted}"
        return f"the pace of {users} cannot be estimated"


def _pace_words(pace: Range) -> str:
    """`about 7 tokens/s (5 to 10 tokens/s)`; the range only where its figures differ."""
    about, guess = pace.about()
    likely = units.speed(pace.likely)
    words = f"{about} {likely}"
    if units.speed(pace.low, pace.high) == likely:
        return words
    return f"{words} ({units.pace(pace.low, pace.high)}{guess})"


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
    """How to measure the memory bandwidth.

    None where it is known, not just at present, or cannot be measured.
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
    way = placed.offload or ""
    if not way and _is_on_cpu(question, placed, machine):
        way = "processor"
    words = _words_for(question, speed.unit, way)
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
    if placed.placement != "host":
        return False
    return not any(card.unified for card in machine.cards)


def _words_for(question: Question, unit: str, way: str) -> WorkWords:
    """The limit of that work, and its words; `way` as in `_work_ruling`."""
    words = words_of_work(unit)
    dataset_tokens = question.workload.dataset_tokens
    if unit == TRAINED and dataset_tokens is not None:
        words = words.replace(limit=dataset_tokens / _NIGHT_SECONDS)
    parameters = question.spec.parameters.total or 0
    if way == "processor" and parameters >= words.on_cpu_from_parameters:
        return words
    return words.replace(on_cpu=None)


def _work_ruling(words: WorkWords, unit: str, likely: float | None, way: str) -> Ruling:
    """`way`: how parts of the model come to a GPU in turn, "processor" without one; "": in it."""
    if words.on_cpu is None:
        if words.what is not None and way:
            is_long = _takes_hours(unit, likely, way)
            code = "speed-hours" if is_long else words.code
            return warning(code, way, what=words.what)
        if likely is None:
            return undecided("speed-not-known")
    if likely is None:
        return warning(words.code, "unknown-on-cpu", what=words.on_cpu)
    if _is_beyond(likely, words.limit, unit):
        return warning(words.code, "work")
    return passing("speed-comfortable", "work")


def _takes_hours(unit: str, likely: float | None, way: str) -> bool:
    """Whether one waits so long that the answer leads with it, as for a video on a CPU."""
    if likely is None:
        return way == "processor" and unit == "seconds_per_video"
    return likely >= _HOURS_SECONDS


def _is_beyond(likely: float, limit: float, unit: str) -> bool:
    """Longer than the limit in seconds, or fewer than so many tokens or documents a second."""
    return likely > limit if unit.startswith("seconds") else likely < limit


# ------------------------------------------------------------------ what is slow


def is_too_slow(judged: Judged) -> bool:
    """Likely below the wanted pace, or so slow that its finding warns."""
    pace = judged.users_pace
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
    has_text_pace = judged.speed is not None and judged.speed.decode is not None
    if has_text_pace or judged.finding("speed") is None:
        return is_too_slow(judged)
    return judged.has("speed-slow") or is_slow_picture(judged)


def lacks_pace_of_users(judged: Judged) -> bool:
    """Whether text for several users was asked for, and what each of them gets is not known."""
    workload = judged.question.workload
    if workload.parallel == 1 or workload.task != "generate":
        return False
    if judged.question.spec.modality not in GENERATING:
        return False
    return judged.users_pace is None


def lacks_pace(judged: Judged) -> bool:
    """Whether nothing tells how fast it runs here."""
    if judged.speed is None:
        return True
    return judged.speed.judged is None and judged.speed.work is None


def is_slow_picture(judged: Judged) -> bool:
    """On a CPU, or with every layer moved to a GPU at each step: many times as long as on a GPU."""
    if judged.has("speed-hours"):
        return True
    return judged.offload != "model" and judged.has("speed-picture")
