"""Sentences that name an option: where one stands they hold a slot, which each face of the program
fills in its own words. The command line says `--context 8192`, Python `context_tokens=8192`, a
policy `context_tokens = 8192`.

A slot stands between two noncharacters of Unicode, which the standard keeps for use inside of
programs (https://www.unicode.org/faq/private_use.html#nonchar1), so that sentences are plain text
until a face shows them.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

    Value = str | int | float | bool

_OPEN, _BETWEEN, _CLOSE = "\ufdd0", "\ufdd1", "\ufdd2"
# before a value: of what type it is
_NUMBER, _TEXT = "n", "t"

# what each field of a Workload is called on the command line, and of its Load
FLAGS = {
    "task": "--task",
    "runtime": "--runtime",
    "quantization": "--quant",
    "context_tokens": "--context",
    "parallel": "--parallel",
    "kv_cache_type": "--kv-cache",
    "prompt_tokens": "--prompt",
    "audio_seconds": "--audio",
    "draft": "--draft",
    "adapter": "--adapter",
    "min_tokens_per_second": "--min-speed",
    "memory_basis": "--memory",
    "reserve_bytes": "--reserve",
    "download_bytes_per_second": "--download-speed",
    "private": "--private",
    "commercial": "--commercial",
    "modify": "--modify",
    "auditable": "--auditable",
    "license": "--license",
    "finetune_method": "--method",
    "lora_rank": "--lora-rank",
    "optimizer": "--optimizer",
    "checkpointing": "--no-checkpointing",
    "dataset_tokens": "--dataset-tokens",
    "load": "--tokens-per-day",
}
LOAD_FLAGS = {
    "input_tokens_per_day": "--tokens-per-day",
    "output_tokens_per_day": "--tokens-per-day",
    "watts": "--watts",
    "electricity_per_kwh": "--electricity",
    "hardware_price": "--hardware-price",
    "hardware_life_years": "--hardware-life",
    "currency_per_usd": "--dollar-price",
}
# arguments of functions
_OF_FUNCTIONS = {
    "model": "--model",
    "machine": "--machine",
    "specs": "--specs",
    "use": "--use",
    "modality": "--modality",
    "prices": "--prices",
    "prompt_cache_bytes": "--prompt-cache",
    "gpu": "--gpu",
}
_FLAGS_OF_ALL = {**FLAGS, **LOAD_FLAGS, **_OF_FUNCTIONS}
# what is typed in quotes, for most have spaces
_QUOTED = ("machine", "gpu")
# options that are no key of a policy's models and needs
_NO_POLICY_KEYS = ("task", "prompt_tokens", "finetune_method", "optimizer", "load")
# what a policy says of a class, not of a model
_OF_CLASSES = {"memory_basis": "memory", "reserve_bytes": "facts.reserve"}


def option(key: str, *values: Value) -> str:
    """The slot of an argument, by its name in Python; with a value, or with several that would do:
    `--runtime vllm or sglang`. A boolean option that the command line sets has the value True, one
    that it clears False.
    """
    return f"{_OPEN}{_BETWEEN.join((key, *map(_coded, values)))}{_CLOSE}"


def _coded(value: Value) -> str:
    """The value behind a letter that tells its type: what was typed may have any signs but ours."""
    if not isinstance(value, str):
        return f"{_NUMBER}{value}"
    return _TEXT + "".join([sign for sign in value if sign not in (_OPEN, _BETWEEN, _CLOSE)])


def differently(shell: str, python: str, policy: str | None = None) -> str:
    """The slot of what is no argument by another name: the words of the command line, those of
    Python, and those of a policy where they are not the command line's.
    """
    words = shell, python, shell if policy is None else policy
    return f"{_OPEN}{_BETWEEN}{_BETWEEN.join(words)}{_CLOSE}"


def command(name: str, *models: str, **arguments: Value) -> str:
    """The slot of a whole command of the shell, and of the call that answers as it does: `check` of
    these models with those arguments, or `list` of all with them.
    """
    coded = {key: [_coded(value)] for key, value in arguments.items()}
    options = [_as_option(key, values) for key, values in coded.items()]
    given = [_as_literal(_coded(model)) for model in models]
    stated = ", ".join(_as_argument(key, values) for key, values in coded.items())
    if stated:
        given.append(stated if arguments.keys() & _OF_FUNCTIONS.keys() else f"Workload({stated})")
    called = "rank" if name == "list" else name
    return differently(
        " ".join(("selfhost", name, *models, *options)), f"{called}({', '.join(given)})"
    )


def stated(key: str, value: str, python: str) -> str:
    """The slot of stating a fact of a machine: by `--set` of `check`, in Python, or among the facts
    that a policy states for a class of machines.
    """
    return differently(
        f"add `--set {key}={value}` to `selfhost check`",
        python,
        f'facts = {{ {key} = "{value}" }} of a [[class]]',
    )


# What to do about an unread fact is shown for this machine and for records of others, by `machine`,
# which states nothing, and by commands that judge: so each says where it is typed. Facts that no
# option states people may write down themselves.
_EDITED_RECORD = "edit what `machine.to_json()` gives, and read it by `Machine.from_json()`"
FILL_IN = "fill it in: " + differently(
    "`selfhost machine --format json > m.json` on the machine itself (with `--root DIR`"
    " of a recorded tree), edit m.json, then add `--machine m.json` to `selfhost check`",
    _EDITED_RECORD,
    "`selfhost machine --format json > m.json` on the machine itself, edit m.json, then judge it by"
    " `--machines`",
)
SET_MEMORY = "state it: " + stated("memory", "16GiB", _EDITED_RECORD)
SET_DISK = "state it: " + stated("disk", "100GB", _EDITED_RECORD)
# the careful measurement of the memory's bandwidth
MEASURE = differently("--measure", "machine=Machine.read(measure=True)")
# the record of a machine with it, made on that machine
MEASURED_RECORD = differently(
    "`selfhost machine --measure --format json`", "`Machine.read(measure=True).to_json()`"
)


def in_shell(text: str) -> str:
    """The sentence with options of the command line."""
    return _filled(text, _as_option, 0) if _OPEN in text else text


def in_python(text: str) -> str:
    """The sentence with arguments of Python's functions."""
    return _filled(text, _as_argument, 1) if _OPEN in text else text


def in_policy(text: str) -> str:
    """The sentence with keys of a policy, and with options of the command line where it has no
    such key.
    """
    worded = _filled(text, _as_key, 2) if _OPEN in text else text
    # a record holds what the command line says
    for slot in (FILL_IN, SET_MEMORY, SET_DISK) if "`selfhost check`" in worded else ():
        worded = worded.replace(in_shell(slot), in_policy(slot))
    return worded


def _filled(text: str, said: Callable[[str, list[str]], str], word: int) -> str:
    """The text whose slots are filled: those of an argument by `said`, of those in two wordings
    that one. What opens no slot of ours stays as it is.
    """
    first, *rest = text.split(_OPEN)
    parts = [first]
    for piece in rest:
        slot, close, after = piece.partition(_CLOSE)
        key, *values = slot.split(_BETWEEN)
        if not close or not (key in _FLAGS_OF_ALL if key else len(values) == 3):
            parts.append(_OPEN + piece)
        else:
            parts += [said(key, values) if key else values[word], after]
    return "".join(parts)


def _as_option(key: str, values: list[str]) -> str:
    flag = _FLAGS_OF_ALL[key]
    if not values or values[0][1:] in ("True", "False"):
        return flag
    words = [value[1:] for value in values]
    shown = [f"'{word}'" if " " in word or key in _QUOTED else word for word in words]
    if key == "audio_seconds":
        shown = [f"{word}s" for word in shown]
    return f"{flag} {' or '.join(shown)}"


def _as_argument(key: str, values: list[str]) -> str:
    # a GPU's name stands for a machine with it
    name = "machine" if key == "gpu" else key
    return f"{name}={' or '.join(map(_as_literal, values))}" if values else name


def _as_literal(value: str) -> str:
    """As Python writes it."""
    kind, word = value[:1], value[1:]
    if kind == _NUMBER:
        return word
    return repr(word) if '"' in word or "\\" in word else f'"{word}"'


def _as_key(key: str, values: list[str]) -> str:
    if key in _NO_POLICY_KEYS or key not in FLAGS:
        return _as_option(key, values)
    key = _OF_CLASSES.get(key, key)
    shown = [value[1:].lower() if value[:1] == _NUMBER else _as_literal(value) for value in values]
    return f"{key} = {' or '.join(shown)}" if shown else key
