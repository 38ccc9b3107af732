"""How fast a prompt is read: its operations over what the processor or the GPUs compute, and where
a GPU lacks room for all weights, what crosses to it for each batch of the prompt.

llama.cpp 0c1e570: ggml_backend_sched_split_graph (ggml/src/ggml-backend.cpp) hands what
reads a weight in RAM to a device that `offload_op` says wants it, which those of CUDA, HIP, Vulkan
and SYCL do from 32 tokens on. What lies between such products, as attention, goes along.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...core import units
from ...machine import gpus
from ...machine.record import Accelerator
from .engine import (
    Engine,
    Range,
    Step,
    added,
    constant,
    efficiency,
    ends_of,
    parameters_met,
    scaled,
    seconds,
    share_of_peak,
)
from .speed import PaceRange, PromptCopies

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from .graphics import Gpu

# a GPU and the share of the layers that it computes
Parts = Sequence["tuple[float, Gpu]"]
# n_ubatch, as `-ub` sets it (common/common.h)
BATCH_TOKENS = 512
# the batch that those take who want prompts read faster: 25 of 123 prompts of that file had it
_LARGER_TOKENS = 2048
# how many times as fast it must be for a sentence (assumed)
_WORTH_SAYING = 1.2
# after attention and after the feed-forward network each accelerator has a part of every number of
# a token, in 16 bits (Megatron-LM, arXiv 1909.08053, section 3)
_SUMS_OF_LAYER, _SUMMED_NUMBER_BYTES = 2, 2


def arithmetic(
    device: Accelerator, work: str, program: str = "", *, has_experts: bool = False
) -> Range | None:
    """Operations a second that work of that kind reaches on a GPU: of prompts as its runs had them,
    else of its peak; None where neither is known.
    """
    ends, measured = constant("measured_prompt"), gpus.fact_of(device.name, "prompt_tflops")
    if work == "prompt" and not program and measured is not None:
        slow, likely, fast = ends["experts" if has_experts else "dense"]
        return scaled((slow, likely, fast), measured * 1e12)
    capability = device.compute_capability or gpus.capability_by_name(device.name)
    peak = gpus.peak_flops(device.name, capability)
    if peak is None:
        return None
    return scaled(share_of_peak(work, device, program, has_experts=has_experts), peak)


def gpu_prompt(step: Step, parts: Parts) -> PaceRange | None:
    """A prompt of some hundred tokens, on GPUs that compute those shares of all layers one after
    the other. None where nothing tells how fast one computes, or how the program does on it.
    """
    work = step.gpu_work.replace(
        plain_bytes=0.0,
        packed_bytes=0.0,
        cache_bytes=0.0,
        core_seconds=0.0,
        attending_core_seconds=0.0,
        operations=2 * sum(parameters_met(step).values()),
        layers=(step.layers / BATCH_TOKENS,) * 3,
    )
    each = []
    for share, gpu in parts:
        row = efficiency("share", gpu.device, step.foreign or "", work="prompt")
        is_seen = not step.foreign or "program" in row
        rate = arithmetic(gpu.device, "prompt", step.foreign or "", has_experts=step.has_experts)
        if rate is None or not is_seen or work.operations <= 0:
            return None
        # the shares of other programs hold what launching takes
        launched = (0.0, 0.0, 0.0) if step.foreign else ends_of("read_prompt", "launched_seconds")
        engine = Engine(how="", throughput=rate, layer_seconds=launched)
        each.append(scaled(seconds(work, engine), share))
    return PaceRange.of_seconds(added(*each))


def prompt_at_once(step: Step, parts: Parts) -> PaceRange | None:
    """A prompt where each computes its part of every layer: the slowest of them, and adding up."""
    computed = [(share, gpu_prompt(step, [(1.0, gpu)])) for share, gpu in parts]
    rates = [scaled(prompt.seconds, share) for share, prompt in computed if prompt is not None]
    if step.architecture is None or len(rates) < len(parts):
        return None
    numbers = _SUMS_OF_LAYER * step.layers * step.architecture.embedding_length
    # in a ring each sends all of it but its own part twice (NVIDIA, nccl-tests, PERFORMANCE.md)
    sent_bytes = _SUMMED_NUMBER_BYTES * numbers * 2 * (len(parts) - 1) / len(parts)
    links = [efficiency("together", gpu.device)["sum_gb_s"] for _, gpu in parts]
    slow, likely, fast = (
        max(each[end] for each in rates) + sent_bytes / (1e9 * min(link[end] for link in links))
        for end in range(3)
    )
    return PaceRange.of_seconds((slow, likely, fast))


# ---------------------------------------------------------------- weights that cross to a GPU


def copied_per_second(names: Iterable[str], *, has_experts: bool = True) -> Range:
    """Bytes per second of weights that cross to the GPUs of these names, one after the other: slow
    end, likely, fast end. Without experts all of them cross, no faster than the link carries.
    """
    links = zip(*map(_ends_of_link, names), strict=True)
    slow, likely, fast = (
        (share if has_experts else min(share, 1.0)) * min(each)
        for share, each in zip(ends_of("read_prompt", "share_of_link"), links, strict=True)
    )
    return slow, likely, fast


def _ends_of_link(name: str) -> Range:
    link = gpus.link_bytes_per_second(name)
    if link is None:
        return ends_of("read_prompt", "any_link")
    most = min(link, constant("read_prompt")["most_of_link"])
    return most, most, most


def copies_of(
    computed: PaceRange, weights_bytes: int, cached_token_bytes: float, rates: Range
) -> PromptCopies:
    """A prompt of which GPUs compute all at that pace, while so many bytes of weights lie in RAM,
    and so many of each token's cache. `rates` are those of `copied_per_second`.
    """
    slow, likely, fast = rates
    each = 1 / slow, 1 / likely, 1 / fast
    return PromptCopies(
        computed=computed,
        seconds=scaled(each, weights_bytes),
        token_seconds=scaled(each, cached_token_bytes),
        batch_tokens=BATCH_TOKENS,
    )


def per_batch(tokens: int) -> str:
    """How often the weights cross that lie in RAM, in batches of so many."""
    return f"for each {units.tokens(tokens)} of a prompt"


def how_copied(weights_bytes: int, rates: Range) -> str:
    """What the pace of a prompt rests on, as a clause."""
    slow, _, fast = (units.decimal(int(rate)) for rate in rates)
    return (
        f"; {per_batch(BATCH_TOKENS)} {units.decimal(weights_bytes)} of weights cross to the GPU,"
        f" at {slow}/s to {fast}/s"
    )


def faster_in_batches(copies: PromptCopies, runtime: RuntimeSpec) -> tuple[str, ...]:
    """What larger batches gain of a long prompt, by the option of that program; nothing where it
    has none, or where that gains little.
    """
    larger = copies.replace(batch_tokens=_LARGER_TOKENS)
    times = larger.pace.likely / copies.pace.likely
    if not runtime.batch_option or times < _WORTH_SAYING:
        return ()
    option = runtime.batch_option.format(batch_tokens=_LARGER_TOKENS)
    return (
        f"{option} reads long prompts about {times:.1f} times as fast, for more GPU memory: weights"
        f" in RAM cross to the GPU for each {units.tokens(_LARGER_TOKENS)}, not for each"
        f" {units.tokens(copies.batch_tokens)}",
    )
