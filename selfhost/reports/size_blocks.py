"""Files to paste that run a model: `selfhost size --format kubernetes|compose|docker|systemd`.

Their templates are `specs/common/containers.toml`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from .. import __version__
from ..advice.sizes import MODELS_FOLDER, ContainerSize
from ..catalogue.runtime import Service
from ..core import units
from ..core.tables import shipped_table
from ..machine.gpus import fact_of
from .layout import clean

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# the longest name of a Kubernetes object that is also a host's name (RFC 1123, one label)
_LONGEST_NAME = 63
# how often a probe of Kubernetes asks, in seconds, and what a rollout waits by default
# (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds)
_PERIOD, _DEADLINE = 10, 600
# beside the model: logs and what a program writes (assumed)
_WRITABLE_MEBIBYTES = 1024


def block(kind: str, sizes: Sequence[ContainerSize]) -> str:
    """Return the text of that format for containers of any number, each with a published image."""
    return _BLOCKS[kind](sizes)


def _filled(kind: str, values: Mapping[str, object]) -> str:
    """The template of that format with `{name}` replaced."""
    import json
    import re

    texts = {name: json.dumps(value) if value else "" for name, value in values.items()}
    texts |= {name: value for name, value in values.items() if isinstance(value, str)}
    place = re.compile(rf"\{{({'|'.join(map(re.escape, texts))})\}}")
    lines = [
        place.sub(lambda match: texts[match[1]], line)
        for line in shipped_table("containers")[kind].splitlines(keepends=True)
        if all(texts[name] for name in place.findall(line))
    ]
    return "".join(lines)


# ------------------------------------------------------------------ what the formats share


def _service(size: ContainerSize) -> Service:
    assert size.runtime.service is not None
    return size.runtime.service


def _devices(size: ContainerSize) -> dict[str, Any]:
    """How it gets its accelerators; empty without one."""
    if not size.accelerators:
        return {}
    card, rows = size.accelerators[0], shipped_table("containers")["devices"]
    # a program with an accelerator of no stated vendor asks for the usual one
    devices = dict(rows.get(card.vendor) or rows["nvidia"])
    if driver := fact_of(card.name, "kernel_driver"):
        devices["resource"] = f"gpu.{card.vendor}.com/{driver}"
    return devices


def _placed(sizes: Sequence[ContainerSize]) -> Iterator[tuple[str, int, ContainerSize]]:
    """Yield each container with a name and a port of one machine that no other has.

    Names are of lower-case letters, digits and dashes.
    """
    names: set[str] = set()
    ports: set[int] = set()
    for size in sizes:
        letters = "".join(x if x.isascii() and x.isalnum() else " " for x in size.model.id.lower())
        plain = "-".join(letters.split())[: _LONGEST_NAME - 4].strip("-") or "model"
        name, count, port = plain, 2, _service(size).port
        while name in names:
            name, count = f"{plain}-{count}", count + 1
        while port in ports:
            port += 1
        names.add(name)
        ports.add(port)
        yield name, port, size


def _mebibytes(size: int) -> int:
    return -(-size // units.MIB)


def _gibibytes(size: int) -> str:
    return f"{-(-size // units.GIB)}Gi"


def _notes_above(
    sizes: Sequence[ContainerSize], *, binds_files: bool = False, where: str = "in its container"
) -> list[str]:
    """Return comments above a block: how the figures are made up, and what is left to you.

    `binds_files`: the block mounts your own files; `where` the line that fetches is typed.
    """
    lines = [
        f"selfhost {__version__}: request and limit include the page cache where one is needed"
    ]
    for size in sizes:
        kept, cache = units.binary(size.unreclaimable_bytes), units.binary(size.page_cache_bytes)
        grown = units.binary(sum(growth.bytes for growth in size.growths))
        figures = f"{kept} cannot be reclaimed, {cache} are page cache, {grown} may be added"
        lines += [f"{size.model.name}: {figures}", *size.notes]
        # files that lie on this machine are mounted
        if size.files_are_yours and not (binds_files and size.files):
            into = size.own_mounts[0].source if binds_files else _folder(size)
            page = f", from {size.model.conversions_page}" if size.model.conversions_page else ""
            lines.append(f"put the {size.workload.quantization} files{page} into {into}")
        if size.fetch:
            lines.append(f"once it runs, {where}: {size.fetch}")
    return [f"# {clean(text)}" for text in lines]


def _token(size: ContainerSize) -> str:
    """The variable of a login's token; empty where nothing is downloaded with it."""
    needs_token = size.needs_login and not size.files_are_yours
    return (size.runtime.token_variable or "HF_TOKEN") if needs_token else ""


def _folder(size: ContainerSize) -> str:
    """Where the models lie in the container."""
    return MODELS_FOLDER if size.files_are_yours else _service(size).store


# ------------------------------------------------------------------ kubernetes


def _kubernetes(sizes: Sequence[ContainerSize]) -> str:
    """One document for each model."""
    comments, documents = _notes_above(sizes), []
    for name, _, size in _placed(sizes):
        documents.append(_filled("kubernetes", _deployment(name, size)))
        if size.files_are_yours:
            # an emptyDir is new with each pod: nobody could fill it before the server looks
            room = f" of {_gibibytes(size.disk_bytes)} or more" if size.disk_bytes else ""
            comments.append(
                f"# first make the PersistentVolumeClaim {name}-models{room} and put the files"
                f" there: the pod waits for the claim, and has it as {_folder(size)}"
            )
    if any(map(_token, sizes)):
        comments.append(
            "# first make the secret of your login at Hugging Face:"
            " kubectl create secret generic hf-token --from-literal=token=…"
        )
    return "\n".join(comments) + "\n" + "---\n".join(documents)


def _deployment(name: str, size: ContainerSize) -> dict[str, object]:
    service, token = _service(size), _token(size)
    tries = -(-size.seconds_to_start // _PERIOD)
    requests = {"memory": f"{_mebibytes(size.request_bytes)}Mi"}
    limits = {"memory": f"{_mebibytes(size.limit_bytes)}Mi"}
    yours = size.files_are_yours
    least, most = (0, 0) if yours else (size.disk_bytes, size.disk_update_bytes)
    if least is not None and most is not None:
        requests["ephemeral-storage"] = f"{_mebibytes(least) + _WRITABLE_MEBIBYTES}Mi"
        limits["ephemeral-storage"] = f"{_mebibytes(most) + _WRITABLE_MEBIBYTES}Mi"
    if resource := _devices(size).get("resource"):
        requests[resource] = limits[resource] = str(len(size.accelerators))
    variables: list[object] = [
        {"name": key, "value": value} for key, value in size.environment.items()
    ]
    if token:
        # from a secret that you make
        secret = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        variables.append({"name": token, "valueFrom": secret})
    store: dict[str, object] = {"emptyDir": {"sizeLimit": _gibibytes(most)} if most else {}}
    if yours:
        store = {"persistentVolumeClaim": {"claimName": f"{name}-models"}}
    volumes: list[object] = [{"name": "models", **store}]
    mounts = [{"name": "models", "mountPath": _folder(size)}]
    if size.shared_memory_bytes:
        shared = {"medium": "Memory", "sizeLimit": _gibibytes(size.shared_memory_bytes)}
        volumes.append({"name": "shared-memory", "emptyDir": shared})
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    return {
        "name": f'"{name}"',
        "labels": {"app.kubernetes.io/name": name},
        # a start that the probe waits for is no failure of the rollout
        "deadline": tries * _PERIOD + _DEADLINE,
        "tries": tries,
        "probe": {"path": service.health, "port": service.port},
        "port": service.port,
        "image": f'"{size.image}"',
        "arguments": size.image_arguments,
        "environment": variables,
        "requests": requests,
        "limits": limits,
        "mounts": mounts,
        "volumes": volumes,
    }


# ------------------------------------------------------------------ compose and docker


def _compose(sizes: Sequence[ContainerSize]) -> str:
    """A whole file."""
    text = "\n".join([*_notes_above(sizes, binds_files=True), "services:\n"])
    for name, port, size in _placed(sizes):
        devices, token = _devices(size), _token(size)
        driver, shared = devices.get("driver"), size.shared_memory_bytes
        reserved: dict[str, object] = {"memory": f"{_mebibytes(size.request_bytes)}M"}
        if driver:
            count = len(size.accelerators)
            reserved["devices"] = [{"driver": driver, "count": count, "capabilities": ["gpu"]}]
        # the short syntax would make an empty folder of a file that is not there
        # (docs.docker.com/reference/compose-file/services, "volumes"); compose puts variables in
        mounts: list[object] = [
            {
                "type": "bind",
                "source": mount.source.replace("$", "$$"),
                "target": mount.target,
                "read_only": True,
                "bind": {"create_host_path": False},
            }
            for mount in size.own_mounts
        ]
        values: dict[str, object] = {
            "name": f'"{name}"',
            "image": f'"{size.image}"',
            "arguments": size.image_arguments,
            "environment": {**size.environment, **({token: "${" + token + "}"} if token else {})},
            "port": port,
            "inner_port": _service(size).port,
            "volumes": mounts or [f"models:{_folder(size)}"],
            "limit": _mebibytes(size.limit_bytes),
            "shared": f"{_mebibytes(shared)}M" if shared else "",
            "files": () if driver else devices.get("files", ()),
            "reserved": reserved,
        }
        text += _filled("compose", values)
    has_volume = not all(size.own_mounts for size in sizes)
    return f"{text}volumes:\n  models: {{}}\n" if has_volume else text


def _docker(sizes: Sequence[ContainerSize]) -> str:
    """A line for a shell each, and one that fetches a model where the server does not."""
    lines = _notes_above(sizes, binds_files=True)
    for name, port, size in _placed(sizes):
        words = ["docker", "run", "--detach", "--name", name, *_docker_options(size, port)]
        lines.append(shlex.join([*words, size.image or "", *size.image_arguments]))
        if size.fetch:
            lines.append(shlex.join(["docker", "exec", name, *size.fetch.split()]))
    return "".join(f"{line}\n" for line in lines)


def _docker_options(size: ContainerSize, port: int) -> Iterator[str]:
    """Memory without swap, accelerators, port, model store and environment."""
    most, devices, shared = _mebibytes(size.limit_bytes), _devices(size), size.shared_memory_bytes
    yield from ("--memory", f"{most}m", "--memory-swap", f"{most}m")
    yield from ("--memory-reservation", f"{_mebibytes(size.request_bytes)}m")
    yield from ("--shm-size", f"{_mebibytes(shared)}m") if shared else ()
    if devices.get("driver"):
        yield from ("--gpus", str(len(size.accelerators)))
    else:
        yield from (word for file in devices.get("files", ()) for word in ("--device", file))
    yield from ("--publish", f"127.0.0.1:{port}:{_service(size).port}")
    for mount in size.own_mounts:
        # a line of CSV; `--volume` would make a folder that is absent
        # (docs.docker.com/engine/storage/bind-mounts)
        source = f"source={mount.source}"
        if any(sign in source for sign in ',"'):
            source = '"' + source.replace('"', '""') + '"'
        yield from ("--mount", f"type=bind,{source},target={mount.target},readonly")
    yield from () if size.own_mounts else ("--volume", f"models:{_folder(size)}")
    # the token's value is taken from the shell's environment
    token = [_token(size)] if _token(size) else []
    variables = [*(f"{name}={value}" for name, value in size.environment.items()), *token]
    yield from (word for variable in variables for word in ("--env", variable))


# ------------------------------------------------------------------ systemd


def _systemd(sizes: Sequence[ContainerSize]) -> str:
    """A unit each, with the name of its file; all share the machine, so each has its own port."""
    parts = []
    for name, port, size in _placed(sizes):
        setting = _service(size).port_setting.replace("{port}", str(port))
        words, variables = list(size.program), dict(size.environment)
        key, _, value = setting.partition("=")
        if setting.startswith("--"):
            words += setting.split()
        elif value:
            variables[key] = value
            if size.fetch and port != _service(size).port:
                # the line that fetches the model reaches the unit at that port
                size = size.replace(fetch=f"{setting} {size.fetch}")
        notes = _notes_above([size], binds_files=bool(size.files), where="on the same machine")
        environment = [f"Environment={_quoted(f'{key}={text}')}" for key, text in variables.items()]
        if token := _token(size):
            environment.append(f"# a line {token}=… in that file logs in to Hugging Face")
            environment.append("EnvironmentFile=-/etc/selfhost.env")
        mounts = []
        for mount in size.files:
            # as systemd.exec(5) has it; a colon parts both
            source = _plain(mount.source).replace("\\", "\\\\").replace('"', '\\"')
            source = source.replace(":", "\\:")
            mounts.append(f'BindReadOnlyPaths="{source}:{mount.target}"')
        values: dict[str, object] = {
            "title": _plain(size.model.name),
            "program": _plain(words[0]),
            "words": " ".join(map(_quoted, words)),
            "environment": "\n".join(environment),
            "name": name,
            "mounts": "\n".join(mounts),
            "least": _mebibytes(size.unreclaimable_bytes),
            "request": _mebibytes(size.request_bytes),
            "limit": _mebibytes(size.limit_bytes),
        }
        head = [f"# /etc/systemd/system/{name}.service", *notes]
        parts.append("\n".join([*head, _filled("systemd", values)]))
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Text in which systemd sees no specifier."""
    return clean(text).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as systemd reads it, which replaces `%`, `$` and backslashes."""
    text = _plain(word).replace("\\", "\\\\").replace("$", "$$")
    if text and not any(letter in " \"';" for letter in text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


_BLOCKS: Mapping[str, Callable[[Sequence[ContainerSize]], str]] = {
    "kubernetes": _kubernetes,
    "compose": _compose,
    "docker": _docker,
    "systemd": _systemd,
}
