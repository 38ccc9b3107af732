"""What a build works out follows from the files alone; `test_compiled.py` holds what is read of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from selfhost.advice.compiling import compile_questions
from selfhost.core.parts import shipped_folder


def test_the_same_files_make_the_same_questions(tmp_path: Path) -> None:
    """Building twice gives the same bytes."""
    for sub in ("common", "runtimes"):
        shutil.copytree(Path(shipped_folder()) / sub, tmp_path / sub)
    for name in ("gpt-4o", "mistral-7b-instruct-v0.3"):
        shutil.copy(Path(shipped_folder()) / f"{name}.toml", tmp_path)
    assert compile_questions(str(tmp_path)) == compile_questions(str(tmp_path))
