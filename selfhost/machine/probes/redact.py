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
# whose folder it is: the next name after these
_PEOPLE = re.compile(r"((?:/home|/Users|/run/media|/media|\\Users)[/\\])([^/\\\s:;,]+)")
# the server of a share, as Windows names it; no address of the web
_SERVER = re.compile(r"(?<![\w:/\\])(//|\\\\)\w[\w.-]*(?=[/\\]|$)")
# a container's id begins with its host name, a pod's is a serial number; mail and IP addresses
_ID = re.compile(r"(?:(?<![0-9a-zA-Z])|(?<=pod))[0-9a-f]{8}[0-9a-f_-]{4,}(?![0-9a-zA-Z])")
_LXC = re.compile(r"(lxc[/.]|lxc\.payload[/.]|/machine-)[^/\s:]+")
_ADDRESS = re.compile(
    r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])|[\w.+-]+@[\w-]+\.(?:com|org|net)\b"
)


def redactor(host: Host) -> Callable[[str], str]:
    """What makes a text fit to show: the home folder as `~`, no names, one printable line."""
    ignore_case = re.IGNORECASE if host.system == "windows" else 0
    env_names = (host.env.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "SUDO_USER"))
    home = host.home() or ""
    accounts = {*host.accounts, *env_names, host.paths.basename(home)}
    computer = host.ask("hostname") or host.env.get("COMPUTERNAME", "")
    computers = {computer, computer.partition(".")[0]}
    masks: list[tuple[re.Pattern[str], str]] = []
    if len(home) > 1:
        masks.append((re.compile(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", ignore_case), "~"))
    for names, word in ((accounts, "USER"), (computers, "HOST")):
        for name in sorted(names, key=len, reverse=True):
            if len(name) > 2 and name.lower() not in _COMMON:
                # systemd writes `-` as `\x2d`
                written = re.escape(name).replace(r"\-", r"(?:-|\\x2d)")
                masks.append(
                    (re.compile(rf"(?:^|(?<=[/\\@=:~-])){written}(?![^\W_])", ignore_case), word)
                )

    def redact(text: str) -> str:
        for pattern, word in masks:
            text = pattern.sub(word, text)
        text = _PEOPLE.sub(lambda at: at[0] if at[2].lower() in _COMMON else f"{at[1]}USER", text)
        text = _LXC.sub(r"\1ID", _ID.sub("ID", _SERVER.sub(r"\1HOST", text)))
        return UNPRINTABLE.sub("?", _ADDRESS.sub("ADDRESS", text))[:1000]

    return redact
