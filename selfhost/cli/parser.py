"""The parser of a command: argparse, with refusals that say what to type instead."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..core.files import can_be_passed_on
from . import COMMANDS
from .declared import COMMON, TAKEN, WORDS, settings_of
from .output import UsageError, columns, write

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn

# more choices than these are not listed in an error
_MOST_CHOICES = 16
# a word of any length may be typed; nobody reads more of it
_MOST_SHOWN = 2_000
# with so many options the help has them in two parts
_MANY_OPTIONS = 14


def parse(command: str, words: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line. Raises `UsageError` for one that makes no sense."""
    options = CommandParser(command).parse(words)
    # of `audit --init` it names the policy to write
    if getattr(options, "output", None) == "-" and not getattr(options, "init", False):
        options.output = None
    output = getattr(options, "output", None)
    if output is not None:
        _take_format_from_output(command, options, words)
        # the audit has targets of its own, and looks at all of them at once
        if command != "audit":
            from .options import check_targets

            check_targets(options, [output])
    return options


def _take_format_from_output(
    command: str, options: argparse.Namespace, words: Sequence[str]
) -> None:
    """Let `--output list.html` be a web page, unless a format is named."""
    if any(word == "--json" or word.partition("=")[0] == "--format" for word in words):
        return
    suffix = options.output.rpartition(".")[2]
    if command == "audit":
        from ..reports.audit_formats import FORMATS

        options.format = [name for name, form in FORMATS.items() if form.suffix == suffix]
    elif suffix in settings_of(command, "--format")["choices"]:
        options.format = suffix


class CommandParser(argparse.ArgumentParser):
    """Parses the words of one command, and raises UsageError where argparse would exit."""

    def __init__(self, command: str) -> None:
        # a formatter is made for each option that is added
        self._width = max(40, min(100, columns()))
        job = COMMANDS[command]
        super().__init__(
            prog=f"selfhost {command}",
            allow_abbrev=False,
            description=f"{job[0].upper()}{job[1:]}.",
        )
        self.command = command
        for name, settings in WORDS[command].items():
            self.add_argument(name, **settings)
        words = [_shown(action) for action in self._actions if not action.option_strings]
        self.usage = " ".join(["%(prog)s [OPTIONS]", *words])
        self._positionals.title = "arguments"
        is_long = len(TAKEN[command]) > _MANY_OPTIONS
        more = self.add_argument_group("more options")
        for names in TAKEN[command]:
            settings = settings_of(command, names)
            if settings.get("help", "") is None:
                settings = {**settings, "help": argparse.SUPPRESS}
            (more if is_long and names not in COMMON else self).add_argument(
                *names.split(), **settings
            )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the options of a command line."""
        self._refuse_odd_values(words)
        options, extra = self.parse_known_args(words)
        for place, word in enumerate(extra):
            if word[:2] == "--" and word != "--":
                # Python 3.14 takes the value of an option that it does not know for a positional
                self._refuse_unknown(extra[place:])
        # only names after an option need the slower way
        return self.parse_intermixed_args(words) if extra else options

    def _refuse_odd_values(self, words: Sequence[str]) -> None:
        """Refuse what argparse takes: an empty value (`--today=`), and a second one of an option
        that keeps one, of which argparse drops the first without a word.
        """
        earlier: dict[str, tuple[str, Any]] = {}
        for word, following in zip(words, [*words[1:], None], strict=False):
            if word == "--":
                return
            flag, sign, text = word.partition("=")
            action = self._option_string_actions.get(flag)
            if action is None:
                continue
            value: Any = text if sign else following
            if action.nargs == 0:
                value = action.const
            elif value is not None:
                self._refuse_no_name(flag, value, is_attached=bool(sign))
            if not isinstance(action, argparse._StoreAction | argparse._StoreConstAction):
                continue
            first_flag, first = earlier.setdefault(action.dest, (flag, None))
            if first_flag == flag and first is not None and action.nargs != 0:
                several = "name one, or a folder of records" if flag == "--machine" else "name one"
                raise UsageError(f"{flag} is given twice", remedy=several)
            if first not in (None, value):
                message = f"{first_flag} and {flag} contradict each other"
                raise UsageError(message, remedy="leave one of them out")
            earlier[action.dest] = flag, value

    def _refuse_no_name(self, flag: str, text: str, *, is_attached: bool) -> None:
        if not text.strip() or (is_attached and text == "--"):
            self.error(f"{flag}: expected a value, not {text!r}")
        if not can_be_passed_on(text):
            self.error(f"{flag}: {text!r} holds a character that no file or name has")

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        """Read a value; argparse would hide the reason of a `ValueError`."""
        try:
            return action.type(text) if callable(action.type) else text
        except ValueError as error:
            raise argparse.ArgumentError(action, str(error)) from None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of the choices, with the one that was perhaps meant."""
        if action.choices is None or value in action.choices:
            return
        flag = action.option_strings[0] if action.option_strings else ""
        choices = list(map(str, action.choices))
        meant = self._meant_choice(flag, choices, str(value))
        listed = ", ".join(choices)
        if meant and len(choices) > _MOST_CHOICES:
            listed = f"the {len(choices)} that `{self.prog} --help` lists"
        remedy = f"did you mean {meant}?" if meant else f"see `{self.prog} --help`"
        shown = f"{flag}: {_cut(repr(value))}" if flag else _cut(repr(value))
        raise UsageError(f"{shown} is not one of {listed}", remedy=remedy)

    def _meant_choice(self, flag: str, choices: Sequence[str], typed: str) -> str:
        """Return what to type for a value that is none of the choices; empty where nobody knows."""
        from ..catalogue.searching import kind_meant
        from ..core.spelling import alike

        meant = kind_meant(typed)
        for other in self._actions if meant and meant not in choices else ():
            if other.option_strings and meant in map(str, other.choices or ()):
                return f"{other.option_strings[0]} {meant}"
        guess = meant if meant in choices else alike(typed, choices)
        return f"{flag} {guess}".strip() if guess else ""

    def error(self, message: str) -> NoReturn:
        """Raise argparse's complaint with what to type instead."""
        from .texts import first_example, help_text

        message = message.removeprefix("argument ")
        remedy = f"see `{self.prog} --help`"
        flag, _, rest = message.partition(": ")
        ignored = rest.removeprefix("ignored explicit argument ")
        if flag == "unrecognized arguments":
            self._refuse_unknown(rest.split() or ["an empty word"])
        if flag == "the following arguments are required":
            message = help_text("missing").get(self.command, message)
            remedy = f"for example `{first_example(self.command)}`"
        elif rest == "expected one argument":
            message = f"{flag.partition('/')[0]} takes a value, and none follows it"
        elif ignored != rest:
            message, remedy = f"{flag} takes no value, not {ignored}", f"write {flag} alone"
        raise UsageError(_cut(message), remedy=_cut(remedy))

    def _refuse_unknown(self, words: Sequence[str]) -> NoReturn:
        kind = "unknown option" if words[0].startswith("-") else "unexpected"
        remedy = self._instead_of(words) or f"see `{self.prog} --help`"
        raise UsageError(_cut(f"{kind} {' '.join(words)}"), remedy=_cut(remedy))

    def _instead_of(self, words: Sequence[str]) -> str:
        """Return what to type instead of options that this command lacks; empty where nobody
        knows.
        """
        from ..core.spelling import nearest
        from .texts import help_text, meant

        option = words[0].partition("=")[0]
        names = [word.partition("=")[0].lstrip("-") for word in words if word.startswith("-")]
        stated = {name: row["remedy"] for row in help_text("stated") for name in row["names"]}
        if option in help_text("instead"):
            return str(help_text("instead")[option])
        if option.lstrip("-") in (*stated, "machine", "gpu", "set"):
            elsewhere = help_text("judges_machines").get(self.command)
            return str(elsewhere or stated.get(option.lstrip("-"), ""))
        if option == "--use":
            return f"`selfhost list --use {(*words, 'USE')[1]}` has the models made for it"
        if not names:
            return str(help_text("second_word").get(self.command, ""))
        # without the dashes, which all options have, and which would make unlike words look alike
        known = [flag[2:] for flag in self._option_string_actions if flag.startswith("--")]
        guesses = [meant("options", name, known) or nearest(name, known) for name in names]
        listed = " ".join(f"--{guess}" for guess in dict.fromkeys(guesses) if guess)
        return f"did you mean {listed}?" if listed else ""

    def _get_formatter(self) -> argparse.HelpFormatter:
        """Return one as wide as the terminal; argparse loads shutil to ask for the width."""
        return argparse.RawDescriptionHelpFormatter(
            self.prog, max_help_position=27, width=self._width
        )

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse says nothing where it cannot be written."""
        write(self.format_help())

    def format_help(self) -> str:
        """Return argparse's help, with the choices that an error does not list, examples and the
        exit codes.
        """
        from .texts import examples, exit_codes

        text = super().format_help()
        for action in self._actions:
            choices = list(map(str, action.choices or ()))
            if len(choices) > _MOST_CHOICES:
                formatter = argparse.HelpFormatter(self.prog, width=self._width)
                formatter.add_text(f"{action.metavar}: {', '.join(choices)}")
                text += f"\n{formatter.format_help()}"
        return f"{text}\n{examples(self.command)}\n{exit_codes(self.command)}"


def _shown(action: argparse.Action) -> str:
    """Return a positional word as the usage has it: `MODEL…`, `[POLICY]`."""
    name = str(action.metavar or "|".join(action.choices or ()) or action.dest)
    more = "…" if action.nargs in ("+", "*") else ""
    return f"[{name}{more}]" if action.nargs in ("?", "*") else f"{name}{more}"


def _cut(text: str) -> str:
    if len(text) <= _MOST_SHOWN:
        return text
    return f"{text[: _MOST_SHOWN // 2]} … {text[-_MOST_SHOWN // 4 :]}"
