"""What `size` says to a person: what grows and what bounds it, and the files to paste."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

from ..advice.sizes import MODELS_FOLDER, OWN_FOLDER, ContainerSize
from ..catalogue.runtime import Service
from ..core import __version__, units
from ..core.quoting import shell_line, shell_word
from ..core.records import Record
from ..core.tables import shipped_table
from ..core.templates import fill
from ..machine.gpus import fact_of
from .layout import Blocks, Table, clean, commands, figures, line, section, strong, texts
from .words import format_words, known

_up = partial(units.binary, up=True)
_TO_PASTE = "To paste: --format kubernetes, compose, docker or systemd"
# label, figure, why
_Row = tuple[str, str, str]


def size_document(sizes: Sequence[ContainerSize], *, verbose: bool = False) -> Blocks:
    """Yield one model on a screen, several as a table; `verbose` adds each growth and term."""
    if len(sizes) > 1:
        request, limit = (
            _up(sum(getattr(size, key) for size in sizes))
            for key in ("request_bytes", "limit_bytes")
        )
        yield line(strong(f"{len(sizes)} containers: request {request}, limit {limit} in all"))
        rows = (
            (
                size.model.id,
                _up(size.request_bytes),
                _up(size.limit_bytes),
                known(size.disk_bytes, units.decimal, "unknown"),
                str(len(size.accelerators) or "-"),
            )
            for size in sizes
        )
        yield from (line(), Table.of("containers", rows), line())
        notes = (f"{size.model.name}: {note}" for size in sizes for note in size.notes)
        yield from texts([*notes, "Options and figures: -v", _TO_PASTE], indent=0)
    for size in sizes if verbose or len(sizes) == 1 else ():
        yield from (line(), *_single(size, verbose))


def _single(size: ContainerSize, verbose: bool) -> Blocks:
    request, limit = _up(size.request_bytes), _up(size.limit_bytes)
    yield line(strong(size.model.name), f": request {request}, limit {limit}")
    context, parallel = size.workload.context_tokens, size.workload.parallel
    users = "1 user" if parallel == 1 else f"each of {parallel} users"
    length = users if context is None else f"{units.tokens(context)} of context for {users}"
    yield from texts([f"{format_words(size.workload)}, {length}", *size.notes])
    yield from (line(), figures(_rows(size)))
    growing: list[_Row] = []
    for growth in size.growths:
        bound, unbound = growth.bound or growth.why, growth.unbound_bytes or 0
        if growth.bound and unbound > growth.bytes:
            bound += f"  (without it {units.binary(unbound)})"
        most = units.binary(growth.bytes) if growth.bytes else "none"
        growing.append((growth.name.replace("_", " "), most, bound))
    if growing:
        yield from section("What can grow, and what bounds it", [figures(growing)])
    if verbose:
        from . import json
        from .details import sections

        whys = (f"{growth.name.replace('_', ' ')}: {growth.why}" for growth in size.growths)
        yield from section("Why it can grow", texts(whys))
        terms = {"terms": json.record(size.needs.terms)}
        yield from sections(terms, {"terms": "What the memory holds"})
    if size.image is not None:
        # the command that holds it to these figures
        lines: list[str] = []
        if size.program:
            settings = [f"{name}={shell_word(value)}" for name, value in size.environment.items()]
            lines.append(" ".join([*settings, shell_line(size.program)]))
            if size.fetch:
                lines.append(size.fetch)
        yield from (*section("Start it with", commands(lines)), line(_TO_PASTE))


def _rows(size: ContainerSize) -> Iterator[_Row]:
    cache, disk, held = size.page_cache_bytes, size.disk_bytes, size.accelerators
    yield "memory", _up(size.unreclaimable_bytes), "of its own, which stays in RAM"
    if cache:
        why = "mapped weights, reclaimable: with less, it gets very slow or is killed"
        yield "page cache", units.binary(cache), why
    yield "limit", _up(size.limit_bytes), f"{'both' if cache else 'that'}, and what can grow"
    if disk is None:
        yield "disk", "unknown", "the size of the files is not known"
    else:
        yield "disk", units.decimal(disk), f"{units.decimal(2 * disk)} while an update replaces it"
    if held:
        sizes = {card.memory_bytes for card in held}
        times = f"{len(held)} × {'up to ' * (len(sizes) > 1)}" if len(held) > 1 else ""
        yield "accelerator", f"{times}{_up(max(sizes))}", f"of {held[0].name or 'GPU'}"


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
    """A container or service with a name and a port of one machine that no other has."""

    name: str
    port: int
    size: ContainerSize
    service: Service
    # the variable of a login, empty where nothing is downloaded with it
    token: str
    # where the models lie in the container
    folder: str
    # how the container is given the accelerators
    devices: Mapping[str, Any]


def block(kind: str, sizes: Sequence[ContainerSize]) -> str:
    """Return the file of a kind in `specs/common/containers.toml` that runs these containers."""
    named = list(_units(sizes))
    if kind == "systemd":
        return "\n".join(map(_systemd, named))
    comments, between, end = _notes_above(kind, named), "", ""
    if kind == "kubernetes":
        between = "---\n"
        comments += [f"# {_SECRET}"] if any(unit.token for unit in named) else []
    elif kind == "compose":
        comments.append("services:")
        if not all(unit.size.files_are_yours for unit in named):
            end = "volumes:\n  models: {}\n"
    files = (_file_of(kind, _values(kind, unit)) for unit in named)
    return "\n".join(comments) + "\n" + between.join(files) + end


def _units(sizes: Sequence[ContainerSize]) -> Iterator[_Unit]:
    names: set[str] = set()
    ports: set[int] = set()
    for size in sizes:
        service, yours = size.runtime.service, size.files_are_yours
        assert service is not None
        letters = re.findall(r"[a-z0-9]+", size.model.id.lower())
        plain = "-".join(letters)[: _LONGEST_NAME - 4].strip("-") or "model"
        tries = (plain, *(f"{plain}-{number}" for number in range(2, len(sizes) + 1)))
        name = next(each for each in tries if each not in names)
        port = next(each for each in count(service.port) if each not in ports)
        names.add(name)
        ports.add(port)
        token, devices = size.runtime.token_variable or "HF_TOKEN", dict[str, Any]()
        for card in size.accelerators[:1]:
            rows = shipped_table("containers")["devices"]
            # a program with an accelerator of no stated vendor asks for the usual one
            devices |= rows.get(card.vendor) or rows["nvidia"]
            if driver := fact_of(card.name, "kernel_driver"):
                devices["resource"] = f"gpu.{card.vendor}.com/{driver}"
        yield _Unit(
            name=name,
            port=port,
            size=size,
            service=service,
            token=token if size.needs_login and not yours else "",
            folder=MODELS_FOLDER if yours else service.store,
            devices=devices,
        )


def _file_of(kind: str, values: Mapping[str, object]) -> str:
    """The file of that format: texts as they are, other values as YAML, no line without a value."""
    written: dict[str, str | None] = {}
    for name, value in values.items():
        if not value:
            written[name] = None
        elif isinstance(value, str):
            written[name] = value
        else:
            written[name] = _yaml(value)
    return fill(shipped_table("containers")[kind], written)


def _yaml(value: object) -> str:
    """A value as JSON that YAML reads alike, with what no terminal shows as YAML escapes it: of a
    sign beyond U+FFFF, JSON's own escape is two, which are no signs of YAML.
    """
    import json

    def escaped(sign: str) -> str:
        if sign.isprintable():
            return sign
        number = ord(sign)
        return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"

    text = json.dumps(value, ensure_ascii=False)
    # `##[` gives orders to a CI service wherever it stands
    return "".join(map(escaped, text)).replace("##", "\\u0023#")


def _literal(kind: str, text: str) -> str:
    """A text that the reader of that format takes as it is, with no variable put into it.

    Compose replaces `$NAME` and `${NAME}` in every value (docs.docker.com/reference/compose-file/
    interpolation); Kubernetes `$(NAME)` in arguments and variables, and `$$` before either
    (kubernetes.io, Define Dependent Environment Variables).
    """
    if kind == "compose":
        return text.replace("$", "$$")
    if kind == "kubernetes":
        return re.sub(r"\$(?=[$(])", "$$", text)
    return text


def _whole(size: int, unit: int = units.MIB) -> int:
    return -(-size // unit)


def _notes_above(kind: str, parts: Sequence[_Unit]) -> list[str]:
    lines = [
        f"selfhost {__version__}: request and limit include the page cache where one is needed"
    ]
    where = "on the same machine" if kind == "systemd" else "in its container"
    for unit in parts:
        size, cache = unit.size, unit.size.page_cache_bytes
        mapped = f" and {units.binary(cache)} of page cache" if cache else ""
        kept = units.binary(size.unreclaimable_bytes)
        grown = units.binary(sum(growth.bytes for growth in size.growths))
        lines.append(f"{size.model.name} needs {kept} of its own{mapped}, and may grow by {grown}")
        lines += size.notes
        if size.files_are_yours:
            into = OWN_FOLDER if kind in ("compose", "docker") else unit.folder
            page = f", from {size.model.conversions_page}" if size.model.conversions_page else ""
            lines.append(f"put the {size.workload.quantization} files{page} into {into}")
        if size.files_are_yours and kind == "kubernetes":
            # an emptyDir is new with each pod: nobody could fill it before the server looks
            room = f" of {_whole(size.disk_bytes, units.GIB)}Gi or more" if size.disk_bytes else ""
            lines.append(f"first make the PersistentVolumeClaim {unit.name}-models{room}")
        if size.fetch and kind != "docker":
            lines.append(f"once it runs, {where}: {size.fetch}")
    return [f"# {clean(text)}" for text in lines]


def _values(kind: str, unit: _Unit) -> dict[str, object]:
    """What the templates of containers take, sizes in MiB; what does not apply is empty."""
    size, yours = unit.size, unit.size.files_are_yours
    tries, devices = -(-size.seconds_to_start // _PERIOD), unit.devices
    stored, store = 0 if yours else size.disk_bytes, {}
    if yours:
        store = {"persistentVolumeClaim": {"claimName": f"{unit.name}-models"}}
    elif kind == "kubernetes":
        store = {"emptyDir": {"sizeLimit": f"{_whole(2 * stored, units.GIB)}Gi"} if stored else {}}
    return {
        "name": unit.name,
        "image": size.image or "",
        "arguments": [_literal(kind, word) for word in size.image_arguments],
        "words": shell_line([size.image or "", *size.image_arguments]),
        "environment": _environment(kind, unit),
        "port": unit.port,
        "inner_port": unit.service.port,
        "health": unit.service.health,
        "tries": tries,
        # a start that the probe waits for is no failure of the rollout
        "deadline": tries * _PERIOD + _DEADLINE,
        "request": _whole(size.request_bytes),
        "limit": _whole(size.limit_bytes),
        "shared": _whole(size.shared_memory_bytes),
        "shared_folder": "/dev/shm" if size.shared_memory_bytes else "",
        "stored": "" if stored is None else _whole(stored) + _WRITABLE_MEBIBYTES,
        # the new files of an update are downloaded before the old ones go
        "twice": "" if stored is None else _whole(2 * stored) + _WRITABLE_MEBIBYTES,
        "store": {"name": "models", **store},
        "folder": unit.folder,
        "downloads": "" if yours else unit.folder,
        "own": OWN_FOLDER if yours else "",
        "cards": len(size.accelerators),
        "resource": devices.get("resource", ""),
        "gpus": len(size.accelerators) if "driver" in devices else 0,
        "devices": devices.get("files", ()),
        "device_options": " ".join(f"--device {file}" for file in devices.get("files", ())),
        "fetch": size.fetch or "",
    }


def _environment(kind: str, unit: _Unit) -> object:
    token = unit.token
    variables = {key: _literal(kind, text) for key, text in unit.size.environment.items()}
    if kind == "kubernetes":
        secret = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        listed: list[object] = [{"name": key, "value": text} for key, text in variables.items()]
        return listed + [{"name": token, "valueFrom": secret}] * bool(token)
    if kind == "compose":
        return {**variables, **({token: f"${{{token}}}"} if token else {})}
    names = [f"{key}={text}" for key, text in variables.items()] + [token] * bool(token)
    return " ".join(f"--env {shell_word(name)}" for name in names)


def _systemd(unit: _Unit) -> str:
    """A unit with the name of its file; all share the machine, so each has its own port."""
    size, name = unit.size, unit.name
    setting = fill(unit.service.port_setting, {"port": unit.port}, keep_unknown=True)
    words, variables = list(size.program), dict(size.environment)
    key, _, value = setting.partition("=")
    if setting.startswith("--"):
        words += setting.split()
    elif value:
        variables[key] = value
        if size.fetch and unit.port != unit.service.port:
            # the line that fetches the model reaches the unit at that port
            unit = unit.replace(size=size.replace(fetch=f"{setting} {size.fetch}"))
    environment = [f"Environment={_setting(f'{key}={text}')}" for key, text in variables.items()]
    if unit.token:
        environment.append(f"# a line {unit.token}=… in that file logs in to Hugging Face")
        environment.append("EnvironmentFile=-/etc/selfhost.env")
    values = _values("systemd", unit) | {
        # a backslash at the end would join the next line to it
        "title": clean(size.model.name).replace("%", "%%").replace("\\", "\\\\"),
        "program": clean(words[0]),
        "words": " ".join(map(_argument, words)),
        "environment": "\n".join(environment),
        "least": _whole(size.unreclaimable_bytes),
    }
    head = [f"# /etc/systemd/system/{name}.service", *_notes_above("systemd", [unit])]
    return "\n".join([*head, _file_of("systemd", values)])


def _argument(word: str) -> str:
    """A word of a command line of systemd, which puts variables in for `$` (systemd.service(5))."""
    return _setting(word).replace("$", "$$")


def _setting(word: str) -> str:
    """A word as systemd reads it: with specifiers for `%`, and C's escapes (systemd.syntax(7))."""
    text = word.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    text = text.replace("##", "\\x23#")
    text = "".join(sign if sign.isprintable() else _escape_of_c(sign) for sign in text)
    if text and not any(sign in text for sign in " \"';"):
        return text
    return f'"{text}"'


def _escape_of_c(sign: str) -> str:
    number = ord(sign)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
