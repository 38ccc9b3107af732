"""The models that are stored here already, found by names and sizes of files, Hugging Face's refs
and Ollama's manifests. No file of weights is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ...core.files import PART_NAME, first_numbered_file, part_name, reason_of
from ...core.records import Record
from ..record import LM_STUDIO, MAX_DISK_BYTES, PresentModel
from .host import Facts, Host
from .store_folders import NO_HOME, StoreFolder, places, present_table

_FACT = "models_present"
# the most snapshots read of one repository, so that reading does not take minutes
_MAX_SNAPSHOTS = 20
# longer than any quantization's name
_MAX_NAME = 40
_REMEDY = "check a model that you have by its path: `selfhost check ./model.gguf`"
_HUB_REGISTRIES = ("hf.co", "huggingface.co")
_OLLAMA_REGISTRY = "registry.ollama.ai/"
# kinds of manifest layers that hold weights
_WEIGHT_LAYERS = (".model", ".tensor")
# the models of a store; None stands for a model that could not be read
Models = Iterator[PresentModel | None]
# bytes by the path of a file below a folder
Files = Mapping[str, int]
# bytes by name within one folder; None for a subfolder
Sizes = Mapping[str, int | None]


def read_models(host: Host, facts: Facts) -> None:
    """Read every model in a store; `models_present.<store>` says why some models were not read."""
    folders = host.within(lambda: places(host))
    stores = [name for name in _LAYOUTS if _is_searched(host, folders, name)]
    if not stores:
        why = "the recorded tree has none of the folders where models are stored"
        if host.live:
            why = "no home folder is set"
        facts.lack(_FACT, why)
        return
    models: list[PresentModel] = []
    for name in stores:
        store = _LAYOUTS[name](host=host, name=name, place=folders[name])
        models += _read_store(store, facts)
    if any(model.complete is None for model in models):
        why = "no record says whether such files are complete: their size is compared"
        facts.lack(f"{_FACT}.complete", why)
    facts.put(
        _FACT, tuple(models), f"names and sizes in the folders of {', '.join(stores)}"
    )


def _is_searched(
    host: Host,
    folders: Mapping[str, StoreFolder],
    store: str,
) -> bool:
    """Whether a store has a known folder of its own.

    A folder that a recorded tree lacks may still exist on the recorded machine, so it is not known.
    """
    place = folders.get(store)
    if place is None:
        return False
    # llama.cpp stores models in Hugging Face's hub, unless a variable says otherwise
    hub = folders.get("huggingface", NO_HOME)
    if store == "llama.cpp" and place.path == hub.path:
        return False
    return host.live or host.exists(place.path)


def _read_store(store: _Store, facts: Facts) -> Sequence[PresentModel]:
    """The models in a store that can be read. The reason why others cannot be is put among the
    facts.
    """
    fact = f"{_FACT}.{store.name}"
    try:
        found = store.found()
    except (OSError, ValueError) as error:
        facts.lack(fact, f"its folder could not be read: {reason_of(error)}", _REMEDY)
        return []
    readable = [model for model in found if model is not None]
    unreadable = found.count(None)
    if unreadable:
        facts.lack(fact, f"{unreadable:,} of its models could not be read", _REMEDY)
    return readable


class _FileSet(Record):
    """A file, or the parts of a split file, some of which may be missing. It is filled while the
    names of a folder are read.
    """

    # the number of files in the complete set
    parts: int
    # the bytes of each part that is present and not empty
    sizes: list[int]

    @property
    def size_bytes(self) -> int:
        """The bytes that are present."""
        return sum(self.sizes)

    @property
    def complete(self) -> bool:
        """Whether every part is present."""
        return len(self.sizes) == self.parts


def _sets_of(files: Files) -> dict[str, _FileSet]:
    """The sets of parts that these files make, by the first name of each set.

    Each file is looked at once: its set may have 10,000 parts, and a folder as many files.
    """
    sets: dict[str, _FileSet] = {}
    for file, size in files.items():
        name = part_name(file)
        first = file
        parts = 1
        is_part = True
        if name is not None:
            first = name.of_part(1)
            parts = name.number_of_parts
            # no program loads files named `-00004-of-00003` or `-00001-OF-00003`
            is_part = 1 <= name.number <= parts and name.of_part(name.number) == file
        whole = sets.setdefault(first, _FileSet(parts=parts, sizes=[]))
        if size and is_part:
            whole.sizes.append(size)
    return sets


def _quantization_in(name: str) -> str | None:
    """The quantization in a name: `Q4_K_M` of `model-Q4_K_M-00001-of-00002.gguf`; None where the
    name has none.
    """
    unnumbered = re.sub(PART_NAME, r"\1\4", name)
    match = re.search(present_table().model_files.quantization, unnumbered)
    if match is None:
        return None
    return match[1].upper().replace("FP16", "F16")


def _plain_weights(files: Files) -> list[str]:
    """The weights of the best kind that a folder has, in the order of its files."""
    table = present_table().model_files
    own = []
    for path in files:
        file = path.rpartition("/")[2]
        if not file.startswith(table.others):
            own.append(path)
    for kind in table.weights:
        weights = [path for path in own if re.fullmatch(kind, path)]
        if weights:
            return weights
    return []


def _is_complete(files: Files, first: str) -> bool | None:
    """Whether the names say that no file is missing; None where no name tells."""
    if first.startswith("consolidated"):
        return True
    if "config.json" not in files:
        return None
    is_split = any(name.endswith(".index.json") for name in files)
    if is_split and re.fullmatch(PART_NAME, first) is None:
        return None
    return True


class _Store(Record):
    """A folder of models. A subclass reads the layout of one program."""

    host: Host
    name: str
    place: StoreFolder

    def found(self) -> list[PresentModel | None]:
        """Return all models of the store, read within a deadline. `OSError` where the folder cannot
        be read, or is not known.
        """
        if not self.place.path:
            raise OSError(self.place.why)
        return self.host.within(lambda: list(self.models()))

    def models(self) -> Models:
        """Yield the models of the store."""
        raise NotImplementedError

    def models_in(
        self,
        files: Files,
        path: str,
        repository: str,
    ) -> Iterator[PresentModel]:
        """Yield each GGUF model among the files of a folder, which lies at `path`, then all other
        weights as one model.
        """
        sets = _sets_of(files)
        for first in sorted(sets):
            model = sets[first]
            if first.lower().endswith(".gguf") and model.sizes:
                yield PresentModel(
                    path=path,
                    size_bytes=model.size_bytes,
                    repository=repository,
                    file=first,
                    complete=model.complete,
                    store=self.name,
                    quantization=_quantization_in(first),
                )
        names = _plain_weights(files)
        if names:
            parts = [sets[first] for first in set(map(first_numbered_file, names))]
            is_whole = all(part.complete for part in parts)
            yield PresentModel(
                path=path,
                size_bytes=sum(part.size_bytes for part in parts),
                repository=repository,
                complete=is_whole and _is_complete(files, names[0]),
                store=self.name,
            )

    def path(self, *parts: str) -> str:
        """The path of a file or folder in the store."""
        return self.host.join(self.place.path, *parts)

    def sizes(self, *parts: str) -> Sizes:
        """The sizes of the files in one of the store's folders, by name."""
        return self.host.sizes(self.place.path, *parts)

    def folders(self, *parts: str) -> list[str]:
        """The names of the folders in one of its folders."""
        sizes = self.sizes(*parts).items()
        return [name for name, size in sizes if size is None]

    def files(self, *parts: str, depth: int) -> Files:
        """Return the files of one of the store's folders, and of folders up to `depth` levels below
        it.
        """
        files = {}
        for name, size in self.sizes(*parts).items():
            if size is not None:
                files[name] = size
            elif depth:
                inner = self.files(*parts, name, depth=depth - 1)
                for file, inner_size in inner.items():
                    files[f"{name}/{file}"] = inner_size
        return files


class _Hub(_Store):
    """Hugging Face's cache: folders `models--ORG--NAME`, each with `refs` and `snapshots`."""

    def models(self) -> Models:
        """Yield the models of each repository's snapshot in use."""
        for name in self.folders():
            if not name.startswith("models--"):
                continue
            try:
                files = self.snapshot(name)
            except OSError:
                yield None
                continue
            repository = name.removeprefix("models--").replace("--", "/")
            yield from self.models_in(files, self.path(name), repository)

    def snapshot(self, name: str) -> Files:
        """The files of the snapshot that `refs/main` names, else of the one with most bytes."""
        commits = self.folders(name, "snapshots")
        main = self.host.read_value(self.path(name, "refs", "main"))
        if main in commits:
            commits = [main]
        candidates = []
        for commit in commits[:_MAX_SNAPSHOTS]:
            # subfolders hold weights too: `transformer/`, `UD-Q4_K_XL/`
            candidates.append(self.files(name, "snapshots", commit, depth=2))
        return max(candidates, key=lambda files: sum(files.values()), default={})


class _LmStudio(_Store):
    """The store of LM Studio: `PUBLISHER/NAME/FILE`."""

    def models(self) -> Models:
        """Yield the models of each publisher. No record says that a file is whole."""
        for publisher in self.folders():
            for name in self.folders(publisher):
                files = self.files(publisher, name, depth=1)
                folder = self.path(publisher, name)
                for model in self.models_in(files, folder, f"{publisher}/{name}"):
                    yield model.replace(
                        path=self.host.join(folder, model.file or ""),
                        complete=None if model.complete else False,
                    )


class _Layer(Record):
    """A layer of an Ollama manifest: its file in `blobs`, its size and its media type."""

    blob: str
    size_bytes: int
    media_type: str


class _Ollama(_Store):
    """The store of Ollama: `manifests/REGISTRY/NAMESPACE/NAME/TAG`, each a list of layers, which
    are whole `blobs/sha256-…`.
    """

    def models(self) -> Models:
        """Yield the models of each manifest that lists weights. The manifest of an Ollama cloud
        model lists none.
        """
        manifests = self.files("manifests", depth=4)
        blobs = self.sizes("blobs")
        for manifest, size in sorted(manifests.items()):
            parts = manifest.split("/")
            if not size or len(parts) < 3:
                continue
            path = self.path("manifests", *parts)
            layers = _layers_of(self.host.read_object(path))
            if not layers:
                yield None
            elif any(layer.media_type.endswith(_WEIGHT_LAYERS) for layer in layers):
                yield self.model(parts, layers, blobs)

    def model(
        self,
        parts: Sequence[str],
        layers: Sequence[_Layer],
        blobs: Sizes,
    ) -> PresentModel:
        """The model of a manifest, by the parts of its path and by its layers, the config last."""
        registry, *names, tag = parts
        repository = "/".join(names)
        name = f"{registry}/{repository}".removeprefix(_OLLAMA_REGISTRY)
        all_bytes = [layer.size_bytes for layer in layers]
        stored_bytes = []
        for layer in layers:
            if blobs.get(layer.blob) == layer.size_bytes:
                stored_bytes.append(layer.size_bytes)
        return PresentModel(
            path=self.path("manifests", *parts),
            size_bytes=sum(stored_bytes),
            total_bytes=sum(all_bytes),
            repository=repository if registry in _HUB_REGISTRIES else None,
            tag=f"{name.removeprefix('library/')}:{tag}",
            complete=len(stored_bytes) == len(layers),
            store=self.name,
            quantization=self.quantization(layers[-1].blob, blobs),
        )

    def quantization(self, config: str, blobs: Sizes) -> str | None:
        """The quantization that a model's config states; None where the config is not stored, or
        states none.
        """
        # a name that is not a blob's could lead to any path
        if config not in blobs:
            return None
        path = self.path("blobs", config)
        stated = self.host.read_object(path).get("file_type")
        return str(stated)[:_MAX_NAME] if stated else None


def _layer_of(entry: object) -> _Layer | None:
    """The layer of an entry of a manifest; None for a faulty entry."""
    match entry:
        case {"digest": str(digest), "size": int(size), **others}:
            if not 0 <= size <= MAX_DISK_BYTES:
                return None
            return _Layer(
                blob=digest.replace(":", "-"),
                size_bytes=size,
                media_type=str(others.get("mediaType")),
            )
    return None


def _layers_of(manifest: Mapping[str, object]) -> list[_Layer]:
    """The layers of a manifest, the config last; none for a faulty manifest."""
    entries = manifest.get("layers") or []
    if not isinstance(entries, list):
        return []
    layers = []
    for entry in [*entries, manifest.get("config")]:
        layer = _layer_of(entry)
        if layer is None:
            return []
        layers.append(layer)
    return layers


_LAYOUTS: Mapping[str, type[_Store]] = {
    "huggingface": _Hub,
    "llama.cpp": _Hub,
    "ollama": _Ollama,
    LM_STUDIO: _LmStudio,
}
