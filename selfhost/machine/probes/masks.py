"""The masks that hide persons and places in a record: the home folder becomes `~`, and names of
accounts, computers, containers and addresses are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...core.records import Record, shown
from ...core.units import says_any
from ..platforms import platforms
from .host import Host

_MOST_LETTERS = 1000
# fields of a record that hold no names
_NAMELESS = {"fact", "remedy"}
# environment variables that hold the account's name
_USERS = ("USER", "LOGNAME", "USERNAME", "SUDO_USER")


class Mask(Record):
    """A pattern of private text, and the word that replaces each match."""

    # a text in lower case without any of these signs has nothing to hide; every text contains the
    # sign ""
    signs: Sequence[str]
    pattern: str
    word: str

    def hide_in(self, text: str) -> str:
        """The text with `word` for each match."""
        small = text.lower()
        if says_any(small, self.signs):
            return re.sub(self.pattern, self.word, text)
        return text


_SERVER = Mask(
    # the server of a Windows network share, but not the address of a web page
    signs=("//", r"\\"),
    pattern=r"(?<![\w:/\\])(//|\\\\)\w[\w.-]*(?=[/\\]|$)",
    word=r"\1HOST",
)
_CONTAINER = Mask(
    signs=("lxc", "/machine-"),
    pattern=r"(lxc[/.]|lxc\.payload[/.]|/machine-)[^/\s:]+",
    word=r"\1ID",
)
# the id of a container, which begins with its host name, or the id of a pod
_ID = Mask(
    signs=("",),
    pattern=r"(?:(?<![0-9a-zA-Z])|(?<=pod))[0-9a-f]{8}[0-9a-f_-]{4,}(?![0-9a-zA-Z])",
    word="ID",
)
# an address of version 4 of the Internet Protocol
_ADDRESS = Mask(
    signs=(".",),
    pattern=r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])",
    word="ADDRESS",
)
# an address of mail. The search begins at whole words, and never goes back: from each letter of a
# word of a million letters it would take hours
_MAIL = Mask(
    signs=("@",),
    pattern=r"(?<![\w.+-])[\w.+-]++(?:@[\w-]+(?:\.\w+)+)+",
    word="ADDRESS",
)


def masks(host: Host) -> list[Mask]:
    """Return the masks that make a text of this computer fit to show, in the order of their use."""
    home = host.home
    users = [host.paths.basename(home)]
    for variable in _USERS:
        users.append(host.env.get(variable, ""))
    computer = host.ask("hostname") or host.env.get("COMPUTERNAME", "")
    first_label = computer.partition(".")[0]
    case = "(?i)" if host.system == "windows" else ""
    every_mask = []
    if len(home) > 1:
        every_mask.append(
            Mask(
                signs=(home.lower(),),
                pattern=rf"{case}(?<![\w.~-]){re.escape(home)}(?![\w.-])",
                word="~",
            )
        )
    every_mask += _masks_of_names(users, "USER", case)
    every_mask += _masks_of_names((computer, first_label), "HOST", case)
    every_mask += [_mask_of_homes(), _SERVER, _CONTAINER, _ID, _ADDRESS, _MAIL]
    return every_mask


def _mask_of_homes() -> Mask:
    """The mask of home folders and removable disks, which are named after their owners. Common
    names stay.
    """
    common = "|".join(platforms().common_names)
    name = rf"(?!(?:{common})(?:[/\\\s:;,]|$))[^/\\\s:;,]+"
    return Mask(
        signs=("/home", "users", "/media"),
        pattern=rf"(/home|/Users|/run/media|/media|\\Users)([/\\]){name}",
        word=r"\1\2USER",
    )


def _masks_of_names(
    names: Sequence[str],
    word: str,
    case: str,
) -> list[Mask]:
    """The mask of the names that tell a person or a computer, in a list; an empty list where all
    names are common.
    """
    common = platforms().common_names
    telling = []
    for name in names:
        if len(name) > 2 and name.lower() not in common:
            telling.append(name)
    if not telling:
        return []
    telling.sort(key=len, reverse=True)
    escaped = "|".join(map(re.escape, telling))
    # systemd writes `-` as `\x2d`
    written = escaped.replace(r"\-", r"(?:-|\\x2d)")
    pattern = rf"{case}(?:^|(?<=[/\\@=:~-]))(?:{written})(?![^\W_])"
    # the part before the first `-`, since `-` itself may be written otherwise
    signs = [name.lower().partition("-")[0] for name in telling]
    return [Mask(signs=signs, pattern=pattern, word=word)]


def masked(value: Any, every_mask: Sequence[Mask]) -> Any:
    """Return a value in which every text is masked and on one printable line."""
    if isinstance(value, str):
        return _masked_text(value, every_mask)
    if isinstance(value, dict):
        return {key: masked(part, every_mask) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple([masked(part, every_mask) for part in value])
    if not isinstance(value, Record):
        return value
    changes = {}
    for name in type(value)._fields:
        if name not in _NAMELESS:
            changes[name] = masked(getattr(value, name), every_mask)
    return value.replace(**changes)


def _masked_text(text: str, every_mask: Sequence[Mask]) -> str:
    """The text with all masks applied, on one printable line."""
    for mask in every_mask:
        text = mask.hide_in(text)
    text = shown(text)[:_MOST_LETTERS]
    # a folder's name may be blank, but a record holds no blank text
    if text.isspace():
        return f'"{text}"'
    return text
