"""How much arithmetic a machine gets through: the bound of work that handles many tokens at once
(audio, pictures, documents, training), as ranges.

A GPU is told by its peak, of which each kind of work reaches a share; a processor by what
llama.cpp computed on prompts (`speed.PROMPT_FLOPS`), of which other programs reach a share too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, prod, sqrt

from ..core import units
from ..core.records import Record
from ..machine import gpus
from ..machine.record import Accelerator, Machine
from ..needs.records import Needs
from .graphics import device_bandwidth
from .processor import chip_of, is_guest, kind_of, on_apple_gpu, threads_of
from .speed import PROMPT_FLOPS

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.spec import RuntimeSpec

# operations for each byte a second of the memory, of GPUs whose name tells nothing: from 24 (Radeon
# RX 580) to 304 (RX 9070 XT), 128 of an RX 7900 XTX, 76 of an RTX 3090
_A_BYTE = (25.0, 90.0, 300.0)
# of what a processor computed on prompts, what PyTorch reaches. Stable Diffusion 1.5 in float32, 20
# steps: 32.3 seconds on 32 cores of a Sapphire Rapids, 45 on as many of an Ice Lake
# (huggingface.co/blog/stable-diffusion-inference-intel), 0.34 and 0.25 of the likely figure; 25
# steps in 600 seconds on 28 cores of Broadwell (z4ng1ew/Stable-diffusion-local-inference@0eb354de),
# 0.22 of the least
PROCESSOR_SHARES = (0.15, 0.3, 0.6)
# Metal and CUDA use the GPU that shares the RAM; of other makers it is not known
_SHARED_VENDORS = ("apple", "nvidia")


# the low end, the likely figure, the high end of a number
Range = tuple[float, float, float]


def product(*ranges: Range) -> Range:
    """Of factors that have nothing to do with each other: the ends are as far as the root of the
    sum of their squares, in logarithms.
    """
    likely = prod(each[1] for each in ranges)
    below = sqrt(sum(log(each[1] / each[0]) ** 2 for each in ranges))
    above = sqrt(sum(log(each[2] / each[1]) ** 2 for each in ranges))
    return likely * exp(-below), likely, likely * exp(above)


def added(*ranges: Range) -> Range:
    """Of parts that come one after the other."""
    low, likely, high = (sum(each[end] for each in ranges) for end in range(3))
    return low, likely, high


def inverse(each: Range) -> Range:
    """Seconds of a rate, and the other way round."""
    return 1 / each[2], 1 / each[1], 1 / each[0]


class Power(Record):
    """Operations per second, 16 bits: slow end, likely, fast end. Of a GPU the peak.

    `device` is None for the processor. `how` names it, in words.
    """

    slow: float
    likely: float
    fast: float
    device: Accelerator | None = None
    how: str

    def seconds(self, operations: float, shares: Range) -> Range:
        """Of so many operations, where the work reaches those shares."""
        rate = product((self.slow, self.likely, self.fast), _in_order(shares))
        return inverse(tuple(each / operations for each in rate))  # type: ignore[arg-type]


def _in_order(shares: Range) -> Range:
    """A range whose ends are no nearer than its likely figure."""
    return min(shares[0], shares[1]), shares[1], max(shares[1], shares[2])


def power_of(
    machine: Machine, placed: Needs, runtime: RuntimeSpec | None, quantization: str | None
) -> Power | None:
    """What computes the work, laid out like that; None where nothing tells how fast it is."""
    if machine.emulated_on is not None:
        return None
    devices = devices_of(machine, placed, runtime, quantization)
    if not devices:
        return _of_processor(machine)
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
    rule = runtime.rule_of(quantization) if runtime is not None else None
    kernels = rule.vendors if rule is not None else ()
    return [
        device
        for device in owned
        if device.unified
        and device.vendor.lower() in _SHARED_VENDORS
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


def _of_processor(machine: Machine) -> Power | None:
    """What the cores computed on prompts, by the kind of processor."""
    if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
        return None
    threads = threads_of(machine)
    low, likely, high = (share * threads * PROMPT_FLOPS["F16"] for share in kind_of(machine).prompt)
    how = f"{units.cores(threads)} of the processor (about {_tflops(likely)})"
    return Power(slow=low, likely=likely, fast=high, how=how)


def _tflops(rate: float) -> str:
    """`71 TFLOPS`."""
    return f"{rate / 1e12:.3g} TFLOPS"
