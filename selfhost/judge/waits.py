"""How long a person waits for the first token of an answer.

`waits_of` takes what was judged and the machine. It returns the wait behind the prompt that was
stated; without one, the waits behind prompts of usual lengths (`specs/common/purposes.toml`).
"""

from __future__ import annotations

from ..core.purposes import purposes_table
from ..machine.record import Machine
from .pace import Range, Wait
from .pace.text import pace_of_text
from .record import Judged
from .step import step_of


def waits_of(judged: Judged, machine: Machine) -> tuple[Wait, ...]:
    """The waits of text, the shortest prompt first; none where nothing is known of its pace."""
    speed = judged.speed
    if judged.question.step is None or speed is None or speed.decode is None:
        return ()
    tokens = judged.workload.prompt_tokens
    if tokens is not None:
        seconds = speed.first_token_seconds
        return (Wait(prompt_tokens=tokens, what=None, seconds=seconds),)
    waits = []
    for usual in purposes_table().wait:
        tokens = usual.prompt_tokens
        seconds = _seconds_behind(tokens, judged, machine)
        if seconds is not None:
            waits.append(Wait(prompt_tokens=tokens, what=usual.what, seconds=seconds))
    return tuple(waits)


def _seconds_behind(
    prompt_tokens: int, judged: Judged, machine: Machine
) -> Range | None:
    """The wait behind such a prompt; None where the model was not trained for its length, and where
    nothing tells how fast prompts are read.
    """
    question = judged.question
    trained_tokens = question.trained_tokens
    if trained_tokens is not None and prompt_tokens > trained_tokens:
        return None
    workload = question.workload.replace(prompt_tokens=prompt_tokens)
    step = step_of(question.spec, question.runtime, workload)
    assert step is not None, "a prompt more leaves the work what it is"
    asked = question.replace(workload=workload, step=step)
    return pace_of_text(asked, step, judged.placed, machine).first_token_seconds
