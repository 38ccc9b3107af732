"""How old the catalogue and its prices are."""

from __future__ import annotations

from .layout import Blocks, line

# newer models than those of a catalogue so old are worth an update
_OLD_CATALOGUE_MONTHS = 6


def age_blocks(as_of: str | None, today: str | None) -> Blocks:
    """The line that says how old the catalogue is; none while it is young."""
    months = months_between(as_of, today)
    if months >= _OLD_CATALOGUE_MONTHS:
        age = f"The catalogue is {months} months old ({as_of}) and has no newer models"
        yield line(f"{age}: update selfhost.")


def months_between(day: str | None, today: str | None) -> int:
    """How many months lie between two days, `YYYY-MM-DD`; 0 where one is not known."""
    if not day or not today:
        return 0
    years = int(today[:4]) - int(day[:4])
    months = 12 * years + int(today[5:7]) - int(day[5:7])
    if today[8:10] < day[8:10]:
        # the last month is not over
        months -= 1
    return max(0, months)
