"""Adds to the build what pyproject.toml cannot say: how a package has its specs, and the README
with links that work on PyPI.
"""

import os
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "tools")]

from links import pypi_page  # noqa: E402
from selfhost.core import __version__  # noqa: E402


class BuildWithIndex(build_py):
    """Writes into the build folder what a package has in place of TOML files; a checkout or an
    editable install reads these themselves.
    """

    def find_data_files(self, package: str, src_dir: str) -> list[str]:
        files: list[str] = super().find_data_files(package, src_dir)
        is_left_out = package.startswith("selfhost.specs") and not self.editable_mode
        return [
            name
            for name in files
            if not (is_left_out and name.endswith((".toml", ".jsonl")))
        ]

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        folder = os.path.join(self.build_lib, "selfhost", "specs")
        # a build folder kept from an earlier build would bring back specs that were removed since
        shutil.rmtree(folder, ignore_errors=True)
        super().run()
        from packed_specs import pack

        pack(os.path.join(HERE, "specs"), folder)


setup(
    cmdclass={"build_py": BuildWithIndex},
    long_description=pypi_page(f"v{__version__}"),
    long_description_content_type="text/markdown",
)
