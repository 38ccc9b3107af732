"""How fast a prompt is read where a GPU lacks room for all weights: llama.cpp copies those in RAM
to the GPU, for each batch of the prompt anew, and computes all of it there. So it does with the
cache of layers that lie in RAM.

llama.cpp 0c1e570: ggml_backend_sched_split_graph (ggml/src/ggml-backend.cpp) hands what
reads a weight in RAM to a device that `offload_op` says wants it, which those of CUDA, HIP, Vulkan
and SYCL do from `LEAST_TOKENS` on. What lies between such products, as attention, goes along.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...core import units
from ...machine import gpus
from .speed import PaceRange, PromptCopies

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

# n_ubatch, as `-ub` sets it (common/common.h)
BATCH_TOKENS = 512
# GGML_OP_OFFLOAD_MIN_BATCH
LEAST_TOKENS = 32
# a link of a later version is told at no more than this: few boards beside such cards had it
# (PCIe 5.0 cards reached 9 to 31 GB/s)
_MOST_OF_LINK = 31.5e9
# of the link, what weights crossed at, as if all of them did: not every expert is chosen in a
# batch, and so copied. With it 92 % of 63 prompts on 8 kinds of cards lie inside, and 94 % of 52 on
# 5 more (tests/truth/speed_split.json, `fitted` and `kept`)
_SHARE = (0.3, 0.7, 1.35)
# the batch that those take who want prompts read faster: 25 of 123 prompts of that file had it
_LARGER_TOKENS = 2048
# how many times as fast it must be for a sentence (assumed)
_WORTH_SAYING = 1.2
# the links of cards that are not known: 3.0 x8, 4.0 x8 or 3.0 x16, and 4.0 x16
_ANY_LINK = (7.9e9, 15.75e9, 31.5e9)


def copied_per_second(
    names: Iterable[str], *, has_experts: bool = True
) -> tuple[float, float, float]:
    """Bytes per second of weights that cross to the GPUs of these names, one after the other: slow
    end, likely, fast end. Without experts all of them cross, no faster than the link carries.
    """
    links = [_ends_of_link(name) for name in names]
    slow, likely, fast = (
        (share if has_experts else min(share, 1.0)) * min(each)
        for share, each in zip(_SHARE, zip(*links, strict=True), strict=True)
    )
    return slow, likely, fast


def _ends_of_link(name: str) -> tuple[float, float, float]:
    link = gpus.link_bytes_per_second(name)
    if link is None:
        return _ANY_LINK
    most = min(link, _MOST_OF_LINK)
    return most, most, most


def copies_of(
    computed: PaceRange,
    weights_bytes: int,
    cached_token_bytes: float,
    rates: tuple[float, float, float],
) -> PromptCopies:
    """A prompt of which GPUs compute all at that pace, while so many bytes of weights lie in RAM,
    and so many of each token's cache. `rates` are those of `copied_per_second`.
    """
    slow, likely, fast = rates
    return PromptCopies(
        computed=computed,
        seconds=(weights_bytes / slow, weights_bytes / likely, weights_bytes / fast),
        token_seconds=(
            cached_token_bytes / slow, cached_token_bytes / likely, cached_token_bytes / fast,
        ),
        batch_tokens=BATCH_TOKENS,
        least_tokens=LEAST_TOKENS,
    )  # fmt: skip


def per_batch(tokens: int) -> str:
    """How often the weights cross that lie in RAM, in batches of so many."""
    return f"for each {units.tokens(tokens)} of a prompt"


def how_copied(weights_bytes: int, rates: tuple[float, float, float], *, has_experts: bool) -> str:
    """What the pace of a prompt rests on, as a clause."""
    slow, _, fast = (units.decimal(int(rate)) for rate in rates)
    as_if = ", as if every expert were chosen" if has_experts else ""
    return (
        f"; {per_batch(BATCH_TOKENS)} {units.decimal(weights_bytes)} of"
        f" weights cross to the GPU, at {slow}/s to {fast}/s{as_if}"
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
