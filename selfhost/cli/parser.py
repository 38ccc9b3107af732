"""A command line, read: the words behind a command become its `Options`, or a `UsageError` that
says what to type instead.

argparse reads the options, which `options.py` declares, and leaves over the words that are none:
they may stand anywhere between the options, and are given to the command's positionals here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, Self

from ..core.errors import UsageError
from . import COMMANDS
from .options import (
    Option,
    common_flags,
    formats_of,
    options_of,
    positionals_of,
    see_help,
    usage_of,
)
from .output import is_terminal, terminal_size, write

# of more options than this the help has two parts
_MANY_OPTIONS = 14


class Options(argparse.Namespace):
    """What a command line states: an attribute for each option and word of its command.

    Which these are stands in `specs/common/options.toml`. The attributes below are those that
    several commands have, with the value for a command that has no such option; the subclass of a
    command names its own. A field of a `Workload` has an attribute only where its option was typed.
    """

    format: str
    no_color: bool = False
    verbose: bool = False
    specs: Sequence[str] = ()
    machine: str | None = None
    gpu: Sequence[str] = ()
    set: Sequence[str] = ()
    measure: bool = False
    no_measure: bool = False
    # what else the name of the machine can mean: `output.deliver` writes it to standard error
    # behind the report
    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        # the flag under which a value was typed, by its attribute: --users for `parallel`
        self.given: dict[str, str] = {}
        # the file for the report; None is standard output
        self.output: str | None = None

    @classmethod
    def read(cls, command: str, words: Sequence[str]) -> Self:
        """The options in the words behind the command. `-h` among them prints the help and ends the
        program (`SystemExit`).

        Raises `UsageError` for words that make no sense, and for an --output that takes no report;
        a pipe named there is opened. An audit, which may write several reports, sees to its own.
        """
        before, behind = _split_at_dashes(words)
        if "-h" in before or "--help" in before:
            write(help_of(command))
            sys.exit(0)
        _check_joined_values(command, before)
        options, others = CommandParser(command).parse_known_args(before, cls())
        unknown = [word for word in others if word.startswith("-") and word != "-"]
        if unknown:
            # what was meant instead is looked for only where something is wrong
            from .corrections import unknown_options

            raise unknown_options(command, unknown)
        _take_words(options, command, [*others, *behind])
        _settle_format(options, command)
        if options.output is not None and command != "audit":
            from .inputs import refuse_targets

            refuse_targets(options, [(options.format, options.output)])
        return options

    def take_notes(self) -> tuple[str, ...]:
        """The notes, for an answer that holds them itself: none is left for standard error."""
        notes = self.notes
        self.notes = ()
        return notes


def _split_at_dashes(words: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """The words before a `--`, with --json written out, and those behind it, none of which is an
    option.
    """
    place = words.index("--") if "--" in words else len(words)
    before = ["--format=json" if word == "--json" else word for word in words[:place]]
    return before, words[place + 1 :]


def _check_joined_values(command: str, words: Sequence[str]) -> None:
    """Refuse `--private=1`, for a switch has no value, and `--output=--`, of which argparse makes
    no value in Python 3.11 and a name in later versions.
    """
    switches = {"--json", "--help"}
    for option in options_of(command):
        if option.metavar is None:
            switches.update(option.names)
    for word in words:
        flag, equals, value = word.partition("=")
        if equals and flag in switches:
            message = f"{flag} takes no value, got {value!r}"
            raise UsageError(message, remedy=f"write {flag} alone")
        if flag.startswith("-") and value == "--":
            message = f"{flag}: expected a value, got '--'"
            raise UsageError(message, remedy=see_help(command))


def _take_words(options: Options, command: str, words: list[str]) -> None:
    """Give the words that are no options to the positionals of the command, in their order."""
    for positional in positionals_of(command):
        value: str | list[str] | None = positional.default
        if positional.is_list:
            value = words[: positional.most]
            words = words[len(value) :]
        elif words:
            value = words[0]
            words = words[1:]
            _check_choice("", value, positional.choices)
        if not value and not positional.is_optional:
            from .corrections import missing_words

            raise missing_words(command)
        setattr(options, positional.name, value)
    if words:
        unexpected = " ".join(words)
        raise UsageError(f"unexpected {unexpected}", remedy=see_help(command))


def _check_choice(flag: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a value that is none of the choices, where there are any."""
    if choices and value not in choices:
        from .corrections import unknown_choice

        raise unknown_choice(flag, str(value), choices)


def _settle_format(options: Options, command: str) -> None:
    """Where no format is stated, take the one of the ending of --output."""
    if options.output == "-":
        options.output = None
    if options.output is None or "format" in options.given:
        return
    ending = options.output.rpartition(".")[2]
    if command != "audit" and ending in formats_of(command):
        options.format = ending


class CommandParser(argparse.ArgumentParser):
    """argparse with the options of one command; raises `UsageError` where argparse would exit."""

    def __init__(self, command: str) -> None:
        purpose = COMMANDS[command]
        sentence = purpose[0].upper() + purpose[1:]
        if not sentence.endswith("?"):
            sentence += "."
        super().__init__(
            prog=f"selfhost {command}",
            usage=f"%(prog)s [OPTIONS] {usage_of(command)}",
            description=sentence,
            formatter_class=_HelpFormatter,
            add_help=False,
            allow_abbrev=False,
        )
        self.command = command
        self.words_group = self.add_argument_group("arguments")
        first_group = self.add_argument_group("options")
        more_group = self.add_argument_group("more options")
        first_group.add_argument(
            "-h", "--help", action="help", help="show this help message and exit"
        )
        options = options_of(command)
        common = common_flags()
        for option in options:
            is_rare = len(options) > _MANY_OPTIONS and option.flag not in common
            group = more_group if is_rare else first_group
            group.add_argument(*option.names, **_settings_of(option))

    def add_words(self) -> None:
        """Add the words of the command for its help alone: `_take_words` gives them out."""
        for word in positionals_of(self.command):
            self.words_group.add_argument(
                word.name, metavar=word.metavar, help=word.help
            )

    def error(self, message: str) -> NoReturn:
        """Raise argparse's complaint."""
        raise UsageError(message, remedy=see_help(self.command))


def help_of(command: str) -> str:
    """The help of a command, with examples and exit codes."""
    from .texts import help_texts

    parser = CommandParser(command)
    parser.add_words()
    texts = help_texts()
    exits = texts.exits.get(command, texts.exits["other"])
    codes = ""
    for code, meaning in exits.items():
        codes += f"  {code}  {meaning}\n"
    examples = texts.examples[command]
    return f"{parser.format_help()}\nexamples:\n{examples}\n\nexit codes:\n{codes}"


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, from 40 to 100 columns; 80 in a pipe."""

    def __init__(self, prog: str) -> None:
        width = 80
        if is_terminal():
            columns = terminal_size().columns
            width = max(40, min(100, columns))
        super().__init__(prog, max_help_position=27, width=width)


def _settings_of(option: Option) -> dict[str, Any]:
    """The arguments of `add_argument` for an option."""
    settings: dict[str, Any] = {"dest": option.destination, "help": option.help}
    if option.metavar is None:
        settings["action"] = "store_true" if option.states else "store_false"
    else:
        settings["action"] = _Value
        settings["option"] = option
        settings["metavar"] = option.metavar
        settings["nargs"] = "*" if option.is_list else None
        settings["default"] = [] if option.is_repeatable else option.default
    if option.is_of_workload:
        settings["default"] = argparse.SUPPRESS
    return settings


class _Value(argparse.Action):
    """Reads the value of an option, and adds it to those before where the option is repeatable."""

    def __init__(self, *names: Any, option: Option, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.option = option

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        flag = option_string or self.option.flag
        texts = [values] if isinstance(values, str) else values or ()
        try:
            read = [self.option.read(text) for text in texts]
        except ValueError as error:
            parser.error(f"{flag}: {error}")
        for choice in read:
            _check_choice(flag, choice, self.option.choices)
        value = read if self.option.is_list else read[0]
        if self.option.is_repeatable:
            before = getattr(namespace, self.dest, ())
            value = [*before, *read]
        elif self.dest in namespace.given and value != getattr(namespace, self.dest):
            # argparse would drop the first
            raise UsageError(f"{flag} is given twice", remedy="name one")
        namespace.given[self.dest] = flag
        setattr(namespace, self.dest, value)
