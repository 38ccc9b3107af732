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
    mebibytes,
    notes_above,
    placed,
    service_of,
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
    """Return one document for each model.

    Memory and accelerators are reserved before a pod starts, so an update takes the old pod down
    first.
    """
    named = [(name, size) for name, _, size in placed(sizes)]
    comments = notes_above(sizes)
    for name, size in named:
        if size.files_are_yours:
            # an emptyDir is new with each pod: nobody could fill it before the server looks
            room = f" of {gibibytes(size.disk_bytes)}Gi or more" if size.disk_bytes else ""
            comments.append(
                f"# first make the PersistentVolumeClaim {_claim(name)}{room} and put the files"
                f" there: the pod waits for the claim, and has it as {folder_of(size)}"
            )
    if any(map(token_variable, sizes)):
        comments.append(_SECRET)
    if not all(size.files_are_yours for size in sizes):
        comments.append(_STORE)
    comments += map(_start, sizes)
    documents = [yaml.dumps(_deployment(name, size)) for name, size in named]
    return "\n".join(comments) + "\n" + "---\n".join(documents)


def _claim(name: str) -> str:
    return f"{name}-{MODEL_VOLUME}"


def _start(size: ContainerSize) -> str:
    """How long the startup probe waits, and at what speed that is enough."""
    stated = size.workload.download_bytes_per_second
    rate = f"{units.decimal(stated or ASSUMED_RATE)}/s"
    start = f"# {clean(size.model.name)}: startupProbe waits {size.seconds_to_start:,} s"
    if size.files_are_yours:
        return f"{start}, for a volume read at {rate}, and loading"
    whence = "as stated" if stated else "assumed: --download-speed states yours"
    return f"{start}, for a download at {rate} ({whence}) and loading"


def _deployment(name: str, size: ContainerSize) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name}
    pod = {"containers": [_container(size)], "volumes": _volumes(name, size)}
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
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _tries(size: ContainerSize) -> int:
    """Of the startup probe, until the model is there and loaded."""
    return -(-size.seconds_to_start // _PERIOD)


def _container(size: ContainerSize) -> dict[str, Any]:
    service = service_of(size)
    probe = {"httpGet": {"path": service.health, "port": service.port}, "periodSeconds": _PERIOD}
    mounts = [{"name": MODEL_VOLUME, "mountPath": folder_of(size)}]
    if size.shared_memory_bytes:
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    variables: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in size.environment.items()
    ]
    if token := token_variable(size):
        # from a secret that you make
        secret = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        variables.append({"name": token, "valueFrom": secret})
    container = {
        "name": "server",
        "image": size.image,
        "args": list(size.image_arguments),
        "env": variables,
        "ports": [{"containerPort": service.port}],
        "resources": _resources(size),
        "startupProbe": {**probe, "failureThreshold": _tries(size)},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "timeoutSeconds": _PERIOD, "failureThreshold": 6},
        "volumeMounts": mounts,
    }
    return {key: value for key, value in container.items() if value != []}


def _resources(size: ContainerSize) -> dict[str, Any]:
    requests = {"memory": f"{mebibytes(size.request_bytes)}Mi"}
    limits = {"memory": f"{mebibytes(size.limit_bytes)}Mi"}
    least, most = size.disk_bytes, size.disk_update_bytes
    if size.files_are_yours:
        least = most = 0
    if least is not None and most is not None:
        requests["ephemeral-storage"] = f"{mebibytes(least) + _WRITABLE_MEBIBYTES}Mi"
        limits["ephemeral-storage"] = f"{mebibytes(most) + _WRITABLE_MEBIBYTES}Mi"
    devices = devices_of(size)
    if devices is not None:
        requests[devices.resource] = limits[devices.resource] = str(len(size.accelerators))
    return {"requests": requests, "limits": limits}


def _volumes(name: str, size: ContainerSize) -> list[dict[str, Any]]:
    most = size.disk_update_bytes
    store: dict[str, Any] = {
        "emptyDir": {} if most is None else {"sizeLimit": f"{gibibytes(most)}Gi"}
    }
    if size.files_are_yours:
        store = {"persistentVolumeClaim": {"claimName": _claim(name)}}
    volumes: list[dict[str, Any]] = [{"name": MODEL_VOLUME, **store}]
    if size.shared_memory_bytes:
        shared = {"medium": "Memory", "sizeLimit": f"{gibibytes(size.shared_memory_bytes)}Gi"}
        volumes.append({"name": "shared-memory", "emptyDir": shared})
    return volumes
