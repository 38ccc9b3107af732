"""Prometheus: answers to instant queries of node_exporter's, windows_exporter's and dcgm-exporter's
metrics, and what an exporter itself serves.

Framebuffer memory of dcgm-exporter is MiB (etc/default-counters.csv). Series of one `instance` are
one machine, of all answers together; GPUs join it by dcgm-exporter's label `Hostname`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ...core import units
from ...core.reading import Unreadable
from ._accelerators import MAX_CARDS, Kind, put_accelerators
from ._facts import (
    SOME_HOME,
    Facts,
    class_labels,
    entry,
    labels,
    machine_name,
    plain,
    put_disks,
    table_of,
    volume_of,
    whole,
)
from ._system import Answers, Entry

# a text or a key of an answer that names a metric
_QUERY = re.compile(r"(?s).{0,200}\b(?:node_[a-zA-Z]|windows_[a-z]|DCGM_).*")
_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s+([^\s{}]+)(?:\s+-?\d+)?\s*(?:#.*)?"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\n": " ", '\\"': '"', "\\\\": "\\"}
MAX_FILESYSTEMS = 1000
MAX_FLAGS = 1000
_DCGM = "install dcgm-exporter, and query DCGM_FI_DEV_FB_FREE, _USED and _RESERVED too"

# Win32_Processor.Architecture
_WINDOWS_ARCHITECTURES = {"0": "i686", "9": "x86_64", "12": "aarch64"}
# metrics whose labels state facts
_INFOS = frozenset((
    "node_uname_info", "node_cpu_info", "windows_cpu_info", "windows_os_hostname",
    "windows_cs_hostname",
))  # fmt: skip
_DISKS = {
    "node_filesystem_avail_bytes": "free",
    "node_filesystem_size_bytes": "total",
    "windows_logical_disk_free_bytes": "free",
    "windows_logical_disk_size_bytes": "total",
}
_CARD_SIZES = {
    "DCGM_FI_DEV_FB_FREE": "free",
    "DCGM_FI_DEV_FB_USED": "used",
    "DCGM_FI_DEV_FB_TOTAL": "total",
    "DCGM_FI_DEV_FB_RESERVED": "reserved",
}
# which runtimes ask for, and a pattern of flags may leave out
_ASKED_SETS = (
    "avx", "avx2", "avx512f", "bmi1", "bmi2", "f16c", "fma", "popcnt", "sse4_2", "ssse3", "asimddp",
)  # fmt: skip


class _Host:
    """What the series of one instance tell."""

    __slots__ = ("cards", "cores", "cpus", "disks", "file", "flags", "labels", "read_at", "stated")

    def __init__(self, file: str) -> None:
        self.file = file
        # values and the labels of infos, by metric
        self.stated: dict[str, Any] = {}
        self.cpus: set[str] = set()
        self.cores: set[tuple[str, str]] = set()
        self.flags: set[str] = set()
        # by mount point `free`, `total` and `kind`; by number and part of a card its labels and
        # sizes in bytes
        self.disks: dict[str, dict[str, Any]] = {}
        self.cards: dict[tuple[str, str], dict[str, Any]] = {}
        self.labels: dict[str, str] = {}
        self.read_at: float | None = None

    @property
    def has_memory(self) -> bool:
        return any("_memory_" in metric for metric in self.stated)

    @property
    def names(self) -> list[str]:
        """The names that it calls itself by."""
        places = (
            ("node_uname_info", "nodename"),
            ("windows_os_hostname", "hostname"),
            ("windows_cs_hostname", "hostname"),
            ("dcgm", "Hostname"),
        )
        stated = (plain(entry(self.stated, *place), 253) for place in places)
        return [name for name in stated if name]


class PrometheusAnswers(Answers):
    """Answers as the HTTP API gives them, alone or as an object by query; or an exporter's text."""

    system = "prometheus"

    def __init__(self) -> None:
        super().__init__()
        self._hosts: dict[str, _Host] = {}

    def read(self, document: Mapping[str, Any], file: str) -> list[Entry] | None:
        if "errorType" in document:
            fault = Unreadable("is an error of Prometheus, not an answer", self.command)
            return [Entry(fault=fault)]
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
        if not re.match(r"(?:# (?:HELP|TYPE) |node_|windows_|DCGM_)", text.lstrip()):
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
            _take(host, match[1], series, match[3])
        return [*faults, Entry(_record(host, machine_name(*host.names)))]

    def rest(self) -> Iterator[tuple[str, Entry]]:
        hosts, self._hosts = self._hosts, {}
        _join_cards(hosts)
        names: dict[str, int] = {}
        for instance, host in hosts.items():
            # the instance's name, where it is no address
            name = machine_name(_without_port(instance), *host.names)
            if name is not None:
                names[name] = names.get(name, 0) + 1
                name = name if names[name] == 1 else f"{name}#{names[name]}"
            yield host.file, Entry(_record(host, name))

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
                self.files.add(file)
                host = self._hosts.setdefault(instance, _Host(file))
                _take(host, metric, series, sample[1])
                if "_memory_" in metric and isinstance(sample[0], int | float):
                    host.read_at = sample[0]


READERS = {"prometheus": PrometheusAnswers}


@cache
def _values() -> frozenset[str]:
    """The metrics of one value a machine."""
    table = table_of("prometheus")
    paths = {path for _, path, _, _ in (*table["rows"], *table["windows_rows"])}
    return frozenset(path for path in paths if "/" not in path) - {"node_cpu_seconds_total"}


def _take(host: _Host, metric: str, series: Mapping[str, Any], value: Any) -> None:
    """Keep what one sample tells."""
    if metric in _values():
        host.stated[metric] = value
        host.labels = host.labels or labels("prometheus", class_labels(series))
    elif metric in _INFOS:
        word = _WINDOWS_ARCHITECTURES.get(plain(series.get("architecture"), 20) or "")
        is_numbered = metric == "windows_cpu_info"
        kept = {**series, "architecture": word} if is_numbered else series
        host.stated.setdefault(metric, kept)
    elif metric in _DISKS:
        # on Windows the folders of people lie on C:
        volume = "/" if series.get("volume") == "C:" else None
        mount = volume or plain(series.get("mountpoint"), 1000)
        if mount and len(host.disks) < MAX_FILESYSTEMS:
            row = host.disks.setdefault(mount, {"kind": series.get("fstype")})
            row[_DISKS[metric]] = value
    elif metric in _CARD_SIZES:
        _take_card(host, _CARD_SIZES[metric], series, value)
    else:
        _take_processor(host, metric, series, value)
    if metric == "node_cpu_info":
        core, package = plain(series.get("core"), 20), plain(series.get("package"), 20)
        if core and package:
            host.cores.add((package, core))


def _take_processor(host: _Host, metric: str, series: Mapping[str, Any], value: Any) -> None:
    if metric == "node_cpu_flag_info":
        flag = plain(series.get("flag"), 60)
        if flag and " " not in flag and len(host.flags) < MAX_FLAGS:
            host.flags.add(flag)
    elif metric == "node_cpu_seconds_total":
        host.cpus.add(plain(series.get("cpu"), 20) or "")
    elif "node_cpu_seconds_total" in metric and metric.lstrip().startswith("count"):
        host.stated["node_cpu_seconds_total"] = value


def _take_card(host: _Host, what: str, series: Mapping[str, Any], value: Any) -> None:
    size = whole(value, units.MIB)
    number = plain(series.get("UUID"), 80) or plain(series.get("gpu"), 20)
    if size is None or number is None:
        return
    key = (number, plain(series.get("GPU_I_ID"), 20) or "")
    if key in host.cards or len(host.cards) < MAX_CARDS:
        host.cards.setdefault(key, {"labels": series})[what] = size
        host.stated.setdefault("dcgm", series)


def _join_cards(hosts: dict[str, _Host]) -> None:
    """Move GPUs to the host that they are in: by its name, else by the address before the port."""
    homes: dict[str, _Host] = {}
    for instance, host in hosts.items():
        for name in (_without_port(instance), *host.names) if host.has_memory else ():
            homes.setdefault(name, host)
    for instance, host in list(hosts.items()):
        if host.has_memory or not host.cards:
            continue
        names = (*host.names, _without_port(instance))
        home = next((homes[name] for name in names if name in homes), None)
        if home is not None:
            home.cards.update(host.cards)
            del hosts[instance]


def _without_port(instance: str) -> str:
    """`node-1:9100` -> `node-1`, `[::1]:9100` -> `[::1]`."""
    host, colon, port = instance.rpartition(":")
    return host if colon and port.isdecimal() else instance


def _record(host: _Host, name: str | None) -> dict[str, Any]:
    machine = Facts("prometheus")
    is_windows = any(metric.startswith("windows_") for metric in host.stated)
    rows = "windows_rows" if is_windows else "rows"
    if is_windows:
        machine.put("system", "windows", "windows_exporter's metrics")
    stated = {"node_cpu_seconds_total": len(host.cpus) or None, **host.stated}
    machine.read_rows(stated | {"node_cpu_cores": len(host.cores) or None}, rows)
    machine.limit_to_total()
    if host.flags:
        machine.put_instruction_sets(host.flags, "node_cpu_flag_info, and what they bring")
        flagged = machine.values["instruction_sets"]
        machine.lacks(
            " ".join(f"instruction_sets.{name}" for name in _ASKED_SETS if name not in flagged),
            "no series has it, and a pattern of node_exporter decides which flags have one",
            "start node_exporter with --collector.cpu.info.flags-include='.*'",
        )
    disks = host.disks.items()
    volumes = [(mount, row.get("free"), row.get("total"), row["kind"]) for mount, row in disks]
    volume = volume_of(volumes, SOME_HOME)
    if volume is not None and whole(volume[1]) is not None:
        source = f"node_filesystem_avail_bytes of {volume[0]}: the home folder is taken to be"
        windows = "windows_logical_disk_free_bytes of C:, where the home folder is taken to be"
        put_disks(machine, volume, windows if is_windows else f"{source} {SOME_HOME}")
    if host.cards:
        put_accelerators(machine, _kinds(host.cards), "DCGM_FI_DEV_FB_…, per GPU", _DCGM)
        source = "DCGM_FI_DEV_FB_FREE, MiB, when queried"
        machine.sources["accelerators.memory_free_bytes"] = source
    machine.put("read_at", _time(host.read_at), "the time of Prometheus' sample")
    if is_windows:
        machine.lack_rows("windows_lacks")
    for fact, path, _, _ in machine.table[rows]:
        metric = path.partition("/")[0].replace("node_cpu_cores", "node_cpu_info")
        machine.lacks(fact, f"{metric} is not in the answer", f"query {metric} too")
    machine.lack_rows()
    return machine.record(name, host.labels)


def _kinds(cards: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[Kind]:
    """One for each card, and for each instance of a divided one, which itself is left out."""
    divided = {number for number, part in cards if part}
    for (number, part), card in cards.items():
        if not part and number in divided:
            continue
        free, used, total = card.get("free"), card.get("used"), card.get("total")
        if total is None and free is not None and used is not None:
            total = free + used + card.get("reserved", 0)
        name = plain(card["labels"].get("modelName"), 120) or "NVIDIA GPU"
        profile = plain(card["labels"].get("GPU_I_PROFILE"), 40) or part
        yield Kind(
            vendor="nvidia",
            name=f"{name}-MIG-{profile}" if profile else name,
            memory_total_bytes=total or None,
            memory_free_bytes=free,
            driver=plain(card["labels"].get("DCGM_FI_DRIVER_VERSION"), 60),
            is_part=bool(profile),
        )


def _time(seconds: float | None) -> str | None:
    from datetime import UTC, datetime

    if seconds is None or not 0 < seconds < 1 << 36:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
