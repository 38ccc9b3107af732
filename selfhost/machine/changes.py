"""Hypothetical machines: a machine with some facts changed, and the assumptions about a machine
that is only planned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..core import units
from ..core.errors import InputError, Problem
from ..core.records import Record, fault_of, shortened, shown
from ..core.units import nearest, parse_number, parse_size, words_of
from . import gpus, record
from .cards import MOST_CARDS, NamedCards, joined
from .cpus import CoreCounts
from .description import cards_named
from .instruction_sets import assumed_sets, with_implied
from .platforms import normal_architecture, normal_system, platforms
from .record import BANDWIDTH, PURPOSES, Accelerator, Disk, FactValues, Machine
from .words import GpuCountError, SettingRow, UnknownGpuError, spelled, vocabulary

# general-purpose machines of clouds and CI have 16 GiB with 4 cores (AWS m7i and m8g, GitHub,
# GitLab)
_ASSUMED_BYTES_PER_CORE = 4 * units.GIB
_MOST_ASSUMED_CORES = 64
# as in `2x24GiB:NAME` or `8 x 80 GB`: a number of GPUs before a size
_COUNT_OF_SIZES = (
    r"(?ai)\s*(\d{1,9})\s*[x×*]\s*(\d+(?:\.\d+)?\s*(?:[kmgt]?i?b?)\s*(?::.*)?)"
)
# the forms `24GiB`, `24GiB:NAME`, `24GiB:900GB/s` and `24GiB:NAME:900GB/s`
_SIZE_NAME_AND_RATE = r"(?ai)([^:,]+)(?::(.*?))??(?::([^:]*/s\s*))?"
_EXAMPLE_OF_SIZES = "write for example gpu=2x24GiB"
# keys whose value is a size: a bare number means gigabytes
_KEYS_OF_SIZES = ("memory", "disk", "gpu")


# the facts about a processor and the pace at which it reads memory
_OF_PROCESSOR = (
    "cpu_model",
    "cpu_cores_physical",
    "cpu_cores_performance",
    "cpu_cores_usable",
    "instruction_sets",
    BANDWIDTH,
    "memory_bandwidth_how",
    "memory_bandwidth_bound",
)


class SettingError(InputError):
    """Raised for `--set` settings that make no sense; `problems` names each of them."""


def _setting_row(key: str) -> SettingRow:
    """The row of a key of `--set`: which facts the key states, and which values it takes."""
    return vocabulary().setting[key]


class MemoryRate(Record):
    """A memory bandwidth in bytes a second. `is_measured`: the figure was measured, and is no
    peak.
    """

    bytes_per_second: int
    is_measured: bool

    @property
    def facts(self) -> FactValues:
        """The facts that this bandwidth states of a machine: the figure, and how the figure is
        known.
        """
        return {
            BANDWIDTH: self.bytes_per_second,
            "memory_bandwidth_how": record.MEASURED if self.is_measured else None,
            "memory_bandwidth_bound": None,
        }


def _size(text: str, most: int = record.MAX_MEMORY_BYTES) -> int:
    """The bytes of a size, at least one. `ValueError` for a size that no machine has."""
    size = parse_size(text)
    if size < 1:
        raise ValueError("is nothing")
    if size > most:
        raise ValueError(f"is {units.binary(size)}: no machine has that much")
    return size


def _disk_size(text: str) -> int:
    """The bytes that are free on a disk; 0 of a full disk."""
    # 0 bytes are valid: people may ask about a full disk
    if parse_size(text) == 0:
        return 0
    return _size(text, record.MAX_DISK_BYTES)


def _bandwidth(text: str) -> MemoryRate:
    """The memory bandwidth: `80GB/s`, or a measured one with `:measured` behind it."""
    rate, colon, how = text.partition(":")
    is_measured = how.strip().lower() == "measured"
    if colon and not is_measured:
        raise ValueError(
            f"{shortened(how.strip())!r} is not `measured`",
            "write for example bandwidth=80GB/s or bandwidth=80GB/s:measured",
        )
    size = re.sub(r"(?i)(?:/second|/sec|/s|ps)$", "", rate.strip())
    if re.search(r"[kmgtKMGT]b$", size):
        raise ValueError(
            f"{shortened(rate)!r} may mean bits: write a bandwidth in bytes"
        )
    return MemoryRate(bytes_per_second=_size(size), is_measured=is_measured)


def _cores(text: str) -> float:
    """The number of cores, which may be a part of one core."""
    number = parse_number(text)
    if not record.MIN_CORES <= number <= record.MAX_CORES:
        bounds = f"from {record.MIN_CORES} to {record.MAX_CORES:,}"
        raise ValueError(f"is {number:g}: it must be {bounds}")
    return number


def _gpu(text: str) -> tuple[Accelerator, ...]:
    """The GPUs of names or of sizes, as `_named_or_sized` reads them."""
    return _named_or_sized(text).accelerators


def _named_or_sized(text: str) -> NamedCards:
    """The GPUs of names as `--gpu` takes them, else of sizes: `24GiB`, `2x24GiB:NAME`,
    `24GiB:NAME:900GB/s`.
    """
    counted = re.fullmatch(_COUNT_OF_SIZES, text)
    has_form_of_size = ":" in text or counted is not None
    try:
        return cards_named(text)
    except GpuCountError as error:
        raise ValueError(str(error), error.remedy) from None
    except UnknownGpuError as error:
        # a text close to a known name is a typing slip; any other text is read as a size
        if error.nearest and not has_form_of_size:
            raise ValueError(str(error), error.remedy) from None
    if counted is None:
        return NamedCards(accelerators=(_gpu_of_size(text),), label=text)
    count = int(counted[1])
    if count > MOST_CARDS:
        raise ValueError(
            f"{shortened(text)!r} names {count:,} GPUs, and selfhost judges at most {MOST_CARDS}",
            _EXAMPLE_OF_SIZES,
        )
    if count < 1:
        raise ValueError(f"{shortened(text)!r} names 0 GPUs", "write gpu=none")
    return NamedCards(accelerators=(_gpu_of_size(counted[2]),) * count, label=text)


def _gpu_of_size(text: str) -> Accelerator:
    """The GPU of `24GiB`, `24GiB:NAME` or `24GiB:NAME:900GB/s`."""
    match = re.fullmatch(_SIZE_NAME_AND_RATE, text)
    if match is None:
        raise ValueError(
            f"takes one size for each GPU, and 1 to {MOST_CARDS} GPUs",
            f"{_EXAMPLE_OF_SIZES}, or one setting for each",
        )
    size, name, rate = match.groups(default="")
    memory = _size(size)
    bandwidth = None
    if rate:
        bandwidth = _bandwidth(rate).bytes_per_second
    name = name.strip() or f"GPU with {units.binary(memory)}"
    fault = fault_of(name, str)
    if fault is not None:
        raise ValueError(fault.message, "give it plain text, without line breaks")
    name = spelled(name)
    return Accelerator(
        vendor=gpus.vendor_of(name),
        name=name,
        memory_total_bytes=memory,
        unified=False,
        memory_bandwidth_bytes_per_second=bandwidth,
    )


def _choice(
    key: str,
    normal: Callable[[str], str],
    typed: str,
) -> str:
    """Return the word of the key's choices that the user typed, in any spelling that `normal`
    knows.

    Raises `ValueError` for a word that is none of the choices.
    """
    name = normal(typed)
    choices = _setting_row(key).choices
    if name in choices:
        return name
    listed = ", ".join(choices)
    near = nearest(name, choices)
    hint = f"write one of {listed}"
    if near:
        hint = f"did you mean {near}?"
    raise ValueError(f"{shortened(typed)!r} is not one of {listed}", hint)


def _instruction_sets(text: str) -> tuple[str, ...]:
    """The instruction sets in a text with commas between the names; `none` means no set."""
    names = []
    for typed in text.lower().split(","):
        name = typed.strip()
        if not re.fullmatch(r"[a-z0-9_]{1,40}", name):
            raise ValueError(
                f"{shortened(name)!r} is not an instruction set",
                "write them as Linux does: instruction_sets=avx2,fma,f16c",
            )
        if name not in names:
            names.append(name)
    if names == ["none"]:
        return ()
    return tuple(names)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "architecture": partial(_choice, "architecture", normal_architecture),
    "memory": _size,
    "cores": _cores,
    "disk": _disk_size,
    "bandwidth": _bandwidth,
    "gpu": _gpu,
    "system": partial(_choice, "system", normal_system),
    "instruction_sets": _instruction_sets,
}
# the keys of `--set` in the order in which they are applied: a later key may state a fact that an
# earlier key cleared
SETTINGS = tuple(_READERS)


def value_of(key: str, text: str) -> Any:
    """Return the value of a setting; for `gpu` a tuple of cards. Raises `SettingError` for a wrong
    value.
    """
    try:
        if not text:
            raise ValueError("has no value")
        return _READERS[key](text)
    except ValueError as error:
        # a reader may give its own remedy as the second argument
        message, *remedies = error.args
        remedies.append(_how_to_write(key))
        # the example of the setting is more useful than the example of a size
        message = message.partition(": write for")[0]
        raise SettingError([_fault(key, message, remedies[0])]) from None


def _how_to_write(key: str) -> str:
    """The remedy that shows an example."""
    return f"write for example {_setting_row(key).example}"


def _fault(
    key: str,
    message: str,
    remedy: str | None,
) -> Problem:
    """A fault of one setting."""
    return Problem(
        file="--set", key=shortened(key) or None, message=message, remedy=remedy
    )


def apply(
    machine: Machine,
    settings: Sequence[str],
    named: Sequence[NamedCards] = (),
) -> Machine:
    """Return `machine` for planning, with each `key=value` of `settings`, and with the `named` GPUs
    in place of its own.

    Without settings and GPUs the machine is returned as it is. Raises `SettingError` with every
    fault.
    """
    if not settings and not named:
        return machine
    read = _read_settings(settings)
    are_cards_set = "gpu" in read.texts
    problems = read.problems + _faults_of_cards(named, are_set=are_cards_set)
    if problems:
        raise SettingError(problems)
    changed = machine
    has_no_gpu = machine.accelerators is not None and not machine.accelerators
    if machine.is_this_one and has_no_gpu and joined(named).accelerators:
        # a computer without any GPU is not the one with these GPUs: where this question is typed
        # tells nothing about the processor beside them
        changed = machine.stated(dict.fromkeys(_OF_PROCESSOR), "--gpu")
        changed = changed.replace(scope="host")
    for key in SETTINGS:
        if key not in read.values:
            continue
        facts = _facts_of_setting(changed, key, read.values[key])
        changed = changed.stated(facts, read.source_of(key))
    if named:
        # the named GPUs replace the machine's own GPUs
        of_cards: dict[str, object] = {"accelerators": joined(named).accelerators}
        # the disk of the computer that was read tells nothing about the computer with these GPUs
        if "disk" not in read.texts:
            of_cards["disks"] = None
        sources = []
        for cards in named:
            sources += [*cards.notes, cards.source]
        changed = changed.stated(of_cards, "; ".join(sources))
    if named or are_cards_set:
        _refuse_cards_beside_unified(changed, named)
    changes = [card.label for card in named]
    changes += map(str.strip, settings)
    name = f"{machine.name} with {', '.join(changes)}"
    return planned(changed.replace(name=shortened(name, 120)))


def notes_on_cards(settings: Sequence[str]) -> tuple[str, ...]:
    """The notes on names of GPUs in settings that `apply` takes: what else a name can mean."""
    notes: list[str] = []
    for text in _read_settings(settings).cards:
        notes += _named_or_sized(text).notes
    return tuple(notes)


def _faults_of_cards(named: Sequence[NamedCards], *, are_set: bool) -> list[Problem]:
    """List the faults of the GPUs given by `--gpu`. `are_set`: `--set gpu=…` is given, too."""
    if not named:
        return []
    counts = [len(cards.accelerators) for cards in named]
    if are_set:
        message = "is given, and --set gpu=… as well: both say which GPUs there are"
    elif 0 in counts and len(counts) > 1:
        message = "none means no GPU: write it on its own"
    elif sum(counts) > MOST_CARDS:
        message = f"{sum(counts)} GPUs are more than the {MOST_CARDS} judged"
    else:
        return []
    return [Problem(file="--gpu", message=message, remedy="leave one of them out")]


def _refuse_cards_beside_unified(machine: Machine, named: Sequence[NamedCards]) -> None:
    """Raise `SettingError` for a card beside a GPU of a maker whose computers take none."""
    table = platforms()
    makers = set(words_of(machine.cpu_name))
    others = []
    for card in machine.cards:
        maker = card.vendor.lower()
        makers.add(maker)
        if maker not in table.unified_makers:
            others.append(card)
    takes_cards = makers.isdisjoint(table.unified_makers)
    if machine.platform in table.unified_platforms:
        takes_cards = False
    if takes_cards or not others:
        return
    message = f"a computer with an Apple chip cannot have a {others[0].name} beside its own GPU"
    instead = "leave it out, or name a computer that takes cards: --machine"
    if named:
        problem = Problem(
            file="--gpu", message=message, remedy=f"{instead} '{named[0].label}'"
        )
    else:
        problem = _fault("gpu", message, f"{instead} 'Ryzen 5 7600 32GB'")
    raise SettingError([problem])


class _Settings:
    """The settings that were given, and their faults.

    `texts` has the settings as they were typed, `values` what they mean, both by the key. Those of
    `gpu` hold every GPU, and `cards` has the text of each.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.values: FactValues = {}
        self.cards: list[str] = []
        self.problems: list[Problem] = []

    def source_of(self, key: str) -> str:
        """The source of the facts that a key states, as the user typed the setting."""
        source = f"--set {shown(self.texts[key])}"
        value = self.values[key]
        if isinstance(value, MemoryRate) and value.is_measured:
            return f"measured, by {source}"
        return source

    def add(
        self,
        key: str,
        setting: str,
        text: str,
    ) -> None:
        """Read the text of a setting whose key is known. A further GPU is added to the earlier
        ones; any other key may be set once.
        """
        if not self._may_set(key, text):
            self.problems.append(_fault(key, "is set several times", "set it once"))
            return
        try:
            value = value_of(key, text)
        except SettingError as error:
            self.problems += error.problems
            return
        if key == "gpu":
            self.cards.append(text)
        if key in self.values:
            self.values[key] += value
            self.texts[key] += f", {setting}"
        else:
            self.values[key] = value
            self.texts[key] = setting

    def _may_set(self, key: str, text: str) -> bool:
        """Whether a key may be set: for the first time, or to a GPU beside other GPUs."""
        if key not in self.values:
            return True
        if key != "gpu" or text.lower() == "none":
            return False
        return bool(self.values[key])


def _read_settings(settings: Sequence[str]) -> _Settings:
    """Read all settings, and collect the faults of wrong ones."""
    read = _Settings()
    for setting in map(str.strip, settings):
        name, is_set, text = setting.partition("=")
        key = name.strip().lower().replace("-", "_")
        text = text.strip(" ")
        if key in SETTINGS:
            read.add(key, setting, text)
        else:
            read.problems.append(_unknown_key(key, text if is_set else None))
    return read


def _unknown_key(key: str, value: str | None) -> Problem:
    """The fault of an unknown key, with what to write instead. `value` is None where the setting
    has no `=`.
    """
    also = [name for name in SETTINGS if key in _setting_row(name).also]
    guess = also[0] if also else nearest(key, SETTINGS)
    if value is None:
        return _fault(key, "is not KEY=VALUE", _how_to_write(guess or "memory"))
    if guess is None:
        return _fault(key, "cannot be set", f"one of {', '.join(SETTINGS)}")
    is_bare = value.isdecimal()
    if is_bare and guess in _KEYS_OF_SIZES:
        value = f"{value}GB"
    return _fault(key, "cannot be set", f"did you mean {guess}={shortened(value)}?")


def _facts_of_setting(
    before: Machine,
    key: str,
    value: Any,
) -> FactValues:
    """The facts that a setting states, and None for each fact that the setting makes untrue."""
    if isinstance(value, MemoryRate):
        return value.facts
    if key == "disk":
        return {"disks": filled_disks(before.disks, value)}
    setting = _setting_row(key)
    stated: FactValues = dict.fromkeys(setting.facts, value)
    if key == "architecture" and value == before.architecture:
        return stated
    facts: FactValues = dict.fromkeys(setting.lost)
    # another number of cores reads memory at another pace than was measured
    has_other_cores = key == "cores" and value != before.cpu_cores_usable
    if has_other_cores and before.is_bandwidth_measured:
        facts[BANDWIDTH] = None
    return facts | stated


def filled_disks(disks: Sequence[Disk] | None, free: int) -> tuple[Disk, ...]:
    """Return each disk with `free` bytes free, and a new disk for each purpose that has none."""
    all_disks = list(disks or ())
    purposes = [disk.purpose for disk in all_disks]
    for purpose in PURPOSES:
        if purpose not in purposes:
            all_disks.append(Disk(purpose=purpose, path="the disk"))
    filled = []
    for disk in all_disks:
        total = disk.total_bytes
        if total is not None:
            total = max(free, total)
        filled.append(disk.replace(free_bytes=free, writable=True, total_bytes=total))
    return tuple(filled)


def planned(machine: Machine) -> Machine:
    """Return the machine for planning: its memory counts as a whole, and unknown disks, cores and
    instruction sets are assumed.

    Sets that the stated instruction sets imply are added to them.
    """
    assumed = [*machine.assumed, *_assumed_disks(machine)]
    sources = dict(machine.sources)
    facts = {}
    if machine.instruction_sets is not None:
        stated = machine.instruction_sets
        facts["instruction_sets"] = with_implied(stated, machine.architecture)
    else:
        guess = assumed_sets(machine)
        if guess is not None:
            facts["instruction_sets"] = guess.sets
            sources["instruction_sets"] = f"assumed: {guess.why}"
            assumed.append("instruction_sets")
    cores = _cores_of(machine)
    if cores is not None:
        facts |= cores.facts
        sources |= dict.fromkeys(cores.facts, cores.why)
        if not cores.are_known:
            assumed.append("cpu_cores_usable")
    return machine.replace(
        **facts,
        planning=True,
        sources=sources,
        assumed=tuple(dict.fromkeys(assumed)),
    )


def _assumed_disks(machine: Machine) -> list[str]:
    """The names of the facts of disks that the machine lacks."""
    if machine.disks is None:
        return ["disks"]
    facts = []
    for disk in machine.disks:
        if disk.free_bytes is None:
            facts.append(f"disks.{disk.purpose}.free_bytes")
    for purpose in PURPOSES:
        if machine.disk_for(purpose) is None:
            facts.append(f"disks.{purpose}")
    return facts


class _Cores(Record):
    """The cores of a machine that states none, and the reason for their number."""

    facts: FactValues
    why: str
    are_known: bool


def _cores_of(machine: Machine) -> _Cores | None:
    """The cores of a machine that states none: the cores that the processor's name tells, else one
    core for each 4 GiB of memory.

    None where the machine states its cores, and where neither processor nor memory is known.
    """
    if machine.cpu_cores_usable is not None:
        return None
    # a guest or a container has only some of the processor's cores
    if machine.scope == "host":
        listed = gpus.cores_in(machine)
        if listed is not None:
            return _cores_listed(listed)
    memory = machine.memory_limit_bytes or machine.memory_total_bytes
    if memory is None:
        return None
    count = memory // _ASSUMED_BYTES_PER_CORE
    count = max(1, min(count, _MOST_ASSUMED_CORES))
    return _Cores(
        facts={"cpu_cores_usable": float(count)},
        why=f"assumed: one for each {units.binary(_ASSUMED_BYTES_PER_CORE)} of memory",
        are_known=False,
    )


def _cores_listed(listed: CoreCounts) -> _Cores:
    """The usual cores of the processors that the name means."""
    least, usual, most = listed.physical
    facts: FactValues = {
        "cpu_cores_physical": usual,
        "cpu_cores_usable": float(listed.usable),
    }
    if listed.performance != listed.physical:
        facts["cpu_cores_performance"] = listed.performance.usual
    why = f"assumed: {least} to {most}, as processors of that kind have"
    if listed.are_known:
        why = "as its maker lists that model"
    return _Cores(facts=facts, why=why, are_known=listed.are_known)
