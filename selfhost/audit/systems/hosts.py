"""Hosts by what runs on them: facts of Ansible's `setup` module, and metrics of Prometheus'
exporters.

Ansible's sizes are MiB where the key ends in `_mb`, bytes in `ansible_mounts`; its fact cache is no
answer, whose format is the cache plugin's own. Framebuffer memory of dcgm-exporter is MiB
(etc/default-counters.csv). Series of one `instance` are one machine; GPUs join it by their address
or by dcgm-exporter's label `Hostname`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from ...core import Any, units
from ...core.files import Unreadable
from ...core.tables import shipped_table
from .facts import (
    MAX_NAME,
    NOT_JUDGED,
    SOME_HOME,
    Card,
    Entry,
    MachineDraft,
    broken,
    card_of,
    count,
    labels,
    machine_name,
    plain,
    rows_of,
    table_of,
    value_at,
    whole,
)

# in which /proc/meminfo is the host's: `ansible_virtualization_type` of a guest
_CONTAINERS = frozenset(("container", "containerd", "docker", "lxc", "openvz", "podman"))


def read_ansible(document: Mapping[str, Any], file: str) -> list[Entry] | None:
    """Facts as the module answers, or alone, with prefix or without; None where it is neither."""
    facts = document.get("ansible_facts")
    if isinstance(facts, Mapping):
        return [Entry(_record_of_facts(facts, file))]
    if document.get("unreachable") is True or document.get("failed") is True:
        is_reached = document.get("unreachable") is not True
        why = "its setup failed under Ansible" if is_reached else "Ansible did not reach it"
        remedy = (
            f"see why by `ansible HOST -m {'setup' if is_reached else 'ping'}`, then write its"
            " file anew by `ansible HOST -m setup --tree DIR`; or take the file away"
        )
        name = _name({}, file) or "a machine"
        return [Entry(fault=Unreadable(f"{name}{NOT_JUDGED}{why}", remedy))]
    if "ansible_memtotal_mb" in document or "memtotal_mb" in document:
        return [Entry(_record_of_facts(document, file))]
    return None


def _record_of_facts(answer: Mapping[str, Any], file: str) -> dict[str, Any]:
    facts = {key.removeprefix("ansible_"): value for key, value in answer.items()}
    name, own = _name(facts, file), value_at(facts, "local", "selfhost")
    if isinstance(own, Mapping) and "schema" in own:
        return {**own, "name": name or own.get("name")}
    if not whole(value_at(facts, "memory_mb", "nocache", "free"), least=1):
        # on a Mac less than nothing is free
        facts["memory_mb"] = None
    machine = MachineDraft("ansible")
    if facts.get("os_family") == "Windows":
        facts |= {"system": None, "architecture": None}
        machine.lacks("system architecture", "Ansible names those of Windows in its own words")
    _put_scope(machine, facts)
    machine.read_rows(facts)
    packages, cores = count(facts.get("processor_count")), count(facts.get("processor_cores"))
    if packages and cores:
        source = "ansible_processor_count times ansible_processor_cores"
        machine.put("cpu_cores_physical", packages * cores, source)
    machine.put("cpu_model", _processor(facts.get("processor")), "ansible_processor")
    home = plain(facts.get("user_dir"), 1000)
    whose = "of the account that Ansible uses" if home else f"for which {SOME_HOME} is assumed"
    keys = ("mount", "size_available", "size_total", "fstype")
    volumes = [tuple(map(row.get, keys)) for row in rows_of(facts, "mounts")]
    source = f"ansible_mounts, size_available on {{}}: the home folder {whose} is there"
    machine.put_home(volumes, home or SOME_HOME, source)
    kept = {key: facts.get(key) for key in ("distribution", "distribution_version")}
    return machine.record(name, labels("ansible", {"groups": facts.get("group_names"), **kept}))


def _processor(stated: Any) -> str | None:
    """Number, maker and model of each thread are stated, one after the other."""
    words = [*map(plain, stated if isinstance(stated, list) else [stated])]
    return next((word for word in words[::-1] if word and not word.isdecimal()), None)


def _put_scope(machine: MachineDraft, facts: Mapping[str, Any]) -> None:
    role, kind = facts.get("virtualization_role"), plain(facts.get("virtualization_type"), 60)
    if role == "guest" and kind in _CONTAINERS:
        machine.lacks(
            "memory_limit_bytes memory_available_bytes",
            f"Ansible ran in a container ({kind}), where it gives the memory of the host and not"
            " the container's limit",
        )
    if role == "guest" and kind:
        scope = "container" if kind in _CONTAINERS else "vm"
        machine.put("scope", scope, "ansible_virtualization_type")
    elif role in ("host", "NA"):
        machine.put("scope", "host", "ansible_virtualization_role")


def _name(facts: Mapping[str, Any], file: str) -> str | None:
    """The inventory's name, which a file of `--tree` has; else the host's own."""
    base = os.path.basename(file)
    tree_name = None if base.endswith((".json", ".jsonl")) or base == file else base
    return machine_name(tree_name, facts.get("nodename"), facts.get("fqdn"), facts.get("hostname"))


_DCGM = "install dcgm-exporter, and query DCGM_FI_DEV_FB_FREE, _USED and _RESERVED too"
_CARD = "DCGM_FI_DEV_FB_"
_METRIC = re.compile(r"(?:node_|DCGM_)\w+", re.ASCII)
# of one instance: by metric the labels and the value of each sample
_Samples = dict[str, list[tuple[Mapping[str, Any], Any]]]


def read_prometheus(document: Mapping[str, Any], _file: str) -> list[Entry] | None:
    """The answer to an instant query as the HTTP API gives it; None where it is none."""
    if "errorType" in document:
        command = table_of("prometheus")["command"]
        return [Entry(fault=Unreadable("is an error of Prometheus, not an answer", command))]
    if "data" not in document or document.get("status") != "success":
        return None
    entries: list[Entry] = []
    instances: dict[str, _Samples] = {}
    result = value_at(document, "data", "result")
    for number, row in enumerate(result if isinstance(result, list) else ()):
        series = value_at(row, "metric")
        if not isinstance(series, Mapping):
            entries.append(broken(row, "prometheus", f"data.result[{number}]"))
            continue
        instance, sample = plain(series.get("instance"), MAX_NAME), row.get("value")
        # what a query computes has no name, and is no fact
        metric = str(series.get("__name__"))
        is_sample = isinstance(sample, list) and len(sample) == 2
        if instance and is_sample and _METRIC.fullmatch(metric):
            instances.setdefault(instance, {}).setdefault(metric, []).append((series, sample))
    return entries + [
        Entry(_record_of_samples(samples, machine_name(*names)))
        for names, samples in _joined(instances)
    ]


def _joined(instances: Mapping[str, _Samples]) -> list[tuple[list[str], _Samples]]:
    """The names and samples of each machine, with its GPUs, of which another exporter tells."""
    keys = {"node_uname_info": "nodename", f"{_CARD}FREE": "Hostname", f"{_CARD}USED": "Hostname"}
    hosts: list[tuple[list[str], _Samples]] = []
    others: list[tuple[list[str], _Samples]] = []
    for instance, samples in instances.items():
        host, colon, port = instance.rpartition(":")
        stated = (samples[each][0][0].get(key) for each, key in keys.items() if each in samples)
        own = [name for each in stated if (name := plain(each, MAX_NAME))]
        names = [host if colon and port.isdecimal() else instance, *own]
        is_host = any("_memory_" in metric for metric in samples)
        (hosts if is_host else others).append((names, samples))
    by_name = {name: samples for names, samples in hosts for name in names}
    for names, samples in others:
        home = next((by_name[name] for name in reversed(names) if name in by_name), None)
        if home is None:
            hosts.append((names, samples))
        else:
            home |= samples
    return hosts


def _record_of_samples(samples: _Samples, name: str | None) -> dict[str, Any]:
    machine = MachineDraft("prometheus")
    rows = machine.table["rows"]
    # each CPU and each core has a series
    stated: dict[str, Any] = {
        "node_cpu_seconds_total": _count_values(samples, "node_cpu_seconds_total", "cpu")
        or _count_values(samples, "node_cpu_info", "cpu"),
        "node_cpu_cores": _count_values(samples, "node_cpu_info", "package", "core"),
    }
    for _, path, _, _ in rows:
        metric, is_label, _ = path.partition("/")
        if metric in samples and metric not in stated:
            series, (_, value) = samples[metric][-1]
            stated[metric] = series if is_label else value
    machine.read_rows(stated)
    sizes, free = (
        {
            mount: (value, series.get("fstype"))
            for series, (_, value) in samples.get(f"node_filesystem_{what}_bytes", ())
            if isinstance(mount := series.get("mountpoint"), str)
        }
        for what in ("size", "avail")
    )
    volumes = [
        (mount, value, sizes.get(mount, (None, None))[0], kind)
        for mount, (value, kind) in free.items()
    ]
    source = "node_filesystem_avail_bytes of {}: the home folder is taken to be " + SOME_HOME
    machine.put_home(volumes, SOME_HOME, source)
    if cards := _cards(samples):
        machine.put_accelerators(cards, f"{_CARD}…, per GPU", _DCGM)
        source = f"{_CARD}FREE, MiB, when queried"
        machine.sources["accelerators.memory_free_bytes"] = source
    series, sample = next(
        (rows[0] for metric, rows in samples.items() if "_memory_" in metric), ({}, (None, None))
    )
    if seconds := whole(sample[0], least=1, most=1 << 36):
        read_at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        machine.put("read_at", read_at, "the time of Prometheus' sample")
    for fact, path, _, _ in rows:
        metric = path.partition("/")[0].replace("node_cpu_cores", "node_cpu_info")
        machine.lacks(fact, f"{metric} is not in the answer", f"query {metric} too")
    kept = {key: series[key] for key in shipped_table("systems")["class_labels"] if key in series}
    return machine.record(name, labels("prometheus", kept))


def _count_values(samples: _Samples, metric: str, *keys: str) -> int | None:
    """How many different values these labels have together, where all are there."""
    series = [labels for labels, _ in samples.get(metric, ())]
    values = {tuple(plain(each.get(key), 60) for key in keys) for each in series}
    return sum(map(all, values)) or None


def _cards(samples: _Samples) -> list[Card]:
    """Each card, and each instance of a divided one, which itself is left out."""
    memory: dict[tuple[str, str], dict[str, int]] = {}
    series_of: dict[tuple[str, str], Mapping[str, Any]] = {}
    for what in ("FREE", "USED", "TOTAL", "RESERVED"):
        for series, (_, value) in samples.get(f"{_CARD}{what}", ()):
            size = whole(value, units.MIB)
            number = plain(series.get("UUID"), 80) or plain(series.get("gpu"), 20)
            if size is not None and number is not None:
                key = (number, plain(series.get("GPU_I_ID"), 20) or "")
                memory.setdefault(key, {})[what] = size
                series_of.setdefault(key, series)
    divided = {number for number, part in memory if part}
    return [
        _card(series_of[number, part], sizes, part)
        for (number, part), sizes in memory.items()
        if part or number not in divided
    ]


def _card(series: Mapping[str, Any], sizes: Mapping[str, int], part: str) -> Card:
    total, free, used = map(sizes.get, ("TOTAL", "FREE", "USED"))
    if total is None and free is not None and used is not None:
        total = free + used + sizes.get("RESERVED", 0)
    name = plain(series.get("modelName"), 120) or "NVIDIA GPU"
    profile = plain(series.get("GPU_I_PROFILE"), 40) or part
    name, driver = f"{name}{profile and '-MIG-'}{profile}", series.get("DCGM_FI_DRIVER_VERSION")
    return card_of(name, total or None, free, driver, is_part=bool(profile))
