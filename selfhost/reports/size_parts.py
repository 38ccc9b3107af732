"""What the blocks to paste share: names, sizes, how each program is handed an accelerator."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .. import __version__
from ..advice.sizes import ContainerSize
from ..catalogue.runtime import Service
from ..core import units
from ..core.records import Record
from ..machine.gpus import kernel_driver_of
from .layout import clean

# the longest name of a Kubernetes object that is also a host's name (RFC 1123, one label)
_LONGEST_NAME = 63
MODEL_VOLUME = "models"


class Devices(Record):
    """How containers get the accelerators of one vendor.

    `resource` of Kubernetes, `driver` of compose and `docker run`, or the `files` of a vendor
    without a driver there.
    """

    resource: str
    driver: str = ""
    files: tuple[str, ...] = ()


# by vendor. Resources: the device plugins of NVIDIA (k8s-device-plugin), AMD
# (ROCm/k8s-device-plugin) and Intel (intel-device-plugins-for-kubernetes); files: docs/docker.md of
# ROCm and llama.cpp
_DEVICES = {
    "nvidia": Devices(resource="nvidia.com/gpu", driver="nvidia"),
    "amd": Devices(resource="amd.com/gpu", files=("/dev/kfd", "/dev/dri")),
    "intel": Devices(resource="gpu.intel.com/i915", files=("/dev/dri",)),
}


def service_of(size: ContainerSize) -> Service:
    """Return how the program serves; a container without one has no block to paste."""
    assert size.runtime.service is not None
    return size.runtime.service


def devices_of(size: ContainerSize) -> Devices | None:
    """Return how it gets its accelerators; None where it takes none."""
    if not size.accelerators:
        return None
    card = size.accelerators[0]
    # a program with an accelerator of no stated vendor asks for the usual one
    devices = _DEVICES.get(card.vendor, _DEVICES["nvidia"])
    driver = kernel_driver_of(card.name)
    return (
        devices if driver is None else devices.replace(resource=f"gpu.{card.vendor}.com/{driver}")
    )


def placed(sizes: Sequence[ContainerSize]) -> Iterator[tuple[str, int, ContainerSize]]:
    """Yield each container with a name and a port of one machine that no other has.

    Names are of lower-case letters, digits and dashes.
    """
    names: set[str] = set()
    ports: set[int] = set()
    for size in sizes:
        plain = re.sub(r"[^a-z0-9]+", "-", size.model.id.lower()).strip("-")[:_LONGEST_NAME]
        name = plain.strip("-") or "model"
        count = 2
        while name in names:
            ending = f"-{count}"
            name, count = f"{plain[: _LONGEST_NAME - len(ending)]}{ending}", count + 1
        port = service_of(size).port
        while port in ports:
            port += 1
        names.add(name)
        ports.add(port)
        yield name, port, size


def mebibytes(size: int) -> int:
    """Return whole MiB, rounded up."""
    return -(-size // units.MIB)


def gibibytes(size: int) -> int:
    """Return whole GiB, rounded up."""
    return -(-size // units.GIB)


def notes_above(
    sizes: Sequence[ContainerSize], *, binds_files: bool = False, where: str = "in its container"
) -> list[str]:
    """Return comments above a block: how the figures are made up, and what is left to you.

    `binds_files`: the block mounts your own files; `where` the line that fetches is typed.
    """
    is_cached = any(size.page_cache_bytes for size in sizes)
    cache = "request and limit include the page cache" if is_cached else "no page cache is needed"
    lines = [f"selfhost {__version__}: {cache}"]
    for size in sizes:
        parts = [f"{units.binary(size.unreclaimable_bytes)} cannot be reclaimed"]
        if size.page_cache_bytes:
            parts.append(f"{units.binary(size.page_cache_bytes)} are page cache")
        grown = sum(growth.bytes for growth in size.growths)
        parts.append(f"{units.binary(grown)} may be added")
        lines.append(f"{size.model.name}: {', '.join(parts)}")
        lines += [f"not measured: {each.why}" for each in size.growths if each.is_assumed]
        lines += size.notes
        if size.files_are_yours and not (binds_files and size.files):
            # files that lie on this machine are mounted
            page = size.model.conversions_page
            listed = f"; conversions: {page}" if page else ""
            into = "where its arguments name them"
            if binds_files:
                into = f"into {size.own_mounts[0].source}, by the names of its arguments"
            lines.append(f"put the {size.workload.quantization} files {into}{listed}")
        if size.fetch:
            lines.append(f"once it runs, {where}: {size.fetch}")
    return [f"# {clean(text)}" for text in lines]


def token_variable(size: ContainerSize) -> str | None:
    """Return the variable of a login's token; None where nothing is downloaded with it."""
    needs_token = size.needs_login and not size.files_are_yours
    return (size.runtime.token_variable or "HF_TOKEN") if needs_token else None


def folder_of(size: ContainerSize) -> str:
    """Return where the models lie in the container."""
    from ..advice.sizes import MODELS_FOLDER

    return MODELS_FOLDER if size.files_are_yours else service_of(size).store
