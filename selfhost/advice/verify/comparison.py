"""What was predicted beside what a run shows, a row a figure: inside the range, outside, or not to
be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...catalogue.index import Catalogue
from ...catalogue.runtime import RuntimeSpec
from ...core.errors import SelfhostError
from ...core.records import Record
from ...core.workload import KV_CACHE_TYPES, Workload
from ...judge.pace.processor import threads_of
from ...judge.pace.speed import PaceRange, Speed
from ...judge.question import architectures
from ...judge.record import Verdict
from ...machine.record import Machine
from ...needs.records import MemoryNeed
from ..verdicts import check_with
from . import reasons
from .model import identify
from .placed import part_in_ram, speed_at
from .run import ALL_MEMORY, EVERYTHING_ELSE, HOST, MODEL_FILE, Run, SeenMemory, SeenPace

# most ranges of speeds are no wider than this (docs/accuracy.md)
NARROW_FACTOR = 2.0
# GPUs that a backend of llama.cpp computes on, by their maker (its docs/build.md), with an example
_MAKERS = {
    "CUDA": ("nvidia", "RTX 4090"),
    "ROCm": ("amd", "RX 7900 XTX"),
    "HIP": ("amd", "RX 7900 XTX"),
    "SYCL": ("intel", "Arc B580"),
    "Metal": ("apple", "m4 max 64gb"),
    "MTL": ("apple", "m4 max 64gb"),
}


class Difference(Record):
    """One figure. `subject` is memory (`unit` bytes) or pace (tokens_per_second); `term` what it is
    of, `where` it lies, None for a pace. `low`, `likely` and `high` are predicted, None where
    nothing could be; `inside` is None, with the reason in `why`, where the two cannot be compared.
    A pace is that of `sequences` together.
    """

    subject: str
    term: str
    where: str | None = None
    unit: str
    low: float | None = None
    likely: float | None = None
    high: float | None = None
    seen: float
    inside: bool | None = None
    why: str | None = None
    tokens: int | None = None
    depth_tokens: int | None = None
    sequences: int = 1

    @property
    def difference(self) -> float | None:
        """Seen against likely: 0.1 is a tenth more; None where nothing is predicted."""
        return self.seen / self.likely - 1 if self.likely else None

    @property
    def off_factor(self) -> float:
        """How many times the one is the other, seen and likely; infinite where one is missing."""
        if not self.seen or not self.likely:
            return 1.0 if self.seen == self.likely else float("inf")
        return max(self.seen / self.likely, self.likely / self.seen)

    @property
    def is_wide(self) -> bool:
        """Inside a range so wide that it confirms little."""
        return bool(self.inside and self.high and self.high > NARROW_FACTOR * (self.low or 0))


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
        """That of `selfhost verify`."""
        return ("inside", "outside", "nothing").index(self.outcome)


# ------------------------------------------------------------------ the question


def verify(run: Run, catalogue: Catalogue, machine: Machine, typed: str | None) -> Comparison:
    """The run beside what is predicted for its model on the machine; `typed` names the model.
    Raises `SelfhostError` where the run is of no known model, or of another machine.
    """
    from pathlib import Path

    identity = identify(run, catalogue, typed)
    machine, notes = machine_of(run, machine)
    workload = workload_of(run)
    if identity.tells_quantization:
        workload = workload.replace(quantization=None)
    model = Path(identity.model) if identity.is_path else identity.model
    verdict = check_with(catalogue, model, workload, machine, instead=False, follows_machine=False)
    if verdict.model.closed:
        raise SelfhostError(
            f"{verdict.model.name} is a closed model, which nobody runs",
            remedy="name the model that was run with --model",
        )
    if identity.note:
        notes = (identity.note, *notes)
    predicted = verdict.workload.quantization
    if predicted and run.quantization is None and not identity.tells_quantization:
        notes = (*notes, reasons.note("quantization", quantization=predicted))
    if run.runtime == "transformers" and run.context_tokens is None:
        notes = (*notes, reasons.note("context", tokens=verdict.workload.context_tokens))
    runtime = catalogue.runtime(verdict.workload.runtime) if verdict.workload.runtime else None
    rows = architectures(catalogue)
    return compare(
        run,
        verdict,
        by=identity.by,
        is_public=catalogue.is_shipped(verdict.model.id),
        speed_at=speed_at(verdict, runtime, rows),
        runtime=runtime,
        notes=notes,
        in_ram=part_in_ram(run, verdict),
    )


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
    if run.on_processor:
        if machine.accelerators:
            machine = machine.replace(accelerators=())
            notes.append(reasons.note("no-gpu"))
    else:
        _refuse_other_cards(run, machine)
    threads = run.threads
    if threads is not None and threads < threads_of(machine):
        machine = machine.replace(
            cpu_cores_usable=float(threads), cpu_cores_physical=threads, cpu_cores_performance=None
        )
        notes.append(reasons.note("threads", threads=threads))
    return machine, tuple(notes)


def _refuse_other_cards(run: Run, machine: Machine) -> None:
    cards, makers = machine.accelerators, dict(_MAKERS[b] for b in run.backends if b in _MAKERS)
    used_gpu = run.cards > 0 or run.on_processor is False
    is_other = makers and cards and makers.keys().isdisjoint(card.vendor for card in cards)
    if is_other or (used_gpu and cards == ()):
        gpu = run.gpu or next(iter(makers.values()), "RTX 4090")
        what = f"computed with {', '.join(run.backends)}" if is_other else "used a GPU"
        raise SelfhostError(
            f"the run {what}, which {machine.called} does not have",
            remedy=f"name the machine of the run: --machine '{gpu}', or its GPU: --gpu '{gpu}'",
        )


# ------------------------------------------------------------------ the comparison


def compare(
    run: Run,
    verdict: Verdict,
    *,
    by: str,
    is_public: bool,
    speed_at: Callable[[int | None], Speed | None],
    runtime: RuntimeSpec | None = None,
    notes: Sequence[str] = (),
    in_ram: str | None = None,
) -> Comparison:
    """Every figure of the run beside the prediction; none is compared of a run that had something
    `in_ram` that is predicted on a GPU. `speed_at` gives the pace with so many tokens in the
    context, None: of a short chat.
    """
    memory = verdict.needs.memory if verdict.needs is not None else None
    unpacks = runtime is not None and runtime.is_unpacked_on(verdict.machine.instruction_sets)
    rows = [
        _memory_row(seen, memory, run, reasons.why_no_memory(seen, run, verdict, unpacks=unpacks))
        for seen in run.memory
    ]
    rows += [
        _pace_row(
            seen, verdict, run, speed_at(seen.depth_tokens if seen.kind == "decode" else None)
        )
        for seen in run.paces
    ]
    if in_ram is not None:
        unlike = reasons.why("in-ram", part=in_ram)
        rows = [row.replace(inside=None, why=row.why or unlike) for row in rows]
    causes = reasons.causes(rows, run, verdict)
    return Comparison(
        run=run,
        verdict=verdict,
        by=by,
        is_public=is_public,
        differences=tuple(rows),
        notes=(*notes, *run.notes, *causes),
    )


def _pace_row(seen: SeenPace, verdict: Verdict, run: Run, speed: Speed | None) -> Difference:
    predicted = _predicted_pace(seen, verdict, run, speed)
    why = reasons.why_no_pace(seen, speed, verdict, is_predicted=predicted is not None)
    row = Difference(
        subject="pace",
        term=seen.kind if seen.sequences == 1 else f"{seen.kind}_at_once",
        unit="tokens_per_second",
        seen=seen.tokens_per_second,
        why=why,
        tokens=seen.tokens,
        depth_tokens=seen.depth_tokens,
        sequences=seen.sequences,
    )
    if predicted is None:
        return row
    inside = predicted.low <= row.seen <= predicted.high if why is None else None
    return row.replace(
        low=predicted.low, likely=predicted.likely, high=predicted.high, inside=inside
    )


def _predicted_pace(
    seen: SeenPace, verdict: Verdict, run: Run, speed: Speed | None
) -> PaceRange | None:
    """Of all sequences that decode at once their total; one alone may be as slow as while all that
    the run has room for do. Weights in RAM cross to the GPU for each batch of a prompt, which none
    fills beyond its own length.
    """
    total = verdict.speed.parallel_total if verdict.speed is not None else None
    parallel, batch = verdict.workload.parallel, run.batch_tokens
    if seen.sequences > 1:
        return total if seen.sequences == parallel else None
    if speed is None:
        return None
    if seen.kind == "decode":
        if speed.decode is None or total is None:
            return speed.decode
        return speed.decode.replace(low=min(speed.decode.low, total.low / parallel))
    if speed.prompt_copies is None or batch is None:
        return speed.prompt
    return speed.prompt_copies.replace(batch_tokens=min(batch, seen.tokens or batch)).pace


def _memory_row(
    seen: SeenMemory, memory: MemoryNeed | None, run: Run, why: str | None
) -> Difference:
    """`why` it cannot be compared."""
    row = Difference(
        subject="memory",
        term=seen.term,
        where=seen.where,
        unit="bytes",
        seen=seen.bytes,
        why=reasons.why("no-memory"),
    )
    if memory is None:
        return row
    low, likely, high = _predicted(seen, memory, run)
    if not high and seen.where == HOST and any(term.where != HOST for term in memory.terms):
        return row.replace(why=reasons.why("beside-gpu"))
    inside, rounded = None, seen.rounded_bytes
    if why is None:
        inside = low - rounded <= seen.bytes <= high + rounded
        if seen.term in reasons.OF_PROCESS and seen.bytes < low - rounded:
            inside, why = None, reasons.why("not-filled")
    return row.replace(low=low, likely=likely, high=high, inside=inside, why=why)


def _predicted(seen: SeenMemory, memory: MemoryNeed, run: Run) -> tuple[int, int, int]:
    """The low, likely and high bytes that are predicted for it. Of sequences that share a cache
    each has a state of its own. A mapped file is one buffer from its first tensor to its last,
    those included that are laid out anew elsewhere; of its pages a process holds at most all, with
    its header. Of a GPU that shares the RAM all is the host's.
    """
    is_host = seen.where == HOST or all(term.where == HOST for term in memory.terms)
    names = {term.name for term in memory.terms}
    wanted = {
        MODEL_FILE: {"weights"},
        EVERYTHING_ELSE: names - {"weights"},
        ALL_MEMORY: names,
    }.get(seen.term, {seen.term})
    here = [term for term in memory.terms if (term.where == HOST) == is_host]
    terms = [term for term in here if term.name in wanted]
    states = run.states if seen.term == "recurrent_state" else 1
    low = sum(term.low_bytes for term in terms) * states
    likely = sum(term.bytes for term in terms) * states
    high = sum(term.high_bytes for term in terms) * states
    if is_host and "weights" in wanted:
        likely, high = likely + memory.evictable_bytes, high + memory.evictable_bytes
        if seen.term != "weights":
            weights = sum(term.high_bytes for term in terms if term.name == "weights")
            high += max(0, (run.file_bytes or 0) - weights - memory.evictable_bytes)
    return low, likely, high
