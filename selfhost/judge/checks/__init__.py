"""How each check compares what a model needs with what a machine has.

The modules of this package hold the checks: `model` says what the model is, `space` what memory and
disk hold, `accelerator` what the GPUs hold, `runtime` whether the program runs, and `speed` how
fast it is.

A check reads in two steps. It decides on a `Ruling`: an outcome, a code, and the figures of that
branch. Then `finding` puts the ruling into the words of `specs/common/findings.toml`. Where several
outcomes are possible the worst wins, so that a check looks for failures first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache, cached_property, partial
from typing import Any

from ...core.errors import WorkloadError
from ...core.records import Record, Stated, Unread, read_by
from ...core.tables import shipped_record
from ...core.templates import fill


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


class Finding(Record):
    """The result of one check.

    `needs` and `has` are numbers in `unit` or, where `unit` is None, text. `short` is how much is
    missing: 0 where nothing is, None where there is no amount. `code` is one of those in
    docs/answers.md. Only the check of memory sets `reserve_bytes`. `words` have the `reason`, a
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
        """What a person can do about it; None where nothing is to be done."""
        return self.words.remedy

    def __str__(self) -> str:
        """The finding as a sentence, with what to do: the keywords of Python stand in place of the
        options of the command line that `reason` and `remedy` name.
        """
        # needed only where a program prints a finding
        from ...core.workload import in_python

        text = f"{self.check}: {self.reason}"
        if self.remedy is not None:
            text += f" \N{RIGHTWARDS ARROW} {self.remedy}"
        return in_python(text)

    def in_words(self, reason: str, remedy: str | None) -> Finding:
        """The same finding with that reason and that remedy."""
        return self.replace(words=StatedWords(reason=reason, remedy=remedy))

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
        cls,
        outcome: Outcome,
        code: str,
        variant: str = "",
        /,
        **figures: object,
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


class CheckRow(Stated):
    """What `specs/common/findings.toml` states of one check.

    - `title`: what the screen calls the check. `row`: the place of its row there, None where it has
      none.
    - `mended_by`: what one must change where the check fails. A check that only another model mends
      fails in every type and program and on every machine.
    - `why_not`: why a model does not run where the check fails.
    - `asks`, `remedy`: the rule of the check in an audit, and what to do where it is broken.
    - `exception`: what ends the need of an exception from that rule.
    """

    title: str
    row: int | None = read_by(default=None, minimum=1)
    mended_by: str = read_by(choices=("model", "program", "machine"))
    why_not: str
    asks: str
    remedy: str
    exception: str


class FindingWords(Stated):
    """The tables of `specs/common/findings.toml`.

    - `checks`: each check, in the order of the JSON.
    - `codes`: what each code means. `findings`: its templates, by code and variant.
    - `why_not`, `why_open`: why a model does not run, or why that cannot be told, by code.
    - `doubts`: what stands beside the figures of a finding. `titles`: of its row. Both by code.
    - `faults`: templates of what makes no sense for a model or a program. `work`: the fields of
      `WorkWords` by the unit of a pace.
    - `phrases` are shared by findings, `parts` by templates.
    """

    checks: Mapping[str, CheckRow]
    codes: Mapping[str, str]
    why_not: Mapping[str, str]
    why_open: Mapping[str, str]
    doubts: Mapping[str, str]
    titles: Mapping[str, str]
    parts: Mapping[str, str]
    phrases: Mapping[str, str]
    faults: Mapping[str, Mapping[str, str]]
    work: Mapping[str, Mapping[str, Any]]
    findings: Mapping[str, Mapping[str, str]]


WORDS = shipped_record(FindingWords, "findings")
# the names of all checks, in the order of the JSON
CHECKS = tuple(WORDS.checks)


def checks_mended_by(*changes: str) -> tuple[str, ...]:
    """The checks whose fail such a change mends: of the "model", the "program" or the "machine"."""
    return tuple(name for name, row in WORDS.checks.items() if row.mended_by in changes)


def check_of(code: str) -> str:
    """The name of the check that a code belongs to: `disk-too-small` is one of `disk`."""
    check, _, _ = code.partition("-")
    return check


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
    return WorkWords(**WORDS.work[unit])


class Words(Record):
    """The reason and the remedy of a finding, from templates and figures.

    They are filled in when they are read for the first time: a list and an audit read few of them.
    Words are equal, shown and stored as the sentences that they make.
    """

    code: str
    variant: str
    figures: Figures

    @cached_property
    def stated(self) -> StatedWords:
        """The sentences in full."""
        wording = _wording(self.code, self.variant)
        figures = dict(self.figures)
        remedy: str | None = figures["remedy"]
        why = figures["why"]
        if isinstance(why, Unread):
            figures["why"] = why.reason
            remedy = remedy or why.remedy
        if figures.get("confidence") == "high":
            # a reason names a confidence only where it is lower
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
        """The remedy that the check found, else that of the fact it lacks, else the table's."""
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
    """The finding of that ruling.

    `common` are figures that all branches of the check share. Those of the ruling come before them.
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
    """The templates of CODE or CODE/VARIANT; a code may share those of another."""
    rows = WORDS.findings
    if code in rows:
        code = rows[code].get("like", code)
    return Wording(**rows[f"{code}/{variant}" if variant else code])


def fault(
    option: str,
    key: str,
    **figures: object,
) -> WorkloadError:
    """The error of an option that makes no sense, with what to type instead."""
    wording = Wording(**WORDS.faults[key])
    remedy = _sentence(wording.remedy, figures) or None
    return WorkloadError.of(option, _sentence(wording.reason, figures), remedy)


def phrase(key: str, **figures: object) -> str:
    """A phrase that several findings share, with its figures."""
    return _sentence(WORDS.phrases[key], figures)


def _sentence(template: str, figures: Mapping[str, object]) -> str:
    return fill(template, figures, parts=WORDS.parts)
