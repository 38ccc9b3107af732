"""Ansible: the facts of its `setup` module, one host a file (`--tree`) or one a line.

Sizes are MiB where the key ends in `_mb`, bytes in `ansible_mounts`. The fact cache is no answer:
its format is the cache plugin's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ...core.files import Unreadable
from ._facts import (
    SOME_HOME,
    Facts,
    entry,
    labels,
    machine_name,
    plain,
    product,
    put_disks,
    rows_of,
    volume_of,
    whole,
)
from ._system import Answers, Entry, blocks, not_judged

# what Ansible keeps of a local fact that fails is a text instead of a mapping
# (lib/ansible/module_utils/facts/system/local.py)
_FACT_FAILS = (
    "the local fact selfhost.fact fails, and Ansible's facts do not hold it",
    "run /etc/ansible/facts.d/selfhost.fact on the host, as root, to see why it prints no record",
)
# in which /proc/meminfo is the host's: `ansible_virtualization_type` of a guest
_CONTAINERS = frozenset(("container", "containerd", "docker", "lxc", "openvz", "podman"))
# what Windows calls its architectures (Win32_OperatingSystem, OSArchitecture), without blanks
_WINDOWS = {"64-bit": "x86_64", "32-bit": "i686", "arm64-bitprocessor": "aarch64"}
_MEMORY_KEYS = ("ansible_memtotal_mb", "memtotal_mb")
# what the command itself prints: `web-1 | SUCCESS => {`, also on one line
_HOST_LINE = re.compile(r"(?m)^(\S{1,253}) \| [A-Z]+!? (?:\| rc=\d+ )?=> (?=\{)")


class AnsibleAnswers(Answers):
    """Facts under `ansible_facts`, as the module answers, or alone, with the prefix or without."""

    system = "ansible"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        facts = document.get("ansible_facts")
        if isinstance(facts, Mapping):
            return [Entry(_record(facts, file))]
        if document.get("unreachable") is True or document.get("failed") is True:
            return [_lost(document, _name({}, file))]
        if any(key in document for key in _MEMORY_KEYS):
            return [Entry(_record(document, file))]
        return None

    def read_text(self, text: str, file: str) -> list[Entry] | None:
        """`ansible all -m setup` prints a host's name and its answer, warnings between them."""
        starts = [match.start() for match in _HOST_LINE.finditer(text)]
        return [self._host(block, line, file) for line, block in blocks(text, starts)] or None

    def _host(self, block: str, line: int, file: str) -> Entry:
        import json

        head, _, answer_text = block.partition(" => ")
        name = machine_name(head.partition(" | ")[0])
        try:
            answer, _ = json.JSONDecoder().raw_decode(answer_text)
        except (ValueError, RecursionError):
            reason = f"the answer of {name or 'a host'} is cut off, or no JSON"
            return Entry(fault=Unreadable(reason, f"ask again: `{self.command}`"), line=line)
        facts = answer.get("ansible_facts")
        if not isinstance(facts, Mapping):
            return _lost(answer, name, line)
        record = _record(facts, file)
        return Entry({**record, "name": name or record["name"]}, line=line)


READER = AnsibleAnswers


def _lost(answer: Mapping[str, Any], name: str | None, line: int | None = None) -> Entry:
    is_reached = answer.get("unreachable") is not True
    why = "its setup failed under Ansible" if is_reached else "Ansible did not reach it"
    remedy = (
        f"see why by `ansible HOST -m {'setup' if is_reached else 'ping'}`, then write its file"
        " anew by `ansible HOST -m setup --tree DIR`; or take the file away"
    )
    return not_judged(name, why, remedy, line=line)


def _record(answer: Mapping[str, Any], file: str) -> dict[str, Any]:
    facts = {key.removeprefix("ansible_"): value for key, value in answer.items()}
    name = _name(facts, file)
    own = entry(facts, "local", "selfhost")
    if isinstance(own, Mapping) and "schema" in own:
        # the whole record, as selfhost on the host itself printed it
        return {**own, "name": name or own.get("name")}
    if facts.get("os_family") == "Windows":
        # told by its family alone where its platform was not gathered in time
        word = (plain(facts.get("architecture"), 60) or "").replace(" ", "").lower()
        facts |= {"system": "windows", "architecture": _WINDOWS.get(word, word)}
    free = entry(facts, "memory_mb", "nocache", "free")
    if not whole(free, least=1):
        # on a Mac less than nothing is free
        facts["memory_mb"] = None
    machine = Facts("ansible", *(() if own is None else _FACT_FAILS))
    _put_scope(machine, facts)
    machine.read_rows(facts)
    machine.limit_to_total()
    _put_processor(machine, facts)
    _put_disks(machine, facts)
    machine.lack_rows()
    keys = ("distribution", "distribution_version")
    kept = {"groups": facts.get("group_names"), **{key: facts.get(key) for key in keys}}
    return machine.record(name, labels("ansible", kept))


def _put_disks(machine: Facts, facts: Mapping[str, Any]) -> None:
    columns = ("mount", "size_available", "size_total", "fstype")
    mounts = (map(row.get, columns) for row in rows_of(facts, "mounts"))
    home = plain(facts.get("user_dir"), 1000)
    volume = volume_of([(*mount,) for mount in mounts], home or SOME_HOME)  # type: ignore[misc]
    if volume is not None:
        whose = "of the account that Ansible uses" if home else f"for which {SOME_HOME} is assumed"
        source = f"ansible_mounts, size_available on {volume[0]}: the home folder {whose} is there"
        put_disks(machine, volume, source)


def _put_scope(machine: Facts, facts: Mapping[str, Any]) -> None:
    role, kind = facts.get("virtualization_role"), plain(facts.get("virtualization_type"), 60)
    if role == "guest" and kind in _CONTAINERS:
        machine.lacks(
            "memory_limit_bytes memory_available_bytes",
            f"Ansible ran in a container ({kind}), where it gives the memory of the host and not"
            " the container's limit",
        )
        machine.put("scope", "container", "ansible_virtualization_type")
    elif role == "guest" and kind:
        machine.put("scope", "vm", "ansible_virtualization_type")
    elif role in ("host", "NA"):
        machine.put("scope", "host", "ansible_virtualization_role")


def _put_processor(machine: Facts, facts: Mapping[str, Any]) -> None:
    packages, source = facts.get("processor_count"), "ansible_processor_count times"
    if packages is None and facts.get("system") == "Darwin":
        # of the whole machine (module_utils/facts/hardware/darwin.py)
        packages, source = 1, "on macOS of the whole machine,"
    physical = product(packages, facts.get("processor_cores"))
    machine.put("cpu_cores_physical", physical, f"{source} ansible_processor_cores")
    # a name alone on macOS; elsewhere number, maker and model of each thread, one after the other,
    # and without the number, the maker or both where a system does not tell it
    stated = facts.get("processor")
    words = map(plain, stated if isinstance(stated, list) else [stated])
    models = [word for word in words if word is not None and not word.isdecimal()]
    machine.put("cpu_model", models[-1] if models else None, "ansible_processor")


def _name(facts: Mapping[str, Any], file: str) -> str | None:
    """The inventory's name, which a file of `--tree` has; else the host's own."""
    base = os.path.basename(file)
    of_tree = None if base.endswith((".json", ".jsonl")) or base == file else base
    return machine_name(of_tree, facts.get("nodename"), facts.get("fqdn"), facts.get("hostname"))
