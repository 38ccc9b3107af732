"""The log of llama-server, of llama-cli and of Ollama's runner, which is llama.cpp too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ...core.tables import shipped_table
from .run import ACCELERATORS, HOST, Run, SeenMemory, SeenPace, Timed, paces_of

MIB = 1 << 20
_SCALES = {"KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30, "TiB": 1 << 40}
_SCALES |= {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_AMOUNT = re.compile(r"(\d{1,12}(?:\.\d{1,4})?) ?([KMGT]iB|[KMBT])?(?![\w.])")
# llama.cpp's file types: `Q4_K - Medium` (llama_model_ftype_name)
_TYPE = re.compile(
    r"\b((?:I?Q|TQ|MXFP|NVFP|F|BF)\d+(?:_[A-Z0-9]+)*)(?: - (Small|Medium|Large))?(?![\w-])"
)
SWITCHES = {"0": False, "false": False, "disabled": False, "off": False}
SWITCHES |= {"1": True, "true": True, "enabled": True, "on": True}
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


def facts_of(kind: str, text: str) -> dict[str, str]:
    """The named groups of the expressions for that kind of text in `common/runs.toml`; the last
    line that tells a fact counts, and `key` and `value` stand for a fact called by its key.
    """
    facts: dict[str, str] = {}
    for expression in shipped_table("runs")["facts"][kind]:
        for match in re.finditer(expression, text, re.MULTILINE):
            groups = {key: value for key, value in match.groupdict().items() if value is not None}
            if "key" in groups:
                groups = {groups["key"]: groups["value"].strip()}
            facts |= groups
    return facts


def amount(text: str) -> int | None:
    """`373.71 MiB` -> bytes, `494.03 M` -> 494,030,000, `8192`; None for another shape."""
    match = _AMOUNT.fullmatch(text.strip())
    return None if match is None else round(float(match[1]) * _SCALES.get(match[2], 1))


def run_with(facts: Mapping[str, str]) -> Run:
    """A run with the fields that the log and the tests of llama.cpp tell alike."""
    type = _TYPE.search(facts.get("type", ""))
    name = "" if type is None else type[1] + (f"_{type[2][0]}" if type[2] else "")
    gpus = {facts[key] for key in ("cuda_gpu", "vulkan_gpu") if key in facts}
    return Run(
        tool="",
        version=facts.get("version"),
        file=facts.get("file"),
        name=facts.get("name"),
        # what llama.cpp calls medium and its files are called without
        quantization={"": None, "Q2_K_M": "Q2_K"}.get(name, name),
        parameters=amount(facts.get("parameters", "")),
        file_bytes=amount(facts.get("size", "")),
        kv_cache_type=facts.get("keys") if facts.get("keys") == facts.get("values") else None,
        threads=amount(facts.get("threads", "")) or None,
        gpu_layers=amount(facts.get("gpu_layers", "")),
        batch_tokens=amount(facts.get("batch", "")),
        flash_attention=SWITCHES.get(facts.get("flash_attention", "")),
        gpu=facts.get("gpu_info") or (gpus.pop() if len(gpus) == 1 else None),
    )


def read_log(text: str) -> Run | None:
    """The last model that was loaded; None where the log shows neither buffers nor timings."""
    runtime = "ollama" if any(word in text for word in _RUNNER) else "llama.cpp"
    text, drafters = _DRAFTER.subn("", text)
    facts = facts_of("llama.cpp", text)
    text = text[max(0, text.rfind("llama_model_loader: loaded meta data")) :]
    memory, cards = _memory(text)
    requests = [each for each in _requests(text) if each.timed]
    alone = [each for each in requests if not each.shared]
    notes = {
        note("no-buffers"): not memory,
        note("drafter"): drafters,
        note("beside", number=len(requests) - len(alone)): 0 < len(alone) < len(requests),
    }
    paces = paces_of(
        [test for each in alone or requests for test in each.tests()],
        drafted=drafters > 0 or any(sign in text for sign in _DRAFTS),
        shared=not alone,
    )
    if not memory and not (paces := paces or _of_chat(facts)):
        return None
    return run_with(facts).replace(
        tool=f"{runtime} log",
        runtime=runtime,
        architecture=facts.get("arch"),
        on_processor=not cards if memory else None,
        cards=cards,
        paces=paces,
        memory=memory,
        notes=tuple(text for text, holds in notes.items() if holds),
        **_room(facts),
    )


def _of_chat(facts: Mapping[str, str]) -> tuple[SeenPace, ...]:
    """The rates that llama-cli shows behind its last answer."""
    rates = {kind: float(facts.get(kind, 0)) for kind in ("prompt", "decode")}
    return tuple(
        SeenPace(kind=kind, tokens_per_second=rate) for kind, rate in rates.items() if rate
    )


def _room(facts: Mapping[str, str]) -> dict[str, int | None]:
    """Tokens of context per sequence, the sequences, and how many of them share one cache: a
    unified one is for all.
    """
    context, sequences = amount(facts.get("n_ctx", "")), amount(facts.get("n_seq_max", ""))
    room: dict[str, int | None] = {
        # builds before ggml-org/llama.cpp#23861 (2026-05) make room for those of a whole batch
        "output_tokens": amount(facts.get("n_outputs_max", facts.get("batch", ""))),
        "context_tokens": context,
        "parallel": sequences,
    }
    if facts.get("kv_unified") == "true":
        return {**room, "parallel": 1, "states": sequences or 1}
    own = amount(facts.get("n_ctx_seq", ""))
    if own is None and context is not None:
        own = context // (sequences or 1)
    return {**room, "context_tokens": own}


def note(key: str, **figures: int) -> str:
    return str(shipped_table("runs")["note"][key]).format(**figures)


def _memory(text: str) -> tuple[tuple[SeenMemory, ...], int]:
    """The buffers by term and place, and the accelerators that they lie on. A context that is made
    again names its buffers again; a window has a cache of its own.
    """
    sizes: dict[tuple[str, str], float] = {}
    for loaded, device, kind, mib in _BUFFER.findall(text):
        device, term = loaded or device, _TERMS.get(kind, "weights")
        if term == "weights" and _REPACKED.search(device):
            term = "repacked_weights"
        before = sizes.get((term, device), 0.0) if kind == "KV" else 0.0
        sizes[term, device] = before + float(mib) * MIB
    sums: dict[tuple[str, str], list[float]] = {}
    devices = set()
    for (term, device), size in sizes.items():
        is_host = device.startswith("CPU") or device.endswith("_Host")
        if not is_host and device not in ("Host", "BLAS", "AMX"):
            devices.add(device)
        sums.setdefault((term, ACCELERATORS if device in devices else HOST), []).append(size)
    memory = tuple(
        SeenMemory(
            term=term, bytes=round(sum(parts)), where=where, rounded_bytes=len(parts) * MIB // 100
        )
        for (term, where), parts in sums.items()
        if sum(parts)
    )
    return memory, len(devices)


class _Request:
    """`timed`: kind -> tokens and the seconds that they took. `held` tokens stood in the context
    when it ended. `shared`: others were answered at the same time.
    """

    def __init__(self) -> None:
        self.timed: dict[str, tuple[int, float]] = {}
        self.held: int | None = None
        self.shared = False

    def tests(self) -> Iterator[Timed]:
        prompt, written = (self.timed.get(kind, (0, 0.0))[0] for kind in ("prompt", "decode"))
        before_answer = prompt if self.held is None else self.held - written
        depths = {
            "prompt": max(0, before_answer - prompt),
            "decode": before_answer + written // 2 if before_answer > 0 else None,
        }
        for kind, (tokens, seconds) in self.timed.items():
            yield Timed(kind=kind, tokens=tokens, seconds=seconds, depth_tokens=depths[kind])


def _requests(text: str) -> list[_Request]:
    """The requests of a server by their task; of another program one after the other."""
    by_task: dict[str, _Request] = {"": _Request()}
    running: set[str] = set()
    task = ""
    for match in _EVENT.finditer(text):
        event = match["event"]
        task = match["task"] or task
        request = by_task.setdefault(task, _Request())
        if event == "release":
            running.discard(task)
            request.held = int(match["held"]) if match["held"] else request.held
        elif event == "launch_slot_":
            running.add(task)
            for other in running if len(running) > 1 else ():
                by_task[other].shared = True
        elif not event and float(match["ms"]) and int(match["tokens"]):
            kind = "prompt" if match["kind"] == "prompt eval" else "decode"
            if kind in request.timed:
                task += "'"
            # builds of 2026 count the first token, and not its time: the rate printed does not
            tokens, rate = int(match["tokens"]), float(match["rate"] or 0)
            seconds = tokens / rate if rate >= 1 else float(match["ms"]) / 1000
            by_task.setdefault(task, _Request()).timed[kind] = tokens, seconds
    return list(by_task.values())
