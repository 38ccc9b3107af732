"""The figures of `specs/common/pace.toml` for work that is not counted in generated tokens:
documents, pictures, clips, training, speech and music. A check of a text model loads none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ...core.records import Stated, read_by
from .ranges import Amount, Range, Seconds
from .tables import PaceFile, numbers, numbers_by_name, table


class WorkFigures(Stated):
    """Factors of work that is not counted in generated tokens."""

    in_pytorch: Range = numbers(Range)
    in_bfloat16: Mapping[str, Range] = numbers_by_name(Range)
    rows: Range = numbers(Range)
    blocks: Range = numbers(Range)
    longer: Mapping[str, Amount] = numbers_by_name(Amount)
    step_on_card: Amount = numbers(Amount)
    step_on_cores: Amount = numbers(Amount)


class DocumentFigures(Stated):
    """Of documents that are turned into vectors."""

    prompt: Range = numbers(Range)
    picture: Range = numbers(Range)
    met: Amount = numbers(Amount)
    least_parameters: int = read_by()
    batch: int = read_by()


class PictureFigures(Stated):
    """Of pictures and clips; `moved_gb_seconds` by how parts move to the GPU."""

    block_seconds: Seconds = numbers(Seconds)
    fewest_blocks: int = read_by()
    decoder: Range = numbers(Range)
    beside: Seconds = numbers(Seconds)
    moved_gb_seconds: Mapping[str, Seconds] = numbers_by_name(Seconds, name="moved_gb")


class TrainingFigures(Stated):
    """Of training."""

    unpacking: Range = numbers(Range)
    unpacked_bytes: float = read_by()
    adapted_layer: Amount = numbers(Amount)


class SharesByBits(Stated):
    """What an encoder reaches in 8 bits and in 32."""

    bits_8: Range = numbers(Range)
    bits_32: Range = numbers(Range)


class SoundFigures(Stated):
    """Of speech and music."""

    wide: SharesByBits = read_by(kind=SharesByBits)
    narrow: SharesByBits = read_by(kind=SharesByBits)
    tokens: Amount = numbers(Amount)
    windows: Amount = numbers(Amount)
    beams: Amount = numbers(Amount)
    beams_on_cores: Amount = numbers(Amount)
    beams_by_rows: Amount = numbers(Amount)
    beside: Seconds = numbers(Seconds)
    beside_gpu: Seconds = numbers(Seconds)
    voice_layer: Seconds = numbers(Seconds)


class WorkTables(PaceFile):
    """The tables that the pace of other work rests on."""

    work = table("work", WorkFigures)
    documents = table("documents", DocumentFigures)
    pictures = table("pictures", PictureFigures)
    training = table("training", TrainingFigures)
    sound = table("sound", SoundFigures)


@cache
def work_tables() -> WorkTables:
    """The tables. Raises `SpecError` where the file is missing."""
    return WorkTables()
