"""The pace of text where it is placed: on the processor, on GPUs one after the other or at once, on
a GPU that shares the RAM, with layers or experts in RAM; of a step, of reading a prompt, of several
sequences at once and with a draft.

llama.cpp 0c1e570: ggml_backend_sched_split_graph (ggml/src/ggml-backend.cpp) hands what reads a
weight in RAM, and what lies between, to a device whose `offload_op` wants it: CUDA, HIP, Vulkan,
SYCL from 32 tokens on. Of a mixture that a GPU does not hold, common_params_fit_impl
(common/fit.cpp) leaves experts of some layers to the RAM, where the processor computes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from math import ceil, hypot

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import FrozenDict, Record
from ...machine import gpus
from ...machine.record import Machine
from ...needs import case as needs_case
from ...needs import in_batches
from ...needs.quantization import BLOCKS
from ...needs.records import Needs
from ..devices import index_of, share_on_shared
from ..record import Question
from . import (
    MEASURED_PROGRAM,
    NOTHING,
    PLAIN_TYPES,
    SAME,
    SHORT_CHAT_TOKENS,
    Range,
    Speed,
    Step,
    constant,
    expert_parameters,
    longest,
)
from .rates import (
    BANDWIDTH_SHARE,
    Gpu,
    bandwidth,
    cores_rate,
    efficiency,
    gpu_of,
    processor_of,
    shared_gpu_of,
    threads_range,
)

# the smallest model measured reads over 100 times as much; below, what a program does beside it
# decides
_LEAST_READ_BYTES = 1 << 20
# of the pace of a chat, what a full context has to leave for nothing to be said of it (assumed)
_ABOUT_AS_FAST = 0.9
_TOO_SMALL = "the program, not the weights, limits the speed of a model this small"
_NO_MEMORY_RATE = "neither the memory bandwidth nor the number of cores could be read"
# tokens of a prompt that llama.cpp computes at once (common/common.h, n_ubatch)
BATCH_TOKENS = 512


# by whether the model proposes tokens itself: the key of what it gains, and where that is from
_DRAFTS = {
    "own_block": "43 published runs on GPUs",
    "draft_model": "a guess around published runs",
}


class LaidOut(Record):
    """How a model lies on a machine, and how a program computes it there.

    `offloaded`: number of an accelerator -> share of the layers that lie on it; the rest is in RAM,
    `in_ram_bytes` of the weights, which cross for each `batch_tokens` of a prompt; 0: the prompt is
    computed where the weights lie. `at_once`: each of several has a part of every layer, instead of
    whole layers. `experts_apart`: of a mixture, experts are left to the RAM instead of whole
    layers. `on_shared`: share of the layers that a GPU which shares the RAM computes.
    """

    machine: Machine
    runtime: RuntimeSpec | None = None
    context_tokens: int | None = None
    offloaded: Mapping[int, float] | None = None
    in_ram_bytes: int = 0
    batch_tokens: int = BATCH_TOKENS
    at_once: bool = False
    experts_apart: bool = False
    on_shared: Range = SAME

    @cached_property
    def gpus(self) -> tuple[tuple[float, Gpu], ...]:
        """With shares of what they hold together; () for the processor, and of unknown pace."""
        machine, devices = self.machine, self.machine.accelerators or ()
        if not self.offloaded:
            shared = shared_gpu_of(machine, self.runtime, is_used=True)
            return () if shared is None else ((1.0, shared),)
        total, used = sum(self.offloaded.values()), list[tuple[float, Gpu]]()
        for number, share in self.offloaded.items():
            # those that were not read are no part of the machine
            own = [gpu_of(card, machine.architecture) for card in devices[number:][:1]]
            if not own or own[0] is None:
                return ()
            used.append((share / total, own[0]))
        return tuple(used)

    @cached_property
    def in_ram(self) -> Range:
        """Of the layers, or experts, what the processor computes, but for what rounding leaves."""
        held = SAME * min(1.0, sum(self.offloaded.values())) if self.offloaded else self.on_shared
        is_whole = self.is_divided or min(held) > 1 - 1e-6
        return NOTHING if is_whole else Range(*(1 - each for each in held))

    @property
    def is_divided(self) -> bool:
        """Whether each of several GPUs has a part of every layer."""
        return self.at_once and len(self.gpus) > 1

    def apart(self, step: Step, in_ram: float) -> tuple[Step, Step, float] | None:
        """The processor's step of the experts of so many layers, and the devices' of the rest; None
        where whole layers are left to the RAM. A type with as many weights as the experts, but for
        2 %, is theirs, as MXFP4 in gpt-oss; else they are of every type like the whole.
        """
        if not (self.experts_apart and self.offloaded):
            return None
        experts, used, layers = expert_parameters(step.architecture, step.expert_matrices)
        counts = dict[str, float]()
        for name, size in step.read_bytes.items():
            # an unknown type counts as one of 16 bits
            values, block_bytes = BLOCKS.get(name, (1, 2))
            counts[name] = size * values / block_bytes
        read = sum(counts.values())
        held = (1 - in_ram) * (read - used + experts) - (read - used)
        if not experts or read <= used or held < 0:
            return None
        share = 1 - min(1.0, held / experts)
        own = [name for name, count in counts.items() if abs(count - used) <= 0.02 * used][:1]
        part = share if own else share * used / read
        theirs = {name: int(part * step.read_bytes[name]) for name in own or step.read_bytes}
        rest = {name: size - theirs.get(name, 0) for name, size in step.read_bytes.items()}
        beside = Step(architecture=None, read_bytes=FrozenDict(theirs), foreign=step.foreign)
        return beside, step.replace(read_bytes=FrozenDict(rest)), share * layers

    def seconds(self, step: Step) -> Range:
        """Of one token on its GPUs and in RAM."""
        if self.is_divided:
            # its part of every layer, and adding up the parts
            return longest(*(
                gpu.seconds(step, share)
                + Range(*efficiency("together", gpu.device)["sum_us"]) * (1e-6 * step.layers)
                for share, gpu in self.gpus
            ))  # fmt: skip
        taken = list[Range]()
        for in_ram in self.in_ram:
            experts, rest, layers = self.apart(step, in_ram) or (step, step, None)
            is_whole = self.in_ram == NOTHING
            parts = [gpu.seconds(rest, is_whole=is_whole) * share for share, gpu in self.gpus]
            on_gpus = sum(parts, NOTHING)
            beside = processor_seconds(self.machine, experts) if self.in_ram != NOTHING else None
            if beside is None:
                taken.append(on_gpus)
            elif layers is None:
                taken.append(on_gpus * (1 - in_ram) + beside * in_ram)
            else:
                slow, likely, fast = (
                    on_gpus + beside + constant("split", "crossing_seconds") * layers
                )
                # of the whole step, so that it holds what experts take longer
                taken.append(Range(slow * constant("split", "slower"), likely, fast))
        return Range(taken[0].low, taken[1].likely, min(taken[1].high, taken[2].high))

    def prompt(self, step: Step) -> tuple[Range | None, Range]:
        """How fast a prompt is read, and in what time weights cross to the GPUs for each batch."""
        computed = [_gpu_prompt(step, gpu) for _, gpu in self.gpus]
        taken = [
            each * share
            for each, (share, _) in zip(computed, self.gpus, strict=True)
            if each is not None
        ]
        is_whole = self.in_ram == NOTHING
        # what another program than the one measured does with weights in RAM was not seen
        if len(taken) < len(self.gpus) or not (is_whole or step.foreign is None):
            return None, NOTHING
        on_gpus = sum(taken, NOTHING)
        if self.is_divided:
            # after attention and after the feed-forward network each has a part of every number, in
            # 16 bits (Megatron-LM, arXiv 1909.08053, section 3), and sends all of it but its own
            # part twice (NVIDIA, nccl-tests, PERFORMANCE.md)
            links = [Range(*efficiency("together", gpu.device)["sum_gb_s"]) for _, gpu in self.gpus]
            width = 0 if step.architecture is None else step.architecture.embedding_length
            summed_gb = 8 * step.layers * width * (len(taken) - 1) / len(taken) / 1e9
            on_gpus = longest(*taken) + longest(*(summed_gb / gb_per_s for gb_per_s in links))
        if is_whole:
            return 1 / on_gpus.ordered(), NOTHING
        if self.gpus[0][1].device.unified or not self.batch_tokens:
            on_cores, rest = processor_prompt(step, self.machine), self.in_ram.likely
            if on_cores is None:
                return None, NOTHING
            return 1 / (on_gpus * (1 - rest) + 1 / on_cores * rest).ordered(), NOTHING
        crossing = self.in_ram_bytes / self._copied_per_second(has_experts=step.has_experts)
        # independent parts: the ends add up as squares
        each = crossing * (1 / self.batch_tokens)
        slow, fast = (hypot(on_gpus[end] - on_gpus[1], each[end] - each[1]) for end in (0, 2))
        likely = on_gpus.likely + each.likely
        return 1 / Range(likely + slow, likely, likely - fast).ordered(), crossing

    def _copied_per_second(self, *, has_experts: bool) -> Range:
        """Of weights that cross to its GPUs in turn, no faster than the link carries."""
        links = list[Range]()
        for name in {gpu.device.name for _, gpu in self.gpus}:
            link = gpus.link_bytes_per_second(name)
            most = None if link is None else min(link, constant("read_prompt", "most_of_link"))
            links.append(constant("read_prompt", "any_link") if most is None else SAME * most)
        slow, likely, fast = map(min, zip(*links, strict=True))
        shares = constant("read_prompt", "share_of_link")
        most_of_fast = shares.high if has_experts else 1.0
        return Range(slow * shares.low, likely * shares.likely, fast * most_of_fast)

    def how(self, step: Step) -> str:
        """What the pace rests on, as a clause."""
        how = f"on {' and '.join(units.counted([gpu.how(step) for _, gpu in self.gpus]))}"
        if self.gpus[0][1].device.unified:
            how += ", which shares the RAM"
        if self.is_divided:
            return f"{how}, each of which reads its part of every layer at the same time"
        memory = bandwidth(self.machine)
        if self.in_ram == NOTHING or memory is None:
            return how
        apart = self.apart(step, self.in_ram.likely)
        if apart is not None:
            return f"{how}, the experts of {apart[2]:.0f} layers in RAM: {memory.how}"
        held = units.between(units.percent, 1 - self.in_ram.low, 1 - self.in_ram.high)
        return f"{held} of the layers {how}, the rest in RAM: {memory.how}"


def laid_out(question: Question, placed: Needs, machine: Machine) -> LaidOut:
    """How the program of the question computes what is placed so."""
    program, architecture = question.runtime, question.spec.architecture
    options, batch_tokens, on_shared = question.workload.runtime_options, BATCH_TOKENS, SAME
    at_once = leaves_experts = False
    # bytes of weights by place, those in a processor's own layout among them
    held = Counter[str]()
    for term in placed.terms:
        if term.name in ("weights", "repacked_weights"):
            held[term.where] += term.bytes
    total, in_ram_bytes = held.total(), held.pop("host", 0)
    settings = program.settings_of(options) if program is not None else {}
    gpu_layers = settings.get("gpu_layers")
    if architecture is not None and machine.accelerators != ():
        if program is None or program.splits_layers:
            on_shared = Range(*share_on_shared(placed, machine, architecture.layers))
        if gpu_layers:
            # a GPU that shares the RAM gets as many; the output matrix counts as one
            on_shared *= min(1.0, int(gpu_layers) / (architecture.layers + 1))
    if question.case is not None and architecture is not None and question.case.format == "gguf":
        room = in_batches(question.case, placed.batch_tokens).room
        batch_tokens = room.batch if room.copies_weights else 0
    if program is not None:
        at_once = "tensor_parallel" in program.options
        # not where it is told how many layers a GPU has, experts and all
        is_told = gpu_layers is None or "cpu_expert_layers" in settings
        leaves_experts = program.leaves_experts and is_told
    return LaidOut(
        machine=machine,
        runtime=program,
        context_tokens=question.workload.context_tokens,
        offloaded={index_of(place): size / total for place, size in held.items() if size},
        in_ram_bytes=in_ram_bytes if placed.placement == "split" else 0,
        batch_tokens=batch_tokens,
        at_once=at_once,
        experts_apart=leaves_experts,
        on_shared=on_shared,
    )


def processor_seconds(machine: Machine, step: Step) -> Range | None:
    """Of one token that the processor reads from RAM: each core waits for the slower one, memory
    or what it computes. None where nothing tells its bandwidth.
    """
    memory = bandwidth(machine)
    if memory is None:
        return None
    rows, figures, processor = constant("type"), constant("processor"), processor_of(machine)
    (cached_bytes, attending), read = step.context(), step.read_bytes
    packed = {name: size for name, size in read.items() if name not in PLAIN_TYPES}
    packed_bytes = sum(packed.values())
    plain_bytes = sum(read.values()) - packed_bytes
    core_seconds = sum(
        size / (rows.get(name, rows["F16"])["gb_s"] * 1e9) for name, size in read.items()
    )
    # what cores unpack while memory waits
    waited = sum(
        size / (rows[name]["unpack_gb_s"] * 1e9)
        for name, size in packed.items()
        if "unpack_gb_s" in rows.get(name, {})
    )
    taken = []
    for rate, threads, share, unpacks, waits in zip(
        memory.ends * BANDWIDTH_SHARE,
        threads_range(machine),
        processor.core_share,
        (rate * units.GB for rate in processor.core.unpacks_gb_per_s),
        figures["thread_seconds"],
        strict=True,
    ):
        cores = threads * share
        weights = plain_bytes / rate + waited / cores
        weights += max(packed_bytes / rate, packed_bytes / (threads * unpacks))
        reading = max(weights, core_seconds / cores) + max(cached_bytes / rate, attending / cores)
        layer = figures["layer_core_seconds"] / cores + figures["meeting_seconds"]
        taken.append(reading + step.layers * (layer + threads * waits))
    if step.has_experts and not memory.measured:
        taken[0] *= figures["experts_slow"]
    return Range(*taken)


def processor_prompt(step: Step, machine: Machine) -> Range | None:
    """What its weights compute and attention; None: its operations are not known."""
    operations, rows = 0.0, constant("type")
    column = 0 if processor_of(machine).core.wide else 1
    slow, usual, fast = constant("read_prompt", "experts_on_cores")
    for name, count in step.parameters_met().items():
        share = rows.get(name, {}).get("prompt", rows["F16"]["prompt"])[column]
        is_expert = step.has_experts and name != "MXFP4"
        operations += 2 * count / share / (usual if is_expert else 1.0)
    if operations <= 0:
        return None
    dense: Range = cores_rate(machine) * constant("read_prompt", "reached_on_cores")
    rate = dense * Range(slow / usual, 1.0, fast / usual) if step.has_experts else dense
    attending, reached = step.attended(), dense * constant("batch", "attended_on_processor")
    ends = zip(rate, reached, strict=True)
    return 1 / Range(*(operations / own + attending / other for own, other in ends)).ordered()


def _gpu_prompt(step: Step, gpu: Gpu) -> Range | None:
    """Seconds of a token of a prompt on a GPU; None where nothing tells how fast it computes."""
    operations, device = 2 * sum(step.parameters_met().values()), gpu.device
    row = efficiency("share", device, step.foreign or "", work="prompt")
    measured = None if "program" in row else gpus.fact_of(device.name, "prompt_tflops")
    peak = gpus.peak_flops(device.name, gpus.capability_of(device))
    if measured is not None:
        row, peak = constant("measured_prompt"), measured * 1e12
    if operations <= 0 or peak is None:
        return None
    kind = "experts" if step.has_experts else "share"
    computed = operations / (Range(*row[kind]) * peak)
    reached: Range = Range(*row["share"]) * peak * constant("batch", "attended_on_gpu")
    computed += step.attended() / reached
    if "program" in row:
        # the shares of other programs hold what launching takes
        return computed
    slow, usual, fast = constant("read_prompt", "launched_seconds")
    launched = Range(usual if step.has_experts else slow, usual, fast)
    return computed + launched * (step.layers / BATCH_TOKENS)


def predict(step: Step, way: LaidOut) -> Speed:
    """The pace of that step, laid out like that; without one `how` says why."""
    why_unknown = _why_unknown(step, way)
    if why_unknown is not None:
        return Speed(how=why_unknown)
    at_full = step.replace(depth_tokens=max(way.context_tokens or 0, step.depth_tokens))
    memory, crossing, by_rules, beside = bandwidth(way.machine), NOTHING, bool(step.foreign), ""
    if way.gpus:
        taken, full, how = way.seconds(step), way.seconds(at_full), way.how(step)
        decode, (prompt, crossing) = 1 / taken.ordered(), way.prompt(step)
        if crossing.likely:
            size, batch = units.decimal(way.in_ram_bytes), units.tokens(way.batch_tokens)
            beside = f"; for each {batch} of a prompt {size} of weights cross to the GPU"
        is_seen = way.in_ram == NOTHING and all("program" in gpu.row(step) for _, gpu in way.gpus)
        by_rules &= not is_seen
    else:
        own, own_full = (
            processor_seconds(way.machine, step),
            processor_seconds(way.machine, at_full),
        )
        if memory is None or own is None or own_full is None:
            return Speed(how=_NO_MEMORY_RATE)
        taken, full, how = own, own_full, memory.how
        decode, prompt, beside = _on_processor(step, way, taken)
    tokens, is_deep = units.tokens(int(step.depth_tokens)), False
    if step.architecture is None:
        how += "; with an empty context, because the model's layers are not known"
    elif step.depth_tokens:
        is_short = step.depth_tokens <= SHORT_CHAT_TOKENS
        how += f"; in a chat of {tokens}" if is_short else f"; with {tokens} in the context"
        is_deep = taken.likely < _ABOUT_AS_FAST * full.likely
    if by_rules:
        how += f"; by the rules of {MEASURED_PROGRAM}, because {step.foreign} was not measured"
    return Speed(
        decode=decode,
        prompt=prompt,
        crossing_seconds=crossing.likely,
        full_context_tokens_per_second=1 / full.likely if is_deep else None,
        how=how + beside,
    )


def _why_unknown(step: Step, way: LaidOut) -> str | None:
    """Why nothing tells the pace of that step; None where something may."""
    read_bytes, cards = sum(step.read_bytes.values()), way.machine.accelerators
    if read_bytes < _LEAST_READ_BYTES:
        return _TOO_SMALL if read_bytes > 0 else "how many bytes each token reads is not known"
    if not way.gpus and way.offloaded:
        used = (cards[number] for number in way.offloaded if cards)
        names = [card.name for card in used if gpu_of(card) is None] or ["the accelerator"]
        return f"the memory bandwidth of {names[0]} is not known"
    if way.gpus and way.in_ram != NOTHING and bandwidth(way.machine) is None:
        return f"part of it runs in RAM, and {_NO_MEMORY_RATE}"
    return None


def _on_processor(step: Step, way: LaidOut, taken: Range) -> tuple[Range, Range | None, str]:
    """The paces of a token and of a prompt; a GPU beside it may be used instead, which a clause
    says.
    """
    machine, how = way.machine, ""
    slow, likely, fast = taken
    if step.architecture is None or step.foreign is not None:
        # known less well than the pace of the programs measured
        slow /= constant("unseen")[0]
    prompt = None if processor_of(machine).is_mac else processor_prompt(step, machine)
    shared = shared_gpu_of(machine, way.runtime)
    if shared is not None:
        # whether the GPU is used is not known: the likely pace stands between the two
        _, usual, least = shared.seconds(step)
        likely, fast = min(likely, (likely * usual) ** 0.5), min(fast, least)
        beside = _gpu_prompt(step, shared)
        if prompt is not None:
            prompt = prompt and beside and prompt._replace(high=max(prompt.high, 1 / beside.high))
        how = f"; up to the speed of {shared.device.name}, if it is used"
    decode = 1 / Range(slow, likely, fast).ordered()
    # a prompt can be read one token at a time
    return decode, prompt and Range(*map(max, prompt, decode)), how


def pace_of_text(question: Question, step: Step, placed: Needs, machine: Machine) -> Speed:
    """With the time to the first token, the total of several sequences, the pace with a draft."""
    cards, workload, companions = machine.accelerators, question.workload, question.companions
    if placed.memory is None and (cards is None or any(card.unified is not True for card in cards)):
        # an accelerator with memory of its own may hold what does not say how much it takes
        return Speed(how="where it would run is not known, because its memory need is not known")
    way = laid_out(question, placed, machine)
    pace = predict(step, way)
    single = pace.decode
    if single is None:
        return pace
    tokens, number = workload.prompt_tokens, workload.parallel
    if tokens and pace.prompt is None:
        why = (
            "; its speed of reading prompts is not known, so neither is the time to the first token"
        )
        pace = pace.replace(how=pace.how + why)
    elif tokens and pace.prompt is not None:
        read, rest = 1 / pace.prompt * tokens, NOTHING
        if way.batch_tokens:
            # a part of a batch crosses to a GPU as slowly as a whole one
            batches = tokens / way.batch_tokens
            rest = SAME * (pace.crossing_seconds * (ceil(batches) - batches))
        how = f"; a prompt of {units.tokens(tokens)} and one step until the first token"
        first = Range(*(read + rest + 1 / single).ordered()[::-1])
        pace = pace.replace(first_token_seconds=first, how=pace.how + how)
    if companions is not None:
        # tokens are proposed for each step; a full context gains as much
        key = "own_block" if companions.draft is None else "draft_model"
        source = _DRAFTS[key]
        gain, full = constant("draft", key), pace.full_context_tokens_per_second
        if step.has_experts:
            gain *= 1 / _verifying(step, way, 1 / single)
            source += ", less the experts that each proposed token reads"
        how = pace.how
        if number > 1:
            how += f"; the total of {number:,} sequences at once with a draft is not known"
        how += (
            f"; with a draft {gain.low:.2g} to {gain.high:.2g} times as fast ({source}):"
            " code gains more, free text less"
        )
        pace = pace.replace(
            decode=single * gain,
            how=how,
            full_context_tokens_per_second=full and full * gain[1],
            undrafted_tokens_per_second=single.likely,
        )
    elif number > 1:
        pace = _with_total(step, number, way, pace, 1 / single)
    return pace.replace(each_of=number, waiting=0) if number > 1 else pace


def _verifying(step: Step, way: LaidOut, single: Range) -> Range:
    """How many times as long as a token of a mixture a step takes that verifies all proposed tokens
    and one more: each of them chooses experts of its own, whose weights are read too.
    """
    alone = step.replace(prompt_tokens=0, depth_tokens=0)
    reading = _reading_seconds(alone, way)
    if reading is None:
        return SAME
    share, growths = _growths(step, needs_case.DRAFTED_TOKENS + 1)
    slow, likely, fast = (
        1 + share * min(1.0, reading / single.likely) * (growth - 1) for growth in growths
    )
    return Range(slow, likely, fast)


def _reading_seconds(alone: Step, way: LaidOut) -> float | None:
    """What of a step reading its weights takes: what twice as many take more; None if not known."""
    doubled = {name: 2 * size for name, size in alone.read_bytes.items()}
    once = predict(alone, way).decode
    twice = predict(alone.replace(read_bytes=doubled), way).decode
    if once is None or twice is None:
        return None
    longer: float = 1 / twice.likely - 1 / once.likely
    return max(0.0, longer)


def _with_total(step: Step, number: int, way: LaidOut, pace: Speed, single: Range) -> Speed:
    """`single`: the seconds of a token of one sequence alone."""
    what = f"; the total of {number:,} sequences at once"
    alone = step.replace(prompt_tokens=0, depth_tokens=0)
    # a few tokens at once are no prompt where weights lie in RAM: none cross for them
    in_place = way.replace(batch_tokens=0)
    empty, reading = predict(alone, in_place), _reading_seconds(alone, in_place)
    prompt, shared = empty.prompt, shared_gpu_of(way.machine, way.runtime, is_used=True)
    if prompt is None or empty.decode is None or reading is None:
        return pace.replace(
            how=f"{pace.how}{what} is not known, because its speed of reading prompts is not known"
        )
    # dense models are as slow as in llama.cpp on chips that share the RAM, whatever the program
    program = "graph" if step.replays and (way.offloaded or step.has_experts) else "gpu"
    if pace.crossing_seconds or not (way.offloaded or shared):
        program = "processor"
    elif step.has_experts:
        program += "_experts"
    # what memory gives and what computing takes have nothing to do with each other
    token = 1 / prompt * constant("token", program)
    usual = (1 / empty.decode).likely
    context = max(0.0, single.likely - usual)
    share, growths = _growths(step, number)
    # what the program takes for each beside the model
    served = constant("batch", "sequence_seconds") if step.replays else NOTHING
    rates = list[float]()
    for each, growth in zip(token + served + SAME * context, growths, strict=True):
        # a sequence more never costs more than a step of its own: it can be decoded after others
        next_one = max(0.0, min(each, single.likely - share * reading))
        grown = share * reading * (growth - 1)
        rates.append(number / (single.likely + (number - 1) * next_one + grown))
    slow, likely, fast = rates
    ends = Range(min(slow, likely), likely, max(fast, likely)) * (1 / single * single.likely)
    how = (
        f"{pace.how}; of {number:,} sequences at once an estimate: the weights are read once, and"
        " each sequence is computed, reads its context and is served"
    )
    low = min(likely, max(1 / single.low, ends.low))
    return pace.replace(parallel_total=Range(low, likely, ends.high), how=how)


def _growths(step: Step, number: int) -> tuple[float, Range]:
    """The share of what a token reads that is experts', and how many times as much so many read."""
    architecture, active = step.architecture, step.parameters
    if architecture is None or not active or not step.has_experts:
        return 0.0, SAME
    _, met, _ = expert_parameters(architecture, step.expert_matrices)
    largest = max(architecture.feed_forward, key=lambda group: group.experts or 0)
    used, experts = largest.used or 1, largest.experts or 1
    chosen = [min(1.0, used / (experts * each)) for each in constant("batch", "preferred")]
    slow, likely, fast = ((1 - (1 - each) ** number) / each for each in chosen)
    return min(1.0, met / active), Range(slow, likely, fast)
