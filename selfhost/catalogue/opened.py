"""The catalogue as a user has it: the shipped specs and the folders of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from ..core.errors import MAX_PROBLEMS
from .index import Catalogue

SPECS_VARIABLE = "SELFHOST_SPECS"


def open_catalogue(specs: Sequence[str | os.PathLike[str]] = ()) -> Catalogue:
    """The shipped specs and the user's own folders. Without own folders it is opened once per
    process.
    """
    # the later one wins
    folders = [folder for folder in os.environ.get(SPECS_VARIABLE, "").split(os.pathsep) if folder]
    folders += [os.fspath(folder) for folder in specs]
    return Catalogue.open(folders) if folders else _shipped()


def left_aside(catalogue: Catalogue) -> tuple[str, ...]:
    """A sentence for each of the user's spec files that cannot be read: a model that it states is
    not known.

    The first files are named, the others are counted.
    """
    by_file = catalogue.own_faults_by_file
    notes = [
        f"{file} is ignored:"
        f" {f'{faults[0].key}: ' if faults[0].key else ''}{faults[0].message}"
        + _more_faults(len(faults) - 1)
        + f" (run `selfhost spec check {file}`)."
        for file, faults in islice(by_file.items(), MAX_PROBLEMS)
    ]
    if rest := len(by_file) - len(notes):
        notes.append(
            f"{rest:,} more of your spec files are ignored because of faults (run `selfhost spec"
            " check`)."
        )
    return tuple(notes)


def _more_faults(count: int) -> str:
    if not count:
        return ""
    return ", and 1 more fault" if count == 1 else f", and {count:,} more faults"


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    return Catalogue.open()
