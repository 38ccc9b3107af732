"""Salt, Puppet, Nomad, Ray and Dask: what their rows in `specs/common/systems.toml` cannot say.

Several nodes of Ray and workers of Dask may be on one host, and are not added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...core import units
from ...core.reading import Unreadable
from ...machine.record import MEMORY_FILESYSTEMS
from ._accelerators import Kind, by_word, number_of, put_accelerators
from ._facts import (
    MAX_NAME,
    SOME_HOME,
    Facts,
    class_labels,
    entry,
    labels,
    machine_name,
    memory,
    moment,
    plain,
    product,
    put_disks,
    rows_of,
    volume_of,
    whole,
)
from ._system import Answers, Entry, not_judged

_CONTAINERS = frozenset((
    "container", "crio", "docker", "lxc", "nspawn", "openvz", "openvzve", "podman",
    "systemd_nspawn",
))  # fmt: skip
# what lspci calls a card that computes nothing: those of servers' remote consoles and of VMs
_WITHOUT_COMPUTE = ("matrox", "aspeed", "cirrus", "vmware", "bochs", "qxl", "virtio", "hyper-v")
_MAKERS = {"nvidia": "nvidia", "amd": "amd", "ati": "amd", "intel": "intel"}
# of a card's memory, as Nomad writes them
_UNITS = {
    "KiB": units.KIB, "kB": 10**3, "MiB": units.MIB, "MB": units.MB, "GiB": units.GIB,
    "GB": units.GB,
}  # fmt: skip
_TYPE = "accelerator_type:"


class SaltAnswers(Answers):
    """Grains by minion. `salt-call` gives them as those of `local`."""

    system = "salt"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        if _are_grains(document):
            return [Entry(_minion(document, None))]
        if not any(map(_are_grains, document.values())):
            return None
        # of a minion that called itself, `local` is no name
        return [
            Entry(_minion(grains, None if minion == "local" else minion))
            if _are_grains(grains)
            else not_judged(machine_name(minion), "Salt got no grains of it")
            for minion, grains in document.items()
        ]


def _are_grains(value: Any) -> bool:
    return isinstance(value, Mapping) and ("saltversion" in value or "cpuarch" in value)


def _minion(grains: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    machine = Facts("salt")
    machine.read_rows(grains)
    virtual, kind = plain(grains.get("virtual"), 60), plain(grains.get("virtual_subtype"), 60)
    scope = {None: None, "physical": "host"}.get(virtual, "vm")
    if virtual in _CONTAINERS or (kind or "").lower() in _CONTAINERS:
        scope = "container"
        machine.lack_in_container("Salt", virtual)
    machine.put("scope", scope, "salt, virtual")
    machine.limit_to_total()
    flags = grains.get("cpu_flags")
    if isinstance(flags, list) and flags:
        names = {text for flag in flags[:1000] if (text := plain(flag, 60)) and " " not in text}
        machine.put("instruction_sets", sorted(names), "salt, cpu_flags")
    if isinstance(grains.get("gpus"), list):
        kinds = [
            Kind(vendor=_MAKERS[maker], name=model)
            for row in rows_of(grains, "gpus")
            if (model := plain(row.get("model"), 120))
            and (maker := (plain(row.get("vendor"), 60) or "").lower()) in _MAKERS
            and not any(word in model.lower() for word in _WITHOUT_COMPUTE)
        ]
        put_accelerators(machine, kinds, "salt, gpus: names of lspci, without what they hold")
    machine.lack_rows()
    kept = labels("salt", {key: grains.get(key) for key in ("os", "osrelease", "roles")})
    return machine.record(machine_name(name, grains.get("id"), grains.get("host")), kept)


class PuppetAnswers(Answers):
    """Facts alone, or of PuppetDB's inventory `{"certname": …, "facts": {…}}`."""

    system = "puppet"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        facts = document.get("facts")
        if "certname" in document and isinstance(facts, Mapping):
            return [Entry(_facts_of_host(facts, document))]
        if "facterversion" in document or entry(document, "memory", "system") is not None:
            return [Entry(_facts_of_host(document, {}))]
        return None


def _facts_of_host(facts: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The record, with the name and the time of PuppetDB's row."""
    machine = Facts("puppet")
    machine.put("read_at", moment(row.get("timestamp")), "PuppetDB's inventory, timestamp")
    container = plain(facts.get("virtual"), 60)
    if container in _CONTAINERS:
        machine.lack_in_container("facter", container)
        machine.put("scope", "container", "facter, virtual")
    elif facts.get("is_virtual") in (True, False):
        machine.put("scope", "vm" if facts["is_virtual"] else "host", "facter, is_virtual")
    machine.read_rows(facts)
    machine.limit_to_total()
    processors = facts.get("processors")
    machine.put(
        "cpu_cores_physical",
        product(entry(processors, "physicalcount"), entry(processors, "cores")),
        "facter, processors.physicalcount times processors.cores",
    )
    mounts = facts.get("mountpoints")
    columns = ("available_bytes", "size_bytes", "filesystem")
    volumes = [
        (mount, *(entry(row, column) for column in columns))
        for mount, row in (mounts if isinstance(mounts, Mapping) else {}).items()
    ]
    if (volume := volume_of(volumes, SOME_HOME)) is not None:
        source = f"facter, mountpoints, available_bytes of {volume[0]}: the home folder is taken"
        put_disks(machine, volume, f"{source} to be {SOME_HOME}")
    names = [entry(facts, "networking", key) for key in ("fqdn", "hostname")]
    release = {
        "os": entry(facts, "os", "name"),
        "os_release": entry(facts, "os", "release", "full"),
    }
    return machine.record(machine_name(row.get("certname"), *names), labels("puppet", release))


class NomadAnswers(Answers):
    """Nodes with their attributes; the list of `nomad node status -json` alone has none."""

    system = "nomad"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        if "SchedulingEligibility" not in document and document.get("NodeResources") is None:
            return None
        status, attributes = document.get("Status"), document.get("Attributes")
        if status in ("down", "disconnected"):
            return [not_judged(machine_name(document.get("Name")), f"Nomad calls it {status}")]
        if isinstance(attributes, Mapping):
            return [Entry(_node(document, attributes))]
        reason = "is a node of Nomad's list, which leaves its attributes out"
        return [Entry(fault=Unreadable(reason, f"ask for each node: `{self.command}`"))]


def _node(node: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    machine = Facts("nomad")
    machine.read_rows(attributes)
    machine.limit_to_budget(
        entry(node, "ReservedResources", "Memory", "MemoryMB"),
        "nomad, memory.totalbytes less ReservedResources: a budget of all allocations",
    )
    free, total, kind = (
        attributes.get(f"unique.storage.{key}") for key in ("bytesfree", "bytestotal", "volume")
    )
    # the kind tells only that the folder lies in memory
    volume = "/", free, total, kind if plain(kind) in MEMORY_FILESYSTEMS else None
    source = "nomad, unique.storage.bytesfree: the volume of the allocation directory"
    put_disks(machine, volume, source, folder="the allocation directory")
    devices = rows_of(node, "NodeResources", "Devices")
    if kinds := [_device(device) for device in devices if device.get("Type") == "gpu"]:
        put_accelerators(machine, kinds, "nomad, NodeResources.Devices")
    machine.lack_rows()
    is_eligible = node.get("SchedulingEligibility") != "ineligible"
    kept = {
        "class": node.get("NodeClass"),
        "datacenter": node.get("Datacenter"),
        "pool": node.get("NodePool"),
        "state": node.get("Status") if is_eligible else "ineligible",
        "instance-type": attributes.get("platform.aws.instance-type"),
    }
    name = machine_name(node.get("Name"), attributes.get("unique.hostname"))
    return machine.record(name, labels("nomad", kept))


def _device(device: Mapping[str, Any]) -> Kind:
    """The cards of a device; an instance that is not healthy does not count."""
    healthy = [row for row in rows_of(device, "Instances") if row.get("Healthy") is not False]
    size = entry(device, "Attributes", "memory")
    unit = _UNITS.get(plain(entry(size, "Unit")) or "")
    return Kind(
        vendor=(plain(device.get("Vendor"), 60) or "unknown").lower(),
        name=plain(device.get("Name"), 120) or "GPU",
        number=number_of(len(healthy)),
        memory_total_bytes=memory(entry(size, "Int"), unit) if unit else None,
        driver=plain(entry(device, "Attributes", "driver_version", "String"), 60),
    )


class _OnHosts(Answers):
    """Answers of systems that may run several nodes on one host.

    Hosts are called by their own names, or numbered where only an address is known: it tells hosts
    of one name apart, and is not kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hosts: dict[str, str] = {}

    def host(self, address: Any, name: Any = None) -> str | None:
        """The name of a node's host; None where nothing tells which it is."""
        key = plain(address, MAX_NAME) or plain(name, MAX_NAME)
        if key is not None and key not in self._hosts:
            number = len(self._hosts) + 1
            chosen = machine_name(address if name is None else name) or f"host-{number}"
            is_taken = chosen in self._hosts.values()
            self._hosts[key] = f"{chosen}#{number}" if is_taken else chosen
        return None if key is None else self._hosts[key]


class RayAnswers(_OnHosts):
    """A list of nodes; those that are dead are no machines."""

    system = "ray"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        identity = plain(document.get("NodeID")) or plain(document.get("node_id"))
        resources = document.get("Resources") or document.get("resources_total")
        if identity is None or not isinstance(resources, Mapping):
            return None
        hostname = document.get("NodeManagerHostname")
        name = f"{machine_name(hostname, document.get('node_name')) or 'ray'}/{identity[:8]}"
        if document.get("Alive") is False or document.get("state") == "DEAD":
            return [not_judged(name, "Ray calls it dead")]
        machine = Facts("ray")
        machine.read_rows(resources)
        number = number_of(resources.get("GPU"))
        words = [key[len(_TYPE) :][:60] for key in resources if key.startswith(_TYPE)]
        kind = by_word(words[0], number) if words else Kind(vendor="unknown", name="GPU")
        counted = "ray, Resources.GPU and accelerator_type: a count without memory"
        source = counted if number else "ray, Resources: no GPU, so tasks get none"
        put_accelerators(machine, [kind.replace(number=number)], source)
        kept = class_labels(document.get("Labels") or document.get("labels"))
        address = document.get("NodeManagerAddress") or document.get("node_ip")
        kept["host"] = self.host(address, hostname)
        return [Entry(machine.record(name, labels("ray", kept)))]


class DaskAnswers(_OnHosts):
    """The workers of a scheduler, by their addresses, which are not kept."""

    system = "dask"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        workers = document.get("workers")
        if not isinstance(workers, Mapping):
            return None
        is_worker = [entry(worker, "nthreads") is not None for worker in workers.values()]
        if document.get("type") != "Scheduler" and not any(is_worker):
            return None
        return [
            Entry(self._worker(worker), place=f"workers[{number}]")
            if is_worker[number]
            else self.broken(worker, f"workers[{number}]")
            for number, worker in enumerate(workers.values())
        ]

    def _worker(self, worker: Mapping[str, Any]) -> dict[str, Any]:
        machine = Facts("dask")
        if worker.get("memory_limit") == 0:
            reason = "memory_limit is 0, which sets the worker no limit"
            machine.lacks("memory_limit_bytes", reason)
        machine.read_rows(worker)
        if name := plain(entry(worker, "gpu", "name"), 120):
            total = memory(entry(worker, "gpu", "memory-total"))
            used = whole(entry(worker, "metrics", "gpu", "memory-used"))
            free = None if total is None or used is None else max(total - used, 0)
            card = Kind(
                vendor="nvidia", name=name, memory_total_bytes=total, memory_free_bytes=free
            )
            put_accelerators(machine, [card], "dask, gpu of the worker, as NVML says")
        given = worker.get("name", worker.get("id"))
        word = machine_name(given) if isinstance(given, str) else whole(given)
        kept = labels("dask", {"host": self.host(worker.get("host"))})
        return machine.record(None if word is None else f"dask-worker-{word}", kept)


_ALL: Iterable[type[Answers]] = (SaltAnswers, PuppetAnswers, NomadAnswers, RayAnswers, DaskAnswers)
READERS = {answers.system: answers for answers in _ALL}
