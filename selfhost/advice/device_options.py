"""Which accelerators a program is told to use, and the words it has for them."""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.spec import RuntimeSpec
from ..machine.record import Accelerator, Machine
from ..verdict.devices import computes_on_shared, runs_on
from ..verdict.record import Judged


def _keys_of_shared(runtime: RuntimeSpec, machine: Machine) -> Iterator[str]:
    """Keys of `devices` that may name a GPU that shares the RAM, the best first: PyTorch calls all
    of NVIDIA's alike, in a Jetson or a DGX Spark as on a card.
    """
    for gpu in machine.accelerators or ():
        if gpu.unified and _runs_on_shared(runtime, gpu):
            yield f"{gpu.vendor}-unified"
            if gpu.vendor == "nvidia":
                yield gpu.vendor


def device_of(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> str | None:
    """The runtime's word for where the model is placed; None where it has none."""
    devices = runtime.devices
    placement = judged.needs.placement if judged.needs is not None else None
    if placement in (None, "host"):
        # a GPU that shares the RAM is used where the program can, whatever the placement is called
        shared = _keys_of_shared(runtime, machine)
        return next((devices[key] for key in shared if key in devices), devices.get("host"))
    memory = judged.needs.memory if judged.needs is not None else None
    places = {term.where for term in memory.terms} if memory is not None else set()
    if placement == "split" or len(places - {"host"}) > 1:
        return devices.get("several")
    vendors = {device.vendor for device in machine.accelerators or ()}
    return devices.get(vendors.pop()) if len(vendors) == 1 else devices.get("several")


def _runs_on_shared(runtime: RuntimeSpec, gpu: Accelerator) -> bool:
    """Whether the runtime uses that GPU, which shares the RAM."""
    return computes_on_shared(runtime, gpu) if gpu.vendor == "amd" else runs_on(runtime, gpu)


def devices_option(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> str:
    """What has the program use the accelerators that the model was judged on: several together, or
    some of those that are there; empty where it does by itself, or their names are not known.
    """
    used = devices_used(judged)
    if len(used) > 1 and runtime.tensor_parallel_option:
        return f" {runtime.tensor_parallel_option.replace('{devices}', str(len(used)))}"
    if len(used) == 1 and is_one_of_several(judged, machine) and runtime.one_device_option:
        return f" {runtime.one_device_option.replace('{device}', str(used[0]))}"
    names = names_of_some(runtime, judged, machine)
    return f" {runtime.some_devices_option.replace('{devices}', ','.join(names))}" if names else ""


def names_of_some(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> tuple[str, ...]:
    """What the program calls the accelerators that hold the model, where they are several and the
    machine has more; () elsewhere, or where its build is not known.
    """
    cards = machine.accelerators or ()
    if not is_some_of_several(judged, machine):
        return ()
    names = []
    for index in devices_used(judged):
        vendor = cards[index].vendor
        name = runtime.device_names.get(f"{machine.system}-{machine.architecture}-{vendor}")
        if name is None or cards[index].is_part:
            return ()
        number = sum(card.vendor == vendor for card in cards[:index])
        names.append(name.replace("{number}", str(number)))
    return tuple(names)


def devices_used(judged: Judged) -> list[int]:
    """The accelerators with memory of their own that hold a part of the model, by number."""
    memory = judged.needs.memory if judged.needs else None
    places = {term.where for term in memory.terms if term.where != "host"} if memory else set()
    return sorted(int(place.partition(":")[2]) for place in places)


def is_one_of_several(judged: Judged, machine: Machine) -> bool:
    """One accelerator holds all of the model, and the machine has more of them."""
    placement = judged.needs.placement if judged.needs is not None else None
    is_whole = placement == "accelerator" and len(devices_used(judged)) == 1
    return is_whole and len(machine.accelerators or ()) > 1


def is_some_of_several(judged: Judged, machine: Machine) -> bool:
    """Several accelerators hold all of the model, and the machine has more of them."""
    placement = judged.needs.placement if judged.needs is not None else None
    some = 1 < len(devices_used(judged)) < len(machine.accelerators or ())
    return placement == "accelerator" and some
