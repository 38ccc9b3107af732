"""The sources of a model's files.

A file is published in a repository, stands under a tag in a program's own library, is converted
from the published weights, or lies on this machine already. The functions take the spec of the
model, the program, and the workload with format and quantization filled in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import id_of
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import Conversion
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import FILES_BY_PATH, LM_STUDIO, Machine, PresentModel
from ..needs.case import stored_type
from ..needs.file_formats import FOUR_BITS, SMALLEST_DEFAULT
from ..needs.quantization import GGUF_QUANTIZATIONS
from ..needs.records import Needs, Term, likely_bytes
from .programs import USUAL
from .record import DownloadedFiles

# Two conversions to one quantization differ in size by some per cent at most (importance matrix,
# token table, header): a file that differs by more holds another model. Where nothing says that a
# file is complete, it must be as large as the need, except for the header.
_SAME_MODEL_SHARE = 0.12
_SAME_SIZE_SHARE = 0.005


# ------------------------------------------------------------------ published and made files


def listing_of(spec: ModelSpec, workload: Workload) -> PublishedFiles | None:
    """The published files of the workload's type, whatever name their publisher gives the type;
    None where no files are listed.
    """
    listed = spec.files_of(workload.format, workload.quantization)
    if listed is not None:
        return listed
    stated = need.published(spec, workload.format, workload.quantization)
    return None if stated is None else stated[1]


def is_published(spec: ModelSpec, workload: Workload) -> bool:
    """Whether a known repository has the file, or the user typed the file's own name."""
    listing = listing_of(spec, workload)
    if listing is None:
        return False
    if listing.named:
        return True
    return listing.repository is not None


def loads_by_tag(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
) -> bool:
    """Whether the runtime's own library has the file under a tag of the model, without a login."""
    tag = spec.library_tag
    if tag is None:
        return False
    if "{tag}" not in runtime.command_lines.default:
        return False
    if workload.format != "gguf":
        return False
    return need.type_of_tag(spec, runtime, tag) == workload.quantization


def can_be_made(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
) -> bool:
    """Whether the runtime's converter makes the file from the publisher's weights."""
    return _conversion_to(spec, runtime, workload) is not None


def _conversion_to(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
) -> Conversion | None:
    """The conversion by which the runtime's converter makes the file; None where no conversion
    does.
    """
    conversion = runtime.conversion
    if conversion is None:
        return None
    if not _reads_weights_of(spec, conversion):
        return None
    if workload.quantization in conversion.types:
        return conversion
    if stored_type(spec.architecture).startswith("mxfp4"):
        return None
    is_made = workload.quantization in conversion.quantizations
    return conversion if is_made else None


def _reads_weights_of(spec: ModelSpec, conversion: Conversion) -> bool:
    """Whether the converter reads the model's published weights. Some converters read 16-bit
    weights only.
    """
    if not spec.repository and not spec.lone_config:
        return False
    if conversion.takes_quantized:
        return True
    stored = spec.architecture
    if stored is None:
        return False
    if stored.dtype is None:
        return False
    if spec.quantized is not None:
        return False
    return need.is_in_plain_type(stored)


def bytes_to_make(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    catalogue: Catalogue,
) -> int:
    """The bytes that lie on the disk beside a file while it is made; 0 where somebody has the
    file.
    """
    if workload.task != "generate":
        return 0
    if is_published(spec, workload):
        return 0
    if loads_by_tag(spec, catalogue.runtime(USUAL.library), workload):
        return 0
    conversion = _conversion_to(spec, runtime, workload)
    if conversion is None:
        return 0
    # the files from which the wanted file is made
    sources = [("safetensors", stored_type(spec.architecture))]
    if workload.quantization not in conversion.types:
        sources.append((conversion.format, conversion.through))
    making_bytes = 0
    for format, type in sources:
        size = need.weights_files(spec, format, type)
        # a file of unknown size counts as a file
        size_bytes = size.bytes if isinstance(size, Term) else 0
        making_bytes += max(1, size_bytes)
    return making_bytes


def types_in_turn(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    format: str,
    usual: str,
) -> tuple[str, ...]:
    """The GGUF types that are tried in turn where the user asks for none.

    Where nobody publishes the model's usual type, the nearest published types come first. The last
    type is `FOUR_BITS`, where that file can be had.
    """
    if format != "gguf":
        return (usual,)
    if usual not in GGUF_QUANTIZATIONS:
        return (usual,)
    if _makes_compared_vectors(spec):
        return (usual,)
    in_turn = _nearest_published(_types_instead(spec, usual), usual)
    in_turn.append(usual)
    if usual == SMALLEST_DEFAULT and _has_four_bits(spec, runtime):
        in_turn.append(FOUR_BITS)
    return tuple(in_turn)


def _types_instead(spec: ModelSpec, usual: str) -> set[str]:
    """The GGUF types that repositories have; none where somebody publishes the usual one."""
    types = set()
    for files in spec.files:
        if files.format != "gguf":
            continue
        for quantization in files.quantizations:
            name = quantization.upper()
            # a publisher's own mix is named after the standard type of the same size
            if name.endswith(usual):
                return set()
            if files.repository:
                types.add(name)
    return types


def _nearest_published(types: Collection[str], usual: str) -> list[str]:
    """The published types that come nearest to the usual one.

    The first is the smallest published type that is larger than the usual one. The published types
    from the usual one down to the smallest default follow.
    """
    usual_place = GGUF_QUANTIZATIONS.index(usual)
    last_place = GGUF_QUANTIZATIONS.index(SMALLEST_DEFAULT)
    published = []
    for name in reversed(GGUF_QUANTIZATIONS[:usual_place]):
        if name in types:
            published.append(name)
            break
    for name in GGUF_QUANTIZATIONS[usual_place : last_place + 1]:
        if name in types:
            published.append(name)
    return published


def _makes_compared_vectors(spec: ModelSpec) -> bool:
    """Whether the model makes vectors that are compared with vectors of other people, made in the
    usual type.
    """
    if spec.writes_text:
        return False
    return spec.main_use != "reranking"


def _has_four_bits(spec: ModelSpec, runtime: RuntimeSpec) -> bool:
    """Whether a file of `FOUR_BITS` can be downloaded or made."""
    four_bits = Workload(format="gguf", quantization=FOUR_BITS)
    if is_published(spec, four_bits):
        return True
    return can_be_made(spec, runtime, four_bits)


def who_else_has_the_files(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
) -> str | None:
    """The name of whoever has the files besides the gated publisher; None where nobody is known
    to.
    """
    if runtime is not None and spec.id in runtime.parts:
        return runtime.parts[spec.id].files[0].repository
    files = spec.files_of(workload.format, workload.quantization)
    repository = None if files is None else files.repository
    if repository and _owner(repository) != _owner(spec.repository):
        return repository
    if runtime is not None and loads_by_tag(spec, runtime, workload):
        return f"{runtime.name}'s library"
    if files is None or not files.named:
        return None
    file = files.names.get(workload.quantization or "")
    return "Ollama's library" if file is None else f"whoever publishes {file}"


def _owner(repository: str | None) -> str:
    """The account of a repository; empty without one."""
    return "" if repository is None else repository.partition("/")[0]


# ------------------------------------------------------------------ files on this machine


def _stores_of(store: str, machine: Machine) -> set[str]:
    """The stores in which a runtime looks for files: its own store, stores that it reads by path,
    and stores in the same folder.
    """
    stores = {store, *FILES_BY_PATH.get(store, ())}
    disk_of_store = machine.disk_for(store)
    if disk_of_store is None:
        return stores
    for disk in machine.disks or ():
        if disk.path == disk_of_store.path:
            stores.add(disk.purpose)
    return stores


def _projectors_in(present: Sequence[PresentModel]) -> dict[str | None, str]:
    """The paths of the projector files, by repository."""
    paths = {}
    for model in present:
        if _is_projector(model) and model.complete is not False:
            paths[model.repository] = model.path
    return paths


def _is_projector(model: PresentModel) -> bool:
    """Whether the file is a projector, which turns pictures or sound into tokens:
    `mmproj-F16.gguf`.
    """
    if model.file is None:
        return False
    return "mmproj" in model.file.lower()


class WantedFiles(Record):
    """The files of a model that a runtime loads, which are searched for among the files on a
    machine. `needs` are the needs of the model without its companions.
    """

    spec: ModelSpec
    runtime: RuntimeSpec
    workload: Workload
    needs: Needs
    catalogue: Catalogue

    def copy_on(self, machine: Machine) -> DownloadedFiles | None:
        """The downloaded files of the workload's type that the runtime finds on the machine; of
        several copies the most complete. None where no files of the model are known to be there.
        """
        present = machine.models_present
        if not present:
            return None
        stores = _stores_of(self.runtime.store, machine)
        projectors = _projectors_in(present)
        copies = []
        for model in present:
            if model.store in stores:
                copy = self._copy_in(model, projectors.get(model.repository))
                if copy is not None:
                    copies.append(copy)
        return min(copies, key=lambda copy: copy.missing_bytes or 0, default=None)

    def _copy_in(
        self, model: PresentModel, projector: str | None
    ) -> DownloadedFiles | None:
        """The downloaded files that a present model holds; None where that model is another one, or
        of another type.

        `projector` is the path of the projector in the same repository.
        """
        if not self._has_type_of(model):
            return None
        missing_bytes = self._missing_bytes(model, has_projector=bool(projector))
        if missing_bytes is None:
            return None
        if not self._is_model_of(model):
            return None
        return DownloadedFiles(
            path=model.path,
            size_bytes=model.size_bytes,
            missing_bytes=missing_bytes,
            store=model.store,
            repository=model.repository,
            tag=model.tag,
            by_path=model.store == LM_STUDIO,
            projector=projector if self.spec.modality == "vision" else None,
        )

    def _has_type_of(self, model: PresentModel) -> bool:
        """Whether the present model has the format and the quantization of the workload."""
        is_folder = model.file is None and model.tag is None
        if self.workload.format not in ("gguf", "ggml"):
            return is_folder
        if is_folder:
            return False
        return _canonical(model.quantization) == _canonical(self.workload.quantization)

    # -------------------------------------------------------------- what is missing

    def _missing_bytes(self, model: PresentModel, *, has_projector: bool) -> int | None:
        """The bytes that are still to be downloaded.

        None where the present model is another one, or where nothing says how much is missing.
        """
        model_bytes = self.needs.download_bytes
        if model.complete is False:
            return _bytes_to_complete(model, model_bytes)
        if model_bytes is None:
            return 0 if model.complete else None
        if self.workload.format == "ggml":
            # whisper.cpp's file has its final name while it is downloaded: only the published size
            # tells that it is complete
            return 0 if model.size_bytes == model_bytes else None
        projector_bytes = self._projector_bytes(model)
        if not self._has_size_of(model, model_bytes, projector_bytes):
            return None
        return 0 if has_projector else projector_bytes

    def _has_size_of(
        self,
        model: PresentModel,
        model_bytes: int,
        projector_bytes: int,
    ) -> bool:
        """Whether the files are about as large as the wanted model, with or without the
        projector.
        """
        share = _SAME_MODEL_SHARE if model.complete else _SAME_SIZE_SHARE
        if model.size_bytes < (model_bytes - projector_bytes) * (1 - share):
            return False
        if self.workload.format != "gguf":
            return True
        return model.size_bytes <= model_bytes * (1 + _SAME_MODEL_SHARE)

    def _projector_bytes(self, model: PresentModel) -> int:
        """The bytes of the projector; 0 where the model's own files hold the projector."""
        if self.workload.format != "gguf":
            return 0
        if model.tag is not None:
            return 0
        return likely_bytes(self.needs.terms, "projector")

    # -------------------------------------------------------------- whose files they are

    def _is_model_of(self, model: PresentModel) -> bool:
        """Whether the files belong to the wanted model, by their repository, tag or name."""
        if self.workload.format == "gguf":
            return self._is_gguf_of(model)
        if self.workload.format == "ggml":
            return self._is_ggml_of(model)
        repository = self._repository()
        if repository is None:
            return False
        if model.repository is None:
            return False
        return model.repository.lower() == repository.lower()

    def _is_ggml_of(self, model: PresentModel) -> bool:
        """Whether whisper.cpp's file has the model size of the spec: `ggml-large-v3-q5_0.bin`."""
        if model.file is None:
            return False
        typed = model.file.removeprefix("ggml-").removesuffix(".bin")
        size = re.sub(r"-q\d_\d$", "", typed)
        return size == self.spec.id.removeprefix("whisper-")

    def _is_gguf_of(self, model: PresentModel) -> bool:
        """Whether a GGUF file or an Ollama tag belongs to the wanted model, and is no projector."""
        if _is_projector(model):
            return False
        for name in (model.repository, model.tag):
            if name and self._is_known(name):
                return True
        # names of models begin with their family's name: a name that does not needs no look-up
        family = re.split(r"[^a-z]", self.spec.id, maxsplit=1)[0]
        name = _name_of(model)
        if family not in name.lower():
            return False
        return id_of(name, self.catalogue) == self.spec.id

    def _is_known(self, name: str) -> bool:
        """Whether the name is a repository or an alias of the model."""
        names = [self.spec.repository, *self.spec.aliases]
        names += [files.repository for files in self.spec.files]
        return name.lower() in [known.lower() for known in names if known]

    def _repository(self) -> str | None:
        """The repository from which the runtime would download the files; None where no repository
        is known.
        """
        listing = listing_of(self.spec, self.workload)
        repository = None if listing is None else listing.repository
        if repository is not None:
            return repository
        if self.workload.format in ("mlx", "ctranslate2"):
            return None
        rule = self.runtime.rule_of(self.workload.quantization)
        if rule is not None and not rule.at_load:
            # no publisher is known for a model that somebody quantized
            return None
        return self.spec.repository


def _bytes_to_complete(model: PresentModel, model_bytes: int | None) -> int | None:
    """The bytes that an interrupted download still lacks; None where nothing says how many."""
    total_bytes = model.total_bytes or model_bytes
    if total_bytes is None:
        return None
    missing_bytes = total_bytes - model.size_bytes
    return missing_bytes if missing_bytes > 0 else None


def _name_of(model: PresentModel) -> str:
    """The repository or tag of a present model, else the name of its GGUF file without the ending
    and the part number.
    """
    if model.repository:
        return model.repository
    if model.tag:
        return model.tag
    file = model.file or ""
    return re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", file, flags=re.IGNORECASE)


def _canonical(quantization: str | None) -> str:
    """The canonical name of a quantization, in upper case; empty for none."""
    if quantization is None:
        return ""
    name = need.canonical_quantization(quantization)
    return (name or quantization).upper()
