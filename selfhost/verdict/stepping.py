"""What a step takes that PyTorch computes for one token, of text, sound or a picture: at least as
long as its weights take to be read.
"""

from __future__ import annotations

from ..core.records import FrozenDict
from ..machine.record import Machine
from .compute import Power
from .graphics import gpu_of
from .ranges import Range, product
from .speed import seconds_on_processor, shared_gpu_of
from .step import Step

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
