"""Which files of a model can be had.

A file is published in a repository, it comes under a tag of a program's own library, a converter
makes it of the published weights, or it lies on this machine already. The functions take the spec
of the model, the program and the workload whose format and quantization are filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import id_of
from ..catalogue.runtime import LIBRARY_RUNTIME, RuntimeSpec
from ..catalogue.runtime_parts import Conversion
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..catalogue.spec_values import GENERATING
from ..core.workload import Workload
from ..machine.record import FILES_BY_PATH, LM_STUDIO, Machine, PresentModel
from ..needs.case import stored_type
from ..needs.file_formats import FOUR_BITS, SMALLEST_DEFAULT
from ..needs.quantization import GGUF_QUANTIZATIONS
from ..needs.records import Needs, Term
from .record import USUAL_STORE, Here

# Two conversions to one quantization differ by some per cent at most (importance matrix, token
# table, header): what is further off is another model. Where nothing says that a file is whole, it
# must be as large as the need, but for the header.
_SAME_MODEL_SHARE = 0.12
_SAME_SIZE_SHARE = 0.005


# ------------------------------------------------------------------ published and made files


def states_needs_alone(spec: ModelSpec) -> bool:
    """Whether the spec says what the model takes, and names no files."""
    names_files = spec.architecture is not None or spec.files or spec.components
    return spec.needs is not None and not names_files


def listing_of(spec: ModelSpec, workload: Workload) -> PublishedFiles | None:
    """The published files of that type, whatever their publisher calls it; None without any."""
    listed = spec.files_of(workload.format, workload.quantization)
    if listed is not None:
        return listed
    stated = need.published(spec, workload.format, workload.quantization)
    return None if stated is None else stated[1]


def is_published(spec: ModelSpec, workload: Workload) -> bool:
    """Whether a repository is known that has the file, or the file's own name was typed."""
    listing = listing_of(spec, workload)
    return listing is not None and (listing.named or listing.repository is not None)


def loads_by_tag(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> bool:
    """Whether the program's own library has the file under a tag of the model, without a login."""
    tag = spec.library_tag
    if tag is None or workload.format != "gguf" or workload.task != "generate":
        return False
    if (
        spec.modality not in runtime.modalities
        or "{tag}" not in runtime.command_lines.default
    ):
        return False
    _, usual = need.default_format_and_quantization(spec, runtime)
    return runtime.library_tags.quantizations.get(tag, usual) == workload.quantization


def can_be_made(
    spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload
) -> bool:
    """Whether the program's converter makes that file of the publisher's weights."""
    conversion = None if runtime is None else runtime.conversion
    if conversion is None or workload.format != conversion.format:
        return False
    if not (spec.repository or spec.lone_config):
        return False
    if not (conversion.takes_quantized or _is_stored_in_sixteen_bits(spec)):
        return False
    quantization = workload.quantization or ""
    if quantization in conversion.types:
        return True
    is_narrow = stored_type(spec.architecture).startswith("mxfp4")
    return quantization in conversion.quantizations and not is_narrow


def _is_stored_in_sixteen_bits(spec: ModelSpec) -> bool:
    stored = spec.architecture
    if stored is None or stored.dtype is None or spec.quantized:
        return False
    return need.from_sixteen_bits(stored)


def can_quantize(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> bool:
    """Whether the program has the weights in that quantization.

    False where the program would have to quantize weights that are narrow already.
    """
    rule = runtime.rule_of(quantization)
    if rule is None or not rule.at_load:
        return True
    # the size of components says whether they are quantized
    return bool(spec.components) or need.from_sixteen_bits(spec.architecture)


def bytes_to_make(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    catalogue: Catalogue,
) -> int:
    """What lies on the disk beside a file while it is made; 0 where somebody has the file."""
    if workload.task != "generate" or is_published(spec, workload):
        return 0
    if loads_by_tag(spec, catalogue.runtime(LIBRARY_RUNTIME), workload):
        return 0
    if (
        runtime is None
        or runtime.conversion is None
        or not can_be_made(spec, runtime, workload)
    ):
        return 0
    making_bytes = 0
    for format, type in _files_on_the_way(spec, runtime.conversion, workload):
        size = need.weights_files(spec, format, type)
        # a file of unknown size is one all the same
        making_bytes += max(1, size.bytes) if isinstance(size, Term) else 1
    return making_bytes


def _files_on_the_way(
    spec: ModelSpec, conversion: Conversion, workload: Workload
) -> Iterator[tuple[str, str]]:
    """Format and type of each file of which another is made."""
    yield "safetensors", stored_type(spec.architecture)
    if workload.quantization not in conversion.types:
        yield conversion.format, conversion.through


def types_in_turn(
    spec: ModelSpec, runtime: RuntimeSpec, format: str, usual: str
) -> tuple[str, ...]:
    """The GGUF types that are tried in turn where none is asked for.

    Of a model whose usual type nobody publishes, the nearest published ones come first. The last is
    `FOUR_BITS`, where its file can be had.
    """
    # vectors are compared with those that others made in the usual type
    is_any_right = spec.modality in GENERATING or (spec.uses or ())[:1] == (
        "reranking",
    )
    if format != "gguf" or usual not in GGUF_QUANTIZATIONS or not is_any_right:
        return (usual,)
    last: tuple[str, ...] = (usual,)
    if usual == SMALLEST_DEFAULT and _has_four_bits(spec, runtime):
        last = (usual, FOUR_BITS)
    fetched = set[str]()
    for files in spec.files:
        if files.format != format:
            continue
        for quantization in files.quantizations:
            name = quantization.upper()
            if name.endswith(usual):
                # a publisher's own mix is named after the type that it weighs as much as
                return last
            if files.repository:
                fetched.add(name)
    usual_place = GGUF_QUANTIZATIONS.index(usual)
    last_place = GGUF_QUANTIZATIONS.index(SMALLEST_DEFAULT)
    better = [name for name in GGUF_QUANTIZATIONS[:usual_place] if name in fetched]
    worse = [
        name
        for name in GGUF_QUANTIZATIONS[usual_place : last_place + 1]
        if name in fetched
    ]
    return (*better[-1:], *worse, *last)


def _has_four_bits(spec: ModelSpec, runtime: RuntimeSpec) -> bool:
    four_bits = Workload(format="gguf", quantization=FOUR_BITS)
    return is_published(spec, four_bits) or can_be_made(spec, runtime, four_bits)


def who_else_has_the_files(
    spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload
) -> str | None:
    """Who has the files beside the publisher with a gate; None where nobody is known to."""
    parts = None if runtime is None else runtime.parts.get(spec.id)
    if parts is not None:
        return parts.files[0].repository
    repository = spec.repository_of(workload.format, workload.quantization) or ""
    owner = repository.split("/")[0]
    if repository and owner != (spec.repository or "").split("/")[0]:
        return repository
    if runtime is not None and loads_by_tag(spec, runtime, workload):
        return f"{runtime.name}'s library"
    named = spec.files_of(workload.format, workload.quantization)
    if named is None or not named.named:
        return None
    file = named.names.get(workload.quantization or "")
    return "Ollama's library" if file is None else f"whoever publishes {file}"


# ------------------------------------------------------------------ files on this machine


def local_copy(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    needs: Needs,
    machine: Machine,
    catalogue: Catalogue,
) -> Here | None:
    """The files of that type that lie where the program finds them; of several the most complete.

    `needs` are those of the model alone. None where no files of the model are known to be here.
    """
    present = machine.models_present or ()
    stores = _stores_of(USUAL_STORE if runtime is None else runtime.store, machine)
    # what turns pictures or sound into tokens, by repository
    projectors = {
        model.repository: model.path
        for model in present
        if "mmproj" in (model.file or "").lower() and model.complete is not False
    }
    copies = list[Here]()
    for model in present:
        if model.store not in stores or not _has_type(model, workload):
            continue
        projector = projectors.get(model.repository)
        missing_bytes = _missing_bytes(
            model, workload, needs, has_projector=bool(projector)
        )
        if missing_bytes is None or not _is_model(
            model, spec, runtime, workload, catalogue
        ):
            continue
        copy = Here(
            path=model.path,
            size_bytes=model.size_bytes,
            missing_bytes=missing_bytes,
            store=model.store,
            repository=model.repository,
            tag=model.tag,
            by_path=model.store == LM_STUDIO,
            projector=projector if spec.modality == "vision" else None,
        )
        copies.append(copy)
    return min(copies, key=lambda copy: copy.missing_bytes or 0, default=None)


def _stores_of(store: str, machine: Machine) -> set[str]:
    """The stores in which a program looks: its own, those by path, those of the same folder."""
    stores = {store, *FILES_BY_PATH.get(store, ())}
    own = machine.disk_for(store)
    for disk in machine.disks or ():
        if own is not None and disk.path == own.path:
            stores.add(disk.purpose)
    return stores


def _has_type(model: PresentModel, workload: Workload) -> bool:
    """Whether what lies there has the format and the quantization of the workload."""
    is_folder = model.file is None and model.tag is None
    if workload.format not in ("gguf", "ggml"):
        return is_folder
    stated = _canonical(model.quantization)
    return (
        not is_folder and stated != "" and stated == _canonical(workload.quantization)
    )


def _canonical(quantization: str | None) -> str:
    name = quantization or ""
    return (need.canonical_quantization(name) or name).upper()


def _missing_bytes(
    model: PresentModel, workload: Workload, needs: Needs, *, has_projector: bool
) -> int | None:
    """What is still to be downloaded; None for another model, or where nothing says how much."""
    whole_bytes = needs.download_bytes
    if model.complete is False:
        return (
            max(0, (model.total_bytes or whole_bytes or 0) - model.size_bytes) or None
        )
    if whole_bytes is None:
        return 0 if model.complete else None
    if workload.format == "ggml":
        # downloaded under its last name: only the published size tells that it is whole
        return 0 if model.size_bytes == whole_bytes else None
    projector_bytes = 0
    most_bytes = inf
    if workload.format == "gguf":
        most_bytes = whole_bytes * (1 + _SAME_MODEL_SHARE)
        if model.tag is None:
            projector_bytes = _projector_bytes(needs)
    share = _SAME_MODEL_SHARE if model.complete else _SAME_SIZE_SHARE
    least_bytes = (whole_bytes - projector_bytes) * (1 - share)
    if not least_bytes <= model.size_bytes <= most_bytes:
        return None
    return 0 if has_projector else projector_bytes


def _projector_bytes(needs: Needs) -> int:
    return sum(term.bytes for term in needs.terms if term.name == "projector")


def _is_model(
    model: PresentModel,
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    catalogue: Catalogue,
) -> bool:
    """Whether the files are those of the model, by their repository, tag or name."""
    file = model.file or ""
    repository = (model.repository or "").lower()
    if workload.format == "ggml":
        size = file.removeprefix("ggml-").removesuffix(".bin")
        return spec.id.removeprefix("whisper-") == re.sub(r"-q\d_\d$", "", size)
    if workload.format != "gguf":
        return (
            repository != ""
            and repository == _repository_of(spec, runtime, workload).lower()
        )
    if "mmproj" in file.lower():
        return False
    listed = [files.repository for files in spec.files]
    names = {name.lower() for name in (spec.repository, *listed, *spec.aliases) if name}
    if repository in names or (model.tag or "").lower() in names:
        return True
    # names of models begin with their family's: others need no look-up
    family = re.split(r"[^a-z]", spec.id, maxsplit=1)[0]
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", file, flags=re.IGNORECASE)
    name = model.repository or model.tag or stem
    return family in name.lower() and id_of(name, catalogue) == spec.id


def _repository_of(
    spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload
) -> str:
    """Where the program would download the files from; empty where no repository is known."""
    listing = listing_of(spec, workload)
    if listing is not None and listing.repository:
        return listing.repository
    rule = None if runtime is None else runtime.rule_of(workload.quantization)
    is_made_before = rule is not None and not rule.at_load
    if workload.format in ("mlx", "ctranslate2") or is_made_before:
        return ""
    return spec.repository or ""
