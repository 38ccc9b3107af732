"""Macs by their chip, `macbook pro m1`, `M2 Ultra 192GB`: `specs/common/macs.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core import units
from ..core.records import Record
from ..core.tables import shipped_table
from .chips import apple_chip
from .profiles import NotOneMachineError, UnknownMachineError, unknown
from .record import Accelerator
from .words import SIZE

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_CHIP = re.compile(r"m[1-9]|a18", re.ASCII)
_VARIANTS = (["pro"], ["max"], ["ultra"])
_OF_MACS = frozenset(("macbook", "imac", "mac"))
_PRODUCT_WORDS = (*_OF_MACS, "air", "pro", "mini", "studio", "neo")
# words behind which `m40` or `m3` is no chip of Apple's
_OF_OTHERS = frozenset(("tesla", "quadro", "gtx", "core", "odroid", "nanopi", "pi", "nuc", "x9"))
# products, fillers, years and sizes of screens
_SAID_OF_MACS = re.compile(
    "|".join((*_PRODUCT_WORDS, "apple|silicon|chip|late|mid|early|retina|inch"))
    + r"|20[12]\d|1[3-6]|2[47]",
    re.ASCII,
)


class Mac(Record):
    """A row of the table, and the places of the words that told it."""

    row: Mapping[str, Any]
    places: tuple[int, ...]
    names_product: bool


def title(row: Mapping[str, Any]) -> str:
    """A chip as Apple writes it: `M1 Pro`."""
    return f"{row['chip'].upper()} {row['variant'].title()}".strip()


def read(words: Sequence[str], text: str) -> Mac | None:
    """The Mac that the words name by its chip, or by a product that has one chip; None where they
    name none. Raises `UnknownMachineError` where several can be meant, or none was sold so.
    """
    names_mac = not _OF_MACS.isdisjoint(words)
    chips = _chips(words)
    if not chips and not names_mac:
        return None
    of_chip = {*chips, *(at + 1 for at in chips[:1] if words[at + 1 : at + 2] in _VARIANTS)}
    product = [
        word for at, word in enumerate(words) if word in _PRODUCT_WORDS and at not in of_chip
    ]
    if chips:
        variant = words[chips[0] + 1] if chips[0] + 1 in of_chip else ""
        rows = _rows(words[chips[0]], variant, product)
    else:
        rows = _of_year_and_size(_rows(None, "", product), words)
    if not rows and not names_mac and {"apple", "air"}.isdisjoint(words):
        return None
    _refuse_all_but_one(rows, {words[at] for at in chips}, product, text)
    places = {at for at, word in enumerate(words) if _SAID_OF_MACS.fullmatch(word)}
    places = {*places, *of_chip}
    return Mac(row=rows[0], places=tuple(sorted(places)), names_product=bool(product))


def _chips(words: Sequence[str]) -> list[int]:
    """The places of names of Apple's chips."""
    return [
        at
        for at, (before, word) in enumerate(zip(("", *words), words, strict=False))
        if _CHIP.fullmatch(word) and before not in _OF_OTHERS
    ]


def _refuse_all_but_one(
    rows: Sequence[Mapping[str, Any]], chips: set[str], product: Sequence[str], text: str
) -> None:
    """Raises `UnknownMachineError` unless just one Mac is meant."""
    if len(rows) > 1 or len(chips) > 1:
        near = [f"{' '.join(product)} {row['chip']} {row['variant']}".strip() for row in rows]
        raise NotOneMachineError(
            f"{text!r} can be {len(rows)} Macs: it does not tell the chip",
            nearest=near,
            remedy=f"name one: {', '.join(near[:8])}",
        )
    if not rows:
        raise UnknownMachineError(
            f"no Mac is known as {text!r}",
            nearest=unknown(text).nearest,
            remedy="name its chip and its memory as they are sold (--machine 'M2 Pro 16GB');"
            " `selfhost machine --profiles` lists known machines",
        )


def _rows(chip: str | None, variant: str, product: Sequence[str]) -> list[Mapping[str, Any]]:
    """The rows of that chip that were sold as that product; of any chip for None."""
    own = {word for word in product if word != "mac" or len(product) > 1}
    return [
        row
        for row in shipped_table("macs")["mac"]
        if (chip is None or (row["chip"], row["variant"]) == (chip, variant))
        and (not own or any(own <= {*name.split()} for name in row["years"]))
    ]


def _of_year_and_size(
    rows: Sequence[Mapping[str, Any]], words: Sequence[str]
) -> list[Mapping[str, Any]]:
    years = {int(word) for word in words if re.fullmatch(r"20[12]\d", word)}
    sizes = {float(size[1]) for word in words if (size := SIZE.fullmatch(word))}
    return [
        row
        for row in rows
        if (not years or any(years & {*each} for each in row["years"].values()))
        and (not sizes or sizes & {*row["gib"]} or min(sizes) >= 256)
    ]


def facts(row: Mapping[str, Any], memory_gib: float) -> dict[str, Any]:
    """What a Mac with that chip and so much memory is. Raises `NotOneMachineError` for a size that
    it was not sold with.
    """
    if memory_gib not in row["gib"]:
        raise _never_sold(row, memory_gib)
    name = f"Apple {title(row)}"
    chip = apple_chip(row["chip"], row["variant"])
    is_smaller = memory_gib in row.get("smaller", ())
    out: dict[str, Any] = {
        "system": "macos",
        "architecture": "aarch64",
        "memory_total_bytes": round(memory_gib * units.GIB),
        "memory_limit_bytes": round(memory_gib * units.GIB),
        "cpu_model": name,
        "cpu_cores_usable": float(row["smaller_cores"] if is_smaller else row["cores"]),
        "accelerators": (Accelerator(vendor="apple", name=f"{name} GPU", unified=True),),
    }
    if chip is not None:
        narrow = chip.smaller if is_smaller and chip.smaller else None
        gb_per_s = narrow[1] if narrow else chip.gb_per_s
        out["memory_bandwidth_bytes_per_second"] = round(gb_per_s * units.GB)
    return out


def _never_sold(row: Mapping[str, Any], memory_gib: float) -> NotOneMachineError:
    others = [
        title(each)
        for each in shipped_table("macs")["mac"]
        if each["chip"] == row["chip"] and memory_gib in each["gib"]
    ]
    of_others = f"; one with {memory_gib:g} GB has an {' or '.join(others)}" if others else ""
    return NotOneMachineError(
        f"no Mac with an {title(row)} has {memory_gib:g} GB of RAM",
        remedy=f"it is sold with {', '.join(f'{size} GB' for size in row['gib'])}{of_others}",
    )
