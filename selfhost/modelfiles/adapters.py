"""A LoRA adapter -> its size and rank, from its header alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from math import prod

from ..core.records import Record
from ..needs.records import How, SizedWeights
from .gguf_header import Header
from .gguf_header import read_header as read_gguf_header
from .local import beside
from .naming import clean
from .safetensors import BITS, read_header
from .source import damaged, fail, open_file, read_json, read_some, shown, status_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_ADAPTER = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_MAX_CONFIG_BYTES = 1 << 20
_AGAIN = "convert the adapter again with llama.cpp's convert_lora_to_gguf.py"
_Shapes = Mapping[str, Sequence[int]]


class AdapterFile(Record):
    """A LoRA adapter. `rank` is the largest of its pairs of matrices.

    `architecture` is the one that a GGUF file was made for, `base_model` the repository or folder
    that peft trained on.
    """

    size: SizedWeights
    format: str
    rank: int
    architecture: str | None = None
    base_model: str | None = None


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


def _of_gguf(path: str) -> AdapterFile:
    header: Header = read_gguf_header(path)
    if header.values.get("general.type") != "adapter":
        fail(path, "is a model or part of one, not a LoRA adapter", "give the adapter's file")
    if header.values.get("adapter.type") != "lora":
        fail(path, "does not say that it is a LoRA adapter (adapter.type)", _AGAIN)
    for tensor in header.tensors:
        if tensor.bytes is None:
            found = f"stores a tensor as {tensor.type}, whose size is not known"
            fail(path, found, "convert the adapter again with a plain type")
        if not tensor.name.endswith((".lora_a", ".lora_b", "_norm.weight")):
            name = f'has the tensor "{clean(tensor.name)}"'
            fail(path, f"{name}, which is neither lora_a nor lora_b", _AGAIN)
    ranks = _ranks(path, {tensor.name: tensor.shape[::-1] for tensor in header.tensors}, "ab")
    if not ranks:
        fail(path, "is an adapter without a tensor", _AGAIN)
    return AdapterFile(
        size=_sized(path, sum(tensor.bytes or 0 for tensor in header.tensors)),
        format="gguf",
        rank=max(ranks.values()),
        architecture=clean(header.values.get("general.architecture")),
    )


def _ranks(path: str, shapes: _Shapes, letters: str) -> dict[str, int]:
    """The rank of each pair by what it changes: `lora_a` is rank × inputs, `lora_b` outputs × rank
    (peft, tuners/lora/layer.py). Raises `SpecError` where a matrix is missing.
    """
    pairs: dict[str, dict[str, Sequence[int]]] = {}
    for name, shape in shapes.items():
        name = name.removesuffix(".weight").removeprefix("base_model.model.")
        changed, _, matrix = name.rpartition(".")
        if changed and matrix in (f"lora_{letter}" for letter in letters) and len(shape) > 1:
            pairs.setdefault(changed, {})[matrix] = shape
    for changed, both in pairs.items():
        if len(both) < 2:
            matrix = next(iter(both))
            damaged(path, f'it has {matrix} of "{clean(changed)}" and not the other matrix')
    first = f"lora_{letters[0]}"
    return {changed: both[first][-2] for changed, both in pairs.items()}


def _of_peft(path: str) -> AdapterFile:
    config_path = beside(path, _CONFIG)
    if not os.path.basename(path).startswith("adapter_model") and config_path is None:
        remedy = f"give the {_ADAPTER} that peft wrote, or a GGUF file made of it"
        fail(path, "is no LoRA adapter", remedy)
    _, tensors = read_header(path)
    if not tensors:
        fail(path, "holds no weights", "give the adapter's safetensors file")
    config: Any = {}
    if config_path is not None:
        config = read_json(config_path, _MAX_CONFIG_BYTES, what=_CONFIG)
        config = config if isinstance(config, dict) else {}
    kind = config.get("peft_type")
    if isinstance(kind, str) and kind != "LORA":
        fail(path, f"is an adapter of the type {clean(kind)}, not LoRA", "give a LoRA adapter")
    ranks = _ranks(path, {name: shape for name, (_, shape) in tensors.items()}, "AB")
    # experts may share a rank
    told, own = config.get("r"), {ranks[name] for name in ranks if ".experts" not in name}
    if isinstance(told, int) and not config.get("rank_pattern") and own - {told}:
        found = f"has matrices of rank {min(own - {told}):,}, and its adapter_config.json says r ="
        fail(path, f"{found} {told:,}", "take both from the same place")
    base = config.get("base_model_name_or_path")
    bits = sum(prod(shape) * BITS[dtype] for dtype, shape in tensors.values())
    return AdapterFile(
        size=_sized(path, -(-bits // 8)),
        format="safetensors",
        rank=max(ranks.values(), default=0),
        base_model=clean(base) if isinstance(base, str) else None,
    )
