"""Prometheus: answers to instant queries of node_exporter's, windows_exporter's and dcgm-exporter's
metrics, and what an exporter itself serves.

Names and units are those of node_exporter (collector/meminfo_linux.go: bytes), windows_exporter
(its collectors cpu_info, cs, memory, logical_disk and os: bytes) and dcgm-exporter
(etc/default-counters.csv: framebuffer memory in MiB). Series of one `instance` are one machine, of
all answers together; GPUs join it by dcgm-exporter's label `Hostname`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ...core import units
from ._accelerators import MAX_CARDS, Kind, put_accelerators
from ._facts import (
    SOME_HOME,
    Facts,
    cores,
    count,
    entry,
    labels,
    machine_name,
    of_classes,
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

_RESULT: Path = ("data", "result", "[]")
# a key that is a query: it names a metric
_QUERY = re.compile(r"(?s).{0,200}\b(?:node_[a-zA-Z]|windows_[a-z]|DCGM_).*")
_SIZES = {
    "node_memory_MemTotal_bytes": "total",
    "node_memory_MemAvailable_bytes": "available",
    "node_memory_SwapFree_bytes": "swap_free",
    # the first until windows_exporter 0.30
    "windows_cs_physical_memory_bytes": "total",
    "windows_memory_physical_total_bytes": "total",
    "windows_memory_available_bytes": "available",
}
# how many processors Windows counts, the first until windows_exporter 0.30
_WINDOWS_THREADS = ("windows_cs_logical_processors", "windows_cpu_logical_processor")
_WINDOWS_DISKS = {
    "windows_logical_disk_free_bytes": "free",
    "windows_logical_disk_size_bytes": "total",
}
# Win32_Processor.Architecture
_WINDOWS_ARCHITECTURES = {"0": "i686", "9": "x86_64", "12": "aarch64"}
_CARD_SIZES = {
    "DCGM_FI_DEV_FB_FREE": "free",
    "DCGM_FI_DEV_FB_USED": "used",
    "DCGM_FI_DEV_FB_TOTAL": "total",
    "DCGM_FI_DEV_FB_RESERVED": "reserved",
}
_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s+([^\s{}]+)(?:\s+-?\d+)?\s*(?:#.*)?"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\n": " ", '\\"': '"', "\\\\": "\\"}
MAX_FILESYSTEMS = 1000
MAX_FLAGS = 1000
_DCGM = "install dcgm-exporter, and query DCGM_FI_DEV_FB_FREE, _USED and _RESERVED too"


class _Host:
    """What the series of one instance tell."""

    __slots__ = (
        "cards", "cores", "cpus", "file", "filesystems", "flags", "labels", "metrics", "model",
        "read_at", "sizes", "threads", "uname",
    )  # fmt: skip

    def __init__(self, file: str) -> None:
        self.file = file
        # as the samples have them
        self.sizes: dict[str, Any] = {}
        # and by which metric
        self.metrics: dict[str, str] = {}
        self.threads: int | None = None
        self.cpus: set[str] = set()
        self.cores: set[tuple[str, str]] = set()
        self.model: str | None = None
        self.flags: set[str] = set()
        # free and whole bytes, and the kind, by mount point
        self.filesystems: dict[str, dict[str, Any]] = {}
        self.uname: dict[str, str | None] = {}
        self.labels: dict[str, str] = {}
        self.cards: dict[tuple[str, str], _Card] = {}
        self.read_at: float | None = None


class _Card:
    """What the series of one GPU tell, sizes in bytes; of a divided one of one instance."""

    __slots__ = ("driver", "name", "part", "sizes")

    def __init__(self, series: Mapping[str, Any]) -> None:
        self.name = plain(series.get("modelName"), 120) or "NVIDIA GPU"
        self.part = plain(series.get("GPU_I_PROFILE"), 40)
        self.driver = plain(series.get("DCGM_FI_DRIVER_VERSION"), 60)
        self.sizes: dict[str, int] = {}


class PrometheusAnswers(Answers):
    """Answers as the HTTP API gives them, alone or as an object by query; or an exporter's text."""

    system = "prometheus"
    title = "Prometheus"
    command = "curl 'http://HOST:9090/api/v1/query?query={__name__=~\"node_memory_.*|node_uname_info|…\"}'"
    marks = ('"resultType"', '"errorType"', "# HELP ", "# TYPE ", "node_", "windows_", "DCGM_")
    opened = (
        ("data",),
        ("data", "result"),
        (_QUERY,),
        (_QUERY, "data"),
        (_QUERY, "data", "result"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._hosts: dict[str, _Host] = {}

    def claims(self, path: Path, value: Any) -> bool:
        return path[-3:] == _RESULT and isinstance(entry(value, "metric"), Mapping)

    def claims_whole(self, members: Mapping[str, Any]) -> bool:
        is_answer = "data" in members and members.get("status") == "success"
        return is_answer or "errorType" in members or any(map(_QUERY.fullmatch, members))

    def part(self, path: Path, value: Any, file: str) -> tuple[RecordOrFault, ...]:
        series = entry(value, "metric")
        if path[-3:] == _RESULT and not isinstance(series, Mapping):
            return (self.broken(value),)
        if path[-3:] == _RESULT:
            sample = value.get("value")
            if sample is None and isinstance(value.get("values"), list) and value["values"]:
                sample = value["values"][-1]
            if isinstance(sample, list) and len(sample) == 2:
                query = path[0] if len(path) > len(_RESULT) else ""
                instance = plain(series.get("instance"), 253) or ""
                if instance:
                    self._add(file, instance, series, sample[1], query, sample[0])
        return ()

    def whole(self, members: Mapping[str, Any], file: str) -> Iterator[RecordOrFault]:
        if "errorType" in members:
            yield RecordOrFault(
                fault="is an error of Prometheus, not an answer", remedy=self.command
            )

    def claims_text(self, start: str) -> bool:
        return re.match(r"(?:# (?:HELP|TYPE) |node_|windows_|DCGM_)", start.lstrip()) is not None

    def line(self, text: str, file: str, number: int) -> tuple[RecordOrFault, ...]:
        if text.startswith("#") or not text.strip():
            return ()
        match = _SAMPLE.fullmatch(text.strip()[:100_000])
        if match is None:
            return (RecordOrFault(fault="is no line of Prometheus' text format"),)
        series = {
            key: re.sub(r'\\[n"\\]', lambda escape: _ESCAPES[escape[0]], value)
            for key, value in _LABEL.findall(match[2] or "")
        }
        self._add(file, "", {**series, "__name__": match[1]}, match[3], "", None)
        return ()

    def text_end(self, file: str) -> Iterator[RecordOrFault]:
        # an exporter's text is of one machine, that of its file
        for instance in [key for key in self._hosts if key == f"{file}\n"]:
            host = self._hosts.pop(instance)
            yield RecordOrFault(_record(host, _name(host, "")))

    def forget(self, file: str) -> None:
        super().forget(file)
        self._hosts = {key: host for key, host in self._hosts.items() if host.file != file}

    def rest(self) -> Iterator[tuple[str, RecordOrFault]]:
        hosts, self._hosts = self._hosts, {}
        _join_cards(hosts)
        names: dict[str, int] = {}
        for instance, host in hosts.items():
            name = _name(host, instance)
            if name is not None:
                names[name] = names.get(name, 0) + 1
                name = name if names[name] == 1 else f"{name}#{names[name]}"
            yield host.file, RecordOrFault(_record(host, name))

    def _add(
        self, file: str, instance: str, series: Mapping[str, Any], value: Any, query: str, at: Any
    ) -> None:
        name = series.get("__name__")
        metric = name if isinstance(name, str) else query
        if not _QUERY.fullmatch(metric):
            return
        key = instance or f"{file}\n"
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host(file)
        if instance:
            self.files.add(file)
        _take(host, metric, series, value)
        if isinstance(at, int | float) and metric in _SIZES:
            host.read_at = at


READER = PrometheusAnswers


def _take(host: _Host, metric: str, series: Mapping[str, Any], value: Any) -> None:
    """Keep what one sample tells."""
    if metric in _SIZES:
        host.sizes[_SIZES[metric]] = value
        host.metrics[_SIZES[metric]] = metric
        host.labels = host.labels or labels("prometheus", of_classes(series))
    elif metric in _CARD_SIZES:
        _take_card(host, _CARD_SIZES[metric], series, value)
    elif metric in ("node_filesystem_avail_bytes", "node_filesystem_size_bytes"):
        mount = plain(series.get("mountpoint"), 1000)
        if mount and len(host.filesystems) < MAX_FILESYSTEMS:
            row = host.filesystems.setdefault(mount, {"kind": series.get("fstype")})
            row["free" if "avail" in metric else "total"] = value
    elif metric == "node_uname_info":
        host.uname = {
            key: plain(series.get(key), 253) for key in ("nodename", "machine", "sysname")
        }
    elif metric.startswith("windows_"):
        _take_of_windows(host, metric, series, value)
    else:
        _take_processor(host, metric, series, value)


def _take_of_windows(host: _Host, metric: str, series: Mapping[str, Any], value: Any) -> None:
    host.uname.setdefault("sysname", "windows")
    if metric in _WINDOWS_THREADS:
        host.threads = count(value)
    elif metric in ("windows_os_hostname", "windows_cs_hostname"):
        host.uname["nodename"] = plain(series.get("hostname"), 253)
    elif metric == "windows_cpu_info":
        host.model = host.model or plain(series.get("name"))
        number = plain(series.get("architecture"), 20) or ""
        host.uname["machine"] = _WINDOWS_ARCHITECTURES.get(number)
    elif metric in _WINDOWS_DISKS and series.get("volume") == "C:":
        # where the folders of people lie
        host.filesystems.setdefault("/", {"kind": None})[_WINDOWS_DISKS[metric]] = value


def _take_processor(host: _Host, metric: str, series: Mapping[str, Any], value: Any) -> None:
    if metric == "node_cpu_info":
        core, package = plain(series.get("core"), 20), plain(series.get("package"), 20)
        if core and package:
            host.cores.add((package, core))
        host.model = host.model or plain(series.get("model_name"))
    elif metric == "node_cpu_flag_info":
        flag = plain(series.get("flag"), 60)
        if flag and " " not in flag and len(host.flags) < MAX_FLAGS:
            host.flags.add(flag)
    elif metric == "node_cpu_seconds_total":
        host.cpus.add(plain(series.get("cpu"), 20) or "")
    elif "node_cpu_seconds_total" in metric and metric.lstrip().startswith("count"):
        host.threads = count(value)


def _take_card(host: _Host, what: str, series: Mapping[str, Any], value: Any) -> None:
    size = whole(value, units.MIB)
    number = plain(series.get("UUID"), 80) or plain(series.get("gpu"), 20)
    if size is None or number is None:
        return
    key = (number, plain(series.get("GPU_I_ID"), 20) or "")
    if key not in host.cards and len(host.cards) >= MAX_CARDS:
        return
    host.cards.setdefault(key, _Card(series)).sizes[what] = size
    host.uname.setdefault("Hostname", plain(series.get("Hostname"), 253))


def _join_cards(hosts: dict[str, _Host]) -> None:
    """Move GPUs to the host that they are in: by its name, else by the address before the port."""
    by_name: dict[str, _Host] = {}
    for instance, host in hosts.items():
        if host.sizes:
            by_name.setdefault(_host_of(instance), host)
            if host.uname.get("nodename"):
                by_name.setdefault(host.uname["nodename"] or "", host)
    for instance, host in list(hosts.items()):
        if host.sizes or not host.cards:
            continue
        home = by_name.get(host.uname.get("Hostname") or "") or by_name.get(_host_of(instance))
        if home is not None:
            home.cards.update(host.cards)
            del hosts[instance]


def _host_of(instance: str) -> str:
    """Without the port: `node-1:9100` -> `node-1`, `[::1]:9100` -> `[::1]`."""
    host, colon, port = instance.rpartition(":")
    return host if colon and port.isdecimal() else instance


def _name(host: _Host, instance: str) -> str | None:
    """The instance's, where it is no address; else the host's own."""
    of_instance = _host_of(instance) if "\n" not in instance else None
    return machine_name(of_instance, host.uname.get("nodename"), host.uname.get("Hostname"))


def _record(host: _Host, name: str | None) -> dict[str, Any]:
    machine = Facts()
    is_windows = host.uname.get("sysname") == "windows"
    platform = "windows_cpu_info" if is_windows else "node_uname_info"
    machine.put_platform(host.uname.get("sysname"), host.uname.get("machine"), platform)
    of = host.metrics.get
    machine.put_memory(host.sizes.get("total"), of("total", "node_memory_MemTotal_bytes"))
    available = of("available", "node_memory_MemAvailable_bytes")
    machine.put_available(host.sizes.get("available"), available)
    machine.put("swap_free_bytes", whole(host.sizes.get("swap_free")), "node_memory_SwapFree_bytes")
    _put_processor(machine, host)
    volumes = [
        volume
        for mount, row in host.filesystems.items()
        if (volume := usable_volume(mount, row.get("free"), row.get("total"), row["kind"]))
    ]
    volume = volume_of(volumes, SOME_HOME)
    if volume is not None and volume.free_bytes is not None:
        source = f"node_filesystem_avail_bytes of {volume.mount}: the home folder is taken to be"
        put_disks(
            machine,
            volume,
            "windows_logical_disk_free_bytes of C:, where the home folder is taken to be"
            if is_windows
            else f"{source} {SOME_HOME}",
            "record the machine itself: `selfhost machine --format json`",
        )
    if host.cards:
        put_accelerators(machine, list(_kinds(host.cards)), "DCGM_FI_DEV_FB_…, per GPU", _DCGM)
        machine.note("accelerators.memory_free_bytes", "DCGM_FI_DEV_FB_FREE, MiB, when queried")
    if host.read_at is not None:
        machine.put("read_at", _time(host.read_at), "the time of Prometheus' sample")
    if is_windows:
        _lack_on_windows(machine)
    _lack(machine)
    return machine.record(name, host.labels)


def _put_processor(machine: Facts, host: _Host) -> None:
    threads = host.threads or len(host.cpus) or None
    is_windows = host.uname.get("sysname") == "windows"
    counted, named = "node_cpu_seconds_total, how many CPUs it counts", "node_cpu_info, model_name"
    if is_windows:
        counted, named = " or ".join(_WINDOWS_THREADS), "windows_cpu_info, name"
    machine.put("cpu_cores_usable", cores(threads), counted)
    machine.put("cpu_cores_physical", count(len(host.cores)), "node_cpu_info, its cores")
    machine.put("cpu_model", host.model, named)
    if host.flags:
        machine.put_instruction_sets(host.flags, "node_cpu_flag_info, and what they bring")
        flagged = machine.values["instruction_sets"]
        machine.lacks(
            [f"instruction_sets.{name}" for name in _ASKED_SETS if name not in flagged],
            "no series has it, and a pattern of node_exporter decides which flags have one",
            "start node_exporter with --collector.cpu.info.flags-include='.*'",
        )


# which runtimes ask for, and a pattern of flags may leave out
_ASKED_SETS = (
    "avx", "avx2", "avx512f", "bmi1", "bmi2", "f16c", "fma", "popcnt", "sse4_2", "ssse3", "asimddp",
)  # fmt: skip


# node_exporter's, of facts that one metric tells
_METRICS = {
    "system": "node_uname_info",
    "architecture": "node_uname_info",
    "memory_total_bytes": "node_memory_MemTotal_bytes",
    "memory_limit_bytes": "node_memory_MemTotal_bytes",
    "cpu_cores_usable": "node_cpu_seconds_total",
    "cpu_cores_physical": "node_cpu_info",
    "cpu_model": "node_cpu_info",
    "swap_free_bytes": "node_memory_SwapFree_bytes",
}


# windows_exporter's, of facts that one metric tells
_WINDOWS_METRICS = {
    "architecture": "windows_cpu_info",
    "memory_total_bytes": "windows_memory_physical_total_bytes",
    "memory_limit_bytes": "windows_memory_physical_total_bytes",
    "memory_available_bytes": "windows_memory_available_bytes",
    "cpu_cores_usable": "windows_cpu_logical_processor",
    "cpu_model": "windows_cpu_info",
    "disks": "windows_logical_disk_free_bytes of C:",
}


def _lack_on_windows(machine: Facts) -> None:
    """What windows_exporter does not tell; its collectors cpu_info and memory may be off."""
    for fact, metric in _WINDOWS_METRICS.items():
        machine.lacks(
            fact,
            f"{metric} is not in the answer",
            "start windows_exporter with --collectors.enabled=[defaults],cpu_info,memory",
        )
    machine.lacks(
        ("instruction_sets", "cpu_cores_physical", "swap_free_bytes"),
        "windows_exporter does not tell it",
    )


def _lack(machine: Facts) -> None:
    machine.lacks(
        "memory_available_bytes",
        "node_memory_MemAvailable_bytes is not in the answer; MemFree is not used, for it counts"
        " the page cache as used",
        "query node_memory_MemAvailable_bytes too",
    )
    machine.lacks(
        "instruction_sets",
        "node_exporter gives no flags by default",
        "start node_exporter with --collector.cpu.info"
        " --collector.cpu.info.flags-include='.*'",
    )  # fmt: skip
    machine.lacks("accelerators", "no metric of dcgm-exporter is in the answer", _DCGM)
    machine.lacks(
        "disks",
        "node_filesystem_avail_bytes of / or /home is not in the answer",
        "query node_filesystem_avail_bytes and node_filesystem_size_bytes too",
    )
    for fact, metric in _METRICS.items():
        machine.lacks(fact, f"{metric} is not in the answer", f"query {metric} too")
    machine.lacks("read_at", "no sample of memory is in the answer")
    machine.lacks(
        ("scope", "cpu_cores_performance", "memory_bandwidth_bytes_per_second",
         "models_present", "runtimes"),
        "no exporter states it",
    )  # fmt: skip


def _kinds(cards: Mapping[tuple[str, str], _Card]) -> Iterable[Kind]:
    """One for each card, and for each instance of a divided one, which itself is left out."""
    divided = {number for number, part in cards if part}
    for (number, part), card in cards.items():
        if not part and number in divided:
            continue
        free, used = card.sizes.get("free"), card.sizes.get("used")
        total = card.sizes.get("total")
        if total is None and free is not None and used is not None:
            total = free + used + card.sizes.get("reserved", 0)
        is_part = bool(part or card.part)
        yield Kind(
            vendor="nvidia",
            name=f"{card.name}-MIG-{card.part or part}" if is_part else card.name,
            memory_total_bytes=total or None,
            memory_free_bytes=free,
            driver=card.driver,
            is_part=is_part,
        )


def _time(seconds: float) -> str | None:
    from datetime import UTC, datetime

    if not 0 < seconds < 1 << 36:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
