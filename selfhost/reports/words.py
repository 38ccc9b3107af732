"""The words that the reports share, each from the module of its subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..core.tables import shipped_table
from .age_words import age_blocks, months_between
from .answer_words import (
    ANSWERS,
    MACHINE_ROWS,
    ONCE_RAISED,
    OPENNESS_WORDS,
    ORDER,
    answer_cell,
    answer_line,
    causes,
    count_words,
    failed_words,
    is_ruled_out,
    limit_words,
    open_words,
    ordered,
    shutdown_words,
    summary,
    type_that_runs,
)
from .api_words import API_RISKS, month_blocks, no_api_words, offer_words, request_blocks
from .case_words import asked_words, first_way, format_words, run_words
from .machine_words import HERE, PLACES, fact_label, memory_words, place_words, planned_words
from .pace_words import PACES, RANGES, TOKENS, below_words, pace_of, pace_title, pace_words

__all__ = [
    "ANSWERS",
    "API_RISKS",
    "HERE",
    "LABELS",
    "MACHINE_ROWS",
    "ONCE_RAISED",
    "OPENNESS_WORDS",
    "ORDER",
    "PACES",
    "PLACES",
    "RANGES",
    "TOKENS",
    "age_blocks",
    "answer_cell",
    "answer_line",
    "asked_words",
    "below_words",
    "causes",
    "count_words",
    "fact_label",
    "failed_words",
    "first_way",
    "format_words",
    "is_ruled_out",
    "known",
    "limit_words",
    "memory_words",
    "month_blocks",
    "months_between",
    "no_api_words",
    "offer_words",
    "open_words",
    "ordered",
    "pace_of",
    "pace_title",
    "pace_words",
    "place_words",
    "planned_words",
    "request_blocks",
    "run_words",
    "shutdown_words",
    "summary",
    "type_that_runs",
]
Number = TypeVar("Number", int, float)
LABELS = shipped_table("labels")


def known(value: Number | None, write: Callable[[Number], str], absent: str = "-") -> str:
    """A figure as `write` has it, or what stands for one that is not known."""
    return absent if value is None else write(value)
