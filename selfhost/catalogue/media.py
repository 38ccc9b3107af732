"""What making, or writing down, sound takes, and making a picture or a clip of video: of models
whose layers no rule describes.
"""

from __future__ import annotations

from ..core.records import Record, read_by
from ..core.tomlfile import Table


class Sound(Record):
    """What making, or writing down, a minute of sound takes.

    `tokens_per_second`: steps that one second is made of; None where what is heard is written down,
    a step for each token of text. Each reads `step_parameters`, and the program launches its
    `step_layers` one by one; None: all at once. `operations_per_second`: multiplications and
    additions for a second of sound beside the steps. The others are the least and the most seconds
    that runs were published with, on a graphics card and on a processor; None where none were
    found.
    """

    tokens_per_second: float | None = read_by(Table.number, default=None)
    step_parameters: int | None = read_by(Table.integer, minimum=1, default=None)
    step_layers: int | None = read_by(Table.integer, minimum=1, default=None)
    operations_per_second: float | None = read_by(Table.number, default=None)
    card_seconds_low: float | None = read_by(Table.number, default=None)
    card_seconds_high: float | None = read_by(Table.number, default=None)
    processor_seconds_low: float | None = read_by(Table.number, default=None)
    processor_seconds_high: float | None = read_by(Table.number, default=None)


class Denoising(Record):
    """How a model makes one picture, or one clip of video, of its own size. `steps` as its
    publisher or its pipeline sets them; `passes` through the denoiser a step, 2 with
    classifier-free guidance; operations (multiplications and additions) of one pass, and of
    decoding the picture or clip. `blocks` of the denoiser, residual ones and those of transformers,
    which Python launches one after the other; None where they are not counted.
    `step_parameters`: those that each step reads, where reading may take longer than computing, as
    with a picture that is written token by token; None elsewhere.
    `decodes_in_32_bits`: its pipeline turns a decoder in float16 into one in float32. `frames`,
    and `height` and `width` in pixels, of a clip; None of a picture.
    """

    steps: int = read_by(Table.integer, required=True, minimum=1)
    passes: int = read_by(Table.integer, required=True, minimum=1)
    step_operations: int = read_by(Table.integer, required=True, minimum=1)
    decode_operations: int = read_by(Table.integer, required=True, minimum=1)
    blocks: int | None = read_by(Table.integer, minimum=1, default=None)
    step_parameters: int | None = read_by(Table.integer, minimum=1, default=None)
    decodes_in_32_bits: bool = read_by(Table.boolean, default=False)
    frames: int | None = read_by(Table.integer, minimum=1, default=None)
    height: int | None = read_by(Table.integer, minimum=1, default=None)
    width: int | None = read_by(Table.integer, minimum=1, default=None)
