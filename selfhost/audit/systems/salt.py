"""Salt: `salt '*' grains.items --out json`, one object of minions, or one after the other.

`mem_total` and `swap_total` are MiB (salt/grains/core.py divides /proc/meminfo's kB by 1024);
`num_cpus` counts threads; `cpu_flags` are Linux's own names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...core import units
from ._accelerators import Kind, put_accelerators
from ._facts import Facts, labels, machine_name, plain
from ._system import Answers, RecordOrFault

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ._system import Path

_CONTAINERS = frozenset(("container", "docker", "lxc", "openvzve", "podman", "nspawn"))
_REMEDY = "record the minions: `salt '*' cmd.run 'selfhost machine --format json' --out json`"


class SaltAnswers(Answers):
    """Grains by minion. `salt-call` gives them as those of `local`."""

    system = "salt"
    title = "Salt"
    command = "salt '*' grains.items --out json --static"
    marks = (
        '"saltversion"',
        '"cpuarch"',
    )

    def claims(self, path: Path, value: Any) -> bool:
        return len(path) == 1 and _are_grains(value)

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        return _are_grains(members)

    def part(self, path: Path, value: Any, file: str) -> Iterator[RecordOrFault]:
        if _are_grains(value):
            yield RecordOrFault(_record(value, path[0]))
        elif len(path) == 1:
            yield self.not_judged(machine_name(path[0]), "Salt got no grains of it")

    def whole(self, members: Mapping[str, Any], file: str) -> Iterator[RecordOrFault]:
        if _are_grains(members):
            yield RecordOrFault(_record(members, None))


READER = SaltAnswers


def _are_grains(value: Any) -> bool:
    return isinstance(value, Mapping) and ("saltversion" in value or "cpuarch" in value)


def _record(grains: Mapping[str, Any], minion: str | None) -> dict[str, Any]:
    machine = Facts()
    machine.put_platform(grains.get("kernel"), grains.get("cpuarch"), "salt, kernel and cpuarch")
    total = grains.get("mem_total")
    virtual, kind = plain(grains.get("virtual"), 60), plain(grains.get("virtual_subtype"), 60)
    is_container = virtual in _CONTAINERS or (kind or "").lower() in _CONTAINERS
    source = "salt, mem_total, MiB rounded down"
    if is_container:
        machine.put_size("memory_total_bytes", total, source, units.MIB)
        machine.lacks(
            "memory_limit_bytes",
            f"Salt ran in a container ({virtual}), where mem_total is the memory of the host and"
            " not the container's limit",
            _REMEDY,
        )
    else:
        machine.put_memory(total, source, units.MIB)
    if virtual is not None:
        others = "host" if virtual == "physical" else "vm"
        machine.put("scope", "container" if is_container else others, "salt, virtual")
    machine.put_cores(grains.get("num_cpus"), "salt, num_cpus: its threads")
    machine.put("cpu_model", plain(grains.get("cpu_model")), "salt, cpu_model")
    flags = grains.get("cpu_flags")
    if isinstance(flags, list) and flags:
        names = [name for flag in flags[:1000] if (name := plain(flag, 60)) and " " not in name]
        machine.put("instruction_sets", sorted(set(names)), "salt, cpu_flags")
    _put_accelerators(machine, grains.get("gpus"))
    machine.lacks(
        ("memory_available_bytes", "swap_free_bytes"),
        "grains say what a minion has, not what is free",
        _REMEDY,
    )
    machine.lacks("disks", "grains name disks without what is free on them", _REMEDY)
    machine.lacks(
        ("cpu_cores_physical", "cpu_cores_performance", "memory_bandwidth_bytes_per_second",
         "models_present", "runtimes", "instruction_sets", "accelerators", "read_at"),
        "grains do not hold it",
        _REMEDY,
    )  # fmt: skip
    # of a minion that called itself, `local` is no name
    given = None if minion == "local" else minion
    return machine.record(
        machine_name(given, grains.get("id"), grains.get("host")), _labels(grains)
    )


# what lspci calls a card that computes nothing: those of servers' remote consoles and of VMs
_WITHOUT_COMPUTE = ("matrox", "aspeed", "cirrus", "vmware", "bochs", "qxl", "virtio", "hyper-v")
_MAKERS = {"nvidia": "nvidia", "amd": "amd", "ati": "amd", "intel": "intel"}


def _put_accelerators(machine: Facts, rows: Any) -> None:
    """Names alone: lspci's, with neither memory nor driver."""
    if not isinstance(rows, list):
        return
    kinds = []
    for row in rows[:64]:
        vendor = plain(row.get("vendor"), 60) if isinstance(row, Mapping) else None
        model = plain(row.get("model"), 120) if isinstance(row, Mapping) else None
        maker = _MAKERS.get((vendor or "").lower())
        if model is None or any(word in model.lower() for word in _WITHOUT_COMPUTE):
            continue
        if maker is not None:
            kinds.append(Kind(vendor=maker, name=model))
    put_accelerators(machine, kinds, "salt, gpus: names of lspci, without what they hold", _REMEDY)


def _labels(grains: Mapping[str, Any]) -> dict[str, str]:
    return labels(
        "salt",
        {
            "os": grains.get("os"),
            "osrelease": grains.get("osrelease"),
            "roles": grains.get("roles"),
        },
    )
