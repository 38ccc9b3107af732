"""The RAM and the numbers that a description states."""

from __future__ import annotations

import re

from . import cpus, gpus
from .description import Description
from .profiles import refusal
from .roles import roles, words
from .words import BREAK, MODULES, NUMBERED, SIZE, is_kind_of_ram, is_ram

_GIB_OF_TB = 1024.0
# of sizes that nothing tells apart such a one is a disk's
_LEAST_DISK_GIB = 240.0
_LEAST_NAMED_DISK_GIB = 64.0
# say nothing between a size and what has it
_SILENT = ("of", "system", "dual", "fast")
_RATE = re.compile(r"\d+mts", re.ASCII)
_ANY_GPU = frozenset(("gpu", "gpus", "dgpu", "vram", "graphics", "vga"))


def take_memory(about: Description) -> None:
    """Take the RAM: what is said to be it, else the one size that no disk has. Raises
    `NotOneMachineError` where two sizes may each be it.
    """
    _join_sizes(about)
    sizes = _sizes(about)
    for token in about.tokens:
        if is_ram(token.text) or token.text in words()["disk"]:
            token.by = token.by or "ram"
    about.vram_gib = max(sizes["vram"], default=None)
    plain = sizes["plain"]
    small = sorted({size for size in plain if size < _LEAST_DISK_GIB})
    if sizes["ram"]:
        about.ram_gib = max(sizes["ram"])
    elif about.chip is not None and plain:
        about.ram_gib = min(plain)
    elif len(small) > 1:
        listed = " and ".join(f"{size:g} GB" for size in small)
        raise refusal("two_sizes", about.text, sizes=listed, largest=small[-1])
    elif plain:
        about.ram_gib = small[0] if small else min(plain)
        _refuse_strange_size(about, about.ram_gib)


def _refuse_strange_size(about: Description, gib: float) -> None:
    """Raises `NotOneMachineError` for a size beside a GPU that no modules of RAM make: it may be
    that of a card that somebody changed.
    """
    is_of_modules = gib % 4 == 0 or gib in (1, 2, 3, 6) or gib != int(gib)
    is_guest = about.scope != "host" or about.product.get("guest")
    if about.cards and not is_of_modules and not is_guest:
        raise refusal("strange_size", about.text, gib=gib)


def _join_sizes(about: Description) -> None:
    """Make one size of two modules, `16gb + 8gb`; of sizes far apart the other is a disk's."""
    for at in range(len(about.tokens) - 2):
        first, second = about.free_gib(at), about.free_gib(at + 2)
        if first and second and about.free(at + 1) == "plus":
            is_alike = max(first, second) <= 2 * min(first, second)
            about.tokens[at].text = f"{first + second if is_alike else first:g}gb"
            about.take(at + 1, at + 3, "ram")
            if first == second:
                about.numbers["sticks"] = 2


def _sizes(about: Description) -> dict[str, list[float]]:
    """The sizes in GiB by what they are of: ram, vram, disk, or plain where no word tells."""
    sizes: dict[str, list[float]] = {"ram": [], "vram": [], "disk": [], "plain": []}
    for at, token in enumerate(about.tokens):
        if token.by:
            continue
        if is_kind_of_ram(token.text):
            about.ram_kind, token.by = token.text, "ram"
        elif modules := MODULES.fullmatch(token.text):
            token.by = "ram"
            about.numbers["sticks"] = int(modules[1])
            sizes["ram"].append(float(int(modules[1]) * int(modules[2])))
        elif size := SIZE.fullmatch(token.text):
            token.by = _kind_of_size(about, at)
            sizes[token.by].append(float(size[1]) * (_GIB_OF_TB if size[2] == "tb" else 1))
    return sizes


def _kind_of_size(about: Description, at: int) -> str:
    """ram, vram, disk or plain, by the words beside a size."""
    around = _words_of_sizes(about)
    before, behind, second = _words_beside(around, at)
    disks, is_tb = words()["disk"], around[at].endswith("tb")
    if _is_of_gpu(around, at, before, behind):
        return "vram"
    if is_ram(behind) or _RATE.fullmatch(behind):
        return "ram"
    if behind in disks:
        return "disk"
    if before in disks:
        return "disk" if is_tb or float(around[at][:-2]) >= _LEAST_NAMED_DISK_GIB else "plain"
    if (is_ram(before) and not is_tb) or (behind in roles().idle and is_ram(second)):
        return "ram"
    return "disk" if is_tb and not cpus.is_server(about.processor or "") else "plain"


def _words_of_sizes(about: Description) -> list[str]:
    """The words that nothing but a size has taken."""
    kinds = ("", "ram", "vram", "plain", "disk")
    return [token.text if token.by in kinds else "" for token in about.tokens]


def _words_beside(around: list[str], at: int) -> tuple[str, str, str]:
    """The word before a size and the two behind it, up to a comma; empty where there is none."""
    behind = [word for word in [*around[at + 1 : at + 5], BREAK] if word not in _SILENT]
    behind = [*behind[: behind.index(BREAK)], "", ""]
    before = [word for word in around[max(0, at - 2) : at] if word not in ("of", "with")]
    return ["", *before][-1], behind[0], behind[1]


def _is_of_gpu(around: list[str], at: int, before: str, behind: str) -> bool:
    """Whether the words beside a size say that a GPU has it: `gpu 16gb, 32gb`, but not the second
    of `16gb vram 32gb`.
    """
    if behind == "vram" or (behind in ("gpu", "graphics", "card") and before != "ram"):
        return True
    if is_ram(behind) or SIZE.fullmatch(around[max(0, at - 2)]):
        return False
    others = [*around[:at], *around[at + 1 :]]
    return before == "vram" or (before in ("gpu", "dgpu") and any(map(SIZE.fullmatch, others)))


def take_numbers(about: Description) -> None:
    """Take cores, threads, channels and the rate of the RAM."""
    for token in about.tokens:
        match = NUMBERED.fullmatch(token.text)
        if token.by or match is None:
            continue
        token.by = match[2]
        about.numbers["cores" if match[2] == "cpus" else match[2]] = int(match[1])
        if match[2] == "vcpus" and about.scope == "host":
            about.scope = "vm"


def take_unnamed_gpu(about: Description) -> None:
    """Take a GPU of which its memory and perhaps its maker are told, `8gb vram`, `amd gpu 16gb`."""
    says_gpu = _take_words_for_gpus(about)
    if about.cards or about.has_no_gpu or about.chip is not None or "shared" in about.product:
        about.vram_gib = None
        return
    if about.vram_gib is not None:
        return
    tells_ram = any(is_ram(token.text) for token in about.tokens)
    is_size_alone = about.processor is None and not about.product and not tells_ram
    if says_gpu and is_size_alone and about.ram_gib is not None:
        about.vram_gib, about.ram_gib = about.ram_gib, None
    elif says_gpu or about.gpu_maker == "nvidia":
        raise refusal("unnamed_gpu", about.text)


def _take_words_for_gpus(about: Description) -> bool:
    """Take makers of GPUs and words for any; true where one of these says that there is one."""
    says_gpu = False
    for token in about.tokens:
        if token.by:
            continue
        if token.text in _ANY_GPU:
            says_gpu |= token.text in ("gpu", "vram", "dgpu")
            token.by = "gpu"
        elif token.text.isalpha() and (maker := gpus.maker_of(frozenset((token.text,)))):
            about.gpu_maker = about.gpu_maker or maker
            token.by = "" if token.text == "intel" else "gpu"
    return says_gpu
