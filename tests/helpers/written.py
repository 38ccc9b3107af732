"""What the program writes, held against its JSON schemas and whole outputs kept as files; and the
program as a package holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
from difflib import unified_diff
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import packed_specs
from helpers.paths import GOLDEN, ROOT, SCHEMAS
from selfhost.cli import main as cli
from selfhost.core.answering import answering_folder


def validate(value: object, name: str) -> None:
    """`ValidationError` where the value is none of that schema, `verdict-1`. `jsonschema.validate`
    holds the schema itself against that of schemas too, each time for 80 ms;
    `reports/test_schemas.py` does so once.
    """
    _validator(name).validate(value)


@cache
def _validator(name: str) -> Any:
    return Draft202012Validator(
        json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    )


class Golden:
    """Compares a text with tests/golden/NAME, version and place of the checkout masked; with
    `pytest --update-golden` writes it.
    """

    def __init__(self, *, update: bool) -> None:
        self.update = update

    def __call__(self, name: str, text: str) -> None:
        from selfhost import __version__

        # the place first: the name of its folder may hold the version, as an unpacked sdist's does
        masked = text.replace(str(ROOT), "CHECKOUT").replace(__version__, "VERSION")
        path = GOLDEN / name
        if self.update:
            path.write_text(masked, encoding="utf-8")
        assert path.exists(), (
            f"{path} is missing: write it with --update-golden, then read it"
        )
        before = path.read_text(encoding="utf-8")
        changes = unified_diff(
            before.splitlines(keepends=True), masked.splitlines(keepends=True), n=0
        )
        lines = [line for line in [*changes][2:] if line[0] != "@"]
        file = os.environ["PYTEST_CURRENT_TEST"].partition("::")[0]
        why = f"{path} differs; if wanted: pytest -n 0 {file} --update-golden; read `git diff`\n"
        assert not lines, why + "".join(lines[:10])


def pack(base: Path) -> Path:
    """A folder with this checkout's `selfhost`, and its specs as a package has them; `base` is the
    folder of this process for what tests write. Nobody may change it.
    """
    # beside other processes of one run the base is a folder of their common one
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = common / "installation"
    with open(common / "installation.lock", "w") as lock:
        # which the system takes back from a process that ends: the others wait, and compile nothing
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            packed_specs.pack(answering_folder(), str(folder / "specs"))
            os.symlink(ROOT / "selfhost", folder / "selfhost")
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    code = cli.main(words)
    return code, *capsys.readouterr()
