"""What the blocks to paste share: names, sizes, how each program is handed an accelerator."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .. import __version__
from ..advice.sizes import ContainerSize
from ..core import units
from ..core.records import Record
from ..machine.gpus import kernel_driver_of
from .layout import clean

# the longest name of a Kubernetes object that is also a host's name (RFC 1123, one label)
_LONGEST_NAME = 63
MODEL_VOLUME = "models"


class Devices(Record):
    """How containers get the accelerators of one vendor: `resource` of Kubernetes, `driver` of
    compose and `docker run`, or the `files` of a vendor without a driver there.
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
# what a program with an accelerator of no stated vendor asks for
_USUAL = _DEVICES["nvidia"]


def devices_of(size: ContainerSize) -> Devices | None:
    """How it gets its accelerators; None where it takes none."""
    if not size.accelerators:
        return None
    card = size.accelerators[0]
    devices = _DEVICES.get(card.vendor, _USUAL)
    driver = kernel_driver_of(card.name)
    return (
        devices if driver is None else devices.replace(resource=f"gpu.{card.vendor}.com/{driver}")
    )


def names_of(sizes: Sequence[ContainerSize]) -> list[str]:
    """A name for each container: lower-case letters, digits and dashes, none twice."""
    names: list[str] = []
    for size in sizes:
        plain = re.sub(r"[^a-z0-9]+", "-", size.model.id.lower()).strip("-")[:_LONGEST_NAME]
        name = plain.strip("-") or "model"
        count = 2
        while name in names:
            ending = f"-{count}"
            name, count = f"{plain[: _LONGEST_NAME - len(ending)]}{ending}", count + 1
        names.append(name)
    return names


def ports_of(sizes: Sequence[ContainerSize]) -> list[int]:
    """Where each container is reached on one machine: at its own port, or at the next that no
    other has.
    """
    ports: list[int] = []
    for size in sizes:
        assert size.runtime.service is not None
        port = size.runtime.service.port
        while port in ports:
            port += 1
        ports.append(port)
    return ports


def mebibytes(size: int) -> int:
    """Whole MiB, rounded up."""
    return -(-size // units.MIB)


def gibibytes(size: int) -> int:
    """Whole GiB, rounded up."""
    return -(-size // units.GIB)


def heading(
    sizes: Sequence[ContainerSize],
    *,
    binds_files: bool = False,
    where: str = "in its container",
) -> list[str]:
    """Comments above a block: how the figures are made up, and what is left to you. `binds_files`:
    the block mounts your own files; `where` the line that fetches the model is typed.
    """
    is_cached = any(size.page_cache_bytes for size in sizes)
    included = (
        "request and limit include the page cache" if is_cached else "no page cache is needed"
    )
    lines = [f"selfhost {__version__}: {included}"]
    for size in sizes:
        parts = [f"{units.binary(size.unreclaimable_bytes)} cannot be reclaimed"]
        if size.page_cache_bytes:
            parts.append(f"{units.binary(size.page_cache_bytes)} are page cache")
        grown = sum(growth.bytes for growth in size.growths)
        parts.append(f"{units.binary(grown)} may be added")
        lines.append(f"{size.model.name}: {', '.join(parts)}")
        lines += [f"not measured: {each.why}" for each in size.growths if each.is_assumed]
        lines += size.notes
        if size.files_are_yours:
            lines += _to_put_there(size, binds_files=binds_files)
        if size.fetch:
            lines.append(f"once it runs, {where}: {size.fetch}")
    return [f"# {clean(text)}" for text in lines]


def _to_put_there(size: ContainerSize, *, binds_files: bool) -> list[str]:
    """Which files are yours to get, and where they are listed; [] where they lie on this machine
    and the block mounts them.
    """
    if binds_files and size.files:
        return []
    page = size.model.conversions_page
    listed = f"; conversions: {page}" if page else ""
    place = size.own_mounts[0].source if binds_files else "where its arguments name them"
    into = f"into {place}, by the names of its arguments" if binds_files else place
    return [f"put the {size.workload.quantization} files {into}{listed}"]


def token_variable(size: ContainerSize) -> str | None:
    """The variable that holds the token of a login; None where nothing is downloaded with it."""
    needs_token = size.needs_login and not size.files_are_yours
    return (size.runtime.token_variable or "HF_TOKEN") if needs_token else None


def folder_of(size: ContainerSize) -> str:
    """Where the models lie in the container."""
    from ..advice.sizes import MODELS_FOLDER

    assert size.runtime.service is not None
    return MODELS_FOLDER if size.files_are_yours else size.runtime.service.store
