"""Fits abilities to scores: `specs/common/abilities.toml`.

Each board is a straight line: value = intercept + slope × ability + noise, where the value is the
logit of a percentage, or Elo in the same unit. What a model's ability may be before anybody measured
it follows from its size and date (`Trend`), which is fitted first, within each board: that way boards
of different years need no models in common. Then the abilities of models, and the lines and the noise
of boards, are estimated in turn until neither changes. Each model is drawn towards the trend, the
more so the less it was measured.

What counts (`points`): scores by others than the maker, on boards with at least five models, of each
model and board the best setting. The scores of one model from one source weigh together as the root
of their number, and one whose questions were public before the model weighs half.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import fsum, hypot, log, sqrt
from statistics import fmean, pstdev
from typing import NamedTuple

from selfhost.catalogue.abilities import CHAT, CODE, years
from selfhost.catalogue.index import Outline
from selfhost.catalogue.scores import ELO, Score

USES = (CHAT, CODE)
# a board of fewer models says little of any
LEAST_MODELS = 5
# so many points of Elo are one logit: 400 / ln 10
_ELO_OF_LOGIT = 400 / log(10)
# a share of 0 or 1 would have no logit
_LEAST_SHARE = 0.01
# what a score weighs whose questions were public before the model: a guess (0 to 1)
_PUBLIC_WEIGHT = 0.5
# of a mixture, what all its parameters weigh beside the active ones, as `total_weight` of ranking.toml
TOTAL_WEIGHT = 0.7
# the standard deviation of abilities about the trend, where that of all is 1: chosen among 0.3, 0.4 and
# 0.6 on sources left out of the fit, which come out right in 88.2, 87.9 and 87.4 % of pairs for chat, and
# in 79.4, 79.5 and 78.9 % for code; the least of these would let measured models differ hardly at all
SPREAD = 0.4
# by how many joint standard errors two abilities must differ to be told apart: of pairs that differ by
# as many or more, 9 of 10 came out so on sources left out of the fit, in each band of half an error
# (benchmarks/order_score.py: from 1.5 on for chat, 2 for code)
APART_ERRORS = 2.0
# a board is taken to tell abilities apart by so many logits, as if by so many models that lie one
# standard deviation off: a table of the best alone has too narrow a range to show its slope
_USUAL_SLOPE = 0.7
_SLOPE_WEIGHT = 2.0
_LEAST_SLOPE = 0.1
# and to have so much noise, in logits, as if by so many scores
_USUAL_NOISE = 0.3
_NOISE_SCORES = 10
# of a closed model nobody knows the size: it is drawn to the mean of closed ones, by so wide a spread
_CLOSED_SPREAD = 1.0
# where the search for that mean begins
_FIRST_CLOSED_MEAN = 1.0
# for the trend the scores of each source weigh so much together: else that of one source, which has
# most models, would be the trend of all
_SOURCE_WEIGHT = 10.0
_MOST_ROUNDS = 200
_CLOSE_ENOUGH = 1e-6


class Point(NamedTuple):
    """A value of one model on one board. `scale`: boards of one scale tell abilities apart alike;
    `weight`: how many scores it counts for; `day`: of the score.
    """

    model: str
    board: str
    scale: str
    source: str
    value: float
    weight: float
    day: str


class Traits(NamedTuple):
    """What is known of an open model: the logarithm of the parameters of an equal dense model, and
    the years from 2000 to its release.
    """

    size: float
    year: float


class Prior(NamedTuple):
    """What is known of an ability before it is measured: its mean and its spread."""

    mean: float
    spread: float


class Line(NamedTuple):
    """How a board tells abilities: value = intercept + slope × ability, give or take noise."""

    intercept: float
    slope: float
    noise: float


class Estimate(NamedTuple):
    """An ability with its standard error."""

    ability: float
    error: float


class Trend(NamedTuple):
    """Ability by size and date: base + per_size × size + per_year × year."""

    base: float
    per_size: float
    per_year: float

    def at(self, traits: Traits) -> float:
        """The ability of a model with these traits."""
        return self.base + self.per_size * traits.size + self.per_year * traits.year


class Fit(NamedTuple):
    """All of one use: the points, the abilities by model, and their trend."""

    points: Sequence[Point]
    trend: Trend
    estimates: Mapping[str, Estimate]


# ------------------------------------------------------------------ what counts


def points(
    use: str,
    scores: Mapping[str, Iterable[Score]],
    outlines: Mapping[str, Outline],
    *,
    kept: bool = False,
) -> list[Point]:
    """The points of a use: of each model and board the best setting, each with its weight. With
    `kept` those that are in no fit.
    """
    best: dict[tuple[str, str], Point] = {}
    for model, rows in scores.items():
        for row in rows:
            board = row.board
            if not (board.fitted and row.is_independent and use in board.uses):
                continue
            if (model in row.source.kept) != kept:
                continue
            value = value_of(row)
            key = (model, board.title)
            if key in best and best[key].value >= value:
                continue
            weight = 1.0
            if board.was_public(outlines[model].released):
                weight = _PUBLIC_WEIGHT
            # two copies of one table are one source
            source = row.source.by
            scale = board.scale or board.title
            best[key] = Point(
                model, board.title, scale, source, value, weight, row.date
            )
    on_board = Counter(point.board for point in best.values())
    least_models = 1 if kept else LEAST_MODELS
    on_boards = [
        point for point in best.values() if on_board[point.board] >= least_models
    ]
    of_source = Counter((point.model, point.source) for point in on_boards)
    weighted = []
    for point in on_boards:
        together = sqrt(of_source[point.model, point.source])
        weighted.append(point._replace(weight=point.weight / together))
    return weighted


def value_of(score: Score) -> float:
    """The score in logits, more is better."""
    if score.board.unit == ELO:
        return score.score / _ELO_OF_LOGIT
    share = min(max(score.score / 100, _LEAST_SHARE), 1 - _LEAST_SHARE)
    logit = log(share / (1 - share))
    return -logit if score.board.lower_is_better else logit


# ------------------------------------------------------------------ the trend by size and date


def traits_of(outline: Outline) -> Traits | None:
    """The traits of a model; None where its size or day of release is not known."""
    total = outline.parameters_total
    if not total or not outline.released:
        return None
    active = outline.parameters_active or total
    size = TOTAL_WEIGHT * log(total) + (1 - TOTAL_WEIGHT) * log(active)
    return Traits(size, years(outline.released))


def _trend(chosen: Sequence[Point], known: Mapping[str, Traits]) -> Trend:
    """The trend of all boards together: how much size and date count within a board, and how far
    each board tells abilities apart, in turn until neither changes. The models on these boards get
    abilities with the standard deviation 1: that of the trend and its spread together.
    """
    boards = _by(_weighed_alike(chosen, known), lambda point: point.board)
    models = sorted({row.model for rows in boards.values() for row in rows})
    trend = Trend(0.0, 0.0, 0.0)
    for _ in range(_MOST_ROUNDS):
        columns: list[Sequence[float]] = []
        values: list[float] = []
        expected = {model: Estimate(trend.at(known[model]), 0.0) for model in models}
        lines = _lines(boards, expected)
        for board, rows in boards.items():
            _add_equations(rows, known, lines[board], columns, values)
        per_size, per_year = _least_squares(columns, values)
        after = _scaled(
            Trend(0.0, per_size, per_year), [known[model] for model in models]
        )
        change = max(
            abs(old - new) for old, new in zip(trend[1:], after[1:], strict=True)
        )
        trend = after
        if change < _CLOSE_ENOUGH:
            break
    return trend


def _weighed_alike(chosen: Sequence[Point], known: Mapping[str, Traits]) -> list[Point]:
    """The points of models whose traits are known, each source with the same weight."""
    with_traits = [point for point in chosen if point.model in known]
    of_source: dict[str, float] = defaultdict(float)
    for point in with_traits:
        of_source[point.source] += point.weight
    weighed = []
    for point in with_traits:
        weight = _SOURCE_WEIGHT * point.weight / of_source[point.source]
        weighed.append(point._replace(weight=weight))
    return weighed


def _add_equations(
    rows: Sequence[Point],
    known: Mapping[str, Traits],
    line: Line,
    columns: list[Sequence[float]],
    values: list[float],
) -> None:
    """Add an equation for each value of a board: how far it lies from the mean of the board, by how
    far size and date lie from theirs, each as it is precise.
    """
    weights = [row.weight for row in rows]
    mean_value = _weighted_mean([row.value for row in rows], weights)
    mean_size = _weighted_mean([known[row.model].size for row in rows], weights)
    mean_year = _weighted_mean([known[row.model].year for row in rows], weights)
    for row in rows:
        traits = known[row.model]
        precise = sqrt(row.weight) / line.noise
        steep = precise * line.slope
        columns.append(
            (steep * (traits.size - mean_size), steep * (traits.year - mean_year))
        )
        values.append(precise * (row.value - mean_value))


def _scaled(trend: Trend, models: Sequence[Traits]) -> Trend:
    """The trend on the scale on which the abilities of these models have the mean 0 and, with the
    spread about it, the standard deviation 1.
    """
    abilities = [trend.at(traits) for traits in models]
    middle = fmean(abilities)
    scale = sqrt(1 - SPREAD**2) / pstdev(abilities, middle)
    return Trend(-scale * middle, scale * trend.per_size, scale * trend.per_year)


def _least_squares(
    rows: Sequence[Sequence[float]], values: Sequence[float]
) -> list[float]:
    """The factors of the columns whose sum is nearest to the values: the normal equations, solved
    by elimination.
    """
    count = len(rows[0])
    table = []
    for left in range(count):
        products = [
            fsum(row[left] * row[right] for row in rows) for right in range(count)
        ]
        products.append(
            fsum(row[left] * value for row, value in zip(rows, values, strict=True))
        )
        table.append(products)
    for pivot in range(count):
        # the row with the largest value there keeps rounding small
        largest = max(range(pivot, count), key=lambda row: abs(table[row][pivot]))
        table[pivot], table[largest] = table[largest], table[pivot]
        for row in range(count):
            if row == pivot:
                continue
            share = table[row][pivot] / table[pivot][pivot]
            table[row] = [
                own - share * other
                for own, other in zip(table[row], table[pivot], strict=True)
            ]
    return [table[row][count] / table[row][row] for row in range(count)]


# ------------------------------------------------------------------ abilities


def fit(
    use: str,
    scores: Mapping[str, Iterable[Score]],
    outlines: Mapping[str, Outline],
) -> Fit:
    """The abilities of all measured models at a use."""
    return fit_points(points(use, scores, outlines), outlines)


def fit_points(chosen: Sequence[Point], outlines: Mapping[str, Outline]) -> Fit:
    """The abilities by these points: first the trend, then each model's own."""
    by_board = _by(chosen, lambda point: point.board)
    by_model = _by(chosen, lambda point: point.model)
    known = {}
    for model in by_model:
        traits = traits_of(outlines[model])
        if traits is not None:
            known[model] = traits
    trend = _trend(chosen, known)
    closed = [model for model in by_model if model not in known]
    estimates: dict[str, Estimate] = {}
    closed_mean = _FIRST_CLOSED_MEAN
    for model in by_model:
        ability = trend.at(known[model]) if model in known else closed_mean
        estimates[model] = Estimate(ability, SPREAD)
    for _ in range(_MOST_ROUNDS):
        lines = _lines(by_board, estimates)
        after = {}
        for model, rows in by_model.items():
            prior = Prior(closed_mean, _CLOSED_SPREAD)
            if model in known:
                prior = Prior(trend.at(known[model]), SPREAD)
            after[model] = _estimate(rows, lines, prior)
        change = max(
            abs(after[model].ability - estimates[model].ability) for model in after
        )
        estimates = after
        if closed:
            closed_mean = fmean(estimates[model].ability for model in closed)
        if change < _CLOSE_ENOUGH:
            break
    return Fit(chosen, trend, estimates)


def _by(chosen: Iterable[Point], key: Callable[[Point], str]) -> dict[str, list[Point]]:
    """The points by a key."""
    groups = defaultdict(list)
    for point in chosen:
        groups[key(point)].append(point)
    return dict(groups)


def _lines(
    boards: Mapping[str, Sequence[Point]], estimates: Mapping[str, Estimate]
) -> dict[str, Line]:
    """The line of each board through the values of models with these abilities; boards of one scale
    have parallel ones.
    """
    by_scale = defaultdict(list)
    for rows in boards.values():
        by_scale[rows[0].scale].append(rows)
    lines = {}
    for together in by_scale.values():
        spots = [spot for rows in together for spot in _spots(rows, estimates)]
        slope = _slope(spots)
        noise = _noise(spots, slope)
        for rows in together:
            weights = [row.weight for row in rows]
            mean_value = _weighted_mean([row.value for row in rows], weights)
            abilities = [estimates[row.model].ability for row in rows]
            intercept = mean_value - slope * _weighted_mean(abilities, weights)
            lines[rows[0].board] = Line(intercept, slope, noise)
    return lines


class _Spot(NamedTuple):
    """How far a value, and the ability of its model, lie from the means of the board; `variance` is
    that of the ability.
    """

    weight: float
    value: float
    ability: float
    variance: float


def _spots(rows: Sequence[Point], estimates: Mapping[str, Estimate]) -> list[_Spot]:
    """The spots of a board."""
    weights = [row.weight for row in rows]
    mean_value = _weighted_mean([row.value for row in rows], weights)
    mean_ability = _weighted_mean(
        [estimates[row.model].ability for row in rows], weights
    )
    spots = []
    for row in rows:
        ability, error = estimates[row.model]
        spots.append(
            _Spot(row.weight, row.value - mean_value, ability - mean_ability, error**2)
        )
    return spots


def _slope(spots: Sequence[_Spot]) -> float:
    """The slope of the line through the spots. The errors of the abilities count as spread of the
    models, else the slope comes out too steep.
    """
    products = [spot.weight * spot.ability * spot.value for spot in spots]
    squares = [spot.weight * (spot.ability**2 + spot.variance) for spot in spots]
    usual = _SLOPE_WEIGHT * _USUAL_SLOPE
    slope = (fsum(products) + usual) / (fsum(squares) + _SLOPE_WEIGHT)
    return max(slope, _LEAST_SLOPE)


def _noise(spots: Sequence[_Spot], slope: float) -> float:
    """The standard deviation of the values about the line, with that of the abilities."""
    misses = []
    for spot in spots:
        miss = spot.value - slope * spot.ability
        misses.append(spot.weight * (miss**2 + slope**2 * spot.variance))
    usual = _NOISE_SCORES * _USUAL_NOISE**2
    weight = fsum(spot.weight for spot in spots) + _NOISE_SCORES
    return sqrt((fsum(misses) + usual) / weight)


def _weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    products = [value * weight for value, weight in zip(values, weights, strict=True)]
    return fsum(products) / fsum(weights)


def _estimate(
    rows: Sequence[Point], lines: Mapping[str, Line], prior: Prior
) -> Estimate:
    """The ability of a model by its values and its prior, each as it is precise."""
    precisions = [1 / prior.spread**2]
    sums = [prior.mean / prior.spread**2]
    for row in rows:
        line = lines[row.board]
        precision = row.weight * (line.slope / line.noise) ** 2
        precisions.append(precision)
        sums.append(precision * (row.value - line.intercept) / line.slope)
    total = fsum(precisions)
    return Estimate(fsum(sums) / total, 1 / sqrt(total))


# ------------------------------------------------------------------ how far apart is apart


def joint_errors(first: Estimate, second: Estimate) -> float:
    """By how many joint standard errors two abilities differ."""
    return abs(first.ability - second.ability) / hypot(first.error, second.error)
