"""Every option of the command line, declared once, and what each command takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..catalogue.spec_values import MODALITIES, OPENNESS, USES
from ..core.quantities import (
    parse_bytes,
    parse_count,
    parse_number,
    parse_rate,
    parse_seconds,
    parse_tokens,
    parse_whole,
)
from ..core.units import MIB, binary
from ..core.workload import (
    FINETUNE_METHODS,
    FLAGS,
    KV_CACHE_TYPES,
    LOAD_FLAGS,
    MEMORY_BASES,
    OPTIMIZERS,
    TASKS,
    cache_type,
)

ROUTES = ("local", "api", "neither", "unknown")
# what `list --sort` orders by, smaller first; what is not known comes last
SORTS = ("best", "speed", "memory", "download", "parameters", "released", "name")
# the options that most questions need; a command with few options has no others
COMMON = frozenset(
    (
        "--top", "--all", "-v --wide", "--sort", "--use", "--context", "--quant", "--runtime",
        "--min-speed", "--machine", "--gpu", "--set", "--measure", "--private", "--commercial",
        "--license", "--tokens-per-day", "--format", "-v --verbose",
    )
)  # fmt: skip
# besides text and JSON
MORE_FORMATS = {
    **dict.fromkeys(("check", "list", "show", "compare", "plan"), ("html",)),
    "size": ("kubernetes", "compose", "docker", "systemd"),
}
# the option behind each field of a Workload and a Load
_FIELDS = {flag: field for field, flag in (*LOAD_FLAGS.items(), *FLAGS.items())}


def _tokens(text: str) -> int:
    if "," in text and any(letter.isalpha() for letter in text):
        raise ValueError("takes one number, such as 8192 or 8k")
    return parse_tokens(text)


def _size_bytes(text: str) -> int:
    size = parse_bytes(text)
    # nothing here is counted in bytes: 8 was meant as 8 GB or GiB
    if text.strip().isdecimal() and 0 < size < MIB:
        raise ValueError(
            f"{text!r} is {binary(size)}: the unit is missing, write for example 16GiB or 16GB"
        )
    return size


def _day(text: str) -> str:
    from datetime import date

    day = date.fromisoformat(text).isoformat()
    if day != text:
        raise ValueError(f"write {day}")
    return day


def _rows(text: str) -> int:
    rows = parse_whole(text)
    if rows < 1:
        raise ValueError(f"must be at least 1, not {rows}")
    return rows


def _value(
    metavar: str, help: str, read: Callable[[str], Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {"metavar": metavar, "help": help, "type": read, **more}


def _choice(
    metavar: str | None, choices: Sequence[str], help: str | None, **more: Any
) -> dict[str, Any]:
    return {"metavar": metavar, "choices": choices, "help": help, **more}


def _several(metavar: str, help: str) -> dict[str, Any]:
    return {"metavar": metavar, "help": help, "action": "append", "default": []}


def _flag(help: str) -> dict[str, Any]:
    return {"help": help, "action": "store_true"}


OPTIONS: dict[str, dict[str, Any]] = {
    "--context": _value("N", "context in tokens, as 8192 or 8k (default: 4096)", _tokens),
    "--prompt": _value("N", "prompt length in tokens: time to the first token", _tokens),
    "--task": _choice("TASK", TASKS, "generate (default) or finetune", default="generate"),
    "--quant": _value("Q", "quantization (default of text: Q4_K_M, or what fits)"),
    "--runtime": _value("R", "as llama.cpp, ollama, transformers, vllm or mlx"),
    "--kv-cache": _choice(
        "TYPE", KV_CACHE_TYPES, "f16 (default), q8_0, q4_0; vLLM, SGLang: fp8", type=cache_type
    ),
    "--draft": _value("MODEL", "for speculative decoding; mtp: the model's own block"),
    "--runtime-option": _several("NAME=VALUE", "of llama.cpp or vLLM, as ub=1024 or ngl=20"),
    "--audio": _value("TIME", "length of one recording, as 30s, 10m or 1.5h", parse_seconds),
    "--parallel --users": _value("N", "sequences at once, a context each", parse_whole, default=1),
    "--min-speed": _value("N", "tokens/s that each sequence needs (0: any)", parse_number),
    "--method": _choice("METHOD", FINETUNE_METHODS, "with --task finetune: full, lora or qlora"),
    "--lora-rank": _value("N", "with --task finetune (default: 16)", parse_whole),
    "--optimizer": _choice("NAME", OPTIMIZERS, f"with --task finetune: {', '.join(OPTIMIZERS)}"),
    "--dataset-tokens": _value("N", "tokens to train on, as 2M: gives the hours", parse_count),
    "--no-checkpointing": {
        **_flag("with --task finetune: keep all activations"),
        "action": "store_const",
        "const": False,
    },
    "--private": _flag("nothing may leave this machine, so no API"),
    "--commercial": _flag("the license must allow commercial use"),
    "--modify": _flag("the license must allow modified versions"),
    "--auditable": _flag("training data, code and paper must be open"),
    "--license": _value("EXPR", "accepted licenses, as 'Apache-2.0 OR MIT'"),
    "--machine": _value("NAME|FILE", "another machine, by name or by its record's file"),
    "--gpu": _several("NAME", "this GPU instead, as 'RTX 4090' or '2x RTX 3090'"),
    "--set": _several("KEY=VALUE", "what if: memory=16GiB, gpu=2x24GiB, cores=8, disk=1TB"),
    "--measure": _flag("measure the memory bandwidth first (a second)"),
    "--no-measure": _flag("do not measure the memory, which takes 60 ms"),
    "--memory": _choice("BASIS", MEMORY_BASES[1:], "total or available now", default="default"),
    "--download-speed": _value("RATE", "of your connection, as 100Mbit/s", parse_rate),
    "--reserve": _value("SIZE", "memory kept for the system, as 2GiB", _size_bytes),
    "--tokens-per-day": _value("IN:OUT", "cost a month, as 2M:500k"),
    "--watts": _value("W", "power that this computer draws at work", parse_number),
    "--electricity": _value("PRICE", "of a kWh, in your currency, as 0.30", parse_number),
    "--machines": _several("FILE|DIR|-", "records of machines (repeatable)"),
    "--top": _value("N", "how many models to show (default: 20)", _rows),
    "--all": _flag("also models that do not run here"),
    "-v --wide": _flag("more columns"),
    "--sort": _choice("COLUMN", SORTS, f"{', '.join(SORTS[:4])} … (default: best)", default="best"),
    "--family": _value("NAME", "only this family"),
    "--modality": _choice("KIND", MODALITIES, ", ".join(MODALITIES)),
    "--use": _choice("USE", USES, f"made for {', '.join(USES)}"),
    "--openness": _choice("HOW", OPENNESS, f"of the weights: {', '.join(OPENNESS)}"),
    "--route": _choice("ANSWER", ROUTES, "only local, api, neither or unknown"),
    "--max-size": _value("SIZE", "only downloads up to this size, as 8GB", _size_bytes),
    "--prompt-cache": _value("SIZE", "earlier prompts to keep (default: one a user)", _size_bytes),
    "--model": _value("NAME", "the model, where the run does not name one"),
    "--profiles": _flag("list the machines that --machine NAME knows"),
    "--root": _value("DIR", "read DIR/proc, DIR/sys, … of a recorded tree instead"),
    "--name": _value("NAME", "a name for the record"),
    "--label": _several("KEY=VALUE", "a label for policies to match (repeatable)"),
    "--init": _flag("write a policy to start from, and stop"),
    "--validate": _value("FILE", "say whether these policies are valid, and stop", nargs="*"),
    "--today": _value("YYYY-MM-DD", "the day (UTC) on which exceptions expire", _day),
    "--baseline": _value("FILE", "an earlier audit (JSON Lines): report only what changed"),
    "--yes": _flag("judge even where that takes longer than 15 minutes"),
    "--specs": _several("DIR", "folder of your own specs (also SELFHOST_SPECS)"),
    "--output": _value("FILE", "write the report to a file"),
    "--no-color": _flag("no colour (also NO_COLOR=1)"),
    "-v --verbose": _flag("every figure and finding, with its source"),
}

_WORK = """
    --context --prompt --task --quant --runtime --runtime-option --kv-cache --draft --audio
    --parallel/--users --min-speed --method --lora-rank --optimizer --dataset-tokens
    --no-checkpointing --private --commercial --modify --auditable --license"""
_OTHER = " --machine --gpu --set --measure"
_CONNECTION = " --download-speed --reserve"
_MACHINE = f"{_OTHER} --no-measure --memory{_CONNECTION}"
_COST = """
    --tokens-per-day --watts --electricity"""
_REPORT = " --format --json --output --no-color"
_VERBOSE = f" --specs{_REPORT} -v/--verbose"

# the options of each command, in the order of its help; `/` is between names of one
TAKEN: dict[str, tuple[str, ...]] = {
    command: tuple(names.replace("/", " ") for names in options.split())
    for command, options in {
        "check": f"{_WORK}{_MACHINE}{_COST}{_VERBOSE}",
        "list": f"""{_WORK}{_MACHINE} --top --all -v/--wide --sort --family --modality --use
            --openness --route --max-size --specs{_REPORT}""",
        "show": f"{_WORK}{_MACHINE}{_COST}{_VERBOSE}",
        "compare": f"{_WORK}{_MACHINE}{_COST}{_VERBOSE}",
        "plan": f"{_WORK}{_CONNECTION}{_VERBOSE}",
        "size": f"""--parallel/--users --context --quant --runtime --kv-cache --prompt-cache --gpu
            --set --download-speed{_VERBOSE}""",
        "verify": f"--model{_OTHER} --no-measure --memory --specs{_REPORT}",
        "machine": f"{_OTHER} --profiles --root --name --label{_REPORT} -v/--verbose",
        "audit": f"""--machines --init --validate --today --baseline --yes{_VERBOSE}""",
        "spec": f"--specs{_REPORT}",
        "completion": "",
    }.items()
}

SHELLS = ("bash", "zsh", "fish")
_MODELS = {"models": _value("MODEL", "as mistral-7b or a Hugging Face id", nargs="+")}
_MODEL = {"model": _value("MODEL", "a name as people type it")}
# the words of each command that are no options
_WORDS: dict[str, dict[str, dict[str, Any]]] = {
    "check": _MODELS,
    "list": {"words": _value("WORD", "words that each model must have", nargs="*")},
    "show": _MODEL,
    "compare": {**_MODEL, "others": _value("MODEL", "at least one more", nargs="+")},
    "plan": _MODEL,
    "size": {"models": _value("MODEL", "each gets a container of its own", nargs="+")},
    "verify": {"files": _value("LOG|PROCESS", "a file, - for stdin, or a process's id", nargs=1)},
    "machine": {"words": _value("WORD", "with --profiles: what each must have", nargs="*")},
    "audit": {"policy": _value("POLICY", "default: ./audit.toml", nargs="?", default="audit.toml")},
    "spec": {
        "action": _choice(None, ("check", "new"), "judge specs, or make one of a model file"),
        "files": _value("FILE", "specs; or a GGUF file, config.json, model folder", nargs="+"),
    },
    "completion": {"shell": _choice(None, SHELLS, None)},
}


def arguments(command: str) -> dict[str, dict[str, Any]]:
    """Return the words and options of a command, in the order of its help, with their settings as
    argparse names them.
    """
    options = {names: OPTIONS.get(names, {}) for names in TAKEN[command]}
    for names in options:
        if field := _FIELDS.get(names.split()[0]):
            options[names] = {**options[names], "dest": field}
    if "--format" in options:
        formats = ("text", "json", *MORE_FORMATS.get(command, ()))
        listed = f"{', '.join(formats)} (--json for short)"
        several: dict[str, Any] = {"nargs": 0}
        options["--format"] = _choice("NAME", formats, listed, default="text")
        if command == "audit":
            from ..reports.audit_formats import FORMATS

            listed = f"{', '.join(FORMATS)} (--json for short); =FILE writes it there"
            several = {"action": "append_const"}
            options["--format"] = _several("NAME[=FILE]", listed)
        options["--json"] = {**several, "dest": "format", "const": "json", "help": None}
    return {**_WORDS[command], **options}
