"""How long a person waits for the first token of an answer.

`waits_of` takes what was judged and the machine. It returns the wait behind the prompt that was
stated; without one, the waits behind prompts of usual lengths (`specs/common/purposes.toml`).
"""

from __future__ import annotations

from ..core.purposes import UsualPrompt, purposes_table
from ..machine.record import Machine
from .pace import Range, Wait
from .pace.text import pace_of_text
from .record import Judged
from .step import step_of


def waits_of(judged: Judged, machine: Machine) -> tuple[Wait, ...]:
    """The waits of text, the shortest prompt first; none where nothing is known of its pace."""
    question, speed = judged.question, judged.speed
    if question.step is None or speed is None or speed.decode is None:
        return ()
    stated_tokens = question.workload.prompt_tokens
    if stated_tokens is not None:
        wait = Wait(
            prompt_tokens=stated_tokens, what=None, seconds=speed.first_token_seconds
        )
        return (wait,)
    waits = []
    for usual in purposes_table().wait:
        seconds = _seconds_behind(usual, judged, machine)
        if seconds is not None:
            wait = Wait(
                prompt_tokens=usual.prompt_tokens, what=usual.what, seconds=seconds
            )
            waits.append(wait)
    return tuple(waits)


def _seconds_behind(
    usual: UsualPrompt, judged: Judged, machine: Machine
) -> Range | None:
    """The wait behind that prompt; None where the model was not trained for its length, and where
    nothing tells how fast prompts are read.
    """
    question = judged.question
    trained_tokens = question.trained_tokens
    if trained_tokens is not None and usual.prompt_tokens > trained_tokens:
        return None
    workload = question.workload.replace(prompt_tokens=usual.prompt_tokens)
    step = step_of(question.spec, question.runtime, workload)
    if step is None or judged.needs is None:
        return None
    asked = question.replace(workload=workload, step=step)
    return pace_of_text(asked, step, judged.needs, machine).first_token_seconds
