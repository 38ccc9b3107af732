"""The log of llama-server, llama-cli and llama-completion, and of Ollama's runner, which is
llama.cpp too: buffers as they are made, and the timings of each request.
"""

from __future__ import annotations

from ....core.records import pattern
from ..breakdown import Breakdown
from ..requests import Requests
from ..run import Run, SeenMemory, SeenPace
from .words import (
    MIB,
    attends_flash,
    bytes_of,
    count_of,
    gpu_of,
    place_of,
    positive,
    quantization,
    whole,
)

# one of them stands in every log that tells a figure
MARKS = ("buffer size", "eval time", "tg = ", "prompt processing", "Generation: ", "_breakdown_")
_MOST_LINES = 2_000_000
# load_tensors: CPU_Mapped model buffer size = 373.71 MiB
_BUFFER = pattern(r"(\S{1,40}) (model|KV|RS|compute) buffer size = +(\d{1,9}(?:\.\d{1,4})?) MiB")
_TERMS = {"KV": "kv_cache", "RS": "recurrent_state", "compute": "compute"}
_REPACKED = pattern(r"(?:^|_)(?:REPACK|AARCH64|AMX)$|^CPU_(?:REPACK|AARCH64|AMX)")
# builds of 2024 and before
_WEIGHTS = pattern(r"llm_load_tensors: +(\S{1,40}) buffer size = +(\d{1,9}(?:\.\d{1,4})?) MiB")
# [ Prompt: 63.8 t/s | Generation: 13.5 t/s ]
_RATES = pattern(
    r"\[ Prompt: (\d{1,9}\.\d|-?nan|inf) t/s \| Generation: (\d{1,9}\.\d|-?nan|inf) t/s \]"
)
_OFFLOADED = pattern(r"offloaded (\d{1,5})/(\d{1,5}) layers to GPU")
_CACHE = pattern(r"K \((\w{1,10})\): .{0,30}V \((\w{1,10})\):")
_FILE = pattern(r"(?:tensors from|loading model) '?(.{1,4096}?)'?(?: \(version GGUF.*)?$")
# what llama-cli shows above a chat
_BANNER = pattern(r"^(build|model|ftype) +: (.{1,4096})$")
_THREADS = pattern(r"n_threads = (\d{1,5})")
_COMMIT = pattern(r"build(?: |: )\d{1,9} \(([0-9a-f]{4,40})\)")
# key: what print_info and llama_context call it
_FACTS = {
    "arch": "architecture",
    "general.name": "name",
    "file type": "quantization",
    "model ftype": "quantization",
    "model params": "parameters",
    "file size": "file_size",
    "model size": "file_size",
    "n_seq_max": "n_seq_max",
    "n_ctx": "n_ctx",
    "n_ctx_seq": "n_ctx_seq",
    "n_ctx_per_seq": "n_ctx_seq",
    "kv_unified": "kv_unified",
    "n_outputs_max": "n_outputs_max",
    "n_ubatch": "n_ubatch",
    "flash_attn": "flash_attn",
}
_FACT = pattern(
    r"(?:print_info|llm_load_print_meta|llama_context|llama_new_context_with_model"
    r"|llama_init_from_model): ([\w. ]{1,40}?) *= (.{0,200})$"
)
_SLOTS = pattern(r"n_slots = (\d{1,6}), n_ctx_slot = (\d{1,9}), kv_unified = '(true|false)'")
# from here on a model that drafts is loaded, or a context for the layers of the model that do
_DRAFT = pattern(
    r"(?:load_model|common_specu\w*)\b.{0,20}"
    r"(?:loading draft model|creating MTP draft context against the target model)"
)
_DRAFTS = pattern(
    r"draft acceptance|adding speculative implementation '|speculative decoding context initialized"
)
_DRAFTS_NOT = "speculative decoding not supported by this context"
_RUNNER = ("ollama runner", "starting go runner", "llama runner started", " ollama[")


class _Log:
    """What was gathered of a log. A model that is loaded anew starts the buffers anew; what is
    loaded to draft for it is no part of it.
    """

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.buffers: dict[tuple[str, str, str], int] = {}
        self.requests = Requests()
        self.breakdown = Breakdown()
        self.rates: dict[str, float | None] = {}
        self.drafts = False
        self.is_drafter = False
        self.file: str | None = None
        self.offloaded: tuple[int, int] | None = None

    def take(self, line: str) -> None:
        if "loading model '" in line:
            self.is_drafter = False
            self.requests.restart()
        elif "draft" in line or "speculative" in line:
            self._take_draft(line)
        has_value = " = " in line
        if has_value or "slot " in line:
            self._take_pace(line)
        if "Generation: " in line and (rates := _RATES.search(line)) is not None:
            self.rates = {"prompt": positive(rates[1]), "decode": positive(rates[2])}
        if "_breakdown_print" in line:
            self.breakdown.take(line)
        elif not self.is_drafter:
            self._take_loaded(line, has_value=has_value)

    def _take_draft(self, line: str) -> None:
        if _DRAFT.search(line) is not None:
            self.is_drafter = self.drafts = True
        elif _DRAFTS.search(line) is not None:
            self.drafts = True
        elif _DRAFTS_NOT in line:
            self.drafts = False

    def _take_pace(self, line: str) -> None:
        """What is told of the server as a whole: its requests and its slots."""
        if "n_slots" in line and (slots := _SLOTS.search(line)) is not None:
            self.facts |= {"n_seq_max": slots[1], "n_ctx_seq": slots[2], "kv_unified": slots[3]}
        self.requests.take(line)

    def _take_loaded(self, line: str, *, has_value: bool) -> None:
        """What is told of the model as it is loaded."""
        if has_value:
            self._take_fact(line)
        if "tensors from" in line or "loading model '" in line:
            file = _FILE.search(line)
            self.file = self.file if file is None else file[1]
        elif (shown := _BANNER.match(line)) is not None:
            self._take_banner(shown[1], shown[2])
        if "offloaded " in line and (layers := _OFFLOADED.search(line)) is not None:
            self.offloaded = int(layers[1]), int(layers[2])

    def _take_fact(self, line: str) -> None:
        if "buffer size" in line and (buffer := _buffer(line)) is not None:
            device, kind, size = buffer
            if kind == "model" and any(kind == "compute" for _, kind, _ in self.buffers):
                self.buffers = {}
            self._take_buffer(device, kind, size)
            return
        fact = _FACT.search(line)
        if fact is not None and fact[1] in _FACTS:
            self.facts[_FACTS[fact[1]]] = fact[2].strip()
        elif (cache := _CACHE.search(line)) is not None:
            self.facts |= {"key_type": cache[1], "value_type": cache[2]}
        elif (threads := _THREADS.search(line)) is not None:
            self.facts.setdefault("threads", threads[1])

    def _take_banner(self, key: str, value: str) -> None:
        if key == "model":
            self.file = value
        elif key == "ftype":
            self.facts["quantization"] = value

    def _take_buffer(self, device: str, kind: str, size: int) -> None:
        term = _TERMS.get(kind, "weights")
        if kind == "model" and _REPACKED.search(device):
            term = "repacked_weights"
        place = place_of(device)
        # a context that is made again names its buffers again; a window has a cache of its own
        key = (place, kind, f"{device} {term}")
        if kind == "KV" and key in self.buffers:
            self.buffers[key] += size
        else:
            self.buffers[key] = size

    def memory(self) -> tuple[SeenMemory, ...]:
        """By buffer; where none is printed, by the table at the end. One that stands before any
        answer is of a fit, which makes room for none.
        """
        if not self.buffers:
            return self.breakdown.memory() if self.paces() else ()
        sums: dict[tuple[str, str], int] = {}
        counts: dict[tuple[str, str], int] = {}
        for (place, _, device), size in self.buffers.items():
            key = (device.rpartition(" ")[2], place)
            sums[key] = sums.get(key, 0) + size
            counts[key] = counts.get(key, 0) + 1
        return tuple(
            SeenMemory(
                term=term, bytes=size, where=place, rounded_bytes=counts[term, place] * MIB // 100
            )
            for (term, place), size in sums.items()
            if size
        )

    def paces(self) -> tuple[SeenPace, ...]:
        """Of the requests; of a chat the rates behind its last answer."""
        return self.requests.paces(drafted=self.drafts) or tuple(
            SeenPace(kind=kind, tokens_per_second=rate, drafted=self.drafts)
            for kind, rate in self.rates.items()
        )


def _buffer(line: str) -> tuple[str, str, int] | None:
    """Its device, its kind and its bytes."""
    buffer, weights = _BUFFER.search(line), _WEIGHTS.search(line)
    if buffer is not None:
        return buffer[1], buffer[2], round(float(buffer[3]) * MIB)
    return None if weights is None else (weights[1], "model", round(float(weights[2]) * MIB))


def read(text: str) -> Run | None:
    """The whole log; None where it shows neither buffers nor timings."""
    log = _Log()
    for number, line in enumerate(text.splitlines()):
        if number >= _MOST_LINES:
            break
        log.take(line[:8192].rstrip())
    memory, paces = log.memory(), log.paces()
    if not memory and not paces:
        return None
    commit = _COMMIT.search(text)
    facts = log.facts
    context, parallel = _room(facts)
    runtime = "ollama" if any(word in text for word in _RUNNER) else "llama.cpp"
    on_accelerators = any(seen.where != "host" for seen in memory)
    return Run(
        tool=f"{runtime} log",
        runtime=runtime,
        version=commit[1] if commit is not None else None,
        file=log.file,
        name=facts.get("name"),
        architecture=facts.get("architecture"),
        quantization=quantization(facts.get("quantization", "")),
        parameters=count_of(facts.get("parameters", "")),
        file_bytes=bytes_of(facts.get("file_size", "")),
        context_tokens=context,
        parallel=parallel,
        states=_states(facts),
        kv_cache_type=_cache_type(facts),
        threads=whole(facts.get("threads", "")) or None,
        on_processor=not on_accelerators if memory else None,
        gpu_layers=log.offloaded[0] if log.offloaded else None,
        flash_attention=attends_flash(facts.get("flash_attn", "")),
        gpu=gpu_of(text) or log.breakdown.gpu,
        # builds before ggml-org/llama.cpp#23861 (2026-05) make room for those of a whole batch
        output_tokens=whole(facts.get("n_outputs_max", facts.get("n_ubatch", ""))),
        batch_tokens=whole(facts.get("n_ubatch", "")),
        paces=paces,
        memory=memory,
        notes=(*_no_buffers(memory), *_drafter(log), *log.requests.notes()),
    )


def _no_buffers(memory: tuple[SeenMemory, ...]) -> tuple[str, ...]:
    return () if memory else ("The log shows no buffers: -lv 4 makes llama-server print them.",)


def _drafter(log: _Log) -> tuple[str, ...]:
    return ("The buffers of what drafts for the model are left out.",) if log.is_drafter else ()


def _room(facts: dict[str, str]) -> tuple[int | None, int | None]:
    """Tokens of context per sequence, and the sequences. A unified cache is one for all."""
    whole_context, own = whole(facts.get("n_ctx", "")), whole(facts.get("n_ctx_seq", ""))
    sequences = whole(facts.get("n_seq_max", ""))
    if facts.get("kv_unified") == "true":
        return whole_context or own, 1
    if own is None and whole_context is not None:
        own = whole_context // (sequences or 1)
    return own or None, sequences or None


def _states(facts: dict[str, str]) -> int:
    is_shared = facts.get("kv_unified") == "true"
    return (whole(facts.get("n_seq_max", "")) or 1) if is_shared else 1


def _cache_type(facts: dict[str, str]) -> str | None:
    key, value = facts.get("key_type"), facts.get("value_type")
    return key if key == value else None
