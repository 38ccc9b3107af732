"""Models already here: what lies in Hugging Face's cache, Ollama's store and LM Studio's folder, by
names and sizes alone.

No file of weights is opened. What is read besides names: Hugging Face's refs and indices, Ollama's
manifests and their small configurations. Time and number are bounded: what was not looked at is
unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic

from ...core.records import pattern
from ..fields import MAX_ENTRIES
from ..record import LM_STUDIO, PresentModel
from .facts import Facts
from .host import Host, reason_of
from .stores import huggingface, llama_cpp, lm_studio, ollama

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

MODELS = "models_present"
# for all stores together; a repository takes 0.1 to 0.3 ms
SECONDS = 0.5
MAX_MODELS = MAX_ENTRIES
# manifests have 1 kB, configurations 500 bytes, indices up to 20 MB for 1,000 billion parameters
_MAX_MANIFEST_BYTES, _MAX_INDEX_BYTES = 2**18, 2**25
_MAX_SNAPSHOTS = 20
# as many as a model's index may name (`modelfiles.safetensors`)
_MAX_SHARDS = 10_000
# folders of a snapshot that hold weights: `transformer/`, `UD-Q4_K_XL/`
_MAX_DEPTH = 2
_SHARD = pattern(r"(?is)(.*)-(\d{5})-of-(\d{5})(\.[a-z]+)")
_QUANTIZATION = pattern(
    r"(?i)(?:^|[-_.])((?:UD-)?(?:I?Q\d(?:[-_][A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|BF16|F16|FP16|F32))"
    r"\.gguf$"
)
_NOT_THE_MODEL = ("consolidated", "adapter_model", "optimizer", "training_args", "scheduler",
                  "rng_state")  # fmt: skip
_REMEDY = "check a model that you have by its path: `selfhost check ./model.gguf`"


class _Enough(Exception):
    """The time is up, or there are more models than a record holds."""


class Search:
    """The models found so far, how many of the present store could not be read, and how much longer
    to look.
    """

    def __init__(self, host: Host, until: float) -> None:
        self.host = host
        self.until = until
        self.models: list[PresentModel] = []
        self.faulty = 0

    def names(self, *parts: str) -> dict[str, int | None]:
        """Of a folder: bytes of a file, None of a folder, -1 of what leads nowhere; empty where
        there is none. `OSError` otherwise.
        """
        if monotonic() > self.until:
            raise _Enough("the time limit was reached")
        try:
            return dict(sorted(self.host.sizes(self.join(*parts)).items()))
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def files(self, folder: str, depth: int) -> dict[str, int]:
        """The files of a folder and those below it, and their bytes: 0 of what leads nowhere."""
        files: dict[str, int] = {}
        for name, size in self.names(folder).items():
            if size is not None:
                files[name] = max(0, size)
            elif depth:
                inner = self.files(self.join(folder, name), depth - 1)
                files.update({f"{name}/{file}": size for file, size in inner.items()})
        return files

    def add(self, path: str, **values: Any) -> None:
        if len(self.models) >= MAX_MODELS:
            raise _Enough(f"a record holds {MAX_MODELS:,} models")
        self.models.append(PresentModel(path=path, **values))

    def join(self, *parts: str) -> str:
        return str(self.host.paths.join(*parts))


Look = Callable[[Search, str, str], None]


def read_models(host: Host, facts: Facts, seconds: float = SECONDS) -> None:
    """Every model that lies in a store; () where none does. `models_present.<store>` says why
    one was not read whole.
    """
    search = Search(host, monotonic() + seconds)
    try:
        stores = host.within(lambda: list(_stores(host)))
    except (OSError, ValueError) as error:
        reason = f"where they are stored could not be looked up: {reason_of(error)}"
        facts.miss(MODELS, reason, _REMEDY)
        return
    if not host.live:
        # what a recorded tree does not hold is not known to be missing on its machine
        stores = [entry for entry in stores if host.exists(entry[1])]
    if not stores:
        reason = "the recorded tree has none of the folders where models are stored"
        facts.miss(MODELS, "no home folder is set" if host.live else reason)
        return
    for store, folder, look in stores:
        if why := _why_not_whole(search, store, folder, look):
            facts.miss(f"{MODELS}.{store}", why, _REMEDY)
    models = tuple(search.models)
    if any(model.complete is None for model in models):
        reason = "no record says whether such files are complete: their size is compared"
        facts.miss(f"{MODELS}.complete", reason)
    names = ", ".join(store for store, _, _ in stores)
    facts.put(MODELS, models, f"names and sizes in the folders of {names}")


def _stores(host: Host) -> Iterator[tuple[str, str, Look]]:
    """Each store that has a place on this machine, its folder and how it is searched."""
    hub, llama, studio = huggingface(host), llama_cpp(host), lm_studio(host)
    if hub:
        yield "huggingface", hub.path, _hub
    if llama and (hub is None or llama.path != hub.path):
        yield "llama.cpp", llama.path, _hub
    service, home = ollama(host), host.home()
    if service:
        folder = service.path
        # a service that never stored anything leaves the account's own, of a server started by hand
        if service.account is not None and home and not host.exists(folder):
            folder = str(host.paths.join(home, ".ollama", "models"))
        yield "ollama", folder, _ollama
    if studio:
        yield LM_STUDIO, studio.path, _lm_studio


def _why_not_whole(search: Search, store: str, folder: str, look: Look) -> str:
    """Searches one store; why not all of it was read, empty where it was."""
    search.faulty = 0
    try:
        search.host.within(lambda: look(search, folder, store))
    except _Enough as error:
        return f"not all of its models were looked at: {error}"
    except PermissionError:
        return "its folder may not be read by this account"
    except (OSError, ValueError) as error:
        return f"its folder could not be read: {reason_of(error)}"
    return f"{search.faulty:,} of its models could not be read" if search.faulty else ""


def quantization_in(name: str) -> str | None:
    """`Mistral-7B-Q4_K_M.gguf`, `x-UD-IQ2_XXS-00001-of-00002.gguf` -> Q4_K_M, UD-IQ2_XXS; None
    where the name has none.
    """
    match = _QUANTIZATION.search(_SHARD.sub(r"\1\4", name))
    return match[1].upper().replace("FP16", "F16") if match else None


# ------------------------------------------------------------------ Hugging Face's cache


def _hub(search: Search, hub: str, store: str) -> None:
    """`models--ORG--NAME`, each with `refs`, `blobs` and `snapshots` (huggingface_hub's guide
    to its cache).
    """
    for name, size in search.names(hub).items():
        if size is not None or not name.startswith("models--"):
            continue
        folder, repository = search.join(hub, name), name[len("models--") :].replace("--", "/")
        try:
            sets = _sets(search, *_snapshot(search, folder))
            blobs = {} if sets else search.names(folder, "blobs")
        except OSError:
            search.faulty += 1
            continue
        if any(blob.endswith(".incomplete") for blob in blobs):
            # nothing of the weights is whole yet
            sets = [{"size_bytes": 0, "complete": False}]
        for weights in sets:
            search.add(folder, repository=repository, store=store, **weights)


def _snapshot(search: Search, folder: str) -> tuple[str, dict[str, int]]:
    """The snapshot that `refs/main` names, else the one with most bytes, and its files."""
    names = [name for name, size in search.names(folder, "snapshots").items() if size is None]
    main = (search.host.read_text(search.join(folder, "refs", "main"), 100) or "").strip()
    if main in names:
        names = [main]
    places = [search.join(folder, "snapshots", name) for name in names[:_MAX_SNAPSHOTS]]
    every = [(place, search.files(place, _MAX_DEPTH)) for place in places]
    return max(every, key=lambda pair: sum(pair[1].values()), default=("", {}))


def _sets(search: Search, folder: str, files: Mapping[str, int]) -> list[dict[str, Any]]:
    """Every GGUF model on its own, and all other weights of a folder as one: fields of a
    `PresentModel`.
    """
    sets: list[dict[str, Any]] = []
    parts_of = {tuple(parts_of_split(name)) for name in files if name.lower().endswith(".gguf")}
    for parts in sorted(parts_of):
        sizes = [files.get(part, 0) for part in parts]
        if any(sizes):
            values = {"file": parts[0], "quantization": quantization_in(parts[0])}
            sets.append({**values, "size_bytes": sum(sizes), "complete": all(sizes)})
    weights, indices = _weights_in(files)
    if weights or indices:
        sets.append(_repository(search, folder, files, weights, indices))
    return sets


def parts_of_split(name: str) -> list[str]:
    """Every part of a split file, in order; a file in one piece alone."""
    match = _SHARD.fullmatch(name)
    if match is None or not 1 <= int(match[3]) <= _MAX_SHARDS:
        return [name]
    stem, count, ending = match[1], match[3], match[4]
    return [f"{stem}-{number:05d}-of-{count}{ending}" for number in range(1, int(count) + 1)]


def _repository(
    search: Search,
    folder: str,
    files: Mapping[str, int],
    weights: Sequence[str],
    indices: Sequence[str],
) -> dict[str, Any]:
    """The weights of a repository that is loaded as a whole. A pipeline of several models does not
    say in one file which weights it needs.
    """
    wanted = {part for name in weights for part in parts_of_split(name)}
    stated_bytes, is_known = 0, "config.json" in files or any("consolidated" in n for n in wanted)
    for index in indices:
        limit = min(files[index], _MAX_INDEX_BYTES)
        names, bytes_in_all = read_index(search.host, search.join(folder, index), limit)
        wanted |= {index[: index.rfind("/") + 1] + name for name in names}
        stated_bytes += bytes_in_all
        is_known = is_known and bool(names)
    sizes = [files.get(name, 0) for name in wanted]
    complete: bool | None = is_known and all(sizes)
    if "model_index.json" in files:
        complete = None if all(sizes) else False
    is_more = stated_bytes > sum(sizes) and not complete
    total_bytes = stated_bytes if is_more else None
    return {"size_bytes": sum(sizes), "complete": complete, "total_bytes": total_bytes}


def _weights_in(files: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Names of the files that hold the weights, and of their indices. Safetensors come before
    pickles, and Mistral's `consolidated` files last.
    """
    models = [n for n in files if not n.rpartition("/")[2].startswith(_NOT_THE_MODEL)]
    for ends, index in (
        (".safetensors", ".safetensors.index.json"),
        ((".bin", ".pt", ".pth"), ".bin.index.json"),
    ):
        weights = [name for name in models if name.endswith(ends)]
        indices = [name for name in models if name.endswith(index)]
        if weights or indices:
            return weights, indices
    return [n for n in files if n.startswith("consolidated") and n.endswith(".safetensors")], []


def read_index(host: Host, path: str, limit: int) -> tuple[set[str], int]:
    """The files that an index of shards names, and its `total_size`, 0 where it has none: by a
    search in the text, which takes 1 ms for 1 MB.
    """
    try:
        text = host.read_bytes(path, limit).decode("utf-8", "replace")
    except (OSError, ValueError):
        return set(), 0
    size = re.search(r'"total_size"\s*:\s*(\d{1,18})\b', text)
    names: set[str] = set()
    for name in re.finditer(r'"([^"/\\]{1,200}\.(?:safetensors|bin))"', text):
        names.add(name[1])
        if len(names) > _MAX_SHARDS:
            return set(), 0
    return names, int(size[1]) if size else 0


# ------------------------------------------------------------------ the other stores


def _lm_studio(search: Search, folder: str, store: str) -> None:
    """`PUBLISHER/NAME/FILE`, as LM Studio's documentation asks of models that are put there by
    hand; so no file is known to be whole.
    """
    for publisher, size in search.names(folder).items():
        names = search.names(folder, publisher) if size is None else {}
        for name in (name for name, inner in names.items() if inner is None):
            place = search.join(folder, publisher, name)
            for weights in _sets(search, place, search.files(place, 1)):
                path = search.join(place, weights["file"]) if weights.get("file") else place
                weights["complete"] = None if weights["complete"] else False
                search.add(path, repository=f"{publisher}/{name}", store=store, **weights)


def _ollama(search: Search, folder: str, store: str) -> None:
    """`manifests/REGISTRY/NAMESPACE/NAME/TAG`, each a list of layers that lie in `blobs` as
    `sha256-…`, whole under that name alone.

    ollama/ollama: types/model/name.go and server/manifest.go for the folders; server/download.go
    for `-partial`.
    """
    manifests = search.files(search.join(folder, "manifests"), 4)
    blobs = search.names(folder, "blobs") if manifests else {}
    for parts in (path.split("/") for path, size in sorted(manifests.items()) if size):
        if len(parts) < 3:
            continue
        path = search.join(folder, "manifests", *parts)
        layers = _layers(_object(search, path))
        if not layers:
            search.faulty += 1
            continue
        if not any(kind.endswith((".model", ".tensor")) for _, _, kind in layers):
            # a model of Ollama's cloud has no weights here
            continue
        config = layers[-1][0]
        stated = _object(search, search.join(folder, "blobs", config)).get("file_type")
        here = [size for blob, size, _ in layers if blobs.get(blob) == size]
        registry, *names, tag = parts
        name = "/".join((registry, *names)).removeprefix("registry.ollama.ai/")
        search.add(
            path,
            size_bytes=sum(here),
            total_bytes=sum(size for _, size, _ in layers),
            repository="/".join(names) if registry in ("hf.co", "huggingface.co") else None,
            tag=f"{name.removeprefix('library/')}:{tag}",
            complete=len(here) == len(layers),
            store=store,
            quantization=stated[:40] if isinstance(stated, str) and stated.strip() else None,
        )


def _layers(manifest: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Of each layer of a manifest, its config last: the name of its file in `blobs`, its bytes, and
    its media type; none where one of them is of another shape.
    """
    listed = manifest.get("layers") or []
    layers: list[tuple[str, int, str]] = []
    for value in (*listed, manifest.get("config")) if isinstance(listed, list) else ():
        fields = value if isinstance(value, dict) else {}
        digest, size = str(fields.get("digest")), fields.get("size")
        # 64 hexadecimal digits, for which another word may stand in a recorded tree
        is_digest = re.fullmatch(r"sha256:[0-9A-Za-z]{1,64}", digest)
        if not is_digest or type(size) is not int or size < 0:
            return []
        layers.append((digest.replace(":", "-"), size, str(fields.get("mediaType"))))
    return layers


def _object(search: Search, path: str) -> dict[str, Any]:
    """The object in a small file; empty where it is none."""
    from ...core.files import Unreadable, text_of
    from ...core.json_text import Decoder

    try:
        content = search.host.read_bytes(path, _MAX_MANIFEST_BYTES)
        value = Decoder(constant=float).parse(text_of(content))
    except (OSError, ValueError, Unreadable):
        return {}
    return value if isinstance(value, dict) else {}
