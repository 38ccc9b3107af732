"""Machines as exporters of Prometheus measure them: node_exporter, and dcgm-exporter for GPUs.

What goes in: the answer to an instant query. Series of one `instance` are one machine; GPUs join it
by their address or by dcgm-exporter's label `Hostname`. Framebuffer memory of dcgm-exporter is MiB
(its etc/default-counters.csv).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..core import units
from ..core.files import Unreadable
from .answers import (
    MAX_NAME,
    Answer,
    FactRow,
    labels,
    machine_name,
    plain,
    systems_table,
    table_of,
    value_at,
    whole_number,
)
from .drafts import SOME_HOME, Card, MachineDraft, Volume, broken, card_of
from .record_text import Entry

_DCGM = "install dcgm-exporter, and query DCGM_FI_DEV_FB_FREE, _USED and _RESERVED too"
_CARD = "DCGM_FI_DEV_FB_"
_FREE = f"{_CARD}FREE"
_USED = f"{_CARD}USED"
_METRIC = re.compile(r"(?:node_|DCGM_)\w+", re.ASCII)
# of the memory of a card
_SIZES = ("FREE", "USED", "TOTAL", "RESERVED")
# which label of a metric names the host
_NAMING_LABELS = {"node_uname_info": "nodename", _FREE: "Hostname", _USED: "Hostname"}


class Sample(NamedTuple):
    """A value of a series: the labels of that, the second of the sample, and what it says."""

    series: Answer
    second: object
    value: object


# of one instance: by metric its samples
Samples = dict[str, list[Sample]]


class _Host(NamedTuple):
    """The names of a machine, its address first, and its samples."""

    names: list[str]
    samples: Samples


def read_prometheus(document: Answer, _file: str) -> list[Entry] | None:
    """The answer to an instant query as the HTTP API gives it; None where it is none."""
    if "errorType" in document:
        command = table_of("prometheus").command
        fault = Unreadable("is an error of Prometheus, not an answer", command)
        return [Entry(fault=fault)]
    if "data" not in document or document.get("status") != "success":
        return None
    entries = []
    instances: dict[str, Samples] = {}
    rows = value_at(document, "data", "result")
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        series = value_at(row, "metric")
        if isinstance(series, Mapping):
            _add_sample(instances, series, row.get("value"))
        else:
            entries.append(broken(row, "prometheus", f"data.result[{number}]"))
    for host in _hosts(instances):
        name = machine_name(*host.names)
        entries.append(Entry(_Exporters(host.samples).record(name)))
    return entries


def _add_sample(instances: dict[str, Samples], series: Answer, stated: object) -> None:
    """Add what a row says to its instance, where it is a sample of a metric."""
    instance = plain(series.get("instance"), MAX_NAME)
    # what a query computes has no name, and is no fact
    metric = str(series.get("__name__"))
    if instance is None or not _METRIC.fullmatch(metric):
        return
    if isinstance(stated, list) and len(stated) == 2:
        samples = instances.setdefault(instance, {})
        samples.setdefault(metric, []).append(Sample(series, *stated))


def _hosts(instances: Mapping[str, Samples]) -> list[_Host]:
    """Each machine, with the samples of its GPUs, of which another exporter tells."""
    hosts: list[_Host] = []
    others: list[_Host] = []
    for instance, samples in instances.items():
        host = _Host(_names(instance, samples), samples)
        states_memory = any("_memory_" in metric for metric in samples)
        (hosts if states_memory else others).append(host)
    samples_by_name = {}
    for host in hosts:
        for name in host.names:
            samples_by_name[name] = host.samples
    for other in others:
        home = None
        for name in reversed(other.names):
            home = samples_by_name.get(name)
            if home is not None:
                break
        if home is None:
            hosts.append(other)
        else:
            home.update(other.samples)
    return hosts


def _names(instance: str, samples: Samples) -> list[str]:
    """What an instance is called: its address without the port, and what its labels say."""
    address, colon, port = instance.rpartition(":")
    names = [address if colon and port.isdecimal() else instance]
    for metric, label in _NAMING_LABELS.items():
        if metric in samples:
            name = plain(samples[metric][0].series.get(label), MAX_NAME)
            if name is not None:
                names.append(name)
    return names


class _Exporters:
    """What exporters measured of one machine."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def record(self, name: str | None) -> dict[str, Any]:
        """The record of the machine."""
        machine = MachineDraft("prometheus")
        machine.read_rows(self._stated_facts(machine.table.rows))
        source = (
            "node_filesystem_avail_bytes of {mount}: the home folder is taken to be "
        )
        machine.put_home(self._volumes(), SOME_HOME, source + SOME_HOME)
        self._put_cards(machine)
        of_memory = self._first_of_memory()
        moment = _moment(of_memory.second)
        machine.put("read_at", moment, "the time of Prometheus' sample")
        for row in machine.table.rows:
            metric = row.path.partition("/")[0]
            metric = metric.replace("node_cpu_cores", "node_cpu_info")
            remedy = f"query {metric} too"
            machine.lacks(row.fact, f"{metric} is not in the answer", remedy)
        return machine.record(name, _kept_labels(of_memory.series))

    def _stated_facts(self, rows: Iterable[FactRow]) -> dict[str, object]:
        """What the rows of the system's table look for: values by metric, or the labels of one."""
        # each CPU and each core has a series
        stated: dict[str, object] = {
            "node_cpu_seconds_total": self._count("node_cpu_seconds_total", "cpu")
            or self._count("node_cpu_info", "cpu"),
            "node_cpu_cores": self._count("node_cpu_info", "package", "core"),
        }
        for row in rows:
            metric, slash, _ = row.path.partition("/")
            if metric in self._samples and metric not in stated:
                last = self._samples[metric][-1]
                stated[metric] = last.series if slash else last.value
        return stated

    def _of(self, metric: str) -> list[Sample]:
        return self._samples.get(metric, [])

    def _count(self, metric: str, *keys: str) -> int | None:
        """How many different values these labels have together, where all are there; None for
        none.
        """
        found = set()
        for sample in self._of(metric):
            found.add(tuple([plain(sample.series.get(key), 60) for key in keys]))
        return sum(None not in values for values in found) or None

    def _volumes(self) -> list[Volume]:
        """The mounted file systems of which it is known what is free."""
        sizes = self._by_mount("node_filesystem_size_bytes")
        volumes = []
        for mount, sample in self._by_mount("node_filesystem_avail_bytes").items():
            total = sizes[mount].value if mount in sizes else None
            kind = sample.series.get("fstype")
            volumes.append(Volume(mount, sample.value, total, kind))
        return volumes

    def _by_mount(self, metric: str) -> dict[str, Sample]:
        """The last sample of each mount point."""
        found = {}
        for sample in self._of(metric):
            mount = sample.series.get("mountpoint")
            if isinstance(mount, str):
                found[mount] = sample
        return found

    def _first_of_memory(self) -> Sample:
        """The first sample of a metric of memory; an empty one where none is there."""
        for metric, samples in self._samples.items():
            if "_memory_" in metric:
                return samples[0]
        return Sample({}, None, None)

    def _put_cards(self, machine: MachineDraft) -> None:
        """State each card, and each instance of a divided one, which itself is left out."""
        all_cards = self._cards()
        divided = {card.number for card in all_cards if card.part}
        cards = []
        for card in all_cards:
            if card.part or card.number not in divided:
                cards.append(card.fact())
        if cards:
            machine.put_accelerators(cards, f"{_CARD}…, per GPU", _DCGM)
            source = f"{_FREE}, MiB, when queried"
            machine.sources["accelerators.memory_free_bytes"] = source

    def _cards(self) -> list[_MeasuredCard]:
        """The cards and the instances, with all that was measured of each."""
        by_key: dict[tuple[str, str], _MeasuredCard] = {}
        for size in _SIZES:
            for sample in self._of(f"{_CARD}{size}"):
                card = _MeasuredCard(sample.series)
                size_bytes = whole_number(sample.value, units.MIB)
                if card.number and size_bytes is not None:
                    card = by_key.setdefault((card.number, card.part), card)
                    card.bytes_of[size] = size_bytes
        return list(by_key.values())


def _moment(second: object) -> str | None:
    """The time of a sample, as records have it."""
    whole_second = whole_number(second, least=1, most=1 << 36)
    if whole_second is None:
        return None
    return datetime.fromtimestamp(whole_second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _kept_labels(series: Answer) -> dict[str, str]:
    """The labels by which people make classes of machines."""
    kept = {}
    for key in systems_table().class_labels:
        if key in series:
            kept[key] = series[key]
    return labels("prometheus", kept)


class _MeasuredCard:
    """A card by its UUID or its number, empty where none is stated; `part` is the instance of a
    divided one, empty for a whole card. `bytes_of` has its sizes by the last word of their metrics.
    """

    def __init__(self, series: Answer) -> None:
        self._series = series
        self.number = self._label("UUID", 80) or self._label("gpu", 20)
        self.part = self._label("GPU_I_ID", 20)
        self.bytes_of: dict[str, int] = {}

    def _label(self, key: str, length: int) -> str:
        return plain(self._series.get(key), length) or ""

    def fact(self) -> Card:
        """The accelerator of a record."""
        name = self._label("modelName", 120) or "NVIDIA GPU"
        profile = self._label("GPU_I_PROFILE", 40) or self.part
        if profile:
            name = f"{name}-MIG-{profile}"
        total = self.bytes_of.get("TOTAL")
        if total is None and self.bytes_of.keys() >= {"FREE", "USED"}:
            total = sum(self.bytes_of.values())
        free = self.bytes_of.get("FREE")
        driver = self._series.get("DCGM_FI_DRIVER_VERSION")
        return card_of(name, total or None, free, driver, is_part=bool(profile))
