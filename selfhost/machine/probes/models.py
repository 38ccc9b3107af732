"""What is here already, by names of files and folders alone: models in Hugging Face's cache,
Ollama's store and LM Studio's folder, and runtimes.

No file of weights is opened, nothing is run and nothing imported. What is read besides names:
Hugging Face's refs, Ollama's manifests and their small configurations. Time is bounded: what was
not looked at is unread.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any

from ...core.records import pattern
from ...core.tables import shipped_table
from ..record import FILL_IN, LM_STUDIO, PresentModel, PresentRuntime
from .host import Facts, Host, reason_of
from .stores import huggingface, llama_cpp, lm_studio, ollama

MODELS = "models_present"
# for all stores together; a repository takes 0.1 to 0.3 ms
SECONDS = 0.5
# manifests have 1 kB, configurations 500 bytes
_MAX_MANIFEST_BYTES = 2**18
_MAX_SNAPSHOTS = 20
_MAX_SHARDS = 10_000
# folders of a snapshot that hold weights: `transformer/`, `UD-Q4_K_XL/`
_MAX_DEPTH = 2
# DeepSeek's files have six digits behind `of`
_SHARD = pattern(r"(?is)(.*)-(\d{5})-of-(\d{5,6})(\.[a-z]+)")
_QUANTIZATION = pattern(
    r"(?i)(?:^|[-_.])((?:UD-)?(?:I?Q\d(?:[-_][A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|BF16|F16|FP16|F32))"
    r"\.gguf$"
)
_NOT_THE_MODEL = ("adapter_model", "optimizer", "training_args", "scheduler", "rng_state")
# safetensors come before pickles, and Mistral's `consolidated` files last
_WEIGHTS = (
    pattern(r"(?s)(?!.*consolidated).*\.safetensors"),
    pattern(r"(?s).*\.(?:bin|pt|pth)"),
    pattern(r"(?s)consolidated.*\.safetensors"),
)
_REMEDY = "check a model that you have by its path: `selfhost check ./model.gguf`"


# the models of a store, None for one that could not be read
Found = Iterator[PresentModel | None]
Look = Callable[[Host, str, str], Found]


def read_models(host: Host, facts: Facts, seconds: float = SECONDS) -> None:
    """Every model in a store; `models_present.<store>` says why one was not read whole."""
    until, models = monotonic() + seconds, list[PresentModel]()
    try:
        stores = host.within(lambda: list(_stores(host)))
    except (OSError, ValueError) as error:
        reason = f"where they are stored could not be looked up: {reason_of(error)}"
        facts.miss(MODELS, reason, _REMEDY)
        return
    if not host.live:
        # what a recorded tree does not hold is not known to be missing on its machine
        stores = [entry for entry in stores if host.exists(entry[1])]
    for store, folder, look in stores:
        entries = look(host, folder, store)
        try:
            why = host.within(lambda entries=entries: _add(models, entries, until))  # type: ignore[misc]
        except PermissionError:
            why = "its folder may not be read by this account"
        except (OSError, ValueError) as error:
            why = f"its folder could not be read: {reason_of(error)}"
        if why:
            facts.miss(f"{MODELS}.{store}", why, _REMEDY)
    if any(model.complete is None for model in models):
        reason = "no record says whether such files are complete: their size is compared"
        facts.miss(f"{MODELS}.complete", reason)
    source = f"names and sizes in the folders of {', '.join(store for store, _, _ in stores)}"
    nowhere = "the recorded tree has none of the folders where models are stored"
    nowhere = "no home folder is set" if host.live else nowhere
    facts.settle(MODELS, tuple(models) if stores else None, source, nowhere)


def _add(models: list[PresentModel], found: Found, until: float) -> str:
    """Adds the models of one store; why not all of them were read, empty where they were."""
    unreadable = 0
    for model in found:
        if monotonic() > until:
            return "not all of its models were looked at: the time limit was reached"
        models.extend([model] if model else [])
        unreadable += model is None
    return f"{unreadable:,} of its models could not be read" if unreadable else ""


def _stores(host: Host) -> Iterator[tuple[str, str, Look]]:
    """Each store that has a place on this machine, its folder and how it is searched."""
    hub, llama, studio = huggingface(host), llama_cpp(host), lm_studio(host)
    if hub:
        yield "huggingface", hub.path, _search_hub
    if llama and (hub is None or llama.path != hub.path):
        yield "llama.cpp", llama.path, _search_hub
    service, home = ollama(host), host.home()
    if service and service.account and home and not host.exists(service.path):
        # a service that never stored anything leaves the account's own, of a server started by hand
        yield "ollama", host.join(home, ".ollama", "models"), _search_ollama
    elif service:
        yield "ollama", service.path, _search_ollama
    if studio:
        yield LM_STUDIO, studio.path, _search_lm_studio


def _names(host: Host, *parts: str) -> dict[str, int | None]:
    """As `Host.sizes`; empty where there is no such folder."""
    try:
        return dict(sorted(host.sizes(host.join(*parts)).items()))
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _files(host: Host, folder: str, depth: int) -> dict[str, int]:
    """The files of a folder and those below it, and their bytes: 0 of what leads nowhere."""
    files: dict[str, int] = {}
    for name, size in _names(host, folder).items():
        if size is not None:
            files[name] = max(0, size)
        elif depth:
            inner = _files(host, host.join(folder, name), depth - 1)
            files.update({f"{name}/{file}": size for file, size in inner.items()})
    return files


# ------------------------------------------------------------------ files of weights


def _parts_of_split(name: str) -> tuple[str, ...]:
    """Every part of a split file, in order; a file in one piece alone."""
    match = _SHARD.fullmatch(name)
    if match is None or not 1 <= int(match[3]) <= _MAX_SHARDS:
        return (name,)
    stem, count, ending = match[1], match[3], match[4]
    return tuple(f"{stem}-{at:05d}-of-{count}{ending}" for at in range(1, int(count) + 1))


def _weights(files: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Every GGUF model alone, all other weights of a folder as one: fields of `PresentModel`."""
    for parts in sorted({_parts_of_split(n) for n in files if n.lower().endswith(".gguf")}):
        sizes = [files.get(part, 0) for part in parts]
        kind = _QUANTIZATION.search(_SHARD.sub(r"\1\4", parts[0]))
        own = kind[1].upper().replace("FP16", "F16") if kind else None
        if any(sizes):
            values = {"file": parts[0], "quantization": own, "size_bytes": sum(sizes)}
            yield {**values, "complete": all(sizes)}
    names = [n for n in files if not n.rpartition("/")[2].startswith(_NOT_THE_MODEL)]
    kinds = ([name for name in names if kind.fullmatch(name)] for kind in _WEIGHTS)
    if weights := next(filter(None, kinds), None):
        sizes = [files.get(p, 0) for p in {p for name in weights for p in _parts_of_split(name)}]
        complete = _is_told_whole(files, weights[0]) if all(sizes) else False
        yield {"size_bytes": sum(sizes), "complete": complete}


def _is_told_whole(files: Mapping[str, int], first: str) -> bool | None:
    """Whether names say that these weights are all that is needed; None where none does."""
    is_indexed = any(name.endswith(".index.json") for name in files) and not _SHARD.fullmatch(first)
    is_told = first.startswith("consolidated") or ("config.json" in files and not is_indexed)
    return True if is_told else None


# ------------------------------------------------------------------ the stores


def _search_hub(host: Host, hub: str, store: str) -> Found:
    """`models--ORG--NAME`, each with `refs`, `blobs` and `snapshots`."""
    for name, size in _names(host, hub).items():
        if size is not None or not name.startswith("models--"):
            continue
        folder = host.join(hub, name)
        repository = name.removeprefix("models--").replace("--", "/")
        try:
            # the snapshot that `refs/main` names, else the one with most bytes
            snapshots = [
                n for n, inner in _names(host, folder, "snapshots").items() if inner is None
            ]
            main = (host.read_text(host.join(folder, "refs", "main"), 100) or "").strip()
            snapshots = [main] if main in snapshots else snapshots[:_MAX_SNAPSHOTS]
            every = [_files(host, host.join(folder, "snapshots", n), _MAX_DEPTH) for n in snapshots]
            sets = list(_weights(max(every, key=lambda each: sum(each.values()), default={})))
            blobs = {} if sets else _names(host, folder, "blobs")
        except OSError:
            yield None
            continue
        if any(blob.endswith(".incomplete") for blob in blobs):
            # nothing of the weights is whole yet
            sets = [{"size_bytes": 0, "complete": False}]
        for weights in sets:
            yield PresentModel(path=folder, repository=repository, store=store, **weights)


def _search_lm_studio(host: Host, folder: str, store: str) -> Found:
    """`PUBLISHER/NAME/FILE`, where no file is known to be whole."""
    for publisher, size in _names(host, folder).items():
        names = _names(host, folder, publisher) if size is None else {}
        for name in (name for name, inner in names.items() if inner is None):
            place = host.join(folder, publisher, name)
            for weights in _weights(_files(host, place, 1)):
                path = host.join(place, weights["file"]) if "file" in weights else place
                weights["complete"] = None if weights["complete"] else False
                repository = f"{publisher}/{name}"
                yield PresentModel(path=path, repository=repository, store=store, **weights)


def _search_ollama(host: Host, folder: str, store: str) -> Found:
    """`manifests/REGISTRY/NAMESPACE/NAME/TAG`, each a list of layers that lie in `blobs` as
    `sha256-…`, whole under that name alone (ollama/ollama: types/model/name.go,
    server/manifest.go; server/download.go for `-partial`).
    """
    manifests = _files(host, host.join(folder, "manifests"), 4)
    blobs = _names(host, folder, "blobs") if manifests else {}
    for parts in (path.split("/") for path, size in sorted(manifests.items()) if size):
        path = host.join(folder, "manifests", *parts)
        layers = _layers(host.read_object(path, _MAX_MANIFEST_BYTES)) if len(parts) > 2 else []
        if len(parts) > 2 and not layers:
            yield None
        if not any(kind.endswith((".model", ".tensor")) for _, _, kind in layers):
            # a model of Ollama's cloud has no weights here
            continue
        config = host.join(folder, "blobs", layers[-1][0])
        stated = host.read_object(config, _MAX_MANIFEST_BYTES).get("file_type")
        here = [size for blob, size, _ in layers if blobs.get(blob) == size]
        registry, *names, tag = parts
        name = "/".join((registry, *names)).removeprefix("registry.ollama.ai/")
        yield PresentModel(
            path=path,
            size_bytes=sum(here),
            total_bytes=sum(size for _, size, _ in layers),
            repository="/".join(names) if registry in ("hf.co", "huggingface.co") else None,
            tag=f"{name.removeprefix('library/')}:{tag}",
            complete=len(here) == len(layers),
            store=store,
            quantization=stated[:40] if isinstance(stated, str) and stated.strip() else None,
        )


def _layers(manifest: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Of each layer, the config last: its file in `blobs`, bytes, media type; none of a bad one."""
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


# ------------------------------------------------------------------ runtimes


def read_runtimes(host: Host, facts: Facts) -> None:
    """The runtimes that are here; () where none was seen, unread where nothing was searched."""
    places = shipped_table("present")
    listed = host.env.get("PATH", "").split(";" if host.system == "windows" else ":")
    usual = _at_home(host, places["folders"].get(host.system, ()))
    folders = [each for each in dict.fromkeys((*listed, *usual)) if host.paths.isabs(each)]
    runtimes = host.within(lambda: _search_runtimes(host, places, folders))
    # what a recorded tree does not hold is not known to be missing on its machine
    is_searched = runtimes or host.ask("python_path") is not None or any(map(host.exists, folders))
    value = tuple(runtimes[name] for name in sorted(runtimes)) if is_searched else None
    where = "commands in PATH and the usual folders; packages of this and of other environments"
    reason = "the recorded tree has none of the folders where runtimes are installed"
    facts.settle("runtimes", value, where, reason, FILL_IN)


def _at_home(host: Host, paths: list[str]) -> list[str]:
    """`paths` with the home folder for `~`; without those where none is set."""
    home = host.home() or ""
    return [path.replace("~", home, 1) for path in paths if home or not path.startswith("~")]


def _search_runtimes(
    host: Host, places: Mapping[str, Any], folders: list[str]
) -> dict[str, PresentRuntime]:
    """The runtimes in the folders of commands and of Python's packages, by their id."""
    runtimes: dict[str, PresentRuntime] = {}
    # Python environments: of the commands that are here first, for the version of one lies beside
    # it; then the active one, the one beside the work, and those of tools
    prefixes: list[str] = []
    suffix = ".exe" if host.system == "windows" else ""
    for folder in folders:
        for command, name in places["commands"].items():
            path = host.join(folder, f"{command}{suffix}")
            if name not in runtimes and host.exists(path, lambda real: os.access(real, os.X_OK)):
                runtimes[name] = PresentRuntime(id=name, path=path)
                prefixes.append(host.paths.dirname(host.paths.dirname(host.resolve(path))))
    active = (host.env.get(name, "") for name in ("VIRTUAL_ENV", "CONDA_PREFIX"))
    prefixes += [*filter(host.paths.isabs, active), host.join(host.cwd(), ".venv")]
    tools = _at_home(host, places["environments"]["every"])
    prefixes += [host.join(folder, name) for folder in tools for name in host.listdir(folder)]
    for package in _packages(host, prefixes):
        # each as `mlx_lm-0.32.2.dist-info`
        entry = host.paths.basename(package)
        name, _, version = entry.removesuffix(".dist-info").partition("-")
        runtime = places["distributions"].get(re.sub(r"[-_.]+", "-", name).lower())
        if runtime and version and entry.endswith(".dist-info"):
            first = runtimes.setdefault(runtime, PresentRuntime(id=runtime, path=package))
            runtimes[runtime] = first.replace(version=first.version or version)
    for path in filter(host.exists, _at_home(host, places["lm_studio"].get(host.system, ()))):
        runtimes[LM_STUDIO] = PresentRuntime(id=LM_STUDIO, path=path)
    return runtimes


def _packages(host: Host, prefixes: list[str]) -> Iterator[str]:
    """What lies in the folders that Python environments, and this one, import packages from."""
    folders: list[str] = []
    for prefix in prefixes:
        library = host.join(prefix, "lib")
        names = [name for name in host.listdir(library) if name.startswith("python3")]
        folders += [host.join(library, name, "site-packages") for name in names]
        if host.system == "windows":
            folders.append(host.join(prefix, "Lib", "site-packages"))
    for folder in (*folders, *(host.ask("python_path") or ())):
        yield from (host.join(folder, entry) for entry in host.listdir(folder))
