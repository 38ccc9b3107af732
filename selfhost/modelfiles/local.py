"""A path -> the model that lies there, from headers alone: a GGUF file, safetensors files, a
config.json, or a folder with one of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from ..catalogue.quantization_names import QUANTIZATIONS
from ..catalogue.spec import SIZE_OF, ModelSpec, Parameters, PublishedFiles, Quantized, Safety
from ..core.files import numbered_files, status_of
from . import safetensors, source
from .config import read_config
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
    notes = (*notes, *stored_notes(described.spec), *described.notes)
    return described.replace(notes=notes)


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
    model = _mended_by(described, weights)
    spec, format = model.spec, model.format
    unknown = {key: why for key, why in spec.unknown.items() if key not in ("files", "tokenizer")}
    published: tuple[PublishedFiles, ...] = ()
    quantization = model.quantization if model.quantization in QUANTIZATIONS[format] else None
    if quantization is None:
        unknown["files"] = reason("unnamed-type", size=weights.size, types=weights.types)
    else:
        sizes, headers = {quantization: weights.size}, SIZE_OF + shown(path)
        published = (PublishedFiles(format=format, source=headers, bytes=sizes),)
    headers = f"headers of the safetensors files of {shown(path)}"
    spec = spec.replace(
        files=published,
        unknown=unknown,
        tokenizer=any(source.beside(files[0], name) for name in FILES["tokenizers"]),
        safety=Safety(formats=("safetensors",), remote_code=spec.safety.remote_code),
        sources={**spec.sources, "parameters": headers, "safety": "format of the files"},
        origin=path,
    )
    notes = (*notes, *model.notes)
    return model.replace(spec=spec, quantization=quantization, files_here=True, notes=notes)


def _undescribed(path: str, weights: Weights) -> LocalModel:
    unknown = {
        "architecture": "no config.json lies beside the weights",
        "license.id": "the files do not say",
    }
    if weights.total is None:
        unknown["parameters.total"] = reason("packed-alone")
    return LocalModel(spec=source.spec_of(path, unknown=unknown), quantization=weights.dtype)


def _mended_by(model: LocalModel, weights: Weights) -> LocalModel:
    """What a config.json says, mended by its weights; where these contradict it, no layers."""
    spec, notes, held, name = model.spec, model.notes, weights.total, model.quantization
    unknown, architecture, parameters = dict(spec.unknown), spec.architecture, spec.parameters
    if not weights.predict_more:
        # transformers leaves out the blocks that its classes do not have, so a copy that it saved
        # lacks them
        parameters = parameters.replace(mtp=None)
    if held is not None:
        parameters = _with_counted(parameters, unknown, model.language_parameters, held)
        notes += tuple(filter(None, [parameters.difference]))
    quantized, dtype = spec.quantized, None if model.is_quantized else weights.dtype
    if not model.is_quantized and (weights.dtype is None or weights.is_scaled):
        unknown["architecture.matrix_dtype"] = reason("packed", types=weights.types)
        quantized, dtype, name = Quantized(format="safetensors"), None, None
    elif not model.is_quantized:
        if name not in (None, dtype):
            notes += (reason("other-type", said=name, held=dtype),)
        name = dtype
    if why := _contradiction(model, weights):
        unknown = {key: text for key, text in unknown.items() if key[:13] != "architecture."}
        unknown["architecture"], architecture = why, None
    elif architecture is not None:
        architecture = architecture.replace(dtype=architecture.dtype or dtype)
        if architecture.dtype is not None:
            unknown.pop("architecture.dtype", None)
    spec = spec.replace(
        architecture=architecture, unknown=unknown, parameters=parameters, quantized=quantized
    )
    return model.replace(spec=spec, quantization=name, notes=notes)


def _contradiction(model: LocalModel, weights: Weights) -> str | None:
    """Why the files are not of the model that config.json describes."""
    language, held = model.language_parameters, weights.total
    if language and held and language - held > language // _EXTRA_SHARE:
        return reason("other-parameters", held=held, described=language)
    is_other = model.is_quantized and model.quantization is not None and weights.plain
    return reason("plain", name=model.quantization, types=weights.types) if is_other else None


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
