"""The log of llama-server, llama-cli and llama-completion, and of Ollama's runner, which is
llama.cpp too: buffers as they are made, or the table `memory breakdown [MiB]` at the end
(src/llama-context.cpp and common/fit.cpp), and the timings of each request.
"""

from __future__ import annotations

from collections.abc import Iterator

from ....core.records import pattern
from ....core.tables import shipped_table
from ..requests import Requests
from ..run import CONTEXT, Run, SeenMemory, SeenPace
from .words import (
    COUNTS,
    MIB,
    SIZES,
    amount,
    gpu_of,
    is_on,
    place_of,
    positive,
    quantization,
    whole,
)

# one of them stands in every log that tells a figure
MARKS = ("buffer size", "eval time", "Generation: ", "_breakdown_")
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
_COMMIT = pattern(r"build(?: |: )\d{1,9} \(([0-9a-f]{4,40})\)")
# from here on a model that drafts is loaded, or a context for the layers of the model that do
_DRAFTER = ("loading draft model", "creating MTP draft context against the target model")
_DRAFTS = ("draft acceptance", "speculative decoding context initialized")
_RUNNER = ("ollama runner", "starting go runner", "llama runner started", " ollama[")
# by term and place, and by the buffer's own name
_Sizes = dict[tuple[str, str, str], int]


class _Log:
    """What was gathered of a log. A model that is loaded anew starts the buffers anew; what is
    loaded to draft for it is no part of it.
    """

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.requests = Requests()
        # what a line tells, by a sign of it: each named group is a fact, and the last line counts
        rows = shipped_table("runs")["fact"]
        self.patterns = [(row["sign"], pattern("".join(row["line"]))) for row in rows]
        self.buffers: _Sizes = {}
        # of the table that was printed last
        self.breakdown: _Sizes = {}
        self.devices: set[str] = set()
        self.drafts = self.is_drafter = False

    def take(self, line: str) -> None:
        if "loading model '" in line:
            self.is_drafter = False
            self.requests.restart()
        elif any(sign in line for sign in _DRAFTER):
            self.is_drafter = self.drafts = True
        elif any(sign in line for sign in _DRAFTS):
            self.drafts = True
        self.requests.take(line)
        if "_breakdown_print" in line:
            self._take_breakdown(line)
        elif "buffer size" in line and (buffer := _BUFFER.search(line)) is not None:
            if not self.is_drafter:
                size = round(float(buffer[4]) * MIB)
                self._take_buffer(buffer[1] or buffer[2], buffer[3] or "model", size)
        # a server tells what its slots have once all is loaded
        elif not self.is_drafter or "n_slots" in line:
            self._take_facts(line)

    def _take_facts(self, line: str) -> None:
        for sign, fact in self.patterns:
            match = fact.search(line) if sign in line else None
            groups = {} if match is None else match.groupdict()
            if "key" in groups:
                groups = {groups["key"]: groups["value"].strip()}
            self.facts |= groups

    def _take_breakdown(self, line: str) -> None:
        if "memory breakdown [MiB]" in line:
            self.breakdown, self.devices = {}, set()
        elif (row := _BREAKDOWN.search(line)) is not None:
            weights = "repacked_weights" if _REPACKED.search(row[1]) else "weights"
            for term, mib in zip((weights, CONTEXT, "compute"), row.groups()[2:], strict=True):
                self.breakdown[term, place_of(row[1]), row[1]] = int(mib) * MIB
            # the table writes some names in brackets
            self.devices |= {row[2].partition(" (")[0]} if row[2] else set()

    def _take_buffer(self, device: str, kind: str, size: int) -> None:
        if kind == "model" and any(term == "compute" for term, _, _ in self.buffers):
            self.buffers = {}
        term = _TERMS.get(kind, "weights")
        if kind == "model" and _REPACKED.search(device):
            term = "repacked_weights"
        # a context that is made again names its buffers again; a window has a cache of its own
        key = term, place_of(device), device
        self.buffers[key] = size + (self.buffers.get(key, 0) if kind == "KV" else 0)

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
            SeenPace(kind=kind, tokens_per_second=positive(self.facts[kind]), drafted=self.drafts)
            for kind in ("prompt", "decode")
            if kind in self.facts
        )

    def cache_type(self) -> str | None:
        """That of the cache, where keys and values have the same."""
        key_type = self.facts.get("key_type")
        return key_type if key_type == self.facts.get("value_type") else None

    def device(self) -> str | None:
        """The GPU that the table of memory names, where it names one."""
        return min(self.devices) if len(self.devices) == 1 else None

    def room(self) -> tuple[int | None, int | None, int]:
        """Tokens of context per sequence, the sequences, and how many of them share one cache. A
        unified cache is one for all.
        """
        context, own = whole(self.fact("n_ctx")), whole(self.fact("n_ctx_seq", "n_ctx_per_seq"))
        sequences = whole(self.fact("n_seq_max")) or None
        if self.fact("kv_unified") == "true":
            return context or own, 1, sequences or 1
        if own is None and context is not None:
            own = context // (sequences or 1)
        return own or None, sequences, 1


def read(text: str) -> Run | None:
    """The whole log; None where it shows neither buffers nor timings."""
    log = _Log()
    for line in text.splitlines():
        log.take(line[:8192].rstrip())
    memory, paces = log.memory(), log.paces()
    if not memory and not paces:
        return None
    fact = log.fact
    context, parallel, states = log.room()
    runtime = "ollama" if any(word in text for word in _RUNNER) else "llama.cpp"
    return Run(
        tool=f"{runtime} log",
        runtime=runtime,
        version=next((match[1] for match in _COMMIT.finditer(text)), None),
        file=fact("file") or None,
        name=fact("general.name") or None,
        architecture=fact("arch") or None,
        quantization=quantization(fact("file type", "model ftype", "ftype")),
        parameters=amount(fact("model params"), COUNTS),
        file_bytes=amount(fact("file size", "model size"), SIZES),
        context_tokens=context,
        parallel=parallel,
        states=states,
        kv_cache_type=log.cache_type(),
        threads=whole(fact("threads")) or None,
        on_processor={seen.where for seen in memory} == {"host"} if memory else None,
        gpu_layers=whole(fact("gpu_layers")),
        flash_attention=is_on(fact("flash_attn")),
        gpu=gpu_of(text) or log.device(),
        # builds before ggml-org/llama.cpp#23861 (2026-05) make room for those of a whole batch
        output_tokens=whole(fact("n_outputs_max", "n_ubatch")),
        batch_tokens=whole(fact("n_ubatch")),
        paces=paces,
        memory=memory,
        notes=(*_left_out(log, shows_buffers=bool(memory)), *log.requests.notes()),
    )


def _left_out(log: _Log, *, shows_buffers: bool) -> Iterator[str]:
    if not shows_buffers:
        yield "The log shows no buffers: -lv 4 makes llama-server print them."
    if log.is_drafter:
        yield "The buffers of what drafts for the model are left out."
