"""One run of a model, as a log or a process tells it: llama.cpp's logs and benchmarks, answers of
Ollama and llama-server, vLLM's log, and the memory of a process. What each tells of a run stands as
expressions in `common/runs.toml`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from io import StringIO
from statistics import fmean, harmonic_mean, median
from typing import Any

from ..core.files import read_ends, text_of
from ..core.records import Record
from ..core.tables import expression, refusal, sentences, shipped_table
from ..machine.reader import process
from ..machine.record import Process

# terms of a process: sums of what the needs predict term by term
MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY = "model_file", "everything_else", "total"
PROCESS_TERMS = (MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY)
HOST, ACCELERATORS = "host", "accelerators"
# a program takes longer for the first tokens of an answer, and a short prompt is read one batch
# for the price of a longer one (llama-bench: 512 and 128 by default)
LEAST_TOKENS = {"decode": 8, "prompt": 32}
_SCALES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SCALES |= {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_AMOUNT = re.compile(r"(\d{1,12}(?:\.\d{1,4})?) ?([KMGT]iB|[KMBT])?(?![\w.])")
# of a longer log the start, where a model is loaded, and the end, where it answered last
_START_BYTES, _END_BYTES = 2 << 20, 4 << 20
# a server's log of years; a pipe may never end
MAX_LOG_BYTES = 8 << 30
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")
# ten days
_MOST_SECONDS = 864_000


class Figure(Record):
    """One figure of a run, and what is predicted for it.

    `subject` is memory (`seen` bytes of `term`, one of the needs or of PROCESS_TERMS, which lie
    on HOST or ACCELERATORS, `where`, all of them together) or pace (tokens per second; `term`
    is decode or prompt). A log rounds to `rounded`. Of a pace `tokens` were timed, on average of
    several requests, with `depth_tokens` in the context on average (of a prompt: before it); None
    where the run does not tell. `sequences` decoded at once, all together at that pace. `shared`:
    others were answered at the same time.

    `low`, `likely` and `high` are predicted, None where nothing could be; `inside` is None, with
    the reason in `why`, where the two cannot be compared.
    """

    subject: str = "pace"
    term: str
    where: str | None = None
    seen: float
    rounded: float = 0
    tokens: int | None = None
    depth_tokens: int | None = None
    sequences: int = 1
    shared: bool = False
    low: float | None = None
    likely: float | None = None
    high: float | None = None
    inside: bool | None = None
    why: str | None = None

    @property
    def unit(self) -> str:
        return "bytes" if self.subject == "memory" else "tokens_per_second"

    @property
    def difference(self) -> float | None:
        """Seen against likely: 0.1 is a tenth more; None where nothing is predicted."""
        return self.seen / self.likely - 1 if self.likely else None


class Run(Record):
    """One run of a model. None means that the log or the process does not tell.

    `file` and `name` are as the run wrote them: they find the model and go into no report.
    `parameters` may be rounded (`494.03 M`). `context_tokens` is per sequence. `states` are the
    sequences that share one cache, each with a recurrent state of its own. `experts_in_ram`: of so
    many of the first layers at most (`--n-cpu-moe`). `output_tokens` of a batch can have logits,
    and `batch_tokens` are computed at once (-ub). `gpu` is the name of hardware as the run wrote
    it, `cards` how many accelerators held something. `drafts`: a second model drafts tokens.
    `notes` are sentences about what the run does not tell.
    """

    tool: str
    runtime: str = "llama.cpp"
    version: str | None = None
    file: str | None = None
    name: str | None = None
    quantization: str | None = None
    parameters: int | None = None
    file_bytes: int | None = None
    context_tokens: int | None = None
    parallel: int | None = None
    states: int = 1
    kv_cache_type: str | None = None
    threads: int | None = None
    on_processor: bool | None = None
    gpu_layers: int | None = None
    experts_in_ram: int | None = None
    output_tokens: int | None = None
    batch_tokens: int | None = None
    gpu: str | None = None
    cards: int = 0
    drafts: bool = False
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


def _amount(text: str | None) -> int | None:
    match = _AMOUNT.fullmatch((text or "").strip())
    return None if match is None else round(float(match[1]) * _SCALES.get(match[2], 1))


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


def _facts(kind: str, text: str) -> dict[str, str]:
    """The named groups of the expressions, `value` by its `key`; of several lines the last."""
    facts: dict[str, str] = {}
    for pattern in shipped_table("runs")["facts"][kind]:
        for match in re.finditer(pattern, text, re.MULTILINE):
            groups = {
                key: value
                for key, value in match.groupdict().items()
                if value is not None
            }
            if "key" in groups:
                groups = {groups["key"]: groups["value"].strip()}
            facts |= groups
    return facts


def _run_with(facts: Mapping[str, str], tool: str, **fields: Any) -> Run:
    type = expression("runs", "type").search(facts.get("type", ""))
    name = "" if type is None else type[1] + (f"_{type[2][0]}" if type[2] else "")
    return Run(
        tool=tool,
        version=facts.get("version"),
        file=facts.get("file"),
        name=facts.get("name"),
        # what llama.cpp calls medium and its files are called without
        quantization={"": None, "Q2_K_M": "Q2_K"}.get(name, name),
        parameters=_amount(facts.get("parameters")),
        file_bytes=_amount(facts.get("size")),
        kv_cache_type=facts.get("keys")
        if facts.get("keys") == facts.get("values")
        else None,
        threads=_amount(facts.get("threads")) or None,
        gpu_layers=_amount(facts.get("gpu_layers")),
        experts_in_ram=_amount(facts.get("experts")) or None,
        batch_tokens=_amount(facts.get("batch")) or None,
        gpu=facts.get("gpu"),
        **fields,
    )


def _averaged(paces: Iterable[Figure]) -> Iterator[Figure]:
    """Of each kind all tokens over all their time; short ones only where there are no others."""
    paces = list(paces)
    for kind, least in LEAST_TOKENS.items():
        timed = [(each, each.tokens or 0) for each in paces if each.term == kind]
        timed = [each for each in timed if each[1] >= least] or timed
        if kind == "prompt":
            timed = [
                each for each in timed if (each[0].depth_tokens or 0) <= each[1]
            ] or timed
        if timed:
            # by their tokens the times and the depths are weighted
            figures, tokens = zip(*timed, strict=True)
            depths = [
                (each.depth_tokens, n)
                for each, n in timed
                if each.depth_tokens is not None
            ]
            yield figures[0].replace(
                seen=harmonic_mean([each.seen for each in figures], tokens),
                tokens=sum(tokens) // len(tokens),
                depth_tokens=round(fmean(*zip(*depths, strict=True)))
                if depths
                else None,
            )


_TERMS = {"KV": "kv_cache", "RS": "recurrent_state", "compute": "compute"}


def _read_log(text: str) -> Run | None:
    """The last model that llama-server, llama-cli or Ollama's runner loaded."""
    signs = shipped_table("runs")["signs"]
    runtime = "ollama" if any(map(text.__contains__, signs["ollama"])) else "llama.cpp"
    text, drafters = expression("runs", "drafter").subn("", text)
    facts = _facts("llama.cpp", text)
    text = text[max(0, text.rfind("llama_model_loader: loaded meta data")) :]
    memory, cards = _buffers(text)
    timed = _requests(text)
    alone = [pace for pace in timed if not pace.shared]
    paces = list(_averaged(alone or timed))
    if not memory and not paces:
        # what llama-cli shows behind its last answer
        rates = {kind: float(facts.get(kind, 0)) for kind in LEAST_TOKENS}
        paces = [Figure(term=kind, seen=rate) for kind, rate in rates.items() if rate]
    left_out = 0
    if alone:
        left_out = len(
            [pace for pace in timed if pace.shared and pace.term == "decode"]
        )
    context, sequences = _amount(facts.get("n_ctx")), _amount(facts.get("n_seq_max"))
    states, at_once = 1, sequences or 1
    if facts.get("kv_unified") == "true":
        # they share one cache
        sequences, states = 1, at_once
    else:
        context = _amount(facts.get("n_ctx_seq")) or (context and context // at_once)
    holds = {"no-buffers": not memory, "drafter": drafters, "beside": left_out}
    return _run_with(
        facts,
        f"{runtime} log",
        runtime=runtime,
        on_processor=not cards if memory else None,
        cards=cards,
        drafts=drafters > 0 or any(map(text.__contains__, signs["drafts"])),
        figures=(*memory, *paces),
        notes=sentences("runs", "note", holds, number=left_out),
        # builds before ggml-org/llama.cpp#23861 (2026-05) make room for those of a whole batch
        output_tokens=_amount(facts.get("n_outputs_max", facts.get("batch"))),
        context_tokens=context,
        parallel=sequences,
        states=states,
    )


def _buffers(text: str) -> tuple[tuple[Figure, ...], int]:
    """By term and place, and on how many accelerators; a context made again names its own anew."""
    sizes: dict[tuple[str, str], float] = {}
    is_host = expression("runs", "host")
    for loaded_on, used_by, kind, mib in expression("runs", "buffer").findall(text):
        device = loaded_on or used_by
        term = _TERMS.get(kind, "weights")
        if term == "weights" and expression("runs", "repacked").search(device):
            term = "repacked_weights"
        before = sizes.get((term, device), 0.0) if kind == "KV" else 0.0
        sizes[term, device] = before + float(mib) * _SCALES["MiB"]
    sums: dict[tuple[str, str], list[float]] = {}
    for (term, device), size in sizes.items():
        where = HOST if is_host.match(device) else ACCELERATORS
        sums.setdefault((term, where), []).append(size)
    memory = tuple(
        Figure(
            subject="memory",
            term=term,
            where=where,
            seen=round(sum(parts)),
            rounded=len(parts) * _SCALES["MiB"] // 100,
        )
        for (term, where), parts in sums.items()
        if sum(parts)
    )
    return memory, len({device for _, device in sizes if not is_host.match(device)})


def _requests(text: str) -> list[Figure]:
    """The paces of each request that a log of llama.cpp tells of."""
    requests: list[dict[str, Any]] = []
    # by its task the request that is answered; programs for one user write no task
    by_task: dict[str, dict[str, Any]] = {}
    running: set[str] = set()
    task = ""

    def begin(task: str) -> dict[str, Any]:
        by_task[task] = {}
        requests.append(by_task[task])
        return by_task[task]

    for match in expression("runs", "event").finditer(text):
        event = match["event"]
        task = match["task"] or task
        request = by_task.get(task)
        if request is None:
            request = begin(task)
        if event == "release":
            running.discard(task)
            if match["held"]:
                request["held"] = int(match["held"])
        elif event == "launch_slot_":
            running.add(task)
            if len(running) > 1:
                for other in running:
                    by_task[other]["shared"] = True
        elif not event:
            kind = "prompt" if match["kind"] == "prompt eval" else "decode"
            # a figure that a request has already begins the next
            if kind in request:
                request = begin(task)
            figures = (match[name] or 0 for name in ("tokens", "rate", "ms"))
            request[kind] = tuple(map(float, figures))
    return [pace for request in requests for pace in _paces(request)]


def _paces(request: Mapping[str, Any]) -> Iterator[Figure]:
    prompt, written = (int(request.get(kind, (0,))[0]) for kind in ("prompt", "decode"))
    # tokens that stood in the context before it wrote
    before = request["held"] - written if "held" in request else prompt
    at = {
        "prompt": max(0, before - prompt),
        "decode": before + written // 2 if before > 0 else None,
    }
    shared = "shared" in request
    for kind, depth in at.items():
        tokens, rate, ms = request.get(kind, (0.0, 0.0, 0.0))
        # builds of 2026 count the first token, and not its time: the rate printed does not
        rate = rate if rate >= 1 or not ms else 1000 * tokens / ms
        if tokens and rate:
            count = int(tokens)
            yield Figure(
                term=kind, seen=rate, tokens=count, depth_tokens=depth, shared=shared
            )


# what one run has of a row; another value is another test
_SAME = ("type", "parameters", "threads", "gpu_layers", "keys", "backend", "experts",
         "flash_attention")  # fmt: skip


def _read_bench(text: str) -> Run:
    """The tests of a prompt or an answer alone, with the options of the first row with flash
    attention, each counted once.
    """
    names, head = shipped_table("runs")["bench"], list[str]()
    rows, paces = list[dict[str, str]](), list[Figure]()
    for line in StringIO(text):
        # a log may have millions of lines that are no row
        if "|" not in line:
            continue
        cells = list(map(str.strip, line[:2000].strip().strip("|").split("|")))
        if {"test", "t/s", "model"} <= set(cells):
            head = [names.get(cell, cell) for cell in cells]
        elif len(cells) == len(head):
            row = {
                "keys": "f16",
                "values": "f16",
                **dict(zip(head, cells, strict=True)),
            }
            # `5.04 ± 0.26`, however the sign was decoded
            test, rate = (
                expression("runs", "test").fullmatch(row["test"]),
                row["t/s"].split(" ")[0],
            )
            if test and _NUMBER.fullmatch(rate) and float(rate):
                tokens, depth, is_prompt = (
                    int(test[2]),
                    int(test[3] or 0),
                    test[1] == "pp",
                )
                kind, at = (
                    ("prompt", depth) if is_prompt else ("decode", depth + tokens // 2)
                )
                rows.append(row)
                paces.append(
                    Figure(term=kind, seen=float(rate), tokens=tokens, depth_tokens=at)
                )
    first = min(rows, key=lambda row: row.get("flash_attention", "") == "0", default={})
    same: dict[tuple[str, int | None, int | None], Figure] = {}
    for row, pace in zip(rows, paces, strict=True):
        if all(row.get(key) == first.get(key) for key in _SAME):
            same.setdefault((pace.term, pace.tokens, pace.depth_tokens), pace)
    facts = _facts("llama-bench", text) | first
    backends = {*re.split(r"[, ]+", facts.get("backend", ""))} - {""}
    is_on_card = backends - {"CPU", "BLAS"} and facts.get("gpu_layers") != "0"
    left_out = len(rows) - len(same)
    holds = {
        "other-tests": left_out,
        "broken": expression("runs", "broken").search(text),
    }
    return _run_with(
        facts,
        "llama-bench",
        on_processor=not is_on_card if backends else None,
        figures=tuple(same.values()),
        notes=sentences("runs", "note", holds, number=left_out),
    )


def _read_answers(text: str) -> Run | None:
    """Of the first program whose figures the text holds: the first prompt, and each answer. Later
    prompts of Ollama are counted with what its cache held back (ollama/ollama#10860).
    """
    for program in shipped_table("runs")["answers"]:
        paces: list[Figure] = []
        # a figure that the answer has already begins the next
        answers: list[dict[str, float]] = [{}]
        for match in re.finditer("|".join(program["figures"]), text, re.MULTILINE):
            name = str(match.lastgroup)
            if name in answers[-1]:
                answers.append({})
            if _NUMBER.fullmatch(match[name]):
                answers[-1][name] = float(match[name])
        for number, fields in enumerate(answers):
            prompt, tokens = int(fields.get("prompt", 0)), int(fields.get("tokens", 0))
            depth = int(fields.get("cached", 0))
            within = depth + prompt + tokens // 2 if prompt else None
            for kind, count, at in (
                ("prompt", prompt, depth),
                ("decode", tokens, within),
            ):
                rate, time = fields.get(f"{kind}_rate"), fields.get(f"{kind}_time")
                seconds = count / rate if rate else (time or 0) / program["per_second"]
                is_later = kind == "prompt" and number > 0
                if count and 0 < seconds < _MOST_SECONDS and not is_later:
                    rate = count / seconds
                    paces.append(
                        Figure(term=kind, seen=rate, tokens=count, depth_tokens=at)
                    )
        if paces:
            return Run(
                tool=program["tool"],
                runtime=program["runtime"],
                name=_facts("answers", text).get("name"),
                drafts='"draft_n"' in text,
                figures=tuple(_averaged(paces)),
            )
    return None


def _read_vllm(text: str) -> Run | None:
    """The pace of windows in which the same requests ran from start to end and none was read."""
    facts, by_count, before = _facts("vllm", text), dict[int, list[float]](), 0
    for prompt, rate, count in expression("runs", "window").findall(text):
        running = int(count)
        if running and running == before and not float(prompt) and float(rate):
            by_count.setdefault(running, []).append(float(rate))
        before = running
    at_once = max(
        by_count, key=lambda number: (number == 1, len(by_count[number])), default=1
    )
    where = HOST if "device_config=cpu" in text else ACCELERATORS
    gib = facts.get("gib", "0")
    figures: list[Figure] = []
    # of one of several devices it is a part
    if float(gib) and not expression("runs", "spread").search(text):
        rounded, size = 10 ** -len(gib.partition(".")[2]) / 2, float(gib)
        size, rounded = (_SCALES["GiB"] * each for each in (size, rounded))
        figures.append(
            Figure(
                subject="memory",
                term="weights",
                where=where,
                seen=size,
                rounded=rounded,
            )
        )
    if by_count:
        pace = median(by_count[at_once])
        figures.append(Figure(term="decode", seen=pace, sequences=at_once))
    return Run(
        tool="vLLM log",
        runtime="vllm",
        name=facts.get("repository", "").replace("--", "/") or facts.get("name"),
        context_tokens=_amount(facts.get("context")),
        parallel=at_once,
        on_processor=where == HOST,
        cards=int(where != HOST),
        drafts="SpecDecoding metrics:" in text,
        figures=tuple(figures),
    )


def run_of_process(number: str) -> Run:
    """The options and the memory of that process. Raises `SelfhostError` for another program."""
    seen = process(number)
    if seen is None:
        raise refusal("runs", "no-process", number=number)
    sizes = {ALL_MEMORY: seen.memory_bytes}
    if seen.model_file is not None:
        # pages of the model's file apart, where it is mapped
        rest = seen.memory_bytes - seen.model_bytes
        sizes = {MODEL_FILE: seen.model_bytes, EVERYTHING_ELSE: rest, **sizes}
    facts = {"keys": "f16", "values": "f16", **dict(_options(seen))}
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
    return _run_with(
        facts,
        "process",
        # a word of the command line of Ollama's runner
        runtime="ollama" if "runner" in seen.words[1:3] else "llama.cpp",
        # -c 0 is what the model was trained for
        context_tokens=(_amount(facts.get("context")) or 0) // parallel or None,
        parallel=parallel,
        on_processor=True if facts.get("gpu_layers") == "0" else None,
        drafts="draft" in facts,
        figures=tuple(
            Figure(subject="memory", term=term, where=HOST, seen=size)
            for term, size in sizes.items()
        ),
    )


def _options(seen: Process) -> Iterator[tuple[str, str]]:
    table = shipped_table("runs")
    names = {flag: name for name, flags in table["options"].items() for flag in flags}
    waiting: str | None = None
    for word in seen.words[1:]:
        flag, sign, value = word.partition("=")
        if waiting is not None:
            yield waiting, word
            waiting = None
        elif flag in table["switches"]:
            yield table["switches"][flag]
        elif flag in names and sign:
            yield names[flag], value
        else:
            waiting = names.get(flag)
