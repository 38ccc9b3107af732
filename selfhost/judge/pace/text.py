"""The pace of text in a layout, with the parts of the request: a prompt, several sequences at once,
a draft.

`layout` gives the place of the model, `decoding` the time of one step there, and `sequences` the
effect of several sequences or a draft.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...core import units
from ...machine.record import Machine
from ...needs.case import Companions
from ...needs.records import Needs
from ..record import Question
from ..settings import Effect, effects_of
from . import Speed, Step
from .decode_step import step_of
from .decoding import predict
from .layout import laid_out


def pace_of_text(
    question: Question,
    placed: Needs,
    machine: Machine,
) -> Speed:
    """Return the pace of text, with the time to the first token, the total of several sequences,
    the pace with a draft, and what options change of these.
    """
    effects = effects_of(question.case, question.settings)
    return _with_effects(_computed(question, placed, machine, effects), effects)


def _computed(
    question: Question,
    placed: Needs,
    machine: Machine,
    effects: Iterable[Effect],
) -> Speed:
    """The pace without the effects of options, but with the time to the first token under them."""
    step = question.step
    assert step is not None, "other work than text has a pace of its own"
    if "lean" in question.settings and question.program.pace.lean_is_eager:
        step = step.replace(is_eager=True)
    if placed.memory is None and not _has_ram_alone(machine):
        # an accelerator with its own memory may hold a model whose need is not known
        how = "where it would run is not known, because its memory need is not known"
        return Speed(how=how)
    layout = laid_out(question, placed, machine)
    pace = predict(step, layout)
    rate = pace.decode
    if rate is None:
        return pace
    workload = question.workload
    if workload.prompt_tokens:
        pace = with_first_token(pace, workload.prompt_tokens, effects)
    users = workload.parallel
    if question.companions is None and users == 1:
        return pace
    # imported here: most questions have one sequence and no draft
    from .sequences import Draft, Sequence

    sequence = Sequence(step=step, layout=layout, alone=pace, rate=rate)
    if question.companions is None:
        pace = sequence.with_total(users)
    else:
        drafting = _step_of_draft(question.companions, question)
        draft = Draft(companions=question.companions, step=drafting)
        pace = sequence.with_draft(draft, users)
    if users > 1:
        pace = pace.replace(each_of=users, waiting=0)
    return pace


def _step_of_draft(companions: Companions, question: Question) -> Step | None:
    """One step of the model that drafts; None where the model drafts with a block of its own."""
    if companions.draft is None:
        return None
    workload = question.workload.replace(quantization=companions.draft_quantization)
    return step_of(companions.draft, question.runtime, workload)


def _has_ram_alone(machine: Machine) -> bool:
    """Whether surely no accelerator has memory of its own."""
    cards = machine.accelerators
    return cards is not None and all(card.unified is True for card in cards)


def _with_effects(pace: Speed, effects: Iterable[Effect]) -> Speed:
    """The pace under the effects; one that is not known stays so."""
    if pace.decode is not None:
        for effect in effects:
            pace = effect.on(pace)
    return pace


def with_first_token(
    pace: Speed,
    tokens: int,
    effects: Iterable[Effect] = (),
) -> Speed:
    """The known pace, with the seconds until the first token: reading `tokens` tokens of prompt and
    one step, both under the effects, which the pace is without.
    """
    alone = _with_effects(pace, effects)
    assert alone.decode is not None
    if alone.prompt is None:
        how = (
            f"{pace.how}; its speed of reading prompts is not known, so neither is the time to the"
            " first token"
        )
        return pace.replace(how=how)
    reading = 1 / alone.prompt * tokens
    how = f"; a prompt of {units.tokens(tokens)} and one step until the first token"
    first = (reading + 1 / alone.decode).lowest_first()
    return pace.replace(first_token_seconds=first, how=pace.how + how)
