"""Puppet: `facter --json` of one host, or PuppetDB's inventory, a list of hosts with their facts.

Sizes are the facts whose names end in `_bytes` (https://www.puppet.com/docs/puppet/8/core_facts).
`processors.cores` are those of one package (lib/facter/facts/linux/processors.rb).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ._facts import (
    RECORD_IT,
    SOME_HOME,
    Facts,
    count,
    entry,
    labels,
    machine_name,
    moment,
    plain,
    put_disks,
    usable_volume,
    volume_of,
    whole,
)
from ._system import Answers, RecordOrFault

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


class PuppetAnswers(Answers):
    """Facts alone, or `{"certname": …, "facts": {…}}`."""

    system = "puppet"
    title = "Puppet's facter"
    command = "facter --json"
    marks = (
        '"facterversion"',
        '"processors"',
        '"certname"',
    )

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        if "certname" in members and isinstance(members.get("facts"), Mapping):
            return True
        return "facterversion" in members or entry(members, "memory", "system") is not None

    def whole(self, members: Mapping[str, Any], file: str) -> Iterator[RecordOrFault]:
        of_database = members.get("facts")
        if isinstance(of_database, Mapping):
            time = moment(members.get("timestamp"))
            yield RecordOrFault(_record(of_database, members.get("certname"), time))
        else:
            yield RecordOrFault(_record(members, None))


READER = PuppetAnswers


def _record(facts: Mapping[str, Any], certificate: Any, time: str | None = None) -> dict[str, Any]:
    """`time`: when PuppetDB got the facts, which themselves do not say."""
    machine = Facts()
    machine.put("read_at", time, "PuppetDB's inventory, timestamp")
    machine.put_platform(
        facts.get("kernel"), entry(facts, "os", "hardware"), "facter, kernel and os.hardware"
    )
    container = facts.get("virtual")
    is_container = isinstance(container, str) and container in _CONTAINERS
    system = entry(facts, "memory", "system")
    total, free = entry(system, "total_bytes"), entry(system, "available_bytes")
    if is_container:
        machine.put_size("memory_total_bytes", total, "facter, memory.system.total_bytes")
        machine.lacks(
            ("memory_limit_bytes", "memory_available_bytes"),
            f"facter ran in a container ({plain(container, 60)}), where it gives the memory of the"
            " host and not the container's limit",
        )
    else:
        machine.put_memory(total, "facter, memory.system.total_bytes")
        machine.put_available(free, "facter, memory.system.available_bytes")
    machine.put(
        "swap_free_bytes",
        whole(entry(facts, "memory", "swap", "available_bytes")),
        "facter, memory.swap.available_bytes",
    )
    if is_container:
        machine.put("scope", "container", "facter, virtual")
    elif facts.get("is_virtual") in (True, False):
        machine.put("scope", "vm" if facts["is_virtual"] else "host", "facter, is_virtual")
    _put_processor(machine, facts.get("processors"))
    _put_disks(machine, facts.get("mountpoints"))
    machine.lacks(
        ("instruction_sets", "accelerators", "models_present", "runtimes", "read_at",
         "memory_bandwidth_bytes_per_second", "cpu_cores_performance", "swap_free_bytes"),
        "facter does not state it",
    )  # fmt: skip
    name = machine_name(
        certificate, entry(facts, "networking", "fqdn"), entry(facts, "networking", "hostname")
    )
    return machine.record(name, _labels(facts))


_CONTAINERS = frozenset(("docker", "lxc", "openvz", "openvzve", "systemd_nspawn", "podman", "crio"))


def _put_processor(machine: Facts, processors: Any) -> None:
    packages, each = count(entry(processors, "physicalcount")), count(entry(processors, "cores"))
    if packages and each:
        machine.put(
            "cpu_cores_physical",
            packages * each,
            "facter, processors.physicalcount times processors.cores",
        )
    machine.put_cores(entry(processors, "count"), "facter, processors.count")
    models = entry(processors, "models")
    if isinstance(models, list) and models:
        machine.put("cpu_model", plain(models[0]), "facter, processors.models")


def _put_disks(machine: Facts, mounts: Any) -> None:
    volumes = [
        volume
        for mount, row in (mounts.items() if isinstance(mounts, Mapping) else ())
        if isinstance(row, Mapping)
        and (
            volume := usable_volume(
                mount, row.get("available_bytes"), row.get("size_bytes"), row.get("filesystem")
            )
        )
    ]
    volume = volume_of(volumes, SOME_HOME)
    if volume is not None:
        source = f"facter, mountpoints, available_bytes of {volume.mount}: the home folder is taken"
        put_disks(machine, volume, f"{source} to be {SOME_HOME}", RECORD_IT)
    machine.lacks("disks", "facter gives no mountpoints there")


def _labels(facts: Mapping[str, Any]) -> dict[str, str]:
    return labels(
        "puppet",
        {
            "os": entry(facts, "os", "name"),
            "os_release": entry(facts, "os", "release", "full"),
        },
    )
