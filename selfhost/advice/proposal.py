"""What a stated load costs a month, by API and here or with what is proposed in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer
from ..catalogue.quality import quality_for
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.costs import MonthlyCost
from ..verdict.judging import judge
from ..verdict.question import ask
from ..verdict.record import Alternative, Judged, Outcome, Question
from .costs import Proposal, monthly_cost
from .risks import risks


class Costed(Record):
    """A question with a stated load: `asked` is its workload before defaults were filled in,
    `offers` are those of the model.
    """

    question: Question
    asked: Workload
    machine: Machine
    offers: tuple[Offer, ...]


def month(
    costed: Costed,
    catalogue: Catalogue,
    judged: Judged,
    others: Sequence[Alternative],
    offers_for: Callable[[Question, Judged], tuple[Offer, ...]],
) -> MonthlyCost | None:
    """What the load costs by the offers and on the machine, or where the model does not run there,
    with the first of `others` that does. None where no load was stated.
    """
    if costed.asked.load is None:
        return None
    runs = not any(
        finding.outcome is Outcome.FAIL and finding.check != "speed" for finding in judged.findings
    )
    proposal = None
    if not runs and others:
        proposal = _proposal(costed, catalogue, others[0], offers_for)
    return monthly_cost(
        costed.asked.load,
        costed.question.spec.modality,
        costed.offers,
        costed.machine,
        judged.needs,
        judged.speed,
        catalogue.common("power"),
        runs=runs,
        trains=costed.asked.task == "finetune",
        proposal=proposal,
    )


def _proposal(
    costed: Costed,
    catalogue: Catalogue,
    other: Alternative,
    offers_for: Callable[[Question, Judged], tuple[Offer, ...]],
) -> Proposal | None:
    """What is proposed in the place of the model, judged as it was proposed; None where its needs
    are not known.
    """
    own = costed.question.spec
    is_same = other.id == own.id
    spec = own if is_same else catalogue.spec(other.id)
    as_proposed = costed.asked.replace(
        runtime=other.runtime, format=None, quantization=other.quantization
    )
    if is_same:
        as_proposed = as_proposed.replace(context_tokens=other.context_tokens)
    else:
        as_proposed = as_proposed.replace(draft=None, adapter=None)
    question = ask(spec, as_proposed, catalogue, costed.machine)
    judged = judge(question, costed.machine)
    if judged.needs is None:
        return None
    workload = question.workload
    return Proposal(
        id=spec.id,
        name=spec.name,
        quantization=workload.quantization,
        offers=() if is_same else offers_for(question, judged),
        needs=judged.needs,
        speed=judged.speed,
        risks=risks(
            own,
            spec,
            quality_for(workload, catalogue, spec),
            workload.context_tokens,
            costed.offers,
        ),
    )
