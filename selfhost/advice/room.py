"""How far one could go with what fits: the longest context, the best quantization, the most
sequences.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quantization_names import quality_of
from ..catalogue.spec_values import GENERATING
from ..core.records import Record
from ..judge.checks import Outcome
from ..judge.checks.disk import disk_check
from ..judge.files import local_copy
from ..judge.judging import layout_however_fast
from ..judge.question import needs_under
from ..judge.record import Judged, Question, Room
from ..machine.record import Machine
from ..needs.records import Needs

# nobody serves more at once from one machine, and the search needs an end
MOST_PARALLEL = 4096
# how near to the accelerators a placement is
_NEARNESS = {"host": 0, None: 0, "split": 1, "accelerator": 2}


def room(judged: Judged, machine: Machine, catalogue: Catalogue) -> Room | None:
    """The longest context, the best quantization and the most sequences that fit, each with
    everything else as judged.
    """
    question = judged.question
    if question.needs is None or question.runtime is None:
        return None
    space = _Space(judged=judged, machine=machine, catalogue=catalogue)
    most_parallel = None
    if _grows(question):
        # what runs is known to fit
        low = question.workload.parallel if judged.fits else 1
        most = max(low, question.runtime.most_sequences or MOST_PARALLEL)
        most_parallel = largest(low, most, lambda number: space.fits(parallel=number))
    return Room(
        longest_context_tokens=longest_context(judged, machine, catalogue),
        best_quantization=_best_quantization(space),
        most_parallel=most_parallel,
    )


def largest(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """The largest number from `low` to `high` that fits, as all smaller ones do; None where not
    even `low` does.
    """
    if low > high or not fits(low):
        return None
    if fits(high):
        return high
    return low + bisect_left(range(low + 1, high), True, key=lambda number: not fits(number))


def longest_context(judged: Judged, machine: Machine, catalogue: Catalogue) -> int | None:
    """Tokens per sequence, at most what the model was trained for: what its publisher documents
    with scaling counts only where more was asked for, because answers may get worse. None where
    tokens make no sense or not even one fits.
    """
    question = judged.question
    architecture = question.spec.architecture
    if architecture is None or not _grows(question):
        return None
    row, asked_tokens = question.row, question.workload.context_tokens or 1
    most = need.trained_tokens(architecture, row) or asked_tokens
    if asked_tokens > most:
        most = max(most, architecture.scaled_context_tokens or 0)
    if row is not None and row.rewrites and not row.bounds_texts:
        # what was asked for is judged all the same
        most = max(most, asked_tokens)
    space = _Space(judged=judged, machine=machine, catalogue=catalogue)
    low = min(asked_tokens, most) if judged.fits else 1
    return largest(low, most, lambda tokens: space.fits(context_tokens=tokens))


def _grows(question: Question) -> bool:
    workload = question.workload
    generates = question.spec.modality in GENERATING or workload.task == "finetune"
    return workload.context_tokens is not None and generates


def _best_quantization(space: _Space) -> str | None:
    """The best that fits, of those without noticeable loss the smallest: from there on, or from the
    judged one where that has more bits, even more bits gain nothing.
    """
    question, catalogue = space.judged.question, space.catalogue
    spec, runtime, own = question.spec, question.runtime, question.workload.quantization
    if runtime is None or question.workload.task == "finetune" or question.local_files:
        return None
    order = need.quantizations_of(spec, runtime, catalogue.common("architectures"))
    first = order.index(own) if own in order else len(order) - 1
    # the order is by what is lost, so none behind the judged one counts unless it does
    while first > 0 and not quality_of(order[first], catalogue, spec).is_lossless:
        first -= 1
    fitting = (name for name in order[max(first, 0) :] if space.fits(quantization=name))
    return next(fitting, None)


class _Space(Record):
    """What a question that was judged may grow into on one machine."""

    judged: Judged
    machine: Machine
    catalogue: Catalogue

    def fits(self, **changes: int | str) -> bool:
        """Whether it fits with that change of the workload, and so do the files of another
        quantization.
        """
        question, machine = self.judged.question, self.machine
        workload = question.workload.replace(**changes)
        needs = needs_under(question, workload, self.catalogue, machine)
        other = question.replace(workload=workload, needs=needs)
        layout = layout_however_fast(other, needs, machine)
        if not layout.fits:
            return False
        is_tight = layout.has("accelerator-tight")
        if not (self._keeps_placement(layout, needs) if self.judged.fits else not is_tight):
            return False
        if "quantization" not in changes:
            return True
        if workload.quantization != question.workload.quantization:
            copy = local_copy(other, needs, machine, self.catalogue)
            other = other.replace(here=copy)
        return disk_check(needs, machine, other).outcome in (Outcome.PASS, Outcome.WARN)

    def _keeps_placement(self, layout: Judged, needs: Needs) -> bool:
        """What runs on the accelerators, all of it or a part, does not leave them, nor what a GPU
        that shares the RAM may use; what they hold the most of stays so.
        """
        judged = self.judged
        if _NEARNESS[layout.placement] < _NEARNESS[judged.placement]:
            return False
        if layout.has("accelerator-partly") and judged.placement == "host":
            from ..judge.checks.accelerator import more_for_shared

            # it would compute all only with another limit than the one that is printed
            runs, machine = judged.needs, self.machine
            if runs and more_for_shared(needs, machine) != more_for_shared(runs, machine):
                return False
        return judged.has("accelerator-tight") or not layout.has("accelerator-tight")
