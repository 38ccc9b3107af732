"""The command line read: argparse with the options of `specs/common/options.toml`, clear refusals,
and what the options of a command name: machines, workloads and files of users.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from ..catalogue.spec_values import MODALITIES, OPENNESS, USES
from ..core.errors import MachineFileError, WorkloadError
from ..core.tables import shipped_table
from ..core.templates import fill
from ..core.units import (
    parse_count,
    parse_number,
    parse_rate,
    parse_seconds,
    parse_size,
    parse_tokens,
    parse_whole,
)
from ..core.workload import FLAGS, Load, Workload, as_typed, cache_type
from . import COMMANDS
from .output import UsageError, is_terminal, terminal_size, write

if TYPE_CHECKING:
    from ..machine.reader import Machine

# of more options than this the help has two parts
_MANY_OPTIONS = 15


class _Once(argparse.Action):
    """Keeps the value of an option; argparse would drop the first of two without a word."""

    def __call__(
        self, parser: argparse.ArgumentParser, options: argparse.Namespace, value: Any,
        flag: str | None = None,
    ) -> None:  # fmt: skip
        value = self.const if self.nargs == 0 else value
        given = options.__dict__.setdefault("given", {})
        if flag is not None and self.dest in given:
            earlier = given[self.dest]
            if earlier == flag and self.nargs != 0:
                several = "name one, or a folder of records" if flag == "--machine" else "name one"
                raise UsageError(f"{flag} is given twice", remedy=several)
            if value != getattr(options, self.dest):
                message = f"{earlier} and {flag} contradict each other"
                raise UsageError(message, remedy="leave one of them out")
        given[self.dest] = flag
        setattr(options, self.dest, value)


class CommandParser(argparse.ArgumentParser):
    """Parses the words of one command, and raises UsageError where argparse would exit."""

    def __init__(self, command: str, words: Sequence[str] = ()) -> None:
        # argparse makes a formatter for each option, and loads shutil where none states the width
        form, job = argparse.RawDescriptionHelpFormatter, COMMANDS[command][1]
        purpose = f"{job[0].upper()}{job[1:]}"
        super().__init__(
            prog=f"selfhost {command}",
            allow_abbrev=False,
            description=purpose if purpose.endswith("?") else f"{purpose}.",
            formatter_class=partial(form, width=80),
        )
        self.command = command
        self.words = words
        self.register("action", None, _Once)
        self.usage = "%(prog)s [OPTIONS]"
        self._positionals.title = "arguments"
        settings_of = arguments(command)
        is_long = len(settings_of) > _MANY_OPTIONS
        common = shipped_table("options")["common"].split() if is_long else ()
        more = self.add_argument_group("more options")
        for names, settings in settings_of.items():
            is_option = names.startswith("-")
            if is_option and settings["help"] is None:
                settings = {**settings, "help": argparse.SUPPRESS}
            is_rare = is_option and is_long and names.replace(" ", "/") not in common
            group = more if is_rare else self
            group.add_argument(*names.split(), **settings)
            if not is_option:
                nargs, shown = settings.get("nargs"), settings["metavar"]
                shown = shown or "|".join(settings["choices"])
                # the words of one name are several, too
                shown += "…" if nargs in ("+", "*") and names[-1] == "s" else ""
                self.usage += f" [{shown}]" if nargs in ("?", "*") else f" {shown}"

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        """Read a value, or say what was meant; argparse would hide the reason of an error."""
        flag = "".join(action.option_strings[:1])
        try:
            if flag and not text.strip():
                raise ValueError(f"expected a value, not {text!r}")
            if flag and b"\0" in os.fsencode(text):
                raise ValueError(f"{text!r} contains a NUL byte")
            value = action.type(text) if callable(action.type) else text
        except ValueError as error:
            raise argparse.ArgumentError(action, str(error)) from None
        # argparse reads a default, too
        if action.choices is None or value in (*action.choices, action.default):
            return value
        from ..advice.listing import kind_meant
        from ..core.units import canonical, nearest

        choices, word = list(map(str, action.choices)), str(value).strip().lower()
        # `image` begins image-generation, and `generation` is a part of it
        parts = [name for name in choices if word and f"-{word}" in f"-{canonical(name)}"]
        kind, near = kind_meant(word), nearest(word, choices)
        likely = (meant("values", word, choices), kind, *parts, near)
        guess = next((name for name in likely if name in choices), None)
        hints: dict[str, object] = {f"{flag} {guess}".strip(): guess}
        if flag in _CHOICES:
            hints |= {f"{other} {kind}": kind in names for other, names in _CHOICES.items()}
        hint = next(filter(hints.get, hints), None)
        remedy = f"did you mean {hint}?" if hint else f"see `{self.prog} --help`"
        place, listed = f"{flag}: " * bool(flag), ", ".join(choices)
        raise UsageError(f"{place}{value!r} is not one of {listed}", remedy=remedy)

    def error(self, message: str) -> NoReturn:
        """Raise argparse's complaint with what to type instead."""
        message = message.removeprefix("argument ")
        remedy = f"see `{self.prog} --help`"
        flag, colon, rest = message.partition(": ")
        if flag.startswith("-"):
            # of several names the one that was typed
            typed = {word.partition("=")[0] for word in self.words}
            flag = next((name for name in flag.split("/") if name in typed), flag.partition("/")[0])
            message = f"{flag}{colon}{rest}"
        ignored = rest.removeprefix("ignored explicit argument ")
        if flag == "unrecognized arguments":
            self.refuse_unknown(rest.split() or ["an empty word"])
        if flag == "the following arguments are required":
            message = help_text("missing").get(self.command, message)
            first = help_text("examples")[self.command].split("\n")[0].strip().partition("  ")[0]
            remedy = f"for example `{first}`"
        elif rest == "expected one argument":
            message = f"{flag} takes a value, and none follows it"
        elif ignored != rest:
            message, remedy = f"{flag} takes no value, not {ignored}", f"write {flag} alone"
        raise UsageError(message, remedy=remedy)

    def refuse_unknown(self, words: Sequence[str]) -> NoReturn:
        """Raise what to type instead of options or words that the command does not have."""
        from ..core.units import nearest

        # without the dashes, which all options have, and which would make unlike words look alike
        names = [word.partition("=")[0].lstrip("-") for word in words if word.startswith("-")]
        flags = [flag[2:] for flag in self._option_string_actions if flag.startswith("--")]
        instead, stated, first = help_text("instead"), help_text("stated"), "".join(names[:1])
        if first in instead:
            remedy = instead[first]
        elif first in stated and "set" in flags:
            remedy = stated[first]
        elif first in (*stated, "machine", "gpu", "set"):
            remedy = help_text("judges_machines").get(self.command, "")
        else:
            guesses = [meant("options", name, flags) or nearest(name, flags) for name in names]
            listed = " ".join(f"--{guess}" for guess in dict.fromkeys(guesses) if guess)
            remedy = f"did you mean {listed}?" if listed else ""
        kind = "unknown option" if words[0].startswith("-") else "unexpected"
        see = f"see `{self.prog} --help`"
        raise UsageError(f"{kind} {' '.join(words)}", remedy=remedy or see)

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse says nothing where it cannot be written."""
        write(self.format_help())

    def format_help(self) -> str:
        """Return argparse's help with examples and the exit codes."""
        columns = terminal_size().columns if is_terminal() else 80
        width = max(40, min(100, columns))
        form = argparse.RawDescriptionHelpFormatter
        self.formatter_class = partial(form, max_help_position=27, width=width)
        exits = help_text("exits")
        codes = exits.get(self.command, exits["other"]).items()
        lines = "".join(f"  {code}  {words}\n" for code, words in codes)
        examples = help_text("examples")[self.command]
        return f"{super().format_help()}\nexamples:\n{examples}\n\nexit codes:\n{lines}"


def parse(command: str, words: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line. Raises `UsageError` for one that makes no sense."""
    parser = CommandParser(command, words)
    for word in words:
        if word.startswith("-") and word.endswith("=--"):
            # argparse makes no value of it in one version of Python, and a name in another
            parser.error(f"{word[:-3]}: expected a value, not '--'")
    options, extra = parser.parse_known_args(words)
    for place, word in enumerate(extra):
        if word[:2] == "--" and word != "--":
            # Python 3.14 takes the value of an option that it does not know for a positional
            parser.refuse_unknown(extra[place:])
    if extra:
        # only names after an option need the slower way
        options = parser.parse_intermixed_args(words)
    output = getattr(options, "output", None)
    if output in (None, "-"):
        options.output = None
        return options
    suffix = output.rpartition(".")[2]
    if command == "audit":
        from ..reports.audit_formats import FORMATS

        named = [name for name, form in FORMATS.items() if form.suffix == suffix]
        options.format = options.format or named
    else:
        formats = parser._option_string_actions["--format"].choices or ()
        if "format" not in options.given and suffix in formats:
            options.format = suffix
        from .inputs import refuse_targets

        refuse_targets(options, [(options.format, output)])
    return options


def help_text(key: str) -> Any:
    """Return one part of `specs/common/help.toml`."""
    return shipped_table("help")[key]


def meant(kind: str, word: str, known: Iterable[str]) -> str | None:
    """Return the option or command (`kind` is "options" or "commands") that others call so."""
    named = [name for name, words in help_text(kind).items() if word in words]
    return next((name for name in named if name in known), None)


def _day(text: str) -> str:
    from datetime import date

    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError:
        day = "a day of the calendar as YYYY-MM-DD"
    if day != text:
        raise ValueError(f"{text!r} is no day: write {day}")
    return day


def _rows(text: str) -> int:
    if (rows := parse_whole(text)) < 1:
        raise ValueError(f"must be at least 1, not {rows}")
    return rows


_TYPES = {
    "tokens": parse_tokens, "size": parse_size, "day": _day, "rows": _rows, "cache": cache_type,
    "count": parse_count, "number": parse_number, "rate": parse_rate, "seconds": parse_seconds,
    "whole": parse_whole,
}  # fmt: skip
_CHOICES = {"--modality": MODALITIES, "--use": USES, "--openness": OPENNESS}
# the field of a Workload, else of a Load, behind each option
_FIELDS = {key.name: (name, key) for kind in (Load, Workload) for name, key in kind._keys.items()}


def arguments(command: str) -> dict[str, dict[str, Any]]:
    """Return the words and options of a command with their settings as argparse names them."""
    table = shipped_table("options")
    named = {name: {"metavar": None, **row} for name, row in table["words"][command].items()}
    taken = " ".join(table["groups"].get(word, word) for word in table["taken"][command].split())
    for names in taken.split():
        flag = next((name for name in names.split("/") if name in table["option"]), "")
        settings = named[names.replace("/", " ")] = dict(table["option"].get(flag, {}))
        if "metavar" not in settings:
            settings.setdefault("action", "store_true")
        elif settings.get("action") == "append":
            settings["default"] = []
        if "type" in settings:
            settings["type"] = _TYPES[settings["type"]]
        choices = _CHOICES.get(flag, ())
        if flag in _FIELDS:
            settings["dest"], stated = _FIELDS[flag]
            choices = stated.limits.get("choices", ())
            if isinstance(stated.default, str | int) and stated.default is not False:
                settings["default"] = stated.default
        if choices:
            settings.setdefault("choices", choices)
            settings["help"] = fill(settings["help"], {"choices": ", ".join(choices)})
    if "--format" in named:
        formats: Sequence[str] = ("text", "json", *table["formats"].get(command, ()))
        form: dict[str, Any] = {"metavar": "NAME", "choices": formats, "default": "text"}
        json: dict[str, Any] = {"nargs": 0}
        files = ""
        if command == "audit":
            from ..reports.audit_formats import FORMATS

            formats, files = tuple(FORMATS), "; =FILE writes it there"
            form = {"metavar": "NAME[=FILE]", "action": "append", "default": []}
            json = {"action": "append_const"}
        named["--format"] = {**form, "help": f"{', '.join(formats)} (--json for short){files}"}
        named["--json"] = {**json, "dest": "format", "const": "json", "help": None}
    return named


def pairs_of(flag: str, texts: Sequence[str], example: str) -> dict[str, str]:
    """Return what a repeated option states, by its keys. Raises `UsageError`."""
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            remedy = f"write for example {flag} {example}"
            raise UsageError(f"{flag}: expected KEY=VALUE, got {text!r}", remedy=remedy)
        if key.strip() in pairs:
            raise UsageError(f"{flag} {key.strip()} is given twice", remedy="give it one value")
        pairs[key.strip()] = value.strip()
    return pairs


def workload_of(options: argparse.Namespace) -> Workload:
    """Return what is asked of the models. Raises `WorkloadError` where that makes no sense."""
    given = vars(options)
    fields = {field: given[field] for field in Workload._keys if field in given}
    if pairs := fields.pop("runtime_options", ()):
        fields["runtime_options"] = pairs_of("--runtime-option", pairs, "ub=1024")
    figures = {field: given[field] for field in Load._keys if given.get(field) is not None}
    if given.get("load") is not None:
        fields["load"] = Load.parse(options.load, **figures)
    elif figures:
        raise UsageError(
            f"{FLAGS[next(iter(figures))]} is for a load, and none is stated",
            remedy="add for example --tokens-per-day 2M:500k",
        )
    try:
        return Workload(**fields)
    except WorkloadError as error:
        # under the name that was typed: --users is --parallel
        raise as_typed(error, {**FLAGS, **getattr(options, "given", {})}) from None


def machines_of(options: argparse.Namespace) -> tuple[Machine, ...]:
    """Return the machine to judge, or each of a folder; other meanings go into `options.notes`."""
    other = options.machine is not None and "--machine judges another machine"
    if options.measure and (other or getattr(options, "no_measure", False)):
        why = other or "--no-measure forbids it"
        message = f"--measure measures this machine, and {why}"
        raise UsageError(message, remedy="leave one of them out")
    options.notes = ()
    machines, note = _machines_named(options)
    if options.set or options.gpu:
        machines = tuple(changed(options, machine) for machine in machines)
    options.notes = tuple(dict.fromkeys((*filter(None, (note,)), *options.notes)))
    return machines


def changed(options: argparse.Namespace, machine: Machine) -> Machine:
    """Return the machine as --set and --gpu say; other meanings go into `options.notes`."""
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
    from ..judge.pace.rates import processor_of

    if (
        not machine.is_this_one
        or machine.planning
        or options.no_measure
        or machine.measured_in_vain
        or machine.memory_bandwidth_bytes_per_second is not None
        # what fits a GPU rests on no RAM
        or machine.accelerators
        or processor_of(machine).chip is not None
    ):
        return machine
    from ..machine.reader import measured_at_present

    return measured_at_present(machine)


def options_to_repeat(options: argparse.Namespace) -> str:
    """Return the options that a proposed next call needs too, besides those of the workload."""
    from ..core.quoting import shell_word

    given = vars(options)
    words = [f"--{name}" for name in ("measure", "no-measure") if given.get(name.replace("-", "_"))]
    if given.get("machine"):
        words += ["--machine", options.machine]
    for name in ("gpu", "set", "specs"):
        words += [word for text in given.get(name, ()) for word in (f"--{name}", text)]
    return "".join(f" {shell_word(word)}" for word in words)
