"""The places of a model on a machine, and the time of a token there: on the processor, on GPUs one
after the other or at once, on a GPU that shares the RAM, with layers or experts in RAM.

`laid_out` makes a `LaidOut` from a placed model; a `LaidOut` has the seconds of a step and of a
prompt.

llama.cpp 0c1e570: ggml_backend_sched_split_graph (ggml/src/ggml-backend.cpp) hands operations that
read a weight in RAM, and the operations between them, to a device whose `offload_op` accepts them:
CUDA, HIP, Vulkan and SYCL from 32 tokens on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from math import ceil
from typing import NamedTuple

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...machine import gpus
from ...machine.record import Machine
from ...needs import in_batches
from ...needs.case import MICRO_BATCH_TOKENS, ContextSetup
from ...needs.records import Needs, Split
from ..devices import End, index_of, lent_to_gpu
from ..record import Question
from .cores import Cores, cores_of
from .decode_step import GRAPH, Step
from .experts import ApartExperts, experts_apart, experts_of_one_text
from .prompts import prompt_seconds
from .ranges import NO_SECONDS, Amount, Range, Seconds, longest, lowest
from .rates import (
    Gpu,
    computer_around,
    gpu_of,
    shared_gpu_of,
    staged_per_second,
    sum_row,
)
from .tables import SumRow, pace_tables

# if the shares on GPUs reach 1 minus this, all layers lie on GPUs: the difference is rounding
_ROUNDED = 1e-6
# on a card of up to this memory, what a program leaves empty may be where it has the whole model
_SMALL_CARD_BYTES = 4.5 * units.GB
NO_SHARE = Amount.of(0)


class UsedGpu(NamedTuple):
    """A GPU, and its share of the weights that all used GPUs hold together."""

    share: float
    gpu: Gpu


class PromptPace(Record):
    """The rate at which a prompt is read (None: not known), and the seconds in which weights are
    copied to the GPUs for each batch of the prompt.
    """

    pace: Range | None
    crossing: Seconds = NO_SECONDS


class LaidOut(Record):
    """The layout of a model on a machine, and the way in which a runtime computes the model there.

    - `offloaded`: by the number of an accelerator, the share of the weights that lie on it. The
      rest is in RAM, `in_ram_bytes` of a split model.
    - `tokens_per_crossing`: the tokens of a prompt for which the weights in RAM are copied to a GPU
      once; 0 where they are not copied, and the processor computes them.
    - `micro_batch`: the tokens of a prompt that are computed at once.
    - `at_once`: each of several GPUs has a part of every layer, instead of whole layers.
    - `experts_apart`: experts of a mixture are left to the RAM, instead of whole layers.
    - `on_shared`: the share of the layers computed by a GPU that shares the RAM.
    - `left_empty`: of a split model, the share of the weights that would fill what the program
      leaves empty on cards. `may_spill`: of a model that lies on a small card whole, the share of
      the weights that may not fit beside that.
    """

    machine: Machine
    runtime: RuntimeSpec | None = None
    context_tokens: int | None = None
    offloaded: Mapping[int, float] | None = None
    in_ram_bytes: int = 0
    tokens_per_crossing: int = MICRO_BATCH_TOKENS
    micro_batch: int = MICRO_BATCH_TOKENS
    at_once: bool = False
    experts_apart: bool = False
    on_shared: Range = Range.of(1)
    left_empty: Amount = NO_SHARE
    may_spill: float = 0.0

    # -------------------------------------------------------------- what computes it

    @cached_property
    def gpus(self) -> tuple[UsedGpu, ...]:
        """The GPUs that compute the model, each with its share of what they hold together; () for
        the processor, and where the pace of a GPU is not known.
        """
        if self.offloaded:
            return self._gpus_with_weights(self.offloaded)
        shared = shared_gpu_of(self.machine, self.runtime, is_used=True)
        if shared is None:
            return ()
        return (UsedGpu(1.0, shared),)

    def _gpus_with_weights(self, shares: Mapping[int, float]) -> tuple[UsedGpu, ...]:
        devices = self.machine.cards
        total = sum(shares.values())
        used = []
        for number, share in shares.items():
            # a GPU number beyond the devices that were read belongs to no known GPU
            if number >= len(devices):
                return ()
            gpu = gpu_of(devices[number], computer_around(self.machine))
            if gpu is None:
                return ()
            used.append(UsedGpu(share / total, gpu))
        return tuple(used)

    @cached_property
    def shared_gpu(self) -> Gpu | None:
        """The GPU that shares the RAM and may compute the model; None without one."""
        return shared_gpu_of(self.machine, self.runtime)

    @cached_property
    def cores(self) -> Cores | None:
        """The cores of the processor; None where nothing tells how fast they read the RAM."""
        return cores_of(self.machine)

    @property
    def known_cores(self) -> Cores:
        """The cores of the processor, which a known pace in RAM rests on."""
        assert self.cores is not None, "predict refuses an unknown memory bandwidth"
        return self.cores

    @cached_property
    def share_in_ram(self) -> Amount:
        """The share of the weights that the processor computes: the rest of the model beside the
        GPUs' weights, or beside the layers of a GPU that shares the RAM.

        0 where the rest is no more than rounding.
        """
        on_gpus = self.on_shared
        if self.offloaded:
            share = sum(self.offloaded.values())
            on_gpus = Range.of(min(1.0, share))
        if self.is_divided or min(on_gpus) > 1 - _ROUNDED:
            return Amount.of(0)
        # the lowest share on GPUs is the slow end
        return Amount(
            slow=min(1.0, 1 - on_gpus.low + self.left_empty.slow),
            likely=min(1.0, 1 - on_gpus.likely + self.left_empty.likely),
            fast=min(1.0, 1 - on_gpus.high + self.left_empty.fast),
        )

    @property
    def is_split(self) -> bool:
        """Whether the processor computes a part of the model beside GPUs."""
        return max(self.share_in_ram) > 0

    @property
    def is_divided(self) -> bool:
        """Whether each of several GPUs has a part of every layer."""
        return self.at_once and len(self.gpus) > 1

    @property
    def shares_ram(self) -> bool:
        """Whether the first used GPU shares the RAM."""
        return bool(self.gpus[0].gpu.device.unified)

    def apart(self, step: Step, in_ram: float) -> ApartExperts | None:
        """The step in two parts, where the share `in_ram` of the model lies in RAM; None where
        whole layers are left to the RAM.
        """
        if not self.experts_apart or not self.offloaded:
            return None
        return experts_apart(step, 1 - in_ram)

    # -------------------------------------------------------------- a token

    def seconds(self, step: Step) -> Seconds:
        """The seconds of one token on the GPUs and in RAM."""
        if self.is_divided:
            return self._seconds_divided(step)
        if self.is_split:
            return self._seconds_with_ram(step)
        return self._seconds_unless_spilt(step)

    def _seconds_divided(self, step: Step) -> Seconds:
        """The seconds of the slowest GPU's part of every layer, and of adding up the parts layer by
        layer.
        """
        taken = NO_SECONDS
        for part, gpu in self.gpus:
            row = sum_row(gpu.device, step.program_of_rows, len(self.gpus))
            summing_us = Seconds(*row.sum_us) * step.layers
            summing = summing_us * 1e-6
            computing = gpu.seconds(step, part)
            if step.program_of_rows == GRAPH:
                on_gpu = computing.plus_independent(summing)
            else:
                # the ends of other programs' sums are those of the whole step
                on_gpu = computing + summing
            taken = longest(taken, on_gpu)
        return taken

    def seconds_on_gpus(self, step: Step) -> Seconds:
        """The seconds of a step, or of its part on GPUs, which compute one after the other."""
        taken = NO_SECONDS
        for share, gpu in self.gpus:
            taken += gpu.seconds(step, is_split=self.is_split) * share
        return taken

    def _seconds_with_ram(self, step: Step) -> Seconds:
        """The seconds of a step of which the processor computes a part: each end by the share of
        the model that may lie in RAM.
        """
        with_ram = _StepWithRam(layout=self, step=step)
        shares = self.share_in_ram
        # the ends often have the same share
        by_share = {share: with_ram.seconds(share) for share in set(shares)}
        # the processor may be faster than the GPU: with fewer layers in RAM the fast end would be
        # slower
        fast = min(by_share[shares.likely].fast, by_share[shares.fast].fast)
        return Seconds(
            slow=by_share[shares.slow].slow,
            likely=by_share[shares.likely].likely,
            fast=fast,
        )

    def _seconds_unless_spilt(self, step: Step) -> Seconds:
        """The seconds on GPUs, with the slow end of a step whose small card leaves part in RAM."""
        taken = self.seconds_on_gpus(step)
        if not self.may_spill or self.cores is None:
            return taken
        spilt = _StepWithRam(layout=self, step=step).seconds(self.may_spill)
        return taken._replace(slow=max(taken.slow, spilt.slow))

    # -------------------------------------------------------------- a prompt

    def prompt(self, step: Step) -> PromptPace:
        """The rate at which a prompt is read, and the seconds in which weights are copied to the
        GPUs for each batch.

        The processor computes the weights in RAM, or the weights are copied and the GPUs compute
        them too.
        """
        on_gpus = self._prompt_on_gpus(step)
        if on_gpus is None:
            return PromptPace(pace=None)
        if not self.is_split:
            return PromptPace(pace=1 / on_gpus)
        if step.other_program is not None:
            # other programs with weights in RAM were not measured
            return PromptPace(pace=None)
        if self.shares_ram or not self.tokens_per_crossing:
            return self._prompt_in_turns(step, on_gpus)
        crossing = self._crossing_seconds(step)
        tokens = step.prompt_tokens or self.tokens_per_crossing
        # the last, partial batch takes as long to cross to a GPU as a full one
        crossings = ceil(tokens / self.tokens_per_crossing)
        taken = on_gpus.plus_independent(crossing * (crossings / tokens))
        return PromptPace(pace=1 / taken, crossing=crossing)

    def _prompt_in_turns(self, step: Step, on_gpus: Seconds) -> PromptPace:
        """The rate at which a prompt is read where the processor computes the weights in RAM.

        `on_gpus` are the seconds of a token if all layers were on GPUs.
        """
        on_cores = self.known_cores.prompt(step)
        assert on_cores is not None, "the GPUs compute the same operations"
        in_ram = self.share_in_ram.likely
        taken = on_gpus * (1 - in_ram)
        taken += 1 / on_cores * in_ram
        return PromptPace(pace=1 / taken)

    def _prompt_on_gpus(self, step: Step) -> Seconds | None:
        """The seconds of a token of a prompt, if all layers were on GPUs; None where they are not
        known.
        """
        taken = []
        for share, gpu in self.gpus:
            computed = prompt_seconds(gpu, step, self.micro_batch)
            if computed is None:
                return None
            taken.append(computed * share)
        if self.is_divided:
            return longest(*taken) + self._sending_seconds(step)
        return sum(taken, NO_SECONDS)

    def _sending_seconds(self, step: Step) -> Seconds:
        """The seconds in which GPUs send the parts of one token of a prompt to each other, to add
        them up.

        After attention and after the feed-forward network, each GPU has a part of every number, in
        16 bits (Megatron-LM, arXiv 1909.08053, section 3). Each GPU sends all parts but its own
        twice (NVIDIA, nccl-tests, PERFORMANCE.md).
        """
        if step.architecture is None:
            return NO_SECONDS
        numbers = step.layers * step.architecture.embedding_length
        parts = len(self.gpus)
        of_others = (parts - 1) / parts
        summed_gb = 8 * numbers * of_others / 1e9
        sending = NO_SECONDS
        for _, gpu in self.gpus:
            row = sum_row(gpu.device, step.program_of_rows, parts)
            per_second = _summed_per_second(gpu, row)
            sending = longest(sending, summed_gb / per_second)
        return sending

    def _crossing_seconds(self, step: Step) -> Seconds:
        """The seconds in which weights in RAM are copied to the GPUs for one batch.

        Only the experts that some token uses are copied (llama.cpp 0c1e570,
        ggml_backend_sched_compute_splits in ggml/src/ggml-backend.cpp).
        """
        crossing = self.in_ram_bytes / self._copied_per_second()
        if not step.has_experts:
            return crossing
        evenness = pace_tables().batch.evenness
        tokens = step.batch_tokens(self.tokens_per_crossing)
        return crossing * experts_of_one_text(step, tokens, evenness)

    def _copied_per_second(self) -> Range:
        """The bytes of weights that are copied to the GPUs in turn in a second.

        The link sets the rate. Weights that do not lie where a GPU reads them are copied no faster
        than a core copies them there first.
        """
        share_of_link = pace_tables().prompt.share_of_link
        rates = []
        for _, gpu in self.gpus:
            rates.append(_link_of(gpu) * share_of_link)
            rates.append(staged_per_second(gpu.device))
        return lowest(*rates)

    # -------------------------------------------------------------- in words

    def how(self, step: Step) -> str:
        """The clause that says what the pace rests on."""
        hows = [used.gpu.how(step) for used in self.gpus]
        on_gpus = " and ".join(units.counted(hows))
        how = f"on {on_gpus}"
        if self.shares_ram:
            how += ", which shares the RAM"
        if self.is_divided:
            return how + self._divided_words(step)
        if self.cores is None:
            return how
        if self.is_split:
            return self._split_words(step, how, self.cores.memory.how)
        if self.may_spill:
            how += "; the slow end is with a part in RAM, if little of this small card is free"
        return how

    def _divided_words(self, step: Step) -> str:
        """The clause that each GPU has a part of every layer."""
        words = ", each of which reads its part of every layer at the same time"
        if step.program_of_rows:
            return words
        row = sum_row(self.gpus[0].gpu.device, step.program_of_rows, len(self.gpus))
        return f"{words}; what adding up the parts takes: {row.basis}"

    def _split_words(self, step: Step, on_gpus: str, on_cores: str) -> str:
        """The clause that tells what lies in RAM. `on_gpus` and `on_cores` are the clauses on the
        GPUs and on the RAM.
        """
        apart = self.apart(step, self.share_in_ram.likely)
        if apart is not None:
            layers = f"{apart.layers:.0f} layers"
            return f"{on_gpus}, the experts of {layers} in RAM: {on_cores}"
        least = 1 - self.share_in_ram.slow
        most = 1 - self.share_in_ram.fast
        share = units.between(units.percent, least, most)
        how = f"{share} of the layers {on_gpus}, the rest in RAM: {on_cores}"
        if self.left_empty.slow:
            how += "; how full the program makes a card differs between its versions"
        return how


class _StepWithRam(Record):
    """A step of which the processor computes a part, and the GPUs the rest, in turn."""

    layout: LaidOut
    step: Step

    @cached_property
    def _on_gpus(self) -> Seconds:
        """The seconds if the GPUs computed all of it."""
        return self.layout.seconds_on_gpus(self.step)

    @cached_property
    def _on_cores(self) -> Seconds:
        """The seconds if the processor computed all of it."""
        return self.layout.known_cores.seconds(self.step)

    def seconds(self, in_ram: float) -> Seconds:
        """The seconds where that share of the model lies in RAM."""
        apart = self.layout.apart(self.step, in_ram)
        if apart is not None:
            return self._with_experts_apart(apart)
        return self._on_gpus * (1 - in_ram) + self._on_cores * in_ram

    def _with_experts_apart(self, apart: ApartExperts) -> Seconds:
        """The seconds where the experts of some layers lie in RAM, instead of whole layers."""
        figures = pace_tables().split
        taken = self.layout.seconds_on_gpus(apart.rest)
        taken += self.layout.known_cores.seconds(apart.experts)
        taken += figures.crossing_seconds * apart.layers
        taken += figures.beside_seconds * apart.rest.layers_beside_experts
        # a factor on the whole step, so that it includes the extra time of experts
        return taken._replace(slow=taken.slow * figures.slower)


def _summed_per_second(gpu: Gpu, row: SumRow) -> Range:
    """The GB per second that such GPUs add up with each other, over a link as fast as the GPU's
    own.
    """
    link = gpus.link_bytes_per_second(gpu.device.name)
    if row.link_gb_per_s is None or link is None:
        return row.sum_gb_per_s
    return row.sum_gb_per_s * (link / units.GB / row.link_gb_per_s)


def _link_of(gpu: Gpu) -> Range:
    """The bytes per second that the link of a GPU carries."""
    figures = pace_tables().prompt
    most = gpus.link_bytes_per_second(gpu.device.name)
    if most is None:
        return figures.any_link
    return Range.of(min(most, figures.most_of_link))


# ------------------------------------------------------------------ of what is placed


def laid_out(
    question: Question,
    placed: Needs,
    machine: Machine,
) -> LaidOut:
    """Return the layout in which the question's runtime computes the placed needs."""
    program = question.runtime
    weights = _PlacedWeights.of(placed)
    setup = _context_setup(question, placed)
    tokens_per_crossing = 0
    if setup.copies_weights:
        tokens_per_crossing = setup.micro_batch_limit
    in_ram_bytes = 0
    left_empty = _left_empty(question, weights)
    may_spill = 0.0
    if placed.placement == "split" and weights.in_ram_bytes:
        in_ram_bytes = weights.in_ram_bytes
    else:
        may_spill = _share_that_may_spill(placed, weights, machine, left_empty)
        left_empty = NO_SHARE
    at_once = question.splits_tensors
    if "tensor_parallel" in question.program.command_lines.options:
        at_once = True
    return LaidOut(
        machine=machine,
        runtime=program,
        context_tokens=question.workload.context_tokens,
        offloaded=weights.shares_by_card,
        in_ram_bytes=in_ram_bytes,
        tokens_per_crossing=tokens_per_crossing,
        # the micro-batch as set: the prompt bounds each step
        micro_batch=setup.micro_batch_limit,
        at_once=at_once,
        experts_apart=_leaves_experts(question),
        on_shared=_share_on_shared(question, placed, machine),
        left_empty=left_empty,
        may_spill=may_spill,
    )


class _PlacedWeights(Record):
    """The bytes of a model's weights in RAM, and on each accelerator that has some, by its number.
    Weights in a processor's own layout count, too.
    """

    in_ram_bytes: int
    by_card: Mapping[int, int]

    @classmethod
    def of(cls, placed: Needs) -> _PlacedWeights:
        """The weights of the placed needs."""
        in_ram_bytes = 0
        by_card = Counter[int]()
        for term in placed.terms:
            if term.name not in ("weights", "repacked_weights") or not term.bytes:
                continue
            if term.where == "host":
                in_ram_bytes += term.bytes
            else:
                by_card[index_of(term.where)] += term.bytes
        return cls(in_ram_bytes=in_ram_bytes, by_card=by_card)

    @property
    def on_cards_bytes(self) -> int:
        """The bytes of all weights on accelerators."""
        return sum(self.by_card.values())

    @property
    def total_bytes(self) -> int:
        """The bytes of all weights."""
        return self.in_ram_bytes + self.on_cards_bytes

    @property
    def shares_by_card(self) -> dict[int, float]:
        """The share of all weights that lies on each accelerator."""
        total_bytes = self.total_bytes
        return {card: size / total_bytes for card, size in self.by_card.items()}


def _left_empty(question: Question, weights: _PlacedWeights) -> Amount:
    """What the program leaves empty on the cards that it uses, as a share of all weights."""
    program = question.runtime
    if program is None or "gpu_layers" in question.settings or not weights.by_card:
        return NO_SHARE
    shares = []
    for mib in program.layers.left_empty_mib:
        empty_bytes = len(weights.by_card) * mib * units.MIB
        shares.append(min(empty_bytes, weights.on_cards_bytes) / weights.total_bytes)
    return Amount(*shares)


def _share_that_may_spill(
    placed: Needs,
    weights: _PlacedWeights,
    machine: Machine,
    left_empty: Amount,
) -> float:
    """The share of the weights that may not fit on a small card beside what the program leaves
    empty; 0 on larger cards, and where all fits with that.

    Halfway between the likely and the most that it leaves empty counts (assumed).
    """
    taken_bytes = Counter[str]()
    for term in placed.terms:
        taken_bytes[term.where] += term.bytes
    total_bytes = weights.total_bytes
    empty = (left_empty.slow + left_empty.likely) / 2
    spilt = 0.0
    for number, size in weights.by_card.items():
        if number >= len(machine.cards):
            continue
        card_bytes = machine.cards[number].memory_total_bytes
        if card_bytes is None or card_bytes > _SMALL_CARD_BYTES:
            continue
        taken = taken_bytes[f"accelerator:{number}"]
        over = taken / total_bytes + empty - card_bytes / total_bytes
        spilt += max(0.0, min(over, size / total_bytes))
    return spilt


def _leaves_experts(question: Question) -> bool:
    """Whether the runtime leaves experts to the RAM instead of whole layers."""
    settings = question.settings
    if "gpu_layers" in settings and "experts_in_ram" not in settings:
        # a stated number of GPU layers moves whole layers, with their experts
        return False
    return question.program.layers.leaves_experts


def _share_on_shared(
    question: Question,
    placed: Needs,
    machine: Machine,
) -> Range:
    """The share of the layers computed by a GPU that shares the RAM."""
    architecture = question.spec.architecture
    share = Range.of(1)
    if architecture is None or machine.accelerators == ():
        return share
    program = question.runtime
    if program is None or program.layers.split:
        share = _share_lent(placed, machine, architecture.layers)
    gpu_layers = question.settings.get("gpu_layers")
    if gpu_layers:
        # a GPU that shares the RAM gets this many layers; the output matrix counts as one
        layers = architecture.layers + 1
        share *= min(1.0, int(gpu_layers) / layers)
    return share


def _share_lent(placed: Needs, machine: Machine, layers: int) -> Range:
    """The share of the layers that may lie on a GPU that shares the RAM, as far as the system lends
    it memory.

    Where a printed command line raises the limit, only the low end counts without that line.
    """
    if placed.memory is None:
        return Range.of(1)
    lent = lent_to_gpu(machine)
    if lent is None:
        return Range.of(1)
    low = _share_within(lent.least_bytes, placed, layers, End.MOST)
    if placed.on_host.high_bytes <= lent.raised_bytes:
        return Range(low, 1.0, 1.0)
    middle = (lent.least_bytes + lent.most_bytes) / 2
    likely = _share_within(middle, placed, layers, End.LIKELY)
    high = _share_within(lent.most_bytes, placed, layers, End.LEAST)
    return Range(min(low, likely), likely, max(likely, high))


def _share_within(limit_bytes: float, placed: Needs, layers: int, end: End) -> float:
    """The share of the layers that fits within the limit by that end of the sizes, beside the terms
    that do not move.
    """
    over = placed.on_host.size[end] - limit_bytes
    moving = 0
    for term in placed.on_host.terms:
        if term.split is Split.LAYERS:
            moving += term.size[end]
    if over <= 0 or not moving:
        return 1.0
    fitting = int(layers * (1 - over / moving))
    return max(0, fitting) / layers


def _context_setup(question: Question, placed: Needs) -> ContextSetup:
    """The setup of llama.cpp's context, in the batch size for which the placed needs are counted.

    The usual batch size where no GGUF file of known layers is loaded.
    """
    case = question.case
    if case is None or question.spec.architecture is None or case.format != "gguf":
        return ContextSetup(tokens=MICRO_BATCH_TOKENS)
    return in_batches(case, placed.batch_tokens).setup
