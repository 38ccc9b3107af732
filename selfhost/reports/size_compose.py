"""A compose file with a service for each model: `selfhost size --format compose`."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.sizes import ContainerSize, Mount
from . import yaml
from .size_parts import (
    MODEL_VOLUME,
    devices_of,
    folder_of,
    mebibytes,
    notes_above,
    placed,
    service_of,
    token_variable,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def block(sizes: Sequence[ContainerSize]) -> str:
    """Return a whole file; swap is off, for a server that swaps has no pace."""
    services = {name: _service(size, port) for name, port, size in placed(sizes)}
    document: dict[str, Any] = {"services": services}
    if not all(size.own_mounts for size in sizes):
        document["volumes"] = {MODEL_VOLUME: {}}
    return "\n".join(notes_above(sizes, binds_files=True)) + "\n" + yaml.dumps(document)


def _service(size: ContainerSize, port: int) -> dict[str, Any]:
    most = f"{mebibytes(size.limit_bytes)}M"
    environment: dict[str, Any] = dict(size.environment)
    if token := token_variable(size):
        environment[token] = "${" + token + "}"
    reserved: dict[str, Any] = {"memory": f"{mebibytes(size.request_bytes)}M"}
    devices = devices_of(size)
    if devices is not None and devices.driver:
        count = len(size.accelerators)
        gpus = {"driver": devices.driver, "count": count, "capabilities": ["gpu"]}
        reserved["devices"] = [gpus]
    shared = size.shared_memory_bytes
    service: dict[str, Any] = {
        "image": size.image,
        "command": list(size.image_arguments),
        "environment": environment,
        "ports": [f"127.0.0.1:{port}:{service_of(size).port}"],
        "volumes": list(map(_bound, size.own_mounts)) or [f"{MODEL_VOLUME}:{folder_of(size)}"],
        "memswap_limit": most,
        "shm_size": f"{mebibytes(shared)}M" if shared else "",
        "deploy": {"resources": {"limits": {"memory": most}, "reservations": reserved}},
        "restart": "unless-stopped",
        "devices": list(devices.files) if devices is not None and not devices.driver else [],
    }
    return {key: value for key, value in service.items() if value not in ([], {}, "")}


def _bound(mount: Mount) -> dict[str, Any]:
    """A bind mount of a folder or file that must be there: the short syntax makes an empty folder.

    See docs.docker.com/reference/compose-file/services, "volumes".
    """
    return {
        "type": "bind",
        # compose puts variables in
        "source": mount.source.replace("$", "$$"),
        "target": mount.target,
        "read_only": True,
        "bind": {"create_host_path": False},
    }
