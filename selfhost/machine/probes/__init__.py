"""The only package that touches the machine. It opens no socket, writes nothing, and starts no
program but one that asks NVIDIA's driver.
"""

from __future__ import annotations

from collections.abc import Callable

from ..record import FACTS, Machine
from .accelerators import read_accelerators
from .cpu import (
    EMULATED,
    read_architecture,
    read_emulation,
    read_instruction_sets,
    read_model,
    read_performance,
    read_physical,
    read_scope,
    read_usable,
)
from .disk import read_disks
from .host import MEASURE, NATIVE, Found, Host
from .memory import read_available, read_limit, read_process_limits, read_swap, read_total
from .memory_limits import Limits, read_limits
from .present import read_models
from .software import read_runtimes

__all__ = ["Host", "read_machine"]


def read_machine(host: Host | None = None) -> Machine:
    """This computer, or the one `host` stands for. Never raises for what it cannot read: that
    becomes None with its reason.

    Takes a few milliseconds; at most some seconds where a network mount or a driver does not
    answer.
    """
    host = host or Host()
    facts = Found(host)
    limits = _limits(host) if host.system == "linux" else None
    probes: tuple[tuple[str, Callable[[Host, Found], None]], ...] = (
        ("read_at", _read_time),
        ("architecture", read_architecture),
        (EMULATED, read_emulation),
        ("scope", read_scope),
        ("memory_total_bytes", read_total),
        ("memory_limit_bytes", lambda host, facts: read_limit(host, facts, limits)),
        ("memory_available_bytes", lambda host, facts: read_available(host, facts, limits)),
        ("address_space_bytes", lambda host, facts: read_process_limits(host, facts, limits)),
        ("swap_free_bytes", lambda host, facts: read_swap(host, facts, limits)),
        ("cpu_model", read_model),
        ("cpu_cores_physical", read_physical),
        ("cpu_cores_performance", read_performance),
        ("cpu_cores_usable", read_usable),
        ("instruction_sets", read_instruction_sets),
        ("disks", read_disks),
        ("accelerators", read_accelerators),
        ("runtimes", read_runtimes),
        ("models_present", read_models),
    )
    facts.put("system", host.system, "sys.platform")
    for fact, probe in probes:
        # whatever goes wrong with one fact, psutil's own errors and a missing system library
        # included, spoils no other
        try:
            probe(host, facts)
        except Exception as error:
            if not facts.settled(fact):
                facts.miss(fact, f"reading it failed: {getattr(error, 'strerror', None) or error}")
    _miss_bandwidth(facts)
    for fact in FACTS:
        if not facts.settled(fact):
            facts.miss(fact, "it could not be read")
    return Machine(
        **facts.values,
        sources=facts.sources,
        unread=tuple(facts.unread[fact] for fact in sorted(facts.unread)),
    )


def _read_time(host: Host, facts: Found) -> None:
    now = host.read_at()
    if now:
        facts.put("read_at", now, "the system's clock")
    else:
        facts.miss("read_at", "the recorded tree does not say when it was read")


def _miss_bandwidth(facts: Found) -> None:
    reason, remedy = "the system does not state it, and it was not measured", MEASURE
    if EMULATED in facts.values:
        reason, remedy = "memory bandwidth does not limit an emulated processor", NATIVE
    facts.miss("memory_bandwidth_bytes_per_second", reason, remedy)


def _limits(host: Host) -> Limits:
    try:
        return read_limits(host)
    except Exception as error:
        failed = Limits()
        failed.why = f"reading the control groups failed: {error}"
        return failed
