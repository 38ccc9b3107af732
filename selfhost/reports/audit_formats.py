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
from ..audit.rows import NAMES_SHOWN, Audit, ExemptionUse, Group, Result, Row, Use
from ..core import __version__
from ..core.errors import Problem, one_line
from ..core.records import Record
from ..needs.records import times
from . import audit_text, markup
from .audit_text import MOST_OF_A_TEXT, document, hosts, scope, shortened
from .json import Object, dumps, fields, keys_of, record, titled
from .labels import LABELS
from .layout import clean, plain

# GitHub refuses a whole summary above 1 MiB (docs.github.com, "Workflow commands", "Adding a job
# summary"); what follows the rows needs a little
_MOST_MARKDOWN_BYTES = (1 << 20) - 4096
# GitHub shows ten annotations of a kind in a step and drops the rest without a word
# (github.com/actions/toolkit, docs/problem-matchers.md, "Limitations"), so the last one counts what
# is left; of a file of SARIF it shows 5,000 results, and refuses one of more than 25,000
MOST_SHOWN = 9
_MOST_RESULTS = 5_000
# above so many machines those that fare alike share a suite of JUnit, or no reader takes the file
_MOST_SUITES = 1_000
# of an annotation
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
    return str(selector)


def _json(audit: Audit) -> str:
    """`selfhost.audit/1`; the keys do not depend on the options."""
    policy = audit.policy
    members = {
        "policy": {
            **fields(policy, "file fail_on on_unknown"),
            "needs": fields(
                policy.needs, "private commercial modify auditable license"
            ),
            "models": [_json_model(wanted) for wanted in policy.models],
        },
        **fields(audit, "today machines"),
        "classes": _json_classes(audit.groups),
        "verdicts": [_json_verdict(group) for group in audit.groups],
        "exceptions": _json_exceptions(audit.exceptions),
        "results": {result.value: audit.count(result) for result in Result},
        "baseline": record(audit.since),
        **fields(audit, "notes problems outcome exit_code"),
    }
    return dumps(titled("audit/1", **members))


def _json_model(wanted: Wanted) -> Object:
    return {
        **fields(wanted, "name label severity require_runtime machines"),
        **fields(wanted.asked, " ".join(ASKED)),
        "members": [member.name for member in wanted.members],
    }


def _json_classes(groups: Sequence[Group]) -> list[Object]:
    """Each set of machines once, with all names where any model does not pass there."""
    by_names: dict[tuple[str, ...], Group] = {group.names: group for group in groups}
    failing = {group.names for group in groups if group.row.result is not Result.PASS}
    classes = []
    for names, group in by_names.items():
        members = fields(group, "name count names")
        if names not in failing:
            members["names"] = members["names"][:NAMES_SHOWN]
        classes.append(members)
    return classes


def _json_verdict(group: Group) -> Object:
    """A model on a class; `example` is the machine of the class with the largest shortfall."""
    row = group.row
    excepted = [
        {"rule": rule, "expires": exemption.expires} for rule, exemption in row.excepted
    ]
    return {
        "class": group.name,
        "example": row.machine,
        **_judged(row),
        **fields(row, "route result exit_code change failed findings reasons"),
        "unknown": list(row.undecided),
        "excepted": excepted,
    }


def _json_exceptions(uses: Iterable[ExemptionUse]) -> dict[str, list[Object]]:
    """The exceptions by what became of them."""
    exceptions: dict[str, list[Object]] = {use.value: [] for use in Use}
    for use in uses:
        exceptions[use.use].append(
            {**record(use.exemption), **fields(use, "rows concerned")}
        )
    return exceptions


def _json_lines(audit: Audit) -> Iterator[str]:
    """A line for each row; where nothing was judged a line for each problem, with the same keys."""
    import json

    empty: Object = dict.fromkeys(keys_of("audit-line").split())
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


def _judged(row: Row) -> Object:
    """What was asked, and what would be loaded by what; None where that is not one thing."""
    loaded: Object = dict.fromkeys(("model", "runtime", "format", "quantization"))
    if row.verdict is not None:
        loaded["model"] = row.verdict.model.id
        loaded |= fields(row.verdict.workload, "runtime format quantization")
    return {"asked": row.wanted.name, **fields(row.wanted, "label severity"), **loaded}


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
    suites: dict[str, Element] = {}
    for group in audit.groups:
        names = group.names if audit.machines <= _MOST_SUITES else (group.name,)
        for name in names:
            if name not in suites:
                suites[name] = SubElement(root, "testsuite", name=clean(name))
            label = clean(group.row.wanted.label)
            case = SubElement(
                suites[name], "testcase", name=label, classname=clean(name)
            )
            _add_outcome(case, group, name)
    if audit.problems:
        _add_problems(root, audit.problems)
    for element in (root, *root):
        for key, tag in _COUNTS.items():
            # the root has no count of skipped cases
            if element is not root or tag != "skipped":
                element.set(key, str(len(list(element.iter(tag)))))
    indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + tostring(root, encoding="unicode")
        + "\n"
    )


def _add_problems(root: Element, problems: Iterable[Problem]) -> None:
    """Add a suite of what could not be judged, with a case for each fault."""
    title = "policy and machine records"
    suite = SubElement(root, "testsuite", name=title)
    for number, problem in enumerate(problems, 1):
        # GitLab keeps the first of two equal names, so no two are
        label = clean(f"{number}. {problem.file}")
        case = SubElement(suite, "testcase", name=label, classname=title)
        error = SubElement(
            case, "error", {"type": "problem", "message": clean(problem.message)}
        )
        error.text = clean(str(problem))


def _add_outcome(case: Element, group: Group, name: str) -> None:
    """Add what a group's row says to the case of the machine `name`; figures of another machine say
    so. A case that the exit code does not count passes, and its output says what is wrong all the
    same.
    """
    row = group.row
    lines: list[str] = []
    if row.result is not Result.PASS:
        lines = list(audit_text.details(group))
    if group.count > 1 and name != group.name:
        # without the names of all
        lines = lines[1:]
    is_uncounted = row.result in audit_text.COUNTED and not row.exit_code
    if row.result is Result.PASS or is_uncounted:
        warning = audit_text.warning_words(row)
        if warning:
            SubElement(case, "system-out").text = "\n".join([clean(warning), *lines])
        return
    message = row.reasons[0].reason if row.reasons else lines[-1]
    if name != row.machine:
        message = f"{row.machine}: {message}"
    checks = [*row.failed, *row.undecided, *(check for check, _ in row.excepted)]
    kind = checks[0] if checks else str(row.result)
    tag = "skipped"
    if row.exit_code:
        tag = "failure" if row.result is Result.FAIL else "error"
    outcome = SubElement(case, tag, {"type": kind, "message": clean(message)})
    outcome.text = "\n".join(lines)


# ---------------------------------------------------------------- issues


class Issue(Record):
    """Machines that fare alike under a model that the policy wants; a fault; or an exception that
    has ended or covers nothing. A `level` of error makes the exit code other than 0, the `key` is
    the same in every run and differs between issues.
    """

    level: str
    rule: str
    file: str
    line: int | None
    key: str
    text: str
    remedy: str | None = None
    machines: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The text and what to do, on one line."""
        to_do = f" (to do: {self.remedy})" if self.remedy else ""
        return shortened(f"{self.text}{to_do}", MOST_OF_A_TEXT)

    @property
    def path(self) -> str:
        """The file as services compare it with those of a repository: `./a\\b` is `a/b`."""
        return posixpath.normpath(
            shortened(self.file, MOST_OF_A_TEXT).replace("\\", "/")
        )


def issues(audit: Audit) -> list[Issue]:
    """Return the errors first, then in the policy's order; none that the policy lets pass."""
    entries = [
        _issue_of_fault(fault, number) for number, fault in enumerate(audit.problems)
    ]
    entries += _issues_of_groups(audit)
    # of exceptions those that have ended, or cover nothing on machines that were judged
    for use in audit.exceptions:
        if use.use is Use.EXPIRED or (use.use is Use.UNUSED and use.concerned):
            entries.append(_issue_of_exception(use, audit.policy))
    return sorted(entries, key=lambda issue: issue.level != "error")


def _issue_of_fault(fault: Problem, number: int) -> Issue:
    return Issue(
        level="error",
        rule="not-judged",
        file=fault.file,
        line=fault.line,
        key=f"not-judged {fault.file} {fault.key} {fault.message} {number}",
        text=f"{fault.key}: {fault.message}" if fault.key else fault.message,
        remedy=fault.remedy and one_line(fault.remedy),
    )


def _issues_of_groups(audit: Audit) -> Iterator[Issue]:
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
        if len(row.reasons) > 1:
            text += f" ({times(len(row.reasons) - 1, 'more reason')})"
        # the names of the checks are those that the policy knows
        key = (
            f"{row.result} {' '.join((*row.failed, *row.undecided))} {row.wanted.label}"
        )
        seen[key] += 1
        yield Issue(
            level="error" if row.exit_code else "warning",
            rule=reason.check or "route",
            file=audit.policy.file,
            line=policy.line(audit.policy.place(row.wanted.index)),
            key=f"{key} {seen[key]}",
            text=text,
            remedy=reason.remedy,
            machines=group.names,
        )


def _issue_of_exception(use: ExemptionUse, policy: Policy) -> Issue:
    rule = f"exception-{use.use}"
    exemption = use.exemption
    said = audit_text.exception_words(use)
    # of the policy alone, so that an alert lasts when the words change
    key = f"{rule} {exemption.rule} of {exemption.model}"
    if exemption.machines:
        key += f" on {' '.join(str(selector) for selector in exemption.machines)}"
    return Issue(
        level="warning",
        rule=rule,
        file=policy.file,
        line=policy.document().line(("exception", exemption.index)),
        key=f"{key} {exemption.index}",
        text=f"{shortened(said.name)}: {said.fate}",
        remedy=said.remedy,
    )


# ---------------------------------------------------------------- GitHub


def _github(audit: Audit) -> str:
    """Workflow commands: an annotation for each of the first issues; the last counts the rest."""
    entries = issues(audit)
    lines = [_annotation(issue) for issue in entries[:MOST_SHOWN]]
    rest = entries[MOST_SHOWN:]
    if rest:
        lines.append(_annotation_of_rest(rest))
    if not lines:
        outcome = audit_text.OUTCOMES[audit.exit_code]
        text = f"{outcome.word}: {outcome.sentence}; {scope(audit)}"
        lines.append(_command("notice", {"title": _TITLE}, text))
    return "".join(f"{line}\n" for line in lines)


def _annotation(issue: Issue) -> str:
    properties = {"file": issue.path}
    if issue.line is not None:
        properties["line"] = str(issue.line)
    properties["title"] = f"{_TITLE}: {issue.rule}"
    text = issue.sentence
    if len(issue.machines) > 1:
        text += f"; on {hosts(issue.machines)}"
    return _command(issue.level, properties, text)


def _annotation_of_rest(rest: Sequence[Issue]) -> str:
    """How many issues have no annotation; whoever reads no other report finds their machines."""
    text = f"and {times(len(rest), 'more annotation')}: see the other reports of this audit"
    names: dict[str, None] = {}
    for issue in rest:
        names.update(dict.fromkeys(issue.machines))
    if names:
        text += f"; on {hosts(names)}"
    return _command(rest[0].level, {"title": _TITLE}, text)


def _command(name: str, properties: Mapping[str, str], message: str) -> str:
    """As the runner unescapes it (actions/toolkit, packages/core/src/command.ts)."""
    codes = {"%": "%25", "\r": "%0D", "\n": "%0A"}
    message_codes = str.maketrans(codes)
    property_codes = str.maketrans({**codes, ":": "%3A", ",": "%2C"})
    pairs = [
        f"{key}={value.translate(property_codes)}" for key, value in properties.items()
    ]
    return f"::{name} {','.join(pairs)}::{message.translate(message_codes)}"


# ---------------------------------------------------------------- SARIF


def _described_rule(rule: str) -> Object:
    """A rule as code scanning lists it: what it asks, and what to do where it is broken."""
    words = LABELS.rules[rule]
    return {
        "id": rule,
        "shortDescription": {"text": words.asks},
        "fullDescription": {"text": f"{words.asks}."},
        "help": {"text": words.remedy, "markdown": words.remedy},
    }


def _sarif(audit: Audit) -> str:
    """SARIF 2.1.0 in ASCII: results stand at lines of the policy, machines are locations."""
    entries = issues(audit)
    listed = entries[:_MOST_RESULTS]
    rules = list(dict.fromkeys(issue.rule for issue in listed))
    notifications = []
    if len(entries) > len(listed):
        text = f"{times(len(entries) - len(listed), 'more result')}, not listed"
        notifications.append({"message": {"text": text}})
    driver = {
        "name": "selfhost",
        "version": __version__,
        "rules": [_described_rule(rule) for rule in rules],
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
        "results": [_sarif_result(issue, rules.index(issue.rule)) for issue in listed],
    }
    return dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _sarif_result(issue: Issue, rule_index: int) -> Object:
    place: Object = {"artifactLocation": {"uri": _uri(issue.path)}}
    if issue.line is not None:
        place["region"] = {"startLine": issue.line}
    location: Object = {"physicalLocation": place}
    if issue.machines:
        names = dict.fromkeys(hosts([name]) for name in issue.machines)
        location["logicalLocations"] = [
            {"name": name, "kind": "machine", "fullyQualifiedName": name}
            for name in names
        ]
    key = issue.key.encode("utf-8", "backslashreplace")
    return {
        "ruleId": issue.rule,
        "ruleIndex": rule_index,
        "level": issue.level,
        "message": {"text": issue.sentence},
        "locations": [location],
        "partialFingerprints": {"selfhostAudit/v1": sha256(key).hexdigest()},
    }


def _uri(path: str) -> str:
    """A relative reference as RFC 3986 wants it; a whole path as a `file` URI."""
    parts = ["file://"] if path.startswith("/") else []
    for byte in path.encode("utf-8", "replace"):
        is_plain = re.match(rb"[\w.~/-]", bytes([byte]))
        parts.append(chr(byte) if is_plain else f"%{byte:02X}")
    return "".join(parts)


# ---------------------------------------------------------------- all formats


def _text(audit: Audit) -> str:
    return plain(document(audit, verbose=True))


def _markdown(audit: Audit) -> str:
    return markup.markdown(document(audit, verbose=True), _MOST_MARKDOWN_BYTES)


def _html(audit: Audit) -> str:
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
}
