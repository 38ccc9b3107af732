"""Answers over HTTP, whole or as streams, as `curl` prints them or a program saved them: Ollama's
/api/generate and /api/chat (its docs/api.md), llama-server's (tools/server/README.md, `timings`)
and LM Studio's /api/v0 and /api/v1 (lmstudio-ai/docs@c6854fba: 1_developer/2_rest).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ....catalogue.quantization_names import MLX_QUANTIZATIONS
from ..run import Run, Timed, paces_of
from .words import json_values, quantization, whole

MARKS = ('"eval_duration"', '"timings"', '"tokens_per_second"', '"tokensPerSecond"')
# of tokens and time; and how many units of time are a second
_OLLAMA = {
    "prompt": ("prompt_eval_count", "prompt_eval_duration", 1e9),
    "decode": ("eval_count", "eval_duration", 1e9),
}
_SERVER = {"prompt": ("prompt_n", "prompt_ms", 1e3), "decode": ("predicted_n", "predicted_ms", 1e3)}
# what LM Studio calls each over HTTP, and in the SDK
_RATE = ("tokens_per_second", "tokensPerSecond")
_PROMPT = ("input_tokens", "prompt_tokens", "promptTokensCount")
_WRITTEN = ("total_output_tokens", "completion_tokens", "predictedTokensCount")
_DRAFTED = ("draft_model", "total_draft_tokens_count", "usedDraftModelKey", "totalDraftTokensCount")
_NAMES = ("model", "model_instance_id", "modelIdentifier")
# `model_info.format` of LM Studio, and the runtime that loads it
_RUNTIMES = {"gguf": "llama.cpp", "mlx": "mlx", "safetensors": "mlx"}
# what llama-server called any model before it told which
_NO_NAME = "gpt-3.5-turbo"
# more answers than anybody saves for one comparison
_MOST_ANSWERS = 10_000
# ten days
_MOST_SECONDS = 864_000
_MOST_PACE = 1e12
_Fields = Mapping[str, object]


def read(text: str) -> Run | None:
    """The answers together: all their tokens over all their time; None where there is none."""
    answers = list(_answers(text))
    if by_ollama := [answer for answer in answers if "eval_duration" in answer]:
        # Ollama counts later prompts with what its cache held back of them (ollama/ollama#10860)
        timed = [*_timed(by_ollama[0], _OLLAMA, "prompt")]
        timed += [each for answer in by_ollama for each in _timed(answer, _OLLAMA, "decode")]
        name = _name(by_ollama)
        return Run(tool="Ollama API", runtime="ollama", name=name, paces=paces_of(timed))
    if served := [answer for answer in answers if isinstance(answer.get("timings"), dict)]:
        timings = [_inner(answer, "timings") for answer in served]
        timed = [each for kind in _SERVER for row in timings for each in _timed(row, _SERVER, kind)]
        paces = paces_of(timed, drafted=any(row.get("draft_n") for row in timings))
        name = _name(served)
        # without another name the server says which file it loaded
        is_path = name is not None and name.lower().endswith(".gguf")
        return Run(tool="llama-server API", file=name if is_path else None, name=name, paces=paces)
    return _of_lm_studio([answer for answer in answers if _rate(answer) is not None])


def _answers(text: str) -> Iterator[_Fields]:
    """The objects of one JSON text, or of its lines; `data:` stands before those of a stream."""
    answers = json_values(text, MARKS)
    if len(answers) == 1 and isinstance(answers[0], dict):
        # a chat that was saved in llama-server's own page
        chat = answers[0].get("messages")
        answers = chat[:_MOST_ANSWERS] if isinstance(chat, list) else answers
    for answer in answers:
        if isinstance(answer, dict):
            # the last event of a stream, and an event of a log
            yield _inner(answer, "result") or _inner(answer, "data") or answer


def _timed(
    answer: _Fields, keys: Mapping[str, tuple[str, str, float]], kind: str
) -> Iterator[Timed]:
    counted, timed, scale = keys[kind]
    tokens, taken = whole(str(answer.get(counted))), answer.get(timed)
    if tokens is None or not isinstance(taken, int | float):
        return
    if not 0 < taken < _MOST_SECONDS * scale:
        return
    # tokens of the prompt that llama-server's cache held back; builds of 2025 and before do not
    # tell
    held, prompt = whole(str(answer.get("cache_n"))), whole(str(answer.get(keys["prompt"][0])))
    depth: int | None = held or 0
    if kind == "decode":
        is_known = prompt is not None and (held is not None or keys is _OLLAMA)
        depth = (held or 0) + (prompt or 0) + tokens // 2 if is_known else None
    yield Timed(kind=kind, tokens=tokens, seconds=taken / scale, depth_tokens=depth)


def _of_lm_studio(answers: Sequence[_Fields]) -> Run | None:
    """The answers of the model that answered last. The time to the first token is no pace of a
    prompt: a queue and a cache are in it.
    """
    if not answers:
        return None
    name, info = _first(_NAMES, answers[-1]), _inner(answers[-1], "model_info")
    same = [answer for answer in answers if _first(_NAMES, answer) == name]
    timed = []
    for answer in same:
        stats, usage = _inner(answer, "stats"), _inner(answer, "usage")
        before = whole(str(_first(_PROMPT, stats, usage)))
        tokens = whole(str(_first(_WRITTEN, stats, usage))) or 1
        depth, seconds = None if before is None else before + tokens // 2, _rate(answer)
        timed.append(
            Timed(kind="decode", tokens=tokens, seconds=tokens / (seconds or 1), depth_tokens=depth)
        )
    runtime, type = _RUNTIMES.get(str(info.get("format"))), str(info.get("quant"))
    notes = []
    if len(answers) > len(same):
        notes.append(f"Answers of other models are left out: {len(answers) - len(same):,}.")
    if runtime is None:
        notes.append(
            "The run does not tell which engine of LM Studio answered: predicted is llama.cpp."
        )
    architecture = info.get("arch")
    return Run(
        tool="LM Studio",
        runtime=runtime or "llama.cpp",
        name=name if isinstance(name, str) else None,
        architecture=architecture if isinstance(architecture, str) else None,
        quantization=type if type in MLX_QUANTIZATIONS else quantization(type),
        paces=paces_of(timed, drafted=any(_first(_DRAFTED, _inner(row, "stats")) for row in same)),
        notes=tuple(notes),
    )


def _rate(answer: _Fields) -> float | None:
    rate = _first(_RATE, _inner(answer, "stats"))
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        return None
    return float(rate) if 0 < rate < _MOST_PACE else None


def _inner(table: _Fields, key: str) -> _Fields:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _first(keys: Sequence[str], *tables: _Fields) -> object:
    return next((table[key] for table in tables for key in keys if table.get(key)), None)


def _name(answers: Sequence[_Fields]) -> str | None:
    """The model, where all answers are of one."""
    names = {str(answer.get("model") or "") for answer in answers}
    name = names.pop() if len(names) == 1 else ""
    return name if name not in ("", _NO_NAME) else None
