"""Adds to the build what pyproject.toml cannot say: what is compiled from the TOML files that are packed."""  # noqa: E501

import os
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

COMPILED_FILES = (
    "index.jsonl",
    "questions.bin",
    *(f"common/{name}.json" for name in ("cloud_types", "cpus", "gpus", "providers")),
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
        from selfhost.advice.compiled import QUESTIONS_FILE, compile_questions
        from selfhost.catalogue.index import INDEX_FILE, compile_index
        from selfhost.core.tables import COMPILED, compile_table, compiled_path
    finally:
        sys.path.remove(HERE)
    for name, content in (
        (INDEX_FILE, compile_index(folder).encode()),
        (QUESTIONS_FILE, compile_questions(folder)),
    ):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    for name in COMPILED:
        table = os.path.join(folder, "common", f"{name}.toml")
        with open(compiled_path(table), "w", encoding="utf-8", newline="\n") as file:
            file.write(compile_table(table))


setup(cmdclass={"build_py": BuildWithIndex})
