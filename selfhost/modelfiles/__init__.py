"""A model on this disk -> ModelSpec, from headers alone: a GGUF file, safetensors files, a
config.json, or a folder with one of them. `gguf`, `safetensors` and `config` read these;
`specfiles` writes and checks spec files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..core.files import numbered_files
from ..core.records import shown
from . import safetensors, source
from .gguf import read_gguf
from .safetensors import stored_notes
from .source import TEXTS, LocalModel, listed, name_by_place, reason
from .specfiles import spec_text

__all__ = ["LocalModel", "name_by_place", "read_local", "spec_text", "stored_notes"]

# more entries than any model's folder has
_MAX_ENTRIES = 20_000


def read_local(path: str | os.PathLike[str]) -> LocalModel:
    """The model at a path: a GGUF file (of a split one any part), a safetensors file, a
    config.json, or a folder with one of them.

    Raises `SpecError` that says what the path is instead and what to give. Reads headers only, so
    that a file of 40 GB takes no longer than a small one; waits for no pipe; time and memory are
    bounded whatever the file holds.
    """
    named = os.fsdecode(os.fspath(path))
    if not named:
        source.fail("''", "is not a path", "name a file or a folder")
    if os.path.isdir(named):
        return _read_folder(named)
    stream, size, start = source.open_file(named)
    stream.close()
    if start.startswith(b"GGUF"):
        return read_gguf(named)
    source.refuse_other_kinds(named, start, size)
    name = named.lower()
    # first by its name: the length of a header may begin with the byte of a bracket
    if name.endswith(".safetensors") or start[4:9] == source.SAFETENSORS:
        return safetensors.read_weights(named, numbered_files(named), None)
    begin = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if name.endswith(".toml") or begin not in (b"{", b"["):
        kind = next(kind for kind in TEXTS["named"] if name.endswith(kind["ending"]))
        source.fail(named, kind["message"], kind["remedy"])
    if name.endswith(safetensors.INDEX_ENDING):
        return safetensors.read_weights(named, *safetensors.shards_in(named))
    return safetensors.read_lone_config(named)


def _read_folder(path: str) -> LocalModel:
    names = _names_in(path)
    unfinished = [
        shown(name) for name in names if name.lower().endswith(source.UNFINISHED)
    ]
    notes = tuple(
        f"{name} is there: a download that did not finish" for name in unfinished[:1]
    )
    if ggufs := [name for name in names if name.lower().endswith(".gguf")]:
        projectors = [name for name in ggufs if "mmproj" in name.lower()]
        if 0 < len(projectors) < len(ggufs):
            notes += (reason("projector", name=shown(projectors[0])),)
            ggufs = sorted({*ggufs}.difference(projectors))
        # of a split file any part that is there
        model = read_gguf(_only(path, "GGUF models", ggufs))
        return model.replace(notes=notes + model.notes)
    indexes = safetensors.weight_files_ending(names, safetensors.INDEX_ENDING)
    shards = safetensors.weight_files_ending(names, ".safetensors")
    if indexes or shards:
        first = _only(path, "sets of weights", indexes or shards)
        files = (
            safetensors.shards_in(first) if indexes else (numbered_files(first), None)
        )
        return safetensors.read_weights(path, *files, notes)
    if safetensors.CONFIG not in names:
        fault = "unfinished" if unfinished else "no-model"
        source.refuse(path, fault, names=listed(unfinished or map(shown, names), 4))
    pickles = safetensors.weight_files_ending(names, (".bin", ".pt", ".pth"))
    why = reason("pickles", name=shown(pickles[0])) if pickles else reason("no-weights")
    return safetensors.read_lone_config(
        os.path.join(path, safetensors.CONFIG), (*notes, why)
    )


def _names_in(path: str) -> list[str]:
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        source.fail(path, f"cannot be read: {error.strerror}")
    if not names or len(names) > _MAX_ENTRIES:
        source.refuse(path, "entries" if names else "empty-folder", most=_MAX_ENTRIES)
    return names


def _only(path: str, what: str, names: Sequence[str]) -> str:
    """The first file. Raises `SpecError` where these are of several models, parts counted once."""
    firsts = sorted({shown(numbered_files(name)[0]) for name in names})
    if len(firsts) > 1:
        source.refuse(
            path, "several", count=len(firsts), what=what, names=listed(firsts, 12)
        )
    return os.path.join(path, names[0])
