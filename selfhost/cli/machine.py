"""`selfhost machine`: what was read of a machine, or is known of one by its name or description."""

from __future__ import annotations

from .arguments import Parser, add_choice_of_machine, add_output, parse
from .errors import UsageError
from .output import deliver, present

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..machine.record import Machine


def parser() -> Parser:
    """What to read, and what to put into the record beside it."""
    parser = Parser("machine")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="with --profiles, only machines whose name, title, GPU or processor hold every word",
    )
    add_choice_of_machine(parser)
    parser.set_defaults(no_measure=True)
    parser.add_argument(
        "--profiles",
        action="store_true",
        help="list the machines that --machine NAME knows, instead of reading this one",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="measure the memory bandwidth too, about a second",
    )
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="read DIR/proc, DIR/sys, ... of a recorded tree instead of this machine",
    )
    parser.add_argument(
        "--name", metavar="NAME", help="a name for the record (none is read from the machine)"
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a label for policies to match (repeatable)",
    )
    add_output(parser, "machine")
    return parser


def run(words: list[str]) -> int:
    options = parse(parser(), words)
    if options.profiles:
        return _profiles(options)
    if options.words:
        text = " ".join(options.words)
        raise UsageError(
            f"unexpected {text}",
            remedy=f"to see what is known of a machine: selfhost machine --machine '{text}'",
        )
    from ..machine.record import checked_name

    labels = {}
    for text in options.label:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                f"--label {text!r} is no KEY=VALUE", remedy="write for example --label site=berlin"
            )
        key = checked_name(key.strip(), "label")
        if key in labels:
            raise UsageError(f"--label {key} is given twice", remedy="give each key one value")
        labels[key] = checked_name(value.strip(), "label")
    if options.machine is not None or options.gpu or options.set:
        machine = _described(options)
    else:
        machine = _read(options)
    machine = machine.replace(labels=labels)
    if options.name is not None:
        machine = machine.replace(name=checked_name(options.name))
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(machine.to_json()))
    else:
        from ..reports.machine_text import machine_document

        present(options, machine_document(machine, verbose=options.verbose))
    return 0


def _described(options: argparse.Namespace) -> Machine:
    """The machine that words describe, or this one with what it does not have: to be put among
    records, or to see how words are read.
    """
    from .options import one_machine

    if options.root is not None:
        raise UsageError(
            "--root is for what is read of a machine, and --machine, --gpu and --set describe one",
            remedy="leave --root out",
        )
    return one_machine(options)


def _read(options: argparse.Namespace) -> Machine:
    """This machine, or that of a recorded tree."""
    from ..machine.reader import read

    if options.measure and options.root is not None:
        raise UsageError(
            "--measure measures this machine now, and a tree keeps what was read",
            remedy="leave --measure out; `selfhost machine --measure --format json` keeps what was"
            " measured",
        )
    return read(measure=options.measure, root=options.root)


def _profiles(options: argparse.Namespace) -> int:
    from ..machine.profiles import all_profiles

    if (
        options.name is not None
        or options.machine is not None
        or options.gpu
        or options.set
        or options.label
        or options.measure
        or options.root is not None
    ):
        raise UsageError(
            "--profiles reads no machine",
            remedy="leave all options but --format, --output and -v out",
        )
    profiles = [profile for profile in all_profiles() if profile.holds(options.words)]
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.profiles(profiles)))
    else:
        from ..reports.plan_text import profiles_document

        present(options, profiles_document(profiles))
    return 0
