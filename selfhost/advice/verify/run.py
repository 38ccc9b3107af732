"""What a log or a process tells of one run: the model, the options, the pace and the memory."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.records import Record

# the program itself, of which no term of the needs is predicted alone
MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY = "model_file", "everything_else", "total"
# a program takes longer for the first tokens of an answer, and a short prompt is read one batch
# for the price of a longer one (llama-bench: 512 and 128 by default)
LEAST_TOKENS = {"decode": 8, "prompt": 32}
# the cache and the recurrent state together, which a table of llama.cpp does not tell apart
CONTEXT = "context"


class SeenPace(Record):
    """Tokens per second that a run reached: `kind` is decode or prompt; None where the run gives no
    number for it (nan, inf, 0). `tokens` were timed, of
    several requests on average, with `depth_tokens` in the context on average (of a prompt: before
    it); either is None where the run does not tell. `sequences` decoded at once, all together at
    that pace. `drafted`: steps that give several tokens are among them. `shared`: others were
    answered at the same time, and had their part of what the machine gives. `deviation`: the
    standard deviation of its repetitions, as a share of the pace; None where the run tells none.
    """

    kind: str
    tokens_per_second: float | None
    tokens: int | None = None
    depth_tokens: int | None = None
    sequences: int = 1
    drafted: bool = False
    deviation: float | None = None
    shared: bool = False


class SeenMemory(Record):
    """Bytes that a run took: `term` is one of the needs' terms, CONTEXT, or of a process
    MODEL_FILE, EVERYTHING_ELSE or ALL_MEMORY. `where` is host or `accelerator:N`.
    """

    term: str
    bytes: int
    where: str = "host"
    # what a log rounds to
    rounded_bytes: int = 0


class Run(Record):
    """One run of a model. None means that the log or the process does not tell.

    `file` and `name` are as the run wrote them: they find the model and go into no report.
    `parameters` may be rounded (`494.03 M`). `context_tokens` is per sequence. `on_processor`: no
    layer lies on an accelerator. `states` are the sequences that share one cache, each of which has
    a recurrent state of its own. `gpu_layers` as asked or as reported; `experts_in_ram`: of how
    many of the first layers the experts were to lie in RAM (`--n-cpu-moe`), or
    `all_experts_in_ram` (`--cpu-moe`). `output_tokens` of a batch
    can have logits, and `batch_tokens` are computed at once (-ub). `flash_attention`: False where
    it was switched off. `gpu` is the name of hardware as the run wrote it,
    `backends` what its build computes with.
    `holds_draft`: memory of the whole process is that of a model that drafts, too. `notes` are
    sentences about what the run does not tell.
    """

    tool: str
    runtime: str = "llama.cpp"
    version: str | None = None
    file: str | None = None
    name: str | None = None
    architecture: str | None = None
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
    all_experts_in_ram: bool = False
    output_tokens: int | None = None
    batch_tokens: int | None = None
    flash_attention: bool | None = None
    gpu: str | None = None
    backends: tuple[str, ...] = ()
    holds_draft: bool = False
    paces: tuple[SeenPace, ...] = ()
    memory: tuple[SeenMemory, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def holds_figures(self) -> bool:
        """Whether it tells anything that a prediction can be held against."""
        return bool(self.memory) or any(pace.tokens_per_second for pace in self.paces)


class Timed(Record):
    """A prompt or an answer: `kind` is prompt or decode, `seconds` None where its time is no
    number. `depth_tokens` stood in the context before the prompt, or on average while it decoded;
    None where nothing tells.
    """

    kind: str
    tokens: int
    seconds: float | None
    depth_tokens: int | None = None


def paces_of(timed: Sequence[Timed], *, drafted: bool = False) -> tuple[SeenPace, ...]:
    """All tokens of each kind over all their time, and that there is no number, of those without a
    time.
    """
    paces = []
    for kind in ("prompt", "decode"):
        of_kind = [each for each in timed if each.kind == kind and each.tokens]
        with_time = enough_tokens(kind, [each for each in of_kind if each.seconds])
        if with_time:
            paces.append(pace_of(kind, with_time, drafted=drafted and kind == "decode"))
        if without := sum(each.tokens for each in of_kind if not each.seconds):
            paces.append(SeenPace(kind=kind, tokens_per_second=None, tokens=without))
    return tuple(paces)


def enough_tokens(kind: str, timed: Sequence[Timed]) -> Sequence[Timed]:
    """Those with as many tokens as a pace needs (`LEAST_TOKENS`); all where none has."""
    return [each for each in timed if each.tokens >= LEAST_TOKENS[kind]] or timed


def pace_of(kind: str, timed: Sequence[Timed], *, drafted: bool) -> SeenPace:
    """All tokens of one kind over all their time; the depth is that of the average token."""
    tokens = sum(each.tokens for each in timed)
    deep = [(each.depth_tokens, each.tokens) for each in timed if each.depth_tokens is not None]
    weight = sum(share for _, share in deep)
    return SeenPace(
        kind=kind,
        tokens_per_second=tokens / sum(each.seconds or 0 for each in timed),
        tokens=tokens // len(timed),
        depth_tokens=round(sum(depth * share for depth, share in deep) / weight) if deep else None,
        drafted=drafted,
    )
