"""The sentence why a way was taken, rather than the model's own defaults.

`with_reason` takes the best way and the judgement in the model's own defaults. It returns the best
way with the sentence, which is one of `chosen` in `specs/common/findings.toml`.
"""

from __future__ import annotations

from .. import needs as need
from ..core import units
from ..core.records import Record
from ..machine.record import Machine
from .checks import phrase
from .devices import index_of
from .pace.words import likely_words
from .rating import (
    RunPlace,
    is_a_step_faster,
    lies_better,
    place_of,
    runs_of,
    steps_between,
)
from .record import Judged
from .settings import Situation
from .table import USUAL
from .ways import Way, has_picture_ways, row_of, way_of

# how people write the methods of training
METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


def with_reason(best: Judged, usual: Judged, machine: Machine) -> Judged:
    """The best way, with the sentence why that way was taken. `usual` is the judgement in the
    model's own defaults.
    """
    why = _Reasons(usual=usual, machine=machine).why(best)
    if why is None:
        return best
    return best.replace(question=best.question.replace(chosen=why))


class _Reasons(Record):
    """Why other ways than the usual one are taken on a machine."""

    usual: Judged
    machine: Machine

    def why(self, best: Judged) -> str | None:
        """The sentence that tells the user why the way was taken; None where no sentence is
        needed.
        """
        usual = self.usual
        way = way_of(best.question)
        if best.question.asked == usual.question.asked:
            return self._why_published(best)
        if best.workload.task == "finetune":
            return self._why_trained(best)
        if has_picture_ways(usual.question):
            return self._why_picture(best)
        sentences = []
        if best.workload.runtime != usual.workload.runtime:
            sentences.append(self._why_program(best))
        elif best.quantization != usual.quantization:
            sentences.append(self._why_type(best))
        if way.settings:
            sentences.append(self._why_settings(best, way))
        return " ".join(sentences)

    def _why_published(self, best: Judged) -> str | None:
        """The sentence that nobody publishes the model's usual type; None where somebody does, or
        where no sentence is needed.
        """
        question = best.question
        if not question.in_turn or question.here is not None or not best.fits:
            return None
        if question.is_usual_type:
            return None
        return self._phrased("published", best, usual=question.usual_type)

    def _why_program(self, best: Judged) -> str:
        runtime = row_of(best.question).runtime
        if runtime.id == USUAL.library:
            return self._phrased("tag", best, type=best.quantization)
        bits = need.loaded_bits(runtime, best.model, best.workload)
        return self._phrased(
            "many",
            best,
            refused=not self.usual.fits,
            type=f"{bits} bits" if bits is not None else best.quantization or "",
        )

    def _why_type(self, best: Judged) -> str:
        if way_of(best.question).is_larger:
            return self._phrased("more-bits", best)
        first = self.usual.quantization
        if not self.usual.fits:
            return self._phrased("smaller", best, first=first)
        once = self._once(best)
        if once is not None:
            return self._phrased("surer-type", best, first=first, once=once)
        moved = lies_better(best, self.usual)
        before = likely_words(self.usual.users_pace)
        if moved:
            # the better place says why, unless the usual type is faster elsewhere
            before = _faster_pace(self.usual, best)
        return self._phrased(
            "faster-type",
            best,
            moved=moved,
            before=before,
            pace=likely_words(best.users_pace),
        )

    def _why_settings(
        self,
        best: Judged,
        way: Way,
    ) -> str:
        situation = Situation(judged=best, machine=self.machine)
        words = [setting.what(situation) for setting in way.settings]
        gain = self._gain_of_settings(best)
        return self._phrased("settings", best, what=" and ".join(words), **gain)

    def _gain_of_settings(self, best: Judged) -> dict[str, object]:
        """What the settings gain, as figures of the sentence: that the way runs, its pace or its
        wait. The figures of the usual way tell nothing of it where program or type differ, too.
        """
        usual = self.usual
        pace = likely_words(best.users_pace)
        if best.workload.runtime != usual.workload.runtime:
            return {"pace": pace}
        if not usual.fits:
            return {"refused": True}
        once = self._once(best)
        if once is not None:
            return {"once": once}
        if best.quantization != usual.quantization:
            return {"pace": pace}
        wait = best.first_word_seconds
        longer = usual.first_word_seconds
        if wait is not None and longer is not None:
            is_shorter = steps_between(wait.likely, longer.likely) >= 1
            if is_shorter and not is_a_step_faster(best, usual):
                return {"wait": wait.likely, "longer": longer.likely}
        return {"pace": pace, "before": likely_words(usual.users_pace)}

    def _once(self, best: Judged) -> str | None:
        """What has to be done before the usual way runs, in words; None where the best way waits
        for as much.
        """
        if not self.usual.fits or runs_of(best) >= runs_of(self.usual):
            return None
        if self.usual.waits_for_setting:
            return phrase("once/raised")
        return phrase("once/closed")

    def _why_trained(self, best: Judged) -> str:
        usual = self.usual.workload
        taken = best.workload
        before = METHODS[str(usual.finetune_method)]
        after = METHODS[str(taken.finetune_method)]
        options = f"--method {usual.finetune_method}"
        if taken.context_tokens != usual.context_tokens:
            before += f" with {usual.context_tokens:,} tokens"
            after += f" with {taken.context_tokens:,} tokens"
            options += f" --context {usual.context_tokens}"
        return self._phrased(
            "trained",
            best,
            before=before,
            after=after,
            options=options,
            lacks=place_of(best) is RunPlace.NOWHERE,
        )

    def _why_picture(self, best: Judged) -> str:
        return self._phrased(
            "picture",
            best,
            fits="fits" if best.offload is None else "fits a part at a time, on",
            lacks=place_of(best) is RunPlace.NOWHERE,
        )

    def _phrased(
        self,
        key: str,
        best: Judged,
        **figures: object,
    ) -> str:
        """The sentence `chosen/{key}` of `common/findings.toml`, filled with `figures` and with
        the figures that most of these sentences have.
        """
        usual_program = row_of(self.usual.question).runtime
        shared: dict[str, object] = {
            "model": best.model.name,
            "program": row_of(best.question).runtime.name,
            "usual_program": usual_program.name,
            "runtime": usual_program.id,
            "taken": best.quantization,
            "usual": self.usual.quantization,
            "where": _accelerator_names(best, self.machine),
            "faster": _faster_pace(self.usual, best),
        }
        return phrase(f"chosen/{key}", **{**shared, **figures})


def _accelerator_names(judged: Judged, machine: Machine) -> str:
    """The names of the accelerators that hold the model, or "the RAM"."""
    # a layout may lie on an accelerator that was not read
    if not machine.cards:
        return "the RAM"
    if not judged.is_on_accelerators and not judged.offload:
        return "the RAM"
    names = []
    for where in dict.fromkeys(term.where for term in judged.placed.on_cards.terms):
        names.append(machine.cards[index_of(where)].name)
    return " and ".join(units.counted(names)) or "the RAM"


def _faster_pace(usual: Judged, judged: Judged) -> str | None:
    """The pace of the usual way where that is faster than the best; None elsewhere."""
    pace = usual.users_pace
    other = judged.users_pace
    if pace is None or other is None or other.likely >= pace.likely:
        return None
    return units.speed(pace.likely)
