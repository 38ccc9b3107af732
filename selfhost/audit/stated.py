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
from ..machine.fields import MAX_TEXT
from ..machine.record import Machine
from .entries import StatedFact

# by fact, or part of a fact, its value and source
Changes = dict[str, tuple[Any, str]]

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
_MEMORY = ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes")


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
            message, remedy = (
                f'"{key}" is not among the facts',
                f"state {key}, or leave it out here",
            )
            table.document.add((*table.path, "override", index), message, remedy)
    table.close()
    facts = []
    for key in _KEYS:
        text = texts[key]
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
    for key in _KEYS:
        changes = _changes(machine, *stated[key]) if key in stated else {}
        if changes:
            values = {fact: value for fact, (value, _) in changes.items() if "." not in fact}
            sources = {fact: source[:MAX_TEXT] for fact, (_, source) in changes.items()}
            if "memory_bandwidth_bytes_per_second" in values:
                values |= {"memory_bandwidth_how": None, "memory_bandwidth_bound": None}
            assumed = [each for each in machine.assumed if each.partition(".")[0] not in values]
            sources = {**machine.sources, **sources}
            machine = machine.replace(**values, sources=sources, assumed=tuple(assumed))
            used.append(key)
    return machine, tuple(used)


def _changes(machine: Machine, stated: StatedFact, line: str) -> Changes:
    """What a stated fact changes of a machine; nothing where all that it says was read."""
    fact, value = _KEYS[stated.key][0], stated.value
    is_open = getattr(machine, fact) is None or fact in machine.assumed or stated.overrides
    match stated.key:
        case "memory":
            return _memory(machine, stated, line)
        case "reserve":
            return _reserve(machine, stated, line)
        case "instruction_sets":
            return _sets(machine, stated, line, is_open=is_open)
        case "disk":
            disks = filled_disks(machine.disks, value)
            return {fact: (disks, line)} if is_open else _lacking_disks(machine, disks, line)
        case "gpu" if not is_open:
            return _memory_of_cards(machine, stated, line)
        case "bandwidth" if is_open:
            peak, is_measured = value
            return {fact: (peak, f"measured, {line}" if is_measured else line)}
    return {fact: (value, line)} if is_open else {}


def _memory(machine: Machine, stated: StatedFact, line: str) -> Changes:
    total, limit, available = before = tuple(getattr(machine, fact) for fact in _MEMORY)
    if stated.overrides:
        total, limit, available = stated.value, stated.value, None
    else:
        total = max(stated.value, limit or 0) if total is None else total
        limit = min(stated.value, total) if limit is None else limit
    return {
        fact: (new, line)
        for fact, old, new in zip(_MEMORY, before, (total, limit, available), strict=True)
        if new != old or (new is not None and stated.overrides)
    }


def _reserve(machine: Machine, stated: StatedFact, line: str) -> Changes:
    """The limit is that much lower, whatever was read of it."""
    total, limit, available = (getattr(machine, fact) for fact in _MEMORY)
    most = total if limit is None else limit
    if most is None:
        return {}
    limit = max(0, most - stated.value)
    source = machine.sources.get("memory_limit_bytes", "the memory in all")
    kept = f"{source}; less {binary(stated.value)} that is kept back, {line}"
    changes: Changes = {"memory_limit_bytes": (limit, kept)}
    if available is not None and available > limit:
        changes["memory_available_bytes"] = (limit, kept)
    return changes


def _sets(machine: Machine, stated: StatedFact, line: str, *, is_open: bool) -> Changes:
    """A class may hold machines of several architectures: each gets those of its own. Of sets that
    were read in part, those that are not known to be absent.
    """
    fact = "instruction_sets"
    names = own_sets(stated.value, machine.architecture)
    if stated.value and not names:
        return {}
    if is_open:
        return {fact: (with_implied(names, machine.architecture), line)}
    unread = {entry.fact for entry in machine.unread}
    added = [name for name in names if f"{fact}.{name}" in unread]
    source = f"{machine.sources.get(fact, 'read')}; {', '.join(added)} {line}"
    return {fact: ((*(machine.instruction_sets or ()), *added), source)} if added else {}


def _memory_of_cards(machine: Machine, stated: StatedFact, line: str) -> Changes:
    """Of cards whose memory was not read, the memory, where the policy knows one kind alone."""
    read = machine.accelerators or ()
    if len(set(stated.value)) != 1 or all(card.memory_total_bytes is not None for card in read):
        return {}
    kind, bandwidth = stated.value[0], "memory_bandwidth_bytes_per_second"
    cards = tuple(
        card.replace(
            memory_total_bytes=kind.memory_total_bytes,
            unified=kind.unified if card.unified is None else card.unified,
            **{bandwidth: getattr(card, bandwidth) or getattr(kind, bandwidth)},
        )
        if card.memory_total_bytes is None
        else card
        for card in read
    )
    source = machine.sources.get("accelerators", line)
    return {
        "accelerators": (cards, source),
        "accelerators.memory_total_bytes": (None, line),
    }


def _lacking_disks(machine: Machine, stated: tuple[Any, ...], line: str) -> Changes:
    read = machine.disks or ()
    disks = tuple(
        read[index] if index < len(read) and read[index].free_bytes is not None else disk
        for index, disk in enumerate(stated)
    )
    changed = [disk.purpose for disk in disks if disk not in read]
    source = f"{machine.sources.get('disks', 'read')}; for {', '.join(changed)} {line}"
    return {"disks": (disks, source)} if changed else {}
