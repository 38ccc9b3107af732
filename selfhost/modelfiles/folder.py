"""A folder -> the one model that its files make up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .local import LocalModel
from .naming import listed
from .safetensors import INDEX_ENDING, is_of_model, of_model_with, shards_in, shards_of
from .source import UNFINISHED, fail, names_in, shown
from .weights import read_lone_config, read_safetensors

_CONFIG = "config.json"
_PICKLES = (".bin", ".pt", ".pth")
# a file that shows what kind of other folder it is -> what that is, and what to give
_OTHER: Mapping[str, tuple[str, str]] = {
    "adapter_config.json": (
        "holds a LoRA adapter, not a model",
        "give the folder of the model that it changes",
    ),
    "model_index.json": (
        "holds a diffusers pipeline, an image model",
        "only language models are read from a folder",
    ),
    "snapshots": ("is a folder of Hugging Face's cache", "give a folder under its snapshots"),
}


def read_folder(path: str, architectures: Mapping[str, Any]) -> LocalModel:
    """The model in a folder. Raises `SpecError`, also where there are several."""
    names = names_in(path)
    if not names:
        fail(path, "is an empty folder", "give the folder that holds the model's files")
    unfinished = [shown(name) for name in names if name.lower().endswith(UNFINISHED)]
    notes = tuple(f"{name} is there: a download that did not finish" for name in unfinished[:1])
    ggufs = [name for name in names if name.lower().endswith(".gguf")]
    if ggufs:
        return _read_one_gguf(path, ggufs, architectures, notes)
    files, total = _weight_files(path, names)
    if files:
        return read_safetensors(path, files, total, architectures, notes)
    if _CONFIG not in names:
        _refuse_no_model(path, names, unfinished)
    why = "the folder holds a config.json and no weights"
    pickles = [name for name in names if name.lower().endswith(_PICKLES) and is_of_model(name)]
    if pickles:
        why = f"its weights are there only as pickle files ({shown(pickles[0])}), which can run any"
        why += " code when they are loaded"
    return read_lone_config(os.path.join(path, _CONFIG), architectures, (*notes, why))


def _weight_files(path: str, names: Sequence[str]) -> tuple[tuple[str, ...], int | None]:
    """The safetensors files of the only set of weights in a folder, and the bytes of their tensors
    where it has an index.
    """
    indexes = of_model_with(names, INDEX_ENDING)
    shards = of_model_with(names, ".safetensors")
    sets = {shards_of(os.path.join(path, name)) for name in shards}
    several = indexes or sorted(files[0] for files in sets)
    if len(several) > 1:
        _refuse_several(path, "sets of weights", several)
    if indexes:
        return shards_in(os.path.join(path, indexes[0]))
    return (sets.pop() if sets else ()), None


def _read_one_gguf(
    path: str, names: list[str], architectures: Mapping[str, Any], notes: tuple[str, ...]
) -> LocalModel:
    from .gguf import parts_of, read_gguf

    projectors = [name for name in names if "mmproj" in name.lower()]
    if projectors and len(projectors) < len(names):
        names = [name for name in names if name not in projectors]
        notes += (
            f"{shown(projectors[0])} beside it, the projector for pictures or sound, is not"
            " counted",
        )
    sets = {parts_of(os.path.join(path, name))[0] for name in names}
    if len(sets) > 1:
        _refuse_several(path, "GGUF models", sorted(sets))
    # of a split file any part that is there
    model = read_gguf(os.path.join(path, names[0]), architectures)
    return model.replace(notes=notes + model.notes)


def _refuse_several(path: str, what: str, files: Sequence[str]) -> NoReturn:
    names = listed((shown(os.path.basename(file)) for file in files), 12)
    fail(path, f"holds {len(files):,} {what}: {names}", "name one of these files")


def _refuse_no_model(path: str, names: list[str], unfinished: list[str]) -> NoReturn:
    if unfinished:
        fault = f"holds a download that did not finish: {unfinished[0]}"
        fail(path, fault, "start the download again")
    for name, (fault, remedy) in _OTHER.items():
        if name in names:
            fail(path, fault, remedy)
    fault = "holds no model: no GGUF file, no safetensors file and no config.json"
    remedy = "give the folder that holds the model's files"
    fail(path, f"{fault} ({listed(map(shown, names), 4)})", remedy)
