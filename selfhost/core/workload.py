"""What is asked of a model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .errors import InputError, SelfhostError, WorkloadError, WrongTypeError, expect_type
from .quoting import shell_word
from .records import Record, read_by
from .tables import Document
from .units import GB, GIB, MB, MIB, parse_count, parse_size, parse_tokens

FINETUNE_METHODS = ("full", "lora", "qlora")
OPTIMIZERS = ("adamw", "adamw_8bit", "sgd")
# what most published recipes take; peft itself starts from 8
DEFAULT_LORA_RANK = 16
KV_CACHE_TYPES = ("f16", "fp8", "q8_0", "q4_0")
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
# more than any machine has
MOST_BYTES = 10**18
# in what a size is typed again: the first that divides it
_TYPED = {"GiB": GIB, "GB": GB, "MiB": MIB, "MB": MB, "B": 1}
# fields that go with one task alone
_ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    "generate": ("kv_cache_type", "prompt_tokens", "audio_seconds", "draft", "runtime_options",
                 "min_tokens_per_second"),
    "finetune": ("finetune_method", "lora_rank", "dataset_tokens", "optimizer", "checkpointing"),
}  # fmt: skip
_option = partial(read_by, default=None)
_TOKENS: Mapping[str, Any] = {"minimum": 1, "maximum": 10**9, "parse": parse_tokens}
_BYTES: Mapping[str, Any] = {"maximum": MOST_BYTES, "parse": parse_size}


class Load(Record):
    """What a day brings, for the cost of a month: it never changes the route.

    `assumed_split`: only the sum was stated, and three tokens are read for each that is written.
    `watts` is what the computer draws at work, as its owner measured it; `electricity_per_kwh` is
    in the user's own currency.
    Raises `WorkloadError` with every fault.
    """

    input_tokens_per_day: int = read_by(name="--tokens-per-day", maximum=10**15)
    output_tokens_per_day: int = read_by(name="--tokens-per-day", maximum=10**15)
    assumed_split: bool = False
    watts: float | None = _option(name="--watts", minimum=0.1, maximum=10**6)
    electricity_per_kwh: float | None = _option(name="--electricity", maximum=10**6)

    @classmethod
    def parse(cls, text: str, **figures: float | None) -> Load:
        """`2M:500k`, in and out, or `200k`, both together. Raises `WorkloadError`."""
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

    def _check(self) -> None:
        stated = _stated_values(self)
        if stated.ok and not self.input_tokens_per_day + self.output_tokens_per_day:
            stated.add(("input_tokens_per_day",), "must be more than no tokens")
        if self.electricity_per_kwh is not None and self.watts is None:
            stated.add(("electricity_per_kwh",), "needs a power", "add --watts with what it draws")
        if not stated.ok:
            raise WorkloadError(stated.problems)


class Workload(Record):
    """What the model is wanted for. None leaves the choice to selfhost: it takes what fits the
    model best, and the answer states what that was.

    Fields with a meaning that their names do not say:
    - `context_tokens`: the context of one user; N `parallel` users need N times the cache.
    - `prompt_tokens`: the length of a prompt, for the time to the first token. Where no context is
      stated, the context holds at least this prompt and an answer.
    - `runtime_options`: values of the runtime's own options, by their names without dashes, such
      as `{"ub": "1024", "no-mmproj": "yes"}`. The runtime's spec lists them under `[option]`.
    - `min_tokens_per_second`: the lowest useful pace for each of the `parallel` users. None is 2
      tokens/s, 0 accepts any pace.
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

    task: str = read_by(name="--task", default="generate", choices=("generate", "finetune"))
    runtime: str | None = _option(name="--runtime")
    format: str | None = None
    quantization: str | None = _option(name="--quant")
    context_tokens: int | None = _option(name="--context", **_TOKENS)
    parallel: int = read_by(name="--parallel", default=1, minimum=1, maximum=10**6)
    kv_cache_type: str | None = _option(name="--kv-cache", choices=KV_CACHE_TYPES)
    prompt_tokens: int | None = _option(name="--prompt", **_TOKENS)
    audio_seconds: int | None = _option(name="--audio", minimum=1, maximum=10**7)
    draft: str | None = _option(name="--draft")
    runtime_options: Mapping[str, str] = read_by(name="--runtime-option", default={})
    min_tokens_per_second: float | None = _option(name="--min-speed", maximum=999_999_999)
    memory_basis: str = read_by(name="--memory", default="default", choices=MEMORY_BASES)
    reserve_bytes: int | None = _option(name="--reserve", **_BYTES)
    download_bytes_per_second: int | None = _option(name="--download-speed", minimum=1, **_BYTES)
    private: bool = read_by(name="--private", default=False)
    commercial: bool = read_by(name="--commercial", default=False)
    modify: bool = read_by(name="--modify", default=False)
    auditable: bool = read_by(name="--auditable", default=False)
    license: str | None = _option(name="--license")
    finetune_method: str | None = _option(name="--method", choices=FINETUNE_METHODS)
    lora_rank: int | None = _option(name="--lora-rank", minimum=1, maximum=65_536)
    dataset_tokens: int | None = _option(name="--dataset-tokens", minimum=1, maximum=10**15)
    optimizer: str | None = _option(name="--optimizer", choices=OPTIMIZERS)
    checkpointing: bool | None = _option(name="--no-checkpointing")
    load: Load | None = _option(name="--tokens-per-day")
    _unknown_field = WrongTypeError

    def options(self) -> str:
        """Return the command line that asks for the same, a space before each option."""
        from decimal import Decimal

        text, stated = "", {key: getattr(self, key) for key in Workload._keys}
        if load := self.load:
            read, written = load.input_tokens_per_day, load.output_tokens_per_day
            stated["load"] = (f"{read}:{written}", f"{read + written}")[load.assumed_split]
            stated |= {"watts": load.watts, "electricity_per_kwh": load.electricity_per_kwh}
        for key, value in stated.items():
            if value == Workload._defaults.get(key) or (key == "checkpointing" and value):
                continue
            shown = [f" {shell_word(str(value))}"]
            if isinstance(value, bool):
                shown = [""]
            elif isinstance(value, float):
                # without an exponent
                shown = [f" {Decimal(str(value)):f}".removesuffix(".0")]
            elif isinstance(value, Mapping):
                shown = [f" {name}={value[name]}" for name in value]
            elif "bytes" in key and value:
                unit = next(unit for unit, step in _TYPED.items() if value % step == 0)
                shown = [f" {value // _TYPED[unit]}{unit}" + "/s" * key.endswith("_per_second")]
            text += "".join(f" {FLAGS[key]}{each}" for each in shown)
        return text

    @property
    def tokens_with_prompt(self) -> int | None:
        """The context that the prompt and an answer take; None where a context is stated."""
        if self.prompt_tokens is None or self.context_tokens is not None:
            return None
        # llama.cpp rounds a context up to these
        return -(-(self.prompt_tokens + ANSWER_TOKENS) // 256) * 256

    def seconds_to_download(self, size_bytes: int | None) -> float | None:
        """How long that takes; None where no speed was stated, or the size is not known."""
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

    @classmethod
    def _completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        typed = values["kv_cache_type"]
        if isinstance(typed, str):
            # before anything compares it: fp8_e4m3 is fp8
            values["kv_cache_type"] = cache_type(typed)
        return values

    def _check(self) -> None:
        expect_type("load", self.load, (Load, type(None)), "write Load.parse('2M:500k')")
        stated, is_tuning = _stated_values(self), self.task == "finetune"
        message, remedy = "applies only to the task finetune", "add --task finetune"
        if is_tuning:
            message, remedy = "does not apply to fine-tuning", "leave it out"
        for field in _ONLY_WITH["generate" if is_tuning else "finetune"]:
            if field in stated.values:
                stated.add((field,), message, remedy)
        if is_tuning and self.finetune_method == "full" and self.lora_rank is not None:
            message = "does not apply to full fine-tuning, which has no adapters"
            stated.add(("lora_rank",), message, remedy)
        if not stated.ok:
            raise WorkloadError(stated.problems)


# what each field of a Workload and of its Load is called on the command line
FLAGS = {field: str(key.name) for kind in (Workload, Load) for field, key in kind._keys.items()}


def cache_type(text: str) -> str:
    """The type of a KV cache that is typed so, in either case; else the text itself."""
    name = text.strip().lower()
    name = CACHE_TYPE_NAMES.get(name, name)
    return name if name in KV_CACHE_TYPES else text


def _stated_values(record: Workload | Load) -> Document:
    """The values that are no defaults, as a file that states them, and what is wrong in it."""
    kind, values = type(record), dict[str, Any]()
    for field, value in record.__getstate__().items():
        default = kind._defaults.get(field, ...)
        # True is no 1
        if type(value) is not type(default) or value != default:
            values[field] = dict(value) if isinstance(value, Mapping) else value
    table = Document("workload", values).root
    for field in (field for field in values if field != "load"):
        limits = kind._keys[field].limits if field in kind._keys else {}
        table.get(field, kind._kinds[field], **limits)
    return table.document


def as_typed(error: SelfhostError, flags: Mapping[str, str | None] = FLAGS) -> SelfhostError:
    """Return the error with the faults of a workload under the names of their options."""
    problems = error.problems if isinstance(error, InputError) else ()
    if not any(problem.file == "workload" for problem in problems):
        return error
    return WorkloadError(
        problem.replace(file="command line", key=flags.get(problem.key or "", problem.key))
        if problem.file == "workload"
        else problem
        for problem in problems
    )
