"""The only package that touches the machine. It opens no socket, writes nothing, and starts no
program but one that asks NVIDIA's driver.
"""

from __future__ import annotations

from collections.abc import Callable

from ..record import FACTS, Machine
from .accelerators import read_accelerators
from .cpu import read_architecture, read_cores, read_instruction_sets, read_model, read_usable
from .disk import read_disks
from .facts import Facts
from .host import NATIVE, Host, reason_of
from .memory import read_memory
from .present import read_models
from .scope import read_scope
from .software import read_runtimes

__all__ = ["Host", "read_machine"]

# in this order; what goes wrong with one spoils the facts of no other
_PROBES: tuple[tuple[Callable[[Host, Facts], None], str], ...] = (
    (read_architecture, "architecture"),
    (read_scope, "scope"),
    (
        read_memory,
        "memory_total_bytes memory_limit_bytes memory_available_bytes swap_free_bytes",
    ),
    (read_model, "cpu_model"),
    (read_cores, "cpu_cores_physical cpu_cores_performance"),
    (read_usable, "cpu_cores_usable"),
    (read_instruction_sets, "instruction_sets"),
    (read_disks, "disks"),
    (read_accelerators, "accelerators"),
    (read_runtimes, "runtimes"),
    (read_models, "models_present"),
)


def read_machine(host: Host | None = None) -> Machine:
    """This computer, or the one `host` stands for. Never raises for what it cannot read: that
    becomes None with its reason.

    Takes a few milliseconds; at most some seconds where a network mount or a driver does not
    answer.
    """
    host = host or Host()
    facts = Facts()
    facts.put("system", host.system, "sys.platform")
    if read_at := host.ask("read_at"):
        facts.put("read_at", read_at, "the system's clock")
    else:
        facts.miss("read_at", "the recorded tree does not say when it was read")
    for probe, names in _PROBES:
        try:
            probe(host, facts)
        # psutil's own errors and a missing system library included
        except Exception as error:
            for fact in names.split():
                facts.miss_unless_known(fact, f"reading it failed: {reason_of(error)}")
    bandwidth = "memory_bandwidth_bytes_per_second"
    if "emulated_on" in facts.values:
        facts.miss(bandwidth, "memory bandwidth does not limit an emulated processor", NATIVE)
    else:
        remedy = "measure it on the machine itself: `selfhost machine --measure`"
        facts.miss(bandwidth, "the system does not state it, and it was not measured", remedy)
    for fact in FACTS:
        facts.miss_unless_known(fact, "it could not be read")
    from .redact import redactor

    facts.map_texts(redactor(host))
    unread = tuple(facts.unread[fact] for fact in sorted(facts.unread))
    return Machine(**facts.values, sources=facts.sources, unread=unread)
