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
# the default: what a rollout waits for the image and a pod that is soon ready, in seconds
# (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds)
_DEADLINE = 600
_SECRET = (
    "# first make the secret of your login at Hugging Face:"
    " kubectl create secret generic hf-token --from-literal=token=…"
)
# beside the model: logs and what a program writes (assumed)
_WRITABLE_MEBIBYTES = 1024
_STORE = "# the model store is an emptyDir: a PersistentVolumeClaim in its place keeps the download"


def block(sizes: Sequence[ContainerSize]) -> str:
    """One document for each model. Memory and accelerators are reserved before a pod starts, so an
    update takes the old pod down first.
    """
    named = list(zip(names_of(sizes), sizes, strict=True))
    claims = [_claim_is_yours(name, size) for name, size in named if size.files_are_yours]
    store = [] if all(size.files_are_yours for size in sizes) else [_STORE]
    secret = [_SECRET] if any(token_variable(size) is not None for size in sizes) else []
    comments = [*heading(sizes), *claims, *secret, *store, *map(_start, sizes)]
    documents = [yaml.dumps(_deployment(name, size)) for name, size in named]
    return "\n".join(comments) + "\n" + "---\n".join(documents)


def _claim(name: str) -> str:
    """What the claim is called that holds your own files; an emptyDir is new with each pod, so
    that nobody could fill it before the server looks for them.
    """
    return f"{name}-{MODEL_VOLUME}"


def _claim_is_yours(name: str, size: ContainerSize) -> str:
    """That the claim must be made and filled first: the pod stays pending until there is one."""
    disk = size.disk_bytes
    room = f" of {gibibytes(disk)}Gi or more" if disk is not None else ""
    return (
        f"# first make the PersistentVolumeClaim {_claim(name)}{room} and put the files there: the"
        f" pod waits for the claim, and has it as {folder_of(size)}"
    )


def _start(size: ContainerSize) -> str:
    """How long the startup probe waits, and at what speed of the download, or of your volume, that
    is enough.
    """
    stated = size.workload.download_bytes_per_second
    rate = units.decimal(stated or ASSUMED_RATE)
    whence = "as stated" if stated else "assumed: --download-speed states yours"
    name, wait = clean(size.model.name), f"{size.seconds_to_start:,} s"
    if size.files_are_yours:
        return f"# {name}: startupProbe waits {wait}, for a volume read at {rate}/s, and loading"
    return f"# {name}: startupProbe waits {wait}, for a download at {rate}/s ({whence}) and loading"


def _deployment(name: str, size: ContainerSize) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            # a start that the probe waits for is no failure of the rollout
            "progressDeadlineSeconds": _tries(size) * _PERIOD + _DEADLINE,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [_container(size)], "volumes": _volumes(name, size)},
            },
        },
    }


def _tries(size: ContainerSize) -> int:
    """Of the startup probe, until the model is there and loaded."""
    return -(-size.seconds_to_start // _PERIOD)


def _container(size: ContainerSize) -> dict[str, Any]:
    service = size.runtime.service
    assert service is not None
    probe = {"httpGet": {"path": service.health, "port": service.port}, "periodSeconds": _PERIOD}
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
        "startupProbe": {**probe, "failureThreshold": _tries(size)},
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
    if size.files_are_yours:
        requests["ephemeral-storage"] = limits["ephemeral-storage"] = f"{_WRITABLE_MEBIBYTES}Mi"
    elif size.disk_bytes is not None and size.disk_update_bytes is not None:
        requests["ephemeral-storage"] = f"{mebibytes(size.disk_bytes) + _WRITABLE_MEBIBYTES}Mi"
        most = mebibytes(size.disk_update_bytes) + _WRITABLE_MEBIBYTES
        limits["ephemeral-storage"] = f"{most}Mi"
    devices = devices_of(size)
    if devices is not None:
        requests[devices.resource] = limits[devices.resource] = str(len(size.accelerators))
    return {"requests": requests, "limits": limits}


def _volumes(name: str, size: ContainerSize) -> list[dict[str, Any]]:
    store: dict[str, Any] = {}
    if size.files_are_yours:
        store["persistentVolumeClaim"] = {"claimName": _claim(name)}
    else:
        most = size.disk_update_bytes
        limit = {} if most is None else {"sizeLimit": f"{gibibytes(most)}Gi"}
        store["emptyDir"] = limit
    volumes: list[dict[str, Any]] = [{"name": MODEL_VOLUME, **store}]
    if size.shared_memory_bytes:
        shared = {"medium": "Memory", "sizeLimit": f"{gibibytes(size.shared_memory_bytes)}Gi"}
        volumes.append({"name": "shared-memory", "emptyDir": shared})
    return volumes
