"""The table of names, `specs/common/names.toml`: how names are written, read and searched for.

The header of the table explains each key. `spec_values` uses its forms of ids and addresses,
`index` and `names` its meanings of names, `searching` its rules for unknown names.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Stated
from ..core.tables import program_record


class Searched(Stated):
    """The limits and regular expressions by which a search and an unknown name are read."""

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
    """The whole table of names. `rewritten`: the replacement of each expression, some of which are
    named by a key of `expressions`. `form`: the expression that a value must match, and the message
    for another value.
    """

    schema: int
    converters: tuple[str, ...]
    see_names: str
    see_folder: str
    see_faults: str
    other_repository: Mapping[str, str]
    expressions: Mapping[str, str]
    rewritten: Mapping[str, str]
    searched: Searched
    form: Mapping[str, tuple[str, ...]]


# `shipped_record` refuses texts of several lines and blank replacements, which this table needs
NAME_TABLE = program_record(NameTable, "names")
