"""The request in the options of a command line: a workload, and the machines to judge.

In: the `Options` of a command line. Out: values of `core` and `machine`, or a `UsageError`,
`WorkloadError` or `MachineFileError`. Other meanings of a machine's name go into `options.notes`.
What few questions need is imported where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import MachineFileError, UsageError, WorkloadError
from ..core.files import Unreadable, input_path, read_file
from ..core.quoting import shell_word
from ..core.records import Record, Values, shown
from ..core.workload import FLAGS, Load, Workload, as_typed
from ..machine.record import Machine, json_in

if TYPE_CHECKING:
    from ..machine.clusters import Cluster, NotedCluster
    from ..machine.profiles import NotedMachine
    from .parser import Options

_MOST_FILE_BYTES = 6 << 20
# how the name of the file of a machine's record ends
_RECORDS = (".json", ".jsonl")
# between the machines of a repeated option: `joiner` of options.toml
_JOINER = " ++ "
# the fields of a Load that have their own option
_LOAD_FIGURES = ("watts", "electricity_per_kwh")


def workload_of(options: Options) -> Workload:
    """Return the workload that the options ask for. Raises `WorkloadError` where the options make
    no sense together.
    """
    stated: Values = vars(options)
    fields = {field: value for field, value in stated.items() if field in FLAGS}
    if "runtime_options" in fields:
        pairs = pairs_of("--runtime-option", fields["runtime_options"], "ub=1024")
        fields["runtime_options"] = pairs
    figures = {field: fields.pop(field) for field in _LOAD_FIGURES if field in fields}
    if "load" in fields:
        fields["load"] = Load.parse(fields["load"], **figures)
    elif figures:
        flag = FLAGS[next(iter(figures))]
        message = f"{flag} is for a load, but no load is stated"
        remedy = "add for example --tokens-per-day 2M:500k"
        raise UsageError(message, remedy=remedy)
    try:
        return Workload(**fields)
    except WorkloadError as error:
        # errors use the option as typed: --users is --parallel
        raise as_typed(error, {**FLAGS, **options.given}) from None


def pairs_of(
    flag: str,
    texts: Sequence[str],
    example: str,
) -> dict[str, str]:
    """Return the values of a repeated KEY=VALUE option, by key. Raises `UsageError`."""
    pairs = {}
    for text in texts:
        typed, equals, value = text.partition("=")
        key = typed.strip()
        if not equals or not key:
            remedy = f"write for example {flag} {example}"
            raise UsageError(f"{flag}: expected KEY=VALUE, got {text!r}", remedy=remedy)
        if key in pairs:
            message = f"{flag} {key} is given twice"
            raise UsageError(message, remedy="give it one value")
        pairs[key] = value.strip()
    return pairs


def one_machine(options: Options) -> Machine:
    """The machine to judge. Raises `UsageError` for several machines, together or in a folder."""
    machine, *others = machines_of(options)
    if not isinstance(machine, Machine):
        message = f"{options.machine} names {len(machine.machines)} machines"
        remedy = "name one of them; `check` judges one model on all of them together"
        raise UsageError(message, remedy=remedy)
    if others:
        message = f"{options.machine} holds {1 + len(others)} machines"
        remedy = "name one of its files; `check` and `audit --machines` judge them all"
        raise UsageError(message, remedy=remedy)
    return machine


class NotedMachines(Record):
    """Machines, with notes on other meanings of a name, and on what is not read of records."""

    machines: tuple[Machine, ...]
    notes: tuple[str, ...] = ()


def machines_of(options: Options) -> tuple[Machine | Cluster, ...]:
    """Return the machine to judge, each machine of a folder, or the machines that are named
    together, as --set and --gpu change them.

    Other meanings of the names are put into `options.notes`.
    """
    if options.measure and (options.machine is not None or options.no_measure):
        message = "--measure measures this machine: not with --machine or --no-measure"
        raise UsageError(message, remedy="leave one of them out")
    together = _cluster_named(options)
    if together is not None:
        named = NotedMachines(machines=together.cluster.machines, notes=together.notes)
        machines = changed(options, named)
        return (together.cluster.replace(machines=machines),)
    for flag, value in (("--link", options.link), ("--split", options.split)):
        if value is not None:
            message = f"{flag} is for several machines that serve one model together"
            remedy = "name them: --machine '2x dgx spark', or --machine A --machine B"
            raise UsageError(message, remedy=remedy)
    return changed(options, _told_machines(options))


def _cluster_named(options: Options) -> NotedCluster | None:
    """The machines that the options name together; None where they name one, or a folder."""
    text = options.machine
    if text is None:
        return None
    from ..machine.clusters import NotedCluster, cluster_named, cluster_of

    if os.path.isfile(text) and text.endswith(_RECORDS):
        several = _records_of_several(text)
        if several is None or len(several.machines) == 1:
            return None
        cluster = cluster_of(several.machines, options.link)
        return NotedCluster(cluster=cluster, notes=several.notes)
    if os.path.lexists(text):
        return None
    return cluster_named(text, _one_named, options.link)


def _records_of_several(path: str) -> NotedMachines | None:
    """The machines of a file that holds a list of records, or several lines of one each; None for
    a file of one record, and for a file that begins like neither. Raises `MachineFileError` with
    the faults of all records.
    """
    try:
        text = read_file(input_path(path), _MOST_FILE_BYTES).decode("utf-8", "replace")
    except Unreadable:
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    is_list = text.lstrip().startswith("[")
    has_lines = len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines)
    if not is_list and not has_lines:
        return None
    return _machines_at(path)


def _one_named(text: str) -> NotedMachine | None:
    """The machine of a name, a description, or the file of a record."""
    known = _machine_called(text)
    if known is not None:
        return known
    if not os.path.isfile(text):
        return None
    from ..machine.profiles import NotedMachine

    found = _record_at(input_path(text))
    (machine,) = found.machines
    return NotedMachine(machine, found.notes[0] if found.notes else None)


def changed(options: Options, named: NotedMachines) -> tuple[Machine, ...]:
    """Return the machines as --set and --gpu change them. Their notes, and other meanings of the
    GPUs' names, are put into `options.notes`.
    """
    machines = named.machines
    notes = named.notes
    if options.set or options.gpu:
        from ..machine.changes import apply, notes_on_cards
        from ..machine.description import cards_named

        gpus = [cards_named(text) for text in options.gpu]
        for cards in gpus:
            notes += cards.notes
        machines = tuple(apply(machine, options.set, gpus) for machine in machines)
        notes += notes_on_cards(options.set)
    options.notes = tuple(dict.fromkeys(notes))
    return machines


def _told_machines(options: Options) -> NotedMachines:
    """The machines of a name, a path or a description."""
    text: str | None = options.machine
    if text is None:
        return NotedMachines(machines=(Machine.read(measure=options.measure),))
    known = _machine_called(text)
    if known is not None:
        return NotedMachines(machines=(known.machine,), notes=known.notes)
    if os.path.isdir(text):
        return _machines_at(text)
    if text.endswith(_RECORDS) and os.path.isfile(text):
        # a list of one record
        return _records_of_several(text) or _record_at(input_path(text))
    return _record_at(input_path(text))


def _record_at(path: str) -> NotedMachines:
    """The machine of a record. Raises `MachineFileError` for a faulty one."""
    from ..machine.unread_keys import note_on, unread_keys

    record = json_in(path)
    machine = Machine.from_json(record, shown(path))
    # a record that is no object was refused
    assert isinstance(record, dict)
    keys = unread_keys(record, path)
    return NotedMachines(machines=(machine,), notes=(note_on(keys),) if keys else ())


def _machine_called(text: str) -> NotedMachine | None:
    """The machine of that name or description, and a note on other meanings; None for a path."""
    from ..machine.profiles import machine_called

    is_there = os.path.lexists(text)
    if is_there and "/" in text:
        return None
    # a file that happens to have the name of a machine is ignored
    known = machine_called(text)
    if known is not None:
        return known
    if is_there or text in ("", "-") or text.endswith(_RECORDS):
        return None
    # a path to nothing; a description has spaces, as in "i5-8250U 16GB 1TB/s"
    if "/" in text and " " not in text.strip():
        return None
    from ..machine.named import named

    return named(text)


def _machines_at(path: str) -> NotedMachines:
    """The machines whose records the folder or the file holds. Raises `MachineFileError` for a
    faulty record.
    """
    from ..audit.machines import load_machines

    fleet = load_machines(path)
    problems = (*fleet.problems, *fleet.down)
    if problems:
        grouped = (*fleet.grouped, *fleet.down)
        raise MachineFileError(problems, grouped=grouped)
    return NotedMachines(machines=tuple(fleet.machines), notes=fleet.notes)


def measured_where_unknown(options: Options, machine: Machine) -> Machine:
    """Return the machine. Where it is this computer and nothing tells its memory bandwidth, the
    bandwidth is measured, in 60 ms.
    """
    if options.no_measure or not _lacks_bandwidth(machine):
        return machine
    from ..machine.reader import measured

    return measured(machine, brief=True)


def _lacks_bandwidth(machine: Machine) -> bool:
    """Whether a measurement would tell how fast the memory of this machine is."""
    from ..judge.pace.processor import processor_of

    if not machine.is_this_one or machine.planning or machine.measured_in_vain:
        return False
    if machine.memory_bandwidth_bytes_per_second is not None:
        return False
    # a model that fits a GPU does not depend on the RAM, and the bandwidth of a listed chip is
    # known
    return not machine.accelerators and not processor_of(machine).is_chip


def options_to_repeat(options: Options, *, alone: str | None = None) -> str:
    """Return the options that a proposed next call needs besides those of the workload, with a
    space before each. `alone` is the one machine to name in place of several.
    """
    words = []
    if options.measure:
        words.append("--measure")
    if options.no_measure:
        words.append("--no-measure")
    stated: dict[str, Sequence[str | None]] = {"--machine": [alone]}
    if alone is None:
        stated = {
            "--machine": (options.machine or "").split(_JOINER),
            "--link": [options.link],
            "--split": [options.split],
        }
    stated |= {"--gpu": options.gpu, "--set": options.set, "--specs": options.specs}
    for flag, values in stated.items():
        for value in values:
            if value:
                words += [flag, value]
    return "".join(f" {shell_word(word)}" for word in words)
