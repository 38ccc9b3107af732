"""LM Studio: answers of its REST API (/api/v0 and /api/v1, whole or as a stream), the answers that
its server log holds, a saved chat, and what `lms chat --stats` and `lms log stream --stats` print
(lmstudio-ai/docs@c6854fba: 1_developer/2_rest; lmstudio-ai/lms@07b7252d: src/subcommands).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ....catalogue.quantization_names import MLX_QUANTIZATIONS
from ....core.json_text import Decoder
from ....core.reading import Unreadable
from ....core.records import Record, pattern
from ..run import Run, SeenPace
from .words import as_json, positive, quantization, whole

MARKS = ('"tokens_per_second"', '"tokensPerSecond"', "tokensPerSecond: ", "Tokens/Second: ")
# what each field is called over HTTP, and in the SDK, whose words `lms` prints
_PACE = ("tokens_per_second", "tokensPerSecond")
_PROMPT = ("input_tokens", "prompt_tokens", "promptTokensCount")
_WRITTEN = ("total_output_tokens", "completion_tokens", "predictedTokensCount")
_DRAFTED = ("draft_model", "total_draft_tokens_count", "usedDraftModelKey", "totalDraftTokensCount")
# of `modelIdentifier` and others the first that is there
_NAMES = ("model_instance_id", "model", "modelIdentifier", "indexedModelIdentifier", "identifier")
# `model_info.format`, and the runtime that loads it
_RUNTIMES = {"gguf": "llama.cpp", "mlx": "mlx", "safetensors": "mlx"}
_STATS = pattern(r"^\s*(?:(?P<said>[A-Z][\w /]{2,30}): |(?P<key>[a-z]\w{2,40}): )(?P<value>\S.{0,300})$")  # fmt: skip # noqa: E501
# what `lms chat --stats` calls the fields of the SDK
_SAID = {
    "Tokens/Second": "tokensPerSecond",
    "Prompt Tokens": "promptTokensCount",
    "Predicted Tokens": "predictedTokensCount",
}
# an object of several lines in the log of a server
_BEGINS = ("Generated prediction: {", "Generated prediction:  {")
_MOST_ANSWERS = 10_000
_MOST_PACE = 1e12
_Fields = Mapping[str, object]


class _Answer(Record):
    """One answer: its pace, its tokens and what it says of its model."""

    rate: float
    prompt_tokens: int | None
    tokens: int | None
    drafted: bool
    name: str | None = None
    architecture: str | None = None
    quantization: str | None = None
    format: str | None = None


def read(text: str) -> Run | None:
    """The answers of the model that answered last, together: all their tokens over all their
    time.
    """
    answers = list(_of_json(text)) or list(_of_lines(text))
    if not answers:
        return None
    last = answers[-1]
    same = [answer for answer in answers if answer.name == last.name]
    runtime = _RUNTIMES.get(last.format or "")
    return Run(
        tool="LM Studio",
        runtime=runtime or "llama.cpp",
        name=last.name,
        architecture=last.architecture,
        quantization=_quantization(last.quantization or ""),
        paces=(_pace(same),),
        notes=tuple(_notes(len(answers) - len(same), is_told=runtime is not None)),
    )


def _quantization(written: str) -> str | None:
    return written if written in MLX_QUANTIZATIONS else quantization(written)


def _notes(left_out: int, *, is_told: bool) -> Iterator[str]:
    if left_out:
        yield f"Answers of other models are left out: {left_out:,}."
    if not is_told:
        yield ("The run does not tell which engine of LM Studio answered: predicted is llama.cpp.")


def _pace(answers: Sequence[_Answer]) -> SeenPace:
    """The time to the first token is no pace of a prompt: a queue and a cache are in it."""
    counted = [answer for answer in answers if answer.tokens] or list(answers)
    tokens = sum(answer.tokens or 1 for answer in counted)
    seconds = sum((answer.tokens or 1) / answer.rate for answer in counted)
    depths = [
        answer.prompt_tokens + (answer.tokens or 0) // 2
        for answer in counted
        if answer.prompt_tokens is not None
    ]
    return SeenPace(
        kind="decode",
        tokens_per_second=tokens / seconds,
        tokens=tokens // len(counted) if any(answer.tokens for answer in counted) else None,
        depth_tokens=sum(depths) // len(depths) if depths else None,
        drafted=any(answer.drafted for answer in counted),
    )


def _of_json(text: str) -> Iterator[_Answer]:
    decoder = Decoder()
    count = 0
    for source in _sources(text):
        try:
            parsed = decoder.parse(as_json(source))
        except Unreadable:
            continue
        for table in _tables(parsed):
            answer = _answer(table)
            if answer is not None and count < _MOST_ANSWERS:
                count += 1
                yield answer


def _sources(text: str) -> Iterator[str]:
    """The whole text, or its lines, or the objects that a server's log begins at the end of a line
    and ends with a brace alone.
    """
    if text.lstrip()[:1] in ("{", "["):
        yield text
    lines = text.splitlines()
    begun: int | None = None
    for number, line in enumerate(lines):
        if begun is not None and line == "}":
            yield "{\n" + "\n".join(lines[begun + 1 : number + 1])
            begun = None
        elif line.endswith(_BEGINS):
            begun = number
        elif any(mark in line for mark in MARKS[:2]):
            plain = line.strip().removeprefix("data:").strip()
            if plain.startswith("{"):
                yield plain


def _tables(parsed: object) -> Iterator[_Fields]:
    """What has `stats`: an answer, the last event of a stream, an event of a log, or a step of a
    saved chat.
    """
    waiting = [parsed]
    seen = 0
    while waiting and seen < _MOST_ANSWERS:
        value = waiting.pop()
        seen += 1
        if isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, dict) and isinstance(value.get("stats"), dict):
            yield value
        elif isinstance(value, dict):
            inner = ("result", "data", "messages", "versions", "steps", "genInfo")
            waiting += [value[key] for key in inner if isinstance(value.get(key), dict | list)]


def _answer(table: _Fields) -> _Answer | None:
    stats, usage, info = (_inner(table, key) for key in ("stats", "usage", "model_info"))
    rate = _rate(_first(_PACE, stats))
    if rate is None:
        return None
    return _Answer(
        rate=rate,
        prompt_tokens=whole(str(_first(_PROMPT, stats, usage))),
        tokens=whole(str(_first(_WRITTEN, stats, usage))),
        drafted=bool(_first(_DRAFTED, stats)),
        name=_text(_first(_NAMES, table)),
        architecture=_text(info.get("arch")),
        quantization=_text(info.get("quant")),
        format=_text(info.get("format")),
    )


def _rate(value: object) -> float | None:
    """Of JSON a number, of a line its text, which has up to 17 places."""
    if isinstance(value, str):
        units, point, places = value.partition(".")
        return positive(f"{units}{point}{places[:9]}")
    if not isinstance(value, int | float) or not 0 < value < _MOST_PACE:
        return None
    return float(value)


def _inner(table: _Fields, key: str) -> _Fields:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _first(keys: Sequence[str], *tables: _Fields) -> object:
    return next((table[key] for table in tables for key in keys if table.get(key)), None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _of_lines(text: str) -> Iterator[_Answer]:
    """Blocks of `key: value`; a line of the pace comes first of what is read of each."""
    fields: dict[str, str] = {}
    name: str | None = None
    for line in text.splitlines():
        match = _STATS.match(line[:400])
        if match is None:
            continue
        key = _SAID.get(match["said"] or "", match["key"] or "")
        if key == "modelIdentifier":
            name = match["value"].strip()
        elif key == "tokensPerSecond" and fields:
            yield from filter(None, [_answer({"stats": fields, "modelIdentifier": name})])
            fields = {}
        if key:
            fields |= {key: match["value"].strip()} if key in (*_PACE, *_PROMPT, *_WRITTEN) else {}
    yield from filter(None, [_answer({"stats": fields, "modelIdentifier": name})])
