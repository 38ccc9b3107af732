"""The input files of a run, as named by its command line: no report may replace an input, or lie
where the next run of the same command would read the report as an input.

Files that are found only while a run reads, such as the config beside a model, are known to
`core.files.inputs_opened`; `writing.write_reports` refuses those.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

from ..core.answering import (
    answering_folder,
    folders_in_environment,
    package_folder,
)
from ..core.files import as_list, input_name, input_path, numbered_files
from ..core.records import Record, shown_path
from .targets import FileId, FileTarget, refused, targets_of
from .writing import input_refused

# options whose values name no input
_NO_INPUTS = ("output", "format", "given")
# options whose values name inputs other than models
_NO_MODELS = ("machines", "machine", "specs", "root")
_RECORDS = (".json", ".jsonl")
# formats of reports that consist of one or several JSON objects
_JSON_FORMATS = ("json", "jsonl", "sarif")
_ELSEWHERE = "name a file in another folder"
_OF_SELFHOST = "it would lie among the files of selfhost itself"


class ClosedFolder(Record):
    """A folder in which some reports may not lie, for the reason `why`.

    A folder whose files with these `endings` or `names` are inputs closes itself to reports of such
    names. With `takes_objects` every file that begins as a JSON object is an input, too. A `tree`
    takes no report, at any depth.
    """

    path: str
    why: str
    endings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    takes_objects: bool = False
    is_tree: bool = False

    def refuses(self, target: FileTarget, *, is_object: bool) -> bool:
        """Whether a report may not lie at the target. `is_object`: the report is a JSON object."""
        # imported only where a report goes to a file
        from pathlib import Path

        place = Path(target.place)
        if self.is_tree:
            return any(_are_one_folder(folder, self.path) for folder in place.parents)
        if place.name.startswith("."):
            return False
        is_named = place.name.lower().endswith(self.endings) or place.name in self.names
        if not is_named and not (self.takes_objects and is_object):
            return False
        return _are_one_folder(place.parent, self.path)


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
    folders = [*_closed_trees(options), *_read_folders(options)]
    for (form, path), target in zip(reports, targets, strict=True):
        if target.id is not None and target.id in files:
            raise input_refused(path, files[target.id])
        if not isinstance(target, FileTarget):
            continue
        is_object = form in _JSON_FORMATS
        for folder in folders:
            if folder.refuses(target, is_object=is_object):
                raise refused(path, folder.why, _ELSEWHERE)


def _are_one_folder(one: os.PathLike[str], other: str) -> bool:
    """Whether two paths lead to one folder, also where it is mounted in two places."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _texts(options: argparse.Namespace, name: str) -> list[str]:
    """The texts that were typed for an option: one, several, or none where the option was not typed
    or the command does not have it.
    """
    values = as_list(vars(options).get(name))
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
    files = {}
    for word in _words(options):
        for part in numbered_files(input_path(word)):
            if os.path.isfile(part):
                status = os.stat(part)
                files[status.st_dev, status.st_ino] = input_name(word)
    return files


def _closed_trees(options: argparse.Namespace) -> Iterator[ClosedFolder]:
    """The folders of selfhost's code and of its specs, and the tree that `--root` reads.

    Every run reads the first two, often by a stored form, so what is opened does not tell. A new
    spec may be made in the specs of a checkout.
    """
    program = ClosedFolder(path=package_folder(), why=_OF_SELFHOST, is_tree=True)
    yield program
    if not _is_new_spec(options):
        yield program.replace(path=answering_folder())
    for root in _texts(options, "root"):
        yield program.replace(
            path=root, why="it would lie in the tree that --root reads"
        )


def _read_folders(options: argparse.Namespace) -> Iterator[ClosedFolder]:
    """The folders of records, of specs and of models that the run reads."""
    records = _texts(options, "machines") + _texts(options, "machine")
    for path in records:
        if os.path.isdir(path):
            yield ClosedFolder(
                path=path,
                why=f"it would be read as a machine in {shown_path(path)}",
                endings=_RECORDS,
                takes_objects=True,
            )
    if not _is_new_spec(options):
        for path in _spec_folders(options):
            why = f"it would be read as a spec in {shown_path(path)}"
            yield ClosedFolder(path=path, why=why, endings=(".toml",))
    if not _checks_specs(options):
        # imported only where a command names a folder of a model
        from ..modelfiles.tables import model_files

        table = model_files()
        for path in _model_folders(options, table.stored_endings):
            yield ClosedFolder(
                path=path,
                why=f"it would be read as a file of the model in {shown_path(path)}",
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
