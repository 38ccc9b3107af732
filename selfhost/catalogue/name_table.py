"""The table of names, `specs/common/names.toml`: how names are written, read and searched for.

Its header explains each key. `spec_values` has the forms of ids and addresses of it, `index` and
`names` what a name may mean, `searching` how an unknown one is read.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Stated
from ..core.tables import unchecked_table


class Searched(Stated):
    """How a search and an unknown name are read. The numbers bound what is looked for; the others
    are expressions.
    """

    most_searched: int
    most_words: int
    most_hints: int
    most_files: int
    near: float
    q4_k_m_bytes: float
    size: str
    whole_size: str
    billions: str
    sized: str
    quantized: str


class NameTable(Stated):
    """The whole file. `rewritten`: what replaces each expression, of which some go by a key of
    `expressions`; `form`: the expression of a value, and what is said of another.
    """

    schema: int
    converters: tuple[str, ...]
    see_names: str
    other_repository: Mapping[str, str]
    expressions: Mapping[str, str]
    rewritten: Mapping[str, str]
    searched: Searched
    form: Mapping[str, tuple[str, ...]]


# what to type next has several lines and a replacement may be blank, which `shipped_record` refuses
NAME_TABLE = unchecked_table(NameTable, "names")
