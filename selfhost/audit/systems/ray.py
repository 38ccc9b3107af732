"""Ray: `ray.nodes()` as JSON, or `ray list nodes --detail --format json`.

`memory` of a node's resources is what Ray keeps for tasks, in bytes: a share of what was available
when it started, less the object store (python/ray/_private/resource_and_label_spec.py), or what
somebody set. Several nodes may be on one host, and are not added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ._accelerators import Kind, by_word, number_of, put_accelerators
from ._facts import RECORD_IT, Facts, Hosts, entry, labels, machine_name, of_classes, plain
from ._system import Answers, RecordOrFault

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_TYPE = "accelerator_type:"


class RayAnswers(Answers):
    """A list of nodes; those that are dead are no machines."""

    system = "ray"
    title = "Ray"
    command = "ray list nodes --detail --format json"
    marks = ('"NodeID"', '"node_id"')

    def __init__(self) -> None:
        super().__init__()
        self._hosts = Hosts()

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        return _identity(members) is not None and _resources(members) is not None

    def whole(self, members: Mapping[str, Any], file: str) -> Iterator[RecordOrFault]:
        if members.get("Alive") is False or members.get("state") == "DEAD":
            yield self.not_judged(_name(members), "Ray calls it dead")
        elif (resources := _resources(members)) is not None:
            yield RecordOrFault(_record(members, resources, self._host(members)))

    def _host(self, node: Mapping[str, Any]) -> str | None:
        address = node.get("NodeManagerAddress") or node.get("node_ip")
        return self._hosts.name(address, node.get("NodeManagerHostname"))


READER = RayAnswers


def _identity(node: Mapping[str, Any]) -> str | None:
    return plain(node.get("NodeID")) or plain(node.get("node_id"))


def _resources(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    resources = node.get("Resources") or node.get("resources_total")
    return resources if isinstance(resources, Mapping) else None


def _record(
    node: Mapping[str, Any], resources: Mapping[str, Any], host: str | None
) -> dict[str, Any]:
    machine = Facts()
    machine.put_size(
        "memory_limit_bytes",
        resources.get("memory"),
        "ray, Resources.memory: a budget, what Ray keeps for tasks of all that was available when"
        " it started",
        least=0,
    )
    machine.put_cores(resources.get("CPU"), "ray, Resources.CPU: a budget, perhaps set")
    number = number_of(resources.get("GPU"))
    words = [key[len(_TYPE) :] for key in resources if key.startswith(_TYPE)]
    kinds = [by_word(words[0][:60], number)] if words else [Kind(vendor="unknown", name="GPU")]
    put_accelerators(
        machine,
        [kind.replace(number=number) for kind in kinds if number],
        "ray, Resources.GPU and accelerator_type: a count without memory"
        if number
        else "ray, Resources: no GPU, so tasks get none",
        RECORD_IT,
    )
    machine.lacks(
        ("memory_total_bytes", "memory_available_bytes", "memory_limit_bytes", "disks", "system",
         "architecture", "instruction_sets", "cpu_model", "cpu_cores_physical", "scope", "read_at",
         "cpu_cores_performance", "cpu_cores_usable", "memory_bandwidth_bytes_per_second",
         "swap_free_bytes", "models_present", "runtimes"),
        "Ray keeps budgets of nodes, and not this",
        "run `selfhost machine --format json` as a Ray task on each node",
    )  # fmt: skip
    own = entry(node, "Labels") or entry(node, "labels")
    return machine.record(_name(node), labels("ray", {**of_classes(own), "host": host}))


def _name(node: Mapping[str, Any]) -> str:
    """The host's, and the start of the node's own: several nodes may be on one host."""
    host = machine_name(node.get("NodeManagerHostname"), node.get("node_name"))
    return f"{host or 'ray'}/{(_identity(node) or '')[:8]}"
