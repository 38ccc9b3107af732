"""Words that several reports of an audit share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..audit.entries import Exemption
from ..audit.record import Audit, ExemptionUse, Result, Row, Use
from ..judge.checks import Outcome, codes
from .layout import clean
from .words import failed_words, format_words

SIGNS: Mapping[Result, str] = {
    Result.FAIL: "✗",
    Result.UNKNOWN: "?",
    Result.EXCEPTED: "!",
    Result.PASS: "✓",
}
# by exit code: the word of the outcome, and the sentence
ANSWERS: Mapping[int, tuple[str, str]] = {
    0: ("PASS", "the policy holds"),
    1: ("FAIL", "the policy is broken"),
    2: ("NOT JUDGED", "no answer for the whole policy"),
    3: ("UNKNOWN", "it is not known whether the policy holds"),
}
# results that break the policy unless it says otherwise
COUNTED = (Result.FAIL, Result.UNKNOWN)
WORST_FIRST = (Result.FAIL, Result.UNKNOWN, Result.EXCEPTED, Result.PASS)
# characters of what came in, on a page: longer names and texts are cut
MOST_OF_A_NAME, MOST_OF_A_TEXT = 120, 1_000
_DIGITS = 8


def spread(audit: Audit) -> str:
    """`3 models, 12 machines`."""
    return f"{many(len(audit.policy.models), 'model')}, {many(audit.machines, 'machine')}"


def results(audit: Audit) -> str:
    """`30 pass, 6 fail`; `nothing changed` since the baseline, or `nothing judged`."""
    counts = ((result, audit.count(result)) for result in Result)
    none = "nothing changed" if audit.since and audit.since.unchanged else "nothing judged"
    return ", ".join(f"{count:,} {result}" for result, count in counts if count) or none


def remarks(audit: Audit) -> list[str]:
    """What changed since the baseline, and what the answer rests on: a sentence each."""
    since = audit.since
    said = []
    if since is not None:
        said = [
            f"since {since.file}: {since.new:,} new, {since.fixed:,} fixed,"
            f" {since.changed:,} changed, {since.unchanged:,} unchanged",
            *since.notes,
        ]
    return [*said, *audit.notes]


def many(number: int, what: str) -> str:
    """`1 machine`, `1,200 machines`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def shortened(text: str, most: int, *, raw: bool = False) -> str:
    """`text` on one line, in at most `most` characters; `raw`: as it is, for a format with escapes
    of its own. What is cut ends in a hash of the whole: two texts that differ stay different.
    """
    shown = text if raw else clean(text)
    if len(shown) <= most:
        return shown
    from hashlib import sha256

    digest = sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGITS]
    return f"{shown[: most - _DIGITS - 1]}…{digest}"


def judged_as(rows: Iterable[Row]) -> list[str]:
    """What would be loaded by what, `Q4_K_M in llama.cpp`: of rows that say so, each once."""
    words = (format_words(row.verdict.workload) for row in rows if row.verdict is not None)
    return list(dict.fromkeys(filter(None, words)))


def why(row: Row) -> str:
    """What decided the row in a few words."""
    failed = failed_words(
        finding.code
        for finding in row.findings
        if finding.check in row.failed and finding.outcome is Outcome.FAIL
    )
    unsure = f"{', '.join(row.undecided)} not known" if row.undecided else ""
    excepted = ", ".join(
        check if fails(row, check) else f"{check} (not known)" for check, _ in row.excepted
    )
    warned = warnings(row) if row.result is Result.PASS else ""
    parts = [
        failed or unsure or (row.reasons[0].text if row.reasons else ""),
        f"excepted: {excepted}" if excepted else "",
        f"warns: {warned}" if warned else "",
        "not counted" if row.exit_code == 0 and row.result in COUNTED else "",
    ]
    return "; ".join(part for part in parts if part)


def causes(row: Row) -> list[tuple[Result, str]]:
    """What decided the row, with what each came to, in a few words; [] for one that passes."""
    failing = [
        finding.code
        for finding in row.findings
        if finding.check in row.failed and finding.outcome is Outcome.FAIL
    ]
    words = [(Result.FAIL, failed_words([code])) for code in failing]
    words = words or [(Result.UNKNOWN, f"{check} not known") for check in row.undecided]
    words += [(Result.EXCEPTED, f"{check} excepted") for check, _ in row.excepted]
    return words or [(row.result, reason.text) for reason in row.reasons[:1]]


def warnings(row: Row) -> str:
    """The checks that warn, each with its reason: `license (…), speed (…)`."""
    warned = [finding for finding in row.findings if finding.outcome is Outcome.WARN]
    return ", ".join(
        f"{finding.check} ({codes()[finding.code]})" if finding.code in codes() else finding.check
        for finding in warned
    )


def fails(row: Row, check: str) -> bool:
    """Whether that check fails in the row, excepted or not; else it is not known."""
    return any(each.check == check and each.outcome is Outcome.FAIL for each in row.findings)


def excepted_words(row: Row, check: str, exemption: Exemption) -> str:
    """What an exception lets pass: `memory fails, excepted until 2027-03-31: kits come (ops)`."""
    state = "fails" if fails(row, check) else "is not known"
    until = f"excepted until {exemption.expires}: {exemption.reason} ({exemption.owner})"
    return f"{check} {state}, {until}"


def needs_attention(use: ExemptionUse) -> bool:
    """Whether it has ended, or covers nothing on machines that were judged."""
    return use.use is Use.EXPIRED or (use.use is Use.UNUSED and use.concerned)


def exception_name(use: ExemptionUse) -> str:
    """`memory of mistral-7b on host:edge-*`."""
    each = use.exemption
    where = f" on {' '.join(map(str, each.machines))}" if each.machines else ""
    return f"{each.rule} of {each.model}{where}"


def exception_fate(use: ExemptionUse) -> str:
    """What became of an exception, and what to do about it."""
    remedy = exception_remedy(use)
    return f"{exception_state(use)} (to do: {remedy})" if remedy else exception_state(use)


def exception_remedy(use: ExemptionUse) -> str | None:
    """What to do about an exception, and who would; None where nothing is to be done."""
    if not needs_attention(use) or not use.concerned:
        return None
    owner = use.exemption.owner
    if use.rows:
        return f"make the model run there, or have its owner renew it: {owner}"
    return f"remove it; its owner is {owner}"


def exception_state(use: ExemptionUse) -> str:
    """What became of an exception."""
    each = use.exemption
    match use.use:
        case Use.USED:
            return f"covers {many(use.rows, 'verdict')}, until {each.expires}"
        case Use.UNUSED if use.concerned:
            return f"covers nothing any more (it ends on {each.expires})"
        case Use.EXPIRED if use.rows:
            return f"ended on {each.expires}; {many(use.rows, 'verdict')} would need it"
        case Use.EXPIRED if use.concerned:
            return f"ended on {each.expires}, and nothing needs it"
        case Use.EXPIRED:
            return f"ended on {each.expires}, and concerns no machine of this audit"
        case _:
            return f"concerns no machine of this audit (it ends on {each.expires})"
