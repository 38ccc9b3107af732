"""Machine: what was read of a computer, as plain values or None, each with where it was read or why it could not be."""

from __future__ import annotations

from collections.abc import Mapping

from .facts import Record, Unread

SCHEMA = "selfhost.machine/1"


class Disk(Record):
    """One place where a runtime would store models. `path` has the home folder as `~`.

    `free_bytes` is what an ordinary account may use; `writable` is about the account that stores the file.
    """

    purpose: str
    path: str
    free_bytes: int | None = None
    total_bytes: int | None = None
    filesystem: str | None = None
    writable: bool | None = None


class Accelerator(Record):
    """A GPU or the like; `unified` when it shares the machine's RAM."""

    vendor: str
    name: str
    memory_total_bytes: int | None = None
    memory_free_bytes: int | None = None
    unified: bool = False
    driver: str | None = None
    compute_capability: str | None = None


class PresentRuntime(Record):
    """A runtime found on the machine, without running it. `version` is None where no file states it."""

    id: str
    version: str | None = None
    path: str | None = None


class PresentModel(Record):
    """A model file already on the machine; `complete` only when every byte is there."""

    path: str
    size_bytes: int
    repository: str | None = None
    file: str | None = None
    complete: bool = True


class Machine(Record):
    """A computer as `selfhost` sees it.

    Memory in bytes: `memory_total_bytes` is the hardware's, `memory_limit_bytes` what this process may ever have (the least
    of hardware and every control group above it), `memory_available_bytes` what it could have now without swapping.
    `cpu_cores_usable` has affinity and quota applied and may be a fraction. `instruction_sets` are Linux kernel names.
    `accelerators` is None when it is not known whether there are any, () when there are none.
    A None always has an `Unread` of the same name in `unread`; a value has its entry in `sources`.
    """

    name: str = "this machine"
    labels: Mapping[str, str] = {}
    read_at: str | None = None
    scope: str | None = None
    system: str | None = None
    architecture: str | None = None
    memory_total_bytes: int | None = None
    memory_limit_bytes: int | None = None
    memory_available_bytes: int | None = None
    swap_free_bytes: int | None = None
    cpu_model: str | None = None
    cpu_cores_physical: int | None = None
    cpu_cores_usable: float | None = None
    instruction_sets: tuple[str, ...] | None = None
    memory_bandwidth_bytes_per_second: int | None = None
    disks: tuple[Disk, ...] | None = None
    models_present: tuple[PresentModel, ...] | None = None
    accelerators: tuple[Accelerator, ...] | None = None
    runtimes: tuple[PresentRuntime, ...] | None = None
    sources: Mapping[str, str] = {}
    unread: tuple[Unread, ...] = ()

    def why_unread(self, fact: str) -> Unread:
        """The reason why `fact` is None."""
        for entry in self.unread:
            if entry.fact == fact:
                return entry
        return Unread(fact=fact, reason="the record does not say", remedy="record the machine again with `selfhost machine --format json`")

    def disk_for(self, purpose: str) -> Disk | None:
        """The place where downloads of that kind land; None when it was not read."""
        for disk in self.disks or ():
            if disk.purpose == purpose:
                return disk
        return None
