"""Settings of the same program that answer clearly faster than its usual ones.

`faster_settings` takes what was judged. It judges the same question under each setting that the
program has, and returns those that still run and gain enough: a draft, or a larger batch.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs as need
from ..catalogue.index import Catalogue
from ..core.errors import WorkloadError
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import Workload
from ..judge.judging import judge
from ..judge.pace import Range, Wait
from ..judge.question import ask
from ..judge.record import Judged
from ..judge.waits import waits_of
from ..machine.record import Machine

# who gets less than this many times the pace does not notice it
_LEAST_GAIN = 1.3
# the largest batch that programs are commonly run with: a prompt of an agent is read in a few
_LARGE_BATCH_TOKENS = 2048
# half the bytes of 16 bits; people report some loss, and more with fewer bits
# (lmstudio-ai/lmstudio-bug-tracker#1740, 2026-04, of llama.cpp)
_SMALLER_CACHE = "q8_0"
# options of programs, by what they change
_MICRO_BATCH, _BATCH = "micro_batch_tokens", "batch_tokens"


class FasterSetting(Record):
    """One setting, and what it gains.

    `what`: the setting in words. `command` judges the model under it. `usual` and `faster` are
    tokens a second, or the seconds of a wait behind a prompt of `prompt_tokens`.
    """

    what: str
    command: str
    prompt_tokens: int | None = None
    usual: Range
    faster: Range


def faster_settings(
    judged: Judged, catalogue: Catalogue, machine: Machine, asked: str
) -> tuple[FasterSetting, ...]:
    """The settings that gain enough, in the pace or else in the wait; none of what does not run.
    `asked` is the name that was typed.
    """
    if not judged.fits or judged.question.step is None:
        return ()
    found: list[FasterSetting] = []
    for candidate in _candidates(judged):
        other = _judged_under(candidate.workload, judged, catalogue, machine)
        if other is None or not other.fits:
            continue
        command = f"selfhost check {shell_word(asked)}{candidate.workload.options()}"
        setting = _gain(candidate.what, command, judged, other, machine)
        if setting is not None:
            found.append(setting)
    return tuple(found)


class _Candidate(Record):
    """A setting that may be faster: in words, and the workload that asks for it."""

    what: str
    workload: Workload


def _candidates(judged: Judged) -> Iterator[_Candidate]:
    """The settings of the program that nobody stated."""
    question = judged.question
    runtime, stated = question.runtime, question.stated
    if runtime is None:
        return
    # in the same type, whatever would be taken under the setting
    same = stated.replace(quantization=question.workload.quantization)
    has_block = need.why_no_own_block(question.spec) is None
    if stated.draft is None and has_block and "mtp" in runtime.companions:
        what = "the model's own draft block"
        if question.spec.draft is not None:
            what = f"{question.spec.draft.name}, the draft that was published for it"
        yield _Candidate(
            what=what,
            workload=same.replace(draft=need.OWN_BLOCK),
        )
    is_in_part = judged.placement == "split"
    keeps_smaller = _SMALLER_CACHE in runtime.kv_cache_types
    if stated.kv_cache_type is None and is_in_part and keeps_smaller:
        # what then fits the GPUs whole is many times as fast
        yield _Candidate(
            what=f"a KV cache of {_SMALLER_CACHE}, which is a little less exact",
            workload=same.replace(kv_cache_type=_SMALLER_CACHE),
        )
    if judged.speed is None or not judged.speed.crossing_seconds:
        # a larger batch gains where weights in RAM cross to a GPU for each
        return
    names = {option.changes: name for name, option in runtime.named_options.items()}
    micro_batch, batch = names.get(_MICRO_BATCH), names.get(_BATCH)
    if micro_batch is None or micro_batch in stated.runtime_options:
        return
    larger = {**stated.runtime_options, micro_batch: str(_LARGE_BATCH_TOKENS)}
    if batch is not None and batch not in larger:
        larger[batch] = str(_LARGE_BATCH_TOKENS)
    yield _Candidate(
        what=f"batches of {_LARGE_BATCH_TOKENS:,} tokens",
        workload=same.replace(runtime_options=larger),
    )


def _judged_under(
    workload: Workload, judged: Judged, catalogue: Catalogue, machine: Machine
) -> Judged | None:
    """The same model and files, by the same program, under that workload; None where the setting
    does not suit them.
    """
    question = judged.question
    workload = workload.replace(runtime=question.workload.runtime)
    try:
        asked = ask(question.spec, workload, catalogue, machine, question.files)
    except WorkloadError:
        return None
    return judge(asked, machine)


def _gain(
    what: str, command: str, usual: Judged, other: Judged, machine: Machine
) -> FasterSetting | None:
    """What the setting gains in the pace, else in the longest wait; None for too little."""
    pace, faster_pace = _pace(usual), _pace(other)
    if pace is None or faster_pace is None:
        return None
    if faster_pace.likely >= _LEAST_GAIN * pace.likely:
        return FasterSetting(what=what, command=command, usual=pace, faster=faster_pace)
    wait, faster_wait = _longest_wait(usual, machine), _longest_wait(other, machine)
    if wait is None or faster_wait is None:
        return None
    if wait.seconds is None or faster_wait.seconds is None:
        return None
    if wait.seconds.likely < _LEAST_GAIN * faster_wait.seconds.likely:
        return None
    return FasterSetting(
        what=what,
        command=command,
        prompt_tokens=wait.prompt_tokens,
        usual=wait.seconds,
        faster=faster_wait.seconds,
    )


def _pace(judged: Judged) -> Range | None:
    return None if judged.speed is None else judged.speed.judged


def _longest_wait(judged: Judged, machine: Machine) -> Wait | None:
    waits = waits_of(judged, machine)
    return waits[-1] if waits else None
