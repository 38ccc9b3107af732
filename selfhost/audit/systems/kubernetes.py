"""Nodes of Kubernetes, with labels of Node Feature Discovery and of NVIDIA's GPU discovery.

`status.capacity` is the machine's, `status.allocatable` what all pods together may have
(https://kubernetes.io/docs/reference/node/node-status/): a budget, not what is free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...core import Any, units
from ...machine.changes import with_implied
from ...machine.record import MAX_MEMORY_BYTES
from ...machine.words import MOST_CARDS
from .facts import (
    NOT_JUDGED,
    Card,
    Entry,
    MachineDraft,
    OutOfService,
    broken,
    card_of,
    labels,
    machine_name,
    number_of_cards,
    plain,
    rows_of,
    table_of,
    value_at,
    whole,
)

Labels = Mapping[str, Any]

_HOST, _ARCH = "kubernetes.io/hostname", "kubernetes.io/arch"
_DISCOVERY = "install Node Feature Discovery, which labels nodes with the processor's features"
_GPU_DISCOVERY = "install the maker's GPU discovery, which labels nodes with their GPUs"
_IN_A_POD = "run `selfhost machine --format json` in a pod on the node"


def read_kubernetes(document: Mapping[str, Any], _file: str) -> list[Entry] | None:
    """Nodes of a list, one alone, or the labels of one; None where it is none of these."""
    items, kind = document.get("items"), document.get("kind")
    if isinstance(items, list) and (
        any(map(_is_node, items)) or (kind in ("List", "NodeList") and not items)
    ):
        # dynamic resource allocation: devices that no label tells of
        slices = [item for item in items if value_at(item, "kind") == "ResourceSlice"]
        sliced = {plain(value_at(item, "spec", "nodeName"), 253) for item in slices} - {None}
        entries = []
        for number, item in enumerate(items):
            if _is_node(item):
                entries.append(_node(item, f"items[{number}]", sliced))
            elif not isinstance(value_at(item, "kind"), str):
                entries.append(broken(item, "kubernetes", f"items[{number}]"))
        return entries
    if _is_node(document):
        return [_node(document)]
    if any(isinstance(document.get(key), str) for key in (_HOST, _ARCH)):
        return [_node({"metadata": {"labels": document, "name": document.get(_HOST)}})]
    return None


def _is_node(item: Any) -> bool:
    kind = value_at(item, "kind")
    return kind == "Node" or (kind is None and value_at(item, "status", "capacity") is not None)


def _node(
    node: Mapping[str, Any], place: str | None = None, sliced: set[str | None] | None = None
) -> Entry:
    all_labels = value_at(node, "metadata", "labels")
    all_labels = all_labels if isinstance(all_labels, Mapping) else {}
    name = machine_name(value_at(node, "metadata", "name"), all_labels.get(_HOST))
    if _ready_condition(node, "status") not in (None, "True"):
        # what it stated when it was last seen is not what it has
        reason = f"{name or 'a machine'}{NOT_JUDGED}Kubernetes calls it NotReady"
        remedy = 'bring it back and ask again, or write out_of_service = "skip" in the policy'
        return Entry(fault=OutOfService(reason, remedy), place=place)
    machine = MachineDraft("kubernetes")
    own = {key: all_labels.get(f"kubernetes.io/{key}") for key in ("arch", "os")}
    ready = {"lastHeartbeatTime": _ready_condition(node, "lastHeartbeatTime")}
    machine.read_rows({**node, "label kubernetes.io": own, "condition Ready": ready})
    types = (all_labels.get(key) for key in machine.table["type_labels"])
    machine.put_cloud_type(next(filter(None, types), None))
    _put_features(machine, all_labels)
    if plain(value_at(node, "metadata", "name"), 253) in (sliced or ()):
        reason = "the node's devices are in ResourceSlices, which are not read"
        machine.lacks("accelerators", reason, _IN_A_POD)
    else:
        _put_accelerators(machine, all_labels, value_at(node, "status"))
    return Entry(machine.record(name, _kept_labels(node, all_labels)), place=place)


def _ready_condition(node: Mapping[str, Any], key: str) -> str | None:
    """`status` or `lastHeartbeatTime` of the condition Ready; None where none is stated."""
    conditions = rows_of(node, "status", "conditions")
    return next((plain(row.get(key), 64) for row in conditions if row.get("type") == "Ready"), None)


_FEATURE = "feature.node.kubernetes.io/cpu-cpuid."


def _put_features(machine: MachineDraft, all_labels: Labels) -> None:
    names = [
        key.removeprefix(_FEATURE)
        for key, value in all_labels.items()
        if key.startswith(_FEATURE) and value == "true" and len(key) <= 120
    ]
    if names:
        kernel_names = machine.table["sets"]
        own = [kernel_names.get(name, name.lower()) for name in names]
        sets = with_implied(own, machine.values.get("architecture"))
        source = "labels of Node Feature Discovery, cpu-cpuid, and what they bring"
        machine.put("instruction_sets", sorted(sets), source)
        hidden = [name for name in machine.table["hidden_sets"] if name not in sets]
        machine.lacks(
            " ".join(f"instruction_sets.{name}" for name in hidden),
            "Node Feature Discovery does not label it by default",
            "take it off attributeBlacklist in the configuration of nfd-worker",
        )
    machine.lacks("instruction_sets", "no label of Node Feature Discovery is there", _DISCOVERY)


# a figure from here on is of bytes, below it of MiB: older releases of GPU feature discovery
_LEAST_BYTES = 10_000_000
_MIG = re.compile(r"nvidia\.com/(mig-[0-9a-z.+-]{1,40})\.count", re.ASCII)
# NVIDIA's and AMD's devices on the PCI bus
_PCI = re.compile(r"feature\.node\.kubernetes\.io/pci-(?:03[0-9a-f]{2}_)?(10de|1002)\.present")
_RESOURCE = re.compile(r"(?:nvidia|amd|gpu\.intel)\.com/")
_NONE_OFFERED = (
    "the node has GPUs, and offers none of them to pods: they are unhealthy, or their device"
    " plugin does not run",
    "see `kubectl describe node NAME` and the log of the device plugin",
)


def _put_accelerators(machine: MachineDraft, all_labels: Labels, status: Any) -> None:
    labelled = _labelled_cards(all_labels, status)
    offered = [_offered(number, resource, status) for resource, number, _ in labelled]
    missing = sum(number for _, number, _ in labelled) - sum(offered)
    capacity = value_at(status, "capacity")
    if any(offered):
        every = zip(offered, labelled, strict=True)
        cards = [card for number, (_, _, card) in every for _ in range(number)]
        without = f"; without {missing} that pods cannot get" if missing else ""
        source = f"labels and resources of the node{without}"
        machine.put_accelerators(cards, source, _GPU_DISCOVERY)
    elif missing:
        machine.lacks("accelerators", *_NONE_OFFERED)
    elif any(map(_PCI.fullmatch, all_labels)):
        reason = "a label names a PCI device of NVIDIA or AMD, but the node offers no GPU"
        machine.lacks("accelerators", reason, _GPU_DISCOVERY)
    elif isinstance(capacity, Mapping) and not any(map(_RESOURCE.match, map(str, capacity))):
        source = "node, status.capacity: no resource of a GPU, so pods get none"
        machine.put("accelerators", [], source)


def _offered(number: int, resource: str, status: Any) -> int:
    """How many pods may get: an unhealthy device is in the capacity, and no longer allocatable."""
    devices, healthy = (value_at(status, each, resource) for each in ("capacity", "allocatable"))
    if devices is None or healthy is None:
        return number
    # shares of a card are devices of their own
    whole_number = number_of_cards(devices)
    return number * min(number_of_cards(healthy), whole_number) // (whole_number or 1)


def _labelled_cards(all_labels: Labels, status: Any) -> list[tuple[str, int, Card]]:
    """Resource, number and card, by GPU feature discovery (NVIDIA/k8s-device-plugin): `gpu.count`
    are cards, or instances where the only strategy is MIG; the resource counts shares of a card.
    """
    own = {key.removeprefix("nvidia.com/"): value for key, value in all_labels.items()}
    replicas = number_of_cards(own.get("gpu.replicas")) or 1
    offered = number_of_cards(value_at(status, "capacity", "nvidia.com/gpu")) // replicas
    parts = [match[1] for key in all_labels if (match := _MIG.fullmatch(key))]
    is_stated = isinstance(value_at(status, "capacity"), Mapping)
    # beside instances divided cards are counted, too; what the node offers is whole
    number = offered if parts and is_stated else number_of_cards(own.get("gpu.count")) or offered
    shares = replicas if own.get("gpu.sharing-strategy") == "mps" else 1
    cards = [("nvidia.com/gpu", number, _card(own, "gpu", "NVIDIA-GPU", shares))] if number else []
    for part in parts[:MOST_CARDS]:
        card = _card(own, part, f"NVIDIA-GPU-MIG-{part[4:]}", is_part=True)
        cards.append((f"nvidia.com/{part}", number_of_cards(own.get(f"{part}.count")), card))
    return cards


def _card(own: Labels, prefix: str, name: str, shares: int = 1, *, is_part: bool = False) -> Card:
    name = plain(own.get(f"{prefix}.product"), 120) or name
    size = whole(own.get(f"{prefix}.memory"))
    unit = 1 if (size or 0) >= _LEAST_BYTES else units.MIB
    total = whole(size, unit, least=1, most=MAX_MEMORY_BYTES)
    total, driver = total and total // shares, own.get("cuda.driver-version.full")
    is_part |= "-MIG-" in name
    return card_of(name.removesuffix("-SHARED"), total, None, driver, is_part=is_part)


_ROLE = "node-role.kubernetes.io/"
# of taints that Kubernetes itself sets, for a node's conditions and for cordoning
# (https://kubernetes.io/docs/reference/labels-annotations-taints/)
_CONDITION = "node.kubernetes.io/"
_EFFECTS = ("NoSchedule", "NoExecute")


def _kept_labels(node: Mapping[str, Any], all_labels: Labels) -> dict[str, str]:
    """Those that make classes of machines; none of the others, which anybody may write."""
    table = table_of("kubernetes")
    # key and effect of what keeps pods away
    stated = [
        (plain(each.get("key"), 120), each.get("effect"))
        for each in rows_of(node, "spec", "taints")
    ]
    taints = [(key, effect) for key, effect in stated if key and effect in _EFFECTS]
    own = [key.removeprefix(_CONDITION) for key, _ in taints if key.startswith(_CONDITION)]
    states = ["cordoned"] if value_at(node, "spec", "unschedulable") is True else []
    states += [state for state in own if state != "unschedulable"]
    if not states and _ready_condition(node, "status") is not None:
        states = ["ready"]
    roles = (key.removeprefix(_ROLE) for key in all_labels if key.startswith(_ROLE))
    kept = {key: all_labels.get(label) for key, label in table["kept_labels"].items()} | {
        "pool": next((all_labels[key] for key in table["pool_labels"] if key in all_labels), None),
        "role": sorted(filter(None, roles)),
        "state": states,
        "taints": [f"{key}:{eff}" for key, eff in taints if not key.startswith(_CONDITION)],
    }
    return labels("kubernetes", kept)
