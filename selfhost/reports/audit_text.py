"""An audit as a document; its words for rows and exceptions are those of every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from operator import itemgetter

from ..audit.rows import Audit, ExemptionUse, Group, Result, Row, Use
from ..core import units
from ..core.tables import shipped_table
from ..judge.checks import Outcome
from ..judge.record import Verdict
from ..needs.records import times
from . import words
from .layout import Blocks, Paragraph, Span, Table, clean, line, section, strong, texts

# by exit code: the word of the outcome, its style, and the sentence
ANSWERS: Mapping[int, tuple[str, str, str]] = {
    0: ("PASS", "pass", "the policy holds"),
    1: ("FAIL", "fail", "the policy is broken"),
    2: ("NOT JUDGED", "fail", "no answer for the whole policy"),
    3: ("UNKNOWN", "unknown", "it is not known whether the policy holds"),
}
# results that break the policy unless it says otherwise
COUNTED = (Result.FAIL, Result.UNKNOWN)
# characters of what came in, on a page: longer names, such as none of DNS, and texts are cut
MOST_OF_A_NAME, MOST_OF_A_TEXT = 253, 1_000
_DIGITS = 8
# of each result, the gravest first: its sign, a style of findings that suits, and a title
_SHOWN_AS = {
    Result.FAIL: ("✗", "fail", "Does not run"),
    Result.UNKNOWN: ("?", "unknown", "Not known"),
    Result.EXCEPTED: ("!", "warn", "Excepted"),
    Result.PASS: ("✓", "pass", "Runs"),
}
_WORST_FIRST = list(_SHOWN_AS)
# rows of the first screen
_SHOWN = 12
# exceptions that a whole report lists
_MOST_EXCEPTIONS = 100


def document(audit: Audit, *, verbose: bool = False, lists_problems: bool = True) -> Blocks:
    """Yield the answer, then a line for each model; `verbose` tells every reason as well."""
    yield from _head(audit, lists_problems)
    by_model: dict[int, list[Group]] = {}
    for group in audit.groups:
        by_model.setdefault(group.row.wanted.index, []).append(group)
    rows = [cells for _, cells in sorted(map(_model, by_model.values()), key=itemgetter(0))]
    shown, runs = rows if verbose else rows[:_SHOWN], "runs on"
    if audit.since is not None:
        runs = "of what changed, runs on"
    if shown:
        yield from (line(), Table.of("audit", shown, runs=runs))
    yield from texts([f"{len(rows) - len(shown):,} more: -v" * (len(shown) < len(rows))], indent=0)
    for result, (_, style, title) in _SHOWN_AS.items() if verbose else ():
        groups = [group for group in audit.groups if group.row.result is result]
        # what the policy counts first
        groups.sort(key=lambda each: each.row.exit_code == 0)
        listed = (_reasons(group, style) for group in groups)
        yield from section(title, chain.from_iterable(listed))
    yield from section("Exceptions", _exceptions(audit, verbose))
    if not verbose and any(group.row.reasons for group in audit.groups):
        yield from (line(), line("Machines, reasons and what to do: -v"))


def scope(audit: Audit) -> str:
    """`3 models, 12 machines: 30 pass, 6 fail`."""
    counts = ((result, audit.count(result)) for result in Result)
    none = "nothing changed" if audit.since and audit.since.unchanged else "nothing judged"
    results = ", ".join(f"{count:,} {result}" for result, count in counts if count) or none
    models, machines = times(len(audit.policy.models), "model"), times(audit.machines, "machine")
    return f"{models}, {machines}: {results}"


def shortened(text: str, most: int = MOST_OF_A_NAME) -> str:
    """`text` on one line; what is cut at `most` ends in a hash of the whole, so texts differ."""
    shown = clean(text)
    if len(shown) <= most:
        return shown
    digest = sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{shown[: most - _DIGITS - 1]}…{digest[:_DIGITS]}"


def hosts(names: Iterable[str]) -> str:
    """The names of machines, all of them."""
    return ", ".join(shortened(name) for name in names)


def exception_words(use: ExemptionUse) -> tuple[str, str, str | None]:
    """`exception from the rule memory for mistral-7b on host:edge-*`, what became of it, and what
    to do about it and who would, None for nothing.
    """
    exemption = use.exemption
    where = ""
    if exemption.machines:
        where = f" on {' '.join(map(str, exemption.machines))}"
    name = f"exception from the rule {exemption.rule} for {exemption.model}{where}"
    is_over = use.use is Use.EXPIRED
    verdicts = times(use.rows, "verdict")
    if use.rows and is_over:
        remedies = words.LABELS["exception_remedies"]
        remedy = remedies.get(exemption.rule, remedies[""])
        fate = f"ended on {exemption.expires}; {verdicts} would need it"
        return name, fate, f"{remedy}, or have {exemption.owner} renew it"
    if use.rows:
        return name, f"covers {verdicts}, until {exemption.expires}", None
    state = "concerns no machine of this audit"
    if use.concerned:
        state = "covers nothing any more"
    fate = f"{state} (it ends on {exemption.expires})"
    if is_over:
        fate = f"ended on {exemption.expires}, and {state}"
    remedy = f"remove it from the policy; its owner is {exemption.owner}"
    return name, fate, remedy if use.concerned else None


def _head(audit: Audit, lists_problems: bool) -> Blocks:
    code, since, faults = audit.exit_code, audit.since, audit.problems
    word, style, sentence = ANSWERS[code]
    if code == 0 and since is not None:
        sentence = f"nothing new breaks the policy since {since.file}"
    yield line(Span(word, style), f": {sentence} (exit code {code})")
    notes = [f"{audit.policy.file} on {audit.today} (UTC): {scope(audit)}"]
    if since is not None:
        notes.append(
            f"since {since.file}: {since.new:,} new, {since.fixed:,} fixed,"
            f" {since.changed:,} changed, {since.unchanged:,} unchanged"
        )
    notes += audit.notes
    if faults and not lists_problems:
        notes.append(f"{times(len(faults), 'fault')} kept the rest from being judged: see below")
    yield from texts(notes)
    yield from (line(), *texts(map(str, faults), indent=0)) if faults and lists_problems else ()


def _gravity(row: Row) -> tuple[bool, int]:
    return row.exit_code == 0, _WORST_FIRST.index(row.result)


def _model(groups: Sequence[Group]) -> tuple[tuple[bool, int, int], tuple[str, ...]]:
    worst = min((group.row for group in groups), key=_gravity)
    passing = [group for group in groups if group.row.result is Result.PASS]
    failing = [group for group in groups if group.row.result is not Result.PASS]
    machines, runs_on = (sum(group.count for group in part) for part in (groups, passing))
    sign, style, _ = _SHOWN_AS[worst.result]
    counts: Counter[str] = Counter()
    for group in sorted(failing, key=lambda each: (*_gravity(each.row), -each.count)):
        counts.update(dict.fromkeys(_causes(group.row), group.count))
    why = _warnings(worst)
    if failing:
        # without a number what all of them lack
        left = machines - runs_on
        why = ", ".join(f"{each}{f': {n:,}' * (n < left)}" for each, n in counts.items())
        are_counted = any(group.row.result in COUNTED for group in failing)
        is_free = are_counted and not any(group.row.exit_code for group in failing)
        why += "; not counted" * is_free
    # what would be loaded by what, of the worst and of one that passes
    judged = (worst.verdict, *(group.row.verdict for group in passing[:1]))
    loaded = (words.format_words(each.workload) for each in judged if each is not None)
    cells = (
        Span(sign, style),
        strong(shortened(worst.wanted.label)),
        ", ".join(dict.fromkeys(filter(None, loaded))),
        f"{runs_on:,} of {machines:,}",
        why,
    )
    return (*_gravity(worst), runs_on - machines), cells


def _warnings(row: Row) -> str:
    """The checks that warn, each with its reason: `warns: license (…), speed (…)`."""
    warned = [each for each in row.findings if each.outcome is Outcome.WARN]
    reasons = dict(shipped_table("findings")["codes"])
    if row.verdict is not None and row.verdict.waits_for_setting:
        reasons["accelerator-partly"] = words.ONCE_RAISED.lower()
    if pace := _pace_words(row.verdict):
        reasons["speed-slow"] = pace
    listed = (f"{each.check} ({reasons.get(each.code, each.code)})" for each in warned)
    return f"warns: {', '.join(listed)}" if warned else ""


def _pace_words(verdict: Verdict | None) -> str:
    """`7.2 tokens/s likely, 4.9 possible, 5 wanted`, or that even the slow end suffices and people
    read faster; empty where no pace is known.
    """
    if verdict is None or verdict.speed is None or verdict.speed.judged is None:
        return ""
    pace, wanted = verdict.speed.judged, verdict.workload.min_tokens_per_second
    paces = f"{units.speed(pace.likely)} likely, {units.pace(pace.low)} possible"
    if wanted and units.is_slower(pace.low, wanted):
        return f"{paces}, {units.stated(wanted)} wanted"
    return f"{paces}: slower than people read"


def _causes(row: Row) -> list[str]:
    failed = (finding.code for finding in row.findings if finding.check in row.failed)
    causes = [words.failed_words([code]) for code in failed]
    if not causes:
        undecided = (finding for finding in row.findings if finding.check in row.undecided)
        causes = [cause for finding in undecided for cause in words.open_words([finding])]
    causes += [f"{check} excepted" for check, _ in row.excepted]
    return causes or [each.reason for each in row.reasons[:1]]


def _reasons(group: Group, style: str) -> Blocks:
    row, passes = group.row, group.row.result is Result.PASS
    name = Span(shortened(group.name), "name")
    label = Span(shortened(row.wanted.label), "name")
    ways = words.format_words(row.verdict.workload) if row.verdict is not None else ""
    warned = _warnings(row) if passes else ""
    rest = f"{f', {ways}' if ways else ''}{f'; {warned}' if warned else ''}"
    rest += " (not counted)" if row.result in COUNTED and row.exit_code == 0 else ""
    yield line(Span(row.result, style), " ", name, ": ", label, rest, indent=2)
    yield from () if passes else texts(details(group), indent=4)


def warning_words(row: Row) -> str:
    """What is wrong with a row that the exit code does not count: `warns: speed (…)` of one that
    passes, `does not run, which this policy does not count`; empty for nothing.
    """
    if row.result is Result.FAIL:
        return "warning: does not run, which this policy does not count"
    if row.result is Result.UNKNOWN:
        return "warning: it is not known whether it runs, which this policy does not count"
    return _warnings(row)


def details(group: Group) -> Iterator[str]:
    """The machines of a group, and each reason; a figure says of which machine it is."""
    row, whose = group.row, ""
    if group.count > 1:
        yield f"on {hosts(group.names)}"
        whose = f"{hosts([row.machine])}: "
    for reason in row.reasons:
        yield f"{whose}{shortened(str(reason), MOST_OF_A_TEXT)}"
        if reason.remedy:
            yield f"to do: {shortened(reason.remedy, MOST_OF_A_TEXT)}"
    for check, exemption in row.excepted:
        fails = any(each.check == check and each.outcome is Outcome.FAIL for each in row.findings)
        until = f"excepted until {exemption.expires}: {exemption.reason} ({exemption.owner})"
        yield shortened(f"{check} {'fails' if fails else 'is not known'}, {until}", MOST_OF_A_TEXT)


def _exceptions(audit: Audit, verbose: bool) -> Iterator[Paragraph]:
    """The first exceptions, and how many others there are; those in use only where `verbose`."""
    uses = [use for use in audit.exceptions if verbose or use.use is not Use.USED]
    most = _MOST_EXCEPTIONS if verbose else _SHOWN
    yield from map(_exception, uses[:most])
    if len(uses) > most:
        yield line(f"{len(uses) - most:,} more: --format json", indent=2)


def _exception(use: ExemptionUse) -> Paragraph:
    style = "warn" if use.use is not Use.USED and use.concerned else ""
    style = "fail" if use.use is Use.EXPIRED and use.rows else style
    name, state, remedy = exception_words(use)
    to_do = f" (to do: {remedy})" if remedy else ""
    fate = shortened(f"{state}{to_do}", MOST_OF_A_TEXT)
    label = Span(shortened(name), "name")
    return line(Span(use.use, style), " ", label, f": {fate}", indent=2)
