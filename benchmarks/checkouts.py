"""Two checkouts of selfhost side by side: folders or git revisions, and processes that import them.

with opened("HEAD~3") as checkout:
    checkout.python("script.py", "argument", cwd=folder)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Checkout:
    """A folder with `selfhost/` and `specs/`, and the name that was given for it."""

    name: str
    folder: Path

    def python(
        self,
        *words: str,
        cwd: Path,
        text: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A process of this interpreter that imports selfhost from the checkout. `text` is its
        standard input; what it writes to standard error is shown.
        """
        return subprocess.run(
            [sys.executable, *words],
            cwd=cwd,
            env=self.environment(),
            input=text,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """The variables of a process that imports the checkout before anything installed."""
        return {**os.environ, "PYTHONPATH": str(self.folder)}


@contextmanager
def opened(name: str) -> Iterator[Checkout]:
    """The checkout of that name: a folder, or a git revision, which is laid out in a temporary
    folder. Exits with a sentence where it is neither.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "selfhost" / "__init__.py").exists():
            sys.exit(
                f"{name} has no selfhost/__init__.py: name the folder of a checkout"
            )
        yield Checkout(name, folder.resolve())
        return
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", name, "selfhost", "specs", "tools"],
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        sys.exit(f"{name} is neither a folder nor a git revision")
    with tempfile.TemporaryDirectory() as place:
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
            files.extractall(place, filter="data")
        yield Checkout(name, Path(place))


@contextmanager
def packed(checkout: Checkout) -> Iterator[Checkout]:
    """The checkout as an installed package is: its modules, and its specs as JSON. Exits with a
    sentence where they cannot be packed.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "selfhost").symlink_to(checkout.folder / "selfhost")
        program = "import sys; sys.path.append(sys.argv[1]); import packed_specs; "
        program += "packed_specs.pack(*sys.argv[2:])"
        paths = (checkout.folder / "tools", checkout.folder / "specs", folder / "specs")
        done = checkout.python("-c", program, *map(str, paths), cwd=checkout.folder)
        if done.returncode:
            sys.exit(f"the specs of {checkout.name} cannot be packed")
        yield Checkout(checkout.name, folder)
