"""Another distribution on PyPI is called `selfhost` and has a package of the same name: where its
files lie over this one's, or its removal took one, a sentence says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

# the files of its release 0.1.3 (pypi.org/project/selfhost, 18 April 2026), with text of no matter
FILES = {
    "__init__.py": '__version__ = "0.1.3"\n',
    "core.py": "class Tool: ...\n",
    "main.py": "import typer\n",
    "providers/__init__.py": "",
    "providers/github.py": "import httpx\n",
}
STARTS = {
    "module": ("-m", "selfhost"),
    # as the script `selfhost-check` does
    "script": ("-c", "from selfhost.__main__ import start; start()"),
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with this package, as an installation has it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "selfhost", tmp_path / "selfhost", ignore=ignored)
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    return tmp_path


def lay_over(site: Path) -> None:
    for name, text in FILES.items():
        path = site / "selfhost" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def ask(site: Path, start: str, *words: str) -> subprocess.CompletedProcess[str]:
    # without the folders of installed packages, where this checkout is a package, too
    return subprocess.run(
        [sys.executable, "-S", *STARTS[start], *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=site.parent,
        check=False,
    )


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("is_removed", [False, True], ids=["over it", "removed again"])
def test_a_sentence_says_what_to_type(
    start: str, *, is_removed: bool, site: Path
) -> None:
    lay_over(site)
    if is_removed:
        for name in FILES:
            (site / "selfhost" / name).unlink()
    done = ask(site, start, "--version")
    assert (done.returncode, done.stdout) == (2, "")
    first, remedy = done.stderr.splitlines()
    assert first.startswith("error: another distribution, `selfhost`, ")
    command = "pip uninstall selfhost; pip install --force-reinstall selfhost-check"
    assert remedy.strip() == command
    done = ask(site, start, "check", "gpt2", "--json")
    assert (done.returncode, json.loads(done.stderr)["remedy"]) == (2, command)


@pytest.mark.parametrize("start", STARTS)
def test_alone_nothing_is_said(start: str, site: Path) -> None:
    """Also where the other was there first, and this one's files lie over its."""
    (site / "selfhost" / "main.py").write_text(FILES["main.py"])
    done = ask(site, start, "--version")
    assert (done.returncode, done.stderr) == (0, "")
