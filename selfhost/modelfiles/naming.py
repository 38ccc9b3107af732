"""What specs from all kinds of files share: the name, the license, the groups of layers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from ..catalogue.spec import Attention, FeedForward, License, Recurrent
from ..core.records import pattern

_Layers = TypeVar("_Layers", Attention, Recurrent, FeedForward)

MAX_TEXT = 100
_PART = pattern(r"(?is)(.*)-(\d{5})-of-(\d{5})(\.(?:gguf|safetensors))$")
# names of licenses as Hugging Face tags them, where SPDX knows the license
_SPDX = {
    "apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause", "isc": "ISC",
    "cc0-1.0": "CC0-1.0", "cc-by-4.0": "CC-BY-4.0", "cc-by-3.0": "CC-BY-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-sa-3.0": "CC-BY-SA-3.0", "cc-by-nc-4.0": "CC-BY-NC-4.0", "cc-by-nc-3.0": "CC-BY-NC-3.0",
    "cc-by-nc-nd-4.0": "CC-BY-NC-ND-4.0", "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc-by-nd-4.0": "CC-BY-ND-4.0",
    "gpl-3.0": "GPL-3.0-only", "gpl-2.0": "GPL-2.0-only", "agpl-3.0": "AGPL-3.0-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "mpl-2.0": "MPL-2.0", "unlicense": "Unlicense", "wtfpl": "WTFPL",
    "artistic-2.0": "Artistic-2.0",
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
    name = os.path.basename(os.path.normpath(path))
    if name in ("", os.curdir, os.pardir):
        name = os.path.basename(os.path.abspath(path))
    # models--owner--name/snapshots/revision
    above, kind = os.path.split(os.path.dirname(os.path.abspath(path)))
    cached = os.path.basename(above) if kind == "snapshots" else name
    if cached.startswith("models--"):
        name = cached.rpartition("--")[2]
    name = re.sub(
        r"-\d{5}-of-\d{5}$",
        "",
        re.sub(r"\.(gguf|safetensors|json)$", "", name, flags=re.IGNORECASE),
    )
    return clean(name) or "local model"


def numbered_files(path: str, most: int) -> tuple[str, ...]:
    """The files that belong together with `path`, in order: itself, or where its name ends in
    `-00001-of-00003` every part of that set, there or not. More than `most` are none of a model.
    """
    name = os.path.basename(path)
    match = _PART.match(name)
    if match is None or not 1 <= int(match[3]) <= most:
        return (path,)
    folder = path[: len(path) - len(name)]
    return tuple(
        f"{folder}{match[1]}-{number:05d}-of-{match[3]}{match[4]}"
        for number in range(1, int(match[3]) + 1)
    )


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


def row_values(architectures: Mapping[str, object], name: str) -> Mapping[str, object] | None:
    """The row of an architecture, None where there is none. `architectures` may have its top key
    or not.
    """
    rows = architectures.get("architecture", architectures)
    row = rows.get(name) if isinstance(rows, Mapping) else None
    return row if isinstance(row, Mapping) else None


def listed(names: Iterable[str], most: int = 5) -> str:
    """`a, b, c and 4 more`."""
    all_names = list(names)
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
