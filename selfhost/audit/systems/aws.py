"""AWS: `aws ec2 describe-instance-types`, machines that one can rent and does not have yet.

Memory is what is sold, in MiB; the guest's MemTotal is less. Karpenter, which must place pods on
machines that do not run yet, takes 7.5 % off where it has not seen the type
(https://karpenter.sh/docs/reference/settings/, VM_MEMORY_OVERHEAD_PERCENT); so does this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from ...core import units
from ...machine.changes import planned
from ...machine.record import PURPOSES, Machine
from ._accelerators import Kind, number_of, put_accelerators
from ._facts import (
    RECORD_IT,
    Facts,
    Volume,
    cores,
    count,
    entry,
    labels,
    memory,
    plain,
    put_disks,
    whole,
)
from ._system import Answers, RecordOrFault

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ._system import Path

# in thousandths
KEPT_OF_MEMORY = 925
_TYPE: Path = ("InstanceTypes", "[]")
# the architecture that is judged, where a type has several
_ARCHITECTURES = ("x86_64", "arm64", "arm64_mac", "x86_64_mac", "i386")
_START_IT = "start one, and record it: `selfhost machine --format json`"


class AwsAnswers(Answers):
    """Instance types, whole or as `--query InstanceTypes` gives them."""

    system = "aws"
    title = "AWS"
    command = "aws ec2 describe-instance-types --output json"
    marks = ('"InstanceTypes"', '"InstanceType"')
    opened = (("InstanceTypes",),)

    def claims(self, path: Path, value: Any) -> bool:
        return path == _TYPE and entry(value, "InstanceType") is not None

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        return "InstanceTypes" in members or ("InstanceType" in members and "MemoryInfo" in members)

    def part(self, path: Path, value: Any, file: str) -> Iterator[RecordOrFault]:
        if path == _TYPE:
            is_type = self.claims(path, value)
            yield RecordOrFault(_record(value)) if is_type else self.broken(value)

    def whole(self, members: Mapping[str, Any], file: str) -> Iterator[RecordOrFault]:
        if "InstanceType" in members:
            yield RecordOrFault(_record(members))


READER = AwsAnswers


def _record(kind: Mapping[str, Any]) -> dict[str, Any]:
    machine = Facts()
    listed = entry(kind, "ProcessorInfo", "SupportedArchitectures")
    listed = listed if isinstance(listed, list) else []
    chosen = next((name for name in _ARCHITECTURES if name in listed), None)
    is_mac = chosen is not None and chosen.endswith("_mac")
    if chosen is not None:
        machine.put_platform(
            "macos" if is_mac else "linux",
            chosen.removesuffix("_mac"),
            "aws, SupportedArchitectures; Linux is taken where it names no Mac",
        )
    stated = entry(kind, "MemoryInfo", "SizeInMiB")
    source = "aws, MemoryInfo.SizeInMiB: what is sold"
    sold = machine.put_size("memory_total_bytes", stated, source, units.MIB)
    if sold is None:
        machine.put_size("memory_limit_bytes", stated, source, units.MIB)
    else:
        machine.put(
            "memory_limit_bytes",
            sold * KEPT_OF_MEMORY // 1000,
            "aws, MemoryInfo.SizeInMiB less 7.5 %, which Karpenter takes off a type that it has"
            " not seen: the guest's MemTotal is less than what is sold",
        )
    _put_processor(machine, kind, chosen)
    _put_cards(machine, kind, is_mac=is_mac)
    assumed = _put_storage(machine, kind)
    if kind.get("BareMetal") in (True, False):
        machine.put("scope", "host" if kind["BareMetal"] else "vm", "aws, BareMetal")
    sets = _assumed_sets(machine.values.get("system"), machine.values.get("architecture"))
    if sets is not None:
        machine.put("instruction_sets", list(sets[0]), sets[1])
        assumed.append("instruction_sets")
    machine.values |= {"planning": True, "assumed": assumed}
    machine.lacks(
        ("memory_available_bytes", "swap_free_bytes", "read_at", "models_present", "runtimes",
         "cpu_model", "cpu_cores_performance", "memory_bandwidth_bytes_per_second",
         "cpu_cores_physical", "system", "architecture", "memory_total_bytes",
         "memory_limit_bytes", "cpu_cores_usable", "scope", "instruction_sets"),
        "AWS does not state it of an instance type",
        _START_IT,
    )  # fmt: skip
    name = plain(kind.get("InstanceType"), 60)
    return machine.record(name, labels("aws", {"instance-type": name, **_shown(kind)}))


def _shown(kind: Mapping[str, Any]) -> dict[str, Any]:
    is_current = kind.get("CurrentGeneration")
    generation = (
        {True: "current", False: "previous"}.get(is_current)
        if is_current in (True, False)
        else None
    )
    return {"generation": generation, "maker": entry(kind, "ProcessorInfo", "Manufacturer")}


def _put_processor(machine: Facts, kind: Mapping[str, Any], chosen: str | None) -> None:
    machine.put(
        "cpu_cores_usable", cores(entry(kind, "VCpuInfo", "DefaultVCpus")), "aws, DefaultVCpus"
    )
    threads = entry(kind, "VCpuInfo", "DefaultThreadsPerCore")
    if chosen is not None and chosen.startswith("arm64") and threads != 1:
        # of Apple's chips AWS halves the cores
        machine.lacks(
            "cpu_cores_physical",
            "AWS states two threads a core of a processor that has one",
            _START_IT,
        )
    else:
        machine.put(
            "cpu_cores_physical",
            count(entry(kind, "VCpuInfo", "DefaultCores")),
            "aws, DefaultCores",
        )


def _put_cards(machine: Facts, kind: Mapping[str, Any], *, is_mac: bool) -> None:
    rows = _rows(kind, "GpuInfo", "Gpus")
    # both tables list the same devices; the older one leaves Trainium out
    rows += _rows(kind, "InferenceAcceleratorInfo", "Accelerators") or [
        {"Manufacturer": "AWS", **row} for row in _rows(kind, "NeuronInfo", "NeuronDevices")
    ]
    kinds = []
    for row in rows:
        maker = plain(row.get("Manufacturer"), 60) or "unknown"
        name = plain(row.get("Name"), 120) or "GPU"
        number = number_of(row.get("LogicalGpuCount")) or number_of(row.get("Count"))
        share = row.get("GpuPartitionSize")
        kinds.append(
            Kind(
                vendor=maker.lower(),
                name=f"{maker} {name}",
                number=number,
                memory_total_bytes=memory(entry(row, "MemoryInfo", "SizeInMiB"), units.MIB),
                # an eighth of a card has no bandwidth of its own
                is_part=isinstance(share, int | float) and 0 < share < 1,
            )
        )
    if is_mac:
        machine.lacks("accelerators", "AWS does not list the GPU of Apple's chip", _START_IT)
        return
    put_accelerators(
        machine,
        [card for card in kinds if card.number],
        "aws, GpuInfo: memory of each as sold" if kinds else "aws: no GpuInfo, so it has no GPU",
        _START_IT,
    )


def _rows(kind: Mapping[str, Any], table: str, key: str) -> list[Mapping[str, Any]]:
    rows = entry(kind, table, key)
    return [row for row in rows[:64] if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _put_storage(machine: Facts, kind: Mapping[str, Any]) -> list[str]:
    """The largest disk of the instance, as sold; else one is chosen. Which facts are assumed."""
    sizes = [
        size
        for row in _rows(kind, "InstanceStorageInfo", "Disks")
        if (size := whole(row.get("SizeInGB"), units.GB, least=1))
    ]
    if not sizes:
        machine.lacks("disks", "its disk is chosen when it is started (EBS)", _START_IT)
        return ["disks"]
    put_disks(
        machine,
        Volume("/", None, max(sizes), None),
        "aws, InstanceStorageInfo: the largest of its own disks, which are empty at its start"
        " and lost at its stop",
        RECORD_IT,
        folder="its own disk",
    )
    facts = [f"disks.{purpose}.free_bytes" for purpose in PURPOSES]
    machine.lacks(facts, "it is chosen when the machine is started", _START_IT)
    return facts


@lru_cache(16)
def _assumed_sets(
    system: str | None, architecture: str | None
) -> tuple[tuple[str, ...], str] | None:
    """What machines of this class are taken to have, as of profiles, and its source."""
    machine = planned(Machine(system=system, architecture=architecture))
    if machine.instruction_sets is None:
        return None
    return machine.instruction_sets, machine.sources["instruction_sets"]
