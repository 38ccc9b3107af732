"""Reading ends by its deadline."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from helpers.recordings import place
from selfhost.machine.probes import (
    Host,
    read_machine,
)
from selfhost.machine.probes.host import Mount, Space


class DeadVolume(Host):
    """A live host with a network mount that never answers."""

    def __init__(self, never: threading.Event) -> None:
        super().__init__(env={"HOME": "/"})
        self.never = never

    def mounts(self) -> tuple[Mount, ...]:
        return (Mount(root="/", point="/", filesystem="nfs4", options="", read_only=False),)

    def space(self, path: str) -> Space | None:
        self.never.wait(30)
        return None

    def within(self, work: Callable[[], Any], seconds: float = 0.25) -> Any:
        return super().within(work, seconds)


@pytest.mark.skipif(sys.platform != "linux", reason="replaces Linux' mounts")
def test_a_dead_network_volume_is_unread() -> None:
    """statvfs on a dead server hangs: the reading goes on without it."""
    never = threading.Event()
    try:
        machine = read_machine(DeadVolume(never))
        found = place(machine, "huggingface")
        assert found.free_bytes is None
        assert found.filesystem == "nfs4"
        assert "no answer" in machine.why_unread("disks.huggingface.free_bytes").reason
        assert machine.memory_total_bytes
    finally:
        never.set()


def test_a_failure_within_the_deadline_is_passed_on() -> None:
    """An error in the thread is the caller's error."""

    def fail() -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        DeadVolume(threading.Event()).within(fail, 5)
