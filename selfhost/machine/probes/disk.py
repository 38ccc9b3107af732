"""Disks: where each runtime would store models, and how much is free there."""

from __future__ import annotations

import errno
import re

from ...core.records import Record
from ...core.units import decimal
from ..record import LM_STUDIO, NETWORK_FILESYSTEMS, Disk
from .host import PERHAPS, SET_DISK, Found, Host, Mount, Quota, Space
from .medium import Medium, medium_of_folder

DISKS = "disks"
# options of a mounted file system that hold accounts to less than what is free (mount(8), xfs(5)); of a project's quota statvfs knows
QUOTAS = ("usrquota", "grpquota", "uquota", "gquota", "quota", "usrjquota", "grpjquota")
# file systems whose quotas may be on although no option of the mount says so: quotaon(8) of a hidden file; btrfs' quota groups
QUIET_QUOTAS = frozenset(("ext2", "ext3", "ext4", "f2fs", "btrfs", "bcachefs"))
MAX_SHOWN = 300
UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


SNAP_MODELS = "/var/snap/ollama/common/models"


class Place(Record):
    """Where models of one purpose go, and what decided it. `account` stores them, where it is not the one asking."""

    path: str
    why: str
    account: str | None = None


def _join(host: Host, *parts: str) -> str:
    return str(host.paths.join(*parts))


def _expand(host: Host, text: str) -> str:
    """`~` and `$NAME`, as huggingface_hub expands them."""
    home = host.home()
    if home and (text == "~" or text.startswith(("~/", "~\\"))):
        text = home + text[1:]
    return re.sub(r"\$(\w+|\{\w+\})", lambda match: host.env.get(match[1].strip("{}"), match[0]), text)


def _cache(host: Host) -> Place | None:
    """The user's cache folder, as huggingface_hub and llama.cpp find it on every system."""
    if host.env.get("XDG_CACHE_HOME"):
        return Place(path=host.env["XDG_CACHE_HOME"], why="XDG_CACHE_HOME")
    home = host.home()
    return Place(path=_join(host, home, ".cache"), why="default") if home else None


def _hub(host: Host, expand: bool) -> Place | None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if host.env.get(name):
            return Place(path=_expand(host, host.env[name]) if expand else host.env[name], why=name)
    if host.env.get("HF_HOME"):
        home = host.env["HF_HOME"]
        return Place(path=_join(host, _expand(host, home) if expand else home, "hub"), why="HF_HOME")
    cache = _cache(host)
    if cache is None:
        return None
    return Place(path=_join(host, _expand(host, cache.path) if expand else cache.path, "huggingface", "hub"), why=cache.why)


def huggingface(host: Host) -> Place | None:
    """Order of huggingface_hub 2.4.0 (its constants.py); transformers, vLLM, diffusers and MLX use it."""
    return _hub(host, True)


def llama_cpp(host: Host) -> Place | None:
    """Order of llama.cpp's common/hf-cache.cpp (`-hf`), which expands neither `~` nor variables."""
    if host.env.get("LLAMA_CACHE"):
        return Place(path=host.env["LLAMA_CACHE"], why="LLAMA_CACHE")
    return _hub(host, False)


def parse_unit(text: str) -> dict[str, str]:
    """`User` and the variables of a systemd unit's [Service], the last one given winning."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key == "User":
            found["User"] = value.strip()
        elif equals and key == "Environment":
            for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)', value):
                name, sign, setting = (quoted or bare).partition("=")
                if sign:
                    found["$" + name] = setting
    return found


def _home_of(host: Host, account: str) -> str | None:
    for line in (host.read_text("/etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[0] == account and fields[5].startswith("/"):
            return fields[5]
    return None


def ollama(host: Host) -> Place | None:
    """The server's folder: as a service it has its own account and variables, which this shell does not see (ollama/ollama#2676)."""
    if host.system == "linux":
        for folder in UNITS:
            text = host.read_text(f"{folder}/ollama.service")
            if text is None:
                continue
            for drop in host.listdir(f"{folder}/ollama.service.d", r".*\.conf$") or ():
                text += "\n" + (host.read_text(f"{folder}/ollama.service.d/{drop}") or "")
            unit = parse_unit(text)
            account = unit.get("User", "root")
            host.hide(account)
            if unit.get("$OLLAMA_MODELS"):
                return Place(path=unit["$OLLAMA_MODELS"], why=f"OLLAMA_MODELS in {folder}/ollama.service", account=account)
            home = unit.get("$HOME") or _home_of(host, account)
            if home:
                return Place(path=_join(host, home, ".ollama", "models"), why=f"home of {folder}/ollama.service's account", account=account)
            return None
        if host.exists("/snap/ollama/current"):
            # the snap's service makes it when it is installed (ollama/ollama#2432: snap/hooks/install)
            return Place(path=SNAP_MODELS, why="the snap's own folder, unless `snap get ollama models` says another", account="root")
    if host.env.get("OLLAMA_MODELS"):
        return Place(path=host.env["OLLAMA_MODELS"], why="OLLAMA_MODELS")
    home = host.home()
    return Place(path=_join(host, home, ".ollama", "models"), why="default") if home else None


def whisper_cpp(host: Host) -> Place | None:
    """It has no place of its own: models go where the download script is told to put them."""
    return Place(path=".", why="whisper.cpp has no folder of its own: the current one is judged")


def lm_studio(host: Host) -> Place | None:
    """LM Studio's folder of models; None where it was never started here, for then it has none."""
    from .present import lm_studio_home, lm_studio_models

    home = lm_studio_home(host)
    folder = lm_studio_models(host) if home and host.exists(home) else None
    return Place(path=folder, why="its settings, or its default") if folder else None


# by the names that `store` has in specs/runtimes
PLACES = {"huggingface": huggingface, "llama.cpp": llama_cpp, "ollama": ollama, "whisper.cpp": whisper_cpp}


def nearest_folder(host: Host, path: str) -> str:
    """The nearest folder that exists, upwards from `path`: a download would make the rest."""
    while not host.exists(path):
        above = host.paths.dirname(path)
        if above == path:
            break
        path = above
    return path


def _look(host: Host, place: Place) -> tuple[str, Space | None, bool | None]:
    folder = nearest_folder(host, host.resolve(place.path))
    if host.exists(folder) and not host.is_folder(folder):
        # nothing can be made in it, whoever asks
        return folder, None, False
    return folder, host.space(folder), host.can_write(folder)


def _windows_drive_free(host: Host, space: Space) -> Space:
    """Under WSL2 the disk is a file that grows on the Windows drive: no more is free than there (microsoft/WSL#4373)."""
    try:
        outer = host.space("/mnt/c") if host.exists("/mnt/c") else None
    except OSError:
        outer = None
    return space.replace(free_bytes=min(space.free_bytes, outer.free_bytes)) if outer else space


def read_disks(host: Host, found: Found) -> None:
    """One disk a purpose; each that cannot be read has its own reason."""
    disks = []
    for purpose, find in (*PLACES.items(), (LM_STUDIO, lm_studio)):
        fact = f"{DISKS}.{purpose}"
        try:
            place = host.within(lambda find=find: find(host))  # type: ignore[misc]
        except (OSError, ValueError) as error:
            found.miss(fact, f"its folder could not be looked up: {_said(error)}")
            continue
        if place is None and purpose == LM_STUDIO:
            continue
        if place is None:
            found.miss(fact, "its folder is not known: no home folder is set", SET_DISK)
            continue
        disks.append(_disk(host, found, purpose, fact, place))
    if disks:
        found.put(DISKS, tuple(disks), "each place has its own entry, disks.<purpose>")
    else:
        found.miss(DISKS, "no place where a runtime stores models is known", SET_DISK)


def has_quotas(options: str) -> bool:
    """Whether quotas of users or groups are on, by a mount's own options: `rw,usrquota`, `rw,usrjquota=aquota.user,jqfmt=vfsv1`."""
    return any(option.partition("=")[0] in QUOTAS for option in options.split(","))


def _quota(host: Host, found: Found, fact: str, place: Place, folder: str, mount: Mount, space: Space) -> tuple[Quota | None, str]:
    """The quota that leaves less than is free, None without one; and why quotas that no option of the mount states were not asked."""
    stated, groups = has_quotas(mount.options), mount.filesystem == "btrfs"
    if not stated and mount.filesystem not in QUIET_QUOTAS:
        return None, ""
    reason = f"{mount.point} has quotas, and what they leave to {'that service' if place.account else 'this'} account is not read"
    remedy = "`quota -s` tells it"
    try:
        if place.account is not None and not groups:
            if host.within(lambda: host.quotas_on(folder)):
                found.miss(fact, f"{reason}: the kernel tells it to that account alone", remedy)
            return None, ""
        limits = host.within(lambda: host.quotas(folder))
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSYS, errno.ESRCH):
            # none is on, whatever the options state
            return None, ""
        if stated:
            found.miss(fact, f"{reason}: {_said(error)}", remedy)
        return None, "" if stated or number == errno.ENODATA else f"whether quotas are on could not be asked: {_said(error)}"
    tightest = min((limit for limit in limits if limit.kind != PERHAPS), key=lambda limit: limit.left_bytes, default=None)
    if tightest is not None and tightest.left_bytes >= space.free_bytes:
        tightest = None
    left_bytes = tightest.left_bytes if tightest is not None else space.free_bytes
    perhaps = min((limit.left_bytes for limit in limits if limit.kind == PERHAPS), default=left_bytes)
    if perhaps < left_bytes:
        reason = f"a quota group on {mount.point} leaves {decimal(perhaps)} to what belongs to it, and whether this folder does is not told"
        found.miss(f"{fact}_above", reason, "`sudo btrfs qgroup show -pre FOLDER` tells it")
    return tightest, ""


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _disk(host: Host, found: Found, purpose: str, fact: str, place: Place) -> Disk:
    folder, space, writable, failure, remedy = place.path, None, None, "the volume did not say", SET_DISK
    # TimeoutError is an OSError
    try:
        folder, space, writable = host.within(lambda: _look(host, place))
        if space is None and writable is False:
            failure, remedy = "it is a file, not a folder", "put a folder there, or name another"
        if space and host.system == "linux" and "microsoft" in host.release().lower():
            inner = space
            space = host.within(lambda: _windows_drive_free(host, inner))
    except (OSError, ValueError) as error:
        failure = _said(error)
        if getattr(error, "errno", None) == errno.ENOLINK:
            remedy = "make that folder, or remove the link"
    # a folder that could not be looked up is on the mount its name tells, if its name is a whole one
    mount = host.mount_of(folder) if host.paths.isabs(folder) else None
    # macOS mounts / read-only and yet stores under it: there the volume's own word counts
    read_only = bool(space and space.read_only) or bool(mount and mount.read_only and host.system == "linux")
    if read_only:
        writable = False
    elif place.account is not None and space is not None:
        writable = True
    answered = space is not None
    # what is said of a folder must outlast its name
    shown = folder if len(folder) <= MAX_SHOWN else folder[: MAX_SHOWN - 1] + "…"
    free_files = space.free_files if space else None
    if space is not None and space.total_bytes == 0:
        # what has no size has no room that could be counted (statfs(2): "undefined" fields are 0)
        space, failure = None, "its file system tells no size, as a ramfs, a tmpfs of size=0 and some of FUSE do"
    if space is None:
        found.miss(f"{fact}.free_bytes", f"free space of {shown}: {failure}", remedy)
    beneath = _medium(host, mount, space) if mount is not None and host.system == "linux" else None
    if beneath is not None and beneath.in_memory is None:
        reason = f"whether files in {shown} take RAM is not told: {beneath.why}"
        found.miss(f"{fact}.backing", reason, "`findmnt -T FOLDER` shows what it lies on; or name a folder on a disk")
    quota, unasked = None, ""
    if space is not None and mount is not None:
        quota, unasked = _quota(host, found, f"{fact}.quota", place, folder, mount, space)
    if quota is not None:
        # as statvfs does for a project's
        space = space and space.replace(free_bytes=quota.left_bytes, total_bytes=min(space.total_bytes, quota.limit_bytes))
    if writable is None:
        reason = "is not told by the system" if answered else f"is not known: {failure}"
        found.miss(f"{fact}.writable", f"whether this account may write to {shown} {reason}", remedy)
    words = [f"{place.why}; {'statvfs' if host.system != 'windows' else 'GetDiskFreeSpaceEx'} of {folder}"]
    if mount:
        kind = mount.filesystem
        words.append(
            f"{kind} on {mount.point}"
            + ", a network volume" * (kind in NETWORK_FILESYSTEMS)
            + (f", whose files lie on {beneath.backing}" if beneath and beneath.backing else "")
            + ", which is RAM" * bool(beneath and beneath.in_memory)
        )
    if quota is not None:
        words.append(
            f"limited by the {quota.kind}'s quota: {decimal(quota.used_bytes)} of {decimal(quota.limit_bytes)} are taken"
            f" ({'/sys/fs/btrfs' if quota.kind == 'subvolume' else 'quotactl'})"
        )
    if unasked:
        words.append(unasked)
    if place.account is not None:
        name = f" {place.account}" if place.account in ("root", "ollama") else ""
        words.append(f"the service account{name} stores them: judged by space and mount alone")
    found.note(fact, "; ".join(words))
    return Disk(
        purpose=purpose,
        path=host.clean(place.path),
        free_bytes=space.free_bytes if space else None,
        total_bytes=space.total_bytes if space else None,
        filesystem=host.clean(mount.filesystem) if mount and mount.filesystem else None,
        writable=writable,
        quota=quota.kind if quota else None,
        backing=beneath.backing if beneath else None,
        free_files=free_files,
    )


def _medium(host: Host, mount: Mount, space: Space | None) -> Medium:
    """Where files stored on `mount` lie; without an answer in time it is not told."""
    try:
        return host.within(lambda: medium_of_folder(host, mount, space))
    except (OSError, ValueError) as error:
        return Medium(in_memory=None, why=_said(error))
