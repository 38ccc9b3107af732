"""What a description of a machine states beside names: its RAM, its system, and what tells nothing
of pace or memory, which is left aside: `64gb ddr5-6000 2tb nvme windows 11 850w`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ..core.records import Record
from ..core.tables import shipped_table

_GIB_OF_TB = 1024.0
# disks of computers hold more, RAM of most less
_LEAST_DISK_GIB = 100.0
# of two sizes that nothing tells apart, `16gb 512gb`, such a one is the disk's
_LEAST_DISK_OF_TWO_GIB = 240.0
_ANY_CASE = re.IGNORECASE | re.ASCII
_SPELLED = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)\s*([gt])(?:i?b|(?<=g)i|igs?|iga?bytes?|era?bytes?)(?!\w)", _ANY_CASE
)
# `512mb`, `6144 MiB`: less is a cache
_SPELLED_IN_MIB = re.compile(r"(?<![\w.])(\d{3,6})\s*m(?:i?b|i)(?!\w)", _ANY_CASE)
# `3g.20gb` is an instance of MIG
_SHORT = re.compile(r"(?<![\w.])(\d{1,3})g(?!\w|\.\d)", _ANY_CASE)
_PLAIN = r"(?<![\w.])(\d+(?:\.\d+)?)([gt])b(?!\w)"
_SIZE = re.compile(_PLAIN, re.ASCII)
# a hyphen between two words is no sign: `strix-halo-64gb`, `rtx 3090 - 64gb`
_BELOW_ONE = re.compile(
    r"(?:(?<!\S)[-\u2212]\d+(?:\.\d+)?|(?<![\w.,])0+(?:\.0+)?)\s*(?:[gt]i?b|[gt]igs?)(?!\w)",
    _ANY_CASE,
)
_KIND_OF_RAM = re.compile(r"(?<!\w)(?:lp)?ddr\d\w?(?!\w)", _ANY_CASE)
_RAM = re.compile(
    rf"{_PLAIN}[\s,]*(?:of )?(?:system )?ram\b(?!\s+\d{{1,3}}gb)|\bram[\s:=]+{_PLAIN}", _ANY_CASE
)
# `ram: 32` says no unit
_RAM_WITHOUT_UNIT = re.compile(
    r"\bram\s*[:=]\s*(\d{1,3})(?![\w.]|\s*(?:[gmt]i?b|gigs?|mhz|mt/s)\b)", _ANY_CASE
)
# two sizes around one word: the other is its neighbour's, `32gb ram 16gb rtx 4060 ti`
_RAM_BETWEEN = re.compile(
    rf"{_PLAIN}[\s,]*(?:of )?(?:system )?ram\s+(?P<behind>\d{{1,3}}gb)(?!\w)", _ANY_CASE
)
_MOST_WORDS_OF_A_GPU = 4
# `legion 5 core i7`, `gen 7 core i5`, `optiplex 790 core i5`: no Core i has an odd number of cores,
# or a hundred
_OF_A_NAME = re.compile(r"(?<![\w.])(?:[13579]|1[13579]|\d{3}) (?=core i\d)", _ANY_CASE)
# an OCPU of Oracle's is a core
# what stood in them was read: `i7-12700 (12 cores, 20 threads)`
_EMPTY_BRACKETS = re.compile(r"\([\s,;/]*\)")
_CORES = re.compile(
    r"(?<![\w.])(?:(?P<cores>\d{1,3}|dual|quad|six|hexa|octa|eight)"
    r"[ -]?(?:cores?(?! (?:ultra|2 (?:duo|quad|extreme))\b)|ocpus?)(?:[ -]cpu)?"
    r"|(?P<short>\d{1,3})c(?=[ /]?\d))(?:[ ,/]*(?P<threads>\d{1,3})[ -]?(?:threads?|t))?(?!\w)",
    _ANY_CASE,
)
_DISK = re.compile(
    rf"(?:{_PLAIN}\s+)?(?:\b(?:nvme|ssd|hdd|m\.2|sata|disk|drive|storage)s?\b\s*)+(?::?{_PLAIN})?",
    _ANY_CASE,
)
_ASIDE = re.compile(
    r"(?<!\w)(?:gddr\d\w?|nvlink|sli|\d{3,5}\s*mhz|@?\s*\d(?:\.\d+)?\s*ghz|cl\d\d|registered|r?dimms?|so-?dimms?|ecc|\d{3,4}w"
    r"|\d+ watts?|psu|power supply)(?!\w)",
    _ANY_CASE,
)
_VERSION = (
    r"(?:\s+\d{1,2}(?:\.\d+){0,2}(?!\w|\s*x\b))?(?:\s+(?:pro|home|lts))?"
    r"(?:\s+(?:x86[_ ]64|amd64)(?!\w))?"
)


class Typed(Record):
    """`names` is the text without what stands in the others. `ram_gib` is None where no size is
    said to be that of RAM; other sizes stand in `names` as `16gb`. `system`: linux or windows.
    `cores` and `threads` of a processor are None where not said.
    """

    names: str
    ram_gib: float | None
    system: str | None
    cores: int | None = None
    threads: int | None = None


def typed(text: str) -> Typed:
    """What a description states beside names of processors, GPUs and products. `ram.stated_ram`
    reads the rate of its RAM and the channels before.
    """
    plain = _KIND_OF_RAM.sub(" ram ", with_plain_sizes(_RAM_WITHOUT_UNIT.sub(r"ram \1gb", text)))
    plain = _with_size_of_ram(plain)
    stated = [_gib(*filter(None, match.groups())) for match in _RAM.finditer(plain)]
    plain = re.sub(r"\bram\b", " ", _RAM.sub(" ", plain), flags=_ANY_CASE)
    plain = _ASIDE.sub(" ", _DISK.sub(_not_a_disk, plain))
    # a number of a name is followed by no `core` here
    cores = _CORES.search(_OF_A_NAME.sub(lambda match: "_" * len(match[0]), plain))
    plain = plain if cores is None else f"{plain[: cores.start()]} {plain[cores.end() :]}"
    systems, pattern = _systems()
    named = [systems[match[1].lower()] for match in pattern.finditer(plain)]
    return Typed(
        names=" ".join(_EMPTY_BRACKETS.sub(" ", pattern.sub(" ", plain)).split()),
        ram_gib=max(stated, default=None),
        system=named[-1] if named else None,
        cores=None if cores is None else _count(cores["cores"] or cores["short"]) or None,
        threads=int(cores["threads"]) if cores is not None and cores["threads"] else None,
    )


def _count(word: str) -> int:
    counts: Mapping[str, int] = shipped_table("products")["counts"]
    return counts.get(word.lower()) or int(word)


def _with_size_of_ram(plain: str) -> str:
    """The text with a comma behind `ram` where the size before it is meant, and no GPU before it
    is sold with that size: `i5-12400 32gb ram 16gb rtx 4060 ti`, but `rtx 3070 8gb ram 32gb`.
    """
    between = _RAM_BETWEEN.search(plain)
    if between is None:
        return plain
    from .gpu_names import UnknownGpuError, cards_named

    words = plain[: between.start()].replace(",", " ").split()
    for count in range(1, min(_MOST_WORDS_OF_A_GPU, len(words)) + 1):
        name = " ".join(words[-count:])
        try:
            cards_named(f"{name} {between[1]}GB", listed_only=True, explains=False)
        except UnknownGpuError:
            continue
        return plain
    at = between.start("behind")
    return f"{plain[:at].rstrip()}, {plain[at:]}"


@lru_cache(1)
def _systems() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """Systems by the words for them, and what finds one with its version."""
    systems = shipped_table("products")["systems"]
    pattern = rf"(?<!\w)({'|'.join(systems)}){_VERSION}(?!\w)"
    return systems, re.compile(pattern, _ANY_CASE)


def with_plain_sizes(text: str) -> str:
    """The text with `16gb` for `16 GiB`, `16 GB`, `16G` and `16384 MB`."""
    text = _SPELLED_IN_MIB.sub(lambda size: f"{int(size[1]) / 1024:g}gb", text)
    spelled = _SPELLED.sub(lambda size: f"{size[1]}{size[2].lower()}b", text)
    return _SHORT.sub(r"\1gb", spelled)


def sizes_gib(text: str) -> list[float]:
    """Every size in a text that has plain ones; a terabyte is 1024 GiB."""
    return [_gib(*size) for size in _SIZE.findall(text)]


def size_below_one(text: str) -> str | None:
    """The first size that is zero or negative, as it is typed: `-8gb`; None where none is."""
    match = _BELOW_ONE.search(text)
    return None if match is None else match[0].strip()


def sizes_alike(stated: Typed) -> list[float]:
    """The sizes of which each may be that of the RAM, where there are several and none is said to
    be it: `16gb 32gb`, but not `16gb 512gb`, of which one is a disk's. Empty for any other text.
    """
    if stated.ram_gib is not None:
        return []
    small = {size for size in sizes_gib(stated.names) if size < _LEAST_DISK_OF_TWO_GIB}
    return sorted(small) if len(small) > 1 else []


def without_sizes(text: str) -> str:
    return " ".join(_SIZE.sub(" ", text).split())


def ram_words(gib: float) -> str:
    """`16 GB of RAM`, as it is sold; `15.5 GiB of RAM`, which a system tells that kept some."""
    return f"{gib:,g} {'GB' if gib == int(gib) else 'GiB'} of RAM"


def memory_gib(stated: Typed, *, is_server: bool) -> float | None:
    """The RAM: what is said to be it, else the largest size that no disk of a computer has, or of
    a server any. None where none is stated.
    """
    if stated.ram_gib is not None:
        return stated.ram_gib
    sizes = sizes_gib(stated.names)
    small = [size for size in sizes if size < _LEAST_DISK_OF_TWO_GIB]
    large = [size for size in sizes if is_server or size < _GIB_OF_TB]
    return max(small) if small else min(large, default=None)


def tells_ram(text: str) -> bool:
    """Whether it states a size that may be that of RAM."""
    return memory_gib(typed(text), is_server=True) is not None


def _gib(number: str, unit: str) -> float:
    return float(number) * (_GIB_OF_TB if unit.lower() == "t" else 1.0)


def _not_a_disk(match: re.Match[str]) -> str:
    """The sizes around the words for a disk, but for the larger, which is the disk's."""
    before, after = ((match[at], match[at + 1]) if match[at] is not None else None for at in (1, 3))
    sizes = [size for size in (before, after) if size is not None]
    largest = max(sizes, key=lambda size: _gib(*size), default=None)
    if largest is not None and _gib(*largest) >= _LEAST_DISK_GIB:
        sizes.remove(largest)
    return " ".join(["", *(f"{number}{unit}b" for number, unit in sizes), ""])
