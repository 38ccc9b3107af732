"""The whole parser of a command, from its declared options: for its help, and for a line that is
wrong or unusual. argparse and what it loads take four milliseconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..core.reading import can_be_passed_on
from . import COMMANDS
from .errors import UsageError
from .output import help_width, write
from .texts import EXAMPLES, exit_codes, folded

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .arguments import Parser

# argparse asks for a translation of its own words, of which none ship: looking for one loads locale
# and a dozen files that are not there
vars(argparse)["_"] = str


# options that other programs have
_QUIET = "the exit code is the answer: send the text to /dev/null, or read one field of --json"
_VERSION = "`selfhost --version` prints the version"
_INSTEAD = {"-q": _QUIET, "--quiet": _QUIET, "-V": _VERSION, "--version": _VERSION}

# of a command that asks about no machine, the one that does
_HELD_AGAINST = {
    "size": "`selfhost check MODEL… --machine NAME` holds them against a machine, side by side too",
    "plan": "`selfhost check MODEL --machine NAME` judges one machine",
}
_OF_A_MACHINE = ("--machine", "--gpu", "--set")
# commands that take one word, and where a second one belongs
_SECOND_WORD = {
    "verify": "give the log or the process alone, and the model's name as --model NAME",
}

# more choices than these are not listed beside the one that was perhaps meant
_MOST_CHOICES = 16
# what other programs call an option -> what it may be called here
_MEANT = {
    **dict.fromkeys(
        ("users", "concurrency", "max-num-seqs", "batch", "batch-size", "sequences", "np"),
        ("--parallel",),
    ),
    **dict.fromkeys(
        ("c", "ctx", "ctx-size", "max-model-len", "num-ctx", "max-tokens"), ("--context",)
    ),
    **dict.fromkeys(("for", "purpose"), ("--use", "--machine")),
    **dict.fromkeys(
        ("on", "host", "hardware", "computer", "system", "target", "instance"), ("--machine",)
    ),
    **dict.fromkeys(("device", "card", "accelerator"), ("--gpu",)),
    **dict.fromkeys(("quantization", "q", "precision", "dtype", "bits"), ("--quant",)),
    **dict.fromkeys(("engine", "backend", "program", "provider"), ("--runtime",)),
    **dict.fromkeys(("speed", "tps", "min-tps", "tokens-per-second"), ("--min-speed",)),
    **dict.fromkeys(("lora", "peft"), ("--adapter",)),
    **dict.fromkeys(("limit", "n", "count"), ("--top",)),
    **dict.fromkeys(("out", "o"), ("--output",)),
    **dict.fromkeys(("f", "type"), ("--format",)),
}
# what is no option here, where the command has --set, and how it is stated
_STATED = {
    **dict.fromkeys(("vram", "gpu-memory"), "state it: --set gpu=24GiB, or --gpu 'RTX 4090'"),
    **dict.fromkeys(("ram", "mem"), "state it: --set memory=32GiB"),
    **dict.fromkeys(("cores", "threads", "cpus"), "state it: --set cores=8"),
    **dict.fromkeys(("cpu", "no-gpu", "cpu-only"), "leave GPUs out: --gpu none"),
    "bandwidth": "state it: --set bandwidth=80GB/s, or run with --measure",
    "disk": "state it: --set disk=100GB",
}

_MISSING = {
    "check": "name a model, or several",
    "show": "name a model",
    "plan": "name a model",
    "size": "name a model, or several",
    "compare": "name two models or more",
    "verify": "name a log, or the id of a process",
    "spec": "say what to do, check or new, and name a file",
    "completion": "name a shell: bash, zsh or fish",
}

# what to do instead of giving an option a second value
_SEVERAL = {"--machine": "name one, or a folder of records"}

# the options that most questions need, in the order that `--help` has them; a command with few
# options has no others
_COMMON = (
    "--top", "--all", "--wide", "--sort", "--use", "--users", "--context", "--quant", "--runtime",
    "--min-speed", "--machine", "--gpu", "--set", "--measure", "--private", "--commercial",
    "--license", "--tokens-per-day", "--format", "--verbose", "--help",
)  # fmt: skip
_FEW_OPTIONS = 14
# where the text beside an option begins
_HELP_COLUMN = 27


class FullParser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit."""

    def __init__(self, declared: Parser) -> None:
        job = COMMANDS[declared.command]
        # a formatter is made for each option that is added
        self._width = help_width()
        super().__init__(
            prog=f"selfhost {declared.command}",
            description=job[0].upper() + job[1:] + ".",
            allow_abbrev=False,
        )
        self.command = declared.command
        self.set_defaults(**declared.defaults)
        for option in declared.options:
            settings = {**option.settings}
            if settings.get("help", "") is None:
                settings["help"] = argparse.SUPPRESS
            self.add_argument(*option.names, **settings)

    def _get_formatter(self) -> argparse.HelpFormatter:
        """As wide as the terminal; argparse loads shutil to ask for the width."""
        return argparse.RawDescriptionHelpFormatter(
            self.prog, max_help_position=_HELP_COLUMN, width=self._width
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The options of a command line; `UsageError` for what makes no sense."""
        _refuse_empty_values(self, words)
        _refuse_repeated(self, words)
        options, extra = self.parse_known_args(words)
        for place, word in enumerate(extra):
            if word[:2] == "--" and word != "--":
                # Python 3.14 takes the value of an option that it does not know for a positional
                self.error(f"unrecognized arguments: {' '.join(extra[place:])}")
        # only names after an option need the slower way, which also says what is wrong with the
        # rest
        return self.parse_intermixed_args(words) if extra else options

    def format_help(self) -> str:
        """The usage on one line, the options that most questions need, the others, examples, and
        the exit codes of this command.
        """
        positional = [action for action in self._actions if not action.option_strings]
        options = [action for action in self._actions if action.option_strings]
        common = [action for name in _COMMON for action in options if name in action.option_strings]
        if len(options) <= _FEW_OPTIONS:
            common = options
        formatter = self._get_formatter()
        formatter.add_text(self.description)
        for title, actions in (
            ("arguments", positional),
            ("options", common),
            ("more options", [action for action in options if action not in common]),
        ):
            formatter.start_section(title)
            formatter.add_arguments(actions)
            formatter.end_section()
        for action in options:
            if len(tuple(action.choices or ())) > _MOST_CHOICES:
                formatter.add_text(f"{action.metavar}: {', '.join(map(str, action.choices or ()))}")
        words = " ".join(_shown(action) for action in positional)
        usage = f"usage: {self.prog} [OPTIONS] {words}".rstrip()
        epilog = f"{EXAMPLES[self.command]}\n{exit_codes(self.command)}"
        return folded(f"{usage}\n\n{formatter.format_help()}\n{epilog}", self._width)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """argparse's own, with the choice that was perhaps meant."""
        if action.choices is None or value in action.choices:
            return
        from ..catalogue.searching import kind_meant
        from ..core.spelling import alike

        flag = action.option_strings[0] if action.option_strings else ""
        choices = list(map(str, action.choices))
        meant = kind_meant(str(value))
        remedy = f"see `{self.prog} --help`"
        elsewhere = self._under_another_flag(meant)
        guess = meant if meant in choices else alike(str(value), choices)
        if elsewhere and meant not in choices:
            remedy = elsewhere
        elif guess:
            remedy = f"did you mean {f'{flag} {guess}'.strip()}?"
        shown = f"{flag}: {_cut(repr(value))}" if flag else _cut(repr(value))
        listed = ", ".join(choices)
        if remedy.startswith("did you mean") and len(choices) > _MOST_CHOICES:
            listed = f"the {len(choices)} that `{self.prog} --help` lists"
        raise UsageError(f"{shown} is not one of {listed}", remedy=remedy)

    def _under_another_flag(self, value: str) -> str:
        """The option that has such a choice, as a remedy; empty where none has."""
        for action in self._actions:
            if action.option_strings and value in map(str, action.choices or ()):
                return f"did you mean {action.option_strings[0]} {value}?"
        return ""

    def print_help(self, file: Any = None) -> None:
        """argparse says nothing where it cannot be written."""
        write(self.format_help())

    def _nearest_flags(self, unknown: Sequence[str]) -> list[str]:
        """The options that these words perhaps meant."""
        from ..core.spelling import nearest

        flags = [
            flag.removeprefix("--")
            for action in self._actions
            for flag in action.option_strings
            if flag.startswith("--")
        ]
        # the dashes, which all have, would make unlike words look alike
        names = [word.partition("=")[0].lstrip("-") for word in unknown if word[:1] == "-"]
        guesses = [_meant(name, flags) or nearest(name, flags) for name in names]
        return list(dict.fromkeys(f"--{guess}" for guess in guesses if guess))

    def _instead_of(self, unknown: Sequence[str]) -> str:
        """What to type instead of options that this command lacks, and their values; empty where
        nobody knows.
        """
        names = [word.partition("=")[0].lstrip("-") for word in unknown]
        if "--set" in self._option_string_actions:
            for name in names:
                if name in _STATED:
                    return _STATED[name]
        for word in unknown:
            if word in _INSTEAD:
                return _INSTEAD[word]
        if self.command in _HELD_AGAINST and _is_of_a_machine(unknown[0]):
            return _HELD_AGAINST[self.command]
        if unknown[0] == "--use":
            use = unknown[1] if len(unknown) > 1 else "USE"
            return f"`selfhost list --use {use}` has the models made for it"
        guesses = self._nearest_flags(unknown)
        if guesses or unknown[0].startswith("-"):
            return f"did you mean {' '.join(guesses)}?" if guesses else ""
        return _SECOND_WORD.get(self.command, "")

    def error(self, message: str) -> NoReturn:
        remedy = f"see `{self.prog} --help`"
        if message.startswith("the following arguments are required: "):
            message = _MISSING.get(self.command, message)
            example = EXAMPLES[self.command].splitlines()[1].strip()
            remedy = f"for example `{example.partition('  ')[0]}`"
        if message.startswith("unrecognized arguments: "):
            unknown = message.partition(": ")[2].split() or ["an empty word"]
            kind = "unknown option" if unknown[0].startswith("-") else "unexpected"
            message = f"{kind} {' '.join(unknown)}"
            remedy = self._instead_of(unknown) or remedy
        if message.endswith(_NO_VALUE):
            flag = message.removeprefix("argument ").removesuffix(_NO_VALUE)
            message = f"{flag.partition('/')[0]} takes a value, and none follows it"
        flag, is_valued, text = message.removeprefix("argument ").partition(_VALUE_OF_FLAG)
        if is_valued:
            message, remedy = f"{flag} takes no value, not {text}", f"write {flag} alone"
        raise UsageError(_cut(message.removeprefix("argument ")), remedy=_cut(remedy))


def _is_of_a_machine(option: str) -> bool:
    """Whether it states or names a machine, here or as other programs call it."""
    flag = option.partition("=")[0]
    return flag in _OF_A_MACHINE or flag.removeprefix("--") in _STATED


# what argparse says of `--format` at the end of a line
_NO_VALUE = ": expected one argument"
# what argparse says of `--json=1`
_VALUE_OF_FLAG = ": ignored explicit argument "


def _meant(name: str, flags: Sequence[str]) -> str | None:
    """The option that other programs call so, where this command has it."""
    options = (option.removeprefix("--") for option in _MEANT.get(name, ()))
    return next((option for option in options if option in flags), None)


# what other programs call a command -> what to type here
MEANT_COMMANDS = {
    **dict.fromkeys(("version",), "--version"),
    **dict.fromkeys(("recommend", "search", "find", "models", "ls", "top", "rank", "fit"), "list"),
    **dict.fromkeys(("info", "inspect", "describe", "details"), "show"),
    **dict.fromkeys(
        ("doctor", "system", "detect", "hardware", "hw", "specs", "gpu", "measure"), "machine"
    ),
    **dict.fromkeys(("run", "serve", "pull", "can-run", "estimate", "test", "judge"), "check"),
    **dict.fromkeys(("diff", "vs"), "compare"),
    **dict.fromkeys(("bench", "benchmark"), "verify"),
    **dict.fromkeys(("policy", "ci"), "audit"),
}


def _shown(action: argparse.Action) -> str:
    """A positional word as the usage has it: `MODEL…`, `[POLICY]`."""
    name = str(action.metavar or "|".join(action.choices or ()) or action.dest)
    more = "…" if action.nargs in ("+", "*") else ""
    return f"[{name}{more}]" if action.nargs in ("?", "*") else f"{name}{more}"


# a word of any length may be typed; nobody reads more of it
_MOST_SHOWN = 2_000


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= _MOST_SHOWN
        else f"{text[: _MOST_SHOWN // 2]} … {text[-_MOST_SHOWN // 4 :]}"
    )


def _refuse_empty_values(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """An option that is given nothing says so: argparse takes `--today=` for a value, and
    `--today=--` for an empty list or for `--`.
    """
    takes_value = {
        flag for action in parser._actions if action.nargs != 0 for flag in action.option_strings
    }
    for word, following in zip(words, [*words[1:], None], strict=False):
        if word == "--":
            return
        flag, sign, value = word.partition("=")
        if flag not in takes_value or (not sign and following is None):
            continue
        text = value if sign else following or ""
        if not text.strip() or (sign and text == "--"):
            parser.error(f"argument {flag}: expected a value, not {text!r}")
        if not can_be_passed_on(text):
            parser.error(f"argument {flag}: {text!r} holds a character that no file or name has")


def _refuse_repeated(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """An option that keeps one value is given it once: of several, argparse drops all but the last
    without a word.
    """
    keeping_one = {
        flag: action
        for action in parser._actions
        if isinstance(action, argparse._StoreAction | argparse._StoreConstAction)
        for flag in action.option_strings
    }
    # by what it sets, the option that came first and its value
    first: dict[str, tuple[str, Any]] = {}
    for word, following in zip(words, [*words[1:], None], strict=False):
        if word == "--":
            return
        flag, sign, text = word.partition("=")
        action = keeping_one.get(flag)
        if action is None:
            continue
        value = text if sign else following
        if action.nargs == 0:
            value = action.const
        if action.dest not in first:
            first[action.dest] = flag, value
            continue
        earlier_flag, earlier = first[action.dest]
        if flag == earlier_flag and action.nargs != 0:
            remedy = _SEVERAL.get(flag, "name one")
            raise UsageError(f"{flag} is given twice", remedy=remedy)
        if value != earlier:
            raise UsageError(
                f"{earlier_flag} and {flag} contradict each other",
                remedy="leave one of them out",
            )
