"""Every model of a catalogue on one machine, best first: what `list` and `rank` show.

`Lister.first` takes models from a heap by the best place that each may get, judges that one, and is
done when the rows to show are settled: those that `Lister.all` begins with, which judges all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush

from ..catalogue.index import Catalogue
from ..catalogue.offers import day_by_header
from ..core import units
from ..core.errors import InputError, SpecError, WorkloadError, in_one_line
from ..core.records import Record
from ..core.workload import Workload, as_typed
from ..judge.checks import Outcome
from ..judge.checks.model import license_check, openness_check, reads_context
from ..judge.checks.speed import is_too_slow
from ..judge.defaults import suited
from ..judge.question import ask, with_canonical_license
from ..judge.record import Route, Verdict, verdict_on
from ..machine.record import Machine
from .api_route import offers_for
from .best_case import Key, Order, best_case
from .ranking import Standings, reasons

# fewer models are judged sooner than another process starts
_LEAST_TO_SHARE = 64


class Counts(Record):
    """Of the models of a list: how many there are, how many run, how many of those give text likely
    too slowly, and of how many that is not known. `is_estimate`: they were not all judged, and
    `running` are those that memory and disk have room for.
    """

    models: int
    running: int
    slow: int = 0
    unknown: int = 0
    is_estimate: bool = False


class Listing(Record):
    """The models of a catalogue judged for one machine, best first.

    `counts` is of all that were asked for, `answers` may be the first of them. `why` says in a few
    words, by id, why a model stands where it does. `refused` says by id why one of those judged
    does not come as asked. `ruled_out` is how many of the catalogue are left out because their
    license or openness is not what was asked. `as_of` is the day of the catalogue: of its prices or
    of its newest model, whichever is later; None where it has neither.
    """

    answers: tuple[Verdict, ...]
    counts: Counts
    why: Mapping[str, str] = {}
    refused: Mapping[str, WorkloadError] = {}
    ruled_out: int = 0
    as_of: str | None = None


Judged = Verdict | WorkloadError | None


class Lister:
    """Lists models of one catalogue on one machine, each judged under the workload with its own
    defaults. `use` and `modality` go before others in the order.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        workload: Workload,
        machine: Machine,
        *,
        use: str | None = None,
        modality: str | None = None,
        today: str | None = None,
    ) -> None:
        self._catalogue, self._workload, self._machine = catalogue, workload, machine
        bounds = best_case(machine, workload)
        self._order = Order(catalogue, bounds, use=use, modality=modality)
        self._today = today or units.utc_today()

    def first(
        self, most: int, ids: Collection[str] | None = None, *, only_running: bool = True
    ) -> Listing:
        """The first `most` of these models, all without `ids`, of those that run or of all."""
        order, ruled_out = self._order, self._ruled_out()
        wanted = {*(self._catalogue.ids() if ids is None else ids)} - ruled_out
        outlines = [outline for outline in self._catalogue.outlines() if outline.id in wanted]
        # each by a place no worse than its own; once it is the best that is left it is judged
        waiting: list[tuple[Key, Verdict | None]] = [
            (order.best_key(outline), None) for outline in outlines
        ]
        heapify(waiting)
        rows: list[Verdict] = []
        refused: dict[str, WorkloadError] = {}
        while waiting and len(rows) < most:
            key, answer = heappop(waiting)
            if answer is not None:
                rows.append(answer)
                continue
            id = str(key[-1])
            judged = self._judged(id)
            if isinstance(judged, WorkloadError):
                refused[id] = judged
            elif judged is not None and (judged.can_run or not only_running):
                heappush(waiting, (order.key(judged), judged))
        running = sum(map(order.likely_runs, outlines))
        counts = Counts(models=len(outlines), running=running, is_estimate=True)
        return self._listing(rows, refused, counts, len(ruled_out))

    def all(self, ids: Collection[str] | None = None, processes: int = 1) -> Listing:
        """Each of these models, all without `ids`, by so many processes."""
        ruled_out = self._ruled_out()
        wanted = self._catalogue.ids() if ids is None else ids
        judged = self._judged_by([id for id in wanted if id not in ruled_out], processes)
        refused = {id: each for id, each in judged.items() if isinstance(each, WorkloadError)}
        rows = [each for each in judged.values() if isinstance(each, Verdict)]
        rows.sort(key=self._order.key)
        return self._listing(rows, refused, count_rows(rows), len(ruled_out))

    def _judged(self, id: str) -> Judged:
        """The answer, or why the model does not come as asked; None for a faulty spec."""
        catalogue, workload, machine = self._catalogue, self._workload, self._machine
        try:
            question = ask(catalogue.spec(id), workload, catalogue, machine)
        except SpecError:
            return None
        except WorkloadError as error:
            return error
        judged = suited(question, workload, catalogue, machine)
        is_offered = judged.failed and bool(
            offers_for(catalogue, judged.question, judged, self._today)
        )
        return verdict_on(judged, machine, asked=id, offered=is_offered)

    def _judged_by(self, ids: Sequence[str], processes: int) -> dict[str, Judged]:
        """By id what was found, by so many processes."""
        if processes < 2 or len(ids) < _LEAST_TO_SHARE:
            return {id: self._judged(id) for id in ids}
        from concurrent.futures import ProcessPoolExecutor

        size = -(-len(ids) // (4 * processes))
        with ProcessPoolExecutor(processes, initializer=_begin, initargs=(self,)) as pool:
            return dict(zip(ids, pool.map(_judged_here, ids, chunksize=size), strict=True))

    def _ruled_out(self) -> set[str]:
        """The models whose license or openness is not what was asked."""
        workload = with_canonical_license(self._workload, self._catalogue)
        if not (workload.license or workload.commercial or workload.modify or workload.auditable):
            return set()
        return {
            spec.id
            for spec in self._catalogue.specs()
            for finding in (license_check(spec, workload), openness_check(spec, workload))
            if finding is not None and finding.outcome is Outcome.FAIL
        }

    def _listing(
        self,
        rows: Sequence[Verdict],
        refused: Mapping[str, WorkloadError],
        counts: Counts,
        ruled_out: int,
    ) -> Listing:
        """The rows with what is said of them. Raises the first refusal where no model of the
        catalogue comes as asked.
        """
        if refused and not rows:
            others = (id for id in self._catalogue.ids() if id not in refused)
            if not any(isinstance(self._judged(id), Verdict) for id in others):
                raise refused[min(refused)]
        standings = Standings.of_catalogue(self._catalogue)
        running = {row.model.id: row for row in rows if row.can_run}
        return Listing(
            answers=tuple(rows),
            counts=counts,
            why={id: reasons(row, standings.of(id)) for id, row in running.items()},
            refused=refused,
            ruled_out=ruled_out,
            as_of=_day_of(self._catalogue),
        )


# in a process of `Lister.all` the copy that judges there
_listers: list[Lister] = []


def _begin(lister: Lister) -> None:
    _listers[:] = [lister]


def _judged_here(id: str) -> Judged:
    return _listers[0]._judged(id)


def count_rows(answers: Sequence[Verdict]) -> Counts:
    """Those of these models."""
    running = [answer for answer in answers if answer.can_run]
    return Counts(
        models=len(answers),
        running=len(running),
        slow=sum(is_too_slow(row, row.workload.min_tokens_per_second) for row in running),
        unknown=sum(answer.route is Route.UNKNOWN for answer in answers),
    )


def _day_of(catalogue: Catalogue) -> str | None:
    """The day of the catalogue, `YYYY-MM-DD`, by the shipped models alone."""
    released = [
        outline.released for outline in catalogue.outlines() if catalogue.is_shipped(outline.id)
    ]
    # a month or a year alone says no day
    days = [day for day in released if day is not None and len(day) == 10]
    return max((*days, day_by_header(catalogue.offers_path) or ""), default="") or None


# names of models that a note lists
_MOST_NAMED = 3


def list_notes(listing: Listing, workload: Workload, *, named: bool) -> Iterator[str]:
    """Sentences on the options, and what to type instead. `named`: only some models were asked
    for.
    """
    rows = listing.answers
    if workload.context_tokens is not None:
        kinds = sorted({row.model.modality for row in rows if not reads_context(row.model)})
        if kinds:
            listed = ", ".join(kinds)
            yield f"--context has no effect on models without a context of tokens ({listed})."
    if listing.refused and named:
        yield _refused(listing)


def _refused(listing: Listing) -> str:
    """Which of the models cannot be judged as asked, and why the first cannot."""
    first, *others = sorted(listing.refused)
    names = ", ".join((first, *others[: _MOST_NAMED - 1]))
    rest = len(listing.refused) - _MOST_NAMED
    more = f" and {rest:,} more" if rest > 0 else ""
    shown = as_typed(listing.refused[first])
    assert isinstance(shown, InputError)
    problem = shown.problems[0]
    remedy = f" ({in_one_line(problem.remedy)})" if problem.remedy else ""
    model = f"{first}: " if others else ""
    return (
        f"Cannot be judged as asked: {names}{more}. {model}{problem.key}: {problem.message}{remedy}"
    )
