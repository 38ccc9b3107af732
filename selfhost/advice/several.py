"""Many answers in one: `Ranking` of the catalogue for a machine, `Comparison` of some models."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record
from ..judge.pace.speed import PaceRange
from ..judge.record import Outcome, Route, Verdict
from ..machine.reader import Machine

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
        return _as_json("ranking", self)

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the first models."""
        table: str = _report("notebook").of_ranking(self)
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
        return _as_json("compared", [model.verdict for model in self.models])

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the models."""
        table: str = _report("notebook").of_comparison(self)
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


def _as_json(function: str, value: object) -> dict[str, Any]:
    """What that function of `reports.json` gives."""
    document: dict[str, Any] = getattr(_report("json"), function)(value)
    return document


def _report(name: str) -> Any:
    """That module of `reports`, which imports this one, so that it is loaded when it is asked."""
    from importlib import import_module

    return import_module(f"..reports.{name}", __package__)
