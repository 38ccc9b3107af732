"""A unit for each model: `selfhost size --format systemd`."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.sizes import ContainerSize, Mount
from .layout import clean
from .size_parts import mebibytes, notes_above, placed, service_of, token_variable

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# not in systemd's PATH (systemd.exec(5), $PATH; docs.brew.sh/Homebrew-on-Linux)
_HOMEBREW = "/home/linuxbrew/.linuxbrew/bin"


def block(sizes: Sequence[ContainerSize]) -> str:
    """Return a unit each; where there are several, a comment names the file of each."""
    parts = []
    for name, port, size in placed(sizes):
        setting = service_of(size).port_setting.replace("{port}", str(port))
        fetched = size
        if size.fetch and port != service_of(size).port and not setting.startswith("--"):
            # the line that fetches the model reaches the unit at that port
            fetched = size.replace(fetch=f"{setting} {size.fetch}")
        is_bound = bool(size.files)
        notes = notes_above([fetched], binds_files=is_bound, where="on the same machine")
        lines = [f"# /etc/systemd/system/{name}.service", *notes, *_unit(name, size, setting)]
        parts.append("".join(f"{line}\n" for line in lines))
    return "\n".join(parts)


def _unit(name: str, size: ContainerSize, setting: str) -> list[str]:
    """MemoryMin keeps what cannot be reclaimed, MemoryLow the page cache too.

    All units share the machine, so each has a port of its own by `setting`; users made by
    DynamicUser cannot share a folder, so each has a StateDirectory of its own.
    """
    words, variables = list(size.program), dict(size.environment)
    key, _, value = setting.partition("=")
    if setting.startswith("--"):
        words += setting.split()
    elif value:
        variables[key] = value
    environment = [f"Environment={_quoted(f'{key}={value}')}" for key, value in variables.items()]
    token = token_variable(size)
    if token is not None:
        environment.append(f"# a line {token}=… in that file logs in to Hugging Face")
        environment.append("EnvironmentFile=-/etc/selfhost.env")
    is_of_homebrew = size.runtime.install.get("linux", "").startswith("brew ")
    path = f"{_SYSTEM_PATH}:{_HOMEBREW}" if is_of_homebrew else _SYSTEM_PATH
    return [
        "[Unit]",
        f"Description={_plain(size.model.name)}",
        "Wants=network-online.target",
        "After=network-online.target",
        "",
        "[Service]",
        f"# systemd looks for {_plain(words[0])} in these folders: add yours if it lies elsewhere",
        f"Environment=PATH={path}",
        # without env systemd looks in the folders that it was built with, and not in PATH
        "ExecStart=/usr/bin/env " + " ".join(map(_quoted, words)),
        *environment,
        "DynamicUser=yes",
        f"StateDirectory={name}",
        f"Environment=HOME=%S/{name}",
        *(f"BindReadOnlyPaths={_bound(mount)}" for mount in size.files),
        f"MemoryMin={mebibytes(size.unreclaimable_bytes)}M",
        f"MemoryLow={mebibytes(size.request_bytes)}M",
        f"MemoryMax={mebibytes(size.limit_bytes)}M",
        "MemorySwapMax=0",
        "Restart=on-failure",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]


def _bound(mount: Mount) -> str:
    """Where the unit sees a file of this machine, as systemd.exec(5) has it; a colon parts both."""
    source = _plain(mount.source).replace("\\", "\\\\").replace('"', '\\"').replace(":", "\\:")
    return f'"{source}:{mount.target}"'


def _plain(text: str) -> str:
    """Text in which systemd sees no specifier."""
    return clean(text).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as systemd reads it, which replaces `%`, `$` and backslashes."""
    text = _plain(word).replace("\\", "\\\\").replace("$", "$$")
    if text and not any(letter in " \"';" for letter in text):
        return text
    return '"' + text.replace('"', '\\"') + '"'
