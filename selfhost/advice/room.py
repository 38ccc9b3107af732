"""How far one could go with what was judged on a machine.

`Reach` takes what was judged. Its `room` is the longest context, the most users and the best
quantization with which the model runs as well (`runs_as_well` of `judge.rating`). Each of these is
sought alone; everything else stays as judged.
"""

from __future__ import annotations

from functools import cached_property

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec_values import GENERATING
from ..core import units
from ..core.records import Record
from ..core.workload import MOST_TOKENS
from ..judge.judging import first_layout_with_room, judge, layout_for_all_users
from ..judge.pace.decode_step import step_of
from ..judge.quality import LOSSLESS, quality_of
from ..judge.question import asked_again, recounted
from ..judge.rating import runs_as_well
from ..judge.record import Judged, Question, Room
from ..judge.ways import types_to_have
from ..machine.record import Machine

# nobody serves more at once from one machine, and the search needs an end
_MOST_PARALLEL = 4096
# types of published weights: people notice no loss in them
_SIXTEEN_BITS = ("F16", "BF16")


class Reach(Record):
    """How far the limits of a machine are from what was judged on it."""

    judged: Judged
    catalogue: Catalogue
    machine: Machine

    def room(self) -> Room | None:
        """How far one could go in each respect alone; None where no need is known."""
        question = self.judged.question
        if question.needs is None or question.runtime is None:
            return None
        best_quantization = self._best_quantization(question.runtime)
        if not self._counts_tokens:
            return Room(best_quantization=best_quantization)
        return Room(
            longest_context_tokens=self.longest_context,
            best_quantization=best_quantization,
            most_parallel=self.most_users,
        )

    def _question_under(self, **changes: int) -> Question:
        """The same question under a changed number of tokens or users."""
        question = self.judged.question
        workload = question.workload.replace(**changes)
        question = recounted(question, workload, self.machine)
        step = step_of(question.spec, question.runtime, workload)
        return question.replace(step=step)

    # ------------------------------------------------------------------ tokens and users

    @cached_property
    def longest_context(self) -> int | None:
        """Tokens of one sequence, at most as many as the model was trained for.

        A longer context that the publisher documents with scaling counts only where the user asked
        for more than the trained context, because answers may get worse. None where the model has
        no context, no source states which it was trained for (whoever asked for any would get the
        answer `unknown`), or not even one token fits.
        """
        question = self.judged.question
        architecture = question.spec.architecture
        asked_tokens = question.workload.context_tokens
        if architecture is None or question.needs is None or asked_tokens is None:
            return None
        most = question.trained_tokens or 0
        if asked_tokens > most:
            most = max(most, architecture.scaled_context_tokens or 0)
        if question.row.rewrites and (
            question.row.relative_positions or question.row.sines
        ):
            # an encoder with a decoder that sets no bound is judged with any context
            most = max(most, asked_tokens)
        if most == 0:
            return None
        # the header of a damaged file may state more than can be asked for
        return self._farthest("context_tokens", min(most, MOST_TOKENS))

    @cached_property
    def most_users(self) -> int | None:
        """The most sequences at once, no more than an option allows; None where not even one fits,
        or the number is no matter.
        """
        question = self.judged.question
        runtime = question.runtime
        if question.needs is None or runtime is None or not self._counts_tokens:
            return None
        workload = self.judged.workload
        most = runtime.batches.most_sequences or max(workload.parallel, _MOST_PARALLEL)
        settings = runtime.settings_of(workload.runtime_options)
        if "sequences_sampled" in settings:
            most = min(most, int(settings["sequences_sampled"]))
        return self._farthest("parallel", most)

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

    def _farthest(self, field: str, most: int) -> int | None:
        """The largest number of tokens or users up to `most` with which the model runs as well;
        None where the model does not run even with one. A model that runs as judged keeps at least
        the judged number.
        """

        def runs_with(number: int) -> bool:
            question = self._question_under(**{field: number})
            # first the layout without its pace: most numbers fail by the place alone, and the pace
            # of all layouts takes longest
            placed = first_layout_with_room(question, self.machine)
            if not runs_as_well(placed, self.judged):
                return False
            with_pace = layout_for_all_users(question, self.machine)
            return runs_as_well(with_pace, self.judged)

        if runs_with(most):
            return most
        least = 1
        if self.judged.fits:
            judged_number: int = getattr(self.judged.workload, field)
            least = min(judged_number, most)
        elif not runs_with(least):
            return None
        return least + units.count_while(runs_with, range(least + 1, most))

    # ------------------------------------------------------------------ the type

    def _best_quantization(self, runtime: RuntimeSpec) -> str | None:
        """The smallest type without noticeable loss that the user can get and that runs as well,
        else the best such type; None where there is none, or the type cannot be chosen.
        """
        judged_type = self.judged.quantization
        if self.judged.question.loads_named_files:
            return None
        if self._trains or judged_type == "F32":
            return None
        for name in self._from_lossless(runtime):
            if name == judged_type and self.judged.fits:
                return name
            if self._runs_in(name):
                return name
        return None

    def _from_lossless(self, runtime: RuntimeSpec) -> list[str]:
        """The types that the user can get, the best first, from the judged one on; if that loses
        something, from the nearest type before it that does not.
        """
        question = self.judged.question
        judged_type = self.judged.quantization
        to_have = {row.quantization for row in types_to_have(question)}
        to_have.add(judged_type)
        types = need.quantizations_of(question.spec, runtime)
        wanted = [name for name in types if name in to_have]
        first = 0
        for place, name in enumerate(wanted):
            is_lossless = quality_of(name, question.spec).cost in LOSSLESS
            if is_lossless or name in _SIXTEEN_BITS:
                first = place
            if name == judged_type:
                break
        return wanted[first:]

    def _runs_in(self, quantization: str) -> bool:
        """Whether the model runs as well in that type of the same program."""
        question = self.judged.question
        asked = question.asked.replace(
            quantization=quantization, runtime=question.workload.runtime
        )
        other = asked_again(question, asked, self.catalogue, self.machine)
        if other is None or other.needs is None:
            return False
        return runs_as_well(
            judge(other, self.machine),
            self.judged,
            may_be_tight=not self.judged.fits,
        )
