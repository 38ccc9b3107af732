"""AWS: `aws ec2 describe-instance-types`, machines that one can rent and does not have yet.

Memory is what is sold, in MiB; the guest's MemTotal is less. Karpenter, which must place pods on
machines that do not run yet, takes 7.5 % off where it has not seen the type
(https://karpenter.sh/docs/reference/settings/, VM_MEMORY_OVERHEAD_PERCENT); so does this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ...core import units
from ...machine.changes import planned
from ...machine.record import PURPOSES, Machine
from ._accelerators import Kind, number_of, put_accelerators
from ._facts import Facts, entry, labels, memory, plain, put_disks, rows_of, whole
from ._system import Answers, Entry

# in thousandths
KEPT_OF_MEMORY = 925
# the architecture that is judged, where a type has several
_ARCHITECTURES = ("x86_64", "arm64", "arm64_mac", "x86_64_mac", "i386")


class AwsAnswers(Answers):
    """Instance types, whole or as `--query InstanceTypes` gives them."""

    system = "aws"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        kinds = document.get("InstanceTypes")
        if isinstance(kinds, list):
            return [
                self.broken(kind, f"InstanceTypes[{number}]")
                if entry(kind, "InstanceType") is None
                else Entry(_record(kind), place=f"InstanceTypes[{number}]")
                for number, kind in enumerate(kinds)
            ]
        is_kind = "InstanceType" in document and "MemoryInfo" in document
        return [Entry(_record(document))] if is_kind else None


READERS = {"aws": AwsAnswers}


def _record(kind: Mapping[str, Any]) -> dict[str, Any]:
    machine = Facts("aws")
    listed = entry(kind, "ProcessorInfo", "SupportedArchitectures")
    listed = listed if isinstance(listed, list) else []
    chosen = next((name for name in _ARCHITECTURES if name in listed), "")
    is_mac = chosen.endswith("_mac")
    if chosen:
        source = "aws, SupportedArchitectures; Linux is taken where it names no Mac"
        architecture = {"arm64": "aarch64", "i386": "i686"}
        word = chosen.removesuffix("_mac")
        machine.put("system", "macos" if is_mac else "linux", source)
        machine.put("architecture", architecture.get(word, word), source)
    if chosen.startswith("arm64") and entry(kind, "VCpuInfo", "DefaultThreadsPerCore") != 1:
        # of Apple's chips AWS halves the cores
        reason = "AWS states two threads a core of a processor that has one"
        machine.lacks("cpu_cores_physical", reason)
    machine.read_rows(kind)
    machine.limit_to_total()
    sold = machine.values.get("memory_total_bytes")
    source = (
        "aws, MemoryInfo.SizeInMiB less 7.5 %, which Karpenter takes off a type that it has not"
        " seen: the guest's MemTotal is less than what is sold"
    )
    machine.put("memory_limit_bytes", sold and sold * KEPT_OF_MEMORY // 1000, source)
    if is_mac:
        machine.lacks("accelerators", "AWS does not list the GPU of Apple's chip")
    else:
        _put_cards(machine, kind)
    assumed = _put_storage(machine, kind)
    if kind.get("BareMetal") in (True, False):
        machine.put("scope", "host" if kind["BareMetal"] else "vm", "aws, BareMetal")
    sets, source = _assumed_sets(machine.values.get("system"), machine.values.get("architecture"))
    if sets is not None:
        machine.put("instruction_sets", list(sets), source)
        assumed.append("instruction_sets")
    machine.values |= {"planning": True, "assumed": assumed}
    is_current = kind.get("CurrentGeneration")
    generation = {"True": "current", "False": "previous"}.get(str(is_current))
    maker, name = entry(kind, "ProcessorInfo", "Manufacturer"), plain(kind.get("InstanceType"), 60)
    kept = {"instance-type": name, "generation": generation, "maker": maker}
    return machine.record(name, labels("aws", kept))


def _put_cards(machine: Facts, kind: Mapping[str, Any]) -> None:
    rows = rows_of(kind, "GpuInfo", "Gpus")
    # both tables list the same devices; the older one leaves Trainium out
    rows += rows_of(kind, "InferenceAcceleratorInfo", "Accelerators") or [
        {"Manufacturer": "AWS", **row} for row in rows_of(kind, "NeuronInfo", "NeuronDevices")
    ]
    kinds = []
    for row in rows:
        maker = plain(row.get("Manufacturer"), 60) or "unknown"
        share = row.get("GpuPartitionSize")
        kinds.append(
            Kind(
                vendor=maker.lower(),
                name=f"{maker} {plain(row.get('Name'), 120) or 'GPU'}",
                number=number_of(row.get("LogicalGpuCount")) or number_of(row.get("Count")),
                memory_total_bytes=memory(entry(row, "MemoryInfo", "SizeInMiB"), units.MIB),
                # an eighth of a card has no bandwidth of its own
                is_part=isinstance(share, int | float) and 0 < share < 1,
            )
        )
    source = (
        "aws, GpuInfo: memory of each as sold" if kinds else "aws: no GpuInfo, so it has no GPU"
    )
    put_accelerators(machine, kinds, source)


def _put_storage(machine: Facts, kind: Mapping[str, Any]) -> list[str]:
    """The largest disk of the instance, as sold; else one is chosen. Which facts are assumed."""
    sizes = [
        size
        for row in rows_of(kind, "InstanceStorageInfo", "Disks")
        if (size := whole(row.get("SizeInGB"), units.GB, least=1))
    ]
    if not sizes:
        machine.lacks("disks", "its disk is chosen when it is started (EBS)")
        return ["disks"]
    source = (
        "aws, InstanceStorageInfo: the largest of its own disks, which are empty at its start and"
        " lost at its stop"
    )
    put_disks(machine, ("/", None, max(sizes), None), source, folder="its own disk")
    facts = [f"disks.{purpose}.free_bytes" for purpose in PURPOSES]
    machine.lacks(" ".join(facts), "it is chosen when the machine is started")
    return facts


@lru_cache(16)
def _assumed_sets(
    system: str | None, architecture: str | None
) -> tuple[tuple[str, ...] | None, str]:
    """What machines of this class are taken to have, as of profiles, and its source."""
    machine = planned(Machine(system=system, architecture=architecture))
    return machine.instruction_sets, machine.sources.get("instruction_sets", "")
