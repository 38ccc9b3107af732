"""What a notebook shows of an answer: one table of HTML, without a script, that loads nothing and
inherits the colours of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..advice.plan import Plan
from ..advice.sizes import ContainerSize
from ..answers.several import Comparison, Ranking
from ..core import units
from ..verdict.record import Answer, Verdict
from ..verdict.speed import PaceRange
from .brief import summary
from .list_text import license_words
from .page import text

# of hundreds of models, and of known machines, as many as one looks at
_MOST_MODELS, _MOST_MACHINES = 20, 10


def of_verdict(verdict: Verdict) -> str:
    """Each finding with its remedy, what would run instead, what is noted, and what to type."""
    rows: list[tuple[str, str, str, str]] = [
        (finding.check, finding.outcome, finding.reason, finding.remedy or "")
        for finding in verdict.findings
    ]
    rows += [
        ("instead", "", f"{other.name} in {other.quantization}: {other.why}", "")
        for other in verdict.alternatives
    ]
    rows += [
        ("API", "", f"{offer.provider}: {offer.model}", "") for offer in verdict.api_offers[:1]
    ]
    rows += [("note", "", note, "") for note in (*verdict.understood_as, *verdict.notes)]
    rows += [("to type", "", line, "") for line in (*verdict.setup, *verdict.commands)]
    return _table(summary(verdict), ("", "outcome", "reason", "what to do"), rows)


def of_ranking(ranking: Ranking) -> str:
    """The first models."""
    rows = [
        (
            row.model.name,
            row.route,
            row.quantization or "",
            row.runtime or "",
            _size(row.memory_high_bytes),
            _pace(row.judged_tokens_per_second),
            row.why or "",
        )
        for row in ranking.models[:_MOST_MODELS]
    ]
    heads = ("model", "route", "quantization", "runtime", "memory", "tokens/s", "why")
    return _table(_counted(ranking, len(ranking.models) - len(rows)), heads, rows)


def of_comparison(comparison: Comparison) -> str:
    """The models side by side, one a row."""
    rows = [
        (
            model.verdict.model.name,
            model.verdict.route,
            model.verdict.workload.quantization or "",
            model.verdict.workload.runtime or "",
            _memory(model.verdict),
            _pace(model.verdict.speed.judged if model.verdict.speed else None),
            license_words(model.verdict.model),
        )
        for model in comparison.models
    ]
    heads = ("model", "route", "quantization", "runtime", "memory", "tokens/s", "license")
    return _table(f"{len(rows)} models compared", heads, rows)


def of_plan(plan: Plan) -> str:
    """The least machine, and the smallest known ones that run the model."""
    rows = []
    if (least := plan.least) is not None:
        card = _size(least.accelerator.memory_bytes) if least.accelerator.required else ""
        rows.append(("the least", _size(least.memory_bytes), card, ""))
    rows += [
        (
            f"{machine.title} ({machine.name})",
            _size(machine.profile.machine.memory_total_bytes),
            " and ".join(card.name for card in machine.profile.machine.accelerators or ()),
            _pace(machine.speed.judged if machine.speed else None),
        )
        for machine in plan.fitting[:_MOST_MACHINES]
    ]
    rows += [("not possible", finding.reason, finding.remedy or "", "") for finding in plan.reasons]
    title = (
        f"{plan.model.name}: {len(plan.fitting)} of {len(plan.machines)} known machines run it"
        f"{_shown_of(len(plan.fitting), _MOST_MACHINES)}"
    )
    return _table(title, ("machine", "RAM", "GPU", "tokens/s"), rows)


def of_size(size: ContainerSize) -> str:
    """What to request and to limit, and what else the container takes."""
    cards = ", ".join(f"{card.name} ({_size(card.memory_bytes)})" for card in size.accelerators)
    rows = [
        ("memory request", _size(size.request_bytes)),
        ("memory limit", _size(size.limit_bytes)),
        ("of it page cache", _size(size.page_cache_bytes)),
        *(
            ("grows", f"{growth.name.replace('_', ' ')}: {_size(growth.bytes)}")
            for growth in size.growths
        ),
        ("disk", "not known" if size.disk_bytes is None else units.decimal(size.disk_bytes)),
        ("GPUs", cards or "none"),
        ("image", size.image or "none is published"),
        *(("note", note) for note in size.notes),
    ]
    return _table(f"{size.model.name} in a container, by {size.runtime.name}", ("", ""), rows)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In ASCII, all words escaped."""
    titles = "".join(f"<th>{text(head)}</th>" for head in heads) if any(heads) else ""
    body = "".join(
        f"<tr>{''.join(f'<td {_LEFT}>{text(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    head = f"<thead><tr>{titles}</tr></thead>" if titles else ""
    html = f"<table><caption {_LEFT}>{text(title)}</caption>{head}<tbody>{body}</tbody></table>"
    return html.encode("ascii", "xmlcharrefreplace").decode("ascii")


# notebooks put the words of a table to the right
_LEFT = 'style="text-align:left"'


def _counted(ranking: Ranking, more: int) -> str:
    running = sum(row.route == "local" for row in ranking.models)
    rest = f"; {more:,} more are in its models" if more > 0 else ""
    return f"{running:,} of {len(ranking.models):,} models run on {ranking.machine.name}{rest}"


def _shown_of(count: int, most: int) -> str:
    return f"; the smallest {most}" if count > most else ""


def _memory(answer: Answer) -> str:
    memory = answer.needs.memory if answer.needs else None
    return _size(memory.high_bytes if memory else None)


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else units.binary(size_bytes)


def _pace(pace: PaceRange | None) -> str:
    return "" if pace is None else units.likely_pace(pace.low, pace.likely, pace.high)
