"""Models already here: what lies in Hugging Face's cache, Ollama's store and LM Studio's folder, by
names and sizes alone.

No file of weights is opened. What is read besides names: Hugging Face's refs and indices, Ollama's
manifests and their small configurations. Time and number are bounded: what was not looked at is
unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic

from ...core.records import Record, pattern
from ..record import LM_STUDIO, MAX_ENTRIES, PresentModel
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
_MAX_MANIFEST_BYTES = 2**18
_MAX_INDEX_BYTES = 2**25
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
    """The models of one store so far, how many could not be read, and how much longer to look."""

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
            return self.host.sizes(self.join(*parts))
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def add(self, path: str, **values: Any) -> None:
        if len(self.models) >= MAX_MODELS:
            raise _Enough(f"a record holds {MAX_MODELS:,} models")
        self.models.append(PresentModel(path=path, **values))

    def join(self, *parts: str) -> str:
        return str(self.host.paths.join(*parts))


def read_models(host: Host, facts: Facts, seconds: float = SECONDS) -> None:
    """Every model that lies in a store; () where none does. `models_present.<store>` says why
    one was not read whole.
    """
    until = monotonic() + seconds
    try:
        stores = host.within(lambda: list(_stores(host)))
    except (OSError, ValueError) as error:
        reason = f"where they are stored could not be looked up: {reason_of(error)}"
        facts.miss(MODELS, reason, _REMEDY)
        return
    if not host.live:
        # what a recorded tree does not hold is not known to be missing on its machine
        stores = [entry for entry in stores if _is_recorded(host, entry[1])]
    if not stores:
        reason = "the recorded tree has none of the folders where models are stored"
        facts.miss(MODELS, "no home folder is set" if host.live else reason)
        return
    models: list[PresentModel] = []
    for store, folder, look in stores:
        search = Search(host, until)
        why = _why_not_whole(search, folder, look)
        left = MAX_MODELS - len(models)
        if len(search.models) > left:
            why = f"a record holds {MAX_MODELS:,} models"
        models += search.models[:left]
        if why:
            facts.miss(f"{MODELS}.{store}", why, _REMEDY)
    if any(model.complete is None for model in models):
        reason = "no record says whether such files are complete: their size is compared"
        facts.miss(f"{MODELS}.complete", reason)
    names = ", ".join(store for store, _, _ in stores)
    facts.put(MODELS, tuple(models), f"names and sizes in the folders of {names}")


def _stores(host: Host) -> Iterator[tuple[str, str, Callable[[Search, str], None]]]:
    """Each store that has a place on this machine, its folder and how it is searched."""
    hub, llama, studio = huggingface(host), llama_cpp(host), lm_studio(host)
    if hub:
        yield "huggingface", hub.path, lambda search, folder: _hub(search, folder, "huggingface")
    if llama and (hub is None or llama.path != hub.path):
        yield "llama.cpp", llama.path, lambda search, folder: _hub(search, folder, "llama.cpp")
    service, home = ollama(host), host.home()
    if service:
        folder = service.path
        # a service that never stored anything leaves the account's own, of a server started by hand
        if service.account is not None and home and not host.exists(folder):
            folder = str(host.paths.join(home, ".ollama", "models"))
        yield "ollama", folder, _ollama
    if studio:
        yield LM_STUDIO, studio.path, _lm_studio


def _is_recorded(host: Host, folder: str) -> bool:
    try:
        return bool(host.sizes(folder)) or bool(
            host.sizes(str(host.paths.join(folder, "manifests")))
        )
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _why_not_whole(search: Search, folder: str, look: Callable[[Search, str], None]) -> str:
    """Searches one store; why not all of it was read, empty where it was."""
    try:
        search.host.within(lambda: look(search, folder))
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
    for name, size in sorted(search.names(hub).items()):
        if size is None and name.startswith("models--"):
            repository = name[len("models--") :].replace("--", "/")
            try:
                folder = search.join(hub, name)
                for weights in _of_repository(search, folder):
                    search.add(folder, repository=repository, store=store, **weights)
            except OSError:
                search.faulty += 1


def _of_repository(search: Search, folder: str) -> list[dict[str, Any]]:
    sets = _sets(search, *_snapshot(search, folder))
    if not sets and any(name.endswith(".incomplete") for name in search.names(folder, "blobs")):
        # nothing of the weights is whole yet
        return [{"size_bytes": 0, "complete": False}]
    return sets


def _snapshot(search: Search, folder: str) -> tuple[str, dict[str, int]]:
    """The snapshot that `refs/main` names, else the one with most bytes, and its files."""
    names = [name for name, size in search.names(folder, "snapshots").items() if size is None]
    main = (search.host.read_text(search.join(folder, "refs", "main"), 100) or "").strip()
    if main in names:
        names = [main]
    places = [search.join(folder, "snapshots", name) for name in sorted(names)[:_MAX_SNAPSHOTS]]
    every = [(place, _below(search, place, _MAX_DEPTH)) for place in places]
    return max(every, key=lambda pair: sum(pair[1].values()), default=("", {}))


def _below(search: Search, folder: str, depth: int) -> dict[str, int]:
    """The files of a folder and those below it, and their bytes: 0 of what leads nowhere."""
    files: dict[str, int] = {}
    for name, size in search.names(folder).items():
        if size is not None:
            files[name] = max(0, size)
        elif depth:
            inner = _below(search, search.join(folder, name), depth - 1)
            files.update({f"{name}/{file}": bytes_there for file, bytes_there in inner.items()})
    return files


def _sets(search: Search, folder: str, files: Mapping[str, int]) -> list[dict[str, Any]]:
    """Every GGUF model on its own, and all other weights of a folder as one: fields of a
    `PresentModel`.
    """
    sets: list[dict[str, Any]] = []
    parts_of = {tuple(parts_of_split(name)) for name in files if name.lower().endswith(".gguf")}
    for parts in sorted(parts_of):
        sizes = [files.get(part, 0) for part in parts]
        if any(sizes):
            sets.append(
                {
                    "file": parts[0],
                    "size_bytes": sum(sizes),
                    "complete": all(sizes),
                    "quantization": quantization_in(parts[0]),
                }
            )
    weights, indices = _weights_in(files)
    if weights or indices:
        sets.append(_whole(search, folder, files, weights, indices))
    return sets


def parts_of_split(name: str) -> list[str]:
    """Every part of a split file, in order; a file in one piece alone."""
    match = _SHARD.fullmatch(name)
    if match is None or not 1 <= int(match[3]) <= _MAX_SHARDS:
        return [name]
    stem, count, ending = match[1], match[3], match[4]
    return [f"{stem}-{number:05d}-of-{count}{ending}" for number in range(1, int(count) + 1)]


def _whole(
    search: Search,
    folder: str,
    files: Mapping[str, int],
    weights: Iterable[str],
    indices: Iterable[str],
) -> dict[str, Any]:
    """The weights of a repository that is loaded as a whole. A pipeline of several models does not
    say in one file which weights it needs.
    """
    wanted = {part for name in weights for part in parts_of_split(name)}
    stated_bytes, is_known = 0, "config.json" in files or any("consolidated" in n for n in wanted)
    for index in indices:
        limit = min(files[index], _MAX_INDEX_BYTES)
        names, bytes_in_all = read_index(search.host, search.join(folder, index), limit)
        inside = index[: index.rfind("/") + 1]
        wanted |= {inside + name for name in names}
        stated_bytes += bytes_in_all
        is_known = is_known and bool(names)
    sizes = [files.get(name, 0) for name in wanted]
    complete: bool | None = is_known and all(sizes)
    if "model_index.json" in files:
        complete = None if all(sizes) else False
    is_more = stated_bytes > sum(sizes) and not complete
    return {
        "size_bytes": sum(sizes),
        "complete": complete,
        "total_bytes": stated_bytes if is_more else None,
    }


def _weights_in(files: Iterable[str]) -> tuple[list[str], list[str]]:
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
    consolidated = (name for name in files if name.startswith("consolidated"))
    return [name for name in consolidated if name.endswith(".safetensors")], []


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


def _lm_studio(search: Search, folder: str) -> None:
    """`PUBLISHER/NAME/FILE`, as LM Studio's documentation asks of models that are put there by
    hand; so no file is known to be whole.
    """
    for publisher, size in sorted(search.names(folder).items()):
        names = search.names(folder, publisher).items() if size is None else ()
        for name, inner in sorted(names):
            if inner is not None:
                continue
            place = search.join(folder, publisher, name)
            for weights in _sets(search, place, _below(search, place, 1)):
                path = search.join(place, weights["file"]) if weights.get("file") else place
                weights["complete"] = None if weights["complete"] else False
                repository = f"{publisher}/{name}"
                search.add(path, repository=repository, store=LM_STUDIO, **weights)


class _Layer(Record):
    """A layer of a manifest: the name of its file in `blobs`, its bytes, and its media type."""

    blob: str
    size_bytes: int
    kind: str


def _ollama(search: Search, folder: str) -> None:
    """`manifests/REGISTRY/NAMESPACE/NAME/TAG`, each a list of layers that lie in `blobs` as
    `sha256-…`, whole under that name alone.

    ollama/ollama: types/model/name.go and server/manifest.go for the folders; server/download.go
    for `-partial`.
    """
    manifests = [
        parts
        for path, size in sorted(_below(search, search.join(folder, "manifests"), 4).items())
        if size and len(parts := path.split("/")) >= 3
    ]
    blobs = search.names(folder, "blobs") if manifests else {}
    for parts in manifests:
        path = search.join(folder, "manifests", *parts)
        layers = _layers(_json(search, path))
        if not layers:
            search.faulty += 1
            continue
        if not any(layer.kind.endswith((".model", ".tensor")) for layer in layers):
            # a model of Ollama's cloud has no weights here
            continue
        here = [layer for layer in layers if blobs.get(layer.blob) == layer.size_bytes]
        registry, *names, tag = parts
        name = "/".join((registry, *names))
        config = _json(search, search.join(folder, "blobs", layers[-1].blob))
        kind = config.get("file_type") if layers[-1] in here else None
        search.add(
            path,
            size_bytes=sum(layer.size_bytes for layer in here),
            total_bytes=sum(layer.size_bytes for layer in layers),
            repository="/".join(names) if registry in ("hf.co", "huggingface.co") else None,
            tag=f"{name.removeprefix('registry.ollama.ai/').removeprefix('library/')}:{tag}",
            complete=len(here) == len(layers),
            store="ollama",
            quantization=kind[:40] if isinstance(kind, str) and kind.strip() else None,
        )


def _layers(manifest: Mapping[str, Any]) -> list[_Layer]:
    """A manifest's layers, its config last; none where one of them is of another shape."""
    listed = manifest.get("layers") or []
    layers: list[_Layer] = []
    for value in (*listed, manifest.get("config")) if isinstance(listed, list) else ():
        digest = value.get("digest") if isinstance(value, dict) else None
        size = value.get("size") if isinstance(value, dict) else None
        # 64 hexadecimal digits, for which another word may stand in a recorded tree
        is_digest = isinstance(digest, str) and re.fullmatch(r"sha256:[0-9A-Za-z]{1,64}", digest)
        if not is_digest or type(size) is not int or size < 0:
            return []
        blob = str(digest).replace(":", "-")
        layers.append(_Layer(blob=blob, size_bytes=size, kind=str(value.get("mediaType"))))
    return layers


def _json(search: Search, path: str) -> dict[str, Any]:
    """The object in a small file; empty where it is none."""
    from ...core.files import Unreadable, text_of
    from ...core.json_text import Decoder

    try:
        content = search.host.read_bytes(path, _MAX_MANIFEST_BYTES)
        value = Decoder(constant=float).parse(text_of(content))
    except (OSError, ValueError, Unreadable):
        return {}
    return value if isinstance(value, dict) else {}
