"""What is asked of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import units
from .errors import InputError, Problem, SelfhostError, WorkloadError, WrongTypeError, expect_type
from .quantities import parse_bytes, parse_count, parse_tokens
from .records import Record
from .values import Fault, integer_fault, kind_fault, kind_of, number_fault, text_fault

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
    "runtime_options": "--runtime-option",
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
}
# more than any machine has
MOST_BYTES = 10**18
_CHOICES = {
    "task": TASKS,
    "memory_basis": MEMORY_BASES,
    "kv_cache_type": KV_CACHE_TYPES,
    "finetune_method": FINETUNE_METHODS,
    "optimizer": OPTIMIZERS,
}
# numbers of a Workload and a Load, from the least to the most
_RANGES: dict[str, tuple[float, float]] = {
    "context_tokens": (1, units.MOST_TOKENS),
    "parallel": (1, 10**6),
    "prompt_tokens": (1, units.MOST_TOKENS),
    "audio_seconds": (1, 10**7),
    "min_tokens_per_second": (0.0, 999_999_999.0),
    "reserve_bytes": (0, MOST_BYTES),
    "download_bytes_per_second": (1, 10**15),
    "lora_rank": (1, 65_536),
    "dataset_tokens": (1, 10**15),
    "input_tokens_per_day": (0, 10**15),
    "output_tokens_per_day": (0, 10**15),
    "watts": (0.1, 1e6),
    "electricity_per_kwh": (0.0, 1e6),
}
_OF_FINETUNING = ("finetune_method", "lora_rank", "optimizer", "checkpointing", "dataset_tokens")
_NOT_IN_FINETUNING = (
    "kv_cache_type", "draft", "runtime_options", "audio_seconds", "prompt_tokens",
    "min_tokens_per_second",
)  # fmt: skip


class Load(Record):
    """What a day brings, for the cost of a month: it never changes the route.

    `assumed_split`: only the sum was stated, and three tokens are read for each that is written.
    `watts` is what the computer draws at work, as its owner measured it; `electricity_per_kwh` is
    in the user's own currency.
    Raises `WorkloadError` with every fault.
    """

    input_tokens_per_day: int
    output_tokens_per_day: int
    assumed_split: bool = False
    watts: float | None = None
    electricity_per_kwh: float | None = None

    @classmethod
    def parse(cls, text: str, **figures: float | None) -> Load:
        """Read `2M:500k`, what goes in and what comes out, or `200k`, both together. `figures` are
        the other fields. Raises `WorkloadError`.
        """
        expect_type("text", text, (str,))
        first, split, second = text.partition(":")
        try:
            read, written = parse_count(first), parse_count(second) if split else 0
        except ValueError as error:
            remedy = "2M:500k is two million in and 500,000 out a day"
            raise WorkloadError.of("load", str(error), remedy) from None
        if not split:
            written = read // (INPUT_PER_OUTPUT_TOKEN + 1)
            read -= written
        fields: dict[str, Any] = {**figures, "assumed_split": not split}
        return cls(input_tokens_per_day=read, output_tokens_per_day=written, **fields)

    def options(self) -> str:
        """Return the command line that states the same, as `Workload.options`."""
        read, written = self.input_tokens_per_day, self.output_tokens_per_day
        tokens = f"{read + written}" if self.assumed_split else f"{read}:{written}"
        text = f" --tokens-per-day {tokens}"
        for key in ("watts", "electricity_per_kwh"):
            if (value := getattr(self, key)) is not None:
                text += f" {LOAD_FLAGS[key]} {units.plain(value)}"
        return text

    def _check(self) -> None:
        faults = [*_value_faults(self)]
        if not faults and not self.input_tokens_per_day + self.output_tokens_per_day:
            faults = [_problem("input_tokens_per_day", "must be more than no tokens", None)]
        if faults:
            raise WorkloadError(faults)


class Workload(Record):
    """What is asked. None means: what fits the model best, and the answer states what was taken.

    Fields with a meaning that their names do not say:
    - `context_tokens`: of one sequence; N `parallel` sequences need N times the cache.
    - `prompt_tokens`: a prompt whose time to the first token is estimated; without a context it and
      an answer are the least that is taken.
    - `runtime_options`: what options of the runtime are set to, by their names without dashes, as
      `{"ub": "1024", "no-mmproj": "yes"}`: those of `[option]` in its file.
    - `min_tokens_per_second`: the lowest useful decode speed, of each of the `parallel` sequences
      where it is stated, of one alone where the default is taken; 0 switches it off.
    - `audio_seconds`: the length of one recording that a speech model hears.
    - `draft`: a smaller model that proposes tokens (speculative decoding), or `mtp` for the block
      that the model itself brings.
    - `reserve_bytes`: memory kept for the system itself.
    - `download_bytes_per_second`: of the connection; it decides nothing.
    - `private`: nothing may leave the machine, so an API is no answer.
    - `license`: an SPDX expression that the model's license must meet.
    - `load`: asks for the cost of a month beside the answer.

    With the task `finetune`, `parallel` sequences are trained at once, by `finetune_method` with
    adapters of `lora_rank`, the `optimizer` and, with `checkpointing`, one input kept per layer and
    the rest computed again. `dataset_tokens` counts every pass over the dataset.

    Raises `WorkloadError` with every fault.
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
    runtime_options: Mapping[str, str] = {}
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
    _unknown_field = WrongTypeError

    def options(self) -> str:
        """Return the command line that asks for the same, with a space in front of each option;
        empty where nothing was asked.
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
            elif isinstance(value, Mapping):
                text += "".join(f" {flag} {name}={value[name]}" for name in value)
            else:
                shown = units.plain(value) if isinstance(value, float) else str(value)
                shown += "B/s" if key == "download_bytes_per_second" else ""
                text += f" {flag} '{shown}'" if " " in shown else f" {flag} {shown}"
        return text

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
        # before anything compares it: fp8_e4m3 is fp8
        if isinstance(self.kv_cache_type, str):
            self.__dict__["kv_cache_type"] = cache_type(self.kv_cache_type)
        faults = [*_value_faults(self), *_task_faults(self)]
        load: object = self.load
        if load is not None and not isinstance(load, Load):
            message = f"must be a Load, not {kind_of(load)}"
            faults.append(_problem("load", message, "Load.parse('2M:500k')"))
        if faults:
            raise WorkloadError(faults)


def cache_type(text: str) -> str:
    """Return the type of a KV cache that is typed so: in either case, under another name of one;
    else the text itself.
    """
    name = text.strip().lower()
    name = CACHE_TYPE_NAMES.get(name, name)
    return name if name in KV_CACHE_TYPES else text


def _problem(key: str, message: str, remedy: str | None) -> Problem:
    return Problem(file="workload", key=key, message=message, remedy=remedy)


def _value_faults(record: Workload | Load) -> Iterator[Problem]:
    kind = type(record)
    for key in kind._fields:
        value = getattr(record, key)
        is_default = key in kind._defaults and value is kind._defaults[key]
        fault = None if is_default else _fault(key, kind._kinds[key], value)
        if fault is not None:
            yield _problem(key, *fault)


def _fault(key: str, kind: str, value: Any) -> Fault | None:
    if kind.startswith("bool"):
        return kind_fault(value, bool)
    if key == "runtime_options":
        pairs = value.items() if isinstance(value, Mapping) else [(None, value)]
        is_text = all(isinstance(each, str) for pair in pairs for each in pair)
        return None if is_text else ("must be texts by name", 'as {"ub": "1024"}')
    if kind.startswith("str"):
        return text_fault(value, _CHOICES.get(key, ()))
    if key not in _RANGES:
        return None
    if kind.startswith("float"):
        return number_fault(value, *_RANGES[key])
    least, most = map(int, _RANGES[key])
    fault = integer_fault(value, least, most)
    if fault is None or not isinstance(value, str):
        return fault
    try:
        # `32k`, `2GiB`
        number = (parse_bytes if "bytes" in key else parse_tokens)(value)
        return fault[0], f"write {number:_}"
    except ValueError:
        return fault


def _task_faults(workload: Workload) -> Iterator[Problem]:
    """What cannot be asked of this task."""
    if workload.task != "finetune":
        for key in _OF_FINETUNING:
            if getattr(workload, key) is not None:
                remedy = "add --task finetune, or leave it out"
                yield _problem(key, "applies only to the task finetune", remedy)
        return
    for key in _NOT_IN_FINETUNING:
        if getattr(workload, key) != Workload._defaults[key]:
            yield _problem(key, "does not apply to fine-tuning", "leave it out")
    if workload.finetune_method == "full" and workload.lora_rank is not None:
        message = "does not apply to full fine-tuning, which has no adapters"
        yield _problem("lora_rank", message, "leave it out")


def as_typed(error: SelfhostError) -> SelfhostError:
    """Return the error with the faults of a workload under the names of their options."""
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
