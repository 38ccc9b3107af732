"""Answers over HTTP: Ollama's /api/generate and /api/chat, and llama-server's, whole or as streams,
as `curl` prints them or a program saved them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ....core.json_text import Decoder
from ....core.reading import Unreadable
from ..run import LEAST_TOKENS, Run, SeenPace
from .words import as_json, whole

MARKS = ('"eval_duration"', '"timings"')
# ollama/ollama: docs/api.md; durations are in nanoseconds
_OLLAMA = {
    "prompt": ("prompt_eval_count", "prompt_eval_duration", 1e9),
    "decode": ("eval_count", "eval_duration", 1e9),
}
# ggml-org/llama.cpp: tools/server/README.md, `timings`; in milliseconds
_SERVER = {"prompt": ("prompt_n", "prompt_ms", 1e3), "decode": ("predicted_n", "predicted_ms", 1e3)}
# tokens of the prompt that its cache held back; builds of 2025 and before do not tell
_HELD = "cache_n"
# what llama-server called any model before it told which
_NO_NAME = "gpt-3.5-turbo"
# more answers than anybody saves for one comparison
_MOST_ANSWERS = 10_000
# ten days
_MOST_SECONDS = 864_000
_Answer = Mapping[str, object]


def read(text: str) -> Run | None:
    """The answers together: all their tokens over all their time. Of Ollama's the prompt of the
    first, for it counts those of the later ones with what its cache held back of them
    (ollama/ollama#10860).
    """
    answers = list(_answers(text))
    by_ollama = [answer for answer in answers if "eval_duration" in answer]
    if by_ollama:
        paces = _paces(by_ollama[:1], {"prompt": _OLLAMA["prompt"]}, drafted=False)
        paces += _paces(by_ollama, {"decode": _OLLAMA["decode"]}, drafted=False)
        return Run(tool="Ollama API", runtime="ollama", name=_name(by_ollama), paces=paces)
    served = [answer for answer in answers if isinstance(answer.get("timings"), dict)]
    timings = [timing for answer in served if isinstance(timing := answer["timings"], dict)]
    if not timings:
        return None
    drafted = any(timing.get("draft_n") for timing in timings)
    paces = _paces(timings, _SERVER, drafted=drafted)
    name = _name(served)
    # without another name the server says which file it loaded
    is_path = name is not None and name.lower().endswith(".gguf")
    return Run(tool="llama-server API", file=name if is_path else None, name=name, paces=paces)


def _answers(text: str) -> Iterator[_Answer]:
    """The objects of one JSON text, or of its lines; `data:` stands before those of a stream."""
    decoder = Decoder()
    try:
        parsed = decoder.parse(as_json(text))
    except Unreadable:
        parsed = None
    if parsed is not None:
        entries = parsed if isinstance(parsed, list) else [parsed]
        if isinstance(parsed, dict) and isinstance(parsed.get("messages"), list):
            # a chat that was saved in llama-server's own page
            entries = parsed["messages"]
        yield from (entry for entry in entries[:_MOST_ANSWERS] if isinstance(entry, dict))
        return
    count = 0
    for line in text.splitlines():
        line = line.strip().removeprefix("data:").strip()
        # the other objects of a stream hold a word each
        is_last = '"eval_duration"' in line or '"timings"' in line
        if not is_last or not line.startswith("{") or count == _MOST_ANSWERS:
            continue
        try:
            answer = decoder.parse(as_json(line))
        except Unreadable:
            continue
        if isinstance(answer, dict):
            count += 1
            yield answer


def _paces(
    answers: Sequence[_Answer], keys: Mapping[str, tuple[str, str, float]], *, drafted: bool
) -> tuple[SeenPace, ...]:
    paces = []
    for kind, (counted, timed, scale) in keys.items():
        pairs = [
            (tokens, taken / scale)
            for answer in answers
            if (tokens := whole(str(answer.get(counted)))) is not None
            and isinstance(taken := answer.get(timed), int | float)
            and 0 < taken < _MOST_SECONDS * scale
        ]
        pairs = [pair for pair in pairs if pair[0] >= LEAST_TOKENS[kind]] or pairs
        tokens_in_all = sum(tokens for tokens, _ in pairs)
        if tokens_in_all:
            paces.append(
                SeenPace(
                    kind=kind,
                    tokens_per_second=tokens_in_all / sum(seconds for _, seconds in pairs),
                    tokens=tokens_in_all // len(pairs),
                    depth_tokens=_depth(answers, kind, counted),
                    drafted=drafted and kind == "decode",
                )
            )
    return tuple(paces)


def _depth(answers: Sequence[_Answer], kind: str, counted: str) -> int | None:
    """Tokens in the context before the prompt, or on average while it decoded."""
    held = [whole(str(answer.get(_HELD))) for answer in answers]
    if kind == "prompt":
        return sum(count or 0 for count in held) // len(answers)
    of_ollama = counted == _OLLAMA["decode"][0]
    prompt = (_OLLAMA if of_ollama else _SERVER)["prompt"][0]
    depths = [
        (before or 0) + read + written // 2
        for answer, before in zip(answers, held, strict=True)
        if (of_ollama or before is not None)
        and (read := whole(str(answer.get(prompt)))) is not None
        and (written := whole(str(answer.get(counted)))) is not None
    ]
    return sum(depths) // len(depths) if depths else None


def _name(answers: Sequence[_Answer]) -> str | None:
    """The model, where all answers are of one."""
    names = {str(answer.get("model") or "") for answer in answers}
    name = names.pop() if len(names) == 1 else ""
    return name if name not in ("", _NO_NAME) else None
