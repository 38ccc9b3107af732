"""Takes out of what is shown who and where: accounts, computers, containers and addresses."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...core.records import pattern
from ..fields import UNPRINTABLE
from .host import Host

# names of accounts and computers that say nothing about a person
_COMMON = frozenset((
    "root", "home", "users", "user", "ollama", "admin", "docker", "ubuntu", "debian", "ec2-user",
    "runner", "vagrant", "localhost", "node", "core", "app", "dev", "data", "work", "test", "local",
    "models", "linux", "nobody", "guest",
))  # fmt: skip
# whose folder it is; the server of a share, as Windows names it, and no address of the web; a
# container's name; its id, which begins with its host name, or a pod's serial number; addresses
_OTHERS = pattern(
    r"(?P<folder>(?:/home|/Users|/run/media|/media|\\Users)[/\\])(?P<person>[^/\\\s:;,]+)"
    r"|(?<![\w:/\\])(?P<share>//|\\\\)\w[\w.-]*(?=[/\\]|$)"
    r"|(?P<lxc>lxc[/.]|lxc\.payload[/.]|/machine-)[^/\s:]+"
    r"|(?P<id>(?:(?<![0-9a-zA-Z])|(?<=pod))[0-9a-f]{8}[0-9a-f_-]{4,}(?![0-9a-zA-Z]))"
    r"|(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])|[\w.+-]+@[\w-]+\.(?:com|org|net)\b"
)


def redactor(host: Host) -> Callable[[str], str]:
    """What makes a text fit to show: the home folder as `~`, no names, one printable line."""
    ignore_case = re.IGNORECASE if host.system == "windows" else 0
    env_names = (host.env.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "SUDO_USER"))
    home = host.home() or ""
    computer = host.ask("hostname") or host.env.get("COMPUTERNAME", "")
    masks: list[tuple[re.Pattern[str], str]] = []
    if len(home) > 1:
        masks.append((re.compile(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", ignore_case), "~"))
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
            either = rf"(?:^|(?<=[/\\@=:~-]))(?:{written})(?![^\W_])"
            masks.append((re.compile(either, ignore_case), word))

    def redact(text: str) -> str:
        for mask, word in masks:
            text = mask.sub(word, text)
        return UNPRINTABLE.sub("?", _OTHERS.sub(_stand_in, text))[:1000]

    return redact


def _stand_in(match: re.Match[str]) -> str:
    if match["folder"]:
        is_common = match["person"].lower() in _COMMON
        return match[0] if is_common else f"{match['folder']}USER"
    if match["share"]:
        return f"{match['share']}HOST"
    if match["lxc"]:
        return f"{match['lxc']}ID"
    return "ID" if match["id"] else "ADDRESS"
