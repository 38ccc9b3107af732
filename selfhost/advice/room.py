"""How far one could go with what was judged on a machine.

`Reach` takes what was judged. Its `room` is the longest context, the most sequences and the best
quantization that fit and with which text comes as fast as wanted. Each of these is sought alone;
everything else stays as judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec_values import GENERATING
from ..core import units
from ..core.records import Record
from ..core.workload import MOST_TOKENS
from ..judge.checks import Outcome
from ..judge.checks.accelerator import more_for_shared
from ..judge.checks.space import disk_check
from ..judge.checks.speed import is_too_slow
from ..judge.downloaded import WantedFiles
from ..judge.judging import best_layout, first_layout_with_room
from ..judge.quality import LOSSLESS, quality_of
from ..judge.question import recounted
from ..judge.record import PACE_CHECKS, Judged, Question, Room
from ..judge.step import step_of
from ..machine.record import Machine
from ..needs.records import Needs, Term
from ..needs.tensors import ArchitectureRow
from .steps import steps

# nobody serves more at once from one machine, and the search needs an end
_MOST_PARALLEL = 4096
# llama.cpp counts a context in such steps, and nobody asks for a finer bound of the pace
_STEP_TOKENS = 256
# how near to the accelerators a placement is
_NEARNESS = {"host": 0, None: 0, "split": 1, "accelerator": 2}
# types of published weights: no type before them in the order loses less
_SIXTEEN_BITS = ("F16", "BF16")


class Reach(Record):
    """How far the limits of a machine are from what was judged on it."""

    judged: Judged
    catalogue: Catalogue
    machine: Machine

    def room(self) -> Room | None:
        """How far one could go in each respect alone; None where no need is known."""
        question = self.judged.question
        runtime = question.runtime
        if question.needs is None or runtime is None:
            return None
        longest = None
        most_parallel = None
        if self._counts_tokens:
            is_fast = self._is_fast_enough
            longest = self.longest_context()
            longest = self._most_with("context_tokens", longest, _STEP_TOKENS, is_fast)
            most_parallel = self._most_parallel(runtime)
            most_parallel = self._most_with("parallel", most_parallel, 1, is_fast)
        return Room(
            longest_context_tokens=longest,
            best_quantization=self._best_quantization(runtime),
            most_parallel=most_parallel,
        )

    @property
    def _counts_tokens(self) -> bool:
        """Whether the judged workload has a context, which could be longer or serve more users."""
        question = self.judged.question
        if question.workload.context_tokens is None:
            return False
        return self._trains or question.spec.modality in GENERATING

    @property
    def _trains(self) -> bool:
        """Whether the model is to be fine-tuned."""
        return self.judged.workload.task == "finetune"

    def longest_context(self) -> int | None:
        """Tokens of one sequence, at most as many as the model was trained for.

        A longer context that the publisher documents with scaling counts only where the user asked
        for more than the trained context, because answers may get worse. None where the model has
        no context, no source states which it was trained for (whoever asked for any would get the
        answer `unknown`), or not even one token fits.
        """
        question = self.judged.question
        asked_tokens = question.workload.context_tokens
        if question.needs is None or asked_tokens is None:
            return None
        architecture = question.spec.architecture
        if architecture is None:
            return None
        most = question.trained_tokens or 0
        if asked_tokens > most:
            most = max(most, architecture.scaled_context_tokens or 0)
        if _is_unbounded(question.row):
            # such a model is judged with any context that was asked for
            most = max(most, asked_tokens)
        if most == 0:
            return None
        # the header of a damaged file may state more than can be asked for
        return self._most_with("context_tokens", min(most, MOST_TOKENS), 1, self.fits)

    def _most_parallel(self, runtime: RuntimeSpec) -> int | None:
        """The most sequences at once; None where not even one fits."""
        asked = self.judged.workload.parallel
        most = runtime.batches.most_sequences
        if not most:
            most = max(asked, _MOST_PARALLEL)
        return self._most_with("parallel", most, 1, self.fits)

    def _best_quantization(self, runtime: RuntimeSpec) -> str | None:
        """The smallest type without noticeable loss that fits and is fast enough, else the best
        such type; None where there is none, or the type cannot be chosen. For a model that runs as
        judged, such a type is larger than the judged one, and a command runs it.

        The types are in the order of their loss. The search begins with the judged type; if that
        type loses something, with the nearest type before it that does not.
        """
        judged_type = self.judged.quantization
        if judged_type == "F32":
            return None
        if self._trains or self.judged.question.loads_named_files:
            return None
        spec = self.judged.model
        order = need.quantizations_of(spec, runtime)
        first = len(order) - 1
        if judged_type in order:
            first = order.index(judged_type)
        if judged_type not in _SIXTEEN_BITS:
            while first > 0 and quality_of(order[first], spec).cost not in LOSSLESS:
                first -= 1
        for name in order[max(first, 0) :]:
            if not self.fits(quantization=name):
                continue
            if self.judged.fits:
                if name == judged_type:
                    return name
                if not self._is_more(name):
                    continue
            if self._is_fast_enough(quantization=name):
                return name
        return None

    def _is_more(self, quantization: str) -> bool:
        """Whether the type has larger files than the judged one, and a command runs it where one
        runs the judged type.
        """
        judged = self.judged
        own_bytes = self._file_bytes(judged.quantization or "", unknown=0)
        if self._file_bytes(quantization, unknown=inf) <= own_bytes:
            return False
        if not self._has_command(judged):
            return True
        # files that lie on the machine are of the judged type
        question = self._recounted({"quantization": quantization}).replace(here=None)
        return self._has_command(self._placed(question))

    def _file_bytes(self, quantization: str, *, unknown: float) -> float:
        """The size of the files in that type; `unknown` where the size is not known."""
        question = self.judged.question
        format = question.workload.format or ""
        files = need.weights_files(question.spec, format, quantization)
        return files.bytes if isinstance(files, Term) else unknown

    def _has_command(self, judged: Judged) -> bool:
        """Whether a command is known that runs what was judged."""
        return bool(steps(judged, self.catalogue, self.machine).commands)

    def _most_with(
        self,
        field: str,
        most: int | None,
        step: int,
        holds: Callable[..., bool],
    ) -> int | None:
        """The largest number of tokens or sequences up to `most` with which the condition holds;
        None where it does not even hold with one, or `most` is None. It holds with smaller numbers
        where it holds with a larger one.

        A model that runs as judged keeps at least the judged number. The search tries multiples of
        `step`.
        """

        def holds_with(number: int) -> bool:
            return holds(**{field: number})

        if most is None or holds_with(most):
            return most
        low = 1
        if self.judged.fits:
            judged_number: int = getattr(self.judged.workload, field)
            low = min(judged_number, most)
        elif not holds_with(low):
            return None
        first = (low // step + 1) * step
        numbers = range(first, most, step)
        count = units.count_while(holds_with, numbers)
        return numbers[count - 1] if count else low

    def _is_fast_enough(self, **changes: int | str) -> bool:
        """Whether text comes at the least pace and within the longest wait under that change of the
        workload. True for other work, and where no pace is known.
        """
        question = self._recounted(changes)
        if question.step is None:
            return True
        # another type reads other bytes
        step = step_of(question.spec, question.runtime, question.workload)
        layout = best_layout(question.replace(step=step), self.machine)
        if layout.users_pace is None:
            return True
        if is_too_slow(layout):
            return False
        return layout.deciding.isdisjoint(PACE_CHECKS)

    def layout_under(self, **changes: int | str) -> Judged:
        """The placement of the same question under a changed workload, at any pace."""
        return self._placed(self._recounted(changes))

    def fits(self, **changes: int | str) -> bool:
        """Whether the model fits under that change of the workload, no worse placed than judged. If
        the change is another type, its files must fit on the disk, too.
        """
        other = self._recounted(changes)
        # a model whose needs are known has needs under every workload
        assert other.needs is not None
        layout = self._placed(other)
        if not layout.fits:
            return False
        if self._is_worse(layout, other.needs):
            return False
        if "quantization" not in changes:
            return True
        return self._has_room_on_disk(other, other.needs)

    def _recounted(self, changes: Mapping[str, int | str]) -> Question:
        """The judged question under a changed workload."""
        question = self.judged.question
        return recounted(question, question.workload.replace(**changes), self.machine)

    def _placed(self, question: Question) -> Judged:
        """The best placement of a question, at any pace."""
        return first_layout_with_room(question, self.machine)

    def _is_worse(self, layout: Judged, needs: Needs) -> bool:
        """Whether a placement is worse than the judged one: accelerators become tight or hold less
        of the model, or a GPU that shares the RAM
        needs another limit than the printed one.
        """
        judged = self.judged
        if not judged.fits:
            return layout.has("accelerator-tight")
        if layout.has("accelerator-tight") and not judged.has("accelerator-tight"):
            return True
        if _NEARNESS[layout.placement] < _NEARNESS[judged.placement]:
            return True
        if judged.placement != "host":
            return False
        if not layout.has("accelerator-partly"):
            return False
        line = more_for_shared(needs, self.machine)
        return line != more_for_shared(judged.placed, self.machine)

    def _has_room_on_disk(self, other: Question, needs: Needs) -> bool:
        """Whether the disk holds the files of a question in another type."""
        row = other.type_row
        if row is not None and row.quantization != self.judged.quantization:
            wanted = WantedFiles(row=row, needs=needs, catalogue=self.catalogue)
            other = other.replace(here=wanted.copy_on(self.machine))
        outcome = disk_check(needs, self.machine, other).outcome
        return outcome in (Outcome.PASS, Outcome.WARN)


def _is_unbounded(row: ArchitectureRow) -> bool:
    """Whether the model sets no bound to a context: an encoder with a decoder that has relative
    positions, or sines as positions.
    """
    if not row.rewrites:
        return False
    return bool(row.relative_positions or row.sines)
