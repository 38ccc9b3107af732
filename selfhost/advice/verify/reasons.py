"""Why a figure of a run cannot be compared, and what most often explains one far from the likely:
the sentences are in `common/runs.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...core import units
from ...core.tables import filled, shipped_table
from ...core.workload import KV_CACHE_TYPES
from ...judge.pace.pacing import how_to_measure
from ...judge.pace.speed import Speed
from ...judge.record import Verdict
from ...machine.gpus import are_alike, fastest
from ...machine.record import BRIEFLY
from .run import (
    ALL_MEMORY,
    EVERYTHING_ELSE,
    HOST,
    LEAST_TOKENS,
    MODEL_FILE,
    Run,
    SeenMemory,
    SeenPace,
)

if TYPE_CHECKING:
    from .comparison import Difference

OF_PROCESS = (MODEL_FILE, EVERYTHING_ELSE, ALL_MEMORY)
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


def why(key: str, **figures: object) -> str:
    """A clause on why a figure is not compared."""
    return filled(shipped_table("runs")["why"][key], figures)


def note(key: str, **figures: object) -> str:
    """A sentence for the reader of a comparison."""
    return filled(shipped_table("runs")["note"][key], figures)


def why_no_pace(
    seen: SeenPace, speed: Speed | None, verdict: Verdict, *, is_predicted: bool
) -> str | None:
    """Why that pace cannot be compared, or is none of one long request alone; None where it can."""
    impossible = _why_impossible(seen, verdict)
    if impossible is not None:
        return impossible
    if not is_predicted:
        return speed.how if speed is not None and speed.decode is None else why("no-pace")
    return _why_another_pace(seen, verdict)


def _why_another_pace(seen: SeenPace, verdict: Verdict) -> str | None:
    """Why it is no pace of one long request alone; None where it is."""
    shares_ram = any(card.unified for card in verdict.machine.accelerators or ())
    tokens, depth, least = seen.tokens, seen.depth_tokens or 0, LEAST_TOKENS[seen.kind]
    if seen.kind == "prompt" and (_on_accelerator(verdict) or shares_ram):
        # fewer take a GPU as long as a batch
        least = _BATCH_TOKENS
    reasons = {
        "drafts": seen.drafted and seen.kind == "decode",
        "shared": seen.shared,
        "behind": seen.kind == "prompt" and depth > (tokens or 0),
        "few": tokens is not None and tokens < least,
    }
    key = next((key for key, holds in reasons.items() if holds), None)
    return None if key is None else why(key, depth=depth, tokens=tokens, least=least)


def _why_impossible(seen: SeenPace, verdict: Verdict) -> str | None:
    """Why nothing runs the model at that pace, whatever the machine: each step reads the weights,
    and each token of a prompt is computed with all that it meets. None where something may.
    """
    pace, parameters = seen.tokens_per_second, verdict.model.parameters
    bytes_per_second, operations_per_second = fastest()
    if not parameters.active:
        return None
    if seen.kind == "prompt":
        needed, most = 2 * parameters.active * pace, _GPUS * operations_per_second
        rate, given = f"compute {needed / 1e12:,.0f} TFLOPS", f"{most / 1e12:,.0f}"
    else:
        memory = verdict.needs.memory if verdict.needs is not None else None
        terms = () if memory is None else memory.terms
        # what a processor reads in a layout of its own stands apart
        weights = ("weights", "repacked_weights")
        held = sum(term.low_bytes for term in terms if term.name in weights)
        share = min(1.0, parameters.active / (parameters.total or 1))
        needed, most = held * share * pace / seen.sequences, _GPUS * bytes_per_second
        rate = f"read {units.decimal(int(needed))} of weights a second"
        given = units.decimal(int(most))
    if needed <= most:
        return None
    return why("impossible", rate=rate, gpus=_GPUS, most=given)


def why_no_memory(seen: SeenMemory, run: Run, verdict: Verdict, *, unpacks: bool) -> str | None:
    """Why that term cannot be compared; None where it can. A command with --no-repack is predicted
    where it `unpacks`, for a log tells no option. Of a process of Python the default is predicted,
    and a note says so.
    """
    term, tells_all = seen.term, run.runtime == "transformers"
    of_process = term in (EVERYTHING_ELSE, ALL_MEMORY)
    of_cache = (of_process or term == "kv_cache") and not tells_all
    is_repacked = any(part.term == "repacked_weights" for part in run.memory)
    reasons = {
        "holds-draft": run.holds_draft and of_process,
        "no-context": run.context_tokens is None and (of_cache or term == "compute"),
        "cache-type": of_cache and run.kv_cache_type not in KV_CACHE_TYPES,
        "repacked": unpacks and is_repacked and term in ("weights", "repacked_weights"),
    }
    key = next((key for key, holds in reasons.items() if holds), None)
    if key is None and term == "compute":
        return _why_other_buffer(run, verdict)
    return None if key is None else why(key)


def _why_other_buffer(run: Run, verdict: Verdict) -> str | None:
    """Why the compute buffer is of another kind than predicted; None where it is not."""
    memory = verdict.needs.memory if verdict.needs is not None else None
    predicted = len({term.where for term in memory.terms} - {HOST}) if memory else 0
    if run.batch_tokens not in (None, _BATCH_TOKENS):
        return why("other-batch", batch=run.batch_tokens, least=_BATCH_TOKENS)
    # llama-completion and llama-perplexity; a server has one for each sequence
    if (run.output_tokens or 0) > max(run.parallel or 1, run.states):
        return why("logits", outputs=run.output_tokens)
    if 0 < predicted < run.cards:
        return why("more-cards", cards=run.cards, predicted=predicted)
    return None


def _on_accelerator(verdict: Verdict) -> bool:
    return verdict.needs is not None and verdict.needs.placement not in (None, "host")


def causes(rows: Sequence[Difference], run: Run, verdict: Verdict) -> Iterator[str]:
    """What most often explains a figure far from the likely one, and what a wide range of a pace
    rests on.
    """
    yield from _other_cards(run, verdict)
    above = {row.term for row in rows if row.inside is False and (row.difference or 0) > 0}
    paces = [row for row in rows if row.unit != "bytes" and row.inside is not None]
    if any((row.difference or 0) < _SLOW for row in paces):
        yield note("busy")
    if not above.isdisjoint(OF_PROCESS):
        yield note("prompt-cache")
    yield from _basis(paces, verdict)


def _basis(paces: Sequence[Difference], verdict: Verdict) -> Iterator[str]:
    decoding = [row for row in paces if row.term != "prompt"]
    # farther off than any machine is from what is predicted for its like
    if any(not row.inside and row.off_factor > _FOREIGN_FACTOR for row in paces):
        yield note("foreign")
    if verdict.machine.memory_bandwidth_how == BRIEFLY and not all(row.inside for row in decoding):
        yield note("moment")
    if verdict.speed is not None and any(row.is_wide for row in decoding):
        yield note("basis", how=verdict.speed.how, remedy=how_to_measure(verdict.machine))


def _other_cards(run: Run, verdict: Verdict) -> Iterator[str]:
    """A sentence where the run names a GPU that the machine does not have."""
    here = list(dict.fromkeys(card.name for card in verdict.machine.accelerators or ()))
    names = dict.fromkeys(run.gpu.split(", ")) if run.gpu else ()
    foreign = [name for name in names if not any(are_alike(name, card) for card in here)]
    if here and foreign and _on_accelerator(verdict):
        yield note("elsewhere", run=foreign, here=here)
