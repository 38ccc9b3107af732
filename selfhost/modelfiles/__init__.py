"""A model that lies on this disk -> ModelSpec, from headers alone: a file of 40 GB takes no longer
than a small one.

`gguf` reads GGUF files, `weights` safetensors files, `config` a config.json and `folder` a
folder. `spectext` writes a spec file of what was read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..catalogue.spec import ModelSpec
from .local import LocalModel, stored_notes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

__all__ = ["LocalModel", "read_local", "spec_text", "stored_notes"]

_UTF8_MARK = b"\xef\xbb\xbf"
# what a file is that holds no model, by the end of its name, and what to give instead
_NO_MODEL = {
    ".toml": (
        "is a spec, which states a model and holds none",
        "give the model's file, or judge the spec itself: `selfhost check FILE`",
    ),
    ".gguf": (
        "is not a GGUF file: it does not begin with the letters GGUF",
        "download it again, as it was published",
    ),
    ".json": ("is not JSON", "give the model's config.json as it was published"),
    "": (
        "is not a model file: neither GGUF nor safetensors nor a config.json",
        "give a GGUF file, a config.json, the model's folder, or a spec of it that ends in .toml",
    ),
}


def read_local(path: str | os.PathLike[str], architectures: Mapping[str, Any]) -> LocalModel:
    """The model at a path: a GGUF file (of a split one any part), a safetensors file, a
    config.json, or a folder with one of them.

    `architectures` is the parsed `specs/common/architectures.toml`. A config.json is read with the
    shipped `specs/common/model_types.toml`: its rows say how classes of transformers read their
    keys, which no catalogue of a user's specs changes; `read_config` takes others.

    Raises `SpecError` that says what the path is instead and what to give. Reads headers only;
    waits for no pipe; time and memory are bounded whatever the file holds.
    """
    import stat

    from .source import fail, status_of

    named = os.fsdecode(os.fspath(path))
    if not named:
        fail("''", "is no path", "name a file or a folder")
    if stat.S_ISDIR(status_of(named).st_mode):
        from .folder import read_folder

        return read_folder(named, architectures)
    return _read_file(named, architectures)


def spec_text(model: ModelSpec) -> str:
    """The TOML of a spec file that `read_model_spec` reads back as the same spec, but for its
    origin and the tensors of its file.
    """
    from .spectext import spec_text as written

    return written(model)


def _read_file(path: str, architectures: Mapping[str, Any]) -> LocalModel:
    from .source import begins_safetensors, fail, open_file, read_some, refuse_other_kinds

    stream, size = open_file(path)
    with stream:
        start = read_some(path, stream, min(size, 4096))
    # a big-endian file may begin with its letters turned round
    if start.startswith((b"GGUF", b"FUGG")):
        from .gguf import read_gguf

        return read_gguf(path, architectures)
    refuse_other_kinds(path, start, size)
    name = path.lower()
    refusals = {ending: refusal for ending, refusal in _NO_MODEL.items() if name.endswith(ending)}
    if ".toml" in refusals:
        fail(path, *_NO_MODEL[".toml"])
    from .safetensors import INDEX_ENDING, shards_in, shards_of
    from .weights import read_lone_config, read_safetensors

    # first by its name: the length of a header may begin with the byte of a bracket
    if name.endswith(".safetensors") or begins_safetensors(start):
        return read_safetensors(path, shards_of(path), None, architectures)
    if start.removeprefix(_UTF8_MARK).lstrip()[:1] not in (b"{", b"["):
        fail(path, *next(iter(refusals.values())))
    if name.endswith(INDEX_ENDING):
        return read_safetensors(path, *shards_in(path), architectures)
    return read_lone_config(path, architectures)
