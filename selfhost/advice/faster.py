"""Settings of the same program that answer clearly faster than what was judged, and the slower mode
that surely fits.

`faster_settings` takes what was judged, as an `Asking`. It asks about each neighbour of the judged
way: the same way with one more setting of the table in `judge.settings`. It returns those that
still run and gain a step that a person feels. `mode_that_surely_fits` looks for the slower mode,
and `with_undrafted_pace` tells what a draft is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.records import Record
from ..judge.choice import neighbours
from ..judge.judging import waits_of
from ..judge.pace import Range
from ..judge.rating import steps_between
from ..judge.record import Judged
from ..judge.settings import FEW_SEQUENCES, LEAN, LEAN_FOR_ONE, Situation
from ..machine.record import Machine
from .asking import Asking


class FasterSetting(Record):
    """A setting of the runtime that answers faster, with the pace, or the wait for the first token,
    without the setting (`usual`) and with the setting (`faster`).

    `unit` is the unit of both: "tokens_per_second" of a pace, "seconds" of a wait behind a prompt
    of `prompt_tokens`, which is None for a pace. `what`: the setting in words. `command` judges the
    model under the setting.
    """

    unit: str
    prompt_tokens: int | None = None
    usual: Range
    faster: Range
    what: str
    command: str


def faster_settings(asking: Asking) -> Iterator[FasterSetting]:
    """Yield the settings that gain a step of a fifth or more, in the pace or else in the wait; none
    for a model that does not run.
    """
    judged = asking.judged
    if not judged.fits:
        return
    if judged.question.step is None:
        return
    if judged.question.runtime is None:
        # a spec may state its needs, and no program
        return
    situation = Situation(judged=judged, machine=asking.machine)
    usual_figures = _figures(judged, asking.machine)
    for setting, asked in neighbours(judged, asking.machine):
        other = asking.in_same_type(asked)
        if other is None:
            continue
        faster_figures = _figures(other, asking.machine)
        for prompt_tokens, usual in usual_figures.items():
            faster = faster_figures.get(prompt_tokens)
            if faster is None:
                continue
            unit = "tokens_per_second"
            steps = steps_between(usual.likely, faster.likely)
            if prompt_tokens is not None:
                unit = "seconds"
                steps = -steps
            if steps >= 1:
                name = asking.understood.typed_name
                yield FasterSetting(
                    unit=unit,
                    prompt_tokens=prompt_tokens,
                    usual=usual,
                    faster=faster,
                    what=setting.what(situation),
                    command=asking.command(name, other.question.stated),
                )
                break


def _figures(judged: Judged, machine: Machine) -> dict[int | None, Range]:
    """The figures that a setting may change, the first that counts first: under None the pace, and
    under the tokens of its prompt the longest wait, as far as they are known.
    """
    pace = judged.users_pace
    if pace is None:
        return {}
    figures: dict[int | None, Range] = {None: pace}
    for wait in waits_of(judged, machine)[-1:]:
        if wait.seconds is not None and wait.seconds.likely:
            figures[wait.prompt_tokens] = wait.seconds
    return figures


def mode_that_surely_fits(asking: Asking) -> Judged | None:
    """The judgement of a mode that surely fits, where the judged way only likely fits: with
    sequences for the users alone, else the slower mode. None where the program has no such mode, or
    none surely fits.
    """
    judged = asking.judged
    if not judged.fits:
        return None
    if not judged.has("accelerator-tight"):
        return None
    situation = Situation(judged=judged, machine=asking.machine)
    for setting in (FEW_SEQUENCES, LEAN, LEAN_FOR_ONE):
        asked = setting.asked(situation, judged.question.asked)
        if asked is None:
            continue
        other = asking.in_same_type(asked)
        if other is not None and not other.has("accelerator-tight"):
            return other
    return None


def with_undrafted_pace(asking: Asking) -> Judged:
    """The judgement, with the pace of the same files without the draft where they run so: the draft
    may have moved a part of the model to RAM.
    """
    judged = asking.judged
    speed = judged.speed
    if speed is None or speed.undrafted_tokens_per_second is None:
        return judged
    asked = judged.question.asked
    options = dict(asked.runtime_options)
    for name in judged.question.program.options_for("drafted_tokens"):
        # without a draft the program takes no number of tokens to draft
        options.pop(name, None)
    alone = asking.in_same_type(asked.replace(draft=None, runtime_options=options))
    if alone is None:
        return judged
    undrafted = alone.decode_tokens_per_second
    if undrafted is None:
        return judged
    speed = speed.replace(undrafted_tokens_per_second=undrafted.likely)
    return judged.replace(speed=speed)
