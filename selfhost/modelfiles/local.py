"""What a read of files on this disk gives."""

from __future__ import annotations

import os

from ..catalogue.spec import ModelSpec
from ..core.records import Record


class LocalModel(Record):
    """A model as its files describe it. `format`: `gguf`, `safetensors` or `mlx`; `quantization` in
    the words of QUANTIZATIONS, None where not known.

    `files_here`: all weights lie on this machine, whole. Where only a part of them is here,
    `missing` names the other files, and `size_bytes` of `total_bytes` are here (None: not known).
    `notes` are sentences for the user about what is odd.
    """

    spec: ModelSpec
    format: str
    quantization: str | None
    files_here: bool
    missing: tuple[str, ...] = ()
    size_bytes: int = 0
    total_bytes: int | None = None
    notes: tuple[str, ...] = ()


def beside(path: str, name: str) -> str | None:
    """The file of that name in the same folder, None where there is none."""
    file = path[: len(path) - len(os.path.basename(path))] + name
    return file if os.path.lexists(file) else None


def stored_notes(spec: ModelSpec) -> tuple[str, ...]:
    """A sentence where the weights are stored in another type than a GGUF file would be made of, or
    than they are judged in.
    """
    own, architecture = spec.quantized, spec.architecture
    if own is not None:
        name = own.quantization
        how = f"as {name}" if name else "in a quantization that selfhost does not know"
        need = "a GGUF file needs the original model, before quantization"
        return (f"Its weights are stored {how}; {need}.",)
    narrow = architecture.matrix_dtype if architecture is not None else None
    if narrow is None or not narrow.startswith("float8"):
        return ()
    return (
        f"Its weights are stored as {narrow}: --runtime vllm judges them as they are;"
        " for llama.cpp the figures are those of a converted GGUF file.",
    )
