"""A unit for each model: `selfhost size --format systemd`."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.sizes import ContainerSize
from .layout import clean
from .size_parts import heading, mebibytes, names_of, token_variable


def block(sizes: Sequence[ContainerSize]) -> str:
    """A unit each; where there are several, a comment names the file of each."""
    parts = []
    for name, size in zip(names_of(sizes), sizes, strict=True):
        lines = [f"# /etc/systemd/system/{name}.service", *heading([size]), *_unit(size)]
        parts.append("".join(f"{line}\n" for line in lines))
    return "\n".join(parts)


def _unit(size: ContainerSize) -> list[str]:
    """MemoryMin keeps what cannot be reclaimed, MemoryLow the page cache too; above MemoryMax it is
    killed.
    """
    environment = [f"Environment={_quoted(f'{k}={v}')}" for k, v in size.environment.items()]
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
        # systemd looks for programs in its own folders alone
        "ExecStart=/usr/bin/env " + " ".join(map(_quoted, size.program)),
        *environment,
        "DynamicUser=yes",
        "StateDirectory=models",
        "Environment=HOME=%S/models",
        f"MemoryMin={mebibytes(size.request_bytes)}M",
        f"MemoryLow={mebibytes(size.reserve_bytes)}M",
        f"MemoryMax={mebibytes(size.limit_bytes)}M",
        "MemorySwapMax=0",
        "Restart=on-failure",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]


def _plain(text: str) -> str:
    """Text in which systemd sees no specifier."""
    return clean(text).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as systemd reads it, which replaces `%`, `$` and backslashes."""
    text = _plain(word).replace("\\", "\\\\").replace("$", "$$")
    if text and not any(letter in " \"';" for letter in text):
        return text
    return '"' + text.replace('"', '\\"') + '"'
