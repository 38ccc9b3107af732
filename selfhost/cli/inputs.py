"""The files that a run reads, so that no report is written over one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from .errors import UsageError

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..audit.entries import Policy

_RECORDS = (".json", ".jsonl")
_MODEL_FILES = (
    ".gguf", ".safetensors", ".index.json", "config.json", ".bin", ".pt", ".pth", ".model",
    "tokenizer.json",
)  # fmt: skip


def check_targets(
    options: argparse.Namespace, targets: Sequence[str], *, with_standard_output: bool = False
) -> None:
    """Refuse, before anything is judged, a target that takes no report, replaces an input, or would
    be read as one by the next run. Raises `WriteError` or `UsageError`.
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
            if _is_new_record(target, folder):
                raise UsageError(
                    f"{target} lies in {folder}, whose records are judged: the next run would take"
                    " the report for one of them",
                    remedy="name a file in another folder for the report",
                )
    check_targets(targets, _inputs(options), with_standard_output=with_standard_output)


def check_targets_of_policy(targets: Sequence[str], policy: Policy) -> None:
    """Refuse a target that replaces a file which the policy names. Raises `WriteError`."""
    from ..core.writing import check_targets

    if not targets:
        return
    models = [wanted.name for wanted in policy.models if not wanted.members]
    models += [member.name for wanted in policy.models for member in wanted.members]
    models += [wanted.asked.draft for wanted in policy.models if wanted.asked.draft]
    adapters = [wanted.asked.adapter for wanted in policy.models if wanted.asked.adapter]
    check_targets(targets, _model_files(_paths(models), adapters))


def _inputs(options: argparse.Namespace) -> list[str]:
    """List every file that this run reads because it was named, or lies in a folder that was."""
    given = vars(options)
    files = [*given.get("files", ()), given.get("policy"), given.get("baseline")]
    for path in _machine_paths(options):
        path = "/dev/stdin" if path == "-" else path
        files += [path, *_held(path, _RECORDS)]
    own_specs = os.environ.get("SELFHOST_SPECS", "").split(os.pathsep)
    for folder in (*given.get("specs", ()), *own_specs):
        files += _held(folder, (".toml",))
    models = [*given.get("models", ()), *given.get("others", ())]
    models += [given.get("model"), given.get("draft")]
    named = [given.get("adapter"), *given.get("files", ())]
    return [*filter(None, files), *_model_files(_paths(filter(None, models)), filter(None, named))]


def _machine_paths(options: argparse.Namespace) -> list[str]:
    given = vars(options)
    return [name for name in (given.get("machine"), *given.get("machines", ())) if name]


def _lies_in(path: str, folder: str) -> bool:
    """Whether the path is the folder, or something in it."""
    whole = os.path.realpath(folder)
    # the root of this computer is no recorded tree
    return whole != os.path.dirname(whole) and (os.path.realpath(path) + os.sep).startswith(
        whole + os.sep
    )


def _is_new_record(path: str, folder: str) -> bool:
    """Whether a new file of that path would be read as one of the folder's records."""
    place = os.path.realpath(path)
    is_new = place.endswith(_RECORDS) and not os.path.lexists(place)
    return is_new and os.path.dirname(place) == os.path.realpath(folder)


def _held(folder: str, endings: tuple[str, ...]) -> list[str]:
    """List the files of a folder that end so; none of what is no folder."""
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(endings)]
    except (OSError, ValueError):
        return []


def _paths(names: Iterable[str]) -> Iterable[str]:
    from ..catalogue.paths import is_path

    return filter(is_path, names)


def _model_files(*paths: Iterable[str]) -> list[str]:
    """List what is read of models and adapters: the files, and what belongs to them beside them."""
    named = dict.fromkeys(path for group in paths for path in group if path[:5] != "rank=")
    folders = dict.fromkeys(
        path if os.path.isdir(path) else os.path.dirname(path) or "." for path in named
    )
    return [*named, *(file for folder in folders for file in _held(folder, _MODEL_FILES))]
