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
    notes = []
    by_file = catalogue.own_faults_by_file
    for file, (first, *others) in islice(by_file.items(), MAX_PROBLEMS):
        fault = f"{first.key}: {first.message}" if first.key else first.message
        more = f", and {len(others):,} more fault{'s' * (len(others) > 1)}" if others else ""
        notes.append(f"{file} is ignored: {fault}{more} (run `selfhost spec check {file}`).")
    if rest := len(by_file) - len(notes):
        notes.append(
            f"{rest:,} more of your spec files are ignored because of faults (run `selfhost spec"
            " check`)."
        )
    return tuple(notes)


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    return Catalogue.open()
