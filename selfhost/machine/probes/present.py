"""Models already here: what lies in the folders of each runtime, by names and sizes alone.

No file of weights is opened. What is read besides names: Hugging Face's refs and indices, Ollama's
manifests and their small configurations. Time and number are bounded: what was not looked at is
stated as unread.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic

from ...core.records import Record, pattern
from ..record import LM_STUDIO, MAX_ENTRIES, PresentModel
from .host import Found, Host
from .stores import Place, huggingface, llama_cpp, lm_studio_home, models_of_lm_studio, ollama

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, TypeGuard

MODELS = "models_present"
# for all stores together; a repository takes 0.1 to 0.3 ms
SECONDS = 0.5
MAX_MODELS = MAX_ENTRIES
# manifests have 1 kB, configurations 500 bytes, indices up to 20 MB for 1,000 billion parameters
MAX_MANIFEST_BYTES = 2**18
MAX_INDEX_BYTES = 2**25
MAX_SNAPSHOTS = 20
# as many as a model's index may name (`modelfiles.safetensors`)
MAX_SHARDS = 10_000
# folders of a snapshot that hold weights: `transformer/`, `UD-Q4_K_XL/`
MAX_DEPTH = 2

_SHARD = r"(.*)-(\d{5})-of-(\d{5})(\.[a-z]+)"
_NOT_THE_MODEL = (
    "consolidated",
    "adapter_model",
    "optimizer",
    "training_args",
    "scheduler",
    "rng_state",
)
_PICKLES = (".bin", ".pt", ".pth")
# the ends of names that say what weights there are; nothing else of a snapshot is looked at
_TELLING = (".gguf", ".safetensors", *_PICKLES, "index.json", "config.json")
# parts of a diffusers pipeline that have no weights, by the ends of their classes' names
_WEIGHTLESS = (
    "Tokenizer",
    "TokenizerFast",
    "Scheduler",
    "Processor",
    "FeatureExtractor",
    "ImageProcessor",
)
# blobs that Hugging Face's clients have not finished yet
_UNFINISHED = ".incomplete"


class _Enough(Exception):
    """The time is up, or there are more models than a record holds."""


class _Search:
    """What was found so far, and how much longer to look."""

    def __init__(self, host: Host, until: float) -> None:
        self.host = host
        self.until = until
        self.found: list[PresentModel] = []
        self.faulty = 0

    def names(
        self, path: str, start: str = "", ends: tuple[str, ...] = ()
    ) -> dict[str, int | None]:
        """Of a folder: bytes of a file, None of a folder, -1 of what leads nowhere; empty where
        there is none. `OSError` otherwise.
        """
        if monotonic() > self.until:
            raise _Enough("the time limit was reached")
        try:
            return self.host.sizes(path, start, ends)
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def add(self, path: str, **values: Any) -> None:
        """One model. `path` and names lose what names a person."""
        if len(self.found) >= MAX_MODELS:
            raise _Enough(f"a record holds {MAX_MODELS:,} models")
        for name in ("repository", "file", "tag"):
            text = values.get(name)
            if text is not None:
                values[name] = self.host.clean("/" + text)[1:]
        self.found.append(PresentModel(path=self.host.clean(path), **values))

    def join(self, *parts: str) -> str:
        return str(self.host.paths.join(*parts))


def quantization_in(name: str) -> str | None:
    """`Mistral-7B-Q4_K_M.gguf`, `x-UD-IQ2_XXS-00001-of-00002.gguf` -> Q4_K_M, UD-IQ2_XXS; None
    where the name has none.
    """
    import re

    stem = re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", name, flags=re.IGNORECASE)
    match = re.search(
        r"(?:^|[-_.])((?:UD-)?(?:I?Q\d(?:[-_][A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|BF16|F16|FP16|F32))$",
        stem,
        re.IGNORECASE,
    )
    return match[1].upper().replace("FP16", "F16") if match else None


# ------------------------------------------------------------------ Hugging Face's cache


def _hub(search: _Search, hub: str, store: str) -> None:
    """`models--ORG--NAME`, each with `refs`, `blobs` and `snapshots` (huggingface_hub's guide
    to its cache).
    """
    for name, size in sorted(search.names(hub, "models--").items()):
        if size is None:
            try:
                _repository(
                    search,
                    search.join(hub, name),
                    name[len("models--") :].replace("--", "/"),
                    store,
                )
            except OSError:
                search.faulty += 1


def _repository(search: _Search, folder: str, repository: str, store: str) -> None:
    sets = _sets(search, _snapshot(search, folder))
    if not sets and any(
        name.endswith(_UNFINISHED) for name in search.names(search.join(folder, "blobs"))
    ):
        # nothing of the weights is whole yet
        sets = [(None, 0, False, None)]
    shown = search.host.clean("/" + repository)[1:]
    if shown != repository:
        folder = search.join(
            search.host.paths.dirname(folder), "models--" + shown.replace("/", "--")
        )
    for file, size, complete, total in sets:
        search.add(
            folder,
            size_bytes=size,
            repository=repository,
            file=file,
            complete=complete,
            store=store,
            total_bytes=total,
            quantization=quantization_in(file) if file else None,
        )


class _File:
    """A name in a snapshot: its bytes (0 where it leads nowhere), and where it really lies."""

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self.size = size


def _snapshot(search: _Search, folder: str) -> dict[str, _File]:
    """The files of the snapshot that `refs/main` names, else of the one with most bytes."""
    snapshots = search.join(folder, "snapshots")
    names = [name for name, size in search.names(snapshots).items() if size is None]
    if not names:
        return {}
    main = (search.host.read_text(search.join(folder, "refs", "main"), 100) or "").strip()
    if main in names:
        names = [main]
    every = [
        _below(search, search.join(snapshots, name), MAX_DEPTH)
        for name in sorted(names)[:MAX_SNAPSHOTS]
    ]
    return max(every, key=lambda files: sum(file.size for file in files.values()))


def _below(search: _Search, folder: str, depth: int, inside: str = "") -> dict[str, _File]:
    files: dict[str, _File] = {}
    for name, size in search.names(folder, ends=_TELLING).items():
        path = search.join(folder, name)
        if size is not None:
            files[inside + name] = _File(path, max(0, size))
        elif depth:
            files.update(_below(search, path, depth - 1, f"{inside}{name}/"))
    return files


# name of the file, or None for a whole repository; bytes that are there; whether all are; bytes in
# all
_Set = tuple[str | None, int, bool, int | None]


def _sets(search: _Search, files: Mapping[str, _File]) -> list[_Set]:
    """Every GGUF model on its own, and all other weights of the repository as one."""
    sets: list[_Set] = []
    ggufs = [name for name in files if name.lower().endswith(".gguf")]
    seen: set[str] = set()
    for name in sorted(ggufs):
        parts = _parts_of(name)
        if parts[0] in seen:
            continue
        seen.add(parts[0])
        sizes = [files[part].size if part in files else 0 for part in parts]
        if any(sizes):
            sets.append((parts[0], sum(sizes), all(sizes), None))
    whole = _whole(search, files)
    if whole is not None:
        sets.append(whole)
    return sets


def _parts_of(name: str) -> list[str]:
    """Every part of a split file, in order; a file in one piece alone."""
    import re

    match = re.fullmatch(_SHARD, name, re.IGNORECASE | re.DOTALL)
    if match is None or not 1 <= int(match[3]) <= 9999:
        return [name]
    return [
        f"{match[1]}-{number:05d}-of-{match[3]}{match[4]}" for number in range(1, int(match[3]) + 1)
    ]


def _whole(search: _Search, files: Mapping[str, _File]) -> _Set | None:
    """The weights of a repository that is loaded as a whole; None where it holds none."""
    weights, indices = _weights_of(files)
    if not weights and not indices:
        return None
    wanted = set(itertools.chain.from_iterable(map(_parts_of, weights)))
    stated_bytes, complete = 0, _is_described(files, weights)
    for index in indices:
        if not _base(index).startswith(_NOT_THE_MODEL):
            names, bytes_in_all = _index(search, files[index])
            wanted |= {index.removesuffix(_base(index)) + name for name in names}
            stated_bytes += bytes_in_all or 0
            complete = complete and bool(names)
    sizes = [files[name].size if name in files else 0 for name in wanted]
    complete = complete and all(sizes) and _pipeline_is_whole(search, files, wanted)
    is_more_stated = stated_bytes > sum(sizes) and not complete
    return None, sum(sizes), complete, stated_bytes if is_more_stated else None


def _is_described(files: Mapping[str, _File], weights: set[str]) -> bool:
    """Whether a configuration is there that says how the weights are loaded."""
    return (
        "config.json" in files
        or "model_index.json" in files
        or any(_base(name).startswith("consolidated") for name in weights)
    )


def _weights_of(files: Iterable[str]) -> tuple[set[str], list[str]]:
    """Names of the files that hold the weights, and of their indices. Safetensors come before
    pickles, and Mistral's `consolidated` files last.
    """
    weights = _models(files, ".safetensors")
    indices = [name for name in files if name.endswith(".safetensors.index.json")]
    if not weights and not indices:
        weights = _models(files, _PICKLES)
        indices = [name for name in files if name.endswith(".bin.index.json")]
    if not weights and not indices:
        weights = {
            name
            for name in files
            if name.startswith("consolidated") and name.endswith(".safetensors")
        }
    return weights, indices


def _models(files: Iterable[str], ends: str | tuple[str, ...]) -> set[str]:
    return {
        name for name in files if name.endswith(ends) and not _base(name).startswith(_NOT_THE_MODEL)
    }


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _index(search: _Search, index: _File) -> tuple[set[str], int | None]:
    """The files that an index of shards names, beside it, and `total_size`: by a search in the
    text, which takes 1 ms for 1 MB.
    """
    import re

    try:
        text = search.host.read_bytes(index.path, min(index.size, MAX_INDEX_BYTES)).decode(
            "utf-8", "replace"
        )
    except (OSError, ValueError):
        return set(), None
    size = re.search(r'"total_size"\s*:\s*(\d{1,18})\b', text)
    names: set[str] = set()
    for name in re.finditer(r'"([^"/\\]{1,200}\.(?:safetensors|bin))"', text):
        names.add(name[1])
        if len(names) > MAX_SHARDS:
            return set(), None
    return names, int(size[1]) if size else None


def _pipeline_is_whole(search: _Search, files: Mapping[str, _File], weights: set[str]) -> bool:
    """Every part that a diffusers pipeline names has weights; True for any other model."""
    if "model_index.json" not in files:
        return True
    parts = _json(search, files["model_index.json"].path, MAX_MANIFEST_BYTES)
    for name, kind in parts.items():
        class_name = kind[1] if isinstance(kind, list) and len(kind) == 2 else None
        if (
            isinstance(class_name, str)
            and not class_name.endswith(_WEIGHTLESS)
            and not any(file.startswith(f"{name}/") for file in weights)
        ):
            return False
    return bool(parts)


def _json(search: _Search, path: str, limit: int) -> dict[str, Any]:
    """The object in a small file; empty where it is none."""
    from ...core.json_text import Decoder
    from ...core.reading import Unreadable, text_of

    try:
        value = Decoder(constant=float).parse(text_of(search.host.read_bytes(path, limit)))
    except (OSError, ValueError, Unreadable):
        return {}
    return value if isinstance(value, dict) else {}


# ------------------------------------------------------------------ the other stores


_CONVERTED = pattern(r"(?i)([^_/]+)_(.+?-GGUF)_")


def _flat(search: _Search, folder: str) -> None:
    """llama.cpp before its move to Hugging Face's layout: `ORG_NAME_FILE.gguf`, and
    `manifest=ORG=NAME=TAG.json` beside it.

    A file has its name only when it is whole: before, it ends in `.downloadInProgress`
    (common/download.cpp). `-hf` finds those that a manifest names, no others (common/hf-cache.cpp,
    migrate_old_cache_to_hf_cache).
    """
    sizes = search.names(folder)
    manifests = {}
    tags = set()
    for name in sizes:
        fields = name.split("=")
        if len(fields) == 4 and fields[0] == "manifest":
            begin = f"{fields[1]}_{fields[2]}_"
            manifests[begin] = f"{fields[1]}/{fields[2]}"
            tags.add((begin, fields[3].removesuffix(".json").upper()))
    files = {
        name: _File(search.join(folder, name), size)
        for name, size in sizes.items()
        if size and size > 0
    }
    for file, size, complete, _ in _sets(
        search, {name: file for name, file in files.items() if name.lower().endswith(".gguf")}
    ):
        if file is not None:
            start = next((start for start in manifests if file.startswith(start)), None)
            match = _CONVERTED.match(file)
            repository, own = None, file
            if start:
                repository, own = manifests[start], file[len(start) :]
            elif match:
                repository, own = f"{match[1]}/{match[2]}", file[match.end() :]
            quantization = quantization_in(file)
            search.add(
                files[file].path if file in files else folder,
                size_bytes=size, repository=repository, file=own, complete=complete,
                    store="llama.cpp", quantization=quantization,
                by_path=not tags & {(start, quantization), (start, "LATEST")},
            )  # fmt: skip


def _lm_studio(search: _Search, folder: str, unsure: str) -> None:
    """`PUBLISHER/NAME/FILE`, as LM Studio's documentation asks of models that are put there by
    hand; so no file is known to be whole.

    `unsure`: why they may lie elsewhere, which is stated after those that were found.
    """
    for publisher, size in sorted(search.names(folder).items()):
        for name, inner in (
            sorted(search.names(search.join(folder, publisher)).items()) if size is None else ()
        ):
            if inner is not None:
                continue
            place = search.join(folder, publisher, name)
            files = _below(search, place, 1)
            for file, bytes_here, complete, total in _sets(search, files):
                search.add(
                    files[file].path if file in files else place,
                    size_bytes=bytes_here, repository=f"{publisher}/{name}", file=file,
                        complete=None if complete else False,
                    store=LM_STUDIO, total_bytes=total,
                        quantization=quantization_in(file) if file else None,
                )  # fmt: skip
    if unsure:
        raise _Enough(unsure)


_OF_WHISPER = pattern(r"ggml-(.+?)(?:-(q\d_\d))?\.bin")


def _whisper(search: _Search, folder: str) -> None:
    """`ggml-SIZE.bin`, loaded by its path. The download script writes under that name from the
    first byte on: none is known to be whole.
    """
    place = search.join(search.host.cwd(), folder) if folder else search.host.cwd()
    for name, size in sorted(search.names(place, "ggml-").items()):
        match = _OF_WHISPER.fullmatch(name)
        if match is not None and size and size > 0:
            path = f"{folder}/{name}" if folder else name
            search.add(
                path,
                size_bytes=size,
                file=name,
                store="whisper.cpp",
                quantization=(match[2] or "F16").upper(),
            )


def _ollama(search: _Search, folder: str) -> None:
    """`manifests/REGISTRY/NAMESPACE/NAME/TAG`, each a list of layers that lie in `blobs` as
    `sha256-…`, whole under that name alone.

    ollama/ollama: types/model/name.go and server/manifest.go for the folders; server/download.go
    for `-partial`.
    """
    manifests = list(_manifests(search, search.join(folder, "manifests"), ()))
    if not manifests:
        return
    blobs = search.names(search.join(folder, "blobs"))
    for parts in manifests:
        path = search.join(folder, "manifests", *parts)
        layers = _layers(_json(search, path, MAX_MANIFEST_BYTES))
        if not layers:
            search.faulty += 1
            continue
        if not any(layer.kind.endswith((".model", ".tensor")) for layer in layers):
            # a model of Ollama's cloud has no weights here
            continue
        here = [layer for layer in layers if blobs.get(layer.blob) == layer.size_bytes]
        registry, *names, tag = parts
        name = (
            "/".join(names).removeprefix("library/")
            if registry == "registry.ollama.ai"
            else "/".join((registry, *names))
        )
        config = search.join(folder, "blobs", layers[-1].blob) if layers[-1] in here else None
        search.add(
            path,
            size_bytes=sum(layer.size_bytes for layer in here),
            total_bytes=sum(layer.size_bytes for layer in layers),
            repository="/".join(names) if registry in ("hf.co", "huggingface.co") else None,
            tag=f"{name}:{tag}",
            complete=len(here) == len(layers),
            store="ollama",
            quantization=_file_type(search, config) if config else None,
        )


class _Layer(Record):
    """A layer of a manifest: the name of its file in `blobs`, its bytes, and its media type."""

    blob: str
    size_bytes: int
    kind: str


def _layers(manifest: Mapping[str, Any]) -> list[_Layer]:
    """A manifest's layers, its config last; none where one of them is of another shape."""
    if not isinstance(manifest.get("layers"), list | None):
        return []
    layers = [*(manifest.get("layers") or ()), manifest.get("config")]
    if not all(map(_is_layer, layers)):
        return []
    return [
        _Layer(
            blob=layer["digest"].replace(":", "-"),
            size_bytes=layer["size"],
            kind=str(layer.get("mediaType")),
        )
        for layer in layers
    ]


def _is_layer(value: object) -> TypeGuard[Mapping[str, Any]]:
    return (
        isinstance(value, dict)
        and _is_digest(value.get("digest"))
        and type(value.get("size")) is int
        and value["size"] >= 0
    )


def _file_type(search: _Search, config: str) -> str | None:
    """The quantization that the config of an Ollama model states."""
    kind = _json(search, config, MAX_MANIFEST_BYTES).get("file_type")
    return kind[:40] if isinstance(kind, str) and kind.isprintable() and kind.strip() else None


def _manifests(search: _Search, folder: str, inside: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, size in sorted(search.names(folder).items()):
        if size is None and len(inside) < 4:
            yield from _manifests(search, search.join(folder, name), (*inside, name))
        elif size and size > 0 and len(inside) >= 2:
            yield (*inside, name)


def _is_digest(value: object) -> bool:
    # 64 hexadecimal digits, for which another word stands in a recorded tree
    return (
        isinstance(value, str)
        and len(value) <= 71
        and value.startswith("sha256:")
        and value[7:].isalnum()
        and value.isascii()
    )


# ------------------------------------------------------------------ all of them


def _flat_place(host: Host) -> str | None:
    """Where llama.cpp kept its downloads before, by system (common/common.cpp,
    fs_get_cache_directory).
    """
    if host.env.get("LLAMA_CACHE"):
        return host.env["LLAMA_CACHE"]
    if host.system == "windows":
        local = host.env.get("LOCALAPPDATA")
        return f"{local}\\llama.cpp" if local else None
    home = host.home()
    if host.system == "macos":
        return f"{home}/Library/Caches/llama.cpp" if home else None
    cache = host.env.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else None)
    return f"{cache}/llama.cpp" if cache else None


def _ollama_store(host: Host) -> str | None:
    """The service's folder; one that was never written to leaves the account's own, of a server
    started by hand.
    """
    place, home = ollama(host), host.home()
    own = str(host.paths.join(home, ".ollama", "models")) if home else None
    if place is not None and place.account is not None and own is not None:
        try:
            host.sizes(place.path)
        except (FileNotFoundError, NotADirectoryError):
            return own
        except OSError:
            return place.path
    return place.path if place else None


_Store = tuple[str, tuple[str, ...], Callable[["_Search"], None]]


def _stores(host: Host) -> Iterator[_Store]:
    """Each store, its folders and how they are searched; one that has no place on this machine
    is left out.
    """

    def path_of(place: Place | None) -> str | None:
        return place.path if place else None

    def joined(*parts: str) -> str:
        return str(host.paths.join(*parts))

    hub, own, flat, store = (
        path_of(huggingface(host)),
        path_of(llama_cpp(host)),
        _flat_place(host),
        _ollama_store(host),
    )
    if hub:
        yield "huggingface", (hub,), lambda search: _hub(search, hub, "huggingface")

    def both(search: _Search) -> None:
        if own and own != hub:
            _hub(search, own, "llama.cpp")
        if flat:
            _flat(search, flat)

    if own or flat:
        yield "llama.cpp", tuple(folder for folder in (own, flat) if folder), both
    if store:
        yield "ollama", (joined(store, "manifests"),), lambda search: _ollama(search, store)
    home = lm_studio_home(host)
    if home:
        studio, unsure = models_of_lm_studio(host, home)
        yield LM_STUDIO, (studio,), lambda search: _lm_studio(search, studio, unsure)

    def whisper(search: _Search) -> None:
        _whisper(search, "")
        _whisper(search, "models")

    yield "whisper.cpp", (joined(host.cwd(), "models"),), whisper


def read_models(host: Host, facts: Found, seconds: float = SECONDS) -> None:
    """Every model that lies in a store; () where none does. `models_present.<store>` says why
    one was not read whole.
    """
    until = monotonic() + seconds
    every: list[PresentModel] = []
    try:
        stores = host.within(lambda: list(_stores(host)))
        if not host.live:
            # what a recorded tree does not hold is not known to be missing on its machine
            stores = [entry for entry in stores if any(map(host.knows, entry[1]))]
    except (OSError, ValueError) as error:
        facts.miss(
            MODELS,
            "where they are stored could not be looked up:"
            f" {getattr(error, 'strerror', None) or error}",
            _REMEDY,
        )
        return
    if not stores:
        facts.miss(
            MODELS,
            (
                "no home folder is set"
                if host.live
                else "the recorded tree has none of the folders where models are stored"
            ),
        )
        return
    for store, _, look in stores:
        search = _Search(host, until)
        why = _searched(search, look)
        left = MAX_MODELS - len(every)
        if len(search.found) > left:
            why = f"a record holds {MAX_MODELS:,} models"
        every += search.found[:left]
        if why:
            facts.miss(f"{MODELS}.{store}", why, _REMEDY)
    if any(model.complete is None for model in every):
        facts.miss(
            f"{MODELS}.complete",
            "no record says whether a file put there by hand is complete: its size is compared with"
            " the need",
        )
    facts.put(
        MODELS,
        tuple(every),
        f"names and sizes in the folders of {', '.join(store for store, _, _ in stores)}",
    )


def _searched(search: _Search, look: Callable[[_Search], None]) -> str:
    """Why not all of it was read; empty where it was."""
    try:
        search.host.within(lambda: look(search))
    except _Enough as error:
        return f"not all of its models were looked at: {error}"
    except PermissionError:
        return "its folder may not be read by this account"
    except (OSError, ValueError) as error:
        return f"its folder could not be read: {getattr(error, 'strerror', None) or error}"
    return f"{search.faulty:,} of its models could not be read" if search.faulty else ""


_REMEDY = "check a model that you have by its path: `selfhost check ./model.gguf`"
