"""The options of a command: those that commands share, the readers of their values, and how a
plain line is parsed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ..core.reading import can_be_passed_on
from ..core.workload import (
    FINETUNE_METHODS,
    KV_CACHE_TYPES,
    MEMORY_BASES,
    OPTIMIZERS,
    PRICE_SOURCES,
    TASKS,
    cache_type,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from .full_parser import FullParser


class Option:
    """One declared option or positional word, with the settings that argparse knows."""

    def __init__(self, names: tuple[str, ...], settings: dict[str, Any]) -> None:
        self.names, self.settings = names, settings
        self.is_positional = not names[0].startswith("-")
        long_name = next((name for name in names if name.startswith("--")), names[0])
        self.dest: str = settings.get("dest") or long_name.lstrip("-").replace("-", "_")
        self.action: str = settings.get("action", "store")

    def default(self, defaults: dict[str, Any]) -> Any:
        """Its value where it is not given; `defaults` are those of the parser."""
        otherwise = False if self.action == "store_true" else None
        return self.settings.get("default", defaults.get(self.dest, otherwise))

    def read(self, text: str) -> Any:
        """The value that a word states. `_Unusual` for one that it does not take."""
        try:
            value = self.settings.get("type", str)(text)
        except Exception as error:
            raise _Unusual from error
        if value not in self.settings.get("choices", (value,)):
            raise _Unusual
        return value


class _Unusual(Exception):
    """A line that argparse is to parse, or to refuse."""


class Parser:
    """What a command takes. `add_argument` and `set_defaults` are as argparse has them, with
    `help=None` for an option that the help leaves out.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.options: list[Option] = []
        self.defaults: dict[str, Any] = {}

    def add_argument(self, *names: str, **settings: Any) -> None:
        """Declare an option, or a positional word."""
        self.options.append(Option(names, settings))

    def set_defaults(self, **values: Any) -> None:
        """Values of options that are not declared, or where none of their own is."""
        self.defaults.update(values)

    def full(self) -> FullParser:
        """The same for argparse."""
        from .full_parser import FullParser

        return FullParser(self)

    def parsed(self, words: Sequence[str]) -> argparse.Namespace | None:
        """The options of a plain line: names of options in full, each with a value that begins with
        no dash. None for any other line, right or wrong.
        """
        positional = [option for option in self.options if option.is_positional]
        if len(positional) > 1:
            return None
        values = {**self.defaults}
        for option in reversed(self.options):
            # of two that set one value the first has its default
            values[option.dest] = option.default(self.defaults)
        try:
            others = self._set_options(words, values)
            for option in positional:
                _set_positional(option, others, values)
                others = []
        except _Unusual:
            return None
        # argparse's own class is not loaded, nor `types`, which names this one
        options: Any = type(sys.implementation)(**values)
        return None if others else options

    def _set_options(self, words: Sequence[str], values: dict[str, Any]) -> list[str]:
        """Put the options into `values`; the other words. `_Unusual` as `parsed` says."""
        by_name = {name: own for own in self.options if not own.is_positional for name in own.names}
        others: list[str] = []
        given: set[str] = set()
        left = iter(words)
        for word in left:
            if not word.startswith("-"):
                others.append(word)
                continue
            name, sign, text = word.partition("=")
            option = by_name.get(name)
            if option is None or "nargs" in option.settings:
                raise _Unusual
            if option.dest in given and option.action != "append":
                raise _Unusual
            given.add(option.dest)
            if option.action in ("store_true", "store_const") and not sign:
                values[option.dest] = option.settings.get("const", True)
                continue
            if not sign:
                text = next(left, "")
                if text.startswith("-"):
                    raise _Unusual
            _set_value(option, text, values)
        return others


def _set_value(option: Option, text: str, values: dict[str, Any]) -> None:
    """Put the value of an option into `values`."""
    if option.action not in ("store", "append"):
        raise _Unusual
    if not text.strip() or text == "--" or not can_be_passed_on(text):
        raise _Unusual
    value = option.read(text)
    if option.action == "append":
        value = [*(values[option.dest] or ()), value]
    values[option.dest] = value


def _set_positional(option: Option, words: Sequence[str], values: dict[str, Any]) -> None:
    """Put the positional words into `values`."""
    count = option.settings.get("nargs")
    if not all(words) or (not words and (count != "*" or "default" in option.settings)):
        raise _Unusual
    if count in ("+", "*"):
        values[option.dest] = [option.read(word) for word in words]
    elif count is None and len(words) == 1:
        values[option.dest] = option.read(words[0])
    else:
        raise _Unusual


def parse(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """The options of a command line; `UsageError` for what makes no sense."""
    options = parser.parsed(words) or parser.full().parse(words)
    # of `audit --init` it names the policy to write
    if getattr(options, "output", None) == "-" and not getattr(options, "init", False):
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
    formats = (own.settings.get("choices", ()) for own in parser.options if own.dest == "format")
    if suffix in next(formats, ()):
        options.format = suffix


def add_workload(parser: Parser) -> None:
    """What the model should do, and what it must be."""
    _add_work(parser)
    _add_finetuning(parser)
    _add_rules(parser)


def _add_work(parser: Parser) -> None:
    parser.add_argument(
        "--context",
        type=kind(tokens),
        metavar="N",
        help="context in tokens, as 8192 or 8k (default: 4096)",
    )
    parser.add_argument(
        "--prompt",
        type=kind(tokens),
        metavar="N",
        help="tokens in a prompt: first word, pace behind it",
    )
    parser.add_argument(
        "--task",
        choices=TASKS,
        default="generate",
        metavar="TASK",
        help="generate (default) or finetune",
    )
    parser.add_argument(
        "--quant",
        metavar="Q",
        help="quantization (default: Q4_K_M or larger for text)",
    )
    parser.add_argument(
        "--runtime",
        metavar="R",
        help="as llama.cpp, ollama, transformers, vllm or mlx",
    )
    parser.add_argument(
        "--kv-cache",
        type=cache_type,
        choices=KV_CACHE_TYPES,
        metavar="TYPE",
        help="f16 (default), q8_0 or q4_0; fp8 with vLLM, SGLang",
    )
    parser.add_argument(
        "--draft",
        metavar="MODEL",
        help="for speculative decoding; mtp: the model's own block",
    )
    parser.add_argument(
        "--adapter", metavar="FILE|rank=N", help="a LoRA adapter to load, or its rank"
    )
    parser.add_argument(
        "--audio",
        type=kind(seconds),
        metavar="TIME",
        help="length of one recording, as 30s, 10m or 1.5h",
    )
    parser.add_argument(
        "--parallel",
        type=kind(whole),
        default=1,
        metavar="N",
        help="sequences at once, each with its own context",
    )
    parser.add_argument(
        "--min-speed",
        type=kind(number),
        metavar="N",
        help="tokens/s that each sequence needs (0: any)",
    )


def _add_finetuning(parser: Parser) -> None:
    parser.add_argument(
        "--method",
        choices=FINETUNE_METHODS,
        metavar="METHOD",
        help="of --task finetune: full, lora or qlora",
    )
    parser.add_argument(
        "--lora-rank", type=kind(whole), metavar="N", help="of --task finetune (default: 16)"
    )
    parser.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        metavar="NAME",
        help=f"of --task finetune: {', '.join(OPTIMIZERS)}",
    )
    parser.add_argument(
        "--dataset-tokens",
        type=kind(count),
        metavar="N",
        help="tokens trained on in all, as 2M: tells the hours",
    )
    parser.add_argument(
        "--no-checkpointing",
        action="store_true",
        help="of --task finetune: keep all activations",
    )


def _add_rules(parser: Parser) -> None:
    parser.add_argument(
        "--private", action="store_true", help="nothing may leave this machine, so no API"
    )
    parser.add_argument(
        "--commercial", action="store_true", help="the license must allow commercial use"
    )
    parser.add_argument(
        "--modify",
        action="store_true",
        help="the license must allow modified versions",
    )
    parser.add_argument(
        "--auditable",
        action="store_true",
        help="training data, code and paper must be open",
    )
    parser.add_argument(
        "--license", metavar="EXPR", help="accepted licenses, as 'Apache-2.0 OR MIT'"
    )


def add_cost(parser: Parser) -> None:
    parser.add_argument(
        "--tokens-per-day",
        metavar="IN:OUT",
        help="cost a month, as 2M:500k",
    )
    parser.add_argument(
        "--watts",
        type=kind(number),
        metavar="W",
        help="what this computer draws at work",
    )
    parser.add_argument(
        "--electricity",
        type=kind(number),
        metavar="PRICE",
        help="of a kWh, in your currency, as 0.30",
    )
    parser.add_argument(
        "--hardware-price",
        type=kind(number),
        metavar="PRICE",
        help="of this computer, in your currency",
    )
    parser.add_argument(
        "--hardware-life",
        type=kind(years),
        metavar="TIME",
        help="how long it serves, as 3y or 18mo (default: 3y)",
    )
    parser.add_argument(
        "--dollar-price",
        type=kind(number),
        metavar="RATE",
        help=("of one US dollar, as 0.92; 1 if you pay in dollars"),
    )
    parser.add_argument(
        "--prices",
        choices=PRICE_SOURCES,
        default="snapshot",
        metavar="SOURCE",
        help="snapshot (of this release) or genai-prices (package)",
    )


def add_machine(parser: Parser, command: str) -> None:
    if command == "plan":
        # it asks for no machine, and counts all memory of each
        parser.set_defaults(
            machine=None, gpu=[], set=[], measure=False, no_measure=True, memory=None
        )
    else:
        _add_named_machine(parser)
    if command == "verify":
        # what ran is loaded already
        return
    parser.add_argument(
        "--download-speed",
        type=kind(rate),
        metavar="RATE",
        help="of your connection, as 100Mbit/s: time to download",
    )
    parser.add_argument(
        "--reserve",
        type=kind(size_bytes),
        metavar="SIZE",
        help="memory kept for the system itself, as 2GiB",
    )


def _add_named_machine(parser: Parser) -> None:
    add_choice_of_machine(parser)
    parser.add_argument(
        "--measure",
        action="store_true",
        help="measure the memory first (about a second)",
    )
    parser.add_argument(
        "--no-measure",
        action="store_true",
        help="do not measure the memory at all (60 ms)",
    )
    parser.add_argument(
        "--memory",
        choices=MEMORY_BASES[1:],
        metavar="BASIS",
        help="total (plan with all) or available (free now)",
    )


def add_choice_of_machine(parser: Parser) -> None:
    """Another machine than this one, or this one with what it does not have."""
    parser.add_argument(
        "--machine",
        metavar="NAME|FILE",
        help="a machine by words of its name, or a record's file",
    )
    parser.add_argument(
        "--gpu",
        action="append",
        default=[],
        metavar="NAME",
        help="this GPU instead, as 'RTX 4090' or '2x RTX 3090'",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what if: memory=16GiB, gpu=2x24GiB, cores=8, disk=1TB",
    )


def add_specs(parser: Parser) -> None:
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


def add_output(parser: Parser, command: str) -> None:
    if command == "audit":
        from ..reports.audit_formats import FORMATS

        *names, last = FORMATS
        parser.add_argument(
            "--format",
            action="append",
            default=[],
            metavar="NAME[=FILE]",
            help=f"{', '.join(names)} or {last} (--json for short); =FILE writes it there",
        )
        parser.add_argument(
            "--json",
            dest="format",
            action="append_const",
            const="json",
            help=None,
        )
    else:
        formats = ("text", "json", *_MORE_FORMATS.get(command, ()))
        parser.add_argument(
            "--format",
            choices=formats,
            default="text",
            metavar="NAME",
            help=f"{', '.join(formats)} (--json for short)",
        )
        parser.add_argument(
            "--json",
            dest="format",
            action="store_const",
            const="json",
            help=None,
        )
    parser.add_argument("--output", metavar="FILE", help="write the report to a file")
    parser.add_argument("--no-color", action="store_true", help="no colour (also NO_COLOR=1)")
    if command in _VERBOSE:
        parser.add_argument("-v", "--verbose", action="store_true", help=_VERBOSE[command])


def kind(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            from argparse import ArgumentTypeError

            raise ArgumentTypeError(str(error)) from None

    return convert


def number(text: str) -> float:
    from ..core.quantities import parse_number

    return parse_number(text)


def years(text: str) -> float:
    """A span of time in years: `3y`, `18mo`; a plain number is years."""
    from ..core.quantities import parse_number

    written = text.strip().lower()
    unit, per_year = next(
        ((unit, size) for unit, size in (("mo", 12), ("y", 1)) if written.endswith(unit)), ("", 1)
    )
    return parse_number(written.removesuffix(unit).strip()) / per_year


def whole(text: str) -> int:
    from ..core.quantities import parse_whole

    return parse_whole(text)


def size_bytes(text: str) -> int:
    from ..core.quantities import parse_bytes
    from ..core.units import MIB, binary

    size = parse_bytes(text)
    # nothing here is counted in bytes: 8 was meant as 8 GB or GiB. As in --set, from a million on
    # it was meant so
    if text.strip().isdecimal() and 0 < size < MIB:
        raise ValueError(
            f"{text!r} is {binary(size)}: the unit is missing, write for example 16GiB or 16GB"
        )
    return size


def rate(text: str) -> int:
    from ..core.quantities import parse_rate

    return parse_rate(text)


def tokens(text: str) -> int:
    from ..core.quantities import parse_tokens

    if "," in text and any(letter.isalpha() for letter in text):
        # 8,192 has marks between thousands, 4k,8k is a list
        raise ValueError("takes one number, such as 8192 or 8k")
    return parse_tokens(text)


def count(text: str) -> int:
    """Tokens of a text, not of a context: 2M are 2,000,000, as price lists count."""
    from ..core.quantities import parse_count

    return parse_count(text)


def seconds(text: str) -> int:
    from ..core.quantities import parse_seconds

    return parse_seconds(text)
