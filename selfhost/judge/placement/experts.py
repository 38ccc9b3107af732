"""A mixture of which a GPU holds all but some experts, as llama.cpp's fitter lays it out: attention
and what all tokens share on the GPU, with the experts of as many layers as fit; the experts of the
other layers in RAM, where the processor computes them.

common/fit.cpp of llama.cpp 0c1e570: `common_params_fit_impl`, steps 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import FrozenDict, Record
from ..pace.engine import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.architecture import Architecture

# of a layer whose experts lie in RAM: its input and what comes back cross over, the GPU's graph is
# cut in two and both sides wait for each other. Slow end, likely, fast end: with 70 us 229
# published runs were at 0.87 of the likely pace, with 130 at 0.92 (tests/truth/speed_split.json,
# speed_split_later.json); the ends are a guess
CROSSING_SECONDS = (250e-6, 160e-6, 20e-6)
# the slow end takes as many times as long as its parts do: of 115 published runs on 16 cards four
# were 3 to 13 % slower than these (tests/truth/speed_split.json, speed_public.json)
SLOWER = 1.2


class Left(Record):
    """What is left in RAM: experts of a share of the layers that have some.

    `of_read`: their share of the weights that a token reads; `layers`: how many layers they are of.
    """

    of_read: float
    layers: float


def left_in_ram(step: Step, on_devices: float) -> Left | None:
    """The experts in RAM where devices hold that share of all weights; None where the model has
    none, or devices do not hold what all tokens share.
    """
    experts, used, layers = expert_parameters(step.architecture, step.expert_matrices)
    read = _parameters(step.read_bytes)
    if not experts or read <= used:
        return None
    shared = read - used
    held = on_devices * (shared + experts) - shared
    if held < 0:
        return None
    share = 1 - min(1.0, held / experts)
    return Left(of_read=share * used / read, layers=share * layers)


def layers_with_experts(architecture: Architecture | None) -> list[int]:
    """Their numbers, from 0 on."""
    groups = architecture.feed_forward if architecture is not None else ()
    return sorted(number for group in groups if group.experts for number in group.layers)


def expert_parameters(architecture: Architecture | None, matrices: int) -> tuple[float, float, int]:
    """Parameters of all routed experts, each of so many matrices, of those that a token uses, and
    layers that have some.
    """
    experts = used = 0.0
    layers = 0
    for group in architecture.feed_forward if architecture is not None else ():
        if group.experts and architecture is not None:
            width = group.latent_length or architecture.embedding_length
            each = matrices * width * group.length * len(group.layers)
            experts += group.experts * each
            used += (group.used or 1) * each
            layers += len(group.layers)
    return experts, used, layers


def _parameters(read_bytes: Mapping[str, int]) -> float:
    """Weights that so many bytes hold; of a type that is not known as in 16 bits."""
    from ...needs.quantization import BLOCKS

    return sum(
        size * values / block_bytes
        for type, size in read_bytes.items()
        for values, block_bytes in [BLOCKS.get(type, (1, 2))]
    )


def parts_of(step: Step, left: Left) -> tuple[Step, Step]:
    """The step of the devices, and that of the processor: experts alone."""
    in_ram = _of_experts(step, left.of_read)
    devices = step.replace(
        read_bytes=FrozenDict(
            {type: size - in_ram.get(type, 0) for type, size in step.read_bytes.items()}
        )
    )
    return devices, Step(architecture=None, read_bytes=in_ram, foreign=step.foreign)


# of the weights of all experts that are used, by how many those of a type may differ to be theirs
_AS_MANY = 0.02


def _of_experts(step: Step, share: float) -> FrozenDict:
    """Bytes by type of the experts that are that share of the weights read. A type that has as many
    weights as they is theirs, as MXFP4 in gpt-oss; else they are of every type like the whole.
    """
    _, used, _ = expert_parameters(step.architecture, step.expert_matrices)
    read = _parameters(step.read_bytes)
    for type, size in step.read_bytes.items():
        if abs(_parameters({type: size}) - used) <= _AS_MANY * used:
            return FrozenDict({type: int(size * min(1.0, share * read / used))})
    return FrozenDict({type: int(size * share) for type, size in step.read_bytes.items()})
