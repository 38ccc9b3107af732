"""How far one could go with what fits: the longest context, the best quantization, the most
sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quality import quality_of
from ..catalogue.spec import GENERATING
from ..core.records import Unread
from ..core.workload import Workload
from ..judge.checks import Finding, disk_check
from ..judge.judging import layout_however_fast
from ..judge.placement.devices import places
from ..judge.present import here
from ..judge.question import architectures, needs_under
from ..judge.record import Judged, Question, Room
from ..machine.record import Machine
from ..needs.records import Needs

SHORTEST_CONTEXT_TOKENS = 1024
# below every type: the smallest, IQ1_S, stores 256 parameters in 50 bytes (llama.cpp
# ggml/src/ggml-common.h)
LEAST_BYTES_PER_PARAMETER = 0.18
# nobody serves more at once from one machine, and the search needs an end
MOST_PARALLEL = 4096
# how near to the accelerators a placement is
_NEARNESS = {"host": 0, "split": 1, "accelerator": 2}


def room(question: Question, judged: Judged, machine: Machine, catalogue: Catalogue) -> Room | None:
    """The longest context, the best quantization and the most sequences that fit, each with
    everything else as judged.
    """
    runs = judged if judged.fits else None
    if question.needs is None or question.runtime is None:
        return None
    workload, most_parallel = question.workload, None
    if _grows(question):
        most_parallel = largest(
            1,
            question.runtime.most_sequences or MOST_PARALLEL,
            lambda number: _holds(
                question, runs, workload.replace(parallel=number), machine, catalogue
            ),
        )
    return Room(
        longest_context_tokens=longest_context(question, runs, machine, catalogue),
        best_quantization=_best_quantization(question, runs, machine, catalogue),
        most_parallel=most_parallel,
    )


def shortest_context(workload: Workload) -> int:
    """Tokens of the shortest context that is worth a proposal: it holds the prompt."""
    return max(SHORTEST_CONTEXT_TOKENS, workload.prompt_tokens or 0)


def longest_context(
    question: Question, runs: Judged | None, machine: Machine, catalogue: Catalogue
) -> int | None:
    """Tokens per sequence, at most what the model was trained for: what its publisher documents
    with scaling counts only where more was asked for, because answers may get worse. None where
    tokens make no sense or not even one fits.
    """
    architecture = question.spec.architecture
    if architecture is None or not _grows(question):
        return None
    row, asked_tokens = question.rewriting, question.workload.context_tokens or 1
    most = need.trained_tokens(architecture, row) or asked_tokens
    if asked_tokens > most:
        most = max(most, architecture.scaled_context_tokens or 0)
    if row is not None and not row.bounds_texts:
        # what was asked for is judged all the same
        most = max(most, asked_tokens)

    def fits(tokens: int) -> bool:
        workload = question.workload.replace(context_tokens=tokens)
        return _holds(question, runs, workload, machine, catalogue)

    return most if fits(most) else largest(1, most - 1, fits)


def _grows(question: Question) -> bool:
    """The need grows with the tokens: there is a cache or a state of each sequence, or
    activations to train.
    """
    workload = question.workload
    return workload.context_tokens is not None and (
        question.spec.modality in GENERATING or workload.task == "finetune"
    )


# ------------------------------------------------------------------ quantizations


def _best_quantization(
    question: Question, runs: Judged | None, machine: Machine, catalogue: Catalogue
) -> str | None:
    if question.runtime is None or question.workload.task == "finetune" or question.local_files:
        return None
    if is_beyond_any_quantization(question, machine):
        return None
    order = need.quantizations_of(question.spec, question.runtime, architectures(catalogue))
    judged = question.workload.quantization
    for quantization in _without_idle_bits(question, order, catalogue):
        workload = question.workload.replace(quantization=quantization)
        if not is_surely_beyond(question, quantization, machine) and _holds(
            question, runs, workload, machine, catalogue, stored=True
        ):
            return judged if _is_as_large(question, quantization, catalogue) else quantization
    return None


def _without_idle_bits(
    question: Question, order: Sequence[str], catalogue: Catalogue
) -> Sequence[str]:
    """These quantizations, the best first, from the smallest that has no noticeable loss on, or the
    judged one where that has more bits: even more gain nothing.
    """
    judged = question.workload.quantization
    first = order.index(judged) if judged in order else len(order) - 1
    # the order is by what is lost, so none behind the judged one counts unless it does
    while first > 0 and not quality_of(order[first], catalogue, question.spec).is_lossless:
        first -= 1
    return order[max(first, 0) :]


def _is_as_large(question: Question, quantization: str, catalogue: Catalogue) -> bool:
    """Its files are as large as those judged, but for their headers: BF16 beside F16."""
    workload, rows = question.workload, architectures(catalogue)
    sizes = [
        need.weights_bytes(question.spec, workload.format or "", name, rows)
        for name in (quantization, workload.quantization or quantization)
    ]
    own, judged = (None if isinstance(size, Unread) else size.bytes for size in sizes)
    return own is not None and judged is not None and abs(own - judged) <= 0.02 * judged


def is_beyond_any_quantization(question: Question, machine: Machine) -> bool:
    """The weights in the fewest bits are more than all memory together: no need to try each."""
    parameters = question.spec.parameters.total
    most = parameters_that_may_fit(machine, LEAST_BYTES_PER_PARAMETER)
    return parameters is not None and most is not None and parameters > most


def is_surely_beyond(question: Question, quantization: str, machine: Machine) -> bool:
    """A GGUF file of that quantization takes more than all memory of a machine that has RAM alone:
    no need to count what else it takes.
    """
    least = None
    if question.workload.format == "gguf" and machine.accelerators == ():
        least = need.least_bytes(question.spec, quantization)
    sizes = machine.memory_total_bytes, machine.memory_limit_bytes, machine.memory_available_bytes
    return least is not None and None not in sizes and least > max(filter(None, sizes), default=0)


def parameters_that_may_fit(machine: Machine, bytes_per_parameter: float) -> float | None:
    """More than this cannot fit in all memory of the machine together; None where that was not
    read.
    """
    if machine.memory_limit_bytes is None or machine.accelerators is None:
        return None
    rooms = [place.room_bytes for place in places(machine)]
    if None in rooms:
        return None
    return (machine.memory_limit_bytes + sum(filter(None, rooms))) / bytes_per_parameter


# ------------------------------------------------------------------ whether it fits


def _holds(
    question: Question,
    runs: Judged | None,
    workload: Workload,
    machine: Machine,
    catalogue: Catalogue,
    *,
    stored: bool = False,
) -> bool:
    """Memory fits under that workload, and the files where they are `stored`.

    What `runs` on the accelerators, all of it or a part, does not leave them, and what they hold
    the most of stays so. Of a GPU that shares the RAM no part leaves what the system lends it, or
    what the printed line lets it use.
    """
    needs = needs_under(question, workload, catalogue, machine)
    layout = layout_however_fast(question.replace(workload=workload, needs=needs), needs, machine)
    before = runs.needs.placement if runs is not None and runs.needs is not None else None
    if _NEARNESS[layout.needs.placement or "host"] < _NEARNESS[before or "host"]:
        return False
    if not layout.surely_fits:
        return False
    if stored and not _is_storable(question, workload, needs, machine, catalogue):
        return False
    if runs is None:
        return not exceeds_accelerator(layout.held)
    is_split = layout.accelerator.code == "accelerator-partly"
    if is_split and _wants_another_limit(needs, runs, machine):
        return False
    return exceeds_accelerator(runs.findings) or not exceeds_accelerator(layout.held)


def _wants_another_limit(needs: Needs, runs: Judged, machine: Machine) -> bool:
    """A GPU that shares the RAM would compute all of it only with another limit than the one that
    `runs` is printed with.
    """
    if runs.needs is None or runs.needs.placement != "host":
        return False
    from ..judge.checks.accelerator_ram import more_for_shared

    return more_for_shared(needs, machine) != more_for_shared(runs.needs, machine)


def exceeds_accelerator(findings: Sequence[Finding]) -> bool:
    """The likely need fits on the accelerator, and the most that it may take does not."""
    return any(finding.code == "accelerator-tight" for finding in findings)


def _is_storable(
    question: Question, workload: Workload, needs: Needs, machine: Machine, catalogue: Catalogue
) -> bool:
    """The files fit on the disk."""
    if question.runtime is None:
        return True
    copy_here, missing = question.here, question.missing_bytes
    if workload.quantization != question.workload.quantization:
        copy_here = None
        if question.companions is None:
            copy_here = here(question.spec, question.runtime, workload, needs, machine, catalogue)
        missing = copy_here.missing_bytes if copy_here else None
    finding = disk_check(
        needs, machine, question.runtime.store, missing_bytes=missing, here=copy_here
    )
    return finding.outcome in ("pass", "warn")


def largest(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """The largest number from `low` to `high` that fits; None where not even `low` does.

    Where a number does not fit, no larger one does. Few large numbers are tried, for they cost the
    most: steps double from `low` on.
    """
    if low > high or not fits(low):
        return None
    step = 1
    while low < high:
        tried = min(low + step, high)
        if fits(tried):
            low, step = tried, 2 * step
        else:
            high, step = tried - 1, 1 if step == 1 else max(1, step // 4)
    return low
