"""Machines as Kubernetes describes its nodes, with labels of Node Feature Discovery and of NVIDIA's
GPU discovery.

`status.capacity` of a node is the capacity of the machine, `status.allocatable` the share for all
pods together (https://kubernetes.io/docs/reference/node/node-status/): a budget, not the free
amount.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from itertools import repeat

from ..core import units
from ..core.files import value_at
from ..machine.cards import MOST_CARDS
from ..machine.instruction_sets import with_implied
from ..machine.record import MAX_MEMORY_BYTES
from .answers import (
    MAX_NAME,
    Answer,
    labels,
    machine_name,
    plain,
    rows_of,
    table_of,
    whole_number,
)
from .drafts import (
    NOT_JUDGED,
    CardDraft,
    MachineDraft,
    OutOfService,
    broken,
    card_of,
    number_of_cards,
)
from .record_text import Entry

_HOST = "kubernetes.io/hostname"
_ARCHITECTURE = "kubernetes.io/arch"
_SYSTEM = "kubernetes.io/os"
_FEATURE = "feature.node.kubernetes.io/cpu-cpuid."
_LONGEST_FEATURE = 120
_DISCOVERY = (
    "install Node Feature Discovery, which labels nodes with the processor's features"
)
_GPU_DISCOVERY = "install the maker's GPU discovery, which labels nodes with their GPUs"
_IN_A_POD = "run `selfhost machine --format json` in a pod on the node"

_NVIDIA = "nvidia.com/"
# a figure from here on is in bytes; a smaller figure is in MiB, as in older releases of GPU feature
# discovery
_LEAST_BYTES = 10_000_000
_MIG = re.compile(r"nvidia\.com/(mig-[0-9a-z.+-]{1,40})\.count", re.ASCII)
# NVIDIA's and AMD's devices on the PCI bus
_PCI = re.compile(
    r"feature\.node\.kubernetes\.io/pci-(?:03[0-9a-f]{2}_)?(10de|1002)\.present"
)
_GPU_RESOURCE = re.compile(r"(?:nvidia|amd|gpu\.intel)\.com/")

_ROLE = "node-role.kubernetes.io/"
# the prefix of taints that Kubernetes itself sets for a node's conditions and for cordoning
# (https://kubernetes.io/docs/reference/labels-annotations-taints/)
_CONDITION = "node.kubernetes.io/"
_EFFECTS = ("NoSchedule", "NoExecute")


def read_kubernetes(document: Answer, _file: str) -> list[Entry] | None:
    """Return the nodes of a list, a node alone, or the node of a set of labels. None for any other
    document.
    """
    items = document.get("items")
    if isinstance(items, list):
        are_nodes = any(map(_is_node, items))
        if not items:
            are_nodes = document.get("kind") in ("List", "NodeList")
        if are_nodes:
            return _nodes(items)
    if _is_node(document):
        return [_Node(document).entry()]
    host = plain(document.get(_HOST), MAX_NAME)
    if host is None and plain(document.get(_ARCHITECTURE)) is None:
        return None
    node = {"metadata": {"labels": document, "name": host}}
    return [_Node(node).entry()]


def _is_node(item: object) -> bool:
    """Whether an object is a node, by its kind, else by its capacity."""
    kind: object = value_at(item, "kind")
    if kind is None:
        return value_at(item, "status", "capacity") is not None
    return kind == "Node"


def _nodes(items: list[object]) -> list[Entry]:
    """The nodes among the items of a list, which may hold other objects too."""
    # nodes with dynamic resource allocation: no label tells their devices
    with_slices = set()
    for item in items:
        if value_at(item, "kind") == "ResourceSlice":
            name = plain(value_at(item, "spec", "nodeName"), MAX_NAME)
            if name is not None:
                with_slices.add(name)
    entries = []
    for number, item in enumerate(items):
        place = f"items[{number}]"
        if isinstance(item, Mapping) and _is_node(item):
            entry = _Node(item, with_slices).entry()
            entries.append(entry.replace(place=place))
        elif not isinstance(value_at(item, "kind"), str):
            entries.append(broken("kubernetes", place))
    return entries


class _Node:
    """A node of a cluster. `with_slices` are the names of the nodes whose devices are in
    ResourceSlices.
    """

    def __init__(self, node: Answer, with_slices: Container[str] = ()) -> None:
        self.node = node
        self.labels: Answer = {}
        all_labels = value_at(node, "metadata", "labels")
        if isinstance(all_labels, Mapping):
            self.labels = all_labels
        self.stated_name = value_at(node, "metadata", "name")
        name = plain(self.stated_name, MAX_NAME)
        self.has_slices = name is not None and name in with_slices
        # the condition `Ready`; {} where the node states none
        self.ready: Answer = {}
        for condition in rows_of(node, "status", "conditions"):
            if condition.get("type") == "Ready":
                self.ready = condition
        # `True`, `False` or `Unknown`; None where the node does not state it
        self.readiness = plain(self.ready.get("status"), 64)

    def entry(self) -> Entry:
        """Return the record of the node, or a fault where the cluster calls the node NotReady."""
        name = machine_name(self.stated_name, self.labels.get(_HOST))
        if self.readiness not in (None, "True"):
            # the last known values of a node that is down do not show what the node has now
            reason = f"{name or 'a machine'}{NOT_JUDGED}Kubernetes calls it NotReady"
            remedy = (
                "bring it back and ask again, or write"
                ' out_of_service = "skip" in the policy'
            )
            return Entry(fault=OutOfService(reason, remedy))
        machine = MachineDraft("kubernetes")
        machine.read_rows(self._stated_facts())
        machine.put_cloud_type(self._first_label(machine.table.type_labels))
        self._put_instruction_sets(machine)
        if self.has_slices:
            reason = "the node's devices are in ResourceSlices, which are not read"
            machine.lacks("accelerators", reason, _IN_A_POD)
        else:
            devices = _Devices(self.labels, value_at(self.node, "status"))
            devices.put(machine)
        return Entry(value=machine.record(name, self._kept_labels()))

    def _stated_facts(self) -> dict[str, object]:
        """The node, with the labels and the condition that the rows of the system's table look
        for.
        """
        stated_labels = {
            "arch": self.labels.get(_ARCHITECTURE),
            "os": self.labels.get(_SYSTEM),
        }
        return {
            **self.node,
            "label kubernetes.io": stated_labels,
            "condition Ready": self.ready,
        }

    def _first_label(self, keys: Iterable[str]) -> object:
        """The value of the first of these labels that has one; None where none has."""
        for key in keys:
            if self.labels.get(key):
                return self.labels[key]
        return None

    def _put_instruction_sets(self, machine: MachineDraft) -> None:
        """State the instruction sets that Node Feature Discovery labels."""
        names = machine.table.sets
        found = []
        for key, value in self.labels.items():
            is_feature = key.startswith(_FEATURE) and len(key) <= _LONGEST_FEATURE
            if is_feature and value == "true":
                name = key.removeprefix(_FEATURE)
                found.append(names.get(name, name.lower()))
        if found:
            sets = with_implied(found, machine.values.get("architecture"))
            source = "labels of Node Feature Discovery, cpu-cpuid, and what they bring"
            machine.put("instruction_sets", sorted(sets), source)
            for name in machine.table.hidden_sets:
                if name not in sets:
                    machine.lacks(
                        f"instruction_sets.{name}",
                        "Node Feature Discovery does not label it by default",
                        "remove it from attributeBlacklist in the configuration of nfd-worker",
                    )
        reason = "no label of Node Feature Discovery is there"
        machine.lacks("instruction_sets", reason, _DISCOVERY)

    def _kept_labels(self) -> dict[str, str]:
        """The labels that make classes of machines. All other labels are dropped, because anybody
        may write them.
        """
        table = table_of("kubernetes")
        kept: dict[str, object] = {}
        for key, label in table.kept_labels.items():
            kept[key] = self.labels.get(label)
        kept["pool"] = self._first_label(table.pool_labels)
        kept["role"] = self._roles()
        conditions: list[str] = []
        others: list[str] = []
        for taint in rows_of(self.node, "spec", "taints"):
            name = plain(taint.get("key"), 120)
            effect = taint.get("effect")
            if name is None or effect not in _EFFECTS:
                continue
            if name.startswith(_CONDITION):
                conditions.append(name.removeprefix(_CONDITION))
            else:
                others.append(f"{name}:{effect}")
        kept["state"] = self._states(conditions)
        kept["taints"] = others
        return labels("kubernetes", kept)

    def _roles(self) -> list[str]:
        """The roles of the node, which are the last words of labels."""
        roles = []
        for key in self.labels:
            role = key.removeprefix(_ROLE)
            if role not in ("", key):
                roles.append(role)
        return sorted(roles)

    def _states(self, conditions: Iterable[str]) -> list[str]:
        """The reasons why the node takes no new work: it is cordoned, or Kubernetes tainted it for
        these conditions. `ready` where there is no reason.
        """
        states = []
        if value_at(self.node, "spec", "unschedulable") is True:
            states.append("cordoned")
        # a cordoned node has this taint, too
        states += [name for name in conditions if name != "unschedulable"]
        if not states and self.readiness is not None:
            states.append("ready")
        return states


class _Devices:
    """The accelerators of a node, by its labels and its status.

    The label `gpu.count` of GPU feature discovery (NVIDIA/k8s-device-plugin) counts cards, or
    instances where MIG divides every card alike; the resource counts shares of a card.
    """

    def __init__(self, all_labels: Answer, status: object) -> None:
        self._all_labels = all_labels
        self._status = status
        # the values of NVIDIA's labels
        self._stated: dict[str, object] = {}
        for key, value in all_labels.items():
            self._stated[key.removeprefix(_NVIDIA)] = value
        # the cards that pods may get, and the number of the others
        self._cards: list[CardDraft] = []
        self._missing = 0

    def put(self, machine: MachineDraft) -> None:
        """State the accelerators that pods may get, or say why they are not known."""
        self._count_cards()
        if self._cards:
            source = "labels and resources of the node"
            if self._missing:
                source += f"; {self._missing} that pods cannot get are not counted"
            machine.put_accelerators(self._cards, source, _GPU_DISCOVERY)
        elif self._missing:
            reason = (
                "the node has GPUs but offers none of them to pods: they are unhealthy, or their"
                " device plugin does not run"
            )
            remedy = "see `kubectl describe node NAME` and the log of the device plugin"
            machine.lacks("accelerators", reason, remedy)
        elif any(map(_PCI.fullmatch, self._all_labels)):
            reason = "a label names a PCI device of NVIDIA or AMD, but the node offers no GPU"
            machine.lacks("accelerators", reason, _GPU_DISCOVERY)
        elif self._states_no_gpu():
            source = "node, status.capacity: no resource of a GPU, so pods get none"
            machine.put("accelerators", [], source)

    def _states_no_gpu(self) -> bool:
        """Whether the node states its resources, and no GPU among them."""
        capacity = value_at(self._status, "capacity")
        if not isinstance(capacity, Mapping):
            return False
        return not any(_GPU_RESOURCE.match(str(name)) for name in capacity)

    def _count_cards(self) -> None:
        """Count the cards that are not divided, then the instances of MIG, those of one size
        together.
        """
        parts = []
        for key in self._all_labels:
            match = _MIG.fullmatch(key)
            if match is not None:
                parts.append(match[1])
        undivided = self._number_of_undivided(beside_parts=bool(parts))
        if undivided:
            # with MPS, each pod gets an equal part of the memory of a card
            is_divided = self._stated.get("gpu.sharing-strategy") == "mps"
            shares = self._replicas() if is_divided else 1
            card = self._card("gpu", "NVIDIA-GPU", shares)
            self._add(card, undivided, "gpu")
        for part in parts[:MOST_CARDS]:
            name = f"NVIDIA-GPU-MIG-{part.removeprefix('mig-')}"
            card = self._card(part, name, is_part=True)
            number = number_of_cards(self._stated.get(f"{part}.count"))
            self._add(card, number, part)

    def _number_of_undivided(self, *, beside_parts: bool) -> int:
        """The number of cards that are not divided into instances."""
        in_capacity = number_of_cards(self._in_status("capacity", "gpu"))
        offered = in_capacity // self._replicas()
        is_stated = isinstance(value_at(self._status, "capacity"), Mapping)
        # beside MIG instances the label counts the divided cards, too, which the node does not
        # offer
        if beside_parts and is_stated:
            return offered
        return number_of_cards(self._stated.get("gpu.count")) or offered

    def _replicas(self) -> int:
        """The number of pods that share a card."""
        return number_of_cards(self._stated.get("gpu.replicas")) or 1

    def _in_status(self, section: str, resource: str) -> object:
        """The number of a resource of NVIDIA in a section of the status; None where none is
        there.
        """
        return value_at(self._status, section, f"{_NVIDIA}{resource}")

    def _add(
        self,
        card: CardDraft,
        number: int,
        resource: str,
    ) -> None:
        """Add equal cards. The devices of an unhealthy card count in the capacity, but not in the
        allocatable.
        """
        offered = number
        devices = self._in_status("capacity", resource)
        healthy = self._in_status("allocatable", resource)
        if devices is not None and healthy is not None:
            # a shared card counts as several devices
            all_devices = number_of_cards(devices)
            usable = min(number_of_cards(healthy), all_devices)
            offered = number * usable // (all_devices or 1)
        self._cards += repeat(card, offered)
        self._missing += number - offered

    def _card(
        self,
        prefix: str,
        name: str,
        shares: int = 1,
        *,
        is_part: bool = False,
    ) -> CardDraft:
        """The card that the labels with that prefix describe. Its name is `name` where no label
        names it.
        """
        name = plain(self._stated.get(f"{prefix}.product"), 120) or name
        size = whole_number(self._stated.get(f"{prefix}.memory")) or 0
        unit = 1 if size >= _LEAST_BYTES else units.MIB
        size = whole_number(size, unit, most=MAX_MEMORY_BYTES) or 0
        return card_of(
            name.removesuffix("-SHARED"),
            size // shares or None,
            None,
            self._stated.get("cuda.driver-version.full"),
            is_part=is_part or "-MIG-" in name,
        )
