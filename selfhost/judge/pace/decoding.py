"""The pace of one step of decoding, and of reading a prompt, where a model lies (`layout`).

`predict` returns the pace of one sequence, on GPUs or on the processor, with the clauses that say
what it rests on. `likely_seconds` and `prompt_rate` are figures of the same pace without words;
`sequences` makes the pace of several of them.
"""

from __future__ import annotations

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from . import Speed
from .decode_step import MEASURED_PROGRAM, SHORT_CHAT_TOKENS, Step
from .layout import LaidOut
from .processor import processor_of
from .prompts import prompt_seconds
from .ranges import Amount, Range, Seconds, highest
from .rates import Gpu, gpu_of
from .tables import pace_tables

# bytes read for a token below which the program's own work decides the pace: the smallest model
# measured reads over 100 times as much
_LEAST_READ_BYTES = 1 << 20
# where a full context leaves at least this share of the pace of a chat, no note is made (assumed)
_ABOUT_AS_FAST = 0.9
_TOO_SMALL = "the program, not the weights, limits the speed of a model this small"
_NO_MEMORY_RATE = "neither the memory bandwidth nor the number of cores could be read"


def predict(step: Step, layout: LaidOut) -> Speed:
    """Return the pace of a step in the given layout. Where the pace is not known, `how` says
    why.
    """
    why_unknown = _why_unknown(step, layout)
    if why_unknown is not None:
        return Speed(how=why_unknown)
    if layout.gpus:
        return _on_gpus(step, layout)
    return _on_processor(step, layout)


def likely_seconds(step: Step, layout: LaidOut) -> float:
    """The likely seconds of a step, whose pace is known."""
    if layout.gpus:
        return layout.seconds(step).likely
    on_cores = layout.known_cores.seconds(step)
    return _seconds_to_tell(on_cores, step, layout).likely


def prompt_rate(step: Step, layout: LaidOut) -> Range | None:
    """The rate at which a prompt is read, where the pace of the step is known; None where the rate
    is not.
    """
    if layout.gpus:
        return layout.prompt(step).pace
    on_cores = layout.known_cores.seconds(step)
    decode = 1 / _seconds_to_tell(on_cores, step, layout)
    return _prompt_on_processor(step, layout, decode)


def _why_unknown(step: Step, layout: LaidOut) -> str | None:
    """The reason why the pace of the step is not known; None where it is known."""
    if step.weights_bytes <= 0:
        return "how many bytes each token reads is not known"
    if step.weights_bytes < _LEAST_READ_BYTES:
        return _TOO_SMALL
    if layout.offloaded and not layout.gpus:
        return f"the memory bandwidth of {_unknown_gpu(layout)} is not known"
    if layout.cores is not None:
        return None
    if not layout.gpus:
        return _NO_MEMORY_RATE
    if layout.is_split:
        return f"part of it runs in RAM, and {_NO_MEMORY_RATE}"
    return None


def _unknown_gpu(layout: LaidOut) -> str:
    """The name of the first used GPU whose bandwidth is not known."""
    devices = layout.machine.cards
    if devices:
        for number in layout.offloaded or ():
            if gpu_of(devices[number]) is None:
                return devices[number].name
    return "the accelerator"


# ------------------------------------------------------------------ on GPUs


def _on_gpus(step: Step, layout: LaidOut) -> Speed:
    """The pace on the GPUs, and on the RAM where GPUs do not hold all of the model."""
    taken = _by_any_recipe(layout.seconds(step), step, layout)
    full = layout.seconds(_at_full_context(step, layout))
    prompt = layout.prompt(step)
    how = layout.how(step) + _context_words(step)
    if step.other_program and not _is_measured(step, layout):
        how += _unmeasured_words(step)
    if prompt.crossing.likely:
        how += _crossing_words(step, layout)
    return Speed(
        decode=_with_ends_of_small(1 / taken, step),
        prompt=prompt.pace,
        crossing_seconds=prompt.crossing.likely,
        full_context_tokens_per_second=_pace_when_full(step, taken, full),
        how=how,
    )


def _with_ends_of_small(decode: Range, step: Step) -> Range:
    """The pace on GPUs, with wider ends where llama.cpp's code computes a small model."""
    if step.other_program is not None:
        return decode
    small = pace_tables().general.small
    if step.parameters is None:
        return decode
    if step.parameters >= small.parameters:
        return decode
    low, likely, high = decode
    return Range(low * small.ends.least, likely, high * small.ends.most)


def _by_any_recipe(taken: Seconds, step: Step, layout: LaidOut) -> Seconds:
    """The likely seconds of a step, with ends that hold each recipe of its files."""
    shares = step.by_recipe
    if shares.slow == shares.fast:
        return taken
    with_most_bytes = layout.seconds(step.with_weights(shares.slow)).likely
    with_least_bytes = layout.seconds(step.with_weights(shares.fast)).likely
    factor = Amount(
        slow=with_most_bytes / taken.likely,
        likely=1.0,
        fast=with_least_bytes / taken.likely,
    )
    return taken * factor


def _is_measured(step: Step, layout: LaidOut) -> bool:
    """Whether runs of the runtime were measured on each of these GPUs, with all of the model on
    GPUs.
    """
    if layout.is_split:
        return False
    return all(used.gpu.row(step).program is not None for used in layout.gpus)


# ------------------------------------------------------------------ on the processor


def _on_processor(step: Step, layout: LaidOut) -> Speed:
    """The pace on the processor. A clause says whether a GPU that shares the RAM may be used
    instead.
    """
    cores = layout.known_cores
    on_cores = cores.seconds(step)
    full = cores.seconds(_at_full_context(step, layout))
    how = cores.memory.how + _context_words(step)
    if step.other_program:
        how += _unmeasured_words(step)
    if layout.shared_gpu is not None:
        how += f"; or the speed of {layout.shared_gpu.device.name}, if it is used"
    decode = 1 / _seconds_to_tell(on_cores, step, layout)
    return Speed(
        decode=decode,
        prompt=_prompt_on_processor(step, layout, decode),
        full_context_tokens_per_second=_pace_when_full(step, on_cores, full),
        how=how,
    )


def _seconds_to_tell(on_cores: Seconds, step: Step, layout: LaidOut) -> Seconds:
    """The seconds to tell of a step that takes `on_cores` on the processor: with the ends of a GPU
    that shares the RAM and may compute it instead.
    """
    taken = on_cores
    if step.architecture is None or step.other_program:
        # no run of such a model or program was measured: the pace may be slower
        least = pace_tables().general.unseen.least
        taken = taken._replace(slow=taken.slow / least)
    shared = layout.shared_gpu
    if shared is None:
        return taken
    return _if_shared(taken, shared.seconds(step), layout.runtime)


def _if_shared(
    on_cores: Seconds,
    on_shared: Seconds,
    runtime: RuntimeSpec | None,
) -> Seconds:
    """The seconds of a step where it is not known whether a GPU that shares the RAM computes it:
    the likely figure lies between both, and the ends hold both.

    A runtime with a setting for such a GPU leaves the GPU aside without it, and people set it where
    the GPU is faster: then the cores are the slow end. Others use the GPU that they find, even
    where the cores are faster.
    """
    likely = (on_cores.likely * on_shared.likely) ** 0.5
    fast = min(on_cores.fast, on_shared.fast)
    if runtime is not None and "shared_gpu" in runtime.command_lines.variables:
        return Seconds(on_cores.slow, min(on_cores.likely, likely), fast)
    return Seconds(max(on_cores.slow, on_shared.slow), likely, fast)


def _prompt_on_processor(step: Step, layout: LaidOut, decode: Range) -> Range | None:
    """The rate at which the processor reads a prompt, with the fast end of a GPU that may compute
    instead; None where it is not known. `decode` is the rate of decoding.
    """
    if processor_of(layout.machine).is_mac:
        # its GPU reads prompts: nobody measured its cores
        return None
    prompt = layout.known_cores.prompt(step)
    if layout.shared_gpu is not None:
        prompt = _prompt_if_shared(step, prompt, layout.shared_gpu)
    if prompt is None:
        return None
    # a prompt can always be read one token at a time, at the pace of decoding
    return highest(prompt, decode)


def _prompt_if_shared(
    step: Step,
    on_cores: Range | None,
    shared: Gpu,
) -> Range | None:
    """The rate at which a prompt is read where a GPU that shares the RAM may compute it; None where
    either rate is not known.

    The likely figure and the slow end are those of the cores.
    """
    on_shared = prompt_seconds(shared, step)
    if on_cores is None or on_shared is None:
        return None
    fastest = max(on_cores.high, 1 / on_shared.fast)
    return on_cores._replace(high=fastest)


# ------------------------------------------------------------------ once the context is full


def _at_full_context(step: Step, layout: LaidOut) -> Step:
    context_tokens = layout.context_tokens or 0
    return step.replace(depth_tokens=max(context_tokens, step.depth_tokens))


def _pace_when_full(
    step: Step,
    taken: Seconds,
    full: Seconds,
) -> float | None:
    """The tokens per second once the context is full; None where that is about as fast."""
    if step.architecture is None or not step.depth_tokens:
        return None
    if taken.likely >= _ABOUT_AS_FAST * full.likely:
        return None
    return 1 / full.likely


# ------------------------------------------------------------------ in words


def _context_words(step: Step) -> str:
    """The clause that tells how many tokens stand in the context before the step."""
    if step.architecture is None:
        return "; with an empty context, because the model's layers are not known"
    if not step.depth_tokens:
        return ""
    tokens = units.tokens(int(step.depth_tokens))
    if step.depth_tokens <= SHORT_CHAT_TOKENS:
        return f"; in a chat of {tokens}"
    return f"; with {tokens} in the context"


def _crossing_words(step: Step, layout: LaidOut) -> str:
    """The clause that tells how many bytes of weights cross to the GPU for each batch."""
    batch = units.tokens(layout.tokens_per_crossing)
    size = units.decimal(layout.in_ram_bytes)
    if step.has_experts:
        size = f"up to {size}"
    return f"; for each {batch} of a prompt {size} of weights cross to the GPU"


def _unmeasured_words(step: Step) -> str:
    """The clause that the runtime was not measured."""
    return f"; by the rules of {MEASURED_PROGRAM}, because {step.other_program} was not measured"
