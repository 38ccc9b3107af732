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
from ...judge.question import architectures
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
# slower than likely by so much is worth an explanation
_SLOW = -0.2
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
    cards, makers = machine.accelerators, dict(_MAKERS[b] for b in run.backends if b in _MAKERS)
    is_other = makers and cards and makers.keys().isdisjoint(card.vendor for card in cards)
    used_gpu = run.cards > 0 or run.on_processor is False
    if not run.on_processor and (is_other or (used_gpu and cards == ())):
        gpu = run.gpu or next(iter(makers.values()), "RTX 4090")
        what = f"computed with {', '.join(run.backends)}" if is_other else "used a GPU"
        raise SelfhostError(
            f"the run {what}, which {machine.called} does not have",
            remedy=f"name the machine of the run: --machine '{gpu}', or its GPU: --gpu '{gpu}'",
        )
    fewer = run.threads if run.threads and run.threads < threads_of(machine) else None
    holds = {"no-gpu": run.on_processor and cards, "threads": fewer}
    if run.on_processor and cards:
        machine = machine.replace(accelerators=())
    if fewer:
        machine = machine.replace(
            cpu_cores_usable=float(fewer), cpu_cores_physical=fewer, cpu_cores_performance=None
        )
    return machine, notes(holds, threads=fewer)


def paces_at(verdict: Verdict, runtime: RuntimeSpec | None, catalogue: Catalogue) -> Paces:
    """The pace at each depth, laid out as judged; None where it makes no sense or the needs are not
    known.
    """
    needs, workload, spec = verdict.needs, verdict.workload, verdict.model
    if needs is None or runtime is None or verdict.speed is None or verdict.speed.decode is None:
        return lambda _depth_tokens: None
    architecture, rows = spec.architecture, architectures(catalogue)
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
    tokens, depth, least = seen.tokens, seen.depth_tokens or 0, LEAST_TOKENS[seen.kind]
    shares_ram = any(card.unified for card in verdict.machine.accelerators or ())
    if seen.kind == "prompt" and (_on_accelerator(verdict) or shares_ram):
        # fewer take a GPU as long as a batch
        least = _BATCH_TOKENS
    reasons = {
        "impossible": _is_impossible(seen, verdict),
        "no-pace": predicted is None,
        "drafts": seen.drafted and seen.kind == "decode",
        "shared": seen.shared,
        "behind": seen.kind == "prompt" and depth > (tokens or 0),
        "few": tokens is not None and tokens < least,
        "in-ram": _is_part_in_ram(run, verdict),
    }
    how = speed.how if speed is not None and speed.decode is None else None
    why = _why(reasons, depth=depth, tokens=tokens, least=least, gpus=_GPUS, how=how)
    row = Difference(
        subject="pace",
        term=seen.kind if seen.sequences == 1 else f"{seen.kind}_at_once",
        unit="tokens_per_second",
        seen=seen.tokens_per_second,
        why=why,
        tokens=tokens,
        depth_tokens=seen.depth_tokens,
        sequences=seen.sequences,
    )
    if predicted is None:
        return row
    low, likely, high = predicted.low, predicted.likely, predicted.high
    inside = low <= row.seen <= high if why is None else None
    return row.replace(low=low, likely=likely, high=high, inside=inside)


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
    memory = verdict.needs.memory if verdict.needs is not None else None
    # what a processor reads in a layout of its own stands apart
    weights = ("weights", "repacked_weights")
    held = sum(term.low_bytes for term in memory.terms if term.name in weights) if memory else 0
    share = min(1.0, parameters.active / (parameters.total or 1))
    return held * share * pace / seen.sequences > _GPUS * bytes_per_second


def _memory_row(
    seen: SeenMemory, run: Run, verdict: Verdict, runtime: RuntimeSpec | None
) -> Difference:
    """A command with --no-repack is predicted where it unpacks, for a log tells no option. Of a
    process of Python the default context is predicted, and a note says so.
    """
    memory, term = verdict.needs.memory if verdict.needs is not None else None, seen.term
    low, likely, high = _predicted_bytes(seen, memory, run) if memory is not None else (0, 0, 0)
    cards = len({each.where for each in memory.terms} - {HOST}) if memory is not None else 0
    of_process = term in (EVERYTHING_ELSE, ALL_MEMORY)
    of_cache = (of_process or term == "kv_cache") and run.runtime != "transformers"
    unpacks = runtime is not None and runtime.is_unpacked_on(verdict.machine.instruction_sets)
    is_repacked = any(part.term == "repacked_weights" for part in run.memory)
    is_unlike = (
        run.batch_tokens not in (None, _BATCH_TOKENS)
        # llama-completion and llama-perplexity; a server has one for each sequence
        or (run.output_tokens or 0) > max(run.parallel or 1, run.states)
        or 0 < cards < run.cards
    )
    nothing = {
        "no-memory": memory is None,
        "beside-gpu": not high and seen.where == HOST and cards,
    }
    reasons = {
        **nothing,
        "holds-draft": run.holds_draft and of_process,
        "no-context": run.context_tokens is None and (of_cache or term == "compute"),
        "cache-type": of_cache and run.kv_cache_type not in KV_CACHE_TYPES,
        "repacked": unpacks and is_repacked and term in ("weights", "repacked_weights"),
        "other-buffer": term == "compute" and is_unlike,
        "not-filled": term in OF_PROCESS and seen.bytes < low - seen.rounded_bytes,
        "in-ram": _is_part_in_ram(run, verdict),
    }
    why = _why(reasons, batch=_BATCH_TOKENS)
    row = Difference(
        subject="memory", term=term, where=seen.where, unit="bytes", seen=seen.bytes, why=why
    )
    if any(nothing.values()):
        return row
    inside = low - seen.rounded_bytes <= seen.bytes <= high + seen.rounded_bytes
    return row.replace(low=low, likely=likely, high=high, inside=inside if why is None else None)


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
    low = sum(term.low_bytes for term in terms) * states
    likely = sum(term.bytes for term in terms) * states
    high = sum(term.high_bytes for term in terms) * states
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
    needs, architecture = verdict.needs, verdict.model.architecture
    if needs is None or needs.memory is None or architecture is None:
        return False
    if run.on_processor or needs.placement == HOST:
        return False
    predicted = [term for term in needs.memory.terms if term.name == "weights"]
    least = sum(term.low_bytes for term in predicted if term.where != HOST)
    weights = [part for part in run.memory if part.term == "weights"]
    held = sum(part.bytes for part in weights if part.where != HOST)
    return (
        (run.gpu_layers is not None and run.gpu_layers < architecture.layers)
        or experts_in_ram(run, verdict.model) is not None
        or 0 < held < _LEAST_SHARE * least
    )


def _on_accelerator(verdict: Verdict) -> bool:
    return verdict.needs is not None and verdict.needs.placement not in (None, "host")


def _causes(rows: Sequence[Difference], run: Run, verdict: Verdict) -> tuple[str, ...]:
    """What most often explains a figure far from the likely one, and what a wide range of a pace
    rests on.
    """
    paces = [row for row in rows if row.unit != "bytes" and row.inside is not None]
    decoding = [row for row in paces if row.term != "prompt"]
    machine, speed = verdict.machine, verdict.speed
    above = {row.term for row in rows if row.inside is False and (row.difference or 0) > 0}
    # how many times the likely pace the seen one is
    ratios = [row.seen / row.likely for row in paces if row.likely and not row.inside]
    here = list(dict.fromkeys(card.name for card in machine.accelerators or ()))
    names = dict.fromkeys(run.gpu.split(", ")) if run.gpu else ()
    foreign = [name for name in names if not any(are_alike(name, card) for card in here)]
    holds = {
        "elsewhere": here and foreign and _on_accelerator(verdict),
        "busy": any((row.difference or 0) < _SLOW for row in paces),
        "prompt-cache": not above.isdisjoint(OF_PROCESS),
        # farther off than any machine is from what is predicted for its like
        "foreign": any(not 1 / _FOREIGN_FACTOR <= ratio <= _FOREIGN_FACTOR for ratio in ratios),
        "moment": machine.memory_bandwidth_how == BRIEFLY and not all(r.inside for r in decoding),
        "basis": speed is not None and any(row.is_wide for row in decoding),
    }
    how, remedy = None if speed is None else speed.how, how_to_measure(machine)
    return notes(holds, run=foreign, here=here, how=how, remedy=remedy)
