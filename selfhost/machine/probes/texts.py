"""The texts of a system as values: numbers, lists of CPUs, sizes, mounts, and the processor in
/proc/cpuinfo. Nothing here touches the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.records import Record, shortened
from .firmware import firmware_names

# version 1 states "no limit" as a value at or above this: 2**63 rounded down to a page, whatever
# the page size
NO_LIMIT = 2**60
# the most characters of a name; recorded machines have up to 50
_MOST_LETTERS = 200
# keys of /proc/cpuinfo that name the processor, the best one first
_NAMES = ("model name", "cpu model", "cpu", "uarch", "Processor", "Hardware")
# keys of /proc/cpuinfo that list the instruction sets
_SETS = ("flags", "Features")
# the distinct values of each key, in the order of the text
Values = Mapping[str, Sequence[str]]
_SOME_CPUS = "[0-9]{1,5}(?:-[0-9]{1,5})?"
_CPUS = rf"{_SOME_CPUS}(?:,{_SOME_CPUS})*\n"
# matches a whole line only: a last line without its end was cut off
_SIZE = r"(?m)^([^\s:]+):?[ \t]+([0-9]{1,20})( kB)?[ \t\r]*$"
# three numbers, the mounted part, the mount point and its flags; any number of further words; then
# the file system, its source and its options (proc_pid_mountinfo(5))
_WORD = r"[^ \n]*"
_MOUNT = (
    rf"(?m)^{_WORD} {_WORD} {_WORD} ({_WORD}) ({_WORD}) ({_WORD})(?: {_WORD})*?"
    rf" - ([^ \n]+)(?: {_WORD}(?: ({_WORD}))?)?"
)


def parse_name(text: str | None, unnamed: str = "") -> str:
    """Return the name of a computer or of a part of it, on one line and shortened to 200
    characters; `unnamed` where the text is empty.
    """
    if not text:
        return unnamed
    return shortened(text, _MOST_LETTERS)


def parse_digits(word: str, digits: int = 20) -> int | None:
    """Return a whole number of at most `digits` plain digits; None for any other word."""
    if re.fullmatch(f"[0-9]{{1,{digits}}}", word):
        return int(word)
    return None


def parse_limit(text: str) -> int | None:
    """Return the number of a line, which must end in a newline; `NO_LIMIT` for `max` and -1, and
    None for anything else.
    """
    if not text.endswith("\n"):
        return None
    word = text.rstrip()
    if word in ("max", "-1"):
        return NO_LIMIT
    return parse_digits(word)


def parse_cpus(text: str) -> frozenset[int]:
    """Return the numbers of a list of CPUs such as `0-3,8`; empty for any other text, and for a
    line that was cut off.
    """
    if not re.fullmatch(_CPUS, text):
        return frozenset()
    numbers: set[int] = set()
    for first, last in re.findall("([0-9]+)-?([0-9]*)", text):
        end = int(last or first) + 1
        numbers.update(range(int(first), end))
    return frozenset(numbers)


def parse_sizes(text: str) -> dict[str, int]:
    """Return the numbers in the lines of /proc/meminfo or memory.stat by their names, in bytes."""
    sizes = {}
    for name, number, unit in re.findall(_SIZE, text):
        sizes[name] = int(number)
        if unit:
            sizes[name] *= 1024
    return sizes


class Mount(Record):
    """A mounted file system. `root` is the part of the file system that is mounted, `options` are
    its own.
    """

    point: str
    filesystem: str
    root: str = "/"
    options: str = ""
    read_only: bool = False


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Return the mounts in the lines of /proc/self/mountinfo, in mount order. Lines of another
    shape are left out.
    """
    mounts = []
    for root, point, flags, filesystem, options in re.findall(_MOUNT, text):
        mount = Mount(
            point=_without_octal(point),
            filesystem=filesystem,
            root=_without_octal(root),
            options=options,
            read_only="ro" in flags.split(","),
        )
        mounts.append(mount)
    return tuple(mounts)


def _without_octal(path: str) -> str:
    """A path whose spaces and the like the kernel wrote as octal numbers, such as `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)


class CpuInfo(Record):
    """The facts that /proc/cpuinfo states about a processor."""

    # empty if the text names no processor
    name: str
    # the sets that every CPU has, sorted; None where the text lists none (RISC-V)
    instruction_sets: tuple[str, ...] | None


def parse_cpuinfo(text: str) -> CpuInfo:
    """Return the processor's name and instruction sets in the text of /proc/cpuinfo."""
    values = _values_by_key(text)
    name = _arm_name(values) or _stated_name(values)
    return CpuInfo(
        name=parse_name(name),
        instruction_sets=_common_sets(values),
    )


def _stated_name(values: Values) -> str:
    """The first name under the best key that is there; empty where no key names the processor."""
    for key in _NAMES:
        if key in values:
            return values[key][0]
    return ""


def _values_by_key(text: str) -> Values:
    """The values of each key, without repeats, because most lines of 1,024 CPUs are alike."""
    values: dict[str, list[str]] = {}
    for line in dict.fromkeys(text.splitlines()):
        key, _, value = line.partition(":")
        value = value.strip()
        if value:
            values.setdefault(key.strip(), []).append(value)
    return values


def _arm_name(values: Values) -> str:
    """The names of the processor's parts, whose numbers an Arm kernel gives, and of the board; may
    be empty.
    """
    makers = firmware_names().arm_parts
    names: dict[str, None] = {}
    for maker in values.get("CPU implementer", ()):
        # by the numbers of the maker and the part
        parts = makers.get(maker.lower(), {})
        for number in values.get("CPU part", ()):
            name = parts.get(number.lower())
            if name is not None:
                names[name] = None
    if not names:
        return ""
    text = " + ".join(names)
    for board in values.get("Model", ()):
        text += f" ({board})"
    return text


def _common_sets(values: Values) -> tuple[str, ...] | None:
    """The sorted instruction sets that all lists have in common; None where there is no list."""
    for key in _SETS:
        lists = [line.lower().split() for line in values.get(key, ())]
        if lists:
            common = set(lists[0]).intersection(*lists)
            return tuple(sorted(common))
    return None
