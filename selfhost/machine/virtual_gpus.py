"""NVIDIA's vGPUs by the names of their profiles: `vgpu` in `specs/common/gpus.toml`."""

from __future__ import annotations

from functools import lru_cache

from ..core.records import Record, pattern
from ..core.tables import shipped_table


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
