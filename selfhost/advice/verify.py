"""Compares a prediction with a run, figure by figure.

What goes in: a `Run`, and the machine that it ran on. What comes out: a `Verification`, in which
each figure of the run is inside its predicted range, outside, or not compared, with the reason. The
sentences stand in specs/common/runs.toml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property, partial

from ..catalogue.index import Catalogue
from ..catalogue.names import id_of, read
from ..catalogue.spec import ModelSpec
from ..core.errors import UnknownModelError
from ..core.records import Record
from ..core.tables import refusal, sentences
from ..core.workload import KV_CACHE_CHOICES, Workload
from ..judge.checks.speed import how_to_measure
from ..judge.pace import Range, Speed
from ..judge.pace.processor import threads_range
from ..judge.record import Verdict
from ..machine.record import Machine
from ..needs.case import MICRO_BATCH_TOKENS
from ..needs.records import MemoryNeed, Term
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
from .understood import Sentences
from .verdicts import check_with

# the parameters of a run of the model, by those that its maker counts (assumed): a file may lack
# layers that predict further tokens (14 of the 685 billion parameters of DeepSeek-V3), or hold a
# shared table twice, as the file of Qwen2.5 0.5B does (630 million parameters instead of 494)
_LEAST_OF_COUNT = 0.95
_MOST_OF_COUNT = 1.3
# `.gguf`, with the number of a part before it
_NUMBERED = re.compile(r"(?:-\d{5}-of-\d{5})?\.gguf$", re.IGNORECASE)
# most ranges of speeds are no wider than this (docs/accuracy.md)
_NARROW_FACTOR = 2.0
# a pace so far off is that of another machine or model (assumed): ranges of a factor of 2 hold 94 %
# of 281 published runs, as benchmarks/accuracy.py counts them
_FOREIGN_FACTOR = 3.0
# share of the likely pace; a slower run is worth an explanation
_SLOW = 0.8
# of the weights that are predicted on accelerators, a run has at least so many there (assumed): the
# rest is rounding, and tables that a program keeps in RAM
_LEAST_SHARE = 0.9
_EXIT_CODES = {"inside": 0, "outside": 1, "nothing": 2}
# the figures of memory that hold the KV cache
_HOLD_CACHE = (EVERYTHING_ELSE, ALL_MEMORY, "kv_cache")
# the sentences of `[note]` in runs.toml whose conditions hold
_notes = partial(sentences, "runs", "note")


class Verification(Record):
    """A run and the prediction for the run.

    `by` says how the model was found: typed, file, file-name or name. `is_public`: the model is in
    the shipped catalogue, so that its id tells nothing of the user. `differences` are the figures
    of the run, each with its prediction. `notes` are sentences for the reader.
    """

    run: Run
    verdict: Verdict
    by: str = "typed"
    is_public: bool = True
    differences: tuple[Figure, ...]
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """`inside` where all compared figures are inside their ranges, else `outside`; `nothing`
        where no figure can be compared.
        """
        compared = {row.inside for row in self.differences}
        if False in compared:
            return "outside"
        return "inside" if True in compared else "nothing"

    @property
    def exit_code(self) -> int:
        """The exit code of `selfhost verify`."""
        return _EXIT_CODES[self.outcome]


def verify(
    run: Run,
    catalogue: Catalogue,
    machine: Machine,
    typed: str | None,
) -> Verification:
    """The run, compared with the prediction for its model on the part of the machine that the run
    used. `typed` names the model; None where the run has to tell. Raises `SelfhostError` where the
    run is of no known model, or of another machine.
    """
    identified = identify(run, catalogue, typed)
    used = _part_used(run, machine)
    workload = _workload(run, catalogue)
    if identified.states_quantization:
        workload = workload.replace(quantization=None)
    verdict = check_with(
        catalogue, identified.model, workload, used, follows_machine=False
    )
    if verdict.model.closed:
        raise refusal("runs", "closed", model=verdict.model.name)
    named = _name_beside(run, catalogue, identified)
    taken_type = verdict.quantization
    if run.quantization is not None or identified.states_quantization:
        taken_type = None
    holds = {
        "no-gpu": machine.accelerators and not used.accelerators,
        "threads": machine.cpu_cores_usable != used.cpu_cores_usable,
        "other-name": named,
        "quantization": taken_type,
    }
    notes = _notes(holds, threads=run.threads, named=named, quantization=taken_type)
    prediction = _Prediction(
        run=run, verdict=verdict, catalogue=catalogue, workload=workload
    )
    rows = tuple(map(prediction.compared, run.figures))
    return Verification(
        run=run,
        verdict=verdict,
        by=identified.by,
        is_public=catalogue.is_shipped(verdict.model.id),
        differences=rows,
        notes=(*notes, *run.notes, *_causes(rows, verdict)),
    )


# ---------------------------------------------------------------- what was run


def _workload(run: Run, catalogue: Catalogue) -> Workload:
    """The workload to predict for the run. A type of KV cache without a prediction of its own
    counts as the usual type.
    """
    cache_type = run.kv_cache_type
    if cache_type not in KV_CACHE_CHOICES or cache_type == "f16":
        cache_type = None
    return Workload(
        runtime=run.runtime,
        quantization=run.quantization,
        context_tokens=run.context_tokens,
        parallel=run.parallel or 1,
        kv_cache_type=cache_type,
        runtime_options=_batch_option(run, catalogue),
    )


def _batch_option(run: Run, catalogue: Catalogue) -> dict[str, str]:
    """The batch of the run, in the words of its program; its usual one where the run tells none."""
    if run.runtime not in catalogue.runtime_ids():
        return {}
    batch = run.batch_tokens or MICRO_BATCH_TOKENS
    names = catalogue.runtime(run.runtime).options_for("micro_batch_tokens")
    return dict.fromkeys(names, str(batch))


def _part_used(run: Run, machine: Machine) -> Machine:
    """The machine without GPUs and threads that the run did not use. Raises `SelfhostError` where
    the run used a GPU, and the machine has none.
    """
    used_gpu = run.on_processor is False or run.cards > 0
    if used_gpu and machine.accelerators == ():
        gpu = run.gpu or "RTX 4090"
        raise refusal("runs", "no-such-gpu", machine=machine.name, gpu=gpu)
    if run.on_processor:
        machine = machine.replace(accelerators=())
    threads = run.threads
    if threads is None or threads >= threads_range(machine).likely:
        return machine
    return machine.replace(
        cpu_cores_usable=float(threads),
        cpu_cores_physical=threads,
        cpu_cores_performance=None,
    )


# ---------------------------------------------------------------- of which model


class Identified(Record):
    """The model of a run: a name of the catalogue, or the path of its file; `id` is its id in the
    catalogue, None for a file and for a name that a search has to find; `by` as in `Verification`.
    `states_quantization`: the name or the file states the type. That counts before the type in the
    log, which calls UD-Q4_K_XL by the name Q4_K_M.
    """

    model: str | os.PathLike[str]
    id: str | None = None
    by: str
    states_quantization: bool


def identify(
    run: Run,
    catalogue: Catalogue,
    typed: str | None,
) -> Identified:
    """The model of the run, by the typed name, else by its file, the name of the file, or the name
    in the log.

    Raises `UnknownModelError` where none of these names a model, and `SelfhostError` where the run
    had many more or fewer parameters than the model: then no figure can be compared.
    """
    if typed is None:
        found = _by_files(run, catalogue)
    else:
        found = _named(typed, "typed", catalogue)
    if found.id is None:
        return found
    if not _may_be_run_of(catalogue.spec(found.id), run):
        parameters = run.parameters or 0
        raise refusal("runs", "other-model", model=found.id, parameters=parameters)
    return found


def _name_beside(
    run: Run,
    catalogue: Catalogue,
    identified: Identified,
) -> str | None:
    """The id of the model that the run itself names, where that is not the typed model.

    None where the run names the typed model or no model. None also for a model that is not in the
    shipped catalogue, whose id could tell something of the user, and for a model with another
    number of parameters than the run had, which may be the draft.
    """
    if identified.by != "typed":
        return None
    try:
        named = _by_files(run, catalogue).id
    except UnknownModelError:
        return None
    if named is None or named == identified.id:
        return None
    if not catalogue.is_shipped(named):
        return None
    return named if _may_be_run_of(catalogue.spec(named), run) else None


def _by_files(run: Run, catalogue: Catalogue) -> Identified:
    """The model that the run itself names. Raises `UnknownModelError` where it names none."""
    # imported here: few runs name a file, and the module takes long to load
    from pathlib import Path

    file = run.file or ""
    if file.lower().endswith(".gguf") and os.path.isfile(file):
        return Identified(model=Path(file), by="file", states_quantization=True)
    _, _, file_name = file.replace("\\", "/").rpartition("/")
    names = {
        "file-name": _NUMBERED.sub("", file_name),
        # a server may be started with the folder of a download
        "name": re.sub("^/(?:.*/)?", "", run.name or ""),
    }
    for by, name in names.items():
        if id_of(name, catalogue) is not None:
            return _named(name, by, catalogue)
    raise UnknownModelError(
        "the run does not say which model it loaded, or selfhost does not know that model",
        remedy="name it: add --model NAME, or --model ./model.gguf",
    )


def _named(
    name: str,
    by: str,
    catalogue: Catalogue,
) -> Identified:
    """The model of that name, which may state a type."""
    states_quantization = name.lower().endswith(".gguf")
    # a name in a log may end in the type from which the file was made
    if by != "name":
        reading = read(name, catalogue)
        if reading is not None and reading.quantization is not None:
            states_quantization = True
    return Identified(
        model=name,
        id=id_of(name, catalogue),
        by=by,
        states_quantization=states_quantization,
    )


def _may_be_run_of(spec: ModelSpec, run: Run) -> bool:
    """Whether the run had about as many parameters as the model. True for models of other kinds
    than text, because their parameters lie in several files.
    """
    stated = spec.parameters.total
    if spec.modality != "text":
        return True
    if not stated or not run.parameters:
        return True
    return _LEAST_OF_COUNT < run.parameters / stated < _MOST_OF_COUNT


# ---------------------------------------------------------------- figure by figure


def pace_at(
    catalogue: Catalogue,
    verdict: Verdict,
    workload: Workload,
    depth_tokens: int | None,
) -> Speed | None:
    """The pace with so many tokens in the context; None or 0 `depth_tokens` mean a short chat."""
    context = verdict.context_tokens
    if not depth_tokens:
        return verdict.speed
    if verdict.speed is None or context is None:
        return verdict.speed
    # a benchmark has a context as long as its prompt, which leaves no room for an answer: then the
    # usual context for that prompt is taken
    context_tokens = context if depth_tokens < context else None
    behind = workload.replace(context_tokens=context_tokens, prompt_tokens=depth_tokens)
    deeper = check_with(
        catalogue, verdict.model, behind, verdict.machine, follows_machine=False
    )
    return deeper.speed


class _Prediction(Record):
    """What is predicted for a run; `verdict` is that under its `workload`."""

    run: Run
    verdict: Verdict
    catalogue: Catalogue
    workload: Workload

    def compared(self, seen: Figure) -> Figure:
        """The figure with its prediction, or the reason why there is none."""
        if seen.subject == "memory":
            return self._memory_compared(seen)
        row = self._pace_compared(seen)
        if seen.sequences > 1:
            return row.replace(term=f"{seen.term}_at_once")
        return row

    @cached_property
    def _was_part_in_ram(self) -> bool:
        """Whether the run kept a part of the model in RAM that is predicted on accelerators."""
        run = self.run
        architecture = self.verdict.model.architecture
        predicted_bytes = 0
        for term in self.verdict.placed.on_cards.terms:
            if term.name == "weights":
                predicted_bytes += term.low_bytes
        if architecture is None or predicted_bytes == 0:
            return False
        if run.gpu_layers is not None and run.gpu_layers <= architecture.layers:
            return True
        if architecture.has_experts and run.experts_in_ram:
            return True
        seen_bytes: float = 0
        for row in run.figures_of("weights"):
            if row.where != HOST:
                seen_bytes += row.seen
        return 0 < seen_bytes < _LEAST_SHARE * predicted_bytes

    # ------------------------------------------------------------ paces

    def _pace_compared(self, seen: Figure) -> Figure:
        """The pace with what is predicted for it."""
        depth = seen.depth_tokens if seen.term == "decode" else None
        speed = pace_at(self.catalogue, self.verdict, self.workload, depth)
        predicted = self._pace(seen, speed)
        if predicted is not None:
            return _compared(seen, predicted, self._why_not_compared_pace(seen))
        how = None
        if speed is not None and speed.decode is None:
            how = speed.how
        return seen.replace(why=_why("no-pace", how=how))

    def _pace(self, seen: Figure, speed: Speed | None) -> Range | None:
        """The predicted pace of the figure; None where none is predicted.

        For sequences at once, the pace is their total. For one sequence, the low end goes down to
        its share of that total, because other sequences may decode at the same time.
        """
        verdict = self.verdict
        parallel = verdict.workload.parallel
        total = None if verdict.speed is None else verdict.speed.parallel_total
        if seen.sequences > 1:
            return total if seen.sequences == parallel else None
        if speed is None:
            return None
        if seen.term == "prompt":
            return speed.prompt
        alone = speed.decode
        if alone is None or total is None:
            return alone
        shared = total.low / parallel
        return alone._replace(low=min(alone.low, shared))

    def _why_not_compared_pace(self, seen: Figure) -> str | None:
        """Why the pace cannot be compared; None where it can."""
        is_prompt = seen.term == "prompt"
        least = LEAST_TOKENS[seen.term]
        if is_prompt and self._reads_on_gpu:
            # a GPU takes as long for a shorter prompt as for a batch
            least = MICRO_BATCH_TOKENS
        if self.run.drafts and not is_prompt:
            return _why("drafts")
        if seen.shared:
            return _why("shared")
        if is_prompt and seen.follows_longer_context:
            return _why("behind", depth=seen.depth_tokens)
        if seen.tokens is not None and seen.tokens < least:
            return _why("few", tokens=seen.tokens, least=least)
        return _why("in-ram") if self._was_part_in_ram else None

    @property
    def _reads_on_gpu(self) -> bool:
        """Whether a GPU reads prompts."""
        if any(card.unified for card in self.verdict.machine.cards):
            return True
        return self.verdict.placement in ("accelerator", "split")

    # ------------------------------------------------------------ memory

    def _memory_compared(self, seen: Figure) -> Figure:
        """The figure with the bytes that are predicted for it."""
        memory = self.verdict.memory
        if memory is None:
            return seen.replace(why=_why("no-memory"))
        # a need that a spec states as one figure has the weights as its only term
        is_stated_whole = all(term.name == "weights" for term in memory.terms)
        if seen.term != ALL_MEMORY and is_stated_whole:
            return seen.replace(why=_why("no-parts"))
        uses_gpu = bool(self.verdict.placed.on_cards.terms)
        # on a GPU that shares the RAM all terms lie on the host
        is_host = seen.where == HOST or not uses_gpu
        predicted = self._bytes(seen, memory, is_host=is_host)
        if is_host and uses_gpu and not predicted.high:
            return seen.replace(why=_why("beside-gpu"))
        why = self._why_not_compared_bytes(seen.term)
        # a process takes less until its context is full
        is_less = seen.seen < predicted.low - seen.rounding
        if why is None and is_less and seen.term in PROCESS_TERMS:
            why = _why("not-filled")
        return _compared(seen, predicted, why)

    def _bytes(
        self,
        seen: Figure,
        memory: MemoryNeed,
        *,
        is_host: bool,
    ) -> Range:
        """The bytes of the terms that the figure sums up, with the mapped file where the figure
        holds it.
        """
        placed = self.verdict.placed
        held = placed.on_host if is_host else placed.on_cards
        parts = [term for term in held.terms if _is_part(term, seen.term)]
        need = MemoryNeed(terms=tuple(parts))
        low = need.low_bytes
        likely = need.total_bytes
        high = need.high_bytes
        if seen.term == "recurrent_state":
            states = self.run.states
            return Range(states * low, states * likely, states * high)
        if is_host and seen.term in ("weights", MODEL_FILE, ALL_MEMORY):
            # the mapped file is one buffer from its first tensor to its last; it also holds tensors
            # that are copied to another place
            likely += memory.evictable_bytes
            high += memory.evictable_bytes
            if seen.term != "weights":
                high += self._unlisted_bytes(need, memory)
        return Range(low, likely, high)

    def _unlisted_bytes(self, need: MemoryNeed, memory: MemoryNeed) -> int:
        """The bytes of the file that a process may hold in addition to the tensors, such as the
        header.
        """
        file_bytes = self.run.file_bytes or 0
        mapped_bytes = memory.evictable_bytes
        for term in need.terms:
            if term.name == "weights":
                mapped_bytes += term.high_bytes
        return max(0, file_bytes - mapped_bytes)

    def _why_not_compared_bytes(self, term: str) -> str | None:
        """Why figures of that term of memory cannot be compared; None where they can."""
        run = self.run
        if run.drafts and term in (EVERYTHING_ELSE, ALL_MEMORY):
            return _why("holds-draft")
        if run.context_tokens is None and term in (*_HOLD_CACHE, "compute"):
            return _why("no-context")
        if term in _HOLD_CACHE and run.kv_cache_type not in KV_CACHE_CHOICES:
            return _why("cache-type")
        if term == "compute" and self._had_other_buffer:
            return _why("other-buffer", batch=MICRO_BATCH_TOKENS)
        return _why("in-ram") if self._was_part_in_ram else None

    @property
    def _had_other_buffer(self) -> bool:
        """Whether the run had another compute buffer than is predicted: of another batch, with more
        logits, or on more GPUs. llama-completion has room for the logits of a whole batch, a server
        for one a sequence.
        """
        run = self.run
        if run.batch_tokens not in (None, MICRO_BATCH_TOKENS):
            return True
        sequences = max(run.parallel or 1, run.states)
        if (run.output_tokens or 0) > sequences:
            return True
        cards = {term.where for term in self.verdict.placed.on_cards.terms}
        return 0 < len(cards) < run.cards


def _compared(
    seen: Figure,
    predicted: Range,
    why: str | None,
) -> Figure:
    """The figure with its prediction. `why` says why the two cannot be compared; None: they can."""
    inside = None
    if why is None:
        least = predicted.low - seen.rounding
        most = predicted.high + seen.rounding
        inside = least <= seen.seen <= most
    return seen.replace(**predicted._asdict(), inside=inside, why=why)


def _why(reason: str, **figures: object) -> str:
    """The clause that says why a figure is not compared."""
    (clause,) = sentences("runs", "why", {reason: True}, **figures)
    return clause


def _is_part(term: Term, measured: str) -> bool:
    """Whether the term of the need is a part of what was measured, a `Figure.term` of memory."""
    if measured == ALL_MEMORY:
        return True
    if measured == EVERYTHING_ELSE:
        return term.name != "weights"
    if measured == MODEL_FILE:
        return term.name == "weights"
    return term.name == measured


# ---------------------------------------------------------------- what explains the differences


def _causes(rows: Sequence[Figure], verdict: Verdict) -> Sentences:
    """The sentences on what most often explains differences such as those of the rows."""
    holds = {"busy": False, "prompt-cache": False, "foreign": False, "basis": False}
    for row in rows:
        if row.inside is None:
            continue
        is_more = (row.difference or 0) > 0
        if row.term in PROCESS_TERMS and is_more and not row.inside:
            holds["prompt-cache"] = True
        if row.subject == "memory" or not row.likely:
            continue
        if row.seen < _SLOW * row.likely:
            holds["busy"] = True
        # farther off than a pace of this model on such a machine can be
        if not 1 / _FOREIGN_FACTOR <= row.seen / row.likely <= _FOREIGN_FACTOR:
            holds["foreign"] = True
        if is_wide(row):
            holds["basis"] = True
    how = None if verdict.speed is None else verdict.speed.how
    return _notes(holds, how=how, remedy=how_to_measure(verdict.machine))


def is_wide(row: Figure) -> bool:
    """Whether the figure is inside a range so wide that it confirms little."""
    if not row.inside:
        return False
    low = row.low or 0
    high = row.high or 0
    return high > _NARROW_FACTOR * low
