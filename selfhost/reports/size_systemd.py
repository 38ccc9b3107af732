"""A unit for each model: `selfhost size --format systemd`."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.sizes import ContainerSize, Mount
from .layout import clean
from .size_parts import heading, mebibytes, names_of, ports_of, token_variable

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.runtime import RuntimeSpec

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOMEBREW = "/home/linuxbrew/.linuxbrew/bin"


def block(sizes: Sequence[ContainerSize]) -> str:
    """A unit each; where there are several, a comment names the file of each."""
    parts = []
    for name, size, port in zip(names_of(sizes), sizes, ports_of(sizes), strict=True):
        unit = _unit(name, size, port)
        lines = [
            f"# /etc/systemd/system/{name}.service",
            *heading(
                [_fetched_at(size, port)], binds_files=bool(size.files), where="on the same machine"
            ),
            *unit,
        ]
        parts.append("".join(f"{line}\n" for line in lines))
    return "\n".join(parts)


def _unit(name: str, size: ContainerSize, port: int) -> list[str]:
    """MemoryMin keeps what cannot be reclaimed, MemoryLow the page cache too; above MemoryMax it is
    killed. All units share the machine, so each has a port of its own; users made by DynamicUser
    cannot share a folder, so each has a StateDirectory of its own.
    """
    words, variables = _at_port(size, port)
    environment = [f"Environment={_quoted(f'{k}={v}')}" for k, v in variables.items()]
    token = token_variable(size)
    if token is not None:
        environment.append(f"# a line {token}=… in that file logs in to Hugging Face")
        environment.append("EnvironmentFile=-/etc/selfhost.env")
    return [
        "[Unit]",
        f"Description={_plain(size.model.name)}",
        "Wants=network-online.target",
        "After=network-online.target",
        "",
        "[Service]",
        f"# systemd looks for {_plain(words[0])} in these folders: add yours if it lies elsewhere",
        f"Environment=PATH={_folders(size.runtime)}",
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


def _folders(runtime: RuntimeSpec) -> str:
    """PATH for a program that is installed as `check` says: Homebrew's folder is not in that of
    systemd (systemd.exec(5), $PATH; docs.brew.sh/Homebrew-on-Linux).
    """
    is_of_homebrew = runtime.install.get("linux", "").startswith("brew ")
    return f"{_SYSTEM_PATH}:{_HOMEBREW}" if is_of_homebrew else _SYSTEM_PATH


def _fetched_at(size: ContainerSize, port: int) -> ContainerSize:
    """With the line that fetches the model as the unit at that port is reached."""
    service = size.runtime.service
    assert service is not None
    setting = service.port_setting.replace("{port}", str(port))
    if not size.fetch or port == service.port or setting.startswith("--"):
        return size
    return size.replace(fetch=f"{setting} {size.fetch}")


def _at_port(size: ContainerSize, port: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """The program's words and its environment, answering at that port."""
    service = size.runtime.service
    assert service is not None
    setting = service.port_setting.replace("{port}", str(port))
    if setting.startswith("--"):
        return (*size.program, *setting.split()), dict(size.environment)
    variable, _, value = setting.partition("=")
    return size.program, {**size.environment, **({variable: value} if value else {})}


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
