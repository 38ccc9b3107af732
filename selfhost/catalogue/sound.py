"""How long a minute of sound takes, of models whose layers no rule describes."""

from __future__ import annotations

from ..core.records import Record, read_by
from ..core.tomlfile import Table


class Sound(Record):
    """What making, or writing down, a minute of sound takes.

    `tokens_per_second`: those that one second of a voice is made of, each of which reads
    `step_parameters`. The others are the least and the most seconds that runs were published with,
    on a graphics card and on a processor; None where none were found.
    """

    tokens_per_second: int | None = read_by(Table.integer, minimum=1, default=None)
    step_parameters: int | None = read_by(Table.integer, minimum=1, default=None)
    card_seconds_low: float | None = read_by(Table.number, default=None)
    card_seconds_high: float | None = read_by(Table.number, default=None)
    processor_seconds_low: float | None = read_by(Table.number, default=None)
    processor_seconds_high: float | None = read_by(Table.number, default=None)
