"""GGUF files made of measured headers."""

from __future__ import annotations

import json
import struct
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from helpers.paths import COMMON, HEADERS

ROWS: Mapping[str, Any] = tomllib.loads(
    (COMMON / "architectures.toml").read_text(encoding="utf-8")
)


# type -> id, elements and bytes of a block (ggml.h); file types of llama.h
TYPES = {
    "F32": (0, 1, 4),
    "F16": (1, 1, 2),
    "Q4_0": (2, 32, 18),
    "Q5_0": (6, 32, 22),
    "Q5_1": (7, 32, 24),
    "Q8_0": (8, 32, 34),
    "Q4_K": (12, 256, 144),
    "Q5_K": (13, 256, 176),
    "Q6_K": (14, 256, 210),
    "I32": (26, 1, 4),
}


FILE_TYPES = {"F16": 1, "Q8_0": 7, "Q4_K_M": 15, "Q6_K": 18}


Placed = Sequence[tuple[str, Sequence[int], str]]


def value(item: object) -> bytes:
    """A metadata value with its type, as GGUF stores it."""
    if isinstance(item, bool):
        return struct.pack("<I?", 7, item)
    if isinstance(item, int):
        return struct.pack("<II", 4, item)
    if isinstance(item, float):
        return struct.pack("<If", 6, item)
    if isinstance(item, str):
        return struct.pack("<I", 8) + text(item)
    assert isinstance(item, list)
    if isinstance(item[0], bool):
        return struct.pack(f"<IIQ{len(item)}?", 9, 7, len(item), *item)
    if isinstance(item[0], (int, float)):
        kind, form = (5, "i") if isinstance(item[0], int) else (6, "f")
        return struct.pack(f"<IIQ{len(item)}{form}", 9, kind, len(item), *item)
    return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(map(text, item))


def text(item: str) -> bytes:
    return struct.pack("<Q", len(item.encode())) + item.encode()


def gguf(
    metadata: Mapping[str, object], tensors: Placed, *, version: int = 3
) -> tuple[bytes, int]:
    """The header of a GGUF file, padded, and the size that the whole file has."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    out += b"".join(text(key) + value(item) for key, item in metadata.items())
    offset = end = 0
    for name, shape, type in tensors:
        id, elements, block = TYPES[type]
        out += text(name) + struct.pack(
            f"<I{len(shape)}QIQ", len(shape), *shape, id, offset
        )
        end = offset + prod(shape) // elements * block
        offset = -(-end // 32) * 32
    out += b"\0" * (-len(out) % 32)
    return out, len(out) + end


def write(path: Path, header: bytes, size: int) -> Path:
    """A file of that size whose data are a hole."""
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(size)
    return path


@cache
def measured() -> dict[str, Any]:
    """Every model with its cases: those of one file, and those of a file each."""
    found = json.loads((HEADERS / "gguf_models.json").read_text(encoding="utf-8"))[
        "models"
    ]
    assert isinstance(found, dict)
    return found | one_a_file("gguf")


@cache
def one_a_file(folder: str) -> dict[str, Any]:
    found = {}
    for file in sorted((HEADERS / folder).glob("*.json")):
        model = json.loads(file.read_text(encoding="utf-8"))
        rows = model.get("cases", ())  # none where nobody measured it
        found[file.stem] = model | {
            "cases": [dict(zip(model["columns"], row, strict=True)) for row in rows]
        }
    return found


def layers(at: str | list[int] | None) -> list[int | None]:
    if at is None:
        return [None]
    if isinstance(at, list):
        return list(at)
    start, stop, step = map(int, at.split(":"))
    return list(range(start, stop, step))


def placed(model: Mapping[str, Any]) -> list[tuple[str, list[int], str]]:
    return [
        (name if layer is None else name.replace("*", str(layer)), shape, type)
        for name, lines in model["tensors"].items()
        for at, shape, type in lines
        for layer in layers(at)
    ]


def metadata(name: str, model: Mapping[str, Any], **more: object) -> dict[str, object]:
    arch = model["architecture"]
    return {
        "general.architecture": arch,
        "general.name": name,
        "general.license": "apache-2.0",
        "general.file_type": FILE_TYPES[model["quantization"]],
        **{
            key if key.startswith("tokenizer.") else f"{arch}.{key}": item
            for key, item in model["metadata"].items()
        },
        # llama.cpp counts no tokens of such a file
        "tokenizer.ggml.model": "none",
        "tokenizer.ggml.tokens": ["a", "", "ü" * 300] * 5,
        **more,
    }


def make(folder: Path, name: str, **more: object) -> Path:
    """The GGUF file of a measured model."""
    model = measured()[name]
    return write(
        folder / f"{name}.gguf", *gguf(metadata(name, model, **more), placed(model))
    )
