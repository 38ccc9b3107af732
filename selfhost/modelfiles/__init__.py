"""The reader of a model on this disk: path -> `LocalModel`, from headers alone.

What goes in: the path of a GGUF file, of safetensors files, of a config.json, or of a folder with
one of these. `gguf`, `safetensors` and `config` read the files; `toml_writer` writes the spec, and
`specfiles` checks specs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..core.files import first_numbered_file, numbered_files
from ..core.records import shown
from ..core.units import listed
from .gguf import read_gguf
from .safetensors import (
    CONFIG,
    INDEX_ENDING,
    read_lone_config,
    read_weights,
    stored_notes,
    weight_files_ending,
)
from .safetensors_header import Shards, shards_in
from .source import (
    UNFINISHED,
    LocalModel,
    Notes,
    fail,
    is_safetensors,
    name_by_place,
    open_file,
    reason,
    refuse,
    refuse_other_kinds,
)
from .tables import model_files
from .toml_writer import spec_text

__all__ = ["LocalModel", "name_by_place", "read_local", "spec_text", "stored_notes"]

# more entries than any model's folder has
_MAX_ENTRIES = 20_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_local(path: str | os.PathLike[str]) -> LocalModel:
    """The model at a path: a GGUF file (of a split one any part), a safetensors file, a
    config.json, or a folder with one of them.

    Raises `SpecError` that says what the path is instead and what to give. Reads headers only, so
    that a file of 40 GB takes no longer than a small one; waits for no pipe; time and memory are
    bounded whatever the file holds.
    """
    named = os.fsdecode(os.fspath(path))
    if not named:
        fail("''", "is not a path", "name a file or a folder")
    if os.path.isdir(named):
        return _read_folder(named)
    return _read_file(named)


def _read_file(path: str) -> LocalModel:
    """The model in a file, told by its first bytes and by its name."""
    stream, size, start = open_file(path)
    stream.close()
    if start.startswith(b"GGUF"):
        return read_gguf(path)
    refuse_other_kinds(path, start, size)
    name = path.lower()
    # safetensors files are recognized by their name first: the length of a header may begin with
    # the byte of a bracket
    if name.endswith(".safetensors") or is_safetensors(start):
        return read_weights(path, Shards(files=numbered_files(path)))
    text = start.removeprefix(_BYTE_ORDER_MARK).lstrip()
    is_json = text.startswith((b"{", b"["))
    if name.endswith(".toml") or not is_json:
        # the last kind has no ending and stands for every name
        kind = next(kind for kind in model_files().named if name.endswith(kind.ending))
        fail(path, kind.message, kind.remedy)
    if name.endswith(INDEX_ENDING):
        return read_weights(path, shards_in(path))
    return read_lone_config(path)


def _read_folder(path: str) -> LocalModel:
    """The model in a folder: GGUF files come first, then weights, then a config.json alone."""
    names = _names_in(path)
    unfinished = _ending(names, *UNFINISHED)
    notes: Notes = ()
    if unfinished:
        notes = (f"{shown(unfinished[0])} is there: a download that did not finish",)
    ggufs = _ending(names, ".gguf")
    if ggufs:
        return _read_ggufs(path, ggufs, notes)
    indexes = weight_files_ending(names, INDEX_ENDING)
    if indexes:
        index = _only(path, "sets of weights", indexes)
        return read_weights(path, shards_in(index), notes)
    weights = weight_files_ending(names, ".safetensors")
    if weights:
        first = _only(path, "sets of weights", weights)
        return read_weights(path, Shards(files=numbered_files(first)), notes)
    if CONFIG not in names:
        fault = "unfinished" if unfinished else "no-model"
        refuse(path, fault, names=listed(map(shown, unfinished or names), 4))
    why = reason("no-weights")
    pickles = weight_files_ending(names, ".bin", ".pt", ".pth")
    if pickles:
        why = reason("pickles", name=shown(pickles[0]))
    return read_lone_config(os.path.join(path, CONFIG), (*notes, why))


def _ending(names: list[str], *endings: str) -> list[str]:
    return [name for name in names if name.lower().endswith(endings)]


def _read_ggufs(
    path: str,
    ggufs: Sequence[str],
    notes: Notes,
) -> LocalModel:
    """The model in the GGUF files of a folder, without its projector."""
    models = []
    projectors = []
    for name in ggufs:
        if "mmproj" in name.lower():
            projectors.append(name)
        else:
            models.append(name)
    if models and projectors:
        notes = (*notes, reason("projector", name=shown(projectors[0])))
    # a projector alone is passed on, and refused with its own reason; of a split model any part
    # found is passed on
    model = read_gguf(_only(path, "GGUF models", models or projectors))
    return model.replace(notes=(*notes, *model.notes))


def _names_in(path: str) -> list[str]:
    """The names in a folder, sorted. Raises `SpecError` for none and for too many."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        fail(path, f"cannot be read: {error.strerror}")
    if not names:
        refuse(path, "empty-folder")
    if len(names) > _MAX_ENTRIES:
        refuse(path, "entries", most=_MAX_ENTRIES)
    return names


def _only(
    path: str,
    what: str,
    names: Sequence[str],
) -> str:
    """The path of the first of these files in the folder `path`. Raises `SpecError` where the files
    belong to several models; the parts of a split file count as one. `what` names the files.
    """
    first_parts = {shown(first_numbered_file(name)) for name in names}
    count = len(first_parts)
    if count > 1:
        listing = listed(sorted(first_parts), 12)
        refuse(path, "several", count=count, what=what, names=listing)
    return os.path.join(path, names[0])
