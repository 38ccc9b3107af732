"""The names of systems, processors and file systems: `specs/common/platforms.toml`."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Stated
from ..core.tables import shipped_record


class Platforms(Stated):
    """The table, whose comments say what each list is for.

    `architectures` and `systems`: other words for Linux' names. `instruction_sets`: the same, by
    architecture. `hidden`: by system, why its programs see nothing of the computer.
    `filesystems`: names of file systems by kind (`network`, `memory`, `fat`).
    """

    common_names: tuple[str, ...]
    container_groups: tuple[str, ...]
    virtual_kernels: tuple[str, ...]
    pci_names: tuple[str, ...]
    amd_names: tuple[str, ...]
    nvidia_drivers: tuple[str, ...]
    architectures: Mapping[str, str]
    instruction_sets: Mapping[str, Mapping[str, str]]
    systems: Mapping[str, str]
    hidden: Mapping[str, str]
    filesystems: Mapping[str, tuple[str, ...]]


def platforms() -> Platforms:
    """The table, read once."""
    return shipped_record(Platforms, "platforms")


def normal_architecture(word: str) -> str:
    """Return Linux' name of an architecture: x86_64, aarch64, i686 for `AMD64`, `arm64`, `i586`.
    Any other name is returned in small letters.
    """
    name = word.strip().lower()
    return platforms().architectures.get(name, name)


def normal_system(word: str) -> str:
    """Return the name of an operating system: macos, windows for `Darwin`, `win32`. Any other name
    is returned in small letters.
    """
    name = word.strip().lower()
    return platforms().systems.get(name, name)


def filesystem_kind(name: str | None) -> str:
    """Return `network`, `memory` or `fat`, as `Disk.kind` does; empty for other file systems, and
    for None.
    """
    for kind, names in platforms().filesystems.items():
        if (name or "").lower() in names:
            return kind
    return ""
