"""The words of machines by their role in `specs/common`, and the GPUs that a virtual machine
shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..core.records import Record, pattern
from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


class Roles(Record):
    """The sets of words that several steps ask for."""

    idle: frozenset[str]
    gpu_idle: frozenset[str]
    left_out: frozenset[str]
    forms: frozenset[str]
    unsaid: frozenset[str]
    cards: frozenset[str]
    computers: frozenset[str]


def words() -> Mapping[str, Any]:
    """The whole table. Raises `SpecError` where the installation lacks it."""
    return shipped_table("words")


@lru_cache(1)
def roles() -> Roles:
    """The words of each role."""
    table = words()
    values: dict[str, Any] = {role: frozenset(table[role]) for role in Roles._fields}
    return Roles(**values)


class VirtualGpu(Record):
    """What a virtual machine gets of an NVIDIA card, by the name of its vGPU profile.

    `card` is the whole name of that card, `share` the part of its memory. `takes_turns`: other
    virtual machines may compute on the card in between; an instance of MIG has processors of its
    own, `slices` of them. `draws_only`: its profile runs no CUDA.
    """

    card: str
    share: float
    slices: int | None
    draws_only: bool

    @property
    def takes_turns(self) -> bool:
        return self.slices is None and self.share < 1


class Instance(Record):
    """An instance of MIG as it was typed: its name, as drivers write it, how many slices of the
    multiprocessors it has, and the GB in its name.
    """

    name: str
    slices: int
    gb: int


# `GRID A100D-80C`, `NVIDIA A10-8Q`, `GRID A100-3-20C`; labels have hyphens for the spaces
_PROFILE = pattern(r"(?:NVIDIA|GRID)[ -](.+?)[ -](?:(\d)[ -])?(\d{1,3})([ABCQ])")
# `1c.` is the part of an instance that one program computes on; `+me` adds engines for media
_INSTANCE = pattern(
    r"(?ai)(?<![\w.])(?:mig[\s-]*)?(?P<computes>\dc\.)?(?P<slices>\d)g\.(?P<gb>\d{1,3})gb"
    r"(?:[+-](?:me|gfx)(?:\.all)?)*(?!\w)"
)
# makers' words before a board that no profile has
_VGPU = pattern(
    r"(?ai)(?:(?:nvidia|grid|tesla|quadro|vgpu)[\s-]+)*(?P<board>\S.*?)"
    r"(?P<profile>-(?:\d-)?\d{1,3}[abcq])"
)
# names are rounded: an eighth of the 79.65 GiB of an H100 is `10gb`, of the 140.4 of an H200 `18gb`
_ROUNDED_GB = 0.75


@lru_cache(maxsize=1024)
def virtual_gpu(name: str) -> VirtualGpu | None:
    """The vGPU whose profile has that name; None for another GPU, and for a board that is not
    listed.
    """
    # most names end otherwise, and the pattern is compiled when it is asked
    match = _PROFILE.fullmatch(name) if name.endswith(("A", "B", "C", "Q")) else None
    row = None if match is None else board_called(match[1])
    if match is None or row is None or not 0 < int(match[3]) <= row["memory_gib"]:
        return None
    return VirtualGpu(
        card=row["name"],
        share=int(match[3]) / row["memory_gib"],
        slices=int(match[2]) if match[2] else None,
        draws_only=match[4] in shipped_table("gpus")["vgpu_drawing"],
    )


def card_of(name: str) -> str:
    """The name of the card that a vGPU is part of; any other name as it is."""
    virtual = virtual_gpu(name)
    return name if virtual is None else virtual.card


def board_called(name: str) -> Mapping[str, Any] | None:
    """The row of a board in names of vGPUs: its card and that one's GiB; None for an unlisted
    one.
    """
    plain = "".join(filter(str.isalnum, name.lower()))
    return next((row for row in shipped_table("gpus")["vgpu"] if row["board"] == plain), None)


def instance_typed(text: str) -> tuple[Instance | None, str]:
    """The instance of MIG in a text, None where it has none, and the text without it."""
    match = _INSTANCE.search(text)
    if match is None:
        return None, text
    gb, slices = int(match["gb"]), int(match["slices"])
    name = f"{(match['computes'] or '').lower()}{slices}g.{gb}gb"
    return Instance(name=name, slices=slices, gb=gb), _INSTANCE.sub(" ", text, count=1)


def vgpu_typed(text: str) -> tuple[str, str] | None:
    """The board and the driver's name of the vGPU that a text is the name of, whether its board is
    listed or not; None for other texts.
    """
    match = _VGPU.fullmatch(" ".join(text.split()))
    if match is None:
        return None
    return match["board"], f"NVIDIA {match['board'].upper()}{match['profile'].upper()}"


def is_vgpu(word: str) -> bool:
    """Whether a word is the name of a listed vGPU, whose hyphens tell it: `a40-48q`."""
    typed = vgpu_typed(word)
    return typed is not None and virtual_gpu(typed[1]) is not None


def part_of_memory(instance: Instance, mig_slices: int | None, memory_gib: float) -> float | None:
    """Which part of the memory of a card that MIG divides in so many slices, and of the channels to
    it, the instance has; None where the card has no such instance.
    """
    for row in shipped_table("gpus")["mig_memory"]:
        if row["slices"] == mig_slices:
            for nth in row["parts"].get(str(instance.slices), ()):
                if abs(memory_gib / nth - instance.gb) <= _ROUNDED_GB:
                    return 1 / float(nth)
    return None
