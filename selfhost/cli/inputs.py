"""The files that a run reads, so that no report is written over one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from .errors import UsageError

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from typing import TypeGuard

    from ..audit.entries import Policy


def check_targets(
    options: argparse.Namespace, targets: Sequence[str], *, with_standard_output: bool = False
) -> None:
    """`WriteError`, before anything is judged, where a report cannot go to a target or would
    replace an input.
    """
    from ..core.writing import check_targets

    root = getattr(options, "root", None)
    for target in targets:
        if root is not None and _lies_in(target, root):
            raise UsageError(
                f"{target} lies in {root}, the recorded tree",
                remedy="name a file outside it for the report",
            )
    for folder in _machine_paths(options):
        for target in targets:
            if _is_new_record(target, folder):
                raise UsageError(
                    f"{target} lies in {folder}, whose records are judged: the next run would take"
                    " the report for one of them",
                    remedy="name a file in another folder for the report",
                )
    check_targets(targets, inputs(options), with_standard_output=with_standard_output)


def check_targets_of_policy(targets: Sequence[str], policy: Policy) -> None:
    """As `check_targets`, for the files that the policy names: which they are is known once it is
    read.
    """
    if targets:
        from ..core.writing import check_targets

        check_targets(targets, _files_of_policy(policy))


def _files_of_policy(policy: Policy) -> list[str]:
    """What is read of the models, drafts and adapters that the policy's entries name."""
    models = [wanted.name for wanted in policy.models if not wanted.members]
    models += [member.name for wanted in policy.models for member in wanted.members]
    models += [wanted.asked.draft for wanted in policy.models if wanted.asked.draft]
    adapters = [
        typed for wanted in policy.models if _is_adapter_file(typed := wanted.asked.adapter)
    ]
    return [*_files_of_models(models), *_model_files(adapters)]


def _lies_in(path: str, folder: str) -> bool:
    """Whether the path is the folder, or something in it."""
    whole = os.path.realpath(folder)
    # the root of this computer is no recorded tree
    return whole != os.path.dirname(whole) and (os.path.realpath(path) + os.sep).startswith(
        whole + os.sep
    )


_RECORDS = (".json", ".jsonl")


def _is_new_record(path: str, folder: str) -> bool:
    """Whether a new file of that path would be read as one of the folder's records."""
    place = os.path.realpath(path)
    return (
        place.endswith(_RECORDS)
        and not os.path.lexists(place)
        and os.path.dirname(place) == os.path.realpath(folder)
    )


def inputs(options: argparse.Namespace) -> list[str]:
    """Every file that this run reads because it was named, or lies in a folder that was."""
    given = vars(options)
    # where an option is not there, or has no value, there is nothing to read
    records = ["/dev/stdin" if name == "-" else name for name in _machine_paths(options)]
    specs = [*given.get("specs", ()), *os.environ.get("SELFHOST_SPECS", "").split(os.pathsep)]
    models = [*given.get("models", ()), *given.get("others", ())]
    models += [name for key in ("model", "draft") if (name := given.get(key))]
    adapters = [given["adapter"]] if _is_adapter_file(given.get("adapter")) else []
    files = [
        *given.get("files", ()),
        *(given[key] for key in ("policy", "baseline") if given.get(key)),
    ]
    for path in records:
        files += [path, *_held(path, _RECORDS)]
    for path in filter(None, specs):
        files += _held(path, (".toml",))
    return [*files, *_files_of_models(models), *_model_files([*adapters, *given.get("files", ())])]


def _machine_paths(options: argparse.Namespace) -> list[str]:
    """What was named as a machine, or as several."""
    given = vars(options)
    return [name for name in (given.get("machine"), *given.get("machines", ())) if name]


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


def _files_of_models(names: Iterable[str]) -> list[str]:
    """What is read of those models that are named by a path."""
    from ..catalogue.paths import is_path

    return _model_files(filter(is_path, names))


def _is_adapter_file(typed: str | None) -> TypeGuard[str]:
    return typed is not None and not typed.startswith("rank=")


def _model_files(paths: Iterable[str]) -> list[str]:
    """What is read of models: what their folders hold, or files and what belongs to them beside
    them.
    """
    named = list(dict.fromkeys(paths))
    folders = dict.fromkeys(
        path if os.path.isdir(path) else os.path.dirname(path) or "." for path in named
    )
    return [*named, *(file for folder in folders for file in _held(folder, _MODEL_FILES))]
