"""Machines as other systems answer for them: facts of Ansible's `setup` module, metrics of
Prometheus' exporters, and nodes of Kubernetes, with labels of Node Feature Discovery and of
NVIDIA's GPU discovery.

Ansible's sizes are MiB where the key ends in `_mb`, bytes in `ansible_mounts`; its fact cache is no
answer, whose format is the cache plugin's own. Framebuffer memory of dcgm-exporter is MiB
(etc/default-counters.csv). Series of one `instance` are one machine; GPUs join it by their address
or by dcgm-exporter's label `Hostname`. Of a node `status.capacity` is the machine's,
`status.allocatable` what all pods together may have
(https://kubernetes.io/docs/reference/node/node-status/): a budget, not what is free.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..core import units
from ..core.files import Unreadable
from ..core.tables import shipped_table
from ..machine.cards import MOST_CARDS
from ..machine.instruction_sets import with_implied
from ..machine.record import MAX_MEMORY_BYTES
from .drafts import (
    MAX_NAME,
    NOT_JUDGED,
    SOME_HOME,
    Answer,
    Card,
    Entry,
    MachineDraft,
    OutOfService,
    broken,
    card_of,
    count,
    labels,
    machine_name,
    number_of_cards,
    plain,
    rows_of,
    table_of,
    value_at,
    whole,
)

# in which /proc/meminfo is the host's: `ansible_virtualization_type` of a guest
_CONTAINERS = frozenset(
    ("container", "containerd", "docker", "lxc", "openvz", "podman")
)


def read_ansible(document: Answer, file: str) -> list[Entry] | None:
    """Facts as the module answers, or alone, with prefix or without; None where it is neither."""
    # the inventory's name, which a file of `--tree` has, goes before the host's own
    base, facts = os.path.basename(file), document.get("ansible_facts")
    own = None if base.endswith((".json", ".jsonl")) or base == file else base
    if isinstance(facts, Mapping):
        return [Entry(_record_of_facts(facts, own))]
    if document.get("unreachable") is True or document.get("failed") is True:
        is_reached = document.get("unreachable") is not True
        why = (
            "its setup failed under Ansible"
            if is_reached
            else "Ansible did not reach it"
        )
        remedy = (
            f"see why with `ansible HOST -m {'setup' if is_reached else 'ping'}`, then write its"
            " file again with `ansible HOST -m setup --tree DIR`, or remove the file"
        )
        name = machine_name(own) or "a machine"
        return [Entry(fault=Unreadable(f"{name}{NOT_JUDGED}{why}", remedy))]
    if "ansible_memtotal_mb" in document or "memtotal_mb" in document:
        return [Entry(_record_of_facts(document, own))]
    return None


def _record_of_facts(answer: Answer, tree_name: str | None) -> dict[str, Any]:
    facts = {key.removeprefix("ansible_"): value for key, value in answer.items()}
    name = machine_name(tree_name, *map(facts.get, ("nodename", "fqdn", "hostname")))
    own = value_at(facts, "local", "selfhost")
    if isinstance(own, Mapping) and "schema" in own:
        return {**own, "name": name or own.get("name")}
    if not whole(value_at(facts, "memory_mb", "nocache", "free"), least=1):
        # on a Mac less than nothing is free
        facts["memory_mb"] = None
    machine = MachineDraft("ansible")
    if facts.get("os_family") == "Windows":
        facts |= {"system": None, "architecture": None}
        machine.lacks(
            "system architecture", "for Windows, Ansible uses names of its own"
        )
    _put_scope(machine, facts)
    machine.read_rows(facts)
    packages, cores = (
        count(facts.get("processor_count")),
        count(facts.get("processor_cores")),
    )
    if packages and cores:
        source = "ansible_processor_count times ansible_processor_cores"
        machine.put("cpu_cores_physical", packages * cores, source)
    # number, maker and model of each thread are stated, one after the other
    stated = facts.get("processor")
    words = filter(
        None, map(plain, stated[::-1] if isinstance(stated, list) else [stated])
    )
    model = next((word for word in words if not word.isdecimal()), None)
    machine.put("cpu_model", model, "ansible_processor")
    home = plain(facts.get("user_dir"), 1000)
    whose = (
        "of the account that Ansible uses"
        if home
        else f"for which {SOME_HOME} is assumed"
    )
    keys = ("mount", "size_available", "size_total", "fstype")
    volumes = [tuple(map(row.get, keys)) for row in rows_of(facts, "mounts")]
    source = (
        f"ansible_mounts, size_available on {{mount}}: the home folder {whose} is there"
    )
    machine.put_home(volumes, home or SOME_HOME, source)
    kept = {key: facts.get(key) for key in ("distribution", "distribution_version")}
    return machine.record(
        name, labels("ansible", {"groups": facts.get("group_names"), **kept})
    )


def _put_scope(machine: MachineDraft, facts: Answer) -> None:
    role, kind = (
        facts.get("virtualization_role"),
        plain(facts.get("virtualization_type"), 60),
    )
    if role == "guest" and kind in _CONTAINERS:
        machine.lacks(
            "memory_limit_bytes memory_available_bytes",
            f"Ansible ran in a container ({kind}), where it reports the memory of the host and not"
            " the container's limit",
        )
    if role == "guest" and kind:
        scope = "container" if kind in _CONTAINERS else "vm"
        machine.put("scope", scope, "ansible_virtualization_type")
    elif role in ("host", "NA"):
        machine.put("scope", "host", "ansible_virtualization_role")


_DCGM = "install dcgm-exporter, and query DCGM_FI_DEV_FB_FREE, _USED and _RESERVED too"
_CARD = "DCGM_FI_DEV_FB_"
_METRIC = re.compile(r"(?:node_|DCGM_)\w+", re.ASCII)
# of one instance: by metric the labels and the value of each sample
_Samples = dict[str, list[tuple[Answer, list[object]]]]


def read_prometheus(document: Answer, _file: str) -> list[Entry] | None:
    """The answer to an instant query as the HTTP API gives it; None where it is none."""
    if "errorType" in document:
        command = table_of("prometheus")["command"]
        return [
            Entry(fault=Unreadable("is an error of Prometheus, not an answer", command))
        ]
    if "data" not in document or document.get("status") != "success":
        return None
    entries: list[Entry] = []
    instances: dict[str, _Samples] = {}
    result = value_at(document, "data", "result")
    for number, row in enumerate(result if isinstance(result, list) else ()):
        series = value_at(row, "metric")
        if not isinstance(series, Mapping):
            entries.append(broken(row, "prometheus", f"data.result[{number}]"))
            continue
        instance, sample = plain(series.get("instance"), MAX_NAME), row.get("value")
        # what a query computes has no name, and is no fact
        metric = str(series.get("__name__"))
        is_sample = isinstance(sample, list) and len(sample) == 2
        if instance and is_sample and _METRIC.fullmatch(metric):
            instances.setdefault(instance, {}).setdefault(metric, []).append(
                (series, sample)
            )
    return entries + [
        Entry(_record_of_samples(samples, machine_name(*names)))
        for names, samples in _joined(instances)
    ]


def _joined(instances: Mapping[str, _Samples]) -> list[tuple[list[str], _Samples]]:
    """The names and samples of each machine, with its GPUs, of which another exporter tells."""
    keys = {
        "node_uname_info": "nodename",
        f"{_CARD}FREE": "Hostname",
        f"{_CARD}USED": "Hostname",
    }
    hosts: list[tuple[list[str], _Samples]] = []
    others: list[tuple[list[str], _Samples]] = []
    for instance, samples in instances.items():
        host, colon, port = instance.rpartition(":")
        stated = (
            samples[each][0][0].get(key)
            for each, key in keys.items()
            if each in samples
        )
        own = [name for each in stated if (name := plain(each, MAX_NAME))]
        names = [host if colon and port.isdecimal() else instance, *own]
        is_host = any("_memory_" in metric for metric in samples)
        (hosts if is_host else others).append((names, samples))
    by_name = {name: samples for names, samples in hosts for name in names}
    for names, samples in others:
        home = next(
            (by_name[name] for name in reversed(names) if name in by_name), None
        )
        if home is None:
            hosts.append((names, samples))
        else:
            home |= samples
    return hosts


def _record_of_samples(samples: _Samples, name: str | None) -> dict[str, Any]:
    machine = MachineDraft("prometheus")
    rows = machine.table["rows"]
    # each CPU and each core has a series
    stated: dict[str, object] = {
        "node_cpu_seconds_total": _count_values(
            samples, "node_cpu_seconds_total", "cpu"
        )
        or _count_values(samples, "node_cpu_info", "cpu"),
        "node_cpu_cores": _count_values(samples, "node_cpu_info", "package", "core"),
    }
    for _, path, _, _ in rows:
        metric, is_label, _ = path.partition("/")
        if metric in samples and metric not in stated:
            series, (_, value) = samples[metric][-1]
            stated[metric] = series if is_label else value
    machine.read_rows(stated)
    sizes, free = (
        {
            mount: (value, series.get("fstype"))
            for series, (_, value) in samples.get(f"node_filesystem_{what}_bytes", ())
            if isinstance(mount := series.get("mountpoint"), str)
        }
        for what in ("size", "avail")
    )
    volumes = [
        (mount, value, sizes.get(mount, (None, None))[0], kind)
        for mount, (value, kind) in free.items()
    ]
    source = (
        "node_filesystem_avail_bytes of {mount}: the home folder is taken to be "
        + SOME_HOME
    )
    machine.put_home(volumes, SOME_HOME, source)
    if cards := _cards(samples):
        machine.put_accelerators(cards, f"{_CARD}…, per GPU", _DCGM)
        source = f"{_CARD}FREE, MiB, when queried"
        machine.sources["accelerators.memory_free_bytes"] = source
    series, sample = next(
        (rows[0] for metric, rows in samples.items() if "_memory_" in metric),
        ({}, (None, None)),
    )
    if seconds := whole(sample[0], least=1, most=1 << 36):
        read_at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        machine.put("read_at", read_at, "the time of Prometheus' sample")
    for fact, path, _, _ in rows:
        metric = path.partition("/")[0].replace("node_cpu_cores", "node_cpu_info")
        machine.lacks(fact, f"{metric} is not in the answer", f"query {metric} too")
    kept = {
        key: series[key]
        for key in shipped_table("systems")["class_labels"]
        if key in series
    }
    return machine.record(name, labels("prometheus", kept))


def _count_values(samples: _Samples, metric: str, *keys: str) -> int | None:
    """How many different values these labels have together, where all are there."""
    series = [labels for labels, _ in samples.get(metric, ())]
    values = {tuple(plain(each.get(key), 60) for key in keys) for each in series}
    return sum(map(all, values)) or None


def _cards(samples: _Samples) -> list[Card]:
    """Each card, and each instance of a divided one, which itself is left out."""
    memory: dict[tuple[str, str], dict[str, int]] = {}
    series_of: dict[tuple[str, str], Answer] = {}
    for what in ("FREE", "USED", "TOTAL", "RESERVED"):
        for series, (_, value) in samples.get(f"{_CARD}{what}", ()):
            size = whole(value, units.MIB)
            number = plain(series.get("UUID"), 80) or plain(series.get("gpu"), 20)
            if size is not None and number is not None:
                key = (number, plain(series.get("GPU_I_ID"), 20) or "")
                memory.setdefault(key, {})[what] = size
                series_of.setdefault(key, series)
    divided, cards = {number for number, part in memory if part}, list[Card]()
    for (number, part), sizes in memory.items():
        if number in divided and not part:
            continue
        series = series_of[number, part]
        if sizes.keys() >= {"FREE", "USED"}:
            sizes.setdefault("TOTAL", sum(sizes.values()))
        name = plain(series.get("modelName"), 120) or "NVIDIA GPU"
        profile = plain(series.get("GPU_I_PROFILE"), 40) or part
        if profile:
            name = f"{name}-MIG-{profile}"
        total = sizes.get("TOTAL") or None
        driver = series.get("DCGM_FI_DRIVER_VERSION")
        cards.append(
            card_of(name, total, sizes.get("FREE"), driver, is_part=bool(profile))
        )
    return cards


_HOST, _ARCH = "kubernetes.io/hostname", "kubernetes.io/arch"
_FEATURE = "feature.node.kubernetes.io/cpu-cpuid."
_DISCOVERY = (
    "install Node Feature Discovery, which labels nodes with the processor's features"
)
_GPU_DISCOVERY = "install the maker's GPU discovery, which labels nodes with their GPUs"
_IN_A_POD = "run `selfhost machine --format json` in a pod on the node"


def read_kubernetes(document: Answer, _file: str) -> list[Entry] | None:
    """Nodes of a list, one alone, or the labels of one; None where it is none of these."""
    items, kind = document.get("items"), document.get("kind")
    if isinstance(items, list) and (
        any(map(_is_node, items)) or (kind in ("List", "NodeList") and not items)
    ):
        # dynamic resource allocation: devices that no label tells of
        slices = [item for item in items if value_at(item, "kind") == "ResourceSlice"]
        sliced = {plain(value_at(item, "spec", "nodeName"), 253) for item in slices} - {
            None
        }
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


def _is_node(item: object) -> bool:
    kind = value_at(item, "kind")
    return kind == "Node" or (
        kind is None and value_at(item, "status", "capacity") is not None
    )


def _node(
    node: Answer, place: str | None = None, sliced: set[str | None] | None = None
) -> Entry:
    all_labels = value_at(node, "metadata", "labels")
    all_labels = all_labels if isinstance(all_labels, Mapping) else {}
    name = machine_name(value_at(node, "metadata", "name"), all_labels.get(_HOST))
    conditions = rows_of(node, "status", "conditions")
    ready = next((row for row in conditions if row.get("type") == "Ready"), {})
    state = plain(ready.get("status"), 64)
    if state not in (None, "True"):
        # what it stated when it was last seen is not what it has
        reason = f"{name or 'a machine'}{NOT_JUDGED}Kubernetes calls it NotReady"
        remedy = 'bring it back and ask again, or write out_of_service = "skip" in the policy'
        return Entry(fault=OutOfService(reason, remedy), place=place)
    machine = MachineDraft("kubernetes")
    own = {"arch": all_labels.get(_ARCH), "os": all_labels.get("kubernetes.io/os")}
    machine.read_rows({**node, "label kubernetes.io": own, "condition Ready": ready})
    types = (all_labels.get(key) for key in machine.table["type_labels"])
    machine.put_cloud_type(next(filter(None, types), None))
    kernel_names = machine.table["sets"]
    own_names = [
        key.removeprefix(_FEATURE)
        for key, value in all_labels.items()
        if key.startswith(_FEATURE) and value == "true" and len(key) <= 120
    ]
    if own_names:
        stated = [kernel_names.get(each, each.lower()) for each in own_names]
        sets = with_implied(stated, machine.values.get("architecture"))
        source = "labels of Node Feature Discovery, cpu-cpuid, and what they bring"
        machine.put("instruction_sets", sorted(sets), source)
        hidden = [each for each in machine.table["hidden_sets"] if each not in sets]
        machine.lacks(
            " ".join(f"instruction_sets.{each}" for each in hidden),
            "Node Feature Discovery does not label it by default",
            "remove it from attributeBlacklist in the configuration of nfd-worker",
        )
    machine.lacks(
        "instruction_sets", "no label of Node Feature Discovery is there", _DISCOVERY
    )
    if plain(value_at(node, "metadata", "name"), 253) in (sliced or ()):
        reason = "the node's devices are in ResourceSlices, which are not read"
        machine.lacks("accelerators", reason, _IN_A_POD)
    else:
        _put_accelerators(machine, all_labels, value_at(node, "status"))
    kept = _kept_labels(node, all_labels, is_ready=state is not None)
    return Entry(machine.record(name, kept), place=place)


# a figure from here on is of bytes, below it of MiB: older releases of GPU feature discovery
_LEAST_BYTES = 10_000_000
_MIG = re.compile(r"nvidia\.com/(mig-[0-9a-z.+-]{1,40})\.count", re.ASCII)
# NVIDIA's and AMD's devices on the PCI bus
_PCI = re.compile(
    r"feature\.node\.kubernetes\.io/pci-(?:03[0-9a-f]{2}_)?(10de|1002)\.present"
)
_RESOURCE = re.compile(r"(?:nvidia|amd|gpu\.intel)\.com/")
_NONE_OFFERED = (
    "the node has GPUs but offers none of them to pods: they are unhealthy, or their device"
    " plugin does not run",
    "see `kubectl describe node NAME` and the log of the device plugin",
)


def _put_accelerators(
    machine: MachineDraft, all_labels: Answer, status: object
) -> None:
    labelled = _labelled_cards(all_labels, status)
    cards = [card for _, offered, card in labelled for _ in range(offered)]
    missing = sum(number for number, _, _ in labelled) - len(cards)
    capacity = value_at(status, "capacity")
    if cards:
        without = f"; {missing} that pods cannot get are not counted" if missing else ""
        source = f"labels and resources of the node{without}"
        machine.put_accelerators(cards, source, _GPU_DISCOVERY)
    elif missing:
        machine.lacks("accelerators", *_NONE_OFFERED)
    elif any(map(_PCI.fullmatch, all_labels)):
        reason = (
            "a label names a PCI device of NVIDIA or AMD, but the node offers no GPU"
        )
        machine.lacks("accelerators", reason, _GPU_DISCOVERY)
    elif isinstance(capacity, Mapping) and not any(
        map(_RESOURCE.match, map(str, capacity))
    ):
        source = "node, status.capacity: no resource of a GPU, so pods get none"
        machine.put("accelerators", [], source)


def _offered(number: int, resource: str, status: object) -> int:
    """How many pods may get: an unhealthy device is in the capacity, and no longer allocatable."""
    devices, healthy = (
        value_at(status, each, resource) for each in ("capacity", "allocatable")
    )
    if devices is None or healthy is None:
        return number
    # shares of a card are devices of their own
    whole_number = number_of_cards(devices)
    return number * min(number_of_cards(healthy), whole_number) // (whole_number or 1)


def _labelled_cards(all_labels: Answer, status: object) -> list[tuple[int, int, Card]]:
    """Their number, how many of them pods may get, and the card, by GPU feature discovery
    (NVIDIA/k8s-device-plugin): `gpu.count` are cards, or instances where the only strategy is MIG;
    the resource counts shares of a card.
    """
    own = {key.removeprefix("nvidia.com/"): value for key, value in all_labels.items()}
    replicas = number_of_cards(own.get("gpu.replicas")) or 1
    offered = (
        number_of_cards(value_at(status, "capacity", "nvidia.com/gpu")) // replicas
    )
    parts = [match[1] for key in all_labels if (match := _MIG.fullmatch(key))]
    is_stated = isinstance(value_at(status, "capacity"), Mapping)
    # beside instances divided cards are counted, too; what the node offers is whole
    number = (
        offered
        if parts and is_stated
        else number_of_cards(own.get("gpu.count")) or offered
    )
    shares = replicas if own.get("gpu.sharing-strategy") == "mps" else 1
    cards = []
    if number:
        healthy = _offered(number, "nvidia.com/gpu", status)
        cards.append(
            (number, healthy, _labelled_card(own, "gpu", "NVIDIA-GPU", shares))
        )
    for part in parts[:MOST_CARDS]:
        card = _labelled_card(own, part, f"NVIDIA-GPU-MIG-{part[4:]}", is_part=True)
        number = number_of_cards(own.get(f"{part}.count"))
        cards.append((number, _offered(number, f"nvidia.com/{part}", status), card))
    return cards


def _labelled_card(
    own: Answer, prefix: str, name: str, shares: int = 1, *, is_part: bool = False
) -> Card:
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


def _kept_labels(node: Answer, all_labels: Answer, *, is_ready: bool) -> dict[str, str]:
    """Those that make classes of machines; none of the others, which anybody may write."""
    table = table_of("kubernetes")
    # key and effect of what keeps pods away
    stated = [
        (plain(each.get("key"), 120), each.get("effect"))
        for each in rows_of(node, "spec", "taints")
    ]
    taints = [(key, effect) for key, effect in stated if key and effect in _EFFECTS]
    own = [
        key.removeprefix(_CONDITION) for key, _ in taints if key.startswith(_CONDITION)
    ]
    states = ["cordoned"] if value_at(node, "spec", "unschedulable") is True else []
    states += [state for state in own if state != "unschedulable"]
    if not states and is_ready:
        states = ["ready"]
    roles = (key.removeprefix(_ROLE) for key in all_labels if key.startswith(_ROLE))
    kept = {
        key: all_labels.get(label) for key, label in table["kept_labels"].items()
    } | {
        "pool": next(
            (all_labels[key] for key in table["pool_labels"] if key in all_labels), None
        ),
        "role": sorted(filter(None, roles)),
        "state": states,
        "taints": [
            f"{key}:{eff}" for key, eff in taints if not key.startswith(_CONDITION)
        ],
    }
    return labels("kubernetes", kept)


# the machines of a JSON document of that file; None where it is no answer of the system
READERS: Mapping[str, Callable[[Answer, str], list[Entry] | None]] = {
    "ansible": read_ansible,
    "kubernetes": read_kubernetes,
    "prometheus": read_prometheus,
}
