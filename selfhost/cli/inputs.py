"""The files that a run reads, so that no report is written over one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from .errors import UsageError

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..audit.entries import Policy

_RECORDS = (".json", ".jsonl")
_SPECS = (".toml",)
_MODEL_FILES = (".gguf", ".safetensors", ".json", ".bin", ".pt", ".pth", ".model")
# by option what is read in a folder that it names
_READ = {
    **dict.fromkeys(("machine", "machines"), _RECORDS),
    "specs": _SPECS,
    **dict.fromkeys(("files", "policy", "baseline", "adapter"), _MODEL_FILES),
}
# options whose values name models, of which some are files
_MODELS = ("models", "model", "others", "draft")


def check_targets(
    options: argparse.Namespace, targets: Sequence[str], *, with_standard_output: bool = False
) -> None:
    """Refuse, before anything is judged, a target that takes no report, replaces an input, or would
    be read as one by the next run. Raises `WriteError` or `UsageError`.
    """
    from ..core.writing import check_targets

    root = getattr(options, "root", None)
    for target in targets:
        if root is not None and os.path.realpath(target).startswith(
            os.path.realpath(root) + os.sep
        ):
            raise UsageError(
                f"{target} lies in {root}, the recorded tree",
                remedy="name a file outside it for the report",
            )
        for folder in _values(options, ("machine", "machines")):
            if _is_new_record(target, folder):
                raise UsageError(
                    f"{target} lies in {folder}, whose records are judged: the next run would take"
                    " the report for one of them",
                    remedy="name a file in another folder for the report",
                )
    own_specs = filter(None, os.environ.get("SELFHOST_SPECS", "").split(os.pathsep))
    read = [*_read_files(own_specs, _SPECS)]
    for option, endings in _READ.items():
        read += _read_files(_values(options, (option,)), endings)
    read += _read_files(_paths(_values(options, _MODELS)), _MODEL_FILES)
    check_targets(targets, read, with_standard_output=with_standard_output)


def check_targets_of_policy(targets: Sequence[str], policy: Policy) -> None:
    """Refuse a target that replaces a file which the policy names. Raises `WriteError`."""
    from ..core.writing import check_targets

    names: list[str | None] = []
    for wanted in policy.models if targets else ():
        models = [member.name for member in wanted.members] or [wanted.name]
        names += [*_paths([*models, wanted.asked.draft or ""]), wanted.asked.adapter]
    check_targets(targets, _read_files(filter(None, names), _MODEL_FILES))


def _values(options: argparse.Namespace, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        value = getattr(options, key, None) or ()
        yield from (value,) if isinstance(value, str) else value


def _is_new_record(path: str, folder: str) -> bool:
    """Whether a new file of that path would be read as one of the folder's records."""
    place = os.path.realpath(path)
    is_new = place.endswith(_RECORDS) and not os.path.lexists(place)
    return is_new and os.path.dirname(place) == os.path.realpath(folder)


def _paths(names: Iterable[str]) -> Iterator[str]:
    from ..catalogue.paths import is_path

    return filter(is_path, names)


def _read_files(named: Iterable[str], endings: tuple[str, ...]) -> Iterator[str]:
    """The files that were named, and what is read in a folder; of a model also what lies beside."""
    for name in named:
        yield "/dev/stdin" if name == "-" else name
        beside = name.endswith((".gguf", ".safetensors", "config.json"))
        folder = os.path.dirname(name) or "." if beside else name
        try:
            files = os.listdir(folder)
        except (OSError, ValueError):
            continue
        yield from (os.path.join(folder, file) for file in files if file.endswith(endings))
