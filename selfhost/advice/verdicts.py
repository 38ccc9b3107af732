"""A question becomes a verdict, with everything beside it.

`check_with` takes a model, a workload and a machine. `verdict_on` takes what these words mean.

The verdict has at once what decides. Its commands, room, alternatives, offers, costs and notes take
most of the time of a check: they are worked out when somebody reads them.
"""

from __future__ import annotations

from functools import cached_property

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer
from ..core import units
from ..core.workload import Workload
from ..judge.judging import waits_of
from ..judge.pace import Wait
from ..judge.quality import Quality, quality_of_workload
from ..judge.record import DeferredAdvice, Judged, Room, Verdict
from ..machine.record import Machine
from .alternatives import AlternativeSearch
from .api_route import MonthlyCost, month, offers_for, shutdown_of
from .commands import Steps
from .faster import (
    FasterSetting,
    faster_settings,
    mode_that_surely_fits,
    with_undrafted_pace,
)
from .launch import Lines
from .makers import understand_on
from .measured import ModelQuality, quality_of_model
from .notes import (
    fine_print,
    note_on_clock,
    note_on_idle_cards,
    note_on_sure_mode,
    note_on_tag,
    note_on_users,
    notes_on_question,
)
from .ranking import best_case
from .steps import steps
from .understood import Model, Sentences, Understood, judged_on


def check_with(
    catalogue: Catalogue,
    model: Model,
    workload: Workload,
    machine: Machine,
    *,
    today: str | None = None,
    follows_machine: bool = True,
    carry: str = "",
) -> Verdict:
    """The verdict of `check` on the machine. The arguments behind the machine are those of
    `verdict_on`.
    """
    return verdict_on(
        catalogue,
        understand_on(catalogue, model, workload, machine),
        machine,
        today=today,
        follows_machine=follows_machine,
        carry=carry,
    )


def verdict_on(
    catalogue: Catalogue,
    understood: Understood,
    machine: Machine,
    *,
    today: str | None = None,
    follows_machine: bool = True,
    carry: str = "",
    notes: Sentences = (),
) -> Verdict:
    """The verdict on the machine of what the caller's words mean.

    - `today`: the day for prices and dates, as YYYY-MM-DD; None for the present day.
    - `follows_machine`: without it the defaults are the model's own, the same on every machine.
    - `carry`: the options that name the machine and the specs, which go behind each proposed
      `selfhost check …`.
    - `notes`: come before the verdict's own notes.
    """
    if follows_machine:
        understood, judged = judged_on(catalogue, understood, machine)
    else:
        judged = understood.judged(catalogue, machine)
    advice = Advice(
        judged=judged,
        catalogue=catalogue,
        machine=machine,
        understood=understood,
        carry=carry,
        day=today or units.utc_today(),
    )
    # a draft is told beside the pace without it
    told = with_undrafted_pace(advice)
    return advice.replace(judged=told).verdict(notes)


def _loaded_bits(judged: Judged) -> int | None:
    return need.loaded_bits(judged.question.runtime, judged.model, judged.workload)


class Advice(AlternativeSearch, DeferredAdvice):
    """The advice on a judged question: commands, alternatives, room, costs, each computed when it
    is read. `day` is the day for prices and dates.

    `alternatives` and `of_same_model` are those of `AlternativeSearch`, which stands first, so that
    they win over the empty ones of `DeferredAdvice`.
    """

    day: str

    def verdict(self, notes: Sentences) -> Verdict:
        """The verdict with this advice. `notes` come before the verdict's own notes."""
        judged = self.judged
        understood = self.understood
        offers: tuple[Offer, ...] = ()
        if judged.failed:
            offers = self.api_offers()
        return Verdict.conclude(
            judged,
            self.machine,
            asked=understood.typed_name,
            offered=bool(offers),
            shutdown=shutdown_of(judged.model, offers, self.catalogue, self.day),
            understood_as=(*understood.notes, *note_on_tag(understood, judged)),
            loss=self.loss,
            loaded_bits=_loaded_bits(judged),
            first_notes=notes,
            further=self,
        )

    @cached_property
    def loss(self) -> Quality | None:
        """The loss by quantization of the weights as the program loads them."""
        judged = self.judged
        is_halved = _loaded_bits(judged) == 16
        return quality_of_workload(judged.workload, judged.model, is_halved=is_halved)

    # ------------------------------------------------------------------ what to type

    @cached_property
    def to_type(self) -> Steps:
        """The lines to type."""
        understood = self.understood
        # a tag of Ollama's is run with Ollama unless the user stated a program
        by_tag_first = understood.files.is_tag and understood.workload.runtime is None
        return steps(
            self.judged,
            self.catalogue,
            self.machine,
            tag=understood.tag,
            by_tag_first=by_tag_first,
        )

    def setup(self) -> Lines:
        """The lines to type first."""
        return self.to_type.setup

    def commands(self) -> Lines:
        """The lines that download and run the model."""
        return self.to_type.commands

    def commands_class(self) -> str | None:
        """Whether a listing shows the file that the commands download."""
        return self.to_type.commands_class

    def fine_print(self) -> Sentences:
        """The notes that few people need, on the runtime, its files and the commands."""
        return tuple(fine_print(self.understood, self.judged, self.to_type))

    # ------------------------------------------------------------------ what else there is

    def room(self) -> Room | None:
        """How far one could go in each respect alone."""
        return self.reach.room()

    def faster(self) -> tuple[FasterSetting, ...]:
        """Settings of the same program that are clearly faster."""
        return tuple(faster_settings(self))

    def waits(self) -> tuple[Wait, ...]:
        """How long the first token takes."""
        return waits_of(self.judged, self.machine)

    def quality(self) -> ModelQuality:
        """How good the model is. Models about alike are looked for among those that likely fit on
        this machine.
        """
        bounds = best_case(self.machine, self.judged.question.stated)
        outlines = self.catalogue.outlines.values()
        fitting = filter(bounds.has_likely_room, outlines)
        others = (outline.id for outline in fitting)
        return quality_of_model(self.judged.model, self.loss, others=others)

    # ------------------------------------------------------------------ the API route

    @cached_property
    def _offers(self) -> tuple[Offer, ...]:
        """The value of `api_offers`, computed once."""
        return offers_for(self.catalogue, self.judged, self.day)

    def api_offers(self) -> tuple[Offer, ...]:
        """The API offers of the model, or of a model that stands in for it."""
        return self._offers

    def monthly_cost(self) -> MonthlyCost | None:
        """The cost of the stated load; None where no load was stated."""
        load = self.judged.question.stated.load
        if load is None:
            return None
        return month(load, self.api_offers(), self.judged)

    # ------------------------------------------------------------------ the notes

    def notes(self) -> Sentences:
        """The notes beside the answer, in the order in which they are shown."""
        judged = self.judged
        machine = self.machine
        offers = self.api_offers()
        notes = [
            *notes_on_question(self.catalogue, judged, machine, offers),
            *note_on_idle_cards(judged, machine),
            *note_on_clock(machine, self.day),
        ]
        if machine.accelerators:
            notes += note_on_users(judged)
            notes += note_on_sure_mode(judged, mode_that_surely_fits(self))
        why_chosen = judged.question.why_chosen
        if why_chosen is not None and judged.workload.task == "finetune":
            # no fine print, because the length of the examples decides what is learned
            notes.append(why_chosen)
        return tuple(notes)
