"""How each check compares what a model needs with what a machine has.

The modules of this package hold the checks: `model` says what the model is, `space` what memory and
disk hold, `accelerator` what the GPUs hold, and `runtime` whether the program runs and how fast.

A check reads in two steps. It decides on a `Ruling`: an outcome, a code, and the figures of that
branch. Then `finding` puts the ruling into the words of `specs/common/findings.toml`. Where several
outcomes are possible the worst wins, so that a check looks for failures first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from ...core.errors import WorkloadError
from ...core.records import Record, Unread
from ...core.tables import shipped_table
from ...core.templates import fill


class Outcome(StrEnum):
    """The outcome of one check, from best to worst for the answer."""

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
    """The result of one check.

    `needs` and `has` are numbers in `unit` or, where `unit` is None, text. `short` is how much is
    missing: 0 where nothing is, None where there is no amount. `code` is one of those in
    docs/answers.md. Only the check of memory sets `reserve_bytes`.
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
        return list(Outcome).index(self.outcome)

    @property
    def decides(self) -> bool:
        """Whether it keeps the model from running here for certain.

        A fail does, and so does an unknown, except the unknown speed that nobody set a minimum for.
        """
        if self.outcome is Outcome.UNKNOWN:
            return self.code != "speed-not-known"
        return self.outcome is Outcome.FAIL


# ------------------------------------------------------------------ rulings

# values by the names that the sentences of findings.toml have for them
Figures = dict[str, Any]
_NOT_GIVEN = Figures.fromkeys(
    ("needs", "has", "short", "unit", "reserve_bytes", "why", "remedy")
)


class Ruling(Record):
    """What one branch of a check decided.

    `variant` chooses between several wordings of a code, "" the usual one. Of the `figures`,
    `needs`, `has`, `short`, `unit` and `reserve_bytes` become fields of the finding. `why` is text
    or an `Unread`, and `remedy` takes the place of the remedy in the table.
    """

    outcome: Outcome
    code: str
    variant: str
    figures: Figures


def passing(code: str, variant: str = "", /, **figures: object) -> Ruling:
    """The need is met."""
    return Ruling(outcome=Outcome.PASS, code=code, variant=variant, figures=figures)


def warning(code: str, variant: str = "", /, **figures: object) -> Ruling:
    """The need is met, but not well."""
    return Ruling(outcome=Outcome.WARN, code=code, variant=variant, figures=figures)


def undecided(code: str, variant: str = "", /, **figures: object) -> Ruling:
    """Whether the need is met is not known."""
    return Ruling(outcome=Outcome.UNKNOWN, code=code, variant=variant, figures=figures)


def failing(code: str, variant: str = "", /, **figures: object) -> Ruling:
    """The need is not met."""
    return Ruling(outcome=Outcome.FAIL, code=code, variant=variant, figures=figures)


# ------------------------------------------------------------------ words


class Wording(Record):
    """The templates of a sentence and of its remedy, or the code whose wording it shares."""

    reason: str = ""
    remedy: str = ""
    like: str = ""


class WorkWords(Record):
    """From where on a kind of work is slow, by its unit, and the words for that.

    - `limit`: seconds, or tokens or documents a second.
    - `code` of the finding of slow work, and `faster` its remedy.
    - `what`: the work, where it is known to be slow unless a GPU holds all of the model.
    - `on_cpu`: that the pace on a CPU is not known, of models of `on_cpu_from_parameters` or more.
    """

    limit: float
    code: str
    faster: str
    what: str | None = None
    on_cpu: str | None = None
    on_cpu_from_parameters: int = 0


class FindingWords(Record):
    """The words of `specs/common/findings.toml`, of findings by CODE or CODE/VARIANT."""

    findings: Mapping[str, Wording]
    faults: Mapping[str, Wording]
    work: Mapping[str, WorkWords]
    phrases: Mapping[str, str]
    parts: Mapping[str, str]


@cache
def _words() -> FindingWords:
    table = shipped_table("findings")
    return FindingWords(
        findings={key: Wording(**row) for key, row in table["findings"].items()},
        faults={key: Wording(**row) for key, row in table["faults"].items()},
        work={unit: WorkWords(**row) for unit, row in table["work"].items()},
        phrases=table["phrases"],
        parts=table["parts"],
    )


def words_of_work(unit: str) -> WorkWords:
    """From where on work is slow whose pace is counted in that unit."""
    return _words().work[unit]


def finding(ruling: Ruling, /, **common: object) -> Finding:
    """The finding of that ruling.

    `common` are figures that all branches of the check share. Those of the ruling come before them.
    """
    values: Figures = {**_NOT_GIVEN, **common, **ruling.figures}
    remedy = values["remedy"]
    why = values["why"]
    if isinstance(why, Unread):
        remedy = remedy or why.remedy
        values["why"] = why.reason
    if values.get("confidence") == "high":
        # a reason names a confidence only where it is lower
        values["confidence"] = None
    wording = _wording(ruling)
    return Finding(
        check=ruling.code.partition("-")[0],
        outcome=ruling.outcome,
        code=ruling.code,
        needs=values["needs"],
        has=values["has"],
        short=values["short"],
        unit=values["unit"],
        reserve_bytes=values["reserve_bytes"],
        reason=_sentence(wording.reason, values),
        remedy=remedy or _sentence(wording.remedy, values) or None,
    )


def _wording(ruling: Ruling) -> Wording:
    findings = _words().findings
    code = ruling.code
    if code in findings:
        code = findings[code].like or code
    return findings[f"{code}/{ruling.variant}" if ruling.variant else code]


def fault(option: str, key: str, **figures: object) -> WorkloadError:
    """The error of an option that makes no sense, with what to type instead."""
    wording = _words().faults[key]
    remedy = _sentence(wording.remedy, figures) or None
    return WorkloadError.of(option, _sentence(wording.reason, figures), remedy)


def phrase(key: str, **figures: object) -> str:
    """A phrase that several findings share, with its figures."""
    return _sentence(_words().phrases[key], figures)


def _sentence(template: str, figures: Mapping[str, object]) -> str:
    return fill(template, figures, parts=_words().parts)
