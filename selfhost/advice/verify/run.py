"""What a log or a process tells of one run: the model, the options, the pace and the memory."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.records import Record

# the program itself, of which no term of the needs is predicted alone
MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY = "model_file", "everything_else", "total"
HOST, ACCELERATORS = "host", "accelerators"
# a program takes longer for the first tokens of an answer, and a short prompt is read one batch
# for the price of a longer one (llama-bench: 512 and 128 by default)
LEAST_TOKENS = {"decode": 8, "prompt": 32}


class SeenPace(Record):
    """Tokens per second that a run reached: `kind` is decode or prompt. `tokens` were timed, of
    several requests on average, with `depth_tokens` in the context on average (of a prompt: before
    it); either is None where the run does not tell. `sequences` decoded at once, all together at
    that pace. `drafted`: steps that give several tokens are among them. `shared`: others were
    answered at the same time.
    """

    kind: str
    tokens_per_second: float
    tokens: int | None = None
    depth_tokens: int | None = None
    sequences: int = 1
    drafted: bool = False
    shared: bool = False


class SeenMemory(Record):
    """Bytes that a run took: `term` is one of the needs' terms, or of a process MODEL_FILE,
    EVERYTHING_ELSE or ALL_MEMORY; `where` is HOST or ACCELERATORS, all of them together.
    """

    term: str
    bytes: int
    where: str = HOST
    # what a log rounds to
    rounded_bytes: int = 0


class Run(Record):
    """One run of a model. None means that the log or the process does not tell.

    `file` and `name` are as the run wrote them: they find the model and go into no report.
    `parameters` may be rounded (`494.03 M`). `context_tokens` is per sequence. `on_processor`: no
    layer lies on an accelerator. `states` are the sequences that share one cache, each of which has
    a recurrent state of its own. `gpu_layers` as asked or as reported; `experts_in_ram`: of how
    many of the first layers the experts were to lie in RAM (`--n-cpu-moe`). `output_tokens` of a
    batch can have logits, and `batch_tokens` are computed at once (-ub). `flash_attention`: False
    where it was switched off. `gpu` is the name of hardware as the run wrote it, `backends` what
    its build computes with, `cards` how many accelerators held something. `holds_draft`: memory of
    the whole process is that of a model that drafts, too. `notes` are sentences about what the run
    does not tell.
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
    output_tokens: int | None = None
    batch_tokens: int | None = None
    flash_attention: bool | None = None
    gpu: str | None = None
    backends: tuple[str, ...] = ()
    cards: int = 0
    holds_draft: bool = False
    paces: tuple[SeenPace, ...] = ()
    memory: tuple[SeenMemory, ...] = ()
    notes: tuple[str, ...] = ()


class Timed(Record):
    """A prompt or an answer that took `seconds`: `kind` is prompt or decode. `depth_tokens` stood
    in the context before the prompt, or on average while it decoded; None where nothing tells.
    """

    kind: str
    tokens: int
    seconds: float
    depth_tokens: int | None = None


def paces_of(
    timed: Sequence[Timed], *, drafted: bool = False, shared: bool = False
) -> tuple[SeenPace, ...]:
    """All tokens of each kind over all their time."""
    kinds = {kind: [each for each in timed if each.kind == kind] for kind in LEAST_TOKENS}
    return tuple(
        _pace(kind, of_kind).replace(drafted=drafted, shared=shared)
        for kind, of_kind in kinds.items()
        if of_kind
    )


def _pace(kind: str, timed: Sequence[Timed]) -> SeenPace:
    """The depth is that of the average token. Those of fewer tokens than a pace needs
    (`LEAST_TOKENS`), and prompts behind a longer one that was cached, count only where there are no
    others.
    """
    timed = [each for each in timed if each.tokens >= LEAST_TOKENS[kind]] or timed
    if kind == "prompt":
        timed = [each for each in timed if (each.depth_tokens or 0) <= each.tokens] or timed
    tokens = sum(each.tokens for each in timed)
    deep = [(each.depth_tokens, each.tokens) for each in timed if each.depth_tokens is not None]
    depth = sum(at * share for at, share in deep)
    return SeenPace(
        kind=kind,
        tokens_per_second=tokens / sum(each.seconds for each in timed),
        tokens=tokens // len(timed),
        depth_tokens=round(depth / sum(share for _, share in deep)) if deep else None,
    )
