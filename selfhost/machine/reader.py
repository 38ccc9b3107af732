"""The one door to the probes: reads this machine, or the recorded tree of another. Importing it
makes `Machine.read` work.
"""

from __future__ import annotations

import os

from ..core.errors import expect_type
from .record import MAX_TEXT, UNNAMED, UNPRINTABLE, Machine

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

    from .probes.glance import Glancing as Glancing
    from .process import Process

__all__ = ["Machine", "begin_glance", "glance_at", "in_memory", "process", "read"]


def read(
    *,
    measure: bool = False,
    root: str | os.PathLike[str] | None = None,
    record: str | os.PathLike[str] | None = None,
    known: Callable[[str], bool] | None = None,
) -> Machine:
    """This machine, as it is now: no socket, no write. What cannot be read is in `unread`; never
    raises for that.

    No child process, with one exception: where an NVIDIA driver is present a child asks its
    library, which can hang, for at most ten seconds.

    With `measure` the memory bandwidth is measured too, which takes up to a second. With `root` not
    this machine but the recorded tree of another is read: DIR/proc, DIR/sys, … With `record` what
    was read is written to a new or empty folder as such a tree, without names and addresses; of
    models those stay that `known` says are public. `MachineFileError` where either folder cannot be
    used.
    """
    from .probes import read_machine

    for name, folder in (("root", root), ("record", record)):
        expect_type(name, folder, (str, os.PathLike, type(None)))
    if root is not None or record is not None:
        return _from_tree(root, record, known)
    machine = read_machine().replace(is_this_one=True)
    if not measure:
        return machine
    from .probes.bandwidth import with_measured

    return with_measured(machine)


def glance_at(machine: Machine) -> Machine:
    """`machine`, which must be this computer, with what a glance of at most 40 ms tells of its
    memory bandwidth, or with why it told nothing.
    """
    from .probes.glance import with_glance

    return with_glance(machine)


def begin_glance(machine: Machine) -> Glancing:
    """The same in two steps: memory is filled while the caller goes on. `seen()` of what is
    returned gives the machine, `drop()` gives the memory back unread.
    """
    from .probes.glance_threads import filling_of

    filling = filling_of(machine)
    # loaded while the threads fill
    from .probes.glance import Glancing

    return Glancing(filling)


def _from_tree(
    root: str | os.PathLike[str] | None,
    record: str | os.PathLike[str] | None,
    is_public: Callable[[str], bool] | None,
) -> Machine:
    from .probes import Host, read_machine

    host, name, is_this_one = Host(), UNNAMED, True
    if root is not None and os.path.abspath(root) != os.path.abspath("/"):
        from .probes.recorded import RecordedHost

        host = RecordedHost(os.fsdecode(root))
        is_this_one = False
        # another computer is not "this machine": a tree goes by its folder's name
        name = UNPRINTABLE.sub("?", os.path.basename(os.path.abspath(os.fsdecode(root))))[:MAX_TEXT]
    if record is None:
        return read_machine(host).replace(name=name, is_this_one=is_this_one)
    from .probes.recorder import Recorder, empty_folder, remove_folders

    folder = os.fsdecode(record)
    recorder = Recorder(host, is_public)

    def recorded() -> Machine:
        new_folders = empty_folder(folder)
        try:
            machine = read_machine(recorder).replace(name=name, is_this_one=is_this_one)
            recorder.write(folder)
        except BaseException:
            remove_folders(new_folders)
            raise
        return machine

    return recorded()


def in_memory(path: str) -> bool | None:
    """Whether a file or folder of this computer takes RAM where it lies; None where that is not
    known. False on systems other than Linux.
    """
    from .probes import Host
    from .probes.medium import medium_of_file

    host = Host()
    if host.system != "linux":
        return False
    try:
        medium = host.within(lambda: medium_of_file(host, host.resolve(path)))
    except (OSError, ValueError):
        return None
    return medium.in_memory if medium is not None else False


def process(number: str) -> Process | None:
    """The running process of that id, its memory by kind; None where there is none, or this account
    may not read it. Linux: elsewhere always None.
    """
    from .probes import Host
    from .probes.process import read_process

    host = Host()
    return read_process(number, host) if host.system == "linux" else None


Machine.read = staticmethod(read)  # type: ignore[method-assign]
