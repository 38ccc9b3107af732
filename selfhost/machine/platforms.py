"""The names of systems, processors and file systems: `specs/common/platforms.toml`."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Stated
from ..core.tables import shipped_record


class Platforms(Stated):
    """The table, whose comments say what each list is for.

    - `architectures` and `systems` have Linux's name by another name.
    - `instruction_sets` has, for each architecture, Linux's name of a set by another name.
    - `hidden` has, by system, the reason why programs see nothing of the computer.
    - `filesystems` has the names of file systems by their kind: `network`, `memory`, `fat`.
    """

    common_names: tuple[str, ...]
    container_groups: tuple[str, ...]
    virtual_kernels: tuple[str, ...]
    pci_names: tuple[str, ...]
    amd_names: tuple[str, ...]
    nvidia_drivers: tuple[str, ...]
    unified_makers: tuple[str, ...]
    unified_platforms: tuple[str, ...]
    architectures: Mapping[str, str]
    instruction_sets: Mapping[str, Mapping[str, str]]
    systems: Mapping[str, str]
    hidden: Mapping[str, str]
    filesystems: Mapping[str, tuple[str, ...]]


def platforms() -> Platforms:
    """The table, read once."""
    return shipped_record(Platforms, "platforms")


def normal_architecture(word: str) -> str:
    """Return Linux's name of an architecture, such as x86_64 for `AMD64` and aarch64 for `arm64`.
    An unknown name is returned in small letters.
    """
    name = word.strip().lower()
    return platforms().architectures.get(name, name)


def normal_system(word: str) -> str:
    """Return the name of an operating system, such as macos for `Darwin` and windows for `win32`.
    An unknown name is returned in small letters.
    """
    name = word.strip().lower()
    return platforms().systems.get(name, name)


def filesystem_kind(name: str | None) -> str:
    """Return the kind of a file system, `network`, `memory` or `fat`; empty for other file systems,
    and for None.
    """
    if name is None:
        return ""
    for kind, names in platforms().filesystems.items():
        if name.lower() in names:
            return kind
    return ""
