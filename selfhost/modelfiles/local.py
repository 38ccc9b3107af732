"""A path -> the model that lies there, from headers alone: a GGUF file, safetensors files, a
config.json, or a folder with one of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from ..catalogue.quantization_names import QUANTIZATIONS
from ..catalogue.spec import SIZE_OF, ModelSpec, Parameters, PublishedFiles, Safety
from ..core.files import numbered_files, status_of
from . import safetensors, source
from .config import ConfigRead, read_config
from .config_keys import Stored
from .gguf import read_gguf
from .safetensors import Weights
from .source import FILES, LocalModel, listed, reason, shown

_CONFIG = "config.json"
# more entries than any model's folder has
_MAX_ENTRIES = 20_000
# so small a share of the files may hold more than config.json describes: a tied matrix twice
_EXTRA_SHARE = 200


def read_local(path: str | os.PathLike[str]) -> LocalModel:
    """The model at a path: a GGUF file (of a split one any part), a safetensors file, a
    config.json, or a folder with one of them.

    Raises `SpecError` that says what the path is instead and what to give. Reads headers only, so
    that a file of 40 GB takes no longer than a small one; waits for no pipe; time and memory are
    bounded whatever the file holds.
    """
    named = os.fsdecode(os.fspath(path))
    if not named:
        source.fail("''", "is no path", "name a file or a folder")
    with source.readable(named):
        is_folder = stat.S_ISDIR(status_of(named).st_mode)
    if is_folder:
        return _read_folder(named)
    stream, size, start = source.open_file(named)
    stream.close()
    if start.startswith(b"GGUF"):
        return read_gguf(named)
    source.refuse_other_kinds(named, start, size)
    name = named.lower()
    # first by its name: the length of a header may begin with the byte of a bracket
    if name.endswith(".safetensors") or start[4:9] == source.SAFETENSORS:
        return _read_weights(named, numbered_files(named), None)
    begin = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if name.endswith(".toml") or begin not in (b"{", b"["):
        kind = next(kind for kind in FILES["named"] if name.endswith(kind["ending"]))
        source.fail(named, kind["message"], kind["remedy"])
    if name.endswith(safetensors.INDEX_ENDING):
        return _read_weights(named, *safetensors.shards_in(named))
    return _read_lone_config(named)


def _read_folder(path: str) -> LocalModel:
    names = _names_in(path)
    unfinished = [shown(name) for name in names if name.lower().endswith(source.UNFINISHED)]
    notes = tuple(f"{name} is there: a download that did not finish" for name in unfinished[:1])
    if ggufs := [name for name in names if name.lower().endswith(".gguf")]:
        return _read_one_gguf(path, ggufs, notes)
    indexes = safetensors.weight_files_ending(names, safetensors.INDEX_ENDING)
    shards = safetensors.weight_files_ending(names, ".safetensors")
    if indexes or shards:
        _refuse_several(path, "sets of weights", indexes or shards)
        first, total = os.path.join(path, (indexes or shards)[0]), None
        files = numbered_files(first)
        if indexes:
            files, total = safetensors.shards_in(first)
        return _read_weights(path, files, total, notes)
    if _CONFIG not in names:
        fault = "unfinished" if unfinished else "no-model"
        source.refuse(path, fault, names=listed(unfinished or map(shown, names), 4))
    pickles = safetensors.weight_files_ending(names, (".bin", ".pt", ".pth"))
    why = reason("pickles", name=shown(pickles[0])) if pickles else reason("no-weights")
    return _read_lone_config(os.path.join(path, _CONFIG), (*notes, why))


def _names_in(path: str) -> list[str]:
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        source.fail(path, f"cannot be read: {error.strerror}")
    if not names or len(names) > _MAX_ENTRIES:
        source.refuse(path, "entries" if names else "empty-folder", most=_MAX_ENTRIES)
    return names


def _read_one_gguf(path: str, names: list[str], notes: tuple[str, ...]) -> LocalModel:
    projectors = [name for name in names if "mmproj" in name.lower()]
    if projectors and len(projectors) < len(names):
        names = [name for name in names if name not in projectors]
        notes += (reason("projector", name=shown(projectors[0])),)
    _refuse_several(path, "GGUF models", names)
    # of a split file any part that is there
    model = read_gguf(os.path.join(path, names[0]))
    return model.replace(notes=notes + model.notes)


def _refuse_several(path: str, what: str, names: Sequence[str]) -> None:
    """Raise `SpecError` where these are files of more than one model, parts counted once."""
    firsts = sorted({shown(numbered_files(name)[0]) for name in names})
    if len(firsts) > 1:
        source.refuse(path, "several", count=len(firsts), what=what, names=listed(firsts, 12))


def _read_lone_config(config: str, notes: tuple[str, ...] = ()) -> LocalModel:
    """The model that a config.json describes; none of its weights are here."""
    described = read_config(config)
    stored = described.stored
    spec = described.spec.replace(quantized=stored.requantized)
    return LocalModel(
        spec=spec,
        format=stored.format,
        quantization=stored.name,
        files_here=False,
        notes=(*notes, *stored_notes(spec), *described.notes),
    )


def stored_notes(spec: ModelSpec) -> tuple[str, ...]:
    """A sentence where the weights are stored in another type than they are judged in."""
    own, architecture = spec.quantized, spec.architecture
    if own is not None:
        name = own.quantization
        how = f"as {name}" if name else "in a quantization that selfhost does not know"
        return (reason("requantized", how=how),)
    narrow = architecture.matrix_dtype if architecture is not None else None
    is_narrow = narrow is not None and narrow.startswith("float8")
    return (reason("narrow", type=narrow),) if is_narrow else ()


def _read_weights(
    path: str, files: tuple[str, ...], total_bytes: int | None, notes: tuple[str, ...] = ()
) -> LocalModel:
    """The model in these files, and in the config.json beside them where there is one. `path` is
    what the user gave, `total_bytes` what the index of the files says.
    """
    config = source.beside(files[0], _CONFIG)
    missing = tuple(file for file in files if not os.path.exists(file))
    if config is not None and missing:
        # the config.json says what the model is
        lone = _read_lone_config(config, notes)
        # each is read as far as its header, so a file that was cut is refused
        here = [safetensors.read_header(file)[0] for file in files if file not in missing]
        return lone.replace(
            spec=lone.spec.replace(origin=path),
            missing=tuple(shown(os.path.basename(file)) for file in missing),
            size_bytes=sum(here),
            total_bytes=total_bytes,
        )
    weights = safetensors.read_weights(path, files)
    described = read_config(config) if config is not None else _undescribed(path, weights)
    described = _mended_by(described, weights)
    spec, stored = described.spec, described.stored
    unknown = {key: why for key, why in spec.unknown.items() if key not in ("files", "tokenizer")}
    published: tuple[PublishedFiles, ...] = ()
    quantization = stored.name if stored.name in QUANTIZATIONS[stored.format] else None
    if quantization is None:
        unknown["files"] = reason("unnamed-type", size=weights.size, types=weights.types)
    else:
        sizes, headers = {quantization: weights.size}, SIZE_OF + shown(path)
        published = (PublishedFiles(format=stored.format, source=headers, bytes=sizes),)
    headers = f"headers of the safetensors files of {shown(path)}"
    spec = spec.replace(
        files=published,
        quantized=stored.requantized,
        unknown=unknown,
        tokenizer=any(source.beside(files[0], name) for name in FILES["tokenizers"]),
        safety=Safety(formats=("safetensors",), remote_code=spec.safety.remote_code),
        sources={**spec.sources, "parameters": headers, "safety": "format of the files"},
        origin=path,
    )
    return LocalModel(
        spec=spec,
        format=stored.format,
        quantization=quantization,
        files_here=True,
        notes=(*notes, *described.notes),
    )


def _undescribed(path: str, weights: Weights) -> ConfigRead:
    unknown = {
        "architecture": "no config.json lies beside the weights",
        "license.id": "the files do not say",
    }
    if weights.total is None:
        unknown["parameters.total"] = reason("packed-alone")
    name = source.name_of(path)
    spec = ModelSpec(id=source.identifier(name), name=name, unknown=unknown)
    stored = Stored(name=weights.dtype, quantized=False)
    return ConfigRead(spec=spec, stored=stored, language_parameters=None, notes=())


def _mended_by(described: ConfigRead, weights: Weights) -> ConfigRead:
    """What a config.json says, mended by its weights; where these contradict it, no layers."""
    spec, stored, notes = described.spec, described.stored, described.notes
    unknown, architecture, parameters = dict(spec.unknown), spec.architecture, spec.parameters
    language, held = described.language_parameters, weights.total
    if not weights.predict_more:
        # transformers leaves out the blocks that its classes do not have, so a copy that it saved
        # lacks them
        parameters = parameters.replace(mtp=None)
    if held is not None:
        parameters = _with_counted(parameters, unknown, language, held)
        notes += tuple(filter(None, [parameters.difference]))
    if not stored.quantized:
        is_packed = weights.dtype is None or weights.is_scaled
        if is_packed:
            unknown["architecture.matrix_dtype"] = reason("packed", types=weights.types)
        elif stored.name not in (None, weights.dtype):
            notes += (reason("other-type", said=stored.name, held=weights.dtype),)
        stored = Stored() if is_packed else Stored(name=weights.dtype, quantized=False)
    why = _contradiction(stored, weights, language)
    if why is not None:
        unknown = {key: text for key, text in unknown.items() if key[:13] != "architecture."}
        unknown["architecture"], architecture = why, None
    elif architecture is not None:
        dtype = architecture.dtype or (None if stored.quantized else weights.dtype)
        architecture = architecture.replace(
            dtype=dtype, matrix_dtype=stored.matrices, expert_dtype=stored.experts
        )
        if dtype is not None:
            unknown.pop("architecture.dtype", None)
    spec = spec.replace(architecture=architecture, unknown=unknown, parameters=parameters)
    return described.replace(spec=spec, stored=stored, notes=notes)


def _contradiction(stored: Stored, weights: Weights, language: int | None) -> str | None:
    """Why the files are not of the model whose `language` parameters config.json describes."""
    held = weights.total
    if language and held and language - held > language // _EXTRA_SHARE:
        return reason("other-parameters", held=held, described=language)
    is_other = stored.quantized and stored.name is not None and weights.plain
    return reason("plain", name=stored.name, types=weights.types) if is_other else None


def _with_counted(
    parameters: Parameters, unknown: dict[str, str], language: int | None, held: int
) -> Parameters:
    """The parameters with those that the files hold, which are `unknown` no more."""
    unknown.pop("parameters.total", None)
    total = held - (parameters.mtp or 0)
    encoders = total - language if language is not None else 0
    sees = parameters.encoders is not None or "parameters.encoders" in unknown
    gap, active = total - (parameters.total or 0), parameters.active
    if parameters.total is None or (sees and encoders > 0):
        if active is not None and parameters.total is not None:
            active += gap
        parameters = parameters.replace(total=total, active=active)
        if encoders <= 0:
            return parameters
        unknown.pop("parameters.encoders", None)
        return parameters.replace(encoders=encoders, projector_bytes=2 * encoders)
    if 0 <= gap <= total // _EXTRA_SHARE:
        return parameters.replace(extra_in_files=gap or None)
    why = reason("other-parameters", held=held, described=held - gap)
    unknown["parameters.active"] = why
    return parameters.replace(total=held, active=None, mtp=None, difference=why)
