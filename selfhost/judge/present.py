"""Which of the models that lie on the machine is the one asked for, and how much of it is still
to be downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.index import Catalogue
from ..catalogue.names import id_of
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core import units
from ..core.records import Record, Unread
from ..core.workload import Workload
from ..machine.record import FILES_BY_PATH, LM_STUDIO, Machine, PresentModel
from ..needs.records import How, Needs

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
    `formats`; `part` is what there is of those that are here in part. `in_memory`: they lie on a
    volume that is RAM.
    """

    are_here: bool = False
    formats: tuple[str, ...] = ()
    part: Here | None = None
    in_memory: bool | None = False


NO_FILES = NamedFiles()


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
    if not machine.models_present:
        return None
    return min(
        _found(spec, runtime, workload, needs, machine, catalogue),
        key=lambda copy: copy.missing_bytes or 0,
        default=None,
    )


def unseen(machine: Machine, purpose: str) -> Unread | None:
    """Why models that lie where that runtime looks may have been missed; None where all were
    looked at.
    """
    place = machine.disk_for(purpose)
    same = {
        disk.purpose
        for disk in machine.disks or ()
        if place is not None and disk.path == place.path
    } | {purpose}
    same |= set(FILES_BY_PATH.get(purpose, ()))
    facts = {"models_present", *(f"models_present.{store}" for store in same)}
    return next((entry for entry in machine.unread if entry.fact in facts), None)


def elsewhere(
    spec: ModelSpec, workload: Workload, machine: Machine, catalogue: Catalogue
) -> str | None:
    """A sentence where the model is here, whole, for another runtime or in another quantization
    than the one asked about.
    """
    for model in machine.models_present or ():
        if not model.complete or "mmproj" in (model.file or "").lower():
            continue
        runtime, quantization, wanted = _meant_for(model, workload)
        if quantization is None and wanted.format != "safetensors":
            continue
        if runtime == workload.runtime and quantization in (None, workload.quantization):
            continue
        program = catalogue.runtime(runtime)
        if _lacks_projector(model, spec, program, machine):
            continue
        if not _reached(model, program, machine):
            continue
        if not _is(model, spec, program, wanted, catalogue):
            continue
        options = " ".join(
            [
                f"--runtime {runtime}",
                *([f"--quant {quantization}"] if quantization else []),
            ]
        )
        what = f"in {quantization}" if quantization else "as published"
        return (
            f"It is already here {what} for {runtime} ({model.path},"
            f" {units.decimal(model.size_bytes)}): {options} needs no download."
        )
    return None


def _lacks_projector(
    model: PresentModel, spec: ModelSpec, program: RuntimeSpec, machine: Machine
) -> bool:
    """Whether the program has the model's text alone: its image encoder is a file of its own."""
    if not program.projector_apart or spec.modality != "vision":
        return False
    return _projector(model, machine) is None


def _meant_for(model: PresentModel, workload: Workload) -> tuple[str, str | None, Workload]:
    """The runtime that would load these files, their quantization (None: as published, or of no
    name that is known), and the workload that asks for their format.
    """
    from ..needs import canonical_quantization

    if model.file is None and model.tag is None:
        return "transformers", None, workload.replace(format="safetensors", quantization=None)
    runtime = "ollama" if model.store == "ollama" else "llama.cpp"
    quantization = canonical_quantization(model.quantization or "")
    return runtime, quantization, workload.replace(format="gguf")


def begun(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    needs: Needs,
    machine: Machine,
    catalogue: Catalogue,
) -> str | None:
    """A sentence where a file of that model and quantization is here, by its name, and smaller than
    it must be.

    In stores where a file has its last name from the first byte on nothing else tells that a
    download did not finish, and no program is known to go on with one.
    """
    wanted = needs.download_bytes
    if wanted is None or workload.format not in ("gguf", "ggml"):
        return None
    weights = wanted - (_projector_bytes(needs) if workload.format == "gguf" else 0)
    for model in machine.models_present or ():
        if (
            model.complete is not None
            or model.size_bytes >= weights
            or not _reached(model, runtime, machine)
        ):
            continue
        if (
            _of_format(model, workload)
            and _missing(model, workload, needs, machine) is None
            and _is(model, spec, runtime, workload, catalogue)
        ):
            sizes = f"{units.decimal(model.size_bytes)} of {units.decimal(weights)}"
            return (
                f"{model.path} is not used: it has {sizes}, so it is an unfinished download or"
                " another conversion."
            )
    return None


def _found(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    needs: Needs,
    machine: Machine,
    catalogue: Catalogue,
) -> Iterator[Here]:
    for model in machine.models_present or ():
        if not _reached(model, runtime, machine) or not _of_format(model, workload):
            continue
        missing = _missing(model, workload, needs, machine)
        if missing is not None and _is(model, spec, runtime, workload, catalogue):
            yield Here(
                path=model.path,
                size_bytes=model.size_bytes,
                missing_bytes=missing,
                store=model.store,
                repository=model.repository,
                tag=model.tag,
                by_path=model.store == LM_STUDIO,
                projector=_projector(model, machine) if spec.modality == "vision" else None,
            )


def _reached(model: PresentModel, runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether it lies where the runtime would look, or may be named to it by its path."""
    if model.store in (runtime.store, *FILES_BY_PATH.get(runtime.store, ())):
        return True
    # llama.cpp shares Hugging Face's cache unless LLAMA_CACHE says otherwise
    place, other = machine.disk_for(runtime.store), machine.disk_for(model.store or "")
    return place is not None and other is not None and place.path == other.path


def _of_format(model: PresentModel, workload: Workload) -> bool:
    """Whether it is of the format and, where its name states one, of the quantization."""
    if workload.format in ("gguf", "ggml"):
        if model.file is None and model.tag is None:
            return False
        stated, wanted = _plain(model.quantization), _plain(workload.quantization)
        return stated is not None and stated == wanted
    return model.file is None and model.tag is None


def _plain(quantization: str | None) -> str | None:
    from ..needs import canonical_quantization

    return (
        None
        if quantization is None
        else (canonical_quantization(quantization) or quantization).upper()
    )


def _missing(model: PresentModel, workload: Workload, needs: Needs, machine: Machine) -> int | None:
    """Bytes still to be downloaded; None where it is another model, or nothing says how much is
    missing.
    """
    wanted = needs.download_bytes
    if model.complete is False:
        total = model.total_bytes or wanted
        return None if total is None or total <= model.size_bytes else total - model.size_bytes
    if wanted is None:
        return 0 if model.complete else None
    if workload.format == "ggml":
        # downloaded under its last name: only the published size tells that it is whole
        is_whole = needs.download_how is How.STATED and model.size_bytes == wanted
        return 0 if is_whole else None
    projector = _projector_bytes(needs) if workload.format == "gguf" and model.tag is None else 0
    if not _is_as_large(model, workload, wanted, wanted - projector):
        return None
    return projector if projector and _projector(model, machine) is None else 0


def _is_as_large(
    model: PresentModel, workload: Workload, wanted_bytes: int, weights_bytes: int
) -> bool:
    """Whether files may be these weights by their size alone."""
    least = weights_bytes * (1 - (SAME_MODEL_SHARE if model.complete else SAME_SIZE_SHARE))
    most = wanted_bytes * (1 + SAME_MODEL_SHARE)
    return least <= model.size_bytes and (workload.format != "gguf" or model.size_bytes <= most)


def _projector_bytes(needs: Needs) -> int:
    return (
        sum(term.bytes for term in needs.memory.terms if term.name == "projector")
        if needs.memory
        else 0
    )


def _projector(model: PresentModel, machine: Machine) -> str | None:
    """The path of the file that turns pictures or sound into tokens, `mmproj…`, beside the
    weights; None where there is none.
    """
    for other in machine.models_present or ():
        if (
            other.complete is not False
            and other.file is not None
            and "mmproj" in other.file.lower()
            and other.repository == model.repository
        ):
            return other.path
    return None


def _is(
    model: PresentModel,
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    catalogue: Catalogue,
) -> bool:
    """Whether it is that model, by the names that the catalogue knows."""
    import re

    if workload.format == "gguf":
        return _is_named_alike(model, spec, catalogue)
    if workload.format == "ggml":
        size = (model.file or "").removeprefix("ggml-").removesuffix(".bin")
        size = re.sub(r"-q\d_\d$", "", size)
        return spec.id.removeprefix("whisper-") == size
    if not model.repository:
        return False
    return model.repository.lower() == _repository_of(spec, runtime, workload).lower()


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
    from ..needs import published

    format, quantization = workload.format or "", workload.quantization or ""
    published_files = published(spec, format, quantization)
    own = spec.repository_of(format, quantization) or (
        published_files[1].repository if published_files else None
    )
    rule = runtime.rule_of(workload.quantization)
    elsewhere = format in ("mlx", "ctranslate2") or (rule is not None and not rule.at_load)
    return own or ("" if elsewhere else spec.repository or "")
