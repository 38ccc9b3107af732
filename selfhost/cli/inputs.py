"""The files that a run reads, so that no report is written over one."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .errors import UsageError

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse


def check_targets(
    options: argparse.Namespace, targets: Sequence[str], *, with_standard_output: bool = False
) -> None:
    """`WriteError`, before anything is judged, where a report cannot go to a target or would
    replace an input.
    """
    from ..core.writing import check_targets

    for folder in (getattr(options, "root", None), getattr(options, "record", None)):
        for target in targets:
            if folder is not None and _lies_in(target, folder):
                raise UsageError(
                    f"{target} lies in {folder}, the recorded tree",
                    remedy="name a file outside it for the report",
                )
    check_targets(targets, inputs(options), with_standard_output=with_standard_output)


def _lies_in(path: str, folder: str) -> bool:
    whole = os.path.realpath(folder)
    # the root of this computer is no recorded tree
    return whole != os.path.dirname(whole) and os.path.realpath(path).startswith(whole + os.sep)


def inputs(options: argparse.Namespace) -> list[str]:
    """Every file that this run reads because it was named, or lies in a folder that was."""
    given = vars(options)
    # where an option is not there, or has no value, there is nothing to read
    records = [
        "/dev/stdin" if name == "-" else name
        for key in ("machine", "machines")
        if (name := given.get(key))
    ]
    specs = [*given.get("specs", ()), *os.environ.get("SELFHOST_SPECS", "").split(os.pathsep)]
    models = [*given.get("models", ()), *given.get("others", ())]
    models += [name for key in ("model", "draft", "adapter") if (name := given.get(key))]
    files = [*given.get("files", ()), *([given["policy"]] if given.get("policy") else [])]
    for path in records:
        files += [path, *_held(path, (".json", ".jsonl"))]
    for path in filter(None, specs):
        files += _held(path, (".toml",))
    from ..catalogue.names import is_path

    for path in [*filter(is_path, models), *given.get("files", ())]:
        files += _model_files(path)
    return files


def _held(folder: str, endings: tuple[str, ...]) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(endings)]
    except (OSError, ValueError):
        return []


_MODEL_FILES = (
    ".gguf",
    ".safetensors",
    ".index.json",
    "config.json",
    ".bin",
    ".pt",
    ".pth",
    ".model",
    "tokenizer.json",
)


def _model_files(path: str) -> list[str]:
    """What is read of a model: what its folder holds, or a file and what belongs to it beside
    it.
    """
    if os.path.isdir(path):
        return _held(path, _MODEL_FILES)
    return [path, *_held(os.path.dirname(path) or ".", _MODEL_FILES)]
