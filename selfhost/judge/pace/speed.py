"""How fast a model would go on a processor: prompt and decode in tokens per second, as ranges.

The rules and their constants were measured with llama.cpp 0c1e570, CPU backend, on two threads of
an x86-64 server (Zen 5, AVX-512): 32 decode runs, median error 6 %, worst 17 %; on a second host 93
readings of the bandwidth beside 56 runs, median 5 %, 89 within 20 %. How other processors compare,
and what memory bandwidth a machine has that was not measured, are wide bounds that hold runs other
people published. Both sets are in `tests/truth/speed.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...catalogue.spec import Architecture
from ...core import units
from ...core.records import FrozenDict, Record
from ...machine.record import RATE_ASSUMED, Accelerator, Machine
from ...needs.records import Needs
from ..placement.devices import is_built_for, reaches
from .memory_bandwidth import BANDWIDTH_SHARE, CLIENT_PEAKS, Bandwidth, bandwidth, core_shares
from .processor import (
    ANY_APPLE,
    any_apple_peaks,
    apple_chip_in,
    chip_of,
    core_of,
    has_sockets,
    is_client_by_class,
    is_guest,
    named_processor,
    on_apple_gpu,
    threads_range,
)
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from ..ranges import Range
    from .graphics import Gpu, Peak

# of a Mac of which no accelerator was read
_APPLE_GPU = Accelerator(vendor="apple", name="its GPU", unified=True)
# what a layer takes beside its weights: of one core, and of all of them to meet, at the slow end,
# likely and at the fast end for each thread: 54 runs here on 1 and 2 threads, 18 published on 8 of
# a Ryzen 7 7840HS, and servers of 64 to 192 cores (EPYC 9554, Threadripper PRO 7995WX, AmpereOne)
_LAYER_CORE_SECONDS, _MEETING_SECONDS, _THREAD_SECONDS = 160e-6, 40e-6, (5e-6, 1e-6, 0.0)
# builds for cores with AVX512-FP16 take small heads number by number, at the slow end: half of what
# it took an Emerald Rapids (EXAONE 4.0 1.2B, `measured_deep` of tests/truth/speed.json)
_SMALL_HEADS_LONGER = 1.8
# of a step with experts on a processor whose memory was not measured, at the slow end: 17 runs lie
# at 0.35 to 1.1 of what dense models reach there, half of them at 1; programs differ in how they
# gather experts, whose matrices are small
_EXPERTS_SLOW = 1.3
# what people compare with: a question and the answer to it
SHORT_CHAT_TOKENS = 256
# of the pace of a chat, what a full context has to leave for nothing to be said of it (assumed)
_ABOUT_AS_FAST = 0.9
# of a share, what rounding leaves
NO_REST = 1e-6
# of what a core computes on a long prompt with weights of Q4_K, by type, in the layout that
# llama.cpp gives them by default: on vectors of 512 bits (242 x 10^9 operations a second on Zen 5;
# a Granite Rapids within a fifth but for Q4_0 and IQ4_NL), and on others (the same Granite Rapids
# without AVX-512, tests/truth/compute.json). Half of it for experts, that see few tokens each
# (Qwen3 30B-A3B; that run is not among the recorded ones)
PROMPT_SHARES: Mapping[str, tuple[float, float]] = {
    "Q4_0": (1.16, 0.78), "Q4_K": (1.0, 1.0), "Q2_K": (0.88, 0.92), "Q3_K": (1.24, 1.04),
    "Q5_K": (1.48, 0.97), "Q6_K": (1.31, 1.05), "Q8_0": (0.66, 0.72), "F16": (0.8, 0.67),
    "IQ4_XS": (1.62, 0.92), "IQ4_NL": (1.16, 0.78), "MXFP4": (0.128, 0.1),
    "Q5_0": (0.52, 0.52), "Q5_1": (0.52, 0.52),
    # looked up value by value: five on a Ryzen 9 7950X; the second is a guess between what its
    # kernels, of 256 bits, are beside Q4_K on such cores and 0.2 to 0.35 on an M2 Max
    "IQ3_S": (0.18, 0.3), "IQ3_XXS": (0.18, 0.3), "IQ2_S": (0.25, 0.4), "IQ2_XS": (0.25, 0.4),
    "IQ2_XXS": (0.25, 0.4), "IQ1_M": (0.25, 0.4), "IQ1_S": (0.25, 0.4),
}  # fmt: skip
EXPERT_PROMPT_SHARE = 0.5
# of each layer of a batch of a prompt on a GPU, beside what it computes: slow end, likely, fast
# end. What larger models reach told TinyLlama 1.1B 80,000 tokens/s on an RTX 4090, and it read
# 18,700; 12,800 of 19,500 on an RTX 3070 Ti, 7,100 to 9,200 of 19,600 on an RTX 2080 Ti, 5,600 of
# 6,500 on an M1 Ultra (geerlingguy/ai-benchmarks, most with Vulkan; kreier/jetson). The likely
# figure is a guess that leaves models of 8B where their runs have them
_LAUNCHED_SECONDS, _BATCH_TOKENS = (700e-6, 85e-6, 17e-6), 512


class PaceRange(Record):
    """Tokens per second: the slow end, the likely figure, the fast end. Of other work its unit:
    the lowest number, the likely one, the highest.
    """

    low: float
    likely: float
    high: float

    @property
    def ends(self) -> Range:
        """All three, the slow end first."""
        return self.low, self.likely, self.high

    @property
    def seconds(self) -> Range:
        """Of one token: slow end, likely, fast end."""
        return 1 / self.low, 1 / self.likely, 1 / self.high

    @classmethod
    def of_seconds(cls, seconds: Range) -> PaceRange:
        """From the seconds of a token, slow end, likely, fast end: no end nearer than the likely
        one.
        """
        slow, likely, fast = (1 / taken for taken in seconds)
        return cls(low=min(slow, likely), likely=likely, high=max(likely, fast))

    def shared_by(self, number: int) -> PaceRange:
        """What each of so many gets of it."""
        return PaceRange(
            low=self.low / number, likely=self.likely / number, high=self.high / number
        )


class SecondsRange(Record):
    """Seconds: the least, the likely and the most."""

    low: float
    likely: float
    high: float


class PromptCopies(Record):
    """A prompt where a GPU lacks room for all weights: those in RAM cross to it for each
    `batch_tokens` of the prompt in `seconds` (slow end, likely, fast end), and `computed` is the
    pace beside that. With them crosses the cache of layers that lie there, each token before the
    batch in `token_seconds`. None cross for fewer than `least_tokens`: they are computed where the
    weights lie, at the pace `in_place`; None: not known. `experts_share`: of a step with experts in
    RAM, what reading experts takes of its time; None where whole layers lie there.
    """

    computed: PaceRange
    in_place: PaceRange | None = None
    seconds: tuple[float, float, float]
    token_seconds: tuple[float, float, float]
    batch_tokens: int
    least_tokens: int
    experts_share: float | None = None

    def tokens_in_place(self, tokens: int) -> int:
        """How many of the last ones of a prompt nothing crosses for."""
        last = tokens % self.batch_tokens
        return last if last < self.least_tokens else 0

    def seconds_for(self, tokens: int) -> tuple[float, float, float]:
        """What crossing takes for so many tokens: slow end, likely, fast end."""
        batches = -(-tokens // self.batch_tokens)
        slow, likely, fast = (
            batches * (weights + tokens / 2 * cached)
            for weights, cached in zip(self.seconds, self.token_seconds, strict=True)
        )
        return slow, likely, fast

    @property
    def pace(self) -> PaceRange:
        """Tokens per second of a long prompt."""
        from ..ranges import added_apart

        slow, likely, fast = self.seconds
        crossing = slow / self.batch_tokens, likely / self.batch_tokens, fast / self.batch_tokens
        taken = added_apart(self.computed.seconds, crossing)
        return PaceRange(low=1 / taken[0], likely=1 / taken[1], high=1 / taken[2])


class Speed(Record):
    """Expected pace; `how` says what it rests on, in a sentence a person understands.

    `decode` and `prompt` are of text, in tokens per second; what turns documents into vectors has a
    `prompt` alone: the tokens that it reads. `work` is the pace of other work in
    `unit`; None for text, and where nothing tells it.

    `first_token_seconds` is the time to the answer's first token, for the prompt that was
    asked about; `dataset_seconds` the time to train on the tokens that were asked about;
    `parallel_total` the pace of all sequences together, where several were asked for; `each_of`:
    a minimum is stated, and wanted of each of so many sequences at once;
    `audio_seconds` the length of the recording that was asked about. None: not asked, or not known.
    `full_context_tokens_per_second` is the likely pace once the context is full, where that is less
    than nine tenths of `decode`, which is of a chat, or behind the prompt that was asked about.
    `undrafted_tokens_per_second` is the likely pace of `decode` without the draft that it counts.
    `prompt_copies`: what `prompt` is made of where weights cross to a GPU for it.
    `clip`: frames, width and height of what is made, where that is a video; `frames_per_second`, at
    which it is played.
    """

    decode: PaceRange | None = None
    prompt: PaceRange | None = None
    work: PaceRange | None = None
    unit: str = "tokens_per_second"
    how: str
    prompt_copies: PromptCopies | None = None
    first_token_seconds: SecondsRange | None = None
    dataset_seconds: SecondsRange | None = None
    parallel_total: PaceRange | None = None
    each_of: int = 1
    full_context_tokens_per_second: float | None = None
    undrafted_tokens_per_second: float | None = None
    audio_seconds: int | None = None
    clip: tuple[int, int, int] | None = None
    frames_per_second: int | None = None

    @property
    def judged(self) -> PaceRange | None:
        """Of text the pace that the wanted one is held against: of one sequence alone, or of each
        of several; None where that is not known.
        """
        if self.each_of == 1:
            return self.decode
        total = self.parallel_total
        return None if total is None else total.shared_by(self.each_of)


# of that in the table of GPUs, slow end, likely, fast end: of a prompt of 8,192 tokens 0.55 of one
# of 512 (RTX 4090), of a build of 2023 half, of weights in 16 bits 1.1 to 1.35 times. Experts see
# few tokens of a prompt each: of a GB10's rate gpt-oss and Qwen3 30B got 0.25 on 512 tokens, 0.55
# to 0.75 on 2,048. A context filled before halves it at 8,000 to 32,000 tokens
_PROMPT_DENSE, _PROMPT_EXPERTS = (0.45, 1.0, 1.4), (0.1, 0.45, 1.2)


# the makers of GPUs beside the RAM that builds of the program measured use, as `RuntimeSpec` has it
_SHARED_MAKERS = ("apple", "nvidia", "amd")


class SharedBuilds(Record):
    """The GPUs sharing the RAM that a program's builds compute on: their makers, the least
    compute capability of NVIDIA's, and patterns of AMD's, all where there are none.
    """

    makers: tuple[str, ...] = _SHARED_MAKERS
    least_capability: str | None = None
    amd: tuple[str, ...] = ()

    def leave_out(self, device: Accelerator) -> bool:
        """Whether it is known to be older than they compute on."""
        least = self.least_capability
        return least is not None and reaches(device, least) is False

    def use(self, device: Accelerator) -> bool:
        """Whether they compute on it without being told to."""
        is_listed = is_built_for(device, self.amd) is not False
        return is_listed and device.vendor.lower() in self.makers


_ANY_PROGRAM = SharedBuilds()

# the program whose runs were measured: its rules hold for those that compute with its code
MEASURED = "llama.cpp"


# the smallest model measured reads over 100 times as much; below, what a program does beside it
# decides
LEAST_READ_BYTES = 1 << 20


# of a GPU that shares the RAM and is let to hold every layer: slow end, likely, fast end
WHOLLY = 1.0, 1.0, 1.0


class LaidOut(Record):
    """How a model lies on a machine, and how a program computes it there.

    `context_tokens`: for how many there is room; `on_shared_gpu`: the GPUs
    sharing the RAM that the program uses, as in `RuntimeSpec`.
    `offloaded`: number of an accelerator in the machine's list -> share of the layers that lie on
    it (`shares_of`); the rest is in RAM. `at_once`: the runtime gives each of several a part of
    every layer, instead of whole layers. `experts_apart`: of a mixture that a GPU does not hold,
    it leaves experts to the RAM instead of whole layers. `on_shared`: share of the layers that a
    GPU which shares the RAM computes, slow end, likely, fast end (`shared_memory.share_on_shared`).
    `in_ram_bytes`: what `offloaded` leaves in RAM of the weights, and of the cache of one token.
    `filled`: of what `offloaded` leaves in RAM, the share that the devices hold at the fast end
    (`on_devices.share_if_filled`).
    """

    context_tokens: int | None = None
    on_shared_gpu: SharedBuilds = _ANY_PROGRAM
    offloaded: Mapping[int, float] | None = None
    in_ram_bytes: tuple[int, float] = (0, 0.0)
    at_once: bool = False
    experts_apart: bool = False
    on_shared: tuple[float, float, float] = WHOLLY
    filled: float = 0.0


def depth_of_chat(context_tokens: int | None, prompt_tokens: int | None = None) -> float:
    """Tokens in the context that a pace stands for: the prompt that was stated, or the short chat
    that people compare with where that is longer.
    """
    return max(min(SHORT_CHAT_TOKENS, (context_tokens or 0) / 2), prompt_tokens or 0)


def foreign_to_rules(runtime: RuntimeSpec | None) -> str | None:
    """The runtime's id, where it computes with other code than was measured."""
    return None if runtime is None or runtime.computes_with == MEASURED else runtime.id


def shared_builds(runtime: RuntimeSpec | None) -> SharedBuilds:
    """The GPUs sharing the RAM that its builds compute on; None: as the program measured."""
    if runtime is None:
        return _ANY_PROGRAM
    return SharedBuilds(
        makers=runtime.on_shared_gpu,
        least_capability=runtime.least_of(shares_ram=True),
        amd=runtime.amd_shared_gpus,
    )


def why_unpaced(machine: Machine, read_bytes: int) -> str | None:
    """Why no pace can be told, whatever computes it; None where one can."""
    if read_bytes <= 0:
        return "how many bytes each token reads is not known"
    if read_bytes < LEAST_READ_BYTES:
        return "the program, not the weights, limits the speed of a model this small"
    if machine.emulated_on is not None:
        return f"programs are emulated on {machine.emulated_on}, and how fast is not known"
    return None


def on_processor(machine: Machine, shared: SharedGpu | None, step: Step, context: float) -> Speed:
    """Read from RAM by the processor. `shared`: a GPU beside it that may be used instead."""
    memory = bandwidth(machine)
    if memory is None:
        return Speed(how="neither the memory bandwidth nor the number of cores could be read")
    slow, likely, fast = processor_seconds(machine, memory, step)
    if step.is_vague:
        slow *= 2
    if shared is not None:
        # whether the GPU is used is not known: the likely pace stands between the two
        _, usual, least = shared.gpu.seconds(step)
        likely, fast = min(likely, (likely * usual) ** 0.5), min(fast, least)
    how = memory.how
    if step.architecture is None:
        how += "; with an empty context, because the model's layers are not known"
    speed = decoding(
        step, context, lambda at: processor_seconds(machine, memory, at), how, (slow, likely, fast)
    )
    prompt = None
    if not step.foreign and not on_apple_gpu(machine):
        prompt = processor_prompt(step, machine)
    if prompt is not None and shared is not None:
        beside = gpu_prompt(step, {shared.name: 1.0})
        prompt = None if beside is None else prompt.replace(high=max(prompt.high, beside.high))
    if prompt is not None and speed.decode is not None:
        # a prompt can be read one token at a time
        low, usual, high = map(max, prompt.ends, speed.decode.ends)
        prompt = PaceRange(low=low, likely=usual, high=high)
    how = speed.how + (
        "" if shared is None else f"; up to the speed of {shared.name}, if it is used"
    )
    return speed.replace(prompt=prompt, how=how + by_llama(step, True))


def decoding(
    step: Step,
    context: float,
    seconds: Callable[[Step], Range],
    how: str,
    taken: Range | None = None,
) -> Speed:
    """The pace of decoding and once the context is full. `seconds` of a step: slow end, likely,
    fast end; `taken`: those of this one, where they differ.
    """
    own = seconds(step)
    decode = PaceRange.of_seconds(taken or own)
    full = None
    if step.architecture is not None and step.depth_tokens:
        tokens = units.tokens(int(step.depth_tokens))
        is_short = step.depth_tokens <= SHORT_CHAT_TOKENS
        how += f"; in a chat of {tokens}" if is_short else f"; with {tokens} in the context"
        full = 1 / seconds(step.at(context))[1]
        if full >= _ABOUT_AS_FAST / own[1]:
            full = None
    return Speed(decode=decode, how=how, full_context_tokens_per_second=full)


def by_llama(step: Step, on_processor: bool) -> str:
    """That the rules are another program's: on a processor, or where it launches a graph alike."""
    has_own = step.replays or step.launched_layers is not None
    if not step.foreign or (has_own and not on_processor):
        return ""
    return f"; by the rules of llama.cpp, because {step.foreign} was not measured"


def shares_of(needs: Needs) -> dict[int, float]:
    """Number of an accelerator -> share of the weights that `needs`, as placed, puts on it; {}
    for a model in RAM.
    """
    held = _weights_by_place(needs)
    total = sum(held.values())
    return {
        int(number): size / total
        for where, size in held.items()
        for place, _, number in [where.partition(":")]
        if total and place == "accelerator" and number.isdecimal()
    }


def left_in_ram(needs: Needs, context_tokens: int) -> tuple[int, float]:
    """Bytes that `needs`, as placed, leaves in RAM: of the weights, and of the cache of a token."""
    terms = needs.memory.terms if needs.memory else ()
    cached = sum(term.bytes for term in terms if (term.name, term.where) == ("kv_cache", "host"))
    return _weights_by_place(needs).get("host", 0), cached / max(1, context_tokens)


def _weights_by_place(needs: Needs) -> dict[str, int]:
    held: dict[str, int] = {}
    for term in needs.memory.terms if needs.memory else ():
        # what a processor reads in a layout of its own stands apart, and not in `weights` as well
        if term.name in ("weights", "repacked_weights"):
            held[term.where] = held.get(term.where, 0) + term.bytes
    return held


class SharedGpu(Record):
    """A GPU that reads the RAM, and whether the runtime uses it for sure."""

    name: str
    gpu: Gpu
    used: bool


def shared_gpu(machine: Machine, on_shared_gpu: SharedBuilds = _ANY_PROGRAM) -> SharedGpu | None:
    """The GPU beside the RAM, which the program computes on if its maker is among these; None
    where there is none that its builds know, or nothing tells how fast the memory is.
    """
    device = next(
        (accelerator for accelerator in machine.accelerators or () if accelerator.unified), None
    )
    if device is None and not (machine.accelerators is None and on_apple_gpu(machine)):
        return None
    peak = _shared_peak(machine, device)
    if peak is None:
        return None
    if device is not None and on_shared_gpu.leave_out(device):
        return None
    used = device is not None and on_shared_gpu.use(device) and not is_guest(machine)
    from .graphics import gpu_with

    gpu = gpu_with(device or _APPLE_GPU, peak, apple_chip_in(machine))
    return SharedGpu(name=device.name if device else "its GPU", gpu=gpu, used=used)


def shared_gpu_of(machine: Machine) -> Gpu | None:
    """The GPU that shares the RAM, as far as decoding needs it; None where there is none, or
    nothing tells how fast the memory is.
    """
    shared = shared_gpu(machine)
    return None if shared is None else shared.gpu


def uses_shared_gpu(machine: Machine, runtime: RuntimeSpec | None) -> bool:
    """Whether a model in RAM is computed by a GPU that shares it; None: by the program measured."""
    shared = shared_gpu(machine, shared_builds(runtime))
    return shared is not None and shared.used


def instruction_sets_for_layout(machine: Machine) -> tuple[str, ...] | None:
    """Those by which llama.cpp lays the weights out anew for the processor; none where a GPU
    that shares the RAM reads them as they are.
    """
    return () if uses_shared_gpu(machine, None) else machine.instruction_sets


def _shared_peak(machine: Machine, device: Accelerator | None) -> Peak | None:
    """What the GPU beside the RAM may read of it; None where nothing tells."""
    from .graphics import Peak, device_bandwidth

    own = device_bandwidth(device) if device is not None else None
    machine_rate = machine.memory_bandwidth_bytes_per_second
    is_rate_open = machine_rate is None or machine.memory_bandwidth_how == RATE_ASSUMED
    chip = chip_of(machine)
    named = named_processor(machine) if chip is None and is_rate_open and own is None else None
    if named is not None:
        filled = 1.0 if machine_rate is None else machine_rate / named.usual
        return Peak(
            slow=filled * named.slowest,
            likely=filled * named.usual,
            fast=filled * max((named.usual * named.most) ** 0.5, named.fastest),
            how=f"the memory of {named.name} with {_filled(filled)}",
        )
    if own is None and not machine.is_bandwidth_measured:
        own = machine_rate
    if own is not None:
        return Peak.exactly(own)
    if chip is None:
        return _unnamed_peak(machine)
    if chip[2] != ANY_APPLE:
        return Peak.exactly(chip[1])
    # what cores measure is no more than the GPU can read
    slow, likely, fast = any_apple_peaks(machine)
    least = max(machine_rate or 0, slow)
    most = max(least, fast)
    # cores read a part of what the GPU may
    return Peak(slow=least, likely=max(least, min(likely, most)), fast=most, how="not measured")


def _filled(part: float) -> str:
    return "every channel filled" if part == 1 else f"{units.percent(part)} of its channels filled"


def _unnamed_peak(machine: Machine) -> Peak | None:
    """Of memory that no name tells: what was measured, or the class of the machine."""
    from .graphics import Peak

    if machine.memory_bandwidth_bytes_per_second is None and is_client_by_class(machine):
        slow, fast = CLIENT_PEAKS
        return Peak(
            slow=slow,
            likely=(slow * fast) ** 0.5,
            fast=fast,
            how="a guess: the memory of a laptop or desktop",
        )
    memory = bandwidth(machine)
    if memory is None:
        return None
    return Peak(slow=memory.low, likely=memory.likely, fast=memory.high, how="not measured")


def advice(
    machine: Machine,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    *,
    context_tokens: int | None,
    runtime: RuntimeSpec | None,
) -> tuple[str, ...]:
    """What measurements say would make it faster here; nothing where none applies."""
    lines = []
    if runtime is not None and runtime.numa_option and has_sockets(machine):
        lines.append(
            f"{runtime.numa_option} reads from all sockets: up to 1.8 times as fast, once the file"
            " was loaded with it (two EPYC 9175F, ggml-org/llama.cpp#11744)"
        )
    if architecture is not None and context_tokens and sum(read_bytes.values()):
        times = _times_as_long(machine, architecture, read_bytes, context_tokens, runtime)
        if times is not None and times > 2:
            lines.append(
                f"a shorter --context keeps it fast: with all"
                f" {units.tokens(context_tokens)} in use, decoding takes {times:.1f} times as"
                " long as with few"
            )
    return tuple(lines)


def _times_as_long(
    machine: Machine,
    architecture: Architecture,
    read_bytes: Mapping[str, int],
    context_tokens: int,
    runtime: RuntimeSpec | None,
) -> float | None:
    """How much longer a token takes with a full context than with an empty one; None where
    nothing tells the bandwidth.
    """
    empty = Step(architecture=architecture, read_bytes=FrozenDict(read_bytes))
    full = empty.at(context_tokens)
    shared, memory = shared_gpu(machine, shared_builds(runtime)), bandwidth(machine)
    if shared is not None and shared.used:
        return shared.gpu.seconds(full)[1] / shared.gpu.seconds(empty)[1]
    if memory is None:
        return None
    taken, least = (processor_seconds(machine, memory, step)[1] for step in (full, empty))
    return taken / least


def seconds_on_processor(machine: Machine, step: Step) -> tuple[float, float, float] | None:
    """Of one token that the processor reads from RAM: slow end, likely, fast end; None where
    nothing tells its bandwidth.
    """
    memory = bandwidth(machine)
    if memory is None:
        return None
    slow, likely, fast = processor_seconds(machine, memory, step)
    return max(slow, likely), likely, min(likely, fast)


def processor_seconds(
    machine: Machine, memory: Bandwidth, step: Step, experts_slow: float = _EXPERTS_SLOW
) -> Range:
    """Of one token that the processor reads from RAM: slow end, likely, fast end. `experts_slow`:
    how many times as long experts take at the slow end.
    """
    taken = []
    is_slow = "avx512_fp16" in (machine.instruction_sets or ())
    ends = zip(
        (memory.low, memory.likely, memory.high),
        threads_range(machine),
        core_shares(machine, memory),
        core_of(machine).unpacks_bytes_per_second,
        _THREAD_SECONDS,
        (_SMALL_HEADS_LONGER if is_slow else 1.0, 1.0, 1.0),
        strict=True,
    )
    for rate, threads, core, unpacks, waiting, longer in ends:
        power = threads * core
        # memory, or cores where they are slower: each waits for what the cores unpack
        read = step.weights_bytes / (BANDWIDTH_SHARE * rate) + step.unpacking_core_seconds / power
        computed = max(
            read, step.alone_core_seconds / power, step.packed_bytes / (threads * unpacks)
        )
        layer = _LAYER_CORE_SECONDS / power + _MEETING_SECONDS + waiting * threads
        beside = step.layers * layer + longer * step.attending_core_seconds / power
        taken.append(computed + beside)
    slow, likely, fast = taken
    if step.has_experts and not memory.measured:
        slow *= experts_slow
    return slow, likely, fast


def _prompt_parameters(step: Step) -> dict[str, float]:
    """Parameters that each token of a prompt meets, by stored type; {} where they cannot be told.

    The output matrix is not among them: only the last token needs it.
    """
    architecture = step.architecture
    if architecture is None or architecture.vocabulary is None:
        return {}
    left: dict[str, float] = {}
    for name, size in step.read_bytes.items():
        bits = _bits_of_weight(name, of_mlx=step.foreign is not None)
        if bits is None:
            return {}
        if name != "F32":
            left[name] = 8 * size / bits
    # llama-quantize gives the output matrix one of these types, else the file's main one
    output = (
        architecture.vocabulary * architecture.embedding_length if architecture.output_matrix else 0
    )
    if left:
        largest = max(left, key=lambda name: left[name])
        holder = next(
            (name for name in ("Q6_K", "Q8_0") if name in left and left[name] >= output), largest
        )
        left[holder] = max(0.0, left[holder] - output)
    return left


def _bits_of_weight(name: str, *, of_mlx: bool) -> float | None:
    """Of a stored type of GGUF, else of MLX, with its scales; None of one that is neither."""
    if of_mlx:
        from ...needs.packed import bits_in_mlx

        return bits_in_mlx(name)
    from ...needs.quantization import BLOCKS

    if name not in BLOCKS:
        return None
    values, size = BLOCKS[name]
    return 8 * size / values


def processor_prompt(step: Step, machine: Machine) -> PaceRange | None:
    """A prompt of some hundred tokens, on the processor; None: its operations are not known."""
    from .cores import cores_rate

    operations = 0.0
    for name, count in _prompt_parameters(step).items():
        wide, narrow = PROMPT_SHARES.get(name, PROMPT_SHARES["F16"])
        share = EXPERT_PROMPT_SHARE if step.has_experts and name != "MXFP4" else 1.0
        operations += 2 * count / ((wide if core_of(machine).wide else narrow) * share)
    if operations <= 0:
        return None
    low, likely, high = (rate / operations for rate in cores_rate(machine))
    return PaceRange(low=low, likely=likely, high=high)


def gpu_prompt(step: Step, shares: Mapping[str, float]) -> PaceRange | None:
    """A prompt of some hundred tokens, on GPUs that hold all of it: name -> share of the
    layers. None where nothing tells how fast one computes, or how the program does on it.
    """
    each = [0.0, 0.0, 0.0]
    for name, share in shares.items():
        rates = _prompt_rates(name, has_experts=step.has_experts, program=step.foreign)
        if rates is None:
            return None
        for end, rate in enumerate(rates):
            each[end] += share / rate
    operations = 2 * sum(_prompt_parameters(step).values())
    if operations <= 0 or min(each) <= 0:
        return None
    # other programs' shares hold it
    launched = (0.0, 0.0, 0.0) if step.foreign is not None else _LAUNCHED_SECONDS
    low, likely, high = (
        1 / (operations * seconds + step.layers * beside / _BATCH_TOKENS)
        for seconds, beside in zip(each, launched, strict=True)
    )
    return PaceRange(low=low, likely=likely, high=high)


def _prompt_rates(name: str, *, has_experts: bool, program: str | None) -> tuple[float, ...] | None:
    """Operations a second of a GPU on prompts, as measured, else of its peak: least, likely, most.
    None where neither is known. `program`: another than was measured.
    """
    from ...machine import gpus

    ends = _PROMPT_EXPERTS if has_experts else _PROMPT_DENSE
    measured = gpus.prompt_tflops(name)
    if measured is not None and program is None:
        return tuple(end * measured * 1e12 for end in ends)
    peak = gpus.peak_flops(name, gpus.capability_by_name(name))
    if peak is None:
        return None
    own = gpus.prompt_share_of(program, name, has_experts=has_experts)
    if own is not None:
        return tuple(share * peak for share in own)
    if program is not None:
        return None
    # what experts take from a measured rate they take from that of the peak
    experts = [part / whole for part, whole in zip(_PROMPT_EXPERTS, _PROMPT_DENSE, strict=True)]
    factors = experts if has_experts else [1.0, 1.0, 1.0]
    return tuple(
        share * factor * peak
        for share, factor in zip(gpus.share_of("prompt", name), factors, strict=True)
    )
