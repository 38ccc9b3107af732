"""The request to a model: a `Workload`, and a `Load`, which is the demand of one day.

Each field of both with a name in `read_by` or `_option` is also an option of the command line.
Wrong values raise one `WorkloadError` with every fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, partial
from itertools import permutations
from typing import Self

from .errors import (
    InputError,
    SelfhostError,
    WorkloadError,
    WrongTypeError,
    expect_type,
)
from .purposes import WORKLOAD_PURPOSES, purposes_table
from .quoting import shell_word
from .records import PYTHON, Limits, Record, Values, fault_of, read_by
from .synonyms import meant, options_elsewhere
from .tables import Document
from .units import GB, GIB, MB, MIB, parse_count, parse_size, parse_tokens, parse_wait

FINETUNE_METHODS = ("full", "lora", "qlora")
OPTIMIZERS = ("adamw", "adamw_8bit", "sgd")
# the LoRA rank of most published recipes; peft's own default is 8
DEFAULT_LORA_RANK = 16
KV_CACHE_TYPES = ("f16", "fp8", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
# types that programs can set for keys and values separately, as in `q8_0:q4_0`
_PAIRED_TYPES = ("f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
_KV_CACHE_PAIRS = tuple(
    f"{keys}:{values}" for keys, values in permutations(_PAIRED_TYPES, 2)
)
# all values of `--kv-cache`
KV_CACHE_CHOICES = (*KV_CACHE_TYPES, *_KV_CACHE_PAIRS)
# further names of these types in vLLM and SGLang
CACHE_TYPE_NAMES = {"fp8_e4m3": "fp8"}
MEMORY_BASES = ("default", "total", "available")
DEFAULT_CONTEXT_TOKENS = 4096
# writes a 300-word answer in three minutes; 0 means no minimum
DEFAULT_MIN_TOKENS_PER_SECOND = 2.0
READING_TOKENS_PER_SECOND = 5.0
# 300 English words; the lowest useful speed writes them in three minutes
ANSWER_TOKENS = 360
# tokens read for each token written, where the split of a load is not stated: the blend of
# artificialanalysis.ai/methodology
INPUT_PER_OUTPUT_TOKEN = 3
# more than any machine has
MOST_BYTES = 10**18
# the units in which a size is written as an argument: the first that divides the size
_SIZE_UNITS = {"GiB": GIB, "GB": GB, "MiB": MIB, "MB": MB, "B": 1}
# fields that only one task takes
_ONLY_GENERATE = (
    "purpose",
    "kv_cache_type",
    "prompt_tokens",
    "max_wait_seconds",
    "audio_seconds",
    "draft",
    "runtime_options",
    "min_tokens_per_second",
)
# fields that a purpose states unless the user does
_BY_PURPOSE = ("context_tokens", "prompt_tokens", "max_wait_seconds")
_ONLY_FINETUNE = (
    "finetune_method",
    "lora_rank",
    "dataset_tokens",
    "optimizer",
    "checkpointing",
)
_option = partial(read_by, default=None)
MOST_TOKENS = 10**9
_TOKENS: Limits = {"minimum": 1, "maximum": MOST_TOKENS, "parse": parse_tokens}
_BYTES: Limits = {"maximum": MOST_BYTES, "parse": parse_size}


class Load(Record):
    """The tokens of one day, from which the cost of a month is computed. A load never changes the
    route.

    `assumed_split`: only the sum was stated, and three input tokens are assumed for each output
    token. `watts` is the power that the computer draws at work, as its owner measured it;
    `electricity_per_kwh` is in the user's own currency.

    Raises `WorkloadError` with every fault.

    >>> Load(input_tokens_per_day=2_000_000, output_tokens_per_day=500_000).typed
    '2000000:500000'
    """

    input_tokens_per_day: int = read_by(name="--tokens-per-day", maximum=10**15)
    output_tokens_per_day: int = read_by(name="--tokens-per-day", maximum=10**15)
    assumed_split: bool = False
    watts: float | None = _option(name="--watts", minimum=0.1, maximum=10**6)
    electricity_per_kwh: float | None = _option(name="--electricity", maximum=10**6)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        watts: float | None = None,
        electricity_per_kwh: float | None = None,
    ) -> Load:
        """Return the load that a text states: `2M:500k` for input and output, or `200k` for both
        together. Raises `WorkloadError`.

        >>> Load.parse("2M:500k").output_tokens_per_day
        500000
        """
        expect_type("text", text, (str,))
        first, colon, second = text.partition(":")
        try:
            read_tokens = parse_count(first)
            written_tokens = parse_count(second) if colon else 0
        except ValueError as error:
            remedy = "2M:500k is two million in and 500,000 out a day"
            raise WorkloadError.of("load", str(error), remedy) from None
        if not colon:
            written_tokens = read_tokens // (INPUT_PER_OUTPUT_TOKEN + 1)
            read_tokens -= written_tokens
        return cls(
            input_tokens_per_day=read_tokens,
            output_tokens_per_day=written_tokens,
            assumed_split=not colon,
            watts=watts,
            electricity_per_kwh=electricity_per_kwh,
        )

    @property
    def typed(self) -> str:
        """The load as a text that `parse` reads: `2000000:500000`, or the sum where only the sum
        was stated.
        """
        if self.assumed_split:
            return str(self.input_tokens_per_day + self.output_tokens_per_day)
        return f"{self.input_tokens_per_day}:{self.output_tokens_per_day}"

    def _check(self) -> None:
        document = _stated_values(self)
        if document.ok and self.input_tokens_per_day == self.output_tokens_per_day == 0:
            document.add(("input_tokens_per_day",), "must be at least one token")
        if self.electricity_per_kwh is not None and self.watts is None:
            message = "needs the power that the computer draws"
            document.add(("electricity_per_kwh",), message, "add --watts")
        if not document.ok:
            raise error_in_python(WorkloadError(document.problems))


class Workload(Record):
    """The task and the conditions for which a model is judged. A field that is None leaves the
    choice to selfhost: the value that fits the model best is taken, and the answer states it.

    Fields whose names do not say their meaning:

    - `purpose`: `chat`, `agent` or `documents`. The purpose sets the context, the prompt and
      the longest wait where these are None (`specs/common/purposes.toml`).
    - `format`: the format of the files, such as `gguf`. It chooses among runtimes; a format that
      the runtime does not load is an error.
    - `context_tokens`: the context of one user; N `parallel` users need N times the cache.
    - `kv_cache_type`: the type of the KV cache, or KEYS:VALUES, such as `q8_0:q4_0`, for a type
      of the keys and another of the values.
    - `prompt_tokens`: the length of a prompt, for the time to the first token. Where no context
      is stated, the context holds at least this prompt and an answer.
    - `max_wait_seconds`: the longest useful wait for the first token after that prompt.
    - `runtime_options`: values of the runtime's own options, by their names without dashes,
      such as `{"ub": "1024", "no-mmproj": "yes"}`. The runtime's spec lists them under
      `[option]`.
    - `min_tokens_per_second`: the lowest useful pace for each of the `parallel` users. None is
      2 tokens/s, 0 accepts any pace.
    - `audio_seconds`: the length of one recording that a speech model hears.
    - `draft`: a smaller model that proposes tokens (speculative decoding), or `mtp` for the
      model's own multi-token-prediction block. How many at once is an option of the runtime, such
      as `{"num_speculative_tokens": "5"}`.
    - `reserve_bytes`: memory kept for the system itself.
    - `download_bytes_per_second`: the speed of the connection; it decides nothing.
    - `private`: nothing may leave the machine, so an API is no answer.
    - `license`: an SPDX expression that the model's license must meet.
    - `load`: asks for the cost of a month beside the answer.

    With the task `finetune`, `parallel` sequences are trained at once by `finetune_method`, with
    adapters of `lora_rank` and the `optimizer`. With `checkpointing` only one input per layer is
    kept, and the rest is computed again. `dataset_tokens` counts every pass over the dataset.

    Raises `WorkloadError` with every fault.

    >>> workload = Workload(context_tokens=8192, commercial=True)
    >>> check("mistral-7b", workload, machine="macbook air m2 16gb").can_run
    True
    """

    task: str = read_by(
        name="--task", default="generate", choices=("generate", "finetune")
    )
    purpose: str | None = _option(name="--for", choices=WORKLOAD_PURPOSES)
    runtime: str | None = _option(name="--runtime")
    format: str | None = None
    quantization: str | None = _option(name="--quant")
    context_tokens: int | None = _option(name="--context", **_TOKENS)
    parallel: int = read_by(name="--parallel", default=1, minimum=1, maximum=10**6)
    kv_cache_type: str | None = _option(name="--kv-cache", choices=KV_CACHE_CHOICES)
    prompt_tokens: int | None = _option(name="--prompt", **_TOKENS)
    max_wait_seconds: float | None = _option(
        name="--max-wait", minimum=0.001, maximum=10**9
    )
    audio_seconds: int | None = _option(name="--audio", minimum=1, maximum=10**7)
    draft: str | None = _option(name="--draft")
    runtime_options: Mapping[str, str] = read_by(name="--runtime-option", default={})
    min_tokens_per_second: float | None = _option(
        name="--min-speed", maximum=999_999_999
    )
    memory_basis: str = read_by(
        name="--memory", default="default", choices=MEMORY_BASES
    )
    reserve_bytes: int | None = _option(name="--reserve", **_BYTES)
    download_bytes_per_second: int | None = _option(
        name="--download-speed", minimum=1, maximum=MOST_BYTES, parse=parse_size
    )
    private: bool = read_by(name="--private", default=False)
    commercial: bool = read_by(name="--commercial", default=False)
    modify: bool = read_by(name="--modify", default=False)
    auditable: bool = read_by(name="--auditable", default=False)
    license: str | None = _option(name="--license")
    finetune_method: str | None = _option(name="--method", choices=FINETUNE_METHODS)
    lora_rank: int | None = _option(name="--lora-rank", minimum=1, maximum=65_536)
    dataset_tokens: int | None = _option(
        name="--dataset-tokens", minimum=1, maximum=10**15
    )
    optimizer: str | None = _option(name="--optimizer", choices=OPTIMIZERS)
    checkpointing: bool | None = _option(name="--no-checkpointing")
    load: Load | None = _option(name="--tokens-per-day")
    _unknown_field = WrongTypeError

    def replace(self, **changes: object) -> Self:
        """Return a copy with some fields changed. Another purpose brings its own context, prompt
        and longest wait, in place of those that the purpose before it brought. A stated value that
        equals what the purpose before brought is replaced, too (`states`).
        """
        if changes.get("purpose", self.purpose) != self.purpose:
            for field in _BY_PURPOSE:
                if not self.states(field):
                    changes.setdefault(field, None)
        return super().replace(**changes)

    def with_known(self, **changes: object) -> Self:
        """Return a copy with values that the program found. They need no check, and neither do the
        others again.
        """
        copy = type(self).__new__(type(self))
        values = self._frozen({**self.__getstate__(), **changes})
        object.__setattr__(copy, "__dict__", values)
        return copy

    def options(self) -> str:
        """Return the command line that asks for the same, a space before each option.

        >>> Workload(purpose="agent", private=True).options()
        ' --for agent --private'
        """
        options = []
        for field in Workload._keys:
            if self.states(field):
                options += _typed_options(field, getattr(self, field))
        if self.load is not None:
            for field in ("watts", "electricity_per_kwh"):
                value = getattr(self.load, field)
                if value is not None:
                    options += _typed_options(field, value)
        return "".join(f" {option}" for option in options)

    def states(self, field: str) -> bool:
        """Whether the field's value differs from its default and from the value of the purpose. A
        stated value that equals one of them does not count as stated.
        """
        value = getattr(self, field)
        return value not in (Workload._defaults.get(field), self._by_purpose(field))

    def _by_purpose(self, field: str) -> object:
        """The value that the purpose states for that field; None where it states none."""
        if self.purpose is None or field not in _BY_PURPOSE:
            return None
        return getattr(purposes_table().purpose[self.purpose], field)

    @property
    def wanted_use(self) -> str | None:
        """The use that a model must have for the purpose, as its spec names it; None where the
        purpose asks for none.
        """
        if self.purpose is None:
            return None
        return purposes_table().purpose[self.purpose].use

    @property
    def needed_pace(self) -> float:
        """The tokens per second that each user needs; 0 where no pace is stated."""
        return self.min_tokens_per_second or 0

    @property
    def tokens_with_prompt(self) -> int | None:
        """The context that the prompt and an answer take; None where a context is stated, or no
        prompt.
        """
        if self.prompt_tokens is None or self.context_tokens is not None:
            return None
        tokens = self.prompt_tokens + ANSWER_TOKENS
        # llama.cpp rounds a context up to a multiple of 256
        return min(-(-tokens // 256) * 256, MOST_TOKENS)

    @property
    def request_tokens(self) -> int | None:
        """The tokens of a request as stated, with its answer; None where no prompt is stated, and
        where they fill the context.
        """
        if self.prompt_tokens is None:
            return None
        if self.context_tokens is None:
            return None
        tokens = self.prompt_tokens + ANSWER_TOKENS
        if tokens >= self.context_tokens:
            return None
        return tokens

    def seconds_to_download(self, size_bytes: int | None) -> float | None:
        """The seconds that a download of `size_bytes` takes; None where no speed was stated, or the
        size is not known.
        """
        if size_bytes is None or self.download_bytes_per_second is None:
            return None
        return size_bytes / self.download_bytes_per_second

    def with_finetuning_defaults(self) -> Workload:
        """The workload with LoRA, AdamW and checkpointing where the user asked for nothing else."""
        method = self.finetune_method or "lora"
        rank = None
        if method != "full":
            rank = self.lora_rank or DEFAULT_LORA_RANK
        return self.replace(
            finetune_method=method,
            lora_rank=rank,
            optimizer=self.optimizer or "adamw",
            checkpointing=self.checkpointing is not False,
        )

    @classmethod
    def _completed(cls, values: Values) -> Values:
        typed = values["kv_cache_type"]
        if isinstance(typed, str):
            # converted before any comparison: fp8_e4m3 is fp8
            values["kv_cache_type"] = cache_type(typed)
        # fine-tuning refuses a purpose, and must not refuse values that nobody stated
        if values["purpose"] in WORKLOAD_PURPOSES and values["task"] != "finetune":
            purpose = purposes_table().purpose[values["purpose"]]
            for field in _BY_PURPOSE:
                if values[field] is None:
                    values[field] = getattr(purpose, field)
        return values

    def _check(self) -> None:
        remedy = "write Load.parse('2M:500k')"
        expect_type("load", self.load, (Load, type(None)), remedy)
        document = _stated_values(self)
        if self.task == "finetune":
            self._note_faults_of_finetuning(document)
        else:
            if self.max_wait_seconds is not None and self.prompt_tokens is None:
                document.add(
                    ("max_wait_seconds",),
                    "needs the length of a prompt",
                    "add --prompt 2000, or --for agent",
                )
            for field in _ONLY_FINETUNE:
                if field in document.values:
                    message = "applies only to the task finetune"
                    document.add((field,), message, "add --task finetune")
        if not document.ok:
            raise error_in_python(WorkloadError(document.problems))

    def _note_faults_of_finetuning(self, document: Document) -> None:
        """Note the fields of the document that make no sense for fine-tuning as faults."""
        for field in _ONLY_GENERATE:
            if field in document.values:
                message = "does not apply to fine-tuning"
                document.add((field,), message, "leave it out")
        if self.finetune_method == "full" and self.lora_rank is not None:
            message = "does not apply to full fine-tuning, which has no adapters"
            document.add(("lora_rank",), message, "leave it out")


# the command-line option of each field of a Workload and of its Load
FLAGS: Mapping[str, str] = {
    field: str(key.name)
    for kind in (Workload, Load)
    for field, key in kind._keys.items()
}


def _typed_options(field: str, value: object) -> list[str]:
    """A field as options of a command line, each with its value. `--no-checkpointing` is typed
    where there is none.
    """
    flag = FLAGS[field]
    if value is True and field == "checkpointing":
        return []
    if isinstance(value, bool):
        return [flag]
    if isinstance(value, Mapping):
        return [f"{flag} {name}={inner}" for name, inner in value.items()]
    return [f"{flag} {_typed_value(field, value)}"]


def _typed_value(field: str, value: object) -> str:
    if isinstance(value, Load):
        return value.typed
    if field == "max_wait_seconds":
        return f"{_without_exponent(value)}s"
    if isinstance(value, float):
        return _without_exponent(value)
    if isinstance(value, int) and field.endswith("_bytes"):
        return _typed_size(value)
    if isinstance(value, int) and field.endswith("_bytes_per_second"):
        return f"{_typed_size(value)}/s"
    return shell_word(str(value))


def _without_exponent(number: object) -> str:
    """`2`, `0.0000036`: every digit of the number, and no exponent, which no option reads."""
    from decimal import Decimal

    return f"{Decimal(str(number)):f}".removesuffix(".0")


def _typed_size(size_bytes: int) -> str:
    """`16GiB`, `500MB`: in the largest unit of which there is a whole number; `0`."""
    for unit, unit_bytes in _SIZE_UNITS.items():
        if size_bytes > 0 and size_bytes % unit_bytes == 0:
            return f"{size_bytes // unit_bytes}{unit}"
    return str(size_bytes)


class CacheTypes(Record):
    """The type of the keys and the type of the values in a KV cache."""

    keys: str
    values: str

    @classmethod
    @cache
    def of(cls, kv_cache_type: str) -> CacheTypes:
        """The two types that a `--kv-cache` value names: equal for `q8_0`, different for
        `q8_0:q4_0`.
        """
        keys, _, values = kv_cache_type.partition(":")
        return cls(keys=keys, values=values or keys)

    @property
    def differ(self) -> bool:
        """Whether keys and values have a type each."""
        return self.keys != self.values


def cache_type(text: str) -> str:
    """The type of a KV cache that is typed so, in either case: `q8_0`, or `q8_0:q4_0` where keys
    and values differ; else the text itself.
    """
    keys, colon, values = text.partition(":")
    name = _canonical_cache_type(keys)
    values_name = _canonical_cache_type(values)
    # two equal types have one name
    if colon and values_name != name:
        name = f"{name}:{values_name}"
    return name if name in KV_CACHE_CHOICES else text


def _canonical_cache_type(text: str) -> str:
    name = text.strip().lower()
    return CACHE_TYPE_NAMES.get(name, name)


# a sentinel that equals no value
_NO_DEFAULT = object()


def _stated_values(record: Workload | Load) -> Document:
    """The values that are not defaults, as a document, with the faults of these values."""
    kind = type(record)
    values = {}
    defaults = kind._defaults
    for field, value in record.__getstate__().items():
        default = defaults.get(field, _NO_DEFAULT)
        # the types are compared too: True equals 1
        if type(value) is type(default) and value == default:
            continue
        values[field] = value
        if field in kind._mappings and isinstance(value, Mapping):
            values[field] = dict(value)
    document = Document("workload", values, notation=PYTHON)
    for field, stated in values.items():
        # a `Load` has checked its own values
        if field == "load":
            continue
        limits = kind._keys[field].limits if field in kind._keys else {}
        document.root.get(field, kind._annotations[field], **limits)
        if field in kind._mappings and isinstance(stated, dict):
            _note_wrong_names(document, field, stated)
    return document


def _note_wrong_names(
    document: Document,
    field: str,
    values: Mapping[object, object],
) -> None:
    """Note each name in a mapping that is no text. Only Python can state one: a file cannot."""
    for name in values:
        fault = fault_of(name, str)
        if fault is not None:
            document.root.problem(field, f"each name {fault.message}", fault.remedy)


def as_typed(
    error: SelfhostError, flags: Mapping[str, str | None] = FLAGS
) -> SelfhostError:
    """Return the error with the faults of a workload under the names of their options."""
    problems = error.problems if isinstance(error, InputError) else ()
    typed = []
    for problem in problems:
        if problem.file != "workload":
            typed.append(problem)
            continue
        flag = None
        if problem.key is not None:
            # `runtime_options.ts` names one value of a mapping
            field, _, name = problem.key.partition(".")
            flag = flags.get(field, field)
            if flag and name:
                flag = f"{flag} {name}"
        typed.append(problem.replace(file="command line", key=flag))
    if typed == list(problems):
        return error
    return WorkloadError(typed)


# the Python arguments for options that are no field of a Workload
_OTHER_KEYWORDS = {
    "--machine": "machine",
    "--gpu": "gpu",
    "--link": "link",
    "--split": "split",
    "--specs": "specs",
    "--users": "parallel",
    "--measure": "machine=Machine.read(measure=True)",
    "--no-checkpointing": "checkpointing=False",
}
# the Python arguments among these whose value is a text
_OTHER_TEXTS = ("machine", "gpu", "link", "split")
# words of a sentence that may follow an option named without a value
_PROSE = frozenset(
    (
        "to",
        "or",
        "and",
        "for",
        "is",
        "has",
        "have",
        "in",
        "on",
        "out",
        "with",
        "when",
        "states",
        "takes",
    )
)
# A command or a quoted text, which stays unchanged; or an option, with or without a value, and with
# other values for it, as in `--runtime vllm or mlx`.
_COMMAND_OR_OPTION = (
    r"`(?!--)[^`]*`"
    r'|"[^"]*"'
    r"|selfhost (?:check|list|show|compare|plan|size|verify|machine|audit|spec)\b"
    r"(?: [^\s;,()]+)*"
    r"|(?<![\w-])(?P<flag>--[a-z][a-z-]*)"
    r"(?P<rest>[ =](?P<value>'[^']*'|\"[^\"]*\"|(?!-)[^\s,;()`]+)"
    r"(?P<others>(?: or (?!-)[^\s,;()`]+)*))?"
)
# an option without a Python keyword, followed by an alternative that has one
_OR_ANOTHER = r"--set \S+ or (?=--(?:gpu|machine)\b)"
# an argument that another one follows: a comma goes between
_ARGUMENT = r"(?<==)(\S+) (?=[a-z_]+=)"


def in_python(text: str) -> str:
    """Return the sentence with keywords where it has options; commands to type stay.

    Reasons and remedies are written for the command line, and JSON has them so. What Python shows
    to a person names keywords.

    >>> in_python("add --prompt 2000, or --for agent")
    'add prompt_tokens=2000, or purpose="agent"'
    >>> in_python("use --runtime vllm or mlx")
    'use runtime="vllm" or "mlx"'
    >>> in_python("leave out --runtime to use one that loads it")
    'leave out runtime to use one that loads it'
    """
    if "--" not in text:
        return text
    told = re.sub(_OR_ANOTHER, "", text)
    told = re.sub(_COMMAND_OR_OPTION, _in_python, told)
    return re.sub(_ARGUMENT, r"\1, ", told)


def _in_python(found: re.Match[str]) -> str:
    """A command or a text in quotes as it is, an option as the keyword with its value."""
    flag = found["flag"]
    keyword = _keyword_of(flag) if flag else None
    if keyword is None:
        return found[0]
    if found["value"] is None:
        return keyword
    words = found["value"] + found["others"]
    values = words.rstrip(".:")
    end = words[len(values) :]
    first, *others = values.split(" or ")
    written = _python_value(keyword, first)
    if written is None:
        return f"{keyword}{found['rest']}"
    told = [f"{keyword}={written}"]
    for other in others:
        # a word that is no value, such as `less`, stays
        told.append(_python_value(keyword, other) or other)
    return " or ".join(told) + end


def field_meant(word: str) -> str | None:
    """The field that a word means: its own name, that of its option, or another program's word for
    either, as `for_`, `max-wait`, `users` or `num_ctx`. None where it means none.

    >>> field_meant("kv_cache"), field_meant("--context-tokens"), field_meant("num_ctx")
    ('kv_cache_type', 'context_tokens', 'context_tokens')
    """
    option = word.strip("-_").replace("_", "-")
    field = option.replace("-", "_")
    if field in Workload._keys:
        return field
    fields = {}
    for known in (*FLAGS.values(), "--users"):
        keyword = _keyword_of(known)
        if keyword in Workload._keys:
            fields[known.removeprefix("--")] = keyword
    if option not in fields:
        option = meant(option, options_elsewhere(), fields) or option
    return fields.get(option)


def _keyword_of(flag: str) -> str | None:
    """The keyword of an option; None where Python has none."""
    if flag in _OTHER_KEYWORDS:
        return _OTHER_KEYWORDS[flag]
    for field, named in FLAGS.items():
        if named == flag:
            return field
    return None


def _python_value(keyword: str, typed: str) -> str | None:
    """The value as Python writes it; None where the word behind the option is none of its values.

    A number is written in the unit of its keyword: `8k` tokens are 8192, `30s` are 30.
    """
    kind = Workload._annotations.get(keyword, "str" if keyword in _OTHER_TEXTS else "")
    if kind.startswith(("int", "float")):
        return _python_number(keyword, typed)
    if kind.startswith("Mapping"):
        name, equals, value = typed.partition("=")
        return f'{{"{name}": "{value}"}}' if equals else None
    text = typed.strip("'\"")
    if text in _PROSE:
        return None
    if kind.startswith("Load"):
        return f'Load.parse("{text}")'
    return f'"{text}"' if kind.startswith("str") else None


def _python_number(keyword: str, typed: str) -> str | None:
    """A number without its unit; None where the word is no number."""
    parse = Workload._keys[keyword].limits.get("parse", _plain_number)
    try:
        return str(parse(typed))
    except ValueError:
        return None


def _plain_number(typed: str) -> str:
    """The digits of a number, of a time in seconds: `40m` is 2400. Raises `ValueError` for another
    text.
    """
    if typed[-1:] in ("s", "m", "h"):
        return f"{parse_wait(typed):g}"
    float(typed)
    return typed


def error_in_python(error: WorkloadError) -> WorkloadError:
    """The same error, changed so that its text names keywords. Its problems still name options."""
    error.args = (in_python(error.message),)
    return error
