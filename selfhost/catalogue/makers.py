"""Makers of models: which models a maker published, by the maker's name.

A maker is known by the `developer` of its models and by the account of their repositories. Other
names of a maker, such as `deepmind`, stand in the table `maker` of specs/common/things.toml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from ..core.errors import NotAModelError
from ..core.quoting import shell_line
from ..core.records import Record, Stated, shortened
from ..core.tables import unchecked_record
from ..core.templates import fill
from ..core.units import canonical
from .index import Catalogue, names_of_developer

# the most models of a maker that an error names
MOST_NAMED = 5
# what is left of a maker's name without its last words has at least so many letters
_LEAST_LETTERS = 3


class _MakerTable(Stated):
    """The table `maker` of things.toml.

    `last_words`: words that people add to a maker's name or leave out. `other_names`: the maker's
    name in the catalogue, by another name that people type. `message`: the sentence of the error.
    `best`, `newest`: what stands before the models that the error names.
    """

    message: str
    best: str
    newest: str
    last_words: tuple[str, ...] = ()
    other_names: Mapping[str, str] = {}


class ModelMaker(Record):
    """A maker, by the `typed` name: its name in the catalogue, and the ids of its open models, the
    newest first.
    """

    typed: str
    name: str
    open_ids: tuple[str, ...]
    catalogue: Catalogue

    def error(self, best: Sequence[str] | None = None) -> NotAModelError:
        """The error which tells that the name is a maker's, with a row for each of the models that
        are the `best` for a machine, else the newest. `best` is empty where none is known to run,
        and None where no machine was asked about.
        """
        table = _table(self.catalogue)
        named = self.open_ids
        before = table.newest
        if best:
            named = tuple(best)
            before = table.best
        named = named[:MOST_NAMED]
        lines = []
        if named:
            lines.append(before)
        for id in named:
            lines.append(shell_line(["selfhost", "check", id]))
        words = self.name.lower().split()
        lines.append(shell_line(["selfhost", "list", *words]))
        figures = {
            "typed": f'"{shortened(self.typed)}"',
            "maker": self.name,
            "open": len(self.open_ids),
            "none_runs": bool(named) and best is not None and not best,
        }
        message = fill(table.message, figures)
        return NotAModelError(
            message,
            kind="maker",
            maker=self.typed,
            nearest=named,
            remedy="\n".join(lines),
        )


def maker_called(typed: str, catalogue: Catalogue) -> ModelMaker | None:
    """The maker with that name; None for any other name."""
    # a name with an account in front is a repository
    if "/" in typed or not catalogue.section("things", "maker"):
        return None
    table = _table(catalogue)
    typed_key = _key(typed, table)
    other_keys = _other_keys(catalogue)
    key = other_keys.get(typed_key, typed_key)
    ids = _ids_by_key(catalogue).get(key)
    if not ids:
        return None
    outlines = [catalogue.outlines[id] for id in ids]
    open_models = [outline for outline in outlines if not outline.closed]
    open_models.sort(key=lambda outline: outline.released or "", reverse=True)
    # a model that has a successor comes after the others
    open_models.sort(key=lambda outline: outline.superseded_by is not None)
    name = _written(ids, lambda name: _key(name, table) == key, catalogue)
    return ModelMaker(
        typed=typed,
        name=name,
        open_ids=tuple(outline.id for outline in open_models),
        catalogue=catalogue,
    )


# cached: a policy may have thousands of unknown names
@cache
def _ids_by_key(catalogue: Catalogue) -> Mapping[str, Sequence[str]]:
    """The ids of the models of each maker, by the key of its name."""
    table = _table(catalogue)
    ids_by_key: dict[str, list[str]] = {}
    for name, ids in catalogue.makers.items():
        key = _key(name, table)
        known = ids_by_key.setdefault(key, [])
        for id in ids:
            if id not in known:
                known.append(id)
    return ids_by_key


@cache
def _other_keys(catalogue: Catalogue) -> Mapping[str, str]:
    """The key of a maker's name in the catalogue, by the key of another name of the maker."""
    table = _table(catalogue)
    keys = {}
    for other_name, name in table.other_names.items():
        keys[_key(other_name, table)] = _key(name, table)
    return keys


def _key(name: str, table: _MakerTable) -> str:
    """A maker's name as `canonical` writes it, without the words at its end that people leave out:
    `stability` of `Stability AI`.
    """
    key = canonical(name)
    while True:
        shorter, _, last = key.rpartition("-")
        if last not in table.last_words or len(shorter) < _LEAST_LETTERS:
            return key
        key = shorter


def _written(
    ids: Sequence[str],
    is_meant: Callable[[str], bool],
    catalogue: Catalogue,
) -> str:
    """The name of a maker as most specs of its models write it. `is_meant` tells of a written name
    whether it is the name that was asked for; the account of a repository is none of the names.
    """
    meant: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for spec in catalogue.specs(ids):
        for name in names_of_developer(spec):
            counter = meant if is_meant(name) else others
            counter[name] += 1
    for name, _ in (meant or others).most_common(1):
        return name
    return ids[0]


def _table(catalogue: Catalogue) -> _MakerTable:
    """The table `maker` of a catalogue."""
    return unchecked_record(_MakerTable, catalogue.section("things", "maker"))
