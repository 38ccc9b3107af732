"""The memory that a description tells, and the numbers of cores and rates beside it.

What goes in: a `Phrase`, whose names are claimed. What comes out: `Memory`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.records import Record
from . import cpus
from .phrases import Phrase
from .quantities import Quantity
from .words import bad_name, vocabulary

_KIND_OF_RAM = re.compile(r"(?:lp)?ddr\d\w?", re.ASCII)
# a size without a word for its kind is a disk's from the first of these on, in a computer whose
# class of processor takes at most the second of RAM
_LEAST_DISK_GIB = 240
_MOST_GIB_OF_CLIENTS = 256
# a system reports up to a tenth less RAM than is built in: `15.8 GB` of 16
_LEAST_OF_SIZE = 0.9


class Memory(Record):
    """The memory that a description tells, in GiB; None where it tells none.

    `disk_gib` is a size that is taken for a disk, and that may be the RAM's: in TB, where no word
    calls it either, or a small one beside a word for a disk.
    `numbers` has the numbers of cores, threads, vcpus, mts, gbps, channels, sticks and gen, by
    these words.
    """

    ram_gib: float | None
    vram_gib: float | None
    disk_gib: float | None
    ram_kind: str | None
    numbers: Mapping[str, int]


def find_memory(
    phrase: Phrase,
    processor: str | None,
    *,
    has_chip: bool,
) -> Memory:
    """Claim the memory, and the numbers of cores and rates. The RAM is the size that is called RAM,
    else the smallest plain size. A plain size below the RAM's stays free: it is of something else.

    Raises `UnknownMachineError` where two sizes can be the RAM's, and for an unknown kind of RAM.
    """
    ram_kind = _kind_of_ram(phrase)
    numbers = {}
    sizes: dict[str, dict[int, float]] = {"ram": {}, "vram": {}, "disk": {}, "": {}}
    for at, quantity in phrase.quantities():
        if quantity.is_count:
            continue
        if quantity.modules is not None:
            numbers["sticks"] = quantity.modules
        if quantity.unit in ("gb", "tb"):
            of = _memory_of(quantity, processor)
            sizes[of][at] = quantity.gib
        else:
            name = "cores" if quantity.unit == "cpus" else quantity.unit
            numbers[name] = int(quantity.number)
            phrase.claim(at)
    told = set(sizes["ram"].values())
    plain = sizes[""]
    possible = {gib for gib in plain.values() if may_be_ram(gib, processor)}
    ram_gib = max(told, default=None) or min(plain.values(), default=None)
    # in `2x 16gb v100 64gb`, 2x may count modules or GPUs
    is_open = "sticks" in numbers or "or" in phrase.words
    if told:
        possible = told | possible if is_open else told
    # beside a chip, the larger is a disk's
    are_told = bool(told) or not has_chip
    if are_told and min(possible, default=0) < _LEAST_OF_SIZE * max(
        possible, default=0
    ):
        listed = [f"{gib:g} GB" for gib in sorted(possible)]
        largest = f"{max(possible):g}"
        raise bad_name("two_sizes", phrase.text, sizes=listed, largest=largest)
    for of, places in sizes.items():
        for at, gib in places.items():
            if of or not told or gib >= max(told):
                phrase.claim(at)
    disks = sizes["disk"].values()
    return Memory(
        ram_gib=ram_gib,
        vram_gib=max(sizes["vram"].values(), default=None),
        disk_gib=min(disks, default=None),
        ram_kind=ram_kind,
        numbers=numbers,
    )


def _kind_of_ram(phrase: Phrase) -> str | None:
    """Claim the kind of RAM, `ddr4`, and the words that stand beside a size, and return the kind.
    Raises `UnknownMachineError` for an unknown kind.
    """
    ram_kind = None
    for at, word in list(phrase.free.items()):
        if _KIND_OF_RAM.fullmatch(word):
            kinds = cpus.ram_rates()
            if word not in kinds:
                raise bad_name("kind_of_ram", phrase.text, kinds, word=word)
            ram_kind = word
            phrase.claim(at)
        elif word in vocabulary().of_sizes:
            phrase.claim(at)
    return ram_kind


def _memory_of(size: Quantity, processor: str | None) -> str:
    """The memory that has a size: `ram`, `vram` or `disk`; empty where no word calls it. A plain
    `1tb` is a disk's unless the processor is a server's.
    """
    if size.unit == "tb" and not size.of and not cpus.is_server(processor or ""):
        return "disk"
    return size.of


def may_be_ram(gib: float, processor: str | None) -> bool:
    """Whether a plain size can be the RAM's: 16 of `ryzen 5600x 16gb 512gb`. A large size can be,
    if the class of the processor takes as much RAM.
    """
    most_gib = cpus.class_of(processor or "").most_gib or 0
    return gib < _LEAST_DISK_GIB or most_gib > _MOST_GIB_OF_CLIENTS
