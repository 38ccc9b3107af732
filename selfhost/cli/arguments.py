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
from .texts import COMMANDS, EXAMPLES, EXIT_CODES

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn

# argparse asks for a translation of its own words, of which none ship: looking for one loads locale
# and a dozen files that are not there
vars(argparse)["_"] = str


# options that other programs have
_QUIET = (
    "the exit code is the answer: send the text to /dev/null, or read one field of --format json"
)


_VERSION = "`selfhost --version` prints the version"


_INSTEAD = {
    "--json": "did you mean --format json?",
    "-q": _QUIET,
    "--quiet": _QUIET,
    "-V": _VERSION,
    "--version": _VERSION,
}


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """argparse loads shutil to ask for the width, once for each option that is added."""
    return argparse.RawDescriptionHelpFormatter(prog, width=max(40, min(100, columns() - 2)))


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit."""

    def __init__(self, command: str) -> None:
        job = COMMANDS[command]
        super().__init__(
            prog=f"selfhost {command}",
            description=job[0].upper() + job[1:] + ".",
            epilog=EXAMPLES[command] + "\n" + EXIT_CODES,
            formatter_class=_help_formatter,
            allow_abbrev=False,
        )
        self.command = command

    def print_help(self, file: Any = None) -> None:
        """argparse says nothing where it cannot be written."""
        write(self.format_help())

    def error(self, message: str) -> NoReturn:
        remedy = f"see `{self.prog} --help`"
        if message.startswith("unrecognized arguments: "):
            from ..core.spelling import nearest

            unknown = message.partition(": ")[2].split() or ["an empty word"]
            flags = [
                flag
                for action in self._actions
                for flag in action.option_strings
                if flag.startswith("--")
            ]
            guesses = [
                guess
                for word in unknown
                if word.startswith("-") and (guess := nearest(word.partition("=")[0], flags))
            ]
            message = (
                f"unknown option {' '.join(unknown)}"
                if unknown[0].startswith("-")
                else f"unexpected {' '.join(unknown)}"
            )
            remedy = f"did you mean {' '.join(guesses)}?" if guesses else remedy
            remedy = next((_INSTEAD[word] for word in unknown if word in _INSTEAD), remedy)
        raise UsageError(_cut(message.removeprefix("argument ")), remedy=_cut(remedy))


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
    # the audit has targets of its own, and looks at all of them at once
    if parser.command != "audit" and getattr(options, "output", None) is not None:
        from .inputs import check_targets

        check_targets(options, [options.output])
    return options


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
        help="context length in tokens, as 8192 or 8k (default: 4096, or what it was trained for)",
    )
    work.add_argument(
        "--task",
        choices=TASKS,
        default="generate",
        help="run it (default), or fine-tune it with transformers and peft",
    )
    work.add_argument(
        "--quant", metavar="Q", help="quantization, as Q4_K_M (default: one that suits the model)"
    )
    work.add_argument(
        "--runtime",
        metavar="R",
        help=(
            "llama.cpp, ollama, llama-cpp-python, transformers, vllm, mlx, whisper.cpp,"
            " faster-whisper or diffusers (default: one that loads it)"
        ),
    )
    work.add_argument(
        "--kv-cache", choices=KV_CACHE_TYPES, help="type of the KV cache (default: f16)"
    )
    work.add_argument(
        "--draft",
        metavar="MODEL",
        help=(
            "a small model that proposes tokens (speculative decoding), or mtp for the model's own"
            " block"
        ),
    )
    work.add_argument(
        "--adapter", metavar="FILE|rank=N", help="a LoRA adapter to load: its file, or its rank"
    )
    work.add_argument(
        "--audio",
        type=kind(seconds),
        metavar="TIME",
        help="length of one recording, as 30s, 10m or 1.5h (default: some minutes)",
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
        metavar="TOKENS_PER_SECOND",
        help="lowest useful speed (default: 2; 0: any)",
    )


def _add_finetuning(parser: argparse.ArgumentParser) -> None:
    tune = parser.add_argument_group("with --task finetune")
    tune.add_argument(
        "--method",
        choices=FINETUNE_METHODS,
        help="train all weights, adapters, or adapters on 4-bit weights (default: lora)",
    )
    tune.add_argument(
        "--lora-rank", type=kind(whole), metavar="N", help="rank of the adapters (default: 16)"
    )
    tune.add_argument("--optimizer", choices=OPTIMIZERS, help="default: adamw")
    tune.add_argument(
        "--no-checkpointing",
        action="store_true",
        help="keep all activations instead of computing them again",
    )


def _add_rules(parser: argparse.ArgumentParser) -> None:
    rules = parser.add_argument_group("what it must be")
    rules.add_argument(
        "--private", action="store_true", help="nothing may leave this machine: an API is no answer"
    )
    rules.add_argument(
        "--commercial", action="store_true", help="the license must allow commercial use"
    )
    rules.add_argument(
        "--modify",
        action="store_true",
        help="modified versions must be allowed, if under conditions",
    )
    rules.add_argument(
        "--auditable",
        action="store_true",
        help=(
            "training data, code and paper must be open; the data at least in part, which is a"
            " warning"
        ),
    )
    rules.add_argument(
        "--license", metavar="EXPR", help="the license must be among these, as 'Apache-2.0 OR MIT'"
    )


def add_cost(parser: argparse.ArgumentParser) -> None:
    cost = parser.add_argument_group("what a month would cost")
    cost.add_argument(
        "--tokens-per-day",
        metavar="IN:OUT|N",
        help=(
            "a load, as 2M:500k (k and M are thousands and millions) or 200k for both, three in for"
            " one out: the month by API, and hours and energy here"
        ),
    )
    cost.add_argument(
        "--watts",
        type=kind(number),
        metavar="W",
        help="what this computer draws at work (default: its parts' rating)",
    )
    cost.add_argument(
        "--electricity",
        type=kind(number),
        metavar="PRICE",
        help="of a kWh, in your currency, as 0.30 (default: kWh only)",
    )
    cost.add_argument(
        "--prices",
        choices=PRICE_SOURCES,
        default="snapshot",
        help="those of this release, or those of the package genai-prices, if newer",
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
        parser.set_defaults(machine=None, gpu=[], set=[], measure=False, memory=None)
    else:
        _add_named_machine(place)
    place.add_argument(
        "--download-speed",
        type=kind(rate),
        metavar="RATE",
        help="of your connection, as 100Mbit/s or 12MB/s: gives the download's time",
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
        metavar="FILE|DIR|PROFILE",
        help=(
            "another machine instead of this one: a record (`selfhost machine --format json`; -"
            " reads it from a pipe), a folder of records, or words of a known machine's name, as"
            " 'macbook air m2' (`selfhost machine --profiles`)"
        ),
    )
    place.add_argument(
        "--gpu",
        action="append",
        default=[],
        metavar="NAME",
        help="the machine with this GPU instead of its own, as 'RTX 4090' or '2x RTX 3090'",
    )
    place.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=(
            "what if: memory=16GiB, cores=8, disk=500GB, bandwidth=80GB/s[:measured],"
            " gpu=24GiB[:NAME], gpu=2x24GiB[:NAME] or gpu=none, architecture, system,"
            " instruction_sets=avx2,fma (repeatable)"
        ),
    )
    place.add_argument(
        "--measure",
        action="store_true",
        help=("measure this machine's memory bandwidth first (under a second): narrows the speed"),
    )
    place.add_argument(
        "--memory",
        choices=MEMORY_BASES[1:],
        help="plan with all memory, or count only what is free now",
    )


def add_specs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--specs",
        action="append",
        default=[],
        metavar="DIR",
        help="a folder of own specs (repeatable; also SELFHOST_SPECS)",
    )


def add_output(parser: argparse.ArgumentParser, command: str) -> None:
    look = parser.add_argument_group("output")
    if command == "audit":
        look.add_argument(
            "--format",
            action="append",
            default=[],
            metavar="NAME[=FILE]",
            help="text, json, jsonl or junit; with =FILE written there (repeatable)",
        )
    else:
        page = command == "list"
        look.add_argument(
            "--format",
            choices=("text", "json", "html") if page else ("text", "json"),
            default="text",
            help="json has a stable schema"
            + ("; html is a page to read in a browser, in one file" if page else ""),
        )
    look.add_argument("--output", metavar="FILE", help="write the report to a file")
    look.add_argument("--no-color", action="store_true", help="no colour (also NO_COLOR=1)")
    if command in ("check", "show", "plan"):
        look.add_argument(
            "-v", "--verbose", action="store_true", help="every term with its arithmetic and source"
        )


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

    return parse_tokens(text)


def seconds(text: str) -> int:
    from ..core.units import parse_seconds

    return parse_seconds(text)
