"""Files to paste that run a model: `selfhost size --format kubernetes|compose|docker|systemd`.

A template a format. Values stand as JSON, which YAML reads alike, so that no text can be taken for
a number, a date or a comment; a line whose value is empty is left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from .. import __version__
from ..advice.sizes import ASSUMED_RATE, MODELS_FOLDER, ContainerSize, Mount
from ..catalogue.runtime import Service
from ..core import units
from ..core.records import Record
from ..machine.gpus import fact_of
from .layout import clean

# the longest name of a Kubernetes object that is also a host's name (RFC 1123, one label)
_LONGEST_NAME = 63
_VOLUME = "models"
# how often a probe of Kubernetes asks, in seconds
_PERIOD = 10
# the default: what a rollout waits for the image and a pod that is soon ready, in seconds
# (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds)
_DEADLINE = 600
# beside the model: logs and what a program writes (assumed)
_WRITABLE_MEBIBYTES = 1024
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# not in systemd's PATH (systemd.exec(5), $PATH; docs.brew.sh/Homebrew-on-Linux)
_HOMEBREW = ":/home/linuxbrew/.linuxbrew/bin"

# memory and accelerators are reserved before a pod starts: an update takes the old pod down first
_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {labels}
spec:
  replicas: 1
  progressDeadlineSeconds: {deadline}
  strategy: {"type": "Recreate"}
  selector:
    matchLabels: {labels}
  template:
    metadata:
      labels: {labels}
    spec:
      containers:
        - name: server
          image: {image}
          args: {arguments}
          env: {environment}
          ports: [{"containerPort": {port}}]
          resources:
            requests: {requests}
            limits: {limits}
          startupProbe: {"httpGet": {probe}, "periodSeconds": {period}, "failureThreshold": {tries}}
          readinessProbe: {"httpGet": {probe}, "periodSeconds": {period}}
          livenessProbe:
            httpGet: {probe}
            periodSeconds: {period}
            timeoutSeconds: {period}
            failureThreshold: 6
          volumeMounts: {mounts}
      volumes: {volumes}
"""
# swap is off, for a server that swaps has no pace
_SERVICE = """\
  {name}:
    image: {image}
    command: {arguments}
    environment: {environment}
    ports: ["127.0.0.1:{port}:{inner_port}"]
    volumes: {volumes}
    memswap_limit: {limit}M
    shm_size: {shared}
    devices: {files}
    deploy:
      resources:
        limits: {"memory": "{limit}M"}
        reservations: {reserved}
    restart: unless-stopped
"""
# MemoryMin keeps what cannot be reclaimed, MemoryLow the page cache too. Users made by DynamicUser
# cannot share a folder, so each unit has a StateDirectory of its own. Without env systemd looks in
# the folders that it was built with, and not in PATH.
_UNIT = """\
[Unit]
Description={title}
Wants=network-online.target
After=network-online.target

[Service]
# systemd looks for {program} in these folders: add yours if it lies elsewhere
Environment=PATH={path}
ExecStart=/usr/bin/env {words}
{environment}
DynamicUser=yes
StateDirectory={name}
Environment=HOME=%S/{name}
{mounts}
MemoryMin={least}M
MemoryLow={request}M
MemoryMax={limit}M
MemorySwapMax=0
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""


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
    "": Devices(resource=""),
    "nvidia": Devices(resource="nvidia.com/gpu", driver="nvidia"),
    "amd": Devices(resource="amd.com/gpu", files=("/dev/kfd", "/dev/dri")),
    "intel": Devices(resource="gpu.intel.com/i915", files=("/dev/dri",)),
}


def block(kind: str, sizes: Sequence[ContainerSize]) -> str:
    """Return the text of that format for containers of any number, each with a published image."""
    return _BLOCKS[kind](sizes)


def _filled(template: str, values: Mapping[str, object]) -> str:
    """The template with `{name}` replaced, strings as they are and other values as JSON."""
    import json
    import re

    texts = {name: json.dumps(value) if value else "" for name, value in values.items()}
    texts |= {name: value for name, value in values.items() if isinstance(value, str)}
    place = re.compile(r"\{([a-z_]+)\}")
    lines = [
        place.sub(lambda match: texts[match[1]], line)
        for line in template.splitlines(keepends=True)
        if all(texts[name] for name in place.findall(line))
    ]
    return "".join(lines)


# ------------------------------------------------------------------ what the formats share


def _service(size: ContainerSize) -> Service:
    assert size.runtime.service is not None
    return size.runtime.service


def _devices(size: ContainerSize) -> Devices:
    """How it gets its accelerators."""
    if not size.accelerators:
        return _DEVICES[""]
    card = size.accelerators[0]
    # a program with an accelerator of no stated vendor asks for the usual one
    devices = _DEVICES[card.vendor if card.vendor in _DEVICES and card.vendor else "nvidia"]
    driver = fact_of(card.name, "kernel_driver")
    return devices.replace(resource=f"gpu.{card.vendor}.com/{driver}") if driver else devices


def _placed(sizes: Sequence[ContainerSize]) -> Iterator[tuple[str, int, ContainerSize]]:
    """Yield each container with a name and a port of one machine that no other has.

    Names are of lower-case letters, digits and dashes.
    """
    names: set[str] = set()
    ports: set[int] = set()
    for size in sizes:
        letters = "".join(x if x.isascii() and x.isalnum() else " " for x in size.model.id.lower())
        plain = "-".join(letters.split())[:_LONGEST_NAME].strip("-") or "model"
        name, count = plain, 2
        while name in names:
            ending = f"-{count}"
            name, count = f"{plain[: _LONGEST_NAME - len(ending)]}{ending}", count + 1
        port = _service(size).port
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
            into = "where its arguments name them"
            if binds_files:
                into = f"into {size.own_mounts[0].source}, by the names of its arguments"
            listed = f"; conversions: {page}" if page else ""
            lines.append(f"put the {size.workload.quantization} files {into}{listed}")
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
    named = [(name, size) for name, _, size in _placed(sizes)]
    comments = _notes_above(sizes)
    for name, size in named:
        if size.files_are_yours:
            # an emptyDir is new with each pod: nobody could fill it before the server looks
            room = f" of {_gibibytes(size.disk_bytes)} or more" if size.disk_bytes else ""
            comments.append(
                f"# first make the PersistentVolumeClaim {name}-{_VOLUME}{room} and put the files"
                f" there: the pod waits for the claim, and has it as {_folder(size)}"
            )
    if any(map(_token, sizes)):
        comments.append(
            "# first make the secret of your login at Hugging Face:"
            " kubectl create secret generic hf-token --from-literal=token=…"
        )
    if not all(size.files_are_yours for size in sizes):
        store = "# the model store is an emptyDir: a PersistentVolumeClaim in its place keeps the"
        comments.append(f"{store} download")
    for size in sizes:
        stated = size.workload.download_bytes_per_second
        rate = f"{units.decimal(stated or ASSUMED_RATE)}/s"
        what = f"a volume read at {rate}" if size.files_are_yours else f"a download at {rate}"
        assumed = "" if stated else " (assumed: --download-speed states yours)"
        wait = f"startupProbe waits {size.seconds_to_start:,} s"
        comments.append(f"# {clean(size.model.name)}: {wait}, for {what}{assumed} and loading")
    documents = [_filled(_DEPLOYMENT, _deployment(name, size)) for name, size in named]
    return "\n".join(comments) + "\n" + "---\n".join(documents)


def _deployment(name: str, size: ContainerSize) -> dict[str, object]:
    service, devices, token = _service(size), _devices(size), _token(size)
    tries = -(-size.seconds_to_start // _PERIOD)
    requests = {"memory": f"{_mebibytes(size.request_bytes)}Mi"}
    limits = {"memory": f"{_mebibytes(size.limit_bytes)}Mi"}
    least, most = size.disk_bytes, size.disk_update_bytes
    if size.files_are_yours:
        least = most = 0
    if least is not None and most is not None:
        requests["ephemeral-storage"] = f"{_mebibytes(least) + _WRITABLE_MEBIBYTES}Mi"
        limits["ephemeral-storage"] = f"{_mebibytes(most) + _WRITABLE_MEBIBYTES}Mi"
    if devices.resource:
        requests[devices.resource] = limits[devices.resource] = str(len(size.accelerators))
    variables: list[object] = [
        {"name": key, "value": value} for key, value in size.environment.items()
    ]
    if token:
        # from a secret that you make
        secret = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        variables.append({"name": token, "valueFrom": secret})
    store: dict[str, object] = {"emptyDir": {"sizeLimit": _gibibytes(most)} if most else {}}
    if size.files_are_yours:
        store = {"persistentVolumeClaim": {"claimName": f"{name}-{_VOLUME}"}}
    volumes: list[object] = [{"name": _VOLUME, **store}]
    mounts = [{"name": _VOLUME, "mountPath": _folder(size)}]
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
        "period": _PERIOD,
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
    parts = [*_notes_above(sizes, binds_files=True), "services:\n"]
    text = "\n".join(parts)
    for name, port, size in _placed(sizes):
        devices, token = _devices(size), _token(size)
        reserved: dict[str, object] = {"memory": f"{_mebibytes(size.request_bytes)}M"}
        if devices.driver:
            count = len(size.accelerators)
            gpus = {"driver": devices.driver, "count": count, "capabilities": ["gpu"]}
            reserved["devices"] = [gpus]
        environment = dict(size.environment) | ({token: "${" + token + "}"} if token else {})
        shared = size.shared_memory_bytes
        values: dict[str, object] = {
            "name": f'"{name}"',
            "image": f'"{size.image}"',
            "arguments": size.image_arguments,
            "environment": environment,
            "port": port,
            "inner_port": _service(size).port,
            "volumes": list(map(_compose_mount, size.own_mounts)) or [f"{_VOLUME}:{_folder(size)}"],
            "limit": _mebibytes(size.limit_bytes),
            "shared": f"{_mebibytes(shared)}M" if shared else "",
            "files": () if devices.driver else devices.files,
            "reserved": reserved,
        }
        text += _filled(_SERVICE, values)
    return (
        text if all(size.own_mounts for size in sizes) else f"{text}volumes:\n  {_VOLUME}: {{}}\n"
    )


def _compose_mount(mount: Mount) -> dict[str, object]:
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
    most, devices, token = f"{_mebibytes(size.limit_bytes)}m", _devices(size), _token(size)
    yield from ("--memory", most, "--memory-swap", most)
    yield from ("--memory-reservation", f"{_mebibytes(size.request_bytes)}m")
    if size.shared_memory_bytes:
        yield from ("--shm-size", f"{_mebibytes(size.shared_memory_bytes)}m")
    if devices.driver:
        yield from ("--gpus", str(len(size.accelerators)))
    for file in () if devices.driver else devices.files:
        yield from ("--device", file)
    yield from ("--publish", f"127.0.0.1:{port}:{_service(size).port}")
    for mount in size.own_mounts:
        # a line of CSV; `--volume` would make a folder that is absent
        # (docs.docker.com/engine/storage/bind-mounts)
        source = f"source={mount.source}"
        if any(sign in source for sign in ',"'):
            source = '"' + source.replace('"', '""') + '"'
        yield from ("--mount", f"type=bind,{source},target={mount.target},readonly")
    if not size.own_mounts:
        yield from ("--volume", f"{_VOLUME}:{_folder(size)}")
    for name, value in size.environment.items():
        yield from ("--env", f"{name}={value}")
    # its value is taken from the shell's environment
    yield from ("--env", token) if token else ()


# ------------------------------------------------------------------ systemd


def _systemd(sizes: Sequence[ContainerSize]) -> str:
    """A unit each, with the name of its file; all share the machine, so each has its own port."""
    parts = []
    for name, port, size in _placed(sizes):
        setting = _service(size).port_setting.replace("{port}", str(port))
        fetched, words, variables = size, list(size.program), dict(size.environment)
        key, _, value = setting.partition("=")
        if setting.startswith("--"):
            words += setting.split()
        elif value:
            variables[key] = value
            if size.fetch and port != _service(size).port:
                # the line that fetches the model reaches the unit at that port
                fetched = size.replace(fetch=f"{setting} {size.fetch}")
        notes = _notes_above([fetched], binds_files=bool(size.files), where="on the same machine")
        head = [f"# /etc/systemd/system/{name}.service", *notes]
        parts.append("\n".join([*head, _unit(name, size, words, variables)]))
    return "\n".join(parts)


def _unit(
    name: str, size: ContainerSize, words: Sequence[str], variables: Mapping[str, str]
) -> str:
    environment = [f"Environment={_quoted(f'{key}={value}')}" for key, value in variables.items()]
    if token := _token(size):
        environment.append(f"# a line {token}=… in that file logs in to Hugging Face")
        environment.append("EnvironmentFile=-/etc/selfhost.env")
    mounts = []
    for mount in size.files:
        # as systemd.exec(5) has it; a colon parts both
        source = _plain(mount.source).replace("\\", "\\\\").replace('"', '\\"').replace(":", "\\:")
        mounts.append(f'BindReadOnlyPaths="{source}:{mount.target}"')
    is_of_homebrew = size.runtime.install.get("linux", "").startswith("brew ")
    return _filled(_UNIT, {
        "title": _plain(size.model.name),
        "program": _plain(words[0]),
        "path": _SYSTEM_PATH + _HOMEBREW * is_of_homebrew,
        "words": " ".join(map(_quoted, words)),
        "environment": "\n".join(environment),
        "name": name,
        "mounts": "\n".join(mounts),
        "least": _mebibytes(size.unreclaimable_bytes),
        "request": _mebibytes(size.request_bytes),
        "limit": _mebibytes(size.limit_bytes),
    })  # fmt: skip


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
