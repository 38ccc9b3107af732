"""Memory nodes (NUMA): which of them this process may use, and which are a GPU's own memory."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import Record, pattern
from ..record import normal_architecture
from .host import PCI, Host
from .nvidia_files import GPUS
from .procfs import STATUS, parse_list, parse_meminfo, parse_status

NODES = "/sys/devices/system/node"
NUMA_MAPS = "/proc/self/numa_maps"
# its first line is some 120 bytes, and each further one costs the kernel a walk over pages
_FIRST_LINE_BYTES = 4096
# `55b2ae438000 bind=static:0-1 file=/usr/bin/python3 …`: where the mapping lies, and the policy
# that holds there
POLICY = pattern(
    r"[0-9a-f]+ (?P<text>(?P<mode>[a-z]+|prefer \(many\)|weighted"
    r" interleave)(?:=[a-z|]+)?(?::(?P<nodes>[0-9,-]+))?)(?=\s)"
)


def parse_bound_nodes(text: str) -> frozenset[int] | None:
    """The nodes that the policy in the first line of /proc/self/numa_maps confines memory to; None
    where it confines to none.

    The first mapping is the program itself, to which nobody gives a policy of its own, so that its
    line shows the process's (mpol_to_str in the kernel's mm/mempolicy.c). Only `bind` is strict:
    the others name nodes they begin with. `ValueError` for another shape.
    """
    policy = POLICY.match(text)
    if policy is None:
        raise ValueError(f"{NUMA_MAPS} does not begin with a memory policy")
    if policy["mode"] != "bind":
        return None
    nodes = parse_list(policy["nodes"] or "")
    if nodes is None:
        raise ValueError(f"{NUMA_MAPS} does not say which nodes memory is bound to")
    return nodes


class Nodes(Record):
    """The memory nodes whose memory this process may use, and what node*/meminfo says of all of
    them together.

    `bound`: it may not use all RAM there is.
    """

    info: Mapping[str, int]
    numbers: frozenset[int]
    bound: bool


def _online(host: Host) -> frozenset[int]:
    listed = parse_list(host.read_text(f"{NODES}/online") or "") or frozenset()
    return listed | {int(name[4:]) for name in host.listdir(NODES, _is_node) or ()}


def _is_node(name: str) -> bool:
    return name.startswith("node") and name[4:].isdecimal() and len(name) <= len("node12345")


def node_memory(host: Host, node: int) -> Mapping[str, int]:
    """A node's meminfo in bytes. `ValueError` where it cannot be read."""
    path = f"{NODES}/node{node}/meminfo"
    meminfo = parse_meminfo((host.read_text(path) or "").replace(f"Node {node} ", ""))
    if "MemTotal" not in meminfo:
        raise ValueError(f"the memory of some memory nodes counts apart, and {host.why(path)}")
    return meminfo


def parse_numa_status(text: str) -> int | None:
    """The memory node in /proc/driver/nvidia/gpus/*/numa_status; None where the GPU's memory is
    none (nv-procfs.c of NVIDIA's driver).
    """
    import re

    match = re.search(r"^Node:\s*(\d{1,5})$", text, re.MULTILINE)
    return int(match[1]) if match else None


def gpu_nodes(host: Host) -> frozenset[int]:
    """Memory nodes that are a GPU's own: the kernel counts them in MemTotal (Grace Hopper, Grace
    Blackwell, POWER9).

    NVIDIA's driver names them; open-mpi/hwloc asks it the same way. `ValueError` where a node may
    be a GPU's and nothing states it.
    """
    online = _online(host)
    if len(online) < 2:
        return frozenset()
    named = _named_by_driver(host)
    # memory of a card on any other bus is never a node
    if normal_architecture(host.machine() or "") in ("aarch64", "ppc64le") and _has_nvidia(host):
        _refuse_bare_nodes(host, named)
    return online & named


def _named_by_driver(host: Host) -> frozenset[int]:
    """The nodes that NVIDIA's driver says are a GPU's. `ValueError` where it cannot be read."""
    named = set()
    for slot in host.listdir(GPUS) or ():
        path = f"{GPUS}/{slot}/numa_status"
        text = host.read_text(path)
        node = parse_numa_status(text or "")
        if node is not None:
            named.add(node)
        elif text is None and not host.missing(path):
            raise ValueError(f"which memory nodes are a GPU's is not known: {host.why(path)}")
    return frozenset(named)


def _refuse_bare_nodes(host: Host, named: frozenset[int]) -> None:
    """`ValueError` where a node outside `named` has memory and no CPUs: it may be a GPU's."""
    with_memory, with_cpus = f"{NODES}/has_memory", f"{NODES}/has_cpu"
    memory, cpus = (parse_list(host.read_text(path) or "") for path in (with_memory, with_cpus))
    if memory is None or cpus is None:
        raise ValueError(
            "which memory nodes are a GPU's is not known:"
            f" {host.why(with_memory if memory is None else with_cpus)}"
        )
    if bare := memory - cpus - named:
        raise ValueError(
            f"memory node {min(bare)} has no CPUs, and NVIDIA's driver does not tell here whether"
            " it is a GPU's own memory"
        )


def _has_nvidia(host: Host) -> bool:
    return host.exists(GPUS) or any(
        host.read_text(f"{PCI}/{slot}/vendor", 256) == "0x10de\n"
        for slot in host.listdir(PCI) or ()
    )


def usable_nodes(host: Host) -> Nodes | None:
    """The nodes that count for this process; None where all memory does. `ValueError` where
    that is not known.
    """
    online = _online(host)
    if len(online) < 2:
        return None
    allowed = parse_list(parse_status(host.read_text(STATUS) or "").get("Mems_allowed_list", ""))
    if allowed is None:
        raise ValueError(
            f"there are {len(online)} memory nodes, and which of them this process may use is not"
            " known"
        )
    policy = host.read_text(NUMA_MAPS, _FIRST_LINE_BYTES)
    if policy is None:
        raise ValueError(
            f"there are {len(online)} memory nodes, and the policy that chooses among them is not"
            f" known: {host.why(NUMA_MAPS)}"
        )
    bound = parse_bound_nodes(policy)
    if bound is not None:
        allowed &= bound
    ram = online - gpu_nodes(host)
    if online <= allowed and ram == online:
        return None
    every = [node_memory(host, node) for node in sorted(ram & allowed)]
    # what one of them does not state is not known of all
    names = set.intersection(*(set(meminfo) for meminfo in every)) if every else {"MemTotal"}
    meminfo = {name: sum(meminfo[name] for meminfo in every) for name in names}
    return Nodes(info=meminfo, numbers=ram & allowed, bound=not ram <= allowed)
