"""Every model of a catalogue on one machine, best first: what `list` and `rank` show.

`Lister.first` takes models from a heap by the best place that each may get, judges that one, and is
done when the rows to show are settled: those that `Lister.all` begins with, which judges all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from math import inf

from ..catalogue.index import Catalogue, Outline
from ..catalogue.offers import day_by_header
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.errors import InputError, SpecError, WorkloadError, in_one_line
from ..core.records import Record
from ..core.workload import Workload, as_typed
from ..judge.checks import Outcome
from ..judge.checks.model import license_check, openness_check, reads_context
from ..judge.checks.speed import is_slow, is_too_slow
from ..judge.defaults import suited
from ..judge.judging import judge
from ..judge.pace.speed import PaceRange
from ..judge.programs import with_canonical_license
from ..judge.question import ask
from ..judge.record import Route, Verdict, verdict_on
from ..machine.record import Machine
from . import Report
from .api_route import offers_for
from .ranking import MADE_FOR_IT, BestCase, Standings, best_case, reasons, share_of_pace, share_on

# fewer models are judged sooner than another process starts
_LEAST_TO_SHARE = 64
# names of models that a note lists
_MOST_NAMED = 3
_ROUTES = (Route.LOCAL, Route.UNKNOWN, Route.API, Route.NEITHER)

Key = tuple[int | bool | float | str, ...]
Judged = Verdict | WorkloadError | None


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
        self._use, self._modality = use, modality
        self._bounds, self._standings = (
            best_case(machine, workload),
            Standings.of_catalogue(catalogue),
        )
        self._today = today or units.utc_today()

    def first(
        self, most: int, ids: Collection[str] | None = None, *, only_running: bool = True
    ) -> Listing:
        """The first `most` of these models, all without `ids`, of those that run or of all."""
        ruled_out = self._ruled_out()
        wanted = {*(self._catalogue.ids() if ids is None else ids)} - ruled_out
        outlines = [outline for outline in self._catalogue.outlines() if outline.id in wanted]
        # each by a place no worse than its own; once it is the best that is left it is judged
        waiting: list[tuple[Key, Verdict | None]] = [
            (self.best_key(outline), None) for outline in outlines
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
                heappush(waiting, (self.key(judged), judged))
        running = sum(
            not outline.closed and self._bounds_of(outline).has_likely_room(outline)
            for outline in outlines
        )
        # of those judged more may run than likely have room
        running = max(running, sum(row.can_run for row in rows))
        counts = Counts(models=len(outlines), running=running, is_estimate=True)
        return self._listing(rows, refused, counts, len(ruled_out))

    def all(self, ids: Collection[str] | None = None, processes: int = 1) -> Listing:
        """Each of these models, all without `ids`, by so many processes."""
        ruled_out = self._ruled_out()
        wanted = self._catalogue.ids() if ids is None else ids
        judged = self._judged_by([id for id in wanted if id not in ruled_out], processes)
        refused = {id: each for id, each in judged.items() if isinstance(each, WorkloadError)}
        rows = [each for each in judged.values() if isinstance(each, Verdict)]
        rows.sort(key=self.key)
        return self._listing(rows, refused, count_rows(rows), len(ruled_out))

    def best_key(self, outline: Outline) -> Key:
        """The best place that `key` can give a model, whatever the judge finds."""
        bounds = self._bounds_of(outline)
        # of what is too large the memory may still be unknown, and closed weights run nowhere
        if outline.closed:
            return self._key(Route.API, outline)
        if not bounds.has_room(outline):
            return self._key(Route.UNKNOWN, outline)
        share = share_of_pace(bounds.tokens_per_second(outline))
        return self._key(Route.LOCAL, outline, is_slow=bounds.is_slow(outline), share=share)

    def key(self, answer: Verdict) -> Key:
        """The place of one model in the list; smaller is better.

        The route, the kind of model, whether it is too slow, what it is for, whether it is as open
        as was asked, then its worth on that machine; where it does not run, its worth alone. Text
        of which no pace is known is as fast as the memory allows, at most half as good.
        """
        outline, opened = self._catalogue.outline(answer.model.id), answer.finding("openness")
        assert outline is not None
        is_less_open = opened is not None and opened.outcome is not Outcome.PASS
        if not answer.can_run:
            return self._key(answer.route, outline, is_less_open=is_less_open)
        bounds = self._bounds_of(outline)
        slow = is_slow(answer, answer.workload.min_tokens_per_second)
        if answer.speed is None or answer.speed.judged is None:
            slow = slow or bounds.is_slow(outline)
        share = share_on(answer, share_of_pace(bounds.tokens_per_second(outline)))
        return self._key(
            answer.route, outline, is_slow=slow, is_less_open=is_less_open, share=share
        )

    def _bounds_of(self, outline: Outline) -> BestCase:
        """Those of the machine; none of a user's model, which no test holds to them."""
        if self._catalogue.is_shipped(outline.id):
            return self._bounds
        return self._bounds.replace(room_bytes=inf, bytes_per_second=inf)

    def _key(
        self,
        route: Route,
        outline: Outline,
        *,
        is_slow: bool = False,
        is_less_open: bool = False,
        share: float = 1.0,
    ) -> Key:
        standing = self._standings.of(outline.id)
        assert standing is not None
        kind = MADE_FOR_IT if outline.modality == self._modality else standing.kind
        section, worth = standing.section_for(self._use), standing.worth * share
        return _ROUTES.index(route), kind, is_slow, section, is_less_open, -worth, outline.id

    def _judged(self, id: str) -> Judged:
        """The answer, or why the model does not come as asked; None for a faulty spec."""
        catalogue, workload, machine = self._catalogue, self._workload, self._machine
        try:
            question = ask(catalogue.spec(id), workload, catalogue, machine)
        except SpecError:
            return None
        except WorkloadError as error:
            return error
        judged = suited(judge(question, machine), catalogue, machine)
        is_offered = judged.failed and bool(offers_for(catalogue, judged, self._today))
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
        workload = with_canonical_license(self._workload)
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
        """Raises the first refusal where no model of the catalogue comes as asked."""
        if refused and not rows:
            others = (id for id in self._catalogue.ids() if id not in refused)
            if not any(isinstance(self._judged(id), Verdict) for id in others):
                raise refused[min(refused)]
        running = {row.model.id: row for row in rows if row.can_run}
        return Listing(
            answers=tuple(rows),
            counts=counts,
            why={id: reasons(row, self._standings.of(id)) for id, row in running.items()},
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


class Ranked(Record):
    """A model in a `Ranking`, by the keys of `selfhost list --format json`.

    `failed` names the findings that rule it out; `why` says in a few words why it stands there,
    None where it does not run. A size or pace that is not known is None.
    """

    model: ModelSpec
    route: Route
    quantization: str | None
    runtime: str | None
    context_tokens: int | None
    memory_high_bytes: int | None
    download_bytes: int | None
    decode_tokens_per_second: PaceRange | None
    judged_tokens_per_second: PaceRange | None
    failed: tuple[str, ...]
    why: str | None

    def __repr__(self) -> str:
        pace, memory = self.judged_tokens_per_second, self.memory_high_bytes
        parts: list[str] = [self.route]
        if pace is not None:
            parts.append(units.likely_pace(pace.low, pace.likely, pace.high, " tokens/s"))
        if memory is not None:
            parts.append(f"up to {units.binary(memory)}")
        return f"<Ranked {self.model.id}: {', '.join(parts)}>"


class Ranking(Report):
    """The models judged for one machine, best first, by the keys of `selfhost list --format json`.

    `ruled_out` counts the models left out because of their license or openness. `catalogue_as_of`
    is the day of the catalogue, `YYYY-MM-DD`: what came out later is not in it. `notes` are
    sentences about how the machine's name was understood.
    """

    machine: Machine
    ruled_out: int
    catalogue_as_of: str | None
    models: tuple[Ranked, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        running = [row.model.id for row in self.models if row.route is Route.LOCAL]
        first = f"; first: {', '.join(running[:3])}" if running else ""
        return (
            f"<Ranking: {len(running)} of {len(self.models)} models run on"
            f" {self.machine.name}{first}>"
        )


def ranking(answers: Sequence[Verdict], machine: Machine, listing: Listing) -> Ranking:
    """Those answers of a listing that were chosen, in their order."""
    rows = tuple(_ranked(answer, listing.why.get(answer.model.id)) for answer in answers)
    return Ranking(
        machine=machine,
        ruled_out=listing.ruled_out,
        catalogue_as_of=listing.as_of,
        models=rows,
    )


def _ranked(answer: Verdict, why: str | None) -> Ranked:
    needs, workload = answer.needs, answer.workload
    return Ranked(
        model=answer.model,
        route=answer.route,
        quantization=workload.quantization,
        runtime=workload.runtime,
        context_tokens=workload.context_tokens,
        memory_high_bytes=needs.memory.high_bytes if needs and needs.memory else None,
        download_bytes=needs.download_bytes if needs else None,
        decode_tokens_per_second=answer.speed.decode if answer.speed else None,
        judged_tokens_per_second=answer.speed.judged if answer.speed else None,
        failed=tuple(
            finding.check for finding in answer.findings if finding.outcome is Outcome.FAIL
        ),
        why=why,
    )
