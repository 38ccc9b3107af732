"""Macs by their chip, `macbook pro m1`, `M2 Ultra 192GB`: `specs/common/macs.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core import units
from ..core.tables import shipped_table
from .chips import apple_chip
from .description import Description
from .profiles import refusal, unknown
from .record import Accelerator
from .words import SIZE

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_CHIP = re.compile(r"m[1-9]|a18", re.ASCII)
_VARIANTS = ("pro", "max", "ultra")
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


def title(row: Mapping[str, Any]) -> str:
    """A chip as Apple writes it: `M1 Pro`."""
    return f"{row['chip'].upper()} {row['variant'].title()}".strip()


def take_mac(about: Description) -> None:
    """Take the Mac that the words name by its chip, or by a product that has one chip. Raises
    `UnknownMachineError` where several can be meant, or none was sold so.
    """
    words = [about.free(at) for at in range(len(about.tokens))]
    chips = [at for at, word in enumerate(words) if _is_chip(about.word(at - 1), word)]
    names_mac = not _OF_MACS.isdisjoint(words)
    if not chips and not names_mac:
        return
    _read_bare_size(about)
    of_chip = {*chips, *(at + 1 for at in chips[:1] if about.word(at + 1) in _VARIANTS)}
    others = [word for at, word in enumerate(words) if at not in of_chip]
    product = [*filter(_PRODUCT_WORDS.__contains__, others)]
    rows = _rows(words, [words[at] for at in sorted(of_chip)], product)
    if not rows and not names_mac and {"apple", "air"}.isdisjoint(words):
        return
    _refuse_all_but_one(about, rows, {words[at] for at in chips}, " ".join(product))
    about.chip = rows[0]
    for at, word in enumerate(words):
        if at in of_chip or _SAID_OF_MACS.fullmatch(word):
            about.tokens[at].by = "mac"


def _refuse_all_but_one(
    about: Description, rows: Sequence[Mapping[str, Any]], chips: set[str], product: str
) -> None:
    """Raises `UnknownMachineError` unless just one Mac is meant."""
    if len(rows) > 1 or len(chips) > 1:
        near = [f"{product} {row['chip']} {row['variant']}".strip() for row in rows]
        raise refusal("macs", about.text, near, count=len(rows), names=", ".join(near[:8]))
    if not rows:
        raise refusal("mac", about.text, unknown(about.text).nearest)


def _rows(
    words: Sequence[str], chip: Sequence[str], product: Sequence[str]
) -> list[Mapping[str, Any]]:
    """The rows of that chip, `["m2", "max"]`, else of the year and the size among the words, that
    were sold as that product.
    """
    own = {word for word in product if word != "mac" or len(product) > 1}
    rows = [
        row
        for row in shipped_table("macs")["mac"]
        if not own or any(own <= {*name.split()} for name in row["years"])
    ]
    if not chip:
        return _of_year_and_size(rows, words)
    variant = chip[1] if len(chip) > 1 and chip[1] in _VARIANTS else ""
    return [row for row in rows if [row["chip"], row["variant"]] == [chip[0], variant]]


def _is_chip(before: str, word: str) -> bool:
    return _CHIP.fullmatch(word) is not None and before not in _OF_OTHERS


def _read_bare_size(about: Description) -> None:
    """Add GB to a number at the end, behind a chip: `m4 max 128`."""
    *before, last = about.tokens
    has_size = any(SIZE.fullmatch(token.text) for token in before)
    is_behind_chip = any(_CHIP.fullmatch(token.text) for token in before[-2:])
    if is_behind_chip and not has_size and re.fullmatch(r"8|[1-9]\d{1,2}", last.text):
        last.text += "" if last.by else "gb"


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
