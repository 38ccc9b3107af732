"""What `size` says to a person: three numbers, what grows and what bounds it, how to start it; and
the files to paste that run a model in that size.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .. import __version__
from ..advice.sizes import MODELS_FOLDER, OWN_FOLDER, ContainerSize
from ..catalogue.runtime import Service
from ..core import units
from ..core.records import Record
from ..core.tables import shipped_table
from ..machine.gpus import fact_of
from .layout import (
    BLANK,
    Block,
    Column,
    Document,
    Table,
    clean,
    command_line,
    figures,
    heading,
    line,
    say,
    strong,
    texts,
)
from .words import format_words

# what the rows of growth are called where that is not their name
_NAMES = {"uncertainty": "uncertain"}
_TO_PASTE = "To paste: --format kubernetes, compose, docker or systemd"
# label, figure, why
_Row = tuple[str, str, str]


def size_document(sizes: Sequence[ContainerSize], *, verbose: bool = False) -> Document:
    """Return one model on a screen, several as a table with their sum.

    `verbose` adds each growth and memory term with its arithmetic.
    """
    if len(sizes) == 1:
        return Document(blocks=tuple(_single(sizes[0], verbose)))
    blocks = list(_several(sizes))
    for size in sizes if verbose else ():
        blocks += [BLANK, *_single(size, verbose)]
    return Document(blocks=tuple(blocks))


def _single(size: ContainerSize, verbose: bool) -> Iterator[Block]:
    request, limit = _up(size.request_bytes), _up(size.limit_bytes)
    yield line(strong(size.model.name), f": request {request}, limit {limit}", hang=2)
    context, parallel = size.workload.context_tokens, size.workload.parallel
    users = "1 user" if parallel == 1 else f"each of {parallel} users"
    length = users if context is None else f"{units.tokens(context)} of context for {users}"
    yield from texts([f"{format_words(size.workload)}, {length}", *size.notes], hang=0)
    yield from (BLANK, figures(_rows(size)))
    if growing := list(_growing(size)):
        yield from (*heading("What can grow, and what bounds it"), figures(growing))
    if verbose:
        from . import json

        kept = json.record(size, "growths needs")
        yield from json.sections(kept, {"growths": "Growth", "needs": "Needs"})
    if size.image is not None and size.program:
        # the command that holds it to these figures
        settings = [f"{name}={value}" for name, value in size.environment.items()]
        command = " ".join([*settings, *map(shlex.quote, size.program)])
        yield from (*heading("Start it with"), command_line(command))
        yield from [command_line(size.fetch)] if size.fetch else ()
    if size.image is not None:
        yield say(_TO_PASTE)


def _up(size: int) -> str:
    return units.binary_at_least(size)


def _rows(size: ContainerSize) -> Iterator[_Row]:
    """The request and its parts, the limit, disk and accelerators."""
    cache = size.page_cache_bytes
    yield "memory", _up(size.unreclaimable_bytes), "of its own, which stays in RAM"
    if cache:
        why = "the mapped weights: with less it stalls or is killed"
        yield "page cache", units.binary(cache), why
    yield "limit", _up(size.limit_bytes), f"{'both' if cache else 'that'}, and what can grow"
    if size.disk_bytes is not None:
        twice = units.decimal(2 * size.disk_bytes)
        yield "disk", units.decimal(size.disk_bytes), f"{twice} while an update replaces it"
    else:
        yield "disk", "unknown", "the size of the files is not known"
    if held := size.accelerators:
        each = _up(max(card.memory_bytes for card in held))
        count = f"{len(held)} × " if len(held) > 1 else ""
        yield "accelerator", f"{count}{each}", f"of {held[0].name or 'GPU'}"


def _growing(size: ContainerSize) -> Iterator[_Row]:
    """What grows, with the option that bounds it."""
    for growth in size.growths:
        most = units.binary(growth.bytes) if growth.bytes else "none"
        bound = growth.bound or growth.why
        if growth.bound and growth.unbound_bytes and growth.unbound_bytes > growth.bytes:
            bound += f"  (without it {units.binary(growth.unbound_bytes)})"
        yield _NAMES.get(growth.name, growth.name.replace("_", " ")), most, bound


def _several(sizes: Sequence[ContainerSize]) -> Iterator[Block]:
    """A row for each container, and their sum."""
    request = _up(sum(size.request_bytes for size in sizes))
    limit = _up(sum(size.limit_bytes for size in sizes))
    total = f"{len(sizes)} containers: request {request}, limit {limit} in all"
    yield from (line(strong(total), ""), BLANK)
    titles = ("model", "request", "of it page cache", "limit", "disk", "GPUs")
    rows = tuple(
        (
            size.model.id,
            _up(size.request_bytes),
            units.binary(size.page_cache_bytes) if size.page_cache_bytes else "none",
            _up(size.limit_bytes),
            "unknown" if size.disk_bytes is None else units.decimal(size.disk_bytes),
            str(len(size.accelerators) or "-"),
        )
        for size in sizes
    )
    columns = tuple(Column(title=title, right=bool(at)) for at, title in enumerate(titles))
    notes = [f"{size.model.name}: {note}" for size in sizes for note in size.notes]
    yield from (Table(columns=columns, rows=rows), BLANK)
    yield from texts([*notes, "Options and figures: -v", _TO_PASTE], indent=0)


# ------------------------------------------------------------------ files to paste

# the longest name of a Kubernetes object that is also a host's name (RFC 1123, one label)
_LONGEST_NAME = 63
# how often a probe of Kubernetes asks, in seconds, and what a rollout waits by default
# (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds)
_PERIOD, _DEADLINE = 10, 600
# beside the model: logs and what a program writes (assumed)
_WRITABLE_MEBIBYTES = 1024
_SECRET = (
    "first make the secret of your login at Hugging Face:"
    " kubectl create secret generic hf-token --from-literal=token=…"
)


class _Unit(Record):
    """A container or service with a name and a port of one machine that no other has.

    `token` is the variable of a login, empty where nothing is downloaded with it; `folder` where
    the models lie in the container; `devices` how it gets its accelerators.
    """

    name: str
    port: int
    size: ContainerSize
    service: Service
    token: str
    folder: str
    devices: Mapping[str, Any]


def block(kind: str, sizes: Sequence[ContainerSize]) -> str:
    """Return a file that runs containers of any number, each with a published image. The templates
    are `specs/common/containers.toml`.
    """
    return _BLOCKS[kind](list(_units(sizes)))


def _units(sizes: Sequence[ContainerSize]) -> Iterator[_Unit]:
    """Yield each with a name of lower-case letters, digits and dashes."""
    names: set[str] = set()
    ports: set[int] = set()
    for size in sizes:
        service = size.runtime.service
        assert service is not None
        words = re.findall(r"[a-z0-9]+", size.model.id.lower())
        plain = "-".join(words)[: _LONGEST_NAME - 4].strip("-") or "model"
        name, count, port = plain, 2, service.port
        while name in names:
            name, count = f"{plain}-{count}", count + 1
        while port in ports:
            port += 1
        names.add(name)
        ports.add(port)
        yours = size.files_are_yours
        needs_token = size.needs_login and not yours
        yield _Unit(
            name=name,
            port=port,
            size=size,
            service=service,
            token=(size.runtime.token_variable or "HF_TOKEN") if needs_token else "",
            folder=MODELS_FOLDER if yours else service.store,
            devices=_devices(size),
        )


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


def _filled(kind: str, values: Mapping[str, object]) -> str:
    """The template of that format with `{name}` replaced."""
    import json

    texts = {name: json.dumps(value) if value else "" for name, value in values.items()}
    texts |= {name: value for name, value in values.items() if isinstance(value, str)}
    place = re.compile(rf"\{{({'|'.join(map(re.escape, texts))})\}}")
    lines = [
        place.sub(lambda match: texts[match[1]], line)
        for line in shipped_table("containers")[kind].splitlines(keepends=True)
        if all(texts[name] for name in place.findall(line))
    ]
    return "".join(lines)


def _mebibytes(size: int) -> int:
    return -(-size // units.MIB)


def _gibibytes(size: int) -> str:
    return f"{-(-size // units.GIB)}Gi"


def _notes_above(
    parts: Sequence[_Unit], *, binds_files: bool = False, where: str = "in its container"
) -> list[str]:
    """Return comments above a block: how the figures are made up, and what is left to you.

    `binds_files`: the block mounts a folder of your own files; `where`: the line that fetches is
    typed there.
    """
    lines = [
        f"selfhost {__version__}: request and limit include the page cache where one is needed"
    ]
    for unit in parts:
        size = unit.size
        kept, cache = units.binary(size.unreclaimable_bytes), size.page_cache_bytes
        mapped = f" and {units.binary(cache)} of page cache" if cache else ""
        grown = units.binary(sum(growth.bytes for growth in size.growths))
        figures = f"needs {kept} of its own{mapped}, and may grow by {grown}"
        lines += [f"{size.model.name} {figures}", *size.notes]
        if size.files_are_yours:
            into = OWN_FOLDER if binds_files else unit.folder
            page = f", from {size.model.conversions_page}" if size.model.conversions_page else ""
            lines.append(f"put the {size.workload.quantization} files{page} into {into}")
        if size.fetch:
            lines.append(f"once it runs, {where}: {size.fetch}")
    return [f"# {clean(text)}" for text in lines]


def _kubernetes(parts: Sequence[_Unit]) -> str:
    """One document for each model."""
    comments, documents = _notes_above(parts), []
    for unit in parts:
        documents.append(_filled("kubernetes", _deployment(unit)))
        if unit.size.files_are_yours:
            # an emptyDir is new with each pod: nobody could fill it before the server looks
            disk = unit.size.disk_bytes
            room = f" of {_gibibytes(disk)} or more" if disk else ""
            comments.append(
                f"# first make the PersistentVolumeClaim {unit.name}-models{room} and put the files"
                f" there: the pod waits for the claim, and has it as {unit.folder}"
            )
    comments += [f"# {_SECRET}"] if any(unit.token for unit in parts) else []
    return "\n".join(comments) + "\n" + "---\n".join(documents)


def _deployment(unit: _Unit) -> dict[str, object]:
    size, service, yours = unit.size, unit.service, unit.size.files_are_yours
    tries = -(-size.seconds_to_start // _PERIOD)
    requests = {"memory": f"{_mebibytes(size.request_bytes)}Mi"}
    limits = {"memory": f"{_mebibytes(size.limit_bytes)}Mi"}
    stored = 0 if yours else size.disk_bytes
    if stored is not None:
        requests["ephemeral-storage"] = f"{_mebibytes(stored) + _WRITABLE_MEBIBYTES}Mi"
        # the new files of an update are downloaded before the old ones go
        limits["ephemeral-storage"] = f"{_mebibytes(2 * stored) + _WRITABLE_MEBIBYTES}Mi"
    if resource := unit.devices.get("resource"):
        requests[resource] = limits[resource] = str(len(size.accelerators))
    variables: list[object] = [
        {"name": key, "value": value} for key, value in size.environment.items()
    ]
    if unit.token:
        # from a secret that you make
        secret = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        variables.append({"name": unit.token, "valueFrom": secret})
    store: dict[str, object] = {"emptyDir": {"sizeLimit": _gibibytes(2 * stored)} if stored else {}}
    if yours:
        store = {"persistentVolumeClaim": {"claimName": f"{unit.name}-models"}}
    volumes: list[object] = [{"name": "models", **store}]
    mounts = [{"name": "models", "mountPath": unit.folder}]
    if size.shared_memory_bytes:
        shared = {"medium": "Memory", "sizeLimit": _gibibytes(size.shared_memory_bytes)}
        volumes.append({"name": "shared-memory", "emptyDir": shared})
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    return {
        "name": f'"{unit.name}"',
        "labels": {"app.kubernetes.io/name": unit.name},
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


def _compose(parts: Sequence[_Unit]) -> str:
    """A whole file."""
    text = "\n".join([*_notes_above(parts, binds_files=True), "services:\n"])
    for unit in parts:
        size, driver = unit.size, unit.devices.get("driver")
        reserved: dict[str, object] = {"memory": f"{_mebibytes(size.request_bytes)}M"}
        if driver:
            count = len(size.accelerators)
            reserved["devices"] = [{"driver": driver, "count": count, "capabilities": ["gpu"]}]
        # the short syntax would make an empty folder where there is none
        own: object = {
            "type": "bind",
            "source": OWN_FOLDER,
            "target": MODELS_FOLDER,
            "read_only": True,
            "bind": {"create_host_path": False},
        }
        token = {unit.token: f"${{{unit.token}}}"} if unit.token else {}
        shared = size.shared_memory_bytes
        values: dict[str, object] = {
            "name": f'"{unit.name}"',
            "image": f'"{size.image}"',
            "arguments": size.image_arguments,
            "environment": {**size.environment, **token},
            "port": unit.port,
            "inner_port": unit.service.port,
            "volumes": [own if size.files_are_yours else f"models:{unit.folder}"],
            "limit": _mebibytes(size.limit_bytes),
            "shared": f"{_mebibytes(shared)}M" if shared else "",
            "files": () if driver else unit.devices.get("files", ()),
            "reserved": reserved,
        }
        text += _filled("compose", values)
    has_volume = not all(unit.size.files_are_yours for unit in parts)
    return f"{text}volumes:\n  models: {{}}\n" if has_volume else text


def _docker(parts: Sequence[_Unit]) -> str:
    """A line for a shell each, and one that fetches a model where the server does not."""
    lines = _notes_above(parts, binds_files=True)
    for unit in parts:
        words = ["docker", "run", "--detach", "--name", unit.name, *_docker_options(unit)]
        lines.append(shlex.join([*words, unit.size.image or "", *unit.size.image_arguments]))
        if unit.size.fetch:
            lines.append(shlex.join(["docker", "exec", unit.name, *unit.size.fetch.split()]))
    return "".join(f"{line}\n" for line in lines)


def _docker_options(unit: _Unit) -> Iterator[str]:
    """Memory without swap, accelerators, port, model store and environment."""
    size, devices = unit.size, unit.devices
    most, shared = _mebibytes(size.limit_bytes), size.shared_memory_bytes
    yield from ("--memory", f"{most}m", "--memory-swap", f"{most}m")
    yield from ("--memory-reservation", f"{_mebibytes(size.request_bytes)}m")
    yield from ("--shm-size", f"{_mebibytes(shared)}m") if shared else ()
    if devices.get("driver"):
        yield from ("--gpus", str(len(size.accelerators)))
    else:
        yield from (word for file in devices.get("files", ()) for word in ("--device", file))
    yield from ("--publish", f"127.0.0.1:{unit.port}:{unit.service.port}")
    if size.files_are_yours:
        # `--volume` would make a folder that is absent
        mount = f"type=bind,source={OWN_FOLDER},target={MODELS_FOLDER},readonly"
        yield from ("--mount", mount)
    else:
        yield from ("--volume", f"models:{unit.folder}")
    # the token's value is taken from the shell's environment
    variables = [f"{name}={value}" for name, value in size.environment.items()]
    for variable in filter(None, (*variables, unit.token)):
        yield from ("--env", variable)


def _systemd(parts: Sequence[_Unit]) -> str:
    """A unit each, with the name of its file; all share the machine, so each has its own port."""
    texts = []
    for unit in parts:
        size, name = unit.size, unit.name
        setting = unit.service.port_setting.replace("{port}", str(unit.port))
        words, variables = list(size.program), dict(size.environment)
        key, _, value = setting.partition("=")
        if setting.startswith("--"):
            words += setting.split()
        elif value:
            variables[key] = value
            if size.fetch and unit.port != unit.service.port:
                # the line that fetches the model reaches the unit at that port
                unit = unit.replace(size=size.replace(fetch=f"{setting} {size.fetch}"))
        where = "on the same machine"
        notes = _notes_above([unit], where=where)
        environment = [f"Environment={_quoted(f'{key}={text}')}" for key, text in variables.items()]
        if unit.token:
            environment.append(f"# a line {unit.token}=… in that file logs in to Hugging Face")
            environment.append("EnvironmentFile=-/etc/selfhost.env")
        values: dict[str, object] = {
            "title": _plain(size.model.name),
            "program": _plain(words[0]),
            "words": " ".join(map(_quoted, words)),
            "environment": "\n".join(environment),
            "name": name,
            "least": _mebibytes(size.unreclaimable_bytes),
            "request": _mebibytes(size.request_bytes),
            "limit": _mebibytes(size.limit_bytes),
        }
        head = [f"# /etc/systemd/system/{name}.service", *notes]
        texts.append("\n".join([*head, _filled("systemd", values)]))
    return "\n".join(texts)


def _plain(text: str) -> str:
    """Text in which systemd sees no specifier."""
    return clean(text).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as systemd reads it, which replaces `%`, `$` and backslashes."""
    text = _plain(word).replace("\\", "\\\\").replace("$", "$$")
    if text and not any(letter in " \"';" for letter in text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


_BLOCKS: Mapping[str, Callable[[Sequence[_Unit]], str]] = {
    "kubernetes": _kubernetes,
    "compose": _compose,
    "docker": _docker,
    "systemd": _systemd,
}
