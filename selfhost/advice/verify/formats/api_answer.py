"""Answers over HTTP, whole or as streams, as `curl` prints them or a program saved them: a row of a
table for each server, with the paths of its keys.

Ollama's /api/generate and /api/chat (its docs/api.md), llama-server's (tools/server/README.md,
`timings`) and LM Studio's /api/v0 and /api/v1 (lmstudio-ai/docs@c6854fba: 1_developer/2_rest).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ....catalogue.quantization_names import MLX_QUANTIZATIONS
from ....core.records import Record
from ..run import Run, Timed, paces_of
from .words import MOST_VALUES, json_values, quantization, whole

MARKS = ('"eval_duration"', '"timings"', '"tokens_per_second"', '"tokensPerSecond"')
# `model_info.format` of LM Studio, and the runtime that loads it
_RUNTIMES = {"gguf": "llama.cpp", "mlx": "mlx", "safetensors": "mlx"}
_NAMES = ("model", "model_instance_id", "modelIdentifier")
# what llama-server called any model before it told which
_NO_NAME = "gpt-3.5-turbo"
_MOST_PACE = 1e12
# ten days
_MOST_SECONDS = 864_000
_Fields = Mapping[str, object]
_Paths = tuple[str, ...]


class _Api(Record):
    """Paths of keys of an answer, of which the first that is there counts: tokens of the prompt and
    those `written`, the time of each with so many units `per_second`, or the `rate` of writing;
    `held`: tokens of the prompt that the cache held back, where it tells them. `sign` is what tells
    its answers from others.
    """

    tool: str
    runtime: str = "llama.cpp"
    sign: _Paths
    prompt: _Paths
    prompt_time: _Paths = ()
    written: _Paths
    written_time: _Paths = ()
    per_second: float = 1.0
    rate: _Paths = ()
    held: _Paths = ()
    drafts: _Paths = ()
    # of later prompts it counts what its cache held back, too
    counts_first_prompt: bool = False


_APIS = (
    # ollama/ollama#10860: prompts of a chat
    _Api(
        tool="Ollama API",
        runtime="ollama",
        sign=("eval_duration",),
        prompt=("prompt_eval_count",),
        prompt_time=("prompt_eval_duration",),
        written=("eval_count",),
        written_time=("eval_duration",),
        per_second=1e9,
        counts_first_prompt=True,
    ),
    # builds of 2025 and before do not tell what the cache held back
    _Api(
        tool="llama-server API",
        sign=("timings.predicted_ms", "timings.prompt_ms"),
        prompt=("timings.prompt_n",),
        prompt_time=("timings.prompt_ms",),
        written=("timings.predicted_n",),
        written_time=("timings.predicted_ms",),
        per_second=1e3,
        held=("timings.cache_n",),
        drafts=("timings.draft_n",),
    ),
    # the time to the first token is no pace of a prompt: a queue and a cache are in it
    _Api(
        tool="LM Studio",
        sign=("stats.tokens_per_second", "stats.tokensPerSecond"),
        prompt=("stats.input_tokens", "usage.prompt_tokens", "stats.promptTokensCount"),
        written=(
            "stats.total_output_tokens",
            "usage.completion_tokens",
            "stats.predictedTokensCount",
        ),
        rate=("stats.tokens_per_second", "stats.tokensPerSecond"),
        drafts=(
            "stats.draft_model",
            "stats.total_draft_tokens_count",
            "stats.usedDraftModelKey",
            "stats.totalDraftTokensCount",
        ),
    ),
)


def read(text: str) -> Run | None:
    """The answers of the model that answered last, together; None where there is none."""
    answers = list(_answers(text))
    for api in _APIS:
        own = [answer for answer in answers if _value(answer, api.sign)]
        if own:
            return _run(api, own)
    return None


def _answers(text: str) -> Iterator[_Fields]:
    """The objects of one JSON text, or of its lines; `data:` stands before those of a stream."""
    answers = json_values(text, MARKS)
    if len(answers) == 1 and isinstance(answers[0], dict):
        # a chat that was saved in llama-server's own page
        chat = answers[0].get("messages")
        answers = chat[:MOST_VALUES] if isinstance(chat, list) else answers
    for answer in answers:
        if isinstance(answer, dict):
            # the last event of a stream, and an event of a log
            inner = answer.get("result") or answer.get("data")
            yield inner if isinstance(inner, dict) else answer


def _run(api: _Api, answers: list[_Fields]) -> Run:
    last = answers[-1]
    name = _value(last, _NAMES)
    same = [answer for answer in answers if _value(answer, _NAMES) == name]
    runtime, type = api.runtime, str(_value(last, ("model_info.quant",)))
    notes = []
    if len(answers) > len(same):
        notes.append(f"Answers of other models are left out: {len(answers) - len(same):,}.")
    if api.rate:
        engine = _RUNTIMES.get(str(_value(last, ("model_info.format",))))
        runtime = engine or runtime
        if engine is None:
            notes.append(
                "The run does not tell which engine of LM Studio answered: predicted is llama.cpp."
            )
    architecture = _value(last, ("model_info.arch",))
    name = name if isinstance(name, str) and name != _NO_NAME else None
    return Run(
        tool=api.tool,
        runtime=runtime,
        # without another name llama-server says which file it loaded
        file=name if name is not None and name.lower().endswith(".gguf") else None,
        name=name,
        architecture=architecture if isinstance(architecture, str) else None,
        quantization=type if type in MLX_QUANTIZATIONS else quantization(type),
        paces=paces_of(
            [each for number, answer in enumerate(same) for each in _timed(api, answer, number)],
            drafted=any(_value(answer, api.drafts) for answer in same),
        ),
        notes=tuple(notes),
    )


def _timed(api: _Api, answer: _Fields, number: int) -> Iterator[Timed]:
    """What reading and writing the answer of that number took."""
    prompt, held = (whole(str(_value(answer, paths))) for paths in (api.prompt, api.held))
    seconds = _seconds(api, answer, api.prompt_time)
    if prompt is not None and seconds is not None and not (number and api.counts_first_prompt):
        yield Timed(kind="prompt", tokens=prompt, seconds=seconds, depth_tokens=held or 0)
    tokens, seconds = whole(str(_value(answer, api.written))), None
    if api.rate:
        rate, tokens = _number(_value(answer, api.rate)), tokens or 1
        seconds = tokens / rate if rate is not None and rate < _MOST_PACE else None
    else:
        seconds = _seconds(api, answer, api.written_time)
    if tokens is not None and seconds is not None:
        depth = None
        if prompt is not None and (held is not None or not api.held):
            depth = (held or 0) + prompt + tokens // 2
        yield Timed(kind="decode", tokens=tokens, seconds=seconds, depth_tokens=depth)


def _seconds(api: _Api, answer: _Fields, paths: _Paths) -> float | None:
    taken = _number(_value(answer, paths))
    is_time = taken is not None and taken < _MOST_SECONDS * api.per_second
    return taken / api.per_second if taken is not None and is_time else None


def _number(value: object) -> float | None:
    """A number above 0; None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and value > 0 else None  # type: ignore[operator, arg-type]


def _value(answer: _Fields, paths: _Paths) -> object:
    """What stands at the first of the paths that holds something but "" and null; else None."""
    for path in paths:
        value: object = answer
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and value != "":
            return value
    return None
