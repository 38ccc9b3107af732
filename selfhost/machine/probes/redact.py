"""Takes out of what is shown who and where: accounts, computers, containers and addresses."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..record import UNPRINTABLE
from .host import Host

# names of accounts and computers that say nothing about a person
_COMMON = frozenset((
    "root", "home", "users", "user", "ollama", "admin", "docker", "ubuntu", "debian", "ec2-user",
    "runner", "vagrant", "localhost", "node", "core", "app", "dev", "data", "work", "test", "local",
    "models", "linux", "nobody", "guest",
))  # fmt: skip
_COMMON_FOLDER = rf"(?!(?:{'|'.join(_COMMON)})(?:[/\\\s:;,]|$))"
_MASKS = (
    # whose folder it is
    (rf"(/home|/Users|/run/media|/media|\\Users)([/\\]){_COMMON_FOLDER}[^/\\\s:;,]+", r"\1\2USER"),
    # the server of a share, as Windows names it, and no address of the web
    (r"(?<![\w:/\\])(//|\\\\)\w[\w.-]*(?=[/\\]|$)", r"\1HOST"),
    # a container's name; its id, which begins with its host name, or a pod's serial number
    (r"(lxc[/.]|lxc\.payload[/.]|/machine-)[^/\s:]+", r"\1ID"),
    (r"(?:(?<![0-9a-zA-Z])|(?<=pod))[0-9a-f]{8}[0-9a-f_-]{4,}(?![0-9a-zA-Z])", "ID"),
    (r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])", "ADDRESS"),
    (r"[\w.+-]+@[\w-]+\.(?:com|org|net)\b", "ADDRESS"),
)


def redactor(host: Host) -> Callable[[str], str]:
    """What makes a text fit to show: the home folder as `~`, no names, one printable line."""
    ignore_case = re.IGNORECASE if host.system == "windows" else 0
    env_names = (host.env.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "SUDO_USER"))
    home = host.home() or ""
    computer = host.ask("hostname") or host.env.get("COMPUTERNAME", "")
    masks: list[tuple[str, str]] = []
    if len(home) > 1:
        masks.append((rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", "~"))
    for names, word in (
        ({*host.accounts, *env_names, host.paths.basename(home)}, "USER"),
        ({computer, computer.partition(".")[0]}, "HOST"),
    ):
        written = "|".join(
            # systemd writes `-` as `\x2d`
            re.escape(name).replace(r"\-", r"(?:-|\\x2d)")
            for name in sorted(names, key=len, reverse=True)
            if len(name) > 2 and name.lower() not in _COMMON
        )
        if written:
            masks.append((rf"(?:^|(?<=[/\\@=:~-]))(?:{written})(?![^\W_])", word))
    patterns = [(re.compile(mask, ignore_case), word) for mask, word in masks]
    patterns += [(re.compile(mask), word) for mask, word in _MASKS]

    def redact(text: str) -> str:
        for mask, word in patterns:
            text = mask.sub(word, text)
        return UNPRINTABLE.sub("?", text)[:1000]

    return redact
