"""What the system is asked beside files, on systems that stand in for macOS and Windows."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from selfhost.machine.probes import system
from selfhost.machine.probes.system import ANSWERS

GIB = 2**30
Patch = pytest.MonkeyPatch


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ((1).to_bytes(4, sys.byteorder), "1"),
        ((68_719_476_736).to_bytes(8, sys.byteorder), "68719476736"),
        # the limit of 24,576 MiB, two of whose bytes are printable
        ((24_576).to_bytes(4, sys.byteorder), "24576"),
        (b"Apple M4 Pro\0", "Apple M4 Pro"),
        (b"\0" * 16, ""),
    ],
)
def test_macos_answers_are_text_or_whole_numbers_of_4_or_8_bytes(
    raw: bytes, value: str, monkeypatch: Patch
) -> None:
    def sysctlbyname(_name: bytes, buffer: Any, size: Any, *_: object) -> int:
        ctypes.memmove(buffer, raw, len(raw))
        size._obj.value = len(raw)
        return 0

    monkeypatch.setattr(
        ctypes, "CDLL", lambda _: SimpleNamespace(sysctlbyname=sysctlbyname)
    )
    assert ANSWERS["sysctl"]("hw.memsize") == value


CLASS = r"SYSTEM\ControlSet001\Control\Video"
# an adapter with two outputs, one that states no memory, one that is not there any more
REGISTRY: dict[str, dict[str, object]] = {
    r"HARDWARE\DEVICEMAP\VIDEO": {
        rf"\Device\Video{number}": rf"\REGISTRY\MACHINE\{CLASS}\{output}"
        for number, output in enumerate(
            (r"{A}\0000", r"{a}\0001", r"{B}\0000", r"{C}\0000")
        )
    },
    rf"{CLASS}\{{B}}\0000": {"DriverDesc": "Intel(R) UHD Graphics 770"},
}
for output in (r"{A}\0000", r"{a}\0001"):
    REGISTRY[rf"{CLASS}\{output}"] = {
        "MatchingDeviceId": r"pci\ven_10de&dev_2684",
        "DriverDesc": "NVIDIA GeForce RTX 4090",
        "HardwareInformation.qwMemorySize": 24 * GIB,
    }


class Winreg:
    HKEY_LOCAL_MACHINE = 0

    def OpenKey(self, _root: int, key: str) -> Any:
        if key not in REGISTRY:
            raise FileNotFoundError(key)
        return nullcontext(REGISTRY[key])

    def QueryValueEx(self, key: dict[str, object], name: str) -> tuple[object, int]:
        if name not in key:
            raise FileNotFoundError(name)
        return key[name], 1


def test_windows_names_each_adapter_once_with_what_is_known(monkeypatch: Patch) -> None:
    monkeypatch.setitem(sys.modules, "winreg", Winreg())
    card, shared = ANSWERS["display_adapters"]()
    assert [*card.values()] == [
        r"pci\ven_10de&dev_2684",
        "NVIDIA GeForce RTX 4090",
        24 * GIB,
    ]
    assert [*shared.values()] == [None, "Intel(R) UHD Graphics 770", None]
    monkeypatch.setitem(REGISTRY, r"HARDWARE\DEVICEMAP\VIDEO", {})
    assert ANSWERS["display_adapters"]() is None


def test_windows_names_its_features_up_to_avx512(monkeypatch: Patch) -> None:
    has = {6, 10, 39, 40, 41}
    kernel = SimpleNamespace(
        IsProcessorFeaturePresent=lambda number: int(number in has)
    )
    monkeypatch.setitem(ctypes.__dict__, "windll", SimpleNamespace(kernel32=kernel))
    monkeypatch.setattr(system, "os", SimpleNamespace(name="nt"))
    assert ANSWERS["processor_features"]() == sorted(has)


def test_disk_space_leaves_out_what_is_reserved_for_root(monkeypatch: Patch) -> None:
    volume = SimpleNamespace(
        f_bavail=90, f_bfree=140, f_frsize=4096, f_bsize=512, f_blocks=1000
    )
    monkeypatch.setattr(
        system, "os", SimpleNamespace(name="posix", statvfs=lambda _: volume)
    )
    assert ANSWERS["space"]("/") == {"free_bytes": 368_640, "total_bytes": 4_096_000}


def test_what_caches_hold_counts_as_available(monkeypatch: Patch) -> None:
    memory = SimpleNamespace(total=16 * GIB, available=9 * GIB, free=GIB, used=7 * GIB)
    swap = SimpleNamespace(total=2 * GIB, free=GIB, used=GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(psutil, "swap_memory", lambda: swap)
    assert ANSWERS["memory"]() == {
        "total": 16 * GIB,
        "available": 9 * GIB,
        "swap_free": GIB,
    }


@pytest.mark.parametrize(("platform", "usable"), [("darwin", 16), ("win32", 3)])
def test_cores_are_no_threads_and_mounts_are_of_the_network_too(
    platform: str, usable: int, monkeypatch: Patch
) -> None:
    """Windows says which processors this process may use."""
    process = SimpleNamespace(cpu_affinity=lambda: [0, 1, 2])
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    monkeypatch.setattr(psutil, "Process", lambda: process)
    monkeypatch.setattr(sys, "platform", platform)
    parts = {True: [SimpleNamespace(mountpoint="/net", fstype="nfs")], False: []}
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts[all])
    assert ANSWERS["mounts"]() == ({} if platform == "win32" else {"/net": "nfs"})
    assert ANSWERS["cores"]() == {"physical": 8, "usable": usable}


@pytest.mark.parametrize(
    ("writes", "why"),
    [
        ("print('[1')", "could not be understood"),
        ("raise SystemExit(3)", "with status 3"),
        ("import os; os.kill(os.getpid(), 9)", "by signal 9"),
        ("import time; time.sleep(60)", "no answer within 0.5 seconds"),
    ],
)
def test_why_nvidias_library_says_nothing_is_told(
    writes: str, why: str, monkeypatch: Patch, tmp_path: Any
) -> None:
    (tmp_path / "nvml.py").write_text(writes, encoding="utf-8")
    monkeypatch.setattr(system, "__file__", str(tmp_path / "system.py"))
    monkeypatch.setattr(system, "NVML_SECONDS", 0.5 if "sleep" in writes else 30.0)
    assert [why in text for text in ANSWERS["nvml"]().values()] == [True]


@pytest.mark.parametrize(("name", "writable"), [("posix", True), ("nt", None)])
def test_a_folder_that_may_only_be_read_holds_no_model(
    name: str, writable: bool | None, monkeypatch: Patch
) -> None:
    granted = {os.R_OK | os.X_OK, os.R_OK, os.X_OK}
    access = {
        "access": lambda _, mode: mode in granted,
        "W_OK": os.W_OK,
        "X_OK": os.X_OK,
    }
    monkeypatch.setattr(system, "os", SimpleNamespace(name=name, **access))
    assert ANSWERS["writable"]("/models") is False
    granted.add(os.W_OK | os.X_OK)
    assert ANSWERS["writable"]("/models") is writable
