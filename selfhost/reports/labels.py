"""The tables of `specs/common/` for reports: words, the columns of tables, the keys of documents.

`LABELS` is `labels.toml`, `documents()` is `documents.toml`. Both are typed; no other module reads
these files. Their texts stand in records as they are written. The form of a table and the words of
a rule become records of their own when a report asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..core.records import Stated
from ..core.tables import TomlRow, program_record

# a label, a title or a reason, by what it stands for
Words = Mapping[str, str]


class RouteWords(Stated):
    """A route as people read it: its sign, and its headline on the computer that asks (`here`) and
    on any other machine.
    """

    sign: str
    here: str
    elsewhere: str


class OutcomeWords(Stated):
    """The outcome of an audit: a word, the style of a finding in which it is shown, and a
    sentence.
    """

    word: str
    style: str
    sentence: str


class Labels(Stated):
    """The tables of the file, each by its name there.

    - `routes`: the words of each route; `outcomes`: those of an audit by its exit code.
    - `commercial`: what a license allows, by the answer.
    - `orders`: what a list says of its order, by the choice of `--sort`.
    - `facts`: names of the facts of a machine; `keys`: names of keys of the JSON; `verified`: names
      of the figures of `verify`.
    - `check`, `show`, `show_verdict`, `machine`: titles of the sections under `-v`, by the key of
      the JSON that a section shows. `findings`: titles by the outcome, the worst first.
    - `lists`: the names that screens choose by. `styles`: how a terminal draws a style.
    - `tables`: by their names tables, with their `indent` in blanks and their `columns`, each a
      title, a sign and a number. The sign is `>` where cells stand at the right, `~` where they
      wrap; title and sign may have places to fill. A narrow terminal leaves out the column with the
      highest number first, 0 never.
    - `rules`: of a rule of an audit that no check has what it asks, and what to do where it is
      broken. `gauges`: what each gauge of an audit counts.
    """

    schema: int
    routes: Mapping[str, RouteWords]
    outcomes: Mapping[str, OutcomeWords]
    commercial: Words
    orders: Words
    facts: Words
    keys: Words
    verified: Words
    check: Words
    show: Words
    show_verdict: Words
    machine: Words
    findings: Words
    lists: Mapping[str, tuple[str, ...]]
    styles: Words
    rules: Mapping[str, tuple[str, str]]
    gauges: Words
    tables: Mapping[str, TomlRow]


LABELS = program_record(Labels, "labels")


class Documents(Stated):
    """The keys of JSON documents, each text a list of keys, and the page that holds HTML.

    `keys` goes by the name of a record, or of a part that one function of `json.py` writes.
    `page` has the template `html` with the places `title` and `body`.
    """

    schema: int
    keys: Words
    page: Words


@cache
def documents() -> Documents:
    """The tables of `specs/common/documents.toml`."""
    return program_record(Documents, "documents")
