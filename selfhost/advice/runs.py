"""Reads one run of a model from a log or a process.

What goes in: a log of llama.cpp or Ollama, the table of llama-bench, answers of Ollama and
llama-server, a log of vLLM, or the id of a process. What comes out: a `Run`. The expressions that
find the facts stand in specs/common/runs.toml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from statistics import fmean, harmonic_mean, median
from typing import Any

from ..core.files import read_ends, text_of
from ..core.records import Record, Stated, read_by
from ..core.tables import expression, refusal, sentences, shipped_record
from ..machine.reader import process
from ..machine.record import Process
from .run_record import (
    ACCELERATORS,
    ALL_MEMORY,
    EVERYTHING_ELSE,
    HOST,
    LEAST_TOKENS,
    MODEL_FILE,
    Figure,
    Run,
)

_SCALES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SCALES |= {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_AMOUNT = re.compile(r"(\d{1,12}(?:\.\d{1,4})?) ?([KMGT]iB|[KMBT])?(?![\w.])")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")
# of a longer log the start, where a model is loaded, and the end, where it answered last
_START_BYTES, _END_BYTES = 2 << 20, 4 << 20
# a server's log of years; a pipe may never end
MAX_LOG_BYTES = 8 << 30
# a log may have millions of lines; a row of a table is no longer
_LONGEST_ROW = 2000
# a cache of llama.cpp has this type unless told
_USUAL_CACHE = {"keys": "f16", "values": "f16"}


class _AnswerRules(Stated):
    """How one program writes the figures of an answer over HTTP or behind it.

    `figures` are expressions with a named group each: `prompt` and `tokens` count those of the
    prompt and of the answer, `cached` those of the prompt that were kept. `prompt_rate` and
    `decode_rate` are tokens a second; `prompt_time` and `decode_time` are times, of which
    `per_second` make a second.
    """

    tool: str
    runtime: str
    per_second: int
    figures: tuple[str, ...]


class _RunsTable(Stated):
    """`specs/common/runs.toml`. `facts`: by the kind of text the expressions that find its facts;
    `signs`: words that say something of a log. `bench`: by a column of llama-bench the fact that
    it holds. `options`: by a fact the options of a command line that give it; `switches`: by an
    option without a value the fact and its value. The last three sections are sentences.
    """

    facts: Mapping[str, tuple[str, ...]]
    expressions: Mapping[str, str]
    signs: Mapping[str, tuple[str, ...]]
    bench: Mapping[str, str]
    options: Mapping[str, tuple[str, ...]]
    switches: Mapping[str, tuple[str, ...]]
    answers: tuple[_AnswerRules, ...] = read_by(kind=_AnswerRules)
    why: Mapping[str, str]
    note: Mapping[str, str]
    refusal: Mapping[str, Mapping[str, str]]


def _table() -> _RunsTable:
    return shipped_record(_RunsTable, "runs")


def read_log(path: str, tell: Callable[[int, int | None], None] | None = None) -> str:
    """The text of a log, of a long one the start and the end. `tell` hears how many bytes were
    read, and of how many. Raises `Unreadable`.
    """
    content = read_ends(
        path, _START_BYTES, _END_BYTES, limit_bytes=MAX_LOG_BYTES, tell=tell
    )
    # what cannot be decoded, as a letter that was cut, is replaced
    return text_of(content, "replace")


def run_of(text: str) -> Run | None:
    """What the output tells of its run; None where no reader knows it."""
    text = expression("runs", "colours").sub("", text).replace("\r", "")
    for read in (_read_bench, _read_answers, _read_log, _read_vllm):
        run = read(text)
        if run is not None and run.figures:
            return run
    return None


# ---------------------------------------------------------------- facts of any text


def _facts(kind: str, text: str) -> dict[str, str]:
    """The facts that the expressions of that kind find; of several lines the last counts."""
    facts: dict[str, str] = {}
    for pattern in _table().facts[kind]:
        for match in re.finditer(pattern, text, re.MULTILINE):
            facts |= _named_groups(match)
    return facts


def _named_groups(match: re.Match[str]) -> dict[str, str]:
    """The text of each group by its name; of a `key` and a `value` the value by its key."""
    found = match.groupdict()
    groups = {name: text for name, text in found.items() if text is not None}
    if "key" in groups:
        return {groups["key"]: groups["value"].strip()}
    return groups


def _run_with(facts: Mapping[str, str], tool: str, **fields: Any) -> Run:
    """A run of llama.cpp with these facts; `fields` are those that the facts alone do not give."""
    cache_type = facts.get("keys")
    if cache_type != facts.get("values"):
        cache_type = None
    return Run(
        tool=tool,
        version=facts.get("version"),
        file=facts.get("file"),
        name=facts.get("name"),
        quantization=_quantization(facts.get("type", "")),
        parameters=_amount(facts.get("parameters")),
        file_bytes=_amount(facts.get("size")),
        kv_cache_type=cache_type,
        threads=_amount(facts.get("threads")) or None,
        gpu_layers=_amount(facts.get("gpu_layers")),
        experts_in_ram=_amount(facts.get("experts")) or None,
        batch_tokens=_amount(facts.get("batch")) or None,
        gpu=facts.get("gpu"),
        **fields,
    )


def _quantization(file_type: str) -> str | None:
    """`Q4_K - Medium` by the name of its files, Q4_K_M; None where the text names no type."""
    match = expression("runs", "type").search(file_type)
    if match is None:
        return None
    name = match[1]
    if match[2]:
        name += f"_{match[2][0]}"
    # llama.cpp calls this one medium, and files do not
    return "Q2_K" if name == "Q2_K_M" else name


def _amount(text: str | None) -> int | None:
    """`494.03 M` and `373 MiB` as numbers; None where the text is no such number."""
    match = _AMOUNT.fullmatch((text or "").strip())
    if match is None:
        return None
    return round(float(match[1]) * _SCALES.get(match[2], 1))


# ---------------------------------------------------------------- paces


class _Timed(Record):
    """So many tokens of one request, timed: `kind` is decode or prompt.

    `depth_tokens` stood in the context on average (of a prompt: before it), None where that is not
    known. `shared`: other requests were answered at the same time.
    """

    kind: str
    tokens_per_second: float
    tokens: int
    depth_tokens: int | None
    shared: bool = False


def _averages(paces: Sequence[_Timed]) -> list[Figure]:
    """Of each kind one pace: all tokens over all their time."""
    averages: list[Figure] = []
    for kind in LEAST_TOKENS:
        timed = [pace for pace in paces if pace.kind == kind]
        if timed:
            averages.append(_average(_most_telling(kind, timed)))
    return averages


def _most_telling(kind: str, paces: list[_Timed]) -> list[_Timed]:
    """The long ones, and of prompts those behind no longer context; all where there is none."""
    least = LEAST_TOKENS[kind]
    paces = [pace for pace in paces if pace.tokens >= least] or paces
    if kind == "decode":
        return paces
    return [pace for pace in paces if (pace.depth_tokens or 0) <= pace.tokens] or paces


def _average(paces: Sequence[_Timed]) -> Figure:
    """Times and depths are weighted by the tokens."""
    tokens = [pace.tokens for pace in paces]
    depths: list[int] = []
    weights: list[int] = []
    for pace in paces:
        if pace.depth_tokens is not None:
            depths.append(pace.depth_tokens)
            weights.append(pace.tokens)
    return Figure(
        term=paces[0].kind,
        seen=harmonic_mean([pace.tokens_per_second for pace in paces], tokens),
        tokens=sum(tokens) // len(tokens),
        depth_tokens=round(fmean(depths, weights)) if depths else None,
        shared=paces[0].shared,
    )


# ---------------------------------------------------------------- logs of llama.cpp


def _read_log(text: str) -> Run:
    """The last model that llama-server, llama-cli or Ollama's runner loaded."""
    signs = _table().signs
    is_ollama = any(sign in text for sign in signs["ollama"])
    runtime = "ollama" if is_ollama else "llama.cpp"
    text, drafters = expression("runs", "drafter").subn("", text)
    facts = _facts("llama.cpp", text)
    text = text[max(0, text.rfind("llama_model_loader: loaded meta data")) :]
    buffers = _buffers(text)
    context = _context(facts)
    paces = _paces_of_requests(text)
    alone = [pace for pace in paces if not pace.shared]
    figures = buffers.figures + _averages(alone or paces)
    left_out = 0
    if alone:
        answers = [pace for pace in paces if pace.kind == "decode"]
        left_out = len([pace for pace in answers if pace.shared])
    if not figures:
        figures = _rates_behind_answers(facts)
    holds = {
        "no-buffers": not buffers.figures,
        "drafter": drafters,
        "beside": left_out,
    }
    return _run_with(
        facts,
        f"{runtime} log",
        runtime=runtime,
        on_processor=buffers.cards == 0 if buffers.figures else None,
        cards=buffers.cards,
        drafts=drafters > 0 or any(sign in text for sign in signs["drafts"]),
        figures=tuple(figures),
        notes=sentences("runs", "note", holds, number=left_out),
        # builds before ggml-org/llama.cpp#23861 (2026-05) make room for those of a whole batch
        output_tokens=_amount(facts.get("n_outputs_max", facts.get("batch"))),
        context_tokens=context.tokens,
        parallel=context.sequences,
        states=context.states,
    )


def _rates_behind_answers(facts: Mapping[str, str]) -> list[Figure]:
    """The rates that llama-cli shows behind its last answer."""
    rates = {kind: float(facts.get(kind, 0)) for kind in LEAST_TOKENS}
    return [Figure(term=kind, seen=rate) for kind, rate in rates.items() if rate]


class _Context(Record):
    """Tokens of the context of one sequence, the sequences with a context each, and the states of
    those that share one; None where the log does not tell.
    """

    tokens: int | None
    sequences: int | None
    states: int


def _context(facts: Mapping[str, str]) -> _Context:
    tokens = _amount(facts.get("n_ctx"))
    sequences = _amount(facts.get("n_seq_max"))
    if facts.get("kv_unified") == "true":
        return _Context(tokens=tokens, sequences=1, states=sequences or 1)
    of_one = _amount(facts.get("n_ctx_seq"))
    if not of_one and tokens is not None:
        of_one = tokens // (sequences or 1)
    return _Context(tokens=of_one, sequences=sequences, states=1)


class _Buffers(Record):
    """The memory of a log by term and place, and how many accelerators hold some."""

    figures: list[Figure]
    cards: int


_TERMS = {"KV": "kv_cache", "RS": "recurrent_state", "compute": "compute"}


def _buffers(text: str) -> _Buffers:
    """The buffers of a model and its context. Of caches on one device all count, of anything else
    the last: a context that is made again prints its buffers again.
    """
    mib_by_buffer: dict[tuple[str, str], float] = {}
    for loaded_on, used_by, kind, mib in expression("runs", "buffer").findall(text):
        device = loaded_on or used_by
        term = _TERMS.get(kind, "weights")
        if term == "weights" and expression("runs", "repacked").search(device):
            term = "repacked_weights"
        size = float(mib)
        if term == "kv_cache":
            size += mib_by_buffer.get((term, device), 0.0)
        mib_by_buffer[term, device] = size
    is_host = expression("runs", "host").match
    cards = {device for _, device in mib_by_buffer if not is_host(device)}
    mib_by_place: dict[tuple[str, str], list[float]] = {}
    for (term, device), mib in mib_by_buffer.items():
        where = ACCELERATORS if device in cards else HOST
        mib_by_place.setdefault((term, where), []).append(mib)
    figures: list[Figure] = []
    for (term, where), sizes in mib_by_place.items():
        if any(sizes):
            # each is printed with two places
            rounded = len(sizes) * _SCALES["MiB"] // 100
            figures.append(_memory(term, where, sum(sizes) * _SCALES["MiB"], rounded))
    return _Buffers(figures=figures, cards=len(cards))


def _memory(term: str, where: str, size: float, rounded: float = 0) -> Figure:
    return Figure(
        subject="memory", term=term, where=where, seen=round(size), rounded=rounded
    )


class _Timing(Record):
    """One line of a log: so many tokens in so many milliseconds, and the rate that it prints."""

    tokens: int = 0
    printed_rate: float = 0
    ms: float = 0

    @property
    def tokens_per_second(self) -> float:
        """The printed rate where it has digits enough: builds of 2026 count the first token among
        the tokens, and not in that rate.
        """
        if self.printed_rate >= 1 or not self.ms:
            return self.printed_rate
        return 1000 * self.tokens / self.ms


class _Request:
    """What a log tells of one request. `timings`: of its prompt and its answer, as far as told;
    `tokens_at_end`: of its context, None where the log does not tell.
    """

    def __init__(self) -> None:
        self.timings: dict[str, _Timing] = {}
        self.tokens_at_end: int | None = None
        self.is_shared = False

    def paces(self) -> Iterator[_Timed]:
        """The pace of the prompt and of the answer, as far as the log has them."""
        prompt = self.timings.get("prompt", _Timing())
        decode = self.timings.get("decode", _Timing())
        # tokens that stood in the context before it wrote
        before = prompt.tokens
        if self.tokens_at_end is not None:
            before = self.tokens_at_end - decode.tokens
        yield from self._pace("prompt", prompt, max(0, before - prompt.tokens))
        depth = before + decode.tokens // 2 if before > 0 else None
        yield from self._pace("decode", decode, depth)

    def _pace(self, kind: str, timing: _Timing, depth: int | None) -> Iterator[_Timed]:
        rate = timing.tokens_per_second
        if timing.tokens and rate:
            yield _Timed(
                kind=kind,
                tokens_per_second=rate,
                tokens=timing.tokens,
                depth_tokens=depth,
                shared=self.is_shared,
            )


class _Requests:
    """The requests of a log, in the order in which they begin, and those that run now.

    A program for one user writes no task, so that its requests are all of the task "".
    """

    def __init__(self) -> None:
        self.begun: list[_Request] = []
        self._by_task: dict[str, _Request] = {}
        self._running: set[str] = set()

    def of(self, task: str) -> _Request:
        """The request of that task that is answered."""
        return self._by_task[task] if task in self._by_task else self._begin(task)

    def _begin(self, task: str) -> _Request:
        request = _Request()
        self._by_task[task] = request
        self.begun.append(request)
        return request

    def launch(self, task: str) -> None:
        """Note that the task runs, and that it shares the machine with those that run too."""
        self._running.add(task)
        if len(self._running) > 1:
            for running in self._running:
                self._by_task[running].is_shared = True

    def release(self, task: str, tokens_at_end: str | None) -> None:
        """Note that the task ended, with so many tokens in its context."""
        self._running.discard(task)
        if tokens_at_end:
            self._by_task[task].tokens_at_end = int(tokens_at_end)

    def time(self, task: str, kind: str, timing: _Timing) -> None:
        """Note a figure of the task. One that its request has already begins the next request."""
        request = self._by_task[task]
        if kind in request.timings:
            request = self._begin(task)
        request.timings[kind] = timing


def _paces_of_requests(text: str) -> list[_Timed]:
    """The paces of each request that a log of llama.cpp tells of."""
    requests = _Requests()
    task = ""
    for match in expression("runs", "event").finditer(text):
        event = match["event"]
        task = match["task"] or task
        requests.of(task)
        if event == "launch_slot_":
            requests.launch(task)
        elif event == "release":
            requests.release(task, match["held"])
        elif event is None:
            rate = float(match["rate"] or 0)
            timing = _Timing(
                tokens=int(match["tokens"]), printed_rate=rate, ms=float(match["ms"])
            )
            kind = "prompt" if match["kind"] == "prompt eval" else "decode"
            requests.time(task, kind, timing)
    paces: list[_Timed] = []
    for request in requests.begun:
        paces += request.paces()
    return paces


# ---------------------------------------------------------------- the table of llama-bench

# what one run has of a row; another value is another test
_SAME = ("type", "parameters", "threads", "gpu_layers", "keys", "backend", "experts",
         "flash_attention")  # fmt: skip


class _BenchRow(Record):
    """One row of the table: the cell of each fact, and the pace of its test."""

    cells: Mapping[str, str]
    pace: Figure

    def is_of_run(self, other: _BenchRow) -> bool:
        """Whether both rows are of the same model with the same options."""
        return all(self.cells.get(key) == other.cells.get(key) for key in _SAME)


def _read_bench(text: str) -> Run | None:
    """The tests of a prompt or an answer alone, with the options of the first row with flash
    attention, each counted once.
    """
    rows = list(_bench_rows(text))
    if not rows:
        return None
    first = _first_with_flash_attention(rows)
    paces: dict[tuple[str, int | None, int | None], Figure] = {}
    for row in rows:
        if row.is_of_run(first):
            pace = row.pace
            paces.setdefault((pace.term, pace.tokens, pace.depth_tokens), pace)
    left_out = len(rows) - len(paces)
    holds = {
        "other-tests": left_out,
        "broken": expression("runs", "broken").search(text),
    }
    return _run_with(
        _facts("llama-bench", text) | dict(first.cells),
        "llama-bench",
        on_processor=_ran_on_processor(first),
        figures=tuple(paces.values()),
        notes=sentences("runs", "note", holds, number=left_out),
    )


def _bench_rows(text: str) -> Iterator[_BenchRow]:
    """Each row that has a pace. A text may hold several tables."""
    names = _table().bench
    head: list[str] = []
    for line in StringIO(text):
        if "|" not in line:
            continue
        row = line[:_LONGEST_ROW].strip().strip("|")
        cells = [cell.strip() for cell in row.split("|")]
        if {"test", "t/s", "model"} <= set(cells):
            head = [names.get(cell, cell) for cell in cells]
        elif len(cells) == len(head):
            by_name = _USUAL_CACHE | dict(zip(head, cells, strict=True))
            pace = _tested_pace(by_name["test"], by_name["t/s"])
            if pace is not None:
                yield _BenchRow(cells=by_name, pace=pace)


def _tested_pace(test: str, rate: str) -> Figure | None:
    """The pace of a test such as `tg128 @ d4096`; None where the test is another, or has none."""
    match = expression("runs", "test").fullmatch(test)
    # `5.04 ± 0.26`, however the sign was decoded
    rate = rate.split(" ")[0]
    if match is None or _NUMBER.fullmatch(rate) is None or not float(rate):
        return None
    tokens = int(match[2])
    depth = int(match[3] or 0)
    if match[1] == "pp":
        return Figure(
            term="prompt", seen=float(rate), tokens=tokens, depth_tokens=depth
        )
    depth += tokens // 2
    return Figure(term="decode", seen=float(rate), tokens=tokens, depth_tokens=depth)


def _first_with_flash_attention(rows: Sequence[_BenchRow]) -> _BenchRow:
    """The first row with flash attention, which is what is predicted; else the first."""
    for row in rows:
        if row.cells.get("flash_attention") != "0":
            return row
    return rows[0]


def _ran_on_processor(row: _BenchRow) -> bool | None:
    """Whether no backend of the row used an accelerator; None where the row names no backend."""
    backends = set(re.split(r"[, ]+", row.cells.get("backend", ""))) - {""}
    if not backends:
        return None
    return backends <= {"CPU", "BLAS"} or row.cells.get("gpu_layers") == "0"


# ---------------------------------------------------------------- answers


def _read_answers(text: str) -> Run | None:
    """Of the first program whose figures the text holds: the first prompt, and each answer."""
    for program in _table().answers:
        paces: list[_Timed] = []
        for number, figures in enumerate(_answers(program, text)):
            prompt = int(figures.get("prompt", 0))
            written = int(figures.get("tokens", 0))
            cached = int(figures.get("cached", 0))
            # later prompts of Ollama are counted with what its cache held back
            # (ollama/ollama#10860)
            if number == 0:
                paces += _timed(program, figures, "prompt", prompt, cached)
            depth = cached + prompt + written // 2 if prompt else None
            paces += _timed(program, figures, "decode", written, depth)
        if paces:
            return Run(
                tool=program.tool,
                runtime=program.runtime,
                name=_facts("answers", text).get("name"),
                drafts='"draft_n"' in text,
                figures=tuple(_averages(paces)),
            )
    return None


def _answers(program: _AnswerRules, text: str) -> list[dict[str, float]]:
    """The figures of each answer. A figure that an answer has already begins the next."""
    answers: list[dict[str, float]] = [{}]
    for match in re.finditer("|".join(program.figures), text, re.MULTILINE):
        name = str(match.lastgroup)
        if name in answers[-1]:
            answers.append({})
        if _NUMBER.fullmatch(match[name]):
            answers[-1][name] = float(match[name])
    return answers


def _timed(
    program: _AnswerRules,
    figures: Mapping[str, float],
    kind: str,
    tokens: int,
    depth_tokens: int | None,
) -> Iterator[_Timed]:
    """The pace of so many tokens, where the answer tells how long they took."""
    rate = figures.get(f"{kind}_rate")
    if rate:
        seconds = tokens / rate
    else:
        seconds = figures.get(f"{kind}_time", 0) / program.per_second
    if tokens and seconds:
        yield _Timed(
            kind=kind,
            tokens_per_second=tokens / seconds,
            tokens=tokens,
            depth_tokens=depth_tokens,
        )


# ---------------------------------------------------------------- vLLM


def _read_vllm(text: str) -> Run:
    """What vLLM loaded, and its pace with the number of requests that ran longest."""
    facts = _facts("vllm", text)
    where = HOST if "device_config=cpu" in text else ACCELERATORS
    figures: list[Figure] = []
    gib = facts.get("gib", "0")
    # of one of several devices it is a part
    if float(gib) and not expression("runs", "spread").search(text):
        half_of_last_place = 10 ** -len(gib.partition(".")[2]) / 2
        weights = Figure(
            subject="memory",
            term="weights",
            where=where,
            seen=_SCALES["GiB"] * float(gib),
            rounded=_SCALES["GiB"] * half_of_last_place,
        )
        figures.append(weights)
    rates = _rates_by_sequences(text)
    at_once = 1
    if rates:
        # of one alone where there is such a window, else of what most windows have
        if 1 not in rates:
            at_once = max(rates, key=lambda number: len(rates[number]))
        pace = median(rates[at_once])
        figures.append(Figure(term="decode", seen=pace, sequences=at_once))
    return Run(
        tool="vLLM log",
        runtime="vllm",
        name=facts.get("repository", "").replace("--", "/") or facts.get("name"),
        context_tokens=_amount(facts.get("context")),
        parallel=at_once,
        on_processor=where == HOST,
        cards=0 if where == HOST else 1,
        drafts="SpecDecoding metrics:" in text,
        figures=tuple(figures),
    )


def _rates_by_sequences(text: str) -> dict[int, list[float]]:
    """By how many requests ran, the tokens a second of each window in which the same number ran
    from start to end and no prompt was read.
    """
    rates: dict[int, list[float]] = {}
    before = 0
    for prompt_rate, rate, count in expression("runs", "window").findall(text):
        running = int(count)
        is_steady = running > 0 and running == before
        if is_steady and not float(prompt_rate) and float(rate):
            rates.setdefault(running, []).append(float(rate))
        before = running
    return rates


# ---------------------------------------------------------------- a process


def run_of_process(number: str) -> Run:
    """The options and the memory of that process. Raises `SelfhostError` for another program."""
    seen = process(number)
    if seen is None:
        raise refusal("runs", "no-process", number=number)
    facts = _USUAL_CACHE | _options(seen)
    file = seen.model_file or facts.get("file")
    if file is None and "name" not in facts:
        raise refusal("runs", "no-model-open", number=number)
    if file is not None:
        # one that was renamed or deleted since is mapped still
        facts["file"] = file.removesuffix(" (deleted)")
        with suppress(OSError, ValueError):
            facts["size"] = str(os.path.getsize(file))
    # -c is for all sequences together; without a number of them one cache serves all
    parallel = 1 if "unified" in facts else _amount(facts.get("parallel")) or 1
    # -c 0 is what the model was trained for
    context = _amount(facts.get("context")) or 0
    return _run_with(
        facts,
        "process",
        # a word of the command line of Ollama's runner
        runtime="ollama" if "runner" in seen.words[1:3] else "llama.cpp",
        context_tokens=context // parallel or None,
        parallel=parallel,
        on_processor=True if facts.get("gpu_layers") == "0" else None,
        drafts="draft" in facts,
        figures=tuple(_memory_of_process(seen)),
    )


def _memory_of_process(seen: Process) -> list[Figure]:
    """All of its memory; where it maps a file of a model, the pages of that file apart."""
    figures = [_memory(ALL_MEMORY, HOST, seen.memory_bytes)]
    if seen.model_file is not None:
        rest = seen.memory_bytes - seen.model_bytes
        mapped = _memory(MODEL_FILE, HOST, seen.model_bytes)
        return [mapped, _memory(EVERYTHING_ELSE, HOST, rest), *figures]
    return figures


def _options(seen: Process) -> dict[str, str]:
    """The facts that the options of a command line give; of several the last counts."""
    table = _table()
    names = {flag: name for name, flags in table.options.items() for flag in flags}
    facts: dict[str, str] = {}
    waiting: str | None = None
    for word in seen.words[1:]:
        flag, sign, value = word.partition("=")
        if waiting is not None:
            facts[waiting] = word
            waiting = None
        elif flag in table.switches:
            name, value = table.switches[flag]
            facts[name] = value
        elif flag in names and sign:
            facts[names[flag]] = value
        else:
            waiting = names.get(flag)
    return facts
