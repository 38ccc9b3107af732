"""Ansible: the facts of its `setup` module, one host a file (`--tree`) or one a line.

Sizes are MiB where the key ends in `_mb` (lib/ansible/module_utils/facts/hardware/linux.py divides
/proc/meminfo's kB by 1024), bytes in `ansible_mounts`. The fact cache is no answer: its format is
the cache plugin's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from ...core import units
from ._facts import (
    SOME_HOME,
    Facts,
    Volume,
    count,
    entry,
    labels,
    machine_name,
    memory,
    moment,
    plain,
    put_disks,
    usable_volume,
    volume_of,
    whole,
)
from ._system import Answers, RecordOrFault

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ._system import Path

LOCAL_FACT = (
    "install the record as a local fact, /etc/ansible/facts.d/selfhost.fact, which prints"
    " `selfhost machine --format json`"
)
# what Ansible keeps of a local fact that fails is a text instead of a mapping
# (lib/ansible/module_utils/facts/system/local.py)
_FACT_FAILS = (
    "run /etc/ansible/facts.d/selfhost.fact on the host, as root, to see why it prints no record"
)
# in which /proc/meminfo is the host's: `ansible_virtualization_type` of a guest
_CONTAINERS = frozenset(("container", "containerd", "docker", "lxc", "openvz", "podman"))
_PREFIX = "ansible_"
# what the command itself prints: `web-1 | SUCCESS => {`, also on one line
_HOST_LINE = re.compile(r"(?m)^(\S{1,253}) \| [A-Z]+!? (?:\| rc=\d+ )?=> \{")
# of one host: its facts are some 100 kB
MAX_HOST_CHARACTERS = 1 << 23
# a host's own name stands before it
_READ_AGAIN = (
    "see why by `ansible HOST -m {}`, then write its file anew by `ansible HOST -m setup --tree"
    " DIR`; or take the file away"
)


class AnsibleAnswers(Answers):
    """Facts under `ansible_facts`, as the module answers, or alone, with the prefix or without."""

    system = "ansible"
    title = "Ansible"
    command = "ansible all -m setup --tree DIR"
    marks = (
        '"ansible_facts"',
        'memtotal_mb"',
        " | UNREACHABLE! => {",
        " | FAILED! => {",
    )

    def __init__(self) -> None:
        super().__init__()
        self._block: list[str] = []
        self._size, self._start = 0, 0

    def claims(self, path: Path, value: Any) -> bool:
        return path == ("ansible_facts",) and isinstance(value, Mapping)

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        return any(key in members for key in ("ansible_memtotal_mb", "memtotal_mb")) or (
            members.get("unreachable") is True or members.get("failed") is True
        )

    def part(self, path: Path, value: Any, file: str) -> Iterator[RecordOrFault]:
        if path == ("ansible_facts",) and isinstance(value, Mapping):
            yield RecordOrFault(_record(value, file))

    def whole(self, members: Mapping[str, Any], file: str) -> Iterator[RecordOrFault]:
        if members.get("unreachable") is True or members.get("failed") is True:
            name = _name({}, file)
            is_reached = members.get("unreachable") is not True
            yield self.not_judged(
                name,
                "its setup failed under Ansible" if is_reached else "Ansible did not reach it",
                remedy=_READ_AGAIN.format("setup" if is_reached else "ping"),
            )
        elif any(key in members for key in ("ansible_memtotal_mb", "memtotal_mb")):
            yield RecordOrFault(_record(members, file))

    def claims_text(self, start: str) -> bool:
        return _HOST_LINE.search(start) is not None

    def line(self, text: str, file: str, number: int) -> Iterator[RecordOrFault]:
        """`ansible all -m setup` prints a host's name and its answer, warnings between them."""
        if _HOST_LINE.match(text) is not None:
            yield from self.text_end(file)
            self._start = number
        elif not self._block:
            return
        self._size += len(text)
        if self._size <= MAX_HOST_CHARACTERS:
            self._block.append(text)
        if text.startswith("}") or (len(self._block) == 1 and text.endswith("}")):
            yield from self.text_end(file)

    def text_end(self, file: str) -> Iterator[RecordOrFault]:
        import json

        block, size = self._block, self._size
        self._block, self._size = [], 0
        match = _HOST_LINE.match(block[0]) if block else None
        if match is None:
            return
        try:
            answer = json.loads("\n".join((block[0][match.end() - 1 :], *block[1:])))
        except (ValueError, RecursionError):
            answer = None
        name = machine_name(match[1])
        if not isinstance(answer, Mapping) or size > MAX_HOST_CHARACTERS:
            yield RecordOrFault(
                fault=f"the answer of {name or 'a host'} is cut off or too long",
                remedy=f"ask again: `{self.command}`",
                line=self._start,
            )
            return
        facts = answer.get("ansible_facts")
        if isinstance(facts, Mapping):
            record = _record(facts, file)
            yield RecordOrFault({**record, "name": name or record["name"]}, line=self._start)
        else:
            is_reached = answer.get("unreachable") is not True
            yield self.not_judged(
                name,
                "its setup failed under Ansible" if is_reached else "Ansible did not reach it",
                line=self._start,
                remedy=_READ_AGAIN.format("setup" if is_reached else "ping"),
            )

    def forget(self, file: str) -> None:
        super().forget(file)
        self._block, self._size = [], 0


READER = AnsibleAnswers


def _record(answer: Mapping[str, Any], file: str) -> dict[str, Any]:
    facts = {key.removeprefix(_PREFIX): value for key, value in answer.items()}
    name = _name(facts, file)
    own = entry(facts, "local", "selfhost")
    if isinstance(own, Mapping) and "schema" in own:
        # the whole record, as selfhost on the host itself printed it
        return {**own, "name": name or own.get("name")}
    why_not, remedy = "Ansible's facts do not hold it", LOCAL_FACT
    if own is not None:
        why_not, remedy = f"the local fact selfhost.fact fails, and {why_not}", _FACT_FAILS
    machine = Facts()
    _put_platform(machine, facts)
    kind = plain(facts.get("virtualization_type"), 60)
    is_guest = facts.get("virtualization_role") == "guest"
    _put_memory(machine, facts, kind if is_guest and kind in _CONTAINERS else None, remedy)
    _put_processor(machine, facts)
    volume = volume_of(_volumes(facts), plain(facts.get("user_dir"), 1000) or SOME_HOME)
    put_disks(machine, volume, _disk_source(volume, facts), remedy)
    if is_guest and kind:
        machine.put(
            "scope", "container" if kind in _CONTAINERS else "vm", "ansible_virtualization_type"
        )
    elif facts.get("virtualization_role") in ("host", "NA"):
        machine.put("scope", "host", "ansible_virtualization_role")
    time = moment(entry(facts, "date_time", "iso8601"))
    machine.put("read_at", time, "ansible_date_time.iso8601, the host's own clock")
    machine.lacks(
        ("instruction_sets", "accelerators", "models_present", "runtimes", "disks", "read_at",
         "memory_bandwidth_bytes_per_second", "cpu_cores_performance", "memory_total_bytes"),
        why_not,
        remedy,
    )  # fmt: skip
    return machine.record(name, _labels(facts))


# what Windows calls its architectures (Win32_OperatingSystem, OSArchitecture), without blanks
_OF_WINDOWS = {"64-bit": "x86_64", "32-bit": "i686", "arm64-bitprocessor": "aarch64"}


def _put_platform(machine: Facts, facts: Mapping[str, Any]) -> None:
    """Windows is told by its family alone where its platform was not gathered in time."""
    system, architecture = facts.get("system"), facts.get("architecture")
    if facts.get("os_family") == "Windows":
        system = "windows"
        word = architecture.replace(" ", "").lower() if isinstance(architecture, str) else ""
        architecture = _OF_WINDOWS.get(word, architecture)
    machine.put_platform(system, architecture, "ansible_system")
    machine.note("architecture", "ansible_architecture")
    machine.lacks(
        ("system", "architecture"),
        "these facts do not hold it",
        "gather all facts: `ansible all -m setup --tree DIR`",
    )


def _name(facts: Mapping[str, Any], file: str) -> str | None:
    """The inventory's name, which a file of `--tree` has; else the host's own."""
    base = os.path.basename(file)
    of_tree = None if base.endswith((".json", ".jsonl")) or base == file else base
    return machine_name(of_tree, facts.get("nodename"), facts.get("fqdn"), facts.get("hostname"))


def _put_memory(
    machine: Facts, facts: Mapping[str, Any], container: str | None, remedy: str
) -> None:
    total = facts.get("memtotal_mb")
    free = memory(entry(facts, "memory_mb", "nocache", "free"), units.MIB)
    source = "ansible_memtotal_mb, MiB rounded down"
    if container is None:
        machine.put_memory(total, source, units.MIB)
        machine.put_available(
            free,
            "ansible_memory_mb.nocache.free: what is free without the page cache;"
            " ansible_memfree_mb counts the cache as used",
        )
    else:
        machine.put_size("memory_total_bytes", total, source, units.MIB)
        machine.lacks(
            ("memory_limit_bytes", "memory_available_bytes"),
            f"Ansible ran in a container ({container}), where its facts give the memory of the"
            " host and not the container's limit",
            remedy,
        )
    machine.put(
        "swap_free_bytes", whole(facts.get("swapfree_mb"), units.MIB), "ansible_swapfree_mb, MiB"
    )
    machine.lacks(
        ("memory_limit_bytes", "memory_available_bytes", "swap_free_bytes"),
        "these facts do not hold it",
        "gather all facts: `ansible all -m setup --tree DIR`",
    )


def _put_processor(machine: Facts, facts: Mapping[str, Any]) -> None:
    packages, each = count(facts.get("processor_count")), count(facts.get("processor_cores"))
    source = "ansible_processor_count times ansible_processor_cores"
    if packages is None and facts.get("system") == "Darwin":
        # of the whole machine (module_utils/facts/hardware/darwin.py)
        packages, source = 1, "ansible_processor_cores, on macOS of the whole machine"
    if packages and each:
        machine.put("cpu_cores_physical", packages * each, source)
    machine.put_cores(facts.get("processor_nproc"), "ansible_processor_nproc")
    machine.put_cores(facts.get("processor_vcpus"), "ansible_processor_vcpus")
    machine.put("cpu_model", _model(facts.get("processor")), "ansible_processor")
    machine.lacks(
        ("cpu_cores_physical", "cpu_cores_usable", "cpu_model"), "these facts do not hold it"
    )


def _model(stated: Any) -> str | None:
    """A name alone on macOS; elsewhere number, maker and model of each thread, one after the
    other, and without the number, the maker or both where a system does not tell it.
    """
    words = stated if isinstance(stated, list) else [stated]
    names = [name for name in map(plain, words) if name is not None and not name.isdecimal()]
    return names[-1] if names else None


def _volumes(facts: Mapping[str, Any]) -> list[Volume]:
    mounts = facts.get("mounts")
    rows = [row for row in mounts if isinstance(row, Mapping)] if isinstance(mounts, list) else []
    volumes = (
        usable_volume(
            row.get("mount"), row.get("size_available"), row.get("size_total"), row.get("fstype")
        )
        for row in rows
    )
    return [volume for volume in volumes if volume is not None]


def _disk_source(volume: Volume | None, facts: Mapping[str, Any]) -> str:
    whose = (
        "of the account that Ansible uses"
        if facts.get("user_dir")
        else "for which /home/user is assumed"
    )
    mount = "" if volume is None else f" on {volume.mount}"
    return f"ansible_mounts, size_available{mount}: the home folder {whose} lies there"


def _labels(facts: Mapping[str, Any]) -> dict[str, str]:
    return labels(
        "ansible",
        {
            "groups": facts.get("group_names"),
            "distribution": facts.get("distribution"),
            "distribution_version": facts.get("distribution_version"),
        },
    )
