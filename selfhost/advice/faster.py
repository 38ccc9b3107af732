"""Settings of the same program that answer clearly faster than its usual ones.

`faster_settings` takes what was judged, as an `AlternativeSearch`. It judges the same question
under each setting that the program has, and returns those that still run and gain enough: a draft,
a smaller KV cache, a larger batch, or a part of each layer on each of several equal GPUs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import needs as need
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import SPLIT_BY_TENSOR
from ..catalogue.spec import ModelSpec
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import Workload
from ..judge.checks.accelerator import placing_options
from ..judge.devices import index_of
from ..judge.judging import judge
from ..judge.pace.rates import sums_are_measured
from ..judge.question import asked_again
from ..judge.record import Judged
from ..machine.record import Machine
from .alternatives import AlternativeSearch
from .gains import Gain, gain_of

# the largest batch in common use: a program reads the prompt of an agent in a few such batches
_LARGE_BATCH_TOKENS = 2048
# half the bytes of 16 bits; people report some loss, and more with fewer bits
# (lmstudio-ai/lmstudio-bug-tracker#1740, 2026-04, of llama.cpp)
_SMALLER_CACHE = "q8_0"
# options of programs, by what they change
_MICRO_BATCH = "micro_batch_tokens"
_BATCH = "batch_tokens"
_PARTS_OF_LAYERS = "parts_of_layers"
# no split of each layer is proposed above this pace in tokens a second: dense models of 12 to 51
# tokens a second gained, one of 175 lost (tests/truth/speed_tensor_split.json); nobody measured one
# between them
_FASTEST_TO_SPLIT = 60


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
    runtime = judged.question.runtime
    if not judged.fits:
        return ()
    if judged.question.step is None:
        return ()
    if runtime is None:
        return ()
    found = []
    for candidate in _candidates(judged, runtime, search.machine):
        setting = _faster_setting(candidate, search)
        if setting is not None:
            found.append(setting)
    return tuple(found)


# ------------------------------------------------------------------ the settings


class _Candidate(Record):
    """A setting that may be faster: in words, and the workload that asks for it."""

    what: str
    workload: Workload


def _candidates(
    judged: Judged,
    runtime: RuntimeSpec,
    machine: Machine,
) -> Iterator[_Candidate]:
    """Yield the settings of the program that may be faster and that the user did not state."""
    question = judged.question
    stated = question.stated
    # in the judged type: another one might be chosen under a setting
    base = stated.replace(quantization=question.workload.quantization)
    if stated.draft is None and "mtp" in runtime.companions:
        yield from _with_draft(question.spec, base)
    can_shrink_cache = runtime.keeps_cache_in(_SMALLER_CACHE)
    # a smaller cache may leave room for the whole model on the GPUs
    may_fit_whole = judged.placement == "split"
    if can_shrink_cache and may_fit_whole and stated.kv_cache_type is None:
        yield _Candidate(
            what=f"a KV cache of {_SMALLER_CACHE}, which is a little less exact",
            workload=base.replace(kv_cache_type=_SMALLER_CACHE),
        )
    speed = judged.speed
    if speed is not None and speed.crossing_seconds:
        yield from _with_larger_batches(runtime, base)
    # nothing is proposed where the user stated where layers lie
    if not placing_options(question) and _gains_from_split_layers(judged, machine):
        yield from _with_split_layers(runtime, base)
    if question.stated_parts is None:
        yield from _over_idle_cards(judged, runtime, machine, base)


def _with_draft(spec: ModelSpec, base: Workload) -> Iterator[_Candidate]:
    """Yield the setting that drafts tokens with the model's own prediction block, or with the draft
    model that its publisher released.
    """
    if need.why_no_own_block(spec) is not None:
        return
    what = "the model's own draft block"
    if spec.draft is not None:
        what = f"{spec.draft.name}, the draft that was published for it"
    yield _Candidate(what=what, workload=base.replace(draft=need.OWN_BLOCK))


def _with_options(
    what: str,
    workload: Workload,
    names: Sequence[str],
    value: str,
) -> Iterator[_Candidate]:
    """Yield the setting with that value of the named options; nothing where no option is named."""
    if names:
        options = {**workload.runtime_options, **dict.fromkeys(names, value)}
        yield _Candidate(what=what, workload=workload.replace(runtime_options=options))


def _with_larger_batches(runtime: RuntimeSpec, base: Workload) -> Iterator[_Candidate]:
    """Yield the setting with larger batches, if the runtime has an option for batches that nobody
    stated.
    """
    stated = base.runtime_options
    if _MICRO_BATCH in runtime.settings_of(stated):
        return
    # a batch that was stated stays
    names = runtime.options_for(_MICRO_BATCH, _BATCH)
    free = [name for name in names if name not in stated]
    what = f"batches of {_LARGE_BATCH_TOKENS:,} tokens"
    yield from _with_options(what, base, free, str(_LARGE_BATCH_TOKENS))


def _gains_from_split_layers(judged: Judged, machine: Machine) -> bool:
    """Whether published runs show a gain from splitting each layer over the GPUs of such a machine:
    two equal GPUs, and a model without experts.

    Mixtures were 0.7 to 2.1 times as fast, and models on four GPUs 0.57 to 4.4 times
    (tests/truth/speed_tensor_split.json).
    """
    model = judged.model.architecture
    if model is None:
        return False
    if model.has_experts:
        return False
    pace = judged.users_pace
    if pace is None:
        return False
    if pace.likely > _FASTEST_TO_SPLIT:
        return False
    cards = machine.cards
    if len(cards) != 2:
        return False
    if cards[0].name != cards[1].name:
        return False
    return sums_are_measured(cards[0], parts=2)


def _with_split_layers(runtime: RuntimeSpec, base: Workload) -> Iterator[_Candidate]:
    """Yield the setting that splits each layer over all GPUs, if the runtime has a split mode by
    tensor, as llama.cpp has.
    """
    names = []
    for name, option in runtime.named_options.items():
        if SPLIT_BY_TENSOR in option.choices:
            names.append(name)
    what = "each layer split over the GPUs (experimental, prompts may be slower)"
    yield from _with_options(what, base, names, SPLIT_BY_TENSOR)


def _over_idle_cards(
    judged: Judged,
    runtime: RuntimeSpec,
    machine: Machine,
    base: Workload,
) -> Iterator[_Candidate]:
    """Yield the setting that splits each layer over more equal GPUs than the model lies on, if the
    runtime has an option for the number of parts, as vLLM has.
    """
    parts = _most_parts(judged, machine)
    if parts is None:
        return
    what = f"each layer split over {parts} GPUs"
    # the usual program may have no such option
    base = base.replace(runtime=runtime.id)
    names = runtime.options_for(_PARTS_OF_LAYERS)
    yield from _with_options(what, base, names, str(parts))


def _most_parts(judged: Judged, machine: Machine) -> int | None:
    """The largest number of equal GPUs over which the runtime can split the model. The GPUs are
    like the first of those on which the model lies. None where it cannot be split over more than
    those.
    """
    needs = judged.placed
    used = {term.where for term in needs.on_cards.terms}
    if not used:
        return None
    first = machine.cards[index_of(min(used))]
    alike = [card for card in machine.cards if card.name == first.name]
    numbers = []
    for number in needs.tensor_parallel:
        if len(used) < number <= len(alike):
            numbers.append(number)
    return max(numbers, default=None)


# ------------------------------------------------------------------ what a setting gains


def _faster_setting(
    candidate: _Candidate,
    search: AlternativeSearch,
) -> FasterSetting | None:
    """The setting with its gain in pace, else with its gain in the longest wait; None if neither
    gain is large enough, or the model does not run under the setting.
    """
    judged = search.judged
    other = _judged_under(candidate.workload, search)
    if other is None:
        return None
    if not other.fits:
        return None
    gain = gain_of(judged, other, search.machine)
    if gain is None:
        return None
    name = shell_word(search.asked)
    typed = search.to_type(candidate.workload, other.question)
    return FasterSetting(
        what=candidate.what,
        command=f"selfhost check {name}{typed.options()}{search.carry}",
        **gain.__getstate__(),
    )


def _judged_under(workload: Workload, search: AlternativeSearch) -> Judged | None:
    """The judgement of the same model, files and program under that workload; None where these
    refuse the setting.
    """
    question = search.judged.question
    machine = search.machine
    workload = workload.replace(runtime=question.workload.runtime)
    other = asked_again(question, workload, search.catalogue, machine)
    return None if other is None else judge(other, machine)
