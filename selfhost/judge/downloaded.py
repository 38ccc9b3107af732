"""The files of a model that lie on this machine already, among all files that were read there.

`WantedFiles` are the files of one row of the table. `copy_on` finds their best copy on a machine,
with the bytes that are still missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import id_of
from ..core.records import Record
from ..machine.record import FILES_BY_PATH, LM_STUDIO, Machine, PresentModel
from ..needs.records import Needs, likely_bytes
from .record import DownloadedFiles
from .table import FileRow

# Two conversions to one quantization differ in size by some per cent at most (importance matrix,
# token table, header): a file that differs by more holds another model. Where nothing says that a
# file is complete, it must be as large as the need, except for the header.
_SAME_MODEL_SHARE = 0.12
_SAME_SIZE_SHARE = 0.005


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
    """The files of one row, which are searched for among the files on a machine. `needs` are the
    needs of the model without its companions.
    """

    row: FileRow
    needs: Needs
    catalogue: Catalogue

    def copy_on(self, machine: Machine) -> DownloadedFiles | None:
        """The downloaded files of the row that the runtime finds on the machine; of
        several copies the most complete. None where no files of the model are known to be there.
        """
        present = machine.models_present
        if not present:
            return None
        stores = _stores_of(self.row.runtime.store, machine)
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
        missing_bytes = self._missing_bytes(model, projector)
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
            projector=projector if self.row.spec.modality == "vision" else None,
        )

    def _has_type_of(self, model: PresentModel) -> bool:
        """Whether the present model has the format and the quantization of the row."""
        is_folder = model.file is None and model.tag is None
        if self.row.format not in ("gguf", "ggml"):
            return is_folder
        if is_folder:
            return False
        return _canonical(model.quantization) == _canonical(self.row.quantization)

    # -------------------------------------------------------------- what is missing

    def _missing_bytes(self, model: PresentModel, projector: str | None) -> int | None:
        """The bytes that are still to be downloaded.

        None where the present model is another one, or where nothing says how much is missing.
        """
        model_bytes = self.needs.download_bytes
        if model.complete is False:
            return _bytes_to_complete(model, model_bytes)
        if model_bytes is None:
            return 0 if model.complete else None
        if self.row.format == "ggml":
            # whisper.cpp's file has its final name while it is downloaded: only the published size
            # tells that it is complete
            return 0 if model.size_bytes == model_bytes else None
        projector_bytes = self._projector_bytes(model)
        if not self._has_size_of(model, model_bytes, projector_bytes):
            return None
        return 0 if projector else projector_bytes

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
        if self.row.format != "gguf":
            return True
        return model.size_bytes <= model_bytes * (1 + _SAME_MODEL_SHARE)

    def _projector_bytes(self, model: PresentModel) -> int:
        """The bytes of the projector; 0 where the model's own files hold the projector."""
        if model.tag is not None:
            return 0
        return likely_bytes(self.needs.terms, "projector")

    # -------------------------------------------------------------- whose files they are

    def _is_model_of(self, model: PresentModel) -> bool:
        """Whether the files belong to the wanted model, by their repository, tag or name."""
        if self.row.format == "gguf":
            return self._is_gguf_of(model)
        if self.row.format == "ggml":
            return self._is_ggml_of(model)
        repository = self.row.source
        if repository is None or model.repository is None:
            return False
        return model.repository.lower() == repository.lower()

    def _is_ggml_of(self, model: PresentModel) -> bool:
        """Whether whisper.cpp's file has the model size of the spec: `ggml-large-v3-q5_0.bin`."""
        if model.file is None:
            return False
        typed = model.file.removeprefix("ggml-").removesuffix(".bin")
        size = re.sub(r"-q\d_\d$", "", typed)
        return size == self.row.spec.id.removeprefix("whisper-")

    def _is_gguf_of(self, model: PresentModel) -> bool:
        """Whether a GGUF file or an Ollama tag belongs to the wanted model, and is no projector."""
        if _is_projector(model):
            return False
        for name in (model.repository, model.tag):
            if name and self._is_known(name):
                return True
        # names of models begin with their family's name: a name that does not needs no look-up
        family = re.split(r"[^a-z]", self.row.spec.id, maxsplit=1)[0]
        name = _name_of(model)
        if family not in name.lower():
            return False
        return id_of(name, self.catalogue) == self.row.spec.id

    def _is_known(self, name: str) -> bool:
        """Whether the name is a repository or an alias of the model."""
        names = [self.row.spec.repository, *self.row.spec.aliases]
        names += [files.repository for files in self.row.spec.files]
        return name.lower() in [known.lower() for known in names if known]


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
