"""What the readers of model files have in common: a file that somebody named, opened, or what it is
where it is no model file; names and licenses; whole numbers under keys, one for the model or one
for each layer, and layers of which some are alike.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NoReturn

from ..catalogue.architecture import (
    MAX_LAYERS,
    Architecture,
    Attention,
    FeedForward,
    Recurrent,
)
from ..catalogue.spec import License, ModelSpec
from ..catalogue.spec_rules import misfits
from ..core import files
from ..core.errors import Problem, SpecError
from ..core.records import Record, shortened, shown
from ..core.tables import TomlRow, shipped_table
from ..core.templates import fill

if TYPE_CHECKING:
    from typing import TypeVar

    _Part = TypeVar("_Part", Attention, Recurrent, FeedForward)

# model_files.toml: the words that lie in files of models, and those of faults and reasons
# the keys of a JSON file of a model, of which nothing is known yet
JsonValues = Mapping[str, Any]
TEXTS: TomlRow = shipped_table("model_files")
# a thousand times as many as the largest model of 2026 has
MAX_PARAMETERS = 10**16
# how a downloader marks what it has not finished: Hugging Face, curl and wget, browsers, aria2
UNFINISHED = (
    ".incomplete",
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".aria2",
    ".tmp",
)
_NEEDED = (
    "give a GGUF file, a folder with safetensors files, or the model's config.json"
)
_LFS = b"version https://git-lfs.github.com/spec/"
# A safetensors file begins with eight bytes of a length, the upper four of them zero, and the brace
# of its header. No text and no archive has both there, whatever the lower bytes are.
SAFETENSORS = b"\0\0\0\0{"
_MAX_TEXT = 100
# above any size of a model
MAX_NUMBER = 1 << 32


class LocalModel(Record):
    """A model as its files describe it. `format`: `gguf`, `safetensors` or `mlx`; `quantization` in
    the words of QUANTIZATIONS, None where not known.

    `files_here`: all weights lie on this machine, whole. Where only a part of them is here,
    `missing` names the other files, and `size_bytes` of `total_bytes` are here (None: not known).
    `notes` are sentences for the user about what is odd. `is_quantized`: config.json says that the
    weights are no longer in the type of training; `language_parameters` are those of the language
    model alone, None where they do not follow from config.json.
    """

    spec: ModelSpec
    format: str = "safetensors"
    quantization: str | None = None
    files_here: bool = False
    missing: tuple[str, ...] = ()
    size_bytes: int = 0
    total_bytes: int | None = None
    notes: tuple[str, ...] = ()
    is_quantized: bool = False
    language_parameters: int | None = None


def fail(path: str, message: str, remedy: str | None = None) -> NoReturn:
    """Raise `SpecError` with this one problem."""
    raise SpecError([Problem(file=shown(path), message=message, remedy=remedy)])


def refuse(path: str, fault: str, **values: object) -> NoReturn:
    """Raise `SpecError` with a fault and its remedy, as `[faults]` of model_files.toml words it."""
    message, remedy = (fill(text, values) for text in TEXTS["faults"][fault])
    fail(path, message, remedy)


def reason(fact: str, **values: object) -> str:
    """Why something is not known, as `[reasons]` of model_files.toml words it."""
    return fill(TEXTS["reasons"][fact], values)


def refuse_missing(path: str, fault: str, files: Sequence[str]) -> None:
    """Raise `SpecError` with that fault where some files that belong to `path` are not there."""
    missing = [
        shown(os.path.basename(file)) for file in files if not os.path.exists(file)
    ]
    if missing:
        refuse(
            path, fault, parts=len(files), missing=len(missing), names=listed(missing)
        )


def refuse_other_kinds(path: str, start: bytes, size: int) -> None:
    """Raise `SpecError` for what people mistake for a model file, by its first bytes."""
    if size == 0:
        refuse(path, "empty")
    if start.startswith(_LFS):
        size_line = re.search(rb"\nsize (\d{1,18})", start)
        refuse(
            path,
            "pointer",
            real=f" of {int(size_line[1]):,} bytes" if size_line else "",
        )
    if not start.strip(b"\0"):
        refuse(path, "zeros")
    if start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        refuse(path, "web-page")
    for kind in () if start[4:9] == SAFETENSORS else TEXTS["not_a_model"]:
        if start.startswith(tuple(map(bytes.fromhex, kind["begins"]))):
            fail(path, kind["message"], kind["remedy"])


@contextmanager
def readable(path: str, remedy: str | None = None) -> Iterator[None]:
    """Raise the `SpecError` of a file that cannot be read; `remedy` is for one without its own."""
    try:
        yield
    except files.Unreadable as error:
        if error.kind == files.MISSING:
            remedy = None
            if os.path.islink(path) or any(
                os.path.lexists(path + ending) for ending in UNFINISHED
            ):
                remedy = "the download was removed or did not finish: start it again"
        raise SpecError([error.problem(shown(path), remedy)]) from None


def open_file(path: str) -> tuple[IO[bytes], int, bytes]:
    """An ordinary file, unbuffered, its size in bytes, and its first ones."""
    with readable(path, _NEEDED):
        stream, size = files.open_file(path)
        start = files.read_some(stream, 4096)
    if path.lower().endswith(UNFINISHED):
        stream.close()
        refuse(path, "unfinished-file")
    return stream, size or 0, start


def read_json(path: str, limit: int, *, what: str, **bounds: Any) -> Any:
    """The values of a JSON file of at most `limit` bytes."""
    with readable(path, f"give the {what} as it was published"):
        content = files.read_file(path, limit)
    refuse_other_kinds(path, content[:4096], len(content))
    return parse_json(path, content, what=what, **bounds)


def parse_json(path: str, content: bytes, *, what: str, **bounds: Any) -> Any:
    """The values of JSON that nobody vouches for; `bounds` as `core.files` takes them."""
    with readable(path, f"give the {what} as it was published"):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise files.Unreadable("is not UTF-8 text") from None
        return files.parse_json(text, constant=float, **bounds)


def beside(path: str, name: str) -> str | None:
    """The file of that name in the same folder, None where there is none."""
    file = path[: len(path) - len(os.path.basename(path))] + name
    return file if os.path.lexists(file) else None


def clean(text: object) -> str:
    """Text of a header on one line, shortened; empty for what is no text."""
    return shortened(text, _MAX_TEXT) if isinstance(text, str) else ""


def short(value: object) -> str:
    """A value of a file, short and safe to print."""
    return f'"{clean(value)}"' if isinstance(value, str) else clean(repr(value)[:60])


def name_by_place(path: str) -> str:
    """What a model is called that has no name of its own: as its file without the ending and its
    part, or as its folder, as Hugging Face caches it.
    """
    folder, file = os.path.split(os.path.abspath(path))
    if file.lower() == "config.json":
        folder, file = os.path.split(folder)
    # models--owner--name/snapshots/revision
    above, kind = os.path.split(folder)
    cached = os.path.basename(above) if kind == "snapshots" else file
    if cached.startswith("models--"):
        file = cached.rpartition("--")[2]
    file = re.sub(
        r"(?i)(-\d{5}-of-\d{5})?(\.(gguf|safetensors|json))?$", "", file, count=1
    )
    return clean(file) or "local model"


def spec_of(path: str, name: str = "", **facts: Any) -> ModelSpec:
    """The spec of the model in a file or a folder, by its own name, else by that of its place."""
    name = name or name_by_place(path)
    id = (
        re.sub(r"[^a-z0-9.]+", "-", name.lower())[:_MAX_TEXT].strip("-.")
        or "local-model"
    )
    return ModelSpec(id=id, name=name, origin=path, **facts)


def listed(names: Iterable[str], most: int = 5) -> str:
    """`a, b, c and 4 more`."""
    all_names = list(names)
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def license_of(text: str, link: str, unknown: dict[str, str]) -> License | None:
    """The license that a header names. Notes in `unknown` what the header leaves out."""
    if not text:
        unknown["license.id"] = "the header does not say"
        return None
    licenses = {id.removesuffix("-only").lower(): id for id in TEXTS["licenses"]}
    if text.lower() in licenses:
        return License(id=licenses[text.lower()])
    url = link if link.startswith(("https://", "http://")) else None
    if url is None:
        unknown["license.url"] = f'the file says "{text}" and no address'
    own = re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") or "unnamed"
    return License(id=f"LicenseRef-{own}", url=url)


class Unclear(Exception):
    """A model's cache or its weights do not follow from its file; the text says why. `refused`:
    every llama.cpp that knows the architecture stops at this file.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


class Malformed(Unclear):
    """A value that its key cannot have."""


class Sizes:
    """The whole numbers of a file by their keys."""

    def __init__(self, path: str, values: JsonValues) -> None:
        self.path, self.written = path, frozenset(values)
        self.values = dict(values)
        # as many until they are counted
        self.layers = MAX_LAYERS
        # for the spec: what it cannot say, by its key, and sentences for the user
        self.unknown: dict[str, str] = {}
        self.notes: list[str] = []

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """How the file may write these keys."""
        raise NotImplementedError

    def get(self, *keys: str) -> Any:
        """The value of the first of these keys that has one."""
        values = map(self.values.get, self.names_of(keys))
        return next((value for value in values if value is not None), None)

    def stated(self, *keys: str) -> str:
        """The first of these keys that has a value, as the file writes it."""
        names = self.names_of(keys)
        having = [name for name in names if self.values.get(name) is not None]
        return next(
            (name for name in having if name in self.written), (having or names)[0]
        )

    def number(
        self, *keys: str, least: int = 0, layer: int | None = None
    ) -> int | None:
        """A whole number of at least `least`, None where it is missing. Where the file lists one
        for each layer: that of `layer`, or the one that all of them are.
        """
        value = self.get(*keys)
        if isinstance(value, list) and len(value) >= self.layers:
            if layer is not None:
                value = value[layer]
            elif value.count(value[0]) == len(value):
                value = value[0]
            else:
                raise Unclear(f"{self.stated(*keys)} differs from layer to layer")
        # classes of transformers take nothing else: its configurations are strict dataclasses
        if value is not None and (
            type(value) is not int or not least <= value < MAX_NUMBER
        ):
            what = f"{self.stated(*keys)} is {short(value)}"
            raise Malformed(f"{what}, neither one whole number nor one for each layer")
        return value

    def size(self, *keys: str) -> int | None:
        """The first of these numbers that is above 0; None without one."""
        return next(filter(None, map(self.number, keys)), None)

    def needed(self, *keys: str, layer: int | None = None) -> int:
        """A number above 0. Raises `Unclear` where there is none."""
        value = self.number(*keys, layer=layer)
        if not value:
            what = "missing" if value is None else "0"
            raise Unclear(f"{self.stated(*keys)} is {what}")
        return value

    def sizes(self, keys: Mapping[str, str]) -> dict[str, Any]:
        """The sizes of a layer, under the names that a table gives their keys."""
        return {name: self.needed(key) for name, key in keys.items()}

    def groups(self, key: str, used_key: str) -> dict[str, Any]:
        """How many groups of experts a token chooses from, and how many of them it uses."""
        groups = self.number(key) or 0
        return (
            {"groups": groups, "groups_used": self.needed(used_key)}
            if groups > 1
            else {}
        )


def grouped(
    layers: Sequence[_Part | None], width: int, names: Mapping[str, str] | None = None
) -> tuple[_Part, ...]:
    """Equal layers as one group, in the order of their first; entry i is the part of layer i.
    Raises `Unclear` for a size that does not divide its whole, by what `names` calls it.
    """
    places: dict[_Part, list[int]] = {}
    for number, layer in enumerate(layers):
        if layer is not None:
            places.setdefault(layer, []).append(number)
    for layer in places:
        for key, message, _ in misfits(layer, width):
            raise Unclear(f"{(names or {}).get(key, key)} {message}")
    return tuple(
        layer.replace(layers=tuple(numbers)) for layer, numbers in places.items()
    )


def architecture_of(whose: str = "", **fields: Any) -> Architecture:
    """The architecture of these fields. Raises `Unclear` for sizes that contradict each other."""
    heads = max((part.heads for part in fields["attention"]), default=None)
    architecture = Architecture(heads=heads, **fields)
    for key, message, _ in misfits(architecture):
        raise Unclear(f"{whose}{key} {message}")
    return architecture
