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
from functools import partial
from io import StringIO
from statistics import median
from typing import Any

from ..core.files import read_ends, text_of
from ..core.records import Record, Stated
from ..core.tables import expression, refusal, sentences, shipped_record
from ..core.units import GIB, MIB
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

_AMOUNT = re.compile(r"(\d{1,12}(?:\.\d{1,4})?) ?([KMGT]iB|[KMBT])?(?![\w.])")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")
# the parts read of a longer log: the start, where a model is loaded, and the end, with the last
# answers
_START_BYTES = 2 << 20
_END_BYTES = 4 << 20
# a server's log of years; a pipe may never end
MAX_LOG_BYTES = 8 << 30
# a log may have millions of lines; a row of a table is no longer
_LONGEST_ROW = 2000
Figures = list[Figure]
# the figures of one answer, by the names of `_AnswerRules`
Numbers = dict[str, float]
# a term of the needs, and where it lies
_Place = tuple[str, str]
# hears how many bytes were read, and of how many
Tell = Callable[[int, int | None], None]
# the terms of the needs by the words of llama.cpp's log for buffers that hold no weights
_TERMS = {"KV": "kv_cache", "RS": "recurrent_state", "compute": "compute"}
# a cache of llama.cpp has this type unless told
_USUAL_CACHE = {"keys": "f16", "values": "f16"}
# the compiled regular expression of one key of `[expressions]` in runs.toml
_pattern = partial(expression, "runs")


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
    `scales`: the factor of a unit. `signs`: words that say something of a log, and the `setup` of
    llama-bench. `bench`: by a column of llama-bench the fact that it holds. `options`: by a fact
    the options of a command line that give it; `switches`: by an option without a value the fact
    and its value. The last three sections are sentences.
    """

    facts: Mapping[str, tuple[str, ...]]
    expressions: Mapping[str, str]
    scales: Mapping[str, int]
    signs: Mapping[str, tuple[str, ...]]
    bench: Mapping[str, str]
    options: Mapping[str, tuple[str, ...]]
    switches: Mapping[str, tuple[str, ...]]
    answers: tuple[_AnswerRules, ...]
    why: Mapping[str, str]
    note: Mapping[str, str]
    refusal: Mapping[str, Mapping[str, str]]


def _table() -> _RunsTable:
    return shipped_record(_RunsTable, "runs")


def read_log(path: str, tell: Tell | None = None) -> str:
    """The text of a log; of a long log the start and the end. `tell` is called with the number of
    bytes read so far and the number of all. Raises `Unreadable`.
    """
    content = read_ends(
        path, _START_BYTES, _END_BYTES, limit_bytes=MAX_LOG_BYTES, tell=tell
    )
    # bytes that are no text, as of a letter cut in two, are replaced
    return text_of(content, "replace")


def run_of(text: str) -> Run | None:
    """The run that the output describes; None where no reader knows the output."""
    text = _pattern("colours").sub("", text)
    text = text.replace("\r", "")
    for read in (_read_bench, _read_answers, _read_log, _read_vllm):
        run = read(text)
        if run is not None and run.figures:
            return run
    return None


# ---------------------------------------------------------------- facts of any text


class _Facts(dict[str, str]):
    """The facts that a run tells of itself: a text for each name."""

    def amount(self, name: str) -> int | None:
        """`494.03 M` and `373 MiB` as numbers; None where the fact is no such number."""
        text = self.get(name, "")
        match = _AMOUNT.fullmatch(text.strip())
        if match is None:
            return None
        scale = _table().scales.get(match[2], 1)
        return round(float(match[1]) * scale)

    def count(self, name: str) -> int | None:
        """The amount; None for 0 as well, by which programs mean their default."""
        return self.amount(name) or None

    @property
    def is_context_shared(self) -> bool:
        """Whether all sequences share one context."""
        return self.get("kv_unified") == "true"

    @property
    def quantization(self) -> str | None:
        """`Q4_K - Medium` by the name of its files, Q4_K_M; None where no type is told."""
        match = _pattern("type").search(self.get("type", ""))
        if match is None:
            return None
        name = match[1]
        if match[2]:
            name += f"_{match[2][0]}"
        # llama.cpp calls this one medium, and files do not
        return "Q2_K" if name == "Q2_K_M" else name

    @property
    def cache_type(self) -> str | None:
        """The type of the KV cache, `q8_0:q4_0` of keys and values in two; None where it is not
        told.
        """
        keys = self.get("keys")
        if keys is None:
            return None
        # every log that tells the type of the keys tells the type of the values
        values = self["values"]
        return keys if keys == values else f"{keys}:{values}"


def _facts(kind: str, text: str) -> _Facts:
    """The facts that the expressions of that kind find; the last of several lines counts."""
    facts = _Facts()
    for pattern in _table().facts[kind]:
        for match in re.finditer(pattern, text, re.MULTILINE):
            found = match.groupdict()
            if "key" in found:
                # the line has the name of the fact, too
                facts[found["key"]] = found["value"].strip()
            else:
                facts.update(found)
    return facts


def _run_with(
    facts: _Facts,
    tool: str,
    **fields: Any,
) -> Run:
    """A run of llama.cpp or Ollama with the fields that the facts tell, and further `fields`."""
    return Run(
        tool=tool,
        version=facts.get("version"),
        file=facts.get("file"),
        name=facts.get("name"),
        quantization=facts.quantization,
        parameters=facts.amount("parameters"),
        file_bytes=facts.amount("size"),
        kv_cache_type=facts.cache_type,
        threads=facts.count("threads"),
        gpu_layers=facts.amount("gpu_layers"),
        experts_in_ram=facts.count("experts"),
        batch_tokens=facts.count("batch"),
        gpu=facts.get("gpu"),
        **fields,
    )


# ---------------------------------------------------------------- paces


def _most_telling(paces: Figures) -> Figures:
    """Of each kind the pace that tells most of what is predicted."""
    telling = []
    for kind in LEAST_TOKENS:
        timed = [pace for pace in paces if pace.term == kind]
        if timed:
            telling.append(max(timed, key=_weight))
    return telling


def _weight(pace: Figure) -> tuple[bool, bool, int]:
    """How much a pace tells: most of a request that ran alone, because requests at the same time
    slow each other; then of a prompt that follows no longer context; then of many tokens.
    """
    is_burdened = pace.term == "prompt" and pace.follows_longer_context
    return not pace.shared, not is_burdened, pace.timed_tokens


# ---------------------------------------------------------------- logs of llama.cpp


def _read_log(text: str) -> Run:
    """The run of the last model that llama-server, llama-cli or Ollama's runner loaded."""
    runtime = "ollama" if _has_sign(text, "ollama") else "llama.cpp"
    of_model, drafters = _pattern("drafter").subn("", text)
    # some facts, such as the version and the devices, stand before the model is loaded
    facts = _facts("llama.cpp", of_model)
    last_load = of_model.rfind("llama_model_loader: loaded meta data")
    since_load = of_model[max(0, last_load) :]
    buffers = _buffers(since_load)
    memory = _memory_of_buffers(buffers)
    accelerators = {buffer.device for buffer in buffers if buffer.where != HOST}
    paces = []
    for request in _requests(since_load):
        paces += request.paces()
    answers = [pace for pace in paces if pace.term == "decode"]
    shared = sum(pace.shared for pace in answers)
    figures = memory + _most_telling(paces)
    if not figures:
        figures = _rates_behind_answers(facts)
    holds = {
        "no-buffers": not memory,
        "drafter": drafters,
        "beside": 0 < shared < len(answers),
    }
    return _run_with(
        facts,
        f"{runtime} log",
        runtime=runtime,
        on_processor=not accelerators if memory else None,
        cards=len(accelerators),
        drafts=drafters > 0 or _has_sign(since_load, "drafts"),
        figures=tuple(figures),
        notes=sentences("runs", "note", holds, number=shared),
        output_tokens=_output_tokens(facts),
        **_sequences(facts),
    )


def _output_tokens(facts: _Facts) -> int | None:
    """The tokens of a batch for which the run has room for logits. Builds before
    ggml-org/llama.cpp#23861 (2026-05) have room for the whole batch, and do not tell it.
    """
    if "n_outputs_max" in facts:
        return facts.amount("n_outputs_max")
    return facts.amount("batch")


def _has_sign(text: str, fact: str) -> bool:
    """Whether the text has words that tell the fact, by `_RunsTable.signs`."""
    words = _table().signs[fact]
    return any(sign in text for sign in words)


def _rates_behind_answers(facts: _Facts) -> Figures:
    """The rates that llama-cli shows behind its last answer."""
    figures = []
    for kind in LEAST_TOKENS:
        rate = float(facts.get(kind, 0))
        if rate:
            figures.append(Figure(term=kind, seen=rate))
    return figures


def _sequences(facts: _Facts) -> dict[str, int | None]:
    """The fields of a run on its sequences: how many decode at once, with how many states, and the
    context of each. None where the run does not tell; a context of 0 tokens (-c 0) stands for as
    many as the model was trained for.
    """
    parallel = facts.amount("n_seq_max")
    context_tokens = facts.count("n_ctx_seq")
    states = 1
    if facts.is_context_shared:
        # the need counts all sequences as one, which has the states of all
        states = parallel or 1
        parallel = 1
        context_tokens = None
    # the context of all sequences together
    total_tokens = facts.count("n_ctx")
    if context_tokens is None and total_tokens is not None:
        context_tokens = total_tokens // (parallel or 1) or None
    return {"parallel": parallel, "states": states, "context_tokens": context_tokens}


class _Buffer(Record):
    """The memory that a device holds for one term of the needs; `kind` is the log's word for it,
    None in old logs.
    """

    device: str
    kind: str | None
    mib: float

    @property
    def term(self) -> str:
        """The term of the needs."""
        term = _TERMS.get(self.kind or "")
        if term is not None:
            return term
        if _pattern("repacked").search(self.device):
            return "repacked_weights"
        return "weights"

    @property
    def where(self) -> str:
        """HOST or ACCELERATORS."""
        is_host = _pattern("host").match(self.device)
        return HOST if is_host else ACCELERATORS


def _buffers(text: str) -> list[_Buffer]:
    """The buffers of a model and its context. Caches on one device are added up. Of other buffers
    of one term on one device the last counts, because a context that is made again prints its
    buffers again.
    """
    buffers: dict[_Place, _Buffer] = {}
    for match in _pattern("buffer").finditer(text):
        buffer = _Buffer(
            device=match["loaded_on"] or match["used_by"],
            kind=match["kind"],
            mib=float(match["mib"]),
        )
        place = buffer.term, buffer.device
        earlier = buffers.get(place)
        if earlier is not None and buffer.term == "kv_cache":
            both = earlier.mib + buffer.mib
            buffer = buffer.replace(mib=both)
        buffers[place] = buffer
    return list(buffers.values())


def _memory_of_buffers(buffers: Sequence[_Buffer]) -> Figures:
    """The bytes of each term on the host, and on all accelerators together."""
    sizes_by_place: dict[_Place, list[float]] = {}
    for buffer in buffers:
        place = buffer.term, buffer.where
        sizes = sizes_by_place.setdefault(place, [])
        sizes.append(buffer.mib)
    figures = []
    for (term, where), sizes in sizes_by_place.items():
        mib = sum(sizes)
        if mib:
            # a log prints hundredths of a MiB
            rounding = len(sizes) * MIB // 100
            figure = _memory(term, where, round(mib * MIB), rounding)
            figures.append(figure)
    return figures


def _memory(
    term: str,
    where: str,
    size: float,
    rounding: float = 0,
) -> Figure:
    """A figure of so many bytes, which may be off by `rounding`."""
    return Figure(
        subject="memory", term=term, where=where, seen=size, rounding=rounding
    )


def _pace_of_line(match: re.Match[str]) -> Figure:
    """The pace that a line of times tells. A printed rate of 1 and more has digits enough and is
    taken as printed: builds of 2026 count the first token of an answer among its tokens, but not in
    its rate.
    """
    tokens = int(match["tokens"])
    ms = float(match["ms"])
    rate = float(match["rate"] or 0)
    if rate < 1 and ms > 0:
        rate = 1000 * tokens / ms
    kind = "prompt" if match["kind"] == "prompt eval" else "decode"
    return Figure(term=kind, seen=rate, tokens=tokens)


class _Request:
    """What a text tells of one request.

    `timed` are the paces of the prompt and of the answer, by `prompt` and `decode`. `tokens_at_end`
    is the number of tokens in the context when the request ends; None where the text does not tell.
    `is_shared`: another request ran at the same time.
    """

    def __init__(self) -> None:
        self.timed: dict[str, Figure] = {}
        self.tokens_at_end: int | None = None
        self.is_shared = False

    def paces(self) -> Figures:
        """The pace of the prompt and of the answer, as far as the text has them, each with the
        tokens that stood in the context: before the prompt, and on average while it wrote.
        """
        read = self._tokens("prompt")
        written = self._tokens("decode")
        before = read
        if self.tokens_at_end is not None:
            before = self.tokens_at_end - written
        depths: dict[str, int | None] = {"prompt": max(0, before - read)}
        depths["decode"] = None
        if before > 0:
            depths["decode"] = before + written // 2
        paces = []
        for kind, depth in depths.items():
            pace = self.timed.get(kind)
            if pace is not None and pace.seen and pace.tokens:
                paces.append(pace.replace(depth_tokens=depth, shared=self.is_shared))
        return paces

    def _tokens(self, kind: str) -> int:
        """The tokens of the prompt or of the answer; 0 where the text has no time of these."""
        pace = self.timed.get(kind)
        return 0 if pace is None else pace.timed_tokens


def _requests(text: str) -> list[_Request]:
    """The requests that a log of llama.cpp tells of, in the order in which they begin.

    A task has one request after the other: a second pace of one kind begins the next. A program for
    one user writes no task, so that its requests are all of the task "".
    """
    requests = []
    latest: dict[str, _Request] = {}
    # tasks that share the machine
    running = set()
    task = ""
    for match in _pattern("event").finditer(text):
        # a line of times belongs to the task that the last `print_timing` named
        task = match["task"] or task
        event = match["event"]
        pace = _pace_of_line(match) if event is None else None
        request = latest.get(task)
        if request is None or (pace is not None and pace.term in request.timed):
            request = _Request()
            latest[task] = request
            requests.append(request)
        if pace is not None:
            request.timed[pace.term] = pace
        elif event == "launch_slot_":
            running.add(task)
            if len(running) > 1:
                for other in running:
                    latest[other].is_shared = True
        elif event == "release":
            running.discard(task)
            if match["tokens_at_end"]:
                request.tokens_at_end = int(match["tokens_at_end"])
    return requests


# ---------------------------------------------------------------- the table of llama-bench


class _BenchRow(Record):
    """A row of llama-bench's table: the cell of each fact, and the pace of the test."""

    cells: Mapping[str, str]
    pace: Figure

    @property
    def setup(self) -> list[str | None]:
        """The model and the options."""
        names = _table().signs["setup"]
        return [self.cells.get(name) for name in names]


def _read_bench(text: str) -> Run | None:
    """The run with the options of the first row with flash attention. It has each test of a prompt
    alone or an answer alone once.
    """
    rows = list(_bench_rows(text))
    if not rows:
        return None
    first = min(rows, key=_lacks_flash_attention)
    paces: dict[object, Figure] = {}
    for row in rows:
        if row.setup == first.setup:
            pace = row.pace
            test = pace.term, pace.tokens, pace.depth_tokens
            paces.setdefault(test, pace)
    left_out = len(rows) - len(paces)
    is_broken = _pattern("broken").search(text)
    holds = {"other-tests": left_out, "broken": is_broken}
    facts = _facts("llama-bench", text)
    facts.update(first.cells)
    return _run_with(
        facts,
        "llama-bench",
        on_processor=_ran_on_processor(first),
        figures=tuple(paces.values()),
        notes=sentences("runs", "note", holds, number=left_out),
    )


def _bench_rows(text: str) -> Iterator[_BenchRow]:
    """Yield each row with a pace. A text may hold several tables, each below its own head."""
    names = _table().bench
    head = []
    for line in StringIO(text):
        cells = _cells(line)
        if {"test", "t/s", "model"}.issubset(cells):
            head = [names.get(cell, cell) for cell in cells]
        elif len(cells) == len(head):
            row = dict(zip(head, cells, strict=True))
            pace = _tested_pace(row["test"], row["t/s"])
            if pace is not None:
                yield _BenchRow(cells=_USUAL_CACHE | row, pace=pace)


def _cells(line: str) -> list[str]:
    """The cells of a row of a table; one cell for a line that is no row."""
    row = line[:_LONGEST_ROW].strip()
    cells = row.strip("|").split("|")
    return [cell.strip() for cell in cells]


def _tested_pace(test: str, cell: str) -> Figure | None:
    """The pace of a test such as `tg128 @ d4096`; None for other tests, and without a rate."""
    match = _pattern("test").fullmatch(test)
    # `5.04 ± 0.26`, however the sign was decoded
    number, _, _ = cell.partition(" ")
    if match is None:
        return None
    if not _NUMBER.fullmatch(number):
        return None
    rate = float(number)
    if not rate:
        return None
    tokens = int(match["tokens"])
    depth = int(match["depth"] or 0)
    kind = "prompt"
    if match["kind"] == "tg":
        kind = "decode"
        depth += tokens // 2
    return Figure(term=kind, seen=rate, tokens=tokens, depth_tokens=depth)


def _lacks_flash_attention(row: _BenchRow) -> bool:
    """Whether the row was measured without flash attention, which is not what is predicted."""
    return row.cells.get("flash_attention") == "0"


def _ran_on_processor(row: _BenchRow) -> bool | None:
    """Whether no backend of the row used an accelerator; None where the row names no backend."""
    names = row.cells.get("backend", "")
    backends = set(re.findall("[^, ]+", names))
    if not backends:
        return None
    if row.cells.get("gpu_layers") == "0":
        return True
    return backends.issubset({"CPU", "BLAS"})


# ---------------------------------------------------------------- answers


def _read_answers(text: str) -> Run | None:
    """The run of the first program whose figures the text has, with the pace of the first prompt
    and of the longest answer; None for no such program.
    """
    for program in _table().answers:
        paces: Figures = []
        for figures in _figures_of_answers(program, text):
            of_answer = _answered(figures, program.per_second).paces()
            if paces:
                # Ollama counts later prompts with the tokens that its cache had already
                # (ollama/ollama#10860)
                of_answer = [pace for pace in of_answer if pace.term == "decode"]
            paces += of_answer
        if paces:
            return Run(
                tool=program.tool,
                runtime=program.runtime,
                name=_facts("answers", text).get("name"),
                drafts='"draft_n"' in text,
                figures=tuple(_most_telling(paces)),
            )
    return None


def _figures_of_answers(program: _AnswerRules, text: str) -> list[Numbers]:
    """The figures of each answer in a text, by the names of `_AnswerRules`. A second figure of one
    name begins the next answer.
    """
    answers: list[Numbers] = []
    expression = "|".join(program.figures)
    for match in re.finditer(expression, text, re.MULTILINE):
        name = str(match.lastgroup)
        if not answers or name in answers[-1]:
            answers.append({})
        answers[-1][name] = float(match[name])
    return answers


def _answered(figures: Numbers, per_second: int) -> _Request:
    """The request that these figures tell of; a time counts before a printed rate."""
    request = _Request()
    counts = {
        "prompt": int(figures.get("prompt", 0)),
        "decode": int(figures.get("tokens", 0)),
    }
    for kind, tokens in counts.items():
        rate = figures.get(f"{kind}_rate", 0)
        time = figures.get(f"{kind}_time", 0)
        if time:
            rate = tokens * per_second / time
        request.timed[kind] = Figure(term=kind, seen=rate, tokens=tokens)
    if counts["prompt"]:
        cached = int(figures.get("cached", 0))
        request.tokens_at_end = cached + sum(counts.values())
    return request


# ---------------------------------------------------------------- vLLM


def _read_vllm(text: str) -> Run:
    """The run in a log of vLLM: the weights, and the steadiest pace."""
    facts = _facts("vllm", text)
    name = facts.get("name")
    if "repository" in facts:
        name = facts["repository"].replace("--", "/")
    where = HOST if "device_config=cpu" in text else ACCELERATORS
    figures = []
    # of a model on several devices the log states only the weights on one of them
    is_spread = _pattern("spread").search(text) is not None
    if "gib" in facts and not is_spread:
        figures += _weights_of_vllm(facts["gib"], where)
    pace = _steadiest_pace(text)
    if pace is not None:
        figures.append(pace)
    return Run(
        tool="vLLM log",
        runtime="vllm",
        name=name,
        context_tokens=facts.amount("context"),
        parallel=1 if pace is None else pace.sequences,
        on_processor=where == HOST,
        cards=0 if where == HOST else 1,
        drafts="SpecDecoding metrics:" in text,
        figures=tuple(figures),
    )


def _weights_of_vllm(gib: str, where: str) -> Figures:
    """The bytes of the weights, which the log tells in GiB; [] for none."""
    _, _, decimals = gib.partition(".")
    rounding = GIB * 10 ** -len(decimals) / 2
    size = GIB * float(gib)
    if not size:
        return []
    return [_memory("weights", where, size, rounding)]


def _steadiest_pace(text: str) -> Figure | None:
    """The median pace of one request alone, else of the number of requests that ran in most
    windows; None where no window is steady.
    """
    rates = _rates_by_sequences(text)
    if not rates:
        return None
    at_once = 1
    if at_once not in rates:
        at_once = max(rates, key=lambda number: len(rates[number]))
    rate = median(rates[at_once])
    return Figure(term="decode", seen=rate, sequences=at_once)


def _rates_by_sequences(text: str) -> dict[int, list[float]]:
    """The decode rates in tokens per second by the number of running requests.

    A window counts if the same number of requests ran from start to end and no prompt was read.
    """
    rates: dict[int, list[float]] = {}
    before = 0
    for prompt_rate, rate, count in _pattern("window").findall(text):
        running = int(count)
        is_steady = running == before
        before = running
        reads_prompt = float(prompt_rate) > 0
        if not is_steady:
            continue
        if reads_prompt:
            continue
        pace = float(rate)
        if running and pace:
            rates.setdefault(running, []).append(pace)
    return rates


# ---------------------------------------------------------------- a process


def run_of_process(number: str) -> Run:
    """The options and the memory of that process. Raises `SelfhostError` for another program."""
    seen = process(number)
    if seen is None:
        raise refusal("runs", "no-process", number=number)
    facts = _options(seen)
    # the file that the process maps is the loaded file, whatever its options say
    file = seen.model_file or facts.get("file")
    if file is not None:
        # a file that was renamed or deleted stays mapped
        facts["file"] = file.removesuffix(" (deleted)")
        with suppress(OSError, ValueError):
            facts["size"] = str(os.path.getsize(file))
    elif "name" not in facts:
        raise refusal("runs", "no-model-open", number=number)
    # a program serves one sequence unless told
    facts["n_seq_max"] = str(facts.count("n_seq_max") or 1)
    # `ollama runner`, the program that Ollama starts for a model
    is_ollama = "runner" in seen.words[1:3]
    is_in_ram = facts.get("gpu_layers") == "0"
    return _run_with(
        facts,
        "process",
        runtime="ollama" if is_ollama else "llama.cpp",
        # layers may be asked for a GPU that the machine does not have
        on_processor=True if is_in_ram else None,
        drafts="draft" in facts,
        figures=tuple(_memory_of_process(seen)),
        **_sequences(facts),
    )


def _memory_of_process(seen: Process) -> Iterator[Figure]:
    """Yield the memory of a process; if the process maps a model's file, first the pages of that
    file and the rest of the memory.
    """
    total_bytes = seen.memory_bytes
    if seen.model_file is not None:
        mapped_bytes = seen.model_bytes
        yield _memory(MODEL_FILE, HOST, mapped_bytes)
        yield _memory(EVERYTHING_ELSE, HOST, total_bytes - mapped_bytes)
    yield _memory(ALL_MEMORY, HOST, total_bytes)


def _options(seen: Process) -> _Facts:
    """The facts that the options of a command line give; the last of equal options counts."""
    table = _table()
    names: dict[str, str] = {}
    for name, flags in table.options.items():
        names |= dict.fromkeys(flags, name)
    facts = _Facts(_USUAL_CACHE)
    words = iter(seen.words[1:])
    for word in words:
        flag, sign, value = word.partition("=")
        if flag in table.switches:
            name, value = table.switches[flag]
            facts[name] = value
        elif flag in names:
            # without `=` the value is the next word
            given = value if sign else next(words, None)
            if given is not None:
                facts[names[flag]] = given
    return facts
