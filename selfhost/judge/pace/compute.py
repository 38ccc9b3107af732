"""How much arithmetic a machine gets through: the bound of work that handles many tokens at once
(audio, pictures, documents, training), as ranges.

A GPU is told by its peak, of which each kind of work reaches a share; a processor by what
llama.cpp computed on prompts, of which other programs reach a share too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core import units
from ...core.records import FrozenDict, Record
from ...machine import gpus
from ...machine.record import Accelerator, Machine
from ...needs.records import Needs
from ..placement.devices import computes_on_shared, runs_on
from ..ranges import Range, inverse, product
from .cores import FALL, SCALE_WELL, cores_rate
from .graphics import device_bandwidth, gpu_of
from .processor import chip_of, core_of, is_guest, on_apple_gpu, threads_of
from .speed import MEASURED, PROMPT_SHARES, Speed, seconds_on_processor, shared_gpu_of
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.spec import RuntimeSpec

# operations for each byte a second of the memory, of GPUs whose name tells nothing: from 24 (Radeon
# RX 580) to 304 (RX 9070 XT), 128 of an RX 7900 XTX, 76 of an RTX 3090
_A_BYTE = (25.0, 90.0, 300.0)
# of what a processor computes on prompts, what PyTorch reaches in float32 on up to 16 cores: on one
# and two of Zen 4 0.47 (Stable Diffusion 1.5) to 0.65 (PixArt) of denoisers, 0.75 of a decoder,
# 0.52 to 0.59 of recognizers, 0.54 of a voice (tests/truth/compute.json). Stable Diffusion 1.5: 20
# steps in 32.3 seconds on 32 cores of a Sapphire Rapids and in 45 on as many of an Ice Lake
# (huggingface.co/blog/stable-diffusion-inference-intel), 0.45 and 0.44 with what `cores` has many
# cores lose; 75 in half an hour on a Ryzen 5 3400G (easydiffusion/easydiffusion#291), 0.45. Outside
# lies a machine with two sockets of Broadwell (0.05)
_IN_PYTORCH = (0.28, 0.46, 0.72)
# and as many times as fast in bfloat16, by the first of these instruction sets that a processor
# has: Stable Diffusion 1.5 2.2 on a core of Zen 4, PixArt 2.0 (tests/truth/compute.json); with AMX
# 5 to 6 in Intel's own build of PyTorch (huggingface.co/blog/stable-diffusion-inference-intel), a
# guess of the usual one
_IN_BFLOAT16: Mapping[str, Range] = {"amx_bf16": (1.5, 3.0, 6.0), "avx512_bf16": (1.5, 2.0, 2.5)}
# and what a program does that multiplies row by row, by stored type, on vectors of 512 bits and on
# others: matrices of 2,048 rows and 256 columns on one core of a Granite Rapids (ggml of
# ggml-org/whisper.cpp@233fe1fc, of 132 and 93 x 10^9 operations a second with Q4_K laid out anew):
# F16 0.47 and 0.32, F32 0.26 and 0.32, Q8_0 0.31 and 0.45, Q5_0 0.28 and 0.33, Q4_K 0.44 and 0.63.
# Whisper's encoder reached 0.44 and 0.36. The slow end holds what whisper.cpp did in 2023
_OF_ROWS: Mapping[str, tuple[float, float]] = {
    "F16": (0.45, 0.34), "F32": (0.26, 0.32), "Q8_0": (0.31, 0.45), "Q4_K": (0.44, 0.63),
}  # fmt: skip
_OF_OTHER_ROWS = (0.29, 0.36)
_ROWS_ENDS = (0.66, 1.0, 1.35)
# of prompts by type (`speed.PROMPT_SHARES`), matrices of encoders, which are smaller: a guess
_BLOCKS_ENDS = (0.65, 0.9, 1.1)


SAME: Range = (1.0, 1.0, 1.0)
# as many times as long on a GPU as in 16 bits, with weights in 32: least, likely, most. A guess:
# PyTorch leaves its matrix units aside for them unless told otherwise, and a GeForce without those
# has half its peak, an A100 a sixteenth
FLOAT32_LONGER = (1.0, 2.5, 8.0)
# and in bfloat16 on a GPU or a processor without instructions for it: a guess
WITHOUT_BFLOAT16 = (1.0, 2.0, 6.0)
_LEAST_WITH_BFLOAT16 = (8, 0)


def _computes_alike(runtime: RuntimeSpec) -> bool:
    """Whether it has the arithmetic of the program that was measured on prompts."""
    return runtime.multiplies_rows or runtime.computes_with == MEASURED


def shares_on_cores(machine: Machine, runtime: RuntimeSpec | None, quantization: str) -> Range:
    """Of what a processor computes on prompts, what a program reaches with weights of that type."""
    if runtime is None or not _computes_alike(runtime):
        return in_pytorch(machine, runtime, quantization)
    table, others, ends = (
        (_OF_ROWS, _OF_OTHER_ROWS, _ROWS_ENDS)
        if runtime.multiplies_rows
        else (PROMPT_SHARES, PROMPT_SHARES["F16"], _BLOCKS_ENDS)
    )
    name = next((name for name in table if quantization.startswith(name)), "")
    wide, narrow = table.get(name, others)
    share = wide if core_of(machine).wide else narrow
    low, likely, high = (end * share for end in ends)
    return low, likely, high


def in_pytorch(
    machine: Machine, runtime: RuntimeSpec | None = None, quantization: str = "float32"
) -> Range:
    """Of what a processor computes on prompts, what PyTorch reaches with weights of that type."""
    cores = threads_of(machine, runtime)
    less = core_of(machine).float32 * min(1.0, (SCALE_WELL / cores) ** FALL)
    low, likely, high = (less * each for each in _IN_PYTORCH)
    sets = machine.instruction_sets or ()
    gain = next((gain for name, gain in _IN_BFLOAT16.items() if name in sets), None)
    if quantization != "bfloat16" or gain is None:
        return low, likely, high
    return product((low, likely, high), gain)


# Metal and CUDA use the GPU that shares the RAM; of other makers the program's builds decide
_SHARED_VENDORS = ("apple", "nvidia")


class Power(Record):
    """Operations per second: slow end, likely, fast end. Of a GPU the peak in 16 bits, of a
    processor what its cores compute on prompts.

    `device` is None for the processor, of which `threads` work. `how` names it, in words.
    """

    slow: float
    likely: float
    fast: float
    device: Accelerator | None = None
    threads: float = 0.0
    how: str

    def seconds(self, operations: float, shares: Range) -> Range:
        """Of so many operations, where the work reaches those shares."""
        rate = product((self.slow, self.likely, self.fast), _in_order(shares))
        return inverse(tuple(each / operations for each in rate))  # type: ignore[arg-type]


def _in_order(shares: Range) -> Range:
    """A range whose ends are no nearer than its likely figure."""
    return min(shares[0], shares[1]), shares[1], max(shares[1], shares[2])


def has_bfloat16(machine: Machine, power: Power) -> bool:
    """Whether it computes with bfloat16 in hardware; True where that is not known of a GPU."""
    if power.device is None:
        sets = machine.instruction_sets or ()
        return any(name in sets for name in ("avx512_bf16", "amx_bf16", "bf16"))
    capability = power.device.compute_capability or gpus.capability_by_name(power.device.name)
    if capability is None:
        return True
    return tuple(map(int, capability.split("."))) >= _LEAST_WITH_BFLOAT16


def power_of(
    machine: Machine, placed: Needs, runtime: RuntimeSpec | None, quantization: str | None
) -> Power | None:
    """What computes the work, laid out like that; None where nothing tells how fast it is."""
    if machine.emulated_on is not None:
        return None
    devices = devices_of(machine, placed, runtime, quantization)
    if not devices:
        return _of_processor(machine, runtime)
    powers = [power for device in devices if (power := _of_gpu(device, machine)) is not None]
    if len(powers) < len(devices):
        return None
    first, others = powers[0], len(powers) - 1
    if not others:
        return first
    return first.replace(
        slow=sum(power.slow for power in powers),
        likely=sum(power.likely for power in powers),
        fast=sum(power.fast for power in powers),
        how=" and ".join(dict.fromkeys(power.how for power in powers)),
    )


def devices_of(
    machine: Machine, placed: Needs, runtime: RuntimeSpec | None, quantization: str | None
) -> list[Accelerator]:
    """The accelerators that compute it; [] where the processor does."""
    owned = machine.accelerators or ()
    terms = placed.memory.terms if placed.memory else ()
    numbers = [
        int(number)
        for place, _, number in (term.where.partition(":") for term in terms)
        if place == "accelerator" and number.isdecimal()
    ]
    there = [owned[number] for number in dict.fromkeys(numbers) if number < len(owned)]
    if there or placed.placement != "host":
        return there
    return [] if is_guest(machine) else _that_share_the_ram(owned, runtime, quantization)[:1]


def _that_share_the_ram(
    owned: Sequence[Accelerator], runtime: RuntimeSpec | None, quantization: str | None
) -> list[Accelerator]:
    """Those for which the runtime has kernels of that type."""
    if runtime is not None and runtime.cpu_only:
        return []
    rule = runtime.rule_of(quantization) if runtime is not None else None
    kernels = rule.vendors if rule is not None else ()
    return [
        device
        for device in owned
        if device.unified
        and (
            device.vendor.lower() in _SHARED_VENDORS
            or (runtime is not None and computes_on_shared(runtime, device))
        )
        and (runtime is None or runs_on(runtime, device))
        and (not kernels or device.vendor.lower() in kernels)
    ]


def _of_gpu(device: Accelerator, machine: Machine) -> Power | None:
    """Peak of a GPU: of its name, of the Apple chip that it is part of, else by its class."""
    capability = device.compute_capability or gpus.capability_by_name(device.name)
    peak = gpus.peak_flops(device.name, capability)
    if peak is None and device.vendor.lower() == "apple":
        peak = gpus.peak_flops(machine.cpu_model or "", None)
    if peak is not None:
        how = f"{device.name} ({_tflops(peak)} at most)"
        return Power(slow=peak, likely=peak, fast=peak, device=device, how=how)
    rate = device_bandwidth(device)
    if rate is None and device.unified:
        chip = chip_of(machine) if on_apple_gpu(machine) else None
        rate = float(chip[1]) if chip is not None else None
    if rate is None:
        return None
    low, likely, high = (each * rate for each in _A_BYTE)
    how = f"{device.name} ({_tflops(low)} to {_tflops(high)}, a guess by class)"
    return Power(slow=low, likely=likely, fast=high, device=device, how=how)


def _of_processor(machine: Machine, runtime: RuntimeSpec | None) -> Power | None:
    """What the cores that the program uses compute on prompts."""
    if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
        return None
    threads = threads_of(machine, runtime)
    low, likely, high = cores_rate(machine, runtime)
    how = f"{units.cores(threads)} of the processor (about {_tflops(likely)})"
    return Power(slow=low, likely=likely, fast=high, threads=threads, how=how)


def _tflops(rate: float) -> str:
    """`71 TFLOPS`."""
    return f"{rate / 1e12:.3g} TFLOPS"


def unpaced(why: str, unit: str) -> Speed:
    """No pace, and why."""
    return Speed(unit=unit, how=why)


# as many times as long as reading the weights, on a card: Orpheus 3B in vLLM 55 tokens/s on an A10G
# (canopyai/Orpheus-TTS#53), a little below its 83 on an RTX A6000 (#16): it streams each token
# through Python. The ends are guesses
_ON_CARDS = (0.95, 1.25, 1.7)
# as many times as long as reading the weights in 32 bits, of such a step on a processor: 1.8 to 2.3
# of seven decoders of 0.11 to 0.6 x 10^9 parameters on one core of Zen 4, 3.6 of Bark small, whose
# steps are short (tests/truth/compute.json); with weights in 16 bits as long (Bark there).
# Qwen3-TTS about 1 on a Ryzen 8745HS (QwenLM/Qwen3-TTS#171), Bark 8 on an M1 Pro (suno-ai/bark#357,
# 0.1 seconds a step), of which the ends leave out half
_ON_CORES = (0.7, 2.2, 6.0)


def seconds_of_step(machine: Machine, power: Power, parameters: int) -> Range | None:
    """Of a step that reads so many parameters: in 16 bits on a GPU, in 32 on a processor; None
    where no bandwidth is known.
    """
    is_on_cores = power.device is None
    read = {"F32": 4 * parameters} if is_on_cores else {"BF16": 2 * parameters}
    token = token_seconds(machine, power, Step(architecture=None, read_bytes=FrozenDict(read)))
    return None if token is None else product(_ON_CORES if is_on_cores else _ON_CARDS, token)


def token_seconds(machine: Machine, power: Power, step: Step) -> Range | None:
    """Of one token, as llama.cpp reads it; None where no bandwidth is known."""
    if power.device is None:
        taken = seconds_on_processor(machine, step)
    else:
        gpu = shared_gpu_of(machine) if power.device.unified else gpu_of(power.device)
        taken = None if gpu is None else gpu.seconds(step)
    return None if taken is None else (min(taken[1:]), taken[1], max(taken[:2]))
