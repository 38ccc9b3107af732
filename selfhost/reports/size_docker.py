"""A `docker run` line for each model: `selfhost size --format docker`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..advice.sizes import ContainerSize, Mount
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


def block(sizes: Sequence[ContainerSize]) -> str:
    """Return a line for a shell each, and one that fetches a model where the server does not."""
    lines = notes_above(sizes, binds_files=True)
    for name, port, size in placed(sizes):
        words = ["docker", "run", "--detach", "--name", name, *_options(size, port)]
        lines.append(shlex.join([*words, size.image or "", *size.image_arguments]))
        if size.fetch:
            lines.append(shlex.join(["docker", "exec", name, *size.fetch.split()]))
    return "".join(f"{line}\n" for line in lines)


def _options(size: ContainerSize, port: int) -> list[str]:
    """Memory without swap, accelerators, port, model store and environment."""
    most = f"{mebibytes(size.limit_bytes)}m"
    options = ["--memory", most, "--memory-swap", most]
    options += ["--memory-reservation", f"{mebibytes(size.request_bytes)}m"]
    if size.shared_memory_bytes:
        options += ["--shm-size", f"{mebibytes(size.shared_memory_bytes)}m"]
    devices = devices_of(size)
    if devices is not None and devices.driver:
        options += ["--gpus", str(len(size.accelerators))]
    elif devices is not None:
        options += [word for file in devices.files for word in ("--device", file)]
    options += ["--publish", f"127.0.0.1:{port}:{service_of(size).port}"]
    for mount in size.own_mounts:
        options += ["--mount", _bound(mount)]
    if not size.own_mounts:
        options += ["--volume", f"{MODEL_VOLUME}:{folder_of(size)}"]
    for name, value in size.environment.items():
        options += ["--env", f"{name}={value}"]
    token = token_variable(size)
    # its value is taken from the shell's environment
    return options if token is None else [*options, "--env", token]


def _bound(mount: Mount) -> str:
    """A bind mount: a named volume is new and empty, and `--volume` makes a folder that is absent.

    The fields are those of a line of CSV (docs.docker.com/engine/storage/bind-mounts).
    """
    source = f"source={mount.source}"
    if any(sign in source for sign in ',"'):
        source = '"' + source.replace('"', '""') + '"'
    return f"type=bind,{source},target={mount.target},readonly"
