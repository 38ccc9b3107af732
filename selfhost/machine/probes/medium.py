"""What holds the bytes of a file system: a disk, or RAM, which a layer, a loop device or a
block device in memory may hide.
"""

from __future__ import annotations

from ...core.records import Record, pattern
from ..record import MEMORY_FILESYSTEMS, NETWORK_FILESYSTEMS
from .host import Host, Mount, Space, unescape

# file systems that lie in folders of others, which the mount table does not name
_STACKED = frozenset(("aufs", "unionfs", "ecryptfs", "fuse"))
# drivers/block/brd.c: RAMDISK_MAJOR
_RAM_DISK = "1:"
MAX_LAYERS = 16
# the smallest page of Linux: no machine has more pages of its RAM
_PAGE_BYTES = 4096


class Medium(Record):
    """`in_memory`: the files take RAM; None where that is not told, and `why`.

    `backing` is the file system or device at the bottom, None where the file system itself is that,
    or where it is not told. `guess` says why it is taken for a disk that is not to be seen; None
    where that is no guess.
    """

    in_memory: bool | None
    backing: str | None = None
    why: str | None = None
    guess: str | None = None


def option_of(mount: Mount, name: str) -> tuple[str, ...]:
    """The values of an option of the file system itself, in which the kernel writes commas and
    spaces in octal (seq_show_option).
    """
    pairs = (word.partition("=") for word in mount.options.split(","))
    return tuple(unescape(value) for key, sign, value in pairs if sign and key == name)


def as_typed(layer: str) -> str:
    """A layer's name without the backslashes that overlayfs wants before commas and colons, and
    shows again.
    """
    import re

    return re.sub(r"\\(.)", r"\1", layer)


def medium_of_folder(host: Host, mount: Mount | None, space: Space | None) -> Medium:
    """Where files that are stored on `mount` from now on lie. `mount` is None where the table of
    mounts cannot be read; `space` is that of the folder, None where it is not read.
    """
    if mount is None:
        return _settled(host, _unseen(host.why("/proc/self/mountinfo")), space)
    return _settled(host, _of_mount(host, mount, None, ()), space)


def medium_of_file(host: Host, path: str) -> Medium | None:
    """Where an existing file or folder lies, by its resolved path; None where no mount table
    tells. `OSError` from the system.
    """
    mount = host.mount_of(path)
    if mount is None:
        return None
    medium = _of_mount(host, mount, path, ())
    return medium if medium.in_memory is not None else _settled(host, medium, host.space(path))


def _settled(host: Host, medium: Medium, space: Space | None) -> Medium:
    """`medium`; where it tells nothing, what the size of the volume and its free space say.

    A volume larger than RAM and swap together is a disk's or was told to be so large, for the size
    of a tmpfs is a limit that nothing holds. A disk keeps blocks for root, as ext4 does, or has
    more files than a tmpfs gets by itself, one for two pages of RAM. Where neither tells them
    apart it is a guess.
    """
    if medium.in_memory is not None or space is None or space.total_bytes == 0:
        return medium
    from .procfs import MEMINFO, parse_meminfo

    table = host.mount_of(MEMINFO)
    if table is not None and table.filesystem == "fuse.lxcfs":
        # it tells the container's limit for the machine's RAM
        return medium
    meminfo = parse_meminfo(host.read_text(MEMINFO) or "")
    memory = meminfo.get("MemTotal")
    if not memory or space.total_bytes <= memory + meminfo.get("SwapTotal", 0):
        return medium
    if _has_ram_disk_of(host, space.total_bytes):
        return medium
    if space.reserved_bytes:
        return Medium(in_memory=False)
    is_like_tmpfs = (
        space.reserved_bytes == 0
        and space.free_files is not None
        and space.free_files <= memory // _PAGE_BYTES
    )
    if is_like_tmpfs:
        return medium
    return Medium(
        in_memory=False,
        guess="taken for a disk, which is not to be seen: it is larger than RAM and swap together",
    )


def _has_ram_disk_of(host: Host, size_bytes: int) -> bool:
    """Whether this computer has a block device in RAM that is at least as large; a container
    sees them, too.
    """
    import re

    for name in host.listdir("/sys/block") or ():
        if re.fullmatch(r"z?ram\d+", name):
            sectors = (host.read_text(f"/sys/block/{name}/size") or "").strip()
            if re.fullmatch(r"[0-9]{1,18}", sectors) and int(sectors) * 512 >= size_bytes:
                return True
    return False


def _of_mount(host: Host, mount: Mount, path: str | None, above: tuple[Mount, ...]) -> Medium:
    """`path`: an existing file, None for files to come. `above`: the mounts that led here."""
    kind = mount.filesystem.lower()
    if kind in MEMORY_FILESYSTEMS:
        return Medium(in_memory=True, backing=kind if above else None)
    if mount in above or len(above) >= MAX_LAYERS:
        return _unseen(f"the layers of {above[0].point} lead back to themselves")
    above = (*above, mount)
    if kind in ("overlay", "overlayfs"):
        return _of_overlay(host, mount, path, above)
    if kind in _STACKED or (kind.startswith("fuse.") and kind not in NETWORK_FILESYSTEMS):
        return _unseen(
            f"{mount.point} is {mount.filesystem}, which does not tell where it keeps the files"
        )
    device_medium = None if kind in NETWORK_FILESYSTEMS else _of_device(host, _device(mount), above)
    return device_medium or Medium(in_memory=False, backing=kind if len(above) > 1 else None)


def _unseen(why: str) -> Medium:
    return Medium(in_memory=None, why=why)


def _of_overlay(host: Host, mount: Mount, path: str | None, above: tuple[Mount, ...]) -> Medium:
    """By its upper folder, where new files go. An existing file lies in the first layer that
    has it.
    """
    layers = option_of(mount, "upperdir")
    if not layers and path is None:
        # without one nothing is stored
        return Medium(in_memory=False)
    inside = ""
    if path is not None:
        import re

        inside = host.paths.join(
            mount.root, path[len(mount.point.rstrip("/")) :].lstrip("/")
        ).strip("/")
        lower = ":".join(option_of(mount, "lowerdir"))
        layers += tuple(part for part in re.split(r"(?<!\\):+", lower) if part)
        layers += option_of(mount, "lowerdir+")
    for layer in layers:
        beneath = host.layer(layer) if host.paths.isabs(layer) else None
        if beneath is None and "\\" in layer:
            layer = as_typed(layer)
            beneath = host.layer(layer)
        if beneath is None or beneath == mount:
            # it was mounted where the names are others: what has that name here, if anything, is
            # another folder
            return _unseen(
                f"{mount.point} is an overlay, and the folder in which its files lie is not to be"
                " seen from here"
            )
        if path is None or host.exists(host.paths.join(layer, inside)):
            return _of_mount(host, beneath, host.paths.join(layer, inside) if path else None, above)
    return _unseen(
        f"{mount.point} is an overlay, and which of its layers has the file is not to be seen from"
        " here"
    )


_DEVICE = pattern(r"/dev/((?!\.)[\w.-]+)")


def _device(mount: Mount) -> str | None:
    """The folder of sysfs that describes the block device below a mount; None without one."""
    major, _, minor = mount.device.partition(":")
    if major.isdecimal() and minor.isdecimal() and not major.startswith("0"):
        return f"/sys/dev/block/{mount.device}"
    # btrfs gives a number of its own
    named = _DEVICE.fullmatch(mount.source)
    return f"/sys/class/block/{named[1]}" if named else None


def _of_device(host: Host, device: str | None, above: tuple[Mount, ...]) -> Medium | None:
    """RAM that stands for a disk, or a file that does; None for a device that is its own."""
    if device is None:
        return None
    name = device.rpartition("/")[2]
    if name.startswith(_RAM_DISK) or (name.startswith("ram") and name[3:].isdecimal()):
        return Medium(in_memory=True, backing="brd")
    if host.exists(f"{device}/comp_algorithm"):
        return Medium(in_memory=True, backing="zram")
    file = (host.read_text(f"{device}/loop/backing_file") or "").strip("\n")
    if file:
        beneath = None if file.endswith(" (deleted)") else host.layer(file)
        if beneath is None:
            return _unseen(
                f"{above[-1].point} is a loop device, and the file that it stands for is not to be"
                " seen from here"
            )
        return _of_mount(host, beneath, file, above)
    return _of_parts(host, device, above)


def _of_parts(host: Host, device: str, above: tuple[Mount, ...]) -> Medium | None:
    """Of a device that is made of others (device mapper, md)."""
    names = host.listdir(f"{device}/slaves") or []
    if len(above) >= MAX_LAYERS:
        return None
    parts = [_of_device(host, f"/sys/class/block/{name}", (*above, above[-1])) for name in names]
    in_memory = {part.in_memory if part is not None else False for part in parts}
    if in_memory == {False} or not parts:
        return None
    if in_memory == {True}:
        return parts[0]
    why = next((part.why for part in parts if part is not None and part.why), None)
    return _unseen(why or f"{above[-1].point} is made of several devices, of which one is RAM")
