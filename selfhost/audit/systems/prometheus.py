"""Prometheus: answers to instant queries of node_exporter's and dcgm-exporter's metrics, and what
an exporter itself serves.

Framebuffer memory of dcgm-exporter is MiB (etc/default-counters.csv). Series of one `instance` are
one machine, of all answers together; GPUs join it by dcgm-exporter's label `Hostname`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...core import units
from ...core.files import Unreadable
from ...core.json_text import Entry
from ...core.tables import shipped_table
from .facts import (
    SOME_HOME,
    Answers,
    Facts,
    Kind,
    entry,
    labels,
    machine_name,
    plain,
    put_accelerators,
    put_home,
    table_of,
    whole,
)

# a text or a key of an answer that names a metric
_QUERY = re.compile(r"(?s).{0,200}\b(?:node_[a-zA-Z]|DCGM_).*")
_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s+([^\s{}]+)(?:\s+-?\d+)?\s*(?:#.*)?"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\n": " ", '\\"': '"', "\\\\": "\\"}
_DCGM = "install dcgm-exporter, and query DCGM_FI_DEV_FB_FREE, _USED and _RESERVED too"
_CARD = "DCGM_FI_DEV_FB_"
# where a host states its own name
_NAMES = (
    ("node_uname_info", "nodename"),
    (f"{_CARD}FREE", "Hostname"),
    (f"{_CARD}USED", "Hostname"),
)
# the samples of a metric: labels and value of each
Samples = list[tuple[Mapping[str, Any], Any]]


class _Host:
    """What the series of one instance tell: by metric the labels and the value of each sample."""

    def __init__(self, file: str, instance: str = "") -> None:
        self.file = file
        host, colon, port = instance.rpartition(":")
        self.address = host if colon and port.isdecimal() else instance
        self.samples: dict[str, Samples] = {}
        self.read_at: float | None = None

    def of(self, metric: str) -> Samples:
        """The samples of a metric."""
        return self.samples.get(metric, [])

    def count(self, metric: str, *keys: str) -> int | None:
        """How many different values these labels of a metric have, where all are there."""
        rows = {tuple(plain(series.get(key), 60) for key in keys) for series, _ in self.of(metric)}
        return sum(all(row) for row in rows) or None

    @property
    def has_memory(self) -> bool:
        return any("_memory_" in metric for metric in self.samples)

    @property
    def names(self) -> list[str]:
        """The address before the port, and the names that it calls itself by."""
        stated = (self.of(metric)[0][0].get(key) for metric, key in _NAMES if self.of(metric))
        return [self.address, *(name for each in stated if (name := plain(each, 253)))]


class PrometheusAnswers(Answers):
    """Answers as the HTTP API gives them, alone or as an object by query; or an exporter's text."""

    system = "prometheus"

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
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

    def read_text(self, text: str, file: str) -> list[Entry] | None:
        """An exporter's text is of one machine, that of its file."""
        if not re.match(r"(?:# (?:HELP|TYPE) |node_|DCGM_)", text.lstrip()):
            return None
        host = _Host(file)
        faults = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("#") or not line.strip():
                continue
            match = _SAMPLE.fullmatch(line.strip()[:100_000])
            if match is None:
                fault = Unreadable("is no line of Prometheus' text format")
                faults.append(Entry(fault=fault, line=number))
                continue
            series = {
                key: re.sub(r'\\[n"\\]', lambda escape: _ESCAPES[escape[0]], value)
                for key, value in _LABEL.findall(match[2] or "")
            }
            host.samples.setdefault(match[1], []).append((series, match[3]))
        return [*faults, Entry(_record(host, machine_name(*host.names)))]

    def awaits(self, file: str) -> bool:
        return file in self._files

    def rest(self) -> Iterator[tuple[str, Entry]]:
        hosts, self._hosts = self._hosts, {}
        homes: dict[str, _Host] = {}
        for host in hosts.values():
            for name in host.names if host.has_memory else ():
                homes.setdefault(name, host)
        names: dict[str, int] = {}
        for host in list(hosts.values()):
            home = next((homes[name] for name in reversed(host.names) if name in homes), host)
            if home is not host and not host.has_memory:
                # GPUs of a machine that another exporter tells of
                for metric, rows in host.samples.items():
                    home.samples.setdefault(metric, []).extend(rows)
                host.samples.clear()
        for host in hosts.values():
            if host.samples:
                # the instance's name, where it is no address
                own = machine_name(*host.names)
                number = names[own or ""] = names.get(own or "", 0) + 1
                unique = own if own is None or number == 1 else f"{own}#{number}"
                yield host.file, Entry(_record(host, unique))

    def _series(self, answer: Any, query: str, file: str) -> Iterator[Entry]:
        """Keep the series of an answer to a query, the last sample of each; faults of others."""
        key = f"{query}.data.result" if query else "data.result"
        result = entry(answer, "data", "result")
        for number, row in enumerate(result if isinstance(result, list) else ()):
            series = entry(row, "metric")
            if not isinstance(series, Mapping):
                yield self.broken(row, f"{key[-60:]}[{number}]")
                continue
            samples = row.get("values")
            last = samples[-1] if isinstance(samples, list) and samples else None
            sample = row.get("value") or last
            instance, name = plain(series.get("instance"), 253), series.get("__name__")
            metric = name if isinstance(name, str) else query
            if not isinstance(sample, list) or len(sample) != 2 or not instance:
                continue
            if _QUERY.fullmatch(metric):
                self._files.add(file)
                host = self._hosts.setdefault(instance, _Host(file, instance))
                host.samples.setdefault(metric, []).append((series, sample[1]))
                if "_memory_" in metric and isinstance(sample[0], int | float):
                    host.read_at = sample[0]


READER = PrometheusAnswers


def _record(host: _Host, name: str | None) -> dict[str, Any]:
    machine = Facts("prometheus")
    rows = machine.table["rows"]
    machine.read_rows(_answer(host, rows))
    flags = {plain(series.get("flag"), 60) for series, _ in host.of("node_cpu_flag_info")}
    if names := [flag for flag in flags if flag and " " not in flag]:
        machine.put_instruction_sets(
            names,
            "node_cpu_flag_info",
            # which runtimes ask for, and a pattern of flags may leave out
            machine.table["asked_sets"],
            "no series has it, and a pattern of node_exporter decides which flags have one",
            "start node_exporter with --collector.cpu.info.flags-include='.*'",
        )
    _put_home(machine, host)
    if kinds := [*_kinds(host)]:
        put_accelerators(machine, kinds, f"{_CARD}…, per GPU", _DCGM)
        source = f"{_CARD}FREE, MiB, when queried"
        machine.sources["accelerators.memory_free_bytes"] = source
    machine.put("read_at", _time(host.read_at), "the time of Prometheus' sample")
    for fact, path, _, _ in rows:
        metric = path.partition("/")[0].replace("node_cpu_cores", "node_cpu_info")
        machine.lacks(fact, f"{metric} is not in the answer", f"query {metric} too")
    keys = shipped_table("systems")["class_labels"]
    sizes = (rows[0][0] for metric, rows in host.samples.items() if "_memory_" in metric)
    first = next(sizes, {})
    return machine.record(
        name, labels("prometheus", {key: first[key] for key in keys if key in first})
    )


def _answer(host: _Host, rows: list[list[str]]) -> dict[str, Any]:
    """What the rows ask for: the labels of a metric that states facts in them, else its value."""
    counts = (
        samples[-1][1]
        for metric, samples in host.samples.items()
        if "node_cpu_seconds_total" in metric and metric.lstrip().startswith("count")
    )
    answer: dict[str, Any] = {
        "node_cpu_seconds_total": host.count("node_cpu_seconds_total", "cpu") or next(counts, None),
        "node_cpu_cores": host.count("node_cpu_info", "package", "core"),
    }
    for _, path, _, _ in rows:
        metric, is_label, _ = path.partition("/")
        if (samples := host.of(metric)) and metric not in answer:
            answer[metric] = samples[0][0] if is_label else samples[-1][1]
    return answer


def _put_home(machine: Facts, host: _Host) -> None:
    volumes: dict[str, dict[str, Any]] = {}
    for what in ("avail", "size"):
        for series, value in host.of(f"node_filesystem_{what}_bytes"):
            if mount := plain(series.get("mountpoint"), 1000):
                volumes.setdefault(mount, {"fstype": series.get("fstype")})[what] = value
    mounts = [
        (mount, row["avail"], row.get("size"), row["fstype"])
        for mount, row in volumes.items()
        if "avail" in row
    ]
    source = "node_filesystem_avail_bytes of {}: the home folder is taken to be " + SOME_HOME
    put_home(machine, mounts, SOME_HOME, source)


def _kinds(host: _Host) -> Iterator[Kind]:
    """One for each card, and for each instance of a divided one, which itself is left out."""
    cards: dict[tuple[str, str], dict[str, int]] = {}
    series_of: dict[tuple[str, str], Mapping[str, Any]] = {}
    for what in ("FREE", "USED", "TOTAL", "RESERVED"):
        for series, value in host.of(f"{_CARD}{what}"):
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
