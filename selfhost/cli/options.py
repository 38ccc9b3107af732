"""What the options of a command name: machines, workloads and files of users, checked before
anything is judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from ..core.errors import MachineFileError, SelfhostError
from .output import UsageError

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..audit.entries import Policy
    from ..core.workload import Load, Workload
    from ..judge.record import Verdict
    from ..machine.profiles import NamedProfile
    from ..machine.record import Machine


_RECORDS = (".json", ".jsonl")
_SPECS = (".toml",)
_MODEL_FILES = (".gguf", ".safetensors", ".json", ".bin", ".pt", ".pth", ".model")
# by option what is read in a folder that it names
_READ = {
    **dict.fromkeys(("machine", "machines"), _RECORDS),
    "specs": _SPECS,
    **dict.fromkeys(("files", "policy", "baseline", "adapter"), _MODEL_FILES),
}
# options whose values name models, of which some are files
_MODELS = ("models", "model", "others", "draft")


def check_targets(
    options: argparse.Namespace, targets: Sequence[str], *, with_standard_output: bool = False
) -> None:
    """Refuse, before anything is judged, a target that takes no report, replaces an input, or would
    be read as one by the next run. Raises `WriteError` or `UsageError`.
    """
    from ..core.files import check_targets

    root = getattr(options, "root", None)
    for target in targets:
        if root is not None and os.path.realpath(target).startswith(
            os.path.realpath(root) + os.sep
        ):
            raise UsageError(
                f"{target} lies in {root}, the recorded tree",
                remedy="name a file outside it for the report",
            )
        for folder in _values(options, ("machine", "machines")):
            if _is_new_record(target, folder):
                raise UsageError(
                    f"{target} lies in {folder}, whose records are judged: the next run would take"
                    " the report for one of them",
                    remedy="name a file in another folder for the report",
                )
    own_specs = filter(None, os.environ.get("SELFHOST_SPECS", "").split(os.pathsep))
    read = [*_read_files(own_specs, _SPECS)]
    for option, endings in _READ.items():
        read += _read_files(_values(options, (option,)), endings)
    read += _read_files(_paths(_values(options, _MODELS)), _MODEL_FILES)
    check_targets(targets, read, with_standard_output=with_standard_output)


def check_targets_of_policy(targets: Sequence[str], policy: Policy) -> None:
    """Refuse a target that replaces a file which the policy names. Raises `WriteError`."""
    from ..core.files import check_targets

    names: list[str | None] = []
    for wanted in policy.models if targets else ():
        models = [member.name for member in wanted.members] or [wanted.name]
        names += [*_paths([*models, wanted.asked.draft or ""]), wanted.asked.adapter]
    check_targets(targets, _read_files(filter(None, names), _MODEL_FILES))


def _values(options: argparse.Namespace, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        value = getattr(options, key, None) or ()
        yield from (value,) if isinstance(value, str) else value


def _is_new_record(path: str, folder: str) -> bool:
    """Whether a new file of that path would be read as one of the folder's records."""
    place = os.path.realpath(path)
    is_new = place.endswith(_RECORDS) and not os.path.lexists(place)
    return is_new and os.path.dirname(place) == os.path.realpath(folder)


def _paths(names: Iterable[str]) -> Iterator[str]:
    from ..catalogue.paths import is_path

    return filter(is_path, names)


def _read_files(named: Iterable[str], endings: tuple[str, ...]) -> Iterator[str]:
    """The files that were named, and what is read in a folder; of a model also what lies beside."""
    for name in named:
        yield "/dev/stdin" if name == "-" else name
        beside = name.endswith((".gguf", ".safetensors", "config.json"))
        folder = os.path.dirname(name) or "." if beside else name
        try:
            files = os.listdir(folder)
        except (OSError, ValueError):
            continue
        yield from (os.path.join(folder, file) for file in files if file.endswith(endings))


def workload_of(options: argparse.Namespace) -> Workload:
    """Return what is asked of the models. Raises `WorkloadError` where that makes no sense."""
    from ..core.workload import FLAGS, Workload

    given = vars(options)
    fields = {field: given[field] for field in FLAGS if field in given}
    return Workload(**{**fields, "load": load_of(options)})


def load_of(options: argparse.Namespace) -> Load | None:
    """Return what a day brings; None where no tokens are stated."""
    from ..core.workload import LOAD_FLAGS, Load

    given = vars(options)
    figures = {field: given[field] for field in LOAD_FLAGS if given.get(field) is not None}
    if given.get("load") is not None:
        return Load.parse(options.load, **figures)
    for field in figures:
        raise UsageError(
            f"{LOAD_FLAGS[field]} is for a load, and none is stated",
            remedy="add for example --tokens-per-day 2M:500k",
        )
    return None


def machines_of(options: argparse.Namespace) -> tuple[Machine, ...]:
    """Return the machine to judge, or each record of a folder, as --machine, --gpu, --measure and
    --set say. What else a name can mean is put into `options.notes`.
    """
    if options.measure:
        _refuse_beside_measure(options)
    notes: list[str] = []
    if options.machine is None:
        from ..machine.reader import read

        machines: tuple[Machine, ...] = (read(measure=options.measure),)
    else:
        machines = _named_machines(options.machine, notes)
    if options.set or options.gpu:
        from ..machine.changes import apply
        from ..machine.gpu_names import cards_named

        machines = tuple(apply(machine, options.set, options.gpu) for machine in machines)
        notes += [note for text in options.gpu for note in cards_named(text).notes]
    options.notes = tuple(dict.fromkeys(notes))
    return machines


def _refuse_beside_measure(options: argparse.Namespace) -> None:
    message = None
    if getattr(options, "no_measure", False):
        message = "--measure and --no-measure contradict each other"
    elif options.machine is not None:
        message = "--measure measures this machine, and --machine judges another"
    if message is not None:
        raise UsageError(message, remedy="leave one of them out")


def with_notes(
    options: argparse.Namespace, by_machine: Sequence[Sequence[Verdict]]
) -> list[list[Verdict]]:
    """Return the verdicts with what else the machine's name can mean; of several it stands among
    how their names were understood.
    """
    notes, count = options.notes, sum(map(len, by_machine))
    if not notes or not count:
        return [list(verdicts) for verdicts in by_machine]
    # said in the answer itself, for standard error is often thrown away
    options.notes = ()
    field = "notes" if count == 1 else "understood_as"
    return [
        [verdict.replace(**{field: (*getattr(verdict, field), *notes)}) for verdict in verdicts]
        for verdicts in by_machine
    ]


def _named_machines(named: str, notes: list[str]) -> tuple[Machine, ...]:
    """Return the machine of a name, or the records of a path; add to `notes` what else the name can
    mean. A path goes before a known machine only where it looks like one: a file that happens to be
    called as a machine changes nothing. It goes before words of a machine's name.
    """
    if not _looks_like_a_path(named):
        from ..machine.profiles import called

        # what other words mean takes ten modules more
        profile = called(named)
        if profile is None and not os.path.lexists(named):
            profile = _described(named)
        if profile is not None:
            notes += filter(None, (profile.note,))
            return (profile.profile.machine,)
    if os.path.isdir(named):
        from ..audit.machines import load_machines

        fleet = load_machines(named)
        if fleet.problems:
            raise MachineFileError(fleet.problems)
        return tuple(fleet.machines)
    from ..machine.record import Machine

    return (Machine.from_file("/dev/stdin" if named == "-" else named),)


def _looks_like_a_path(named: str) -> bool:
    """Whether it has the form of a path. A slash in several words, `m4 16gb/512gb`, is one of a
    path only where there is such a file, or the folder that it would be in.
    """
    if named in ("", "-", ".", "..") or named.endswith((".json", ".jsonl")):
        return True
    if "/" not in named and os.sep not in named:
        return False
    begins_as_one = named.startswith(("/", ".", "~"))
    is_there = os.path.lexists(named) or os.path.isdir(os.path.dirname(named))
    return begins_as_one or is_there or " " not in named.strip()


def _described(named: str) -> NamedProfile:
    from ..machine.named import NotOneMachineError, profile_named
    from ..machine.profiles import UnknownMachineError

    try:
        return profile_named(named)
    except NotOneMachineError:
        raise
    except UnknownMachineError as error:
        message = f"{error}, and there is no file or folder of that name"
        raise UnknownMachineError(message, remedy=error.remedy, nearest=error.nearest) from None


def one_machine(options: argparse.Namespace) -> Machine:
    """Return the machine to judge. Raises `UsageError` where a folder holds several."""
    machines = machines_of(options)
    if len(machines) > 1:
        remedy = (
            "name one of its files; `selfhost check` and `selfhost audit --machines` judge them all"
        )
        raise UsageError(f"{options.machine} holds {len(machines)} machines", remedy=remedy)
    return machines[0]


def judge_each(
    options: argparse.Namespace, names: Sequence[str], machines: Sequence[Machine]
) -> tuple[list[list[Verdict]], dict[str, SelfhostError]]:
    """Judge every model on each machine; also return, by the name that was typed, why one could
    not be judged.
    """
    workload = workload_of(options)
    from ..advice.understood import understand
    from ..advice.verdicts import check_with
    from ..catalogue.opened import open_catalogue

    catalogue = open_catalogue(options.specs)
    errors: dict[str, SelfhostError] = {}
    by_machine: list[list[Verdict]] = []
    for machine in machines:
        judged: list[Verdict] = []
        for name in names:
            if name in errors:
                continue
            try:
                # a name that is unknown, or of a closed model, is told before anything is measured
                meant = understand(catalogue, name, workload, machine)
                if not meant.spec.closed:
                    machine = measured_where_unknown(options, machine)
                judged.append(check_with(catalogue, meant, workload, machine))
            except SelfhostError as error:
                errors[name] = error
        by_machine.append(judged)
    return by_machine, errors


def measured_where_unknown(options: argparse.Namespace, machine: Machine) -> Machine:
    """Return this machine with its memory bandwidth measured within 60 ms, where nothing else
    gives it: neither a record, a measurement that was asked for, nor the chip. What fits a GPU
    rests on no RAM.
    """
    from ..judge.pace.processor import chip_of

    if (
        not machine.is_this_one
        or machine.planning
        or options.no_measure
        or machine.measured_in_vain
        or machine.memory_bandwidth_bytes_per_second is not None
        or machine.accelerators
        or chip_of(machine) is not None
    ):
        return machine
    from ..machine.reader import measured_at_present

    return measured_at_present(machine)


def options_to_repeat(options: argparse.Namespace) -> str:
    """Return the options of a call that a proposed next call needs too, besides those of the
    workload.
    """
    given = vars(options)
    words = [f"--{name}" for name in ("measure", "no-measure") if given.get(name.replace("-", "_"))]
    if given.get("machine"):
        words += ["--machine", options.machine]
    for name in ("gpu", "set", "specs"):
        words += [word for text in given.get(name, ()) for word in (f"--{name}", text)]
    return "".join(f" '{word}'" if " " in word else f" {word}" for word in words)
