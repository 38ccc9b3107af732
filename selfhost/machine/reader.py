"""The one door to the real machine: as it is now, one process of it, or a recorded tree."""

from __future__ import annotations

import os

from ..core.errors import expect_type
from ..core.records import shown
from .record import UNNAMED, Machine, Process

__all__ = ["Machine", "measured_at_present", "process", "read"]


def read(*, measure: bool = False, root: str | os.PathLike[str] | None = None) -> Machine:
    """This machine, as it is now: no socket, no write. What cannot be read is in `unread`; never
    raises for that.

    No child process, with one exception: where an NVIDIA driver is present a child asks its
    library, which can hang, for at most ten seconds.

    With `measure` the memory bandwidth is measured too, which takes up to a second. With `root` not
    this machine but the recorded tree of another is read: DIR/proc, DIR/sys, …
    `MachineFileError` where the folder holds none.
    """
    from .probes import read_machine

    expect_type("root", root, (str, os.PathLike, type(None)))
    if root is not None and os.path.abspath(root) != os.path.abspath("/"):
        from .probes.host import RecordedHost

        # another computer is not "this machine": a tree goes by its folder's name
        name = os.path.basename(os.path.abspath(os.fsdecode(root)))
        return read_machine(RecordedHost(os.fsdecode(root))).replace(name=shown(name) or UNNAMED)
    machine = read_machine().replace(is_this_one=True)
    if not measure or root is not None:
        return machine
    from .probes.bandwidth import with_measured

    return with_measured(machine)


def measured_at_present(machine: Machine) -> Machine:
    """`machine`, which must be this computer, with its memory bandwidth measured within 60 ms."""
    from .probes.bandwidth import with_measured

    return with_measured(machine, brief=True)


def process(number: str) -> Process | None:
    """The running process of that id; None where it cannot be read, as always but on Linux."""
    from .probes import Host
    from .probes.linux import read_process

    host = Host()
    return read_process(number, host) if host.system == "linux" else None


Machine.read = staticmethod(read)  # type: ignore[method-assign]
