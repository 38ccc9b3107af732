"""The program as a package holds it, worked out once for all test processes."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from helpers.paths import ROOT
from selfhost.catalogue.index import INDEX_FILE, compile_index
from selfhost.catalogue.offers import compile_offers
from selfhost.core.parts import shipped_folder
from selfhost.core.tables import COMPILED, compile_table, compiled_path


def pack(base: Path) -> Path:
    """A folder with this checkout's `selfhost`, and its specs with what a build compiles of them;
    `base` is the folder of this process for what tests write. Nobody may change it.
    """
    # beside other processes of one run the base is a folder of their common one
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = common / "installation"
    with open(common / "installation.lock", "w") as lock:
        # which the system takes back from a process that ends: the others wait, and compile nothing
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.copytree(shipped_folder(), folder / "specs")
            os.symlink(ROOT / "selfhost", folder / "selfhost")
            _compile(folder / "specs")
    return folder


def _compile(specs: Path) -> None:
    # of the checkout, of which the copy is: what is read of it is kept for the tests of this process
    checkout = shipped_folder()
    (specs / INDEX_FILE).write_bytes(compile_index(checkout))
    offers = str(specs / "common" / "offers.jsonl")
    Path(compiled_path(offers)).write_bytes(compile_offers(offers))
    for name in COMPILED:
        table = str(specs / "common" / f"{name}.toml")
        Path(compiled_path(table)).write_bytes(compile_table(table))
