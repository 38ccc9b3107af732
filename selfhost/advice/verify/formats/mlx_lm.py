"""What `mlx_lm.generate` and MLX-VLM print behind an answer, and what `mlx_lm.benchmark` prints
(mlx-lm, mlx_lm/generate.py and mlx_lm/benchmark.py).
"""

from __future__ import annotations

from statistics import fmean

from ....core.records import pattern
from ..run import Run, SeenPace
from .words import positive, whole

TYPE_CHECKING = False

if TYPE_CHECKING:
    import re

MARKS = ("tokens-per-sec", "generation_tps=")
# Generation: 100 tokens, 45.123 tokens-per-sec
_ANSWER = pattern(
    r"^(Prompt|Generation): (\d{1,12}) tokens, (\d{1,9}\.\d{1,6}|nan|inf) tokens-per-sec\s*$"
)
# Timing with prompt_tokens=512, generation_tokens=1024, batch_size=1.
_TIMING = pattern(
    r"^Timing with prompt_tokens=(\d{1,9}), generation_tokens=(\d{1,9}), batch_size=(\d{1,5})\."
)
# Trial 1:  prompt_tps=2400.125, generation_tps=81.250, peak_memory=4.900
_TRIAL = pattern(r"^Trial \d{1,4}:  prompt_tps=(\d{1,9}\.\d{3}), generation_tps=(\d{1,9}\.\d{3}),")
_MODEL = pattern(r"\bmlx_(?:lm|vlm)[.\w]{0,40} [^\n]{0,400}?--model[ =]([^\s\"']{1,300})")
_PEAK = "Peak memory:"
_DRAFT = pattern(r"--draft-model\b|^Draft acceptance:", 8)


def read(text: str) -> Run | None:
    """The answers together, or the trials of the benchmark."""
    timing = next(filter(None, map(_TIMING.match, text.splitlines())), None)
    paces = _of_answers(text) if timing is None else _of_trials(text, timing)
    if not paces:
        return None
    model = _MODEL.search(text)
    notes = ("The peak of MLX's own memory is not compared.",) if _PEAK in text else ()
    return Run(
        tool="mlx_lm" if timing is None else "mlx_lm.benchmark",
        runtime="mlx",
        name=model[1] if model is not None else None,
        parallel=paces[-1].sequences,
        paces=paces,
        notes=notes,
    )


def _of_answers(text: str) -> tuple[SeenPace, ...]:
    """All tokens of the answers over all their time."""
    drafted = _DRAFT.search(text) is not None
    seconds: dict[str, float] = {}
    tokens: dict[str, int] = {}
    answers: dict[str, int] = {}
    for line in text.splitlines():
        match = _ANSWER.match(line.strip()[:200])
        rate = positive(match[3]) if match is not None else None
        count = whole(match[2]) if match is not None else None
        if match is None or rate is None or not count:
            continue
        kind = "prompt" if match[1] == "Prompt" else "decode"
        seconds[kind] = seconds.get(kind, 0.0) + count / rate
        tokens[kind] = tokens.get(kind, 0) + count
        answers[kind] = answers.get(kind, 0) + 1
    prompt_tokens = tokens.get("prompt", 0) // answers.get("prompt", 1)
    return tuple(
        SeenPace(
            kind=kind,
            tokens_per_second=tokens[kind] / seconds[kind],
            tokens=tokens[kind] // answers[kind],
            depth_tokens=0
            if kind == "prompt"
            else prompt_tokens + tokens[kind] // answers[kind] // 2,
            drafted=drafted and kind == "decode",
        )
        for kind in ("prompt", "decode")
        if kind in seconds
    )


def _of_trials(text: str, timing: re.Match[str]) -> tuple[SeenPace, ...]:
    prompt_tokens, generated, sequences = (int(number) for number in timing.groups())
    trials = [match for match in map(_TRIAL.match, text.splitlines()) if match is not None]
    if not trials or not sequences:
        return ()
    prompt, decode = (fmean(float(trial[column]) for trial in trials) for column in (1, 2))
    seen = []
    if prompt and sequences == 1:
        seen.append(
            SeenPace(kind="prompt", tokens_per_second=prompt, tokens=prompt_tokens, depth_tokens=0)
        )
    if decode:
        seen.append(
            SeenPace(
                kind="decode",
                tokens_per_second=decode,
                tokens=generated,
                depth_tokens=prompt_tokens + generated // 2,
                sequences=sequences,
            )
        )
    return tuple(seen)
