"""How fast a model would go on a processor: prompt and decode in tokens per second, as ranges.

The rules and their constants were measured with llama.cpp 0c1e570, CPU backend, on two threads of
an x86-64 server (Zen 5, AVX-512): 32 decode runs, median error 6 %, worst 17 %; on a second host 93
readings of the bandwidth beside 56 runs, median 5 %, 89 within 20 %. How other processors compare,
and what memory bandwidth a machine has that was not measured, are wide bounds that hold runs other
people published. Both sets are in `tests/truth/speed.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..catalogue.spec import Architecture
from ..core import units
from ..core.records import Record
from ..machine import gpus
from ..machine.record import Accelerator, Machine
from ..needs.records import Needs
from .processor import (
    ANY_APPLE,
    LEAST_APPLE_PEAK,
    Bandwidth,
    ProcessorKind,
    bandwidth,
    chip_of,
    is_guest,
    kind_of,
    on_apple_gpu,
    threads_of,
)

# share of the read bandwidth that reaches the weights, and the fixed cost of one layer
BANDWIDTH_SHARE = 0.86
LAYER_SECONDS = 0.0002
# bytes per second that one core unpacks, by type; for the others no limit was seen
UNPACKED_PER_SECOND: Mapping[str, float] = {
    "Q5_K": 99e9, "Q3_K": 41e9, "Q2_K": 41e9, "IQ4_XS": 41e9, "IQ4_NL": 41e9, "Q5_0": 41e9,
    "Q5_1": 41e9, "MXFP4": 11.6e9,
    # not measured: they look their values up in tables as IQ4_XS does
    "IQ3_S": 41e9, "IQ3_XXS": 41e9, "IQ2_S": 41e9, "IQ2_XS": 41e9, "IQ2_XXS": 41e9, "IQ1_M": 41e9,
    "IQ1_S": 41e9,
}  # fmt: skip
# bytes per second that one core gets through when it works alone and memory has more to give:
# llama-bench on one thread, 33 runs of 13 files on two hosts (Zen 5), which lie up to 10 % to
# either side. Two threads at 80 GB/s of memory got twice this and no more
ALONE_PER_SECOND: Mapping[str, float] = {
    "F16": 34.5e9, "Q8_0": 29.7e9, "Q6_K": 31.5e9, "Q5_K": 23.5e9, "Q5_0": 24e9, "Q4_K": 25e9,
    "Q4_0": 26.5e9, "Q3_K": 17e9, "Q2_K": 18e9,
    "IQ4_XS": 19e9, "MXFP4": 8.4e9,
    # not measured: as the type that is stored most like it
    "Q5_1": 24e9, "Q4_1": 26.5e9, "IQ4_NL": 19e9, "IQ3_S": 19e9, "IQ3_XXS": 19e9, "IQ2_S": 19e9,
    "IQ2_XS": 19e9, "IQ2_XXS": 19e9,
    "IQ1_M": 19e9, "IQ1_S": 19e9,
    # any other type: as F16, the fastest that was measured
}  # fmt: skip
# of one core, attending to a filled context (flash attention, f16 cache): compute, not memory, is
# what it takes
ATTENTION_FLOPS = 12e9
# of one core on a long prompt, by type, in the layout that llama.cpp gives the weights by default;
# half of it for experts, that see few tokens each (Qwen3 30B-A3B; that run is not among the
# recorded ones)
PROMPT_FLOPS: Mapping[str, float] = {
    "Q4_0": 280e9, "Q4_K": 242e9, "Q2_K": 214e9, "Q3_K": 299e9, "Q5_K": 358e9, "Q6_K": 318e9,
    "Q8_0": 155e9, "F16": 193e9,
    "IQ4_XS": 391e9, "IQ4_NL": 280e9, "MXFP4": 31e9, "Q5_0": 125e9, "Q5_1": 125e9,
}  # fmt: skip
EXPERT_PROMPT_SHARE = 0.5


class PaceRange(Record):
    """Tokens per second: the slow end, the likely figure, the fast end."""

    low: float
    likely: float
    high: float


class Speed(Record):
    """Expected pace; `how` says what it rests on, in a sentence a person understands."""

    decode: PaceRange | None
    prompt: PaceRange | None
    unit: str = "tokens_per_second"
    how: str


# a guess: the draft's own work and the check of tokens that are then thrown away cost no more than
# the model's own step again
_DRAFTING_IN_VAIN = 0.5


def with_draft(alone: Speed, drafted_tokens: int) -> Speed:
    """The same with `drafted_tokens` proposed for each step: none or all of them are accepted, and
    one more comes with them.

    Leviathan et al. 2023, arXiv:2211.17192, section 3: between 1 and `drafted_tokens + 1` tokens a
    step.
    """
    if alone.decode is None:
        return alone
    decode = alone.decode.replace(
        low=alone.decode.low * _DRAFTING_IN_VAIN, high=alone.decode.high * (1 + drafted_tokens)
    )
    how = (
        f"{alone.how}; with a draft, from half of that speed (no drafted token is accepted) to"
        f" {1 + drafted_tokens} times (all are)"
    )
    return alone.replace(decode=decode, how=how)


# of that in the table of GPUs, slow end, likely, fast end; experts see few tokens of a prompt each:
# of a GB10's rate gpt-oss and Qwen3 30B got 0.25 on 512 tokens, 0.55 to 0.75 on 2,048. A context
# filled before halves it at 8,000 to 32,000 tokens
_PROMPT_DENSE, _PROMPT_EXPERTS = (0.4, 1.0, 1.8), (0.1, 0.45, 1.2)


class _Gpu(Record):
    """How a GPU decodes, slow end, likely, fast end: of the peak of its memory what reaches
    weights and a filled context; one layer; in tensor parallelism, to add up the parts of one.
    """

    weights: tuple[float, float, float]
    cache: tuple[float, float, float]
    layer_seconds: tuple[float, float, float]
    sum_seconds: tuple[float, float, float]


# From runs that others published (tests/truth/speed.json). What they took beyond reading the
# weights at the fast end's share, by layer: 25 to 130 us on GeForce cards, 67 to 240 on those with
# HBM (A100, H100, H200), 40 to 200 where the GPU shares the RAM (Apple, GB10, Orin), 270 to 580 on
# an RX 9070 XT and an Arc B580. Of the peak, large dense models got 0.66 to 0.85, 0.36 to 0.54,
# 0.40 to 0.89 and 0.21 to 0.28. A filled context was read at 0.19 (RTX 3090) to 0.49 (RTX 4080), on
# Apple's GPUs at 0.11 without flash attention, on a GB10 with it at 0.74
#
# Tensor parallelism adds up the parts of each layer twice. What single requests to vLLM on 2 to 8
# GPUs took beyond that (`tensor_parallel` in the same file), by layer: 45 to 60 us on GeForce cards
# over PCIe, -30 to 60 on A100 and H200 over NVLink, where a layer itself takes less than the likely
# figure here. The ends are guesses, and so are all three of cards by others
_GDDR = _Gpu(
    weights=(0.7, 0.8, 0.95),
    cache=(0.18, 0.4, 0.9),
    layer_seconds=(120e-6, 60e-6, 20e-6),
    sum_seconds=(150e-6, 50e-6, 15e-6),
)
_HBM = _Gpu(
    weights=(0.6, 0.75, 0.9),
    cache=(0.18, 0.4, 0.9),
    layer_seconds=(220e-6, 110e-6, 60e-6),
    sum_seconds=(120e-6, 20e-6, 5e-6),
)
_OTHER_CARD = _Gpu(
    weights=(0.4, 0.7, 0.95),
    cache=(0.1, 0.4, 0.9),
    layer_seconds=(400e-6, 100e-6, 20e-6),
    sum_seconds=(250e-6, 60e-6, 10e-6),
)
_SHARED = _Gpu(
    weights=(0.4, 0.7, 0.95),
    cache=(0.1, 0.5, 0.9),
    layer_seconds=(200e-6, 100e-6, 40e-6),
    sum_seconds=(250e-6, 60e-6, 10e-6),
)
# their builds use the GPU beside the RAM where it is one of these makers'; of other GPUs and
# programs it is not known
_SHARED_VENDORS = ("apple", "nvidia")
_RUNS_ON_SHARED = (None, "llama.cpp", "ollama", "llama-cpp-python", "mlx", "vllm")


# the smallest model measured reads over 100 times as much; below, what a program does beside it
# decides
_LEAST_READ_BYTES = 1 << 20


def predict(
    machine: Machine,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    *,
    context_tokens: int | None = None,
    runtime: str | None = None,
    offloaded: Mapping[int, float] | None = None,
    at_once: bool = False,
    on_shared: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Speed:
    """The pace with half of `context_tokens` filled; None of it: with an empty context. The rest of
    what is offloaded is in RAM.

    `read_bytes` are the weights read for one token by stored type (`needs.decode_bytes_by_type`);
    {} gives no range. Without an architecture the cost of layers and context is not known and the
    slow end is lower. `runtime` is the id of a `RuntimeSpec`. `offloaded`: number of an accelerator
    in the machine's list -> share of the layers that lie on it (`shares_of`). `at_once`: the
    runtime gives each of several a part of every layer, instead of whole layers. `on_shared`: share
    of
    the layers that a GPU which shares the RAM computes, slow end, likely, fast end
    (`placement.share_on_shared`).
    """
    reason = _why_unpaced(machine, sum(read_bytes.values()))
    if reason is not None:
        return Speed(decode=None, prompt=None, how=reason)
    depth = (context_tokens or 0) / 2
    foreign = None if runtime in (None, *_SAME_RULES) else runtime
    if offloaded and at_once and len(offloaded) > 1:
        return _tensor_parallel(machine, architecture, read_bytes, depth, offloaded)
    if offloaded:
        return _with_accelerators(machine, architecture, read_bytes, depth, offloaded, foreign)
    shared = _shared_gpu(machine, runtime)
    if shared is not None and shared.used:
        return _on_shared_gpu(machine, shared, architecture, read_bytes, depth, foreign, on_shared)
    return _on_processor(machine, shared, architecture, read_bytes, depth, foreign)


def _why_unpaced(machine: Machine, read_bytes: int) -> str | None:
    """Why no pace can be told, whatever computes it; None where one can."""
    if read_bytes <= 0:
        return "how many bytes each token reads is not known"
    if read_bytes < _LEAST_READ_BYTES:
        return "the program, not the weights, limits the speed of a model this small"
    if machine.emulated_on is not None:
        return f"programs are emulated on {machine.emulated_on}, and how fast is not known"
    return None


def _on_processor(
    machine: Machine,
    shared: _SharedGpu | None,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    depth: float,
    foreign: str | None,
) -> Speed:
    """Read from RAM by the processor. `shared`: a GPU beside it that may be used instead."""
    memory = bandwidth(machine)
    if memory is None:
        return Speed(
            decode=None,
            prompt=None,
            how="neither the memory bandwidth nor the number of cores could be read",
        )
    taken = _processor_seconds(machine, memory, architecture, read_bytes, depth)
    paces = [1 / seconds for seconds in taken]
    if architecture is None or foreign:
        paces[0] *= 0.5
    if shared is not None:
        seconds = _gpu_seconds(
            _SHARED, shared.peaks, architecture, read_bytes, depth, foreign is not None
        )
        paces[2] = max(paces[2], 1 / seconds[2])
    # the rules hold within a fifth where they were measured; elsewhere the bounds of the bandwidth
    # hold the rest
    decode = PaceRange(low=min(paces[:2]), likely=paces[1], high=max(paces[1:]))

    def whole() -> Speed:
        prompt = _prompt_beside(machine, shared, architecture, read_bytes, foreign)
        if prompt is not None:
            prompt = _no_slower(prompt, decode)
        how = memory.how
        if architecture is None:
            how += "; with an empty context, because the model's layers are not known"
        elif depth:
            empty, full = (
                1 / _processor_seconds(machine, memory, architecture, read_bytes, at)[1]
                for at in (0.0, 2 * depth)
            )
            how += _in_context(depth, empty, full)
        if shared is not None:
            how += f"; up to the speed of {shared.name}, if it is used"
        return Speed(decode=decode, prompt=prompt, how=how + _by_llama(foreign))

    # hundreds of models are judged at once, and of few somebody asks for more
    return Speed.partly({"decode": decode}, whole)


def _prompt_beside(
    machine: Machine,
    shared: _SharedGpu | None,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    foreign: str | None,
) -> PaceRange | None:
    """A prompt on the processor, up to the pace of a GPU beside it that may be used instead."""
    if foreign or on_apple_gpu(machine):
        return None
    prompt = _prompt(architecture, read_bytes, threads_of(machine), kind_of(machine))
    if prompt is None or shared is None:
        return prompt
    beside = _gpu_prompt(architecture, read_bytes, {shared.name: 1.0})
    return None if beside is None else prompt.replace(high=max(prompt.high, beside.high))


def _no_slower(prompt: PaceRange, decode: PaceRange) -> PaceRange:
    """A prompt can be read one token at a time."""
    return PaceRange(
        **{
            end: max(getattr(prompt, end), getattr(decode, end))
            for end in ("low", "likely", "high")
        }
    )


def _in_context(depth: float, empty: float, full: float) -> str:
    how = f"; with half of the {units.tokens(int(2 * depth))} of context in use"
    if full < 0.9 * empty:
        how += (
            f" (likely {units.pace(empty, empty)} when it is empty, {units.pace(full, full)} when"
            " full)"
        )
    return how


def _by_llama(foreign: str | None) -> str:
    return f"; by the rules of llama.cpp, because {foreign} was not measured" if foreign else ""


_SAME_RULES = ("llama.cpp", "ollama", "llama-cpp-python")


def shares_of(needs: Needs) -> dict[int, float]:
    """Number of an accelerator -> share of the weights that `needs`, as placed, puts on it; {}
    for a model in RAM.
    """
    held: dict[int, int] = {}
    total = 0
    for term in needs.memory.terms if needs.memory else ():
        # what a processor reads in a layout of its own stands apart, and not in `weights` as well
        if term.name not in ("weights", "repacked_weights"):
            continue
        total += term.bytes
        place, _, number = term.where.partition(":")
        if place == "accelerator" and number.isdecimal():
            held[int(number)] = held.get(int(number), 0) + term.bytes
    return {number: size / total for number, size in held.items() if total}


def device_bandwidth(device: Accelerator) -> float | None:
    """Peak bytes per second of an accelerator's memory: as its driver tells, else by its name;
    None where neither does.
    """
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    peak = gpus.peak_gb_per_s(device.name, device.memory_total_bytes)
    return None if peak is None else peak * units.GB


def _gpu_kind(device: Accelerator) -> _Gpu:
    if device.unified:
        return _SHARED
    if device.vendor.lower() != "nvidia":
        return _OTHER_CARD
    return _HBM if gpus.has_hbm(device.name) else _GDDR


def _gpu_seconds(
    kind: _Gpu,
    peaks: tuple[float, float, float],
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    depth: float,
    foreign: bool,
) -> list[float]:
    """Of one token on a GPU, slow end, likely, fast end: the weights, what is in the context,
    the launches of each layer.
    """
    size, layers = sum(read_bytes.values()), 0 if architecture is None else architecture.layers
    on_board = _cache_bytes(architecture, depth) if architecture is not None else 0.0
    seconds = [
        size / (peak * weights) + on_board / (peak * cache) + layers * each
        for peak, weights, cache, each in zip(
            peaks, kind.weights, kind.cache, kind.layer_seconds, strict=True
        )
    ]
    if foreign:
        # another program may put all launches of a token into one graph
        seconds[2] -= layers * kind.layer_seconds[2]
    if architecture is None or foreign:
        seconds[0] *= 2
    return seconds


def _with_accelerators(
    machine: Machine,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    depth: float,
    offloaded: Mapping[int, float],
    foreign: str | None,
) -> Speed:
    """Accelerators one after the other, then the layers in RAM. Prompts are estimated where
    nothing is left for the RAM.
    """
    devices = machine.accelerators or ()
    seconds = [0.0, 0.0, 0.0]
    names, shares = [], []
    held: dict[str, float] = {}
    for number, share in offloaded.items():
        peak = device_bandwidth(devices[number]) if number < len(devices) else None
        if peak is None:
            name = devices[number].name if number < len(devices) else "the accelerator"
            return _unknown_bandwidth(name)
        kind = _gpu_kind(devices[number])
        held[devices[number].name] = held.get(devices[number].name, 0.0) + share
        names.append(f"{devices[number].name} ({units.decimal(int(peak))}/s at most)")
        shares += [kind.weights[0], kind.weights[2]]
        own = _gpu_seconds(
            kind, (peak, peak, peak), architecture, read_bytes, depth, foreign is not None
        )
        for end in range(3):
            seconds[end] += share * own[end]
    rest = max(0.0, 1 - sum(offloaded.values()))
    how = " and ".join(names)
    if rest > 1e-6:
        memory = bandwidth(machine)
        if memory is None:
            return Speed(
                decode=None,
                prompt=None,
                how=(
                    "part of it runs in RAM, and neither the memory bandwidth nor the number of"
                    " cores could be read"
                ),
            )
        in_ram = _processor_seconds(machine, memory, architecture, read_bytes, depth)
        seconds = [taken + rest * own for taken, own in zip(seconds, in_ram, strict=True)]
        how = f"{1 - rest:.0%} on {how}, the rest in RAM: {memory.how}"
    else:
        how = (
            f"on {how}; decoding was measured to use"
            f" {_percent(min(shares), max(shares))} of that, less the time to launch each layer"
        )
        if architecture is not None and depth:
            how += f"; with half of the {units.tokens(int(2 * depth))} of context in use"
    slow, likely, fast = (1 / taken for taken in seconds)
    decode = PaceRange(low=min(slow, likely), likely=likely, high=max(likely, fast))

    def whole() -> Speed:
        prompt = None if foreign or rest > 1e-6 else _gpu_prompt(architecture, read_bytes, held)
        return Speed(decode=decode, prompt=prompt, how=how + _by_llama(foreign))

    return Speed.partly({"decode": decode}, whole)


def _tensor_parallel(
    machine: Machine,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    depth: float,
    shares: Mapping[int, float],
) -> Speed:
    """Several accelerators that read their parts of each layer at the same time and then add up:
    the slowest of them sets the pace.
    """
    devices = machine.accelerators or ()
    layers = 0 if architecture is None else architecture.layers
    seconds = [0.0, 0.0, 0.0]
    names: list[str] = []
    for number, share in shares.items():
        peak = device_bandwidth(devices[number]) if number < len(devices) else None
        if peak is None:
            name = devices[number].name if number < len(devices) else "the accelerator"
            return _unknown_bandwidth(name)
        kind = _gpu_kind(devices[number])
        names.append(f"{devices[number].name} ({units.decimal(int(peak))}/s at most)")
        held = 0.0 if architecture is None else _cache_bytes(architecture, depth)
        for end in range(3):
            reading = sum(read_bytes.values()) / kind.weights[end] + held / kind.cache[end]
            each_layer = kind.layer_seconds[end] + kind.sum_seconds[end]
            taken = share * reading / peak + layers * each_layer
            seconds[end] = max(seconds[end], taken)
    if architecture is None:
        seconds[0] *= 2
    how = f"on {_counted(names)}, each of which reads its part of every layer at the same time"
    if architecture is not None and depth:
        how += f"; with half of the {units.tokens(int(2 * depth))} of context in use"
    slow, likely, fast = (1 / taken for taken in seconds)
    decode = PaceRange(low=min(slow, likely), likely=likely, high=max(likely, fast))
    return Speed(decode=decode, prompt=None, how=how)


def _unknown_bandwidth(name: str) -> Speed:
    return Speed(decode=None, prompt=None, how=f"the memory bandwidth of {name} is not known")


def _counted(names: list[str]) -> str:
    """Equal ones counted."""
    return " and ".join(
        f"{names.count(name)} × {name}" if names.count(name) > 1 else name
        for name in dict.fromkeys(names)
    )


def _percent(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {100 * high:.0f} %"


class _SharedGpu(Record):
    """A GPU that reads the RAM: the peak that it may have, and whether the runtime uses it for
    sure.
    """

    name: str
    peaks: tuple[float, float, float]
    used: bool


def _shared_gpu(machine: Machine, runtime: str | None) -> _SharedGpu | None:
    """The GPU beside the RAM; None where there is none, or nothing tells how fast the memory is."""
    device = next(
        (accelerator for accelerator in machine.accelerators or () if accelerator.unified), None
    )
    if device is None and not (machine.accelerators is None and on_apple_gpu(machine)):
        return None
    peaks = _shared_peaks(machine, device)
    if peaks is None:
        return None
    used = (
        device is not None
        and device.vendor.lower() in _SHARED_VENDORS
        and runtime in _RUNS_ON_SHARED
        and not is_guest(machine)
    )
    return _SharedGpu(name=device.name if device else "its GPU", peaks=peaks, used=used)


def uses_shared_gpu(machine: Machine, runtime: str | None) -> bool:
    """Whether a model in RAM is computed by a GPU that shares it."""
    shared = _shared_gpu(machine, runtime)
    return shared is not None and shared.used


def instruction_sets_for_layout(machine: Machine) -> tuple[str, ...] | None:
    """Those by which llama.cpp lays the weights out anew for the processor; none where a GPU
    that shares the RAM reads them as they are.
    """
    return () if uses_shared_gpu(machine, "llama.cpp") else machine.instruction_sets


def _shared_peaks(
    machine: Machine, device: Accelerator | None
) -> tuple[float, float, float] | None:
    gpu_peak = device_bandwidth(device) if device is not None else None
    fact = "memory_bandwidth_bytes_per_second"
    machine_rate = machine.memory_bandwidth_bytes_per_second
    if (
        gpu_peak is None
        and machine_rate is not None
        and not machine.sources.get(fact, "").startswith("measured")
    ):
        gpu_peak = machine_rate
    if gpu_peak is not None:
        return gpu_peak, gpu_peak, gpu_peak
    chip = chip_of(machine)
    if chip is not None:
        # what cores measure is no more than the GPU can read
        least = max(machine_rate or 0, chip[1] if chip[2] != ANY_APPLE else LEAST_APPLE_PEAK)
        most = max(least, chip[1])
        return (
            least,
            float(machine_rate or (least * most) ** 0.5) if chip[2] == ANY_APPLE else most,
            most,
        )
    memory = bandwidth(machine)
    return None if memory is None else (memory.low, memory.likely, memory.high)


def _on_shared_gpu(
    machine: Machine,
    gpu: _SharedGpu,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    depth: float,
    foreign: str | None,
    held: tuple[float, float, float],
) -> Speed:
    """Read from RAM by the GPU, but for the layers beyond what it is let to hold: those are the
    processor's, one after the other.
    """
    whole = min(held) >= 1
    memory = None if whole else bandwidth(machine)
    if not whole and memory is None:
        return Speed(
            decode=None,
            prompt=None,
            how=(
                "part of it runs on the processor, and neither the memory bandwidth nor the number"
                " of cores could be read"
            ),
        )

    def paces(at: float, strange: bool) -> list[float]:
        taken = _gpu_seconds(_SHARED, gpu.peaks, architecture, read_bytes, at, strange)
        if memory is not None:
            beside = _processor_seconds(machine, memory, architecture, read_bytes, at)
            taken = [
                share * own + (1 - share) * other
                for share, own, other in zip(held, taken, beside, strict=True)
            ]
        return [1 / seconds for seconds in taken]

    slow, likely, fast = paces(depth, foreign is not None)
    low, high = gpu.peaks[0], gpu.peaks[2]
    rate = (
        f"{units.decimal(int(high))}/s"
        if low == high
        else f"{units.decimal(int(low))}/s to {units.decimal(int(high))}/s, not measured"
    )
    used = _percent(_SHARED.weights[0], _SHARED.weights[2])
    how = (
        f"on {gpu.name}, which shares the RAM ({rate} at most); decoding was measured to use"
        f" {used} of that"
    )
    if memory is not None:
        part = (
            _percent(held[0], held[2]) if f"{held[0]:.0%}" != f"{held[2]:.0%}" else f"{held[0]:.0%}"
        )
        how = f"{part} of the layers {how}, the rest on the processor: {memory.how}"
    if architecture is not None and depth:
        empty, full = (paces(at, False)[1] for at in (0.0, 2 * depth))
        how += _in_context(depth, empty, full)
    decode = PaceRange(low=min(slow, likely), likely=likely, high=max(likely, fast))

    def whole_speed() -> Speed:
        prompt = (
            None if foreign or not whole else _gpu_prompt(architecture, read_bytes, {gpu.name: 1.0})
        )
        return Speed(decode=decode, prompt=prompt, how=how + _by_llama(foreign))

    return Speed.partly({"decode": decode}, whole_speed)


def _cache_bytes(architecture: Architecture, depth: float) -> float:
    """Of the context, what one token reads: keys and values in 16 bits."""
    total = 0.0
    for group in architecture.attention:
        seen = min(depth, group.window_tokens or depth)
        width = group.kv_heads * (group.key_length + group.value_length)
        if group.kind == "latent":
            width = (group.latent_length or 0) + (group.rope_length or 0)
        total += 2 * seen * width * len(group.layers)
    return total


def advice(
    machine: Machine,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    *,
    context_tokens: int | None,
    runtime: str | None,
) -> tuple[str, ...]:
    """What measurements say would make it faster here; nothing where none applies."""
    lines = []
    if runtime == "llama.cpp" and "avx512f" in (machine.instruction_sets or ()):
        lines += _layout_advice(read_bytes)
    if architecture is not None and context_tokens and sum(read_bytes.values()):
        times = _times_as_long(machine, architecture, read_bytes, context_tokens, runtime)
        if times is not None and times > 2:
            lines.append(
                f"a shorter --context keeps it fast: with all {units.tokens(context_tokens)} in"
                f" use, decoding takes {times:.1f} times as long as with few"
            )
    return tuple(lines)


def _layout_advice(read_bytes: Mapping[str, int]) -> list[str]:
    """What llama.cpp gains with AVX-512 where it leaves the weights as they are."""
    size = sum(read_bytes.values())
    if not size:
        return []
    share = {name: count / size for name, count in read_bytes.items()}
    if share.get("MXFP4", 0) > 0.3:
        return [
            "--no-repack makes llama.cpp faster with MXFP4: prompts by 79 %, decoding by 21 %"
            " (measured on Zen 5, 2 threads)"
        ]
    if share.get("Q4_K", 0) + share.get("Q2_K", 0) > 0.5:
        return [
            "--no-repack makes llama.cpp read prompts 77 to 89 % faster and decode 11 to 20 %"
            " slower, without a second copy of the weights (measured on Zen 5, 2 threads)"
        ]
    return []


def _times_as_long(
    machine: Machine,
    architecture: Architecture,
    read_bytes: Mapping[str, int],
    context_tokens: int,
    runtime: str | None,
) -> float | None:
    """How much longer a token takes with a full context than with an empty one; None where
    nothing tells the bandwidth.
    """
    at_ends = (0.0, float(context_tokens))
    shared, memory = _shared_gpu(machine, runtime), bandwidth(machine)
    if shared is not None and shared.used:
        empty, full = (
            _gpu_seconds(_SHARED, shared.peaks, architecture, read_bytes, at, False)[1]
            for at in at_ends
        )
        return full / empty
    if memory is None:
        return None
    empty, full = (
        _processor_seconds(machine, memory, architecture, read_bytes, at)[1] for at in at_ends
    )
    return full / empty


# of what is read for one token the bytes, those of them that a limit was seen for with what one
# core unpacks of them a second, and all of them with what one core gets through alone
_Read = tuple[int, Iterable[tuple[int, float]], Iterable[tuple[int, float]]]


def _rated(read_bytes: Mapping[str, int]) -> _Read:
    unpacked = [
        (size, UNPACKED_PER_SECOND[name])
        for name, size in read_bytes.items()
        if name in UNPACKED_PER_SECOND
    ]
    alone = [
        (size, ALONE_PER_SECOND.get(name, ALONE_PER_SECOND["F16"]))
        for name, size in read_bytes.items()
    ]
    return sum(read_bytes.values()), unpacked, alone


def _processor_seconds(
    machine: Machine,
    memory: Bandwidth,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    depth: float,
) -> list[float]:
    """Of one token that the processor reads from RAM: slow end, likely, fast end."""
    threads, cores = threads_of(machine), kind_of(machine).cores
    attending = 0.0 if architecture is None else _attention_flops(architecture, depth)
    read = _rated(read_bytes)
    return [
        _seconds(architecture, read, rate, threads * core, core, attending)
        for rate, core in zip((memory.low, memory.likely, memory.high), cores, strict=True)
    ]


def _seconds(
    architecture: Architecture | None,
    read: _Read,
    rate: float,
    threads: float,
    cores: float,
    attending: float,
) -> float:
    """Of one token: memory, unpacking, the layers themselves, attention, of `attending` operations.

    Where memory is faster than the cores are, what they get through alone is what it takes.
    `threads` are in cores of the processor measured on.
    """
    size, unpacked, alone = read
    taken = size / (BANDWIDTH_SHARE * rate)
    taken += sum([part / (each * threads) for part, each in unpacked])
    taken = max(taken, sum([part / (each * threads) for part, each in alone]))
    if architecture is not None:
        taken += architecture.layers * LAYER_SECONDS / min(1.3, cores)
        taken += attending / (ATTENTION_FLOPS * threads)
    return taken


def _attention_flops(architecture: Architecture, depth: float) -> float:
    """Multiplications and additions of one token that attends to `depth` others; windows end
    what a layer sees.
    """
    flops = 0.0
    for group in architecture.attention:
        if group.kind == "cross":
            continue
        seen = min(depth, group.window_tokens or depth)
        width = float(group.key_length + group.value_length)
        if group.kind == "latent":
            width = 2.0 * (group.latent_length or 0) + 2 * (group.rope_length or 0)
        flops += 2 * seen * group.heads * width * len(group.layers)
    return flops


def _prompt_parameters(
    architecture: Architecture | None, read_bytes: Mapping[str, int]
) -> dict[str, float]:
    """Parameters that each token of a prompt meets, by stored type; {} where they cannot be told.

    The output matrix is not among them: only the last token needs it.
    """
    from ..needs.quantization import BLOCKS

    if (
        architecture is None
        or architecture.vocabulary is None
        or not all(name in BLOCKS for name in read_bytes)
    ):
        return {}
    left = {
        name: size / BLOCKS[name][1] * BLOCKS[name][0]
        for name, size in read_bytes.items()
        if name != "F32"
    }
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


def _has_experts(architecture: Architecture | None) -> bool:
    return architecture is not None and any(group.experts for group in architecture.feed_forward)


def _prompt(
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    threads: float,
    kind: ProcessorKind,
) -> PaceRange | None:
    """A prompt of some hundred tokens, on the processor."""
    taken = 0.0
    for name, count in _prompt_parameters(architecture, read_bytes).items():
        share = EXPERT_PROMPT_SHARE if _has_experts(architecture) and name != "MXFP4" else 1.0
        taken += 2 * count / (PROMPT_FLOPS.get(name, PROMPT_FLOPS["F16"]) * share * threads)
    if taken <= 0:
        return None
    low, likely, high = kind.prompt
    return PaceRange(low=low / taken, likely=likely / taken, high=high / taken)


def _gpu_prompt(
    architecture: Architecture | None, read_bytes: Mapping[str, int], shares: Mapping[str, float]
) -> PaceRange | None:
    """A prompt of some hundred tokens, on GPUs that hold all of it: name -> share of the
    layers. None where one was not measured.
    """
    count = sum(_prompt_parameters(architecture, read_bytes).values())
    taken = 0.0
    for name, share in shares.items():
        rate = gpus.prompt_tflops(name)
        if rate is None:
            return None
        taken += share * 2 * count / (rate * 1e12)
    if taken <= 0:
        return None
    low, likely, high = _PROMPT_EXPERTS if _has_experts(architecture) else _PROMPT_DENSE
    return PaceRange(low=low / taken, likely=likely / taken, high=high / taken)
