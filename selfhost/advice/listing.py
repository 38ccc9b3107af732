"""The models of a catalogue on one machine, best first: what `list` and `rank` show.

A `Lister` judges models and returns a `Ranking`: `Lister.all` judges all of them, and
`Lister.first` as few as the rows to show take, which are the first rows of `Lister.all`. Which
models are listed is told by `filters.py`, and what a model is worth by `ranking.py`.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Collection,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from ..catalogue.abilities import abilities_table
from ..catalogue.index import Catalogue, Outline
from ..catalogue.offers import snapshot_day
from ..catalogue.openness import canonical_expression
from ..catalogue.spec import ModelSpec
from ..catalogue.uses import uses_table
from ..core import units
from ..core.answering import catalogue_day
from ..core.errors import InputError, SpecError, WorkloadError, one_line
from ..core.records import Record
from ..core.workload import (
    DEFAULT_CONTEXT_TOKENS,
    DEFAULT_MIN_TOKENS_PER_SECOND,
    Workload,
    as_typed,
)
from ..judge.checks import Outcome
from ..judge.checks.model import is_partly_open, terms_checks
from ..judge.checks.speed import is_slow, is_too_slow, lacks_pace_of_users
from ..judge.choice import best_way
from ..judge.judging import judge
from ..judge.question import ask
from ..judge.rating import leaves_room
from ..judge.record import DeferredAdvice, Report, Route, Verdict
from ..machine.record import Machine
from .api_route import offers_for
from .measured import ModelQuality, quality_of_model
from .ranking import (
    ASKED_FOR,
    FACTORS,
    GENERAL,
    LAST,
    SPECIAL,
    Standing,
    Standings,
    best_case,
    reasons,
    share_of_pace,
    share_on,
)
from .understood import Sentences, remark

# names of models that a note lists
_MOST_NAMED = 3
_ROUTES = (Route.LOCAL, Route.UNKNOWN, Route.API, Route.NEITHER)

# the fields of a workload that a license or the openness of a model may not meet
_TERMS = ("license", "auditable", "commercial", "modify")

# the verdict on a model, or why it cannot be judged as asked; None: its spec is faulty
Answer = Verdict | WorkloadError | None
# why a model cannot be judged as asked, by the id of the model
Refused = Mapping[str, WorkloadError]
Ids = Collection[str]
# hears how many models were judged, and of how many
Tell = Callable[[int, int], None]


class ListPlace(NamedTuple):
    """The sort key of one model in a list: the smaller key comes first."""

    route: int
    kind: int
    is_slow: bool
    is_unnamed: bool
    # nobody says whether the model does what the purpose needs
    is_untold: bool
    section: int
    is_less_open: bool
    # the worth with a minus, so that more worth comes first
    minus_worth: float
    id: str

    def is_like(self, other: ListPlace) -> bool:
        """Whether worth alone decides which of the two comes first."""
        worth = self._fields.index("minus_worth")
        return self[:worth] == other[:worth]


class _Waiting(NamedTuple):
    """A model that may be among the first rows: the best place that it can get before it is judged,
    or its own place with its verdict.
    """

    place: ListPlace
    verdict: Verdict | None = None


class Counts(Record):
    """The numbers of models in a list.

    `slow` are running models whose text is likely too slow for reading along; `unknown` are models
    of which nobody can tell whether they run. `is_estimate`: not every model was judged, and
    `running` counts the models for which memory and disk have room. `running` is None where not
    every model was judged and no estimate is possible.
    """

    models: int
    running: int | None
    slow: int = 0
    unknown: int = 0
    is_estimate: bool = False


class _Listed(DeferredAdvice):
    """What a list for the use `wanted` tells of a model beside its verdict: how good it is, and
    which of the models `running` are about alike.
    """

    model: ModelSpec
    wanted: str | None
    running: frozenset[str]

    def quality(self) -> ModelQuality:
        """How good the model is."""
        return quality_of_model(self.model, wanted=self.wanted, others=self.running)


class Ranking(Report):
    """Models judged for one machine, best first, by the keys of `selfhost list --format json`.

    `models` may be only the first of the models that `counts` counts. The `why` of each model that
    runs says in a few words why it has its place. `ruled_out` counts the models left out because of
    their license or openness; `refused` says by id why a model cannot be judged as asked. `use` is
    the use that was asked for.
    `catalogue_as_of` is the day of the catalogue, which has no model and no price of a later day;
    None where a clone states none. `prices_as_of` and `boards_as_of` are the days of the prices and
    of the newest score that the order rests on. `notes` are sentences about how the machine's name
    was understood. `options` repeat the machine and the needs in a command, a space before each.
    """

    machine: Machine
    models: tuple[Verdict, ...]
    counts: Counts
    ruled_out: int = 0
    catalogue_as_of: str | None = None
    prices_as_of: str | None = None
    boards_as_of: str | None = None
    refused: Mapping[str, WorkloadError] = {}
    use: str | None = None
    notes: tuple[str, ...] = ()
    options: str = ""


# ---------------------------------------------------------------- the first rows


class Lister:
    """Lists models of one catalogue on one machine: those of `use` and `modality` first, and among
    them those with the ids `named`. Without `use` the purpose of the workload may need one. Without
    `ids` its methods take all models.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        workload: Workload,
        machine: Machine,
        *,
        use: str | None = None,
        modality: str | None = None,
        named: Collection[str] = (),
        judged: MutableMapping[str, Answer] | None = None,
        standings: Standings | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._workload = workload
        self._machine = machine
        self._wanted_use = workload.wanted_use
        self._use = use or self._wanted_use
        # the answers that are known already; each other one is put there once it is judged
        self._answers: MutableMapping[str, Answer] = {} if judged is None else judged
        self._modality = modality
        self._named = named
        self._today = units.utc_today()
        self._bounds = best_case(machine, workload)
        self._standings = standings or Standings.load(catalogue, self._use)

    def all(self, ids: Ids | None = None, *, tell: Tell | None = None) -> Ranking:
        """Judge each of these models. `tell` is called with the number of models judged so far and
        the number of all.
        """
        most = len(self._catalogue.outlines)
        return self.first(most, ids, only_running=False, tell=tell)

    def first(
        self,
        most: int,
        ids: Ids | None = None,
        *,
        only_running: bool = True,
        most_in_vain: int | None = None,
        tell: Tell | None = None,
    ) -> Ranking:
        """The first `most` of these models, of those that run or of all, in the order of `key` and
        `with_room_first`. The search ends after `most_in_vain` models, if none of them runs.
        `tell` hears how many were judged, and how many there are.
        """
        outlines = self._outlines(ids)
        # a heap: a model that was not judged has the best place that it can get. So a model that
        # comes out with its verdict is better than all models left.
        waiting = [_Waiting(self.best_key(outline)) for outline in outlines]
        heapify(waiting)
        rows: list[Verdict] = []
        refused: dict[str, WorkloadError] = {}
        judged_models = 0
        runs_any = False
        while waiting and self._takes_more(rows, most, waiting[0].place):
            if judged_models == most_in_vain and not runs_any:
                break
            place, verdict = heappop(waiting)
            if verdict is not None:
                rows.append(verdict)
                continue
            if only_running and place.route != _ROUTES.index(Route.LOCAL):
                # no model that is left runs
                break
            answer = self._answer(place.id)
            judged_models += 1
            if tell is not None:
                tell(judged_models, len(outlines))
            if isinstance(answer, WorkloadError):
                refused[place.id] = answer
            elif answer is not None and (answer.can_run or not only_running):
                runs_any = True
                own_place = self.key(answer)
                heappush(waiting, _Waiting(own_place, answer))
        # where all are asked for, all are judged
        counts = count_rows(rows)
        if waiting or only_running:
            counts = self._estimate(outlines, rows)
        shown = self.with_room_first(rows)[:most]
        return self._ranking(shown, refused, counts)

    def _outlines(self, ids: Ids | None) -> list[Outline]:
        """The outlines of the models `ids`, except models that are ruled out."""
        wanted = set(self._catalogue.ids() if ids is None else ids)
        wanted -= self.ruled_out
        outlines = self._catalogue.outlines.values()
        return [outline for outline in outlines if outline.id in wanted]

    def one_by_one(self, ids: Ids) -> Iterator[tuple[str, Answer]]:
        """Judge these models, those first that may get the best places. Yield each id with the
        answer.
        """
        for outline in sorted(self._outlines(ids), key=self.best_key):
            yield outline.id, self._answer(outline.id)

    def _estimate(
        self,
        outlines: Sequence[Outline],
        rows: Sequence[Verdict],
    ) -> Counts:
        """The counts of a list of which not every model was judged. Where the question is not the
        usual one, nobody knows how many models run.
        """
        counts = Counts(models=len(outlines), running=None)
        if not _is_usual(self._workload):
            return counts
        likely = sum(map(self._bounds.has_likely_room, outlines))
        running = sum(row.can_run for row in rows)
        # more of those judged may run
        return counts.replace(running=max(likely, running), is_estimate=True)

    # ------------------------------------------------------------ first a model that leaves room

    def with_room_first(self, rows: Sequence[Verdict]) -> list[Verdict]:
        """The rows, which come in the order of `key`, but first the best one that leaves room.

        What fills the memory is not proposed first, because other programs may want that memory in
        a minute. The rows before one that leaves room follow that one, if they are of its kind and
        not worth much more (`least_worth`), and none of them supersedes it.
        """
        taken = self._with_room(rows)
        return sorted(rows, key=lambda row: row is not taken)

    def _with_room(self, rows: Sequence[Verdict]) -> Verdict | None:
        """The best of the rows that leaves room and may be the first; None for no such row."""
        before: set[str] = set()
        for row in rows:
            standing = self._standing(row.model.id)
            if not self._may_be_first(self.key(row), rows[0]):
                return None
            is_newest = before.isdisjoint(standing.successors)
            if is_newest and leaves_room(row):
                return row
            before.add(row.model.id)
        return None

    def _may_be_first(self, place: ListPlace, first: Verdict) -> bool:
        """Whether a model at that place may come before the first one: of the same kind, and not
        worth much less.
        """
        if not first.can_run:
            return False
        best = self.key(first)
        least_worth = -FACTORS.least_worth * best.minus_worth
        return best.is_like(place) and -place.minus_worth >= least_worth

    def _takes_more(
        self,
        rows: Sequence[Verdict],
        most: int,
        place: ListPlace,
    ) -> bool:
        """Whether the first `most` rows are not known yet, or none of them leaves room, and a model
        at that place may come before them.
        """
        if len(rows) < most:
            return True
        if not rows:
            return False
        if self._with_room(rows) is not None:
            return False
        return self._may_be_first(place, rows[0])

    # ------------------------------------------------------------ places

    def key(self, answer: Verdict) -> ListPlace:
        """The place of a judged model in the list.

        The worth is the worth on the machine for a model that runs, else the worth on any machine.
        Text without a known pace counts as fast as the memory allows, but at most half.
        """
        outline = self._catalogue.outlines[answer.model.id]
        worth = self._standing(outline.id).worth
        is_slow_here = False
        if answer.can_run:
            # text whose pace for several users is not known stands with the slow
            is_slow_here = is_slow(answer) or lacks_pace_of_users(answer)
            worth = self._worth_on(answer)
        openness = answer.finding("openness")
        return self._place(answer.route, outline, worth)._replace(
            is_slow=is_slow_here,
            is_less_open=openness is not None and is_partly_open(openness),
        )

    def best_key(self, outline: Outline) -> ListPlace:
        """The best place that `key` can give a model, whatever the judge finds."""
        route = Route.LOCAL
        worth = self._standing(outline.id).worth
        if outline.closed:
            route = Route.API
        elif self._catalogue.is_shipped(outline.id):
            # the bounds are tested with shipped models alone
            pace = self._bounds.tokens_per_second(outline)
            if pace >= self._least_pace and self._bounds.has_room(outline):
                worth *= share_of_pace(pace)
            else:
                # at best it is not known whether a model that is too large or too slow runs
                route = Route.UNKNOWN
        return self._place(route, outline, worth)

    @cached_property
    def _least_pace(self) -> float:
        """The tokens per second below which a model is too slow."""
        wanted = self._workload.min_tokens_per_second
        return DEFAULT_MIN_TOKENS_PER_SECOND if wanted is None else wanted

    def _standing(self, id: str) -> Standing:
        return self._standings.by_id[id]

    def _worth_on(self, answer: Verdict) -> float:
        """The worth of a model that runs on the machine; more is better."""
        outline = self._catalogue.outlines[answer.model.id]
        # the share that a model of no known pace may have, which the memory bounds
        most = share_of_pace(self._bounds.tokens_per_second(outline))
        return self._standing(outline.id).worth * share_on(answer, most)

    def _place(
        self,
        route: Route,
        outline: Outline,
        worth: float,
    ) -> ListPlace:
        """The place of a model of that worth, if it is fast and open."""
        standing = self._standing(outline.id)
        is_of_kind = outline.modality == self._modality
        return ListPlace(
            route=_ROUTES.index(route),
            kind=ASKED_FOR if is_of_kind else standing.kind,
            is_slow=False,
            is_unnamed=outline.id not in self._named,
            is_untold=self._is_untold(outline),
            section=self._section(outline, standing),
            is_less_open=False,
            minus_worth=-worth,
            id=outline.id,
        )

    def _is_untold(self, outline: Outline) -> bool:
        """Whether no source says that the model does what the purpose of the workload needs."""
        wanted = self._wanted_use
        return wanted is not None and not outline.has_use(wanted)

    def _section(self, outline: Outline, standing: Standing) -> int:
        """The section of the model. A model whose main use is the wanted use comes first, if it is
        a special model or makes no text; it comes among the general models where these do the
        wanted work as well.
        """
        wanted = self._use
        if wanted is None or outline.uses[:1] != (wanted,):
            return standing.section
        makes_text = standing.kind == 0
        if makes_text and standing.section != SPECIAL:
            return standing.section
        return ASKED_FOR if uses_table().use[wanted].special_first else GENERAL

    def useful_first(self, rows: Sequence[Verdict]) -> list[Verdict]:
        """The rows in their order, but models of little use last: models that do not run, that are
        worth less than a share of the best (`least_worth`), and base and superseded models.
        """
        running = [row for row in rows if row.can_run]
        worths = {row.model.id: self._worth_on(row) for row in running}
        least = FACTORS.least_worth * max(worths.values(), default=0)

        def is_of_little_use(row: Verdict) -> bool:
            id = row.model.id
            standing = self._standing(id)
            if standing.outline.superseded_by is not None:
                return True
            return worths.get(id, 0) < least or standing.section == LAST

        return sorted(rows, key=is_of_little_use)

    # ------------------------------------------------------------ answers

    def _answer(self, id: str) -> Answer:
        """The answer for a model, which is judged once."""
        if id not in self._answers:
            self._answers[id] = self._found_answer(id)
        return self._answers[id]

    def _found_answer(self, id: str) -> Answer:
        """The verdict on the best way of a model, or why there is none."""
        catalogue = self._catalogue
        try:
            spec = catalogue.spec(id)
            question = ask(spec, self._workload, catalogue, self._machine)
        except SpecError:
            return None
        except WorkloadError as error:
            return error
        usual = judge(question, self._machine)
        judged = best_way(usual, catalogue, self._machine)
        is_offered = False
        if judged.failed:
            is_offered = bool(offers_for(catalogue, judged, self._today))
        return Verdict.conclude(judged, self._machine, asked=id, offered=is_offered)

    @cached_property
    def ruled_out(self) -> set[str]:
        """The ids of the models whose license or openness does not meet the workload."""
        workload = self._workload
        if workload.license is not None:
            workload = workload.replace(license=canonical_expression(workload.license))
        ruled_out = set()
        if any(map(workload.states, _TERMS)):
            for spec in self._catalogue.specs():
                for finding in terms_checks(spec, workload):
                    if finding.outcome is Outcome.FAIL:
                        ruled_out.add(spec.id)
        return ruled_out

    def _ranking(
        self,
        rows: Sequence[Verdict],
        refused: Refused,
        counts: Counts,
    ) -> Ranking:
        """The rows as a ranking. Raises `WorkloadError` where no model of the catalogue can be
        judged as asked: then an option is at fault.
        """
        if not rows:
            self._raise_if_all_are_refused(refused)
        running = frozenset(row.model.id for row in rows if row.can_run)
        models = []
        for row in rows:
            standing = self._standing(row.model.id)
            told = _Listed(model=row.model, wanted=self._use, running=running)
            why = self._why(row, standing)
            models.append(row.replace(why=why, further=told))
        return Ranking(
            machine=self._machine,
            models=tuple(models),
            counts=counts,
            refused=refused,
            use=self._use,
            ruled_out=len(self.ruled_out),
            catalogue_as_of=catalogue_day(),
            prices_as_of=snapshot_day(self._catalogue.offers_path),
            boards_as_of=abilities_table().as_of,
        )

    def _why(self, row: Verdict, standing: Standing) -> str | None:
        """Why a model that runs stands where it does: `general, from 2026-08, fits the GPU`."""
        if not row.can_run:
            return None
        parts = []
        if is_general_beside(row.model, self._use):
            parts.append("general")
        wanted = self._wanted_use
        if wanted is not None and self._is_untold(standing.outline):
            parts.append(f"{uses_table().use[wanted].label} not known")
        if standing.outline.superseded_by is not None:
            parts.append(f"superseded by {standing.outline.superseded_by}")
        parts.append(reasons(row, standing))
        return ", ".join(filter(None, parts))

    def _raise_if_all_are_refused(self, refused: Refused) -> None:
        """Raises the first refusal where no model of the catalogue can be judged as asked."""
        if not refused:
            return
        for id in self._catalogue.ids():
            if id in refused:
                continue
            if isinstance(self._answer(id), Verdict):
                return
        raise refused[min(refused)]


def _is_usual(workload: Workload) -> bool:
    """Whether one sequence of the default context at most is asked for, and neither a program nor a
    type is named.
    """
    if workload.parallel > 1:
        return False
    if workload.runtime:
        return False
    if workload.quantization:
        return False
    tokens = workload.context_tokens or workload.tokens_with_prompt or 0
    return tokens <= DEFAULT_CONTEXT_TOKENS


def is_general_beside(model: ModelSpec, use: str | None) -> bool:
    """Whether the model is a general one, beside those made for that use."""
    if use is None or uses_table().use[use].also is None:
        return False
    return not model.has_use(use)


def count_rows(answers: Sequence[Verdict]) -> Counts:
    """The counts of a list of judged models."""
    running = [answer for answer in answers if answer.can_run]
    routes = [answer.route for answer in answers]
    return Counts(
        models=len(answers),
        running=len(running),
        slow=sum(map(is_too_slow, running)),
        unknown=routes.count(Route.UNKNOWN),
    )


def note_on_refused(refused: Refused) -> Sentences:
    """The note on the models that cannot be judged as asked, with the reason of the first; () for
    none.
    """
    if not refused:
        return ()
    ids = sorted(refused)
    shown = as_typed(refused[ids[0]])
    assert isinstance(shown, InputError)
    problem = shown.problems[0]
    return remark(
        "refused",
        ids=ids[:_MOST_NAMED],
        more=max(0, len(ids) - _MOST_NAMED),
        key=problem.key,
        message=problem.message,
        remedy=one_line(problem.remedy) if problem.remedy else None,
    )
