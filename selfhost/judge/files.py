"""Which files of a model can be had: those that lie on this machine already, and those that
anybody makes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import id_of
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..catalogue.spec_values import GENERATING
from ..core.workload import Workload
from ..machine.record import FILES_BY_PATH, LM_STUDIO, Machine, PresentModel
from ..needs.case import stored_type
from ..needs.file_formats import FOUR_BITS, SMALLEST_DEFAULT
from ..needs.quantization import GGUF_QUANTIZATIONS
from ..needs.records import Needs, Term
from .record import Here, Question

# Two conversions to one quantization differ by some per cent at most (importance matrix, token
# table, header): what is further off is another model. Where nothing says that a file is whole, it
# must be as large as the need, but for the header.
_SAME_MODEL_SHARE = 0.12
_SAME_SIZE_SHARE = 0.005


def listing_of(spec: ModelSpec, workload: Workload) -> PublishedFiles | None:
    """The published files of that type, whatever their publisher calls it; None where none are."""
    format, quantization = workload.format, workload.quantization
    stated = need.published(spec, format, quantization)
    return spec.files_of(format, quantization) or (stated[1] if stated is not None else None)


def is_published(spec: ModelSpec, workload: Workload) -> bool:
    """Whether a repository is known that has the file, or its own name was typed."""
    listing = listing_of(spec, workload)
    return listing is not None and (listing.named or listing.repository is not None)


def loads_by_tag(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> bool:
    """Whether the program's own library has it under a tag of the model, without a login."""
    tag = spec.library_tag
    if tag is None or workload.format != "gguf" or workload.task != "generate":
        return False
    if spec.modality not in runtime.modalities or "{tag}" not in runtime.command:
        return False
    default = need.default_format_and_quantization(spec, runtime)[1]
    return runtime.tags.get(tag, default) == workload.quantization


def states_needs_alone(spec: ModelSpec) -> bool:
    """The spec says what the model takes, and names no files."""
    names_files = spec.architecture is not None or spec.files or spec.components
    return spec.needs is not None and not names_files


def types_in_turn(
    spec: ModelSpec, runtime: RuntimeSpec, format: str, usual: str
) -> tuple[str, ...]:
    """The GGUF types that are tried in turn where none is asked for: of a model whose usual type
    nobody publishes the nearest published ones first; last `FOUR_BITS`, where its file can be had.
    """
    # vectors are compared with those that others made in the usual type
    is_any_right = spec.modality in GENERATING or (spec.uses or ())[:1] == ("reranking",)
    if format != "gguf" or usual not in GGUF_QUANTIZATIONS or not is_any_right:
        return (usual,)
    smaller = Workload(format=format, quantization=FOUR_BITS)
    is_had = is_published(spec, smaller) or can_be_made(spec, runtime, smaller)
    last = (usual, FOUR_BITS) if usual == SMALLEST_DEFAULT and is_had else (usual,)
    files = [each for each in spec.files if each.format == format]
    if any(name.upper().endswith(usual) for each in files for name in each.quantizations):
        # a publisher's own mix is named after the type that it weighs as much as
        return last
    return (*_published_near(files, usual), *last)


def _published_near(files: Sequence[PublishedFiles], usual: str) -> tuple[str, ...]:
    fetched = {name.upper() for each in files if each.repository for name in each.quantizations}
    place, end = map(GGUF_QUANTIZATIONS.index, (usual, SMALLEST_DEFAULT))
    better = [name for name in GGUF_QUANTIZATIONS[:place] if name in fetched]
    worse = [name for name in GGUF_QUANTIZATIONS[place : end + 1] if name in fetched]
    return (*better[-1:], *worse)


def can_be_made(spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload) -> bool:
    """Whether the runtime's converter makes that file of the publisher's weights."""
    conversion, stored = runtime.conversion if runtime is not None else None, spec.architecture
    quantization = workload.quantization or ""
    if conversion is None or workload.format != conversion.format:
        return False
    is_stated = stored is not None and stored.dtype is not None and not spec.quantized
    is_in_sixteen_bits = is_stated and need.from_sixteen_bits(stored)
    is_taken = conversion.takes_quantized or is_in_sixteen_bits
    if not is_taken or not (spec.repository or spec.lone_config):
        return False
    if quantization in conversion.types:
        return True
    return quantization in conversion.quantizations and not need.trained_in_mxfp4(spec)


def can_quantize(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> bool:
    """False where the runtime would have to quantize weights that are narrow already."""
    rule = runtime.rule_of(quantization)
    # the size of components says whether they are quantized
    is_as_stored = rule is None or not rule.at_load or bool(spec.components)
    return is_as_stored or need.from_sixteen_bits(spec.architecture)


def bytes_to_make(question: Question, catalogue: Catalogue) -> int:
    """What lies on the disk beside a file while it is made; 0 where somebody has the file."""
    spec, workload, runtime = question.spec, question.workload, question.runtime
    if workload.task != "generate" or not can_be_made(spec, runtime, workload):
        return 0
    if is_published(spec, workload) or loads_by_tag(spec, catalogue.runtime("ollama"), workload):
        return 0
    kinds = [("safetensors", stored_type(spec.architecture))]
    conversion = runtime.conversion if runtime is not None else None
    if conversion is not None and workload.quantization not in conversion.types:
        kinds.append((conversion.format, conversion.through))
    sizes = [need.weights_bytes(spec, *kind) for kind in kinds]
    return sum(max(1, size.bytes) if isinstance(size, Term) else 1 for size in sizes)


def local_copy(
    question: Question, needs: Needs, machine: Machine, catalogue: Catalogue
) -> Here | None:
    """The whole files of the question's type that lie where its runtime finds them."""
    place, present, copies = machine.disk_for(question.store), machine.models_present or (), []
    path = None if place is None else place.path
    beside = [disk.purpose for disk in machine.disks or () if disk.path == path]
    stores = question.store, *FILES_BY_PATH.get(question.store, ()), *beside
    # what turns pictures or sound into tokens, by repository
    projectors = {
        model.repository: model.path
        for model in present
        if "mmproj" in (model.file or "").lower() and model.complete is not False
    }
    for model in present:
        if model.store not in stores or not _has_format(model, question.workload):
            continue
        projector = projectors.get(model.repository)
        missing = _missing_bytes(model, question.workload, needs, has_projector=bool(projector))
        if missing is not None and _is_model(model, question, catalogue):
            copy = Here(
                path=model.path,
                size_bytes=model.size_bytes,
                missing_bytes=missing,
                store=model.store,
                repository=model.repository,
                tag=model.tag,
                by_path=model.store == LM_STUDIO,
                projector=projector if question.spec.modality == "vision" else None,
            )
            copies.append(copy)
    return min(copies, key=lambda copy: copy.missing_bytes or 0, default=None)


def _has_format(model: PresentModel, workload: Workload) -> bool:
    is_folder = model.file is None and model.tag is None
    if workload.format not in ("gguf", "ggml"):
        return is_folder
    stated, wanted = (
        (need.canonical_quantization(name or "") or name or "").upper()
        for name in (model.quantization, workload.quantization)
    )
    return not is_folder and bool(stated) and stated == wanted


def _missing_bytes(
    model: PresentModel, workload: Workload, needs: Needs, *, has_projector: bool
) -> int | None:
    """None where it is another model, or nothing says how much is missing."""
    wanted, size, is_gguf = needs.download_bytes, model.size_bytes, workload.format == "gguf"
    if model.complete is False:
        return max(0, (model.total_bytes or wanted or 0) - size) or None
    if wanted is None:
        return 0 if model.complete else None
    if workload.format == "ggml":
        # downloaded under its last name: only the published size tells that it is whole
        return 0 if size == wanted else None
    projector_bytes = 0
    if is_gguf and model.tag is None:
        projector_bytes = sum(term.bytes for term in needs.terms if term.name == "projector")
    share = _SAME_MODEL_SHARE if model.complete else _SAME_SIZE_SHARE
    most_bytes = wanted * (1 + _SAME_MODEL_SHARE) if is_gguf else inf
    if not (wanted - projector_bytes) * (1 - share) <= size <= most_bytes:
        return None
    return projector_bytes * (not has_projector)


def _is_model(model: PresentModel, question: Question, catalogue: Catalogue) -> bool:
    spec, format, file = question.spec, question.workload.format, model.file or ""
    repository, tag = (model.repository or "").lower(), (model.tag or "").lower()
    if format == "ggml":
        size = file.removeprefix("ggml-").removesuffix(".bin")
        return spec.id.removeprefix("whisper-") == re.sub(r"-q\d_\d$", "", size)
    if format != "gguf":
        return bool(repository) and repository == _repository_of(question).lower()
    if "mmproj" in file.lower():
        return False
    repositories = (spec.repository, *(files.repository for files in spec.files))
    if {repository, tag} & {name.lower() for name in (*repositories, *spec.aliases) if name}:
        return True
    # names of models begin with their family's: others need no look-up
    family = re.split(r"[^a-z]", spec.id, maxsplit=1)[0]
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", file, flags=re.IGNORECASE)
    name = model.repository or model.tag or stem
    return family in name.lower() and id_of(name, catalogue) == spec.id


def _repository_of(question: Question) -> str:
    """Where the runtime would download the files from; empty where none are known."""
    runtime, workload = question.runtime, question.workload
    listing = listing_of(question.spec, workload)
    if listing is not None and listing.repository:
        return listing.repository
    rule = None if runtime is None else runtime.rule_of(workload.quantization)
    is_made = workload.format in ("mlx", "ctranslate2") or (rule and not rule.at_load)
    return "" if is_made else question.spec.repository or ""
