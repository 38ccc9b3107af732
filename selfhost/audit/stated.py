"""Facts that a policy states for the machines of a class: they stand where a record has none.

Nothing that was read is replaced, unless the class says so. Each such fact has the line of the
policy as its source.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.tomlfile import Table
from ..core.units import binary
from ..machine.changes import SettingError, filled_disks, own_sets, value_of, with_implied
from ..machine.record import MAX_TEXT, Accelerator, Machine
from .entries import StatedFact

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # of each key the fact that counts, and the policy's line as people read it
    Stated = Mapping[str, tuple[StatedFact, str]]

# memory that the policy keeps back; the other keys are those of `--set`
RESERVE = "reserve"
_TEXT_KEYS = (
    "architecture", "system", "memory", "bandwidth", "gpu", "disk", RESERVE,
)  # fmt: skip
KEYS = (*_TEXT_KEYS, "cores", "instruction_sets")
# which a policy may state in place of what was read
OVERRIDABLE = tuple(key for key in KEYS if key != RESERVE)
_MEMORY = ("memory_total_bytes", "memory_limit_bytes", "memory_available_bytes")
_BANDWIDTH = "memory_bandwidth_bytes_per_second"


def read_facts(table: Table | None) -> tuple[StatedFact, ...]:
    """The facts of one `[[class]]`; what is wrong with them is a problem of the document."""
    if table is None:
        return ()
    texts = {key: table.string(key) for key in _TEXT_KEYS}
    cores = table.number("cores")
    texts["cores"] = None if cores is None else f"{cores:g}"
    texts["instruction_sets"] = ",".join(table.strings("instruction_sets")) or None
    over = table.strings("override", choices=OVERRIDABLE)
    for index, key in enumerate(over):
        if key not in table:
            table.document.add(
                (*table.path, "override", index),
                f'"{key}" is not among the facts',
                f"state {key}, or leave it out here",
            )
    table.close()
    facts = []
    for key, text in texts.items():
        if text is None:
            continue
        try:
            value = value_of("memory" if key == RESERVE else key, text)
        except SettingError as error:
            table.problem(key, error.problems[0].message, _remedy(key, error.problems[0].remedy))
            continue
        facts.append(StatedFact(key=key, text=text, value=value, overrides=key in over))
    return tuple(facts)


# as a policy writes them; the other keys have words of their own
_EXAMPLES = {
    "memory": '"64GiB"',
    RESERVE: '"4GiB"',
    "disk": '"500GB"',
    "bandwidth": '"80GB/s"',
    "cores": "8",
    "instruction_sets": '["avx2", "f16c"]',
    "gpu": '"24GiB", "2x24GiB:NAME:900GB/s" or a name with its maker',
}


def _remedy(key: str, remedy: str | None) -> str | None:
    """What to write in a policy, where the advice is of the command line."""
    if remedy is None or key not in _EXAMPLES or not (key == "gpu" or "=" in remedy):
        return remedy
    near, is_else, _ = remedy.partition(" Else ")
    example = f"write {key} = {_EXAMPLES[key]}"
    return f"{near} Else {example}" if is_else else example


class _Filling:
    """One machine while facts are put into it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.values: dict[str, Any] = {}
        self.sources = dict(machine.sources)
        self.assumed = list(machine.assumed)
        # those of the policy's facts that count
        self.used: list[str] = []

    def may(self, fact: str, stated: StatedFact) -> bool:
        """Whether the fact is the policy's to state: it was not read, or may be replaced."""
        is_open = getattr(self.machine, fact) is None or fact in self.assumed
        return is_open or stated.overrides

    def put(self, key: str, fact: str, value: Any, source: str) -> None:
        """The fact has that value."""
        self.values[fact] = value
        self.sources[fact] = source[:MAX_TEXT]
        self.assumed = [
            each for each in self.assumed if each != fact and not each.startswith(f"{fact}.")
        ]
        if key not in self.used:
            self.used.append(key)


def filled(machine: Machine, stated: Stated) -> tuple[Machine, tuple[str, ...]]:
    """The machine with the facts that it lacks, and the keys of those that count for it."""
    filling = _Filling(machine)
    for key, fact in (
        ("architecture", "architecture"),
        ("system", "system"),
        ("cores", "cpu_cores_usable"),
    ):
        if key in stated and filling.may(fact, stated[key][0]):
            filling.put(key, fact, stated[key][0].value, stated[key][1])
    _fill_memory(filling, stated)
    for key, fill in (
        ("bandwidth", _fill_bandwidth),
        ("instruction_sets", _fill_sets),
        ("gpu", _fill_gpus),
        ("disk", _fill_disks),
    ):
        if key in stated:
            fill(filling, *stated[key])
    if not filling.used:
        return machine, ()
    replaced = machine.replace(
        **filling.values, sources=filling.sources, assumed=tuple(filling.assumed)
    )
    return replaced, tuple(filling.used)


def memory_with(
    sizes: tuple[int | None, int | None, int | None], stated: Stated
) -> tuple[int | None, int | None, int | None]:
    """Total, limit and what is available, in bytes, as the policy leaves them."""
    total, limit, available = sizes
    if "memory" in stated:
        fact = stated["memory"][0]
        if fact.overrides:
            total, limit, available = fact.value, fact.value, None
        else:
            total = max(fact.value, limit or 0) if total is None else total
            limit = min(fact.value, total) if limit is None else limit
    if RESERVE in stated and (limit if limit is not None else total) is not None:
        most = limit if limit is not None else total
        limit = max(0, (most or 0) - stated[RESERVE][0].value)
        available = None if available is None else min(available, limit)
    return total, limit, available


def _fill_memory(filling: _Filling, stated: Stated) -> None:
    before: Any = tuple(getattr(filling.machine, fact) for fact in _MEMORY)
    bare = {key: stated[key] for key in ("memory",) if key in stated}
    of_memory = memory_with(before, bare)
    for fact, old, new in zip(_MEMORY, before, of_memory, strict=True):
        if new != old or (new is not None and "memory" in stated and stated["memory"][0].overrides):
            filling.put("memory", fact, new, stated["memory"][1])
    if RESERVE not in stated:
        return
    kept, line = stated[RESERVE]
    after = memory_with(before, stated)
    if after[1] is not None:
        source = filling.sources.get("memory_limit_bytes", "the memory in all")
        less = f"{source}; less {binary(kept.value)} that is kept back, {line}"
        filling.put(RESERVE, "memory_limit_bytes", after[1], less)
        filling.values["memory_available_bytes"] = after[2]


def _fill_bandwidth(filling: _Filling, stated: StatedFact, line: str) -> None:
    if filling.may(_BANDWIDTH, stated):
        rate, is_measured = stated.value
        how = "measured, " if is_measured else ""
        filling.put(stated.key, _BANDWIDTH, rate, f"{how}{line}")


def _fill_sets(filling: _Filling, stated: StatedFact, line: str) -> None:
    """Of sets that were read in part, those that are not known to be absent. A class may hold
    machines of several architectures: each gets those of its own.
    """
    fact = "instruction_sets"
    architecture = filling.values.get("architecture", filling.machine.architecture)
    names = own_sets(stated.value, architecture)
    if stated.value and not names:
        return
    if filling.may(fact, stated):
        filling.put(stated.key, fact, with_implied(names, architecture), line)
        return
    read = filling.machine.instruction_sets or ()
    unread = {entry.fact for entry in filling.machine.unread}
    added = [name for name in names if f"{fact}.{name}" in unread]
    if added:
        source = f"{filling.sources.get(fact, 'read')}; {', '.join(added)} {line}"
        filling.put(stated.key, fact, (*read, *added), source)


def _fill_gpus(filling: _Filling, stated: StatedFact, line: str) -> None:
    """Of cards whose memory was not read, the memory, where the policy knows one kind alone."""
    fact = "accelerators"
    cards: tuple[Accelerator, ...] = stated.value
    if filling.may(fact, stated):
        filling.put(stated.key, fact, cards, line)
        return
    read = filling.machine.accelerators or ()
    if len(set(cards)) != 1 or all(card.memory_total_bytes is not None for card in read):
        return
    kind = cards[0]
    filled = tuple(
        card
        if card.memory_total_bytes is not None
        else card.replace(
            memory_total_bytes=kind.memory_total_bytes,
            unified=kind.unified if card.unified is None else card.unified,
            memory_bandwidth_bytes_per_second=card.memory_bandwidth_bytes_per_second
            or kind.memory_bandwidth_bytes_per_second,
        )
        for card in read
    )
    filling.put(stated.key, fact, filled, filling.sources.get(fact, line))
    filling.sources["accelerators.memory_total_bytes"] = line


def _fill_disks(filling: _Filling, stated: StatedFact, line: str) -> None:
    read = filling.machine.disks
    is_replaced = stated.overrides or "disks" in filling.assumed
    if is_replaced or read is None:
        filling.put(stated.key, "disks", filled_disks(read, stated.value), line)
        return
    stated_disks = filled_disks(read, stated.value)
    disks = [
        own if own.free_bytes is not None else of_policy
        for own, of_policy in zip(read, stated_disks, strict=False)
    ]
    disks += stated_disks[len(read) :]
    changed = [disk.purpose for disk in disks if disk not in read]
    if changed:
        source = f"{filling.sources.get('disks', 'read')}; for {', '.join(changed)} {line}"
        filling.put(stated.key, "disks", tuple(disks), source)
