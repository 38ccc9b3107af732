"""What the pace of a model asks of a machine."""

from __future__ import annotations

from selfhost.judge.pace.pacing import how_to_measure
from selfhost.machine.record import Machine


def test_measuring_is_a_way_where_nothing_rules_it_out() -> None:
    """Neither of an emulated processor, nor within half a core's quota, nor once it was in vain."""
    machine = Machine(memory_available_bytes=2**34, cpu_cores_usable=4.0)
    assert how_to_measure(machine)
    for change in (
        {"emulated_on": "arm64"},
        {"cpu_cores_usable": 0.5},
        {"measured_in_vain": True},
        {"memory_bandwidth_bytes_per_second": 10**10},
        {"planning": True},
    ):
        assert not how_to_measure(machine.replace(**change))
