"""The shipped specs with what a build compiles of them, worked out once for all test processes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from selfhost.advice.compiled import QUESTIONS_FILE, compile_questions
from selfhost.catalogue.index import INDEX_FILE, compile_index
from selfhost.core.shipped import shipped_folder


def pack(factory: pytest.TempPathFactory) -> Path:
    """The folder as a package holds it. Nobody may change it."""
    base = factory.getbasetemp()
    # beside other processes of one run the base is a folder of their common one
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = common / "packed-specs"
    if not folder.exists():
        own = factory.mktemp("packed") / "specs"
        shutil.copytree(shipped_folder(), own)
        (own / INDEX_FILE).write_bytes(compile_index(str(own)))
        (own / QUESTIONS_FILE).write_bytes(compile_questions(str(own)))
        try:
            os.rename(own, folder)
        except OSError:
            # another process was first, and compiled the same
            return own
    return folder
