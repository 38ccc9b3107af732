"""Ansible: the facts of its `setup` module, one host a file (`--tree`) or one a line.

Sizes are MiB where the key ends in `_mb`, bytes in `ansible_mounts`. The fact cache is no answer:
its format is the cache plugin's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ...core.json_text import Entry
from .facts import (
    SOME_HOME,
    Answers,
    Facts,
    entry,
    labels,
    machine_name,
    not_judged,
    plain,
    product,
    put_home,
    rows_of,
    whole,
)

# what Ansible keeps of a local fact that fails is a text instead of a mapping
# (lib/ansible/module_utils/facts/system/local.py)
_FACT_FAILS = (
    "the local fact selfhost.fact fails, and Ansible's facts do not hold it",
    "run /etc/ansible/facts.d/selfhost.fact on the host, as root, to see why it prints no record",
)
# in which /proc/meminfo is the host's: `ansible_virtualization_type` of a guest
_CONTAINERS = frozenset(("container", "containerd", "docker", "lxc", "openvz", "podman"))
_MEMORY_KEYS = ("ansible_memtotal_mb", "memtotal_mb")


class AnsibleAnswers(Answers):
    """Facts under `ansible_facts`, as the module answers, or alone, with the prefix or without."""

    system = "ansible"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        facts = document.get("ansible_facts")
        if isinstance(facts, Mapping):
            return [Entry(_record(facts, file))]
        if document.get("unreachable") is True or document.get("failed") is True:
            return [_lost(document, file)]
        if any(key in document for key in _MEMORY_KEYS):
            return [Entry(_record(document, file))]
        return None


READER = AnsibleAnswers


def _lost(answer: Mapping[str, Any], file: str) -> Entry:
    is_reached = answer.get("unreachable") is not True
    why = "its setup failed under Ansible" if is_reached else "Ansible did not reach it"
    remedy = (
        f"see why by `ansible HOST -m {'setup' if is_reached else 'ping'}`, then write its file"
        " anew by `ansible HOST -m setup --tree DIR`; or take the file away"
    )
    return not_judged(_name({}, file), why, remedy)


def _record(answer: Mapping[str, Any], file: str) -> dict[str, Any]:
    facts = {key.removeprefix("ansible_"): value for key, value in answer.items()}
    name = _name(facts, file)
    own = entry(facts, "local", "selfhost")
    if isinstance(own, Mapping) and "schema" in own:
        # the whole record, as selfhost on the host itself printed it
        return {**own, "name": name or own.get("name")}
    if not whole(entry(facts, "memory_mb", "nocache", "free"), least=1):
        # on a Mac less than nothing is free
        facts["memory_mb"] = None
    machine = Facts("ansible", *(() if own is None else _FACT_FAILS))
    if facts.get("os_family") == "Windows":
        facts |= {"system": None, "architecture": None}
        machine.lacks("system architecture", "Ansible names those of Windows in its own words")
    _put_scope(machine, facts)
    machine.read_rows(facts)
    cores = product(facts.get("processor_count"), facts.get("processor_cores"))
    source = "ansible_processor_count times ansible_processor_cores"
    machine.put("cpu_cores_physical", cores, source)
    # number, maker and model of each thread, one after the other
    processor = facts.get("processor")
    words = map(plain, processor if isinstance(processor, list) else [processor])
    models = [word for word in words if word is not None and not word.isdecimal()]
    machine.put("cpu_model", models[-1] if models else None, "ansible_processor")
    home = plain(facts.get("user_dir"), 1000)
    whose = "of the account that Ansible uses" if home else f"for which {SOME_HOME} is assumed"
    keys = ("mount", "size_available", "size_total", "fstype")
    put_home(
        machine,
        [tuple(map(row.get, keys)) for row in rows_of(facts, "mounts")],
        home or SOME_HOME,
        f"ansible_mounts, size_available on {{}}: the home folder {whose} is there",
    )
    kept = {
        "groups": facts.get("group_names"),
        "distribution": facts.get("distribution"),
        "distribution_version": facts.get("distribution_version"),
    }
    return machine.record(name, labels("ansible", kept))


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


def _name(facts: Mapping[str, Any], file: str) -> str | None:
    """The inventory's name, which a file of `--tree` has; else the host's own."""
    base = os.path.basename(file)
    of_tree = None if base.endswith((".json", ".jsonl")) or base == file else base
    return machine_name(of_tree, facts.get("nodename"), facts.get("fqdn"), facts.get("hostname"))
