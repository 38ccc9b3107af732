"""Cards on the PCI bus without an answer from their driver."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selfhost.machine.probes import read_machine
from selfhost.machine.probes.recorded import RecordedHost


def pci(**cards: tuple[str, str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for slot, (kind, vendor) in cards.items():
        folder = f"/sys/bus/pci/devices/0000:{slot[1:]}:00.0".replace(":", "")
        files |= {f"{folder}/class": kind + "\n", f"{folder}/vendor": vendor + "\n"}
    return files


@pytest.mark.parametrize(
    "vendor", ["0x1234", "0x1013", "0x15ad", "0x1af4", "0x1b36", "0x80ee", "0x1414", "0x1a03"]
)
def test_a_display_adapter_is_no_accelerator(
    build: Callable[..., RecordedHost], vendor: str
) -> None:
    """QEMU, Cirrus, VMware, virtio, QXL, VirtualBox, Hyper-V and a server's console."""
    assert read_machine(build(pci(s01=("0x030000", vendor)))).accelerators == ()


def test_an_nvidia_gpu_is_seen_and_its_memory_unread(build: Callable[..., RecordedHost]) -> None:
    """Presence, driver and count from files; the memory only its driver library knows."""
    version = (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  590.48.01  Wed Oct  1 00:00:00 UTC 2026\n"
    )
    files = pci(s01=("0x030200", "0x10de"), s02=("0x030200", "0x10de")) | {
        "/proc/driver/nvidia/version": version,
        "/dev/nvidia0": "x",
        "/dev/nvidiactl": "x",
    }
    machine = read_machine(build(files))
    assert [
        (card.vendor, card.driver, card.memory_total_bytes) for card in machine.accelerators or ()
    ] == [("nvidia", "590.48.01", None)]
    assert "driver's library" in machine.why_unread("accelerators.memory_total_bytes").reason
    bare = read_machine(build(pci(s01=("0x030000", "0x10de"))))
    assert len(bare.accelerators or ()) == 1
    assert "no driver" in bare.why_unread("accelerators.memory_total_bytes").reason
