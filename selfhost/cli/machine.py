"""`selfhost machine`: what was read of a machine, or is known of one by its name or description."""

from __future__ import annotations

from collections.abc import Sequence

from .output import UsageError, deliver, present
from .parser import parse

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..machine.reader import Machine


def run(words: list[str]) -> int:
    """Show this machine, another one, or those known by name."""
    options = parse("machine", words)
    if options.profiles:
        return _profiles(options)
    if options.words:
        text = " ".join(options.words)
        remedy = f"to see what is known of a machine: selfhost machine --machine '{text}'"
        raise UsageError(f"unexpected {text}", remedy=remedy)
    from ..machine.record import checked_name

    machine = _machine(options).replace(labels=_labels(options.label))
    if options.name is not None:
        machine = machine.replace(name=checked_name(options.name))
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(machine.to_json()))
    else:
        from ..reports.machine_text import machine_document

        present(options, machine_document(machine, verbose=options.verbose))
    return 0


def _labels(typed: Sequence[str]) -> dict[str, str]:
    from ..machine.record import checked_name

    labels: dict[str, str] = {}
    for text in typed:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            remedy = "write for example --label site=berlin"
            raise UsageError(f"--label {text!r} is no KEY=VALUE", remedy=remedy)
        key = checked_name(key.strip(), "label")
        if key in labels:
            raise UsageError(f"--label {key} is given twice", remedy="give each key one value")
        labels[key] = checked_name(value.strip(), "label")
    return labels


def _machine(options: argparse.Namespace) -> Machine:
    """Return the machine that options describe, else this one, or that of a recorded tree."""
    is_described = options.machine is not None or options.gpu or options.set
    if options.root is not None and (is_described or options.measure):
        raise UsageError(
            "--root is for what is read of a recorded tree: --machine, --gpu and --set describe"
            " another machine, and --measure measures this one",
            remedy="leave --root out",
        )
    if is_described:
        from .options import one_machine

        return one_machine(options)
    from ..machine.reader import Machine

    return Machine.read(measure=options.measure, root=options.root)


def _profiles(options: argparse.Namespace) -> int:
    from ..machine.profiles import all_profiles

    others = ("name", "machine", "gpu", "set", "label", "measure", "root")
    if any(vars(options)[name] for name in others):
        remedy = "leave all options but --format, --output and -v out"
        raise UsageError("--profiles reads no machine", remedy=remedy)
    profiles = [profile for profile in all_profiles() if profile.holds(options.words)]
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.profiles(profiles)))
    else:
        from ..reports.machine_text import profiles_document

        present(options, profiles_document(profiles))
    return 0
