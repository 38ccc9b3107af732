"""Where each runtime stores its models, by its own variables, its service's unit files and the
folders it takes by default; and how much is free on the disks there.
"""

from __future__ import annotations

import os
import re

from ...core.records import Record
from ..record import LM_STUDIO, NETWORK_FILESYSTEMS, SET_DISK, Disk
from .host import Facts, Host, Mount, Space, parse_meminfo, reason_of
from .memory import MEMINFO

_UNITS = tuple(
    f"{folder}/systemd/system/ollama.service"
    for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
)
# options of a mounted file system that hold accounts to less than what is free (mount(8), xfs(5));
# of a project's quota statvfs knows
_QUOTAS = {"usrquota", "grpquota", "uquota", "gquota", "quota", "usrjquota", "grpjquota"}
# file systems that lie in folders of others, which the mount table does not name
_STACKED = ("overlay", "aufs", "unionfs", "ecryptfs", "fuse")
# block devices in RAM -> their drivers
_MEMORY_DEVICES = {"/dev/zram": "zram", "/dev/ram": "brd"}
_LOOK = "`findmnt -T FOLDER` shows what it lies on; or name a folder on a disk"
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


def whisper_cpp(host: Host) -> Place | None:
    """It has no place of its own: models go where the download script is told to put them."""
    return Place(path=".", why="whisper.cpp has no folder of its own: the current one is judged")


def lm_studio(host: Host) -> Place | None:
    """LM Studio's usual folder of models, in the older of its two homes if that is there."""
    for parts in ((".cache", "lm-studio"), (".lmstudio",)):
        place = _default(host, *parts, "models")
        if place and host.exists(host.paths.dirname(place.path)):
            return place
    return None


# by the names that `store` has in specs/runtimes
PLACES = {
    "huggingface": huggingface,
    "llama.cpp": llama_cpp,
    "ollama": ollama,
    "whisper.cpp": whisper_cpp,
}


# ------------------------------------------------------------------ disks


def read_disks(host: Host, facts: Facts) -> None:
    """One disk a purpose; each that cannot be read has its own reason."""
    disks = []
    for purpose, find in (*PLACES.items(), (LM_STUDIO, lm_studio)):
        fact = f"disks.{purpose}"
        try:
            place = host.within(lambda find=find: find(host))  # type: ignore[misc]
        except (OSError, ValueError) as error:
            facts.miss(fact, f"its folder could not be looked up: {reason_of(error)}")
            continue
        if place is not None:
            disks.append(_read_disk(host, facts, purpose, place))
        elif purpose != LM_STUDIO:
            facts.miss(fact, "its folder is not known: no home folder is set", SET_DISK)
    unknown = "no place where a runtime stores models is known"
    source = "each place has its own entry, disks.<purpose>"
    facts.settle("disks", tuple(disks) or None, source, unknown, SET_DISK)


def _read_disk(host: Host, facts: Facts, purpose: str, place: Place) -> Disk:
    fact = f"disks.{purpose}"
    folder, space, writable, failure = place.path, None, None, "the volume did not say"
    try:
        folder, space, writable = host.within(lambda: _look(host, place))
    except NotADirectoryError as error:
        writable, failure = False, str(error)
    except (OSError, ValueError) as error:
        failure = reason_of(error)
    if space is not None and not space.total_bytes:
        space, failure = None, "its file system tells no size"
    shown = folder if len(folder) <= _MAX_SHOWN else folder[: _MAX_SHOWN - 1] + "…"
    if writable is None:
        reason = f"whether this account may write to {shown} is not known: {failure}"
        facts.miss(f"{fact}.writable", reason, SET_DISK)
    disk = Disk(purpose=purpose, path=place.path, writable=writable)
    if space is None:
        facts.miss(f"{fact}.free_bytes", f"free space of {shown}: {failure}", SET_DISK)
    else:
        names = ("free_bytes", "total_bytes", "free_files")
        disk = disk.replace(**{name: getattr(space, name) for name in names})
    call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
    facts.sources[fact] = f"{place.why}; {call} of {folder}"
    # of a folder that could not be looked up, the mount that its name states
    if host.paths.isabs(folder) and (mount := host.mount_of(folder)):
        device = next(filter(mount.source.startswith, _MEMORY_DEVICES), "")
        backing = _MEMORY_DEVICES.get(device)
        disk = disk.replace(filesystem=mount.filesystem or None, backing=backing)
        words = (", on a network" * disk.on_network) + (", which is RAM" * disk.in_memory)
        facts.sources[fact] += f"; {mount.filesystem} on {mount.point}{words}"
    if host.system == "linux":
        _miss_unseen(host, facts, fact, host.mount_of(folder), space)
    return disk


def _look(host: Host, place: Place) -> tuple[str, Space | None, bool | None]:
    """The nearest folder upwards that exists, its volume, and whether it can be stored there."""
    folder = host.resolve(place.path)
    while not host.exists(folder) and host.paths.dirname(folder) != folder:
        folder = host.paths.dirname(folder)
    if host.exists(folder) and not host.exists(folder, os.path.isdir):
        raise NotADirectoryError("it is a file, not a folder")
    space = host.space(folder)
    # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
    outer = (
        host.space("/mnt/c") if "microsoft" in host.release() and host.exists("/mnt/c") else None
    )
    if space and outer:
        space = space.replace(free_bytes=min(space.free_bytes, outer.free_bytes))
    mount = host.mount_of(folder)
    if space and (space.read_only or (mount and mount.read_only)):
        return folder, space, False
    # what a service's own account stores is judged by space and mount alone
    return folder, space, bool(place.account and space) or host.can_write(folder)


def _miss_unseen(
    host: Host, facts: Facts, fact: str, mount: Mount | None, space: Space | None
) -> None:
    """What is not read: quotas, and whether the files of a stacked file system take RAM."""
    if mount and _QUOTAS & {option.partition("=")[0] for option in mount.options.split(",")}:
        reason = f"{mount.point} has quotas, and what they leave to this account is not read"
        facts.miss(f"{fact}.quota", reason, "`quota -s` tells it")
    if mount is None:
        why = None if host.mounts() else host.why("/proc/self/mountinfo")
    else:
        why = f"{mount.point} is {mount.filesystem}, which does not tell where it keeps the files"
        why = why if _is_stacked(mount) else None
    if why is None or space is None:
        return
    # what is larger than RAM and swap is taken for a disk: a tmpfs is half the RAM unless somebody
    # set it. lxcfs tells a container's limit for the machine's RAM
    is_lxc = any(other.filesystem == "fuse.lxcfs" for other in host.mounts())
    meminfo = parse_meminfo(host.read_text(MEMINFO) or "")
    ram_bytes = meminfo.get("MemTotal", 0) + meminfo.get("SwapTotal", 0)
    if mount and not is_lxc and 0 < ram_bytes < space.total_bytes:
        facts.sources[fact] += ", taken for a disk, for it is larger than RAM and swap"
    else:
        facts.miss(f"{fact}.backing", f"whether files there take RAM is not told: {why}", _LOOK)


def _is_stacked(mount: Mount) -> bool:
    is_layer = mount.filesystem.lower().partition(".")[0] in _STACKED
    is_remote = mount.filesystem in NETWORK_FILESYSTEMS
    return mount.source.startswith("/dev/loop") or (is_layer and not is_remote)
