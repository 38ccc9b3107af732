"""Facts that a policy states for the machines of a class: they stand where a record has none.

Nothing that was read is replaced, unless the class says so. Each such fact has the line of the
policy as its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.tomlfile import Table
from ..core.units import binary
from ..machine.changes import SettingError, filled_disks, own_sets, value_of, with_implied
from ..machine.record import MAX_TEXT, Machine
from .entries import StatedFact

# by key of a policy, in the order in which they are put: the fact, and what to write where the
# advice of `--set` is another. `reserve` is memory that the policy keeps back, the other keys are
# those of `--set`
_KEYS: Mapping[str, tuple[str, str | None]] = {
    "architecture": ("architecture", None),
    "system": ("system", None),
    "memory": ("memory_total_bytes", '"64GiB"'),
    "bandwidth": ("memory_bandwidth_bytes_per_second", '"80GB/s"'),
    "gpu": ("accelerators", '"24GiB", "2x24GiB:NAME:900GB/s" or a name with its maker'),
    "disk": ("disks", '"500GB"'),
    "reserve": ("memory_limit_bytes", '"4GiB"'),
    "cores": ("cpu_cores_usable", "8"),
    "instruction_sets": ("instruction_sets", '["avx2", "f16c"]'),
}


def read_facts(table: Table | None) -> tuple[StatedFact, ...]:
    """The facts of one `[[class]]`; what is wrong with them is a problem of the document."""
    if table is None:
        return ()
    cores = table.number("cores")
    texts = {key: table.string(key) for key in _KEYS if key not in ("cores", "instruction_sets")}
    texts["cores"] = None if cores is None else f"{cores:g}"
    texts["instruction_sets"] = ",".join(table.strings("instruction_sets")) or None
    override = table.strings("override", choices=tuple(key for key in _KEYS if key != "reserve"))
    for index, key in enumerate(override):
        if key not in table:
            remedy = f"state {key}, or leave it out here"
            place = (*table.path, "override", index)
            table.document.add(place, f'"{key}" is not among the facts', remedy)
    table.close()
    facts = []
    for key, text in texts.items():
        if text is None:
            continue
        try:
            value = value_of("memory" if key == "reserve" else key, text)
        except SettingError as error:
            table.problem(key, error.problems[0].message, _remedy(key, error.problems[0].remedy))
            continue
        facts.append(StatedFact(key=key, text=text, value=value, overrides=key in override))
    return tuple(facts)


def _remedy(key: str, remedy: str | None) -> str | None:
    """What to write in a policy, where the advice is of the command line."""
    _, example = _KEYS[key]
    if remedy is None or example is None or not (key == "gpu" or "=" in remedy):
        return remedy
    near, is_else, _ = remedy.partition(" Else ")
    return f"{near} Else write {key} = {example}" if is_else else f"write {key} = {example}"


def filled(
    machine: Machine, stated: Mapping[str, tuple[StatedFact, str]]
) -> tuple[Machine, tuple[str, ...]]:
    """The machine with the facts that it lacks, which are no longer assumed, and the keys of those
    that count for it. `stated` has by key the fact and the policy's line as people read it.
    """
    used = []
    for key, (fact, _) in _KEYS.items():
        if key not in stated:
            continue
        each, line = stated[key]
        is_open = getattr(machine, fact) is None or fact in machine.assumed or each.overrides
        values = _values(machine, each) if is_open or key == "reserve" else {}
        if key == "instruction_sets" and not is_open:
            values = _unread_sets(machine, each.value)
        if not values:
            continue
        if key == "reserve":
            before = machine.sources.get(fact, "the memory in all")
            line = f"{before}; less {binary(each.value)} that is kept back, {line}"
        sources = {**machine.sources, **dict.fromkeys(values, line[:MAX_TEXT])}
        assumed = tuple(name for name in machine.assumed if name.partition(".")[0] not in values)
        machine = machine.replace(**values, sources=sources, assumed=assumed)
        used.append(key)
    return machine, tuple(used)


def _unread_sets(machine: Machine, names: tuple[str, ...]) -> dict[str, Any]:
    """Beside sets that were read those that are not known to be absent."""
    unread = {entry.fact for entry in machine.unread}
    own = own_sets(names, machine.architecture)
    added = [name for name in own if f"instruction_sets.{name}" in unread]
    return {"instruction_sets": (*(machine.instruction_sets or ()), *added)} if added else {}


def _values(machine: Machine, stated: StatedFact) -> dict[str, Any]:
    """The facts of a machine that a stated one changes; {} where it says nothing of it."""
    fact, value = _KEYS[stated.key][0], stated.value
    limit, free = machine.memory_limit_bytes, machine.memory_available_bytes
    match stated.key:
        case "memory":
            lower = None if stated.overrides or limit is None else min(limit, value)
            values = {fact: value, "memory_limit_bytes": value if lower is None else lower}
            return values | ({"memory_available_bytes": None} if stated.overrides else {})
        case "reserve":
            # the limit is that much lower, whatever was read of it
            most = machine.memory_total_bytes if limit is None else limit
            if most is None:
                return {}
            limit = max(0, most - value)
            lower_free = {} if free is None else {"memory_available_bytes": min(free, limit)}
            return {fact: limit} | lower_free
        case "instruction_sets":
            # a class may hold machines of several architectures: each gets those of its own
            names = own_sets(value, machine.architecture)
            is_of_others = value and not names
            return {} if is_of_others else {fact: with_implied(names, machine.architecture)}
        case "disk":
            return {fact: filled_disks(machine.disks, value)}
        case "bandwidth":
            how = {"memory_bandwidth_how": None, "memory_bandwidth_bound": None}
            return {fact: value[0], **how}
    return {fact: value}
