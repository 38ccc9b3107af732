"""An audit as JUnit XML, within the schema of Jenkins' xUnit plugin, the strictest of its readers.

A test suite is a machine, or several that fare alike; a test case is a model. The report is red
exactly where the exit code is not 0: what the policy does not count is skipped, with the reason.
GitLab keeps the first of two equal names, so no two are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import __version__
from ..audit.record import Audit, MachineGroup, Result, Row
from .audit_rows import excepted_words, exception_fate, exception_name, needs_attention, with_remedy
from .layout import clean

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PROBLEMS = "policy and machine records"
EXCEPTIONS = "exceptions of the policy"
# machines that a suite names: GitLab reads 30 MB of a file (docs.gitlab.com, "Unit test reports")
_NAMES_SHOWN = 50
# kind (failure, error, skipped, or empty for one that passes), type, message, text
_Outcome = tuple[str, str, str, str]
_PASSES: _Outcome = ("", "", "", "")


def render(audit: Audit) -> str:
    """Return the document as text, to be written as UTF-8."""
    from xml.etree.ElementTree import Element, indent, tostring

    suites = [_machine_suite(group, audit) for group in audit.groups]
    problems = [
        (
            f"{number}. {each.file}{'' if each.line is None else f':{each.line}'}",
            ("error", "problem", each.message, clean(str(each))),
        )
        for number, each in enumerate(audit.problems, 1)
    ]
    exceptions = [
        (
            f"{number}. {exception_name(use)}",
            (
                "skipped",
                f"exception-{use.use}",
                f"{use.use}: {with_remedy(*exception_fate(use))}",
                "",
            ),
        )
        for number, use in enumerate(filter(needs_attention, audit.exceptions), 1)
    ]
    for name, cases in ((PROBLEMS, problems), (EXCEPTIONS, exceptions)):
        suites += [_suite(name, cases)] if cases else []
    root = Element("testsuites", name="selfhost audit")
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.extend(suites)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(
    name: str, cases: Sequence[tuple[str, _Outcome]], properties: dict[str, str] | None = None
) -> Element:
    """A test suite with its counts; a case is its name and its outcome."""
    from xml.etree.ElementTree import Element, SubElement

    suite = Element("testsuite", name=clean(name))
    kinds = [kind for _, (kind, *_) in cases]
    suite.set("tests", str(len(cases)))
    for key, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(kinds.count(kind)))
    if properties:
        listed = SubElement(suite, "properties")
        for key, value in properties.items():
            SubElement(listed, "property", name=key, value=clean(value))
    for label, (kind, type_, message, text) in cases:
        case = SubElement(suite, "testcase", name=clean(label), classname=clean(name))
        if kind:
            SubElement(case, kind, type=type_, message=clean(message)).text = text
    return suite


def _machine_suite(group: MachineGroup, audit: Audit) -> Element:
    properties = {
        "selfhost_version": __version__,
        "policy": audit.policy.file,
        "date": audit.today,
        "machines": str(group.count),
        "machine_names": ", ".join(group.names[:_NAMES_SHOWN]),
    }
    cases = [(row.wanted.label, _outcome(group, row)) for row in group.rows]
    return _suite(group.name, cases, properties)


def _outcome(group: MachineGroup, row: Row) -> _Outcome:
    """The first deciding finding, and every reason with its remedy; a group says of which machine
    the figures are.
    """
    if row.result is Result.PASS:
        return _PASSES
    excepted = [excepted_words(row, check, each) for check, each in row.excepted]
    lines = [f"figures of {row.machine}"] if group.count > 1 and row.reasons else []
    for reason in row.reasons:
        lines += [str(reason), *([f"to do: {reason.remedy}"] if reason.remedy else [])]
    names = (*row.failed, *row.undecided, *(check for check, _ in row.excepted), str(row.result))
    message = row.reasons[0].text if row.reasons else ""
    kind = "failure" if row.result is Result.FAIL else "error"
    if row.result is Result.EXCEPTED:
        kind, message = "skipped", "; ".join(excepted)
    elif row.exit_code == 0:
        kind, message = "skipped", f"not counted: {message}"
    return kind, names[0], message, "\n".join(map(clean, [*lines, *excepted]))
