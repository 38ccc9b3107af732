"""The outputs that are read: llama.cpp's, answers of Ollama and llama-server, and vLLM's log. What
each tells of a run stands as expressions in `common/runs.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from ...core.tables import shipped_table
from .llama_bench import read_bench
from .llama_log import amount, facts_of, read_log
from .run import ACCELERATORS, HOST, Run, SeenMemory, SeenPace, Timed, paces_of

_GIB = 1 << 30
# of a longer text the start, where a model is loaded, and the end, where it answered last
_START, _END = 2 << 20, 4 << 20
# what colours a terminal: a log that was copied from one, or written with --log-colors on
_COLOURS = re.compile("\x1b\\[[0-9;]{0,40}[A-Za-z]")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")
# ten days
_MOST_SECONDS = 864_000
# a window in which a prompt is read tells nothing of it before the prompt ends; its pace is below
# this share of the fastest
_LEAST_SHARE = 0.5
_SPREAD = re.compile(r"\b(?:tensor|pipeline)_parallel_size(?:'?: ?|=)(?!1\b)\d")
_WINDOW = re.compile(
    r"Avg prompt throughput: (\d{1,9}\.\d) tokens/s, Avg generation throughput: "
    r"(\d{1,9}\.\d) tokens/s, Running: (\d{1,6}) reqs"
)


def run_of(text: str) -> Run | None:
    """What the output tells of its run; None where no reader knows it."""
    if len(text) > _START + _END:
        text = f"{text[:_START]}\n{text[-_END:]}"
    text = _COLOURS.sub("", text).replace("\r", "")
    for read in (read_bench, _read_answers, read_log, _read_vllm):
        run = read(text)
        if run is not None and (run.memory or run.paces):
            return run
    return None


# ------------------------------------------------------------------ answers


def _read_answers(text: str) -> Run | None:
    """The answers of the first program whose figures the text holds; None where there is none."""
    for program in shipped_table("runs")["answers"]:
        answers = list(_answers(program, text))
        paces = paces_of(list(_timed(program, answers)), drafted='"draft_n"' in text)
        if paces:
            facts = facts_of("answers", text)
            return Run(
                tool=program["tool"],
                runtime=program["runtime"],
                name=facts.get("name"),
                paces=paces,
            )
    return None


def _answers(program: Mapping[str, Any], text: str) -> Iterator[dict[str, float]]:
    """The figures of each answer: one that the answer has already begins the next."""
    fields: dict[str, float] = {}
    for match in re.finditer("|".join(program["figures"]), text, re.MULTILINE):
        name = match.lastgroup or ""
        if name in fields:
            yield fields
            fields = {}
        if _NUMBER.fullmatch(match[name]):
            fields[name] = float(match[name])
    yield fields


def _timed(program: Mapping[str, Any], answers: Sequence[dict[str, float]]) -> Iterator[Timed]:
    """What reading the first prompt and writing each answer took, with what stood in the context:
    later prompts of Ollama are counted with what its cache held back (ollama/ollama#10860).
    """
    for number, fields in enumerate(answers):
        prompt, tokens = int(fields.get("prompt", 0)), int(fields.get("tokens", 0))
        depth = int(fields.get("cached", 0))
        for kind, count, at in (("prompt", prompt, depth), ("decode", tokens, None)):
            rate, time = fields.get(f"{kind}_rate"), fields.get(f"{kind}_time")
            seconds = count / rate if rate else (time or 0) / program["per_second"]
            if kind == "decode" and prompt:
                at = depth + prompt + tokens // 2
            if count and 0 < seconds < _MOST_SECONDS and not (kind == "prompt" and number):
                yield Timed(kind=kind, tokens=count, seconds=seconds, depth_tokens=at)


# ------------------------------------------------------------------ vLLM


def _read_vllm(text: str) -> Run | None:
    """Whole windows of its log with one request, or as many as most had, and what the model took;
    neither where the log shows none.
    """
    facts, windows = facts_of("vllm", text), _windows(text)
    counts = [running for running, _ in windows]
    # one request alone is what the predicted pace is of
    at_once = max(counts, key=lambda number: (number == 1, counts.count(number)), default=1)
    rates = [rate for running, rate in windows if running == at_once]
    rates = [rate for rate in rates if rate >= _LEAST_SHARE * max(rates)]
    pace = SeenPace(
        kind="decode",
        tokens_per_second=median(rates) if rates else 0.0,
        sequences=at_once,
        drafted="SpecDecoding metrics:" in text,
    )
    where = HOST if "device_config=cpu" in text else ACCELERATORS
    return Run(
        tool="vLLM log",
        runtime="vllm",
        name=facts.get("repository", "").replace("--", "/") or facts.get("name"),
        context_tokens=amount(facts.get("context", "")),
        parallel=at_once,
        on_processor=where == HOST,
        cards=int(where != HOST),
        paces=(pace,) if rates else (),
        # of one of several devices it is a part
        memory=_weights(facts["gib"], where) if "gib" in facts and not _SPREAD.search(text) else (),
    )


def _weights(gib: str, where: str) -> tuple[SeenMemory, ...]:
    rounded = _GIB // 10 ** len(gib.partition(".")[2]) // 2
    size = round(float(gib) * _GIB)
    return (SeenMemory(term="weights", bytes=size, where=where, rounded_bytes=rounded),)


def _windows(text: str) -> list[tuple[int, float]]:
    """Requests and pace of each stretch in which the same ones ran from its start to its end, and
    no prompt was read.
    """
    windows, before = [], 0
    for prompt, rate, count in _WINDOW.findall(text):
        running = int(count)
        if running and running == before and not float(prompt) and float(rate):
            windows.append((running, float(rate)))
        before = running
    return windows
