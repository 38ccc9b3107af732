"""What was predicted beside what a run shows, a row a figure: inside the range, outside, or not to
be compared. The sentences are in `common/runs.toml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ... import needs as need
from ...catalogue.index import Catalogue
from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec import ModelSpec
from ...core.errors import SelfhostError
from ...core.records import Record
from ...core.tables import filled, shipped_table
from ...core.workload import KV_CACHE_TYPES, Workload
from ...judge.pace.engine import WITH_A_GATE, Step
from ...judge.pace.pacing import how_to_measure
from ...judge.pace.placed import laid_out, predict
from ...judge.pace.processor import threads_of
from ...judge.pace.speed import PaceRange, Speed
from ...judge.placement.experts import layers_with_experts
from ...judge.record import Verdict
from ...machine.gpus import are_alike, fastest
from ...machine.record import BRIEFLY, Machine
from ...needs.records import MemoryNeed
from ..verdicts import check_with
from .logs import LEAST_TOKENS
from .run import (
    ALL_MEMORY,
    EVERYTHING_ELSE,
    HOST,
    MODEL_FILE,
    OF_PROCESS,
    Run,
    SeenMemory,
    SeenPace,
    identify,
    notes,
)

# tokens in the context -> the pace there; None stands for a short chat
Paces = Callable[[int | None], Speed | None]

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
# llama.cpp computes a prompt in batches of so many tokens by default (-ub); on a GPU fewer take
# nearly as long, on a processor in proportion
_BATCH_TOKENS = 512
# as many of the fastest GPU of the table as a server has, which share one model out: none is faster
_GPUS = 8
# no residual of the fit: ranges of a factor of 2 hold 94 % of 281 published runs
# (benchmarks/speed_residuals.py)
_FOREIGN_FACTOR = 3.0
# of the likely pace: slower is worth an explanation
_SLOW = 0.8
# of the weights that are predicted on the accelerators: rounding, and tables that a program keeps
# beside (assumed)
_LEAST_SHARE = 0.9


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
    by: str = "typed"
    is_public: bool = True
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
    identity = identify(run, catalogue, typed)
    machine, said = machine_of(run, machine)
    workload = workload_of(run)
    if identity.tells_quantization:
        workload = workload.replace(quantization=None)
    verdict = check_with(
        catalogue, identity.model, workload, machine, instead=False, follows_machine=False
    )
    if verdict.model.closed:
        raise SelfhostError(
            f"{verdict.model.name} is a closed model, which nobody runs",
            remedy="name the model that was run with --model",
        )
    predicted, context = verdict.workload.quantization, verdict.workload.context_tokens
    is_silent = run.quantization is None and not identity.tells_quantization
    holds = {
        "quantization": predicted and is_silent,
        "context": run.runtime == "transformers" and run.context_tokens is None,
    }
    runtime = catalogue.runtime(verdict.workload.runtime) if verdict.workload.runtime else None
    comparison = compare(run, verdict, paces_at(verdict, runtime, catalogue), runtime)
    return comparison.replace(
        by=identity.by,
        is_public=catalogue.is_shipped(verdict.model.id),
        notes=(*said, *notes(holds, quantization=predicted, tokens=context), *comparison.notes),
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
    if not run.on_processor:
        _refuse_other_cards(run, machine)
    threads = run.threads if run.threads and run.threads < threads_of(machine) else None
    holds = {"no-gpu": run.on_processor and machine.accelerators, "threads": threads}
    if run.on_processor:
        machine = machine.replace(accelerators=())
    if threads:
        machine = machine.replace(
            cpu_cores_usable=float(threads), cpu_cores_physical=threads, cpu_cores_performance=None
        )
    return machine, notes(holds, threads=threads)


def _refuse_other_cards(run: Run, machine: Machine) -> None:
    cards, makers = machine.accelerators, dict(_MAKERS[b] for b in run.backends if b in _MAKERS)
    is_other = makers and cards and makers.keys().isdisjoint(card.vendor for card in cards)
    used_gpu = run.cards > 0 or run.on_processor is False
    if is_other or (used_gpu and cards == ()):
        gpu = run.gpu or next(iter(makers.values()), "RTX 4090")
        what = f"computed with {', '.join(run.backends)}" if is_other else "used a GPU"
        raise SelfhostError(
            f"the run {what}, which {machine.called} does not have",
            remedy=f"name the machine of the run: --machine '{gpu}', or its GPU: --gpu '{gpu}'",
        )


def paces_at(verdict: Verdict, runtime: RuntimeSpec | None, catalogue: Catalogue) -> Paces:
    """The pace at each depth, laid out as judged; None where it makes no sense or the needs are not
    known.
    """
    needs, workload, spec = verdict.needs, verdict.workload, verdict.model
    if needs is None or runtime is None or verdict.speed is None or verdict.speed.decode is None:
        return lambda _depth_tokens: None
    architecture, rows = spec.architecture, catalogue.common("architectures")
    row = need.row_of(architecture, rows) if architecture is not None else None
    way = laid_out(needs, verdict.machine, runtime, architecture, workload.context_tokens)
    step = Step.of_program(
        runtime,
        architecture,
        need.decode_bytes_by_type(
            spec, runtime, workload.format or "", workload.quantization or "", rows
        ),
        context_tokens=workload.context_tokens,
        expert_matrices=WITH_A_GATE if row is None else row.expert_matrices,
    )
    return lambda depth_tokens: predict(
        verdict.machine, step if depth_tokens is None else step.at(depth_tokens), way
    )


def experts_in_ram(run: Run, spec: ModelSpec) -> int | None:
    """Of how many layers the experts lay in RAM: of the first layers that were named, those that
    have experts; None where the run does not tell.
    """
    layers = layers_with_experts(spec.architecture)
    return sum(number < (run.experts_in_ram or 0) for number in layers) or None


# ------------------------------------------------------------------ the comparison


def compare(
    run: Run, verdict: Verdict, paces: Paces, runtime: RuntimeSpec | None = None
) -> Comparison:
    """Every figure of the run beside the prediction."""
    rows = [_memory_row(seen, run, verdict, runtime) for seen in run.memory]
    rows += [_pace_row(seen, run, verdict, paces) for seen in run.paces]
    said = (*run.notes, *_causes(rows, run, verdict))
    return Comparison(run=run, verdict=verdict, differences=tuple(rows), notes=said)


def _why(holds: Mapping[str, object], **figures: object) -> str | None:
    """Why a figure is not compared: the first of the reasons that holds."""
    key = next((key for key, value in holds.items() if value), None)
    return None if key is None else filled(shipped_table("runs")["why"][key], figures)


def _pace_row(seen: SeenPace, run: Run, verdict: Verdict, paces: Paces) -> Difference:
    speed = paces(seen.depth_tokens if seen.kind == "decode" else None)
    predicted = _predicted_pace(seen, verdict, run, speed)
    how = speed.how if speed is not None and speed.decode is None else None
    why = _why({"impossible": _is_impossible(seen, verdict)}, gpus=_GPUS)
    why = why or _why({"no-pace": predicted is None}, how=how) or _why_no_pace(seen, run, verdict)
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
    low, likely, high = predicted.low, predicted.likely, predicted.high
    inside = low <= row.seen <= high if why is None else None
    return row.replace(low=low, likely=likely, high=high, inside=inside)


def _why_no_pace(seen: SeenPace, run: Run, verdict: Verdict) -> str | None:
    """Why it is no pace of one long request alone; None where it is."""
    tokens, depth, least = seen.tokens, seen.depth_tokens or 0, LEAST_TOKENS[seen.kind]
    shares_ram = any(card.unified for card in verdict.machine.accelerators or ())
    if seen.kind == "prompt" and (_on_accelerator(verdict) or shares_ram):
        # fewer take a GPU as long as a batch
        least = _BATCH_TOKENS
    reasons = {
        "drafts": seen.drafted and seen.kind == "decode",
        "shared": seen.shared,
        "behind": seen.kind == "prompt" and depth > (tokens or 0),
        "few": tokens is not None and tokens < least,
        "in-ram": _is_part_in_ram(run, verdict),
    }
    return _why(reasons, depth=depth, tokens=tokens, least=least)


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


def _is_impossible(seen: SeenPace, verdict: Verdict) -> bool:
    """Whether nothing runs the model at that pace, whatever the machine: each step reads the
    weights, and each token of a prompt is computed with all that it meets.
    """
    parameters, pace = verdict.model.parameters, seen.tokens_per_second
    bytes_per_second, operations_per_second = fastest()
    if not parameters.active:
        return False
    if seen.kind == "prompt":
        return 2 * parameters.active * pace > _GPUS * operations_per_second
    memory = _memory_of(verdict)
    # what a processor reads in a layout of its own stands apart
    weights = ("weights", "repacked_weights")
    held = sum(term.low_bytes for term in memory.terms if term.name in weights) if memory else 0
    share = min(1.0, parameters.active / (parameters.total or 1))
    return held * share * pace / seen.sequences > _GPUS * bytes_per_second


def _memory_row(
    seen: SeenMemory, run: Run, verdict: Verdict, runtime: RuntimeSpec | None
) -> Difference:
    memory, rounded = _memory_of(verdict), seen.rounded_bytes
    low, likely, high = _predicted_bytes(seen, memory, run) if memory is not None else (0, 0, 0)
    on_gpu = memory is not None and any(term.where != HOST for term in memory.terms)
    beside = {"no-memory": memory is None, "beside-gpu": not high and seen.where == HOST and on_gpu}
    is_less = {"not-filled": seen.term in OF_PROCESS and seen.bytes < low - rounded}
    why = _why(beside) or _why_no_bytes(seen, run, verdict, runtime) or _why(is_less)
    row = Difference(
        subject="memory", term=seen.term, where=seen.where, unit="bytes", seen=seen.bytes, why=why
    )
    if any(beside.values()):
        return row
    inside = low - rounded <= seen.bytes <= high + rounded if why is None else None
    return row.replace(low=low, likely=likely, high=high, inside=inside)


def _why_no_bytes(
    seen: SeenMemory, run: Run, verdict: Verdict, runtime: RuntimeSpec | None
) -> str | None:
    """Why that term is of something else than was predicted; None where it is not. A command with
    --no-repack is predicted where it unpacks, for a log tells no option. Of a process of Python the
    default context is predicted, and a note says so.
    """
    term = seen.term
    of_process = term in (EVERYTHING_ELSE, ALL_MEMORY)
    of_cache = (of_process or term == "kv_cache") and run.runtime != "transformers"
    unpacks = runtime is not None and runtime.is_unpacked_on(verdict.machine.instruction_sets)
    is_repacked = any(part.term == "repacked_weights" for part in run.memory)
    reasons = {
        "holds-draft": run.holds_draft and of_process,
        "no-context": run.context_tokens is None and (of_cache or term == "compute"),
        "cache-type": of_cache and run.kv_cache_type not in KV_CACHE_TYPES,
        "repacked": unpacks and is_repacked and term in ("weights", "repacked_weights"),
        "other-buffer": term == "compute" and _has_other_buffer(run, verdict),
        "in-ram": _is_part_in_ram(run, verdict),
    }
    return _why(reasons, batch=_BATCH_TOKENS)


def _has_other_buffer(run: Run, verdict: Verdict) -> bool:
    """Whether it computes more at once than is predicted, or on more GPUs. llama-completion and
    llama-perplexity make room for the logits of a whole batch, a server for one each sequence.
    """
    memory = _memory_of(verdict)
    cards = len({term.where for term in memory.terms} - {HOST}) if memory is not None else 0
    return (
        run.batch_tokens not in (None, _BATCH_TOKENS)
        or (run.output_tokens or 0) > max(run.parallel or 1, run.states)
        or 0 < cards < run.cards
    )


def _predicted_bytes(seen: SeenMemory, memory: MemoryNeed, run: Run) -> tuple[int, int, int]:
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
    ends = [(term.low_bytes, term.bytes, term.high_bytes) for term in terms]
    low, likely, high = (states * sum(sizes) for sizes in zip((0, 0, 0), *ends, strict=True))
    if is_host and "weights" in wanted:
        likely, high = likely + memory.evictable_bytes, high + memory.evictable_bytes
        if seen.term != "weights":
            weights = sum(term.high_bytes for term in terms if term.name == "weights")
            high += max(0, (run.file_bytes or 0) - weights - memory.evictable_bytes)
    return low, likely, high


def _is_part_in_ram(run: Run, verdict: Verdict) -> bool:
    """Whether the run had a part of the model in RAM beside its GPU, which is predicted on it, as
    far as its options and its buffers tell.
    """
    memory, architecture = _memory_of(verdict), verdict.model.architecture
    if memory is None or architecture is None or run.on_processor or not _on_accelerator(verdict):
        return False
    predicted = [term for term in memory.terms if term.name == "weights" and term.where != HOST]
    weights = [part for part in run.memory if part.term == "weights" and part.where != HOST]
    least = _LEAST_SHARE * sum(term.low_bytes for term in predicted)
    return (
        (run.gpu_layers is not None and run.gpu_layers < architecture.layers)
        or experts_in_ram(run, verdict.model) is not None
        or 0 < sum(part.bytes for part in weights) < least
    )


def _memory_of(verdict: Verdict) -> MemoryNeed | None:
    return verdict.needs.memory if verdict.needs is not None else None


def _on_accelerator(verdict: Verdict) -> bool:
    return verdict.needs is not None and verdict.needs.placement not in (None, HOST)


def _causes(rows: Sequence[Difference], run: Run, verdict: Verdict) -> tuple[str, ...]:
    """What most often explains a figure far from the likely one, and what a wide range of a pace
    rests on.
    """
    machine, speed = verdict.machine, verdict.speed
    compared = [row for row in rows if row.inside is not None]
    paces = [row for row in compared if row.subject == "pace"]
    off = [1 + (row.difference or 0) for row in paces]
    outside = [row for row in compared if not row.inside]
    here, foreign = _unlike_cards(run, verdict)
    holds = {
        "elsewhere": foreign,
        "busy": min(off, default=1) < _SLOW,
        "prompt-cache": any(r.term in OF_PROCESS and (r.difference or 0) > 0 for r in outside),
        # farther off than any machine is from what is predicted for its like
        "foreign": min(off, default=1) < 1 / _FOREIGN_FACTOR
        or max(off, default=1) > _FOREIGN_FACTOR,
        "moment": machine.memory_bandwidth_how == BRIEFLY
        and any(row.subject == "pace" for row in outside),
        "basis": any(row.is_wide for row in paces),
    }
    how = None if speed is None else speed.how
    return notes(holds, run=foreign, here=here, how=how, remedy=how_to_measure(machine))


def _unlike_cards(run: Run, verdict: Verdict) -> tuple[list[str], list[str]]:
    """The GPUs of the machine that is predicted, and those that the run names besides."""
    here = list(dict.fromkeys(card.name for card in verdict.machine.accelerators or ()))
    if not (here and run.gpu and _on_accelerator(verdict)):
        return here, []
    names = dict.fromkeys(run.gpu.split(", "))
    return here, [name for name in names if not any(are_alike(name, card) for card in here)]
