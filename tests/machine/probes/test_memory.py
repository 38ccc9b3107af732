"""Memory: address space, private memory and swap."""

from __future__ import annotations

from collections.abc import Callable

from helpers.recordings import DATA_LIMIT, GIB, MEMINFO, version_2
from selfhost.machine.probes import read_machine
from selfhost.machine.probes.host import RecordedHost


def test_address_space(build: Callable[..., RecordedHost]) -> None:
    """`ulimit -v`: also a read-only mapping of a file counts, so no model larger than this loads."""
    limits = (
        "Limit          Soft Limit   Hard Limit   Units\nMax address space         4294967296           unlimited            bytes     \n"
    ) + DATA_LIMIT
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/self/limits": limits,
        "/proc/self/status": "VmSize:\t 1048576 kB\n",
    }
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes == 4 * GIB
    assert machine.memory_available_bytes == machine.address_space_bytes == 3 * GIB
    del files["/proc/self/status"]
    assert read_machine(build(files)).memory_available_bytes is None


def test_a_limit_on_private_memory(build: Callable[..., RecordedHost]) -> None:
    """`ulimit -d` counts what is allocated, not what is mapped: it is told apart from memory, which it does not bound as such."""
    limits = (
        "Max data size 2147483648 unlimited bytes\nMax address space unlimited unlimited bytes\n"
    )
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/self/limits": limits,
        "/proc/self/status": "VmData:\t 1048576 kB\n",
    }
    machine = read_machine(build(files))
    assert (machine.memory_limit_bytes, machine.memory_available_bytes) == (16 * GIB, 12 * GIB)
    assert (machine.private_memory_bytes, machine.address_space_bytes) == (GIB, None)
    assert "`ulimit -d unlimited` lifts" in machine.sources["private_memory_bytes"]
    del files["/proc/self/status"]
    assert read_machine(build(files)).memory_available_bytes is None
    files["/proc/self/limits"] = "Max address space unlimited unlimited bytes\n"
    assert read_machine(build(files)).memory_limit_bytes is None


def test_compressed_swap_is_memory(build: Callable[..., RecordedHost]) -> None:
    """zram is the same RAM; without /proc/swaps it is not known which swap this is."""
    text = MEMINFO.replace(
        "SwapTotal: 0 kB\nSwapFree: 0 kB", "SwapTotal: 2048 kB\nSwapFree: 1536 kB"
    )
    swaps = "Filename Type Size Used Priority\n/dev/zram0 partition 1024 512 100\n/dev/sda2 partition 1024 0 -2\n"
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": text,
        "/proc/swaps": swaps,
    }
    assert read_machine(build(files)).swap_free_bytes == 1024 * 1024
    del files["/proc/swaps"]
    assert read_machine(build(files)).swap_free_bytes is None
