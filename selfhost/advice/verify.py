"""A prediction held against a run, figure by figure: inside the range, outside, or not to be
compared. The sentences are in `common/runs.toml`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.names import id_of, read
from ..core.errors import UnknownModelError
from ..core.records import Record
from ..core.tables import refusal, sentences
from ..core.workload import KV_CACHE_TYPES, Workload
from ..judge.checks.runtime import how_to_measure
from ..judge.pace import Range, Speed
from ..judge.pace.rates import threads_range
from ..judge.pace.text import BATCH_TOKENS
from ..judge.record import Verdict
from ..machine.record import Machine
from ..needs.records import MemoryNeed
from .run_record import (
    ALL_MEMORY,
    EVERYTHING_ELSE,
    HOST,
    LEAST_TOKENS,
    MODEL_FILE,
    PROCESS_TERMS,
    Figure,
    Run,
)
from .verdicts import check_with

# of a text model: a converter may leave out layers that predict further tokens, which are 14 of the
# 685 billion parameters of DeepSeek-V3 (its model card); what differs by more is another (assumed)
_OTHER_COUNT = 0.05
# `.gguf`, with the number of a part before it
_NUMBERED = re.compile(r"(?:-\d{5}-of-\d{5})?\.gguf$", re.IGNORECASE)
# most ranges of speeds are no wider than this (docs/accuracy.md)
_NARROW_FACTOR = 2.0
# no residual of the fit: ranges of a factor of 2 hold 94 % of 281 published runs, as
# benchmarks/speed_residuals.py counts them
_FOREIGN_FACTOR = 3.0
# of the likely pace: slower is worth an explanation
_SLOW = 0.8
# of the weights that are predicted on the accelerators, so many lie there (assumed): the rest is
# rounding, and tables that a program keeps in RAM
_LEAST_SHARE = 0.9


class Verification(Record):
    """A run and what was predicted for it. `by` is how its model was known: typed, file, file-name
    or name; `is_public`: its id is one of the shipped catalogue, so that it names nothing of the
    user's. `notes` are sentences for the reader.
    """

    run: Run
    verdict: Verdict
    by: str = "typed"
    is_public: bool = True
    differences: tuple[Figure, ...]
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """`inside` where every figure that can be compared is, `outside`, or `nothing`."""
        compared = [row.inside for row in self.differences if row.inside is not None]
        if not compared:
            return "nothing"
        return "inside" if all(compared) else "outside"

    @property
    def exit_code(self) -> int:
        """That of `selfhost verify`."""
        return ("inside", "outside", "nothing").index(self.outcome)


def verify(
    run: Run, catalogue: Catalogue, machine: Machine, typed: str | None
) -> Verification:
    """The run beside what is predicted for its model on the machine, of which no more counts than
    the run used; `typed` names the model. Raises `SelfhostError` where the run is of no known
    model, or of another machine.
    """
    model, by, tells_quantization = identify(run, catalogue, typed)
    machine, said = machine_of(run, machine)
    is_known = run.kv_cache_type in KV_CACHE_TYPES and run.kv_cache_type != "f16"
    workload = Workload(
        runtime=run.runtime,
        quantization=None if tells_quantization else run.quantization,
        context_tokens=run.context_tokens,
        parallel=run.parallel or 1,
        kv_cache_type=run.kv_cache_type if is_known else None,
        runtime_options=_batch_option(run, catalogue),
    )
    verdict = check_with(catalogue, model, workload, machine, follows_machine=False)
    if verdict.model.closed:
        raise refusal("runs", "closed", model=verdict.model.name)
    if verdict.quantization and not (run.quantization or tells_quantization):
        said += sentences(
            "runs", "note", {"quantization": True}, quantization=verdict.quantization
        )
    rows: list[Figure] = []
    for seen in run.figures:
        if seen.subject == "pace":
            depth = seen.depth_tokens if seen.term == "decode" else None
            speed = pace_at(catalogue, verdict, workload, depth)
            rows.append(_compared_pace(seen, run, verdict, speed))
        else:
            rows.append(_compared_memory(seen, run, verdict))
    return Verification(
        run=run,
        verdict=verdict,
        by=by,
        is_public=catalogue.is_shipped(verdict.model.id),
        differences=tuple(rows),
        notes=(*said, *run.notes, *_causes(rows, verdict)),
    )


def machine_of(run: Run, machine: Machine) -> tuple[Machine, tuple[str, ...]]:
    """No more of it than the run used. `SelfhostError` where that is not there."""
    if machine.accelerators == () and (run.cards or run.on_processor is False):
        figures = {"machine": machine.name, "gpu": run.gpu or "RTX 4090"}
        raise refusal("runs", "no-such-gpu", **figures)
    threads = (
        run.threads
        if run.threads and run.threads < threads_range(machine).likely
        else None
    )
    holds = {"no-gpu": run.on_processor and machine.accelerators, "threads": threads}
    if run.on_processor:
        machine = machine.replace(accelerators=())
    if threads:
        machine = machine.replace(
            cpu_cores_usable=float(threads),
            cpu_cores_physical=threads,
            cpu_cores_performance=None,
        )
    return machine, sentences("runs", "note", holds, threads=threads)


def identify(
    run: Run, catalogue: Catalogue, typed: str | None
) -> tuple[str | os.PathLike[str], str, bool]:
    """The model of a run, by what was typed, its file or its own name: a name of the catalogue or
    the path of the file, which of them it is, and whether it states a quantization, closer than the
    run's own word, which calls UD-Q4_K_XL as Q4_K_M. Raises `UnknownModelError` where nothing tells
    it, and `SelfhostError` where the run had many more or fewer parameters: no figure of it can be
    compared.
    """
    from pathlib import Path

    file = run.file or ""
    is_file = file.lower().endswith(".gguf") and os.path.isfile(file)
    if typed is None and is_file:
        return Path(file), "file", True
    base = _NUMBERED.sub("", file.replace("\\", "/").rpartition("/")[2])
    # a server may be started with the folder of a download
    name = re.sub(r"^/(?:.*/)?", "", run.name or "")
    words = {"file-name": base, "name": name} if typed is None else {"typed": typed}
    readings = (
        pair
        for pair in words.items()
        if pair[0] == "typed" or id_of(pair[1], catalogue)
    )
    pair = next(readings, None)
    if pair is None:
        raise UnknownModelError(
            "the run does not say which model it loaded, or selfhost does not know that model",
            remedy="name it: add --model NAME, or --model ./model.gguf",
        )
    by, word = pair
    spec_id = id_of(word, catalogue)
    if spec_id is not None and not _has_as_many(run, catalogue, spec_id):
        raise refusal(
            "runs", "other-model", model=spec_id, parameters=run.parameters or 0
        )
    # what a model calls itself may be the precision that it was made from
    candidate = None if by == "name" else read(word, catalogue)
    states = getattr(candidate, "quantization", None) is not None
    return word, by, states or word.lower().endswith(".gguf")


def _has_as_many(run: Run, catalogue: Catalogue, spec_id: str) -> bool:
    """Whether the parameters may be the model's. A file may hold a shared table twice, as that of
    Qwen2.5 0.5B (630 million of 494); an encoder of images lies in a file of its own.
    """
    spec = catalogue.spec(spec_id)
    stated, inside = spec.parameters.total, spec.architecture
    if spec.modality != "text" or not stated or not run.parameters:
        return True
    extras = [0, spec.parameters.extra_in_files or 0]
    if inside is not None and inside.tied_embeddings and inside.vocabulary is not None:
        extras.append(inside.vocabulary * inside.embedding_length)
    return any(
        abs(run.parameters / (stated + extra) - 1) < _OTHER_COUNT for extra in extras
    )


def pace_at(
    catalogue: Catalogue, verdict: Verdict, workload: Workload, depth_tokens: int | None
) -> Speed | None:
    """The pace with so many tokens in the context; None stands for a short chat."""
    context = verdict.context_tokens
    if verdict.speed is None or context is None or not depth_tokens:
        return verdict.speed
    # a benchmark has a context as long as what it reads
    held = context if depth_tokens < context else None
    behind = workload.replace(context_tokens=held, prompt_tokens=depth_tokens)
    deeper = check_with(
        catalogue, verdict.model, behind, verdict.machine, follows_machine=False
    )
    return deeper.speed


def _why(holds: Mapping[str, object], **figures: object) -> str | None:
    """Why a figure is not compared: the first of the reasons that holds."""
    return next(iter(sentences("runs", "why", holds, **figures)), None)


def _compared_pace(
    seen: Figure, run: Run, verdict: Verdict, speed: Speed | None
) -> Figure:
    predicted = _predicted_pace(seen, verdict, speed)
    tokens, depth, is_prompt = (
        seen.tokens,
        seen.depth_tokens or 0,
        seen.term == "prompt",
    )
    shares_ram = any(card.unified for card in verdict.machine.accelerators or ())
    uses_gpu = shares_ram or verdict.placement not in (None, HOST)
    # fewer of a prompt take a GPU as long as a batch
    least = BATCH_TOKENS if is_prompt and uses_gpu else LEAST_TOKENS[seen.term]
    reasons = {
        "no-pace": predicted is None,
        "drafts": run.drafts and not is_prompt,
        "shared": seen.shared,
        "behind": is_prompt and depth > (tokens or 0),
        "few": tokens is not None and tokens < least,
        "in-ram": _is_part_in_ram(run, verdict),
    }
    how = speed.how if speed is not None and speed.decode is None else None
    why = _why(reasons, how=how, depth=depth, tokens=tokens, least=least)
    term = f"{seen.term}_at_once" if seen.sequences > 1 else seen.term
    row = seen.replace(term=term, why=why)
    if predicted is None:
        return row
    low, likely, high = predicted
    inside = low <= row.seen <= high if why is None else None
    return row.replace(low=low, likely=likely, high=high, inside=inside)


def _predicted_pace(
    seen: Figure, verdict: Verdict, speed: Speed | None
) -> Range | None:
    """Of sequences at once their total; one alone may be as slow as while all of them decode."""
    total = verdict.speed.parallel_total if verdict.speed is not None else None
    parallel = verdict.workload.parallel
    if seen.sequences > 1:
        return total if seen.sequences == parallel else None
    if speed is None or seen.term == "prompt":
        return None if speed is None else speed.prompt
    if speed.decode is None or total is None:
        return speed.decode
    return speed.decode._replace(low=min(speed.decode.low, total.low / parallel))


def _compared_memory(seen: Figure, run: Run, verdict: Verdict) -> Figure:
    memory, rounded = verdict.memory, seen.rounded
    # a stated need is one term
    is_whole = memory is not None and all(
        term.name == "weights" for term in memory.terms
    )
    if memory is None or (is_whole and seen.term != ALL_MEMORY):
        return seen.replace(why=_why({"no-memory": not is_whole, "no-parts": is_whole}))
    low, likely, high = _predicted_bytes(seen, memory, run)
    uses_gpu = any(part.where != HOST for part in memory.terms)
    if not high and seen.where == HOST and uses_gpu:
        return seen.replace(why=_why({"beside-gpu": True}))
    is_less = {"not-filled": seen.term in PROCESS_TERMS and seen.seen < low - rounded}
    why = _why_no_bytes(seen.term, run, verdict) or _why(is_less)
    inside = low - rounded <= seen.seen <= high + rounded if why is None else None
    return seen.replace(low=low, likely=likely, high=high, inside=inside, why=why)


def _batch_option(run: Run, catalogue: Catalogue) -> dict[str, str]:
    """The batch of the run, in the words of its program; its usual one where the run tells none."""
    if run.runtime not in catalogue.runtime_ids():
        return {}
    options = catalogue.runtime(run.runtime).named_options
    names = [
        name for name, rule in options.items() if rule.changes == "micro_batch_tokens"
    ]
    return {name: str(run.batch_tokens or BATCH_TOKENS) for name in names}


def _why_no_bytes(term: str, run: Run, verdict: Verdict) -> str | None:
    """Why that term is of something else than was predicted; None where it is not."""
    is_process = term in (EVERYTHING_ELSE, ALL_MEMORY)
    is_cache = is_process or term == "kv_cache"
    runtime = verdict.question.runtime
    sets = verdict.machine.instruction_sets
    unpacks = (
        runtime is not None
        and "unpacked" in runtime.command_lines.options
        and bool(runtime.crashing_sets(sets))
    )
    places = {part.where for part in getattr(verdict.memory, "terms", ())} - {HOST}
    # llama-completion has room for the logits of a whole batch, a server for one a sequence
    computes_more = (
        run.batch_tokens not in (None, BATCH_TOKENS),
        (run.output_tokens or 0) > max(run.parallel or 1, run.states),
        0 < len(places) < run.cards,
    )
    reasons = {
        "holds-draft": run.drafts and is_process,
        "no-context": run.context_tokens is None and (is_cache or term == "compute"),
        "cache-type": is_cache and run.kv_cache_type not in KV_CACHE_TYPES,
        "repacked": unpacks
        and any(part.term == "repacked_weights" for part in run.figures)
        and term in ("weights", "repacked_weights"),
        "other-buffer": term == "compute" and any(computes_more),
        "in-ram": _is_part_in_ram(run, verdict),
    }
    return _why(reasons, batch=BATCH_TOKENS)


def _predicted_bytes(
    seen: Figure, memory: MemoryNeed, run: Run
) -> tuple[int, int, int]:
    """Low, likely and high. A mapped file is one buffer from its first tensor to its last, those
    included that are laid out anew elsewhere; of its pages a process holds at most all, with its
    header. Of a GPU that shares the RAM all is the host's.
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
    low, likely, high = (
        states * sum(sizes) for sizes in zip((0, 0, 0), *ends, strict=True)
    )
    if is_host and "weights" in wanted:
        likely, high = likely + memory.evictable_bytes, high + memory.evictable_bytes
        if seen.term != "weights":
            weights = sum(term.high_bytes for term in terms if term.name == "weights")
            high += max(0, (run.file_bytes or 0) - weights - memory.evictable_bytes)
    return low, likely, high


def _is_part_in_ram(run: Run, verdict: Verdict) -> bool:
    memory, architecture = verdict.memory, verdict.model.architecture
    if memory is None or architecture is None or run.on_processor:
        return False
    least = sum(
        t.low_bytes for t in memory.terms if t.name == "weights" and t.where != HOST
    )
    held = sum(
        each.seen
        for each in run.figures
        if each.term == "weights" and each.where != HOST
    )
    return bool(least) and (
        (run.gpu_layers is not None and run.gpu_layers <= architecture.layers)
        or bool(run.experts_in_ram and architecture.has_experts)
        or 0 < held < _LEAST_SHARE * least
    )


def _causes(rows: Sequence[Figure], verdict: Verdict) -> tuple[str, ...]:
    compared = [row for row in rows if row.inside is not None and row.likely]
    off = [row.seen / (row.likely or 1) for row in compared if row.subject == "pace"]
    holds = {
        "busy": min(off, default=1) < _SLOW,
        "prompt-cache": any(
            row.term in PROCESS_TERMS
            and not row.inside
            and row.seen > (row.likely or 0)
            for row in compared
        ),
        # farther off than any machine is from what is predicted for its like
        "foreign": min(off, default=1) < 1 / _FOREIGN_FACTOR
        or max(off, default=1) > _FOREIGN_FACTOR,
        "basis": any(row.subject == "pace" and is_wide(row) for row in compared),
    }
    how = None if verdict.speed is None else verdict.speed.how
    return sentences(
        "runs", "note", holds, how=how, remedy=how_to_measure(verdict.machine)
    )


def is_wide(row: Figure) -> bool:
    """Inside a range so wide that it confirms little."""
    if not row.inside or not row.high:
        return False
    return row.low is None or row.high > _NARROW_FACTOR * row.low
