"""What if: a machine with some facts changed, and what is assumed of one that is only planned."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..core import units
from ..core.errors import InputError, Problem
from ..core.records import fault_of, shortened, shown
from ..core.tables import TomlRow, shipped_table
from ..core.units import nearest, parse_number, parse_size, words_of
from . import cpus, gpus, record
from .platforms import normal_architecture, normal_system
from .record import BANDWIDTH, PURPOSES, Accelerator, Disk, FactValues, Machine
from .understand import cards_named
from .words import (
    MOST_CARDS,
    GpuCountError,
    NamedCards,
    UnknownGpuError,
    joined,
    rewritten,
)

# general-purpose machines of the clouds and of CI: 16 GiB with 4 cores (AWS m7i and m8g, GitHub,
# GitLab)
_ASSUMED_BYTES_PER_CORE = 4 * units.GIB
_MOST_ASSUMED_CORES = 64
# `2x24GiB:NAME`, `8 x 80 GB`: a number of GPUs before a size
_COUNT_OF_SIZES = r"\s*(\d{1,9})\s*[x×*]\s*(\d+(?:\.\d+)?\s*(?:[kmgt]?i?b?)\s*(?::.*)?)"
# `24GiB`, `24GiB:NAME`, `24GiB:900GB/s`, `24GiB:NAME:900GB/s`
_SIZE_NAME_AND_RATE = r"([^:,]+)(?::(.*?))??(?::([^:]*/s\s*))?"


class SettingError(InputError):
    """A `--set` makes no sense; `problems` names every one that does not."""


def _size(text: str, most: int = record.MAX_MEMORY_BYTES) -> int:
    size = parse_size(text)
    if not 1 <= size <= most:
        words = (
            "is nothing"
            if size < 1
            else f"is {units.binary(size)}: no machine has that much"
        )
        raise ValueError(words)
    return size


def _bandwidth(text: str) -> tuple[int, bool]:
    """Bytes per second, and whether that is what was measured and no peak."""
    rate, colon, how = text.partition(":")
    if colon and how.strip().lower() != "measured":
        example = "write for example bandwidth=80GB/s or bandwidth=80GB/s:measured"
        raise ValueError(f"{shortened(how.strip())!r} is not `measured`", example)
    size = re.sub(r"(?:/second|/sec|/s|ps)$", "", rate.strip(), flags=re.IGNORECASE)
    if re.search(r"[kmgtKMGT]b$", size):
        raise ValueError(
            f"{shortened(rate)!r} may mean bits: write a bandwidth in bytes"
        )
    return _size(size), bool(colon)


def _cores(text: str) -> float:
    number = parse_number(text)
    if not record.MIN_CORES <= number <= record.MAX_CORES:
        raise ValueError(
            f"is {number:g}: it must be from {record.MIN_CORES} to {record.MAX_CORES:,}"
        )
    return number


def _gpu(text: str) -> tuple[Accelerator, ...]:
    """`24GiB`, `2x24GiB:NAME`, `24GiB:NAME:900GB/s`, or names as of `--gpu`."""
    counted = re.fullmatch(_COUNT_OF_SIZES, text, re.IGNORECASE | re.ASCII)
    try:
        return cards_named(text).accelerators
    except GpuCountError as error:
        raise ValueError(str(error), error.remedy) from None
    except UnknownGpuError as error:
        if error.nearest and ":" not in text and not counted:
            raise ValueError(str(error), error.remedy) from None
    count = int(counted[1]) if counted else 1
    if count > MOST_CARDS:
        what = f"{shortened(text)!r} names {count:,} GPUs, and selfhost judges at most {MOST_CARDS}"
        raise ValueError(what, "write for example gpu=2x24GiB")
    if count < 1:
        raise ValueError(f"{shortened(text)!r} names 0 GPUs", "write gpu=none")
    one = counted[2] if counted else text
    match = re.fullmatch(_SIZE_NAME_AND_RATE, one, re.IGNORECASE | re.ASCII)
    if match is None:
        what = f"takes one size for each GPU, and 1 to {MOST_CARDS} GPUs"
        raise ValueError(what, "write for example gpu=2x24GiB, or one setting for each")
    memory = _size(match[1])
    rate = _bandwidth(match[3])[0] if match[3] else None
    name = (match[2] or "").strip() or f"GPU with {units.binary(memory)}"
    if fault := fault_of(name, str):
        raise ValueError(fault[0], "give it plain text, without line breaks")
    name = rewritten(name, "spelling")
    card = Accelerator(
        vendor=gpus.vendor_of(name),
        name=name,
        memory_total_bytes=memory,
        unified=False,
        memory_bandwidth_bytes_per_second=rate,
    )
    return (card,) * count


def _choice(key: str, normal: Callable[[str], str], typed: str) -> str:
    name, choices = normal(typed), _rows()[key]["choices"]
    if name in choices:
        return name
    listed, near = ", ".join(choices), nearest(name, choices)
    hint = f"did you mean {near}?" if near else f"write one of {listed}"
    raise ValueError(f"{shortened(typed)!r} is not one of {listed}", hint)


def _instruction_sets(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    if odd := [
        name for name in names if not re.fullmatch(r"[a-z0-9_]{1,40}", name, re.ASCII)
    ]:
        example = "write them as Linux does: instruction_sets=avx2,fma,f16c"
        raise ValueError(f"{shortened(odd[0])!r} is not an instruction set", example)
    return () if names == ("none",) else names


_READERS: Mapping[str, Callable[[str], Any]] = {
    "architecture": partial(_choice, "architecture", normal_architecture),
    "memory": _size,
    "cores": _cores,
    # a full disk is something to ask about
    "disk": lambda text: (
        0 if text.strip() == "0" else _size(text, record.MAX_DISK_BYTES)
    ),
    "bandwidth": _bandwidth,
    "gpu": _gpu,
    "system": partial(_choice, "system", normal_system),
    "instruction_sets": _instruction_sets,
}
# the keys of `--set`, in the order of their use: a later one may state what an earlier one lost
SETTINGS = tuple(_READERS)


def _rows() -> TomlRow:
    """By key `example`, `facts` that it states, those `lost`, other names (`also`), `choices`."""
    rows: TomlRow = shipped_table("words")["setting"]
    return rows


def value_of(key: str, text: str) -> Any:
    """The value of one setting; of `gpu` a tuple of cards. `SettingError` says what is wrong."""
    try:
        if text:
            return _READERS[key](text)
        raise ValueError("has no value")
    except ValueError as error:
        message, remedy = (*error.args, f"write for example {_rows()[key]['example']}")[
            :2
        ]
        raise SettingError(
            [_fault(key, message.partition(": write for")[0], remedy)]
        ) from None


def _fault(key: str, message: str, remedy: str | None) -> Problem:
    return Problem(
        file="--set", key=shortened(key) or None, message=message, remedy=remedy
    )


def apply(
    machine: Machine, settings: Sequence[str], named: Sequence[NamedCards] = ()
) -> Machine:
    """`machine` as it would be with each `key=value` of `settings`, and with the `named` GPUs in
    place of its own, for planning; without either as it is. Raises `SettingError` with every fault.
    """
    if not settings and not named:
        return machine
    texts, values, problems = _read_settings(settings)
    problems += _faults_of_cards(named, are_set="gpu" in texts)
    if problems:
        raise SettingError(problems)
    changed = machine
    for key in (key for key in SETTINGS if key in values):
        is_measured = key == "bandwidth" and values[key][1]
        how = "measured, by " if is_measured else ""
        facts = _facts_of_setting(changed, key, values[key])
        changed = changed.stated(facts, f"{how}--set {shown(texts[key])}")
    if named:
        notes = (text for each in named for text in (*each.notes, each.source))
        facts = {"accelerators": joined(named).accelerators}
        # the disk of the computer that was read says nothing about the one that has these GPUs
        facts |= {} if "disk" in texts else {"disks": None}
        changed = changed.stated(facts, "; ".join(notes))
    if named or "gpu" in texts:
        _refuse_cards_on_apple(changed, named)
    what = ", ".join([*(each.label for each in named), *map(str.strip, settings)])
    return planned(changed.replace(name=shortened(f"{machine.name} with {what}", 120)))


def _faults_of_cards(named: Sequence[NamedCards], *, are_set: bool) -> list[Problem]:
    """What is wrong with the GPUs of `--gpu`; `are_set`: `--set gpu=…` is given, too."""
    counts = [len(cards.accelerators) for cards in named]
    if named and are_set:
        message = "is given, and --set gpu=… as well: both say which GPUs there are"
    elif len(counts) > 1 and not all(counts):
        message = "none means no GPU: write it on its own"
    elif sum(counts) > MOST_CARDS:
        message = f"{sum(counts)} GPUs are more than the {MOST_CARDS} judged"
    else:
        return []
    return [Problem(file="--gpu", message=message, remedy="leave one of them out")]


def _refuse_cards_on_apple(machine: Machine, named: Sequence[NamedCards]) -> None:
    every = machine.accelerators or ()
    cards = [card for card in every if card.vendor.lower() != "apple"]
    is_apple = len(cards) < len(every) or "apple" in words_of(machine.cpu_model or "")
    if cards and (
        is_apple or (machine.system, machine.architecture) == ("macos", "aarch64")
    ):
        message = f"a computer with an Apple chip cannot have a {cards[0].name} beside its own GPU"
        other = named[0].label if named else "Ryzen 5 7600 32GB"
        remedy = (
            f"leave it out, or name a computer that takes cards: --machine '{other}'"
        )
        file, key = ("--gpu", None) if named else ("--set", "gpu")
        raise SettingError(
            [Problem(file=file, key=key, message=message, remedy=remedy)]
        )


def _read_settings(
    settings: Sequence[str],
) -> tuple[dict[str, str], FactValues, list[Problem]]:
    """The text and the value of each key, of `gpu` all of them; and what is wrong."""
    texts, values, problems = dict[str, str](), FactValues(), list[Problem]()
    for setting in map(str.strip, settings):
        key, is_set, text = setting.partition("=")
        key, text = key.strip().lower().replace("-", "_"), text.strip(" ")
        is_one_more = key == "gpu" and values.get(key) and text.lower() != "none"
        if key in values and not is_one_more:
            problems.append(_fault(key, "is set several times", "set it once"))
        elif key not in SETTINGS:
            problems.append(_unknown_key(key, text if is_set else None))
        else:
            try:
                value = value_of(key, text)
            except SettingError as error:
                problems += error.problems
                continue
            values[key] = values.get(key, ()) + value if key == "gpu" else value
            texts[key] = f"{texts[key]}, {setting}" if key in texts else setting
    return texts, values, problems


def _unknown_key(key: str, value: str | None) -> Problem:
    guess = next((name for name in SETTINGS if key in _rows()[name]["also"]), None)
    guess = guess or nearest(key, SETTINGS)
    if value is None:
        like = guess or "memory"
        return _fault(
            key, "is not KEY=VALUE", f"write for example {_rows()[like]['example']}"
        )
    if guess is None:
        return _fault(key, "cannot be set", f"one of {', '.join(SETTINGS)}")
    is_size = guess in ("memory", "disk", "gpu")
    if is_size and value.isdecimal():
        value = f"{value}GB"
    return _fault(key, "cannot be set", f"did you mean {guess}={shortened(value)}?")


def _facts_of_setting(before: Machine, key: str, value: Any) -> FactValues:
    """What it states, and None for each fact that is lost by it."""
    lost, how = _rows()[key]["lost"], {}
    if key == "disk":
        value = filled_disks(before.disks, value)
    elif key == "bandwidth":
        value, is_measured = value
        how = {"memory_bandwidth_how": record.MEASURED if is_measured else None}
        how |= {"memory_bandwidth_bound": None}
    elif key == "architecture" and value == before.architecture:
        lost = ()
    elif (
        key == "cores"
        and before.is_bandwidth_measured
        and value != before.cpu_cores_usable
    ):
        lost = (*lost, BANDWIDTH)
    return {**dict.fromkeys(lost), **how, **dict.fromkeys(_rows()[key]["facts"], value)}


def filled_disks(disks: Sequence[Disk] | None, free: int) -> tuple[Disk, ...]:
    """Every place with that much free, and a place for each kind of store that has none."""
    own = {disk.purpose: disk for disk in disks or ()}
    own |= {
        name: Disk(purpose=name, path="the disk")
        for name in PURPOSES
        if name not in own
    }
    return tuple(
        disk.replace(
            free_bytes=free,
            writable=True,
            total_bytes=None
            if disk.total_bytes is None
            else max(free, disk.total_bytes),
        )
        for disk in own.values()
    )


def planned(machine: Machine) -> Machine:
    """The same machine for planning: its memory counts as a whole, and disks, cores and instruction
    sets that it lacks are assumed. Those sets that it has bring what they imply.
    """
    assumed, sources, changes = (
        list(machine.assumed),
        dict(machine.sources),
        FactValues(),
    )
    if machine.disks is None:
        assumed.append("disks")
    else:
        unread = [disk.purpose for disk in machine.disks if disk.free_bytes is None]
        assumed += [f"disks.{purpose}.free_bytes" for purpose in unread]
        assumed += [
            f"disks.{purpose}"
            for purpose in PURPOSES
            if machine.disk_for(purpose) is None
        ]
    if machine.instruction_sets is not None:
        changes["instruction_sets"] = with_implied(
            machine.instruction_sets, machine.architecture
        )
    elif (sets := _class_sets(machine)) is not None:
        changes["instruction_sets"], why = sets
        sources["instruction_sets"] = f"assumed: {why}"
        assumed.append("instruction_sets")
    if machine.cpu_cores_usable is None:
        facts, why = _assumed_cores(machine)
        changes |= facts
        sources |= dict.fromkeys(facts, why)
        assumed += ["cpu_cores_usable"] if why.startswith("assumed") else []
    assumed = [*dict.fromkeys(assumed)]
    return machine.replace(
        **changes, planning=True, sources=sources, assumed=tuple(assumed)
    )


def _assumed_cores(machine: Machine) -> tuple[FactValues, str]:
    """Those that the processor's name tells, else one for so much memory; and why."""
    cores = gpus.cores_in(machine) if machine.scope == "host" else None
    memory = machine.memory_limit_bytes or machine.memory_total_bytes
    if cores is not None:
        facts = {
            "cpu_cores_physical": cores.physical[1],
            "cpu_cores_usable": float(cores.usable),
        }
        if cores.performance != cores.physical:
            facts["cpu_cores_performance"] = cores.performance[1]
        least, _, most = cores.physical
        guess = f"assumed: {least} to {most}, as processors of that kind have"
        return facts, "as its maker lists that model" if cores.are_known else guess
    if memory is None:
        return {}, ""
    count = min(_MOST_ASSUMED_CORES, max(1, memory // _ASSUMED_BYTES_PER_CORE))
    why = f"assumed: one for each {units.binary(_ASSUMED_BYTES_PER_CORE)} of memory"
    return {"cpu_cores_usable": float(count)}, why


def with_implied(sets: Sequence[str], architecture: str | None) -> tuple[str, ...]:
    """Those that were named, then those that they bring and those that every processor of the
    architecture has.
    """
    table = shipped_table("cpus")["instruction_sets"]
    # as an ordered set
    found = dict.fromkeys([*sets, *table["baseline"].get(architecture or "", ())])
    waiting = deque(found)
    while waiting:
        for implied in table["implied"].get(waiting.popleft(), ()):
            if implied not in found:
                found[implied] = None
                waiting.append(implied)
    return tuple(found)


def own_sets(sets: Sequence[str], architecture: str | None) -> tuple[str, ...]:
    """Those that a processor of the architecture may have: AVX2 is none of an Arm processor's. A
    name that no table here has may be any processor's, and one of unknown architecture have any.
    """
    table = shipped_table("cpus")["instruction_sets"]
    if architecture not in table["baseline"]:
        return tuple(sets)
    others = {*table["baseline"]} - {architecture}
    foreign = {name for other in others for name in table["assumed"][other]}
    base = {name for other in others for name in table["baseline"][other]}
    return tuple(
        n
        for n in sets
        if n not in foreign and base.isdisjoint(with_implied((n,), None))
    )


def _class_sets(machine: Machine) -> tuple[tuple[str, ...], str] | None:
    """The instruction sets of a processor of its class, and why these; None where nothing tells."""
    table = shipped_table("cpus")["instruction_sets"]
    architecture, name = machine.architecture or "", machine.cpu_model or ""
    around = cpus.class_of(name) if cpus.processor_of(name) is None else {}
    if "least_vectors" in around:
        row = table["least"][around["least_vectors"]]
        why = f"many processors of that name lack {row['lack']}"
        return with_implied(row["have"], "x86_64"), why
    assumed, own = table["assumed"], f"{machine.system}-{architecture}"
    sets = assumed.get(own, assumed.get(architecture))
    return sets and (tuple(sets), f"what nearly every {architecture} processor has")
