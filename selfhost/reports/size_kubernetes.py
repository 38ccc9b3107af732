"""A Deployment for each model, to paste into a cluster: `selfhost size --format kubernetes`."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.sizes import ASSUMED_RATE, ContainerSize
from ..core import units
from . import yaml
from .layout import clean
from .size_parts import (
    MODEL_VOLUME,
    devices_of,
    folder_of,
    gibibytes,
    heading,
    mebibytes,
    names_of,
    token_variable,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# how often a probe asks, in seconds
_PERIOD = 10
# beside the model: logs and what a program writes (assumed)
_WRITABLE_MEBIBYTES = 1024
_STORE = "# the model store is an emptyDir: a PersistentVolumeClaim in its place keeps the download"


def block(sizes: Sequence[ContainerSize]) -> str:
    """One document for each model. Memory and accelerators are reserved before a pod starts, so an
    update takes the old pod down first.
    """
    parts = ["\n".join([*heading(sizes), _STORE, *map(_start, sizes)]) + "\n"]
    for name, size in zip(names_of(sizes), sizes, strict=True):
        parts.append(yaml.dumps(_deployment(name, size)))
    return parts[0] + "---\n".join(parts[1:])


def _start(size: ContainerSize) -> str:
    """How long the startup probe waits, and at what download speed that is enough."""
    stated = size.workload.download_bytes_per_second
    rate = units.decimal(stated or ASSUMED_RATE)
    whence = "as stated" if stated else "assumed: --download-speed states yours"
    name, wait = clean(size.model.name), f"{size.seconds_to_start:,} s"
    return f"# {name}: startupProbe waits {wait}, for a download at {rate}/s ({whence}) and loading"


def _deployment(name: str, size: ContainerSize) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [_container(size)], "volumes": _volumes(size)},
            },
        },
    }


def _container(size: ContainerSize) -> dict[str, Any]:
    service = size.runtime.service
    assert service is not None
    probe = {"httpGet": {"path": service.health, "port": service.port}, "periodSeconds": _PERIOD}
    tries = -(-size.seconds_to_start // _PERIOD)
    mounts = [{"name": MODEL_VOLUME, "mountPath": folder_of(size)}]
    if size.shared_memory_bytes:
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    container = {
        "name": "server",
        "image": size.image,
        "args": list(size.image_arguments),
        "env": _environment(size),
        "ports": [{"containerPort": service.port}],
        "resources": _resources(size),
        "startupProbe": {**probe, "failureThreshold": tries},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "timeoutSeconds": _PERIOD, "failureThreshold": 6},
        "volumeMounts": mounts,
    }
    return {key: value for key, value in container.items() if value != []}


def _environment(size: ContainerSize) -> list[dict[str, Any]]:
    """Variables, and the token of a login from a secret that you make."""
    entries: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in size.environment.items()
    ]
    token = token_variable(size)
    if token is not None:
        secret = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        entries.append({"name": token, "valueFrom": secret})
    return entries


def _resources(size: ContainerSize) -> dict[str, Any]:
    requests = {"memory": f"{mebibytes(size.request_bytes)}Mi"}
    limits = {"memory": f"{mebibytes(size.limit_bytes)}Mi"}
    if size.disk_bytes is not None and size.disk_update_bytes is not None:
        requests["ephemeral-storage"] = f"{mebibytes(size.disk_bytes) + _WRITABLE_MEBIBYTES}Mi"
        most = mebibytes(size.disk_update_bytes) + _WRITABLE_MEBIBYTES
        limits["ephemeral-storage"] = f"{most}Mi"
    devices = devices_of(size)
    if devices is not None:
        requests[devices.resource] = limits[devices.resource] = str(len(size.accelerators))
    return {"requests": requests, "limits": limits}


def _volumes(size: ContainerSize) -> list[dict[str, Any]]:
    store: dict[str, Any] = {}
    if size.disk_update_bytes is not None:
        store["sizeLimit"] = f"{gibibytes(size.disk_update_bytes)}Gi"
    volumes: list[dict[str, Any]] = [{"name": MODEL_VOLUME, "emptyDir": store}]
    if size.shared_memory_bytes:
        shared = {"medium": "Memory", "sizeLimit": f"{gibibytes(size.shared_memory_bytes)}Gi"}
        volumes.append({"name": "shared-memory", "emptyDir": shared})
    return volumes
