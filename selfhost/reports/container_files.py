"""The files of `size` to paste: they run containers or services with the computed sizes.

`container_file` takes the name of a format and the sizes, and returns the text of its file. The
templates are in `specs/common/containers.toml`. Each format has one function that writes its file
from top to bottom, and writes its own values, because each reader of files quotes in another way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

from ..advice.sizes import MODELS_FOLDER, OWN_FOLDER, CardMemory, ContainerSize
from ..catalogue.runtime_parts import Service
from ..core import __version__, units
from ..core.quoting import shell_line, shell_word
from ..core.records import Record, Stated
from ..core.tables import TomlRow, program_record
from ..core.templates import fill
from ..machine.gpus import facts_of
from .layout import clean, ended

# the longest name of a Kubernetes object that is also a host name (RFC 1123, one label), less the
# suffix that tells two objects of a model apart: `-123`
_LONGEST_NAME = 63 - 4
# how often a probe of Kubernetes asks
_PROBE_SECONDS = 10
# the default deadline of a rollout
# (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds)
_ROLLOUT_SECONDS = 600
# beside the model: logs and what a program writes (assumed)
_WRITABLE_MEBIBYTES = 1024
_DEFAULT_TOKEN_VARIABLE = "HF_TOKEN"
_FIRST_COMMENT = (
    f"selfhost {__version__}: request and limit include the page "
    f"cache where one is needed"
)
_SECRET_COMMENT = (
    "first make the secret of your login at Hugging Face:"
    " kubectl create secret generic hf-token --from-literal=token=…"
)


class Devices(Record):
    """The ways to give a container the accelerators of one vendor; a way that does not apply is
    empty.

    `resource` is the resource in Kubernetes, `driver` the driver in compose and `docker run`;
    `files` are the device files of a vendor without such a driver.
    """

    resource: str = ""
    driver: str = ""
    files: Sequence[str] = ()


class ContainerTable(Stated):
    """`specs/common/containers.toml`: a template a format, and a row of `Devices` a vendor."""

    schema: int
    templates: Mapping[str, str]
    devices: Mapping[str, TomlRow]


@cache
def _table() -> ContainerTable:
    """The shipped table."""
    return program_record(ContainerTable, "containers")


class Server(Record):
    """A container or service; no other server of the file has its name or port.

    `token_variable` is the variable with the token of a login; "" where no download needs a login.
    `folder` is the folder of the models in the container.
    """

    name: str
    port: int
    size: ContainerSize
    service: Service
    token_variable: str
    folder: str
    devices: Devices

    @property
    def claim(self) -> str:
        """The name of the Kubernetes volume that holds the user's own files."""
        return f"{self.name}-models"

    @property
    def gpu_count(self) -> int:
        """The number of GPUs that compose or `docker run` gives the container by a driver."""
        if not self.devices.driver:
            return 0
        return len(self.size.accelerators)


def container_file(kind: str, sizes: Sequence[ContainerSize]) -> str:
    """Return the file of that kind, a key of `FORMATS`, which runs these containers.

    Every size is of a runtime that serves: it has a `service`.
    """
    servers: list[Server] = []
    for size in sizes:
        servers.append(_server(size, servers))
    return FORMATS[kind](servers)


def _server(size: ContainerSize, others: Sequence[Server]) -> Server:
    """The server of that size, with a name and a port that no other server has."""
    service = size.runtime.service
    assert service is not None
    names = [other.name for other in others]
    ports = [other.port for other in others]
    port = service.port
    while port in ports:
        port += 1
    folder = service.store
    token_variable = ""
    if size.files_are_yours:
        folder = MODELS_FOLDER
    elif size.needs_login:
        installation = size.runtime.installation
        token_variable = installation.token_variable or _DEFAULT_TOKEN_VARIABLE
    devices = Devices()
    if size.accelerators:
        # all accelerators of a server are alike
        devices = _devices(size.accelerators[0])
    return Server(
        name=_free_name(size.model.id, names),
        port=port,
        size=size,
        service=service,
        token_variable=token_variable,
        folder=folder,
        devices=devices,
    )


def _free_name(model: str, names: Collection[str]) -> str:
    """The model's id as a name of Kubernetes, with a number where another server has that name."""
    letters = "-".join(re.findall(r"[a-z0-9]+", model.lower()))
    first = letters[:_LONGEST_NAME].strip("-") or "model"
    name = first
    number = 2
    while name in names:
        name = f"{first}-{number}"
        number += 1
    return name


def _devices(card: CardMemory) -> Devices:
    """The ways to give a container GPUs like this one. The resource of Kubernetes follows the
    kernel driver of the GPU where that is known, else the vendor.
    """
    rows = _table().devices
    # an accelerator without a stated vendor is taken to be NVIDIA's
    row = rows.get(card.vendor) or rows["nvidia"]
    devices = Devices(**row)
    driver = facts_of(card.name).kernel_driver
    if driver:
        return devices.replace(resource=f"gpu.{card.vendor}.com/{driver}")
    return devices


def _kubernetes(servers: Sequence[Server]) -> str:
    """The file for Kubernetes, with a Deployment for each server."""
    comments = [_FIRST_COMMENT]
    for server in servers:
        comments += _comments(server, server.folder)
        if server.size.files_are_yours:
            comments.append(_claim_comment(server))
        comments += _fetch_comments(server.size.fetch)
    if any(server.token_variable for server in servers):
        comments.append(_SECRET_COMMENT)
    deployments = []
    for server in servers:
        values = _kubernetes_values(server)
        deployments.append(_filled("kubernetes", values))
    return _commented(comments) + "---\n".join(deployments)


def _claim_comment(server: Server) -> str:
    """The comment that the user must first make a volume for the files.

    An emptyDir is new with each pod: nobody could fill it before the server looks.
    """
    claim = f"first make the PersistentVolumeClaim {server.claim}"
    if server.size.disk_bytes:
        claim += f" of {_whole(server.size.disk_bytes, units.GIB)}Gi or more"
    return claim


def _kubernetes_values(server: Server) -> dict[str, object]:
    """The values of the template of a Deployment; `stored` is empty where the size of the files is
    not known.
    """
    size = server.size
    tries = -(-size.seconds_to_start // _PROBE_SECONDS)
    values = _container_values(server) | {
        "arguments": list(map(_kubernetes_text, size.image_arguments)),
        "environment": _kubernetes_environment(server),
        "health": server.service.health,
        "tries": tries,
        # the rollout must wait as long as the probe does
        "deadline": tries * _PROBE_SECONDS + _ROLLOUT_SECONDS,
        "resource": server.devices.resource,
        "cards": len(size.accelerators),
        "shared_folder": "",
        "stored": "",
        "twice": "",
        "store": {"name": "models", **_kubernetes_volume(server)},
    }
    if size.shared_memory_bytes:
        values["shared_folder"] = "/dev/shm"
    stored_bytes = size.disk_bytes
    if size.files_are_yours:
        # the user's own files lie in a volume, not on the disk of the node
        stored_bytes = 0
    if stored_bytes is not None:
        values["stored"] = _whole(stored_bytes) + _WRITABLE_MEBIBYTES
        # an update downloads the new files before the old files go
        values["twice"] = _whole(2 * stored_bytes) + _WRITABLE_MEBIBYTES
    return values


def _kubernetes_volume(server: Server) -> dict[str, object]:
    """The volume of the model files: a claim for the user's own files, else a directory with room
    for two downloads.
    """
    if server.size.files_are_yours:
        return {"persistentVolumeClaim": {"claimName": server.claim}}
    if not server.size.disk_bytes:
        return {"emptyDir": {}}
    limit = f"{_whole(2 * server.size.disk_bytes, units.GIB)}Gi"
    return {"emptyDir": {"sizeLimit": limit}}


def _kubernetes_environment(server: Server) -> list[object]:
    """The variables of the container; that of a login comes from a secret."""
    variables: list[object] = []
    for name, value in server.size.environment.items():
        variables.append({"name": name, "value": _kubernetes_text(value)})
    if server.token_variable:
        secret = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        variables.append({"name": server.token_variable, "valueFrom": secret})
    return variables


def _kubernetes_text(text: str) -> str:
    """The text with the escapes that Kubernetes needs, which replaces `$(NAME)` and `$$` in
    arguments and variables (kubernetes.io, Define Dependent Environment Variables).
    """
    return re.sub(r"\$(?=[$(])", "$$", text)


def _compose(servers: Sequence[Server]) -> str:
    """The compose file, with one service for each server; downloads share a volume."""
    comments = [_FIRST_COMMENT]
    for server in servers:
        comments += _comments(server, OWN_FOLDER)
        comments += _fetch_comments(server.size.fetch)
    text = _commented(comments) + "services:\n"
    for server in servers:
        size = server.size
        values = _container_values(server) | {
            "arguments": list(map(_compose_text, size.image_arguments)),
            "environment": _compose_environment(server),
            "devices": server.devices.files,
            "gpus": server.gpu_count,
        }
        text += _filled("compose", values)
    if not all(server.size.files_are_yours for server in servers):
        text += "volumes:\n  models: {}\n"
    return text


def _compose_environment(server: Server) -> dict[str, str]:
    """The variables of the container by their names."""
    variables = {}
    for name, value in server.size.environment.items():
        variables[name] = _compose_text(value)
    if server.token_variable:
        # the value comes from the shell that starts the server
        variables[server.token_variable] = f"${{{server.token_variable}}}"
    return variables


def _compose_text(text: str) -> str:
    """The text with the escapes that compose needs, which replaces `$NAME` and `${NAME}` in every
    value (docs.docker.com/reference/compose-file/interpolation).
    """
    return text.replace("$", "$$")


def _docker(servers: Sequence[Server]) -> str:
    """A `docker run` for each server, and the `docker exec` that downloads its model."""
    comments = [_FIRST_COMMENT]
    for server in servers:
        comments += _comments(server, OWN_FOLDER)
    text = _commented(comments)
    for server in servers:
        size = server.size
        values = _container_values(server) | {
            "words": shell_line([size.image or "", *size.image_arguments]),
            "environment": _docker_environment(server),
            "gpus": server.gpu_count,
            "device_options": _options("--device", server.devices.files),
            "fetch": size.fetch or "",
        }
        text += _filled("docker", values)
    return text


def _docker_environment(server: Server) -> str:
    """The options that set the variables of the container."""
    settings = []
    for name, value in server.size.environment.items():
        settings.append(f"{name}={value}")
    if server.token_variable:
        # a name without a value takes the value in the shell
        settings.append(server.token_variable)
    return _options("--env", settings)


def _options(option: str, values: Sequence[str]) -> str:
    """The option with each of the values, as a shell takes them."""
    return " ".join(f"{option} {shell_word(value)}" for value in values)


def _systemd(servers: Sequence[Server]) -> str:
    """A unit for each server, with the name of its file."""
    return "\n".join(map(_systemd_unit, servers))


def _systemd_unit(server: Server) -> str:
    """The unit of a server. All units share the machine, so each listens on its own port."""
    size = server.size
    port_setting = fill(
        server.service.port_setting, {"port": server.port}, keep_unknown=True
    )
    words = list(size.program)
    variables = dict(size.environment)
    fetch = size.fetch
    # an option of the program, or NAME=VALUE for its environment
    variable, _, value = port_setting.partition("=")
    if port_setting.startswith("--"):
        words += port_setting.split()
    elif value:
        variables[variable] = value
        if fetch and server.port != server.service.port:
            # the line that downloads the model has to ask the server at that port
            fetch = f"{port_setting} {fetch}"
    comments = [
        f"/etc/systemd/system/{server.name}.service",
        _FIRST_COMMENT,
        *_comments(server, server.folder),
        *_fetch_comments(fetch, "on the same machine"),
    ]
    values: dict[str, object] = {
        # a backslash at the end would join the next line to it
        "title": _systemd_text(clean(size.model.name)),
        "program": clean(words[0]),
        "words": " ".join(map(_systemd_argument, words)),
        "environment": _systemd_environment(variables, server.token_variable),
        "name": server.name,
        "least": _whole(size.unreclaimable_bytes),
        "request": _whole(size.request_bytes),
        "limit": _whole(size.limit_bytes),
    }
    return _commented(comments) + _filled("systemd", values)


def _systemd_environment(variables: Mapping[str, str], token_variable: str) -> str:
    """A line for each variable, and the line of the file with the token of a login."""
    lines = []
    for name, value in variables.items():
        setting = _systemd_word(f"{name}={value}")
        lines.append(f"Environment={setting}")
    if token_variable:
        lines.append(
            f"# a line {token_variable}=… in that file logs in to Hugging Face"
        )
        lines.append("EnvironmentFile=-/etc/selfhost.env")
    return "\n".join(lines)


def _systemd_text(text: str) -> str:
    """A text in which systemd finds no specifier and no escape."""
    return text.replace("\\", "\\\\").replace("%", "%%")


def _systemd_argument(word: str) -> str:
    """A word of a command line of systemd, which puts variables in for `$` (systemd.service(5))."""
    return _systemd_word(word).replace("$", "$$")


def _systemd_word(word: str) -> str:
    """A word as systemd reads it: with specifiers for `%`, and C's escapes (systemd.syntax(7))."""
    text = _systemd_text(word).replace('"', '\\"')
    text = _with_escapes(text)
    if text and not units.says_any(text, " \"';"):
        return text
    return f'"{text}"'


def _container_values(server: Server) -> dict[str, object]:
    """The template values that all formats of containers share, sizes in MiB. An empty value makes
    `_filled` leave its line out.
    """
    size = server.size
    values: dict[str, object] = {
        "name": server.name,
        "image": size.image or "",
        "port": server.port,
        "inner_port": server.service.port,
        "request": _whole(size.request_bytes),
        "limit": _whole(size.limit_bytes),
        "shared": _whole(size.shared_memory_bytes),
        "folder": server.folder,
        # only one of these applies: the folder of the user's own files, or the folder for downloads
        "own": "",
        "downloads": "",
    }
    if size.files_are_yours:
        values["own"] = OWN_FOLDER
    else:
        values["downloads"] = server.folder
    return values


def _whole(size_bytes: int, unit: int = units.MIB) -> int:
    """The number of units that hold so many bytes, rounded up."""
    return -(-size_bytes // unit)


def _comments(server: Server, folder: str) -> list[str]:
    """The comments on the memory and its growth, the notes, and the files that the user must put
    into `folder` where the server downloads none.
    """
    size = server.size
    own = units.binary(size.unreclaimable_bytes)
    needs = f"{size.model.name} needs {own} of its own"
    if size.page_cache_bytes:
        needs += f" and {units.binary(size.page_cache_bytes)} of page cache"
    grown = units.binary(sum(growth.bytes for growth in size.growths))
    comments = [f"{needs}, and may grow by {grown}", *size.notes]
    if size.files_are_yours:
        files = f"the {size.workload.quantization} files"
        if size.model.conversions_page:
            files += f", from {size.model.conversions_page}"
        comments.append(f"put {files} into {folder}")
    return comments


def _fetch_comments(fetch: str | None, where: str = "in its container") -> list[str]:
    """The comment with the line that downloads the model; [] where the server downloads by
    itself.
    """
    if not fetch:
        return []
    return [f"once it runs, {where}: {fetch}"]


def _commented(comments: Sequence[str]) -> str:
    """The comments, each as a line that begins with `#`."""
    return ended(f"# {clean(text)}" for text in comments)


def _filled(kind: str, values: Mapping[str, object]) -> str:
    """The template of that format with its values: texts as they are, others as YAML. A line of the
    template whose value is empty, 0 or None is left out.
    """
    written: dict[str, str | None] = {}
    for name, value in values.items():
        if not value:
            written[name] = None
        elif isinstance(value, str):
            written[name] = value
        else:
            written[name] = _yaml(value)
    return fill(_table().templates[kind], written)


def _yaml(value: object) -> str:
    """The value as JSON, which is YAML, too. Signs that no terminal shows have the escapes of YAML:
    JSON's own escape of a sign beyond U+FFFF is two escapes, which YAML does not know.
    """
    # imported here: only these formats need the module
    import json

    return _with_escapes(json.dumps(value, ensure_ascii=False))


def _with_escapes(text: str) -> str:
    """The text, in which signs that no terminal shows have the escapes of YAML and systemd."""
    # a CI service takes `##[` for a command
    text = "".join(map(_escaped, text))
    return text.replace("##", "\\u0023#")


def _escaped(sign: str) -> str:
    """A sign, as an escape where it shows nothing."""
    if sign.isprintable():
        return sign
    number = ord(sign)
    if number <= 0xFFFF:
        return f"\\u{number:04x}"
    return f"\\U{number:08x}"


# the formats of `size` that are files, by the names that `--format` takes
FORMATS: Mapping[str, Callable[[Sequence[Server]], str]] = {
    "kubernetes": _kubernetes,
    "compose": _compose,
    "docker": _docker,
    "systemd": _systemd,
}
