"""The checks whether the program is installed, and whether it runs on this processor.

`cpu_check` compares a processor with the requirements of a program's builds. `runtime_check` says
whether a program loads the model, and whether it is installed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ...catalogue.runtime import RuntimeSpec
from ...core.records import Record
from ...core.workload import FLAGS
from ...machine.instruction_sets import sets_left_open
from ...machine.record import Machine, PresentRuntime
from ...needs.records import CpuNeed
from ..record import Question
from . import (
    Figures,
    Finding,
    Outcome,
    Ruling,
    failing,
    finding,
    passing,
    phrase,
    undecided,
    warning,
)

# instruction sets that every x86_64 processor has, named or not (x86-64 psABI, micro-architecture
# levels)
_COMMON_SETS = {"x86_64": ("sse", "sse2")}
# 32-bit systems cannot map a file as large as most models' files
_NARROW = ("i686", "armv7l", "armv6l")


# ------------------------------------------------------------------ the processor


def cpu_check(
    needs: CpuNeed,
    machine: Machine,
    runtime: RuntimeSpec | None,
    *,
    on_gpu: bool = False,
) -> Finding:
    """Return the finding whether a build of the runtime exists for the processor, with instruction
    sets that the processor has.

    `on_gpu`: a GPU computes all of the model, so missing instruction sets slow nothing down.
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
    is_decided = ruling.outcome in (Outcome.UNKNOWN, Outcome.FAIL)
    if demand.assumes_sets and not is_decided:
        guesses.append("instruction sets")
    if not guesses:
        return found
    assumed = warning("cpu-assumed", stated=found.reason, facts=guesses)
    return finding(assumed, needs=found.needs, has=found.has)


class _CpuDemand(Record):
    """The demands of a runtime's builds on a machine's processor.

    `runtime` is None for a model whose needs only its spec states. `on_gpu`: see `cpu_check`.
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
        """Whether the processor is only assumed to have the instruction sets."""
        if "instruction_sets" not in self.machine.assumed:
            return False
        return bool(self.required or self.recommended)

    def needed_words(self) -> str | None:
        """The processor where a build suits it, else all processors that have a build, followed by
        the required instruction sets.
        """
        suiting = self.needs.architectures
        if self._processor in suiting:
            suiting = (self._processor,)
        return ", ".join((*suiting, *self.required)) or None

    def processor_words(self) -> str | None:
        """The processor with the demanded instruction sets that it has; None where the processor
        was not read.
        """
        if not self._processor:
            return None
        there = self.machine.instruction_sets or ()
        words = [self._processor]
        for name in (*self.required, *self.recommended):
            if name in there:
                words.append(name)
        return ", ".join(words)

    def ruling(self) -> Ruling:
        """The ruling whether a build for the processor exists, then whether that build runs well on
        the processor.
        """
        ruling = self._build_ruling() or self._sets_ruling()
        if ruling.outcome in (Outcome.UNKNOWN, Outcome.FAIL):
            return ruling
        if self.runtime is None or self.on_gpu:
            return ruling
        crashing = self.runtime.crashing_sets(self.machine.instruction_sets)
        if not crashing:
            return ruling
        remedy = self.runtime.platforms.crash_remedy
        return warning("cpu-crashes", remedy=remedy, sets=crashing)

    def _build_ruling(self) -> Ruling | None:
        """The ruling that no build exists for the processor, or that nobody knows; None where one
        exists.
        """
        covered = self.needs.architectures
        if not self._processor:
            if covered or self.needs.instruction_sets:
                why = self.machine.why_unread("architecture")
                return undecided("cpu-unread", why=why)
            return None
        if not covered:
            return None
        if self._processor in covered:
            return None
        assert self.runtime is not None, "only its builds cover processors"
        if _Program(runtime=self.runtime, machine=self.machine).is_installed:
            return None
        # the runtime's finding says what is known of other systems; the processor is part of that
        # answer
        if self.runtime.platforms.elsewhere:
            return failing("cpu-no-build", "elsewhere", covered=covered)
        return failing("cpu-no-build", remedy=other_runtime(self.runtime))

    def _sets_ruling(self) -> Ruling:
        """The ruling whether the processor has the instruction sets without which a build crashes
        or is slow.
        """
        machine = self.machine
        asked = {*self.required, *self.recommended}
        if not asked:
            return passing("cpu-suits")
        if machine.instruction_sets is None:
            why = machine.why_unread("instruction_sets")
            return undecided("cpu-unread", "sets", why=why)
        common = _COMMON_SETS.get(self._processor, ())
        unseen = asked.difference(machine.instruction_sets, common)
        missing = unseen - _unread_sets(machine)
        left_open = sets_left_open(machine, unseen)
        surely_missing = missing - left_open
        lacking = [name for name in self.required if name in surely_missing]
        if lacking:
            return self._lacking_ruling(lacking)
        untold = [name for name in self.required if name in unseen]
        if untold:
            if left_open.issuperset(untold):
                return undecided("cpu-unread", "series", sets=untold)
            why = machine.why_unread(f"instruction_sets.{untold[0]}")
            return undecided("cpu-unread", "set", why=why, sets=untold)
        slowing = [name for name in self.recommended if name in missing]
        if slowing:
            perhaps = "instruction_sets" in machine.assumed
            return warning("cpu-slow", perhaps=perhaps, missing=slowing)
        return passing("cpu-suits")

    def _lacking_ruling(self, lacking: Sequence[str]) -> Ruling:
        """The ruling for a processor without these required instruction sets: the build crashes, or
        has no kernels for the quantization.
        """
        kernels = self.needs.kernels
        of_kernels: Sequence[str] = ()
        if kernels is not None:
            of_kernels = kernels.instruction_sets.get(self._processor, ())
        of_build = [name for name in lacking if name not in of_kernels]
        if of_build or kernels is None:
            return failing("cpu-lacks-instructions", missing=of_build)
        return failing(
            "cpu-lacks-instructions",
            "kernels",
            missing=lacking,
            quantization=kernels.quantization,
            source=kernels.source,
        )


def _unread_sets(machine: Machine) -> set[str]:
    """The instruction sets of which the system does not tell whether the processor has them."""
    names = set()
    for entry in machine.unread:
        kind, _, name = entry.fact.partition(".")
        if kind == "instruction_sets":
            names.add(name)
    return names


# ------------------------------------------------------------------ the program


def runtime_check(question: Question, machine: Machine) -> Finding:
    """Return the finding whether a runtime loads the model, is installed where it must be, and is
    new enough.
    """
    runtime = question.runtime
    if runtime is not None:
        program = _Program(runtime=runtime, machine=machine)
        return finding(_runtime_ruling(question, program), needs=runtime.name)
    if question.requires_runtime:
        return finding(undecided("runtime-any", "required"))
    return finding(passing("runtime-any"))


def _runtime_ruling(question: Question, program: _Program) -> Ruling:
    """The ruling whether the runtime loads the model, has a build, is installed and is new
    enough.
    """
    refusal = question.refusal
    if refusal is not None:
        if refusal.is_untold:
            return undecided("runtime-untold", remedy=refusal.remedy, why=refusal.why)
        return failing("runtime-cannot-load", remedy=refusal.remedy, why=refusal.why)
    if not program.has_build:
        remedy = what_runtime_follows(question) or other_runtime(program.runtime)
        return program.no_build(remedy)
    installed = installed_on(program.machine, program.runtime)
    if question.requires_runtime and installed is None:
        return program.absent(is_required=True)
    machine = program.machine
    if machine.platform in program.runtime.platforms.big_endian_systems:
        return warning("runtime-other-byte-order", processor=machine.architecture)
    # the user's own files: models of the catalogue were checked for this
    undescribed = question.undescribed_architecture
    if question.loads_named_files and undescribed is not None:
        return warning("runtime-unfamiliar", architecture=undescribed)
    if installed is None:
        return program.absent(is_required=False)
    return _version_ruling(question, program, installed.version)


def installed_on(machine: Machine, runtime: RuntimeSpec) -> PresentRuntime | None:
    """The runtime as it was found on the machine; None where it was not found."""
    for present in machine.runtimes or ():
        if present.id == runtime.id:
            return present
    return None


class _Program(Record):
    """A runtime, and the machine on which it is to run."""

    runtime: RuntimeSpec
    machine: Machine

    @property
    def is_installed(self) -> bool:
        """Whether the runtime was found on a system on which it is judged; False on 32-bit
        systems.
        """
        if self.machine.architecture in _NARROW:
            return False
        if self.runtime.platforms.elsewhere:
            return False
        if self.machine.system not in self._systems:
            return False
        return installed_on(self.machine, self.runtime) is not None

    @property
    def has_build(self) -> bool:
        """Whether the runtime has a build for the system and processor, or was built for them
        here.
        """
        if self.is_from_source or self.is_installed:
            return True
        if not self._is_for_system:
            return False
        if not self.machine.system:
            return True
        if not self.machine.architecture:
            return True
        return self.machine.platform in self.runtime.platforms.systems

    @property
    def is_from_source(self) -> bool:
        """Whether the runtime has to be built from source for the system and processor."""
        return self.machine.platform in self.runtime.platforms.from_source

    @property
    def _is_for_system(self) -> bool:
        """Whether the runtime has a build for the system, on any processor."""
        if self.machine.system is None:
            return bool(self._systems)
        return self.machine.system in self._systems

    @property
    def _systems(self) -> set[str]:
        """The systems for which the runtime has a build, on any processor."""
        platforms = self.runtime.platforms.systems
        return {platform.partition("-")[0] for platform in platforms}

    def _platform_words(self) -> str:
        return f"{self.machine.system} on {self.machine.architecture}"

    def no_build(self, remedy: str) -> Ruling:
        """The ruling that no build exists for the system, or none for its processor."""
        elsewhere = self.runtime.platforms.elsewhere
        has = self.machine.system
        where = has
        if self._is_for_system:
            has = self.machine.platform
            where = self._platform_words()
        return failing(
            "runtime-no-build",
            "elsewhere" if elsewhere else "",
            has=has,
            where=where,
            why=elsewhere,
            remedy=remedy,
        )

    def absent(self, *, is_required: bool) -> Ruling:
        """The ruling for a runtime that was not found. It passes where the runtime need not be
        installed already, unless it must be built from source.
        """
        is_searched = self.machine.runtimes is not None
        code = "runtime-not-installed" if is_searched else "runtime-not-searched"
        remedy = self._install_remedy()
        ruling = passing
        if is_required and is_searched:
            ruling = failing
        elif is_required:
            ruling = undecided
            remedy = self.machine.why_unread("runtimes").remedy or remedy
        elif self.is_from_source:
            ruling = warning
        return ruling(
            code,
            machine=self.machine.name,
            unpublished=self._platform_words() if self.is_from_source else None,
            required=is_required,
            remedy=remedy,
        )

    def _install_remedy(self) -> str | None:
        """The remedy that says how to install the runtime on the machine; None where no source
        tells it.
        """
        if self.is_from_source:
            return phrase("install/source", page=self.runtime.platforms.source_build)
        line = self._install_line()
        if line.startswith("# "):
            return line.removeprefix("# ")
        return phrase("install", line=line) if line else None

    def _install_line(self) -> str:
        """The first command among the install lines, else the first comment; "" for none."""
        makers = {card.vendor for card in self.machine.cards}
        lines = install_lines(self.runtime, self.machine, makers)
        for line in lines:
            if not line.startswith("#"):
                return line
        if not lines:
            return ""
        comment = lines[0]
        if comment.endswith(":") and len(lines) > 1:
            # the command of this comment stands on the next line
            command = lines[1].removeprefix("# ")
            comment = f"{comment} {command}"
        return comment

    def update(self, first: str) -> Figures:
        """The figures of an update: the first version that loads the model, and the remedy that
        gets it.
        """
        packages = self.runtime.installation.distributions
        line = self._install_line().removeprefix("# ")
        if packages:
            remedy = f"pip install --upgrade '{packages[0]}>={first}'"
        elif line:
            remedy = phrase("install/again", line=line)
        else:
            remedy = phrase("install/update", first=first)
        return {"first": first, "remedy": remedy}


def install_lines(
    runtime: RuntimeSpec,
    machine: Machine,
    makers: Collection[str],
) -> tuple[str, ...]:
    """The command lines that install the runtime on the machine, for GPUs of these makers: by
    SYSTEM-ARCHITECTURE-MAKER or SYSTEM-MAKER of an only maker, else SYSTEM-accelerator, or SYSTEM.
    """
    lines = runtime.installation.lines
    system = machine.system or "linux"
    keys = [system, "any"]
    if makers:
        keys.insert(0, f"{system}-accelerator")
    if len(makers) == 1:
        (maker,) = makers
        keys[:0] = [f"{system}-{machine.architecture}-{maker}", f"{system}-{maker}"]
    for key in keys:
        if key in lines:
            return lines[key]
    return ()


def what_runtime_follows(question: Question) -> str | None:
    """The remedy where nobody named the runtime, and it was taken for stated options or for the
    number of users: to leave these out. None for other questions.
    """
    flags = question.runtime_follows
    if not flags:
        return None
    return phrase("without-stated", flags=flags, users=question.lets_users_wait)


def what_chose_runtime(question: Question) -> tuple[str, ...]:
    """The options without which another runtime may be taken: --runtime, else those for whose sake
    this one was taken. Empty where no option chose it.
    """
    if question.stated.runtime is not None:
        return (FLAGS["runtime"],)
    return question.runtime_follows


def other_runtime(runtime: RuntimeSpec) -> str:
    """The remedy where a runtime has no build for the machine's system and processor."""
    if "text" not in runtime.modalities:
        return phrase("other-runtime")
    # llama.cpp loads GGUF files
    if "gguf" in runtime.formats:
        return phrase("other-runtime")
    return phrase("other-runtime/gguf")


def _version_ruling(
    question: Question,
    program: _Program,
    version: str | None,
) -> Ruling:
    """The ruling whether the installed runtime is new enough for the model."""
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
    minimum = runtime.versions.minimum
    for key, variant in ((name, ""), ("commands", "command")):
        first = minimum.get(key, "")
        if is_older(version, first):
            figures |= program.update(first)
            return warning("runtime-too-old", variant, **figures)
    first = runtime.versions.builds.get(name, "")
    if first and not _is_build_since(version, first):
        figures |= program.update(first)
        return warning("runtime-unfamiliar", "build", **figures)
    return passing("runtime-present", **figures)


def _is_build_since(version: str | None, first: str) -> bool:
    """Whether the version is known to be that build of llama.cpp or a later one."""
    if version is None:
        return False
    # formats of versions: b6641, 6641, 6641-1 or 0.0.6641
    build = re.fullmatch(r"(?:b|0\.0\.)?(\d{3,6})(?:[-_]\d{1,3})?", version)
    if build is None:
        return False
    return int(build[1]) >= int(first.removeprefix("b"))


def is_older(installed: str | None, first: str) -> bool:
    """Whether the installed version is older than `first`; False too where one of them is no
    version. A development version counts as its release.
    """
    if not first:
        return False
    if installed is None:
        return False
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(installed).base_version) < Version(first)
    except InvalidVersion:
        return False
