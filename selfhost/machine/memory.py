"""The memory that a description tells, and the numbers of cores and rates beside it.

What goes in: a `Phrase`, whose names are claimed. What comes out: `StatedMemory`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.records import Record, shortened
from . import cpus
from .phrases import Phrase
from .quantities import Quantity
from .words import vocabulary

_KIND_OF_RAM = re.compile(r"(?:lp)?ddr\d\w?", re.ASCII)
# the smallest usual disk: beside another size, a plain size from this on is a disk's
_LEAST_DISK_GIB = 240
# classes of processors that take more RAM may have a plain size as large as a disk
_MOST_GIB_OF_CLIENTS = 256
# 1 MiB: less is a slip
_LEAST_GIB = 1 / 1024
# a system reports up to a tenth less RAM, and a driver less GPU memory, than is sold
_LEAST_REPORTED = 0.9


class StatedMemory(Record):
    """The memory that a description tells, in GiB; None where it tells none.

    - `disk_gib`: a size that is taken for a disk, and may be the RAM's: `1tb` without a word for
      its kind, or a small size with a word for a disk, `128gb ssd`. A size that can only be a
      disk's is not kept.
    - `numbers`: the numbers of cores, threads, vcpus, mts, gbps, channels, sticks and gen, by these
      words.
    """

    ram_gib: float | None
    vram_gib: float | None
    disk_gib: float | None
    ram_kind: str | None
    numbers: Mapping[str, int]


def find_memory(phrase: Phrase, processor: str | None) -> StatedMemory:
    """Claim the memory, and the numbers of cores and rates. The RAM is the size that is called RAM,
    else the smallest plain size: one that no word calls RAM, GPU memory or a disk.

    Raises `UnknownMachineError` where two sizes can be the RAM's, for a size of nearly nothing, and
    for an unknown kind of RAM or two kinds.
    """
    ram_kind = _kind_of_ram(phrase)
    numbers = _numbers(phrase)
    sizes = _sizes(phrase, processor)
    called_ram = _gib_of(sizes, "ram")
    plain = _gib_of(sizes, "")
    possible = {gib for gib in plain if may_be_ram(gib, processor)}
    if called_ram:
        # in `2x 16gb v100 64gb`, 2x may count modules or GPUs
        is_open = "sticks" in numbers or "or" in phrase.words
        possible = called_ram | possible if is_open else called_ram
    _refuse_two_sizes(phrase, possible)
    ram_gib = min(plain, default=None)
    if called_ram:
        ram_gib = max(called_ram)
    for at, size in sizes.items():
        # a plain size below that of the RAM stays free: it is of something else
        is_of_something_else = called_ram and not size.of and size.gib < max(called_ram)
        if not is_of_something_else:
            phrase.claim(at)
    return StatedMemory(
        ram_gib=ram_gib,
        vram_gib=max(_gib_of(sizes, "vram"), default=None),
        disk_gib=min(_gib_of(sizes, "disk"), default=None),
        ram_kind=ram_kind,
        numbers=numbers,
    )


def _sizes(phrase: Phrase, processor: str | None) -> Mapping[int, Quantity]:
    """The free sizes by their places, without those that can only be a disk's, which are claimed.
    A plain `1tb` is a disk's unless the processor is a server's.
    """
    sizes = {}
    for at, size in phrase.quantities():
        if size.unit not in ("gb", "tb"):
            continue
        if size.gib < _LEAST_GIB:
            typed = repr(shortened(phrase.word(at), 40))
            raise phrase.error("zero", size=typed)
        if size.of == "disk" and size.gib >= _LEAST_DISK_GIB:
            phrase.claim(at)
            continue
        is_plain_tb = size.unit == "tb" and not size.of
        if is_plain_tb and not cpus.is_server(processor or ""):
            sizes[at] = size.replace(of="disk")
        else:
            sizes[at] = size
    return sizes


def _gib_of(sizes: Mapping[int, Quantity], memory: str) -> set[float]:
    """The sizes in GiB that are called `ram`, `vram` or `disk`; for "" the plain sizes."""
    found = set()
    for size in sizes.values():
        if size.of == memory:
            found.add(size.gib)
    return found


def _refuse_two_sizes(phrase: Phrase, possible: set[float]) -> None:
    """Refuse two sizes of which each can be the RAM's. `16gb 15.8gb` is one size."""
    if not possible or may_be_reported_as(max(possible), min(possible)):
        return
    listed = [f"{gib:g} GB" for gib in sorted(possible)]
    largest = f"{max(possible):g}"
    raise phrase.error("two_sizes", sizes=listed, largest=largest)


def _numbers(phrase: Phrase) -> Mapping[str, int]:
    """Claim the numbers of cores, channels and the like, and return them by their units. Raises
    `UnknownMachineError` for a number of zero.
    """
    numbers = {}
    for at, quantity in phrase.quantities():
        if quantity.modules is not None:
            numbers["sticks"] = quantity.modules
        elif not quantity.is_size and not quantity.is_count:
            if not quantity.number:
                raise phrase.error("zero_parts", word=repr(phrase.word(at)))
            unit = "cores" if quantity.unit == "cpus" else quantity.unit
            numbers[unit] = int(quantity.number)
            phrase.claim(at)
    return numbers


def _kind_of_ram(phrase: Phrase) -> str | None:
    """Claim the kind of RAM, `ddr4`, and the words that stand beside a size, and return the kind.
    Raises `UnknownMachineError` for an unknown kind, and for two kinds.
    """
    ram_kind = None
    for at, word in list(phrase.free.items()):
        if _KIND_OF_RAM.fullmatch(word):
            kinds = cpus.ram_rates()
            if word not in kinds:
                raise phrase.error("kind_of_ram", kinds, word=word)
            if ram_kind not in (None, word):
                both = [ram_kind, word]
                raise phrase.error("two_kinds_of_ram", both, first=ram_kind)
            ram_kind = word
            phrase.claim(at)
        elif word in vocabulary().of_sizes:
            phrase.claim(at)
    return ram_kind


def may_be_ram(gib: float, processor: str | None) -> bool:
    """Whether a plain size can be the RAM's where another size stands beside: 16 of `ryzen 5600x
    16gb 512gb`. A size as large as a disk can be, if the class of the processor takes more RAM than
    those of clients.
    """
    most_gib = cpus.class_of(processor or "").most_gib or 0
    return gib < _LEAST_DISK_GIB or most_gib > _MOST_GIB_OF_CLIENTS


def may_be_reported_as(sold_gib: float, reported_gib: float) -> bool:
    """Whether a system may report a size that is sold, such as 128, as the other: up to a tenth
    less, such as 121.7.
    """
    return _LEAST_REPORTED * sold_gib <= reported_gib <= sold_gib
