"""The command line: arguments in, a report out, and the exit code that `verdict.exit_code`
decides.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..catalogue.spec import MODALITIES, OPENNESS
from ..core.errors import (
    MAX_PROBLEMS,
    Faults,
    InputError,
    MachineFileError,
    Problem,
    SelfhostError,
    WorkloadError,
)
from ..core.workload import (
    FINETUNE_METHODS,
    KV_CACHE_TYPES,
    MEMORY_BASES,
    OPTIMIZERS,
    PRICE_SOURCES,
    TASKS,
)
from ..verdict.record import Route, exit_code

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO, TypeGuard

    from ..audit.fleet import Audit
    from ..audit.policy import Policy
    from ..audit.progress import Progress
    from ..catalogue.index import Catalogue
    from ..core.workload import Load, Workload
    from ..machine.record import Machine
    from ..reports.layout import Document
    from ..verdict.record import Answer, Verdict

DESCRIPTION = (
    "Can this machine download and run that open-weight model, or is an API the practical route?"
)

COMMANDS = {
    "check": "can a model be downloaded and run here, or is an API the practical route",
    "list": "the catalogue, best fit for this machine first",
    "show": "what is known of a model: openness, license, sizes, needs, sources",
    "compare": "models side by side: route, memory, speed, price, license, openness",
    "plan": "the reverse: the least machine that runs a model, and which known ones do",
    "machine": "what was read of this machine, and from where",
    "audit": "for CI: judge this machine, or recorded ones, against a policy file",
    "spec": (
        "spec check FILE…: validate specs of your own; spec new FILE: make one from a model file"
    ),
    "completion": "print a completion script for bash, zsh or fish",
}

EXIT_CODES = """\
exit codes:
  0  check: every model runs here; plan: a known machine does it; audit: the policy holds; others: answered
  1  check: a model does not run here (use an API, or neither); plan: no known machine does it; audit: broken;
     spec check: a file is wrong
  2  no answer: bad usage, unknown model, bad spec, machine or policy file
  3  nothing is 1, but something that decides is unknown
"""  # noqa: E501

EXAMPLES = {
    "": (
        """\
examples:
  selfhost check mistral-7b                 can I run it here?
  selfhost check llama3.1:8b --context 32k  with a long context
  selfhost list --route local               what runs here, best first
  selfhost show gpt-oss-20b                 sizes, license, how open it is
  selfhost machine --format json > ci.json  record a machine, judge it elsewhere:
  selfhost check mixtral --machine ci.json
"""
    ),
    "check": (
        """\
examples:
  selfhost check mistral-7b
  selfhost check gpt2 opt-1.3b qwen3:8b
  selfhost check llama-3.1-8b --context 32k --quant Q5_K_M --kv-cache q8_0
  selfhost check gpt-4o --private           nothing may leave this machine
  selfhost check mistral-7b --machine macbook-pro-m4-max-48gb
  selfhost check mixtral --set memory=64GiB --set gpu=24GiB
  selfhost check llama-3.1-8b --tokens-per-day 2M:500k
                                            a month by API beside a month here
  selfhost check mistral-7b --format json | jq .route

whose needs (docs/needs.md tells more):
  developer             --license 'Apache-2.0 OR MIT' --modify
  enterprise            --commercial --private
  researcher            --auditable --modify
  casual user           none of them
  security-minded user  --private, and `selfhost show` for the safety of the files
"""
    ),
    "list": (
        """\
examples:
  selfhost list --route local
  selfhost list --family qwen --machine ci.json
  selfhost list --license 'Apache-2.0 OR MIT' --modality text
  selfhost list --format html --output catalogue.html

order: what runs here comes first, then what cannot be told, then the rest; text before vision, speech, embedding and image.
Among those that run, a likely speed of 5 tokens/s or more (as fast as one reads) comes before 2 or more, that before less.
Then the models of the last three years before older ones, the larger before the smaller (more parameters, more able, as a
rule of thumb and no more), and of two as large the newer. How open a model is does not change the order: choose by it with
--license, --commercial, --modify, --auditable and --openness. But with --modify or --auditable what is open in all that was
asked comes, of its kind, before what is open in part. No benchmark score has a part in it.
"""  # noqa: E501
    ),
    "show": (
        """\
examples:
  selfhost show gpt-oss-20b
  selfhost show mistral-7b --context 16k --format json
"""
    ),
    "compare": (
        """\
examples:
  selfhost compare gpt-oss-20b mistral-7b gpt-4o
  selfhost compare llama3.1:8b qwen3:8b --context 32k --format json
"""
    ),
    "plan": (
        """\
examples:
  selfhost plan mistral-7b
  selfhost plan llama-3.3-70b --context 32k --min-speed 10
  selfhost plan gpt-oss-120b --format json | jq .least.memory_bytes
"""
    ),
    "machine": (
        """\
examples:
  selfhost machine
  selfhost machine --profiles                 machines to ask about with --machine NAME
  selfhost machine --format json --name build-07 --label site=berlin > build-07.json
  selfhost machine --record bundle            what was read, for a bug report
  selfhost machine --root bundle --format json | selfhost check mistral-7b --machine -
"""
    ),
    "audit": (
        """\
examples:
  selfhost audit --init                       write a policy to ./audit.toml
  selfhost audit                              judge this machine against it
  selfhost audit policy.toml --machines records/ --format junit=report.xml
"""
    ),
    "spec": (
        """\
examples:
  selfhost spec check my-model.toml
  selfhost spec new ./model.gguf --output my-specs/model.toml
  selfhost check my-model --specs ./my-specs
"""
    ),
    "completion": (
        """\
examples:
  eval "$(selfhost completion bash)"        in ~/.bashrc
  selfhost completion zsh > ~/.zfunc/_selfhost
  selfhost completion fish > ~/.config/fish/completions/selfhost.fish
"""
    ),
}


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

# argparse asks for a translation of its own words, of which none ship: looking for one loads locale
# and a dozen files that are not there
vars(argparse)["_"] = str


class UsageError(SelfhostError):
    """The command line makes no sense."""


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """argparse loads shutil to ask for the width, once for each option that is added."""
    return argparse.RawDescriptionHelpFormatter(prog, width=max(40, min(100, _columns() - 2)))


class _Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit."""

    def __init__(self, command: str, **options: Any) -> None:
        super().__init__(
            prog=f"selfhost {command}".strip(),
            epilog=EXAMPLES[command] + "\n" + EXIT_CODES,
            formatter_class=_help_formatter,
            allow_abbrev=False,
            **options,
        )
        self.command = command

    def print_help(self, file: Any = None) -> None:
        """argparse says nothing where it cannot be written."""
        _write(self.format_help())

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, never raises, never shows a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except MemoryError:
        if os.environ.get("SELFHOST_DEBUG"):
            raise
    # said here, where what was being made is let go
    from ..core.lastwords import no_memory

    code = exit_code([], no_answer=True)
    no_memory(words, code)
    return code


def _run(words: list[str]) -> int:
    from ..core.lastwords import wants_json as is_json_wanted

    wants_json = is_json_wanted(words)
    try:
        try:
            code = _dispatch(words)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else exit_code([], no_answer=True)
        _flush()
    except KeyboardInterrupt:
        return exit_code([], interrupted=True)
    except BrokenPipeError:
        # whoever read standard output has gone: there is nobody to tell
        _abandon(sys.stdout)
        return exit_code([], no_answer=True)
    except SelfhostError as error:
        code = exit_code([], no_answer=True)
        _complain(_in_flags(error) if isinstance(error, WorkloadError) else error, code, wants_json)
    except MemoryError:
        raise
    except Exception as error:
        if os.environ.get("SELFHOST_DEBUG"):
            raise
        code = exit_code([], crashed=True)
        _complain(_bug(error), code, wants_json)
    return code


def _flush() -> None:
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError as error:
            raise _unwritable(error) from None


def _unwritable(error: OSError) -> Exception:
    """What to raise where standard output takes nothing more; a closed pipe stays what it is."""
    # a pipe whose reader has gone is EINVAL on Windows
    if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
        return BrokenPipeError()
    _abandon(sys.stdout)
    return UsageError(
        f"standard output cannot be written: {error.strerror or error}",
        remedy="--output FILE writes the report to a file",
    )


def _abandon(stream: TextIO | None) -> None:
    """What is left in the buffer must not complain at exit."""
    try:  # noqa: SIM105 - contextlib would be loaded for this alone
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        pass


def _bug(error: BaseException) -> SelfhostError:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (
        f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"
        if trace
        else ""
    )
    return SelfhostError(
        f"a bug in selfhost: {type(error).__name__}: {error}{where}",
        remedy="report it with the command you typed; SELFHOST_DEBUG=1 shows the traceback",
    )


def _complain(error: SelfhostError, code: int, wants_json: bool) -> None:
    """What went wrong, as a person or a program reads it."""
    if wants_json:
        from ..reports import json

        _to_standard_error(json.dumps(json.error(error, code)))
    elif sys.stderr is not None:
        from ..reports.text import error_text

        _to_standard_error(error_text(error, encoding=sys.stderr.encoding))


def _to_standard_error(text: str) -> None:
    """Where there is one, and somebody reads it."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _abandon(sys.stderr)


def _dispatch(words: list[str]) -> int:
    everywhere = []
    while words and words[0] == "--no-color":
        everywhere, words = words[:1], words[1:]
    if words and words[0] in ("-V", "--version"):
        from .. import __version__

        _write(f"selfhost {__version__}\n")
        return 0
    if words and words[0] in ("-h", "--help", "help"):
        _write(_overview())
        return 0
    if not words:
        _to_standard_error(_overview())
        return exit_code([], no_answer=True)
    command, rest = words[0], words[1:]
    if command == "_complete":
        from .completion import candidates

        _write("".join(f"{word}\n" for word in candidates(rest, tuple(COMMANDS), parser_of)))
        return 0
    handler = _HANDLERS.get(command)
    if handler is None:
        from ..core.spelling import nearest

        if command.startswith("-"):
            remedy = (
                "an option stands behind its command, as in `selfhost check mistral-7b --format"
                " json`"
            )
            raise UsageError(f"{command!r} is no command", remedy=remedy)
        import shlex

        guess = nearest(command, list(COMMANDS))
        remedy = (
            f"did you mean `selfhost {guess}`?"
            if guess
            else f"to judge a model: selfhost check {shlex.join(words)}"
        )
        raise UsageError(f"unknown command {command!r}", remedy=remedy)
    return handler([*everywhere, *rest])


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = "".join(f"  {name:<{width}}  {job}\n" for name, job in COMMANDS.items())
    return (
        f"{DESCRIPTION}\n\nusage: selfhost COMMAND …   (selfhost COMMAND --help explains"
        f" one)\n\n{lines}\n{EXAMPLES['']}\n{EXIT_CODES}"
    )


# ------------------------------------------------------------------ arguments


def _kind(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _number(text: str) -> float:
    from ..core.units import parse_number

    return parse_number(text)


def _whole(text: str) -> int:
    from ..core.units import parse_whole

    return parse_whole(text)


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of one command; also what shell completion reads its options from."""
    parser = _Parser(
        command, description=COMMANDS[command][0].upper() + COMMANDS[command][1:] + "."
    )
    if command == "check":
        parser.add_argument(
            "models",
            nargs="+",
            metavar="MODEL",
            help="a name as people type it: mistral-7b, llama3.1:8b, a Hugging Face id",
        )
    if command == "compare":
        parser.add_argument("model", metavar="MODEL", help="a name as people type it")
        parser.add_argument("others", nargs="+", metavar="MODEL", help="at least one more")
    if command in ("show", "plan"):
        parser.add_argument("model", metavar="MODEL", help="a name as people type it")
    if command == "audit":
        parser.add_argument(
            "policy",
            nargs="?",
            default="audit.toml",
            metavar="POLICY",
            help="the policy file (default: ./audit.toml)",
        )
        parser.add_argument(
            "--machines",
            metavar="FILE|DIR|-",
            help="recorded machines to judge instead of this one",
        )
        parser.add_argument(
            "--init", action="store_true", help="write a policy to start from, and stop"
        )
        parser.add_argument(
            "--today",
            metavar="YYYY-MM-DD",
            help="the day (UTC) on which exceptions are held to expire",
        )
    if command in ("check", "list", "show", "compare", "plan"):
        _judging(parser)
        _machine_options(parser, command)
    if command in ("check", "show", "compare"):
        _cost(parser)
    else:
        parser.set_defaults(tokens_per_day=None, watts=None, electricity=None)
    if command == "list":
        group = parser.add_argument_group("filters")
        group.add_argument("--family", metavar="NAME", help="only this family")
        group.add_argument("--modality", choices=MODALITIES, help="only this kind of model")
        group.add_argument(
            "--openness",
            choices=OPENNESS,
            help="only models whose weights are published, in part, or closed",
        )
        group.add_argument(
            "--route",
            choices=tuple(route.value for route in Route),
            help="only models with this answer",
        )
        group.add_argument(
            "--max-size",
            type=_kind(_bytes),
            metavar="SIZE",
            help="only downloads up to this size, as 8GB",
        )
    if command == "machine":
        parser.add_argument(
            "--profiles",
            action="store_true",
            help="list the machines that --machine NAME knows, instead of reading this one",
        )
        parser.add_argument(
            "--measure",
            action="store_true",
            help="measure the memory bandwidth too, under a second",
        )
        parser.add_argument(
            "--root",
            metavar="DIR",
            help="read DIR/proc, DIR/sys, ... of a recorded tree instead of this machine",
        )
        parser.add_argument(
            "--record",
            metavar="DIR",
            help=(
                "also write what was read to a new folder, as such a tree, without names (but of"
                " public models) and addresses"
            ),
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
    if command == "spec":
        parser.add_argument(
            "action",
            choices=("check", "new"),
            help="check: every fault with file, line and key; new: a spec of a model file",
        )
        parser.add_argument(
            "files",
            nargs="+",
            metavar="FILE",
            help="spec files; for new one GGUF file, config.json or model folder",
        )
    if command == "completion":
        parser.add_argument("shell", choices=("bash", "zsh", "fish"))
        return parser
    _specs(parser, command)
    _output(parser, command)
    return parser


def _bytes(text: str) -> int:
    from ..core.units import MIB, binary, parse_bytes

    size = parse_bytes(text)
    # nothing here is counted in bytes: 8 was meant as 8 GB or GiB. As in --set, from a million on
    # it was meant so
    if text.strip().isdecimal() and 0 < size < MIB:
        raise ValueError(
            f"{text!r} is {binary(size)}: the unit is missing, write for example 16GiB or 16GB"
        )
    return size


def _rate(text: str) -> int:
    from ..core.units import parse_rate

    return parse_rate(text)


def _tokens(text: str) -> int:
    from ..core.units import parse_tokens

    return parse_tokens(text)


def _seconds(text: str) -> int:
    from ..core.units import parse_seconds

    return parse_seconds(text)


def _judging(parser: argparse.ArgumentParser) -> None:
    work = parser.add_argument_group("what it should do")
    work.add_argument(
        "--context",
        type=_kind(_tokens),
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
        type=_kind(_seconds),
        metavar="TIME",
        help="length of one recording, as 30s, 10m or 1.5h (default: some minutes)",
    )
    work.add_argument(
        "--parallel",
        type=_kind(_whole),
        default=1,
        metavar="N",
        help="sequences at once, each with its own context",
    )
    work.add_argument(
        "--min-speed",
        type=_kind(_number),
        metavar="TOKENS_PER_SECOND",
        help="lowest useful speed (default: 2; 0: any)",
    )
    tune = parser.add_argument_group("with --task finetune")
    tune.add_argument(
        "--method",
        choices=FINETUNE_METHODS,
        help="train all weights, adapters, or adapters on 4-bit weights (default: lora)",
    )
    tune.add_argument(
        "--lora-rank", type=_kind(_whole), metavar="N", help="rank of the adapters (default: 16)"
    )
    tune.add_argument("--optimizer", choices=OPTIMIZERS, help="default: adamw")
    tune.add_argument(
        "--no-checkpointing",
        action="store_true",
        help="keep all activations instead of computing them again",
    )
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


def _cost(parser: argparse.ArgumentParser) -> None:
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
        type=_kind(_number),
        metavar="W",
        help="what this computer draws at work (default: its parts' rating)",
    )
    cost.add_argument(
        "--electricity",
        type=_kind(_number),
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


def _machine_options(parser: argparse.ArgumentParser, command: str) -> None:
    place = parser.add_argument_group("which machine")
    if command == "plan":
        # it asks for no machine, and counts all memory of each
        parser.set_defaults(machine=None, set=[], measure=False, memory=None)
    else:
        place.add_argument(
            "--machine",
            action=_Once,
            metavar="FILE|DIR|PROFILE",
            help=(
                "another machine instead of this one: a record (`selfhost machine --format json`; -"
                " reads it from a pipe), a folder of records, or the name of a known machine"
                " (`selfhost machine --profiles`)"
            ),
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
            help=(
                "measure this machine's memory bandwidth first (under a second): narrows the speed"
            ),
        )
        place.add_argument(
            "--memory",
            choices=MEMORY_BASES[1:],
            help="plan with all memory, or count only what is free now",
        )
    place.add_argument(
        "--download-speed",
        type=_kind(_rate),
        metavar="RATE",
        help="of your connection, as 100Mbit/s or 12MB/s: gives the download's time",
    )
    place.add_argument(
        "--reserve",
        type=_kind(_bytes),
        metavar="SIZE",
        help="memory kept for the system itself, as 2GiB",
    )


def _specs(parser: argparse.ArgumentParser, command: str) -> None:
    if command != "machine":
        parser.add_argument(
            "--specs",
            action="append",
            default=[],
            metavar="DIR",
            help="a folder of own specs (repeatable; also SELFHOST_SPECS)",
        )


def _output(parser: argparse.ArgumentParser, command: str) -> None:
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


def _parse(command: str, words: Sequence[str]) -> argparse.Namespace:
    parser = parser_of(command)
    _refuse_empty_values(parser, words)
    options, extra = parser.parse_known_args(words)
    if extra:
        # only names after an option need the slower way, which also says what is wrong with the
        # rest
        options = parser.parse_intermixed_args(words)
    if getattr(options, "output", None) == "-":
        options.output = None
    if command != "audit" and getattr(options, "output", None) is not None:
        _check_targets(options, [options.output])
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


def _check_targets(
    options: argparse.Namespace, targets: Sequence[str], *, with_standard_output: bool = False
) -> None:
    """`WriteError`, before anything is judged, where a report cannot go to a target or would
    replace an input.
    """
    from ..core.writing import check_targets

    for folder in (getattr(options, "root", None), getattr(options, "record", None)):
        for target in targets:
            if folder is not None and _lies_in(target, folder):
                raise UsageError(
                    f"{target} lies in {folder}, the recorded tree",
                    remedy="name a file outside it for the report",
                )
    for folder in (getattr(options, "machine", None), getattr(options, "machines", None)):
        for target in targets:
            if folder and _is_new_record(target, folder):
                raise UsageError(
                    f"{target} lies in {folder}, whose records are judged: the next run would take"
                    " the report for one of them",
                    remedy="name a file in another folder for the report",
                )
    check_targets(targets, _inputs(options), with_standard_output=with_standard_output)


def _lies_in(path: str, folder: str) -> bool:
    """Whether the path is the folder, or something in it."""
    whole = os.path.realpath(folder)
    # the root of this computer is no recorded tree
    return whole != os.path.dirname(whole) and (os.path.realpath(path) + os.sep).startswith(
        whole + os.sep
    )


_RECORDS = (".json", ".jsonl")


def _is_new_record(path: str, folder: str) -> bool:
    """Whether a new file of that path would be read as one of the folder's records."""
    place = os.path.realpath(path)
    return (
        place.endswith(_RECORDS)
        and not os.path.lexists(place)
        and os.path.dirname(place) == os.path.realpath(folder)
    )


def _inputs(options: argparse.Namespace) -> list[str]:
    """Every file that this run reads because it was named, or lies in a folder that was."""
    given = vars(options)
    # where an option is not there, or has no value, there is nothing to read
    records = [
        "/dev/stdin" if name == "-" else name
        for key in ("machine", "machines")
        if (name := given.get(key))
    ]
    specs = [*given.get("specs", ()), *os.environ.get("SELFHOST_SPECS", "").split(os.pathsep)]
    models = [*given.get("models", ()), *given.get("others", ())]
    models += [name for key in ("model", "draft") if (name := given.get(key))]
    adapters = [given["adapter"]] if _is_adapter_file(given.get("adapter")) else []
    files = [*given.get("files", ()), *([given["policy"]] if given.get("policy") else [])]
    for path in records:
        files += [path, *_held(path, _RECORDS)]
    for path in filter(None, specs):
        files += _held(path, (".toml",))
    return [*files, *_files_of_models(models), *_model_files([*adapters, *given.get("files", ())])]


def _held(folder: str, endings: tuple[str, ...]) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(endings)]
    except (OSError, ValueError):
        return []


_MODEL_FILES = (
    ".gguf",
    ".safetensors",
    ".index.json",
    "config.json",
    ".bin",
    ".pt",
    ".pth",
    ".model",
    "tokenizer.json",
)


def _files_of_models(names: Iterable[str]) -> list[str]:
    """What is read of those models that are named by a path."""
    from ..catalogue.names import is_path

    return _model_files(filter(is_path, names))


def _is_adapter_file(typed: str | None) -> TypeGuard[str]:
    return typed is not None and not typed.startswith("rank=")


def _model_files(paths: Iterable[str]) -> list[str]:
    """What is read of models: what their folders hold, or files and what belongs to them beside
    them.
    """
    named = list(dict.fromkeys(paths))
    folders = dict.fromkeys(
        path if os.path.isdir(path) else os.path.dirname(path) or "." for path in named
    )
    return [*named, *(file for folder in folders for file in _held(folder, _MODEL_FILES))]


def _in_flags(error: WorkloadError) -> WorkloadError:
    """The same faults under the names that somebody typed; once they bear those, nothing
    changes.
    """
    from ..core.workload import FLAGS, LOAD_FLAGS

    flags = {**FLAGS, **LOAD_FLAGS}
    return WorkloadError(
        (
            problem.replace(file="command line", key=flags.get(problem.key or "", problem.key))
            if problem.file == "workload"
            else problem
        )
        for problem in error.problems
    )


def _workload(options: argparse.Namespace) -> Workload:
    from ..core.workload import FLAGS, Workload

    asked = {
        field: getattr(options, flag.removeprefix("--").replace("-", "_"))
        for field, flag in FLAGS.items()
    }
    asked["memory_basis"] = options.memory or "default"
    asked["checkpointing"] = False if options.no_checkpointing else None
    asked["load"] = _load(options)
    return Workload(**asked)


def _load(options: argparse.Namespace) -> Load | None:
    from ..core.workload import Load

    if options.tokens_per_day is None:
        alone = next(
            (flag for flag in ("watts", "electricity") if getattr(options, flag) is not None), None
        )
        if alone:
            raise UsageError(
                f"--{alone} is for a load, and none is stated",
                remedy="add for example --tokens-per-day 2M:500k",
            )
        return None
    try:
        return Load.parse(
            options.tokens_per_day, watts=options.watts, electricity_per_kwh=options.electricity
        )
    except WorkloadError:
        raise
    except ValueError as error:
        raise UsageError(
            f"--tokens-per-day: {error}", remedy="2M:500k is two million in and 500,000 out a day"
        ) from None


def _machines(options: argparse.Namespace) -> tuple[Machine, ...]:
    """The machine to judge, or each record of a folder, as --machine, --measure and --set say."""
    from ..machine.reader import Machine

    named: str | None = options.machine
    if named is None:
        found: tuple[Machine, ...] = (Machine.read(measure=options.measure),)
    elif options.measure:
        raise UsageError(
            "--measure measures this machine, and --machine judges another",
            remedy="leave one of them out",
        )
    else:
        found = _named_machines(named)
    if options.set:
        from ..machine.changes import apply

        found = tuple(apply(machine, options.set) for machine in found)
    return found


def _named_machines(named: str) -> tuple[Machine, ...]:
    """A path goes before a profile only where it looks like one: a file that happens to be
    called as a profile changes nothing.
    """
    from ..machine.record import Machine

    if named == "-":
        return (Machine.from_file("/dev/stdin"),)
    looks_like_a_path = (
        named in ("", ".", "..")
        or "/" in named
        or os.sep in named
        or named.endswith((".json", ".jsonl"))
    )
    if not looks_like_a_path:
        from ..machine.profiles import UnknownMachineError, load

        try:
            return (load(named).machine,)
        except UnknownMachineError as error:
            if not os.path.lexists(named):
                message = f"{error}, and there is no file or folder of that name"
                raise UnknownMachineError(
                    message, remedy=error.remedy, nearest=error.nearest
                ) from None
    if os.path.isdir(named):
        from ..audit.fleet import load_machines

        fleet = load_machines(named)
        if fleet.problems:
            raise MachineFileError(fleet.problems)
        return fleet.machines
    return (Machine.from_file(named),)


def _one_machine(options: argparse.Namespace) -> Machine:
    found = _machines(options)
    if len(found) > 1:
        remedy = (
            "name one of its files; `selfhost check` and `selfhost audit --machines` judge them all"
        )
        raise UsageError(f"{options.machine} holds {len(found)} machines", remedy=remedy)
    return found[0]


# ------------------------------------------------------------------ commands


def _check(words: list[str]) -> int:
    options = _parse("check", words)
    by_machine, errors = _verdicts(options, options.models, _machines(options))
    verdicts = [verdict for part in by_machine for verdict in part]
    if not verdicts:
        raise _together(errors)
    from ..api import utc_today

    if options.format == "json":
        from ..reports import json

        _deliver(options, json.dumps(json.check(verdicts, errors)))
    else:
        from ..reports.check_text import check_document, one_after_the_other

        carry = _carried(options)
        documents = [
            check_document(part, verbose=options.verbose, carry=carry, today=utc_today())
            for part in by_machine
            if part
        ]
        _present(options, one_after_the_other(documents))
    code = exit_code((verdict.route for verdict in verdicts), no_answer=bool(errors))
    if errors:
        _flush()
        _complain(_together(errors), code, options.format == "json")
    return code


def _verdicts(
    options: argparse.Namespace, names: Sequence[str], machines: Sequence[Machine]
) -> tuple[list[list[Verdict]], dict[str, SelfhostError]]:
    """Every model on each machine, and by the name that was typed why one could not be judged."""
    workload = _workload(options)
    from ..api import check_with, open_catalogue

    catalogue = open_catalogue(options.specs)
    by_machine: list[list[Verdict]] = []
    errors: dict[str, SelfhostError] = {}
    for machine in machines:
        judged: list[Verdict] = []
        for name in names:
            if name in errors:
                continue
            try:
                judged.append(
                    check_with(
                        catalogue,
                        name,
                        workload,
                        machine,
                        prices=getattr(options, "prices", "snapshot"),
                    )
                )
            except SelfhostError as error:
                errors[name] = _in_flags(error) if isinstance(error, WorkloadError) else error
        by_machine.append(judged)
    return by_machine, errors


def _compare(words: list[str]) -> int:
    options = _parse("compare", words)
    names = [options.model, *options.others]
    (verdicts,), errors = _verdicts(options, names, (_one_machine(options),))
    if errors:
        wrong = _together(errors)
        if judged := [name for name in names if name not in errors]:
            # side by side means all of them: exit 2 is no answer, also of the names that are right
            others = (
                f"not compared because of {'it' if len(errors) == 1 else 'them'}:"
                f" {', '.join(judged)}"
            )
            wrong.remedy = f"{wrong.remedy}; {others}" if wrong.remedy else others
        raise wrong
    from ..api import utc_today

    if options.format == "json":
        from ..reports import json

        _deliver(options, json.dumps(json.compared(verdicts)))
    else:
        from ..reports.compare_text import compare_document

        _present(
            options,
            compare_document(
                verdicts, carry=_workload(options).options() + _carried(options), today=utc_today()
            ),
        )
    return 0


def _carried(options: argparse.Namespace) -> str:
    """The options of a call that a proposed next call needs too, beside those of the workload."""
    words = [
        *(["--measure"] if options.measure else []),
        *(["--machine", options.machine] if options.machine else []),
        *(
            ["--prices", options.prices]
            if getattr(options, "prices", "snapshot") != "snapshot"
            else []
        ),
        *(word for text in options.set for word in ("--set", text)),
        *(word for folder in options.specs for word in ("--specs", folder)),
    ]
    return "".join(f" '{word}'" if " " in word else f" {word}" for word in words)


def _together(errors: Mapping[str, SelfhostError]) -> SelfhostError:
    """One error for all that is wrong with the names: a single one as it is, several as
    problems of one input.
    """
    if len(errors) == 1:
        return next(iter(errors.values()))
    problems: dict[Problem, None] = {}
    for name, error in errors.items():
        found = error.problems if isinstance(error, InputError) else ()
        if not found:
            # to find near names takes far longer than all else: only for what will be listed
            near = error.nearest[:3] if len(problems) < MAX_PROBLEMS else ()
            remedy = f"did you mean {' or '.join(near)}?" if near else error.remedy
            found = (Problem(file="command line", key=name, message=error.message, remedy=remedy),)
        problems.update(dict.fromkeys(found))
    faults = Faults("command line", problems)
    guesses = dict.fromkeys(
        guess for error in list(errors.values())[:MAX_PROBLEMS] for guess in error.nearest
    )
    return InputError(faults.problems, nearest=guesses, unlisted=faults.more)


def _list(words: list[str]) -> int:
    options = _parse("list", words)
    workload = _workload(options)
    from ..api import judge_all, open_catalogue, utc_today

    catalogue = open_catalogue(options.specs)
    if options.family is not None:
        _known_family(options.family, catalogue)
    machine = _one_machine(options)
    rows = [
        verdict
        for verdict in judge_all(catalogue, workload, machine)
        if (options.family is None or _same(verdict.model.family, options.family))
        and (options.modality is None or verdict.model.modality == options.modality)
        and (options.route is None or verdict.route == options.route)
        and (options.openness is None or verdict.model.openness.weights == options.openness)
        and (options.max_size is None or _within(verdict, options.max_size))
    ]
    if options.format == "json":
        from ..reports import json

        _deliver(options, json.dumps(json.listing(rows, machine)))
    elif options.format == "html":
        from ..catalogue.offers import offers_of
        from ..reports.html import catalogue_page

        today = utc_today()
        offers = {
            row.model.id: offers_of(catalogue.offers_path, row.model.id, today=today)
            for row in rows
        }
        prices = {model_id: found[0] for model_id, found in offers.items() if found}
        _deliver(options, catalogue_page(rows, machine, prices, asked=workload.options()))
    else:
        from ..reports.list_text import list_document

        _present(options, list_document(rows, machine))
    _tell_left_aside(catalogue)
    return 0


def _within(verdict: Answer, most: int) -> bool:
    size = verdict.needs.download_bytes if verdict.needs else None
    return size is not None and size <= most


def _known_family(wanted: str, catalogue: Catalogue) -> None:
    """`UsageError` with the nearest for a family that no model is of."""
    from ..core.spelling import nearest

    families = sorted(
        {outline.family for outline in catalogue.outlines() if outline.family is not None}
    )
    if not any(_same(family, wanted) for family in families):
        guess = nearest(wanted, families)
        remedy = (
            f"did you mean --family {guess}?"
            if guess
            else "leave it out: `selfhost list` shows every model"
        )
        raise UsageError(
            f"--family {wanted!r}: no model is of that family",
            remedy=remedy,
            nearest=(guess,) if guess else (),
        )


def _same(family: str | None, wanted: str) -> bool:
    from ..core.spelling import canonical

    own, typed = canonical(family or ""), canonical(wanted)
    return own == typed or own.startswith(typed + "-")


def _show(words: list[str]) -> int:
    options = _parse("show", words)
    workload = _workload(options)
    from ..api import describe, open_catalogue, utc_today

    shown = describe(
        open_catalogue(options.specs),
        options.model,
        workload,
        _one_machine(options),
        prices=options.prices,
    )
    if options.format == "json":
        from ..reports import json

        _deliver(options, json.dumps(json.shown(shown)))
    else:
        from ..reports.show_text import show_document

        about = shown.verdict
        document = show_document(
            about.model,
            shown.sizes,
            about.api_offers,
            about,
            verbose=options.verbose,
            today=utc_today(),
            loss_by_size=shown.loss_by_size,
        )
        _present(options, document)
    return 0


def _machine_command(words: list[str]) -> int:
    options = _parse("machine", words)
    if options.profiles:
        return _list_profiles(options)
    from ..machine.reader import Machine
    from ..machine.record import checked_name

    labels = {}
    for text in options.label:
        key, found, value = text.partition("=")
        if not found or not key.strip():
            raise UsageError(
                f"--label {text!r} is no KEY=VALUE", remedy="write for example --label site=berlin"
            )
        labels[checked_name(key.strip(), "label")] = checked_name(value.strip(), "label")
    if options.measure and (options.root is not None or options.record is not None):
        remedy = (
            "leave --measure out; `selfhost machine --measure --format json` keeps what was"
            " measured"
        )
        raise UsageError(
            "--measure measures this machine now, and a tree keeps what was read", remedy=remedy
        )
    known = _public_models() if options.record is not None else None
    machine = Machine.read(
        measure=options.measure, root=options.root, record=options.record, known=known
    ).replace(labels=labels)
    if options.record is not None:
        _note(f"recorded in {options.record}; look through it before you pass it on\n")
    if options.name is not None:
        machine = machine.replace(name=checked_name(options.name))
    if options.format == "json":
        from ..reports import json

        _deliver(options, json.dumps(json.machine(machine)))
    else:
        from ..reports.machine_text import machine_document

        _present(options, machine_document(machine))
    return 0


def _public_models() -> Callable[[str], bool]:
    """Whether the shipped catalogue knows a model by that name: a repository, a tag or a file's."""
    from ..catalogue.index import Catalogue
    from ..catalogue.names import id_of

    catalogue = Catalogue.open()
    return lambda name: id_of(name, catalogue) is not None


def _list_profiles(options: argparse.Namespace) -> int:
    from ..machine.profiles import all_profiles

    if (
        options.name is not None
        or options.label
        or options.measure
        or options.root is not None
        or options.record is not None
    ):
        raise UsageError(
            "--profiles reads no machine",
            remedy="leave --name, --label, --measure, --root and --record out",
        )
    known = all_profiles()
    if options.format == "json":
        from ..reports import json

        _deliver(options, json.dumps(json.profiles(known)))
    else:
        from ..reports.plan_text import profiles_document

        _present(options, profiles_document(known))
    return 0


def _plan(words: list[str]) -> int:
    options = _parse("plan", words)
    workload = _workload(options)
    from ..advice.plan import make_plan
    from ..api import check_with, open_catalogue
    from ..machine.profiles import all_profiles
    from ..machine.record import Machine
    from ..verdict.question import ask

    catalogue = open_catalogue(options.specs)
    # how the name is understood; what would be here already does not matter elsewhere
    anywhere = Machine(planning=True)
    named = check_with(catalogue, options.model, workload, anywhere, instead=False)
    plain = ask(named.model, workload, catalogue, anywhere).workload
    said = {
        key: value
        for key in ("runtime", "quantization")
        if (value := getattr(named.workload, key)) != getattr(plain, key)
    }
    wanted = workload.replace(**said)
    plan = make_plan(
        named.model, wanted, catalogue, all_profiles(), asked=named.asked, notes=named.notes
    )
    if options.format == "json":
        from ..reports import json

        _deliver(options, json.dumps(json.plan(plan)))
    else:
        from ..reports.plan_text import plan_document

        carry = workload.options() + _carried(options)
        _present(options, plan_document(plan, verbose=options.verbose, carry=carry))
    return plan.exit_code


def _spec(words: list[str]) -> int:
    options = _parse("spec", words)
    from ..api import open_catalogue

    catalogue = open_catalogue(options.specs)
    if options.action == "new":
        return _spec_new(options, catalogue)
    from ..modelfiles.speccheck import check_spec_files

    problems, good = check_spec_files(
        options.files, catalogue.specs(), catalogue.common("architectures")
    )
    code = 1 if problems else 0
    if options.format == "json":
        from ..reports import json

        _deliver(options, json.dumps(json.spec_check(problems, good, code)))
    else:
        from ..reports.layout import clean
        from ..reports.text import problems_text

        encoding = None if options.output or sys.stdout is None else sys.stdout.encoding
        _deliver(
            options,
            (
                problems_text(problems, encoding=encoding)
                if problems
                else "".join(clean(f"{spec.origin}: ok ({spec.name})") + "\n" for spec in good)
            ),
        )
    if not code:
        _tell_left_aside(catalogue)
    return code


def _spec_new(options: argparse.Namespace, catalogue: Catalogue) -> int:
    from ..modelfiles import read_local, spec_text

    if len(options.files) != 1:
        raise UsageError(
            "a spec is made of one model", remedy="name one GGUF file, config.json or model folder"
        )
    local = read_local(options.files[0], catalogue.common("architectures"))
    spec, notes = local.spec, local.notes
    if options.output is not None and options.format != "json":
        from ..catalogue.index import misnamed
        from ..catalogue.spec import is_id

        # folders of specs find a model by the name of its file
        name, ending = os.path.splitext(os.path.basename(options.output))
        if ending == ".toml" and is_id(name):
            spec = spec.replace(id=name)
        elif f"{spec.id}.toml" != f"{name}{ending}":
            notes += (f"its id {': '.join(misnamed(spec.id, name + ending))}",)
    taken = catalogue.named_so(spec.id)
    if taken is not None:
        what = (
            "is that of a model of the catalogue, which this spec takes the place of under --specs"
        )
        if taken != spec.id:
            what = f"already means {taken} of the catalogue, so that spec check refuses it"
        notes += (f"its id {spec.id} {what}: --output OTHER-NAME.toml gives it another",)
    if options.format == "json":
        from ..reports import json

        _deliver(
            options,
            json.dumps(
                {"schema": "selfhost.spec/1", "spec": json.record(spec), "notes": list(notes)}
            ),
        )
        return 0
    _deliver(options, spec_text(spec))
    for note in notes:
        _note(f"{note}\n")
    return 0


def _audit(words: list[str]) -> int:
    options = _parse("audit", words)
    from ..audit.fleet import load_machines, run_audit, utc_today
    from ..audit.policy import read_policy, starter_policy
    from ..core.tomlfile import Document

    if options.init:
        if os.path.lexists(options.policy):
            raise UsageError(
                f"{options.policy} is there already",
                remedy="name another file: `selfhost audit --init other.toml`",
            )
        write_file(options.policy, starter_policy(()))
        from ..reports.layout import clean

        named = clean(_named_policy(options.policy))
        _write(
            f"wrote {clean(options.policy)}: name your models in it, then run `selfhost"
            f" audit{named}`\n"
        )
        return 0
    outputs = [_audit_format(text) for text in options.format] or [("text", None)]
    if options.output and all(path is not None for _, path in outputs):
        raise UsageError(
            "--output has nothing to write: every --format names its own file",
            remedy="leave --output out",
        )
    if sum(path is None for _, path in outputs) > 1:
        raise UsageError(
            "only one --format can go to standard output",
            remedy="write the others to files: --format junit=report.xml",
        )
    files = [path for _, path in outputs if path is not None]
    to_standard_output = options.output is None and len(files) < len(outputs)
    targets = [*files, *([options.output] if options.output else [])]
    _check_targets(options, targets, with_standard_output=to_standard_output)
    today = utc_today() if options.today is None else options.today
    if not _is_date(today):
        raise UsageError(f"--today {today!r} is no date", remedy="write YYYY-MM-DD")
    policy = read_policy(Document.read(options.policy))
    if targets:
        from ..core.writing import check_targets

        # which files the policy names is known only now
        check_targets(targets, _named_files(policy))
    from ..api import check_with, open_catalogue

    catalogue = open_catalogue(options.specs)
    from ..machine.reader import Machine

    progress = _progress(words)
    machines: tuple[Machine, ...]
    problems: tuple[Problem, ...] = ()
    if options.machines is None:
        machines = (Machine.read(),)
    else:
        fleet = load_machines(options.machines, progress=progress)
        machines, problems = fleet.machines, fleet.problems

    def judge(name: str, workload: Workload, machine: Machine) -> Verdict:
        return check_with(catalogue, name, workload, machine, instead=False, today=today)

    audit = run_audit(policy, machines, judge, today=today, problems=problems, progress=progress)
    shown = next((name for name, path in outputs if path is None), None)
    if options.output is not None and shown is not None and not audit.problems:
        outputs, shown = [*((name, path or options.output) for name, path in outputs)], None
    reports = [(path, _audit_report(name, audit)) for name, path in outputs if path is not None]
    if reports:
        from ..core.writing import write_whole

        write_whole(reports)
    if audit.problems:
        # not all could be judged: that is no answer, and nothing on standard output may look like
        # one
        raise InputError(audit.problems)
    if shown == "text":
        from ..reports.audit_text import document

        _present(options, document(audit))
    elif shown is not None:
        _deliver(options, _audit_report(shown, audit))
    _tell_left_aside(catalogue)
    return audit.exit_code


def _progress(words: list[str]) -> Progress | None:
    """For a person; a program that wants JSON finds nothing else on standard error."""
    from ..core.lastwords import wants_json

    if wants_json(words):
        return None
    from ..audit.progress import Progress

    return Progress(lambda line: _to_standard_error(f"{line}\n"))


def _named_files(policy: Policy) -> list[str]:
    """What is read of the models, drafts and adapters that the policy's entries name."""
    models = [wanted.name for wanted in policy.models]
    models += [wanted.asked.draft for wanted in policy.models if wanted.asked.draft]
    adapters = [
        typed for wanted in policy.models if _is_adapter_file(typed := wanted.asked.adapter)
    ]
    return [*_files_of_models(models), *_model_files(adapters)]


def _named_policy(path: str) -> str:
    import shlex

    return "" if path == "audit.toml" else f" {shlex.quote(path)}"


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


AUDIT_FORMATS = ("text", "json", "jsonl", "junit")


def _audit_format(text: str) -> tuple[str, str | None]:
    name, found, path = text.partition("=")
    if name not in AUDIT_FORMATS:
        from ..core.spelling import nearest

        guess = nearest(name, AUDIT_FORMATS)
        raise UsageError(
            f"unknown format {name!r}",
            remedy=f"did you mean {guess}?" if guess else f"one of {', '.join(AUDIT_FORMATS)}",
        )
    if found and path in ("", "-"):
        raise UsageError(f"--format {text} names no file", remedy=f"write --format {name}=FILE")
    return name, path or None


def _audit_report(name: str, audit: Audit) -> str:
    if name == "junit":
        from ..reports import junit

        return junit.render(audit)
    from ..reports import audit_json, audit_text, json

    if name == "text":
        return audit_text.render(audit)
    return audit_json.jsonl(audit) if name == "jsonl" else json.dumps(audit_json.render(audit))


def _completion(words: list[str]) -> int:
    options = _parse("completion", words)
    from .completion import script

    _write(script(options.shell))
    return 0


_HANDLERS: dict[str, Callable[[list[str]], int]] = {
    "check": _check,
    "list": _list,
    "show": _show,
    "compare": _compare,
    "plan": _plan,
    "machine": _machine_command,
    "audit": _audit,
    "spec": _spec,
    "completion": _completion,
}


# ------------------------------------------------------------------ output


def _tell_left_aside(catalogue: Catalogue) -> None:
    """What is wrong with the user's own specs, to standard error, where the answer itself has
    no place for it.
    """
    if catalogue.own_faults and sys.stderr is not None:
        from ..reports.text import problems_text

        faults = Faults("--specs", catalogue.own_faults)
        _note(
            "left aside, for this is wrong:\n"
            + problems_text(faults.problems, encoding=sys.stderr.encoding)
        )


def _note(text: str) -> None:
    """A remark beside the answer, after what of it is written so far; where nobody reads it the
    answer stands.
    """
    _flush()
    from ..reports.layout import clean

    _to_standard_error("".join(f"{clean(line)}\n" for line in f"note: {text}".splitlines()))


def _write(text: str) -> None:
    """To standard output; `UsageError` where there is none or it takes nothing."""
    if sys.stdout is None:
        raise UsageError(
            "there is no standard output", remedy="--output FILE writes the report to a file"
        )
    try:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding or "ascii"
            sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    except OSError as error:
        raise _unwritable(error) from None


def _deliver(options: argparse.Namespace, text: str) -> None:
    """To --output, else to standard output."""
    if options.output is None:
        _write(text)
        return
    write_file(options.output, text)


def write_file(path: str, text: str) -> None:
    """Write a report where the user asked for it, whole or not at all; `WriteError` where that
    cannot be.
    """
    from ..core.writing import write_whole

    write_whole([(path, text)])


def _present(options: argparse.Namespace, document: Document) -> None:
    """A document for a person: drawn on a terminal, plain in a pipe or file."""
    from ..reports.layout import plain

    if options.output is not None:
        write_file(options.output, plain(document))
    elif sys.stdout is not None and sys.stdout.isatty():
        from ..reports.terminal import print_document

        color = not (
            options.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        )
        try:
            print_document(document, sys.stdout, _columns(), color)
        except OSError as error:
            raise _unwritable(error) from None
    else:
        _write(plain(document, encoding=None if sys.stdout is None else sys.stdout.encoding))


def _columns() -> int:
    width = os.environ.get("COLUMNS", "")
    # as shutil reads it: 0, and what is no number, say nothing
    if width.isascii() and width.isdecimal() and len(width) <= 9 and int(width):
        return int(width)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80
