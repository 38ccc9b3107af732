"""How fast a model is trained: tokens a second, bound by arithmetic."""

from __future__ import annotations

from ..core.units import TRAINED
from .compute import Power
from .ranges import inverse, product
from .speed import PaceRange, SecondsRange, Speed

# of the peak of a GPU in 16 bits, LoRA at 4 operations a parameter, 6 where activations are
# computed again: 0.32 to 0.48 on an RTX PRO 6000 (Llama 3.1 8B, 4,962 tokens/s, exxactcorp.com),
# 0.13 to 0.2 on an RTX 4060 (Qwen2.5 1.5B, 628 tokens/s, arXiv:2509.12229). Large training runs
# reach 0.38 to 0.43 (Llama 3 405B, arXiv:2407.21783, table 4). The ends are guesses around that
GPU_SHARES = (0.12, 0.35, 0.55)
# and of what a processor computes on prompts: a guess around what PyTorch reaches there of pictures
# and sound (`compute.in_pytorch`), half of it at the slow end
_PROCESSOR_SHARES = (0.15, 0.4, 0.72)
# operations a token and a parameter: forward 2, backward 2 for the activations and 2 for the
# weights, which LoRA leaves as they are; activations that are computed again take 2 more
# (Korthikanti et al. 2022, arXiv:2205.05198, section 5)
_FORWARD, _BACKWARD, _WEIGHTS, _AGAIN = 2, 2, 2, 2
# weights in 4 bits are unpacked at every use: as many times as long as LoRA, a guess
_UNPACKED = (1.0, 1.4, 2.0)
# on several devices, as many times as long because weights are gathered for every layer: a guess
_TOGETHER = (1.0, 1.25, 2.0)


def operations_a_token(method: str, parameters: int, *, checkpointing: bool) -> float:
    """Multiplications and additions for one token that is trained on."""
    each = _FORWARD + _BACKWARD
    each += _WEIGHTS if method == "full" else 0
    each += _AGAIN if checkpointing else 0
    return float(each * parameters)


def pace_of_training(
    power: Power | None,
    parameters: int | None,
    *,
    method: str,
    checkpointing: bool,
    devices: int,
    dataset_tokens: int | None = None,
) -> Speed:
    """Tokens trained on in a second, and how long `dataset_tokens` take. `parameters` are those
    that a token meets.
    """
    if parameters is None:
        return unpaced("the number of parameters that a token meets is not known")
    if power is None:
        return unpaced("nothing tells how fast what it runs on computes")
    operations = operations_a_token(method, parameters, checkpointing=checkpointing)
    shares = _PROCESSOR_SHARES if power.device is None else GPU_SHARES
    same = (1.0, 1.0, 1.0)
    low, likely, high = inverse(
        product(
            power.seconds(operations, shares),
            _UNPACKED if method == "qlora" else same,
            _TOGETHER if devices > 1 else same,
        )
    )
    how = (
        f"on {power.how}; {operations / 1e9:,.0f} × 10^9 operations a token"
        f"{', activations computed again' if checkpointing else ''}"
    )
    return Speed(
        work=PaceRange(low=low, likely=likely, high=high),
        unit=TRAINED,
        how=how,
        dataset_seconds=None
        if dataset_tokens is None
        else SecondsRange(
            low=dataset_tokens / high, likely=dataset_tokens / likely, high=dataset_tokens / low
        ),
    )


def unpaced(why: str) -> Speed:
    """No pace, and why."""
    return Speed(unit=TRAINED, how=why)
