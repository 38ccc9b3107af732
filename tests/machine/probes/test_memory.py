"""Memory: address space, huge pages, nodes, overcommitting, caches and swap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.paths import MACHINES
from helpers.recordings import (
    CGROUP2_MOUNT,
    DATA_LIMIT,
    FULL,
    GIB,
    MEMINFO,
    NO_LIMITS,
    ROOT_MOUNT,
    Altered,
    lawful,
    part,
    text_of,
    version_2,
)
from selfhost.machine.probes import (
    procfs,
    read_machine,
)
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.probes.recorder import Recorder


@pytest.mark.parametrize("name", part("meminfo"))
def test_recorded_meminfo(name: str) -> None:
    """MemTotal of every recorded machine is its first line, in KiB."""
    text = text_of(name)
    line = next(line for line in text.splitlines() if line.startswith("MemTotal"))
    found = procfs.parse_meminfo(text)
    assert found["MemTotal"] == int(line.split()[1]) * 1024
    assert found.get("HugePages_Total", 0) < 2**20


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


def test_huge_pages_are_nobodys(build: Callable[..., RecordedHost]) -> None:
    """Pages set aside are in MemTotal and cannot be used; the hardware's size stays what it is."""
    for line in ("Hugetlb: 2097152 kB\n", "HugePages_Total: 1024\nHugepagesize: 2048 kB\n"):
        machine = read_machine(
            build(version_2({"cgroup.controllers": "cpu\n"}) | {"/proc/meminfo": MEMINFO + line})
        )
        assert machine.memory_total_bytes == 16 * GIB
        assert machine.memory_limit_bytes == 14 * GIB


# two nodes of a running kernel 6.18, as set_mempolicy(2) of each kind shows there
DEFAULT_POLICY = {
    "/proc/self/numa_maps": "55b2ae438000 default file=/usr/bin/python3.11 mapped=2 N0=2 kernelpagesize_kB=4\n"
}


NODE = "Node 1 MemTotal: 4194304 kB\nNode 1 MemFree: 1048576 kB\nNode 1 Active(file): 0 kB\nNode 1 Inactive(file): 524288 kB\n"


def test_memory_nodes(build: Callable[..., RecordedHost]) -> None:
    """A process bound to one of two nodes has that node's memory, all and free (numactl, cpusets)."""
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/self/status": "Mems_allowed_list:\t1\n",
        "/proc/zoneinfo": "".join(
            f"Node {node}, zone Normal\n  pages free 1\n        low      {pages}\n"
            for node, pages in ((0, 9000), (1, 1000), (10, 9000))
        ),
        "/sys/devices/system/node/online": "0-1\n",
        "/sys/devices/system/node/node0/meminfo": NODE.replace("Node 1", "Node 0"),
        "/sys/devices/system/node/node1/meminfo": NODE + "Node 1 SReclaimable: 0 kB\n",
        **DEFAULT_POLICY,
    }
    machine = read_machine(build(files))
    low = 1000 * 4096
    assert machine.memory_limit_bytes == 4 * GIB
    assert "bound to" in machine.sources["memory_limit_bytes"]
    # what the kernel keeps back on other nodes takes nothing from this one
    assert machine.memory_available_bytes == GIB - low + GIB // 2 - low
    # the nodes that are there show by their folders too
    del files["/sys/devices/system/node/online"]
    assert read_machine(build(files)).memory_limit_bytes == 4 * GIB
    assert (
        read_machine(
            build(files | {"/sys/devices/system/node/node1/meminfo": NODE})
        ).memory_available_bytes
        is None
    )
    for gone in ("/sys/devices/system/node/node1/meminfo", "/proc/self/status"):
        machine = read_machine(
            build(
                {path: text for path, text in files.items() if path != gone}
                | {"/sys/devices/system/node/node1/x": ""}
            )
        )
        assert machine.memory_limit_bytes is machine.memory_available_bytes is None


def two_nodes(policy: str) -> dict[str, str]:
    """Two nodes of 2 and 4 GiB, all free, under this policy of memory."""
    folder, lines = (
        "/sys/devices/system/node",
        "Node 0 MemTotal: {0} kB\nNode 0 MemFree: {0} kB\nNode 0 Active(file): 0 kB\n",
    )
    lines += "Node 0 Inactive(file): 0 kB\nNode 0 SReclaimable: 0 kB\n"
    return version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": f"MemTotal: {6 * 2**20} kB\nMemFree: {6 * 2**20} kB\nMemAvailable: {6 * 2**20} kB\n",
        "/proc/self/status": "Mems_allowed_list:\t0-1\n",
        "/proc/zoneinfo": "Node 0, zone Normal\n        low      0\nNode 1, zone Normal\n        low      0\n",
        f"{folder}/online": "0-1\n",
        f"{folder}/node0/meminfo": lines.format(2 * 2**20),
        f"{folder}/node1/meminfo": lines.format(4 * 2**20).replace("Node 0", "Node 1"),
        "/proc/self/numa_maps": DEFAULT_POLICY["/proc/self/numa_maps"].replace("default", policy),
    }


@pytest.mark.parametrize(
    ("policy", "gib"),
    [
        ("bind:0", 2),
        ("bind:1", 4),
        ("bind:0-1", 6),
        ("bind=static:0", 2),
        ("bind=relative:1", 4),
        ("bind=static|balancing:0", 2),
        ("default", 6),
        ("local", 6),
        ("prefer:0", 6),
        ("prefer (many):0", 6),
        ("interleave:0", 6),
        ("weighted interleave:0", 6),
    ],
)
def test_a_strict_memory_policy_bounds_memory(
    build: Callable[..., RecordedHost], policy: str, gib: int
) -> None:
    """`numactl --membind` leaves the nodes it names, and what needs more is killed; the other policies fall back on all nodes.

    set_mempolicy(2): MPOL_BIND is strict. It does not show in Mems_allowed; children, such as a runtime started next, inherit it.
    """
    machine = read_machine(build(two_nodes(policy)))
    assert machine.memory_limit_bytes == machine.memory_available_bytes == gib * GIB
    assert ("bound to" in machine.sources["memory_limit_bytes"]) == (gib < 6)


def test_a_memory_policy_that_is_not_told_is_not_none(
    build: Callable[..., RecordedHost], tmp_path: Path
) -> None:
    """Of several nodes only some may be allowed: without the policy's file, or with one of another shape, memory is unread."""
    path = "/proc/self/numa_maps"
    for text in (
        None,
        "bind:0\n",
        "55b2ae438000 bind:0-x file=/bin/sh\n",
        "55b2ae438000 bind file=/bin/sh\n",
        "55b2ae438000 ",
    ):
        files = {name: content for name, content in two_nodes("bind:0").items() if name != path}
        machine = read_machine(build(files if text is None else files | {path: text}))
        lawful(machine)
        assert machine.memory_limit_bytes is machine.memory_available_bytes is None
        assert path in machine.why_unread("memory_limit_bytes").reason
    # one node leaves nothing to choose
    assert (
        read_machine(build(version_2({"cgroup.controllers": "cpu\n"}))).memory_limit_bytes
        is not None
    )
    # a record keeps the policy, and neither the interpreter's path nor where it was mapped
    recorder = Recorder(build(two_nodes("bind=static:0")))
    before = read_machine(recorder)
    recorder.write(str(tmp_path / "record"))
    assert (tmp_path / "record/proc/self/numa_maps").read_text() == "00000000 bind=static:0\n"
    assert (
        read_machine(RecordedHost(str(tmp_path / "record"))).memory_limit_bytes
        == before.memory_limit_bytes
        == 2 * GIB
    )


def test_several_memory_nodes_add_up(build: Callable[..., RecordedHost]) -> None:
    """Bound to two of three nodes: the memory of both, free on both, without the huge pages that are set aside there."""
    node = NODE + "Node 1 SReclaimable: 0 kB\nNode 1 HugePages_Total: 512\n"
    folder = "/sys/devices/system/node"
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": MEMINFO + "HugePages_Total: 1024\nHugepagesize: 2048 kB\n",
        "/proc/self/status": "Mems_allowed_list:\t1-2\n",
        "/proc/zoneinfo": "".join(
            f"Node {node}, zone Normal\n        low      {pages}\n"
            for node, pages in ((0, 7000), (1, 400), (2, 600))
        ),
        f"{folder}/online": "0-2\n",
        f"{folder}/node1/meminfo": node,
        f"{folder}/node2/meminfo": node.replace("Node 1", "Node 2"),
        **DEFAULT_POLICY,
    }
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes == 8 * GIB - 2 * GIB
    assert machine.memory_available_bytes == 3 * GIB - 2 * 1000 * 4096


# hwloc's recording of a POWER9 server (tests/hwloc/linux/nvidiagpunumanodes): 252 GiB of RAM in two nodes, six GPUs of 15 GiB in six more
POWER9 = {"0": 124, "8": 128} | {str(node): 15 for node in range(250, 256)}


POWER9_SLOTS = (
    "0035:05:00.0",
    "0035:04:00.0",
    "0007:00:00.0",
    "0006:00:00.0",
    "0004:06:00.0",
    "0004:05:00.0",
)


def power9() -> dict[str, str]:
    folder = "/sys/devices/system/node"
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": f"MemTotal: {342 * 2**20} kB\nMemFree: {330 * 2**20} kB\nMemAvailable: {330 * 2**20} kB\n",
        "/proc/self/status": "Mems_allowed_list:\t0,8,250-255\n",
        "/proc/zoneinfo": "Node 0, zone Normal\n        low      0\n",
        f"{folder}/online": "0,8,250-255\n",
        f"{folder}/has_memory": "0,8,250-255\n",
        f"{folder}/has_cpu": "0,8\n",
        **DEFAULT_POLICY,
    }
    for number, gib in POWER9.items():
        size = gib * 2**20
        lines = (
            f"MemTotal: {size} kB",
            f"MemFree: {size} kB",
            "Active(file): 0 kB",
            "Inactive(file): 0 kB",
            "SReclaimable: 0 kB",
        )
        files[f"{folder}/node{number}/meminfo"] = "".join(
            f"Node {number} {line}\n" for line in lines
        )
    for node, slot in zip(range(250, 256), POWER9_SLOTS, strict=True):
        files[f"/proc/driver/nvidia/gpus/{slot}/numa_status"] = (
            f"Node:      {node}\nStatus:    online\n"
        )
        files[f"/sys/bus/pci/devices/{slot}/vendor"] = "0x10de\n"
    return files


def test_memory_of_a_gpu_is_no_ram(build: Callable[..., RecordedHost]) -> None:
    """The kernel counts a coherent GPU's memory as its own (POWER9, Grace Hopper): 342 GiB are 252 GiB of RAM, as hwloc tells too."""
    machine = read_machine(build(power9(), machine="ppc64le"))
    assert (
        machine.memory_total_bytes
        == machine.memory_limit_bytes
        == machine.memory_available_bytes
        == 252 * GIB
    )
    assert "less 90.0 GiB" in machine.sources["memory_total_bytes"]
    # bound to the first socket and the GPUs
    bound = read_machine(
        build(
            power9() | {"/proc/self/status": "Mems_allowed_list:\t0,253-255\n"}, machine="ppc64le"
        )
    )
    assert (bound.memory_total_bytes, bound.memory_limit_bytes) == (252 * GIB, 124 * GIB)


def test_less_memory_than_that_of_the_gpus_is_no_memory() -> None:
    """A /proc/meminfo that states less than is on the GPU whose memory is a node: unread, and no fault. So is one that was cut off."""
    folder = MACHINES / "synthetic-linux-grace-hopper" / "root"
    meminfo = folder / "proc" / "meminfo"
    cut = read_machine(Altered(str(folder), {str(meminfo): meminfo.read_bytes()[:18]}))
    lawful(cut)
    assert cut.memory_total_bytes is None
    machine = read_machine(Altered(str(folder), {str(meminfo): b"MemTotal:        1024 kB\n"}))
    lawful(machine)
    assert machine.memory_total_bytes is None
    assert "GPU" in machine.why_unread("memory_total_bytes").reason


@pytest.mark.parametrize(
    "gone",
    [f"/proc/driver/nvidia/gpus/{POWER9_SLOTS[2]}/numa_status", "/sys/devices/system/node/has_cpu"],
)
def test_memory_that_may_be_a_gpus_is_unread(build: Callable[..., RecordedHost], gone: str) -> None:
    """A container that was handed some of the GPUs: the memory nodes of the others are not told from RAM."""
    files = {path: text for path, text in power9().items() if path != gone}
    machine = read_machine(build(files, machine="aarch64"))
    lawful(machine)
    assert (
        machine.memory_total_bytes
        is machine.memory_limit_bytes
        is machine.memory_available_bytes
        is None
    )
    assert "GPU's" in machine.why_unread("memory_total_bytes").reason
    # a PC's card is never a memory node: what has no CPUs there is memory all the same (CXL)
    assert (
        read_machine(
            build({path: text for path, text in files.items() if "nvidia" not in path})
        ).memory_total_bytes
        == 342 * GIB
    )


@pytest.mark.parametrize(
    ("mode", "available"), [("0", 12), ("1", 12), ("2", 3), (None, None), ("3", None)]
)
def test_what_the_kernel_still_promises(
    build: Callable[..., RecordedHost], mode: str | None, available: int | None
) -> None:
    """Overcommit mode 2 refuses what is above CommitLimit, whatever is free.

    Files that are mapped to be read are charged nothing (docs.kernel.org/mm/overcommit-accounting.html), so the limit on memory stays
    what it is; private memory can never be more, whatever else is closed.
    """
    files = version_2({"cgroup.controllers": "cpu\n"})
    files["/proc/meminfo"] = MEMINFO + "CommitLimit: 8388608 kB\nCommitted_AS: 5242880 kB\n"
    if mode is not None:
        files["/proc/sys/vm/overcommit_memory"] = mode + "\n"
    machine = read_machine(build(files))
    lawful(machine)
    assert machine.memory_limit_bytes == 16 * GIB
    assert machine.memory_available_bytes == (available * GIB if available is not None else None)
    assert machine.private_memory_bytes == (8 * GIB if mode == "2" else None)
    if mode == "2":
        # of two limits the lower one counts
        limits = "Max data size 2147483648 unlimited bytes\nMax address space unlimited unlimited bytes\n"
        both = read_machine(
            build(files | {"/proc/self/limits": limits, "/proc/self/status": "VmData:\t 0 kB\n"})
        )
        assert both.private_memory_bytes == 2 * GIB
        assert "ulimit -d" in both.sources["private_memory_bytes"]
    # more is promised than the limit allows: this cannot be mode 2
    loose = files | {
        "/proc/meminfo": MEMINFO + "CommitLimit: 8388608 kB\nCommitted_AS: 9242880 kB\n"
    }
    assert mode == "2" or read_machine(build(loose)).memory_available_bytes == 12 * GIB


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


def test_whose_memory_it_is(build: Callable[..., RecordedHost]) -> None:
    """Where the total is a virtual machine's share, or a pod's limit is missing, the source says so (microsoft/WSL#9636)."""
    files = version_2({"cgroup.controllers": "cpu\n"})
    assert (
        ".wslconfig"
        in read_machine(build(files, release="6.6.87.2-microsoft-standard-WSL2")).sources[
            "memory_total_bytes"
        ]
    )
    assert (
        "Docker Desktop"
        in read_machine(build(files, release="6.10.14-linuxkit")).sources["memory_total_bytes"]
    )
    pod = read_machine(build(files, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}))
    assert "the node's memory is shared" in pod.sources["memory_limit_bytes"]


# cjbassi/ytop#106; the two constants stand in polybar/polybar#405 too
WSL1 = (
    "MemTotal: 16112436 kB\nMemFree: 7029116 kB\nBuffers: 34032 kB\nCached: 188576 kB\n"
    "Active(file): 64452 kB\nInactive(file): 140436 kB\nSwapTotal: 13107196 kB\n"
    "SwapFree: 12628476 kB\nShmem: 17720 kB\nSReclaimable: 6744 kB\n"
)


def test_wsl_1_shows_windows_own_memory(build: Callable[..., RecordedHost]) -> None:
    """It is no virtual machine, has no control groups that limit, and hands on no GPU; WSL 2's
    .wslconfig is nothing to it."""
    files = {**NO_LIMITS, "/proc/meminfo": WSL1, "/proc/self/mountinfo": ROOT_MOUNT}
    files["/proc/self/status"] = "VmSize:\t 20480 kB\nVmData:\t 4096 kB\n"
    machine = read_machine(build(files, release="4.4.0-19041-Microsoft"))
    lawful(machine)
    assert machine.scope is None
    assert "WSL 1" in machine.why_unread("scope").reason
    assert machine.memory_limit_bytes == machine.memory_total_bytes == 16112436 << 10
    assert machine.memory_available_bytes == 7029116 << 10
    assert ".wslconfig" not in machine.sources["memory_total_bytes"]
    assert machine.accelerators == ()


def test_lxcfs(build: Callable[..., RecordedHost]) -> None:
    """lxcfs' MemAvailable is MemFree in old versions (lxc/lxcfs#120): free and cached memory less what is shared counts."""
    mount = CGROUP2_MOUNT + "40 22 0:50 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"
    text = "MemTotal: 262144 kB\nMemFree: 173640 kB\nMemAvailable: 173640 kB\nCached: 58916 kB\nShmem: 8876 kB\n"
    files = version_2({"cgroup.controllers": "cpu\n"}, mount=mount) | {"/proc/meminfo": text}
    machine = read_machine(build(files))
    assert machine.memory_available_bytes == (173640 + 58916 - 8876) * 1024
    assert machine.scope == "container"


def test_zfs_gives_its_cache_back(build: Callable[..., RecordedHost]) -> None:
    """The cache above its least size is free memory that /proc/meminfo does not count (openzfs/zfs#10255)."""
    stats = "13 1 0x01 147 39984 1 2\nname      type data\nsize      4    2147483648\nc_min     4    1073741824\n"
    files = version_2({"cgroup.controllers": "cpu\n"}) | {"/proc/spl/kstat/zfs/arcstats": stats}
    assert read_machine(build(files)).memory_available_bytes == 13 * GIB


def test_old_kernels(build: Callable[..., RecordedHost]) -> None:
    """Before 3.14 MemAvailable is worked out, or unread where that is not possible; free memory alone is never taken for it."""
    text = MEMINFO.replace(
        "MemAvailable: 12582912 kB\n",
        "Active(file): 1048576 kB\nInactive(file): 1048576 kB\nSReclaimable: 0 kB\n",
    )
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": text,
        "/proc/zoneinfo": "Node 0, zone Normal\n        low      1000\n",
    }
    low = 1000 * 4096
    assert read_machine(build(files)).memory_available_bytes == GIB - low + 2 * GIB - low
    del files["/proc/zoneinfo"]
    assert read_machine(build(files)).memory_available_bytes is None


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


@pytest.mark.parametrize(
    ("gone", "known"), [(None, True), ("memory.swap.max", False), ("memory.swap.current", False)]
)
def test_swap_in_a_group(build: Callable[..., RecordedHost], gone: str | None, known: bool) -> None:
    """What the group allows less what it takes; one file without the other is a limit that cannot be read."""
    text = MEMINFO.replace(
        "SwapTotal: 0 kB\nSwapFree: 0 kB", "SwapTotal: 2097152 kB\nSwapFree: 2097152 kB"
    )
    swap = {"memory.swap.max": "1073741824\n", "memory.swap.current": "4096\n"}
    files = version_2(FULL | {name: text for name, text in swap.items() if name != gone}) | {
        "/proc/meminfo": text
    }
    files["/proc/swaps"] = "Filename Type Size Used Priority\n/dev/sda2 partition 2097152 0 -2\n"
    assert read_machine(build(files)).swap_free_bytes == (GIB - 4096 if known else None)


@pytest.mark.parametrize(
    ("jailed", "counts", "limit", "available"),
    [
        ("0", "0", 16 * GIB, 12 * GIB),
        ("1", "0", 16 * GIB, 12 * GIB),
        ("0", "1", None, 12 * GIB),
        ("1", "1", None, None),
        ("1", None, None, None),
    ],
)
def test_a_jail_of_freebsd(
    build: Callable[..., RecordedHost],
    jailed: str,
    counts: str | None,
    limit: int | None,
    available: int | None,
) -> None:
    """A jail sees the host's memory. rctl limits it only where kern.racct.enable is 1, which is not the default (rctl(8))."""
    host = build({}, system="freebsd14", machine="amd64", memory={"total": 16 * GIB, "available": 12 * GIB})  # fmt: skip
    lines = [f"security.jail.jailed: {jailed}"]
    lines += [f"kern.racct.enable: {counts}"] if counts is not None else []
    Path(host.folder, "sysctl.txt").write_text("\n".join(lines), encoding="utf-8")
    machine = read_machine(RecordedHost(host.folder))
    assert (machine.memory_limit_bytes, machine.memory_available_bytes) == (limit, available)
