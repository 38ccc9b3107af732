"""Settings of the same program that answer clearly faster than its usual ones.

`faster_settings` takes what was judged. It judges the same question under each setting that the
program has, and returns those that still run and gain enough: a draft, a smaller KV cache, or a
larger batch.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..core.errors import WorkloadError
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import Workload
from ..judge.judging import judge, waits_of
from ..judge.pace import Range, Wait
from ..judge.question import ask
from ..judge.record import Judged
from ..machine.record import Machine

# who gets less than this many times the pace does not notice it
_LEAST_GAIN = 1.3
# the largest batch that programs are commonly run with: a prompt of an agent is read in a few
_LARGE_BATCH_TOKENS = 2048
# half the bytes of 16 bits; people report some loss, and more with fewer bits
# (lmstudio-ai/lmstudio-bug-tracker#1740, 2026-04, of llama.cpp)
_SMALLER_CACHE = "q8_0"
# options of programs, by what they change
_MICRO_BATCH = "micro_batch_tokens"
_BATCH = "batch_tokens"


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
    runtime = judged.question.runtime
    if not judged.fits or judged.question.step is None or runtime is None:
        return ()
    trial = _Trial(judged=judged, catalogue=catalogue, machine=machine, asked=asked)
    found: list[FasterSetting] = []
    for candidate in _candidates(judged, runtime):
        setting = trial.gain_of(candidate)
        if setting is not None:
            found.append(setting)
    return tuple(found)


# ------------------------------------------------------------------ the settings


class _Candidate(Record):
    """A setting that may be faster: in words, and the workload that asks for it."""

    what: str
    workload: Workload


def _candidates(judged: Judged, runtime: RuntimeSpec) -> Iterator[_Candidate]:
    """The settings of the program that nobody stated."""
    question = judged.question
    stated = question.stated
    # in the same type, whatever would be taken under the setting
    same = stated.replace(quantization=question.workload.quantization)
    if stated.draft is None and "mtp" in runtime.companions:
        yield from _with_draft(question.spec, same)
    if stated.kv_cache_type is None and runtime.keeps_cache_in(_SMALLER_CACHE):
        yield from _with_smaller_cache(judged, same)
    if judged.speed is not None and judged.speed.crossing_seconds:
        # a larger batch gains where weights in RAM cross to a GPU for each
        yield from _with_larger_batches(runtime, same)


def _with_draft(spec: ModelSpec, same: Workload) -> Iterator[_Candidate]:
    """With the block of the model that drafts, or the draft that its maker published."""
    if need.why_no_own_block(spec) is not None:
        return
    what = "the model's own draft block"
    if spec.draft is not None:
        what = f"{spec.draft.name}, the draft that was published for it"
    yield _Candidate(what=what, workload=same.replace(draft=need.OWN_BLOCK))


def _with_smaller_cache(judged: Judged, same: Workload) -> Iterator[_Candidate]:
    """With a smaller KV cache, where a part of the model waits in RAM: what then fits the GPUs as
    a whole is many times as fast.
    """
    if judged.placement == "split":
        yield _Candidate(
            what=f"a KV cache of {_SMALLER_CACHE}, which is a little less exact",
            workload=same.replace(kv_cache_type=_SMALLER_CACHE),
        )


def _with_larger_batches(runtime: RuntimeSpec, same: Workload) -> Iterator[_Candidate]:
    """With large batches, where the program has an option for them that nobody stated."""
    names = {option.changes: name for name, option in runtime.named_options.items()}
    options = same.runtime_options
    if _MICRO_BATCH not in names or names[_MICRO_BATCH] in options:
        return
    larger: dict[str, str] = {}
    for changed in (_MICRO_BATCH, _BATCH):
        if changed in names:
            larger[names[changed]] = str(_LARGE_BATCH_TOKENS)
    yield _Candidate(
        what=f"batches of {_LARGE_BATCH_TOKENS:,} tokens",
        # a batch that was stated stays
        workload=same.replace(runtime_options={**options, **larger, **options}),
    )


# ------------------------------------------------------------------ what a setting gains


class _Trial(Record):
    """What was judged, under the usual settings; `asked` is the name that was typed."""

    judged: Judged
    catalogue: Catalogue
    machine: Machine
    asked: str

    def gain_of(self, candidate: _Candidate) -> FasterSetting | None:
        """What the setting gains in the pace, else in the longest wait; None for too little, and
        where the model does not run so.
        """
        other = self._judged_under(candidate.workload)
        if other is None or not other.fits:
            return None
        name = shell_word(self.asked)
        command = f"selfhost check {name}{candidate.workload.options()}"
        pace = _pace(self.judged)
        faster_pace = _pace(other)
        if pace is None or faster_pace is None:
            return None
        if faster_pace.likely >= _LEAST_GAIN * pace.likely:
            return FasterSetting(
                what=candidate.what, command=command, usual=pace, faster=faster_pace
            )
        wait = self._longest_wait(self.judged)
        faster_wait = self._longest_wait(other)
        seconds = None if wait is None else wait.seconds
        faster_seconds = None if faster_wait is None else faster_wait.seconds
        if wait is None or seconds is None or faster_seconds is None:
            return None
        if seconds.likely < _LEAST_GAIN * faster_seconds.likely:
            return None
        return FasterSetting(
            what=candidate.what,
            command=command,
            prompt_tokens=wait.prompt_tokens,
            usual=seconds,
            faster=faster_seconds,
        )

    def _judged_under(self, workload: Workload) -> Judged | None:
        """The same model and files, by the same program, under that workload; None where the
        setting does not suit them.
        """
        question = self.judged.question
        workload = workload.replace(runtime=question.workload.runtime)
        try:
            asked = ask(
                question.spec, workload, self.catalogue, self.machine, question.files
            )
        except WorkloadError:
            return None
        return judge(asked, self.machine)

    def _longest_wait(self, judged: Judged) -> Wait | None:
        """The wait behind the longest of the prompts that are told; None where none is known."""
        waits = waits_of(judged, self.machine)
        return waits[-1] if waits else None


def _pace(judged: Judged) -> Range | None:
    return None if judged.speed is None else judged.speed.judged
