"""Adds to the build what pyproject.toml cannot say: what is compiled from the TOML files that are packed."""  # noqa: E501

import os
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

COMPILED_FILES = (
    "index.bin",
    "questions.bin",
    "common/offers.bin",
    *(
        f"common/{name}.bin"
        for name in (
            "cloud_types",
            "cpu_cores",
            "cpus",
            "gpus",
            "macs",
            "products",
            "providers",
            "words",
        )
    ),
)
HERE = os.path.dirname(os.path.abspath(__file__))


class BuildWithIndex(build_py):
    """Writes the index and the questions into the build folder only: a checkout or an editable install reads the TOML files themselves."""  # noqa: E501

    def run(self) -> None:
        folder = os.path.join(self.build_lib, "selfhost", "specs")
        if not self.editable_mode:
            # a build folder kept from an earlier build would bring back specs that were removed since  # noqa: E501
            shutil.rmtree(folder, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            _write_compiled(folder)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs: list[str] = super().get_outputs(include_bytecode)
        folder = os.path.join(self.build_lib, "selfhost", "specs")
        return (
            outputs
            if self.editable_mode
            else [
                *outputs,
                *(os.path.join(folder, name) for name in COMPILED_FILES),
            ]
        )


def _write_compiled(folder: str) -> None:
    sys.path.insert(0, HERE)
    try:
        from selfhost.advice.compiled import QUESTIONS_FILE
        from selfhost.advice.compiling import compile_questions
        from selfhost.catalogue.index import INDEX_FILE, compile_index
        from selfhost.catalogue.offers import compile_offers
        from selfhost.core.tables import COMPILED, compile_table, compiled_path
    finally:
        sys.path.remove(HERE)
    common = os.path.join(folder, "common")
    offers = os.path.join(common, "offers.jsonl")
    contents = {
        os.path.join(folder, INDEX_FILE): compile_index(folder),
        os.path.join(folder, QUESTIONS_FILE): compile_questions(folder),
        compiled_path(offers): compile_offers(offers),
    }
    for name in COMPILED:
        table = os.path.join(common, f"{name}.toml")
        contents[compiled_path(table)] = compile_table(table)
    for path, content in contents.items():
        with open(path, "wb") as file:
            file.write(content)


setup(cmdclass={"build_py": BuildWithIndex})
