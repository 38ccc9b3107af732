"""An audit for programs and pages: each format of `selfhost audit`, by its name in `FORMATS`.

A format is a function that makes a text of one finished `Audit`; it reads no clock and no file. CI
services read issues, which are what an audit found at a line of the policy.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ..audit.policy import ASKED, Selector
from ..audit.rows import NAMES_SHOWN, Audit, Group, Result, Row, Use
from ..core import __version__
from ..core.errors import one_line
from ..core.records import Record
from ..core.tables import shipped_table
from ..needs.records import times
from . import audit_text, markup
from .audit_text import MOST_OF_A_TEXT, document, hosts, scope, shortened
from .json import dumps, fields, keys_of, record, titled
from .layout import clean, plain

# GitHub refuses a whole summary above 1 MiB (docs.github.com, "Workflow commands", "Adding a job
# summary"); what follows the rows needs a little
_MOST_MARKDOWN_BYTES = (1 << 20) - 4096
# GitHub shows ten annotations of a kind in a step and drops the rest without a word
# (github.com/actions/toolkit, docs/problem-matchers.md, "Limitations"), so the last one counts what
# is left; of a file of SARIF it shows 5,000 results, and refuses one of more than 25,000
MOST_SHOWN, _MOST_RESULTS = 9, 5_000
# above so many machines those that fare alike share a suite of JUnit, or no reader takes the file
_MOST_SUITES = 1_000
_SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


class Format(Record):
    """`shows_problems`: it is written even if nothing was judged; `suffix` of --output picks it."""

    render: Callable[[Audit], str | Iterable[str]]
    shows_problems: bool = True
    suffix: str | None = None


@record.register
def _(selector: Selector) -> str:
    return str(selector)


def _json(audit: Audit) -> str:
    """`selfhost.audit/1`; the keys do not depend on the options."""
    policy, groups = audit.policy, audit.groups
    # each set of machines with a group of it: one that fails, so that all names are listed
    failing = [group for group in groups if group.row.result is not Result.PASS]
    sets = {group.names: group for group in (*groups, *failing)}
    needs = fields(policy.needs, "private commercial modify auditable license")
    models = [
        fields(each, "name label severity require_runtime machines")
        | fields(each.asked, " ".join(ASKED))
        | {"members": [member.name for member in each.members]}
        for each in policy.models
    ]
    classes = [fields(each, "name count names") for each in sets.values()]
    for shown, each in zip(classes, sets.values(), strict=True):
        # of machines where the model runs the first names alone
        if each.row.result is Result.PASS:
            del shown["names"][NAMES_SHOWN:]
    # `example` is the machine of the class with the largest shortfall
    verdicts = [
        {"class": each.name, "example": each.row.machine}
        | _judged(each.row)
        | fields(each.row, "route result exit_code change failed findings reasons")
        | {"unknown": list(each.row.undecided)}
        | {"excepted": [{"rule": rule, "expires": by.expires} for rule, by in each.row.excepted]}
        for each in groups
    ]
    exceptions: dict[str, list[Any]] = {use.value: [] for use in Use}
    for use in audit.exceptions:
        exceptions[use.use].append(record(use.exemption) | fields(use, "rows concerned"))
    members = {
        "policy": fields(policy, "file fail_on on_unknown") | {"needs": needs, "models": models},
        **fields(audit, "today machines"),
        "classes": classes,
        "verdicts": verdicts,
        "exceptions": exceptions,
        "results": {result.value: audit.count(result) for result in Result},
        "baseline": record(audit.since),
        **fields(audit, "notes problems outcome exit_code"),
    }
    return dumps(titled("audit/1", **members))


def _json_lines(audit: Audit) -> Iterator[str]:
    import json

    # a line that is of no machine has the same keys
    empty: dict[str, Any] = dict.fromkeys(keys_of("audit-line").split())
    empty |= {"failed": [], "excepted": []}
    for row in audit.rows:
        excepted = [check for check, _ in row.excepted]
        members = fields(row, "machine route failed result change") | {"excepted": excepted}
        yield f"{json.dumps(empty | members | _judged(row))}\n"
    for problem in () if audit.groups else audit.problems:
        fault = {"result": Result.UNKNOWN.value, "problem": record(problem)}
        yield f"{json.dumps(empty | fault)}\n"


def _judged(row: Row) -> dict[str, Any]:
    """What was asked, and what would be loaded by what; None where that is not one thing."""
    verdict, wanted, how = row.verdict, row.wanted, "runtime format quantization"
    loaded = dict.fromkeys(how.split()) if verdict is None else fields(verdict.workload, how)
    model = {"model": None if verdict is None else verdict.model.id}
    return {"asked": wanted.name, **fields(wanted, "label severity"), **model, **loaded}


_COUNTS = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}


def _junit(audit: Audit) -> str:
    """JUnit XML for Jenkins' xUnit plugin, the strictest reader: red where the exit is not 0."""
    root = Element("testsuites", name="selfhost audit")
    suites: dict[str, Element] = {}
    for group in audit.groups:
        for name in group.names if audit.machines <= _MOST_SUITES else (group.name,):
            if name not in suites:
                suites[name] = SubElement(root, "testsuite", name=clean(name))
            label = clean(group.row.wanted.label)
            case = SubElement(suites[name], "testcase", name=label, classname=clean(name))
            _add_outcome(case, group, name)
    if audit.problems:
        title = "policy and machine records"
        suite = SubElement(root, "testsuite", name=title)
    for number, each in enumerate(audit.problems, 1):
        # GitLab keeps the first of two equal names, so no two are
        label = clean(f"{number}. {each.file}")
        case = SubElement(suite, "testcase", name=label, classname=title)
        named = {"type": "problem", "message": clean(each.message)}
        SubElement(case, "error", named).text = clean(str(each))
    for element in (root, *root):
        for key, tag in _COUNTS.items():
            if element is not root or tag != "skipped":
                element.set(key, str(len(list(element.iter(tag)))))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _add_outcome(case: Element, group: Group, name: str) -> None:
    """What a group's row says in a case of that name: figures of another machine say so. A case
    that the exit code does not count passes, and its output says what is wrong all the same.
    """
    row = group.row
    lines: list[str] = []
    if row.result is not Result.PASS:
        lines = [*audit_text.details(group)]
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
    message = message if name == row.machine else f"{row.machine}: {message}"
    checks = (*row.failed, *row.undecided, *(check for check, _ in row.excepted))
    named = {"type": (*checks, str(row.result))[0], "message": clean(message)}
    kind = "failure" if row.result is Result.FAIL else "error"
    SubElement(case, kind if row.exit_code else "skipped", named).text = "\n".join(lines)


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
        return posixpath.normpath(shortened(self.file, MOST_OF_A_TEXT).replace("\\", "/"))


def issues(audit: Audit) -> list[Issue]:
    """Return the errors first, then in the policy's order; none that the policy lets pass."""
    policy, file = audit.policy.document(), audit.policy.file
    entries = [
        Issue(
            level="error",
            rule="not-judged",
            file=fault.file,
            line=fault.line,
            key=f"not-judged {fault.file} {fault.key} {fault.message} {number}",
            text=f"{fault.key}: {fault.message}" if fault.key else fault.message,
            remedy=fault.remedy and one_line(fault.remedy),
        )
        for number, fault in enumerate(audit.problems)
    ]
    verbs, seen = {Result.FAIL: "does not run"}, Counter[str]()
    if audit.policy.on_unknown != "ignore":
        verbs[Result.UNKNOWN] = "may not run"
    for group in audit.groups:
        row, wanted = group.row, group.row.wanted
        if row.result not in verbs:
            continue
        reason, place = row.reasons[0], audit.policy.place(wanted.index)
        where = f"{shortened(wanted.label)} {verbs[row.result]} on {shortened(group.name)}"
        worst = f"worst on {hosts([row.machine])}: " if group.count > 1 else ""
        others = f" ({times(len(row.reasons) - 1, 'more reason')})" * (len(row.reasons) > 1)
        # the names of the checks are those that the policy knows
        key = f"{row.result} {' '.join((*row.failed, *row.undecided))} {wanted.label}"
        seen[key] += 1
        issue = Issue(
            level="error" if row.exit_code else "warning",
            rule=reason.check or "route",
            file=file,
            line=policy.line(place),
            key=f"{key} {seen[key]}",
            text=f"{where}: {worst}{reason}{others}",
            remedy=reason.remedy,
            machines=group.names,
        )
        entries.append(issue)
    # of exceptions those that have ended, or cover nothing on machines that were judged
    for use in audit.exceptions:
        if use.use is Use.EXPIRED or (use.use is Use.UNUSED and use.concerned):
            rule, exemption = f"exception-{use.use}", use.exemption
            name, state, remedy = audit_text.exception_words(use)
            where = f" on {' '.join(map(str, exemption.machines))}" if exemption.machines else ""
            issue = Issue(
                level="warning",
                rule=rule,
                file=file,
                line=policy.line(("exception", exemption.index)),
                # of the policy alone, so that an alert lasts when the words change
                key=f"{rule} {exemption.rule} of {exemption.model}{where} {exemption.index}",
                text=f"{shortened(name)}: {state}",
                remedy=remedy,
            )
            entries.append(issue)
    return sorted(entries, key=lambda issue: issue.level != "error")


def _github(audit: Audit) -> str:
    entries, title = issues(audit), "selfhost audit"
    lines = []
    for issue in entries[:MOST_SHOWN]:
        where = {} if issue.line is None else {"line": str(issue.line)}
        properties = {"file": issue.path, **where, "title": f"{title}: {issue.rule}"}
        on = f"; on {hosts(issue.machines)}" if len(issue.machines) > 1 else ""
        lines.append(_command(issue.level, properties, f"{issue.sentence}{on}"))
    if rest := entries[MOST_SHOWN:]:
        # whoever reads no other report finds the machines here
        names = dict.fromkeys(name for issue in rest for name in issue.machines)
        on = f"; on {hosts(names)}" if names else ""
        more = f"and {times(len(rest), 'more annotation')}: see the other reports of this audit"
        lines.append(_command(rest[0].level, {"title": title}, f"{more}{on}"))
    word, _, sentence = audit_text.ANSWERS[audit.exit_code]
    outcome = _command("notice", {"title": title}, f"{word}: {sentence}; {scope(audit)}")
    return "".join(f"{line}\n" for line in lines or [outcome])


def _command(name: str, properties: Mapping[str, str], message: str) -> str:
    """As the runner unescapes it (actions/toolkit, packages/core/src/command.ts)."""
    codes = {"%": "%25", "\r": "%0D", "\n": "%0A"}
    message_codes = str.maketrans(codes)
    property_codes = str.maketrans({**codes, ":": "%3A", ",": "%2C"})
    shown = (f"{key}={value.translate(property_codes)}" for key, value in properties.items())
    return f"::{name} {','.join(shown)}::{message.translate(message_codes)}"


def _described_rule(rule: str) -> dict[str, Any]:
    """A rule as code scanning lists it: what it asks, and what to do where it is broken."""
    asks, remedy = shipped_table("labels")["rules"][rule]
    return {
        "id": rule,
        "shortDescription": {"text": asks},
        "fullDescription": {"text": f"{asks}."},
        "help": {"text": remedy, "markdown": remedy},
    }


def _sarif(audit: Audit) -> str:
    """SARIF 2.1.0 in ASCII: results stand at lines of the policy, machines are locations."""
    entries = issues(audit)
    listed, rest = entries[:_MOST_RESULTS], len(entries[_MOST_RESULTS:])
    rules = list(dict.fromkeys(issue.rule for issue in listed))
    described = [_described_rule(rule) for rule in rules]
    driver = {"name": "selfhost", "version": __version__, "rules": described}
    more = {"message": {"text": f"{times(rest, 'more result')}, not listed"}}
    invocation = {
        "executionSuccessful": not audit.problems,
        "exitCode": audit.exit_code,
        "toolExecutionNotifications": [more] if rest else [],
    }
    results: list[dict[str, Any]] = []
    for issue in listed:
        # a relative reference as RFC 3986 wants it; a whole path as a `file` URI
        uri = "".join(
            chr(byte) if re.match(rb"[\w.~/-]", bytes([byte])) else f"%{byte:02X}"
            for byte in issue.path.encode("utf-8", "replace")
        )
        place: dict[str, Any] = {"artifactLocation": {"uri": f"{'file://' * (uri[0] == '/')}{uri}"}}
        place |= {} if issue.line is None else {"region": {"startLine": issue.line}}
        names = dict.fromkeys(hosts([name]) for name in issue.machines)
        machines = [{"name": each, "kind": "machine", "fullyQualifiedName": each} for each in names]
        located = {"logicalLocations": machines} if machines else {}
        key = issue.key.encode("utf-8", "backslashreplace")
        results.append(
            {
                "ruleId": issue.rule,
                "ruleIndex": rules.index(issue.rule),
                "level": issue.level,
                "message": {"text": issue.sentence},
                "locations": [{"physicalLocation": place, **located}],
                "partialFingerprints": {"selfhostAudit/v1": sha256(key).hexdigest()},
            }
        )
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "selfhost-audit/"},
        "invocations": [invocation],
        "results": results,
    }
    return dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


_whole = partial(document, verbose=True)
FORMATS: Mapping[str, Format] = {
    "text": Format(render=lambda audit: plain(_whole(audit)), shows_problems=False),
    "json": Format(render=_json, shows_problems=False, suffix="json"),
    "jsonl": Format(render=_json_lines, suffix="jsonl"),
    "markdown": Format(
        render=lambda audit: markup.markdown(_whole(audit), _MOST_MARKDOWN_BYTES), suffix="md"
    ),
    "html": Format(render=lambda audit: markup.page(_whole(audit)), suffix="html"),
    "junit": Format(render=_junit, suffix="xml"),
    "github": Format(render=_github),
    "sarif": Format(render=_sarif, suffix="sarif"),
}
