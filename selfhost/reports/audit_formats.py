"""An audit for programs and pages: each format of `selfhost audit`, by its name in `FORMATS`.

A format is a function that makes a text of one finished `Audit`; it reads no clock and no file. CI
services read issues, which are what an audit found at a line of the policy.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ..audit.policy import ASKED, Policy, Selector, Wanted
from ..audit.rows import (
    NAMES_SHOWN,
    Audit,
    AuditRow,
    ExemptionState,
    ExemptionUse,
    MachineGroup,
    Result,
)
from ..core import __version__
from ..core.errors import Problem, one_line
from ..core.records import Record
from ..core.units import plural
from ..judge.checks import WORDS, Outcome
from . import audit_text, markup
from .audit_text import MOST_OF_A_TEXT, document, hosts, scope, shortened
from .json import Object, dumps, fields, keys_of, record, titled
from .labels import LABELS
from .layout import clean, ended, plain

# GitHub refuses a whole summary above 1 MiB (docs.github.com, "Workflow commands", "Adding a job
# summary"); what follows the rows needs a little
_MOST_MARKDOWN_BYTES = (1 << 20) - 4096
# GitHub shows ten annotations of a kind in a step and drops the rest without a word
# (github.com/actions/toolkit, docs/problem-matchers.md, "Limitations"), so the last annotation
# counts the rest; GitHub shows 5,000 results of a SARIF file, and refuses more than 25,000
MOST_SHOWN = 9
_MOST_RESULTS = 5_000
# with more machines, machines that fare alike share a suite of JUnit: no reader takes a larger file
_MOST_SUITES = 1_000
# with more cases than this a machine is told the figures of the one that lacks most, by its name:
# figures of its own take a judgement each, about a millisecond
_MOST_JUDGED = 20_000
# the title of each annotation
_TITLE = "selfhost audit"
_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


class Format(Record):
    """A format: `render` returns its text, perhaps in pieces. `shows_problems`: it is written even
    if nothing was judged. An --output whose name ends in `suffix` has this format.
    """

    render: Callable[[Audit], str | Iterable[str]]
    shows_problems: bool = True
    suffix: str | None = None


# ---------------------------------------------------------------- JSON


@record.register
def _(selector: Selector) -> str:
    """A class of machines as a policy writes it."""
    return str(selector)


def _json(audit: Audit) -> str:
    """`selfhost.audit/1`; the keys do not depend on the options."""
    members = {
        "policy": _json_policy(audit.policy),
        **fields(audit, "today machines"),
        "classes": _json_classes(audit.groups),
        "verdicts": list(map(_json_verdict, audit.groups)),
        "exceptions": _json_exceptions(audit.exceptions),
        "results": {result.value: audit.count(result) for result in Result},
        "baseline": record(audit.since),
        **fields(audit, "notes problems outcome exit_code"),
    }
    return dumps(titled("audit/1", **members))


def _json_policy(policy: Policy) -> Object:
    """The conditions of the policy: those for every model, and those for each model."""
    members = fields(policy, "file fail_on on_unknown")
    needed = "private commercial modify auditable license"
    members["needs"] = fields(policy.needs, needed)
    members["models"] = list(map(_json_model, policy.models))
    return members


def _json_model(wanted: Wanted) -> Object:
    """The conditions for one entry of the policy, with the names of the models that count as that
    entry.
    """
    return {
        **fields(wanted, "name label severity require_runtime machines joined link"),
        **fields(wanted.asked, " ".join(ASKED)),
        "members": [member.name for member in wanted.members],
    }


def _json_classes(groups: Sequence[MachineGroup]) -> list[Object]:
    """Each set of machines once. Sets in which any model does not pass have the names of all
    machines.
    """
    by_names = {}
    failing = set()
    for group in groups:
        by_names[group.names] = group
        if group.row.result is not Result.PASS:
            failing.add(group.names)
    classes = []
    for names, group in by_names.items():
        members = fields(group, "name count names")
        if names not in failing:
            members["names"] = members["names"][:NAMES_SHOWN]
        classes.append(members)
    return classes


def _json_verdict(group: MachineGroup) -> Object:
    """A model on a class; `example` is the machine of the class with the largest shortfall."""
    row = group.row
    excepted = []
    for rule, exemption in row.excepted:
        excepted.append({"rule": rule, "expires": exemption.expires})
    return {
        "class": group.name,
        "example": row.machine,
        **_judged(row),
        **fields(row, "route result exit_code change failed findings reasons"),
        "unknown": list(row.undecided),
        "excepted": excepted,
    }


def _json_exceptions(uses: Iterable[ExemptionUse]) -> dict[str, list[Object]]:
    """The exceptions of the policy, grouped by their use."""
    exceptions: dict[str, list[Object]] = {use.value: [] for use in ExemptionState}
    for use in uses:
        members: Object = record(use.exemption)
        members |= fields(use, "rows concerned")
        exceptions[use.use].append(members)
    return exceptions


def _json_lines(audit: Audit) -> Iterator[str]:
    """A line for each row; where nothing was judged a line for each problem, with the same keys."""
    import json

    empty = dict.fromkeys(keys_of("audit-line").split())
    empty["failed"] = []
    empty["excepted"] = []
    for row in audit.rows:
        members = {
            **fields(row, "machine route failed result change"),
            "excepted": [check for check, _ in row.excepted],
            **_judged(row),
        }
        yield f"{json.dumps(empty | members)}\n"
    if not audit.groups:
        for problem in audit.problems:
            fault = {"result": Result.UNKNOWN.value, "problem": record(problem)}
            yield f"{json.dumps(empty | fault)}\n"


def _judged(row: AuditRow) -> Object:
    """The entry that was asked, and the model, runtime, format and quantization that would be
    loaded; these are None where a row stands for several.
    """
    members: Object = {"asked": row.wanted.name}
    members |= fields(row.wanted, "label severity")
    members |= dict.fromkeys(("model", "runtime", "format", "quantization"))
    if row.verdict is not None:
        members["model"] = row.verdict.model.id
        members |= fields(row.verdict.workload, "runtime format quantization")
    return members


# ---------------------------------------------------------------- JUnit


_COUNTS = {
    "tests": "testcase",
    "failures": "failure",
    "errors": "error",
    "skipped": "skipped",
}


def _junit(audit: Audit) -> str:
    """JUnit XML for Jenkins' xUnit plugin, the strictest reader: red where the exit is not 0."""
    root = Element("testsuites", name="selfhost audit")
    suites = {}
    for group in audit.groups:
        for name, part in _suites_of(audit, group):
            if name not in suites:
                suites[name] = SubElement(root, "testsuite", name=clean(name))
            suite = suites[name]
            label = clean(group.row.wanted.label)
            case = SubElement(suite, "testcase", name=label, classname=clean(name))
            _add_outcome(case, part)
    if audit.problems:
        _add_problems(root, audit.problems)
    _add_counts(root)
    indent(root)
    text = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suites_of(audit: Audit, group: MachineGroup) -> Iterator[tuple[str, MachineGroup]]:
    """Yield the suites in which a group has a case, by their names, each with the machines of the
    case: each machine alone with its own figures, or the whole group where machines are many.
    """
    if audit.machines > _MOST_SUITES:
        yield group.name, group
        return
    is_silent = group.row.result is Result.PASS and group.warns_alike
    for finding in group.row.findings:
        if finding.outcome is Outcome.WARN:
            is_silent = False
    # a case that says nothing needs no judgement
    is_judged = audit.row_on is not None and not is_silent
    if audit.machines * len(audit.policy.models) > _MOST_JUDGED:
        is_judged = False
    for name, number in zip(group.names, group.numbers, strict=True):
        row = group.row
        if audit.row_on is not None and is_judged:
            row = audit.row_on(group, number)
        yield name, group.replace(row=row, numbers=(number,), names=(name,))


def _add_counts(root: Element) -> None:
    """Add the counts of cases and of their outcomes to the root and to each suite."""
    for element in (root, *root):
        for key, tag in _COUNTS.items():
            # the root has no count of skipped cases
            if element is not root or tag != "skipped":
                cases = list(element.iter(tag))
                element.set(key, str(len(cases)))


def _add_problems(root: Element, problems: Iterable[Problem]) -> None:
    """Add a suite of the faults in the policy and the machine records, with a case for each
    fault.
    """
    title = "policy and machine records"
    suite = SubElement(root, "testsuite", name=title)
    for number, problem in enumerate(problems, 1):
        # numbered, because GitLab keeps only the first of two equal names
        label = clean(f"{number}. {problem.file}")
        case = SubElement(suite, "testcase", name=label, classname=title)
        told = {"type": "problem", "message": clean(problem.message)}
        error = SubElement(case, "error", told)
        error.text = clean(str(problem))


def _add_outcome(
    case: Element,
    group: MachineGroup,
) -> None:
    """Add the outcome of a group's row to the case of its machines. A case that the exit code does
    not count passes, and its output has the warning.
    """
    row = group.row
    lines = []
    if row.result is not Result.PASS:
        lines = list(audit_text.details(group))
    is_uncounted = row.result in audit_text.COUNTED and not row.exit_code
    if row.result is Result.PASS or is_uncounted:
        warning = audit_text.warning_words(group)
        if warning:
            output = SubElement(case, "system-out")
            output.text = "\n".join([clean(warning), *lines])
        return
    message = lines[-1]
    if row.reasons:
        message = row.reasons[0].reason
    if group.names != (row.machine,):
        message = f"worst on {row.machine}: {message}"
    told = {"type": _kind(row), "message": clean(message)}
    outcome = SubElement(case, _tag(row), told)
    outcome.text = "\n".join(lines)


def _kind(row: AuditRow) -> str:
    """The first check that a row does not pass; its result where it names none."""
    checks = [*row.failed, *row.undecided, *dict(row.excepted)]
    if not checks:
        return str(row.result)
    return checks[0]


def _tag(row: AuditRow) -> str:
    """The element of a row that does not pass: skipped where the exit code does not count it."""
    if not row.exit_code:
        return "skipped"
    if row.result is Result.FAIL:
        return "failure"
    return "error"


# ---------------------------------------------------------------- issues


class Issue(Record):
    """A finding of an audit at a line of the policy: machines on which a wanted model does not run,
    a fault, or an exception that has ended or covers nothing.

    An issue of `level` error makes the exit code other than 0. The `key` is the same in every run
    and differs between issues.
    """

    level: str
    rule: str
    file: str
    line: int | None
    key: str
    text: str
    remedy: str | None
    machines: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The text of the issue and its remedy, on one line."""
        sentence = self.text
        if self.remedy:
            sentence += f" (to do: {self.remedy})"
        return shortened(sentence, MOST_OF_A_TEXT)

    @property
    def path(self) -> str:
        """The file as services compare it with those of a repository: `./a\\b` is `a/b`."""
        path = shortened(self.file, MOST_OF_A_TEXT)
        return posixpath.normpath(path.replace("\\", "/"))


def issues(audit: Audit) -> list[Issue]:
    """Return the issues of an audit, errors first, each kind in the policy's order."""
    entries = []
    for number, fault in enumerate(audit.problems):
        entries.append(_issue_of_fault(fault, number))
    entries += _issues_of_groups(audit)
    # exceptions that have ended, or that cover nothing although their machines were judged
    for use in audit.exceptions:
        is_idle = use.use is ExemptionState.UNUSED and use.concerned
        if is_idle or use.use is ExemptionState.EXPIRED:
            entries.append(_issue_of_exception(use, audit.policy))
    return sorted(entries, key=lambda issue: issue.level != "error")


def _issue_of_fault(fault: Problem, number: int) -> Issue:
    """The issue of a fault; `number` tells it from another of the same words."""
    text = fault.message
    if fault.key:
        text = f"{fault.key}: {text}"
    return Issue(
        level="error",
        rule="not-judged",
        file=fault.file,
        line=fault.line,
        key=f"not-judged {fault.file} {fault.key} {fault.message} {number}",
        text=text,
        remedy=fault.remedy and one_line(fault.remedy),
    )


def _issues_of_groups(audit: Audit) -> Iterator[Issue]:
    """Yield an issue for each group that fails, and for each group of an unknown result unless the
    policy ignores unknown results.
    """
    policy = audit.policy.document()
    verbs = {Result.FAIL: "does not run"}
    if audit.policy.on_unknown != "ignore":
        verbs[Result.UNKNOWN] = "may not run"
    seen: Counter[str] = Counter()
    for group in audit.groups:
        row = group.row
        if row.result not in verbs:
            continue
        reason = row.reasons[0]
        label = shortened(row.wanted.label)
        text = f"{label} {verbs[row.result]} on {shortened(group.name)}: "
        if group.count > 1:
            text += f"worst on {hosts([row.machine])}: "
        text += str(reason)
        others = len(row.reasons) - 1
        if others:
            text += f" ({plural(others, 'more reason')})"
        # the names of the checks are those that the policy knows
        checks = " ".join((*row.failed, *row.undecided))
        key = f"{row.result} {checks} {row.wanted.label}"
        seen[key] += 1
        level = "warning"
        if row.exit_code:
            level = "error"
        yield Issue(
            level=level,
            rule=reason.check or "route",
            file=audit.policy.file,
            line=policy.line(row.wanted.path),
            key=f"{key} {seen[key]}",
            text=text,
            remedy=reason.remedy,
            machines=group.names,
        )


def _issue_of_exception(use: ExemptionUse, policy: Policy) -> Issue:
    """The issue of an exception that has ended or covers nothing, at its line of the policy."""
    rule = f"exception-{use.use}"
    exemption = use.exemption
    words = audit_text.exception_words(use)
    # made of the policy alone, so that an alert lasts when the words change
    key = f"{rule} {exemption.rule} of {exemption.model}"
    if exemption.machines:
        machines = " ".join(map(str, exemption.machines))
        key += f" on {machines}"
    return Issue(
        level="warning",
        rule=rule,
        file=policy.file,
        line=policy.document().line(("exception", exemption.index)),
        key=f"{key} {exemption.index}",
        text=f"{shortened(words.name)}: {words.fate}",
        remedy=words.remedy,
    )


# ---------------------------------------------------------------- GitHub


def _github(audit: Audit) -> str:
    """Workflow commands: an annotation for each of the first issues; the last counts the rest.
    There is room for few, so faults of records of one reason are one.
    """
    entries = issues(audit.replace(problems=audit.grouped_problems))
    lines = list(map(_annotation, entries[:MOST_SHOWN]))
    rest = entries[MOST_SHOWN:]
    if rest:
        lines.append(_annotation_of_rest(rest))
    if not lines:
        outcome = LABELS.outcomes[str(audit.exit_code)]
        text = f"{outcome.word}: {outcome.sentence}; {scope(audit)}"
        lines.append(_command("notice", {"title": _TITLE}, text))
    return ended(lines)


def _annotation(issue: Issue) -> str:
    """The command that shows one issue beside the line of the policy."""
    properties = {"file": issue.path}
    if issue.line is not None:
        properties["line"] = str(issue.line)
    properties["title"] = f"{_TITLE}: {issue.rule}"
    text = issue.sentence
    if len(issue.machines) > 1:
        text += f"; on {hosts(issue.machines)}"
    return _command(issue.level, properties, text)


def _annotation_of_rest(rest: Sequence[Issue]) -> str:
    """The annotation that counts the issues without an annotation, and names their machines."""
    text = f"and {plural(len(rest), 'more annotation')}: see the other reports of this audit"
    names = {}
    for issue in rest:
        names.update(dict.fromkeys(issue.machines))
    if names:
        text += f"; on {hosts(names)}"
    return _command(rest[0].level, {"title": _TITLE}, text)


def _command(
    name: str,
    properties: Mapping[str, str],
    message: str,
) -> str:
    """The workflow command, with the escapes that the runner reads (actions/toolkit,
    packages/core/src/command.ts).
    """
    codes = {"%": "%25", "\r": "%0D", "\n": "%0A"}
    message_codes = str.maketrans(codes)
    property_codes = str.maketrans({**codes, ":": "%3A", ",": "%2C"})
    pairs = []
    for key, value in properties.items():
        pairs.append(f"{key}={value.translate(property_codes)}")
    listed = ",".join(pairs)
    text = message.translate(message_codes)
    return f"::{name} {listed}::{text}"


# ---------------------------------------------------------------- SARIF


def _described_rule(rule: str) -> Object:
    """A rule in the form that code scanning lists: the demand of the rule, and the remedy where the
    rule is broken.
    """
    if rule in WORDS.checks:
        asks = WORDS.checks[rule].asks
        remedy = WORDS.checks[rule].remedy
    else:
        asks, remedy = LABELS.rules[rule]
    return {
        "id": rule,
        "shortDescription": {"text": asks},
        "fullDescription": {"text": f"{asks}."},
        "help": {"text": remedy, "markdown": remedy},
    }


def _sarif(audit: Audit) -> str:
    """SARIF 2.1.0 in ASCII: results stand at lines of the policy, machines are locations."""
    entries = issues(audit)
    # the place of each rule among those that the results name
    places: dict[str, int] = {}
    results = []
    for issue in entries[:_MOST_RESULTS]:
        rule_index = places.setdefault(issue.rule, len(places))
        results.append(_sarif_result(issue, rule_index))
    notifications = []
    left_out = len(entries) - len(results)
    if left_out:
        text = f"{plural(left_out, 'more result')}, not listed"
        notifications.append({"message": {"text": text}})
    driver = {
        "name": "selfhost",
        "version": __version__,
        "rules": list(map(_described_rule, places)),
    }
    invocation = {
        "executionSuccessful": not audit.problems,
        "exitCode": audit.exit_code,
        "toolExecutionNotifications": notifications,
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "selfhost-audit/"},
        "invocations": [invocation],
        "results": results,
    }
    return dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _sarif_result(issue: Issue, rule_index: int) -> Object:
    """A result: the issue at its place, with a fingerprint that lasts from run to run."""
    key = issue.key.encode("utf-8", "backslashreplace")
    return {
        "ruleId": issue.rule,
        "ruleIndex": rule_index,
        "level": issue.level,
        "message": {"text": issue.sentence},
        "locations": [_sarif_location(issue)],
        "partialFingerprints": {"selfhostAudit/v1": sha256(key).hexdigest()},
    }


def _sarif_location(issue: Issue) -> Object:
    """The line of the policy, and each machine once as a logical location."""
    place: Object = {"artifactLocation": {"uri": _uri(issue.path)}}
    if issue.line is not None:
        place["region"] = {"startLine": issue.line}
    location: Object = {"physicalLocation": place}
    machines = []
    for name in dict.fromkeys(map(shortened, issue.machines)):
        machine = {"name": name, "kind": "machine", "fullyQualifiedName": name}
        machines.append(machine)
    if machines:
        location["logicalLocations"] = machines
    return location


def _uri(path: str) -> str:
    """A relative reference as RFC 3986 wants it; a whole path as a `file` URI."""
    written = path.encode("utf-8", "replace")
    escaped = re.sub(rb"[^\w.~/-]", lambda sign: b"%%%02X" % ord(sign[0]), written)
    reference = escaped.decode()
    return f"file://{reference}" if path.startswith("/") else reference


# ---------------------------------------------------------------- Prometheus


def _prometheus(audit: Audit) -> Iterator[str]:
    """Gauges in Prometheus' text format 0.0.4, as node_exporter's textfile collector reads it.

    Machines are counted and not named: each name would be a time series of its own. Comments tell
    the problems.
    """
    for problem in audit.problems:
        yield f"# problem: {one_line(clean(str(problem)))}\n"
    machines: Counter[str] = Counter()
    shortfalls: dict[str, float] = {}
    for wanted in audit.policy.models:
        for result in Result:
            machines[_gauge_labels(model=wanted.label, result=result)] = 0
    for group in audit.groups:
        model = group.row.wanted.label
        machines[_gauge_labels(model=model, result=group.row.result)] += group.count
        for finding in group.row.findings:
            if finding.unit == "bytes" and finding.short is not None:
                labels = _gauge_labels(model=model, check=finding.check)
                shortfalls[labels] = max(shortfalls.get(labels, 0), finding.short)
    uses = Counter(use.use for use in audit.exceptions)
    gauges: Mapping[str, Mapping[str, float]] = {
        "exit_code": {"": audit.exit_code},
        "problems": {"": len(audit.problems)},
        "machines_judged": {"": audit.machines},
        "exceptions": {_gauge_labels(use=use): uses[use] for use in ExemptionState},
        "machines": machines,
        "shortfall_bytes": shortfalls,
    }
    for name, values in gauges.items():
        yield f"# HELP selfhost_audit_{name} {LABELS.gauges[name]}\n"
        yield f"# TYPE selfhost_audit_{name} gauge\n"
        for labels, number in values.items():
            yield f"selfhost_audit_{name}{labels} {number}\n"


def _gauge_labels(**labels: str) -> str:
    """The labels of a gauge, with the escapes of Prometheus' text format."""
    escapes = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
    pairs = []
    for name, value in labels.items():
        pairs.append(f'{name}="{clean(value).translate(escapes)}"')
    return f"{{{','.join(pairs)}}}"


# ---------------------------------------------------------------- all formats


def _text(audit: Audit) -> str:
    """All that is known, as lines of text."""
    return plain(document(audit, verbose=True))


def _markdown(audit: Audit) -> str:
    """The whole audit as Markdown, within the size that GitHub takes as the summary of a step."""
    return markup.markdown(document(audit, verbose=True), _MOST_MARKDOWN_BYTES)


def _html(audit: Audit) -> str:
    """All that is known as a page."""
    return markup.page(document(audit, verbose=True))


FORMATS: Mapping[str, Format] = {
    "text": Format(render=_text, shows_problems=False),
    "json": Format(render=_json, shows_problems=False, suffix="json"),
    "jsonl": Format(render=_json_lines, suffix="jsonl"),
    "markdown": Format(render=_markdown, suffix="md"),
    "html": Format(render=_html, suffix="html"),
    "junit": Format(render=_junit, suffix="xml"),
    "github": Format(render=_github),
    "sarif": Format(render=_sarif, suffix="sarif"),
    "prometheus": Format(render=_prometheus, suffix="prom"),
}
