"""What was predicted beside what a run shows, a row a figure: inside the range, outside, or not to
be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...core import units
from ...core.errors import SelfhostError
from ...core.records import Record
from ...core.workload import KV_CACHE_TYPES, Workload
from ...judge.pace.pacing import how_to_measure
from ...judge.pace.processor import threads_of
from ...judge.pace.prompt_copies import per_batch
from ...judge.pace.speed import PaceRange, Speed
from ...judge.record import Route, Verdict, exit_code
from ...machine.gpus import are_alike, fastest
from ...machine.record import Machine, was_at_present
from ...needs.records import MemoryNeed, Term
from .run import (
    ALL_MEMORY,
    CONTEXT,
    EVERYTHING_ELSE,
    LEAST_TOKENS,
    MODEL_FILE,
    Run,
    SeenMemory,
    SeenPace,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .layout import Layout

# llama.cpp computes a prompt in batches of so many tokens by default (-ub); on a GPU fewer take
# nearly as long, on a processor in proportion
BATCH_TOKENS = 512
# a figure is as predicted where it is this close to the likely one, in a range no wider than this:
# the speeds are fitted to a median error of 15 % and ranges of a factor of 2 (docs/accuracy.md)
CLOSE_FACTOR, NARROW_FACTOR = 1.25, 2.0
# no residual of the fit: ranges of a factor of 2 hold 94 % of 281 published runs
# (benchmarks/speed_residuals.py)
_FOREIGN_FACTOR = 3.0
# of the average of repeated runs, how far they may lie apart from it: half of what most ranges are
# wide. Quiet ones lie 1 to 3 % apart, beside other programs 10 % and more (llama-bench, here)
_STEADY = 0.25
_OF_PROCESS = (MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY)
_TIED_TO_CACHE_TYPE = ("kv_cache", CONTEXT, EVERYTHING_ELSE, ALL_MEMORY)
# as many of the fastest GPU of the table as a server has, which share one model out: none is faster
_GPUS = 8
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
    def off_factor(self) -> float | None:
        """How many times the one is the other, seen and likely; None where one is not there."""
        if not self.seen or not self.likely:
            return None
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
    def is_close(self) -> bool | None:
        """Inside a narrow range and near the likely figure; None where the two are not compared."""
        if self.inside is None:
            return None
        is_near = self.seen == self.likely or (self.off_factor or CLOSE_FACTOR + 1) <= CLOSE_FACTOR
        return self.inside and is_near and not self.is_wide

    @property
    def closeness(self) -> str:
        """`close`, `apart`, `wide`, `outside` or `nothing`, as of the whole comparison."""
        if self.inside is None:
            return "nothing"
        if not self.inside:
            return "outside"
        if self.is_close:
            return "close"
        return "wide" if self.is_wide else "apart"

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
    def closeness(self) -> str:
        """How well the prediction held: `close` where every figure is as predicted, `apart` where
        each is inside a narrow range but one is far from the likely figure, `wide` where one is
        told by a wide range alone, else the outcome.
        """
        each = {row.closeness for row in self.differences}
        return next(
            (kind for kind in ("outside", "wide", "apart", "close") if kind in each), "nothing"
        )

    @property
    def farthest(self) -> Difference | None:
        """Of the figures that decide the outcome, the one farthest from its likely figure; None
        where nothing is compared.
        """
        if self.closeness == "nothing":
            return None
        rows = [row for row in self.differences if row.closeness == self.closeness]
        return max(rows, key=lambda row: row.off_factor or float("inf"), default=None)

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


# GPUs that a backend of llama.cpp computes on, by their maker (its docs/build.md); Metal is that of
# macOS, whatever the GPU
_MAKERS = {"CUDA": "nvidia", "ROCm": "amd", "HIP": "amd", "SYCL": "intel"}
_EXAMPLES = {"nvidia": "RTX 4090", "amd": "RX 7900 XTX", "intel": "Arc B580"}


def _refuse_other_makers(run: Run, machine: Machine) -> None:
    """Raises `SelfhostError` where the build of the run computes on no GPU of the machine."""
    makers = {_MAKERS[name] for name in run.backends if name in _MAKERS}
    cards = machine.accelerators or ()
    is_other = makers and cards and makers.isdisjoint(card.vendor for card in cards)
    of_macos = any(name in ("Metal", "MTL") for name in run.backends)
    if is_other or (of_macos and machine.system != "macos"):
        names = ", ".join(run.backends)
        example = run.gpu or next((_EXAMPLES[maker] for maker in makers), "m4 max 64gb")
        raise SelfhostError(
            f"the run computed with {names}, which {machine.called} does not have",
            remedy=f"name the machine of the run: --machine '{example}'",
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
                f"name the GPU of the run: --gpu '{run.gpu or 'RTX 4090'}', or its machine: "
                + "--machine FILE"
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
    in_places = seen_in_places(run, verdict)
    unlike = _unlike_terms(in_places, run, verdict, unpacks=unpacks)
    rows = [_memory_row(seen, verdict, run, unlike.get(seen.term)) for seen in in_places]
    total = verdict.speed.parallel_total if verdict.speed is not None and layout is None else None
    rows += [_pace_row(seen, verdict, speed_at, total, run.batch_tokens) for seen in run.paces]
    basis = verdict.speed
    if layout is not None:
        basis = speed_at(None)
        rows = [_in_layout(row, layout) for row in rows]
    return Comparison(
        run=run,
        verdict=verdict,
        by=by,
        is_public=is_public,
        differences=tuple(rows),
        notes=(
            *notes,
            *run.notes,
            *_run_otherwise(run, verdict, rows, layout),
            *_causes(rows, verdict, fast_prompts),
            *_basis(rows, verdict, basis, run.batch_tokens),
        ),
    )


def seen_in_places(run: Run, verdict: Verdict) -> tuple[SeenMemory, ...]:
    """What the run's memory is, where the prediction has it: of a GPU that shares the RAM all is
    the host's, and the cards that a run used are the first ones, whatever numbers they have in its
    machine; what several hold is that of one where one is predicted to hold it.
    """
    memory = verdict.needs.memory if verdict.needs is not None else None
    predicted, cards = _cards(() if memory is None else memory.terms), _cards(run.memory)
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


def _cards(parts: Sequence[SeenMemory | Term]) -> list[str]:
    places = {part.where for part in parts} - {"host"}
    return sorted(places, key=lambda where: int(where.rpartition(":")[2]))


def _in_layout(row: Difference, layout: Layout) -> Difference:
    """A figure of a run that left something in RAM, compared where it is predicted for that."""
    is_predicted = layout.share is not None if row.subject == "pace" else not layout.is_unlike
    return row if is_predicted else row.replace(inside=None, why=row.why or layout.reason)


def _placement(verdict: Verdict) -> str:
    return (verdict.needs.placement if verdict.needs is not None else None) or "host"


# ------------------------------------------------------------------ pace


def _pace_row(
    seen: SeenPace,
    verdict: Verdict,
    speed_at: Callable[[int | None], Speed | None],
    total: PaceRange | None,
    batch_tokens: int | None,
) -> Difference:
    """`total` is the pace of all sequences that decode at once; None of one. `batch_tokens`: of the
    run (-ub), None of the default.
    """
    speed = speed_at(seen.depth_tokens if seen.kind == "decode" else None)
    predicted = _pace_of(seen, speed, total, verdict.workload.parallel, batch_tokens)
    why = why_impossible(seen, verdict) or _why_no_pace(seen, predicted, speed, verdict)
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


def _pace_of(
    seen: SeenPace,
    speed: Speed | None,
    total: PaceRange | None,
    parallel: int,
    batch_tokens: int | None,
) -> PaceRange | None:
    """What is predicted for it. One sequence alone may be as slow as while all that the run has
    room for decode at once. Weights in RAM cross to the GPU for each batch of a prompt, which none
    fills beyond its own length.
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


def _why_no_pace(
    seen: SeenPace, predicted: PaceRange | None, speed: Speed | None, verdict: Verdict
) -> str | None:
    """Why that pace cannot be compared; None where it can."""
    if seen.tokens_per_second is None:
        return "the run gives no number that a pace can be"
    if predicted is not None:
        return _why_another_pace(seen) or _why_too_few(seen, verdict)
    if speed is not None and speed.decode is None:
        return speed.how
    return "no pace is predicted for it"


def _why_another_pace(seen: SeenPace) -> str | None:
    """Why the run's own pace is no pace of one request alone; None where it is."""
    if seen.drafted and seen.kind == "decode":
        return "the run drafts tokens, so that a step gives several: compare one without a draft"
    if (seen.deviation or 0) > _STEADY:
        return (
            f"its repetitions vary by {units.percent(seen.deviation or 0)} of their average:"
            " run it again where nothing else runs"
        )
    if seen.shared:
        return (
            "other requests were answered at the same time, and had a part of it: compare one that"
            " has the program alone"
        )
    if seen.kind == "prompt" and (seen.depth_tokens or 0) > (seen.tokens or 0):
        # each of its tokens looks back at more than the prompt itself holds
        return (
            f"it was read behind {units.tokens(seen.depth_tokens or 0)}, and predicted is a prompt"
            " at the start of a context"
        )
    return None


def _why_too_few(seen: SeenPace, verdict: Verdict) -> str | None:
    least_tokens = LEAST_TOKENS[seen.kind]
    shares_ram = any(card.unified for card in verdict.machine.accelerators or ())
    if seen.kind == "prompt" and (_placement(verdict) != "host" or shares_ram):
        # fewer take a GPU as long as a batch
        least_tokens = BATCH_TOKENS
    if seen.tokens is not None and seen.tokens < least_tokens:
        return f"{units.tokens(seen.tokens)} are too few to compare: take {least_tokens} or more"
    return None


def why_impossible(seen: SeenPace, verdict: Verdict) -> str | None:
    """Why nothing runs the model at that pace, whatever the machine: each step reads the weights,
    and each token of a prompt is computed with all that it meets. None where something may.
    """
    pace, parameters = seen.tokens_per_second, verdict.model.parameters
    bytes_per_second, operations_per_second = fastest()
    if pace is None or not parameters.active:
        return None
    if seen.kind == "prompt":
        needed, most = 2 * parameters.active * pace, _GPUS * operations_per_second
        rate, given = f"compute {needed / 1e12:,.0f} TFLOPS", f"{most / 1e12:,.0f}"
    else:
        memory = verdict.needs.memory if verdict.needs is not None else None
        # what a processor reads in a layout of its own stands apart
        names = ("weights", "repacked_weights")
        terms = () if memory is None else memory.terms
        held = sum(term.low_bytes for term in terms if term.name in names)
        share = min(1.0, parameters.active / (parameters.total or 1))
        needed, most = held * share * pace / seen.sequences, _GPUS * bytes_per_second
        rate = f"read {units.decimal(int(needed))} of weights a second"
        given = units.decimal(int(most))
    if needed <= most:
        return None
    return (
        f"the figure cannot be right: at that pace the run would {rate}, and {_GPUS} of the fastest"
        f" GPU known here have {given} together"
    )


# ------------------------------------------------------------------ memory


def _memory_row(seen: SeenMemory, verdict: Verdict, run: Run, unlike: str | None) -> Difference:
    """`unlike`: why the run has it otherwise than predicted."""
    memory = verdict.needs.memory if verdict.needs is not None else None
    low = likely = high = inside = None
    why: str | None = "no memory is predicted for it"
    if memory is not None:
        low, likely, high = _predicted(seen, memory, run)
        why = _why_not_compared(seen, run) or unlike
        is_in_ram = all(term.where == "host" for term in memory.terms)
        if not high and seen.where == "host" and not is_in_ram:
            low = likely = high = None
            why = _BESIDE_GPU
    if low is not None and high is not None and why is None:
        rounded = seen.rounded_bytes
        inside = low - rounded <= seen.bytes <= high + rounded
        if seen.term in _OF_PROCESS and seen.bytes < low - rounded:
            inside, why = None, _NOT_FILLED
    return Difference(
        subject="memory",
        term=seen.term,
        where=seen.where,
        unit="bytes",
        low=low,
        likely=likely,
        high=high,
        seen=seen.bytes,
        inside=inside,
        why=why,
    )


_NOT_FILLED = (
    "a process takes less until a prompt has filled its context, and where the system has dropped"
    " pages of the file"
)
# what a program keeps in RAM of a model that lies on a GPU: the table of tokens, of which few rows
# are looked up, and buffers to copy through
_BESIDE_GPU = "what stays in RAM beside a GPU is in no term of its own"


def _predicted(seen: SeenMemory, memory: MemoryNeed, run: Run) -> tuple[int, int, int]:
    """The low, likely and high bytes that are predicted for it. Of sequences that share a cache
    each has a state of its own. A mapped file is one buffer from its first tensor to its last,
    those included that are laid out anew elsewhere; of its pages a process holds at most all, with
    its header.
    """
    states = {"recurrent_state": run.states}
    wanted = {
        CONTEXT: ("kv_cache", "recurrent_state"),
        MODEL_FILE: ("weights",),
        EVERYTHING_ELSE: tuple({term.name for term in memory.terms} - {"weights"}),
        ALL_MEMORY: tuple({term.name for term in memory.terms}),
    }.get(seen.term, (seen.term,))
    if seen.term in (EVERYTHING_ELSE, ALL_MEMORY):
        states = {}
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


def _why_not_compared(seen: SeenMemory, run: Run) -> str | None:
    """Why that term cannot be compared; None where it can."""
    if run.holds_draft and seen.term in (EVERYTHING_ELSE, ALL_MEMORY):
        return "the process holds a model that drafts, too: its log tells them apart (-lv 4)"
    if run.context_tokens is None and seen.term in _GROWS_WITH_CONTEXT:
        return "the run does not tell its context (-c)"
    if seen.term == "compute" and run.batch_tokens not in (None, BATCH_TOKENS):
        return (
            f"the run computes {units.tokens(run.batch_tokens or 0)} at once (-ub), and predicted"
            f" is {BATCH_TOKENS}"
        )
    outputs = run.output_tokens or 0
    if seen.term == "compute" and outputs > max(run.parallel or 1, run.states):
        # llama-completion and llama-perplexity; a server has one for each sequence
        return f"the program makes room for the logits of {units.tokens(outputs)} at once"
    if seen.term in _TIED_TO_CACHE_TYPE and run.kv_cache_type not in KV_CACHE_TYPES:
        return "the run does not tell the type of its cache, or keys and values differ"
    return None


def _unlike_terms(
    seen: Sequence[SeenMemory], run: Run, verdict: Verdict, *, unpacks: bool
) -> dict[str, str]:
    """By term why the run has it otherwise than predicted: a buffer that each GPU has for itself
    where the run lay on more, and weights laid out anew where a command with --no-repack is
    predicted, for a log tells no option.
    """
    unlike, needs = {}, verdict.needs
    cards = len(_cards(run.memory))
    predicted = len(_cards(needs.memory.terms)) if needs is not None and needs.memory else 0
    if _placement(verdict) != "host" and cards > predicted:
        unlike["compute"] = (
            f"the run lay on {cards} GPUs, each with a buffer of its own, and predicted is"
            f" {predicted}"
        )
    if unpacks and any(part.term == "repacked_weights" for part in seen):
        unlike["weights"] = unlike["repacked_weights"] = (
            "the run laid weights out anew for its processor, which the predicted --no-repack"
            " prevents"
        )
    return unlike


# ------------------------------------------------------------------ notes


def _run_otherwise(
    run: Run, verdict: Verdict, rows: Sequence[Difference], layout: Layout | None
) -> Iterator[str]:
    """Options and hardware of the run that the prediction has otherwise, or as the run had them."""
    machine, placed = verdict.machine, _placement(verdict)
    if placed != "host" and run.memory and all(seen.where == "host" for seen in run.memory):
        yield "Memory on a GPU is predicted too, and this run does not show it: its log does."
    layers = getattr(verdict.model.architecture, "layers", 0)
    if layout is not None and layout.note is not None:
        yield layout.note
    elif layout is None and placed == "split" and layers and (run.gpu_layers or 0) >= layers:
        yield "The run had every layer on the GPU; predicted is a part of them, the rest in RAM."
    if run.flash_attention is False and any(row.is_close is False for row in rows):
        yield (
            "The run had flash attention off, which is slower and takes a larger compute buffer:"
            " predicted is with it (-fa on)."
        )
    yield from _on_other_hardware(run, machine, placed)


def _on_other_hardware(run: Run, machine: Machine, placed: str) -> Iterator[str]:
    """The run's GPU where the prediction has layers on one, its processor where layers are in RAM,
    if another was predicted.
    """
    cards = list(dict.fromkeys(card.name for card in machine.accelerators or ()))
    of_run = list(dict.fromkeys(run.gpu.split(", "))) if run.gpu else []
    foreign = [name for name in of_run if not any(are_alike(name, card) for card in cards)]
    if placed != "host" and cards and foreign:
        yield _ELSEWHERE.format(" and ".join(foreign), " and ".join(cards), "--machine or --gpu")
    here = machine.cpu_model
    if placed != "accelerator" and run.processor and here:
        # each word of the shorter name is in the longer one: `AMD Ryzen 7 7840HS w/ Radeon 780M
        # Graphics` and `ryzen 7 7840hs`
        words, others = sorted((_words_of(run.processor), _words_of(here)), key=len)
        if not words <= others:
            yield _ELSEWHERE.format(run.processor, here, "--machine")


_ELSEWHERE = "The run was on {}, and the prediction is for {}: name the run's with {}."


def _words_of(name: str) -> set[str]:
    """What tells a processor's name from another: without marks, clock and number of cores."""
    plain = name.lower().replace("(r)", " ").replace("(tm)", " ").partition("@")[0]
    return set(plain.split()) - {"cpu", "processor", "with"}


_FULLER = (
    "Decoding slows down as the context fills, and the run does not tell how full it was: predicted"
    " is a short chat."
)
_BUSY = (
    "A run is slower than predicted while other programs use the cores or the memory: try again on"
    " a quiet machine."
)
_FOREIGN = (
    "A pace so far off is most often that of another machine or model: name those of the run with"
    " --machine, --gpu and --model."
)
_PROMPT_CACHE = "A server's prompt cache (--cache-ram) grows with its requests and is in no range."
_MOMENT = "The prediction rests on the memory at one moment. To be sure, run with --measure."


def _causes(rows: Sequence[Difference], verdict: Verdict, fast_prompts: str) -> Iterator[str]:
    """What most often explains a figure far from the likely one."""
    paces = [row for row in rows if row.subject == "pace" and row.inside is not None]
    yield from _of_slow(paces)
    above = {row.term for row in rows if row.off > 0}
    if fast_prompts and "prompt" in above:
        yield fast_prompts
    # farther off than any machine is from what is predicted for its like
    if any(row.off and _is_far(row, _FOREIGN_FACTOR) for row in paces):
        yield _FOREIGN
    if not above.isdisjoint(_OF_PROCESS):
        yield _PROMPT_CACHE
    yield from _of_a_moment(paces, verdict)


def _of_slow(paces: Sequence[Difference]) -> Iterator[str]:
    """What makes a pace far slower than the likely one."""
    slow = [row for row in paces if _is_far(row, CLOSE_FACTOR) and (row.difference or 0) < 0]
    if any(row.term != "prompt" and row.depth_tokens is None for row in slow):
        yield _FULLER
    if slow:
        yield _BUSY


def _is_far(row: Difference, factor: float) -> bool:
    return (row.off_factor or 0) > factor


def _of_a_moment(paces: Sequence[Difference], verdict: Verdict) -> Iterator[str]:
    """That a pace outside its range was predicted in a moment, and how to take more time."""
    source = verdict.machine.sources.get("memory_bandwidth_bytes_per_second", "")
    is_outside = any(row.term != "prompt" and not row.inside for row in paces)
    if is_outside and was_at_present(source):
        yield _MOMENT


def _basis(
    rows: Sequence[Difference], verdict: Verdict, speed: Speed | None, batch_tokens: int | None
) -> list[str]:
    """What a wide range of that pace rests on, and how to narrow it."""
    is_wide = any(
        row.term != "prompt" and row.subject == "pace" and row.is_wide
        for row in rows
        if row.inside is not None
    )
    if speed is None or not is_wide:
        return []
    remedy = how_to_measure(verdict.machine)
    narrower = f" For a narrower range, {remedy}." if remedy else ""
    how = speed.how
    if batch_tokens is not None and speed.prompt_copies is not None:
        how = how.replace(per_batch(speed.prompt_copies.batch_tokens), per_batch(batch_tokens))
    return [f"Basis of the predicted pace: {how}.{narrower}"]
