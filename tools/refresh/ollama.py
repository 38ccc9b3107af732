"""Ollama's library: a list of it with sizes and contexts, or manifests of its registry -> what it
says of each model with a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from selfhost.catalogue.quantization_names import QUANTIZATIONS
from selfhost.core.records import Record

MODEL_LAYER = "application/vnd.ollama.image.model"
# 4.9GB, 815MB: Ollama counts in powers of ten
_SIZE = re.compile(r"(\d{1,6})(\.\d{1,3})?\s?([KMGT])B")
_CONTEXT = re.compile(r"(\d{1,6})(\.\d{1,3})?([KM]?)")
_POWERS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_THOUSANDS = {"": (1, 1), "K": (1000, 1024), "M": (1000**2, 1024**2)}


class Rounded(Record):
    """A figure as it is printed, and what it may be rounded from."""

    text: str
    low: int
    high: int


class Tag(Record):
    """One tag: the name that a spec has as an alias, the quantization of its file, which another
    tag of the same file names, its size and its context. None is not known.
    """

    name: str
    quantization: str | None
    size: Rounded | None
    context: Rounded | None


def is_library(values: Any) -> bool:
    """Whether JSON is a list of models, each with its tags."""
    models = values.get("models") if isinstance(values, dict) else None
    return isinstance(models, dict) and any(
        isinstance(model, dict) and isinstance(model.get("tags"), dict)
        for model in list(models.values())[:50]
    )


def tags_of(values: Mapping[str, Any]) -> Iterator[Tag]:
    """Every tag of the list, in its order."""
    for name, model in values["models"].items():
        tags = model.get("tags") if isinstance(model, dict) else None
        if not isinstance(tags, dict):
            continue
        entries = {tag: entry for tag, entry in tags.items() if isinstance(entry, dict)}
        quantizations = _by_file(entries)
        for tag, entry in entries.items():
            yield Tag(
                name=f"{name}:{tag}",
                quantization=quantizations.get(str(entry.get("modelHash"))),
                size=size_of(entry.get("size")),
                context=context_of(entry.get("contextWindow")),
            )


def _by_file(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The quantization of each file that a tag names with it."""
    by_file: dict[str, str] = {}
    for tag, entry in entries.items():
        quantization = _in_tag(tag)
        if quantization is not None and entry.get("modelHash"):
            by_file[str(entry["modelHash"])] = quantization
    return by_file


def of_manifest(values: Any, place: str) -> Tag | None:
    """The tag that a manifest of Ollama's registry is of, by the path it lies at
    (`…/library/llama3.2/1b`); None for JSON of another kind or without a model's file.
    """
    layers = values.get("layers") if isinstance(values, dict) else None
    sizes = [
        layer.get("size")
        for layer in (layers if isinstance(layers, list) else ())
        if isinstance(layer, dict) and layer.get("mediaType") == MODEL_LAYER
    ]
    path = re.fullmatch(r"(?:.*/)?library/([\w.-]+)/([\w.-]+)", place.removesuffix(".json"))
    if path is None or len(sizes) != 1 or type(sizes[0]) is not int or sizes[0] <= 0:
        return None
    size = sizes[0]
    return Tag(
        name=f"{path[1]}:{path[2]}",
        quantization=_in_tag(path[2]),
        size=Rounded(text=f"{size:,} bytes", low=size, high=size),
        context=None,
    )


def _in_tag(tag: str) -> str | None:
    """The quantization that a tag names at its end."""
    names = {name.lower(): name for name in QUANTIZATIONS["gguf"]}
    return names.get(tag.lower().rpartition("-")[2])


def size_of(text: Any) -> Rounded | None:
    """Bytes as Ollama prints them; None for any other text."""
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else _rounded(text, match, _POWERS[match[3]], _POWERS[match[3]])


def context_of(text: Any) -> Rounded | None:
    """Tokens as Ollama prints them, whose thousands are 1,000 or 1,024."""
    match = _CONTEXT.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else _rounded(text, match, *_THOUSANDS[match[3]])


def _rounded(text: str, match: re.Match[str], low_unit: int, high_unit: int) -> Rounded:
    """`low_unit` and `high_unit` are the least and the most that the letter may stand for."""
    decimals = match[2] or ""
    half = 0.5 * 10 ** -max(len(decimals) - 1, 0)
    value = float(match[1] + decimals)
    return Rounded(
        text=text, low=int((value - half) * low_unit), high=int((value + half) * high_unit)
    )
