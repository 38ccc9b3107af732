"""The figures of `specs/common/pace.toml` for work that is not counted in generated tokens:
documents, pictures, clips, training, speech and music. A check of a text model loads none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property

from ...core.records import Stated, read_by
from .ranges import Amount, Range, Seconds
from .tables import (
    PaceFile,
    amount_by,
    range_by,
    read_numbers_by_name,
    seconds_by,
)


class WorkFigures(Stated):
    """Factors of work that is not counted in generated tokens."""

    in_pytorch: Range = range_by()
    in_bfloat16: Mapping[str, Range] = read_by(read_numbers_by_name, kind=Range)
    rows: Range = range_by()
    blocks: Range = range_by()
    longer: Mapping[str, Amount] = read_by(read_numbers_by_name, kind=Amount)
    step_on_card: Amount = amount_by()
    step_on_cores: Amount = amount_by()


class DocumentFigures(Stated):
    """Of documents that are turned into vectors."""

    prompt: Range = range_by()
    picture: Range = range_by()
    met: Amount = amount_by()
    least_parameters: int = read_by()
    batch: int = read_by()


class PictureFigures(Stated):
    """Of pictures and clips; `moved_gb_seconds` by how parts move to the GPU."""

    block_seconds: Seconds = seconds_by()
    fewest_blocks: int = read_by()
    decoder: Range = range_by()
    beside: Seconds = seconds_by()
    moved_gb_seconds: Mapping[str, Seconds] = read_by(
        read_numbers_by_name, kind=Seconds, name="moved_gb"
    )


class TrainingFigures(Stated):
    """Of training."""

    unpacking: Range = range_by()
    unpacked_bytes: float = read_by()
    adapted_layer: Amount = amount_by()


class SharesByBits(Stated):
    """What an encoder reaches in 8 bits and in 32."""

    bits_8: Range = range_by()
    bits_32: Range = range_by()


class SoundFigures(Stated):
    """Of speech and music."""

    wide: SharesByBits = read_by(kind=SharesByBits)
    narrow: SharesByBits = read_by(kind=SharesByBits)
    tokens: Amount = amount_by()
    windows: Amount = amount_by()
    beams: Amount = amount_by()
    beams_on_cores: Amount = amount_by()
    beams_by_rows: Amount = amount_by()
    beside: Seconds = seconds_by()
    beside_gpu: Seconds = seconds_by()
    voice_layer: Seconds = seconds_by()


class WorkTables(PaceFile):
    """The tables that the pace of other work rests on."""

    @cached_property
    def work(self) -> WorkFigures:
        return self._record("work", WorkFigures)

    @cached_property
    def documents(self) -> DocumentFigures:
        return self._record("documents", DocumentFigures)

    @cached_property
    def pictures(self) -> PictureFigures:
        return self._record("pictures", PictureFigures)

    @cached_property
    def training(self) -> TrainingFigures:
        return self._record("training", TrainingFigures)

    @cached_property
    def sound(self) -> SoundFigures:
        return self._record("sound", SoundFigures)


@cache
def work_tables() -> WorkTables:
    """The tables. Raises `SpecError` where the file is missing."""
    return WorkTables()
