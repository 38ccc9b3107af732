"""Macs by their chip, `macbook pro m1`, `M2 Ultra 192GB`: `specs/common/macs.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core import units
from ..core.tables import shipped_table
from .chips import apple_chip
from .profiles import refusal
from .record import Accelerator
from .words import SIZE

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_CHIP = re.compile(r"m[1-9]|a18", re.ASCII)
_VARIANTS = ("pro", "max", "ultra")
_PRODUCT_WORDS = ("macbook", "imac", "mac", "air", "pro", "mini", "studio", "neo")
# words behind which `m40` or `m3` is no chip of Apple's
_OF_OTHERS = frozenset(("tesla", "quadro", "gtx", "core", "odroid", "nanopi", "pi", "nuc", "x9"))
# products, fillers, years and sizes of screens
SAID = re.compile(
    "|".join((*_PRODUCT_WORDS, "apple|silicon|chip|late|mid|early|retina|inch"))
    + r"|20[12]\d|1[3-6]|2[47]",
    re.ASCII,
)


def title(row: Mapping[str, Any]) -> str:
    """A chip as Apple writes it: `M1 Pro`."""
    return f"{row['chip'].upper()} {row['variant'].title()}".strip()


def places_of_chip(words: Sequence[str]) -> list[int]:
    """Where a chip and its variant stand: `m2`, `max`."""
    for at, word in enumerate(words):
        if _CHIP.fullmatch(word) and ["", *words[:at]][-1] not in _OF_OTHERS:
            return [at, at + 1] if [*words, ""][at + 1] in _VARIANTS else [at]
    return []


def product(words: Sequence[str]) -> str:
    """The product that the words name: `macbook air`."""
    chip = places_of_chip(words)
    return " ".join(w for at, w in enumerate(words) if at not in chip and w in _PRODUCT_WORDS)


def rows(chip: Sequence[str], words: Sequence[str]) -> list[Mapping[str, Any]]:
    """The rows of that chip, `["m2", "max"]`, else of the size among the words, that were sold as
    the product that they name.
    """
    own = {*product(words).split()}
    own = own - {"mac"} or own
    sold = [
        row
        for row in shipped_table("macs")["mac"]
        if not own or any(own <= {*name.split()} for name in row["years"])
    ]
    if chip:
        return [row for row in sold if [row["chip"], row["variant"]] == [*chip, ""][:2]]
    sizes = {float(size[1]) for word in words if (size := SIZE.fullmatch(word))}
    return [row for row in sold if not sizes or sizes & {*row["gib"]} or min(sizes) >= 256]


def facts(row: Mapping[str, Any], memory_gib: float) -> dict[str, Any]:
    """What a Mac with that chip and so much memory is. Raises `NotOneMachineError` for a size that
    it was not sold with.
    """
    if memory_gib not in row["gib"]:
        rows = shipped_table("macs")["mac"]
        with_size = [row for row in rows if memory_gib in row["gib"]]
        others = [title(each) for each in with_size if each["chip"] == row["chip"]]
        of_others = f"; one with {memory_gib:g} GB has an {' or '.join(others)}" if others else ""
        sold = ", ".join(f"{size} GB" for size in row["gib"])
        name = title(row)
        raise refusal("mac_size", name, chip=name, gib=memory_gib, sizes=sold, others=of_others)
    name, is_smaller = f"Apple {title(row)}", memory_gib in row.get("smaller", ())
    memory = round(memory_gib * units.GIB)
    out: dict[str, Any] = {
        "system": "macos",
        "architecture": "aarch64",
        "memory_total_bytes": memory,
        "memory_limit_bytes": memory,
        "cpu_model": name,
        "cpu_cores_usable": float(row["smaller_cores"] if is_smaller else row["cores"]),
        "accelerators": (Accelerator(vendor="apple", name=f"{name} GPU", unified=True),),
    }
    chip = apple_chip(row["chip"], row["variant"])
    if chip is not None:
        gb_per_s = chip.smaller[1] if is_smaller and chip.smaller else chip.gb_per_s
        out["memory_bandwidth_bytes_per_second"] = round(gb_per_s * units.GB)
    return out
