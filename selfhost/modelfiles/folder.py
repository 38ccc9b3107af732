"""A folder -> the one model that its files make up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .local import LocalModel
from .naming import listed
from .safetensors import indexes_in, is_of_model, shards_in, shards_of, weights_in
from .source import fail, names_in, shown
from .weights import read_lone_config, read_safetensors

_CONFIG = "config.json"
_UNFINISHED = (".incomplete", ".part", ".crdownload", ".aria2")
_PICKLES = (".bin", ".pt", ".pth")


def read_folder(path: str, architectures: Mapping[str, Any]) -> LocalModel:
    """The model in a folder. Raises `SpecError`, also where there are several."""
    names = names_in(path)
    if not names:
        fail(path, "is an empty folder", "give the folder that holds the model's files")
    unfinished = [name for name in names if name.lower().endswith(_UNFINISHED)]
    notes: tuple[str, ...] = ()
    if unfinished:
        notes = (f"{shown(unfinished[0])} is there: a download that did not finish",)
    ggufs = [name for name in names if name.lower().endswith(".gguf")]
    if ggufs:
        return _read_one_gguf(path, ggufs, architectures, notes)
    indexes, shards = indexes_in(names), weights_in(names)
    config = os.path.join(path, _CONFIG) if _CONFIG in names else None
    if indexes or shards:
        files = _one_set(path, indexes, shards)
        return read_safetensors(path, files, config, architectures, notes)
    if config is not None:
        return read_lone_config(config, architectures, (*notes, _without_weights(names)))
    return _refuse_no_model(path, names, unfinished)


def _without_weights(names: Sequence[str]) -> str:
    """The sentence about a config.json beside which no weights are read."""
    pickle = next(
        (name for name in names if name.lower().endswith(_PICKLES) and is_of_model(name)), None
    )
    if pickle is None:
        return "the folder holds a config.json and no weights"
    return (
        f"its weights are there only as pickle files ({shown(pickle)}), which can run any code"
        " when they are loaded"
    )


def _read_one_gguf(
    path: str, names: list[str], architectures: Mapping[str, Any], notes: tuple[str, ...]
) -> LocalModel:
    from .gguf import parts_of, read_gguf

    projectors = [name for name in names if "mmproj" in name.lower()]
    if projectors and len(projectors) < len(names):
        names = [name for name in names if name not in projectors]
        size = sum(_size(os.path.join(path, name)) for name in projectors)
        notes += (
            f"{shown(projectors[0])} beside it, the projector for pictures or sound, has {size:,}"
            " bytes more and is not counted",
        )
    first_parts = {name: parts_of(os.path.join(path, name))[0] for name in names}
    sets = sorted(set(first_parts.values()))
    if len(sets) > 1:
        files = listed((shown(os.path.basename(file)) for file in sets), 12)
        fail(path, f"holds {len(sets):,} GGUF models: {files}", "name one of these files")
    # of a split file any part that is there
    model = read_gguf(os.path.join(path, names[0]), architectures)
    return model.replace(notes=notes + model.notes)


def _size(path: str) -> int:
    """In bytes, 0 where it cannot be read."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _one_set(path: str, indexes: list[str], shards: list[str]) -> tuple[str, ...]:
    """The files of the folder's one set of weights."""
    if len(indexes) > 1:
        fail(
            path,
            f"holds {len(indexes):,} sets of weights: {listed(map(shown, indexes))}",
            "name one of these files",
        )
    if indexes:
        return shards_in(os.path.join(path, indexes[0]))
    sets = sorted({shards_of(os.path.join(path, name)) for name in shards})
    if len(sets) > 1:
        names = listed((shown(os.path.basename(files[0])) for files in sets), 12)
        fail(path, f"holds {len(sets):,} sets of weights: {names}", "name one of these files")
    return sets[0]


def _refuse_no_model(path: str, names: list[str], unfinished: list[str]) -> NoReturn:
    if unfinished:
        fail(
            path,
            f"holds a download that did not finish: {shown(unfinished[0])}",
            "start the download again",
        )
    if "adapter_config.json" in names:
        fail(
            path,
            "holds a LoRA adapter, not a model",
            "give the folder of the model that it changes",
        )
    if "model_index.json" in names:
        fail(
            path,
            "holds a diffusers pipeline, an image model",
            "only language models are read from a folder",
        )
    if "snapshots" in names:
        revisions = names_in(os.path.join(path, "snapshots"))
        remedy = (
            f"give the folder {os.path.join(shown(path), 'snapshots', shown(revisions[-1]))}"
            if revisions
            else "download the model again"
        )
        fail(path, "is a folder of Hugging Face's cache", remedy)
    files = listed(map(shown, names), 4)
    fail(
        path,
        f"holds no model: no GGUF file, no safetensors file and no config.json ({files})",
        "give the folder that holds the model's files",
    )
