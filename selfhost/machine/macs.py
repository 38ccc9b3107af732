"""Macs by the name of their chip, `macbook pro m1`, `M2 Ultra 192GB`: `specs/common/macs.toml`."""

from __future__ import annotations

import re

from ..core import units
from ..core.saying import option
from ..core.tables import shipped_table
from .changes import planned
from .chips import apple_chip
from .cpu_names import Described
from .record import Accelerator, Machine
from .typed import sizes_gib, with_plain_sizes, without_sizes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

REMEDY = (
    f"name its chip and its memory as they are sold ({option('machine', 'M2 Pro 16GB')}); `selfhost"
    " machine --profiles` lists all names"
)
_MOST_LETTERS = 120
_RAM_AND_DISK = 2
# of a year in which some had no Apple chip
_INTEL = "intel"
_BARE_SIZE = re.compile(r"(?<=\s)(\d{2,3})\s*$", re.ASCII)
# a screen, `macbook pro 16 m3 max`, and the year
_ASIDE = re.compile(
    r"\b(?:(?:1[3-6]|2[47])(?: ?inch\b|(?= (?:20[12]\d )?m\d))|20[12]\d|late|mid|early)\b", re.ASCII
)
# what a shop writes beside the chip, `16-core neural engine`, and the words for a disk; what `About
# This Mac` does, `Nov 2023`, `13-inch, M3, 2024 Chip Apple M3`
_OF_A_SHOP = re.compile(
    r"(?<![\w.])\d{1,3}[ -]?cores?(?:[ -](?:cpu|gpu|neural engine))?(?!\w)"
    r"|\b(?:ssd|nvme|storage|disk|unified memory|memory|ram)\b"
    r"|\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]* (?=20[12]\d\b)"
    r"|\b(?P<twice>m\d)\b(?=,? 20[12]\d\b.* apple (?P=twice)\b)",
    re.ASCII | re.IGNORECASE,
)
_RAM_SLASH_DISK = re.compile(r"(?<![\w.])(\d{1,3})(?:gb)?/(?:\d{3}|\d)(?:gb|tb)?(?!\w)", re.ASCII)
_YEAR = re.compile(r"\b20[12]\d\b", re.ASCII)
# beside a year the width of a screen has no `inch`
_WIDTH = re.compile(r"\b(?:1[3-6]|2[47])\b(?! ?gb)", re.ASCII)
# said of any
_ANY_MAC = frozenset(("apple", "mac", "chip", "silicon"))
# `m5.xlarge` is rented
_CHIP = re.compile(r"\b(m[1-9]\d?|a18)(?:\s*(pro|max|ultra))?\b(?!\.\w)", re.ASCII)


# cards with the number of a chip
_NO_CHIP = re.compile(r"\b(?:tesla|quadro|gtx) m\d+\b", re.ASCII)


def mac_with(text: str) -> Described | None:
    """The Mac with the chip and the memory that the text names, or else with the memory of the
    cheapest. None where it names no Apple chip, or one that was not sold so.
    """
    words = _words(text)
    chips, stated_gib = _CHIP.findall(words), {int(size) for size in sizes_gib(words)}
    if len(text) > _MOST_LETTERS or len(chips) != 1 or len(stated_gib) > 1:
        return None
    of_product = _CHIP.sub(" ", _ASIDE.sub(" ", without_sizes(words)))
    product_words = frozenset(of_product.split()) - _ANY_MAC
    for row in shipped_table("macs")["mac"]:
        is_chip = (row["chip"], row["variant"]) == chips[0]
        is_product = any(product_words <= frozenset(name.split()) for name in row["years"])
        if is_chip and is_product and stated_gib <= set(row["gib"]):
            return _described(text.strip(), row, max(stated_gib, default=None))
    return _of_unknown_chip(text.strip(), chips[0], product_words, stated_gib)


def _of_unknown_chip(
    text: str, chip: tuple[str, str], product_words: frozenset[str], stated_gib: set[int]
) -> Described | None:
    """A Mac with a chip that is not in the table, as one that is newer, and the memory that the
    text states or else of the cheapest; None of any other. Nothing but its maker and its variant is
    known.
    """
    newest = _newest_alike(chip, product_words)
    if newest is None:
        return None
    least, most = newest["gib"][0] / 2, newest["gib"][-1] * 2
    if not all(least <= size_gib <= most for size_gib in stated_gib):
        return None
    title = f"Apple {' '.join(filter(None, chip)).title()}"
    memory_gib = max(stated_gib, default=newest["gib"][0])
    facts = _facts(title, memory_gib, newest["cores"])
    machine = Machine(
        **facts,
        name=f"a Mac with {title}, {memory_gib} GB",
        scope="host",
        confidence="low",
        assumed=("cpu_cores_usable", *(() if stated_gib else ("memory_total_bytes",))),
        memory_most_bytes=None if stated_gib else max(newest["gib"]) * units.GIB,
        sources=dict.fromkeys(facts, "as its description says; its cores are a guess"),
    )
    size = f"{memory_gib} GB" if stated_gib else f"{memory_gib} GB, assumed"
    note = (
        f'"{text}" is judged as a Mac with {size}. Its chip is not known here. Its range runs from'
        f" the slowest chip of its kind, past the newest ({_title(newest)}), to half as much again"
        " as the fastest, a guess."
    )
    return Described(machine=planned(machine), title=title, note=note)


def _newest_alike(chip: tuple[str, str], product_words: frozenset[str]) -> Mapping[str, Any] | None:
    """The newest chip of that one's variant. None where the chip is in the table itself, Apple
    makes no such variant, or the words name no Mac.
    """
    rows = [row for row in shipped_table("macs")["mac"] if row["chip"].startswith("m")]
    of_variant = [row for row in rows if row["variant"] == chip[1]]
    products = {name for row in of_variant for name in row["years"]}
    is_product = any(product_words <= frozenset(name.split()) for name in products)
    is_unknown = chip[0].startswith("m") and all(row["chip"] != chip[0] for row in of_variant)
    if not (of_variant and is_unknown and is_product):
        return None
    newest: Mapping[str, Any] = max(of_variant, key=lambda row: _number(row["chip"]))
    return newest


def _facts(title: str, memory_gib: int, cores: int) -> dict[str, Any]:
    """What a Mac is by its chip's name, its memory and its cores."""
    return {
        "system": "macos",
        "architecture": "aarch64",
        "memory_total_bytes": memory_gib * units.GIB,
        "memory_limit_bytes": memory_gib * units.GIB,
        "cpu_model": title,
        "cpu_cores_usable": float(cores),
        "accelerators": (Accelerator(vendor="apple", name=f"{title} GPU", unified=True),),
    }


def _number(chip: str) -> int:
    return int(chip.removeprefix("m"))


def as_sold(text: str) -> str:
    """The text with an Apple chip without its cores and its disk, the larger of two sizes: `m1
    pro 10-core 16gb 512gb ssd`. The chip tells the cores. Any other text as it is.
    """
    # a Tesla M40 is a card
    chips = {row["chip"] for row in shipped_table("macs")["mac"]}
    named = _CHIP.finditer(_NO_CHIP.sub(" ", _words(text)))
    if not any(match[1] in chips for match in named):
        return text
    ram_alone = _RAM_SLASH_DISK.sub(r"\1gb", with_plain_sizes(text))
    name = _OF_A_SHOP.sub(" ", ram_alone.replace("/", " "))
    sizes = sizes_gib(name)
    if len(sizes) == _RAM_AND_DISK and min(sizes) < max(sizes):
        name = f"{without_sizes(name)} {min(sizes):g}gb"
    return " ".join(name.replace(",", " ").split()) if name.split() != text.split() else text


def with_its_size(text: str) -> str:
    """The text of a Mac with GB behind a number at its end that its chip is sold with: `m4 max 128`
    is one of 128 GB. Any other text as it is.
    """
    with_unit = _BARE_SIZE.sub(r"\1GB", text)
    words = _words(with_unit)
    stated_gib = set(sizes_gib(words))
    is_sold = any(stated_gib <= set(row["gib"]) for row in _rows_of_chips(words))
    return with_unit if is_sold else text


def with_chip_of_its_year(text: str) -> str:
    """The text of a Mac that its year or its memory tells, with the chip that all of that year and
    memory have for the year: `macbook air 2022 16gb`, `mac mini 48gb`. Any other text as it is.
    """
    chips = _chips_of_its_year(text)
    if len(chips) != 1:
        return text
    if not _YEAR.search(_words(text)):
        return several_chips(text)[0]
    return " ".join(_ASIDE.sub(" ", _WIDTH.sub(" ", _YEAR.sub(chips[0], _words(text)))).split())


def several_chips(text: str) -> list[str]:
    """What to name instead of a Mac that its year and memory do not tell, as it is typed: one name
    a chip that computers of these were sold with, `macbook air m1`. Empty for any other text.
    """
    chips = _chips_of_its_year(text)
    words = _words(text)
    product = without_sizes(" ".join(_ASIDE.sub(" ", _WIDTH.sub(" ", words)).split()))
    sizes = "".join(f" {size:g}GB" for size in sizes_gib(words))
    years = _YEAR.findall(words)
    return [f"{product} {f'{years[0]} intel' if chip == _INTEL else chip}{sizes}" for chip in chips]


def _chips_of_its_year(text: str) -> list[str]:
    """The chips that computers of the product and year were sold with, with the memory that the
    text states, as they are typed: `m1 pro`; `intel` for a processor of Intel's. Empty where it
    tells anything else, or neither a year nor a memory.
    """
    words = _words(text)
    years, sizes = _YEAR.findall(words), set(sizes_gib(words))
    if len(years) > 1 or not (years or sizes) or _CHIP.search(words):
        return []
    left = without_sizes(_ASIDE.sub(" ", _WIDTH.sub(" ", words))).split()
    product = " ".join(word for word in left if word not in ("apple", "silicon", "chip"))
    table = shipped_table("macs")
    chips = [
        f"{row['chip']} {row['variant']}".strip()
        for row in table["mac"]
        if _was_sold(row, product, years) and sizes <= set(row["gib"])
    ]
    is_intel_too = bool(years) and f"{product} {years[0]}" in table["intel"]
    return [*chips, _INTEL] if chips and is_intel_too else chips


def _was_sold(row: Mapping[str, Any], product: str, years: Sequence[str]) -> bool:
    """Whether the product had that chip, in that year where one is told."""
    of_product = row["years"].get(product, ())
    return bool(of_product) and (not years or int(years[0]) in of_product)


def size_never_sold(text: str) -> tuple[str, str] | None:
    """A Mac of a memory that its chip was not sold with: what is wrong, and which sizes there are.
    None for any other text.
    """
    words = _words(text)
    rows, sizes = _rows_of_chips(words), set(sizes_gib(words))
    if len(rows) != 1 or len(sizes) != 1 or sizes <= set(rows[0]["gib"]):
        return None
    size_gib = sizes.pop()
    chip = rows[0]["chip"]
    *smaller, most = [f"{size} GB" for size in rows[0]["gib"]]
    sold = f"{', '.join(smaller)} or {most}" if smaller else most
    others = [
        _title(row)
        for row in shipped_table("macs")["mac"]
        if row["chip"] == chip and size_gib in row["gib"]
    ]
    with_others = f"; one with {size_gib:g} GB has an {' or '.join(others)}" if others else ""
    return (
        f"no Mac with an {_title(rows[0])} has {size_gib:g} GB of RAM",
        f"it is sold with {sold}{with_others}",
    )


def sizes_sold(text: str) -> tuple[int, ...]:
    """GiB of RAM that Macs with the chip that the text names are sold with; empty where it names
    none, several, or states the size.
    """
    words = _words(text)
    rows = _rows_of_chips(words)
    return tuple(rows[0]["gib"]) if len(rows) == 1 and not sizes_gib(words) else ()


def _rows_of_chips(words: str) -> list[Mapping[str, Any]]:
    """The row of each chip that the words name, of one in several rows each."""
    return [
        row
        for chip in _CHIP.findall(words)
        for row in shipped_table("macs")["mac"]
        if (row["chip"], row["variant"]) == chip
    ]


def is_a_mac(text: str) -> bool:
    """Whether a word of it is of the name of a Mac alone, `macbook`, or an Apple chip."""
    words = frozenset(_words(text).split())
    words_of_macs = {
        word
        for row in shipped_table("macs")["mac"]
        for product in row["years"]
        for word in (*product.split(), row["chip"])
        if "mac" in word or word == row["chip"]
    }
    return not words.isdisjoint(words_of_macs)


def names_a_chip_alone(text: str) -> bool:
    """Whether it names an Apple chip and its memory at most: `m5 pro` is no MacBook Pro with an
    M5.
    """
    words = without_sizes(_words(text)).split()
    return _CHIP.fullmatch(" ".join(word for word in words if word not in _ANY_MAC)) is not None


def has_its_chip(name: str, text: str) -> bool:
    """Whether a machine's name has the chip that the text names; any has where it names none."""
    chips = _CHIP.findall(_words(text))
    return not chips or _CHIP.findall(_words(name)) == chips


def _words(text: str) -> str:
    """Its words, and behind a product that has always had one chip that chip."""
    words = " ".join(re.sub(r"[^a-z0-9.]+", " ", with_plain_sizes(text).lower()).split())
    for row in shipped_table("macs")["mac"]:
        product = row.get("only_in", "")
        if product and re.search(rf"\b{product}\b", words) and not _CHIP.search(words):
            return words.replace(product, f"{product} {row['chip']} {row['variant']}")
    return words


def _title(row: Mapping[str, Any]) -> str:
    """A chip as Apple writes it: `M1 Pro`."""
    return f"{row['chip'].upper()} {row['variant'].title()}".strip()


def _described(text: str, row: Mapping[str, Any], stated_gib: int | None) -> Described:
    memory_gib = row["gib"][0] if stated_gib is None else stated_gib
    title = f"Apple {_title(row)}"
    chip = apple_chip(row["chip"], row["variant"])
    is_smaller = memory_gib in row.get("smaller", ())
    gb_per_s = None if chip is None else chip.gb_per_s
    if chip is not None and is_smaller and chip.smaller is not None:
        gb_per_s = chip.smaller[1]
    facts = _facts(title, memory_gib, row["smaller_cores"] if is_smaller else row["cores"])
    if gb_per_s is not None:
        facts["memory_bandwidth_bytes_per_second"] = round(gb_per_s * units.GB)
    note = f'"{text}" is judged as {title} with {memory_gib} GB'
    if stated_gib is None:
        other_sizes = [f"{size} GB" for size in row["gib"] if size != memory_gib]
        choice = f" Otherwise name it: {', '.join(other_sizes)}." if other_sizes else ""
        note = f"{note}, the memory of the cheapest, assumed.{choice}"
    else:
        note = f"{note}."
    machine = Machine(
        **facts,
        name=f"a Mac with {title}, {memory_gib} GB",
        scope="host",
        confidence="medium",
        assumed=() if stated_gib else ("memory_total_bytes",),
        memory_most_bytes=None if stated_gib else max(row["gib"]) * units.GIB,
        sources=dict.fromkeys(facts, "from general knowledge of Macs, not looked up"),
    )
    return Described(machine=planned(machine), title=title, note=note)
