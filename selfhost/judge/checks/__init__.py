"""How each check holds needs against a machine. The branch that decides gives the outcome, the code
and the figures; `specs/common/findings.toml` has the sentences.

What the model is: `model`. What the machine gives: `space`. How it would run: `runtime`, with CPU
and speed, and `accelerator`. Of several outcomes the worst wins: each check looks for `fail` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ...core.errors import WorkloadError
from ...core.records import Record, Unread
from ...core.tables import shipped_table
from ...core.templates import fill


class Outcome(StrEnum):
    """Of one finding, from best to worst for the answer."""

    PASS = "pass"
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"


CHECKS = (
    "weights",
    "license",
    "openness",
    "context",
    "disk",
    "memory",
    "accelerator",
    "cpu",
    "runtime",
    "speed",
)


class Finding(Record):
    """One comparison, need against machine.

    `needs` and `has` are numbers in `unit` or, with `unit` None, text; `short` is how much is
    missing, 0 when nothing is and None where there is no amount. `code` is one of those in
    docs/answers.md. `reserve_bytes` is set for memory only.
    """

    check: str
    outcome: Outcome
    code: str
    needs: int | float | str | None = None
    has: int | float | str | None = None
    short: int | float | None = None
    unit: str | None = None
    reserve_bytes: int | None = None
    reason: str
    remedy: str | None = None

    @property
    def severity(self) -> int:
        """0 for a pass, more the worse the outcome is."""
        return (*Outcome,).index(self.outcome)

    @property
    def decides(self) -> bool:
        """A fail, or an unknown but that of a speed where no minimum was stated."""
        is_open = self.outcome is Outcome.UNKNOWN and self.code != "speed-not-known"
        return is_open or self.outcome is Outcome.FAIL


# outcome, code, variant, and the figures that a finding has beside the common ones of its check
# what the sentences of a finding name, and what decides on their optional words
Figures = dict[str, Any]
# the outcome, the code, the variant of its words, and the figures that these name
Cell = tuple[Outcome, str, str, Figures]
PASS, WARN, UNKNOWN, FAIL = Outcome
_FIELDS = ("needs", "has", "short", "unit", "reserve_bytes")


def finding(
    outcome: Outcome,
    code: str,
    variant: str = "",
    figures: Mapping[str, Any] | None = None,
    /,
    **common: Any,
) -> Finding:
    """A finding in the words of its code, or of the code that it is `like`, in that variant.

    Of the figures, which go before those in `common`, `why` may be an `Unread`, and `remedy` takes
    the place of the table's. The code begins with the name of the check.
    """
    values = {**dict.fromkeys((*_FIELDS, "why", "remedy")), **common, **(figures or {})}
    remedy, why = values["remedy"], values["why"]
    if values.get("confidence") == "high":
        # a reason names a confidence only where it is lower
        values["confidence"] = None
    if isinstance(why, Unread):
        remedy, values["why"] = remedy or why.remedy, why.reason
    rows = shipped_table("findings")["findings"]
    worded_as = rows.get(code, {}).get("like", code)
    words = rows[f"{worded_as}/{variant}" if variant else worded_as]
    return Finding(
        check=code.partition("-")[0],
        outcome=outcome,
        code=code,
        **{name: values[name] for name in _FIELDS},
        reason=_sentence(words["reason"], values),
        remedy=remedy or _sentence(words.get("remedy", ""), values) or None,
    )


def fault(option: str, key: str, **figures: object) -> WorkloadError:
    """What makes no sense of that option, in the words of that key, and what to type instead."""
    words = shipped_table("findings")["faults"][key]
    remedy = _sentence(words.get("remedy", ""), figures) or None
    return WorkloadError.of(option, _sentence(words["reason"], figures), remedy)


def phrase(key: str, **figures: object) -> str:
    """A sentence that several findings share, with its figures."""
    return _sentence(shipped_table("findings")["phrases"][key], figures)


def _sentence(template: str, figures: Mapping[str, object]) -> str:
    return fill(template, figures, parts=shipped_table("findings")["parts"])
