"""`selfhost machine`: the facts of this machine or of another machine, or the machines known by
name.

Its JSON is the record that `--machine FILE` and `audit --machines` take.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import UsageError
from ..core.records import shown_path
from ..machine.profiles import all_profiles
from ..machine.record import Machine, checked_name
from ..reports import json
from ..reports.machine_text import machine_document, profiles_document
from .asked import one_machine, pairs_of
from .output import present, write_json
from .parser import Options


class MachineOptions(Options):
    """The options of `machine`. `words` are for `profiles`; `root` is the folder of a recorded
    tree.
    """

    words: list[str]
    profiles: bool
    root: str | None
    name: str | None
    label: list[str]


def run(words: Sequence[str]) -> int:
    """Show a machine, with the name and the labels that the options give it. Return the exit code
    0.
    """
    options = MachineOptions.read("machine", words)
    _refuse_own_specs(options)
    if options.profiles:
        return _list_profiles(options)
    if options.words:
        text = " ".join(options.words)
        remedy = (
            f"to see what is known about a machine: selfhost machine --machine '{text}'"
        )
        raise UsageError(f"unexpected {text}", remedy=remedy)
    seen = _machine_asked_for(options)
    labels = pairs_of("--label", options.label, "site=berlin")
    for text in (*labels, *labels.values()):
        checked_name(text, "label")
    seen = seen.replace(labels=labels)
    if options.name is not None:
        seen = seen.replace(name=checked_name(options.name))
    if options.format == "json":
        write_json(options, json.record(seen))
    else:
        present(options, machine_document(seen, verbose=options.verbose))
    return 0


def _refuse_own_specs(options: MachineOptions) -> None:
    """Refuse a folder of the user's own specs, which describe no machines. A catalogue that --specs
    names is in use since the program began.
    """
    if options.specs:
        # imported only where the option is given
        from ..core.catalogues import own_folders

        for path in own_folders(options.specs):
            message = f"--specs {shown_path(path)}: holds no catalogue"
            remedy = "name a clone of selfhost, whose specs/ has machines and GPUs"
            raise UsageError(message, remedy=remedy)


def _is_described(options: MachineOptions) -> bool:
    """Whether the options describe another machine, or a GPU or fact that this machine does not
    have.
    """
    is_changed = bool(options.gpu or options.set)
    return options.machine is not None or is_changed


def _machine_asked_for(options: MachineOptions) -> Machine:
    """The machine that the options describe, else this machine or the machine of a tree, as it is
    read.
    """
    if options.root is not None and (_is_described(options) or options.measure):
        raise UsageError(
            "--root reads a recorded tree; --machine, --gpu and --set describe"
            " another machine, and --measure measures this one",
            remedy="leave --root out",
        )
    if _is_described(options):
        return one_machine(options)
    return Machine.read(measure=options.measure, root=options.root)


def _list_profiles(options: MachineOptions) -> int:
    """List the machines that `--machine NAME` knows and that have every word."""
    reads_machine = options.root or options.measure or _is_described(options)
    if reads_machine or options.name or options.label:
        raise UsageError(
            "--profiles reads no machine",
            remedy="leave all options but --format, --output and -v out",
        )
    profiles = [profile for profile in all_profiles() if profile.holds(options.words)]
    if options.format == "json":
        write_json(options, json.profiles(profiles))
    else:
        present(options, profiles_document(profiles))
    return 0
