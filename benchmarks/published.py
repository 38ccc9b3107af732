"""The rows of `tests/truth` that hold published runs, and the machines of these runs.

What goes in: the name of a file. What comes out: each run as a `Row`, a mapping by the file's
columns, and the `Machine` on which it ran. A file's `about` says what its columns mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from residuals import Answer

from selfhost import Machine
from selfhost.catalogue.index import open_catalogue
from selfhost.machine.gpus import vendor_of
from selfhost.machine.record import Accelerator

TRUTH = Path(__file__).parents[1] / "tests" / "truth"
GIB = 1 << 30
# the kinds of devices: a card has memory of its own, the others share or have only RAM
CARD = "card"
SHARES_RAM = "unified"
PROCESSOR = "processor"
# RAM beside a card, and memory of a device, where the source does not state it
_RAM_BYTES = 64 * GIB
_UNKNOWN_MEMORY_GB = 32
# words of a source that tell a virtual machine: notebooks of Colab are some
_WORDS_OF_VM = ("virtual machine", "Colab")
# instruction sets of most desktops of the runs; no rule of a GPU's pace depends on others
_X86_SETS = ("avx2", "avx512f", "avx512_bf16")

# a published run: a value for each column of its file
Row = Mapping[str, Any]


@cache
def document(file: str) -> Mapping[str, Any]:
    """A whole file of `tests/truth`."""
    text = (TRUTH / file).read_text(encoding="utf-8")
    values: Mapping[str, Any] = json.loads(text)
    return values


def rows(file: str, part: str = "rows") -> Iterator[Row]:
    """Each run of a file, or of another part of it than its `rows`."""
    values = document(file)
    key = "columns" if part == "rows" else f"{part}_columns"
    for line in values[part]:
        yield dict(zip(values[key], line, strict=True))


def rows_for(
    use: str,
    file: str,
    part: str = "rows",
) -> Iterator[Row]:
    """The runs of a file with that use: `fitted`, or `kept` out of each fit."""
    for row in rows(file, part):
        if row["use"] == use:
            yield row


def vendor_of_device(name: str) -> str:
    """The maker of a GPU or chip, in small letters."""
    return "apple" if name.startswith("Apple") else vendor_of(name)


def machine_of(
    device: str,
    kind: str,
    memory_gb: float | None,
) -> Machine:
    """A computer with that device, of which nothing was measured.

    `memory_gb` is the memory of a card, else of the whole computer; None where the source does not
    tell it.
    """
    size_gb = memory_gb or _UNKNOWN_MEMORY_GB
    size_bytes = int(size_gb * GIB)
    ram_bytes = size_bytes
    if kind == CARD or not memory_gb:
        ram_bytes = _RAM_BYTES
    is_apple = vendor_of_device(device) == "apple"
    is_arm = is_apple or "GB10" in device
    return Machine(
        system="macos" if is_apple else "linux",
        architecture="aarch64" if is_arm else "x86_64",
        scope="host",
        cpu_model="unknown" if kind == CARD else device,
        cpu_cores_physical=8,
        cpu_cores_usable=8.0,
        instruction_sets=None if is_arm else _X86_SETS,
        memory_total_bytes=ram_bytes,
        memory_limit_bytes=ram_bytes,
        memory_available_bytes=int(ram_bytes * 0.9),
        accelerators=_gpus_of(device, kind, size_bytes),
    )


def _gpus_of(
    device: str,
    kind: str,
    size_bytes: int,
) -> tuple[Accelerator, ...]:
    """The GPU of a computer with that device; none where the device is a processor."""
    if kind == PROCESSOR:
        return ()
    is_card = kind == CARD
    card = Accelerator(
        vendor=vendor_of_device(device),
        name=device,
        unified=not is_card,
        memory_total_bytes=size_bytes if is_card else None,
    )
    return (card,)


def in_stated_vm(machine: Machine, source: str) -> Machine:
    """The machine, as a virtual one where the words of the source say so."""
    for words in _WORDS_OF_VM:
        if words in source:
            return machine.replace(scope="vm")
    return machine


def machine_of_row(row: Row) -> Machine:
    """The computer of a run whose row names the device and its memory. A row without a kind is that
    of a card.
    """
    return machine_of(row["device"], row.get("kind", CARD), row["memory_gb"])


def with_cores(machine: Machine, cores: int) -> Machine:
    """That machine with so many cores at work."""
    return machine.replace(cpu_cores_physical=cores, cpu_cores_usable=float(cores))


def has_experts(spec_id: str) -> bool:
    """Whether the model is a mixture of experts."""
    architecture = open_catalogue().spec(spec_id).architecture
    if architecture is None:
        return False
    return any(group.experts for group in architecture.feed_forward)


def has_inactive_parameters(spec_id: str) -> bool:
    """Whether a token reads fewer parameters than the model has, as in a mixture of experts; True
    where only one of the two counts is known.
    """
    counts = open_catalogue().spec(spec_id).parameters
    return counts.active != counts.total


def model_and_type(row: Row) -> str:
    """The model of a run and its quantization, as the lines of the tables name them."""
    return f"{row['spec']} {row['quantization']}"


def device_class(row: Row, answer: Answer) -> str:
    """The maker of the run's GPU, and whether it shares the RAM or holds only a part."""
    name = vendor_of_device(row["device"])
    if row.get("kind") == SHARES_RAM:
        name += ", shares the RAM"
    if answer.is_split:
        name += ", partly in RAM"
    return name


def class_of_gpu(machine: Machine) -> str:
    """The maker of the machine's first GPU, and whether it shares the RAM; `processor` without a
    GPU.
    """
    card = next(iter(machine.accelerators or ()), None)
    if card is None:
        return PROCESSOR
    if card.unified:
        return f"{card.vendor}, shares the RAM"
    return card.vendor


def stated_backend(
    program: str,
    source: str,
    machine: Machine,
) -> dict[str, str]:
    """The option of llama.cpp for the backend that the words of the source name, for a machine with
    one Intel GPU; {} elsewhere.
    """
    cards = machine.accelerators or ()
    if program != "llama.cpp" or len(cards) != 1 or cards[0].vendor != "intel":
        return {}
    for backend in ("SYCL", "Vulkan"):
        if backend.lower() in source.lower():
            return {"dev": f"{backend}0"}
    return {}
