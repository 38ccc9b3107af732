"""The program as a package holds it, worked out once for all test processes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from helpers.paths import ROOT
from selfhost.catalogue.index import package_files
from selfhost.core.tables import shipped_folder


def pack(base: Path) -> Path:
    """A folder with this checkout's `selfhost`, and its specs as a package has them; `base` is the folder of this process for what tests write. Nobody may change it."""
    # beside other processes of one run the base is a folder of their common one
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = common / "installation"
    with open(common / "installation.lock", "w") as lock:
        # which the system takes back from a process that ends: the others wait, and compile nothing
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            write_specs(Path(shipped_folder()), folder / "specs")
            os.symlink(ROOT / "selfhost", folder / "selfhost")
    return folder


def write_specs(checkout: Path, target: Path) -> None:
    """The specs of a checkout as `setup.py` packs them."""
    for sub in ("common", "runtimes"):
        (target / sub).mkdir(parents=True)
    for name, content in package_files(str(checkout)).items():
        (target / name).write_bytes(content)
