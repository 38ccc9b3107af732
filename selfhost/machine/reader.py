"""The one door to the real machine: as it is now, one process of it, or a recorded tree."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import expect_type
from ..core.records import Record, Unread, shown
from ..core.tables import shipped_table
from .record import BANDWIDTH, FACTS, UNNAMED, Process, normal_system
from .record import Machine as Machine

if TYPE_CHECKING:
    from .probes.host import Host


def read(
    *, measure: bool = False, root: str | os.PathLike[str] | None = None
) -> Machine:
    """This machine, as it is now: no socket, no write. What cannot be read is in `unread`; never
    raises for that.

    No child process, with one exception: where an NVIDIA driver is present a child asks its
    library, which can hang, for at most ten seconds.

    With `measure` the memory bandwidth is measured too, which takes up to a second. With `root` not
    this machine but the recorded tree of another is read: DIR/proc, DIR/sys, …
    `MachineFileError` where the folder holds none.
    """
    expect_type("root", root, (str, os.PathLike, type(None)))
    if root is not None and os.path.abspath(root) != os.path.abspath("/"):
        from .probes.host import RecordedHost

        # another computer is not "this machine": a tree goes by its folder's name
        name = os.path.basename(os.path.abspath(os.fsdecode(root)))
        machine = read_machine(RecordedHost(os.fsdecode(root)))
        return machine.replace(name=shown(name).strip() or UNNAMED)
    machine = read_machine().replace(is_this_one=True)
    if not measure or root is not None or _why_hidden(normal_system(sys.platform)):
        return machine
    from .probes.bandwidth import with_measured

    return with_measured(machine)


def measured_at_present(machine: Machine) -> Machine:
    """`machine`, which must be this computer, with its memory bandwidth measured within 60 ms; as
    it is where the system hides the computer.
    """
    if _why_hidden(normal_system(sys.platform)):
        return machine
    from .probes.bandwidth import with_measured

    return with_measured(machine, brief=True)


def process(number: str) -> Process | None:
    """The running process of that id; None where it cannot be read, as always but on Linux."""
    from .probes.linux import read_process

    return read_process(number)


def read_machine(host: Host | None = None) -> Machine:
    """This computer, or the one `host` stands for. Never raises for what it cannot read: that
    becomes None with its reason.

    Takes a few milliseconds; at most some seconds where a network mount or a driver does not
    answer.
    """
    from .probes.gpus import read_accelerators
    from .probes.host import Facts, Host, reason_of
    from .probes.stores import read_disks, read_models, read_runtimes

    host = host or Host()
    why_hidden = _why_hidden(host.system)
    if why_hidden is not None:
        return _hidden_machine(why_hidden, host.ask("read_at"))
    if host.system == "linux":
        from .probes.linux import read_cores, read_memory, read_processor, read_scope
    else:
        from .probes.other_systems import (
            read_cores,
            read_memory,
            read_processor,
            read_scope,
        )
    facts = Facts(values={}, sources={}, unread={})
    facts.put("system", host.system, "sys.platform")
    silent = "the recorded tree does not say when it was read"
    facts.put("read_at", host.ask("read_at"), "the system's clock", silent)
    reason = "the system does not state it, and it was not measured"
    remedy = "measure it on the machine itself: `selfhost machine --measure`"
    facts.put(BANDWIDTH, None, why=reason, remedy=remedy)
    failures = []
    # in this order; what goes wrong with one spoils the facts of no other
    every = (
        read_processor,
        read_scope,
        read_memory,
        read_cores,
        read_disks,
        read_accelerators,
    )
    for read in (*every, read_runtimes, read_models):
        try:
            read(host, facts)
        # psutil's own errors and a missing system library included
        except Exception as error:
            failures.append(f"reading it failed: {reason_of(error)}")
    for fact in {*FACTS} - {*facts.values, *facts.unread}:
        facts.put(fact, None, why="; ".join(failures) or "it could not be read")
    unread = tuple(facts.unread[fact] for fact in sorted(facts.unread))
    values = {**facts.values, "sources": facts.sources, "unread": unread}
    every_mask = masks(host)
    return Machine(
        **{name: masked(value, every_mask) for name, value in values.items()}
    )


def _why_hidden(system: str) -> str | None:
    """Why programs on that system see nothing of the computer; None where they do."""
    why: str | None = shipped_table("platforms")["hidden"].get(system)
    return why


def _hidden_machine(why: str, read_at: str | None) -> Machine:
    """A machine of which the system shows nothing: every fact is unread, for the reason `why`."""
    remedy = "name it by --machine"
    hidden = [fact for fact in FACTS if fact != "read_at" or read_at is None]
    unread = tuple([Unread(fact=fact, reason=why, remedy=remedy) for fact in hidden])
    return Machine(
        read_at=read_at, sources={"read_at": "the system's clock"}, unread=unread
    )


# what a text may hold where it says who or where, in small letters; the expression for it; and
# what is shown instead
Mask = tuple[Sequence[str], str, str]
# accounts, computers, containers and addresses
_MASKS: tuple[Mask, ...] = (
    # the server of a share, as Windows names it, and no address of the web
    (("//", r"\\"), r"(?<![\w:/\\])(//|\\\\)\w[\w.-]*(?=[/\\]|$)", r"\1HOST"),
    # a container's name; its id, which begins with its host name, or a pod's serial number
    (("lxc", "/machine-"), r"(lxc[/.]|lxc\.payload[/.]|/machine-)[^/\s:]+", r"\1ID"),
    (
        (),
        r"(?:(?<![0-9a-zA-Z])|(?<=pod))[0-9a-f]{8}[0-9a-f_-]{4,}(?![0-9a-zA-Z])",
        "ID",
    ),
    (
        (),
        r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])|[\w.+-]+@[\w-]+\.\w+",
        "ADDRESS",
    ),
)


def masks(host: Host) -> list[Mask]:
    """What makes a text fit to show: the home folder as `~`, no names."""
    case = "(?i)" if host.system == "windows" else ""
    users = [
        host.env.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")
    ]
    common = shipped_table("platforms")["common_names"]
    computer = host.ask("hostname") or host.env.get("COMPUTERNAME", "")
    # named after its owner, unless that is nobody in particular
    folder = rf"(?!(?:{'|'.join(common)})(?:[/\\\s:;,]|$))[^/\\\s:;,]+"
    homes = rf"(/home|/Users|/run/media|/media|\\Users)([/\\]){folder}"
    every_mask: list[Mask] = [
        (("/home", "users", "/media"), homes, r"\1\2USER"),
        *_MASKS,
    ]
    for names, word in (
        ((computer, computer.partition(".")[0]), "HOST"),
        ((*users, host.paths.basename(host.home)), "USER"),
    ):
        telling = [
            name for name in names if len(name) > 2 and name.lower() not in common
        ]
        if written := "|".join(map(re.escape, sorted(telling, key=len, reverse=True))):
            # systemd writes `-` as `\x2d`
            written = written.replace(r"\-", r"(?:-|\\x2d)")
            signs = [name.lower().partition("-")[0] for name in telling]
            pattern = rf"{case}(?:^|(?<=[/\\@=:~-]))(?:{written})(?![^\W_])"
            every_mask.insert(0, (signs, pattern, word))
    if len(host.home) > 1:
        pattern = rf"{case}(?<![\w.~-]){re.escape(host.home)}(?![\w.-])"
        every_mask.insert(0, ([host.home.lower()], pattern, "~"))
    return every_mask


def masked(value: Any, every_mask: Sequence[Mask]) -> Any:
    """A value with every text in it as it may be shown: on one printable line."""
    if isinstance(value, str):
        for signs, pattern, word in every_mask:
            if not signs or any(sign in value.lower() for sign in signs):
                value = re.sub(pattern, word, value)
        text = shown(value)[:1000]
        # a folder may be called so, and a record holds no blank text
        is_blank = bool(text) and not text.strip()
        return f'"{text}"' if is_blank else text
    if isinstance(value, dict):
        return {key: masked(item, every_mask) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(masked(item, every_mask) for item in value)
    if not isinstance(value, Record):
        return value
    # a fact and a remedy name nobody
    names = set(type(value)._fields) - {"fact", "remedy"}
    return value.replace(
        **{name: masked(getattr(value, name), every_mask) for name in names}
    )


# here, for a record imports no probes
Machine.read = staticmethod(read)  # type: ignore[method-assign]
