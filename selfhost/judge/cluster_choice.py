"""The best way of running a model on several machines: together, or on one of them alone.

The number of machines is a setting like others. What one machine runs in the model's usual type,
all together have to run faster by a step (`rating`). What the user stated removes ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..core.records import Record
from ..machine.clusters import Cluster
from ..machine.record import Machine
from .choice import best_under, in_way
from .clusters import OnCluster, PartOfMachine, judge_on_cluster
from .rating import (
    Rating,
    is_a_step_faster,
    rating_of,
    serves,
    steps_between,
)
from .record import Judged, Question
from .table import table_of
from .ways import Way, types_to_have, usual_and_smaller, way_of


class Alone(Record):
    """The best way of a model on one machine of a cluster. Where it does not run, `smaller` is
    the model in a smaller type that does; None for none, and where nobody looked for one.
    """

    machine: Machine
    judged: Judged
    smaller: Judged | None = None


class ClusterAnswer(Record):
    """How several machines run a model.

    - `together`: the best way on all of them, or on fewer of equal ones.
    - `alone`: the best way on each unlike machine by itself, the main one first.
    - `takes_one`: one machine alone does better, or as well. `best_alone` is that machine.
    """

    cluster: Cluster
    together: OnCluster
    alone: tuple[Alone, ...]
    takes_one: bool

    @property
    def best_alone(self) -> Alone:
        """The machine that runs the model best by itself."""
        return _best_of(self.alone)

    @property
    def judged(self) -> Judged:
        """The judgement of the way that is taken."""
        return self.best_alone.judged if self.takes_one else self.together.judged

    @property
    def parts(self) -> tuple[PartOfMachine, ...]:
        """The part of each machine; none where one machine is taken."""
        return () if self.takes_one else self.together.parts

    @property
    def split(self) -> str | None:
        """How the model is divided; None where one machine is taken."""
        return None if self.takes_one else self.together.split


def best_on_cluster(
    question: Question,
    catalogue: Catalogue,
    cluster: Cluster,
    split: str | None = None,
) -> ClusterAnswer:
    """Return the best way to run the model on the machines: all, fewer of equal ones, or one.
    `question` is asked for the main one, in the model's own defaults. A stated `split` asks for
    all machines together.
    """
    # never empty: the main machine took the question as it is
    alone = []
    for machine in cluster.kinds:
        # defaults may differ, and the program may refuse what was stated
        judged = best_under(question, question.stated, catalogue, machine)
        if judged is not None:
            alone.append(Alone(machine=machine, judged=judged))
    # what one machine does as well is no reason to join them
    one = None if split is not None else _best_of(alone).judged
    clusters = [cluster]
    if one is not None and cluster.are_equal:
        # a further machine adds a hop, and its number may not divide the heads
        for number in range(len(cluster.machines) - 1, 1, -1):
            clusters.append(cluster.first(number))
    together = best_together(question, catalogue, clusters, split, one)
    takes_one = one is not None and one.fits
    if takes_one and not together.is_refused:
        takes_one = not _gains(together.judged, one)
    return ClusterAnswer(
        cluster=cluster,
        together=together,
        alone=tuple(alone),
        takes_one=takes_one,
    )


def _best_of(alone: Sequence[Alone]) -> Alone:
    """The machine that runs the model best by itself."""
    return min(alone, key=lambda found: rating_of(found.judged))


def _gains(together: Judged, one: Judged | None) -> bool:
    """Whether all machines together do more than one alone; True where nobody asks about one.

    Machines that are joined for a model which one of them runs in its usual type, or in another
    program, have to be faster by a step: a larger file is not what they were joined for.
    """
    if one is None or not one.fits:
        return True
    if rating_of(one) <= rating_of(together):
        return False
    one_is_smaller = not (one.question.is_usual_type or way_of(one.question).is_larger)
    # joined machines load the larger type then, which is a gain by itself
    if one_is_smaller and one.workload.runtime == together.workload.runtime:
        return True
    return not serves(one) or is_a_step_faster(together, one)


def best_together(
    question: Question,
    catalogue: Catalogue,
    clusters: Sequence[Cluster],
    split: str | None = None,
    one: Judged | None = None,
) -> OnCluster:
    """The best way on one of the clusters; where no program divides the model, the first refusal
    of a program that divides models so. `one`: the best way on one machine alone; None where nobody
    asks about one.
    """
    best = []
    refused = []
    for turn, runtime in enumerate(_programs(question, catalogue)):
        ways = []
        for way in _ways_in(runtime, question, catalogue, clusters, split):
            if way.is_refused:
                refused.append(way)
            else:
                ways.append(way)
        if ways:
            ranked = [(_Rank.in_program(way, one), way) for way in ways]
            rank, way = min(ranked, key=itemgetter(0))
            best.append((rank.of_program(way, turn), way))
    if best:
        _, way = min(best, key=itemgetter(0))
        return way
    if not refused:
        # no program loads the model
        refused = judge_on_cluster(question, clusters[0], split)
    return min(refused, key=_lacks_split)


def _lacks_split(way: OnCluster) -> bool:
    """Whether the program of a refused way divides no model so, on whichever machines."""
    runtime = way.judged.question.runtime
    return runtime is None or way.split not in runtime.clusters.splits


class _Rank(NamedTuple):
    """The order of ways on several machines; the least is the best.

    First come the ways that do more than one machine alone: a larger type at the pace of one
    machine must not hide a type in which all are faster.
    """

    gains_nothing: bool
    rating: Rating

    @classmethod
    def in_program(cls, way: OnCluster, one: Judged | None) -> _Rank:
        """The rank of a way among the ways of one program."""
        return cls(not _gains(way.judged, one), rating_of(way.judged))

    def of_program(self, way: OnCluster, turn: int) -> _Rank:
        """The rank of the best way of a program among those of other programs.

        Each program has to be faster by a step than the one before it, whose `turn` is less:
        programs have other usual types, and a larger file alone is no gain (as on one machine,
        `choice`).
        """
        cost_steps: float = turn
        pace = way.judged.users_pace
        if pace is not None and serves(way.judged):
            cost_steps -= steps_between(1.0, pace.likely)
        rating = Rating(
            runs=self.rating.runs,
            unserved=self.rating.unserved,
            is_rough=self.rating.is_rough,
            minus_worth=cost_steps,
        )
        return self._replace(rating=rating)


def _programs(question: Question, catalogue: Catalogue) -> Iterator[RuntimeSpec]:
    """Yield the programs that may be taken: the stated one alone, else each that divides models."""
    if question.runtime is None:
        return
    yield question.runtime
    if question.stated.runtime is not None:
        return
    for row in table_of(question.spec, catalogue).proposed:
        runtime = row.runtime
        if runtime.id != question.runtime.id and runtime.clusters.splits:
            yield runtime


def _ways_in(
    runtime: RuntimeSpec,
    question: Question,
    catalogue: Catalogue,
    clusters: Sequence[Cluster],
    split: str | None,
) -> Iterator[OnCluster]:
    """Yield the ways in one program: in each type to try, on each of the clusters."""
    main = clusters[0].main
    usual = in_way(question, Way(runtime=runtime), catalogue, main)
    if usual is None:
        return
    questions = [usual]
    for quantization in _other_types(usual, runtime):
        way = Way(runtime=runtime, quantization=quantization)
        asked = in_way(question, way, catalogue, main)
        if asked is not None:
            questions.append(asked)
    for asked in questions:
        for cluster in clusters:
            yield from judge_on_cluster(asked, cluster, split)


def _other_types(usual: Question, runtime: RuntimeSpec) -> list[str | None]:
    """The types to try beside the usual one: the smaller ones, and those that somebody publishes
    for a program that quantizes no files itself.
    """
    names = [way.quantization for way in usual_and_smaller(usual)]
    if usual.stated.quantization is None and runtime.conversion is None:
        for row in types_to_have(usual):
            if row.repository is not None:
                names.append(row.quantization)
    others = [name for name in names if name != usual.workload.quantization]
    return list(dict.fromkeys(others))
