"""Dask: `client.scheduler_info()` as JSON.

`memory_limit` is the budget of a worker in bytes, which its nanny enforces, and `nthreads` its
threads (https://distributed.dask.org/en/stable/worker-memory.html). Several workers may be on one
host, and are not added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ._accelerators import Kind, put_accelerators
from ._facts import RECORD_IT, Facts, Hosts, entry, labels, machine_name, memory, plain, whole
from ._system import Answers, RecordOrFault

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ._system import Path


class DaskAnswers(Answers):
    """The workers of a scheduler, by their addresses, which are not kept."""

    system = "dask"
    title = "Dask"
    command = 'python -c "… print(json.dumps(Client(ADDRESS).scheduler_info(n_workers=-1)))"'
    marks = ('"Scheduler"', '"workers"')
    opened = (("workers",),)

    def __init__(self) -> None:
        super().__init__()
        self._hosts = Hosts()

    def claims(self, path: Path, value: Any) -> bool:
        return len(path) == 2 and path[0] == "workers" and entry(value, "nthreads") is not None

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        return members.get("type") == "Scheduler" and "workers" in members

    def part(self, path: Path, value: Any, file: str) -> Iterator[RecordOrFault]:
        if path[0] == "workers" and len(path) == 2:
            is_worker = self.claims(path, value)
            if is_worker:
                yield RecordOrFault(_record(value, self._hosts.name(value.get("host"))))
            else:
                yield self.broken(value)


READER = DaskAnswers


def _record(worker: Mapping[str, Any], host: str | None) -> dict[str, Any]:
    machine = Facts()
    limit = worker.get("memory_limit")
    if limit == 0:
        machine.lacks("memory_limit_bytes", "memory_limit is 0, which sets the worker no limit")
    machine.put_size(
        "memory_limit_bytes", limit or None, "dask, memory_limit: a budget, of this worker alone"
    )
    machine.put_cores(worker.get("nthreads"), "dask, nthreads: a budget")
    name = plain(entry(worker, "gpu", "name"), 120)
    if name is not None:
        total = memory(entry(worker, "gpu", "memory-total"))
        used = whole(entry(worker, "metrics", "gpu", "memory-used"))
        free = None if total is None or used is None else max(total - used, 0)
        card = Kind(vendor="nvidia", name=name, memory_total_bytes=total, memory_free_bytes=free)
        put_accelerators(machine, [card], "dask, gpu of the worker, as NVML says", RECORD_IT)
    machine.lacks(
        ("memory_total_bytes", "memory_available_bytes", "memory_limit_bytes", "disks", "system",
         "architecture", "instruction_sets", "cpu_model", "cpu_cores_physical", "scope", "read_at",
         "cpu_cores_performance", "cpu_cores_usable", "memory_bandwidth_bytes_per_second",
         "swap_free_bytes", "models_present", "runtimes", "accelerators"),
        "Dask keeps budgets of workers, and not this",
        "run `selfhost machine --format json` on each worker with Client.run",
    )  # fmt: skip
    given = worker.get("name", worker.get("id"))
    word = machine_name(given) if isinstance(given, str) else whole(given)
    return machine.record(
        None if word is None else f"dask-worker-{word}", labels("dask", {"host": host})
    )
