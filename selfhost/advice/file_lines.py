"""The command of a program for files that are here: one GGUF file, or a folder of a model's own."""

from __future__ import annotations

import os

from ..catalogue.spec import RuntimeSpec
from ..verdict.record import Question
from .shells import in_shell


def line_of_the_file(
    question: Question, runtime: RuntimeSpec, path: str, *, is_windows: bool
) -> str:
    """The command that loads the very file that was judged; empty where the runtime takes none."""
    projector = question.here.projector if question.here is not None else None
    if not path.lower().endswith(".gguf"):
        return ""
    if question.here is not None and _is_masked(f"{path}/{projector}"):
        return ""
    if "-of-" in path:
        from ..modelfiles.gguf import parts_of

        # llama.cpp finds the other parts of a split file from the first alone
        # (src/llama-model-loader.cpp)
        path = parts_of(path)[0]
    return line_of_a_file(runtime, path, projector, is_windows=is_windows)


def line_of_a_file(
    runtime: RuntimeSpec, path: str, projector: str | None, *, is_windows: bool
) -> str:
    """The command that loads one GGUF file; empty where the runtime takes none."""
    line = runtime.file_command.replace("{file}", in_shell(path, is_windows=is_windows))
    if projector:
        typed = in_shell(projector, is_windows=is_windows)
        line = line.replace(" -c ", f" --mmproj {typed} -c ", 1)
    return line


def line_of_a_folder(template: str, path: str, *, is_windows: bool) -> str:
    """The command for a repository that loads a folder of your own in its place; empty where it
    cannot be said, or where the path would have to be quoted within a program.
    """
    folder = path
    if path.lower().endswith((".json", ".safetensors")):
        folder = os.path.dirname(path) or "."
    typed = in_shell(folder, is_windows=is_windows)
    is_in_quotes = "'{repository}'" in template
    if "{repository}" not in template or (is_in_quotes and (typed != folder or folder[0] == "~")):
        return ""
    return template.replace("{repository}", typed)


def _is_masked(path: str) -> bool:
    """Whether a part of a record's path stands in for a person's or computer's name, so that it is
    no path.
    """
    return any(part in ("USER", "HOST", "ID") for part in path.replace("\\", "/").split("/"))
