"""What is asked of a model."""

from __future__ import annotations

from . import units
from .errors import (
    InputError,
    Problem,
    SelfhostError,
    WorkloadError,
    WrongTypeError,
    expect_type,
)
from .records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

TASKS = ("generate", "finetune")
FINETUNE_METHODS = ("full", "lora", "qlora")
OPTIMIZERS = ("adamw", "adamw_8bit", "sgd")
# what most published recipes take; peft itself starts from 8
DEFAULT_LORA_RANK = 16
KV_CACHE_TYPES = ("f16", "fp8", "q8_0", "q4_0")
# of these, those that keep each number in 8 bits of its own
NARROW_CACHE_TYPES = ("fp8",)
# what vLLM and SGLang call one of them too
CACHE_TYPE_NAMES = {"fp8_e4m3": "fp8"}
# where the figures of offers come from; no part of what is asked of a model
PRICE_SOURCES = ("snapshot", "genai-prices")
MEMORY_BASES = ("default", "total", "available")
DEFAULT_CONTEXT_TOKENS = 4096
# a 300-word answer in three minutes; 0 switches the wish off
DEFAULT_MIN_TOKENS_PER_SECOND = 2.0
READING_TOKENS_PER_SECOND = 5.0
# 300 English words; the lowest useful speed writes them in three minutes
ANSWER_TOKENS = 360
# of a load whose split is not stated: tokens read for one that is written, the blend of
# artificialanalysis.ai/methodology
INPUT_PER_OUTPUT_TOKEN = 3
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


# the number of each, from the least to the most that it may be
_LOAD_BOUNDS = (
    ("watts", 0.1, 1e6),
    ("electricity_per_kwh", 0.0, 1e6),
    ("hardware_price", 0.0, 1e9),
    ("hardware_life_years", 0.1, 100.0),
    ("currency_per_usd", 1e-6, 1e9),
)


def _is_within(value: object, kinds: type | tuple[type, ...], least: float, most: float) -> bool:
    """Whether it is a number of one of these types, which True and False are not, in that range."""
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    return is_number and least <= value <= most  # type: ignore[operator]


class Load(Record):
    """What a day brings, for the cost of a month: it never changes the route.

    `assumed_split`: only the sum was stated, and three tokens are read for each that is written.
    `watts` is what the computer draws at work, as its owner measured it. `electricity_per_kwh` and
    `hardware_price`, what was paid for the computer, are in the user's own currency.
    `hardware_life_years` is for how long it serves; None takes a stated default.
    `currency_per_usd` is what one US dollar costs in that currency, 1 where it is the dollar; None
    where it was not stated. Raises `WorkloadError` with every fault found.
    """

    input_tokens_per_day: int
    output_tokens_per_day: int
    assumed_split: bool = False
    watts: float | None = None
    electricity_per_kwh: float | None = None
    hardware_price: float | None = None
    hardware_life_years: float | None = None
    currency_per_usd: float | None = None

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        watts: float | None = None,
        electricity_per_kwh: float | None = None,
        hardware_price: float | None = None,
        hardware_life_years: float | None = None,
        currency_per_usd: float | None = None,
    ) -> Load:
        """`2M:500k` is what goes in and what comes out, `200k` both together. `WorkloadError` says
        what is wrong.
        """
        from .quantities import parse_count

        expect_type("text", text, (str,))
        first, split, second = text.partition(":")
        try:
            read, written = parse_count(first), parse_count(second) if split else 0
        except ValueError as error:
            remedy = "2M:500k is two million in and 500,000 out a day"
            problem = Problem(file="workload", key="load", message=str(error), remedy=remedy)
            raise WorkloadError([problem]) from None
        if not split:
            written = read // (INPUT_PER_OUTPUT_TOKEN + 1)
            read -= written
        return cls(
            input_tokens_per_day=read,
            output_tokens_per_day=written,
            assumed_split=not split,
            watts=watts,
            electricity_per_kwh=electricity_per_kwh,
            hardware_price=hardware_price,
            hardware_life_years=hardware_life_years,
            currency_per_usd=currency_per_usd,
        )

    def options(self) -> str:
        """As `Workload.options`."""
        read, written = self.input_tokens_per_day, self.output_tokens_per_day
        text = (
            f" --tokens-per-day {read + written}"
            if self.assumed_split
            else f" --tokens-per-day {read}:{written}"
        )
        for key, _, _ in _LOAD_BOUNDS:
            value = getattr(self, key)
            if value is not None:
                unit = "y" if key == "hardware_life_years" else ""
                text += f" {LOAD_FLAGS[key]} {units.plain(value)}{unit}"
        return text

    def _check(self) -> None:
        problems = [
            (key, f"must be a whole number of tokens from 0 to 10**15, not {_shown(value)}")
            for key in ("input_tokens_per_day", "output_tokens_per_day")
            if not _is_within(value := getattr(self, key), int, 0, 10**15)
        ]
        if not problems and not self.input_tokens_per_day + self.output_tokens_per_day:
            problems.append(("input_tokens_per_day", "must be more than no tokens"))
        problems += [
            (key, f"must be a number from {units.plain(least)} to {most:,.0f}, not {_shown(value)}")
            for key, least, most in _LOAD_BOUNDS
            if (value := getattr(self, key)) is not None
            and not _is_within(value, (int, float), least, most)
        ]
        if self.hardware_life_years is not None and self.hardware_price is None:
            problems.append(
                ("hardware_life_years", "is for the hardware's price, and none is stated")
            )
        if problems:
            raise WorkloadError(
                [Problem(file="workload", key=key, message=message) for key, message in problems]
            )


class Workload(Record):
    """What is asked. None means: what fits the model best, and the answer states what was taken.

    `context_tokens` is per sequence: N `parallel` sequences need N times the cache.
    `min_tokens_per_second` is the lowest useful decode speed: of each of the `parallel` sequences
    where it is stated, of one alone where the default is taken; 0 switches it off.
    `audio_seconds` is the length of one recording that a speech model hears. `reserve_bytes` is the
    memory kept for the system itself. `prompt_tokens` is the length of a prompt whose time to the
    first token is told; without a context it and an answer are the least that is taken.
    `download_bytes_per_second` is the connection's: it decides nothing, and gives the download's
    time. `draft` is a smaller model that proposes tokens (speculative decoding), named as on the
    command line, or `mtp` for the block that the model itself brings; `adapter` a LoRA adapter to
    load: its file, or `rank=16` for one on every linear layer.
    `private`: nothing may leave the machine, so an API is no answer. `license` is an SPDX
    expression that the model's license must meet.

    With the task `finetune`, `parallel` sequences are trained at once, by `finetune_method` with
    adapters of `lora_rank`, the `optimizer` and, with `checkpointing`, one input kept per layer and
    the rest computed again. `dataset_tokens` are those trained on in all, every pass over the
    dataset counted: how long that takes is told.

    `load` asks for the cost of a month beside the answer.

    Raises `WorkloadError` with every fault found.
    """

    task: str = "generate"
    runtime: str | None = None
    format: str | None = None
    quantization: str | None = None
    context_tokens: int | None = None
    parallel: int = 1
    kv_cache_type: str | None = None
    prompt_tokens: int | None = None
    audio_seconds: int | None = None
    draft: str | None = None
    adapter: str | None = None
    min_tokens_per_second: float | None = None
    memory_basis: str = "default"
    reserve_bytes: int | None = None
    download_bytes_per_second: int | None = None
    private: bool = False
    commercial: bool = False
    modify: bool = False
    auditable: bool = False
    license: str | None = None
    finetune_method: str | None = None
    lora_rank: int | None = None
    dataset_tokens: int | None = None
    optimizer: str | None = None
    checkpointing: bool | None = None
    load: Load | None = None

    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            super().__init__(**_with_own_names(values))

    def options(self) -> str:
        """The command line that asks for the same, with a space in front of each option; empty
        where nothing was asked.
        """
        text = ""
        for key, flag in FLAGS.items():
            value = getattr(self, key)
            if value == Workload._defaults[key] or (key == "checkpointing" and value):
                continue
            if isinstance(value, Load):
                text += value.options()
            elif isinstance(value, bool):
                text += f" {flag}"
            else:
                shown = units.plain(value) if isinstance(value, float) else str(value)
                shown += "B/s" if key == "download_bytes_per_second" else ""
                text += f" {flag} '{shown}'" if " " in shown else f" {flag} {shown}"
        return text

    @classmethod
    def _without(cls, names: list[str]) -> TypeError:
        from .spelling import nearest

        near = nearest(names[0], cls._fields)
        meant = f": did you mean {near}?" if near else ""
        return WrongTypeError(f"{super()._without(names)}{meant}")

    @property
    def tokens_with_prompt(self) -> int | None:
        """The context that the prompt and an answer take; None where a context is stated."""
        if self.prompt_tokens is None or self.context_tokens is not None:
            return None
        # what llama.cpp rounds a context up to
        return -(-(self.prompt_tokens + ANSWER_TOKENS) // 256) * 256

    def seconds_to_download(self, size_bytes: int | None) -> float | None:
        """How long that takes at the speed that was stated; None where no speed was, or the
        size is not known.
        """
        pace = self.download_bytes_per_second
        return None if size_bytes is None or pace is None else size_bytes / pace

    def with_finetuning_defaults(self) -> Workload:
        """The same with LoRA, AdamW and checkpointing where nothing else was asked."""
        method = self.finetune_method or "lora"
        return self.replace(
            finetune_method=method,
            lora_rank=None if method == "full" else self.lora_rank or DEFAULT_LORA_RANK,
            optimizer=self.optimizer or "adamw",
            checkpointing=True if self.checkpointing is None else self.checkpointing,
        )

    def _check(self) -> None:
        if problems := _problems(self):
            raise WorkloadError(problems)


def cache_type(text: str) -> str:
    """The type of a KV cache that is typed so: in either case, under another name of one; else the
    text itself.
    """
    name = text.strip().lower()
    name = CACHE_TYPE_NAMES.get(name, name)
    return name if name in KV_CACHE_TYPES else text


def _with_own_names(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a workload; a type of cache under the name that the programs here share."""
    typed = fields.get("kv_cache_type")
    return {**fields, "kv_cache_type": cache_type(typed)} if isinstance(typed, str) else fields


def _problems(workload: Workload) -> list[Problem]:
    return [
        Problem(file="workload", key=key, message=message, remedy=remedy)
        for key, message, remedy in _faults(workload)
    ]


_CHOICES = (
    ("task", TASKS),
    ("memory_basis", MEMORY_BASES),
    ("kv_cache_type", KV_CACHE_TYPES),
    ("finetune_method", FINETUNE_METHODS),
    ("optimizer", OPTIMIZERS),
)
# more than any machine has
MOST_BYTES = 10**18
# the key, the least and the most that it may be
_BOUNDS = (
    ("context_tokens", 1, units.MOST_TOKENS),
    ("parallel", 1, 10**6),
    ("prompt_tokens", 1, units.MOST_TOKENS),
    ("audio_seconds", 1, 10**7),
    ("reserve_bytes", 0, MOST_BYTES),
    ("download_bytes_per_second", 1, 10**15),
    ("lora_rank", 1, 65_536),
    ("dataset_tokens", 1, 10**15),
)
# what cannot be asked of fine-tuning, and why
_NOT_IN_FINETUNING = (
    ("kv_cache_type", ", which keeps no cache"),
    ("draft", ""),
    ("adapter", ""),
    ("audio_seconds", ""),
    ("prompt_tokens", ", which answers none"),
    ("min_tokens_per_second", ", whose pace is not judged"),
)
# the key, what is wrong with it, and what to do instead
_Fault = tuple[str, str, str | None]


def _faults(workload: Workload) -> list[_Fault]:
    of_task = (
        _faults_of_finetuning(workload)
        if isinstance(workload.task, str) and workload.task == "finetune"
        else _faults_outside_finetuning(workload)
    )
    return [
        *_faults_of_choices(workload),
        *_faults_of_numbers(workload),
        *_faults_of_flags(workload),
        *of_task,
        *_faults_of_names(workload),
    ]


def _faults_of_choices(workload: Workload) -> Iterator[_Fault]:
    for key, choices in _CHOICES:
        value = getattr(workload, key)
        if value is None and key not in ("task", "memory_basis"):
            continue
        if not isinstance(value, str) or value not in choices:
            yield key, f"{_shown(value)} is not one of {', '.join(choices)}", None


def _faults_of_numbers(workload: Workload) -> Iterator[_Fault]:
    for key, least, most in _BOUNDS:
        value = getattr(workload, key)
        if value is None and key != "parallel":
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            yield key, f"must be a whole number, not {_shown(value)}", _as_a_number(key, value)
        elif value < least:
            yield key, f"must be at least {least}, not {_shown(value)}", None
        elif value > most:
            yield key, f"must be at most {most:,}, not {_shown(value)}", None
    pace = workload.min_tokens_per_second
    if pace is not None and not (_is_within(pace, (int, float), 0, 1e9) and pace < 1e9):
        yield (
            "min_tokens_per_second",
            f"must be a number from 0 to less than {1e9:,.0f}, not {_shown(pace)}",
            _as_a_float(pace) or "write 0 to accept any speed",
        )


def _shown(value: object) -> str:
    """What was given, as Python writes it, cut where that is long; a number without `.0`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return whole_number(value)
    try:
        is_short = isinstance(value, float) and abs(value) < 1e12
        text = f"{value:,.12g}" if is_short else repr(value)
    except ValueError:
        # Python writes no number of more than 4,300 digits, in a list neither
        return f"this {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:59]}…"


def whole_number(value: int) -> str:
    """With its digits in groups; of a very long one how many digits it has, because Python writes
    no more than 4,300.
    """
    bits = value.bit_length()
    return f"{value:,}" if bits <= 128 else f"one of about {round(bits * 0.30103):,} digits"


def _as_a_float(value: object) -> str | None:
    """What to write for a number of another package, such as numpy's."""
    is_foreign = hasattr(value, "__float__") and not isinstance(value, (int, float))
    return "convert it: float(value)" if is_foreign else None


def _as_a_number(key: str, value: object) -> str | None:
    """What to write for `32k`, `8,192`, `2GiB` or `4.0`; None where no number shows."""
    if hasattr(value, "__index__") and not isinstance(value, bool):
        return "convert it: int(value)"
    if isinstance(value, float) and value.is_integer():
        return f"write {int(value):_}"
    if not isinstance(value, str):
        return None
    from .quantities import parse_bytes, parse_tokens

    parse = parse_bytes if "bytes" in key else parse_tokens
    try:
        return f"write {parse(value):_}"
    except ValueError:
        return None


def _faults_of_flags(workload: Workload) -> Iterator[_Fault]:
    for key in ("private", "commercial", "modify", "auditable", "checkpointing"):
        value = getattr(workload, key)
        if not isinstance(value, bool) and not (key == "checkpointing" and value is None):
            yield key, f"must be True or False, not {_shown(value)}", None


def _faults_outside_finetuning(workload: Workload) -> Iterator[_Fault]:
    for key in ("finetune_method", "lora_rank", "optimizer", "checkpointing", "dataset_tokens"):
        if getattr(workload, key) is not None:
            remedy = "add --task finetune, or leave it out"
            yield key, "applies only to the task finetune", remedy


def _faults_of_finetuning(workload: Workload) -> Iterator[_Fault]:
    for key, why in _NOT_IN_FINETUNING:
        if getattr(workload, key) is not None:
            yield key, f"does not apply to fine-tuning{why}", "leave it out"
    if workload.finetune_method == "full" and workload.lora_rank is not None:
        yield (
            "lora_rank",
            "does not apply to full fine-tuning, which has no adapters",
            "leave it out",
        )


def _faults_of_names(workload: Workload) -> Iterator[_Fault]:
    load: object = workload.load
    if load is not None and not isinstance(load, Load):
        yield "load", f"must be a Load, not {_shown(load)}", "Load.parse('2M:500k')"
    for key in ("runtime", "format", "quantization", "draft", "adapter", "license"):
        value = getattr(workload, key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            yield key, f"must be a name, not {_shown(value)}", None


def as_typed(error: SelfhostError) -> SelfhostError:
    """The error with the faults of a workload under the names of the options that were typed."""
    problems = error.problems if isinstance(error, InputError) else ()
    if not any(problem.file == "workload" for problem in problems):
        return error
    flags = {**FLAGS, **LOAD_FLAGS}
    return WorkloadError(
        problem.replace(file="command line", key=flags.get(problem.key or "", problem.key))
        if problem.file == "workload"
        else problem
        for problem in problems
    )
