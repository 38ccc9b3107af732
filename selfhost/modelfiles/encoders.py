"""How large the encoders are that a `config.json` describes under `vision_config`, `audio_config`
and their likes.

`specs/common/architectures.toml` lists the tensors of each kind under `[tower.*]` and `[seeing.*]`;
its header explains them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..core.records import Record
from .naming import clean

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# above any size in a config.json; and a hundred times as many as the largest encoder of 2026 has
_MAX_NUMBER = 1 << 32
_MAX_PARAMETERS = 10**12
# each tensor of a GGUF file starts at a multiple of so many bytes (general.alignment)
_ALIGNMENT = 32
_KEY = re.compile(r"(#?)([a-z_0-9]+)(?:\[(\d)\])?(?:\?(\w+))?")
# these keys hold one number, or one for the height and one for the width
_SIDES = re.compile(r"^(?:image|patch|\w*kernel)_size$")
_SOURCE = "tensors of the transformers 5.23.0 class"


class Encoders(Record):
    """All encoders of a model, with what joins them to the language model.

    `type` is the `encoder_type` of `Parameters`. `projector_bytes` are the tensors of the F16 file
    that llama.cpp's converter writes, None where it writes none. `source` says whose tensors they
    are.
    """

    type: str
    parameters: int
    projector_bytes: int | None
    source: str


class Untold(Exception):
    """The size of the encoders does not follow from the file; the text names the key."""


def encoders_of(
    values: Mapping[str, Any], text_width: int, architectures: Mapping[str, Any]
) -> Encoders:
    """The encoders that the config.json `values` describes beside a language model of that width.
    Raises `Untold`.
    """
    kind = clean(values.get("model_type")).lower()
    parts = architectures.get("seeing", {}).get(kind)
    if parts is None:
        raise Untold(f'model_type: what a model of type "{kind}" sees or hears with is not known')
    there = [
        key
        for key, part in parts.items()
        if values.get(key) is not None and values.get(part.get("instead_of")) is None
    ]
    encoders = [_Part(key, parts[key], values, text_width, architectures) for key in there]
    if not encoders:
        raise Untold(f"{next(iter(parts))} is missing")
    parameters = sum(part.parameters() for part in encoders)
    if parameters > _MAX_PARAMETERS:
        raise Untold(f"{next(iter(parts))} describes {parameters:.1e} parameters")
    return Encoders(
        type=encoders[0].type,
        parameters=parameters,
        projector_bytes=(
            sum(part.projector_bytes() for part in encoders)
            if all(part.convertible for part in encoders)
            else None
        ),
        source=encoders[0].source,
    )


class _Part:
    """One encoder, with each of its tensors as (how many, kind, sizes)."""

    def __init__(
        self,
        key: str,
        row: Mapping[str, Any],
        values: Mapping[str, Any],
        text_width: int,
        architectures: Mapping[str, Any],
    ) -> None:
        own = _described(key, row, values, values[key], architectures)
        name = row.get("tower") or clean(own.get("model_type")).lower()
        tower = architectures["tower"].get(name)
        if tower is None:
            raise Untold(f'{key}.model_type: the tensors of "{name}" are not known')
        for only, wanted in row.get("only", {}).items():
            if values.get(only) != wanted:
                raise Untold(f"{only}: {_short(values.get(only))} is not understood")
        kind = clean(values.get("model_type")).lower()
        self.source = row.get("source", f"{_SOURCE} of {kind}")
        self.convertible = row.get("projector", True)
        self.sizes = {"text": text_width}
        for size, text in {**tower["sizes"], **row.get("sizes", {})}.items():
            self.sizes[size] = self.number(own, text, f"{key}.")
        self.type = " ".join((kind, *(() if "tower" in row else (name,)), str(self.sizes["w"])))
        for size, text in row.get("outer", {}).items():
            self.sizes[size] = self.number(values, text, "")
        for size, text in {**tower.get("derived", {}), **row.get("derived", {})}.items():
            self.sizes[size] = self.value(text)
        self.tensors = [self.tensor(text) for text in (*tower["tensors"], *row.get("tensors", ()))]
        self.in_gguf = self.tensors + [
            self.tensor(text) for text in (*tower.get("in_gguf", ()), *row.get("in_gguf", ()))
        ]

    def number(self, values: Mapping[str, Any], text: str, where: str) -> int:
        """The value of an entry of `sizes` or `outer`: that of the first key that the file has,
        else the default.
        """
        keys, default = (part.strip() for part in text.split("="))
        for match in map(_KEY.fullmatch, keys.split("|")):
            how, name, place, wanted = ("", "", None, None) if match is None else match.groups()
            value = values.get(name)
            if value is None:
                continue
            if wanted is not None:
                return int(value == wanted)
            if isinstance(value, list) and (how or place or _SIDES.search(name)):
                value = _of_list(value, how, place)
            if isinstance(value, bool) and default in ("0", "1"):
                # a switch
                value = int(value)
            if type(value) is not int or not 0 <= value < _MAX_NUMBER:
                raise Untold(f"{where}{name} is {_short(values[name])}, not one number")
            return int(value)
        return self.value(default)

    def value(self, text: str) -> int:
        """A sum of products and quotients of sizes and numbers."""
        return sum(self.product(part) for part in text.split("+"))

    def product(self, text: str) -> int:
        first, *rest = re.split(r"([*/])", text)
        product = self.atom(first)
        for sign, name in zip(rest[::2], rest[1::2], strict=True):
            factor = self.atom(name)
            if sign == "/" and not factor:
                raise Untold(f"{name} of the encoder is 0")
            product = product * factor if sign == "*" else product // factor
        return product

    def atom(self, text: str) -> int:
        return int(text) if text.lstrip("-").isdigit() else self.sizes[text]

    def tensor(self, text: str) -> tuple[int, str, tuple[int, ...]]:
        words = text.split()
        times = 1 if words[0] in _LAYOUTS else self.value(words.pop(0))
        return times, words[0], tuple(self.value(word) for word in words[1:])

    def parameters(self) -> int:
        return sum(
            times * size
            for times, kind, sizes in self.tensors
            for size, _ in _LAYOUTS[kind](*sizes)
        )

    def projector_bytes(self) -> int:
        return sum(
            times * -(-size * width // _ALIGNMENT) * _ALIGNMENT
            for times, kind, sizes in self.in_gguf
            for size, width in _LAYOUTS[kind](*sizes)
        )


# elements of each tensor and its bytes per element in a projector file (conversion/base.py: one row
# is never in 16 bits)
_LAYOUTS: Mapping[str, Callable[..., tuple[tuple[int, int], ...]]] = {
    "matrix": lambda rows, columns: ((rows * columns, 2),),
    "linear": lambda rows, columns: ((rows * columns, 2), (columns, 4)),
    "table": lambda rows, columns: ((rows * columns, 4),),
    "vector": lambda length: ((length, 4),),
    "norm": lambda length: ((length, 4), (length, 4)),
}


def _of_list(values: list[Any], how: str, place: str | None) -> Any:
    """The number that a list stands for: its length, the number at a place, or the one that all of
    them are.
    """
    if how:
        return len(values)
    if place and int(place) < len(values):
        return values[int(place)]
    return _same(values)


def _described(
    key: str,
    row: Mapping[str, Any],
    whole: Mapping[str, Any],
    own: Any,
    architectures: Mapping[str, Any],
) -> Mapping[str, Any]:
    """The keys of an encoder: `own`, those of the published encoder that it names, or those of
    the `whole` file.
    """
    if row.get("whole"):
        return whole
    if isinstance(own, dict) and "named" in row:
        key, own = f"{key}.{row['named']}", own.get(row["named"])
    if isinstance(own, str):
        encoder: Mapping[str, Any] | None = architectures["named_encoder"].get(own)
        if encoder is None:
            raise Untold(f"{key}: the tensors of {_short(own)} are not known")
        return encoder
    if not isinstance(own, dict):
        raise Untold(f"{key} is {_short(own)}, and says no sizes")
    return own


def _same(values: list[Any]) -> Any:
    """The value that all of a list have, None where they differ."""
    return values[0] if values and all(value == values[0] for value in values) else None


def _short(value: Any) -> str:
    return f'"{clean(value)}"' if isinstance(value, str) else clean(repr(value)[:60])
