"""Reads a command line: the words after a command become its `Options`.

    check mistral-7b --context 8k  →  models=["mistral-7b"], context_tokens=8192

argparse reads only the options, which `options.py` declares. The words that argparse leaves over
may stand anywhere between the options; `_take_words` gives them to the command's positionals.

A mistake raises `UsageError` with what to type instead. `corrections.py`, which finds that, is
loaded only then.
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
    formats_of,
    options_of,
    options_table,
    positionals_of,
    see_help,
)
from .output import terminal_size, write

# with more options than this, the help has two parts
_MANY_OPTIONS = 14


class Options(argparse.Namespace):
    """The options and positionals of a command line, each as an attribute.

    `specs/common/options.toml` lists the options of each command. The attributes below belong to
    several commands, and have the value for a command without the option; the subclass of a command
    names the others. A field of a `Workload` has an attribute only if its option was typed.
    """

    format: str
    no_color: bool = False
    verbose: bool = False
    specs: Sequence[str] = ()
    machine: str | None = None
    link: str | None = None
    split: str | None = None
    gpu: Sequence[str] = ()
    set: Sequence[str] = ()
    measure: bool = False
    no_measure: bool = False
    # other meanings of the machine's name: `output.deliver` writes these notes to standard error
    # after the report
    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        # by attribute: the flag as typed (`parallel`: --users); switches are not recorded
        self.given: dict[str, str] = {}
        # the file for the report; None: standard output
        self.output: str | None = None

    @classmethod
    def read(cls, command: str, words: Sequence[str]) -> Self:
        """Return the options in the words after the command. `-h` prints the help and raises
        `SystemExit`.

        Raises `UsageError` for words that make no sense, and for an --output that cannot take the
        report. `audit` checks its outputs itself, because it may have several.
        """
        typed, after_dashes = _split_at_dashes(words)
        if "-h" in typed or "--help" in typed:
            write(help_of(command, full="all" in typed))
            sys.exit(0)
        _refuse_joined_values(command, typed)
        options, left_over = CommandParser(command).parse_known_args(typed, cls())
        unknown = [word for word in left_over if word.startswith("-") and word != "-"]
        if unknown:
            from .corrections import unknown_options

            raise unknown_options(command, unknown)
        _take_words(options, command, [*left_over, *after_dashes])
        _settle_output(options, command)
        if options.output is not None and command != "audit":
            from .inputs import refuse_targets

            refuse_targets(options, [(options.format, options.output)])
        return options

    def take_notes(self) -> tuple[str, ...]:
        """Return the notes for an answer that holds them itself, and remove them, so that none goes
        to standard error.
        """
        notes = self.notes
        self.notes = ()
        return notes


def _split_at_dashes(words: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """The words before `--`, with `--format=json` for `--json`, and the words after `--`, which are
    never options.
    """
    place = words.index("--") if "--" in words else len(words)
    typed = ["--format=json" if word == "--json" else word for word in words[:place]]
    return typed, words[place + 1 :]


def _refuse_joined_values(command: str, words: Sequence[str]) -> None:
    """Refuse two kinds of `--flag=value` before argparse sees them: a switch with a value
    (`--private=1`), and the value `--`, which Python 3.11 drops and later versions take as a text.
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


def _take_words(
    options: Options,
    command: str,
    words: list[str],
) -> None:
    """Set the positionals of the command from the words that are no options, in order.

    Raises `UsageError` for a missing word, for a word that is none of the choices, and for words
    left over.
    """
    for positional in positionals_of(command):
        value: str | list[str] | None = positional.default
        if positional.is_list:
            value = words[: positional.most]
            words = words[len(value) :]
        elif words:
            value = words[0]
            words = words[1:]
            # a positional has no flag that the error could name
            _check_choice("", value, positional.choices)
        if not value and not positional.is_optional:
            from .corrections import missing_words

            raise missing_words(command, options)
        setattr(options, positional.name, value)
    if words:
        unexpected = " ".join(words)
        raise UsageError(f"unexpected {unexpected}", remedy=see_help(command))


def _check_choice(
    flag: str,
    value: object,
    choices: Sequence[str],
) -> None:
    """Refuse a value that is none of the choices. Without choices every value is right."""
    if choices and value not in choices:
        from .corrections import unknown_choice

        raise unknown_choice(flag, str(value), choices)


def _settle_output(options: Options, command: str) -> None:
    """Make `--output -` standard output. Where no format was typed, take the format of the file's
    ending: json for `report.json`.
    """
    if options.output == "-":
        options.output = None
    if options.output is None or "format" in options.given:
        return
    ending = options.output.rpartition(".")[2]
    if command != "audit" and ending in formats_of(command):
        options.format = ending


class CommandParser(argparse.ArgumentParser):
    """A parser with the options of one command. It raises `UsageError` where argparse would
    exit. In its help it has all options, or only those that most questions need.
    """

    def __init__(self, command: str, *, full: bool = True) -> None:
        purpose = COMMANDS[command]
        sentence = purpose[0].upper() + purpose[1:]
        if not sentence.endswith("?"):
            sentence += "."
        super().__init__(
            prog=f"selfhost {command}",
            usage=f"%(prog)s [OPTIONS] {options_table().usage[command]}".rstrip(),
            description=sentence,
            formatter_class=_help_formatter,
            add_help=False,
            allow_abbrev=False,
        )
        self.command = command
        # the options that the short help leaves out
        self.rare: list[str] = []
        self.words_group = self.add_argument_group("arguments")
        first_group = self.add_argument_group("options")
        more_group = self.add_argument_group("more options")
        # listed in the help only: `Options.read` prints the help before argparse sees the flag
        first_group.add_argument(
            "-h", "--help", action="help", help="show this help message and exit"
        )
        options = options_of(command)
        common = options_table().common.split()
        for option in options:
            is_rare = len(options) > _MANY_OPTIONS and option.flag not in common
            if is_rare:
                self.rare.append(option.flag)
            if full or not is_rare:
                group = more_group if is_rare else first_group
                help = option.help if full else option.short_help
                group.add_argument(*option.names, **_settings_of(option, help))

    def add_words(self) -> None:
        """Add the positionals to the help. A parser that reads has none: see `_take_words`."""
        for word in positionals_of(self.command):
            self.words_group.add_argument(
                word.name, metavar=word.metavar, help=word.help
            )

    def error(self, message: str) -> NoReturn:
        """Raise the complaint of argparse as a `UsageError`."""
        # the prefix of "argument --quant: expected one argument", in which a user may take
        # "argument" for another option
        message = message.removeprefix("argument ")
        message = message.replace("expected one argument", "expected a value")
        raise UsageError(message, remedy=see_help(self.command))


def help_of(command: str, *, full: bool = False) -> str:
    """The help of a command, with examples and exit codes. Unless it is `full`, it has the options
    that most questions need, and leaves out what stands behind the examples.
    """
    from .texts import fitted, help_texts

    parser = CommandParser(command, full=full)
    parser.add_words()
    texts = help_texts()
    exits = texts.exits.get(command, texts.exits["other"])
    codes = ""
    for code, meaning in exits.items():
        codes += f"  {code}  {meaning}\n"
    options = parser.format_help()
    examples = texts.examples[command]
    if parser.rare and not full:
        count = len(parser.rare)
        options += (
            f"\n{count} more options, and how it works: selfhost {command} --help all\n"
        )
        examples, _, _ = examples.partition("\n\n")
    return fitted(f"{options}\nexamples:\n{examples}\n\nexit codes:\n{codes}")


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """A formatter for help as wide as the terminal, up to 100 columns; 80 in a pipe."""
    width = min(100, terminal_size().columns)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=27, width=width)


def _settings_of(option: Option, help: str) -> dict[str, Any]:
    """The arguments of `add_argument` for an option, with its line in the help."""
    settings: dict[str, Any] = {"dest": option.destination, "help": help}
    if option.metavar is None:
        settings["action"] = "store_true" if option.states else "store_false"
    else:
        settings["action"] = _Value
        settings["option"] = option
        settings["metavar"] = option.metavar
        settings["nargs"] = "*" if option.is_list else None
        settings["default"] = [] if option.is_repeatable else option.default
    if option.is_of_workload:
        # no attribute is set if the option is not typed: the Workload knows the default
        settings["default"] = argparse.SUPPRESS
    return settings


class _Value(argparse.Action):
    """An action that reads the text behind a flag and sets the attribute of the option.

    A repeatable option collects the values of each time that it is typed. Any other option may be
    typed twice only with the same value.
    """

    def __init__(
        self,
        *names: Any,
        option: Option,
        **settings: Any,
    ) -> None:
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
            values_read = [self.option.read(text) for text in texts]
        except ValueError as error:
            parser.error(f"{flag}: {error}")
        for value_read in values_read:
            _check_choice(flag, value_read, self.option.choices)
        value = values_read if self.option.is_list else values_read[0]
        if self.option.is_repeatable:
            earlier_values = getattr(namespace, self.dest, ())
            value = [*earlier_values, *values_read]
        elif self.option.joiner and self.dest in namespace.given:
            earlier_text = getattr(namespace, self.dest)
            value = f"{earlier_text}{self.option.joiner}{value}"
        elif self.dest in namespace.given and value != getattr(namespace, self.dest):
            # argparse would silently keep the second value
            raise UsageError(f"{flag} is given twice", remedy="name one")
        namespace.given[self.dest] = flag
        setattr(namespace, self.dest, value)
