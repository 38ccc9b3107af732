"""Machines as read from the answers of Ansible's `setup` module.

Sizes are MiB if the key ends in `_mb`, and bytes in `ansible_mounts`. The fact cache is not read:
its format depends on the cache plugin.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..core.files import Unreadable, as_list, value_at
from ..machine.record import FactValues
from .answers import (
    Answer,
    count_of,
    labels,
    machine_name,
    plain,
    rows_of,
    whole_number,
)
from .drafts import NOT_JUDGED, SOME_HOME, MachineDraft, Volume
from .record_text import Entry

# values of `ansible_virtualization_type` for guests in which /proc/meminfo is the host's
_CONTAINERS = frozenset(
    ("container", "containerd", "docker", "lxc", "openvz", "podman")
)


def read_ansible(document: Answer, file: str) -> list[Entry] | None:
    """Return the host in an answer of Ansible's setup module, or in its facts alone, with or
    without their prefix. None for any other document.
    """
    # `ansible --tree` names each file, without an ending, as the inventory names the host
    base = os.path.basename(file)
    tree_name: str | None = None
    if base != file and not base.endswith((".json", ".jsonl")):
        tree_name = base
    facts = document.get("ansible_facts")
    if isinstance(facts, Mapping):
        return [Entry(value=_record_of_facts(facts, tree_name))]
    if document.get("unreachable") is True:
        why = "Ansible did not reach it"
        return [_not_judged(tree_name, why, "ping")]
    if document.get("failed") is True:
        return [_not_judged(tree_name, "its setup failed under Ansible", "setup")]
    if "ansible_memtotal_mb" in document or "memtotal_mb" in document:
        return [Entry(value=_record_of_facts(document, tree_name))]
    return None


def _not_judged(
    tree_name: str | None,
    why: str,
    module: str,
) -> Entry:
    """The fault of a host without facts; the remedy is to run that module of Ansible."""
    name = machine_name(tree_name) or "a machine"
    remedy = (
        f"see why with `ansible HOST -m {module}`, then write its file again with"
        " `ansible HOST -m setup --tree DIR`, or remove the file"
    )
    return Entry(fault=Unreadable(f"{name}{NOT_JUDGED}{why}", remedy))


def _record_of_facts(answer: Answer, tree_name: str | None) -> FactValues:
    """The record of a host. The inventory's name goes before the name that the host gives
    itself.
    """
    facts = {}
    for key, value in answer.items():
        facts[key.removeprefix("ansible_")] = value
    name = machine_name(
        tree_name,
        facts.get("nodename"),
        facts.get("fqdn"),
        facts.get("hostname"),
    )
    own_record = value_at(facts, "local", "selfhost")
    if isinstance(own_record, Mapping) and "schema" in own_record:
        return {**own_record, "name": name or own_record.get("name")}
    free = value_at(facts, "memory_mb", "nocache", "free")
    if not whole_number(free, least=1):
        # on a Mac, Ansible reports negative free memory
        facts["memory_mb"] = None
    machine = MachineDraft("ansible")
    if facts.get("os_family") == "Windows":
        facts["system"] = None
        facts["architecture"] = None
        reason = "for Windows, Ansible uses names of its own"
        machine.lacks("system architecture", reason)
    _put_scope(machine, facts)
    machine.read_rows(facts)
    packages = count_of(facts.get("processor_count"))
    cores = count_of(facts.get("processor_cores"))
    if packages is not None and cores is not None:
        source = "ansible_processor_count times ansible_processor_cores"
        machine.put("cpu_cores_physical", packages * cores, source)
    model = _cpu_model(facts.get("processor"))
    machine.put("cpu_model", model, "ansible_processor")
    _put_home(machine, facts)
    kept = {
        "groups": facts.get("group_names"),
        "distribution": facts.get("distribution"),
        "distribution_version": facts.get("distribution_version"),
    }
    return machine.record(name, labels("ansible", kept))


def _put_scope(machine: MachineDraft, facts: Answer) -> None:
    """State whether the host is a machine, a virtual machine or a container."""
    role = facts.get("virtualization_role")
    if role in ("host", "NA"):
        machine.put("scope", "host", "ansible_virtualization_role")
    kind = plain(facts.get("virtualization_type"), 60)
    if role != "guest" or kind is None:
        return
    if kind not in _CONTAINERS:
        machine.put("scope", "vm", "ansible_virtualization_type")
        return
    machine.put("scope", "container", "ansible_virtualization_type")
    machine.lacks(
        "memory_limit_bytes memory_available_bytes",
        f"Ansible ran in a container ({kind}), where it reports the memory of the host and not"
        " the container's limit",
    )


def _cpu_model(stated: object) -> str | None:
    """The model of the last thread in Ansible's list. The list has number, maker and model of each
    thread, on some systems the model alone.
    """
    for value in reversed(as_list(stated)):
        word = plain(value)
        if word is not None and not word.isdecimal():
            return word
    return None


def _put_home(machine: MachineDraft, facts: Answer) -> None:
    """State the disk of the home folder of the account that Ansible uses, else of an assumed
    one.
    """
    home = plain(facts.get("user_dir"), 1000)
    whose = "of the account that Ansible uses"
    if home is None:
        home = SOME_HOME
        whose = f"for which {SOME_HOME} is assumed"
    volumes = []
    for row in rows_of(facts, "mounts"):
        volumes.append(
            Volume(
                mount=row.get("mount"),
                free_bytes=row.get("size_available"),
                total_bytes=row.get("size_total"),
                filesystem=row.get("fstype"),
            )
        )
    source = (
        f"ansible_mounts, size_available on {{mount}}: the home folder {whose} is there"
    )
    machine.put_home(volumes, home, source)
