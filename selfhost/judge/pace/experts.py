"""The experts of a mixture-of-experts model: a step whose experts lie in RAM, and the experts that
several tokens read together.

If a GPU does not hold the whole model, llama.cpp keeps the experts of some layers in RAM, where the
processor computes them (llama.cpp 0c1e570, common_params_fit_impl in common/fit.cpp).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import Record
from ...needs.quantization import BLOCKS
from .decode_step import Step
from .ranges import Amount
from .tables import pace_tables

# the relative difference up to which the parameters of a type count as those of the experts
_SAME_COUNT = 0.02


class ApartExperts(Record):
    """A step in two parts: the processor computes the experts of `layers` layers (`experts`), the
    devices compute everything else (`rest`).
    """

    experts: Step
    rest: Step
    layers: float


def experts_apart(step: Step, on_gpus: float) -> ApartExperts | None:
    """Return the step in two parts, where GPUs hold the share `on_gpus` of the model; None where
    GPUs do not even hold everything that is no expert.
    """
    share = _share_of_experts_in_ram(step, on_gpus)
    if share is None:
        return None
    expert_bytes = _bytes_of_experts(step, share)
    rest_bytes = dict(step.read_bytes)
    for name, size in expert_bytes.items():
        rest_bytes[name] -= size
    experts = Step(
        architecture=None,
        read_bytes=expert_bytes,
        other_program=step.other_program,
    )
    return ApartExperts(
        experts=experts,
        rest=step.replace(read_bytes=rest_bytes),
        layers=share * step.experts.layers,
    )


def _share_of_experts_in_ram(step: Step, on_gpus: float) -> float | None:
    """The share of all experts' parameters that GPUs do not hold. GPUs hold all other parameters
    first.

    None where the other parameters do not fit, or where the model has no experts.
    """
    experts = step.experts
    parameters = _parameters_read(step)
    others = sum(parameters.values()) - experts.used
    if not experts.all or others <= 0:
        return None
    experts_on_gpus = on_gpus * (others + experts.all) - others
    if experts_on_gpus < 0:
        return None
    return 1 - min(1.0, experts_on_gpus / experts.all)


def _parameters_read(step: Step) -> dict[str, float]:
    """The number of parameters that a step reads, by stored type; an unknown type counts as a type
    of 16 bits.
    """
    parameters = {}
    for name, size in step.read_bytes.items():
        values, block_bytes = BLOCKS.get(name, (1, 2))
        parameters[name] = size * values / block_bytes
    return parameters


def _bytes_of_experts(step: Step, share: float) -> Mapping[str, int]:
    """The bytes that a step reads of a share of the experts, by type.

    A type that files have for experts alone is their type, if as many parameters are stored in it.
    Otherwise the experts have the same types as all weights that are read: parameters of a mixed
    file are estimates, which may be as many as the experts by chance.
    """
    used = step.experts.used
    parameters = _parameters_read(step)
    for name, count in parameters.items():
        if not pace_tables().type_called(name).experts_only:
            continue
        if abs(count - used) <= _SAME_COUNT * used:
            return {name: int(share * step.read_bytes[name])}
    part = share * used / sum(parameters.values())
    read_bytes = {}
    for name, size in step.read_bytes.items():
        read_bytes[name] = int(part * size)
    return read_bytes


def seen_evenness_of(step: Step) -> Amount | None:
    """How evenly tokens choose experts, as seen of the architecture; None where it was not."""
    if step.architecture is None:
        return None
    return pace_tables().batch.evenness_by_architecture.get(step.architecture.row)


def experts_of_one_text(
    step: Step,
    tokens: int,
    evenness: Amount,
) -> Amount:
    """The share of a mixture's experts that `tokens` tokens of one text use together.

    A text prefers some experts. The choices of each expert are assumed to follow a gamma
    distribution with the shape `evenness`; tokens that choose by chance are its limit.
    """
    choices = tokens * step.experts.chosen_share
    shares = []
    for shape in evenness:
        unused = (1 + choices / shape) ** -shape
        shares.append(1 - unused)
    return Amount(*shares)


class ReadExperts(Record):
    """The experts that several tokens read together.

    `share`: the share of experts in the bytes that one token reads. `growth`: the factor by
    which all tokens read more expert parameters than one token.
    """

    share: float
    growth: Amount


def experts_of_several_texts(step: Step, tokens: int) -> ReadExperts:
    """Return the experts that `tokens` tokens read, each token from a text of its own.

    If one token uses the share `c` of the experts, `n` tokens use `1 - (1 - c)^n`, provided that
    each chooses by chance. Texts prefer some experts, as if they chose by chance among `preferred`
    of them; of some architectures it was seen how unevenly. A step that unpacks all experts reads
    no more of them for more tokens.
    """
    if not step.expert_bytes or step.unpacks_experts:
        return ReadExperts(share=0.0, growth=Amount.of(1))
    share = step.expert_bytes / step.weights_bytes
    return ReadExperts(share=share, growth=_growth(step, tokens))


def _growth(step: Step, tokens: int) -> Amount:
    """The factor by which so many tokens use more experts than one token does."""
    growths = []
    evenness = seen_evenness_of(step)
    if evenness is not None:
        of_one = experts_of_one_text(step, 1, evenness)
        of_all = experts_of_one_text(step, tokens, evenness)
        for used, used_by_one in zip(of_all, of_one, strict=True):
            growths.append(used / used_by_one)
        return Amount(*growths)
    for preferred in pace_tables().batch.preferred:
        chosen = min(1.0, step.experts.chosen_share / preferred)
        used = 1 - (1 - chosen) ** tokens
        growths.append(used / chosen)
    return Amount(*growths)
