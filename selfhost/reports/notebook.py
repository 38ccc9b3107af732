"""What a notebook shows of an answer: HTML that loads nothing and has the page's own colours."""

from __future__ import annotations

from ..advice.listing import Ranking
from ..advice.plan import Plan
from ..advice.several import Comparison
from ..advice.sizes import ContainerSize
from ..core import units
from ..judge.record import Verdict
from .check_text import check_document
from .compare_text import compare_document
from .layout import Cell, Column, Document, Table, say, strong
from .markup import fragment
from .plan_text import plan_document
from .size_text import size_document
from .words import likely_speed

# of hundreds of models as many as one looks at
_MOST_MODELS = 20


def of_verdict(verdict: Verdict) -> str:
    """Return what `selfhost check` shows of it."""
    return fragment(check_document([verdict]))


def of_comparison(comparison: Comparison) -> str:
    """Return the models side by side."""
    return fragment(compare_document([model.verdict for model in comparison.models]))


def of_plan(plan: Plan) -> str:
    """Return the least machine, and known ones that run the model."""
    return fragment(plan_document(plan))


def of_size(size: ContainerSize) -> str:
    """Return what to request and to limit, and what else the container takes."""
    return fragment(size_document([size]))


def of_ranking(ranking: Ranking) -> str:
    """Return the first models, one a row."""
    rows: list[tuple[Cell, ...]] = []
    for row in ranking.models[:_MOST_MODELS]:
        pace, memory = row.judged_tokens_per_second, row.memory_high_bytes
        size = "" if memory is None else units.binary(memory)
        figures = (size, likely_speed(pace, "") if pace else "", row.why or "")
        rows.append((strong(row.model.name), row.route, row.quantization or "", *figures))
    heads = ("model", "route", "quantization", "memory", "tokens/s", "why")
    running = sum(row.route == "local" for row in ranking.models)
    count = f"{running:,} of {len(ranking.models):,} models run on {ranking.machine.name}"
    table = Table(columns=tuple(Column(title=head) for head in heads), rows=tuple(rows))
    return fragment(Document(blocks=(say(count), table)))
