"""Where runtimes store their models, how much is free there, and which models and runtimes are here
already: by names of files and folders, by service units, and by what Hugging Face's refs and
Ollama's manifests say. No file of weights is opened, nothing is run and nothing imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from ...core.files import SHARD, numbered_files
from ...core.tables import shipped_table
from ..record import LM_STUDIO, PURPOSES, Disk, PresentModel, PresentRuntime
from .host import Facts, Host, reason_of

MODELS = "models_present"
_MAX_SNAPSHOTS = 20
_REMEDY = "check a model that you have by its path: `selfhost check ./model.gguf`"
# the models of a store, None for one that could not be read
Models = Iterator[PresentModel | None]


class Place(NamedTuple):
    """A folder where models go.

    `why`: what decided on the path, or where that is "", why it is not known. `account`: who stores
    the models, None where it is the account that asks.
    """

    path: str
    why: str
    account: str | None = None


_NO_HOME = Place("", "no home folder of its account is known")


def places(host: Host) -> dict[str, Place]:
    """By the purpose of a disk, and LM Studio's; without those below a home that is not set."""
    # models of whisper.cpp go where the download script is told to put them
    folders = {"whisper.cpp": Place(".", "whisper.cpp has no folder of its own")}
    table = shipped_table("present")
    for row in table["store"]:
        variable = row.get("variable", "")
        above = host.env.get(variable) if variable else host.home
        for store in row["of"] if above else ():
            path = host.paths.join(above, *row["below"])
            folders.setdefault(store, Place(path, variable or "default"))
    if hub := folders.get("huggingface"):
        # llama.cpp expands neither `~` nor variables
        path = hub.path
        if "~" in path or "$" in path:
            path = re.sub(r"^~(?=$|[/\\])", lambda _: host.home or "~", path)
            path = re.sub(
                r"\$(\w+|\{\w+\})", lambda n: host.env.get(n[1].strip("{}"), n[0]), path
            )
        folders["huggingface"] = Place(path, hub.why)
    unit = next((file for file in table["ollama_units"] if host.read_text(file)), None)
    if unit and host.system == "linux":
        folders["ollama"] = _service_place(host, unit)
    elif host.system == "linux" and host.exists("/snap/ollama/current"):
        why = "the snap's own folder, unless `snap get ollama models` says another"
        folders["ollama"] = Place("/var/snap/ollama/common/models", why, "root")
    return folders


def _service_place(host: Host, unit: str) -> Place:
    """Of Ollama's service, which has its own account and variables (ollama/ollama#2676)."""
    folder = f"{unit}.d"
    files = [
        f"{folder}/{name}" for name in host.listdir(folder) if name.endswith(".conf")
    ]
    texts = {file: host.read_text(file) for file in (unit, *files)}
    closed = [
        file for file in files if not texts[file] and "is empty" not in host.why[file]
    ]
    if closed or (folder in host.why and host.exists(folder)):
        return Place("", host.why[closed[0] if closed else folder])
    # the last setting wins
    text = "\n".join(texts.values())
    account = ["root", *re.findall(r"(?m)^User=\s*(\S+)", text)][-1]
    if paths := re.findall(
        r'(?m)^Environment=.*?\bOLLAMA_MODELS=([^"\n]*?)(?:"|\s|$)', text
    ):
        return Place(paths[-1], f"OLLAMA_MODELS in {unit}", account)
    rows = [line.split(":") for line in host.read_text("/etc/passwd").splitlines()]
    home = next((row[5] for row in rows if row[0] == account and len(row) > 5), "")
    is_known = home[:1] == "/"
    return (
        Place(f"{home}/.ollama/models", f"home of {unit}", account)
        if is_known
        else _NO_HOME
    )


def read_disks(host: Host, facts: Facts) -> None:
    """One disk a purpose; each that cannot be read has its own reason."""
    folders, disks = host.within(lambda: places(host)), list[Disk]()
    for purpose in PURPOSES:
        place, fact = folders.get(purpose, _NO_HOME), f"disks.{purpose}"
        if not place.path:
            facts.put(fact, None, why=f"its folder is not known: {place.why}")
            continue
        folder, space, writable = place.path, dict[str, Any](), None
        failure = "the volume did not say"
        try:
            folder, space, writable = host.within(partial(_look, host, place))
        except (OSError, ValueError) as error:
            failure = reason_of(error)
        if space and not space["total_bytes"]:
            space, failure = {}, "its file system reports no size"
        if writable is None:
            reason = (
                f"whether this account may write to {folder} is not known: {failure}"
            )
            facts.put(f"{fact}.writable", None, why=reason)
        if not space:
            facts.put(
                f"{fact}.free_bytes", None, why=f"free space of {folder}: {failure}"
            )
        call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
        facts.sources[fact] = f"{place.why}; {call} of {folder}"
        # of a folder that could not be looked up, the mount that its name states
        mount = host.mount_of(folder)
        disk = Disk(
            purpose=purpose,
            path=place.path,
            free_bytes=space.get("free_bytes"),
            total_bytes=space.get("total_bytes"),
            filesystem=(mount.filesystem or None) if mount else None,
            writable=writable,
        )
        if mount:
            words = {"network": ", on a network", "memory": ", which is RAM"}.get(
                disk.kind, ""
            )
            facts.sources[fact] += f"; {mount.filesystem} on {mount.point}{words}"
        disks.append(disk)
    source = "each place has its own entry, disks.<purpose>"
    unknown = "no place where a runtime stores models is known"
    facts.put("disks", tuple(disks) or None, source, unknown)


def _look(host: Host, place: Place) -> tuple[str, dict[str, Any], bool | None]:
    """The nearest folder upwards that exists, its volume, and whether it can be stored there."""
    folder = wanted = host.resolve(place.path)
    while not host.exists(folder) and host.paths.dirname(folder) != folder:
        folder = host.paths.dirname(folder)
    volume, mount = host.mount_of(wanted), host.mount_of(folder)
    if host.live and volume and volume != mount:
        raise OSError(f"the volume at {volume.point} cannot be looked at")
    space = host.ask("space", folder) or {}
    # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
    if space and "microsoft" in host.release and host.exists("/mnt/c"):
        outer = host.ask("space", "/mnt/c") or space
        space = {**space, "free_bytes": min(space["free_bytes"], outer["free_bytes"])}
    if mount and mount.read_only:
        return folder, space, False
    # what a service's own account stores is judged by space and mount alone
    return folder, space, bool(place.account and space) or host.ask("writable", folder)


def read_models(host: Host, facts: Facts) -> None:
    """Every model in a store; `models_present.<store>` says why one was not read whole."""
    models, folders = list[PresentModel](), host.within(lambda: places(host))
    stores = {store: folders[store].path for store in _SEARCHES if store in folders}
    if stores.get("llama.cpp") == stores.get("huggingface"):
        stores.pop("llama.cpp", None)
    # what a recorded tree does not hold is not known to be missing on its machine
    stores = {store: at for store, at in stores.items() if host.live or host.exists(at)}
    for store, folder in stores.items():
        entries, why = list[PresentModel | None](), ""
        try:
            if not folder:
                raise ValueError(folders[store].why)
            entries = host.within(partial(list, _SEARCHES[store](host, folder, store)))
            models += filter(None, entries)
        except (OSError, ValueError) as error:
            why = f"its folder could not be read: {reason_of(error)}"
        if unreadable := entries.count(None):
            why = f"{unreadable:,} of its models could not be read"
        if why:
            facts.put(f"{MODELS}.{store}", None, "", why, _REMEDY)
    if any(model.complete is None for model in models):
        reason = (
            "no record says whether such files are complete: their size is compared"
        )
        facts.put(f"{MODELS}.complete", None, why=reason)
    source = f"names and sizes in the folders of {', '.join(stores)}"
    why = "the recorded tree has none of the folders where models are stored"
    if host.live:
        why = "no home folder is set"
    facts.put(MODELS, tuple(models) if stores else None, source, why)


def _files(host: Host, folder: str, depth: int) -> dict[str, int]:
    files: dict[str, int] = {}
    for name, size in host.sizes(folder).items():
        if size is not None:
            files[name] = size
        elif depth:
            inner = _files(host, host.paths.join(folder, name), depth - 1)
            files.update({f"{name}/{file}": size for file, size in inner.items()})
    return files


def _folder_names(host: Host, *parts: str) -> list[str]:
    return [name for name, size in host.sizes(*parts).items() if size is None]


def _weights(files: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Every GGUF model alone, all other weights of a folder as one: fields of `PresentModel`."""
    table = shipped_table("present")["model_files"]
    for parts in sorted(
        {numbered_files(n) for n in files if n.lower().endswith(".gguf")}
    ):
        sizes = [files.get(part, 0) for part in parts]
        kind = re.search(table["quantization"], re.sub(SHARD, r"\1\4", parts[0]))
        own = kind[1].upper().replace("FP16", "F16") if kind else None
        if any(sizes):
            values = {"file": parts[0], "quantization": own, "size_bytes": sum(sizes)}
            yield {**values, "complete": all(sizes)}
    names = [
        n for n in files if not n.rpartition("/")[2].startswith(tuple(table["others"]))
    ]
    kinds = (
        [name for name in names if re.fullmatch(kind, name)]
        for kind in table["weights"]
    )
    if weights := next(filter(None, kinds), None):
        sizes = [
            files.get(p, 0)
            for p in {p for name in weights for p in numbered_files(name)}
        ]
        complete = _is_whole(files, weights[0]) if all(sizes) else False
        yield {"size_bytes": sum(sizes), "complete": complete}


def _is_whole(files: Mapping[str, int], first: str) -> bool | None:
    """Whether names say that nothing is missing; None where none does."""
    is_split = any(name.endswith(".index.json") for name in files)
    is_sure = "config.json" in files and (
        not is_split or re.fullmatch(SHARD, first) is not None
    )
    return first.startswith("consolidated") or is_sure or None


def _search_hub(host: Host, hub: str, store: str) -> Models:
    """`models--ORG--NAME`, each with `refs` and `snapshots`."""
    for name in _folder_names(host, hub):
        if not name.startswith("models--"):
            continue
        folder = host.paths.join(hub, name)
        repository = name.removeprefix("models--").replace("--", "/")
        try:
            # the snapshot that `refs/main` names, else the one with most bytes
            below = host.paths.join(folder, "snapshots")
            commits = _folder_names(host, below)
            main = host.read_text(host.paths.join(folder, "refs", "main"), 100).strip()
            commits = [main] if main in commits else commits[:_MAX_SNAPSHOTS]
            # folders below hold weights, too: `transformer/`, `UD-Q4_K_XL/`
            every = [_files(host, host.paths.join(below, name), 2) for name in commits]
            sets = list(
                _weights(max(every, key=lambda each: sum(each.values()), default={}))
            )
        except OSError:
            yield None
            continue
        for weights in sets:
            yield PresentModel(
                path=folder, repository=repository, store=store, **weights
            )


def _search_lm_studio(host: Host, folder: str, store: str) -> Models:
    """`PUBLISHER/NAME/FILE`, where no file is known to be whole."""
    for publisher in _folder_names(host, folder):
        for name in _folder_names(host, folder, publisher):
            place = host.paths.join(folder, publisher, name)
            for weights in _weights(_files(host, place, 1)):
                path = host.paths.join(place, weights.get("file", ""))
                weights["complete"] = None if weights["complete"] else False
                repository = f"{publisher}/{name}"
                yield PresentModel(
                    path=path, repository=repository, store=store, **weights
                )


def _search_ollama(host: Host, folder: str, store: str) -> Models:
    """`manifests/REGISTRY/NAMESPACE/NAME/TAG`, each a list of layers: whole `blobs/sha256-…`."""
    manifests = _files(host, host.paths.join(folder, "manifests"), 4)
    blobs = host.sizes(folder, "blobs") if manifests else {}
    for parts in (path.split("/") for path, size in sorted(manifests.items()) if size):
        if len(parts) < 3:
            continue
        path = host.paths.join(folder, "manifests", *parts)
        layers = _layers(host.read_object(path))
        if not layers:
            yield None
        if not any(kind.endswith((".model", ".tensor")) for _, _, kind in layers):
            # a model of Ollama's cloud has no weights here
            continue
        # a name that is no blob's could lead anywhere
        config = layers[-1][0] if layers[-1][0] in blobs else ""
        stated = host.read_object(host.paths.join(folder, "blobs", config)).get(
            "file_type"
        )
        here = [size for blob, size, _ in layers if blobs.get(blob) == size]
        registry, *names, tag = parts
        name = "/".join((registry, *names)).removeprefix("registry.ollama.ai/")
        yield PresentModel(
            path=path,
            size_bytes=sum(here),
            total_bytes=sum(size for _, size, _ in layers),
            repository="/".join(names)
            if registry in ("hf.co", "huggingface.co")
            else None,
            tag=f"{name.removeprefix('library/')}:{tag}",
            complete=len(here) == len(layers),
            store=store,
            quantization=str(stated)[:40] if stated else None,
        )


def _layers(manifest: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """File in `blobs`, bytes and media type of each, the config last; none of a bad manifest."""
    try:
        layers = [
            (each["digest"].replace(":", "-"), each["size"], str(each.get("mediaType")))
            for each in (*(manifest.get("layers") or ()), manifest["config"])
        ]
    except (AttributeError, KeyError, TypeError):
        return []
    return (
        layers if all(type(size) is int and size >= 0 for _, size, _ in layers) else []
    )


_SEARCHES: dict[str, Callable[[Host, str, str], Models]] = {
    "huggingface": _search_hub,
    "llama.cpp": _search_hub,
    "ollama": _search_ollama,
    LM_STUDIO: _search_lm_studio,
}


def read_runtimes(host: Host, facts: Facts) -> None:
    """The runtimes that are here; () where none was seen, unread where nothing was searched."""
    table, join = shipped_table("present"), host.paths.join
    usual, apps = (
        [path.replace("~", host.home, 1) for path in table[key].get(host.system, ())]
        for key in ("folders", "lm_studio")
    )
    listed = dict.fromkeys(
        (*host.env.get("PATH", "").split(host.paths.pathsep), *usual)
    )
    folders = list(filter(host.paths.isabs, listed))
    suffix = ".exe" if host.system == "windows" else ""
    programs = [
        (name, join(folder, f"{command}{suffix}"))
        for folder in folders
        for command, name in table["commands"].items()
    ]
    programs += [(LM_STUDIO, path) for path in apps]
    runtimes = host.within(lambda: _search_runtimes(host, programs))
    is_searched = (
        runtimes
        or host.ask("python_path") is not None
        or any(map(host.exists, folders))
    )
    value = tuple(runtimes[name] for name in sorted(runtimes)) if is_searched else None
    where = "commands in PATH and the usual folders; packages of this and of other environments"
    reason = "the recorded tree has none of the folders where runtimes are installed"
    facts.put("runtimes", value, where, reason)


def _search_runtimes(
    host: Host, programs: list[tuple[str, str]]
) -> dict[str, PresentRuntime]:
    """By programs and by packages beside them, in the active environment and beside the work."""
    runtimes: dict[str, PresentRuntime] = {}
    join, dirname = host.paths.join, host.paths.dirname
    prefixes = [host.env.get("VIRTUAL_ENV", ""), host.env.get("CONDA_PREFIX", "")]
    prefixes = [
        *filter(host.paths.isabs, prefixes),
        join(host.ask("cwd") or "/", ".venv"),
    ]
    for name, path in reversed(programs):
        if host.exists(path, lambda real: os.access(real, os.X_OK)):
            runtimes[name] = PresentRuntime(id=name, path=path)
            prefixes.insert(0, dirname(dirname(host.resolve(path))))
    folders, packages = list[str](), shipped_table("present")["distributions"]
    for library in (join(prefix, "lib") for prefix in prefixes):
        # Windows has no folder of a version between the two
        names = [
            "",
            *(name for name in host.listdir(library) if name.startswith("python3")),
        ]
        folders += [join(library, name, "site-packages") for name in names]
    for folder in (*folders, *(host.ask("python_path") or ())):
        # `mlx_lm-0.32.2.dist-info`
        for entry in (
            name for name in host.listdir(folder) if name.endswith(".dist-info")
        ):
            package, _, version = entry.removesuffix(".dist-info").partition("-")
            runtime = packages.get(package.lower().replace("_", "-").replace(".", "-"))
            if runtime and version:
                path = join(folder, entry)
                first = runtimes.setdefault(
                    runtime, PresentRuntime(id=runtime, path=path)
                )
                runtimes[runtime] = first.replace(version=first.version or version)
    return runtimes
