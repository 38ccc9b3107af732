"""Another catalogue in place of the built-in one: the folder `specs/` of a newer clone of selfhost.

`--specs` and SELFHOST_SPECS may name such a folder, or the clone. All answers then rest on its
models, prices, machines and tables of hardware. Most tables are read while modules load, so that
one process reads one catalogue, which is chosen before the first table is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from . import __version__
from .answering import (
    FORMAT_FILE,
    SPECS_FORMAT,
    SPECS_VARIABLE,
    answering_folder,
    catalogue_at,
    folders_in_environment,
    format_of,
)
from .errors import Problem, SpecError, UsageError
from .records import shown


def choose_catalogue(typed: Sequence[str]) -> None:
    """Use a catalogue among the folders of `--specs`, else of SELFHOST_SPECS, from now on.

    Processes that this one starts use it too, because SELFHOST_SPECS names it to them. Raises as
    `own_folders`, and `UsageError` for a path that SELFHOST_SPECS cannot name.
    """
    own_folders(typed)
    catalogues = [path for path in map(catalogue_at, typed) if path is not None]
    is_read = answering_folder.cache_info().currsize > 0
    if catalogues and not is_read:
        refuse_separator(catalogues[0])
        others = [path for path in folders_in_environment() if not catalogue_at(path)]
        os.environ[SPECS_VARIABLE] = os.pathsep.join([catalogues[0], *others])
    refuse_second_catalogue([*folders_in_environment(), *typed])


def refuse_separator(catalogue: str) -> None:
    """Raise `UsageError` for a path that contains the separator of the folders in
    SELFHOST_SPECS.
    """
    if os.pathsep in catalogue:
        message = f'{shown(catalogue)}: has "{os.pathsep}", which separates folders'
        message = f"{message} in {SPECS_VARIABLE}"
        raise UsageError(message, remedy="rename the folder, or name a link to it")


def own_folders(paths: Iterable[str]) -> list[str]:
    """The paths that name a folder of a user's own specs, without those of catalogues.

    Raises `SpecError` for a catalogue of a format that this program does not read, and `UsageError`
    for two catalogues.
    """
    folders = []
    catalogues = []
    for path in paths:
        catalogue = catalogue_at(path)
        if catalogue is None:
            folders.append(path)
        elif catalogue not in catalogues:
            catalogues.append(catalogue)
    for catalogue in catalogues:
        fault = _fault_of(catalogue)
        if fault is not None:
            raise SpecError([fault])
    if len(catalogues) > 1:
        listed = " and ".join(map(shown, catalogues))
        message = f"{listed} are {len(catalogues)} catalogues, and only one can answer"
        raise UsageError(message, remedy="name one of them")
    return folders


def refuse_second_catalogue(paths: Iterable[str]) -> None:
    """Raise `UsageError` where one of the paths is a catalogue other than the one in use. Raises
    also as `own_folders`.
    """
    named = list(paths)
    own_folders(named)
    for path in named:
        catalogue = catalogue_at(path)
        if catalogue is not None and catalogue != answering_folder():
            message = f"{shown(catalogue)}: this process has read another catalogue"
            remedy = f"name it in {SPECS_VARIABLE} before the program starts"
            raise UsageError(message, remedy=remedy)


def _fault_of(catalogue: str) -> Problem | None:
    """The fault for which this program does not read a catalogue; None where it reads it."""
    number = format_of(catalogue)
    if number == SPECS_FORMAT:
        return None
    reads = f"selfhost {__version__} reads format {SPECS_FORMAT}"
    message = f"is {number}, and {reads}"
    remedy = "take a newer clone, or leave it out"
    if number is None:
        message = f"is not stated, and {reads}"
    elif number > SPECS_FORMAT:
        remedy = "update selfhost: pip install --upgrade selfhost-check"
    path = os.path.join(catalogue, FORMAT_FILE)
    return Problem(file=shown(path), key="format", message=message, remedy=remedy)
