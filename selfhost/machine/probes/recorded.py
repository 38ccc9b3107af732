"""The files beside a recorded tree that answer for its system, `facts.json` and `env.json`: read as
a machine's record is, so that every fault is told at once and none reaches the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import MachineFileError
from ...core.files import Unreadable, parse_json, text_of
from ...core.records import Record, kind_of, read_by
from ...core.tables import TABLES, Document, TomlTable
from ..record import MAX_CORES, MAX_DISK_BYTES, MAX_MEMORY_BYTES, MOMENT, without_null

_WRITE_IT = "copy it from the machine again, or leave it out"
_MEMORY = read_by(default=None, minimum=0, maximum=MAX_MEMORY_BYTES)
_CORES = read_by(default=None, minimum=1, maximum=MAX_CORES)
_TEXT = read_by(default=None)
# the number of an error is a C enumeration's
_ERROR = read_by(default=None, minimum=-(2**31), maximum=2**32)
# numbers of CPUs, and Windows' numbers of what a processor can do
_NUMBERS = read_by(default=(), minimum=0, maximum=MAX_CORES)
# A GPU's memory has at most 8,192 bits at up to 15 GHz: above what any card has, so that the rate
# stays one that a record may hold
_MAX_BUS_BITS, _MAX_CLOCK_MHZ = 2**16, 100_000


class RecordedSpace(Record):
    """What the system said of the volume that holds a folder."""

    free_bytes: int = read_by(minimum=0, maximum=MAX_DISK_BYTES)
    total_bytes: int = read_by(minimum=0, maximum=MAX_DISK_BYTES)


class RecordedMemory(Record):
    """What psutil said of the memory, in bytes."""

    total: int | None = read_by(default=None, minimum=1, maximum=MAX_MEMORY_BYTES)
    available: int | None = _MEMORY
    swap_free: int | None = _MEMORY


class RecordedCores(Record):
    """What psutil said of the processor: its cores, and the CPUs that a program may use."""

    physical: int | None = _CORES
    usable: int | None = _CORES


class RecordedAdapter(Record):
    """A display adapter in Windows' registry; `memory` in bytes."""

    id: str | None = _TEXT
    name: str | None = _TEXT
    memory: int | None = _MEMORY


class RecordedGpu(Record):
    """What NVML said of a GPU, or of an instance of one, which `part_of_bytes` is a part of."""

    name: str | None = _TEXT
    memory_total_bytes: int | None = _MEMORY
    memory_free_bytes: int | None = _MEMORY
    part_of_bytes: int | None = _MEMORY
    error: int | None = _ERROR
    bus_width_bits: int | None = read_by(default=None, minimum=0, maximum=_MAX_BUS_BITS)
    memory_clock_mhz: int | None = read_by(
        default=None, minimum=0, maximum=_MAX_CLOCK_MHZ
    )
    compute_capability: tuple[int, ...] = _NUMBERS


class RecordedNvml(Record):
    """What the child that asks NVIDIA's library printed, `gpus` aside."""

    driver: str | None = _TEXT
    error: int | None = _ERROR
    why: str | None = _TEXT


class RecordedFacts(Record):
    """The keys of `facts.json` that hold texts or numbers: answers of `system.ANSWERS`."""

    system: str | None = _TEXT
    read_at: str | None = read_by(default=None, form=MOMENT)
    hostname: str | None = _TEXT
    machine: str | None = _TEXT
    cwd: str | None = _TEXT
    pointer_bits: int | None = read_by(default=None, minimum=32, maximum=64)
    affinity: tuple[int, ...] = _NUMBERS
    processor_features: tuple[int, ...] = _NUMBERS
    python_path: tuple[str, ...] = read_by(default=())
    writable: Mapping[str, bool] = read_by(default={})


def read_facts(file: str, content: bytes) -> dict[str, Any]:
    """The answers in `facts.json`; null is no answer. Unknown keys are ignored, as those of a
    record are, but for slips of known ones. `MachineFileError` carries the faults.
    """
    document = _document(file, content)
    table = document.root
    table.fields(RecordedFacts)
    for part in _tables(table, "memory"):
        part.fields(RecordedMemory)
    for part in _tables(table, "cores"):
        part.fields(RecordedCores)
    for adapter in table.get("display_adapters", TABLES):
        adapter.fields(RecordedAdapter)
    volumes: Mapping[str, TomlTable] = table.get("space", "Mapping[str, TomlTable]")
    for volume in volumes.values():
        volume.fields(RecordedSpace)
    for texts in (*_tables(table, "mounts"), *_tables(table, "registry")):
        _check_texts(texts)
    for nvml in _tables(table, "nvml"):
        _check_nvml(nvml)
    table.note_slips()
    return _right_values(document)


def read_variables(file: str, content: bytes) -> dict[str, str]:
    """The variables in `env.json`. `MachineFileError` carries the faults."""
    document = _document(file, content)
    _check_texts(document.root)
    return _right_values(document)


def _document(file: str, content: bytes) -> Document:
    try:
        values = parse_json(text_of(content))
    except Unreadable as fault:
        raise MachineFileError([fault.problem(file, _WRITE_IT)]) from None
    if isinstance(values, dict):
        return Document(file, without_null(values))
    document = Document(file, {})
    document.add((), f"holds {kind_of(values)}, not one JSON object", _WRITE_IT)
    return document


def _right_values(document: Document) -> dict[str, Any]:
    if not document.ok:
        raise MachineFileError(document.problems)
    return {**document.values}


def _tables(table: TomlTable, key: str) -> list[TomlTable]:
    """The table of that key, or none; one that is no table is noted."""
    part: TomlTable | None = table.get(key, "TomlTable")
    return [] if part is None else [part]


def _check_texts(table: TomlTable) -> None:
    """Note each value that is no text. An empty one is right: a variable may be so."""
    for key, value in table.values.items():
        if not isinstance(value, str):
            message = f"must be a string, not {kind_of(value)}"
            table.problem(key, message, 'write it in quotes: "…"')


def _check_nvml(nvml: TomlTable) -> None:
    """`gpus` lists for each GPU what programs can have of it: itself, or its instances."""
    nvml.fields(RecordedNvml)
    for index, parts in enumerate(nvml.get("gpus", "tuple[Any, ...]")):
        # a table of its own for each, which a list of lists cannot name
        gpu = TomlTable(nvml.document, (*nvml.path, "gpus"), {str(index): parts})
        for part in gpu.get(str(index), TABLES):
            part.fields(RecordedGpu)
