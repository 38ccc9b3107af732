"""The parser of a command: the options that commands share, and the readers of their values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from ..core.workload import (
    FINETUNE_METHODS,
    KV_CACHE_TYPES,
    MEMORY_BASES,
    OPTIMIZERS,
    PRICE_SOURCES,
    TASKS,
)
from .errors import UsageError
from .output import columns, write
from .texts import COMMANDS, EXAMPLES, exit_codes, folded

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn

# argparse asks for a translation of its own words, of which none ship: looking for one loads locale
# and a dozen files that are not there
vars(argparse)["_"] = str


# options that other programs have
_QUIET = "the exit code is the answer: send the text to /dev/null, or read one field of --json"
_VERSION = "`selfhost --version` prints the version"
_INSTEAD = {"-q": _QUIET, "--quiet": _QUIET, "-V": _VERSION, "--version": _VERSION}

# what other programs call an option -> what it is called here
_MEANT = {
    "--users": "--parallel",
    "--concurrency": "--parallel",
    "--max-num-seqs": "--parallel",
    "--ctx-size": "--context",
    "--max-model-len": "--context",
}

# what people call a choice -> the choice
_CHOICE_MEANT = {
    "ocr": "document-reading",
    "asr": "speech-recognition",
    "stt": "speech-recognition",
    "tts": "speech-synthesis",
    "roleplaying": "roleplay",
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


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """argparse loads shutil to ask for the width, once for each option that is added."""
    return argparse.RawDescriptionHelpFormatter(
        prog, max_help_position=_HELP_COLUMN, width=help_width()
    )


def help_width() -> int:
    """Columns of what `--help` prints."""
    return max(40, min(100, columns()))


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit."""

    def __init__(self, command: str) -> None:
        job = COMMANDS[command]
        super().__init__(
            prog=f"selfhost {command}",
            description=job[0].upper() + job[1:] + ".",
            formatter_class=_help_formatter,
            allow_abbrev=False,
        )
        self.command = command

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
        words = " ".join(_shown(action) for action in positional)
        usage = f"usage: {self.prog} [OPTIONS] {words}".rstrip()
        epilog = f"{EXAMPLES[self.command]}\n{exit_codes(self.command)}"
        return folded(f"{usage}\n\n{formatter.format_help()}\n{epilog}", help_width())

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """argparse's own, with the choice that was perhaps meant."""
        if action.choices is None or value in action.choices:
            return
        from ..core.spelling import alike

        flag = action.option_strings[0] if action.option_strings else str(action.metavar or "")
        choices = list(map(str, action.choices))
        meant = _CHOICE_MEANT.get(str(value).lower())
        guess = meant if meant in choices else alike(str(value), choices)
        remedy = (
            f"did you mean {f'{flag} {guess}'.strip()}?" if guess else f"see `{self.prog} --help`"
        )
        shown = _cut(repr(value))
        raise UsageError(f"{flag}: {shown} is not one of {', '.join(choices)}", remedy=remedy)

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

    def error(self, message: str) -> NoReturn:
        remedy = f"see `{self.prog} --help`"
        if message.startswith("the following arguments are required: "):
            message = _MISSING.get(self.command, message)
            example = EXAMPLES[self.command].splitlines()[1].strip()
            remedy = f"for example `{example.partition('  ')[0]}`"
        if message.startswith("unrecognized arguments: "):
            unknown = message.partition(": ")[2].split() or ["an empty word"]
            guesses = self._nearest_flags(unknown)
            message = (
                f"unknown option {' '.join(unknown)}"
                if unknown[0].startswith("-")
                else f"unexpected {' '.join(unknown)}"
            )
            remedy = f"did you mean {' '.join(guesses)}?" if guesses else remedy
            remedy = next((_INSTEAD[word] for word in unknown if word in _INSTEAD), remedy)
        raise UsageError(_cut(message.removeprefix("argument ")), remedy=_cut(remedy))


def _meant(name: str, flags: Sequence[str]) -> str | None:
    """The option that other programs call so, where this command has it."""
    meant = _MEANT.get(f"--{name}", "").removeprefix("--")
    return meant if meant in flags else None


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


def parse(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """The options of a command line; `UsageError` for what makes no sense."""
    _refuse_empty_values(parser, words)
    options, extra = parser.parse_known_args(words)
    if extra:
        # only names after an option need the slower way, which also says what is wrong with the
        # rest
        options = parser.parse_intermixed_args(words)
    if getattr(options, "output", None) == "-":
        options.output = None
    _take_format_from_output(parser, options, words)
    # the audit has targets of its own, and looks at all of them at once
    if parser.command != "audit" and getattr(options, "output", None) is not None:
        from .inputs import check_targets

        check_targets(options, [options.output])
    return options


def _take_format_from_output(
    parser: Parser, options: argparse.Namespace, words: Sequence[str]
) -> None:
    """`--output list.html` is a web page, unless a format is named."""
    if any(word == "--json" or word.partition("=")[0] == "--format" for word in words):
        return
    suffix = (getattr(options, "output", None) or "").rpartition(".")[2]
    if parser.command == "audit":
        from ..reports.audit_formats import FORMATS

        options.format = [name for name, form in FORMATS.items() if form.suffix == suffix]
        return
    formats = next((action.choices for action in parser._actions if action.dest == "format"), None)
    if formats is not None and suffix in formats:
        options.format = suffix


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
        if not _can_be_passed_on(text):
            parser.error(f"argument {flag}: {text!r} holds a character that no file or name has")


def _can_be_passed_on(text: str) -> bool:
    """False for what a system call refuses: a NUL, or half of a surrogate pair that stands for
    no byte.
    """
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def add_workload(parser: argparse.ArgumentParser) -> None:
    """What the model should do, and what it must be."""
    _add_work(parser)
    _add_finetuning(parser)
    _add_rules(parser)


def _add_work(parser: argparse.ArgumentParser) -> None:
    work = parser.add_argument_group("what it should do")
    work.add_argument(
        "--context",
        type=kind(tokens),
        metavar="N",
        help="context in tokens, as 8192 or 8k (default: 4096)",
    )
    work.add_argument(
        "--prompt",
        type=kind(tokens),
        metavar="N",
        help="length of a prompt in tokens: time to the first word",
    )
    work.add_argument(
        "--task",
        choices=TASKS,
        default="generate",
        metavar="TASK",
        help="generate (default) or finetune",
    )
    work.add_argument(
        "--quant", metavar="Q", help="quantization, as Q4_K_M (default: one that suits)"
    )
    work.add_argument(
        "--runtime",
        metavar="R",
        help="as llama.cpp, ollama, transformers, vllm or mlx",
    )
    work.add_argument(
        "--kv-cache", choices=KV_CACHE_TYPES, metavar="TYPE", help="f16 (default), q8_0 or q4_0"
    )
    work.add_argument(
        "--draft",
        metavar="MODEL",
        help="for speculative decoding; mtp: the model's own block",
    )
    work.add_argument(
        "--adapter", metavar="FILE|rank=N", help="a LoRA adapter to load, or its rank"
    )
    work.add_argument(
        "--audio",
        type=kind(seconds),
        metavar="TIME",
        help="length of one recording, as 30s, 10m or 1.5h",
    )
    work.add_argument(
        "--parallel",
        type=kind(whole),
        default=1,
        metavar="N",
        help="sequences at once, each with its own context",
    )
    work.add_argument(
        "--min-speed",
        type=kind(number),
        metavar="N",
        help="lowest useful tokens/s (default: 2; 0: any)",
    )


def _add_finetuning(parser: argparse.ArgumentParser) -> None:
    tune = parser.add_argument_group("with --task finetune")
    tune.add_argument(
        "--method",
        choices=FINETUNE_METHODS,
        metavar="METHOD",
        help="of --task finetune: full, lora or qlora",
    )
    tune.add_argument(
        "--lora-rank", type=kind(whole), metavar="N", help="of --task finetune (default: 16)"
    )
    tune.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        metavar="NAME",
        help=f"of --task finetune: {', '.join(OPTIMIZERS)}",
    )
    tune.add_argument(
        "--dataset-tokens",
        type=kind(count),
        metavar="N",
        help="tokens trained on in all, as 2M: tells the hours",
    )
    tune.add_argument(
        "--no-checkpointing",
        action="store_true",
        help="of --task finetune: keep all activations",
    )


def _add_rules(parser: argparse.ArgumentParser) -> None:
    rules = parser.add_argument_group("what it must be")
    rules.add_argument(
        "--private", action="store_true", help="nothing may leave this machine, so no API"
    )
    rules.add_argument(
        "--commercial", action="store_true", help="the license must allow commercial use"
    )
    rules.add_argument(
        "--modify",
        action="store_true",
        help="the license must allow modified versions",
    )
    rules.add_argument(
        "--auditable",
        action="store_true",
        help="training data, code and paper must be open",
    )
    rules.add_argument(
        "--license", metavar="EXPR", help="accepted licenses, as 'Apache-2.0 OR MIT'"
    )


def add_cost(parser: argparse.ArgumentParser) -> None:
    cost = parser.add_argument_group("what a month would cost")
    cost.add_argument(
        "--tokens-per-day",
        metavar="IN:OUT",
        help="cost a month, as 2M:500k",
    )
    cost.add_argument(
        "--watts",
        type=kind(number),
        metavar="W",
        help="what this computer draws at work",
    )
    cost.add_argument(
        "--electricity",
        type=kind(number),
        metavar="PRICE",
        help="of a kWh, in your currency, as 0.30",
    )
    cost.add_argument(
        "--hardware-price",
        type=kind(number),
        metavar="PRICE",
        help="of this computer, in your currency",
    )
    cost.add_argument(
        "--hardware-life",
        type=kind(years),
        metavar="TIME",
        help="how long it serves, as 3y or 18mo (default: 3y)",
    )
    cost.add_argument(
        "--dollar-price",
        type=kind(number),
        metavar="RATE",
        help=("of one US dollar, as 0.92; 1 if you pay in dollars"),
    )
    cost.add_argument(
        "--prices",
        choices=PRICE_SOURCES,
        default="snapshot",
        metavar="SOURCE",
        help="snapshot (of this release) or genai-prices (package)",
    )


class _Once(argparse.Action):
    """An option that the last one given would silently replace."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option} is given twice: name one, or a folder of records")
        setattr(namespace, self.dest, values)


def add_machine(parser: argparse.ArgumentParser, command: str) -> None:
    place = parser.add_argument_group("which machine")
    if command == "plan":
        # it asks for no machine, and counts all memory of each
        parser.set_defaults(
            machine=None, gpu=[], set=[], measure=False, no_measure=True, memory=None
        )
    else:
        _add_named_machine(place)
    if command == "verify":
        # what ran is loaded already
        return
    place.add_argument(
        "--download-speed",
        type=kind(rate),
        metavar="RATE",
        help="of your connection, as 100Mbit/s: time to download",
    )
    place.add_argument(
        "--reserve",
        type=kind(size_bytes),
        metavar="SIZE",
        help="memory kept for the system itself, as 2GiB",
    )


def _add_named_machine(place: argparse._ArgumentGroup) -> None:
    place.add_argument(
        "--machine",
        action=_Once,
        metavar="NAME|FILE",
        help="a machine by words of its name, or a record's file",
    )
    place.add_argument(
        "--gpu",
        action="append",
        default=[],
        metavar="NAME",
        help="this GPU instead, as 'RTX 4090' or '2x RTX 3090'",
    )
    place.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what if: memory=16GiB, gpu=2x24GiB, cores=8, disk=1TB",
    )
    place.add_argument(
        "--measure",
        action="store_true",
        help="measure the memory first (about a second)",
    )
    place.add_argument(
        "--no-measure",
        action="store_true",
        help="leave out the glance at the memory (40 ms)",
    )
    place.add_argument(
        "--memory",
        choices=MEMORY_BASES[1:],
        metavar="BASIS",
        help="total (plan with all) or available (free now)",
    )


def add_specs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--specs",
        action="append",
        default=[],
        metavar="DIR",
        help="folder of your own specs (also SELFHOST_SPECS)",
    )


# beside text and JSON
_MORE_FORMATS = {
    "list": ("html",),
    "size": ("kubernetes", "compose", "docker", "systemd"),
}
# what `-v` adds
_VERBOSE = {
    "check": "every finding and figure with its source",
    "show": "every size and fact, with its source",
    "compare": "how each was judged, and every answer on openness",
    "plan": "every machine that does it",
    "size": "every figure with its arithmetic",
    "machine": "where each fact was read",
    "audit": "every row, with its reasons and what to do",
}


def add_output(parser: argparse.ArgumentParser, command: str) -> None:
    look = parser.add_argument_group("output")
    if command == "audit":
        from ..reports.audit_formats import FORMATS

        *names, last = FORMATS
        look.add_argument(
            "--format",
            action="append",
            default=[],
            metavar="NAME[=FILE]",
            help=f"{', '.join(names)} or {last}; =FILE writes it there",
        )
        look.add_argument(
            "--json",
            dest="format",
            action="append_const",
            const="json",
            help=argparse.SUPPRESS,
        )
    else:
        formats = ("text", "json", *_MORE_FORMATS.get(command, ()))
        look.add_argument(
            "--format",
            choices=formats,
            default="text",
            metavar="NAME",
            help=f"{', '.join(formats)} (--json for short)",
        )
        look.add_argument(
            "--json",
            dest="format",
            action="store_const",
            const="json",
            help=argparse.SUPPRESS,
        )
    look.add_argument("--output", metavar="FILE", help="write the report to a file")
    look.add_argument("--no-color", action="store_true", help="no colour (also NO_COLOR=1)")
    if command in _VERBOSE:
        look.add_argument("-v", "--verbose", action="store_true", help=_VERBOSE[command])


def kind(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def number(text: str) -> float:
    from ..core.units import parse_number

    return parse_number(text)


def years(text: str) -> float:
    """A span of time in years: `3y`, `18mo`; a plain number is years."""
    from ..core.units import parse_number

    written = text.strip().lower()
    unit, per_year = next(
        ((unit, size) for unit, size in (("mo", 12), ("y", 1)) if written.endswith(unit)), ("", 1)
    )
    return parse_number(written.removesuffix(unit).strip()) / per_year


def whole(text: str) -> int:
    from ..core.units import parse_whole

    return parse_whole(text)


def size_bytes(text: str) -> int:
    from ..core.units import MIB, binary, parse_bytes

    size = parse_bytes(text)
    # nothing here is counted in bytes: 8 was meant as 8 GB or GiB. As in --set, from a million on
    # it was meant so
    if text.strip().isdecimal() and 0 < size < MIB:
        raise ValueError(
            f"{text!r} is {binary(size)}: the unit is missing, write for example 16GiB or 16GB"
        )
    return size


def rate(text: str) -> int:
    from ..core.units import parse_rate

    return parse_rate(text)


def tokens(text: str) -> int:
    from ..core.units import parse_tokens

    if "," in text and any(letter.isalpha() for letter in text):
        # 8,192 has marks between thousands, 4k,8k is a list
        raise ValueError("takes one number, such as 8192 or 8k")
    return parse_tokens(text)


def count(text: str) -> int:
    """Tokens of a text, not of a context: 2M are 2,000,000, as price lists count."""
    from ..core.units import parse_count

    return parse_count(text)


def seconds(text: str) -> int:
    from ..core.units import parse_seconds

    return parse_seconds(text)
