"""The only reader of the real machine: the machine as it is now, one process of it, or a recorded
tree. The probes are imported only when a machine is read: most questions name theirs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..core.errors import expect_type
from ..core.files import reason_of
from ..core.records import shown
from .platforms import normal_system, platforms
from .record import BANDWIDTH, FACTS, UNNAMED, Machine, Process

if TYPE_CHECKING:
    from .probes.host import Facts, Host

    Probe = Callable[[Host, Facts], None]


def read(
    *, measure: bool = False, root: str | os.PathLike[str] | None = None
) -> Machine:
    """See `Machine.read`."""
    expect_type("root", root, (str, os.PathLike, type(None)))
    if root is not None and os.path.abspath(root) != os.path.abspath("/"):
        return _read_tree(os.fsdecode(root))
    machine = read_machine().replace(is_this_one=True)
    if measure:
        return measured(machine, brief=False)
    return machine


def _read_tree(folder: str) -> Machine:
    """The machine of a recorded tree. Its name is that of the tree's folder, and not "this
    machine".
    """
    from .probes.recorded import RecordedHost

    machine = read_machine(RecordedHost(folder))
    path = os.path.abspath(folder)
    name = shown(os.path.basename(path)).strip()
    return machine.replace(name=name or UNNAMED)


def measured(machine: Machine, *, brief: bool) -> Machine:
    """The machine, which must be this computer, with its memory bandwidth measured. If `brief`, the
    measurement takes at most 60 ms. Nothing is measured where programs see nothing of the computer
    that they run on, as in a browser.
    """
    if normal_system(sys.platform) in platforms().hidden:
        return machine
    from .probes.bandwidth import with_measured

    return with_measured(machine, brief=brief)


def process(number: str) -> Process | None:
    """Return the running process of that id; None where it cannot be read, as on every system but
    Linux.
    """
    from .probes.processes import read_process

    return read_process(number)


def read_machine(host: Host | None = None) -> Machine:
    """Read this computer, or the computer that `host` stands for. A fact that cannot be read
    becomes None with its reason, and raises nothing.

    Reading takes a few milliseconds, and at most some seconds where a network mount or a driver
    does not answer.
    """
    from .probes.host import Facts, Host

    host = host or Host()
    facts = Facts(values={}, sources={}, unread={})
    facts.put(
        "read_at",
        host.ask("read_at"),
        "the system's clock",
        "the recorded tree does not say when it was read",
    )
    why_hidden = platforms().hidden.get(host.system)
    if why_hidden is not None:
        # programs on this system cannot read anything of the machine
        return _machine_of(host, facts, why_hidden, "name it by --machine")
    facts.put("system", host.system, "sys.platform")
    facts.lack(
        BANDWIDTH,
        "the system does not state it, and it was not measured",
        "measure it on the machine itself: `selfhost machine --measure`",
    )
    # failures of probes; together they are the reason for every fact that was not found, because
    # nobody knows which probe should have found the fact
    failures = []
    for probe in _probes(host.system):
        try:
            probe(host, facts)
        # an error of one probe must not spoil the facts of the others; this includes psutil's own
        # errors and a missing system library
        except Exception as error:
            failures.append(f"reading it failed: {reason_of(error)}")
    why_missing = "; ".join(failures) or "it could not be read"
    return _machine_of(host, facts, why_missing)


def _probes(system: str) -> Sequence[Probe]:
    """The probes of a system in the order in which they run. Each probe reads one thing.

    The order matters: GPUs depend on the scope and the memory.
    """
    from .probes.disks import read_disks
    from .probes.gpus import read_accelerators
    from .probes.runtimes import read_runtimes
    from .probes.scope import read_scope
    from .probes.stored_models import read_models

    if system == "linux":
        from .probes.linux_memory import read_memory
        from .probes.linux_processor import read_cores, read_processor
    else:
        from .probes.other_systems import read_cores, read_memory, read_processor
    return (
        read_processor,
        read_scope,
        read_memory,
        read_cores,
        read_disks,
        read_accelerators,
        read_runtimes,
        read_models,
    )


def _machine_of(
    host: Host,
    facts: Facts,
    why_missing: str,
    remedy: str = "",
) -> Machine:
    """The machine that has these facts. Texts that tell its user or its place in a network are
    masked.

    `why_missing` is the reason of each fact that no probe read, and `remedy` what to do about it.
    """
    from .probes.masks import masked, masks

    told = {*facts.values, *facts.unread}
    for fact in FACTS:
        if fact not in told:
            facts.lack(fact, why_missing, remedy)
    unread = [facts.unread[fact] for fact in sorted(facts.unread)]
    values = {**facts.values, "sources": facts.sources, "unread": tuple(unread)}
    every_mask = masks(host)
    for name, value in values.items():
        values[name] = masked(value, every_mask)
    return Machine(**values)
