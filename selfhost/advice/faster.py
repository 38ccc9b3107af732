"""Settings of the same program that answer clearly faster than what was judged.

`faster_settings` takes what was judged, as an `AlternativeSearch`. It judges each neighbour of the
judged way: the same way with one more setting of the table in `judge.settings`. It returns those
that still run and gain enough.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.quoting import shell_word
from ..judge.choice import neighbours
from ..judge.judging import judge
from ..judge.question import asked_again
from ..judge.settings import Situation
from .alternatives import AlternativeSearch
from .gains import Gain, gain_of


class FasterSetting(Gain):
    """A setting of the runtime that answers faster, with its gain.

    `what`: the setting in words. `command` judges the model under the setting.
    """

    what: str
    command: str


def faster_settings(search: AlternativeSearch) -> tuple[FasterSetting, ...]:
    """The settings that gain enough, in the pace or else in the wait; () for a model that does not
    run.
    """
    judged = search.judged
    question = judged.question
    if not judged.fits or question.step is None or question.runtime is None:
        return ()
    return tuple(_faster(search))


def _faster(search: AlternativeSearch) -> Iterator[FasterSetting]:
    """Yield each setting with its gain in pace, else with its gain in the longest wait; none where
    neither gain is large enough, or the model does not run under the setting.
    """
    judged = search.judged
    question = judged.question
    machine = search.machine
    for setting, asked in neighbours(judged, machine):
        # in the judged type and program: others might be chosen under a setting
        kept = asked.replace(
            quantization=question.workload.quantization,
            runtime=question.workload.runtime,
        )
        other = asked_again(question, kept, search.catalogue, machine)
        if other is None:
            continue
        faster = judge(other, machine)
        gain = gain_of(judged, faster, machine)
        if gain is None or not faster.fits:
            continue
        typed = search.to_type(
            asked.replace(quantization=kept.quantization, runtime=_stated(search)),
            other,
        )
        yield FasterSetting(
            what=setting.what(Situation(judged=judged, machine=machine)),
            command=(
                f"selfhost check {shell_word(search.asked)}"
                f"{typed.options()}{search.carry}"
            ),
            **gain.__getstate__(),
        )


def _stated(search: AlternativeSearch) -> str | None:
    """The program that the user stated; None for none."""
    return search.judged.question.stated.runtime
