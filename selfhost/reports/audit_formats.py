"""The report formats of `selfhost audit`: a row each, and the module that renders it.

A module makes one text of one finished `Audit`, whole or in pieces; it reads no clock and no file.
Tests go through this table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

from ..core.records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..audit.record import Audit
    from ..core.errors import Problem


class Format(Record):
    """`module` lies beside this file; its `function` takes the audit and gives the text.

    `is_stamped`: the function takes the time of the run too, in seconds since 1970.
    `shows_problems`: the report goes to standard output even where nothing was judged, for it
    shows what is wrong as errors. `suffix`: the end of --output that chooses the format.
    """

    module: str
    function: str = "render"
    is_stamped: bool = False
    shows_problems: bool = True
    suffix: str | None = None


FORMATS: Mapping[str, Format] = {
    "text": Format(module="audit_text", shows_problems=False),
    "json": Format(module="audit_json", function="pieces", shows_problems=False, suffix="json"),
    "jsonl": Format(module="audit_json", function="lines", suffix="jsonl"),
    "markdown": Format(module="audit_text", function="markdown", suffix="md"),
    "html": Format(module="audit_text", function="html", suffix="html"),
    "junit": Format(module="junit", suffix="xml"),
    "github": Format(module="audit_ci", function="github"),
    "sarif": Format(module="audit_ci", function="sarif", suffix="sarif"),
    "prometheus": Format(module="audit_prometheus", is_stamped=True, suffix="prom"),
    "nagios": Format(module="audit_ci", function="nagios"),
}
# the format whose reader wants exit codes of its own
MONITORING = "nagios"


def render(name: str, audit: Audit, now: float) -> str:
    """Return the audit in that format; `now` is the time of the run in seconds since 1970."""
    text = in_pieces(name, audit, now)
    return text if isinstance(text, str) else "".join(text)


def in_pieces(name: str, audit: Audit, now: float) -> str | Iterable[str]:
    """Return the text of `render`, in pieces where it may be longer than memory holds."""
    form = FORMATS[name]
    function = getattr(import_module(f".{form.module}", __package__), form.function)
    text: str | Iterable[str] = function(audit, now) if form.is_stamped else function(audit)
    return text


def without_answer(problems: Iterable[Problem], *, policy: str, today: str) -> Audit:
    """Return an audit that judged nothing because of these faults: its exit code is 2."""
    from ..audit.entries import Policy
    from ..audit.record import Audit

    return Audit(
        policy=Policy(file=policy, text="", models=()),
        today=today,
        machines=0,
        rows=(),
        groups=(),
        problems=tuple(problems),
    )
