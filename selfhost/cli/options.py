"""What the options of a command name: machines, workloads and files of users."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import MachineFileError
from .output import UsageError

if TYPE_CHECKING:
    import argparse

    from ..core.workload import Workload
    from ..machine.reader import Machine


def pairs_of(flag: str, texts: Sequence[str], example: str) -> dict[str, str]:
    """Return what a repeated option states, by its keys. Raises `UsageError`."""
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            remedy = f"write for example {flag} {example}"
            raise UsageError(f"{flag} {text!r} is no KEY=VALUE", remedy=remedy)
        if key.strip() in pairs:
            raise UsageError(f"{flag} {key.strip()} is given twice", remedy="give it one value")
        pairs[key.strip()] = value.strip()
    return pairs


def workload_of(options: argparse.Namespace) -> Workload:
    """Return what is asked of the models. Raises `WorkloadError` where that makes no sense."""
    from ..core.workload import FLAGS, Load, Workload

    given = vars(options)
    fields = {field: given[field] for field in Workload._keys if field in given}
    pairs = fields.get("runtime_options", ())
    fields["runtime_options"] = pairs_of("--runtime-option", pairs, "ub=1024")
    figures = {field: given[field] for field in Load._keys if given.get(field) is not None}
    if given.get("load") is not None:
        fields["load"] = Load.parse(options.load, **figures)
    elif figures:
        raise UsageError(
            f"{FLAGS[next(iter(figures))]} is for a load, and none is stated",
            remedy="add for example --tokens-per-day 2M:500k",
        )
    return Workload(**fields)


def machines_of(options: argparse.Namespace) -> tuple[Machine, ...]:
    """Return the machine to judge, or each of a folder; other meanings go into `options.notes`."""
    other = options.machine is not None and "--machine judges another machine"
    if options.measure and (other or getattr(options, "no_measure", False)):
        why = other or "--no-measure forbids it"
        message = f"--measure measures this machine, and {why}"
        raise UsageError(message, remedy="leave one of them out")
    machines, note = _machines_named(options)
    machines = tuple(changed(options, machine) for machine in machines)
    options.notes = tuple(dict.fromkeys((*filter(None, (note,)), *options.notes)))
    return machines


def changed(options: argparse.Namespace, machine: Machine) -> Machine:
    """Return the machine as --set and --gpu say; other meanings go into `options.notes`."""
    options.notes = ()
    if not (options.set or options.gpu):
        return machine
    from ..machine.changes import apply
    from ..machine.understand import cards_named

    named = [cards_named(text) for text in options.gpu]
    notes = [note for cards in named for note in cards.notes]
    options.notes = tuple(dict.fromkeys(notes))
    return apply(machine, options.set, named)


def _machines_named(options: argparse.Namespace) -> tuple[tuple[Machine, ...], str | None]:
    """Return the machines of a name, a path or a description, and what else the name can mean."""
    from ..machine.reader import Machine

    named: str | None = options.machine
    if named is None:
        return (Machine.read(measure=options.measure),), None
    from ..machine.profiles import machine_called

    # a file that happens to be called as a machine changes nothing, unless it is named as a path
    is_there = os.path.lexists(named)
    profile = None if "/" in named and is_there else machine_called(named)
    is_path = is_there or named in ("", "-") or named.endswith((".json", ".jsonl"))
    if profile is None and not (is_path or ("/" in named and " " not in named.strip())):
        from ..machine.named import named as described

        profile = described(named)
    if profile is not None:
        return (profile[0],), profile[1]
    if not os.path.isdir(named):
        return (Machine.from_file("/dev/stdin" if named == "-" else named),), None
    from ..audit.machines import load_machines

    fleet = load_machines(named)
    if problems := (*fleet.problems, *fleet.down):
        raise MachineFileError(problems)
    return tuple(fleet.machines), None


def one_machine(options: argparse.Namespace) -> Machine:
    """Return the machine to judge. Raises `UsageError` where a folder holds several."""
    machines = machines_of(options)
    if len(machines) > 1:
        remedy = "name one of its files; `check` and `audit --machines` judge them all"
        raise UsageError(f"{options.machine} holds {len(machines)} machines", remedy=remedy)
    return machines[0]


def measured_where_unknown(options: argparse.Namespace, machine: Machine) -> Machine:
    """Return this machine with its bandwidth measured in 60 ms where nothing else tells it."""
    from ..judge.pace.processor import chip_memory

    if (
        not machine.is_this_one
        or machine.planning
        or options.no_measure
        or machine.measured_in_vain
        or machine.memory_bandwidth_bytes_per_second is not None
        # what fits a GPU rests on no RAM
        or machine.accelerators
        or chip_memory(machine) is not None
    ):
        return machine
    from ..machine.reader import measured_at_present

    return measured_at_present(machine)


def options_to_repeat(options: argparse.Namespace) -> str:
    """Return the options that a proposed next call needs too, besides those of the workload."""
    from shlex import quote

    given = vars(options)
    words = [f"--{name}" for name in ("measure", "no-measure") if given.get(name.replace("-", "_"))]
    if given.get("machine"):
        words += ["--machine", options.machine]
    for name in ("gpu", "set", "specs"):
        words += [word for text in given.get(name, ()) for word in (f"--{name}", text)]
    return "".join(f" {quote(word)}" for word in words)
