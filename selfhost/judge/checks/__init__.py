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
from functools import cache, partial
from typing import Any

from ...core.errors import WorkloadError
from ...core.records import Record, Stated, Unread
from ...core.tables import shipped_record
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
    "wait",
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

    @classmethod
    def of(
        cls, outcome: Outcome, code: str, variant: str = "", /, **figures: object
    ) -> Ruling:
        """`passing("memory-fits", "now", has=now)` is that of a pass, and so on below."""
        return cls(outcome=outcome, code=code, variant=variant, figures=figures)


# the need is met
passing = partial(Ruling.of, Outcome.PASS)
# the need is met, but not well
warning = partial(Ruling.of, Outcome.WARN)
# whether the need is met is not known
undecided = partial(Ruling.of, Outcome.UNKNOWN)
# the need is not met
failing = partial(Ruling.of, Outcome.FAIL)


# ------------------------------------------------------------------ words


class _FindingsTable(Stated):
    """`specs/common/findings.toml`. `codes` say what each code means. `findings` and `faults` are
    templates by code; `work` are the fields of `WorkWords` by the unit of a pace. `phrases` are
    shared by findings, and `parts` by templates.
    """

    codes: Mapping[str, str]
    parts: Mapping[str, str]
    phrases: Mapping[str, str]
    faults: Mapping[str, Mapping[str, str]]
    work: Mapping[str, Mapping[str, Any]]
    findings: Mapping[str, Mapping[str, str]]


def _table() -> _FindingsTable:
    return shipped_record(_FindingsTable, "findings")


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


@cache
def words_of_work(unit: str) -> WorkWords:
    """From where on work is slow whose pace is counted in that unit."""
    return WorkWords(**_table().work[unit])


def finding(ruling: Ruling, /, **common: object) -> Finding:
    """The finding of that ruling.

    `common` are figures that all branches of the check share. Those of the ruling come before them.
    """
    values: Figures = {**_NOT_GIVEN, **common, **ruling.figures}
    remedy = values["remedy"]
    why = values["why"]
    if isinstance(why, Unread):
        values["why"] = why.reason
        if not remedy:
            remedy = why.remedy
    if values.get("confidence") == "high":
        # a reason names a confidence only where it is lower
        values["confidence"] = None
    wording = _wording(ruling.code, ruling.variant)
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


@cache
def _wording(code: str, variant: str) -> Wording:
    """The templates of CODE or CODE/VARIANT; a code may share those of another."""
    rows = _table().findings
    if code in rows:
        code = rows[code].get("like", code)
    return Wording(**rows[f"{code}/{variant}" if variant else code])


def fault(option: str, key: str, **figures: object) -> WorkloadError:
    """The error of an option that makes no sense, with what to type instead."""
    wording = Wording(**_table().faults[key])
    remedy = _sentence(wording.remedy, figures) or None
    return WorkloadError.of(option, _sentence(wording.reason, figures), remedy)


def phrase(key: str, **figures: object) -> str:
    """A phrase that several findings share, with its figures."""
    return _sentence(_table().phrases[key], figures)


def _sentence(template: str, figures: Mapping[str, object]) -> str:
    return fill(template, figures, parts=_table().parts)
