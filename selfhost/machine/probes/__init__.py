"""The only package that touches the machine. It opens no socket, writes nothing, and starts no
program but one that asks NVIDIA's driver.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ...core.records import Record, shown
from ...core.tables import shipped_table
from ..record import BANDWIDTH, FACTS, Machine
from .cpu import read_cores, read_instruction_sets, read_processor, read_scope
from .gpus import read_accelerators
from .host import Facts, Host, reason_of
from .memory import read_memory
from .stores import read_disks, read_models, read_runtimes

__all__ = ["Host", "read_machine"]

# in this order; what goes wrong with one spoils the facts of no other
_PROBES: tuple[Callable[[Host, Facts], None], ...] = (
    read_processor,
    read_scope,
    read_memory,
    read_cores,
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
    facts = Facts({}, {}, {})
    facts.put("system", host.system, "sys.platform")
    silent = "the recorded tree does not say when it was read"
    facts.put("read_at", host.ask("read_at"), "the system's clock", silent)
    reason = "the system does not state it, and it was not measured"
    remedy = "measure it on the machine itself: `selfhost machine --measure`"
    facts.miss(BANDWIDTH, reason, remedy)
    failures = []
    for probe in _PROBES:
        try:
            probe(host, facts)
        # psutil's own errors and a missing system library included
        except Exception as error:
            failures.append(f"reading it failed: {reason_of(error)}")
    for fact in {*FACTS} - {*facts.values, *facts.unread}:
        facts.miss(fact, "; ".join(failures) or "it could not be read")
    unread = tuple(facts.unread[fact] for fact in sorted(facts.unread))
    values = {**facts.values, "sources": facts.sources, "unread": unread}
    mask = masks(host)
    return Machine(**{name: masked(value, mask) for name, value in values.items()})


# what says who and where: accounts, computers, containers and addresses
_MASKS = (
    # the server of a share, as Windows names it, and no address of the web
    (r"(?<![\w:/\\])(//|\\\\)\w[\w.-]*(?=[/\\]|$)", r"\1HOST"),
    # a container's name; its id, which begins with its host name, or a pod's serial number
    (r"(lxc[/.]|lxc\.payload[/.]|/machine-)[^/\s:]+", r"\1ID"),
    (r"(?:(?<![0-9a-zA-Z])|(?<=pod))[0-9a-f]{8}[0-9a-f_-]{4,}(?![0-9a-zA-Z])", "ID"),
    (r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])|[\w.+-]+@[\w-]+\.\w+", "ADDRESS"),
)
Masks = Sequence[tuple[re.Pattern[str], str]]


def masks(host: Host) -> Masks:
    """What makes a text fit to show: the home folder as `~`, no names."""
    case = "(?i)" if host.system == "windows" else ""
    users = [host.env.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")]
    common = shipped_table("platforms")["common_names"]
    computer = host.ask("hostname") or host.env.get("COMPUTERNAME", "")
    # named after its owner, unless that is nobody in particular
    folder = rf"(?!(?:{'|'.join(common)})(?:[/\\\s:;,]|$))[^/\\\s:;,]+"
    homes = rf"(/home|/Users|/run/media|/media|\\Users)([/\\]){folder}"
    patterns = [(homes, r"\1\2USER"), *_MASKS]
    for names, word in (
        ((computer, computer.partition(".")[0]), "HOST"),
        ((*users, host.paths.basename(host.home)), "USER"),
    ):
        telling = [name for name in names if len(name) > 2 and name.lower() not in common]
        if written := "|".join(map(re.escape, sorted(telling, key=len, reverse=True))):
            # systemd writes `-` as `\x2d`
            written = written.replace(r"\-", r"(?:-|\\x2d)")
            patterns.insert(0, (rf"{case}(?:^|(?<=[/\\@=:~-]))(?:{written})(?![^\W_])", word))
    if len(host.home) > 1:
        patterns.insert(0, (rf"{case}(?<![\w.~-]){re.escape(host.home)}(?![\w.-])", "~"))
    return [(re.compile(pattern), word) for pattern, word in patterns]


def masked(value: Any, every_mask: Masks) -> Any:
    """A value with every text in it as it may be shown: on one printable line."""
    if isinstance(value, str):
        for mask, word in every_mask:
            value = mask.sub(word, value)
        return shown(value)[:1000]
    if isinstance(value, dict):
        return {key: masked(item, every_mask) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(masked(item, every_mask) for item in value)
    if not isinstance(value, Record):
        return value
    # a fact and a remedy name nobody
    names = set(type(value)._fields) - {"fact", "remedy"}
    return value.replace(**{name: masked(getattr(value, name), every_mask) for name in names})
