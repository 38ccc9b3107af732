"""How able models are at a use, by what others measured.

What goes in: `specs/common/abilities.toml`, which `tools/measured.py` fits to the scores of
`scores.jsonl`. What comes out: the `Ability` of a model for chat or code, or None for one that
nobody measured; what may be expected of one by its size and age; and whether two abilities can be
told apart. The scores themselves are in `catalogue/scores.py`.

An ability is a number without a unit, which only means something beside another of the same use:
about 1 is the standard deviation of all measured models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from math import hypot, log

from ..core.records import DATE, Record, Stated, read_by
from ..core.tables import shipped_record

# what abilities are fitted for; of agents too little is measured
CHAT = "chat"
CODE = "code"
_NUMBER = read_by(minimum=-1e6, maximum=1e6)
_MONTHS_IN_YEAR = 12


class Ability(Record):
    """How able one model is.

    - `ability`: higher is better; `error`: its standard error.
    - `boards`, `sources`: how many boards, of how many sources, measured it; 0 for an estimate.
    - `newest`: the day of the newest score; None for an estimate.
    """

    ability: float = _NUMBER
    error: float = read_by()
    boards: int = read_by(default=0)
    sources: int = read_by(default=0)
    newest: str | None = read_by(form=DATE, default=None)

    @property
    def is_measured(self) -> bool:
        """Whether anybody measured the model; otherwise its size and age alone speak."""
        return self.boards > 0


class Abilities(Stated):
    """The abilities of one use, and the line through size and date that they were fitted with.

    - `base`, `per_size`, `per_year`: the ability that size and date tell is `base` + `per_size` ×
      ln(parameters) + `per_year` × the years since 2000. Of a mixture, `total_weight` of the
      logarithm is that of all parameters, the rest that of the active ones.
    - `spread`: the standard deviation of abilities about that line.
    - `apart_errors`: by how many joint standard errors two abilities must differ: from there on 9
      of 10 pairs came out so on sources that were left out of the fit.
    - `models`: the abilities of those that were measured, by id.
    """

    base: float = _NUMBER
    per_size: float
    per_year: float
    total_weight: float
    spread: float
    apart_errors: float
    models: Mapping[str, Ability]

    def of(self, id: str) -> Ability | None:
        """The ability of the model with that id; None where nobody measured it."""
        return self.models.get(id)

    def expected(
        self,
        parameters_total: int | None,
        parameters_active: int | None,
        released: str | None,
    ) -> Ability | None:
        """What may be expected of a model that nobody measured; None where its size or day of
        release is not known.
        """
        if not parameters_total or not released:
            return None
        active = parameters_active or parameters_total
        of_size = self.per_size * self._size(parameters_total, active)
        of_date = self.per_year * years(released)
        ability = self.base + of_size + of_date
        return Ability(ability=ability, error=self.spread)

    def _size(self, total: int, active: int) -> float:
        """The logarithm of the parameters of a dense model as able as this mixture."""
        weight = self.total_weight
        of_all = weight * log(total)
        of_active = (1 - weight) * log(active)
        return of_all + of_active

    @property
    def halving_months(self) -> float:
        """The months in which a size halves: a model of that size then is expected to be as able as
        one of half its size now.
        """
        gained_by_double = log(2) * self.per_size
        years_of_half = gained_by_double / self.per_year
        return _MONTHS_IN_YEAR * years_of_half

    def apart(self, first: Ability, second: Ability) -> bool:
        """Whether one of two models is better for all that is known. Where not, they are about
        alike.
        """
        joint_error = hypot(first.error, second.error)
        difference = abs(first.ability - second.ability)
        return difference > self.apart_errors * joint_error

    def alike(self, id: str, others: Iterable[str]) -> tuple[str, ...]:
        """Those of `others`, without the model itself, that were measured and are not told apart
        from it, the nearest first.
        """
        own = self.of(id)
        if own is None:
            return ()
        near = []
        for other in self.models.keys() & others:
            measured = self.models[other]
            if other == id or self.apart(own, measured):
                continue
            distance = abs(own.ability - measured.ability)
            near.append((distance, other))
        near.sort()
        return tuple(other for _, other in near)


class AbilitiesTable(Stated):
    """`specs/common/abilities.toml`. `as_of`: the day of the newest score in the fit."""

    schema: int
    as_of: str
    use: Mapping[str, Abilities]


@cache
def abilities_table() -> AbilitiesTable:
    """The table, read once."""
    return shipped_record(AbilitiesTable, "abilities")


def abilities(use: str) -> Abilities | None:
    """The abilities for a use; None for a use of which too little is measured."""
    return abilities_table().use.get(use)


def years(day: str) -> float:
    """The years from 2000 to the middle of the month of a day, `YYYY-MM-DD`; of a year alone to its
    middle.
    """
    year, _, month_and_day = day.partition("-")
    months = 6.0
    if month_and_day:
        months = int(month_and_day[:2]) - 0.5
    return int(year) - 2000 + months / _MONTHS_IN_YEAR
