"""What a record shows of who and where: the home folder as `~`, and no names of accounts,
computers, containers and addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ...core.records import Record, shown
from ..platforms import platforms
from .host import Host

_MOST_LETTERS = 1000
# fields of a record that name nobody
_NAMELESS = {"fact", "remedy"}


class Mask(Record):
    """What is hidden of a text, and what is shown instead."""

    # a text without one of them, in small letters, has nothing to hide; (): any may have
    signs: Sequence[str]
    pattern: str
    word: str


_SERVER = Mask(
    # the server of a share, as Windows names it, and no address of the web
    signs=("//", r"\\"),
    pattern=r"(?<![\w:/\\])(//|\\\\)\w[\w.-]*(?=[/\\]|$)",
    word=r"\1HOST",
)
_CONTAINER = Mask(
    signs=("lxc", "/machine-"),
    pattern=r"(lxc[/.]|lxc\.payload[/.]|/machine-)[^/\s:]+",
    word=r"\1ID",
)
# a container's id, which begins with its host name, or a pod's serial number
_ID = Mask(
    signs=(),
    pattern=r"(?:(?<![0-9a-zA-Z])|(?<=pod))[0-9a-f]{8}[0-9a-f_-]{4,}(?![0-9a-zA-Z])",
    word="ID",
)
_ADDRESS = Mask(
    signs=(),
    pattern=r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])|[\w.+-]+@[\w-]+\.\w+",
    word="ADDRESS",
)


def masks(host: Host) -> list[Mask]:
    """What makes a text of this computer fit to show, in the order of use."""
    case = "(?i)" if host.system == "windows" else ""
    every_mask: list[Mask] = []
    if len(host.home) > 1:
        home = rf"{case}(?<![\w.~-]){re.escape(host.home)}(?![\w.-])"
        every_mask.append(Mask(signs=[host.home.lower()], pattern=home, word="~"))
    users = [
        host.env.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")
    ]
    users.append(host.paths.basename(host.home))
    every_mask += _masks_of_names(users, "USER", case)
    computer = host.ask("hostname") or host.env.get("COMPUTERNAME", "")
    every_mask += _masks_of_names([computer, computer.partition(".")[0]], "HOST", case)
    every_mask += [_home_mask(), _SERVER, _CONTAINER, _ID, _ADDRESS]
    return every_mask


def _home_mask() -> Mask:
    """Home folders and removable disks, named after their owners unless that is nobody in
    particular.
    """
    common = "|".join(platforms().common_names)
    name = rf"(?!(?:{common})(?:[/\\\s:;,]|$))[^/\\\s:;,]+"
    pattern = rf"(/home|/Users|/run/media|/media|\\Users)([/\\]){name}"
    return Mask(signs=("/home", "users", "/media"), pattern=pattern, word=r"\1\2USER")


def _masks_of_names(names: Iterable[str], word: str, case: str) -> list[Mask]:
    """The mask of names that tell who or which it is; none where all are common ones."""
    common = platforms().common_names
    telling = [name for name in names if len(name) > 2 and name.lower() not in common]
    if not telling:
        return []
    longest_first = sorted(telling, key=len, reverse=True)
    # systemd writes `-` as `\x2d`
    written = "|".join(map(re.escape, longest_first)).replace(r"\-", r"(?:-|\\x2d)")
    pattern = rf"{case}(?:^|(?<=[/\\@=:~-]))(?:{written})(?![^\W_])"
    signs = [name.lower().partition("-")[0] for name in telling]
    return [Mask(signs=signs, pattern=pattern, word=word)]


def masked(value: Any, every_mask: Sequence[Mask]) -> Any:
    """A value with every text in it as it may be shown: on one printable line."""
    if isinstance(value, str):
        return _masked_text(value, every_mask)
    if isinstance(value, dict):
        return {key: masked(part, every_mask) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple([masked(part, every_mask) for part in value])
    if isinstance(value, Record):
        names = [name for name in type(value)._fields if name not in _NAMELESS]
        changes = {name: masked(getattr(value, name), every_mask) for name in names}
        return value.replace(**changes)
    return value


def _masked_text(text: str, every_mask: Sequence[Mask]) -> str:
    for mask in every_mask:
        small = text.lower()
        if not mask.signs or any(sign in small for sign in mask.signs):
            text = re.sub(mask.pattern, mask.word, text)
    text = shown(text)[:_MOST_LETTERS]
    # a folder may be called so, and a record holds no blank text
    return f'"{text}"' if text and not text.strip() else text
