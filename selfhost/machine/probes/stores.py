"""Where each runtime stores its models, by its own variables, its service's unit files and the
folders it takes by default; and how much is free on the disks there.
"""

from __future__ import annotations

import os
import re
from typing import Any

from ...core.records import Record
from ..record import SET_DISK, Disk
from .host import Facts, Host, reason_of

_UNITS = tuple(
    f"{folder}/systemd/system/ollama.service"
    for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
)
_MAX_SHOWN = 300


class Place(Record):
    """Where models go, and what decided it; `account` stores them, if it is not the one asking."""

    path: str
    why: str
    account: str | None = None


def huggingface(host: Host) -> Place | None:
    """Order of huggingface_hub 2.4.0 (its constants.py), which expands `~` and `$NAME`."""
    hub, home = _hub(host), host.home()
    if hub is None:
        return None
    path = re.sub(r"^~(?=$|[/\\])", lambda _: home or "~", hub.path)
    path = re.sub(r"\$(\w+|\{\w+\})", lambda name: host.env.get(name[1].strip("{}"), name[0]), path)
    return hub.replace(path=path)


def llama_cpp(host: Host) -> Place | None:
    """Order of llama.cpp's common/hf-cache.cpp (`-hf`), which expands neither `~` nor variables."""
    own = host.env.get("LLAMA_CACHE")
    return Place(path=own, why="LLAMA_CACHE") if own else _hub(host)


def _hub(host: Host) -> Place | None:
    below = {
        "HF_HUB_CACHE": (),
        "HUGGINGFACE_HUB_CACHE": (),
        "HF_HOME": ("hub",),
        "XDG_CACHE_HOME": ("huggingface", "hub"),
    }
    for name, parts in below.items():
        if host.env.get(name):
            return Place(path=host.join(host.env[name], *parts), why=name)
    return _default(host, ".cache", "huggingface", "hub")


def _default(host: Host, *parts: str) -> Place | None:
    home = host.home()
    return Place(path=host.join(home, *parts), why="default") if home else None


def ollama(host: Host) -> Place | None:
    """The server's folder: a service has its own account and variables (ollama/ollama#2676)."""
    file = next((file for file in _UNITS if host.read_text(file)), None)
    if host.system == "linux" and file:
        return _service_place(host, file)
    if host.system == "linux" and host.exists("/snap/ollama/current"):
        why = "the snap's own folder, unless `snap get ollama models` says another"
        return Place(path="/var/snap/ollama/common/models", why=why, account="root")
    if host.env.get("OLLAMA_MODELS"):
        return Place(path=host.env["OLLAMA_MODELS"], why="OLLAMA_MODELS")
    return _default(host, ".ollama", "models")


def _service_place(host: Host, file: str) -> Place | None:
    """By a systemd unit and the files beside it that change it; the last setting wins."""
    files = [f"{file}.d/{name}" for name in host.listdir(f"{file}.d") if name.endswith(".conf")]
    unit = "\n".join(host.read_text(path) or "" for path in (file, *files))
    account = ["root", *re.findall(r"(?m)^User=\s*(\S+)", unit)][-1]
    host.accounts.add(account)
    if paths := re.findall(r'(?m)^Environment=.*?\bOLLAMA_MODELS=([^"\n]*?)(?:"|\s|$)', unit):
        return Place(path=paths[-1], why=f"OLLAMA_MODELS in {file}", account=account)
    rows = [line.split(":") for line in (host.read_text("/etc/passwd") or "").splitlines()]
    home = next((row[5] for row in rows if row[0] == account and len(row) > 5), "")
    path = host.join(home, ".ollama", "models")
    return Place(path=path, why=f"home of {file}", account=account) if home[:1] == "/" else None


def lm_studio(host: Host) -> Place | None:
    """LM Studio's usual folder of models, where the program's home is there."""
    place = _default(host, ".lmstudio", "models")
    return place if place and host.exists(host.paths.dirname(place.path)) else None


# by the names that `store` has in specs/runtimes
PLACES = {
    "huggingface": huggingface,
    "llama.cpp": llama_cpp,
    "ollama": ollama,
    # models go where the download script is told to put them
    "whisper.cpp": lambda _: Place(path=".", why="whisper.cpp has no folder of its own"),
}


# ------------------------------------------------------------------ disks


def read_disks(host: Host, facts: Facts) -> None:
    """One disk a purpose; each that cannot be read has its own reason."""
    disks = []
    for purpose, find in PLACES.items():
        fact = f"disks.{purpose}"
        try:
            place = host.within(lambda find=find: find(host))  # type: ignore[misc]
        except (OSError, ValueError) as error:
            facts.miss(fact, f"its folder could not be looked up: {reason_of(error)}")
            continue
        if place is None:
            facts.miss(fact, "its folder is not known: no home folder is set", SET_DISK)
        else:
            disks.append(_read_disk(host, facts, purpose, place))
    unknown = "no place where a runtime stores models is known"
    source = "each place has its own entry, disks.<purpose>"
    facts.settle("disks", tuple(disks) or None, source, unknown, SET_DISK)


def _read_disk(host: Host, facts: Facts, purpose: str, place: Place) -> Disk:
    fact, folder, space, writable = f"disks.{purpose}", place.path, None, None
    failure = "the volume did not say"
    try:
        folder, space, writable = host.within(lambda: _look(host, place))
    except NotADirectoryError as error:
        writable, failure = False, str(error)
    except (OSError, ValueError) as error:
        failure = reason_of(error)
    if space is not None and not space["total_bytes"]:
        space, failure = None, "its file system tells no size"
    shown = folder if len(folder) <= _MAX_SHOWN else folder[: _MAX_SHOWN - 1] + "…"
    if writable is None:
        reason = f"whether this account may write to {shown} is not known: {failure}"
        facts.miss(f"{fact}.writable", reason, SET_DISK)
    disk = Disk(purpose=purpose, path=place.path, writable=writable)
    if space is None:
        facts.miss(f"{fact}.free_bytes", f"free space of {shown}: {failure}", SET_DISK)
    else:
        disk = disk.replace(free_bytes=space["free_bytes"], total_bytes=space["total_bytes"])
    call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
    facts.sources[fact] = f"{place.why}; {call} of {folder}"
    # of a folder that could not be looked up, the mount that its name states
    if host.paths.isabs(folder) and (mount := host.mount_of(folder)):
        disk = disk.replace(filesystem=mount.filesystem or None)
        words = (", on a network" * disk.on_network) + (", which is RAM" * disk.in_memory)
        facts.sources[fact] += f"; {mount.filesystem} on {mount.point}{words}"
    return disk


def _look(host: Host, place: Place) -> tuple[str, dict[str, Any] | None, bool | None]:
    """The nearest folder upwards that exists, its volume, and whether it can be stored there."""
    folder = host.resolve(place.path)
    while not host.exists(folder) and host.paths.dirname(folder) != folder:
        folder = host.paths.dirname(folder)
    if host.exists(folder) and not host.exists(folder, os.path.isdir):
        raise NotADirectoryError("it is a file, not a folder")
    space = host.ask("space", folder)
    # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
    if space and "microsoft" in host.release() and host.exists("/mnt/c"):
        outer = host.ask("space", "/mnt/c") or space
        space = {**space, "free_bytes": min(space["free_bytes"], outer["free_bytes"])}
    mount = host.mount_of(folder)
    if space and mount and mount.read_only:
        return folder, space, False
    # what a service's own account stores is judged by space and mount alone
    return folder, space, bool(place.account and space) or host.ask("writable", folder)
