"""Reading ends by its deadline."""

from __future__ import annotations

import sys
import threading

import pytest

from helpers.recordings import DeadVolume, place
from selfhost.machine.probes import read_machine


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
