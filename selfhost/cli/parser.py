"""The parser of a command: argparse, options of `specs/common/options.toml`, clear refusals."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NoReturn

from ..catalogue.spec_values import MODALITIES, OPENNESS, USES
from ..core.files import can_be_passed_on
from ..core.tables import shipped_table
from ..core.units import (
    parse_count,
    parse_number,
    parse_rate,
    parse_seconds,
    parse_size,
    parse_tokens,
    parse_whole,
)
from ..core.workload import Load, Workload, cache_type
from . import COMMANDS
from .output import UsageError, extent, refuse_targets, write

# of more options than this the help has two parts
_MANY_OPTIONS = 15


def parse(command: str, words: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line. Raises `UsageError` for one that makes no sense."""
    options = CommandParser(command).parse(words)
    output = getattr(options, "output", None)
    # beside `audit --init` it is refused, whatever it names
    if output == "-" and not getattr(options, "init", False):
        output = options.output = None
    if output is None:
        return options
    suffix = output.rpartition(".")[2]
    if command == "audit":
        from ..reports.audit_formats import FORMATS

        named = [name for name, form in FORMATS.items() if form.suffix == suffix]
        options.format = options.format or named
        return options
    if "format" not in options.given and suffix in formats_of(command):
        options.format = suffix
    refuse_targets(options, [output])
    return options


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

    def __init__(self, command: str) -> None:
        # argparse loads shutil to ask for the width, and makes a formatter for each option
        width = max(40, min(100, extent("COLUMNS") or 80))
        form, job = argparse.RawDescriptionHelpFormatter, COMMANDS[command][1]
        super().__init__(
            prog=f"selfhost {command}",
            allow_abbrev=False,
            description=f"{job[0].upper()}{job[1:]}.",
            formatter_class=partial(form, max_help_position=27, width=width),
        )
        self.command = command
        self.words: Sequence[str] = ()
        self.register("action", None, _Once)
        self.usage = "%(prog)s [OPTIONS]"
        self._positionals.title = "arguments"
        settings_of = arguments(command)
        is_long = len(settings_of) > _MANY_OPTIONS
        common = _option_names(shipped_table("options")["common"]) if is_long else ()
        more = self.add_argument_group("more options")
        for names, settings in settings_of.items():
            is_option = names.startswith("-")
            if is_option and settings["help"] is None:
                settings = {**settings, "help": argparse.SUPPRESS}
            group = more if is_option and is_long and names not in common else self
            group.add_argument(*names.split(), **settings)
            if not is_option:
                nargs, shown = settings.get("nargs"), settings["metavar"]
                shown = shown or "|".join(settings["choices"])
                shown += "…" if nargs in ("+", "*") else ""
                self.usage += f" [{shown}]" if nargs in ("?", "*") else f" {shown}"

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the options of a command line."""
        self.words = words
        for word in words:
            if word.startswith("-") and word.endswith("=--"):
                # argparse makes no value of it in one version of Python, and a name in another
                self.error(f"{word[:-3]}: expected a value, not '--'")
        options, extra = self.parse_known_args(words)
        for place, word in enumerate(extra):
            if word[:2] == "--" and word != "--":
                # Python 3.14 takes the value of an option that it does not know for a positional
                self._refuse_unknown(extra[place:])
        # only names after an option need the slower way
        return self.parse_intermixed_args(words) if extra else options

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        """Read a value; argparse would hide the reason of a `ValueError`."""
        try:
            if action.option_strings and not text.strip():
                raise ValueError(f"expected a value, not {text!r}")
            if action.option_strings and not can_be_passed_on(text):
                raise ValueError(f"{text!r} holds a character that no file or name has")
            return action.type(text) if callable(action.type) else text
        except ValueError as error:
            raise argparse.ArgumentError(action, str(error)) from None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        from ..catalogue.searching import kind_meant
        from ..core.spelling import canonical, nearest

        flag = f"{action.option_strings[0]} " if action.option_strings else ""
        choices, word = list(map(str, action.choices)), str(value).strip().lower()
        # `image` begins image-generation, and `generation` is a part of it
        named = [
            kind_meant(word),
            *(choice for choice in choices if choice.startswith(word or "-")),
        ]
        named += [choice for choice in choices if word in canonical(choice).split("-")]
        meant = next((name for name in named if name in choices), None) or nearest(word, choices)
        remedy = f"did you mean {flag}{meant}?" if meant else f"see `{self.prog} --help`"
        place = f"{flag.strip()}: " if flag else ""
        raise UsageError(f"{place}{value!r} is not one of {', '.join(choices)}", remedy=remedy)

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
            self._refuse_unknown(rest.split() or ["an empty word"])
        if flag == "the following arguments are required":
            message = help_text("missing").get(self.command, message)
            first = help_text("examples")[self.command].split("\n")[0].strip().partition("  ")[0]
            remedy = f"for example `{first}`"
        elif rest == "expected one argument":
            message = f"{flag} takes a value, and none follows it"
        elif ignored != rest:
            message, remedy = f"{flag} takes no value, not {ignored}", f"write {flag} alone"
        raise UsageError(message, remedy=remedy)

    def _refuse_unknown(self, words: Sequence[str]) -> NoReturn:
        from ..core.spelling import nearest

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
        exits = help_text("exits")
        codes = exits.get(self.command, exits["other"]).items()
        lines = "".join(f"  {code}  {words}\n" for code, words in codes)
        return f"{super().format_help()}\n{examples(self.command)}\nexit codes:\n{lines}"


def help_text(key: str) -> Any:
    """Return one part of `specs/common/help.toml`."""
    return shipped_table("help")[key]


def examples(command: str) -> str:
    """Return the examples of a command, a line each, under their heading."""
    return f"examples:\n{help_text('examples')[command]}\n"


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


def _option_names(text: str) -> list[str]:
    """Return the options of a list of options and groups, the names of each with blanks between."""
    groups = shipped_table("options")["groups"]
    words = " ".join(groups.get(word, word) for word in text.split()).split()
    return [word.replace("/", " ") for word in words]


def formats_of(command: str) -> tuple[str, ...]:
    """Return the formats in which a command answers."""
    if command == "audit":
        from ..reports.audit_formats import FORMATS

        return tuple(FORMATS)
    return ("text", "json", *shipped_table("options")["formats"].get(command, ()))


def arguments(command: str) -> dict[str, dict[str, Any]]:
    """Return the words and options of a command with their settings as argparse names them."""
    table = shipped_table("options")
    words = {name: {"metavar": None, **row} for name, row in table["words"][command].items()}
    options = {names: _settings(names.split()) for names in _option_names(table["taken"][command])}
    if "--format" in options:
        formats = formats_of(command)
        listed = f"{', '.join(formats)} (--json for short)"
        form: dict[str, Any] = {"metavar": "NAME", "choices": formats, "default": "text"}
        json: dict[str, Any] = {"nargs": 0}
        if command == "audit":
            form = {"metavar": "NAME[=FILE]", "action": "append", "default": []}
            json = {"action": "append_const"}
            listed += "; =FILE writes it there"
        options["--format"] = {**form, "help": listed}
        options["--json"] = {**json, "dest": "format", "const": "json", "help": None}
    return {**words, **options}


def _settings(names: list[str]) -> dict[str, Any]:
    rows = shipped_table("options")["option"]
    flag = next((name for name in names if name in rows), "")
    settings = dict(rows.get(flag, {}))
    if "metavar" not in settings:
        settings.setdefault("action", "store_true")
    elif settings.get("action") == "append":
        settings["default"] = []
    if "type" in settings:
        settings["type"] = _TYPES[settings["type"]]
    field, stated = _FIELDS.get(flag, (None, None))
    choices = _CHOICES.get(flag, ())
    if field is not None and stated is not None:
        settings["dest"] = field
        choices = stated.limits.get("choices", ())
        if isinstance(stated.default, str | int) and stated.default is not False:
            settings["default"] = stated.default
    if choices:
        settings.setdefault("choices", choices)
        settings["help"] = settings["help"].replace("{choices}", ", ".join(choices))
    return settings
