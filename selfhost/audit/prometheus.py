"""Machines as exporters of Prometheus measure them: node_exporter, and dcgm-exporter for GPUs.

What goes in: the answer to an instant query. Series of one `instance` are one machine; GPUs join it
by their address or by dcgm-exporter's label `Hostname`. Framebuffer memory of dcgm-exporter is MiB
(its etc/default-counters.csv).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..core import units
from ..core.files import Unreadable
from .answers import (
    MAX_NAME,
    Answer,
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
        entries.append(Entry(_record_of_samples(host.samples, name)))
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


def _record_of_samples(samples: Samples, name: str | None) -> dict[str, Any]:
    machine = MachineDraft("prometheus")
    machine.read_rows(_stated_facts(machine, samples))
    source = (
        "node_filesystem_avail_bytes of {mount}: the home folder is taken to be "
        f"{SOME_HOME}"
    )
    machine.put_home(_volumes(samples), SOME_HOME, source)
    cards = _cards(samples)
    if cards:
        machine.put_accelerators(cards, f"{_CARD}…, per GPU", _DCGM)
        source = f"{_FREE}, MiB, when queried"
        machine.sources["accelerators.memory_free_bytes"] = source
    of_memory = _first_of_memory(samples)
    second = whole_number(of_memory.second, least=1, most=1 << 36)
    if second is not None:
        moment = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        machine.put("read_at", moment, "the time of Prometheus' sample")
    for row in machine.table.rows:
        metric = row.path.partition("/")[0].replace("node_cpu_cores", "node_cpu_info")
        machine.lacks(row.fact, f"{metric} is not in the answer", f"query {metric} too")
    kept = {}
    for key in systems_table().class_labels:
        if key in of_memory.series:
            kept[key] = of_memory.series[key]
    return machine.record(name, labels("prometheus", kept))


def _stated_facts(machine: MachineDraft, samples: Samples) -> dict[str, object]:
    """What the rows of the system's table look for: values by metric, or the labels of one."""
    # each CPU and each core has a series
    cpus = _count_values(samples, "node_cpu_seconds_total", "cpu")
    if cpus is None:
        cpus = _count_values(samples, "node_cpu_info", "cpu")
    stated: dict[str, object] = {
        "node_cpu_seconds_total": cpus,
        "node_cpu_cores": _count_values(samples, "node_cpu_info", "package", "core"),
    }
    for row in machine.table.rows:
        metric, slash, _ = row.path.partition("/")
        if metric in samples and metric not in stated:
            last = samples[metric][-1]
            stated[metric] = last.series if slash else last.value
    return stated


def _count_values(samples: Samples, metric: str, *keys: str) -> int | None:
    """How many different values these labels have together, where all are there; None for none."""
    found = set()
    for sample in samples.get(metric, ()):
        found.add(tuple([plain(sample.series.get(key), 60) for key in keys]))
    count = sum(None not in values for values in found)
    return count or None


def _volumes(samples: Samples) -> list[Volume]:
    """The mounted file systems of which it is known what is free."""
    sizes = _by_mount(samples, "node_filesystem_size_bytes")
    volumes = []
    for mount, sample in _by_mount(samples, "node_filesystem_avail_bytes").items():
        total = sizes[mount].value if mount in sizes else None
        kind = sample.series.get("fstype")
        volumes.append(Volume(mount, sample.value, total, kind))
    return volumes


def _by_mount(samples: Samples, metric: str) -> dict[str, Sample]:
    """The last sample of each mount point."""
    found = {}
    for sample in samples.get(metric, ()):
        mount = sample.series.get("mountpoint")
        if isinstance(mount, str):
            found[mount] = sample
    return found


def _first_of_memory(samples: Samples) -> Sample:
    """The first sample of a metric of memory; an empty one where none is there."""
    for metric, of_metric in samples.items():
        if "_memory_" in metric:
            return of_metric[0]
    return Sample({}, None, None)


class _CardKey(NamedTuple):
    """A card, by its UUID or number, and the instance of a divided one; empty for a whole card."""

    number: str
    part: str


class _CardSizes(NamedTuple):
    """The labels of a card, and its sizes in bytes by the last word of their metrics."""

    series: Answer
    bytes_of: dict[str, int]


def _cards(samples: Samples) -> list[Card]:
    """Each card, and each instance of a divided one, which itself is left out."""
    by_key = _cards_by_key(samples)
    divided = {key.number for key in by_key if key.part}
    cards = []
    for key, card in by_key.items():
        if key.part or key.number not in divided:
            cards.append(_card(key, card))
    return cards


def _cards_by_key(samples: Samples) -> dict[_CardKey, _CardSizes]:
    by_key: dict[_CardKey, _CardSizes] = {}
    for size in _SIZES:
        for series, _, value in samples.get(f"{_CARD}{size}", ()):
            size_bytes = whole_number(value, units.MIB)
            number = plain(series.get("UUID"), 80) or plain(series.get("gpu"), 20)
            if size_bytes is not None and number is not None:
                key = _CardKey(number, plain(series.get("GPU_I_ID"), 20) or "")
                card = by_key.setdefault(key, _CardSizes(series, {}))
                card.bytes_of[size] = size_bytes
    return by_key


def _card(key: _CardKey, card: _CardSizes) -> Card:
    name = plain(card.series.get("modelName"), 120) or "NVIDIA GPU"
    profile = plain(card.series.get("GPU_I_PROFILE"), 40) or key.part
    if profile:
        name = f"{name}-MIG-{profile}"
    total = card.bytes_of.get("TOTAL")
    if total is None and card.bytes_of.keys() >= {"FREE", "USED"}:
        total = sum(card.bytes_of.values())
    return card_of(
        name,
        total or None,
        card.bytes_of.get("FREE"),
        card.series.get("DCGM_FI_DRIVER_VERSION"),
        is_part=bool(profile),
    )
