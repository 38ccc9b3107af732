"""A LoRA adapter -> its size, and the shapes of its matrices, from its header alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from ..core.records import Record
from ..needs.records import How, SizedWeights
from .local import beside
from .naming import clean
from .source import fail, open_file, read_json, read_some, shown, status_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .gguf_header import Header

_ADAPTER = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_MAX_CONFIG_BYTES = 1 << 20
_AGAIN = "convert the adapter again with llama.cpp's convert_lora_to_gguf.py"

_Shape = tuple[int, ...]
# the shapes of both matrices by what they change, the row length first
_Pairs = Mapping[str, tuple[_Shape, _Shape]]


class AdapterFile(Record):
    """A LoRA adapter. `pairs` has the shapes of both matrices, the row length first, by the tensor
    that they change (in a GGUF file) or the module (in what peft wrote).

    `architecture` is the one that a GGUF file was made for, `base_model` the repository or folder
    that peft trained on.
    """

    size: SizedWeights
    format: str
    architecture: str | None = None
    base_model: str | None = None
    pairs: _Pairs = {}


def read_adapter(path: str) -> AdapterFile:
    """A LoRA adapter in a GGUF file, or in what peft wrote (a file or its folder), from its header.

    Raises `SpecError` for a file that is no adapter, and for one that llama.cpp refuses whatever
    the model (src/llama-adapter.cpp).
    """
    if stat.S_ISDIR(status_of(path).st_mode):
        path = os.path.join(path, _ADAPTER)
    stream, size = open_file(path)
    with stream:
        start = read_some(path, stream, min(size, 4096))
    return _of_gguf(path) if start.startswith(b"GGUF") else _of_peft(path)


def _sized(path: str, data_bytes: int) -> SizedWeights:
    return SizedWeights(
        bytes=data_bytes,
        low_bytes=data_bytes,
        high_bytes=data_bytes,
        how=How.EXACT,
        source=f"header of {shown(path)}",
        arithmetic=f"{data_bytes:,} bytes of tensors",
    )


# ------------------------------------------------------------------ GGUF


def _of_gguf(path: str) -> AdapterFile:
    from .gguf_header import read_header

    header = read_header(path)
    if header.values.get("general.type") != "adapter":
        fail(path, "is a model or part of one, not a LoRA adapter", "give the adapter's file")
    unsized = next((tensor for tensor in header.tensors if tensor.bytes is None), None)
    if unsized is not None:
        fail(
            path,
            f"stores a tensor as {unsized.type}, whose size is not known",
            "convert the adapter again with a plain type",
        )
    return AdapterFile(
        size=_sized(path, sum(tensor.bytes or 0 for tensor in header.tensors)),
        format="gguf",
        architecture=clean(header.values.get("general.architecture")),
        pairs=_pairs_of_gguf(path, header),
    )


def _pairs_of_gguf(path: str, header: Header) -> _Pairs:
    if header.values.get("adapter.type") != "lora":
        fail(path, "does not say that it is a LoRA adapter (adapter.type)", _AGAIN)
    matrices: dict[str, dict[str, _Shape]] = {}
    for tensor in header.tensors:
        changed, _, matrix = tensor.name.rpartition(".")
        if matrix in ("lora_a", "lora_b"):
            matrices.setdefault(changed, {})[matrix] = tensor.shape
        elif not tensor.name.endswith("_norm.weight"):
            fail(
                path,
                f'has the tensor "{clean(tensor.name)}", which is neither lora_a nor lora_b',
                _AGAIN,
            )
    if not matrices:
        fail(path, "is an adapter without a tensor", _AGAIN)
    return _paired(path, matrices, "lora_a", "lora_b")


def _paired(
    path: str, matrices: Mapping[str, Mapping[str, _Shape]], first: str, second: str
) -> _Pairs:
    """Both matrices of each; `SpecError` where one is missing."""
    lone = next((changed for changed, both in matrices.items() if len(both) < 2), None)
    if lone is not None:
        fail(
            path,
            f'has {next(iter(matrices[lone]))} of "{clean(lone)}" and not the other matrix',
            "the file is damaged: download it again",
        )
    return {clean(changed): (both[first], both[second]) for changed, both in matrices.items()}


# ------------------------------------------------------------------ peft


def _of_peft(path: str) -> AdapterFile:
    """peft, tuners/lora/layer.py: `lora_A` is rank × inputs, `lora_B` outputs × rank, under the
    module's name in `base_model.model`.
    """
    from .safetensors import read_shapes, read_weights

    config_path = beside(path, _CONFIG)
    if not os.path.basename(path).startswith("adapter_model") and config_path is None:
        fail(
            path,
            "is no LoRA adapter",
            f"give the {_ADAPTER} that peft wrote, or a GGUF file made of it",
        )
    data_bytes = read_weights(path, (path,)).data_bytes
    config = _peft_config(path, config_path)
    matrices: dict[str, dict[str, _Shape]] = {}
    for name, shape in read_shapes(path).items():
        module, _, matrix = (
            name.removesuffix(".weight").removeprefix("base_model.model.").rpartition(".")
        )
        if matrix in ("lora_A", "lora_B") and module and len(shape) == 2:
            matrices.setdefault(module, {})[matrix] = (shape[1], shape[0])
    pairs = _paired(path, matrices, "lora_A", "lora_B")
    _refuse_other_rank(path, config, pairs)
    base = config.get("base_model_name_or_path")
    return AdapterFile(
        size=_sized(path, data_bytes),
        format="safetensors",
        base_model=clean(base) if isinstance(base, str) else None,
        pairs=pairs,
    )


def _peft_config(path: str, config_path: str | None) -> Mapping[str, Any]:
    """What the config says, nothing where there is none. Raises `SpecError` for another method."""
    if config_path is None:
        return {}
    values = read_json(config_path, _MAX_CONFIG_BYTES, what=_CONFIG)
    config = values if isinstance(values, dict) else {}
    kind = config.get("peft_type")
    if isinstance(kind, str) and kind != "LORA":
        fail(path, f"is an adapter of the type {clean(kind)}, not LoRA", "give a LoRA adapter")
    return config


def _refuse_other_rank(path: str, config: Mapping[str, Any], pairs: _Pairs) -> None:
    """Raise `SpecError` where matrices have another rank than the config says, unless it gives
    ranks by pattern. Experts may share a rank.
    """
    rank = config.get("r")
    ranks = sorted({first[1] for module, (first, _) in pairs.items() if ".experts" not in module})
    if isinstance(rank, int) and not config.get("rank_pattern") and ranks and ranks != [rank]:
        other = next(trained for trained in ranks if trained != rank)
        fail(
            path,
            f"has matrices of rank {other:,}, and its adapter_config.json says r = {rank:,}",
            "take both from the same place",
        )
