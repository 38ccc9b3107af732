"""Which models are here already: by names and sizes of files, and by what Hugging Face's refs and
Ollama's manifests say. No file of weights is opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from ...core.files import SHARD, numbered_files
from ...core.records import Record
from ..record import LM_STUDIO, PresentModel
from .host import Facts, Host, reason_of
from .store_folders import Place, places, present_table

_FACT = "models_present"
_MAX_SNAPSHOTS = 20
_REMEDY = "check a model that you have by its path: `selfhost check ./model.gguf`"
_HUB_REGISTRIES = ("hf.co", "huggingface.co")
_OLLAMA_REGISTRY = "registry.ollama.ai/"
# kinds of layers of a manifest that hold weights
_WEIGHT_LAYERS = (".model", ".tensor")
# the models of a store, None for one that could not be read
Models = Iterator[PresentModel | None]
# bytes by the path of a file below a folder
Files = Mapping[str, int]


def read_models(host: Host, facts: Facts) -> None:
    """Every model in a store; `models_present.<store>` says why some of it was not read."""
    folders = host.within(lambda: places(host))
    stores = [store for store in _SEARCHES if _is_searched(host, folders, store)]
    if not stores:
        why = "the recorded tree has none of the folders where models are stored"
        if host.live:
            why = "no home folder is set"
        facts.lack(_FACT, why)
        return
    models: list[PresentModel] = []
    for store in stores:
        models += _read_store(host, facts, store, folders[store])
    if any(model.complete is None for model in models):
        why = "no record says whether such files are complete: their size is compared"
        facts.lack(f"{_FACT}.complete", why)
    source = f"names and sizes in the folders of {', '.join(stores)}"
    facts.put(_FACT, tuple(models), source)


def _is_searched(host: Host, folders: Mapping[str, Place], store: str) -> bool:
    """Whether a store has a folder of its own that is known. What a recorded tree does not hold is
    not known to be missing on its machine.
    """
    place = folders.get(store)
    if place is None:
        return False
    hub = folders.get("huggingface")
    # llama.cpp stores in the hub, unless a variable says otherwise
    if store == "llama.cpp" and hub is not None and hub.path == place.path:
        return False
    return host.live or host.exists(place.path)


def _read_store(
    host: Host, facts: Facts, store: str, place: Place
) -> Sequence[PresentModel]:
    """The models in a store that can be read; why the others cannot be is put among the facts."""
    fact = f"{_FACT}.{store}"
    failure = place.why
    found: list[PresentModel | None] | None = None
    if place.path:
        try:
            found = host.within(partial(_found_in, host, store, place.path))
        except (OSError, ValueError) as error:
            failure = reason_of(error)
    if found is None:
        facts.lack(fact, f"its folder could not be read: {failure}", _REMEDY)
        return []
    readable = [model for model in found if model is not None]
    unreadable = len(found) - len(readable)
    if unreadable:
        why = f"{unreadable:,} of its models could not be read"
        facts.lack(fact, why, _REMEDY)
    return readable


def _found_in(host: Host, store: str, folder: str) -> list[PresentModel | None]:
    """All models of a store, read while there is a deadline."""
    return list(_SEARCHES[store](host, folder, store))


def _files_below(host: Host, folder: str, depth: int) -> dict[str, int]:
    """The files of a folder, and of those so many levels below it."""
    files: dict[str, int] = {}
    for name, size in host.sizes(folder).items():
        if size is not None:
            files[name] = size
        elif depth:
            inner = _files_below(host, host.join(folder, name), depth - 1)
            for file, inner_size in inner.items():
                files[f"{name}/{file}"] = inner_size
    return files


def _folder_names(host: Host, *parts: str) -> list[str]:
    """The names of the folders in a folder."""
    return [name for name, size in host.sizes(*parts).items() if size is None]


class _Weights(Record):
    """The files of one model in a folder."""

    size_bytes: int
    # None where it is not known
    complete: bool | None
    # the GGUF file, of a split one the first; None for all weights of a folder
    file: str | None = None
    quantization: str | None = None

    def model(self, store: str, path: str, repository: str) -> PresentModel:
        """The model of these files, which lie at `path` in a store."""
        return PresentModel(
            path=path,
            size_bytes=self.size_bytes,
            repository=repository,
            file=self.file,
            complete=self.complete,
            store=store,
            quantization=self.quantization,
        )


def _weights_in(files: Files) -> Iterator[_Weights]:
    """Every GGUF model alone, and all other weights of a folder as one."""
    ggufs = [name for name in files if name.lower().endswith(".gguf")]
    for parts in sorted(set(map(numbered_files, ggufs))):
        sizes = _sizes_of(files, parts)
        if any(sizes):
            yield _Weights(
                size_bytes=sum(sizes),
                complete=all(sizes),
                file=parts[0],
                quantization=_quantization_in(parts[0]),
            )
    names = _plain_weights(files)
    if names:
        all_parts: set[str] = set()
        for name in names:
            all_parts.update(numbered_files(name))
        sizes = _sizes_of(files, all_parts)
        complete = all(sizes) and _is_complete(files, names[0])
        yield _Weights(size_bytes=sum(sizes), complete=complete)


def _sizes_of(files: Files, names: Iterable[str]) -> list[int]:
    """Bytes of each of these files; 0 of one that is not there."""
    return [files.get(name, 0) for name in names]


def _quantization_in(name: str) -> str | None:
    """`Q4_K_M` of `model-Q4_K_M-00001-of-00002.gguf`; None where the name has none."""
    unnumbered = re.sub(SHARD, r"\1\4", name)
    match = re.search(present_table().model_files.quantization, unnumbered)
    if match is None:
        return None
    return match[1].upper().replace("FP16", "F16")


def _plain_weights(files: Files) -> list[str]:
    """The weights of the best kind that a folder has, in the order of its files."""
    table = present_table().model_files
    for kind in table.weights:
        weights: list[str] = []
        for path in files:
            file = path.rpartition("/")[2]
            if not file.startswith(table.others) and re.fullmatch(kind, path):
                weights.append(path)
        if weights:
            return weights
    return []


def _is_complete(files: Files, first: str) -> bool | None:
    """Whether names say that nothing is missing; None where none does."""
    if first.startswith("consolidated"):
        return True
    if "config.json" not in files:
        return None
    is_split = any(name.endswith(".index.json") for name in files)
    if is_split and re.fullmatch(SHARD, first) is None:
        return None
    return True


def _search_hub(host: Host, hub: str, store: str) -> Models:
    """`models--ORG--NAME`, each with `refs` and `snapshots`."""
    for name in _folder_names(host, hub):
        if not name.startswith("models--"):
            continue
        folder = host.join(hub, name)
        try:
            files = _snapshot_files(host, folder)
        except OSError:
            yield None
            continue
        repository = name.removeprefix("models--").replace("--", "/")
        for weights in _weights_in(files):
            yield weights.model(store, folder, repository)


def _snapshot_files(host: Host, folder: str) -> Files:
    """The files of the snapshot that `refs/main` names, else of the one with most bytes."""
    snapshots = host.join(folder, "snapshots")
    commits = _folder_names(host, snapshots)
    main = host.read_value(host.join(folder, "refs", "main"))
    commits = [main] if main in commits else commits[:_MAX_SNAPSHOTS]
    candidates: list[Files] = []
    for commit in commits:
        # folders below hold weights, too: `transformer/`, `UD-Q4_K_XL/`
        candidates.append(_files_below(host, host.join(snapshots, commit), 2))
    return max(candidates, key=lambda files: sum(files.values()), default={})


def _search_lm_studio(host: Host, folder: str, store: str) -> Models:
    """`PUBLISHER/NAME/FILE`, where no file is known to be whole."""
    for publisher in _folder_names(host, folder):
        for name in _folder_names(host, folder, publisher):
            place = host.join(folder, publisher, name)
            for weights in _weights_in(_files_below(host, place, 1)):
                # no record says that a file is whole
                unsure = weights.replace(complete=None if weights.complete else False)
                path = host.join(place, weights.file or "")
                yield unsure.model(store, path, f"{publisher}/{name}")


class _Layer(Record):
    """A layer of a manifest of Ollama's: its file in `blobs`, and its media type."""

    blob: str
    size_bytes: int
    media_type: str

    @property
    def has_weights(self) -> bool:
        """Whether it is a part of the model itself."""
        return self.media_type.endswith(_WEIGHT_LAYERS)


def _search_ollama(host: Host, folder: str, store: str) -> Models:
    """`manifests/REGISTRY/NAMESPACE/NAME/TAG`, each a list of layers: whole `blobs/sha256-…`."""
    manifests = _files_below(host, host.join(folder, "manifests"), 4)
    blobs = host.sizes(folder, "blobs") if manifests else {}
    for manifest, size in sorted(manifests.items()):
        parts = manifest.split("/")
        if not size or len(parts) < 3:
            continue
        path = host.join(folder, "manifests", *parts)
        layers = _layers_of(host.read_object(path))
        if not layers:
            yield None
            continue
        # a model of Ollama's cloud has no weights here
        if not any(layer.has_weights for layer in layers):
            continue
        stored_bytes = [
            layer.size_bytes
            for layer in layers
            if blobs.get(layer.blob) == layer.size_bytes
        ]
        registry = parts[0]
        repository = "/".join(parts[1:-1])
        name = f"{registry}/{repository}".removeprefix(_OLLAMA_REGISTRY)
        yield PresentModel(
            path=path,
            size_bytes=sum(stored_bytes),
            total_bytes=sum(layer.size_bytes for layer in layers),
            repository=repository if registry in _HUB_REGISTRIES else None,
            tag=f"{name.removeprefix('library/')}:{parts[-1]}",
            complete=len(stored_bytes) == len(layers),
            store=store,
            quantization=_stated_quantization(host, folder, layers[-1].blob, blobs),
        )


def _stated_quantization(
    host: Host, folder: str, config: str, blobs: Mapping[str, int | None]
) -> str | None:
    """What the config of a model of Ollama's says of its weights; None where it says nothing."""
    # a name that is no blob's could lead anywhere
    file = config if config in blobs else ""
    stated = host.read_object(host.join(folder, "blobs", file)).get("file_type")
    return str(stated)[:40] if stated else None


def _layers_of(manifest: Mapping[str, object]) -> list[_Layer]:
    """The layers of a manifest, the config last; none of a bad manifest."""
    entries = manifest.get("layers") or []
    if not isinstance(entries, list):
        return []
    layers: list[_Layer] = []
    for entry in [*entries, manifest.get("config")]:
        layer = _layer_of(entry)
        if layer is None:
            return []
        layers.append(layer)
    return layers


def _layer_of(entry: object) -> _Layer | None:
    """A layer as its manifest states it; None of one that is stated wrongly."""
    if not isinstance(entry, dict):
        return None
    digest = entry.get("digest")
    size = entry.get("size")
    if not isinstance(digest, str) or type(size) is not int or size < 0:
        return None
    return _Layer(
        blob=digest.replace(":", "-"),
        size_bytes=size,
        media_type=str(entry.get("mediaType")),
    )


_SEARCHES: dict[str, Callable[[Host, str, str], Models]] = {
    "huggingface": _search_hub,
    "llama.cpp": _search_hub,
    "ollama": _search_ollama,
    LM_STUDIO: _search_lm_studio,
}
