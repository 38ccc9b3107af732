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
from .audit_words import excepted_words, exception_fate, exception_name, needs_attention
from .layout import clean

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PROBLEMS = "policy and machine records"
EXCEPTIONS = "exceptions of the policy"
# GitLab reads 30 MB of a file (docs.gitlab.com, "Unit test reports")
MOST_CHARACTERS = 25_000_000


def render(audit: Audit) -> str:
    """Return the document as text, to be written as UTF-8."""
    from xml.etree.ElementTree import Element, indent, tostring

    suites = _suites(audit)
    if audit.problems:
        suites.append(_problems(audit))
    if any(map(needs_attention, audit.exceptions)):
        suites.append(_exceptions(audit))
    root = Element("testsuites", name="selfhost audit")
    for suite in suites:
        suite.set("tests", str(len(suite.findall("testcase"))))
        for key, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(key, str(len(suite.findall(f"testcase/{kind}"))))
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.extend(suites)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suites(audit: Audit) -> list[Element]:
    """One for each class of machines; where they are too many, the worst, and a count."""
    groups = sorted(audit.groups, key=lambda group: not _is_red(group))
    kept: dict[int, Element] = {}
    left = MOST_CHARACTERS
    rest: list[MachineGroup] = []
    for group in groups:
        if left <= 0:
            rest.append(group)
            continue
        kept[id(group)] = suite = _suite(group, audit)
        # marks and indents, a name of an attribute, the texts
        for element in suite.iter():
            values = (*element.attrib.values(), element.text or "")
            left -= 40 + sum(12 + len(value) for value in values)
    suites = [kept[id(group)] for group in audit.groups if id(group) in kept]
    return [*suites, _not_listed(rest)] if rest else suites


def _is_red(group: MachineGroup) -> bool:
    return any(row.exit_code for row in group.rows)


def _not_listed(groups: Sequence[MachineGroup]) -> Element:
    """Classes that are not listed: red where one of them is."""
    from xml.etree.ElementTree import Element

    name = f"{len(groups):,} more classes of machines"
    red = sum(map(_is_red, groups))
    message = f"not listed, {red:,} of them with a failure: the JSON report has all of them"
    suite = Element("testsuite", name=name)
    _add_case(suite, name, name, "failure" if red else "skipped", "not-listed", message)
    return suite


def _add_case(
    suite: Element,
    name: str,
    of: str,
    kind: str = "",
    type_: str = "",
    message: str = "",
    text: str = "",
) -> None:
    """Add a test case; `kind` is failure, error, skipped, or empty for one that passes."""
    from xml.etree.ElementTree import SubElement

    case = SubElement(suite, "testcase", name=clean(name), classname=clean(of))
    if kind:
        SubElement(case, kind, type=type_, message=clean(message)).text = text


def _suite(group: MachineGroup, audit: Audit) -> Element:
    from xml.etree.ElementTree import Element, SubElement

    suite = Element("testsuite", name=clean(group.name))
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
        words = (_type(row), _message(row), _body(group, row))
        _add_case(suite, row.wanted.label, group.name, _kind(row), *words)
    return suite


def _kind(row: Row) -> str:
    if row.result is Result.PASS:
        return ""
    if row.result is Result.EXCEPTED or row.exit_code == 0:
        return "skipped"
    return "failure" if row.result is Result.FAIL else "error"


def _type(row: Row) -> str:
    """The first deciding finding."""
    names = (*row.failed, *row.undecided, *(check for check, _ in row.excepted))
    return names[0] if names else str(row.result)


def _message(row: Row) -> str:
    if row.result is Result.EXCEPTED:
        return "; ".join(excepted_words(row, check, each) for check, each in row.excepted)
    reason = row.reasons[0].text if row.reasons else ""
    return reason if row.exit_code else f"not counted: {reason}"


def _body(group: MachineGroup, row: Row) -> str:
    """Every reason with its remedy; a group says of which machine the figures are."""
    lines = [f"figures of {row.machine}"] if group.count > 1 and row.reasons else []
    for reason in row.reasons:
        lines += [str(reason), *([f"to do: {reason.remedy}"] if reason.remedy else [])]
    lines += [excepted_words(row, check, each) for check, each in row.excepted]
    return "\n".join(map(clean, lines))


def _problems(audit: Audit) -> Element:
    """What could not be judged at all; each a test case, so that the report is not green."""
    from xml.etree.ElementTree import Element

    suite = Element("testsuite", name=PROBLEMS)
    for number, problem in enumerate(audit.problems, 1):
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        words = ("error", "problem", problem.message, clean(str(problem)))
        _add_case(suite, f"{number}. {place}", PROBLEMS, *words)
    return suite


def _exceptions(audit: Audit) -> Element:
    """What has ended or covers nothing is skipped: by itself it breaks nothing."""
    from xml.etree.ElementTree import Element

    suite = Element("testsuite", name=EXCEPTIONS)
    for number, use in enumerate(filter(needs_attention, audit.exceptions), 1):
        words = ("skipped", f"exception-{use.use}", f"{use.use}: {exception_fate(use)}")
        _add_case(suite, f"{number}. {exception_name(use)}", EXCEPTIONS, *words)
    return suite
