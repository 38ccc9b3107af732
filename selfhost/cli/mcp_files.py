"""The files that an agent may name as models: none, or those in folders that the user allows.

An agent reads whatever it finds, also what somebody wrote to mislead it. So the name of a model
that an agent gives is a name and nothing else: no path is looked up, and no message tells whether a
file exists. The user may name folders when the server starts (`selfhost mcp --allow DIR`); the
files in them are read as `selfhost check FILE` reads them. Neither `..` nor a link leads out.

What goes in: the text that an agent gave, and the folders. What comes out: a name, or a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from ..catalogue.names import NameOnly, is_path
from ..catalogue.spec_values import SOURCES_ENDING
from ..core.errors import UsageError
from ..core.files import first_numbered_file
from ..core.records import shown_path
from ..core.units import listed

# a path from the root, from a home, from this folder or from a drive
_PATH = re.compile(r"[/\\~]|\.{1,2}([/\\]|$)|[A-Za-z]:[/\\]")
_WEIGHTS_AND_CONFIGS = (".safetensors", ".json")
# the endings of the files that are read
_READ = (".gguf", ".toml", *_WEIGHTS_AND_CONFIGS)
_MOST_FOLDERS_TOLD = 3


def allowed_folders(typed: Sequence[str]) -> tuple[str, ...]:
    """The full paths of the folders that the user allows. Raises `UsageError` for what is no
    folder.
    """
    folders = []
    for path in typed:
        if not os.path.isdir(path):
            message = f"--allow {shown_path(path)}: there is no such folder"
            raise UsageError(message, remedy="name a folder with models")
        folders.append(os.path.abspath(path))
    return tuple(folders)


def model_allowed(typed: str, folders: Sequence[str]) -> str | os.PathLike[str]:
    """The name, or the path of a model in one of the folders. Raises `UsageError` for any other
    path, whether a file is there or not.
    """
    # imported here: few agents name files
    from pathlib import Path

    looks_like_path = _looks_like_path(typed)
    if _lies_in(typed, folders):
        if looks_like_path or is_path(typed):
            _refuse_links_out(typed, folders)
            return Path(typed)
    elif looks_like_path:
        raise _not_allowed(folders)
    return NameOnly(typed)


def _looks_like_path(typed: str) -> bool:
    """Whether a text is a path by its look: of a file that is read, or from a known begin."""
    if _PATH.match(typed):
        return True
    has_folder = "/" in typed or "\\" in typed
    return has_folder and "://" not in typed and typed.lower().endswith(_READ)


def _lies_in(path: str, folders: Sequence[str]) -> bool:
    """Whether a path leads into one of the folders, as it is written and behind all links."""
    if "\0" in path:
        return False
    written = os.path.abspath(path)
    for folder in folders:
        real_folder = os.path.realpath(folder)
        # nothing is asked of the disk before the written path lies there
        if _is_below(written, folder) or _is_below(written, real_folder):
            return _is_below(os.path.realpath(path), real_folder)
    return False


def _is_below(path: str, folder: str) -> bool:
    """Whether a full path is the folder or lies below it."""
    path = os.path.normcase(path)
    folder = os.path.normcase(folder)
    return path == folder or path.startswith(os.path.join(folder, ""))


def _refuse_links_out(path: str, folders: Sequence[str]) -> None:
    """Raise `UsageError` where a file that is read with the model is a link to elsewhere."""
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    for link in _links_in(folder):
        if _is_read_with(link, path) and not _lies_in(link, folders):
            message = f"{shown_path(link)} is a link to a place that may not be read"
            remedy = "put the file itself there, or let the user allow that place too"
            raise UsageError(message, remedy=remedy)


def _links_in(folder: str) -> Iterator[str]:
    """Yield the paths of the links of a folder."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield entry.path
    except OSError:
        # the reader of the model tells why
        return


def _is_read_with(link: str, path: str) -> bool:
    """Whether the reader of the model at a path may open a file of its folder: the other parts of
    a GGUF file, the sources of a spec, the configuration and the weights of anything else.
    """
    name = os.path.basename(link)
    model = os.path.basename(path)
    if os.path.isdir(path):
        return name.lower().endswith((".gguf", *_WEIGHTS_AND_CONFIGS))
    if model.lower().endswith(".toml"):
        return name == model.removesuffix(".toml") + SOURCES_ENDING
    if model.lower().endswith(".gguf"):
        return first_numbered_file(name) == first_numbered_file(model)
    return name.lower().endswith(_WEIGHTS_AND_CONFIGS)


def _not_allowed(folders: Sequence[str]) -> UsageError:
    """The error for a path that may not be read. It is the same whatever lies there."""
    remedy = "give the model's name or its Hugging Face id"
    if folders:
        places = listed(map(shown_path, folders), _MOST_FOLDERS_TOLD)
        remedy = f"{remedy}, or a file in {places}"
    else:
        remedy = f"{remedy}; the user allows files by `selfhost mcp --allow DIR`"
    message = (
        "`model` is a path, and files are read only in folders that the user allows"
    )
    return UsageError(message, remedy=remedy)
