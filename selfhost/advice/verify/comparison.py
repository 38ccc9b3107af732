"""What was predicted beside what a run shows, a row a figure: inside the range, outside, or not to
be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...core import units
from ...core.errors import SelfhostError
from ...core.records import Record
from ...core.workload import KV_CACHE_TYPES, Workload
from ...machine.record import Machine
from ...needs.records import MemoryNeed, Term
from ...verdict.processor import threads_of
from ...verdict.record import Route, Verdict, exit_code
from ...verdict.speed import PaceRange, Speed
from .run import ALL_MEMORY, EVERYTHING_ELSE, MODEL_FILE, Run, SeenMemory, SeenPace

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# a program takes longer for the first tokens of an answer, and a short prompt is read one batch
# for the price of a longer one (llama-bench: 512 and 128 by default)
LEAST_DECODE_TOKENS, LEAST_PROMPT_TOKENS = 8, 32
_TIED_TO_CACHE_TYPE = ("kv_cache", EVERYTHING_ELSE, ALL_MEMORY)
_GROWS_WITH_CONTEXT = (*_TIED_TO_CACHE_TYPE, "compute")


class Difference(Record):
    """One figure. `subject` is memory (`unit` bytes) or pace (tokens_per_second); `term` what it is
    of, `where` it lies, None for a pace. `low`, `likely` and `high` are predicted, None where
    nothing could be; `inside` is None, with the reason in `why`, where the two cannot be compared;
    `seen` is None where the run gives no number. A pace is that of `sequences` together.
    """

    subject: str
    term: str
    where: str | None
    unit: str
    low: float | None
    likely: float | None
    high: float | None
    seen: float | None
    inside: bool | None
    why: str | None = None
    tokens: int | None = None
    depth_tokens: int | None = None
    sequences: int = 1

    @property
    def difference(self) -> float | None:
        """Seen against likely: 0.1 is a tenth more; None where one of them is not there."""
        return None if self.seen is None or not self.likely else self.seen / self.likely - 1

    @property
    def off(self) -> int:
        """-1 below the range, 1 above it, 0 inside or not compared."""
        if self.inside is not False or self.seen is None:
            return 0
        return -1 if self.seen < (self.low or 0) else 1


class Comparison(Record):
    """A run and what was predicted for it. `by` is how its model was known (`Identity.by`);
    `is_public`: its id is one of the shipped catalogue, so that it names nothing of the user's.
    `notes` are sentences for the reader.
    """

    run: Run
    verdict: Verdict
    by: str
    is_public: bool
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """`inside` where every figure that can be compared is, `outside` where one is not,
        `nothing` where none can be.
        """
        compared = [row.inside for row in self.differences if row.inside is not None]
        if not compared:
            return "nothing"
        return "inside" if all(compared) else "outside"

    @property
    def exit_code(self) -> int:
        """0 inside, 1 outside, 2 nothing to compare."""
        routes = {"inside": [Route.LOCAL], "outside": [Route.NEITHER]}
        return exit_code(routes.get(self.outcome, []))


def workload_of(run: Run) -> Workload:
    """What the run was asked for, as far as it tells."""
    type = run.kv_cache_type if run.kv_cache_type in KV_CACHE_TYPES else None
    return Workload(
        runtime=run.runtime,
        quantization=run.quantization,
        context_tokens=run.context_tokens,
        parallel=run.parallel or 1,
        kv_cache_type=None if type == "f16" else type,
    )


def machine_of(run: Run, machine: Machine) -> tuple[Machine, tuple[str, ...]]:
    """The machine with no more of it than the run used, and sentences on what was left out.
    `SelfhostError` where the run used an accelerator that the machine does not have.
    """
    notes = []
    on_card = any(seen.where != "host" for seen in run.memory)
    if (on_card or run.on_processor is False) and machine.accelerators == ():
        raise SelfhostError(
            f"the run used a GPU, and {machine.called} has none",
            remedy="name the GPU of the run: --gpu 'RTX 4090', or its machine: --machine FILE",
        )
    if run.on_processor and machine.accelerators:
        machine = machine.replace(accelerators=())
        notes.append("The run used no GPU, so none is counted.")
    threads = run.threads
    if threads is not None and threads < threads_of(machine):
        machine = machine.replace(
            cpu_cores_usable=float(threads), cpu_cores_physical=threads, cpu_cores_performance=None
        )
        notes.append(
            f"Predicted for {'1 thread' if threads == 1 else f'{threads} threads'}, as the run had."
        )
    return machine, tuple(notes)


def compare(
    run: Run,
    verdict: Verdict,
    *,
    by: str,
    is_public: bool,
    speed_at: Callable[[int | None], Speed | None],
    notes: Sequence[str] = (),
    fast_prompts: str = "",
) -> Comparison:
    """Every figure of the run beside the prediction. `speed_at` gives the pace with so many tokens
    in the context, None: of a short chat. `fast_prompts` as of the runtime.
    """
    memory = verdict.needs.memory if verdict.needs is not None else None
    rows = [_of_memory(seen, memory, run) for seen in _in_places(run.memory, verdict.machine)]
    total = verdict.speed.parallel_total if verdict.speed is not None else None
    parallel = verdict.workload.parallel
    rows += [_of_pace(seen, speed_at, total, parallel) for seen in run.paces]
    return Comparison(
        run=run,
        verdict=verdict,
        by=by,
        is_public=is_public,
        differences=tuple(rows),
        notes=(*notes, *run.notes, *_unseen(run, verdict), *_causes(rows, fast_prompts)),
    )


def _unseen(run: Run, verdict: Verdict) -> list[str]:
    """That memory on a GPU is predicted, and the run shows none."""
    placed = verdict.needs.placement if verdict.needs is not None else "host"
    if placed == "host" or not run.memory or any(seen.where != "host" for seen in run.memory):
        return []
    return ["Memory on a GPU is predicted too, and this run does not show it: its log does."]


# ------------------------------------------------------------------ pace


def _pace_of(
    seen: SeenPace, speed: Speed | None, total: PaceRange | None, parallel: int
) -> PaceRange | None:
    """What is predicted for it. One sequence alone may be as slow as while all that the run has
    room for decode at once.
    """
    if seen.sequences > 1:
        return total if seen.sequences == parallel else None
    if speed is None or seen.kind != "decode":
        return None if speed is None else speed.prompt
    if speed.decode is None or total is None:
        return speed.decode
    return speed.decode.replace(low=min(speed.decode.low, total.low / parallel))


def _of_pace(
    seen: SeenPace,
    speed_at: Callable[[int | None], Speed | None],
    total: PaceRange | None,
    parallel: int,
) -> Difference:
    """`total` is the pace of `parallel` sequences that decode at once; None of one."""
    speed = speed_at(seen.depth_tokens if seen.kind == "decode" else None)
    predicted = _pace_of(seen, speed, total, parallel)
    least = LEAST_DECODE_TOKENS if seen.kind == "decode" else LEAST_PROMPT_TOKENS
    why: str | None = None
    if seen.tokens_per_second is None:
        why = "the run gives no number that a pace can be"
    elif predicted is None:
        why = "no pace is predicted for it"
        if speed is not None and speed.decode is None:
            why = speed.how
    elif seen.drafted and seen.kind == "decode":
        why = "the run drafts tokens, so that a step gives several: compare one without a draft"
    elif seen.tokens is not None and seen.tokens < least:
        why = f"{units.tokens(seen.tokens)} are too few to compare: take {least} or more"
    inside = None
    if predicted is not None and seen.tokens_per_second is not None and why is None:
        inside = predicted.low <= seen.tokens_per_second <= predicted.high
    return Difference(
        subject="pace",
        term=seen.kind if seen.sequences == 1 else f"{seen.kind}_at_once",
        where=None,
        unit="tokens_per_second",
        low=predicted.low if predicted else None,
        likely=predicted.likely if predicted else None,
        high=predicted.high if predicted else None,
        seen=seen.tokens_per_second,
        inside=inside,
        why=why,
        tokens=seen.tokens,
        depth_tokens=seen.depth_tokens,
        sequences=seen.sequences,
    )


# ------------------------------------------------------------------ memory


class _Predicted(Record):
    low: int
    likely: int
    high: int


def _in_places(seen: Sequence[SeenMemory], machine: Machine) -> tuple[SeenMemory, ...]:
    """As the prediction has them: of a GPU that shares the RAM all memory is the host's."""
    if not any(device.unified for device in machine.accelerators or ()):
        return tuple(seen)
    sums: dict[str, SeenMemory] = {}
    for item in seen:
        before = sums.get(item.term)
        sums[item.term] = item.replace(
            where="host",
            bytes=item.bytes + (before.bytes if before else 0),
            rounded_bytes=item.rounded_bytes + (before.rounded_bytes if before else 0),
        )
    return tuple(sums.values())


def _of_memory(seen: SeenMemory, memory: MemoryNeed | None, run: Run) -> Difference:
    predicted: _Predicted | None = None
    why: str | None = "no memory is predicted for it"
    if memory is not None:
        predicted = _PREDICTED.get(seen.term, _one_term)(seen.term, seen.where, memory, run)
        why = _why_not(seen, run)
        if not predicted.high and seen.where == "host" and not _all_in_ram(memory):
            predicted, why = None, _BESIDE_GPU
    inside = None
    if predicted is not None and why is None:
        rounded = seen.rounded_bytes
        inside = predicted.low - rounded <= seen.bytes <= predicted.high + rounded
    return Difference(
        subject="memory",
        term=seen.term,
        where=seen.where,
        unit="bytes",
        low=predicted.low if predicted else None,
        likely=predicted.likely if predicted else None,
        high=predicted.high if predicted else None,
        seen=seen.bytes,
        inside=inside,
        why=why,
    )


# what a program keeps in RAM of a model that lies on a GPU: the table of tokens, of which few rows
# are looked up, and buffers to copy through
_BESIDE_GPU = "what stays in RAM beside a GPU is in no term of its own"


def _all_in_ram(memory: MemoryNeed) -> bool:
    return all(term.where == "host" for term in memory.terms)


def _why_not(seen: SeenMemory, run: Run) -> str | None:
    """Why that term cannot be compared; None where it can."""
    if run.holds_draft and seen.term in (EVERYTHING_ELSE, ALL_MEMORY):
        return "the process holds a model that drafts, too: its log tells them apart (-lv 4)"
    if run.context_tokens is None and seen.term in _GROWS_WITH_CONTEXT:
        return "the run does not tell its context (-c)"
    outputs = run.output_tokens or 0
    if seen.term == "compute" and outputs > (run.parallel or 1):
        # llama-completion and llama-perplexity; a server has one for each sequence
        return f"the program makes room for the logits of {units.tokens(outputs)} at once"
    if seen.term in _TIED_TO_CACHE_TYPE and run.kv_cache_type not in KV_CACHE_TYPES:
        return "the run does not tell the type of its cache, or keys and values differ"
    return None


def _sum(terms: Sequence[Term]) -> _Predicted:
    return _Predicted(
        low=sum(term.low_bytes for term in terms),
        likely=sum(term.bytes for term in terms),
        high=sum(term.high_bytes for term in terms),
    )


def _one_term(name: str, where: str, memory: MemoryNeed, run: Run) -> _Predicted:
    return _sum([term for term in memory.terms if term.name == name and term.where == where])


def _weights(name: str, where: str, memory: MemoryNeed, run: Run) -> _Predicted:
    """A mapped file is one buffer from its first tensor to its last, those included that are laid
    out anew elsewhere.
    """
    held = _one_term(name, where, memory, run)
    if where != "host":
        return held
    beside = memory.evictable_bytes
    return _Predicted(low=held.low, likely=held.likely + beside, high=held.high + beside)


def _model_file(name: str, where: str, memory: MemoryNeed, run: Run) -> _Predicted:
    """Pages of the file: at most all of it, with its header."""
    held = _weights("weights", "host", memory, run)
    return held.replace(high=max(held.high, run.file_bytes or 0))


def _everything_else(name: str, where: str, memory: MemoryNeed, run: Run) -> _Predicted:
    return _sum([term for term in memory.terms if term.where == "host" and term.name != "weights"])


def _all(name: str, where: str, memory: MemoryNeed, run: Run) -> _Predicted:
    file, rest = _model_file(name, where, memory, run), _everything_else(name, where, memory, run)
    return _Predicted(
        low=file.low + rest.low, likely=file.likely + rest.likely, high=file.high + rest.high
    )


_PREDICTED: Mapping[str, Any] = {
    "weights": _weights,
    MODEL_FILE: _model_file,
    EVERYTHING_ELSE: _everything_else,
    ALL_MEMORY: _all,
}


# ------------------------------------------------------------------ causes


def _causes(rows: Sequence[Difference], fast_prompts: str) -> list[str]:
    """What most often explains a figure outside its range."""
    lines = []
    if any(row.subject == "pace" and row.off < 0 for row in rows):
        lines.append(
            "A run is slower than its range while other programs use the cores or the memory: try"
            " again on a quiet machine."
        )
    if any(row.term == "prompt" and row.off > 0 for row in rows):
        lines += [fast_prompts] if fast_prompts else []
    of_process = [row for row in rows if row.term in (MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY)]
    if any(row.off < 0 for row in of_process):
        lines.append(
            "A process takes less until a prompt has filled its context, and where the system has"
            " dropped pages of the file."
        )
    if any(row.off > 0 for row in of_process):
        lines.append(
            "A server's prompt cache (--cache-ram) grows with its requests and is in no range."
        )
    return lines
