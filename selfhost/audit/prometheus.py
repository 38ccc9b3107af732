"""Machines as exporters of Prometheus measure them: node_exporter, and dcgm-exporter for GPUs.

What goes in: the answer to an instant query. Series of one `instance` are one machine; GPUs join it
by their address or by dcgm-exporter's label `Hostname`. Framebuffer memory of dcgm-exporter is MiB
(its etc/default-counters.csv).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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
    """A sample as it was answered: the labels of its series, its Unix time, and its value."""

    series: Answer
    second: object
    value: object

    def label(self, key: str, length: int) -> str | None:
        """The text of a label of the series, cut; None where it has none."""
        return plain(self.series.get(key), length)


# of one instance: by metric its samples
Samples = dict[str, list[Sample]]


def read_prometheus(document: Answer, _file: str) -> list[Entry] | None:
    """The answer to an instant query as the HTTP API gives it; None where it is none."""
    if "errorType" in document:
        command = table_of("prometheus").command
        fault = Unreadable("is an error of Prometheus, not an answer", command)
        return [Entry(fault=fault)]
    if "data" not in document or document.get("status") != "success":
        return None
    rows = value_at(document, "data", "result")
    if not isinstance(rows, list):
        return []
    entries = []
    instances: dict[str, Samples] = {}
    for number, row in enumerate(rows):
        series = value_at(row, "metric")
        if isinstance(series, Mapping):
            _add_sample(instances, series, row.get("value"))
        else:
            entries.append(broken(row, "prometheus", f"data.result[{number}]"))
    for machine in _machines(instances):
        entries.append(Entry(machine.record()))
    return entries


def _add_sample(instances: dict[str, Samples], series: Answer, stated: object) -> None:
    """Add what a row says to its instance, where it is a sample of a metric."""
    instance = plain(series.get("instance"), MAX_NAME)
    # what a query computes has no name, and is no fact
    metric = str(series.get("__name__"))
    if instance is None or not _METRIC.fullmatch(metric):
        return
    if isinstance(stated, list) and len(stated) == 2:
        second, value = stated
        samples = instances.setdefault(instance, {})
        samples.setdefault(metric, []).append(Sample(series, second, value))


def _machines(instances: Mapping[str, Samples]) -> list[_MeasuredMachine]:
    """Each machine. An instance that measures no memory, as dcgm-exporter does, adds its samples to
    the machine that has a name of it; where none has, it is a machine itself.
    """
    machines = []
    others = []
    by_name = {}
    for instance, samples in instances.items():
        machine = _MeasuredMachine(instance, samples)
        if machine.sample_of_memory is None:
            others.append(machine)
            continue
        machines.append(machine)
        for name in machine.names:
            by_name[name] = machine
    for other in others:
        # a label says more than the address
        for name in reversed(other.names):
            if name in by_name:
                by_name[name].add(other.samples)
                break
        else:
            machines.append(other)
    return machines


class _MeasuredMachine:
    """What exporters measured of one machine: its samples by their metrics."""

    def __init__(self, instance: str, samples: Samples) -> None:
        self.samples = samples
        self.names = list(self._stated_names(instance))

    def add(self, samples: Samples) -> None:
        """Add what another exporter measured of the machine."""
        for metric, others in samples.items():
            self.samples.setdefault(metric, []).extend(others)

    def _stated_names(self, instance: str) -> Iterator[str]:
        """The address of the machine without the port, and what labels call it."""
        address, _, port = instance.rpartition(":")
        yield address if port.isdecimal() and ":" in instance else instance
        for metric, label in _NAMING_LABELS.items():
            for sample in self._of(metric)[:1]:
                name = sample.label(label, MAX_NAME)
                if name is not None:
                    yield name

    @property
    def sample_of_memory(self) -> Sample | None:
        """The first sample of the first metric of memory; None where none was measured."""
        for metric, samples in self.samples.items():
            if "_memory_" in metric:
                return samples[0]
        return None

    def record(self) -> dict[str, Any]:
        """The record of the machine."""
        machine = MachineDraft("prometheus")
        rows = machine.table.rows
        machine.read_rows(self._stated_facts(rows))
        source = (
            "node_filesystem_avail_bytes of {mount}: the home folder is taken to be "
        )
        machine.put_home(self._volumes(), SOME_HOME, source + SOME_HOME)
        self._put_cards(machine)
        kept_labels: dict[str, str] = {}
        sample = self.sample_of_memory
        if sample is not None:
            moment = _moment(sample.second)
            machine.put("read_at", moment, "the time of Prometheus' sample")
            kept_labels = _kept_labels(sample.series)
        for row in rows:
            metric = row.path.partition("/")[0]
            metric = metric.replace("node_cpu_cores", "node_cpu_info")
            remedy = f"query {metric} too"
            machine.lacks(row.fact, f"{metric} is not in the answer", remedy)
        return machine.record(machine_name(*self.names), kept_labels)

    def _stated_facts(self, rows: Iterable[FactRow]) -> dict[str, object]:
        """What the rows of the system's table look for: values by metric, or the labels of one."""
        # each CPU and each core has a series
        cpus = self._count("node_cpu_seconds_total", "cpu")
        stated: dict[str, object] = {
            "node_cpu_seconds_total": cpus or self._count("node_cpu_info", "cpu"),
            "node_cpu_cores": self._count("node_cpu_info", "package", "core"),
        }
        for row in rows:
            metric, slash, _ = row.path.partition("/")
            if metric in self.samples and metric not in stated:
                last = self.samples[metric][-1]
                stated[metric] = last.series if slash else last.value
        return stated

    def _of(self, metric: str) -> list[Sample]:
        return self.samples.get(metric, [])

    def _count(self, metric: str, *keys: str) -> int | None:
        """How many CPUs, cores or the like a metric has samples of, which those labels tell apart;
        None for none.
        """
        found = set()
        for sample in self._of(metric):
            values = tuple([sample.label(key, 60) for key in keys])
            if None not in values:
                found.add(values)
        return len(found) or None

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

    def _put_cards(self, machine: MachineDraft) -> None:
        """State each card, and each instance of a divided one, which itself is left out."""
        measured = self._cards()
        divided = {card.number for card in measured if card.part}
        cards = []
        for card in measured:
            if card.part or card.number not in divided:
                cards.append(card.fact())
        if cards:
            machine.put_accelerators(cards, f"{_CARD}…, per GPU", _DCGM)
            source = f"{_FREE}, MiB, when queried"
            machine.sources["accelerators.memory_free_bytes"] = source

    def _cards(self) -> list[_MeasuredCard]:
        """The cards and the instances, with all that was measured of each."""
        cards: dict[tuple[str, str], _MeasuredCard] = {}
        for size in _SIZES:
            for sample in self._of(f"{_CARD}{size}"):
                size_bytes = whole_number(sample.value, units.MIB)
                card = _MeasuredCard(sample)
                if card.number and size_bytes is not None:
                    # the samples of all sizes of a card make one card
                    card = cards.setdefault((card.number, card.part), card)
                    card.bytes_of[size] = size_bytes
        return list(cards.values())


def _moment(second: object) -> str | None:
    """The time of a sample, as records have it."""
    whole_second = whole_number(second, least=1, most=1 << 36)
    if whole_second is None:
        return None
    moment = datetime.fromtimestamp(whole_second, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _kept_labels(series: Answer) -> dict[str, str]:
    """The labels by which people make classes of machines."""
    kept = {}
    for key in systems_table().class_labels:
        kept[key] = series.get(key)
    return labels("prometheus", kept)


class _MeasuredCard:
    """A card by its UUID or its number, empty where none is stated; `part` is the instance of a
    divided one, empty for a whole card. `bytes_of` has its sizes by the last word of their metrics.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.number = sample.label("UUID", 80) or sample.label("gpu", 20) or ""
        self.part = sample.label("GPU_I_ID", 20) or ""
        self.bytes_of: dict[str, int] = {}

    def fact(self) -> Card:
        """The accelerator of a record."""
        name = self._sample.label("modelName", 120) or "NVIDIA GPU"
        profile = self._sample.label("GPU_I_PROFILE", 40) or self.part
        if profile:
            name = f"{name}-MIG-{profile}"
        free = self.bytes_of.get("FREE")
        driver = self._sample.series.get("DCGM_FI_DRIVER_VERSION")
        return card_of(name, self._total(), free, driver, is_part=bool(profile))

    def _total(self) -> int | None:
        """The size of the card, which is also the sum of its parts."""
        sizes = self.bytes_of
        total = sizes.get("TOTAL")
        if total is None and "FREE" in sizes and "USED" in sizes:
            total = sum(sizes.values())
        return total or None
