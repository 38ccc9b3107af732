"""GGUF files made of measured headers."""

from __future__ import annotations

import json
import struct
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from helpers.paths import COMMON, HEADERS

ROWS: Mapping[str, Any] = tomllib.loads(
    (COMMON / "architectures.toml").read_text(encoding="utf-8")
)


class BlockType(NamedTuple):
    """A type of tensors: its number, and the elements and bytes of a block (ggml.h)."""

    id: int
    elements: int
    bytes: int

    def bytes_of(self, elements: int) -> int:
        """What so many elements take."""
        return elements // self.elements * self.bytes


TYPES = {
    "F32": BlockType(0, 1, 4),
    "F16": BlockType(1, 1, 2),
    "Q4_0": BlockType(2, 32, 18),
    "Q5_0": BlockType(6, 32, 22),
    "Q5_1": BlockType(7, 32, 24),
    "Q8_0": BlockType(8, 32, 34),
    "Q4_K": BlockType(12, 256, 144),
    "Q5_K": BlockType(13, 256, 176),
    "Q6_K": BlockType(14, 256, 210),
    "I32": BlockType(26, 1, 4),
    "NVFP4": BlockType(40, 64, 36),
}


# of llama.h
FILE_TYPES = {"F16": 1, "Q8_0": 7, "Q4_K_M": 15, "Q6_K": 18}


# name, shape and type of each tensor
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
    """A text behind its length."""
    return struct.pack("<Q", len(item.encode())) + item.encode()


def gguf(
    metadata: Mapping[str, object], tensors: Placed, *, version: int = 3
) -> tuple[bytes, int]:
    """The header of a GGUF file, padded, and the size that the whole file has."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    out += b"".join(text(key) + value(item) for key, item in metadata.items())
    offset = end = 0
    for name, shape, type in tensors:
        form = f"<I{len(shape)}QIQ"
        out += text(name)
        out += struct.pack(form, len(shape), *shape, TYPES[type].id, offset)
        end = offset + TYPES[type].bytes_of(prod(shape))
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
    text = (HEADERS / "gguf_models.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["models"]
    return found | one_a_file("gguf")


@cache
def one_a_file(folder: str) -> dict[str, Any]:
    """The models of a folder, each with its cases by the names of their columns."""
    found = {}
    for file in sorted((HEADERS / folder).glob("*.json")):
        model = json.loads(file.read_text(encoding="utf-8"))
        cases = []
        # none where nobody measured it
        for row in model.get("cases", ()):
            cases.append(dict(zip(model["columns"], row, strict=True)))
        found[file.stem] = model | {"cases": cases}
    return found


def layers(at: str | list[int] | None) -> list[int | None]:
    """The layers that a line of tensors is for; `[None]` for a tensor of no layer."""
    if at is None:
        return [None]
    if isinstance(at, list):
        return list(at)
    start, stop, step = map(int, at.split(":"))
    return list(range(start, stop, step))


def placed(model: Mapping[str, Any]) -> list[tuple[str, list[int], str]]:
    """Name, shape and type of each tensor, layer by layer."""
    tensors = []
    for name, lines in model["tensors"].items():
        for at, shape, type in lines:
            for layer in layers(at):
                own_name = name if layer is None else name.replace("*", str(layer))
                tensors.append((own_name, shape, type))
    return tensors


def metadata(name: str, model: Mapping[str, Any], **more: object) -> dict[str, object]:
    """The keys of a model's file; `more` goes before them."""
    arch = model["architecture"]
    keys: dict[str, object] = {
        "general.architecture": arch,
        "general.name": name,
        "general.license": "apache-2.0",
        "general.file_type": FILE_TYPES[model["quantization"]],
    }
    for key, item in model["metadata"].items():
        is_of_tokenizer = key.startswith("tokenizer.")
        keys[key if is_of_tokenizer else f"{arch}.{key}"] = item
    # llama.cpp counts no tokens of such a file
    keys["tokenizer.ggml.model"] = "none"
    keys["tokenizer.ggml.tokens"] = ["a", "", "ü" * 300] * 5
    return keys | more


def make(folder: Path, name: str, **more: object) -> Path:
    """The GGUF file of a measured model."""
    model = measured()[name]
    header, size = gguf(metadata(name, model, **more), placed(model))
    return write(folder / f"{name}.gguf", header, size)
