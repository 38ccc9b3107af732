"""Hosts by what runs on them: facts of Ansible's `setup` module, and metrics of Prometheus'
exporters.

Ansible's sizes are MiB where the key ends in `_mb`, bytes in `ansible_mounts`; its fact cache is no
answer, whose format is the cache plugin's own. Framebuffer memory of dcgm-exporter is MiB
(etc/default-counters.csv). Series of one `instance` are one machine, of all answers together; GPUs
join it by dcgm-exporter's label `Hostname`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ...core import units
from ...core.files import Unreadable
from ...core.json_text import Entry
from ...core.tables import shipped_table
from .facts import (
    NOT_JUDGED,
    SOME_HOME,
    Answers,
    Facts,
    Kind,
    entry,
    labels,
    machine_name,
    plain,
    product,
    put_accelerators,
    put_home,
    rows_of,
    table_of,
    whole,
)

# ------------------------------------------------------------------ Ansible

# what Ansible keeps of a local fact that fails is a text instead of a mapping
# (lib/ansible/module_utils/facts/system/local.py)
_FACT_FAILS = (
    "the local fact selfhost.fact fails, and Ansible's facts do not hold it",
    "run /etc/ansible/facts.d/selfhost.fact on the host, as root, to see why it prints no record",
)
# in which /proc/meminfo is the host's: `ansible_virtualization_type` of a guest
_CONTAINERS = frozenset(("container", "containerd", "docker", "lxc", "openvz", "podman"))


class AnsibleAnswers(Answers):
    """Facts under `ansible_facts`, as the module answers, or alone, with the prefix or without."""

    system = "ansible"

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        facts = document.get("ansible_facts")
        if isinstance(facts, Mapping):
            return [Entry(_host(facts, file))]
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
            return [Entry(_host(document, file))]
        return None


def _host(answer: Mapping[str, Any], file: str) -> dict[str, Any]:
    facts = {key.removeprefix("ansible_"): value for key, value in answer.items()}
    name, own = _name(facts, file), entry(facts, "local", "selfhost")
    if isinstance(own, Mapping) and "schema" in own:
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
    machine.put("cpu_model", _processor(facts.get("processor")), "ansible_processor")
    home = plain(facts.get("user_dir"), 1000)
    whose = "of the account that Ansible uses" if home else f"for which {SOME_HOME} is assumed"
    keys = ("mount", "size_available", "size_total", "fstype")
    volumes = [tuple(map(row.get, keys)) for row in rows_of(facts, "mounts")]
    source = f"ansible_mounts, size_available on {{}}: the home folder {whose} is there"
    put_home(machine, volumes, home or SOME_HOME, source)
    kept = {key: facts.get(key) for key in ("distribution", "distribution_version")}
    return machine.record(name, labels("ansible", {"groups": facts.get("group_names"), **kept}))


def _processor(stated: Any) -> str | None:
    """Number, maker and model of each thread are stated, one after the other."""
    words = map(plain, stated if isinstance(stated, list) else [stated])
    models = [word for word in words if word is not None and not word.isdecimal()]
    return models[-1] if models else None


def _put_scope(machine: Facts, facts: Mapping[str, Any]) -> None:
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
    of_tree = None if base.endswith((".json", ".jsonl")) or base == file else base
    return machine_name(of_tree, facts.get("nodename"), facts.get("fqdn"), facts.get("hostname"))


# ------------------------------------------------------------------ Prometheus

# a text or a key of an answer that names a metric
_QUERY = re.compile(r"(?s).{0,200}\b(?:node_[a-zA-Z]|DCGM_).*")
_DCGM = "install dcgm-exporter, and query DCGM_FI_DEV_FB_FREE, _USED and _RESERVED too"
_CARD = "DCGM_FI_DEV_FB_"
# where a host states its own name
_NAMES = (
    ("node_uname_info", "nodename"),
    (f"{_CARD}FREE", "Hostname"),
    (f"{_CARD}USED", "Hostname"),
)


class _Instance:
    """What the series of one instance tell: by metric the labels and the value of each sample."""

    def __init__(self, file: str, instance: str) -> None:
        self.file = file
        host, colon, port = instance.rpartition(":")
        self.address = host if colon and port.isdecimal() else instance
        self.samples: dict[str, list[tuple[Mapping[str, Any], Any]]] = {}
        self.read_at: float | None = None

    def of(self, metric: str) -> list[tuple[Mapping[str, Any], Any]]:
        """The samples of a metric."""
        return self.samples.get(metric, [])

    def add(self, metric: str, series: Mapping[str, Any], value: Any) -> None:
        """Keep a sample."""
        self.samples.setdefault(metric, []).append((series, value))

    @property
    def has_memory(self) -> bool:
        return any("_memory_" in metric for metric in self.samples)

    @property
    def names(self) -> list[str]:
        """The address before the port, and the names that it calls itself by."""
        stated = (self.of(metric)[0][0].get(key) for metric, key in _NAMES if self.of(metric))
        return [self.address, *(name for each in stated if (name := plain(each, 253)))]


class PrometheusAnswers(Answers):
    """Answers as the HTTP API gives them, alone or as an object by query."""

    system = "prometheus"

    def __init__(self) -> None:
        self._instances: dict[str, _Instance] = {}
        self._files: set[str] = set()

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        if "errorType" in document:
            command = table_of(self.system)["command"]
            return [Entry(fault=Unreadable("is an error of Prometheus, not an answer", command))]
        answers = {query: answer for query, answer in document.items() if _QUERY.fullmatch(query)}
        if "data" in document and document.get("status") == "success":
            answers[""] = document
        if not answers:
            return None
        return [
            fault
            for query, answer in answers.items()
            for fault in self._series(answer, query, file)
        ]

    def awaits(self, file: str) -> bool:
        return file in self._files

    def rest(self) -> Iterator[tuple[str, Entry]]:
        instances, self._instances = self._instances, {}
        with_memory = [each for each in instances.values() if each.has_memory]
        homes = {name: each for each in with_memory for name in each.names}
        for each in instances.values():
            home = next((homes[name] for name in reversed(each.names) if name in homes), each)
            if not each.has_memory and home is not each:
                # GPUs of a machine that another exporter tells of
                home.samples |= each.samples
                each.samples.clear()
        times: Counter[str] = Counter()
        for each in instances.values():
            if each.samples:
                # the instance's name, where it is no address
                name = machine_name(*each.names)
                times[name or ""] += 1
                if name and times[name] > 1:
                    name += f"#{times[name]}"
                yield each.file, Entry(_monitored(each, name))

    def _series(self, answer: Any, query: str, file: str) -> Iterator[Entry]:
        """Keep the samples of an answer to an instant query; faults of others."""
        key = f"{query}.data.result" if query else "data.result"
        result = entry(answer, "data", "result")
        for number, row in enumerate(result if isinstance(result, list) else ()):
            series = entry(row, "metric")
            if not isinstance(series, Mapping):
                yield self.broken(row, f"{key[-60:]}[{number}]")
                continue
            sample = row.get("value")
            address, name = plain(series.get("instance"), 253), series.get("__name__")
            metric = name if isinstance(name, str) else query
            if not isinstance(sample, list) or len(sample) != 2 or not address:
                continue
            if _QUERY.fullmatch(metric):
                self._files.add(file)
                instance = self._instances.setdefault(address, _Instance(file, address))
                instance.add(metric, series, sample[1])
                if "_memory_" in metric and isinstance(sample[0], int | float):
                    instance.read_at = sample[0]


def _monitored(instance: _Instance, name: str | None) -> dict[str, Any]:
    machine = Facts("prometheus")
    rows = machine.table["rows"]
    machine.read_rows(_stated(instance, rows))
    flags = {plain(series.get("flag"), 60) for series, _ in instance.of("node_cpu_flag_info")}
    if names := [flag for flag in flags if flag and " " not in flag]:
        machine.put_instruction_sets(
            names,
            "node_cpu_flag_info",
            # which runtimes ask for, and a pattern of flags may leave out
            machine.table["asked_sets"],
            "no series has it, and a pattern of node_exporter decides which flags have one",
            "start node_exporter with --collector.cpu.info.flags-include='.*'",
        )
    volumes: dict[str, dict[str, Any]] = {}
    for what in ("avail", "size"):
        for series, value in instance.of(f"node_filesystem_{what}_bytes"):
            if mount := plain(series.get("mountpoint"), 1000):
                volumes.setdefault(mount, {"fstype": series.get("fstype")})[what] = value
    mounts = [
        (mount, row["avail"], row.get("size"), row["fstype"])
        for mount, row in volumes.items()
        if "avail" in row
    ]
    source = "node_filesystem_avail_bytes of {}: the home folder is taken to be " + SOME_HOME
    put_home(machine, mounts, SOME_HOME, source)
    if kinds := [*_kinds(instance)]:
        put_accelerators(machine, kinds, f"{_CARD}…, per GPU", _DCGM)
        source = f"{_CARD}FREE, MiB, when queried"
        machine.sources["accelerators.memory_free_bytes"] = source
    machine.put("read_at", _time(instance.read_at), "the time of Prometheus' sample")
    for fact, path, _, _ in rows:
        metric = path.partition("/")[0].replace("node_cpu_cores", "node_cpu_info")
        machine.lacks(fact, f"{metric} is not in the answer", f"query {metric} too")
    keys = shipped_table("systems")["class_labels"]
    sizes = (rows[0][0] for metric, rows in instance.samples.items() if "_memory_" in metric)
    first = next(sizes, {})
    kept = {key: first[key] for key in keys if key in first}
    return machine.record(name, labels("prometheus", kept))


def _stated(instance: _Instance, rows: list[list[str]]) -> dict[str, Any]:
    """What the rows ask for: the labels of a metric that states facts in them, else its value."""

    def counted(metric: str, *keys: str) -> int | None:
        """How many different values these labels have, where all are there."""
        series = [labels for labels, _ in instance.of(metric)]
        values = {tuple(plain(each.get(key), 60) for key in keys) for each in series}
        return sum(map(all, values)) or None

    counts = (
        samples[-1][1]
        for metric, samples in instance.samples.items()
        if "node_cpu_seconds_total" in metric and metric.lstrip().startswith("count")
    )
    answer: dict[str, Any] = {
        "node_cpu_seconds_total": counted("node_cpu_seconds_total", "cpu") or next(counts, None),
        "node_cpu_cores": counted("node_cpu_info", "package", "core"),
    }
    for _, path, _, _ in rows:
        metric, is_label, _ = path.partition("/")
        if (samples := instance.of(metric)) and metric not in answer:
            answer[metric] = samples[0][0] if is_label else samples[-1][1]
    return answer


def _kinds(instance: _Instance) -> Iterator[Kind]:
    """One for each card, and for each instance of a divided one, which itself is left out."""
    cards: dict[tuple[str, str], dict[str, int]] = {}
    series_of: dict[tuple[str, str], Mapping[str, Any]] = {}
    for what in ("FREE", "USED", "TOTAL", "RESERVED"):
        for series, value in instance.of(f"{_CARD}{what}"):
            size = whole(value, units.MIB)
            number = plain(series.get("UUID"), 80) or plain(series.get("gpu"), 20)
            if size is not None and number is not None:
                key = (number, plain(series.get("GPU_I_ID"), 20) or "")
                cards.setdefault(key, {})[what] = size
                series_of.setdefault(key, series)
    divided = {number for number, part in cards if part}
    for (number, part), sizes in cards.items():
        if part or number not in divided:
            yield _kind(series_of[number, part], sizes, part)


def _kind(series: Mapping[str, Any], sizes: Mapping[str, int], part: str) -> Kind:
    total = sizes.get("TOTAL")
    if total is None and "FREE" in sizes and "USED" in sizes:
        total = sizes["FREE"] + sizes["USED"] + sizes.get("RESERVED", 0)
    name = plain(series.get("modelName"), 120) or "NVIDIA GPU"
    profile = plain(series.get("GPU_I_PROFILE"), 40) or part
    return Kind(
        vendor="nvidia",
        name=f"{name}-MIG-{profile}" if profile else name,
        memory_total_bytes=total or None,
        memory_free_bytes=sizes.get("FREE"),
        driver=plain(series.get("DCGM_FI_DRIVER_VERSION"), 60),
        is_part=bool(profile),
    )


def _time(seconds: float | None) -> str | None:
    from datetime import UTC, datetime

    if seconds is None or not 0 < seconds < 1 << 36:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
