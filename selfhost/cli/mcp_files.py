"""The files that an agent may name as models: none, or those in folders that the user allows.

An agent reads whatever it finds, also what somebody wrote to mislead it. So the name of a model
that an agent gives is a name and nothing else: no path is looked up, and no message tells whether a
file exists. The user may name folders when the server starts (`selfhost mcp --allow DIR`); the
files in them are read as `selfhost check FILE` reads them. Neither `..` nor a link leads out, which
`core.links` holds for each file that is opened.

What goes in: the text that an agent gave, and the folders. What comes out: a name, or a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from ..catalogue.names import NameOnly, is_path
from ..core.errors import UsageError
from ..core.links import lies_in
from ..core.records import shown_path
from ..core.units import listed

# a path from the root, from a home, from this folder or from a drive
_PATH = re.compile(r"[/\\~]|\.{1,2}([/\\]|$)|[A-Za-z]:[/\\]")
# the endings of the files that are read
_READ = (".gguf", ".toml", ".safetensors", ".json")
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
    if lies_in(typed, folders):
        if looks_like_path or is_path(typed):
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
