"""Cards on the PCI bus without an answer from their driver."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers.recordings import lawful
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


def test_a_card_without_a_driver_has_the_name_of_the_bus(
    build: Callable[..., RecordedHost],
) -> None:
    """`lspci` names it; which card a driver is missing for is what its owner looks for first."""
    files = pci(s01=("0x030200", "0x10de"))
    slot = next(iter(files)).split("/")[5]
    files[f"/sys/bus/pci/devices/{slot}/device"] = "0x1b38\n"
    files["/usr/share/misc/pci.ids"] = "10de  NVIDIA Corporation\n\t1b38  GP102GL [Tesla P40]\n"
    machine = read_machine(build(files, machine="x86_64"))
    assert [card.name for card in machine.accelerators or ()] == ["NVIDIA Tesla P40"]
    assert "no driver" in machine.why_unread("accelerators.memory_total_bytes").reason


@pytest.mark.parametrize(
    ("word", "name", "unified"),
    [
        ("aarch64", "NVIDIA GB10", True),
        ("aarch64", "NVIDIA GB100", False),
        ("aarch64", "NVIDIA GH200 480GB", False),
        ("aarch64", None, None),
        (None, None, None),
        ("x86_64", None, False),
        ("x86_64", "NVIDIA GeForce RTX 4090", False),
    ],
)
def test_whether_an_nvidia_gpu_shares_the_memory(
    build: Callable[..., RecordedHost], word: str | None, name: str | None, unified: bool | None
) -> None:
    """GB10 does. Without a name it may, on an Arm processor only."""
    files = pci(s01=("0x030200", "0x10de")) | {"/dev/nvidia0": "x"}
    slot = next(iter(files)).split("/")[5]
    if name:
        files[f"/proc/driver/nvidia/gpus/{slot}/information"] = (
            f"Model: \t\t {name}\nIRQ:   \t\t 5\n"
        )
    machine = read_machine(build(files, machine=word))
    lawful(machine)
    assert [card.unified for card in machine.accelerators or ()] == [unified]
    assert any(entry.fact == "accelerators.unified" for entry in machine.unread) == (
        unified is None
    )


def test_an_amd_gpu_without_its_driver_may_share_the_memory(
    build: Callable[..., RecordedHost],
) -> None:
    """Nothing tells a card from a processor's own graphics; an Intel card on a bus of its own is a card."""
    machine = read_machine(build(pci(s01=("0x030000", "0x1002"))))
    assert [card.unified for card in machine.accelerators or ()] == [None]
    assert machine.why_unread("accelerators.unified").remedy


def test_what_a_device_is_that_cannot_be_read(build: Callable[..., RecordedHost]) -> None:
    """A display device of unknown make may be a GPU: it is not said that there is none."""
    files = pci(s01=("0x030000", "0x1234"))
    for name in ("class", "vendor"):
        kept = {path: text for path, text in files.items() if not path.endswith(name)}
        machine = read_machine(build(kept))
        assert machine.accelerators is None or name == "class"


def test_no_bus_is_no_gpu(build: Callable[..., RecordedHost]) -> None:
    """A small virtual machine has no PCI bus; a tree without /sys tells nothing."""
    assert read_machine(build({"/sys/bus/cpu/uevent": "x"})).accelerators == ()
    assert read_machine(build({})).accelerators is None
