"""The experts that options of llama.cpp keep in RAM while GPUs hold the rest.

`--n-cpu-moe` names the first layers, `--cpu-moe` all layers, and `-ot` tensors by patterns of their
names. What goes in: a case and the tensors of the experts in its file. What comes out: for each
tensor the layers whose experts stay in RAM. Tensors that are no experts are not moved here: how
much of a step the processor then computes was not measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ...catalogue.runtime_parts import ALL_LAYERS
from ...catalogue.spec import FileTensors
from ...core.units import says_any
from ..case import Case
from ..quantization import TABLES
from ..tensors import layers_of
from .files import of_every_step

# marks of the names of tensors of experts
_EXPERTS = ("_exps.", "_chexps.")
# what stands for the number of a layer in a tensor's name
_ANY_LAYER = "*"

# the layers whose experts stay in RAM, by the name of the tensor
LayersByTensor = Mapping[str, frozenset[int]]


def is_of_experts(tensor: FileTensors) -> bool:
    """Whether the tensor holds experts of a layer that every step computes (LLM_FFN_EXPS_REGEX of
    common/common.h).
    """
    return not tensor.extra and says_any(tensor.name, _EXPERTS)


def layers_with_experts(case: Case) -> list[int]:
    """The numbers of the layers that have experts."""
    return sorted(layers_of(feed for feed in case.model.feed_forward if feed.experts))


def layers_in_ram(case: Case, experts: Iterable[FileTensors]) -> LayersByTensor:
    """The layers in which each tensor of the experts stays in RAM by the user's options; {} without
    such an option.
    """
    stated = case.settings.get("experts_in_ram")
    if stated is None:
        return {}
    layers = layers_with_experts(case)
    return {tensor.name: _matched(stated, tensor.name, layers) for tensor in experts}


def _matched(stated: str, name: str, layers: list[int]) -> frozenset[int]:
    """The layers of the tensor that the values of the options keep in RAM."""
    found = set()
    for part in stated.split(","):
        if part == ALL_LAYERS:
            found.update(layers)
        elif part.isdecimal():
            found.update(layer for layer in layers if layer < int(part))
    patterns = _patterns(stated)
    for layer in layers:
        named = name.replace(_ANY_LAYER, str(layer))
        if any(pattern.search(named) for pattern in patterns):
            found.add(layer)
    return frozenset(found)


def _patterns(stated: str) -> list[re.Pattern[str]]:
    """The patterns of `-ot`, without the place behind each."""
    patterns = []
    for part in stated.split(","):
        pattern, sign, _ = part.rpartition("=")
        if sign:
            patterns.append(re.compile(pattern, re.ASCII))
    return patterns


def why_patterns_refused(
    stated: str,
    tensors: Iterable[FileTensors],
    layers: int,
) -> str | None:
    """Why what the patterns of `-ot` keep in RAM is not computed for a file with these tensors;
    None where it is.

    A table whose rows are looked up lies in RAM whatever the options say. A block that predicts
    several tokens is not moved by them here.
    """
    every_step = of_every_step(tensors)
    for pattern in _patterns(stated):
        is_found = False
        for tensor in every_step:
            named = _first_match(pattern, tensor.name, layers)
            if named is None:
                continue
            is_found = True
            if not is_of_experts(tensor) and not tensor.name.startswith(TABLES):
                return (
                    f'the pattern "{pattern.pattern}" of -ot also means {named}, '
                    "and only experts in RAM are computed"
                )
        if not is_found:
            return f'none of its tensors is meant by the pattern "{pattern.pattern}" of -ot'
    return None


def _first_match(pattern: re.Pattern[str], name: str, layers: int) -> str | None:
    """The tensor's name in the first layer in which the pattern is found in the name; None where it
    is found in none.
    """
    for layer in range(layers):
        named = name.replace(_ANY_LAYER, str(layer))
        if pattern.search(named):
            return named
        if named == name:
            return None
    return None
