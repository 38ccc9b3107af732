"""What a run reads, by its command line: no report takes the place of it, and none goes where the
next run of the same command would read it as one of its inputs.

Files that are found only while a run reads, such as the config beside a model, are known to
`core.files.inputs_opened`; `writing.write_reports` refuses those.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

from ..catalogue.index import SPECS_VARIABLE
from ..core.errors import UsageError
from ..core.files import numbered_files
from ..core.records import Record, shown_path
from ..core.stored import shipped_folder
from ..core.tables import shipped_table
from .writing import FileId, Target, input_refused, targets_of

# options whose values name no input, and those that name no model
_NO_INPUTS = ("output", "format", "given")
_NO_MODELS = ("machines", "machine", "specs", "root")
_RECORDS = (".json", ".jsonl")
# besides the files of tokenizers: weights in every format that publishers store in one folder
_MODEL_ENDINGS = (
    ".gguf", ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth",
    ".ckpt", ".onnx", ".onnx_data", ".h5", ".msgpack", ".npz", ".jinja", "config.json",
)  # fmt: skip
# what else is downloaded with the weights, so that a report in its place would break the model
_MODEL_NAMES = (
    "added_tokens.json", "chat_template.json", "merges.txt", "model_index.json", "params.json",
    "special_tokens_map.json",
)  # fmt: skip
_ELSEWHERE = "name a file in another folder"


class ReadFolder(Record):
    """A folder that is read as one: files of these `endings` in it, or `names`, are inputs.

    `kind` is what they are taken for. `takes_objects`: so is any file that begins as a JSON object.
    """

    path: str
    kind: str
    endings: tuple[str, ...]
    names: tuple[str, ...] = ()
    takes_objects: bool = False

    def would_read(self, target: Target, is_object: bool) -> bool:
        """Whether a report at the target, a JSON object or none, would be one of its inputs."""
        folder, name = os.path.split(target.place or "")
        if name.startswith(".") or not _are_one_folder(folder, self.path):
            return False
        is_named = name.lower().endswith(self.endings) or name in self.names
        return is_named or (self.takes_objects and is_object)


def refuse_targets(
    options: argparse.Namespace,
    reports: Sequence[tuple[str, str]],
    *,
    with_standard_output: bool = False,
) -> None:
    """Raise `UsageError` where a report, a (format, path), would replace an input, be read as one
    by the next run or replace another report, or where its path takes none.
    """
    paths = [path for _, path in reports]
    targets = targets_of(paths, with_standard_output=with_standard_output)
    files = _named_files(options)
    folders = list(_read_folders(options))
    root = getattr(options, "root", None)
    is_new_spec = _is_new_spec(options)
    for (form, path), target in zip(reports, targets, strict=True):
        if target.id in files:
            raise input_refused(path, files[target.id])
        if any(_is_below(folder, target) for folder in _own_folders(is_new_spec)):
            raise UsageError(
                f"cannot write {shown_path(path)}: it would lie among the files of selfhost itself",
                remedy=_ELSEWHERE,
            )
        if root is not None and _is_below(root, target):
            raise UsageError(
                f"cannot write {shown_path(path)}: it would lie in the tree that --root reads",
                remedy=_ELSEWHERE,
            )
        for folder in folders:
            if folder.would_read(target, is_object=form in ("json", "jsonl", "sarif")):
                raise UsageError(
                    f"cannot write {shown_path(path)}: it would be read as"
                    f" {folder.kind} in {shown_path(folder.path)}",
                    remedy=_ELSEWHERE,
                )


def _own_folders(is_new_spec: bool) -> tuple[str, ...]:
    """The folders of selfhost's code and of its specs. Every run reads them, often by a stored
    form, so what is opened does not tell. A new spec may be made in the specs of a checkout.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return (package,) if is_new_spec else (package, shipped_folder())


def _is_below(root: str, target: Target) -> bool:
    """Whether a report would lie in that folder or in one below it."""
    folder = os.path.dirname(target.place or "")
    while folder:
        if _are_one_folder(folder, root):
            return True
        if folder == os.path.dirname(folder):
            return False
        folder = os.path.dirname(folder)
    return False


def _are_one_folder(one: str, other: str) -> bool:
    """Whether two paths lead to one folder, also where it is mounted in two places."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _is_new_spec(options: argparse.Namespace) -> bool:
    """Whether the report is a spec that `spec new` makes: one is for a folder of specs."""
    given = vars(options)
    return given.get("action") == "new" and given.get("format") != "json"


def _words(options: argparse.Namespace, *others: str) -> Iterator[str]:
    """Each value of the command line that may name an input, but for those of `others`."""
    for option, value in vars(options).items():
        if option in _NO_INPUTS or option in others:
            continue
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str):
                yield word
                # --runtime-option mmproj=FILE
                yield word.partition("=")[2]


def _named_files(options: argparse.Namespace) -> dict[FileId | None, str]:
    """The files that are named, by their ids, with all parts of a model that is split."""
    files: dict[FileId | None, str] = {}
    for word in _words(options):
        path = "/dev/stdin" if word == "-" else word
        for part in numbered_files(path):
            if os.path.isfile(part):
                status = os.stat(part)
                files[status.st_dev, status.st_ino] = "standard input" if word == "-" else word
    return files


def _read_folders(options: argparse.Namespace) -> Iterator[ReadFolder]:
    given = vars(options)
    records: list[str] = [*(given.get("machines") or ()), given.get("machine") or ""]
    for path in filter(os.path.isdir, records):
        yield ReadFolder(path=path, kind="a machine", endings=_RECORDS, takes_objects=True)
    if not _is_new_spec(options):
        variable = os.environ.get(SPECS_VARIABLE, "").split(os.pathsep)
        specs: list[str] = [*(given.get("specs") or ()), *variable]
        if given.get("action") == "check":
            specs += filter(os.path.isdir, given["files"])
        for path in filter(None, specs):
            yield ReadFolder(path=path, kind="a spec", endings=(".toml",))
    if given.get("action") == "check":
        return
    names = (*shipped_table("model_files")["tokenizers"], *_MODEL_NAMES)
    for word in _words(options, *_NO_MODELS):
        folder = word
        if word.lower().endswith(_MODEL_ENDINGS):
            folder = os.path.dirname(word) or "."
        if os.path.isdir(folder):
            yield ReadFolder(
                path=folder, kind="a file of the model", endings=_MODEL_ENDINGS, names=names
            )
