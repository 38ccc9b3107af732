"""What specs from all kinds of files share: the name, the license, the groups of layers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ..catalogue.layers import Attention, FeedForward, Recurrent
from ..catalogue.spec import License
from ..core.records import pattern

_Layers = TypeVar("_Layers", Attention, Recurrent, FeedForward)

MAX_TEXT = 100
_PART = pattern(r"(?is)(.*)-(\d{5})-of-(\d{5})(\.(?:gguf|safetensors))$")
# names of licenses as Hugging Face tags them, where SPDX knows the license
_SPDX = {
    id.removesuffix("-only").lower(): id
    for id in (
        "Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause", "ISC", "CC0-1.0", "CC-BY-4.0",
        "CC-BY-3.0", "CC-BY-SA-4.0", "CC-BY-SA-3.0", "CC-BY-NC-4.0", "CC-BY-NC-3.0",
        "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "GPL-3.0-only", "GPL-2.0-only",
        "AGPL-3.0-only", "LGPL-3.0-only", "MPL-2.0", "Unlicense", "WTFPL", "Artistic-2.0",
    )
}  # fmt: skip


def clean(text: object) -> str:
    """Text of a header on one line: without control characters, and of at most `MAX_TEXT`
    letters. Empty for what is no text.
    """
    if not isinstance(text, str):
        return ""
    text = text[: 4 * MAX_TEXT]
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())[:MAX_TEXT]


def identifier(name: str) -> str:
    """The spec id of a name: lower case letters, digits, `.` and `-`; `local-model` where nothing
    is left.
    """
    slug = re.sub(r"[^a-z0-9.]+", "-", name.lower())[:MAX_TEXT].strip("-.")
    return slug or "local-model"


def name_of(path: str) -> str:
    """A file's name without its ending and the number of its part; or a folder's name, which in
    Hugging Face's cache is the repository's.
    """
    folder, name = os.path.split(os.path.abspath(path))
    # models--owner--name/snapshots/revision
    above, kind = os.path.split(folder)
    cached = os.path.basename(above) if kind == "snapshots" else name
    if cached.startswith("models--"):
        name = cached.rpartition("--")[2]
    name = re.sub(r"(?i)(-\d{5}-of-\d{5})?(\.(gguf|safetensors|json))?$", "", name, count=1)
    return clean(name) or "local model"


def numbered_files(path: str, most: int) -> tuple[str, ...]:
    """The files that belong together with `path`, in order: itself, or where its name ends in
    `-00001-of-00003` every part of that set, there or not. More than `most` are none of a model.
    """
    name = os.path.basename(path)
    match = _PART.match(name)
    if match is None or not 1 <= int(match[3]) <= most:
        return (path,)
    begin = path[: len(path) - len(name)] + match[1]
    numbers = range(1, int(match[3]) + 1)
    return tuple(f"{begin}-{number:05d}-of-{match[3]}{match[4]}" for number in numbers)


def license_of(tag: object, link: object, unknown: dict[str, str]) -> License | None:
    """The license that a header names, None where it names none. Notes in `unknown` what the header
    leaves out.
    """
    text = clean(tag)
    if not text:
        return None
    spdx_id = _SPDX.get(text.lower())
    if spdx_id is not None:
        return License(id=spdx_id)
    url = clean(link)
    if not url.startswith(("https://", "http://")):
        url = ""
        unknown["license.url"] = f'the file says "{text}" and no address'
    return License(
        id="LicenseRef-" + (re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") or "unnamed"),
        url=url or None,
    )


def grouped(layers: Sequence[_Layers | None]) -> tuple[_Layers, ...]:
    """Equal layers as one group, in the order of their first. Entry i is the part of layer i, None
    where it has none.
    """
    places: dict[_Layers, list[int]] = {}
    for number, layer in enumerate(layers):
        if layer is not None:
            places.setdefault(layer, []).append(number)
    return tuple(layer.replace(layers=tuple(numbers)) for layer, numbers in places.items())


def listed(names: Iterable[str], most: int = 5) -> str:
    """`a, b, c and 4 more`."""
    all_names = list(names)
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
