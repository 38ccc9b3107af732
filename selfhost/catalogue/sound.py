"""How long a minute of sound takes, of models whose layers no rule describes."""

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
