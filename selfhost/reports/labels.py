"""The words of `specs/common/labels.toml`: labels of rows, titles of sections, short reasons."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Record
from ..core.tables import shipped_table

# a label, a title or a reason, by what it stands for
Words = Mapping[str, str]


class Labels(Record):
    """The tables of the file, each by its name there.

    - `why_not`, `why_open`: why a model does not run, or why that cannot be told, by the code of a
      finding or by its check. `doubts`: what stands beside the figures of a finding, by its code.
    - `rows`: names of rows of `check`; `commercial`: what a license allows, by the answer.
    - `facts`: names of the facts of a machine; `keys`: names of keys of the JSON; `verified`: names
      of the figures of `verify`.
    - `check`, `show`, `show_verdict`, `machine`: titles of the sections under `-v`, by the key of
      the JSON that a section shows. `findings`: titles by the outcome, the worst first.
    - `show_first`: what the first screen of `show` lists. `exception_remedies`: what ends the need
      of an exception, by its rule.
    """

    why_not: Words
    why_open: Words
    doubts: Words
    rows: Words
    commercial: Words
    facts: Words
    keys: Words
    verified: Words
    check: Words
    show: Words
    show_verdict: Words
    machine: Words
    findings: Words
    show_first: Mapping[str, tuple[str, ...]]
    exception_remedies: Words


def _shipped_labels() -> Labels:
    table = shipped_table("labels")
    return Labels(**{name: table[name] for name in Labels._fields})


LABELS = _shipped_labels()
