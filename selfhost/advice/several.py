"""Several models at once: compared, ranked, beside each other or together on one machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record
from ..core.workload import Workload
from ..judge.defaults import in_usual_type, suited_by_list
from ..judge.pace.speed import PaceRange
from ..judge.record import HELD, Judged, Outcome, Question, Route, Verdict, report_module
from ..machine.reader import Machine
from .api_route import offers_for
from .understood import Understood, has_ways, judged_for, question_of, understand

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..catalogue.openness import Row
    from .listing import Listing


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
            parts.append(units.binary(memory))
        return f"<Ranked {self.model.id}: {', '.join(parts)}>"


class Ranking(Record):
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

    def to_json(self) -> dict[str, Any]:
        """The object of `selfhost list --format json`, `selfhost.list/1`, as a dict."""
        document: dict[str, Any] = report_module("json").ranking(self)
        return document

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the first models."""
        table: str = report_module("notebook").of_ranking(self)
        return table


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


class Compared(Record):
    """A model in a `Comparison`: its verdict, how open it is, and what its license permits."""

    openness: tuple[Row, ...]
    permissions: tuple[Row, ...]
    verdict: Verdict

    def __repr__(self) -> str:
        return f"<Compared {self.verdict!r}>"


class Comparison(Record):
    """Models side by side, by the keys of `selfhost compare --format json`."""

    models: tuple[Compared, ...]

    def __repr__(self) -> str:
        return f"<Comparison {', '.join(repr(model.verdict) for model in self.models)}>"

    def to_json(self) -> dict[str, Any]:
        """The object of `selfhost compare --format json`, `selfhost.compare/1`, as a dict."""
        verdicts = [model.verdict for model in self.models]
        document: dict[str, Any] = report_module("json").compared(verdicts)
        return document

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the models."""
        table: str = report_module("notebook").of_comparison(self)
        return table


def comparison(verdicts: Sequence[Verdict]) -> Comparison:
    """Those verdicts side by side, with how open each model is and what its license permits."""
    from ..catalogue import openness

    return Comparison(
        models=tuple(
            Compared(
                verdict=verdict,
                openness=tuple(openness.rows(verdict.model)),
                permissions=tuple(openness.permissions(verdict.model)),
            )
            for verdict in verdicts
        )
    )


def sums(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, int, int]]:
    """The sums of the models that run, one for each memory that more than one of them takes:
    "memory" or "accelerator", the bytes that they take at most, and those that the machine can give
    to one of them.

    What two of them share, as a program's own files, counts twice: `check_together` counts it once.
    Of several accelerators nothing is summed, for each model may lie on another.
    """
    local = [verdict for verdict in verdicts if verdict.can_run]
    for check in HELD:
        if check == "accelerator" and len(verdicts[0].machine.accelerators or ()) > 1:
            continue
        pairs = [
            (finding.needs, finding.has)
            for finding in (verdict.finding(check) for verdict in local)
            if finding is not None
            and isinstance(finding.needs, int)
            and isinstance(finding.has, int)
        ]
        if len(pairs) > 1:
            total_bytes = sum(needs for needs, _ in pairs)
            yield check, total_bytes, max(has for _, has in pairs)


# between the names of models that run side by side
TOGETHER = " + "


class Beside(Record):
    """One of several models that are to run side by side, as `check_with` takes it."""

    model: str | os.PathLike[str] | ModelSpec
    workload: Workload
    requires_runtime: bool = False


def check_together_with(
    catalogue: Catalogue,
    models: Sequence[Beside],
    machine: Machine,
    *,
    today: str | None = None,
    follows_machine: bool = True,
) -> Verdict:
    """One verdict for several models at once on one machine: see `judge.together`.

    Its model's id and name join theirs, its needs are the sums, its `speed` is None and its
    `workload` states the basis of memory alone. Without `follows_machine` each is judged in its own
    defaults, but pictures and video in what the machine takes of them alone. The route is `api`
    where an API serves each of them. Raises as `check` does, for the first model that is wrong.
    """
    # every name is looked up before anything is worked out
    suiting = machine if follows_machine else None
    understood = [understand(catalogue, each.model, each.workload, suiting) for each in models]
    questions = [
        _question(catalogue, meant, machine, each.requires_runtime, follows_machine=follows_machine)
        for each, meant in zip(models, understood, strict=True)
    ]
    day = today or units.utc_today()
    return verdict_together(
        [meant.asked for meant in understood],
        questions,
        machine,
        lambda judged: all(offers_for(catalogue, each, judged, day) for each in questions),
    )


def _question(
    catalogue: Catalogue,
    meant: Understood,
    machine: Machine,
    requires_runtime: bool,
    *,
    follows_machine: bool,
) -> Question:
    # a program that must be installed already may decide which type and program are taken
    question = question_of(catalogue, meant, machine, requires_runtime=requires_runtime)
    if question.in_turn:
        # the least memory leaves most to the others
        return in_usual_type(question, meant.workload, catalogue, machine)
    if follows_machine:
        return judged_for(catalogue, meant, machine, requires_runtime=requires_runtime).question
    if has_ways(meant, question):
        return suited_by_list(question, meant.workload, catalogue, machine).question
    return question


def verdict_together(
    names: Sequence[str],
    questions: Sequence[Question],
    machine: Machine,
    are_offered: Callable[[Judged], bool],
) -> Verdict:
    """The verdict on questions about several models, which are called so. `are_offered` says of
    what fails whether an API serves each of them.
    """
    from ..judge.together import judge_together

    judged = judge_together(questions, names, machine)
    specs = [question.spec for question in questions]
    return Verdict(
        asked=TOGETHER.join(names),
        model=ModelSpec(
            id=TOGETHER.join(spec.id for spec in specs),
            name=TOGETHER.join(spec.name for spec in specs),
        ),
        workload=Workload().replace(memory_basis=questions[0].workload.memory_basis),
        machine=machine,
        route=judged.route(judged.failed and are_offered(judged)),
        needs=judged.needs,
        speed=None,
        findings=judged.findings,
    )
