"""Packs the specs of this checkout as a distribution of data; its version is their day.

A source distribution has the packed specs, so that a wheel is made of it without the checkout.
"""

import os
import re
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "selfhost_check_specs"
FORMAT_FILE = os.path.join("common", "format.toml")
CHECKOUT = os.path.dirname(HERE)
SPECS = os.path.join(CHECKOUT, "specs")
IS_PACKED = os.path.exists(os.path.join(HERE, PACKAGE, FORMAT_FILE))


def version() -> str:
    """The day of the specs, as packages write it: `2026.12.7`."""
    folder = os.path.join(HERE, PACKAGE) if IS_PACKED else SPECS
    with open(os.path.join(folder, FORMAT_FILE), encoding="utf-8") as stream:
        stated = re.search(
            r'^as_of = "([0-9]+-[0-9]+-[0-9]+)"$', stream.read(), re.MULTILINE
        )
    if stated is None:
        raise SystemExit(f"{FORMAT_FILE} does not state the day of the specs, as_of")
    year, month, day = map(int, stated[1].split("-"))
    return f"{year}.{month}.{day}"


def pack_into(folder: str) -> None:
    """Write the packed specs, unless this is a source distribution, which has them."""
    if IS_PACKED:
        return
    sys.path[:0] = [CHECKOUT, os.path.join(CHECKOUT, "tools")]
    from packed_specs import pack

    pack(SPECS, os.path.join(folder, PACKAGE))


class BuildPacked(build_py):
    """Writes the packed specs into the build folder."""

    def run(self) -> None:
        # a build folder kept from an earlier build would bring back what was removed since
        shutil.rmtree(os.path.join(self.build_lib, PACKAGE), ignore_errors=True)
        super().run()
        pack_into(self.build_lib)


class PackedSource(sdist):
    """Writes the packed specs into the source distribution."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        pack_into(base_dir)


setup(version=version(), cmdclass={"build_py": BuildPacked, "sdist": PackedSource})
