"""A LoRA adapter: it takes what its file takes."""

from __future__ import annotations

import os
import stat

from ..core.records import Record
from ..needs.records import How, SizedWeights
from .gguf_header import read_header
from .source import fail, open_file, read_json, read_some, shown, status_of

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_MAX_CONFIG_BYTES = 1 << 20
# peft's own default, where no adapter_config.json lies beside the file
_USUAL_RANK = 8


class AdapterFile(Record):
    """A LoRA adapter in the format `gguf` or `safetensors`."""

    size: SizedWeights
    format: str
    rank: int


def read_adapter(path: str) -> AdapterFile:
    """A LoRA adapter: a GGUF file, or the file or folder that peft wrote. Raises `SpecError`."""
    if stat.S_ISDIR(status_of(path).st_mode):
        path = os.path.join(path, _WEIGHTS)
    stream, size = open_file(path)
    with stream:
        is_gguf = read_some(path, stream, 4) == b"GGUF"
    if is_gguf and read_header(path).values.get("general.type") != "adapter":
        fail(path, "is a model or part of one, not a LoRA adapter", "give the adapter's file")
    config_path = os.path.join(os.path.dirname(path), _CONFIG)
    is_described = os.path.exists(config_path)
    if not (is_gguf or is_described or os.path.basename(path).startswith("adapter_model")):
        remedy = f"give the {_WEIGHTS} that peft wrote, or a GGUF file made of it"
        fail(path, "is no LoRA adapter", remedy)
    config = read_json(config_path, _MAX_CONFIG_BYTES, what=_CONFIG) if is_described else {}
    rank = config.get("r") if isinstance(config, dict) else None
    return AdapterFile(
        size=SizedWeights(
            bytes=size,
            low_bytes=size,
            high_bytes=size,
            how=How.EXACT,
            source=f"size of {shown(path)}",
            arithmetic=f"{size:,} bytes, the whole file",
        ),
        format="gguf" if is_gguf else "safetensors",
        rank=rank if type(rank) is int and 1 <= rank <= 1 << 16 else _USUAL_RANK,
    )
