"""Kubernetes: nodes, with the labels of Node Feature Discovery and of makers' GPU discovery, and
the ResourceSlices of dynamic resource allocation.

`status.capacity` is the machine's, `status.allocatable` what all pods together may have
(https://kubernetes.io/docs/reference/node/node-status/): a budget, not what is free.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...core import units
from ...machine import gpus
from ._accelerators import MAX_CARDS, Kind, by_word, number_of, put_accelerators
from ._facts import (
    Facts,
    entry,
    labels,
    machine_name,
    memory,
    plain,
    quantity,
    rows_of,
    table_of,
    whole,
)
from ._system import Answers, Entry, not_judged

Labels = Mapping[str, Any]

_HOST, _ARCH = "kubernetes.io/hostname", "kubernetes.io/arch"
_KINDS = ("List", "NodeList", "ResourceSliceList")
_DISCOVERY = "install Node Feature Discovery, which labels nodes with the processor's features"
_GPU_DISCOVERY = (
    "install the maker's GPU discovery, or read dynamic resource allocation too:"
    " `kubectl get nodes,resourceslices -o json`"
)


class KubernetesAnswers(Answers):
    """Nodes and ResourceSlices of all answers, joined by the node's name."""

    system = "kubernetes"

    def __init__(self) -> None:
        super().__init__()
        # file, place, name, labels and facts of each node
        self._nodes: list[tuple[str, str | None, str | None, dict[str, str], Facts]] = []
        # generation and devices of each pool of a driver, by its node
        self._pools: dict[tuple[str, str, str], tuple[int, list[Kind]]] = {}

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        items, kind = document.get("items"), document.get("kind")
        if isinstance(items, list) and (
            any(map(_is_machine, items)) or (kind in _KINDS and not items)
        ):
            entries = [self._item(item, f"items[{i}]", file) for i, item in enumerate(items)]
        elif _is_machine(document):
            entries = [self._item(document, None, file)]
        elif any(isinstance(document.get(key), str) for key in (_HOST, _ARCH)):
            # the labels alone
            node = {"metadata": {"labels": document, "name": document.get(_HOST)}}
            entries = [self._node(node, None, file)]
        else:
            return None
        return [machine for machine in entries if machine is not None]

    def rest(self) -> Iterator[tuple[str, Entry]]:
        devices: dict[str | None, list[Kind]] = {}
        for (node, _, _), (_, kinds) in self._pools.items():
            if kinds:
                devices.setdefault(node, []).extend(kinds)
        nodes, self._nodes = self._nodes, []
        for file, place, name, kept, machine in nodes:
            if name in devices:
                put_accelerators(
                    machine,
                    devices[name],
                    "ResourceSlice, capacity.memory of each device",
                    "read claims of pods on the node: a slice tells what there is, not what is in"
                    " use",
                )
            yield file, Entry(machine.record(name, kept), place=place)

    def _item(self, item: Any, place: str | None, file: str) -> Entry | None:
        """Keep a node or the devices of a slice; the fault of a broken item."""
        if entry(item, "kind") == "ResourceSlice":
            self.files.add(file)
            self._add_slice(item)
        elif _is_machine(item):
            return self._node(item, place, file)
        elif not isinstance(entry(item, "kind"), str):
            # a List may hold other kinds, which tell of no machine
            return self.broken(item, place or "")
        return None

    def _node(self, node: Mapping[str, Any], place: str | None, file: str) -> Entry | None:
        all_labels = entry(node, "metadata", "labels")
        all_labels = all_labels if isinstance(all_labels, Mapping) else {}
        name = machine_name(entry(node, "metadata", "name"), all_labels.get(_HOST))
        if _ready(node, "status") not in (None, "True"):
            return not_judged(name, "Kubernetes calls it NotReady", place=place)
        self.files.add(file)
        kept = _kept_labels(node, all_labels)
        self._nodes.append((file, place, name, kept, _machine_of(node, all_labels)))
        return None

    def _add_slice(self, resource_slice: Mapping[str, Any]) -> None:
        """Keep the devices of the pool's newest generation: a driver that changes a pool counts up
        (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/resource-slice-v1/).
        """
        spec = resource_slice.get("spec")
        node, driver = plain(entry(spec, "nodeName"), 253), plain(entry(spec, "driver"), 253)
        if node is None or driver is None:
            return
        key = (node, driver, plain(entry(spec, "pool", "name"), 253) or "")
        generation = whole(entry(spec, "pool", "generation")) or 0
        before, others = self._pools.get(key, (generation, []))
        if generation >= before:
            others = others if generation == before else []
            self._pools[key] = generation, [*others, *_kinds_of(driver, spec)][:MAX_CARDS]


READER = KubernetesAnswers


def _is_machine(item: Any) -> bool:
    kind = entry(item, "kind")
    has_capacity = entry(item, "status", "capacity") is not None
    return kind in ("Node", "ResourceSlice") or (kind is None and has_capacity)


# ------------------------------------------------------------------ a node


def _machine_of(node: Mapping[str, Any], all_labels: Labels) -> Facts:
    """What a node states of itself, its accelerators as labels and resources tell them."""
    machine = Facts("kubernetes")
    own = {key: all_labels.get(f"kubernetes.io/{key}") for key in ("arch", "os")}
    ready = {"lastHeartbeatTime": _ready(node, "lastHeartbeatTime")}
    machine.read_rows({**node, "label kubernetes.io": own, "condition Ready": ready})
    _put_features(machine, all_labels)
    _put_labelled_accelerators(machine, all_labels, entry(node, "status"))
    machine.lack_rows()
    return machine


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


# ------------------------------------------------------------------ GPUs by labels

# a figure from here on is of bytes, below it of MiB: older releases of GPU feature discovery
_LEAST_BYTES = 10_000_000
_MIG = re.compile(r"nvidia\.com/(mig-[0-9a-z.+-]{1,40})\.count", re.ASCII)
# of PCI's makers, those whose presence means an accelerator
_PCI = re.compile(r"feature\.node\.kubernetes\.io/pci-(?:03[0-9a-f]{2}_)?(10de|1002)\.present")
_PCI_MAKERS = {"10de": "NVIDIA", "1002": "AMD"}
_RESOURCES = ("nvidia.com/", "amd.com/", "gpu.intel.com/")


def _put_labelled_accelerators(machine: Facts, all_labels: Labels, status: Any) -> None:
    """Cards by labels; by the node's resources alone where there are none; none where it has no
    such resource and no PCI device that could be one. Only those that pods may get count.
    """
    labelled = [*_nvidia(all_labels, status), *_of_other_makers(all_labels, status)]
    kinds = [
        kind.replace(number=number)
        for resource, kind in labelled
        if (number := _allocatable(kind.number, resource, status))
    ]
    missing = sum(kind.number for _, kind in labelled) - sum(kind.number for kind in kinds)
    capacity = entry(status, "capacity")
    seen = {match[1] for key in all_labels if (match := _PCI.fullmatch(key))}
    if kinds:
        without = f"; without {missing} that pods cannot get" if missing else ""
        source = f"labels and resources of the node{_sharing(all_labels)}{without}"
        put_accelerators(machine, kinds, source, _GPU_DISCOVERY)
    elif missing:
        machine.lacks(
            "accelerators",
            "the node has GPUs, and offers none of them to pods: they are unhealthy, or their"
            " device plugin does not run",
            "see `kubectl describe node NAME` and the log of the device plugin",
        )
    elif seen:
        makers = " and ".join(sorted(_PCI_MAKERS[maker] for maker in seen))
        machine.lacks(
            "accelerators",
            f"Node Feature Discovery sees a PCI device of {makers}, but the node offers no GPU",
            _GPU_DISCOVERY,
        )
    elif isinstance(capacity, Mapping) and not any(
        str(key).startswith(_RESOURCES) for key in capacity
    ):
        source = "node, status.capacity: no resource of a GPU, so pods get none"
        machine.put("accelerators", [], source)


def _allocatable(number: int, resource: str, status: Any) -> int:
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


def _sharing(all_labels: Labels) -> str:
    """How pods share a card, as the source of the accelerators says it."""
    strategy = all_labels.get("nvidia.com/gpu.sharing-strategy")
    replicas = number_of(all_labels.get("nvidia.com/gpu.replicas"))
    if strategy == "mps" and replicas > 1:
        return f"; shared by MPS: each pod gets 1/{replicas} of a card's memory"
    if strategy == "time-slicing" or replicas > 1:
        return f"; shared by time: up to {replicas} pods use the memory of one card"
    return ""


def _nvidia(all_labels: Labels, status: Any) -> Iterator[tuple[str, Kind]]:
    """The resource that pods ask for, and its cards, by GPU feature discovery's labels
    (https://github.com/NVIDIA/k8s-device-plugin, docs/gpu-feature-discovery): `gpu.count` are
    cards, or instances where the only strategy is MIG; the resource counts each share of a shared
    card.
    """
    own = {key.removeprefix("nvidia.com/"): value for key, value in all_labels.items()}
    offered = number_of(entry(status, "capacity", "nvidia.com/gpu"))
    replicas = number_of(own.get("gpu.replicas")) or 1
    slices = [match[1] for key in all_labels if (match := _MIG.fullmatch(key))]
    number = number_of(own.get("gpu.count")) or offered // replicas
    if slices and isinstance(entry(status, "capacity"), Mapping):
        # divided cards are counted, too; what the node offers is whole
        number = offered // replicas
    name = plain(own.get("gpu.product"), 120) or ""
    size = _labelled_memory(own.get("gpu.memory"))
    is_divided = size is not None and own.get("gpu.sharing-strategy") == "mps"
    card = Kind(
        vendor="nvidia",
        name=name.removesuffix("-SHARED"),
        number=number,
        memory_total_bytes=(size or 0) // replicas if is_divided else size,
        driver=plain(own.get("cuda.driver-version.full"), 60)
        or _joined(own, "cuda.driver.major", "cuda.driver.minor", "cuda.driver.rev"),
        compute_capability=_joined(own, "gpu.compute.major", "gpu.compute.minor"),
        is_part="-MIG-" in name,
    )
    if number:
        yield "nvidia.com/gpu", card if name else _named_by_cloud(all_labels, number)
    for part in slices[:MAX_CARDS]:
        yield f"nvidia.com/{part}", _instance(card, own, part)


def _instance(card: Kind, own: Labels, part: str) -> Kind:
    """An instance of MIG of one size, of the card that has this driver."""
    product = plain(own.get(f"{part}.product"), 120) or f"NVIDIA-GPU-MIG-{part[4:]}"
    return card.replace(
        name=product.removesuffix("-SHARED"),
        number=number_of(own.get(f"{part}.count")),
        memory_total_bytes=_labelled_memory(own.get(f"{part}.memory")),
        is_part=True,
    )


def _joined(own: Labels, *keys: str) -> str | None:
    words = [plain(own.get(key), 20) for key in keys]
    return ".".join(word for word in words if word) if words[0] else None


def _named_by_cloud(all_labels: Labels, offered: int) -> Kind:
    """Of so many that the node offers: shares of a card, where it is shared, counted once."""
    keys = table_of("kubernetes")["cloud_labels"]
    words = [word for key in keys["name"] if (word := plain(all_labels.get(key), 120))]
    sizes = [size for key in keys["mib"] if (size := _labelled_memory(all_labels.get(key)))]
    number = max(1, offered // (number_of(all_labels.get(keys["clients"])) or 1))
    if not words:
        return Kind(vendor="nvidia", name="NVIDIA GPU", number=number)
    word = words[0].removeprefix("nvidia-").removeprefix("tesla-")
    named = by_word(word, number).replace(vendor="nvidia")
    part = plain(all_labels.get(keys["part"]), 40)
    if part:
        return named.replace(name=f"{named.name} MIG {part}", is_part=True)
    return named.replace(memory_total_bytes=sizes[0] if sizes else None)


def _labelled_memory(value: Any) -> int | None:
    size = whole(value, least=1)
    return size and memory(size, 1 if size >= _LEAST_BYTES else units.MIB)


def _of_other_makers(all_labels: Labels, status: Any) -> Iterator[tuple[str, Kind]]:
    """As `_nvidia`, by the labels that `systems.toml` has of a maker."""
    for row in table_of("kubernetes")["makers"]:
        resources, capacity = row["resources"], entry(status, "capacity")
        resource = next((key for key in resources if entry(capacity, key)), resources[0])
        name, size = plain(all_labels.get(row["name"]), 120), all_labels.get(row["memory"])
        stated = all_labels.get(row["count"]) if row["count"] else entry(capacity, resource)
        number = number_of(stated) or int(not row["count"] and bool(name or size))
        if not number or (row["count"] and not name):
            continue
        words = (name or f"{row['maker']} GPU").replace("_", " ")
        shown = words if row["maker"] in words else f"{row['maker']} {words}"
        vram = plain(size, 20) or ""
        factor = units.GIB if vram.endswith("G") else units.MIB
        kind = Kind(
            vendor=row["maker"].lower(),
            name=shown,
            number=number,
            memory_total_bytes=memory(vram.rstrip("GM"), factor),
            driver=plain(all_labels.get(row["driver"]), 60),
        )
        yield resource, kind


# ------------------------------------------------------------------ dynamic resource allocation


def _kinds_of(driver: str, spec: Any) -> list[Kind]:
    """The accelerators of a slice. Where a whole card and its parts are alternatives, which draw
    on the same counters, only whole cards count.
    """
    whole_cards: list[Kind] = []
    parts: list[Kind] = []
    are_alternatives = False
    for row in rows_of(spec, "devices"):
        device = row.get("basic") if isinstance(row.get("basic"), Mapping) else row
        kind = _kind_of(driver, device)
        if kind is not None:
            (parts if kind.is_part else whole_cards).append(kind)
            are_alternatives |= bool(entry(device, "consumesCounters"))
    kinds = whole_cards if are_alternatives and whole_cards else [*whole_cards, *parts]
    return kinds[:MAX_CARDS]


def _kind_of(driver: str, device: Any) -> Kind | None:
    """One device; None where it is no accelerator: it has no memory, as a network card has none."""
    capacity = entry(device, "capacity", "memory")
    size = memory(quantity(entry(capacity, "value") if isinstance(capacity, Mapping) else capacity))
    vendor = gpus.vendor_of(driver)
    if size is None or vendor == "unknown":
        return None
    named = [_attribute(device, key) for key in ("productName", "model", "deviceModel")]
    name = next(filter(None, named), f"{vendor.upper() if vendor == 'amd' else vendor.title()} GPU")
    if vendor == "nvidia":
        name = name.replace("Nvidia", "NVIDIA")
    is_part = _attribute(device, "type") == "mig"
    # `8.0.0`, as semantic versions are written, is NVIDIA's 8.0
    capability = _attribute(device, "cudaComputeCapability")
    return Kind(
        vendor=vendor,
        name=f"{name}-MIG-{_attribute(device, 'profile') or ''}" if is_part else name,
        memory_total_bytes=size,
        driver=_attribute(device, "driverVersion"),
        compute_capability=capability and ".".join(capability.split(".")[:2]),
        is_part=is_part,
    )


def _attribute(device: Any, key: str) -> str | None:
    value = entry(device, "attributes", key)
    return plain(entry(value, "string"), 120) or plain(entry(value, "version"), 60)


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
    states = [key.removeprefix(_CONDITION) for key, _ in taints if key.startswith(_CONDITION)]
    states = [state for state in states if state != "unschedulable"]
    if entry(node, "spec", "unschedulable") is True:
        states.insert(0, "cordoned")
    if not states and _ready(node, "status") is not None:
        states = ["ready"]
    kept = {key: all_labels.get(label) for key, label in table["kept_labels"].items()}
    pools = (all_labels[key] for key in table["pool_labels"] if key in all_labels)
    roles = (key.removeprefix(_ROLE) for key in all_labels if key.startswith(_ROLE))
    kept["pool"] = next(pools, None)
    kept["role"] = sorted(filter(None, roles))
    kept["state"] = states
    kept["taints"] = [f"{key}:{eff}" for key, eff in taints if not key.startswith(_CONDITION)]
    return labels("kubernetes", kept)


def _ready(node: Mapping[str, Any], key: str) -> str | None:
    """Of the condition Ready its `status`, which is `Unknown` of a node that no longer answers, or
    its `lastHeartbeatTime`; None where none is stated.
    """
    conditions = rows_of(node, "status", "conditions")
    return next((plain(row.get(key), 64) for row in conditions if row.get("type") == "Ready"), None)
