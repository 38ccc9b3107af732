"""What was predicted beside what a run shows, a row a figure: inside the range, outside, or not to
be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...core.errors import SelfhostError
from ...core.records import Record
from ...core.workload import KV_CACHE_TYPES, Workload
from ...judge.pace.processor import threads_of
from ...judge.pace.speed import PaceRange, Speed
from ...judge.record import Route, Verdict, exit_code
from ...machine.record import Machine
from ...needs.records import MemoryNeed, Term
from . import reasons
from .run import ALL_MEMORY, CONTEXT, EVERYTHING_ELSE, MODEL_FILE, Run, SeenMemory, SeenPace

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .layout import Layout

# a figure is as predicted where it is this close to the likely one, in a range no wider than this:
# the speeds are fitted to a median error of 15 % and ranges of a factor of 2 (docs/accuracy.md)
CLOSE_FACTOR, NARROW_FACTOR = 1.25, 2.0
# GPUs that a backend of llama.cpp computes on, by their maker (its docs/build.md); Metal is that of
# macOS, whatever the GPU
_MAKERS = {"CUDA": "nvidia", "ROCm": "amd", "HIP": "amd", "SYCL": "intel"}
_EXAMPLES = {"nvidia": "RTX 4090", "amd": "RX 7900 XTX", "intel": "Arc B580"}


class Difference(Record):
    """One figure. `subject` is memory (`unit` bytes) or pace (tokens_per_second); `term` what it is
    of, `where` it lies, None for a pace. `low`, `likely` and `high` are predicted, None where
    nothing could be; `inside` is None, with the reason in `why`, where the two cannot be compared;
    `seen` is None where the run gives no number. A pace is that of `sequences` together.
    """

    subject: str
    term: str
    where: str | None = None
    unit: str
    low: float | None = None
    likely: float | None = None
    high: float | None = None
    seen: float | None
    inside: bool | None = None
    why: str | None = None
    tokens: int | None = None
    depth_tokens: int | None = None
    sequences: int = 1

    @property
    def difference(self) -> float | None:
        """Seen against likely: 0.1 is a tenth more; None where one of them is not there."""
        return None if self.seen is None or not self.likely else self.seen / self.likely - 1

    @property
    def off_factor(self) -> float:
        """How many times the one is the other, seen and likely; infinite where one is missing."""
        if not self.seen or not self.likely:
            return 1.0 if self.seen == self.likely else float("inf")
        return max(self.seen / self.likely, self.likely / self.seen)

    @property
    def range_factor(self) -> float | None:
        """The high end of the range by its low one; None without a range, or from 0 on."""
        return self.high / self.low if self.high and self.low else None

    @property
    def is_wide(self) -> bool:
        """A range so wide that a figure inside it confirms little."""
        return bool(self.high) and (self.range_factor or NARROW_FACTOR + 1) > NARROW_FACTOR

    @property
    def closeness(self) -> str:
        """`close` to the likely figure of a narrow range, `apart` inside of it, `wide` where the
        range is (`is_wide`), `outside`, or `nothing` where not compared.
        """
        if self.inside is None:
            return "nothing"
        if not self.inside:
            return "outside"
        if self.is_wide:
            return "wide"
        return "close" if self.off_factor <= CLOSE_FACTOR else "apart"

    @property
    def is_close(self) -> bool | None:
        """None where the two are not compared."""
        return None if self.inside is None else self.closeness == "close"

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
    def closeness(self) -> str:
        """How well the prediction held: the worst of its figures (`Difference.closeness`)."""
        each = {row.closeness for row in self.differences}
        return next(
            (kind for kind in ("outside", "wide", "apart", "close") if kind in each), "nothing"
        )

    @property
    def outcome(self) -> str:
        """`inside` where every figure that can be compared is, `outside` where one is not,
        `nothing` where none can be.
        """
        return self.closeness if self.closeness in ("outside", "nothing") else "inside"

    @property
    def farthest(self) -> Difference | None:
        """Of the figures that decide the outcome, the one farthest from its likely figure; None
        where nothing is compared.
        """
        if self.closeness == "nothing":
            return None
        rows = [row for row in self.differences if row.closeness == self.closeness]
        return max(rows, key=lambda row: row.off_factor)

    @property
    def exit_code(self) -> int:
        """0 inside, 1 outside, 2 nothing to compare."""
        routes = {"inside": [Route.LOCAL], "outside": [Route.NEITHER]}
        return exit_code(routes.get(self.outcome, []))


# ------------------------------------------------------------------ the question


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
    if not run.on_processor:
        _refuse_other_makers(run, machine)
    on_card = any(seen.where != "host" for seen in run.memory)
    if (on_card or run.on_processor is False) and machine.accelerators == ():
        raise SelfhostError(
            f"the run used a GPU, and {machine.called} has none",
            remedy=(
                f"name the GPU of the run: --gpu '{run.gpu or 'RTX 4090'}', or its machine:"
                " --machine FILE"
            ),
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


def _refuse_other_makers(run: Run, machine: Machine) -> None:
    """Raises `SelfhostError` where the build of the run computes on no GPU of the machine."""
    makers = {_MAKERS[name] for name in run.backends if name in _MAKERS}
    cards = machine.accelerators or ()
    is_other = makers and cards and makers.isdisjoint(card.vendor for card in cards)
    of_macos = any(name in ("Metal", "MTL") for name in run.backends)
    if is_other or (of_macos and machine.system != "macos"):
        example = run.gpu or next((_EXAMPLES[maker] for maker in makers), "m4 max 64gb")
        names = ", ".join(run.backends)
        raise SelfhostError(
            f"the run computed with {names}, which {machine.called} does not have",
            remedy=f"name the machine of the run: --machine '{example}'",
        )


# ------------------------------------------------------------------ the comparison


def compare(
    run: Run,
    verdict: Verdict,
    *,
    by: str,
    is_public: bool,
    speed_at: Callable[[int | None], Speed | None],
    notes: Sequence[str] = (),
    fast_prompts: str = "",
    unpacks: bool = False,
    layout: Layout | None = None,
) -> Comparison:
    """Every figure of the run beside the prediction. `speed_at` gives the pace with so many tokens
    in the context, None: of a short chat; where the run had a `layout` of its own, for that.
    `fast_prompts` as of the runtime. `unpacks`: the command that is predicted for keeps weights as
    they are stored (`RuntimeSpec.is_unpacked_on`).
    """
    rows = [
        _memory_row(seen, verdict, run, reasons.why_no_memory(seen, run, verdict, unpacks=unpacks))
        for seen in seen_in_places(run, verdict)
    ]
    rows += [
        _pace_row(seen, verdict, run, speed_at, is_laid_out=layout is not None)
        for seen in run.paces
    ]
    if layout is not None:
        # a figure of a run that left something in RAM is compared where it is predicted for that
        paced, held = layout.share is not None, not layout.is_unlike
        rows = [
            row
            if (paced if row.subject == "pace" else held)
            else row.replace(inside=None, why=row.why or layout.reason)
            for row in rows
        ]
    basis = verdict.speed if layout is None else speed_at(None)
    is_off = any(row.is_close is False for row in rows)
    return Comparison(
        run=run,
        verdict=verdict,
        by=by,
        is_public=is_public,
        differences=tuple(rows),
        notes=(
            *notes,
            *run.notes,
            *reasons.run_otherwise(run, verdict, layout, is_off=is_off),
            *reasons.causes(rows, verdict, fast_prompts, basis),
        ),
    )


def seen_in_places(run: Run, verdict: Verdict) -> tuple[SeenMemory, ...]:
    """What the run's memory is, where the prediction has it: of a GPU that shares the RAM all is
    the host's, and the cards that a run used are the first ones, whatever numbers they have in its
    machine; what several hold is that of one where one is predicted to hold it.
    """
    predicted, cards = reasons.cards(_terms(verdict)), reasons.cards(run.memory)
    if any(device.unified for device in verdict.machine.accelerators or ()):
        places = dict.fromkeys(cards, "host")
    elif set(cards) <= set(predicted):
        return tuple(run.memory)
    elif len(predicted) == 1:
        places = dict.fromkeys(cards, predicted[0])
    else:
        places = {where: f"accelerator:{number}" for number, where in enumerate(cards)}
    sums: dict[tuple[str, str], SeenMemory] = {}
    for part in run.memory:
        where = places.get(part.where, part.where)
        before = sums.get((part.term, where))
        sums[part.term, where] = part.replace(
            where=where,
            bytes=part.bytes + (before.bytes if before else 0),
            rounded_bytes=part.rounded_bytes + (before.rounded_bytes if before else 0),
        )
    return tuple(sums.values())


def _terms(verdict: Verdict) -> Sequence[Term]:
    memory = verdict.needs.memory if verdict.needs is not None else None
    return () if memory is None else memory.terms


def _pace_row(
    seen: SeenPace,
    verdict: Verdict,
    run: Run,
    speed_at: Callable[[int | None], Speed | None],
    *,
    is_laid_out: bool,
) -> Difference:
    """`is_laid_out`: the run had a layout of its own, for which no total of several is known."""
    speed = speed_at(seen.depth_tokens if seen.kind == "decode" else None)
    total = verdict.speed.parallel_total if verdict.speed is not None and not is_laid_out else None
    predicted = _pace_of(seen, speed, total, verdict.workload.parallel, run.batch_tokens)
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
    low, high, inside = predicted.low, predicted.high, None
    if seen.tokens_per_second is not None and why is None:
        inside = low <= seen.tokens_per_second <= high
    return row.replace(low=low, likely=predicted.likely, high=high, inside=inside)


def _pace_of(
    seen: SeenPace,
    speed: Speed | None,
    total: PaceRange | None,
    parallel: int,
    batch_tokens: int | None,
) -> PaceRange | None:
    """What is predicted for it. `total` is the pace of all sequences that decode at once: one alone
    may be as slow as while all that the run has room for do. Weights in RAM cross to the GPU for
    each batch of a prompt (`batch_tokens` of the run), which none fills beyond its own length.
    """
    if seen.sequences > 1:
        return total if seen.sequences == parallel else None
    if speed is None:
        return None
    if seen.kind != "decode":
        copies = speed.prompt_copies
        if copies is None or batch_tokens is None:
            return speed.prompt
        return copies.replace(batch_tokens=min(batch_tokens, seen.tokens or batch_tokens)).pace
    if speed.decode is None or total is None:
        return speed.decode
    return speed.decode.replace(low=min(speed.decode.low, total.low / parallel))


def _memory_row(seen: SeenMemory, verdict: Verdict, run: Run, why: str | None) -> Difference:
    """`why` it cannot be compared."""
    row = Difference(
        subject="memory",
        term=seen.term,
        where=seen.where,
        unit="bytes",
        seen=seen.bytes,
        why=reasons.why("no-memory"),
    )
    memory = verdict.needs.memory if verdict.needs is not None else None
    if memory is None:
        return row
    low, likely, high = _predicted(seen, memory, run)
    if not high and seen.where == "host" and reasons.cards(memory.terms):
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
    its header.
    """
    all_terms = tuple({term.name for term in memory.terms})
    wanted = {
        CONTEXT: ("kv_cache", "recurrent_state"),
        MODEL_FILE: ("weights",),
        EVERYTHING_ELSE: tuple({*all_terms} - {"weights"}),
        ALL_MEMORY: all_terms,
    }.get(seen.term, (seen.term,))
    of_all = seen.term in (EVERYTHING_ELSE, ALL_MEMORY)
    states = {} if of_all else {"recurrent_state": run.states}
    terms = [term for term in memory.terms if term.name in wanted and term.where == seen.where]
    low, likely, high = (
        sum(getattr(term, end) * states.get(term.name, 1) for term in terms)
        for end in ("low_bytes", "bytes", "high_bytes")
    )
    if "weights" in wanted and seen.where == "host":
        likely, high = likely + memory.evictable_bytes, high + memory.evictable_bytes
    if seen.term in (MODEL_FILE, ALL_MEMORY):
        weights = sum(term.high_bytes for term in terms if term.name == "weights")
        high += max(0, (run.file_bytes or 0) - weights - memory.evictable_bytes)
    return low, likely, high
