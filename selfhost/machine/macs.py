"""Macs with an Apple chip, which people name by the chip, `m2 pro`, or by name and year.

What goes in: a `Phrase` whose names of parts are claimed, and these `Names`. What comes out: the
chip, and the Mac as a `Product`.
"""

from __future__ import annotations

import re

from .cpus import Chip, SoldMac, mac_chips
from .gazetteer import Names
from .phrases import Phrase
from .products import Product, find_product
from .words import bad_name, fits, vocabulary

# words that make another chip of an Apple chip
_OF_CHIPS = frozenset(("pro", "max", "ultra"))
_YEAR = re.compile(r"20\d\d", re.ASCII)


def find_chip(phrase: Phrase, names: Names) -> Chip | None:
    """Return the Apple chip of the Mac that a text names, and claim the words of the Mac's name;
    None where the text names no Mac.

    Raises `UnknownMachineError` for an unknown Mac, and for a name of several.
    """
    words = vocabulary()
    if names.chips:
        chip = names.chips[0].chip
    elif phrase.has_free(words.macs):
        chip = _chip_by_name(phrase)
    else:
        return None
    for named in names.chips:
        # `m4 ultra`, which nobody sold
        if phrase.free_word(named.run.end) in _OF_CHIPS:
            raise phrase.error("mac")
    for at, word in list(phrase.free.items()):
        if fits(words.shape.mac, word):
            phrase.claim(at)
    return chip


def _chip_by_name(phrase: Phrase) -> Chip:
    """The chip of the Mac that the free words name.

    Raises `UnknownMachineError` for an unknown Mac, and for one that is sold with several chips.
    """
    years = set()
    for word in phrase.free_words:
        if _YEAR.fullmatch(word):
            years.add(int(word))
    chips = _chips_by_name(phrase, years)
    near = [chip.words.removeprefix("apple ") for chip in chips]
    # a Mac of that name and year may be sold with a processor of Intel's, too
    intel = find_product(Phrase(f"{phrase.text} intel"))
    if intel is not None and intel.system == "macos":
        near.append("intel")
    if len(near) > 1:
        raise phrase.error("macs", near, count=len(near), year=years)
    if not chips:
        raise phrase.error("mac")
    return chips[0]


def _chips_by_name(phrase: Phrase, years: set[int]) -> list[Chip]:
    """The chips of the Macs that are sold under a name which the free words hold, in one of the
    years (empty: in any), and with the RAM that the words state. A size with which no such Mac is
    sold is left aside.
    """
    chips = {}
    for chip, mac in mac_chips().items():
        for name, sold_in in mac.sold_as.items():
            if years and years.isdisjoint(sold_in):
                continue
            words = set(name.split())
            if words.issubset(phrase.free_words):
                chips[chip] = mac
    sizes = {size.gib for _, size in phrase.quantities() if size.is_size}
    with_ram = []
    for chip, mac in chips.items():
        if not sizes.isdisjoint(mac.gib):
            with_ram.append(chip)
    return with_ram or list(chips)


def mac_with(
    chip: Chip,
    mac: SoldMac,
    ram_gib: float | None,
) -> Product:
    """Return the Mac with an Apple chip and that RAM (None: the RAM of the cheapest).

    Raises `UnknownMachineError` for a size with which the Mac is not sold.
    """
    gib = mac.gib[0] if ram_gib is None else ram_gib
    if gib not in mac.gib:
        sizes = [f"{size} GB" for size in mac.gib]
        raise bad_name("mac_size", chip.name, gib=f"{gib:g}", sizes=sizes)
    cores = mac.cores
    gb_per_s = chip.gb_per_s
    if gib in mac.smaller_gib:
        cores = mac.smaller_cores
        if chip.smaller is not None:
            gb_per_s = chip.smaller.gb_per_s
    return Product(
        title=f"a Mac with {chip.name}",
        words=f"mac {chip.name}",
        gib=mac.gib,
        source="macs",
        processor=chip.name,
        cores=cores,
        shared=f"{chip.name} GPU",
        gb_per_s=gb_per_s,
        system="macos",
        architecture="aarch64",
    )
