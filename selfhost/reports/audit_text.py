"""An audit as a document; its words for rows and exceptions are those of every format.

A finished `Audit` goes in, blocks come out. Machines that fare alike under a model are one
`MachineGroup`, which has one row. `audit_formats.py` writes the formats for programs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from ..audit.rows import (
    Audit,
    AuditRow,
    ExemptionState,
    ExemptionUse,
    MachineGroup,
    Result,
)
from ..core.records import Record
from ..core.units import plural
from ..judge.checks import WORDS, Outcome
from ..judge.checks.speed import may_be_too_slow
from ..judge.pace.words import wanted_words
from .answer_words import ONCE_RAISED, failed_words, undecided_words, with_outcome
from .labels import LABELS
from .layout import (
    Blocks,
    Cells,
    Paragraph,
    Span,
    Table,
    clean,
    line,
    section,
    strong,
    texts,
)
from .words import format_words

# results that break the policy unless it says otherwise
COUNTED = (Result.FAIL, Result.UNKNOWN)
# the most characters of a name, which DNS allows, and of a text; longer ones are cut
MOST_OF_A_NAME = 253
MOST_OF_A_TEXT = 1_000
_DIGITS = 8
# the sign, the style of findings and the title of each result, the gravest result first
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


def document(
    audit: Audit,
    *,
    verbose: bool = False,
    lists_problems: bool = True,
) -> Blocks:
    """Yield the answer, then a line for each model; `verbose` tells every reason as well."""
    yield from _head(audit, lists_problems=lists_problems)
    yield from _models(audit, verbose=verbose)
    if verbose:
        for result, (_, style, title) in _SHOWN_AS.items():
            yield from section(title, _all_reasons(audit, result, style))
    yield from section("Exceptions", _exceptions(audit, verbose=verbose))
    if not verbose and any(group.row.reasons for group in audit.groups):
        yield line()
        yield line("Machines, reasons and what to do: -v")


def scope(audit: Audit) -> str:
    """Return `3 models, 12 machines: 30 pass, 6 fail`."""
    counts = []
    for result in Result:
        count = audit.count(result)
        if count:
            counts.append(f"{count:,} {result}")
    results = ", ".join(counts)
    if not counts:
        results = "nothing judged"
        if audit.since is not None and audit.since.unchanged:
            results = "nothing changed"
    models = plural(len(audit.policy.models), "model")
    machines = plural(audit.machines, "machine")
    return f"{models}, {machines}: {results}"


def shortened(text: str, most: int = MOST_OF_A_NAME) -> str:
    """`text` on one line. A longer text is cut to `most` characters and ends in a hash of the whole
    text, so that different texts stay different.
    """
    shown = clean(text)
    if len(shown) <= most:
        return shown
    digest = sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{shown[: most - _DIGITS - 1]}…{digest[:_DIGITS]}"


def hosts(names: Iterable[str]) -> str:
    """The names of machines, all of them."""
    return ", ".join(map(shortened, names))


class ExceptionWords(Record):
    """An exception for a report. `name`: `exception from the rule memory for mistral-7b on
    host:edge-*`; `fate`: its use or its end; `remedy`: the action and its owner, None for none.
    """

    name: str
    fate: str
    remedy: str | None


def exception_words(use: ExemptionUse) -> ExceptionWords:
    """Return the words for an exception and its use."""
    exemption = use.exemption
    name = f"exception from the rule {exemption.rule} for {exemption.model}"
    if exemption.machines:
        machines = " ".join(map(str, exemption.machines))
        name += f" on {machines}"
    is_over = use.use is ExemptionState.EXPIRED
    if use.rows:
        verdicts = plural(use.rows, "verdict")
        if not is_over:
            fate = f"covers {verdicts}, until {exemption.expires}"
            return ExceptionWords(name=name, fate=fate, remedy=None)
        mend = WORDS.checks[exemption.rule].exception
        fate = f"ended on {exemption.expires}; {verdicts} would need it"
        return ExceptionWords(
            name=name, fate=fate, remedy=f"{mend}, or have {exemption.owner} renew it"
        )
    state = "concerns no machine of this audit"
    remedy = None
    if use.concerned:
        state = "covers nothing any more"
        remedy = f"remove it from the policy; its owner is {exemption.owner}"
    fate = f"{state} (it ends on {exemption.expires})"
    if is_over:
        fate = f"ended on {exemption.expires}, and {state}"
    return ExceptionWords(name=name, fate=fate, remedy=remedy)


def _head(audit: Audit, *, lists_problems: bool) -> Blocks:
    """The answer, the inputs of the audit, and the faults or their number."""
    since = audit.since
    outcome = LABELS.outcomes[str(audit.exit_code)]
    sentence = outcome.sentence
    if audit.exit_code == 0 and since is not None:
        sentence = f"nothing new breaks the policy since {since.file}"
    word = Span(outcome.word, outcome.style)
    yield line(word, f": {sentence} (exit code {audit.exit_code})")
    notes = [f"{audit.policy.file} on {audit.today} (UTC): {scope(audit)}"]
    if since is not None:
        notes.append(
            f"since {since.file}: {since.new:,} new, {since.fixed:,} fixed,"
            f" {since.changed:,} changed, {since.unchanged:,} unchanged"
        )
    notes += audit.notes
    if audit.problems and not lists_problems:
        faults = plural(audit.faults, "fault")
        notes.append(
            f"because of {faults}, the rest could not be judged: see standard error"
        )
    yield from texts(notes)
    if audit.problems and lists_problems:
        yield line()
        yield from texts(map(str, audit.grouped_problems), indent=0)


class _ModelLine(Record):
    """The line of a model in the table. `order` sorts: lines that count come first, then those with
    the gravest result, then those that fail on most machines.
    """

    order: tuple[bool, int, int]
    cells: Cells


def _models(audit: Audit, *, verbose: bool) -> Blocks:
    """The table of models, the worst first; the first screen has no more than `_SHOWN` rows."""
    by_model: dict[int, list[MachineGroup]] = {}
    for group in audit.groups:
        by_model.setdefault(group.row.wanted.index, []).append(group)
    lines = list(map(_model_line, by_model.values()))
    # equal lines stay in the policy's order
    lines.sort(key=lambda model: model.order)
    shown = lines
    if not verbose:
        shown = lines[:_SHOWN]
    runs = "runs on"
    if audit.since is not None:
        runs = "of what changed, runs on"
    if shown:
        yield line()
        rows = [model.cells for model in shown]
        yield Table.of("audit", rows, runs=runs)
    if len(shown) < len(lines):
        yield line(f"{len(lines) - len(shown):,} more: -v")


def _gravity(row: AuditRow) -> tuple[bool, int]:
    """The sort key of rows, the gravest first: whether the exit code leaves the row out, and the
    result.
    """
    return row.exit_code == 0, _WORST_FIRST.index(row.result)


def _with_result(groups: Iterable[MachineGroup], result: Result) -> list[MachineGroup]:
    """Those of the groups that have the result."""
    return [group for group in groups if group.row.result is result]


def _machines(groups: Iterable[MachineGroup]) -> int:
    """How many machines the groups have."""
    return sum(group.count for group in groups)


def _model_line(groups: Sequence[MachineGroup]) -> _ModelLine:
    """The line of a model: the worst sign, the name, the files and runtime to load, the number of
    machines that run the model, and the reason for the others.
    """
    worst = min((group.row for group in groups), key=_gravity)
    passing = _with_result(groups, Result.PASS)
    machines = _machines(groups)
    runs_on = _machines(passing)
    sign, style, _ = _SHOWN_AS[worst.result]
    # the files and the runtime on the worst machine, and on one that passes
    loaded = {_loaded_words(worst): None}
    for group in passing[:1]:
        loaded[_loaded_words(group.row)] = None
    cells = (
        Span(sign, style),
        strong(shortened(worst.wanted.label)),
        ", ".join(filter(None, loaded)),
        f"{runs_on:,} of {machines:,}",
        _why_not(groups) or _warnings_of_groups(worst, groups),
    )
    return _ModelLine(order=(*_gravity(worst), runs_on - machines), cells=cells)


def _loaded_words(row: AuditRow) -> str:
    """The runtime and the quantization that would be loaded, and the number of joined machines;
    empty where the row stands for several models.
    """
    if row.verdict is None:
        return ""
    words = format_words(row.verdict.workload)
    if row.wanted.joined > 1:
        words += f" on {row.wanted.joined} joined"
    return words


def _why_not(groups: Sequence[MachineGroup]) -> str:
    """The causes that keep a model from running, the gravest first; empty where the model runs
    everywhere.

    A cause has the number of its machines unless every failing machine has the cause.
    """
    failing = [group for group in groups if group.row.result is not Result.PASS]
    if not failing:
        return ""
    # among groups of equal gravity, the group with the most machines comes first
    failing.sort(key=lambda group: (_gravity(group.row), -group.count))
    counts: Counter[str] = Counter()
    for group in failing:
        # a cause counts once a group
        for cause in dict.fromkeys(_causes(group.row)):
            counts[cause] += group.count
    machines = _machines(failing)
    causes = []
    for cause, number in counts.items():
        if number == machines:
            # a cause shared by all failing machines needs no number
            causes.append(cause)
        else:
            causes.append(f"{cause}: {number:,}")
    why = ", ".join(causes)
    breaks = any(group.row.result in COUNTED for group in failing)
    if breaks and not any(group.row.exit_code for group in failing):
        why += "; not counted"
    return why


def _warnings_of_groups(row: AuditRow, groups: Sequence[MachineGroup]) -> str:
    """The warnings of a row of these groups. Unless they hold for every machine of the groups, they
    begin with the row's machine: `warns on edge-01: speed (…)`.
    """
    words = _warnings(row)
    names = [group.names for group in groups]
    if not words or names == [(row.machine,)]:
        return words
    holds_for_all = True
    for group in groups:
        if not group.warns_alike:
            holds_for_all = False
        if _warnings(group.row) != words:
            holds_for_all = False
    has_figures = any(finding.code == "speed-slow" for finding in row.findings)
    has_figures = has_figures or _waiting_users(row) > 0
    if holds_for_all and not has_figures:
        return words
    return words.replace("warns:", f"warns on {hosts([row.machine])}:", 1)


def _warnings(row: AuditRow) -> str:
    """The checks that warn, each with its reason, then the users who wait for their turn: `warns:
    license (…), speed (…), 37 of 50 users wait`; else empty.
    """
    warned = with_outcome(row.findings, Outcome.WARN)
    reasons = dict(WORDS.codes)
    if row.verdict is not None and row.verdict.waits_for_setting:
        reasons["accelerator-partly"] = ONCE_RAISED.lower()
    verdict = row.verdict
    if verdict is not None and verdict.users_pace is not None:
        wanted = verdict.workload.min_tokens_per_second
        if not may_be_too_slow(verdict):
            wanted = None
        reasons["speed-slow"] = wanted_words(verdict.users_pace, wanted)
    listed = []
    for finding in warned:
        reason = reasons.get(finding.code, finding.code)
        listed.append(f"{finding.check} ({reason})")
    waiting = _waiting_users(row)
    if verdict is not None and waiting:
        verb = "wait"
        if waiting == 1:
            verb = "waits"
        users = verdict.workload.parallel
        listed.append(f"{waiting:,} of {users:,} users {verb} for their turn")
    if not listed:
        return ""
    return "warns: " + ", ".join(listed)


def _waiting_users(row: AuditRow) -> int:
    """The users who wait for their turn, because memory does not hold all at once; 0 where nobody
    waits, and where the row has no verdict.
    """
    if row.verdict is None or row.verdict.speed is None:
        return 0
    return row.verdict.speed.waiting or 0


def _causes(row: AuditRow) -> list[str]:
    """The causes why a row does not pass, in a few words each: failed checks, else unknown facts,
    and exceptions; the first reason for a row without a finding.
    """
    causes = []
    for finding in row.findings:
        if finding.check in row.failed:
            causes.append(failed_words([finding.code]))
    if not causes:
        for finding in row.findings:
            if finding.check in row.undecided:
                causes += undecided_words([finding])
    for check, _ in row.excepted:
        causes.append(f"{check} excepted")
    if not causes and row.reasons:
        causes.append(row.reasons[0].reason)
    return causes


def _all_reasons(
    audit: Audit,
    result: Result,
    style: str,
) -> Blocks:
    """The groups with this result and their reasons; groups that the policy counts come first."""
    groups = _with_result(audit.groups, result)
    for group in sorted(groups, key=lambda group: group.row.exit_code == 0):
        yield from _reasons(group, style)


def _reasons(group: MachineGroup, style: str) -> Blocks:
    """Yield the line of a group, with its machines, model and files, and under it each reason. The
    line of a group that passes has its warnings instead.
    """
    row = group.row
    passes = row.result is Result.PASS
    name = Span(shortened(group.name), "name")
    label = Span(shortened(row.wanted.label), "name")
    rest = ""
    loaded = _loaded_words(row)
    if loaded:
        rest += f", {loaded}"
    if passes:
        warned = _warnings_of_groups(row, [group])
        if warned:
            rest += f"; {warned}"
    if row.result in COUNTED and row.exit_code == 0:
        rest += " (not counted)"
    sign = Span(row.result, style)
    yield line(sign, " ", name, ": ", label, rest, indent=2)
    if not passes:
        yield from texts(details(group), indent=4)


def warning_words(group: MachineGroup) -> str:
    """The warning of a group that the exit code does not count; empty for one without a warning.

    For example `warns: speed (…)` for a row that passes, or `does not run, which this policy does
    not count`.
    """
    row = group.row
    if row.result is Result.FAIL:
        return "warning: does not run, which this policy does not count"
    if row.result is Result.UNKNOWN:
        return (
            "warning: it is not known whether it runs, which this policy does not count"
        )
    return _warnings_of_groups(row, [group])


def details(group: MachineGroup) -> Iterator[str]:
    """Yield the machines of a group, then each reason. Figures and remedies of one machine say of
    which machine they are.
    """
    row = group.row
    whose = ""
    to_do = "to do"
    if group.count > 1:
        yield f"on {hosts(group.names)}"
    if group.names != (row.machine,):
        whose = f"worst on {hosts([row.machine])}: "
        to_do = "to do there"
    for reason in row.reasons:
        yield f"{whose}{shortened(str(reason), MOST_OF_A_TEXT)}"
        if reason.remedy:
            yield f"{to_do}: {shortened(reason.remedy, MOST_OF_A_TEXT)}"
    failing = set()
    for finding in row.findings:
        if finding.outcome is Outcome.FAIL:
            failing.add(finding.check)
    for check, exemption in row.excepted:
        state = "is not known"
        if check in failing:
            state = "fails"
        until = f"excepted until {exemption.expires}: {exemption.reason} ({exemption.owner})"
        yield shortened(f"{check} {state}, {until}", MOST_OF_A_TEXT)


def _exceptions(audit: Audit, *, verbose: bool) -> Iterator[Paragraph]:
    """The first exceptions, and how many others there are; those in use only where `verbose`."""
    uses = list(audit.exceptions)
    most = _MOST_EXCEPTIONS
    if not verbose:
        uses = [use for use in uses if use.use is not ExemptionState.USED]
        most = _SHOWN
    for use in uses[:most]:
        yield _exception(use)
    if len(uses) > most:
        yield line(f"{len(uses) - most:,} more: --format json", indent=2)


def _exception(use: ExemptionUse) -> Paragraph:
    """The line on the fate of an exception. The style is graver for a worse fate."""
    style = ""
    if use.use is ExemptionState.EXPIRED and use.rows:
        style = "fail"
    elif use.use is not ExemptionState.USED and use.concerned:
        style = "warn"
    words = exception_words(use)
    fate = words.fate
    if words.remedy:
        fate += f" (to do: {words.remedy})"
    sign = Span(use.use, style)
    label = Span(shortened(words.name), "name")
    state = shortened(fate, MOST_OF_A_TEXT)
    return line(sign, " ", label, f": {state}", indent=2)
