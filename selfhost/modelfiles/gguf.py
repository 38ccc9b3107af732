"""From a GGUF file, or the parts of one, to a `ModelSpec`, by its header alone.

What goes in: the path of the file. What comes out: a `LocalModel`. The types of the tensors give
the quantization; `gguf_layers` reads the layers. The tensor table is compared with the table that
the architecture's row gives.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod
from typing import NoReturn

from ..catalogue.architecture import Architecture
from ..catalogue.spec import (
    SIZE_OF,
    FileTensors,
    ModelSpec,
    Parameters,
    PublishedFiles,
    Safety,
)
from ..catalogue.spec_values import QUANTIZATIONS
from ..core.files import numbered_files
from ..core.records import Record, shown
from ..core.units import listed
from ..needs.quantization import BASE_TYPES, BLOCKS
from ..needs.tensors import UNKNOWN_ROW, gguf_tensors, parameter_counts, row_of
from .gguf_header import MAX_TENSORS, GgufHeader, Tensor, TensorPlace, read_header
from .gguf_layers import GgufModel, architecture_of
from .sizes import Malformed, Unclear
from .source import (
    MAX_PARAMETERS,
    LocalModel,
    Notes,
    clean,
    fail,
    license_of,
    read_each,
    reason,
    refuse,
    spec_of,
)
from .tables import GgufTable, model_files

_TABLE: GgufTable = model_files().gguf
# a bit of general.file_type that says that the converter guessed the type (LLAMA_FTYPE_GUESSED)
_GUESSED = 1024
# the type of most tensors by quantization, where the two names differ
_BASES = {**BASE_TYPES, "MXFP4_MOE": "MXFP4"}

# the tables of RoPE, which are no weights
_ROTATIONS = ("rope_freqs.", "rope_factors_")

_Shape = tuple[int, ...]


def read_gguf(path: str) -> LocalModel:
    """The model in a GGUF file, or in the split file that it is a part of. Raises `SpecError`."""
    headers = _headers(path)
    tensors: list[Tensor] = []
    for header in headers:
        tensors += header.tensors
    if len(headers) > 1:
        _refuse_mixed_parts(path, headers, tensors)
    model = GgufModel(path, headers[0], tuple(tensors))
    _refuse_other_kinds(model)
    quantization = _quantization(model)
    files = PublishedFiles(
        format="gguf",
        source=SIZE_OF + shown(path),
        # no program reads what stands behind the tensors
        bytes={quantization: sum(header.used_bytes for header in headers)},
    )
    try:
        layers = _layers(model)
        spec = _spec(model, files, layers)
    except Malformed as fault:
        # no converter writes such a file
        refuse(path, "unusable", what=fault)
    return LocalModel(
        spec=spec,
        format="gguf",
        quantization=quantization,
        files_here=True,
        notes=_notes(model, quantization, layers),
    )


def _headers(path: str) -> list[GgufHeader]:
    """The headers of all parts. The named file is read first, so that its faults come before those
    of its siblings.
    """
    given = read_header(path)
    files = numbered_files(path)
    parts = given.values.get("split.count", 0)
    if isinstance(parts, int) and parts > 1 and parts != len(files):
        refuse(path, "unnamed-part", parts=parts, last=f"{parts:05d}")
    headers = []
    tensors = 0

    def read(file: str) -> GgufHeader:
        return given if file == path else read_header(file)

    for header in read_each(path, "parts", files, read):
        headers.append(header)
        tensors += len(header.tensors)
        if tensors > MAX_TENSORS:
            what = f"its parts have more than {MAX_TENSORS:,} tensors"
            refuse(path, "damaged", what=what)
    return headers


def _refuse_mixed_parts(
    path: str,
    headers: Sequence[GgufHeader],
    tensors: Sequence[Tensor],
) -> None:
    """Raise `SpecError` where the parts do not belong to one model."""
    count = len(tensors)
    promised = headers[0].values.get("split.tensors.count", count)
    different_names = len({tensor.name for tensor in tensors})
    if promised == count == different_names:
        return
    refuse(
        path,
        "mixed",
        unlike=different_names,
        parts=len(headers),
        promised=str(promised)[:20],
    )


def _refuse_other_kinds(model: GgufModel) -> None:
    """Raise `SpecError` for a file that holds no model that is judged alone, such as an adapter."""
    if not model.name:
        refuse(model.path, "unusable", what="general.architecture is missing")
    for kind in (model.name, clean(model.values.get("general.type")).lower()):
        other = _TABLE.not_a_model.get(kind)
        if other is not None:
            fail(model.path, other.message, other.remedy)
    if not model.tensors:
        refuse(model.path, "no-tensors")


def _quantization(model: GgufModel) -> str:
    """The quantization that `general.file_type` states, if some matrices have the type of this
    quantization or the fallback type of llama-quantize. Otherwise the quantization that the tensors
    show.
    """
    types = _matrix_types(model.tensors)
    name = _stated_quantization(model)
    base = _BASES.get(name, name)
    if name and (base in types or _TABLE.fallbacks.get(base) in types):
        return name
    return _name_by_types(types)


def _stated_quantization(model: GgufModel) -> str:
    """The quantization that `general.file_type` states; empty for an unknown one."""
    stated = model.values.get("general.file_type")
    if type(stated) is not int:
        return ""
    return _TABLE.file_types.get(str(stated & ~_GUESSED), "")


def _matrix_types(tensors: Iterable[Tensor]) -> list[str]:
    """The types of the matrices, the type with the most elements first; F32 without a matrix."""
    elements: Counter[str] = Counter()
    for tensor in tensors:
        if len(tensor.shape) > 1:
            elements[tensor.type] += prod(tensor.shape)
    return [type for type, _ in elements.most_common()] or ["F32"]


def _name_by_types(types: Sequence[str]) -> str:
    """The quantization whose files usually have these types."""
    usual = types[0]
    if usual in ("Q3_K", "Q4_K", "Q5_K"):
        kinds = [type for type in types if type.endswith("_K")]
        return f"{usual}_M" if len(kinds) > 1 else f"{usual}_S"
    if usual not in QUANTIZATIONS["gguf"]:
        for name, base in _BASES.items():
            if base == usual:
                return name
    return usual


class _Layers(Record):
    """The layers that a header tells.

    `architecture` is None where they are not known. `differing` are the tensors that differ from
    those which the row of the architecture gives.
    """

    architecture: Architecture | None
    differing: tuple[TensorPlace, ...] = ()


def _layers(model: GgufModel) -> _Layers:
    """The layers of the model. Where the file does not tell them, the reason is added to
    `model.unknown`, and to `model.refused` where llama.cpp refuses the file. Raises `Malformed`.
    """
    try:
        architecture = architecture_of(model)
        return _Layers(
            architecture=architecture, differing=_differing_tensors(model, architecture)
        )
    except Unclear as raised:
        why = model.all_faults(raised)
        if isinstance(why, Malformed):
            raise why from None
        model.unknown["architecture"] = str(why)
        if why.refused:
            model.refused = f"llama.cpp refuses this file: {why}."
        return _Layers(architecture=None)


def _differing_tensors(
    model: GgufModel,
    architecture: Architecture,
) -> tuple[TensorPlace, ...]:
    """The tensors that the file or the row of its architecture lacks, and those whose shapes differ
    in the two.

    Only some tensors may differ: optional ones, those of multi-token-prediction blocks, and those
    of a layer where one tensor stands for several. Raises `Unclear` for any other difference,
    because the file is then of another architecture.
    """
    if row_of(architecture) is UNKNOWN_ROW:
        raise Unclear(f"its layers lack a part that every {model.name} model has")
    expected = _expected_shapes(architecture)
    actual = _compared_shapes(
        [(tensor.place, tensor.shape) for tensor in model.tensors]
    )
    # the tensors that only one of the two has, or whose shapes differ
    unlike = expected.items() ^ actual.items()
    differing = sorted({place for place, _ in unlike})
    # layers in which one tensor replaces several of the row: their tensors are not compared
    merged_layers = set()
    for place in differing:
        if place.name in _TABLE.instead and place not in expected:
            merged_layers.add(place.layer)
    optional = re.compile("|".join(_TABLE.optional))
    for place in differing:
        # the row has no blocks of multi-token prediction
        is_predicting = model.layers <= place.layer < model.blocks
        if is_predicting or place.layer in merged_layers:
            continue
        if not optional.search(place.name):
            _refuse_tensor(model, place, actual.get(place), expected.get(place))
    return tuple(differing)


def _refuse_tensor(
    model: GgufModel,
    place: TensorPlace,
    stored: _Shape | None,
    wanted: _Shape | None,
) -> NoReturn:
    """Raise `Unclear` for a tensor whose shape differs from the row's. None: the file lacks the
    tensor, or the row does.
    """
    # llama.cpp refuses tensors that it does not look for too, until a release knows them
    # (src/llama-model-loader.cpp: check_tensor_dims, done_getting_tensors)
    what = f"its tensor {_name_at(place)} is {_shape_words(stored, 'missing')}"
    instead = _shape_words(wanted, "absent (no known llama.cpp loads it)")
    where = f"in {model.name} models it is {instead}"
    raise Unclear(f"{what}, but {where}", refused=wanted is not None)


def _expected_shapes(architecture: Architecture) -> dict[TensorPlace, _Shape]:
    """The shapes of the tensors that the row of an architecture gives."""
    tensors = []
    for group in gguf_tensors(architecture):
        for layer in group.layers or (-1,):
            tensors.append((TensorPlace(group.name, layer), group.shape))
    return _compared_shapes(tensors)


def _compared_shapes(
    tensors: Iterable[tuple[TensorPlace, _Shape]],
) -> dict[TensorPlace, _Shape]:
    """The shapes of tensors by their places, as they are compared: without tables of RoPE, of two
    names for one tensor the row's, and without dimensions of 1; of a norm the number of all its
    elements.
    """
    shapes = {}
    for place, shape in tensors:
        if place.name.startswith(_ROTATIONS):
            continue
        name = place.name.removesuffix(".weight")
        name = _TABLE.two_names.get(name, name)
        plain: _Shape = (prod(shape),)
        if not name.endswith("norm"):
            plain = tuple([size for size in shape if size != 1])
        shapes[TensorPlace(name, place.layer)] = plain
    return shapes


def _spec(
    model: GgufModel,
    files: PublishedFiles,
    layers: _Layers,
) -> ModelSpec:
    """The spec of the model in these files. Raises `Malformed`."""
    terms = license_of(
        clean(model.values.get("general.license")),
        clean(model.values.get("general.license.link")),
        model.unknown,
    )
    header = f"header of {shown(model.path)}"
    modality = "text"
    if model.is_image_model:
        modality = "image"
    elif model.row.embeds or model.values.get(f"{model.name}.pooling_type"):
        modality = "embedding"
    return spec_of(
        model.path,
        clean(model.values.get("general.name")),
        modality=modality,
        license=terms,
        parameters=_parameters(model, layers),
        architecture=layers.architecture,
        files=(files,),
        safety=Safety(formats=("gguf",), remote_code=False),
        sources={
            "architecture": header,
            "parameters": f"tensor table, {header}",
            "license": header,
            "safety": "a GGUF file holds no code",
        },
        unknown=model.unknown,
        tensors=_loaded_tensors(model),
        refused=model.refused,
        tokenizer=True,
    )


def _loaded_tensors(model: GgufModel) -> tuple[FileTensors, ...]:
    """The tensors that llama.cpp loads, with equal tensors counted as one; () where the type of a
    tensor is not known.
    """
    alike: Counter[FileTensors] = Counter()
    for tensor in model.tensors:
        if not tensor.bytes or tensor.type not in BLOCKS:
            return ()
        name, layer = tensor.place
        one = FileTensors(
            name=clean(name),
            shape=tensor.shape,
            type=tensor.type,
            count=1,
            bytes=tensor.bytes,
            extra=layer >= model.layers,
        )
        alike[one] += 1
    loaded = []
    for one, count in alike.items():
        loaded.append(one.replace(count=count, bytes=count * one.bytes))
    return tuple(loaded)


def _parameters(model: GgufModel, layers: _Layers) -> Parameters:
    """The numbers of parameters: the total, those that a token uses, and those of
    multi-token-prediction blocks, which are not in the total. Raises `Malformed`.

    They are counted in the file, without the tables of RoPE, which are no weights. Where the row of
    the architecture gives the same tensors, the row's count is the total. Only the row tells how
    many of the experts' parameters are not active.
    """
    total = 0
    predicting = 0
    for tensor in model.tensors:
        elements = prod(tensor.shape)
        if tensor.place.layer >= model.layers:
            predicting += elements
        elif not tensor.name.startswith(_ROTATIONS):
            total += elements
    has_experts = any("exps." in tensor.name for tensor in model.tensors)
    active = None if has_experts else total
    if layers.architecture is not None:
        counts = parameter_counts(layers.architecture)
        if not layers.differing:
            total = counts.total
        active = total - (counts.total - counts.active)
    if total + predicting > MAX_PARAMETERS:
        raise Malformed(f"{total + predicting:.1e} parameters")
    return Parameters(
        total=total or None, active=active or None, mtp=predicting or None
    )


def _notes(
    model: GgufModel,
    quantization: str,
    layers: _Layers,
) -> Notes:
    """The sentences about a quantization in the header that the tensors contradict, about a
    tokenizer that llama.cpp does not know, and about tensors that differ from the row's.
    """
    notes = []
    stated = model.values.get("general.file_type")
    name = _stated_quantization(model)
    if stated is not None and name != quantization:
        said = f"general.file_type is {name or repr(stated)[:40]}"
        types = listed(_matrix_types(model.tensors), 3)
        notes.append(f"{said}, but its tensors are {types}; judged as {quantization}")
    tokenizer = model.values.get("tokenizer.ggml.model")
    if isinstance(tokenizer, str) and tokenizer not in _TABLE.tokenizers:
        notes.append(reason("tokenizer", name=clean(tokenizer)))
    if layers.differing:
        tensors = listed(map(_name_at, layers.differing), 3)
        notes.append(reason("other-tensors", name=model.name, tensors=tensors))
    return tuple(notes)


def _name_at(place: TensorPlace) -> str:
    return clean(place.name.replace("*", str(place.layer)))


def _shape_words(shape: _Shape | None, absent: str) -> str:
    if shape is None:
        return absent
    return " × ".join(f"{length:,}" for length in shape)
