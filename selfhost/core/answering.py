"""Which catalogue answers: that of a clone, that of the distribution selfhost-check-specs, or the
built-in one, which came with selfhost.

`answering_folder` is the one place that decides, and `catalogue_day` says of which day the
catalogue is. A clone answers where `--specs` or SELFHOST_SPECS names it. The distribution answers
where it is installed, has the format that this program reads, is whole, and is of a later day than
the built-in catalogue; `refused_distribution` says why another one does not. The distribution is
data: nothing of it is imported.

`selfhost --version` loads this module alone, so it imports little.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from . import __version__

if TYPE_CHECKING:
    from .errors import SelfhostError

# the environment variable with the folders of specs, separated as in PATH
SPECS_VARIABLE = "SELFHOST_SPECS"
# the format of `specs/` that this program reads; the folder states its format in a file
SPECS_FORMAT = 1
FORMAT_FILE = os.path.join("common", "format.toml")
_FORMAT_DIGITS = 9
# a file in the folder of packed specs; its presence shows that every value is stored
COMPLETE_FILE = "index.json"
# in the folder of packed specs: the size in bytes of each other file
SIZES_FILE = "files.toml"
# ten times what a file of keys has
_KEYS_BYTES = 100_000
# the distribution of the specs alone, and the package in which it has them
SPECS_DISTRIBUTION = "selfhost-check-specs"
SPECS_PACKAGE = "selfhost_check_specs"
UPDATE_SPECS = f"pip install --upgrade {SPECS_DISTRIBUTION}"
_UPDATE_PROGRAM = "pip install --upgrade selfhost-check"
_REINSTALL = f"pip install --force-reinstall {SPECS_DISTRIBUTION}"


@cache
def answering_folder() -> str:
    """Return the folder of the specs that answer: those of a catalogue that SELFHOST_SPECS names
    and this program reads, else those of the newer of the installed distribution and the built-in
    catalogue. Raises `SpecError` where the built-in ones are missing.
    """
    for path in folders_in_environment():
        catalogue = catalogue_at(path)
        if catalogue is not None and format_of(catalogue) == SPECS_FORMAT:
            return catalogue
    installed = installed_folder()
    if installed is None or refused_distribution() is not None:
        return built_in_folder()
    if _is_newer(installed):
        return installed
    return built_in_folder()


def other_catalogue() -> str | None:
    """Return the folder of the catalogue that answers in place of the built-in one; None where the
    built-in one does.
    """
    folder = answering_folder()
    return None if folder == built_in_folder() else folder


@cache
def catalogue_day() -> str | None:
    """Return the day of the catalogue that answers, `YYYY-MM-DD`; None where a clone states
    none.
    """
    return day_of(answering_folder())


def way_to_newer_catalogue() -> str:
    """Return what brings a newer catalogue in place of the one that answers."""
    if is_packed(answering_folder()):
        return UPDATE_SPECS
    return "take a newer clone"


def version_line() -> str:
    """Return the line that `selfhost --version` prints. Raises as `answering_folder`."""
    day = catalogue_day() or "an unknown day"
    return f"selfhost {__version__} (catalogue of {day})\n"


# ---------------------------------------------------------------- the catalogues there are


def folders_in_environment() -> list[str]:
    """Return the folders that SELFHOST_SPECS names, in its order."""
    stated = os.environ.get(SPECS_VARIABLE, "")
    return [path for path in stated.split(os.pathsep) if path]


def catalogue_at(path: str) -> str | None:
    """Return the catalogue at a path: the folder itself, or `specs` in it; None where neither is
    one. A folder of a user's own specs has no tables.
    """
    folder = os.path.abspath(path)
    for candidate in (folder, os.path.join(folder, "specs")):
        has_tables = os.path.isdir(os.path.join(candidate, "common"))
        if has_tables and os.path.isdir(os.path.join(candidate, "models")):
            return candidate
    return None


@cache
def installed_folder() -> str | None:
    """Return the folder of the installed distribution of specs; None where Python finds none."""
    found = PathFinder.find_spec(SPECS_PACKAGE)
    # a folder without `__init__.py` is left over, or somebody's own
    if found is None or found.origin is None:
        return None
    return os.path.dirname(os.path.abspath(found.origin))


def package_folder() -> str:
    """Return the folder of the package `selfhost`."""
    core_folder = os.path.dirname(os.path.abspath(__file__))
    return os.path.dirname(core_folder)


@cache
def built_in_folder() -> str:
    """Return the folder of the specs that came with selfhost. Raises `SpecError` where it is
    missing.
    """
    package = package_folder()
    # an installed package has the specs inside its folder, a checkout beside it
    for parent in (package, os.path.dirname(package)):
        path = os.path.join(parent, "specs")
        if os.path.isdir(path):
            return path
    # imported only where there is a fault
    from .errors import Problem, SpecError

    remedy = "install selfhost-check again"
    fault = Problem(file=package, message="has no shipped specs", remedy=remedy)
    raise SpecError([fault])


def is_packed(catalogue: str) -> bool:
    """Whether a catalogue is in its stored form, as packages have it, and not in TOML."""
    return os.path.exists(os.path.join(catalogue, COMPLETE_FILE))


# ---------------------------------------------------------------- what a catalogue states of itself


def format_of(catalogue: str) -> int | None:
    """Return the number of a catalogue's format; None where it states none."""
    stated = _keys_in(os.path.join(catalogue, FORMAT_FILE)).get("format", "")
    is_number = stated.isascii() and stated.isdecimal()
    if not is_number or len(stated) > _FORMAT_DIGITS:
        return None
    return int(stated)


def day_of(catalogue: str) -> str | None:
    """Return the day of a catalogue, `YYYY-MM-DD`; None where it states none."""
    stated = _keys_in(os.path.join(catalogue, FORMAT_FILE)).get("as_of", "")
    try:
        return date.fromisoformat(stated).isoformat()
    except ValueError:
        return None


def _keys_in(path: str) -> Mapping[str, str]:
    """The keys of a TOML file that has one key a line and no tables, with their values as text, so
    that no parser is loaded. {} where the file cannot be read.
    """
    # a pipe would be waited for
    if not os.path.isfile(path):
        return {}
    try:
        with open(path, "rb") as stream:
            text = stream.read(_KEYS_BYTES).decode()
    except (OSError, ValueError):
        return {}
    stated = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        stated[key.strip().strip('"')] = value.partition("#")[0].strip().strip('"')
    return stated


# ---------------------------------------------------------------- the installed distribution


@cache
def refused_distribution() -> SelfhostError | None:
    """Return why the installed distribution of specs can never answer, and what to do; None for one
    that can, and where none is installed.
    """
    folder = installed_folder()
    if folder is None:
        return None
    reads = f"selfhost {__version__} reads format {SPECS_FORMAT}"
    number = format_of(folder)
    if number is None or not is_packed(folder):
        return _refusal(folder, "it holds no catalogue of selfhost", _REINSTALL)
    if number != SPECS_FORMAT:
        remedy = _UPDATE_PROGRAM if number > SPECS_FORMAT else UPDATE_SPECS
        return _refusal(folder, f"its format is {number}, and {reads}", remedy)
    if day_of(folder) is None:
        return _refusal(folder, "it does not state its day", _REINSTALL)
    # an older one never answers, so that nobody needs to know whether it is whole
    if not _is_newer(folder):
        return None
    damaged = _damaged_file(folder)
    if damaged is not None:
        why = f"its file {damaged} is not what was packed"
        return _refusal(folder, why, _REINSTALL)
    return None


def _is_newer(catalogue: str) -> bool:
    """Whether a catalogue is of a later day than the built-in one. Days in this form sort as
    text.
    """
    return (day_of(catalogue) or "") > (day_of(built_in_folder()) or "")


def _damaged_file(folder: str) -> str | None:
    """The first file of the distribution that is missing or has another size than was packed; None
    where there is none. Other damage is found by the checksum of a value when it is read.
    """
    sizes = _keys_in(os.path.join(folder, SIZES_FILE))
    if COMPLETE_FILE not in sizes:
        return SIZES_FILE
    for name, size_bytes in sizes.items():
        path = os.path.join(folder, *name.split("/"))
        if not os.path.isfile(path) or str(os.path.getsize(path)) != size_bytes:
            return name
    return None


def _refusal(folder: str, why: str, remedy: str) -> SelfhostError:
    """The error of a distribution that cannot answer."""
    # imported only where there is a fault
    from .errors import SelfhostError
    from .records import shown_path

    return SelfhostError(
        f"{SPECS_DISTRIBUTION} in {shown_path(folder)} is not used: {why}. "
        "The catalogue that came with selfhost answers",
        remedy=f"{remedy}, or remove it: pip uninstall {SPECS_DISTRIBUTION}",
    )
