"""Nomad: `nomad node status -json ID`, the API's answer to /v1/node/ID, or a list of them.

Values of `Attributes` are text. `memory.totalbytes` is the host's, `cpu.numcores` counts threads,
`unique.storage.bytesfree` is of the volume of the allocation directory, `MemoryMB` is MiB
(https://developer.hashicorp.com/nomad/api-docs/nodes; client/fingerprint/memory.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...core import units
from ...machine.record import MEMORY_FILESYSTEMS
from ._accelerators import Kind, number_of, put_accelerators
from ._facts import (
    RECORD_IT,
    Facts,
    Volume,
    entry,
    labels,
    machine_name,
    memory,
    plain,
    put_disks,
    whole,
)
from ._system import Answers, RecordOrFault

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_UNITS = {
    "KiB": units.KIB, "kB": 10**3, "MiB": units.MIB, "MB": units.MB, "GiB": units.GIB,
    "GB": units.GB,
}  # fmt: skip


class NomadAnswers(Answers):
    """Nodes with their attributes; the list of `nomad node status -json` alone has none."""

    system = "nomad"
    title = "Nomad"
    command = "nomad node status -json ID"
    marks = ('"NodeResources"', '"memory.totalbytes"', '"SchedulingEligibility"')

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        return "SchedulingEligibility" in members or entry(members, "NodeResources") is not None

    def whole(self, members: Mapping[str, Any], file: str) -> Iterator[RecordOrFault]:
        status = members.get("Status")
        if status in ("down", "disconnected"):
            yield self.not_judged(machine_name(members.get("Name")), f"Nomad calls it {status}")
        elif isinstance(members.get("Attributes"), Mapping):
            yield RecordOrFault(_record(members, members["Attributes"]))
        else:
            yield RecordOrFault(
                fault="is a node of Nomad's list, which leaves its attributes out",
                remedy="ask for each node: `nomad node status -json ID`",
            )


READER = NomadAnswers


def _record(node: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    machine = Facts()
    machine.put_platform(
        attributes.get("kernel.name"), attributes.get("cpu.arch"), "nomad, kernel.name, cpu.arch"
    )
    stated = attributes.get("memory.totalbytes")
    total = machine.put_size("memory_total_bytes", stated, "nomad, memory.totalbytes")
    if total is None:
        machine.put_size("memory_limit_bytes", stated, "nomad, memory.totalbytes")
    else:
        machine.put_budget(
            total,
            entry(node, "ReservedResources", "Memory", "MemoryMB"),
            "nomad, memory.totalbytes less ReservedResources: a budget of all allocations",
            units.MIB,
        )
    machine.put_cores(attributes.get("cpu.numcores"), "nomad, cpu.numcores: threads")
    machine.put("cpu_model", plain(attributes.get("cpu.modelname")), "nomad, cpu.modelname")
    _put_storage(machine, attributes)
    _put_devices(machine, entry(node, "NodeResources", "Devices"))
    machine.lacks(
        "memory_available_bytes",
        "Nomad states what a node has and reserves, not what is free",
        RECORD_IT,
    )
    machine.lacks(
        "accelerators",
        "no device plugin of Nomad lists a GPU, which does not mean that there is none",
        "install the nomad-device-nvidia plugin",
    )
    machine.lacks(
        ("instruction_sets", "cpu_cores_physical", "scope", "read_at", "cpu_cores_performance",
         "memory_bandwidth_bytes_per_second", "swap_free_bytes", "models_present", "runtimes",
         "memory_total_bytes", "memory_limit_bytes", "cpu_cores_usable", "cpu_model", "disks",
         "system", "architecture"),
        "Nomad does not state it",
    )  # fmt: skip
    is_eligible = node.get("SchedulingEligibility") != "ineligible"
    kept_labels = {
        "class": node.get("NodeClass"),
        "datacenter": node.get("Datacenter"),
        "pool": node.get("NodePool"),
        "state": node.get("Status") if is_eligible else "ineligible",
        "instance-type": attributes.get("platform.aws.instance-type"),
    }
    name = machine_name(node.get("Name"), attributes.get("unique.hostname"))
    return machine.record(name, labels("nomad", kept_labels))


def _put_storage(machine: Facts, attributes: Mapping[str, Any]) -> None:
    volume = plain(attributes.get("unique.storage.volume"), 60)
    storage = Volume(
        "/",
        whole(attributes.get("unique.storage.bytesfree")),
        whole(attributes.get("unique.storage.bytestotal")),
        volume if volume in MEMORY_FILESYSTEMS else None,
    )
    put_disks(
        machine,
        storage,
        "nomad, unique.storage.bytesfree: the volume of the allocation directory",
        RECORD_IT,
        folder="the allocation directory",
    )


def _put_devices(machine: Facts, devices: Any) -> None:
    kinds = []
    for device in devices[:64] if isinstance(devices, list) else ():
        if entry(device, "Type") != "gpu":
            continue
        instances = entry(device, "Instances")
        healthy = [
            each
            for each in (instances if isinstance(instances, list) else ())
            if entry(each, "Healthy") is not False
        ]
        size = entry(device, "Attributes", "memory")
        unit = _UNITS.get(plain(entry(size, "Unit")) or "")
        kinds.append(
            Kind(
                vendor=(plain(entry(device, "Vendor"), 60) or "unknown").lower(),
                name=plain(entry(device, "Name"), 120) or "GPU",
                number=number_of(len(healthy)),
                memory_total_bytes=memory(entry(size, "Int"), unit) if unit else None,
                driver=plain(entry(device, "Attributes", "driver_version", "String"), 60),
            )
        )
    if kinds:
        put_accelerators(
            machine,
            [kind for kind in kinds if kind.number],
            "nomad, NodeResources.Devices",
            RECORD_IT,
        )
