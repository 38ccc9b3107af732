"""A question becomes a verdict with everything beside it: offers, alternatives, commands, notes."""

from __future__ import annotations

import os
from functools import partial

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer, at_context
from ..catalogue.quality import quality_for
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING
from ..core import units
from ..core.workload import Workload
from ..judge.placement.devices import lies_beside_cards
from ..judge.record import Judged, Question, Verdict, verdict_on
from ..machine.record import Machine
from .api_route import offers_for
from .remarks import (
    about_files,
    faster_ways,
    notes_instead,
    notes_of,
    notes_of_asking,
    store_unread,
)
from .room import room
from .steps import Steps, steps
from .understood import Understood, judged_for, understand

# what QLoRA loads of each weight that it trains adapters beside (bitsandbytes, nf4)
_QLORA_BITS = 4


def check_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec | Understood,
    workload: Workload,
    machine: Machine,
    *,
    instead: bool = True,
    today: str | None = None,
    follows_machine: bool = True,
    requires_runtime: bool = False,
) -> Verdict:
    """`check` with everything given. Without `instead` the verdict names only what decides: no
    alternatives, no room, no costs, and offers only where it does not run. Without
    `follows_machine` the defaults are the model's own, the same on every machine.
    `requires_runtime`: the runtime must be installed already.
    """
    understood = understand(catalogue, model, workload, machine if follows_machine else None)
    judged = judged_for(
        catalogue,
        understood,
        machine,
        follows_machine=follows_machine,
        requires_runtime=requires_runtime,
    )
    return answer(catalogue, judged, understood, machine, instead=instead, today=today)


def answer(
    catalogue: Catalogue,
    judged: Judged,
    understood: Understood,
    machine: Machine,
    *,
    instead: bool,
    today: str | None = None,
) -> Verdict:
    """The verdict on what was understood and judged. The arguments are those of `check_with`."""
    question, day = judged.question, today or units.utc_today()
    offers: tuple[Offer, ...] = ()
    if instead or judged.failed:
        offers = _priced(catalogue, question, judged, day)
    to_type = steps(
        judged,
        catalogue,
        machine,
        tag=understood.tag,
        by_tag_first=understood.is_one_file and understood.workload.runtime is None,
    )
    notes, fine_print = _beside(catalogue, understood, machine, judged, to_type, instead=instead)
    loaded_bits, spec = _loaded_bits(question), question.spec
    quality = quality_for(question.workload, catalogue, spec, is_halved=loaded_bits == 16)
    verdict = verdict_on(
        judged,
        machine,
        asked=understood.asked,
        offered=bool(offers),
        api_offers=offers,
        commands=to_type.commands,
        commands_class=to_type.commands_class,
        setup=to_type.setup,
        understood_as=understood.notes,
        notes=(*notes_of(catalogue, question, understood, offers), *notes),
        fine_print=tuple(fine_print),
        quality=quality,
        rewrites=question.rewriting is not None,
        loaded_bits=loaded_bits,
    )
    if not instead:
        return verdict
    return _with_what_else(verdict, catalogue, understood.workload, judged, day)


def _priced(
    catalogue: Catalogue, question: Question, judged: Judged, today: str
) -> tuple[Offer, ...]:
    """The offers, the cheapest first for the load or the context that was asked for."""
    workload = question.workload
    offers = offers_for(catalogue, question, judged, today)
    if question.context_asked and workload.context_tokens is not None:
        offers = at_context(offers, workload.context_tokens)
    if workload.load is not None:
        from .costs import dearness

        by_load = partial(dearness, workload.load, question.spec.modality)
        offers = tuple(sorted(offers, key=by_load))
    return offers


def _beside(
    catalogue: Catalogue,
    understood: Understood,
    machine: Machine,
    judged: Judged,
    to_type: Steps,
    *,
    instead: bool,
) -> tuple[list[str], list[str]]:
    """Sentences that the answer needs beside it, and fine print that explains it."""
    question, commands = judged.question, to_type.commands
    notes: list[str] = []
    fine_print = [*notes_of_asking(catalogue, question, understood)]
    # advice is for the program whose lines are printed
    shown = question.replace(runtime=to_type.runtime or question.runtime)
    if instead:
        is_bounded = any("--ctx-checkpoints" in line for line in commands)
        notes += notes_instead(catalogue, shown, judged, is_bounded=is_bounded)
        notes += filter(None, [store_unread(question, machine)])
        is_text = question.workload.task == "generate" and question.spec.modality in GENERATING
        if is_text and judged.fits and lies_beside_cards(judged.needs, machine):
            from .alternatives import on_cards_instead

            on_cards = on_cards_instead(question, understood.workload, catalogue, machine)
            notes += filter(None, [on_cards])
    if question.chosen is not None:
        # how long the examples are decides what is learned, so a shorter length is not fine print
        is_trained = question.workload.task == "finetune"
        (notes if is_trained else fine_print).append(question.chosen)
    if not understood.tag:
        fine_print += about_files(question, fits=judged.fits)
    return notes, fine_print


def _loaded_bits(question: Question) -> int | None:
    workload = question.workload
    if workload.finetune_method == "qlora":
        return _QLORA_BITS
    if workload.quantization is None or workload.format == "gguf" or workload.task != "generate":
        return None
    return need.loaded_bits(question.runtime, question.spec, workload.quantization)


def _with_what_else(
    verdict: Verdict,
    catalogue: Catalogue,
    asked: Workload,
    judged: Judged,
    today: str,
) -> Verdict:
    """With the room left, what would run in its place, the open-weight models
    that a closed one's spec names, and what a month costs.
    """
    question, machine = judged.question, verdict.machine
    if not judged.fits or question.spec.availability is not None:
        from .alternatives import alternatives, open_alternatives

        verdict = verdict.replace(
            alternatives=alternatives(question, asked, judged, catalogue, machine),
            open_alternatives=open_alternatives(question.spec, asked, catalogue, machine),
        )
    if question.workload.load is not None:
        from .costs import month

        cost = month(verdict, asked, judged, catalogue)
        verdict = verdict.replace(monthly_cost=cost)
    return verdict.replace(
        room=room(question, judged, machine, catalogue),
        advice=faster_ways(question, judged, machine),
    )
