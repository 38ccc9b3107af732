"""LoRA adapters: where peft puts them, and how many parameters they have.

LoRA (arXiv 2106.09685, section 4) gives a matrix of in × out an adapter of rank × (in + out)
parameters. What `target_modules="all-linear"` means to peft 0.21.2 with the classes of transformers
5.23.0 stands in the rows of architectures; each class was built on the meta device
(tests/truth/adapters.json). `peft_experts` of a row says what happens to routed experts:

- "adapted": peft takes routed experts and routers too, as parameters
  (utils/transformers_weight_conversion.py, _convert_peft_config_moe). It leaves what else is called
  gate, up or down: dense layers, shared experts, gates of attention.
- "left": peft leaves the experts, which are one tensor each and no linear layer.
- anything else: not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod

from ...catalogue.spec import Architecture, TensorGroup
from ...core.records import Record
from ..packed import is_linear, matrix_of
from ..tensors import ArchitectureRow, checkpoint_tensors

# linear layers outside the blocks
_OUTSIDE = (
    "pooler.weight", "project_in.weight", "project_out.weight", "contact_head.weight",
    "per_layer_model_proj.weight", "altup_proj.weight",
    "altup_unembd_proj.weight",
)  # fmt: skip
# how many matrices a class has where GGUF files have one, by the row's `torch_split`
_PIECES: Mapping[str, int] = {"attn_qkv": 3, "ffn_up": 2}


class Adapters(Record):
    """The adapters of one rank on a whole model, in numbers of parameters.

    `parameters` and `matrices` are those of peft's all-linear on the class of transformers.
    `linear_parameters` leaves out routed experts and their routers. `low_parameters` is smaller
    where lists of layers leave those out, or where a class of the same row has one matrix instead
    of two. `high_parameters` is larger where published code may keep apart what GGUF fuses, or
    where it is not known whether experts are adapted. `frozen_linear` counts the weights of linear
    layers, which bitsandbytes stores in 4 bits. `frozen_experts` counts those of routed experts,
    which are fused tensors in transformers 5 and stay in 16 bits. `folded` counts the experts of
    one layer with their adapters, 0 where experts have none. `largest` is the number of elements of
    the widest linear layer. `words` says how all-linear departs from every linear layer, "" where
    it does not.
    """

    parameters: int
    linear_parameters: int
    low_parameters: int
    high_parameters: int
    matrices: int
    largest: int
    frozen_linear: int
    frozen_experts: int
    folded: int
    words: str


class _Adapted(Record):
    """What adapters add on one group of tensors, in numbers of parameters.

    `taken`: all-linear adds them. `listed`: a list of linear layers adds them. `extra` and
    `spared`: by how many `taken` may be larger or smaller. `weights` and `experts` count the
    group's own weights in linear layers and in routed experts, `widest` those of one layer.
    """

    taken: int = 0
    listed: int = 0
    extra: int = 0
    spared: int = 0
    matrices: int = 0
    weights: int = 0
    experts: int = 0
    widest: int = 0


@lru_cache(maxsize=512)
def adapters(architecture: Architecture, row: ArchitectureRow, rank: int) -> Adapters:
    """The adapters of peft's all-linear: on each linear layer but the output, and on what else it
    takes.
    """
    groups = checkpoint_tensors(architecture, row)
    routed = any("_exps." in group.name for group in groups)
    on_experts = routed and row.peft_experts == "adapted"
    certain = not routed or row.peft_experts in ("adapted", "left")
    parts = [_on_group(group, architecture, row, rank, on_experts) for group in groups]
    taken, listed, spared = (_sum(parts, field) for field in ("taken", "listed", "spared"))
    return Adapters(
        parameters=taken,
        linear_parameters=listed,
        low_parameters=min(listed, taken) if on_experts else taken - spared,
        high_parameters=taken + _sum(parts, "extra"),
        matrices=_sum(parts, "matrices"),
        largest=max((part.widest for part in parts), default=0),
        frozen_linear=_sum(parts, "weights"),
        frozen_experts=_sum(parts, "experts"),
        folded=_folded(groups, rank) if on_experts else 0,
        words=_departure(row, on_experts=on_experts, spares=spared > 0, certain=certain),
    )


def _sum(parts: Sequence[_Adapted], field: str) -> int:
    return sum(getattr(part, field) for part in parts)


def _departure(row: ArchitectureRow, *, on_experts: bool, spares: bool, certain: bool) -> str:
    """How what all-linear takes departs from every linear layer; "" where it does not."""
    if row.peft_refuses:
        return (
            "every linear layer but out_proj, which peft refuses for this class (exclude_modules)"
        )
    if on_experts:
        return (
            "with routed experts and routers, as peft 0.21.2 has all-linear; at least: linear"
            " layers alone, as a list of them has it"
        )
    if spares:
        return "at least: gate and up in one matrix, as the class of Granite 4 has them"
    return "" if certain else "whether it adapts experts too is not known"


def _on_group(
    group: TensorGroup,
    architecture: Architecture,
    row: ArchitectureRow,
    rank: int,
    on_experts: bool,
) -> _Adapted:
    if "_exps." in group.name:
        return _on_experts(group, row, rank)
    if _is_router(group):
        return _on_router(group, row, rank, on_experts)
    return _on_linear(group, architecture, row, rank, on_experts)


# ------------------------------------------------------------------ experts and routers


def _on_experts(group: TensorGroup, row: ArchitectureRow, rank: int) -> _Adapted:
    if not _is_stack(group):
        return _Adapted()
    layers = len(group.layers)
    part = _Adapted(experts=prod(group.shape) * layers)
    size = _on_stack(group, rank) * layers
    if row.peft_experts == "adapted":
        # gate and up are one matrix
        return part.replace(taken=size, matrices=0 if "gate" in group.name else layers)
    return part if row.peft_experts == "left" else part.replace(extra=size)


def _is_stack(group: TensorGroup) -> bool:
    """True of the matrices of all experts of a layer in one tensor."""
    return "_exps." in group.name and len(group.shape) == 3


def _on_stack(group: TensorGroup, rank: int) -> int:
    """Parameters of an adapter on the experts of one layer.

    Gate and up are one tensor in transformers 5, whose adapter has twice the rank.
    """
    inputs, outputs, number = group.shape
    return rank * number * (inputs + (1 if "down" in group.name else 2) * outputs)


def _folded(groups: Sequence[TensorGroup], rank: int) -> int:
    """Parameters of the experts of one layer with their adapters, of the layer that has most."""
    # groups of one name are of different layers
    stacks: dict[str, int] = {}
    for group in groups:
        if _is_stack(group):
            size = prod(group.shape) + _on_stack(group, rank)
            stacks[group.name] = max(stacks.get(group.name, 0), size)
    return sum(stacks.values())


def _is_router(group: TensorGroup) -> bool:
    return "gate_inp" in group.name and group.name.endswith(".weight") and "shexp" not in group.name


def _on_router(group: TensorGroup, row: ArchitectureRow, rank: int, on_experts: bool) -> _Adapted:
    layers = len(group.layers)
    size, taken = rank * sum(group.shape) * layers, row.linear_router or on_experts
    return _Adapted(
        taken=size if taken else 0,
        listed=size if row.linear_router else 0,
        matrices=layers if taken else 0,
    )


# ------------------------------------------------------------------ linear layers


def _on_linear(
    group: TensorGroup,
    architecture: Architecture,
    row: ArchitectureRow,
    rank: int,
    on_experts: bool,
) -> _Adapted:
    sides = linear_sides(group, row)
    if sides is None:
        return _Adapted()
    inputs, outputs = sides
    number = _modules(group, architecture, checkpoint_tensors(architecture, row))
    apart, pieces = _has_its_own_matrix(group, row), _pieces(group, row)
    size = rank * (inputs * pieces + outputs) * number
    layer = _Adapted(
        weights=inputs * outputs * (len(group.layers) or 1), widest=inputs * outputs, listed=size
    )
    if row.peft_refuses and "ssm_out" in group.name:
        return layer.replace(listed=0)
    named_as_expert = "ffn_" in group.name or (apart and "attn_gate" in group.name)
    if on_experts and named_as_expert and "gate_inp" not in group.name:
        return layer
    # an adapter on one more matrix that reads the same
    another = rank * inputs * number
    spares = row.torch_perhaps_fused and "ffn_gate" in group.name
    return layer.replace(
        taken=size,
        matrices=number * pieces,
        spared=another if spares else 0,
        extra=another * _matrices_elsewhere(group, row),
    )


def linear_sides(group: TensorGroup, row: ArchitectureRow) -> tuple[int, int] | None:
    """Inputs and outputs of a linear layer of the class; None for any other tensor."""
    if "ffn_gate_inp_shexp" in group.name:
        return (group.shape[0], 1) if row.shared_expert_gate else None
    if any(part in group.name for part in row.torch_parameters):
        return None
    inside = is_linear(group) and "_exps." not in group.name
    if inside or _is_altup(group) or group.name in _OUTSIDE:
        return matrix_of(group)[:2]
    return None


def _is_altup(group: TensorGroup) -> bool:
    """True of the linear layers of AltUp, which quantizers leave."""
    return (
        group.name.startswith("blk.*.altup")
        and group.name.endswith(".weight")
        and len(group.shape) == 2
    )


def _has_its_own_matrix(group: TensorGroup, row: ArchitectureRow) -> bool:
    """False where the class has it in the matrix before it. Keys and values of latent attention
    come from one matrix.
    """
    fused = bool(row.torch_fused) and group.name.startswith(f"blk.*.{row.torch_fused}")
    return "attn_v_b" not in group.name and not fused


def _pieces(group: TensorGroup, row: ArchitectureRow) -> int:
    """How many matrices of the class the group is; 0 where it lies in another."""
    if not _has_its_own_matrix(group, row):
        return 0
    split = bool(row.torch_split) and row.torch_split in group.name
    return _PIECES[row.torch_split] if split else 1


def _matrices_elsewhere(group: TensorGroup, row: ArchitectureRow) -> int:
    """How many more matrices published code may have for the group.

    Bamba has two for gate and up, and its row has one.
    """
    if "attn_qkv" in group.name and _pieces(group, row) == 1:
        return 2
    joined = "ffn_gate." in group.name and not _has_its_own_matrix(group, row)
    return int(joined or (row.gate == "fused" and "ffn_up" in group.name))


def _modules(group: TensorGroup, architecture: Architecture, groups: Sequence[TensorGroup]) -> int:
    """How many modules of the class the group stands for."""
    name = group.name
    is_key_or_value = name.startswith(("blk.*.attn_k.", "blk.*.attn_v."))
    if is_key_or_value and architecture.cache_layers is not None:
        # layers that read the keys and values of another have none of their own
        return sum(layer < architecture.cache_layers for layer in group.layers)
    if name.startswith("shared."):
        return _turns(groups)[int(name.split(".")[1])]
    if ".lora_" in name:
        return sum(turn * turn for turn in _turns(groups))
    return len(group.layers) or matrix_of(group)[2]


def _turns(groups: Sequence[TensorGroup]) -> list[int]:
    """How many layers use each block that layers share (Zamba).

    A shared block is a module of each of these layers, with the own parts of all of them.
    """
    uses = next((len(group.layers) for group in groups if "shared_output" in group.name), 0)
    numbers = [
        int(group.name.split(".")[1]) for group in groups if group.name.startswith("shared.")
    ]
    blocks = 1 + max(numbers, default=0)
    return [len(range(block, uses, blocks)) for block in range(blocks)]
