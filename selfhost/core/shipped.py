"""Where the files lie that come with the program: specs, schemas and its own modules."""

from __future__ import annotations

import os

from .errors import Problem, SpecError

# the folder of the package `selfhost`
PACKAGE_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def shipped_folder() -> str:
    """Inside the installed package, or beside it in a checkout. Raises `SpecError` where
    neither is there.
    """
    package = PACKAGE_FOLDER
    for path in (os.path.join(package, "specs"), os.path.join(os.path.dirname(package), "specs")):
        if os.path.isdir(path):
            return path
    raise SpecError(
        [
            Problem(
                file=package,
                message="the shipped specs are missing",
                remedy="install selfhost-check again",
            )
        ]
    )
