"""What programs print behind each answer, and answers over HTTP, whole or as streams, as `curl`
prints them or a program saved them: each a row `program` of `common/runs.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ....catalogue.quantization_names import MLX_QUANTIZATIONS
from ....core.records import pattern
from ....core.tables import shipped_table
from ..run import Run, Timed, paces_of
from . import llama_log
from .words import MOST_VALUES, json_values, positive, quantization, whole

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    _Program = Mapping[str, Any]

MARKS = (
    *("eval rate: ", "tokens-per-sec", "CtxLimit:", '"eval_duration"', '"timings"'),
    *("okens/Second", "okens_per_second", "okensPerSecond"),
)
# `model_info.format` of LM Studio, and the runtime that loads it
_ENGINES = {"gguf": "llama.cpp", "mlx": "mlx", "safetensors": "mlx"}
# what llama-server called any model before it told which
_NO_NAME = "gpt-3.5-turbo"
# ten days
_MOST_SECONDS = 864_000
_Fields = dict[str, str]


def read(text: str) -> Run | None:
    """The answers of the first program whose figures the text holds, of the model that answered
    last; None where there is none.
    """
    objects = list(_objects(text))
    for program in shipped_table("runs")["program"]:
        if program["mark"] not in text:
            continue
        if "keys" in program:
            answers = [fields for each in objects if (fields := _keyed(program, each))]
        else:
            answers = list(_printed(text, "".join(program["line"])))
        if any(not fields.keys().isdisjoint(_PACES) for fields in answers):
            return _run(text, program, answers)
    return None


# an answer that is timed has one of them
_PACES = ("rate", "seconds", "prompt_rate", "prompt_seconds")


def _printed(text: str, line: str) -> Iterator[_Fields]:
    """The groups of each answer that is printed."""
    parts, count = pattern(line), 0
    fields: _Fields = {}
    for each in text.splitlines():
        match = parts.search(each[:1000])
        groups = {} if match is None else match.groupdict()
        groups = {key: value for key, value in groups.items() if value is not None}
        if fields.keys() & groups.keys() and count < MOST_VALUES:
            yield fields
            fields, count = {}, count + 1
        fields |= groups
    if fields:
        yield fields


def _objects(text: str) -> Iterator[Mapping[str, object]]:
    """The objects of one JSON text, or of its lines; `data:` stands before those of a stream."""
    answers = json_values(text, MARKS) if "{" in text else []
    if len(answers) == 1 and isinstance(answers[0], dict):
        # a chat that was saved in llama-server's own page
        chat = answers[0].get("messages")
        answers = chat[:MOST_VALUES] if isinstance(chat, list) else answers
    for answer in answers:
        if isinstance(answer, dict):
            # the last event of a stream, and an event of a log
            inner = answer.get("result") or answer.get("data")
            yield inner if isinstance(inner, dict) else answer


def _keyed(program: _Program, answer: Mapping[str, object]) -> _Fields:
    """The fields of an object; {} of one that is no timed answer of the program."""
    fields = {}
    for name, paths in program["keys"].items():
        values = (_value(answer, path) for path in paths)
        value = next((each for each in values if each not in (None, "")), None)
        if name in _PACES:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            per_second = 1 if name.endswith("rate") else program.get("per_second", 1)
            number = value / per_second if is_number else 0  # type: ignore[operator]
            value = f"{number:.9f}" if 0 < number < 1e12 else None
            if not name.endswith("rate") and number > _MOST_SECONDS:
                value = None
        if value is not None and (value or name != "drafted"):
            fields[name] = str(value)
    return {} if fields.keys().isdisjoint(_PACES) else fields


def _value(answer: object, path: str) -> object:
    for key in path.split("."):
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


def _run(text: str, program: _Program, answers: Sequence[_Fields]) -> Run | None:
    last = answers[-1]
    same = [fields for fields in answers if fields.get("name") == last.get("name")]
    drafts = pattern(program.get("drafts", "(?!)"), 8).search(text)
    drafted = drafts is not None or any("drafted" in fields for fields in same)
    paces = paces_of(list(_timed(program, same)), drafted=drafted)
    if not paces:
        return None
    type, engine = last.get("quantization", ""), last.get("format", "")
    run = Run(tool="", runtime=program.get("runtime", "llama.cpp"))
    if program.get("is_llama_cpp"):
        run = llama_log.read(text) or run
    model = pattern(program.get("model", "(?!)"), 8).search(text)
    name = model[1] if model is not None else last.get("name", "")
    return run.replace(
        tool=program["tool"],
        runtime=_ENGINES.get(engine, run.runtime),
        # without another name llama-server says which file it loaded
        file=name if name.lower().endswith(".gguf") else run.file,
        name=run.name if name in ("", _NO_NAME) else name,
        architecture=last.get("architecture", run.architecture),
        quantization=type if type in MLX_QUANTIZATIONS else quantization(type) or run.quantization,
        context_tokens=run.context_tokens or whole(last.get("context", "")),
        paces=paces,
        notes=tuple(_notes(text, program, len(answers) - len(same), engine, run)),
    )


def _notes(text: str, program: _Program, left_out: int, engine: str, run: Run) -> Iterator[str]:
    yield from (note for sign, note in program.get("notes", ()) if sign in text)
    if left_out:
        yield f"Answers of other models are left out: {left_out:,}."
    if engine not in _ENGINES and "no_engine" in program:
        yield program["no_engine"]
    if program.get("is_llama_cpp") and not run.memory:
        yield "The log shows no buffers."


def _timed(program: _Program, answers: Sequence[_Fields]) -> Iterator[Timed]:
    """What reading and writing each answer took, with what stood in the context."""
    tells_cached = "cached" in program.get("keys", ())
    prompt_tokens: int | None = None
    for number, fields in enumerate(answers):
        read_tokens, read_seconds = _time(fields, "prompt", "prompt_rate", "prompt_seconds")
        tokens, seconds = _time(fields, "tokens", "rate", "seconds")
        prompt_tokens = read_tokens or prompt_tokens
        cached = whole(fields.get("cached", ""))
        before = (prompt_tokens or 0) + (cached or 0)
        if "held" in fields:
            before = max(0, int(fields["held"]) - tokens)
        counts = not (number and program.get("counts_first_prompt"))
        if read_tokens and counts and not fields.keys().isdisjoint(_PACES[2:]):
            at = max(0, before - read_tokens)
            yield Timed(kind="prompt", tokens=read_tokens, seconds=read_seconds, depth_tokens=at)
        if tokens and not fields.keys().isdisjoint(_PACES[:2]):
            is_known = before and not (tells_cached and cached is None)
            depth = before + tokens // 2 if is_known else None
            yield Timed(kind="decode", tokens=tokens, seconds=seconds, depth_tokens=depth)


def _time(fields: _Fields, tokens: str, rate: str, seconds: str) -> tuple[int, float | None]:
    """Tokens and seconds, of which the rate gives the one that is not printed; 1 token where
    nothing tells how many.
    """
    count = whole(fields.get(tokens, ""))
    units, point, places = fields.get(rate, "").partition(".")
    pace, took = positive(f"{units}{point}{places[:9]}"), positive(fields.get(seconds, ""))
    if count is None and pace is not None:
        count = int(took * pace + 1e-6) if took is not None else 1
    if seconds not in fields and pace is not None and count:
        took = count / pace
    return count or 0, took
