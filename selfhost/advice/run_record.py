"""The record of one run of a model: which model ran, how it was set up, and its figures.

`runs` makes a `Run` from a log or a process; `verify` sets a prediction beside each `Figure`.
"""

from __future__ import annotations

from ..core.records import Record

# terms of a process: sums of what the needs predict term by term
MODEL_FILE = "model_file"
EVERYTHING_ELSE = "everything_else"
ALL_MEMORY = "total"
PROCESS_TERMS = (MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY)
HOST = "host"
ACCELERATORS = "accelerators"
# fewer tokens say little of a pace: a program takes longer for the first of an answer, and reads a
# short prompt in the time of a longer one (llama-bench: 512 and 128 by default)
LEAST_TOKENS = {"decode": 8, "prompt": 32}


class Figure(Record):
    """One figure that a run measured, with its prediction.

    `subject` is `memory` or `pace`. Of memory, `seen` is in bytes; `term` is a term of the needs or
    one of PROCESS_TERMS, and `where` is HOST or ACCELERATORS (the sum of all accelerators). Of a
    pace, `seen` is in tokens per second, and `term` is `decode` or `prompt`. `seen` may be off by
    `rounding`. `tokens` were timed, with `depth_tokens` in the context on average (for a prompt:
    before it); None where the run does not tell. `sequences`
    decoded at once, with `seen` as their sum. `shared`: the program answered other requests at the
    same time.

    `low`, `likely` and `high` are the prediction; None where there is none. `inside` is None, with
    the reason in `why`, where the two cannot be compared.
    """

    subject: str = "pace"
    term: str
    where: str | None = None
    seen: float
    rounding: float = 0
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

    @property
    def timed_tokens(self) -> int:
        """How many tokens were timed; 0 where the run does not tell."""
        return self.tokens or 0

    @property
    def follows_longer_context(self) -> bool:
        """Whether more tokens stood before a prompt than in it."""
        return self.depth_tokens is not None and self.depth_tokens > self.timed_tokens


class Run(Record):
    """One run of a model. A field is None where the log or the process does not tell.

    `file` and `name` are as the run wrote them: they find the model and go into no report.
    `parameters` may be rounded (`494.03 M`). `context_tokens` is per sequence. `states` is the
    number of sequences that share one cache, each with a recurrent state of its own.
    `experts_in_ram` is the largest number of first layers whose experts stay in RAM
    (`--n-cpu-moe`). `output_tokens` of a batch can have logits, and `batch_tokens` are computed at
    once (-ub). `gpu` is the name of hardware as the run wrote it, `cards` the number of
    accelerators that held something. `drafts`: a second model drafts tokens. `notes` are sentences
    about facts that the run does not tell.
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

    def figures_of(self, term: str) -> list[Figure]:
        """The figures of that term, wherever they were seen."""
        return [figure for figure in self.figures if figure.term == term]
