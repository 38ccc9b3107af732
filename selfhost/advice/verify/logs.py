"""The outputs that are read: llama.cpp's logs and benchmarks, answers of Ollama and llama-server,
and vLLM's log. What each tells of a run stands as expressions in `common/runs.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from ...core.tables import shipped_table
from .run import ACCELERATORS, HOST, Run, SeenMemory, SeenPace, amount, notes

# a program takes longer for the first tokens of an answer, and a short prompt is read one batch
# for the price of a longer one (llama-bench: 512 and 128 by default)
LEAST_TOKENS = {"decode": 8, "prompt": 32}
_MIB, _GIB = 1 << 20, 1 << 30
# of a longer text the start, where a model is loaded, and the end, where it answered last
_START, _END = 2 << 20, 4 << 20
# what colours a terminal: a log that was copied from one, or written with --log-colors on
_COLOURS = re.compile("\x1b\\[[0-9;]{0,40}[A-Za-z]")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")
# ten days
_MOST_SECONDS = 864_000
# llama.cpp's file types: `Q4_K - Medium` (llama_model_ftype_name)
_TYPE = re.compile(
    r"\b((?:I?Q|TQ|MXFP|NVFP|F|BF)\d+(?:_[A-Z0-9]+)*)(?: - (Small|Medium|Large))?(?![\w-])"
)


def run_of(text: str) -> Run | None:
    """What the output tells of its run; None where no reader knows it."""
    if len(text) > _START + _END:
        text = f"{text[:_START]}\n{text[-_END:]}"
    text = _COLOURS.sub("", text).replace("\r", "")
    for read in (_read_bench, _read_answers, _read_log, _read_vllm):
        run = read(text)
        if run is not None and (run.memory or run.paces):
            return run
    return None


def _facts(kind: str, text: str) -> dict[str, str]:
    """The named groups of the expressions for that kind of text; the last line that tells a fact
    counts, and `key` and `value` stand for a fact called by its key.
    """
    facts: dict[str, str] = {}
    for expression in shipped_table("runs")["facts"][kind]:
        for match in re.finditer(expression, text, re.MULTILINE):
            groups = {key: value for key, value in match.groupdict().items() if value is not None}
            if "key" in groups:
                groups = {groups["key"]: groups["value"].strip()}
            facts |= groups
    return facts


def _run_with(facts: Mapping[str, str], tool: str, **fields: Any) -> Run:
    """A run with the fields that the log and the tests of llama.cpp tell alike."""
    type = _TYPE.search(facts.get("type", ""))
    name = "" if type is None else type[1] + (f"_{type[2][0]}" if type[2] else "")
    gpus = {facts[key] for key in ("cuda_gpu", "vulkan_gpu") if key in facts}
    return Run(
        tool=tool,
        version=facts.get("version"),
        file=facts.get("file"),
        name=facts.get("name"),
        # what llama.cpp calls medium and its files are called without
        quantization={"": None, "Q2_K_M": "Q2_K"}.get(name, name),
        parameters=amount(facts.get("parameters")),
        file_bytes=amount(facts.get("size")),
        kv_cache_type=facts.get("keys") if facts.get("keys") == facts.get("values") else None,
        threads=amount(facts.get("threads")) or None,
        gpu_layers=amount(facts.get("gpu_layers")),
        batch_tokens=amount(facts.get("batch")),
        gpu=facts.get("gpu_info") or (gpus.pop() if len(gpus) == 1 else None),
        **fields,
    )


def _averaged(paces: Iterable[SeenPace], **marks: bool) -> tuple[SeenPace, ...]:
    """Of each kind all tokens over all their time, at the depth of the average token. Those of
    fewer tokens than a pace needs, and prompts behind a longer one that was cached, count only
    where there are no others.
    """
    paces = list(paces)
    return tuple(
        _average([pace for pace in paces if pace.kind == kind]).replace(**marks)
        for kind in LEAST_TOKENS
        if any(pace.kind == kind for pace in paces)
    )


def _average(paces: Sequence[SeenPace]) -> SeenPace:
    first = paces[0]
    timed = [(pace, pace.tokens or 0) for pace in paces]
    timed = [each for each in timed if each[1] >= LEAST_TOKENS[first.kind]] or timed
    if first.kind == "prompt":
        timed = [each for each in timed if (each[0].depth_tokens or 0) <= each[1]] or timed
    total = sum(tokens for _, tokens in timed)
    deep = [(p.depth_tokens, tokens) for p, tokens in timed if p.depth_tokens is not None]
    depth = sum(at * tokens for at, tokens in deep)
    return first.replace(
        tokens_per_second=total / sum(n / pace.tokens_per_second for pace, n in timed),
        tokens=total // len(timed),
        depth_tokens=round(depth / sum(n for _, n in deep)) if deep else None,
    )


# ------------------------------------------------------------------ the log of llama.cpp

# load_tensors: CPU_Mapped model buffer size = 373.71 MiB; builds of 2024 and before have it behind
# llm_load_tensors without a word for what it is
_BUFFER = re.compile(
    r"(?:llm_load_tensors: +(\S{1,40})|(\S{1,40}) (model|KV|RS|compute)) buffer size ="
    r" +(\d{1,9}(?:\.\d{1,4})?) MiB"
)
_TERMS = {"KV": "kv_cache", "RS": "recurrent_state", "compute": "compute"}
_REPACKED = re.compile(r"(?:^|_)(?:REPACK|AARCH64|AMX)$")
# a model that drafts, or a context for the layers of the model that do, until the next thing
_DRAFTER = re.compile(
    r"(?:loading draft model|creating MTP draft context).*?"
    r"(?=loading model '|load_model: initializing|slot +\w+: id|\Z)",
    re.DOTALL,
)
_DRAFTS = ("draft acceptance", "speculative decoding context initialized")
_RUNNER = ("ollama runner", "starting go runner", "llama runner started", " ollama[")
# builds of 2025 and before call the tokens n_past
_EVENT = re.compile(
    r"slot +(?P<event>launch_slot_|release|print_timing): id +\d{1,6} \| task (?P<task>\d{1,12}) \|"
    r"(?: stop processing: n_(?:tokens|past) = (?P<held>\d{1,9}))?"
    r"|(?P<kind>prompt eval|[ :|]eval) time += +(?P<ms>\d{1,12}(?:\.\d{1,4})?) ms /"
    r" +(?P<tokens>\d{1,9}) (?:tokens|runs)"
    r"(?: +\( *\d{1,9}\.\d{2} ms per token, +(?P<rate>\d{1,9}\.\d{2}) tokens per second)?"
)


def _read_log(text: str) -> Run | None:
    """The last model that llama-server, llama-cli or Ollama's runner loaded; None where the log
    shows neither buffers nor timings.
    """
    runtime = "ollama" if any(word in text for word in _RUNNER) else "llama.cpp"
    text, drafters = _DRAFTER.subn("", text)
    facts = _facts("llama.cpp", text)
    text = text[max(0, text.rfind("llama_model_loader: loaded meta data")) :]
    memory, cards = _buffers(text)
    requests = [each for each in _requests(text) if each.keys() & LEAST_TOKENS.keys()]
    alone = [each for each in requests if "shared" not in each]
    paces = _averaged(
        [pace for each in alone or requests for pace in _paces(each)],
        drafted=drafters > 0 or any(sign in text for sign in _DRAFTS),
        shared=not alone,
    )
    if not memory and not paces:
        # what llama-cli shows behind its last answer
        rates = {kind: float(facts.get(kind, 0)) for kind in LEAST_TOKENS}
        paces = tuple(SeenPace(kind=kind, tokens_per_second=r) for kind, r in rates.items() if r)
    holds = {
        "no-buffers": not memory,
        "drafter": drafters,
        "beside": 0 < len(alone) < len(requests),
    }
    return _run_with(
        facts,
        f"{runtime} log",
        runtime=runtime,
        on_processor=not cards if memory else None,
        cards=cards,
        paces=paces,
        memory=memory,
        notes=notes(holds, number=len(requests) - len(alone)),
        **_room(facts),
    )


def _room(facts: Mapping[str, str]) -> dict[str, int | None]:
    """Tokens of context per sequence, the sequences, and how many of them share one cache: a
    unified one is for all.
    """
    context, sequences = amount(facts.get("n_ctx")), amount(facts.get("n_seq_max"))
    # builds before ggml-org/llama.cpp#23861 (2026-05) make room for those of a whole batch
    outputs = amount(facts.get("n_outputs_max", facts.get("batch")))
    if facts.get("kv_unified") == "true":
        shared = {"context_tokens": context, "parallel": 1, "states": sequences or 1}
        return {**shared, "output_tokens": outputs}
    own = amount(facts.get("n_ctx_seq"))
    if own is None and context is not None:
        own = context // (sequences or 1)
    return {"context_tokens": own, "parallel": sequences, "output_tokens": outputs}


def _buffers(text: str) -> tuple[tuple[SeenMemory, ...], int]:
    """The buffers by term and place, and the accelerators that they lie on. A context that is made
    again names its buffers again; a window has a cache of its own.
    """
    sizes: dict[tuple[str, str], float] = {}
    for loaded, device, kind, mib in _BUFFER.findall(text):
        device, term = loaded or device, _TERMS.get(kind, "weights")
        if term == "weights" and _REPACKED.search(device):
            term = "repacked_weights"
        before = sizes.get((term, device), 0.0) if kind == "KV" else 0.0
        sizes[term, device] = before + float(mib) * _MIB
    sums: dict[tuple[str, str], list[float]] = {}
    devices = set()
    for (term, device), size in sizes.items():
        is_host = device.startswith("CPU") or device.endswith("_Host")
        if not is_host and device not in ("Host", "BLAS", "AMX"):
            devices.add(device)
        sums.setdefault((term, ACCELERATORS if device in devices else HOST), []).append(size)
    memory = tuple(
        SeenMemory(
            term=term, bytes=round(sum(parts)), where=where, rounded_bytes=len(parts) * _MIB // 100
        )
        for (term, where), parts in sums.items()
        if sum(parts)
    )
    return memory, len(devices)


def _requests(text: str) -> list[dict[str, Any]]:
    """The requests of a server by their task; of another program one after the other. Of each kind
    the tokens and their pace; `held` tokens stood in the context when it ended, and `shared`:
    others were answered at the same time.
    """
    by_task: dict[str, dict[str, Any]] = {}
    running: set[str] = set()
    task = ""
    for match in _EVENT.finditer(text):
        event, task = match["event"], match["task"] or task
        request = by_task.setdefault(task, {})
        if event == "release":
            running.discard(task)
            request |= {"held": int(match["held"])} if match["held"] else {}
        elif event == "launch_slot_":
            running.add(task)
            for other in running if len(running) > 1 else ():
                by_task[other]["shared"] = True
        elif not event:
            kind = "prompt" if match["kind"] == "prompt eval" else "decode"
            if kind in request:
                task += "'"
            by_task.setdefault(task, {})[kind] = _timing(match)
    return list(by_task.values())


def _timing(match: re.Match[str]) -> tuple[int, float]:
    """Tokens and their pace. Builds of 2026 count the first token, and not its time: the rate
    printed does not.
    """
    tokens, rate, ms = int(match["tokens"]), float(match["rate"] or 0), float(match["ms"])
    return tokens, rate if rate >= 1 or not ms else 1000 * tokens / ms


def _paces(request: Mapping[str, Any]) -> Iterator[SeenPace]:
    prompt, written = (request.get(kind, (0, 0))[0] for kind in ("prompt", "decode"))
    before = request["held"] - written if "held" in request else prompt
    depths = {
        "prompt": max(0, before - prompt),
        "decode": before + written // 2 if before > 0 else None,
    }
    for kind, depth in depths.items():
        tokens, rate = request.get(kind, (0, 0.0))
        if tokens and rate:
            yield SeenPace(kind=kind, tokens_per_second=rate, tokens=tokens, depth_tokens=depth)


# ------------------------------------------------------------------ llama-bench

# pp512, tg128, each with @ d4096; builds of 2023 and 2024 write pp 512
_TEST = re.compile(r"(pp|tg) ?(\d{1,9})(?: @ d(\d{1,9}))?")
_RATE = re.compile(r"\d{1,12}(?:\.\d{1,9})?")
_TESTED = ("n_prompt", "n_gen", "n_depth")
# what one run has of a row; another value is another test
_SAME = (
    *("file", "type", "parameters", "threads", "gpu_layers", "keys", "backend", "experts"),
    "flash_attention",
)


def _read_bench(text: str) -> Run | None:
    """Its tests of one model with the same options, the first row's, but with flash attention where
    both were tried (`-fa 0,1`), for predicted is with it. A test that stands there twice is of
    another run, as with another GPU. None where it has none with a number.
    """
    rows = [row for row in (*_bench_records(text), *_bench_table(text)) if _bench_pace(row)]
    if not rows:
        return None
    rows.sort(key=lambda row: row.get("flash_attention", "") in ("0", "off"))
    same = [row for row in rows if all(row.get(key) == rows[0].get(key) for key in _SAME)]
    same = list({tuple(map(row.get, _TESTED)): row for row in reversed(same)}.values())[::-1]
    facts = {**_facts("llama-bench", text), **{k: v for k, v in same[0].items() if v}}
    backends = tuple(name for name in re.split(r"[, ]+", facts.get("backend", "")) if name)
    is_on_card = set(backends) - {"CPU", "BLAS"} and facts.get("gpu_layers") != "0"
    left_out = len(rows) - len(same)
    return _run_with(
        facts,
        "llama-bench",
        on_processor=not is_on_card if backends else None,
        experts_in_ram=amount(facts.get("experts")) or None,
        backends=backends,
        paces=tuple(pace for row in same if (pace := _bench_pace(row))),
        notes=notes({"other-tests": left_out}, number=left_out),
    )


def _bench_records(text: str) -> Iterator[dict[str, str]]:
    """The objects of `-o json` and `-o jsonl`, none of which holds another."""
    import json

    names = shipped_table("runs")["bench"]
    for part in re.findall(r"\{[^{}]{1,20000}\}", text):
        try:
            record = json.loads(part)
        except ValueError:
            continue
        if {"model_filename", "n_prompt", "n_gen", "avg_ts"} <= record.keys():
            switches = {True: "on", False: "off"}
            yield {
                names.get(key, key): switches[value] if isinstance(value, bool) else str(value)
                for key, value in record.items()
            }


def _bench_table(text: str) -> Iterator[dict[str, str]]:
    """The rows of the default output, a table in Markdown, as records."""
    names = shipped_table("runs")["bench"]
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line[:2000].strip().strip("|").split("|")]
        if {"test", "t/s", "model"} <= set(cells):
            head = [names.get(cell, cell) for cell in cells]
        elif len(cells) == len(head):
            row = dict(zip(head, cells, strict=True))
            if test := _TEST.fullmatch(row["test"]):
                kind = "n_prompt" if test[1] == "pp" else "n_gen"
                # `5.04 ± 0.26`, however the sign was decoded
                rate = row["t/s"].partition(" ")[0]
                numbers = {kind: test[2], "n_depth": test[3] or "0", "avg_ts": rate}
                yield {"keys": "f16", "values": "f16", **row, **numbers}


def _bench_pace(row: dict[str, str]) -> SeenPace | None:
    """None of a test of a prompt and an answer, which is neither pace, or without a number."""
    prompt, written = amount(row.get("n_prompt")) or 0, amount(row.get("n_gen")) or 0
    depth, rate = amount(row.get("n_depth")) or 0, row["avg_ts"]
    if bool(prompt) == bool(written) or not _RATE.fullmatch(rate) or not float(rate):
        return None
    return SeenPace(
        kind="prompt" if prompt else "decode",
        tokens_per_second=float(rate),
        tokens=prompt or written,
        depth_tokens=depth + written // 2,
    )


# ------------------------------------------------------------------ answers


def _read_answers(text: str) -> Run | None:
    """The answers of the first program whose figures the text holds; None where there is none."""
    name = _facts("answers", text).get("name")
    for program in shipped_table("runs")["answers"]:
        answers = list(_answers(program, text))
        paces = _averaged(_timed(program, answers), drafted='"draft_n"' in text)
        if paces:
            runtime = program["runtime"]
            return Run(tool=program["tool"], runtime=runtime, name=name, paces=paces)
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


def _timed(program: Mapping[str, Any], answers: Sequence[dict[str, float]]) -> Iterator[SeenPace]:
    """Reading the first prompt and writing each answer, with what stood in the context: later
    prompts of Ollama are counted with what its cache held back (ollama/ollama#10860).
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
                pace = count / seconds
                yield SeenPace(kind=kind, tokens_per_second=pace, tokens=count, depth_tokens=at)


# ------------------------------------------------------------------ vLLM

# a window in which a prompt is read tells nothing of it before the prompt ends; its pace is below
# this share of the fastest
_LEAST_SHARE = 0.5
_SPREAD = re.compile(r"\b(?:tensor|pipeline)_parallel_size(?:'?: ?|=)(?!1\b)\d")
_WINDOW = re.compile(
    r"Avg prompt throughput: (\d{1,9}\.\d) tokens/s, Avg generation throughput: "
    r"(\d{1,9}\.\d) tokens/s, Running: (\d{1,6}) reqs"
)


def _read_vllm(text: str) -> Run | None:
    """Whole windows of its log with one request, or as many as most had, and what the model took;
    neither where the log shows none.
    """
    facts, windows = _facts("vllm", text), list(_windows(text))
    counts = [running for running, _ in windows]
    # one request alone is what the predicted pace is of
    at_once = max(counts, key=lambda number: (number == 1, counts.count(number)), default=1)
    rates = [rate for running, rate in windows if running == at_once]
    rates = [rate for rate in rates if rate >= _LEAST_SHARE * max(rates)]
    paces = SeenPace(
        kind="decode",
        tokens_per_second=median(rates or [0.0]),
        sequences=at_once,
        drafted="SpecDecoding metrics:" in text,
    )
    where = HOST if "device_config=cpu" in text else ACCELERATORS
    gib = facts.get("gib", "0")
    weights = SeenMemory(
        term="weights",
        bytes=round(float(gib) * _GIB),
        where=where,
        rounded_bytes=_GIB // 10 ** len(gib.partition(".")[2]) // 2,
    )
    return Run(
        tool="vLLM log",
        runtime="vllm",
        name=facts.get("repository", "").replace("--", "/") or facts.get("name"),
        context_tokens=amount(facts.get("context")),
        parallel=at_once,
        on_processor=where == HOST,
        cards=int(where != HOST),
        paces=(paces,) if rates else (),
        # of one of several devices it is a part
        memory=(weights,) if weights.bytes and not _SPREAD.search(text) else (),
    )


def _windows(text: str) -> Iterator[tuple[int, float]]:
    """Requests and pace of each stretch in which the same ones ran from its start to its end, and
    no prompt was read.
    """
    before = 0
    for prompt, rate, count in _WINDOW.findall(text):
        running = int(count)
        if running and running == before and not float(prompt) and float(rate):
            yield running, float(rate)
        before = running
