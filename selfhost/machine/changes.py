"""What if: a machine with some facts changed, and what is assumed of one that is only planned."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ..core import units
from ..core.errors import InputError, MachineFileError, Problem
from ..core.quantities import parse_bytes, parse_number
from ..core.records import Unread
from ..core.spelling import nearest, words_of
from ..core.tables import shipped_table
from . import cpus
from .chips import apple_chip_of
from .gpu_names import MOST_CARDS, UnknownGpuError, cards_named, find_cards, shown, spelled
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

ARCHITECTURES = (
    "x86_64", "aarch64", "i686", "armv6l", "armv7l", "riscv64", "ppc64le", "s390x", "loongarch64",
)  # fmt: skip
SYSTEMS = ("linux", "macos", "windows")
# x86-64-v3 of the psABI, which every Core since Haswell (2013) and every Ryzen and EPYC has;
# ARMv8.0; on macOS the M1's
ASSUMED_SETS: Mapping[str, tuple[str, ...]] = {
    "x86_64": (
        "sse2", "ssse3", "sse4_1", "sse4_2", "popcnt", "avx", "f16c", "fma", "bmi1", "bmi2", "avx2",
    ),
    "aarch64": ("fp", "asimd"),
    "macos-aarch64": ("fp", "asimd", "fphp", "asimdhp", "asimddp", "atomics"),
}  # fmt: skip
# What every processor of its class has, by the least that `vectors` tells, and what many lack:
# every Celeron and Pentium since 2011 and every Atom since 2013; every Xeon E5 (general knowledge)
_LEAST_SETS = {"sse": (("sse4_2", "popcnt"), "AVX"), "none": (("avx", "popcnt"), "AVX2")}
# general-purpose machines of the clouds and of CI: 16 GiB with 4 cores (AWS m7i and m8g, GitHub,
# GitLab)
_ASSUMED_BYTES_PER_CORE = 4 * units.GIB
_MOST_ASSUMED_CORES = 64
_NAME_LENGTH = 120
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
_STATE_BANDWIDTH = "--set bandwidth=80GB/s"
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
# the keys of `--set`
SETTINGS = tuple(_EXAMPLES)
_ALSO = {
    "ram": "memory", "vram": "gpu", "cpu": "cores", "cpus": "cores", "threads": "cores",
    "os": "system", "arch": "architecture", "storage": "disk", "accelerator": "gpu",
    "accelerators": "gpu",
}  # fmt: skip


class SettingError(InputError):
    """A `--set` makes no sense; `problems` names every one that does not."""


class _Fault(Exception):
    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def problem(self, key: str | None, file: str = "--set") -> Problem:
        return Problem(file=file, key=key, message=self.message, remedy=self.remedy)


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
    given = _values(settings, problems)
    near = _add_named_gpus(named_gpus, given, problems)
    if problems:
        raise SettingError(problems, nearest=near)
    change = _Change(machine, given)
    # the architecture comes last: it clears what others do not state
    for key in sorted(given, key=lambda key: key == "architecture"):
        _SETTERS[key](change, *zip(*given[key], strict=True))
    labels = [cards_named(name).label for name in named_gpus]
    changed = change.machine(", ".join([*labels, *(text.strip() for text in settings)]))
    problems += _foreign_sets(changed) if "instruction_sets" in given else []
    problems += _impossible_on_apple(changed, [*given], named_gpus)
    if problems:
        raise SettingError(problems)
    return planned(changed)


def value_of(key: str, text: str) -> Any:
    """The value of one setting, as `apply` reads it; of `gpu` a tuple of cards, which may also be
    named as by `--gpu`. `SettingError` says what is wrong.
    """
    try:
        return _READERS[key](text) if key != "gpu" else _cards(text)
    except _Fault as fault:
        raise SettingError([fault.problem(key)]) from None


def _cards(text: str) -> tuple[Accelerator, ...]:
    """Cards by their names or by their sizes."""
    if text.lower() == "none":
        return ()
    try:
        return cards_named(text).accelerators
    except UnknownGpuError as error:
        try:
            return _gpu(text) or ()
        except _Fault:
            if error.nearest:
                raise _Fault(str(error), error.remedy) from None
            raise


def _values(settings: Sequence[str], problems: list[Problem]) -> dict[str, list[tuple[str, Any]]]:
    """Each key with its settings and their values; what is wrong goes to `problems`."""
    given: dict[str, list[tuple[str, Any]]] = {}
    for text in settings:
        key, is_set, value = text.partition("=")
        key, value = key.strip().lower().replace("-", "_"), value.strip(" ")
        try:
            if key not in _READERS:
                raise _unknown_key(key, value if is_set else None)
            if not value:
                raise _Fault("has no value", f"write for example {_EXAMPLES[key]}")
            given.setdefault(key, []).append((text.strip(), _READERS[key](value)))
        except _Fault as fault:
            problems.append(fault.problem(shown(key) or None))
    for key, several in given.items():
        if len(several) > 1 and (key != "gpu" or any(value is None for _, value in several)):
            problems.append(_Fault(f"is set {len(several)} times", "set it once").problem(key))
    return given


def _unknown_key(key: str, value: str | None) -> _Fault:
    guess = _ALSO.get(key) or nearest(key, SETTINGS)
    if value is None:
        return _Fault("is no KEY=VALUE", f"write for example {_EXAMPLES[guess or 'memory']}")
    meant = f"did you mean {guess}={shown(value)}?" if guess else f"one of {', '.join(SETTINGS)}"
    return _Fault("cannot be set", meant)


def _add_named_gpus(
    names: Sequence[str], given: dict[str, list[tuple[str, Any]]], problems: list[Problem]
) -> list[str]:
    """Put the GPUs of `--gpu` beside the settings. The names that are near those not known."""
    near: list[str] = []
    faults: list[_Fault] = []
    if names and "gpu" in given:
        message = "is given, and --set gpu=… as well: both say which GPUs there are"
        faults.append(_Fault(message, "leave one of them out"))
    for name in names:
        try:
            given.setdefault("--gpu", []).append((name, cards_named(name)))
        except UnknownGpuError as error:
            faults.append(_Fault(error.message, error.remedy))
            near += error.nearest
    counts = [len(named.accelerators) for _, named in given.get("--gpu", [])]
    if len(counts) > 1 and not all(counts):
        faults.append(_Fault("none is no GPU", "give it alone"))
    if sum(counts) > MOST_CARDS:
        message = f"{sum(counts)} GPUs are more than the {MOST_CARDS} that are judged"
        faults.append(_Fault(message, "name fewer"))
    problems += [fault.problem(None, "--gpu") for fault in faults]
    return near


# ------------------------------------------------------------------ what is planned


def planned(machine: Machine) -> Machine:
    """The same machine for planning: its memory counts as a whole, and disks, cores and instruction
    sets that it lacks are assumed. Those sets that it has bring what they imply.
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
    elif machine.emulated_on is None and (sets := _class_sets(machine)) is not None:
        changes["instruction_sets"], why = sets
        sources["instruction_sets"] = f"assumed: {why}"
        assumed.append("instruction_sets")
    if machine.cpu_cores_usable is None:
        facts, why, are_known = _assumed_cores(machine)
        changes |= facts
        sources |= dict.fromkeys(facts, why)
        assumed += [] if are_known else ["cpu_cores_usable"]
    return machine.replace(**changes, sources=sources, assumed=tuple(dict.fromkeys(assumed)))


def _assumed_cores(machine: Machine) -> tuple[dict[str, Any], str, bool]:
    """The cores that the processor's name tells, else one for so much memory; why; and whether they
    are known. A guest has a part of its processor's.
    """
    cores = cpus.cores_in(machine) if machine.scope == "host" else None
    if cores is not None:
        facts = {"cpu_cores_physical": cores.physical[1], "cpu_cores_usable": float(cores.usable)}
        if cores.performance != cores.physical:
            facts["cpu_cores_performance"] = cores.performance[1]
        least, _, most = cores.physical
        if cores.are_known:
            return facts, "as its maker lists that model", True
        return facts, f"assumed: {least} to {most}, as processors of that kind have", False
    memory = machine.memory_limit_bytes or machine.memory_total_bytes
    if memory is None:
        return {}, "", True
    count = min(_MOST_ASSUMED_CORES, max(1, memory // _ASSUMED_BYTES_PER_CORE))
    why = f"assumed: one for each {units.binary(_ASSUMED_BYTES_PER_CORE)} of memory"
    return {"cpu_cores_usable": float(count)}, why, False


def _sets_table() -> Mapping[str, Any]:
    """`baseline`: the sets that every processor of an architecture has; `implied`: what each set
    brings.
    """
    table: Mapping[str, Any] = shipped_table("cpus")["instruction_sets"]
    return table


def with_implied(sets: Sequence[str], architecture: str | None) -> tuple[str, ...]:
    """Those that were named, then those that they bring and those that every processor of the
    architecture has.
    """
    table = _sets_table()
    every_set = [*sets, *table["baseline"].get(architecture or "", ())]
    for name in every_set:
        every_set += (other for other in table["implied"].get(name, ()) if other not in every_set)
    return tuple(dict.fromkeys(every_set))


def own_sets(sets: Sequence[str], architecture: str | None) -> tuple[str, ...]:
    """Those that a processor of the architecture may have: AVX2 is none of an Arm processor's. A
    name that no table here has may be any processor's, and one of unknown architecture have any.
    """
    baseline = _sets_table()["baseline"]
    if architecture not in baseline:
        return tuple(sets)
    foreign = {
        name
        for other in baseline
        if other != architecture
        for name in sets
        if name in ASSUMED_SETS[other] or {*with_implied((name,), None)} & {*baseline[other]}
    }
    return tuple(name for name in sets if name not in foreign)


def _class_sets(machine: Machine) -> tuple[tuple[str, ...], str] | None:
    """The instruction sets of a processor of its class, and why these; None where nothing tells."""
    architecture = machine.architecture or ""
    least = cpus.least_vectors(machine.cpu_model or "")
    if least is not None:
        common, lacking = _LEAST_SETS[least]
        why = f"many processors of that name lack {lacking}"
        return with_implied(common, "x86_64"), why
    sets = ASSUMED_SETS.get(f"{machine.system}-{architecture}") or ASSUMED_SETS.get(architecture)
    return None if sets is None else (sets, f"what nearly every {architecture} processor has")


def _foreign_sets(machine: Machine) -> list[Problem]:
    """The sets that were set and that no processor of the machine's architecture has."""
    sets = machine.instruction_sets or ()
    own = own_sets(sets, machine.architecture)
    foreign = next((name for name in sets if name not in own), None)
    if foreign is None:
        return []
    message = f"{foreign} is no instruction set of an {machine.architecture} processor"
    remedy = "leave it out, or state the architecture too: --set architecture=…"
    return [_Fault(message, remedy).problem("instruction_sets")]


def _impossible_on_apple(
    machine: Machine, keys: Sequence[str], named_gpus: Sequence[str]
) -> list[Problem]:
    """What no computer with an Apple chip has of what was set: a card, another system or
    architecture.
    """
    chip = _named_apple_chip(machine)
    if chip is None:
        return []
    problems = []
    cards = [card for card in machine.accelerators or () if card.vendor.lower() != "apple"]
    if cards and (named_gpus or "gpu" in keys):
        message = f"{chip} has a GPU of its own and takes no {cards[0].name} beside it"
        what = [*named_gpus, "Ryzen 5 7600 32GB"][0]
        remedy = f"leave it out, or name a computer that takes cards: --machine '{what}'"
        place = (None, "--gpu") if named_gpus else ("gpu", "--set")
        problems.append(_Fault(message, remedy).problem(*place))
    apple_chip = apple_chip_of(words_of(chip))
    systems = ["macos"] if apple_chip and not apple_chip.linux else ["macos", "linux"]
    if "system" in keys and machine.scope == "host" and machine.system not in systems:
        remedy = ", or write system=".join(["leave it out, for macOS", *systems[1:]])
        fault = _Fault(f"{machine.system} does not start on {chip}", remedy)
        problems.append(fault.problem("system"))
    if "architecture" in keys and machine.architecture != "aarch64":
        message = f"is {machine.architecture}, and {chip} is an Arm processor (aarch64)"
        remedy = "leave it out, or name a computer with one: --machine 'i7-9750H 16GB'"
        problems.append(_Fault(message, remedy).problem("architecture"))
    return problems


def _named_apple_chip(machine: Machine) -> str | None:
    """What a sentence calls the machine's Apple chip; None where it has none."""
    name = machine.cpu_model or ""
    shares_memory = any(c.vendor == "apple" and c.unified for c in machine.accelerators or ())
    is_mac = (machine.system, machine.architecture) == ("macos", "aarch64")
    if "apple" not in words_of(name) and not shares_memory and not is_mac:
        return None
    return f"an {name}" if name.lower().startswith("apple") else "an Apple chip"


# ------------------------------------------------------------------ what a setting changes


class _Change:
    """What settings change of one machine, and which facts they make meaningless."""

    def __init__(self, machine: Machine, keys: Mapping[str, object]) -> None:
        self.before = machine
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
        self.unread = [
            entry for entry in self.unread if not re.fullmatch(pattern, entry.fact, re.S)
        ]

    def machine(self, what: str) -> Machine:
        """The machine with every setting in place; what a setting makes meaningless is unread."""
        name = f"{self.before.name} with {what}"
        name = name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
        kept = (entry for entry in self.unread if entry.fact not in self.lost)
        return self.before.replace(
            **self.values | {"name": name},
            sources=self.sources,
            assumed=tuple(self.assumed),
            unread=(*self.lost.values(), *kept),
        )


def _set_memory(change: _Change, texts: Sequence[str], values: Sequence[int]) -> None:
    change.put("memory_total_bytes", values[0], texts[0])
    change.put("memory_limit_bytes", values[0], texts[0])
    change.values |= {"address_space_bytes": None, "private_memory_bytes": None}
    change.clear("memory_available_bytes", f"how much would be free with {texts[0]} is not known")


def _set_cores(change: _Change, texts: Sequence[str], values: Sequence[float]) -> None:
    change.put("cpu_cores_usable", values[0], texts[0])
    for fact in ("cpu_cores_physical", "cpu_cores_performance"):
        change.clear(fact, f"{texts[0]} says how many are usable")
    source = change.before.sources.get(_BANDWIDTH, "")
    others = values[0] != change.before.cpu_cores_usable
    if was_read_by_cores(source) and others and "bandwidth" not in change.keys:
        change.clear(_BANDWIDTH, "it was measured with other cores", _STATE_BANDWIDTH)


def _set_disk(change: _Change, texts: Sequence[str], values: Sequence[int]) -> None:
    change.put("disks", filled_disks(change.before.disks, values[0]), texts[0])
    change.values["file_size_limit_bytes"] = None
    change.assumed = [fact for fact in change.assumed if not fact.startswith("disks.")]
    change.forget(r"disks\..*\.(?:free_bytes|quota\w*|backing)")


def _set_bandwidth(
    change: _Change, texts: Sequence[str], values: Sequence[tuple[int, bool]]
) -> None:
    rate, is_measured = values[0]
    change.put(_BANDWIDTH, rate, texts[0])
    if is_measured:
        change.sources[_BANDWIDTH] = f"measured, by --set {texts[0]}"


def _set_gpu(change: _Change, texts: Sequence[str], values: Sequence[Any]) -> None:
    cards = tuple(card for several in values for card in several or ())
    change.put("accelerators", cards, ", ".join(texts))
    change.forget(r"accelerators\..*")


def _set_named_gpus(change: _Change, texts: Sequence[str], values: Sequence[Any]) -> None:
    change.values["accelerators"] = tuple(card for named in values for card in named.accelerators)
    change.sources["accelerators"] = "; ".join(
        text for named in values for text in (*named.notes, named.source)
    )[:MAX_TEXT]
    change.forget(r"accelerators\..*")


def _set_system(change: _Change, texts: Sequence[str], values: Sequence[str]) -> None:
    change.put("system", values[0], texts[0])


def _set_instruction_sets(change: _Change, texts: Sequence[str], values: Sequence[Any]) -> None:
    change.put("instruction_sets", values[0], texts[0])
    change.forget(r"instruction_sets\..*")


def _set_architecture(change: _Change, texts: Sequence[str], values: Sequence[str]) -> None:
    change.put("architecture", values[0], texts[0])
    change.values["emulated_on"] = None
    if values[0] == change.before.architecture:
        return
    another = f"{texts[0]} asks about another processor than the one that was read"
    change.clear("cpu_model", another)
    if "instruction_sets" not in change.keys:
        change.clear("instruction_sets", another, "--set instruction_sets=…")
        change.forget(r"instruction_sets\..*")
    if "bandwidth" not in change.keys:
        change.clear(_BANDWIDTH, another, _STATE_BANDWIDTH)


_SETTERS: Mapping[str, Callable[..., None]] = {
    "memory": _set_memory,
    "cores": _set_cores,
    "disk": _set_disk,
    "bandwidth": _set_bandwidth,
    "gpu": _set_gpu,
    "--gpu": _set_named_gpus,
    "system": _set_system,
    "instruction_sets": _set_instruction_sets,
    "architecture": _set_architecture,
}


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


def _size(key: str, text: str, most: int) -> int:
    example = f"write for example {_EXAMPLES[key]}"
    try:
        size = parse_bytes(text)
    except ValueError as error:
        raise _Fault(str(error).rpartition(": write for")[0] or str(error), example) from None
    if text.strip().isdecimal() and size < units.MIB:
        raise _Fault(f"is {units.binary(size)}: the unit is missing", example)
    if not 1 <= size <= most:
        what = "is nothing" if size < 1 else f"is {units.binary(size)}: no machine has that"
        raise _Fault(what, example)
    return size


def _memory(text: str) -> int:
    return _size("memory", text, MAX_MEMORY_BYTES)


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
    size = re.sub(r"(?:/second|/sec|/s|ps)$", "", text.strip(), flags=re.IGNORECASE)
    if re.search(r"[kmgt]b$", size, re.IGNORECASE) and size.endswith("b"):
        raise _Fault(
            f"{shown(text)!r} may mean bits: write the bandwidth of memory in bytes",
            f"write for example {_EXAMPLES['bandwidth']}",
        )
    return _size("bandwidth", size, MAX_MEMORY_BYTES)


def _cores(text: str) -> float:
    example = f"write for example {_EXAMPLES['cores']}"
    try:
        number = parse_number(text)
    except ValueError as error:
        raise _Fault(str(error).partition(": write for")[0], example) from None
    if not MIN_CORES <= number <= MAX_CORES:
        raise _Fault(f"is {number:g}: it must be from {MIN_CORES} to {MAX_CORES:,}", example)
    return number


def _free(text: str) -> int:
    # a full disk is something to ask about
    return 0 if text.strip() == "0" else _size("disk", text, MAX_DISK_BYTES)


def _gpu(text: str) -> tuple[Accelerator, ...] | None:
    """`24GiB`, `2x24GiB:NAME`, `24GiB:NAME:900GB/s`; None for `none`."""
    if text.lower() == "none":
        return None
    size, _, name = text.partition(":")
    head, _, rate_text = name.rpartition(":")
    rate = None
    if rate_text.strip().lower().endswith("/s"):
        name, rate = head, _rate(rate_text)
    many = re.fullmatch(r"(\d{1,3})\s*[x×*]\s*(.+)", size.strip(), re.IGNORECASE | re.ASCII)
    count, size = (int(many[1]), many[2]) if many else (1, size)
    if "," in size or not 1 <= count <= MOST_CARDS:
        what = f"takes 1 to {MOST_CARDS} GPUs" if many else "is one size for each of several"
        raise _Fault(what, "write for example gpu=2x24GiB, or one setting for each")
    if name.strip():
        try:
            name = checked_name(name.strip(), "gpu")
        except MachineFileError as error:
            raise _Fault(error.problems[0].message, error.problems[0].remedy) from None
    if ":" not in text and find_cards(text) is not None:
        raise _Fault(f"{shown(text)!r} is a GPU's name", f"name it by --gpu '{text.strip()}'")
    memory = _size("gpu", size, MAX_MEMORY_BYTES)
    name = spelled(name) or f"GPU with {units.binary(memory)}"
    card = Accelerator(
        vendor=vendor_of(name),
        name=name,
        memory_total_bytes=memory,
        unified=False,
        memory_bandwidth_bytes_per_second=rate,
    )
    return (card,) * count


def _choice(text: str, normal: Callable[[str], str], choices: Sequence[str]) -> str:
    name = normal(text)
    if name in choices:
        return name
    guess = nearest(name, choices)
    raise _Fault(
        f"{shown(text)!r} is not one of {', '.join(choices)}",
        f"did you mean {guess}?" if guess else None,
    )


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


_READERS: Mapping[str, Callable[[str], Any]] = {
    "memory": _memory,
    "cores": _cores,
    "disk": _free,
    "bandwidth": _bandwidth,
    "gpu": _gpu,
    "architecture": lambda text: _choice(text, normal_architecture, ARCHITECTURES),
    "system": lambda text: _choice(text, normal_system, SYSTEMS),
    "instruction_sets": _sets,
}
