"""A question becomes a verdict with everything beside it: offers, alternatives, commands, notes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from .. import needs as need
from ..advice.api_route import offers_for
from ..advice.remarks import (
    DRAFT_NOTE,
    about_files,
    faster_ways,
    lies_elsewhere,
    notes_instead,
    slots,
    tells_sequences,
    training_note,
    which_trainer,
)
from ..advice.room import room
from ..advice.steps import Steps, steps
from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer, at_context, cheapest_first
from ..catalogue.opened import left_aside
from ..catalogue.quality import quality_for
from ..catalogue.spec import GENERATING, ONE_AT_A_TIME, ModelSpec
from ..core import dates, units
from ..core.workload import FLAGS, Workload
from ..machine.reader import Machine
from ..verdict.devices import lies_beside_cards
from ..verdict.findings import reads_context
from ..verdict.judging import considered
from ..verdict.record import (
    Alternative,
    Candidate,
    Judged,
    OpenAlternative,
    Question,
    Verdict,
    answer_for,
)
from .understood import Understood, judged_for, understand


def check_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    machine: Machine,
    *,
    instead: bool = True,
    today: str | None = None,
    prices: str = "snapshot",
    follows_machine: bool = True,
    requires_runtime: bool = False,
) -> Verdict:
    """`check` with everything given. Without `instead` the verdict names only what decides: no
    alternatives, no room. Without `follows_machine` the defaults are the model's own, the same on
    every machine. `requires_runtime`: the runtime must be installed already.
    """
    understood = understand(catalogue, model, workload, machine if follows_machine else None)
    candidate = judged_for(
        catalogue,
        understood,
        machine,
        follows_machine=follows_machine,
        requires_runtime=requires_runtime,
    )
    return answer(
        catalogue,
        candidate,
        understood,
        machine,
        instead=instead,
        today=today,
        prices=prices,
    )


def _priced(
    catalogue: Catalogue, question: Question, judged: Judged, today: str, prices: str
) -> tuple[tuple[Offer, ...], list[str]]:
    """The offers at the prices of that source, the cheapest first for the load or the context that
    was asked for, and a sentence on where newer ones come from.
    """
    workload, notes = question.workload, []
    offers = offers_for(catalogue, question, judged, today)
    if offers and prices != "snapshot":
        from ..catalogue.prices import refreshed

        newer = refreshed(offers, catalogue.offers_path, today=today)
        offers = cheapest_first(newer.offers)
        notes.append(newer.note)
    if question.context_asked and workload.context_tokens is not None:
        offers = at_context(offers, workload.context_tokens)
    if workload.load is not None:
        from ..advice.costs import dearness

        by_load = partial(dearness, workload.load, question.spec.modality)
        offers = tuple(sorted(offers, key=by_load))
    return offers, notes


def answer(
    catalogue: Catalogue,
    candidate: Candidate,
    understood: Understood,
    machine: Machine,
    *,
    instead: bool,
    today: str | None = None,
    prices: str = "snapshot",
) -> Verdict:
    """The verdict on what was understood and judged. The arguments are those of `check_with`."""
    question, judged = candidate.question, candidate.judged
    if instead and question.workload.task == "finetune" and machine.accelerators:
        from ..advice.training import with_ways_to_cards

        judged = with_ways_to_cards(question, understood.workload, judged, catalogue, machine)
    priced = partial(_priced, catalogue, today=today or dates.utc_today(), prices=prices)
    offers, newer = priced(question, judged) if instead or judged.failed else ((), [])
    to_type = steps(
        question,
        judged,
        catalogue,
        machine,
        tag=understood.tag,
        by_tag_first=understood.is_one_file and understood.workload.runtime is None,
    )
    notes, fine_print = _beside(
        catalogue, question, understood, machine, judged, to_type, instead=instead
    )
    loaded_bits = _loaded_bits(question)
    verdict = Verdict(
        **vars(answer_for(question, judged, judged.route(bool(offers)))),
        asked=understood.asked,
        machine=machine,
        api_offers=offers,
        commands=to_type.commands,
        commands_class=to_type.commands_class,
        setup=to_type.setup,
        understood_as=understood.notes,
        notes=(*_notes(catalogue, question, understood, offers), *notes),
        fine_print=(*newer, *fine_print),
        quality=quality_for(
            question.workload, catalogue, question.spec, is_halved=loaded_bits == 16
        ),
        rewrites=question.rewriting is not None,
        loaded_bits=loaded_bits,
    )
    if not instead:
        return verdict
    return _with_what_else(
        verdict,
        catalogue,
        question,
        understood.workload,
        judged,
        lambda *of: priced(*of)[0],
    )


def _beside(
    catalogue: Catalogue,
    question: Question,
    understood: Understood,
    machine: Machine,
    judged: Judged,
    to_type: Steps,
    *,
    instead: bool,
) -> tuple[list[str], list[str]]:
    """Sentences that the answer needs beside it, and fine print that explains it."""
    notes: list[str] = []
    fine_print = [*_notes_of_asking(catalogue, question, understood)]
    # advice is for the program whose lines are printed
    shown = question.replace(runtime=to_type.runtime or question.runtime)
    if instead:
        is_bounded = any("--ctx-checkpoints" in line for line in to_type.commands)
        notes += notes_instead(catalogue, shown, judged, is_bounded=is_bounded)
        otherwise = (
            lies_elsewhere(catalogue, question, machine),
            _on_cards_instead(catalogue, question, understood.workload, judged, machine),
        )
        notes += filter(None, otherwise)
    if question.chosen is not None:
        # how long the examples are decides what is learned, so a shorter length is not fine print
        is_trained = question.workload.task == "finetune"
        (notes if is_trained else fine_print).append(question.chosen)
    if not understood.tag:
        fine_print += about_files(question, fits=judged.fits)
    if instead and (more := slots(catalogue, shown, judged, to_type.commands)) is not None:
        (fine_print if tells_sequences(to_type.commands) else notes).append(more)
    return notes, fine_print


def _on_cards_instead(
    catalogue: Catalogue, question: Question, asked: Workload, judged: Judged, machine: Machine
) -> str | None:
    """`advice.alternatives.on_cards_instead` of a model that writes text; few answers load it."""
    is_text = question.workload.task == "generate" and question.spec.modality in GENERATING
    if not is_text or not judged.fits or not lies_beside_cards(judged.needs, machine):
        return None
    from ..advice.alternatives import on_cards_instead

    return on_cards_instead(question, asked, judged, catalogue, machine)


# what QLoRA loads of each weight that it trains adapters beside (bitsandbytes, nf4)
_QLORA_BITS = 4


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
    question: Question,
    asked: Workload,
    judged: Judged,
    offers_of: Callable[[Question, Judged], tuple[Offer, ...]],
) -> Verdict:
    """With the room left, other placements, other models, and what a month costs."""
    machine = verdict.machine
    others, named = _others(catalogue, question, asked, judged, machine)
    cost = None
    if question.workload.load is not None:
        from ..advice.costs import Costed, month

        costed = Costed(question=question, asked=asked, machine=machine, offers=verdict.api_offers)
        cost = month(costed, catalogue, judged, others, offers_of)
    return verdict.replace(
        placements=considered(question, judged.needs, machine),
        room=room(question, judged, machine, catalogue),
        alternatives=others,
        open_alternatives=named,
        monthly_cost=cost,
        advice=faster_ways(question, judged, machine),
    )


def _others(
    catalogue: Catalogue, question: Question, asked: Workload, judged: Judged, machine: Machine
) -> tuple[tuple[Alternative, ...], tuple[OpenAlternative, ...]]:
    """What would run in its place, and the open-weight models that a closed one's spec names."""
    if judged.fits and question.spec.availability is None:
        return (), ()
    from ..advice.alternatives import alternatives, open_alternatives

    others = alternatives(question, asked, judged, catalogue, machine)
    return others, open_alternatives(question.spec, asked, catalogue, machine)


def _notes(
    catalogue: Catalogue,
    question: Question,
    understood: Understood,
    offers: tuple[Offer, ...],
) -> Iterator[str]:
    """Sentences on the offers, the user's specs and what was asked to no effect."""
    spec = question.spec
    yield from dict.fromkeys(offer.why_instead for offer in offers if offer.why_instead is not None)
    yield from left_aside(catalogue)
    if spec.overrides:
        yield f"{spec.origin} replaces the shipped {spec.overrides}."
    served = spec.availability
    if question.workload.task == "finetune" and served is not None and served.fine_tuning:
        yield f"Fine-tuning at {served.provider}: {served.fine_tuning}."
    if doubt := spec.unknown.get("availability.retired"):
        yield f"Whether it is still served is not known: {doubt}."
    asked, taken = understood.workload, question.workload.context_tokens
    if asked.tokens_with_prompt == taken and taken is not None and spec.modality in GENERATING:
        yield (
            f"The context is {units.tokens(taken)}, for the prompt and an answer:"
            f" --context states another."
        )
    if question.workload.draft and question.companions is not None:
        yield DRAFT_NOTE
    if question.workload.task == "finetune" and understood.workload.lora_rank is not None:
        yield from _larger_than_model(catalogue, question)
    yield from _without_effect(question, understood.workload)


def _larger_than_model(catalogue: Catalogue, question: Question) -> Iterator[str]:
    """A sentence where the adapters have more parameters than the model itself."""
    from ..needs.packed import adapter_parameters
    from ..needs.tensors import row_of
    from ..verdict.question import architectures

    spec, rank = question.spec, question.workload.lora_rank
    row = row_of(spec.architecture, architectures(catalogue)) if spec.architecture else None
    if rank is None or spec.architecture is None or row is None or not spec.parameters_total:
        return
    trained = adapter_parameters(spec.architecture, row, rank)[0]
    if trained > spec.parameters_total:
        yield (
            f"Adapters of rank {rank:,} have {units.count(trained)} parameters, more than the"
            f" model's {units.count(spec.parameters_total)}:"
            f" --method full trains fewer."
        )


def _without_effect(question: Question, stated: Workload) -> Iterator[str]:
    """Sentences on what was asked to no effect."""
    spec = question.spec
    if stated.quantization is not None and (sentence := _for_experts_alone(question)):
        yield sentence
    yield from without_tokens(stated, spec)
    cache_type = stated.kv_cache_type
    if (
        cache_type is not None
        and question.workload.kv_cache_type is None
        and question.runtime is not None
    ):
        yield (
            f"--kv-cache {cache_type} has no effect: {spec.name} keeps no KV cache in"
            f" {question.runtime.name}."
        )


def _for_experts_alone(question: Question) -> str | None:
    """A sentence where the quantization is one of experts alone, and the model has none."""
    from ..needs.quantization import OF_EXPERTS

    quantization, stored = question.workload.quantization or "", question.read_bytes
    rest = OF_EXPERTS.get(quantization)
    if question.workload.format != "gguf" or not rest or not stored or quantization in stored:
        return None
    return (
        f"{quantization} is no smaller than {rest} here: llama-quantize stores experts alone in it,"
        f" of which {question.spec.name} has none, and all else in {rest}. For 4 bits a weight:"
        f" --quant Q4_K_M."
    )


# what is asked of weights, and says nothing where there are none
_OF_WEIGHTS = ("runtime", "quantization", "kv_cache_type", "draft", "adapter")


# what is asked of tokens that are written one by one
_OF_TOKENS = ("parallel", "prompt_tokens", "min_tokens_per_second")


def without_tokens(stated: Workload, spec: ModelSpec) -> Iterator[str]:
    """Sentences on what was asked of tokens, of a model that writes or reads none."""
    if aside := _aside(stated, spec):
        yield (
            f"{' and '.join(aside)} {'has' if len(aside) == 1 else 'have'} no effect: {spec.name}"
            " writes no tokens."
        )
    if stated.context_tokens is not None and not reads_context(spec):
        yield (f"--context has no effect: {spec.name} takes no context of tokens.")


def _aside(asked: Workload, spec: ModelSpec) -> list[str]:
    """The options that mean nothing for what such a model makes."""
    if spec.closed or asked.task != "generate" or spec.modality in GENERATING:
        return []
    usual = Workload()
    return [
        FLAGS[key]
        for key in _OF_TOKENS
        if getattr(asked, key) != getattr(usual, key)
        and (key != "parallel" or spec.modality in ONE_AT_A_TIME)
    ]


def _notes_of_asking(
    catalogue: Catalogue, question: Question, understood: Understood
) -> Iterator[str]:
    """Sentences on options of weights for a closed model, and on training."""
    spec, workload = question.spec, question.workload
    if spec.closed:
        aside = [FLAGS[key] for key in _OF_WEIGHTS if getattr(understood.workload, key) is not None]
        if aside:
            yield (
                f"{' and '.join(aside)} {'has' if len(aside) == 1 else 'have'} no effect: the"
                f" weights of {spec.name} are not published."
            )
    elif workload.task == "finetune":
        yield training_note(workload)
        by_trainer = which_trainer(catalogue, question)
        if by_trainer:
            yield by_trainer
