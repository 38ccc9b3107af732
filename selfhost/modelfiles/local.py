"""What a read of files on this disk gives."""

from __future__ import annotations

import os

from ..catalogue.spec import QUANTIZATIONS, ModelSpec, Quantized
from ..core.records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .stored import Stored


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


def quantized_of(stored: Stored) -> Quantized | None:
    """What a spec says of weights that somebody else than the publisher quantized; None for those
    of the publisher's own type.
    """
    if not stored.requantized:
        return None
    name = stored.name if stored.name in QUANTIZATIONS[stored.format] else None
    return Quantized(format=stored.format, quantization=name)


def stored_notes(spec: ModelSpec) -> tuple[str, ...]:
    """A sentence where the weights are stored in another type than a GGUF file would be made of, or
    than they are judged in.
    """
    own, architecture = spec.quantized, spec.architecture
    if own is not None:
        how = (
            f"as {own.quantization}"
            if own.quantization
            else "in a quantization that selfhost does not know"
        )
        return (
            f"Its weights are stored {how}; a GGUF file needs the original model, before"
            " quantization.",
        )
    narrow = architecture.matrix_dtype if architecture is not None else None
    if narrow is None or not narrow.startswith("float8"):
        return ()
    return (
        f"Its weights are stored as {narrow}: --runtime vllm judges them as they are;"
        " for llama.cpp the figures are those of a converted GGUF file.",
    )
