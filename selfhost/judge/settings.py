"""The settings in which a program runs a model, beyond its plain ones: one row for each.

A row says what the setting asks for, when it may help, and what it costs. The choice of a way
(`choice`) takes a row by itself where the row `is_taken`; any other row is told as faster.

A row asks for a field of the workload or an option of the program. Needs and pace compute with the
fields, and with the options that change one of `COMPUTED_SETTINGS`. What any other option changes
of the pace and the waits is an `Effect` of its row, which counts wherever the option is asked for.
"A setting of a program" in docs/architecture.md says how to add a row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from .. import needs as need
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import SPLIT_BY_TENSOR, SWITCHED_OFF
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.case import Case
from ..needs.records import Size, Term
from .checks.accelerator import placing_options
from .devices import gpu_maker, index_of
from .pace import PLAIN_TYPES, Range, Speed
from .pace.rates import sums_are_measured
from .rating import STEP, Runs, has_waiting_users, runs_of, waiting_steps
from .record import Judged, Question
from .ways import row_of

# types of a KV cache with half the bytes of 16 bits, the first that a program keeps; people report
# some loss, and more with fewer bits (lmstudio-ai/lmstudio-bug-tracker#1740, 2026-04, of llama.cpp)
SMALLER_CACHES = ("q8_0", "fp8")
# the largest batch in common use: a program reads the prompt of an agent in a few such batches
_LARGE_BATCH_TOKENS = 2048
# how much faster text and prompts are without flash attention: 172 pairs of runs on an 8060S had
# 0.94 to 1.08 and 0.73 to 1.53; an RTX 4090 0.90 to 0.96 and, of prompts of 16,000 tokens, 0.57;
# Apple's GPUs 0.92 to 0.97. Prompts on processors were as fast, or up to twice as fast
_TEXT_WITHOUT_FLASH = Range(0.7, 0.97, 1.1)
_PROMPT_WITHOUT_FLASH = Range(0.55, 0.93, 1.3)
# how much faster a server is whose GPUs hold whole experts in place of a part of each: a guess
# around DeepSeek V4 Flash on two H100, 1.18 and 1.22 times the text and prompts in 0.64 of the time
# (kaito-project/kaito#2305), and R1 on eight H200, prompts in 1.18 of the time
# (vllm-project/vllm#28887)
_TEXT_OF_WHOLE_EXPERTS = Range(0.7, 1.0, 1.25)
_PROMPT_OF_WHOLE_EXPERTS = Range(0.7, 1.0, 1.6)
# the options of servers that ask for whole experts
_WHOLE_EXPERTS = ("enable-expert-parallel", "ep-size")
# no split of each layer is proposed above this pace in tokens a second: dense models of 12 to 51
# tokens a second gained, one of 175 lost (tests/truth/speed_tensor_split.json); nobody measured one
# between them
_FASTEST_TO_SPLIT = 60


class Situation(Record):
    """What was judged without a setting, and the machine."""

    judged: Judged
    machine: Machine

    @property
    def runtime(self) -> RuntimeSpec:
        """The program of what was judged."""
        return row_of(self.judged.question).runtime


def _gains_nothing(_: Situation) -> float:
    """A setting that makes nothing faster in the same place."""
    return 1.0


class Effect(Record):
    """What an option changes of the figures of text, as factors: above 1 for what becomes faster.

    - `pace`: of the tokens per second of a sequence alone.
    - `total`: of those of several sequences at once, together. By default they gain nothing: a
      batch reads the weights once for all, which is what many options spare.
    - `prompt`: of the tokens per second at which a prompt is read. Each wait follows from it.
    - `how`: the clause that says on what the factors and their ends rest, with the source.
    """

    pace: Range = Range.of(1)
    total: Range = Range.of(1)
    prompt: Range = Range.of(1)
    how: str

    def on(self, speed: Speed) -> Speed:
        """The pace with what the option changes; the wait for a stated prompt is left."""
        factors = {
            "decode": self.pace,
            "parallel_total": self.total,
            "full_context_tokens_per_second": self.pace.likely,
            "undrafted_tokens_per_second": self.pace.likely,
            "prompt": self.prompt,
        }
        changes: dict[str, object] = {"how": f"{speed.how}; {self.how}"}
        for rate, factor in factors.items():
            before = getattr(speed, rate)
            if before is not None:
                changes[rate] = before * factor
        return speed.replace(**changes)


# what an option changes for a model in a program, or in words why it is refused for the model. The
# settings of the case have the value of the option, but for one that is not asked for yet
EffectOf = Callable[[Case], Effect | str]


class RunSetting(Record):
    """One setting beyond a program's plain ones.

    The functions are functions of this module, so that a way can be pickled.

    For each setting:

    - `what`: the setting in words, as they stand behind "faster with".
    - `may_help`: whether what was judged without the setting may be better with it. Only then is
      the setting judged.
    - `asked`: the workload with the setting beside; it may have other settings already. None where
      the program of what was judged has no such setting, where the user stated it, and where
      another setting of the workload excludes it.
    - `effects`: what an option changes, by its name in the program's file, where needs and pace
      compute nothing of it. Empty where they compute all.

    Only for one that the choice may take, though nobody asked for it:

    - `is_taken`: whether it may. By default the setting is only told as faster.
    - `cost_steps`: what the setting gives up, in steps of a fifth of the pace.
    - `most_gain`: how many times the pace in the same place is at most, by what needs and pace
      compute; by default they compute no gain. `effects` count beside. It bounds no wait: unless a
      model is split or users wait, only `effects` are taken to shorten one in the same place.
    - `least_shares`: of each term of memory whose least bytes the setting makes smaller, the least
      share that is left: {} for a setting that saves nothing. By default None: any saving is
      possible, so that the setting is judged wherever memory matters.
    - `most_shares`: the same of terms whose most bytes alone the setting makes smaller.

    A bound that is too good costs a judgement, and one that is too bad hides a way.
    """

    what: Callable[[Situation], str]
    may_help: Callable[[Situation], bool]
    asked: Callable[[Situation, Workload], Workload | None]
    effects: Mapping[str, EffectOf] = {}
    is_taken: bool = False
    cost_steps: float = 1.0
    most_gain: Callable[[Situation], float] = _gains_nothing
    least_shares: Mapping[str, float] | None = None
    most_shares: Mapping[str, float] = {}


def effects_of(case: Case | None, changed: Collection[str]) -> list[Effect]:
    """What options change of the pace and the waits of a case, where needs and pace compute nothing
    of it. `changed`: what the options change, by the names that `question.settings` has.
    """
    if case is None:
        return []
    told = _told_of(case, changed)
    return [effect for effect in told if isinstance(effect, Effect)]


def why_no_effect(case: Case, name: str) -> str | None:
    """Why an option that needs and pace compute nothing of is refused for the model; None where its
    effect is known. `name`: what the option changes.
    """
    why = f"nothing tells what {name} changes"
    for told in _told_of(case, [name]):
        if isinstance(told, Effect):
            return None
        why = told
    return why


def _told_of(case: Case, changed: Collection[str]) -> Iterator[Effect | str]:
    """What the rows tell of what the options change: effects, and reasons for none."""
    for setting in SETTINGS:
        for name, effect_of in setting.effects.items():
            if name not in changed:
                continue
            if case.spec.writes_text:
                yield effect_of(case)
            else:
                yield f"{name} changes the pace of text, and the model writes none"


def most_effect(settings: Iterable[RunSetting], question: Question) -> float:
    """How many times as fast the settings make text and prompts at most, beside what needs and pace
    compute. What the question asks for already counts no more.
    """
    most = 1.0
    for setting in settings:
        names = setting.effects.keys() - question.settings.keys()
        for effect in effects_of(question.case, names):
            most *= max(effect.pace.high, effect.total.high, effect.prompt.high)
    return most


def least_size_with(
    settings: Iterable[RunSetting],
    terms: Iterable[Term],
    smaller: Mapping[str, float] = {},
) -> Size:
    """The bytes that terms counted without the settings take at least under the settings, of the
    least, the likely and the most bytes. `smaller`: the share that is left of other terms, in a
    smaller type.
    """
    # settings that make one term smaller do so one after the other
    shares = dict(smaller)
    most_shares = dict[str, float]()
    for setting in settings:
        if setting.least_shares is None:
            return Size(0, 0, 0)
        for name, share in setting.least_shares.items():
            shares[name] = share * shares.get(name, 1.0)
        for name, share in setting.most_shares.items():
            most_shares[name] = share * most_shares.get(name, 1.0)
    least: float = 0
    likely: float = 0
    most: float = 0
    for term in terms:
        share = shares.get(term.name, 1.0)
        least += term.low_bytes * share
        likely += term.bytes * share
        most += term.high_bytes * share * most_shares.get(term.name, 1.0)
    return Size(int(least), int(likely), int(most))


def least_share_of_weights(settings: Iterable[RunSetting]) -> float:
    """The share of the weights on accelerators that the settings leave there at least; 0 where a
    setting may save any byte.
    """
    left = 1.0
    for setting in settings:
        if setting.least_shares is None:
            return 0.0
        left *= setting.least_shares.get("weights", 1.0)
    return left


def with_options(
    workload: Workload,
    names: Iterable[str],
    value: str,
) -> Workload | None:
    """The workload with that value of the named options; None where no option is named, and where
    the user stated one of them.
    """
    named = dict.fromkeys(names, value)
    if not named or not named.keys().isdisjoint(workload.runtime_options):
        return None
    return workload.replace(runtime_options={**workload.runtime_options, **named})


# ------------------------------------------------------------------ when a setting may help


def _is_worth_a_try(_: Situation) -> bool:
    """Whatever was judged: only the figures tell whether the setting helps."""
    return True


def _lacks_room(on: Situation) -> bool:
    """Whether accelerators do not hold all of the model, or nothing does."""
    if not on.judged.fits or on.judged.placement == "split":
        return True
    return on.judged.placement == "host" and bool(on.machine.own_memory_cards)


def _lacks_room_now(on: Situation) -> bool:
    """Whether memory lacks room for the model or for all users at once, or has that room only once
    something else is done.
    """
    if has_waiting_users(on.judged) or _lacks_room(on):
        return True
    return runs_of(on.judged) is not Runs.NOW


def _may_need_less_cache(on: Situation) -> bool:
    """Whether memory lacks room or hardly has it, or each token reads so much of the cache that
    half of it is a step faster.
    """
    if _lacks_room_now(on) or on.judged.has("accelerator-tight"):
        return True
    return _gain_of_small_cache(on) >= STEP


def _gain_of_small_cache(on: Situation) -> float:
    """How many times as fast a token is generated at most. A cache quantized in blocks is read no
    faster, because unpacking takes time too.
    """
    step = on.judged.question.step
    if step is None or not step.weights_bytes or _small_cache(on) not in PLAIN_TYPES:
        return 1.0
    cached_bytes = on.judged.workload.parallel * step.context.cached_bytes
    read_bytes = step.weights_bytes + cached_bytes
    return read_bytes / (read_bytes - cached_bytes / 2)


def _helps_nobody(_: Situation) -> bool:
    """A setting that is computed where somebody types it, and proposed to nobody."""
    return False


def _does_not_run(on: Situation) -> bool:
    """Whether memory or pace do not let the model run."""
    return not on.judged.fits


def _copies_weights(on: Situation) -> bool:
    """Whether weights in RAM are copied to a GPU once for each batch of a prompt."""
    return on.judged.speed is not None and bool(on.judged.speed.crossing_seconds)


def _may_split_layers(on: Situation) -> bool:
    """Whether published runs show that such a model gains where each layer is split over two equal
    GPUs.

    Mixtures were 0.7 to 2.1 times as fast, and models on four GPUs 0.57 to 4.4 times
    (tests/truth/speed_tensor_split.json).
    """
    pace = on.judged.users_pace
    if pace is None or pace.likely > _FASTEST_TO_SPLIT:
        return False
    if not on.judged.model.is_dense:
        return False
    # nothing is proposed where the user stated where layers lie
    if placing_options(on.judged.question):
        return False
    cards = on.machine.cards
    if len(cards) != 2 or cards[0].name != cards[1].name:
        return False
    return sums_are_measured(cards[0], parts=2)


def _has_more_cards(on: Situation) -> bool:
    """Whether the runtime can split the model over more equal GPUs than it lies on."""
    return _most_parts(on) is not None


def _most_parts(on: Situation) -> int | None:
    """The largest number of equal GPUs over which the runtime can split the model. The GPUs are
    like the first of those on which the model lies. None where it cannot be split over more than
    those.
    """
    needs = on.judged.placed
    used = {term.where for term in needs.on_cards.terms}
    if not used or not on.machine.cards:
        return None
    first = on.machine.cards[index_of(min(used))]
    alike = [card for card in on.machine.cards if card.name == first.name]
    numbers = []
    for number in needs.tensor_parallel:
        if len(used) < number <= len(alike):
            numbers.append(number)
    return max(numbers, default=None)


# ------------------------------------------------------------------ what a setting asks for


def _with_small_cache(on: Situation, workload: Workload) -> Workload | None:
    name = _small_cache(on)
    if name is None or workload.kv_cache_type is not None:
        return None
    return workload.replace(kv_cache_type=name)


def _small_cache(on: Situation) -> str | None:
    """The type of 8 bits in which the program keeps a KV cache; None for none."""
    if on.judged.question.spec.architecture is None:
        return None
    for name in SMALLER_CACHES:
        if on.runtime.keeps_cache_in(name):
            return name
    return None


def _without_encoder(on: Situation, workload: Workload) -> Workload | None:
    case = on.judged.question.case
    if case is None or not case.encoders:
        return None
    names = on.runtime.options_to("projector", "none")
    return with_options(workload, names, "yes")


def _with_few_sequences(on: Situation, workload: Workload) -> Workload | None:
    if workload.parallel > 1:
        # the command for several users states their number
        return None
    names = on.runtime.options_for("sequences_sampled")
    return with_options(workload, names, str(workload.parallel))


def _lean(on: Situation, workload: Workload) -> Workload | None:
    stated = on.judged.question.stated.runtime_options
    added = workload.runtime_options.keys() - stated.keys()
    if not added.isdisjoint(on.runtime.options_for("sequences_sampled")):
        # the command of this setting bounds the sequences, too
        return None
    for name in on.runtime.options_for("lean"):
        choices = on.runtime.named_options[name].choices or ("yes",)
        return with_options(workload, [name], choices[0])
    return None


def _lean_for_many(on: Situation, workload: Workload) -> Workload | None:
    return None if _is_for_one(on) else _lean(on, workload)


def _lean_for_one(on: Situation, workload: Workload) -> Workload | None:
    return _lean(on, workload) if _is_for_one(on) else None


def _is_for_one(on: Situation) -> bool:
    """Whether the program's command for one user bounds the sequences, which nobody stated."""
    stated = on.judged.question.stated
    names = on.runtime.options_for("sequences_sampled")
    if not names or stated.parallel > 1:
        return False
    return stated.runtime_options.keys().isdisjoint(names)


def _with_ngrams_in_ram(on: Situation, workload: Workload) -> Workload | None:
    architecture = on.judged.model.architecture
    if architecture is None or not architecture.ngrams:
        return None
    names = []
    for name in on.runtime.options_to("ngrams_in_ram", "yes"):
        if on.runtime.named_options[name].is_for(gpu_maker(on.machine, on.runtime)):
            names.append(name)
    return with_options(workload, names, "yes")


def _with_large_batch(on: Situation, workload: Workload) -> Workload | None:
    stated = workload.runtime_options
    if "micro_batch_tokens" in on.runtime.settings_of(stated):
        return None
    # a batch that was stated stays
    names = on.runtime.options_for("micro_batch_tokens", "batch_tokens")
    free = [name for name in names if name not in stated]
    return with_options(workload, free, str(_LARGE_BATCH_TOKENS))


def _with_own_draft(on: Situation, workload: Workload) -> Workload | None:
    if workload.draft is not None or "mtp" not in on.runtime.companions:
        return None
    if need.why_no_own_block(on.judged.model) is not None:
        return None
    return workload.replace(draft=need.OWN_BLOCK)


def _without_flash(on: Situation, workload: Workload) -> Workload | None:
    """The workload without flash attention, in a program that has a word for that."""
    names = on.runtime.options_to("flash_attention", SWITCHED_OFF[0])
    return with_options(workload, names, SWITCHED_OFF[0])


def _with_whole_experts(on: Situation, workload: Workload) -> Workload | None:
    names = on.runtime.options_to(_WHOLE_EXPERTS[0], "yes")
    return with_options(workload, names, "yes")


def _with_split_layers(on: Situation, workload: Workload) -> Workload | None:
    names = on.runtime.options_to("split_mode", SPLIT_BY_TENSOR)
    return with_options(workload, names, SPLIT_BY_TENSOR)


def _on_more_cards(on: Situation, workload: Workload) -> Workload | None:
    most = _most_parts(on)
    if most is None:
        return None
    names = on.runtime.options_for("parts_of_layers")
    return with_options(workload, names, str(most))


# ------------------------------------------------------------------ the settings in words


def _cache_words(on: Situation) -> str:
    return f"a KV cache of {_small_cache(on)}, which is a little less exact"


def _encoder_words(_: Situation) -> str:
    return "the picture encoder left out, so that it reads text alone"


def _sequences_words(on: Situation) -> str:
    names = on.runtime.options_for("sequences_sampled")
    users = on.judged.workload.parallel
    return f"{' and '.join(names)} {users}, so that further requests wait"


def _lean_words(on: Situation) -> str:
    names = on.runtime.options_for("lean")
    return f"{' and '.join(names)}, which takes less memory and is slower"


def _ngrams_words(_: Situation) -> str:
    return "its tables of n-grams in RAM, of which a step reads some rows"


def _batch_words(_: Situation) -> str:
    return f"batches of {_LARGE_BATCH_TOKENS:,} tokens"


def _draft_words(on: Situation) -> str:
    draft = on.judged.model.draft
    if draft is None:
        return "the model's own draft block"
    return f"{draft.name}, the draft that was published for it"


def _flash_words(_: Situation) -> str:
    return "flash attention switched off"


def _experts_words(_: Situation) -> str:
    return "whole experts on each GPU"


def _split_words(_: Situation) -> str:
    return "each layer split over the GPUs (experimental, prompts may be slower)"


def _cards_words(on: Situation) -> str:
    return f"each layer split over {_most_parts(on)} GPUs"


# ------------------------------------------------------------------ what a setting changes


def _effect_of_flash(case: Case) -> Effect:
    """What a model loses without flash attention. The ends hold for GPUs and processors, and for
    prompts of any length: a case tells neither.
    """
    if case.why_flash_is_off is None:
        return Effect(how="flash attention is left on")
    return Effect(
        pace=_TEXT_WITHOUT_FLASH,
        total=_TEXT_WITHOUT_FLASH,
        prompt=_PROMPT_WITHOUT_FLASH,
        how="without flash attention, most prompts are slower, long ones by up to half"
        " (kyuz0/amd-strix-halo-toolboxes@2f2b1b3, matt-c1/llama-cpp-speed-measurements,"
        " ggml-org/llama.cpp#5021 and #27086)",
    )


def _effect_of_whole_experts(case: Case) -> Effect | str:
    """What a mixture gains or loses where each GPU holds whole experts, as many bytes as parts of
    all would be.
    """
    if case.spec.is_dense:
        return "a dense model has no experts"
    return Effect(
        pace=_TEXT_OF_WHOLE_EXPERTS,
        total=_TEXT_OF_WHOLE_EXPERTS,
        prompt=_PROMPT_OF_WHOLE_EXPERTS,
        how="with whole experts on each GPU, a guess: the GPU with the most chosen experts decides"
        " (kaito-project/kaito#2305, vllm-project/vllm#28887)",
    )


# ------------------------------------------------------------------ the rows


# what a server needs beside weights and cache, of which these options may save any byte
_BESIDE_WEIGHTS = {"activations": 0.0, "runtime": 0.0, "recurrent_state": 0.0}

# the option by which a server makes CUDA graphs for the users' sequences alone: as fast as all are,
# and all further requests wait for their turn
FEW_SEQUENCES = RunSetting(
    what=_sequences_words,
    may_help=_does_not_run,
    asked=_with_few_sequences,
    is_taken=True,
    cost_steps=waiting_steps(1.0),
    least_shares=_BESIDE_WEIGHTS,
)

# the option by which a server takes less memory, and is slower: no CUDA graphs in vLLM
LEAN = RunSetting(
    what=_lean_words,
    may_help=_lacks_room_now,
    asked=_lean_for_many,
    is_taken=True,
    cost_steps=0.0,
    least_shares=_BESIDE_WEIGHTS,
)

# the same for one user, where the command of vLLM bounds the sequences as that of FEW_SEQUENCES
LEAN_FOR_ONE = RunSetting(
    what=_lean_words,
    may_help=_lacks_room_now,
    asked=_lean_for_one,
    is_taken=True,
    cost_steps=waiting_steps(1.0),
    least_shares=_BESIDE_WEIGHTS,
)

# in the order in which "faster with" tells them
SETTINGS = (
    # the model's own prediction block, or the draft that its publisher released: what it gains
    # depends on the text, so it is never taken by itself
    RunSetting(what=_draft_words, may_help=_is_worth_a_try, asked=_with_own_draft),
    RunSetting(
        what=_cache_words,
        may_help=_may_need_less_cache,
        most_gain=_gain_of_small_cache,
        asked=_with_small_cache,
        is_taken=True,
        # of 6,200 compute buffers of the catalogue's models the least had 0.81 of the bytes of 16
        # bits
        least_shares={"kv_cache": 0.5, "compute": 0.75},
        # the program may keep copies of the cache
        most_shares={"runtime": 0.5},
    ),
    RunSetting(
        what=_encoder_words,
        may_help=_lacks_room,
        asked=_without_encoder,
        is_taken=True,
        # a model that sees is asked for: it has to be twice as fast without, or as fast as people
        # read, or not run with it
        cost_steps=4.0,
        least_shares={"projector": 0.0, "projector_compute": 0.0},
    ),
    FEW_SEQUENCES,
    LEAN,
    LEAN_FOR_ONE,
    RunSetting(
        what=_ngrams_words,
        may_help=_lacks_room_now,
        asked=_with_ngrams_in_ram,
        is_taken=True,
        # the tables may be nearly all of the weights on the accelerators
        least_shares={"weights": 0.0},
    ),
    RunSetting(
        what=_batch_words,
        may_help=_copies_weights,
        asked=_with_large_batch,
    ),
    RunSetting(
        what=_split_words,
        may_help=_may_split_layers,
        asked=_with_split_layers,
    ),
    RunSetting(
        what=_flash_words,
        may_help=_helps_nobody,
        asked=_without_flash,
        effects={"flash_attention": _effect_of_flash},
    ),
    RunSetting(
        what=_experts_words,
        may_help=_helps_nobody,
        asked=_with_whole_experts,
        effects=dict.fromkeys(_WHOLE_EXPERTS, _effect_of_whole_experts),
    ),
    RunSetting(what=_cards_words, may_help=_has_more_cards, asked=_on_more_cards),
)
