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
from .ways import has_picture_ways, row_of, way_of

# how people write the methods of training
METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


def with_reason(best: Judged, usual: Judged, machine: Machine) -> Judged:
    """The best way, with the sentence why that way was taken. `usual` is the judgement in the
    model's own defaults.
    """
    why = _Reason(usual=usual, best=best, machine=machine).why()
    if why is None:
        return best
    return best.replace(question=best.question.replace(why_chosen=why))


class _Reason(Record):
    """Why another way than the usual one is the best on a machine."""

    usual: Judged
    best: Judged
    machine: Machine

    def why(self) -> str | None:
        """The sentence that tells the user why the way was taken; None where no sentence is
        needed.
        """
        usual = self.usual
        best = self.best
        if best.question.asked == usual.question.asked:
            return self._why_published()
        if best.workload.task == "finetune":
            return self._why_trained()
        if has_picture_ways(usual.question):
            return self._why_picture()
        sentences = []
        if best.workload.runtime != usual.workload.runtime:
            sentences.append(self._why_program())
        elif best.quantization != usual.quantization:
            sentences.append(self._why_type())
        if way_of(best.question).settings:
            sentences.append(self._why_settings())
        return " ".join(sentences)

    def _why_published(self) -> str | None:
        """The sentence that nobody publishes the model's usual type; None where somebody does, or
        where no sentence is needed.
        """
        question = self.best.question
        if not question.in_turn or question.here is not None:
            return None
        if question.is_usual_type or not self.best.fits:
            return None
        return self._phrased("published", usual=question.usual_type)

    def _why_program(self) -> str:
        best = self.best
        runtime = row_of(best.question).runtime
        if runtime.id == USUAL.library:
            return self._phrased("tag", type=best.quantization)
        type = best.quantization or ""
        bits = need.loaded_bits(runtime, best.model, best.workload)
        if bits is not None:
            type = f"{bits} bits"
        return self._phrased("many", type=type, refused=not self.usual.fits)

    def _why_type(self) -> str:
        if way_of(self.best.question).is_larger:
            return self._phrased("more-bits")
        first = self.usual.quantization
        if not self.usual.fits:
            return self._phrased("smaller", first=first)
        once = self._once
        if once is not None:
            return self._phrased("surer-type", first=first, once=once)
        moved = lies_better(self.best, self.usual)
        before = likely_words(self.usual.users_pace)
        if moved:
            # the better place says why, unless the usual type is faster elsewhere
            before = self._faster_pace
        pace = likely_words(self.best.users_pace)
        return self._phrased("faster-type", moved=moved, before=before, pace=pace)

    def _why_settings(self) -> str:
        situation = Situation(judged=self.best, machine=self.machine)
        settings = way_of(self.best.question).settings
        words = [setting.what(situation) for setting in settings]
        gain = self._gain_of_settings()
        return self._phrased("settings", what=" and ".join(words), **gain)

    def _gain_of_settings(self) -> dict[str, object]:
        """What the settings gain, as figures of the sentence: that the way runs, its pace or its
        wait. The figures of the usual way tell nothing of it where program or type differ, too.
        """
        usual = self.usual
        best = self.best
        pace = likely_words(best.users_pace)
        if best.workload.runtime != usual.workload.runtime:
            return {"pace": pace}
        if not usual.fits:
            return {"refused": True}
        if self._once is not None:
            return {"once": self._once}
        if best.quantization != usual.quantization:
            return {"pace": pace}
        wait = best.first_word_seconds
        longer = usual.first_word_seconds
        if wait is not None and longer is not None:
            is_shorter = steps_between(wait.likely, longer.likely) >= 1
            if is_shorter and not is_a_step_faster(best, usual):
                return {"wait": wait.likely, "longer": longer.likely}
        return {"pace": pace, "before": likely_words(usual.users_pace)}

    @property
    def _once(self) -> str | None:
        """What has to be done before the usual way runs, in words; None where the best way waits
        for as much.
        """
        if runs_of(self.best) >= runs_of(self.usual):
            return None
        if self.usual.waits_for_setting:
            return phrase("once/raised")
        return phrase("once/closed")

    def _why_trained(self) -> str:
        usual = self.usual.workload
        taken = self.best.workload
        before = METHODS[str(usual.finetune_method)]
        after = METHODS[str(taken.finetune_method)]
        options = f"--method {usual.finetune_method}"
        if taken.context_tokens != usual.context_tokens:
            before += f" with {usual.context_tokens:,} tokens"
            after += f" with {taken.context_tokens:,} tokens"
            options += f" --context {usual.context_tokens}"
        return self._phrased("trained", before=before, after=after, options=options)

    def _why_picture(self) -> str:
        fits = "fits"
        if self.best.offload is not None:
            fits = "fits a part at a time, on"
        return self._phrased("picture", fits=fits)

    def _phrased(self, key: str, **figures: object) -> str:
        """The sentence `chosen/{key}` of `common/findings.toml`, filled with `figures` and with
        the figures that several of these sentences have.
        """
        usual_program = row_of(self.usual.question).runtime
        shared: dict[str, object] = {
            "model": self.best.model.name,
            "program": row_of(self.best.question).runtime.name,
            "usual_program": usual_program.name,
            "runtime": usual_program.id,
            "taken": self.best.quantization,
            "usual": self.usual.quantization,
            "where": _accelerator_names(self.best, self.machine),
            "faster": self._faster_pace,
            "lacks": place_of(self.best) is RunPlace.NOWHERE,
        }
        return phrase(f"chosen/{key}", **{**shared, **figures})

    @property
    def _faster_pace(self) -> str | None:
        """The pace of the usual way where that is faster than the best; None elsewhere."""
        usual = self.usual.users_pace
        best = self.best.users_pace
        if usual is None or best is None or best.likely >= usual.likely:
            return None
        return units.speed(usual.likely)


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
