"""The only package that touches the machine. It opens no socket, writes nothing, and starts no
program but one that asks NVIDIA's driver.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ...core.files import shown
from ..record import FACTS, Machine, platforms
from .cpu import (
    read_architecture,
    read_cores,
    read_instruction_sets,
    read_model,
    read_scope,
    read_usable,
)
from .gpus import read_accelerators
from .host import Facts, Host, reason_of
from .memory import read_memory
from .models import read_models, read_runtimes
from .stores import read_disks

__all__ = ["Host", "read_machine", "redactor"]

# in this order; what goes wrong with one spoils the facts of no other
_PROBES: tuple[Callable[[Host, Facts], None], ...] = (
    read_architecture,
    read_scope,
    read_memory,
    read_model,
    read_cores,
    read_usable,
    read_instruction_sets,
    read_disks,
    read_accelerators,
    read_runtimes,
    read_models,
)


def read_machine(host: Host | None = None) -> Machine:
    """This computer, or the one `host` stands for. Never raises for what it cannot read: that
    becomes None with its reason.

    Takes a few milliseconds; at most some seconds where a network mount or a driver does not
    answer.
    """
    host = host or Host()
    facts = Facts()
    facts.put("system", host.system, "sys.platform")
    silent = "the recorded tree does not say when it was read"
    facts.settle("read_at", host.ask("read_at"), "the system's clock", silent)
    failures = []
    for probe in _PROBES:
        try:
            probe(host, facts)
        # psutil's own errors and a missing system library included
        except Exception as error:
            failures.append(f"reading it failed: {reason_of(error)}")
    reason = "the system does not state it, and it was not measured"
    remedy = "measure it on the machine itself: `selfhost machine --measure`"
    facts.miss("memory_bandwidth_bytes_per_second", reason, remedy)
    for fact in {*FACTS} - {*facts.values, *facts.unread}:
        facts.miss(fact, "; ".join(failures) or "it could not be read")
    facts.map_texts(redactor(host))
    unread = tuple(facts.unread[fact] for fact in sorted(facts.unread))
    return Machine(**facts.values, sources=facts.sources, unread=unread)


# what says who and where: accounts, computers, containers and addresses

_MASKS = (
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
    common = platforms()["common_names"]
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
            if len(name) > 2 and name.lower() not in common
        )
        if written:
            masks.append((rf"(?:^|(?<=[/\\@=:~-]))(?:{written})(?![^\W_])", word))
    patterns = [(re.compile(mask, ignore_case), word) for mask, word in masks]
    # whose folder it is
    folder = rf"(?!(?:{'|'.join(common)})(?:[/\\\s:;,]|$))[^/\\\s:;,]+"
    of_home = rf"(/home|/Users|/run/media|/media|\\Users)([/\\]){folder}", r"\1\2USER"
    patterns += [(re.compile(mask), word) for mask, word in (of_home, *_MASKS)]

    def redact(text: str) -> str:
        for mask, word in patterns:
            text = mask.sub(word, text)
        return shown(text)[:1000]

    return redact
