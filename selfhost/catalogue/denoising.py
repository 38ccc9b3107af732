"""How a picture or a clip of video is made, counted in operations."""

from __future__ import annotations

from ..core.records import Record, read_by
from ..core.tomlfile import Table


class Denoising(Record):
    """How a model makes one picture, or one clip of video, of its own size. `steps` as its
    publisher or its pipeline sets them; `passes` through the denoiser a step, 2 with
    classifier-free guidance; operations (multiplications and additions) of one pass, and of
    decoding the picture or clip. `blocks` of the denoiser, residual ones and those of transformers,
    which Python launches one after the other; None where they are not counted.
    `decodes_in_32_bits`: its pipeline turns a decoder in float16 into one in float32. `frames`,
    and `height` and `width` in pixels, of a clip; None of a picture.
    """

    steps: int = read_by(Table.integer, required=True, minimum=1)
    passes: int = read_by(Table.integer, required=True, minimum=1)
    step_operations: int = read_by(Table.integer, required=True, minimum=1)
    decode_operations: int = read_by(Table.integer, required=True, minimum=1)
    blocks: int | None = read_by(Table.integer, minimum=1, default=None)
    decodes_in_32_bits: bool = read_by(Table.boolean, default=False)
    frames: int | None = read_by(Table.integer, minimum=1, default=None)
    height: int | None = read_by(Table.integer, minimum=1, default=None)
    width: int | None = read_by(Table.integer, minimum=1, default=None)
