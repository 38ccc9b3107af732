"""The comparison of a model's needs with a machine, in checks.

The modules of this package hold the checks: `model` checks the model itself, `space` memory and
disk, `accelerator` the GPUs, `runtime` whether the program runs, and `speed` the pace.

Each check has two steps. It decides on a `Ruling`: an outcome, a code, and the figures of that
branch. Then `finding` puts the ruling into the words of `specs/common/findings.toml`. The worst of
several possible outcomes wins, so that a check looks for failures first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache, cached_property, partial
from typing import Any, NamedTuple

from ...core.errors import Problem, WorkloadError
from ...core.records import Record, Stated, Unread, read_by
from ...core.tables import shipped_record
from ...core.templates import fill
from ...core.workload import in_python


class Outcome(StrEnum):
    """The outcome of one check, from best to worst for the answer."""

    PASS = "pass"
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"


class StatedWords(Record):
    """The reason and the remedy of a finding, in full."""

    reason: str
    remedy: str | None = None


class Amounts(NamedTuple):
    """The bytes that a model needs of one memory or disk, and those that a program may take."""

    needs: int
    has: int

    @property
    def share(self) -> float:
        """The need as a share of what there is; 0 where there is nothing."""
        return self.needs / self.has if self.has else 0.0

    @property
    def left(self) -> int:
        """The bytes that are left; below 0 where some are lacking."""
        return self.has - self.needs


class Finding(Record):
    """The result of one check.

    `needs` and `has` are numbers in `unit`, or text where `unit` is None. `short` is the missing
    amount: 0 where nothing is missing, None where there is no amount. `code` is one of the codes in
    docs/answers.md. Only the memory check sets `reserve_bytes`. `words` hold the `reason`, a
    sentence, and the `remedy`, None where there is none.
    """

    check: str
    outcome: Outcome
    code: str
    needs: int | float | str | None = None
    has: int | float | str | None = None
    short: int | float | None = None
    unit: str | None = None
    reserve_bytes: int | None = None
    words: StatedWords | Words

    @property
    def reason(self) -> str:
        """Why the outcome is what it is, as a sentence."""
        return self.words.reason

    @property
    def remedy(self) -> str | None:
        """The remedy that a user can apply; None where nothing is to be done."""
        return self.words.remedy

    def __str__(self) -> str:
        """The finding as a sentence, with its remedy.

        Python keywords stand in place of the command-line options that `reason` and `remedy` name.
        """
        text = f"{self.check}: {self.reason}"
        if self.remedy is not None:
            text += f" \N{RIGHTWARDS ARROW} {self.remedy}"
        return in_python(text)

    def in_words(self, reason: str, remedy: str | None) -> Finding:
        """The same finding with that reason and that remedy."""
        return self.replace(words=StatedWords(reason=reason, remedy=remedy))

    @property
    def amounts(self) -> Amounts | None:
        """The bytes that are compared; None where one of the two is not known."""
        if isinstance(self.needs, int) and isinstance(self.has, int):
            return Amounts(self.needs, self.has)
        return None

    @property
    def severity(self) -> int:
        """The severity of the outcome: 0 for a pass, larger for a worse outcome."""
        return list(Outcome).index(self.outcome)

    @property
    def decides(self) -> bool:
        """Whether the finding keeps the model from running here for certain.

        A fail decides. An unknown decides too, except for an unknown speed without a minimum set by
        the user.
        """
        if self.outcome is Outcome.UNKNOWN:
            return self.code != "speed-not-known"
        return self.outcome is Outcome.FAIL


# ------------------------------------------------------------------ rulings

# values by the names that the sentences of findings.toml use
Figures = dict[str, Any]
_NOT_GIVEN = Figures.fromkeys(
    ("needs", "has", "short", "unit", "reserve_bytes", "why", "remedy")
)


class Ruling(Record):
    """The decision of one branch of a check.

    `variant` selects one of several wordings of a code; "" is the usual wording. Of the `figures`,
    `needs`, `has`, `short`, `unit` and `reserve_bytes` become fields of the finding. The figure
    `why` is text or an `Unread`. The figure `remedy` replaces the remedy of the table. A figure of
    words that take long to work out is a function that returns them.
    """

    outcome: Outcome
    code: str
    variant: str
    figures: Figures

    @classmethod
    def of(
        cls,
        outcome: Outcome,
        code: str,
        variant: str = "",
        /,
        **figures: object,
    ) -> Ruling:
        """Return the ruling with that outcome.

        `passing("memory-fits", "now", has=now)` returns a pass; `warning`, `undecided` and
        `failing` work alike.
        """
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


class CheckRow(Stated):
    """The row of one check in `specs/common/findings.toml`.

    - `title`: the name of the check on the screen. `row`: the position of its row there, None where
      it has no row.
    - `mended_by`: what the user must change where the check fails. A check that only another model
      mends fails in every type and runtime and on every machine.
    - `why_not`: why a model does not run where the check fails.
    - `asks`, `remedy`: the rule of the check in an audit, and what to do where the rule is broken.
    - `exception`: what ends the need of an exception from the rule.
    """

    title: str
    row: int | None = read_by(default=None, minimum=1)
    mended_by: str = read_by(choices=("model", "program", "machine"))
    why_not: str
    asks: str
    remedy: str
    exception: str


class WorkWords(Stated):
    """The limit from which a kind of work counts as slow, and the words for slow work.

    - `limit`: seconds, or tokens or documents a second.
    - `code`: the code of the finding of slow work. `faster`: its remedy.
    - `what`: the name of work that is known to be slow unless a GPU holds all of the model.
    - `on_cpu`: the remark that the pace on a CPU is not known, for models with
      `on_cpu_from_parameters` parameters or more.
    """

    limit: float
    code: str
    faster: str
    what: str | None = None
    on_cpu: str | None = None
    on_cpu_from_parameters: int = 0


class FindingWords(Stated):
    """The tables of `specs/common/findings.toml`.

    - `checks`: the row of each check, in the order of the JSON.
    - `codes`: the meaning of each code. `findings`: the templates, by code and variant.
    - `why_not`, `why_open`: why a model does not run, or why that cannot be told, by code.
    - `doubts`: the remark beside the figures of a finding, by code. `titles`: the title of its row,
      by code.
    - `faults`: the templates for options that make no sense for a model or a runtime. `work`: the
      words for work of other kinds than text, by the unit of its pace.
    - `phrases` are shared by findings, `parts` by templates.
    - `store_variables`: the environment variable that moves a store of models, by the purpose of
      its disk.
    """

    checks: Mapping[str, CheckRow]
    codes: Mapping[str, str]
    why_not: Mapping[str, str]
    why_open: Mapping[str, str]
    doubts: Mapping[str, str]
    titles: Mapping[str, str]
    parts: Mapping[str, str]
    phrases: Mapping[str, str]
    store_variables: Mapping[str, str]
    faults: Mapping[str, Mapping[str, str]]
    work: Mapping[str, WorkWords]
    findings: Mapping[str, Mapping[str, str]]


WORDS = shipped_record(FindingWords, "findings")
# the names of all checks, in the order of the JSON
CHECKS = tuple(WORDS.checks)


def checks_mended_by(*changes: str) -> tuple[str, ...]:
    """The names of the checks whose failure one of the changes mends: of the "model", the "program"
    or the "machine".
    """
    return tuple(name for name, row in WORDS.checks.items() if row.mended_by in changes)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings in the order of the checks."""
    return tuple(sorted(findings, key=lambda finding: CHECKS.index(finding.check)))


def check_of(code: str) -> str:
    """The name of the check to which a code belongs: `disk-too-small` belongs to `disk`."""
    check, _, _ = code.partition("-")
    return check


class Wording(Record):
    """The templates of a sentence and of its remedy, or the code whose wording it shares."""

    reason: str = ""
    remedy: str = ""
    like: str = ""


class Words(Record):
    """The reason and the remedy of a finding, made from templates and figures.

    The templates are filled in when they are read for the first time, because a list and an audit
    read few of them. Words are equal, shown and stored as the sentences that they make.
    """

    code: str
    variant: str
    figures: Figures

    @cached_property
    def stated(self) -> StatedWords:
        """The sentences in full."""
        wording = _wording(self.code, self.variant)
        figures = {}
        for name, figure in self.figures.items():
            figures[name] = figure() if callable(figure) else figure
        remedy: str | None = figures["remedy"]
        why = figures["why"]
        if isinstance(why, Unread):
            figures["why"] = why.reason
            remedy = remedy or why.remedy
        if figures.get("confidence") == "high":
            # a reason names a confidence only where it is below high
            figures["confidence"] = None
        return StatedWords(
            reason=_sentence(wording.reason, figures),
            remedy=remedy or _sentence(wording.remedy, figures) or None,
        )

    @property
    def reason(self) -> str:
        """Why the outcome is what it is, as a sentence."""
        return self.stated.reason

    @property
    def remedy(self) -> str | None:
        """The remedy that the check found, else the remedy of the unread fact, else the remedy of
        the table.
        """
        return self.stated.remedy

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Words):
            return self.stated == other.stated
        return self.stated == other

    def __hash__(self) -> int:
        return hash(self.stated)

    def __repr__(self) -> str:
        return repr(self.stated)

    def __reduce__(self) -> tuple[object, ...]:
        stated = self.stated
        return partial(StatedWords, reason=stated.reason, remedy=stated.remedy), ()


def finding(ruling: Ruling, /, **common: object) -> Finding:
    """Return the finding of a ruling.

    `common` are figures that all branches of the check share. The figures of the ruling override
    them.
    """
    figures: Figures = {**_NOT_GIVEN, **common, **ruling.figures}
    return Finding(
        check=check_of(ruling.code),
        outcome=ruling.outcome,
        code=ruling.code,
        needs=figures["needs"],
        has=figures["has"],
        short=figures["short"],
        unit=figures["unit"],
        reserve_bytes=figures["reserve_bytes"],
        words=Words(code=ruling.code, variant=ruling.variant, figures=figures),
    )


@cache
def _wording(code: str, variant: str) -> Wording:
    """The templates of CODE or CODE/VARIANT. A code may share the templates of another code."""
    rows = WORDS.findings
    if code in rows:
        code = rows[code].get("like", code)
    return Wording(**rows[f"{code}/{variant}" if variant else code])


class OptionFault(Record):
    """The decision that an option makes no sense for the model or the program.

    `kind` is the key of the sentences in `[faults]` of `specs/common/findings.toml`, and `figures`
    are the values that these sentences name.
    """

    option: str
    kind: str
    figures: Figures


def error_of(*faults: OptionFault) -> WorkloadError:
    """Return the error that tells the faults in words, each with the remedy to type."""
    problems = []
    for fault in faults:
        wording = Wording(**WORDS.faults[fault.kind])
        problem = Problem(
            file="workload",
            key=fault.option,
            message=_sentence(wording.reason, fault.figures),
            remedy=_sentence(wording.remedy, fault.figures) or None,
        )
        problems.append(problem)
    return WorkloadError(problems)


def phrase(key: str, **figures: object) -> str:
    """Return a phrase that several findings share, with its figures filled in."""
    return _sentence(WORDS.phrases[key], figures)


def _sentence(template: str, figures: Mapping[str, object]) -> str:
    return fill(template, figures, parts=WORDS.parts)
