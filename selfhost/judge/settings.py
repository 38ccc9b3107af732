"""The settings in which a program runs a model, beyond its plain ones: one row for each.

A row says what the setting asks for, when it may help, and what it costs. The choice of a way
(`choice`) takes a row by itself where the row `is_taken`; any other row is told as faster.

A row asks for a field of the workload or an option of the program. It computes nothing: needs and
pace read what it asks for. To add a setting, write a class here and name it in `SETTINGS`, and for
an option follow "An option of a program" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar

from .. import needs as need
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import SPLIT_BY_TENSOR
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.records import Term
from .checks.accelerator import placing_options
from .devices import index_of
from .pace.rates import sums_are_measured
from .record import Judged

# types of a KV cache with half the bytes of 16 bits, the first that a program keeps; people report
# some loss, and more with fewer bits (lmstudio-ai/lmstudio-bug-tracker#1740, 2026-04, of llama.cpp)
SMALLER_CACHES = ("q8_0", "fp8")
# the largest batch in common use: a program reads the prompt of an agent in a few such batches
_LARGE_BATCH_TOKENS = 2048
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
        runtime = self.judged.question.runtime
        assert runtime is not None, "a judged way has a program"
        return runtime


class RunSetting:
    """One setting beyond a program's plain ones.

    - `is_taken`: the choice may take the setting though nobody asked for it.
    - `cost_steps`: of a setting that `is_taken`, what the setting gives up, in steps of a fifth of
      the pace. Of any other setting only `what` tells the cost.
    - `least_shares`: of each term of memory whose least bytes the setting makes smaller, the least
      share that is left; None where that is not known, so that any saving is possible.
    - `most_shares`: the same of terms whose most bytes alone the setting makes smaller.
    """

    is_taken: ClassVar[bool] = False
    cost_steps: ClassVar[float] = 1.0
    least_shares: ClassVar[Mapping[str, float] | None] = None
    most_shares: ClassVar[Mapping[str, float]] = MappingProxyType({})

    def may_help(self, on: Situation) -> bool:
        """Whether what was judged without the setting may be better with it."""
        raise NotImplementedError

    def asked(self, on: Situation, workload: Workload) -> Workload | None:
        """The workload with the setting beside; None where the program of what was judged has no
        such setting, or the user stated it.
        """
        raise NotImplementedError

    def what(self, on: Situation) -> str:
        """The setting in words, as they stand behind "faster with"."""
        raise NotImplementedError


def least_bytes_with(
    settings: Iterable[RunSetting],
    terms: Iterable[Term],
    *,
    end: str = "low_bytes",
) -> float:
    """The least bytes that terms counted without the settings take with them: of their `low_bytes`
    or `high_bytes`.
    """
    shares: dict[str, float] = {}
    for setting in settings:
        if setting.least_shares is None:
            return 0
        shares |= setting.least_shares
        if end == "high_bytes":
            shares |= setting.most_shares
    least_bytes: float = 0
    for term in terms:
        least_bytes += getattr(term, end) * shares.get(term.name, 1)
    return least_bytes


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


def _switch_to(
    runtime: RuntimeSpec,
    changes: str,
    value: str,
) -> list[str]:
    """The names of the switches that change a setting to that value."""
    names = []
    for name, option in runtime.named_options.items():
        if option.changes == changes and option.to == value:
            names.append(name)
    return names


class _SmallCache(RunSetting):
    """A KV cache of 8 bits, which may leave room for the whole model, or for more users at once."""

    is_taken = True
    # of 6,200 compute buffers of the catalogue's models the least had 0.81 of the bytes of 16 bits
    least_shares = MappingProxyType({"kv_cache": 0.5, "compute": 0.75})
    # the program may keep copies of the cache
    most_shares = MappingProxyType({"runtime": 0.5})

    def may_help(self, on: Situation) -> bool:
        if on.judged.speed is not None and on.judged.speed.waiting:
            return True
        return on.judged.placement == "split" or not on.judged.fits

    def asked(self, on: Situation, workload: Workload) -> Workload | None:
        name = self._type(on)
        if name is None or workload.kv_cache_type is not None:
            return None
        return workload.replace(kv_cache_type=name)

    def what(self, on: Situation) -> str:
        return f"a KV cache of {self._type(on)}, which is a little less exact"

    def _type(self, on: Situation) -> str | None:
        """The smaller type that the program keeps; None for none."""
        runtime = on.runtime
        if on.judged.question.spec.architecture is None:
            return None
        for name in SMALLER_CACHES:
            if runtime.keeps_cache_in(name):
                return name
        return None


class _NoEncoder(RunSetting):
    """The encoder of pictures left out: the model then reads text alone."""

    is_taken = True
    # a model that sees is asked for, so it has to be twice as fast without, or not run with it
    cost_steps = 4.0
    least_shares = MappingProxyType({"projector": 0.0, "projector_compute": 0.0})

    def may_help(self, on: Situation) -> bool:
        return on.judged.placement == "split" or not on.judged.fits

    def asked(self, on: Situation, workload: Workload) -> Workload | None:
        case = on.judged.question.case
        if case is None or not case.encoders:
            return None
        return with_options(
            workload, _switch_to(on.runtime, "projector", "none"), "yes"
        )

    def what(self, on: Situation) -> str:  # noqa: ARG002
        return "the picture encoder left out, so that it reads text alone"


class _Lean(RunSetting):
    """The option by which a server takes less memory, and is slower: no CUDA graphs in vLLM."""

    is_taken = True
    cost_steps = 0.0

    def may_help(self, on: Situation) -> bool:
        if on.judged.speed is not None and on.judged.speed.waiting:
            return True
        return not on.judged.fits

    def asked(self, on: Situation, workload: Workload) -> Workload | None:
        for name, option in on.runtime.named_options.items():
            if option.changes == "lean":
                value = option.choices[0] if option.choices else "yes"
                return with_options(workload, [name], value)
        return None

    def what(self, on: Situation) -> str:
        names = on.runtime.options_for("lean")
        return f"{' and '.join(names)}, which takes less memory and is slower"


class _LargeBatch(RunSetting):
    """Larger batches of a prompt, where weights in RAM are copied to a GPU once for each batch."""

    def may_help(self, on: Situation) -> bool:
        return on.judged.speed is not None and bool(on.judged.speed.crossing_seconds)

    def asked(self, on: Situation, workload: Workload) -> Workload | None:
        runtime = on.runtime
        stated = workload.runtime_options
        if "micro_batch_tokens" in runtime.settings_of(stated):
            return None
        # a batch that was stated stays
        names = runtime.options_for("micro_batch_tokens", "batch_tokens")
        free = [name for name in names if name not in stated]
        return with_options(workload, free, str(_LARGE_BATCH_TOKENS))

    def what(self, on: Situation) -> str:  # noqa: ARG002
        return f"batches of {_LARGE_BATCH_TOKENS:,} tokens"


class _OwnDraft(RunSetting):
    """The model's own prediction block, or the draft model that its publisher released. What it
    gains depends on the text, so it is never taken by itself.
    """

    def may_help(self, on: Situation) -> bool:  # noqa: ARG002
        return True

    def asked(self, on: Situation, workload: Workload) -> Workload | None:
        if workload.draft is not None or "mtp" not in on.runtime.companions:
            return None
        if need.why_no_own_block(on.judged.model) is not None:
            return None
        return workload.replace(draft=need.OWN_BLOCK)

    def what(self, on: Situation) -> str:
        draft = on.judged.model.draft
        if draft is None:
            return "the model's own draft block"
        return f"{draft.name}, the draft that was published for it"


class _SplitLayers(RunSetting):
    """Each layer split over two equal GPUs, where published runs show a gain.

    Mixtures were 0.7 to 2.1 times as fast, and models on four GPUs 0.57 to 4.4 times
    (tests/truth/speed_tensor_split.json).
    """

    def may_help(self, on: Situation) -> bool:
        pace = on.judged.users_pace
        if (
            not on.judged.model.is_dense
            or pace is None
            or pace.likely > _FASTEST_TO_SPLIT
        ):
            return False
        # nothing is proposed where the user stated where layers lie
        if placing_options(on.judged.question):
            return False
        cards = on.machine.cards
        if len(cards) != 2 or cards[0].name != cards[1].name:
            return False
        return sums_are_measured(cards[0], parts=2)

    def asked(self, on: Situation, workload: Workload) -> Workload | None:
        names = []
        for name, option in on.runtime.named_options.items():
            if SPLIT_BY_TENSOR in option.choices:
                names.append(name)
        return with_options(workload, names, SPLIT_BY_TENSOR)

    def what(self, on: Situation) -> str:  # noqa: ARG002
        return "each layer split over the GPUs (experimental, prompts may be slower)"


class _MoreCards(RunSetting):
    """Each layer split over more equal GPUs than the model lies on, as vLLM has it."""

    def may_help(self, on: Situation) -> bool:
        return _most_parts(on) is not None

    def asked(self, on: Situation, workload: Workload) -> Workload | None:
        parts = _most_parts(on)
        names = on.runtime.options_for("parts_of_layers")
        return with_options(workload, names, str(parts))

    def what(self, on: Situation) -> str:
        return f"each layer split over {_most_parts(on)} GPUs"


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


LEAN = _Lean()

# in the order in which "faster with" tells them
SETTINGS: tuple[RunSetting, ...] = (
    _OwnDraft(),
    _SmallCache(),
    _NoEncoder(),
    LEAN,
    _LargeBatch(),
    _SplitLayers(),
    _MoreCards(),
)
