"""Machines inside another one: containers, WSL, and guests whose host's processor is told."""

import pytest

from selfhost.machine.named import machine_named, profile_named
from selfhost.machine.profiles import UnknownMachineError
from selfhost.verdict.memory_bandwidth import bandwidth

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "scope", "architecture", "usable", "gib"),
    [
        # a container takes all processors of its host unless `--cpus` limits it (docs.docker.com)
        ("docker 8gb epyc 7763", "container", "x86_64", 128, 8),
        ("docker 16gb 4 cpus ryzen 7 5800x", "container", "x86_64", 4, 16),
        ("docker --memory 8g --cpus 4", "container", "x86_64", 4, 8),
        ("lxc 4 cores 8gb proxmox n100", "container", "x86_64", 4, 8),
        ("kubernetes pod 4 cpu 8gi", "container", "x86_64", 4, 8),
        ("docker on raspberry pi 5 8gb", "container", "aarch64", 4, 8),
        ("vm 2 vcpu 8gb xeon 8370c", "vm", "x86_64", 2, 8),
        ("vm 4 vcpu 16gb ampere altra", "vm", "aarch64", 4, 16),
        ("oracle vm.standard.e4.flex 4 ocpu 64gb", "vm", "x86_64", 4, 64),
        ("virtualbox 4 cores 6144mb", "vm", "x86_64", 4, 6),
        ("4c8g", "vm", "x86_64", 4, 8),
        # WSL has half of the RAM by default (microsoft/WSL#9636)
        ("wsl2 i7-12700h 32gb", "vm", "x86_64", 20, 16),
    ],
)
def test_a_guest_has_what_is_said_of_it(
    text: str, scope: str, architecture: str, usable: float, gib: float
) -> None:
    machine = machine_named(text)
    assert (machine.scope, machine.architecture) == (scope, architecture)
    assert machine.cpu_cores_usable == usable
    assert machine.memory_limit_bytes == gib * GIB


def test_what_has_every_thread_of_a_processor_reads_as_fast_as_it() -> None:
    for inside, alone in (("docker 16gb", "64gb"), ("wsl2 32gb", "32gb")):
        guest, host = (bandwidth(machine_named(f"{each} i7-8550u")) for each in (inside, alone))
        assert guest is not None
        assert host is not None
        assert (guest.low, guest.high) == (host.low, host.high)


@pytest.mark.parametrize(
    ("text", "own"),
    [("aws m7i.large epyc 7763", "Xeon"), ("m7a.xlarge xeon 8488c", "EPYC")],
)
def test_a_clouds_type_keeps_its_processor_beside_one_of_another_maker(text: str, own: str) -> None:
    """Amazon lists Intel's for M7i and AMD's for M7a; Google's E2 runs on both."""
    named = profile_named(text)
    assert own in (named.profile.machine.cpu_model or "")
    assert "is rented on" in (named.note or "")
    assert machine_named("e2-standard-8 epyc 7b12").cpu_model == "epyc 7b12"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("docker on mac mini m4", "reaches no GPU"),
        ("thinkpad t14 gen 3 amd", "is listed with"),
        ("contabo vps m", "not how large it is"),
    ],
)
def test_what_contradicts_itself_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnknownMachineError, match=message) as refusal:
        machine_named(text)
    assert refusal.value.remedy


def test_stated_cores_of_a_kind_of_processor_are_no_assumption() -> None:
    machine = machine_named("16 core xeon 64gb")
    assert machine.cpu_cores_usable == 16
    assert not machine.assumes("cpu_cores_usable")
