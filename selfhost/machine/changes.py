"""What if: a machine with some facts changed, and what is assumed of one that is only planned."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from ..core import units
from ..core.errors import InputError, MachineFileError, Problem
from ..core.quantities import parse_bytes, parse_number
from ..core.records import Unread
from ..core.saying import differently, option
from . import cpus
from .gpu_names import MOST_CARDS, NamedCards, UnknownGpuError, cards_named, shown, spelled
from .gpus import vendor_of
from .record import (
    MAX_CORES,
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    MAX_TEXT,
    MIN_CORES,
    PURPOSES,
    Accelerator,
    Disk,
    Machine,
    checked_name,
    normal_architecture,
    normal_system,
    was_read_by_cores,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # one setting as it was given and its value; of `gpu` there may be several
    _Given = Sequence[tuple[str, Any]]

ARCHITECTURES = (
    "x86_64",
    "aarch64",
    "i686",
    "armv6l",
    "armv7l",
    "riscv64",
    "ppc64le",
    "s390x",
    "loongarch64",
)
SYSTEMS = ("linux", "macos", "windows")
# x86-64-v3 of the psABI, which every Core since Haswell (2013) and every Ryzen and EPYC has;
# ARMv8.0; on macOS the M1's
ASSUMED_SETS: Mapping[str, tuple[str, ...]] = {
    "x86_64": (
        "sse2",
        "ssse3",
        "sse4_1",
        "sse4_2",
        "popcnt",
        "avx",
        "f16c",
        "fma",
        "bmi1",
        "bmi2",
        "avx2",
    ),
    "aarch64": ("fp", "asimd"),
    "macos-aarch64": ("fp", "asimd", "fphp", "asimdhp", "asimddp", "atomics"),
}
# which every processor of an architecture has: x86-64 by its psABI, 64-bit Arm by AAPCS64 and as
# Linux expects it
BASELINE_SETS: Mapping[str, tuple[str, ...]] = {
    "x86_64": ("sse", "sse2"),
    "aarch64": ("fp", "asimd"),
}
# which others each brings, by Linux kernel names, where SSE3 is pni: OPTION_MASK_ISA_…_SET of
# gcc/common/config/i386/i386-common.cc and gcc/config/aarch64/aarch64-option-extensions.def (GCC
# 15)
IMPLIED_SETS: Mapping[str, tuple[str, ...]] = {
    "sse2": ("sse",), "pni": ("sse2",), "ssse3": ("pni",), "sse4_1": ("ssse3",),
    "sse4_2": ("sse4_1",), "avx": ("sse4_2",),
    "f16c": ("avx",), "fma": ("avx",), "avx2": ("avx",), "avx_vnni": ("avx2",), "avx512f": ("avx2",
    ), "avx512bw": ("avx512f",),
    "avx512cd": ("avx512f",), "avx512dq": ("avx512f",), "avx512vl": ("avx512f",),
    "avx512_vnni": ("avx512f",),
    "avx512_bf16": ("avx512bw",), "avx512_fp16": ("avx512bw",), "amx_int8": ("amx_tile",),
    "amx_bf16": ("amx_tile",),
    "asimd": ("fp",), "fphp": ("fp",), "asimdhp": ("asimd", "fphp"), "asimddp": ("asimd",),
    "i8mm": ("asimd",), "bf16": ("asimd",),
    "sve": ("asimdhp",), "sve2": ("sve",),
}  # fmt: skip
# general-purpose machines of the clouds and of CI: 16 GiB with 4 cores (AWS m7i and m8g, GitHub,
# GitLab)
ASSUMED_BYTES_PER_CORE = 4 * units.GIB
MOST_ASSUMED_CORES = 64

_NAME_LENGTH = 120


class SettingError(InputError):
    """A `--set` makes no sense; `problems` names every one that does not."""


def apply(machine: Machine, settings: Sequence[str], named_gpus: Sequence[str] = ()) -> Machine:
    """`machine` as it would be with each `key=value` of `settings`, and with the GPUs of
    `named_gpus` in place of its own, for planning. Without either it is returned as it is.

    Keys: memory, cores, disk, bandwidth (`80GB/s`, a peak; `80GB/s:measured`, what `--measure`
    would find), gpu (`24GiB`, `2x24GiB:NAME`, `24GiB:NAME:900GB/s`, `none`; several make several),
    architecture, system, instruction_sets. Names of GPUs are as `gpu_names.cards_named` reads them.
    Raises `SettingError` with every fault.
    """
    if not settings and not named_gpus:
        return machine
    problems: list[Problem] = []
    values_of_key = _values(settings, problems)
    nearest = _add_named(named_gpus, values_of_key, problems)
    if problems:
        raise SettingError(problems, nearest=nearest)
    labels = [named.label for _, named in values_of_key.get(_NAMED, ())]
    settings_words = ", ".join([*labels, *(text.strip() for text in settings)])
    changed = _changed(machine, values_of_key, settings_words)
    if "instruction_sets" in values_of_key:
        problems += _foreign_sets(changed)
    if not values_of_key.keys().isdisjoint(_OF_ONE_MAKER):
        from .impossible import impossible

        problems += impossible(changed, values_of_key, named_gpus)
    if problems:
        raise SettingError(problems)
    return planned(changed)


def _values(settings: Sequence[str], problems: list[Problem]) -> dict[str, list[tuple[str, Any]]]:
    """Each key with its settings and their values; what is wrong goes to `problems`."""
    values_of_key: dict[str, list[tuple[str, Any]]] = {}
    for text in settings:
        key, is_set, value = text.partition("=")
        key, value = key.strip().lower().replace("-", "_"), value.strip(" ")
        try:
            if key not in _SETTINGS:
                raise _unknown(key, bool(is_set))
            if not value:
                raise _Fault("has no value", f"write for example {_EXAMPLES[key]}")
            values_of_key.setdefault(key, []).append((text.strip(), _SETTINGS[key](value)))
        except _Fault as fault:
            problems.append(
                Problem(
                    file="--set",
                    key=shown(key) or None,
                    message=fault.message,
                    remedy=fault.remedy,
                )
            )
    for key, given in values_of_key.items():
        if len(given) > 1 and (key != "gpu" or any(value is None for _, value in given)):
            problems.append(
                Problem(
                    file="--set",
                    key=key,
                    message=f"is set {len(given)} times",
                    remedy="set it once",
                )
            )
    return values_of_key


def _add_named(
    names: Sequence[str],
    values_of_key: dict[str, list[tuple[str, Any]]],
    problems: list[Problem],
) -> list[str]:
    """Put the GPUs of `--gpu` beside the settings. The names that are near those not known."""
    nearest: list[str] = []
    if names and "gpu" in values_of_key:
        message = "is given, and --set gpu=… as well: both say which GPUs there are"
        problems.append(Problem(file="--gpu", message=message, remedy="leave one of them out"))
    for name in names:
        try:
            values_of_key.setdefault(_NAMED, []).append((name, cards_named(name)))
        except UnknownGpuError as error:
            problems.append(Problem(file="--gpu", message=error.message, remedy=error.remedy))
            nearest += error.nearest
    named = values_of_key.get(_NAMED, [])
    cards = [len(several.accelerators) for _, several in named]
    if len(named) > 1 and not all(cards):
        remedy = "give it alone"
        problems.append(Problem(file="--gpu", message="none is no GPU", remedy=remedy))
    if sum(cards) > MOST_CARDS:
        message = f"{sum(cards)} GPUs are more than the {MOST_CARDS} that are judged"
        problems.append(Problem(file="--gpu", message=message, remedy="name fewer"))
    return nearest


def value_of(key: str, text: str) -> Any:
    """The value of one setting, as `apply` reads it; of `gpu` a tuple of cards, which may also be
    named as by `--gpu` where they are listed. `SettingError` says what is wrong.
    """
    try:
        if key == "gpu":
            return _cards(text)
        return _SETTINGS[key](text)
    except _Fault as fault:
        problem = Problem(file="--set", key=key, message=fault.message, remedy=fault.remedy)
        raise SettingError([problem]) from None


def _cards(text: str) -> tuple[Accelerator, ...]:
    try:
        return _gpu(text) or ()
    except _Fault:
        try:
            return cards_named(text).accelerators
        except UnknownGpuError as error:
            raise _Fault(error.message, error.remedy) from None


def planned(machine: Machine) -> Machine:
    """The same machine for planning: its memory counts as a whole, and disks, cores and instruction
    sets that it lacks are assumed.

    Those that it has bring what they imply: whoever states them names the last ones.
    """
    assumed = list(machine.assumed)
    changes: dict[str, Any] = {"planning": True}
    sources = dict(machine.sources)
    if machine.disks is None:
        assumed.append("disks")
    else:
        assumed += [
            f"disks.{disk.purpose}.free_bytes" for disk in machine.disks if disk.free_bytes is None
        ]
        assumed += [f"disks.{purpose}" for purpose in PURPOSES if machine.disk_for(purpose) is None]
    if machine.instruction_sets is not None:
        changes["instruction_sets"] = with_implied(machine.instruction_sets, machine.architecture)
    elif machine.emulated_on is None and (class_sets := _class_sets(machine)) is not None:
        changes["instruction_sets"], why = class_sets
        sources["instruction_sets"] = f"assumed: {why}"
        assumed.append("instruction_sets")
    memory = machine.memory_limit_bytes or machine.memory_total_bytes
    cores = cpus.cores_in(machine) if _lacks_cores(machine) else None
    if cores is not None:
        changes |= _cores_of_name(cores)
        least, _, most = cores.physical
        why = "as its maker lists that model"
        if not cores.are_known:
            why = f"assumed: {least} to {most}, as processors of that kind have"
            assumed.append("cpu_cores_usable")
        sources |= dict.fromkeys(_cores_of_name(cores), why)
    elif machine.cpu_cores_usable is None and memory is not None:
        changes["cpu_cores_usable"] = float(
            min(MOST_ASSUMED_CORES, max(1, memory // ASSUMED_BYTES_PER_CORE))
        )
        sources["cpu_cores_usable"] = (
            f"assumed: one for each {units.binary(ASSUMED_BYTES_PER_CORE)} of memory"
        )
        assumed.append("cpu_cores_usable")
    return machine.replace(**changes, sources=sources, assumed=tuple(dict.fromkeys(assumed)))


def _lacks_cores(machine: Machine) -> bool:
    """Whether its processor's name may tell the cores that it lacks: a guest has a part of them."""
    return machine.cpu_cores_usable is None and machine.scope == "host"


def _cores_of_name(cores: cpus.Cores) -> dict[str, Any]:
    """The facts of a machine with so many."""
    facts = {"cpu_cores_physical": cores.physical[1], "cpu_cores_usable": float(cores.usable)}
    if cores.performance != cores.physical:
        facts["cpu_cores_performance"] = cores.performance[1]
    return facts


def with_implied(sets: Sequence[str], architecture: str | None) -> tuple[str, ...]:
    """Those that were named, then those that they bring and those that every processor of the
    architecture has.
    """
    every_set = [*sets, *BASELINE_SETS.get(architecture or "", ())]
    for name in every_set:
        every_set += (other for other in IMPLIED_SETS.get(name, ()) if other not in every_set)
    return tuple(dict.fromkeys(every_set))


def own_sets(sets: Sequence[str], architecture: str | None) -> tuple[str, ...]:
    """Those that a processor of the architecture may have: AVX2 is none of an Arm processor's. A
    name that no table here has may be any processor's, and one of unknown architecture have any.
    """
    others = [each for each in BASELINE_SETS if each != architecture]
    if architecture is None or len(others) == len(BASELINE_SETS):
        return tuple(sets)
    foreign = {
        name
        for other in others
        for name in sets
        if name in ASSUMED_SETS[other] or {*with_implied((name,), None)} & {*BASELINE_SETS[other]}
    }
    return tuple(name for name in sets if name not in foreign)


def _foreign_sets(machine: Machine) -> list[Problem]:
    """The sets that were set and that no processor of the machine's architecture has."""
    sets = machine.instruction_sets or ()
    own = own_sets(sets, machine.architecture)
    foreign = next((name for name in sets if name not in own), None)
    if foreign is None:
        return []
    message = f"{foreign} is no instruction set of an {machine.architecture} processor"
    remedy = "leave it out, or state the architecture too: --set architecture=…"
    return [Problem(file="--set", key="instruction_sets", message=message, remedy=remedy)]


# What every processor of its class has, by the least that `vectors` tells, and what many lack:
# every Celeron and Pentium since 2011 and every Atom since 2013; every Xeon E5 (general knowledge)
_LEAST_SETS = {
    "sse": (with_implied(("sse4_2", "popcnt"), "x86_64"), "AVX"),
    "none": (with_implied(("avx", "popcnt"), "x86_64"), "AVX2"),
}


def _class_sets(machine: Machine) -> tuple[tuple[str, ...], str] | None:
    """The instruction sets of a processor of its class, and why these; None where nothing tells."""
    architecture = machine.architecture or ""
    least = cpus.least_vectors(machine.cpu_model or "")
    if least is not None:
        common, lacking = _LEAST_SETS[least]
        return common, f"many processors of that name lack {lacking}"
    sets = ASSUMED_SETS.get(f"{machine.system}-{architecture}") or ASSUMED_SETS.get(architecture)
    why = f"what nearly every {architecture} processor in use has"
    return None if sets is None else (sets, why)


class _Change:
    """What settings change of one machine, and which facts they make meaningless."""

    def __init__(self, machine: Machine, keys: Collection[str]) -> None:
        self.machine = machine
        # of all settings that are given
        self.keys = keys
        self.values: dict[str, Any] = {}
        self.sources = dict(machine.sources)
        self.lost: dict[str, Unread] = {}
        self.unread = list(machine.unread)
        self.assumed = list(machine.assumed)

    def put(self, fact: str, value: Any, text: str) -> None:
        """`fact` has the value of the setting `text`."""
        self.values[fact] = value
        self.sources[fact] = f"--set {text}"
        if fact in self.assumed:
            self.assumed.remove(fact)

    def clear(self, fact: str, reason: str, remedy: str | None = None) -> None:
        """`fact` is no longer known."""
        self.values[fact] = None
        self.sources.pop(fact, None)
        self.lost[fact] = Unread(fact=fact, reason=reason, remedy=remedy)

    def forget(self, pattern: str) -> None:
        """Leave out the reasons of facts whose whole name matches."""
        self.unread = [entry for entry in self.unread if not re.fullmatch(pattern, entry.fact)]


def _set_memory(change: _Change, given: _Given) -> None:
    text, value = given[0]
    change.put("memory_total_bytes", value, text)
    change.put("memory_limit_bytes", value, text)
    change.values |= {"address_space_bytes": None, "private_memory_bytes": None}
    change.clear("memory_available_bytes", f"how much would be free with {text} is not known")


def _set_cores(change: _Change, given: _Given) -> None:
    text, value = given[0]
    change.put("cpu_cores_usable", value, text)
    change.clear("cpu_cores_physical", f"{text} says how many are usable")
    change.clear("cpu_cores_performance", f"{text} says how many are usable")
    source = change.machine.sources.get(_BANDWIDTH, "")
    others = value != change.machine.cpu_cores_usable
    if was_read_by_cores(source) and others and "bandwidth" not in change.keys:
        change.clear(_BANDWIDTH, "it was measured with other cores", _STATE_BANDWIDTH)


def _set_disk(change: _Change, given: _Given) -> None:
    text, value = given[0]
    change.put("disks", filled_disks(change.machine.disks, value), text)
    change.values["file_size_limit_bytes"] = None
    change.assumed = [fact for fact in change.assumed if not fact.startswith("disks.")]
    change.forget(r"disks\..*\.(?:free_bytes|quota\w*|backing)")


def _set_bandwidth(change: _Change, given: _Given) -> None:
    text, (rate, measured_there) = given[0]
    change.put(_BANDWIDTH, rate, text)
    if measured_there:
        change.sources[_BANDWIDTH] = f"measured, by --set {text}"


def _set_gpu(change: _Change, given: _Given) -> None:
    cards = tuple(card for _, several in given for card in several or ())
    change.put("accelerators", cards, ", ".join(text for text, _ in given))
    change.forget(r"(?s)accelerators\..*")


def _set_named_gpus(change: _Change, given: Sequence[tuple[str, NamedCards]]) -> None:
    cards = tuple(card for _, named in given for card in named.accelerators)
    change.values["accelerators"] = cards
    change.sources["accelerators"] = "; ".join(
        text for _, named in given for text in (*named.notes, named.source)
    )[:MAX_TEXT]
    change.forget(r"(?s)accelerators\..*")


def _set_system(change: _Change, given: _Given) -> None:
    text, value = given[0]
    change.put("system", value, text)


def _set_instruction_sets(change: _Change, given: _Given) -> None:
    text, value = given[0]
    change.put("instruction_sets", value, text)
    change.forget(r"(?s)instruction_sets\..*")


def _set_architecture(change: _Change, given: _Given) -> None:
    text, value = given[0]
    change.put("architecture", value, text)
    change.values["emulated_on"] = None
    if value == change.machine.architecture:
        return
    another = f"{text} asks about another processor than the one that was read"
    change.clear("cpu_model", another)
    if "instruction_sets" not in change.keys:
        change.clear("instruction_sets", another, _STATE_SETS)
        change.forget(r"(?s)instruction_sets\..*")
    if "bandwidth" not in change.keys:
        change.clear(_BANDWIDTH, another, _STATE_BANDWIDTH)


_BANDWIDTH = "memory_bandwidth_bytes_per_second"
_STATE_BANDWIDTH = differently("--set bandwidth=80GB/s", f"a record with {_BANDWIDTH}")
_STATE_SETS = differently("--set instruction_sets=…", "a record with instruction_sets")
# the key of what `--gpu` names, which is no key of `--set`
_NAMED = "--gpu"
# what an Apple chip has of its own
_OF_ONE_MAKER = frozenset(("gpu", _NAMED, "system", "architecture"))
_SETTERS: Mapping[str, Callable[[_Change, _Given], None]] = {
    "memory": _set_memory,
    "cores": _set_cores,
    "disk": _set_disk,
    "bandwidth": _set_bandwidth,
    "gpu": _set_gpu,
    _NAMED: _set_named_gpus,
    "system": _set_system,
    "instruction_sets": _set_instruction_sets,
    "architecture": _set_architecture,
}


def _changed(machine: Machine, settings: Mapping[str, _Given], what: str) -> Machine:
    """The machine with every setting in place; what a setting makes meaningless is unread, with
    the setting as the reason.
    """
    change = _Change(machine, settings.keys())
    # the architecture comes last: it clears what others do not state
    for key in sorted(settings, key=lambda key: key == "architecture"):
        _SETTERS[key](change, settings[key])
    name = f"{machine.name} with {what}"
    change.values["name"] = name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
    kept = (entry for entry in change.unread if entry.fact not in change.lost)
    return machine.replace(
        **change.values,
        sources=change.sources,
        assumed=tuple(change.assumed),
        unread=(*change.lost.values(), *kept),
    )


def filled_disks(disks: Sequence[Disk] | None, free: int) -> tuple[Disk, ...]:
    """Every place with that much free, and a place for each kind of store that has none."""
    kept = [
        disk.replace(
            free_bytes=free,
            writable=True,
            quota=None,
            free_files=None,
            total_bytes=None if disk.total_bytes is None else max(free, disk.total_bytes),
        )
        for disk in disks or ()
    ]
    purposes = {disk.purpose for disk in kept}
    added = [
        Disk(purpose=purpose, path="the disk", free_bytes=free, writable=True)
        for purpose in PURPOSES
        if purpose not in purposes
    ]
    return (*kept, *added)


# ------------------------------------------------------------------ values


class _Fault(Exception):
    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def _unknown(key: str, is_set: bool) -> _Fault:
    from ..core.spelling import nearest

    guess = nearest(key, tuple(_SETTINGS)) or _ALSO.get(key)
    hint = f"did you mean {_EXAMPLES[guess]}?" if guess else f"one of {', '.join(_SETTINGS)}"
    if not is_set:
        return _Fault("is no KEY=VALUE", f"write for example {_EXAMPLES[guess or 'memory']}")
    return _Fault("cannot be set", hint)


def _size(key: str, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        example = f"write for example {_EXAMPLES[key]}"
        try:
            size = parse_bytes(text)
        except ValueError as error:
            raise _Fault(str(error).rpartition(": write for")[0] or str(error), example) from None
        if text.strip().isdecimal() and size < units.MIB:
            raise _Fault(f"is {units.binary(size)}: the unit is missing", example)
        if size < 1:
            raise _Fault("is nothing", example)
        if size > most:
            raise _Fault(f"is {units.binary(size)}: no machine has that", example)
        return size

    return read


def _bandwidth(text: str) -> tuple[int, bool]:
    """Bytes per second, and whether that is what was measured and no peak."""
    rate, colon, how = text.partition(":")
    if colon and how.strip().lower() != "measured":
        raise _Fault(
            f"{shown(how.strip())!r} says nothing of it",
            "write for example bandwidth=80GB/s or bandwidth=80GB/s:measured",
        )
    return _rate(rate), bool(colon)


def _rate(text: str) -> int:
    lower = text.strip().lower()
    ending = next((word for word in ("/second", "/sec", "/s", "ps") if lower.endswith(word)), "")
    size = text.strip()[: len(lower) - len(ending)]
    if re.search(r"[kmgt]b$", size, re.IGNORECASE) and size.endswith("b"):
        raise _Fault(
            f"{shown(text)!r} may mean bits: write the bandwidth of memory in bytes",
            f"write for example {_EXAMPLES['bandwidth']}",
        )
    return _size("bandwidth", MAX_MEMORY_BYTES)(size)


def _cores(text: str) -> float:
    try:
        number = parse_number(text)
    except ValueError as error:
        raise _Fault(
            str(error).partition(": write for")[0], f"write for example {_EXAMPLES['cores']}"
        ) from None
    if not MIN_CORES <= number <= MAX_CORES:
        raise _Fault(
            f"is {number:g}: it must be from {MIN_CORES} to {MAX_CORES:,}",
            f"write for example {_EXAMPLES['cores']}",
        )
    return number


def _free(text: str) -> int:
    # a full disk is something to ask about
    return 0 if text.strip() == "0" else _size("disk", MAX_DISK_BYTES)(text)


def _gpu(text: str) -> tuple[Accelerator, ...] | None:
    if text.lower() == "none":
        return None
    size, _, name = text.partition(":")
    name, rate = _name_and_rate(name)
    many = re.fullmatch(r"(\d{1,3})\s*[x×*]\s*(.+)", size.strip(), re.IGNORECASE | re.ASCII)
    count = int(many[1]) if many else 1
    size = many[2] if many else size
    if "," in size or not 1 <= count <= MOST_CARDS:
        what = f"takes 1 to {MOST_CARDS} GPUs" if many else "is one size for each of several"
        raise _Fault(what, "write for example gpu=2x24GiB, or one setting for each")
    if name.strip():
        try:
            name = checked_name(name.strip(), "gpu")
        except MachineFileError as error:
            raise _Fault(error.problems[0].message, error.problems[0].remedy) from None
    if ":" not in text and _is_gpus_name(text):
        raise _Fault(
            f"{shown(text)!r} is a GPU's name",
            f"name it by {option('gpu', text.strip())}",
        )
    memory = _size("gpu", MAX_MEMORY_BYTES)(size)
    name = spelled(name) or f"GPU with {units.binary(memory)}"
    return (
        Accelerator(
            vendor=vendor_of(name),
            name=name,
            memory_total_bytes=memory,
            unified=False,
            memory_bandwidth_bytes_per_second=rate,
        ),
    ) * count


def _is_gpus_name(text: str) -> bool:
    try:
        cards_named(text)
    except UnknownGpuError:
        return False
    return True


def _name_and_rate(text: str) -> tuple[str, int | None]:
    """`NAME:900GB/s` as a name and the bytes per second of its memory; None where not stated."""
    name, _, rate = text.rpartition(":")
    if not rate.strip().lower().endswith("/s"):
        return text, None
    return name, _rate(rate)


def _choice(normal: Callable[[str], str], choices: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        name = normal(text)
        if name not in choices:
            from ..core.spelling import nearest

            guess = nearest(name, choices)
            raise _Fault(
                f"{shown(text)!r} is not one of {', '.join(choices)}",
                f"did you mean {guess}?" if guess else None,
            )
        return name

    return read


def _sets(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    if names == ("none",):
        return ()
    wrong = [name for name in names if not re.fullmatch(r"[a-z0-9_]{1,40}", name, re.ASCII)]
    if wrong:
        raise _Fault(
            f"{shown(wrong[0])!r} is not an instruction set",
            "write them as Linux does: instruction_sets=avx2,fma,f16c",
        )
    return names


_SETTINGS: Mapping[str, Callable[[str], Any]] = {
    "memory": _size("memory", MAX_MEMORY_BYTES),
    "cores": _cores,
    "disk": _free,
    "bandwidth": _bandwidth,
    "gpu": _gpu,
    "architecture": _choice(normal_architecture, ARCHITECTURES),
    "system": _choice(normal_system, SYSTEMS),
    "instruction_sets": _sets,
}
# the keys of `--set`
SETTINGS = tuple(_SETTINGS)
_EXAMPLES = {
    "memory": "memory=16GiB",
    "cores": "cores=8",
    "disk": "disk=500GB",
    "bandwidth": "bandwidth=80GB/s",
    "gpu": "gpu=24GiB, gpu=2x24GiB, gpu=24GiB:900GB/s or gpu=none",
    "architecture": "architecture=aarch64",
    "system": "system=linux",
    "instruction_sets": "instruction_sets=avx2,fma,f16c",
}
_ALSO = {"ram": "memory", "vram": "gpu", "cpu": "cores", "cpus": "cores", "threads": "cores",
"os": "system", "arch": "architecture",
         "storage": "disk", "accelerator": "gpu", "accelerators": "gpu"}  # fmt: skip
