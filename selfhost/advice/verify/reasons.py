"""Why a figure of a run cannot be compared, what the run had otherwise than predicted, and what
most often explains a figure far from the likely one: the sentences are in `common/runs.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core import units
from ...core.tables import filled, shipped_table
from ...core.workload import KV_CACHE_TYPES
from ...judge.pace.pacing import how_to_measure
from ...judge.pace.speed import Speed
from ...judge.record import Verdict
from ...machine.gpus import are_alike, fastest
from ...machine.record import BRIEFLY
from ...needs.records import Term
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
    from .comparison import Difference
    from .layout import Layout

OF_PROCESS = (MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY)
# llama.cpp computes a prompt in batches of so many tokens by default (-ub); on a GPU fewer take
# nearly as long, on a processor in proportion
_BATCH_TOKENS = 512
_TIED_TO_CACHE_TYPE = ("kv_cache", CONTEXT, EVERYTHING_ELSE, ALL_MEMORY)
# of the average of repeated runs, how far they may lie apart from it: half of what most ranges are
# wide. Quiet ones lie 1 to 3 % apart, beside other programs 10 % and more (llama-bench, here)
_STEADY = 0.25
# as many of the fastest GPU of the table as a server has, which share one model out: none is faster
_GPUS = 8
# no residual of the fit: ranges of a factor of 2 hold 94 % of 281 published runs
# (benchmarks/speed_residuals.py)
_FOREIGN_FACTOR = 3.0
# slower than likely by so much is worth an explanation, as `comparison.CLOSE_FACTOR`
_SLOW = -0.2


def why(key: str, **figures: object) -> str:
    """A clause on why a figure is not compared."""
    return filled(shipped_table("runs")["why"][key], figures)


def _note(key: str, **figures: object) -> str:
    return filled(shipped_table("runs")["note"][key], figures)


def cards(parts: Sequence[SeenMemory | Term]) -> list[str]:
    """The accelerators on which some of these lie, by their number."""
    places = {part.where for part in parts} - {"host"}
    return sorted(places, key=lambda where: int(where.rpartition(":")[2]))


# ------------------------------------------------------------------ why not compared


def why_no_pace(
    seen: SeenPace, speed: Speed | None, verdict: Verdict, *, is_predicted: bool
) -> str | None:
    """Why that pace cannot be compared; None where it can."""
    if seen.tokens_per_second is None:
        return why("no-number")
    impossible = _why_impossible(seen, verdict)
    if impossible is not None or is_predicted:
        return impossible or _why_another_pace(seen, verdict)
    return speed.how if speed is not None and speed.decode is None else why("no-pace")


def _why_another_pace(seen: SeenPace, verdict: Verdict) -> str | None:
    """Why the run's own pace is no pace of one long request alone; None where it is."""
    shares_ram = any(card.unified for card in verdict.machine.accelerators or ())
    tokens, depth, least = seen.tokens, seen.depth_tokens or 0, LEAST_TOKENS[seen.kind]
    if seen.kind == "prompt" and (_placement(verdict) != "host" or shares_ram):
        # fewer take a GPU as long as a batch
        least = _BATCH_TOKENS
    reasons = {
        "drafts": seen.drafted and seen.kind == "decode",
        "varies": (seen.deviation or 0) > _STEADY,
        "shared": seen.shared,
        "behind": seen.kind == "prompt" and depth > (tokens or 0),
        "few": tokens is not None and tokens < least,
    }
    figures = {
        "percent": units.percent(seen.deviation or 0),
        "depth": depth,
        "tokens": tokens,
        "least": least,
    }
    return next((why(key, **figures) for key, holds in reasons.items() if holds), None)


def _why_impossible(seen: SeenPace, verdict: Verdict) -> str | None:
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
    return why("impossible", rate=rate, gpus=_GPUS, most=given)


def why_no_memory(seen: SeenMemory, run: Run, verdict: Verdict, *, unpacks: bool) -> str | None:
    """Why that term cannot be compared; None where it can. A command with --no-repack is predicted
    where it `unpacks`, for a log tells no option.
    """
    term = seen.term
    is_repacked = any(part.term == "repacked_weights" for part in run.memory)
    grows = term == "compute" or term in _TIED_TO_CACHE_TYPE
    if run.holds_draft and term in (EVERYTHING_ELSE, ALL_MEMORY):
        return why("holds-draft")
    if run.context_tokens is None and grows:
        return why("no-context")
    if term == "compute":
        return _why_other_buffer(run, verdict)
    if term in _TIED_TO_CACHE_TYPE and run.kv_cache_type not in KV_CACHE_TYPES:
        return why("cache-type")
    if unpacks and is_repacked and term in ("weights", "repacked_weights"):
        return why("repacked")
    return None


def _why_other_buffer(run: Run, verdict: Verdict) -> str | None:
    """Why the compute buffer is of another kind than predicted; None where it is not."""
    memory = verdict.needs.memory if verdict.needs is not None else None
    lay, predicted = len(cards(run.memory)), len(cards(memory.terms)) if memory else 0
    if run.batch_tokens not in (None, _BATCH_TOKENS):
        return why("other-batch", batch=run.batch_tokens, least=_BATCH_TOKENS)
    # llama-completion and llama-perplexity; a server has one for each sequence
    if (run.output_tokens or 0) > max(run.parallel or 1, run.states):
        return why("logits", outputs=run.output_tokens)
    if _placement(verdict) != "host" and lay > predicted:
        return why("more-cards", cards=lay, predicted=predicted)
    return None


def _placement(verdict: Verdict) -> str:
    return (verdict.needs.placement if verdict.needs is not None else None) or "host"


# ------------------------------------------------------------------ notes


def run_otherwise(
    run: Run, verdict: Verdict, layout: Layout | None, *, is_off: bool
) -> Iterator[str]:
    """Options and hardware of the run that the prediction has otherwise, or as the run had them.
    `is_off`: some figure is not as predicted.
    """
    placed = _placement(verdict)
    if placed != "host" and run.memory and all(seen.where == "host" for seen in run.memory):
        yield _note("unseen-gpu")
    if layout is not None:
        yield from filter(None, [layout.note])
    elif placed == "split" and _lay_whole_on_card(run, verdict):
        yield _note("all-layers")
    if run.flash_attention is False and is_off:
        yield _note("no-flash")
    if placed != "host":
        yield from _on_other_cards(run, verdict)


def _lay_whole_on_card(run: Run, verdict: Verdict) -> bool:
    layers = getattr(verdict.model.architecture, "layers", 0)
    return bool(layers) and (run.gpu_layers or 0) >= layers


def _on_other_cards(run: Run, verdict: Verdict) -> Iterator[str]:
    """A sentence where the run names a GPU that the machine does not have."""
    here = list(dict.fromkeys(card.name for card in verdict.machine.accelerators or ()))
    names = list(dict.fromkeys(run.gpu.split(", "))) if run.gpu else []
    foreign = [name for name in names if not any(are_alike(name, card) for card in here)]
    if here and foreign:
        yield _note("elsewhere", run=foreign, here=here)


def causes(
    rows: Sequence[Difference], verdict: Verdict, fast_prompts: str, basis: Speed | None
) -> Iterator[str]:
    """What most often explains a figure far from the likely one, and what a wide range of a pace
    rests on: `basis`.
    """
    paces = [row for row in rows if row.subject == "pace" and row.inside is not None]
    above = {row.term for row in rows if row.off > 0}
    yield from _slow_causes([row for row in paces if (row.difference or 0) < _SLOW])
    if fast_prompts and "prompt" in above:
        yield fast_prompts
    # farther off than any machine is from what is predicted for its like
    if any(row.off and row.off_factor > _FOREIGN_FACTOR for row in paces):
        yield _note("foreign")
    if not above.isdisjoint(OF_PROCESS):
        yield _note("prompt-cache")
    yield from _decoding_causes([row for row in paces if row.term != "prompt"], verdict, basis)


def _slow_causes(slow: Sequence[Difference]) -> Iterator[str]:
    """What makes a pace far slower than the likely one."""
    if any(row.term != "prompt" and row.depth_tokens is None for row in slow):
        yield _note("fuller")
    if slow:
        yield _note("busy")


def _decoding_causes(
    decoding: Sequence[Difference], verdict: Verdict, basis: Speed | None
) -> Iterator[str]:
    """That a pace outside its range was predicted in a moment, and what a wide range rests on."""
    if any(not row.inside for row in decoding) and verdict.machine.memory_bandwidth_how == BRIEFLY:
        yield _note("moment")
    if basis is not None and any(row.is_wide for row in decoding):
        yield _note("basis", how=basis.how, remedy=how_to_measure(verdict.machine))
