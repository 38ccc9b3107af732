"""How far one could go with what fits: the longest context, the best quantization, the most
sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quality import quality_of
from ..catalogue.spec_values import GENERATING
from ..core.records import Record
from ..core.workload import Workload
from ..judge.checks import Finding
from ..judge.checks.disk import disk_check
from ..judge.files import here
from ..judge.judging import layout_however_fast
from ..judge.placement.devices import places
from ..judge.question import architectures, needs_under
from ..judge.record import Judged, Question, Room
from ..machine.record import Machine
from ..needs.records import Needs

SHORTEST_CONTEXT_TOKENS = 1024
# nobody serves more at once from one machine, and the search needs an end
MOST_PARALLEL = 4096
# how near to the accelerators a placement is
_NEARNESS = {"host": 0, None: 0, "split": 1, "accelerator": 2}


def room(question: Question, judged: Judged, machine: Machine, catalogue: Catalogue) -> Room | None:
    """The longest context, the best quantization and the most sequences that fit, each with
    everything else as judged.
    """
    runtime = question.runtime
    if question.needs is None or runtime is None:
        return None
    runs = judged if judged.fits else None
    space = _Space(question=question, runs=runs, machine=machine, catalogue=catalogue)
    most_parallel = None
    if _grows(question):
        most = runtime.most_sequences or MOST_PARALLEL
        most_parallel = largest(1, most, lambda number: space.holds(parallel=number))
    return Room(
        longest_context_tokens=longest_context(question, runs, machine, catalogue),
        best_quantization=_best_quantization(space),
        most_parallel=most_parallel,
    )


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
            high, step = tried - 1, max(1, step // 4)
    return low


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
    space = _Space(question=question, runs=runs, machine=machine, catalogue=catalogue)
    if space.holds(context_tokens=most):
        return most
    return largest(1, most - 1, lambda tokens: space.holds(context_tokens=tokens))


def _grows(question: Question) -> bool:
    """The need grows with the tokens: there is a cache or a state of each sequence, or
    activations to train.
    """
    workload = question.workload
    generates = question.spec.modality in GENERATING or workload.task == "finetune"
    return workload.context_tokens is not None and generates


# ------------------------------------------------------------------ quantizations


def _best_quantization(space: _Space) -> str | None:
    """The best that fits, of those without noticeable loss the smallest: from there on, or from the
    judged one where that has more bits, even more bits gain nothing.
    """
    question, catalogue = space.question, space.catalogue
    spec, runtime, judged = question.spec, question.runtime, question.workload.quantization
    if runtime is None or question.workload.task == "finetune" or question.local_files:
        return None
    order = need.quantizations_of(spec, runtime, architectures(catalogue))
    first = order.index(judged) if judged in order else len(order) - 1
    # the order is by what is lost, so none behind the judged one counts unless it does
    while first > 0 and not quality_of(order[first], catalogue, spec).is_lossless:
        first -= 1
    for name in order[max(first, 0) :]:
        if space.holds(quantization=name):
            return name
    return None


def parameters_that_may_fit(machine: Machine, bytes_per_parameter: float) -> float | None:
    """More than this cannot fit in all memory of the machine together; None where that was not
    read.
    """
    if machine.memory_limit_bytes is None or machine.accelerators is None:
        return None
    rooms = [place.room_bytes for place in places(machine.accelerators)]
    if None in rooms:
        return None
    return (machine.memory_limit_bytes + sum(filter(None, rooms))) / bytes_per_parameter


# ------------------------------------------------------------------ whether it fits


class _Space(Record):
    """What a question may grow into on one machine, where it `runs`, None where it does not."""

    question: Question
    runs: Judged | None
    machine: Machine
    catalogue: Catalogue

    def holds(self, **changes: int | str) -> bool:
        """Memory fits with that change of the workload, and the files of another quantization.

        What `runs` on the accelerators, all of it or a part, does not leave them, and what they
        hold the most of stays so. Of a GPU that shares the RAM no part leaves what the system lends
        it, or what the printed line lets it use.
        """
        question, runs, machine = self.question, self.runs, self.machine
        workload = question.workload.replace(**changes)
        needs = needs_under(question, workload, self.catalogue, machine)
        other = question.replace(workload=workload, needs=needs)
        layout = layout_however_fast(other, needs, machine)
        before = runs.needs.placement if runs is not None and runs.needs is not None else None
        if _NEARNESS[layout.needs.placement] < _NEARNESS[before] or not layout.surely_fits:
            return False
        if "quantization" in changes and not self._is_storable(other, needs):
            return False
        if runs is None:
            return not exceeds_accelerator(layout.held)
        is_split = layout.accelerator.code == "accelerator-partly"
        if is_split and before == "host" and runs.needs is not None:
            from ..judge.checks.accelerator import more_for_shared

            # it would compute all only with another limit than the one that is printed
            if more_for_shared(needs, machine) != more_for_shared(runs.needs, machine):
                return False
        return exceeds_accelerator(runs.findings) or not exceeds_accelerator(layout.held)

    def _is_storable(self, other: Question, needs: Needs) -> bool:
        """The files fit on the disk."""
        runtime, workload = other.runtime, other.workload
        if runtime is None:
            return True
        copy_here, missing = other.here, other.missing_bytes
        if workload.quantization != self.question.workload.quantization:
            copy_here = None
            if other.companions is None:
                catalogue, machine = self.catalogue, self.machine
                copy_here = here(other.spec, runtime, workload, needs, machine, catalogue)
            missing = copy_here.missing_bytes if copy_here else None
        finding = disk_check(
            needs, self.machine, runtime.store, missing_bytes=missing, here=copy_here
        )
        return finding.outcome in ("pass", "warn")


def exceeds_accelerator(findings: Sequence[Finding]) -> bool:
    """The likely need fits on the accelerator, and the most that it may take does not."""
    return any(finding.code == "accelerator-tight" for finding in findings)
