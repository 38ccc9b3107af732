"""The input files of a run, as named by its command line: no report may replace an input, or lie
where the next run of the same command would read the report as an input.

Files that are found only while a run reads, such as the config beside a model, are known to
`core.files.inputs_opened`; `writing.write_reports` refuses those.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

from ..core.files import input_path, numbered_files
from ..core.records import Record, shown_path
from ..core.stored import folders_in_environment, package_folder, shipped_folder
from .targets import FileId, FileTarget, refused, targets_of
from .writing import input_refused, open_pipes

# options whose values name no input
_NO_INPUTS = ("output", "format", "given")
# options whose values name inputs other than models
_NO_MODELS = ("machines", "machine", "specs", "root")
_RECORDS = (".json", ".jsonl")
# formats of reports that consist of one or several JSON objects
_JSON_FORMATS = ("json", "jsonl", "sarif")
_ELSEWHERE = "name a file in another folder"
_OF_SELFHOST = "among the files of selfhost itself"


class ClosedTree(Record):
    """A folder in which, at any depth, no report may lie. `name` describes the folder."""

    path: str
    name: str

    def holds(self, target: FileTarget) -> bool:
        """Whether a report would lie in the folder."""
        folder = os.path.dirname(target.place)
        while not _are_one_folder(folder, self.path):
            parent = os.path.dirname(folder)
            if parent == folder:
                return False
            folder = parent
        return True


class ReadFolder(Record):
    """A folder that is read as a whole: its files with these `endings` or `names` are inputs.

    `kind` says what the inputs are. With `takes_objects` every file that begins as a JSON object is
    an input, too.
    """

    path: str
    kind: str
    endings: tuple[str, ...]
    names: tuple[str, ...] = ()
    takes_objects: bool = False

    def would_read(self, target: FileTarget, *, is_object: bool) -> bool:
        """Whether a report at the target would be read as an input. `is_object`: the report is a
        JSON object.
        """
        folder, name = os.path.split(target.place)
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
    """Raise `UsageError` for a report that would replace an input or another report, or that the
    next run would read as an input.

    `reports` are pairs (format, path). A path that takes no report is refused, too.
    """
    paths = [path for _, path in reports]
    targets = targets_of(paths, with_standard_output=with_standard_output)
    files = _named_files(options)
    trees = list(_closed_trees(options))
    folders = list(_read_folders(options))
    for (form, path), target in zip(reports, targets, strict=True):
        if target.id is not None and target.id in files:
            raise input_refused(path, files[target.id])
        if not isinstance(target, FileTarget):
            continue
        for tree in trees:
            if tree.holds(target):
                raise refused(path, f"it would lie {tree.name}", _ELSEWHERE)
        is_object = form in _JSON_FORMATS
        for folder in folders:
            if folder.would_read(target, is_object=is_object):
                where = shown_path(folder.path)
                reason = f"it would be read as {folder.kind} in {where}"
                raise refused(path, reason, _ELSEWHERE)
    open_pipes(targets)


def _are_one_folder(one: str, other: str) -> bool:
    """Whether two paths lead to one folder, also where it is mounted in two places."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _texts(options: argparse.Namespace, name: str) -> list[str]:
    """The texts that were typed for an option: one, several, or none where the option was not typed
    or the command does not have it.
    """
    value = vars(options).get(name)
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def _words(options: argparse.Namespace, *others: str) -> Iterator[str]:
    """Yield the words of the command line that may name an input, except those of the options
    `others`.

    Words are each value, and the part of it behind the `=` (`--runtime-option mmproj=FILE`).
    """
    for name in vars(options):
        if name in _NO_INPUTS or name in others:
            continue
        for text in _texts(options, name):
            yield text
            yield text.partition("=")[2]


def _is_new_spec(options: argparse.Namespace) -> bool:
    """Whether the report is a spec that `spec new` makes, which may go into a folder of specs."""
    is_new = _texts(options, "action") == ["new"]
    return is_new and _texts(options, "format") != ["json"]


def _named_files(options: argparse.Namespace) -> dict[FileId, str]:
    """The files that the command line names, by their ids, with all parts of a split model."""
    files: dict[FileId, str] = {}
    for word in _words(options):
        name = "standard input" if word == "-" else word
        for part in numbered_files(input_path(word)):
            if os.path.isfile(part):
                status = os.stat(part)
                files[status.st_dev, status.st_ino] = name
    return files


def _closed_trees(options: argparse.Namespace) -> Iterator[ClosedTree]:
    """The folders of selfhost's code and of its specs, and the tree that `--root` reads.

    Every run reads the first two, often by a stored form, so what is opened does not tell. A new
    spec may be made in the specs of a checkout.
    """
    yield ClosedTree(path=package_folder(), name=_OF_SELFHOST)
    if not _is_new_spec(options):
        yield ClosedTree(path=shipped_folder(), name=_OF_SELFHOST)
    for root in _texts(options, "root"):
        yield ClosedTree(path=root, name="in the tree that --root reads")


def _read_folders(options: argparse.Namespace) -> Iterator[ReadFolder]:
    """The folders of records, of specs and of models that the run reads."""
    records = _texts(options, "machines") + _texts(options, "machine")
    for path in records:
        if os.path.isdir(path):
            yield ReadFolder(
                path=path, kind="a machine", endings=_RECORDS, takes_objects=True
            )
    if not _is_new_spec(options):
        for path in _spec_folders(options):
            yield ReadFolder(path=path, kind="a spec", endings=(".toml",))
    if not _checks_specs(options):
        # imported only where a command names a folder of a model
        from ..modelfiles.tables import model_files

        table = model_files()
        for path in _model_folders(options, table.stored_endings):
            yield ReadFolder(
                path=path,
                kind="a file of the model",
                endings=table.stored_endings,
                names=(*table.tokenizers, *table.stored_names),
            )


def _checks_specs(options: argparse.Namespace) -> bool:
    """Whether the command is `spec check`, whose files are specs, and no models."""
    return _texts(options, "action") == ["check"]


def _spec_folders(options: argparse.Namespace) -> Iterator[str]:
    """The folders of the user's own specs, and those that `spec check` reads."""
    yield from _texts(options, "specs")
    yield from folders_in_environment()
    if _checks_specs(options):
        for path in _texts(options, "files"):
            if os.path.isdir(path):
                yield path


def _model_folders(
    options: argparse.Namespace, endings: tuple[str, ...]
) -> Iterator[str]:
    """Yield the folders that are named as models, and the folders of the named files with these
    endings.
    """
    for word in _words(options, *_NO_MODELS):
        folder = word
        if word.lower().endswith(endings):
            folder = os.path.dirname(word) or "."
        if os.path.isdir(folder):
            yield folder
