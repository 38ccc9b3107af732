"""The log of llama-server, llama-cli and llama-completion, and of Ollama's runner, which is
llama.cpp too: buffers as they are made, or the table `memory breakdown [MiB]` at the end
(src/llama-context.cpp and common/fit.cpp), and the timings of each request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ....core.records import pattern
from ..requests import Requests
from ..run import CONTEXT, Run, SeenMemory, SeenPace
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
MARKS = ("buffer size", "eval time", "Generation: ", "_breakdown_")
_MOST_LINES = 2_000_000
# load_tensors: CPU_Mapped model buffer size = 373.71 MiB; builds of 2024 and before have it behind
# llm_load_tensors without a word for what it is
_BUFFER = pattern(
    r"(?:llm_load_tensors: +(\S{1,40})|(\S{1,40}) (model|KV|RS|compute)) buffer size ="
    r" +(\d{1,9}(?:\.\d{1,4})?) MiB"
)
_TERMS = {"KV": "kv_cache", "RS": "recurrent_state", "compute": "compute"}
_REPACKED = pattern(r"(?:^|_)(?:REPACK|AARCH64|AMX)$|^CPU_(?:REPACK|AARCH64|AMX)")
# |   - CUDA0 (RTX 3050 Laptop GPU) |  4095 = 3301 + (2398 =  1918 +     224 +     256) + -1604 |
# |   - Host                        |                  321 =   308 +       0 +      13           |
_BREAKDOWN = pattern(
    r"memory_breakdown_print: \| +- (\w{1,40})(?: \((.{1,80}?)\))? +\|"
    r"(?: +\d{1,9} = +\d{1,9} \+)? +\(? *\d{1,9} = +(\d{1,9}) \+ +(\d{1,9}) \+ +(\d{1,9})\)? "
)
# [ Prompt: 63.8 t/s | Generation: 13.5 t/s ]
_RATES = pattern(
    r"\[ Prompt: (\d{1,9}\.\d|-?nan|inf) t/s \| Generation: (\d{1,9}\.\d|-?nan|inf) t/s \]"
)
_OFFLOADED = pattern(r"offloaded (\d{1,5})/(\d{1,5}) layers to GPU")
_CACHE = pattern(r"K \((\w{1,10})\): .{0,30}V \((\w{1,10})\):")
_FILE = pattern(r"(?:tensors from|loading model) '?(.{1,4096}?)'?(?: \(version GGUF.*)?$")
# what llama-cli shows above a chat
_BANNER = pattern(r"^(model|ftype) +: (.{1,4096})$")
_THREADS = pattern(r"n_threads = (\d{1,5})")
_COMMIT = pattern(r"build(?: |: )\d{1,9} \(([0-9a-f]{4,40})\)")
# what print_info and llama_context tell; the second of a name is of older builds
_FACT = pattern(
    r"(?:print_info|llm_load_print_meta|llama_context|llama_new_context_with_model"
    r"|llama_init_from_model): (arch|general\.name|file type|model ftype|model params|file size"
    r"|model size|n_seq_max|n_ctx|n_ctx_seq|n_ctx_per_seq|kv_unified|n_outputs_max|n_ubatch"
    r"|flash_attn) *= (.{0,200})$"
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
        # by term and place, and by the buffer's own name
        self.buffers: dict[tuple[str, str, str], int] = {}
        self.requests = Requests()
        # of the table that was printed last, in the same way
        self.breakdown: dict[tuple[str, str, str], int] = {}
        self.devices: set[str] = set()
        self.rates: dict[str, float | None] = {}
        self.drafts = False
        self.is_drafter = False
        self.file: str | None = None
        self.gpu_layers: int | None = None

    def take(self, line: str) -> None:
        if "loading model '" in line:
            self.is_drafter = False
            self.requests.restart()
        elif "draft" in line or "speculative" in line:
            if _DRAFT.search(line) is not None:
                self.is_drafter = self.drafts = True
            elif _DRAFTS.search(line) is not None:
                self.drafts = True
            elif _DRAFTS_NOT in line:
                self.drafts = False
        if " = " in line or "slot " in line:
            if "n_slots" in line and (slots := _SLOTS.search(line)) is not None:
                names = ("n_seq_max", "n_ctx_seq", "kv_unified")
                self.facts |= dict(zip(names, slots.groups(), strict=True))
            self.requests.take(line)
        if "Generation: " in line and (rates := _RATES.search(line)) is not None:
            self.rates = {"prompt": positive(rates[1]), "decode": positive(rates[2])}
        if "_breakdown_print" in line:
            self._take_breakdown(line)
        elif not self.is_drafter:
            self._take_loaded(line)

    def _take_breakdown(self, line: str) -> None:
        if "memory breakdown [MiB]" in line:
            self.breakdown, self.devices = {}, set()
        elif (row := _BREAKDOWN.search(line)) is not None:
            weights = "repacked_weights" if _REPACKED.search(row[1]) else "weights"
            for term, mib in zip((weights, CONTEXT, "compute"), row.groups()[2:], strict=True):
                self.breakdown[term, place_of(row[1]), row[1]] = int(mib) * MIB
            # the table writes some names in brackets
            self.devices |= {row[2].partition(" (")[0]} if row[2] else set()

    def _take_loaded(self, line: str) -> None:
        """What is told of the model as it is loaded."""
        if "buffer size" in line and (buffer := _BUFFER.search(line)) is not None:
            device, kind = buffer[1] or buffer[2], buffer[3] or "model"
            self._take_buffer(device, kind, round(float(buffer[4]) * MIB))
        elif " = " in line:
            self._take_fact(line)
        if "tensors from" in line or "loading model '" in line:
            file = _FILE.search(line)
            self.file = self.file if file is None else file[1]
        elif (shown := _BANNER.match(line)) is not None and shown[1] == "model":
            self.file = shown[2]
        elif shown is not None:
            self.facts["file type"] = shown[2]
        if "offloaded " in line and (layers := _OFFLOADED.search(line)) is not None:
            self.gpu_layers = int(layers[1])

    def _take_fact(self, line: str) -> None:
        if (fact := _FACT.search(line)) is not None:
            self.facts[fact[1]] = fact[2].strip()
        elif (cache := _CACHE.search(line)) is not None:
            self.facts |= {"key_type": cache[1], "value_type": cache[2]}
        elif (threads := _THREADS.search(line)) is not None:
            self.facts.setdefault("threads", threads[1])

    def _take_buffer(self, device: str, kind: str, size: int) -> None:
        if kind == "model" and any(term == "compute" for term, _, _ in self.buffers):
            self.buffers = {}
        term = _TERMS.get(kind, "weights")
        if kind == "model" and _REPACKED.search(device):
            term = "repacked_weights"
        # a context that is made again names its buffers again; a window has a cache of its own
        key = term, place_of(device), device
        before = self.buffers.get(key, 0) if kind == "KV" else 0
        self.buffers[key] = before + size

    def fact(self, *names: str) -> str:
        """The first of these that the log tells; "" where it tells none."""
        return next((self.facts[name] for name in names if name in self.facts), "")

    def memory(self) -> tuple[SeenMemory, ...]:
        """By buffer; where none is printed, by the table at the end. One that stands before any
        answer is of a fit, which makes room for none.
        """
        sizes, unit = self.buffers, MIB // 100
        if not sizes and self.paces():
            sizes, unit = self.breakdown, MIB
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for (term, place, _), size in sizes.items():
            before, rounded = sums.get((term, place), (0, 0))
            sums[term, place] = before + size, rounded + unit
        return tuple(
            SeenMemory(term=term, bytes=size, where=place, rounded_bytes=rounded)
            for (term, place), (size, rounded) in sums.items()
            if size
        )

    def paces(self) -> tuple[SeenPace, ...]:
        """Of the requests; of a chat the rates behind its last answer."""
        return self.requests.paces(drafted=self.drafts) or tuple(
            SeenPace(kind=kind, tokens_per_second=rate, drafted=self.drafts)
            for kind, rate in self.rates.items()
        )

    def states(self) -> int:
        """The sequences that share one cache."""
        is_shared = self.fact("kv_unified") == "true"
        return (whole(self.fact("n_seq_max")) or 1) if is_shared else 1

    def room(self) -> tuple[int | None, int | None]:
        """Tokens of context per sequence, and the sequences. A unified cache is one for all."""
        context, own = whole(self.fact("n_ctx")), whole(self.fact("n_ctx_seq", "n_ctx_per_seq"))
        sequences = whole(self.fact("n_seq_max"))
        if self.fact("kv_unified") == "true":
            return context or own, 1
        if own is None and context is not None:
            own = context // (sequences or 1)
        return own or None, sequences or None


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
    commit, fact = _COMMIT.search(text), log.fact
    context, parallel = log.room()
    runtime = "ollama" if any(word in text for word in _RUNNER) else "llama.cpp"
    key_type = log.facts.get("key_type")
    devices = log.devices if len(log.devices) == 1 else {None}
    return Run(
        tool=f"{runtime} log",
        runtime=runtime,
        version=commit[1] if commit is not None else None,
        file=log.file,
        name=log.facts.get("general.name"),
        architecture=log.facts.get("arch"),
        quantization=quantization(fact("file type", "model ftype")),
        parameters=count_of(fact("model params")),
        file_bytes=bytes_of(fact("file size", "model size")),
        context_tokens=context,
        parallel=parallel,
        states=log.states(),
        kv_cache_type=key_type if key_type == log.facts.get("value_type") else None,
        threads=whole(fact("threads")) or None,
        on_processor={seen.where for seen in memory} == {"host"} if memory else None,
        gpu_layers=log.gpu_layers,
        flash_attention=attends_flash(fact("flash_attn")),
        gpu=gpu_of(text) or next(iter(devices)),
        # builds before ggml-org/llama.cpp#23861 (2026-05) make room for those of a whole batch
        output_tokens=whole(fact("n_outputs_max", "n_ubatch")),
        batch_tokens=whole(fact("n_ubatch")),
        paces=paces,
        memory=memory,
        notes=(*_left_out(log, memory), *log.requests.notes()),
    )


def _left_out(log: _Log, memory: Sequence[SeenMemory]) -> Iterator[str]:
    if not memory:
        yield "The log shows no buffers: -lv 4 makes llama-server print them."
    if log.is_drafter:
        yield "The buffers of what drafts for the model are left out."
