"""A compose file with a service for each model: `selfhost size --format compose`."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.sizes import ContainerSize, Mount
from . import yaml
from .size_parts import (
    MODEL_VOLUME,
    devices_of,
    folder_of,
    heading,
    mebibytes,
    names_of,
    ports_of,
    token_variable,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def block(sizes: Sequence[ContainerSize]) -> str:
    """A whole file, as the compose specification has it; swap is off, for a server that swaps has
    no pace.
    """
    ports = ports_of(sizes)
    services = {
        name: _service(size, port)
        for name, size, port in zip(names_of(sizes), sizes, ports, strict=True)
    }
    document: dict[str, Any] = {"services": services}
    if not all(size.own_mounts for size in sizes):
        document["volumes"] = {MODEL_VOLUME: {}}
    return "\n".join(heading(sizes, binds_files=True)) + "\n" + yaml.dumps(document)


def _service(size: ContainerSize, port: int) -> dict[str, Any]:
    own = size.runtime.service
    assert own is not None
    most = f"{mebibytes(size.limit_bytes)}M"
    environment: dict[str, Any] = dict(size.environment)
    token = token_variable(size)
    if token is not None:
        environment[token] = "${" + token + "}"
    service: dict[str, Any] = {
        "image": size.image,
        "command": list(size.image_arguments),
        "environment": environment,
        "ports": [f"127.0.0.1:{port}:{own.port}"],
        "volumes": list(map(_bound, size.own_mounts)) or [f"{MODEL_VOLUME}:{folder_of(size)}"],
        "memswap_limit": most,
        "shm_size": f"{mebibytes(size.shared_memory_bytes)}M" if size.shared_memory_bytes else "",
        "deploy": {
            "resources": {
                "limits": {"memory": most},
                "reservations": _reservations(size),
            }
        },
        "restart": "unless-stopped",
    }
    devices = devices_of(size)
    if devices is not None and not devices.driver:
        service["devices"] = list(devices.files)
    return {key: value for key, value in service.items() if value not in ([], {}, "")}


def _bound(mount: Mount) -> dict[str, Any]:
    """A bind mount of a folder or file that must be there: the short syntax makes an empty folder
    (docs.docker.com/reference/compose-file/services, "volumes").
    """
    return {
        "type": "bind",
        # compose puts variables in
        "source": mount.source.replace("$", "$$"),
        "target": mount.target,
        "read_only": True,
        "bind": {"create_host_path": False},
    }


def _reservations(size: ContainerSize) -> dict[str, Any]:
    reserved: dict[str, Any] = {"memory": f"{mebibytes(size.request_bytes)}M"}
    devices = devices_of(size)
    if devices is not None and devices.driver:
        reserved["devices"] = [
            {"driver": devices.driver, "count": len(size.accelerators), "capabilities": ["gpu"]}
        ]
    return reserved
