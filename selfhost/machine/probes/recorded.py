"""A recorded tree: another computer's files in a folder, with the answers of its system beside them
(`facts.json`, `env.json`, `sysctl.txt`).

The two JSON files are read as a machine's record is, so that every fault is told at once and none
reaches the record.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...core.errors import MachineFileError
from ...core.files import (
    MISSING,
    Unreadable,
    fault_at,
    parse_json,
    read_file,
    text_of,
)
from ...core.records import JSON, Stated, kind_of, read_by
from ...core.tables import TABLES, Document, TomlTable
from ..platforms import normal_system
from ..record import MAX_CORES, MAX_DISK_BYTES, MAX_MEMORY_BYTES, MOMENT, without_null
from .host import MAX_READ_BYTES, Host
from .nvidia import MEMORY, NvmlPart

_FACTS = "facts.json"
_VARIABLES = "env.json"
_SYSCTL = "sysctl.txt"
# a recorded tree has at least one of these
_PARTS = {"proc", "sys", _FACTS, _SYSCTL}
_NAME_A_TREE = "name a folder with copies of the files in /proc and /sys"
_WRITE_IT = "copy it from the machine again, or leave it out"
_DISK = read_by(minimum=0, maximum=MAX_DISK_BYTES)
_CORES = read_by(default=None, minimum=1, maximum=MAX_CORES)
# numbers of CPUs, and Windows's numbers of processor features
_NUMBERS = read_by(default=(), minimum=0, maximum=MAX_CORES)


class RecordedHost(Host):
    """A computer whose files are in a tree, DIR/proc, DIR/sys, …. The running system is asked
    nothing, and what the tree lacks is unread.

    `MachineFileError` where DIR is no tree. A colon, which Windows allows in no file name, is
    written `%3A`. Beside the files may lie `env.json` (variables), `sysctl.txt` (`name: value`) and
    `facts.json`. The keys of `facts.json` are all optional: those of `system.ANSWERS`, where
    `space` and `writable` are by folder, `registry` by key.
    """

    live = False

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        _refuse_other_folders(folder)
        self.facts = self._values_in(folder, _FACTS, _check_facts)
        variables = self._values_in(folder, _VARIABLES, _check_texts)
        system = self.facts.get("system") or "linux"
        super().__init__(variables, normal_system(system))
        kernel_values = {}
        for line in self.read_text(_SYSCTL).splitlines():
            name, _, value = line.partition(":")
            kernel_values[name.strip()] = value.strip()
        self.facts["sysctl"] = kernel_values

    def _values_in(
        self,
        folder: str,
        name: str,
        check: Callable[[TomlTable], None],
    ) -> dict[str, Any]:
        """The values of a JSON file of the tree, without null, which is no answer; empty where
        there is no such file.

        `MachineFileError` has each fault of the file. It names the file as one of `folder`, as the
        person named it.
        """
        file = os.path.join(folder, name)
        try:
            content = read_file(self.real(name), MAX_READ_BYTES)
            values = parse_json(text_of(content))
        except (OSError, ValueError) as error:
            fault = fault_at(name, error)
            if fault.kind == MISSING:
                return {}
            raise MachineFileError([fault.problem(file, _WRITE_IT)]) from None
        if not isinstance(values, dict):
            fault = Unreadable(f"holds {kind_of(values, JSON)}, not one JSON object")
            raise MachineFileError([fault.problem(file, _WRITE_IT)])
        document = Document(file, without_null(values), notation=JSON)
        check(document.root)
        if not document.ok:
            raise MachineFileError(document.problems)
        return dict(document.values)

    def real(self, path: str) -> str:
        """Return where `path` lies in the tree. `FileNotFoundError` for a link that leads out of
        the tree.
        """
        inner = path.removeprefix(self.folder).replace("\\", "/").lstrip("/")
        file = os.path.join(self.folder, inner)
        if not os.path.lexists(file):
            encoded = inner.replace(":", "%3A")
            file = os.path.join(self.folder, encoded)
        place = os.path.realpath(file)
        if not f"{place}{os.sep}".startswith(f"{self.folder}{os.sep}"):
            raise FileNotFoundError(path)
        return place

    def _decoded(self, name: str) -> str:
        """The name of the file on the recorded machine."""
        return name.replace("%3A", ":")

    def exists(self, path: str) -> bool:
        """Whether the tree has a file or folder, or records the space of the folder."""
        volumes = self.ask("space") or {}
        return path in volumes or super().exists(path)

    def resolve(self, path: str) -> str:
        """Return `path` made absolute. Links of the recorded machine are not known."""
        folder = self.ask("cwd") or "/"
        absolute = self.join(folder, path)
        return str(self.paths.normpath(absolute))

    def ask(self, name: str, about: str | None = None) -> Any:
        """Return the record's answer under that name. With `about`, a folder or a key, the answer
        for the nearest folder upwards that the record names.

        None where the record says nothing.
        """
        answer = self.facts.get(name)
        if about is None:
            return answer
        answers: Mapping[str, Any] = answer or {}
        for folder in self.upwards(about):
            if folder in answers:
                return answers[folder]
        return None


def _refuse_other_folders(folder: str) -> None:
    """Raise `MachineFileError` for a folder that is no recorded tree, or cannot be seen."""
    try:
        names = os.listdir(folder)
    except NotADirectoryError:
        fault = Unreadable(
            "is a file, not a folder", "name the folder of a recorded tree"
        )
    except (OSError, ValueError) as error:
        fault = fault_at(folder, error)
    else:
        if _PARTS.intersection(names):
            return
        fault = Unreadable(
            "holds no recorded machine: neither proc nor sys nor facts.json"
        )
    raise MachineFileError([fault.problem(folder, _NAME_A_TREE)])


class RecordedSpace(Stated):
    """The recorded size and free space of the volume that holds a folder."""

    free_bytes: int = _DISK
    total_bytes: int = _DISK


class RecordedMemory(Stated):
    """The recorded answer of psutil about the memory, in bytes."""

    total: int | None = read_by(default=None, minimum=1, maximum=MAX_MEMORY_BYTES)
    available: int | None = MEMORY
    swap_free: int | None = MEMORY


class RecordedCores(Stated):
    """The recorded answer of psutil about the processor: its cores, and the CPUs that a program may
    use.
    """

    physical: int | None = _CORES
    usable: int | None = _CORES


class RecordedAdapter(Stated):
    """A display adapter in Windows' registry; `memory` in bytes."""

    id: str | None = None
    name: str | None = None
    memory: int | None = MEMORY


class RecordedNvml(Stated):
    """The recorded output of the child that asks NVIDIA's library, `gpus` aside."""

    driver: str | None = None
    error: int | None = None
    why: str | None = None


class RecordedFacts(Stated):
    """The keys of `facts.json` that hold texts or numbers: answers of `system.ANSWERS`."""

    system: str | None = None
    read_at: str | None = read_by(default=None, form=MOMENT)
    hostname: str | None = None
    machine: str | None = None
    cwd: str | None = None
    pointer_bits: int | None = read_by(default=None, minimum=32, maximum=64)
    affinity: tuple[int, ...] = _NUMBERS
    processor_features: tuple[int, ...] = _NUMBERS
    python_path: tuple[str, ...] = ()
    writable: Mapping[str, bool] = {}


def _check_facts(facts: TomlTable) -> None:
    """Note the faults of `facts.json`. Unknown keys are ignored, as in a machine's record, except
    misspellings of known keys.
    """
    facts.fields(RecordedFacts)
    for memory in _tables_in(facts, "memory"):
        memory.fields(RecordedMemory)
    for cores in _tables_in(facts, "cores"):
        cores.fields(RecordedCores)
    for adapter in facts.get("display_adapters", TABLES):
        adapter.fields(RecordedAdapter)
    for volumes in _tables_in(facts, "space"):
        for volume in _tables_in(volumes, *volumes.values):
            volume.fields(RecordedSpace)
    for texts in _tables_in(facts, "mounts", "registry"):
        _check_texts(texts)
    for nvml in _tables_in(facts, "nvml"):
        nvml.fields(RecordedNvml)
        # for each GPU what programs can have of it: itself, or its instances
        for parts in nvml.get("gpus", f"tuple[{TABLES}, ...]"):
            for part in parts:
                part.fields(NvmlPart)
    facts.note_slips()


def _tables_in(table: TomlTable, *keys: str) -> Iterator[TomlTable]:
    """Yield the tables of those keys that are present. A value that is no table is noted."""
    for key in keys:
        part = table.get(key, "TomlTable")
        if part is not None:
            yield part


def _check_texts(table: TomlTable) -> None:
    """Note each value that is no text. An empty text is right, because a variable may be empty."""
    for key, value in table.values.items():
        if not isinstance(value, str):
            table.problem(
                key,
                f"must be a string, not {kind_of(value, JSON)}",
                'write it in quotes: "…"',
            )
