"""A LoRA adapter -> its size and rank, from its header alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from math import prod

from ..core.records import Record
from ..needs.records import How, SizedWeights
from .gguf_header import read_header as read_gguf_header
from .local import beside
from .naming import clean
from .safetensors import BITS, read_header
from .source import fail, open_file, read_json, read_some, shown, status_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_ADAPTER = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_MAX_CONFIG_BYTES = 1 << 20
_AGAIN = "convert the adapter again with llama.cpp's convert_lora_to_gguf.py"


class AdapterFile(Record):
    """A LoRA adapter. `rank` is the largest of its matrices.

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


def _rank(path: str, shapes: Iterable[tuple[str, Sequence[int]]]) -> int:
    """The shorter side of the widest `lora_a` or `lora_b`. Raises `SpecError` without one."""
    sides = [min(shape[-2:]) for name, shape in shapes if ".lora_" in name.lower() and shape]
    if not sides:
        fail(path, "is an adapter without a tensor", "give the adapter's file")
    return max(sides)


def _of_gguf(path: str) -> AdapterFile:
    header = read_gguf_header(path)
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
    return AdapterFile(
        size=_sized(path, sum(tensor.bytes or 0 for tensor in header.tensors)),
        format="gguf",
        rank=_rank(path, ((tensor.name, tensor.shape[:2]) for tensor in header.tensors)),
        architecture=clean(header.values.get("general.architecture")),
    )


def _of_peft(path: str) -> AdapterFile:
    config_path = beside(path, _CONFIG)
    if not os.path.basename(path).startswith("adapter_model") and config_path is None:
        remedy = f"give the {_ADAPTER} that peft wrote, or a GGUF file made of it"
        fail(path, "is no LoRA adapter", remedy)
    config: Any = {}
    if config_path is not None:
        config = read_json(config_path, _MAX_CONFIG_BYTES, what=_CONFIG)
        config = config if isinstance(config, dict) else {}
    kind, base = clean(config.get("peft_type")), config.get("base_model_name_or_path")
    if kind not in ("", "LORA"):
        fail(path, f"is an adapter of the type {kind}, not LoRA", "give a LoRA adapter")
    _, tensors = read_header(path)
    bits = sum(prod(shape) * BITS[dtype] for dtype, shape in tensors.values())
    return AdapterFile(
        size=_sized(path, -(-bits // 8)),
        format="safetensors",
        rank=_rank(path, ((name, shape) for name, (_, shape) in tensors.items())),
        base_model=clean(base) if isinstance(base, str) else None,
    )
