"""Which files of a model can be had: those that lie on this machine already, and those that
anybody makes.
"""

from __future__ import annotations

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import id_of
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..catalogue.spec_values import GENERATING
from ..core.records import Record, Unread
from ..core.workload import Workload
from ..machine.record import FILES_BY_PATH, LM_STUDIO, Machine, PresentModel
from ..needs import canonical_quantization, published
from ..needs.file_formats import SMALLEST_DEFAULT
from ..needs.quantization import GGUF_QUANTIZATIONS
from ..needs.records import How, Making, Needs

# of a weight in the file that is quantized
_SIXTEEN_BITS = 16
# a guess for weights of no stated type: 16 bits are usual, FP8 has half, old models have float32
_BITS_OF_NO_STATED_TYPE = (8, 16, 32)


def can_be_made(spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload) -> bool:
    """Whether the runtime's converter makes that file of the publisher's weights, wherever those
    of a lone config.json are.
    """
    conversion = runtime.conversion if runtime is not None else None
    quantization = workload.quantization or ""
    if conversion is None or workload.format != conversion.format:
        return False
    if not (spec.repository or spec.lone_config):
        return False
    if not conversion.takes_quantized and not _is_in_sixteen_bits(spec):
        return False
    if quantization in conversion.types:
        return True
    return quantization in conversion.quantizations and not need.trained_in_mxfp4(spec)


def _is_in_sixteen_bits(spec: ModelSpec) -> bool:
    """Whether the published weights are known to be of 16 bits or more, all of them."""
    stored = spec.architecture
    if stored is None or stored.dtype is None or spec.quantized is not None:
        return False
    return stored.matrix_dtype is None and stored.expert_dtype is None


def making_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    needs: Needs,
    catalogue: Catalogue,
) -> Making | None:
    """What the conversion takes where it is the only way to the file that is known; None where a
    repository or Ollama's library has it, where it cannot be made, or where a size is not known.
    """
    total, size = spec.parameters.total, needs.disk_bytes
    if workload.task != "generate" or not can_be_made(spec, runtime, workload):
        return None
    if runtime is None or runtime.conversion is None or total is None or size is None:
        return None
    if is_published(spec, workload) or loads_by_tag(spec, catalogue.runtime("ollama"), workload):
        return None
    weights_bytes, ends = _published_bytes(spec, total, catalogue)
    between_bytes = 0
    if workload.quantization not in runtime.conversion.types:
        between_bytes = total * _SIXTEEN_BITS // 8
    file_bytes = max((size, *(needs.download_range or ())))
    return Making(
        download_bytes=weights_bytes,
        disk_bytes=weights_bytes + between_bytes + file_bytes,
        download_range=ends,
    )


def is_published(spec: ModelSpec, workload: Workload) -> bool:
    """Whether a repository is known that has the file, or its own name was typed."""
    format, quantization = workload.format or "", workload.quantization or ""
    files, stated = spec.files_of(format, quantization), need.published(spec, format, quantization)
    listing = files or (stated[1] if stated is not None else None)
    named = typed_file(spec, format, quantization)
    return named is not None or (listing is not None and listing.repository is not None)


def has_files(spec: ModelSpec, format: str) -> bool:
    """Whether files of the model in that format are known, in any type, or Ollama's library has
    some.
    """
    is_in_library = format == "gguf" and spec.library_tag is not None
    return is_in_library or any(files.format == format for files in spec.files)


def states_needs_alone(spec: ModelSpec) -> bool:
    """The spec says what the model takes, and names no files."""
    names_files = spec.architecture is not None or spec.files or spec.components
    return spec.needs is not None and not names_files


def types_in_turn(spec: ModelSpec, format: str, usual: str) -> tuple[str, ...]:
    """The GGUF types that are tried one after the other where none is asked for: of the published
    ones the nearest that is no worse than the usual one, then worse ones down to the smallest
    default, then the usual one. () where the usual one is published, or none of these is: it is
    taken on every machine.
    """
    # vectors are compared with those that others made in the usual type
    is_any_right = spec.modality in GENERATING or (spec.uses or ())[:1] == ("reranking",)
    if format != "gguf" or usual not in GGUF_QUANTIZATIONS or not is_any_right:
        return ()
    files = [each for each in spec.files if each.format == format]
    if any(name.upper().endswith(usual) for each in files for name in each.quantizations):
        # a publisher's own mix is named after the type that it weighs as much as
        return ()
    fetched = {name.upper() for each in files if each.repository for name in each.quantizations}
    place, last = map(GGUF_QUANTIZATIONS.index, (usual, SMALLEST_DEFAULT))
    better, worse = (
        [name for name in types if name in fetched]
        for types in (GGUF_QUANTIZATIONS[:place], GGUF_QUANTIZATIONS[place : last + 1])
    )
    published = (*better[-1:], *worse)
    return (*published, usual) if published else ()


def typed_file(spec: ModelSpec, format: str, quantization: str) -> PublishedFiles | None:
    """The published file of that quantization whose name was typed; None where none was."""
    alike = (each for each in spec.files if each.named and each.format == format)
    return next((each for each in alike if quantization in each.quantizations), None)


def loads_by_tag(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> bool:
    """Whether the program's own library has what is asked under a tag of the model: it is fetched
    without a login.
    """
    tag = spec.library_tag
    if tag is None or workload.format != "gguf" or workload.task != "generate":
        return False
    if spec.modality not in runtime.modalities or "{tag}" not in runtime.command:
        return False
    default = need.default_format_and_quantization(spec, runtime)[1]
    return runtime.tags.get(tag, default) == workload.quantization


def _published_bytes(
    spec: ModelSpec, total: int, catalogue: Catalogue
) -> tuple[int, tuple[int, int] | None]:
    """The weights as the publisher has them, with the least and the most that they can be where
    their type is not known; None where it is.
    """
    from ..needs.parts import name_of

    weights = need.weights_bytes(
        spec, "safetensors", name_of(spec.architecture), catalogue.common("architectures")
    )
    if not isinstance(weights, Unread):
        is_guess = weights.how is How.ASSUMED
        return weights.bytes, (weights.low_bytes, weights.high_bytes) if is_guess else None
    least, usual, most = (total * bits // 8 for bits in _BITS_OF_NO_STATED_TYPE)
    return usual, (least, most)


def makes(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> bool:
    """False where the runtime would have to quantize weights that are narrow already."""
    rule = runtime.rule_of(quantization)
    if rule is None or not rule.at_load or spec.components:
        # of components the size itself says whether they are quantized
        return True
    return need.from_sixteen_bits(spec.architecture)


# Two conversions to one quantization differ by some per cent at most (importance matrix, token
# table, header): what is further off is another model. Where nothing says that a file is whole, it
# must be as large as the need, but for the header.
SAME_MODEL_SHARE = 0.12
SAME_SIZE_SHARE = 0.005


class Here(Record):
    """What of the files asked for is on the machine: `size_bytes` of them at `path`.

    `missing_bytes` are still to be downloaded (None: not known). `by_path`: the runtime does not
    find it by itself, nor the `projector` beside it, the path of the file for pictures or sound.
    `missing_files` are named where they are known.
    """

    path: str
    size_bytes: int
    missing_bytes: int | None
    store: str | None = None
    repository: str | None = None
    tag: str | None = None
    by_path: bool = False
    projector: str | None = None
    missing_files: tuple[str, ...] = ()


class NamedFiles(Record):
    """What is known of model files that were named. `are_here`: they are on this machine, in
    `formats`; `part` is what there is of those that are here in part.
    """

    are_here: bool = False
    formats: tuple[str, ...] = ()
    part: Here | None = None


NO_FILES = NamedFiles()


class _Wanted(Record):
    """The files that are looked for: of that model, for that program, in the format and the
    quantization of the workload.
    """

    spec: ModelSpec
    runtime: RuntimeSpec
    workload: Workload
    machine: Machine
    catalogue: Catalogue

    def reaches(self, model: PresentModel) -> bool:
        """Whether it lies where the runtime would look, or may be named to it by its path."""
        store = self.runtime.store
        if model.store in (store, *FILES_BY_PATH.get(store, ())):
            return True
        # llama.cpp shares Hugging Face's cache unless LLAMA_CACHE says otherwise
        place, other = self.machine.disk_for(store), self.machine.disk_for(model.store or "")
        return place is not None and other is not None and place.path == other.path

    def has_format(self, model: PresentModel) -> bool:
        """Whether it is of the format and, where its name states one, of the quantization."""
        is_folder = model.file is None and model.tag is None
        if self.workload.format not in ("gguf", "ggml"):
            return is_folder
        stated, wanted = _plain(model.quantization), _plain(self.workload.quantization)
        return not is_folder and stated is not None and stated == wanted

    def is_model(self, model: PresentModel) -> bool:
        """Whether it is that model, by the names that the catalogue knows."""
        if self.workload.format == "gguf":
            return _is_named_alike(model, self.spec, self.catalogue)
        if self.workload.format == "ggml":
            import re

            size = (model.file or "").removeprefix("ggml-").removesuffix(".bin")
            return self.spec.id.removeprefix("whisper-") == re.sub(r"-q\d_\d$", "", size)
        repository = _repository_of(self.spec, self.runtime, self.workload)
        return bool(model.repository) and (model.repository or "").lower() == repository.lower()

    def missing_bytes(self, model: PresentModel, needs: Needs) -> int | None:
        """Bytes still to be downloaded; None where it is another model, or nothing says how much
        is missing.
        """
        wanted, size = needs.download_bytes, model.size_bytes
        if model.complete is False:
            total = model.total_bytes or wanted
            return None if total is None or total <= size else total - size
        if wanted is None:
            return 0 if model.complete else None
        if self.workload.format == "ggml":
            # downloaded under its last name: only the published size tells that it is whole
            return 0 if needs.download_how is How.STATED and size == wanted else None
        is_gguf = self.workload.format == "gguf"
        projector = _projector_bytes(needs) if is_gguf and model.tag is None else 0
        if not self._is_as_large(model, wanted, wanted - projector):
            return None
        return projector if projector and _projector(model, self.machine) is None else 0

    def _is_as_large(self, model: PresentModel, most_bytes: int, weights_bytes: int) -> bool:
        """Whether files may be these weights by their size alone."""
        size, share = model.size_bytes, SAME_MODEL_SHARE if model.complete else SAME_SIZE_SHARE
        is_gguf = self.workload.format == "gguf"
        is_larger = is_gguf and size > most_bytes * (1 + SAME_MODEL_SHARE)
        return size >= weights_bytes * (1 - share) and not is_larger


def here(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    needs: Needs,
    machine: Machine,
    catalogue: Catalogue,
) -> Here | None:
    """The files of that format and quantization, as far as they lie where that runtime finds them;
    None where none does.

    What is not known to be whole is never taken for it, so the most that is claimed to be here is
    what was read.
    """
    wanted = _Wanted(
        spec=spec, runtime=runtime, workload=workload, machine=machine, catalogue=catalogue
    )
    copies = []
    for model in machine.models_present or ():
        if not wanted.reaches(model) or not wanted.has_format(model):
            continue
        missing = wanted.missing_bytes(model, needs)
        if missing is not None and wanted.is_model(model):
            copy = Here(
                path=model.path,
                size_bytes=model.size_bytes,
                missing_bytes=missing,
                store=model.store,
                repository=model.repository,
                tag=model.tag,
                by_path=model.store == LM_STUDIO,
                projector=_projector(model, machine) if spec.modality == "vision" else None,
            )
            copies.append(copy)
    return min(copies, key=lambda copy: copy.missing_bytes or 0, default=None)


def unseen(machine: Machine, purpose: str) -> Unread | None:
    """Why models that lie where that runtime looks may have been missed; None where all were
    looked at.
    """
    place = machine.disk_for(purpose)
    same = {disk.purpose for disk in machine.disks or () if place and disk.path == place.path}
    stores = same | {purpose, *FILES_BY_PATH.get(purpose, ())}
    facts = {"models_present", *(f"models_present.{store}" for store in stores)}
    return next((entry for entry in machine.unread if entry.fact in facts), None)


def _plain(quantization: str | None) -> str | None:
    if quantization is None:
        return None
    return (canonical_quantization(quantization) or quantization).upper()


def _projector_bytes(needs: Needs) -> int:
    terms = needs.memory.terms if needs.memory else ()
    return sum(term.bytes for term in terms if term.name == "projector")


def _projector(model: PresentModel, machine: Machine) -> str | None:
    """The path of the file that turns pictures or sound into tokens, `mmproj…`, beside the
    weights; None where there is none.
    """
    for other in machine.models_present or ():
        is_beside = other.complete is not False and other.repository == model.repository
        if is_beside and "mmproj" in (other.file or "").lower():
            return other.path
    return None


def _is_named_alike(model: PresentModel, spec: ModelSpec, catalogue: Catalogue) -> bool:
    """Whether a GGUF file is of that model: by its repository, its tag or its own name."""
    import re

    file = model.file or ""
    if "mmproj" in file.lower():
        return False
    repositories = (spec.repository, *(files.repository for files in spec.files))
    if model.repository is not None and model.repository.lower() in {
        name.lower() for name in repositories if name
    }:
        return True
    if model.tag is not None and model.tag.lower() in {alias.lower() for alias in spec.aliases}:
        return True
    # names of models begin with their family's: no need to look others up
    family = re.split(r"[^a-z]", spec.id, maxsplit=1)[0]
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", file, flags=re.IGNORECASE)
    name = model.repository or model.tag or stem
    return family in name.lower() and id_of(name, catalogue) == spec.id


def _repository_of(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> str:
    """Where that runtime would download the files from; empty where this catalogue knows of no
    files of that quantization.
    """
    format, quantization = workload.format or "", workload.quantization or ""
    published_files = published(spec, format, quantization)
    listed = published_files[1].repository if published_files else None
    own = spec.repository_of(format, quantization) or listed
    rule = runtime.rule_of(workload.quantization)
    is_elsewhere = format in ("mlx", "ctranslate2") or (rule is not None and not rule.at_load)
    return own or ("" if is_elsewhere else spec.repository or "")
