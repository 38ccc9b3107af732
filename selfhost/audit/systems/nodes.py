"""Nodes of a cluster: those of Kubernetes, with labels of Node Feature Discovery and of NVIDIA's
GPU discovery, and those of Slurm's `scontrol show node`, as text or as JSON.

Of Kubernetes `status.capacity` is the machine's, `status.allocatable` what all pods together may
have (https://kubernetes.io/docs/reference/node/node-status/): a budget, not what is free. Of Slurm
memory is MiB, as the site configured it (slurm.conf(5), RealMemory). FreeMem is what Linux calls
MemFree, without the page cache, so it is never what is available: what Slurm has not given to jobs
is RealMemory less AllocMem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...core import units
from ...core.json_text import Entry
from ...machine.record import MAX_MEMORY_BYTES
from .facts import (
    MAX_CARDS,
    Answers,
    Facts,
    Kind,
    entry,
    labels,
    machine_name,
    named_by_word,
    number_of,
    out_of_service,
    plain,
    product,
    put_accelerators,
    rows_of,
    table_of,
    whole,
)

Labels = Mapping[str, Any]

_HOST, _ARCH = "kubernetes.io/hostname", "kubernetes.io/arch"
_DISCOVERY = "install Node Feature Discovery, which labels nodes with the processor's features"
_GPU_DISCOVERY = "install the maker's GPU discovery, which labels nodes with their GPUs"
_IN_A_POD = "run `selfhost machine --format json` in a pod on the node"


class KubernetesAnswers(Answers):
    """Nodes of a list, one alone, or the labels of one."""

    system = "kubernetes"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        items, kind = document.get("items"), document.get("kind")
        if isinstance(items, list) and (
            any(map(_is_node, items)) or (kind in ("List", "NodeList") and not items)
        ):
            # dynamic resource allocation: devices that no label tells of
            slices = [item for item in items if entry(item, "kind") == "ResourceSlice"]
            sliced = {plain(entry(item, "spec", "nodeName"), 253) for item in slices} - {None}
            entries = [self._item(item, f"items[{i}]", sliced) for i, item in enumerate(items)]
            return [each for each in entries if each is not None]
        if _is_node(document):
            return [_node(document)]
        if any(isinstance(document.get(key), str) for key in (_HOST, _ARCH)):
            return [_node({"metadata": {"labels": document, "name": document.get(_HOST)}})]
        return None

    def _item(self, item: Any, place: str, sliced: set[str | None]) -> Entry | None:
        if _is_node(item):
            return _node(
                item, place, is_sliced=plain(entry(item, "metadata", "name"), 253) in sliced
            )
        return None if isinstance(entry(item, "kind"), str) else self.broken(item, place)


def _is_node(item: Any) -> bool:
    kind = entry(item, "kind")
    return kind == "Node" or (kind is None and entry(item, "status", "capacity") is not None)


def _node(node: Mapping[str, Any], place: str | None = None, *, is_sliced: bool = False) -> Entry:
    all_labels = entry(node, "metadata", "labels")
    all_labels = all_labels if isinstance(all_labels, Mapping) else {}
    name = machine_name(entry(node, "metadata", "name"), all_labels.get(_HOST))
    if _ready(node, "status") not in (None, "True"):
        return out_of_service(name, "Kubernetes calls it NotReady", place)
    machine = Facts("kubernetes")
    own = {key: all_labels.get(f"kubernetes.io/{key}") for key in ("arch", "os")}
    ready = {"lastHeartbeatTime": _ready(node, "lastHeartbeatTime")}
    machine.read_rows({**node, "label kubernetes.io": own, "condition Ready": ready})
    types = (all_labels.get(key) for key in machine.table["type_labels"])
    machine.put_cloud_type(next(filter(None, types), None))
    _put_features(machine, all_labels)
    if is_sliced:
        reason = "the node's devices are in ResourceSlices, which are not read"
        machine.lacks("accelerators", reason, _IN_A_POD)
    else:
        _put_accelerators(machine, all_labels, entry(node, "status"))
    return Entry(machine.record(name, _kept_labels(node, all_labels)), place=place)


_FEATURE = "feature.node.kubernetes.io/cpu-cpuid."


def _put_features(machine: Facts, all_labels: Labels) -> None:
    names = [
        key.removeprefix(_FEATURE)
        for key, value in all_labels.items()
        if key.startswith(_FEATURE) and value == "true"
    ]
    if names:
        sets = machine.table["sets"]
        machine.put_instruction_sets(
            [sets.get(name, name.lower()) for name in names if len(name) <= 60],
            "labels of Node Feature Discovery, cpu-cpuid",
            machine.table["hidden_sets"],
            "Node Feature Discovery does not label it by default",
            "take it off attributeBlacklist in the configuration of nfd-worker",
        )
    machine.lacks("instruction_sets", "no label of Node Feature Discovery is there", _DISCOVERY)


# ------------------------------------------------------------------ GPUs

# a figure from here on is of bytes, below it of MiB: older releases of GPU feature discovery
_LEAST_BYTES = 10_000_000
_MIG = re.compile(r"nvidia\.com/(mig-[0-9a-z.+-]{1,40})\.count", re.ASCII)
# NVIDIA's and AMD's devices on the PCI bus
_PCI = re.compile(r"feature\.node\.kubernetes\.io/pci-(?:03[0-9a-f]{2}_)?(10de|1002)\.present")
_RESOURCES = ("nvidia.com/", "amd.com/", "gpu.intel.com/")
_NONE_OFFERED = (
    "the node has GPUs, and offers none of them to pods: they are unhealthy, or their device"
    " plugin does not run",
    "see `kubectl describe node NAME` and the log of the device plugin",
)


def _put_accelerators(machine: Facts, all_labels: Labels, status: Any) -> None:
    """Cards by NVIDIA's labels and resource; none where the node has no resource of a GPU and no
    PCI device that could be one. Only those that pods may get count.
    """
    labelled = _nvidia(all_labels, status)
    offered = [kind.replace(number=_offered(kind.number, name, status)) for name, kind in labelled]
    kinds = [kind for kind in offered if kind.number]
    missing = sum(kind.number for _, kind in labelled) - sum(kind.number for kind in kinds)
    capacity = entry(status, "capacity")
    if kinds:
        without = f"; without {missing} that pods cannot get" if missing else ""
        source = f"labels and resources of the node{without}"
        put_accelerators(machine, kinds, source, _GPU_DISCOVERY)
    elif missing:
        machine.lacks("accelerators", *_NONE_OFFERED)
    elif any(map(_PCI.fullmatch, all_labels)):
        reason = "a label names a PCI device of NVIDIA or AMD, but the node offers no GPU"
        machine.lacks("accelerators", reason, _GPU_DISCOVERY)
    elif isinstance(capacity, Mapping) and not any(
        str(key).startswith(_RESOURCES) for key in capacity
    ):
        source = "node, status.capacity: no resource of a GPU, so pods get none"
        machine.put("accelerators", [], source)


def _offered(number: int, resource: str, status: Any) -> int:
    """Of so many cards those that pods may get: a device that is unhealthy stays in the capacity
    and leaves what is allocatable; where no plugin offers devices both are 0
    (https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/).
    """
    devices = entry(status, "capacity", resource)
    healthy = entry(status, "allocatable", resource)
    if devices is None or healthy is None:
        return number
    # shares of a card are devices of their own
    return number * min(number_of(healthy), number_of(devices)) // (number_of(devices) or 1)


def _nvidia(all_labels: Labels, status: Any) -> list[tuple[str, Kind]]:
    """The resource that pods ask for, and its cards, by GPU feature discovery's labels
    (https://github.com/NVIDIA/k8s-device-plugin, docs/gpu-feature-discovery): `gpu.count` are
    cards, or instances where the only strategy is MIG; the resource counts each share of a shared
    card.
    """
    own = {key.removeprefix("nvidia.com/"): value for key, value in all_labels.items()}
    replicas = number_of(own.get("gpu.replicas")) or 1
    offered = number_of(entry(status, "capacity", "nvidia.com/gpu")) // replicas
    parts = [match[1] for key in all_labels if (match := _MIG.fullmatch(key))]
    is_stated = isinstance(entry(status, "capacity"), Mapping)
    # beside instances divided cards are counted, too; what the node offers is whole
    number = offered if parts and is_stated else number_of(own.get("gpu.count")) or offered
    card = _kind(own, "gpu", "NVIDIA-GPU", number)
    if card.memory_total_bytes is not None and own.get("gpu.sharing-strategy") == "mps":
        card = card.replace(memory_total_bytes=card.memory_total_bytes // replicas)
    kinds = [("nvidia.com/gpu", card)] if number else []
    for part in parts[:MAX_CARDS]:
        each = _kind(own, part, f"NVIDIA-GPU-MIG-{part[4:]}", number_of(own.get(f"{part}.count")))
        kinds.append((f"nvidia.com/{part}", each.replace(is_part=True)))
    return kinds


def _kind(own: Labels, prefix: str, name: str, number: int) -> Kind:
    """By the labels with that prefix; the name is that where none is stated."""
    name = plain(own.get(f"{prefix}.product"), 120) or name
    size = whole(own.get(f"{prefix}.memory"))
    unit = 1 if (size or 0) >= _LEAST_BYTES else units.MIB
    return Kind(
        vendor="nvidia",
        name=name.removesuffix("-SHARED"),
        number=number,
        memory_total_bytes=whole(size, unit, least=1, most=MAX_MEMORY_BYTES),
        driver=plain(own.get("cuda.driver-version.full"), 60),
        is_part="-MIG-" in name,
    )


# ------------------------------------------------------------------ labels that are kept

_ROLE = "node-role.kubernetes.io/"
# of taints that Kubernetes itself sets, for a node's conditions and for cordoning
# (https://kubernetes.io/docs/reference/labels-annotations-taints/)
_CONDITION = "node.kubernetes.io/"


def _kept_labels(node: Mapping[str, Any], all_labels: Labels) -> dict[str, str]:
    """Those that make classes of machines; none of the others, which anybody may write."""
    table = table_of("kubernetes")
    # key and effect of what keeps pods away
    taints = [
        (key, effect)
        for taint in rows_of(node, "spec", "taints")
        if (key := plain(taint.get("key"), 120))
        and (effect := taint.get("effect")) in ("NoSchedule", "NoExecute")
    ]
    own = [key.removeprefix(_CONDITION) for key, _ in taints if key.startswith(_CONDITION)]
    states = ["cordoned"] if entry(node, "spec", "unschedulable") is True else []
    states += [state for state in own if state != "unschedulable"]
    if not states and _ready(node, "status") is not None:
        states = ["ready"]
    roles = (key.removeprefix(_ROLE) for key in all_labels if key.startswith(_ROLE))
    kept = {key: all_labels.get(label) for key, label in table["kept_labels"].items()} | {
        "pool": next((all_labels[key] for key in table["pool_labels"] if key in all_labels), None),
        "role": sorted(filter(None, roles)),
        "state": states,
        "taints": [f"{key}:{eff}" for key, eff in taints if not key.startswith(_CONDITION)],
    }
    return labels("kubernetes", kept)


def _ready(node: Mapping[str, Any], key: str) -> str | None:
    """Of the condition Ready its `status`, which is `Unknown` of a node that no longer answers, or
    its `lastHeartbeatTime`; None where none is stated.
    """
    conditions = rows_of(node, "status", "conditions")
    return next((plain(row.get(key), 64) for row in conditions if row.get("type") == "Ready"), None)


# ------------------------------------------------------------------ Slurm

_GPU = re.compile(r"gpu(?::([A-Za-z0-9_.+-]{1,60}))?:(\d{1,4})(?:\([^)]*\))?", re.ASCII)
# of slurm.h; a cloud node that is powered down starts when it is asked for. UNKNOWN: the controller
# has just started and has not heard of the node (sinfo(1), "NODE STATE CODES")
_DOWN = frozenset(("DOWN", "ERROR", "FAIL", "NOT_RESPONDING", "UNKNOWN"))


class SlurmAnswers(Answers):
    """Nodes. The groups of nodes that `sinfo --json` gives since 23.02 are faults."""

    system = "slurm"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        meta = document.get("meta")
        is_named = entry(meta, "Slurm") is not None or entry(meta, "slurm") is not None
        for key in ("nodes", "sinfo"):
            items = document.get(key)
            items = items if isinstance(items, list) else []
            are_nodes = [entry(item, "real_memory") is not None for item in items]
            if any(are_nodes) or (items and is_named):
                return [
                    _slurm_node(item, f"{key}[{number}]")
                    if is_node
                    else self.broken(item, f"{key}[{number}]")
                    for number, (item, is_node) in enumerate(zip(items, are_nodes, strict=True))
                ]
        return [] if is_named else None


def _slurm_node(fields: Mapping[str, Any], place: str) -> Entry:
    """The record; the fault of a node that is down or does not respond."""
    # since 23.02 a number may be `{"set": true, "infinite": false, "number": 1}`
    node = {key: _number(value) for key, value in fields.items()}
    name, state = machine_name(node.get("name")), node.get("state")
    stated = [plain(each) for each in (state[:32] if isinstance(state, list) else [state])]
    states = [word for each in filter(None, stated) for word in each.upper().split("+")]
    words = {*states}
    if _DOWN & words:
        why = f"Slurm calls it {'+'.join(sorted(words))}"
        return out_of_service(name, why, place)
    machine = Facts("slurm")
    system = (plain(node.get("operating_system")) or "").partition(" ")[0]
    machine.read_rows(node | {"operating_system": system or None})
    _put_memory(machine, node)
    cores = product(node.get("sockets"), node.get("cores"))
    machine.put("cpu_cores_physical", cores, "slurm, sockets times cores, which are one socket's")
    _put_gres(machine, node.get("gres"))
    host, features = machine_name(node.get("hostname")), node.get("features")
    kept = {
        "partitions": node.get("partitions"),
        # of several nodes that one host runs (front ends, tests)
        "host": None if host == name else host,
        "features": None if features in ("(null)", "") else features,
        "state": [word.lower() for word in states],
    }
    return Entry(machine.record(name, labels("slurm", kept)), place=place)


def _number(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    is_known = value.get("set") is True and value.get("infinite") is not True
    return value.get("number") if is_known else None


def _put_memory(machine: Facts, node: Mapping[str, Any]) -> None:
    total = machine.values.get("memory_total_bytes")
    kept = whole(node.get("specialized_memory") or 0, units.MIB)
    if total is None or kept is None:
        return
    less = " less specialized_memory" if kept else ""
    budget, fact = max(total - kept, 0), "memory_available_bytes"
    machine.put("memory_limit_bytes", budget, f"slurm, real_memory{less}: a budget of all jobs")
    allocated = whole(node.get("alloc_memory"), units.MIB)
    if allocated is None:
        machine.lacks(fact, "the answer does not say what jobs have")
    elif allocated == 0 and whole(node.get("alloc_cpus")) != 0:
        machine.lacks(
            fact,
            "jobs have processors and no memory of this node: the site does not count memory"
            " (SelectTypeParameters without Memory)",
        )
    else:
        source = (
            "slurm, real_memory less alloc_memory: a budget, what no job has. free_mem is not used,"
            " for it counts the page cache as used"
        )
        machine.put(fact, max(budget - allocated, 0), source)


def _put_gres(machine: Facts, gres: Any) -> None:
    """`gpu:a100:4(S:0-1)`: a site's own word and a count, without memory."""
    text = gres.strip()[:4000] if isinstance(gres, str) else None
    kinds = [named_by_word(word, number_of(number)) for word, number in _GPU.findall(text or "")]
    if kinds:
        put_accelerators(machine, kinds, "slurm, gres: a count and the site's word")
    elif text in ("", "(null)", "N/A"):
        put_accelerators(machine, [], "slurm, gres is empty: jobs get no GPU")
