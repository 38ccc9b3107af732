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


# `GRID A100D-80C`, `NVIDIA A10-8Q`, `GRID A100-3-20C`; labels have hyphens for the spaces
_PROFILE = pattern(r"(?:NVIDIA|GRID)[ -](.+?)[ -](?:(\d)[ -])?(\d{1,3})([ABCQ])")
# makers' words before a board that no profile has
_VGPU = pattern(
    r"(?ai)(?:(?:nvidia|grid|tesla|quadro|vgpu)[\s-]+)*(?P<board>\S.*?)"
    r"(?P<profile>-(?:\d-)?\d{1,3}[abcq])"
)


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
