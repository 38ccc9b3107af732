"""The pace of text where it is placed: on the processor, on GPUs one after the other or at once, on
a GPU that shares the RAM, with layers or experts in RAM; of a step, of reading a prompt, of several
sequences at once and with a draft.

`laid_out` says where the model lies, `predict` how fast one step goes there, and `pace_of_text`
adds what was asked beside that.

llama.cpp 0c1e570: ggml_backend_sched_split_graph (ggml/src/ggml-backend.cpp) hands what reads a
weight in RAM, and what lies between, to a device whose `offload_op` wants it: CUDA, HIP, Vulkan,
SYCL from 32 tokens on. Of a mixture that a GPU does not hold, common_params_fit_impl
(common/fit.cpp) leaves experts of some layers to the RAM, where the processor computes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import ceil, hypot
from typing import NamedTuple

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import FrozenDict, Record
from ...machine import gpus
from ...machine.record import Machine
from ...needs import in_batches
from ...needs.case import DRAFTED_TOKENS, MICRO_BATCH_TOKENS, Cells, Companions
from ...needs.quantization import BLOCKS
from ...needs.records import Needs
from ..devices import index_of, share_on_shared
from ..record import Question
from . import MEASURED_PROGRAM, SHORT_CHAT_TOKENS, ReadContext, Speed, Step
from .processor import (
    BANDWIDTH_SHARE,
    bandwidth,
    cores_rate,
    processor_of,
    threads_range,
)
from .ranges import NO_SECONDS, Amount, Range, Seconds, highest, longest, lowest
from .rates import Gpu, gpu_of, layer_from_python, prompt_rates, shared_gpu_of, sum_row
from .tables import pace_tables

# the smallest model measured reads over 100 times as much; below, what a program does beside it
# decides
_LEAST_READ_BYTES = 1 << 20
# of the pace of a chat, what a full context has to leave for nothing to be said of it (assumed)
_ABOUT_AS_FAST = 0.9
_TOO_SMALL = "the program, not the weights, limits the speed of a model this small"
_NO_MEMORY_RATE = "neither the memory bandwidth nor the number of cores could be read"
# what rounding may leave of a model whose layers all lie on GPUs
_ROUNDED = 1e-6
# how far a type may be off to count as the experts' own: MXFP4 in gpt-oss
_EXPERTS_OWN = 0.02


class UsedGpu(NamedTuple):
    """A GPU, and its share of what all used GPUs hold together."""

    share: float
    gpu: Gpu


class ApartExperts(NamedTuple):
    """A step whose experts of so many layers are computed by the processor (`experts`), all else
    by the devices (`rest`).
    """

    experts: Step
    rest: Step
    layers: float


class PromptPace(NamedTuple):
    """How fast a prompt is read (None: not known), and in what time weights cross to the GPUs for
    each batch of it.
    """

    pace: Range | None
    crossing: Seconds = NO_SECONDS


class LaidOut(Record):
    """How a model lies on a machine, and how a program computes it there.

    - `offloaded`: number of an accelerator -> share of the weights that lie on it. The rest is in
      RAM, of a split model `in_ram_bytes`.
    - `batch_tokens`: for so many tokens of a prompt the weights in RAM cross to a GPU once; 0: they
      do not cross, and the processor computes them.
    - `micro_batch`: tokens that are computed at once.
    - `at_once`: each of several GPUs has a part of every layer, instead of whole layers.
    - `experts_apart`: of a mixture, experts are left to the RAM instead of whole layers.
    - `on_shared`: share of the layers that a GPU which shares the RAM computes.
    """

    machine: Machine
    runtime: RuntimeSpec | None = None
    context_tokens: int | None = None
    offloaded: Mapping[int, float] | None = None
    in_ram_bytes: int = 0
    batch_tokens: int = MICRO_BATCH_TOKENS
    micro_batch: int = MICRO_BATCH_TOKENS
    at_once: bool = False
    experts_apart: bool = False
    on_shared: Range = Range.of(1)

    @cached_property
    def gpus(self) -> tuple[UsedGpu, ...]:
        """With shares of what they hold together; () for the processor, and of unknown pace."""
        if not self.offloaded:
            shared = shared_gpu_of(self.machine, self.runtime, is_used=True)
            return () if shared is None else (UsedGpu(1.0, shared),)
        devices = self.machine.cards
        total = sum(self.offloaded.values())
        used = []
        for number, share in self.offloaded.items():
            # those that were not read are no part of the machine
            if number >= len(devices):
                return ()
            gpu = gpu_of(devices[number], self.machine.architecture)
            if gpu is None:
                return ()
            used.append(UsedGpu(share / total, gpu))
        return tuple(used)

    @cached_property
    def in_ram(self) -> Amount:
        """The share of the layers, or of experts, that the processor computes."""
        on_gpus = self.on_shared
        if self.offloaded:
            share = sum(self.offloaded.values())
            on_gpus = Range.of(min(1.0, share))
        if self.is_divided or min(on_gpus) > 1 - _ROUNDED:
            return Amount.of(0)
        low, likely, high = on_gpus
        return Amount(1 - low, 1 - likely, 1 - high)

    @property
    def is_whole(self) -> bool:
        """Whether GPUs compute all layers, if any are used."""
        return max(self.in_ram) == 0

    @property
    def is_divided(self) -> bool:
        """Whether each of several GPUs has a part of every layer."""
        return self.at_once and len(self.gpus) > 1

    @property
    def uses_gpu(self) -> bool:
        """Whether a GPU computes some of it, though its pace may not be known."""
        return bool(self.offloaded or self.gpus)

    @property
    def shares_ram(self) -> bool:
        """Whether the first GPU used shares the RAM."""
        return bool(self.gpus[0].gpu.device.unified)

    def apart(self, step: Step, in_ram: float) -> ApartExperts | None:
        """The step in two parts, where that share of the model lies in RAM; None where whole layers
        are left to the RAM.
        """
        if not self.experts_apart or not self.offloaded:
            return None
        experts = step.experts
        counts = _parameters_read(step)
        read = sum(counts.values())
        besides_experts = read - experts.used
        # parameters of experts on GPUs, which hold all that is no expert first
        parameters_on_gpus = (1 - in_ram) * (besides_experts + experts.all)
        experts_on_gpus = parameters_on_gpus - besides_experts
        if not experts.all or besides_experts <= 0 or experts_on_gpus < 0:
            return None
        share = 1 - min(1.0, experts_on_gpus / experts.all)
        read_in_ram = _bytes_of_experts(step, counts, share)
        rest = dict(step.read_bytes)
        for name, size in read_in_ram.items():
            rest[name] -= size
        in_ram_alone = Step(
            architecture=None, read_bytes=FrozenDict(read_in_ram), foreign=step.foreign
        )
        return ApartExperts(
            experts=in_ram_alone,
            rest=step.replace(read_bytes=FrozenDict(rest)),
            layers=share * experts.layers,
        )

    def seconds(self, step: Step) -> Seconds:
        """Of one token on its GPUs and in RAM."""
        if self.is_divided:
            parts = [self._seconds_of_part(used, step) for used in self.gpus]
            return longest(*parts)
        if self.is_whole:
            return self._seconds_on_gpus(step)
        shares = self.in_ram
        slow = self._seconds_with_ram(step, shares.slow).slow
        likely = self._seconds_with_ram(step, shares.likely)
        fast = self._seconds_with_ram(step, shares.fast).fast
        # the processor may be the faster one: less in RAM is then no faster end
        return Seconds(slow, likely.likely, min(likely.fast, fast))

    def _seconds_of_part(self, used: UsedGpu, step: Step) -> Seconds:
        """Of a GPU's part of every layer, and of adding up the parts."""
        computing = used.gpu.seconds(step, used.share)
        return computing + _summing_seconds(used.gpu, step)

    def _seconds_on_gpus(self, step: Step) -> Seconds:
        """Of a step, or of its part on GPUs, which compute one after the other."""
        taken = NO_SECONDS
        for share, gpu in self.gpus:
            taken += gpu.seconds(step, is_whole=self.is_whole) * share
        return taken

    def _seconds_with_ram(self, step: Step, in_ram: float) -> Seconds:
        """Where that share of the model lies in RAM: the GPUs and the processor take turns."""
        apart = self.apart(step, in_ram)
        on_cores = processor_seconds(
            self.machine, step if apart is None else apart.experts
        )
        assert on_cores is not None, "predict refuses an unknown memory bandwidth"
        if apart is None:
            return self._seconds_on_gpus(step) * (1 - in_ram) + on_cores * in_ram
        figures = pace_tables().split
        taken = self._seconds_on_gpus(apart.rest) + on_cores
        taken += figures.crossing_seconds * apart.layers
        # of the whole step, so that it holds what experts take longer
        return taken._replace(slow=taken.slow * figures.slower)

    def prompt(self, step: Step) -> PromptPace:
        """How fast a prompt is read, and in what time weights cross to the GPUs for each batch.

        What lies in RAM is computed by the processor, or crosses and is computed by the GPUs too.
        """
        on_gpus = self._prompt_on_gpus(step)
        if on_gpus is None:
            return PromptPace(None)
        if self.is_whole:
            return PromptPace(1 / on_gpus)
        if step.foreign is not None:
            # what another program than the one measured does with weights in RAM was not seen
            return PromptPace(None)
        if self.shares_ram or not self.batch_tokens:
            on_cores = processor_prompt(step, self.machine)
            assert on_cores is not None, "the GPUs compute the same operations"
            in_ram = self.in_ram.likely
            taken = on_gpus * (1 - in_ram) + 1 / on_cores * in_ram
            return PromptPace(1 / taken)
        crossing = self.in_ram_bytes / self._copied_per_second(step)
        taken = on_gpus.plus_independent(crossing * (1 / self.batch_tokens))
        return PromptPace(1 / taken, crossing)

    def _prompt_on_gpus(self, step: Step) -> Seconds | None:
        """Seconds of a token of a prompt, were all layers on GPUs; None where that is not known."""
        taken = []
        for share, gpu in self.gpus:
            computed = gpu_prompt(step, gpu, self.micro_batch)
            if computed is None:
                return None
            taken.append(computed * share)
        if self.is_divided:
            return longest(*taken) + self._sending_seconds(step)
        return sum(taken, NO_SECONDS)

    def _sending_seconds(self, step: Step) -> Seconds:
        """Of each token of a prompt whose parts are added up: after attention and after the
        feed-forward network each GPU has a part of every number, in 16 bits (Megatron-LM,
        arXiv 1909.08053, section 3), and sends all of it but its own part twice (NVIDIA,
        nccl-tests, PERFORMANCE.md).
        """
        if step.architecture is None:
            return NO_SECONDS
        numbers = step.layers * step.architecture.embedding_length
        others = 1 - 1 / len(self.gpus)
        summed_gb = 8 * numbers * others / 1e9
        rows = [sum_row(used.gpu.device) for used in self.gpus]
        return longest(*[summed_gb / row.sum_gb_per_s for row in rows])

    def _copied_per_second(self, step: Step) -> Range:
        """Bytes of weights that cross to its GPUs in turn, no faster than the link carries."""
        links = [_link_of(used.gpu) for used in self.gpus]
        low, likely, high = lowest(*links)
        shares = pace_tables().prompt.share_of_link
        # not every expert is chosen in a batch, and so copied
        most = shares.high if step.has_experts else 1.0
        return Range(low * shares.low, likely * shares.likely, high * most)

    def how(self, step: Step) -> str:
        """What the pace rests on, as a clause."""
        hows = [used.gpu.how(step) for used in self.gpus]
        how = " and ".join(units.counted(hows))
        how = f"on {how}"
        if self.shares_ram:
            how += ", which shares the RAM"
        if self.is_divided:
            return (
                f"{how}, each of which reads its part of every layer at the same time"
            )
        memory = bandwidth(self.machine)
        if self.is_whole or memory is None:
            return how
        apart = self.apart(step, self.in_ram.likely)
        if apart is not None:
            layers = f"{apart.layers:.0f} layers"
            return f"{how}, the experts of {layers} in RAM: {memory.how}"
        in_ram = self.in_ram
        on_gpus = units.between(units.percent, 1 - in_ram.slow, 1 - in_ram.fast)
        return f"{on_gpus} of the layers {how}, the rest in RAM: {memory.how}"


def _bytes_of_experts(
    step: Step, counts: Mapping[str, float], share: float
) -> dict[str, int]:
    """The bytes that a step reads of a share of the experts, by type; `counts`: the parameters that
    it reads.

    A type with as many weights as the experts is theirs; else they are of every type like all that
    is read.
    """
    used = step.experts.used
    own_type = _type_of_experts(counts, used)
    if own_type is not None:
        return {own_type: int(share * step.read_bytes[own_type])}
    part = share * used / sum(counts.values())
    return {name: int(part * size) for name, size in step.read_bytes.items()}


def _parameters_read(step: Step) -> dict[str, float]:
    """Parameters that a step reads, by stored type; an unknown type counts as one of 16 bits."""
    counts = {}
    for name, size in step.read_bytes.items():
        values, block_bytes = BLOCKS.get(name, (1, 2))
        counts[name] = size * values / block_bytes
    return counts


def _type_of_experts(counts: Mapping[str, float], used: float) -> str | None:
    """The first type of which as many parameters are read as of experts."""
    for name, count in counts.items():
        if abs(count - used) <= _EXPERTS_OWN * used:
            return name
    return None


def _summing_seconds(gpu: Gpu, step: Step) -> Seconds:
    """Of adding up, layer by layer, what each of several GPUs has computed of a token."""
    of_layer = Seconds(*sum_row(gpu.device).sum_us)
    return of_layer * (1e-6 * step.layers)


def _link_of(gpu: Gpu) -> Range:
    """Bytes a second that cross to a GPU."""
    figures = pace_tables().prompt
    most = gpus.link_bytes_per_second(gpu.device.name)
    if most is None:
        return figures.any_link
    return Range.of(min(most, figures.most_of_link))


def laid_out(question: Question, placed: Needs, machine: Machine) -> LaidOut:
    """How the program of the question computes what is placed so."""
    program = question.runtime
    workload = question.workload
    held_bytes = _weights_by_place(placed)
    total = held_bytes.total()
    in_ram_bytes = held_bytes.pop("host", 0)
    offloaded = {}
    for place, size in held_bytes.items():
        if size:
            offloaded[index_of(place)] = size / total
    gpu_layers = None
    at_once = False
    leaves_experts = False
    if program is not None:
        settings = program.settings_of(workload.runtime_options)
        gpu_layers = settings.get("gpu_layers")
        at_once = "tensor_parallel" in program.command_lines.options
        leaves_experts = program.layers.leaves_experts
        if gpu_layers is not None and "cpu_expert_layers" not in settings:
            # it is told how many layers a GPU has, experts and all
            leaves_experts = False
    cells = _cells(question, placed)
    return LaidOut(
        machine=machine,
        runtime=program,
        context_tokens=workload.context_tokens,
        offloaded=offloaded,
        in_ram_bytes=in_ram_bytes if placed.placement == "split" else 0,
        batch_tokens=cells.batch if cells.copies_weights else 0,
        # as set: a step is bounded by its prompt
        micro_batch=cells.batch,
        at_once=at_once,
        experts_apart=leaves_experts,
        on_shared=_share_on_shared(question, placed, machine, gpu_layers),
    )


def _weights_by_place(placed: Needs) -> Counter[str]:
    """Bytes of weights by place, those in a processor's own layout among them."""
    held_bytes = Counter[str]()
    for term in placed.terms:
        if term.name in ("weights", "repacked_weights"):
            held_bytes[term.where] += term.bytes
    return held_bytes


def _share_on_shared(
    question: Question, placed: Needs, machine: Machine, gpu_layers: str | None
) -> Range:
    """Of the layers, the share that a GPU which shares the RAM computes."""
    architecture = question.spec.architecture
    share = Range.of(1)
    if architecture is None or machine.accelerators == ():
        return share
    program = question.runtime
    if program is None or program.layers.split:
        share = share_on_shared(placed, machine, architecture.layers)
    if gpu_layers:
        # a GPU that shares the RAM gets as many; the output matrix counts as one
        share *= min(1.0, int(gpu_layers) / (architecture.layers + 1))
    return share


def _cells(question: Question, placed: Needs) -> Cells:
    """The cells in the batches that the placed needs are counted for; the usual batch where no
    GGUF file of known layers is loaded.
    """
    case = question.case
    if case is None or question.spec.architecture is None or case.format != "gguf":
        return Cells(tokens=MICRO_BATCH_TOKENS)
    return in_batches(case, placed.batch_tokens).room


def processor_seconds(machine: Machine, step: Step) -> Seconds | None:
    """Of one token that the processor reads from RAM: each core waits for the slower one, memory
    or what it computes. None where nothing tells its bandwidth.
    """
    memory = bandwidth(machine)
    if memory is None:
        return None
    figures = pace_tables().processor
    processor = processor_of(machine)
    token = _token_on_cores(step)
    taken = []
    for rate, threads, share, unpacks_gb_per_s, meeting_seconds in zip(
        memory.ends * BANDWIDTH_SHARE,
        threads_range(machine),
        processor.core_share,
        processor.core.unpacks_gb_per_s,
        figures.thread_seconds,
        strict=True,
    ):
        cores = threads * share
        unpacks_per_second = threads * unpacks_gb_per_s * units.GB
        layer = figures.layer_core_seconds / cores + figures.meeting_seconds
        layer += threads * meeting_seconds
        taken.append(
            token.weights_seconds(rate, cores, unpacks_per_second)
            + token.context_seconds(rate, cores)
            + step.layers * layer
        )
    slow, likely, fast = taken
    if step.has_experts and not memory.measured:
        slow *= figures.experts_slow
    return Seconds(slow, likely, fast)


class _TokenOnCores(NamedTuple):
    """What a token asks of a processor: bytes that are unpacked and others, seconds of one core for
    the weights, of which memory waits for `waited_seconds`, and the context.
    """

    packed_bytes: int
    plain_bytes: int
    core_seconds: float
    waited_seconds: float
    context: ReadContext

    def weights_seconds(
        self, rate: float, cores: float, unpacks_per_second: float
    ) -> float:
        """Of the weights, read at so many bytes a second, by so many cores."""
        unpacking = self.packed_bytes / unpacks_per_second
        reading = self.plain_bytes / rate + self.waited_seconds / cores
        reading += max(self.packed_bytes / rate, unpacking)
        return max(reading, self.core_seconds / cores)

    def context_seconds(self, rate: float, cores: float) -> float:
        """Of the context, read at so many bytes a second, by so many cores."""
        reading = self.context.cached_bytes / rate
        return max(reading, self.context.core_seconds / cores)


def _token_on_cores(step: Step) -> _TokenOnCores:
    tables = pace_tables()
    core_seconds = 0.0
    for name, size in step.read_bytes.items():
        core_seconds += size / (tables.type_called(name).gb_per_s * 1e9)
    waited_seconds = 0.0
    for name, size in step.packed_bytes.items():
        # what cores unpack while memory waits
        unpack_gb_per_s = tables.type_called(name).unpack_gb_per_s
        if unpack_gb_per_s is not None:
            waited_seconds += size / (unpack_gb_per_s * 1e9)
    packed_bytes = sum(step.packed_bytes.values())
    return _TokenOnCores(
        packed_bytes=packed_bytes,
        plain_bytes=step.weights_bytes - packed_bytes,
        core_seconds=core_seconds,
        waited_seconds=waited_seconds,
        context=step.context(),
    )


def processor_prompt(step: Step, machine: Machine) -> Range | None:
    """Tokens of a prompt a second: what its weights compute, and attention. None: its operations
    are not known.
    """
    tables = pace_tables()
    is_wide = processor_of(machine).core.wide
    of_experts = tables.prompt.experts_on_cores
    operations = 0.0
    for name, count in step.parameters_met().items():
        share = tables.prompt_share(name).on(is_wide=is_wide)
        if step.has_experts and name != "MXFP4":
            share *= of_experts.likely
        operations += 2 * count / share
    if operations <= 0:
        return None
    dense = cores_rate(machine) * tables.prompt.reached_on_cores
    rate = dense
    if step.has_experts:
        rate = dense * of_experts.around()
    attending = step.attended() / (dense * tables.batch.attended_on_processor)
    return 1 / (operations / rate + attending)


def gpu_prompt(
    step: Step, gpu: Gpu, batch_tokens: int = MICRO_BATCH_TOKENS
) -> Seconds | None:
    """Seconds of a token of a prompt that a GPU reads in batches of so many tokens; None where
    nothing tells how fast it computes.

    A batch takes the longer of computing its matrices and of reading all weights, then attention,
    and a fixed time for each layer; from Python no less than launching its operations. A mixture
    with a rate of its own (`of_experts`) takes its operations at that rate, and attention.
    """
    rates = prompt_rates(gpu.device, step)
    active = sum(step.parameters_met().values())
    if rates is None or active <= 0:
        return None
    attending = step.attended() / rates.attention
    if rates.of_experts is not None and step.has_experts:
        return 2 * active / rates.of_experts + attending
    batch = step.batch_tokens(batch_tokens)
    computing = 1 / rates.matrices * _operations_of_batch(step, active, batch)
    rate = gpu.peak_bandwidth * gpu.row(step).share
    reading = step.all_weights_bytes() / rate
    of_token = longest(computing, reading) * (1 / batch)
    taken = of_token.plus_independent(attending)
    if step.launched_layers is not None:
        launching = layer_from_python(gpu.device) * step.launched_layers
        return longest(taken, launching * (1 / batch))
    if rates.holds_launching:
        return taken
    launching = pace_tables().prompt.launched_seconds * (step.layers / batch)
    return taken.plus_independent(launching)


def _operations_of_batch(step: Step, active: float, batch: int) -> Amount:
    """Of the matrices, `active` of whose parameters a token meets. Those of an expert are computed
    in tiles: for few tokens they take as long as for a tile.
    """
    if not step.has_experts:
        return Amount.of(2 * active * batch)
    experts = step.experts
    others = max(0.0, active - experts.used) * batch
    of_expert = batch * experts.chosen_share
    operations = []
    for tile in pace_tables().prompt.expert_tile_tokens:
        of_experts = experts.all * hypot(of_expert, tile)
        operations.append(2 * (others + of_experts))
    return Amount(*operations)


class _Expected(NamedTuple):
    """The pace of a step: `taken` by a token, and once the context is `full`; how fast that is, and
    how fast a prompt is read. `by_rules`: of programs that were not measured. `beside`: a clause of
    what may change it.
    """

    taken: Seconds
    full: Seconds
    decode: Range
    prompt: PromptPace
    how: str
    by_rules: bool
    beside: str = ""


def predict(step: Step, way: LaidOut) -> Speed:
    """The pace of that step, laid out like that; without one `how` says why."""
    why_unknown = _why_unknown(step, way)
    if why_unknown is not None:
        return Speed(how=why_unknown)
    expected = _on_gpus(step, way) if way.gpus else _on_processor(step, way)
    if expected is None:
        return Speed(how=_NO_MEMORY_RATE)
    how = expected.how + _context_words(step)
    if expected.by_rules:
        how += f"; by the rules of {MEASURED_PROGRAM}, because {step.foreign} was not measured"
    return Speed(
        decode=expected.decode,
        prompt=expected.prompt.pace,
        crossing_seconds=expected.prompt.crossing.likely,
        full_context_tokens_per_second=_pace_when_full(step, expected),
        how=how + expected.beside,
    )


def _pace_when_full(step: Step, expected: _Expected) -> float | None:
    """Tokens a second once the context is full; None where that is about as fast."""
    if step.architecture is None or not step.depth_tokens:
        return None
    full = expected.full.likely
    if expected.taken.likely >= _ABOUT_AS_FAST * full:
        return None
    return 1 / full


def _context_words(step: Step) -> str:
    """What stands in the context before a step, as a clause."""
    if step.architecture is None:
        return "; with an empty context, because the model's layers are not known"
    if not step.depth_tokens:
        return ""
    tokens = units.tokens(int(step.depth_tokens))
    if step.depth_tokens <= SHORT_CHAT_TOKENS:
        return f"; in a chat of {tokens}"
    return f"; with {tokens} in the context"


def _why_unknown(step: Step, way: LaidOut) -> str | None:
    """Why nothing tells the pace of that step; None where something may."""
    if step.weights_bytes <= 0:
        return "how many bytes each token reads is not known"
    if step.weights_bytes < _LEAST_READ_BYTES:
        return _TOO_SMALL
    if way.offloaded and not way.gpus:
        return f"the memory bandwidth of {_unknown_gpu(way)} is not known"
    if way.gpus and not way.is_whole and bandwidth(way.machine) is None:
        return f"part of it runs in RAM, and {_NO_MEMORY_RATE}"
    return None


def _unknown_gpu(way: LaidOut) -> str:
    """The name of the first GPU that is used and of unknown bandwidth."""
    devices = way.machine.cards
    if devices:
        for number in way.offloaded or ():
            if gpu_of(devices[number]) is None:
                return devices[number].name
    return "the accelerator"


def _at_full_context(step: Step, way: LaidOut) -> Step:
    return step.replace(depth_tokens=max(way.context_tokens or 0, step.depth_tokens))


def _on_gpus(step: Step, way: LaidOut) -> _Expected:
    """With the GPUs, and with the RAM where they do not hold all."""
    taken = way.seconds(step)
    prompt = way.prompt(step)
    beside = ""
    if prompt.crossing.likely:
        batch = units.tokens(way.batch_tokens)
        size = units.decimal(way.in_ram_bytes)
        beside = f"; for each {batch} of a prompt {size} of weights cross to the GPU"
    return _Expected(
        taken=taken,
        full=way.seconds(_at_full_context(step, way)),
        decode=1 / taken,
        prompt=prompt,
        how=way.how(step),
        by_rules=bool(step.foreign) and not _is_measured(step, way),
        beside=beside,
    )


def _is_measured(step: Step, way: LaidOut) -> bool:
    """Whether runs of the program were measured on each of these GPUs alone."""
    if not way.is_whole:
        return False
    return all(used.gpu.row(step).program is not None for used in way.gpus)


def _on_processor(step: Step, way: LaidOut) -> _Expected | None:
    """On the processor; a GPU beside it may be used instead, which a clause says. None where no
    bandwidth is known.
    """
    machine = way.machine
    memory = bandwidth(machine)
    taken = processor_seconds(machine, step)
    full = processor_seconds(machine, _at_full_context(step, way))
    if memory is None or taken is None or full is None:
        return None
    slow, likely, fast = taken
    if step.architecture is None or step.foreign is not None:
        # known less well than the pace of the programs measured
        slow /= pace_tables().general.unseen.least
    prompt = None if processor_of(machine).is_mac else processor_prompt(step, machine)
    beside = ""
    shared = shared_gpu_of(machine, way.runtime)
    if shared is not None:
        # whether the GPU is used is not known: the likely pace stands between the two
        on_shared = shared.seconds(step)
        likely = min(likely, (likely * on_shared.likely) ** 0.5)
        fast = min(fast, on_shared.fast)
        prompt = _prompt_if_shared(step, prompt, shared)
        beside = f"; up to the speed of {shared.device.name}, if it is used"
    decode = 1 / Seconds(slow, likely, fast)
    if prompt is not None:
        # a prompt can be read one token at a time
        prompt = highest(prompt, decode)
    return _Expected(
        taken=taken,
        full=full,
        decode=decode,
        prompt=PromptPace(prompt),
        how=memory.how,
        by_rules=bool(step.foreign),
        beside=beside,
    )


def _prompt_if_shared(step: Step, on_cores: Range | None, shared: Gpu) -> Range | None:
    """How fast a prompt is read where a GPU that shares the RAM may compute it."""
    on_shared = gpu_prompt(step, shared)
    if on_cores is None or on_shared is None:
        return None
    fastest = max(on_cores.high, 1 / on_shared.fast)
    return on_cores._replace(high=fastest)


def pace_of_text(question: Question, placed: Needs, machine: Machine) -> Speed:
    """With the time to the first token, the total of several sequences, the pace with a draft."""
    step = question.step
    assert step is not None, "other work than text has a pace of its own"
    if placed.memory is None and not _has_ram_alone(machine):
        # an accelerator with memory of its own may hold what does not say how much it takes
        how = "where it would run is not known, because its memory need is not known"
        return Speed(how=how)
    way = laid_out(question, placed, machine)
    pace = predict(step, way)
    single = pace.decode
    if single is None:
        return pace
    workload = question.workload
    if workload.prompt_tokens:
        pace = _with_first_token(pace, single, workload.prompt_tokens, way)
    users = workload.parallel
    if question.companions is not None:
        # tokens are proposed for each step; a full context gains as much
        gain = _gain_of_draft(step, way, single, question.companions)
        pace = _with_draft(pace, single, gain, users)
    elif users > 1:
        pace = _with_total(step, users, way, pace, 1 / single)
    if users > 1:
        pace = pace.replace(each_of=users, waiting=0)
    return pace


def _has_ram_alone(machine: Machine) -> bool:
    """Whether surely no accelerator has memory of its own."""
    cards = machine.accelerators
    return cards is not None and all(card.unified is True for card in cards)


def _with_first_token(pace: Speed, single: Range, tokens: int, way: LaidOut) -> Speed:
    """With the time that reading so many tokens and one step take."""
    if pace.prompt is None:
        why = (
            "; its speed of reading prompts is not known, so neither is "
            "the time to the first token"
        )
        return pace.replace(how=pace.how + why)
    reading = 1 / pace.prompt * tokens
    if way.batch_tokens:
        # a part of a batch crosses to a GPU as slowly as a whole one
        batches = tokens / way.batch_tokens
        reading += Seconds.of(pace.crossing_seconds * (ceil(batches) - batches))
    how = f"; a prompt of {units.tokens(tokens)} and one step until the first token"
    first = (reading + 1 / single).lowest_first()
    return pace.replace(first_token_seconds=first, how=pace.how + how)


class _Gain(NamedTuple):
    """How many times as fast a draft makes it, and what that rests on."""

    times: Range
    source: str


def _gain_of_draft(
    step: Step, way: LaidOut, single: Range, companions: Companions
) -> _Gain:
    """The gain of a block of the model itself, or of another model, that proposes tokens."""
    figures = pace_tables().draft
    gain = _Gain(figures.draft_model, "a guess around published runs")
    if companions.draft is None:
        gain = _Gain(figures.own_block, "43 published runs on GPUs")
    if not step.has_experts:
        return gain
    times = gain.times * (1 / _verifying(step, way, 1 / single))
    source = f"{gain.source}, less the experts that each proposed token reads"
    return _Gain(times, source)


def _with_draft(pace: Speed, single: Range, gain: _Gain, users: int) -> Speed:
    """The pace where something proposes tokens."""
    how = pace.how
    if users > 1:
        how += f"; the total of {users:,} sequences at once with a draft is not known"
    times = gain.times
    how += (
        f"; with a draft {times.low:.2g} to {times.high:.2g} times as fast ({gain.source}):"
        " code gains more, free text less"
    )
    full_context = pace.full_context_tokens_per_second
    if full_context is not None:
        full_context *= times.likely
    return pace.replace(
        decode=single * times,
        how=how,
        full_context_tokens_per_second=full_context,
        undrafted_tokens_per_second=single.likely,
    )


def _verifying(step: Step, way: LaidOut, single: Seconds) -> Amount:
    """How many times as long as a token of a mixture a step takes that verifies all proposed tokens
    and one more: each of them chooses experts of its own, whose weights are read too.
    """
    experts = _read_experts(step, DRAFTED_TOKENS + 1)
    reading = _reading_seconds(_alone(step), way)
    share = experts.share * min(1.0, reading / single.likely)
    longer = [1 + share * (growth - 1) for growth in experts.growth]
    return Amount(*longer)


def _alone(step: Step) -> Step:
    """The step with nothing in the context."""
    return step.replace(prompt_tokens=0, depth_tokens=0)


def _reading_seconds(alone: Step, way: LaidOut) -> float:
    """What of a step of known pace reading its weights takes: what twice as many take more."""
    doubled_bytes = {name: 2 * size for name, size in alone.read_bytes.items()}
    doubled = alone.replace(read_bytes=doubled_bytes)
    seconds = _likely_seconds(doubled, way) - _likely_seconds(alone, way)
    return max(0.0, seconds)


def _likely_seconds(step: Step, way: LaidOut) -> float:
    """Of a step of known pace."""
    decode = predict(step, way).decode
    assert decode is not None
    return 1 / decode.likely


def _with_total(
    step: Step, users: int, way: LaidOut, pace: Speed, single: Seconds
) -> Speed:
    """With the pace of so many sequences together. `single`: a token of one sequence alone.

    A step takes what one sequence takes, for each further one its own computing, context and
    serving, and the experts that more tokens read.
    """
    alone = _alone(step)
    # a few tokens at once are no prompt where weights lie in RAM: none cross for them
    in_place = way.replace(batch_tokens=0)
    empty = predict(alone, in_place)
    if empty.prompt is None or empty.decode is None:
        how = (
            f"{pace.how}; the total of {users:,} sequences at once is not known, because its"
            " speed of reading prompts is not known"
        )
        return pace.replace(how=how)
    # what memory gives and what computing takes have nothing to do with each other
    next_one = 1 / empty.prompt * _batch_factor(step, way, pace)
    if step.replays:
        # what the program takes for each beside the model
        next_one += pace_tables().batch.sequence_seconds
    context = max(0.0, single.likely - 1 / empty.decode.likely)
    next_one += Seconds.of(context)
    experts = _read_experts(step, users)
    reading_experts = experts.share * _reading_seconds(alone, in_place)
    # a sequence more never costs more than a step of its own: it can be decoded after others
    most = single.likely - reading_experts
    rates = []
    for end, growth in zip(next_one, experts.growth, strict=True):
        another = max(0.0, min(end, most))
        taken = single.likely + (users - 1) * another
        taken += reading_experts * (growth - 1)
        rates.append(users / taken)
    how = (
        f"{pace.how}; of {users:,} sequences at once an estimate: the weights are read once, and"
        " each sequence is computed, reads its context and is served"
    )
    return pace.replace(parallel_total=_ends_of_total(rates, single), how=how)


def _ends_of_total(rates: Sequence[float], single: Seconds) -> Range:
    """A total whose ends are as far apart as those of one sequence, too, and not below its pace."""
    slow, likely, fast = rates
    total = Range(min(slow, likely), likely, max(fast, likely))
    of_one = 1 / single
    ends = total * of_one.around()
    low = max(1 / single.slow, ends.low)
    return Range(min(likely, low), likely, ends.high)


def _batch_factor(step: Step, way: LaidOut, pace: Speed) -> Amount:
    """How many times as long a token takes as one of a prompt, where several are computed."""
    factors = pace_tables().token
    if pace.crossing_seconds or not way.uses_gpu:
        return factors.processor
    if step.has_experts:
        return factors.graph_experts if step.replays else factors.gpu_experts
    # dense models are as slow as in llama.cpp on chips that share the RAM, whatever the program
    if step.replays and way.offloaded:
        return factors.graph
    return factors.gpu


class _ReadExperts(NamedTuple):
    """The share of what a token reads that is experts', and how many times as much several read."""

    share: float
    growth: Amount


def _read_experts(step: Step, tokens: int) -> _ReadExperts:
    """What so many tokens read, of which each chooses experts.

    Of experts of which a token uses the share `c`, `n` tokens use `1 - (1 - c)^n`, if each chooses
    by chance.
    """
    experts = step.experts
    if not step.parameters or not step.has_experts or not experts.all:
        return _ReadExperts(0.0, Amount.of(1))
    growths = []
    for preferred in pace_tables().batch.preferred:
        chosen = min(1.0, experts.chosen_share / preferred)
        growths.append((1 - (1 - chosen) ** tokens) / chosen)
    share = min(1.0, experts.used / step.parameters)
    return _ReadExperts(share, Amount(*growths))
