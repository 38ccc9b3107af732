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
from ...machine.record import Accelerator, Machine
from .engine import (
    NOTHING,
    SAME,
    Engine,
    Range,
    Step,
    Work,
    added,
    constant,
    efficiency,
    ends_of,
    longer,
    parameters_met,
    scaled,
    seconds,
    share_of_peak,
)
from .graphics import Gpu
from .processor import core_of, cores_rate
from .speed import PaceRange, PromptCopies

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

# a GPU and the share of the layers that it computes
Parts = Sequence[tuple[float, Gpu]]
# the batch that those take who want prompts read faster (tests/truth/speed_split.json)
_LARGER_TOKENS = 2048
# how many times as fast it must be for a sentence (assumed)
_WORTH_SAYING = 1.2
# after attention and after the feed-forward network each accelerator has a part of every number of
# a token, in 16 bits (Megatron-LM, arXiv 1909.08053, section 3)
_SUMS_OF_LAYER, _SUMMED_NUMBER_BYTES = 2, 2


def processor_prompt(step: Step, machine: Machine) -> PaceRange | None:
    """A prompt of some hundred tokens, on the processor; None: its operations are not known."""
    operations, rows = 0.0, constant("type")
    column = 0 if core_of(machine).wide else 1
    for name, count in parameters_met(step).items():
        share = rows.get(name, {}).get("prompt", rows["F16"]["prompt"])[column]
        is_expert = step.has_experts and name != "MXFP4"
        share *= constant("read_prompt")["experts_on_cores"] if is_expert else 1.0
        operations += 2 * count / share
    return PaceRange.of(scaled(cores_rate(machine), 1 / operations)) if operations > 0 else None


def gpu_prompt(step: Step, parts: Parts) -> PaceRange | None:
    """A prompt of some hundred tokens, on GPUs that compute those shares of all layers one after
    the other. None where nothing tells how fast one computes, or how the program does on it.
    """
    operations, program = 2 * sum(parameters_met(step).values()), step.foreign or ""
    tokens = constant("read_prompt")["batch_tokens"]
    work = Work(operations=operations, layers=scaled(step.work(on_gpu=True).layers, 1 / tokens))
    each = []
    for share, gpu in parts:
        row = efficiency("share", gpu.device, program, work="prompt")
        rate = _arithmetic(gpu.device, program, has_experts=step.has_experts)
        if rate is None or (program and "program" not in row) or operations <= 0:
            return None
        # the shares of other programs hold what launching takes
        launched = NOTHING if program else ends_of("read_prompt", "launched_seconds")
        engine = Engine(throughput=rate, layer_seconds=launched)
        each.append(scaled(seconds(work, engine), share))
    return PaceRange.of_seconds(added(*each))


def _arithmetic(device: Accelerator, program: str, *, has_experts: bool) -> Range | None:
    """Operations a second that prompts reach on a GPU: as its runs had them, else of its peak;
    None where neither is known.
    """
    measured = gpus.fact_of(device.name, "prompt_tflops")
    if not program and measured is not None:
        ends = constant("measured_prompt")["experts" if has_experts else "dense"]
        return scaled((ends[0], ends[1], ends[2]), measured * 1e12)
    capability = device.compute_capability or gpus.capability_by_name(device.name)
    peak = gpus.peak_flops(device.name, capability)
    if peak is None:
        return None
    return scaled(share_of_peak("prompt", device, program, has_experts=has_experts), peak)


def at_once(step: Step, parts: Parts) -> PaceRange | None:
    """A prompt where each computes its part of every layer: the slowest of them, and adding up."""
    prompts = [(share, gpu_prompt(step, [(1.0, gpu)])) for share, gpu in parts]
    computed = [scaled(prompt.seconds, share) for share, prompt in prompts if prompt is not None]
    if step.architecture is None or len(computed) < len(parts):
        return None
    numbers = _SUMS_OF_LAYER * step.layers * step.architecture.embedding_length
    # in a ring each sends all of it but its own part twice (NVIDIA, nccl-tests, PERFORMANCE.md)
    sent_bytes = _SUMMED_NUMBER_BYTES * numbers * 2 * (len(parts) - 1) / len(parts)
    sums = [
        scaled((1 / slow, 1 / likely, 1 / fast), sent_bytes / 1e9)
        for _, gpu in parts
        for slow, likely, fast in [efficiency("together", gpu.device)["sum_gb_s"]]
    ]
    return PaceRange.of_seconds(added(longer(*computed), longer(*sums)))


# ---------------------------------------------------------------- weights that cross to a GPU


def copied_per_second(names: Iterable[str], *, has_experts: bool) -> Range:
    """Bytes per second of weights that cross to the GPUs of these names, one after the other.
    Without experts all of them cross, no faster than the link carries.
    """
    most, links = constant("read_prompt")["most_of_link"], []
    for name in names:
        link = gpus.link_bytes_per_second(name)
        ends = ends_of("read_prompt", "any_link")
        links.append(ends if link is None else scaled(SAME, min(link, most)))
    slow, likely, fast = map(min, zip(*links, strict=True))
    shares = ends_of("read_prompt", "share_of_link")
    return slow * shares[0], likely * shares[1], fast * (shares[2] if has_experts else 1.0)


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
