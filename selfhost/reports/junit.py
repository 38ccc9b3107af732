"""An audit as JUnit XML, within the schema of Jenkins' xUnit plugin, the strictest of its readers.

A test suite is a machine, or several that fare alike; a test case is a model. The report is red
exactly where the exit code is not 0: what the policy does not count is skipped, with the reason.
GitLab keeps the first of two equal names, so no two are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .. import __version__
from ..audit.record import Audit, ExemptionUse, MachineGroup, Result, Row
from .audit_words import excepted_words, exception_fate, exception_name, needs_attention
from .layout import clean

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PROBLEMS = "policy and machine records"
MOST_CHARACTERS = 25_000_000
EXCEPTIONS = "exceptions of the policy"


def render(audit: Audit) -> str:
    """The document as text, to be written as UTF-8."""
    from xml.etree.ElementTree import Element, indent, tostring

    suites = _suites(audit)
    if audit.problems:
        suites.append(_problems(audit))
    if uses := [use for use in audit.exceptions if needs_attention(use)]:
        suites.append(_exceptions(uses))
    root = Element("testsuites", name="selfhost audit")
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.extend(suites)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suites(audit: Audit) -> list[Element]:
    """One for each class of machines. Where they are too many, the worst are kept and the others
    counted: GitLab reads 30 MB of a file (docs.gitlab.com, "Unit test reports").
    """
    groups = sorted(audit.groups, key=lambda group: not any(row.exit_code for row in group.rows))
    kept: dict[int, Element] = {}
    left = MOST_CHARACTERS
    rest: list[MachineGroup] = []
    for group in groups:
        if left > 0:
            kept[id(group)] = suite = _suite(group, audit)
            left -= sum(map(_size, suite.iter()))
        else:
            rest.append(group)
    suites = [kept[id(group)] for group in audit.groups if id(group) in kept]
    return [*suites, _rest(rest)] if rest else suites


def _size(element: Element) -> int:
    """About how many characters it takes: marks and indents, a name of an attribute, the texts."""
    values = (*element.attrib.values(), element.text or "")
    return 40 + sum(12 + len(value) for value in values)


def _rest(groups: Sequence[MachineGroup]) -> Element:
    """Classes that are not listed: red where one of them is."""
    from xml.etree.ElementTree import Element, SubElement

    name = f"{len(groups):,} more classes of machines"
    suite = Element("testsuite", name=name)
    case = SubElement(suite, "testcase", name=name, classname=name)
    red = sum(any(row.exit_code for row in group.rows) for group in groups)
    message = f"not listed, {red:,} of them with a failure: the JSON report has all of them"
    SubElement(case, "failure" if red else "skipped", type="not-listed", message=message)
    return _counted(suite)


def _suite(group: MachineGroup, audit: Audit) -> Element:
    from xml.etree.ElementTree import Element, SubElement

    name = clean(group.name)
    suite = Element("testsuite", name=name)
    properties = SubElement(suite, "properties")
    for key, value in {
        "selfhost_version": __version__,
        "policy": audit.policy.file,
        "date": audit.today,
        "machines": str(group.count),
        "machine_names": ", ".join(group.names),
    }.items():
        SubElement(properties, "property", name=key, value=clean(value))
    for row in group.rows:
        case = SubElement(suite, "testcase", name=clean(row.wanted.label), classname=name)
        kind = _kind(row)
        if kind is not None:
            said = SubElement(case, kind, type=_type(row), message=_message(row))
            said.text = _body(group, row)
    return _counted(suite)


def _counted(suite: Element) -> Element:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for key, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f"testcase/{kind}"))))
    return suite


def _kind(row: Row) -> str | None:
    if row.result is Result.PASS:
        return None
    if row.result is Result.EXCEPTED or row.exit_code == 0:
        return "skipped"
    return "failure" if row.result is Result.FAIL else "error"


def _type(row: Row) -> str:
    """The first deciding finding."""
    names = (*row.failed, *row.undecided, *(check for check, _ in row.excepted))
    return names[0] if names else str(row.result)


def _message(row: Row) -> str:
    if row.result is Result.EXCEPTED:
        return clean("; ".join(excepted_words(row, check, each) for check, each in row.excepted))
    reason = row.reasons[0].text if row.reasons else ""
    return clean(reason if row.exit_code else f"not counted: {reason}")


def _body(group: MachineGroup, row: Row) -> str:
    """Every reason with its remedy; the figures are those of one machine, so a group says of
    which.
    """
    lines = [f"figures of {row.machine}"] if group.count > 1 and row.reasons else []
    for reason in row.reasons:
        lines.append(str(reason))
        if reason.remedy:
            lines.append(f"to do: {reason.remedy}")
    lines += [excepted_words(row, check, each) for check, each in row.excepted]
    return "\n".join(map(clean, lines))


def _problems(audit: Audit) -> Element:
    """What could not be judged at all; each a test case, so that the report is not green."""
    from xml.etree.ElementTree import Element, SubElement

    suite = Element("testsuite", name=PROBLEMS)
    for number, problem in enumerate(audit.problems, 1):
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        case = SubElement(suite, "testcase", name=clean(f"{number}. {place}"), classname=PROBLEMS)
        said = SubElement(case, "error", type="problem", message=clean(problem.message))
        said.text = clean(str(problem))
    return _counted(suite)


def _exceptions(uses: Iterable[ExemptionUse]) -> Element:
    """What has ended or covers nothing is skipped, with what to do: by itself it breaks nothing."""
    from xml.etree.ElementTree import Element, SubElement

    suite = Element("testsuite", name=EXCEPTIONS)
    for number, use in enumerate(uses, 1):
        name = clean(f"{number}. {exception_name(use)}")
        case = SubElement(suite, "testcase", name=name, classname=EXCEPTIONS)
        message = clean(f"{use.use}: {exception_fate(use)}")
        SubElement(case, "skipped", type=f"exception-{use.use}", message=message)
    return _counted(suite)
