"""What the pace of a model asks of a machine."""

from __future__ import annotations

from helpers.desktops import machine_with
from selfhost import Workload
from selfhost.catalogue.opened import open_catalogue
from selfhost.machine.record import Accelerator, Machine
from selfhost.verdict.pacing import _burden, can_be_measured
from selfhost.verdict.question import ask


def test_measuring_is_a_way_where_nothing_rules_it_out() -> None:
    """Neither of an emulated processor, nor within half a core's quota, nor once it was in vain."""
    machine = Machine(memory_available_bytes=2**34, cpu_cores_usable=4.0)
    assert can_be_measured(machine)
    for change in (
        {"emulated_on": "arm64"},
        {"cpu_cores_usable": 0.5},
        {"measured_in_vain": True},
        {"memory_bandwidth_bytes_per_second": 10**10},
        {"planning": True},
    ):
        assert not can_be_measured(machine.replace(**change))


def test_a_model_of_unknown_layers_answers_for_none_whose_layers_count() -> None:
    """With MLX the range of the latter rests on runs, that of the former on a guess: 0.5 to 1.7 of the likely pace, not 0.7 to 1.4."""
    machine = machine_with(
        accelerators=(Accelerator(vendor="apple", name="Apple M3 Ultra", unified=True),),
        system="macos",
        architecture="aarch64",
        cpu_model="Apple M3 Ultra",
    )
    catalogue = open_catalogue()
    unknown, known = (
        _burden(ask(catalogue.spec(id), Workload(runtime="mlx"), catalogue, machine))
        for id in ("longcat-flash-chat", "deepseek-v3.1")
    )
    assert unknown is not None
    assert known is not None
    assert unknown[0] != known[0]
