"""Parts of NVIDIA's cards by name: vGPUs by those of their profiles, `GRID T4-8Q`, and what people
type for them and for instances of MIG, `A100 MIG 3g.20gb`. `vgpu` and `mig_memory` in
`specs/common/gpus.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..core import units
from ..core.records import Record, pattern
from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .gpus import Card


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
_PROFILE_ENDS = ("A", "B", "C", "Q")


@lru_cache(maxsize=1024)
def virtual_gpu(name: str) -> VirtualGpu | None:
    """The vGPU whose profile has that name; None for another GPU, and for a board that is not
    listed.
    """
    # most names end otherwise, and the pattern is compiled when it is asked
    match = _PROFILE.fullmatch(name) if name.endswith(_PROFILE_ENDS) else None
    if match is None:
        return None
    board = "".join(filter(str.isalnum, match[1].lower()))
    table = shipped_table("gpus")
    for row in table["vgpu"]:
        if row["board"] == board and 0 < int(match[3]) <= row["memory_gib"]:
            return VirtualGpu(
                card=row["name"],
                share=int(match[3]) / row["memory_gib"],
                slices=int(match[2]) if match[2] else None,
                draws_only=match[4] in table["vgpu_drawing"],
            )
    return None


def card_of(name: str) -> str:
    """The name of the card that a vGPU is part of; any other name as it is."""
    virtual = virtual_gpu(name)
    return name if virtual is None else virtual.card


# ------------------------------------------------------------------ as people type them


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
# of its part of the card's memory an instance has at least so much: `mig_memory` in gpus.toml
_LEFT_OF_MEMORY = 0.95


class Instance(Record):
    """An instance of MIG as it was typed: its name, as drivers write it, how many slices of the
    multiprocessors it has, and the GB in its name.
    """

    name: str
    slices: int
    gb: int


class TypedVgpu(Record):
    """A vGPU's profile as it was typed: the board, and the name that its driver has for both."""

    board: str
    name: str


def instance_typed(text: str) -> tuple[Instance | None, str]:
    """The instance of MIG in a text, None where it has none, and the text without it."""
    match = _INSTANCE.search(text)
    if match is None:
        return None, text
    gb, slices = int(match["gb"]), int(match["slices"])
    name = f"{(match['computes'] or '').lower()}{slices}g.{gb}gb"
    return Instance(name=name, slices=slices, gb=gb), _INSTANCE.sub(" ", text, count=1)


def vgpu_typed(text: str) -> TypedVgpu | None:
    """The vGPU that a text is the name of, whether its board is listed or not; else None."""
    match = _VGPU.fullmatch(" ".join(text.split()))
    if match is None:
        return None
    return TypedVgpu(
        board=match["board"], name=f"NVIDIA {match['board'].upper()}{match['profile'].upper()}"
    )


def is_vgpu(word: str) -> bool:
    """Whether a word is the name of a listed vGPU, whose hyphens tell it: `a40-48q`."""
    typed = vgpu_typed(word)
    return typed is not None and virtual_gpu(typed.name) is not None


def card_of_board(board: str) -> tuple[str, int] | None:
    """The card that profiles of a board are parts of, and its GiB; None where none is listed."""
    plain = "".join(filter(str.isalnum, board.lower()))
    for row in shipped_table("gpus")["vgpu"]:
        if row["board"] == plain:
            return row["name"], row["memory_gib"]
    return None


def part_of_memory(instance: Instance, card: Card, memory_gib: float) -> float | None:
    """Which part of that card's memory, and of the channels to it, the instance has; None where the
    card has no such instance. Source: `mig_memory` in gpus.toml.
    """
    if card.mig_slices is None:
        return None
    for nth in _parts(card.mig_slices).get(str(instance.slices), ()):
        if abs(memory_gib / nth - instance.gb) <= _ROUNDED_GB:
            return 1 / nth
    return None


def memory_bytes(part: float, whole_gib: float) -> int:
    """What such a part of a card's memory is at least."""
    return round(part * whole_gib * _LEFT_OF_MEMORY * units.GIB)


@lru_cache(8)
def _parts(slices: int) -> Mapping[str, tuple[int, ...]]:
    return next(
        (row["parts"] for row in shipped_table("gpus")["mig_memory"] if row["slices"] == slices), {}
    )
